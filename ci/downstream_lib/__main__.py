"""Both sides of each project, and the line that says what only one of them passes."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import environment

from . import suites
from .projects import FOLLOWED, PROJECTS, Project


@dataclass
class Line:
    """What is known of a project after its runs."""

    name: str
    upstream: int
    ours: int
    skipped: int
    only_upstream: dict[str, str]
    only_ours: list[str]
    both_fail: int
    reasons: dict[str, str]
    trouble: str = ""

    @property
    def good(self) -> bool:
        return not self.trouble and self.upstream > 0 and not set(self.only_upstream) - set(self.reasons)

    def shown(self) -> str:
        if self.trouble or not self.upstream:
            return f"{self.name:20} {self.trouble or 'nothing passes with upstream'}"
        passed = self.upstream - len(set(self.only_upstream) - set(self.reasons))
        share = "100 %" if self.good else f"{100 * passed / max(1, self.upstream):.1f} %"
        more = f", {len(self.only_ours)} only with ours" if self.only_ours else ""
        neither = f", {self.both_fail} with neither" if self.both_fail else ""
        counts = f"upstream passes {self.upstream:5}, ours {self.ours:5}"
        lines = [f"{self.name:20} {share:>7}  {counts} (skipped {self.skipped}{more}{neither})"]
        for test, why in sorted(self.only_upstream.items()):
            lines.append(f"    only upstream: {test}: {self.reasons.get(test) or why}")
        return "\n".join(lines)


def examine(project: Project, places: suites.Places, baseline: Path, tree: Path, repeat: bool) -> Line:
    """Run a project with both sides; what only upstream passes is run once more with ours."""
    keep = places.folder / "runs"
    keep.mkdir(exist_ok=True)
    known = keep / f"{project.name}.{baseline.name}.json"
    if not repeat and known.is_file():
        stored = json.loads(known.read_text())
        upstream = suites.Outcome(set(stored["passed"]), stored["failed"], stored["skipped"])
    else:
        upstream = suites.run(project, baseline, places, keep / project.name / baseline.name)
        if not upstream.trouble:
            known.write_text(json.dumps({**asdict(upstream), "passed": sorted(upstream.passed)}, indent=1))
    ours = suites.run(project, tree, places, keep / project.name / "ours")
    trouble = "; ".join(
        f"{side}: {what.trouble}" for side, what in (("upstream", upstream), ("ours", ours)) if what.trouble
    )
    lost = sorted(upstream.passed - ours.passed)
    if lost and not trouble and not project.program:
        # what depends on time or on a port is no difference: once more, those alone
        again = suites.run(project, tree, places, keep / project.name / "again", only=lost)
        ours.passed |= again.passed
        lost = sorted(upstream.passed - ours.passed)
    reasons = {test: why for end, why in project.reasons.items() for test in lost if test.endswith(end)}
    return Line(
        name=project.name,
        upstream=len(upstream.passed),
        ours=len(ours.passed),
        skipped=upstream.skipped,
        only_upstream={test: ours.failed.get(test, "did not run") for test in lost},
        only_ours=sorted(ours.passed - upstream.passed),
        both_fail=len(set(upstream.failed) & set(ours.failed)),
        reasons=reasons,
        trouble=trouble,
    )


def examine_all(
    chosen: Sequence[Project], places: suites.Places, baseline: Path, tree: Path, repeat: bool
) -> list[Line]:
    """Examine projects one after the other, and print the line of each."""
    lines = []
    for project in chosen:
        if project.leaves_out:
            print(f"{project.name:20} left out: {project.leaves_out}", flush=True)
            continue
        try:
            line = examine(project, places, baseline, tree, repeat)
        except environment.InstallError as error:  # the others have theirs
            line = Line(project.name, 0, 0, 0, {}, [], 0, {}, trouble=str(error))
        lines.append(line)
        print(line.shown(), flush=True)
    return lines


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ci/downstream", description=__doc__)
    parser.add_argument("project", nargs="*", help="as on the package index; all without one")
    parser.add_argument("--ours", action="store_true", help="do not repeat what upstream passed before")
    parser.add_argument(
        "--upstream",
        metavar="VERSION",
        default=FOLLOWED,
        help="of the baseline, in place of the one followed",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found to FILE")
    parser.add_argument("--list", action="store_true", help="only tell which projects there are")
    options = parser.parse_args(arguments)
    unknown = set(options.project) - {project.name for project in PROJECTS}
    if unknown:
        parser.error(f"no such project: {', '.join(sorted(unknown))}; --list tells which there are")
    chosen = [project for project in PROJECTS if not options.project or project.name in options.project]
    if options.list:
        for project in chosen:
            print(f"{project.name:20} {project.leaves_out or project.program or ' '.join(project.tests)}")
        return 0

    try:
        places = suites.Places()
        baseline = places.release(options.upstream)
        with tempfile.TemporaryDirectory(prefix="fsspec-downstream-") as folder:
            lines = examine_all(chosen, places, baseline, suites.copy_of_tree(Path(folder)), not options.ours)
    except environment.InstallError as error:
        print(f"ci/downstream: {error}", file=sys.stderr)
        return 2
    if options.json:
        text = json.dumps([{**asdict(line), "good": line.good} for line in lines], indent=1)
        with tempfile.NamedTemporaryFile("w", dir=options.json.parent, delete=False) as f:
            f.write(text)
        Path(f.name).replace(options.json)
    bad = [line.name for line in lines if not line.good]
    print(f"{len(lines) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    environment.finish(main, sys.argv[1:])
