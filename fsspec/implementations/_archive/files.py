"""Archives that are one file of another filesystem, and the files in them.

`FileArchive` opens the archive and closes it again; `MemberFile` reads a member,
`MemberWriter` writes one.  What a format brings is how to open a member.

Forks: an inherited archive is read on, as is a member at its position; both only note at
the fork that what other threads may have been in the middle of is not to be used.  A member
reads from its beginning to its position again when first used in the child.  An archive
that is being written belongs to the process that opened it: its copy in a child is never
touched, not even collected, because that would write the archive's end.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec import core
from fsspec._files.at_exit import close_at_exit
from fsspec._fork import hooks
from fsspec._fork.owned import own
from fsspec._fork.variants import assign
from fsspec._fork.written_files import inherited
from fsspec._paths.paths import NoPathError, folder_error, type_name
from fsspec._paths.redaction import redact_url
from fsspec._paths.urls import protocols_of
from fsspec.archive import AbstractArchiveFileSystem, check_may_write
from fsspec.implementations._archive.bytes import ArchiveBytes, SeekError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Errors, Options, PathOrPaths, StrPath
    from fsspec.spec import AbstractFileSystem

try:
    from lzma import LZMAError
except ImportError:  # Python built without lzma
    LZMAError = zlib.error  # type: ignore[misc, assignment]  # one that is listed anyway

DAMAGED: Errors = (EOFError, zlib.error, LZMAError, SeekError)
"""What reading raises if bytes are damaged or cut off, whatever the format."""


class MemberIsFolderError(IsADirectoryError, FileNotFoundError, ValueError):
    """A folder was opened for reading; programs catch any of these classes."""


def member_is_folder(fs: FileArchive, path: str) -> IsADirectoryError:
    """The error of a folder of the archive, or of the archive itself if no member is named."""
    what = ""
    if not path:
        known = (name for name, entry in (fs.dir_cache or {}).items() if entry["type"] == "file")
        example = next((f", such as {name!r}" for name in known), "")
        what = f"{fs._archive_name} is a folder, and no member is named{example}"
    return folder_error(path, MemberIsFolderError, what)


class FileArchive(AbstractArchiveFileSystem):
    """An archive that is a file: where it is, and who may use it."""

    cachable = False
    _fsspec_change_advice = "members are not removed, moved or copied within an archive; write a new archive"
    mode: str = "r"
    of: Any = None
    """The `OpenFile` that the archive was opened by; None if a file object was given."""
    fo: Any = None
    """The open file that the archive is."""
    _archive_bytes: ArchiveBytes | None = None
    _damage_errors: Errors = ()
    """What reading the format raises if the archive is corrupt."""
    _corrupt_error: type[Exception]
    """What is raised then."""

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if type(path) is str and ":" not in path:
            return path.strip("/")
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        return str(super()._strip_protocol(path).lstrip("/"))

    # the file ---------------------------------------------------------------------
    def _open_archive(
        self,
        fo: StrPath | IO[bytes] | core.OpenFile[bytes],
        mode: str,
        protocol: str | None,
        options: Options | None,
    ) -> None:
        """Set ``of`` and ``fo``; ``fo`` is a path or URL, an `OpenFile` or a binary file object."""
        own(self)
        self._refused_members = {}
        if mode != "rb":
            check_may_write(type(self), fo, mode)
        how = f"write {protocols_of(self)[0]}://MEMBER::URL-OF-THE-ARCHIVE, or give fo="
        if fo == "":
            raise folder_error(os.getcwd(), what=f"no archive is named: {how}")
        is_file = hasattr(fo, "read") or hasattr(fo, "write")
        if not is_file and not isinstance(fo, (str, os.PathLike, core.OpenFile)):
            needed = "an archive is a path, a URL or an open binary file"
            raise NoPathError(f"{needed}, not {type_name(fo)}: {how}")
        if isinstance(fo, (str, os.PathLike)):
            fo = core.open(os.fspath(fo), mode, protocol=protocol, expand=False, **(options or {}))
        if isinstance(fo, core.OpenFile):
            self.of = fo
            file: IO[bytes] = fo.open()
        else:
            file = fo
        self.fo = file
        if isinstance(file, io.TextIOBase):
            raise ValueError(f"{self._archive_name} was opened as text, an archive needs mode 'rb'")
        if "r" in mode and "+" not in mode:
            decodes = self.of is not None and self.of.compression is not None
            self._archive_bytes = ArchiveBytes(file, self._archive_opener(), self._archive_name, decodes)
        else:
            close_at_exit(self)
        hooks.register(self)

    def _archive_opener(self) -> Callable[[], Any] | None:
        of, fo = self.of, self.fo
        if of is not None:
            return lambda: core.OpenFile(of.fs, of.path, "rb", of.compression).open()
        if hasattr(fo, "fs") and hasattr(fo, "path"):
            return lambda: fo.fs.open(fo.path, "rb")
        return None

    @property
    def _archive_name(self) -> str:
        if self.of is not None:
            return f"archive {redact_url(self.of.full_name)!r}"
        name = getattr(self.fo, "path", None) or getattr(self.fo, "name", None)
        if isinstance(name, str):
            return f"archive {redact_url(name)!r}"
        return f"archive in {type_name(self.fo)}"

    _reported_errno: int | None = None
    """The number of the error that a write raised."""

    def _close_archive(self) -> None:
        """Close what this instance opened; a file object that it was given is its owner's."""
        if self.of is not None:
            self.of.close()
            if self._archive_bytes is not None and not self._archive_bytes.file.closed:
                self._archive_bytes.close()  # opened again in a child

    def close(self) -> None:
        """Close the archive; its members can no longer be read."""
        self._close_archive()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the interpreter's end the globals of modules that C code refers to are None by now, also those
        # of what would be called here; nothing is to be done for what is read.
        if _is_finalizing():
            return
        try:
            self.close()
        except Exception as error:  # a finalizer has no caller
            if self._reported_errno is not None and getattr(error, "errno", None) == self._reported_errno:
                return  # a full disk, for which the write has raised
            import logging

            logging.getLogger("fsspec").exception("%s could not be closed", self._archive_name)

    def _after_fork_in_child(self) -> None:
        if self._archive_bytes is not None:
            self._archive_bytes.after_fork()

    # members ----------------------------------------------------------------------
    def _open_member(self, path: str, member: object) -> IO[bytes]:
        """A reader of a member's bytes; for `MemberFile`, which was given the member."""
        raise NotImplementedError(f"{type(self).__name__} cannot read members")

    def _as_corrupt(self, error: BaseException, path: str | None = None) -> Exception:
        """The error to raise for one of ``_damage_errors``: it names the archive, and the member."""
        what = f"{self._archive_name} is no {protocols_of(self)[0]} archive, or damaged"
        if path is not None:
            what = f"member {path!r} of {self._archive_name} is damaged"
        return self._corrupt_error(f"{what}: {error}")


