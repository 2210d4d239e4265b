"""Caches whose class brings a ``__getattribute__`` of its own.

Such a method gives the names that it lists as the cache's and takes all others from the target, which has
none of what only this package's caches are made of, or its own of that name. So it is asked for what may be
overridden: public names, and the private ones that caches have in common with upstream's. All else is read
past it. Classes without such a method are left as they are.
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
    "_arrived_files _cache_folders _cache_limits _changed_here _local_fs _made_for _shared_reads"
    " _traffic_counts __dict__ storage stats reset_loop".split()
)
"""Names that no class body has, or that are public and only this package's."""


def has_own(cache: object, *names: str) -> bool:
    """Whether a cache has methods of a program's own, whatever ``__getattribute__`` of its class gives."""
    return not all(is_built_in(object.__getattribute__(cache, name)) for name in names)


def guard(cls: type) -> None:
    """Let a class read what only this package has past the ``__getattribute__`` that was written for it."""
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
