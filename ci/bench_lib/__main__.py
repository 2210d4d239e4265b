"""The driver: environments, data, rounds, and the table."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from environment import InstallError, ensure

from .case import Case, load
from .listings import make_local

CI = Path(__file__).resolve().parent.parent
SIDES = ("ours", "upstream", "limit")
LIMIT = 60.0  # seconds for one case in one process
Figures = dict[str, list[dict[str, Any]]]


def interpreters() -> dict[str, Path]:
    """An interpreter for each side; the limit needs no fsspec and uses ours."""
    print("environments ...", file=sys.stderr, flush=True)
    needed = ["aiohttp", "moto[server]", "s3fs==2026.9.0"]
    ours = ensure("bench", needed, tree="copy")
    upstream = ensure("bench-upstream", [*needed, "fsspec==2026.9.0"])
    return {"ours": ours, "upstream": upstream, "limit": ours}


@contextlib.contextmanager
def server(python: Path, module: str) -> Iterator[str]:
    """A server of this folder, in a process of its own; gives its address."""
    process = subprocess.Popen(
        [str(python), "-m", f"bench_lib.{module}"],
        cwd=CI,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def run(python: Path, side: str, name: str, bench: dict[str, Any]) -> dict[str, Any]:
    """One case in one process: its figure, or {"error": the last line it said}."""
    words = [
        str(python),
        "-m",
        "bench_lib.worker",
        "limit" if side == "limit" else "work",
        name,
        json.dumps(bench),
    ]
    environ = {
        k: v
        for k, v in os.environ.items()
        if k not in ("PYTHONPATH", "FSSPEC_FORK_RESET") and not k.startswith("AWS_")
    }
    environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )
    try:
        done = subprocess.run(
            words,
            cwd=CI,
            env=environ,
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"longer than {LIMIT:.0f} seconds"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def progress(text: str) -> None:
    """What runs, on a terminal; an empty text clears the line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def seconds_of(figures: list[dict[str, Any]]) -> list[float]:
    return [figure["seconds"] for figure in figures if "seconds" in figure]


def ratio(above: list[dict[str, Any]], below: list[dict[str, Any]]) -> float | None:
    """The median of the rounds' ratios: what changed between rounds met both sides."""
    ratios = [
        a["seconds"] / b["seconds"]
        for a, b in zip(above, below, strict=True)
        if "seconds" in a and "seconds" in b
    ]
    return statistics.median(ratios) if ratios else None


def difference(above: list[dict[str, Any]], below: list[dict[str, Any]]) -> float | None:
    """The median of the rounds' differences, in seconds."""
    found = [
        a["seconds"] - b["seconds"]
        for a, b in zip(above, below, strict=True)
        if "seconds" in a and "seconds" in b
    ]
    return statistics.median(found) if found else None


def duration(figures: list[dict[str, Any]]) -> str:
    found = seconds_of(figures)
    return written(statistics.median(found)) if found else "-"


def written(value: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def large(value: int) -> str:
    if value >= 2**20:
        return f"{value / 2**20:.1f}M"
    return f"{value / 2**10:.0f}k" if value >= 2**14 else f"{value}"


def counted(figures: Figures) -> str:
    """What was counted, ours and upstream's: ``requests 5/7, bytes 64.0M/64.0M``."""
    told = []
    for what in ("modules", "requests", "bytes"):
        values = [next((f[what] for f in figures[side] if what in f), None) for side in SIDES]
        if any(value is not None for value in values):
            told.append(what + " " + "/".join("-" if v is None else large(v) for v in values))
    return ", ".join(told)


def row(case: Case, figures: Figures) -> list[str]:
    found = ratio(figures["ours"], figures["upstream"])
    aim, compared, shown = case.aim, found, number(case.aim)
    if case.limit_aim is not None:
        aim, compared = case.limit_aim, ratio(figures["ours"], figures["limit"])
        shown = f"limit x {case.limit_aim:g}"
    if case.over is not None:
        aim, compared = case.over, difference(figures["ours"], figures["limit"])
        shown = f"limit + {written(case.over)}"
    if aim is None or compared is None:
        mark = ""
    elif compared <= aim:
        mark = "ok"
    else:
        mark = "above 1" if case.limit_aim is case.over is None and compared > 1 else "above aim"
    return [
        case.name,
        case.text,
        *(duration(figures[side]) for side in SIDES),
        number(found),
        shown,
        mark,
        number(ratio(figures["upstream"], figures["limit"])),
        counted(figures),
    ]


def table(cases: Sequence[Case], figures: dict[str, Figures]) -> str:
    heads = ["case", "work", *SIDES, "ours/upstream", "aim", "", "upstream/limit", "ours/upstream/limit"]
    rows = [heads, *(row(case, figures[case.name]) for case in cases)]
    widths = [max(len(cells[n]) for cells in rows) for n in range(len(heads))]
    left = {0, 1, 7, 9}
    lines = [
        "  ".join(
            cell.ljust(w) if n in left else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def errors(figures: dict[str, Figures]) -> list[str]:
    """What went wrong, once for a case and side."""
    told: dict[str, None] = {}
    for name, sides in figures.items():
        for side, found in sides.items():
            for figure in found:
                if "error" in figure:
                    told[f"{name}, {side}: {figure['error']}"] = None
    return list(told)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/bench", description="What work costs here, in upstream 2026.9.0, and at the limit."
    )
    parser.add_argument("case", nargs="*", help="names or patterns of cases, such as 'http-*'; default all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each case runs (3)")
    parser.add_argument("--full", action="store_true", help="50,000 files and 256 MB, not 20,000 and 64")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--json", metavar="FILE", help="write all figures there as well")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    known = load()
    wanted = [
        case
        for name, case in known.items()
        if not options.case or any(fnmatch.fnmatch(name, pattern) for pattern in options.case)
    ]
    if not wanted:
        print(f"no such case; known are {', '.join(known)}", file=sys.stderr)
        return 2
    if options.list:
        for case in wanted:
            print(f"{case.name:20} {case.text}")
        return 0
    began = time.monotonic()
    try:
        pythons = interpreters()
    except InstallError as error:
        print(f"ci/bench: {error}", file=sys.stderr)
        return 1
    figures: dict[str, Figures] = {case.name: {side: [] for side in SIDES} for case in wanted}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-bench-"))
        address = stack.enter_context(server(pythons["ours"], "server"))
        bench = {"folder": folder, "site": address, "full": options.full}
        if any(case.s3 for case in wanted):
            bench["s3"] = stack.enter_context(server(pythons["ours"], "s3"))
        make_local(folder, 50_000 if options.full else 20_000)
        for turn in range(options.rounds):
            for case in wanted:
                progress(f"round {turn + 1} of {options.rounds}: {case.name}")
                for side in SIDES:
                    figures[case.name][side].append(run(pythons[side], side, case.name, bench))
    progress("")
    print(table(wanted, figures))
    for line in errors(figures):
        print(line)
    print(
        f"{len(wanted)} cases, {options.rounds} rounds, {time.monotonic() - began:.0f} seconds; "
        "ratios are medians over the rounds, figures those of one operation"
    )
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 1 if any("error" in f for sides in figures.values() for f in sides["ours"]) else 0


if __name__ == "__main__":
    sys.exit(main())
