"""The event loop that fsspec owns and its thread, and what a fork does to loops.

Before a fork our loops are brought to *rest* between two callbacks and their threads
joined, within a bound, so that the process forks without a lock of a C library held on
our behalf, and without a socket that is only being made and that nobody knows yet. That
is so in every mode: a child that is to be refused must not hang or hold a connection
either. After the fork the parent runs the same loops on; the child cuts its copies off
(`fsspec._loop.abandoning`).
A loop of somebody else's thread that our instances live on is *held* in a callback
meanwhile: OpenSSL's locks are as much in the child's way when taken by that thread.

A hook of the program's may use a filesystem while the loops are at rest.  On the thread
that forks the loop is then run by that thread itself, and is at rest again when the call
returns; another thread that waits for longer than the bound has the loop run on.

Loops run on their own thread; everything else here runs on the forking thread, or on
the one that asks for the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # its hook of forks is to be registered before ours
import contextvars
import functools
import logging  # noqa: F401  # as above
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fsspec._fork import connecting, hooks, importing, instances, sockets
from fsspec._fork.owned import own
from fsspec._loop.abandoning import Dead, abandon, abandoned_class, descriptors, is_abandoned, unshare

__all__ = ["IOLoop", "IOThread", "iothread", "is_abandoned", "loop", "note_foreign", "quiesce"]

REST_BOUND = 1.0
"""Seconds that a fork may be held up to bring the loops to rest.

