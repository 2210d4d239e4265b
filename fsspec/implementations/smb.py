"""Files of Windows shares and Samba, by ``smbclient`` of smbprotocol.

A path is ``/share/folder/file``. An instance has connections of its own, on which its
requests follow each other. In a forked child it reconnects; see `_remote.smb_link`.
"""

from __future__ import annotations

import datetime
import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import smbclient
import smbprotocol.exceptions
from smbclient import _pool
from smbprotocol.header import NtStatus

from fsspec._fork import hooks
from fsspec._fork.owned import CheckedAttribute, Owned, finalize, is_mine
from fsspec._overriding import default, is_built_in, unless_patched
from fsspec._paths.paths import hidden_name
from fsspec._paths.urls import server_options
from fsspec.implementations._remote.refusals import lost_server, refusal
from fsspec.implementations._remote.server import ServerFileSystem, stat_entry
from fsspec.implementations._remote.smb_link import LOST, SMBLink
from fsspec.implementations._remote.writing import Handle, SeekableWriting, UpdatedFile, check_mode, update

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, T


__all__ = ["SMBFileOpener", "SMBFileSystem"]

_overridden = Owned(threading.RLock)  # one ``_connect`` of derived classes at a time uses smbclient's cache


class SMBFileSystem(ServerFileSystem):
    """Files of an SMB server.

    Parameters
    ----------
    host, port
        the server.
    username, password
        who logs in; by Kerberos if there is none.
    timeout
        seconds that connecting may take.
    encrypt
        whether to insist on encryption (True), or to do without.
    share_access
        what others may do with a file that is open here: letters of "rwd"; by default
        they may read what is read, and nothing with what is written.
    register_session_retries
        how many times connecting is tried once more.
    register_session_retry_wait, register_session_retry_factor
        seconds before the first of these, and by how much that is multiplied for the last.
    auto_mkdir
        whether opening a file to write makes its folder.
    """

    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "smb"
    _copies_by_open: ClassVar[bool] = True
    _server_link: CheckedAttribute[SMBLink] = CheckedAttribute()

    def __init__(
        self,
        host: str,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: int = 60,
        encrypt: bool | None = None,
        share_access: str | None = None,
        register_session_retries: int = 4,
        register_session_retry_wait: float = 1,
        register_session_retry_factor: float = 10,
        auto_mkdir: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.host = host
        self.port = port
        self.username = username
        self.password = password
        self.encrypt = encrypt
        self.timeout = timeout
        self.temppath: str | None = kwargs.get("temppath")
        self.share_access = share_access
        self.register_session_retries = register_session_retries
        self.register_session_retry_wait = register_session_retry_wait
        self.register_session_retry_factor = register_session_retry_factor
        self.auto_mkdir = auto_mkdir
        self._server_link = SMBLink(host)
        finalize(self, self._server_link.disconnect)
        self._connect_link()

    @property
    def _port(self) -> int:
        return 445 if self.port is None else self.port

    def _session_options(self) -> dict[str, Any]:
        """Arguments for each call of smbclient: by default it would use connections of other instances."""
        return {
            "username": self.username,
            "password": self.password,
            "port": self._port,
            "encrypt": self.encrypt,
            "connection_timeout": self.timeout,
            "connection_cache": self._server_link.connections,
        }

    def _connect_link(self) -> None:
        """Call `_connect`. An override may use smbclient's global cache: it finds no connections of
        others there, and those that it makes are this instance's."""
        if not self._has_own_connect():
            self._connect()
        else:
            cache, key = _pool._SMB_CONNECTIONS, f"{self.host.lower()}:{self._port}"
            with _overridden.get():
                before = cache.pop(key, None)
                try:
                    self._connect()
                finally:
                    made = cache.pop(key, None)
                    if before is not None:
                        cache[key] = before
                    if made is not None:
                        self._server_link.connections.setdefault(key, made)
        self._server_link.watch()

    def _has_own_connect(self) -> bool:
        return type(self)._connect is not SMBFileSystem._connect

    def _connect(self) -> None:
        """Connect and log in. Called in each process, and where the connection was lost; for derived classes
        to override."""
        last = max(0, self.register_session_retries)
        for attempt in range(last + 1):
            try:
                smbclient.register_session(self.host, **self._session_options())
                break
            except smbprotocol.exceptions.LogonFailure as error:
                raise PermissionError(
                    errno.EACCES, f"the SMB server {self.host} refuses the login of {self.username!r}"
                ) from error
            except (smbprotocol.exceptions.SMBException, ValueError, OSError) as error:
                self._server_link.disconnect()
                if attempt == last:
                    text = f"the SMB server {self.host}:{self._port}: {error}"
                    kinds = ValueError, smbprotocol.exceptions.SMBException, OSError
                    kind = next(kind for kind in kinds if isinstance(error, kind))
                    raise lost_server(error, text, kind) from error
            longer = 1 + (self.register_session_retry_factor - 1) * attempt / max(1, last - 1)
            time.sleep(self.register_session_retry_wait * longer)

    def _call_client(self, work: Callable[..., T], *args: Any, repeat: bool = False, **kwargs: Any) -> T:
        """A call of smbclient; if the connection was lost, once more if that does no harm."""

        def operation() -> T:
            if self._has_own_connect() and not self._server_link.is_connected():
                self._server_link.disconnect()
                self._connect_link()  # else smbclient would connect, with the options
            try:
                return work(*args, **kwargs, **self._session_options())
            except (OSError, smbprotocol.exceptions.SMBResponseException) as error:
                raise _error_of(error, args[0]) from None

        return self._server_link.run(operation, self._connect_link, repeat)

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return server_options(path)  # of another name, by which some programs call it

    def _unc_path(self, path: str) -> str:
        inside = self._strip_protocol(path).strip("/")
        if not inside:
            raise ValueError(f"{path!r} names no share: paths are /share/folder/file")
        return f"\\\\{self.host}\\" + inside.replace("/", "\\")

    # listings ---------------------------------------------------------------------
    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder or share holds; a file gives itself."""
        path = self._strip_protocol(path)
        try:
            found = self._call_client(_scan, self._unc_path(path), repeat=True)
        except OSError:
            entry = self.info(path)
            if entry["type"] == "directory":
                raise
            entries = [entry]
        else:
            entries = [{**entry, "name": f"{path}/{entry['name']}"} for entry in found]
            if not is_built_in(self.info):
                entries = [self.info(entry["name"]) for entry in entries]
        return entries if detail else sorted(entry["name"] for entry in entries)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return _entry(self._call_client(smbclient.stat, self._unc_path(path), repeat=True), path)

    def created(self, path: str) -> datetime.datetime:
        return _utc_time(self._call_client(smbclient.stat, self._unc_path(path), repeat=True).st_ctime)

    def modified(self, path: str) -> datetime.datetime:
        return _utc_time(self._call_client(smbclient.stat, self._unc_path(path), repeat=True).st_mtime)

    # making, moving, removing -----------------------------------------------------
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        parent = self._parent(path)
        if create_parents and parent.strip("/").count("/"):
            self.makedirs(parent, exist_ok=True)
        self._call_client(smbclient.mkdir, self._unc_path(path))

    def rmdir(self, path: str) -> None:
        self._call_client(smbclient.rmdir, self._unc_path(path))

    def _rm(self, path: str) -> None:
        if self.isdir(path):
            self.rmdir(path)
        else:
            self._call_client(smbclient.remove, self._unc_path(path))

    def mv(
        self, path1: str, path2: str, recursive: bool | None = None, maxdepth: Depth = None, **kwargs: Any
    ) -> None:
        """Rename a file or folder on its share; nothing is copied."""
        self._call_client(smbclient.rename, self._unc_path(path1), self._unc_path(path2))

    @unless_patched
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one file, on the server. What was at ``path2`` is replaced once the copy is whole."""
        if self.isdir(path1):
            self.makedirs(path2, exist_ok=True)
            return
        link, part = self._server_link, self._unc_path(hidden_name(path2))
        try:
            self._call_client(smbclient.copyfile, self._unc_path(path1), part)
            self._call_client(smbclient.replace, part, self._unc_path(path2))
        except BaseException:  # an interrupt, too, leaves no part
            if is_mine(link):  # else the parent continues with it
                with suppress(OSError):
                    self._call_client(smbclient.remove, part)
            raise

    # contents ---------------------------------------------------------------------
    @default
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int = -1,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> SMBFileOpener | UpdatedFile:
        """A file object; ``share_access`` as for the filesystem."""
        temp = None
        if "+" in mode:
            mode = check_mode(path, mode, autocommit)
        if mode != "rb":
            if self.auto_mkdir and self._parent(path).strip("/").count("/"):
                self.makedirs(self._parent(path), exist_ok=True)
            if not autocommit:
                temp = hidden_name(path, self.temppath or self._parent(path))
        kwargs.setdefault("share_access", self.share_access or ("r" if mode == "rb" else None))
        if "+" in mode:
            return update(_SMBHandle(self, path, mode, kwargs["share_access"]), block_size)
        return SMBFileOpener(
            path, temp, mode, self._port, block_size or -1, fs=self, cache_options=cache_options, **kwargs
        )


def _scan(unc: str, **options: Any) -> list[dict[str, Any]]:
    entries = []
    for found in smbclient.scandir(unc, **options):
        smb_info = found.smb_info  # came with the name; to ask for more would be a request for each
        kind = "link" if found.is_symlink() else "directory" if found.is_dir() else "file"
        entries.append(
            {
                "name": found.name,
                "size": smb_info.end_of_file if kind == "file" else 0,
                "type": kind,
                "uid": 0,
                "gid": 0,
                "time": smb_info.last_access_time.timestamp(),
                "mtime": smb_info.last_write_time.timestamp(),
            }
        )
    return entries


_STATUS = {
    0xC000000F: errno.ENOENT,
    0xC0000034: errno.ENOENT,
    0xC000003A: errno.ENOENT,
    0xC00000CC: errno.ENOENT,  # no share of that name
    0xC0000022: errno.EACCES,
    0xC0000035: errno.EEXIST,
    0xC00000BA: errno.EISDIR,
    0xC0000101: errno.ENOTEMPTY,
    0xC0000103: errno.ENOTDIR,
    0xC000007F: errno.ENOSPC,
}


def _error_of(error: Exception, path: str) -> OSError:
    """The server's refusal as the error that Python has for it."""
    status = getattr(error, "ntstatus", getattr(error, "status", 0))
    number = getattr(error, "errno", None) or _STATUS.get(status)
    text = f"{os.strerror(number) if number else error} (refused by the SMB server)"
    if isinstance(error, smbprotocol.exceptions.SMBOSError):
        kind = type(OSError(number or 0, text))
        text = f"[NtStatus 0x{status:08x}] {text}"
        made = refusal(kind, smbprotocol.exceptions.SMBOSError, number or 0, text, path)
        made.ntstatus = status  # type: ignore[attr-defined]  # as in smbprotocol's errors
        return made
    return OSError(number, text, path) if number else OSError(f"{text}: {path!r}")


def _refusal_of(status: int, path: str) -> OSError:
    """The error that the server would answer with, for a request that is not made."""
    return _error_of(smbprotocol.exceptions.SMBOSError(status, path), path)


def _entry(status: smbclient.SMBStatResult, name: str) -> dict[str, Any]:
    return stat_entry(name, status, 0 if stat.S_ISDIR(status.st_mode) else status.st_size, float)


def _utc_time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)


