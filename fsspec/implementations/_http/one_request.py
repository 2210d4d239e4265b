"""One request of the awaitable client: for size and type of a file before it is read (HEAD, GET without the
body, or its first bytes), for all of a file or a part of it, or an upload.

Everything runs on the loop of the filesystem.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp

from fsspec._overriding import is_from_here
from fsspec._paths.redaction import redact_url
from fsspec.implementations._http import answers, parsing, responses, transfers
from fsspec.implementations._http.answers import why_invalid
from fsspec.implementations._http.options import as_file_error
from fsspec.implementations._http.parsing import described, range_value, ranged, with_headers
from fsspec.implementations._http.read_ahead import FIRST
from fsspec.implementations._http.responses import _file_info
from fsspec.implementations._http.sending import check_upload

if TYPE_CHECKING:
    from fsspec._paths.types import Options
    from fsspec.implementations.http import HTTPFileSystem


_MALFORMED: tuple[type[Exception], ...] = ValueError, getattr(aiohttp, "NonHttpUrlClientError", ValueError)
"""What aiohttp raises for a URL that it cannot request."""


def without_refresh(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for a request, without ``refresh``: nothing is cached here."""
    return {name: value for name, value in options.items() if name != "refresh"}


def opening_error(error: OSError, url: str) -> OSError:
    """What opening ``url`` raises for ``error``: of an unreachable host also a FileNotFoundError."""
    if not isinstance(error, aiohttp.ClientConnectorError) or isinstance(error, responses.UnreachableError):
        return error
    raised = responses.UnreachableError(error._conn_key, error.os_error)
    raised.url = url
    return raised


@contextmanager
def not_there(url: str) -> Iterator[None]:
    """Let errors about an unreachable host, a malformed URL or an option also be FileNotFoundError."""
    try:
        with as_file_error():
            yield
    except responses.InvalidURLError:
        raise
    except aiohttp.ClientConnectorError as error:
        if (raised := opening_error(error, url)) is error:
            raise
        raise raised from error
    except _MALFORMED as error:
        raise responses.InvalidURLError(why_invalid(url, error)) from error


async def ask(fs: HTTPFileSystem, url: str, method: str, options: Options) -> dict[str, Any]:
    """The info from the headers of one response; the body of a GET is not read."""
    given = {**fs.kwargs, **without_refresh(options)}
    with as_file_error():
        options = with_headers(given, Accept_Encoding="identity")

    async def once() -> dict[str, Any]:
        async with await fs._get_response(url, options, method) as response:
            fs._raise_not_found_for_status(response, url)
            return {**described(responses.headers_of(response), response.status), "url": str(response.url)}

    session = await fs.set_session()  # an error in its options is not about the URL
    with not_there(url):
        if not is_from_here(_file_info):  # a program's
            return await _file_info(fs.encode_url(url), size_policy=method, session=session, **given)
        return await fs._request_sender.repeat(once)


async def ask_first_bytes(
    fs: HTTPFileSystem, url: str, options: Options
) -> tuple[dict[str, Any], bytes | responses.BodyStream | None]:
    """The result of `HTTPFileSystem._info` and the first bytes, by one request. If the server ignores ranges:
    the response, just begun, in place of the bytes."""
    await fs.set_session()  # see `ask`
    with not_there(url):
        return await fs._request_sender.repeat(partial(_first_bytes, fs, url, options))


async def _first_bytes(
    fs: HTTPFileSystem, url: str, options: Options
) -> tuple[dict[str, Any], bytes | responses.BodyStream | None]:
    response = await fs._get_response(url, ranged(options, range_value(0, FIRST), fs.kwargs))
    first: bytes | responses.BodyStream | None = None
    try:
        info = {"name": url, **described(responses.headers_of(response), response.status), "type": "file"}
        info["url"] = str(response.url)
        if response.status in (401, 403, 404, 410):
            fs._raise_not_found_for_status(response, url)
        elif response.status == 416 and info["size"] == 0:
            return info, None
        elif response.status in (200, 206):
            at = responses.placed(response, url, 0, FIRST)
            if response.status == 200 and "Content-Range" not in response.headers:
                first = responses.BodyStream(response, url)
            elif at.version.size is not None:
                info["size"] = at.version.size
                first = await responses.read_placed(response, at, url, 0, FIRST)
    finally:
        if not isinstance(first, responses.BodyStream):
            response.close()
    if first is None:  # the server refuses ranges, or does not give the size
        return await fs._info(url, **options), None
    return info, first


async def whole_body(fs: HTTPFileSystem, url: str, options: Options) -> bytes:
    """All bytes of a file."""
    response = await fs._get_response(url, options)
    try:
        fs._raise_not_found_for_status(response, url)
        return await responses.read_whole(response, url)
    finally:
        if not response.closed:
            await responses.give_up(response)


async def all_but_the_end(
    fs: HTTPFileSystem, url: str, start: int | None, end: int | None, options: Options
) -> bytes | None:
    """The bytes from ``start`` to an ``end`` near that of the file; raises what asking for its size would.
    None if the end is far, or nothing was sent: that may be the end of a compressed form."""
    if not parsing.near_the_end(start or 0, end):
        return None
    with not_there(url):
        data = await fs._cat_file(url, start, **options)
        return data[:end] if data or not start else None


async def body_part(
    fs: HTTPFileSystem, url: str, start: int, end: int | None, known: answers.Version, options: Options
) -> bytes:
    """The bytes of a part of a file, checked to be of the version ``known``."""
    value = f"bytes={start}" if start < 0 else parsing.range_value(start, end)
    response = await fs._get_response(url, parsing.ranged(options, value, fs.kwargs))
    try:
        if response.status != 416:
            fs._raise_not_found_for_status(response, url)
        at = responses.placed(response, url, start, end, known)
        data = None
        if not at.certain:  # the body is the range, or all of the file: only the size shows which
            data = await responses.read_body(response, url)  # and frees the connection, which may be the last
            with suppress(OSError, aiohttp.ClientError):
                found = answers.version_in(await fs._info(url, **options))
                at = responses.placed(response, url, start, end, known.updated(url, found))
        if at.version is not known:
            answers.learn_version(url, at.version)
        return await responses.read_placed(response, at, url, start, end, data)
    except responses.IncompleteResponse:
        if response.status != 206 or parsing.is_plain(responses.headers_of(response)):
            raise
    finally:
        if not response.closed:
            await responses.give_up(response)
    return (await whole_body(fs, url, options))[start:end]  # no part of a compressed form can be read alone


async def upload_body(
    fs: HTTPFileSystem,
    method: str,
    url: str,
    body: Callable[[], bytes | AsyncIterator[bytes]],
    options: Options,
    size: int | None = None,
) -> None:
    """Send a body, again if a PUT failed; ``size``: its bytes, if known before it is made."""
    transfers.check_body(options)
    options = {**fs.kwargs, **options}
    if size is not None:  # many servers take nothing of unknown length
        headers = parsing.own_headers(options)
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in headers}:
            options = {**options, "headers": {**headers, "Content-Length": str(size)}}

    async def upload() -> None:
        session = await fs.set_session()
        target = fs.encode_url(url)
        async with await fs._request_sender.send(session, method, target, dict(options), body) as response:
            if response.status == 412 and "If-None-Match" in response.request_info.headers:
                raise FileExistsError(redact_url(url))
            fs._raise_not_found_for_status(response, url)
            check_upload(response)

    await (fs._request_sender.repeat(upload) if method == "put" else upload())
