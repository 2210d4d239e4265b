"""A blocking filesystem as an awaitable one: each operation runs in a thread.

Operations on one path, and those that the blocking filesystem may do better as a whole
(listing trees, copying, removing), are its own. So are bulk reads and writes that its class
overrides; all others are done by the plans of `AsyncFileSystem`, in several threads, with the
results of a blocking filesystem.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextvars import copy_context
from functools import wraps
from operator import length_hint
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec._error_notes import advise
from fsspec._loop.batching import get_batch_size
from fsspec._loop.driving import batch, drive_awaiting, perform_awaiting
from fsspec._overriding import is_built_in, is_from_here, mark_built_in, unless_patched
from fsspec._plans import bulk, transfers
from fsspec.asyn import AsyncFileSystem, get_loop, running_async
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.chained import ChainedFileSystem, SharingTransactions
from fsspec.registry import filesystem
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from fsspec._paths.types import Contents, Depth, Offsets, Progress, StrPaths, T

_WRAPPED = (
    "info ls cat_file pipe_file rm_file cp_file get_file put_file mkdir makedirs exists isfile isdir size"
    " find du glob rm copy"
).split()
"""Operations that are the blocking filesystem's own."""

_BULK = "cat cat_ranges expand_path get pipe put sizes".split()
"""Operations that are the blocking filesystem's own if its class overrides them."""

_MOST = 32
"""Threads at once: more than the loop has by default."""

_AT_ONCE = 0.001
"""Seconds that one thread may take for a batch before other threads are started."""

_DIRECT = ("checksum created lexists modified mv sign stats touch ukey").split()
"""Operations that have no awaitable form; those of the base class would know less, or do nothing."""


def async_wrapper(
    func: Callable[..., T], obj: object | None = None, semaphore: asyncio.Semaphore | None = None
) -> Callable[..., Coroutine[Any, Any, T]]:
    """A coroutine function that runs ``func`` in a thread.

    Parameters
    ----------
    semaphore
        an `asyncio.Semaphore` that bounds how many run at once.
    """

    @wraps(func)
    async def wrapper(*args: Any, **kwargs: Any) -> T:
        if semaphore is None:
            return await asyncio.to_thread(func, *args, **kwargs)
        async with semaphore:
            return await asyncio.to_thread(func, *args, **kwargs)

    return wrapper


