"""Proxies that pass on what clients and servers say, and break it by chance.

`HTTPProxy` knows requests and answers, so that headers can be wrong; `TCPProxy` knows bytes
only; `FTPProxy` is one for each of the two kinds of connections of FTP. All run on one event
loop in a thread. With ``faulty`` unset they pass everything on as it is.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

STALL = 3.0  # seconds of silence; clients wait for less
CLOSED = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError)

TRANSPORT = ("latency", "stall", "reset", "lost answer", "cut", "broken", "busy", "too many", "garbage")
"""What befalls an exchange of HTTP whoever the client is."""
HEADERS = ("length too long", "length too short", "wrong range", "wrong total", "other ETag", "no range")
"""What befalls the headers of an answer."""
STREAM = ("latency", "stall", "reset", "cut", "flipped bit")
CONTROL = ("latency", "stall", "reset", "cut", "busy", "garbage")
DATA = ("latency", "stall", "broken", "cut")


class Loop:
    """An event loop in a thread, for all proxies."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)  # what breaks here is meant to
        self.thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self.thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        """End it and what runs on it."""

        async def cancel() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self.run(cancel())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Proxy:
    """A listener whose connections go to one server.

    Parameters
    ----------
    loop
        where it runs.
    port
        of the server, on loopback.
    rng
        what chance decides.
    rate
        the part of exchanges that something befalls, 0 to 1.
    faults
        what may happen.
    """

    def __init__(
        self, loop: Loop, port: int, rng: random.Random, rate: float, faults: tuple[str, ...]
    ) -> None:
        self.behind, self.rng, self.rate, self.faults = port, rng, rate, faults
        self.faulty = False
        self.count: Counter[str] = Counter()
        self.tasks: set[Any] = set()
        self.lengths: set[int] = set()
        """of bodies, that were said and not kept to: who does not read the body cannot tell"""
        self.loop = loop
        self.port: int = loop.run(self.listen(self.serve))

    async def listen(self, serve: Callable[[Any, Any], Awaitable[None]]) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.tasks.add(asyncio.current_task())
            try:
                with suppress(*CLOSED):
                    await serve(reader, writer)
            finally:
                writer.close()
                self.tasks.discard(asyncio.current_task())

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**26)
        number: int = server.sockets[0].getsockname()[1]
        return number

    def draw(self, faults: tuple[str, ...] | None = None) -> str | None:
        """What happens to one exchange; None for nothing."""
        if not self.faulty or self.rng.random() >= self.rate:
            return None
        return self.rng.choice(faults or self.faults)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def connect(self, port: int | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port or self.behind, limit=2**26)

    async def pause(self, fault: str | None) -> None:
        if fault == "latency":
            await asyncio.sleep(self.rng.uniform(0.01, 0.2))
        elif fault == "stall":
            await asyncio.sleep(STALL)


