"""The filesystem that caches blocks: opening and reading files that are kept in part.

The blocks of one file are in `_cached.files`, and where they are awaited in `_cached.shared_blocks`.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fsspec._error_notes import FULL
from fsspec._files.decoding import reading_layer
from fsspec._files.open_file import get_compression
from fsspec._loop.batching import get_batch_size, run_concurrently
from fsspec._overriding import default, is_built_in
from fsspec._paths.paths import folder_error
from fsspec._paths.ranges import as_block_size, per_path
from fsspec._paths.redaction import redact_url
from fsspec._plans.bulk import split_callback
from fsspec._spec.contents import checks_file_version, filesystem_of_folder
from fsspec.compression import compr
from fsspec.exceptions import BlocksizeMismatchError
from fsspec.implementations._cached import shared_blocks
from fsspec.implementations._cached.base import Cache, copies_in_table
from fsspec.implementations._cached.files import (
    BlockFile,
    LocalCopy,
    enter_blocks,
    logger,
    open_uncached,
    version_of,
)
from fsspec.implementations._cached.folders import remove
from fsspec.implementations.cache_metadata import is_whole
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from fsspec._paths.types import Offsets, Options
    from fsspec.spec import AbstractFileSystem

FOR_READING = ("block_size", "cache_options", "cache_type", "size")
"""Arguments of `open` without effect on local files, or on files written as a whole."""

BLOCK_SIZES = ("block_size", "default_block_size", "blocksize")
"""Options in which filesystems are given the size of the blocks of their files: those of HTTP and gcsfs, of
s3fs, of adlfs."""


class CachingFileSystem(Cache):
    """Keeps the blocks of files that were read in sparse local files.

    Each kind of cache needs a folder of its own, and had better have one for each source.

    Parameters
    ----------
    target_protocol, target_options
        what the filesystem that is cached is made of; or else
    fs
        that filesystem itself.
    cache_storage
        the folder for the copies; "TMP" is a temporary one, which is removed when the process ends.
        Of several folders the last one is written, the others are only read.
    cache_check
        seconds after which the table of the copies is read again, for what other processes
        did; 0 or False for never.
    check_files
        ask the target before each use of a copy whether the original has changed.
    expiry_time
        seconds for which a copy is good; 0 or False for any time.
    same_names
        call the copies like the files. Files of one name in several folders are then one
        copy.
    cache_mapper
        what gives the copies their names, see `fsspec.implementations.cache_mapper`.
    compression
        of the files, "infer" to find it by their names: copies of whole files are
        decompressed.
    cache_storage_mode
        the permissions of the folder, and of its table as far as others may read or write in
        the folder. Without it a folder that is made is the owner's alone, as the table is;
        that of a simplecache, which has no table, is made as others are.

    cache_max_size
        bytes that the copies in the folder may take, a number or text such as "10GB": beyond
        it those used longest ago are removed, but none that is open.
    cache_max_age
        seconds without use after which copies are removed, when the folder is looked at:
        once a minute, as files are added.
    cache_min_free
        bytes of the disk that are to stay free, as ``cache_max_size``.

    Raises
    ------
    ValueError
        without a target, or with two; for both ``same_names`` and ``cache_mapper``.
    TypeError
        for an option that is text if a number, or True or False, is needed; it names it.
    """

    protocol: ClassVar[tuple[str, ...]] = ("blockcache", "cached")  # type: ignore[assignment]  # both

    # opening ----------------------------------------------------------------------
    @default
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        path = self._strip_protocol(path)
        block_size = as_block_size(block_size)
        if "r" not in mode or "+" in mode:
            autocommit = autocommit or (self.fs._fsspec_only_transactions_wait and not self._intrans)
            kwargs.update(block_size=block_size, autocommit=autocommit, cache_options=cache_options)
            opened = self.fs._fsspec_opened_file(path, mode, kwargs)
            self._drop_copies([path])  # the target has opened it
            self._note_writer(path, opened)
            return opened
        for name in (*FOR_READING, "batch_size"):  # batch_size is for several files
            kwargs.pop(name, None)
        f = self._open_blocks(path, block_size, kwargs)
        codec = get_compression(path, self.compression)
        return f if codec is None else reading_layer(compr[codec], f, path)

    def _note_writer(self, path: str, file: object) -> None:
        """Know a file that is written, as long as it exists. Some have no ``autocommit``: those are on the
        target at once, or when a transaction ends."""
        writers = self._open_writers

        def forget(gone: weakref.ref[Any]) -> None:
            if writers.get(path, (None,))[0] is gone:
                del writers[path]

        with suppress(TypeError):  # its class does not support weak references
            writers[path] = weakref.ref(file, forget), self._intrans

    def _drop_what_is_written(self, path: str) -> None:
        """Drop a copy that was read while the file was being written, before the end or since then."""
        reference, in_transaction = self._open_writers.get(path, (None, False))
        file: Any = None if reference is None else reference()
        if in_transaction:
            written = not self._intrans
        else:
            written = not hasattr(file, "autocommit") or file.autocommit and file.closed
        if path in self._read_meanwhile or not written:
            self._drop_copies([path])
        if written:
            self._open_writers.pop(path, None)
            self._read_meanwhile.discard(path)
        else:
            self._read_meanwhile.add(path)

    def _open_blocks(
        self, path: str, block_size: int | None, kwargs: Options
    ) -> LocalCopy | BlockFile | IO[bytes]:
        if not is_built_in(self._check_cache):  # a subclass's
            self._check_cache()
        uid = self._version_uid(path) if self.check_files and self._metadata.has(path) else None
        f = self._open_kept(path, uid, kwargs, block_size)
        if f is None:
            opened = open_uncached(self.fs, path, kwargs) if checks_file_version(self.fs) else None
            entry = self.fs.info(path) if opened is None else opened.details
            if entry.get("size") is not None or entry.get("type") == "directory":
                uid = self._version_uid(path, entry)
                f = self._begin_blocks(path, entry, uid, block_size, kwargs, opened)
            if f is None:  # a file without a size has no blocks; or the disk is full
                if opened is not None:
                    opened.close()
                unkept: IO[bytes] = self.fs.open(path, "rb", **kwargs)
                return unkept
        return f

    def _open_kept(
        self, path: str, uid: str | None, kwargs: Options, block_size: int | None = None
    ) -> LocalCopy | BlockFile | None:
        """Open the copy of a file, whole or in part; None if there is none that can be used. ``uid``: the
        version on the target, if it is to be checked."""
        self._settle_folders()
        if self._open_writers or self._read_meanwhile:
            self._drop_what_is_written(path)
        return self._metadata.alone(self._look_up, path, uid, kwargs, block_size)

    def _look_up(
        self, path: str, uid: str | None, kwargs: Options, block_size: int | None
    ) -> LocalCopy | BlockFile | None:
        self._metadata.load()
        found = self._usable_entry(path, uid)
        self._count_lookup(found is not None, path)
        try:
            return None if found is None else self._open_found(path, *found, kwargs, block_size)
        except FileNotFoundError as error:
            if found is None or error.filename != found[1]:
                raise
            return None  # another process has removed the copy

    def _open_found(
        self, path: str, detail: dict[str, Any], fn: str, kwargs: Options, block_size: int | None
    ) -> LocalCopy | BlockFile:
        self._note_use(fn)
        if detail["blocks"] is True:
            return LocalCopy(path, fn)
        if block_size not in (None, detail["blocksize"]):
            raise BlocksizeMismatchError(
                f"the copy of {redact_url(path)!r} has blocks of {detail['blocksize']} bytes, not of"
                f" {block_size}: open it with that block_size, or call pop_from_cache for it first"
            )
        f = BlockFile(self, path, detail, fn, **kwargs)
        f._source.doubt()
        return f

    def _usable_entry(self, path: str, uid: str | None = None) -> tuple[dict[str, Any], str] | None:
        """The entry and the local path of a whole copy, or of one that blocks can be added to."""
        if self._own_check is not None:
            found: tuple[dict[str, Any], str] | None = self._own_check(path) or None
            old = self._metadata.location(path) if found is None else None
            if old is not None:  # else blocks were only added
                remove(old)
                self._metadata.drop(path)
            return found
        for detail, fn in copies_in_table(self, path, uid):
            if detail["blocks"] is True or self._cache_folders.is_written(fn):
                if is_whole(detail, fn) and not self._out_of_date(path, fn):
                    return detail, fn
        return None

    def _begin_blocks(
        self,
        path: str,
        entry: dict[str, Any],
        uid: str,
        block_size: int | None,
        kwargs: Options,
        opened: object = None,
    ) -> LocalCopy | BlockFile | None:
        """Open a file that has no copy yet; None, with a warning, if the disk is full. ``entry``, ``uid``:
        its entry and version on the target. ``opened``: the file on the target, if it is open already."""
        if entry.get("type") == "directory":
            raise folder_error(path)
        try:
            return self._open_new(path, entry, uid, block_size, kwargs, opened)
        except OSError as error:
            if error.errno not in FULL:
                raise
            logger.warning("%s is read and cannot be kept: %s", redact_url(path), error)
            return None

    def _open_new(
        self,
        path: str,
        entry: dict[str, Any],
        uid: str,
        block_size: int | None,
        kwargs: Options,
        opened: object,
    ) -> LocalCopy | BlockFile:
        detail = {
            "original": path,
            "fn": self.hash_name(path),
            "blocks": set(),
            "time": time.time(),
            "uid": uid,
            "size": entry["size"],
            "blocksize": block_size or _given_block_size(self.fs) or AbstractBufferedFile.DEFAULT_BLOCK_SIZE,
        }
        version = version_of(entry)
        if version.etag or version.modified:  # so that no blocks of another version are added
            detail["version"] = list(version[:3])
        fn = os.path.join(self.storage[-1], detail["fn"])
        self._mkcache()
        os.makedirs(os.path.dirname(fn), exist_ok=True)
        return self._metadata.alone(self._reserve_and_open, path, detail, fn, kwargs, opened)

    def _reserve_and_open(
        self, path: str, detail: dict[str, Any], fn: str, kwargs: Options, opened: Any
    ) -> LocalCopy | BlockFile:
        while True:
            detail = self._metadata.reserve(path, detail, self)
            try:
                if detail["blocks"] is True:  # another process has copied the file meanwhile
                    return LocalCopy(path, fn)
                return BlockFile(self, path, detail, fn, opened, **kwargs)
            except FileNotFoundError as error:
                if error.filename != fn:
                    raise
                # another process has removed it

    def _drop_version(self, path: str, detail: dict[str, Any]) -> None:
        """Remove the blocks of an outdated version, unless newer ones have replaced them."""
        self._metadata.alone(self._drop_same_version, path, detail.get("version"))

    def _drop_same_version(self, path: str, version: object) -> None:
        self._metadata.load()
        for found, fn in self._metadata.lookup(path, None):
            if self._cache_folders.is_written(fn) and found.get("version") == version:
                self.pop_from_cache(path)

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """As `cat_file`, awaited: a whole file without a copy is fetched by one request."""
        path = self._strip_protocol(path)
        if not self.async_impl:
            return self.cat_file(path, start, end, **kwargs)
        return await shared_blocks.cat_file(self, path, start, end)

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """As `cat_ranges`, awaited."""
        callback, _ = split_callback(kwargs)
        paths, firsts, lasts = per_path(paths, starts, ends)
        callback.set_size(len(paths))
        size = getattr(self.fs, "batch_size", None) or get_batch_size()
        one = self._cat_file
        return await run_concurrently(
            zip(paths, firsts, lasts),
            lambda part: one(*part),
            size,
            return_exceptions=on_error != "raise",
            done=lambda position, result: callback.relative_update(1),
        )

    def close_and_update(self, f: BlockFile, close: Callable[[], Any]) -> None:
        """Enter the blocks of a file in the table when it is closed.

        Parameters
        ----------
        close
            closes it.
        """
        if f.closed:
            return
        try:
            enter_blocks(self._metadata, f.path, f.cache)
        finally:
            close()
            self._keep_limits([f.cache_location] if f.cache_location else [])


def _given_block_size(fs: AbstractFileSystem) -> int | None:
    """The size of blocks, in bytes, that a filesystem behind a cache was made with; None without one. What it
    takes by itself does not count: the 50 MiB of s3fs are for reading on, not for keeping."""
    options = filesystem_of_folder(fs).storage_options
    given = (options.get(name) for name in BLOCK_SIZES)
    return next((as_block_size(size) for size in given if size), None)
