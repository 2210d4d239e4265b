"""HTTP on loopback; the limit is aiohttp as it is, on a loop in a thread."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

from .case import Bench, Timed, case
from .loops import LoopThread, pooled
from .server import BIG, BIG_FULL, CHUNK, SLOW, SMALL, counts

RANDOM = 64
PART = 65536


def counted(bench: Bench) -> None:
    counts(bench.site)  # from here on
    bench.count = lambda: counts(bench.site)


def aiohttp_limit(work: Callable[[Any, Bench], Awaitable[Any]]) -> Callable[[Bench], Timed]:
    """A limit that runs ``work(session, bench)`` on a session that is kept."""

    def limit(bench: Bench) -> Timed:
        import aiohttp

        thread = LoopThread()

        async def start() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=128))

        session = thread.run(start())
        counted(bench)

        async def run() -> None:
            await work(session, bench)

        return lambda: thread.run(run())

    return limit


def fresh(bench: Bench) -> Any:
    import fsspec

    fs = fsspec.filesystem("http", skip_instance_cache=True)
    counted(bench)
    return fs


# -- one large file --------------------------------------------------------------------------


def big(bench: Bench) -> str:
    return f"{bench.site}/bigger" if bench.full else f"{bench.site}/big"


async def stream(session: Any, bench: Bench) -> None:
    total = 0
    async with session.get(big(bench)) as answer:
        async for part in answer.content.iter_chunked(2**20):
            total += len(part)
    assert total == (BIG_FULL if bench.full else BIG)


def sequential(bench: Bench, step: int = 2**20, **options: Any) -> Timed:
    fs = fresh(bench)

    def timed() -> None:
        total = 0
        with fs.open(big(bench), "rb", **options) as file:
            while part := file.read(step):
                total += len(part)
        assert total == (BIG_FULL if bench.full else BIG)

    return timed


@case("http-sequential", "HTTP sequential, default cache", 0.25, limit=aiohttp_limit(stream))
def http_sequential(bench: Bench) -> Timed:
    return sequential(bench)


@case("http-readahead", "HTTP sequential, readahead", 0.6, limit=aiohttp_limit(stream))
def http_readahead(bench: Bench) -> Timed:
    return sequential(bench, cache_type="readahead")


@case("http-blockcache", "HTTP sequential, blockcache", 0.3, limit=aiohttp_limit(stream))
def http_blockcache(bench: Bench) -> Timed:
    return sequential(bench, cache_type="blockcache")


@case("http-adaptive", "HTTP sequential, adaptive", 0.5, limit=aiohttp_limit(stream))
def http_adaptive(bench: Bench) -> Timed:
    return sequential(bench, cache_type="adaptive")


@case("http-background", "HTTP sequential, background", 0.5, limit=aiohttp_limit(stream))
def http_background(bench: Bench) -> Timed:
    return sequential(bench, cache_type="background")


@case("http-none", "HTTP sequential, 16 MB at a time without a cache", 0.5, limit=aiohttp_limit(stream))
def http_none(bench: Bench) -> Timed:
    return sequential(bench, 16 * 2**20, cache_type="none")


def starts() -> list[int]:
    generator = random.Random(3)
    return [generator.randrange(BIG - PART) for _ in range(RANDOM)]


async def ranges(session: Any, bench: Bench) -> None:
    for start in starts():
        wanted = {"Range": f"bytes={start}-{start + PART - 1}"}
        async with session.get(f"{bench.site}/big", headers=wanted) as answer:
            assert len(await answer.read()) == PART


def scattered(bench: Bench, **options: Any) -> Timed:
    fs = fresh(bench)

    def timed() -> None:
        with fs.open(f"{bench.site}/big", "rb", **options) as file:
            for start in starts():
                file.seek(start)
                assert len(file.read(PART)) == PART

    return timed


@case(
    "http-random", "HTTP random reads of 64 kB, default cache", 0.2, limit=aiohttp_limit(ranges), ops=RANDOM
)
def http_random(bench: Bench) -> Timed:
    return scattered(bench)


@case("http-random-blockcache", "the same, blockcache", 0.25, limit=aiohttp_limit(ranges), ops=RANDOM)
def http_random_blockcache(bench: Bench) -> Timed:
    return scattered(bench, cache_type="blockcache")


@case("http-random-readahead", "the same, readahead", 0.25, limit=aiohttp_limit(ranges), ops=RANDOM)
def http_random_readahead(bench: Bench) -> Timed:
    return scattered(bench, cache_type="readahead")


@case("http-cat-ranges", "HTTP cat_ranges of 200 ranges", 1.05, limit=aiohttp_limit(ranges), ops=200)
def http_cat_ranges(bench: Bench) -> Timed:
    fs = fresh(bench)
    begin = [n * 100_000 for n in range(200)]
    return lambda: fs.cat_ranges([f"{bench.site}/big"] * 200, begin, [n + 10_000 for n in begin])


# -- a server that limits the rate of each connection ------------------------------------------

CONNECTIONS = 4
SLOW_PART = 4 * 2**20


async def in_parallel(session: Any, bench: Bench) -> None:
    async def part(start: int) -> int:
        wanted = {"Range": f"bytes={start}-{start + SLOW_PART - 1}"}
        async with session.get(f"{bench.site}/slow", headers=wanted) as answer:
            return len(await answer.read())

    found = await pooled(part, range(0, SLOW, SLOW_PART), CONNECTIONS)
    assert sum(found.values()) == SLOW


def several(bench: Bench) -> Any:
    """An instance that may use several connections for one file, where there is an option for it."""
    import inspect

    import fsspec
    from fsspec.implementations.http import HTTPFileSystem

    known = "max_concurrency" in inspect.signature(HTTPFileSystem.__init__).parameters
    fs = fsspec.filesystem(
        "http", skip_instance_cache=True, **({"max_concurrency": CONNECTIONS} if known else {})
    )
    counted(bench)
    return fs


SLOWLY: dict[str, tuple[str, Callable[[Any, str, str], int]]] = {
    "cat": ("cat_file", lambda fs, url, folder: len(fs.cat_file(url))),
    "get": ("get_file", lambda fs, url, folder: fs.get_file(url, f"{folder}/slow") or SLOW),
    "read": ("read in order, default cache", lambda fs, url, folder: read_all(fs, url)),
    "adaptive": (
        "read in order, adaptive",
        lambda fs, url, folder: read_all(fs, url, cache_type="adaptive"),
    ),
}


def read_all(fs: Any, url: str, **options: Any) -> int:
    total = 0
    with fs.open(url, "rb", **options) as file:
        while part := file.read(2**20):
            total += len(part)
    return total


def slowly(do: Callable[[Any, str, str], int]) -> Callable[[Bench], Timed]:
    def work(bench: Bench) -> Timed:
        fs = several(bench)

        def timed() -> None:
            assert do(fs, f"{bench.site}/slow", bench.folder) == SLOW

        return timed

    return work


for _name, (_text, _do) in SLOWLY.items():
    case(
        f"http-slow-{_name}",
        f"HTTP {_text}, {CONNECTIONS} connections, each limited",
        0.4,
        limit=aiohttp_limit(in_parallel),
        limit_aim=1.11,
        by_cpu=False,
    )(slowly(_do))


# -- zarr: many chunks at once -------------------------------------------------------------------


def chunks(bench: Bench, where: str) -> list[str]:
    return [f"{bench.site}/{where}/{n}" for n in range(10_000 if bench.full else 1000)]


def zarr_limit(where: str) -> Callable[[Bench], Timed]:
    async def work(session: Any, bench: Bench) -> None:
        found = await pooled(lambda url: get(session, url), chunks(bench, where))
        assert all(len(data) == len(CHUNK) for data in found.values())

    return aiohttp_limit(work)


def zarr(where: str) -> Callable[[Bench], Timed]:
    def work(bench: Bench) -> Timed:
        fs = fresh(bench)
        names = chunks(bench, where)

        def timed() -> None:
            found = fs.cat(names)
            assert all(len(data) == len(CHUNK) for data in found.values())

        return timed

    return work


case("http-chunks", "HTTP cat of chunks of 64 kB, as zarr does", 1.05, limit=zarr_limit("chunk"))(
    zarr("chunk")
)
case("http-chunks-late", "the same at 5 ms a chunk", 1.05, limit=zarr_limit("late"), by_cpu=False)(
    zarr("late")
)


# -- small files -----------------------------------------------------------------------------


def many(bench: Bench) -> list[str]:
    return [f"{bench.site}/small/{n}" for n in range(2000 if bench.full else 500)]


async def get(session: Any, url: str) -> bytes:
    async with session.get(url) as answer:
        data: bytes = await answer.read()
        return data


async def get_many(session: Any, bench: Bench) -> None:
    await pooled(lambda url: get(session, url), many(bench))


@case("http-cat", "HTTP cat of many small files", 0.95, limit=aiohttp_limit(get_many))
def http_cat(bench: Bench) -> Timed:
    fs = fresh(bench)
    return lambda: fs.cat(many(bench))


def one_by_one(method: str) -> Callable[[Bench], Timed]:
    """A limit: fifty requests, each waited for from the calling thread, as a sync call is."""

    def limit(bench: Bench) -> Timed:
        import aiohttp

        thread = LoopThread()

        async def start() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        async def ask(url: str) -> None:
            async with session.request(method, url) as answer:
                await answer.read()

        session = thread.run(start())
        counted(bench)
        return lambda: [thread.run(ask(url)) for url in many(bench)[:50]]

    return limit


@case("http-cat-file", "HTTP cat_file", 0.7, limit=one_by_one("GET"), ops=50)
def http_cat_file(bench: Bench) -> Timed:
    fs = fresh(bench)
    return lambda: [fs.cat_file(url) for url in many(bench)[:50]]


@case("http-info", "HTTP info", 0.6, limit=one_by_one("HEAD"), ops=50)
def http_info(bench: Bench) -> Timed:
    fs = fresh(bench)
    return lambda: [fs.info(url) for url in many(bench)[:50]]


@case("http-open", "HTTP open and read", 0.5, limit=one_by_one("GET"), ops=50)
def http_open(bench: Bench) -> Timed:
    fs = fresh(bench)

    def timed() -> None:
        for url in many(bench)[:50]:
            with fs.open(url, "rb") as file:
                file.read()

    return timed


@case("http-open-files", "HTTP open_files, each read", 1.05, ops=50)
def http_open_files(bench: Bench) -> Timed:
    import fsspec

    names = many(bench)[:50]
    fresh(bench)

    def timed() -> None:
        for file in fsspec.open_files(names, "rb"):
            with file as opened:
                opened.read()

    return timed


def into_folders(bench: Bench, again: bool, put: Callable[[str], Any]) -> Timed:
    """``put`` with a folder of its own each time, or ``again`` with one that has the files."""
    import shutil
    import tempfile

    kept = tempfile.mkdtemp(dir=bench.folder)

    def timed() -> None:
        folder = kept if again else tempfile.mkdtemp(dir=bench.folder)
        put(folder)
        if not again:
            shutil.rmtree(folder)

    return timed


def downloads(bench: Bench, again: bool) -> Timed:
    fs = fresh(bench)
    names = many(bench)[:200]
    return into_folders(bench, again, lambda folder: fs.get(names, [f"{folder}/{n}" for n in range(200)]))


def beside(path: str, data: bytes) -> None:
    """Write under another name and rename: the least that leaves no part of a file where it is looked for."""
    fd = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    os.write(fd, data)
    os.close(fd)
    os.replace(f"{path}.part", path)


def in_place(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    os.write(fd, data)
    os.close(fd)


def downloads_limit(again: bool) -> Callable[[Bench], Timed]:
    def limit(bench: Bench) -> Timed:
        folder = ""

        async def one(session: Any, number: int) -> None:
            beside(f"{folder}/{number}", await get(session, f"{bench.site}/small/{number}"))

        async def work(session: Any, bench: Bench) -> None:
            await pooled(lambda number: one(session, number), range(200))

        timed = aiohttp_limit(work)(bench)

        def put(into: str) -> None:
            nonlocal folder
            folder = into
            timed()

        return into_folders(bench, again, put)

    return limit


def writes(write: Callable[[str, bytes], None], again: bool) -> Callable[[Bench], Timed]:
    def put(folder: str) -> None:
        for number in range(200):
            write(f"{folder}/{number}", SMALL)

    return lambda bench: into_folders(bench, again, put)


for _name, _text, _again in (("", "", False), ("-again", " over those that are there", True)):
    case(f"http-get{_name}", f"HTTP get of 200 files{_text}", 1.05, limit=downloads_limit(_again), ops=200)(
        lambda bench, again=_again: downloads(bench, again)  # type: ignore[misc]  # bound now
    )
    case(
        f"write-beside{_name}",
        f"200 files written beside and renamed{_text}, without fsspec; the limit writes in place",
        None,
        limit=writes(in_place, _again),
        ops=200,
    )(writes(beside, _again))


@case("http-ls", "HTTP ls of a page with 2,000 links", 0.6)
def http_ls(bench: Bench) -> Timed:
    fs = fresh(bench)
    return lambda: fs.ls(f"{bench.site}/page/", detail=False)
