"""Read caches that keep one stretch of a file: what was fetched last, or what was read.

The stretch is one attribute, which is replaced at once, so that threads, and children forked
meanwhile, find the bytes and their place together.
"""

from __future__ import annotations

from typing import Any, ClassVar

from fsspec._files.caches_base import BaseCache, Fetcher, Held, Joining, joined


def _view_of(data: bytes, start: int, end: int) -> bytes | memoryview:
    """A view of a part of ``data``, or ``data`` itself if the part is all of it."""
    return data if start == 0 and end == len(data) else memoryview(data)[start:end]


class _StretchCache(BaseCache):
    """Keeps one stretch of the file.

    Threads may read one file at once: a read works on the stretch that there is when it begins, replaces it
    as a whole by one assignment, and returns bytes that it has fetched itself.
    """

    # the bytes before a position, the position, and the bytes after it: in two pieces, so that what comes is
    # kept as it is and not copied. One attribute, which is replaced at once.
    _kept_stretch: tuple[bytes, int | None, bytes] = b"", None, b""

    @property
    def cache(self) -> bytes:
        """All that is kept: the bytes from ``start`` to ``end``."""
        before, _, after = self._kept_stretch
        return before + after if before else after

    @cache.setter
    def cache(self, data: bytes) -> None:
        self._kept_stretch = b"", self.start, data

    @property
    def start(self) -> Any:
        """Where in the file it begins; None if nothing was kept yet."""
        before, middle, _ = self._kept_stretch
        return None if middle is None else middle - len(before)

    @start.setter
    def start(self, position: int | None) -> None:
        self._kept_stretch = b"", position, self.cache

    @property
    def end(self) -> Any:
        """Where in the file it ends; None if nothing was kept yet."""
        _, middle, after = self._kept_stretch
        return None if middle is None else middle + len(after)

    @end.setter
    def end(self, position: int | None) -> None:
        start = self.start
        if position is None or start is None:
            self._kept_stretch = b"", None, b""
        else:
            self._kept_stretch = b"", start, self.cache[: max(0, position - start)]

    def _held_from(self, position: int) -> Held | None:
        before, middle, after = self._kept_stretch
        if middle is None:
            return None
        at, piece = position - middle, after
        if at < 0:
            piece = before
            at += len(piece)
        return Held(piece, at, len(piece)) if 0 <= at < len(piece) else None


class ReadAheadCache(_StretchCache):
    """Fetches one block more than is wanted and keeps what came last.

    Good for reading in order; a read that goes back before what is kept starts over.
    """

    name: ClassVar[str] = "readahead"
    _keeps_surplus: ClassVar[bool] = True

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._kept_stretch = b"", 0, b""

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        _, begin, data = self._kept_stretch
        begin = begin or 0
        if start is not None and end is not None and begin <= start < end <= begin + len(data):
            self.hit_count += 1
            return data[start - begin : end - begin]
        start, end = self._clip_range(start, end)
        stop = begin + len(data)
        if begin <= start < stop < end:
            self.miss_count += 1
            out = Joining(memoryview(data)[start - begin :])
            del data
            try:
                return out.ended(_view_of(self._fetch_from(stop, end), 0, end - stop))
            except BaseException:  # of an interrupted fetch what came before it is kept
                self._kept_stretch = b"", start, out.part()[: stop - start]
                raise
        if begin <= start < stop or start >= end:
            return joined(ReadAheadCache._fetch_views(self, start, end))  # a subclass may have another
        self.miss_count += 1
        del data
        return self._fetch_from(start, end)[: end - start]

    def _fetch_views(self, start: int | None, end: int | None) -> list[Any]:
        start, end = self._clip_range(start, end)
        if start >= end:
            return [b""]
        _, begin, data = self._kept_stretch
        begin = begin or 0
        stop = begin + len(data)
        if begin <= start and end <= stop:
            self.hit_count += 1
            return [memoryview(data)[start - begin : end - begin]]
        self.miss_count += 1
        pieces: list[Any] = []
        if begin <= start < stop:
            pieces.append(data[start - begin :])  # copied, so that the memory of the rest is free
            start = stop
        del data
        try:
            pieces.append(_view_of(self._fetch_from(start, end), 0, end - start))
        except BaseException:  # of an interrupted fetch what came before it is kept
            if pieces:
                self._kept_stretch = b"", stop - len(pieces[0]), pieces[0]
            raise
        return pieces

    def _fetch_from(self, begin: int, end: int) -> bytes:
        """Fetch and keep the bytes from ``begin`` and one block more, after dropping what was kept."""
        self._kept_stretch = b"", begin, b""
        data = self._fetch_uncached(begin, min(self.size, end + self.blocksize))
        self.total_requested_bytes += len(data)
        self._kept_stretch = b"", begin, data
        return data


