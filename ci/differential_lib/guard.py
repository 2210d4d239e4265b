"""Nothing outside a folder is written, moved or removed.

Programs are random, and the package that runs them may be wrong about where a path leads.  An audit hook
refuses what goes through Python before it happens; Landlock, where the kernel has it, everything else.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null", "/dev/tty", "/dev/urandom")
# which arguments of an event are paths that change, and where the descriptor of the folder of each is
_CHANGES: dict[str, tuple[tuple[int, int], ...]] = {
    **{event: ((0, 1),) for event in ("os.remove", "os.rmdir", "shutil.rmtree")},
    **{event: ((0, 2),) for event in ("os.mkdir", "os.chmod")},
    **{event: ((0, 3),) for event in ("os.chown", "os.utime")},
    **{event: ((0, 9),) for event in ("os.truncate", "os.setxattr", "os.removexattr")},
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "shutil.move": ((0, 9), (1, 9)),
}
_PROGRAMS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn")


class Escape(PermissionError):
    """A program wanted to change something outside its folder."""


def confine(place: str) -> list[str]:
    """From now on this process changes nothing outside ``place``; the list tells what it tried to."""
    place, refused, busy = os.path.realpath(place), list[str](), list[bool]()

    def inside(path: Any, descriptor: Any, follow: bool) -> bool:
        path = os.fsdecode(path)
        if not os.path.isabs(path):
            at = isinstance(descriptor, int) and descriptor >= 0
            path = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}") if at else os.getcwd(), path)
        if path in _DEVICES:
            return True
        head, tail = os.path.split(path.rstrip("/") or "/")
        real = os.path.realpath(path if follow or tail in ("", ".", "..") else head)
        return (real if follow or tail in ("", ".", "..") else f"{real}/{tail}").startswith(place + "/")

    def hook(event: str, args: Any) -> None:
        if busy:
            return
        if event == "open":
            path, mode, flags = args
            writes = (
                isinstance(flags, int) and flags & _WRITING or isinstance(mode, str) and set(mode) & {*"wax+"}
            )
            changed = [(path, None)] if writes and isinstance(path, (str, bytes)) else []
        elif event in _CHANGES:
            changed = [
                (args[i], args[at] if at < len(args) else None)
                for i, at in _CHANGES[event]
                if isinstance(args[i], (str, bytes))
            ]
        elif event in _PROGRAMS:
            refused.append(event)
            raise Escape(1, "a program may not start others", str(args[0]))
        else:
            return
        busy.append(True)
        try:
            wrong = [path for path, folder in changed if not inside(path, folder, event == "open")]
        finally:
            busy.clear()
        if wrong:
            refused.append(f"{event} {os.fsdecode(wrong[0])}")
            raise Escape(1, "outside the folder of the program", os.fsdecode(wrong[0]))

    sys.dont_write_bytecode = True
    sys.addaudithook(hook)
    return refused


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock(place: str) -> bool:
    """Let the kernel refuse it too, to this process and all that it starts; whether it can."""
    if not sys.platform.startswith("linux"):
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    # write to files; remove and make what there is; in later versions, link across folders and truncate
    rights = 1 << 1 | sum(1 << n for n in range(4, 13)) | (version > 1) << 13 | (version > 2) << 14
    rules = call(444, ctypes.byref(ctypes.c_uint64(rights)), ctypes.c_size_t(8), ctypes.c_uint32(0))
    for path in (place, *_DEVICES):
        if rules >= 0 and os.path.exists(path):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = _Beneath(rights if path == place else 1 << 1 | (version > 2) << 14, fd)
            call(445, rules, 1, ctypes.byref(rule), ctypes.c_uint32(0))
            os.close(fd)
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no new privileges
    done = rules >= 0 and call(446, rules, ctypes.c_uint32(0)) == 0
    if rules >= 0:
        os.close(rules)
    return bool(done)
