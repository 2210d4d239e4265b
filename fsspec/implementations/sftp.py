"""Files of SFTP servers, by paramiko.

An instance has one connection, an `SFTPLink`, on which its operations follow each other. Parts
of files are read and written with many packets under way. In a forked child an instance
reconnects; see `_remote.sftp_link`.
"""

from __future__ import annotations

import datetime
import errno
import logging
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn, cast

import paramiko

from fsspec._fork.owned import CheckedAttribute, finalize, is_mine
from fsspec._overriding import default, is_built_in, unless_patched, unlike_base
from fsspec._paths.paths import hidden_name
from fsspec.callbacks import Callback, for_file
from fsspec.implementations._remote.server import ServerFileSystem, stat_entry
from fsspec.implementations._remote.sftp_link import LOST, SFTPLink, log_in, receive, send, size_by_handle
from fsspec.implementations._remote.writing import Handle, SeekableWriting, UpdatedFile, check_mode, update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from fsspec._paths.types import BinaryWriter, Options, Progress, StrPath, T
    from fsspec.implementations._remote.server import Send


logger: logging.Logger = logging.getLogger("fsspec.sftp")

__all__ = ["HOST_KEY_POLICIES", "SFTPFileSystem", "commit_a_file", "discard_a_file"]

HOST_KEY_POLICIES: dict[str, Any] = {
    "auto_add": paramiko.AutoAddPolicy,
    "reject": paramiko.RejectPolicy,
    "warning": paramiko.WarningPolicy,
}
"""What to do about a server whose key is not among the known hosts."""

BLOCK = 2**21  # bytes of a whole file that are asked for at a time


