"""The REST interface of Hadoop's filesystem over a local folder, in a process of its own.

Written after the interface's published description, for there is no namenode to be had
in a test: one server is namenode and datanode, and redirects from one to the other.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fsspec.tests.servers.process import Process, serve

_JAVA = {
    FileNotFoundError: ("FileNotFoundException", 404),
    FileExistsError: ("FileAlreadyExistsException", 403),
    NotADirectoryError: ("ParentNotDirectoryException", 403),
    PermissionError: ("AccessControlException", 403),
}


@dataclass
class Request:
    """One request that arrived."""

    method: str
    op: str
    path: str
    parameters: dict[str, str]
    port: int
    """of the client: each connection has another"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self) -> None:
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        at_datanode = url.path.startswith("/data")
        path = unquote(url.path.partition("/v1")[2]) or "/"
        op = given.get("op", "").upper()
        body = self.body()
        request = Request(self.command, op, path, given, self.client_address[1])
        self.server.requests.append(request)
        real = self.server.folder + os.path.normpath(path)
        try:
            if op in self.server.redirected and not at_datanode:
                os.stat(real if op != "CREATE" else os.path.dirname(real))
                place = f"http://datanode.invalid:1/data/v1{url.path.partition('/v1')[2]}?{url.query}"
                return self.send(b"", 307, Location=place)
            result = getattr(self, f"do_{op.lower()}")(real, given, body)
        except OSError as error:
            name, status = _JAVA.get(type(error), ("IOException", 500))
            reported = {"RemoteException": {"exception": name, "message": f"{error.strerror}"}}
            return self.send(json.dumps(reported).encode(), status)
        self.send(result if isinstance(result, bytes) else json.dumps(result).encode())

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, data: bytes, status: int = 200, **headers: str) -> None:
        short = self.server.short
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if short is not None and len(data) > short:
            data = data[:short]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def status(self, real: str, suffix: str) -> dict[str, Any]:
        found = os.stat(real)
        folder = os.path.isdir(real)
        return {
            "length": 0 if folder else found.st_size,
            "modificationTime": int(found.st_mtime * 1000),
            "pathSuffix": suffix,
            "permission": oct(found.st_mode & 0o777)[2:],
            "type": "DIRECTORY" if folder else "FILE",
        }

    def do_getfilestatus(self, real: str, given: Any, body: bytes) -> Any:
        if self.server.no_status:
            raise OSError(5, "safe mode")
        return {"FileStatus": self.status(real, "")}

    def do_liststatus(self, real: str, given: Any, body: bytes) -> Any:
        if os.path.isdir(real):
            found = [self.status(os.path.join(real, name), name) for name in os.listdir(real)]
        else:
            found = [self.status(real, "")]
        return {"FileStatuses": {"FileStatus": found}}

    def do_open(self, real: str, given: Any, body: bytes) -> bytes:
        with open(real, "rb") as f:
            f.seek(int(given.get("offset", 0)))
            return f.read(int(given.get("length", -1)))

    def do_create(self, real: str, given: Any, body: bytes) -> bytes:
        with open(real, "xb" if given.get("overwrite") == "false" else "wb") as f:
            f.write(body)
        return b""

    def do_append(self, real: str, given: Any, body: bytes) -> bytes:
        if self.server.no_append:
            raise OSError(5, "append is disabled")
        with open(real, "ab") as f:
            f.write(body)
        return b""

    def do_mkdirs(self, real: str, given: Any, body: bytes) -> Any:
        os.makedirs(real, exist_ok=True)
        return {"boolean": True}

    def do_rename(self, real: str, given: Any, body: bytes) -> Any:
        target = self.server.folder + given["destination"]
        able = os.path.exists(real) and not os.path.exists(target)
        if able:
            os.rename(real, target)
        return {"boolean": able}

    def do_delete(self, real: str, given: Any, body: bytes) -> Any:
        if not os.path.exists(real):
            return {"boolean": False}
        if not os.path.isdir(real):
            os.remove(real)
        elif given["recursive"] == "true":
            shutil.rmtree(real)
        else:
            os.rmdir(real)
        return {"boolean": True}

    def do_setpermission(self, real: str, given: Any, body: bytes) -> bytes:
        os.chmod(real, int(given["permission"], 8))
        return b""

    def do_getfilechecksum(self, real: str, given: Any, body: bytes) -> Any:
        return {"FileChecksum": {"algorithm": "size", "bytes": str(os.path.getsize(real)), "length": 2}}

    def do_gethomedirectory(self, real: str, given: Any, body: bytes) -> Any:
        return {"Path": f"/user/{given.get('user.name', 'nobody')}"}

    def do_getcontentsummary(self, real: str, given: Any, body: bytes) -> Any:
        files = [os.path.join(d, f) for d, _, names in os.walk(real) for f in names]
        return {"ContentSummary": {"fileCount": len(files), "length": sum(map(os.path.getsize, files))}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.clear()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *args: Any) -> None:
        pass

    def clear(self) -> None:
        self.requests: list[Request] = []
        self.fault(None, False, False)
        self.redirected = {"OPEN", "CREATE", "APPEND", "GETFILECHECKSUM"}

    def fault(self, short: int | None, no_append: bool, no_status: bool) -> None:
        self.short, self.no_append, self.no_status = short, no_append, no_status

    def gateway(self) -> None:
        self.redirected -= {"OPEN", "GETFILECHECKSUM"}

    def port(self) -> int:
        return self.server_address[1]

    def record(self) -> list[Request]:
        return self.requests


class WebHDFSServer:
    """The interface, from ``with`` to its end; `folder` is where its files are."""

    def __enter__(self) -> WebHDFSServer:
        self.folder = tempfile.mkdtemp(prefix="fsspec-webhdfs-")
        self._process = Process("fsspec.tests.servers.webhdfs", self.folder)
        port = self._process.ask("port")
        self.options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "user": "me",
            "data_proxy": {"http://datanode.invalid:1": f"http://127.0.0.1:{port}"},
        }
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.end()
        shutil.rmtree(self.folder)

    @property
    def requests(self) -> list[Request]:
        """All requests."""
        found: list[Request] = self._process.ask("record")
        return found

    def gateway(self) -> None:
        """Be as HttpFS from now on: what is read comes from the namenode itself."""
        self._process.ask("gateway")

    def fault(self, short: int | None = None, no_append: bool = False, no_status: bool = False) -> None:
        """Answers that end after ``short`` bytes; appending that fails; entries that cannot be asked for."""
        self._process.ask("fault", short, no_append, no_status)


if __name__ == "__main__":
    from fsspec.tests.servers.webhdfs import _Server as Server  # what it pickles is to have a proper name

    serve(int(sys.argv[1]), Server(sys.argv[2]))
