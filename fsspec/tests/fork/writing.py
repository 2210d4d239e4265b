"""Files being written as the process forked: they belong to the process that opened them.

Whatever a child does with its copy, the parent's object is exactly what the parent wrote,
it appears when the parent ends it and not before, and nothing is left over: no temporary
file, no upload that was begun and never ended.
"""

from __future__ import annotations

import glob
import http.client
import os
import tempfile
from collections.abc import Callable
from typing import Any

import fsspec
from fsspec.tests.fork.subjects import S3, Subject, expect

_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=testing/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


def ask(place: str, method: str, path: str, data: bytes | None = None) -> bytes | None:
    """Ask the S3 server without fsspec; None where there is nothing."""
    connection = http.client.HTTPConnection(place.partition("//")[2], timeout=20)
    try:
        connection.request(method, path, body=data, headers={"Authorization": _SIGNED})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status == 404:
        return None
    if answer.status >= 300:
        raise OSError(f"{method} {path}: {answer.status} {body[:200]!r}")
    return body


def uploads(places: dict[str, str]) -> list[str]:
    """The keys of multi-part uploads that were begun and neither completed nor aborted."""
    text = (ask(places["s3"], "GET", "/bucket?uploads") or b"").decode()
    return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]


class Writing(Subject):
    """A file being written; ``at_once`` says whether it is seen before it is ended."""

    strict = True
    pickles = False
    begins = b""  # what is there before
    piece = b"a" * 1000
    more = b"b" * 10

    def start(self, key: str) -> Any:
        """Open a file of that name for writing."""
        raise NotImplementedError

    def result(self, key: str) -> bytes | None:
        """What is there, None where there is nothing."""
        raise NotImplementedError

    def end(self, handle: Any) -> None:
        """As the owner ends it."""
        handle["file"].close()

    def make(self) -> Any:
        key = f"out-{type(self).__name__}-{os.getpid()}-{next(self.numbers)}.bin"
        f = self.start(key)
        f.write(self.piece)
        return {"file": f, "key": key, "wrote": self.piece}

    def use(self, handle: Any) -> None:
        handle["file"].write(self.more)
        handle["wrote"] += self.more
        self.unchanged(handle)

    def unchanged(self, handle: Any) -> None:
        """It has not appeared too early."""
        found = self.result(handle["key"])
        assert found in (None, self.begins), f"there before it was ended: {len(found or b'')} bytes"

    def refused(self, handle: Any) -> None:
        handle["file"].write(b"x" * 6 * 2**20)
        handle["file"].flush()

    def instance(self, handle: Any) -> Any:
        return handle["file"].fs

    def close(self, handle: Any) -> None:
        handle["file"].close()

    def settle(self, handle: Any) -> None:
        self.end(handle)
        expect(self.result(handle["key"]) or b"", self.begins + handle["wrote"], "what was written")
        self.nothing_left(handle)

    def nothing_left(self, handle: Any) -> None:
        """No traces but the object."""


