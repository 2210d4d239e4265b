"""Fixtures of backends for the public contract tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fsspec
import fsspec.tests.abstract as abstract
from fsspec.implementations.memory import MemoryFileSystem

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem


class LocalFixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self) -> AbstractFileSystem:
        return fsspec.filesystem("file", auto_mkdir=True)

    @pytest.fixture
    def fs_path(self, tmp_path: Path) -> str:
        path = tmp_path / "backend"
        path.mkdir()
        return path.as_posix()


class MemoryFixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self) -> Iterator[AbstractFileSystem]:
        fs = MemoryFileSystem()
        yield fs
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]

    @pytest.fixture
    def fs_path(self) -> str:
        return "/tests"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)


class DirFixtures(MemoryFixtures):
    @pytest.fixture
    def fs(self) -> Iterator[AbstractFileSystem]:
        memory = MemoryFileSystem()
        yield fsspec.filesystem("dir", path="/folder", fs=memory)
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]

    @pytest.fixture
    def fs_path(self) -> str:
        return "tests"


class WrapperFixtures(LocalFixtures):
    @pytest.fixture
    def fs(self) -> AbstractFileSystem:
        local = fsspec.filesystem("file", auto_mkdir=True)
        return fsspec.filesystem("asyncwrapper", fs=local, asynchronous=False)
