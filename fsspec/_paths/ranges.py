"""Byte ranges: checking and merging them, and reading blocks that begin and end at delimiters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec._paths.paths import path_texts, type_name
from fsspec._paths.redaction import redact_url

if TYPE_CHECKING:
    from fsspec._paths.types import Offsets, SeekableReader, StrPath, T


DEFAULT_BLOCK_SIZE: int = 5 * 2**20
_NO_END = float("inf")


def as_number(option: str, value: T, unit: str) -> T:
    """The value of an option: a number, or None; text that is a number, as environment variables give it,
    becomes one. Raises TypeError for anything else; it names the option."""
    if value is None or hasattr(value, "__float__"):
        return value
    if isinstance(value, str):
        for kind in (int, float):
            with suppress(ValueError):
                return cast("T", kind(value))
    raise TypeError(f"{option} is a number of {unit}, not {value!r}")


def as_block_size(value: Any) -> Any:
    """A number of bytes for the blocks of a file: a whole one, or infinity for all of the file at once.

    Raises ValueError for a negative one, with which other bytes than those asked for would be read, and
    TypeError as `as_number` does."""
    size = as_number("block_size", value, "bytes")
    if size is None or size == _NO_END:
        return size
    if size < 0:
        raise ValueError(f"block_size is a number of bytes from 0 on, not {value!r}")
    if size != int(size):
        raise TypeError(f"block_size is a whole number of bytes, not {value!r}")
    return size if isinstance(size, int) else int(size)


_TEXTS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def as_view(path: str, value: object) -> memoryview:
    """What is to be written to a path; TypeError, which names the path, for what has no bytes."""
    try:
        return memoryview(value)  # type: ignore[arg-type]  # it is what is asked
    except TypeError:
        how = "; write_text writes text" if isinstance(value, str) else ""
        why = f"a bytes-like object is required, not {type(value).__name__!r}"
        raise TypeError(f"{why}, to write to {redact_url(path)!r}{how}") from None


def check_limits(path: str, start: object, end: object) -> None:
    """Raise TypeError, which names the path, for what is no place in a file."""
    for name, value in (("start", start), ("end", end)):
        if value is not None and not hasattr(value, "__index__"):
            raise TypeError(f"{name} is a number of bytes, not {value!r} (for {redact_url(path)!r})")


def as_bool(option: str, value: T) -> T:
    """The value of an option that is on or off; text, as environment variables give it, by its meaning.
    Raises TypeError, which names the option, for text that has none."""
    if not isinstance(value, str):
        return value
    try:
        return cast("T", _TEXTS[value.lower()])
    except KeyError:
        raise TypeError(f"{option} is True or False, not {value!r}") from None


# names that programs look up; slices of bytes need no help from C here
HAS_CPYTHON_API = True


def PyBytes_AsString(data: bytes) -> int:
    """The address of the content of ``data``."""
    import ctypes

    pointer = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    assert pointer is not None
    return pointer


def PyBytes_FromStringAndSize(address: int, size: int) -> bytes:
    """``size`` bytes copied from an address."""
    import ctypes

    return ctypes.string_at(address, size)


def _fast_slice(src_bytes: bytes | bytearray | memoryview, offset: int, read_size: int) -> bytes:
    """This many bytes from ``offset``, copied once; they have to lie within the data."""
    end = offset + read_size
    if not 0 <= offset <= end <= len(src_bytes):
        raise ValueError(f"{read_size} bytes from {offset} on do not lie within {len(src_bytes)} bytes")
    return src_bytes[offset:end] if type(src_bytes) is bytes else bytes(memoryview(src_bytes)[offset:end])


def merge_offset_ranges(
    paths: list[str], starts: list[int | None] | int | None, ends: list[int | None] | int | None,
    max_gap: int = 0, max_block: int | None = None, sort: bool = True,
) -> tuple[list[str], list[int], list[int | None]]:  # fmt: skip
    """Join ranges of the same file that touch, overlap or nearly do.

    Parameters
    ----------
    paths, starts, ends
        a range each; a single start or end serves for all. A start of None is the
        beginning of the file, an end of None its end.
    max_gap
        bytes that may lie between two ranges that are joined
    max_block
        bytes that a joined range may have; None for any number. A range that lies
        within another is joined with it in any case, as is one to the end of the file
        with one that reaches into it.
    sort
        order by path and start; else only neighbours are joined

    Returns
    -------
    tuple of list
        paths, starts and ends of the joined ranges

    Raises
    ------
    TypeError
        if the paths are not a list
    ValueError
        if there are not as many starts or ends as paths
    """
    if not isinstance(paths, list):
        raise TypeError(f"a list of paths is needed, not {type_name(paths)}")
    paths, firsts, lasts = per_path(paths, starts, ends)
    out_paths: list[str] = []
    out_starts: list[int] = []
    out_ends: list[int | None] = []
    limit = _NO_END if max_block is None else max_block
    for path, ranges in _by_path(paths, firsts, lasts, sort):
        for start, end in _joined_ranges(ranges, max_gap, limit):
            out_paths.append(path)
            out_starts.append(start)
            out_ends.append(None if end == _NO_END else end)
    return out_paths, out_starts, out_ends


def per_path(
    paths: Iterable[StrPath], starts: Offsets, ends: Offsets
) -> tuple[list[Any], list[Any], list[Any]]:
    """Several paths as a list, with a start and an end for each, of lists, arrays or single values. Raises
    TypeError if it is one path. Raises ValueError if there are not as many."""
    if not isinstance(paths, list):
        texts = path_texts(paths)
        if not isinstance(texts, list):
            raise TypeError(f"several paths are needed, a list for instance, not {type_name(paths)}")
        paths = texts
    firsts, lasts = _listed(starts, len(paths)), _listed(ends, len(paths))
    if not len(paths) == len(firsts) == len(lasts):
        many = f"{len(paths)} paths, {len(firsts)} starts, {len(lasts)} ends"
        raise ValueError(f"{many}: as many of each are needed")
    return paths, firsts, lasts


def _listed(offsets: object, count: int) -> list[Any]:
    if type(offsets) is list:
        return offsets
    if tolist := getattr(offsets, "tolist", None):
        offsets = tolist()
    return list(offsets) if isinstance(offsets, Iterable) else [offsets] * count


def _by_path(
    paths: Sequence[str], starts: Sequence[int | None], ends: Sequence[int | None], sort: bool
) -> Iterable[tuple[str, list[Any]]]:
    """The ranges of each path in order, or else of each run of the same path."""
    ranges = ((start or 0, _NO_END if end is None else end) for start, end in zip(starts, ends))
    if not sort:
        runs: list[tuple[str, list[Any]]] = []
        for path, pair in zip(paths, ranges):
            if not runs or runs[-1][0] != path:
                runs.append((path, []))
            runs[-1][1].append(pair)
        return runs
    groups: dict[str, list[Any]] = {}
    for path, pair in zip(paths, ranges):
        group = groups.get(path)
        if group is None:
            groups[path] = [pair]
        else:
            group.append(pair)
    for group in groups.values():
        group.sort()
    return sorted(groups.items())


def _joined_ranges(ranges: list[Any], max_gap: int, limit: float) -> Iterator[Any]:
    first, last = ranges[0]
    for start, end in islice(ranges, 1, None):
        if first <= start <= last + max_gap:
            if end <= last:
                continue
            if end - first <= limit or (end == _NO_END and start < last):
                last = end
                continue
        yield first, last
        first, last = start, end
    yield first, last


def file_size(filelike: IO[bytes]) -> int:
    """How many bytes an open file has; its position is kept."""
    at = filelike.tell()
    try:
        filelike.seek(0, 2)  # gives None for files of some packages (paramiko's)
        return filelike.tell()
    finally:
        filelike.seek(at)


def seek_delimiter(file: IO[bytes], delimiter: bytes, blocksize: int) -> bool:
    """Move to just after the next ``delimiter``; at the very beginning nothing moves.

    Parameters
    ----------
    blocksize
        bytes read at a time.

    Returns
    -------
    bool
        Whether there was one.  Otherwise the position is the end of the file.
    """
    if file.tell() == 0:
        return False
    kept = b""
    while block := file.read(blocksize):
        seen = kept + block
        at = seen.find(delimiter)
        if at >= 0:
            file.seek(file.tell() - (len(seen) - at - len(delimiter)))
            return True
        kept = seen[len(seen) - len(delimiter) + 1 :] if len(delimiter) > 1 else b""
    return False


def read_until(file: SeekableReader, char: bytes, step: int, before: bytes = b"") -> bytes:
    """The bytes up to and including ``char``, or to the end, by reads of ``step`` bytes; the position is
    moved to just after them. ``before``: what was read from the file already."""
    begin = file.tell() - len(before)
    text: bytes | bytearray = before
    while True:
        part = file.read(step)
        searched = max(0, len(text) - len(char) + 1)
        if text:
            text = bytearray(text) if type(text) is bytes else text
            text += part
        else:
            text = part  # no copy to search
        found = text.find(char, searched)
        if found >= 0:
            end = found + len(char)
            if end < len(text):
                file.seek(begin + end)
            return bytes(text[:end])
        if not part:
            return bytes(text)


def read_block(
    f: IO[bytes], offset: int, length: int | None, delimiter: bytes | None = None, split_before: bool = False
) -> bytes:
    """A block of a file; with a delimiter, one of those that together make up the file.

    Parameters
    ----------
    offset, length
        bytes; a length of None reads to the end.
    delimiter
        the block begins after the first one at or after ``offset`` (or at the start of
        the file) and ends with the first one at or after ``offset + length``.
    split_before
        delimiters begin a block instead of ending one.
    """
    if delimiter:
        f.seek(offset)
        found_start = seek_delimiter(f, delimiter, 2**16)
        if length is None:
            return f.read()
        start = f.tell()
        if found_start and split_before:
            start -= len(delimiter)
        f.seek(offset + length)
        found_end = seek_delimiter(f, delimiter, 2**16)
        end = f.tell()
        if found_end and split_before:
            end -= len(delimiter)
        offset, length = start, end - start
    f.seek(offset)
    return f.read() if length is None else f.read(length)


def cut(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """The range of a slice within ``size`` bytes, as positions from its beginning. Negative positions count
    from the end; what lies outside is cut off; an end before the start is an empty range."""
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)
