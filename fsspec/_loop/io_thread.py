"""The event loop that fsspec owns, its thread, and what a fork does to loops.

Here lives everything that knows the inside of asyncio's selector loop.  Three kinds
of loop can be inherited by a forked child:

ours (`IOLoop`)
    made on a selector of ours, so that each descriptor it knows is known here.  The
    child *abandons* it: every such descriptor is covered with one that is dead (an
    epoll instance is shared by a fork, and closing an inherited transport would
    unregister the parent's socket), the loop answers that it is closed, and all it
    held is kept referenced, beyond the end of the interpreter too, so that no
    ``finally`` of the parent's tasks runs here.
somebody else's selector loop that our instances may live on (zarr's, ``asyncio.run``)
    keeps working in the child: its epoll and wake-up pair are *unshared*, as
    libevent's ``event_reinit`` does, and HTTP client connections on it are covered,
    those too that are only being made, see `fsspec._fork.connecting`.
any other (uvloop)
    cannot be reached; what is ours on it is kept referenced.

Before a fork our loops are brought to *rest* between two callbacks and their threads
joined, within a bound, so that the process forks without a lock of a C library held on
our behalf, and without a socket that is only being made and that nobody knows yet. That
is so in every mode: a child that is to be refused must not hang or hold a connection
either. After the fork the parent runs the same loops on.
A loop of somebody else's thread that our instances live on is *held* in a callback
meanwhile: OpenSSL's locks are as much in the child's way when taken by that thread.

Loops run on their own thread; everything else here runs on the forking thread, or on
the one that asks for the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # its hook of forks is to be registered before ours
import functools
import logging  # noqa: F401  # as above
import os
import select
import selectors
import socket
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

from fsspec._fork import connecting, hooks

REST_BOUND = 1.0
"""Seconds that a fork may be held up to bring the loops to rest.

