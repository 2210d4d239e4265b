"""The two servers, each a process of its own on a free port of HOST, an address of this machine.

    python -m demo_lib.servers s3 HOST
    python -m demo_lib.servers http HOST FOLDER

A server prints its address and serves until its standard input ends, that is, at the latest
when the process that started it is gone.
"""

from __future__ import annotations

import logging
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = "127.0.0.1"


def stay() -> None:
    """Return when standard input ends."""
    while sys.stdin.buffer.read(4096):
        pass


def serve_s3(host: str) -> None:
    """Moto's S3, in a thread of this process."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    print("http://%s:%d" % server.get_host_and_port(), flush=True)
    stay()


def serve_http(host: str, folder: str) -> None:
    """The files of a folder, with ranges, over aiohttp."""
    import asyncio

    from aiohttp import web

    async def main() -> None:
        app = web.Application()
        app.router.add_static("/", folder)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, host, 0)
        await site.start()
        print("http://%s:%d" % (host, runner.addresses[0][1]), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, stay)
        await runner.cleanup()

    asyncio.run(main())


def isolate() -> None:
    """Keep the user's AWS profile and proxies out of it: all traffic is for the demonstration's servers."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_S3"))]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="*",
        no_proxy="*",
    )


@contextmanager
def running(*arguments: str, limit: float = 60.0) -> Iterator[str]:
    """A server of this module, started; gives its address and ends it afterwards.

    Raises
    ------
    RuntimeError
        it did not say an address within ``limit`` seconds.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "demo_lib.servers", *arguments],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the conductor, who ends us
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            said = b""
            deadline = time.monotonic() + limit
            while not said.endswith(b"\n"):
                left = deadline - time.monotonic()
                more = os.read(process.stdout.fileno(), 4096) if selector.select(max(left, 0)) else b""
                if not more:
                    raise RuntimeError(f"the server {' '.join(arguments)} did not start")
                said += more
        yield said.decode().strip()
    finally:
        process.stdin.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    if sys.argv[1] == "s3":
        serve_s3(sys.argv[2])
    else:
        serve_http(*sys.argv[2:])
