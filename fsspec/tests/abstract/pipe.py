"""Writing whole files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem


class AbstractPipeTests:
    """``fs.pipe_file``."""

    def test_pipe_exclusive(self, fs: AbstractFileSystem, fs_target: str) -> None:
        """Mode "create" makes a file that is not there, and leaves one that is as it was."""
        with suppress(FileExistsError):
            fs.mkdir(fs_target)
        path = f"{fs_target}/exclusive"
        fs.pipe_file(path, b"first", mode="create")
        with pytest.raises(FileExistsError):
            fs.pipe_file(path, b"second", mode="create")
        assert fs.cat_file(path) == b"first"
        fs.pipe_file(path, b"third", mode="overwrite")
        assert fs.cat_file(path) == b"third"
