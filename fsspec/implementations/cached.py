"""Cache filesystems, which keep copies of another one's files in local folders.

``blockcache``
    keeps the blocks that were read (`_cached.blocks`).
``filecache``
    keeps whole files, and a table that says when each was copied and of which version
    (`_cached.whole`).
``simplecache``
    keeps whole files without a table: copies are found by their names and never expire.

Several threads and processes may share a folder.  A copy appears by one rename when it
is whole.  A forked child never removes what is the parent's: a temporary folder goes with
its own process.  Copies are local files and can be read in a child as they stand; what
needs the target is subject to what a fork did to that (see the fork guide).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec._fork import hooks
from fsspec._fork.written_files import close_layers
from fsspec._overriding import default
from fsspec._public import publish
from fsspec.implementations._cached.blocks import CachingFileSystem
from fsspec.implementations._cached.files import LocalCopy, _reopened, logger
from fsspec.implementations._cached.folders import remove
from fsspec.implementations._cached.limits import is_digest
from fsspec.implementations._cached.pending import LocalTempFile
from fsspec.implementations._cached.sources import named_for
from fsspec.implementations._cached.whole import WholeFileCacheFileSystem
from fsspec.implementations.cache_mapper import HashCacheMapper
from fsspec.implementations.chained import ChainedFileSystem
from fsspec.transaction import Transaction

if TYPE_CHECKING:
    from fsspec._paths.types import Options

__all__ = [
    "CachingFileSystem",
    "ChainedFileSystem",
    "LocalTempFile",
    "SimpleCacheFileSystem",
    "WholeFileCacheFileSystem",
    "WriteCachedTransaction",
    "_reopened",
    "logger",
]


class WriteCachedTransaction(Transaction):
    """A transaction whose files are uploaded together, at its end."""

    def complete(self, commit: bool = True) -> None:
        """End the transaction; see `fsspec.transaction.Transaction.complete`."""
        hooks.check()
        if self.fs is None:  # it has ended, or this is a child
            return
        fs: Any = self.fs
        files = list(self.files)
        self.files.clear()
        try:
            if commit:
                for f in files:
                    close_layers(f)
                fs._upload_files(files)
            else:
                for f in files:
                    f.discard()
        finally:
            self._release_fs()


class SimpleCacheFileSystem(WholeFileCacheFileSystem):
    """Keeps whole files without a table: every existing copy is used.

    Parameters as for `CachingFileSystem`, of which ``cache_check``, ``check_files`` and
    ``expiry_time`` have no effect.  Copies are found by their names alone, so that
    writing through the cache drops the copies of the given paths, but not those of paths
    below them.
    """

    protocol: ClassVar[Any] = "simplecache"
    transaction_type: type[Transaction] = WriteCachedTransaction
    _has_table = False

    def __init__(self, **kwargs: Any) -> None:
        for name in ("cache_check", "check_files", "expiry_time"):
            kwargs.pop(name, None)
        self._partial_names: dict[int, set[str]] = {}  # by the folder's index
        super().__init__(cache_check=False, check_files=False, expiry_time=False, **kwargs)

    def load_cache(self) -> None:
        """There is no table."""

    def save_cache(self) -> None:
        """There is no table."""

    def _target_entry(self, path: str, kwargs: Options) -> dict[str, Any]:
        return cast("dict[str, Any]", self.fs.info(path, **kwargs))

    def hash_name(self, path: str, *args: Any) -> str:
        """The name of the copy of a path, another one if a blockcache has a part of the file under it."""
        name = super().hash_name(path)
        return _beside(name) if self._is_partial(len(self.storage) - 1, name) else name

    def _is_partial(self, number: int, name: str) -> bool:
        """Whether a copy in a folder is a blockcache's, which has not read all of the file."""
        table = self._metadata
        if table._refresh_table(number) or number not in self._partial_names:
            entries = table.cached_files[number].values()
            self._partial_names[number] = {entry["fn"] for entry in entries if entry["blocks"] is not True}
        return name in self._partial_names[number]

    def _copy_paths(self, path: str, uid: str | None = None) -> Iterator[str]:
        yield from self._written_copies(path)
        self._check_cache()  # a subclass may have one of its own
        own, folders = self.hash_name(path), self.storage
        names = (own, super().hash_name(path)) if len(folders) > 1 else (own,)
        for number, folder in enumerate(folders):
            for name in dict.fromkeys(names):
                fn = os.path.join(folder, name)
                read_only = number < len(folders) - 1  # of the one that is written `hash_name` has looked
                if not (read_only and self._is_partial(number, name)) and not self._out_of_date(path, fn):
                    self._note_use(fn)
                    yield fn

    @default
    def _check_file(self, path: str) -> str | None:
        """The local path of the copy of a file, if there is one."""
        for fn in self._copy_paths(self._strip_protocol(path)):
            if os.path.exists(fn):
                return fn
        return None

    def _record_copy(self, path: str, fn: str, uid: str | None) -> None:
        pass  # the name says it

    def _copy_recognizer(self) -> Callable[[str], bool]:
        if isinstance(self._mapper, HashCacheMapper):
            return is_digest
        return lambda name: True  # copies are named like files: the folder has to be the cache's alone

    def _forget_names(self, names: set[str]) -> None:
        pass  # there is no table

    def _drop_copy(self, path: str) -> None:
        with suppress(ValueError):  # of what can have no name, as the root, there is no copy
            self._remove_copies(path)

    def _remove_copies(self, path: str) -> None:
        """Remove what is kept of a path in the folder that is written; not the part that a blockcache has."""
        for name in {self.hash_name(path), _beside(super().hash_name(path))}:
            remove(os.path.join(self.storage[-1], name))

    def pop_from_cache(self, path: str) -> None:
        path = self._strip_protocol(path)
        self._remove_copies(path)
        for fn in self._copy_paths(path):
            if os.path.exists(fn) and not self._cache_folders.is_written(fn):
                raise PermissionError(f"the copy of {path!r}, {fn}, is in a folder that is only read")

    def clear_expired_cache(self, expiry_time: float | None = None) -> None:
        """Remove the copies that were made longer ago than some seconds.

        Raises
        ------
        ValueError
            without a positive number of seconds.
        """
        if expiry_time is None or expiry_time <= 0:
            raise ValueError("simplecache has no expiry time of its own: give a number of seconds above 0")
        self._settle_folders().remove_older(time.time() - expiry_time)


def _beside(name: str) -> str:
    """The name of a copy whose own name is that of a part of the file."""
    return named_for(name, "whole")


publish(__name__, LocalCopy, _reopened)
