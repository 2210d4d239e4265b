"""Fetching a file's bytes before they are wanted, for a reader that reads on in order.

Owns `BackgroundPrefetcher` and its two halves.  The *producer* keeps fetches under way;
the *consumer* hands out what they bring.  Between them is a queue of blocks, in the order
of the file and without gaps, from the reader's position::

    reader's position        consumer.offset
    |--- blocks that arrived or are under way ---|
                                                 producer.current_offset

Nothing is fetched ahead for the first reads: from the third in a row on, the window ahead
grows with each read by the average of what was read, and more slowly once it is as long
as a fetch should be, unless reads have to wait for what was fetched ahead.  A read elsewhere
empties the queue and starts over.

Everything here runs on one event loop, except that `BackgroundPrefetcher.fetch` may be
called from another thread, one at a time, and takes bytes of the block at hand without
crossing to the loop, and `BackgroundPrefetcher.read` on several.  Between reads nothing
waits on the loop: a prefetcher without references is collected. In a forked child a
prefetcher starts over at its next read, on a loop of the child's, with the blocks that
had arrived; fetches of the parent stay the parent's.
"""

from __future__ import annotations

import _thread
import asyncio
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fsspec._files.prefetching import (
    AsyncFetcher,
    Block,
    PrefetchConsumer,
    PrefetchProducer,
    RunningAverageTracker,
)
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own
from fsspec._loop.batching import start_in_thread
from fsspec._public import publish

if TYPE_CHECKING:
    import logging

    logger: logging.Logger

__all__ = [
    "AsyncFetcher",
    "BackgroundPrefetcher",
    "PrefetchConsumer",
    "PrefetchProducer",
    "RunningAverageTracker",
    "threaded",
]
publish(__name__, logger="fsspec.prefetcher")


def threaded(fetcher: Callable[[int, int], bytes]) -> AsyncFetcher:
    """Make an awaitable fetcher of a blocking one, ``fetcher(start, end)``.

    Each fetch has a thread of its own, which ends with it, so that there is no idle thread
    when the process forks.
    """

    async def fetch(start: int, size: int, split_factor: int = 1) -> bytes:
        return await start_in_thread(partial(fetcher, start, start + size), "fsspec-prefetch")

    return fetch


