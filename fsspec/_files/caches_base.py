"""The base class of read caches, which stand between a file object and its requests.

A cache serves ``_fetch(start, end)`` from bytes that it keeps and calls ``fetcher`` for
the others.  Invariants:

* positions count from the beginning of the file, ``end`` is exclusive, and nothing past
  ``size`` is asked for;
* what comes back from ``fetcher`` shorter than asked for is an error, and nothing of it
  is kept: a block is whole or absent. What is longer is cut, or kept where it belongs;
* the bytes handed out are copied once, on the way out.

A cache belongs to one file object. Threads that read from it at once get right bytes, and may each
ask for those that are missing.  In a forked
child it continues with the blocks it holds: they are memory of the child's own.  Those that
own more than memory (threads, mappings) replace that on first use there.
"""

from __future__ import annotations

import io
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

from fsspec._paths.redaction import redact_url
from fsspec.exceptions import IncompleteRead, ShortFetch

K = TypeVar("K")
V = TypeVar("V")

Fetcher = Callable[[int, int], bytes]
"""Maps ``(start, end)`` to those bytes of the file."""

MultiFetcher = Callable[[list[tuple[int, int]]], list[bytes]]
"""Maps many ``(start, end)`` to their bytes, in the same order."""


_logger: Any = None  # found once: looking it up takes longer than a read that is not logged


def path_of(fetcher: object) -> str:
    """The file that a fetcher reads, for messages; empty if it does not say."""
    path = getattr(getattr(fetcher, "__self__", None), "path", None)
    return redact_url(path) if path else ""


def check_fetched(data: object, start: int, stop: int | None, size: int | None, fetcher: object) -> None:
    """Check what a fetcher returned: its type, and that it is not the whole file in place of a part.

    Raises
    ------
    TypeError
        it is not bytes.
    IncompleteRead
        it is the whole file, though a later part was asked for.
    """
    kind: type[Exception]
    try:
        if memoryview(data).nbytes != size or start <= 0:  # type: ignore[arg-type]  # it is what is asked
            return
    except TypeError:
        kind, answer = TypeError, f"{type(data).__name__}, where the content of a file is bytes"
    else:
        kind, answer = IncompleteRead, f"all {size} bytes of the file: the store ignores where a read begins"
    owner = getattr(fetcher, "__self__", None)
    fs = getattr(owner, "fs", None)
    name = getattr(fetcher, "__name__", type(fetcher).__name__)
    method = name if owner is None else f"{type(owner).__name__}.{name}"
    of = f" of {type(fs).__name__}" if fs is not None else ""
    where = f" of {path_of(fetcher)!r}" if path_of(fetcher) else ""
    raise kind(f"{method}{of} was asked for bytes {start}-{stop}{where}, and gave {answer}")


def log_fetch(cache: str, fetcher: object, start: int, stop: int | None) -> None:
    """Log a fetch at DEBUG. Does nothing if the program has not imported ``logging``, since then there is no
    handler."""
    global _logger
    if _logger is None:
        logging = sys.modules.get("logging")
        if logging is None:
            return
        _logger = logging.getLogger("fsspec.caching")
    if _logger.isEnabledFor(10):  # DEBUG
        _logger.debug("%s asks for bytes %s-%s of %s", cache, start, stop, path_of(fetcher) or "its file")


class Held(NamedTuple):
    """A view of kept bytes, and the position in the file at which it begins."""

    block: Any
    """bytes, or something else with ``find`` and slices that are bytes."""
    at: int
    """where in the block the position asked for lies."""
    stop: int
    """up to where the block is filled."""


