"""What a program reported, and what it means: right or wrong for ours, a finding for upstream."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Any

from . import data
from .ways import WAYS

WORKERS = 4
ALL_BYTES = WORKERS * data.TOTAL_BYTES
"""Each worker reads everything."""


def mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def in_words(error: list[Any]) -> str:
    """An error's type and the first line of its message, cut to what fits on a line."""
    lines = str(error[1]).splitlines() or [""]
    text = f"{error[0]}: {lines[0]}"
    return text if len(text) <= 90 else text[:87] + "..."


@dataclass
class Record:
    """What one program reported, and how it ended.

    Attributes
    ----------
    hung
        workers that their alarm ended; those that ended in another wrong way are in ``died``.
    exit_hung
        whether the child that only exits had to be ended.
    ended
        how the program itself ended: None for well, else in words.
    """

    way: str
    method: str
    opted_in: bool = True
    reads: int = 0
    bytes: int = 0
    first: float | None = None
    last: float = 0.0
    workers: set[int] = field(default_factory=set)
    refusals: dict[int, list[Any]] = field(default_factory=dict)
    hung: int = 0
    died: list[str] = field(default_factory=list)
    exit_hung: bool = False
    before: list[Any] | None = None
    after: list[Any] | None = None
    parent: bool = False
    ended: str | None = None
    noise: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return WAYS[self.way].name

    def take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        error = event.get("error")
        if kind == "read" and error:
            self.refusals[event["worker"]] = error
        elif kind == "read":
            self.reads += 1
            self.bytes += event["size"]
            self.workers.add(event["worker"])
            self.first = event["at"] if self.first is None else min(self.first, event["at"])
            self.last = max(self.last, event["at"])
        elif kind == "open":
            self.before = error
        elif kind == "parent":
            self.parent, self.after = error is None, error
        elif kind == "died" and event["code"] == -signal.SIGALRM:
            self.hung += 1
        elif kind == "died":
            self.died.append(f"a worker ended with {event['code']}")
        elif kind == "exited" and event["code"] in (None, -signal.SIGALRM):
            self.exit_hung = True
        elif kind == "exited" and event["code"] != 0:
            self.died.append(f"a child that only exits ended with {event['code']}")

    def blame(self, said: dict[int, str]) -> None:
        """Add what is wrong with workers; once, where it is the same for several."""
        for text in dict.fromkeys(said.values()):
            names = ", ".join(str(worker) for worker in sorted(said) if said[worker] == text)
            self.wrong.append(f"worker {names} {text[:400]}")

    def judge(self) -> None:
        """Say in ``wrong`` what is not as this package promises it."""
        if self.before:
            self.wrong.append(f"the parent could not read before the fork: {in_words(self.before)}")
        if self.hung:
            self.wrong.append(f"{self.hung} workers hung")
        self.wrong += self.died
        if self.exit_hung:
            self.wrong.append("a child that only exits hung")
        if self.opted_in:
            self.blame({w: f"failed: {e[0]}: {e[1]}" for w, e in self.refusals.items()})
            if self.bytes != ALL_BYTES and not self.refusals:
                self.wrong.append(f"{self.bytes:,} bytes were verified, not {ALL_BYTES:,}")
        else:
            met = {w: self.refusals.get(w, ["nothing", "it was not refused", False]) for w in range(WORKERS)}
            self.blame(
                {
                    w: f"should meet ForkError, met {e[0]}: {e[1]}"
                    for w, e in met.items()
                    if e[0] != "ForkError" or "fork-safe" not in e[1] or not e[2]
                }
            )
        if self.after:
            self.wrong.append(f"the parent was harmed: {in_words(self.after)}")
        elif not self.parent:
            self.wrong.append("the parent did not come to read again")
        if self.ended:
            self.wrong.append(f"the program {self.ended}")
        if self.noise:
            self.wrong.append("something was written to standard error")
        if self.wrong:
            self.wrong.extend(self.noise.splitlines()[-60:])  # the stacks, where something hung

    def sentence(self) -> str:
        """What came of it here."""
        if self.wrong:
            return f"{self.name}: {self.wrong[0]}"
        if not self.opted_in:
            return (
                f"{self.name}: refused in all {WORKERS} workers with ForkError; the parent reads on unharmed."
            )
        means = "inherited" if self.method == "fork" else "sent to spawned processes"
        return (
            f"{self.name}: {means}, read in full by {len(self.workers)} workers, all "
            f"{mib(self.bytes)} right; the parent reads on unharmed."
        )

    def findings(self, limit: float) -> tuple[str, str, str]:
        """What came of it with upstream: the workers and the parent in a word or two, and a sentence.

        Parameters
        ----------
        limit
            seconds after which a read counts as hanging.
        """
        if self.hung:
            workers = "hang"
            count = "a worker hangs" if self.hung == 1 else f"{self.hung} of {WORKERS} workers hang"
            said = f"{count} (no answer for {limit:.0f} s; {mib(self.bytes)} were read)"
            if self.bytes == ALL_BYTES:
                said = f"the workers read {mib(self.bytes)}, and {count} as it ends"
        elif self.refusals:
            first = next(iter(self.refusals.values()))
            workers = "refused" if "fork-safe" in first[1] else "fail"
            said = f"{len(self.refusals)} of {WORKERS} workers met {in_words(first)}"
        elif self.died:
            workers, said = "die", self.died[0]
        else:
            workers = "read all" if self.bytes == ALL_BYTES else f"read {mib(self.bytes)}"
            said = f"the workers read {mib(self.bytes)}"
        if self.parent:
            parent, then = "unharmed", "the parent reads on"
        elif self.after:
            parent, then = "harmed", f"the parent was harmed: {in_words(self.after)}"
        else:
            parent, then = "hangs", f"then the parent {self.ended or 'did not come to read again'}"
        if self.exit_hung:
            then += "; a child that only exits hangs"
        return workers, parent, f"{self.name}: {said}; {then}."
