"""Caches that keep blocks of equal size, in memory or in a sparse file.

The first and the last byte of a read say which blocks it needs: the block after them is
not fetched, nor is anything past the end of the file.

Of a forked child's use: blocks in memory are its own.  A block that was being fetched in
the background at the fork is not waited for, its thread stayed in the parent.  A mapping
of a file is shared with the parent and is replaced by one in which writing is private.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from fsspec._files.caches_base import BaseCache, Fetcher, Held, MultiFetcher
from fsspec._fork import hooks


def _keep(kept: OrderedDict[Any, Any], key: Any, item: Any, most: int) -> None:
    """Add what was used last, and let go of what is longest unused until ``most`` are left."""
    kept.pop(key, None)
    kept[key] = item
    while len(kept) > most:
        try:
            kept.popitem(last=False)
        except KeyError:  # another thread emptied it
            return


class UpdatableLRU:
    """Keeps the last results of a function, and takes results from elsewhere as well.

    May be used by several threads: two that want the same missing result at once both
    call the function. It has no lock, so that a fork cannot leave one held.

    Parameters
    ----------
    func
        called with hashable positional arguments.
    max_size
        how many results are kept.
    """

    class CacheInfo(NamedTuple):
        """Counts, as those of ``functools.lru_cache``."""

        hits: int
        misses: int
        maxsize: int
        currsize: int

    def __init__(self, func: Callable[..., Any], max_size: int = 128) -> None:
        self._func = func
        self._max_size = max_size
        self._cache: OrderedDict[Any, Any] = OrderedDict()
        self._hits = 0
        self._misses = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"only positional arguments can be looked up, got {', '.join(kwargs)} by name")
        try:
            result = self._cache[args]
            self._cache.move_to_end(args)
        except KeyError:  # also where another thread has just dropped it
            self._misses += 1
            result = self._func(*args)
            self.add_key(result, *args)
        else:
            self._hits += 1
        return result

    def is_key_cached(self, *args: Any) -> bool:
        """Whether a call with these arguments would be answered from what is kept."""
        return args in self._cache

    def add_key(self, result: Any, *args: Any) -> None:
        """Keep a result that came by another way."""
        _keep(self._cache, args, result, self._max_size)

    def cache_info(self) -> CacheInfo:
        """How it has done so far."""
        return self.CacheInfo(self._hits, self._misses, self._max_size, len(self._cache))


class BlockCache(BaseCache):
    """Keeps the blocks used last; each that is missing is a request of its own.

    Parameters
    ----------
    maxblocks
        how many blocks are kept.
    """

    name: ClassVar[str] = "blockcache"

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int, maxblocks: int = 32) -> None:
        super().__init__(blocksize, fetcher, size)
        self.nblocks = -(-size // blocksize) if size else 0
        self.maxblocks = maxblocks
        self._forget()

    def _forget(self) -> None:
        self._kept: OrderedDict[int, bytes] = OrderedDict()  # by their numbers
        self._drops = self.nblocks > self.maxblocks  # otherwise their order is of no use
        self._hits = self._misses = 0

    def cache_info(self) -> UpdatableLRU.CacheInfo:
        """Hits, misses, the most blocks that are kept and how many there are."""
        return UpdatableLRU.CacheInfo(self._hits, self._misses, self.maxblocks, len(self._kept))

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        blocksize, kept = self.blocksize, self._kept
        if start is not None and end is not None:
            first = start // blocksize
            at, to = start - first * blocksize, end - first * blocksize
            if at <= to <= blocksize:
                try:
                    block = kept[first]
                    if self._drops:
                        kept.move_to_end(first)
                except KeyError:
                    pass  # it is fetched below
                else:
                    self._hits += 1
                    self.hit_count += 1
                    return block[at:to]
        start, end = self._bounds(start, end)
        if start >= end:
            return b""
        first, last = start // blocksize, (end - 1) // blocksize
        self.hit_count += last - first + 1
        block_of = self._block
        parts: list[Any] = [block_of(number) for number in range(first, last + 1)]
        parts[-1] = memoryview(parts[-1])[: end - last * blocksize]
        parts[0] = memoryview(parts[0])[start - first * blocksize :]
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        """A block that is kept; one that is not is fetched, and kept from now on."""
        kept = self._kept
        block = kept.get(number)
        if block is None:
            self._misses += 1
            block = self._fetch_block(number)
            _keep(kept, number, block, self.maxblocks)
            return block
        self._hits += 1
        try:
            kept.move_to_end(number)
        except KeyError:  # another thread has just dropped it
            pass
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
        data = self.fetcher(start, end)
        if len(data) == end - start:
            return data
        if len(data) < end - start:
            raise self._short(start, end, len(data))
        return data[: end - start]

    def _held(self, position: int) -> Held | None:
        number, at = divmod(position, self.blocksize)
        if number not in self._kept:
            return None
        block = self._block(number)
        return Held(block, at, len(block)) if at < len(block) else None

    def __getstate__(self) -> dict[str, Any]:
        """Without the blocks: they can be fetched again, and are large."""
        state = self.__dict__.copy()
        del state["_kept"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()


class _Ahead:
    """A block that a thread is fetching.

    The thread lives for one block, so that none is there between reads: nothing has to be
    closed, and a program that forks has one thread less.
    """

    def __init__(self, number: int, fetch: Callable[[int], bytes]) -> None:
        import threading

        self.number = number
        self.generation = hooks.generation
        self._fetch = fetch
        self._block: bytes | None = None
        self.error: BaseException | None = None
        self._done = threading.Event()
        hooks.start_thread(self._run, f"fsspec-block-{number}")

    def _run(self) -> None:
        try:
            self._block = self._fetch(self.number)
        except BaseException as error:  # handed to whoever wants the block
            self.error = error
        self._done.set()

    @property
    def lost(self) -> bool:
        """Under way in another process: it will not arrive."""
        return self._block is None and self.generation != hooks.generation

    @property
    def done(self) -> bool:
        return self._block is not None or self.error is not None

    def result(self) -> bytes:
        """The block, waited for if it is under way."""
        if not self.done:
            self._done.wait()
        if self.error is not None:
            raise self.error
        assert self._block is not None
        return self._block


class BackgroundBlockCache(BlockCache):
    """As `BlockCache`, and while reads go on in order the next block is fetched in the background."""

    name: ClassVar[str] = "background"

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int, maxblocks: int = 32) -> None:
        super().__init__(blocksize, fetcher, size, maxblocks)
        self._ahead: _Ahead | None = None
        self._reached: int | None = None  # the block in which the read before ended
        self._closed = False

    def close(self) -> None:
        """Fetch nothing ahead any more; what is under way is not waited for."""
        self._closed = True
        self._ahead = None

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        start, end = self._bounds(start, end)
        if self._ahead is not None:
            self._collect(start // self.blocksize, (end - 1) // self.blocksize)
        out = super()._fetch(start, end)
        if out and not self._closed:
            last = (end - 1) // self.blocksize
            before, self._reached = self._reached, last
            if before is None or before <= start // self.blocksize <= before + 1:
                self._begin(last + 1)
        return out

    def _begin(self, number: int) -> None:
        if self._ahead is None and number < self.nblocks and number not in self._kept:
            try:
                # a bound method: whoever replaces _fetch_block sees the background's calls too
                self._ahead = _Ahead(number, self._fetch_block)
            except RuntimeError:  # no thread can be started, the interpreter is ending
                self._closed = True

    def _collect(self, first: int, last: int) -> None:
        """Keep the block that has come meanwhile; wait for it if it is among those wanted."""
        ahead = self._ahead
        if ahead is None:
            return
        wanted = first <= ahead.number <= last
        if ahead.lost:
            self._ahead = None
        elif wanted or ahead.done:
            self._ahead = None
            if wanted or ahead.error is None:  # an error is for those who want the block
                _keep(self._kept, ahead.number, ahead.result(), self.maxblocks)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_ahead": None, "_reached": None}


class MMapCache(BaseCache):
    """Keeps blocks in a sparse file that is mapped into memory.

    Blocks that are missing side by side are one request; they are kept until the cache
    goes, however many there are.

    Parameters
    ----------
    location
        the file; by default a temporary one without a name. It stays where it is.
    blocks
        the numbers of the blocks that the file has. The set is added to, so that whoever
        gave it knows.
    multi_fetcher
        called with all the ranges that are missing, instead of ``fetcher`` for each.

    Notes
    -----
    A forked child reads what is in the file, and keeps what it fetches itself to itself:
    in the mapping and in ``blocks``, which is a set of its own from then on.
    """

    name: ClassVar[str] = "mmap"

    def __init__(
        self,
        blocksize: int,
        fetcher: Fetcher,
        size: int,
        location: str | None = None,
        blocks: set[int] | None = None,
        multi_fetcher: MultiFetcher | None = None,
    ) -> None:
        super().__init__(blocksize, fetcher, size)
        self.blocks: set[int] = blocks if blocks is not None else set()
        self.location = location
        self.multi_fetcher = multi_fetcher
        self._generation = hooks.generation
        self._private = False
        self._file: Any = None
        self.cache: Any = self._map()

    def _map(self) -> Any:
        import mmap

        if self.size == 0:
            return bytearray()
        if self.location is None:
            import tempfile

            self.blocks.clear()
            self._file = tempfile.TemporaryFile()
        elif os.path.exists(self.location):
            self._file = open(self.location, "r+b")
        else:
            self.blocks.clear()
            self._file = open(self.location, "wb+")
        if os.fstat(self._file.fileno()).st_size < self.size:
            self._file.truncate(self.size)
        return mmap.mmap(self._file.fileno(), self.size)

    def __del__(self) -> None:
        file = self.__dict__.get("_file")
        if file is not None:
            file.close()

    def _make_private(self) -> None:
        """In a child: the parent's blocks can still be read, what is written stays here."""
        import mmap

        self._generation = hooks.generation
        self.blocks = set(self.blocks)
        if self._file is not None and not self._private:  # a private mapping is copied by a further fork
            self._private = True
            self.cache = mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_COPY)

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        if self._generation != hooks.generation:
            self._make_private()
        start, end = self._bounds(start, end)
        if start >= end:
            return b""
        first, last = start // self.blocksize, (end - 1) // self.blocksize
        known = self.blocks
        missing = [n for n in range(first, last + 1) if n not in known]
        self.hit_count += last - first + 1 - len(missing)
        if missing:
            self.miss_count += len(missing)
            self._fill(missing)
        return bytes(self.cache[start:end])

    def _fill(self, missing: list[int]) -> None:
        ranges: list[tuple[int, int]] = []
        for number in missing:
            left = number * self.blocksize
            right = min(left + self.blocksize, self.size)
            if ranges and ranges[-1][1] == left:
                ranges[-1] = ranges[-1][0], right
            else:
                ranges.append((left, right))
        if self.multi_fetcher is not None:
            parts = zip(ranges, self.multi_fetcher(ranges))
            for (left, right), data in parts:
                if len(data) < right - left:
                    raise self._short(left, right, len(data))
                self._store(left, right, data)
        else:
            for left, right in ranges:
                self._store(left, right, self._ask(left, right))

    def _store(self, left: int, right: int, data: bytes) -> None:
        self.total_requested_bytes += right - left
        self.cache[left:right] = memoryview(data)[: right - left]
        self.blocks.update(range(left // self.blocksize, -(-right // self.blocksize)))

    def _held(self, position: int) -> Held | None:
        if self._generation != hooks.generation:
            self._make_private()
        number = position // self.blocksize
        if number not in self.blocks or position >= self.size:
            return None
        return Held(self.cache, position, min((number + 1) * self.blocksize, self.size))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["cache"], state["_file"], state["_generation"], state["_private"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._generation = hooks.generation
        self._private = False
        self._file = None
        self.cache = self._map()
