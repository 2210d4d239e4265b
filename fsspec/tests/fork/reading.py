"""Files open for reading, that were read half-way as the process forked.

In the child a file goes on where it was; so does the parent's, whatever became of the
child's.
"""

from __future__ import annotations

import io
import os
import queue
import threading
from typing import Any

import fsspec
from fsspec.tests.fork.subjects import DATA, HALF, HTTP, HTTPS, LINES, S3, SIZE, Requests, Subject, expect

WHOLE = DATA["data0.bin"]


class _Half:
    """How a file is read on both sides."""

    actions = Subject.actions

    def begun(self, f: Any) -> Any:
        expect(f.read(HALF), WHOLE[:HALF], "first half")
        return f

    def use(self, handle: Any) -> None:
        at = handle.tell()
        expect(handle.read(40_000), WHOLE[at : at + 40_000], f"read at {at}")
        handle.seek(SIZE - 1000)
        expect(handle.read(), WHOLE[-1000:], "tail")
        handle.seek(3)
        expect(handle.readline(), io.BytesIO(WHOLE[3:]).readline(), "line")
        handle.seek(at)

    def refused(self, handle: Any) -> None:
        handle.seek(200_000)  # nothing of that is at hand
        handle.read(50_000)

    def close(self, handle: Any) -> None:
        handle.close()
        assert handle.closed

    def settle(self, handle: Any) -> None:
        handle.close()

    def instance(self, handle: Any) -> Any:
        return handle.fs


class HTTPFile(_Half, HTTP):
    """An open HTTP file, with the cache that ``cache`` names."""

    cache: str | None = "bytes"
    actions = _Half.actions

    def make(self) -> Any:
        f = super().make().open(self.url("data0.bin"), block_size=2**15, cache_type=self.cache)
        return self.begun(f)


class HTTPSFile(HTTPFile):
    """The same over TLS."""

    needs: tuple[str, ...] = HTTPS.needs
    scheme = "https"


class HTTPFileWhole(HTTPFile):
    """With a cache that has everything: nothing is asked for any more, in any process."""

    connects = False
    cache = "all"


class HTTPFirst(HTTPFile):
    """With a cache of the first block only."""

    cache = "first"


class HTTPStream(HTTP):
    """A response that is read on as it arrives: it cannot be resumed."""

    strict = True
    pickles = False
    actions = Subject.actions

    def make(self) -> Any:
        f = super().make().open(self.url("data0.bin"), block_size=0)
        expect(f.read(1000), WHOLE[:1000], "start")
        return {"file": f, "at": 1000}

    def use(self, handle: Any) -> None:
        at = handle["at"]
        expect(handle["file"].read(5000), WHOLE[at : at + 5000], f"read at {at}")
        handle["at"] += 5000

    def close(self, handle: Any) -> None:
        handle["file"].close()

    def settle(self, handle: Any) -> None:
        expect(handle["file"].read(), WHOLE[handle["at"] :], "the rest")
        handle["file"].close()

    def instance(self, handle: Any) -> Any:
        return handle["file"].fs


class RequestsFile(_Half, Requests):
    """An open file of the blocking HTTP filesystem."""

    actions = _Half.actions

    def make(self) -> Any:
        return self.begun(super().make().open(self.url("data0.bin"), block_size=2**15))


class S3File(_Half, S3):
    """An open file of s3fs."""

    cache = "readahead"
    actions = _Half.actions

    def make(self) -> Any:
        f = super().make().open("bucket/data0.bin", block_size=2**15, cache_type=self.cache)
        return self.begun(f)


class LocalFile(_Half, Subject):
    """An open local file: parent and child each have a position of their own."""

    connects = False

    def make(self) -> Any:
        return self.begun(fsspec.filesystem("file").open(os.path.join(self.folder, "data0.bin"), "rb"))


