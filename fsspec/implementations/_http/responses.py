"""One HTTP request by aiohttp, and what its answer means.

Owns the errors that answers turn into, and the reading of bodies.  What always holds:
a body that ends before its announced length is an error, a range that a server did
not honour is never taken for the one that was asked for, and the options that a caller
passed are not changed.

Everything runs on the loop of the session.  A `BodyStream` may be closed or dropped by
any thread, and by a forked child without effect on anybody.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from multidict import CIMultiDict

from fsspec._files.caches_base import joined
from fsspec._fork import hooks
from fsspec._fork.owned import finalize, is_mine, own
from fsspec._paths.redaction import redact_url
from fsspec.exceptions import AccessRefusedError, IncompleteRead
from fsspec.implementations._http import answers
from fsspec.implementations._http.parsing import ContentRange, content_range, described, range_value, ranged

if TYPE_CHECKING:
    import yarl


BUFFER = 2**18
"""Buffered bytes above which reading from the socket pauses; up to twice as many are held."""
ALL = 2**63
"""A limit above any size."""
_LARGE = 2**20  # bytes above which copies are avoided


# errors ---------------------------------------------------------------------------
class HTTPStatusError(aiohttp.ClientResponseError, OSError):
    """An error status; see ``status`` and ``message``. Constructed from one text it has only that."""

    def __init__(self, request_info: Any, history: Any = (), **kwargs: Any) -> None:
        super().__init__(request_info, history, **kwargs)
        self.args: tuple[Any, ...] = (str(self),)  # instead of the request, whose headers may be secret

    def __str__(self) -> str:
        if isinstance(self.request_info, str):
            return self.request_info
        url = redact_url(self.request_info.real_url)
        return f"{self.status}, message={self.message!r}, url={url!r} (HTTPFileSystem)"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.request_info, str):
            return type(self), self.args
        return _status_error, (type(self), str(self.request_info.real_url), self.status, self.message)


class HTTPPermissionError(HTTPStatusError, AccessRefusedError):
    """Credentials are missing (401), or access is forbidden (403)."""


class TooManyRedirects(HTTPStatusError, aiohttp.TooManyRedirects):
    """Too many redirects in a row."""


class UnreachableError(aiohttp.ClientConnectorError, FileNotFoundError):
    """The host of a URL cannot be reached, so that there is no file either."""

    url: str | None = None

    def __init__(self, connection_key: Any, os_error: OSError | None = None) -> None:
        if os_error is None:  # constructed from one text
            FileNotFoundError.__init__(self, connection_key)
        else:
            super().__init__(connection_key, os_error)

    def __str__(self) -> str:
        if not self.args[1:]:
            return str(self.args[0])
        if self.url is None:
            return super().__str__()
        return f"{redact_url(self.url)}: its host cannot be reached: {self.strerror or self.os_error}"


class InvalidURLError(FileNotFoundError, ValueError):
    """A URL that cannot be requested, at which there is no file either."""


class ClosedFileError(aiohttp.ClientConnectionError, ValueError):
    """A read of a closed streamed file: a ValueError, as of Python's files, and an error of aiohttp."""


class IncompleteResponse(aiohttp.ClientPayloadError, IncompleteRead):
    """A body ended early, or is not the requested one."""


def _status_error(kind: type[HTTPStatusError], url: str, status: int, message: str) -> HTTPStatusError:
    import multidict
    import yarl

    empty: Any = multidict.CIMultiDictProxy(multidict.CIMultiDict())
    info = aiohttp.RequestInfo(yarl.URL(url), "", empty, yarl.URL(url))
    return kind(info, (), status=status, message=message)


