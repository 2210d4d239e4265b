"""What a fork does to event loops, of fsspec and of others.

Before a fork our loops are brought to *rest*: stopped between two callbacks, and their threads
joined, within a time limit. So the process forks while no thread of ours holds a lock of a C
library, and no socket is between its creation and its registration. This is done with and
without an opt-in: a child in which use is refused must not hang or hold a connection either.
After the fork the parent resumes the same loops; the child abandons its copies
(`fsspec._loop.abandoning`).
A loop of another thread of the program on which our instances live is *held* in a callback
meanwhile, since that thread might hold a lock of OpenSSL as well.

A hook of the program may use a filesystem while the loops are at rest.  If the forking thread
does, it runs the loop itself until the call returns.  Another thread that waits for a loop
resumes it when the time limit has passed.

All functions run on the forking thread, or on one that waits for a loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # to have its fork hook registered before ours
import logging  # noqa: F401  # as above
import os
import socket
import threading
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fsspec._fork import connecting, hooks, importing, instances, sockets
from fsspec._fork.fork_lock import BriefLock, wait_for_authors
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
_fork_lock = BriefLock(by_itself=False)  # held while a fork stops and resumes the loops
_foreign = hooks.Registry()
_foreign_at_fork: list[asyncio.AbstractEventLoop] = []
# sockets that other threads were about to connect at the fork
_connecting_elsewhere: list[socket.socket] = []
_queued_on: list[object] = []  # their loops, since one of uvloop does not expose its thread
_has_asynchronous = False  # whether instances may live on loops that were not recorded
_deadline = 0.0  # for bringing loops to rest


class _Hold:
    """Blocks a loop that another thread of the program runs, by a callback that does not return.

    A child that uses its copy of the loop may find the callback in the queue, or be inside it if a signal
    handler forked there. There the callback returns at once, since nobody would end the hold.
    """

    def __init__(self, other: asyncio.AbstractEventLoop) -> None:
        self.other = other
        self._pid = os.getpid()
        self._ended = False
        # locks, not events: an event has an inner lock, which another thread may hold at the fork
        self._entered, self._released = threading.Lock(), threading.Lock()
        self._entered.acquire()
        self._released.acquire()
        with suppress(RuntimeError):  # closed since
            other.call_soon_threadsafe(self._hold_callback)

    def _hold_callback(self) -> None:
        if self._is_over():
            return
        self._entered.release()
        while not self._is_over():
            self._released.acquire(True, _POLL_INTERVAL)

    def _is_over(self) -> bool:
        return self._ended or os.getpid() != self._pid

    def wait(self, deadline: float) -> None:
        """Wait until the loop is held or stopped, or until ``deadline``, as a callback may run for longer."""
        while time.monotonic() < deadline and self.other.is_running():
            if getattr(self.other, "_thread_id", None) in _queued or self.other in _queued_on:
                break
            if self._entered.acquire(True, min(_POLL_INTERVAL, max(0.0, deadline - time.monotonic()))):
                break

    def end(self) -> None:
        """Resume the loop."""
        self._ended = True
        with suppress(RuntimeError):  # another thread has released it
            self._released.release()


def _elsewhere(other: asyncio.AbstractEventLoop) -> bool:
    """Whether another thread is running this loop."""
    if other is asyncio._get_running_loop():
        return False  # a loop of uvloop does not expose its thread
    return other.is_running() and getattr(other, "_thread_id", None) != threading.get_ident()


def note_foreign(other: asyncio.AbstractEventLoop) -> None:
    """Record a loop of the program on which instances of ours live."""
    if not isinstance(other, IOLoop):
        with suppress(TypeError):
            _foreign.add(other)


# around a fork --------------------------------------------------------------------
# Each step is a hook of its own, so that the others run if one raises.
def _find_asynchronous() -> None:
    # finalizers that run here can still use the loops
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
            with suppress(ValueError):  # in a child that a signal handler forked meanwhile
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
    abandoned_class(IOLoop)  # made once in the parent, not in each child
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
    # loops that are not held go on meanwhile
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
            hooks.deferred.append(io.wake)
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
    # kept: freeing them would copy more of the memory that is shared with the parent
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
    # at the end: a signal may make this step run again
    for left in (_io_threads, _foreign_at_fork, _connecting_elsewhere):
        left.clear()
    sockets.forget_noted()


def _cut_off_foreign(other: asyncio.AbstractEventLoop, dead: sockets.DeadSocket) -> None:
    if uvloops.is_uvloop(other):
        uvloops.cut_off(other, dead)
    elif not isinstance(other, BaseSelectorEventLoop) or other.is_closed():
        hooks.immortalize(other)
    elif other._thread_id in (None, threading.get_ident()):  # type: ignore[attr-defined]  # asyncio's own
        unshare(other, dead)
    else:
        abandon(other, dead, everything=False)


_BEFORE = (
    wait_for_authors,
    _find_asynchronous,
    _lock,
    _begin,
    _wait_for_imports,
    _find_loops,
    _ask_to_rest,
    _rest,
    _wait_for_imports,  # again, as an import may have begun before the loops were at rest
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
    """Run ``coro`` on a loop at rest, on the forking thread; for a call made by a hook of the program.

    Returns False if the loop's own thread has to run it. The loop is then resumed, and `rest_again` must
    follow.
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
    """Bring a loop back to rest after a call made by a hook of the program."""
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
    """Resume a loop that the caller waits for, if the fork takes longer than its time limit, or has ended.

    If no thread can be started for the loop, the caller runs it for a while. ``over``: whether the wait is.
    """
    forking = hooks.forking
    if not forking or (forking != threading.get_ident() and time.monotonic() > hooks.exit_deadline):
        for io in list(_io_threads):
            if io.loop is other and io.is_held_up():
                io.wake()
                if io.is_held_up():
                    waiting = _sleep_until(over)
                    if not io.run_here(waiting, io_thread.REST_BOUND):
                        waiting.close()  # another thread runs it
        for hold in list(_held):
            if hold.other is other:
                hold.end()


async def _sleep_until(over: Callable[[], bool]) -> None:
    while not over():
        await asyncio.sleep(0.001)


def quiesce() -> None:
    """Bring the event loops of fsspec to rest, and end their threads, until one is used again.

    For a program that lets a C library fork, without running Python's fork hooks: FUSE that
    goes into the background, a daemon of C. Between this call and the fork nothing may use a
    filesystem. What was under way on the loops continues with the next use. Waits for at most two
    seconds; a loop that is busy for longer is left running.
    """
    hooks.check()
    with _fork_lock:
        for io in list(_io_threads):
            if threading.get_ident() != io.thread.ident:
                io.sleep()
