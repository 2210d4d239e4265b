"""What belongs to one process: objects, the resources that they hold, and their finalizers.

`own` stores the current generation in an object; modules outside of `fsspec._fork` do not read
or compare it.  They ask `is_mine`, raise by `refuse`, and use finalizers that do nothing in another
process (`owner_only`, `finalize`).  A resource that each process has to make for itself is kept
in an `Owned`.

Any thread may call these.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, NoReturn, TypeVar, cast

from fsspec._fork import hooks
from fsspec._paths.paths import type_name
from fsspec._similar import similar
from fsspec.exceptions import ForkError

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_ADVICE = "It belongs to the process that made it, which continues with it; start it again in this one"


def register(obj: object) -> None:
    """Call ``obj._after_fork_in_child()`` in every child for as long as ``obj`` lives.

    Raises
    ------
    TypeError
        ``obj`` has no such method, or no weak references.
    """
    if not callable(getattr(obj, "_after_fork_in_child", None)):
        close = similar("_after_fork_in_child", dir(obj), 0.7)
        raise TypeError(
            f"a method _after_fork_in_child(self) is called in each child: {type(obj).__name__} has none"
            f"{f', but {close!r}' if close else ''}"
        )
    hooks.register(obj)


def own(obj: Any) -> None:
    """Let ``obj`` belong to this process from now on; sets its attribute ``_fork_generation``.

    Raises
    ------
    TypeError
        the attribute cannot be set.
    """
    if not hooks.ready[0]:
        hooks.check()
    try:
        obj._fork_generation = hooks.generation
    except AttributeError as error:
        raise TypeError(
            f"{type(obj).__name__} has to have the attribute _fork_generation, which is set: name it in"
            " its __slots__"
        ) from error


def is_mine(obj: object) -> bool:
    """Whether ``obj`` belongs to this process.

    True also before `own` was called, which is so while the object is being constructed.
    """
    if not hooks.ready[0]:
        hooks.check()
    try:
        mine: bool = obj._fork_generation == hooks.generation  # type: ignore[attr-defined]  # see `own`
    except AttributeError:
        return True
    return mine


def owner_pid(obj: object) -> int:
    """The process to which ``obj`` belongs; -1 if that is no longer known."""
    made_in = getattr(obj, "_fork_generation", None)
    return hooks.owner_pid(hooks.made_in(obj) if made_in is None else made_in)


def refuse(obj: object, what: str, advice: str | None = None) -> NoReturn:
    """Raise `ForkError`: only the process that made ``obj`` can use it."""
    raise ForkError(what, owner_pid(obj), advice=advice or _ADVICE)


def owner_only(func: F) -> F:
    """Make a finalizer do nothing outside the process that its object belongs to."""

    @wraps(func)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        # no `check` here: a finalizer may run at any place
        if os.getpid() != hooks.pid or not is_mine(self):
            return None
        return func(self, *args, **kwargs)

    return cast("F", guarded)


def finalize(
    obj: object, func: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> weakref.finalize[[], Any]:
    """``weakref.finalize`` that is inert in processes forked later."""
    hooks.check()
    made_in = hooks.generation

    def run() -> None:
        if made_in == hooks.generation and hooks.pid == os.getpid():
            func(*args, **kwargs)

    return weakref.finalize(obj, run)


class CheckedAttribute(Generic[T]):
    """An attribute whose access first runs `hooks.check`.

    For the connections of blocking filesystems, whose calls go through no bridge: in a child in which no
    fork hook ran, as one that a C library forked, the first access revives the instance.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, obj: object, owner: type | None = None) -> T:
        if not hooks.ready[0] and obj is not None:
            hooks.check()
            if hooks.ready[0]:  # else this thread is running the hooks, and they use the attribute
                return cast("T", getattr(obj, self._name))
        if obj is None:  # as of an attribute that only instances have
            raise AttributeError(f"{owner!r} has no attribute {self._name!r}")
        try:
            return cast("T", vars(obj)[self._name])
        except KeyError:
            raise AttributeError(f"{type(obj).__name__!r} object has no attribute {self._name!r}") from None

    def __set__(self, obj: object, value: T) -> None:
        vars(obj)[self._name] = value


class Owned(Generic[T]):
    """Something that a child must not share with its parent: a client, a session, a lock, a pool of threads.

    The first `get` in a process makes it.  A forked child makes its own; the inherited one is
    never closed or collected there, not even at the end of the interpreter, since that could
    disturb the parent's.

    Parameters
    ----------
    make
        called without arguments, by one thread at a time.

    Raises
    ------
    TypeError
        ``make`` cannot be called.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        if not callable(make):
            raise TypeError(
                f"Owned takes a function that makes the resource, not {type_name(make)}: Owned(lambda: ...)"
            )
        self._make_object = make
        self._renew_object()
        hooks.register(self)

    def _renew_object(self) -> None:
        self._renewal_lock = threading.RLock()
        self._held_object: list[T] = []

    def get(self) -> T:
        """The resource of this process, made now if there is none."""
        hooks.check()
        held = self._held_object
        if held:
            return held[0]
        with self._renewal_lock:
            if not self._held_object:
                self._held_object.append(self._make_object())
            return self._held_object[0]

    def release(self) -> T | None:
        """Return the resource of this process for the caller to close; the next `get` makes another one.

        None if this process has made none.
        """
        hooks.check()
        with self._renewal_lock:
            return self._held_object.pop() if self._held_object else None

    def _after_fork_in_child(self) -> None:
        hooks.immortalize([self._held_object, self._renewal_lock])
        self._renew_object()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._make_object,)
