"""What a child does with what it inherited, as chance says, and how it ends.

Everything is decided by the child's own seed, so that a run's choices can be repeated. A
child takes none of the parent's locks and uses none of its threads.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fsspec import asyn
from fsspec.exceptions import ForkError

from . import watch
from .content import Places, data, verify, written_name
from .events import tell, tell_error
from .handles import Handle, filesystem, written_path

MODES = ("opted in",) * 7 + ("by hand",) * 2 + ("neither",)
ENDS = ("return", "sys.exit", "os._exit")
DEEPEST = 2  # grandchildren's generation
LIMIT = 40.0  # seconds for a descendant; under load a slow one takes 3


@dataclass
class Plan:
    """What was decided about a child before the fork, so that the parent knows too."""

    seed: str
    mode: str
    end: str
    kill_after: float | None
    depth: int = 0

    @classmethod
    def draw(cls, seed: str, depth: int = 0) -> Plan:
        rng = random.Random(seed + " plan")
        kill = rng.choice((0.0, rng.random() * 0.05, rng.random() * 0.5)) if rng.random() < 0.25 else None
        return cls(seed, rng.choice(MODES), rng.choice(ENDS), kill, depth)


def opt(mode: str) -> None:
    """Set the variable as it is to be at the fork."""
    os.environ["FSSPEC_FORK_RESET"] = "1" if mode == "opted in" else "0"


class Child:
    """One child at work."""

    def __init__(
        self,
        plan: Plan,
        handles: list[Handle],
        writing: list[Any],
        places: Places,
        ports: dict[str, int],
        on_main: bool,
    ) -> None:
        self.plan = plan
        self.on_main = on_main  # forked on a thread that began the program: by its end the interpreter ends
        self.rng = random.Random(plan.seed)
        self.handles = list(handles)
        self.writing = [f for f in writing if f is not None]
        self.places = places
        self.ports = ports
        self.verified = self.uses = self.refused = self.forks = 0

    def run(self) -> None:
        """Do some of what can be done; errors are told, not raised."""
        if self.rng.random() < 0.1:
            self.look()
        if self.plan.mode == "by hand":
            asyn.reset_after_fork()
        doings: list[Callable[[], None]] = [self.read] * 8 + [
            self.write,
            self.write,
            self.leave_half_written,
            self.write_inherited,
            self.drop,
            self.drop_all,
            self.close,
            self.anew,
            self.execute,
            self.fork,
            self.fork,
        ]
        for _ in range(self.rng.randint(0, 4)):
            doing = self.rng.choice(doings)
            try:
                doing()
            except Exception as error:  # what it is, the judge will say
                tell_error(f"child {self.plan}: {doing.__name__}", error)
        try:
            for handle in self.handles:
                handle.tidy()
        except Exception as error:  # as above
            tell_error(f"child {self.plan}: its end", error)
        self.tell()

    def tell(self) -> None:
        """What was done, and how many descriptors that took."""
        tell(
            "child",
            verified=self.verified,
            uses=self.uses,
            refused=self.refused,
            forks=self.forks,
            depth=self.plan.depth,
            mode=self.plan.mode,
            fds=watch.descriptors(),
        )

    # with what was inherited ------------------------------------------------------------
    def look(self) -> None:
        """None of the parent's connections may be open here."""
        found = watch.clients_of("self", self.ports)
        if found:
            tell("inherited", where=str(self.plan), text=", ".join(found))

    def read(self) -> None:
        if not self.handles:
            return
        handle = self.rng.choice(self.handles)
        try:
            self.verified += handle.use(self.rng)
        except ForkError:
            if self.plan.mode != "neither":
                raise
            self.refused += 1
        else:
            self.uses += 1
            if self.plan.mode == "neither" and handle.refuses:
                raise AssertionError(f"{handle.name}: used without leave, and not refused")

    def drop(self) -> None:
        if self.handles:
            self.handles.pop(self.rng.randrange(len(self.handles))).drop()
            gc.collect()

    def drop_all(self) -> None:
        for handle in self.handles:
            handle.drop()
        self.handles.clear()
        self.writing.clear()
        gc.collect()

    def close(self) -> None:
        if not self.handles:
            return
        handle = self.rng.choice(self.handles)
        try:
            handle.close()
        except ForkError:
            if self.plan.mode != "neither":
                raise
            self.refused += 1
        self.handles.remove(handle)

    def write_inherited(self) -> None:
        """What the parent writes is refused, and discarded in silence."""
        if not self.writing:
            return
        f = self.rng.choice(self.writing)
        try:
            f.write(b"from the child")
            f.flush()
        except ForkError:
            self.refused += 1
        else:
            raise AssertionError(f"wrote to the parent's {f!r}")
        f.close()

    # of its own ---------------------------------------------------------------------------
    def own(self, kind: str) -> Any:
        """An instance: the inherited one where it may be used, otherwise a new one."""
        fresh = self.plan.mode == "neither"
        return filesystem(kind, self.places, **({"skip_instance_cache": True} if fresh else {}))

    def write(self) -> None:
        kind = self.rng.choice(("http", "https", "s3", "s3"))
        size = self.rng.choice((10, 5_000, 200_000))
        name = written_name(f"child-{self.plan.seed}-{self.uses}-{self.forks}", size)
        path, wanted = written_path(kind, self.places, name), data(name, size)
        fs = self.own(kind)
        if kind == "s3" and self.rng.random() < 0.5:
            with fs.open(path, "wb") as f:
                f.write(wanted[: size // 2])
                f.write(wanted[size // 2 :])
        else:
            fs.pipe_file(path, wanted)
        self.verified += verify(fs.cat_file(path), wanted, f"own {path}")

    def leave_half_written(self) -> None:
        """Die with a file half written: nothing of it may be seen."""
        name = written_name(f"half-{self.plan.seed}-{self.uses}-{self.forks}", 100_000)
        f = self.own("s3").open(written_path("s3", self.places, name), "wb")
        f.write(data(name, 100_000)[:50_000])
        self.tell()
        os._exit(0)

    def anew(self) -> None:
        """A new instance works in every mode."""
        kind = self.rng.choice(("http", "https", "s3"))
        handle = Handle(f"new {kind} instance", kind, self.places)
        handle.obj = filesystem(kind, self.places, skip_instance_cache=True)
        self.verified += handle.use(self.rng)
        self.uses += 1

    def execute(self) -> None:
        words = [sys.executable, "-S", "-c", "print(6 * 7)"]
        done = subprocess.run(words, capture_output=True, timeout=LIMIT)
        if (done.returncode, done.stdout, done.stderr) != (0, b"42\n", b""):
            raise AssertionError(f"a program that was run ended with {done}")

    def fork(self) -> None:
        """A child of its own, which does likewise."""
        if self.plan.depth >= DEEPEST:
            return
        plan = Plan.draw(f"{self.plan.seed}.{self.forks}", self.plan.depth + 1)
        self.forks += 1
        opt(plan.mode)
        pid = os.fork()
        if pid == 0:
            Child(plan, self.handles, self.writing, self.places, self.ports, self.on_main).run()
            if plan.end == "os._exit" or not self.on_main:
                os._exit(0)
            sys.exit(0)
        opt(self.plan.mode)
        wait(pid, plan)


def wait(pid: int, plan: Plan, begun: float | None = None, block: bool = True) -> bool:
    """Wait for a child, kill it when that was planned, and tell how it ended.

    Returns
    -------
    bool
        whether it has ended; with ``block`` always.
    """
    begun = time.monotonic() if begun is None else begun
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        seconds = time.monotonic() - begun
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code and not (code == -signal.SIGKILL and plan.kill_after is not None):
                tell("error", where=f"child {plan}", text=f"pid {pid} ended with {code}")
            tell("ended", seconds=seconds, killed=code == -signal.SIGKILL)
            return True
        if plan.kill_after is not None and seconds > plan.kill_after:
            os.kill(pid, signal.SIGKILL)
        elif seconds > LIMIT:
            os.write(2, f"--- {pid}, {plan}; threads {watch.threads(pid)}\n".encode())
            os.kill(pid, signal.SIGUSR1)  # its stacks
            time.sleep(2)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            tell("hang", where=f"child {plan}", text=f"pid {pid}, after {seconds:.0f} s; stacks are below")
            return True
        if not block:
            return False
        time.sleep(0.005)
