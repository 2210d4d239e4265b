"""Reading many references with few requests.

`ReadPlan` takes references, stores the results of those that hold their contents, and joins
the parts of other files into blocks, each of which is fetched by one request.  The filesystem
fetches a block and passes it, or the exception, to `ReadPlan.take`, which cuts out the parts, so
that no block is kept.

Whether a part that came short is an error depends on the size of its target: if the target ends
there it is complete, otherwise the response was cut off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from fsspec._paths.ranges import cut, merge_offset_ranges
from fsspec._paths.redaction import redact_text, redact_url
from fsspec.archive import MissingMemberError, where_missing
from fsspec.exceptions import ForkError
from fsspec.implementations._reference.parsing import (
    MissingTargetError,
    Part,
    ReferenceNotReachable,
    parsed,
)

logger: logging.Logger = logging.getLogger("fsspec.reference")

Range = tuple[str, int, int, int]
"""A requested part: URL, start, end, and its position among the requested."""


class Block(NamedTuple):
    """What one request fetches: a range of a target, and the parts in it. If it is the whole target, or a
    slice counted from its end, the ranges of its parts are 0, 0: each part is the whole block."""

    url: str
    start: int | None
    end: int | None
    members: list[Range]


def sliced_and_logged(path: str, part: Part, start: int | None, end: int | None) -> Part:
    """As `sliced`, for a part that is fetched by a request of its own: logged at DEBUG."""
    part = sliced(part, start, end)
    _log(path, part)
    return part


def _log(what: str, target: Part | Block) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s: bytes %s-%s of %s", what, target.start, target.end, redact_url(target.url))


def sliced(part: Part, start: int | None, end: int | None) -> Part:
    """A slice of a part, as a part. The target's filesystem applies ``start`` and ``end`` of a whole file."""
    if part.start is None or part.end is None:
        return Part(part.url, start, end)
    if start is None and end is None:
        return part
    first, last = cut(part.end - part.start, start, end)
    return Part(part.url, part.start + first, part.start + last)


def failed(key: str, url: str, error: BaseException) -> BaseException:
    """The error of a reference for an ``error`` of its target's filesystem."""
    if isinstance(error, (ForkError, ReferenceNotReachable)):
        return error
    reason = ": ".join(filter(None, (type(error).__name__, redact_text(str(error)))))
    if isinstance(error, PermissionError) or type(error).__name__ == "NoCredentialsError":
        reason += "; credentials for the targets are given in remote_options="
    made = ReferenceNotReachable(key, url, reason)
    made.__cause__ = error
    return made


def not_found(error: BaseException) -> BaseException:
    """The error of `failed` as one of a file: if a target does not exist, a FileNotFoundError as well."""
    cause = error.__cause__
    if not isinstance(error, ReferenceNotReachable) or not isinstance(cause, FileNotFoundError):
        return error
    made = MissingTargetError(error.reference, error.target, *error.args)
    made.__cause__ = cause
    return made


def short(key: str, part: Part, got: int) -> ReferenceNotReachable:
    """The error for a part that only ``got`` bytes came of."""
    assert part.start is not None and part.end is not None
    reason = f"{got} of {part.end - part.start} bytes at offset {part.start} came"
    return ReferenceNotReachable(key, part.url, reason)


