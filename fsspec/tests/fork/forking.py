"""Ways of forking: each runs ``body()`` in a child and returns a `Report` on it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from fsspec._forked import LIMIT, Channel, Report, by_fork, speak, wait


def by_thread(body: Callable[[], Any]) -> Report:
    """os.fork on a thread that is not the main one."""
    reports: list[Report] = []

    def run() -> None:
        channel, begun = Channel(), time.monotonic()
        pid = os.fork()
        if pid:
            reports.append(wait(pid, channel, begun))
        else:
            speak(channel, body)
            os._exit(0)  # by its end the interpreter would wait for threads, this not being its main one

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return reports[0]


def by_callback(body: Callable[[], Any]) -> Report:
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
            speak(channel, body)
            os._exit(0)

    get_loop().call_soon_threadsafe(callback)
    if not ready.wait(LIMIT):
        return Report(stderr="the callback never forked")
    return wait(pids[0], channel, begun)


def by_generations(body: Callable[[], Any]) -> Report:
    """A child of a child of a child."""

    def descend(left: int) -> Any:
        if not left:
            return body()
        report = by_fork(lambda: descend(left - 1))
        return report.problem() or None

    return by_fork(lambda: descend(2))


def by_process(body: Callable[[], Any]) -> Report:
    """multiprocessing's fork start method: the child ends by its own exit handlers and os._exit."""
    import multiprocessing

    channel, begun = Channel(), time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=speak, args=(channel, body))
    process.start()
    process.join(LIMIT)
    if process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGUSR1)
        time.sleep(0.3)
        process.kill()
        process.join()
        return channel.read(Report(seconds=time.monotonic() - begun))
    report = Report(code=process.exitcode, seconds=time.monotonic() - begun)
    process.close()
    return channel.read(report)


def by_c(body: Callable[[], Any]) -> Report:
    """fork(2) called by a C library: Python's hooks do not run."""
    import ctypes

    libc = ctypes.PyDLL(None)
    channel, begun = Channel(), time.monotonic()
    pid = libc.fork()
    if pid:
        return wait(pid, channel, begun)
    speak(channel, body)
    os._exit(0)


WAYS: dict[str, Callable[[Callable[[], Any]], Report]] = {
    "fork": by_fork,
    "process": by_process,
    "thread": by_thread,
    "callback": by_callback,
    "generations": by_generations,
    "c": by_c,
}
