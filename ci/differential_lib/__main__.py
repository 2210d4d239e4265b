"""Programs on both sides, the differences that show again, and a report."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TextIO

import environment
from downstream_lib import suites
from downstream_lib.projects import FOLLOWED

from . import compare, guard
from .programs import NAMED, program
from .servers import Servers, content, fill
from .worker import LIMIT

KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


class Side:
    """A package, and the process that runs programs with it."""

    def __init__(self, package: Path, place: Path, forks: bool) -> None:
        here = Path(__file__).resolve().parent.parent
        environ = {k: v for k, v in os.environ.items() if k in KEPT} | {
            **{
                "PYTHONPATH": f"{package}{os.pathsep}{here}",
                "PYTHONHASHSEED": "0",
                "TZ": "UTC",
                "COLUMNS": "80",
            },
            **{"PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": "*", "AWS_DEFAULT_REGION": "us-east-1"},
            **{"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(place / "x"), "PYTHONUTF8": "1"},
            **({"FSSPEC_FORK_RESET": "1"} if forks else {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "differential_lib.worker", str(place), *(["forks"] if forks else [])],
            env=environ,
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, what: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self.process.wait(LIMIT)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()


@dataclass
class Group:
    """The differences of one signature, and the first program that showed it."""

    signature: str
    rank: int
    program: dict[str, Any]
    reference: Any
    candidate: Any
    why: str | None
    count: int = 0
    seeds: list[int] = field(default_factory=list)


class Pair:
    """Both sides and what they talk to."""

    def __init__(self, reference: Path, candidate: Path, folder: Path, known: list[dict[str, str]]) -> None:
        self.place = folder / "place"
        self.place.mkdir()
        self.servers = Servers()
        self.known = compare.Known(known)
        self.sides = [Side(package, self.place, n == 1) for n, package in enumerate((reference, candidate))]
        self.groups: dict[str, Group] = {}
        self.shaky: dict[str, int] = {}

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *exc: object) -> None:
        for side in self.sides:
            side.end()
        self.servers.close()

    def run(self, side: int, what: dict[str, Any]) -> dict[str, Any]:
        """A program on a side, with all stores as it says."""
        for name in ("t", "x"):
            fill(self.place / name, what["local"] if name == "t" else {})
        server = self.servers(what["server"]) if what["server"] else None
        places = {"{tmp}": str(self.place / "t"), "{url}": server.url if server else ""}
        if server:
            server.reset(what["tree"], what["faults"])
        steps = what["steps"]
        for name, value in places.items():
            steps = [step.replace(name, value) for step in steps]
        options = server.options if server else {}
        seen = self.sides[side].run({**what, "steps": steps, "options": options, "url": places["{url}"]})
        seen["local"] = content(self.place / "t")
        seen["local"].pop("c/cache", None)  # a table with times in it
        seen["server"] = server.content() if server else {}
        seen["requests"] = [*(server.requests() if server else ()), *seen.get("calls", ())]
        return seen

    def differences(self, what: dict[str, Any]) -> tuple[list[compare.Found], list[compare.Found]]:
        """Those that show in two runs, and those that do not."""
        first = [self.run(side, what) for side in (0, 1)]
        found = compare.runs(what, *first)
        if not found:
            return [], []
        second = [self.run(side, what) for side in (0, 1)]
        setup = what["setup"]
        again = {each.signature(setup) for each in compare.runs(what, *second)}
        itself = {each.signature(setup) for each in compare.runs(what, first[0], second[0])}
        same = [each for each in found if each.signature(setup) in again - itself]
        return same, [each for each in found if each not in same]

    def examine(self, what: dict[str, Any], shrink: bool) -> None:
        """Run a program and put its differences to their groups."""
        same, shaky = self.differences(what)
        for each in shaky:
            self.shaky[each.signature(what["setup"])] = self.shaky.get(each.signature(what["setup"]), 0) + 1
        for each in same:
            signature, why, shown = each.signature(what["setup"]), self.known.why(what, each), what
            key = f"{signature} {why}"
            if key not in self.groups:
                if shrink and why is None:
                    shown = self.smaller(what, signature)
                self.groups[key] = Group(signature, each.rank, shown, each.reference, each.candidate, why)
            self.groups[key].count += 1
            self.groups[key].seeds.append(what["seed"])

    def smaller(self, what: dict[str, Any], signature: str) -> dict[str, Any]:
        """The program without the steps that the difference does not need."""
        number = len(what["steps"]) - 1
        while number >= what["prelude"]:
            steps = what["steps"]
            less = {**what, "steps": steps[:number] + steps[number + 1 :]}
            if number < what.get("fork", 0):
                less["fork"] = what["fork"] - 1
            if any(each.signature(what["setup"]) == signature for each in self.differences(less)[0]):
                what = less
            number -= 1
        return what


def report(pair: Pair, number: int, seconds: float) -> int:
    """Print what was found; how many of it have no reason."""
    groups = sorted(pair.groups.values(), key=lambda group: (group.why is not None, group.rank, -group.count))
    open_ones = [group for group in groups if group.why is None]
    for group in open_ones:
        seeds = ", ".join(map(str, group.seeds[:5]))
        print(f"\nrank {group.rank}  {group.count} x  {group.signature}   (seeds {seeds})")
        print("    " + "\n    ".join(line for step in group.program["steps"] for line in step.splitlines()))
        for side, seen in (("reference", group.reference), ("candidate", group.candidate)):
            print(f"  {side}: {json.dumps(seen, ensure_ascii=False)[:400]}")
    for signature, count in sorted(pair.shaky.items()):
        print(f"not repeatable {count} x  {signature}")
    known = f"{sum(group.count for group in groups if group.why is not None)} known differences"
    print(f"{number} programs in {seconds:.0f} s: {len(open_ones)} signatures unexplained, {known}")
    return len(open_ones)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ci/differential", description=__doc__)
    parser.add_argument("--setup", default="*", metavar="PATTERN", help=f"which of {', '.join(NAMED)}")
    parser.add_argument("--seeds", default="0:50", metavar="A:B", help="programs of each setup (0:50)")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so long")
    parser.add_argument("--shrink", action="store_true", help="show the smallest program of each signature")
    parser.add_argument("--json", metavar="FILE", help="write what was found there")
    parser.add_argument("--known", action="append", default=[], metavar="FILE", help="more known differences")
    parser.add_argument(
        "--upstream", default=FOLLOWED, metavar="VERSION", help="another release than the one followed"
    )
    parser.add_argument(
        "--reference", type=Path, metavar="FOLDER", help="a folder with the package, in place of upstream's"
    )
    parser.add_argument(
        "--candidate", type=Path, metavar="FOLDER", help="a folder with the package, in place of the tree"
    )
    options = parser.parse_args(arguments)
    begin, _, end = options.seeds.partition(":")
    seeds = range(int(begin), int(end or int(begin) + 1))
    setups = [name for name in NAMED if any(fnmatch(name, part) for part in options.setup.split(","))]
    if not setups:
        parser.error(f"no such setup; there are {', '.join(NAMED)}")
    command = [sys.executable, environment.TOP / "ci" / "known_differences", *options.known]
    listed = subprocess.run(command, capture_output=True, check=True)
    known = json.loads(listed.stdout)["known"]
    reference = options.reference or suites.Places().release(options.upstream)
    with (
        open(options.json or os.devnull, "w") as out,
        tempfile.TemporaryDirectory(prefix="fsspec-differential-") as folder,
    ):
        candidate = options.candidate or suites.copy_of_tree(Path(folder))
        pid = os.fork()
        if pid:  # what is confined cannot remove the folder itself
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        try:
            code = conduct(options, seeds, setups, (reference, candidate, Path(folder, "run"), known), out)
            sys.stdout.flush()
            out.flush()
            os._exit(code)
        except BaseException:  # it ends as a process, without handlers of its parent's
            traceback.print_exc()
        finally:
            os._exit(2)


def conduct(
    options: argparse.Namespace, seeds: range, setups: list[str], sides: tuple[Any, ...], out: TextIO
) -> int:
    """Run the programs, all that this starts confined to a folder."""
    place = sides[2]
    place.mkdir()
    tempfile.tempdir = os.environ["TMPDIR"] = str(place)
    if not guard.landlock(str(place)):
        print("without Landlock: only what goes through Python is kept inside the folder", file=sys.stderr)
    started, number = time.monotonic(), 0
    with Pair(*sides) as pair:
        for seed in seeds:
            for setup in setups:
                if time.monotonic() < started + options.minutes * 60:
                    pair.examine(program(setup, seed), options.shrink)
                    number += 1
        unexplained = report(pair, number, time.monotonic() - started)
    json.dump([asdict(group) for group in pair.groups.values()], out, indent=1)
    return 1 if unexplained else 0


if __name__ == "__main__":
    environment.finish(main, sys.argv[1:])
