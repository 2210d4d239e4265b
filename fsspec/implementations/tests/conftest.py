"""Fixtures that the tests of several backends use."""

import socket
from collections.abc import Iterator

import pytest

from fsspec.tests.servers.fixtures import *


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield s.getsockname()[1]  # bound, but nobody listens
