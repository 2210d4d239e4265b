"""Tar archives, compressed or not.

`tarfile` does the format.  The headers of all members are read once, as the archive is
opened: they lie between the members.  A compressed archive is decompressed from its
beginning to wherever a member lies, and again for one that lies before the last one read;
for reading in any order, decompress it or put ``simplecache::`` below.

A link is the member that it leads to.  Nothing outside of the archive is ever read for one.
Archives are only read.  Forks: see `_archive.files`.
"""

from __future__ import annotations

import logging
import posixpath
import tarfile
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from fsspec._error_notes import add
from fsspec._files.open_file import get_compression
from fsspec._public import publish
from fsspec.archive import add_folders, leads_outside
from fsspec.compression import compr
from fsspec.core import _ONLY_READ
from fsspec.implementations._archive.bytes import ArchiveBytes, DirectoryView, View
from fsspec.implementations._archive.files import DAMAGED, FileArchive, MemberFile, member_is_folder
from fsspec.utils import infer_compression

if TYPE_CHECKING:
    from fsspec._paths.types import StrPath
    from fsspec.core import OpenFile


__all__ = ["TarFileSystem", "typemap"]

publish(__name__)

logger: logging.Logger = logging.getLogger("tar")

typemap: dict[bytes, str] = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory"}
"""Types of entries by those of members; all others are files."""