class SFTPFileSystem(ServerFileSystem):
    """Files of an SFTP server.

    Parameters
    ----------
    host
        the server.
    **ssh_kwargs
        for `paramiko.SSHClient.connect` (``port``, ``username``, ``password``, ``pkey``,
        ``timeout``, ...); the timeout is also that of each answer. Beside them

        ``host_key_policy``
            a name in `HOST_KEY_POLICIES` or a `paramiko.MissingHostKeyPolicy`, by default
            "auto_add". A server whose key is another than the known one is refused in any
            case.
        ``temppath``
            folder on the server for files that are not to appear yet; by default that of
            the file itself.
    """

    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "sftp", "ssh"
    _server_link: CheckedAttribute[SFTPLink] = CheckedAttribute()

    def __init__(self, host: str, **ssh_kwargs: Any) -> None:
        super().__init__(**ssh_kwargs)
        policy = ssh_kwargs.pop("host_key_policy", "auto_add")
        if not isinstance(policy, paramiko.MissingHostKeyPolicy) and policy not in HOST_KEY_POLICIES:
            known = ", ".join(HOST_KEY_POLICIES)
            raise ValueError(f"host_key_policy={policy!r} is none of {known}, nor a MissingHostKeyPolicy")
        self.host_key_policy = policy
        self.temppath: str | None = ssh_kwargs.pop("temppath", None)
        for name in ("use_listings_cache", "listings_expiry_time", "max_paths"):
            ssh_kwargs.pop(name, None)
        self.host = host
        self.ssh_kwargs = ssh_kwargs
        self._server_link = SFTPLink(self, ssh_kwargs.get("timeout"), host)
        finalize(self, self._server_link.close)
        self._server_link.refresh()

    def _connect(self) -> None:
        """Set ``client`` to a new client that is logged in, and ``ftp`` to its session. Called in each
        process, and where the connection was lost; for derived classes to override."""
        policy = self.host_key_policy
        made = policy if isinstance(policy, paramiko.MissingHostKeyPolicy) else HOST_KEY_POLICIES[policy]()
        self.client = client = log_in(self.host, self.ssh_kwargs, made)
        self.ftp = client.open_sftp()

    @property
    def client(self) -> paramiko.SSHClient:
        """The connected `paramiko.SSHClient`."""
        return self._server_link.get("client")

    @client.setter
    def client(self, client: paramiko.SSHClient) -> None:
        self._server_link.put("client", client)

    @property
    def ftp(self) -> paramiko.SFTPClient:
        """The `paramiko.SFTPClient` of `client`."""
        return self._server_link.get("sftp")

    @ftp.setter
    def ftp(self, session: paramiko.SFTPClient) -> None:
        self._server_link.put("sftp", session)

    # refusals ---------------------------------------------------------------------
    def _run_operation(
        self, path: str, name: str, *args: Any, making: bool = False, repeat: bool = False
    ) -> Any:
        """A request about a path; what the server refuses names it."""
        try:
            return self._server_link.run(lambda sftp: getattr(sftp, name)(*args), repeat)
        except OSError as error:
            self._raise_refused(error, path, making)

    def _raise_refused(self, error: OSError, path: str, making: bool = False) -> NoReturn:
        """Raise the error that a refusal means; after one without a reason ("Failure") ask what is at the
        path. A lost connection is not a refusal, and its error is raised as it is."""
        if isinstance(error, (ConnectionError, TimeoutError)):
            raise error
        text = f"refused by the SFTP server: {error.strerror or error}"
        if error.errno is not None:
            if making and error.errno == errno.EACCES and self.isdir(path):
                raise IsADirectoryError(errno.EISDIR, text, path) from None
            raise OSError(error.errno, text, path) from None
        if making and self.exists(path):
            kind: int = errno.EISDIR if self.isdir(path) else errno.EEXIST
            raise OSError(kind, text, path) from None
        if making and not self.exists(self._parent(path)):
            raise FileNotFoundError(errno.ENOENT, text, path) from None
        raise OSError(f"{text} ({path!r})") from None

    # listings ---------------------------------------------------------------------
    def ls(self, path: str, detail: bool = False) -> list[Any]:
        """What a folder holds; a file gives itself. One request and one for each hundred entries or so."""
        path = self._strip_protocol(path)
        try:
            found = self._run_operation(path, "listdir_attr", path or ".", repeat=True)
        except (ConnectionError, TimeoutError):
            raise
        except OSError:
            entry = self.info(path)
            if entry["type"] == "directory":
                raise
            entries = [entry]
        else:
            start = path.rstrip("/") + "/" if path else ""
            entries = [_entry(attr, start + attr.filename) for attr in found if "/" not in attr.filename]
        return entries if detail else sorted(entry["name"] for entry in entries)

    def info(self, path: str) -> dict[str, Any]:
        """The entry of a path, one request; links are followed."""
        path = self._strip_protocol(path)
        return _entry(self._run_operation(path, "stat", path or ".", repeat=True), path)

    @unless_patched
    def lexists(self, path: str, **kwargs: Any) -> bool:
        path = self._strip_protocol(path)
        try:
            self._run_operation(path, "lstat", path or ".", repeat=True)
        except FileNotFoundError:
            return False
        return True

    def created(self, path: str) -> datetime.datetime:
        """When a file was last read: SFTP knows nothing closer to its making."""
        return cast("datetime.datetime", self.info(path)["time"])

    def modified(self, path: str) -> datetime.datetime:
        return cast("datetime.datetime", self.info(path)["mtime"])

    # making, moving, removing -----------------------------------------------------
    @unlike_base
    def mkdir(self, path: str, create_parents: bool = True, mode: int = 0o777) -> None:
        path = self._strip_protocol(path)
        try:
            try:
                self._run_operation(path, "mkdir", path, mode, making=True)
            except FileNotFoundError:
                parent = self._parent(path)
                if not create_parents or parent in (path, ""):
                    raise
                how: Options = {"mode": mode} if is_built_in(self.makedirs) else {}
                self.makedirs(parent, exist_ok=True, **how)
                self._run_operation(path, "mkdir", path, mode, making=True)
        except IsADirectoryError as error:
            raise FileExistsError(errno.EEXIST, error.strerror, path) from None

    def makedirs(self, path: str, exist_ok: bool = False, mode: int = 0o777) -> None:
        self._make_folders(path, exist_ok, mode=mode)

    def rmdir(self, path: str) -> None:
        path = self._strip_protocol(path)
        self._run_operation(path, "rmdir", path)

    def _rm(self, path: str) -> None:
        path = self._strip_protocol(path)
        if not (is_built_in(self.isdir) and is_built_in(self.info)) and self.isdir(path):
            self.rmdir(path)
            return
        try:
            self._run_operation(path, "remove", path)
        except FileNotFoundError:
            raise
        except OSError:
            if not self.isdir(path):
                raise
            self.rmdir(path)

    @unlike_base
    def mv(self, old: str, new: str, **kwargs: Any) -> None:
        """Rename a file or folder on the server, over an existing one; nothing is copied."""
        old, new = self._strip_protocol(old), self._strip_protocol(new)
        if old == new:
            return
        try:
            self._server_link.run(lambda sftp: sftp.posix_rename(old, new))
        except (ConnectionError, TimeoutError):
            raise
        except FileNotFoundError as error:
            self._raise_refused(error, new if self.lexists(old) else old)
        except OSError as error:
            if "unsupported" not in str(error).lower():
                self._raise_refused(error, new, making=True)
            # a server without this extension of OpenSSH's
            if not self.lexists(old):
                raise FileNotFoundError(errno.ENOENT, "there is nothing to be moved", old) from None
            if self.isfile(new):
                self.rm_file(new)  # the protocol's own renaming is never over a file
            self._run_operation(new, "rename", old, new, making=True)

    # contents ---------------------------------------------------------------------
    @default
    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any
    ) -> SFTPFile | UpdatedFile:
        if "+" in mode:
            mode = check_mode(path, mode, kwargs.get("autocommit", True))
            return update(_SFTPHandle(self, path, mode), block_size)
        return SFTPFile(self, path, mode=mode, block_size=block_size, **kwargs)

    @unless_patched
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        if kwargs.get("compression") or not self._fsspec_opens_itself:
            return super().cat_file(path, start, end, **kwargs)
        with _Reader(self, self._strip_protocol(path)) as reader:
            begin, stop, _ = slice(start, end).indices(reader.size)
            return b"".join(reader.read(at, min(stop, at + BLOCK)) for at in range(begin, stop, BLOCK))

    @contextmanager
    def _sending_to(self, path: str) -> Iterator[Send]:
        with _Reader(self, path) as reader:
            yield reader.copy_to

    def _fsspec_open_upload(self, path: str, kwargs: Options) -> AbstractContextManager[IO[Any]]:
        if kwargs or self._intrans or self._fsspec_opens_itself:
            return super()._fsspec_open_upload(path, kwargs)
        plain: Any = SFTPFile(self, self._strip_protocol(path), "wb")  # `get_file` asks no `_open` either
        return cast("IO[Any]", plain)

    def put_file(self, lpath: StrPath, rpath: str, callback: Progress = None, **kwargs: Any) -> None:
        """Upload a file; for a folder only a folder is made."""
        super().put_file(lpath, rpath, callback=for_file(callback, rpath), **kwargs)