class MemberFile(io.BufferedIOBase):
    """A member of an archive being read. ``fs``, ``path``: the archive and the name in it. ``member``: what
    the format knows of it. ``size``: bytes."""

    mode, newlines = "r", None  # as zipfile's

    def __init__(self, fs: FileArchive, path: str, member: object, size: int) -> None:
        self.fs = fs
        self._member = member
        self.path = self.name = path
        self.size = size
        self._at = 0
        self._f: Any = None
        self._opened()
        hooks.register(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} of {self.fs._archive_name}>"

    def _opened(self) -> IO[bytes]:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        fs = self.fs
        try:
            f = fs._open_member(self.path, self._member)
            if self._at:
                f.seek(self._at)
        except fs._damage_errors as error:
            raise fs._as_corrupt(error, self.path) from error
        self._f = f
        return f

    def _after_fork_in_child(self) -> None:
        hooks.immortalize(self._f)  # a thread of the parent may hold the lock of its buffer
        self._f = None

    def _call(self, method: str, *args: Any) -> Any:
        f = self._f or self._opened()
        try:
            return getattr(f, method)(*args)
        except BaseException as error:
            self._f = None  # it may have lost bytes: opened again at this position
            if isinstance(error, self.fs._damage_errors):
                raise self.fs._as_corrupt(error, self.path) from error
            raise

    def _advance(self, data: bytes) -> bytes:
        self._at += len(data)
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return self._advance(self._call("read", -1 if size is None else size))

    def read1(self, size: int = -1) -> bytes:
        return self._advance(self._call("read1", size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._advance(self._call("readline", -1 if size is None else size))

    def peek(self, size: int = 0) -> bytes:
        """Bytes that follow, some at least unless the end is reached; the position stays."""
        return cast("bytes", self._call("peek", size))

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = self._call("seek", offset, whence)
        return self._at

    def tell(self) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return self._at

    def close(self) -> None:
        f, self._f = getattr(self, "_f", None), None
        if f is not None:
            f.close()
        super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        return reopened, (self.fs, self.path, self._at)


def reopened(fs: AbstractFileSystem, path: str, at: int) -> IO[bytes]:
    """A member from its pickled form, at the position that it had."""
    f = fs.open(path, "rb")
    f.seek(at)
    return f


class MemberWriter(io.BufferedIOBase):
    """A member of an archive being written; it is in the archive when it is closed. In a forked child it
    counts as closed, and writing raises `ForkError`."""

    mode = "wb"

    fs: FileArchive | None
    """The archive, which must not be finished before its members are; None once this one is closed."""

    def __init__(self, fs: FileArchive, path: str, f: IO[bytes]) -> None:
        self.fs = fs
        self._archive_name = fs._archive_name
        self.path = path  # it has no ``name``, which a gzip file written through it would hold
        self._f: Any = f
        self._at = 0
        own(self)
        hooks.register(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} of {self._archive_name}>"

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return getattr(self, "_f", None) is None

    def _open_file(self) -> IO[bytes]:
        if self._f is None:
            raise ValueError("I/O operation on closed file.")
        return cast("IO[bytes]", self._f)

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        self._open_file()
        return self._at

    def write(self, data: ReadableBuffer) -> int:
        try:
            count: int = (self._f or self._open_file()).write(data)
        except OSError as error:
            if self.fs is not None:
                self.fs._reported_errno = error.errno
            raise
        self._at += count
        return count

    def flush(self) -> None:
        """Nothing: what was compressed so far is in the archive's file already."""
        self._open_file()

    def close(self) -> None:
        f, self._f = getattr(self, "_f", None), None
        if f is not None:
            f.close()
        self.fs = None  # the archive is finished when its last member drops it

    def _after_fork_in_child(self) -> None:
        hooks.immortalize(self._f)  # the parent's: closing it would write into the archive
        self._f = None
        assign(self, inherited(type(self)))


class WaitingMember(MemberWriter):
    """A member that is added to its archive by `commit`, at the end of a transaction; not by `close`."""

    def __init__(self, fs: FileArchive, path: str) -> None:
        self._held = tempfile.SpooledTemporaryFile(2**20)
        super().__init__(fs, path, self._held)

    def close(self) -> None:
        self._f = None

    def _after_fork_in_child(self) -> None:
        hooks.immortalize(self._held)  # its buffer would be written at an offset that the parent shares
        super()._after_fork_in_child()

    def commit(self) -> None:
        """Add what was written."""
        self.close()
        self._held.seek(0)
        self.fs._add_member(self.path, self._held)  # type: ignore[union-attr]  # only ZIP makes such files
        self.discard()

    def discard(self) -> None:
        """Drop what was written."""
        self.close()
        self._held.close()
        self.fs = None
