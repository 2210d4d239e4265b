"""impacket's SMB server in a process of its own, which ends with the one that started it.

with SMBServer() as server:
    fsspec.filesystem("smb", **server.options)
    server.connections   # [Connection(requests=12, open=True), ...]
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsspec.tests.servers.process import FolderServer, Process, race, serve

USER, PASSWORD = "user", "a secret"


@dataclass
class Connection:
    """One connection, from its beginning to its end."""

    requests: int = 0
    open: bool = True


def _create(service: _Service, number: Any, server: Any, packet: Any) -> Any:
    """impacket's, made to answer as Windows and Samba do.

    It says what was asked for in the place of what was done, and has a word of its own for
    a name that is not there.
    """
    from impacket.smb3structs import FILE_CREATE, FILE_DIRECTORY_FILE, SMB2Create
    from impacket.smbserver import SMB2Commands

    asked = SMB2Create(packet["Data"])
    path = asked["Buffer"][: asked["NameLength"]].decode("utf-16le").replace("\\", "/")
    made = asked["CreateOptions"] & FILE_DIRECTORY_FILE and asked["CreateDisposition"] == FILE_CREATE
    replies, packets, status = race(
        service.folder,
        service.raced if made else "",
        path,
        lambda: SMB2Commands.smb2Create(number, server, packet),
    )
    if status == 0:
        replies[0]["CreateAction"] = 1
    return replies, packets, 0xC0000034 if status == 0xC000000F else status


def _set_info(number: Any, server: Any, packet: Any) -> Any:
    """impacket's, made to cut files: it writes a zero where they are to end."""
    from impacket.smb import SMBSetFileEndOfFileInfo
    from impacket.smb3structs import SMB2_FILE_END_OF_FILE_INFO, SMB2SetInfo, SMB2SetInfo_Response
    from impacket.smbserver import SMB2Commands

    asked = SMB2SetInfo(packet["Data"])
    opened = server.getConnectionData(number)["OpenedFiles"].get(asked["FileID"].getData())
    if opened and asked["FileInfoClass"] == SMB2_FILE_END_OF_FILE_INFO:
        os.ftruncate(opened["FileHandle"], SMBSetFileEndOfFileInfo(asked["Buffer"])["EndOfFile"])
        return [SMB2SetInfo_Response()], None, 0
    return SMB2Commands.smb2SetInfo(number, server, packet)


class _Service:
    """The server, on a thread of its process."""

    def __init__(self, folder: str) -> None:
        from impacket import smb3structs as smb2
        from impacket.ntlm import compute_lmhash, compute_nthash
        from impacket.smbserver import SimpleSMBServer

        logging.disable(logging.CRITICAL)
        self.folder, self.raced = folder, ""
        server = SimpleSMBServer("127.0.0.1", 0)
        server.addShare("SHARE", folder)
        server.setSMB2Support(True)
        inner = server.getServer()
        inner.hookSmb2Command(smb2.SMB2_CREATE, partial(_create, self))
        inner.hookSmb2Command(smb2.SMB2_SET_INFO, _set_info)
        self.number = inner.server_address[1]
        self.connections: list[Connection] = []
        self.by_name: dict[str, Connection] = {}
        self._note(inner)
        server.addCredential(USER, 0, compute_lmhash(PASSWORD), compute_nthash(PASSWORD))
        self.server = server
        threading.Thread(target=server.start, daemon=True).start()

    def _note(self, server: Any) -> None:
        """Take note of what the server is asked, by the names that it gives connections."""
        add, process, remove = server.addConnection, server.processRequest, server.removeConnection

        def added(name: str, *address: Any) -> None:
            self.by_name[name] = Connection()
            self.connections.append(self.by_name[name])
            add(name, *address)

        def processed(name: str, packet: Any) -> Any:
            self.by_name[name].requests += 1
            return process(name, packet)

        def removed(name: str) -> None:
            self.by_name[name].open = False
            remove(name)

        server.addConnection, server.processRequest, server.removeConnection = added, processed, removed

    def port(self) -> int:
        number: int = self.number
        return number

    def record(self) -> list[Connection]:
        return self.connections

    def race(self, raced: str) -> None:
        self.raced = raced

    def clear(self) -> None:
        self.connections, self.raced = [], ""


class SMBServer(FolderServer):
    """A server with the share ``SHARE``, from ``with`` to its end; `folder` is what it shares."""

    def __enter__(self) -> SMBServer:
        self.folder = tempfile.mkdtemp(prefix="fsspec-smb-")
        self._process = Process("fsspec.tests.servers.smb", self.folder)
        port = self._process.ask("port")
        self.options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "username": USER,
            "password": PASSWORD,
            "encrypt": False,
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()
        shutil.rmtree(self.folder)

    def fault(self, raced: str) -> None:
        """Another makes the folder ``raced`` of the share from now on; see `race`."""
        self._process.ask("race", raced)


if __name__ == "__main__":
    from fsspec.tests.servers.smb import _Service as Service  # what it pickles is to have a proper name

    serve(int(sys.argv[1]), Service(os.path.realpath(sys.argv[2])))
