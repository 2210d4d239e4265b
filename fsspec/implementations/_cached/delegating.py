"""Operations that a cache delegates to its target.

`DELEGATED` lists these operations, and which of them change a file, so that its copies are out of
date afterwards.  The methods are made from that table.  Other methods of the target, such as its
awaitable ones, are reached by attribute access.

Cache classes written for upstream may have a ``__getattribute__`` that takes a list of names from the cache,
and all others from the target. The target does not have the private attributes of this package's caches, or
has different ones of the same names. `guard` keeps such a method from looking those up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import update_wrapper, wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fsspec._overriding import is_built_in, mark_built_in, unless_patched
from fsspec._paths.paths import TAKING_ANY, trailing_sep
from fsspec._plans.globbing import has_magic
from fsspec._plans.transfer_batches import cache_asks
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsspec._paths.types import Options
    from fsspec.implementations._cached.base import Cache


C = TypeVar("C", bound=type)


class Delegated(NamedTuple):
    """An operation. ``changes``: its parameters with paths whose copies are outdated afterwards. ``waits``:
    in a transaction it goes through `open`, as in the base class. ``second``: a second name, of the cache's
    own operation unless a program has replaced it in the target."""

    changes: str = ""
    waits: bool = False
    second: bool = False


_LOOKING = (
    "checksum created download du expand_path find get get_file glob invalidate_cache lexists ls makedirs"
    " mkdir modified read_bytes read_text sign size sizes stat ukey walk"
)
DELEGATED: dict[str, Delegated] = {
    **dict.fromkeys(_LOOKING.split(), Delegated()),
    **dict.fromkeys(("copy", "cp_file"), Delegated("path2")),
    "mv": Delegated("path1 path2"),
    **dict.fromkeys("pipe pipe_file touch write_bytes write_text".split(), Delegated("path", waits=True)),
    **dict.fromkeys(("put", "put_file"), Delegated("rpath", waits=True)),
    **dict.fromkeys(("rm", "rm_file", "rmdir"), Delegated("path")),
    **dict.fromkeys("disk_usage listdir makedir mkdirs tree".split(), Delegated(second=True)),
    "cp": Delegated("path2", second=True),
    "delete": Delegated("path", second=True),
    **dict.fromkeys(("move", "rename"), Delegated("path1 path2", second=True)),
    "upload": Delegated("rpath", waits=True, second=True),
}

_PATHS = ("path", "path1", "path2", "paths", "rpath")
"""Names of parameters that are paths on the target."""

_OPENING = ("pipe", "pipe_file")
"""Operations that go through `open` if a subclass overrides it, `_open` or `_strip_protocol`, which the
target would bypass, or if what is written has to be compressed."""

_TWINS = {"mv_file": "mv"}
"""Awaitable operations whose blocking twin has another name."""


def _places(name: str, parameters: Sequence[str]) -> list[tuple[int, str]]:
    """Positions, after self, and names of those parameters that an operation has."""
    code = getattr(AbstractFileSystem, name).__code__
    return [
        (at, each) for at, each in enumerate(code.co_varnames[1 : code.co_argcount]) if each in parameters
    ]


def _given(places: list[tuple[int, str]], args: Sequence[Any], kwargs: Options) -> list[Any]:
    """The arguments at these places."""
    found = []
    for position, parameter in places:
        if position < len(args):
            found.append(args[position])
        elif parameter in kwargs:
            found.append(kwargs[parameter])
    return found


def _changed_arguments(
    places: list[tuple[int, str]], args: Sequence[Any], kwargs: Options, change: Callable[[Any], Any]
) -> tuple[list[Any], Options]:
    """The arguments, with those at these places changed."""
    given, named = list(args), dict(kwargs)
    for position, parameter in places:
        if position < len(given):
            given[position] = change(given[position])
        elif parameter in named:
            named[parameter] = change(named[parameter])
    return given, named


def _make(name: str, delegated: Delegated) -> Callable[..., Any]:
    """The blocking method of an operation."""
    base = getattr(AbstractFileSystem, name)
    paths, changed = _places(name, _PATHS), _places(name, delegated.changes.split())

    def method(self: Cache, *args: Any, **kwargs: Any) -> object:
        if delegated.second and is_built_in(getattr(self.fs, name)):
            return base(self, *args, **kwargs)
        bare = self._without_protocol if name in TAKING_ANY else self._bare_one
        given, kwargs = _changed_arguments(paths, args, kwargs, bare)
        if delegated.waits and (self._intrans or name in _OPENING and _is_own(self, name, kwargs)):
            return base(self, *given, **kwargs)
        if name == "get" and not self.async_impl and has_own(self, "isdir", "info", "ls", "expand_path"):
            return base(self, *given, **kwargs)
        fileless: list[Any] = []
        token = cache_asks.set(fileless if name == "get" else None)
        try:
            answer = getattr(self.fs, name)(*given, **kwargs)
            if name == "get" and answer is None and (fileless or self.fs.async_impl):
                _get_page(self, *given, **kwargs)
            return None if name in ("get", "pipe") else answer  # as the methods of caches
        finally:  # it may have been done in part
            cache_asks.reset(token)
            if changed:
                self._drop_copies(_given(changed, given, kwargs))

    update_wrapper(method, base)
    return unless_patched(method) if name in _OPENING else method


def _is_own(cache: Cache, name: str, kwargs: Options) -> bool:
    """Whether what is piped goes through methods of the cache itself."""
    return (
        not cache._fsspec_opens_itself
        or cache._strips_itself
        or bool(kwargs.get("compression"))
        or name == "pipe"
        and has_own(cache, "pipe_file")
        or kwargs.get("mode") == "create"
        and has_own(cache, "exists", "info")
    )


def _get_page(
    cache: Cache, rpath: object, lpath: object, recursive: bool = False, *args: Any, **kwargs: Any
) -> None:
    """Download a page that lists others, a folder for the target and a file for the cache."""
    if recursive or not isinstance(rpath, str) or trailing_sep(rpath) or has_magic(rpath):
        return
    if cache.info(rpath)["type"] == "file":
        one = isinstance(lpath, str) and not trailing_sep(lpath) and not os.path.isdir(lpath)
        cache.fs.get([rpath], [lpath] if one else lpath, False, *args, **kwargs)


def delegate(cls: C) -> C:
    """Class decorator: adds the operations of `DELEGATED` that the class does not define."""
    for name, delegated in DELEGATED.items():
        if name not in cls.__dict__:
            setattr(cls, name, _make(name, delegated))
    mark_built_in(cls)
    return cls


def awaited_method(owner: Cache, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the target; an awaitable one that changes files is wrapped to drop their copies
    afterwards."""
    twin = _TWINS.get(name[1:], name[1:]) if name.startswith("_") else ""
    delegated = DELEGATED.get(twin)
    if delegated is None or not delegated.changes or not iscoroutinefunction(method):
        return method
    changed = _places(twin, delegated.changes.split())

    async def dropping(*args: Any, **kwargs: Any) -> object:
        # lists, as a generator could not be iterated over by both the target and `_drop_copies`
        bare = owner._without_protocol if twin in TAKING_ANY else owner._bare_one
        given, kwargs = _changed_arguments(changed, args, kwargs, bare)
        try:
            return await method(*given, **kwargs)
        finally:
            owner._drop_copies(_given(changed, given, kwargs))

    update_wrapper(dropping, method)
    return dropping


