"""moto's S3 server in a process of its own, which ends with the one that started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.tests.servers.process import announced

_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""

CREDENTIALS = {"key": "testing", "secret": "testing"}


@contextmanager
def serve_s3() -> Iterator[str]:
    """The address of an S3 server on a free port of the loopback interface."""
    with announced(["-c", _PROGRAM], "moto[server]") as address:
        yield address


def options(address: str, **more: object) -> dict[str, object]:
    """Storage options of s3fs for a server at ``address``."""
    return {**CREDENTIALS, "endpoint_url": address, **more}
