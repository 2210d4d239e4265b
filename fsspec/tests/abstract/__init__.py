"""What a backend has to fulfil, as classes of tests for its authors to subclass.

A backend gives its fixtures once, in a class derived from `AbstractFixtures`, and combines
it with each class of tests::

    import fsspec.tests.abstract as abstract

    class MyFixtures(abstract.AbstractFixtures):
        @pytest.fixture
        def fs(self):
            return MyFileSystem()

        @pytest.fixture
        def fs_path(self):
            return "bucket/tests"

    class TestCopy(abstract.AbstractCopyTests, MyFixtures):
        pass

    class TestForks(abstract.AbstractForkTests, MyFixtures):
        pass

The trees that tests copy are made new for each test below ``fs_path``, and removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Any

import pytest

_MODULES = ("common", "copy", "fork", "get", "mv", "open", "pipe", "put", "read")
# before they are imported: what a test of a backend found is then told, as in the backend's own tests
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _MODULES))

from fsspec.implementations.local import LocalFileSystem, make_path_posix
from fsspec.tests.abstract.common import FEW, GLOBBED, TREE, make_files, remove, removed
from fsspec.tests.abstract.copy import AbstractCopyTests as AbstractCopyTests
from fsspec.tests.abstract.fork import AbstractForkTests as AbstractForkTests
from fsspec.tests.abstract.get import AbstractGetTests as AbstractGetTests
from fsspec.tests.abstract.mv import AbstractMoveTests as AbstractMoveTests
from fsspec.tests.abstract.open import AbstractOpenTests as AbstractOpenTests
from fsspec.tests.abstract.pipe import AbstractPipeTests as AbstractPipeTests
from fsspec.tests.abstract.put import AbstractPutTests as AbstractPutTests
from fsspec.tests.abstract.read import AbstractReadTests as AbstractReadTests

Join = Callable[..., str]

HASHED = [md5(str(i).encode(), usedforsecurity=False).hexdigest() + ".txt" for i in range(10)]
"""Names whose order tells nothing."""


class BaseAbstractFixtures:
    """The trees of the tests, on the backend and on this machine.

    Each fixture calls the helper of its name, which makes the tree on any filesystem and returns
    its folder; a backend may override either.
    """

    def _bulk_operations_scenario_0(self, some_fs: Any, some_join: Join, some_path: str) -> str:
        return _tree(some_fs, some_join, some_path, TREE)

    def _glob_edge_cases_files(self, some_fs: Any, some_join: Join, some_path: str) -> str:
        return _tree(some_fs, some_join, some_path, GLOBBED)

    def _dir_and_file_with_same_name_prefix(self, some_fs: Any, some_join: Join, some_path: str) -> str:
        return _tree(some_fs, some_join, some_path, FEW)

    def _10_files_with_hashed_names(self, some_fs: Any, some_join: Join, some_path: str) -> str:
        return _tree(some_fs, some_join, some_path, HASHED)

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, fs: Any, fs_join: Join, fs_path: str) -> Iterator[str]:
        """A folder of two files, and two levels of folders below it; see ``common.TREE``."""
        yield from _removing(fs, self._bulk_operations_scenario_0(fs, fs_join, fs_path))

    @pytest.fixture
    def fs_glob_edge_cases_files(self, fs: Any, fs_join: Join, fs_path: str) -> Iterator[str]:
        """A folder for patterns; see ``common.GLOBBED``."""
        yield from _removing(fs, self._glob_edge_cases_files(fs, fs_join, fs_path))

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, fs: Any, fs_join: Join, fs_path: str) -> Iterator[str]:
        """A folder, and beside it a file whose name begins as the folder's does."""
        yield from _removing(fs, self._dir_and_file_with_same_name_prefix(fs, fs_join, fs_path))

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, fs: Any, fs_join: Join, fs_path: str) -> Iterator[str]:
        """Ten files, each with its own name as its content."""
        yield from _removing(fs, self._10_files_with_hashed_names(fs, fs_join, fs_path))

    @pytest.fixture
    def fs_target(self, fs: Any, fs_join: Join, fs_path: str) -> Iterator[str]:
        """The name of a folder that is not there yet."""
        with removed(fs, fs_join(fs_path, "target")) as target:
            yield target

    @pytest.fixture
    def local_bulk_operations_scenario_0(
        self, local_fs: Any, local_join: Join, local_path: str
    ) -> Iterator[str]:
        """As `fs_bulk_operations_scenario_0`, on this machine."""
        yield from _removing(local_fs, self._bulk_operations_scenario_0(local_fs, local_join, local_path))

    @pytest.fixture
    def local_glob_edge_cases_files(self, local_fs: Any, local_join: Join, local_path: str) -> Iterator[str]:
        """As `fs_glob_edge_cases_files`, on this machine."""
        yield from _removing(local_fs, self._glob_edge_cases_files(local_fs, local_join, local_path))

    @pytest.fixture
    def local_dir_and_file_with_same_name_prefix(
        self, local_fs: Any, local_join: Join, local_path: str
    ) -> Iterator[str]:
        """As `fs_dir_and_file_with_same_name_prefix`, on this machine."""
        yield from _removing(
            local_fs, self._dir_and_file_with_same_name_prefix(local_fs, local_join, local_path)
        )

    @pytest.fixture
    def local_10_files_with_hashed_names(
        self, local_fs: Any, local_join: Join, local_path: str
    ) -> Iterator[str]:
        """As `fs_10_files_with_hashed_names`, on this machine."""
        yield from _removing(local_fs, self._10_files_with_hashed_names(local_fs, local_join, local_path))

    @pytest.fixture
    def local_target(self, local_fs: Any, local_join: Join, local_path: str) -> Iterator[str]:
        """As `fs_target`, on this machine."""
        with removed(local_fs, local_join(local_path, "target")) as target:
            yield target


def _tree(fs: Any, join: Join, path: str, names: list[str]) -> str:
    source = join(path, "source")
    remove(fs, source)
    make_files(fs, join, source, names)
    return source


def _removing(fs: Any, path: str) -> Iterator[str]:
    yield path
    remove(fs, path)


class AbstractFixtures(BaseAbstractFixtures):
    """What a backend's tests need to know; `fs` and `fs_path` have to be given."""

    @pytest.fixture
    def fs(self) -> Any:
        """The filesystem that is tested."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture fs, that returns its filesystem")

    @pytest.fixture
    def fs_path(self) -> str:
        """A folder, that is there, for the tests to write to."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture fs_path, that returns a folder")

    @pytest.fixture
    def fs_join(self) -> Join:
        """How the filesystem joins paths."""
        return os.path.join

    @pytest.fixture
    def fs_sanitize_path(self) -> Callable[[str], str]:
        """What makes a path such as the filesystem gives it back."""
        return lambda path: path

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        """Whether a folder can be there with nothing in it."""
        return True

    @pytest.fixture(scope="class")
    @classmethod
    def local_fs(cls) -> LocalFileSystem:
        """The filesystem of this machine."""
        return LocalFileSystem(auto_mkdir=True)

    @pytest.fixture
    def local_join(self) -> Join:
        """How this machine joins paths."""
        return os.path.join

    @pytest.fixture
    def local_path(self, tmpdir: Any) -> str:
        """An empty folder of this machine."""
        path: str = make_path_posix(str(tmpdir))
        return path
