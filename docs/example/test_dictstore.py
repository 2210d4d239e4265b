"""The example backend fulfils the contract."""

import pytest
from fsspec_dictstore import DictStoreFileSystem

import fsspec.tests.abstract as abstract


class Fixtures(abstract.AbstractFixtures):
    """What all the tests below need."""

    @pytest.fixture
    def fs(self) -> DictStoreFileSystem:
        return DictStoreFileSystem("tests")

    @pytest.fixture
    def fs_path(self) -> str:
        return "tests"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    """Within the store."""


class TestGet(abstract.AbstractGetTests, Fixtures):
    """From the store."""


class TestPut(abstract.AbstractPutTests, Fixtures):
    """To the store."""


class TestMove(abstract.AbstractMoveTests, Fixtures):
    """Within the store."""


class TestPipe(abstract.AbstractPipeTests, Fixtures):
    """Whole files."""


class TestOpen(abstract.AbstractOpenTests, Fixtures):
    """Opened files."""


class TestRead(abstract.AbstractReadTests, Fixtures):
    """Parts of files."""


class TestForks(abstract.AbstractForkTests, Fixtures):
    """Used by forked children."""

    fork_memory = True
