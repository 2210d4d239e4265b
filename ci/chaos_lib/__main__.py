"""The conductor: servers, a thread of operations for each, deadlines, and the verdict."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import os
import random
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from environment import finish

from fsspec.implementations._http.responses import UnreachableError

from .places import KINDS, Place
from .proxy import Loop
from .work import Step, Work, Wrong

DEADLINE = 45.0  # seconds for a call, all its timeouts and repetitions included
HANG = 120.0  # seconds after which the run is given up
BAD = (
    "wrong bytes",
    "calls over their deadline",
    "second attempts that fail",
    "errors of a wrong kind",
)
BUGS = (AttributeError, NameError, IndexError, KeyError, AssertionError, UnboundLocalError, TypeError)
"""Errors that tell of a mistake in the package, whatever the server does."""


class Thread(threading.Thread):
    """The operations at one place."""

    def __init__(self, place: Place, seed: str, until: float) -> None:
        super().__init__(name=place.name, daemon=True)
        self.place, self.until = place, until
        self.work = Work(place, random.Random(seed))
        self.count: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.befell: Counter[str] = Counter()  # operations by fault
        self.survived: Counter[str] = Counter()  # those that succeeded all the same
        self.trouble: list[str] = []
        self.now: tuple[str, float] | None = None

    def bad(self, name: str, text: str) -> None:
        self.count[name] += 1
        if len(self.trouble) < 20:
            self.trouble.append(f"{name}: {self.place.name}: {text}")

    def run(self) -> None:
        try:
            while time.monotonic() < self.until:
                self.step(self.work.choose())
        except BaseException:  # else the thread would end unseen
            self.bad("second attempts that fail", f"the thread ended\n{traceback.format_exc()}")

    def step(self, step: Step) -> None:
        """An operation with faults, and without them if it failed."""
        self.operations[step.name] += 1
        before = self.place.proxy.count.copy()
        self.place.proxy.faulty = True
        error = self.timed(step)
        self.place.proxy.faulty = False
        faults = [*(self.place.proxy.count - before)]
        self.befell.update(faults)
        if error is None:
            self.survived.update(faults)
        if error is None:
            self.count["operations that succeeded"] += 1
            return
        self.kinds[type(error).__name__] += 1
        absent = isinstance(error, FileNotFoundError) and not isinstance(error, UnreachableError)
        if isinstance(error, BUGS) or absent:  # no server says that anything is not there
            self.bad("errors of a wrong kind", f"{step.name}\n{formatted(error)}")
        second = self.timed(step)
        if second is not None:
            self.bad(
                "second attempts that fail", f"{step.name}\n{formatted(second)}\nafter\n{formatted(error)}"
            )
            step.settle()

    def timed(self, step: Step) -> BaseException | None:
        """One attempt; its error."""
        began = time.monotonic()
        self.now = step.name, began
        try:
            step.attempt()
        except Wrong as wrong:
            self.bad("wrong bytes", f"{step.name}: {wrong}")
            step.settle()
        except (Exception, asyncio.CancelledError) as error:  # the outcome
            return error
        finally:
            self.now = None
            if time.monotonic() - began > DEADLINE:
                self.bad("calls over their deadline", f"{step.name} took {time.monotonic() - began:.0f} s")
        return None


def formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-3000:]


def watch(threads: list[Thread]) -> bool:
    """Wait for the threads; False if one hangs."""
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            now = thread.now
            if now is not None and time.monotonic() - now[1] > HANG:
                thread.bad("calls over their deadline", f"{now[0]} hangs; stacks are on standard error")
                faulthandler.dump_traceback(all_threads=True)
                return False
        time.sleep(0.2)
    return True


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/chaos", description="Break answers; what succeeds must be right all the same."
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, default=None, help="what chance decides; by default a new one")
    parser.add_argument("--rate", type=float, default=0.2, help="the part of exchanges with a fault (0.2)")
    parser.add_argument("--only", default=",".join(KINDS), help=f"some of {','.join(KINDS)}")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(KINDS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    return options


def report(threads: list[Thread], seed: int, json_file: str | None) -> int:
    """Print the figures, the bad ones last; how many are bad."""
    total: Counter[str] = Counter()
    for thread in threads:
        total += thread.count
        print(f"{thread.place.name}: {sum(thread.operations.values()):,} operations")
        for title, counted in (
            ("operations", thread.operations),
            ("faults", thread.place.proxy.count),
            ("errors", thread.kinds),
        ):
            print(f"  {title}: " + ", ".join(f"{name} {n:,}" for name, n in sorted(counted.items())))
        survived = (f"{f} {thread.survived[f]:,} of {n:,}" for f, n in sorted(thread.befell.items()))
        print("  operations that a fault befell and that succeeded: " + ", ".join(survived))
    print()
    for thread in threads:
        for text in thread.trouble:
            print(text, end="\n\n")
    figures = {
        "operations": sum(sum(thread.operations.values()) for thread in threads),
        "operations that succeeded": total["operations that succeeded"],
        "faults injected": sum(sum(thread.place.proxy.count.values()) for thread in threads),
        **{name: total[name] for name in BAD},
    }
    for name, number in figures.items():
        print(f"{name:27}{number:,}")
    if json_file:
        Path(json_file).write_text(json.dumps({**figures, "seed": seed}, indent=1))
    if not figures["operations"] or not figures["faults injected"]:
        print("nothing was tried")
        return 1
    return sum(total[name] for name in BAD)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    only = ",".join(options.only)
    print(
        f"ci/chaos --seconds {options.seconds:g} --seed {seed} --rate {options.rate:g} --only {only}",
        flush=True,
    )
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        del os.environ[name]  # a user's profile is not for here
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-chaos-"))
        loop = Loop()
        stack.callback(loop.end)
        places = []
        for kind in options.only:
            folder = os.path.join(home, kind)
            rng = random.Random(f"{seed} proxy {kind}")
            places.append(stack.enter_context(KINDS[kind](loop, rng, options.rate, folder)))
            places[-1].fill()
        began = time.monotonic()
        threads = [Thread(place, f"{seed} {place.name}", began + options.seconds) for place in places]
        for thread in threads:
            thread.start()
        ended = watch(threads)
        bad = report(threads, seed, options.json)
        took = time.monotonic() - began
        print(f"{took:.0f} seconds: " + ("all zero" if not bad else f"{bad} BAD"), flush=True)
        if not ended:
            os._exit(1)  # a thread that hangs cannot be ended
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
