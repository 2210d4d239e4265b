"""The event loop that fsspec owns, and its thread.

Each loop runs on a thread of its own.  Its methods are called by the thread that asks for the loop, or by
the forking thread: it stops the loop between two callbacks so that the process may fork
(`fsspec._loop.forking`), may run it meanwhile, and resumes it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextvars
import functools
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec._fork import hooks, instances, signals
from fsspec._fork.owned import own
from fsspec._fork.sockets import Identity, identity

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

REST_BOUND = 1.0
"""Seconds for which a fork may wait until the loops are at rest.

It takes milliseconds, except if a callback blocks or the processors are overloaded.  There a
long wait is better than a fork while OpenSSL holds a lock, whose child hangs.  `hooks.EXIT_WAIT`
is added for threads that have finished to exit."""

RECEIVED = 2**17 - 2**8
"""Bytes received from a socket at a time. asyncio's default is twice that: but memory of 128 KiB or more is
mapped for each call anew, up to a fifth of the cost of a request."""

_EXECUTORS = concurrent.futures.thread._global_shutdown_lock  # held around a fork
_COUNTED = sys.version_info >= (3, 12)  # a fork with more than one thread is warned of
_POLL_INTERVAL = 0.02  # seconds between two looks at whether a wait is still of use
_NO_THREAD = (0,)  # no thread id: to all threads the loop is running

loop: list[asyncio.AbstractEventLoop | None] = [None]
iothread: list[threading.Thread | None] = [None]
"""The loop and thread in use.  Programs read these, and set None to get new ones."""

_io_threads: list[IOThread] = []
_queued: set[int] = set()  # threads that wait for the fork lock, and so hold no lock of a C library

hooks.prepare_to_immortalize()  # at import, rather than during a fork


class _Selector(selectors.DefaultSelector):
    """A selector that knows whether its loop is idle between two callbacks, and can keep it idle.

    It relies on the interpreter's lock: a thread that sets ``pause_lock`` and then finds ``idle`` true can be
    sure of it, since the loop sets ``idle`` to False before it reads ``pause_lock``.
    """

    idle = False
    pause_lock: Any = None  # held while the loop is to stay idle

    def __init__(self) -> None:
        super().__init__()
        self.identities: dict[int, Identity] = {}  # of each descriptor, as it was registered

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self.identities[key.fd] = identity(key.fd)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self.identities.pop(key.fd, None)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.idle = True
        try:
            found = super().select(timeout)
        finally:
            self.idle = False
        while (pause_lock := self.pause_lock) is not None:
            self.idle = True
            with pause_lock:
                pass
            self.idle = False
        return found


_RESOLVERS = socket.getaddrinfo, socket.getnameinfo


class IOLoop(asyncio.SelectorEventLoop):
    """A selector loop that remembers the sockets made for it."""

    resting: tuple[int | None, ...] = ()  # threads to which it is not running
    _closed = True  # until constructed, which an interrupt may prevent
    stopped = False  # by a program: then it is never resumed
    _default_executor: concurrent.futures.ThreadPoolExecutor | None  # asyncio's own
    waker: Callable[[], None] | None = None  # while no thread runs it: called when a callback is scheduled

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)
        own(self)
        self.connecting = hooks.Registry()

    def _make_socket_transport(self, *args: Any, **kwargs: Any) -> Any:
        made = super()._make_socket_transport(*args, **kwargs)  # type: ignore[misc]  # asyncio's own
        made.max_size = RECEIVED
        return made

    def is_running(self) -> bool:
        """Whether scheduled callbacks will run; true also at rest for a fork, which only delays them.

        Not for the forking thread, which would wait for itself, nor for the loop's own.
        """
        if super().is_running():
            return True
        resting = self.resting
        if resting:
            return threading.get_ident() not in resting
        return super().is_running()  # it may have been resumed in between

    def stop(self) -> None:
        """Stop for good, as asked by a program."""
        self.stopped = True
        super().stop()

    def pause(self) -> None:
        """Stop until it is run again."""
        super().stop()

    def call_soon_threadsafe(  # type: ignore[override]  # typeshed has type variables for the arguments
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; also resumes a loop at rest."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if self.waker is not None:
            self.waker()
        return handle

    def run_in_executor(  # type: ignore[override]  # as above
        self, executor: concurrent.futures.Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As asyncio's; while a fork blocks executors ``func`` is called on this thread."""
        if instances.reviving:  # coroutines of a revival are let use the instance, a helper thread is not
            func = functools.partial(contextvars.copy_context().run, func)
        within = hooks.forking or hooks.early
        if executor is not None:
            with signals.unblocked():  # threads and processes that it starts inherit what is blocked
                return super().run_in_executor(executor, func, *args)
        if not within or not _EXECUTORS.locked():
            if self._default_executor is None:  # as asyncio makes it, with its threads marked
                self._default_executor = concurrent.futures.ThreadPoolExecutor(
                    thread_name_prefix="asyncio", initializer=signals.mark
                )
            if func not in _RESOLVERS:  # a program's, which may start threads and processes, too
                func = functools.partial(signals.call_unblocked, func)
            return super().run_in_executor(None, func, *args)
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # what an executor would set on the future
            future.set_exception(error)
        return future

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any:
        make = super()._make_subprocess_transport  # type: ignore[misc]  # asyncio's own
        with signals.unblocked():
            return await make(*args, **kwargs)

    async def sock_connect(
        self, sock: socket.socket, address: tuple[Any, ...] | str | ReadableBuffer
    ) -> None:
        # until a transport wraps it only this record refers to it
        self.connecting.add(sock)
        await super().sock_connect(sock, address)


