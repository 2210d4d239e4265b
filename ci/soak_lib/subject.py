"""The process that forks: ``python -m soak_lib.subject PLACES``, started by the conductor.

Its main thread, and now and then another one, forks without end while the threads of `load`
work. All it finds goes to stdout as events; stderr has to stay empty.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from . import watch
from .children import Child, Plan, opt, wait
from .content import Places
from .events import tell, tell_error
from .handles import Handle, all_handles, close_all
from .load import Worker, workers

MOST = 1_000_000  # forks of one run
WARMING = 12.0  # seconds until memory is what it stays at


class Ended(Exception):
    """A child has done its work and unwinds to the end of the program."""


class Subject:
    """The parent of all."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.ports = {
            kind: urlsplit(places.root(kind) if kind != "s3" else places.s3).port or 0
            for kind in ("http", "https", "s3")
        }
        self.rng = random.Random(f"{places.seed} forks")
        self.being_written: list[Any] = []
        self.alive: dict[int, tuple[Plan, float]] = {}
        self.forks = 0
        self.longest_fork = 0.0
        self.handles: list[Handle] = []
        self.load: list[Worker] = []

    def fork(self, plan: Plan) -> int:
        """Make a child; in it, does what is planned and ends."""
        opt(plan.mode)
        begun = time.monotonic()
        pid = os.fork()
        if pid:
            self.longest_fork = max(self.longest_fork, time.monotonic() - begun)
            return pid
        self.load.clear()
        on_main = threading.current_thread() is self.main_thread
        Child(plan, self.handles, self.being_written, self.places, self.ports, on_main).run()
        if plan.end == "os._exit" or not on_main:
            os._exit(0)  # by another thread's end the interpreter would not end
        if plan.end == "sys.exit":
            sys.exit(0)
        raise Ended

    def fork_somewhere(self, plan: Plan) -> int:
        """Fork on the main thread, or on another."""
        if self.rng.random() < 0.75:
            return self.fork(plan)
        pids: list[int] = []
        thread = threading.Thread(target=lambda: pids.append(self.fork(plan)), name="forks")
        thread.start()
        thread.join()
        return pids[0]

    def reap(self) -> None:
        """See to the children that are due."""
        for pid, (plan, begun) in list(self.alive.items()):
            if wait(pid, plan, begun, block=False):
                del self.alive[pid]

    def measure(self, when: str) -> None:
        """Descriptors and memory, nothing being open that can be closed."""
        for worker in self.load:
            worker.ending = True
        for worker in self.load:
            worker.join(60)
            if worker.is_alive():
                tell("hang", where=f"parent, {worker.name}", text="did not end")
                faulthandler.dump_traceback(all_threads=True)
        close_all(self.handles)
        gc.collect()
        time.sleep(0.3)
        memory, objects = watch.in_use()
        tell(when, fds=watch.descriptors(), memory=memory, objects=objects, served=watch.served(self.ports))

    def run(self) -> None:
        """Warm up, measure, fork under load, measure."""
        self.main_thread = threading.current_thread()
        self.begin("warming")
        self.fork_until(time.monotonic() + WARMING)
        self.measure("start")
        self.begin("soaking")
        self.fork_until(time.monotonic() + self.places.seconds)
        self.sleepers()
        self.measure("end")

    def begin(self, phase: str) -> None:
        """Have handles and threads at work."""
        self.handles[:] = all_handles(self.places)
        self.being_written.clear()
        self.load = workers(self.places, phase, self.handles, self.being_written)
        for worker in self.load:
            worker.start()

    def fork_until(self, deadline: float) -> None:
        """Fork as fast as children end, until ``deadline``; then wait for the last."""
        reported_at = time.monotonic()
        before = (0, 0)
        while time.monotonic() < deadline and self.forks < MOST:
            if len(self.alive) < self.places.children:
                self.forks += 1
                plan = Plan.draw(f"{self.places.seed}-{self.forks}")
                self.alive[self.fork_somewhere(plan)] = plan, time.monotonic()
            else:
                time.sleep(0.003)
            self.reap()
            stuck = [worker for worker in self.load if worker.stuck()]
            if stuck:
                for worker in stuck:
                    tell("hang", where=f"parent, {worker.name}", text="stacks are below")
                faulthandler.dump_traceback(all_threads=True)
                raise SystemExit(1)
            if time.monotonic() - reported_at > 1:
                reported_at = time.monotonic()
                before = self.progress(before)
        while self.alive:
            self.reap()
            time.sleep(0.01)
        self.progress(before)

    def progress(self, before: tuple[int, int]) -> tuple[int, int]:
        """Tell what the load has done since ``before``."""
        now = (sum(w.operations for w in self.load), sum(w.verified for w in self.load))
        tell(
            "load",
            operations=now[0] - before[0],
            verified=now[1] - before[1],
            forks=self.forks,
            longest_fork=self.longest_fork,
            fds=watch.descriptors(),
        )
        return now

    def sleepers(self) -> None:
        """Children that do nothing may not keep the parent's connections from ending."""
        pids = []
        for mode in ("opted in", "by hand", "neither"):
            opt(mode)
            pid = os.fork()
            if pid == 0:
                time.sleep(20)
                os._exit(0)
            pids.append(pid)
        self.measure("closed")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> int:
    """See the module's text; children come through here as well, when they return."""
    faulthandler.enable(all_threads=True)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(format="process %(process)d, %(threadName)s: %(message)s")
    try:
        Subject(Places(**json.loads(sys.argv[1]))).run()
    except Ended:
        return 0
    except Exception as error:  # of the soak itself: a run that did not do its work is no success
        tell_error("the subject", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