class BackgroundPrefetcher:
    """Reads a file through fetches made before their bytes are wanted.

    Parameters
    ----------
    fetcher
        awaited as ``fetcher(start, size, split_factor=n)`` on the loop; a blocking function
        of these arguments is not accepted.
    size
        of the file, in bytes.
    concurrency
        how many requests may be under way at once.
    max_prefetch_size
        bytes that may be fetched ahead at most; by default 128 MiB or two reads, the larger.
    min_prefetch_size
        bytes that are fetched ahead at least, from the second read in a row on, but not more than 64 times
        what was read; by default as many as were read, from the third read on, more with each read.
    loop
        the event loop that fetches run on; by default the running one, or else fsspec's own.

    Raises
    ------
    ValueError
        if ``concurrency`` or ``max_prefetch_size`` is not positive.
    """

    producer: PrefetchProducer = None  # type: ignore[assignment]  # until it is constructed
    loop: asyncio.AbstractEventLoop
    wakeup_event: asyncio.Event
    read_tracker: RunningAverageTracker
    consumer: PrefetchConsumer
    is_stopped: bool

    def __init__(
        self,
        fetcher: AsyncFetcher,
        size: int,
        concurrency: int,
        max_prefetch_size: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        min_prefetch_size: int = 0,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}, but at least one request is needed to read")
        if max_prefetch_size is not None and max_prefetch_size < 1:
            raise ValueError(f"max_prefetch_size is {max_prefetch_size}; None leaves it to the prefetcher")
        self.size = size
        self.concurrency = concurrency
        self.max_prefetch_size = max_prefetch_size
        self.min_prefetch_size = min_prefetch_size
        self.is_stopped = False
        self.loop = loop if loop is not None else _default_loop()
        self._next_error: BaseException | None = None
        self._begin_anew(fetcher, 0)

    def _begin_anew(self, fetcher: AsyncFetcher, offset: int) -> None:
        own(self)
        self._being_read = _thread.allocate_lock()
        self._async_lock = asyncio.Lock()
        self.queue: deque[Block] = deque()
        self.wakeup_event = asyncio.Event()
        self.read_tracker = RunningAverageTracker()
        self.consumer = PrefetchConsumer(self.queue, self.wakeup_event, self.read_tracker, self)
        self.producer = PrefetchProducer(
            fetcher,
            self.size,
            self.concurrency,
            self.queue,
            self.wakeup_event,
            self.consumer,
            self.read_tracker,
            self,
            user_max_prefetch_size=self.max_prefetch_size,
            min_prefetch_size=self.min_prefetch_size,
        )
        self.consumer.offset = self.producer.current_offset = offset

    def _begin_in_child(self) -> None:
        """Go on with the blocks that have come, unless a thread of the parent was in `read`; fetches under
        way stay with the parent."""
        producer, consumer, whole = self.producer, self.consumer, not self._being_read.locked()
        tasks = [*producer._active_tasks, producer._producer_task]
        if any(tasks):
            hooks.immortalize(tasks)  # collecting them would run their ends here
        self.loop = _default_loop()
        self._begin_anew(producer.fetcher, consumer.offset)
        if not whole:
            return
        self.consumer._current_block = consumer._current_block
        for block in producer.queue:
            if block.data is None:
                break
            block.task = None
            self.queue.append(block)
            self.producer.current_offset = block.end

    def closed_error(self) -> RuntimeError:
        """What a read raises once it is closed."""
        return RuntimeError(
            "the file has been closed: nothing can be read from a prefetcher that was closed, and a read"
            " that is under way ends with it"
        )

    def set_error(self, e: BaseException) -> None:
        """Let the next read raise an error; the one after it starts over."""
        self._next_error = e

    def _read_range(self, start: int | None, end: int | None) -> tuple[int, int]:
        if self.is_stopped:
            raise self.closed_error()
        if not is_mine(self):
            self._begin_in_child()
        start = start or 0
        if start < 0:
            raise ValueError(f"a read cannot begin at {start}")
        return start, self.size if end is None else min(end, self.size)

    async def _fetch(self, start: int, end: int) -> bytes:
        async with self._async_lock:
            if self.is_stopped:
                raise self.closed_error()
            producer, consumer = self.producer, self.consumer
            error, self._next_error = self._next_error, None
            if error is not None:
                raise error
            block = consumer._current_block
            if block is not None and block.data is not None and block.start <= start < consumer.offset:
                consumer.offset = start  # what follows in the queue continues from this block
            elif consumer.offset < start < producer.current_offset:
                await consumer.skip(start - consumer.offset)
            elif start != consumer.offset:
                await self._begin_at(start)
            try:
                return await consumer.consume(end - start)
            except BaseException:
                await self._begin_at(start)  # what is in the queue now has gaps
                raise

    async def _begin_at(self, position: int) -> None:
        await self.producer.restart(position)
        self.consumer.clear_buffer()
        self.consumer.seek(position)

    def fetch(self, start: int | None, end: int | None) -> bytes:
        """The bytes from ``start`` up to ``end``, fewer only if the file ends before.

        Blocks; not to be called on the loop.

        Raises
        ------
        RuntimeError
            if it was closed.
        OSError
            what the fetch raised, or if fewer bytes came than the file should have.
        """
        start, end = self._read_range(start, end)
        if start >= end:
            return b""
        if self._next_error is None:
            data = self.consumer.at_hand(start, end)
            if data is not None:
                if self.producer.bytes_to_fetch():
                    self.loop.call_soon_threadsafe(self.producer.start)
                return data
        from fsspec._loop.bridge import sync  # not above: a cache that is never read needs no loop

        return sync(self.loop, self._fetch, start, end)

    def read(self, start: int, end: int, ask: Callable[[int, int], bytes]) -> bytes:
        """As `fetch`, on any number of threads. While one of them reads, the others ask for their bytes
        themselves, and what is fetched ahead stays where that one reads.

        Parameters
        ----------
        ask
            the blocking function that the fetcher was made of; see `threaded`.
        """
        start, end = self._read_range(start, end)
        being_read = self._being_read
        if not being_read.acquire(blocking=False):
            return ask(start, end)[: end - start]
        try:
            data = self.fetch_here(start, end, ask)
            return self.fetch(start, end) if data is None else data
        finally:
            being_read.release()

    def fetch_here(self, start: int, end: int, ask: Callable[[int, int], bytes]) -> bytes | None:
        """Bytes that no fetch ahead is concerned with, asked for on this thread.

        So a read that is one of few in a row costs neither a thread nor the crossing to the loop.

        Parameters
        ----------
        ask
            the blocking function that the fetcher was made of; see `threaded`.

        Returns
        -------
        bytes or None
            None, and nothing was asked for, if `fetch` is to be called.
        """
        start, end = self._read_range(start, end)
        producer, consumer = self.producer, self.consumer
        if start >= end or self._next_error is not None or self._is_busy() or producer.queue:
            return None
        block = consumer._current_block
        if block is not None and block.start <= start < block.end:
            return None  # a part of it, or all, is at hand
        in_order = start == consumer.offset == producer.current_offset
        if in_order and consumer.sequential_streak + 1 >= producer.streak_needed:
            return None
        if producer.in_parts(end - start) < end - start:
            return None
        consumer.clear_buffer()
        del block  # its memory is free before more comes
        if not in_order:
            consumer.seek(start)
            producer.current_offset = start
        data = ask(start, end)
        data = data if len(data) <= end - start else data[: end - start]
        arrived = consumer._current_block = Block(start, len(data))
        arrived.data = data
        consumer._count_read(len(data))
        consumer.offset = producer.current_offset = arrived.end
        return data

    def continue_from(self, position: int, size: int) -> None:
        """Begin at a position as if reads of ``size`` bytes in order had led there; nothing was read yet."""
        self.consumer.offset = self.producer.current_offset = position
        for _ in range(self.producer.streak_needed - 1):
            self.consumer._count_read(size)

    async def afetch(self, start: int | None, end: int | None) -> bytes:
        """As `fetch`, awaited, on any loop."""
        start, end = self._read_range(start, end)
        if start >= end:
            return b""
        if asyncio.get_running_loop() is self.loop:
            return await self._fetch(start, end)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._fetch(start, end), self.loop))

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancel what is under way, and wait until it has ended.

        On the loop's own thread nothing is waited for. Closing again does nothing, and so
        does closing in a forked child what was not read there.

        ``timeout``: seconds to wait at most.
        """
        if not self._stops_here():
            return
        if not self._is_busy() or self.loop.is_closed() or sys.is_finalizing():
            self.queue.clear()
            return
        from fsspec._loop.bridge import sync_teardown

        sync_teardown(self.loop, self.producer.stop, timeout=timeout, description="closing a prefetcher")

    def _stops_here(self) -> bool:
        """Stop; whether it was not stopped yet, and what may be under way is this process's."""
        stopped, self.is_stopped = self.is_stopped, True
        return not stopped and is_mine(self)

    def _is_busy(self) -> bool:
        return bool(self.producer._active_tasks or self.producer._producer_task)

    def abandon(self) -> None:
        """Cancel what is under way without waiting for it, for finalizers."""
        stops_here = self._stops_here()
        self.consumer.clear_buffer()  # consumer and producer refer to this, so that a collection frees them
        if not stops_here or self.loop.is_closed():
            return
        for task in [*self.producer._active_tasks, self.producer._producer_task]:
            if task is not None:
                self.loop.call_soon_threadsafe(task.cancel)

    async def aclose(self) -> None:
        """As `close`, awaited."""
        if not self._stops_here():
            return
        if asyncio.get_running_loop() is self.loop:
            await self.producer.stop()
        elif self._is_busy() and not self.loop.is_closed():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.producer.stop(), self.loop))

    def __enter__(self) -> BackgroundPrefetcher:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()

    async def __aenter__(self) -> BackgroundPrefetcher:
        return self

    async def __aexit__(self, *args: Any) -> None:
        await self.aclose()


def _default_loop() -> asyncio.AbstractEventLoop:
    """The running loop, or else fsspec's own."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        from fsspec._loop.bridge import get_loop  # as in fetch

        return get_loop()
