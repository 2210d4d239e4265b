"""The demonstration's job on a dask cluster, with a worker that is killed in the middle.

    python -m demo_lib.cluster [--address tcp://HOST:PORT] [--handles array,http] [--workers 2]

A handle of each kind is opened and read here, and sent, serialised, with tasks. A task reads through it,
forks a pool of its own that reads through the same handle, verifies every byte, and reads again after the
pool has ended. In the middle of one task its worker process is killed, as by a lack of memory: the
cluster runs the task again elsewhere, and a nanny starts another worker. The job has to end with
all bytes right.

Without ``--address`` the cluster is made here: a scheduler, and worker processes with nannies. With it the
workers need what ``ci/requirements/demo-dask.txt`` names, this package, and
``DASK_DISTRIBUTED__WORKER__DAEMON=False``, without which Python lets none of them start processes; the two
servers then listen on the address of this machine from which the scheduler is reached. A worker of that
cluster is killed, too, if it has a nanny.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import platform
import signal
import socket
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environment import finish

from . import data, program, record, servers, ways
from .record import in_words, mib
from .report import Report
from .servers import LOOPBACK, isolate, running
from .ways import WAYS, write_data

PARTS = 4
"""Tasks for each kind of handle; together they read everything once."""
POOL = 2
"""Processes that each task forks."""
LIMIT = 60.0
"""Seconds for one read, and for the cluster to finish a further task."""
KILLED = "fsspec-demonstration-killed"
"""Name of the cluster's event that says that the worker has been killed."""


