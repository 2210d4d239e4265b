"""Files of FTP servers, plain or with TLS, by the standard library's client.

An instance has one connection, an `FTPLink`, on which its operations follow each other.
Folders are listed by MLSD if the server has it, else by LIST, and remembered until
something is changed through the instance. Parts of files are read by REST and RETR and
written block by block, by REST and STOR; a failed upload leaves nothing under its name.

In a forked child an instance reconnects; see `_remote.ftp_link`.
"""

from __future__ import annotations

import errno
import ftplib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from fsspec._fork.owned import CheckedAttribute, finalize, is_mine
from fsspec._overriding import default, is_built_in, unless_patched
from fsspec._paths.paths import folder_error, hidden_name, local_side
from fsspec._paths.ranges import as_number, as_view
from fsspec._public import publish
from fsspec._spec.contents import parts_of
from fsspec.callbacks import DEFAULT_CALLBACK, Callback, for_file
from fsspec.implementations._remote import ftp_parsing
from fsspec.implementations._remote.ftp_link import (
    REPLIES,
    SECURITY_PROTOCOL_MAP,
    FTPLink,
    ImplicitFTPTLS,
    TransferDone,
    log_in,
)
from fsspec.implementations._remote.server import ServerFileSystem
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import infer_storage_options

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from datetime import datetime

    from fsspec._paths.types import BinaryWriter, Depth, PathOrPaths, Progress, StrPath, StrPaths
    from fsspec.implementations._remote.server import Send


__all__ = ["FTPFile", "FTPFileSystem", "ImplicitFTPTLS", "SECURITY_PROTOCOL_MAP", "TransferDone"]
publish(__name__)

_UNKNOWN = ("500", "501", "502", "504")


