"""Which bytes of a file, and of which version, the body of a response holds.

Both HTTP clients check each response here before they use its body. `place` determines from
the status and the headers where in the file the body lies; `finish` checks the length of the
body; `Version` distinguishes two versions of a file.
Nothing here does I/O or needs a package beyond the standard library.

Rules:

- 206 is the range in its ``Content-Range``, which has to be the requested one.
- 200 is the whole file, unless its headers or its length show that it is the range:
  some servers honour ``Range`` and answer 200.
- 416 is empty if the file ends before the range; an error if it is known not to.
- A body that is shorter than the headers of any response so far say is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from fsspec._paths.redaction import redact_text, redact_url
from fsspec.caching import BaseCache, BytesCache, ReadAheadCache
from fsspec.exceptions import FileChangedError, IncompleteRead
from fsspec.implementations._http.parsing import ContentRange, content_range, is_plain, why_no_url

if TYPE_CHECKING:
    import yarl

    from fsspec.spec import AbstractBufferedFile


STREAM_ADVICE = "It cannot be resumed: open the file in the process that reads it"
"""The advice in errors about a response of the parent that is read in a child."""


def only_read(mode: str, way_out: str = "fs.pipe_file(url, data) and fs.put_file(path, url)") -> None:
    """Raise unless the mode is "rb". ``way_out``: the calls that write whole files, for the message."""
    if mode != "rb":
        raise NotImplementedError(
            f"HTTP files can only be opened for reading, mode 'rb'; what writes whole files is {way_out}"
        )


def why_invalid(url: str, error: Exception) -> str:
    """The message for a URL that a client library rejects."""
    shown, why = redact_url(url), getattr(error, "description", None) or redact_text(str(error))
    return f"{shown or repr(shown)}: {why if why != shown else why_no_url(url)}"


class RangesIgnoredError(ValueError):
    """The server sends the whole file in place of a part; called with the URL."""

    def __str__(self) -> str:
        return (
            f"the server of {redact_url(self.args[0])} ignores requests for a part of the file; open it with"
            " block_size=0 to read it from its beginning to its end, or by simplecache:: to seek in it"
        )


class Version(NamedTuple):
    """Validators and size of a file from response headers; None if a header is missing."""

    etag: str | None = None
    modified: str | None = None
    size: int | None = None
    host: str | None = None
    """The host of the answer, after redirects: tags of different hosts cannot be compared."""
    encoding: str = ""
    """The ``Content-Encoding`` of the answer: a compressed form has a tag and a time of its own."""

    def __str__(self) -> str:
        words = {"ETag": self.etag, "Last-Modified": self.modified, "size": self.size}
        return ", ".join(f"{k} {v}" for k, v in words.items() if v is not None) or "nothing known"

    def updated(self, url: str | yarl.URL, new: Version) -> Version:
        """This version completed by that of a further response. Raises FileChangedError: it is another
        version."""
        if self is UNKNOWN:
            return new
        if new == self:
            return self
        one_host = self.host == new.host or not self.host or not new.host
        one_form = self.encoding == new.encoding
        by_tag = one_host and bool(self.etag) and bool(new.etag)
        changed = self.size is not None and new.size is not None and self.size != new.size
        if not one_form:
            pass  # no common validator but the size
        elif by_tag:
            changed = changed or _opaque(self.etag) != _opaque(new.etag)
        elif self.modified and new.modified:
            changed = changed or self.modified != new.modified
        if changed:
            raise FileChangedError(redact_url(url), str(self), str(new))
        size = new.size if self.size is None else self.size
        if not one_form:
            return (self if self.etag or self.modified else new)._replace(size=size)
        return Version(
            self.etag or new.etag, self.modified or new.modified, size, self.host or new.host, self.encoding
        )


UNKNOWN = Version()
"""The version of a file that nothing is known of."""


def _opaque(tag: str | None) -> str:
    return (tag or "").removeprefix("W/").strip('"')  # Azure's listings leave the quotes out


def version(headers: Mapping[str, str], url: str | yarl.URL, size: int | None = None) -> Version:
    """The version in a response from ``url``. A ``Last-Modified`` equal to the time of the response does not
    count: such a server sets it again each time."""
    tag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if modified is not None and modified == headers.get("Date"):
        modified = None
    # of interest only if there is a tag
    host = None if tag is None else _host(url)
    return Version(
        tag, modified, size, host, "" if is_plain(headers) else headers["Content-Encoding"].lower()
    )


def version_in(info: Mapping[str, Any]) -> Version:
    """The version of a file that an entry of it describes."""
    return version(info, info.get("url", ""), info.get("size"))


def _host(url: str | yarl.URL) -> str:
    netloc = url.partition("://")[2].partition("/")[0] if isinstance(url, str) else url.raw_authority
    return netloc.rpartition("@")[2]


VALIDATORS = ("ETag", "Last-Modified")
"""The headers that distinguish versions of a file."""


def ignored_headers(validators: Iterable[str]) -> frozenset[str]:
    """The `VALIDATORS`, in lower case, that are not in ``validators``. Raises ValueError: one of
    them is none. Raises TypeError: it is not a list."""
    try:
        names = {validators} if isinstance(validators, str) else set(validators)
    except TypeError:
        raise TypeError(f"validators is a list of names of headers, not {validators!r}") from None
    known, given = {name.lower() for name in VALIDATORS}, {str(name).lower() for name in names}
    if given - known:
        raise ValueError(f"validators are some of {', '.join(VALIDATORS)}, not {sorted(map(str, names))}")
    return frozenset(known - given)


def is_dead_redirect(status: int, headers: Mapping[str, str], asked: Iterable[str]) -> bool:
    """Whether a response is a redirect without a location, whose body is not the requested file.

    ``headers``: of the response.
    ``asked``: names of the headers of the request; 304 is right for one with a condition.
    """
    if not 300 <= status < 400 or headers.get("Location"):
        return False
    names = {name.lower() for name in asked}
    return status != 304 or names.isdisjoint({"if-none-match", "if-modified-since"})


def drops_upload(status: int, method: str, url: str, target: str) -> bool:
    """Whether an upload is lost at a redirect, since clients follow it without the body.

    A POST is lost if the URL has moved: permanently, or to the same path on another host or
    scheme. Otherwise, and for 303, the redirect answers an upload that has arrived.
    """
    if status not in (301, 302):
        return False
    if method.upper() != "POST":
        return True
    before, after = urlsplit(url), urlsplit(target)
    elsewhere = before[:2] != after[:2] and before[2:4] == after[2:4]
    return status == 301 or elsewhere


class Placed(NamedTuple):
    """Where the body of a response lies in the file.

    ``start``: offset of the first byte of the body.
    ``stop``: offset after its last byte; None if the length is not known beforehand.
    ``version``: what is known of the file, from this answer and those before it.
    ``certain``: False if only the size of the file could tell whether the body is the range or the whole
        file; it then counts as the whole file.
    """

    start: int
    stop: int | None
    version: Version
    certain: bool = True


def place(
    status: int,
    headers: Mapping[str, str],
    url: str | yarl.URL,
    start: int,
    end: int | None,
    known: Version = UNKNOWN,
    final_url: str | yarl.URL | None = None,
    parse: Callable[[Mapping[str, str]], ContentRange] = content_range,
) -> Placed:
    """Where in the file the body of a response lies, for a request for the bytes from ``start`` up to
    ``end``.

    ``status``: below 400, or 416.
    ``url``: for messages.
    ``start``, ``end``: a negative start (with ``end`` None) asks for that many bytes from the end; 0 and None
        for everything.
    ``known``: the version from earlier responses.
    ``final_url``: after redirects.
    ``parse``: reads the range from the headers.
    Raises IncompleteRead: the body is not what was asked for.
    Raises FileChangedError: the answer is about another version of the file than ``known``.
    """
    content = parse(headers)
    if status == 206 or status == 416 or "Content-Range" in headers or content[0] is not None:
        found = known.updated(url, version(headers, url if final_url is None else final_url, content[2]))
        if status == 416:
            return _unsatisfied(found, url, start)
        first, stop, total = content
        if first == start and stop == end and stop is not None and start < stop and status == 206:
            # the common case, exactly the requested range: no need for `_place_partial`
            if (total is None or stop <= total) and headers.get("Content-Length") == str(stop - start):
                return Placed(start, stop, found)
        return _place_partial(status, headers, url, start, end, content, found)

    def about(size: int | None) -> Version:
        return known.updated(url, version(headers, url if final_url is None else final_url, size))

    length, size = _length(headers), known.size
    if length is None or start < 0 and length <= -start:
        return Placed(0, length, about(None))
    if start > 0 and length != size:
        last = size if end is None or size is None else min(end, size)
        if last is not None and length == last - start:
            return Placed(start, last, about(None))
        refuses = headers.get("Accept-Ranges", "").lower() == "none"
        if size is None and not refuses and (end is None or length <= end - start):
            # unless the size is told, a body of the length of the range is the range
            first = 0 if end is None or length < end - start else start
            return Placed(first, first + length, about(None), certain=False)
    if start == 0 and length == end:  # the range, or a file that is no longer than it
        return Placed(0, length, about(None))
    return Placed(0, length, about(length))


def _length(headers: Mapping[str, str]) -> int | None:
    """The length of the plain body, if it is given."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isdigit() and is_plain(headers) else None