class ReadPlan:
    """The plan of reading several references.

    ``keys``: of the references.
    ``slices``: start and end for each, if not all are wanted whole.
    ``lookup``: gives the reference of a key, or raises KeyError.
    ``target``: see `parsed`.
    ``max_gap``, ``max_block``: see `fsspec.utils.merge_offset_ranges`.
    ``results``: bytes or an exception for each of ``keys``, once all blocks were taken.
    ``blocks``: what to fetch.
    ``short``: by URL the parts that came short, with the bytes that came; `settle` needs the sizes of
        these targets.
    """

    def __init__(
        self,
        keys: list[str],
        slices: list[tuple[int | None, int | None]] | None,
        lookup: Callable[[str], Any],
        target: str | None,
        max_gap: int,
        max_block: int | None,
    ) -> None:
        self.keys = keys
        self.results: list[Any] = [None] * len(keys)
        self.blocks: list[Block] = []
        self.short: dict[str, list[tuple[Range, bytes]]] = {}
        self._ranges: list[Range] = []
        self._wholes: dict[Part, Block] = {}
        add = self._ranges.append
        for position, key in enumerate(keys):
            try:
                value = lookup(key)
                if slices is None and type(value) is list and len(value) == 3:
                    # the common form, inlined for speed: there may be hundreds of thousands
                    url, offset, length = value
                    if type(url) is str and type(offset) is type(length) is int and offset >= 0 < length:
                        add((url, offset, offset + length, position))
                        continue
                self._sort_in(position, parsed(key, value, target), slices)
            except KeyError as error:
                self.results[position] = missing(key, error)
            except (OSError, RuntimeError, ValueError) as error:
                self.results[position] = error
        self.blocks += self._wholes.values()
        if self._ranges:
            self._ranges.sort()
            self._join(max_gap, max_block)

    def _sort_in(
        self, position: int, reference: bytes | Part, slices: list[tuple[int | None, int | None]] | None
    ) -> None:
        start, end = (None, None) if slices is None else slices[position]
        if isinstance(reference, bytes):
            self.results[position] = reference[start:end]
            return
        part = sliced(reference, start, end)
        if reference.end is None:
            block = self._wholes.setdefault(part, Block(*part, []))
            block.members.append((part.url, 0, 0, position))
        elif part.start == part.end:
            self.results[position] = b""
        else:
            assert part.start is not None and part.end is not None
            self._ranges.append((part.url, part.start, part.end, position))

    def _join(self, max_gap: int, max_block: int | None) -> None:
        ranges = self._ranges
        urls, starts, ends, _ = map(list, zip(*ranges))
        joined = zip(*merge_offset_ranges(urls, starts, ends, max_gap, max_block, sort=False))
        at, count = 0, len(ranges)
        for url, start, last in joined:
            # joined ranges are in this order, so a part that does not fit begins the next block
            begin = at
            while at < count and ends[at] <= last and starts[at] >= start and urls[at] == url:
                at += 1
            self.blocks.append(Block(url, start, last, ranges[begin:at]))

    def take(self, block: Block, data: bytes | BaseException) -> None:
        """Cut the parts out of a fetched block; an exception becomes the result of each."""
        results = self.results
        _log(f"{len(block.members)} references", block)
        if isinstance(data, BaseException):
            for _, _, _, position in block.members:
                results[position] = failed(self.keys[position], block.url, data)
            return
        if block.members[0][2] == 0:
            for _, _, _, position in block.members:
                results[position] = data
            return
        origin = block.start or 0
        available = origin + len(data)
        if len(block.members) == 1 and available == block.end:
            results[block.members[0][3]] = data
            return
        for member in block.members:
            _, start, end, position = member
            came = data[start - origin : end - origin] if start < available else b""
            if end > available:
                self.short.setdefault(block.url, []).append((member, came))
            results[position] = came

    def settle(self, url: str, size: int | None) -> None:
        """Make the short parts of a target errors, unless the target of that size ends there."""
        for (_, start, end, position), came in self.short.pop(url):
            part = Part(url, start, end)
            if not ends_there(part, len(came), size):
                self.results[position] = short(self.keys[position], part, len(came))


def ends_there(part: Part, got: int, size: int | None) -> bool:
    """Whether a target of this size ends after the ``got`` bytes of a part."""
    assert part.start is not None and part.end is not None
    return size is not None and part.start + got >= min(part.end, size)


def missing(key: str, error: KeyError, references: object = None) -> FileNotFoundError:
    """The error for a key without a reference; a second argument of KeyError says why. With ``references``
    that are in memory its text names similar keys, which are looked for only when the text is asked for."""
    why, made = error.args[1:], FileNotFoundError(key)
    if why:
        made = FileNotFoundError(f"{key}: {why[0]}")
    elif isinstance(references, dict):
        made = MissingMemberError(key, partial(where_missing, "the references", key, references))
    made.__cause__ = error
    return made
