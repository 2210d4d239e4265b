"""Ways of forking: each runs ``body`` in a child and returns a `Report` on it.

Those in `INHERITING` give the child what the parent has in memory; `SENDING` start a new
interpreter or a worker that ``body`` is pickled for.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fsspec._checks.forked import LIMIT, Channel, Report, by_fork, run_in_child, wait

Body = Callable[[], Any]


def verdict(report: Report) -> Any:
    """What a generation says of the one below it."""
    return "refused" if report.code == 0 and report.result == "refused" else report.problem() or None


def by_thread(body: Body) -> Report:
    """os.fork on a thread that is not the main one."""
    reports: list[Report] = []

    def run() -> None:
        channel, begun = Channel(), time.monotonic()
        pid = os.fork()
        if pid:
            reports.append(wait(pid, channel, begun))
        else:
            run_in_child(channel, body)
            os._exit(0)  # by its end the interpreter would wait for threads, this not being its main one

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return reports[0]


def by_callback(body: Body) -> Report:
    """os.fork in a callback on the thread of fsspec's own loop."""
    from fsspec.asyn import get_loop

    channel, begun = Channel(), time.monotonic()
    pids: list[int] = []
    ready = threading.Event()

    def callback() -> None:
        pid = os.fork()
        if pid:
            pids.append(pid)
            ready.set()
        else:
            run_in_child(channel, body)
            os._exit(0)

    get_loop().call_soon_threadsafe(callback)
    if not ready.wait(LIMIT):
        return Report(stderr="the callback never forked")
    return wait(pids[0], channel, begun)


def by_generations(body: Body) -> Report:
    """A child of a child of a child; each uses what it has before and after its own child."""

    def descend(left: int) -> Any:
        if not left:
            return body()
        first = body() if getattr(body, "repeats", False) else None
        report = by_fork(lambda: descend(left - 1))
        output = verdict(report)
        if output not in (None, "refused"):
            return output
        last = body() if getattr(body, "repeats", False) else output
        return last if first is None else first

    return by_fork(lambda: descend(2))


def _end(process: Any, channel: Channel, begun: float) -> Report:
    process.join(LIMIT)
    report = Report(code=process.exitcode, seconds=time.monotonic() - begun)
    if process.exitcode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGUSR1)
            time.sleep(0.3)
        process.kill()
        process.join()
    else:
        process.close()
    return channel.read(report)


def by_process(body: Body) -> Report:
    """multiprocessing's fork start method: the child ends by its own exit handlers and os._exit."""
    import multiprocessing

    channel, begun = Channel(), time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=run_in_child, args=(channel, body))
    process.start()
    return _end(process, channel, begun)


def by_fork_in_process(body: Body) -> Report:
    """os.fork inside a child that multiprocessing forked."""
    return by_process(lambda: verdict(by_fork(body)))


def by_c(body: Body) -> Report:
    """fork(2) called by a C library: Python's hooks do not run."""
    import ctypes

    libc = ctypes.PyDLL(None)
    time.sleep(0.5)  # no thread may ask for the interpreter's own lock now: the child could hang at once
    channel, begun = Channel(), time.monotonic()
    pid = libc.fork()
    if pid:
        return wait(pid, channel, begun)
    run_in_child(channel, body)
    os._exit(0)


HOLDS_SOCKETS = """
import os, sys
found = []
for fd in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
    try:
        target = os.readlink("/proc/self/fd/" + fd)
    except OSError:
        continue
    if target.startswith(("socket:", "anon_inode:")):
        found.append(target)
sys.exit("holds " + " ".join(found) if found else 0)
"""


def by_exec(body: Body) -> Report:
    """The child uses what it has and then becomes another program, which has none of the sockets."""
    channel, begun = Channel(), time.monotonic()
    pid = os.fork()
    if pid:
        return wait(pid, channel, begun)
    run_in_child(channel, body)
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", HOLDS_SOCKETS])


def by_crowd(body: Body) -> Report:
    """32 children at once, none of which is waited for before all are there."""
    pids = []
    for number in range(32):
        channel, begun = Channel(), time.monotonic()
        pid = os.fork()
        if not pid:
            run_in_child(channel, body)
            if number % 2:
                os._exit(0)
            sys.exit(0)
        pids.append((pid, channel, begun))
    reports = [wait(*each) for each in pids]
    for report in reports:
        if report.code == 0:
            # they wait for each other: only the whole is bounded, by wait's limit
            report.seconds = report.waited = 0.0
    return next((r for r in reports if verdict(r) not in (None, "refused")), reports[0])


SERIES = 200


