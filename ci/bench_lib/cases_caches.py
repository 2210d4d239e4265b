"""What reading through a cache costs when the bytes are at hand, and reading lines."""

from __future__ import annotations

import io
import random
from typing import Any

from .case import Bench, Timed, case

BLOCK = 2**20
SIZE = 32 * BLOCK
DATA = bytes(range(256)) * (SIZE // 256)


def places(count: int, length: int) -> list[int]:
    """Where the reads begin: the same places in every run."""
    generator = random.Random(7)
    return [generator.randrange(SIZE - length) for _ in range(count)]


def slices(count: int, length: int) -> Any:
    def limit(bench: Bench) -> Timed:
        starts = places(count, length)
        return lambda: [DATA[start : start + length] for start in starts]

    return limit


def through(bench: Bench, name: str, count: int, length: int, block: int = BLOCK) -> Timed:
    from fsspec.caching import caches

    fetched = [0, 0]

    def fetch(start: int, end: int) -> bytes:
        fetched[0] += 1
        fetched[1] += min(end, SIZE) - start
        return DATA[start:end]

    cache = caches[name](block, fetch, SIZE)
    starts = places(count, length)
    bench.count = lambda: {"requests": fetched[0], "bytes": fetched[1]}
    return lambda: [cache._fetch(start, start + length) for start in starts]


@case("blockcache-random", "blockcache, random reads of 1 kB", 0.3, limit=slices(200, 1024), ops=200)
def blockcache_random(bench: Bench) -> Timed:
    return through(bench, "blockcache", 200, 1024)


@case(
    "blockcache-spanning",
    "blockcache, reads of 100 kB over blocks of 8 kB",
    0.3,
    limit=slices(20, 100_000),
    ops=20,
)
def blockcache_spanning(bench: Bench) -> Timed:
    return through(bench, "blockcache", 20, 100_000, 8192)


@case("background-random", "background, random reads of 1 kB", 0.3, limit=slices(200, 1024), ops=200)
def background_random(bench: Bench) -> Timed:
    return through(bench, "background", 200, 1024)


@case("mmap-random", "mmap, random reads of 1 kB", 1.0, limit=slices(200, 1024), ops=200)
def mmap_random(bench: Bench) -> Timed:
    return through(bench, "mmap", 200, 1024)


@case("bytes-random", "bytes, random reads of 4 kB", 1.0, limit=slices(200, 4096), ops=200)
def bytes_random(bench: Bench) -> Timed:
    return through(bench, "bytes", 200, 4096)


@case("adaptive-random", "adaptive, random reads of 64 kB", 0.3, limit=slices(20, 65536), ops=20)
def adaptive_random(bench: Bench) -> Timed:
    return through(bench, "adaptive", 20, 65536)


def large_reads(name: str) -> Any:
    def work(bench: Bench) -> Timed:
        from fsspec.caching import caches

        def timed() -> None:
            cache = caches[name](5 * BLOCK, lambda start, end: DATA[start:end], SIZE)
            for start in range(0, SIZE, 16 * BLOCK):
                cache._fetch(start, start + 16 * BLOCK)
            getattr(cache, "close", lambda: None)()

        return timed

    return work


def large_limit(bench: Bench) -> Timed:
    return lambda: [DATA[start : start + 16 * BLOCK] for start in range(0, SIZE, 16 * BLOCK)]


for _name in ("readahead", "bytes", "blockcache", "background", "adaptive", "mmap"):
    case(f"{_name}-large", f"{_name}, sequential reads of 16 MB", 1.0, limit=large_limit, ops=2)(
        large_reads(_name)
    )


# -- files -----------------------------------------------------------------------------------


def buffered(cache_type: str, data: bytes) -> Any:
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    class Bytes(AbstractFileSystem):
        protocol = "benchbytes"

        def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
            return {"name": path, "size": len(data), "type": "file"}

    class File(AbstractBufferedFile):
        def _fetch_range(self, start: int, end: int) -> bytes:
            return data[start:end]

    return File(Bytes(skip_instance_cache=True), "data", "rb", BLOCK, cache_type=cache_type)


def small_limit(bench: Bench) -> Timed:
    file = io.BytesIO(DATA)

    def timed() -> None:
        for start in range(0, 200_000, 100):
            file.seek(start)
            file.read(100)

    return timed


@case("read-small", "one read of 100 bytes, cached", 0.4, limit=small_limit, ops=2000)
def read_small(bench: Bench) -> Timed:
    file = buffered("readahead", DATA)

    def timed() -> None:
        for start in range(0, 200_000, 100):
            file.seek(start)
            file.read(100)

    return timed


LINES = b"".join(b"%06d,%s\n" % (n, b"v" * (20 + n % 60)) for n in range(2000))


def readline_limit(bench: Bench) -> Timed:
    def timed() -> None:
        file = io.BytesIO(LINES)
        while file.readline():
            pass

    return timed


@case("readline", "readline", 0.05, limit=readline_limit, ops=2000)
def readline(bench: Bench) -> Timed:
    file = buffered("readahead", LINES)

    def timed() -> None:
        file.seek(0)
        while file.readline():
            pass

    return timed