def _unsatisfied(found: Version, url: str | yarl.URL, start: int) -> Placed:
    if found.size and -found.size <= start < found.size:
        raise IncompleteRead(
            f"the server has no byte {start} of {redact_url(url)}, whose size is {found.size} bytes"
        )
    return Placed(max(start, 0), max(start, 0), found)


def _place_partial(
    status: int,
    headers: Mapping[str, str],
    url: str | yarl.URL,
    start: int,
    end: int | None,
    content: tuple[int | None, int | None, int | None],
    found: Version,
) -> Placed:
    first, stop, total = content
    length = _length(headers)
    if first is None or stop is None or first >= stop or total is not None and stop > total:
        if "Content-Range" in headers or headers.get("Content-Type", "").lower().startswith("multipart/"):
            raise IncompleteRead(f"the server sent a range of {redact_url(url)} that cannot be understood")
        first = start if start >= 0 else max(0, (found.size or 0) + start)
        stop = None if length is None else first + length
        if end is not None and stop is not None and stop > end:
            raise IncompleteRead(f"the server sent {length} bytes of {redact_url(url)}, not {end - start}")
    elif length is not None and length != stop - first and status == 206:
        raise IncompleteRead(f"the server sent {length} bytes of {redact_url(url)}, not {stop - first}")
    if start < 0:
        start = first if found.size is None else max(0, found.size + start)
    if first != start:
        raise IncompleteRead(f"the server sent {redact_url(url)} from byte {first} on, not {start}")
    if found.size is not None and stop is not None:
        wanted = found.size if end is None else min(end, found.size)
        if stop < wanted:
            raise IncompleteRead(f"the server sent {redact_url(url)} up to byte {stop}, not {wanted}")
    return Placed(first, stop, found)


