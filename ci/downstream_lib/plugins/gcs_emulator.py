"""For pytest's ``-p``: an emulator of Google's storage, at the address that gcsfs's tests look for."""

from __future__ import annotations

import os

import pytest
from gcp_storage_emulator.server import create_server


def pytest_configure(config: pytest.Config) -> None:
    """Start the emulator, with nothing in it; it ends with the run."""
    server = create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    config.add_cleanup(server.stop)
    port = server._api._httpd.server_address[1]
    os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