class HTTPNotFoundError(HTTPStatusError, FileNotFoundError):
    """The server has nothing at the URL (404), or no longer has it (410)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.path = ""
        super().__init__(*args, **kwargs)

    def __str__(self) -> str:
        if self.path or isinstance(self.request_info, str):
            return self.path or super().__str__()
        return redact_url(self.request_info.real_url)


def raise_for_status(response: aiohttp.ClientResponse, url: str | yarl.URL) -> None:
    """Raise the error for a status of 400 and above, or for a redirect without a location.

    Raises FileNotFoundError: 404, 410.
    Raises PermissionError: 401, 403.
    Raises OSError: any other; like the one before also an `aiohttp.ClientResponseError`.
    """
    status = response.status
    if status < 300:
        return
    if status < 400 and not answers.is_dead_redirect(status, response.headers, response.request_info.headers):
        return
    raise _refusal(response, url)  # no local name: it would be a cycle through the traceback


def _refusal(response: aiohttp.ClientResponse, url: str | yarl.URL) -> HTTPStatusError:
    denied, missing = HTTPPermissionError, HTTPNotFoundError
    kind: Any = {401: denied, 403: denied, 404: missing, 410: missing}.get(response.status, HTTPStatusError)
    asked, reason = response.request_info, response.reason or ""
    error = kind(asked, response.history, status=response.status, message=reason, headers=response.headers)
    if isinstance(error, HTTPNotFoundError):
        error.path = redact_url(url)  # as the caller wrote it
        error.args = (error.path,)
    return cast("HTTPStatusError", error)


def _broken(url: str | yarl.URL, error: object) -> IncompleteResponse:
    return IncompleteResponse(f"the response for {redact_url(url)} ended early: {error}")


def name_timeout(error: asyncio.TimeoutError, url: str | yarl.URL) -> None:
    """Make a timeout of aiohttp name the URL, and the option that sets another limit; some have no text."""
    why = str(error).partition(" to host ")[0] or "the time limit of the request has passed"
    error.args = (f"{redact_url(url)}: {why}; timeout= sets another limit",)


# bodies ---------------------------------------------------------------------------
async def read_body(
    response: aiohttp.ClientResponse, url: str | yarl.URL, length: int | None = None
) -> bytes:
    """The whole body, of ``size`` bytes if that is known."""
    try:
        size = response.content_length or 0 if length is None else length
        if size > _LARGE:
            with _receiving_more(response):
                return await Body(response, url).rest(size=size)
        content = response.content
        if content.is_eof() and not response._traces:  # the whole body has arrived with the headers
            data: bytes = content.read_nowait()
        else:
            try:
                data = await response.read()
            except asyncio.TimeoutError as error:
                name_timeout(error, url)
                raise
    except aiohttp.ClientPayloadError as error:
        raise _broken(url, error) from error
    _count(response)
    return data


async def give_up(response: aiohttp.ClientResponse) -> None:
    """Release a response that was not read to its end, as leaving ``async with response`` does."""
    _count(response)
    response.release()
    await response.wait_for_close()


def _count(response: aiohttp.ClientResponse) -> None:
    """Add the bytes of a body that have arrived since the last call to what the filesystem counts, read or
    not."""
    traffic = getattr(response, "_traffic_counts", None)
    if traffic is not None:
        arrived = getattr(response.content, "total_bytes", 0)  # not in the empty ones of old versions
        traffic.bytes += arrived - getattr(response, "_counted_bytes", 0)
        setattr(response, "_counted_bytes", arrived)


def headers_of(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """The headers, except for validators that are not to be trusted; see `answers.ignored_headers`."""
    headers: Mapping[str, str] = response.headers
    skipped: frozenset[str] = getattr(response, "_ignored_headers", frozenset())
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in skipped) if skipped else headers


def placed(
    response: aiohttp.ClientResponse,
    url: str | yarl.URL,
    start: int,
    end: int | None,
    known: answers.Version = answers.UNKNOWN,
    parse: Callable[[Any], ContentRange] = content_range,
) -> answers.Placed:
    """Where the body of a response lies in the file; see `answers.place`."""
    if response.status != 416:
        raise_for_status(response, url)
    try:
        return answers.place(
            response.status, headers_of(response), url, start, end, known, response.url, parse
        )
    except IncompleteRead as error:
        raise IncompleteResponse(str(error)) from None


async def read_placed(
    response: aiohttp.ClientResponse,
    at: answers.Placed,
    url: str | yarl.URL,
    start: int,
    end: int | None,
    data: bytes | None = None,
) -> bytes:
    """The bytes from ``start`` up to ``end`` of a response whose place is known.

    Of a body that is longer no more than that is read, except for one that is given as ``data``. Empty if
    the file ends before ``start``.
    """
    if at.start == at.stop:
        return b""
    need = answers.needed(at, end)
    if data is not None:
        pass
    elif need is None:
        data = await read_body(response, url, None if at.stop is None else at.stop - at.start)
    else:
        data = await Body(response, url).take(need, need)
    try:
        return answers.finish(at, data, url, start, end)
    except IncompleteRead as error:
        raise IncompleteResponse(str(error)) from None


async def read_whole(response: aiohttp.ClientResponse, url: str | yarl.URL) -> bytes:
    check_is_whole(response, url)
    return await read_body(response, url)


def check_is_whole(response: aiohttp.ClientResponse, url: str | yarl.URL) -> None:
    """Check that a response is not an unrequested part of the file."""
    raise_for_status(response, url)
    if response.status == 206:
        try:
            answers.check_whole(response.headers, url, "Range" in response.request_info.headers)
        except IncompleteRead as error:
            raise IncompleteResponse(str(error)) from None


def check_length(at: answers.Placed, got: int, url: str | yarl.URL, start: int, end: int | None) -> None:
    """As `answers.check_length`; what it raises is also of the client's class."""
    try:
        answers.check_length(at, got, url, start, end)
    except IncompleteRead as error:
        raise IncompleteResponse(str(error)) from None


