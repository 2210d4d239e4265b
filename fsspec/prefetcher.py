"""Fetching a file's bytes before they are wanted, for a reader that goes on in order.

Owns `BackgroundPrefetcher` and its two halves.  The *producer* keeps fetches under way;
the *consumer* hands out what they bring.  Between them is a queue of blocks, in the order
of the file and without gaps, from the reader's position on::

    reader's position        consumer.offset
    |--- blocks that arrived or are under way ---|
                                                 producer.current_offset

Nothing is fetched ahead for the first reads: from the third in a row on, the window ahead
grows with each read by the average of what was read, and more slowly once it is as long
as a fetch should be, unless reads have to wait for what was fetched ahead.  A read elsewhere
empties the queue and begins anew.

Everything here runs on one event loop, except that `BackgroundPrefetcher.fetch` may be
called from another thread, one at a time, and takes bytes of the block at hand without
crossing to the loop.  Between reads nothing waits on the loop: a prefetcher that nobody
refers to any more goes.  In a forked child a prefetcher begins anew at its next read, on a
loop of the child's, with the blocks that had arrived; fetches of the parent stay the
parent's.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own
from fsspec._loop.batching import started
from fsspec._public import publish
from fsspec.exceptions import ShortFetch

if TYPE_CHECKING:
    import logging

    logger: logging.Logger

AsyncFetcher = Callable[..., Awaitable[bytes]]
"""Awaited as ``fetcher(start, size, split_factor=n)``: it may use ``n`` requests at once."""


publish(__name__, logger="fsspec.prefetcher")


def threaded(fetcher: Callable[[int, int], bytes]) -> AsyncFetcher:
    """Make an awaitable fetcher of a blocking one, ``fetcher(start, end)``.

    Each fetch has a thread of its own, which ends with it, so that no idle thread is there
    when the process forks.
    """

    async def fetch(start: int, size: int, split_factor: int = 1) -> bytes:
        return await started(partial(fetcher, start, start + size), "fsspec-prefetch")

    return fetch


class RunningAverageTracker:
    """The sizes of the last reads.

    Parameters
    ----------
    maxlen
        how many are remembered.
    """

    def __init__(self, maxlen: int = 10) -> None:
        self._values: deque[int] = deque(maxlen=maxlen)
        self._total = 0

    def add(self, value: int) -> None:
        """Remember a size, in bytes; zero is not one.

        Raises
        ------
        ValueError
            if it is negative.
        """
        if value < 0:
            raise ValueError(f"the size of a read cannot be {value}")
        if value == 0:
            return
        if len(self._values) == self._values.maxlen:
            self._total -= self._values[0]
        self._values.append(value)
        self._total += value

    @property
    def average(self) -> int:
        """In whole bytes; 1 MiB where nothing was read yet."""
        return self._total // len(self._values) if self._values else 2**20

    @property
    def is_variable(self) -> bool:
        """Whether the sizes differ."""
        return bool(self._values) and self._values.count(self._values[0]) != len(self._values)

    @property
    def last_value(self) -> int:
        """The size added last.

        Raises
        ------
        RuntimeError
            if there is none.
        """
        if not self._values:
            raise RuntimeError("nothing has been read yet")
        return self._values[-1]

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
        self._total = 0


class _Block:
    """Bytes of the file that are being fetched, or have come."""

    __slots__ = ("data", "size", "start", "task")

    def __init__(self, start: int, size: int) -> None:
        self.start: int = start
        self.size: int = size
        self.data: bytes | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def end(self) -> int:
        return self.start + self.size


class PrefetchProducer:
    """Keeps fetches under way; made by `BackgroundPrefetcher`.

    Parameters
    ----------
    fetcher
        see `AsyncFetcher`. May be replaced at any time.
    size
        of the file, in bytes.
    concurrency
        how many requests may be under way at once.
    queue
        of the blocks, shared with the consumer.
    wakeup_event
        set where there may be something to begin.
    user_max_prefetch_size
        bytes that may be fetched ahead at most.
    min_prefetch_size
        bytes that are fetched ahead at least, where anything is.
    """

    MIN_CHUNK_SIZE: ClassVar[int] = 5 * 2**20
    """Bytes of a fetch ahead at least, once that much may be fetched ahead."""
    MIN_STREAKS_FOR_PREFETCHING: ClassVar[int] = 3
    """How many reads in a row there are before anything is fetched ahead."""
    MIN_PREFETCH_SIZE: ClassVar[int] = 128 * 2**20
    """Bytes that may be fetched ahead in any case, unless the user says less."""
    MOST_AHEAD_OF_READ: ClassVar[int] = 64
    """How many times what was read in a row the user's least may be."""
    VARIABLE_IO_THRESHOLD: ClassVar[int] = 64 * 2**20
    """Bytes that may be fetched ahead where reads are of different sizes."""

    def __init__(
        self,
        fetcher: AsyncFetcher,
        size: int,
        concurrency: int,
        queue: deque[_Block],
        wakeup_event: asyncio.Event,
        consumer: PrefetchConsumer,
        tracker: RunningAverageTracker,
        orchestrator: BackgroundPrefetcher,
        user_max_prefetch_size: int | None = None,
        min_prefetch_size: int = 0,
    ) -> None:
        self.fetcher = fetcher
        self.size = size
        self.concurrency = concurrency
        self.queue = queue
        self.wakeup_event = wakeup_event
        self.orchestrator = orchestrator
        self.consumer = consumer
        self.tracker = tracker
        self.current_offset: int = 0
        self.is_stopped: bool = False
        self.behind: bool = min_prefetch_size > 0  # it is slow: a read had to wait, or the user says so
        self._user_max_prefetch_size = user_max_prefetch_size
        self._min_prefetch_size = min_prefetch_size
        self._active_tasks: set[asyncio.Task[None]] = set()
        self._producer_task: asyncio.Task[None] | None = None

    @property
    def max_prefetch_size(self) -> int:
        """Bytes that may be fetched ahead."""
        if self._user_max_prefetch_size is not None:
            return self._user_max_prefetch_size
        if self.tracker.is_variable:
            return self.VARIABLE_IO_THRESHOLD
        return max(self.MIN_PREFETCH_SIZE, 2 * self.tracker.average)

    def wanting(self) -> int:
        """How many bytes more should be fetched ahead now; 0 while half the window is there."""
        reads = self.consumer.sequential_streak - self.streak_needed + 1
        if reads <= 0 or self.is_stopped:
            return 0
        average = self.tracker.average
        window = reads * average
        if average < self.MIN_CHUNK_SIZE < window and not self.behind:
            # from here on it grows by the fetch, not by the read
            window = self.MIN_CHUNK_SIZE + (window - self.MIN_CHUNK_SIZE) * average // self.MIN_CHUNK_SIZE
        least = min(
            self._min_prefetch_size, self.MOST_AHEAD_OF_READ * self.consumer.sequential_streak * average
        )
        window = min(max(window, least), self.max_prefetch_size)
        ahead = self.current_offset - self.consumer.offset
        if 2 * ahead > window and not (self.behind and window - ahead >= self.MIN_CHUNK_SIZE):
            return 0
        return min(window - ahead, self.size - self.current_offset)

    @property
    def streak_needed(self) -> int:
        """How many reads in a row there are before anything is fetched ahead."""
        return self.MIN_STREAKS_FOR_PREFETCHING - (self._min_prefetch_size > 0)

    def begin_read(self, size: int) -> None:
        """Begin to fetch what a read is to wait for, and what follows it as well where that is little."""
        wanted = self.wanting()
        if size < wanted <= min(2 * size, self.MIN_CHUNK_SIZE):
            size = wanted
        step = self.in_parts(size)
        for done in range(0, size, step):
            self.begin_block(min(step, size - done))

    def in_parts(self, size: int) -> int:
        """Bytes of each fetch for a read: where the user says that a connection is slow it uses several."""
        return max(self.MIN_CHUNK_SIZE, -(-size // self.concurrency)) if self._min_prefetch_size else size

    def begin_block(self, size: int) -> _Block:
        """Begin to fetch the block after those in the queue."""
        block = _Block(self.current_offset, size)
        self.current_offset += size
        block.task = asyncio.get_running_loop().create_task(self._fill(block))
        self._active_tasks.add(block.task)
        block.task.add_done_callback(self._ended)
        self.queue.append(block)
        return block

    async def _fill(self, block: _Block) -> None:
        free = self.concurrency // (len(self._active_tasks) or 1)
        split = max(1, min(free, block.size // self.MIN_CHUNK_SIZE))
        data = await self.fetcher(block.start, block.size, split_factor=split)
        if len(data) < block.size:
            raise ShortFetch(
                f"bytes {block.start}-{block.end} came back as {len(data)} instead of {block.size}: the file"
                f" became shorter than the {self.size} bytes it had, or the transfer broke off; open it again"
            )
        block.data = data if len(data) == block.size else data[: block.size]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._active_tasks.discard(task)
        if not task.cancelled():
            task.exception()  # it is raised where the block is wanted, if it ever is
        self.wakeup_event.set()

    def start(self) -> None:
        """See that what should be fetched ahead is under way. On the loop."""
        self.wakeup_event.set()
        if self._producer_task is None and self.wanting():
            self._producer_task = asyncio.get_running_loop().create_task(self._loop())

    async def _loop(self) -> None:
        """Begin fetches as there is room for them, until enough is under way."""
        try:
            while (wanted := self.wanting()) > 0:
                self.wakeup_event.clear()
                free = self.concurrency - len(self._active_tasks)
                if free > 0:
                    size = 0 if self._min_prefetch_size else self.tracker.average
                    self.begin_block(min(wanted, max(self.MIN_CHUNK_SIZE, size)))
                else:
                    await self.wakeup_event.wait()
        finally:
            self._producer_task = None

    async def stop(self) -> None:
        """Fetch nothing any more, and cancel what is under way."""
        self.is_stopped = True
        await self._cancel()

    async def _cancel(self) -> None:
        tasks = [*self._active_tasks]
        if self._producer_task is not None:
            tasks.append(self._producer_task)
        self.queue.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def restart(self, new_offset: int) -> None:
        """Drop what was fetched ahead; what is fetched next begins elsewhere."""
        await self._cancel()
        self.current_offset = new_offset
        self.is_stopped = False


class PrefetchConsumer:
    """Hands out bytes in the order of the file; made by `BackgroundPrefetcher`.

    Parameters
    ----------
    queue
        of the blocks, shared with the producer.
    wakeup_event
        set where there is room for further fetches.
    """

    def __init__(
        self,
        queue: deque[_Block],
        wakeup_event: asyncio.Event,
        tracker: RunningAverageTracker,
        orchestrator: BackgroundPrefetcher,
    ) -> None:
        self.queue = queue
        self.wakeup_event = wakeup_event
        self.tracker = tracker
        self.orchestrator = orchestrator
        self.offset: int = 0
        self.sequential_streak: int = 0
        self._current_block: _Block | None = None  # the one that was read last

    def seek(self, new_offset: int) -> None:
        """Go on elsewhere: the reads before do not count any more."""
        self.offset = new_offset
        self.sequential_streak = 0
        self.tracker.clear()

    def clear_buffer(self) -> None:
        """Let go of the bytes at hand."""
        self._current_block = None

    def at_hand(self, start: int, end: int) -> bytes | None:
        """Bytes that lie in the block at hand, None if not all do. On any thread."""
        block = self._current_block
        if block is None or block.data is None or not block.start <= start <= end <= block.end:
            return None
        if start == self.offset:
            self._count(end - start)
        self.offset = end
        return block.data[start - block.start : end - block.start]

    async def consume(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end of the file."""
        producer = self.orchestrator.producer
        begin, end = self.offset, min(self.offset + size, producer.size)
        data = self.at_hand(begin, end)
        if data is None:
            self._count(end - begin)
            # from now on, for the window, the reader is where it will be
            self.offset = end
            missing = end - max(begin, producer.current_offset)
            if missing > 0:
                producer.begin_read(missing)
            producer.start()
            data = await self._gather(begin, end)
        else:
            producer.start()
        return data

    async def skip(self, size: int) -> None:
        """Pass over bytes that were fetched ahead; only those that are under way are waited for."""
        self.offset += size
        while len(self.queue) > 1 and self.queue[0].end <= self.offset:
            self.queue.popleft()

    def _count(self, size: int) -> None:
        self.tracker.add(size)
        self.sequential_streak += 1

    async def _gather(self, begin: int, end: int) -> bytes:
        parts: list[memoryview] = []
        position = begin
        for block in [self._current_block, *self.queue]:
            if block is None or not block.start <= position < block.end:
                continue
            if block.data is None and block.task is not None:
                self.orchestrator.producer.behind = True
                await asyncio.wait([block.task])
                if block.task.cancelled():
                    raise self.orchestrator.closed_error()
                block.task.result()  # raises what the fetch raised
            assert block.data is not None
            self._current_block = block
            while self.queue and self.queue[0].end <= min(end, block.end):
                self.queue.popleft()
            first, last = position - block.start, end - block.start
            if not parts and end <= block.end:
                return block.data[first:last]
            parts.append(memoryview(block.data)[first:last])
            position = min(end, block.end)
            if position == end:
                break
        return b"".join(parts)


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
        self._error: BaseException | None = None
        self._begin(fetcher, 0)

    def _begin(self, fetcher: AsyncFetcher, offset: int) -> None:
        own(self)
        self._async_lock = asyncio.Lock()
        self.queue: deque[_Block] = deque()
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
        """Go on with the blocks that have come; fetches under way stay with the parent."""
        producer, consumer = self.producer, self.consumer
        tasks = [*producer._active_tasks, producer._producer_task]
        if any(tasks):
            hooks.immortalize(tasks)  # collecting them would run their ends here
        self.loop = _default_loop()
        self._begin(producer.fetcher, consumer.offset)
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
        """Let the next read raise an error; the one after it begins anew."""
        self._error = e

    def _range(self, start: int | None, end: int | None) -> tuple[int, int]:
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
            error, self._error = self._error, None
            if error is not None:
                raise error
            block = consumer._current_block
            if block is not None and block.data is not None and block.start <= start < consumer.offset:
                consumer.offset = start  # what follows in the queue goes on from this block
            elif consumer.offset < start < producer.current_offset:
                await consumer.skip(start - consumer.offset)
            elif start != consumer.offset:
                await self._begin_at(start)
            try:
                return await consumer.consume(end - start)
            except BaseException:
                await self._begin_at(start)  # whatever is in the queue is not without gaps any more
                raise

    async def _begin_at(self, position: int) -> None:
        await self.producer.restart(position)
        self.consumer.clear_buffer()
        self.consumer.seek(position)

    def fetch(self, start: int | None, end: int | None) -> bytes:
        """The bytes from ``start`` up to ``end``, fewer only where the file ends before.

        Blocks; not to be called on the loop.

        Raises
        ------
        RuntimeError
            if it was closed.
        OSError
            what the fetch raised, or if fewer bytes came than the file should have.
        """
        start, end = self._range(start, end)
        if start >= end:
            return b""
        if self._error is None:
            data = self.consumer.at_hand(start, end)
            if data is not None:
                if self.producer.wanting():
                    self.loop.call_soon_threadsafe(self.producer.start)
                return data
        from fsspec._loop.bridge import sync  # not above: a cache that is never read needs no loop

        return sync(self.loop, self._fetch, start, end)

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
            None, and nothing was asked for, where `fetch` is to be called.
        """
        start, end = self._range(start, end)
        producer, consumer = self.producer, self.consumer
        if start >= end or self._error is not None or self._busy() or producer.queue:
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
        arrived = consumer._current_block = _Block(start, len(data))
        arrived.data = data
        consumer._count(len(data))
        consumer.offset = producer.current_offset = arrived.end
        return data

    def go_on(self, position: int, size: int) -> None:
        """Begin at a position as if reads of ``size`` bytes in order had led there; nothing was read yet."""
        self.consumer.offset = self.producer.current_offset = position
        for _ in range(self.producer.streak_needed - 1):
            self.consumer._count(size)

    async def afetch(self, start: int | None, end: int | None) -> bytes:
        """As `fetch`, awaited, on any loop."""
        start, end = self._range(start, end)
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
        if not self._busy() or self.loop.is_closed() or sys.is_finalizing():
            self.queue.clear()
            return
        from fsspec._loop.bridge import sync_teardown

        sync_teardown(self.loop, self.producer.stop, timeout=timeout, description="closing a prefetcher")

    def _stops_here(self) -> bool:
        """Stop; whether it was not stopped yet, and what may be under way is this process's."""
        stopped, self.is_stopped = self.is_stopped, True
        return not stopped and is_mine(self)

    def _busy(self) -> bool:
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
        elif self._busy() and not self.loop.is_closed():
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
