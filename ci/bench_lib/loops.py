"""What the limits use of asyncio: a loop in a thread, and a fixed pool of workers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any


class LoopThread:
    """An event loop in a thread of its own; ``run`` gives what a coroutine on it returns."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        # One wake-up of the loop and one of the caller.  run_coroutine_threadsafe makes a
        # future for each side and chains the two.
        ended = threading.Lock()
        ended.acquire()
        task: asyncio.Task[Any] | None = None

        def start() -> None:
            nonlocal task
            task = self.loop.create_task(coroutine)
            task.add_done_callback(lambda _: ended.release())

        self.loop.call_soon_threadsafe(start)
        ended.acquire()
        assert task is not None
        return task.result()


async def pooled(
    one: Callable[[Any], Awaitable[Any]], items: Iterable[Any], workers: int = 128
) -> dict[Any, Any]:
    """What ``one`` gives for each item, by ``workers`` tasks that draw from the items."""
    left = iter(items)
    found: dict[Any, Any] = {}

    async def work() -> None:
        for item in left:
            found[item] = await one(item)

    await asyncio.gather(*(work() for _ in range(workers)))
    return found
