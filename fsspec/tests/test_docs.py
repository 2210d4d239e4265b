"""The documentation's examples do what they show."""

import ast
import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

DOCS = Path(fsspec.__file__).parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.rst") if ">>> " in page.read_text(encoding="utf8"))


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page(page, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(fsspec.config, "conf", dict(fsspec.config.conf))
    failed, tried = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf8")
    assert tried and not failed


ROWS = json.loads((DOCS / "differences.json").read_text(encoding="utf8"))["rows"]


@pytest.mark.parametrize("row", ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_difference_from_upstream_names_a_test_that_exists(row):
    """A function, not a module: it has to show the difference."""
    module, *classes, name = row["test"].partition("[")[0].split("::")
    body = ast.parse((DOCS.parent / module).read_text(encoding="utf8")).body
    for outer in classes:
        (body,) = (node.body for node in body if isinstance(node, ast.ClassDef) and node.name == outer)
    names = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert name.startswith("test_") and name in names
    assert all(row[key] for key in ("what", "upstream", "ours", "why", "instead"))


def test_example_backend_passes_the_contract_tests():
    example = DOCS / "example"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(example), str(DOCS.parent)])}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            "-x",
            "-k",
            "not Forks or opted",
            "test_dictstore.py",
        ],
        cwd=example,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and "failed" not in done.stdout
