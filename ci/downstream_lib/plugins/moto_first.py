"""For pytest's ``-p``: moto at the port where dask's tests start it, which wait no longer than 8 seconds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

PORT = "5555"


def pytest_configure(config: pytest.Config) -> None:
    """Start it and wait until it answers; it ends with the run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", PORT],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    )

    def stop() -> None:
        process.terminate()
        process.wait()

    config.add_cleanup(stop)
    end = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/").close()
            return
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("moto did not start") from None
            time.sleep(0.2)
