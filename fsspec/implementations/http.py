"""HTTP and HTTPS, by aiohttp.

Owns `HTTPFileSystem`. Paths are full URLs, with protocol and query; a folder is a page
whose links lead below it. Requests are made by one `aiohttp.ClientSession`, made on the
instance's loop when first needed and closed when the instance goes. A forked child
makes its own: the parent's is neither used nor closed there.

The files are in `_http_file`, reading ahead in `_http_ahead`, the meaning of answers in
`_http_requests` and that of URLs, headers and pages in `_http_words`.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import aiohttp
import yarl

from fsspec._files.replacing import replacing
from fsspec._fork import hooks
from fsspec.asyn import AsyncFileSystem, drive, get_loop, sync
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations._http.ahead import FIRST
from fsspec.implementations._http.file import AsyncStreamFile, HTTPFile, HTTPStreamFile
from fsspec.implementations._http.parsing import (
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
)
from fsspec.implementations._http.plans import glob
from fsspec.implementations._http.requests import (
    Body,
    BodyStream,
    HTTPPermissionError,
    HTTPStatusError,
    IncompleteResponse,
    _file_info,
    _file_size,
    get_range,
    logger,
    raise_for_status,
    read_body,
    read_part,
)
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import isfilelike, tokenize

__all__ = [
    "AsyncStreamFile",
    "HTTPFile",
    "HTTPFileSystem",
    "HTTPPermissionError",
    "HTTPStatusError",
    "HTTPStreamFile",
    "IncompleteResponse",
    "ex",
    "ex2",
    "file_size",
    "get_client",
    "get_range",
    "has_magic",
    "logger",
    "magic_check",
]

CHUNK = 5 * 2**20
"""Bytes moved at a time in downloads and uploads."""
CLOSING = 1.0
"""Seconds that closing a session may take."""

_NOT_FOR_REQUESTS = frozenset(
    "use_listings_cache listings_expiry_time max_paths skip_instance_cache batch_size".split()
)


async def get_client(**kwargs: Any) -> aiohttp.ClientSession:
    """A session on the running loop, with options of `aiohttp.ClientSession`."""
    kwargs.pop("loop", None)  # it is the running one
    return aiohttp.ClientSession(**kwargs)


@wraps(_file_size)
def file_size(
    url: Any, session: aiohttp.ClientSession | None = None, *args: Any, **kwargs: Any
) -> int | None:
    """The size of a file in bytes, by one HEAD request; None if the server does not say."""
    return sync(get_loop(), _file_size, url, session, *args, **kwargs)


class HTTPFileSystem(AsyncFileSystem):
    """Files of web servers, by GET and HEAD; uploads by PUT and POST.

    A page can be listed for the links on it that lead below it.

    Parameters
    ----------
    simple_links
        also take for a link what merely looks like a URL.
    block_size
        bytes for the caches of open files; 0 opens files that only read on.
    same_scheme
        on pages of http ignore links to https, and the other way round.
    size_policy
        kept for compatibility; HEAD is tried first, then GET.
    cache_type, cache_options
        of open files; see `HTTPFile`.
    client_kwargs
        for ``get_client``.
    get_client
        awaitable that gives the `aiohttp.ClientSession`; the instance closes it.
    encoded
        URLs are percent-encoded already and are sent as they are.
    **storage_options
        for each request (``headers``, ``auth``, ``ssl``, ``proxy``, ``timeout`` ...),
        besides those of every filesystem.
    """

    protocol = ("http", "https")
    sep = "/"

    def __init__(
        self,
        simple_links: bool = True,
        block_size: int | None = None,
        same_scheme: bool = True,
        size_policy: str | None = None,
        cache_type: str = "bytes",
        cache_options: dict[str, Any] | None = None,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        client_kwargs: dict[str, Any] | None = None,
        get_client: Callable[..., Awaitable[aiohttp.ClientSession]] = get_client,
        encoded: bool = False,
        **storage_options: Any,
    ) -> None:
        super().__init__(self, asynchronous=asynchronous, loop=loop, **storage_options)
        self.block_size = block_size if block_size is not None else CHUNK
        self.simple_links, self.same_schema = simple_links, same_scheme
        self.cache_type, self.cache_options = cache_type, cache_options
        self.client_kwargs = client_kwargs or {}
        self.get_client = get_client
        self.encoded = encoded
        self.use_listings_cache = storage_options.get("use_listings_cache", False)
        self.kwargs = {k: v for k, v in storage_options.items() if k not in _NOT_FOR_REQUESTS}
        self._session: aiohttp.ClientSession | None = None
        self._session_loop: asyncio.AbstractEventLoop | None = None
        self._streams: weakref.WeakSet[BodyStream] = weakref.WeakSet()

    @property
    def fsid(self) -> str:
        """``"http"``."""
        return "http"

    # -- the session -----------------------------------------------------------

    async def set_session(self) -> aiohttp.ClientSession:
        """The session, made now if there is none or it was closed. Run on the instance's loop."""
        hooks.check()  # what is awaited passes no other door, should a C library have forked
        session, on = self._session, self._session_loop
        if session is not None and not session.closed and (on is None or not on.is_closed()):
            return session
        made = await self.get_client(loop=self.loop, **self.client_kwargs)
        if self._session is not session:  # another task was faster
            await made.close()
            return await self.set_session()
        self._session = made
        self._session_loop = asyncio.get_running_loop()
        if not self.asynchronous:
            hooks.finalize(self, self.close_session, self._session_loop, made)
        return made

    @staticmethod
    def close_session(loop: asyncio.AbstractEventLoop | None, session: aiohttp.ClientSession) -> None:
        """Close a session, within a bound of time, from wherever its instance came to its end."""
        if session.closed:
            return
        if loop is not None and loop.is_running() and not loop.is_closed():
            if asyncio._get_running_loop() is loop:
                task = loop.create_task(session.close())
                _closing.add(task)
                task.add_done_callback(_closing.discard)
                return
            with suppress(FSTimeoutError, RuntimeError):
                sync(loop, session.close, timeout=CLOSING)
                return
        # no loop is there to await on: the first step is what closes the connections
        ending = session.close()
        with suppress(StopIteration, RuntimeError):
            ending.send(None)
        ending.close()

    # -- paths -----------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """URLs stay as they are."""
        return path

    @classmethod
    def _parent(cls, path: str) -> str:
        return parent(path)

    def encode_url(self, url: str) -> yarl.URL:
        """The URL as it is requested."""
        return yarl.URL(url, encoded=self.encoded)

    def ukey(self, url: str) -> str:
        """A token of the URL; what it leads to may have changed."""
        return tokenize(url)

    def _raise_not_found_for_status(self, response: aiohttp.ClientResponse, url: str) -> None:
        """Raise FileNotFoundError, PermissionError or OSError for a status above 400."""
        raise_for_status(response, url)

    # -- reading ---------------------------------------------------------------

    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """The bytes of a file, or of a part of it; one request.

        Where the end is given from the end of the file, its size is asked for first.
        """
        options = {**self.kwargs, **kwargs}
        if start is None and end is None:
            session = await self.set_session()
            async with session.get(self.encode_url(url), **options) as response:
                self._raise_not_found_for_status(response, url)
                return await read_body(response, url)
        begin = start or 0
        if end is not None and (end < 0 or begin < 0):
            size = (await self._info(url, **kwargs))["size"]
            if size is None:
                return (await self._cat_file(url, **kwargs))[start:end]
            begin, end, _ = slice(start, end).indices(size)
        if end is not None and begin >= end:
            return b""
        value = f"bytes={begin}" if begin < 0 else range_value(begin, end)
        session = await self.set_session()
        async with session.get(self.encode_url(url), **ranged(options, value)) as response:
            if response.status == 416:
                return b""
            self._raise_not_found_for_status(response, url)
            if begin < 0:
                return (await read_body(response, url))[begin:]
            return await read_part(response, url, begin, end)

    async def _get_file(
        self,
        rpath: str,
        lpath: Any,
        chunk_size: int = CHUNK,
        callback: Callback = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        """Download a file, by one request.

        Parameters
        ----------
        lpath
            where to: a path, at which the file appears when it is whole, or a file object.
        chunk_size
            bytes written at a time, at most.
        """
        if isinstance(lpath, (str, os.PathLike)) and os.fspath(lpath).endswith(("/", os.sep)):
            os.makedirs(lpath, exist_ok=True)  # a folder of a tree that is fetched
            return
        logger.debug("%s", redact_url(rpath))
        session = await self.set_session()
        async with session.get(self.encode_url(rpath), **{**self.kwargs, **kwargs}) as response:
            self._raise_not_found_for_status(response, rpath)
            size = described(response.headers)["size"]
            callback.set_size(size)
            if isfilelike(lpath):
                await _save(response, rpath, lpath, chunk_size, callback)
            else:
                with replacing(lpath) as local:
                    await _save(response, rpath, local, chunk_size, callback)

    async def _info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """What a HEAD request tells of a file; a GET where that fails or gives no size.

        Returns
        -------
        dict
            ``name``, ``size`` in bytes or None, ``type`` (always ``"file"``), ``url`` after
            redirects; where the server says so ``mimetype``, ``ETag``, ``Last-Modified``,
            ``Content-MD5``, ``Digest`` and ``partial=False`` if it refuses ranges.

        Raises
        ------
        FileNotFoundError, PermissionError, OSError
            see `raise_for_status`.
        """
        session = await self.set_session()
        options = {**self.kwargs, **kwargs}
        info: dict[str, Any] = {}
        target = self.encode_url(url)
        try:
            info = await _file_info(target, session, "head", **options)
        except aiohttp.InvalidURL as error:
            raise FileNotFoundError(redact_url(url)) from error
        except aiohttp.ClientConnectorError:
            raise  # nobody is there to ask again
        except (FileNotFoundError, aiohttp.ClientError) as error:
            logger.debug("no HEAD of %s: %r", redact_url(url), type(error))
        if info.get("size") is None:
            info = await _file_info(target, session, "get", **options)
        return {"name": url, "size": None, **info, "type": "file"}

    async def _exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        """Whether a GET request, of which the body is not read, succeeds.

        Parameters
        ----------
        strict
            raise what stood in the way of an answer, instead of False.
        """
        try:
            session = await self.set_session()
            async with session.get(self.encode_url(path), **{**self.kwargs, **kwargs}) as response:
                if strict:
                    self._raise_not_found_for_status(response, path)
                return response.status < 400
        except FileNotFoundError:
            return False
        except (aiohttp.ClientError, OSError, ValueError):
            if strict:
                raise
            return False

    async def _isfile(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a URL."""
        return await self._exists(path, **kwargs)

    async def _isdir(self, path: str) -> bool:
        """Whether there is a page with links that lead below it."""
        try:
            return bool(await self._ls(path))
        except FileNotFoundError:
            return False

    # -- listing ---------------------------------------------------------------

    async def _ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The links of a page that lead below it; one request.

        Returns
        -------
        list
            Entries with ``size`` None, and ``type`` ``"directory"`` where the link ends in
            a slash; or URLs.
        """
        listed = self.dircache[url] if self.use_listings_cache and url in self.dircache else None
        if listed is None:
            listed = await self._links(url, **kwargs)
            if self.use_listings_cache:
                self.dircache[url] = listed
        return list(listed) if detail else sorted(entry["name"] for entry in listed)

    async def _links(self, url: str, **kwargs: Any) -> list[dict[str, Any]]:
        session = await self.set_session()
        async with session.get(self.encode_url(url), **{**self.kwargs, **kwargs}) as response:
            self._raise_not_found_for_status(response, url)
            if not may_have_links(response.headers):
                return []
            await read_body(response, url)
            text = await response.text(errors="replace")
        return entries(links(text, url, self.simple_links, self.same_schema))

    async def _glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """The URLs that match; of the wildcards only ``*`` and ``[..]``, a ``?`` being the query's."""
        return await drive(self, glob(self, path, maxdepth, **kwargs))

    # -- writing ---------------------------------------------------------------

    async def _put_file(
        self,
        lpath: Any,
        rpath: str,
        chunk_size: int = CHUNK,
        callback: Callback = DEFAULT_CALLBACK,
        method: str = "post",
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload a file, by one request.

        Parameters
        ----------
        lpath
            a path or an open binary file.
        method
            ``"post"`` or ``"put"``.
        mode
            only ``"overwrite"``; whether something would be, is not asked.
        """
        _only_overwriting(mode)
        method = method.lower()
        if method not in ("post", "put"):
            raise ValueError(f"an upload is made by 'post' or 'put', not by {method!r}")
        options = {**self.kwargs, **kwargs}
        if isfilelike(lpath):
            callback.set_size(getattr(lpath, "size", None))
            await self._upload(method, rpath, _chunks(lpath, chunk_size, callback), options)
            return
        with open(lpath, "rb") as local:
            size = os.fstat(local.fileno()).st_size
            callback.set_size(size)
            await self._upload(method, rpath, _chunks(local, chunk_size, callback), options, size)

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Upload bytes, by one PUT request."""
        _only_overwriting(mode)
        await self._upload("put", path, value, {**self.kwargs, **kwargs})

    async def _upload(
        self, method: str, url: str, data: Any, options: dict[str, Any], size: int | None = None
    ) -> None:
        if size is not None:  # many servers take nothing of unknown length
            headers = dict(options.get("headers") or {})
            if not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
                options = {**options, "headers": {**headers, "Content-Length": str(size)}}
        session = await self.set_session()
        async with session.request(method.upper(), self.encode_url(url), data=data, **options) as response:
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
        """Open a file for reading.

        With the defaults by one request, which brings the beginning of the file as well;
        otherwise by a HEAD request, or none where ``size`` is given.

        Parameters
        ----------
        block_size
            0 gives a file that only reads on, which is also what servers get that
            refuse ranges or do not tell the size.
        """
        if mode != "rb":
            raise NotImplementedError("HTTP files can only be opened for reading")
        block_size = block_size if block_size is not None else self.block_size
        options = {**self.kwargs, "asynchronous": self.asynchronous, **kwargs}
        plain = not (cache_type or cache_options or self.cache_options) and self.cache_type == "bytes"
        info: dict[str, Any] = {}
        first: Any = None
        if size is None and block_size:
            if plain and block_size == CHUNK and type(self)._info is HTTPFileSystem._info:
                info, first = sync(self.loop, self._begin, path, **kwargs)
            else:
                info = self.info(path, **kwargs)
            size = info["size"]
        session = self._session or sync(self.loop, self.set_session)
        if not (block_size and size and info.get("partial", True)):
            response = first if isinstance(first, BodyStream) else None
            return HTTPStreamFile(
                self, path, mode=mode, loop=self.loop, session=session, response=response, **options
            )
        options["cache_type"] = cache_type or self.cache_type
        options["cache_options"] = cache_options or self.cache_options
        opened = HTTPFile(
            self,
            path,
            mode=mode,
            session=session,
            loop=self.loop,
            size=size,
            block_size=block_size,
            **options,
        )
        if info:
            opened._begin_with(info, first)
        return opened

    async def _begin(self, url: str, **kwargs: Any) -> tuple[dict[str, Any], bytes | BodyStream | None]:
        """What `_info` tells, by a request for the first bytes, and those bytes.

        A server that ignores ranges sends everything: then the response, just begun.
        """
        session = await self.set_session()
        options = ranged({**self.kwargs, **kwargs}, range_value(0, FIRST))
        response = await session.get(self.encode_url(url), **options)
        first: bytes | BodyStream | None = None
        try:
            info = {"name": url, **described(response.headers, response.status), "type": "file"}
            info["url"] = str(response.url)
            if response.status in (401, 403, 404, 410):
                self._raise_not_found_for_status(response, url)
            elif response.status == 200:
                first = BodyStream(response, url)
            elif response.status == 206 and info["size"] is not None:
                first = await read_part(response, url, 0, FIRST)
        finally:
            if first is None:
                response.close()
        if first is None:  # an empty file, or a server that wants no ranges
            return await self._info(url, **kwargs), None
        return info, first

    async def open_async(
        self, path: str, mode: str = "rb", size: int | None = None, **kwargs: Any
    ) -> AsyncStreamFile:
        """Open a file to be read from its beginning to its end by awaiting."""
        if mode != "rb":
            raise NotImplementedError("HTTP files can only be opened for reading")
        session = await self.set_session()
        if size is None:
            with suppress(FileNotFoundError):
                size = (await self._info(path, **kwargs))["size"]
        options = {**self.kwargs, **kwargs}
        return AsyncStreamFile(self, path, loop=self._loop, session=session, size=size, **options)


_closing: set[Any] = set()


def _only_overwriting(mode: str) -> None:
    if mode != "overwrite":
        raise NotImplementedError("HTTP has no upload that spares what is there: only mode 'overwrite'")


async def _save(response: Any, url: str, local: Any, chunk_size: int, callback: Callback) -> None:
    body = Body(response, url)
    while chunk := await body.take(1, chunk_size):
        local.write(chunk)
        callback.relative_update(len(chunk))


async def _chunks(local: Any, chunk_size: int, callback: Callback) -> AsyncIterator[bytes]:
    while chunk := local.read(chunk_size):
        yield chunk
        callback.relative_update(len(chunk))