class FTPFileSystem(ServerFileSystem):
    """Files of an FTP server.

    Parameters
    ----------
    host, port
        the server.
    username, password, acct
        who logs in; anonymously if there is none.
    block_size
        bytes by which files are read and written.
    tempdir
        folder on the server for files that are not to appear yet (``autocommit=False``), by
        default /tmp; if the server has none, they are put beside their targets.
    timeout
        seconds that the server may take for an answer.
    encoding
        of names.
    tls
        True for TLS by AUTH; a name in `SECURITY_PROTOCOL_MAP` for TLS from the first byte
        on (implicit), with that version of the protocol, "tls" for any. Data is encrypted too,
        except for implicit TLS with a server that knows no PBSZ and PROT.
    verify
        whether the server's certificate is checked: True, or the path of the certificates
        to trust. Many servers have one that nobody vouches for, hence the default.
    """

    root_marker = "/"
    cachable = False
    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "ftp"
    _server_link: CheckedAttribute[FTPLink] = CheckedAttribute()

    def __init__(
        self,
        host: str,
        port: int = 21,
        username: str | None = None,
        password: str | None = None,
        acct: str | None = None,
        block_size: int | None = None,
        tempdir: str | None = None,
        timeout: float = 30,
        encoding: str = "utf-8",
        tls: bool | str = False,
        verify: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(tls, str) and tls not in SECURITY_PROTOCOL_MAP:
            known = ", ".join(SECURITY_PROTOCOL_MAP)
            raise ValueError(f"tls={tls!r} is not supported: True, or one of {known}")
        self.host = host
        self.port = port
        self.tempdir: str = tempdir or "/tmp"
        self.cred: tuple[str, str, str] = username or "", password or "", acct or ""
        self.timeout = timeout
        self.encoding = encoding
        self.tls = tls
        self.verify = verify
        self.blocksize: int = 2**16 if block_size is None else as_number("block_size", block_size, "bytes")
        self._tempdir_known = True if tempdir else None
        self._server_link = FTPLink(self, f"{host}:{port}")
        finalize(self, self._server_link.close)
        self._server_link.refresh()

    def _connect(self) -> None:
        """Set ``ftp`` to a new client that is logged in. Called in each process, and where the connection was
        lost; for derived classes to override."""
        self.ftp = log_in(self.host, self.port, self.cred, self.timeout, self.encoding, self.tls, self.verify)

    @property
    def ftp(self) -> ftplib.FTP:
        """The connected client."""
        return cast("ftplib.FTP", self._server_link.get("ftp"))

    @ftp.setter
    def ftp(self, client: ftplib.FTP | None) -> None:
        self._server_link.put("ftp", client)

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        return "/" + str(infer_storage_options(path)["path"]).strip("/")

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget listings: that of a path, or all."""
        if path is None:
            self.dircache.clear()
        else:
            self.dircache.pop(self._strip_protocol(path), None)
        super().invalidate_cache(path)

    def _forget_listings(self, *paths: str) -> None:
        for path in paths:
            self.invalidate_cache(path)
            self.invalidate_cache(self._parent(path))

    def _raise_refused(self, error: BaseException, path: str, making: bool = False) -> NoReturn:
        """Raise what a refusal means; if it does not say, look at what there is."""
        found = ftp_parsing.error_of_reply(str(error), path)
        if found is not None:
            raise found from None
        self._forget_listings(path)
        try:
            kind = self.info(path)["type"]
        except FileNotFoundError:
            kind = ""
        reply = str(error)
        parent = self._parent(path)
        if not kind and (not making or path != "/" and not self.exists(parent)):
            raise ftp_parsing.refused(FileNotFoundError, errno.ENOENT, reply, path) from None
        if kind == "directory":
            raise ftp_parsing.refused(IsADirectoryError, errno.EISDIR, reply, path) from None
        raise ftp_parsing.refused(PermissionError, errno.EACCES, reply, path) from None

    # listings ---------------------------------------------------------------------
    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds; a file gives itself. Two commands and a connection for data.

        Without ``detail`` these are names without their folder, unlike those of other
        filesystems. ``refresh=True`` disregards what is remembered.
        """
        path = self._strip_protocol(path)
        found = None if kwargs.get("refresh") else self.dircache.get(path)
        if found is None:
            try:
                found = self._fetch_listing(path)
            except REPLIES as error:
                entry = None
                with suppress(FileNotFoundError):
                    entry = self._fetch_entry(path)
                if entry is None or entry["type"] == "directory":
                    self._raise_refused(error, path)
                found = [entry]
            self.dircache[path] = found
        return list(found) if detail else sorted(entry["name"].rpartition("/")[2] for entry in found)

    def _reply_lines(self, command: str) -> Iterator[str]:
        parts: list[bytes] = []
        self._server_link.download(command, parts.append, kind="A")
        data = b"".join(parts)
        if data and not data.endswith(b"\n") and command.startswith("MLSD"):  # LIST is not specified
            raise OSError(f"the listing of {command[5:]!r} was cut off on the way from the FTP server")
        for line in data.decode(self.encoding).split("\n"):
            if line := line.rstrip("\r"):
                yield line

    def _fetch_listing(self, path: str) -> list[dict[str, Any]]:
        if "MLSD" not in self._server_link.unknown:
            try:
                return ftp_parsing.children(map(ftp_parsing.facts, self._reply_lines(f"MLSD {path}")), path)
            except ftplib.error_perm as error:
                if str(error)[:3] not in ("500", "502", "504"):
                    raise
                self._server_link.unknown.add("MLSD")
        # a file would be listed as well, and an option of a name that begins like one
        self._server_link.command(f"CWD {path}", repeat=True)
        return ftp_parsing.children(map(ftp_parsing.listed, self._reply_lines("LIST")), path)

    def _fetch_entry(self, path: str) -> dict[str, Any]:
        """The entry of a path as the server has it now."""
        if "MLST" not in self._server_link.unknown:
            try:
                reply = self._server_link.command(f"MLST {path}", repeat=True)
                return {**_parse_mlst(reply), "name": path}
            except ftplib.error_perm as error:
                if str(error)[:3] not in _UNKNOWN:
                    raise (ftp_parsing.error_of_reply(str(error), path) or FileNotFoundError(path)) from None
                self._server_link.unknown.add("MLST")
        parent = self._parent(path)
        try:
            siblings = self.dircache.get(parent) or self._fetch_listing(parent)
        except REPLIES:
            raise FileNotFoundError(path) from None
        self.dircache[parent] = siblings
        for entry in siblings:
            if entry["name"] == path:
                return entry
        raise FileNotFoundError(path)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of a path: of a remembered listing, or by MLST, one command."""
        path = self._strip_protocol(path)
        if path == "/":
            return {"name": "/", "size": 0, "type": "directory"}
        if not is_built_in(self.ls):
            return super().info(path, **kwargs)
        entry = self._cached_entry(path) or self._fetch_entry(path)
        return self._with_target(entry) if "destination" in entry else entry

    def _cached_entry(self, path: str) -> dict[str, Any] | None:
        listed = [*self.dircache.get(self._parent(path), ()), *self.dircache.get(path, ())]
        return next((entry for entry in listed if entry["name"] == path), None)

    def _with_target(self, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry of a link, with the size and type of its target."""
        path = entry["name"]
        try:
            size = self._server_link.size(path)
        except ftplib.error_perm:
            with suppress(ftplib.error_perm):
                self._server_link.command(f"CWD {path}", repeat=True)
                return {**entry, "type": "directory", "size": 0}
            return entry  # it leads nowhere
        return entry if size is None else {**entry, "size": size}

    @unless_patched
    def created(self, path: str) -> datetime:
        """When a file was made, in UTC; NotImplementedError if the server does not say."""
        return ftp_parsing.utc_time(self.info(path).get("create")) or super().created(path)

    @unless_patched
    def modified(self, path: str) -> datetime:
        """When a file was last changed, in UTC; NotImplementedError if the server does not say."""
        path = self._strip_protocol(path)
        entry = self.info(path)
        found = ftp_parsing.utc_time(entry.get("modify"))
        if found is None:  # LIST has times of no known zone
            try:
                found = ftp_parsing.utc_time(
                    self._server_link.command(f"MDTM {path}", repeat=True)[4:].strip()
                )
            except ftplib.error_perm as error:
                if str(error)[:3] not in _UNKNOWN and entry["type"] == "file":
                    self._raise_refused(error, path)
        return found or super().modified(path)

    # reading ----------------------------------------------------------------------
    @default
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        autocommit: bool = True,
        **kwargs: Any,
    ) -> FTPFile:
        """A file object; ``cache_type`` for reading, ``tempdir`` for writing."""
        if not autocommit:
            if self._tempdir_known is None:  # if nobody named it, the server is asked for it once
                self._tempdir_known = self.isdir(self.tempdir)
            kwargs.setdefault("tempdir", self.tempdir if self._tempdir_known else None)
        block_size = block_size or self.blocksize
        return FTPFile(self, path, mode, block_size, autocommit, cache_options=cache_options, **kwargs)

    def _read(self, path: str, take: Callable[[bytes], object], start: int = 0) -> None:
        try:
            self._server_link.download(f"RETR {path}", take, start)
        except REPLIES as error:
            if str(error)[:1] == "4" and str(error)[:3] != "450":
                why = "the FTP server gave up sending"
                raise ftp_parsing.refused(OSError, errno.EIO, str(error), path, why) from None
            self._raise_refused(error, path)

    def _fetch_part(self, path: str, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, all of which the file has."""
        if end <= start:
            return b""
        parts: list[bytes] = []
        lacking = end - start

        def take(data: bytes) -> None:
            nonlocal lacking
            parts.append(data[:lacking])
            lacking -= len(parts[-1])
            if not lacking:
                raise TransferDone

        self._read(path, take, start)
        if lacking:
            raise OSError(f"{path!r} ended {lacking} bytes early on the FTP server; it may have been changed")
        return b"".join(parts)

    def _size(self, path: str) -> int | None:
        try:
            size = self._server_link.size(path)
        except REPLIES as error:
            self._raise_refused(error, path)
        return self.info(path)["size"] if size is None else size

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        limited = start is not None or end is not None
        if kwargs.get("compression") or limited and not self._fsspec_opens_itself:
            return super().cat_file(path, start, end, **kwargs)
        path = self._strip_protocol(path)
        size = self._size(path)
        if size is None:
            parts: list[bytes] = []
            self._read(path, parts.append)
            return b"".join(parts)[start:end]
        begin, stop, _ = slice(start, end).indices(size)
        return self._fetch_part(path, begin, stop)

    @contextmanager
    def _sending_to(self, path: str) -> Iterator[Send]:
        listed = self._cached_entry(path) or {"type": ""}
        size = listed["size"] if listed["type"] == "file" else None
        if size is None:
            size = self._size(path)
        yield lambda target, callback: self._fetch(path, target, callback, size)

    def _fetch(self, path: str, target: BinaryWriter, callback: Callback, size: int | None) -> None:
        callback.set_size(size)
        done = 0

        def take(data: bytes) -> None:
            nonlocal done
            target.write(data)
            done += len(data)
            callback.relative_update(len(data))

        self._read(path, take)
        if size is not None and done < size and done < (self._size(path) or 0):  # it was listed before
            raise OSError(f"{path!r} ended after {done} of {size} bytes on the FTP server; try again")

    # writing ----------------------------------------------------------------------
    def _send_parts(self, command: str, path: str, parts: Iterable[Any], start: int = 0) -> None:
        """Send a part of a file. If that fails the file is removed, unless it was appended to."""
        link = self._server_link  # in a child that is forked in between, ``self`` has another
        try:
            link.upload(f"{command} {path}", parts, start)
        except REPLIES as error:
            if link.upload_begun and str(error)[:1] == "4":
                _remove_part(link, command, path)
                why = "the FTP server gave up receiving"
                raise ftp_parsing.refused(OSError, errno.EIO, str(error), path, why) from None
            self._raise_refused(error, path, making=True)
        except BaseException:  # an interrupt, too, leaves no part
            if link.upload_begun:
                _remove_part(link, command, path)
            raise
        finally:
            if is_mine(link):
                self._forget_listings(path)

    @unless_patched
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Make a file of bytes, by one transfer."""
        if kwargs or self._intrans or not self._fsspec_opens_itself:
            return super().pipe_file(path, value, mode=mode, **kwargs)
        path = self._strip_protocol(path)
        as_view(path, value).release()  # what cannot be written does not begin a file, nor empty one
        if mode == "create" and self._fsspec_is_taken(path):
            raise FileExistsError(path)
        self._send_parts("STOR", path, [value])

    @unless_patched
    def put_file(
        self,
        lpath: StrPath,
        rpath: str,
        callback: Progress = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload a file, by one transfer; for a folder only a folder is made."""
        lpath = local_side(lpath)
        if self._intrans or kwargs or not self._fsspec_opens_itself or os.path.isdir(lpath):
            return super().put_file(lpath, rpath, callback=callback, mode=mode, **kwargs)
        callback, rpath = for_file(callback, rpath), self._strip_protocol(rpath)
        if mode == "create" and self._fsspec_is_taken(rpath):
            raise FileExistsError(rpath)
        with open(lpath, "rb", buffering=0) as source:
            callback.set_size(os.fstat(source.fileno()).st_size)
            self.makedirs(self._parent(rpath), exist_ok=True)
            self._send_parts("STOR", rpath, _with_progress(source, self.blocksize, callback))

    # making and removing ----------------------------------------------------------
    def _run_command(self, command: str, path: str, making: bool = False) -> None:
        try:
            self._server_link.command(f"{command} {path}")
        except REPLIES as error:
            self._raise_refused(error, path, making)
        finally:
            self._forget_listings(path)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if path == "/":
            raise ftp_parsing.refused(FileExistsError, errno.EEXIST, "550 exists", path, "it is the root")
        try:
            try:
                self._run_command("MKD", path, making=True)
            except (FileNotFoundError, PermissionError):
                parent = self._parent(path)  # which another may be making, so that the refusal is a vague one
                if not create_parents or parent == path:
                    raise
                self.makedirs(parent, exist_ok=True)
                self._run_command("MKD", path, making=True)
        except IsADirectoryError as error:
            raise ftp_parsing.refused(FileExistsError, errno.EEXIST, "550 exists", path, str(error)) from None

    def rmdir(self, path: str) -> None:
        self._run_command("RMD", self._strip_protocol(path))

    def _rm(self, path: str) -> None:
        self._run_command("DELE", self._strip_protocol(path))

    def rm(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        """Remove files and, with ``recursive``, folders with everything in them."""
        found = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        # before listings are forgotten
        if is_built_in(self.isfile):
            are_files = {p: self.info(p)["type"] != "directory" for p in found}
        else:
            are_files = {p: self.isfile(p) for p in found}
        for p in reversed(found):
            if are_files[p]:
                self.rm_file(p)
            else:
                self.rmdir(p)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Rename a file or folder on the server; nothing is copied."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        if path1 == path2:
            return
        try:
            self._server_link.run(lambda ftp: _rename(ftp, path1, path2))
        except _TargetRefused as error:
            self._raise_refused(error, path2, making=True)
        except REPLIES as error:
            self._raise_refused(error, path1)
        finally:
            self._forget_listings(path1, path2)


def _remove_part(link: FTPLink, command: str, path: str) -> None:
    if command != "APPE" and is_mine(link):
        with suppress(OSError, *REPLIES):  # the failure itself is what the caller has to know of
            link.command(f"DELE {path}")


class _TargetRefused(ftplib.error_perm):
    """RNTO was refused: the error is about the target of a rename, not about its source."""


def _rename(ftp: ftplib.FTP, source: str, target: str) -> None:
    ftp.sendcmd(f"RNFR {source}")
    try:
        ftp.voidcmd(f"RNTO {target}")
    except ftplib.error_perm as error:
        raise _TargetRefused(*error.args) from None


def _with_progress(source: io.FileIO, size: int, callback: Callback) -> Iterator[bytes]:
    for data in parts_of(source, size):
        yield data
        callback.relative_update(len(data))


def _parse_mlst(reply: str) -> dict[str, Any]:
    lines = reply.splitlines()
    line = lines[1] if len(lines) > 1 else ""
    entry = ftp_parsing.facts(line)[1]
    if "type=" not in line.lower() and entry["size"] is None:  # else a file, whose size is not known
        raise OSError(f"the reply {line[:80]!r} of the FTP server to MLST cannot be understood")
    entry.pop("itself", None)
    return entry


def _mlsd2(ftp: ftplib.FTP, path: str = ".") -> list[tuple[str, dict[str, Any]]]:
    """What MLSD yields, by LIST: names and entries."""
    lines: list[str] = []
    ftp.dir(path, lines.append)
    found = [pair for pair in map(ftp_parsing.listed, lines) if pair is not None]
    return [pair for pair in found if pair[0] not in (".", "..")]


class FTPFile(AbstractBufferedFile):
    """A file of an FTP server, read by parts or written block by block.

    With ``autocommit=False`` it is written under another name, in ``tempdir`` or beside
    its target, and `commit` gives it its own.
    """

    def __init__(
        self,
        fs: FTPFileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = "default",
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fs, path, mode, block_size, autocommit, cache_type, cache_options, **kwargs)
        self.target = path
        if mode == "rb":
            if kwargs.get("size") is None and self.details["type"] == "directory":
                raise folder_error(path)
            return
        self._held_parts: list[bytes] | None = None
        self.location: str = path
        if mode == "xb" and fs._fsspec_is_taken(path):
            self.closed = True
            raise FileExistsError(path)
        if not autocommit:
            if mode == "ab":
                self._held_parts = []  # there is no other name to append to: it goes out by commit
            else:
                self.location = hidden_name(path, self.kwargs.get("tempdir") or fs._parent(path))

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Bytes ``start`` up to ``end``: three or four commands, one connection for data."""
        return cast("bytes", self.fs._fetch_part(self.path, start, end))

    def _upload_chunk(self, final: bool = False) -> None:
        """Send what ``buffer`` holds, after what was sent before."""
        data = self.buffer.getvalue()
        if self._held_parts is not None:
            self._held_parts.append(data)
            return
        if not data and self.offset:
            return
        try:
            if self.mode == "ab":
                self.fs._send_parts("APPE", self.location, [data])
            else:
                self.fs._send_parts("STOR", self.location, [data], self.offset or 0)
        except BaseException:
            if self.mode == "ab" or self.offset:  # what follows would be there twice, or after a gap
                self.forced = True
            raise

    def commit(self) -> None:
        if self.autocommit:
            return
        self.close()
        if self._held_parts is not None:
            held, self._held_parts = self._held_parts, []
            self.fs._send_parts("APPE", self.target, held)
        else:
            self.fs.mv(self.location, self.target)

    def discard(self) -> None:
        if self.autocommit:
            return
        self.closed = True  # no more of it is sent
        if self._held_parts is not None:
            self._held_parts = []
        elif self.offset is not None:
            with suppress(FileNotFoundError):
                self.fs._rm(self.location)
