"""impacket's SMB server in a process of its own, which ends with the one that started it."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from typing import Any

from fsspec.tests.servers.process import Process, serve

USER, PASSWORD = "user", "a secret"


def _create(number: Any, server: Any, packet: Any) -> Any:
    """impacket's, made to answer as Windows and Samba do.

    It says what was asked for in the place of what was done, and has a word of its own for
    a name that is not there.
    """
    from impacket.smbserver import SMB2Commands

    replies, packets, status = SMB2Commands.smb2Create(number, server, packet)
    if status == 0:
        replies[0]["CreateAction"] = 1
    return replies, packets, 0xC0000034 if status == 0xC000000F else status


class _Service:
    """The server, on a thread of its process."""

    def __init__(self, folder: str) -> None:
        from impacket import smb3structs as smb2
        from impacket.ntlm import compute_lmhash, compute_nthash
        from impacket.smbserver import SimpleSMBServer

        logging.disable(logging.CRITICAL)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.number = found.getsockname()[1]
        server = SimpleSMBServer("127.0.0.1", self.number)
        server.addShare("SHARE", folder)
        server.setSMB2Support(True)
        server.getServer().hookSmb2Command(smb2.SMB2_CREATE, _create)
        server.addCredential(USER, 0, compute_lmhash(PASSWORD), compute_nthash(PASSWORD))
        self.server = server
        threading.Thread(target=server.start, daemon=True).start()

    def port(self) -> int:
        return self.number


class SMBServer:
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
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()
        shutil.rmtree(self.folder)


if __name__ == "__main__":
    serve(int(sys.argv[1]), _Service(os.path.realpath(sys.argv[2])))
