"""Three inventories compared, and what stands on the package run with the newer release."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import environment
from downstream_lib import projects, suites

HERE = Path(__file__).resolve().parent
NEEDS = (
    "aiohttp requests numpy pyarrow paramiko smbprotocol pygit2 libarchive-c panel tqdm distributed pytest"
)
SHOWN = 200  # lines of a kind; more of them is another package


def inventory(python: Path, side: Path) -> dict[str, str]:
    """The public API of a side."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("FSSPEC", "PYTHON"))}
    done = subprocess.run(
        [str(python), "-P" if sys.version_info >= (3, 11) else "-B", str(HERE / "inventory.py")],
        env={**environ, "PYTHONPATH": str(side), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=side,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise environment.InstallError(f"the inventory of {side.name} failed: {done.stderr[-500:]}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def outermost(names: Iterable[str]) -> list[str]:
    """Of names that went or came together (a class and its methods), the one that says so."""
    kept: list[str] = []
    for name in sorted(names):
        if not (kept and name.startswith(kept[-1] + ".")):
            kept.append(name)
    return kept


def grouped(names: Iterable[str], *texts: dict[str, str]) -> list[str]:
    """Of a member that several classes inherit, and a class that several modules offer, the first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        key = (name.rpartition(".")[2], *(text.get(name, "") for text in texts))
        found.setdefault(key, []).append(name)
    firsts = []
    for several in found.values():
        first = min(several, key=lambda name: ("implementations" in name, name.count("."), name))
        more = f" (and {len(several) - 1} more)" if len(several) > 1 else ""
        firsts.append(first + more)
    return sorted(firsts)


def report(before: dict[str, str], after: dict[str, str], ours: dict[str, str]) -> list[str]:
    """Print what changed; return what the tree lacks of it."""
    added, removed = outermost(after.keys() - before.keys()), outermost(before.keys() - after.keys())
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    lacking = [name for name in added if name not in ours]
    lacking += [name for name in changed if ours.get(name) == before[name]]
    for title, names in (
        ("added", added),
        ("removed", removed),
        ("changed", changed),
        ("of these not followed by this tree", lacking),
    ):
        lines = grouped(names, before, after)
        print(f"{len(lines)} {title}")
        for line in lines[:SHOWN]:
            name = line.partition(" (and ")[0]
            print(f"    {line}")
            if title == "changed":
                print(f"        before: {before[name]}\n        after:  {after[name]}")
            elif title == "added":
                print(f"        {after[name]}")
    return lacking


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ci/newer", description=__doc__)
    parser.add_argument("version", nargs="?", default="", help="of upstream; the newest by default")
    parser.add_argument("project", nargs="*", help="projects of ci/downstream to run; all by default")
    parser.add_argument("--no-downstream", action="store_true", help="compare the API only")
    parser.add_argument(
        "--differential", metavar="COMMAND", help="run it too; {version} and {tree} are replaced"
    )
    options = parser.parse_args(arguments)
    try:
        python = environment.ensure("newer", [f"fsspec=={projects.FOLLOWED}", *NEEDS.split()])
        places = suites.Places()
        newer = places.release(options.version)
        version = suites.version_of(newer)
        print(f"{projects.FOLLOWED} (followed) and {version}", flush=True)
        with tempfile.TemporaryDirectory(prefix="fsspec-newer-") as folder:
            sides = places.release(), newer, suites.copy_of_tree(Path(folder))
            lacking = report(*(inventory(python, side) for side in sides))
    except environment.InstallError as error:
        print(f"ci/newer: {error}", file=sys.stderr)
        return 2
    codes = [1 if lacking else 0]
    if options.differential:
        command = options.differential.format(version=version, tree=environment.TOP)
        codes.append(subprocess.run(shlex.split(command)).returncode)
    if not options.no_downstream:
        sys.stdout.flush()
        command = [sys.executable, "-m", "downstream_lib", "--upstream", version, *options.project]
        codes.append(subprocess.run(command).returncode)
    return 1 if any(codes) else 0


if __name__ == "__main__":
    environment.finish(main, sys.argv[1:])
