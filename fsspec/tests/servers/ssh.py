"""An SSH server for sshfs, made of asyncssh's, in a process that ends with the one that started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.tests.servers.process import announced

_PROGRAM = """
import asyncio, os, sys, threading
import asyncssh

class Open(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False

async def main():
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Open,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=sys.argv[1]),
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

def end():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end, daemon=True).start()
asyncio.run(main())
"""


@contextmanager
def serve_ssh(folder: str) -> Iterator[int]:
    """The port of a server on the loopback interface that lets anyone in, to the files of a folder."""
    with announced(["-c", _PROGRAM, folder], "asyncssh") as port:
        yield int(port)
