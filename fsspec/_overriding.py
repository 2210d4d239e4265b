"""Which methods are this package's own, which are overridden by a subclass, an instance or a patch, and which
keywords they take.

A shortcut that bypasses a method that upstream would call is taken only if that method is not overridden,
nor, if upstream inherits the method, patched in the base class (`unless_patched`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Mapping
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec.exceptions import ForkError

if TYPE_CHECKING:
    from fsspec._paths.types import Filesystem

Method = TypeVar("Method", bound=Callable[..., Any])
Result = TypeVar("Result")


def default(method: Method) -> Method:
    """Decorator: mark a method of this package for `is_default`. It comes below other decorators.

    The mark is the function itself, since `functools.wraps` copies attributes: so a wrapper that a program
    puts around the method does not count as marked.
    """
    method.__default__ = method  # type: ignore[attr-defined]  # a mark on the function
    return method


def unlike_base(method: Callable[..., Result]) -> Callable[..., Result]:
    """Mark a method whose parameters have other names than the base's, as upstream's have. To type checkers
    it takes any, so that a subclass can override it, by the base's signature."""
    return method


def is_default(method: object) -> bool:
    """Whether a function or a bound method is one that `default` marked."""
    function = method.__func__ if type(method) is MethodType else method  # `_function`, without a call
    return function is not None and getattr(function, "__default__", None) is function


def _function(method: object) -> object:
    """The function of a bound method. Not of other objects with ``__func__``, such as proxies, whose own code
    must not be bypassed."""
    return method.__func__ if type(method) is MethodType else method


def mark_built_in(cls: type) -> None:
    """Mark the methods that a class of this package has, for `is_built_in`, and note those that yield to a
    patch."""
    if not _is_of_package(cls.__module__):
        return
    for name, method in list(vars(cls).items()):
        function = _plain(method)
        if type(function) is FunctionType:
            function.__built_in__ = function  # type: ignore[attr-defined]  # a mark on the function
            if getattr(function, "__yields__", None) is function:
                places = yielding.setdefault(name, {})
                if cls not in places:
                    places[cls] = [method, method]
                    follow_patches(name)


def unless_patched(method: Method) -> Method:
    """Decorator: mark a method of a backend here whose place is taken by a patch of the base class's, which
    upstream's backend inherits. It comes above other decorators."""
    method.__yields__ = method  # type: ignore[attr-defined]  # a mark on the function
    return method


yielding: dict[str, dict[type, list[Any]]] = {}
"""By name and class: the method of the class, and what `follow_patches` has put in its place."""


def follow_patches(name: str) -> None:
    """Let patches of base classes replace the methods that yield to them; undo it when a patch is removed.

    The metaclass calls this for each name of `yielding` that is set on a class, or deleted. A patch of the
    class itself stays.
    """
    for cls, place in list(yielding.get(name, {}).items()):
        own = place[0]
        if not any(vars(cls).get(name) is each for each in place):
            continue
        below = next((vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)), own)
        place[1] = own if is_from_here(below) else below
        type.__setattr__(cls, name, place[1])


def is_from_here(method: object) -> bool:
    """Whether a member of a class is defined in this package. A program's wrapper of a method, made by
    `functools.wraps`, is not: it has the program's globals."""
    function = _plain(method)
    return type(function) is FunctionType and _is_of_package(function.__globals__.get("__name__", ""))


def _is_of_package(module: str) -> bool:
    return module.startswith("fsspec.") and ".tests." not in module


def _plain(member: object) -> Any:
    """The function of a member of a class."""
    return member.__func__ if isinstance(member, (classmethod, staticmethod)) else member


def is_built_in(method: object) -> bool:
    """Whether a method is this package's, of the base class or of a backend."""
    function = _function(method)
    if function is None:
        return False
    return getattr(function, "__built_in__", None) is function or is_default(function)


def mirrored(method: object) -> str | None:
    """The name of the async method whose blocking form a method is; None for other methods."""
    marks = getattr(method, "_mirrors", None)
    if type(marks) is not tuple:  # mocks and proxies have every attribute
        return None
    function, name = marks
    return name if function is _function(method) else None


def overridden(fs: Filesystem, name: str) -> bool:
    """Whether a backend overrides the operation ``name``."""
    return not is_default(_asked(fs, name))


