"""What the span of a blocking call is named; loaded if spans are wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from fsspec._loop import twins
from fsspec._loop.driving import asked_name


def operation_name(func: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """The class of a filesystem and its coroutine, or that of an open file and the method that was called.

    Of a function that performs steps of a plan the operation is what they ask for; of a helper the method of
    the filesystem that calls it. A function of the program has its module before its name.
    """
    owner: Any = getattr(func, "__self__", None)
    name: str = getattr(func, "__name__", type(func).__name__)
    if owner is None and args and _is_filesystem(args[0]) and hasattr(args[0], name):
        owner = args[0]  # of a method that is not bound
    if _is_filesystem(owner) and name in _OPERATIONS:
        return _named(owner, name)
    if args and _is_filesystem(args[0]) and len(args) > 1 and (asked := asked_name(args[1])):
        return _named(args[0], f"_{asked}")
    calls = list(_calls())
    for instance, method in calls:
        if _is_file(instance):
            # the outermost: what the program has called
            return _named(instance, [of for caller, of in calls if caller is instance][-1])
        if _is_filesystem(instance) and not _is_filesystem(owner):
            return _named(instance, method)
    if owner is not None:
        return _named(owner, name)
    return f"{func.__module__}.{getattr(func, '__qualname__', name)}"


_OPERATIONS = frozenset(twins._mirrored)


def _named(instance: object, method: str) -> str:
    return f"{type(instance).__qualname__}.{method}"


def _is_filesystem(instance: object) -> bool:
    return hasattr(type(instance), "_strip_protocol")


def _is_file(instance: object) -> bool:
    return hasattr(type(instance), "_fetch_range")


def _calls() -> Iterator[tuple[object, str]]:
    """The instances of which methods run on this thread, and these, from the innermost on; without special
    methods, which Python calls."""
    frame: Any = sys._getframe(3)
    while frame is not None:
        name = frame.f_code.co_name
        if frame.f_code.co_varnames[:1] == ("self",) and not name.startswith(("__", "<")):
            yield frame.f_locals.get("self"), name
        frame = frame.f_back
