"""One request whose body matters: all of a file, a part of it, or an upload.

Everything runs on the loop of the filesystem.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp

from fsspec._paths.redaction import redact_url
from fsspec.implementations._http import answers, parsing, responses, transfers
from fsspec.implementations._http.probing import not_there
from fsspec.implementations._http.sending import check_upload

if TYPE_CHECKING:
    from fsspec._paths.types import Options
    from fsspec.implementations.http import HTTPFileSystem


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
    None where the end is far, or nothing is there: that may be the end of a compressed form."""
    if not parsing.near_the_end(start or 0, end):
        return None
    with not_there(url):
        data = await fs._cat_file(url, start, **options)
        return data[:end] if data or not start else None


async def body_part(
    fs: HTTPFileSystem, url: str, start: int, end: int | None, known: answers.Version, options: Options
) -> bytes:
    """The bytes of a part of a file, which are of the version ``known``."""
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
    """Send a body, again where a PUT failed; ``size``: its bytes, if known before it is made."""
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
