"""Reading a remote file ahead of its reader, if it is read in order and only there.

Each fetch of a file comes through its `ReadAhead`.  One that begins where the last ended
makes a *run*; from the second on, one request for the rest of the file is made and its
response is read as the reader goes on, held back by flow control while nobody reads.
Where a cache decides what is fetched, the request ends a little after that, since all
that a system buffers of a response is wasted if the reader stops.
Any other fetch asks for what is wanted and little more.  A stream that was given up
early makes the next one start later.

A stream that breaks is replaced by a request for the rest of what was wanted, so that a
server which drops idle connections is not noticed.  All answers have to be about the
version of the file that the first one was about; `ReadAhead` remembers it, also in a forked
child.  Everything runs on the loop; in a forked child the parent's stream is dropped
without being touched.
"""

from __future__ import annotations

import _thread
import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import aiohttp

from fsspec._files.caches_base import BaseCache, Fetcher, joined, log_fetch
from fsspec._fork.owned import is_mine, own
from fsspec._paths.redaction import redact_url
from fsspec.caching import BytesCache
from fsspec.implementations._http import responses
from fsspec.implementations._http.answers import Placed, RangesIgnoredError, Version, correct_size, exclusive
from fsspec.implementations._http.logs import logger
from fsspec.implementations._http.parsing import range_value, ranged
from fsspec.implementations._http.parts import MANY, gather
from fsspec.implementations._http.responses import BodyStream

if TYPE_CHECKING:
    from fsspec.implementations._http.file import HTTPFile


FIRST = 2**16
"""Bytes requested when a file is opened."""
MIN_READ = 2**14
"""Bytes requested at least, if a read is smaller."""
SMALL = 2**15
"""Bytes of a read up to which a request costs more than the bytes around it may."""
BURST = 2**18
"""Bytes up to which a read elsewhere fetches as many as were read in order before it."""
GROWTH = 2
"""Binary places by which `MIN_READ` grows with each small read whose request a block would have spared."""
GAP = 2**16
"""Bytes of a stream that are skipped rather than starting a new request."""
WINDOW = 2**17
"""Bytes requested at least beyond what a cache asks for in order, if that many of its fetches fit."""
SHARE = 8
"""The part of what was read in order that is requested beyond, if it is more than `WINDOW`."""
MAX_READ_AHEAD = 2**20
"""Bytes taken from a stream at a time, so that a reader seldom has to wait for the loop."""
STREAMS = 24
"""Responses that the files of one filesystem may hold open to read ahead."""

FAST = 100 * 2**20
"""Bytes per second above which one connection is not slower than several."""
PROBE = 2**20
"""Bytes over which the rate of a connection is measured."""

_BROKEN = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


