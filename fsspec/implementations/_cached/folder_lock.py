"""The lock of a folder of copies, which keeps threads and processes from saving to it at once.

A thread waits for others of its process first, then for other processes (by ``flock``), each within a
bound: who holds the lock may have been stopped. In a forked child the parent's locks are left alone.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fsspec._files.descriptors import new_descriptor
from fsspec._fork import hooks

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


@contextmanager
def locked_folder(folder: str) -> Iterator[None]:
    """Keep others, threads and processes, from saving to a folder meanwhile."""
    gate = _gates.setdefault(folder, threading.Lock())
    held: list[bool] = []
    try:
        held.extend(map(gate.acquire, (True,), (PATIENCE,)))  # in C: no interrupt comes between the two
        with _flocked(folder):
            yield
    finally:
        if any(held):
            gate.release()


@contextmanager
def _flocked(folder: str) -> Iterator[None]:
    fd, pid = -1, os.getpid()
    if _CAN_LOCK:
        with suppress(OSError):
            fd = new_descriptor(os.open, folder, os.O_RDONLY)
    try:
        if fd >= 0:
            _lock(fd)
        yield
    finally:
        try:
            if fd >= 0 and pid == os.getpid():  # else the lock is the parent's
                # a child that was forked meanwhile has the descriptor as well: closing would not do
                fcntl.flock(fd, fcntl.LOCK_UN)
        except OSError:
            pass
        finally:
            if fd >= 0:
                os.close(fd)


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
