"""Reading parts of files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

DATA = b"0123456789"
RANGES: list[tuple[int | None, int | None]]
RANGES = [(3, 7), (None, 4), (4, None), (-3, None), (None, -3), (2, -2), (-6, -2), (0, 10), (8, 20)]


class AbstractReadTests:
    """``fs.cat_file`` and ``fs.cat_ranges`` with ranges, and an open file that is read in parts."""

    @pytest.fixture
    def fs_read_path(self, fs: AbstractFileSystem, fs_target: str) -> str:
        """A file that holds ``DATA``."""
        with suppress(FileExistsError):
            fs.mkdir(fs_target)
        path = f"{fs_target}/digits"
        fs.pipe_file(path, DATA)
        return path

    def test_cat_file_ranges(self, fs: AbstractFileSystem, fs_read_path: str) -> None:
        """Positions are as those of a slice."""
        found = {(start, end): fs.cat_file(fs_read_path, start=start, end=end) for start, end in RANGES}
        assert found == {(start, end): DATA[start:end] for start, end in RANGES}

    def test_cat_ranges(self, fs: AbstractFileSystem, fs_read_path: str) -> None:
        """Many ranges at once are in the order in which they were asked for."""
        starts, ends = [6, 0, 3], [9, 2, 7]
        found = fs.cat_ranges([fs_read_path] * 3, starts, ends)
        assert found == [DATA[start:end] for start, end in zip(starts, ends)]

    def test_open_seek_and_read(self, fs: AbstractFileSystem, fs_read_path: str) -> None:
        """A read gives as many bytes as were asked for, from where the file stands."""
        with fs.open(fs_read_path, "rb") as f:
            assert (f.read(3), f.tell()) == (b"012", 3)
            assert (f.seek(5), f.read(2), f.tell()) == (5, b"56", 7)
            assert (f.seek(-4, 2), f.read(), f.tell()) == (6, b"6789", 10)
            assert (f.read(1), f.seek(1), f.read(100)) == (b"", 1, DATA[1:])
