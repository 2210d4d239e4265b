"""Blocking requests by ``requests`` or a browser: what their answers are, and when they are made again.

The counterpart of `responses` and of the loop in `sending`; the two look into `answers` and `retrying` alike.
What a status is raised as is in `http_sync`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from fsspec._paths.redaction import redact_url
from fsspec._plans import drive
from fsspec._spec.traffic import Traffic
from fsspec.exceptions import IncompleteRead
from fsspec.implementations._http import answers
from fsspec.implementations._http.options import check_options
from fsspec.implementations._http.parsing import ContentRange, content_range, is_plain, range_value, ranged
from fsspec.implementations._http.retrying import Retries

if TYPE_CHECKING:
    import requests

    from fsspec._paths.types import Errors, Options, T
    from fsspec.implementations._http.browser import RequestsSessionShim, ResponseProxy


def send(
    fs: object, session: Any, method: str, url: str, options: Options, **ours: Any
) -> requests.Response | ResponseProxy:
    """A response, whose body is still to be read if ``ours`` has ``stream``. ``fs``: whose options they
    are. Raises UnknownOptionError: one of the options has a name that is not known."""
    request = getattr(session, method)
    try:
        return cast("requests.Response", request(url, **ours, **options))
    except TypeError as error:
        check_options(error, type(session).request, options, type(fs), url)
        raise
    except OSError as error:  # the base of the errors of requests, which is not installed in a browser
        name_timeout(error, url)
        raise


def placed(
    response: requests.Response | ResponseProxy,
    url: str,
    start: int,
    end: int | None,
    known: answers.Version = answers.Version(),
    parse: Callable[[Any], ContentRange] = content_range,
) -> answers.Placed:
    """Where the body of a response lies in the file; see `answers.place`."""
    return answers.place(response.status_code, response.headers, url, start, end, known, response.url, parse)


def read_placed(
    response: requests.Response | ResponseProxy, at: answers.Placed, url: str, start: int, end: int | None
) -> bytes:
    """The bytes from ``start`` up to ``end`` of a response whose place is known."""
    if at.start == at.stop:
        return b""
    need = answers.needed(at, end)
    return answers.finish(at, b"".join(body_parts(response, url, need)), url, start, end)


def body_parts(
    response: requests.Response | ResponseProxy, url: str, need: int | None = None, size: int = 2**16
) -> Iterator[bytes]:
    """The body in pieces, up to ``need`` bytes of it. Raises IncompleteRead: it ended before the server said
    it would; older versions of urllib3 do not look."""
    got = 0
    traffic = getattr(getattr(response, "connection", None), "traffic", None)
    try:
        for part in response.iter_content(size):
            if traffic is not None:
                traffic.bytes += len(part)
            if need is not None and got + len(part) >= need:
                yield part[: need - got]
                return
            got += len(part)
            yield part
    except OSError as error:
        name_timeout(error, url)
        raise
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and got < int(length) and is_plain(response.headers):
        raise IncompleteRead(f"{got} of {length} bytes of {redact_url(url)} came")


def name_timeout(error: OSError, url: object) -> None:
    """Make a timeout name the URL, and the option that sets another limit; those of connecting name it
    already."""
    if "Read timed out" in str(error):
        error.args = (f"{redact_url(url)}: {error}; timeout= sets another limit",)


def check_is_whole(response: requests.Response | ResponseProxy, url: str) -> None:
    """Make sure that a response is not a part of the file that nobody asked for."""
    if response.status_code == 206:
        asked = getattr(getattr(response, "request", None), "headers", None) or {}
        answers.check_whole(response.headers, url, "Range" in asked)


def read_whole(response: requests.Response | ResponseProxy, url: str) -> bytes:
    check_is_whole(response, url)
    return b"".join(body_parts(response, url))


def repeat(retries: Retries, work: Callable[[], T], traffic: Traffic | None = None) -> T:
    """The result of ``work``, called again as the retry options say."""
    if not retries.times:
        return work()
    target = SimpleNamespace(attempt=work, sleep=time.sleep)
    found: T = drive(target, retries.repeating(*_transient(), traffic))
    return found


def _transient() -> tuple[Errors, Errors]:
    try:
        from requests import exceptions as given
    except ImportError:  # in a browser
        return (ConnectionError, TimeoutError, IncompleteRead), ()
    broken = (given.ConnectionError, given.Timeout, given.ChunkedEncodingError, IncompleteRead)
    return broken, (given.SSLError,)


def get_range(
    session: requests.Session | RequestsSessionShim, url: str, start: int, end: int, **kwargs: Any
) -> bytes:
    """The bytes of a URL from ``start`` up to ``end``, by one request."""
    with closing(session.get(url, stream=True, **ranged(kwargs, range_value(start, end)))) as response:
        if response.status_code != 416:
            response.raise_for_status()
        return read_placed(response, placed(response, url, start, end), url, start, end)
