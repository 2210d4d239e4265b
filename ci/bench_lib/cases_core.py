"""Import, instances, one call, many calls."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from .case import Bench, Timed, case
from .listings import uneven
from .loops import LoopThread, pooled

# -- import ----------------------------------------------------------------------------------


def importing(bench: Bench, what: str) -> Timed:
    program = (
        f"import sys, time; n = len(sys.modules); t = time.perf_counter(); import {what}; "
        "t = time.perf_counter() - t; print(t, len(sys.modules) - n)"
    )
    modules = 0

    def timed() -> float:
        nonlocal modules
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
        seconds, count = done.stdout.split()
        modules = int(count)
        return float(seconds)

    bench.count = lambda: {"modules": modules}
    return timed


# What a module of its kind cannot do without: names, paths, locks, weak references, logs.
def import_limit(bench: Bench) -> Timed:
    return importing(bench, "functools, io, logging, os, re, threading, types, weakref")


@case("import", "import fsspec", 0.25, limit=import_limit)
def import_fsspec(bench: Bench) -> Timed:
    return importing(bench, "fsspec")


@case("import-asyn", "import fsspec.asyn", 0.35, limit=lambda bench: importing(bench, "asyncio"))
def import_asyn(bench: Bench) -> Timed:
    return importing(bench, "fsspec.asyn")


# -- instances -------------------------------------------------------------------------------


def cached_limit(bench: Bench) -> Timed:
    known: dict[Any, Any] = {}

    def filesystem(protocol: str, *args: Any, **kwargs: Any) -> Any:
        key = (protocol, args, tuple(kwargs.items()))
        if key not in known:
            known[key] = object()
        return known[key]

    def timed() -> None:
        for _ in range(1000):
            filesystem("benchtoy", kind="flat", latency=0.5)

    return timed


@case("instance-cached", "filesystem(...) from the cache", 0.5, limit=cached_limit, ops=1000)
def instance_cached(bench: Bench) -> Timed:
    import fsspec

    from .backends import Toy

    fsspec.register_implementation("benchtoy", Toy)

    def timed() -> None:
        for _ in range(1000):
            fsspec.filesystem("benchtoy", kind="flat", latency=0.5)

    return timed


@case(
    "instance-options", "filesystem(...) from the cache, a dict and a list among its options", 0.5, ops=1000
)
def instance_options(bench: Bench) -> Timed:
    import fsspec

    from .backends import Toy

    fsspec.register_implementation("benchtoy", Toy)
    options = {"client": {"endpoint": "http://localhost", "retries": 3}, "headers": ["a", "b"]}

    def timed() -> None:
        for _ in range(1000):
            fsspec.filesystem("benchtoy", kind="flat", **options)

    return timed


@case("instance-unpickle", "unpickling an instance", 0.5, ops=1000)
def instance_unpickle(bench: Bench) -> Timed:
    import pickle

    from .backends import Toy

    text = pickle.dumps(Toy("flat", latency=0.5))

    def timed() -> None:
        for _ in range(1000):
            pickle.loads(text)

    return timed


def cold_limit(bench: Bench) -> Timed:
    class Plain:
        """A plain object with as many attributes as an instance needs."""

        def __init__(self, number: int) -> None:
            self.storage_args = (number,)
            self.storage_options = {"number": number}
            self.dircache: dict[str, Any] = {}
            self.loop = None
            self.token = hash((Plain, number))

    def timed() -> None:
        for number in range(200):
            Plain(number)

    return timed


@case("instance-cold", "an async instance, cold", 0.2, limit=cold_limit, ops=200)
def instance_cold(bench: Bench) -> Timed:
    from .backends import Numbered

    def timed() -> None:
        Numbered.clear_instance_cache()
        for number in range(200):
            Numbered(number)

    return timed


# -- calls -----------------------------------------------------------------------------------


def call_limit(bench: Bench) -> Timed:
    thread = LoopThread()

    async def one() -> bytes:
        return b"x"

    def timed() -> None:
        for _ in range(200):
            thread.run(one())

    return timed


@case("sync-call", "one sync call on an async filesystem", 0.5, limit=call_limit, ops=200)
def sync_call(bench: Bench) -> Timed:
    from .backends import Numbered

    fs = Numbered()

    def timed() -> None:
        for _ in range(200):
            fs.cat_file("a")

    return timed


THREADS = 64


def from_threads(one: Any, calls: int = 20) -> Timed:
    """``one`` called by many threads at once, so often by each."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(THREADS)

    def thread(number: int) -> None:
        for _ in range(calls):
            one()

    return lambda: list(pool.map(thread, range(THREADS)))


def threads_limit(bench: Bench) -> Timed:
    thread = LoopThread()

    async def one() -> bytes:
        return b"x"

    return from_threads(lambda: thread.run(one()))


@case(
    "sync-threads",
    f"sync calls of {THREADS} threads on one loop",
    0.75,
    limit=threads_limit,
    ops=THREADS * 20,
)
def sync_threads(bench: Bench) -> Timed:
    from .backends import Numbered

    fs = Numbered()
    return from_threads(lambda: fs.cat_file("a"))


def bulk_limit(items: int, latency: float, workers: int) -> Any:
    def limit(bench: Bench) -> Timed:
        import asyncio

        thread = LoopThread()
        names = [f"flat/{n}" for n in range(items)]
        requests = 0

        async def one(name: str) -> bytes:
            nonlocal requests
            requests += 1
            if latency:
                await asyncio.sleep(uneven(latency, requests))
            return b"x" * 100

        bench.count = lambda: {"requests": requests}
        return lambda: thread.run(pooled(one, names, workers))

    return limit


def bulk(bench: Bench, items: int, latency: float) -> Timed:
    from .backends import Toy

    fs = Toy("flat", latency)
    names = [f"flat/{n}" for n in range(items)]
    bench.count = lambda: {"requests": fs.requests}
    return lambda: fs.cat(names)


@case("cat-bulk", "cat of 5,000, without latency", 0.3, limit=bulk_limit(5000, 0, 128))
def cat_bulk(bench: Bench) -> Timed:
    return bulk(bench, 5000, 0)


@case("cat-bulk-latency", "cat of 5,000 at 5 ms", 0.6, limit=bulk_limit(5000, 0.005, 1280), by_cpu=False)
def cat_bulk_latency(bench: Bench) -> Timed:
    return bulk(bench, 5000, 0.005)
