"""Take each guard out of a copy of the tree, run its tests, and say which failed."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from environment import finish

from . import stretched
from .guards import GUARDS, Edit, Guard

TOP = Path(__file__).resolve().parent.parent.parent
LIMIT = 600  # seconds for the tests of one guard; a process that never ends is what some guards prevent
IMPATIENCE = Edit("fsspec/_checks/forked.py", "LIMIT = 12.0 ", "LIMIT = 4.0 ")
"""Children that hang are expected here.  The tests pass with it where nothing is taken out."""


class Astray(Exception):
    """A piece of source that is to be taken out is not there (any more)."""


def copy(folder: Path) -> None:
    """The package and what pytest reads, without what was compiled."""
    shutil.copytree(TOP / "fsspec", folder / "fsspec", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "setup.cfg", folder)
    apply(folder, IMPATIENCE)


def apply(folder: Path, edit: Edit) -> None:
    """Change one file of the copy."""
    path = folder / edit.file
    text = path.read_text(encoding="utf-8")
    if text.count(edit.old) != 1:
        raise Astray(f"{edit.file} has {text.count(edit.old)} times, not once:\n{edit.old}")
    path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def run(folder: Path, tests: Sequence[str]) -> tuple[set[str], set[str]]:
    """The tests that failed, and those that passed, on the copy."""
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-rA", "-p", "no:cacheprovider", "--tb=no", "--no-header", "-n", "0", "--timeout", "300"]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with its descendants, which hold the pipe
            process.wait()
            return {f"{test} (did not end)" for test in tests}, set()
    found: dict[str, set[str]] = {"FAILED": set(), "PASSED": set(), "ERROR": set()}
    for word, test in re.findall(r"^(FAILED|PASSED|ERROR) (\S+::.*?)(?: - .*)?$", said, re.MULTILINE):
        found[word].add(test)
    failed = found["FAILED"] | found["ERROR"]
    if process.returncode not in (0, 1) or not (failed or found["PASSED"]):
        raise Astray(f"the tests could not be run:\n{said}")
    return failed, found["PASSED"]


def sabotage(guard: Guard, home: Path) -> set[str]:
    """The tests that notice that a guard is gone."""
    folder = home / re.sub(r"\W", "-", guard.name)
    copy(folder)
    for edit in guard.edits:
        apply(folder, edit)
    failed, _ = run(folder, guard.tests)
    return failed


def quiescence(folder: Path) -> None:
    """Take it out of a copy."""
    for guard in GUARDS:
        for edit in guard.edits if guard.name == "quiescence" else ():
            apply(folder, edit)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 where every sabotage is noticed."""
    parser = argparse.ArgumentParser(prog="ci/sabotage", description=__doc__)
    parser.add_argument("guards", nargs="*", metavar="NAME", help="which; all if none is given")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument(
        "--stretched", action="store_true", help="only fork while locks of C libraries are held"
    )
    parser.add_argument(
        "--runs", type=int, default=500, help="how often (500), and a fifth without quiescence"
    )
    args = parser.parse_args(argv)
    if args.list:
        for guard in GUARDS:
            print(f"{guard.name:12} {guard.what}")
        return 0
    if args.stretched:
        return stretched.main(args.runs, max(1, args.runs // 5), copy, quiescence)
    unknown = set(args.guards) - {guard.name for guard in GUARDS}
    if unknown:
        parser.error(f"no such guard: {', '.join(sorted(unknown))}; see --list")
    chosen = [guard for guard in GUARDS if not args.guards or guard.name in args.guards]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="fsspec-sabotage-") as name:
        home = Path(name)
        whole = home / "whole"
        copy(whole)
        try:
            tests = list(dict.fromkeys(test for guard in chosen for test in guard.tests))
            failed, passed = run(whole, tests)
            print(f"nothing taken out: {len(passed)} of {len(tests)} tests pass", flush=True)
            for test in sorted(failed):
                print(f"    fails without sabotage: {test}")
            for guard in chosen:
                noticed = sabotage(guard, home) - failed
                bad += not noticed
                word = "noticed" if noticed else "NOT NOTICED"
                print(f"{guard.name}: {word}, {len(noticed)} of {len(guard.tests)} tests fail; {guard.what}")
                for test in sorted(noticed):
                    print(f"    {test.removeprefix('fsspec/tests/fork/')}", flush=True)
        except Astray as error:
            print(error, file=sys.stderr)
            return 2
    return 1 if bad or failed else 0


if __name__ == "__main__":
    finish(main)
