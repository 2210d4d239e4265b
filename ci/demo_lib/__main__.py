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
from .record import ALL_BYTES, WORKERS, Record, mib
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


Play = Callable[[Record, Side], None]


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
    report: Report, record: Record, side: Side, addresses: tuple[str, str], share: float, step: float
) -> None:
    """Run one program to its end, with the bar going on from ``share`` by ``step``."""
    environ = dict(os.environ, PYTHONUNBUFFERED="1")
    environ.pop("FSSPEC_FORK_RESET", None)
    if record.opted_in and record.method == "fork":
        environ["FSSPEC_FORK_RESET"] = "1"
    expected = (WORKERS * data.CHUNKS) if record.opted_in else WORKERS
    limits = [str(side.limit), str(side.program_limit)]
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [side.python, "-m", "demo_lib.program", record.way, record.method, *addresses, *limits],
            cwd=Path(__file__).parent.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=noise,
            start_new_session=True,
        )
        try:
            for event in lines(process, side.program_limit + 5):
                record.take(event)
                done = share + step * min(1.0, record.reads / expected)
                report.bar(done, f"{side.name}: {record.name}, {record.method}: {mib(record.bytes)} verified")
            code = process.wait(5)
            if code == -signal.SIGALRM:
                record.ended = f"hangs (no answer for {side.limit:.0f} s)"
            elif code:
                record.ended = f"ended with {code}"
        except (TimeoutError, subprocess.TimeoutExpired):  # its own alarm comes earlier
            record.ended = f"hangs: it did not end within {side.program_limit:.0f} s, nor at its alarm"
        finally:
            end(process)
        noise.seek(0)
        record.noise = noise.read().decode(errors="replace")


def cells(record: Record, findings: dict[tuple[str, str], tuple[str, str, str]]) -> list[str]:
    """A row of the table: here, then upstream."""
    if not record.opted_in:
        how, rest = "fork, unset", ["refused", "", ""]
    else:
        how = record.method
        rest = [
            f"{len(record.workers)} x {mib(record.bytes // max(1, len(record.workers)))}",
            "-" if record.first is None else f"{record.first * 1000:.0f} ms",
            "-" if not record.last else f"{record.bytes / record.last / 2**20:.0f} MiB/s",
        ]
    ours = [*rest, "unharmed" if record.parent else "harmed", "WRONG" if record.wrong else "ok"]
    return [record.name, how, *ours, *findings[record.way, record.method][:2]]


def play_upstream(report: Report, play_one: Play, python: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    """The same programs with upstream: what came of each, by way and method."""
    side = Side("upstream", python, UPSTREAM_LIMIT, PROGRAM_LIMIT)
    found = {}
    report.head(f"Upstream fsspec: opened here, inherited by {WORKERS} forked {PLAYERS}")
    for method in ("fork", "spawn"):
        if method == "spawn":
            report.head("Upstream with spawn, for comparison: no handle is inherited")
        for way in ways_of(method):
            record = Record(way, method)
            play_one(record, side)
            found[way, method] = record.findings(side.limit)
            report.line(f"  - {found[way, method][2]}")
    return found


def play_ours(report: Report, play_one: Play) -> list[Record]:
    """The programs with this package, in its two modes and by spawn."""
    side = Side("here", sys.executable, LIMIT, PROGRAM_LIMIT)
    parts = [
        (f"Here: opened here, inherited by {WORKERS} forked {PLAYERS} (FSSPEC_FORK_RESET=1)", "fork", True),
        ("Here without the variable: a clear refusal instead of a hang", "fork", False),
        ("Here with spawn, for comparison: no handle is inherited", "spawn", True),
    ]
    records: list[Record] = []
    for title, method, opted_in in parts:
        report.head(title)
        for way in ways_of(method):
            record = Record(way, method, opted_in)
            play_one(record, side)
            record.judge()
            records.append(record)
            report.result(not record.wrong, record.sentence())
            if record.wrong[1:]:
                report.details("\n".join(record.wrong[1:]))
        if not opted_in and records[-1].refusals:
            report.line("    What such a worker reads:")
            report.details(next(iter(records[-1].refusals.values()))[1])
    return records


def demonstrate(
    report: Report, upstream: str
) -> tuple[list[Record], dict[tuple[str, str], tuple[str, str, str]]]:
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

            def play_one(record: Record, side: Side) -> None:
                step = 0.95 / steps
                play(report, record, side, (s3, http), 0.05 + step * next(count), step)

            found = play_upstream(report, play_one, upstream)
            return play_ours(report, play_one), found


def main(upstream: str, making: str) -> int:
    """``making``: the seconds that its environments took."""
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
        records, found = demonstrate(report, upstream)
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
        [cells(record, found) for record in records],
    )
    report.line()
    wrong = sum(bool(record.wrong) for record in records)
    took = f"{time.monotonic() - began:.0f} seconds, and {making} for the environments"
    if wrong:
        report.result(False, f"{wrong} of {len(records)} ways went wrong here ({took}).")
        return 1
    report.result(True, f"All {len(records)} as they should be here ({took}).")
    return 0


if __name__ == "__main__":
    finish(main, *sys.argv[1:])
