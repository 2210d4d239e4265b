"""What type checkers are to make of the public API; they read this file, nothing runs it.

mypy reads it in ``ci/lint``; each ``type: ignore`` is an error that has to be found, since an ignored line
without one is an error as well.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import fsspec
from fsspec._loop.bridge import OnLoop
from fsspec._paths.types import Filesystem
from fsspec.asyn import AbstractAsyncStreamedFile, AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.core import OpenFile
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem, Entry
from fsspec.tests import abstract


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


def classes() -> None:
    """What a class of filesystems makes is an instance of it."""
    local: LocalFileSystem = LocalFileSystem()
    local.lss("a")  # type: ignore[attr-defined]
    remote: HTTPFileSystem = HTTPFileSystem(block_size=0)
    remote.lss("a")  # type: ignore[attr-defined]
    own: SmallBackend = SmallBackend("host", port=1)
    own.lss("a")  # type: ignore[attr-defined]
    LocalFileSystem().open("a", "rb").read().decode()
    HTTPFileSystem().cat(5)  # type: ignore[arg-type]


def listings(fs: AbstractFileSystem) -> None:
    """The detail says what a listing holds."""
    for entry in fs.ls("folder"):
        entry["name"]
    for name in fs.ls("folder", detail=False):
        name.upper()
    fs.ls("folder", detail=False)[0]["name"]  # type: ignore[index]


def entries(fs: AbstractFileSystem) -> None:
    """Entries are dicts, since backends add keys of their own; `Entry` is for those who want known keys."""
    entry = cast(Entry, fs.info("a"))
    entry["name"].upper()
    entry["size"] + 1  # type: ignore[operator]
    entry["sise"]  # type: ignore[typeddict-item]


def paths(fs: AbstractFileSystem) -> None:
    """One path, or several in a list, as text or as path objects."""
    fs.get("a", Path("b"))
    fs.get(["a", "b"], [Path("a"), "b"])
    fs.rm({"a", "b"})
    fs.pipe({"a": b"bytes", "b": bytearray()})
    fs.cat(5)  # type: ignore[arg-type]


def progress(fs: AbstractFileSystem, local: LocalFileSystem, remote: HTTPFileSystem) -> None:
    """Whatever transfers takes a callback, ``"tqdm"``, or None."""
    fs.get("a", "b", callback="tqdm")
    fs.put("a", "b", callback="tqdm")
    fs.get_file("a", "b", callback="tqdm")
    fs.put_file("a", "b", callback="tqdm")
    local.get_file("a", "b", callback="tqdm")
    local.put_file("a", "b", callback="tqdm")
    fs.get("a", "b", callback=Callback())
    fs.get("a", "b", callback=None)
    remote.get_file("a", "b", callback="tqdm")
    fs.get("a", "b", callback=5)  # type: ignore[arg-type]


async def awaited_progress(fs: HTTPFileSystem) -> None:
    """The same of what is awaited."""
    await fs._get("a", "b", callback="tqdm")
    await fs._put("a", "b", callback="tqdm")
    await fs._get_file("a", "b", callback="tqdm")
    await fs._put_file("a", "b", callback="tqdm")


def protocols(fs: AbstractFileSystem, awaitable: AsyncFileSystem) -> None:
    """What plans and the bridge ask of a filesystem, a filesystem has."""
    planned: Filesystem = fs
    on_loop: OnLoop = awaitable
    print(planned, on_loop)


class File(AbstractBufferedFile):
    """A file of a backend."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(end - start)


class Backend(AbstractFileSystem):
    """A backend with annotations of its own: what it returns may be told more exactly."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        return []

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": None, "type": "file"}

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        return []

    def modified(self, path: str) -> datetime:
        return datetime.now()

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> File:
        return File(self, path)


class SmallBackend(AbstractFileSystem):
    """As the example of the documentation: options of `_open` by name."""

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> File:
        return File(self, path)


class ContractTests(abstract.AbstractCopyTests, abstract.AbstractFixtures):
    """The tests to subclass are exported."""


class AwaitableBackend(AsyncFileSystem):
    """The same for one that is awaited."""

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[dict[str, Any]]:
        return []

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": None, "type": "file"}

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        return b""


async def awaited(fs: AsyncFileSystem) -> None:
    """Coroutines give what their blocking twins give."""
    content: bytes = await fs._cat_file("a", 0, 10)
    content.decode()


class Streamed(AbstractAsyncStreamedFile):
    """What a backend brings for files that are awaited."""

    async def _fetch_range(self, start: int, end: int) -> bytes:
        return b""

    async def _initiate_upload(self) -> None: ...

    async def _upload_chunk(self, final: bool = False) -> bool:
        return True

    async def commit(self) -> None: ...

    async def discard(self) -> None: ...


class OfWebServers(HTTPFileSystem):
    """A subclass of a class whose parameters have names of their own has those of the base."""

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": None, "type": "file"}

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        return b""

    async def _ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:  # type: ignore[override]
        return []

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        return None


class OfThisMachine(LocalFileSystem):
    """The same for one that blocks."""

    def get_file(self, rpath: str, lpath: Any = None, *args: Any, **kwargs: Any) -> None:
        return None
