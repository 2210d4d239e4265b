"""Support for cache classes with a ``__getattribute__`` of their own, written for upstream.

Such a method returns the attributes that it lists from the cache, and all others from the target, which
lacks the private attributes of this package's caches, or has others of those names. Therefore only public
names, and private ones that upstream's caches have as well, are looked up by it; all others bypass it.
Classes without such a method are not changed.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from fsspec._overriding import is_built_in

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
    " _partial_names _shared_reads _traffic_counts __dict__ storage stats reset_loop".split()
)
"""Instance attributes, and public names that only this package has."""


def has_own(cache: object, *names: str) -> bool:
    """Whether a program's class overrides methods, bypassing its ``__getattribute__``."""
    return not all(is_built_in(object.__getattribute__(cache, name)) for name in names)


def guard(cls: type) -> None:
    """Wrap the ``__getattribute__`` of a class so that names of this package alone bypass it."""
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
