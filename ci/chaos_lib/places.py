"""The servers, with a proxy in front of each, and what they must hold."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.exceptions import FileChangedError

from . import proxy

SIZES = {"r0": 0, "r1": 1_000, "r2": 70_000, "r3": 300_001, "r4": 700_000}
TREE = {"tree/a": 10, "tree/b": 2_000, "tree/sub/c": 40_000, "tree/sub/deep/d": 5}
BUCKET = "chaos-bucket"


def content(name: str, size: int) -> bytes:
    """Bytes that no other name or version has at any offset."""
    return hashlib.shake_128(name.encode()).digest(size)


@dataclass
class Place:
    """A server behind a proxy, and the model of what it holds.

    Attributes
    ----------
    filesystems
        those to try, through the proxy.
    versions
        by name, all the contents that a file has had; the last is what it has now.
    """

    name: str
    proxy: proxy.Proxy
    filesystems: list[Any]
    root: str
    folder: str
    versions: dict[str, list[bytes]] = field(default_factory=dict)
    removes = True
    whole_writes = True
    """a write that failed leaves the old or the new"""
    whole_gets = True
    """a download that failed leaves its target as it was"""
    versioned = True
    """its answers tell one version of a file from another"""
    changed: tuple[type[BaseException], ...] = (FileChangedError,)
    """what is raised for a file that changed while it was open"""

    def fill(self) -> None:
        for name, size in {**SIZES, **TREE}.items():
            self.change(name, content(name, size))

    def change(self, name: str, data: bytes) -> None:
        """Have the server hold something else, behind the back of its clients."""
        self.store(name, data)
        self.versions.setdefault(name, []).append(data)

    def now(self, name: str) -> bytes:
        return self.versions[name][-1]

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def store(self, name: str, data: bytes | None) -> None:
        raise NotImplementedError

    def held(self, name: str) -> bytes | None:
        """What the server has; None for nothing."""
        raise NotImplementedError


class HTTPPlace(Place):
    removes = False
    server: Any

    def fill(self) -> None:
        super().fill()
        for folder, names in {"": "ab", "sub/": "c", "sub/deep/": "d"}.items():
            below = [n for n in ("sub/", "sub/deep/") if n != folder and n.startswith(folder)][:1]
            links = [*names, *(n[len(folder) :] for n in below)]
            page = "".join(f'<a href="/tree/{folder}{link}">x</a>' for link in links)
            for path in {f"/tree/{folder}", f"/tree/{folder}".rstrip("/")}:  # most servers redirect
                self.server.files[path] = page.encode()
                self.server.fault(path, headers={"Content-Type": "text/html"})

    def store(self, name: str, data: bytes | None) -> None:
        if data is None:
            self.server.files.pop(f"/{name}", None)
            return
        self.server.files[f"/{name}"] = data
        self.server.fault(f"/{name}", headers={"ETag": f'"{hashlib.md5(data).hexdigest()}"'})

    def held(self, name: str) -> bytes | None:
        found: bytes | None = self.server.files.get(f"/{name}")
        return found


class S3Place(Place):
    whole_gets = False  # s3fs writes in place
    client: Any

    def store(self, name: str, data: bytes | None) -> None:
        if data is None:
            self.client.delete_object(Bucket=BUCKET, Key=name)
        else:
            self.client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def held(self, name: str) -> bytes | None:
        try:
            found: bytes | None = self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
            return found
        except self.client.exceptions.NoSuchKey:
            return None


class FTPPlace(Place):
    whole_writes = versioned = False
    files: Path

    def store(self, name: str, data: bytes | None) -> None:
        target = self.files / name
        if data is None:
            target.unlink(missing_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def held(self, name: str) -> bytes | None:
        target = self.files / name
        return target.read_bytes() if target.exists() else None


@contextmanager
def http(
    loop: proxy.Loop, rng: random.Random, rate: float, folder: str, tls: bool = False
) -> Iterator[Place]:
    """aiohttp's server; over TLS the proxy sees a stream that it cannot read."""
    import aiohttp

    from fsspec.tests.servers.http import HTTPServer

    with HTTPServer(tls=tls) as server:
        port = urlsplit(server.url).port or 0
        if tls:
            front: proxy.Proxy = proxy.TCPProxy(loop, port, rng, rate, proxy.STREAM)
        else:
            front = proxy.HTTPProxy(loop, port, rng, rate, proxy.TRANSPORT + proxy.HEADERS)
        wait = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=2)
        trust = {"ssl": server.ssl_context()} if tls else {}
        filesystems = [
            fsspec.filesystem(
                "http", client_kwargs={"timeout": wait}, skip_instance_cache=True, **trust, **more
            )
            for more in ({}, {"retries": 2, "retry_wait": 0.05})
        ]
        scheme = "https" if tls else "http"
        place = HTTPPlace(scheme, front, filesystems, f"{scheme}://127.0.0.1:{front.port}", folder)
        place.server = server
        yield place


@contextmanager
def https(loop: proxy.Loop, rng: random.Random, rate: float, folder: str) -> Iterator[Place]:
    with http(loop, rng, rate, folder, tls=True) as place:
        yield place


@contextmanager
def s3(loop: proxy.Loop, rng: random.Random, rate: float, folder: str) -> Iterator[Place]:
    """moto's server and s3fs."""
    import botocore.session
    from s3fs.utils import FileExpired

    from fsspec.tests.servers.s3 import CREDENTIALS, serve_s3

    with serve_s3() as address:
        # what answers say of ranges is for s3fs to check, which does not
        faults = (*proxy.TRANSPORT, "length too long")
        front = proxy.HTTPProxy(loop, urlsplit(address).port or 0, rng, rate, faults)
        client = botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=address,
            aws_access_key_id=CREDENTIALS["key"],
            aws_secret_access_key=CREDENTIALS["secret"],
        )
        client.create_bucket(Bucket=BUCKET)
        config = {"connect_timeout": 2, "read_timeout": 2, "retries": {"max_attempts": 1}}
        fs = fsspec.filesystem(
            "s3",
            endpoint_url=f"http://127.0.0.1:{front.port}",
            config_kwargs=config,
            skip_instance_cache=True,
            **CREDENTIALS,
        )
        place = S3Place("s3", front, [fs], BUCKET, folder)
        place.client = client
        place.changed = (FileChangedError, FileExpired)
        yield place
        client.close()


@contextmanager
def ftp(loop: proxy.Loop, rng: random.Random, rate: float, folder: str) -> Iterator[Place]:
    """pyftpdlib's server."""
    from fsspec.tests.servers.ftp import FTPServer

    with FTPServer() as server:
        # a call is many replies
        front = proxy.FTPProxy(loop, server.options["port"], rng, rate / 4, proxy.CONTROL)
        options = {**server.options, "port": front.port, "timeout": 4}
        fs = fsspec.filesystem("ftp", skip_instance_cache=True, **options)
        place = FTPPlace("ftp", front, [fs], "", folder)
        place.files = Path(server.folder)
        yield place


KINDS = {"http": http, "https": https, "s3": s3, "ftp": ftp}
