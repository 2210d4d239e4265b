"""Files over HTTP: random access by ranges, and the two that only read on.

Whatever a file needs of a session or a loop it takes from its filesystem at the time of
use, so that after a fork it works on the child's.  Its position and the blocks it holds
stay; a response that it was reading is the parent's and is dropped untouched.  A file
that consists of nothing but such a response cannot be resumed: it raises `ForkError`.

Responses live on the loop; the methods of the blocking files are called from any other
thread, one at a time.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from fsspec._files.buffered import through_cache
from fsspec._files.caches_base import joined
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._paths.redaction import redact_url
from fsspec.asyn import AbstractAsyncStreamedFile, sync
from fsspec.caching import AdaptiveReadaheadCache, AllBytes, BytesCache
from fsspec.implementations._http.answers import STREAM_ADVICE, Version, only_read, version_in
from fsspec.implementations._http.parsing import inclusive_range
from fsspec.implementations._http.parts import MANY, fetching_ahead
from fsspec.implementations._http.read_ahead import MIN_READ, AheadCache, ReadAhead
from fsspec.implementations._http.responses import (
    ALL,
    BodyStream,
    ClosedFileError,
    check_is_whole,
    no_total_timeout,
    placed,
)
from fsspec.implementations._http.sending import Sender
from fsspec.implementations._http.streamed import ForwardOnly
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    import yarl

    from fsspec._paths.types import Options
    from fsspec.implementations._http.parsing import ContentRange
    from fsspec.spec import AbstractFileSystem


class _Connected:
    """The loop and the session of a file, in whichever process it is."""

    fs: Any
    url: str
    asynchronous: bool
    # defaults for subclasses that construct files without this class, as dcachefs does
    _given_loop: asyncio.AbstractEventLoop | None = None
    _given_session: aiohttp.ClientSession | None = None

    def _connect_to(
        self, loop: asyncio.AbstractEventLoop | None, session: aiohttp.ClientSession | None
    ) -> None:
        own(self)
        self._given_loop = loop
        self._given_session = session

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the filesystem."""
        hooks.check()  # that it has given may be the parent's, should a C library have forked
        if self._given_loop is not None and is_mine(self):
            return self._given_loop
        return cast("asyncio.AbstractEventLoop", self.fs.loop)

    @loop.setter
    def loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._given_loop = loop

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """The `aiohttp.ClientSession` requests are made by; a child's own after a fork."""
        if not is_mine(self):
            return sync(self.loop, self.fs.set_session)
        return self._given_session

    @session.setter
    def session(self, session: aiohttp.ClientSession | None) -> None:
        self._connect_to(self._given_loop if is_mine(self) else None, session)

    async def _session_here(self) -> aiohttp.ClientSession:
        given = self._given_session
        if given is not None and is_mine(self) and not given.closed:
            return given
        session = await self.fs.set_session()
        self._connect_to(None, session)
        return session

    def _request_url(self) -> yarl.URL:
        return self.fs.encode_url(self.url)

    @property
    def _request_sender(self) -> Sender:
        return getattr(self.fs, "_request_sender", None) or Sender(kind=type(self.fs))


