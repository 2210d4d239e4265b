"""The two halves of `fsspec.prefetcher.BackgroundPrefetcher`, and the blocks between them.

The *producer* keeps fetches under way; the *consumer* hands out what they bring. Both belong to the event
loop of the prefetcher, except for `PrefetchConsumer.at_hand`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

from fsspec.exceptions import ShortFetch

if TYPE_CHECKING:
    from fsspec.prefetcher import BackgroundPrefetcher

AsyncFetcher = Callable[..., Awaitable[bytes]]
"""Awaited as ``fetcher(start, size, split_factor=n)``: it may use ``n`` requests at once."""


class RunningAverageTracker:
    """The sizes of the last reads.

    Parameters
    ----------
    maxlen
        how many are remembered.
    """

    def __init__(self, maxlen: int = 10) -> None:
        self._last_sizes: deque[int] = deque(maxlen=maxlen)
        self._total_size = 0

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
        if len(self._last_sizes) == self._last_sizes.maxlen:
            self._total_size -= self._last_sizes[0]
        self._last_sizes.append(value)
        self._total_size += value

    @property
    def average(self) -> int:
        """In whole bytes; 1 MiB if nothing was read yet."""
        return self._total_size // len(self._last_sizes) if self._last_sizes else 2**20

    @property
    def is_variable(self) -> bool:
        """Whether the sizes differ."""
        return bool(self._last_sizes) and self._last_sizes.count(self._last_sizes[0]) != len(self._last_sizes)

    @property
    def last_value(self) -> int:
        """The size added last.

        Raises
        ------
        RuntimeError
            if there is none.
        """
        if not self._last_sizes:
            raise RuntimeError("nothing has been read yet")
        return self._last_sizes[-1]

    def clear(self) -> None:
        """Forget all."""
        self._last_sizes.clear()
        self._total_size = 0


class Block:
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
        set when there may be something to begin.
    user_max_prefetch_size
        bytes that may be fetched ahead at most.
    min_prefetch_size
        bytes that are fetched ahead at least, if anything is.
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
    """Bytes that may be fetched ahead if reads are of different sizes."""

    def __init__(
        self,
        fetcher: AsyncFetcher,
        size: int,
        concurrency: int,
        queue: deque[Block],
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

    def bytes_to_fetch(self) -> int:
        """How many bytes more should be fetched ahead now; 0 while half the window has been fetched."""
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
        """Begin to fetch what a read is to wait for, and what follows it as well if that is little."""
        wanted = self.bytes_to_fetch()
        if size < wanted <= min(2 * size, self.MIN_CHUNK_SIZE):
            size = wanted
        step = self.in_parts(size)
        for done in range(0, size, step):
            self.begin_block(min(step, size - done))

    def in_parts(self, size: int) -> int:
        """Bytes of each fetch for a read: if the user says that a connection is slow it uses several."""
        return max(self.MIN_CHUNK_SIZE, -(-size // self.concurrency)) if self._min_prefetch_size else size

    def begin_block(self, size: int) -> Block:
        """Begin to fetch the block after those in the queue."""
        block = Block(self.current_offset, size)
        self.current_offset += size
        block.task = asyncio.get_running_loop().create_task(self._fill_block(block))
        self._active_tasks.add(block.task)
        block.task.add_done_callback(self._task_ended)
        self.queue.append(block)
        return block

    async def _fill_block(self, block: Block) -> None:
        free = self.concurrency // (len(self._active_tasks) or 1)
        split = max(1, min(free, block.size // self.MIN_CHUNK_SIZE))
        data = await self.fetcher(block.start, block.size, split_factor=split)
        if len(data) < block.size:
            raise ShortFetch(
                f"bytes {block.start}-{block.end} came back as {len(data)} instead of {block.size}: the file"
                f" became shorter than the {self.size} bytes it had, or the transfer broke off; open it again"
            )
        block.data = data if len(data) == block.size else data[: block.size]

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._active_tasks.discard(task)
        if not task.cancelled():
            task.exception()  # raised when the block is wanted, if it ever is
        self.wakeup_event.set()

    def start(self) -> None:
        """See that what should be fetched ahead is under way. On the loop."""
        self.wakeup_event.set()
        if self._producer_task is None and self.bytes_to_fetch():
            self._producer_task = asyncio.get_running_loop().create_task(self._loop())

    async def _loop(self) -> None:
        """Begin fetches as there is room for them, until enough is under way."""
        try:
            while (wanted := self.bytes_to_fetch()) > 0:
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
        """Stop fetching, and cancel what is under way."""
        self.is_stopped = True
        await self._cancel_tasks()

    async def _cancel_tasks(self) -> None:
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
        await self._cancel_tasks()
        self.current_offset = new_offset
        self.is_stopped = False


class PrefetchConsumer:
    """Hands out bytes in the order of the file; made by `BackgroundPrefetcher`.

    Parameters
    ----------
    queue
        of the blocks, shared with the producer.
    wakeup_event
        set when there is room for further fetches.
    """

    def __init__(
        self,
        queue: deque[Block],
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
        self._current_block: Block | None = None  # the one that was read last

    def seek(self, new_offset: int) -> None:
        """Continue elsewhere: earlier reads no longer count."""
        self.offset = new_offset
        self.sequential_streak = 0
        self.tracker.clear()

    def clear_buffer(self) -> None:
        """Drop the bytes at hand."""
        self._current_block = None

    def at_hand(self, start: int, end: int) -> bytes | None:
        """Bytes that lie in the block at hand, None if not all do. On any thread."""
        block = self._current_block
        if block is None or block.data is None or not block.start <= start <= end <= block.end:
            return None
        if start == self.offset:
            self._count_read(end - start)
        self.offset = end
        return block.data[start - block.start : end - block.start]

    async def consume(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end of the file."""
        producer = self.orchestrator.producer
        begin, end = self.offset, min(self.offset + size, producer.size)
        data = self.at_hand(begin, end)
        if data is None:
            self._count_read(end - begin)
            # from now on, for the window, the reader is where it will be
            self.offset = end
            missing = end - max(begin, producer.current_offset)
            if missing > 0:
                producer.begin_read(missing)
            producer.start()
            data = await self._gather_blocks(begin, end)
        else:
            producer.start()
        return data

    async def skip(self, size: int) -> None:
        """Pass over bytes that were fetched ahead; only those that are under way are waited for."""
        self.offset += size
        while len(self.queue) > 1 and self.queue[0].end <= self.offset:
            self.queue.popleft()

    def _count_read(self, size: int) -> None:
        self.tracker.add(size)
        self.sequential_streak += 1

    async def _gather_blocks(self, begin: int, end: int) -> bytes:
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
