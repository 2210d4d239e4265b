"""Cutting a forked child's copy of an event loop off from all that the parent uses.

Three kinds of loop can be inherited:

ours (`fsspec._loop.io_thread.IOLoop`)
    has a selector of ours, which records each descriptor.  The child *abandons* it: each of
    its descriptors is closed or covered (an epoll instance is shared across a fork, and
    closing an inherited transport would unregister the parent's socket), ``is_closed`` is
    True, and all objects of the loop are kept alive, even beyond the end of the interpreter,
    so that no ``finally`` of the parent's tasks runs in the child.
a selector loop of the program that our instances may live on (zarr's, ``asyncio.run``)
    keeps working in the child: its epoll and wake-up pair are *unshared*, as
    libevent's ``event_reinit`` does, and connections of HTTP clients on it are covered,
    including those being established, see `fsspec._fork.connecting`.
uvloop's
    has its epoll unshared likewise, and is kept referenced (`fsspec._loop.uvloops`).
any other
    cannot be handled; our objects on it are kept alive.

A descriptor is closed or covered only if it still is what it was at the fork: a hook of the
program may have closed it in the child, and its number may have been reused.

All functions but `descriptors` run in the child, on its only thread.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import socket
import sys
import threading
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from fsspec._fork import connecting, hooks
from fsspec._fork.sockets import DeadSocket, leads_to, unchanged
from fsspec._fork.variants import Variant, assign, is_variant, variant
from fsspec._loop import uvloops

if TYPE_CHECKING:
    from collections.abc import Coroutine


_TASKS = [
    vars(asyncio.tasks)[name]
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    if name in vars(asyncio.tasks)
]


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def _return_false(*_: Any, **__: Any) -> bool:
    return False


def _dropped(loop: Any, *_: Any, **__: Any) -> asyncio.Handle:
    handle = asyncio.Handle(_do_nothing, (), loop)
    handle.cancel()
    return handle


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(_GONE)


class _Abandoned(Variant):
    """The class of an abandoned loop: it counts as closed, and drops what is scheduled on it.

    Finalizers of backends ask ``is_running`` and ``is_closed``, and take the path for a closed
    loop; some schedule callbacks all the same.
    """

    __slots__ = ()

    close = stop = call_exception_handler = _timer_handle_cancelled = _write_to_self = __del__ = _do_nothing
    is_running = _remove_reader = _remove_writer = _return_false
    call_soon = _add_reader = _add_writer = _dropped
    call_soon_threadsafe = run_forever = _refuse

    def is_closed(self) -> bool:
        return True

    def call_at(self, when: float, *_: Any, **__: Any) -> asyncio.TimerHandle:
        # it uses little of a loop
        handle = asyncio.TimerHandle(when, _do_nothing, (), self)  # type: ignore[arg-type]
        handle.cancel()
        return handle

    def create_task(self, coro: Coroutine[Any, Any, object], **kwargs: Any) -> NoReturn:
        coro.close()
        raise RuntimeError(_GONE)


_GONE = "this event loop belongs to the process that this one was forked from"


def abandoned_class(cls: type) -> type[Any]:
    return variant(cls, _Abandoned)


def is_abandoned(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether ``loop`` was inherited and can never run in this process."""
    return is_variant(type(loop), _Abandoned)


def _http_client(transport: Any) -> bool:
    """Whether a transport on a loop of the program may belong to an HTTP client."""
    return type(transport.get_protocol()).__module__.startswith(("aiohttp.client", "asyncio.sslproto"))


def _release(sock: socket.socket | None) -> None:
    """Close this process's descriptor of a socket; closing the object later has no effect."""
    if sock is not None:
        fd = sock.detach()
        if unchanged(fd):
            os.close(fd)


def _is_closing(transport: Any) -> bool:
    """Whether a transport's socket is closed or closing, so that its number may be reused."""
    return getattr(transport, "_sock", None) is None or transport._sock.fileno() < 0


def _release_closing(transport: Any) -> None:
    """Close a descriptor that a thread of the parent was about to close at the fork.

    A socket object forgets its descriptor before the system call that closes it. A fork between the
    two leaves the connection open in the child, and the server would not see the parent's close.
    The number may have been reused, so the connection is identified by its two addresses.
    """
    ends = transport._extra.get("sockname"), transport._extra.get("peername")
    try:
        sock = socket.socket(fileno=transport._sock_fd)
    except OSError:
        return  # closed
    try:
        same = (sock.getsockname(), sock.getpeername()) == ends
    except OSError:
        same = False
    if same:
        sock.close()
    else:
        sock.detach()


def _tasks(other: asyncio.AbstractEventLoop) -> set[asyncio.Task[Any]]:
    """The tasks of a loop; a cheaper check comes first for loops without tasks."""
    if sys.version_info < (3, 14):
        for one in _TASKS:
            if getattr(one, "data", one):
                return asyncio.all_tasks(other)
        return set()
    return asyncio.all_tasks(other)


def uvloops_with_tasks() -> Iterator[asyncio.AbstractEventLoop]:
    """Loops of uvloop with tasks, which no frame exposes: of all threads; from Python 3.14 on of this one."""
    running = asyncio._get_running_loop()
    if running is not None and uvloops.is_uvloop(running):
        yield running
    if "uvloop" in sys.modules and sys.version_info < (3, 14):
        for tasks in _TASKS:
            with suppress(RuntimeError):  # another thread is adding a task
                yield from filter(uvloops.is_uvloop, [task.get_loop() for task in tasks])


