"""Open files of cache filesystems: whole copies, and files kept in blocks.

A file in blocks is read through a sparse file mapped into memory, by `fsspec.caching.MMapCache`.  In a
forked child it reads the blocks that are kept, and fetches others into the same sparse file: all
processes that share a folder write the same bytes, since each checks the version of what it fetches.
"""

from __future__ import annotations

import inspect
import io
import logging
import os
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

from fsspec._error_notes import add
from fsspec._fork import hooks
from fsspec._fork.owned import Owned, is_mine, own
from fsspec._overriding import replaced, supported
from fsspec._paths.redaction import redact_text, redact_url
from fsspec._plans.bulk import raise_first
from fsspec._spec.contents import checks_file_version, filesystem_of_folder
from fsspec.caching import MMapCache
from fsspec.exceptions import FileChangedError
from fsspec.implementations._cached.folders import finalize_in_workers
from fsspec.implementations._cached.limits import lock_shared
from fsspec.implementations._http.answers import Version, one_version
from fsspec.registry import filesystem
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from fsspec._paths.types import Options
    from fsspec.implementations._cached.blocks import CachingFileSystem
    from fsspec.implementations.cache_metadata import CacheMetadata
    from fsspec.spec import AbstractFileSystem

logger: logging.Logger = logging.getLogger("fsspec.cached")


class BlockSource:
    """Fetches the blocks of a file from the target.

    It has no reference to the open file, so that a dropped file is collected at once.

    ``fs``: the filesystem behind a cache.
    ``path``: the file there.
    ``kwargs``: for opening it.
    ``opened``: the file there, if it is open already.
    ``on_stale``: called when it has changed, so that its kept blocks are useless.
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        kwargs: Options,
        opened: Any = None,
        on_stale: Callable[[], None] = lambda: None,
    ) -> None:
        self.fs = fs
        self.path = path
        behind, self.key = _behind_folders(fs, path)
        self._answers_tell = tells = getattr(behind, "_answers_tell_versions", False)
        has_ranges = fs.async_impl or tells or replaced(fs, "cat_file") or replaced(fs, "cat_ranges")
        self.by_ranges = has_ranges and not kwargs and not checks_file_version(fs)
        """else from the file opened there, without a cache"""
        given = [] if opened is None else [opened]
        self._opened = Owned(lambda: given.pop() if given else open_uncached(fs, path, kwargs))
        if given:
            self._opened.get()
        self._on_stale = on_stale
        self.seen: dict[str, Version] = {}
        """the version that the blocks belong to, by `key`, if the target gives one"""
        self._nothing_kept = True
        self.unconfirmed = False
        """the version is that of an earlier answer, and those to requests for blocks do not give it"""

    def set_version(self, version: Version, kept: bool) -> None:
        """Set the version that all blocks must have. ``kept``: whether the cache has blocks of it."""
        self.seen[self.key] = version
        self._nothing_kept = not kept
        self.unconfirmed = False
        if kept:
            self.doubt()

    def doubt(self) -> None:
        """Have the version compared with that of the target before the next fetch."""
        self.unconfirmed = self.tells_nothing() and not checks_file_version(self.fs)

    def tells_nothing(self) -> bool:
        """Whether responses to range requests carry no version, so that ``info`` is needed."""
        known = self.seen.get(self.key)
        return known is not None and bool(known.etag or known.modified) and not self._answers_tell

    def confirm(self, entry: dict[str, Any]) -> None:
        """Compare the version of the blocks with that of a new entry. Raises FileChangedError: they
        differ."""
        known = self.seen[self.key]
        try:
            known.updated(self.path, version_of(entry))
        except FileChangedError:
            self.fs.invalidate_cache(self.path)  # its listings may be older than the response
            if self._nothing_kept:
                self._on_stale()
            raise
        self.unconfirmed = False

    def uncached_options(self) -> dict[str, Any]:
        """Options for ``info`` of the target that bypass its listing cache, which may be outdated."""
        info = getattr(self.fs, "_info", self.fs.info)  # its blocking form has no signature of its own
        if "refresh" in inspect.signature(info).parameters:
            return {"refresh": True}
        self.fs.invalidate_cache(self.path)
        return {}

    def is_short(self, ranges: list[tuple[int, int]], found: list[bytes]) -> bool:
        """Whether a response was too short, and the version can be checked by another request."""
        return self.key in self.seen and any(len(d) < end - start for (start, end), d in zip(ranges, found))

    def fetch_ranges(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        if self.unconfirmed:
            self.confirm(self.fs.info(self.path, **self.uncached_options()))
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        with one_version(self.seen):
            how = supported(self.fs, "cat_ranges", {"on_error": "raise"})
            found: list[bytes] = self.fs.cat_ranges([self.path] * len(ranges), starts, ends, **how)
        raise_first(found)
        if self.is_short(ranges, found):
            self.confirm(self.fs.info(self.path, **self.uncached_options()))
        return found

    def fetch(self, start: int, end: int) -> bytes:
        if self.unconfirmed:
            self.confirm(self.fs.info(self.path, **self.uncached_options()))
        if self.by_ranges:
            with one_version(self.seen):
                data: bytes = self.fs.cat_file(self.path, start=start, end=end)
            if self.is_short([(start, end)], [data]):
                self.confirm(self.fs.info(self.path, **self.uncached_options()))
            return data
        opened = self._file()
        fetch = getattr(opened, "_fetch_range", None)
        if fetch is None:
            opened.seek(start)
            data = opened.read(end - start)
            return data
        try:
            data = fetch(start, end)
        except OSError as error:
            # s3fs: its cached entry is outdated, or the file has changed
            if type(error).__name__ == "FileExpired":
                self.fs.invalidate_cache(self.path)
                self._on_stale()
            raise
        return data

    def _file(self) -> AbstractBufferedFile:
        """The file on the target. If such files check their version, it checks for that of the blocks."""
        opened: AbstractBufferedFile = self._opened.get()
        if checks_file_version(self.fs) and self.tells_nothing() and not self._fits(opened):
            self.close()
            self.fs.invalidate_cache(self.path)
            opened = self._opened.get()
            if not self._fits(opened):
                self.confirm(opened.details)
        return opened

    def _fits(self, opened: AbstractBufferedFile) -> bool:
        known, entry = self.seen[self.key], opened.details
        return (etag_of(entry), entry.get("size")) == (known.etag, known.size)

    def close(self) -> None:
        opened = self._opened.release()
        if opened is not None:
            opened.close()


def _behind_folders(fs: AbstractFileSystem, path: str) -> tuple[Any, str]:
    """The filesystem in which the folders of ``dir`` lie, and what a path is called there."""
    behind: Any = filesystem_of_folder(fs)
    inner: Any = fs
    while inner is not behind:
        inner, path = inner.fs, inner._join(path)
    return behind, path


def open_uncached(fs: AbstractFileSystem, path: str, kwargs: Options) -> AbstractBufferedFile:
    how = supported(fs, "_open", supported(fs, "open", {"cache_type": "none"}))
    opened: Any = fs.open(path, "rb", **how, **kwargs)
    return cast("AbstractBufferedFile", opened)


def etag_of(entry: dict[str, Any]) -> str | None:
    """The ETag in an entry, under the key of s3fs, or that of gcsfs and adlfs."""
    tag = entry.get("ETag") or entry.get("etag")
    return tag if isinstance(tag, str) else None


TIMES = ("Last-Modified", "mtime", "modificationTime")
"""Keys of entries for the time of the last change: of HTTP, of files here and on most servers, of WebHDFS."""


def version_of(entry: dict[str, Any]) -> Version:
    """What an entry tells of the version of its file."""
    found = next((entry[key] for key in TIMES if entry.get(key) is not None), None)
    return Version(etag_of(entry), None if found is None else str(found), entry.get("size"))


ENTER_EVERY = 10.0
"""Seconds between updates of the table while a file is read, in case the process is killed.

