"""The operations: what is called, and what it must give.

`choose` decides by chance what to do and returns a function that does it, so that the same
can be tried a second time. It returns nothing and raises `Wrong` where what was given is
not what it must be; any other error is one of the operation.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
from fsspec.exceptions import FileChangedError

from .places import SIZES, TREE, Place, content

CACHES = ("readahead", "bytes", "blockcache", "background", "mmap", "all", "first", "none", "adaptive")
COPIES = ("simplecache", "filecache", "blockcache")
BLOCK = 16_384  # bytes


class Wrong(Exception):
    """An operation succeeded, and what it gave or wrote is not what it must be."""


class Step(NamedTuple):
    """An operation that was chosen."""

    name: str
    attempt: Callable[[], None]
    settle: Callable[[], None] = lambda: None
    """have server and model agree again after it failed"""


def expect(found: Any, versions: Sequence[Any], what: str) -> None:
    """Raise `Wrong` unless what was found is that of one version."""
    if found not in versions:
        wanted = " or ".join(brief(version) for version in versions[-3:])
        raise Wrong(f"{what}: {brief(found)} instead of {wanted}")


def brief(value: Any) -> str:
    """A value without the bytes in it."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return repr({name: brief(part) for name, part in value.items()})
    return repr(value)


class Work:
    """What is done at one place."""

    def __init__(self, place: Place, rng: random.Random) -> None:
        self.place, self.rng, self.number = place, rng, 0
        self.caches = {
            kind: [
                fsspec.filesystem(
                    kind,
                    fs=fs,
                    cache_storage=os.path.join(place.folder, f"{kind}-{n}"),
                    skip_instance_cache=True,
                )
                for n, fs in enumerate(place.filesystems)
            ]
            for kind in COPIES
        }

    def choose(self) -> Step:
        self.number += 1
        names = ["cat", "range", "tail", "ranges", "several", "open", "open", "open", "info"]
        names += ["cached", "cached", "cached", "get", "get_tree", "ls", "find", "glob", "pipe", "put"]
        names += ["write", "absent"]
        if self.place.removes:
            names += ["rm"]
        if self.place.versioned:
            names += ["changing", "changing"]
        self.fs = self.rng.choice(self.place.filesystems)
        found: Step = getattr(self, self.rng.choice(names))()
        return found

    def readable(self, least: int = 0) -> tuple[str, str]:
        """The name and the path of a file to read."""
        name = self.rng.choice([name for name in SIZES if len(self.place.now(name)) >= least])
        return name, self.place.path(name)

    def span(self, size: int) -> tuple[int, int]:
        start = self.rng.randrange(max(1, size))
        return start, min(size, start + self.rng.choice([1, 100, 5_000, 100_000]))

    # -- reading ----------------------------------------------------------------
    def cat(self) -> Step:
        fs, (name, path) = self.fs, self.readable()
        return Step("cat_file", lambda: expect(fs.cat_file(path), [self.place.now(name)], path))

    def range(self) -> Step:
        fs, (name, path) = self.fs, self.readable(1)
        start, end = self.span(len(self.place.now(name)))

        def attempt() -> None:
            found = fs.cat_file(path, start=start, end=end)
            expect(found, [self.place.now(name)[start:end]], f"{path} {start}-{end}")

        return Step("cat_file of a range", attempt)

    def tail(self) -> Step:
        fs, (name, path) = self.fs, self.readable()
        last = self.rng.randrange(1, 5_000)
        return Step(
            "cat_file of an end",
            lambda: expect(fs.cat_file(path, start=-last), [self.place.now(name)[-last:]], f"{path} -{last}"),
        )

    def ranges(self) -> Step:
        fs, chosen = self.fs, [self.readable(1) for _ in range(self.rng.randrange(1, 6))]
        spans = [self.span(len(self.place.now(name))) for name, _ in chosen]

        def attempt() -> None:
            got = fs.cat_ranges(
                [path for _, path in chosen], [a for a, _ in spans], [b for _, b in spans], on_error="return"
            )
            for found, (name, path), (a, b) in zip(got, chosen, spans):
                if not isinstance(found, BaseException):
                    expect(found, [self.place.now(name)[a:b]], f"{path} {a}-{b}")
            for found in got:
                if isinstance(found, BaseException):
                    raise found

        return Step("cat_ranges", attempt)

    def several(self) -> Step:
        fs, chosen = self.fs, [self.readable() for _ in range(4)]

        def attempt() -> None:
            got = fs.cat([path for _, path in chosen])
            wanted = {path: self.place.now(name) for name, path in chosen}
            expect(
                {fs._strip_protocol(path): data for path, data in dict(got).items()},
                [{fs._strip_protocol(path): data for path, data in wanted.items()}],
                "cat of several",
            )

        return Step("cat of several", lambda: attempt() if len({p for _, p in chosen}) > 1 else None)

    def reads(self) -> list[tuple[int, int]]:
        size = max(SIZES.values())
        return [self.span(size) for _ in range(self.rng.randrange(1, 7))]

    def open(self) -> Step:
        fs, (name, path), kind, reads = self.fs, self.readable(), self.rng.choice(CACHES), self.reads()
        in_order = self.rng.random() < 0.4

        def attempt() -> None:
            with fs.open(path, "rb", block_size=BLOCK, cache_type=kind) as file:
                if in_order:
                    parts = []
                    while part := file.read(50_000):
                        parts.append(part)
                    expect(b"".join(parts), [self.place.now(name)], f"{path} in order through {kind}")
                    return
                read_spans(file, reads, [self.place.now(name)], f"{path} through {kind}")

        return Step(f"open with {kind}", attempt)

    def changing(self) -> Step:
        """The file changes while it is open: one version or an error."""
        fs, (name, path), kind, reads = self.fs, self.readable(), self.rng.choice(CACHES), self.reads()
        self.number += 1
        # another size each time, which servers without versions tell by
        data = content(f"{name}-{self.number}", max(1, SIZES[name] + self.number % 997 - 400))

        def attempt() -> None:
            try:
                with fs.open(path, "rb", block_size=BLOCK, cache_type=kind) as file:
                    before = self.place.now(name)
                    first = file.read(100)
                    self.place.change(name, data)
                    versions = [v for v in (before, data) if v[:100] == first]
                    read_spans(file, reads, versions, f"{path} changed, through {kind}")
            finally:
                fs.invalidate_cache()

        def tried() -> None:
            try:
                attempt()
            except self.place.changed:
                pass  # what is promised

        return Step("open while it changes", tried)

    def info(self) -> Step:
        fs, (name, path) = self.fs, self.readable()

        def attempt() -> None:
            size = fs.info(path)["size"]
            if size not in self.place.proxy.lengths:  # of a GET, after HEAD failed
                expect(size, [len(self.place.now(name))], path)

        return Step("info", attempt)

    def absent(self) -> Step:
        fs, path = self.fs, self.place.path("absent")

        def attempt() -> None:
            try:
                found = fs.cat_file(path)
            except FileNotFoundError:
                return
            raise Wrong(f"{path}: {len(found)} bytes of nothing")

        return Step("cat_file of what is not there", attempt)

    def cached(self) -> Step:
        kind = self.rng.choice(COPIES)
        cache = self.rng.choice(self.caches[kind])
        (name, path), reads = self.readable(), self.reads()
        anew = self.rng.random() < 0.4

        def once() -> None:
            with cache.open(path, "rb", block_size=BLOCK) as file:
                read_spans(file, reads, self.place.versions[name], f"{path} through {kind}")

        def attempt() -> None:
            if anew:
                forget(cache, path)
            try:
                once()
            except FileChangedError:
                forget(cache, path)  # the way out that the error names
                once()
            except self.place.changed:
                once()

        return Step(kind, attempt)

    def get(self) -> Step:
        fs, (name, path) = self.fs, self.readable()

        def attempt() -> None:
            with folder() as here:
                target = here / "target"
                target.write_bytes(b"old")
                try:
                    fs.get_file(path, str(target))
                except Exception:
                    if self.place.whole_gets:
                        left = target.read_bytes() if target.exists() else b"old"
                        expect(left, [b"old", self.place.now(name)], f"left by get_file of {path}")
                    raise
                expect(target.read_bytes(), [self.place.now(name)], f"get_file of {path}")

        return Step("get_file", attempt)

    # -- listing ----------------------------------------------------------------
    def below(self, found: Any) -> list[str]:
        """Names relative to the root."""
        root = self.place.path("")
        return sorted(path[path.index(root) + len(root) :] for path in found)

    def get_tree(self) -> Step:
        fs, path = self.fs, self.place.path("tree/")

        def attempt() -> None:
            fs.invalidate_cache()
            with folder() as here:
                fs.get(path, f"{here}/got/", recursive=True)
                got = [(p.relative_to(here / "got"), p) for p in here.rglob("*") if p.is_file()]
                found = {f"tree/{name.as_posix()}": p.read_bytes() for name, p in got}
                expect(found, [{name: self.place.now(name) for name in TREE}], "get of a tree")

        return Step("get of a tree", attempt)

    def listing(self, name: str, call: Callable[[], Any], wanted: list[str]) -> Step:
        fs = self.fs

        def attempt() -> None:
            fs.invalidate_cache()
            found = self.below(p.rstrip("/") for p in call())
            expect(found, [wanted], name)

        return Step(name, attempt)

    def ls(self) -> Step:
        fs, path = self.fs, self.place.path("tree/")
        return self.listing(
            "ls",
            lambda: [entry["name"] for entry in fs.ls(path, detail=True)],
            ["tree/a", "tree/b", "tree/sub"],
        )

    def find(self) -> Step:
        fs, path = self.fs, self.place.path("tree/")
        return self.listing("find", lambda: fs.find(path), sorted(TREE))

    def glob(self) -> Step:
        fs, path = self.fs, self.place.path("tree/**/[cd]")
        return self.listing("glob", lambda: fs.glob(path), [n for n in sorted(TREE) if n[-1] in "cd"])

    # -- writing ----------------------------------------------------------------
    def writing(self, what: str, call: Callable[[str, bytes], None], most: int) -> Step:
        place, name = self.place, f"w{self.rng.randrange(4)}"
        old = place.held(name)
        data = content(f"{name}-{self.number}", self.rng.choice([0, 10, 70_000, most]))

        def attempt() -> None:
            try:
                call(place.path(name), data)
            except Exception:
                if place.whole_writes:
                    expect(place.held(name), [old, data], f"left by {what} of {name}")
                raise
            expect(place.held(name), [data], f"{what} of {name}")

        return Step(what, attempt, lambda: place.store(name, data))

    def pipe(self) -> Step:
        fs = self.fs
        return self.writing("pipe_file", lambda path, data: fs.pipe_file(path, data), 300_000)

    def put(self) -> Step:
        fs = self.fs

        def call(path: str, data: bytes) -> None:
            with folder() as here:
                (here / "source").write_bytes(data)
                fs.put_file(str(here / "source"), path)

        return self.writing("put_file", call, 300_000)

    def write(self) -> Step:
        if self.place.name.startswith("http"):
            return self.pipe()
        fs = self.fs

        def call(path: str, data: bytes) -> None:
            with fs.open(path, "wb", block_size=5 * 2**20) as file:
                for at in range(0, len(data), 1_000_000):
                    file.write(data[at : at + 1_000_000])

        return self.writing("open to write", call, 6_000_000)

    def rm(self) -> Step:
        place, fs, name = self.place, self.fs, f"w{self.rng.randrange(4)}"
        place.store(name, b"to go")
        fs.invalidate_cache()

        def attempt() -> None:
            try:
                fs.rm(place.path(name))
            except FileNotFoundError:
                pass  # an attempt whose answer was lost has removed it
            if place.held(name) is not None:
                raise Wrong(f"{name} is there after rm")

        return Step("rm", attempt, lambda: place.store(name, None))


def forget(cache: Any, path: str) -> None:
    """Remove the copy of a file, if there is one."""
    try:
        cache.pop_from_cache(path)
    except (FileNotFoundError, KeyError):
        pass


def read_spans(file: Any, spans: list[tuple[int, int]], versions: list[bytes], what: str) -> None:
    """Read parts of a file, which must all be of one version."""
    left = versions
    for start, end in spans:
        if any(left):  # an empty file is a stream over HTTP, as upstream's is
            file.seek(start)
        found = file.read(end - start)
        expect(found, [v[start:end] for v in left], f"{what} {start}-{end}")
        left = [v for v in left if v[start:end] == found]


@contextmanager
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="fsspec-chaos-") as name:
        yield Path(name)
