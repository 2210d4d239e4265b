"""Types of what is passed through all layers: paths, entries of listings, offsets, files of bytes.

They are for annotations.  What a backend returns from ``ls`` and ``info`` stays annotated as
``dict[str, Any]``, since backends add keys of their own; `Entry` names the keys that the package reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar, Union

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed import ReadableBuffer

    from fsspec.callbacks import Callback

T = TypeVar("T")

StrPath = str | os.PathLike[str]
"""One path, or a URL."""

StrPaths = StrPath | Iterable[StrPath]
"""One path or pattern, or several; `paths.path_texts` makes out which."""

PathOrPaths = TypeVar("PathOrPaths", str, list[str])
"""A path gives one path, a list of them gives a list."""

Depth = int | None
"""How many levels below a folder; None for all."""

Progress = Union["Callback", str, None]
"""What a transfer tells of its progress: a callback, or ``"tqdm"``; None for nobody."""

Options = dict[str, Any]
"""Keyword arguments on their way to another function, or to the constructor of a filesystem."""

Found = list[str] | dict[str, dict[str, Any]]
"""Paths, or entries by path."""

Contents = bytes | dict[str, bytes | Exception]
"""The bytes of one file; or those of several by path, in which an error may stand in place of bytes."""

Errors = tuple[type[BaseException], ...]
"""Kinds of errors, as ``except`` takes them."""

Offsets = int | None | Iterable[int | None]
"""One offset in bytes for all files, or one for each; None is the beginning or the end of a file."""


class _KnownToSome(TypedDict, total=False):
    """Keys that only some backends give."""

    created: float | datetime
    mtime: float | datetime
    mode: int
    uid: int
    gid: int
    ino: int
    nlink: int
    islink: bool
    destination: str | bytes
    ETag: str
    LastModified: str | datetime
    mimetype: str
    partial: bool
    url: str


class Entry(_KnownToSome):
    """What a listing says of one path."""

    name: str
    """The full path, without the protocol."""
    size: int | None
    """The bytes of a file; None if they are not known."""
    type: str
    """``"file"``, ``"directory"``, or what else the backend knows."""


class BinaryReader(Protocol):
    """What bytes can be read from."""

    def read(self, size: int = ..., /) -> bytes: ...


class SeekableReader(BinaryReader, Protocol):
    """What bytes can be read from, at any position."""

    def seek(self, offset: int, whence: int = ..., /) -> int: ...

    def tell(self) -> int: ...


class BinaryWriter(Protocol):
    """What bytes can be written to; it returns how many it took, if it knows."""

    def write(self, data: ReadableBuffer, /) -> int | None: ...


class Filesystem(Protocol):
    """What plans use of a filesystem directly, which neither blocks nor is awaited; its operations they ask
    for by steps."""

    @property
    def async_impl(self) -> bool:
        """Whether the operations are awaitable."""
        ...

    def _strip_protocol(self, path: str, /) -> str: ...
