"""Zip archives.

`zipfile` does the format.  The directory of an archive is read once, when it is opened; a
listing is made of it when first asked for, and a member is opened without one.

An archive is either read or written.  To add to a local one it is copied, and the copy replaces it
when it is closed: at any time there is a whole archive.

Forks: see `_archive.files`.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import threading
import zipfile
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fsspec._files.copying import is_plainly_local
from fsspec._files.replacing import replacing
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, refuse
from fsspec._paths.redaction import redact_url
from fsspec._public import publish
from fsspec.archive import add_folders, leads_outside
from fsspec.implementations._archive.bytes import DirectoryView
from fsspec.implementations._archive.files import (
    DAMAGED,
    FileArchive,
    MemberFile,
    MemberWriter,
    WaitingMember,
    member_is_folder,
)

if TYPE_CHECKING:
    from fsspec._paths.types import BinaryReader, Depth, Found, StrPath
    from fsspec.core import OpenFile
    from fsspec.spec import AbstractFileSystem

__all__ = ["ZipFileSystem"]

publish(__name__)

_FIELDS = zipfile.ZipInfo.__slots__
_ENCRYPTED = 0x1
_LOCAL_HEADER = 1024
"""Bytes that are enough for what the header before a member has beside its name; mostly 30."""
_MODES = ("r", "w", "a", "x")


class CorruptZipFile(zipfile.BadZipFile, ValueError):
    """A zip archive, or a member of one, that is damaged."""


class ZipFileSystem(FileArchive):
    """The members of a zip archive.

    Parameters
    ----------
    fo
        the archive: a path or URL, or a binary file object.
    mode
        "r" to read; "w" to write a new archive, "x" one that must not exist, "a" to add to
        one, which is made if there is none. A local file that is added to is
        replaced as a whole when it is closed.
    target_protocol, target_options
        of the filesystem that ``fo`` is on.
    compression
        how members are compressed when they are written: a constant of `zipfile`, by default
        not at all.
    allowZip64
        whether members and archives may have more than 2 GB.
    compresslevel
        of the compression.

    Raises
    ------
    zipfile.BadZipFile
        also a ValueError: it is not a zip archive, or damaged.
    """

    protocol: ClassVar[str | tuple[str, ...]] = "zip"
    _fsspec_only_transactions_wait: ClassVar[bool] = True
    _replacing_archive: Any = None
    """What moves the copy that is added to onto the archive."""
    _damage_errors = (zipfile.BadZipFile, struct.error, UnicodeDecodeError, OverflowError, *DAMAGED)
    _corrupt_error = CorruptZipFile

    def __init__(
        self,
        fo: StrPath | IO[bytes] | OpenFile[bytes] = "",
        mode: str = "r",
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        compression: int = zipfile.ZIP_STORED,
        allowZip64: bool = True,
        compresslevel: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise ValueError(f"a zip archive has no mode {mode!r}; there are: {', '.join(_MODES)}")
        self.mode = mode
        self.force_zip_64 = allowZip64
        self._listed_count = 0
        how: dict[str, Any] = {"allowZip64": allowZip64, "compresslevel": compresslevel}
        if mode != "r":  # before anything is made: whether zipfile takes these
            zipfile.ZipFile(io.BytesIO(), "w", compression, **how).close()
        try:
            if mode == "a":
                try:
                    self._open_archive(fo, "r+b", target_protocol, target_options)
                except FileNotFoundError:
                    mode = "w"
                except NotImplementedError as error:  # a file of most stores is not changed in its place
                    raise NotImplementedError(
                        "mode='a' of a zip archive changes it in its place: copy"
                        f" {redact_url(str(fo))!r} here, add to the copy, and put it"
                        " back; or put simplecache:: before its URL"
                    ) from error
                else:
                    self._copy_to_add()
            if mode != "a":
                self._open_archive(fo, f"{mode}b", target_protocol, target_options)
            file: Any = self.fo
            if self._archive_bytes is not None:
                # over a network one request for the end with, mostly, the whole directory
                file = DirectoryView(self._archive_bytes, tail=0 if self._archive_bytes.local else 2**16)
            # a file that had to be new is written like any other
            made_as: Any = "w" if mode == "x" else mode
            self.zip: zipfile.ZipFile = zipfile.ZipFile(file, made_as, compression, **how)
            if self._archive_bytes is not None:
                file.done()
        except self._damage_errors as error:
            self._end_writing(error)
            raise self._as_corrupt(error) from error
        except BaseException as error:  # an interrupt, too, gives up what was written
            self._end_writing(error)
            raise

    def _copy_to_add(self) -> None:
        """Add to a copy, if the archive is a regular local file that a file can be beside."""
        of = self.of
        if of is None or of.compression is not None or of.fs._intrans or not _is_plain_local(of.fs, of.path):
            return
        self._replacing_archive = replacing(of.path, "w+b")
        copy = self._replacing_archive.__enter__()
        shutil.copyfileobj(self.fo, copy, 2**20)
        self.fo.close()
        copy.seek(0)
        self.fo = copy

    def _end_writing(self, error: BaseException | None) -> None:
        """Close the archive's file; with an error all is left as it was before the archive was opened."""
        if self._replacing_archive is not None:
            replaced, self._replacing_archive = self._replacing_archive, None
            replaced.__exit__(None if error is None else type(error), error, None)
        self._close_archive()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.mode != "r":
            raise RuntimeError(
                f"{self._archive_name} is being written: only archives that are read can be pickled"
            )
        return super().__reduce__()

    def _get_dirs(self) -> None:
        members = self.zip.infolist()
        if self.dir_cache is not None and self._listed_count == len(members):
            return
        table = {} if self.dir_cache is None else self.dir_cache
        for member in islice(members, self._listed_count, None):
            name = member.filename.strip("/")
            entry = {field: getattr(member, field, None) for field in _FIELDS}
            folder = member.is_dir()
            entry.update(
                name=name, size=0 if folder else member.file_size, type="directory" if folder else "file"
            )
            if leads_outside(member.filename):
                self._refused_members[name] = f"the name of member {member.filename!r} leads out of it"
            add_folders(table, name)
            table.setdefault(name, entry).update(entry)  # of two members of a name the later one counts
        self.dir_cache: dict[str, dict[str, Any]] | None = table
        self._listed_count = len(members)

    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Found:
        """With ``detail`` in the order of the archive, behind the folders that only lead to members."""
        found = super().find(path, maxdepth, withdirs, detail, **kwargs)
        if not isinstance(found, dict) or len(found) < 2:
            return found
        members = dict.fromkeys(member.filename.strip("/") for member in self.zip.infolist())
        leading = [name for name in found if name not in members]
        return {name: found[name] for name in [*leading, *(name for name in members if name in found)]}

    # members ----------------------------------------------------------------------
    def _find_member(self, path: str) -> zipfile.ZipInfo:
        try:
            return self.zip.getinfo(path)
        except KeyError:
            entry = self.info(path)
            if entry["type"] == "directory":
                self._get_dirs()  # names a member in the error
                raise member_is_folder(self, path) from None
            try:
                return self.zip.getinfo(entry["filename"])
            except KeyError:  # an entry of a subclass, of no member
                raise self._missing_member(path) from None

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> MemberFile | MemberWriter:
        path = self._strip_protocol(path)
        kind = mode.replace("b", "")
        if kind not in ("r", "w"):
            raise io.UnsupportedOperation(
                f"a member of a zip archive is opened as 'rb' or 'wb', not {mode!r}: {path!r}"
            )
        if kind == "r":
            member = self._find_member(path)
            if self.mode != "r":
                raise OSError(f"{self._archive_name} is being written: close it before {path!r} is read")
            return MemberFile(self, path, member, member.file_size)
        self._check_writable(path)
        if not autocommit:
            return WaitingMember(self, path)
        return MemberWriter(self, path, self.zip.open(path, "w", force_zip64=self.force_zip_64))

    def _open_member(self, path: str, member: zipfile.ZipInfo) -> IO[bytes]:
        if member.flag_bits & _ENCRYPTED and self.zip.pwd is None:
            what = f"member {path!r} of {self._archive_name} is encrypted"
            raise RuntimeError(f"{what}: give the password to fs.zip.setpassword")
        if self._archive_bytes is not None:
            before = _LOCAL_HEADER + len(member.filename) + len(member.extra)
            self._archive_bytes.bring(member.header_offset, before + member.compress_size)
        return self.zip.open(member)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Add a member; see `AbstractFileSystem.pipe_file`.

        ``**kwargs``: for ``zipfile.ZipFile.writestr``: ``compress_type``, ``compresslevel``.
        """
        path = self._strip_protocol(path)
        self._check_writable(path)
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        if self._intrans:
            if kwargs:
                raise NotImplementedError(f"{path!r}: in a transaction members are added as the archive says")
            with self.open(path, "wb") as f:
                f.write(value)
            return
        try:
            self.zip.writestr(path, value, **kwargs)
        except OSError as error:
            self._reported_errno = error.errno
            raise

    def _add_member(self, path: str, f: BinaryReader) -> None:
        """Add what a file holds; for `WaitingMember`."""
        self._check_writable(path)
        with self.zip.open(path, "w", force_zip64=self.force_zip_64) as member:
            shutil.copyfileobj(f, member, 2**20)

    def _check_writable(self, path: str) -> None:
        if self.mode == "r":
            raise io.UnsupportedOperation(
                f"{self._archive_name} is open for reading, {path!r} cannot be written into it: give"
                " mode='a' to add to the archive, mode='w' to write a new one; in a chain of URLs"
                " zip={'mode': ...}"
            )
        if not is_mine(self):
            advice = "What is being written belongs to the process that opened it; in this one, write another"
            refuse(self, self._archive_name, advice)

    # its end ----------------------------------------------------------------------
    def close(self) -> None:
        """Close the archive; one that is written is not complete before.

        In a child of the process that writes it nothing happens.
        """
        if self.mode != "r" and not is_mine(self):
            return
        if hasattr(self, "zip"):
            try:
                changed = self.zip._didModify  # type: ignore[attr-defined]  # zipfile's own
                self.zip.close()
            except BaseException as error:  # an interrupt, too, gives up what was written
                self._end_writing(error)
                raise
            if not changed:
                self._end_writing(_Unchanged())
        self._end_writing(None)

    def _after_fork_in_child(self) -> None:
        if self.mode == "r":
            super()._after_fork_in_child()
            if hasattr(self, "zip"):
                self.zip._lock = threading.RLock()  # type: ignore[attr-defined]  # maybe held
        else:
            # collecting the zip file would write the end of the archive
            hooks.immortalize([self.of, self.fo, getattr(self, "zip", None), self._replacing_archive])


class _Unchanged(Exception):
    """Nothing was added to an archive."""


def _is_plain_local(fs: AbstractFileSystem, path: str) -> bool:
    """Whether a file is a plain one of this machine, in a folder where others can be made."""
    if not is_plainly_local(fs):
        return False
    path = os.path.realpath(path)
    return os.path.isfile(path) and os.access(os.path.dirname(path), os.W_OK | os.X_OK)