class BytesCache(_StretchCache):
    """Keeps one stretch of the file, which grows at either end as reads touch it.

    A read at the end of the stretch fetches one block ahead. A read that ends more than a block
    after the stretch, or begins before it, replaces it.

    Parameters
    ----------
    trim
        drop bytes at the beginning when the stretch grows beyond two blocks: kept are the
        current read and one block before its end.
    """

    name: ClassVar[str] = "bytes"

    def __init__(self, blocksize: int, fetcher: Fetcher, size: int, trim: bool = True) -> None:
        super().__init__(blocksize, fetcher, size)
        self.trim = trim

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        _, middle, after = self._kept_stretch
        if start is not None and end is not None and middle is not None:
            if middle <= start < end <= middle + len(after):
                self.hit_count += 1
                return after[start - middle : end - middle]
        del after
        return joined(BytesCache._fetch_views(self, start, end))  # a subclass may have another

    def _fetch_views(self, start: int | None, end: int | None) -> list[Any]:
        reach = end  # how far a read would go that the end of the file does not cut
        start, end = self._clip_range(start, end)
        if start >= end:
            return [b""]
        reach = end if reach is None else max(end, reach)
        before, middle, after = self._kept_stretch
        if middle is None:
            middle = left = right = start
        else:
            left, right = middle - len(before), middle + len(after)
            if left <= start and end <= right:
                self.hit_count += 1
                return _between(before, middle, after, start, end)
        self.miss_count += 1
        if start < left and end <= right and right - end <= self.blocksize:
            more = self._fetch_more(start, left)[: left - start]
            whole = b"".join((more, before, after))
            self._kept_stretch = b"", start, whole
            return [_view_of(whole, 0, end - start)]
        if left == right or start < left or start > right and reach > right + self.blocksize:
            before = after = b""
            middle = left = right = start
        ahead = min(self.size, end + self.blocksize)
        keep = left
        if self.trim and ahead - left >= 2 * (self.blocksize + 1):
            keep = max(left, min(start, right, end - self.blocksize))
        if keep >= right and not before:
            after = b""
            self._kept_stretch = b"", right, b""  # the memory is free before more comes
        more = self._fetch_more(right, ahead)
        if keep < right:
            before = joined(_between(before, middle, after, keep, right))
        else:
            before = b""
        self._kept_stretch = before, right, more
        return _between(before, right, more, start, end)

    def _fetch_more(self, start: int, end: int) -> bytes:
        data = self._fetch_uncached(start, end)
        self.total_requested_bytes += len(data)
        return data

    def __len__(self) -> int:
        before, _, after = self._kept_stretch
        return len(before) + len(after)


def _between(before: bytes, middle: int, after: bytes, start: int, end: int) -> list[Any]:
    """Bytes ``start`` to ``end`` of a stretch in two pieces, the second of which begins at ``middle``."""
    start, end = start - middle, end - middle
    if start >= 0:
        return [_view_of(after, start, end)]
    start += len(before)
    if end <= 0:
        return [_view_of(before, start, end + len(before))]
    return [_view_of(before, start, len(before)), _view_of(after, 0, end)]