@dataclass
class Message:
    """A request or an answer of HTTP."""

    first: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @classmethod
    def parse(cls, head: bytes) -> Message:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        return cls(first, [(k, v.strip()) for k, _, v in (line.partition(":") for line in lines)])

    def get(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def set(self, name: str, value: str | None) -> None:
        """Replace a header; None removes it."""
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    def head(self) -> bytes:
        lines = [self.first, *(f"{k}: {v}" for k, v in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class HTTPProxy(Proxy):
    """In front of a server of HTTP: one connection of its own for each request."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = Message.parse(await reader.readuntil(b"\r\n\r\n"))
            fault = self.draw()
            if fault == "reset":
                self.count[fault] += 1
                writer.transport.abort()
                return
            if (request.get("Expect") or "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.set("Expect", None)
            request.body = await _body(reader, request)
            if fault == "no range" and request.get("Range"):
                self.count[fault] += 1
                request.set("Range", None)
            if fault in ("busy", "too many"):
                answer = self.refusal(fault)
            else:
                answer = await self.ask(request)
            if not await self.reply(writer, request, answer, fault):
                return

    def refusal(self, fault: str) -> Message:
        """The answer of a server that has too much to do."""
        self.count[fault] += 1
        status = "429 Too Many Requests" if fault == "too many" else "503 Service Unavailable"
        headers = [("Content-Length", "4"), ("Retry-After", str(self.rng.choice([0, 0, 1])))]
        return Message(f"HTTP/1.1 {status}", headers, b"busy")

    async def ask(self, request: Message) -> Message:
        """What the server answers."""
        request.set("Connection", "close")
        reader, writer = await self.connect()
        try:
            writer.write(request.head() + request.body)
            answer = Message.parse(await reader.readuntil(b"\r\n\r\n"))
            answer.body = await reader.read()
        finally:
            writer.close()
        answer.set("Connection", None)
        return answer

    async def reply(
        self, writer: asyncio.StreamWriter, request: Message, answer: Message, fault: str | None
    ) -> bool:
        """Pass the answer on, as the fault has it; whether the connection is still good."""
        bare = request.first.startswith("HEAD") or not answer.body
        framed = bare or answer.get("Content-Length") or answer.get("Transfer-Encoding")
        if fault in HEADERS and fault != "no range":
            fault = self.disfigure(answer, fault, bare)
        if fault in ("latency", "stall"):
            self.count[fault] += 1
            await self.pause(fault)
        if fault == "lost answer":
            self.count[fault] += 1
            writer.transport.abort()
            return False
        if fault == "garbage":
            self.count[fault] += 1
            writer.write(self.rng.randbytes(self.rng.randrange(1, 200)))
            await writer.drain()
            return False
        whole = answer.head() + answer.body
        if fault in ("cut", "broken"):
            self.count[fault] += 1
            writer.write(whole[: self.rng.randrange(len(whole))])
            await writer.drain()
            if fault == "broken":
                await asyncio.sleep(0.02)  # what was written before is to arrive
                writer.transport.abort()
            return False
        writer.write(whole)
        await writer.drain()
        if fault in ("length too long", "length too short") or not framed:
            return False
        return True

    def disfigure(self, answer: Message, fault: str, bare: bool) -> str | None:
        """Change the headers; the fault, or None where there is no such header."""
        length, span = answer.get("Content-Length"), answer.get("Content-Range")
        partial = " 206 " in answer.first
        if fault == "length too long" and length and not bare:
            said = int(length) + self.rng.randrange(1, 5000)
            self.lengths.add(said)
            answer.set("Content-Length", str(said))
        elif fault == "length too short" and partial and length and int(length) > 1 and not bare:
            # of a whole file that is short and says so nobody could tell
            answer.set("Content-Length", str(self.rng.randrange(1, int(length))))
        elif fault in ("wrong range", "wrong total") and partial and span:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", span)
            if match is None:
                return None
            first, last, total = map(int, match.groups())
            shift = self.rng.randrange(1, 1000)
            if fault == "wrong range":
                first, last = first + shift, last + shift
            answer.set(
                "Content-Range", f"bytes {first}-{last}/{total + shift if fault == 'wrong total' else total}"
            )
        elif fault == "other ETag" and answer.get("ETag"):
            answer.set("ETag", f'"{self.rng.randbytes(8).hex()}"')
        else:
            return None
        self.count[fault] += 1
        return fault


async def _body(reader: asyncio.StreamReader, message: Message) -> bytes:
    """The body of a request, as it is on the wire."""
    if "chunked" in (message.get("Transfer-Encoding") or "").lower():
        parts: list[bytes] = []
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if not size:
                return b"".join([*parts, line, await reader.readuntil(b"\r\n")])
            parts += [line, await reader.readexactly(size + 2)]
    return await reader.readexactly(int(message.get("Content-Length") or 0))


class TCPProxy(Proxy):
    """In front of any server: what befalls is each piece of what it sends."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await self.connect()
        up = asyncio.ensure_future(_copy(reader, before))
        try:
            while data := await behind.read(2**16):
                if not await self.piece(writer, data, self.draw()):
                    return
        finally:
            up.cancel()
            before.close()

    async def piece(self, writer: asyncio.StreamWriter, data: bytes, fault: str | None) -> bool:
        """Pass a piece on; whether the connection goes on."""
        if fault:
            self.count[fault] += 1
        await self.pause(fault)
        if fault in ("reset", "cut", "broken"):
            writer.write(data[: self.rng.randrange(len(data))])
            await writer.drain()
            if fault != "cut":
                await asyncio.sleep(0.02)
                writer.transport.abort()
            return False
        if fault == "flipped bit":
            at = self.rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1 :]
        elif fault == "garbage":
            data = self.rng.randbytes(20).replace(b"\n", b"?") + b"\r\n"
        elif fault == "busy":
            data = b"421 too many connections\r\n"
        writer.write(data)
        await writer.drain()
        return True


class FTPProxy(TCPProxy):
    """In front of an FTP server: passive data connections come through it as well."""

    PASSIVE = re.compile(rb"227 [^(]*\(127,0,0,1,(\d+),(\d+)\)")
    EXTENDED = re.compile(rb"229 [^(]*\(\|\|\|(\d+)\|\)")

    async def piece(self, writer: asyncio.StreamWriter, data: bytes, fault: str | None) -> bool:
        if match := self.PASSIVE.match(data):
            port = await self.data_listener(int(match[1]) * 256 + int(match[2]), writer)
            data = b"227 Entering passive mode (127,0,0,1,%d,%d).\r\n" % divmod(port, 256)
        elif match := self.EXTENDED.match(data):
            port = await self.data_listener(int(match[1]), writer)
            data = b"229 Entering extended passive mode (|||%d|).\r\n" % port
        return await super().piece(writer, data, fault)

    async def data_listener(self, behind_port: int, control: asyncio.StreamWriter) -> int:
        """A port for one data connection."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.close()
            self.tasks.add(asyncio.current_task())
            try:
                with suppress(*CLOSED):
                    await self.data(reader, writer, behind_port, control)
            finally:
                writer.close()
                self.tasks.discard(asyncio.current_task())

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        asyncio.get_running_loop().call_later(20, server.close)
        number: int = server.sockets[0].getsockname()[1]
        return number

    async def data(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        control: asyncio.StreamWriter,
    ) -> None:
        """Pass on what is sent in either direction.

        An upload breaks together with its control connection: the server takes a broken
        data connection for the end of the data, as the protocol has it, and says that all is well.
        """
        behind, before = await self.connect(port)
        fault = self.draw(DATA)
        if fault:
            self.count[f"data {fault}"] += 1
        await self.pause(fault)
        # of a listing without a line, which says nothing of its length, nobody could tell
        limit = self.rng.choice([100, 20_000, 200_000]) if fault in ("cut", "broken") else None

        async def down() -> None:
            passed = 0
            while data := await behind.read(2**16):
                data = data if limit is None else data[: max(0, limit - passed)]
                passed += len(data)
                writer.write(data)
                await writer.drain()
                if limit is not None and passed >= limit:
                    break
            if fault == "broken":
                writer.transport.abort()
            else:
                writer.write_eof()

        async def up() -> None:
            passed = 0
            while data := await reader.read(2**16):
                passed += len(data)
                if limit is not None and passed > limit:
                    for each in (control, before, writer):
                        each.transport.abort()
                    return
                before.write(data)
                await before.drain()
            before.write_eof()

        try:
            await asyncio.gather(down(), up())
        finally:
            before.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(*CLOSED):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