It takes milliseconds, but for a callback that blocks and machines with more work than
processors: and there the longer bound is the lesser evil, for what forks in the middle of
OpenSSL has a child that hangs.  Threads that have ended have `hooks.EXIT_WAIT` on top of it to
leave."""

_EXECUTORS = concurrent.futures.thread._global_shutdown_lock  # held around a fork
_COUNTED = sys.version_info >= (3, 12)  # a fork with more than one thread is warned of
_TURN = 0.02  # seconds after which one that waits looks whether there is still something to wait for
_NOBODY = (0,)  # no thread has this number: all see a loop as running

loop: list[asyncio.AbstractEventLoop | None] = [None]
iothread: list[threading.Thread | None] = [None]
"""The loop and thread in use.  Programs read these, and put None there to have new ones."""

_io_threads: list[IOThread] = []
_resting: list[IOThread] = []
_held: list[_Hold] = []
_fork_lock = threading.RLock()  # one fork at a time rests and wakes the loops
_locked = 0  # how often the forking thread has it
_queued: set[int] = set()  # threads that wait for it: they hold nothing of a C library
_foreign = hooks.Registry()
_foreign_at_fork: list[asyncio.AbstractEventLoop] = []
_connecting_elsewhere: list[
    socket.socket
] = []  # sockets that other threads were about to connect at the fork
_awaited = False  # whether instances may live on loops of which nobody told
_deadline = 0.0  # of the rest

hooks.prepare_to_immortalize()  # where no fork is waiting for it


class _Selector(selectors.DefaultSelector):
    """Tells whether its loop waits between two callbacks, and can keep it there.

    All of it under the interpreter's lock: whoever sets ``gate`` and then finds the loop idle can
    rely on it, for the loop says that it is busy before it looks for a gate.
    """

    idle = False
    gate: Any = None  # a lock that is held meanwhile

    def select(self, timeout: float | None = None) -> Any:
        self.idle = True
        try:
            found = super().select(timeout)
        finally:
            self.idle = False
        while (gate := self.gate) is not None:
            self.idle = True
            with gate:
                pass
            self.idle = False
        return found


class IOLoop(asyncio.SelectorEventLoop):
    """A selector loop that remembers the sockets made for it."""

    resting: tuple[int | None, ...] = ()  # threads that see it at rest for a fork, or not yet begun
    stopped = False  # by a program: then nothing makes it run on
    waker: Callable[[], None] | None = None  # while no thread runs it: called when something is asked of it

    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)
        own(self)
        self.connecting = hooks.Registry()

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
        except Exception as error:
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
        self._lock = threading.Lock()
        self._waking = threading.Lock()
        self._asleep = self._here = False
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

    def hold(self) -> bool:
        """Keep it idle, if it is: that is rest as well, and leaves its thread.

        Returns
        -------
        bool
            Whether it is idle, so that `wake` has to follow.
        """
        loop, selector = self.loop, self.loop.selector
        helpers = loop._default_executor  # type: ignore[attr-defined]
        if _COUNTED or helpers or not selector.idle or self.is_held_up():
            return False
        gate = selector.gate = threading.Lock()
        gate.acquire()
        loop.waker = self._asked
        if selector.idle:
            return True
        self._open_gate()  # it was just about to be busy
        return False

    def _open_gate(self) -> None:
        gate, self.loop.selector.gate, self.loop.waker = self.loop.selector.gate, None, None
        if gate is not None:
            gate.release()

    def is_held(self) -> bool:
        """Whether it is kept idle, by `hold`."""
        return self.loop.selector.gate is not None

    def stop_held(self) -> None:
        """Have a loop that is kept idle stop instead, so that another thread can run it."""
        if self.is_held():
            self._open_gate()
            if self.ask():
                self.rest(time.monotonic() + REST_BOUND)

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
            # not by its own method, which would wake it
            asyncio.SelectorEventLoop.call_soon_threadsafe(self.loop, self._stop)
        return True

    def rest(self, deadline: float) -> None:
        """Wait until it has stopped, or ``deadline``."""
        thread = self.thread
        while self._wanted and thread.is_alive() and thread.ident not in _queued:
            if time.monotonic() >= deadline:
                break
            thread.join(min(_TURN, max(0.0, deadline - time.monotonic())))
        if not thread.is_alive() and _join(thread, deadline):
            self.loop.waker = self._asked
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

    def _asked(self) -> None:
        """Something is asked of it at rest: what its own thread could do it does not wait for."""
        if self._asleep or hooks.forking == threading.get_ident():
            self.wake()

    def sleep(self) -> None:
        """Rest until something is asked of it."""
        with self._lock:
            self._asleep = True
            self.loop.waker = self._asked
        if self.ask():
            self.rest(time.monotonic() + REST_BOUND)
        with self._lock:
            if self._ended and self._asleep:
                self.loop.resting = _NOBODY
                return
        self.wake()

    def run_here(self, coro: Coroutine[Any, Any, None], timeout: float | None) -> bool:
        """Run a coroutine on this thread, where the loop is at rest.

        Returns
        -------
        bool
            Whether it could be run.  It may not have come to its end in time.
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
        try:
            job = self.loop.create_task(coro)
            job.add_done_callback(lambda _: self.loop.pause())
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
            self._here = False

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
                self._asleep = False
                self._open_gate()
                if not self._ended or self.loop.stopped or self.loop.is_closed():
                    # the bound had passed, and it goes on by itself; or a program stopped it meanwhile
                    self.loop.resting = (previous.ident,) if self._stopping and not self._ended else ()
                    return
                self.loop.resting = _NOBODY
                self._ended = False
            previous.join()
            self.thread = self._start()
            if iothread[0] is previous:
                iothread[0] = self.thread


class _Hold:
    """Keeps somebody else's loop, running on another thread, in one callback."""

    def __init__(self, other: asyncio.AbstractEventLoop) -> None:
        self.other = other
        self._there = threading.Event()
        self._over = threading.Event()
        with suppress(RuntimeError):  # closed since
            other.call_soon_threadsafe(self._stay)

    def _stay(self) -> None:
        self._there.set()
        self._over.wait()

    def wait(self, deadline: float) -> None:
        """Until the loop is held, or it has stopped; it may be busy for longer than the fork can wait."""
        while not self._there.is_set() and time.monotonic() < deadline and self.other.is_running():
            if getattr(self.other, "_thread_id", None) in _queued:
                break
            self._there.wait(min(_TURN, max(0.0, deadline - time.monotonic())))

    def end(self) -> None:
        """Let the loop run on."""
        self._over.set()


def _elsewhere(other: asyncio.AbstractEventLoop) -> bool:
    """Whether another thread runs this loop at the moment."""
    return other.is_running() and getattr(other, "_thread_id", None) != threading.get_ident()


