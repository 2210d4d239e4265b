"""HTTP and HTTPS, by aiohttp.

Paths are full URLs, with protocol and query; a folder is a page
whose links lead below it. Requests are made by one `aiohttp.ClientSession`, made on the
instance's loop when first needed and closed when the instance goes. A forked child
makes its own: the parent's is neither used nor closed there.

The files are in `_http.file`, reading ahead in `_http.read_ahead`, the meaning of answers in
`_http.answers` and that of URLs, headers and pages in `_http.parsing`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterable
from functools import partial, wraps
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

import aiohttp
import yarl

from fsspec._overriding import default, is_from_here, unlike_base
from fsspec._paths.redaction import redact_url
from fsspec._plans.listing import check_depth
from fsspec._public import publish
from fsspec.asyn import drive, get_loop, sync
from fsspec.callbacks import DEFAULT_CALLBACK, for_file
from fsspec.implementations._http import answers, one_request, parsing, responses, transfers
from fsspec.implementations._http.base import HTTPBase
from fsspec.implementations._http.file import AsyncStreamFile, HTTPFile, HTTPStreamFile
from fsspec.implementations._http.globbing import glob
from fsspec.implementations._http.logs import logger
from fsspec.implementations._http.options import (
    UnknownOptionError,
    as_file_error,
    request_options,
)
from fsspec.implementations._http.parsing import ex, ex2, has_magic, magic_check, url_given
from fsspec.implementations._http.parts import MANY, download_in_parts, fetching_ahead, gather, may_split
from fsspec.implementations._http.responses import (
    BodyStream,
    HTTPNotFoundError,
    HTTPPermissionError,
    HTTPStatusError,
    IncompleteResponse,
    InvalidURLError,
    TooManyRedirects,
    UnreachableError,
    _file_info,
    _file_size,
    get_range,
    headers_of,
)
from fsspec.implementations._http.retrying import Retries, given_number
from fsspec.implementations._http.sending import Sender
from fsspec.implementations._http.sessions import SessionOwner, get_client
from fsspec.implementations._http.transfers import CHUNK
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import tokenize

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Found, Options, PathOrPaths, Progress, StrPath


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
publish(
    __name__,
    HTTPNotFoundError,
    InvalidURLError,
    TooManyRedirects,
    UnreachableError,
    _file_info,
    _file_size,
    headers_of,
)

_get_client = get_client  # the parameter of `HTTPFileSystem` has the same name


@wraps(_file_size)
def file_size(
    url: str | yarl.URL, session: aiohttp.ClientSession | None = None, *args: Any, **kwargs: Any
) -> int | None:
    """The size of a file in bytes, by one HEAD request; None if the server does not say."""
    return sync(get_loop(), _file_size, url, session, *args, **kwargs)


class HTTPFileSystem(HTTPBase, SessionOwner):
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
    retries
        how often a request that reads (GET, HEAD) or PUTs is made again after a broken or refused
        connection, a body that ended early, a timeout or one of ``retry_statuses``.
    retry_wait
        seconds before the second attempt, doubled before each one after that; a ``Retry-After``
        of the server counts instead if it is longer, up to two minutes.
    retry_statuses
        by default 408, 429, 500, 502, 503 and 504.
    validators
        the headers of answers that distinguish versions of a file, besides its size. ``()`` or
        ``("Last-Modified",)`` for a server that gives one file another ``ETag`` in each answer, as
        several backends behind a balancer may do; a change that keeps the size then goes unnoticed.
    max_concurrency
        connections over which one file may be read at a time. With more than one, ``cat_file`` and
        ``get_file`` read what is longer than 4 MiB in parts of that size, and an open file what is longer
        than 8 MiB. Files of more than 8 MiB that are opened with ``cache_type="adaptive"`` are fetched
        ahead over as many, from the second read in order on; with the default one as well, if the first
        reads had less than 100 MiB/s. For stores that limit the rate of each connection.
    **storage_options
        for each request (``headers``, ``auth``, ``ssl``, ``proxy``, ``timeout`` ...),
        besides those of every filesystem.
    """

    protocol: ClassVar[str | tuple[str, ...]] = ("http", "https")
    _answers_tell_versions = True  # and are compared, see _http.answers
    _opening_error = staticmethod(one_request.opening_error)

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
        retries: int = 0,
        retry_wait: float = 1.0,
        retry_statuses: Iterable[int] | None = None,
        validators: Iterable[str] = answers.VALIDATORS,
        max_concurrency: int = 1,
        **storage_options: Any,
    ) -> None:
        super().__init__(asynchronous=asynchronous, loop=loop, **storage_options)
        self._set_up(
            simple_links, block_size, same_scheme, cache_type, cache_options, client_kwargs, encoded,
            storage_options,
        )  # fmt: skip
        if not callable(get_client):
            raise TypeError(f"get_client is a function that makes a session, not {type(get_client).__name__}")
        self.get_client = get_client
        self._begin_without_sessions()
        repeat = Retries.given(retries, retry_wait, retry_statuses)
        how = repeat, self._traffic_counts, answers.ignored_headers(validators), type(self)
        # credentials of a session of our making go with the requests, so that no other host gets them
        if get_client is _get_client:
            self._request_sender, self._session_options = Sender.of(self.client_kwargs, *how)
        else:
            self._request_sender, self._session_options = Sender({}, *how), self.client_kwargs
        max_concurrency = given_number("max_concurrency", max_concurrency, "connections")
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency is {max_concurrency}, but one connection is needed to read")
        self.max_concurrency = max_concurrency
        self._open_streams: weakref.WeakSet[BodyStream] = weakref.WeakSet()

    @property
    def fsid(self) -> str:
        """``"http"``."""
        return "http"

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        """URLs stay as they are."""
        return path

    def encode_url(self, url: str) -> yarl.URL:
        """The URL as it is requested."""
        return yarl.URL(url_given(url), encoded=self.encoded)

    def ukey(self, url: str) -> str:
        """A token of the URL and the options of requests; what it leads to may have changed."""
        return tokenize(url, self.kwargs, self.protocol)

    def _raise_not_found_for_status(self, response: aiohttp.ClientResponse, url: str) -> None:
        """Raise FileNotFoundError, PermissionError or OSError for a status of 400 or more."""
        responses.raise_for_status(response, url)

    # reading ----------------------------------------------------------------------
    async def _get_response(self, url: str, options: Options, method: str = "get") -> aiohttp.ClientResponse:
        """The response to a request, with the options of the filesystem; its body is still to be read."""
        session = await self.set_session()
        return await self._request_sender.send(
            session, method, self.encode_url(url), {**self.kwargs, **options}
        )

    @unlike_base
    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """The bytes of a file, or of a part of it: one request, and one for the size if limits count from
        the end of the file and a range header cannot say them."""
        repeat = self._request_sender.repeat
        if start is None and end is None:
            if may_split(self, kwargs):
                data = await repeat(partial(gather, self, url, 0, None, answers.UNKNOWN, kwargs))
                if data is not None:
                    return data
            return await repeat(partial(one_request.whole_body, self, url, kwargs))
        if start == end:
            return b""
        begin, known = start or 0, answers.known_version(url)
        if (end or 0) < 0:
            data = await one_request.all_but_the_end(self, url, start, end, kwargs)
            if data is not None:
                return data
        if end is not None and (end < 0 or begin < 0):
            info = await self._info(url, **kwargs)
            if info["size"] is None:
                return (await self._cat_file(url, **kwargs))[start:end]
            known = known.updated(url, answers.version_in(info))
            begin, end, _ = slice(start, end).indices(info["size"])
        if end is not None and begin >= end:
            return b""
        if may_split(self, kwargs, begin, end):  # over several connections, if it is long
            data = await repeat(partial(gather, self, url, begin, end, known, kwargs))
            if data is not None:
                return data
        return await repeat(partial(one_request.body_part, self, url, begin, end, known, kwargs))

    async def _cat_ranges(self, paths: list[str], *args: Any, **kwargs: Any) -> list[Any]:
        """The bytes of ranges; those of one file are all of the same version of it."""
        with answers.one_version():
            return await super()._cat_ranges(paths, *args, **kwargs)

    async def _get_file(
        self,
        rpath: str,
        lpath: StrPath | IO[bytes],
        chunk_size: int = CHUNK,
        callback: Progress = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        """Download a file, by one request.

        ``lpath``: where to: a path, at which the file appears when it is whole, or a file object.
        ``chunk_size``: bytes written at a time, at most.
        """
        if transfers.is_folder(rpath, lpath):
            found = await self._exists(rpath, strict=True, **kwargs)
            return transfers.make_folder(rpath, cast("StrPath", lpath), found)
        callback = for_file(callback, rpath)
        target = transfers.Target(lpath, self._request_sender.retries.times > 0)

        async def download() -> None:
            response = await self._get_response(rpath, kwargs)
            try:
                if callback is not DEFAULT_CALLBACK:
                    callback.set_size(parsing.announced_size(response.headers))
                self._raise_not_found_for_status(response, rpath)
                responses.check_is_whole(response, rpath)
                with target.opened() as local:
                    await responses.Body(response, rpath).copy_to(target.writer(local, callback, chunk_size))
                callback.relative_update(0)
            finally:
                if not response.closed:
                    await responses.give_up(response)

        if target.file is None and may_split(self, kwargs):
            parts = partial(download_in_parts, self, rpath, target.path, callback, kwargs)
            if await self._request_sender.repeat(parts):
                return
        await (self._request_sender.repeat(download) if target.repeatable else download())

    @unlike_base
    async def _info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """What a HEAD request says of a file; a GET if that fails or gives no size, or 0.

        A size of 0 counts as not known if the server refuses that GET.
        Returns ``name``, ``size`` in bytes or None, ``type`` (always ``"file"``), ``url`` after redirects;
            if the server says so ``mimetype``, ``ETag``, ``Last-Modified``, ``Content-MD5``, ``Digest``
            and ``partial=False`` if it refuses ranges.
        Raises FileNotFoundError, PermissionError, OSError: see `raise_for_status`.
        """
        try:
            info = await one_request.ask(self, url, "head", kwargs)
        except (aiohttp.ClientConnectorError, InvalidURLError, UnknownOptionError):
            raise  # no caller could ask again
        except (FileNotFoundError, aiohttp.ClientError) as error:
            logger.debug("no HEAD of %s: %r", redact_url(url), type(error))
            info = {}
        if not info.get("size"):
            is_empty = info.pop("size", None) == 0  # of the answer to HEAD, perhaps; what else it gave stays
            try:
                found = await one_request.ask(self, url, "get", kwargs)
            except HTTPStatusError as error:
                if not is_empty or isinstance(error, FileNotFoundError):
                    raise
                found = {}  # a folder of a WebDAV server, for instance
            info.update((k, v) for k, v in found.items() if v is not None)
        return {"name": url, "size": None, **info, "type": "file"}

    @default
    async def _exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        """Whether a GET request, whose body is not read, succeeds. ``strict``: raise the error if
        there is no answer, instead of returning False.
        Raises ValueError: the URL, or an option, cannot be used."""
        kwargs = one_request.without_refresh(kwargs)

        async def answered() -> bool:
            async with await self._get_response(path, kwargs) as response:
                self._raise_not_found_for_status(response, path)
                return True

        await self.set_session()  # what is wrong with its options says nothing of the URL
        try:
            return await self._request_sender.repeat(answered)
        except FileNotFoundError:
            return False
        except (aiohttp.ClientError, OSError):
            if strict:
                raise
            return False

    @default
    async def _isfile(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a URL."""
        return await self._exists(path, **kwargs)

    async def _isdir(self, path: str) -> bool:
        """Whether there is a page with links that lead below it."""
        try:
            return bool(await self._ls(path))
        except FileNotFoundError:
            return False

    # listing ----------------------------------------------------------------------
    @unlike_base
    async def _ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The links of a page that lead below it; one request. Returns entries with ``size`` None, and
        ``type`` ``"directory"`` if the link ends in a slash; or URLs."""
        cached = not kwargs.pop("refresh", False) and self.use_listings_cache and url in self.dircache
        listed: Any = self.dircache[url] if cached else None
        if listed is None:
            listed = await self._ls_real(url, detail=True, **kwargs)
            if self.use_listings_cache:
                self.dircache[url] = listed
        return list(listed) if detail else sorted(entry["name"] for entry in listed)

    async def _ls_real(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Ask for a page, whatever is remembered of it; what classes that list otherwise override."""
        options = request_options(aiohttp.ClientSession._request, kwargs)
        listed = await self._request_sender.repeat(partial(self._page_links, url, options))
        return listed if detail else sorted(entry["name"] for entry in listed)

    async def _page_links(self, url: str, options: Options) -> list[dict[str, Any]]:
        async with await self._get_response(url, options) as response:
            self._raise_not_found_for_status(response, url)
            if not parsing.may_have_links(response.headers):
                return []
            responses.check_is_whole(response, url)
            response._body = await responses.read_body(response, url)  # for the encoding
            text = await response.text(errors="replace")
        return self._page_entries(text, url)

    async def _glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Found:
        """The URLs that match; of the wildcards only ``*`` and ``[..]``, a ``?`` being the query's."""
        check_depth(maxdepth)
        return await drive(self, glob(self, path, maxdepth, **kwargs))

    # writing ----------------------------------------------------------------------
    @unlike_base
    async def _put_file(
        self,
        lpath: StrPath | IO[bytes],
        rpath: str,
        chunk_size: int = CHUNK,
        callback: Progress = DEFAULT_CALLBACK,
        method: str = "post",
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload a file, by one request.

        ``lpath``: a path or an open binary file.
        ``method``: ``"post"`` or ``"put"``.
        ``mode``: only ``"overwrite"``; it is not looked whether there is a file already.
        """
        transfers.only_overwriting(mode)
        method = transfers.check_method(method)
        with transfers.uploading(lpath, chunk_size, for_file(callback, rpath), aiohttp.ClientOSError) as body:
            await one_request.upload_body(self, method, rpath, body, kwargs, body.size)

    async def _pipe_file(
        self, path: str, value: bytes, mode: str = "overwrite", method: str = "put", **kwargs: Any
    ) -> None:
        """Upload bytes, by one request.

        ``mode``: ``"create"`` asks the server to refuse, with FileExistsError, if something exists.
        ``method``: ``"put"`` or ``"post"``; `_put_file` has the other one by default.
        """
        method = transfers.check_method(method)
        if mode == "create":  # up to the server, which may not know of conditions
            kwargs = parsing.with_headers({**self.kwargs, **kwargs}, If_None_Match="*")
        else:
            transfers.only_overwriting(mode)
        await one_request.upload_body(self, method, path, lambda: value, kwargs)

    # files ------------------------------------------------------------------------
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
        otherwise by a HEAD request, or none if ``size`` is given.

        ``block_size``: 0 gives a file that only reads on, which is also what servers get that refuse ranges
            or do not give the size.
        """
        answers.only_read(mode)
        block_size = block_size if block_size is not None else self.block_size
        options = {**self.kwargs, "asynchronous": self.asynchronous, **kwargs}
        plain = not (cache_type or cache_options or self.cache_options) and self.cache_type == "bytes"
        info: dict[str, Any] = {}
        first: Any = None
        if not size and block_size:
            if (
                plain
                and block_size == CHUNK
                and type(self)._info is HTTPFileSystem._info
                and is_from_here(_file_info)
            ):
                info, first = sync(self.loop, one_request.ask_first_bytes, self, path, kwargs)
            else:
                info = self.info(path, **kwargs)
            size = info["size"]
        here = self.asynchronous or self._session_loop in (None, self.loop)
        session = self._session if here and self._session is not None else sync(self.loop, self.set_session)
        if not (block_size and size and info.get("partial", True)):
            response = first if isinstance(first, BodyStream) else None
            options.update(mode=mode, loop=self.loop, session=session, response=response)
            with as_file_error():
                return HTTPStreamFile(self, path, **options)
        options["cache_type"] = cache_type or self.cache_type
        options["cache_options"] = cache_options or self.cache_options
        honours_ranges = not isinstance(first, BodyStream)
        several = may_split(self, kwargs) and size > MANY and honours_ranges
        if several and options["cache_type"] == "adaptive" and not options["cache_options"]:
            options["cache_options"] = fetching_ahead(self.max_concurrency)
        options.update(mode=mode, session=session, loop=self.loop, size=size, block_size=block_size)
        opened = HTTPFile(self, path, **options)
        opened._reading_ahead.several = several and plain
        if info:
            opened._begin_with(info, first)
            opened._reading_ahead.splits = several  # the parts are compared with what is known now
        return opened

    async def open_async(
        self, path: str, mode: str = "rb", size: int | None = None, **kwargs: Any
    ) -> AsyncStreamFile:
        """Open a file to be read from its beginning to its end by awaiting."""
        session = await self.set_session()
        known = answers.Version()
        if size is None:
            try:
                info = await self._info(path, **kwargs)
                size, known = info["size"], answers.version_in(info)
            except UnknownOptionError:
                raise
            except FileNotFoundError:
                pass  # reading says so
        options = {**self.kwargs, **kwargs}
        opened = AsyncStreamFile(self, path, loop=self._loop, session=session, size=size, **options)
        opened._known_version = known
        return opened