def _entry(attr: paramiko.SFTPAttributes, name: str) -> dict[str, Any]:
    return stat_entry(name, attr, attr.st_size, _utc_time)


def _utc_time(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)


class _Reader:
    """A remote file that is read, opened again if the connection was replaced."""

    def __init__(self, fs: SFTPFileSystem, path: str, size: int | None = None) -> None:
        self.fs, self.path = fs, path
        self.link = fs._server_link
        self._session: Any = None
        self._remote_file: Any = None
        self.size: int = self._run(self._ask_size) if size is None else size

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        remote, self._remote_file = self._remote_file, None
        if remote is not None:
            self.link.close_file(remote)

    def _run(self, operation: Callable[[paramiko.SFTPFile], T]) -> T:
        if self.link is not self.fs._server_link:  # this process's own, if it was forked
            self.link, self._session = self.fs._server_link, None

        def with_remote(sftp: paramiko.SFTPClient) -> T:
            if self._session is not sftp:
                self.close()
                self._remote_file = self.link.open(sftp, self.path, "rb")
                self._session = sftp
            return operation(self._remote_file)

        try:
            return self.link.run(with_remote, repeat=True)
        except EOFError:
            raise OSError(f"{self.path!r} ended early on the SFTP server; it may have been changed") from None
        except OSError as error:
            self.fs._raise_refused(error, self.path, making=self._session is None)

    def _ask_size(self, remote: paramiko.SFTPFile) -> int:
        size = size_by_handle(remote)
        if size is None:  # the server has no fstat, or gives no size there
            size = self._session.stat(self.path).st_size
        if size is None:
            raise OSError(f"the SFTP server does not tell the size of {self.path!r}: give size= to open()")
        return size

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``, all of which the file has."""
        if end <= start:
            return b""
        try:
            data: bytes = self._run(lambda remote: receive(self._session, remote, start, end - start))
        except OSError:
            self._session = None  # what is under way on it is not to be mistaken for what is asked next
            raise
        if len(data) < end - start:
            self._session = None
            lacking = end - start - len(data)
            raise OSError(f"{self.path!r} ended {lacking} bytes early on the SFTP server; was it changed?")
        return data

    def copy_to(self, target: BinaryWriter, callback: Callback) -> None:
        callback.set_size(self.size)
        for at in range(0, self.size, BLOCK):
            data = self.read(at, min(self.size, at + BLOCK))
            target.write(data)
            callback.relative_update(len(data))
            self.link.check_owner()


class SFTPFile(SeekableWriting):
    """A file of an SFTP server, read by parts or written block by block; what is written can be sought.

    With ``autocommit=False`` it is written under another name, in ``temppath`` of the
    filesystem or beside its target, and `commit` gives it its own.
    """

    DEFAULT_BLOCK_SIZE: ClassVar[int] = 2**17

    def __init__(
        self,
        fs: SFTPFileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._ahead_reader: Any = None
        self._remote_file: Any = None
        if mode == "rb":
            self._ahead_reader = _Reader(fs, path, size)
            size = self._ahead_reader.size
        elif block_size is None:
            block_size = BLOCK
        super().__init__(
            fs, path, mode=mode, block_size=block_size, autocommit=autocommit, size=size, **kwargs
        )
        if mode == "rb":
            return
        self.temppath: str = path
        self.targetpath = path
        self._held_parts: list[bytes] | None = None
        if not autocommit and mode == "ab":
            self._held_parts = []  # there is no other name to append to: it goes out by commit
        elif not autocommit:
            self.temppath = hidden_name(path, fs._parent(path) if fs.temppath is None else fs.temppath)
        if mode == "xb" and not autocommit and fs._fsspec_is_taken(path):
            self.closed = True
            raise FileExistsError(errno.EEXIST, "the file exists", path)
        if self._held_parts is None:
            self._begin_file("xb" if mode == "xb" and autocommit else "ab" if mode == "ab" else "wb")

    def _begin_file(self, mode: str) -> None:
        link = self.fs._server_link
        path = self.temppath
        try:
            self._remote_file = link.run(lambda sftp: link.open(sftp, path, "wx" if mode == "xb" else mode))
        except OSError as error:
            self.closed = True
            self.fs._raise_refused(error, path, making=True)
        self._session = link.sftp
        if mode == "ab":
            self.loc: int = self._remote_file.tell()

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Bytes ``start`` up to ``end``: a packet for each 32 kB, all under way at once."""
        return cast("bytes", self._ahead_reader.read(start, end))

    def _seek_handle(self, to: int) -> None:
        self._change_remote(lambda sftp: self._remote_file.seek(to))

    def _truncate_handle(self, size: int) -> None:
        self._change_remote(lambda sftp: self._remote_file.truncate(size))

    def _upload_chunk(self, final: bool = False) -> None:
        """Write what ``buffer`` holds at the place where it belongs; then all of it is stored."""
        data = self.buffer.getvalue()
        if self._held_parts is not None:
            self._held_parts.append(data)
            return
        try:
            if data:
                self._change_remote(lambda sftp: send(self._remote_file, data))
                self._written_end = max(self._written_end, (self.offset or 0) + len(data))
            if final:
                self._finish_remote(self._written_end)
        except BaseException:
            self.forced = True  # more would follow a gap
            self._remove_part()
            raise

    def _change_remote(self, change: Callable[[paramiko.SFTPClient], object]) -> None:
        """Change the remote file, on the connection on which it was opened."""

        def operation(sftp: paramiko.SFTPClient) -> None:
            if sftp is not self._session:
                raise ConnectionResetError(f"the connection was lost while {self.targetpath!r} was written")
            change(sftp)

        try:
            self.fs._server_link.run(operation)
        except (ConnectionError, TimeoutError) as error:
            if self.targetpath in str(error):
                raise
            raise type(error)(f"{self.targetpath!r}: {error}") from error
        except OSError as error:
            self.fs._raise_refused(error, self.targetpath)

    def _finish_remote(self, written: int) -> None:
        link = self.fs._server_link
        appended = self.mode == "ab"

        def operation(sftp: paramiko.SFTPClient) -> int | None:
            if sftp is not self._session:
                raise ConnectionResetError(f"the connection was lost while {self.targetpath!r} was written")
            link.forget(self._remote_file)
            self._remote_file.close()
            return written if appended else sftp.stat(self.temppath).st_size

        there = link.run(operation)
        if there != written:
            raise OSError(f"of {written} bytes of {self.targetpath!r} {there} are on the SFTP server")

    def _remove_part(self) -> None:
        if self.mode != "ab" and is_mine(self):
            with suppress(*LOST):  # the failure itself is what the caller has to know of
                self.fs._server_link.run(lambda sftp: sftp.remove(self.temppath))

    def close(self) -> None:
        """Send what is left and finish."""
        try:
            super().close()
        finally:
            if self._ahead_reader is not None:
                self._ahead_reader.close()

    def commit(self) -> None:
        self.close()
        commit_a_file(self)

    def discard(self) -> None:
        if self.mode != "rb" and (self._held_parts is not None or self.temppath != self.targetpath):
            self.closed = True  # no more of it is sent
            self.fs._server_link.close_file(self._remote_file)
        discard_a_file(self)