def _join(thread: threading.Thread, deadline: float) -> bool:
    if thread is threading.current_thread():  # the fork is made on it
        return False
    thread.join(max(0.0, deadline - time.monotonic()))
    if thread.is_alive():
        return False
    if thread.native_id is not None:
        # it has ended, and needs no more than its turn to leave: the bound is another
        hooks.wait_gone(thread.native_id, deadline + hooks.EXIT_WAIT)
    return True


def note_foreign(other: asyncio.AbstractEventLoop) -> None:
    """Remember that instances of ours live on somebody else's loop."""
    if not isinstance(other, IOLoop):
        with suppress(TypeError):
            _foreign.add(other)


# around a fork -----------------------------------------------------------------
# Each step is a hook of its own: what one raises leaves the others to run.
def _look_for_awaited() -> None:
    # the first, where what ends meanwhile can still use the loops
    global _awaited
    _awaited = bool(instances.awaited.live())


def _lock() -> None:
    global _locked
    if not _fork_lock.acquire(blocking=False):
        me = threading.get_ident()
        _queued.add(me)
        try:
            _fork_lock.acquire()
        finally:
            _queued.discard(me)
    _locked += 1


def _begin() -> None:
    global _deadline
    _deadline = time.monotonic() + REST_BOUND
    hooks.begin(REST_BOUND)


def _wait_for_imports() -> None:
    importing.wait(_deadline)


def _within_another() -> bool:
    """Whether the fork is made by a hook of the program's, within another one that has the loops at rest."""
    return _locked > 1


def _find_loops() -> None:
    if _within_another():
        return
    found = {id(other): other for other in _foreign.live() if not other.is_closed()}
    if _awaited:
        running = (other for other, _ in connecting.running())
        found.update((id(other), other) for other in running if not isinstance(other, IOLoop))
    _foreign_at_fork[:] = found.values()


def _ask_to_rest() -> None:
    if _within_another():
        return
    _resting.clear()
    _held.clear()
    abandoned_class(IOLoop)  # made once here, rather than in each child
    for other in _foreign_at_fork:
        if _elsewhere(other):
            _held.append(_Hold(other))
    for io in list(_io_threads):
        if io.hold() or io.ask():
            _resting.append(io)


def _rest() -> None:
    for io in _resting:
        hooks.attempt("rest of a loop", io.rest, _deadline)
    for hold in _held:
        hold.wait(_deadline)


def _note_descriptors() -> None:
    for other in [io.loop for io in _io_threads] + _foreign_at_fork:
        sockets.note(descriptors(other))
    sockets.note(sock.fileno() for sock in connecting.made.live())


def _note_waiting_sockets() -> None:
    for other in _foreign_at_fork:
        sockets.note(sock.fileno() for sock in connecting.waiting_sockets(other))


def _note_sockets_at_work() -> None:
    # what is not held goes on meanwhile
    elsewhere = {id(other) for other in _foreign_at_fork if _elsewhere(other)}
    elsewhere.update(id(io.loop) for io in _resting if io.thread.is_alive() and not io.is_held())
    if elsewhere:
        _connecting_elsewhere[:] = connecting.running_sockets(elsewhere)
        sockets.note(sock.fileno() for sock in _connecting_elsewhere)


def _end_holds() -> None:
    if _within_another():
        return
    for hold in _held:
        hold.end()
    _held.clear()


def _wake() -> None:
    if _within_another():
        return
    for io in _resting:
        if io.is_held():
            hooks.attempt("waking a loop", io.wake)
        else:
            hooks.defer(io.wake)
    _resting.clear()


def _forget() -> None:
    if _within_another():
        return
    sockets.forget_noted()
    _foreign_at_fork.clear()
    _connecting_elsewhere.clear()
    _io_threads[:] = [io for io in _io_threads if not io.loop.is_closed()]


def _unlock() -> None:
    global _locked
    hooks.end()
    if _locked:
        _locked -= 1
        _fork_lock.release()


