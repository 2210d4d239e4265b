"""HTTP and HTTPS by blocking requests: ``requests``, or the browser's own.

For places without threads or event loops (Python in a browser, above all). Importing
this module makes it the implementation of http and https, until `unregister`.

An instance has a `requests.Session`. In a forked child it gets a new one; the parent's
connections are covered there, so that they are neither used nor closed. The files are
in `_http_sync_file`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

from fsspec._files.replacing import replacing
from fsspec._plans import drive
from fsspec._spec.contents import parts_of
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.exceptions import AccessRefusedError
from fsspec.implementations._http.browser import (
    JsHttpException,
    RequestsSessionShim,
    ResponseProxy,
    StreamIO,
)
from fsspec.implementations._http.parsing import (
    checksums,
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
    redact_url,
    with_headers,
)
from fsspec.implementations._http.plans import glob
from fsspec.implementations._http.sync_file import (
    HTTPFile,
    HTTPStreamFile,
    cover,
    get_range,
    idle_sockets,
    read_part,
)
from fsspec.registry import register_implementation
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import isfilelike, tokenize

try:
    import requests

    from fsspec.implementations._http.session import watched_session
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

    class HTTPPermissionError(requests.HTTPError, AccessRefusedError):
        """The server wants credentials that it was not given (401), or forbids (403)."""


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
        self.simple_links, self.same_schema = simple_links, same_scheme
        self.cache_type, self.cache_options = cache_type, cache_options
        self.client_kwargs = client_kwargs or {}
        self.encoded = encoded
        self.use_listings_cache = storage_options.get("use_listings_cache", False)
        self.kwargs = {k: v for k, v in storage_options.items() if k not in _NOT_FOR_REQUESTS}
        self.js = sys.platform == "emscripten"
        self.session: Any = RequestsSessionShim() if self.js else watched_session()
        for name, value in self.client_kwargs.items():
            if name == "headers":
                self.session.headers.update(value)
            else:
                setattr(self.session, name, value)

    def _after_fork_in_child(self) -> None:
        session = object.__getattribute__(self, "__dict__").get("session")
        if session is not None:
            cover(idle_sockets(session))
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
            raise FileNotFoundError(redact_url(url))
        if self.js:
            response.raise_for_status()
        kind: Any = HTTPPermissionError if status in (401, 403) else requests.HTTPError
        raise kind(f"{status} {response.reason} for {redact_url(url)} (HTTPFileSystem)", response=response)

    # -- reading ---------------------------------------------------------------

    def _request(self, url: str, **options: Any) -> Any:
        """A response whose body is still to be read."""
        return self.session.get(self.encode_url(url), stream=True, **{**self.kwargs, **options})

    def _process_limits(self, url: str, start: int | None, end: int | None) -> str:
        """The value of a ``Range`` header for limits as slices have them."""
        if start is not None and start < 0 and end is None:
            return f"bytes={start}"
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(url)["size"]
            if size is None:
                raise ValueError(
                    f"limits from the end need the size of {redact_url(url)}, which is not known"
                )
            start, end, _ = slice(start, end).indices(size)
        return range_value(start or 0, end)

    def cat_file(self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file or of a part of it; one request, two for limits from the end."""
        options = {**self.kwargs, **kwargs}
        if start is None and end is None:
            with closing(self._request(url, **options)) as response:
                self._raise_not_found_for_status(response, url)
                return response.content
        value = self._process_limits(url, start, end)
        begin, _, stop = value.partition("=")[2].rpartition("-")
        if begin and stop and int(stop) < int(begin):
            return b""
        with closing(self._request(url, **ranged(options, value))) as response:
            if response.status_code == 416:
                return b""
            self._raise_not_found_for_status(response, url)
            if not begin:
                return response.content[-int(stop) :]
            return read_part(response, url, int(begin), int(stop) + 1 if stop else None)

    def get_file(
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
        with closing(self._request(rpath, **kwargs)) as response:
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
            logger.debug("no HEAD of %s: %r", redact_url(url), type(error))
            info = {}
        if info.get("size") is None:
            with closing(self._request(url, **with_headers(options, Accept_Encoding="identity"))) as response:
                self._raise_not_found_for_status(response, url)
            info = _from_get(response)
        return {**info, "name": url, "type": "file"}

    def exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        """Whether a GET request, of which the body is not read, succeeds."""
        try:
            with closing(self._request(path, **kwargs)) as response:
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
            with closing(self._request(url, **kwargs)) as response:
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

    def put_file(
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
            parts = iter(partial(lpath.read, chunk_size), b"")
            self._upload(method, rpath, _reporting(parts, callback), kwargs)
            return
        with open(lpath, "rb", buffering=0) as local:
            callback.set_size(os.fstat(local.fileno()).st_size)
            self._upload(method, rpath, _reporting(parts_of(local, chunk_size), callback), kwargs)

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
        options["cache_type"] = cache_type or self.cache_type
        options["cache_options"] = cache_options or self.cache_options
        return HTTPFile(
            self, path, mode=mode, session=self.session, size=size, block_size=block_size, **options
        )


def _from_get(response: Any) -> dict[str, Any]:
    told = described(response.headers, response.status_code)
    names = ("size", "partial", *checksums(response.headers))
    return {name: told[name] for name in names if name in told}


def _save(response: Any, local: Any, chunk_size: int, callback: Callback) -> None:
    for chunk in response.iter_content(chunk_size):
        local.write(chunk)
        callback.relative_update(len(chunk))


def _reporting(parts: Iterator[bytes], callback: Callback) -> Iterator[bytes]:
    for chunk in parts:
        yield chunk
        callback.relative_update(len(chunk))


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
