"""A web server that records what its clients do, and misbehaves when told to.

`HTTPServer` runs a `Site` in a process of its own, so that a test that forks shares no
socket with it, or in a thread.  In front of the site stands a relay that passes bytes
on and notes, connection by connection, what only the wire shows: how often a client
connected, whether it sent TLS's close-notify, and how the connection ended.

    with HTTPServer() as server:
        server.files["/a.bin"] = b"..."
        server.fault("/a.bin", ignore_range=True, times=1)
        ...
        server.requests      # [Request(method="GET", path="/a.bin", ...), ...]
        server.connections   # [Connection(fin=True, close_notify=0, ...), ...]

Every instance listens on a port of its own and stops by itself when the process that
made it ends.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import pickle
import re
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from aiohttp import web

from fsspec.tests.servers.process import Process

BACKLOG = 512
START_LIMIT = 30.0  # seconds


@dataclass
class Request:
    """One request that arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    connection: int
    target: str = ""
    """path and query as they were written"""
    sent: int = 0
    """bytes of the body that were sent in answer"""

    @property
    def range(self) -> str | None:
        """The value of its ``Range`` header."""
        return self.headers.get("Range")


@dataclass
class Connection:
    """One connection that a client made."""

    number: int
    received: int = 0
    """bytes from the client"""
    sent: int = 0
    """bytes to the client"""
    fin: bool = False
    """the client closed its side"""
    reset: bool = False
    """the client broke it off"""
    close_notify: int = 0
    """TLS alerts that the client sent; a close-notify is one"""
    open: bool = True


