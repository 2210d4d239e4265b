"""The event loop that fsspec owns, and its thread.

Loops run on their own thread; everything else here runs on the one that asks for the loop, or on the
forking thread: a loop can be brought to rest between two callbacks, so that the process may fork
(`fsspec._loop.forking`), run there for a while, and woken again.
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
from typing import Any

from fsspec._fork import hooks, instances
from fsspec._fork.owned import own
from fsspec._fork.sockets import Identity, identity

REST_BOUND = 1.0
"""Seconds that a fork may be held up to bring the loops to rest.

It takes milliseconds, but for a callback that blocks and machines with more work than
processors: and there the longer bound is the lesser evil, for what forks in the middle of
OpenSSL has a child that hangs.  Threads that have ended have `hooks.EXIT_WAIT` on top of it to
leave."""

RECEIVED = 2**17 - 2**8
"""Bytes taken from a socket at a time, by asyncio twice as many: memory for 128 KiB and more is mapped by
the system for each time, which costs a request as much as a fifth of all it does."""

_EXECUTORS = concurrent.futures.thread._global_shutdown_lock  # held around a fork
_COUNTED = sys.version_info >= (3, 12)  # a fork with more than one thread is warned of
_POLL_INTERVAL = 0.02  # seconds after which one that waits looks whether there is still something to wait for
_NO_THREAD = (0,)  # no thread has this number: all see a loop as running

loop: list[asyncio.AbstractEventLoop | None] = [None]
iothread: list[threading.Thread | None] = [None]
"""The loop and thread in use.  Programs read these, and put None there to have new ones."""

_io_threads: list[IOThread] = []
_queued: set[int] = set()  # threads that wait for it: they hold nothing of a C library

hooks.prepare_to_immortalize()  # where no fork is waiting for it


class _Selector(selectors.DefaultSelector):
    """Knows whether its loop waits between two callbacks, and can keep it there.

    All of it under the interpreter's lock: whoever sets ``pause_lock`` and then finds the loop idle can
    rely on it, for the loop says that it is busy before it looks for a pause_lock.
    """

    idle = False
    pause_lock: Any = None  # a lock that is held meanwhile

    def __init__(self) -> None:
        super().__init__()
        self.identities: dict[int, Identity] = {}  # what each number led to as it was registered

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


class IOLoop(asyncio.SelectorEventLoop):
    """A selector loop that remembers the sockets made for it."""

    resting: tuple[int | None, ...] = ()  # threads that see it at rest for a fork, or not yet begun
    _closed = True  # until it is made, which an interrupt may prevent
    stopped = False  # by a program: then nothing makes it run on
    waker: Callable[[], None] | None = None  # while no thread runs it: called when something is asked of it

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

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's; runs the loop on where it rests until it is asked."""
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        if self.waker is not None:
            self.waker()
        return handle

    def run_in_executor(
        self, executor: concurrent.futures.Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As asyncio's; while a fork keeps executors from taking anything on, ``func`` is called here."""
        if instances.reviving:  # what is done on behalf of a revival may use the instance
            func = functools.partial(contextvars.copy_context().run, func)
        within = hooks.forking or hooks.early
        if executor is not None or not within or not _EXECUTORS.locked():
            return super().run_in_executor(executor, func, *args)
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # whatever an executor would set
            future.set_exception(error)
        return future

    async def sock_connect(self, sock: socket.socket, address: tuple[Any, ...] | str | bytes) -> None:
        # between connecting and being wrapped in a transport nobody else knows it
        self.connecting.add(sock)
        await super().sock_connect(sock, address)


class IOThread:
    """A loop and the thread that runs it, which may be replaced around a fork."""

    def __init__(self, name: str = "fsspecIO") -> None:
        self.name = name
        self.loop = IOLoop()
        # a handler of a signal may fork while its thread has them
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

    def hold(self) -> bool:
        """Keep it idle, if it is: that is rest as well, and leaves its thread.

        Returns whether it is idle, so that `wake` has to follow.
        """
        loop, selector = self.loop, self.loop.selector
        helpers = loop._default_executor  # type: ignore[attr-defined]  # asyncio's own
        if _COUNTED or helpers or not selector.idle or self.is_held_up():
            return False
        pause_lock = selector.pause_lock = threading.Lock()
        pause_lock.acquire()
        loop.waker = self._asked
        if selector.idle:
            return True
        self._end_pause()  # it was just about to be busy
        return False

    def _end_pause(self) -> None:
        pause_lock, self.loop.selector.pause_lock, self.loop.waker = self.loop.selector.pause_lock, None, None
        if pause_lock is not None:
            pause_lock.release()

    def is_held(self) -> bool:
        """Whether it is kept idle, by `hold`."""
        return self.loop.selector.pause_lock is not None

    def stop_held(self) -> None:
        """Have a loop that is kept idle stop instead, so that another thread can run it."""
        if self.is_held():
            self._end_pause()
            if self.ask():
                self.rest(time.monotonic() + REST_BOUND)

    def ask(self) -> bool:
        """Ask it to stop between two callbacks.

        Returns whether that was possible, so that `rest` and `wake` have to follow.
        """
        if self.loop.is_closed() or self.thread is threading.current_thread() or not self.thread.is_alive():
            return False
        with self._lock:
            self._wanted = True
            # finalizers on other threads must not take it for gone, and end sessions without it
            self.loop.resting = (threading.get_ident(), self.thread.ident)
        with suppress(RuntimeError):  # closed since
            # not by its own method, which would wake it
            asyncio.SelectorEventLoop.call_soon_threadsafe(self.loop, self._stop)
        return True

    def rest(self, deadline: float) -> None:
        """Wait until it has stopped, or ``deadline``."""
        thread = self.thread
        while self._wanted and thread.is_alive() and thread.ident not in _queued:
            if time.monotonic() >= deadline:
                break
            thread.join(min(_POLL_INTERVAL, max(0.0, deadline - time.monotonic())))
        if not thread.is_alive() and _join(thread, deadline):
            self.loop.waker = self._asked
            self._drain(deadline)

    def _drain(self, deadline: float) -> None:
        """Release the threads that resolve names; the loop makes others when it needs them."""
        executor = self.loop._default_executor  # type: ignore[attr-defined]  # asyncio's own
        if executor is None:
            return
        self.loop._default_executor = None  # type: ignore[attr-defined]  # as above
        executor.shutdown(wait=False)  # what is queued is still worked off
        for helper in list(executor._threads):
            if not _join(helper, deadline):
                break

    def _asked(self) -> None:
        """Something is asked of it at rest: what its own thread could do it does not wait for."""
        if self._is_sleeping or hooks.forking == threading.get_ident():
            self.wake()

    def sleep(self) -> None:
        """Rest until something is asked of it."""
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
        """Run a coroutine on this thread, where the loop is at rest.

        Returns whether it could be run.  It may not have come to its end in time.
        """
        with self._lock:
            if not self._ended or self._here or self.loop.stopped or self.loop.is_closed():
                return False
            self._here = True
        outer = asyncio._get_running_loop()
        swap: Any = getattr(
            asyncio.tasks, "_swap_current_task", None
        )  # needed where the fork is within a task
        task = swap(outer, None) if swap is not None and outer is not None else None
        asyncio._set_running_loop(None)
        resting, self.loop.resting = self.loop.resting, (threading.get_ident(),)
        try:
            job = self.loop.create_task(coro)
            # one that ends late, its time having passed, must not stop the loop where it runs on
            job.add_done_callback(lambda _: self.loop.pause() if self._here else None)
            limit = self.loop.call_later(timeout, self.loop.pause) if timeout else None
            self.loop.run_forever()
            if limit is not None:
                limit.cancel()
            job.cancel()
            return True
        finally:
            asyncio._set_running_loop(outer)
            if task is not None:
                swap(outer, task)
            self._here, self.loop.resting = False, resting

    def is_held_up(self) -> bool:
        """Whether it is at rest or asked to be; not where a program stopped it."""
        return self._wanted or self._ended or self.is_held()

    def wake(self) -> None:
        """Run on, on a new thread if the old one ended at rest; any thread may call it."""
        with self._waking:
            previous = self.thread
            with self._lock:
                self._wanted = False
                if self._here:
                    return  # the thread that forks runs it at the moment
                self._is_sleeping = False
                self._end_pause()
                if not self._ended or self.loop.stopped or self.loop.is_closed():
                    # the bound had passed, and it goes on by itself; or a program stopped it meanwhile
                    self.loop.resting = (previous.ident,) if self._stopping and not self._ended else ()
                    return
                self.loop.resting = _NO_THREAD
                self._ended = False
            previous.join(REST_BOUND)  # for ever within a handler of a signal that came in another join
            try:
                self.thread = self._start()
            except RuntimeError:
                # the process may have no more threads: it is tried again when something is asked of it
                # or waited for, and who waits runs it meanwhile
                self._ended = self._is_sleeping = True
                self.loop.waker = self._asked
                return
            if iothread[0] is previous:
                iothread[0] = self.thread


def _join(thread: threading.Thread, deadline: float) -> bool:
    if thread is threading.current_thread():  # the fork is made on it
        return False
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        return False
    if thread.native_id is not None:
        # it has ended, and needs no more than its turn to leave: the bound is another
        hooks.wait_thread_exit(thread.native_id, deadline + hooks.EXIT_WAIT)
    return True
