"""What reading through a cache costs when the bytes are at hand, and reading lines."""

from __future__ import annotations

import gc
import io
import random
import time
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


PATTERNS: dict[str, tuple[str, int, Any]] = {
    "16m": (
        "sequential reads of 16 MB",
        2,
        lambda: [(n, n + 16 * BLOCK) for n in range(0, SIZE, 16 * BLOCK)],
    ),
    "1m": ("sequential reads of 1 MB", 32, lambda: [(n, n + BLOCK) for n in range(0, SIZE, BLOCK)]),
    "64k": ("random reads of 64 kB", 200, lambda: [(n, n + 65536) for n in places(200, 65536)]),
    "columns": (
        "columns of a table, eight of 100 kB",
        320,
        lambda: [
            (group * 800_000 + column * 100_000 + part, group * 800_000 + column * 100_000 + part + 20_000)
            for column in range(8)
            for group in range(8)
            for part in range(0, 100_000, 20_000)
        ],
    ),
}


def pattern(name: str, how: str) -> Any:
    def work(bench: Bench) -> Timed:
        from fsspec.caching import caches

        fetched = [0, 0]
        reads = PATTERNS[how][2]()

        def fetch(start: int, end: int) -> bytes:
            fetched[0] += 1
            fetched[1] += min(end, SIZE) - start
            return DATA[start:end]

        def timed() -> None:
            cache = caches[name](5 * BLOCK, fetch, SIZE)
            for start, end in reads:
                cache._fetch(start, end)
            getattr(cache, "close", lambda: None)()
            del cache
            gc.collect()  # those that are part of a cycle would be freed in no round, and cost nothing for it

        def count() -> dict[str, int]:
            time.sleep(0.2)  # a thread that fetches ahead may not have begun
            return {"requests": fetched[0], "bytes": fetched[1]}

        gc.freeze()  # so that the collection costs next to nothing by itself
        bench.count = count
        return timed

    return work


def pattern_limit(how: str) -> Any:
    def limit(bench: Bench) -> Timed:
        reads = PATTERNS[how][2]()
        return lambda: [DATA[start:end] for start, end in reads]

    return limit


AIMS = {"none": 1.0, "first": 1.0, "bytes": 1.0, "mmap": 1.0}

for _name in ("none", "readahead", "bytes", "blockcache", "background", "adaptive", "mmap", "first"):
    for _how, (_text, _ops, _) in PATTERNS.items():
        case(
            f"{_name}-{_how}", f"{_name}, {_text}", AIMS.get(_name, 0.6), limit=pattern_limit(_how), ops=_ops
        )(pattern(_name, _how))


# -- files -----------------------------------------------------------------------------------


def of_bytes(data: bytes) -> Any:
    """A filesystem whose files all have these bytes, and are read through a cache."""
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    class File(AbstractBufferedFile):
        def _fetch_range(self, start: int, end: int) -> bytes:
            return data[start:end]

    class Bytes(AbstractFileSystem):
        protocol = "benchbytes"

        def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
            return {"name": path, "size": len(data), "type": "file"}

        def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
            return File(self, path, mode, block_size, **kwargs)

    return Bytes(skip_instance_cache=True)


def buffered(cache_type: str, data: bytes) -> Any:
    return of_bytes(data).open("data", "rb", BLOCK, cache_type=cache_type)


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


# -- filesystems that keep copies --------------------------------------------------------------


def remote(protocol: str, names: list[str], data: bytes) -> Any:
    """What is kept: files in memory, or for blocks, which fsspec has a file's cache fetch, files with one."""
    import fsspec

    if protocol == "blockcache":
        return of_bytes(data)
    memory = fsspec.filesystem("memory")
    for name in names:
        memory.pipe_file(name, data)
    return memory


def first_reads(protocol: str, files: int, size: int) -> Any:
    def work(bench: Bench) -> Timed:
        import shutil
        import tempfile

        import fsspec

        names = [f"/cached/{number}" for number in range(files)]
        source = remote(protocol, names, DATA[:size])

        def timed() -> None:
            folder = tempfile.mkdtemp(dir=bench.folder)
            fs = fsspec.filesystem(protocol, fs=source, cache_storage=folder, skip_instance_cache=True)
            for name in names:
                with fs.open(name, "rb") as file:
                    file.read()
            shutil.rmtree(folder)

        return timed

    return work


def again(protocol: str) -> Any:
    def work(bench: Bench) -> Timed:
        import tempfile

        import fsspec

        source = remote(protocol, ["/cached"], DATA[:100_000])
        folder = tempfile.mkdtemp(dir=bench.folder)
        fs = fsspec.filesystem(protocol, fs=source, cache_storage=folder, skip_instance_cache=True)

        def timed() -> None:
            for _ in range(100):
                with fs.open("/cached", "rb") as file:
                    file.read()

        return timed

    return work


for _name in ("simplecache", "filecache", "blockcache"):
    case(f"{_name}fs-first", f"{_name}://, first read of 32 MB", 0.5)(first_reads(_name, 1, SIZE))
    case(f"{_name}fs-files", f"{_name}://, first read of 200 files", 0.5, ops=200)(
        first_reads(_name, 200, 2000)
    )
    case(f"{_name}fs-again", f"{_name}://, read again", 0.6, ops=100)(again(_name))
