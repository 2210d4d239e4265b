"""A relay that stops a connection at a stage of the program's choosing.

It listens in a thread of the test; the program under test is another process, which says
through a second port when to go on.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any


class HoldingRelay:
    """In front of a server, as a context manager.

    Parameters
    ----------
    target
        ``scheme://host:port`` of the server.
    after
        how many bytes from the server pass before the rest is held back; -1: nothing is
        held, None: the connection itself is not accepted.

    Attributes
    ----------
    url
        its own address, to be used in place of the target.
    control
        port: connecting to it and sending ``?`` is answered when something is held back,
        ``!`` lets everything go.
    """

    def __init__(self, target: str, after: int | None) -> None:
        self.scheme, _, place = target.partition("://")
        host, _, port = place.partition(":")
        self.target = host, int(port)
        self.after = after

    def __enter__(self) -> HoldingRelay:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _start(self) -> None:
        self.held, self.go = asyncio.Event(), asyncio.Event()
        self.servers: list[Any] = [await asyncio.start_server(self._command, "127.0.0.1", 0)]
        self.control = self.servers[0].sockets[0].getsockname()[1]
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0 if self.after is None else 50)
        self.url = f"{self.scheme}://127.0.0.1:{self.listener.getsockname()[1]}"
        self.writers: list[asyncio.StreamWriter] = []
        self.crowd: list[socket.socket] = []
        if self.after is None:
            for _ in range(4):  # who comes now finds the queue full, and the kernel tries again later
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(self.listener.getsockname())
                self.crowd.append(one)
            await asyncio.sleep(0.05)
            self.held.set()
        else:
            self.servers.append(await asyncio.start_server(self._pass, sock=self.listener))

    async def _stop(self) -> None:
        for server in self.servers:
            server.close()
        for one in self.crowd:
            one.close()
        self.listener.close()
        self.held.set()
        self.go.set()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.gather(*(t for t in asyncio.all_tasks() if t is not asyncio.current_task()))

    async def _command(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        if await reader.read(1) == b"?":
            await self.held.wait()
        elif not self.go.is_set():
            self.go.set()
            if self.after is None:
                for one in self.crowd:
                    one.close()
                self.servers.append(await asyncio.start_server(self._pass, sock=self.listener))
        writer.write(b".")
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_connection(*self.target)
        self.writers += [writer, before]

        async def up() -> None:
            with suppress(ConnectionError):
                while data := await reader.read(2**16):
                    before.write(data)
            before.close()

        async def down() -> None:
            passed = 0
            with suppress(ConnectionError):
                while data := await behind.read(2**12):
                    if self.after is not None and 0 <= self.after <= passed and not self.held.is_set():
                        self.held.set()  # only this one: others pass
                        await self.go.wait()
                    passed += len(data)
                    writer.write(data)
                    await writer.drain()
            writer.close()

        await asyncio.gather(up(), down())
