"""Filesystems whose operations are awaitable, and their blocking face.

`AsyncFileSystem` gives each algorithm of the package its awaiting driver; a backend
brings the primitives (``_info``, ``_ls``, ``_cat_file``, ``_pipe_file``, ...).  Blocking
twins of the async methods are made once a class; they run on the loop that `get_loop`
gives, or on that of the instance.

Async methods belong to the loop they are awaited on; an instance made with
``asynchronous=True`` is only ever awaited.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, cast

from fsspec._files.caches_base import check_fetched
from fsspec._files.lacking import no_entry, set_by_init
from fsspec._files.uploading import check_writable, closing, flushing
from fsspec._fork import hooks, instances
from fsspec._loop import twins
from fsspec._loop.batching import FILES_FALLBACK as _DEFAULT_BATCH_SIZE
from fsspec._loop.batching import NOFILES_DEFAULT as _NOFILES_DEFAULT_BATCH_SIZE
from fsspec._loop.batching import get_batch_size as _get_batch_size
from fsspec._loop.batching import run_coros_in_chunks as _run_coros_in_chunks
from fsspec._loop.bridge import (
    FSSpecCoroutineCancel,
    _dump_running_tasks,
    get_lock,
    get_loop,
    get_running_loop,
    note_instance,
    reset_after_fork,
    reset_lock,
    running_async,
    sync,
    sync_teardown,
)
from fsspec._loop.driving import awaitable_of, call
from fsspec._loop.driving import drive as drive_blocking
from fsspec._loop.driving import drive_awaiting as drive
from fsspec._loop.driving import stream_awaiting as stream
from fsspec._loop.forking import quiesce
from fsspec._loop.io_thread import iothread, loop
from fsspec._loop.twins import (
    async_gen_wrapper,
    async_methods,
    mirror_class,
    mirror_sync_methods,
    private,
    sync_wrapper,
)
from fsspec._overriding import default, mirrored, overridden, supported
from fsspec._paths.paths import trailing_sep
from fsspec._paths.redaction import redact_url
from fsspec._plans import PlanOf, bulk, expanding, globbing, listing, transfers
from fsspec._public import publish
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.exceptions import ForkError, FSTimeoutError
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from _typeshed import ReadableBuffer
    from typing_extensions import Self

    from fsspec._paths.types import Contents, Depth, Found, Offsets, Progress, StrPaths, T

try:
    from resource import error as ResourceError
except ImportError:  # Windows
    from builtins import OSError as ResourceError


__all__ = [
    "AbstractAsyncStreamedFile",
    "AsyncFileSystem",
    "FSSpecCoroutineCancel",
    "FSTimeoutError",
    "ResourceError",
    "_DEFAULT_BATCH_SIZE",
    "_NOFILES_DEFAULT_BATCH_SIZE",
    "_dump_running_tasks",
    "_get_batch_size",
    "_run_coros_in_chunks",
    "async_gen_wrapper",
    "async_methods",
    "drive",
    "get_lock",
    "get_loop",
    "get_running_loop",
    "iothread",
    "loop",
    "mirror_sync_methods",
    "private",
    "quiesce",
    "reset_after_fork",
    "reset_lock",
    "running_async",
    "stream",
    "sync",
    "sync_teardown",
    "sync_wrapper",
    "trailing_sep",
]
publish(__name__)
twins.home = globals()


class AsyncFileSystem(AbstractFileSystem):
    """Base of awaitable filesystems.

    Parameters
    ----------
    asynchronous
        the instance is awaited on a loop of the program's; it has no blocking methods
        that work.
    loop
        the running loop for its blocking methods; by default the one that fsspec owns.
    batch_size
        how many operations of a bulk call may be under way; by default as configured.
    *args, **kwargs
        as for `AbstractFileSystem`.

    In a forked child an inherited instance revives on first use, or refuses; see the
    fork guide, and `reset_loop`.
    """

    async_impl = True
    mirror_sync_methods = True
    disable_throttling = False
    _fork_sensitive = True
    _loop: asyncio.AbstractEventLoop | None = set_by_init()

    def __init__(
        self,
        *args: Any,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.asynchronous = asynchronous
        self._pid = os.getpid()
        self._loop = loop if loop is not None or asynchronous else get_loop()
        self.batch_size = batch_size
        note_instance(self)
        super().__init__(*args, **kwargs)
        if self.mirror_sync_methods:
            mirror_sync_methods(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _adopt_texts(cls)
        mirror_class(cls, AsyncFileSystem)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of blocking calls.

        Raises
        ------
        ForkError
            in a forked child, if nothing lets the instance revive.
        """
        if not hooks.ready[0]:
            hooks.check()
        if self._pid != hooks.pid:
            if not instances.is_stale(self):
                raise ForkError(repr(self), self._pid)
            instances.touch(self)
        # an instance made to be awaited has none, and nobody asks it for one
        return cast("asyncio.AbstractEventLoop", self._loop)

    def reset_loop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Make an instance that was inherited through a fork usable in this process.

        It is constructed again, in place, whatever the configuration says, and so are those
        that it stands upon; listings are kept.  In the process that made it only ``loop``
        has an effect.

        Parameters
        ----------
        loop
            the loop to use from now on; by default fsspec's own, new in this process.
        """
        instances.reset(self)
        if loop is not None:
            self._loop = loop
            note_instance(self)

    # one path ---------------------------------------------------------------------
    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        if not overridden(self, "rm"):
            self._fsspec_refuse_change("remove", path, "_rm_file")
        await awaitable_of(self._rm(path, **supported(self, "_rm", {"batch_size": 1}), **kwargs))

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        self._fsspec_refuse_change("copy", path1, "_cp_file")

    async def _mv_file(self, path1: str, path2: str) -> None:
        """Move one file: copied, then removed."""
        await self._cp_file(path1, path2)
        await self._rm_file(path1)

    @default
    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot write: it has no _pipe_file of its own")

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        raise NotImplementedError(f"{type(self).__name__} cannot read: it has no _cat_file of its own")

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot upload: it has no _put_file of its own")

    async def _get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot download: it has no _get_file of its own")

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} cannot tell of a path: it has no _info of its own")

    @default
    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        raise NotImplementedError(f"{type(self).__name__} cannot list: it has no _ls of its own")

    async def _mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        pass  # stores without folders have nothing to do

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        pass  # as above

    @default
    async def _exists(self, path: str, **kwargs: Any) -> bool:
        try:
            await awaitable_of(self._info(path, **kwargs))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    @default
    async def _isfile(self, path: str) -> bool:
        try:
            return bool((await awaitable_of(self._info(path)))["type"] == "file")
        except ForkError:
            raise
        except Exception:  # as in _exists
            return False

    @default
    async def _isdir(self, path: str) -> bool:
        try:
            entry = await awaitable_of(self._info(path))
        except OSError:
            return False
        try:
            return bool(entry["type"] == "directory")
        except (KeyError, TypeError) as error:
            raise no_entry(self, error) from error

    async def _size(self, path: str) -> int | None:
        entry = await awaitable_of(self._info(path))
        try:
            size: int | None = entry.get("size", None)
            return size
        except AttributeError as error:
            raise no_entry(self, error) from error

    async def _process_limits(self, url: str, start: int | None, end: int | None) -> str:
        """The value of an HTTP ``Range`` header for a slice of a file. Costs one request for the size if
        ``start`` is negative and ``end`` is given, or ``end`` is negative."""
        if start is not None and start < 0 and end is None:
            return f"bytes={start}"
        if min(start or 0, end or 0) < 0:
            size = await self._size(url) or 0
            start, end = (max(0, n + size) if n is not None and n < 0 else n for n in (start, end))
        last = "" if end is None else end - 1
        return f"bytes={start or 0}-{last}"

    # trees ------------------------------------------------------------------------
    @default
    async def _walk(
        self,
        path: str,
        maxdepth: Depth = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], Any] = listing.OMIT_ABSENT,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        async for item in stream(self, listing.walk(self, path, maxdepth, topdown, on_error, **kwargs)):
            yield item

    @default
    async def _find(self, path: str, maxdepth: Depth = None, withdirs: bool = False, **kwargs: Any) -> Found:
        return await drive(self, listing.find(self, path, maxdepth, withdirs, **kwargs))

    async def _du(
        self, path: str, total: bool = True, maxdepth: Depth = None, **kwargs: Any
    ) -> int | dict[str, int]:
        return await drive(self, listing.du(self, path, total, maxdepth, **kwargs))

    @default
    async def _glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Found:
        return await drive(self, globbing.glob(self, path, maxdepth, **kwargs))

    async def _expand_path(
        self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None, assume_literal: bool = False
    ) -> list[str]:
        return await drive(self, expanding.expand_path(self, path, recursive, maxdepth, assume_literal))

    # many files -------------------------------------------------------------------
    async def _sizes(self, paths: list[str], batch_size: int | None = None) -> list[int | None]:
        return await drive(self, bulk.sizes(self, paths, batch_size))

    async def _cat(
        self,
        path: StrPaths,
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Contents:
        return await drive(self, bulk.cat(self, path, recursive, on_error, kwargs, batch_size))

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        plan = bulk.cat_ranges(self, paths, starts, ends, max_gap, on_error, kwargs, batch_size)
        return await drive(self, plan)

    async def _pipe(
        self,
        path: str | Mapping[str, ReadableBuffer],
        value: ReadableBuffer | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[Any] | None:
        return await drive(self, bulk.pipe(self, path, value, kwargs, batch_size))

    @default
    async def _rm(
        self,
        path: StrPaths,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> list[Any] | None:
        return await drive(self, bulk.rm(self, path, recursive, maxdepth, kwargs, batch_size))

    @default
    async def _copy(
        self,
        path1: StrPaths,
        path2: StrPaths,
        recursive: bool = False,
        on_error: str | None = None,
        maxdepth: Depth = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        plan = transfers.copy(self, path1, path2, recursive, maxdepth, on_error, kwargs, batch_size)
        await drive(self, plan)

    async def _get(
        self,
        rpath: StrPaths,
        lpath: StrPaths,
        recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK,
        maxdepth: Depth = None,
        batch_size: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> list[Any] | None:
        plan = transfers.get(self, rpath, lpath, recursive, callback, maxdepth, kwargs, batch_size, on_error)
        return await drive(self, plan)

    async def _put(
        self,
        lpath: StrPaths,
        rpath: StrPaths,
        recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK,
        batch_size: int | None = None,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> list[Any] | None:
        plan = transfers.put(self, lpath, rpath, recursive, callback, maxdepth, kwargs, batch_size)
        return await drive(self, plan)

    def mv(
        self, path1: StrPaths, path2: StrPaths, recursive: bool = False, maxdepth: Depth = None, **kwargs: Any
    ) -> None:
        """Move files within the filesystem; see `AbstractFileSystem.mv`.

        A blocking ``copy`` or ``rm`` that a backend has of its own is called.
        """
        if mirrored(self.copy) and mirrored(self.rm):
            super().mv(path1, path2, recursive, maxdepth, **kwargs)
            return
        fs: Any = BlockingView(self)
        plan = transfers.mv(fs, path1, path2, recursive, maxdepth, kwargs.get("callback"))
        drive_blocking(fs, plan)

    def _fsspec_drive_plan(self, plan: PlanOf[T]) -> T:
        """What a plan returns, its operations awaited on the instance's loop."""
        result: T = sync(self.loop, drive, self, plan)
        return result

    # opening ----------------------------------------------------------------------
    def _fsspec_run_open(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine of `_open` returns; blocks."""

        async def wait() -> Any:
            return await coroutine

        wait.__self__ = self  # type: ignore[attr-defined]  # as of a method, whose name it has
        wait.__qualname__ = getattr(coroutine, "__qualname__", wait.__qualname__)
        try:
            return sync(self.loop, wait)
        finally:
            coroutine.close()  # if there is no loop to run it

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> AbstractAsyncStreamedFile:
        """A file whose methods are awaited, if the backend has such files.

        Raises
        ------
        ValueError
            for text, or a compression: there is neither.
        """
        if "b" not in mode or kwargs.get("compression"):
            raise ValueError(f"{redact_url(path)!r}: only plain binary files can be opened to be awaited")
        raise NotImplementedError(f"{type(self).__name__} has no files that are awaited")


class BlockingView:
    """A filesystem seen by its blocking methods, some of which a backend may define itself."""

    async_impl = False

    def __init__(self, fs: AsyncFileSystem) -> None:
        self._viewed_fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._viewed_fs, name)


def _adopt_texts(cls: type) -> None:
    """Give async methods without a text of their own that of the blocking method."""
    for name, method in list(vars(cls).items()):
        if private.match(name) and callable(method) and getattr(method, "__doc__", "") is None:
            blocking = getattr(AbstractFileSystem, name[1:], None)
            if blocking is not None:
                method.__doc__ = blocking.__doc__


_adopt_texts(AsyncFileSystem)
mirror_class(AsyncFileSystem, AsyncFileSystem)


async def _of_file(file: AbstractBufferedFile, step: call) -> Any:
    """The answer to a step of a file: its own coroutines have the plain names."""
    return await getattr(file, step.name)(*step.args, **step.kwargs)


class AbstractAsyncStreamedFile(AbstractBufferedFile):
    """A file that is read or written in order, by awaiting.

    A backend brings the coroutines `_fetch_range`, or `_initiate_upload` and
    `_upload_chunk`; the rules of `AbstractBufferedFile` hold, that on forks too.
    """

    loc: int

    async def read(self, length: int | None = -1) -> bytes:
        length = -1 if length is None else int(length)
        self._fsspec_check_readable()
        end = self.loc + length if length >= 0 else self.size
        if end is not None and end <= self.loc:
            return b""
        # "end" is None if the size is not known
        out = await self._fetch_range(self.loc, end)  # pyright: ignore[reportArgumentType]
        check_fetched(out, self.loc, end, getattr(self, "size", None), self._fetch_range)
        out = out if end is None else out[: end - self.loc]
        self.loc += len(out)
        return out

    async def write(self, data: ReadableBuffer) -> int:
        """Add bytes at the end; a part is sent whenever a block is full."""
        check_writable(self)
        count = self._fsspec_put_in_buffer(data)
        if self.buffer.tell() >= self.blocksize:
            await self.flush()
        return count

    async def flush(self, force: bool = False) -> None:
        await drive(self, flushing(self, force), _of_file)

    async def close(self) -> None:
        """Send the rest and finish the upload; of a file being read, drop the cache."""
        await drive(self, closing(self), _of_file)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._fsspec_given_up_upload is None or not self.closed:
            await self.close()

    def __del__(self) -> None:
        pass  # there is nobody to await its closing

    async def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes of a range, None for all that follows; what a backend brings for reading."""
        raise NotImplementedError(f"{type(self).__name__} cannot be read")

    async def _initiate_upload(self) -> None:
        """Begin an upload; what a backend does before the first part."""

    async def _upload_chunk(self, final: bool = False) -> bool | None:
        """Send ``self.buffer`` as a part; see `AbstractBufferedFile._upload_chunk`."""
