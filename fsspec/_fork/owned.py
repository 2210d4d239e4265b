"""A resource that each process makes for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fsspec._fork import hooks

T = TypeVar("T")


class Owned(Generic[T]):
    """Something that a child must not share with its parent: a client, a session, a pool of threads.

    It is made by the first `get` in a process.  A forked child makes its own; what it
    inherited is neither closed nor collected there, not even as the interpreter ends, for
    that would reach what the parent goes on with.

    Any thread may call its methods.

    Parameters
    ----------
    make
        called without arguments, by one thread at a time.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._renew()
        hooks.register(self)

    def _renew(self) -> None:
        self._lock = threading.RLock()
        self._held: list[T] = []

    def get(self) -> T:
        """The resource of this process, made now if there is none."""
        hooks.check()
        held = self._held
        if held:
            return held[0]
        with self._lock:
            if not self._held:
                self._held.append(self._make())
            return self._held[0]

    def release(self) -> T | None:
        """Give up the resource of this process, for the caller to close; the next `get` makes another.

        None where this process has made none.
        """
        hooks.check()
        with self._lock:
            return self._held.pop() if self._held else None

    def _after_fork_in_child(self) -> None:
        hooks.immortalize([self._held, self._lock])
        self._renew()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._make,)
