"""The lock of a folder of copies, which keeps threads and processes from saving to it at once.

A thread waits for others of its process first, then for other processes (by ``flock``), each within a
bound: who holds the lock may have been stopped. In a forked child the parent's locks are left alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import compress
from operator import methodcaller
from typing import TYPE_CHECKING

from fsspec._files.descriptors import close_all
from fsspec._fork import hooks

if TYPE_CHECKING:
    from fsspec._paths.types import T

try:
    import fcntl
except ImportError:  # Windows
    _CAN_LOCK = False
else:
    _CAN_LOCK = True

PATIENCE = 2.0
"""Seconds for which the lock of a folder is waited for."""

_gates: dict[str, threading.Lock] = {}  # of folders: what threads of this process wait for, each in turn
hooks.at_fork(child=_gates.clear)


def run_locked(folder: str, work: Callable[[], T]) -> T:
    """What ``work`` gives, while others, threads and processes, are kept from saving to a folder.

    It is no context manager: if an interrupt came as an ``__exit__`` that is written in Python begins, the
    folder would stay locked for as long as the traceback is kept.
    """
    gate, pid = _gates.setdefault(folder, threading.Lock()), os.getpid()
    held: list[threading.Lock] = []
    fds: list[int] = []
    try:
        # in C: no interrupt comes between the two
        held.extend(compress((gate,), map(gate.acquire, (True,), (PATIENCE,))))
        if _CAN_LOCK:
            with suppress(OSError):
                fds.extend(map(os.open, (folder,), (os.O_RDONLY,)))
            for fd in fds:
                _lock(fd)
        return work()
    finally:
        try:
            _release(held, fds, pid)
        finally:  # an interrupt may have come within the first
            _release(held, fds, pid)


def _release(held: list[threading.Lock], fds: list[int], pid: int) -> None:
    """Release what is held, in steps of which each is done once, whenever an interrupt comes."""
    if fds and pid == os.getpid():  # else the lock is the parent's
        with suppress(OSError):
            # a child that was forked meanwhile has the descriptor as well: closing would not do
            fcntl.flock(fds[0], fcntl.LOCK_UN)
    close_all(fds)
    if held:
        list(map(methodcaller("release"), map(list.pop, (held,))))


def _lock(fd: int) -> None:
    deadline = time.monotonic() + PATIENCE
    wait = 0.0005
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                return  # its holder was stopped
            time.sleep(wait)
            wait = min(2 * wait, 0.02)
        except OSError:
            return  # a filesystem without locks
