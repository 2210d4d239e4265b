"""Sockets of HTTP clients that no transport has yet, on loops that are not ours.

Those of our own clients are made by `create`, and known from then on.  Of other clients,
from when one makes a socket until its loop wraps it in a transport, only frames know it:
those of coroutines that wait in a task of the loop, or of the thread that runs one of
them at the moment.  What waits is read by the child (`waiting_sockets`).  What runs is read by the
parent just before the fork (`running_sockets`), for the frames of a thread are gone in the child.

A socket is taken for a client's where a frame of aiohttp lies above: the loop may have
connections of other libraries as well.
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
_BELOW = (*_CLIENT, "asyncio")  # whose frames have the sockets, under one of a client's


def create(info: tuple[Any, ...]) -> socket.socket:
    """The ``socket_factory`` of aiohttp's connectors, on whichever loop: no fork misses the socket."""
    family, kind, protocol, *_ = info
    with sockets.creation_lock:
        sock = socket.socket(family, kind, protocol)
        created.add(sock)
    return sock


def _sockets(frames: Iterable[Any]) -> Iterator[socket.socket]:
    """Those that frames, the outermost first, hold by a name or in a set with one."""
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


def _waiting_frames(coro: Any) -> Iterator[Any]:
    """The frames of a coroutine that is suspended, and of those that it awaits."""
    while coro is not None:
        if isinstance(coro, types.CoroutineType):
            frame, running, coro = coro.cr_frame, coro.cr_running, coro.cr_await
        elif isinstance(coro, types.AsyncGeneratorType):
            frame, running, coro = coro.ag_frame, coro.ag_running and coro.ag_await is None, coro.ag_await
        elif isinstance(coro, types.GeneratorType):
            frame, running, coro = coro.gi_frame, coro.gi_running, coro.gi_yieldfrom
        else:  # what __await__ and __anext__ give shows what it stands for only to the collector
            inner = (types.CoroutineType, types.AsyncGeneratorType, types.GeneratorType)
            coro = next((one for one in gc.get_referents(coro) if isinstance(one, inner)), None)
            continue
        if running or frame is None:
            return
        yield frame


def waiting_sockets(loop: Any) -> list[socket.socket]:
    """Sockets of clients in the tasks of a loop that wait for something."""
    if not any(name in sys.modules for name in _CLIENT):
        return []
    found: list[socket.socket] = []
    for task in asyncio.all_tasks(loop):
        found += _sockets(_waiting_frames(task.get_coro()))
    return found


def waiting_transports(loop: Any) -> set[int]:
    """Descriptors of clients' connections in the tasks of a loop that does not show its transports."""
    if "aiohttp" not in sys.modules:
        return set()
    frames = [frame for task in asyncio.all_tasks(loop) for frame in _waiting_frames(task.get_coro())]
    found: set[int] = set()
    for value in [value for frame in frames for value in list(frame.f_locals.values())]:
        if type(value).__module__.startswith("aiohttp."):
            # a connection, what parses its answers, and a body that is read know the transport
            for one in (value, getattr(value, "_protocol", None)):
                transport = getattr(one, "transport", None)
                sock = transport.get_extra_info("socket") if transport is not None else None
                if sock is not None:
                    found.add(sock.fileno())
    return found - {-1}


def running() -> Iterator[tuple[asyncio.AbstractEventLoop, list[Any]]]:
    """The asyncio loops that threads run at this moment, with the frames of what runs on each."""
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
    """Sockets that clients are using on the threads which run these loops, given by the loops' ids."""
    return [sock for loop, frames in running() if id(loop) in loops for sock in _sockets(frames)]
