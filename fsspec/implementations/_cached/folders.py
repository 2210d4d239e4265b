"""The folders in which copies of files lie.

Any number of folders can be read; the last one is also written.  A copy that is being
made has a name of its own, beside the one that it gets when it is whole, so that nobody
ever sees a part under the name of a copy.

A temporary folder is removed when the process that made it ends.  A child forked from that one
reads what is in it for as long as it exists, and writes to a temporary folder of its
own.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec._fork import owned
from fsspec._fork.owned import own
from fsspec._paths.paths import local_name

if TYPE_CHECKING:
    from fsspec._paths.types import StrPath


PART_SUFFIX = ".part"
"""Suffix of incomplete files."""

_IS_PART = re.compile(r"\.[0-9a-f]{16}\.part").fullmatch


def part_in(folder: str) -> str:
    """A new name in a folder for an incomplete file."""
    return os.path.join(folder, f".{os.urandom(8).hex()}{PART_SUFFIX}")


ABANDONED = 3600.0
"""Seconds without a change after which an incomplete file counts as abandoned by a dead process.

Until then another process may be writing it.
"""


class Folders:
    """The folders of one cache.

    ``given``: a path, several of them, or "TMP"; see `local_name`.
    ``mode``: permissions of the folder that is written; None leaves them unchanged.
    ``private``: whether a new folder without ``mode`` is accessible only to the owner.
    """

    def __init__(
        self, given: StrPath | list[str] | tuple[str, ...], mode: int | None, private: bool = False
    ) -> None:
        self.temporary = isinstance(given, str) and given == "TMP"
        self._mode = mode
        self._private = private
        self._ready = False
        own(self)
        if self.temporary:
            self.paths = [self._make_temporary()]
        else:
            several = given if isinstance(given, (list, tuple)) else [given]
            self.paths = [local_name(path, "cache_storage") for path in several]
        if not self.paths:
            raise ValueError("cache_storage is an empty list: at least one folder is needed")
        if "" in self.paths:
            raise FileNotFoundError("cache_storage is empty: a folder is needed, or TMP for a temporary one")

    @property
    def written(self) -> str:
        """The folder that new copies go to."""
        return self.paths[-1]

    def is_written(self, path: str) -> bool:
        """Whether a file lies in the folder that is written."""
        return path.startswith(os.path.join(self.written, ""))

    def _make_temporary(self) -> str:
        path = tempfile.mkdtemp(prefix="fsspec-cache-")
        finalize_in_workers(self, shutil.rmtree, path, ignore_errors=True)
        return path

    def settle(self) -> str | None:
        """In a forked child, a new folder in place of a temporary one; the caller adds it."""
        new = self._make_temporary() if self.temporary else None
        self._ready = False
        return new

    def make(self) -> None:
        """Make the folder that is written, with its permissions."""
        if self._ready and os.path.isdir(self.written):
            return
        for path in [] if self._private else self.paths[:-1]:
            with suppress(OSError):  # a read-only folder need not exist
                os.makedirs(path, exist_ok=True)
        os.makedirs(os.path.dirname(os.path.abspath(self.written)), exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(self.written, 0o700 if self._private and self._mode is None else 0o777)
        if self._mode is not None:
            os.chmod(self.written, self._mode)
        self._ready = True

    def part(self, copy: str) -> str:
        """A new name for an incomplete copy; its folder is made."""
        self.make()
        folder = os.path.dirname(copy)
        if folder != self.written:
            os.makedirs(folder, exist_ok=True)
        return part_in(folder)

    def empty(self) -> None:
        """Empty the folder that is written, except for files being written."""
        abandoned = time.time() - ABANDONED
        for folder, _, names in os.walk(self.written, topdown=False):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError):
                    if not _IS_PART(name) or os.lstat(path).st_mtime < abandoned:
                        os.unlink(path)
            if folder != self.written:
                with suppress(OSError):  # there is something in it
                    os.rmdir(folder)

    def size(self) -> int:
        """Bytes of the folder that is written and of all that is in it, as ``st_size`` says."""
        total = 0
        for folder, _, names in os.walk(self.written):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                with suppress(FileNotFoundError):  # another process removed it
                    total += os.lstat(path).st_size
        return total

    def remove_older(self, moment: float, parts: bool = False) -> None:
        """Remove copies made before ``moment`` and abandoned incomplete files; ``parts``: only the latter.
        Folders are left, with their contents, as a cache makes none by itself."""
        abandoned = time.time() - ABANDONED
        with suppress(FileNotFoundError), os.scandir(self.written) as found:
            for entry in found:
                whole = not _IS_PART(entry.name)
                if entry.is_dir(follow_symlinks=False) or (whole and parts):
                    continue
                with suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < (moment if whole else abandoned):
                        os.unlink(entry.path)

    def remove_if_empty(self, name: str) -> None:
        """Remove the folders that a removed copy's name leads through, if nothing else is in them."""
        while name := os.path.dirname(name):
            try:
                os.rmdir(os.path.join(self.written, name))
            except OSError:
                return


def finalize_in_workers(
    obj: object, func: Callable[..., Any], *args: Any, **kwargs: Any
) -> weakref.finalize[[], Any]:
    """`owned.finalize` that also runs at the end of processes of ``multiprocessing``, which skip exit
    handlers."""
    finalizer = owned.finalize(obj, func, *args, **kwargs)
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:

        def note(obj: object) -> None:
            util.Finalize(obj, finalizer, exitpriority=0)

        note(obj)
        util.register_after_fork(obj, note)  # a worker forgets what was noted as it was unpickled
    return finalizer


def remove(path: str) -> None:
    """Remove a file, if it exists."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def is_inside(name: object) -> bool:
    """Whether a name of a copy leads to a file in the folder that it is joined to."""
    if not isinstance(name, str) or not name or "\0" in name or os.path.isabs(name):
        return False
    if os.name == "nt":
        name = name.replace("\\", "/")
        if ":" in name:
            return False
    return not {"", ".", ".."}.intersection(name.split("/"))
