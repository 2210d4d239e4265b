"""Operations from a loop on filesystems of any kind, and copying a file from one to another.

What blocks is done in a thread of its own, unless a thread would cost more (`_QUICK`). The thread is made for
the one call: no pool is kept, so none is inherited by a forked child.

Small files go whole through memory, others block by block. A file appears at its target only when it is
whole, if the target can keep back what is written.

Cancelling a copy waits at most `_GRACE` seconds for the thread, so that a server that stalls does not
delay it for longer. When the server answers after that, the thread stops between two blocks and
drops what it has written; a file that a target makes by one call may still appear.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from fsspec._files.buffered import AbstractBufferedFile
from fsspec._files.lacking import refuse_coroutine
from fsspec._loop.batching import run_concurrently, start_in_thread
from fsspec._loop.bridge import sync
from fsspec._overriding import is_awaitable, is_built_in
from fsspec._paths.paths import unequal
from fsspec._paths.redaction import redact_url
from fsspec.callbacks import DEFAULT_CALLBACK, Callback

if TYPE_CHECKING:
    from fsspec._paths.types import BinaryReader, BinaryWriter, Options, T
    from fsspec.spec import AbstractFileSystem

logger: logging.Logger = logging.getLogger("fsspec.generic")


BATCH = 20  # files copied at a time if nobody says how many: each takes a thread
BLOCK = 2**20
_GRACE = 0.2
_MEMORY = "fsspec.implementations.memory"
_HERE = frozenset((_MEMORY, "fsspec.implementations.data", "fsspec.implementations.local"))
_QUICK = frozenset("cat_file exists info isdir isfile ls makedirs mkdir pipe_file rm_file size".split())
"""What filesystems of this machine are asked without a thread."""
_QUICK_IN_MEMORY = _QUICK | {"du", "find", "glob", "rm"}


async def run_in_thread(func: Callable[[], T], stop: threading.Event | None = None) -> T:
    """Run ``func`` in a thread of its own, and return what it returns. Being cancelled sets ``stop``, and
    waits up to `_GRACE` seconds for the thread to end."""
    done = start_in_thread(func, "fsspec-generic")
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        done.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # of no interest now
        await asyncio.wait([done], timeout=_GRACE)
        raise


def is_here(fs: AbstractFileSystem) -> bool:
    """Whether a filesystem is on this machine, and neither waits for another nor for the loop."""
    return type(fs).__module__ in _HERE


def is_plainly_local(fs: AbstractFileSystem) -> bool:
    """Whether the paths of a filesystem are those of this machine, and its files hold what is written:
    a cache's paths are its target's, and a program's class may open or write otherwise."""
    if getattr(fs, "local_file", False) is not True or "fs" in vars(fs):
        return False
    return fs._fsspec_opens_itself and is_built_in(fs.pipe_file)


async def ask(fs: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """One operation of a filesystem, blocking or awaitable, from whichever loop."""
    if not is_awaitable(fs):
        if name in _QUICK_IN_MEMORY and is_here(fs) and (name in _QUICK or type(fs).__module__ == _MEMORY):
            return getattr(fs, name)(*args, **kwargs)
        return await run_in_thread(lambda: getattr(fs, name)(*args, **kwargs))
    method = getattr(fs, f"_{name}")
    home = None if fs.asynchronous else fs.loop
    if home is None or home is asyncio.get_running_loop():
        return await method(*args, **kwargs)
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(method(*args, **kwargs), home))


def _is_awaited(fs: AbstractFileSystem) -> bool:
    return fs.async_impl and bool(getattr(fs, "asynchronous", False))


async def copy_between(
    source: AbstractFileSystem,
    path: str,
    target: AbstractFileSystem,
    path2: str,
    blocksize: int,
    callback: Callback,
) -> None:
    """Copy one file; cancelled, it stops between two blocks.

    ``source``, ``path``, ``target``, ``path2``: filesystems, awaitable or not, and where the file is and is
        to be in them.
    ``blocksize``: bytes: smaller files go whole.
    Raises OSError: the source ended before its size.
    """
    loop, stop = asyncio.get_running_loop(), threading.Event()
    work = _Copying(source, path, target, path2, blocksize, callback, loop, stop)
    if is_here(source) and is_here(target) and (source.info(path)["size"] or 0) <= blocksize:
        work.run()
    else:
        await run_in_thread(work.run, stop)


class _Stopped(Exception):
    """The copy was cancelled. Raised and caught in the thread only."""


