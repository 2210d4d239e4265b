"""Uploading."""

from __future__ import annotations

import os
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


class AbstractPutTests:
    """``fs.put``, by the rules in ``common``."""

    def _check(
        self, rule: str, fs: Any, fs_join: Join, target: str, source: str, empty: bool | None = None
    ) -> None:
        for case in RULES[rule]:
            check_case(
                case,
                fs.put,
                lambda name: f"{source}/{name}",
                target,
                fs,
                lambda: make_folder(fs, fs_join, target, empty is not False),
            )

    def test_put_file_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
        supports_empty_directories: bool,
    ) -> None:
        """Into it, with and without a slash."""
        rule, source = "file to existing directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_file_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """Into it: its slash says that it is a folder."""
        self._check("file to new directory", fs, fs_join, fs_target, local_bulk_operations_scenario_0)

    def test_put_file_to_file_in_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        supports_empty_directories: bool,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """Under another name."""
        rule, source = "file to file in existing directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_file_to_file_in_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """Under another name, in a folder that is made."""
        source = local_bulk_operations_scenario_0
        self._check("file to file in new directory", fs, fs_join, fs_target, source)

    def test_put_directory_recursive(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_fs: LocalFileSystem,
        local_join: Join,
        local_path: str,
    ) -> None:
        """A folder becomes the target; once more, it goes into it, being there."""
        with removed(local_fs, local_join(local_path, "tree")) as source:
            make_files(local_fs, local_join, source, ["leaf"])
            fs.put(source, fs_target, **DEEP)
            assert below(fs, fs_target) == {"leaf": "leaf"}
            fs.put(source + "/", fs_target, **DEEP)
            assert below(fs, fs_target) == {"leaf": "leaf"}
            fs.put(source, fs_target, **DEEP)
            assert below(fs, fs_target) == {"leaf": "leaf", "tree/leaf": "leaf"}

    def test_put_directory_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_bulk_operations_scenario_0: str,
        supports_empty_directories: bool,
    ) -> None:
        """Into it, or only what is in it."""
        rule, source = "directory to existing directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_directory_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_bulk_operations_scenario_0: str,
        supports_empty_directories: bool,
    ) -> None:
        """As a folder of another name."""
        rule, source = "directory to new directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_glob_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        supports_empty_directories: bool,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """Into it."""
        rule, source = "glob to existing directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_glob_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """Into it, a single match as well."""
        self._check("glob to new directory", fs, fs_join, fs_target, local_bulk_operations_scenario_0)

    @pytest.mark.parametrize(GLOB_EDGE_CASES_TESTS["argnames"], GLOB_EDGE_CASES_TESTS["argvalues"])
    def test_put_glob_edge_cases(
        self,
        path: str,
        recursive: bool,
        maxdepth: int | None,
        expected: list[str],
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_glob_edge_cases_files: str,
        local_join: Join,
        fs_sanitize_path: Callable[[str], str],
    ) -> None:
        """Which files, and how much of their folders, for each pattern."""
        check_glob(
            f"{local_glob_edge_cases_files}/{path}",
            fs.put,
            fs_sanitize_path(fs_target),
            fs,
            lambda: make_folder(fs, fs_join, fs_target),
            recursive,
            maxdepth,
            expected,
        )

    def test_put_list_of_files_to_existing_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
        supports_empty_directories: bool,
    ) -> None:
        """All beside each other."""
        rule, source = "list to existing directory", local_bulk_operations_scenario_0
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_put_list_of_files_to_new_directory(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_bulk_operations_scenario_0: str,
    ) -> None:
        """All beside each other."""
        self._check("list to new directory", fs, fs_join, fs_target, local_bulk_operations_scenario_0)

    def test_put_directory_without_files_with_same_name_prefix(
        self,
        fs: AbstractFileSystem,
        fs_join: Join,
        fs_target: str,
        local_join: Join,
        local_dir_and_file_with_same_name_prefix: str,
        supports_empty_directories: bool,
    ) -> None:
        """A file beside a folder stays, though its name begins as the folder's."""
        rule, source = "names that begin alike", local_dir_and_file_with_same_name_prefix
        self._check(rule, fs, fs_join, fs_target, source, supports_empty_directories)

    def test_copy_with_source_and_destination_as_list(
        self,
        fs: AbstractFileSystem,
        fs_target: str,
        fs_join: Join,
        local_join: Join,
        local_10_files_with_hashed_names: str,
    ) -> None:
        """Each to the name at its own position."""
        source = local_10_files_with_hashed_names
        make_folder(fs, fs_join, fs_target)
        check_paired(
            fs.put,
            lambda name: local_join(source, name),
            lambda name: fs_join(fs_target, name),
            fs,
            sorted(os.listdir(source)),
        )