@dataclass
class Fault:
    """What goes wrong with requests for a path."""

    ignore_range: bool = False
    """answer 200 and everything, whatever range was asked for"""
    no_head: bool = False
    """405 for HEAD"""
    status: int | None = None
    redirect: str | None = None
    """where to"""
    redirect_status: int = 302
    gzip: bool = False
    """Content-Encoding gzip"""
    gzip_form: dict[str, str] | None = None
    """headers of its own that a form by gzip has, which clients get that accept one"""
    chunked: bool = False
    """no Content-Length"""
    no_accept_ranges: bool = False
    """``Accept-Ranges: none``, and 200 to everything"""
    content_length: int | None = None
    """what Content-Length says, whatever the body"""
    range_status: int = 206
    """status of an answer to a range"""
    no_content_range: bool = False
    """a part is sent without a Content-Range"""
    total: int | str | None = None
    """what Content-Range says of the size of the file"""
    cut: int | None = None
    """at most so many bytes of a range are sent, and said to be sent"""
    multipart: bool = False
    """a range is sent as multipart/byteranges"""
    unasked: bool = False
    """everything is answered with its first half, and 206"""
    wrong_range: int = 0
    """bytes by which a partial answer is shifted from what was asked for"""
    truncate: int | None = None
    """bytes of the body after which the connection is closed in good order"""
    drop_after: int | None = None
    """bytes of the body after which the connection is reset"""
    delay: float = 0.0
    """seconds before the headers"""
    delay_body: float = 0.0
    """seconds in the middle of the body"""
    headers: dict[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST")
    times: int | None = None
    """how many requests it befalls; None for all"""
    then: dict[str, str] | None = None
    """headers of all answers after that"""


class Site:
    """What the server serves and has seen; on one event loop."""

    def __init__(self, tls: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.since = 0  # connections before that are not told of
        self.by_port: dict[int, int] = {}
        self.relaying: set[Any] = set()
        self.tls = tls
        self.ca_pem = b""

    # -- serving ---------------------------------------------------------------

    async def start(self) -> int:
        """Listen; the port."""
        app = web.Application(client_max_size=2**32)
        app.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self.runner.setup()
        # the site is behind the relay, which is where clients connect
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context() if self.tls else None)
        await site.start()
        assert site._server is not None
        self.inner: int = site._server.sockets[0].getsockname()[1]
        self.relay = await asyncio.start_server(self.pass_on, "127.0.0.1", 0, backlog=BACKLOG)
        number: int = self.relay.sockets[0].getsockname()[1]
        return number

    async def stop(self) -> None:
        self.relay.close()
        await self.runner.cleanup()

    def context(self) -> ssl.SSLContext:
        """With a certificate made for the occasion. TLS 1.2, in which alerts can be told from data."""
        import trustme

        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        self.ca_pem = authority.cert_pem.bytes()
        return context

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection and note what happens on it."""
        note = Connection(len(self.connections))
        self.connections.append(note)
        behind, before = await asyncio.open_connection("127.0.0.1", self.inner)
        self.by_port[before.get_extra_info("sockname")[1]] = note.number
        records = _TLSRecords(note) if self.tls else None

        async def from_client() -> None:
            try:
                while data := await reader.read(2**16):
                    note.received += len(data)
                    if records is not None:
                        records.feed(data)
                    before.write(data)
                    await before.drain()
                note.fin = True
            except ConnectionError:
                note.reset = True
            with suppress(OSError):
                before.write_eof()

        async def to_client() -> None:
            with suppress(ConnectionError):
                while data := await behind.read(2**18):
                    note.sent += len(data)
                    writer.write(data)
                    await writer.drain()
            with suppress(OSError):
                if behind.exception() is None:
                    writer.write_eof()
                else:
                    writer.transport.abort()

        up, down = asyncio.ensure_future(from_client()), asyncio.ensure_future(to_client())
        self.relaying |= {up, down, asyncio.current_task()}  # asyncio itself holds tasks weakly
        try:
            await down
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(up), 60)
        except ConnectionError:
            pass
        finally:
            up.cancel()
            self.relaying -= {up, down, asyncio.current_task()}
            note.open = False
            for each in (writer, before):
                each.close()

    # -- answering -------------------------------------------------------------

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        port = request.transport.get_extra_info("peername")[1]
        seen = Request(
            request.method,
            request.path,
            request.query_string,
            dict(request.headers),
            self.by_port.get(port, -1),
            request.raw_path,
        )
        self.requests.append(seen)
        fault = self.faults.get(request.path)
        if fault is None or request.method not in fault.methods:
            fault = Fault()
        elif fault.times is not None:
            fault.times -= 1
            if fault.times <= 0 and fault.then is None:
                del self.faults[request.path]
            elif fault.times <= 0:
                self.faults[request.path] = Fault(headers=fault.then or {})
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.redirect is not None:
            await request.read()
            return web.Response(status=fault.redirect_status, headers={"Location": fault.redirect})
        if fault.status is not None:
            await request.read()
            return web.Response(status=fault.status, text="told to", headers=fault.headers)
        if request.method in ("PUT", "POST"):
            self.files[request.path] = await request.read()
            return web.Response(status=201)
        if request.method not in ("GET", "HEAD") or fault.no_head and request.method == "HEAD":
            return web.Response(status=405)
        body = self.files.get(request.path)
        if body is None:
            return web.Response(status=404, text="no such file")
        return await self.send(request, body, fault, seen)

    async def send(
        self, request: web.Request, body: bytes, fault: Fault, seen: Request
    ) -> web.StreamResponse:
        headers = {"Content-Type": _type_of(request.path), "Accept-Ranges": "bytes", **fault.headers}
        status = 200
        view = memoryview(body)
        asked = request.headers.get("Range")
        if fault.unasked:
            asked = f"bytes=0-{len(body) // 2 - 1}"
        if fault.no_accept_ranges:
            headers["Accept-Ranges"] = "none"
        elif asked is not None and not fault.ignore_range:
            found = _range(asked, len(body))
            if found is None:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
            first, stop = found
            first, stop = first + fault.wrong_range, min(stop + fault.wrong_range, len(body))
            if fault.cut is not None:
                stop = min(stop, first + fault.cut)
            status, view = fault.range_status, view[first:stop]
            output = f"bytes {first}-{stop - 1}/{len(body) if fault.total is None else fault.total}"
            if fault.multipart:
                headers["Content-Type"] = "multipart/byteranges; boundary=x"
                view = memoryview(
                    f"--x\r\nContent-Range: {output}\r\n\r\n".encode() + view.tobytes() + b"\r\n--x--"
                )
            elif not fault.no_content_range:
                headers["Content-Range"] = output
        accepted = "gzip" in request.headers.get("Accept-Encoding", "")
        if fault.gzip or fault.gzip_form is not None and accepted:
            view = memoryview(gzip.compress(view))
            headers.update({"Content-Encoding": "gzip", **(fault.gzip_form or {})})
        response = web.StreamResponse(status=status, headers=headers)
        if fault.chunked:
            response.enable_chunked_encoding()
        else:
            length = len(view) if fault.content_length is None else fault.content_length
            response.content_length = length
        with suppress(ConnectionResetError):  # who asked has gone: nothing to be logged
            await response.prepare(request)
            if request.method != "HEAD":
                await self.send_body(request, response, view, fault, seen)
        return response

    async def send_body(
        self,
        request: web.Request,
        response: web.StreamResponse,
        view: memoryview,
        fault: Fault,
        seen: Request,
    ) -> None:
        ends = [n for n in (fault.truncate, fault.drop_after) if n is not None]
        stop = min([len(view), *ends])
        pause = stop // 2 if fault.delay_body else -1
        at = 0
        while at < stop:
            until = min(stop, at + 2**18)
            if at < pause < until:
                until = pause
            elif at == pause:
                await asyncio.sleep(fault.delay_body)
            await response.write(view[at:until])
            seen.sent += until - at
            at = until
        transport = request.transport
        if transport is not None and fault.drop_after is not None:
            await asyncio.sleep(0.05)  # what was written before is to arrive
            transport.abort()
        elif transport is not None and (fault.truncate is not None or fault.content_length is not None):
            response.force_close()
            transport.close()
        else:
            await response.write_eof()


class _TLSRecords:
    """Counts the alerts in what a client sends."""

    def __init__(self, note: Connection) -> None:
        self.note = note
        self.head = b""
        self.left = 0

    def feed(self, data: bytes) -> None:
        while data:
            if self.left:
                passed = min(self.left, len(data))
                self.left -= passed
                data = data[passed:]
                continue
            lacking = 5 - len(self.head)
            self.head, data = self.head + data[:lacking], data[lacking:]
            if len(self.head) == 5:
                if self.head[0] == 21:
                    self.note.close_notify += 1
                self.left = int.from_bytes(self.head[3:5], "big")
                self.head = b""


def _type_of(path: str) -> str:
    if path.endswith((".html", "/")):
        return "text/html"
    return "text/plain" if path.endswith(".txt") else "application/octet-stream"


def _range(value: str, size: int) -> tuple[int, int] | None:
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", value)
    if match is None or not any(match.groups()):
        return 0, size
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
    return (start, stop) if start < stop else None


# from outside --------------------------------------------------------------------
class _Commands:
    """What can be asked of a site, by name; runs on its loop."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def start(self) -> tuple[int, bytes]:
        return await self.site.start(), self.site.ca_pem

    async def stop(self) -> None:
        await self.site.stop()

    async def set_file(self, path: str, data: bytes | None) -> None:
        if data is None:
            del self.site.files[path]
        else:
            self.site.files[path] = data

    async def get_file(self, path: str) -> bytes:
        return self.site.files[path]

    async def paths(self) -> list[str]:
        return list(self.site.files)

    async def set_fault(self, path: str, fault: Fault | None) -> None:
        if fault is None:
            self.site.faults.pop(path, None)
        else:
            self.site.faults[path] = fault

    async def record(self) -> tuple[list[Request], list[Connection]]:
        return self.site.requests, self.site.connections[self.site.since :]

    async def clear(self, everything: bool) -> None:
        self.site.requests.clear()
        if everything:
            self.site.since = len(self.site.connections)
            self.site.files.clear()
            self.site.faults.clear()


class _InThread:
    """A site on the loop of a thread of this process."""

    def __init__(self, tls: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.commands = _Commands(Site(tls))
        self.thread = threading.Thread(target=self.loop.run_forever, name="http server", daemon=True)
        self.thread.start()

    def ask(self, name: str, *args: Any) -> Any:
        asked = asyncio.run_coroutine_threadsafe(getattr(self.commands, name)(*args), self.loop)
        return asked.result(START_LIMIT)

    def end(self) -> None:
        self.ask("stop")
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class _InProcess(Process):
    """A site in a process of its own."""

    def __init__(self, tls: bool) -> None:
        super().__init__("fsspec.tests.servers.http", *(["tls"] if tls else []))

    def end(self) -> None:
        with suppress(OSError, EOFError):
            self.ask("stop")
        super().end()


class Files(MutableMapping[str, bytes]):
    """The files of a server, by path with a leading slash."""

    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def __getitem__(self, path: str) -> bytes:
        data: bytes = self._ask("get_file", path)
        return data

    def __setitem__(self, path: str, data: bytes) -> None:
        self._ask("set_file", path, bytes(data))

    def __delitem__(self, path: str) -> None:
        self._ask("set_file", path, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask("paths"))

    def __len__(self) -> int:
        return len(self._ask("paths"))


class HTTPServer:
    """A web server, from ``with`` to its end.

    Parameters
    ----------
    tls
        speak HTTPS, with a certificate that only ``ca_file`` vouches for.
    thread
        run in a thread of this process; not for tests that fork.

    Attributes
    ----------
    url
        its address, without a slash at the end.
    files
        what it serves; uploads arrive here.
    ca_file
        path of the certificate to trust, for ``SSL_CERT_FILE`` or `ssl_context`.
    """

    def __init__(self, tls: bool = False, thread: bool = False) -> None:
        self.tls = tls
        self.thread = thread
        self.ca_file: str | None = None

    def __enter__(self) -> HTTPServer:
        self._site = _InThread(self.tls) if self.thread else _InProcess(self.tls)
        self.files = Files(self._site.ask)
        port, ca_pem = self._site.ask("start")
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
        if self.tls:
            fd, self.ca_file = tempfile.mkstemp(suffix=".pem", prefix="fsspec-ca-")
            with os.fdopen(fd, "wb") as f:
                f.write(ca_pem)
        return self

    def __exit__(self, *exc: object) -> None:
        self._site.end()
        if self.ca_file is not None:
            os.unlink(self.ca_file)
            self.ca_file = None

    def ssl_context(self) -> ssl.SSLContext:
        """For clients that are to trust the server."""
        return ssl.create_default_context(cafile=self.ca_file)

    def fault(self, path: str, **what: Any) -> None:
        """Have something go wrong with requests for ``path``; see `Fault`. Nothing given: no more."""
        unknown = set(what) - {f.name for f in fields(Fault)}
        if unknown:
            raise TypeError(f"no such fault: {sorted(unknown)}")
        self._site.ask("set_fault", path, Fault(**what) if what else None)

    @property
    def requests(self) -> list[Request]:
        """All requests since the start or `clear`, in order of arrival."""
        found: list[Request] = self._site.ask("record")[0]
        return found

    @property
    def connections(self) -> list[Connection]:
        """All connections since the start or ``clear(everything=True)``."""
        found: list[Connection] = self._site.ask("record")[1]
        return found

    def clear(self, everything: bool = False) -> None:
        """Forget the requests; with ``everything`` the files, faults and connections too."""
        self._site.ask("clear", everything)


def _main(parent: int, tls: bool) -> None:
    """Serve, and answer commands on stdin until it ends or the parent is gone."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    commands = _Commands(Site(tls))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write where the answers go

    def listen() -> None:
        while True:
            try:
                name, args = pickle.load(sys.stdin.buffer)
            except (EOFError, pickle.UnpicklingError):
                break
            try:
                result = asyncio.run_coroutine_threadsafe(getattr(commands, name)(*args), loop).result()
                answer = False, result
            except Exception as error:  # told to whoever asked
                answer = True, error
            pickle.dump(answer, out)
            out.flush()
        loop.call_soon_threadsafe(loop.stop)

    async def watch() -> None:
        # a forked child of the parent may hold the pipe open for longer than the parent lives
        while os.getppid() == parent:
            await asyncio.sleep(1)
        loop.stop()

    threading.Thread(target=listen, daemon=True).start()
    watching = loop.create_task(watch())
    loop.run_forever()
    watching.cancel()
    os._exit(0)


if __name__ == "__main__":
    from fsspec.tests.servers.http import _main as main  # what it pickles is to have a proper name

    main(int(sys.argv[1]), "tls" in sys.argv[2:])
