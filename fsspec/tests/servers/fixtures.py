"""Pytest fixtures of the servers, for a ``conftest`` to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fsspec.tests.servers.http import HTTPServer

__all__ = ["http_process", "http_server", "https_process", "https_server"]


def _serve(tls: bool) -> Iterator[HTTPServer]:
    pytest.importorskip("aiohttp")
    if tls:
        pytest.importorskip("trustme")
    from fsspec.tests.servers.http import HTTPServer

    with HTTPServer(tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def http_process() -> Iterator[HTTPServer]:
    """An HTTP server in a process of its own, for all tests of a worker."""
    yield from _serve(tls=False)


@pytest.fixture(scope="session")
def https_process() -> Iterator[HTTPServer]:
    """An HTTPS server in a process of its own, for all tests of a worker."""
    yield from _serve(tls=True)


@pytest.fixture
def http_server(http_process: HTTPServer) -> HTTPServer:
    """An HTTP server, empty and with nothing on record."""
    http_process.clear(everything=True)
    return http_process


@pytest.fixture
def https_server(https_process: HTTPServer) -> HTTPServer:
    """An HTTPS server, empty and with nothing on record."""
    https_process.clear(everything=True)
    return https_process
