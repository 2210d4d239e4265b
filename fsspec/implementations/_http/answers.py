"""What an answer to a request for bytes is: which bytes of the file, and of which version of it.

Every HTTP client of this package asks here before it takes a body for data. `place` says
where in the file a body lies, from the status and the headers alone; `finish` makes sure
that the body that came is as long as that; `Version` distinguishes two states of a file.
Nothing here does I/O or needs a package beyond the standard library.

What counts:

- 206 is the range that its ``Content-Range`` names, which has to be the one asked for.
- 200 is the whole file, unless its headers or its length say that it is cut already:
  there are servers that honour ``Range`` and answer 200.
- 416 is nothing, if the file ends before the range; an error if it is known not to.
- A body that is shorter than the headers of any answer so far say is an error, never a short file.
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
from fsspec.implementations._http.parsing import ContentRange, content_range, is_plain

if TYPE_CHECKING:
    import yarl

    from fsspec.spec import AbstractBufferedFile


STREAM_ADVICE = "It cannot be resumed: open the file in the process that reads it"
"""The way out for who reads a parent's response on in a child."""


def only_read(mode: str, way_out: str = "fs.pipe_file(url, data) and fs.put_file(path, url)") -> None:
    """Refuse to open a file in another mode than "rb". ``way_out``: what writes whole files."""
    if mode != "rb":
        raise NotImplementedError(
            f"HTTP files can only be opened for reading, mode 'rb'; what writes whole files is {way_out}"
        )


def why_invalid(url: str, error: Exception) -> str:
    """The text about a URL that a client library does not request."""
    shown, why = redact_url(url), redact_text(str(error))
    return f"{shown}: {why if why != shown else 'no valid URL'}"


class RangesIgnoredError(ValueError):
    """A server sends all of a file where a part of it is asked for; called with the URL."""

    def __str__(self) -> str:
        return (
            f"the server of {redact_url(self.args[0])} ignores requests for a part of the file; open it with"
            " block_size=0 to read it from its beginning to its end, or by simplecache:: to seek in it"
        )


class UnknownOptionError(TypeError):
    """An option that neither a filesystem has nor the requests of its client library."""


class UnknownOptionOfFileError(FileNotFoundError, UnknownOptionError):
    """The same from ``info`` and ``open``, of which programs catch that a file is not there."""


class WrongOptionOfFileError(FileNotFoundError, TypeError):
    """An option of a type that the requests do not take, from ``info`` and ``open``; as above."""


@contextmanager
def as_file_error() -> Iterator[None]:
    """Raise what is said of an option as `info` and `open` do."""
    try:
        yield
    except UnknownOptionError as error:
        raise UnknownOptionOfFileError(*error.args) from None
    except TypeError as error:
        raise WrongOptionOfFileError(*error.args) from error


class Version(NamedTuple):
    """What headers say of the state of a file; None where they say nothing."""

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
        """What is known of the file after another answer. Raises FileChangedError: the answer is about
        another version of the file."""
        if self is UNKNOWN:
            return new
        if new == self:
            return self
        one_host = self.host == new.host or not self.host or not new.host
        one_form = self.encoding == new.encoding
        by_tag = one_host and bool(self.etag) and bool(new.etag)
        changed = self.size is not None and new.size is not None and self.size != new.size
        if not one_form:
            pass  # only its size shows whether the file itself changed
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
"""Nothing is known of a file."""


def _opaque(tag: str | None) -> str:
    return (tag or "").removeprefix("W/").strip('"')  # Azure's listings leave the quotes out


def version(headers: Mapping[str, str], url: str | yarl.URL, size: int | None = None) -> Version:
    """The version that an answer from ``url`` is about. A ``Last-Modified`` that is the time of the answer is
    none: such a server makes it anew each time."""
    tag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if modified is not None and modified == headers.get("Date"):
        modified = None
    # of interest only where there is a tag
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
    """Those `VALIDATORS`, in small letters, that are not among ``validators``. Raises ValueError for what is
    none of them, TypeError for what is no list."""
    try:
        names = {validators} if isinstance(validators, str) else set(validators)
    except TypeError:
        raise TypeError(f"validators is a list of names of headers, not {validators!r}") from None
    known, given = {name.lower() for name in VALIDATORS}, {str(name).lower() for name in names}
    if given - known:
        raise ValueError(f"validators are some of {', '.join(VALIDATORS)}, not {sorted(map(str, names))}")
    return frozenset(known - given)


