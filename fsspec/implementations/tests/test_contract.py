"""The public contract tests, on the backends of the package."""

import pytest

import fsspec
import fsspec.tests.abstract as abstract
from fsspec.implementations.tests.contract import (
    DirFixtures,
    LocalFixtures,
    MemoryFixtures,
    WrapperFixtures,
)
from fsspec.tests.abstract.mv import (  # noqa: F401
    test_move_raises_error_with_tmpdir,
    test_move_raises_error_with_tmpdir_permission,
)


class TestLocalCopy(abstract.AbstractCopyTests, LocalFixtures):
    pass


class TestLocalGet(abstract.AbstractGetTests, LocalFixtures):
    pass


class TestLocalPut(abstract.AbstractPutTests, LocalFixtures):
    pass


class TestLocalMove(abstract.AbstractMoveTests, LocalFixtures):
    pass


class TestLocalOpen(abstract.AbstractOpenTests, LocalFixtures):
    pass


class TestLocalRead(abstract.AbstractReadTests, LocalFixtures):
    pass


class TestLocalPipe(abstract.AbstractPipeTests, LocalFixtures):
    pass


class TestLocalFork(abstract.AbstractForkTests, LocalFixtures):
    pass


class TestMemoryCopy(abstract.AbstractCopyTests, MemoryFixtures):
    pass


class TestMemoryGet(abstract.AbstractGetTests, MemoryFixtures):
    pass


class TestMemoryPut(abstract.AbstractPutTests, MemoryFixtures):
    pass


class TestMemoryMove(abstract.AbstractMoveTests, MemoryFixtures):
    pass


class TestMemoryOpen(abstract.AbstractOpenTests, MemoryFixtures):
    pass


class TestMemoryRead(abstract.AbstractReadTests, MemoryFixtures):
    pass


class TestMemoryPipe(abstract.AbstractPipeTests, MemoryFixtures):
    pass


class TestMemoryFork(abstract.AbstractForkTests, MemoryFixtures):
    fork_memory = True


class TestDirCopy(abstract.AbstractCopyTests, DirFixtures):
    # these tell a folder by a slash at the end, which `dir` leaves out, as upstream
    test_copy_file_to_new_directory = None
    test_copy_directory_to_existing_directory = None
    test_copy_directory_without_files_with_same_name_prefix = None


class TestDirGet(abstract.AbstractGetTests, DirFixtures):
    test_get_directory_recursive = None
    test_get_directory_to_existing_directory = None
    test_get_directory_to_new_directory = None
    test_get_directory_without_files_with_same_name_prefix = None


class TestDirPut(abstract.AbstractPutTests, DirFixtures):
    test_put_file_to_new_directory = None


class TestDirMove(abstract.AbstractMoveTests, DirFixtures):
    pass


class TestDirOpen(abstract.AbstractOpenTests, DirFixtures):
    pass


class TestDirRead(abstract.AbstractReadTests, DirFixtures):
    pass


class TestDirPipe(abstract.AbstractPipeTests, DirFixtures):
    pass


class TestDirFork(abstract.AbstractForkTests, DirFixtures):
    fork_memory = True


class TestWrapperCopy(abstract.AbstractCopyTests, WrapperFixtures):
    pass


class TestWrapperGet(abstract.AbstractGetTests, WrapperFixtures):
    pass


class TestWrapperPut(abstract.AbstractPutTests, WrapperFixtures):
    pass


class TestWrapperMove(abstract.AbstractMoveTests, WrapperFixtures):
    pass


class TestWrapperOpen(abstract.AbstractOpenTests, WrapperFixtures):
    pass


class TestWrapperRead(abstract.AbstractReadTests, WrapperFixtures):
    pass


class TestWrapperPipe(abstract.AbstractPipeTests, WrapperFixtures):
    pass


class TestWrapperFork(abstract.AbstractForkTests, WrapperFixtures):
    pass


class TestHTTPFork(abstract.AbstractForkTests):
    """Read only: the files are given, and their bytes."""

    @pytest.fixture
    def fork_place(self, http_server):
        files = {f"/folder/data{i}.bin": bytes(range(i, 256)) * 300 for i in range(2)}
        for path, data in files.items():
            http_server.files[path] = data
        fs = fsspec.filesystem("http", skip_instance_cache=True)
        return fs, {http_server.url + path: data for path, data in files.items()}
