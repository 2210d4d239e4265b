"""An SFTP server in a process of its own, made of paramiko's; it records what its clients do.

    with SFTPServer() as server:
        fsspec.filesystem("sftp", **server.options)
        server.connections   # [Connection(user="user", requests=["stat /a", ...], ...), ...]

Its files are those of ``server.folder``. It can be told to misbehave: `SFTPServer.drop`,
`SFTPServer.fault`.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any

import paramiko
from paramiko import SFTP_OP_UNSUPPORTED, SFTP_PERMISSION_DENIED, SFTPAttributes
from paramiko import SFTPServer as _Protocol

from fsspec.tests.servers.process import FolderServer, Process, race, serve

USER, PASSWORD = "user", "a secret"


@dataclass
class Connection:
    """One SSH connection."""

    number: int
    user: str | None = None
    """who logged in on it"""
    requests: list[str] = field(default_factory=list)
    open: bool = True


@dataclass
class Fault:
    """What goes wrong."""

    short: int | None = None
    """where files end to those who read them, whatever their size"""
    broken: int | None = None
    """a read behind this offset makes the server hang up"""
    full: int | None = None
    """a write behind this offset fails"""
    refuse: int | None = None
    """a write behind this offset makes the server hang up"""
    no_posix_rename: bool = False
    no_fstat: bool = False
    """files cannot be asked by their handles"""
    denied: tuple[str, ...] = ()
    """requests that are not permitted, by their names"""
    raced: str = ""
    """a folder that another makes; see `race`"""


class _Login(paramiko.ServerInterface):
    def __init__(self, note: Connection) -> None:
        self.note = note

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        if (username, password) != (USER, PASSWORD):
            number: int = paramiko.AUTH_FAILED
            return number
        self.note.user = username
        number = paramiko.AUTH_SUCCESSFUL
        return number

    def check_channel_request(self, kind: str, chanid: int) -> int:
        number: int = paramiko.OPEN_SUCCEEDED
        return number


class _Handle(paramiko.SFTPHandle):
    def __init__(self, flags: int, files: _Files) -> None:
        super().__init__(flags)
        self.files = files

    def read(self, offset: int, length: int) -> Any:
        fault = self.files.service.fault_now
        if fault.broken is not None and offset + length > fault.broken:
            self.files.hang_up()
        if fault.short is not None:
            length = max(0, min(length, fault.short - offset))
        return super().read(offset, length) if length else paramiko.SFTP_EOF

    def write(self, offset: int, data: bytes) -> Any:
        fault = self.files.service.fault_now
        if fault.refuse is not None and offset + len(data) > fault.refuse:
            self.files.hang_up()
        if fault.full is not None and offset + len(data) > fault.full:
            return paramiko.SFTP_FAILURE
        return super().write(offset, data)

    def chattr(self, attr: Any) -> int:
        os.ftruncate(self.writefile.fileno(), attr.st_size)
        return int(paramiko.SFTP_OK)

    def stat(self) -> Any:
        if self.files.service.fault_now.no_fstat:
            return SFTP_OP_UNSUPPORTED
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    """The files of a folder, as one connection asks for them."""

    def __init__(self, server: _Login, *args: Any, service: _Service, transport: Any) -> None:
        super().__init__(server)
        self.note, self.service, self.transport = server.note, service, transport

    def hang_up(self) -> None:
        self.transport.close()
        raise EOFError

    def _do(self, name: str, work: Any, *paths: str) -> Any:
        self.note.requests.append(" ".join([name, *paths]))
        if name in self.service.fault_now.denied:
            return SFTP_PERMISSION_DENIED
        try:
            result = work(*(self.service.folder + self.canonicalize(p) for p in paths))
        except OSError as error:
            return _Protocol.convert_errno(error.errno)
        return paramiko.SFTP_OK if result is None else result

    def list_folder(self, path: str) -> Any:
        def work(real: str) -> Any:
            return [SFTPAttributes.from_stat(os.lstat(e.path), e.name) for e in os.scandir(real)]

        return self._do("list", work, path)

    def stat(self, path: str) -> Any:
        return self._do("stat", lambda p: SFTPAttributes.from_stat(os.stat(p)), path)

    def lstat(self, path: str) -> Any:
        return self._do("lstat", lambda p: SFTPAttributes.from_stat(os.lstat(p)), path)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        def work(real: str) -> Any:
            if os.path.isdir(real):
                raise PermissionError(1, "a folder")
            fd = os.open(real, flags, 0o666)
            mode = {os.O_RDONLY: "rb", os.O_WRONLY: "ab" if flags & os.O_APPEND else "wb"}
            file = os.fdopen(fd, mode.get(flags & os.O_ACCMODE, "r+b"))
            handle = _Handle(flags, self)
            handle.readfile = handle.writefile = file
            return handle

        return self._do("open", work, path)

    def remove(self, path: str) -> Any:
        return self._do("remove", os.remove, path)

    def rename(self, oldpath: str, newpath: str) -> Any:
        def work(old: str, new: str) -> None:
            if os.path.exists(new):
                raise FileExistsError(17, new)
            os.rename(old, new)

        return self._do("rename", work, oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        if self.service.fault_now.no_posix_rename:
            return SFTP_OP_UNSUPPORTED
        return self._do("posix_rename", os.replace, oldpath, newpath)

    def mkdir(self, path: str, attr: Any) -> Any:
        raced = self.service.fault_now.raced
        return race(self.service.folder, raced, path, lambda: self._do("mkdir", os.mkdir, path))

    def rmdir(self, path: str) -> Any:
        return self._do("rmdir", os.rmdir, path)


class _Service:
    """The server, on threads of its process."""

    def __init__(self, folder: str) -> None:
        logging.disable(logging.CRITICAL)
        self.folder = folder
        self.connections: list[Connection] = []
        self.transports: list[Any] = []
        self.since = 0
        self.fault_now = Fault()
        self.key = paramiko.ECDSAKey.generate()
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self.socket.accept()
            note = Connection(len(self.connections))
            self.connections.append(note)
            threading.Thread(target=self._run, args=(sock, note), daemon=True).start()

    def _run(self, sock: socket.socket, note: Connection) -> None:
        transport = paramiko.Transport(sock)
        transport.add_server_key(self.key)
        transport.set_subsystem_handler(
            "sftp", paramiko.SFTPServer, _Files, service=self, transport=transport
        )
        try:
            transport.start_server(server=_Login(note))
            self.transports.append(transport)
            transport.join()
        except (paramiko.SSHException, EOFError):
            pass
        finally:
            transport.close()
            note.open = False

    def address(self) -> tuple[int, str]:
        return self.socket.getsockname()[1], f"{self.key.get_name()} {self.key.get_base64()}"

    def drop(self) -> None:
        for transport in self.transports:
            transport.close()
            transport.join(5)
        self.transports.clear()

    def fault(self, fault: Fault) -> None:
        self.fault_now = fault

    def record(self) -> list[Connection]:
        return self.connections[self.since :]

    def clear(self) -> None:
        self.fault_now = Fault()
        self.since = len(self.connections)


class SFTPServer(FolderServer):
    """An SFTP server, from ``with`` to its end.

    Attributes
    ----------
    folder
        where its files are.
    options
        storage options for a filesystem of it.
    known_host
        its line for a file of known hosts.
    """

    fault_type = Fault

    def __enter__(self) -> SFTPServer:
        self._home = tempfile.mkdtemp(prefix="fsspec-sftp-")
        self.folder = os.path.join(self._home, "files")
        os.mkdir(self.folder)
        self._process = Process("fsspec.tests.servers.sftp", self.folder)
        port, key = self._process.ask("address")
        self.known_host = f"[127.0.0.1]:{port} {key}\n"
        self.options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "username": USER,
            "password": PASSWORD,
            "allow_agent": False,
            "look_for_keys": False,
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()
        shutil.rmtree(self._home)

    @property
    def requests(self) -> list[str]:
        """All requests on them."""
        return [request for connection in self.connections for request in connection.requests]


if __name__ == "__main__":
    from fsspec.tests.servers.sftp import _Service as Service  # what it pickles is to have a proper name

    serve(int(sys.argv[1]), Service(sys.argv[2]))
