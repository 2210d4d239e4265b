"""Copying within a filesystem."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fsspec.tests.abstract.common import (
    GLOB_EDGE_CASES_TESTS,
    RULES,
    check_case,
    check_glob,
    check_paired,
    make_folder,
)

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

Join = Callable[..., str]


class AbstractCopyTests:
    """``fs.copy``, by the rules in ``common``."""

    def _check(
        self, rule: str, fs: Any, fs_join: Join, source: str, target: str, empty: bool | None = None
    ) -> None:
        """Each case of a rule; ``empty`` None leaves the target folder's parent only."""

        def remake() -> None:
            make_folder(fs, fs_join, target, empty is not False)

        for case in RULES[rule]:
            check_case(case, fs.copy, lambda name: fs_join(source, name), target, fs, remake)

    def test_copy_file_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """Into it, with and without a slash."""
        rule, source = "file to existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_file_to_new_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """Into it: its slash says that it is a folder."""
        self._check("file to new directory", fs, fs_join, fs_bulk_operations_scenario_0, fs_target)

    def test_copy_file_to_file_in_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """Under another name."""
        rule, source = "file to file in existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_file_to_file_in_new_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """Under another name, in a folder that is made."""
        self._check("file to file in new directory", fs, fs_join, fs_bulk_operations_scenario_0, fs_target)

    def test_copy_directory_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """Into it, or only what is in it."""
        rule, source = "directory to existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_directory_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """As a folder of another name."""
        rule, source = "directory to new directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_glob_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """Into it."""
        rule, source = "glob to existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_glob_to_new_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """Into it, a single match as well."""
        self._check("glob to new directory", fs, fs_join, fs_bulk_operations_scenario_0, fs_target)

    @pytest.mark.parametrize(GLOB_EDGE_CASES_TESTS["argnames"], GLOB_EDGE_CASES_TESTS["argvalues"])
    def test_copy_glob_edge_cases(
        self,
        path: str,
        recursive: bool,
        maxdepth: int | None,
        expected: list[str],
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_glob_edge_cases_files: str,
        fs_target: str,
        fs_sanitize_path: Callable[[str], str],
    ) -> None:
        """Which files, and how much of their folders, for each pattern."""
        check_glob(
            fs_sanitize_path(fs_join(fs_glob_edge_cases_files, path)),
            fs.copy,
            fs_target,
            fs,
            lambda: make_folder(fs, fs_join, fs_target),
            recursive,
            maxdepth,
            expected,
        )

    def test_copy_list_of_files_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_bulk_operations_scenario_0: str,
        fs_target: str,
        supports_empty_directories: bool,
    ) -> None:
        """All beside each other."""
        rule, source = "list to existing directory", fs_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_list_of_files_to_new_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """All beside each other."""
        self._check("list to new directory", fs, fs_join, fs_bulk_operations_scenario_0, fs_target)

    def test_copy_two_files_new_directory(
        self, fs: AbstractFileSystem, fs_join: Join, fs_bulk_operations_scenario_0: str, fs_target: str
    ) -> None:
        """Two make the target a folder, without a slash."""
        self._check("two files to new directory", fs, fs_join, fs_bulk_operations_scenario_0, fs_target)

    def test_copy_directory_without_files_with_same_name_prefix(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        fs_dir_and_file_with_same_name_prefix: str,
        supports_empty_directories: bool,
    ) -> None:
        """A file beside a folder stays, though its name begins as the folder's."""
        rule, source = "names that begin alike", fs_dir_and_file_with_same_name_prefix
        self._check(rule, fs, fs_join, source, fs_target, supports_empty_directories)

    def test_copy_with_source_and_destination_as_list(
        self, fs: AbstractFileSystem, fs_target: str, fs_join: Join, fs_10_files_with_hashed_names: str
    ) -> None:
        """Each to the name at its own position."""
        source = fs_10_files_with_hashed_names
        names = [path.rpartition("/")[2] for path in fs.find(source)]
        make_folder(fs, fs_join, fs_target)
        check_paired(
            fs.copy, lambda name: fs_join(source, name), lambda name: fs_join(fs_target, name), fs, names
        )