def read_part(way_name: str, handle: Any, part: int, dies: bool) -> dict[str, Any]:
    """The task: read a part of the data through a handle that was sent here, by a pool that is forked here.

    Parameters
    ----------
    dies
        whether this process is to be killed at the first chunk, if no worker has been yet.
    """
    import multiprocessing

    from distributed import Event

    if multiprocessing.current_process().daemon:
        raise RuntimeError(
            "this worker may start no processes: set DASK_DISTRIBUTED__WORKER__DAEMON=False for it"
        )
    os.environ["FSSPEC_FORK_RESET"] = "1"  # read at the fork
    way = WAYS[way_name]
    began = time.monotonic()
    outcomes = [program.read_one(way, handle, -1, part * data.CHUNKS // PARTS)]
    chunks = range(part * data.CHUNKS // PARTS, (part + 1) * data.CHUNKS // PARTS)
    first = None
    for outcome in program.by_pool(way_name, handle, "fork", LIMIT, [chunks[n::POOL] for n in range(POOL)]):
        outcomes.append(outcome)
        if first is None and outcome["event"] == "read":
            first = outcome["at"] - began
        if dies and not Event(KILLED).is_set():
            Event(KILLED).set()
            os.kill(os.getpid(), signal.SIGKILL)
    after = program.read_one(way, handle, -1, chunks[0])
    return {
        "way": way_name,
        "process": f"{socket.gethostname()} {os.getpid()}",
        "bytes": sum(o["size"] for o in outcomes[1:] if o["event"] == "read"),
        "errors": [in_words(o["error"]) for o in [*outcomes, after] if o.get("error")]
        + [f"a process of the pool ended with {o['code']}" for o in outcomes if o["event"] == "died"],
        "first": first,
        "took": time.monotonic() - began,
    }


@dataclass
class Row:
    """What came of one kind of handle."""

    bytes: int = 0
    processes: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    first: float = float("inf")
    took: float = 0.0

    def take(self, result: dict[str, Any]) -> None:
        self.bytes += result["bytes"]
        self.processes.add(result["process"])
        self.errors += result["errors"]
        self.first = min(self.first, result["first"] or self.first)
        self.took += result["took"]

    def cells(self, name: str) -> list[str]:
        good = self.bytes == data.TOTAL_BYTES and not self.errors
        return [
            name,
            f"{PARTS} tasks, {len(self.processes)} processes",
            mib(self.bytes),
            f"{self.first * 1000:.0f} ms",
            f"{self.bytes / self.took / 2**20:.0f} MiB/s",
            "ok" if good else "WRONG",
        ]


@contextlib.contextmanager
def cluster_here(workers: int) -> Iterator[str]:
    """A scheduler and worker processes with nannies; gives the scheduler's address."""
    import dask
    from distributed import LocalCluster

    # a daemonic process may start none, and the tasks start some
    with dask.config.set({"distributed.worker.daemon": False}):
        with LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host=LOOPBACK,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,  # that a worker has died is what is shown
        ) as cluster:
            yield cluster.scheduler_address


def own_address(scheduler: str) -> str:
    """The address of this machine from which the scheduler is reached."""
    parsed = urllib.parse.urlsplit(scheduler)
    with socket.create_connection((parsed.hostname, parsed.port or 8786), timeout=30) as connection:
        return str(connection.getsockname()[0])


def processes(client: Any) -> set[str]:
    """The worker processes that there are."""
    return set(client.run(lambda: f"{socket.gethostname()} {os.getpid()}", on_error="ignore").values())


def play(
    report: Report, client: Any, s3: str, http: str, handles: Sequence[str]
) -> tuple[dict[str, Row], str | None]:
    """Run the job; what came of each handle, and the task whose worker was killed."""
    from distributed import Event, as_completed

    nannies = [worker["nanny"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    Event(KILLED, client=client).clear()
    total = len(handles) * PARTS
    victim = total // 3 if any(nannies) else None
    tasks, names = [], []
    for number, (name, part) in enumerate(itertools.product(handles, range(PARTS))):
        if part == 0:
            handle = WAYS[name].open(s3, http)
            before = program.read_one(WAYS[name], handle, -1, 0)
            if before["error"]:
                raise RuntimeError(f"{name}: could not be read here: {in_words(before['error'])}")
        names.append(f"{WAYS[name].name}, part {part + 1} of {PARTS}")
        tasks.append(client.submit(read_part, name, handle, part, number == victim, pure=False))
    rows = {name: Row() for name in handles}
    for done, (_, result) in enumerate(as_completed(tasks, with_results=True, timeout=LIMIT * 4), 1):
        rows[result["way"]].take(result)
        report.bar(done / total, f"{done} of {total} tasks")
    return rows, None if victim is None else names[victim]


def demonstrate(report: Report, address: str, handles: Sequence[str]) -> bool:
    """Run the job on the cluster at ``address``, and show what came of it; whether all was right."""
    import cloudpickle
    from distributed import Client

    for module in (data, program, servers, record, ways, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)  # workers elsewhere do not have this folder
    host = own_address(address)
    with (
        tempfile.TemporaryDirectory(prefix="fsspec-demo-") as folder,
        Client(address, timeout=LIMIT) as client,
    ):
        versions = set(client.run(lambda: __import__("fsspec").__version__).values())
        before = processes(client)
        report.line(
            f"{len(before)} worker processes at {address}, with fsspec {', '.join(sorted(versions))}."
        )
        with running("s3", host) as s3, running("http", host, folder) as http:
            write_data(s3, Path(folder))
            report.line(
                f"Each handle is opened here and sent with {PARTS} tasks, which read {mib(data.TOTAL_BYTES)}"
                f" by {POOL} forked processes each."
            )
            rows, victim = play(report, client, s3, http, handles)
            with contextlib.suppress(TimeoutError):  # a nanny takes its time, too
                client.wait_for_workers(len(before), timeout=LIMIT)
            after = processes(client)
    wrong = [f"{WAYS[name].name}: {error}" for name, row in rows.items() for error in row.errors]
    report.head("What was read on the cluster")
    names = ["handle", "read by", "verified", "first byte", "per task", ""]
    report.table(names, [row.cells(WAYS[name].name) for name, row in rows.items()])
    report.line()
    for line in dict.fromkeys(wrong):
        report.result(False, line)
    if victim is None:
        report.line("  No worker was killed: none has a nanny that would start another one.")
    else:
        gone, came = before - after, after - before
        report.result(
            bool(gone),
            f"Worker {', '.join(gone) or '(none)'} was killed while it read {victim};"
            f"\n        the task ran again, and {len(came)} worker came in its place.",
        )
        wrong += [] if gone else ["no worker was killed"]
    return not wrong and all(row.bytes == data.TOTAL_BYTES for row in rows.values())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/demo --engine dask", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--address", help="of a running scheduler; a cluster is made here without it")
    parser.add_argument("--handles", default=",".join(WAYS), help="which, of " + ",".join(WAYS))
    parser.add_argument("--workers", type=int, default=2, help="of the cluster that is made here")
    given = parser.parse_args()
    given.handles = given.handles.split(",")
    if not set(given.handles) <= set(WAYS):
        parser.error(f"--handles: there are {', '.join(WAYS)}")
    return given


def main() -> int:
    given = arguments()
    began = time.monotonic()
    isolate()
    report = Report()
    report.line(
        report.paint("Handles that are sent to a cluster, and forked there", "1")
        + f": Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    try:
        with (
            cluster_here(given.workers)
            if not given.address
            else contextlib.nullcontext(given.address) as address
        ):
            good = demonstrate(report, address, given.handles)
    except KeyboardInterrupt:
        report.line("Stopped.")
        return 130
    took = f"{time.monotonic() - began:.0f} seconds"
    report.result(
        good, f"The job ended with every byte right ({took})." if good else f"The job went wrong ({took})."
    )
    return 0 if good else 1


if __name__ == "__main__":
    finish(main)
