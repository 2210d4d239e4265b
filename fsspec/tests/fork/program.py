"""One column of the matrix: what crosses, forked one way, in one mode, child after child.

Runs in a process of its own that `zygote` forks and watches.  The parent of each cell
reads all the while, over the connections that cross; its next use, its open file, its
upload and its descriptors are looked at after each child.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from fsspec._checks.forked import load_factor

PATIENCE = 10.0  # seconds for the parent to answer after a child
GROWTH = 24  # descriptors that a column may have open at its end above what it began with


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def stacks() -> str:
    """Where all threads are."""
    with tempfile.TemporaryFile("w+") as f:
        faulthandler.dump_traceback(f, all_threads=True)
        f.seek(0)
        return f.read()


def harmed(func: Callable[[], None], what: str) -> str:
    """Run ``func`` on a thread, since a parent that was harmed may wait for ever; why it is harmed."""
    outcome: list[str] = []

    def run() -> None:
        try:
            func()
            outcome.append("")
        except BaseException:  # it is the outcome
            text = io.StringIO()
            traceback.print_exc(file=text)
            outcome.append(f"{what}: {text.getvalue()}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE * load_factor())
    return outcome[0] if outcome else f"{what} hangs:\n{stacks()}"


class Reader:
    """A thread of the parent that makes a request over and over."""

    def __init__(self, request: Callable[[], None] | None) -> None:
        self.request = request
        self.enough = threading.Event()
        self.count = 0
        self.problem = ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        if request is not None:
            self.thread.start()
            while not self.count and self.thread.is_alive():
                time.sleep(0.002)

    def _run(self) -> None:
        assert self.request is not None
        while not self.enough.is_set():
            try:
                self.request()
            except BaseException:  # it is the finding
                self.problem = f"the parent's requests meanwhile: {traceback.format_exc()}"
                return
            self.count += 1
            time.sleep(0.01)  # without a pause it takes the processor from the child that is looked at

    def stop(self) -> str:
        self.enough.set()
        if self.request is None:
            return ""
        self.thread.join(PATIENCE * load_factor())
        if self.thread.is_alive():
            return f"the parent's request meanwhile hangs:\n{stacks()}"
        return self.problem


def cell(subject: Any, way: str, action: str, mode: str) -> dict[str, str]:
    """Try one cell.

    Returns
    -------
    dict
        "outcome": "ok", "refused", "FAIL" (the child), "HANG" (the child) or "HARM" (the
        parent); "note": what went wrong.
    """
    from fsspec.tests.fork.children import Body
    from fsspec.tests.fork.forking import SENDING, WAYS, verdict

    handle = subject.make()
    subject.use(handle)
    body = Body(subject, handle, action, "sent" if way in SENDING else mode)
    # a thread that waits for the interpreter's lock as a C library forks leaves it broken in the child
    reader = Reader(subject.busy(handle) if way != "C" else None)
    report = WAYS[way](body)
    harm = [
        reader.stop(),
        harmed(lambda: subject.use(handle), "the parent's next use"),
        harmed(lambda: subject.settle(handle), "the parent's end"),
    ]
    harm = [each for each in harm if each]
    if action in ("leave", "kill") and report.code in (0, -9):
        report.result = report.result or "done"  # ended before it could say so
    output = verdict(report) if action != "kill" else report.problem(killed=True)
    if harm:
        outcome = "HARM"
    elif report.code is None:
        outcome = "HANG"
    else:
        outcome = output if output == "refused" else "FAIL" if output else "ok"
    notes = [f"child: {output}"] if outcome not in ("ok", "refused") and output else []
    return {"outcome": outcome, "note": "\n".join(notes + harm)}


def column(crossing_name: str, way: str, mode: str, actions: list[str], places: dict[str, str]) -> Any:
    """The cells of these actions, by action, and the descriptors that were left over."""
    from fsspec.tests.fork.matrix import CROSSINGS
    from fsspec.tests.fork.subjects import UNSAFE

    subject = {**CROSSINGS, **UNSAFE}[crossing_name](places)
    results = {}
    before = 0
    for action in actions:
        results[action] = cell(subject, way, action, mode)
        if results[action]["outcome"] in ("HARM", "HANG"):
            break  # what follows in a process that was harmed says nothing
        before = before or descriptors()  # with what is loaded and connected once
    left = descriptors() - before
    if left > GROWTH:
        results["descriptors"] = {"outcome": "HARM", "note": f"{left} more than after the first child"}
    return results


def main(job: dict[str, Any]) -> Any:
    """See the module's text; called by `zygote` in a process of its own."""
    os.environ["FSSPEC_FORK_RESET"] = "1" if job["mode"] == "opted" else "0"
    sys.path.insert(0, job["root"])
    return column(job["subject"], job["way"], job["mode"], job["actions"], job["places"])