@dataclass
class _Copying:
    """One file on its way from one filesystem to another, in a thread."""

    source: AbstractFileSystem
    path: str
    target: AbstractFileSystem
    path2: str
    blocksize: int
    callback: Callback
    loop: asyncio.AbstractEventLoop | None
    stop: threading.Event

    def operation(self, fs: AbstractFileSystem, name: str, *args: Any, **kwargs: Any) -> Any:
        if _is_awaited(fs):  # it lives on the loop that waits for this thread
            return sync(self.loop, getattr(fs, f"_{name}"), *args, **kwargs)
        return getattr(fs, name)(*args, **kwargs)

    def run(self) -> None:
        entry = self.operation(self.source, "info", self.path)
        if entry["type"] == "directory":
            self.operation(self.target, "makedirs", self.path2, exist_ok=True)
            return
        size = entry.get("size")
        self.callback.set_size(size)
        awaited = any(_is_awaited(fs) for fs in (self.source, self.target))
        if awaited or (size is not None and size <= self.blocksize):
            self.copy_whole(size)
        else:
            self.copy_in_blocks(size)

    def check_cancelled(self) -> None:
        if self.stop.is_set():
            raise _Stopped(self.path)

    def check_size(self, done: int, size: int | None) -> None:
        if size is not None and done < size:
            raise OSError(
                f"{type(self.source).__name__}: {redact_url(self.path)!r} ended after {done} of {size}"
                f" bytes; it was not copied to {redact_url(self.path2)!r}, try again"
            )

    def copy_whole(self, size: int | None) -> None:
        data = self.operation(self.source, "cat_file", self.path)
        self.check_size(len(data), size)
        self.check_cancelled()
        self.make_with_parent(lambda: self.operation(self.target, "pipe_file", self.path2, data))
        self.callback.relative_update(len(data))

    def make_with_parent(self, make: Callable[[], T]) -> T:
        try:
            return make()
        except FileNotFoundError:  # most stores have no folders, or make them
            self.operation(self.target, "makedirs", self.target._parent(self.path2), exist_ok=True)
        return make()

    def copy_in_blocks(self, size: int | None) -> None:
        with self.source.open(self.path, "rb") as read:
            # not open(), which counts what does not commit itself to a transaction
            waits = self.target._intrans
            begin = self.target.open if waits else self.target._open
            options: Options = {} if waits else {"autocommit": False}
            file: Any = self.make_with_parent(lambda: begin(self.path2, mode="wb", **options))
            try:
                self.check_size(self.write_blocks(read, file), size)
                self.check_cancelled()
                file.close()
                if not waits:
                    refuse_coroutine(file, "commit", file.commit())
            except BaseException:  # whatever it was, no part stays as if it were the file
                _give_up(file)
                raise

    def write_blocks(self, read: BinaryReader, file: BinaryWriter) -> int:
        done = 0
        while data := read.read(self.blocksize):
            self.check_cancelled()
            file.write(data)
            done += len(data)
            self.callback.relative_update(len(data))
        return done


def _give_up(file: IO[bytes] | AbstractBufferedFile) -> None:
    """Drop a file that was being written; not even its finalizer sends anything."""
    try:
        if not isinstance(file, AbstractBufferedFile):
            file.close()  # which makes it appear only if autocommit means nothing
        if discard := getattr(file, "discard", None):
            refuse_coroutine(file, "discard", discard())
    except Exception:  # of the two failures the first is what the caller has to know of
        logger.exception("%r could not be discarded", file)
    finally:
        if isinstance(file, AbstractBufferedFile):
            file.closed = True


async def copy_file_op(
    fs1: AbstractFileSystem,
    url1: list[str],
    fs2: AbstractFileSystem,
    url2: list[str],
    tempdir: str | None = None,
    batch_size: int | None = BATCH,
    on_error: str = "ignore",
) -> list[Any] | None:
    """Copy files from one filesystem to another, several at a time.

    Parameters
    ----------
    fs1, url1
        a filesystem, and paths there
    fs2, url2
        another one, and as many paths to copy to
    tempdir
        not needed, see `GenericFileSystem.copy`
    batch_size
        how many at a time
    on_error
        ``"ignore"`` skips files that do not exist, ``"raise"`` raises for the first
        that cannot be copied, ``"return"`` gives exceptions in a list

    Returns
    -------
    list or None
        with ``"return"``, for each file None or what went wrong
    """
    if on_error not in ("ignore", "raise", "return"):
        raise ValueError(f'on_error is "ignore", "raise" or "return", not {on_error!r}')
    if len(url1) != len(url2):
        raise ValueError(unequal(url1, url2))

    async def copy(pair: tuple[str, str]) -> None:
        path, path2 = fs1._strip_protocol(pair[0]), fs2._strip_protocol(pair[1])
        if fs1 is fs2:
            await ask(fs1, "cp_file", path, path2)
        else:
            await copy_between(fs1, path, fs2, path2, BLOCK, DEFAULT_CALLBACK)

    results = await run_concurrently(
        list(zip(url1, url2)), copy, batch_size or BATCH, return_exceptions=on_error != "raise"
    )
    if on_error == "return":
        return results
    for url, result in zip(url1, results):
        if isinstance(result, FileNotFoundError) and not await ask(fs1, "isfile", fs1._strip_protocol(url)):
            continue
        if isinstance(result, BaseException):
            raise result
    return None
