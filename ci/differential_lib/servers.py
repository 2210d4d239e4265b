"""What the sides talk to, one after the other: servers of the tests, filled anew for each program."""

from __future__ import annotations

import os
import shutil
import urllib.request
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .worker import blob, described

Tree = dict[str, Any]


def fill(folder: Path, tree: Tree) -> None:
    """Make a folder hold a tree and nothing else."""
    empty(folder)
    for name, spec in tree.items():
        path = folder / name
        if spec is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blob(spec))


def empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def content(folder: Path) -> dict[str, str | None]:
    """What a folder holds."""
    found: dict[str, str | None] = {}
    for where, folders, files in os.walk(folder):
        if not folders and not files and Path(where) != folder:
            found[os.path.relpath(where, folder) + "/"] = None
        for name in files:
            path = Path(where, name)
            found[str(path.relative_to(folder))] = (
                f"-> {os.readlink(path)}" if path.is_symlink() else described(path.read_bytes())
            )
    return found


class Folders:
    """SFTP, SMB, FTP and WebHDFS: servers of a folder."""

    def __init__(self, protocol: str, server: Any) -> None:
        self.server, self.folder, self.options = server, Path(server.folder), server.options
        self.url = f"{protocol}://{self.options['host']}:{self.options['port']}"
        self.before = 0

    def reset(self, tree: Tree, faults: Tree) -> None:
        clear = getattr(self.server, "clear", None)
        if clear is not None:
            self.folder.mkdir(exist_ok=True)
            clear()
        fill(self.folder, tree)
        self.before = len(self.asked())

    def asked(self) -> list[str]:
        if hasattr(self.server, "connections"):
            lines: list[str] = []
            for connection in self.server.connections:
                made = getattr(connection, "requests", None) or getattr(connection, "commands", [])
                lines += ["request"] * made if isinstance(made, int) else made
            return lines
        return [f"{request.method} {request.op} {request.path}" for request in self.server.requests]

    def requests(self) -> list[str]:
        return self.asked()[self.before :]

    def content(self) -> dict[str, str | None]:
        return content(self.folder)


class Web:
    """HTTP, with a page for each folder."""

    def __init__(self, server: Any) -> None:
        self.server, self.url = server, server.url
        self.options = {"ca": server.ca_file} if server.tls else {}

    def reset(self, tree: Tree, faults: Tree) -> None:
        self.server.clear(everything=True)
        pages: dict[str, set[str]] = {"": set()}
        for name, spec in tree.items():
            parts = name.rstrip("/").split("/")
            for depth in range(len(parts)):
                last = depth == len(parts) - 1 and spec is not None
                pages.setdefault("".join(part + "/" for part in parts[:depth]), set()).add(
                    parts[depth] + "/" * (not last)
                )
            if spec is not None:
                self.server.files["/" + name] = blob(spec)
        for folder, names in pages.items():
            links = "".join(f'<a href="{escape(quote(name))}">x</a>\n' for name in sorted(names))
            self.server.files["/" + folder] = f"<html>{links}</html>".encode()
        for path, fault in faults.items():
            self.server.fault(path, **fault)

    def requests(self) -> list[str]:
        return [f"{r.method} {r.target} {r.range or ''}".strip() for r in self.server.requests]

    def content(self) -> dict[str, str | None]:
        return {path: described(data) for path, data in self.server.files.items()}


class S3:
    """One bucket of moto's server."""

    def __init__(self, url: str) -> None:
        import boto3

        from fsspec.tests.servers import s3

        self.url, self.address, self.options = "s3:/", url, s3.options(url)
        self.client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=s3.CREDENTIALS["key"],
            aws_secret_access_key=s3.CREDENTIALS["secret"],
        )

    def reset(self, tree: Tree, faults: Tree) -> None:
        urllib.request.urlopen(f"{self.address}/moto-api/reset", data=b"", timeout=60).close()
        self.client.create_bucket(Bucket="bucket")
        for name, spec in tree.items():
            if spec is not None:
                self.client.put_object(Bucket="bucket", Key=name, Body=blob(spec))

    def requests(self) -> list[str]:
        return []  # the worker knows

    def content(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for bucket in self.client.list_buckets()["Buckets"]:
            for entry in self.client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
                where = {"Bucket": bucket["Name"], "Key": entry["Key"]}
                found["/".join(where.values())] = described(self.client.get_object(**where)["Body"].read())
        return found


class Servers(ExitStack):
    """Servers by name, each started when it is first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Any] = {}

    def __call__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = self.start(name)
        return self.made[name]

    def start(self, name: str) -> Any:
        if name in ("http", "https"):
            from fsspec.tests.servers.http import HTTPServer

            return Web(self.enter_context(HTTPServer(tls=name == "https")))
        if name == "s3":
            from fsspec.tests.servers.s3 import serve_s3

            return S3(self.enter_context(serve_s3()))
        from importlib import import_module

        module = import_module(f"fsspec.tests.servers.{name}")
        kind = {"sftp": "SFTPServer", "smb": "SMBServer", "ftp": "FTPServer", "webhdfs": "WebHDFSServer"}[
            name
        ]
        return Folders(name, self.enter_context(getattr(module, kind)()))
