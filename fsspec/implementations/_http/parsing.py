"""What URLs, headers and pages of HTTP say, without asking anybody.

Shared by the awaitable and the blocking HTTP filesystem.  Nothing here does I/O or
needs a package beyond the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Optional
from urllib.parse import unquote, urljoin

from fsspec._paths.paths import url_text

ex: re.Pattern[str] = re.compile(r"""<(a|A)\s+(?:[^>]*?\s+)?(href|HREF)=["'](?P<url>[^"']+)""")
"""A link of a page."""
ex2: re.Pattern[str] = re.compile(r"""(?P<url>http[s]?://[-a-zA-Z0-9@:%_+.~#?&/=]+)""")
"""Anything in a text that looks like a URL."""
magic_check: re.Pattern[str] = re.compile("([*[])")
"""Wildcards of a URL: a question mark begins the query, and is none."""

NEAR = 2**16
"""Bytes at the end of a file that are read, and dropped, rather than to ask for its size."""

NOT_PAGES = (
    "application/octet-stream",
    "application/zip",
    "application/gzip",
    "application/pdf",
    "application/x-tar",
    "application/x-hdf",
    "audio/",
    "font/",
    "image/",
    "video/",
)
"""How media types begin that hold no links; their bodies are not read in search of any."""


def has_magic(s: str) -> bool:
    """Whether a URL is a pattern: as `globbing.has_magic`, but a question mark begins the query."""
    return magic_check.search(s) is not None


def url_given(url: object) -> Any:
    """A URL as a client takes it. Raises NoPathError: it is neither text nor an object that stands for a
    URL."""
    return url if hasattr(url, "path") else url_text(url)


def why_no_url(text: str) -> str:
    """What is wrong with a text that a client does not take for a URL."""
    if not text:
        return "the path is empty, where a URL is needed"
    return "no valid URL" if "://" in text else "a URL begins with http:// or https://"


def unescaped(path: str) -> str:
    """The part of a URL that names a path, as clients and servers read it."""
    path = path.translate(_REMOVED_CHARACTERS).partition("#")[0].partition("?")[0]
    return unquote(path).replace("\\", "/")


_REMOVED_CHARACTERS = dict.fromkeys(map(ord, "\t\r\n"))
"""Characters that clients remove from URLs before they look for dots."""

_PROPER = re.compile(r"(?:[-A-Za-z0-9._~:/?#@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})*")


def is_proper_url(text: str) -> bool:
    """Whether a URL can be requested as it is written: nothing in it has to be escaped."""
    return _PROPER.fullmatch(text) is not None


def parent(url: str) -> str:
    """The URL up to its last slash; empty if no host would be left."""
    head = url.rpartition("/")[0]
    return head if head.partition("://")[2] else ""


# headers --------------------------------------------------------------------------
def range_value(start: int, end: int | None) -> str:
    """The value of a ``Range`` header for the bytes from ``start`` up to ``end``."""
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"


def near_the_end(start: int, end: int | None) -> bool:
    """Whether limits as slices have them are those of a range up to, or nearly up to, the end of the file."""
    return end is not None and -NEAR <= end < 0 and (start >= 0 or start < end)


def own_headers(options: Mapping[str, Any]) -> dict[str, str]:
    """The headers among the options of a request. Raises TypeError: they are none."""
    given = options.get("headers") or {}
    try:
        headers = dict(given)
    except (TypeError, ValueError):
        kind = type(given).__name__  # the values may be secret
        raise TypeError(f"headers is a mapping of names to values, not {kind}") from None
    for name in headers:
        if not isinstance(name, (str, bytes)):
            raise TypeError(f"headers has the name {name!r}, which is not text")
    return headers


def with_headers(options: Mapping[str, Any], **headers: str) -> dict[str, Any]:
    """A copy of the options of a request with further headers, the caller's own going first. ``headers``:
    names with ``_`` for ``-``."""
    own = own_headers(options)
    present = {name.lower() for name in own}
    for name, value in headers.items():
        name = name.replace("_", "-")
        if name.lower() not in present:
            own[name] = value
    return {**options, "headers": own}


def ranged(options: Mapping[str, Any], value: str, defaults: Mapping[str, Any] = {}) -> dict[str, Any]:
    """A copy of the options of a request that asks for a range of the plain bytes. ``defaults``: options that
    hold if there are no others; ``headers`` as a whole."""
    merged = {**defaults, **options}
    headers: dict[str, str] = {}
    if merged.get("headers"):
        headers = {k: v for k, v in own_headers(merged).items() if k.lower() != "range"}
    if not headers or "accept-encoding" not in map(str.lower, headers):
        headers["Accept-Encoding"] = "identity"
    headers["Range"] = value
    merged["headers"] = headers
    return merged


_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(?:(\d+)|\*)")


ContentRange = tuple[Optional[int], Optional[int], Optional[int]]


def inclusive_range(headers: Mapping[str, str]) -> ContentRange:
    """As `content_range`, but with the last byte."""
    first, stop, total = content_range(headers)
    return first, None if stop is None else stop - 1, total


def content_range(headers: Mapping[str, str]) -> ContentRange:
    """First byte, byte after the last, and total size of a ``Content-Range``; None if unknown."""
    match = _RANGE.match(headers.get("Content-Range", ""))
    if match is None:
        return None, None, None
    first, last, total = match.groups()
    size = None if total is None else int(total)
    return (None, None, size) if first is None else (int(first), int(last) + 1, size)


def is_plain(headers: Mapping[str, str]) -> bool:
    """Whether a body is the file itself, not a compressed form of it."""
    return headers.get("Content-Encoding", "").lower() in ("", "identity")


def announced_size(headers: Mapping[str, str], status: int = 200) -> int | None:
    """The size of a file in bytes; None if headers do not say, or describe something compressed."""
    if not is_plain(headers):
        return None
    length = headers.get("Content-Length", "")
    if status != 206 and length.isdigit():
        return int(length)
    return content_range(headers)[2] if "Content-Range" in headers else None


def described(headers: Mapping[str, str], status: int = 200) -> dict[str, Any]:
    """What headers say of a file.

    Returns ``size`` in bytes, None if the server does not say or would send something compressed;
        ``partial=False`` if it refuses ranges; ``mimetype``, ``ETag``, ``Content-MD5``, ``Digest``,
        ``Last-Modified`` if given.
    """
    info: dict[str, Any] = {"size": announced_size(headers, status)}
    if headers.get("Accept-Ranges", "").lower() == "none":
        info["partial"] = False
    if "Content-Type" in headers:
        info["mimetype"] = headers["Content-Type"].partition(";")[0]
    info.update((name, headers[name]) for name in checksums(headers))
    return info


def checksums(headers: Mapping[str, str]) -> Iterable[str]:
    """The names of those headers by which a change of the file shows."""
    return [n for n in ("ETag", "Content-MD5", "Digest", "Last-Modified") if headers.get(n)]


# pages ----------------------------------------------------------------------------
def may_have_links(headers: Mapping[str, str]) -> bool:
    """Whether the body is worth reading in search of links."""
    return not headers.get("Content-Type", "").lower().startswith(NOT_PAGES)


def links(text: str, url: str, simple: bool = True, same_scheme: bool = True) -> list[str]:
    """The URLs below ``url`` that a page at ``url`` links to, each once, in order.

    ``simple``: also take what merely looks like a URL.
    ``same_scheme``: leave out links to https on a page of http and the other way round.
    """
    base = url.partition("#")[0].partition("?")[0].rstrip("/") + "/"
    below = base.partition("://")[2]
    found = _HREF.findall(text)
    if simple:
        found += _URL_IN_TEXT.findall(text)
    out: dict[str, None] = {}
    is_name = _NAME.fullmatch
    for link in found:
        if is_name(link):
            out[base + link] = None
            continue
        full = _link_url(base, link)
        if full.startswith(base) or not same_scheme and full.partition("://")[2].startswith(below):
            if full.partition("?")[0] not in (base, base[:-1]):  # the page itself, in another order perhaps
                out[full] = None
    return list(out)


_HREF = re.compile(r"""<[aA]\s+(?:[^>]*?\s+)??(?:href|HREF)=["']([^"']+)""")
_URL_IN_TEXT = re.compile(r"http[s]?://[-a-zA-Z0-9@:%_+.~#?&/=]+")
"""`ex` and `ex2`, for their one group alone."""
_NAME = re.compile(r"[-\w~%+=@!,$*()][-\w~%+=@!,$*().]*/?", re.ASCII)
"""A link that is a name, which is joined to its page by appending it."""


def _link_url(base: str, link: str) -> str:
    """The URL that a link of a page leads to; empty if it is none."""
    import html  # not needed if nothing is listed

    try:
        return urljoin(base, html.unescape(link).strip()).partition("#")[0]
    except ValueError:  # a page may hold anything
        return ""


def entries(urls: Iterable[str]) -> list[dict[str, Any]]:
    """Listing entries for links: a slash at the end is all that marks a folder."""
    return [{"name": url, "size": None, "type": "directory" if url.endswith("/") else "file"} for url in urls]
