"""Services that speak JSON: the parts of GitHub, Jupyter and Databricks that filesystems use.

Each keeps files in memory and answers as its documentation says. It runs in a process of
its own, asks for a token, records what it is asked, and misbehaves when told to:

    with RestServer("jupyter") as server:
        server.ask("put", "a/b.txt", b"...")
        server.ask("fault", 403)                # the next answer
        server.ask("fault", "truncate")         # half of its body, then the connection ends
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fsspec.tests.servers.process import Process, serve

TOKEN = "a-secret-token"
Answer = tuple[int, Any]


class Service:
    """Files and folders, what was asked, and what goes wrong next."""

    authorization: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.asked: list[tuple[str, str, str | None]] = []
        self.faults: list[Any] = []

    def put(self, path: str, data: bytes) -> None:
        self.files[path] = data
        while "/" in path:
            path = path.rpartition("/")[0]
            self.folders.add(path)

    def all(self) -> dict[str, bytes]:
        return self.files

    def requests(self) -> list[tuple[str, str, str | None]]:
        """Method, path and authorization of each."""
        return self.asked

    def fault(self, what: Any) -> None:
        self.faults.append(what)

    def below(self, folder: str) -> list[str]:
        """The paths directly in a folder, "" for the top."""
        start = folder and folder + "/"
        every = [*self.files, *self.folders]
        return sorted(p for p in every if p.startswith(start) and p != folder and "/" not in p[len(start) :])

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, base: str) -> Answer:
        raise NotImplementedError


class GitHub(Service):
    """One repository, o/r, whose branch is main; gists are its files at the top."""

    authorization = f"Bearer {TOKEN}", "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, base: str) -> Answer:
        if path.startswith("/raw/"):
            return 200, self.files[path[5:]]
        if path.startswith("/gists/"):
            return self.gist(path, base)
        if path in ("/orgs/o/repos", "/users/u/repos"):
            return 200, [{"name": "r"}]
        if not path.startswith("/repos/o/r"):
            return 404, {"message": "Not Found"}
        rest = path[len("/repos/o/r") :]
        if rest == "":
            return 200, {"default_branch": "main"}
        if rest == "/tags":  # two pages
            page = int(query.get("page", "1"))
            link = f'<{base}/repos/o/r/tags?page=2>; rel="next"' if page == 1 else ""
            return 200, (link, [{"name": f"v{page}"}])
        if rest == "/branches":
            return 200, [{"name": "main"}]
        if rest.startswith("/git/trees/"):
            return self.tree(rest[len("/git/trees/") :])
        return self.contents(method, rest[len("/contents/") :], query, body, base)

    def sha(self, path: str) -> str:
        content = self.files.get(path, path.encode())
        return hashlib.sha1(path.encode() + b"\0" + content).hexdigest()

    def tree(self, ref: str) -> Answer:
        folder = "" if ref == "main" else next((p for p in self.folders if self.sha(p) == ref), None)
        if folder is None:
            return 404, {"message": "Not Found"}
        listed = []
        for p in self.below(folder):
            each: dict[str, Any] = {"path": p.rpartition("/")[2], "sha": self.sha(p)}
            if p in self.files:
                each |= {"type": "blob", "mode": "100644", "size": len(self.files[p])}
            else:
                each |= {"type": "tree", "mode": "040000"}
            listed.append(each)
        return 200, {"sha": ref, "tree": listed, "truncated": False}

    def contents(self, method: str, path: str, query: dict[str, str], body: Any, base: str) -> Answer:
        if path in self.folders:
            return 200, [{"path": p} for p in self.below(path)]
        if path not in self.files or query.get("ref", "main") != "main":
            return 404, {"message": "Not Found"}
        data = self.files[path]
        if method == "DELETE":
            if body.get("sha") != self.sha(path) or not body.get("message") or body.get("branch") != "main":
                return 409, {"message": f"{path} does not match"}
            del self.files[path]
            return 200, {"commit": {}}
        if "raw" in query.get("accept", ""):
            return 200, data
        reported = {
            "path": path,
            "size": len(data),
            "sha": self.sha(path),
            "download_url": f"{base}/raw/{path}",
        }
        small = len(data) <= 2**20
        content = base64.encodebytes(data).decode() if small else ""
        return 200, {**reported, "encoding": "base64" if small else "none", "content": content}

    def gist(self, path: str, base: str) -> Answer:
        if path not in ("/gists/g", "/gists/g/rev"):
            return 404, {"message": "Not Found"}
        names = [p for p in self.files if "/" not in p]
        files = {n: {"filename": n, "size": len(self.files[n]), "raw_url": f"{base}/raw/{n}"} for n in names}
        return 200, {"files": files}


class Jupyter(Service):
    """The contents API of a Jupyter server."""

    authorization = (f"token {TOKEN}",)
    raced = ""

    def race(self, path: str) -> None:
        """Another makes this folder a moment after somebody was told that it is not there."""
        self.raced = path

    def described(self, path: str) -> dict[str, Any]:
        reported: dict[str, Any] = {"name": path.rpartition("/")[2], "path": path, "content": None}
        if path in self.files:
            kind = "notebook" if path.endswith(".ipynb") else "file"
            return {**reported, "type": kind, "size": len(self.files[path])}
        return {**reported, "type": "directory", "size": None}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, base: str) -> Answer:
        if not path.startswith("/base/api/contents"):
            return 404, {"message": "no such page"}
        path = path[len("/base/api/contents") :].strip("/")
        folder = path == "" or path in self.folders
        if method == "PUT":
            parent = path.rpartition("/")[0]
            if parent and parent not in self.folders:
                return 500, {"message": f"Unexpected error: no folder {parent}"}
            if body["type"] == "directory":
                self.folders.add(path)
            else:
                self.files[path] = base64.b64decode(body["content"])
            return 201, self.described(path)
        if not folder and path not in self.files:
            if path == self.raced:
                self.folders.add(path)
            return 404, {"message": f"No such file or directory: {path}"}
        if method == "PATCH":
            return self.moved(path, body["path"])
        if method == "DELETE":
            if folder and self.below(path):
                return 400, {"message": f"Directory {path} not empty"}
            self.files.pop(path, None)
            self.folders.discard(path)
            return 204, b""
        reported = self.described(path)
        if query.get("content") == "0":
            return 200, reported
        if folder:
            if query.get("type") == "file":
                return 400, {"message": f"{path} is a directory, not a file"}
            return 200, {
                **reported,
                "format": "json",
                "content": [self.described(p) for p in self.below(path)],
            }
        data = self.files[path]
        if query.get("format") == "base64":
            return 200, {**reported, "format": "base64", "content": base64.encodebytes(data).decode()}
        return 200, {**reported, "format": "text", "content": data.decode("utf-8", "replace")}

    def moved(self, path: str, new: str) -> Answer:
        if new in self.files or new in self.folders:
            return 409, {"message": f"File already exists: {new}"}
        for p in [p for p in self.files if p == path or p.startswith(path + "/")]:
            self.files[new + p[len(path) :]] = self.files.pop(p)
        for p in [p for p in self.folders if p == path or p.startswith(path + "/")]:
            self.folders.discard(p)
            self.folders.add(new + p[len(path) :])
        return 200, self.described(new)


class Databricks(Service):
    """DBFS, with its limits: a megabyte at a time."""

    authorization = (f"Bearer {TOKEN}",)

    def clear(self) -> None:
        super().clear()
        self.handles: dict[int, str] = {}
        self.slow_deletes = 0

    def described(self, path: str) -> dict[str, Any]:
        folder = path not in self.files
        return {
            "path": f"/{path}",
            "is_dir": folder,
            "file_size": 0 if folder else len(self.files[path]),
            "modification_time": 1_700_000_000_000,
        }

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, base: str) -> Answer:
        name = path.removeprefix("/api/2.0/dbfs/").replace("-", "_")
        if not hasattr(self, f"do_{name}"):
            return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": "no such endpoint"}
        found: Answer = getattr(self, f"do_{name}")({**query, **(body or {})})
        return found

    @staticmethod
    def no(path: str) -> Answer:
        message = f"No file or directory exists on path {path}."
        return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": message}

    def is_folder(self, path: str) -> bool:
        return path == "" or path in self.folders

    def do_list(self, asked: dict[str, Any]) -> Answer:
        path = asked["path"].strip("/")
        if path in self.files:
            return 200, {"files": [self.described(path)]}
        if not self.is_folder(path):
            return self.no(path)
        below = self.below(path)
        return 200, {"files": [self.described(p) for p in below]} if below else {}

    def do_get_status(self, asked: dict[str, Any]) -> Answer:
        path = asked["path"].strip("/")
        return (200, self.described(path)) if path in self.files or self.is_folder(path) else self.no(path)

    def do_read(self, asked: dict[str, Any]) -> Answer:
        path, offset, length = asked["path"].strip("/"), int(asked["offset"]), int(asked["length"])
        if path not in self.files:
            return self.no(path)
        if length > 2**20:
            return 400, {"error_code": "MAX_READ_SIZE_EXCEEDED", "message": "length is over 1 MB"}
        data = self.files[path][offset : offset + length]
        return 200, {"bytes_read": len(data), "data": base64.b64encode(data).decode()}

    def do_create(self, asked: dict[str, Any]) -> Answer:
        path = asked["path"].strip("/")
        if path in self.files and not asked.get("overwrite"):
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "A file already exists"}
        self.put(path, b"")
        handle = len(self.handles) + 1
        self.handles[handle] = path
        return 200, {"handle": handle}

    def do_add_block(self, asked: dict[str, Any]) -> Answer:
        data = base64.b64decode(asked["data"])
        if len(data) > 2**20:
            return 400, {"error_code": "MAX_BLOCK_SIZE_EXCEEDED", "message": "block is over 1 MB"}
        self.files[self.handles[asked["handle"]]] += data
        return 200, {}

    def do_close(self, asked: dict[str, Any]) -> Answer:
        return 200, {}

    def do_mkdirs(self, asked: dict[str, Any]) -> Answer:
        path = asked["path"].strip("/")
        if path in self.files:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "A file is there"}
        self.put(path + "/x", b"")
        del self.files[path + "/x"]
        return 200, {}

    def do_delete(self, asked: dict[str, Any]) -> Answer:
        path = asked["path"].strip("/")
        held = [p for p in self.files if p.startswith(path + "/")]
        if held and not asked.get("recursive"):
            return 400, {"error_code": "IO_ERROR", "message": "a non-empty directory"}
        if held:
            del self.files[held[0]]
            return 503, {"error_code": "PARTIAL_DELETE", "message": "some are left, ask again"}
        self.files.pop(path, None)
        self.folders = {p for p in self.folders if p != path and not p.startswith(path + "/")}
        return 200, {}

    def do_move(self, asked: dict[str, Any]) -> Answer:
        path, new = asked["source_path"].strip("/"), asked["destination_path"].strip("/")
        if path not in self.files and path not in self.folders:
            return self.no(path)
        if new in self.files:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "A file already exists"}
        for p in [p for p in self.files if p == path or p.startswith(path + "/")]:
            self.put(new + p[len(path) :], self.files.pop(p))
        self.folders = {p for p in self.folders if p != path and not p.startswith(path + "/")}
        return 200, {}


SERVICES = {"github": GitHub, "jupyter": Jupyter, "databricks": Databricks}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the client need not wait for the second
    service: Service

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers.get("Authorization")
        self.service.asked.append((self.command, parts.path, given))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        query["accept"] = self.headers.get("Accept", "")
        fault = self.service.faults.pop(0) if self.service.faults else None
        answer: Answer
        if isinstance(fault, int):
            answer = fault, {"message": f"as was asked for, {fault}", "error_code": "PERMISSION_DENIED"}
        elif fault == "text":
            answer = 200, b"<html>a page for people</html>"
        elif given is not None and given not in self.service.authorization:
            answer = 401, {"message": "Bad credentials"}
        else:
            address = f"http://{self.headers['Host']}"
            path = unquote(parts.path)
            reported = json.loads(body) if body else None
            answer = self.service.answer(self.command, path, query, reported, address)
        self._send(answer, fault == "truncate")

    def _send(self, answer: Answer, truncate: bool) -> None:
        status, content = answer
        link = ""
        if isinstance(content, tuple):
            link, content = content
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if truncate else data)
        if truncate:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer


class RestServer:
    """A service in a process of its own, from ``with`` to its end."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __enter__(self) -> RestServer:
        self._process = Process("fsspec.tests.servers.rest", self.kind)
        self.url = f"http://127.0.0.1:{self.ask('port')}"
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()

    def ask(self, name: str, *args: Any) -> Any:
        """What a method of the service returns."""
        return self._process.ask(name, *args)


def _main(owner: int, kind: str) -> None:
    service = SERVICES[kind]()
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.port = lambda: server.server_address[1]  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    serve(owner, service)


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2])
