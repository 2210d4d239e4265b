"""Sockets of HTTP clients that are connecting, and have no transport yet, on loops that are not ours.

Our own clients create sockets by `create`, which records them.  The sockets of other clients are
referenced only by frames until the loop wraps them in a transport: by those of suspended
coroutines in tasks of the loop, or of the thread that runs one.  Suspended frames are searched in
the child (`waiting_sockets`); running ones in the parent just before the fork
(`running_sockets`), since the child does not have the frames of other threads.

A socket counts as a client's if aiohttp is among the calling frames: a loop may have connections
of other libraries as well.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import types
from collections.abc import Container, Iterable, Iterator
from typing import Any

from fsspec._fork import hooks, sockets

created = hooks.Registry()
"""Sockets made by `create`."""

_CLIENT = ("aiohttp", "aiohappyeyeballs")
_BELOW = (*_CLIENT, "asyncio")  # modules whose frames hold the sockets, called by those of a client


def create(info: tuple[Any, ...]) -> socket.socket:
    """The ``socket_factory`` of our aiohttp connectors: creates a socket and records it."""
    family, kind, protocol, *_ = info
    with sockets.creation_lock:
        sock = socket.socket(family, kind, protocol)
        created.add(sock)
    return sock


def _sockets(frames: Iterable[Any]) -> Iterator[socket.socket]:
    """Sockets in local variables, or in sets that are local variables, of frames given outermost first."""
    within = False
    for frame in frames:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        within = within or package in _CLIENT
        if within and package in _BELOW:
            for value in list(frame.f_locals.values()):
                if isinstance(value, socket.socket):
                    yield value
                elif isinstance(value, set):
                    yield from (one for one in value if isinstance(one, socket.socket))


def _waiting_frames(coro: object) -> Iterator[Any]:
    """The frames of a coroutine that is suspended, and of those that it awaits."""
    while coro is not None:
        if isinstance(coro, types.CoroutineType):
            frame, running, coro = coro.cr_frame, coro.cr_running, coro.cr_await
        elif isinstance(coro, types.AsyncGeneratorType):
            frame, running, coro = coro.ag_frame, coro.ag_running and coro.ag_await is None, coro.ag_await
        elif isinstance(coro, types.GeneratorType):
            frame, running, coro = coro.gi_frame, coro.gi_running, coro.gi_yieldfrom
        else:  # the iterators of __await__ and __anext__ expose their coroutine only to the garbage collector
            inner = (types.CoroutineType, types.AsyncGeneratorType, types.GeneratorType)
            coro = next((one for one in gc.get_referents(coro) if isinstance(one, inner)), None)
            continue
        if running or frame is None:
            return
        yield frame


def waiting_sockets(loop: Any) -> list[socket.socket]:
    """Sockets of clients in the suspended tasks of a loop."""
    if not any(name in sys.modules for name in _CLIENT):
        return []
    found: list[socket.socket] = []
    for task in asyncio.all_tasks(loop):
        found += _sockets(_waiting_frames(task.get_coro()))
    return found


def waiting_transports(loop: Any) -> set[int]:
    """Descriptors of clients' transports in the suspended tasks of a loop that does not expose them."""
    if "aiohttp" not in sys.modules:
        return set()
    frames = [frame for task in asyncio.all_tasks(loop) for frame in _waiting_frames(task.get_coro())]
    found: set[int] = set()
    for value in [value for frame in frames for value in list(frame.f_locals.values())]:
        if type(value).__module__.startswith("aiohttp."):
            # connections, response parsers and bodies being read refer to the transport
            for one in (value, getattr(value, "_protocol", None)):
                transport = getattr(one, "transport", None)
                sock = transport.get_extra_info("socket") if transport is not None else None
                if sock is not None:
                    found.add(sock.fileno())
    return found - {-1}


def running() -> Iterator[tuple[asyncio.AbstractEventLoop, list[Any]]]:
    """The asyncio loops that threads are running, each with the frames of its thread."""
    code = asyncio.BaseEventLoop.run_forever.__code__
    for frame in sys._current_frames().values():
        inner: list[Any] = []
        current: Any = frame
        while current is not None and len(inner) < 200:
            if current.f_code is code:
                yield current.f_locals["self"], inner[::-1]
                break
            inner.append(current)
            current = current.f_back


def running_sockets(loops: Container[int]) -> list[socket.socket]:
    """Sockets of clients on the threads that run the loops with these ids."""
    return [sock for loop, frames in running() if id(loop) in loops for sock in _sockets(frames)]
