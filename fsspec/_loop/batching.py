"""Running many coroutines concurrently, as many at a time as the batch size.

Workers take items from one iterator, as many workers as operations may run at a time; no task
is made for an item.  The first worker does all items that never suspend.  When an item suspends,
all other workers are started at once, in one iteration of the loop.
Where an item fails, those that may run beside it begin all the same, and are cancelled where they
suspend: what is done does not depend on which of them fails first.
When `run_concurrently` returns or raises, its workers have ended.

It runs on the loop that awaits it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any, TypeVar

from fsspec import config
from fsspec._error_notes import advise
from fsspec._fork import hooks
from fsspec.callbacks import DEFAULT_CALLBACK, Callback

T = TypeVar("T")

NOFILES_DEFAULT = 1280
FILES_FALLBACK = 128


def get_batch_size(nofiles: bool = False) -> int:
    """How many operations may be under way; -1 for any number.

    Parameters
    ----------
    nofiles
        they open no local files.  Otherwise an eighth of the descriptors that the process
        may have is the default.
    """
    if nofiles:
        number: int | None = config.conf.get("nofiles_gather_batch_size")
        return set_in_asyn("_NOFILES_DEFAULT_BATCH_SIZE", NOFILES_DEFAULT) if number is None else number
    if "gather_batch_size" in config.conf:
        size: int = config.conf["gather_batch_size"]
        return size
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return set_in_asyn("_DEFAULT_BATCH_SIZE", FILES_FALLBACK)
    limit = getrlimit(RLIMIT_NOFILE)[0]
    return -1 if limit == RLIM_INFINITY else limit // 8


def set_in_asyn(name: str, default: T) -> T:
    """A default that programs may have changed in `fsspec.asyn`, where upstream has it."""
    value: T = getattr(sys.modules.get("fsspec.asyn"), name, default)
    return value


class _Workers:
    """Workers on one list of items."""

    def __init__(
        self,
        items: Iterable[Any],
        start: Callable[[Any], Awaitable[Any]],
        size: int,
        return_exceptions: bool,
        done: Callable[[int, Any], None] | None,
    ) -> None:
        self.items: Iterator[tuple[int, Any]] = enumerate(items)
        self.start = start
        self.size = size
        self.return_exceptions = return_exceptions
        self.done = done
        self.results: dict[int, Any] = {}
        self.loop = asyncio.get_running_loop()
        self.workers: list[asyncio.Task[None]] = []
        self.busy = 0
        self.one_by_one = True  # nothing has suspended yet
        self.over: asyncio.Future[None] = self.loop.create_future()

    def _start_worker(self, drawn: tuple[int, Any] | None = None) -> None:
        self.busy += 1
        self.workers.append(self.loop.create_task(self.work(drawn)))

    def _start_others(self) -> None:
        """Start more workers: the first starts a second, which runs if the first suspends, and starts all.

        Each of those gets its first item here, so that there are no more workers than items.
        """
        if len(self.workers) == 1 != self.size:
            self._start_worker()
        elif len(self.workers) == 2:
            self.one_by_one = False
            for drawn in islice(self.items, self.size - 2 if self.size > 0 else None):
                self._start_worker(drawn)

    def _begin_the_rest(self, position: int) -> None:
        """Start workers for the items that would run beside one that failed, if each had one at once."""
        if self.one_by_one:
            beside = -(position + 1) % self.size if self.size > 0 else None
            self.one_by_one = False
            for drawn in islice(self.items, beside):
                self._start_worker(drawn)

    async def work(self, drawn: tuple[int, Any] | None) -> None:
        start, others_started = self.start, len(self.workers) > 2
        try:
            for position, item in self.items if drawn is None else chain((drawn,), self.items):
                if self.over.done() and (drawn is None or drawn[0] != position):
                    return  # another item failed; this one ended in spite of being cancelled
                if not others_started:
                    others_started = True
                    self._start_others()
                try:
                    result = await start(item)
                except Exception as error:  # put in its place, as requested
                    advise(error, getattr(item, "name", ""), getattr(item, "args", ()))
                    if not self.return_exceptions:
                        self._begin_the_rest(position)
                        raise
                    result = error
                self.results[position] = result
                if self.done is not None:
                    self.done(position, result)
                result = None
        except BaseException as error:  # raised by `run_concurrently`
            if not self.over.done():
                self.over.set_exception(error)
        else:
            self.busy -= 1
            if not self.busy and not self.over.done():
                self.over.set_result(None)

    async def run(self) -> list[Any]:
        self._start_worker()
        try:
            await self.over
        except Exception:
            await asyncio.sleep(0)  # what was started begins
            raise
        finally:
            left = [worker for worker in self.workers if not worker.done()]
            for worker in left:
                worker.cancel()
            if left:
                await asyncio.wait(left)
            del self.over, self.workers  # frames of the traceback of what failed refer to this object
        results, self.results = self.results, {}
        return [results[position] for position in range(len(results))]


async def run_concurrently(
    items: Iterable[Any],
    start: Callable[[Any], Awaitable[Any]],
    size: int,
    return_exceptions: bool = False,
    done: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """The results of awaiting ``start(item)`` for each item, in order; ``size`` of them run at a time.

    The first exception cancels the others, when each has begun, and is raised when they have ended.

    ``items``: iterated over as work proceeds.
    ``size``: -1 for no limit.
    ``return_exceptions``: exceptions become results, except for a cancellation.
    ``done``: called with the position and the result of each item when it ends.
    Raises ValueError for a size that is neither -1 nor positive.
    """
    if size == 0 or size < -1:
        raise ValueError(f"the batch size is -1 for any number, or positive; not {size}")
    return await _Workers(items, start, size, return_exceptions, done).run()


def start_in_thread(func: Callable[[], T], name: str) -> asyncio.Future[T]:
    """A future for the result of ``func``, which starts now in a new thread called ``name``.

    No thread pool is used, so that no idle thread exists when the process forks.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T, error: BaseException | None) -> None:
        if done.done():  # it was cancelled
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result: Any = None
        failed = None
        try:
            result = func()
        except BaseException as error:  # raised when it is waited for
            failed = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    hooks.start_thread(run, name)
    return done


async def run_coros_in_chunks(
    coros: Iterable[Awaitable[Any]],
    batch_size: int | None = None,
    callback: Callback = DEFAULT_CALLBACK,
    timeout: float | None = None,
    return_exceptions: bool = False,
    nofiles: bool = False,
) -> list[Any]:
    """What coroutines return, in order, with this many of them under way at a time.

    Parameters
    ----------
    batch_size
        how many; -1 for all, None for the configured number.
    callback
        gets an update for each coroutine that has ended.
    timeout
        seconds for each.
    return_exceptions
        put what one raises in its place; otherwise the first is raised, the others are
        cancelled, and those not begun are closed.
    nofiles
        they open no local files, see `get_batch_size`.

    Raises
    ------
    ValueError
        for a batch size that is neither -1 nor positive.
    """
    waiting = list(coros)
    size = get_batch_size(nofiles) if batch_size is None else batch_size
    callback = Callback.as_callback(callback)

    def start(coro: Awaitable[Any]) -> Awaitable[Any]:
        return coro if timeout is None else asyncio.wait_for(coro, timeout)

    def done(position: int, result: object) -> None:
        callback.relative_update(1)

    try:
        return await run_concurrently(waiting, start, size, return_exceptions, done)
    finally:
        for coro in waiting:  # those that were not begun
            if close := getattr(coro, "close", None):  # a future has none
                close()
