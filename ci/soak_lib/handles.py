"""What the subject holds open and its children inherit: instances, files, mappings.

A handle knows how to be used once, by chance, and verifies what it read. Whoever uses it is
the only one to do so in its process, as is asked of open files.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from contextlib import suppress
from typing import Any

import fsspec
from fsspec.exceptions import ForkError

from .content import BUCKET, READ, SIZES, Places, data, verify

CREDENTIALS = {"key": "testing", "secret": "testing"}
CACHES = ("bytes", "readahead", "blockcache", "background", "first", "none")
_contents: dict[str, bytes] = {}


def content(name: str) -> bytes:
    """The bytes of an object that is there from the start; made once a process tree."""
    if name not in _contents:
        _contents[name] = data(name, SIZES[name])
    return _contents[name]


def some_range(rng: random.Random, size: int) -> tuple[int, int]:
    """A slice of a file, often one that begins or ends with it."""
    start = rng.choice((0, rng.randrange(size)))
    return start, rng.choice((size, rng.randrange(start, size) + 1))


def filesystem(kind: str, places: Places, **more: Any) -> Any:
    """An instance for a server: "http", "https", "s3" or "local"."""
    if kind == "s3":
        return fsspec.filesystem("s3", endpoint_url=places.s3, **CREDENTIALS, **more)
    return fsspec.filesystem("file" if kind == "local" else kind, **more)


class Handle:
    """Something to read from.

    Attributes
    ----------
    name
        for messages.
    refuses
        every use of it in a child must raise ``ForkError`` where nothing allows it. Files
        may answer from what they hold.
    """

    refuses = True

    def __init__(self, name: str, kind: str, places: Places) -> None:
        self.name = name
        self.kind = kind
        self.places = places
        self.obj: Any = None

    def path(self, name: str) -> str:
        return f"{self.places.root(self.kind)}/{READ}/{name}"

    def make(self) -> None:
        """Have it anew."""
        self.obj = filesystem(self.kind, self.places)

    def use(self, rng: random.Random) -> int:
        """Read something by chance; how many bytes were verified."""
        if rng.random() < 0.3:
            names = rng.sample(sorted(SIZES), 3)
            found = self.obj.cat([self.path(name) for name in names])
            return sum(
                verify(next(v for k, v in found.items() if k.endswith(name)), content(name), self.name)
                for name in names
            )
        name = rng.choice(sorted(SIZES))
        start, end = some_range(rng, SIZES[name])
        return verify(
            self.obj.cat_file(self.path(name), start=start, end=end),
            content(name)[start:end],
            f"{self.name} {name}[{start}:{end}]",
        )

    def close(self) -> None:
        """End what it holds, as a tidy program does."""
        end = getattr(self.obj, "close_session", None)
        session = getattr(self.obj, "_session" if self.kind.startswith("http") else "_s3", None)
        if end is not None and session is not None:
            end(self.obj.loop, session)
            if self.kind.startswith("http"):
                self.obj._session = None
            else:
                self.obj._s3 = None

    def drop(self) -> None:
        """Let go of the object."""
        self.tidy()
        self.obj = None

    def tidy(self) -> None:
        """End what only the program itself can end: what it awaited on a loop of its own."""


class Mapping(Handle):
    """A mapping of a folder."""

    def make(self) -> None:
        self.obj = filesystem(self.kind, self.places).get_mapper(f"{self.places.root(self.kind)}/{READ}")

    def use(self, rng: random.Random) -> int:
        names = rng.sample(sorted(SIZES), 2)
        if rng.random() < 0.5:
            return verify(self.obj[names[0]], content(names[0]), self.name)
        found = self.obj.getitems(names)
        return sum(verify(found[name], content(name), self.name) for name in names)

    def close(self) -> None:
        pass


class Opened(Handle):
    """An open file."""

    refuses = False

    def __init__(self, name: str, kind: str, places: Places, of: str, cache: str) -> None:
        super().__init__(name, kind, places)
        self.of = of
        self.cache = cache

    def make(self) -> None:
        fs = filesystem(self.kind, self.places)
        options = {} if self.kind == "local" else {"block_size": 2**16, "cache_type": self.cache}
        self.obj = fs.open(self.path(self.of), "rb", **options)

    def use(self, rng: random.Random) -> int:
        wanted = content(self.of)
        start, end = some_range(rng, len(wanted))
        self.obj.seek(start)
        what = f"{self.name} {self.of}[{start}:{end}]"
        half = (end - start) // 2
        return verify(self.obj.read(half), wanted[start : start + half], what) + verify(
            self.obj.read(end - start - half), wanted[start + half : end], what
        )

    def close(self) -> None:
        self.obj.close()


class OwnLoop(Handle):
    """An asynchronous instance on a loop that the program runs in a thread, as zarr does."""

    def __init__(self, name: str, kind: str, places: Places) -> None:
        super().__init__(name, kind, places)
        self.pid = -1

    def make(self) -> None:
        self.obj = fsspec.filesystem(self.kind, asynchronous=True, skip_instance_cache=True)

    def use(self, rng: random.Random) -> int:
        if self.pid != os.getpid():
            self.pid = os.getpid()
            self.loop = asyncio.new_event_loop()
            self.thread = threading.Thread(target=self.loop.run_forever, name="own loop", daemon=True)
            self.thread.start()
        name = rng.choice(sorted(SIZES))
        asked = asyncio.run_coroutine_threadsafe(self.obj._cat_file(self.path(name)), self.loop)
        return verify(asked.result(), content(name), f"{self.name} {name}")

    def close(self) -> None:
        if self.pid != os.getpid():
            return
        if self.obj._session is not None:
            asyncio.run_coroutine_threadsafe(self.obj._session.close(), self.loop).result()
            self.obj._session = None
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self.pid = -1

    def tidy(self) -> None:
        with suppress(ForkError):  # then nothing was opened
            self.close()


def all_handles(places: Places) -> list[Handle]:
    """One of each kind, made."""
    names = sorted(SIZES)
    handles: list[Handle] = []
    for kind in ("http", "https", "s3"):
        handles += [Handle(f"{kind} instance", kind, places), Mapping(f"{kind} mapping", kind, places)]
        handles += [
            Opened(f"{kind} file, {cache}", kind, places, names[2 + n % 3], cache)
            for n, cache in enumerate(CACHES)
        ]
    handles += [OwnLoop(f"{kind} on its own loop", kind, places) for kind in ("http", "https")]
    handles.append(Opened("local file", "local", places, names[4], ""))
    for handle in handles:
        handle.make()
    return handles


def close_all(handles: list[Handle]) -> None:
    """Close the handles, and the sessions of the instances that they share."""
    for handle in handles:
        handle.close()


def written_path(kind: str, places: Places, name: str) -> str:
    """Where an object that somebody writes is."""
    return f"{places.root(kind)}/written/{name}"


__all__ = ["BUCKET", "Handle", "all_handles", "close_all", "content", "filesystem", "written_path"]
