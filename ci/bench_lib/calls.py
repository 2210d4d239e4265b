"""Single calls, each by itself, here and in upstream in turn: processor times, and which are dearer.

The calls are the lines of ``calls.txt``.  Each side is a process that stays and is told which
call to make how often, so that both meet the same state of the machine.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import io
import itertools
import json
import operator
import os
import pathlib
import pickle
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import timeit
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SHORT, MOST = 0.004, 2000  # seconds, and calls, of one round
PAIRS = 3  # of processes, one after the other, that share the rounds
Call = tuple[str, str]


def groups() -> dict[str, tuple[str, list[str]]]:
    """What prepares each group, and its calls."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    _, *parts = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").split("\n[")
    for part in parts:
        name, *lines = part.splitlines()
        lines = [line for line in lines if line]
        before = [line[2:] for line in lines if line[0] == ">"]
        found[name.rstrip("]")] = before, [line for line in lines if line[0] != ">"]
    return {name: ("\n".join(before), calls) for name, (before, calls) in found.items()}


# the worker --------------------------------------------------------------------------
def small(fs: Any, folder: str) -> Any:
    """Ten small files in a folder; their filesystem."""
    fs.makedirs(folder, exist_ok=True)
    for n in range(10):
        fs.pipe_file(f"{folder}/{n}", b"x" * 100)
    return fs


def archives(zipped: str, tarred: str) -> None:
    """A hundred members in two archives."""
    with zipfile.ZipFile(zipped, "w") as z, tarfile.open(tarred, "w") as t:
        for n in range(100):
            z.writestr(f"d/{n}", b"x" * 100)
            member = tarfile.TarInfo(f"d/{n}")
            member.size = 100
            t.addfile(member, io.BytesIO(b"x" * 100))


async def nothing() -> None:
    """What is cheapest to await."""


OFFERED: dict[str, Any] = {
    thing.__name__: thing
    for thing in (small, archives, nothing, contextlib.suppress, gzip, io, os, pathlib, pickle)
}
"""What the calls may use besides fsspec."""


class Worker:
    """The namespaces of the groups, made as they are needed."""

    def __init__(self, folder: str, site: str) -> None:
        from . import calls_backends

        self.folder, self.site = folder, site
        calls_backends.register()
        self.groups = groups()
        self.names: dict[str, dict[str, Any]] = {}

    def namespace(self, group: str) -> dict[str, Any]:
        if group not in self.names:
            import fsspec.generic
            import fsspec.json

            folder = os.path.join(self.folder, group)
            os.mkdir(folder)
            names: dict[str, Any] = {"fsspec": fsspec, "folder": folder, "site": self.site, **OFFERED}
            exec(self.groups[group][0], names)
            self.names[group] = names
        return self.names[group]

    def time(self, group: str, call: str, count: int) -> float:
        """Seconds of processor time of one call, in all threads."""
        names = self.namespace(group)
        before, _, work = call.rpartition(" ;; ")
        names.update(N=count, i=itertools.count())

        def each(folder: str, fs: Any) -> None:
            for n in range(count):
                fs.pipe_file(f"{folder}/{n}", b"x")

        def new(fs: Any, folder: str) -> None:
            fs.rm(folder, recursive=True)
            fs.mkdir(folder)

        names.update(each=each, new=new)
        return timeit.Timer(work, before or "pass", time.process_time, names).timeit(count) / count


def serve(folder: str, site: str) -> None:
    if hasattr(os, "sched_setaffinity"):  # both sides on one processor, with the same neighbours
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    worker = Worker(folder, site)
    for line in sys.stdin:
        group, call, count = json.loads(line)
        try:
            answer: Any = worker.time(group, call, count)
        except Exception as error:  # whatever a backend raises is its answer
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)
    os._exit(0)  # what the calls have left open is of no interest


# the driver --------------------------------------------------------------------------
class Side:
    """One implementation in a process of its own; upstream's warnings and tracebacks are not shown."""

    def __init__(self, name: str, python: Path, folder: str, site: str, path: str | None) -> None:
        os.mkdir(folder)
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        if path is not None:
            environ["PYTHONPATH"] = path
        self.process = subprocess.Popen(
            [str(python), "-m", f"{__package__}.calls", folder, site],
            cwd=Path(__file__).resolve().parent.parent,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if name == "upstream" else None,
            text=True,
        )

    def time(self, call: Call, count: int) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps([*call, count]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return float(answer)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


class Times:
    """What one call took on each side, in the order of the rounds."""

    def __init__(self) -> None:
        self.here: list[float] = []
        self.there: list[float] = []

    def add(self, call: Call, ours: Side, upstream: Side, rounds: int) -> None:
        """Some rounds, the sides in turn."""
        for side in (ours, upstream):
            side.time(call, 1)  # what is made once
        count = max(1, min(MOST, int(SHORT / max(ours.time(call, 3), 1e-7))))
        for turn in range(rounds):
            if turn % 2:
                self.here.append(ours.time(call, count))
            self.there.append(upstream.time(call, count))
            if not turn % 2:
                self.here.append(ours.time(call, count))

    def ratios(self) -> tuple[float, float]:
        """The median of the rounds, and that of the smallest times."""
        return (
            statistics.median(a / b for a, b in zip(self.here, self.there)),
            min(self.here) / min(self.there),
        )


def chosen(patterns: Sequence[str]) -> Iterator[Call]:
    for group, (_, calls) in groups().items():
        for call in calls:
            if not patterns or any(fnmatch.fnmatch(f"{group}: {call}", f"{p}*") for p in patterns):
                yield group, call


def main(pythons: dict[str, Path], path: str | None, site: str, patterns: Sequence[str], rounds: int) -> None:
    """All calls; those that take longer than upstream are printed, the dearest first."""
    began, shown, half, times = time.monotonic(), [], 0, dict[Call, Times]()
    for group, chosen_calls in itertools.groupby(chosen(patterns), key=operator.itemgetter(0)):
        calls = list(chosen_calls)
        for _ in range(PAIRS):  # a process may be faster than another one by how its memory lies
            with contextlib.ExitStack() as stack:
                top = stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-calls-"))
                sides = []
                for name in ("ours", "upstream"):
                    ours = path if name == "ours" else None
                    sides.append(Side(name, pythons[name], f"{top}/{name}", site, ours))
                    stack.callback(sides[-1].close)
                for call in list(calls):
                    try:
                        times.setdefault(call, Times()).add(call, sides[0], sides[1], -(-rounds // PAIRS))
                    except RuntimeError as error:
                        print(f"{group}: {call[1]}: {error}", file=sys.stderr)
                        calls.remove(call)
                        del times[call]
    for (group, text), found in times.items():
        ratio, least = found.ratios()
        half += ratio < 0.5
        if patterns or min(ratio, least) > 1.05:
            shown.append((ratio, least, min(found.here), min(found.there), f"{group}: {text}"))
    for ratio, least, a, b, text in sorted(shown, reverse=True):
        print(f"{ratio:6.2f} {least:6.2f} {a * 1e6:10.2f} {b * 1e6:10.2f} us  {text}")
    print(f"{len(times)} calls, {half} of them less than half; {time.monotonic() - began:.0f} seconds")


if __name__ == "__main__":
    serve(*sys.argv[1:])
