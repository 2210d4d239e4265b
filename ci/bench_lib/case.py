"""What a case is, and the table of all cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Timed = Callable[[], Any]


@dataclass
class Bench:
    """What the driver made for the cases, and what a case counts.

    Attributes
    ----------
    folder
        where the local tree is.
    site
        the HTTP server's address.
    s3
        the S3 server's, where a case wants one.
    full
        the larger sizes were asked for.
    counted
        set by a case's `count`, after the first run of what it timed: "requests", "bytes".
    """

    folder: str
    site: str
    full: bool
    s3: str = ""
    counted: dict[str, int] = field(default_factory=dict)
    count: Callable[[], dict[str, int]] | None = None


@dataclass(frozen=True)
class Case:
    """One kind of work.

    ``work`` and ``limit`` build what the work needs and return the function that is timed; the
    one by whichever fsspec is installed, the other as the limit does it.  A function that
    returns a float has timed itself.  ``ops`` is how often the function does the work, so that
    the figure is for one.  ``aim`` is what ours/upstream should be at most, ``limit_aim`` the
    same for ours/limit, ``over`` the seconds that ours may take more than the limit; where all
    are None there is no aim.  ``by_cpu`` compares CPU times: for work that is all done in the
    process, and where no time passes in waiting.
    """

    name: str
    text: str
    aim: float | None
    work: Callable[[Bench], Timed]
    limit: Callable[[Bench], Timed] | None
    ops: int = 1
    limit_aim: float | None = None
    over: float | None = None
    s3: bool = False
    by_cpu: bool = True


CASES: dict[str, Case] = {}


def case(
    name: str,
    text: str,
    aim: float | None,
    *,
    limit: Callable[[Bench], Timed] | None = None,
    ops: int = 1,
    limit_aim: float | None = None,
    over: float | None = None,
    s3: bool = False,
    by_cpu: bool = True,
) -> Callable[[Callable[[Bench], Timed]], Callable[[Bench], Timed]]:
    """Enter the decorated function into the table as the ``work`` of a case."""

    def enter(work: Callable[[Bench], Timed]) -> Callable[[Bench], Timed]:
        CASES[name] = Case(name, text, aim, work, limit, ops, limit_aim, over, s3, by_cpu)
        return work

    return enter


def load() -> dict[str, Case]:
    """All cases, in the order of the report."""
    from . import (  # noqa: F401  # importing a module enters its cases
        cases_caches,
        cases_calls,
        cases_core,
        cases_files,
        cases_fork,
        cases_growth,
        cases_http,
        cases_s3,
        cases_trees,
    )

    return CASES