def is_dead_redirect(status: int, headers: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether an answer is a redirect that says no way on: its body is not what was asked for.

    ``headers``: of the answer.
    ``asked``: headers of the request: "not modified" answers one that has a condition.
    """
    if not 300 <= status < 400 or headers.get("Location"):
        return False
    names = {name.lower() for name in asked}
    return status != 304 or names.isdisjoint({"if-none-match", "if-modified-since"})


def drops_upload(status: int, method: str, url: str, target: str) -> bool:
    """Whether what was uploaded is lost at a redirect, after which nothing is sent along.

    After POST that is so if the URL has moved: for good, or the same path to another host or
    scheme. Otherwise, and with 303, the answer is that to an upload that has arrived.
    """
    if status not in (301, 302):
        return False
    if method.upper() != "POST":
        return True
    before, after = urlsplit(url), urlsplit(target)
    elsewhere = before[:2] != after[:2] and before[2:4] == after[2:4]
    return status == 301 or elsewhere


class Placed(NamedTuple):
    """Where the body of an answer lies in the file.

    ``start``: offset of the first byte of the body.
    ``stop``: offset behind its last byte; None where the length is not known beforehand.
    ``version``: what is known of the file, from this answer and those before it.
    ``certain``: False where only the size of the file shows whether the body is the range or the whole file;
        then it is taken for the whole file.
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
    """Where the body lies of an answer to a request for the bytes from ``start`` up to ``end``.

    ``status``: below 400, or 416.
    ``url``: for messages.
    ``start``, ``end``: a negative start (with ``end`` None) asks for so many bytes from the end; 0 and None
        for everything.
    ``known``: what is known of the file from answers before.
    ``final_url``: after redirects.
    ``parse``: finds which bytes the headers say these are.
    Raises IncompleteRead: the body is not what was asked for.
    Raises FileChangedError: the answer is about another version of the file than ``known``.
    """
    content = parse(headers)
    if status == 206 or status == 416 or "Content-Range" in headers or content[0] is not None:
        found = known.updated(url, version(headers, url if final_url is None else final_url, content[2]))
        if status == 416:
            return _unsatisfied(found, url, start)
        first, stop, total = content
        if first == start and stop == end and stop is not None and first < stop and status == 206:
            # what nearly each answer is: exactly what was asked for, nothing for `_place_partial` to look at
            if (total is None or stop <= total) and headers.get("Content-Length") == str(stop - first):
                return Placed(first, stop, found)
        return _place_partial(status, headers, url, start, end, content, found)

    def about(size: int | None) -> Version:
        return known.updated(url, version(headers, url if final_url is None else final_url, size))

    length, size = _length(headers), known.size
    if length is None or start < 0 and length <= -start:
        return Placed(0, length, about(None))
    if start > 0 and length != size:
        last = size if end is None else end if size is None else min(end, size)
        if last is not None and length == last - start:
            return Placed(start, last, about(None))
        refuses = headers.get("Accept-Ranges", "").lower() == "none"
        if size is None and not refuses and (end is None or length < end - start):
            return Placed(0, length, about(None), certain=False)
    if start == 0 and length == end:  # the range, or a file that is no longer than it
        return Placed(0, length, about(None))
    return Placed(0, length, about(length))


def _length(headers: Mapping[str, str]) -> int | None:
    """The length of the plain body, where it is given."""
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
    """``parse`` of a file, which names the last byte, as `place` takes it: with the one after that."""

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
    """The bytes from ``start`` up to ``end`` out of the body of an answer. ``data``: the body, or as much of
    it as is `needed`. Raises IncompleteRead: the body is shorter than it should be."""
    if start < 0:
        got = data[start:]
    elif placed.start == start and end is not None and len(data) == end - start:
        return data
    else:
        at = start - placed.start
        if placed.stop is None and at and len(data) == _expected(placed.version.size, start, end):
            at = 0  # of a length that was not given: the range is known by having that of one
        got = data[at : at + end - start] if end is not None else data[at:] if at else data
    check_length(placed, len(got), url, start, end)
    return got


def check_length(placed: Placed, got: int, url: str | yarl.URL, start: int, end: int | None) -> None:
    """Make sure that so many bytes are all of a range that the file has. Raises IncompleteRead: they are
    fewer."""
    size = placed.version.size
    if start < 0:
        expected = None if size is None else min(-start, size)
    elif size is None and placed.stop is not None:
        # a file may end anywhere, but a body only where the headers end it
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
    """Make sure that a partial answer (206) to a request for the whole file is the whole file.

    ``asked``: whether the request had a ``Range`` all the same, which then is the caller's.
    Raises IncompleteRead: the server sent a part that nobody asked for.
    """
    if not asked:
        first, stop, total = content_range(headers)
        if first != 0 or stop is None or stop != total:
            raise IncompleteRead(f"the server sent a part of {redact_url(url)}, not the whole file")


def correct_size(file: AbstractBufferedFile, size: int | None) -> None:
    """Correct the size that a program gave to a file, where the server says another."""
    before = file.size
    if size is None or before is None or size == before:
        return
    file.size = size
    cache = getattr(file, "cache", None)
    if cache is None:
        return
    if size > before and type(cache) is not BaseCache and not isinstance(cache, (BytesCache, ReadAheadCache)):
        # the one that it has works with a number of blocks
        file.cache = BytesCache(file.blocksize, file._fetch_range, size)
    else:
        cache.size = size


# several requests for one file ----------------------------------------------------
_seen: ContextVar[dict[str, Version] | None] = ContextVar("_seen", default=None)


@contextmanager
def one_version(seen: dict[str, Version] | None = None) -> Iterator[None]:
    """Have all parts of a file that are read meanwhile, in this context, be of one version.

    ``seen``: what is known of files, by path, which is added to; by default nothing, or what is known in this
        context already.
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
    """What this operation has learned of a file so far."""
    seen = _seen.get()
    return UNKNOWN if seen is None else seen.get(url, UNKNOWN)


def learn_version(url: str, found: Version) -> None:
    """Keep what an answer showed. Raises FileChangedError: another answer, which came meanwhile, was about
    another version."""
    seen = _seen.get()
    if seen is not None:
        known = seen.get(url)
        seen[url] = found if known is None else known.updated(url, found)
