"""Running something in a forked child and learning all about it.

The child's stderr is caught in a file; where the child does not end in time its stacks
are dumped there and it is killed.  `fsspec.forkcheck` and the tests are made of this.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fsspec._fork import foreign_files

LIMIT = 12.0  # seconds for a child; those that hang take it all, others a fraction of one
SLOW = 4.0  # a child that does next to nothing and takes longer waits for something
HANGS = 2  # after so many the verdict is clear, and the rest would take minutes
ENDING = 0.8  # seconds that one that has said its word may then wait: it asks nothing of others


def crowding() -> float:
    """By how much longer everything takes because other programs want the processors too."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Report:
    """What came of a child.

    ``seconds``: from the fork to the child's end.
    ``waited``: how much of it, after it had reported, the child was neither running nor ready to run: it
        waited.
    """

    code: int | None = None
    stderr: str = ""
    said: Any = None
    seconds: float = 0.0
    waited: float = 0.0

    def problem(self, killed: bool = False) -> str:
        """Why the child is not as it should be; empty where it is."""
        if self.code is None:
            return f"hung\n{self.stderr}"
        if killed:
            return "" if self.code == -signal.SIGKILL else f"ended with {self.code}, not by the kill"
        if self.code != 0:
            return f"exit code {self.code}: {self.said}\n{self.stderr}"
        if self.stderr.strip():
            return f"noise: {self.stderr}"
        if self.seconds > SLOW * crowding():
            return f"took {self.seconds:.1f} s"
        if self.waited > ENDING:
            return f"waited {self.waited:.1f} s before it ended"
        if self.said != "done":
            return str(self.said)
        return ""


def _busy(pid: int | str) -> float | None:
    """Seconds that a process has run on a processor or waited for one; None where nobody counts."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return sum(map(int, f.read().split()[:2])) / 1e9
    except OSError:
        return None


Sockets = dict[int, tuple[int, int]]


def open_sockets() -> Sockets:
    """The sockets of this process: what the kernel knows each by, under its number."""
    found: Sockets = {}
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            break
    else:
        return found
    for name in os.listdir(folder):
        with suppress(OSError, ValueError):  # the folder's own, closed since
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode) and status.st_ino:
                found[int(name)] = status.st_dev, status.st_ino
    return found


def came_since(earlier: Sockets) -> Sockets:
    """The sockets of this process that were opened since `open_sockets` gave ``earlier``."""
    return {fd: number for fd, number in open_sockets().items() if earlier.get(fd) != number}


def _peers(sockets: Sockets) -> list[str]:
    found = []
    for fd in sockets:
        with (
            suppress(OSError, IndexError),
            socket.socket(fileno=os.dup(fd)) as sock,
        ):  # not connected; or moved
            found.append("{}:{}".format(*sock.getpeername()[:2]))
    return list(dict.fromkeys(found))


def shared_connections(parents: Sockets) -> list[str]:
    """In a child: the peers of those connections of the parent that this process holds as well.

    ``parents``: `open_sockets` of the parent, less those that are not to be looked at.
    """
    mine = set(open_sockets().values())
    return _peers({fd: number for fd, number in parents.items() if number in mine})


def by_holder(file: Any, before: Sockets, now: Sockets) -> tuple[Sockets, Sockets]:
    """In the parent: which sockets are the instance's and which are those of its open file.

    ``before`` there was the file, and ``now`` that it was used. Whether it has a connection of its own has to
    be asked before the fork: in a child an `Owned` shows it no more.
    """
    if not foreign_files._reaches_connection(getattr(file, "__dict__", {})):
        return now, {}
    return before, {fd: number for fd, number in now.items() if before.get(fd) != number}


def kept_outside(others: Sockets, read: Callable[[], Any]) -> bool:
    """Whether a module or a class has the connection of the instances: a new one then opens none.

    Parameters
    ----------
    others
        the sockets that were there before the first instance, which has one by now.
    read
        reads by a new instance, and returns what keeps it.
    """
    there, before = _peers(came_since(others)), open_sockets()
    kept = read()
    came = _peers(came_since(before))
    del kept
    return bool(there) and not came


class Channel:
    """Where a child leaves its word and its noise, whichever process it is."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="fsspec-fork-")
        self.word = os.path.join(self.folder, "word")
        self.noise = os.path.join(self.folder, "noise")

    def enter(self) -> None:
        """In the child: stderr goes to the file from now on."""
        fd = os.open(self.noise, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 2)
        os.close(fd)
        faulthandler.enable(file=2, all_threads=True)
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)

    def say(self, word: Any) -> None:
        with open(self.word, "w", encoding="utf8") as f:
            json.dump([word, time.monotonic(), _busy("self")], f)

    def read(self, report: Report, ended: float | None = None) -> Report:
        """Put into the report what was left; ``ended`` is what `_busy` said at the child's end."""
        with suppress(FileNotFoundError):
            with open(self.noise, encoding="utf8", errors="replace") as f:
                report.stderr = f.read()
        with suppress(FileNotFoundError, ValueError):
            with open(self.word, encoding="utf8") as f:
                report.said, since, busy = json.load(f)
            if ended is not None:
                report.waited = time.monotonic() - since - (ended - busy)
        for path in (self.word, self.noise):
            with suppress(FileNotFoundError):
                os.unlink(path)
        os.rmdir(self.folder)
        return report


def _ended(pid: int) -> tuple[int, float | None] | None:
    """The exit code of a child, and what `_busy` said of it at its end; None while it runs."""
    busy = None
    if hasattr(os, "waitid"):  # not on macOS before Python 3.13
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        busy = _busy(pid)  # the kernel knows it until the child is waited for
    done, status = os.waitpid(pid, os.WNOHANG)
    return (os.waitstatus_to_exitcode(status), busy) if done else None


def wait(pid: int, channel: Channel, begun: float) -> Report:
    report, limit = Report(), LIMIT * crowding()
    while True:
        ended = _ended(pid)
        report.seconds = time.monotonic() - begun
        if ended is not None:
            report.code, busy = ended
            return channel.read(report, busy)
        if report.seconds > limit:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return channel.read(report)
        time.sleep(0.002)


def speak(channel: Channel, body: Callable[[], Any]) -> None:
    """Run ``body`` in the child; SystemExit passes, as it would in a program."""
    channel.enter()
    try:
        said = body()
    except Exception:  # the parent prints it
        channel.say(traceback.format_exc())
        os._exit(3)
    channel.say("done" if said is None else said)


def by_fork(body: Callable[[], Any], exits: bool = True) -> Report:
    """os.fork, the child ending by sys.exit: atexit handlers, then the interpreter's end.

    ``exits``: False for a child that ends by os._exit.
    """
    channel, begun = Channel(), time.monotonic()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return wait(pid, channel, begun)
    speak(channel, body)
    if not exits:
        os._exit(0)
    sys.exit(0)
