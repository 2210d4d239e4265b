"""Archives of the many formats that libarchive reads: 7z, rar, cpio, iso, zip, tar, ...

libarchive does the formats, through libarchive-c.  It only reads on: each operation goes
through the archive from its beginning, the listing once, and a member that is opened is
read into memory as a whole.

Links and special files in an archive are not listed.  Nothing of libarchive outlives an
operation, so that a forked child has nothing of it; for the bytes, see `_archive.bytes`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ctypes import POINTER, c_void_p, cast, create_string_buffer
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, ClassVar

import libarchive
from libarchive import ffi
from libarchive.exception import ArchiveError
from libarchive.ffi import SEEK_CALLBACK, read_set_seek_callback

from fsspec.archive import add_folders, leads_outside
from fsspec.implementations._archive.bytes import View
from fsspec.implementations._archive.files import FileArchive, member_is_folder, reopened

if TYPE_CHECKING:
    import ctypes

    from _typeshed import ReadableBuffer

    from fsspec._paths.types import StrPath
    from fsspec.core import OpenFile
    from fsspec.spec import AbstractFileSystem

__all__ = ["LibArchiveFileSystem", "SEEK_CALLBACK", "custom_reader", "new_api", "read_set_seek_callback"]

new_api: bool = hasattr(ffi, "NO_OPEN_CB")
"""Whether the version of libarchive-c is 3 or later."""


class CorruptArchive(ArchiveError, OSError):
    """An archive, or a member of one, that libarchive cannot read."""

    def __str__(self) -> str:
        return str(self.msg)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)


@contextmanager
def custom_reader(
    file: Any, format_name: str = "all", filter_name: str = "all", block_size: int = ffi.page_size
) -> Iterator[Any]:
    """The entries of the archive that a file is.

    Parameters
    ----------
    file
        binary and seekable.
    format_name, filter_name
        of libarchive, to accept only those.
    block_size
        bytes to read at a time.

    Yields
    ------
    libarchive.read.ArchiveRead
        to be iterated over once.

    Raises
    ------
    libarchive.ArchiveError
        it is not an archive, or damaged.
    """
    buffer = create_string_buffer(block_size)
    address = cast(buffer, c_void_p)
    failures: list[BaseException] = []

    def failed(error: BaseException) -> int:
        failures.append(error)  # an exception cannot pass through C code
        return ffi.ARCHIVE_FATAL

    def read(archive: ctypes.c_void_p, context: ctypes.c_void_p, where: ctypes.c_void_p) -> int:
        try:
            count: int = file.readinto(buffer)
        except BaseException as error:  # C code called this: it is raised when that has returned
            return failed(error)
        cast(where, POINTER(c_void_p))[0] = address
        return count

    def seek(archive: ctypes.c_void_p, context: ctypes.c_void_p, offset: int, whence: int) -> int:
        try:
            number: int = file.seek(offset, whence)
            return number
        except BaseException as error:  # C code called this: it is raised when that has returned
            return failed(error)

    try:
        with libarchive.custom_reader(
            read, format_name, filter_name, seek_func=seek, block_size=block_size
        ) as archive:
            yield archive
    except ArchiveError:
        if failures:
            raise failures[0] from None
        raise


class LibArchiveFileSystem(FileArchive):
    """The members of an archive.

    Parameters
    ----------
    fo
        the archive: a path or URL, or a binary file object.
    mode
        only "r".
    target_protocol, target_options
        of the filesystem that ``fo`` is on.
    block_size
        bytes to read at a time.

    Raises
    ------
    libarchive.ArchiveError
        also an OSError: it is not an archive, or damaged. Found out when it is first listed or
        read.
    """

    protocol: ClassVar[str | tuple[str, ...]] = "libarchive"
    _damage_errors = (ArchiveError,)

    def __init__(
        self,
        fo: StrPath | IO[bytes] | OpenFile[bytes] = "",
        mode: str = "r",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        block_size: int = 5 * 2**20,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode != "r":
            raise ValueError(f"archives are only read, there is no mode {mode!r}")
        self.block_size = block_size
        self._member_numbers: dict[str, int] = {}  # by name: of several of one name the last counts
        try:
            self._open_archive(fo, "rb", target_protocol, target_options)
        except BaseException:  # an interrupt, too, leaves no file open
            self._close_archive()
            raise

    def _as_corrupt(self, error: BaseException, path: str | None = None) -> Exception:
        what = f"{self._archive_name} cannot be read, is none, or damaged"
        if path is not None:
            what = f"member {path!r} of {self._archive_name} cannot be read"
        return CorruptArchive(f"{what}: {getattr(error, 'msg', error)}")

    def _open_entries(self) -> AbstractContextManager[Any]:
        assert self._archive_bytes is not None
        return custom_reader(View(self._archive_bytes), block_size=self.block_size)

    def _get_dirs(self) -> None:
        if self.dir_cache is not None:
            return
        table: dict[str, dict[str, Any]] = {}
        try:
            with self._open_entries() as archive:
                for number, entry in enumerate(archive):
                    if entry.isfile or entry.isdir:
                        name = entry.pathname.strip("/")
                        add_folders(table, name)
                        table[name] = _described(entry, name)
                        self._member_numbers[name] = number
                        if leads_outside(entry.pathname):
                            self._refused_members[name] = (
                                f"the name of member {entry.pathname!r} leads out of it"
                            )
        except ArchiveError as error:
            raise self._as_corrupt(error) from error
        table.pop("", None)
        self.dir_cache: dict[str, dict[str, Any]] | None = table

    # members ----------------------------------------------------------------------
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> IO[bytes]:
        path = self._strip_protocol(path)
        if mode not in ("r", "rb"):
            what = f"{path!r} cannot be opened as {mode!r}"
            raise NotImplementedError(f"{self._archive_name} is only read: {what}")
        if self.info(path)["type"] == "directory":
            raise member_is_folder(self, path)
        if path not in self._member_numbers:  # the entry is a subclass's, of no member
            raise self._missing_member(path)
        try:
            with self._open_entries() as archive:
                entry = next(islice(archive, self._member_numbers[path], None))
                return _Content(self, path, b"".join(entry.get_blocks(block_size or self.block_size)))
        except ArchiveError as error:
            raise self._as_corrupt(error, path) from error


def _described(entry: libarchive.entry.ArchiveEntry, name: str) -> dict[str, Any]:
    folder = entry.isdir
    return {
        "name": name,
        "size": 0 if folder else entry.size,
        "created": entry.ctime,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": entry.mtime,
        "type": "directory" if folder else "file",
    }


class _Content(io.BytesIO):
    """A member in memory."""

    mode: str = "rb"

    def __init__(self, fs: AbstractFileSystem, path: str, data: bytes) -> None:
        super().__init__(data)
        self.fs = fs
        self.path = self.name = path
        self.size = len(data)

    def writable(self) -> bool:
        return False

    def write(self, data: ReadableBuffer) -> int:
        raise io.UnsupportedOperation(f"{self.path!r} is open for reading")

    def writelines(self, lines: Iterable[ReadableBuffer]) -> None:
        self.write(b"")

    def truncate(self, size: int | None = None) -> int:
        return self.write(b"")

    def __reduce__(self) -> tuple[Any, ...]:
        return reopened, (self.fs, self.path, self.tell())