class BaseCache:
    """Keeps nothing: each read is a request for exactly its bytes.

    Parameters
    ----------
    blocksize
        bytes; what a cache fetches at least, or in addition, is for it to say.
    fetcher
        called with start and end, returns the bytes between.
    size
        of the file, in bytes; None if it is unknown.
    """

    name: ClassVar[str] = "none"
    fetches_ahead: ClassVar[bool] = False
    """Whether it has several fetches under way at once, so that what fetches need not read ahead."""
    reads_little: ClassVar[bool] = False
    """Whether reads here and there are fetched as they are, without a block that follows them; such a cache
    has ``holds``."""
    _keeps_surplus: ClassVar[bool] = False  # whether bytes beyond the requested end are kept
    size: int
    blocksize: int
    nblocks: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_fetch" in cls.__dict__ and "_fetch_views" not in cls.__dict__:
            # the inherited one belongs to another _fetch
            cls._fetch_views = BaseCache._fetch_views  # type: ignore[method-assign]

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int) -> None:
        self.fetcher = fetcher
        self.size, self.blocksize = size, blocksize
        self.nblocks = 0
        self._reset_stats()

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        """The bytes from ``start`` up to ``stop``, fewer only if the file ends before. None is the
        beginning of the file, or its end."""
        size = self.size
        if start is None or stop is None or start < 0 or size is None or stop > size:
            start, stop = self._clip_range(start, stop)
        if start >= stop:
            return b""
        if _logger is None or _logger.isEnabledFor(10):
            log_fetch(self.name, self.fetcher, start, stop)
        data = self.fetcher(start, stop)
        if type(data) is not bytes or len(data) != stop - start:
            return self._check_fetched(data, start, stop)
        return data

    _fetch_uncached = _fetch  # for classes whose own `_fetch` is another

    def _fetch_views(self, start: int | None, stop: int | None) -> list[Any]:
        """As `_fetch`, in pieces that may be views of what is kept: for whoever copies them elsewhere."""
        return [self._fetch(start, stop)]

    def _held_from(self, position: int) -> Held | None:
        """What is kept from a position, not copied; None if nothing is, or it is unknown. For callers that
        search in a file: no request is made."""
        return None

    def _clip_range(self, start: int | None, stop: int | None) -> tuple[int, int]:
        if start is None:
            start = 0
        elif start < 0 and self.size is not None:  # from the end, as in a slice
            start = max(0, start + self.size)
        size = self.size
        if stop is None or (size is not None and stop > size):
            stop = size
        return start, stop

    def _check_fetched(self, data: bytes, start: int, stop: int) -> bytes:
        """Cut data to the requested range, as bytes. Raises ShortFetch: it is too short, unless the fetcher
        has found the size given by the program to be too large."""
        check_fetched(data, start, stop, self.size, self.fetcher)
        if not isinstance(data, bytes):  # a bytearray or a view of one, which may change
            data = bytes(data)
        if len(data) < stop - start and (self.size is None or len(data) < min(stop, self.size) - start):
            raise self._short_fetch(start, stop, len(data))
        return data if self._keeps_surplus else data[: stop - start]

    def _short_fetch(self, start: int, stop: int, got: int) -> ShortFetch:
        path = path_of(self.fetcher)
        of = f" of {path!r}" if path else ""
        return ShortFetch(
            f"bytes {start}-{stop}{of} came back as {got} instead of {stop - start}: the file became"
            f" shorter than the {self.size} bytes it had when it was opened, or the transfer broke off;"
            " open it again"
        )

    def _reset_stats(self) -> None:
        """Count from zero again."""
        self.hit_count = 0
        self.miss_count = 0
        self.total_requested_bytes = 0

    def _log_stats(self) -> str:
        """The counts, to be appended to a line of a log; empty if nothing was counted."""
        if self.hit_count == self.miss_count == 0:
            return ""
        return (
            f" , {self.name}: {self.hit_count} hits, {self.miss_count} misses,"
            f" {self.total_requested_bytes} total requested bytes"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {self.size} bytes, block size {self.blocksize},"
            f" block count {self.nblocks}: {self.hit_count} hits, {self.miss_count} misses,"
            f" {self.total_requested_bytes} bytes requested>"
        )


class Joining:
    """The buffer of a read whose first part is cached and whose rest is still to be fetched. The part is
    copied into the result at once: the cache may then drop it, and no byte is copied twice."""

    def __init__(self, part: bytes | memoryview) -> None:
        self._file = io.BytesIO()
        self._file.write(part)

    def part(self) -> bytes:
        return self._file.getvalue()

    def ended(self, rest: bytes | memoryview) -> bytes:
        self._file.write(rest)
        return self._file.getvalue()


def joined(pieces: list[Any]) -> bytes:
    """The pieces as one; a single one that is bytes is not copied."""
    if len(pieces) == 1:
        return bytes(pieces[0])
    return b"".join(pieces)


def keep_newest(kept: OrderedDict[K, V], key: K, item: V, most: int) -> None:
    """Add an item as the most recently used, and evict the least recently used ones beyond ``most``."""
    if key in kept:
        kept.pop(key, None)
    kept[key] = item
    while len(kept) > most:
        try:
            kept.popitem(last=False)
        except KeyError:  # another thread emptied it
            return


def mark_used(kept: OrderedDict[K, V], key: K) -> None:
    try:
        kept.move_to_end(key)
    except KeyError:  # another thread has just dropped it
        pass


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
        self._cached_function = func
        self._max_size = max_size
        self._cache: OrderedDict[Any, Any] = OrderedDict()
        self._lru_hits = 0
        self._lru_misses = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(f"only positional arguments can be looked up, got {', '.join(kwargs)} by name")
        try:
            result = self._cache[args]
            self._cache.move_to_end(args)
        except KeyError:  # also if another thread has just dropped it
            self._lru_misses += 1
            result = self._cached_function(*args)
            self.add_key(result, *args)
        else:
            self._lru_hits += 1
        return result

    def is_key_cached(self, *args: Any) -> bool:
        """Whether a call with these arguments would be answered from what is kept."""
        return args in self._cache

    def add_key(self, result: object, *args: Any) -> None:
        """Keep a result that came by another way."""
        keep_newest(self._cache, args, result, self._max_size)

    def cache_info(self) -> CacheInfo:
        """Hits, misses and size."""
        return self.CacheInfo(self._lru_hits, self._lru_misses, self._max_size, len(self._cache))