def _renew_in_child() -> None:
    global _fork_lock, _locked
    _fork_lock, _locked = threading.RLock(), 0
    _queued.clear()
    _held.clear()
    _resting.clear()
    if loop[0] is None or isinstance(loop[0], IOLoop):
        loop[0] = iothread[0] = None


def _abandon_in_child() -> None:
    ours, _io_threads[:] = list(_io_threads), []
    foreign, _foreign_at_fork[:] = list(_foreign_at_fork), []
    at_work, _connecting_elsewhere[:] = list(_connecting_elsewhere), []
    # kept, for freeing them would write to more of the memory shared with the parent
    hooks.immortalize([*ours, at_work])
    dead = Dead()
    for io in ours:
        if not io.loop.is_closed():
            hooks.attempt("leaving a loop", abandon, io.loop, dead)
    for other in foreign:
        hooks.attempt("leaving a loop", _leave_foreign, other, dead)
    for sock in [*at_work, *connecting.made.live()]:
        dead.cover(sock.fileno())
    dead.close()
    sockets.forget_noted()


def _leave_foreign(other: asyncio.AbstractEventLoop, dead: Dead) -> None:
    if not isinstance(other, asyncio.selector_events.BaseSelectorEventLoop) or other.is_closed():
        hooks.immortalize(other)
    elif other._thread_id in (None, threading.get_ident()):  # type: ignore[attr-defined]
        unshare(other, dead)
    else:
        abandon(other, dead, everything=False)


for _step in (
    _note_sockets_at_work,
    _note_waiting_sockets,
    _note_descriptors,
    _wait_for_imports,
    _rest,
    _ask_to_rest,
    _find_loops,
    _wait_for_imports,  # again when the loops are at rest, as short as that is
    _begin,
    _lock,
    _look_for_awaited,
):  # the last is the first before a fork
    hooks.at_fork(before=_step)
for _step in (_end_holds, _wake, _forget, _unlock):
    hooks.at_fork(parent=_step)
for _step in (_renew_in_child, _abandon_in_child):
    hooks.at_fork(child=_step)
del _step


# asked while a fork is being made -----------------------------------------------------
def run_inside_fork(
    other: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, None], timeout: float | None
) -> bool:
    """For the thread that forks, asked by a hook of the program's: run ``coro`` on a loop at rest.

    Returns
    -------
    bool
        False where the loop's own thread has to run it; it does so, and `rest_again` has to follow.
    """
    for io in _resting:
        if io.loop is other:
            io.stop_held()
            if io.run_here(coro, timeout):
                return True
            io.wake()
    for hold in _held:
        if hold.other is other:
            hold.end()
    return False


def rest_again(other: asyncio.AbstractEventLoop) -> None:
    """Bring a loop back to rest that a hook of the program's had running."""
    deadline = time.monotonic() + REST_BOUND
    for io in _io_threads:
        if io.loop is other and io.ask():
            if io not in _resting:
                _resting.append(io)
            io.rest(deadline)
    if other in _foreign_at_fork and _elsewhere(other):
        hold = _Hold(other)
        _held.append(hold)
        hold.wait(deadline)


def waited_for(other: asyncio.AbstractEventLoop) -> None:
    """For one who waits for a loop: let it run on where a fork takes longer than it may, or has gone."""
    forking = hooks.forking
    if not forking or (forking != threading.get_ident() and time.monotonic() > hooks.leave_by):
        for io in list(_io_threads):
            if io.loop is other and io.is_held_up():
                io.wake()
        for hold in list(_held):
            if hold.other is other:
                hold.end()


def quiesce() -> None:
    """Bring the event loops of fsspec to rest, and end their threads, until one is used again.

    For a program that lets a C library fork, of which Python's fork hooks are not told: FUSE that
    goes into the background, a daemon of C. Between this call and the fork nothing may use a
    filesystem. What was under way on the loops goes on with the next use. Waits for at most two
    seconds; a loop that is busy for longer is left running.
    """
    hooks.check()
    with _fork_lock:
        for io in list(_io_threads):
            if threading.get_ident() != io.thread.ident:
                io.sleep()