class ReadAhead:
    """How one file fetches its bytes.

    ``file``: the `HTTPFile`; asked for its session, size and options at each use.
    ``streams``: the streams of its filesystem, to which this file's are added.
    ``several``: whether the file may be read over several connections if one is slow.
    ``slow``: whether the connection was slow; None until its rate is measured.
    ``exact``: whether no more is asked for than is read, also if it is read in order.
    ``splits``: whether reads of many bytes are made in parts, over several connections at once.
    """

    __slots__ = (
        "_file", "_next", "_open_streams", "_patience", "_run", "_run_from", "_waited", "exact", "several",
        "slow", "splits", "stream", "version",
    )  # fmt: skip

    def __init__(self, file: HTTPFile, streams: weakref.WeakSet[BodyStream]) -> None:
        self._file = file
        self._open_streams = streams
        self._next: int | None = None
        self._run = self._run_from = 0
        self._patience = 1
        self._waited = 0.0
        self.several = self.splits = self.exact = False
        self.slow: bool | None = None
        self.stream: BodyStream | None = None
        self.version = Version()

    async def fetch(self, start: int, end: int, run: int | None = None) -> list[bytes]:
        """The bytes from ``start`` up to ``end`` in pieces, fewer only where the file ends.

        ``run``: the number of preceding reads in order, if the caller counts reads; then more bytes than
            requested may be returned. By default fetches are counted.
        """
        if start >= end:
            return []
        most = None if run is not None else end - start
        if run is None:
            run = self._run = self._run + 1 if start == self._next else 0
            if not run:
                self._run_from = start
        self._next = end
        # removed while in use: concurrent fetches of other threads make their own requests
        stream, self.stream = self.stream, None
        lost = stream is not None and 0 <= start - stream.position <= GAP
        if stream is not None and not stream.inherited:
            parts = await self._continued(stream, start, end - start, most)
            if parts is not None:
                return parts
        try:
            return await self._asked(start, end, run, most)
        except RangesIgnoredError:
            if not lost:
                raise
        return await self._resume(start, end, most)

    async def _asked(self, start: int, end: int, run: int, most: int | None) -> list[bytes]:
        """As `fetch`, by a new request."""
        if run >= self._patience and not self.exact:
            size = self._file.size
            stop = size if most is None or size is None else min(size, end + self._window(start, most))
            if (
                stop is None or stop - start > (most or max(end - start, MAX_READ_AHEAD))
            ) and await self._may_open_stream():
                return await self._begun(start, end, most, stop)
            if most is None and size is not None:
                end = min(size, end + min(self._file.blocksize, MAX_READ_AHEAD, (end - start) << min(run, 6)))
        began = time.monotonic()
        data = await self.exactly(start, end)
        self._judge_speed(len(data), time.monotonic() - began)
        return [data]

    def _window(self, start: int, length: int) -> int:
        """How many bytes to request beyond a fetch in order of ``length`` bytes: for whole fetches."""
        read = start - self._run_from
        if read <= length:  # the second fetch of a run may be the cache's own: its reader stays where it is
            return 0
        most = max(WINDOW, read // SHARE)
        return most - most % length

    def _judge_speed(self, size: int, seconds: float) -> None:
        """Note whether the connection is slow: ``size`` bytes arrived while ``seconds`` were waited."""
        if self.several and self.slow is None and size >= PROBE // 4:
            self.slow = size < FAST * seconds

    async def _continued(
        self, stream: BodyStream, start: int, least: int, most: int | None
    ) -> list[bytes] | None:
        """The bytes from the current stream; None if it does not hold them."""
        if 0 <= start - stream.position <= GAP and not stream.done:
            began = time.monotonic()
            try:
                await stream.skip(start - stream.position)
                if most is None:  # take more at a time the longer it is read
                    parts = await stream.parts(max(least, min(MAX_READ_AHEAD, stream.delivered)))
                else:
                    parts = [await stream.take(least, most)]
            except _BROKEN as error:
                logger.debug("reading ahead in %s broke off: %s", redact_url(self._file.url), error)
            else:
                self._waited += time.monotonic() - began
                if stream.done:
                    self._judge_speed(stream.delivered, self._waited)
                end, size = start + least, self._file.size
                if stream.position < end and (size is None or stream.position < size):
                    # it was for less, or ended in the gap before ``start``
                    parts.append(await self.exactly(max(start, stream.position), end))
                self._keep(stream)
                return parts
        elif stream.delivered < MAX_READ_AHEAD:
            self._patience = min(8, self._patience * 2)
        stream.close()
        self._open_streams.discard(stream)
        return None

    def _keep(self, stream: BodyStream) -> None:
        if stream.done or self.stream is not None:
            stream.close()
            self._open_streams.discard(stream)
        else:
            self.stream = stream
            self._open_streams.add(stream)

    async def _may_open_stream(self) -> bool:
        connector = (await self._file._session_here()).connector
        bounds = [STREAMS]
        if connector is not None:
            bounds += [limit // 4 for limit in (connector.limit, connector.limit_per_host) if limit]
        return len(self._open_streams) < min(bounds)

    async def _request(
        self, start: int, end: int | None, streamed: bool = True
    ) -> tuple[aiohttp.ClientResponse, Placed]:
        """The response to a request for a range, and where its body lies in the file."""
        file = self._file
        session = await file._session_here()
        options = (
            dict(file.kwargs) if (start, end) == (0, None) else ranged(file.kwargs, range_value(start, end))
        )
        if streamed:
            options = responses.no_total_timeout(session, options)
        response = await file._request_sender.send(session, "get", file._request_url(), options)
        try:
            parse = exclusive(file._parse_content_range)
            at = responses.placed(response, file.url, start, end, self.version, parse)
            # an answer to another thread may have changed what is known
            self.version = self.version.updated(file.url, at.version)
            correct_size(file, self.version.size)
        except BaseException:  # a cancelled request, too, gives its connection up
            response.close()
            raise
        return response, at

    async def _range(self, start: int, end: int | None) -> tuple[aiohttp.ClientResponse, Placed]:
        """As `_request`. Raises RangesIgnoredError: the server ignores ranges, and ``start`` is not 0."""
        response, at = await self._request(start, end)
        if at.start < start:
            response.close()
            raise RangesIgnoredError(self._file.url)
        return response, at

    async def _begun(self, start: int, end: int, most: int | None, stop: Any) -> list[bytes]:
        began = time.monotonic()
        if self.several and self.slow is None:  # as much as is needed to measure the rate
            stop = min(stop, max(end, start + PROBE))
        response, at = await self._range(start, stop)
        self._waited = time.monotonic() - began
        if at.start == at.stop:
            response.close()
            return []
        stream = BodyStream(response, self._file.url, start)
        parts = await self._continued(stream, start, end - start, most)
        return parts if parts is not None else [await self.exactly(start, end)]

    async def _resume(self, start: int, end: int, most: int | None) -> list[bytes]:
        """Replace a stream that broke or was inherited, of a server without ranges: request the whole file
        again."""
        response, at = await self._request(start, self._file.size)
        stream = BodyStream(response, self._file.url, at.start)
        await stream.skip(start - at.start)
        parts = await self._continued(stream, start, end - start, most)
        return parts if parts is not None else [await self.exactly(start, end)]

    async def exactly(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, by one request for them."""

        async def fetch() -> bytes:
            response, at = await self._range(start, end)
            if at.stop is None or at.stop > end:  # the response is the whole file
                if response.status == 200 and "Content-Range" not in response.headers:
                    self._note_no_ranges()
                stream = BodyStream(response, self._file.url, at.start)
                data = await stream.take(end - at.start, end - at.start)
                responses.check_length(at, len(data), self._file.url, start, end)
                self._keep(stream)
                return data
            async with response:
                return await responses.read_placed(response, at, self._file.url, start, end)

        return cast("bytes", await self._file._request_sender.repeat(fetch))

    async def in_parts(self, start: int, end: int, head: bytes = b"") -> bytes | None:
        """``head``, which are the bytes before ``start``, and those up to ``end`` by several connections.
        None if `fetch` or `rest` is better."""
        if not self.splits or self.stream is not None or end - start <= MANY:
            return None
        file = self._file
        self._next = end
        read = partial(gather, file.fs, file.url, start, end, self.version, file.kwargs, head)
        data: bytes | None = await file._request_sender.repeat(read)
        self.splits = data is not None
        return data

    async def rest(self, head: bytes) -> bytes:
        """The whole file, whose first bytes are ``head``."""
        size = self._file.size
        if size is not None and len(head) >= size:
            return head

        async def fetch() -> bytes:
            response, at = await self._request(len(head), size, streamed=False)
            async with response:
                if at.start == at.stop:
                    return head
                kept = head if at.start else b""
                body = responses.Body(response, self._file.url, at.start)
                if size is not None and (at.stop is None or at.stop > size):
                    data = kept + await body.take(size - at.start, size - at.start)
                else:
                    data = await body.rest(kept)
                responses.check_length(at, len(data), self._file.url, 0, size)
                return data

        return cast("bytes", await self._file._request_sender.repeat(fetch))

    def _note_no_ranges(self) -> None:
        """Note that the server ignores ranges, so that the file has to come by one connection."""
        self.several = self.splits = False
        cache = getattr(self._file, "cache", None)  # some caches fetch in their constructor
        if isinstance(cache, AheadCache):
            cache.in_one = True

    def take_over(self, stream: BodyStream) -> None:
        """Use a response that brings the whole file as the stream, if the filesystem may hold another one
        open."""
        self._note_no_ranges()
        if len(self._open_streams) < STREAMS:
            self._keep(stream)
        else:
            stream.close()

    def drop(self) -> None:
        """Give up the stream, from any thread."""
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()
            self._open_streams.discard(stream)


class AheadCache(BytesCache):
    """The bytes around the last read, in the pieces in which `ReadAhead` brings them.

    ``fetcher``: ``fetcher(start, end)``: asked if a program has put another in its place.
    ``fetch_pieces``: ``fetch_pieces(start, end, run)``: as `ReadAhead.fetch`.
    ``in_one``: whether the server ignores ranges, so that the file is read from its beginning. Then the cache
        keeps all bytes up to a block after the first read, as `BytesCache` does; a file that ends before that
        is read to its end at once, since the connection may be lost while nobody reads.

    A read out of order fetches at least as much as was read in order before it (the header of a member and
    then its data), up to `BURST`, and at least `MIN_READ`. To fetch a block instead would have spared the
    requests of later reads within that block: after each of these, if it is small, the next one fetches more,
    up to a block, until a read is elsewhere. So small reads that are close together (small members of an
    archive, headers of HDF5) take a few requests more than with `BytesCache`, and reads that are far apart a
    fraction of its bytes.

    Threads read one file one at a time, since there is one stream.
    """

    reads_little: ClassVar[bool] = True
    _held_from = BaseCache._held_from

    def __init__(
        self, blocksize: int, fetcher: Fetcher, size: int, fetch_pieces: Callable[..., Iterable[bytes]]
    ) -> None:
        super().__init__(blocksize, fetcher, size)
        self._given_fetcher, self._fetch_pieces = fetcher, fetch_pieces
        self._kept_from = self._kept_until = 0
        self.in_one: bool = False
        self._pieces: deque[bytes] = deque()  # none empty
        self._first_end: int | None = None  # where the first read ended
        self._last: int | None = None
        self._run = 0
        self._burst = self._burst_from = 0  # how many bytes were read in order before; where that began since
        self._block = -1, -1  # what BytesCache would hold
        self._spared = 0  # requests of small reads there that BytesCache would not have made
        self._renew_lock()

    def _renew_lock(self) -> None:
        own(self)
        self._read_lock = _thread.RLock()  # the interpreter's own lock, which gevent does not replace

    def _begin_in_child(self) -> None:
        """Keep the bytes in a child, unless a thread of the parent was changing them at the fork."""
        if not self._read_lock.acquire(blocking=False):
            self._hold(deque(), 0, 0)
        self._renew_lock()

    @property
    def _kept_stretch(self) -> tuple[bytes, int | None, bytes]:
        return b"", self._kept_from, joined(list(self._pieces))

    def __len__(self) -> int:
        return max(0, self._kept_until - self._kept_from)

    def put(self, start: int, data: bytes) -> None:
        """Keep bytes that were fetched elsewhere."""
        self._hold(deque((data,)), start, start + len(data))

    def _hold(self, pieces: deque[bytes], start: int, end: int) -> None:
        self._kept_until = -1  # set first: after an interrupt between two steps nothing counts as kept
        self._pieces, self._kept_from = pieces, start
        self._kept_until = end

    def holds(self, start: int, end: int) -> bool:
        """Whether a read of these bytes makes no request."""
        return self._kept_from <= start <= end <= self._kept_until

    def head(self) -> bytes:
        """The kept bytes at the beginning of the file."""
        return joined(list(self._pieces)) if self._kept_from == 0 <= self._kept_until else b""

    def _fetch(self, start: int | None, end: int | None) -> bytes:
        start = start or 0
        end = self.size if end is None else min(end, self.size)
        if start >= end:
            return b""
        if not is_mine(self):
            self._begin_in_child()
        with self._read_lock:
            return self._read_range(start, end)

    def _read_range(self, start: int, end: int) -> bytes:
        if start == self._last:
            self._run += 1
        else:
            self._burst, self._burst_from, self._run = (self._last or 0) - self._burst_from, start, 0
        self._last = end
        if self._first_end is None:
            self._first_end = end
        if self.holds(start, end):
            self.hit_count += 1
            if self._block[1] < 0:
                self._note_miss(start, end)
        else:
            self.miss_count += 1
            try:
                self._fetch_missing(start, end)
            except Exception:  # it has changed nothing, or emptied the stretch
                raise
            except BaseException:  # an interrupt, which may have left the pieces inconsistent
                self._hold(deque(), start, start)
                raise
        pieces, at, count = self._pieces, start - self._kept_from, end - start
        if pieces and at + count <= len(pieces[0]):
            return pieces[0][at : at + count]
        return _cut(pieces, at, count)

    def _note_miss(self, start: int, end: int) -> None:
        """Follow what `BytesCache` would hold, and count the reads for which it would not have asked."""
        left, right = self._block
        if left <= start and end <= right:
            self._spared += not self._run and end - start <= SMALL
        elif start < left and end <= right <= end + self.blocksize:
            self._block = start, right
        else:
            if right < 0 or not left - self.blocksize <= start <= right + self.blocksize:
                self._spared = 0
            if not 0 <= left <= start <= right + self.blocksize:
                left = start
            self._block = left, min(self.size, end + self.blocksize)

    def _fetch_missing(self, start: int, end: int) -> None:
        """Fetch so that the bytes from ``start`` up to ``end`` are kept, and perhaps more."""
        self._note_miss(start, end)
        near = 0 if self._run or self.in_one or end - start > SMALL else self._spared
        most = max(self.blocksize, MIN_READ)
        reach = min(most, max(min(self._burst, BURST), MIN_READ << GROWTH * min(near, 16)))
        begin = start
        if not self._kept_from <= start <= self._kept_until and start <= self._kept_to():
            begin = 0
        if begin < self._kept_from:
            if (
                near
                and self._kept_from - reach <= start
                and 0 <= self._kept_until - end <= 2 * self.blocksize
            ):
                return self._fetch_before(max(self._block[0], self._kept_from - reach))
            self._hold(deque(), begin, begin)
        elif begin > self._kept_until + (reach if near and len(self) else 0):
            self._hold(deque(), begin, begin)
        self._fetch_on(start, end, reach, 2 * self.blocksize if near else 0)

    def _fetch_before(self, begin: int) -> None:
        """Keep the bytes from ``begin`` as well."""
        found = joined(list(self._fetched(begin, self._kept_from)))[: self._kept_from - begin]
        if begin + len(found) < self._kept_from:  # the file is shorter than it was
            self._hold(deque((found,) if found else ()), begin, begin + len(found))
        else:
            self._pieces.appendleft(found)
            self._kept_from = begin

    def _fetch_on(self, start: int, end: int, reach: int, most: int) -> None:
        """Fetch up to ``end`` and keep the bytes from ``start``, and about ``most`` of those before it."""
        pieces = self._pieces
        while pieces and end > self._kept_to() and self._kept_from + len(pieces[0]) <= start - most:
            self._kept_from += len(pieces.popleft())
        wanted = end
        if not self._run:
            wanted = min(self.size, max(end, min(end + self.blocksize, max(start, self._kept_until) + reach)))
        self._fetch_until(wanted)
        if self._kept_from == 0 and self._kept_until < self.size <= self._kept_to():
            self._fetch_until(self.size)

    def _kept_to(self) -> int:
        return (self._first_end or 0) + self.blocksize if self.in_one else -1

    def _fetch_until(self, wanted: int) -> None:
        for piece in self._fetched(self._kept_until, wanted):
            if piece:
                self._pieces.append(piece)
                self._kept_until += len(piece)

    def _fetched(self, start: int, end: int) -> Iterator[bytes]:
        log_fetch(self.name, self.fetcher, start, end)
        if self.fetcher is self._given_fetcher:
            came = self._fetch_pieces(start, end, self._run)
        else:
            came = (self.fetcher(start, end),)
        for piece in came:
            self.total_requested_bytes += len(piece)
            yield piece


def _cut(pieces: Iterable[bytes], at: int, count: int) -> bytes:
    """``count`` bytes from offset ``at`` of the joined pieces."""
    found: list[Any] = []
    for piece in pieces:
        if at >= len(piece):
            at -= len(piece)
            continue
        part = memoryview(piece)[at : at + count]
        found.append(part)
        at = 0
        count -= len(part)
        if not count:
            break
    return b"".join(found)
