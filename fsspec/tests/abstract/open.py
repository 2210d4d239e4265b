"""Opening files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem


class AbstractOpenTests:
    """``fs.open``."""

    def test_open_exclusive(self, fs: AbstractFileSystem, fs_target: str) -> None:
        """Mode "x" makes a file that is not there, and leaves one that is as it was."""
        with suppress(FileExistsError):
            fs.mkdir(fs_target)
        path = f"{fs_target}/exclusive"
        with fs.open(path, "xb") as f:
            f.write(b"first")
        with pytest.raises(FileExistsError):
            with fs.open(path, "xb") as f:
                f.write(b"second")
        assert fs.cat_file(path) == b"first"
