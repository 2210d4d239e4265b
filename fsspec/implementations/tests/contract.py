"""Fixtures of backends for the public contract tests."""

import pytest

import fsspec
import fsspec.tests.abstract as abstract
from fsspec.implementations.memory import MemoryFileSystem


class LocalFixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self):
        return fsspec.filesystem("file", auto_mkdir=True)

    @pytest.fixture
    def fs_path(self, tmp_path):
        path = tmp_path / "backend"
        path.mkdir()
        return path.as_posix()


class MemoryFixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self):
        fs = MemoryFileSystem()
        yield fs
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]

    @pytest.fixture
    def fs_path(self):
        return "/tests"

    @pytest.fixture
    def fs_join(self):
        return lambda *parts: "/".join(parts)


class DirFixtures(MemoryFixtures):
    @pytest.fixture
    def fs(self):
        memory = MemoryFileSystem()
        yield fsspec.filesystem("dir", path="/folder", fs=memory)
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]

    @pytest.fixture
    def fs_path(self):
        return "tests"


class WrapperFixtures(LocalFixtures):
    @pytest.fixture
    def fs(self):
        local = fsspec.filesystem("file", auto_mkdir=True)
        return fsspec.filesystem("asyncwrapper", fs=local, asynchronous=False)