def exclusive(parse: Callable[[Any], ContentRange]) -> Callable[[Any], ContentRange]:
    """Adapt a file's ``parse``, which returns an inclusive end, to `place`, which expects an exclusive
    one."""

    def parsed(headers: Mapping[str, str]) -> ContentRange:
        first, last, total = parse(headers)
        return first, None if last is None else last + 1, total

    return parsed


def needed(placed: Placed, end: int | None) -> int | None:
    """How many bytes of the body are to be read for a range up to ``end``; None for all."""
    if end is None or placed.stop is not None and placed.stop <= end:
        return None
    return end - placed.start


def finish(placed: Placed, data: bytes, url: str | yarl.URL, start: int, end: int | None) -> bytes:
    """The bytes from ``start`` up to ``end``, cut out of a body. ``data``: the body, or as much of it as is
    `needed`. Raises IncompleteRead: the body is too short."""
    if start < 0:
        got = data[start:]
    elif placed.start == start and end is not None and len(data) == end - start:
        return data
    else:
        at = start - placed.start
        if placed.stop is None and at and len(data) == _expected(placed.version.size, start, end):
            at = 0  # without a length in the headers: a body of the length of the range is the range
        got = data[at : at + end - start] if end is not None else data[at:] if at else data
    check_length(placed, len(got), url, start, end)
    return got


def check_length(placed: Placed, got: int, url: str | yarl.URL, start: int, end: int | None) -> None:
    """Check that ``got`` bytes are all that the file has of a range. Raises IncompleteRead: there are
    fewer."""
    size = placed.version.size
    if start < 0:
        expected = None if size is None else min(-start, size)
    elif size is None and placed.stop is not None:
        # the file may end before the range, the body not before its announced length
        expected = _expected(placed.stop, start, end)
    else:
        expected = _expected(size, start, end) if size is not None else None
    if expected is not None and got < expected:
        raise IncompleteRead(f"{got} of {expected} bytes of {redact_url(url)} from {start} on came")


def _expected(size: int | None, start: int, end: int | None) -> int | None:
    if size is None or (end is not None and end < size):
        size = end
    return None if size is None else max(0, size - start)


def check_whole(headers: Mapping[str, str], url: str | yarl.URL, asked: bool) -> None:
    """Check that a partial response (206) to a request for the whole file is the whole file.

    ``asked``: whether the caller had set a ``Range`` header.
    Raises IncompleteRead: the server sent an unrequested part.
    """
    if not asked:
        first, stop, total = content_range(headers)
        if first != 0 or stop is None or stop != total:
            raise IncompleteRead(f"the server sent a part of {redact_url(url)}, not the whole file")


def correct_size(file: AbstractBufferedFile, size: int | None) -> None:
    """Replace a size given by the program by the one that the server reports."""
    before = file.size
    if size is None or before is None or size == before:
        return
    file.size = size
    cache = getattr(file, "cache", None)
    if cache is None:
        return
    if size > before and type(cache) is not BaseCache and not isinstance(cache, (BytesCache, ReadAheadCache)):
        # the present cache has computed a number of blocks
        file.cache = BytesCache(file.blocksize, file._fetch_range, size)
    else:
        cache.size = size


# several requests for one file ----------------------------------------------------
_seen: ContextVar[dict[str, Version] | None] = ContextVar("_seen", default=None)


@contextmanager
def one_version(seen: dict[str, Version] | None = None) -> Iterator[None]:
    """A context in which all parts read of a file have to be of one version.

    ``seen``: the known versions by path, which is added to; by default empty, or that of the outer context.
    """
    if seen is None and _seen.get() is not None:
        yield
        return
    token = _seen.set({} if seen is None else seen)
    try:
        yield
    finally:
        _seen.reset(token)


def known_version(url: str) -> Version:
    """The version of a file that this context has seen."""
    seen = _seen.get()
    return UNKNOWN if seen is None else seen.get(url, UNKNOWN)


def learn_version(url: str, found: Version) -> None:
    """Record the version of a response. Raises FileChangedError: a concurrent response had another
    version."""
    seen = _seen.get()
    if seen is not None:
        known = seen.get(url)
        seen[url] = found if known is None else known.updated(url, found)
