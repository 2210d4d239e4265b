"""Read caches that keep blocks of equal size, in memory or in a sparse file.

A read fetches the blocks from its first to its last byte, nothing past the end of the file, and
the following block only if the file is read in order (`MMapCache`, `BackgroundBlockCache`).

In a forked child blocks in memory are its own.  A block whose background fetch was under way at
the fork is fetched again, since the thread stayed in the parent.  A sparse file is read but not
written, except in the folder of a cache filesystem (`_cached.files.FolderBlocks`).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec._files.caches_base import (
    BaseCache,
    Fetcher,
    Held,
    MultiFetcher,
    UpdatableLRU,
    joined,
    keep_newest,
    log_fetch,
    mark_used,
)
from fsspec._files.descriptors import new_descriptor
from fsspec._files.replacing import name_target
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own
from fsspec._paths.ranges import as_number

if TYPE_CHECKING:
    import mmap


class BlockCache(BaseCache):
    """Keeps the blocks used last; each that is missing is a request of its own.

    Parameters
    ----------
    maxblocks
        how many blocks are kept.
    """

    name: ClassVar[str] = "blockcache"

    _has_own_read = False  # a subclass has a `_read_cache` of its own

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._read_cache is not BlockCache._read_cache:
            cls._has_own_read = True
            # by its own `_fetch`
            cls._fetch_views = BaseCache._fetch_views  # type: ignore[method-assign, assignment]

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int, maxblocks: int = 32) -> None:
        super().__init__(blocksize, fetcher, size)
        self.nblocks: int = -(-(size or 0) // blocksize)
        self.maxblocks: int = as_number("maxblocks", maxblocks, "blocks")
        self._forget_blocks()

    def _forget_blocks(self) -> None:
        self._kept_blocks: OrderedDict[int, bytes] = OrderedDict()  # by their numbers
        # without a limit no order of use has to be kept
        self._may_drop = self._has_own_read or self.nblocks > self.maxblocks
        self._lru_hits = self._lru_misses = 0

    def cache_info(self) -> UpdatableLRU.CacheInfo:
        """Hits, misses, the most blocks that are kept and how many there are."""
        return UpdatableLRU.CacheInfo(
            self._lru_hits, self._lru_misses, self.maxblocks, len(self._kept_blocks)
        )

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        blocksize, kept = self.blocksize, self._kept_blocks
        if start is not None and end is not None:
            first = start // blocksize
            at, to = start - first * blocksize, end - first * blocksize
            if at < to <= blocksize:
                block = kept.get(first)
                if block is not None:
                    if self._may_drop:
                        if self._has_own_read:
                            return self._by_read_cache(start, end)
                        mark_used(kept, first)
                    self._lru_hits += 1
                    if start < self.size:
                        self.hit_count += 1
                    return block[at:to]
                if 0 <= start < end <= self.size and not self._has_own_read:
                    self.hit_count += 1
                    return self._missing_block(first)[at:to]
        return (
            self._by_read_cache(start, end) if self._has_own_read else b"".join(self._get_blocks(start, end))
        )

    def _by_read_cache(self, start: int | None, end: int | None) -> bytes:
        start, end = self._clip_range(start, end)
        first, last = start // self.blocksize, (end - 1) // self.blocksize
        return self._read_cache(start, end, first, last) if start < end else b""

    def _read_cache(self, start: int, end: int, start_block_number: int, end_block_number: int) -> bytes:
        """The bytes between two positions, in the blocks of these numbers; an override serves all reads."""
        return joined(self._get_blocks(start, end))

    def _fetch_views(self, start: int | None, end: int | None) -> list[Any]:
        return self._get_blocks(start, end)

    def _get_blocks(self, start: int | None, end: int | None) -> list[Any]:
        """The bytes that a read needs of each block: the block itself, or a view of a part of it."""
        blocksize = self.blocksize
        start, end = self._clip_range(start, end)
        if start >= end:
            return [b""]
        first, last = start // blocksize, (end - 1) // blocksize
        self.hit_count += 1  # counts reads, misses count blocks
        kept = self._kept_blocks
        parts: list[Any] = []
        for number in range(first, last + 1):
            block = kept.get(number)
            if block is None:
                block = self._missing_block(number)
            else:
                self._lru_hits += 1
                if self._may_drop:
                    mark_used(kept, number)
            parts.append(block)
        to, at = end - last * blocksize, start - first * blocksize
        if to < len(parts[-1]):
            parts[-1] = memoryview(parts[-1])[:to]
        if at:
            parts[0] = memoryview(parts[0])[at:]
        return parts

    def _get_block(self, number: int) -> bytes:
        """A block that is kept; one that is not is fetched, and kept from now on."""
        kept = self._kept_blocks
        block = kept.get(number)
        if block is None:
            return self._missing_block(number)
        self._lru_hits += 1
        if self._may_drop:
            mark_used(kept, number)
        return block

    def _missing_block(self, number: int) -> bytes:
        self._lru_misses += 1
        block = self._fetch_block(number)
        keep_newest(self._kept_blocks, number, block, self.maxblocks)
        return block

    def _fetch_block(self, block_number: int) -> bytes:
        """Ask for a block."""
        if not 0 <= block_number < self.nblocks:
            raise ValueError(f"block {block_number} of a file that has {self.nblocks}")
        start = block_number * self.blocksize
        end = start + self.blocksize
        if end > self.size:
            end = self.size
        self.miss_count += 1
        self.total_requested_bytes += end - start
        return self._fetch_uncached(start, end)

    def _held_from(self, position: int) -> Held | None:
        number, at = divmod(position, self.blocksize)
        if number not in self._kept_blocks:
            return None
        block = self._get_block(number)
        return Held(block, at, len(block)) if at < len(block) else None

    def __getstate__(self) -> dict[str, Any]:
        """Without the blocks: they can be fetched again, and are large."""
        state = self.__dict__.copy()
        del state["_kept_blocks"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_blocks()


_CHECK_INTERVAL = 1.0  # seconds after which one that waits looks whether it is still fetched


class _BackgroundFetch:
    """A block being fetched by a thread that ends with it: between reads there is no thread that has to be
    stopped, or runs at a fork."""

    def __init__(self, number: int, fetch: Callable[[int], bytes]) -> None:
        import threading

        self.number = number
        own(self)
        self._fetch = fetch
        self._fetched_block: bytes | None = None
        self.error: BaseException | None = None
        self._done = threading.Event()
        hooks.start_thread(self._run, f"fsspec-block-{number}")

    def _run(self) -> None:
        try:
            self._fetched_block = self._fetch(self.number)
        except BaseException as error:  # raised when the block is read
            self.error = error
        self._done.set()

    @property
    def lost(self) -> bool:
        """Whether the fetch was under way at a fork, in the parent, so that it never ends here."""
        return self._fetched_block is None and not is_mine(self)

    @property
    def done(self) -> bool:
        return self._fetched_block is not None or self.error is not None

    def result(self) -> bytes:
        """The block, waited for if it is under way."""
        while not self.done and not self._done.wait(_CHECK_INTERVAL):
            if self.lost:  # the process was forked while it waited here
                return self._fetch(self.number)
        if self.error is not None:
            raise self.error
        assert self._fetched_block is not None
        return self._fetched_block


class BackgroundBlockCache(BlockCache):
    """A `BlockCache` that fetches the next block in the background, while reads go on in order."""

    name: ClassVar[str] = "background"

    _block_ahead: _BackgroundFetch | None = None  # this and the next are not pickled
    _last_block: int | None = None  # the block in which the read before ended

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int, maxblocks: int = 32) -> None:
        super().__init__(blocksize, fetcher, size, maxblocks)
        self._closed = False

    def close(self) -> None:
        """Stop fetching ahead, without waiting for what is under way."""
        self._closed = True
        self._block_ahead = None

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        start, end = self._clip_range(start, end)
        if self._block_ahead is not None:
            self._take_ahead(self._block_ahead, start // self.blocksize, (end - 1) // self.blocksize)
        out = super()._fetch(start, end)
        if out and not self._closed:
            last = (end - 1) // self.blocksize
            before, self._last_block = self._last_block, last
            # reads that stay within a block are in order, but do not show that the next one is wanted
            if before is None or (before < last and before <= start // self.blocksize <= before + 1):
                self._begin_ahead(last + 1)
        return out

    def _begin_ahead(self, number: int) -> None:
        if self._block_ahead is None and number < self.nblocks and number not in self._kept_blocks:
            try:
                # looked up here, so that a replaced _fetch_block is used in the background, too
                self._block_ahead = _BackgroundFetch(number, self._fetch_block)
            except RuntimeError:  # no thread can be started, the interpreter is ending
                self._closed = True

    def _take_ahead(self, ahead: _BackgroundFetch, first: int, last: int) -> None:
        """Keep the block that has come meanwhile; wait for it if it is among those wanted."""
        wanted = first <= ahead.number <= last
        if ahead.lost:
            self._block_ahead = None
        elif wanted or ahead.done:
            self._block_ahead = None
            if wanted or ahead.error is None:  # an error is raised only for a read of this block
                keep_newest(self._kept_blocks, ahead.number, ahead.result(), self.maxblocks)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_block_ahead", "_last_block")}


class MMapCache(BaseCache):
    """Keeps blocks in a sparse file that is mapped into memory.

    Blocks that are missing side by side are one request; they are kept until the cache
    goes, however many there are.

    Parameters
    ----------
    location
        the file; by default a temporary one without a name. It stays where it is.
    blocks
        the numbers of the blocks that the file has. The set is added to, so that
        the caller sees which come; those that lie beyond the end of the file are taken out of it.
    multi_fetcher
        called with all the ranges that are missing, instead of ``fetcher`` for each.

    Notes
    -----
    The mapping is only read.  Blocks are written by system calls, which fail on a full disk
    where writing to a mapping ends the process; what could not be written is handed out, and
    not kept.

    A forked child reads what is in the file, and keeps what it fetches itself to itself:
    in memory, and in ``blocks``, which is a set of its own from then on.
    """

    name: ClassVar[str] = "mmap"
    _makes_file = True  # if none is at the location

    def __init__(
        self, blocksize: int, fetcher: Fetcher, size: int, location: str | None = None,
        blocks: set[int] | None = None, multi_fetcher: MultiFetcher | None = None,
    ) -> None:  # fmt: skip
        super().__init__(blocksize, fetcher, size)
        self.blocks: set[int] = blocks if blocks is not None else set()
        self.location = location
        self.multi_fetcher = multi_fetcher
        self._begin_empty()

    def _begin_empty(self) -> None:
        own(self)
        self._is_private = False
        # blocks that are not in the file: in what, from where
        self._blocks_apart: dict[int, tuple[bytes, int]] = {}
        self._read_to = -1  # where the last read ended
        self.refuses: bool = False  # whether the file could not be written
        self._file_descriptor = -1  # not a file object, which would warn when collected in a cycle
        self.cache: Any = self._makefile()

    def _makefile(self) -> bytearray | mmap.mmap:
        # by upstream's name: subclasses replace it, to map a file in a folder of their own
        import mmap
        import tempfile

        if self.size == 0:
            return bytearray()
        if self.location is None:
            self.blocks.clear()
            file: Any = tempfile.TemporaryFile(buffering=0)
        else:
            flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | (os.O_CREAT if self._makes_file else 0)
            file = open(
                self.location,
                "r+b",
                buffering=0,
                opener=lambda path, _: new_descriptor(os.open, path, flags, 0o666),
            )
        with file:
            self._file_descriptor = new_descriptor(os.dup, file.fileno())
        there = os.fstat(self._file_descriptor).st_size
        if there < self.size:
            self.blocks -= {n for n in self.blocks if min((n + 1) * self.blocksize, self.size) > there}
            try:
                os.truncate(self._file_descriptor, self.size)
            except OSError as error:
                name_target(error, None, self.location or tempfile.gettempdir())
                raise
        return mmap.mmap(self._file_descriptor, self.size, access=mmap.ACCESS_READ)

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        fd, self._file_descriptor = self.__dict__.get("_file_descriptor", -1), -1
        if fd >= 0:
            _close(fd)  # at the interpreter's end the name ``os`` may stand for None

    def _begin_in_child(self) -> None:
        """Go on in a child: the file is read, and fetched blocks are kept in memory."""
        own(self)
        self._is_private = True
        self.blocks = set(self.blocks)

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        if not is_mine(self):
            self._begin_in_child()
        if start is None or end is None or start < 0 or end > self.size:
            start, end = self._clip_range(start, end)
        if start >= end:
            return b""
        first, last = start // self.blocksize, (end - 1) // self.blocksize
        known = self.blocks
        if first == last and first in known:
            self._read_to = end
            self.hit_count += 1
            if not self._blocks_apart:
                found: bytes = self.cache[start:end]
                return found
            return self.kept(start, end)
        missing = self.missing(start, end)
        self._read_to = end
        return joined(self._fetch_missing(start, end, missing)) if missing else self.kept(start, end)

    def _fetch_missing(self, start: int, end: int, missing: list[tuple[int, int]]) -> list[Any]:
        """Fetch and keep ranges, and return a read that includes them. Fetched data is returned as it
        came: read from the mapping, each page would cost a fault."""
        pieces: list[Any] = []
        position = start
        for (left, right), data in zip(missing, self._ask_for(missing)):
            data = self.store(left, right, data)
            if position < left:
                pieces.append(self.kept(position, left))
                position = left
            last = min(end, right)
            whole = position == left and last - left == len(data)
            pieces.append(data if whole else memoryview(data)[position - left : last - left])
            position = last
        if position < end:
            pieces.append(self.kept(position, end))
        return pieces

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges to fetch for the bytes from ``start`` to ``end``; also counts hits and misses.

        If a file is read in order by whole blocks, each request includes the following block, and a last
        single block: it would else need a request of its own.
        """
        if self._blocks_apart and not self._is_private:  # blocks not written to a full disk
            self._blocks_apart.clear()
        numbers = range(start // self.blocksize, -(-end // self.blocksize))
        missing = [number for number in numbers if number not in self.blocks]
        self.miss_count += len(missing)
        self.hit_count += len(numbers) - len(missing)
        after = numbers.stop
        in_order = start == self._read_to or end + self.blocksize >= self.size
        if missing[-1:] == [after - 1] and in_order and end == after * self.blocksize < self.size:
            missing += [after] if after not in self.blocks else []
        return self.ranges(missing)

    def ranges(self, numbers: Iterable[int]) -> list[tuple[int, int]]:
        """Where blocks are in the file, those side by side as one range."""
        ranges: list[tuple[int, int]] = []
        for number in numbers:
            left = number * self.blocksize
            right = min(left + self.blocksize, self.size)
            if ranges and ranges[-1][1] == left:
                ranges[-1] = ranges[-1][0], right
            else:
                ranges.append((left, right))
        return ranges

    def _ask_for(self, ranges: list[tuple[int, int]]) -> Iterable[bytes]:
        for left, right in ranges:
            log_fetch(self.name, self.fetcher, left, right)
        if self.multi_fetcher is not None:
            return self.multi_fetcher(ranges)
        return (self.fetcher(left, right) for left, right in ranges)

    def store(self, left: int, right: int, data: bytes) -> bytes:
        """Keep what was fetched of a range that begins and ends with blocks; returns that, and no more.

        Raises
        ------
        OSError
            if there is not enough of it.
        """
        if type(data) is not bytes or len(data) != right - left:
            data = self._check_fetched(data, left, right)
            if len(data) < right - left:
                raise self._short_fetch(left, right, len(data))
        self.total_requested_bytes += right - left
        view = memoryview(data)
        numbers = range(left // self.blocksize, -(-right // self.blocksize))
        if not self._is_private:
            try:
                if self._file_descriptor >= 0:
                    _write_at(self._file_descriptor, view, left)
                else:  # the mapping of a subclass
                    self.cache[left:right] = view
            except OSError as error:
                self._stop_keeping(error)
            else:
                self.blocks.update(numbers)
                return data
        else:
            self.blocks.update(numbers)
        self._blocks_apart.update((number, (data, number * self.blocksize - left)) for number in numbers)
        return data

    def kept(self, start: int, end: int) -> bytes:
        """Bytes whose blocks are kept, or have just been handed to `store`."""
        blocksize, apart = self.blocksize, self._blocks_apart
        numbers = range(start // blocksize, -(-end // blocksize))
        if not apart or apart.keys().isdisjoint(numbers):
            found: bytes = self.cache[start:end]
            return found
        parts: list[Any] = []
        for number in numbers:
            left = number * blocksize
            first, last = max(start, left), min(end, left + blocksize)
            if number in apart:
                data, at = apart[number]
                parts.append(memoryview(data)[at + first - left : at + last - left])
            else:
                parts.append(self.cache[first:last])
        return b"".join(parts)

    def _stop_keeping(self, error: OSError) -> None:
        if not self.refuses:
            self.refuses = True
            import logging

            logger = logging.getLogger("fsspec.caching")
            logger.warning("%s does not take what was read, it is not kept: %s", self.location, error)

    def _held_from(self, position: int) -> Held | None:
        if not is_mine(self):
            self._begin_in_child()
        number = position // self.blocksize
        if number not in self.blocks or position >= self.size:
            return None
        left = number * self.blocksize
        stop = min(left + self.blocksize, self.size)
        if number not in self._blocks_apart:
            return Held(self.cache, position, stop)
        data, at = self._blocks_apart[number]
        return Held(data, at + position - left, at + stop - left)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["blocks"] = self.blocks.difference(self._blocks_apart)  # those are in no file
        for name in (
            "cache",
            "_file_descriptor",
            "_fork_generation",
            "_is_private",
            "_blocks_apart",
            "refuses",
        ):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_empty()


def _write_at(fd: int, data: memoryview, position: int) -> None:
    """Write all of some bytes into a file."""
    while data:
        if hasattr(os, "pwrite"):
            done = os.pwrite(fd, data, position)
        else:  # Windows
            os.lseek(fd, position, os.SEEK_SET)
            done = os.write(fd, data)
        data, position = data[done:], position + done
