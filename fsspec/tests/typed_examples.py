"""What type checkers are to make of the public API; they read this file, nothing runs it.

mypy reads it in ``ci/lint``; each ``type: ignore`` is an error that has to be found, since an ignored line
without one is an error as well.
"""

from __future__ import annotations

from typing import IO

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.core import OpenFile
from fsspec.spec import AbstractFileSystem


def files() -> None:
    """The mode says what a file gives."""
    with fsspec.open("memory://a", "rb") as binary:
        data: bytes = binary.read()
        data.decode()
    with fsspec.open("memory://a") as by_default:
        by_default.read().decode()
    with fsspec.open("memory://a", "rt") as text:
        line: str = text.readline()
        line.upper()
    with fsspec.open("memory://a", "w") as written:
        written.write("text")
        written.write(b"bytes")  # type: ignore[arg-type]
    later: OpenFile[str] = fsspec.open("memory://a", "r")
    opened: IO[str] = later.open()
    opened.close()


def filesystems(mode: str) -> None:
    """A filesystem is one, whatever serves the protocol."""
    fs: AbstractFileSystem = fsspec.filesystem("memory")
    fs.open("a", "rt").read().upper()
    fs.open("a", "rb").read().decode()
    fs.open("a", mode).read()
    fs.open("a", "rb").read().upper().encode()  # type: ignore[attr-defined]
    other, path = fsspec.url_to_fs("memory://a")
    other.info(path)["size"]
    path.upper()
    fsspec.filesystem(5)  # type: ignore[arg-type]


def listings(fs: AbstractFileSystem) -> None:
    """The detail says what a listing holds."""
    for entry in fs.ls("folder"):
        entry["name"]
    for name in fs.ls("folder", detail=False):
        name.upper()
    fs.ls("folder", detail=False)[0]["name"]  # type: ignore[index]


async def awaited(fs: AsyncFileSystem) -> None:
    """Coroutines give what their blocking twins give."""
    content: bytes = await fs._cat_file("a", 0, 10)
    content.decode()