@contextmanager
def _receiving_more(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Let a connection of our loop receive as much at a time as asyncio's default, which is faster for long
    bodies."""
    transport: Any = response.connection and response.connection.transport
    before = getattr(transport, "max_size", None)
    if before is not None:
        transport.max_size = max(before, 2**18)
    try:
        yield
    finally:
        if before is not None:
            transport.max_size = before


def preallocated(size: int) -> io.BytesIO:
    """A buffer with room for this many bytes, at most 64 MiB, since a server may announce any number."""
    return io.BytesIO(bytes(max(0, min(size, 2**26))))  # the only reference: not copied


class Body:
    """The body of a response, read in order.

    ``position``: where the next byte to be taken lies in the file.
    ``done``: whether the end was reached, or the response broke.
    """

    __slots__ = ("_surplus", "delivered", "done", "position", "response", "url")

    def __init__(self, response: aiohttp.ClientResponse, url: str | yarl.URL, position: int = 0) -> None:
        self.response: aiohttp.ClientResponse = response
        self.url: str | yarl.URL = url
        self.position: int = position
        self.delivered: int = 0
        self.done: bool = False
        self._surplus = b""  # bytes received beyond what was asked for

    async def parts(self, least: int, most: int | None = None) -> list[bytes]:
        """At least ``least`` bytes, fewer only at the end, and not more than ``most``, as they came. Raises
        IncompleteResponse: the body ended before its announced length."""
        parts: list[bytes] = []
        await self._copy_to(parts.append, least, most)
        return parts

    async def take(self, least: int, most: int | None = None) -> bytes:
        """As `parts`, in one piece."""
        if least <= _LARGE:
            return joined(await self.parts(least, most))
        return await self._joined(preallocated(least if most == least else 0), least, most)

    async def rest(self, head: bytes = b"", size: int = 0) -> bytes:
        """``head`` and all that is still to come, about ``size`` bytes."""
        into = preallocated(size)
        into.write(head)
        return await self._joined(into, ALL, None)

    async def _joined(self, into: io.BytesIO, least: int, most: int | None) -> bytes:
        # each part is freed once copied, so that its memory is reused
        await self._copy_to(into.write, least, most)
        into.truncate()
        return into.getvalue()

    async def copy_to(self, sink: Callable[[bytes], Any], most: int | None = None) -> None:
        """Call ``sink`` with each part that is still to come, as it came; ``most`` bytes in all."""
        await self._copy_to(sink, ALL if most is None else most, most)

    async def _copy_to(self, sink: Callable[[bytes], Any], least: int, most: int | None) -> None:
        content = self.response.content
        part, self._surplus = self._surplus, b""
        got = 0
        try:
            while True:
                if most is not None and got + len(part) > most:
                    part, self._surplus = part[: most - got], part[most - got :]
                if part:
                    sink(part)
                    got += len(part)
                if got >= least or content.at_eof():
                    break
                part = (await content.readchunk())[0]  # without the copy that read() makes
        except BaseException as error:  # a cancelled request, too, gives its connection up
            self.response.close()
            self.done = True
            if isinstance(error, aiohttp.ClientPayloadError):
                raise _broken(self.url, error) from error
            if isinstance(error, asyncio.TimeoutError):
                name_timeout(error, self.url)
            raise
        finally:
            self.position += got
            self.delivered += got
            _count(self.response)
        self.done = not self._surplus and content.at_eof()

    async def skip(self, count: int) -> None:
        while count > 0 and not self.done:
            count -= sum(map(len, await self.parts(1, count)))


class BodyStream(Body):
    """A response that is read on after its request; flow control pauses it while nobody reads.

    `close` releases its connection, as does the end of the body, or the collection of the object. In
    a forked child it is the parent's: kept, and never used.
    """

    __slots__ = ("__weakref__", "_finalizer", "_fork_generation")

    def __init__(self, response: aiohttp.ClientResponse, url: str | yarl.URL, position: int = 0) -> None:
        super().__init__(response, url, position)
        own(self)
        # it refers to the response, which therefore is not collected before it is closed
        self._finalizer = finalize(self, _release, asyncio.get_running_loop(), response)
        hooks.register(self)

    @property
    def inherited(self) -> bool:
        """Whether the response belongs to the process that this one was forked from."""
        return not is_mine(self)

    def close(self) -> None:
        """Give the connection up, from any thread; nothing in a forked child."""
        if not self.inherited:
            self._finalizer()

    def _after_fork_in_child(self) -> None:
        hooks.immortalize(self.response)


def _release(loop: asyncio.AbstractEventLoop, response: aiohttp.ClientResponse) -> None:
    if asyncio._get_running_loop() is loop:
        _count(response)
        response.close()
    elif not response.closed:
        with suppress(RuntimeError):  # the loop is closed, and with it its transports
            loop.call_soon_threadsafe(_release, loop, response)


# requests -------------------------------------------------------------------------
def no_total_timeout(session: aiohttp.ClientSession, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a response that is read bit by bit: without a total timeout, as the time between two reads
    must not count. The time for which the server sends nothing stays limited."""
    given = options.get("timeout", None)
    if given is None:
        given = session.timeout
    if not isinstance(given, aiohttp.ClientTimeout):  # a number of seconds
        given = aiohttp.ClientTimeout(total=given)
    timeout = aiohttp.ClientTimeout(
        total=None,
        connect=given.connect,
        sock_connect=given.sock_connect if given.sock_connect is not None else given.total,
        sock_read=given.sock_read if given.sock_read is not None else given.total,
    )
    return {"read_bufsize": BUFFER, **options, "timeout": timeout}


async def get_range(
    session: aiohttp.ClientSession,
    url: str | yarl.URL,
    start: int,
    end: int,
    file: str | None = None,
    **kwargs: Any,
) -> bytes | None:
    """Fetch the bytes from ``start`` up to ``end``, with one request.

    Parameters
    ----------
    file
        path of an existing local file that gets the bytes, at the same offset.
    **kwargs
        for `aiohttp.ClientSession.get`.

    Returns
    -------
    bytes or None
        None if they were written to ``file``.
    """
    async with session.get(url, **ranged(kwargs, range_value(start, end))) as response:
        data = await read_placed(response, placed(response, url, start, end), url, start, end)
    if file is None:
        return data
    with open(file, "r+b") as local:
        local.seek(start)
        local.write(data)
    return None


async def _file_info(
    url: str | yarl.URL, session: aiohttp.ClientSession, size_policy: str = "head", **kwargs: Any
) -> dict[str, Any]:
    """What the headers of one request say of a file; see `described`. ``size_policy``: ``"head"`` or
    ``"get"``: the method. Of a GET the body is not read."""
    if size_policy not in ("head", "get"):
        raise TypeError(f'size_policy is "head" or "get", not {size_policy!r}')
    options = {"allow_redirects": True, **kwargs}
    headers = {"Accept-Encoding": "identity", **(options.pop("headers", None) or {})}
    request = session.head if size_policy == "head" else session.get
    async with request(url, headers=headers, **options) as response:
        raise_for_status(response, url)
        info = described(response.headers, response.status)
        info["url"] = str(response.url)
        return info


async def _file_size(
    url: str | yarl.URL, session: aiohttp.ClientSession | None = None, *args: Any, **kwargs: Any
) -> int | None:
    if session is not None:
        return cast("int | None", (await _file_info(url, session, *args, **kwargs))["size"])
    async with aiohttp.ClientSession() as own:
        return await _file_size(url, own, *args, **kwargs)