_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""How compressed files begin, whatever they are called."""


class CorruptTarFile(tarfile.ReadError, OSError):
    """A tar archive, or a member of one, that is damaged."""


class TarFileSystem(FileArchive):
    """The members of a tar archive.

    Parameters
    ----------
    fo
        the archive: a path or URL, or a binary file object, read from its position.
    index_store
        has no effect.
    target_options, target_protocol
        of the filesystem that ``fo`` is on.
    compression
        a name of `fsspec.available_compressions`; None or "infer" is what the first bytes
        tell, or else the archive's name.

    Raises
    ------
    tarfile.ReadError
        also an OSError: it is not a tar archive, or damaged.
    """

    protocol: ClassVar[str | tuple[str, ...]] = "tar"
    _decompressed_bytes: ArchiveBytes | None = None
    _damage_errors = (tarfile.TarError, *DAMAGED)
    _corrupt_error = CorruptTarFile

    def __init__(
        self,
        fo: StrPath | IO[bytes] | OpenFile[bytes] = "",
        index_store: object = None,
        target_options: dict[str, Any] | None = None,
        target_protocol: str | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.index_store = index_store
        try:
            try:
                self._open_archive(fo, "rb", target_protocol, target_options)
            except FileNotFoundError as error:
                if "r" not in kwargs.get("mode", "r"):
                    add(error, _ONLY_READ)
                raise
            self.compression: str | None = self._find_codec(compression)
            try:
                view = DirectoryView(self._decompress_archive())
                self.tar: tarfile.TarFile = tarfile.open(fileobj=view, mode="r:")
                self._by_name = self._read_headers(view)
                view.done()
            except self._damage_errors as error:
                raise self._as_corrupt(error) from error
            except OSError as error:
                if self.compression is None or error.errno is not None:
                    raise
                raise self._as_corrupt(error) from error  # codecs have no class of their own for this
        except BaseException:  # an interrupt, too, leaves no file open
            self._close_archive()
            raise

    def _find_codec(self, compression: str | None) -> str | None:
        name = getattr(self.of or self.fo, "path", None) or getattr(self.fo, "name", None)
        assert self._archive_bytes is not None
        if self.of is None:
            self._archive_bytes.start = self.fo.tell()
        self._archive_bytes.read_through()
        if compression not in (None, "infer"):
            return get_compression("", compression)
        start = self._archive_bytes.read_at(0, 6)
        for magic, codec in _MAGIC.items():
            if start.startswith(magic):
                return codec
        named = infer_compression(name) if isinstance(name, str) else None
        return None if named in _MAGIC.values() else named

    def _decompress_archive(self) -> ArchiveBytes:
        source = self._archive_bytes
        assert source is not None
        if self.compression is None:
            return source
        codec = compr[self.compression]

        def decompress() -> IO[bytes]:
            return cast("IO[bytes]", codec(View(source), mode="rb"))

        self._decompressed_bytes = ArchiveBytes(decompress(), decompress, source.name, decodes=True)
        return self._decompressed_bytes

    def _read_headers(self, view: DirectoryView) -> dict[str, tarfile.TarInfo]:
        members = self.tar.getmembers()
        # if a header is damaged tarfile stops as if the archive ended there
        view.seek(self.tar.offset)
        following = view.read(tarfile.BLOCKSIZE)
        if following and (len(following) < tarfile.BLOCKSIZE or following.strip(b"\0")):
            raise tarfile.ReadError(f"no header at byte {self.tar.offset}, behind {len(members)} members")
        return {_plain_name(member.name): member for member in members}

    # entries ----------------------------------------------------------------------
    def _member_name(self, path: str) -> str:
        return _plain_name(self._strip_protocol(path))

    def _get_dirs(self) -> None:
        if self.dir_cache is not None:
            return
        table: dict[str, dict[str, Any]] = {}
        for name, member in self._by_name.items():
            if not name:
                continue
            entry: dict[str, Any] = dict(member.get_info())
            target = self._resolve_link(member)
            kind = typemap.get(member.type, "file")
            entry.update(name=name, size=target.size if target else 0, type=kind)
            add_folders(table, name)
            table[name] = entry
            if leads_outside(member.name):
                self._refused_members[name] = f"the name of member {member.name!r} leads out of it"
            elif _is_link(member) and leads_outside(_link_target(member)):
                self._refused_members[name] = (
                    f"the link {member.name!r} to {member.linkname!r} leads out of it"
                )
        self.dir_cache: dict[str, dict[str, Any]] | None = table

    @property
    def index(self) -> dict[str, tuple[dict[str, Any], int, str]]:
        """By name: a member's entry, where its data begin in the (decompressed) archive, and its name."""
        self._get_dirs()
        entries = self.dir_cache or {}
        return {
            member.name: (entries[name], member.offset_data, member.name)
            for name, member in self._by_name.items()
            if name in entries
        }

    def _resolve_link(self, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        """The member itself, or the target of a link; None if that is not in the archive."""
        found: tarfile.TarInfo | None = member
        for _ in range(40):  # a link to a link ...; as many as Linux follows
            if found is None or not _is_link(found):
                return found
            target = _link_target(found)
            if found.islnk():
                target = target.lstrip("/")
            led_to = [] if leads_outside(target) and found.issym() else self._by_plain_name.get(target, [])
            # a hard link is another name of what was written before it, not of a later version
            before = [m for m in led_to if m.offset < found.offset] if found.islnk() else []
            found = next(reversed(before or led_to), None)
        return None

    @cached_property
    def _by_plain_name(self) -> dict[str, list[tarfile.TarInfo]]:
        """All members by their names, those of one name as they follow each other."""
        found: dict[str, list[tarfile.TarInfo]] = {}
        for member in self.tar.getmembers():
            found.setdefault(posixpath.normpath(_plain_name(member.name)), []).append(member)
        return found

    # members ----------------------------------------------------------------------
    def _find_member(self, path: str) -> tarfile.TarInfo:
        member = self._by_name.get(_plain_name(path))
        if member is not None and member.isreg():  # as most are
            return member
        if member is None or member.isdir():
            entry = self.info(path)  # raises if there is no such folder either
            if member is None and entry["type"] != "directory":  # of a subclass, of no member
                raise self._missing_member(path)
            raise member_is_folder(self, path)
        target = self._resolve_link(member)
        if target is None:
            raise FileNotFoundError(
                f"{path!r} of {self._archive_name} is a link to {member.linkname!r}, which is not in it"
            )
        if target.isdir():
            raise member_is_folder(self, path)
        if not (target.isreg() or target.issparse()):
            raise OSError(f"{path!r} of {self._archive_name} is not a file: its type is {target.type!r}")
        return target

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> MemberFile:
        path = self._strip_protocol(path)
        if mode not in ("r", "rb"):
            raise ValueError(f"{self._archive_name} is only read: {path!r} cannot be opened as {mode!r}")
        member = self._find_member(path)
        return MemberFile(self, path, member, member.size)

    def _open_member(self, path: str, member: tarfile.TarInfo) -> IO[bytes] | None:
        # of its own position: members are read at the same time
        tar = object.__new__(type(self.tar))
        tar.__dict__.update(self.tar.__dict__)
        # one of the two exists
        tar.fileobj = View(self._decompressed_bytes or self._archive_bytes)  # type: ignore[arg-type]
        return tar.extractfile(member)

    # its end ----------------------------------------------------------------------
    def close(self) -> None:
        """Close the archive; its members can no longer be read."""
        if hasattr(self, "tar"):
            self.tar.close()
        if self._decompressed_bytes is not None:
            self._decompressed_bytes.close()
        self._close_archive()

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        if self._decompressed_bytes is not None:
            self._decompressed_bytes.after_fork()


def _plain_name(name: str) -> str:
    """A name in the archive as a path: slashes that follow each other count as one."""
    while "//" in name:
        name = name.replace("//", "/")
    return name.strip("/")


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def _link_target(member: tarfile.TarInfo) -> str:
    """The plain name that a link leads to, seen from the root of the archive."""
    folder = posixpath.dirname(member.name) if member.issym() else ""
    return posixpath.normpath(posixpath.join(folder, member.linkname))
