"""What a fork costs, and how soon a child has its first byte.

Both times go from just before ``os.fork`` to a moment in the child, by the clock that all
processes of a machine share.  Our side is opted in; upstream, which refuses what is inherited,
makes a new instance in the child.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from typing import Any

from .case import Bench, Timed, case
from .loops import LoopThread
from .s3 import CREDENTIALS, PATH, SIZE, options


def timed_fork(in_child: Callable[[], Any]) -> Timed:
    """Seconds from the fork until ``in_child`` has returned in the child."""

    def timed() -> float:
        reading, writing = os.pipe()
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                in_child()
                os.write(writing, struct.pack("d", time.monotonic()))
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        with open(reading, "rb") as pipe:
            told = pipe.read()
        _, code = os.waitpid(pid, 0)
        if code or not told:
            raise RuntimeError(f"the child ended with {os.waitstatus_to_exitcode(code)}")
        found: float = struct.unpack("d", told)[0] - began
        return found

    return timed


def nothing() -> None:
    pass


# -- the fork itself -------------------------------------------------------------------------


def live(count: int) -> Callable[[Bench], Timed]:
    def work(bench: Bench) -> Timed:
        os.environ["FSSPEC_FORK_RESET"] = "1"
        from .backends import Numbered

        instances = [Numbered(number) for number in range(count)]
        instances[0].cat_file("a")  # the loop runs
        timed = timed_fork(nothing)
        return lambda: timed() if instances else 0.0

    return work


def bare(count: int) -> Callable[[Bench], Timed]:
    def limit(bench: Bench) -> Timed:
        thread = LoopThread()
        objects = [{"number": number} for number in range(count)]
        timed = timed_fork(nothing)
        return lambda: timed() if objects and thread else 0.0

    return limit


case("fork-1", "a fork with 1 live instance", None, limit=bare(1))(live(1))
case("fork-10", "a fork with 10 live instances", None, limit=bare(10), over=100e-6)(live(10))
case("fork-1000", "a fork with 1,000 live instances", None, limit=bare(1000), over=2e-3)(live(1000))


# -- the first byte --------------------------------------------------------------------------


def bare_first_byte(bench: Bench) -> Timed:
    """A new loop and aiohttp session in the child."""
    import asyncio

    import aiohttp

    async def get() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{bench.site}/small/1") as answer:
                assert len(await answer.read()) == 2000

    return timed_fork(lambda: asyncio.run(get()))


@case(
    "fork-first-byte", "from fork to first byte, inherited HTTP", None, limit=bare_first_byte, limit_aim=1.5
)
def first_byte(bench: Bench) -> Timed:
    os.environ["FSSPEC_FORK_RESET"] = "1"
    import fsspec
    from fsspec import exceptions

    url = f"{bench.site}/small/1"
    inherited = fsspec.filesystem("http")
    inherited.cat_file(url)
    safe = hasattr(exceptions, "ForkError")

    def read() -> None:
        fs = inherited if safe else fsspec.filesystem("http", skip_instance_cache=True)
        assert len(fs.cat_file(url)) == 2000

    return timed_fork(read)


@case("fork-new", "from fork to first byte, new HTTP instance", None, limit=bare_first_byte)
def new_first_byte(bench: Bench) -> Timed:
    os.environ["FSSPEC_FORK_RESET"] = "1"
    import fsspec

    url = f"{bench.site}/small/1"
    fsspec.filesystem("http").cat_file(url)
    return timed_fork(lambda: fetch("http", url, {}))


def fetch(protocol: str, url: str, storage: dict[str, Any]) -> None:
    """In a child: through an instance of its own."""
    import fsspec

    assert len(fsspec.filesystem(protocol, skip_instance_cache=True, **storage).cat_file(url)) == SIZE


def started(method: str, *source: Any) -> Timed:
    """Seconds until a process started by ``method`` of multiprocessing has fetched ``source``.

    The child tells the time by a file's contents, for it inherits no pipe of ours.
    """
    import multiprocessing
    import tempfile

    context: Any = multiprocessing.get_context(method)

    def timed() -> float:
        with tempfile.NamedTemporaryFile() as told:
            began = time.monotonic()
            process = context.Process(target=fetch_and_tell, args=(told.name, *source))
            process.start()
            process.join()
            text = told.read()
        if process.exitcode or not text:
            raise RuntimeError(f"the child ended with {process.exitcode}")
        found: float = struct.unpack("d", text)[0] - began
        return found

    return timed


def fetch_and_tell(file: str, *source: Any) -> None:
    """What a spawned process runs."""
    fetch(*source)
    with open(file, "wb") as told:
        told.write(struct.pack("d", time.monotonic()))


@case("spawn-first-byte", "from spawn to first byte, HTTP", None, limit=bare_first_byte)
def spawn_first_byte(bench: Bench) -> Timed:
    return started("spawn", "http", f"{bench.site}/small/1", {})


@case("forkserver-first-byte", "from forkserver to first byte, HTTP", None, limit=bare_first_byte)
def forkserver_first_byte(bench: Bench) -> Timed:
    return started("forkserver", "http", f"{bench.site}/small/1", {})


class Stamp:
    """The time at which it is unpickled: a started process has imported nothing of fsspec by then."""

    def __reduce__(self) -> tuple[Any, ...]:
        return time.monotonic, ()


def read_and_tell(file: str, began: Any, fs: Any, url: str) -> None:
    """What a started process runs that was sent a filesystem."""
    assert len(fs.cat_file(url)) == SIZE
    with open(file, "wb") as told:
        told.write(struct.pack("d", time.monotonic() - began))


def sent(method: str, bench: Bench, *preload: str) -> Timed:
    """Seconds from the start of the interpreter until a process has read by a filesystem that it was sent."""
    import multiprocessing
    import tempfile

    import fsspec

    url = f"{bench.site}/small/1"
    fs = fsspec.filesystem("http")
    fs.cat_file(url)
    context: Any = multiprocessing.get_context(method)
    if preload:
        context.set_forkserver_preload(list(preload))

    def timed() -> float:
        with tempfile.NamedTemporaryFile() as told:
            process = context.Process(target=read_and_tell, args=(told.name, Stamp(), fs, url))
            process.start()
            process.join()
            text = told.read()
        if process.exitcode or not text:
            raise RuntimeError(f"the child ended with {process.exitcode}")
        found: float = struct.unpack("d", text)[0]
        return found

    return timed


@case("spawn-started", "from a spawned interpreter to first byte, HTTP", None, limit=bare_first_byte)
def spawn_started(bench: Bench) -> Timed:
    return sent("spawn", bench)


@case("forkserver-started", "the same, forkserver with preload", None, limit=bare_first_byte, limit_aim=1.5)
def forkserver_started(bench: Bench) -> Timed:
    return sent("forkserver", bench, "fsspec.implementations.http")


# -- the same from S3 ------------------------------------------------------------------------


def bare_s3_first_byte(bench: Bench) -> Timed:
    """A new loop and client of aiobotocore in the child."""
    import asyncio

    from aiobotocore.session import get_session

    bucket, key = PATH.split("/")

    async def get() -> None:
        client = get_session().create_client(
            "s3",
            endpoint_url=bench.s3,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["key"],
            aws_secret_access_key=CREDENTIALS["secret"],
        )
        async with client as s3:
            answer = await s3.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as body:
                assert len(await body.read()) == SIZE

    return timed_fork(lambda: asyncio.run(get()))


@case(
    "fork-first-byte-s3",
    "from fork to first byte, inherited S3",
    None,
    limit=bare_s3_first_byte,
    limit_aim=1.5,
    s3=True,
)
def s3_first_byte(bench: Bench) -> Timed:
    os.environ["FSSPEC_FORK_RESET"] = "1"
    import fsspec
    from fsspec import exceptions

    inherited = fsspec.filesystem("s3", **options(bench.s3))
    inherited.cat_file(PATH)
    safe = hasattr(exceptions, "ForkError")

    def read() -> None:
        fs = inherited if safe else fsspec.filesystem("s3", skip_instance_cache=True, **options(bench.s3))
        assert len(fs.cat_file(PATH)) == SIZE

    return timed_fork(read)


@case("fork-new-s3", "from fork to first byte, new S3 instance", None, limit=bare_s3_first_byte, s3=True)
def s3_new_first_byte(bench: Bench) -> Timed:
    os.environ["FSSPEC_FORK_RESET"] = "1"
    fetch("s3", PATH, options(bench.s3))
    return timed_fork(lambda: fetch("s3", PATH, options(bench.s3)))


@case("spawn-first-byte-s3", "from spawn to first byte, S3", None, limit=bare_s3_first_byte, s3=True)
def s3_spawn_first_byte(bench: Bench) -> Timed:
    return started("spawn", "s3", PATH, options(bench.s3))


@case(
    "forkserver-first-byte-s3", "from forkserver to first byte, S3", None, limit=bare_s3_first_byte, s3=True
)
def s3_forkserver_first_byte(bench: Bench) -> Timed:
    return started("forkserver", "s3", PATH, options(bench.s3))
