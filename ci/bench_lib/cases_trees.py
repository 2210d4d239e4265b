"""Finding and globbing on a backend that answers listings, with and without latency."""

from __future__ import annotations

import re
from typing import Any

from .case import Bench, Timed, case
from .loops import LoopThread, pooled

GLOB = "*/m7/b?.csv"


def level_by_level(kind: str, latency: float, step: Any, depth: int) -> Any:
    """A limit: all listings of a level at once, for ``depth`` levels, from what ``step`` keeps."""

    def limit(bench: Bench) -> Timed:
        import asyncio

        from .listings import folders

        listings = folders(kind)
        thread = LoopThread()
        requests = 0

        async def listing(name: str) -> list[dict[str, Any]]:
            nonlocal requests
            requests += 1
            if latency:
                await asyncio.sleep(latency)
            return listings[name]

        async def search() -> list[str]:
            level, files = [""], []
            for number in range(depth):
                found = await pooled(listing, level)
                entries = [e for entries in found.values() for e in entries if step(number, e)]
                level = [e["name"] for e in entries if e["type"] == "directory"]
                files += [e["name"] for e in entries if e["type"] == "file"]
            return sorted(files)

        bench.count = lambda: {"requests": requests}
        return lambda: thread.run(search())

    return limit


def everything(number: int, entry: dict[str, Any]) -> bool:
    return True


def matching(number: int, entry: dict[str, Any]) -> bool:
    if number == 0:
        return True
    return re.search(r"/m7$" if number == 1 else r"/b[^/]\.csv$", entry["name"]) is not None


def toy(bench: Bench, kind: str, latency: float) -> Any:
    from .backends import Toy

    fs = Toy(kind, latency)
    bench.count = lambda: {"requests": fs.requests}
    return fs


@case("find", "find, 110 folders, without latency", 1.0, limit=level_by_level("deep", 0, everything, 3))
def find(bench: Bench) -> Timed:
    fs = toy(bench, "deep", 0)
    return lambda: fs.find("")


@case(
    "find-latency",
    "find, 110 folders at 5 ms",
    0.1,
    limit=level_by_level("deep", 0.005, everything, 3),
    by_cpu=False,
)
def find_latency(bench: Bench) -> Timed:
    fs = toy(bench, "deep", 0.005)
    return lambda: fs.find("")


@case(
    "walk-latency",
    "walk, 110 folders at 5 ms",
    0.1,
    limit=level_by_level("deep", 0.005, everything, 3),
    by_cpu=False,
)
def walk_latency(bench: Bench) -> Timed:
    fs = toy(bench, "deep", 0.005)
    return lambda: list(fs.walk(""))


@case("glob", f"glob {GLOB} among 100k", 0.05, limit=level_by_level("wide", 0, matching, 3))
def glob(bench: Bench) -> Timed:
    fs = toy(bench, "wide", 0)
    return lambda: fs.glob(GLOB)


@case(
    "glob-latency",
    f"glob {GLOB}, 110 folders at 5 ms",
    0.1,
    limit=level_by_level("deep", 0.005, matching, 3),
    by_cpu=False,
)
def glob_latency(bench: Bench) -> Timed:
    fs = toy(bench, "deep", 0.005)
    return lambda: fs.glob(GLOB)