def _transports(other: Any) -> list[Any]:
    return [found for ref in other._transports.valuerefs() if (found := ref()) is not None]


def _watched(other: Any) -> Mapping[int, selectors.SelectorKey]:
    """The registrations of a loop's selector, by descriptor."""
    selector = other._selector  # None if a thread of the parent was closing the loop
    known = getattr(selector, "_fd_to_key", None)  # as get_map(), which allocates more memory
    if selector is not None and known is None:
        known = {key.fd: key for key in selector.get_map().values()}
    return known or {}


def _registered(other: Any) -> list[int]:
    """The descriptors registered with a loop of ours.

    Without those that were closed without being unregistered, whose numbers may have been reused: by an
    instance that is awaited on a loop other than its own.
    """
    return [fd for fd, registered in list(other.selector.identities.items()) if leads_to(fd, registered)]


def _close_selector(epoll: Any) -> None:
    try:
        fd = epoll.fileno()
    except ValueError:  # a thread of the parent has closed it
        return
    if unchanged(fd):
        epoll.close()
    else:
        hooks.immortalize(epoll)  # its finalizer would close the number


def descriptors(other: asyncio.AbstractEventLoop) -> Iterator[int]:
    """The descriptors that a child is to close or cover for a loop; called before a fork."""
    if uvloops.is_uvloop(other):
        yield from uvloops.descriptors(other)
    if not isinstance(other, BaseSelectorEventLoop):
        return
    loop: Any = other
    for one in (loop._ssock, loop._csock, getattr(loop._selector, "_selector", None)):
        with suppress(ValueError, AttributeError):  # closed; or no epoll
            yield one.fileno()  # type: ignore[union-attr]  # None is suppressed
    for sock in getattr(other, "connecting", hooks.Registry()).live():
        yield sock.fileno()
    transports = {transport._sock_fd for transport in _transports(other)}
    yield from transports
    for fd in list(_watched(other)):
        if fd not in transports:
            yield fd


def abandon(other: Any, dead: DeadSocket, everything: bool = True) -> None:
    """Abandon a loop that can never run in this process.

    ``everything``: the loop is ours, and all its descriptors are closed or covered.  Otherwise only those of
        asyncio itself and of HTTP clients.
    """
    hooks.immortalize([other, _tasks(other), list(other._ready)])
    released = {sock.fileno() for sock in (other._ssock, other._csock) if sock is not None}
    for transport in _transports(other):
        if everything or _http_client(transport):
            released.add(transport._sock_fd)
            if _is_closing(transport):
                _release_closing(transport)
            else:
                _release(transport._sock)
    if everything:
        for sock in other.connecting.live():
            if sock.fileno() >= 0:  # it has no transport yet
                released.add(sock.fileno())
                _release(sock)
        for fd in _registered(other):
            if fd not in released and unchanged(fd):
                dead.cover(fd)  # no object is known that owns it: the number stays open
    else:
        for sock in connecting.waiting_sockets(other):
            _release(sock)
    _release(other._ssock)
    _release(other._csock)
    epoll = getattr(other._selector, "_selector", None)
    if hasattr(epoll, "close"):
        _close_selector(epoll)
    here = other._thread_id == threading.get_ident()
    assign(other, abandoned_class(type(other)))
    if here:
        # forked by a callback of the loop, which returns into it: end the run there
        other._stopping = True
        for position in range(len(other._ready)):
            other._ready[position] = _dropped(other)
        if asyncio._get_running_loop() is other:  # else a thread that the child began has the same number
            asyncio._set_running_loop(None)


def unshare(other: Any, dead: DeadSocket) -> None:
    """Give a loop that the child may use new descriptors; abandon it if none are available."""
    try:
        mine, theirs = socket.socketpair()
    except OSError:
        abandon(other, dead, everything=False)
        return
    clients = [t for t in _transports(other) if _http_client(t)]
    hooks.immortalize(clients)
    waiting = [sock.fileno() for sock in connecting.waiting_sockets(other)]
    for transport in clients:
        if _is_closing(transport):
            _release_closing(transport)
        else:
            waiting.append(transport._sock.fileno())
    for fd in waiting:
        if unchanged(fd):
            dead.cover(fd)
    with mine, theirs:
        for fresh, old in ((mine, other._ssock), (theirs, other._csock)):
            if unchanged(old.fileno()):
                os.dup2(fresh.fileno(), old.fileno(), inheritable=False)
                os.set_blocking(old.fileno(), False)
    old_epoll = getattr(other._selector, "_selector", None)
    if not hasattr(select, "epoll") or not isinstance(old_epoll, select.epoll):
        return  # kqueue is not inherited; poll and select share nothing
    with select.epoll() as epoll:
        for key in list(_watched(other).values()):
            mask = (select.EPOLLIN if key.events & selectors.EVENT_READ else 0) | (
                select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            )
            with suppress(OSError):
                epoll.register(key.fd, mask)
        if unchanged(old_epoll.fileno()):
            os.dup2(epoll.fileno(), old_epoll.fileno(), inheritable=False)
