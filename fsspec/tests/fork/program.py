"""One column of the matrix: what a crossing does, forked one way, in one mode.

    python -m fsspec.tests.fork.program CROSSING WAY MODE SERVERS

Prints a JSON object: for each action an empty string, or what went wrong.  Whoever runs
it watches the time, and has the stacks of all threads by SIGUSR1: a watchdog of this
process's own would be a thread that a child waits for in vain as it ends.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from typing import Any

MODES = ("opted", "by-hand", "neither")


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def in_time(func: Any, what: str, limit: float = 10.0) -> str:
    """Run ``func`` on a thread, since a parent that was harmed may wait for ever."""
    outcome: list[str] = []

    def run() -> None:
        try:
            func()
            outcome.append("")
        except BaseException as error:  # it is the outcome
            outcome.append(f"{what}: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    if not outcome:
        faulthandler.dump_traceback(all_threads=True)
        return f"{what}: hangs"
    return outcome[0]


def cell(crossing: Any, way: str, action: str, mode: str) -> str:
    """Try one cell; empty where child and parent are as they should be."""
    from fsspec.tests.fork.crossings import ACTIONS
    from fsspec.tests.fork.forking import WAYS

    box = [crossing.make()]
    crossing.use(box[0])
    problem: list[str] = []
    slow = crossing.slow(box[0])
    busy = None
    if slow is not None and way != "callback":
        busy = threading.Thread(target=lambda: problem.append(in_time(slow, "the parent's slow request")))
        busy.start()
        time.sleep(0.1)

    def body() -> None:
        import fsspec.asyn

        if mode == "by-hand":
            fsspec.asyn.reset_after_fork()
            fsspec.asyn.reset_after_fork()
        ACTIONS[action](crossing, box, mode)

    report = WAYS[way](body)
    found = report.problem(killed=action == "kill")
    problem.append(f"child: {found}" if found else "")
    if busy is not None:
        busy.join()
    problem.append(in_time(lambda: crossing.use(box[0]), "the parent's next use"))
    problem.append(in_time(lambda: crossing.settle(box[0]), "the parent's end"))
    return "; ".join(filter(None, problem))


def column(crossing_name: str, way: str, mode: str, servers: dict[str, str]) -> dict[str, str]:
    """All actions, one after the other."""
    from fsspec.tests.fork.crossings import ACTIONS, CROSSINGS

    crossing = CROSSINGS[crossing_name](servers)
    results = {}
    for action in ACTIONS:
        if way in ("generations", "process", "c", "callback") and action == "kill":
            continue  # the kill would be of somebody else, or proves nothing more
        results[action] = cell(crossing, way, action, mode)
    before = descriptors()
    results["descriptors"] = "" if before < 200 else f"{before} descriptors open"
    return results


def main() -> None:
    """See the module's text."""
    crossing, way, mode, servers = sys.argv[1:]
    places = json.loads(servers)
    os.environ.pop("FSSPEC_FORK_RESET", None)
    if mode == "opted":
        os.environ["FSSPEC_FORK_RESET"] = "1"
    if "ca" in places:
        os.environ["SSL_CERT_FILE"] = places["ca"]
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    print(json.dumps(column(crossing, way, mode, places)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
