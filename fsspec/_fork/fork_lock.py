"""Locks that a fork waits for, so that it never falls into the middle of what they guard."""

from __future__ import annotations

import _thread
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import repeat
from operator import methodcaller
from typing import Any

from fsspec._fork import hooks

_RLock: Any = _thread.RLock
_BOUND = 1.0  # seconds that a thread waits for a lock that a fork holds

_locks: list[ForkLock] = []


class ForkLock(_RLock):  # type: ignore[misc]  # its type names not all it has
    """A re-entrant lock that a fork takes before it is made; in the child it is free.

    It is the interpreter's own lock, even where gevent or eventlet replace those of `threading`. So an
    interrupt (`KeyboardInterrupt`) never leaves it locked outside of its ``with`` block; a release written
    in Python could be interrupted before it has any effect.

    A hook of the program may wait, during a fork, for a thread that waits for this lock. After a second
    that thread takes the lock from the fork. Locks are created by modules at import.

    Parameters
    ----------
    by_itself
        the fork takes it after all other hooks; otherwise the module has hooks that take it.
    """

    def __new__(cls, by_itself: bool = True) -> ForkLock:
        lock: ForkLock = super().__new__(cls)
        lock._forks, lock._to_give = {}, []
        if by_itself:
            _locks.append(lock)
        return lock

    _forks: dict[tuple[int, int], bool]
    """Those that are being made and have it."""

    _to_give: list[bool]
    """Not empty while a thread may take it from them, as one does."""

    def renew(self) -> None:
        """Free the lock in a child, where no other thread exists. A ``with`` block that forked keeps it."""
        taken = len(self._forks)
        self._forks, self._to_give = {}, []
        if not self._is_owned():
            self._at_fork_reinit()
        else:
            with suppress(RuntimeError):  # a thread had taken it from the fork: one release fewer
                for _ in range(taken):
                    self.release()

    def __enter__(self) -> None:
        again = self._is_owned()
        noted: list[bool] = []
        try:
            if again:  # taken and noted in one step of the interpreter, as in `take_for_fork`
                noted.extend(map(self.acquire, (True,)))
            else:
                while not self.acquire(True, _BOUND):
                    with suppress(IndexError):
                        self._to_give.pop()
                        self._at_fork_reinit()
        except BaseException:  # an interrupt, which may have come as the lock was taken
            if noted or not again:
                try:
                    self.release()  # nothing is called before this, for then another interrupt may come
                except RuntimeError:
                    pass  # it was not taken
            raise

    def take_for_fork(self, timeout: float = -1) -> bool:
        """Take it within ``timeout`` seconds, -1 for however long; returns whether the fork has it.

        Once for each fork, however often a signal has the step repeated.
        """
        fork = hooks.current_fork()
        if fork not in self._forks:
            # bounded waits: taking the lock from a fork is no release, and wakes nobody
            waits = (timeout,) if timeout >= 0 else repeat(_BOUND)
            # taken and noted in one step of the interpreter: no handler of a signal comes in between
            self._forks.update(zip((fork,), filter(None, map(self.acquire, repeat(True), waits))))
            if fork in self._forks:
                self._to_give[:] = [True]
        return fork in self._forks

    def release_after_fork(self) -> None:
        """Undo `take_for_fork`, in the parent."""
        fork = hooks.current_fork()
        if fork in self._forks:
            with suppress(RuntimeError):  # a thread took it from the fork
                _at_once(partial(self._forks.pop, fork), self.release)
            if not self._forks:
                self._to_give.clear()

    def nested(self) -> bool:
        """Whether two nested forks hold it."""
        return len(self._forks) > 1


def _at_once(*functions: Callable[[], object]) -> None:
    """Call functions written in C in turn, without a chance for a signal handler to run between them."""
    deque(map(methodcaller("__call__"), functions), maxlen=0)


def _before() -> None:
    # the last hook: a loop that is not at rest yet may need such a lock
    for lock in _locks:
        lock.take_for_fork(max(0.0, hooks.exit_deadline - time.monotonic()))


def _in_parent() -> None:
    for lock in _locks:
        lock.release_after_fork()


def _in_child() -> None:
    for lock in _locks:
        lock.renew()


hooks.at_fork(before=_before, parent=_in_parent, child=_in_child)
