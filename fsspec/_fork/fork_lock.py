"""Locks that a fork waits for, so that it never falls into the middle of what they guard.

Those of this package are a `BriefLock`, created by modules at import. A `ForkLock` is for authors of
backends: a fork waits longer for it, and its child is refused what was in the middle of something
nevertheless.
"""

from __future__ import annotations

import _thread
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import repeat
from operator import methodcaller
from typing import Any, cast

from fsspec._fork import hooks
from fsspec.exceptions import ForkError

_RLock: Any = _thread.RLock
_BOUND = 1.0  # seconds that a thread waits for a lock that a fork holds
PATIENCE = 10.0
"""Seconds for which a fork waits for the locks of authors; SQLite by default waits 5 for a database."""

_YIELD = 0.001  # seconds that a thread leaves to a fork that waits for the lock

_locks: list[BriefLock] = []
_of_authors = hooks.Registry()
_waited: set[tuple[int, int]] = set()  # forks that are being made and have waited for these


class BriefLock(_RLock):  # type: ignore[misc]  # its type names not all it has
    """A re-entrant lock that a fork takes before it is made; in the child it is free.

    It is the interpreter's own lock, even if gevent or eventlet replace those of `threading`. So an
    interrupt (`KeyboardInterrupt`) never leaves it locked outside of its ``with`` block; a release written
    in Python could be interrupted before it has any effect.

    A hook of the program may wait, during a fork, for a thread that waits for this lock. After a second
    that thread takes the lock from the fork.

    Parameters
    ----------
    by_itself
        the fork takes it after all other hooks; otherwise the module has hooks that take it.
    """

    def __new__(cls, by_itself: bool = True) -> BriefLock:
        lock: BriefLock = super().__new__(cls)
        lock._having_forks, lock._to_give = {}, []
        if by_itself:
            _locks.append(lock)
        return lock

    _asks_first = False
    _having_forks: dict[tuple[int, int], bool]
    """Those that are being made and have it."""

    _to_give: list[bool]
    """Not empty while a thread may take it from them, as one does."""

    def renew(self) -> None:
        """Free the lock in a child, where no other thread exists. A ``with`` block that forked keeps it."""
        taken = len(self._having_forks)
        self._having_forks, self._to_give = {}, []
        if not self._is_owned():
            self._at_fork_reinit()
        else:
            with suppress(RuntimeError):  # a thread had taken it from the fork: one release fewer
                for _ in range(taken):
                    self.release()

    def _before_block(self) -> None:
        """Called before the lock is taken, if ``_asks_first``.

        No override of ``__enter__``: an interrupt as that returns would leave the lock held.
        """

    def __enter__(self) -> None:
        if self._asks_first:
            self._before_block()
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
        if fork not in self._having_forks:
            again = self._is_owned()  # within a block of this thread's, which nobody may take
            # bounded waits: taking the lock from a fork is no release, and wakes nobody
            waits = (timeout,) if timeout >= 0 else repeat(_BOUND)
            # taken and noted in one step of the interpreter: no handler of a signal comes in between
            self._having_forks.update(zip((fork,), filter(None, map(self.acquire, repeat(True), waits))))
            if fork in self._having_forks and not again:
                self._to_give[:] = [True]
        return fork in self._having_forks

    def release_after_fork(self) -> None:
        """Undo `take_for_fork`, in the parent."""
        fork = hooks.current_fork()
        if fork in self._having_forks:
            with suppress(RuntimeError):  # a thread took it from the fork
                _at_once(partial(self._having_forks.pop, fork), self.release)
            if not self._having_forks:
                self._to_give.clear()

    def nested(self) -> bool:
        """Whether two nested forks hold it."""
        return len(self._having_forks) > 1


class ForkLock(BriefLock):
    """A re-entrant lock around calls of a library whose state in a process no fork may divide.

    SQLite, LMDB, HDF5 and others note for the whole process which locks of the system it holds. A child
    inherits the note, but not the locks. While a thread is in a ``with`` block of such a lock, another
    thread that forks waits, for up to ten seconds. In a child the lock is free.

    Each operation is one block, to its end: a statement with the reading of its results, a transaction
    with its commit. There is no ``await`` in a block, as another thread may run the event loop after a fork.
    Threads take turns; where each has a connection of its own, each may have a lock of its own.

    A lock lives as long as what it guards: an attribute of the filesystem, or a global of a module.
    A block costs about a microsecond.

    Raises
    ------
    ForkError
        by ``with`` in a child that was forked within a block nevertheless: by its own thread, or after ten
        seconds. There, what the lock guards would work without the locks of the system.
    """

    _asks_first = True
    _divided_by: int | None = None  # the process that forked within a block
    _fork_waits = False  # by a fork

    def __new__(cls) -> ForkLock:
        lock = super().__new__(cls, by_itself=False)
        _of_authors.add(lock)
        return cast("ForkLock", lock)

    def _before_block(self) -> None:
        if not hooks.ready[0]:
            hooks.check()
        if self._divided_by is not None:
            raise ForkError(
                "what this ForkLock guards",
                self._divided_by,
                advice="The process forked within a `with` block of the lock. Fork outside of such blocks,"
                " keep them shorter than ten seconds, or start workers by spawn or forkserver",
            )
        if self._fork_waits and not self._is_owned():
            time.sleep(_YIELD)

    def take_for_fork(self, timeout: float = -1) -> bool:
        self._fork_waits = True
        try:
            return super().take_for_fork(timeout)
        finally:
            self._fork_waits = False

    def renew(self) -> None:
        elsewhere = not self._is_owned() and repr(self).startswith("<locked")  # by a thread that is not here
        super().renew()
        self._fork_waits = False
        if elsewhere or self._is_owned():
            self._divided_by = hooks.owner_pid(None)


def _at_once(*functions: Callable[[], object]) -> None:
    """Call functions written in C in turn, without a chance for a signal handler to run between them."""
    deque(map(methodcaller("__call__"), functions), maxlen=0)


def wait_for_authors() -> None:
    """Wait until no thread is in a long block of a `ForkLock`: once for each fork, while the loops run."""
    fork = hooks.current_fork()
    if fork in _waited:
        return
    deadline = time.monotonic() + PATIENCE
    for lock in _of_authors.live():
        if lock.take_for_fork(max(0.0, deadline - time.monotonic())):
            lock.release_after_fork()
    _waited.add(fork)


def _all() -> list[BriefLock]:
    return [*_of_authors.live(), *_locks]  # those of authors first: a block may use what the others guard


def _before() -> None:
    # the last hook: a loop that is not at rest yet may need such a lock
    for lock in _all():
        lock.take_for_fork(max(0.0, hooks.exit_deadline - time.monotonic()))


def _in_parent() -> None:
    _waited.discard(hooks.current_fork())
    for lock in _all():
        lock.release_after_fork()


def _in_child() -> None:
    _waited.clear()
    for lock in _all():
        lock.renew()


hooks.at_fork(before=_before, parent=_in_parent, child=_in_child)
hooks.at_fork(before=wait_for_authors)  # earlier, if there are loops
