"""The conductor: servers, data, one program after another, and the verdict.

It imports nothing that forks or that the programs show: what it learns of them is what they
print, how they end, and that their standard error stays empty.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import data
from .report import Report
from .servers import running
from .ways import BUCKET, WAYS, s3_options

WORKERS = 4
LIMIT = 30.0  # seconds for each worker; the slowest needs about 3
PROGRAM_LIMIT = LIMIT * 1.5
TORCH = os.environ.get("FSSPEC_DEMO_TORCH") == "1"


@dataclass
class Told:
    """What one program told, and how it ended."""

    way: str
    method: str
    opted_in: bool
    reads: int = 0
    bytes: int = 0
    first: float | None = None
    last: float = 0.0
    workers: set[int] = field(default_factory=set)
    refusals: dict[int, list[Any]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    parent: bool = False

    def take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        error = event.get("error")
        if kind == "read":
            if error:
                self.refusals[event["worker"]] = error
                return
            self.reads += 1
            self.bytes += event["size"]
            self.workers.add(event["worker"])
            self.first = event["at"] if self.first is None else min(self.first, event["at"])
            self.last = max(self.last, event["at"])
        elif kind == "open" and error:
            self.wrong.append(f"the parent could not read before the fork: {error[0]}: {error[1]}")
        elif kind == "parent":
            self.parent = error is None
            if error:
                self.wrong.append(f"the parent was harmed: {error[0]}: {error[1]}")
        elif kind == "died":
            self.wrong.append(f"a worker ended with code {event['code']}")
        elif kind == "exited" and event["code"] != 0:
            code = event["code"]
            self.wrong.append("a child that only exits " + ("hung" if code is None else f"ended with {code}"))

    def blame(self, said: dict[int, str]) -> None:
        """Add what is wrong with workers; once, where it is the same for several."""
        for text in dict.fromkeys(said.values()):
            names = ", ".join(str(worker) for worker in sorted(said) if said[worker] == text)
            self.wrong.append(f"worker {names} {text[:400]}")

    def judge(self) -> None:
        """Add to ``wrong`` what the workers did not do as they should."""
        if self.opted_in:
            self.blame({w: f"failed: {e[0]}: {e[1]}" for w, e in self.refusals.items()})
            expected = WORKERS * data.TOTAL_BYTES
            if self.bytes != expected and not self.refusals:
                self.wrong.append(f"{self.bytes:,} bytes were verified, not {expected:,}")
        else:
            met = {w: self.refusals.get(w, ["nothing", "it was not refused", False]) for w in range(WORKERS)}
            self.blame(
                {
                    w: f"should meet ForkError, met {e[0]}: {e[1]}"
                    for w, e in met.items()
                    if e[0] != "ForkError" or "fork-safe" not in e[1] or not e[2]
                }
            )
        if not self.parent and not any("parent" in text for text in self.wrong):
            self.wrong.append("the parent did not come to read again")


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


def play(report: Report, told: Told, s3: str, http: str, share: tuple[float, float]) -> None:
    """Run one program to its end, with the bar going from ``share[0]`` to ``share[1]``."""
    way = WAYS[told.way]
    environ = dict(os.environ, PYTHONUNBUFFERED="1")
    environ.pop("FSSPEC_FORK_RESET", None)
    if told.opted_in and told.method == "fork":
        environ["FSSPEC_FORK_RESET"] = "1"
    expected = (WORKERS * data.CHUNKS) if told.opted_in else WORKERS
    seen = 0
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "demo_lib.program",
                told.way,
                told.method,
                s3,
                http,
                str(LIMIT),
                str(PROGRAM_LIMIT),
            ],
            cwd=Path(__file__).parent.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=noise,
            start_new_session=True,
        )
        try:
            for event in lines(process, PROGRAM_LIMIT + 5):
                told.take(event)
                seen += event["event"] == "read"
                done = share[0] + (share[1] - share[0]) * min(1.0, seen / expected)
                report.bar(done, f"{way.name}, {told.method}: {told.bytes / 2**20:.0f} MiB verified")
            code = process.wait(5)
            if code == -signal.SIGALRM:
                told.wrong.append(f"it hung: it did not end within {PROGRAM_LIMIT:.0f} seconds")
            elif code:
                told.wrong.append(f"the program ended with {code}")
        except (TimeoutError, subprocess.TimeoutExpired):  # its own alarm comes earlier
            told.wrong.append(f"it did not end within {PROGRAM_LIMIT:.0f} seconds, nor at its alarm")
        finally:
            end(process)
        told.judge()
        noise.seek(0)
        said = noise.read().decode(errors="replace")
    if said:
        told.wrong.append("something was written to standard error")
    if told.wrong:
        told.wrong.extend(said.splitlines()[-60:])  # the stacks, where something hung


def sentence(told: Told) -> str:
    name = WAYS[told.way].name
    if told.wrong:
        return f"{name}: {told.wrong[0]}"
    if not told.opted_in:
        return f"{name}: refused in all {WORKERS} workers with ForkError; the parent reads on unharmed."
    means = "inherited" if told.method == "fork" else "sent to spawned processes"
    return (
        f"{name}: {means}, read in full by {len(told.workers)} workers, all "
        f"{told.bytes / 2**20:.0f} MiB right; the parent reads on unharmed."
    )


def cells(told: Told) -> list[str]:
    if not told.opted_in:
        how = "fork, variable unset"
        rest = ["0", "refused", "refused"]
    else:
        how = told.method
        rest = [
            f"{told.bytes:,}",
            "-" if told.first is None else f"{told.first * 1000:.0f} ms",
            "-" if not told.last else f"{told.bytes / told.last / 2**20:.0f} MiB/s",
        ]
    workers = len(told.workers) if told.opted_in else len(told.refusals)
    return [
        WAYS[told.way].name,
        how,
        str(workers),
        *rest,
        "unharmed" if told.parent else "harmed",
        "WRONG" if told.wrong else "ok",
    ]


def write_data(s3: str, folder: Path) -> None:
    """Put the data where the ways find it: as an array, an object, small objects, and a file."""
    import zarr

    import fsspec

    (folder / "data.bin").write_bytes(data.everything())
    fs = fsspec.filesystem("s3", **s3_options(s3))
    fs.mkdir(BUCKET)
    fs.pipe_file(f"{BUCKET}/data.bin", data.everything())
    fs.pipe({f"{BUCKET}/chunks/{n}": data.chunk_bytes(n) for n in range(data.CHUNKS)})
    array = zarr.create_array(
        f"s3://{BUCKET}/array",
        storage_options=s3_options(s3),
        shape=(data.CHUNKS * data.ITEMS,),
        chunks=(data.ITEMS,),
        dtype="uint32",
        compressors=None,
    )
    for number in range(data.CHUNKS):
        array[number * data.ITEMS : (number + 1) * data.ITEMS] = data.chunk(number)


def demonstrate(report: Report) -> list[Told]:
    players = "PyTorch DataLoader workers" if TORCH else "workers of multiprocessing"
    parts = [
        (f"Opened here, inherited by {WORKERS} forked {players} (FSSPEC_FORK_RESET=1)", "fork", True),
        ("The same without the variable: a clear refusal instead of a hang", "fork", False),
        ("The same with spawn, for comparison: no handle is inherited", "spawn", True),
    ]
    all_told: list[Told] = []
    with tempfile.TemporaryDirectory(prefix="fsspec-demo-") as folder:
        report.bar(0, "starting the servers")
        with running("s3") as s3, running("http", folder) as http:
            report.bar(0.02, "writing 16 MiB as array, object, small objects and file")
            write_data(s3, Path(folder))
            report.line(f"An S3 server and an HTTP server on loopback hold {data.TOTAL_BYTES:,} bytes.")
            steps = len(parts) * len(WAYS)
            for title, method, opted_in in parts:
                report.head(title)
                for way in WAYS:
                    told = Told(way, method, opted_in)
                    share = (0.05 + 0.95 * len(all_told) / steps, 0.05 + 0.95 * (len(all_told) + 1) / steps)
                    play(report, told, s3, http, share)
                    all_told.append(told)
                    report.result(not told.wrong, sentence(told))
                    if told.wrong[1:]:
                        report.details("\n".join(told.wrong[1:]))
                if not opted_in and all_told[-1].refusals:
                    report.line("    What the worker is told:")
                    report.details(next(iter(all_told[-1].refusals.values()))[1])
    return all_told


def isolate() -> None:
    """Keep the user's AWS profile and proxies out of it: all traffic is for loopback."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_S3"))]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )


def main() -> int:
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
        all_told = demonstrate(report)
    except KeyboardInterrupt:
        report.line("Stopped; the servers and workers are gone.")
        return 130
    report.head("What was read")
    report.table(
        ["way", "workers by", "workers", "bytes verified", "first byte", "throughput", "parent", ""],
        [cells(told) for told in all_told],
    )
    report.line()
    wrong = sum(bool(told.wrong) for told in all_told)
    took = f"{time.monotonic() - began:.0f} seconds"
    if wrong:
        report.result(False, f"{wrong} of {len(all_told)} ways went wrong ({took}).")
        return 1
    report.result(True, f"All {len(all_told)} as they should be ({took}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
