"""Reading one large file over several connections, if a filesystem is set to.

The first request is for the first part, and its answer gives the size. A shorter file needs no
other request; the further parts of a longer one are requested while the first still arrives, up to
the filesystem's ``max_concurrency`` at a time. All answers have to be of the same version of the
file, and each body as long as its part. Repeating the whole after an error is left to the caller.

Everything runs on the loop of the filesystem. What one part raises cancels the others.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec._files.replacing import replacing, write_all
from fsspec._loop.batching import run_concurrently
from fsspec.implementations._http.answers import UNKNOWN, Placed, Version, learn_version
from fsspec.implementations._http.parsing import range_value, ranged
from fsspec.implementations._http.responses import Body, check_is_whole, check_length, placed, preallocated

if TYPE_CHECKING:
    import aiohttp

    from fsspec._paths.types import Options, StrPath
    from fsspec.callbacks import Callback
    from fsspec.implementations.http import HTTPFileSystem

PART = 4 * 2**20
"""Bytes of a part."""
MANY = 2 * PART
"""A read of an open file is split if it is longer than this many bytes."""
AHEAD = 10 * 2**20
"""Bytes that are fetched ahead in an open file for each connection: two fetches of the prefetcher's."""

Sink = Callable[[int, bytes], Any]
"""Takes bytes and their offset in the file; parts come in any order."""


def may_split(fs: HTTPFileSystem, options: Options, start: int | None = None, end: int | None = None) -> bool:
    """Whether a file, or this much of it, is read in parts if it is long enough."""
    if fs.max_concurrency == 1 or (start or 0) < 0 or (end is not None and end - (start or 0) <= PART):
        return False
    headers = {**(fs.kwargs.get("headers") or {}), **(options.get("headers") or {})}
    return "range" not in map(str.lower, headers)  # the caller's own is for one request


def fetching_ahead(connections: int) -> dict[str, Any]:
    """Options of the adaptive cache with which an open file is fetched ahead over this many connections."""
    window = connections * AHEAD
    return {"concurrency": connections, "max_prefetch_size": window, "min_prefetch_size": window}


async def read_in_parts(
    fs: HTTPFileSystem,
    url: str,
    start: int,
    end: int | None,
    known: Version,
    options: Options,
    sink: Sink,
    on_size: Callable[[int | None], Any],
) -> bool:
    """Give the bytes from ``start`` up to ``end`` to ``sink``.

    ``end``: None for the end of the file.
    ``known``: what is known of the file.
    ``on_size``: called with the size of the file, once that is known.
    Returns False, and nothing was given, if the server's answer does not let a file be read in parts.
    """
    first = start + PART if end is None else min(end, start + PART)
    value = range_value(start, first)
    async with await fs._get_response(url, ranged(options, value, fs.kwargs)) as response:
        if response.status != 416:
            fs._raise_not_found_for_status(response, url)
        if response.status == 200 and start == 0 and end is None:  # it honours no ranges: this is all
            check_is_whole(response, url)
            on_size(placed(response, url, 0, None).version.size)
            await _save_body(response, url, 0, None, sink)
            return True
        at = placed(response, url, start, first, known)
        size = at.version.size
        if size is None or response.status == 200:
            return False
        learn_version(url, at.version)
        on_size(size)
        await _parts(
            fs, url, response, at, (start, first, size if end is None else min(end, size)), options, sink
        )
    return True


async def gather(
    fs: HTTPFileSystem,
    url: str,
    start: int,
    end: int | None,
    known: Version,
    options: Options,
    head: bytes = b"",
) -> bytes | None:
    """The bytes from ``start`` up to ``end``, after ``head``, the bytes before them; None if they
    cannot be read in parts."""
    into = io.BytesIO()
    begin = start - len(head)

    def put(offset: int, data: bytes) -> None:
        into.seek(offset - begin)
        into.write(data)

    def on_size(size: int | None) -> None:
        nonlocal into
        stop = end if size is None else size if end is None else min(end, size)
        if stop is not None:
            into = preallocated(stop - begin)  # so that each part is received in its place
            into.write(head)

    return into.getvalue() if await read_in_parts(fs, url, start, end, known, options, put, on_size) else None


async def download_in_parts(
    fs: HTTPFileSystem, url: str, lpath: StrPath, callback: Callback, options: Options
) -> bool:
    """Whether the file at ``url`` could be read in parts, and so came to ``lpath``."""
    with suppress(_NotInParts), replacing(lpath, buffering=0) as local:

        def put(offset: int, data: bytes) -> None:
            local.seek(offset)
            write_all(local, data)
            callback.relative_update(len(data))

        if not await read_in_parts(fs, url, 0, None, UNKNOWN, options, put, callback.set_size):
            raise _NotInParts  # so that nothing appears at the path
        return True
    return False


class _NotInParts(Exception):
    """A file that cannot be read in parts."""


async def _parts(
    fs: HTTPFileSystem,
    url: str,
    response: aiohttp.ClientResponse,
    at: Placed,
    bounds: tuple[int, int, int],
    options: Options,
    sink: Sink,
) -> None:
    """Read the first part from the response to it, and the others by requests of their own."""
    start, first, last = bounds

    async def read(begin: int) -> None:
        if begin == start:
            await _save_part(response, at, url, start, first, sink)
            return
        stop = min(begin + PART, last)
        async with await fs._get_response(
            url, ranged(options, range_value(begin, stop), fs.kwargs)
        ) as answer:
            if answer.status != 416:
                fs._raise_not_found_for_status(answer, url)
            await _save_part(answer, placed(answer, url, begin, stop, at.version), url, begin, stop, sink)

    await run_concurrently([start, *range(first, last, PART)], read, fs.max_concurrency)


async def _save_part(
    response: aiohttp.ClientResponse, at: Placed, url: str, start: int, stop: int, sink: Sink
) -> None:
    count = 0
    if at.start != at.stop:
        count = await _save_body(response, url, start, stop, sink, skipped=start - at.start)
    check_length(at, count, url, start, stop)


async def _save_body(
    response: aiohttp.ClientResponse, url: str, start: int, stop: int | None, sink: Sink, skipped: int = 0
) -> int:
    """Give a body to ``sink`` as it comes, except for its first bytes and those after ``stop``; how many."""
    body, position = Body(response, url), start
    await body.skip(skipped)

    def save(data: bytes) -> None:
        nonlocal position
        sink(position, data)
        position += len(data)

    await body.copy_to(save, None if stop is None else stop - start)
    return position - start
