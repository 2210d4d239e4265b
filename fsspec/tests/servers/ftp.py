"""pyftpdlib's FTP server in a process of its own, recording what its clients do.

    with FTPServer() as server:
        fsspec.filesystem("ftp", **server.options)
        server.connections   # [Connection(user="user", commands=["USER user", ...], ...), ...]

Its files are those of ``server.folder``.  It can be told to misbehave: `FTPServer.drop`,
`FTPServer.fault`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any

from fsspec.tests.servers.process import FolderServer, Process, race, serve

USER, PASSWORD = "user", "a secret"


@dataclass
class Connection:
    """One control connection."""

    number: int
    user: str | None = None
    """who logged in on it"""
    commands: list[str] = field(default_factory=list)
    """as they arrived, but for the password"""
    open: bool = True


@dataclass
class Fault:
    """What goes wrong."""

    unknown: tuple[str, ...] = ()
    """commands that the server does not know"""
    short: int | None = None
    """bytes after which a download ends as if it were whole"""
    broken: int | None = None
    """bytes after which the server hangs up in a download"""
    refuse: int | None = None
    """bytes after which the server hangs up in an upload"""
    replies: dict[str, str] = field(default_factory=dict)
    """what to answer to a command, instead of doing it"""
    cut: dict[str, str] = field(default_factory=dict)
    """the part of a reply to a command that is sent before the server hangs up"""
    silent: tuple[str, ...] = ()
    """commands that are never answered"""
    raced: str = ""
    """a folder that another makes; see `race`"""


class _Service:
    """The server, on a thread of its process."""

    def __init__(self, folder: str, tls: str, implicit: str = "") -> None:
        from pyftpdlib import handlers, servers
        from pyftpdlib.authorizers import DummyAuthorizer

        logging.disable(logging.CRITICAL)
        self.connections: list[Connection] = []
        self.since = 0
        self.fault_now = Fault()
        self.live: list[Any] = []
        self.hang_up = threading.Event()
        service = self

        class Data(handlers.TLS_DTPHandler if tls else handlers.DTPHandler):  # type: ignore[misc]
            def use_sendfile(self) -> bool:
                return False

            def handle_read_event(self) -> None:
                super().handle_read_event()
                limit = service.fault_now.refuse
                if limit is not None and self.tot_bytes_received > limit:
                    control = self.cmd_channel
                    self.close()
                    control.close()

            def push_with_producer(self, producer: Any) -> None:
                super().push_with_producer(_Limited(producer, service.fault_now, self))

        class Handler(handlers.TLS_FTPHandler if tls else handlers.FTPHandler):  # type: ignore[misc]
            dtp_handler = Data
            banner = "ready"

            def on_connect(self) -> None:
                self.note = Connection(len(service.connections))
                service.connections.append(self.note)
                service.live.append(self)
                if implicit:
                    self.secure_connection(self.get_ssl_context())

            def on_disconnect(self) -> None:
                self.note.open = False
                service.live.remove(self)

            def on_login(self, username: str) -> None:
                self.note.user = username

            def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
                self.note.commands.append("PASS" if cmd == "PASS" else line)
                fault = service.fault_now
                if cmd in fault.unknown:
                    self.respond("500 not understood")
                elif cmd in fault.replies:
                    self.respond(fault.replies[cmd])
                elif cmd in fault.cut:
                    self.push(fault.cut[cmd])
                    self.close_when_done()
                elif cmd not in fault.silent:
                    super().pre_process_command(line, cmd, arg)

            def ftp_MKD(self, path: str) -> Any:
                wanted = os.path.relpath(path, folder)
                return race(
                    folder, service.fault_now.raced, wanted, lambda: super(Handler, self).ftp_MKD(path)
                )

        self.authorizer = DummyAuthorizer()
        self.authorizer.add_user(USER, PASSWORD, folder, perm="elradfmwMT")
        Handler.authorizer = self.authorizer
        if tls:
            Handler.certfile = tls
        self.server = servers.FTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.server.ioloop.loop(0.01, False)
            if self.hang_up.is_set():
                for handler in list(self.live):
                    handler.close()
                self.hang_up.clear()

    def port(self) -> int:
        number: int = self.server.address[1]
        return number

    def drop(self) -> None:
        self.hang_up.set()
        while self.hang_up.is_set():
            threading.Event().wait(0.005)

    def fault(self, fault: Fault) -> None:
        self.fault_now = fault

    def permissions(self, letters: str) -> None:
        self.authorizer.user_table[USER]["perm"] = letters

    def record(self) -> list[Connection]:
        return self.connections[self.since :]

    def clear(self) -> None:
        self.fault_now = Fault()
        self.permissions("elradfmwMT")
        self.since = len(self.connections)


class _Limited:
    """A producer of data that ends early where the fault says so."""

    def __init__(self, producer: Any, fault: Fault, channel: Any) -> None:
        self.producer, self.fault, self.channel, self.given = producer, fault, channel, 0

    def more(self) -> bytes:
        data: bytes = self.producer.more()
        limit = self.fault.short if self.fault.broken is None else self.fault.broken
        if limit is not None and data and not isinstance(self.producer, str):
            left = limit - self.given
            if left <= 0 and self.fault.broken is not None:
                control = self.channel.cmd_channel
                self.channel.close()
                control.close()
            data = data[: max(0, left)]
        self.given += len(data)
        return data


class FTPServer(FolderServer):
    """An FTP server, from ``with`` to its end.

    Parameters
    ----------
    tls
        also AUTH TLS, with a certificate that only ``ca_file`` vouches for.
    implicit
        TLS from the first byte on.

    Attributes
    ----------
    folder
        where its files are.
    options
        storage options for a filesystem of it.
    """

    def __init__(self, tls: bool = False, implicit: bool = False) -> None:
        self.tls = tls or implicit
        self.implicit = implicit

    fault_type = Fault

    def __enter__(self) -> FTPServer:
        self._home = tempfile.mkdtemp(prefix="fsspec-ftp-")
        self.folder = os.path.join(self._home, "files")
        os.mkdir(self.folder)
        certificate = ""
        self.ca_file = os.path.join(self._home, "ca.pem")
        if self.tls:
            import trustme

            authority = trustme.CA()
            certificate = os.path.join(self._home, "server.pem")
            issued = authority.issue_cert("127.0.0.1", "localhost")
            issued.private_key_and_cert_chain_pem.write_to_path(certificate)
            authority.cert_pem.write_to_path(self.ca_file)
        self._process = Process(
            "fsspec.tests.servers.ftp", self.folder, certificate, "implicit" if self.implicit else ""
        )
        self.options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self._process.ask("port"),
            "username": USER,
            "password": PASSWORD,
            "timeout": 10,
        }
        if self.tls:
            self.options["tls"] = "tls" if self.implicit else True
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()
        shutil.rmtree(self._home)

    @property
    def commands(self) -> list[str]:
        """All commands on them."""
        return [command for connection in self.connections for command in connection.commands]

    def permissions(self, letters: str) -> None:
        """What the user may do, in the letters of pyftpdlib."""
        self._process.ask("permissions", letters)


if __name__ == "__main__":
    from fsspec.tests.servers.ftp import _Service as Service  # what it pickles is to have a proper name

    serve(int(sys.argv[1]), Service(*sys.argv[2:]))
