"""What can be seen of processes and sockets from outside, by Linux's /proc."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

_ESTABLISHED, _CLOSE_WAIT = "01", "08"


def descriptors(pid: int | str = "self") -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd")) - (pid == "self")  # the listing's own


def resident(pid: int | str = "self") -> int:
    """Bytes of memory that a process holds of its own: a fork's shared pages are not counted twice."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def in_use() -> tuple[int, int]:
    """What this process needs: bytes resident, objects that the collector knows.

    What was freed in the middle of the C library's arenas stays resident, and the more threads
    came and went the more of it there is: it is given back first.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    return resident(), len(gc.get_objects())


def _sockets() -> list[tuple[int, int, str, str]]:
    """(local port, remote port, state, inode) of each TCP socket of this machine's loopback."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(words[n].rpartition(":")[2], 16) for n in (1, 2))
        found.append((local, remote, words[3], words[9]))
    return found


def served(ports: dict[str, int]) -> dict[str, int]:
    """By server: how many connections it has that it, or its client, has not ended."""
    count = Counter(local for local, _, state, _ in _sockets() if state in (_ESTABLISHED, _CLOSE_WAIT))
    return {name: count[port] for name, port in ports.items()}


def clients_of(pid: int | str, ports: dict[str, int]) -> list[str]:
    """The connections to the servers that a process holds open, as ``server:port``."""
    mine = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            mine.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass  # closed since
    names = {port: name for name, port in ports.items()}
    return [
        f"{names[remote]}:{local}"
        for local, remote, _, inode in _sockets()
        if remote in names and f"socket:[{inode}]" in mine
    ]


def threads(pid: int) -> str:
    """What each thread of a process waits for in the kernel: its state, and the call it is in."""
    texts = []
    for task in sorted(os.listdir(f"/proc/{pid}/task")):
        try:
            state = Path(f"/proc/{pid}/task/{task}/stat").read_text().rpartition(")")[2].split()[0]
            call = Path(f"/proc/{pid}/task/{task}/syscall").read_text().split()[0]
        except OSError:
            continue  # it ended, or may not be looked at
        texts.append(f"{task}: {state}, system call {call}")
    return "; ".join(texts)