class HTTPFile(_Connected, AbstractBufferedFile):
    """A remote file that can be read anywhere, by requests for ranges.

    Parameters
    ----------
    url
        full URL, with protocol.
    session
        the `aiohttp.ClientSession` to use; by default that of the filesystem.
    block_size
        bytes that caches work with; None for the default.
    mode
        only ``"rb"``.
    cache_type
        a name in `fsspec.caching.caches`. The default, ``"bytes"``, reads ahead by one
        streamed response while reading is in order, and asks for what is wanted elsewhere.
    size
        of the file in bytes; None reads all of it at the first read. What the server says comes first.
    loop
        where the session lives; by default that of the filesystem.
    **kwargs
        options for each request.
    """

    fs: Any
    _made_reading_ahead: ReadAhead | None = None

    def __init__(
        self,
        fs: AbstractFileSystem,
        url: str,
        session: aiohttp.ClientSession | None = None,
        block_size: int | None = None,
        mode: str = "rb",
        cache_type: str = "bytes",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        asynchronous: bool = False,
        **kwargs: Any,
    ) -> None:
        only_read(mode)
        self.asynchronous = asynchronous
        self.url = url
        self._connect_to(loop, session)
        self._details = {"name": url, "size": size, "type": "file"}
        # some caches fetch when they are made
        self.kwargs: dict[str, Any] = kwargs
        self.fs, self.size = fs, size
        fetches = type(self)._fetch_range is HTTPFile._fetch_range  # not so a subclass of one's own
        whole = fetches and cache_type == "all" and size is not None and not cache_options
        made = "none" if whole else cache_type
        super().__init__(
            fs, url, mode, block_size, cache_type=made, cache_options=cache_options, size=size, **kwargs
        )
        self.size = size
        if whole:  # with the size that the server says, whatever the program gave
            sync(self.loop, self.async_fetch_all)
        self._reading_ahead.exact = self.cache.name == "none"
        if fetches and type(self.cache) is BytesCache and self.cache.trim and size is not None:
            self.cache = AheadCache(self.blocksize, self._fetch_range, size, self._fetch_more)

    @property
    def _reading_ahead(self) -> ReadAhead:
        ahead = self._made_reading_ahead
        if ahead is None:
            streams = getattr(self.fs, "_open_streams", None)
            ahead = ReadAhead(self, weakref.WeakSet() if streams is None else streams)
            self._made_reading_ahead = ahead
        return ahead

    @through_cache
    def read(self, length: int = -1) -> bytes:
        """As of any file; the whole of one that was not read yet is fetched by one request."""
        if not self.closed and not isinstance(self.cache, AllBytes):
            if self.size is None or (
                self.loc == 0
                and (length is None or length < 0)
                and self._reading_ahead.stream is None
                and self.cache.name != "none"
            ):
                sync(self.loop, self.async_fetch_all)
        size = self.size
        out = super().read(length)
        if self.size != size:  # the server says another one than the program
            out += super().read(-1 if length is None or length < 0 else length - len(out))
        return out

    def _begin_with(self, info: dict[str, Any], first: bytes | BodyStream | None) -> None:
        """Take over what opening has brought: headers, and the beginning of the file."""
        self._details = {"name": self.url, "size": self.size, "type": "file"}
        self._reading_ahead.version = version_in({"url": self.url, **info})
        if isinstance(first, BodyStream):
            self._reading_ahead.take_over(first)
        elif first and isinstance(self.cache, AheadCache):
            self.cache.put(0, first)

    async def async_fetch_all(self) -> None:
        """Read the whole file by one request, and keep it."""
        head = self.cache.head() if isinstance(self.cache, AheadCache) else b""
        data = await self._reading_ahead.in_parts(len(head), self.size or 0, head)
        if data is None:
            data = await self._reading_ahead.rest(head)
        if self.size is not None and len(data) < self.size:  # the program gave another one
            data = await self._reading_ahead.rest(data)
        self.cache = AllBytes(size=len(data), fetcher=None, blocksize=None, data=data)
        self.size = len(data)

    async def async_fetch_range(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, fewer if the file ends.

        Raises
        ------
        ValueError
            the server ignores ranges, and ``start`` is not 0.
        """
        return joined(await self._reading_ahead.fetch(start, end))

    def _parse_content_range(self, headers: Mapping[str, str]) -> ContentRange:
        """First and last byte and total size that an answer names, None if unknown. Derived classes may
        override this."""
        return inclusive_range(headers)

    def _fetch_range(self, start: int, end: int) -> bytes:
        cache = getattr(self, "cache", None)  # some fetch when they are made
        if getattr(cache, "fetches_ahead", False):
            return sync(self.loop, self._reading_ahead.exactly, start, end)
        data = self._fetch_many(start, end)
        return joined(sync(self.loop, self._reading_ahead.fetch, start, end)) if data is None else data

    def _fetch_many(self, start: int, end: int) -> bytes | None:
        splits = self._reading_ahead.splits and end - start > MANY  # else not worth going to the loop for
        return sync(self.loop, self._reading_ahead.in_parts, start, end) if splits else None

    def _fetch_more(self, start: int, end: int, run: int) -> list[bytes]:
        if run and self._reading_ahead.slow:  # one connection alone: from here on there are several
            options = fetching_ahead(self.fs.max_concurrency)
            made = self.cache = AdaptiveReadaheadCache(
                self.blocksize, self._fetch_range, self.size, **options
            )
            made.continue_from(start, end - start)
            return [made._fetch(start, end)]
        data = self._fetch_many(start, end)
        if data is not None:
            return [data]
        return sync(self.loop, self._reading_ahead.fetch, start, end, run)

    def close(self) -> None:
        """Close the file, and the response that may be ahead of it."""
        if self._made_reading_ahead is not None:
            self._made_reading_ahead.drop()
        super().close()


class _Streamed(_Connected):
    """What the files have in common that are one response, from its beginning to its end."""

    closed: bool
    kwargs: Options
    loc: int
    size: int | None
    _body_stream: BodyStream | None = None
    _known_version = Version()

    @property
    def r(self) -> aiohttp.ClientResponse | None:
        """The response."""
        return None if self._body_stream is None else self._body_stream.response

    async def _begin_body(self) -> BodyStream:
        session = await self._session_here()
        options = no_total_timeout(session, self.kwargs)

        async def once() -> BodyStream:
            response = await self._request_sender.send(session, "get", self._request_url(), dict(options))
            try:
                self.fs._raise_not_found_for_status(response, self.url)
                check_is_whole(response, self.url)
                placed(response, self.url, 0, None, self._known_version)
            except BaseException:  # a cancelled request, too, gives its connection up
                response.close()
                raise
            return BodyStream(response, self.url)

        return await self._request_sender.repeat(once)

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedFileError(f"the file {redact_url(self.url)} is closed")
        if self._body_stream is not None and self._body_stream.inherited:
            refuse(self._body_stream, f"the response of {redact_url(self.url)}", STREAM_ADVICE)


class HTTPStreamFile(ForwardOnly, _Streamed, AbstractBufferedFile):
    """A remote file read from its beginning to its end, if the server offers no more.

    The request is made when the file is opened. Not to be used in a forked child:
    reading there raises `ForkError`.

    Parameters
    ----------
    response
        an answer that has already arrived, if there is one.
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        url: str,
        mode: str = "rb",
        loop: asyncio.AbstractEventLoop | None = None,
        session: aiohttp.ClientSession | None = None,
        *,
        response: BodyStream | None = None,
        **kwargs: Any,
    ) -> None:
        only_read(mode)
        self.asynchronous: bool = bool(kwargs.pop("asynchronous", False))
        self.url = url
        self._connect_to(loop, session)
        self._details = {"name": url, "size": None}
        self._body_stream = response
        self._bytes_left = b""
        super().__init__(fs=fs, path=url, mode=mode, cache_type="none", size=None, **kwargs)
        if response is None:
            self._body_stream = sync(self.loop, self._begin_body)

    @property
    def r(self) -> aiohttp.ClientResponse | None:
        """The response; a derived class that does not use this constructor may set it."""
        return super().r

    @r.setter
    def r(self, response: aiohttp.ClientResponse) -> None:
        async def as_body() -> BodyStream:
            return BodyStream(response, self.url)

        self._body_stream = sync(self.loop, as_body)

    def _fill_up(self, num: int | None, most: int | None = None) -> None:
        self._check_open()
        least = ALL if num is None else num - len(self._bytes_left)
        if least <= 0 or self._body_stream is None or self._body_stream.done:
            return
        wanted = None if num is None else max(least, most or MIN_READ)
        self._bytes_left += sync(self.loop, self._body_stream.take, least, wanted)

    def close(self) -> None:
        """Give up the response; silent in a forked child."""
        if self._body_stream is not None:
            self._body_stream.close()
        super().close()