def by_series(body: Body) -> Report:
    """200 children one after the other; a child's child every tenth time."""
    report = Report()
    for number in range(SERIES):
        channel, begun = Channel(), time.monotonic()
        pid = os.fork()
        if not pid:
            run_in_child(channel, body if number % 10 else lambda: verdict(by_fork(body)))
            if number % 4:
                os._exit(0)
            sys.exit(0)
        report = wait(pid, channel, begun)
        if verdict(report) not in (None, "refused"):
            report.result = f"child {number}: {report.result}"
            break
    return report


# workers -------------------------------------------------------------------------
_inherited: list[tuple[Channel, Body]] = []


def _run_in_child(channel: Channel, body: Body) -> None:
    """As `run_in_child`, in a worker that lives on whatever happens."""
    channel.redirect_stderr()
    try:
        output = body()
    except Exception:  # the parent prints it
        output = traceback.format_exc()
    channel.send("done" if output is None else output)


def _tell_inherited(_: int = 0) -> int:
    _run_in_child(*_inherited[0])
    return 0


def _read(channel: Channel, begun: float, codes: list[int | None]) -> Report:
    bad = [code for code in codes if code]
    return channel.read(Report(code=bad[0] if bad else 0, seconds=time.monotonic() - begun))


def by_executor(body: Body) -> Report:
    """A worker of a ProcessPoolExecutor that forks."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    channel, begun = Channel(), time.monotonic()
    _inherited[:] = [(channel, body)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        executor.submit(_tell_inherited).result(LIMIT)
        workers = list(executor._processes.values())
    return _read(channel, begun, [worker.exitcode for worker in workers])


def by_pool(body: Body) -> Report:
    """A worker of multiprocessing's pool, forked, which ends in good order."""
    import multiprocessing

    channel, begun = Channel(), time.monotonic()
    _inherited[:] = [(channel, body)]
    pool = multiprocessing.get_context("fork").Pool(1)
    workers = list(pool._pool)  # type: ignore[attr-defined]
    pool.map_async(_tell_inherited, [0]).get(LIMIT)
    pool.close()
    pool.join()
    return _read(channel, begun, [worker.exitcode for worker in workers])


class _Items:
    """A dataset for a DataLoader: its only item is what became of the body."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        return _tell_inherited()


def by_loader(body: Body) -> Report:
    """A worker of torch's DataLoader, forked."""
    from torch.utils.data import DataLoader

    channel, begun = Channel(), time.monotonic()
    _inherited[:] = [(channel, body)]
    loader = DataLoader(_Items(), num_workers=1, multiprocessing_context="fork", timeout=LIMIT)
    assert [int(item) for item in loader] == [0]
    return _read(channel, begun, [])


def by_joblib(body: Body) -> Report:
    """A worker of joblib's multiprocessing backend, forked."""
    import joblib

    channel, begun = Channel(), time.monotonic()
    _inherited[:] = [(channel, body)]
    with joblib.parallel_config(backend="multiprocessing"):
        joblib.Parallel(n_jobs=2, timeout=LIMIT)(joblib.delayed(_tell_inherited)(i) for i in range(1))
    return _read(channel, begun, [])


def _started(method: str, body: Body) -> Report:
    import multiprocessing

    channel, begun = Channel(), time.monotonic()
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=run_in_child, args=(channel, body))
    process.start()
    report = _end(process, channel, begun)
    if report.code == 0:
        report.seconds = 0.0  # starting an interpreter and loading everything counts for nothing here
    return report


def by_spawn(body: Body) -> Report:
    """A new interpreter, to which the handle is sent."""
    return _started("spawn", body)


def by_forkserver(body: Body) -> Report:
    """A child of the fork server, to which the handle is sent."""
    return _started("forkserver", body)


def by_loky(body: Body) -> Report:
    """A worker of joblib's default backend."""
    import joblib

    channel = Channel()
    with joblib.parallel_config(backend="loky"):
        joblib.Parallel(n_jobs=2, timeout=60)(joblib.delayed(_run_in_child)(channel, body) for _ in range(1))
    return _read(channel, time.monotonic(), [])


INHERITING: dict[str, Callable[[Body], Report]] = {
    "fork": by_fork,
    "thread": by_thread,
    "callback": by_callback,
    "generations": by_generations,
    "process": by_process,
    "fork in process": by_fork_in_process,
    "C": by_c,
    "exec": by_exec,
    "32 at once": by_crowd,
    "200 in a row": by_series,
    "executor": by_executor,
    "pool": by_pool,
    "DataLoader": by_loader,
    "joblib": by_joblib,
}
SENDING: dict[str, Callable[[Body], Report]] = {
    "spawn": by_spawn,
    "forkserver": by_forkserver,
    "loky": by_loky,
}
WAYS = {**INHERITING, **SENDING}

NEEDS = {"DataLoader": "torch", "joblib": "joblib", "loky": "joblib"}
"""Packages of third parties, without which a way is skipped."""