Those of files whose reads are awaited: `shared_blocks.ENTER_SHARED_EVERY`."""


class FolderBlocks(MMapCache):
    """The blocks of an open file in the folder of a cache, which is shared by processes.

    ``file``: the file, which need not have a cache yet.
    """

    # not if another process has removed it, since the table lists blocks that a new file would lack
    _makes_file = False

    def __init__(self, file: BlockFile, location: str, blocks: set[int]) -> None:
        source = file._source
        several = source.fetch_ranges if source.by_ranges else None
        super().__init__(file.blocksize, source.fetch, file.size, location, blocks, several)
        if self._file_descriptor >= 0:
            lock_shared(self._file_descriptor)
        self._file = weakref.ref(file)

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        out = MMapCache._fetch(self, start, end)
        file = self._file()
        if file is not None and len(self.blocks) != file._known and time.monotonic() > file._due:
            if is_mine(file):
                file._known = len(self.blocks)
                enter_blocks(file.fs._metadata, file.path, self)
                file._due = time.monotonic() + ENTER_EVERY
        return out

    def _begin_in_child(self) -> None:
        """Go on in a child: fetched blocks are written to the folder and entered in the table."""
        file = self._file()
        if file is None or file.fs._cache_folders.temporary:  # the parent removes that folder at its end
            super()._begin_in_child()
            return
        own(self)
        file._at_end.detach()
        file._begin_entering()
        source = file._source
        if source.key in source.seen:
            source.set_version(source.seen[source.key], kept=bool(self.blocks))


class BlockFile(AbstractBufferedFile):
    """A file whose blocks are kept in a sparse local file.

    What was fetched is entered in the table of the cache when the file is closed or dropped,
    when the interpreter ends, and meanwhile when some time has passed.

    ``fs``: the cache.
    ``path``: the file, on the filesystem that is cached.
    ``detail``: its entry in the table of the cache.
    ``location``: the sparse file, which exists.
    ``opened``: the file there, if it is open already.
    ``**kwargs``: for opening the file there.
    """

    def __init__(
        self,
        fs: CachingFileSystem,
        path: str,
        detail: dict[str, Any],
        location: str,
        opened: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fs, path, "rb", detail["blocksize"], cache_type="none", size=detail["size"], **kwargs
        )
        blocks = set(detail["blocks"])
        self._source = source = BlockSource(
            fs.fs, path, self.kwargs, opened, lambda: fs._drop_version(path, detail)
        )
        if detail.get("version"):
            source.set_version(Version(*detail["version"]), kept=bool(blocks))
        try:
            self.cache: FolderBlocks = FolderBlocks(self, location, blocks)
        except BaseException:
            self.closed = True  # there is nothing to close
            raise
        self.cache_location = location
        self._begin_entering()

    def _begin_entering(self) -> None:
        """Begin to enter the blocks fetched by this process in the table."""
        own(self)
        self._known = len(self.cache.blocks)
        self._due = time.monotonic() + ENTER_EVERY
        table = self.fs._metadata
        self._at_end = finalize_in_workers(self, enter_blocks, table, self.path, self.cache, self._known)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._source.fetch(start, end)

    @property
    def name(self) -> str | None:
        """The sparse file."""
        return getattr(self.cache, "location", None)

    def close(self) -> None:
        """Enter the fetched blocks in the table of the cache, and drop the cache of blocks."""
        if self.closed:
            return
        blocks = getattr(self.cache, "blocks", ())
        pending = self._at_end.detach()  # None if it has run already, at the end of the interpreter
        if pending and is_mine(self) and len(blocks) != self._known:
            self.fs.close_and_update(self, self._forget_copy)
        else:
            self._forget_copy()

    def _forget_copy(self) -> None:
        super().close()
        self._source.close()


def enter_blocks(table: CacheMetadata, path: str, cache: MMapCache, known: int = -1) -> None:
    """Enter the blocks of a file in a table, if there are others than the ``known`` number. A failure to
    write the table is not raised, since the caller only reads."""
    if len(cache.blocks) != known:
        try:
            table.enter_blocks(path, cache)
        except OSError:
            logger.debug("the blocks of %s are not entered in the cache", redact_url(path), exc_info=True)


class LocalCopy(io.BufferedReader):
    """A copy that is open for reading: a built-in file, which can also be pickled.

    In a forked child it continues at its position, independent of the parent.

    ``path``: the file, on the filesystem that is cached.
    ``fn``: the copy.
    """

    def __init__(self, path: str, fn: str) -> None:
        opener: Any = filesystem("file").open(fn, "rb")  # reads at a position of its own, see there
        raw = opener.f.detach()
        opener.f = None
        super().__init__(raw)
        lock_shared(raw.fileno())
        self.original = path
        self.path = fn
        hooks.register(self)

    mode: str = "rb"

    @property
    def name(self) -> str:
        """The copy."""
        return self.path

    @property
    def size(self) -> int:
        """Bytes of the copy."""
        return os.fstat(self.fileno()).st_size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {redact_text(self.path)!r} of {redact_url(self.original)!r}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        # from Python 3.12 on that of the built-in refuses, whatever __reduce__ is
        return _reopened, (self.original, self.path, 0 if self.closed else self.tell())

    def _after_fork_in_child(self) -> None:
        # a thread of the parent may have been reading, and the lock of this buffer be held for ever
        if not self.closed:
            raw: Any = self.raw
            raw.seek(self.tell())
            super().__init__(raw)  # with a new lock and buffer


def _reopened(original: str, path: str, at: int) -> LocalCopy:
    """Restore a copy from its pickle."""
    copy = LocalCopy(original, path)
    copy.seek(at)
    return copy


def naming(path: str, got: Any) -> Any:
    """What was fetched of a path, or the error instead; a `FileNotFoundError` that names no file (s3fs tells
    what the server says) is replaced by one that does, with a note of what it says."""
    name = redact_url(path)
    if type(got) is not FileNotFoundError or got.filename is not None or name in str(got):
        return got
    error = FileNotFoundError(name)
    error.__cause__ = got
    if str(got):
        add(error, f"fsspec: the store says: {redact_text(str(got))}")
    return error
