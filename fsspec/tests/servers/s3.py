"""moto's S3 server in a process of its own, which ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("moto's server did not start: is moto[server] installed?")
        try:
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def options(address: str, **more: object) -> dict[str, object]:
    """Storage options of s3fs for a server at ``address``."""
    return {**CREDENTIALS, "endpoint_url": address, **more}