OVERRIDABLE = frozenset(
    "_cache _cached _cat_file _cat_ranges _check_cache _check_file _extra_tokenize_attributes _fs_token"
    " _fs_token_ _get_cached_file_before_open _get_kwargs_from_urls _get_pyarrow_filesystem"
    " _instantiation_lock _intrans _invalidated_caches_in_transaction _isfilestore _latest _ls_from_cache"
    " _make_local_details _makedirs _mapper _metadata _mkcache _open _parent _pid _rm _strip_protocol"
    " _strip_tokenize_options _transaction".split()
)
"""Private names that upstream's caches have as well."""

OF_INSTANCES = (
    "_arrived_files _cache_folders _cache_limits _changed_here _copy_source _local_fs _made_for"
    " _open_writers _partial_names _read_meanwhile"
    " _shared_reads _traffic_counts __dict__ storage stats reset_loop".split()
)
"""Instance attributes, and public names that only this package has."""


def has_own(cache: object, *names: str) -> bool:
    """Whether a program's class overrides methods, bypassing its ``__getattribute__``."""
    return not all(is_built_in(object.__getattribute__(cache, name)) for name in names)


def guard(cls: type) -> None:
    """Wrap the ``__getattribute__`` of a class so that names that only this package has bypass it."""
    theirs: Any = cls.__getattribute__
    if theirs is object.__getattribute__ or hasattr(theirs, "_guards_caches"):
        return
    bases = [base for base in cls.__mro__[1:] if base.__module__.startswith("fsspec.")]
    private = {name for base in bases for name in vars(base) if name[0] == "_" and name[:2] != "__"}
    ours = frozenset(private.union(OF_INSTANCES) - OVERRIDABLE)

    @wraps(theirs)
    def __getattribute__(self: Any, name: str) -> Any:
        return object.__getattribute__(self, name) if name in ours else theirs(self, name)

    __getattribute__._guards_caches = True  # type: ignore[attr-defined]  # a mark on the function
    cls.__getattribute__ = __getattribute__  # type: ignore[method-assign, assignment]  # around theirs
