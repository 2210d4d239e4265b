"""What third parties rely on in the public classes of tests: names, ids, helpers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import fsspec
from fsspec.tests import abstract
from fsspec.tests.abstract.common import GLOB_EDGE_CASES_TESTS, below

# path, and for each of its cases: recursive, maxdepth
PUBLIC = {
    "fil?1": "False-None True-None",
    "file[1-2]": "False-None True-None",
    "*": "False-None True-None True-1 True-2",
    "*1": "False-None True-None True-2",
    "**": "False-None True-None True-1 True-2 False-2",
    "**/*1": "False-None True-None True-1 True-2 False-2",
    "**/subdir0": "False-None True-None",
    "**/subdir0/nested*": "False-2 True-2",
    "subdir[1-2]": "False-None True-None True-2",
    "subdir[0-1]": "False-None True-None",
    "subdir[0-1]/*fil[e]*": "False-None True-None",
}


def test_the_first_cases_of_patterns_have_their_public_ids():
    pairs = [f"{path}-{case}" for path, cases in PUBLIC.items() for case in cases.split()]
    assert len(pairs) == 32
    argvalues = GLOB_EDGE_CASES_TESTS["argvalues"]
    found = [f"{path}-{recursive}-{maxdepth}" for path, recursive, maxdepth, _ in argvalues]
    assert found[:32] == pairs
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "name, holds",
    [
        ("_bulk_operations_scenario_0", "subdir/nesteddir/nestedfile"),
        ("_glob_edge_cases_files", "subdir0/nesteddir/nestedfile"),
        ("_dir_and_file_with_same_name_prefix", "subdir.txt"),
        ("_10_files_with_hashed_names", "cfcd208495d565ef66e7dff9f98764da.txt"),
    ],
)
def test_helpers_make_a_tree_and_return_its_folder(name, holds, tmp_path):
    fs = fsspec.filesystem("file")
    helper = getattr(abstract.BaseAbstractFixtures(), name)
    made = helper(fs, os.path.join, str(tmp_path))
    assert os.path.dirname(made) == str(tmp_path)
    assert holds in below(fs, made)
    assert helper(fs, os.path.join, str(tmp_path)) == made  # what an earlier run left is replaced


def test_a_failure_tells_what_was_found(tmp_path):
    """In the tests of a backend, though the assertion is in a module of ours."""
    (tmp_path / "test_lossy.py").write_text(
        textwrap.dedent(
            """
            import pytest
            import fsspec.tests.abstract as abstract
            from fsspec.implementations.memory import MemoryFileSystem

            class Lossy(MemoryFileSystem):
                store, pseudo_dirs = {}, [""]

                def cp_file(self, path1, path2, **kwargs):
                    if not path1.endswith("file2"):
                        super().cp_file(path1, path2, **kwargs)

            class TestMove(abstract.AbstractMoveTests, abstract.AbstractFixtures):
                @pytest.fixture
                def fs(self):
                    return Lossy()

                @pytest.fixture
                def fs_path(self):
                    return "/top"
            """
        )
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Right contains 1 more item:" in done.stdout
    assert "{'newdir/subfile2': 'subdir/subfile2'}" in done.stdout
