"""Whether an entry costs the same among ten thousand and among a million.

The time is for one entry; ``memory`` counts the bytes that one entry takes up, by tracemalloc.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from .case import Bench, Timed, case

SIZES = {"10k": 10**4, "100k": 10**5, "1m": 10**6}


def memory_of(make: Callable[[], Any], entries: int) -> int:
    """The bytes that one entry of what ``make`` returns takes up."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del made
    return round(taken / entries)


def paths(entries: int) -> list[str]:
    """A hundred files in each folder, a hundred folders in each of those above."""
    return [f"/grow/d{n // 10_000}/e{n // 100 % 100}/f{n % 100}" for n in range(entries)]


def memory(entries: int) -> Any:
    def fill() -> Any:
        from fsspec.implementations.memory import MemoryFileSystem

        fs = MemoryFileSystem(skip_instance_cache=True)
        for name in paths(entries):
            fs.pipe_file(name, b"x")
        return list(fs.store.items())

    def work(bench: Bench) -> Timed:
        from fsspec.implementations.memory import MemoryFileSystem

        fs = MemoryFileSystem(skip_instance_cache=True)

        def count() -> dict[str, int]:
            fs.rm("/grow", recursive=True)
            taken = memory_of(fill, entries)
            return {"memory": taken}

        if entries == SIZES["10k"]:  # filled once more, which takes long for others
            bench.count = count
        fill()
        return lambda: len(fs.find("/grow"))

    return work


def references(entries: int) -> Any:
    def make() -> Any:
        import fsspec

        refs = {name[1:]: ["memory://data", n, 1] for n, name in enumerate(paths(entries))}
        return fsspec.filesystem("reference", fo=refs, skip_instance_cache=True)

    def work(bench: Bench) -> Timed:
        fs = make()
        return lambda: len(fs.find("grow"))

    return work


def listings(entries: int) -> Any:
    def make() -> Any:
        from fsspec.dircache import DirCache

        cache = DirCache()
        for start in range(0, entries, 100):
            name = f"grow/d{start}"
            cache[name] = [{"name": f"{name}/f{n}", "size": 1, "type": "file"} for n in range(100)]
        return cache

    def work(bench: Bench) -> Timed:
        cache = make()
        names = [f"grow/d{start}" for start in range(0, entries, 100)]
        bench.count = lambda: {"memory": memory_of(make, entries)}
        return lambda: sum(len(cache[name]) for name in names)

    return work


for _size, _entries in SIZES.items():
    case(f"growth-memory-{_size}", f"memory find among {_size}", None, ops=_entries)(memory(_entries))
    case(f"growth-references-{_size}", f"references find among {_size}", None, ops=_entries)(
        references(_entries)
    )
    case(f"growth-listings-{_size}", f"kept listings, all of {_size}", None, ops=_entries)(listings(_entries))