class SMBFileOpener(SeekableWriting):
    """A file of a share, read by parts or written block by block; what is written can be sought.

    Parameters
    ----------
    path
        of the file.
    temp
        where it is written until `commit`; None if it appears at once.
    mode, port, block_size
        as of a filesystem; -1 for the default size.
    **kwargs
        ``fs``, the filesystem, and ``share_access``; the rest as of `AbstractBufferedFile`.
    """

    def __init__(
        self, path: str, temp: str | None, mode: str, port: int = 445, block_size: int = -1, **kwargs: Any
    ) -> None:
        self.temp = temp
        self.port = port
        self._raw_file: Any = None
        self._server_link: Any = None
        self._share_access = kwargs.pop("share_access", None)
        fs = kwargs.pop("fs")
        size = None if block_size is None or block_size < 0 else block_size
        super().__init__(fs, path, mode=mode, block_size=size, autocommit=temp is None, **kwargs)
        if mode == "rb":
            if (self._details or {}).get("type") == "directory":
                self.closed = True
                raise _refusal_of(NtStatus.STATUS_FILE_IS_A_DIRECTORY, fs._unc_path(path))
            return
        if temp is not None and mode == "xb" and fs._fsspec_is_taken(path):
            self.closed = True
            raise _refusal_of(NtStatus.STATUS_OBJECT_NAME_COLLISION, fs._unc_path(path))
        if temp is not None and mode == "ab":
            self.closed = True
            raise NotImplementedError(f"{path!r} cannot be appended to later: open it outside a transaction")
        try:
            self._open()
        except BaseException:  # there is nothing to close
            self.closed = True
            raise

    def __fspath__(self) -> str:
        return self.path

    def _open(self) -> None:
        """Open the file on the server, on the connection that the filesystem has now."""
        fs = self.fs
        hooks.check()
        link = fs._server_link
        with link.lock:
            self._raw_file = fs._call_client(
                smbclient.open_file,
                fs._unc_path(self.temp or self.path),
                mode="wb" if self.mode == "xb" and self.temp else self.mode,
                buffering=0,
                share_access=self._share_access,
                repeat=self.mode == "rb",
            )
            link.remotes[self._raw_file] = link.connections
            if self.mode == "ab":
                self.loc: int = self._raw_file.tell()
        self._server_link = link

    def _fetch_range(self, start: int, end: int) -> bytes:
        hooks.check()
        link = self.fs._server_link
        with link.lock:
            if not link.is_open(self._raw_file):  # another process's, or lost
                self._open()
            try:
                out: bytes = link.exclusive(partial(self._read_raw, start, end - start))
            except smbprotocol.exceptions.SMBException as error:
                link.forget(self._raw_file)
                raise ConnectionResetError(f"reading {self.path!r}: {error}") from error
        if len(out) < end - start:
            raise OSError(f"{self.path!r} ended {end - start - len(out)} bytes early; was it changed?")
        return out

    def _read_raw(self, start: int, length: int) -> bytes:
        out, got = bytearray(length), 0
        self._raw_file.seek(start)
        while got < length and (count := self._raw_file.readinto(memoryview(out)[got:])):
            got += count
        return bytes(memoryview(out)[:got])

    def _seek_handle(self, to: int) -> None:
        self._change_raw(lambda: self._raw_file.seek(to))

    def _truncate_handle(self, size: int) -> None:
        self._change_raw(lambda: self._raw_file.truncate(size))

    def _change_raw(self, change: Callable[[], object]) -> None:
        def request() -> None:
            if not self._server_link.is_open(self._raw_file):
                raise ConnectionResetError(f"the connection was lost while {self.path!r} was written")
            change()

        self._server_link.exclusive(request)

    def _upload_chunk(self, final: bool = False) -> None:
        """Write what ``buffer`` holds at the place where it belongs."""
        data, end = self.buffer.getvalue(), self.loc

        def change() -> None:
            view = memoryview(data)
            if view:
                self._written_end = max(self._written_end, end)
            while view:
                view = view[self._raw_file.write(view) or 0 :]
            if final:
                self._raw_file.close()
                self._server_link.forget(self._raw_file)

        try:
            self._change_raw(change)
        except BaseException as error:
            self.forced = True  # more would follow a gap
            self._remove_part()
            if isinstance(error, smbprotocol.exceptions.SMBException) and not isinstance(error, OSError):
                raise ConnectionResetError(f"writing {self.path!r}: {error}") from error
            raise

    def _remove_part(self) -> None:
        if is_mine(self):  # else it is the parent's, which continues with it
            self._server_link.close_file(self._raw_file)
            if self.mode != "ab":
                with suppress(*LOST):
                    self.fs._call_client(smbclient.remove, self.fs._unc_path(self.temp or self.path))

    def close(self) -> None:
        """Write what is left and close the file on the server."""
        try:
            super().close()
        finally:
            if self.mode == "rb" and self._server_link is not None:
                self._server_link.close_file(self._raw_file)

    def commit(self) -> None:
        """Give the file its name, replacing an existing one."""
        if self.temp is not None:
            self.close()
            fs = self.fs
            fs._call_client(smbclient.replace, fs._unc_path(self.temp), fs._unc_path(self.path))

    def discard(self) -> None:
        if self.temp is not None:
            with suppress(FileNotFoundError):
                self.fs._call_client(smbclient.remove, self.fs._unc_path(self.temp))


class _SMBHandle(Handle):
    fs: SMBFileSystem

    def __init__(self, fs: SMBFileSystem, path: str, mode: str, share_access: str | None) -> None:
        super().__init__(fs, path, mode)
        self._server_link = link = fs._server_link
        with link.lock:
            self.remote = fs._call_client(
                smbclient.open_file, fs._unc_path(path), mode=mode, buffering=0, share_access=share_access
            )
            link.remotes[self.remote] = link.connections

    def _run_operation(self, operation: Callable[[Any], T]) -> T:
        self._server_link.check_owner()

        def request() -> T:
            if not self._server_link.is_open(self.remote):
                raise ConnectionResetError(f"the connection was lost while {self.path!r} was open")
            try:
                return operation(self.remote)
            except smbprotocol.exceptions.SMBException as error:
                if isinstance(error, OSError):
                    raise
                self._server_link.forget(self.remote)
                raise ConnectionResetError(f"{self.path!r}: {error}") from error

        result: T = self._server_link.exclusive(request)
        return result

    def _get_size(self) -> int:
        size: int = self.fs.info(self.path)["size"]  # smbclient knows what it was when the file was opened
        return size