def replaced(fs: Filesystem, name: str) -> bool:
    """Whether a program or another package overrides the operation ``name``. False of an instance that a fork
    made unusable: to read a copy that a cache has of its files is no use of it."""
    try:
        return not is_built_in(_asked(fs, name))
    except ForkError:
        return False


def replaced_without(fs: Filesystem, name: str, *others: str) -> bool:
    """Whether a program has its own form of the operation ``name``, but of none of the ``others``, which
    give the same together with more: a subclass further down than those that have them, an instance, or a
    patch."""
    if not replaced(fs, name):
        return False
    at = _place(fs, name)
    return all(_place(fs, other) > at or not replaced(fs, other) for other in others)


def measured_by_info(fs: Filesystem) -> bool:
    """Whether sizes come from `info`, one call a file as in upstream, instead of from listings.

    For a backend of this package: if a program has replaced `info` or a method of listings. In other
    backends: if it has replaced `info` alone."""
    listings = [vars(cls).get(name) for cls in type(fs).__mro__ for name in ("ls", "_ls")]
    if any(is_built_in(method) and not is_default(method) for method in listings):
        return any(replaced(fs, name) for name in ("info", "ls", "find", "walk"))
    return replaced_without(fs, "info", "ls", "find", "walk")


def _asked(fs: Filesystem, name: str) -> Any:
    """The method that drivers call for an operation."""
    method = getattr(fs, f"_{name}", None) if fs.async_impl else None
    if method is None:  # not all have an awaitable form
        method = getattr(fs, name)
    twin_of = mirrored(method)  # an awaitable backend that says that it is not has blocking twins
    return getattr(fs, twin_of) if twin_of else method


def _place(fs: Filesystem, name: str) -> int:
    """Where an operation is defined: 0 on the instance, 1 in its class, 2 and up in its bases."""
    names = {f"_{name}"} if fs.async_impl else {name, f"_{name}"}
    places = [vars(fs), *map(vars, type(fs).__mro__)]
    return next((at for at, place in enumerate(places) if not names.isdisjoint(place)), len(places))


def is_awaitable(fs: Filesystem) -> bool:
    """Whether the awaitable methods of a filesystem work; ``dir`` over a blocking one has them alone."""
    return fs.async_impl and not getattr(fs, "_only_blocks", False)


def fs_behind(fs: Any) -> Any:
    """The filesystem to which a wrapper of this package passes its arguments; None if it is not a wrapper."""
    return fs._fs_behind if hasattr(type(fs), "_fs_behind") else None


def with_those_behind(fs: object) -> list[Any]:
    """A filesystem, the one that it wraps, and so on; see `fs_behind`."""
    chain = [fs]
    while (behind := fs_behind(chain[-1])) is not None:
        chain.append(behind)
    return chain


def supported(
    fs: object, name: str, options: Mapping[str, Any], optional: Container[str] | None = None
) -> dict[str, Any]:
    """``options`` without the keywords that the operation ``name`` of a filesystem does not take.

    For keywords that upstream does not pass, so that a method written for upstream may not have them. A
    wrapper, such as ``dir``, takes what its underlying filesystem takes.

    ``optional``: the keywords that may be left out; by default all.
    """
    method, behind = getattr(fs, name), fs_behind(fs)
    if not (behind is None and is_default(method)):
        method = getattr(fs, mirrored(method) or name)
    if not options or behind is None and is_default(method):
        return dict(options)
    try:
        known, takes_any = _keywords(method)
    except (TypeError, ValueError):  # a callable without a signature
        return dict(options)
    left = [n for n in options if n not in known and (optional is None or n in optional)]
    if left and takes_any:
        if behind is None:
            return dict(options)
        return supported(behind, name if hasattr(behind, name) else name[1:], options, left)
    return {n: value for n, value in options.items() if n not in left}


def _keywords(method: Callable[..., Any]) -> tuple[Container[str], bool]:
    """The names of the parameters of a callable, and whether it takes any keyword."""
    function = _function(method)
    if type(function) is FunctionType and not function.__dict__.keys() & _OF_OTHERS:
        code = function.__code__  # what `inspect.signature` says, in a fiftieth of the time
        count = code.co_argcount + code.co_kwonlyargcount
        return code.co_varnames[:count], bool(code.co_flags & inspect.CO_VARKEYWORDS)
    known = inspect.signature(method).parameters
    return known, any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())


_OF_OTHERS = {"__wrapped__", "__signature__"}
"""Attributes of a function that give it the signature of another one."""
