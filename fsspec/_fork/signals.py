"""Signals: handlers that raise within a hook of a fork, and threads of ours that receive no signals.

The interpreter drops what a hook raises, so `fsspec._fork.hooks` calls such a handler again when the fork is
over. `raised` and `is_of_signal` are for the thread that forks, in both processes.

A program that must not be ended for a while blocks a signal in its own thread, or takes it by
``signal.sigwait``. The kernel would then give it to a thread of ours, and end the process. So the threads of
loops are begun by `start`, and threads of their executors inherit the blocked signals, until they run a
function of a program. A child that one of them forks receives signals again, as does a process that asyncio
starts on a loop of ours, and what an executor of a program starts there. What a coroutine starts by
``subprocess`` or ``threading`` in the loop's thread itself inherits the blocked signals. Threads made for one
blocking call receive signals, since they may start processes.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

    from fsspec._paths.types import T

raised: tuple[list[int], ...] = ([], [], [])
"""In each at most one, of those whose handlers raised within a hook."""


def is_of_signal(error: BaseException) -> bool:
    """Whether a signal handler raised ``error``. If so the handler is called again after the fork.

    Hooks may wait for seconds; a Ctrl-C, or a SIGTERM to a new worker, must not be lost meanwhile.
    """
    import signal  # has been imported by who set a handler

    number, traceback = 0, error.__traceback__
    if isinstance(error, KeyboardInterrupt):
        number = _number(signal.default_int_handler, None)
    while traceback is not None and not number:
        number, traceback = _number(None, traceback.tb_frame), traceback.tb_next
    slot = next((slot for slot in raised if slot in ([], [number])), None)
    if not number or slot is None:
        return False
    slot[:] = [number]
    return True


def _number(handler: object, frame: FrameType | None) -> int:
    """The signal that ``handler``, or the function of ``frame``, was called for as a handler; 0 for none."""
    import signal

    given: tuple[Any, ...] = ()
    if frame is not None:
        code, values = frame.f_code, frame.f_locals
        given = tuple(values.get(name) for name in code.co_varnames[: code.co_argcount][:2])
        if code.co_flags & 4:  # it takes *args
            given += tuple(values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ()))[:2]
    for number in signal.valid_signals():
        found = signal.getsignal(number)
        if frame is None:
            if found is handler:
                return number
        elif number in given and getattr(getattr(found, "__func__", found), "__code__", None) is frame.f_code:
            return number
    return 0


_of_thread = _thread._local()  # of each thread: whether it is one of ours
_blocked: set[int] = set()
"""Signals that threads of ours block, and that the program had not blocked when they were started."""


def start(thread: threading.Thread) -> None:
    """Start a thread of ours that receives no signal which ends a process.

    Signals are blocked here meanwhile, and inherited, so that it has them blocked from its first instruction.
    If gevent makes it a greenlet of this thread, nothing stays blocked.
    Raises RuntimeError: there can be no more threads.
    """
    call_blocked(thread.start, _blocked)


def call_blocked(func: Callable[[], object], noted: set[int]) -> None:
    """Call ``func`` with those signals blocked that end a process: they are received after it.

    Those that were not blocked before are added to ``noted`` first.
    """
    import signal

    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        func()
        return
    names = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2")
    kept = {getattr(signal, name) for name in names}
    added = kept.difference(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, added)
        noted.update(added)
        func()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, added)


def mark() -> None:
    """Called first in each thread that is begun with signals blocked."""
    _of_thread.is_ours = True


def is_ours() -> bool:
    """Whether this thread was begun with signals blocked."""
    return getattr(_of_thread, "is_ours", False)


def unblock() -> None:
    """Unblock signals in a thread that one of our threads started."""
    if _blocked:
        import signal

        signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked)


def unblock_in_child() -> None:
    """Unblock signals in a forked child if its only thread was one of ours."""
    if is_ours():
        _of_thread.is_ours = False
        unblock()


@contextmanager
def unblocked() -> Iterator[None]:
    """While a thread of ours starts a process, which inherits what it blocks."""
    if not is_ours() or not _blocked:
        yield
        return
    import signal

    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked)
    try:
        yield
    finally:
        if is_ours():  # a coroutine may continue in another thread
            signal.pthread_sigmask(signal.SIG_BLOCK, _blocked.intersection(before))


def call_unblocked(func: Callable[..., T], *args: Any) -> T:
    """What ``func`` gives, which may start threads and processes, in a thread of ours."""
    with unblocked():
        return func(*args)
