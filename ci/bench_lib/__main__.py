"""The driver: environments, data, rounds, and the table."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from environment import InstallError, ensure, finish

from . import calls
from .case import Case, load
from .listings import make_local
from .report import SIDES, Figures, errors, markdown, plot, table

CI = Path(__file__).resolve().parent.parent
LIMIT = 60.0  # seconds for one case in one process; of the larger sizes ten times as long


def interpreters(given: Sequence[str] | None) -> dict[str, Path]:
    """An interpreter for each side; the limit needs no fsspec and uses ours."""
    if given:
        ours, upstream = map(Path, given)
        return {"ours": ours, "upstream": upstream, "limit": ours}
    print("environments ...", file=sys.stderr, flush=True)
    needed = ["aiohttp", "moto[server]", "obstore", "s3fs==2026.9.0"]
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


def run(python: Path, side: str, name: str, bench: dict[str, Any], path: str | None) -> dict[str, Any]:
    """One case in one process: its figures, or {"error": the last line it said}."""
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
    if path is not None:
        environ["PYTHONPATH"] = path
    limit = LIMIT * 10 if bench["full"] else LIMIT
    try:
        done = subprocess.run(
            words,
            cwd=CI,
            env=environ,
            stdin=subprocess.DEVNULL,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"longer than {limit:.0f} seconds"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def progress(text: str) -> None:
    """What runs, on a terminal; an empty text clears the line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/bench", description="What work costs here, in upstream 2026.9.0, and at the limit."
    )
    parser.add_argument("case", nargs="*", help="names or patterns of cases, such as 'http-*'; default all")
    parser.add_argument("--only", action="append", default=[], metavar="CASE", help="the same as an option")
    parser.add_argument("--rounds", type=int, help="how often each case runs (3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="without the limits")
    parser.add_argument("--full", action="store_true", help="50,000 files and 256 MB, not 20,000 and 64")
    parser.add_argument(
        "--calls",
        action="store_true",
        help="the single calls of calls.txt: which take longer than upstream's; CASE is the beginning of one,"
        " such as 'local: fs.cat', and the times of those named are all told",
    )
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--json", metavar="FILE", help="write all figures there as well")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there in Markdown")
    parser.add_argument("--plot", metavar="FILE", help="write a plot of the ratios there, as SVG")
    parser.add_argument(
        "--with", nargs=2, metavar=("OURS", "UPSTREAM"), dest="interpreters",
        help="interpreters to use, rather than to make environments; the first takes fsspec from this tree",
    )  # fmt: skip
    return parser.parse_args(arguments)


def chosen(patterns: Sequence[str]) -> list[Case]:
    return [
        case
        for name, case in load().items()
        if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    ]


def measure(
    wanted: Sequence[Case], options: argparse.Namespace, pythons: dict[str, Path]
) -> dict[str, Figures]:
    """All rounds of all cases; a side that has not run a case has no figures in it."""
    figures: dict[str, Figures] = {case.name: {side: [] for side in SIDES} for case in wanted}
    path = str(CI.parent) if options.interpreters else None
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-bench-"))
        address = stack.enter_context(server(pythons["ours"], "server"))
        bench = {"folder": folder, "site": address, "full": options.full}
        if any(case.s3 for case in wanted):
            bench["s3"] = stack.enter_context(server(pythons["ours"], "s3"))
        make_local(folder, 50_000 if options.full else 20_000)
        rounds = options.rounds or (1 if options.quick else 3)
        for turn in range(rounds):
            for case in wanted:
                progress(f"round {turn + 1} of {rounds}: {case.name}")
                for side in SIDES:
                    if side == "limit" and (options.quick or case.limit is None):
                        figures[case.name][side].append({})
                        continue
                    found = run(pythons[side], side, case.name, bench, path if side == "ours" else None)
                    figures[case.name][side].append(found)
    progress("")
    return figures


def compare_calls(options: argparse.Namespace) -> int:
    pythons = interpreters(options.interpreters)
    with server(pythons["ours"], "server") as address:
        path = str(CI.parent) if options.interpreters else None
        calls.main(pythons, path, address, [*options.case, *options.only], options.rounds or 9)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.calls:
        return compare_calls(options)
    wanted = chosen([*options.case, *options.only])
    if not wanted:
        print(f"no such case; known are {', '.join(load())}", file=sys.stderr)
        return 2
    if options.list:
        for case in wanted:
            print(f"{case.name:20} {case.text}")
        return 0
    began = time.monotonic()
    try:
        pythons = interpreters(options.interpreters)
    except InstallError as error:
        print(f"ci/bench: {error}", file=sys.stderr)
        return 1
    figures = measure(wanted, options, pythons)
    print(table(wanted, figures))
    for line in errors(figures):
        print(line)
    print(
        f"{len(wanted)} cases, {time.monotonic() - began:.0f} seconds; times are medians of one operation; "
        "ratios are of the smallest CPU times where all work is done in the process, and medians over the "
        "rounds' elapsed times otherwise; the spread is over the rounds"
    )
    for file, text in (
        (options.json, json.dumps(figures, indent=1)),
        (options.markdown, markdown(wanted, figures) + "\n"),
        (options.plot, plot(wanted, figures) if options.plot else ""),
    ):
        if file:
            Path(file).write_text(text, encoding="utf-8")
    return 1 if any("error" in f for sides in figures.values() for f in sides["ours"]) else 0


if __name__ == "__main__":
    finish(main)
