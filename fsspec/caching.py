"""Read caches of open files, by ``cache_type``: which bytes are asked for besides those wanted, and are kept.

Owns the caches that keep the first bytes, the whole file, or the parts that they were given, and the
table of all caches by name, `caches`.  Those that keep one stretch are in `_files.caches_stretch`, those
that keep blocks of equal size in `_files.caches_block`; what holds for all of them is in
`_files.caches_base`.

Nothing here starts a thread, opens a file or imports anything heavy before a cache that
needs it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from fsspec._files.caches_base import (
    BaseCache,
    Fetcher,
    Held,
    MultiFetcher,
    UpdatableLRU,
    check_fetched,
    path_of,
)
from fsspec._files.caches_block import BackgroundBlockCache, BlockCache, MMapCache
from fsspec._files.caches_stretch import BytesCache, ReadAheadCache
from fsspec._paths.paths import type_name
from fsspec._public import publish
from fsspec._similar import is_meant

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from fsspec.prefetcher import BackgroundPrefetcher

    logger: logging.Logger

__all__ = [
    "AdaptiveReadaheadCache",
    "AllBytes",
    "BackgroundBlockCache",
    "BaseCache",
    "BlockCache",
    "BytesCache",
    "Fetcher",
    "FirstChunkCache",
    "KnownPartsOfAFile",
    "MMapCache",
    "MultiFetcher",
    "ReadAheadCache",
    "UpdatableLRU",
    "caches",
    "register_cache",
]


class FirstChunkCache(BaseCache):
    """Keeps only the first block of the file, where formats have their header."""

    name: ClassVar[str] = "first"

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int) -> None:
        if size is not None and blocksize > size:
            blocksize = size
        super().__init__(blocksize, fetcher, size)
        self.cache: bytes | None = None

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        if start is None or end is None or start < 0 or self.size is None or end > self.size:
            start, end = self._clip_range(start, end)
        if start >= end:
            return b""
        if start >= self.blocksize:
            self.miss_count += 1
            self.total_requested_bytes += end - start
            return self._fetch_uncached(start, end)
        if self.cache is None:
            self.miss_count += 1
            if end <= self.blocksize:
                self.hit_count += 1  # as it is served from what is kept
            data = self._fetch_uncached(0, max(end, self.blocksize))
            self.total_requested_bytes += len(data)
            self.cache = data[: self.blocksize]
            return data[start:end]
        self.hit_count += 1
        if end <= self.blocksize:
            return self.cache[start:end]
        self.total_requested_bytes += end - self.blocksize
        rest = self._fetch_uncached(self.blocksize, end)
        return b"".join((memoryview(self.cache)[start:], memoryview(rest)[: end - self.blocksize]))

    def _held_from(self, position: int) -> Held | None:
        if self.cache is None or not 0 <= position < len(self.cache):
            return None
        return Held(self.cache, position, len(self.cache))


class AllBytes(BaseCache):
    """Keeps the whole file, fetched when the cache is made unless it is given.

    Parameters
    ----------
    data
        the content of the file; then the other arguments are not needed.
    """

    name: ClassVar[str] = "all"
    fetcher: Callable[[int, int | None], bytes]

    def __init__(
        self,
        blocksize: int | None = None,
        fetcher: Callable[[int, int | None], bytes] | None = None,
        size: int | None = None,
        data: bytes | None = None,
    ) -> None:
        super().__init__(blocksize, fetcher, size)  # type: ignore[arg-type]  # None with ``data`` alone
        self.data: bytes = self._fetch_all() if data is None else data

    def _fetch_all(self) -> bytes:
        if self.fetcher is None:
            raise ValueError("a cache of all bytes needs the bytes, or a fetcher and the size")
        self.miss_count += 1
        if self.size is not None:
            found = self._fetch_uncached(0, self.size)
        else:
            found = self.fetcher(0, None)
            check_fetched(found, 0, None, None, self.fetcher)
        self.total_requested_bytes += len(found)
        return found

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        self.hit_count += 1
        return self.data[start:stop]

    def _held_from(self, position: int) -> Held | None:
        return Held(self.data, position, len(self.data)) if 0 <= position < len(self.data) else None


_Parts = dict[tuple[int, int], bytes] | None
"""Bytes by where they begin and end."""


class KnownPartsOfAFile(BaseCache):
    """Serves parts of a file that were fetched beforehand, and makes no request.

    Parameters
    ----------
    data
        bytes by their ``(start, end)``; parts that touch are joined.  The mapping stays
        the caller's.
    strict
        raise for a read that continues past a known part.  Otherwise what is not known of
        it is filled with zeros: for readers that know beforehand which parts they will want and
        read over the gaps between them.
    """

    name: ClassVar[str] = "parts"

    def __init__(
        self, blocksize: int, fetcher: Fetcher, size: int, data: _Parts = None, strict: bool = False, **_: Any
    ) -> None:
        self.data: dict[tuple[int, int], bytes] = _joined_parts(data or {})
        super().__init__(blocksize, fetcher, size)
        self._file_size, self._assigned = size, False
        self.strict = strict

    _file_size: int | None = None  # pickles of other releases of fsspec do not have these two
    _assigned = False

    @property
    def size(self) -> int:
        """How many bytes are known; or what a program that added parts says that the file has."""
        if self._assigned and self._file_size is not None:
            return self._file_size
        return sum(map(len, self.data.values()))

    @size.setter
    def size(self, value: int) -> None:
        self._file_size, self._assigned = value, True

    @property
    def nblocks(self) -> int:
        """How many parts there are, after joining."""
        return len(self.data)

    @nblocks.setter
    def nblocks(self, value: int) -> None:
        pass  # see size

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start = start or 0
        size = self._file_size
        if stop is None or (size is not None and stop > size):
            stop = size if size is not None else max((right for _, right in self.data), default=0)
        if start >= stop:
            return b""
        self.total_requested_bytes += stop - start
        for (left, right), part in self.data.items():
            if left <= start < right:
                break
        else:
            self.miss_count += 1
            raise self._unknown_range(start, stop)
        if stop <= right:
            self.hit_count += 1
            return part[start - left : stop - left]
        if self.strict:
            self.miss_count += 1
            raise self._unknown_range(start, stop)
        self.hit_count += 1
        out = bytearray(stop - start)
        for (left, right), part in self.data.items():
            first, last = max(left, start), min(right, stop)
            if first < last:
                out[first - start : last - start] = memoryview(part)[first - left : last - left]
        return bytes(out)

    def _unknown_range(self, start: int, stop: int) -> ValueError:
        path = path_of(self.fetcher)
        of = f" of {path!r}" if path else ""
        return ValueError(
            f"bytes {start}-{stop}{of} are not among the parts that were fetched: {list(self.data)};"
            " open the file with another cache_type to read them"
        )

    def _held_from(self, position: int) -> Held | None:
        for (left, right), part in self.data.items():
            if left <= position < right:
                return Held(part, position - left, right - left)
        return None


def _joined_parts(data: dict[tuple[int, int], bytes]) -> dict[tuple[int, int], bytes]:
    """Parts in order, those that touch as one; a part ends where its bytes do."""
    out: dict[tuple[int, int], bytes] = {}
    run: list[bytes] = []
    first = last = 0
    for (start, stop), part in sorted(data.items(), key=lambda item: item[0]):
        part = part[: stop - start]
        if run and start <= last:
            part = part[last - start :]  # empty if all of it is kept already
            start = last
            run.append(part)
        else:
            if run:
                out[first, last] = b"".join(run)
            run, first = [part], start
        last = start + len(part)
    if run:
        out[first, last] = run[0] if len(run) == 1 else b"".join(run)
    return out


class AdaptiveReadaheadCache(BaseCache):
    """Fetches ahead in the background, the more the longer the file is read in order.

    Parameters
    ----------
    concurrency
        how many requests may be under way at once.
    max_prefetch_size
        bytes that may be fetched ahead at most; by default as `fsspec.prefetcher` says.
    min_prefetch_size
        bytes that are fetched ahead at least, from the second read in a row on, but not more than 64 times
        what was read: for connections that are slow one by one. Long reads then use several as well.
    """

    name: ClassVar[str] = "adaptive"
    fetches_ahead: ClassVar[bool] = True
    concurrency: int
    max_prefetch_size: int | None

    _background_prefetcher: BackgroundPrefetcher | None = None

    def __init__(
        self, blocksize: int, fetcher: Fetcher, size: int, concurrency: int = 4,
        max_prefetch_size: int | None = None, min_prefetch_size: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(blocksize, fetcher, size)
        self.concurrency, self.max_prefetch_size = concurrency, max_prefetch_size
        self.min_prefetch_size = min_prefetch_size
        self._background_prefetcher = self._make_prefetcher()

    def _make_prefetcher(self) -> BackgroundPrefetcher:
        # neither loads before such a cache is made; always fsspec's loop, since reads block
        from fsspec._loop.bridge import get_loop
        from fsspec.prefetcher import BackgroundPrefetcher, threaded

        how = self.concurrency, self.max_prefetch_size, get_loop(), self.min_prefetch_size
        return BackgroundPrefetcher(threaded(self._fetch_uncached), self.size, *how)

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        start, end = self._clip_range(start, end)
        if start >= end:
            return b""
        prefetcher = self._background_prefetcher
        if prefetcher is None:
            prefetcher = self._background_prefetcher = self._make_prefetcher()
        self.miss_count += 1
        data = prefetcher.read(start, end, self._fetch_uncached)
        self.total_requested_bytes += len(data)
        return data

    def continue_from(self, position: int, size: int) -> None:
        """Take reads of ``size`` bytes up to ``position``, which came by another way, for reads in order."""
        if self._background_prefetcher is not None:
            self._background_prefetcher.continue_from(position, size)

    def close(self) -> None:
        """Stop fetching ahead, not waiting for what is under way; a later read starts over."""
        prefetcher, self._background_prefetcher = self.__dict__.get("_background_prefetcher"), None
        if prefetcher is not None:
            prefetcher.abandon()

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_background_prefetcher": None}


class UnknownCacheError(ValueError, KeyError):
    """A ``cache_type`` that there is not."""

    __str__ = Exception.__str__  # KeyError would quote it


class _Caches(dict[str | None, type[BaseCache]]):
    def __missing__(self, name: object) -> NoReturn:
        known = ", ".join(sorted(key for key in self if key))
        raise UnknownCacheError(f"the cache_type {name!r} is not known; there are: {known}")


caches: dict[str | None, type[BaseCache]] = _Caches({None: BaseCache})
"""The caches by the names that ``cache_type`` may have."""


def make_cache(name: str | None, options: dict[str, Any], *given: Any) -> BaseCache:
    """A cache by its name; ``given``: block size, fetcher and size. Raises TypeError, which names the options
    of the cache, for an option that it does not have."""
    kind = caches[name]
    try:
        return kind(*given, **options)
    except TypeError:
        import inspect  # only if something is wrong already

        taken = inspect.signature(kind).parameters.values()
        names = [p.name for p in taken if p.name not in ("blocksize", "fetcher", "size")]
        if not isinstance(options, Mapping):
            raise TypeError(
                f"cache_options of the cache_type {name!r} is a dict of options, not {type_name(options)};"
                f" it takes {', '.join(names) or 'none'}"
            ) from None
        wrong = [option for option in options if option not in names]
        if not wrong or any(p.kind is p.VAR_KEYWORD for p in taken):
            raise
    takes = "; ".join(filter(None, (", ".join(names) or "no options", is_meant(wrong[0], names))))
    raise TypeError(f"cache_options of the cache_type {name!r} has {wrong[0]!r}; it takes {takes}")


def register_cache(cls: type[BaseCache], clobber: bool = False) -> None:
    """Let ``cache_type`` name a cache.

    Parameters
    ----------
    cls
        a `BaseCache` with a ``name``.
    clobber
        take the place of another class of that name.

    Raises
    ------
    ValueError
        if the name is taken.
    TypeError
        if it is not a class of a cache.
    """
    name = getattr(cls, "name", None)
    if name is None or not callable(cls) or (isinstance(cls, type) and not hasattr(cls, "_fetch")):
        raise TypeError(
            f"{cls!r} cannot serve cache_type={name!r}: derive a class from BaseCache, with a name"
        )
    if not clobber and name in caches:
        raise ValueError(f"Cache with name {name!r} is already known: {caches[name]}")
    caches[name] = cls


for _cls in (
    BaseCache,
    MMapCache,
    BytesCache,
    ReadAheadCache,
    BlockCache,
    FirstChunkCache,
    AllBytes,
    KnownPartsOfAFile,
    BackgroundBlockCache,
    AdaptiveReadaheadCache,
):
    publish(__name__, _cls)
    register_cache(_cls)
publish(__name__, UpdatableLRU, logger="fsspec.caching")
del _cls