It takes milliseconds, but for a callback that blocks and machines with more work than
processors: and there the longer bound is the lesser evil, for what forks in the middle of
OpenSSL has a child that hangs."""

_TASKS = [
    vars(asyncio.tasks)[name]
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks")
    if name in vars(asyncio.tasks)
]
_TURN = 0.02  # seconds after which one that waits looks whether there is still something to wait for
_NOBODY = (0,)  # no thread has this number: all see a loop as running

loop: list[asyncio.AbstractEventLoop | None] = [None]
iothread: list[threading.Thread | None] = [None]
"""The loop and thread in use.  Programs read these, and put None there to have new ones."""

_io_threads: list[IOThread] = []
_resting: list[IOThread] = []
_held: list[_Hold] = []
_fork_lock = threading.RLock()  # one fork at a time rests and wakes the loops
_queued: set[int] = set()  # threads that wait for it: they hold nothing of a C library
_foreign: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_foreign_at_fork: list[asyncio.AbstractEventLoop] = []
_at_work: list[socket.socket] = []  # sockets that other threads were about to connect at the fork

try:  # what hooks.immortalize needs, loaded where no fork is waiting for it
    import ctypes

    ctypes.pythonapi.Py_IncRef  # remembered there once it was looked up
except ImportError:
    pass


class IOLoop(asyncio.SelectorEventLoop):
    """A selector loop that remembers the sockets made for it."""

    resting: tuple[int | None, ...] = ()  # threads that see it at rest for a fork, or not yet begun
    stopped = False  # by a program: then nothing makes it run on

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self.generation = hooks.generation
        self._connecting: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def is_running(self) -> bool:
        """Whether what is asked of it will be done: at rest for a fork, or about to run, it is delayed.

        But for the thread that forks, for which it waits, and its own.
        """
        if super().is_running():
            return True
        resting = self.resting
        if resting:
            return threading.get_ident() not in resting
        return super().is_running()  # the rest may have come to its end between the two

    def stop(self) -> None:
        """Stop for good, as a program asks for it."""
        self.stopped = True
        super().stop()

    def pause(self) -> None:
        """Stop until it is run again."""
        super().stop()

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        # between connecting and being wrapped in a transport nobody else knows it
        self._connecting.add(sock)
        await super().sock_connect(sock, address)


class _Abandoned:
    """What a loop becomes in a child where it can never run: closed, silent, deaf.

    Finalizers of backends ask ``is_running`` and ``is_closed`` and take the way of a
    loop that is gone; what they schedule all the same is dropped.  Mixed in front of
    the loop's own class, see `_abandoned_class`.
    """

    def is_running(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def __del__(self) -> None:
        pass

    def call_exception_handler(self, context: Any) -> None:
        pass

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return _dropped(self)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, _nothing, (), self)  # type: ignore[arg-type]
        handle.cancel()
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        raise RuntimeError(_GONE)

    def create_task(self, coro: Any, **kwargs: Any) -> Any:
        coro.close()
        raise RuntimeError(_GONE)

    def run_forever(self) -> None:
        raise RuntimeError(_GONE)

    def _timer_handle_cancelled(self, handle: Any) -> None:
        pass

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return _dropped(self)

    def _add_writer(self, fd: Any, callback: Any, *args: Any) -> Any:
        return _dropped(self)

    def _remove_reader(self, fd: Any) -> bool:
        return False

    def _remove_writer(self, fd: Any) -> bool:
        return False

    def _write_to_self(self) -> None:
        pass


_GONE = "this event loop belongs to the process that this one was forked from"


@functools.lru_cache(maxsize=None)
def _abandoned_class(cls: Any) -> Any:
    return type("AbandonedLoop", (_Abandoned, cls), {})


def is_abandoned(loop: Any) -> bool:
    """Whether ``loop`` was inherited and can never run in this process."""
    return isinstance(loop, _Abandoned)


def _nothing() -> None:
    pass


def _dropped(loop: Any) -> asyncio.Handle:
    handle = asyncio.Handle(_nothing, (), loop)
    handle.cancel()
    return handle


class IOThread:
    """A loop and the thread that runs it, which may be replaced around a fork."""

    def __init__(self, name: str = "fsspecIO") -> None:
        self.name = name
        self.loop = IOLoop()
        self._lock = threading.Lock()
        self.thread = self._start()
        _io_threads.append(self)

    def _start(self) -> threading.Thread:
        self._wanted = self._stopping = self._ended = False
        self.loop.resting = _NOBODY
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            with self._lock:
                if not self._wanted:
                    self.loop.resting = (threading.get_ident(),)
            self.loop.call_soon(self._runs)
            self.loop.run_forever()
            with self._lock:
                if self.loop.stopped or self._wanted or not self._stopping:
                    self._ended = True  # by a program, or at rest
                    if self.loop.stopped:
                        self.loop.resting = ()
                    return
                self._stopping = False  # for a fork that did not wait for it

    # both run on the loop; one that comes late, the fork being over, must not count for the next
    def _runs(self) -> None:
        with self._lock:
            if not self._wanted:
                self.loop.resting = ()

    def _stop(self) -> None:
        with self._lock:
            if self._wanted:
                self._stopping = True
                self.loop.pause()

    def ask(self) -> bool:
        """Ask it to stop between two callbacks.

        Returns
        -------
        bool
            Whether that was possible, so that `rest` and `wake` have to follow.
        """
        if self.loop.is_closed() or self.thread is threading.current_thread() or not self.thread.is_alive():
            return False
        with self._lock:
            self._wanted = True
            # finalizers on other threads must not take it for gone, and end sessions without it
            self.loop.resting = (threading.get_ident(), self.thread.ident)
        with suppress(RuntimeError):  # closed since
            self.loop.call_soon_threadsafe(self._stop)
        return True

    def rest(self, deadline: float) -> None:
        """Wait until it has stopped, or ``deadline``."""
        while self.thread.is_alive() and self.thread.ident not in _queued and time.monotonic() < deadline:
            self.thread.join(min(_TURN, max(0.0, deadline - time.monotonic())))
        if not self.thread.is_alive() and _join(self.thread, deadline):
            self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        """Let go of the threads that resolve names; the loop makes others when it needs them."""
        executor = self.loop._default_executor  # type: ignore[attr-defined]
        if executor is None:
            return
        self.loop._default_executor = None  # type: ignore[attr-defined]
        executor.shutdown(wait=False)  # what is queued is still worked off
        for helper in list(executor._threads):
            if not _join(helper, deadline):
                break

    def wake(self) -> None:
        """Run on, on a new thread if the old one ended at rest."""
        previous = self.thread
        with self._lock:
            self._wanted = False
            if not self._ended or self.loop.stopped or self.loop.is_closed():
                # the bound had passed, and it goes on by itself; or a program stopped it meanwhile
                self.loop.resting = (previous.ident,) if self._stopping and not self._ended else ()
                return
            self.loop.resting = _NOBODY
        previous.join()
        self.thread = self._start()
        if iothread[0] is previous:
            iothread[0] = self.thread


class _Hold:
    """Keeps somebody else's loop, running on another thread, in one callback."""

    def __init__(self, other: Any) -> None:
        self._other = other
        self._there = threading.Event()
        self._over = threading.Event()
        with suppress(RuntimeError):  # closed since
            other.call_soon_threadsafe(self._stay)

    def _stay(self) -> None:
        self._there.set()
        self._over.wait()

    def wait(self, deadline: float) -> None:
        """Until the loop is held, or it has stopped; it may be busy for longer than the fork can wait."""
        while not self._there.is_set() and time.monotonic() < deadline and self._other.is_running():
            if getattr(self._other, "_thread_id", None) in _queued:
                break
            self._there.wait(min(_TURN, max(0.0, deadline - time.monotonic())))

    def end(self) -> None:
        """Let the loop run on."""
        self._over.set()


