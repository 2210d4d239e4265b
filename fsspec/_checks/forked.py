"""Running something in a forked child: its exit code, its result, its stderr and the sockets that it shares.

The child's stderr is caught in a file; if the child does not end in time its stacks
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
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fsspec._fork import foreign_files

LIMIT = 12.0  # seconds for a child; only those that hang need more than a fraction of one
SLOW = 4.0  # a child that does next to nothing and takes longer waits for something
HANGS = 2  # after this many the verdict is clear, and the rest would take minutes
ENDING = 0.8  # seconds for a child to end after its result


def load_factor() -> float:
    """By how much limits of time are extended because other programs want the processors too."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Report:
    """How a child ended; ``code`` is None if it hung.

    ``result``: what it was to compute, "done" if that is None; a traceback if it raised.
    ``seconds``: from the fork to the child's end.
    ``waited``: how much of it, after it had sent its result, the child was neither running nor ready to run.
    """

    code: int | None = None
    stderr: str = ""
    result: Any = None
    seconds: float = 0.0
    waited: float = 0.0

    def problem(self, killed: bool = False) -> str:
        """What is wrong with how the child ended; empty if nothing is."""
        if self.code is None:
            return f"hung\n{self.stderr}"
        if killed:
            return "" if self.code == -signal.SIGKILL else f"ended with {self.code}, not by the kill"
        if self.code != 0:
            return f"exit code {self.code}: {self.result}\n{self.stderr}"
        if self.stderr.strip():
            return f"noise: {self.stderr}"
        if self.seconds > SLOW * load_factor():
            return f"took {self.seconds:.1f} s"
        if self.waited > ENDING:
            return f"waited {self.waited:.1f} s before it ended"
        if self.result != "done":
            return str(self.result)
        return ""


def _busy(pid: int | str) -> float | None:
    """Seconds that a process has run or was ready to run; None if the kernel does not count them."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return sum(map(int, f.read().split()[:2])) / 1e9
    except OSError:
        return None


Sockets = dict[int, tuple[int, int]]


def open_sockets() -> Sockets:
    """The sockets of this process: device and inode by descriptor."""
    found: Sockets = {}
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            break
    else:
        return found
    for name in os.listdir(folder):
        with suppress(OSError, ValueError):  # the folder's own, closed by now
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode) and status.st_ino:
                found[int(name)] = status.st_dev, status.st_ino
    return found


def opened_since(earlier: Sockets) -> Sockets:
    """The sockets that this process has opened since `open_sockets` gave ``earlier``."""
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
    """In a child: the peers of the parent's connections that this process holds, too.

    ``parents``: `open_sockets` of the parent, less those that are not to be looked at.
    """
    mine = set(open_sockets().values())
    return _peers({fd: number for fd, number in parents.items() if number in mine})


def named_shares(text: str, parents: Sockets) -> str:
    """In a child: ``text`` with the peers of the parent's connections that it holds; empty without any."""
    peers = shared_connections(parents)
    return f"{text} to {', '.join(peers)}" if peers else ""


def in_time(func: Callable[[], str | None], what: str, seconds: float) -> str | None:
    """In the parent: what ``func`` says is wrong, or what it raised; empty if nothing is, None if it
    takes longer."""
    outcome: list[str] = []

    def run() -> None:
        try:
            outcome.append(func() or "")
        except Exception as error:  # whatever a third-party backend raises is the finding
            outcome.append(f"{what}: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else None


def by_holder(file: object, before: Sockets, now: Sockets) -> tuple[Sockets, Sockets]:
    """In the parent: which sockets are the instance's and which are those of its open file.

    ``before``: those that were open before the file was. ``now``: those that are open after it was used. This
    has to be asked before the fork: in a child an `Owned` no longer shows its connection.
    """
    if not foreign_files._reaches_connection(getattr(file, "__dict__", {})):
        return now, {}
    return before, {fd: number for fd, number in now.items() if before.get(fd) != number}


def shared_by_instances(others: Sockets, read: Callable[[], object]) -> bool:
    """Whether a module or a class has the connection of the instances: a new one then opens none.

    ``others``: the sockets that were open before the first instance, which has a connection by now.
    ``read``: reads by a new instance, and returns what keeps it alive.
    """
    connected, before = bool(_peers(opened_since(others))), open_sockets()
    kept = read()
    has_its_own = bool(_peers(opened_since(before)))
    del kept
    return connected and not has_its_own


class Channel:
    """Two files by which a child, however it was started, passes on its result and its stderr."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="fsspec-fork-")
        self.result = os.path.join(self.folder, "result")
        self.stderr = os.path.join(self.folder, "stderr")

    def redirect_stderr(self) -> None:
        """In the child: stderr goes to the file from now on, and stacks on SIGUSR1."""
        fd = os.open(self.stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fd, 2)
        os.close(fd)
        faulthandler.enable(file=2, all_threads=True)
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)

    def send(self, result: object) -> None:
        """In the child: leave the result for the parent, with the time."""
        with open(self.result, "w", encoding="utf8") as f:
            json.dump([result, time.monotonic(), _busy("self")], f)

    def read(self, report: Report, ended: float | None = None) -> Report:
        """In the parent: add both to the report, remove the files. ``ended``: `_busy` at the child's end."""
        with suppress(FileNotFoundError):
            with open(self.stderr, encoding="utf8", errors="replace") as f:
                report.stderr = f.read()
        with suppress(FileNotFoundError, ValueError):
            with open(self.result, encoding="utf8") as f:
                report.result, since, busy = json.load(f)
            if ended is not None:
                report.waited = time.monotonic() - since - (ended - busy)
        for path in (self.result, self.stderr):
            with suppress(FileNotFoundError):
                os.unlink(path)
        os.rmdir(self.folder)
        return report


def _ended(pid: int) -> tuple[int, float | None] | None:
    """The exit code of a child, and what `_busy` gave at its end; None while it runs."""
    busy = None
    if hasattr(os, "waitid"):  # not on macOS before Python 3.13
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        busy = _busy(pid)  # the kernel knows it until the child is waited for
    done, status = os.waitpid(pid, os.WNOHANG)
    return (os.waitstatus_to_exitcode(status), busy) if done else None


def wait(pid: int, channel: Channel, begun: float) -> Report:
    """Wait for a child to end; one that hangs shows its stacks and is killed."""
    report, limit = Report(), LIMIT * load_factor()
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


def run_in_child(channel: Channel, body: Callable[[], object]) -> None:
    """Run ``body`` and send its result; SystemExit passes, as it would in a program."""
    channel.redirect_stderr()
    try:
        result = body()
    except Exception:  # the parent prints it
        channel.send(traceback.format_exc())
        os._exit(3)
    channel.send("done" if result is None else result)


def by_fork(body: Callable[[], object], exits: bool = True) -> Report:
    """Run ``body`` in a child made by os.fork, and wait for its end: by sys.exit, or by os._exit without
    ``exits``."""
    channel, begun = Channel(), time.monotonic()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return wait(pid, channel, begun)
    run_in_child(channel, body)
    if not exits:
        os._exit(0)
    sys.exit(0)
