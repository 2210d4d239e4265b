"""Files over HTTP by blocking requests, and what a fork does to their connections.

A file takes its session from its filesystem at the time of use: in a forked child that
is the child's. A response that was being read is the parent's; a file that consists of
nothing else raises `ForkError` there. The descriptors of the parent's connections are
covered with a dead socket, before any other code of the child runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from fsspec._files.buffered import through_cache
from fsspec._fork import hooks, sockets
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._paths.redaction import redact_url
from fsspec._spec.traffic import Traffic
from fsspec.caching import AllBytes
from fsspec.exceptions import IncompleteRead
from fsspec.implementations._http import answers
from fsspec.implementations._http.parsing import is_plain, range_value, ranged
from fsspec.implementations._http.retrying import Retries
from fsspec.implementations._http.streamed import ReadOn
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    import socket

    import requests

    from fsspec.implementations._http.browser import RequestsSessionShim, ResponseProxy
    from fsspec.implementations.http_sync import HTTPFileSystem


T = TypeVar("T")


def placed(
    response: requests.Response | ResponseProxy,
    url: str,
    start: int,
    end: int | None,
    known: answers.Version = answers.Version(),
) -> answers.Placed:
    """Where the body of a response lies in the file; see `answers.place`."""
    return answers.place(response.status_code, response.headers, url, start, end, known, response.url)


def read_placed(
    response: requests.Response | ResponseProxy, at: answers.Placed, url: str, start: int, end: int | None
) -> bytes:
    """The bytes from ``start`` up to ``end`` of a response whose place is known."""
    if at.start == at.stop:
        return b""
    need = answers.needed(at, end)
    return answers.finish(at, b"".join(body_parts(response, url, need)), url, start, end)


def body_parts(
    response: requests.Response | ResponseProxy, url: str, need: int | None = None, size: int = 2**16
) -> Iterator[bytes]:
    """The body in pieces, up to ``need`` bytes of it.

    Raises IncompleteRead: it ended before the server said it would; older versions of urllib3 do not look.
    """
    got = 0
    traffic = getattr(getattr(response, "connection", None), "traffic", None)
    for part in response.iter_content(size):
        if traffic is not None:
            traffic.bytes += len(part)
        if need is not None and got + len(part) >= need:
            yield part[: need - got]
            return
        got += len(part)
        yield part
    told = response.headers.get("Content-Length", "")
    if told.isdigit() and got < int(told) and is_plain(response.headers):
        raise IncompleteRead(f"{got} of {told} bytes of {redact_url(url)} came")


def check_is_whole(response: requests.Response | ResponseProxy, url: str) -> None:
    """Make sure that a response is not a part of the file that nobody asked for."""
    if response.status_code == 206:
        asked = getattr(getattr(response, "request", None), "headers", None) or {}
        answers.check_whole(206, response.headers, url, "Range" in asked)


def read_whole(response: requests.Response | ResponseProxy, url: str) -> bytes:
    """The body of the answer to a request for the whole file."""
    check_is_whole(response, url)
    return b"".join(body_parts(response, url))


def repeat(retries: Retries, work: Callable[[], T], traffic: Traffic | None = None) -> T:
    """What ``work`` gives, which is done again as the retries say."""
    attempt = 0
    while True:
        try:
            return work()
        except OSError as error:
            pause = retries.pause(attempt, error, *_passing()) if retries.times else None
            if pause is None:
                raise
        attempt += 1
        if traffic is not None:
            traffic.retries += 1
        time.sleep(pause)


def _passing() -> tuple[tuple[type[BaseException], ...], tuple[type[BaseException], ...]]:
    try:
        from requests import exceptions as given
    except ImportError:  # in a browser
        return (ConnectionError, TimeoutError, IncompleteRead), ()
    broken = (given.ConnectionError, given.Timeout, given.ChunkedEncodingError, IncompleteRead)
    return broken, (given.SSLError,)


def get_range(
    session: requests.Session | RequestsSessionShim, url: str, start: int, end: int, **kwargs: Any
) -> bytes:
    """The bytes of a URL from ``start`` up to ``end``, by one request."""
    with closing(session.get(url, stream=True, **ranged(kwargs, range_value(start, end)))) as response:
        if response.status_code != 416:
            response.raise_for_status()
        return read_placed(response, placed(response, url, start, end), url, start, end)


class _Connected:
    """The session of a file; in a forked child that of its revived filesystem."""

    fs: Any
    url: str

    @property
    def session(self) -> requests.Session | RequestsSessionShim:
        """The session that requests are made by."""
        return self._given if is_mine(self) else self.fs.session

    @session.setter
    def session(self, session: requests.Session | RequestsSessionShim) -> None:
        self._given = session
        own(self)


class HTTPFile(_Connected, AbstractBufferedFile):
    """A remote file that can be read anywhere, by requests for ranges."""

    size: Any
    cache: Any

    def __init__(
        self,
        fs: HTTPFileSystem,
        url: str,
        session: requests.Session | RequestsSessionShim | None = None,
        block_size: int | None = None,
        mode: str = "rb",
        cache_type: str = "bytes",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        if mode != "rb":
            raise NotImplementedError(answers.ONLY_READ)
        self.url = url
        self.session = session if session is not None else fs.session
        self._version = answers.Version()
        self._details = {"name": url, "size": size, "type": "file"}
        super().__init__(
            fs=fs,
            path=url,
            mode=mode,
            block_size=block_size if block_size is not None else "default",
            cache_type=cache_type,
            cache_options=cache_options,
            size=size,
            **kwargs,
        )
        self.size = size

    @through_cache
    def read(self, length: int = -1) -> bytes:
        """Read bytes from the position on, all that is left where ``length`` is negative."""
        if self.size is None and not self.closed:
            data = self.fs.cat_file(self.url, **self.kwargs)
            self.cache = AllBytes(size=len(data), fetcher=None, blocksize=None, data=data)
            self.size = len(data)
        return super().read(-1 if length is None else length)

    def _begin_with(self, info: dict[str, Any]) -> None:
        """Take over what the server has told of the file when it was opened."""
        self._details = {"name": self.url, "size": self.size, "type": "file"}
        self._version = answers.version_in({"url": self.url, **info})

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``.

        Raises ValueError: the server ignores ranges, and ``start`` is not 0.
        Raises FileChangedError: this is not the file any more of which bytes came before.
        """
        return repeat(
            getattr(self.fs, "_retries", Retries()),
            lambda: self._fetch_once(start, end),
            getattr(self.fs, "_traffic", None),
        )

    def _fetch_once(self, start: int, end: int) -> bytes:
        options = ranged(self.kwargs, range_value(start, end))
        target = str(self.fs.encode_url(self.url))
        with closing(self.session.get(target, stream=True, **options)) as response:
            if response.status_code != 416:
                self.fs._raise_not_found_for_status(response, self.url)
            at = placed(response, self.url, start, end, self._version)
            if at.start < start:
                raise ValueError(
                    f"the server of {redact_url(self.url)} ignores requests for a part of the file;"
                    " open it with block_size=0 to read it from its beginning to its end"
                )
            self._version = self._version.updated(self.url, at.version)
            answers.correct_size(self, self._version.size)
            return read_placed(response, at, self.url, start, end)


