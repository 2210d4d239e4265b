"""The threads of the subject, at work while it forks.

Each thread has its own handles and says what it is doing since when, so that `stuck` can
tell a hang. Counts are a thread's own: no lock is shared, for a child would inherit it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from .content import Places, data, verify, written_name
from .events import tell_error
from .handles import Handle, Opened, filesystem, written_path

PATIENCE = 40.0  # seconds for one operation; under load a slow one takes 2
PAUSE = 0.002  # seconds between operations, for the servers and children have the same cores


class Worker(threading.Thread):
    """One thread of the load.

    Attributes
    ----------
    verified, operations
        bytes and operations so far.
    """

    def __init__(self, name: str, seed: str, places: Places, step: Callable[[Worker], int]) -> None:
        super().__init__(name=name, daemon=True)  # a child waits for no thread as it ends
        self.rng = random.Random(f"{seed} {name}")
        self.places = places
        self.step = step
        self.verified = self.operations = self.serial = 0
        self.since = time.monotonic()
        self.ending = False

    def run(self) -> None:
        while not self.ending:
            self.since = time.monotonic()
            try:
                self.verified += self.step(self)
            except Exception as error:  # what it is, the judge will say
                tell_error(f"parent, {self.name}", error)
                time.sleep(0.5)
            self.operations += 1
            time.sleep(PAUSE)

    def stuck(self) -> bool:
        """Whether its operation takes too long."""
        return self.is_alive() and time.monotonic() - self.since > PATIENCE


def reading(handles: list[Handle]) -> Callable[[Worker], int]:
    """Read from handles that children inherit; close files, and open them again."""

    def step(worker: Worker) -> int:
        handle = worker.rng.choice(handles)
        if isinstance(handle, Opened) and worker.rng.random() < 0.1:
            old = handle.obj
            handle.make()  # before the other is closed: a child finds an open one at any time
            old.close()
        return handle.use(worker.rng)

    return step


def writing(kind: str, phase: str, slot: int, being_written: list[Any]) -> Callable[[Worker], int]:
    """Write objects, whole or bit by bit, while forks happen in between."""

    def step(worker: Worker) -> int:
        worker.serial += 1
        size = worker.rng.choice((1, 20_000, 400_000))
        name = written_name(f"parent-{phase}-{kind}-{worker.serial}", size)
        path, wanted = written_path(kind, worker.places, name), data(name, size)
        fs = filesystem(kind, worker.places)
        if kind in ("http", "https") or worker.rng.random() < 0.3:
            fs.pipe_file(path, wanted)
        else:
            f = fs.open(path, "wb")
            being_written[slot] = f
            third = size // 3
            for start, end in ((0, third), (third, 2 * third), (2 * third, size)):
                f.write(wanted[start:end])
                time.sleep(worker.rng.random() * 0.1)
            fs.invalidate_cache()
            if fs.exists(path):
                raise AssertionError(f"{path} is there before it was closed")
            being_written[slot] = None
            f.close()
        return verify(fs.cat_file(path), wanted, path)

    return step


def churning(kinds: tuple[str, ...]) -> Callable[[Worker], int]:
    """Make instances, use them, close their sessions."""

    def step(worker: Worker) -> int:
        kind = worker.rng.choice(kinds)
        handle = Handle(f"the parent's new {kind} instance", kind, worker.places)
        handle.obj = filesystem(kind, worker.places, skip_instance_cache=True)
        verified = handle.use(worker.rng)
        if worker.rng.random() < 0.7:
            handle.close()
        return verified  # the others are closed as they are collected

    return step


def workers(places: Places, phase: str, handles: list[Handle], being_written: list[Any]) -> list[Worker]:
    """The threads, not started; ``being_written`` is given a place for each that writes bit by bit.

    ``phase`` is part of the names that they write to.
    """
    seed = f"{places.seed} {phase}"
    made = []
    for kind in ("http", "https", "s3"):
        synchronous = [h for h in handles if h.kind == kind and "own loop" not in h.name]
        made.append(Worker(f"{kind} reader", seed, places, reading(synchronous)))
        being_written.append(None)
        step = writing(kind, phase, len(being_written) - 1, being_written)
        made.append(Worker(f"{kind} writer", seed, places, step))
    own = [h for h in handles if "own loop" in h.name]
    made.append(Worker("own loops", seed, places, reading(own)))
    made.append(Worker("local reader", seed, places, reading([h for h in handles if h.kind == "local"])))
    made.append(Worker("churn", seed, places, churning(("http", "https", "s3"))))
    return made
