"""Parts of files from a cache of blocks, for callers that await.

Callers on one loop that want parts of one file at the same time share its `BlockFile` and
what is being fetched: a block that is under way is waited for, not fetched again.  In a
forked child, and on another loop, a file is opened again.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from typing import TYPE_CHECKING, Any, cast

from fsspec._files.decoding import reading_layer
from fsspec._files.open_file import get_compression
from fsspec._fork.owned import is_mine, own
from fsspec._loop.driving import drive_awaiting
from fsspec._overriding import supported
from fsspec._paths.redaction import redact_url
from fsspec._plans.bulk import raise_first
from fsspec.compression import compr
from fsspec.implementations._cached.files import BlockFile, logger
from fsspec.implementations._cached.folders import remove
from fsspec.implementations._http.answers import one_version
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from fsspec.caching import MMapCache
    from fsspec.implementations._cached.blocks import CachingFileSystem
    from fsspec.implementations._cached.files import BlockSource, LocalCopy


ENTER_SHARED_EVERY = 1.0
"""Seconds after which the blocks of all shared files are entered in the table while any is being read."""


async def cat_file(cfs: CachingFileSystem, path: str, start: int | None, end: int | None) -> bytes:
    """The bytes of a file, or a part of them, from a `CachingFileSystem` over an awaitable one."""
    codec = get_compression(path, cfs.compression)
    if codec is not None:
        raw = await _shared_part(cfs, path, None, None)
        return cast("bytes", reading_layer(compr[codec], io.BytesIO(raw), path).read()[start:end])
    return await _shared_part(cfs, path, start, end)


async def _shared_part(cfs: CachingFileSystem, path: str, start: int | None, end: int | None) -> bytes:
    shared = cfs._shared_reads.get(path)
    if shared is None or not shared.is_mine():
        shared = cfs._shared_reads[path] = SharedBlocks(cfs, path)
    shared.users += 1
    try:
        return cast("bytes", await shared.read(start, end))
    finally:
        shared.users -= 1
        if not shared.users:
            if cfs._shared_reads.get(path) is shared:
                del cfs._shared_reads[path]
            shared.close()
        if cfs._arrived_files and (
            not cfs._shared_reads or time.time() - cfs.last_cache > ENTER_SHARED_EVERY
        ):
            _enter(cfs)


def _enter(cfs: CachingFileSystem) -> None:
    """Put the whole files that have arrived in their places."""
    arrived, cfs._arrived_files = cfs._arrived_files, []
    try:
        cfs._metadata.alone(_move_and_save, cfs, arrived)
    except OSError:
        logger.warning("what was read cannot be kept", exc_info=True)
    finally:
        for _, part, *_ in arrived:
            remove(part)
    cfs._keep_limits([fn for _, _, fn, _ in arrived])


def _move_and_save(cfs: CachingFileSystem, arrived: list[Any]) -> None:
    for path, part, fn, detail in arrived:
        os.replace(part, fn)
        cfs._metadata.update_file(path, detail)
    cfs.save_cache()


class SharedBlocks:
    """A file in blocks that is read by several at a time, on one loop.

    ``cfs``: the cache.
    ``path``: the file, on the underlying filesystem.
    """

    def __init__(self, cfs: CachingFileSystem, path: str) -> None:
        self.cfs = cfs
        self.path = path
        self.users = 0
        self._loop = asyncio.get_running_loop()
        own(self)
        self._lock = asyncio.Lock()  # held while the file is opened
        self._file: Any = None
        self._asking = asyncio.Lock()  # held while the target is asked for the version
        self._asked = self._confirmed = 0
        self._under_way: dict[int, asyncio.Future[None]] = {}

    def is_mine(self) -> bool:
        """Whether it was made in this process, on this loop."""
        return is_mine(self) and self._loop is asyncio.get_running_loop()

    def close(self) -> None:
        """Enter the fetched blocks in the table, and drop the file."""
        if self._file is not None:
            self._file.close()

    async def read(self, start: int | None, end: int | None) -> bytes:
        """The bytes from ``start`` up to ``end``, which are as those of a slice."""
        if self._file is None:
            async with self._lock:
                if self._file is None:
                    self._file = await self._found()
                if self._file is None and start is None and end is None:
                    return await self._whole()
                if self._file is None:
                    entry = await self.cfs.fs._info(self.path)
                    if entry.get("size") is not None or entry.get("type") == "directory":
                        uid = await self._uid(entry)
                        self._file = self.cfs._begin_blocks(self.path, entry, uid, None, {})
                    if self._file is None:  # it has no blocks, or the disk is full
                        return cast("bytes", await self.cfs.fs._cat_file(self.path, start=start, end=end))
            if isinstance(self._file, BlockFile):
                self.cfs._note_use(self._file.cache_location)
        file = self._file
        if not isinstance(file, BlockFile):  # a whole copy
            return self.cfs._local_fs.cat_file(file.name, start=start, end=end)
        start, end, _ = slice(start, end).indices(file.size)
        if start >= end:
            return b""
        if file.cache.refuses:  # the disk is full: then as if there was no cache
            return cast("bytes", await self.cfs.fs._cat_file(self.path, start=start, end=end))
        await self._fetch(file.cache, start, end)
        missing = file.cache.missing(start, end)
        if missing:  # of others who fetched them and failed: it is for us to find out why
            await self._ask(file.cache, missing)
        return file.cache.kept(start, end)

    async def _found(self) -> BlockFile | LocalCopy | None:
        """The file with the blocks that are kept of it, if there are any."""
        cfs = self.cfs
        uid = await self._uid(None) if cfs.check_files and cfs._metadata.has(self.path) else None
        return cfs._open_kept(self.path, uid, {})

    async def _uid(self, entry: dict[str, Any] | None) -> str:
        uid: str = (await drive_awaiting(self.cfs.fs, self.cfs._version_uids([self.path], [entry])))[0]
        if isinstance(uid, BaseException):
            raise uid
        return uid

    async def _whole(self) -> bytes:
        """All of a file that has nothing kept: one request."""
        cfs = self.cfs
        uid = await self._uid(None) if cfs.check_files else None
        data: bytes = await cfs.fs._cat_file(self.path)
        fn = os.path.join(cfs.storage[-1], cfs.hash_name(self.path))
        part = cfs._cache_folders.part(fn)
        try:
            cfs._mkcache()
            with open(part, "xb") as f:
                f.write(data)
        except OSError:
            remove(part)
            logger.warning("%s was read and cannot be kept", redact_url(self.path), exc_info=True)
        else:
            detail = {"fn": cfs.hash_name(self.path), "blocks": True, "time": time.time(), "uid": uid}
            size = {"size": len(data), "blocksize": AbstractBufferedFile.DEFAULT_BLOCK_SIZE}
            cfs._arrived_files.append((self.path, part, fn, {**detail, **size}))
        return data

    async def _fetch(self, cache: MMapCache, start: int, end: int) -> None:
        """Fetch the blocks that are missing, and wait for those that somebody else is fetching."""
        numbers = range(start // cache.blocksize, -(-end // cache.blocksize))
        missing = [n for n in numbers if n not in cache.blocks]
        others = {self._under_way[n] for n in missing if n in self._under_way}
        mine = [n for n in missing if n not in self._under_way]
        if mine:
            done = self._loop.create_future()
            self._under_way.update(dict.fromkeys(mine, done))
            try:
                await self._ask(cache, cache.ranges(mine))
            finally:
                for number in mine:
                    del self._under_way[number]
                done.set_result(None)
        if others:
            await asyncio.wait(others)

    async def _ask(self, cache: MMapCache, ranges: list[tuple[int, int]]) -> None:
        source = self._file._source
        starts, ends = [left for left, _ in ranges], [right for _, right in ranges]
        with one_version(source.seen):
            how = supported(self.cfs.fs, "_cat_ranges", {"on_error": "raise"})
            got = await self.cfs.fs._cat_ranges([self.path] * len(ranges), starts, ends, **how)
        raise_first(got)
        if source.tells_nothing() or source.is_short(ranges, got):
            await self._confirm(source)
        for (left, right), data in zip(ranges, got):
            cache.store(left, right, data)

    async def _confirm(self, source: BlockSource) -> None:
        """Ask the target whether what has arrived belongs to the version that is kept: once for all waiting
        reads."""
        arrived = self._asked
        async with self._asking:
            if self._confirmed > arrived:  # by an answer to a question that was asked after it came
                return
            self._asked += 1
            source.confirm(await self.cfs.fs._info(self.path, **source.uncached_options()))
            self._confirmed = self._asked