def _elsewhere(other: asyncio.AbstractEventLoop) -> bool:
    """Whether another thread runs this loop at the moment."""
    return other.is_running() and getattr(other, "_thread_id", None) != threading.get_ident()


def _join(thread: threading.Thread, deadline: float) -> bool:
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        return False
    if thread.native_id is not None:
        # it has ended, and needs no more than its turn to leave: the bound is another
        hooks.wait_gone(thread.native_id, max(deadline, time.monotonic() + hooks.EXIT_WAIT))
    return True


def note_foreign(other: asyncio.AbstractEventLoop) -> None:
    """Remember that instances of ours live on somebody else's loop."""
    if not isinstance(other, IOLoop):
        with suppress(TypeError):
            _foreign.add(other)


# around a fork -----------------------------------------------------------------
def _before() -> None:
    # here, where what ends meanwhile can still use the loops
    awaited = any(getattr(fs, "asynchronous", False) for fs in hooks.registered())
    if not _fork_lock.acquire(blocking=False):
        me = threading.get_ident()
        _queued.add(me)
        try:
            _fork_lock.acquire()
        finally:
            _queued.discard(me)
    hooks.begin()
    found = {id(other): other for other in list(_foreign) if not other.is_closed()}
    if awaited:
        running = (other for other, _ in connecting.running())
        found.update((id(other), other) for other in running if not isinstance(other, IOLoop))
    _foreign_at_fork[:] = found.values()
    _abandoned_class(IOLoop)  # made once here, rather than in each child
    if _io_threads or found:
        deadline = time.monotonic() + REST_BOUND
        for other in found.values():
            if _elsewhere(other):
                _held.append(_Hold(other))
        for io in list(_io_threads):
            if io.ask():
                _resting.append(io)
        for io in _resting:
            io.rest(deadline)
        for hold in _held:
            hold.wait(deadline)
    elsewhere = {key for key, other in found.items() if _elsewhere(other)}
    if elsewhere:
        _at_work[:] = connecting.running_sockets(elsewhere)  # last: what is not held goes on meanwhile


def _in_parent() -> None:
    _foreign_at_fork.clear()
    _at_work.clear()
    for hold in _held:
        hold.end()
    for io in _resting:
        hooks.defer(io.wake)
    _held.clear()
    _resting.clear()
    _io_threads[:] = [io for io in _io_threads if not io.loop.is_closed()]
    hooks.end()
    _fork_lock.release()


def _in_child() -> None:
    global _fork_lock
    _fork_lock = threading.RLock()
    _queued.clear()
    # kept, for freeing them would write to more of the memory shared with the parent
    hooks.immortalize([*_io_threads, iothread[0]])
    inherited = [io.loop for io in _io_threads if not io.loop.is_closed()]
    foreign = list(_foreign_at_fork)
    for sock in _at_work:
        _release(sock)
    _at_work.clear()
    _io_threads.clear()
    _held.clear()
    _resting.clear()
    _foreign_at_fork.clear()
    if loop[0] is None or isinstance(loop[0], IOLoop):
        loop[0] = iothread[0] = None
    if not inherited and not foreign:
        return
    dead = _Dead()
    try:
        for ours in inherited:
            abandon(ours, dead, everything=True)
        for other in foreign:
            if not isinstance(other, asyncio.selector_events.BaseSelectorEventLoop) or other.is_closed():
                hooks.immortalize(other)
            elif other._thread_id in (None, threading.get_ident()):  # type: ignore[attr-defined]
                unshare(other, dead)
            else:
                abandon(other, dead, everything=False)
    finally:
        dead.close()


