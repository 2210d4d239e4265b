"""Files over HTTP by blocking requests, and what a fork does to their connections.

A file takes its session from its filesystem at the time of use: in a forked child that
is the child's. A response that was being read is the parent's; a file that consists of
nothing else raises `ForkError` there. The descriptors of the parent's connections are
covered with a dead socket, before any other code of the child runs.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from fsspec._files.buffered import through_cache
from fsspec._fork import hooks, sockets
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._paths.redaction import redact_url
from fsspec.caching import AllBytes
from fsspec.implementations._http import answers, sync_responses
from fsspec.implementations._http.parsing import inclusive_range, range_value, ranged
from fsspec.implementations._http.retrying import Retries
from fsspec.implementations._http.streamed import ForwardOnly
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from fsspec.implementations._http.browser import RequestsSessionShim
    from fsspec.implementations._http.parsing import ContentRange
    from fsspec.implementations.http_sync import HTTPFileSystem


class _Connected:
    """The session of a file; in a forked child that of its revived filesystem."""

    fs: Any
    url: str

    @property
    def session(self) -> requests.Session | RequestsSessionShim:
        """The session that requests are made by."""
        return self._given_session if is_mine(self) else self.fs.session

    @session.setter
    def session(self, session: requests.Session | RequestsSessionShim) -> None:
        self._given_session = session
        own(self)


class HTTPFile(_Connected, AbstractBufferedFile):
    """A remote file that can be read anywhere, by requests for ranges."""

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
        answers.only_read(mode)
        self.url = url
        self.session = session if session is not None else fs.session
        self._known_version = answers.Version()
        self._details = {"name": url, "size": size, "type": "file"}
        fetches = type(self)._fetch_range is HTTPFile._fetch_range  # not so a subclass of one's own
        whole = fetches and cache_type == "all" and size is not None and not cache_options
        made = "none" if whole else cache_type
        super().__init__(
            fs, url, mode, block_size, cache_type=made, cache_options=cache_options, size=size, **kwargs
        )
        self.size = size
        if whole:  # with the size that the server says, whatever the program gave
            self._fetch_all()

    @through_cache
    def read(self, length: int = -1) -> bytes:
        """Read bytes from the current position, all that is left if ``length`` is negative. The whole of a
        file that was not read yet is fetched by one request."""
        length = -1 if length is None else length
        whole = length < 0 and self.loc == 0
        fetched = self.closed or isinstance(self.cache, AllBytes)
        if not fetched:
            keeps_nothing_yet = self.cache.name != "none" and self.cache._held_from(0) is None
            if self.size is None or whole and keeps_nothing_yet:
                self._fetch_all()
        size = self.size
        try:
            out = super().read(length)
        except answers.RangesIgnoredError:
            if not whole:
                raise
            self._fetch_all()
            return super().read(length)
        if self.size != size:  # the server says another one than the program
            out += super().read(length if length < 0 else length - len(out))
        return out

    def _fetch_all(self) -> None:
        data = self.fs.cat_file(self.url, **self.kwargs)
        self.cache = AllBytes(size=len(data), fetcher=None, blocksize=None, data=data)
        self.size = len(data)

    def _begin_with(self, info: dict[str, Any]) -> None:
        """Take over what the server's answer has of the file when it was opened."""
        self._details = {"name": self.url, "size": self.size, "type": "file"}
        self._known_version = answers.version_in({"url": self.url, **info})

    def _parse_content_range(self, headers: Mapping[str, str]) -> ContentRange:
        """First and last byte and total size that an answer names, None if unknown. Derived classes may
        override this."""
        return inclusive_range(headers)

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``. Raises ValueError: the server ignores ranges, and ``start``
        is not 0. Raises FileChangedError: this is no longer the file that earlier bytes came from."""
        return sync_responses.repeat(
            getattr(self.fs, "_retry_policy", Retries()),
            lambda: self._fetch_once(start, end),
            getattr(self.fs, "_traffic_counts", None),
        )

    def _fetch_once(self, start: int, end: int) -> bytes:
        options = ranged(self.kwargs, range_value(start, end))
        target = str(self.fs.encode_url(self.url))
        got = sync_responses.send(self.fs, self.session, "get", target, options, stream=True)
        with closing(got) as response:
            if response.status_code != 416:
                self.fs._raise_not_found_for_status(response, self.url)
            parse = answers.exclusive(self._parse_content_range)
            at = sync_responses.placed(response, self.url, start, end, self._known_version, parse)
            if at.start < start:
                raise answers.RangesIgnoredError(self.url)
            self._known_version = self._known_version.updated(self.url, at.version)
            answers.correct_size(self, self._known_version.size)
            return sync_responses.read_placed(response, at, self.url, start, end)


class HTTPStreamFile(ForwardOnly, _Connected, AbstractBufferedFile):
    """A remote file read from its beginning to its end; not in a forked child."""

    def __init__(
        self,
        fs: HTTPFileSystem,
        url: str,
        mode: str = "rb",
        session: requests.Session | RequestsSessionShim | None = None,
        **kwargs: Any,
    ) -> None:
        answers.only_read(mode)
        self.url = url
        self.session = session if session is not None else fs.session
        self._details = {"name": url, "size": None}
        super().__init__(fs=fs, path=url, mode=mode, cache_type="none", size=None, **kwargs)
        target = str(fs.encode_url(url))
        self.r: Any = sync_responses.send(fs, self.session, "get", target, kwargs, stream=True)
        fs._raise_not_found_for_status(self.r, url)
        sync_responses.check_is_whole(self.r, url)
        self._part_iterator = sync_responses.body_parts(self.r, url)
        self._bytes_left = b""
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        sock = getattr(getattr(self.r.raw, "_connection", None), "sock", None)
        sockets.cover([] if sock is None else [sock.fileno()])
        hooks.immortalize([self.r, self._part_iterator])

    def seek(self, *args: Any, **kwargs: Any) -> int:
        """See `ForwardOnly.seek`, whose arguments are given in any way."""
        return super().seek(*args, **kwargs)

    def _fill_up(self, num: int | None, most: int | None = None) -> None:
        if self.closed:
            raise ValueError(f"the file {redact_url(self.url)} is closed")
        if not is_mine(self):
            refuse(self, f"the response of {redact_url(self.url)}", answers.STREAM_ADVICE)
        parts, got = [self._bytes_left], len(self._bytes_left)
        while num is None or got < num:
            part = next(self._part_iterator, b"")
            if not part:
                break
            parts.append(part)
            got += len(part)
        self._bytes_left = b"".join(parts)

    def close(self) -> None:
        """Give up the response; silent in a forked child."""
        response = getattr(self, "r", None)
        if response is not None and is_mine(self):
            response.close()
        super().close()
