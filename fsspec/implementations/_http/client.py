"""The session of aiohttp that a filesystem has: how it is made and how it is closed."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import Any

import aiohttp

from fsspec._fork import connecting
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

CLOSING = 1.0
"""Seconds that closing a session may take."""
_SOCKETS_CAN_BE_MADE = "socket_factory" in inspect.signature(aiohttp.TCPConnector).parameters  # from 3.12 on
_closing: set[asyncio.Task[None]] = set()


async def get_client(**kwargs: Any) -> aiohttp.ClientSession:
    """A session on the running loop, with options of `aiohttp.ClientSession`."""
    kwargs.pop("loop", None)  # it is the running one
    if _SOCKETS_CAN_BE_MADE and kwargs.get("connector") is None and "ssl_shutdown_timeout" not in kwargs:
        kwargs["connector"] = aiohttp.TCPConnector(socket_factory=connecting.create)
    return aiohttp.ClientSession(**kwargs)


def close_session(loop: asyncio.AbstractEventLoop | None, session: aiohttp.ClientSession) -> None:
    """Close a session, within a bound of time, from wherever its instance came to its end."""
    if session.closed:
        return
    if loop is not None and loop.is_running() and not loop.is_closed():
        if asyncio._get_running_loop() is loop:
            task = loop.create_task(session.close())
            _closing.add(task)
            task.add_done_callback(_closing.discard)
            return
        with suppress(RuntimeError):
            with suppress(FSTimeoutError):  # on a busy loop it is closed when its turn comes
                sync(loop, session.close, timeout=CLOSING)
            return
    # no loop is there to await on: the first step is what closes the connections
    ending = session.close()
    with suppress(StopIteration, RuntimeError):
        ending.send(None)
    ending.close()
