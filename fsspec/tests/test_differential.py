"""The differential run, small: this tree in place of upstream, which a test cannot install."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
if not (TOP / "ci" / "differential").is_file():
    pytest.skip("the programs of a source tree are not there", allow_module_level=True)
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def differential(tmp_path, candidate, *arguments):
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP), str(TOP / "ci")])}
    command = [
        sys.executable,
        "-m",
        "differential_lib",
        "--reference",
        str(TOP),
        "--candidate",
        str(candidate),
    ]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "found"), *arguments],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, {group["signature"] for group in json.loads((tmp_path / "found").read_text())}


def planted(tmp_path, text):
    """A copy of the tree in which local files are opened in another way."""
    shutil.copytree(
        TOP / "fsspec", tmp_path / "fsspec", ignore=shutil.ignore_patterns("tests", "__pycache__", "_checks")
    )
    with open(tmp_path / "fsspec" / "implementations" / "local.py", "a") as f:
        f.write(f"\n_open = LocalFileSystem._open\ndef planted(self, path, *args, **kwargs):\n    {text}\n")
        f.write("    return _open(self, path, *args, **kwargs)\nLocalFileSystem._open = planted\n")
    return tmp_path


def test_a_package_does_not_differ_from_itself(tmp_path):
    assert differential(tmp_path, TOP, "--setup", "local-large,memory-large", "--seeds", "0:4") == (0, set())


def test_what_was_planted_is_noticed(tmp_path):
    text = "; ".join(
        (
            "import sys",
            "print('planted noise', file=sys.stderr)",
            "os.path.isfile(path) and open(path + '.planted', 'wb').close()",
        )
    )
    arguments = "--setup", "local-large", "--seeds", "2:8"
    code, found = differential(tmp_path, planted(tmp_path, text), *arguments)
    for part in ("noise | planted noise", "content | local has more"):
        assert code == 1 and any(part in each for each in found), found


def test_nothing_is_written_outside_the_folder_of_a_program(tmp_path):
    outside = tmp_path / "outside"
    tree = planted(tmp_path, f"open({str(outside)!r}, 'wb').close()")
    code, found = differential(tmp_path, tree, "--setup", "local-large", "--seeds", "2:5")
    for part in ("escape | writes outside", "->Escape"):
        assert code == 1 and any(part in each for each in found), found
    assert not outside.exists()


def test_a_choice_in_a_row_is_a_known_difference_for_each_of_its_words():
    """Testers read choices among the setups only; one behind them would match nothing, without a word."""
    program = TOP / "ci" / "known_differences"
    listed = subprocess.run([sys.executable, str(program)], capture_output=True, check=True)
    known = json.loads(listed.stdout)["known"]
    behind = [one["signature"].partition(" | ")[2] for one in known]
    assert [rest for rest in behind if re.search(r"\{[^{}]*,", rest)] == []
    assert any("{}" in rest for rest in behind), "what is in a dict is no choice"
    rows = json.loads((TOP / "docs" / "differences.json").read_text(encoding="utf-8"))["rows"]
    signatures = [one["signature"] for row in rows for one in row.get("signatures", ())]
    assert "generic | {du,size} | value | int other" in signatures
    for word in ("du", "size"):
        assert f"generic | {word} | value | int other" in {one["signature"] for one in known}
