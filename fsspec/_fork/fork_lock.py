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
_BOUND = 1.0  # seconds for which one who wants a lock waits for a fork that has it

_locks: list[ForkLock] = []


class ForkLock(_RLock):  # type: ignore[misc]  # its type names not all it has
    """A re-entrant lock that a fork takes before it is made; in the child it is free.

    It is the interpreter's own, also where gevent or eventlet put theirs into `threading`, so that an
    interrupt (`KeyboardInterrupt`) finds it held within the ``with`` block or not at all: a release that
    is written in Python could be interrupted before it has released.

    A hook of the program's, inside a fork, may wait for a thread that wants the lock: after a
    second that thread takes the lock from the fork. One is made by a module, as it is imported.

    Parameters
    ----------
    by_itself
        the fork takes it after all other hooks; else the module has steps of its own that do.
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
        """In a child: free it, for another thread may have held it. A block that was forked in keeps it."""
        taken = len(self._forks)
        self._forks, self._to_give = {}, []
        if not self._is_owned():
            self._at_fork_reinit()
        else:
            with suppress(RuntimeError):  # a thread took it from a fork, which gives it up once less
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
            # bounded waits: one that waits as a thread takes the lock from a fork is woken by no release
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
        """Whether a fork has it within the hooks of another one that does."""
        return len(self._forks) > 1


def _at_once(*functions: Callable[[], object]) -> None:
    """Call functions of C in turn, in one step of the interpreter."""
    deque(map(methodcaller("__call__"), functions), maxlen=0)


def _before() -> None:
    # last of all: a loop that is still to come to rest may want one
    for lock in _locks:
        lock.take_for_fork(max(0.0, hooks.exit_deadline - time.monotonic()))


def _in_parent() -> None:
    for lock in _locks:
        lock.release_after_fork()


def _in_child() -> None:
    for lock in _locks:
        lock.renew()


hooks.at_fork(before=_before, parent=_in_parent, child=_in_child)
