"""What can cross a fork, and how to tell that it works, byte by byte.

A crossing makes a handle in the parent, uses it in whichever process it is asked to,
and says what must be true of the parent afterwards.  ``strict`` handles refuse every
use in a child, whatever the mode: those that write, and streams.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import fsspec
from fsspec.exceptions import ForkError

SIZE = 300_000


def content(name: str, size: int = SIZE) -> bytes:
    """The bytes that the servers have under ``name``."""
    seed = sum(name.encode()) % 251
    return bytes((i * 7 + seed + (i >> 8)) % 256 for i in range(size))


DATA = {f"data{i}.bin": content(f"data{i}.bin") for i in range(3)}


def expect(found: bytes, wanted: bytes, what: str) -> None:
    """Equal to the last byte, or an error that says where not."""
    if found != wanted:
        at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
        raise AssertionError(f"{what}: {len(found)} bytes for {len(wanted)}, different from {at}")


class Crossing:
    """One kind of handle."""

    connects = True  # an instance with connections: refused where nothing allows it
    strict = False  # refused in a child in every mode

    def __init__(self, servers: dict[str, str]) -> None:
        self.servers = servers
        self.folder = servers["folder"]

    def make(self) -> Any:
        """A handle, made in the parent."""
        raise NotImplementedError

    def use(self, handle: Any) -> None:
        """Read (or, in the owner, write) and verify."""
        raise NotImplementedError

    def refused(self, handle: Any) -> Callable[[], Any]:
        """The use that must raise `ForkError` where it is refused."""
        return lambda: self.use(handle)

    def close(self, handle: Any) -> None:
        """What a tidy child would do to end its copy."""

    def settle(self, handle: Any) -> None:
        """In the parent, after the children: end the handle and check what came of it."""

    def slow(self, handle: Any) -> Callable[[], None] | None:
        """A request that is under way in the parent while it forks."""
        return None


# instances -------------------------------------------------------------------------
class HTTP(Crossing):
    """An instance of the HTTP filesystem."""

    scheme = "http"

    def url(self, name: str) -> str:
        return f"{self.servers[self.scheme]}/{name}"

    def make(self) -> Any:
        return fsspec.filesystem(self.scheme, skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        expect(handle.cat_file(self.url("data0.bin")), DATA["data0.bin"], "cat_file")
        found = handle.cat([self.url(name) for name in DATA])
        for name, data in DATA.items():
            expect(found[self.url(name)], data, name)

    def close(self, handle: Any) -> None:
        loop, session = handle.loop, handle._session
        if session is not None:
            handle.close_session(loop, session)

    def slow(self, handle: Any) -> Callable[[], None]:
        return lambda: expect(handle.cat_file(self.url("slow/data1.bin")), DATA["data1.bin"], "slow cat_file")


class HTTPS(HTTP):
    """The same over TLS."""

    scheme = "https"


class OwnLoop(HTTP):
    """An asynchronous instance on a loop that the program runs in a thread, as zarr does."""

    def make(self) -> Any:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        fs = fsspec.filesystem("http", asynchronous=True, skip_instance_cache=True)
        return {"fs": fs, "loop": loop, "pid": os.getpid()}

    def use(self, handle: Any) -> None:
        if handle["pid"] != os.getpid():
            handle["loop"] = asyncio.new_event_loop()
            threading.Thread(target=handle["loop"].run_forever, daemon=True).start()
            handle["pid"] = os.getpid()
        coroutine = handle["fs"]._cat_file(self.url("data0.bin"))
        found = asyncio.run_coroutine_threadsafe(coroutine, handle["loop"]).result(10)
        expect(found, DATA["data0.bin"], "await")

    def close(self, handle: Any) -> None:
        pass

    def slow(self, handle: Any) -> Callable[[], None]:
        coroutine = handle["fs"]._cat_file(self.url("slow/data1.bin"))
        future = asyncio.run_coroutine_threadsafe(coroutine, handle["loop"])
        return lambda: expect(future.result(10), DATA["data1.bin"], "slow await")


class S3(Crossing):
    """An unmodified s3fs instance."""

    def make(self) -> Any:
        from fsspec.tests.servers.s3 import options

        return fsspec.filesystem("s3", skip_instance_cache=True, **options(self.servers["s3"]))

    def use(self, handle: Any) -> None:
        for name, data in DATA.items():
            expect(handle.cat_file(f"bucket/{name}"), data, name)
        assert handle.exists("bucket/data0.bin")

    def close(self, handle: Any) -> None:
        loop, client = handle.loop, handle._s3
        if client is not None:
            handle.close_session(loop, client)


class Mapper(HTTP):
    """A mapping over an HTTP instance."""

    def make(self) -> Any:
        return fsspec.get_mapper(self.servers["http"], skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        for name, data in DATA.items():
            expect(handle[name], data, name)

    def close(self, handle: Any) -> None:
        pass

    def slow(self, handle: Any) -> Callable[[], None]:
        return lambda: expect(handle["slow/data1.bin"], DATA["data1.bin"], "slow item")


# open for reading ------------------------------------------------------------------
class HTTPFile(HTTP):
    """An open HTTP file that was read half-way; it goes on from there in the child."""

    cache = "bytes"

    def make(self) -> Any:
        fs = super().make()
        f = fs.open(self.url("data0.bin"), block_size=2**15, cache_type=self.cache)
        expect(f.read(70_000), DATA["data0.bin"][:70_000], "first half")
        return f

    def use(self, handle: Any) -> None:
        at = handle.tell()
        expect(handle.read(40_000), DATA["data0.bin"][at : at + 40_000], f"read at {at}")
        handle.seek(SIZE - 1000)
        expect(handle.read(), DATA["data0.bin"][-1000:], "tail")
        handle.seek(at)

    def close(self, handle: Any) -> None:
        handle.close()

    def slow(self, handle: Any) -> None:
        return None


class S3File(S3):
    """The same of s3fs."""

    def make(self) -> Any:
        f = super().make().open("bucket/data0.bin", block_size=2**16)
        expect(f.read(70_000), DATA["data0.bin"][:70_000], "first half")
        return f

    use = HTTPFile.use

    def close(self, handle: Any) -> None:
        handle.close()


class LocalFile(Crossing):
    """An open local file: parent and child each have a position of their own."""

    connects = False

    def make(self) -> Any:
        f = fsspec.filesystem("file").open(os.path.join(self.folder, "data0.bin"), "rb")
        expect(f.read(70_000), DATA["data0.bin"][:70_000], "first half")
        return f

    use = HTTPFile.use

    def close(self, handle: Any) -> None:
        handle.close()


class Text(LocalFile):
    """A text wrapper with a decompressor below it."""

    def make(self) -> Any:
        path = os.path.join(self.folder, "lines.txt.gz")
        f = fsspec.open(path, "rt", compression="gzip").open()
        assert f.readline() == "line 0\n"
        return f

    def use(self, handle: Any) -> None:
        first = handle.readline()
        number = int(first.split()[1])
        for i in range(number + 1, number + 50):
            assert handle.readline() == f"line {i}\n", i


# open for writing ------------------------------------------------------------------
class Writing(Crossing):
    """A file being written: it belongs to the process that opened it."""

    strict = True

    def start(self) -> tuple[Any, str]:
        raise NotImplementedError

    def result(self, path: str) -> bytes:
        raise NotImplementedError

    def make(self) -> Any:
        f, path = self.start()
        f.write(b"a" * 1000)
        return {"file": f, "path": path, "written": 1000}

    def use(self, handle: Any) -> None:
        handle["file"].write(b"b" * 10)
        handle["written"] += 10

    def refused(self, handle: Any) -> Callable[[], Any]:
        return lambda: (handle["file"].write(b"x"), handle["file"].flush())

    def close(self, handle: Any) -> None:
        handle["file"].close()

    def settle(self, handle: Any) -> None:
        handle["file"].close()
        wanted = b"a" * 1000 + b"b" * (handle["written"] - 1000)
        expect(self.result(handle["path"]), wanted, "what was written")


class LocalWriting(Writing):
    """A local file being written."""

    connects = False

    def start(self) -> tuple[Any, str]:
        path = os.path.join(self.folder, f"out-{os.getpid()}-{threading.get_ident()}.bin")
        return fsspec.filesystem("file").open(path, "wb"), path

    def result(self, path: str) -> bytes:
        with open(path, "rb") as f:
            return f.read()


class S3Writing(Writing):
    """An S3 object being written: a multi-part upload, or one request at the end."""

    def start(self) -> tuple[Any, str]:
        self.fs = S3(self.servers).make()
        path = f"bucket/out-{os.getpid()}.bin"
        return self.fs.open(path, "wb"), path

    def result(self, path: str) -> bytes:
        return self.fs.cat_file(path)


CROSSINGS: dict[str, type[Crossing]] = {
    "http": HTTP,
    "https": HTTPS,
    "own-loop": OwnLoop,
    "s3": S3,
    "mapper": Mapper,
    "http-file": HTTPFile,
    **{
        f"http-file-{kind}": type(f"HTTPFile_{kind}", (HTTPFile,), {"cache": kind})
        for kind in ("readahead", "blockcache", "background", "adaptive", "mmap", "all", "none")
    },
    "s3-file": S3File,
    "local-file": LocalFile,
    "text": Text,
    "local-writing": LocalWriting,
    "s3-writing": S3Writing,
}


# what a child does: ``box`` holds the only reference to the handle --------------------
def do_use(crossing: Crossing, box: list[Any], mode: str) -> None:
    """Use the handle, or find that it may not be."""
    if crossing.strict or (mode == "neither" and crossing.connects):
        try:
            crossing.refused(box[0])()
        except ForkError as error:
            assert "fork" in str(error), error
            return
        raise AssertionError("used an inherited handle without an error")
    crossing.use(box[0])
    crossing.use(box[0])


def do_nothing(crossing: Crossing, box: list[Any], mode: str) -> None:
    """Only end."""


def do_drop(crossing: Crossing, box: list[Any], mode: str) -> None:
    """Let go of it and collect."""
    box.clear()
    gc.collect()


def do_close(crossing: Crossing, box: list[Any], mode: str) -> None:
    """Close it, as a ``with`` block would."""
    try:
        crossing.close(box[0])
    except ForkError:
        assert mode == "neither" or crossing.strict


def do_kill(crossing: Crossing, box: list[Any], mode: str) -> None:
    """Be killed."""
    os.kill(os.getpid(), 9)


ACTIONS: dict[str, Callable[[Crossing, list[Any], str], None]] = {
    "use": do_use,
    "exit": do_nothing,
    "drop": do_drop,
    "close": do_close,
    "kill": do_kill,
}


def prepare(servers: dict[str, str]) -> None:
    """Local files and objects that the crossings read."""
    import gzip

    folder = servers.setdefault("folder", tempfile.mkdtemp(prefix="fsspec-fork-data-"))
    for name, data in DATA.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
    with gzip.open(os.path.join(folder, "lines.txt.gz"), "wt") as text:
        text.writelines(f"line {i}\n" for i in range(20_000))
    if "s3" in servers:
        fs = S3(servers).make()
        fs.mkdir("bucket")
        for name, data in DATA.items():
            fs.pipe_file(f"bucket/{name}", data)
