"""What a fork does to event loops, of fsspec and of others.

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

Everything here runs on the forking thread, or on the one that waits for a loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # its hook of forks is to be registered before ours
import logging  # noqa: F401  # as above
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fsspec._fork import connecting, hooks, importing, instances, sockets
from fsspec._fork.fork_lock import ForkLock
from fsspec._loop import io_thread, uvloops
from fsspec._loop.abandoning import (
    abandon,
    abandoned_class,
    descriptors,
    is_abandoned,
    unshare,
    uvloops_with_tasks,
)
from fsspec._loop.io_thread import _POLL_INTERVAL, IOLoop, IOThread, _io_threads, _queued, iothread, loop

_resting: list[IOThread] = []
_held: list[_Hold] = []
_fork_lock = ForkLock(by_itself=False)  # one fork at a time rests and wakes the loops
_foreign = hooks.Registry()
_foreign_at_fork: list[asyncio.AbstractEventLoop] = []
_connecting_elsewhere: list[
    socket.socket
] = []  # sockets that other threads were about to connect at the fork
_queued_on: list[object] = []  # what the threads of `_queued` run, for a loop of uvloop shows no thread
_has_asynchronous = False  # whether instances may live on loops of which nobody told
_deadline = 0.0  # of the rest


class _Hold:
    """Keeps somebody else's loop, running on another thread, in one callback.

    A child that goes on with a copy of the loop finds the callback in its queue, or comes back into it from
    the handler of a signal that forked there: it does not stay, for nobody ends the hold in that process.
    """

    def __init__(self, other: asyncio.AbstractEventLoop) -> None:
        self.other = other
        self._pid = os.getpid()
        self._ended = False
        # locks, and no events, which have a lock of their own that another thread may have at a fork
        self._entered, self._released = threading.Lock(), threading.Lock()
        self._entered.acquire()
        self._released.acquire()
        with suppress(RuntimeError):  # closed since
            other.call_soon_threadsafe(self._stay)

    def _stay(self) -> None:
        if self._is_over():
            return
        self._entered.release()
        while not self._is_over():
            self._released.acquire(True, _POLL_INTERVAL)

    def _is_over(self) -> bool:
        return self._ended or os.getpid() != self._pid

    def wait(self, deadline: float) -> None:
        """Until the loop is held, or it has stopped; it may be busy for longer than the fork can wait."""
        while time.monotonic() < deadline and self.other.is_running():
            if getattr(self.other, "_thread_id", None) in _queued or self.other in _queued_on:
                break
            if self._entered.acquire(True, min(_POLL_INTERVAL, max(0.0, deadline - time.monotonic()))):
                break

    def end(self) -> None:
        """Let the loop run on."""
        self._ended = True
        with suppress(RuntimeError):  # by another thread as well
            self._released.release()


def _elsewhere(other: asyncio.AbstractEventLoop) -> bool:
    """Whether another thread runs this loop at the moment."""
    if other is asyncio._get_running_loop():
        return False  # uvloop's shows no thread
    return other.is_running() and getattr(other, "_thread_id", None) != threading.get_ident()


def note_foreign(other: asyncio.AbstractEventLoop) -> None:
    """Remember that instances of ours live on somebody else's loop."""
    if not isinstance(other, IOLoop):
        with suppress(TypeError):
            _foreign.add(other)


# around a fork --------------------------------------------------------------------
# Each step is a hook of its own: what one raises leaves the others to run.
def _find_asynchronous() -> None:
    # the first, where what ends meanwhile can still use the loops
    global _has_asynchronous
    _has_asynchronous = bool(instances.asynchronous.live())


def _lock() -> None:
    if not _fork_lock.take_for_fork(0):
        me, on = threading.get_ident(), asyncio._get_running_loop()
        _queued.add(me)
        _queued_on.append(on)
        try:
            _fork_lock.take_for_fork()
        finally:
            _queued.discard(me)
            with suppress(ValueError):  # in a child that the handler of a signal forked meanwhile
                _queued_on.remove(on)


def _begin() -> None:
    global _deadline
    _deadline = time.monotonic() + io_thread.REST_BOUND
    hooks.begin(io_thread.REST_BOUND)


def _wait_for_imports() -> None:
    importing.wait(_deadline)


def _find_loops() -> None:
    if _fork_lock.nested():  # the loops are at rest
        return
    found = {id(other): other for other in _foreign.live() if not other.is_closed()}
    if _has_asynchronous:
        running = (other for other, _ in connecting.running())
        found.update((id(other), other) for other in running if not isinstance(other, IOLoop))
        found.update((id(other), other) for other in uvloops_with_tasks() if not other.is_closed())
    _foreign_at_fork[:] = found.values()


def _ask_to_rest() -> None:
    if _fork_lock.nested():
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
    sockets.note(sock.fileno() for sock in connecting.created.live())


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
    if _fork_lock.nested():
        return
    for hold in _held:
        hold.end()
    _held.clear()


