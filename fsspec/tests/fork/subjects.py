"""What can cross a fork, and how to tell that it works, byte by byte.

A subject makes a handle in the parent, uses it in whichever process it is asked to,
and says what must be true of the parent and of the server afterwards.  Here are the
base and the instances; files open for reading are in `reading`, those being written in
`writing`, filesystems over others in `stores`.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import fsspec

SIZE = 300_000
HALF = 70_000  # read before the fork


def content(name: str, size: int = SIZE) -> bytes:
    """The bytes that the servers have under ``name``."""
    seed = sum(name.encode()) % 251
    first, adding = bytes(i * 7 % 256 for i in range(256)), bytes(range(256)) * 2
    # block by block, for it is made anew in each process: byte i is (i * 7 + seed + (i >> 8)) % 256
    blocks = (first.translate(adding[n:][:256]) for n in ((seed + k) % 256 for k in range(256)))
    return (b"".join(blocks) * (size // 2**16 + 1))[:size]


NAMES = [f"data{i}.bin" for i in range(3)]
DATA = {name: content(name) for name in NAMES}
SLOW = "slow.bin"  # what the parent reads all the while
LINES = "".join(f"line {i}\n" for i in range(100_000))


def expect(found: bytes, wanted: bytes, what: str) -> None:
    """Equal to the last byte, or an error that says where not."""
    if found != wanted:
        at = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
        raise AssertionError(f"{what}: {len(found)} bytes for {len(wanted)}, different from {at}")


class Subject:
    """One kind of handle.

    Attributes
    ----------
    connects
        it has connections, or an instance that has: refused where nothing allows it.
    strict
        refused in a child in every mode.
    variant
        one of a family that is tried by hand as well: the other modes are enough.
    resets
        its ``instance`` has all that ``reset_loop`` has to reach.
    pickles
        it can be sent to a process that was not forked.
    needs
        modules without which it is skipped.
    """

    connects = True
    strict = False
    variant = False
    resets = True
    pickles = True
    needs: tuple[str, ...] = ()
    actions: tuple[str, ...] = ("use", "exit", "leave", "drop", "close", "kill")

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places
        self.folder = places["folder"]
        self.numbers: Iterator[int] = iter(range(2**30))  # of those that count, one that pickles everywhere

    @classmethod
    def lacking(cls) -> str:
        """Why it cannot be tried here; empty where it can."""
        for module in cls.needs:
            if importlib.util.find_spec(module) is None:
                return f"{module} is not there"
        return ""

    def make(self) -> Any:
        """A handle, made in the parent."""
        raise NotImplementedError

    def use(self, handle: Any) -> None:
        """Read (or, in the owner, write) and verify."""
        raise NotImplementedError

    def refused(self, handle: Any) -> None:
        """The use that must raise `ForkError` where it is refused."""
        self.use(handle)

    def instance(self, handle: Any) -> Any:
        """The filesystem behind a handle, without using it."""
        return handle

    def close(self, handle: Any) -> None:
        """What a tidy child would do to end its copy."""

    def again(self, handle: Any, mode: str) -> None:
        """In a child: ask for what the parent has, with the same arguments, and use that."""

    def settle(self, handle: Any) -> None:
        """In the parent, after the children: end the handle and check what came of it."""

    def busy(self, handle: Any) -> Callable[[], None] | None:
        """A request that the parent makes over and over while it forks."""
        return None


class HTTP(Subject):
    """An instance of the HTTP filesystem."""

    needs: tuple[str, ...] = ("aiohttp",)
    scheme = "http"
    actions = (*Subject.actions, "again", "new")

    def url(self, name: str) -> str:
        return f"{self.places[self.scheme]}/{name}"

    def options(self) -> dict[str, Any]:
        # one of its own for each handle, and yet found again by its arguments
        return {"block_size": 2**18 + next(self.numbers)}

    def make(self) -> Any:
        return fsspec.filesystem(self.scheme, **self.options())

    def use(self, handle: Any) -> None:
        expect(handle.cat_file(self.url("data0.bin")), DATA["data0.bin"], "cat_file")
        found = handle.cat([self.url(name) for name in NAMES])
        for name, data in DATA.items():
            expect(found[self.url(name)], data, name)

    def close(self, handle: Any) -> None:
        loop, session = handle.loop, handle._session
        if session is not None:
            handle.close_session(loop, session)

    def again(self, handle: Any, mode: str) -> None:
        found = fsspec.filesystem(self.scheme, **handle.storage_options)
        assert (found is handle) == (mode != "neither"), "the same arguments gave another instance"
        self.use(found)

    def busy(self, handle: Any) -> Callable[[], None] | None:
        fs, url = self.instance(handle), self.url(SLOW)
        return lambda: expect(fs.cat_file(url), DATA["data1.bin"], "cat_file meanwhile")


class HTTPS(HTTP):
    """The same over TLS."""

    needs: tuple[str, ...] = ("aiohttp", "trustme")
    scheme = "https"


class _OwnLoop(Subject):
    """An asynchronous instance on a loop that the program runs in a thread, as zarr does."""

    pickles = False
    actions = ("use", "exit", "leave", "drop", "kill")

    def read(self, fs: Any, name: str) -> Any:
        """A coroutine for the contents."""
        raise NotImplementedError

    def start(self) -> dict[str, Any]:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        return {"loop": loop, "pid": os.getpid()}

    def run(self, handle: Any, name: str) -> bytes:
        data: bytes = asyncio.run_coroutine_threadsafe(self.read(handle["fs"], name), handle["loop"]).result(
            10
        )
        return data

    def use(self, handle: Any) -> None:
        if handle["pid"] != os.getpid():
            handle.update(self.start())  # as zarr does: threads do not cross a fork
        expect(self.run(handle, "data0.bin"), DATA["data0.bin"], "awaited")
        expect(self.run(handle, "data1.bin"), DATA["data1.bin"], "awaited")

    def instance(self, handle: Any) -> Any:
        return handle["fs"]

    def busy(self, handle: Any) -> Callable[[], None]:
        loop, fs = handle["loop"], handle["fs"]

        def request() -> None:
            found = asyncio.run_coroutine_threadsafe(self.read(fs, SLOW), loop).result(10)
            expect(found, DATA["data1.bin"], "awaited meanwhile")

        return request


class HTTPAwaited(_OwnLoop, HTTP):
    """HTTP with ``asynchronous=True``."""

    actions = _OwnLoop.actions

    def read(self, fs: Any, name: str) -> Any:
        return fs._cat_file(self.url(name))

    def make(self) -> Any:
        fs = fsspec.filesystem(self.scheme, asynchronous=True, **self.options())
        return {"fs": fs, **self.start()}


class HTTPSAwaited(HTTPAwaited):
    """The same over TLS."""

    needs: tuple[str, ...] = HTTPS.needs
    scheme = "https"


class S3(Subject):
    """An unmodified s3fs instance."""

    needs: tuple[str, ...] = ("s3fs", "moto", "flask")
    actions = (*Subject.actions, "again", "new")

    def options(self) -> dict[str, Any]:
        from fsspec.tests.servers.s3 import options

        return options(self.places["s3"], default_block_size=5 * 2**20 + next(self.numbers))

    def make(self) -> Any:
        return fsspec.filesystem("s3", **self.options())

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            expect(handle.cat_file(f"bucket/{name}"), DATA[name], name)
        assert handle.exists("bucket/data0.bin") and not handle.exists("bucket/nothing")

    def close(self, handle: Any) -> None:
        loop, client = handle.loop, handle._s3
        if client is not None:
            handle.close_session(loop, client)

    def again(self, handle: Any, mode: str) -> None:
        found = fsspec.filesystem("s3", **handle.storage_options)
        assert (found is handle) == (mode != "neither"), "the same arguments gave another instance"
        self.use(found)

    def busy(self, handle: Any) -> Callable[[], None] | None:
        fs = self.instance(handle)
        return lambda: expect(fs.cat_file("bucket/data1.bin"), DATA["data1.bin"], "cat_file meanwhile")


class S3Awaited(_OwnLoop, S3):
    """s3fs with ``asynchronous=True``."""

    actions = _OwnLoop.actions

    def read(self, fs: Any, name: str) -> Any:
        return fs._cat_file(f"bucket/{'data1.bin' if name == SLOW else name}")

    def make(self) -> Any:
        return {"fs": fsspec.filesystem("s3", asynchronous=True, **self.options()), **self.start()}


class Mapper(HTTP):
    """A mapping over an HTTP instance."""

    actions = Subject.actions

    def make(self) -> Any:
        return fsspec.get_mapper(self.places["http"], **self.options())

    def use(self, handle: Any) -> None:
        for name, data in DATA.items():
            expect(handle[name], data, name)
        expect(handle.getitems(NAMES)["data2.bin"], DATA["data2.bin"], "getitems")

    def close(self, handle: Any) -> None:
        pass

    def instance(self, handle: Any) -> Any:
        return handle.fs


class S3Mapper(S3):
    """A mapping over s3fs, for reading."""

    actions = Subject.actions

    def make(self) -> Any:
        return super().make().get_mapper("bucket")

    def use(self, handle: Any) -> None:
        expect(handle["data0.bin"], DATA["data0.bin"], "item")
        expect(handle.getitems(NAMES)["data2.bin"], DATA["data2.bin"], "getitems")

    def close(self, handle: Any) -> None:
        pass

    def instance(self, handle: Any) -> Any:
        return handle.fs


class Folder(HTTP):
    """A folder as a filesystem, over an HTTP instance."""

    actions = Subject.actions

    def make(self) -> Any:
        return fsspec.filesystem("dir", path=self.places["http"], fs=super().make())

    def use(self, handle: Any) -> None:
        expect(handle.cat_file("data0.bin"), DATA["data0.bin"], "cat_file")

    def close(self, handle: Any) -> None:
        pass

    def busy(self, handle: Any) -> Callable[[], None]:
        return lambda: expect(handle.cat_file(SLOW), DATA["data1.bin"], "cat_file meanwhile")


class Requests(HTTP):
    """The blocking HTTP filesystem, whose session is of requests."""

    needs: tuple[str, ...] = ("requests", "fsspec.implementations.http_sync")
    actions = Subject.actions

    def make(self) -> Any:
        from fsspec.implementations.http_sync import HTTPFileSystem

        return HTTPFileSystem(**self.options())

    def use(self, handle: Any) -> None:
        for name, data in DATA.items():
            expect(handle.cat_file(self.url(name)), data, name)

    def close(self, handle: Any) -> None:
        handle.session.close()

    def busy(self, handle: Any) -> None:
        return None  # a session of requests is used by one thread at a time


class Shared(Subject):
    """A TLS connection that knows nothing of forks: the matrix is to find the harm."""

    needs: tuple[str, ...] = ("trustme",)

    def make(self) -> Any:
        place = self.places["https"].partition("//")[2]
        context = ssl.create_default_context(cafile=self.places["ca"])
        return http.client.HTTPSConnection(place, context=context, timeout=3)

    def use(self, handle: Any) -> None:
        handle.request("GET", "/data0.bin")
        expect(handle.getresponse().read(), DATA["data0.bin"], "what the connection brings")


UNSAFE: dict[str, type[Subject]] = {"a shared connection": Shared}
INSTANCES: dict[str, type[Subject]] = {
    "http": HTTP,
    "https": HTTPS,
    "http awaited": HTTPAwaited,
    "https awaited": HTTPSAwaited,
    "s3": S3,
    "s3 awaited": S3Awaited,
    "mapper": Mapper,
    "s3 mapper": S3Mapper,
    "dir over http": Folder,
    "requests": Requests,
}
