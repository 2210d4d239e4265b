"""The conductor: servers, data, one program after another, and the verdict.

It imports nothing that forks or that the programs show: what it learns of them is what they
print, how they end, and that their standard error stays empty.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from environment import finish

from . import data
from .record import ALL_BYTES, WORKERS, Told, mib
from .report import Report
from .servers import LOOPBACK, isolate, running
from .ways import WAYS, write_data

LIMIT = 30.0  # seconds for a single read; the slowest needs about 1, with the start of a worker
PROGRAM_LIMIT = LIMIT * 1.5
UPSTREAM_LIMIT = 8.0  # the same for upstream, of which a hang is to be shown and not to be waited for
TORCH = os.environ.get("FSSPEC_DEMO_TORCH") == "1"
PLAYERS = "PyTorch DataLoader workers" if TORCH else "workers of multiprocessing"


class Side(NamedTuple):
    """Whose fsspec runs: the interpreter that has it, and the limits in seconds."""

    name: str
    python: str
    limit: float
    program_limit: float


Play = Callable[[Told, Side], None]


def ways_of(method: str) -> list[str]:
    """All ways for forks; for comparison with spawn one of S3 and one of HTTP."""
    return list(WAYS) if method == "fork" else ["array", "http"]


def lines(process: subprocess.Popen[bytes], limit: float) -> Iterator[dict[str, Any]]:
    """The events that a program tells, until it ends or ``limit`` seconds have gone by."""
    assert process.stdout is not None
    pending = b""
    deadline = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            more = os.read(process.stdout.fileno(), 65536)
            if not more:
                return
            *whole, pending = (pending + more).split(b"\n")
            yield from map(json.loads, whole)
    raise TimeoutError


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and whatever it forked: it leads a session, so that is its process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the whole group has gone already
    process.wait()


def play(
    report: Report, told: Told, side: Side, addresses: tuple[str, str], share: float, step: float
) -> None:
    """Run one program to its end, with the bar going on from ``share`` by ``step``."""
    environ = dict(os.environ, PYTHONUNBUFFERED="1")
    environ.pop("FSSPEC_FORK_RESET", None)
    if told.opted_in and told.method == "fork":
        environ["FSSPEC_FORK_RESET"] = "1"
    expected = (WORKERS * data.CHUNKS) if told.opted_in else WORKERS
    limits = [str(side.limit), str(side.program_limit)]
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [side.python, "-m", "demo_lib.program", told.way, told.method, *addresses, *limits],
            cwd=Path(__file__).parent.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=noise,
            start_new_session=True,
        )
        try:
            for event in lines(process, side.program_limit + 5):
                told.take(event)
                done = share + step * min(1.0, told.reads / expected)
                report.bar(done, f"{side.name}: {told.name}, {told.method}: {mib(told.bytes)} verified")
            code = process.wait(5)
            if code == -signal.SIGALRM:
                told.ended = f"hangs (no answer for {side.limit:.0f} s)"
            elif code:
                told.ended = f"ended with {code}"
        except (TimeoutError, subprocess.TimeoutExpired):  # its own alarm comes earlier
            told.ended = f"hangs: it did not end within {side.program_limit:.0f} s, nor at its alarm"
        finally:
            end(process)
        noise.seek(0)
        told.noise = noise.read().decode(errors="replace")


def cells(told: Told, findings: dict[tuple[str, str], tuple[str, str, str]]) -> list[str]:
    """A row of the table: here, then upstream."""
    if not told.opted_in:
        how, rest = "fork, unset", ["refused", "", ""]
    else:
        how = told.method
        rest = [
            f"{len(told.workers)} x {mib(told.bytes // max(1, len(told.workers)))}",
            "-" if told.first is None else f"{told.first * 1000:.0f} ms",
            "-" if not told.last else f"{told.bytes / told.last / 2**20:.0f} MiB/s",
        ]
    ours = [*rest, "unharmed" if told.parent else "harmed", "WRONG" if told.wrong else "ok"]
    return [told.name, how, *ours, *findings[told.way, told.method][:2]]


def play_upstream(report: Report, play_one: Play, python: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    """The same programs with upstream: what came of each, by way and method."""
    side = Side("upstream", python, UPSTREAM_LIMIT, PROGRAM_LIMIT)
    found = {}
    report.head(f"Upstream fsspec: opened here, inherited by {WORKERS} forked {PLAYERS}")
    for method in ("fork", "spawn"):
        if method == "spawn":
            report.head("Upstream with spawn, for comparison: no handle is inherited")
        for way in ways_of(method):
            told = Told(way, method)
            play_one(told, side)
            found[way, method] = told.findings(side.limit)
            report.line(f"  - {found[way, method][2]}")
    return found


def play_ours(report: Report, play_one: Play) -> list[Told]:
    """The programs with this package, in its two modes and by spawn."""
    side = Side("here", sys.executable, LIMIT, PROGRAM_LIMIT)
    parts = [
        (f"Here: opened here, inherited by {WORKERS} forked {PLAYERS} (FSSPEC_FORK_RESET=1)", "fork", True),
        ("Here without the variable: a clear refusal instead of a hang", "fork", False),
        ("Here with spawn, for comparison: no handle is inherited", "spawn", True),
    ]
    all_told: list[Told] = []
    for title, method, opted_in in parts:
        report.head(title)
        for way in ways_of(method):
            told = Told(way, method, opted_in)
            play_one(told, side)
            told.judge()
            all_told.append(told)
            report.result(not told.wrong, told.sentence())
            if told.wrong[1:]:
                report.details("\n".join(told.wrong[1:]))
        if not opted_in and all_told[-1].refusals:
            report.line("    What the worker is told:")
            report.details(next(iter(all_told[-1].refusals.values()))[1])
    return all_told


def demonstrate(
    report: Report, upstream: str
) -> tuple[list[Told], dict[tuple[str, str], tuple[str, str, str]]]:
    """Start the servers, write the data, and run all programs, one after another."""
    steps = 2 * len(ways_of("spawn")) + 3 * len(ways_of("fork"))
    count = itertools.count()
    with tempfile.TemporaryDirectory(prefix="fsspec-demo-") as folder:
        report.bar(0, "starting the servers")
        with running("s3", LOOPBACK) as s3, running("http", LOOPBACK, folder) as http:
            size = mib(data.TOTAL_BYTES)
            report.bar(0.02, f"writing {size} as array, object, small objects and file")
            write_data(s3, Path(folder))
            report.line(
                f"An S3 server and an HTTP server on loopback hold {size},"
                f" as array, object, {data.CHUNKS} small objects and file."
            )
            report.line(
                f"Each of {WORKERS} workers reads all of it, in {data.CHUNKS} parts:"
                f" {mib(ALL_BYTES)} for each program."
            )

            def play_one(told: Told, side: Side) -> None:
                step = 0.95 / steps
                play(report, told, side, (s3, http), 0.05 + step * next(count), step)

            found = play_upstream(report, play_one, upstream)
            return play_ours(report, play_one), found


def main(upstream: str) -> int:
    began = time.monotonic()
    isolate()
    report = Report()
    version = importlib.metadata.version
    report.line(
        report.paint("Handles that survive a fork", "1") + f": fsspec {version('fsspec')}, s3fs "
        f"{version('s3fs')}, zarr {version('zarr')}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores"
    )
    try:
        all_told, found = demonstrate(report, upstream)
    except KeyboardInterrupt:
        report.line("Stopped; the servers and workers are gone.")
        return 130
    report.head("What was read, here and with upstream")
    report.table(
        [
            "handle",
            "workers by",
            "verified",
            "first byte",
            "throughput",
            "parent",
            "",
            "upstream",
            "its parent",
        ],
        [cells(told, found) for told in all_told],
    )
    report.line()
    wrong = sum(bool(told.wrong) for told in all_told)
    took = f"{time.monotonic() - began:.0f} seconds"
    if wrong:
        report.result(False, f"{wrong} of {len(all_told)} ways went wrong here ({took}).")
        return 1
    report.result(True, f"All {len(all_told)} as they should be here ({took}).")
    return 0


if __name__ == "__main__":
    finish(main, *sys.argv[1:])
