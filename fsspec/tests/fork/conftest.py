"""Servers and the starter of processes, one of each for a worker of pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

if not hasattr(os, "fork"):
    collect_ignore_glob = ["test_*.py"]  # there is nothing to try


@pytest.fixture(scope="session")
def places() -> Iterator[dict[str, str]]:
    """Where the servers are; see `fsspec.tests.fork.matrix.serving`."""
    pytest.importorskip("aiohttp")
    from fsspec.tests.fork.matrix import serving

    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def runner(places: dict[str, str]) -> Iterator[object]:
    """What runs a column of the matrix."""
    from fsspec.tests.fork.matrix import Runner

    with Runner(places) as made:
        yield made
