"""Locks that a fork waits for, so that it never falls into the middle of what they guard."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from operator import methodcaller

from fsspec._fork import hooks

_BOUND = 1.0  # seconds for which one who wants a lock waits for a fork that has it

_locks: list[ForkLock] = []


class ForkLock:
    """A re-entrant lock that a fork takes before it is made; in the child it is free.

    A hook of the program's, inside a fork, may wait for a thread that wants the lock: after a
    second that thread goes ahead without it. One is made by a module, as it is imported.

    Parameters
    ----------
    by_itself
        the fork takes it after all other hooks; else the module has steps of its own that do.
    """

    def __init__(self, by_itself: bool = True) -> None:
        self.renew()
        if by_itself:
            _locks.append(self)

    def renew(self) -> None:
        """In a child: make it anew, for another thread may have held it."""
        self._lock = threading.RLock()
        self._forks: dict[tuple[int, int], bool] = {}  # those that are being made and have it

    def __enter__(self) -> None:
        lock = self._lock
        if not lock.acquire(blocking=False):
            while not lock.acquire(timeout=_BOUND):
                if self._forks:
                    break

    def __exit__(self, *_: object) -> None:
        try:
            self._lock.release()
        except RuntimeError:  # this thread went ahead without it
            pass

    def take_for_fork(self, timeout: float = -1) -> bool:
        """Take it within ``timeout`` seconds, -1 for however long; returns whether the fork has it.

        Once for each fork, however often a signal has the step repeated.
        """
        fork = hooks.current_fork()
        if fork not in self._forks:
            # taken and noted in one step of the interpreter: no handler of a signal comes in between
            self._forks.update(zip((fork,), filter(None, map(self._lock.acquire, (True,), (timeout,)))))
        return fork in self._forks

    def release_after_fork(self) -> None:
        """Undo `take_for_fork`, in the parent."""
        fork = hooks.current_fork()
        if fork in self._forks:
            _at_once(partial(self._forks.pop, fork), self._lock.release)

    def nested(self) -> bool:
        """Whether a fork has it within the hooks of another one that does."""
        return len(self._forks) > 1


def _at_once(*functions: Callable[[], object]) -> None:
    """Call functions of C in turn, in one step of the interpreter."""
    deque(map(methodcaller("__call__"), functions), maxlen=0)


def _before() -> None:
    # last of all: a loop that is still to come to rest may want one
    for lock in _locks:
        lock.take_for_fork(max(0.0, hooks.leave_by - time.monotonic()))


def _in_parent() -> None:
    for lock in _locks:
        lock.release_after_fork()


def _in_child() -> None:
    for lock in _locks:
        lock.renew()


hooks.at_fork(before=_before, parent=_in_parent, child=_in_child)
