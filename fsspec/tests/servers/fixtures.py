"""Pytest fixtures of the servers; import those that a test module uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fsspec.tests.servers.http import HTTPServer


@pytest.fixture(scope="session")
def _http_process() -> Iterator[HTTPServer]:
    with HTTPServer() as server:
        yield server


@pytest.fixture(scope="session")
def _https_process() -> Iterator[HTTPServer]:
    with HTTPServer(tls=True) as server:
        yield server


@pytest.fixture
def http_server(_http_process: HTTPServer) -> Iterator[HTTPServer]:
    """An empty HTTP server in a process of its own."""
    _http_process.clear(everything=True)
    yield _http_process


@pytest.fixture
def https_server(_https_process: HTTPServer) -> Iterator[HTTPServer]:
    """An empty HTTPS server in a process of its own."""
    _https_process.clear(everything=True)
    yield _https_process
