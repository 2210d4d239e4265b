"""The bridge from blocking callers to coroutines on an event loop.

`sync` hands a coroutine to the loop's thread and waits for it: one wake-up of the
loop, one of the caller, no timer.  `get_loop` returns the loop that fsspec owns, made
on the first call.  Any thread may call `sync` but the loop's own, which would wait for
itself.

In a forked child `sync` raises for a loop of the parent.  What the use of an inherited
instance does is decided in `fsspec._fork.instances`.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, Protocol, TypeVar

from fsspec import config
from fsspec._error_notes import advise
from fsspec._fork import hooks, instances
from fsspec._fork.owned import Owned, refuse
from fsspec._loop import forking, io_thread
from fsspec._loop.abandoning import is_abandoned
from fsspec._loop.io_thread import iothread, loop
from fsspec._spans import span
from fsspec.exceptions import ForkError, FSTimeoutError

T = TypeVar("T")

_CHECK_INTERVAL = 1.0  # seconds between two checks of a waiting thread that the loop exists
_CHECK_INTERVAL_AT_REST = 0.02
_CANCEL_LIMIT = 1.0  # seconds that a cancelled coroutine has to end after its timeout
_CLEANUP_LIMIT = 5.0  # seconds that it has after an interrupt; another interrupt ends the wait
_INSIDE_FORK_LIMIT = 5.0  # seconds that a fork hook may wait for the thread of a loop

_lock = Owned(threading.Lock)

get_running_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.get_running_loop


class FSSpecCoroutineCancel(Exception):
    """Thrown into coroutines by `_dump_running_tasks`."""


# the loop -------------------------------------------------------------------------
def get_lock() -> threading.Lock:
    """The lock held while the loop is made; each process has its own."""
    return _lock.get()


def reset_lock() -> None:
    """Forget the lock and the loop; the next call makes new ones."""
    _lock.release()
    loop[0] = iothread[0] = None


def get_loop() -> asyncio.AbstractEventLoop:
    """The loop on which blocking calls of awaitable filesystems run.

    Started in a daemon thread of its own on the first call in a process.
    """
    if not hooks.ready[0]:
        hooks.check()
    current = loop[0]
    if type(current) is io_thread.IOLoop or (current is not None and not is_abandoned(current)):
        return current
    with get_lock():
        current = loop[0]
        if current is None or is_abandoned(current):
            io = io_thread.IOThread()
            current, iothread[0] = io.loop, io.thread
            loop[0] = current
        return current


def running_async() -> bool:
    """Whether the caller runs inside an event loop."""
    return asyncio._get_running_loop() is not None


# waiting --------------------------------------------------------------------------
_MADE_ON_LOOP = object()
"""Stands for a coroutine that is made on the loop's thread."""