class _Dead:
    """A descriptor that reaches nobody, to cover inherited ones with; made when it is needed."""

    _socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def cover(self, fd: int) -> None:
        if self._socket is None:
            self._socket, peer = socket.socketpair()
            self._socket.setblocking(False)
            peer.close()
        if fd >= 0:
            with suppress(OSError):
                os.dup2(self._socket.fileno(), fd, inheritable=False)


def _http_client(transport: Any) -> bool:
    """Whether a transport of somebody else's loop may be one of our instances'."""
    return type(transport.get_protocol()).__module__.startswith(("aiohttp.client", "asyncio.sslproto"))


def _release(sock: socket.socket | None) -> None:
    """Close this process's descriptor of a socket whose object may be closed again later."""
    if sock is not None:
        fd = sock.detach()
        if fd >= 0:
            os.close(fd)


def _release_closing(transport: Any) -> None:
    """Close what a thread of the parent was about to close as the process forked.

    A socket forgets its descriptor before the kernel is asked to close it, and the fork may
    fall between the two; the server would not see the parent's close while the child lives.
    By now the number may be somebody else's, so the connection is told by its two ends.
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


def _tasks(other: Any) -> set[asyncio.Task[Any]]:
    """The tasks of a loop; that there are none can be seen with less."""
    if sys.version_info < (3, 14):
        for one in _TASKS:
            if getattr(one, "data", one):
                return asyncio.all_tasks(other)
        return set()
    return asyncio.all_tasks(other)


def _transports(other: Any) -> list[Any]:
    return [found for ref in other._transports.valuerefs() if (found := ref()) is not None]


def _watched(other: Any) -> list[selectors.SelectorKey]:
    selector = other._selector  # None where a thread of the parent was closing the loop
    known = getattr(selector, "_fd_to_key", None)  # what get_map() shows, and takes more memory for
    if selector is not None and known is None:
        known = selector.get_map()
    return list(known.values()) if known else []


def abandon(other: Any, dead: _Dead, *, everything: bool) -> None:
    """Cut off a loop that can never run here from all that the parent uses.

    Parameters
    ----------
    everything
        the loop is ours: no descriptor of it stays.  Otherwise those stay that are
        neither asyncio's own nor of an HTTP client.
    """
    hooks.immortalize([other, _tasks(other), list(other._ready)])
    released = {sock.fileno() for sock in (other._ssock, other._csock) if sock is not None}
    for transport in _transports(other):
        if everything or _http_client(transport):
            released.add(transport._sock_fd)
            if transport._sock is None or transport._sock.fileno() < 0:
                _release_closing(transport)
            else:
                _release(transport._sock)
    if everything:
        for sock in list(other._connecting):
            released.add(sock.fileno())
            _release(sock)
        for key in _watched(other):
            if key.fd not in released:
                dead.cover(key.fd)  # without an object of which we know: the number stays taken
    else:
        for sock in connecting.waiting_sockets(other):
            _release(sock)
    _release(other._ssock)
    _release(other._csock)
    epoll = getattr(other._selector, "_selector", None)
    if epoll is not None and hasattr(epoll, "close"):
        epoll.close()
    here = other._thread_id == threading.get_ident()
    other.__class__ = _abandoned_class(other.__class__)
    if here:
        # forked from one of its own callbacks, which will return into the loop: its run ends there
        other._stopping = True
        for position in range(len(other._ready)):
            other._ready[position] = _dropped(other)
        asyncio._set_running_loop(None)


def unshare(other: Any, dead: _Dead) -> None:
    """Give a loop that the child may go on with descriptors of its own."""
    clients = [t for t in _transports(other) if _http_client(t)]
    hooks.immortalize(clients)
    for fd in [t._sock_fd for t in clients] + [sock.fileno() for sock in connecting.waiting_sockets(other)]:
        dead.cover(fd)
    mine, theirs = socket.socketpair()
    with mine, theirs:
        for fresh, old in ((mine, other._ssock), (theirs, other._csock)):
            os.dup2(fresh.fileno(), old.fileno(), inheritable=False)
            os.set_blocking(old.fileno(), False)
    old_epoll = getattr(other._selector, "_selector", None)
    if not hasattr(select, "epoll") or not isinstance(old_epoll, select.epoll):
        return  # kqueue is not inherited; poll and select share nothing
    with select.epoll() as epoll:
        for key in _watched(other):
            mask = (select.EPOLLIN if key.events & selectors.EVENT_READ else 0) | (
                select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            )
            with suppress(OSError):
                epoll.register(key.fd, mask)
        os.dup2(epoll.fileno(), old_epoll.fileno(), inheritable=False)


hooks.at_fork(before=_before, parent=_in_parent, child=_in_child)
