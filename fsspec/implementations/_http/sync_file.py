"""Files over HTTP by blocking requests, and what a fork does to their connections.

A file takes its session from its filesystem at the time of use: in a forked child that
is the child's. A response that was being read is the parent's; a file that consists of
nothing else raises `ForkError` there. The descriptors of the parent's connections are
covered with a dead socket, before any other code of the child runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from fsspec._fork import hooks, sockets
from fsspec.caching import AllBytes
from fsspec.exceptions import ForkError
from fsspec.implementations._http.parsing import content_range, range_value, ranged, redact_url
from fsspec.spec import AbstractBufferedFile

_PUBLIC = "fsspec.implementations.http_sync"


def read_part(response: Any, url: str, start: int, end: int | None) -> bytes:
    """The bytes from ``start`` up to ``end`` of the answer to a request for them."""
    if response.status_code == 416:
        return b""
    if response.status_code != 206:  # everything, whatever was asked for
        parts, got = [], 0
        for part in response.iter_content(2**16):
            parts.append(part)
            got += len(part)
            if end is not None and got >= end:
                break
        return b"".join(parts)[start:end]
    first, stop, total = content_range(response.headers)
    if first is not None and stop is not None:
        wanted = total if end is None or total is None else min(end, total)
        if first != start or wanted is not None and stop < wanted:
            raise OSError(
                f"the server sent bytes {first} to {stop} of {redact_url(url)}, not {start} to {wanted}"
            )
    data = response.content
    return data if end is None else data[: end - start]


def get_range(session: Any, url: str, start: int, end: int, **kwargs: Any) -> bytes:
    """The bytes of a URL from ``start`` up to ``end``, by one request."""
    with closing(session.get(url, stream=True, **ranged(kwargs, range_value(start, end)))) as response:
        if response.status_code != 416:
            response.raise_for_status()
        return read_part(response, url, start, end)


class _Connected:
    """The session of a file; in a forked child that of its revived filesystem."""

    fs: Any
    url: str

    @property
    def session(self) -> Any:
        """The session that requests are made by."""
        return self._given if self._made_in == hooks.generation else self.fs.session

    @session.setter
    def session(self, session: Any) -> None:
        self._given = session
        self._made_in = hooks.generation


class HTTPFile(_Connected, AbstractBufferedFile):
    """A remote file that can be read anywhere, by requests for ranges."""

    __module__ = _PUBLIC

    def __init__(
        self,
        fs: Any,
        url: str,
        session: Any = None,
        block_size: int | None = None,
        mode: str = "rb",
        cache_type: str = "bytes",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        if mode != "rb":
            raise NotImplementedError("an HTTP file can only be opened for reading, mode 'rb'")
        self.url = url
        self.session = session if session is not None else fs.session
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

    def read(self, length: int = -1) -> bytes:
        """Read bytes from the position on, all that is left where ``length`` is negative."""
        if self.size is None and not self.closed:
            data = self.fs.cat_file(self.url, **self.kwargs)
            self.cache = AllBytes(size=len(data), fetcher=None, blocksize=None, data=data)
            self.size = len(data)
        return super().read(-1 if length is None else length)

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``.

        Raises
        ------
        ValueError
            the server ignores ranges, and ``start`` is not 0.
        """
        options = ranged(self.kwargs, range_value(start, end))
        with closing(self.session.get(self.fs.encode_url(self.url), stream=True, **options)) as response:
            if response.status_code != 416:
                self.fs._raise_not_found_for_status(response, self.url)
            if response.status_code == 200 and start > 0:
                raise ValueError(
                    f"the server of {redact_url(self.url)} ignores requests for a part of the file;"
                    " open it with block_size=0 to read it from its beginning to its end"
                )
            return read_part(response, self.url, start, end)


class HTTPStreamFile(_Connected, AbstractBufferedFile):
    """A remote file read from its beginning to its end; not in a forked child."""

    __module__ = _PUBLIC

    def __init__(self, fs: Any, url: str, mode: str = "rb", session: Any = None, **kwargs: Any) -> None:
        if mode != "rb":
            raise NotImplementedError("an HTTP file can only be opened for reading, mode 'rb'")
        self.url = url
        self.session = session if session is not None else fs.session
        self._details = {"name": url, "size": None}
        super().__init__(fs=fs, path=url, mode=mode, cache_type="none", size=None, **kwargs)
        self.r = self.session.get(fs.encode_url(url), stream=True, **kwargs)
        fs._raise_not_found_for_status(self.r, url)
        self._parts = self.r.iter_content(2**16)
        self._left = b""
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        cover([getattr(getattr(self.r.raw, "_connection", None), "sock", None)])
        hooks.immortalize([self.r, self._parts])

    def seek(self, *args: Any, **kwargs: Any) -> int:
        """Only to where the file is already; ValueError for any other place."""
        if args in ((0, 1), (self.loc,), (self.loc, 0)) and not kwargs:
            return self.loc
        raise ValueError(
            f"{redact_url(self.url)} is read as it arrives; there is no way to another place in it"
        )

    def read(self, num: int = -1) -> bytes:
        """Read on.

        Raises
        ------
        ForkError
            the file was opened in the process that this one was forked from.
        """
        self._fill(num if num is not None and num >= 0 else None)
        return self._give(len(self._left) if num is None or num < 0 else num)

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """Read on up to and with the next ``char``, or to the end."""
        searched = 0
        while (found := self._left.find(char, searched)) < 0:
            before = len(self._left)
            searched = max(0, before - len(char) + 1)
            self._fill(before + 1)
            if len(self._left) == before:
                return self._give(before)
        return self._give(found + len(char))

    def readline(self) -> bytes:
        """Read on to the end of the line."""
        return self.readuntil()

    def _fill(self, num: int | None) -> None:
        if self.closed:
            raise ValueError(f"the file {redact_url(self.url)} is closed")
        if self._made_in != hooks.generation:
            raise ForkError(
                f"the response of {redact_url(self.url)}, which cannot be resumed: open the file again",
                hooks.owner_pid(self._made_in),
            )
        parts, got = [self._left], len(self._left)
        while num is None or got < num:
            part = next(self._parts, b"")
            if not part:
                break
            parts.append(part)
            got += len(part)
        self._left = b"".join(parts)

    def _give(self, num: int) -> bytes:
        data, self._left = self._left[:num], self._left[num:]
        self.loc += len(data)
        return data

    def close(self) -> None:
        """Give up the response; silent in a forked child."""
        response = getattr(self, "r", None)
        if response is not None and self._made_in == hooks.generation:
            response.close()
        super().close()


# in a forked child -----------------------------------------------------------------
def idle_sockets(session: Any) -> Iterator[Any]:
    """The sockets of idle connections, found without taking any lock."""
    for adapter in list(getattr(session, "adapters", {}).values()):
        pools = getattr(getattr(adapter, "poolmanager", None), "pools", None)
        for pool in list(getattr(pools, "_container", {}).values()):
            for connection in list(getattr(getattr(pool, "pool", None), "queue", ())):
                yield getattr(connection, "sock", None)


def cover(idle: Iterable[Any]) -> None:
    """Cover sockets of connections that are not watched: those of adapters that a program mounted."""
    sockets.cover(s.fileno() for s in idle if s is not None)
