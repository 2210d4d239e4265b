"""Bounds for the folder of a cache: bytes, age, and the disk that is left.

The least recently used copies are removed first, but never one that is open: an open copy has a
shared lock (see `lock_shared`), and a copy that cannot be locked exclusively is left.  The system
releases the lock when the file is closed or its process ends.

The time of the last use is the access time of the copy, which is set here because file systems
seldom update it; if other processes use the folder without bounds it may be too old, by a day
on most systems.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from fsspec._files.descriptors import close_all
from fsspec.implementations._cached.folders import PART_SUFFIX
from fsspec.implementations.cache_metadata import TABLE

try:
    import fcntl
except ImportError:  # Windows, if what is open cannot be removed
    fcntl = None  # type: ignore[assignment]  # is asked for before use

SCAN_SHARE = 20
"""The interval between two scans of the folder, in multiples of the duration of a scan."""

QUICK_SCAN = 0.002
"""Seconds: a scan that takes less is made whenever copies were added."""

LOW_WATERMARK = 0.9
"""The part of the allowed bytes down to which copies are removed, so that this happens seldom."""

TOUCH_EVERY = 1.0
"""Seconds for which further uses of a copy are not recorded."""

_DIGEST = re.compile("[0-9a-f]{64}")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Copy(NamedTuple):
    """A file in the folder of a cache."""

    name: str
    size: int
    """Bytes that it takes on disk: of a sparse file, those that were written."""
    used: float
    """When it was last used, seconds since the epoch."""


def parse_size(value: int | str | None) -> int | None:
    """Bytes, of a number or of text such as "10GB" or "512 MiB"; ValueError for other text, or below 0."""
    if isinstance(value, str):
        parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", value.lower())
        if parts is None:
            raise ValueError(
                f"{value!r} is not a number of bytes: give one, or text such as '10GB' or '512MiB'"
            )
        unit = _UNITS[parts[2]] if not parts[3] else 1024 ** list(_UNITS).index(parts[2])
        value = int(float(parts[1]) * unit)
    if value is not None and value < 0:
        raise ValueError(f"a number of bytes cannot be {value}")
    return None if value is None else int(value)


def parse_age(value: float | str | None) -> float | None:
    """Seconds, of a number or of text such as "90", "12h" or "7d". ValueError as in `parse_size`."""
    if isinstance(value, str):
        parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", value.lower())
        if parts is None:
            raise ValueError(f"{value!r} is not an age: give seconds, or text such as '12h' or '7d'")
        value = float(parts[1]) * _SECONDS[parts[2]]
    if value is not None and value < 0:
        raise ValueError(f"an age cannot be {value} seconds")
    return value


class Limits:
    """The bounds of one folder.

    ``max_size``: bytes of all copies.
    ``max_age``: seconds since a copy was last used, or text such as "7d".
    ``min_free``: bytes of the disk that are to stay free.
    """

    def __init__(
        self, max_size: int | str | None, max_age: float | str | None, min_free: int | str | None
    ) -> None:
        self.max_size = parse_size(max_size)
        self.max_age = parse_age(max_age)
        self.min_free = parse_size(min_free)
        self._size = 0  # of all copies, by the last scan and what was added since
        self._next_scan = 0.0  # when, by the monotonic clock

    def note_use(self, fn: str) -> None:
        with suppress(OSError):  # removed, or of another owner
            found = os.stat(fn)
            now = time.time_ns()
            if now - found.st_atime_ns > TOUCH_EVERY * 1e9:
                os.utime(fn, ns=(now, found.st_mtime_ns))

    def enforce(self, folder: str, added: list[str], recognizer: Callable[[], Any]) -> list[str]:
        """Remove copies beyond the bounds, after copies were added.

        ``added``: their names; they stay.
        ``recognizer``: returns a predicate for names of copies; other files are left.
        Returns the names of the copies that were removed.
        """
        for name in added:
            with suppress(OSError):
                self._size += _taken(os.stat(os.path.join(folder, name)))
        short = 0 if self.min_free is None else max(0, self.min_free - shutil.disk_usage(folder).free)
        large = self.max_size is not None and self._size > self.max_size
        if not short and not large and time.monotonic() < self._next_scan:
            return []
        began = time.monotonic()
        is_copy = recognizer()
        present = [copy for copy in copies(folder) if is_copy(copy.name)]
        self._size = sum(copy.size for copy in present)
        took = time.monotonic() - began
        self._next_scan = began if took < QUICK_SCAN else began + SCAN_SHARE * took
        removed = []
        for copy in self._excess(present, short, set(added)):
            if remove_unused(os.path.join(folder, copy.name)):
                self._size -= copy.size
                removed.append(copy.name)
        return removed

    def _excess(self, present: list[Copy], short: int, keep: set[str]) -> Iterator[Copy]:
        """The copies to remove, the least recently used first. A copy that is drawn and not removed,
        for it is open, does not count as gone."""
        allowed = float("inf") if self.max_size is None else self.max_size
        if self._size > allowed:
            allowed *= LOW_WATERMARK
        enough = min(allowed, self._size - short)
        oldest = time.time() - self.max_age if self.max_age else float("-inf")
        for copy in sorted(present, key=lambda copy: copy.used):
            if self._size <= enough and copy.used >= oldest:
                return
            if copy.name not in keep:
                yield copy


def is_digest(name: str) -> bool:
    """Whether a name is one that copies get by default."""
    return _DIGEST.fullmatch(name) is not None


def copies(folder: str) -> list[Copy]:
    """The files in a folder and below, except tables and incomplete files."""
    found = []
    for below, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(below, name)
            relative = os.path.relpath(path, folder)
            if relative == TABLE or name.endswith(PART_SUFFIX):
                continue
            with suppress(FileNotFoundError):  # another process removed it
                entry = os.lstat(path)
                found.append(Copy(relative, _taken(entry), max(entry.st_atime, entry.st_mtime)))
    return found


def _taken(found: os.stat_result) -> int:
    blocks = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else min(found.st_size, 512 * blocks)


def lock_shared(fd: int) -> None:
    """Take a shared lock on an open copy, so that no process removes it for the limits."""
    if fcntl is not None:
        with suppress(OSError):  # a filesystem without locks, or the copy is being removed
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def remove_unused(path: str) -> bool:
    """Remove a copy unless it is open; whether it was removed."""
    fds: list[int] = []
    try:
        try:
            if fcntl is not None:
                fds.extend(map(os.open, (path,), (os.O_RDONLY,)))
                fcntl.flock(fds[0], fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where somebody has it open
            os.unlink(path)
            return True
        finally:
            try:
                close_all(fds)
            finally:  # an interrupt may have come within the first
                close_all(fds)
    except FileNotFoundError:
        return True
    except OSError:  # it is in use; no permission, or open on Windows
        return False
