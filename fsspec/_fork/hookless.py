"""What ``os.fork`` does to the interpreter in a child, done in one that a C library forked.

The interpreter's own lock is inherited as it was in the parent. If another thread of the parent was waiting
for it, the condition variable still counts that thread, which the child does not have. As soon as the child
has a second thread, the C library waits for the absent one, for good: whatever starts a thread hangs, such
as a connection of paramiko. The same is true of the thread states that the collector goes through, of the
locks of `threading` and `logging`, and of the threads that the interpreter joins when it ends.
"""

from __future__ import annotations

import _imp
import _thread
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import BuiltinFunctionType
from typing import Any

from fsspec._fork import signals

_TASKS = "/proc/self/task"


def _is_alone() -> bool:
    """Whether this process is known to have one thread, and no greenlets in the place of threads."""
    if not isinstance(_thread.start_new_thread, BuiltinFunctionType):  # gevent's or eventlet's
        return False
    try:
        return len(os.listdir(_TASKS)) == 1
    except OSError:  # not Linux
        return False


def renew_interpreter() -> None:
    """Call ``PyOS_AfterFork_Child``, which also runs the fork hooks of the child, all of them.

    Does nothing where the child has another thread by now, whose state that would free, or may have greenlets
    as threads, which would count as ended. Nor in free-threaded builds: they have no such lock, and the call
    ends the process where ``PyOS_BeforeFork`` did not run.
    """
    if "t" in getattr(sys, "abiflags", "") or not _is_alone():
        return
    try:
        from ctypes import PyDLL, c_void_p  # see hooks.prepare_to_immortalize

        interpreter = PyDLL(None)
        renew, current, main = (
            interpreter.PyOS_AfterFork_Child,
            interpreter.PyInterpreterState_Get,
            interpreter.PyInterpreterState_Main,
        )
    except (ImportError, AttributeError):  # built without ctypes; loaded where its functions are not found
        return
    current.restype = main.restype = c_void_p
    if current() != main():  # os.fork refuses there
        return
    if not _imp.lock_held():  # os.fork takes it before, and this releases it: else 3.13 ends the process
        _imp.acquire_lock()
    # the interpreter drops what a signal handler raises in a hook
    signals.call_blocked(partial(_call_and_restore, renew), set())


def _call_and_restore(renew: Callable[[], object]) -> None:
    restoring = list(_kept())
    renew()
    for step in restoring:
        step()


def _kept() -> Iterator[Callable[[], object]]:
    """Put aside what the child has done by now and hooks of the standard library would undo, as they expect a
    new process. Yields the functions that restore it."""
    names = "random", "logging", "threading", "asyncio.events"
    random, logging, threading, events = map(_loaded, names)
    # names may be absent: those of modules that a thread of the parent was importing, and in later versions
    if hasattr(random, "setstate"):  # it may have set a seed
        yield partial(random.setstate, random.getstate())
    for one in (logging, *getattr(logging, "_at_fork_reinit_lock_weakset", ())):
        lock: Any = getattr(one, "_lock" if one is logging else "lock", None)
        if getattr(lock, "_is_owned", bool)():  # it may write a log to a filesystem
            yield partial(lock._acquire_restore, lock._release_save())
    if hasattr(threading, "_dangling"):  # those that are not started yet would count as ended
        unstarted = [thread for thread in list(threading._dangling) if thread.ident is None]
        threading._dangling.difference_update(unstarted)
        yield partial(threading._dangling.update, unstarted)
        if hasattr(threading, "_ThreadHandle"):  # the interpreter, too, counts them as ended in 3.13.0
            yield partial(_renew_handles, unstarted, threading._ThreadHandle)
    if hasattr(events, "_set_running_loop") and sys.version_info >= (3, 12):  # it may be in a coroutine
        yield partial(events._set_running_loop, events._get_running_loop())
        policy = getattr(events, "_event_loop_policy", None)
        if hasattr(policy, "_local"):
            yield partial(setattr, policy, "_local", policy._local)
        yield from _kept_wakeup()


def _loaded(name: str) -> Any:
    return sys.modules.get(name)


def _renew_handles(threads: list[Any], new: Callable[[], Any]) -> None:
    for thread in threads:
        thread._handle = new()


def _kept_wakeup() -> Iterator[Callable[[], object]]:
    """As `_kept`, for the descriptor by which signals wake an event loop."""
    import signal

    try:
        descriptor = signal.set_wakeup_fd(-1)
    except ValueError:  # not the main thread, which alone can have set one
        return
    if descriptor != -1:
        yield partial(_set_wakeup, descriptor)


def _set_wakeup(descriptor: int) -> None:
    import signal

    with suppress(OSError, ValueError):  # the child has closed it
        signal.set_wakeup_fd(descriptor)
