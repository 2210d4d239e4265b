"""Reading many references with few requests.

`Reads` takes the references that are wanted, has ready the contents that they are
themselves, and joins the parts of other files into blocks, each to be fetched at once.
Fetching is the filesystem's; it hands every block, or the error in its place, back, and
the parts are cut out of it then, so that no block is kept.

A part that comes short is an error: a reference that reaches past the end of its target
is wrong, or the target is not the file that it was made for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fsspec._ranges import cut, merge_offset_ranges
from fsspec.exceptions import ForkError
from fsspec.implementations._reference_words import Part, ReferenceNotReachable, parsed


class Wanted(NamedTuple):
    """A key, and the slice of it."""

    key: str
    start: int | None = None
    end: int | None = None


class Block(NamedTuple):
    """What is fetched at once: a range of a target, and the positions of what is in it."""

    url: str
    start: int | None
    end: int | None
    members: list[tuple[int, int, int]]
    """position, start and end of each part; of a block without end only the position counts"""


def sliced(said: Part, start: int | None, end: int | None) -> Part:
    """A slice of a part, as a part; of a whole file the target's filesystem makes it."""
    if said.start is None or said.end is None:
        return Part(said.url, start, end)
    if start is None and end is None:
        return said
    first, last = cut(said.end - said.start, start, end)
    return Part(said.url, said.start + first, said.start + last)


def failed(key: str, url: str, error: BaseException) -> BaseException:
    """The error to raise where a target's filesystem raised ``error``."""
    if isinstance(error, (ForkError, ReferenceNotReachable)):
        return error
    made = ReferenceNotReachable(key, url)
    made.__cause__ = error
    return made


def short(key: str, part: Part, got: int) -> ReferenceNotReachable:
    """The error for a part of which the target had only so many bytes."""
    assert part.start is not None and part.end is not None
    reason = f"{got} of {part.end - part.start} bytes at offset {part.start} came"
    return ReferenceNotReachable(key, part.url, reason)


class Reads:
    """What has to be read for some references.

    Parameters
    ----------
    wanted
        keys and slices
    lookup
        gives the reference of a key, or raises KeyError
    target
        see `parsed`
    max_gap, max_block
        see `fsspec.utils.merge_offset_ranges`

    Attributes
    ----------
    results : list
        bytes or an exception for each of ``wanted``, when all blocks were given back
    blocks : list of Block
        what to fetch
    """

    def __init__(
        self,
        wanted: Iterable[Wanted],
        lookup: Callable[[str], Any],
        target: str | None,
        max_gap: int,
        max_block: int | None,
    ) -> None:
        self.wanted = list(wanted)
        self.results: list[Any] = [None] * len(self.wanted)
        self.blocks: list[Block] = []
        ranges: list[tuple[str, int, int, int]] = []
        wholes: dict[Part, Block] = {}
        for position, (key, start, end) in enumerate(self.wanted):
            try:
                said = parsed(key, lookup(key), target)
            except KeyError as error:
                missing = FileNotFoundError(key)
                missing.__cause__ = error
                self.results[position] = missing
                continue
            except (OSError, RuntimeError, ValueError) as error:
                self.results[position] = error
                continue
            if type(said) is bytes:
                self.results[position] = said if start is None and end is None else said[start:end]
                continue
            assert isinstance(said, Part)
            self._place(position, sliced(said, start, end), said.end is None, ranges, wholes)
        self.blocks += wholes.values()
        if ranges:
            ranges.sort()
            self._join(ranges, max_gap, max_block)

    def _place(
        self,
        position: int,
        part: Part,
        whole: bool,
        ranges: list[tuple[str, int, int, int]],
        wholes: dict[Part, Block],
    ) -> None:
        if whole:
            block = wholes.get(part)
            if block is None:
                block = wholes[part] = Block(*part, [])
            block.members.append((position, 0, 0))
        elif part.start == part.end:
            self.results[position] = b""
        else:
            assert part.start is not None and part.end is not None
            ranges.append((part.url, part.start, part.end, position))

    def _join(self, ranges: list[tuple[str, int, int, int]], max_gap: int, max_block: int | None) -> None:
        urls = [url for url, _, _, _ in ranges]
        starts: list[int | None] = [start for _, start, _, _ in ranges]
        ends: list[int | None] = [end for _, _, end, _ in ranges]
        joined = zip(*merge_offset_ranges(urls, starts, ends, max_gap, max_block, sort=False))
        block = None
        for url, start, end, position in ranges:
            # they were joined in this very order, so what does not fit begins the next block
            if block is None or url != block.url or end > block.end:  # type: ignore[operator]
                block = Block(*next(joined), [])
                self.blocks.append(block)
            block.members.append((position, start, end))

    def take(self, block: Block, data: Any) -> None:
        """Cut the parts out of a block that was fetched; an exception stands for all of them."""
        results, origin = self.results, block.start
        if isinstance(data, BaseException):
            for position, _, _ in block.members:
                results[position] = failed(self.wanted[position].key, block.url, data)
        elif len(block.members) == 1 and (origin is None or block.end is None or self._exact(block, data)):
            results[block.members[0][0]] = data
        else:
            for position, start, end in block.members:
                if end == 0:  # all of a target, wanted several times
                    results[position] = data
                    continue
                part = data[start - origin : end - origin]  # type: ignore[operator]
                if len(part) != end - start:
                    part = short(self.wanted[position].key, Part(block.url, start, end), len(part))
                results[position] = part

    def _exact(self, block: Block, data: bytes) -> bool:
        return len(data) == block.end - block.start  # type: ignore[operator]