class _Job:
    """A call that the loop of another thread runs.

    A coroutine function is called on the loop's thread, where its coroutine is awaited at once: if the caller
    made it, a signal handled before it is passed on would leave it unawaited. Any other function is called on
    the caller's thread, since it may do work before it returns an awaitable.
    """

    __slots__ = (
        "args", "done", "error", "finished", "func", "given_up", "kwargs", "loop", "made", "result", "task"
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        func: Callable[..., Awaitable[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.loop = loop
        flags = getattr(getattr(func, "__code__", None), "co_flags", 0)
        self.made: Any = _MADE_ON_LOOP if flags & inspect.CO_COROUTINE else func(*args, **kwargs)
        self.result: Any = None
        self.error: BaseException | None = None
        self.task: Any = None
        self.finished = self.given_up = False
        self.done = threading.Lock()
        self.done.acquire()

    async def run(self) -> None:
        try:
            made = self.func(*self.args, **self.kwargs) if self.made is _MADE_ON_LOOP else self.made
            self.result = await made
        except BaseException as error:  # raised in the caller
            self.error = error
        finally:
            self.finished = True
            self.done.release()

    def start(self) -> None:
        if self.given_up:
            return
        running = self.run()
        try:
            self.task = self._create(running)
        except BaseException as error:  # of the program's task factory
            running.close()
            self._drop()
            self.error, self.finished = error, True
            self.done.release()

    if sys.version_info >= (3, 12):

        def _create(self, running: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            if isinstance(self.loop, io_thread.IOLoop):  # saves one iteration of the loop
                return asyncio.Task(running, loop=self.loop, eager_start=True)
            return self.loop.create_task(running)

    else:

        def _create(self, running: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            return self.loop.create_task(running)

    def cancel(self) -> None:
        """Cancel the call; if it has not begun it never will."""
        self.given_up = True
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()
        elif not self.finished:
            self._drop()
            self.finished = True
            self.done.release()

    def _drop(self) -> None:
        if inspect.iscoroutine(self.made):
            self.made.close()

    def wait(self, seconds: float | None) -> bool:
        """Wait until the call has ended, or for ``seconds`` without the time of forks; whether it has ended.

        Raises RuntimeError: the loop was closed.
        """
        until = None if seconds is None else time.monotonic() + seconds - hooks.seconds_held_up()
        while True:
            left = _CHECK_INTERVAL if getattr(self.loop, "waker", None) is None else _CHECK_INTERVAL_AT_REST
            if until is not None:
                left = min(left, until + hooks.seconds_held_up() - time.monotonic())
            if self.done.acquire(timeout=max(0.0, left)):
                return True
            if until is not None and time.monotonic() >= until + hooks.seconds_held_up():
                return False
            if self.task is not None and self.task.done() and not self.finished:
                # cancelled before its first step: polled for, as a done callback would cost more
                self.error = asyncio.CancelledError()
                self._drop()
                return True
            hooks.run_deferred()
            forking.run_while_waiting(self.loop, lambda: self.finished)
            if self.loop.is_closed():
                if self.done.acquire(blocking=False):
                    return True
                raise RuntimeError(f"the event loop was closed while {_named(self.func)} ran on it")

    def clean_up(self) -> None:
        """Wait until a cancelled call has ended: its cleanup could undo what the program's next call does.

        Polled, since the interrupted wait may have taken `done`.
        """
        until = time.monotonic() + _CLEANUP_LIMIT
        while not self.finished and not self.loop.is_closed() and time.monotonic() < until:
            if self.task is not None and self.task.done():  # before its first step
                self._drop()
                return
            self.done.acquire(timeout=_CHECK_INTERVAL_AT_REST / 4)


def _owner(func: object) -> object:
    return getattr(func, "__self__", None)


def _named(func: object) -> str:
    """The name of a function, with its instance, for a message."""
    owner = _owner(func)
    name = getattr(func, "__qualname__", None) or type(func).__qualname__
    return name if owner is None else f"{name} of {owner!r}"


def _refuse(target: asyncio.AbstractEventLoop | None, func: object, timeout: float | None) -> NoReturn:
    if target is not None and is_abandoned(target):
        if timeout:
            # finalizers of backends pass a timeout, and handle its error
            raise FSTimeoutError(
                f"{_named(func)} cannot run: its event loop stayed behind in the parent process"
            )
        refuse(target, f"the event loop that {_named(func)} was to run on", _LOOP)
    if target is None:
        method = getattr(func, "__self__", None) is not None
        what = _named(func) if method else "this call"
        name = f"{getattr(func, '__name__', func)}(...)" if method else "the coroutine of the same name"
        raise RuntimeError(
            f"{what} cannot block: the instance was made with asynchronous=True (by a library, if not by the"
            " program) and has no event loop in another thread to wait for. In the program's loop await"
            f" {name}, or open_async(...) for a file, or make an instance without asynchronous=True for"
            " blocking calls"
        )
    raise RuntimeError(f"the event loop that {_named(func)} was to run on is closed")


_LOOP = (
    "It never runs in this process: take the loop of an instance (fs.loop) or fsspec.asyn.get_loop() at each "
    "call, rather than keeping one from before the fork"
)

_PARENTS = "The parent continues with it; leave the child by os._exit where it was forked, or call it again"


def sync(
    loop: Any, func: Callable[..., Awaitable[T]], *args: Any, timeout: float | None = None, **kwargs: Any
) -> T:
    """Run ``func(*args, **kwargs)`` on ``loop`` and wait for what it returns.

    Parameters
    ----------
    loop
        a running event loop of another thread.
    func
        a coroutine function, called on the loop's thread; or another that returns an awaitable, called here.
    timeout
        seconds after which the coroutine is cancelled; None or 0 for no limit. It is waited
        for one second more at most, whatever it and the loop do. The time that a fork holds the
        loop up does not count. A method that closes something (``close``, ``aclose``, ``__aexit__``) is not
        cancelled but goes on.

    Raises
    ------
    FSTimeoutError
        the time has passed, or the coroutine itself met a timeout.
    NotImplementedError
        called on the thread of ``loop``, which cannot wait for itself.
    ForkError
        the loop belongs to the process that this one was forked from; or a fork hook calls, and
        the loop's thread waits for the fork.
    RuntimeError
        there is no loop, or it is closed.
    """
    if not hooks.ready[0]:
        hooks.check()
    if loop is None or loop.is_closed():
        _refuse(loop, func, timeout)
    if sys.is_finalizing():
        raise RuntimeError(f"the interpreter is ending: no event loop runs {_named(func)} any more")
    if asyncio._get_running_loop() is loop:
        raise NotImplementedError(
            "a blocking call on the event loop's own thread would wait for itself: in a coroutine await the"
            " method whose name begins with an underscore; workers of gevent and eventlet run the loop in the"
            " thread that calls, where awaitable filesystems do not work: use threads (gunicorn's gthread) or"
            " fsspec.implementations.http_sync"
        )
    # finalizers, which the program does not call, pass a timeout
    if "otel" in config.conf and timeout is None:
        from fsspec._loop.span_names import operation_name  # not above: only if spans are wanted

        with span(operation_name(func, args)):
            result: T = _run(_Job(loop, func, args, kwargs), timeout)
    else:
        result = _run(_Job(loop, func, args, kwargs), timeout)
    return result


def _run(job: _Job, timeout: float | None) -> Any:
    """Run a call on its loop and wait; returns its result or raises its exception."""
    loop = job.loop
    if hooks.deferred:
        hooks.run_deferred()
    if instances.reviving:
        instances.note_waiting(loop)
    try:
        if hooks.forking and hooks.forking == threading.get_ident():
            _run_inside_fork(job, timeout)
        else:
            _wait(job, timeout or None)
    finally:
        if instances.reviving:
            instances.note_waiting(None)
    error = job.error
    if error is None and not isinstance(job.result, BaseException):
        return job.result
    error = error or job.result  # an exception that is returned as the result is raised as well
    job.error = job.result = None  # a frame of its traceback refers to the job
    try:
        if isinstance(error, asyncio.TimeoutError) and not isinstance(error, FSTimeoutError):
            args = error.args or (f"{_named(job.func)}: a time limit of its client has passed",)
            raise FSTimeoutError(*args) from error
        advise(error, getattr(job.func, "__name__", ""), job.args, job.kwargs, _owner(job.func))
        raise error
    finally:
        del error, job  # the traceback refers to this frame


def _in_child() -> None:
    # end calls that a signal handler interrupted to fork: no loop of this process will
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code is _run.__code__ and "job" in frame.f_locals:
            job = frame.f_locals["job"]
            if not job.finished:
                # without its instance, whose repr would run foreign code
                name = getattr(job.func, "__qualname__", "a function")
                what = f"the call of {name} in which the process forked"
                job.error, job.finished = ForkError(what, hooks.owner_pid(None), advice=_PARENTS), True
            if job.done.locked():
                job.done.release()
        frame = frame.f_back


hooks.at_fork(child=_in_child)


def _wait(job: _Job, timeout: float | None) -> None:
    """Start a call and wait for it. Raises FSTimeoutError: it did not end within ``timeout``."""
    try:
        job.loop.call_soon_threadsafe(job.start)
        if job.wait(timeout):
            return
    except BaseException:  # an interrupt, or an exception of another signal handler
        job.cancel()
        job.clean_up()
        raise
    if getattr(job.func, "__name__", None) not in _CLOSING:
        job.cancel()
        job.wait(_CANCEL_LIMIT)
    raise FSTimeoutError(f"{_named(job.func)} did not end within {timeout} s")


_CLOSING = ("close", "aclose", "__aexit__")
"""Calls not cancelled by a timeout, which would leave resources open; finalizers pass short timeouts."""


def _run_inside_fork(job: _Job, timeout: float | None) -> None:
    """Run a call that a hook of the program makes during a fork: on this thread if the loop is at rest."""
    run = job.run()
    if forking.run_inside_fork(job.loop, run, timeout):
        if not job.finished:
            raise FSTimeoutError(f"{_named(job.func)} did not end within {timeout} s")
        return
    run.close()
    try:
        _wait(job, min(timeout or _INSIDE_FORK_LIMIT, _INSIDE_FORK_LIMIT))
    except FSTimeoutError:
        if timeout and timeout <= _INSIDE_FORK_LIMIT:
            raise
        raise ForkError(
            f"{_named(job.func)} was called inside a fork, by a hook of the program's, where it is not "
            "fork-safe: its event loop waits for what the fork holds up.\nMove the call out of the hook."
        ) from None
    finally:
        forking.rest_again(job.loop)


def sync_teardown(
    loop: asyncio.AbstractEventLoop | None,
    func_or_coro: Callable[..., Any] | Awaitable[Any],
    *args: Any,
    timeout: float | None = None,
    description: str = "teardown",
    **kwargs: Any,
) -> Any:
    """Run a closing function or coroutine on ``loop``, from any thread.

    On the loop's own thread it is scheduled, and not waited for.

    Parameters
    ----------
    func_or_coro
        a function, called with the arguments, or a coroutine.
    description
        what is being ended, for the message of an error.
    """
    if loop is None or loop.is_closed():
        if inspect.iscoroutine(func_or_coro):
            func_or_coro.close()
        raise RuntimeError(f"{description}: the event loop is not there or closed")
    coro = func_or_coro(*args, **kwargs) if callable(func_or_coro) else func_or_coro
    if not inspect.isawaitable(coro):
        return None
    if asyncio._get_running_loop() is loop:
        task = asyncio.ensure_future(coro, loop=loop)
        _ending.add(task)
        task.add_done_callback(_ending.discard)
        return None

    async def wait() -> object:
        return await coro

    try:
        return sync(loop, wait, timeout=timeout)
    except FSTimeoutError as error:
        raise FSTimeoutError(f"{description} did not end within {timeout} s") from error
    finally:
        if inspect.iscoroutine(coro) and inspect.getcoroutinestate(coro) == inspect.CORO_CREATED:
            coro.close()  # it was never started


_ending: set[Any] = set()


# instances ------------------------------------------------------------------------
class OnLoop(Protocol):
    """The attributes of an awaitable filesystem about its loop."""

    _pid: int
    _loop: asyncio.AbstractEventLoop | None
    asynchronous: bool


def note_instance(fs: OnLoop) -> None:
    """Record the loop of a new instance, if it is one of the program."""
    running = asyncio._get_running_loop()
    if fs.asynchronous and running is not None:
        forking.note_foreign(running)
    if fs._loop is not None:
        forking.note_foreign(fs._loop)


def reset_after_fork(server: object = None, worker: object = None, **others: object) -> bool:
    """Make everything that this process inherited through a fork usable in it.

    Where `FSSPEC_FORK_RESET` is not set it can be the ``worker_init_fn`` of a DataLoader, the
    ``initializer`` of a pool, gunicorn's ``post_fork``, a receiver of celery's
    ``worker_process_init``. Any number of calls in any process do no harm.

    Parameters
    ----------
    server, worker, **others
        not used: what gunicorn, DataLoaders and signals of celery call their hooks with

    Returns
    -------
    bool
        Whether there was anything to reset.
    """
    hooks.check()
    return instances.reset_inherited()


# reading -------------------------------------------------------------------------
def _dump_running_tasks(
    printout: bool = True,
    cancel: bool = True,
    exc: type[BaseException] = FSSpecCoroutineCancel,
    with_task: bool = False,
) -> list[dict[str, Any]]:
    """The running tasks of the loop, to debug a program that hangs.

    Parameters
    ----------
    printout
        print the stacks.
    cancel
        throw ``exc`` into each of the tasks.
    with_task
        put the task itself into its entry, under "task".

    Returns
    -------
    list of dict
        For each task "stack", lines of text, and of the innermost frame "file", "firstline" (of the
        function), "linelo" (where it is), "locals".
    """
    import traceback

    current = loop[0]
    found: list[dict[str, Any]] = []
    for task in asyncio.all_tasks(current) if current is not None else ():
        frames = task.get_stack()
        if not frames:
            continue
        code = frames[-1].f_code
        entry: dict[str, Any] = {
            "locals": frames[-1].f_locals,
            "file": code.co_filename,
            "firstline": code.co_firstlineno,
            "linelo": frames[-1].f_lineno,
            "stack": [line for frame in frames for line in traceback.format_stack(frame, 1)],
            "task": task if with_task else None,
        }
        if printout:
            print(task.get_name(), repr(task.get_coro()), "".join(entry["stack"]), sep="\n")
        found.append(entry)
        if cancel:
            waiting = getattr(task, "_fut_waiter", None)
            if waiting is not None and not waiting.done() and current is not None:
                current.call_soon_threadsafe(_throw, waiting, exc)
    return found


def _throw(future: asyncio.Future[Any], exc: type[BaseException]) -> None:
    if not future.done():
        future.set_exception(exc)
