"""HTTP and HTTPS by blocking requests: ``requests``, or the browser's own.

For places without threads or event loops (Python in a browser, above all). Importing
this module makes it the implementation of http and https, until `unregister`.

An instance has a `requests.Session`. In a forked child it gets a new one; the parent's
connections are covered there, so that they are neither used nor closed.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from fsspec import _fork
from fsspec._plans import drive
from fsspec._replacing import replacing
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.exceptions import ForkError
from fsspec.implementations._http_browser import (
    JsHttpException,
    RequestsSessionShim,
    ResponseProxy,
    StreamIO,
)
from fsspec.implementations._http_plans import glob
from fsspec.implementations._http_words import (
    checksums,
    content_range,
    described,
    entries,
    ex,
    ex2,
    has_magic,
    links,
    magic_check,
    may_have_links,
    parent,
    range_value,
    ranged,
    shown,
    with_headers,
)
from fsspec.registry import register_implementation
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import isfilelike, tokenize

try:
    import requests
except ImportError:  # in a browser
    if sys.platform != "emscripten":
        raise

logger = logging.getLogger("fsspec.http")

__all__ = [
    "HTTPFile",
    "HTTPFileSystem",
    "HTTPStreamFile",
    "JsHttpException",
    "RequestsSessionShim",
    "ResponseProxy",
    "StreamIO",
    "ex",
    "ex2",
    "get_range",
    "has_magic",
    "magic_check",
    "register",
    "unregister",
]

CHUNK = 5 * 2**20
_PROTOCOLS = ("http", "https", "sync-http", "sync-https")
_NOT_FOR_REQUESTS = ("use_listings_cache", "listings_expiry_time", "max_paths", "skip_instance_cache")

if sys.platform != "emscripten":

    class HTTPPermissionError(requests.HTTPError, PermissionError):
        """The server wants credentials that it was not given (401), or forbids (403)."""


def _read_part(response: Any, url: str, start: int, end: int | None) -> bytes:
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
            raise OSError(f"the server sent bytes {first} to {stop} of {shown(url)}, not {start} to {wanted}")
    data = response.content
    return data if end is None else data[: end - start]


def get_range(session: Any, url: str, start: int, end: int, **kwargs: Any) -> bytes:
    """The bytes of a URL from ``start`` up to ``end``, by one request."""
    with closing(session.get(url, stream=True, **ranged(kwargs, range_value(start, end)))) as response:
        if response.status_code != 416:
            response.raise_for_status()
        return _read_part(response, url, start, end)


def _file_info(url: str, session: Any, size_policy: str = "head", **kwargs: Any) -> dict[str, Any]:
    """What the headers of one request tell of a file: ``name``, ``size``, checksums."""
    options = with_headers({"allow_redirects": True, **kwargs}, Accept_Encoding="identity")
    if size_policy == "head":
        response = session.head(url, **options)
    elif size_policy == "get":
        response = session.get(url, stream=True, **options)
    else:
        raise TypeError(f'size_policy is "head" or "get", not {size_policy!r}')
    with closing(response):
        response.raise_for_status()
        told = described(response.headers, response.status_code)
        kept = {name: told[name] for name in ("partial", *checksums(response.headers)) if name in told}
        return {"name": url, "size": told["size"], **kept}


class HTTPFileSystem(AbstractFileSystem):
    """Files of web servers, by blocking requests; uploads by PUT and POST.

    A page can be listed for the links on it that lead below it. The parameters are
    those of `fsspec.implementations.http.HTTPFileSystem`; ``client_kwargs`` are set as
    attributes of the session.
    """

    protocol = _PROTOCOLS
    sep = "/"
    _fork_sensitive = True

    def __init__(
        self,
        simple_links: bool = True,
        block_size: int | None = None,
        same_scheme: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        client_kwargs: dict[str, Any] | None = None,
        encoded: bool = False,
        **storage_options: Any,
    ) -> None:
        super().__init__(self, **storage_options)
        self.block_size = block_size if block_size is not None else CHUNK
        self.simple_links = simple_links
        self.same_schema = same_scheme
        self.cache_type = cache_type
        self.cache_options = cache_options
        self.client_kwargs = client_kwargs or {}
        self.encoded = encoded
        self.use_listings_cache = storage_options.get("use_listings_cache", False)
        self.kwargs = {k: v for k, v in storage_options.items() if k not in _NOT_FOR_REQUESTS}
        self.js = sys.platform == "emscripten"
        self.session: Any = RequestsSessionShim() if self.js else requests.Session()
        for name, value in self.client_kwargs.items():
            if name == "headers":
                self.session.headers.update(value)
            else:
                setattr(self.session, name, value)

    def _after_fork_in_child(self) -> None:
        session = object.__getattribute__(self, "__dict__").get("session")
        if session is not None:
            _cover(_sockets(session))
        super()._after_fork_in_child()

    @property
    def fsid(self) -> str:
        """``"sync-http"``."""
        return "sync-http"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """URLs stay as they are, but for a ``sync-`` before them."""
        if isinstance(path, str) and path.startswith(("sync-http://", "sync-https://")):
            return path[5:]
        return path

    @classmethod
    def _parent(cls, path: str) -> str:
        return parent(path)

    def encode_url(self, url: str) -> str:
        """The URL as it is requested."""
        if self.js or self.encoded:
            return url
        import urllib.parse

        return urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")

    def ukey(self, url: str) -> str:
        """A token of the URL; what it leads to may have changed."""
        return tokenize(url, self.kwargs, self.protocol)

    def _raise_not_found_for_status(self, response: Any, url: str) -> None:
        """Raise FileNotFoundError, PermissionError or OSError for a status above 400."""
        status = response.status_code
        if status < 400:
            return
        response.close()
        if status in (404, 410):
            raise FileNotFoundError(shown(url))
        if self.js:
            response.raise_for_status()
        kind = HTTPPermissionError if status in (401, 403) else requests.HTTPError
        raise kind(f"{status} {response.reason} for {shown(url)} (HTTPFileSystem)", response=response)

    # -- reading ---------------------------------------------------------------

    def _get(self, url: str, **options: Any) -> Any:  # type: ignore[override]
        """A response whose body is still to be read."""
        return self.session.get(self.encode_url(url), stream=True, **{**self.kwargs, **options})

    def _process_limits(self, url: str, start: int | None, end: int | None) -> str:
        """The value of a ``Range`` header for limits as slices have them."""
        if start is not None and start < 0 and end is None:
            return f"bytes={start}"
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(url)["size"]
            if size is None:
                raise ValueError(f"limits from the end need the size of {shown(url)}, which is not known")
            start, end, _ = slice(start, end).indices(size)
        return range_value(start or 0, end)

    def cat_file(self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file or of a part of it; one request, two for limits from the end."""
        options = {**self.kwargs, **kwargs}
        if start is None and end is None:
            with closing(self._get(url, **options)) as response:
                self._raise_not_found_for_status(response, url)
                return response.content
        value = self._process_limits(url, start, end)
        begin, _, stop = value.partition("=")[2].rpartition("-")
        if begin and stop and int(stop) < int(begin):
            return b""
        with closing(self._get(url, **ranged(options, value))) as response:
            if response.status_code == 416:
                return b""
            self._raise_not_found_for_status(response, url)
            if not begin:
                return response.content[-int(stop):]
            return _read_part(response, url, int(begin), int(stop) + 1 if stop else None)

    def get_file(  # type: ignore[override]
        self,
        rpath: str,
        lpath: Any,
        chunk_size: int = CHUNK,
        callback: Callback = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        """Download a file, by one request; see the awaitable `_get_file`."""
        if isinstance(lpath, (str, os.PathLike)) and os.fspath(lpath).endswith(("/", os.sep)):
            os.makedirs(lpath, exist_ok=True)
            return
        with closing(self._get(rpath, **kwargs)) as response:
            self._raise_not_found_for_status(response, rpath)
            callback.set_size(described(response.headers)["size"])
            if isfilelike(lpath):
                _save(response, lpath, chunk_size, callback)
            else:
                with replacing(lpath) as local:
                    _save(response, local, chunk_size, callback)

    def info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """What a HEAD request tells of a file; a GET where that fails or gives no size."""
        options = {**self.kwargs, **kwargs}
        target = self.encode_url(url)
        try:
            info = _file_info(target, self.session, "head", **options)
        except OSError as error:
            logger.debug("no HEAD of %s: %r", shown(url), type(error))
            info = {}
        if info.get("size") is None:
            with closing(self._get(url, **with_headers(options, Accept_Encoding="identity"))) as response:
                self._raise_not_found_for_status(response, url)
            info = _from_get(response)
        return {**info, "name": url, "type": "file"}

    def exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        """Whether a GET request, of which the body is not read, succeeds."""
        try:
            with closing(self._get(path, **kwargs)) as response:
                if strict:
                    self._raise_not_found_for_status(response, path)
                return response.status_code < 400
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            if strict:
                raise
            return False

    def isfile(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a URL."""
        return self.exists(path, **kwargs)

    def isdir(self, path: str) -> bool:
        """Whether there is a page with links that lead below it."""
        try:
            return bool(self.ls(path))
        except FileNotFoundError:
            return False

    # -- listing ---------------------------------------------------------------

    def ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The links of a page that lead below it; one request."""
        listed = self.dircache[url] if self.use_listings_cache and url in self.dircache else None
        if listed is None:
            with closing(self._get(url, **kwargs)) as response:
                self._raise_not_found_for_status(response, url)
                text = response.text if may_have_links(response.headers) else ""
            listed = entries(links(text, url, self.simple_links, self.same_schema))
            if self.use_listings_cache:
                self.dircache[url] = listed
        return list(listed) if detail else sorted(entry["name"] for entry in listed)

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """The URLs that match; of the wildcards only ``*`` and ``[..]``."""
        return drive(self, glob(self, path, maxdepth, **kwargs))

    # -- writing ---------------------------------------------------------------

    def put_file(  # type: ignore[override]
        self,
        lpath: Any,
        rpath: str,
        chunk_size: int = CHUNK,
        callback: Callback = DEFAULT_CALLBACK,
        method: str = "post",
        **kwargs: Any,
    ) -> None:
        """Upload a file, by one request; ``method`` is ``"post"`` or ``"put"``."""
        method = method.lower()
        if method not in ("post", "put"):
            raise ValueError(f"an upload is made by 'post' or 'put', not by {method!r}")
        if isfilelike(lpath):
            callback.set_size(getattr(lpath, "size", None))
            self._upload(method, rpath, _chunks(lpath, chunk_size, callback), kwargs)
            return
        with open(lpath, "rb") as local:
            callback.set_size(os.fstat(local.fileno()).st_size)
            self._upload(method, rpath, _chunks(local, chunk_size, callback), kwargs)

    def _upload(self, method: str, url: str, data: Any, options: dict[str, Any]) -> None:
        if self.js:
            data = b"".join(data)
        send = getattr(self.session, method)
        with closing(send(self.encode_url(url), data=data, **{**self.kwargs, **options})) as response:
            self._raise_not_found_for_status(response, url)

    # -- files -----------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool | None = None,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> AbstractBufferedFile:
        """Open a file for reading; see the awaitable filesystem."""
        if mode != "rb":
            raise NotImplementedError("HTTP files can only be opened for reading")
        block_size = block_size if block_size is not None else self.block_size
        options = {**self.kwargs, **kwargs}
        info: dict[str, Any] = {}
        if size is None and block_size:
            info = self.info(path, **kwargs)
            size = info["size"]
        if not (block_size and size and info.get("partial", True)):
            return HTTPStreamFile(self, path, mode=mode, session=self.session, **options)
        return HTTPFile(
            self,
            path,
            session=self.session,
            block_size=block_size,
            mode=mode,
            size=size,
            cache_type=cache_type or self.cache_type,
            cache_options=cache_options or self.cache_options,
            **options,
        )


def _from_get(response: Any) -> dict[str, Any]:
    told = described(response.headers, response.status_code)
    names = ("size", "partial", *checksums(response.headers))
    return {name: told[name] for name in names if name in told}


def _save(response: Any, local: Any, chunk_size: int, callback: Callback) -> None:
    for chunk in response.iter_content(chunk_size):
        local.write(chunk)
        callback.relative_update(len(chunk))


def _chunks(local: Any, chunk_size: int, callback: Callback) -> Iterator[bytes]:
    while chunk := local.read(chunk_size):
        yield chunk
        callback.relative_update(len(chunk))


# files ---------------------------------------------------------------------------
class _Connected:
    """The session of a file; in a forked child that of its revived filesystem."""

    fs: Any
    url: str

    @property
    def session(self) -> Any:
        """The session that requests are made by."""
        return self._given if self._made_in == _fork.generation else self.fs.session

    @session.setter
    def session(self, session: Any) -> None:
        self._given = session
        self._made_in = _fork.generation


class HTTPFile(_Connected, AbstractBufferedFile):
    """A remote file that can be read anywhere, by requests for ranges."""

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
            from fsspec.caching import AllBytes

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
                    f"the server of {shown(self.url)} ignores requests for a part of the file;"
                    " open it with block_size=0 to read it from its beginning to its end"
                )
            return _read_part(response, self.url, start, end)


class HTTPStreamFile(_Connected, AbstractBufferedFile):
    """A remote file read from its beginning to its end; not in a forked child."""

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
        _fork.register(self)

    def _after_fork_in_child(self) -> None:
        _cover([getattr(getattr(self.r.raw, "_connection", None), "sock", None)])
        _fork.keep([self.r, self._parts])

    def seek(self, *args: Any, **kwargs: Any) -> int:
        """Only to where the file is already; ValueError for any other place."""
        if args in ((0, 1), (self.loc,), (self.loc, 0)) and not kwargs:
            return self.loc
        raise ValueError(f"{shown(self.url)} is read as it arrives; there is no way to another place in it")

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

    def readline(self) -> bytes:  # type: ignore[override]
        """Read on to the end of the line."""
        return self.readuntil()

    def _fill(self, num: int | None) -> None:
        if self.closed:
            raise ValueError(f"the file {shown(self.url)} is closed")
        if self._made_in != _fork.generation:
            raise ForkError(
                f"the response that is read as {shown(self.url)}, which cannot be resumed: open it again",
                _fork.owner_pid(self._made_in),
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
        if response is not None and self._made_in == _fork.generation:
            response.close()
        super().close()


# in a forked child -----------------------------------------------------------------
def _sockets(session: Any) -> Iterator[Any]:
    """The sockets of idle connections, found without taking any lock."""
    for adapter in list(getattr(session, "adapters", {}).values()):
        pools = getattr(getattr(adapter, "poolmanager", None), "pools", None)
        for pool in list(getattr(pools, "_container", {}).values()):
            for connection in list(getattr(getattr(pool, "pool", None), "queue", ())):
                yield getattr(connection, "sock", None)


def _cover(sockets: Any) -> None:
    """Put a dead socket under the numbers of inherited ones, which then reach nobody."""
    import socket

    found = [s.fileno() for s in sockets if s is not None and s.fileno() >= 0]
    if found:
        dead, peer = socket.socketpair()
        with dead, peer:
            for fd in found:
                os.dup2(dead.fileno(), fd, inheritable=False)


# registration --------------------------------------------------------------------
def register() -> None:
    """Use this implementation for http and https."""
    for protocol in _PROTOCOLS:
        register_implementation(protocol, HTTPFileSystem, clobber=True)


def unregister() -> None:
    """Go back to the awaitable implementation for http and https."""
    from fsspec.implementations.http import HTTPFileSystem as Awaitable

    for protocol in ("http", "https"):
        register_implementation(protocol, Awaitable, clobber=True)


register()
