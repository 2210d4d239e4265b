"""The chunks of an array, by name and by number.

The keys of an array's chunks follow from its metadata (zarr's version 2): in a table of
references the chunk at grid position (i, j, ...) is the row that counting them in order
gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST_CHUNKS = 10**9
"""Chunks that an array may have."""


def ravel_multi_index(idx: Iterable[int], sizes: Sequence[int]) -> int:
    """The number of a position in a grid, the last dimension counting fastest.

    Parameters
    ----------
    idx
        the position
    sizes
        how many there are in each dimension
    """
    number = 0
    for position, size in zip(idx, sizes):
        number = number * size + position
    return number


class Layout:
    """The grid of an array's chunks.

    ``field``: the path of the array.
    ``metadata``: what its ``.zarray`` holds.
    Raises ValueError if that does not describe an array.
    """

    def __init__(self, field: str, metadata: Mapping[str, Any]) -> None:
        try:
            shape, chunks = list(metadata["shape"]), list(metadata["chunks"])
            counts = [-(-length // chunk) for length, chunk in zip(shape, chunks)]
            if any(type(each) is not int or each < 0 for each in [*shape, *chunks]):
                raise TypeError("a shape is made of numbers")
        except (KeyError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"'.zarray' of {field!r} gives no shape and chunks: {metadata!r}") from error
        self.start = f"{field}/" if field else ""
        self.separator: str = metadata.get("dimension_separator") or "."
        if self.separator not in (".", "/"):
            raise ValueError(f"'.zarray' of {field!r} has the dimension_separator {self.separator!r}")
        self.counts: list[int] = counts or [1]  # a scalar has one chunk, by the name "0"
        self.total: int = prod(self.counts)
        if self.total > MOST_CHUNKS:
            raise ValueError(f"'.zarray' of {field!r} says {self.total} chunks; {MOST_CHUNKS} are the most")

    def number(self, chunk: str) -> int | None:
        """The number of a chunk by the last part of its key; None if the grid has no such chunk."""
        words = chunk.split(self.separator)
        if len(words) != len(self.counts) or not all(word.isdecimal() for word in words):
            return None
        position = [int(word) for word in words]
        if any(at >= count for at, count in zip(position, self.counts)):
            return None
        return ravel_multi_index(position, self.counts)

    def keys(self) -> Iterator[str]:
        """The keys of all chunks, by number."""
        for position in product(*map(range, self.counts)):
            yield self.start + self.separator.join(map(str, position))

    def inside(self, path: str) -> tuple[list[str], list[str]] | None:
        """Folders and chunks in a folder of the array; None if it has no such folder."""
        if f"{path}/" == self.start or not path and not self.start:
            words: list[str] = []
        else:
            words = path[len(self.start) :].split("/")
        depth = len(words)
        if self.separator != "/":
            return None if depth else ([], list(self.keys()))
        if depth >= len(self.counts) or not all(
            word.isdecimal() and int(word) < count for word, count in zip(words, self.counts)
        ):
            return None
        start = f"{path}/" if path else ""
        names = [f"{start}{number}" for number in range(self.counts[depth])]
        return ([], names) if depth == len(self.counts) - 1 else (names, [])
