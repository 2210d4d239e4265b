"""Fixtures of pytest for the package, and for those who load this module as a plugin.

Instances are remembered by their class for the life of the process: `instance_caches` makes
each test begin with none, so that tests can run in any order.
"""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from fsspec._paths.urls import protocols_of
from fsspec.registry import filesystem
from fsspec.spec import AbstractFileSystem

_FTP = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer
folder, user, password = sys.argv[1:]
authorizer = DummyAuthorizer()
authorizer.add_user(user, password, folder, "elradfmwMT")
FTPHandler.authorizer = authorizer
try:
    server = ThreadedFTPServer(("127.0.0.1", 2121), FTPHandler)
except OSError:
    server = ThreadedFTPServer(("127.0.0.1", 0), FTPHandler)
print(server.socket.getsockname()[1], flush=True)
import threading
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
server.close_all()
"""


class InstanceCacheInspector:
    """What the classes of filesystems remember."""

    def clear(self) -> None:
        """Clear the instance caches of all classes."""
        for cls in _classes():
            cls._cache.clear()

    def gather_counts(self, *, omit_zero: bool = True) -> dict[str, int]:
        """How many instances are remembered, by protocol.

        Parameters
        ----------
        omit_zero
            leave out the protocols that have none.
        """
        counts: dict[str, int] = {}
        for cls in _classes():
            protocol = protocols_of(cls)[0]
            counts[protocol] = counts.get(protocol, 0) + len(cls._cache)
        return {protocol: n for protocol, n in counts.items() if n or not omit_zero}


def _classes() -> Iterator[Any]:
    """All classes of filesystems that are loaded, each once."""
    found: set[type] = set()
    left: deque[type] = deque([AbstractFileSystem])
    while left:
        cls = left.popleft()
        if cls not in found:
            found.add(cls)
            left.extend(cls.__subclasses__())
            yield cls


@pytest.fixture(autouse=True)
def instance_caches() -> Iterator[InstanceCacheInspector]:
    """The caches of instances, empty before the test and after it."""
    inspector = InstanceCacheInspector()
    inspector.clear()
    yield inspector
    inspector.clear()


@pytest.fixture
def m() -> Iterator[Any]:
    """The memory filesystem, empty before the test and after it."""
    fs = filesystem("memory")
    _empty(fs)
    yield fs
    _empty(fs)


def _empty(memory: Any) -> None:
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture
def ftp_writable(tmpdir: Any) -> Iterator[tuple[str, int, str, str]]:
    """An FTP server for ``tmpdir``: its host, port, and a user with a password who may write.

    It holds a file "out" of 50,000 bytes. The port is 2121, or another if that is taken.
    """
    pytest.importorskip("pyftpdlib")
    user, password = "user", "pass"
    (tmpdir / "out").write_binary(b"hello" * 10_000)
    with subprocess.Popen(
        [sys.executable, "-c", _FTP, str(tmpdir), user, password],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        port = process.stdout.readline()
        assert port, "the FTP server did not start"
        try:
            yield "localhost", int(port), user, password
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
