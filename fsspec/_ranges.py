"""Byte ranges: merging them, and reading blocks that begin and end at delimiters."""

from __future__ import annotations

from typing import IO, Any

DEFAULT_BLOCK_SIZE = 5 * 2**20

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


def _fast_slice(data: Any, start: int, end: int) -> bytes:
    """``bytes(data[start:end])``, copied once; the range must lie within the data."""
    if not 0 <= start <= end <= len(data):
        raise ValueError(f"the range {start}-{end} does not lie within {len(data)} bytes")
    return bytes(memoryview(data)[start:end])


def merge_offset_ranges(
    paths: list[str],
    starts: list[int | None] | int | None,
    ends: list[int | None] | int | None,
    max_gap: int = 0,
    max_block: int | None = None,
    sort: bool = True,
) -> tuple[list[str], list[int], list[int | None]]:
    """Join ranges of the same file that touch, overlap or nearly do.

    Parameters
    ----------
    paths, starts, ends
        one range each; a single start or end serves for all.  A start of None is the
        beginning of the file, an end of None is its end.
    max_gap
        the most bytes between two ranges that are joined.
    max_block
        the most bytes of a joined range; ranges that are longer by themselves stay.
    sort
        order by path and start first; otherwise only neighbours are joined.

    Returns
    -------
    tuple of list
        paths, starts and ends of the joined ranges.
    """
    if not isinstance(paths, list):
        raise TypeError(f"a list of paths is needed, not {type(paths).__name__}")
    count = len(paths)
    firsts = starts if isinstance(starts, list) else [starts] * count
    lasts = ends if isinstance(ends, list) else [ends] * count
    if len(firsts) != count or len(lasts) != count:
        raise ValueError(f"{count} paths, {len(firsts)} starts, {len(lasts)} ends: as many of each are needed")
    infinity = float("inf")
    ranges = [
        (path, start or 0, infinity if end is None else end) for path, start, end in zip(paths, firsts, lasts)
    ]
    if sort:
        ranges = sorted(set(ranges))
    out: list[tuple[str, int, float]] = []
    for path, start, end in ranges:
        if out:
            last_path, last_start, last_end = out[-1]
            joined = max(last_end, end)
            near = last_path == path and last_start <= start <= last_end + max_gap
            inside = end <= last_end
            if near and (inside or max_block is None or joined - last_start <= max_block):
                out[-1] = (path, last_start, joined)
                continue
        out.append((path, start, end))
    return (
        [path for path, _, _ in out],
        [start for _, start, _ in out],
        [None if end == infinity else int(end) for _, _, end in out],
    )


def file_size(filelike: IO[bytes]) -> int:
    """How many bytes an open file has; its position stays."""
    at = filelike.tell()
    try:
        return filelike.seek(0, 2)
    finally:
        filelike.seek(at)


def seek_delimiter(file: IO[bytes], delimiter: bytes, blocksize: int) -> bool:
    """Move to just behind the next ``delimiter``; at the very beginning nothing moves.

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


def read_block(
    f: IO[bytes], offset: int, length: int | None, delimiter: bytes | None = None, split_before: bool = False
) -> bytes:
    """A block of a file; with a delimiter, one of those that together make up the file.

    Parameters
    ----------
    offset, length
        bytes; a length of None reads to the end.
    delimiter
        the block begins behind the first one at or after ``offset`` (or at the start of
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
    """The range of a slice within ``size`` bytes, as positions from its beginning.

    Negative positions count from the end; what lies outside is cut off; an end before
    the start is an empty range.
    """
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)