class _SFTPHandle(Handle):
    fs: SFTPFileSystem
    _server_link: SFTPLink

    def __init__(self, fs: SFTPFileSystem, path: str, mode: str) -> None:
        super().__init__(fs, path, mode)
        self._server_link = link = fs._server_link
        try:
            self.remote = link.run(lambda sftp: link.open(sftp, path, mode.replace("x", "wx")))
        except OSError as error:
            fs._raise_refused(error, path, making=True)
        self._session = link.sftp

    def _run_operation(self, operation: Callable[[Any], T]) -> T:
        def with_remote(sftp: paramiko.SFTPClient) -> T:
            if sftp is not self._session:
                raise ConnectionResetError(f"the connection was lost while {self.path!r} was open")
            return operation(self.remote)

        try:
            return self._server_link.run(with_remote)
        except OSError as error:
            self.fs._raise_refused(error, self.path)

    def _get_size(self) -> int:
        size = self._run_operation(size_by_handle)
        return size if size is not None else cast("int", self.fs.info(self.path)["size"])


def commit_a_file(self: Any) -> None:
    """Give a file that was written with ``autocommit=False`` its name."""
    if getattr(self, "_held_parts", None) is not None:
        held, self._held_parts = self._held_parts, []
        with self.fs.open(self.targetpath, "ab", autocommit=True) as f:
            f.write(b"".join(held))
    elif self.temppath != self.targetpath:
        self.fs.mv(self.temppath, self.targetpath)


def discard_a_file(self: Any) -> None:
    """Remove a file that was written with ``autocommit=False``."""
    if getattr(self, "_held_parts", None) is not None:
        self._held_parts = []
    elif self.temppath != self.targetpath:
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.temppath)
