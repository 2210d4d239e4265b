"""Forks in stretched moments, many times: ``ci/sabotage --stretched``.

A copy of the tree without quiescence has to hang in nearly all runs, the whole tree in none.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from fsspec.tests.fork import stretching

ENOUGH = 0.95  # of the runs without quiescence have to hang

Prepare = Callable[[Path], None]


def repeat(run: Callable[[], tuple[str, str]], times: int, wanted: str) -> Counter[str]:
    """The outcomes of so many runs, by number; what is not as wanted is shown with its stacks."""
    count: Counter[str] = Counter()
    for number in range(1, times + 1):
        outcome, noise = run()
        count[outcome] += 1
        if outcome != wanted:
            print(f"run {number}: {outcome}\n{noise}", flush=True)
    return count


def main(whole: int, sabotaged: int, copy: Prepare, sabotage: Prepare) -> int:
    """0 where it is as it has to be.

    Parameters
    ----------
    whole, sabotaged
        runs with the tree, and without quiescence.
    copy, sabotage
        put a copy of the tree into a folder; take quiescence out of it.
    """
    reason = stretching.lacking()
    if reason:
        print(f"skipped: {reason}")
        return 2
    with tempfile.TemporaryDirectory(prefix="fsspec-stretched-") as name:
        trees = {"without quiescence": Path(name, "sabotaged"), "the tree": Path(name, "whole")}
        for tree in trees.values():
            copy(tree)
        sabotage(trees["without quiescence"])
        good = True
        with stretching.running(name) as run:
            for title, wanted, times, least in (
                ("without quiescence", "hung", sabotaged, ENOUGH),
                ("the tree", "well", whole, 1.0),
            ):
                root = str(trees[title])
                count = repeat(lambda root=root: run(root), times, wanted)  # type: ignore[misc]  # bound now
                print(f"{title}: {dict(count)} in {times} runs", flush=True)
                good = good and count[wanted] >= least * times
    return 0 if good else 1