class HTTPStreamFile(ReadOn, _Connected, AbstractBufferedFile):
    """A remote file read from its beginning to its end; not in a forked child."""

    loc: int

    def __init__(
        self,
        fs: HTTPFileSystem,
        url: str,
        mode: str = "rb",
        session: requests.Session | RequestsSessionShim | None = None,
        **kwargs: Any,
    ) -> None:
        if mode != "rb":
            raise NotImplementedError(answers.ONLY_READ)
        self.url = url
        self.session = session if session is not None else fs.session
        self._details = {"name": url, "size": None}
        super().__init__(fs=fs, path=url, mode=mode, cache_type="none", size=None, **kwargs)
        self.r: Any = self.session.get(str(fs.encode_url(url)), stream=True, **kwargs)
        fs._raise_not_found_for_status(self.r, url)
        check_is_whole(self.r, url)
        self._parts = body_parts(self.r, url)
        self._left = b""
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        cover([getattr(getattr(self.r.raw, "_connection", None), "sock", None)])
        hooks.immortalize([self.r, self._parts])

    def seek(self, *args: Any, **kwargs: Any) -> int:
        """See `ReadOn.seek`, whose arguments are given in any way."""
        return super().seek(*args, **kwargs)

    def _fill(self, num: int | None, most: int | None = None) -> None:
        if self.closed:
            raise ValueError(f"the file {redact_url(self.url)} is closed")
        if not is_mine(self):
            refuse(self, f"the response of {redact_url(self.url)}", answers.STREAM_ADVICE)
        parts, got = [self._left], len(self._left)
        while num is None or got < num:
            part = next(self._parts, b"")
            if not part:
                break
            parts.append(part)
            got += len(part)
        self._left = b"".join(parts)

    def close(self) -> None:
        """Give up the response; silent in a forked child."""
        response = getattr(self, "r", None)
        if response is not None and is_mine(self):
            response.close()
        super().close()


# in a forked child ----------------------------------------------------------------
def idle_sockets(session: requests.Session | RequestsSessionShim) -> Iterator[socket.socket | None]:
    """The sockets of idle connections, found without taking any lock."""
    for adapter in list(getattr(session, "adapters", {}).values()):
        pools = getattr(getattr(adapter, "poolmanager", None), "pools", None)
        for pool in list(getattr(pools, "_container", {}).values()):
            for connection in list(getattr(getattr(pool, "pool", None), "queue", ())):
                yield getattr(connection, "sock", None)


def cover(idle: Iterable[Any]) -> None:
    """Cover sockets of connections that are not watched: those of adapters that a program mounted."""
    sockets.cover(s.fileno() for s in idle if s is not None)
