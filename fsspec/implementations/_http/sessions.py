"""The sessions of aiohttp that an instance makes: one on its loop, and one on each other loop that awaits it.

A session is made when it is first needed, and closed when its instance is collected. A forked child makes its
own: the parent's is neither used nor closed there, but its cookies and headers are taken over.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp

from fsspec._fork import connecting, hooks
from fsspec._fork.owned import finalize
from fsspec._loop.forking import note_foreign
from fsspec.asyn import AsyncFileSystem, sync
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations._http.options import check_options

if TYPE_CHECKING:
    from aiohttp.abc import AbstractCookieJar
    from multidict import CIMultiDict

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
    # no loop to await on: the first step is what closes the connections
    ending = session.close()
    with suppress(StopIteration, RuntimeError):
        ending.send(None)
    ending.close()


class SessionOwner(AsyncFileSystem):
    """The part of the awaitable filesystem that makes and ends sessions."""

    get_client: Callable[..., Awaitable[aiohttp.ClientSession]]
    _session_options: dict[str, Any]

    def _begin_without_sessions(self) -> None:
        self._parent_login: tuple[AbstractCookieJar, CIMultiDict[str]] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._session_loop: asyncio.AbstractEventLoop | None = None
        self._end_session: Callable[[], Any] | None = None
        self._sessions_elsewhere: dict[
            asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, Callable[[], Any]]
        ] = {}

    def _revive(self, before: dict[str, Any]) -> None:
        super()._revive(before)
        inherited = before.get("_session")
        self._parent_login = before.get("_parent_login")
        if isinstance(inherited, aiohttp.ClientSession):  # the program may have logged in
            self._parent_login = inherited.cookie_jar, inherited.headers.copy()
        if self._parent_login is not None and self.get_client is get_client:
            self._session_options = {**self._session_options, "headers": self._parent_login[1]}

    async def _make_session(self, loop: asyncio.AbstractEventLoop | None) -> aiohttp.ClientSession:
        try:
            made = await self.get_client(loop=loop, **self._session_options)
        except TypeError as error:
            if self.get_client is not get_client:
                raise
            check_options(error, aiohttp.ClientSession, self._session_options, type(self))
            raise
        if self._parent_login is not None and isinstance(made, aiohttp.ClientSession):
            jar, _ = self._parent_login
            made._cookie_jar = jar  # whatever jar a ``get_client`` of the program's has made
        return made

    @property
    def _at_once(self) -> int | None:
        """How many requests of a batch are made at a time, at most: others would wait for a connection."""
        connector = self._session.connector if self._session is not None else None
        return connector.limit if connector is not None else None

    async def set_session(self) -> aiohttp.ClientSession:
        """The session of the running loop, made now if there is none or it was closed.

        Returns
        -------
        aiohttp.ClientSession
            closed with the instance; of one that was made with ``asynchronous=True`` by the program

        Raises
        ------
        RuntimeError
            if an instance made with ``asynchronous=True`` has a session on another loop
        """
        hooks.check()  # the first place that an awaited call comes to, should a C library have forked
        session, on = self._session, self._session_loop
        if session is not None and not session.closed and (on is None or not on.is_closed()):
            if on is not None and on is not asyncio.get_running_loop():
                if not self.asynchronous:
                    return await self._session_elsewhere()
                raise RuntimeError(
                    f"the connections of this {type(self).__name__} belong to another event loop, where it "
                    "was used first; to await it here make another instance on this loop, with "
                    "asynchronous=True"
                )
            return session
        made = await self._make_session(self.loop)
        if self._session is not session:  # another task was faster
            await made.close()
            return await self.set_session()
        if self._end_session is not None:  # of a loop that was closed
            self._end_session()
        elif session is not None:  # likewise: its end can no longer be awaited
            self.close_session(None, session)
        self._session = made
        self._session_loop = asyncio.get_running_loop()
        if not self.asynchronous:
            self._end_session = finalize(self, self.close_session, self._session_loop, made)
        return made

    async def _session_elsewhere(self) -> aiohttp.ClientSession:
        """A session for the running loop, if that of the instance belongs to another loop (zarr's, or
        ours)."""
        running = asyncio.get_running_loop()
        for other in [loop for loop in self._sessions_elsewhere if loop.is_closed()]:
            self._sessions_elsewhere.pop(other)[1]()
        found = self._sessions_elsewhere.get(running)
        if found is not None and not found[0].closed:
            return found[0]
        made = await self._make_session(running)
        if self._sessions_elsewhere.get(running) is not found:  # another task was faster
            await made.close()
            return await self._session_elsewhere()
        note_foreign(running)
        self._sessions_elsewhere[running] = made, finalize(self, self.close_session, running, made)
        return made

    close_session: Callable[[asyncio.AbstractEventLoop | None, aiohttp.ClientSession], None] = staticmethod(
        close_session
    )
