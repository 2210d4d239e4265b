"""Driving plans by awaiting, and doing many awaitable things at once.

As many workers as may be under way draw from one iterator, so that the number under way
is always full and nothing is made for an item but its coroutine.  Workers are started
as the ones before them come to wait: items that never wait are done by the first.

Runs on whichever loop awaits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from fsspec import config
from fsspec._plans import Plan, batch, call, emit

NOFILES_DEFAULT = 1280
_FILES_FALLBACK = 128


def get_batch_size(nofiles: bool = False) -> int:
    """How many operations may be under way; -1 for any number.

    Parameters
    ----------
    nofiles
        they open no local files.  Otherwise an eighth of the descriptors that the process
        may have is the default.
    """
    if nofiles:
        return config.conf.get("nofiles_gather_batch_size", NOFILES_DEFAULT)  # type: ignore[return-value]
    if "gather_batch_size" in config.conf:
        return config.conf["gather_batch_size"]  # type: ignore[return-value]
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return _FILES_FALLBACK
    limit = getrlimit(RLIMIT_NOFILE)[0]
    return -1 if limit == RLIM_INFINITY else limit // 8


class _Crew:
    """Workers on one list of jobs."""

    def __init__(
        self,
        jobs: Iterable[Callable[[], Awaitable[Any]]],
        size: int,
        return_exceptions: bool,
        done: Callable[[int, Any], None] | None,
    ) -> None:
        self.jobs: Iterator[tuple[int, Callable[[], Awaitable[Any]]]] = enumerate(jobs)
        self.size = size
        self.return_exceptions = return_exceptions
        self.done = done
        self.results: dict[int, Any] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.exhausted = False

    def hire(self) -> None:
        """Start another two, where there is work and room: their number doubles."""
        for _ in range(2):
            if self.exhausted or (0 <= self.size <= len(self.tasks) + 1):
                return
            self.tasks.append(asyncio.ensure_future(self.work()))

    async def work(self) -> None:
        hired = False
        for position, job in self.jobs:
            if not hired:
                hired = True
                self.hire()
            try:
                result = await job()
            except Exception as error:  # reported in its place, as was asked for
                if not self.return_exceptions:
                    raise
                result = error
            self.results[position] = result
            if self.done is not None:
                self.done(position, result)
        self.exhausted = True

    async def run(self) -> list[Any]:
        try:
            await self.work()
            at = 0
            while at < len(self.tasks):  # which grows meanwhile
                running, at = self.tasks[at:], len(self.tasks)
                await asyncio.gather(*running)
        except BaseException:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            raise
        return [self.results[position] for position in range(len(self.results))]


async def together(
    jobs: Iterable[Callable[[], Awaitable[Any]]],
    size: int,
    return_exceptions: bool = False,
    done: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """What each of ``jobs`` gives, in order, ``size`` of them under way at a time.

    The first failure cancels what is under way and is raised, unless
    ``return_exceptions``.
    """
    return await _Crew(jobs, size, return_exceptions, done).run()


def _method(fs: Any, name: str) -> Callable[..., Awaitable[Any]]:
    return getattr(fs, "_" + name)


async def _answer(fs: Any, step: call | batch) -> Any:
    if type(step) is call:
        return await _method(fs, step.name)(*step.args, **step.kwargs)
    assert type(step) is batch, step
    size = step.batch_size or getattr(fs, "batch_size", None) or get_batch_size(step.nofiles)

    def jobs() -> Iterator[Callable[[], Awaitable[Any]]]:
        for item in step.calls:  # type: ignore[union-attr]
            yield lambda item=item: _method(fs, item.name)(*item.args, **item.kwargs)  # type: ignore[misc]

    return await together(jobs(), size, step.return_exceptions, step.done)


async def drive(fs: Any, plan: Plan) -> Any:
    """What ``plan`` returns, by awaiting the methods of ``fs``."""
    try:
        step = next(plan)
        while True:
            try:
                answer = await _answer(fs, step)  # type: ignore[arg-type]
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        plan.close()


async def stream(fs: Any, plan: Plan) -> AsyncIterator[Any]:
    """The items that ``plan`` emits, by awaiting the methods of ``fs``."""
    try:
        step = next(plan)
        while True:
            if type(step) is emit:
                yield step.item
                step = next(plan)
                continue
            try:
                answer = await _answer(fs, step)  # type: ignore[arg-type]
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration:
        return
    finally:
        plan.close()


async def run_coros_in_chunks(
    coros: Iterable[Awaitable[Any]],
    batch_size: int | None = None,
    callback: Any = None,
    timeout: float | None = None,
    return_exceptions: bool = False,
    nofiles: bool = False,
) -> list[Any]:
    """What coroutines return, in order, so many of them under way at a time.

    Parameters
    ----------
    batch_size
        how many; -1 for all, None for the configured number.
    callback
        is told the number of coroutines, and each that has ended.
    timeout
        seconds for each.
    return_exceptions
        put what one raises in its place; otherwise the first is raised, the others are
        cancelled.
    nofiles
        they open no local files, see `get_batch_size`.
    """
    waiting = list(coros)
    size = get_batch_size(nofiles) if batch_size is None else batch_size
    if size == 0 or size < -1:
        for coro in waiting:
            coro.close()  # type: ignore[attr-defined]
        raise ValueError(f"the batch size is -1 for any number, or positive; not {size}")
    if callback is not None:
        callback.set_size(len(waiting))
    unfinished = set(range(len(waiting)))

    def started(position: int) -> Awaitable[Any]:
        unfinished.discard(position)
        coro = waiting[position]
        return coro if timeout is None else asyncio.wait_for(coro, timeout)

    def done(position: int, result: Any) -> None:
        if callback is not None:
            callback.relative_update(1)

    jobs = (lambda position=position: started(position) for position in range(len(waiting)))  # type: ignore[misc]
    try:
        return await together(jobs, size, return_exceptions, done)
    finally:
        for position in unfinished:
            close = getattr(waiting[position], "close", None)
            if close is not None:
                close()  # never awaited: an earlier one failed
