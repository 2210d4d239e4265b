"""The blocking forms of coroutine functions and async generators, and which classes get them."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

from fsspec._fork.owned import is_mine, own
from fsspec._loop.bridge import sync
from fsspec._overriding import mirrored
from fsspec.callbacks import for_file

private: re.Pattern[str] = re.compile("_[^_]")
"""Matches the names of methods that may have a blocking twin."""

async_methods: list[str] = [
    f"_{name}"
    for name in (
        "ls cat_file get_file put_file rm_file cp_file pipe_file expand_path info isfile isdir exists"
        " walk glob find du size mkdir makedirs"
    ).split()
]
"""The methods of an awaitable backend that have blocking twins. Names that are appended get them, too, in
instances that are made afterwards."""

home: dict[str, Any] = {"sync": sync}
"""The namespace in which replacements that a program makes are looked up: that of `fsspec.asyn`, once it is
imported."""

_USUAL = async_methods.copy()
_mirrored = dict.fromkeys(
    [*async_methods, "_cat", "_cat_ranges", "_copy", "_get", "_pipe", "_put", "_rm", "_sizes"]
)


def sync_wrapper(func: Callable[..., Any], obj: Any = None) -> Callable[..., Any]:
    """The blocking form of an async method.

    Parameters
    ----------
    func
        a coroutine function that takes the instance first, unless it is bound already.
    obj
        the instance whose ``loop`` to run on; by default the first argument.
    """

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return home["sync"]((args[0] if obj is None else obj).loop, func, *args, **kwargs)

    return wrapper


def async_gen_wrapper(
    func: Callable[..., AsyncIterator[Any]], obj: Any = None
) -> Callable[..., Iterator[Any]]:
    """The blocking form of an async generator method; see `sync_wrapper`."""

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Iterator[Any]:
        owner = args[0] if obj is None else obj
        items = func(*args, **kwargs)

        async def following(close: Callable[[], Any] | None = None) -> tuple[Any, ...]:
            if close is not None:
                await close()
                return ()
            async for item in items:
                return (item,)
            return ()

        following.__self__ = owner  # type: ignore[attr-defined]  # as of a method, whose names it has
        following.__name__, following.__qualname__ = func.__name__, func.__qualname__
        ended = False
        try:
            while found := home["sync"](owner.loop, following):
                own(following)
                yield found[0]
            ended = True
        finally:
            close = None if ended else getattr(items, "aclose", None)
            if close is not None and is_mine(following) and not owner.loop.is_closed():
                # else the generator belongs to the parent, and is left as it is
                home["sync"](owner.loop, following, close)

    return wrapper


def _twin(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    one_file = name in ("_get_file", "_put_file")
    if inspect.isasyncgenfunction(method):

        def blocking(self: Any, *args: Any, **kwargs: Any) -> Any:
            return home["async_gen_wrapper"](getattr(self, name), obj=self)(*args, **kwargs)

    else:

        def blocking(self: Any, *args: Any, **kwargs: Any) -> Any:
            if home["sync_wrapper"] is not sync_wrapper:  # a program's
                return home["sync_wrapper"](getattr(self, name), obj=self)(*args, **kwargs)
            if one_file and isinstance(kwargs.get("callback"), str):  # not all methods take one
                with for_file(kwargs["callback"], args[0] if args else "") as callback:
                    return home["sync"](
                        self.loop, getattr(self, name), *args, **{**kwargs, "callback": callback}
                    )
            return home["sync"](self.loop, getattr(self, name), *args, **kwargs)

    blocking.__name__ = name[1:]  # for pickling
    blocking.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{name[1:]}"
    blocking.__module__ = method.__module__
    blocking.__doc__ = method.__doc__
    blocking.__wrapped__ = method  # type: ignore[attr-defined]  # for its signature
    blocking._mirrors = blocking, name  # type: ignore[attr-defined]  # a mark on the function, for `mirrored`
    return blocking


def _is_awaitable_method(method: object) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


def mirror_class(cls: type, base: type) -> None:
    """Give a class the blocking twins of its async methods, once.

    ``base``: the class whose blocking methods are only defaults: `AsyncFileSystem`.  What a backend wrote
        itself is left alone.
    """
    wanted = bool(getattr(cls, "mirror_sync_methods", True))
    for name in _mirrored:
        plain = name[1:]
        present = getattr(cls, plain, None)
        default = _without_twins(base, plain)
        own = _without_twins(cls, plain)
        if own is not default:  # of an ancestor that a twin hides, or of the class itself
            if present is not own:
                setattr(cls, plain, own)
            continue
        is_twin = mirrored(present) == name
        if not wanted:
            if is_twin and default is not None:
                setattr(cls, plain, default)
            continue
        method: Any = getattr(cls, name, None)
        twin: Any = present
        if not _is_awaitable_method(method):
            if is_twin and default is not None:  # a plain method has no twin: what blocks is the base class's
                setattr(cls, plain, default)
        elif not (is_twin and twin.__wrapped__ is method):
            setattr(cls, plain, _twin(name, method))


def _without_twins(cls: type, plain: str) -> Any:
    """What the ancestors of a class call by a name, twins apart."""
    for ancestor in cls.__mro__:
        found = vars(ancestor).get(plain)
        if found is not None and mirrored(found) is None:
            return found
    return None


def mirror_sync_methods(obj: object) -> None:
    """Set the blocking form of each async method on ``obj`` if it has none, or that of the base class.

    A filesystem has those of the usual methods from its class; only those of names that were appended to
    `async_methods`, of methods of `AbstractFileSystem` after an underscore, are set on it.
    """
    base, names = home["AsyncFileSystem"], home["async_methods"]
    is_filesystem = isinstance(obj, base)
    if is_filesystem and names == _USUAL:
        return
    added = [name for name in names if name not in _mirrored and hasattr(base, name[1:])]
    defaults = base if is_filesystem else home["AbstractFileSystem"]
    for name in added if is_filesystem else [*_mirrored, *added]:
        method: Any = getattr(obj, name, None)
        plain = name[1:]
        present = getattr(obj, plain, None)
        if present is not None and getattr(present, "__func__", None) is not getattr(defaults, plain, None):
            continue
        if _is_awaitable_method(method):
            wrap = async_gen_wrapper if inspect.isasyncgenfunction(method) else sync_wrapper
            setattr(obj, plain, wrap(method, obj=obj))