class Text(Subject):
    """A text wrapper with a decompressor below it, over a local file."""

    connects = False
    pickles = False
    url = ""

    def options(self) -> dict[str, Any]:
        return {}

    def place(self) -> str:
        return os.path.join(self.folder, "lines.txt.gz")

    def make(self) -> Any:
        of = fsspec.open(self.place(), "rt", compression="gzip", **self.options())
        text = of.open()
        assert text.readline() == "line 0\n"
        return {"file": text, "of": of, "at": 1}

    def use(self, handle: Any) -> None:
        for i in range(handle["at"], handle["at"] + 300):
            assert handle["file"].readline() == f"line {i}\n", i
        handle["at"] += 300

    def close(self, handle: Any) -> None:
        handle["file"].close()

    def settle(self, handle: Any) -> None:
        assert handle["file"].read() == LINES[LINES.index(f"line {handle['at']}\n") :]
        handle["of"].close()

    def instance(self, handle: Any) -> Any:
        return handle["of"].fs


class HTTPText(Text):
    """The same over HTTP, read in small blocks."""

    connects = True
    needs: tuple[str, ...] = HTTP.needs

    def options(self) -> dict[str, Any]:
        return {"block_size": 2**12 + next(self.numbers), "cache_type": "readahead"}

    def place(self) -> str:
        return f"{self.places['http']}/lines.txt.gz"

    def use(self, handle: Any) -> None:
        # beyond what was buffered at the fork: the decompressor of newer Pythons holds 128 KiB
        for i in range(handle["at"], handle["at"] + 14_000):
            assert handle["file"].readline() == f"line {i}\n", i
        handle["at"] += 14_000


class OpenFile(HTTP):
    """An OpenFile that is not open at the fork."""

    actions = Subject.actions

    def make(self) -> Any:
        return fsspec.open(self.url("data0.bin"), "rb", **self.options())

    def use(self, handle: Any) -> None:
        with handle as f:
            expect(f.read(), WHOLE, "opened")

    def close(self, handle: Any) -> None:
        handle.close()

    def instance(self, handle: Any) -> Any:
        return handle.fs


class OpenFiles(OpenFile):
    """Several, and inside their context at the fork."""

    pickles = False

    def make(self) -> Any:
        files = fsspec.open_files([self.url(name) for name in DATA], "rb", **self.options())
        return {"files": files, "open": files.__enter__(), "at": 0}

    def use(self, handle: Any) -> None:
        at = handle["at"]
        for f, data in zip(handle["open"], DATA.values()):
            expect(f.read(20_000), data[at : at + 20_000], f"{f!r} at {at}")
            f.seek(SIZE - 100)
            expect(f.read(), data[-100:], "tail")
            f.seek(at + 20_000)
        handle["at"] += 20_000

    def close(self, handle: Any) -> None:
        handle["files"].__exit__(None, None, None)

    settle = close

    def instance(self, handle: Any) -> Any:
        return handle["files"].fs


class WalkingLines(HTTP):
    """A file whose lines another thread of the parent hands on through a queue."""

    pickles = False
    actions = ("exit", "leave", "drop", "kill")

    def make(self) -> Any:
        f = super().make().open(self.url("lines.txt"), block_size=2**12, cache_type="readahead")
        lines: queue.Queue[bytes] = queue.Queue(maxsize=10)

        def hand_on() -> None:
            for line in f:
                lines.put(line)

        threading.Thread(target=hand_on, daemon=True).start()
        return {"file": f, "lines": lines, "at": 0}

    def use(self, handle: Any) -> None:
        for _ in range(1500):
            assert handle["lines"].get(timeout=10) == b"line %d\n" % handle["at"]
            handle["at"] += 1

    def instance(self, handle: Any) -> Any:
        return handle["file"].fs


def _cached(base: type[Subject], kind: str) -> type[Subject]:
    body = {"cache": kind, "variant": True, "__doc__": base.__doc__, "__module__": __name__}
    return type(f"{base.__name__}_{kind}", (base,), body)


READING: dict[str, type[Subject]] = {
    "http file": HTTPFile,
    **{
        f"http file {kind}": _cached(HTTPFile, kind)
        for kind in ("readahead", "blockcache", "background", "adaptive", "mmap", "first", "none")
    },
    "http file all": HTTPFileWhole,
    "https file": HTTPSFile,
    "http stream": HTTPStream,
    "requests file": RequestsFile,
    "s3 file": S3File,
    **{f"s3 file {kind}": _cached(S3File, kind) for kind in ("background", "none")},
    "local file": LocalFile,
    "text": Text,
    "http text": HTTPText,
    "OpenFile": OpenFile,
    "OpenFiles": OpenFiles,
    "lines by a thread": WalkingLines,
}