class AsyncStreamFile(_Streamed, AbstractAsyncStreamedFile):
    """A remote file read by awaiting, from its beginning to its end.

    The request is made by the first `read`. Not to be used in a forked child: reading
    there raises `ForkError`.
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        url: str,
        mode: str = "rb",
        loop: asyncio.AbstractEventLoop | None = None,
        session: aiohttp.ClientSession | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        only_read(mode)
        self.url = url
        self._connect_to(loop, session)
        self._details = {"name": url, "size": size}
        super().__init__(fs=fs, path=url, mode=mode, cache_type="none", size=size, **kwargs)

    async def read(self, num: int = -1) -> bytes:
        """Read on; see `HTTPStreamFile.read`. Raises FileChangedError: the file does not end where the server
        first showed that it does."""
        self._check_open()
        stream = self._body_stream
        if stream is None:
            stream = self._body_stream = await self._begin_body()
        data = await (stream.rest() if num is None or num < 0 else stream.take(num, num))
        self.loc += len(data)
        if stream.done and self._known_version.size:  # 0 is what some servers answer to each HEAD
            # the headers of what came compressed, or in chunks, do not hold its size
            self._known_version.updated(self.url, Version(size=stream.position))
        return data

    async def close(self) -> None:
        """Give up the response."""
        if self._body_stream is not None:
            self._body_stream.close()
        self._closed = True
