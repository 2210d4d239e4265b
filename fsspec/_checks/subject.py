"""What `fsspec.forkcheck` tries: a URL, the handles made of it, and small files written beside it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from fsspec import core
from fsspec._checks import forked
from fsspec._checks.forked import Sockets
from fsspec.mapping import FSMap

if TYPE_CHECKING:
    from fsspec._paths.types import Options
    from fsspec.spec import AbstractFileSystem

PATIENCE = 5.0  # seconds for the parent to answer after a child
SAMPLE = 65536  # bytes read of a file
STREAM_NOTE = (
    "files here are one response, read as it arrives: a child cannot resume it and gets a ForkError, as"
    " documented; open them in the process that reads them, or by simplecache::"
)


class Handle(NamedTuple):
    name: str
    make: Callable[[], Any]
    read: Callable[[Any], bytes]


class Subject:
    """A URL and the handles made of it."""

    def __init__(self, url: str, options: Options) -> None:
        self.url, self.options = url, options
        self.others = forked.open_sockets()  # before there is a filesystem
        self.fs, self.path = self.open_url()
        entry = self.fs.info(self.path)
        if entry["type"] == "directory":
            self.path = _file_in(self.fs, self.path)
        given = self.fs.cat_file(self.path, start=0, end=SAMPLE)
        self.note = " ".join(filter(None, (_range_note(len(given)), _keeps_note(self.fs))))
        self.streams = False
        self.wanted = given[:SAMPLE]
        self.folder, _, self.name = self.path.rpartition("/")
        self.sharing = ""  # what to do if the instance shares its connection, once that was found
        self.outside = forked.shared_by_instances(self.others, self.anew)
        for handle in self.handles():
            box = [handle.make()]
            self.streams = self.streams or is_stream(box[0])
            problem = parent_problem(handle.read, box, self.wanted)
            del box
            if problem:
                raise ValueError(f"{handle.name}, before any fork, beside cat_file: {problem}")
        if self.streams:
            self.note = f"{self.note} {STREAM_NOTE}".strip()

    def open_url(self) -> tuple[Any, str]:
        """A new instance, and the path of the URL in it."""
        return core.url_to_fs(self.url, skip_instance_cache=True, **self.options)

    def renew(self) -> str:
        """Take another instance, which no child has harmed; what is wrong with its first read."""
        if not self.outside:
            # also those of handles before, which a thread that hangs may have
            self.others = forked.open_sockets()
        self.fs = self.open_url()[0]
        return parent_problem(self.cat, [self.fs], self.wanted)

    def anew(self) -> AbstractFileSystem:
        """Another instance, after a read, by which it has connected."""
        fs: AbstractFileSystem = self.open_url()[0]
        parent_problem(self.cat, [fs], self.wanted)
        return fs

    def cat(self, fs: AbstractFileSystem) -> bytes:
        return fs.cat_file(self.path, start=0, end=SAMPLE)[:SAMPLE]

    def handles(self) -> list[Handle]:
        """What crosses the fork to be read; a file first, whose use has to revive what is below it."""
        made = [Handle("open file", lambda: self.fs.open(self.path, "rb"), from_start)]
        if self.folder and self.name:
            made.append(
                Handle("mapping", lambda: FSMap(self.folder, self.fs), lambda m: m[self.name][:SAMPLE])
            )
        return [*made, Handle("instance", lambda: self.fs, self.cat)]

    def declares(self) -> bool:
        """Whether the class says that a child must not use its connections."""
        return bool(type(self.fs)._fork_sensitive)

    def sockets(self) -> Sockets:
        """Those that were opened since the filesystem exists."""
        return forked.opened_since(self.others)


def _file_in(fs: AbstractFileSystem, folder: str) -> str:
    """A file directly in a folder. In a filesystem of references: one at any depth that is not inline, so
    that reading it fetches."""
    references = getattr(fs, "references", None)
    if isinstance(references, Mapping):
        start = f"{folder}/" if folder else ""
        for key, found in islice(references.items(), 10_000):
            if key.startswith(start) and isinstance(found, (list, tuple)):
                return str(key)
    names = (e["name"] for e in fs.ls(folder, detail=True) if e["type"] == "file")
    name: str | None = next(names, None)
    if name is None:
        raise FileNotFoundError("there is no file directly in this folder: give the URL of a file")
    return name


def is_stream(handle: object) -> bool:
    """Whether it is a file that is read as it arrives. At an instance, which may be the parent's, nothing is
    looked up."""
    return issubclass(type(handle), io.IOBase) and not cast("IO[bytes]", handle).seekable()


def _range_note(length: int) -> str:
    """The note about how much ``cat_file`` gave of a file; empty if it is what was asked for."""
    if length <= SAMPLE:
        return ""
    return (
        f"cat_file(start=0, end={SAMPLE}) gave {length} bytes, so that it ignores the range: a fault of the"
        " backend, and none of forks; the bytes that were asked for are compared"
    )


def _keeps_note(fs: AbstractFileSystem) -> str:
    """The note about names in ``_fork_keeps``; empty if the instance, which was used, has them."""
    missing = [name for name in type(fs)._fork_keeps if not hasattr(fs, name)]
    return f"_fork_keeps names what the instance does not have: {', '.join(missing)}" if missing else ""


class Written:
    """A small file being written beside the one that URL names."""

    def __init__(self, subject: Subject) -> None:
        self.fs = subject.fs
        self.path = f"{subject.folder}/.fsspec-forkcheck-{os.getpid()}-{id(self):x}"
        self.file: Any = self.fs.open(self.path, "wb")
        self.file.write(b"first")
        self.before = self.seen()

    def seen(self) -> bytes:
        """What others see of the file: mostly nothing until it is closed."""
        self.fs.invalidate_cache()
        try:
            return cast("bytes", self.fs.cat_file(self.path))
        except FileNotFoundError:
            return b""

    def finish(self) -> bytes:
        """The file's contents after the parent has closed it; those that came from a child are marked."""
        try:
            seen = self.seen()
            self.file.write(b" second")
            self.file.close()
            return self.seen() if seen == self.before else b"not the parent's: " + seen
        finally:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path)


def from_start(f: IO[bytes]) -> bytes:
    f.seek(0)
    return f.read(SAMPLE)


def parent_problem(read: Callable[[Any], bytes], box: list[Any], wanted: bytes) -> str:
    """In the parent: what is wrong with the next read from the handle in the box; empty if nothing is."""

    def differs() -> str:
        return "" if read(box[0]) == wanted else "the parent reads other bytes"

    what = "the parent's next read"
    problem = forked.in_time(differs, what, PATIENCE)
    return f"{what} hangs" if problem is None else problem
