"""HTTP and HTTPS by blocking requests: ``requests``, or the browser's own.

For places without threads or event loops (Python in a browser, above all). Importing
this module makes it the implementation of http and https, until `unregister`.

An instance has a `requests.Session`. In a forked child it gets a new one; the parent's
connections are covered there, so that they are neither used nor closed. The files are
in `_http.sync_file`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache, partial
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from fsspec._fork import sockets
from fsspec._fork.owned import CheckedAttribute
from fsspec._overriding import default, unlike_base
from fsspec._paths.redaction import redact_url
from fsspec._plans import drive
from fsspec._public import publish
from fsspec.callbacks import DEFAULT_CALLBACK, for_file
from fsspec.exceptions import AccessRefusedError
from fsspec.implementations._http import answers, parsing, sync_responses, transfers
from fsspec.implementations._http.base import HTTPBase
from fsspec.implementations._http.browser import JsHttpException, RequestsSessionShim, ResponseProxy, StreamIO
from fsspec.implementations._http.globbing import glob
from fsspec.implementations._http.options import UnknownOptionError, as_file_error, request_options
from fsspec.implementations._http.parsing import ex, ex2, has_magic, magic_check
from fsspec.implementations._http.retrying import Retries
from fsspec.implementations._http.sync_file import HTTPFile, HTTPStreamFile
from fsspec.implementations._http.sync_responses import get_range
from fsspec.implementations._http.transfers import CHUNK
from fsspec.registry import register_implementation
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import tokenize

if TYPE_CHECKING:
    from collections.abc import Callable

    import yarl

    from fsspec._paths.types import Depth, Found, Options, PathOrPaths, Progress, StrPath, T


_missing_package = ""
try:
    import requests

    from fsspec.implementations._http.sync_session import keep_settings, never_connected, watched_session
except ImportError as _error:  # a browser needs none; elsewhere the first instance says so, as with upstream
    _missing_package = str(_error)

logger: logging.Logger = logging.getLogger("fsspec.http")

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
publish(__name__)

_PROTOCOLS = ("http", "https", "sync-http", "sync-https")

if not _missing_package:

    class HTTPPermissionError(requests.HTTPError, AccessRefusedError):
        """The server wants credentials that it was not given (401), or forbids (403)."""

    class HTTPNotFoundError(requests.HTTPError, FileNotFoundError):
        """The server has nothing at the URL (404), or no longer has it (410)."""

    class UnreachableError(requests.ConnectionError, FileNotFoundError):
        """Nobody answers at the host of a URL, so that there is no file either."""

    class InvalidURLError(requests.exceptions.InvalidURL, FileNotFoundError):
        """A URL that cannot be requested, at which there is no file either."""

    _MALFORMED = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    )


def _file_info(
    url: str, session: requests.Session | RequestsSessionShim, size_policy: str = "head", **kwargs: Any
) -> dict[str, Any]:
    """What the headers of one request say of a file: ``name``, ``size``, checksums."""
    options = parsing.with_headers({"allow_redirects": True, **kwargs}, Accept_Encoding="identity")
    if size_policy == "head":
        response = session.head(url, **options)
    elif size_policy == "get":
        response = session.get(url, stream=True, **options)
    else:
        raise TypeError(f'size_policy is "head" or "get", not {size_policy!r}')
    with closing(response):
        response.raise_for_status()
        described = _entry_of(response)
    described.pop("mimetype", None)
    return {"name": url, **described}


class HTTPFileSystem(HTTPBase, AbstractFileSystem):
    """Files of web servers, by blocking requests; uploads by PUT and POST.

    A page can be listed for the links on it that lead below it. The parameters are
    those of `fsspec.implementations.http.HTTPFileSystem`; ``client_kwargs`` are set as
    attributes of the session.
    """

    protocol: ClassVar[str | tuple[str, ...]] = _PROTOCOLS
    session: CheckedAttribute[Any] = CheckedAttribute()
    _fork_sensitive = True
    _answers_tell_versions = True  # and are compared, see _http.answers

    def __init__(
        self,
        simple_links: bool = True,
        block_size: int | None = None,
        same_scheme: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        client_kwargs: dict[str, Any] | None = None,
        encoded: bool = False,
        retries: int = 0,
        retry_wait: float = 1.0,
        retry_statuses: Iterable[int] | None = None,
        validators: Iterable[str] = answers.VALIDATORS,
        **storage_options: Any,
    ) -> None:
        self.js: bool = sys.platform == "emscripten"
        if _missing_package and not self.js:
            raise ModuleNotFoundError(
                f"HTTP by blocking requests needs requests: pip install requests ({_missing_package})",
                name="requests",
            )
        super().__init__(self, **storage_options)
        self._retry_policy = Retries.given(retries, retry_wait, retry_statuses)
        self._set_up(
            simple_links, block_size, same_scheme, cache_type, cache_options, client_kwargs, encoded,
            storage_options,
        )  # fmt: skip
        self.session = (
            RequestsSessionShim()
            if self.js
            else watched_session(self._traffic_counts, answers.ignored_headers(validators))
        )
        for name, value in self.client_kwargs.items():
            if name == "headers":
                self.session.headers.update(parsing.own_headers(self.client_kwargs))
            elif not self.js and not hasattr(self.session, name):
                raise TypeError(f"client_kwargs has {name!r}, which is not an attribute of requests.Session")
            else:
                setattr(self.session, name, value)

    def _revive(self, before: dict[str, Any]) -> None:
        super()._revive(before)
        inherited = before.get("session")
        if isinstance(inherited, requests.Session):  # the program may have logged in, or set a proxy
            keep_settings(self.session, inherited)

    def _after_fork_in_child(self) -> None:
        session = object.__getattribute__(self, "__dict__").get("session")
        if session is not None:
            sockets.cover(_idle_descriptors(session))
        super()._after_fork_in_child()

    @property
    def fsid(self) -> str:
        """``"sync-http"``."""
        return "sync-http"

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        """URLs stay as they are, except for a ``sync-`` before them."""
        if isinstance(path, str) and path.startswith(("sync-http://", "sync-https://")):
            return path[5:]
        return path

    def encode_url(self, url: str) -> str | yarl.URL:
        """The URL as it is requested; a `yarl.URL` if that package is installed."""
        url = parsing.url_given(url)
        if self.js:
            return url
        kind = _yarl_url()
        if kind is None:
            import urllib.parse

            return url if self.encoded else urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")
        return kind(url, encoded=self.encoded)

    def ukey(self, url: str) -> str:
        """A token of the URL and the options of requests; what it leads to may have changed."""
        return tokenize(url, self.kwargs, self.protocol)

    def _raise_not_found_for_status(self, response: requests.Response | ResponseProxy, url: str) -> None:
        """Raise FileNotFoundError, PermissionError or OSError for a status above 400, or no answer at all."""
        status = response.status_code
        if status < 400 and (
            self.js or not answers.is_dead_redirect(status, response.headers, response.request.headers)
        ):
            return
        response.close()
        if self.js:
            if status in (404, 410):
                raise FileNotFoundError(redact_url(url))
            response.raise_for_status()
        if status in (404, 410):
            kind: Any = HTTPNotFoundError
            raise kind(redact_url(url), response=response)
        kind = HTTPPermissionError if status in (401, 403) else requests.HTTPError
        raise kind(f"{status} {response.reason} for {redact_url(url)} (HTTPFileSystem)", response=response)

    # reading ----------------------------------------------------------------------
    def _repeat_request(self, work: Callable[[], T]) -> T:
        """The result of ``work``, called again as the filesystem's retry options say."""
        return sync_responses.repeat(self._retry_policy, work, self._traffic_counts)

    def _get_response(self, url: str, **options: Any) -> requests.Response | ResponseProxy:
        """A response whose body is still to be read."""
        options = {**self.kwargs, **options}
        return sync_responses.send(self, self.session, "get", str(self.encode_url(url)), options, stream=True)

    def _process_limits(self, url: str, start: int | None, end: int | None) -> str:
        """The value of a ``Range`` header for limits as slices have them."""
        limits = self._byte_limits(url, start, end, {})
        if limits is None:
            raise ValueError(f"limits from the end need the size of {redact_url(url)}, which is not known")
        begin, end, _ = limits
        return f"bytes={begin}" if begin < 0 else parsing.range_value(begin, end)

    def _byte_limits(
        self, url: str, start: int | None, end: int | None, options: Options
    ) -> tuple[int, int | None, answers.Version] | None:
        """Limits of which at most a lone start counts from the end, and what is known of the file. None if
        they need the size, which the server does not give."""
        begin, known = start or 0, answers.known_version(url)
        if end is None or begin >= 0 <= end:
            return begin, end, known
        info = self._info_of(url, options)
        if info["size"] is None:
            return None
        begin, end, _ = slice(start, end).indices(info["size"])
        return begin, end, known.updated(url, answers.version_in(info))

    @unlike_base
    def cat_file(self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or of a part of it: one request, and one for the size if limits count from
        the end of the file and a range header cannot say them."""
        if start is None and end is None:
            return self._repeat_request(partial(self._whole_body, url, kwargs))
        if start == end:
            return b""
        if parsing.near_the_end(start or 0, end):
            with self._not_there(url):  # as when the size is asked for
                data = self.cat_file(url, start, **kwargs)
            if data or not start:
                return data[:end]  # else it may be the end of a compressed form
        limits = self._byte_limits(url, start, end, kwargs)
        if limits is None:  # they count from an end that the server does not give
            return self.cat_file(url, **kwargs)[start:end]
        begin, end, known = limits
        if end is not None and begin >= end:
            return b""
        return self._repeat_request(partial(self._body_part, url, begin, end, known, kwargs))

    def _whole_body(self, url: str, options: Options) -> bytes:
        with closing(self._get_response(url, **options)) as response:
            self._raise_not_found_for_status(response, url)
            return sync_responses.read_whole(response, url)

    def _body_part(
        self, url: str, start: int, end: int | None, known: answers.Version, options: Options
    ) -> bytes:
        value = f"bytes={start}" if start < 0 else parsing.range_value(start, end)
        with closing(self._get_response(url, **parsing.ranged(options, value, self.kwargs))) as response:
            if response.status_code != 416:
                self._raise_not_found_for_status(response, url)
            at = sync_responses.placed(response, url, start, end, known)
            if not at.certain:  # the body is the range, or all of the file: only the size shows which
                with suppress(OSError):
                    current = answers.version_in(self._info_of(url, options))
                    at = sync_responses.placed(response, url, start, end, known.updated(url, current))
            answers.learn_version(url, at.version)
            try:
                return sync_responses.read_placed(response, at, url, start, end)
            except OSError:
                if response.status_code != 206 or parsing.is_plain(response.headers):
                    raise
        return self._whole_body(url, options)[start:end]  # no part of a compressed form can be read alone

    def cat_ranges(self, paths: list[str], *args: Any, **kwargs: Any) -> list[Any]:
        """The bytes of ranges. All ranges of a file are read from the same version of it."""
        kwargs.pop("batch_size", None)  # they are asked for one after the other
        with answers.one_version():
            return super().cat_ranges(paths, *args, **kwargs)

    @unlike_base
    def get_file(
        self,
        rpath: str,
        lpath: StrPath | IO[bytes],
        chunk_size: int = CHUNK,
        callback: Progress = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        """Download a file, by one request; see the awaitable `_get_file`."""
        if transfers.is_folder(rpath, lpath):
            found = self.exists(rpath, strict=True, **kwargs)
            return transfers.make_folder(rpath, cast("StrPath", lpath), found)
        callback = for_file(callback, rpath)
        target = transfers.Target(lpath, self._retry_policy.times > 0)

        def download() -> None:
            with closing(self._get_response(rpath, **kwargs)) as response:
                callback.set_size(parsing.described(response.headers)["size"])
                self._raise_not_found_for_status(response, rpath)
                sync_responses.check_is_whole(response, rpath)
                with target.opened() as local:
                    write = target.writer(local, callback, chunk_size)
                    for data in sync_responses.body_parts(response, rpath, size=chunk_size):
                        write(data)

        self._repeat_request(download) if target.repeatable else download()

    @unlike_base
    def info(self, url: str, **kwargs: Any) -> dict[str, Any]:
        """What a HEAD request says of a file; a GET if that fails or gives no size, or 0."""
        return self._fsspec_info_and_type(url, kwargs)[0]

    def _fsspec_info_and_type(self, url: str, kwargs: Options) -> tuple[dict[str, Any], str | None]:
        """What `info` gives, and the media type, which it leaves out, as upstream."""
        info = self._info_of(url, kwargs)
        info.pop("partial", None)
        return info, info.pop("mimetype", None)

    def _info_of(self, url: str, kwargs: Options, trusts_zero: bool = False) -> dict[str, Any]:
        try:
            info = self._ask_by(url, "head", kwargs)
        except FileNotFoundError as error:
            if isinstance(error, UnknownOptionError):
                raise
            if not self.js and isinstance(error, (UnreachableError, InvalidURLError)):
                raise
            info = {}
        except OSError as error:
            logger.debug("no HEAD of %s: %r", redact_url(url), type(error))
            info = {}
        if not info.get("size") and not (trusts_zero and info.get("size") == 0):
            is_empty = info.pop("size", None) == 0  # of the answer to HEAD, perhaps; what else it gave stays
            try:
                found = self._ask_by(url, "get", kwargs)
            except requests.HTTPError as error:
                if not is_empty or isinstance(error, FileNotFoundError):
                    raise
                found = {}  # as for the awaitable one
            info.update((k, v) for k, v in found.items() if v is not None)
        return {"name": url, "size": None, **info, "type": "file"}

    def _ask_by(self, url: str, method: str, options: Options) -> dict[str, Any]:
        """What the headers of one answer tell; the body of a GET is not read."""
        with as_file_error():
            given = parsing.with_headers({**self.kwargs, **options}, Accept_Encoding="identity")
        given.pop("refresh", None)  # nothing is remembered
        given = {"allow_redirects": True, "stream": method == "get", **given}

        def ask() -> dict[str, Any]:
            with self._not_there(url):
                response = sync_responses.send(self, self.session, method, str(self.encode_url(url)), given)
            with closing(response):
                self._raise_not_found_for_status(response, url)
            return _entry_of(response)

        return self._repeat_request(ask)

    @staticmethod
    def _opening_error(error: OSError, url: str) -> OSError:
        """What opening a file raises for ``error``: of an unreachable host also a FileNotFoundError."""
        if type(error) is not requests.ConnectionError or not never_connected(error):
            return error
        unreachable: Any = UnreachableError
        return cast("OSError", unreachable(*error.args, request=getattr(error, "request", None)))

    @contextmanager
    def _not_there(self, url: str) -> Iterator[None]:
        """Let errors about an unreachable host, a malformed URL or an option also be FileNotFoundError."""
        try:
            with as_file_error():
                yield
        except InvalidURLError:
            raise
        except OSError as error:
            if self.js:
                raise
            if isinstance(error, _MALFORMED):
                raise InvalidURLError(answers.why_invalid(url, error)) from error
            if (raised := self._opening_error(error, url)) is error:
                raise
            raise raised from error
        except ValueError as malformed:
            kind: Any = FileNotFoundError if self.js else InvalidURLError
            raise kind(answers.why_invalid(url, malformed)) from malformed

    @default
    def exists(self, path: str, strict: bool = False, **kwargs: Any) -> bool:
        """Whether a GET request, whose body is not read, succeeds."""
        kwargs.pop("refresh", None)

        def ask() -> bool:
            with closing(self._get_response(path, **kwargs)) as response:
                self._raise_not_found_for_status(response, path)
                return True

        try:
            return self._repeat_request(ask)
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            if strict:
                raise
            return False

    @default
    def isfile(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a URL."""
        return self.exists(path, **kwargs)

    def isdir(self, path: str) -> bool:
        """Whether there is a page with links that lead below it."""
        try:
            return bool(self.ls(path))
        except FileNotFoundError:
            return False

    # listing ----------------------------------------------------------------------
    @unlike_base
    def ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The links of a page that lead below it; one request."""
        cached = not kwargs.pop("refresh", False) and self.use_listings_cache and url in self.dircache
        listed = self.dircache[url] if cached else None
        if listed is None:
            listed = self._ls_real(url, detail=True, **kwargs)
            if self.use_listings_cache:
                self.dircache[url] = listed
        return list(listed) if detail else sorted(entry["name"] for entry in listed)

    def _ls_real(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Ask for a page, whatever is remembered of it; what classes that list otherwise override."""
        options = request_options(type(self.session).request, kwargs)
        listed = self._repeat_request(partial(self._page_links, url, options))
        return listed if detail else sorted(entry["name"] for entry in listed)

    def _page_links(self, url: str, options: Options) -> list[dict[str, Any]]:
        with closing(self._get_response(url, **options)) as response:
            self._raise_not_found_for_status(response, url)
            if not parsing.may_have_links(response.headers):
                return []
            sync_responses.check_is_whole(response, url)
            text = response.text
        return self._page_entries(text, url)

    def glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Found:
        """The URLs that match; of the wildcards only ``*`` and ``[..]``. Of ``"url/"`` what it lists."""
        if isinstance(path, str) and path.endswith("/") and "?" not in path and not has_magic(path):
            path += "*"
        plan = glob(self, path, maxdepth or None, **kwargs)  # 0 is no limit, as upstream
        return cast("Found", drive(self, plan))

    # writing ----------------------------------------------------------------------
    @unlike_base
    def put_file(
        self,
        lpath: StrPath | IO[bytes],
        rpath: str,
        chunk_size: int = CHUNK,
        callback: Progress = DEFAULT_CALLBACK,
        method: str = "post",
        **kwargs: Any,
    ) -> None:
        """Upload a file, by one request; ``method`` is ``"post"`` or ``"put"``."""
        method = transfers.check_method(method)
        with transfers.uploading(
            lpath, chunk_size, for_file(callback, rpath), None if self.js else requests.ConnectionError
        ) as body:
            self._upload_body(method, rpath, body, kwargs)

    def _upload_body(self, method: str, url: str, data: transfers.Upload, options: Options) -> None:
        transfers.check_body(options)
        options = {**self.kwargs, **options}

        def upload() -> None:
            data.rewind()
            body = b"".join(data) if self.js else data
            with closing(
                sync_responses.send(self, self.session, method, url, options, data=body)
            ) as response:
                self._raise_not_found_for_status(response, url)
                if 300 <= response.status_code < 400 and response.status_code != 303 and not self.js:
                    message = f"{response.status_code} redirected for {redact_url(url)}: nothing was uploaded"
                    raise requests.HTTPError(message, response=response)

        self._repeat_request(upload) if method == "put" else upload()

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
        """Open a file for reading; see the awaitable filesystem."""
        answers.only_read(mode, "fs.put_file(file, url), also of an io.BytesIO")  # pipe_file comes here
        block_size = block_size if block_size is not None else self.block_size
        options = {**self.kwargs, **kwargs}
        info: dict[str, Any] = {}
        if not size and block_size:
            info = self._info_of(path, kwargs, trusts_zero=True)
            size = info["size"]  # of 0 bytes it is read as it arrives, however many come
        if not (block_size and size and info.get("partial", True)):
            with as_file_error():
                return HTTPStreamFile(self, path, mode=mode, session=self.session, **options)
        options["cache_type"] = cache_type or self.cache_type
        options["cache_options"] = cache_options or self.cache_options
        opened = HTTPFile(
            self, path, mode=mode, session=self.session, size=size, block_size=block_size, **options
        )
        if info:
            opened._begin_with(info)
        return opened


def _entry_of(response: requests.Response | ResponseProxy) -> dict[str, Any]:
    """What the headers of a response say of a file: ``size``, type, checksums, whether ranges are refused."""
    described = parsing.described(response.headers, response.status_code)
    names = ("size", "partial", "mimetype", *parsing.checksums(response.headers))
    return {name: described[name] for name in names if name in described}


def _idle_descriptors(session: requests.Session | RequestsSessionShim) -> Iterator[int]:
    """Those of the sockets of idle connections, found without taking any lock."""
    for adapter in list(getattr(session, "adapters", {}).values()):
        pools = getattr(getattr(adapter, "poolmanager", None), "pools", None)
        for pool in list(getattr(pools, "_container", {}).values()):
            for connection in list(getattr(getattr(pool, "pool", None), "queue", ())):
                if (sock := getattr(connection, "sock", None)) is not None:
                    yield sock.fileno()


@lru_cache(maxsize=None)  # an import that finds nothing takes 40 µs each time
def _yarl_url() -> type[Any] | None:
    try:
        from yarl import URL
    except ImportError:
        return None
    found: type[Any] = URL
    return found


# registration ---------------------------------------------------------------------
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