class IOThread:
    """A loop and the thread that runs it, which may be replaced around a fork."""

    name = "fsspecIO"

    def __init__(self) -> None:
        self.loop = IOLoop()
        # re-entrant: a signal handler may fork on a thread that holds them
        self._lock = threading.RLock()
        self._waking = threading.RLock()
        self._is_sleeping = self._here = False
        try:
            self.thread = self._start()
        except RuntimeError:  # the process may have no more threads
            self.loop.resting = ()
            self.loop.close()
            raise
        _io_threads.append(self)

    def _start(self) -> threading.Thread:
        self._wanted = self._stopping = self._ended = False
        self.loop.resting = _NO_THREAD
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        signals.start(thread)
        return thread

    def _run(self) -> None:
        signals.mark()
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

    # both run on the loop; a late one, after its fork, must have no effect on the next
    def _runs(self) -> None:
        with self._lock:
            if not self._wanted:
                self.loop.resting = ()

    def _stop(self) -> None:
        with self._lock:
            if self._wanted:
                self._stopping = True
                self.loop.pause()

    def hold(self) -> bool:
        """Keep the loop idle if it is idle. That is rest, too, without ending its thread.

        Returns whether it is kept idle, so that `wake` must follow.
        """
        loop, selector = self.loop, self.loop.selector
        helpers = loop._default_executor
        if _COUNTED or helpers or not selector.idle or self.is_held_up():
            return False
        pause_lock = selector.pause_lock = threading.Lock()
        pause_lock.acquire()
        loop.waker = self._asked
        if selector.idle:
            return True
        self._end_pause()  # it has just become busy
        return False

    def _end_pause(self) -> None:
        pause_lock, self.loop.selector.pause_lock, self.loop.waker = self.loop.selector.pause_lock, None, None
        if pause_lock is not None:
            pause_lock.release()

    def is_held(self) -> bool:
        """Whether `hold` keeps it idle."""
        return self.loop.selector.pause_lock is not None

    def stop_held(self) -> None:
        """Stop a loop that is kept idle, so that another thread can run it."""
        if self.is_held():
            self._end_pause()
            if self.ask():
                self.rest(time.monotonic() + REST_BOUND)

    def ask(self) -> bool:
        """Ask the loop to stop between two callbacks.

        Returns whether that was possible, so that `rest` and `wake` must follow.
        """
        if self.loop.is_closed() or self.thread is threading.current_thread() or not self.thread.is_alive():
            return False
        with self._lock:
            self._wanted = True
            # else finalizers on other threads would take it for closed, and close sessions without it
            self.loop.resting = (threading.get_ident(), self.thread.ident)
        with suppress(RuntimeError):  # closed since
            # not by its own method, which would resume it
            asyncio.SelectorEventLoop.call_soon_threadsafe(self.loop, self._stop)
        return True

    def rest(self, deadline: float) -> None:
        """Wait until the loop has stopped, or until ``deadline``."""
        thread = self.thread
        while self._wanted and thread.is_alive() and thread.ident not in _queued:
            if time.monotonic() >= deadline:
                break
            thread.join(min(_POLL_INTERVAL, max(0.0, deadline - time.monotonic())))
        if not thread.is_alive() and _join(thread, deadline):
            self.loop.waker = self._asked
            self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        """End the threads that resolve host names; the loop makes new ones when needed."""
        executor = self.loop._default_executor
        if executor is None:
            return
        self.loop._default_executor = None
        executor.shutdown(wait=False)  # queued work is still done
        for helper in list(executor._threads):
            if not _join(helper, deadline):
                break

    def _asked(self) -> None:
        """A callback was scheduled at rest: resume the loop, unless the forking thread scheduled it."""
        if self._is_sleeping or hooks.forking == threading.get_ident():
            self.wake()

    def sleep(self) -> None:
        """Rest until a callback is scheduled."""
        with self._lock:
            self._is_sleeping = True
            self.loop.waker = self._asked
        if self.ask():
            self.rest(time.monotonic() + REST_BOUND)
        with self._lock:
            if self._ended and self._is_sleeping:
                self.loop.resting = _NO_THREAD
                return
        self.wake()

    def run_here(self, coro: Coroutine[Any, Any, None], timeout: float | None) -> bool:
        """Run a coroutine on this thread, if the loop is at rest.

        Returns whether it was run; it may not have finished within ``timeout``.
        """
        with self._lock:
            if not self._ended or self._here or self.loop.stopped or self.loop.is_closed():
                return False
            self._here = True
        outer = asyncio._get_running_loop()
        # needed if the fork is within a task
        swap: Any = getattr(asyncio.tasks, "_swap_current_task", None)
        task = swap(outer, None) if swap is not None and outer is not None else None
        asyncio._set_running_loop(None)
        resting, self.loop.resting = self.loop.resting, (threading.get_ident(),)
        try:
            job = self.loop.create_task(coro)
            # if it ends after its timeout it must not stop the resumed loop
            job.add_done_callback(lambda _: self.loop.pause() if self._here else None)
            limit = self.loop.call_later(timeout, self.loop.pause) if timeout else None
            self.loop.run_forever()
            if limit is not None:
                limit.cancel()
            job.cancel()
            return True
        finally:
            asyncio._set_running_loop(outer)
            if swap is not None and task is not None:
                swap(outer, task)
            self._here, self.loop.resting = False, resting

    def is_held_up(self) -> bool:
        """Whether it is at rest or asked to be; False if a program stopped it."""
        return self._wanted or self._ended or self.is_held()

    def wake(self) -> None:
        """Resume the loop, on a new thread if the old one has ended; any thread may call it."""
        with self._waking:
            previous = self.thread
            with self._lock:
                self._wanted = False
                if self._here:
                    return  # the forking thread is running it
                self._is_sleeping = False
                self._end_pause()
                if not self._ended or self.loop.stopped or self.loop.is_closed():
                    # the time limit had passed and it goes on by itself; or a program stopped it
                    self.loop.resting = (previous.ident,) if self._stopping and not self._ended else ()
                    return
                self.loop.resting = _NO_THREAD
                self._ended = False
            previous.join(REST_BOUND)  # bounded: a signal handler that interrupted a join would wait for ever
            try:
                self.thread = self._start()
            except RuntimeError:
                # the process may have no more threads: tried again when a callback is scheduled,
                # or by a thread that waits for the loop, which then runs it
                self._ended = self._is_sleeping = True
                self.loop.waker = self._asked
                return
            if iothread[0] is previous:
                iothread[0] = self.thread


def _join(thread: threading.Thread, deadline: float) -> bool:
    if thread is threading.current_thread():  # it is the one that forks
        return False
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        return False
    if thread.native_id is not None:
        # it has finished and only has to exit, within another time limit
        hooks.wait_thread_exit(thread.native_id, deadline + hooks.EXIT_WAIT)
    return True
