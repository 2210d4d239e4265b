"""Downloading."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fsspec.tests.abstract.common import (
    DEEP,
    GLOB_EDGE_CASES_TESTS,
    RULES,
    below,
    check_case,
    check_glob,
    check_paired,
    make_files,
    make_folder,
    removed,
)

if TYPE_CHECKING:
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.spec import AbstractFileSystem

Join = Callable[..., str]


class AbstractGetTests:
    """``fs.get``, by the rules in ``common``."""

    def _check(
        self, rule: str, fs: Any, fs_join: Join, source: str, local_fs: Any, local_join: Join, target: str
    ) -> None:
        for case in RULES[rule]:
            check_case(
                case,
                fs.get,
                lambda name: fs_join(source, name),
                target,
                local_fs,
                lambda: make_folder(local_fs, local_join, target),
            )

    def test_get_file_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Into it, with and without a slash."""
        source = fs_bulk_operations_scenario_0
        self._check("file to existing directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_file_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Into it: its slash says that it is a folder."""
        source = fs_bulk_operations_scenario_0
        self._check("file to new directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_file_to_file_in_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Under another name."""
        rule, source = "file to file in existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_file_to_file_in_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Under another name, in a folder that is made."""
        rule, source = "file to file in new directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_directory_recursive(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_path: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """A folder becomes the target; once more, it goes into it, being there."""
        with removed(fs, fs_join(fs_path, "tree")) as source:
            make_files(fs, fs_join, source, ["leaf"])
            fs.get(source, local_target, **DEEP)
            assert below(local_fs, local_target) == {"leaf": "leaf"}
            fs.get(source + "/", local_target, **DEEP)
            assert below(local_fs, local_target) == {"leaf": "leaf"}
            fs.get(source, local_target, **DEEP)
            assert below(local_fs, local_target) == {"leaf": "leaf", "tree/leaf": "leaf"}

    def test_get_directory_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Into it, or only what is in it."""
        rule, source = "directory to existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_directory_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """As a folder of another name."""
        source = fs_bulk_operations_scenario_0
        self._check("directory to new directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_glob_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Into it."""
        source = fs_bulk_operations_scenario_0
        self._check("glob to existing directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_glob_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Into it, a single match as well."""
        source = fs_bulk_operations_scenario_0
        self._check("glob to new directory", fs, fs_join, source, local_fs, local_join, local_target)

    @pytest.mark.parametrize(GLOB_EDGE_CASES_TESTS["argnames"], GLOB_EDGE_CASES_TESTS["argvalues"])
    def test_get_glob_edge_cases(
        self,
        path: str,
        recursive: bool,
        maxdepth: int | None,
        expected: list[str],
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_glob_edge_cases_files: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """Which files, and how much of their folders, for each pattern."""
        check_glob(
            fs_join(fs_glob_edge_cases_files, path),
            fs.get,
            local_target,
            local_fs,
            lambda: make_folder(local_fs, local_join, local_target),
            recursive,
            maxdepth,
            expected,
        )

    def test_get_list_of_files_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """All beside each other."""
        source = fs_bulk_operations_scenario_0
        self._check("list to existing directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_list_of_files_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
    ) -> None:
        """All beside each other."""
        source = fs_bulk_operations_scenario_0
        self._check("list to new directory", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_directory_without_files_with_same_name_prefix(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
        fs_dir_and_file_with_same_name_prefix: str,
    ) -> None:
        """A file beside a folder stays, though its name begins as the folder's."""
        source = fs_dir_and_file_with_same_name_prefix
        self._check("names that begin alike", fs, fs_join, source, local_fs, local_join, local_target)

    def test_get_with_source_and_destination_as_list(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_target: str,
        fs_10_files_with_hashed_names: str,
    ) -> None:
        """Each to the name at its own position."""
        source = fs_10_files_with_hashed_names
        names = [path.rpartition("/")[2] for path in fs.find(source)]
        check_paired(
            fs.get,
            lambda name: fs_join(source, name),
            lambda name: local_join(local_target, name),
            local_fs,
            names,
        )