def _wake() -> None:
    if _fork_lock.nested():
        return
    for io in _resting:
        if io.is_held():
            hooks.attempt("waking a loop", io.wake)
        else:
            hooks.defer(io.wake)
    _resting.clear()


def _forget() -> None:
    if _fork_lock.nested():
        return
    sockets.forget_noted()
    _foreign_at_fork.clear()
    _connecting_elsewhere.clear()
    _io_threads[:] = [io for io in _io_threads if not io.loop.is_closed()]


def _unlock() -> None:
    hooks.end()
    _fork_lock.release_after_fork()


def _renew_in_child() -> None:
    _fork_lock.renew()
    _queued.clear()
    _queued_on.clear()
    _held.clear()
    _resting.clear()
    if loop[0] is None or isinstance(loop[0], IOLoop):
        loop[0] = iothread[0] = None


def _abandon_in_child() -> None:
    # kept, for freeing them would write to more of the memory shared with the parent
    hooks.immortalize([*_io_threads, list(_connecting_elsewhere)])
    dead = sockets.DeadSocket()
    for io in _io_threads:
        if not is_abandoned(io.loop) and not io.loop.is_closed():
            hooks.attempt("cutting a loop off", abandon, io.loop, dead)
    for other in _foreign_at_fork:
        if not is_abandoned(other):
            hooks.attempt("cutting a loop off", _cut_off_foreign, other, dead)
    for sock in [*_connecting_elsewhere, *connecting.created.live()]:
        if sockets.unchanged(sock.fileno()):
            dead.cover(sock.fileno())
    dead.close()
    # not before: a signal may have this called again
    for left in (_io_threads, _foreign_at_fork, _connecting_elsewhere):
        left.clear()
    sockets.forget_noted()


def _cut_off_foreign(other: asyncio.AbstractEventLoop, dead: sockets.DeadSocket) -> None:
    if uvloops.is_uvloop(other):
        uvloops.cut_off(other, dead)
    elif not isinstance(other, asyncio.selector_events.BaseSelectorEventLoop) or other.is_closed():
        hooks.immortalize(other)
    elif other._thread_id in (None, threading.get_ident()):  # type: ignore[attr-defined]  # asyncio's own
        unshare(other, dead)
    else:
        abandon(other, dead, everything=False)


_BEFORE = (
    _find_asynchronous,
    _lock,
    _begin,
    _wait_for_imports,
    _find_loops,
    _ask_to_rest,
    _rest,
    _wait_for_imports,  # again when the loops are at rest, as short as that is
    _note_descriptors,
    _note_waiting_sockets,
    _note_sockets_at_work,
)
for _step in reversed(_BEFORE):  # what is registered last runs first
    hooks.at_fork(before=_step)
for _step in (_end_holds, _wake, _forget, _unlock):
    hooks.at_fork(parent=_step)
for _step in (_renew_in_child, _abandon_in_child):
    hooks.at_fork(child=_step)
del _step


# asked while a fork is being made -------------------------------------------------
def run_inside_fork(
    other: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, None], timeout: float | None
) -> bool:
    """For the thread that forks, asked by a hook of the program's: run ``coro`` on a loop at rest.

    Returns False where the loop's own thread has to run it; it does so, and `rest_again` has to follow.
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
    deadline = time.monotonic() + io_thread.REST_BOUND
    for io in _io_threads:
        if io.loop is other and io.ask():
            if io not in _resting:
                _resting.append(io)
            io.rest(deadline)
    if other in _foreign_at_fork and _elsewhere(other):
        hold = _Hold(other)
        _held.append(hold)
        hold.wait(deadline)


def run_while_waiting(other: asyncio.AbstractEventLoop, over: Callable[[], bool]) -> None:
    """For one who waits for a loop: let it run on where a fork takes longer than it may, or has gone.

    Where no thread can be had for it, it is run here for a while; ``over`` says when the wait is.
    """
    forking = hooks.forking
    if not forking or (forking != threading.get_ident() and time.monotonic() > hooks.exit_deadline):
        for io in list(_io_threads):
            if io.loop is other and io.is_held_up():
                io.wake()
                if io.is_held_up():
                    waiting = _until(over)
                    if not io.run_here(waiting, io_thread.REST_BOUND):
                        waiting.close()  # another thread does
        for hold in list(_held):
            if hold.other is other:
                hold.end()


async def _until(over: Callable[[], bool]) -> None:
    while not over():
        await asyncio.sleep(0.001)


def quiesce() -> None:
    """Bring the event loops of fsspec to rest, and end their threads, until one is used again.

    For a program that lets a C library fork, without running Python's fork hooks: FUSE that
    goes into the background, a daemon of C. Between this call and the fork nothing may use a
    filesystem. What was under way on the loops goes on with the next use. Waits for at most two
    seconds; a loop that is busy for longer is left running.
    """
    hooks.check()
    with _fork_lock:
        for io in list(_io_threads):
            if threading.get_ident() != io.thread.ident:
                io.sleep()
