"""Requests for size and type of a file before it is read: HEAD, GET without the body, or its first bytes.

Everything runs on the loop of the filesystem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp

from fsspec.implementations._http import responses
from fsspec.implementations._http.answers import as_file_error, why_invalid
from fsspec.implementations._http.parsing import described, range_value, ranged, with_headers
from fsspec.implementations._http.read_ahead import FIRST

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
    with as_file_error():
        options = with_headers({**fs.kwargs, **without_refresh(options)}, Accept_Encoding="identity")

    async def once() -> dict[str, Any]:
        async with await fs._get_response(url, options, method) as response:
            fs._raise_not_found_for_status(response, url)
            return {**described(responses.headers_of(response), response.status), "url": str(response.url)}

    await fs.set_session()  # an error in its options is not about the URL
    with not_there(url):
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
