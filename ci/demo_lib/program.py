"""The program that forks: what a user's program does, with its steps written as lines of JSON.

    python -m demo_lib.program WAY METHOD S3 HTTP WORKER_LIMIT LIMIT

It opens the handle of ``WAY`` and reads a chunk through it, so that connections are open; starts
its workers by ``METHOD`` ("fork": they inherit the handle, "spawn": they are sent it), each of
which reads and verifies all chunks through the handle; forks one child more that only exits, as
a program ends; and then reads all chunks through the handle itself.

``FSSPEC_DEMO_TORCH=1`` makes PyTorch's DataLoader start the workers.  A worker dumps the stacks of
its threads and ends once a single read has taken longer than its limit (in seconds), and so does
the program in its own reads; all before these has the last limit.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import Any

from . import data
from .ways import WAYS, Way

WORKERS = 4


def tell(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def read_one(way: Way, handle: Any, worker: int, number: int) -> dict[str, Any]:
    """Read and verify one chunk; what came of it."""
    outcome: dict[str, Any] = {
        "event": "read",
        "worker": worker,
        "chunk": number,
        "size": 0,
        "error": None,
    }
    try:
        found = way.read(handle, number)
    except Exception as error:  # a refusal is a result to report, whatever its type
        outcome["error"] = [type(error).__name__, str(error), isinstance(error, RuntimeError)]
    else:
        if found == data.chunk_bytes(number):
            outcome["size"] = len(found)
        else:
            outcome["error"] = ["WrongBytes", f"chunk {number} is not what was written", False]
    outcome["at"] = time.monotonic()  # the same clock in all processes of a machine
    return outcome


def limited(limit: float) -> None:
    """End this process, stacks dumped, once ``limit`` seconds have gone by.

    By the process's own alarm, which children do not inherit: it needs no thread, which a fork
    would lose, and it goes off where Python runs no more bytecode.
    """
    faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
    signal.setitimer(signal.ITIMER_REAL, limit)


def work(way_name: str, handle: Any, worker: int, pipe: Any, limit: float, chunks: Sequence[int]) -> None:
    """A worker of the pool: read its chunks, stop at the first error."""
    gc.callbacks.clear()  # dask's asks after the process that it was made in, which may have been killed
    for number in chunks:
        limited(limit)
        outcome = read_one(WAYS[way_name], handle, worker, number)
        pipe.send(outcome)
        if outcome["error"]:
            break
    limited(4 * limit)  # to end, which takes its time where four do it at once
    pipe.close()


def by_pool(
    way_name: str,
    handle: Any,
    method: str,
    limit: float,
    shares: Sequence[Sequence[int]] = (range(data.CHUNKS),) * WORKERS,
) -> Iterator[dict[str, Any]]:
    """What the workers of ``multiprocessing`` read, as it comes in, and how they ended if not well.

    Parameters
    ----------
    shares
        the chunks of each worker.
    """
    context: Any = multiprocessing.get_context(method)
    workers: dict[Any, Any] = {}
    for number, chunks in enumerate(shares):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(way_name, handle, number, theirs, limit, chunks))
        process.start()
        theirs.close()
        workers[ours] = process
    while workers:
        for pipe in list(workers):
            process = workers[pipe]
            over = process.exitcode is not None  # asked before the pipe is emptied
            try:
                while pipe.poll():
                    yield pipe.recv()
            except EOFError:
                process.join()
                over = True
            if over:
                del workers[pipe]
                pipe.close()
                if process.exitcode:
                    yield {"event": "died", "code": process.exitcode}
        connection.wait([*workers, *(p.sentinel for p in workers.values())], timeout=1)


class Chunks:
    """A dataset for PyTorch: item ``4 * chunk + worker``, so that each worker reads everything."""

    def __init__(self, way_name: str, handle: Any, limit: float) -> None:
        self.way_name = way_name
        self.handle = handle
        self.limit = limit

    def __len__(self) -> int:
        return WORKERS * data.CHUNKS

    def __getitem__(self, item: int) -> dict[str, Any]:
        limited(self.limit)
        return read_one(WAYS[self.way_name], self.handle, item % WORKERS, item // WORKERS)


def by_torch(way_name: str, handle: Any, method: str, limit: float) -> Iterator[dict[str, Any]]:
    """What the workers of a DataLoader read, as it comes in; each worker's first error only."""
    from torch.utils.data import DataLoader

    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # 4 on 2 cores: on purpose
    loader = DataLoader(
        Chunks(way_name, handle, limit),
        batch_size=None,
        num_workers=WORKERS,
        multiprocessing_context=method,
        timeout=limit + 5,  # a worker that hangs has ended itself by then
    )
    refused: set[int] = set()
    try:
        for outcome in loader:
            if outcome["worker"] not in refused:
                yield outcome
            if outcome["error"]:
                refused.add(outcome["worker"])
                if len(refused) == WORKERS:
                    return
    except RuntimeError as error:  # that a worker is gone, or tells nothing
        # the first worker that hangs ends the loader, so that the others tell nothing
        code = -signal.SIGALRM if "signal: Alarm clock" in str(error) else str(error)
        yield {"event": "died", "code": code}


def wait_for(pid: int, limit: float) -> int | None:
    """The exit code of a child, or None where it had to be killed."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


def run(way_name: str, method: str, s3: str, http: str, limit: float, own_limit: float) -> int:
    limited(own_limit)
    way = WAYS[way_name]
    handle = way.open(s3, http)
    first = read_one(way, handle, -1, 0)
    tell("open", error=first["error"])

    play: Callable[[str, Any, str, float], Iterator[dict[str, Any]]] = by_pool
    if os.environ.get("FSSPEC_DEMO_TORCH") == "1":
        import torch.utils.data  # noqa: F401  # its import is no part of the time to the first byte

        play = by_torch
    begin = time.monotonic()
    for outcome in play(way_name, handle, method, limit):
        if outcome["event"] == "read":
            outcome["at"] -= begin
        tell(**outcome)

    if method == "fork":
        with warnings.catch_warnings():
            # Python 3.12 and newer warn of threads; those of zarr and PyTorch are not fsspec's
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            limited(min(8, limit))
            sys.exit(0)  # on purpose by way of the interpreter's own end
        tell("exited", code=wait_for(pid, min(8, limit) + 2))

    for number in range(data.CHUNKS):
        limited(limit)
        outcome = read_one(way, handle, -1, number)
        if outcome["error"]:
            break
    tell("parent", error=outcome["error"])
    return 0


def main(way: str, method: str, s3: str, http: str, worker_limit: str, limit: str) -> int:
    return run(way, method, s3, http, float(worker_limit), float(limit))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