class LocalWriting(Writing):
    """A local file being written: its bytes may be there early, but each only once."""

    connects = False

    def path(self, key: str) -> str:
        return os.path.join(self.folder, key)

    def start(self, key: str) -> Any:
        return fsspec.filesystem("file").open(self.path(key), "wb")

    def result(self, key: str) -> bytes | None:
        try:
            with open(self.path(key), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return None

    def unchanged(self, handle: Any) -> None:
        found = self.result(handle["key"]) or b""
        assert (self.begins + handle["wrote"]).startswith(found), "bytes that were not written, or twice"

    def refused(self, handle: Any) -> None:
        handle["file"].write(b"x")


class LocalAppending(LocalWriting):
    """A local file being appended to."""

    begins = b"before"

    def start(self, key: str) -> Any:
        with open(self.path(key), "wb") as f:
            f.write(self.begins)
        return fsspec.filesystem("file").open(self.path(key), "ab")


class LocalText(LocalWriting):
    """A text wrapper with a compressor over a local file being written."""

    def start(self, key: str) -> Any:
        self.of = fsspec.open(self.path(key), "wt", compression="gzip")
        return self.of.open()

    def make(self) -> Any:
        key = f"out-{type(self).__name__}-{os.getpid()}-{next(self.numbers)}.txt.gz"
        f = self.start(key)
        f.write("a" * 1000)
        return {"file": f, "key": key, "wrote": b"a" * 1000}

    def use(self, handle: Any) -> None:
        handle["file"].write("bb")
        handle["wrote"] += b"bb"

    def refused(self, handle: Any) -> None:
        handle["file"].write("x" * 100_000)
        handle["file"].flush()

    def close(self, handle: Any) -> None:
        self.of.close()

    end = close

    def result(self, key: str) -> bytes | None:
        import gzip

        with gzip.open(self.path(key), "rb") as f:
            return f.read()

    def instance(self, handle: Any) -> Any:
        return self.of.fs


class LocalPending(LocalWriting):
    """A local file that takes its name by ``commit``."""

    def start(self, key: str) -> Any:
        f: Any = fsspec.filesystem("file").open(self.path(key), "wb", autocommit=False)
        assert os.path.dirname(f.temp) == tempfile.gettempdir()
        return f

    def refused(self, handle: Any) -> None:
        handle["file"].close()
        handle["file"].commit()

    def close(self, handle: Any) -> None:
        handle["file"].close()
        handle["file"].discard()

    def unchanged(self, handle: Any) -> None:
        Writing.unchanged(self, handle)
        assert os.path.exists(handle["file"].temp), "its temporary file is gone"

    def end(self, handle: Any) -> None:
        handle["file"].close()
        handle["file"].commit()

    def nothing_left(self, handle: Any) -> None:
        assert not os.path.exists(handle["file"].temp)


class LocalTransaction(LocalWriting):
    """A transaction in progress, with a file that was closed and one still open."""

    def make(self) -> Any:
        fs = fsspec.filesystem("file", auto_mkdir=False, skip_instance_cache=True)
        fs.start_transaction()
        key = f"out-{type(self).__name__}-{os.getpid()}-{next(self.numbers)}.bin"
        closed = f"{key}.closed"
        with fs.open(self.path(closed), "wb") as f:
            f.write(b"closed")
        f = fs.open(self.path(key), "wb")
        f.write(self.piece)
        return {"fs": fs, "file": f, "key": key, "closed": closed, "wrote": self.piece}

    def unchanged(self, handle: Any) -> None:
        Writing.unchanged(self, handle)
        assert self.result(handle["closed"]) is None, "committed too early"

    def use(self, handle: Any) -> None:
        handle["file"].write(self.more)
        handle["wrote"] += self.more
        self.unchanged(handle)

    def close(self, handle: Any) -> None:
        handle["file"].close()
        handle["fs"].end_transaction()

    def end(self, handle: Any) -> None:
        handle["file"].close()
        self.unchanged(handle)
        handle["fs"].end_transaction()

    def nothing_left(self, handle: Any) -> None:
        expect(self.result(handle["closed"]) or b"", b"closed", "the file that was closed")
        assert not glob.glob(f"{self.path(handle['key'])}*.tmp")

    def instance(self, handle: Any) -> Any:
        return handle["fs"]


class S3Writing(Writing):
    """An S3 object that is sent by one request at its end."""

    needs: tuple[str, ...] = S3.needs
    mode = "wb"

    def start(self, key: str) -> Any:
        return S3(self.places).make().open(f"bucket/{key}", self.mode, block_size=5 * 2**20)

    def result(self, key: str) -> bytes | None:
        return ask(self.places["s3"], "GET", f"/bucket/{key}")

    def nothing_left(self, handle: Any) -> None:
        assert handle["key"] not in uploads(self.places), "an upload that never ended"

    def busy(self, handle: Any) -> Callable[[], None] | None:
        return S3(self.places).busy(handle["file"].fs)


class S3Parts(S3Writing):
    """A multi-part upload of which a part has been sent."""

    piece = b"a" * (6 * 2**20)


class S3Appending(S3Writing):
    """An object being appended to."""

    mode = "ab"
    begins = b"before" * 100

    def start(self, key: str) -> Any:
        ask(self.places["s3"], "PUT", f"/bucket/{key}", self.begins)
        return super().start(key)


class S3Pending(S3Writing):
    """A multi-part upload that is completed by ``commit``."""

    piece = b"a" * (6 * 2**20)

    def start(self, key: str) -> Any:
        fs = S3(self.places).make()
        return fs.open(f"bucket/{key}", "wb", block_size=5 * 2**20, autocommit=False)

    def close(self, handle: Any) -> None:
        handle["file"].close()
        handle["file"].discard()

    def refused(self, handle: Any) -> None:
        handle["file"].close()
        handle["file"].commit()

    def end(self, handle: Any) -> None:
        handle["file"].close()
        self.unchanged(handle)
        handle["file"].commit()


class S3Transaction(S3Writing):
    """A transaction of s3fs in progress."""

    def make(self) -> Any:
        fs = S3(self.places).make()
        fs.start_transaction()
        key = f"out-{type(self).__name__}-{os.getpid()}-{next(self.numbers)}.bin"
        f = fs.open(f"bucket/{key}", "wb", block_size=5 * 2**20)
        f.write(self.piece)
        return {"file": f, "fs": fs, "key": key, "wrote": self.piece}

    def close(self, handle: Any) -> None:
        handle["file"].close()
        handle["fs"].end_transaction()

    def end(self, handle: Any) -> None:
        handle["file"].close()
        self.unchanged(handle)
        handle["fs"].end_transaction()


WRITING: dict[str, type[Subject]] = {
    "local writing": LocalWriting,
    "local appending": LocalAppending,
    "local text": LocalText,
    "local pending": LocalPending,
    "local transaction": LocalTransaction,
    "s3 writing": S3Writing,
    "s3 parts": S3Parts,
    "s3 appending": S3Appending,
    "s3 pending": S3Pending,
    "s3 transaction": S3Transaction,
}
