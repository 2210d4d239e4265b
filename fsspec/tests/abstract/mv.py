"""Moving: nothing is lost where it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract.common import TREE, below, make_folder

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

Join = Callable[..., str]


class AbstractMoveTests:
    """``fs.mv``."""

    def test_move_file(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """It is under its new name, and not under the old."""
        source = fs_bulk_operations_scenario_0
        make_folder(fs, fs_join, fs_target)
        fs.mv(fs_join(source, "file1"), fs_join(fs_target, "newfile"))
        assert below(fs, fs_target) == {"newfile": "file1"}
        assert sorted(below(fs, source)) == sorted(set(TREE) - {"file1"})

    def test_move_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """With all that is in it."""
        source = fs_bulk_operations_scenario_0
        make_folder(fs, fs_join, fs_target)
        fs.mv(fs_join(source, "subdir"), fs_join(fs_target, "newdir"), recursive=True)
        inside = [name for name in TREE if name.startswith("subdir/")]
        assert below(fs, fs_target) == {name.replace("subdir/", "newdir/", 1): name for name in inside}
        assert sorted(below(fs, source)) == ["file1", "file2"]

    def test_move_missing(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """Of what is not there comes an error, and nothing else."""
        make_folder(fs, fs_join, fs_target)
        with pytest.raises(FileNotFoundError):
            fs.mv(fs_join(fs_bulk_operations_scenario_0, "missing"), fs_join(fs_target, "newfile"))
        assert below(fs, fs_target) == {}


def test_move_raises_error_with_tmpdir(tmpdir: Any) -> None:
    """A target that cannot be: the source stays."""
    fs = LocalFileSystem()
    source, blocked = tmpdir / "source", tmpdir / "file"
    source.write("kept")
    blocked.write("in the way")
    with pytest.raises(NotADirectoryError):
        fs.mv(str(source), str(blocked / "below"))
    with pytest.raises(FileNotFoundError):
        fs.mv(str(tmpdir / "missing"), str(tmpdir / "new"))
    assert (source.read(), blocked.read()) == ("kept", "in the way")
    assert not os.path.exists(tmpdir / "new")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("recursive", [True, False])
def test_move_raises_error_with_tmpdir_permission(recursive: bool, tmpdir: Any) -> None:
    """A target folder that may not be written to: the source stays."""
    fs = LocalFileSystem()
    source, closed = tmpdir / "source", tmpdir.mkdir("closed")
    source.write("kept")
    os.chmod(closed, 0o555)
    try:
        with pytest.raises(PermissionError):
            fs.mv(str(source), str(closed / "new"), recursive=recursive)
        assert source.read() == "kept"
        assert os.listdir(closed) == []
    finally:
        os.chmod(closed, 0o755)
        shutil.rmtree(closed)