async def _perform(target: AsyncFileSystemWrapper, step: Any) -> object:
    """As `perform_awaiting`, but the threads of a batch draw from it themselves, and others than the first
    begin only if that one has not made it all at once."""
    size = 0
    if type(step) is batch:
        size = step.batch_size or target.batch_size or get_batch_size(step.nofiles)
    if target.semaphore is not None or size == 0 or size < -1:
        return await perform_awaiting(target, step)
    most = min(size if size > 0 else _MOST, length_hint(step.calls, _MOST), _MOST)
    loop, guard, items = asyncio.get_running_loop(), threading.Lock(), enumerate(step.calls)
    results: dict[int, Any] = {}
    failed: list[BaseException] = []
    quiet, reports = step.return_exceptions, [step.done] if step.done is not None else []

    def report(position: int) -> None:
        try:
            for done in reports:
                done(position, results[position])
        except BaseException as error:  # raised below
            failed.append(error)

    def draw() -> None:
        while not failed:
            with guard:
                position, item = next(items, (-1, None))
            if item is None:
                return
            try:
                results[position] = getattr(target.sync_fs, item.name)(*item.args, **item.kwargs)
            except BaseException as error:  # reported in its place, if that was asked for
                advise(error, item.name, item.args)
                if not quiet or not isinstance(error, Exception):
                    failed.append(error)
                    return
                results[position] = error
            if reports:
                loop.call_soon_threadsafe(report, position)

    def begin(count: int) -> set[asyncio.Future[None]]:
        return {loop.run_in_executor(None, copy_context().run, draw) for _ in range(count)}

    threads = begin(1)
    timeout: float | None = _AT_ONCE
    try:
        while threads and not failed:
            ended, threads = await asyncio.wait(threads, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if timeout and threads:
                threads |= begin(most - 1)
            timeout = None
            for thread in ended:
                thread.result()
    except BaseException as error:  # it is cancelled
        failed.append(error)
    finally:
        reports.clear()  # threads outlive this for a moment, and a progress bar ends as its callback goes
    for thread in threads:
        thread.cancel()
    bulk.raise_first(failed)
    return [results[position] for position in range(len(results))]


class AsyncFileSystemWrapper(SharingTransactions, AsyncFileSystem, ChainedFileSystem):
    """An awaitable face for a blocking filesystem.

    Every public method of the blocking filesystem, ``touch``, ``chmod`` or one that only it has, can
    be awaited by its name with an underscore in front.

    Parameters
    ----------
    fs
        the blocking filesystem; or else
    target_protocol, target_options
        what it is made of.
    asynchronous
        by default whether it is made inside a running loop; threads without one may block on it then, too.
    semaphore, max_concurrent_tasks
        bound how many operations run at once.
    """

    # of the class; an instance has that of what it wraps
    protocol: ClassVar[str | tuple[str, ...]] = ("asyncwrapper", "async_wrapper")  # type: ignore[assignment]
    _fork_passes_on = True
    cachable = False

    def __init__(
        self,
        fs: AbstractFileSystem | None = None,
        asynchronous: bool | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        semaphore: asyncio.Semaphore | None = None,
        max_concurrent_tasks: int | None = None,
        **kwargs: Any,
    ) -> None:
        self._follows_caller = asynchronous is None
        if asynchronous is None:
            asynchronous = running_async()
        kwargs.pop("fo", None)  # chains of URLs give it; the path stays outside
        super().__init__(asynchronous=asynchronous, **kwargs)
        if fs is None:
            fs = filesystem(target_protocol or "file", **(target_options or {}))
        self.sync_fs = fs
        self.protocol = self.sync_fs.protocol  # type: ignore[misc]  # see the class
        self.root_marker: str = self.sync_fs.root_marker
        if semaphore is None and max_concurrent_tasks is not None:
            semaphore = asyncio.Semaphore(max_concurrent_tasks)
        self.semaphore = semaphore
        for name in ("_strip_protocol", "_parent"):  # on the class they are for URLs of the wrapper's own
            setattr(self, name, getattr(self.sync_fs, name))
        self._wrap_all_sync_methods()

    def _revive(self, before: dict[str, Any]) -> None:
        """In a child it is awaitable or not as it was, wherever it is used first."""
        options = before.get("storage_options", {})
        was = {"asynchronous": before["asynchronous"]}
        super()._revive({**before, "storage_options": {**options, **was}})
        self.storage_options, self._follows_caller = options, before["_follows_caller"]

    def _wrap_all_sync_methods(self) -> None:
        """Set the operations that are the blocking filesystem's own; called once, when the rest is set."""
        kind = type(self.sync_fs)
        base = AbstractFileSystem
        own = [
            n
            for n in _BULK
            if (method := getattr(base, n)) is not getattr(kind, n, None) or not is_from_here(method)
        ]
        for name in [*_WRAPPED, *own]:
            method = async_wrapper(getattr(self.sync_fs, name), obj=self, semaphore=self.semaphore)
            setattr(self, "_" + name, method)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of blocking calls; see `AsyncFileSystem.loop`."""
        loop = super().loop
        return get_loop() if loop is None and self._follows_caller and not running_async() else loop

    @property
    def fsid(self) -> str:
        """That of the blocking filesystem, marked."""
        return f"async_{self.sync_fs.fsid}"

    @property
    def _fs_behind(self) -> Any:
        return self.__dict__.get("sync_fs")

    def __getattr__(self, name: str) -> Any:
        plain, other = name[1:], self._fs_behind
        if name.startswith("_") and not plain.startswith("_"):
            if inspect.isroutine(getattr(type(other), plain, None)):
                return async_wrapper(getattr(other, plain), obj=self, semaphore=self.semaphore)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        other = type(self._fs_behind)
        public = [name for name in dir(other) if not name.startswith("_")]
        return [*super().__dir__(), *(f"_{n}" for n in public if inspect.isroutine(getattr(other, n)))]

    @unless_patched
    def unstrip_protocol(self, name: str) -> str:
        return str(self.sync_fs.unstrip_protocol(name))

    @unless_patched
    def invalidate_cache(self, path: str | None = None) -> None:
        self.sync_fs.invalidate_cache(path)

    def open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        """A file, see `AbstractFileSystem.open`; one that is written is the blocking filesystem's own."""
        if mode in ("rb", "r", "rt") or not is_built_in(self._open):
            return super().open(path, mode, *args, **kwargs)
        return self.sync_fs.open(path, mode, *args, **kwargs)

    def _open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        if mode == "rb":  # blocks by `cat_file`
            return super()._open(path, mode, *args, **kwargs)
        return self.sync_fs._open(path, mode, *args, **kwargs)

    async def _get(
        self, rpath: StrPaths, lpath: StrPaths, recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK, maxdepth: Depth = None, batch_size: int | None = None,
        on_error: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        plan = transfers.get(self, rpath, lpath, recursive, callback, maxdepth, kwargs, batch_size, on_error)
        await drive_awaiting(self, plan, _perform)

    async def _put(
        self, lpath: StrPaths, rpath: StrPaths, recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK, batch_size: int | None = None, maxdepth: Depth = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        plan = transfers.put(self, lpath, rpath, recursive, callback, maxdepth, kwargs, batch_size)
        await drive_awaiting(self, plan, _perform)

    async def _pipe(
        self, path: Any, value: Any = None, batch_size: int | None = None, **kwargs: Any
    ) -> None:  # as a blocking pipe
        await drive_awaiting(self, bulk.pipe(self, path, value, kwargs, batch_size), _perform)

    async def _cat_ranges(
        self, paths: list[str], starts: Offsets, ends: Offsets, max_gap: int | None = None,
        batch_size: int | None = None, on_error: str = "return", **kwargs: Any,
    ) -> list[Any]:  # fmt: skip
        plan = bulk.cat_ranges(self, paths, starts, ends, max_gap, on_error, kwargs, batch_size)
        return await drive_awaiting(self, plan, _perform)

    async def _cat(
        self, path: StrPaths, recursive: bool = False, on_error: str = "raise", batch_size: int | None = None,
        **kwargs: Any,
    ) -> Contents:  # fmt: skip
        plan = bulk.cat(self, path, recursive, on_error, kwargs, batch_size)
        found: Contents = await drive_awaiting(self, plan, _perform)
        if isinstance(found, Exception):  # of one path, which a blocking cat always raises
            raise found
        return found

    @unless_patched
    async def _walk(self, path: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        steps = self.sync_fs.walk(path, *args, **kwargs)
        following = async_wrapper(next, semaphore=self.semaphore)
        while (step := await following(steps, None)) is not None:
            yield step

    @classmethod
    def wrap_class(cls, sync_fs_class: type) -> type:
        """A class whose instances wrap instances of ``sync_fs_class``, made with its arguments."""

        class Wrapper(cls):  # type: ignore[valid-type, misc]  # whichever class was asked
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(sync_fs_class(*args, **kwargs))

        Wrapper.__name__ = Wrapper.__qualname__ = f"Async{sync_fs_class.__name__}Wrapper"
        return Wrapper


def _direct(name: str) -> Callable[..., Any]:
    @unless_patched
    @wraps(getattr(AbstractFileSystem, name))
    def method(self: AsyncFileSystemWrapper, *args: Any, **kwargs: Any) -> object:
        return getattr(self.sync_fs, name)(*args, **kwargs)

    return method


for _name in _DIRECT:
    setattr(AsyncFileSystemWrapper, _name, _direct(_name))
mark_built_in(AsyncFileSystemWrapper)
