"""Reading references: the part of the filesystem that fetches targets.

One reference is read by one request.  Many are planned by `ReadPlan`, and each block of the
plan is fetched by the filesystem of its target. Awaitable ones are asked concurrently, within the
batch size; blocking ones in the caller's thread, or from an event loop in a helper thread.
"""

from __future__ import annotations

import asyncio
import os
from typing import IO, TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from fsspec._files.replacing import make_folder_of, replacing
from fsspec._loop.batching import get_batch_size, run_concurrently
from fsspec._loop.driving import drive_awaiting
from fsspec._overriding import is_awaitable, replaced, supported, unless_patched
from fsspec._paths.paths import local_side, path_texts
from fsspec._paths.ranges import per_path
from fsspec._plans import Plan, PlanOf, call, drive, local
from fsspec._plans.bulk import raise_first, split_callback
from fsspec._plans.globbing import has_magic
from fsspec.asyn import AsyncFileSystem, sync
from fsspec.callbacks import DEFAULT_CALLBACK, Callback, for_file
from fsspec.core import split_protocol
from fsspec.implementations._reference import joining
from fsspec.implementations._reference.joining import Block, ReadPlan
from fsspec.implementations._reference.loading import Targets
from fsspec.implementations._reference.parquet import LazyReferenceMapper
from fsspec.implementations._reference.parsing import Part, parsed
from fsspec.utils import isfilelike

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fsspec._paths.types import Contents, Offsets, Options, Progress, StrPath, StrPaths, T
    from fsspec.spec import AbstractFileSystem


_WHOLE_ANSWERS = frozenset(
    f"fsspec.implementations.{name}" for name in ("http", "http_sync", "local", "memory")
)
"""Modules of filesystems that raise for a cut response, so that short data means the end of the file."""

Wanted = tuple[list[str], "list[tuple[int | None, int | None]] | None"]
"""Keys, and a slice for each, or None if all are read whole."""

_ASKED_FOR: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, list[tuple[str, asyncio.Future[Any]]]]] = (
    WeakKeyDictionary()
)
"""By loop, which is another one after a fork, and filesystem: what downloads are about to read, and where
each waits for it; None comes there if it has to read itself."""


class ReferenceReading(AsyncFileSystem):
    """The part of `ReferenceFileSystem` that reads.

    Attributes
    ----------
    references : dict or LazyReferenceMapper
        by key
    fss : dict
        filesystems of targets by protocol
    target, max_gap, max_block
        as given
    """

    references: Any
    fss: dict[str | None, Any]
    target: str | None
    max_gap: int
    max_block: int | None
    _target_filesystems: Targets

    @property
    def _is_lazy(self) -> bool:
        """Whether looking references up may make requests."""
        return not isinstance(self.references, dict)

    async def _off_loop(self, func: Callable[..., T], *args: Any) -> T:
        """Call a function that may load references, in a thread if so, to keep the loop free."""
        return await asyncio.to_thread(func, *args) if self._is_lazy else func(*args)

    def _reference_of(self, path: str) -> bytes | Part:
        """The contents or the part that the reference of a path stands for."""
        try:
            value = self.references[path]
        except KeyError as error:
            raise joining.missing(path, error, self.references) from error
        return parsed(path, value, self.target)

    def _fs_of(self, url: str) -> AsyncFileSystem:
        protocol = split_protocol(url)[0]
        found = self.fss.get(protocol)
        if found is None:
            found = self.fss[protocol] = self._target_filesystems.made(
                protocol, self._target_filesystems.options
            )
        return found if is_awaitable(found) else self._target_filesystems.as_awaitable(found)

    def _source_of(self, path: str) -> tuple[Any, str | None]:
        """The filesystem and URL of a path's target; None for both if there is none."""
        reference = self._reference_of(path)
        return (self._fs_of(reference.url), reference.url) if isinstance(reference, Part) else (None, None)

    # reading one ------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        path = self._strip_protocol(path)
        reference = self._reference_of(path)
        if isinstance(reference, bytes):
            return reference[start:end]
        source = self._fs_of(reference.url)
        blocking = blocking_of(source)
        if blocking is None:
            return sync(self.loop, self._fetch_part, path, reference, start, end, kwargs)
        part = joining.sliced_and_logged(path, reference, start, end)
        wanted = None if reference.end is None else part.length
        if wanted == 0:
            return b""
        with reference_errors(path, reference.url):
            data: bytes = blocking.cat_file(reference.url, start=part.start, end=part.end, **kwargs)
        if wanted is not None and len(data) != wanted:
            _check_end(path, part, data, drive(blocking, _size_plan(blocking, reference.url)))
        return data

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        path = self._strip_protocol(path)
        references = self.references
        if isinstance(references, LazyReferenceMapper) and not references.is_loaded(path):
            reference = await asyncio.to_thread(self._reference_of, path)
        else:
            reference = self._reference_of(path)
        if isinstance(reference, bytes):
            return reference[start:end]
        return await self._fetch_part(path, reference, start, end, kwargs)

    async def _fetch_part(
        self, path: str, reference: Part, start: int | None, end: int | None, kwargs: Options
    ) -> bytes:
        part = joining.sliced_and_logged(path, reference, start, end)
        wanted = None if reference.end is None else part.length
        if wanted == 0:
            return b""
        with reference_errors(path, reference.url):
            source = self._fs_of(reference.url)
            data: bytes = await source._cat_file(reference.url, start=part.start, end=part.end, **kwargs)
        if wanted is not None and len(data) != wanted:
            _check_end(path, part, data, await drive_awaiting(source, _size_plan(source, reference.url)))
        return data

    # reading many -----------------------------------------------------------------
    def _planned_reads(self, wanted: Wanted, max_gap: int | None) -> ReadPlan:
        gap = self.max_gap if max_gap is None else max_gap
        return ReadPlan(*wanted, self.references.__getitem__, self.target, gap, self.max_block)

    def _by_filesystem(self, plan: ReadPlan) -> tuple[list[tuple[Any, list[Block]]], list[tuple[Any, Block]]]:
        """The blocks of blocking filesystems, grouped by filesystem; and those of awaitable ones, in
        pairs."""
        blocking: dict[int, tuple[Any, list[Block]]] = {}
        awaited: list[tuple[Any, Block]] = []
        known: dict[str, Any] = {}
        for block in plan.blocks:
            source = known.get(block.url)
            if source is None:
                try:
                    source = known[block.url] = self._fs_of(block.url)
                except (ImportError, OSError, ValueError) as error:
                    plan.take(block, error)
                    continue
            inner = blocking_of(source)
            if inner is None:
                awaited.append((source, block))
            else:
                blocking.setdefault(id(inner), (inner, []))[1].append(block)
        return list(blocking.values()), awaited

    async def _fetch_blocks(
        self,
        plan: ReadPlan,
        items: list[tuple[Any, Block]],
        on_error: str,
        batch_size: int | None,
        kwargs: Options,
    ) -> None:
        async def fetch(item: tuple[Any, Block]) -> None:
            source, block = item
            try:
                data = await source._cat_file(block.url, start=block.start, end=block.end, **kwargs)
            except Exception as error:  # backends raise their client library's own errors
                data = error
            plan.take(block, data)
            if block.url in plan.short:
                size = await drive_awaiting(source, _size_plan(source, block.url))
                if block.url in plan.short:  # unless another block has settled it meanwhile
                    plan.settle(block.url, size)
            if on_error == "raise":  # other fetches are cancelled
                raise_first(plan.results[position] for _, _, _, position in block.members)

        own: dict[int, tuple[Any, list[Block]]] = {}  # of filesystems whose `_cat_ranges` is a program's
        for source, block in items:
            if replaced(source, "cat_ranges"):
                own.setdefault(id(source), (source, []))[1].append(block)
        for source, blocks in own.values():
            await drive_awaiting(source, _ranges_plan(plan, source, blocks, kwargs, "_cat_ranges"))
        items = [(source, block) for source, block in items if id(source) not in own]
        await run_concurrently(items, fetch, batch_size or self.batch_size or get_batch_size(nofiles=True))

    def fetch_blocks(self, *args: Any) -> None:
        sync(self.loop, self._fetch_blocks, *args)

    def _cat_many(
        self, wanted: Wanted, max_gap: int | None, on_error: str, batch_size: int | None, kwargs: Options
    ) -> PlanOf[list[Any]]:
        """The contents of many references, or slices of them, in order; the callback is called once for
        all."""
        callback, kwargs = split_callback(kwargs)
        plan = (
            (yield local(self._planned_reads, wanted, max_gap))
            if self._is_lazy
            else self._planned_reads(wanted, max_gap)
        )
        blocking, awaited = self._by_filesystem(plan)
        if on_error == "raise":
            raise_first(plan.results)
        for source, blocks in blocking:
            yield local(_fetch_blocking, plan, source, blocks, kwargs)
        if awaited:
            yield call("fetch_blocks", plan, awaited, on_error, batch_size, kwargs)
        if on_error == "raise":
            raise_first(plan.results)
        callback.set_size(len(plan.results))
        callback.relative_update(len(plan.results))
        results: list[Any] = plan.results
        return results

    def _cat_plan(
        self,
        path: StrPaths,
        recursive: bool,
        on_error: str,
        batch_size: int | None,
        kwargs: Options,
        in_order: bool = False,
    ) -> Plan:
        given = path_texts(path)
        several = [given] if isinstance(given, str) else given
        if recursive or any(map(has_magic, several)):
            paths = yield call("expand_path", given, recursive=recursive)
            paths = [p for p in paths if not self.isdir(p)] if recursive else paths
        else:
            paths = list(dict.fromkeys(map(self._strip_protocol, several)))
        if in_order:
            paths = sorted(paths)
        single = isinstance(given, str) and paths == [self._strip_protocol(given)]  # no pattern or folder
        if single and not recursive and on_error == "raise":
            return (yield call("cat_file", paths[0], **split_callback(kwargs)[1]))
        part = kwargs.pop("start", None), kwargs.pop("end", None)  # of each file
        slices = None if part == (None, None) else [part] * len(paths)
        results = yield from self._cat_many((paths, slices), None, on_error, batch_size, kwargs)
        found = dict(zip(paths, results))
        if on_error == "omit":
            found = {p: data for p, data in found.items() if not isinstance(data, BaseException)}
        return results[0] if single and found else found

    def cat(self, path: StrPaths, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        batch_size = kwargs.pop("batch_size", None)
        return drive(self, self._cat_plan(path, recursive, on_error, batch_size, kwargs))

    @unless_patched
    async def _cat(
        self,
        path: StrPaths,
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Contents:
        if replaced(self, "cat_file"):
            return await super()._cat(path, recursive, on_error, batch_size, **kwargs)
        # its keys are in order, as those of other awaitable filesystems are
        plan = self._cat_plan(path, recursive, on_error, batch_size, kwargs, in_order=True)
        return await drive_awaiting(self, plan)

    def _wanted_slices(self, paths: list[str], starts: Offsets, ends: Offsets) -> Wanted:
        paths, firsts, lasts = per_path(paths, starts, ends)
        return list(map(self._strip_protocol, paths)), list(zip(firsts, lasts))

    def cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        if replaced(self, "cat_file"):
            kwargs.update(max_gap=max_gap, on_error=on_error)
            return sync(self.loop, self._cat_ranges, paths, starts, ends, **kwargs)
        batch_size = kwargs.pop("batch_size", None)
        wanted = self._wanted_slices(paths, starts, ends)
        return drive(self, self._cat_many(wanted, max_gap, on_error, batch_size, kwargs))

    @unless_patched
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
        if replaced(self, "cat_file"):
            return await super()._cat_ranges(paths, starts, ends, max_gap, batch_size, on_error, **kwargs)
        wanted = self._wanted_slices(paths, starts, ends)
        return await drive_awaiting(self, self._cat_many(wanted, max_gap, on_error, batch_size, kwargs))

    # to this machine --------------------------------------------------------------
    def get_file(
        self, rpath: str, lpath: StrPath | IO[bytes], callback: Progress = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        callback, rpath = for_file(callback, rpath), self._strip_protocol(rpath)
        if self.isdir(rpath):
            os.makedirs(local_side(lpath), exist_ok=True)
            return
        reference = self._reference_of(rpath)
        if isinstance(reference, Part) and self._is_downloaded(reference) and not isfilelike(lpath):
            found = self._fs_of(reference.url)
            source = blocking_of(found) or found
            local = os.path.abspath(local_side(lpath))  # a slash at its end means nothing, as upstream
            with reference_errors(rpath, reference.url, local):
                make_folder_of(local)
                extra = supported(source, "get_file", {"callback": callback})
                source.get_file(reference.url, local, **extra, **kwargs)
            return
        _save_bytes(self.cat_file(rpath, **kwargs), lpath, callback)

    async def _get_file(
        self, rpath: str, lpath: StrPath | IO[bytes], callback: Progress = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        callback, rpath = for_file(callback, rpath), self._strip_protocol(rpath)
        if await self._isdir(rpath):
            os.makedirs(local_side(lpath), exist_ok=True)
            return
        reference = await self._off_loop(self._reference_of, rpath)
        if isinstance(reference, Part) and self._is_downloaded(reference) and not isfilelike(lpath):
            source = self._fs_of(reference.url)
            local = os.path.abspath(local_side(lpath))
            with reference_errors(rpath, reference.url, local):
                make_folder_of(local)
                extra = supported(source, "_get_file", {"callback": callback})
                await source._get_file(reference.url, local, **extra, **kwargs)
            return
        alone = isinstance(reference, bytes) or kwargs or replaced(self, "cat_file")
        data = await (self._cat_file(rpath, **kwargs) if alone else self._cat_with_others(rpath))
        _save_bytes(data, lpath, callback)

    def _is_downloaded(self, reference: Part) -> bool:
        """Whether a part is all of a file that its filesystem can download; an awaitable one need not."""
        if reference.end is not None:
            return False
        return getattr(type(self._fs_of(reference.url)), "_get_file", None) is not AsyncFileSystem._get_file

    async def _cat_with_others(self, path: str) -> bytes:
        """The contents of a reference; what is asked for so at once is read together."""
        loop = asyncio.get_running_loop()
        asked_for = _ASKED_FOR.setdefault(loop, {})
        answer: asyncio.Future[Any] = loop.create_future()
        asked = asked_for.setdefault(id(self), [])
        asked.append((path, answer))
        if len(asked) == 1:  # the first one reads for all
            try:
                quiet = 0
                while quiet < 2:  # as long as others join; a turn passes if the second one is a folder
                    count = len(asked)
                    await asyncio.sleep(0)
                    quiet = quiet + 1 if count == len(asked) else 0
                del asked_for[id(self)]
                if len(asked) > 1:
                    plan = self._cat_many(([each for each, _ in asked], None), None, "return", None, {})
                    for (_, waiting), data in zip(asked, await drive_awaiting(self, plan)):
                        if not waiting.done():
                            waiting.set_result(data)
            finally:
                if asked_for.get(id(self)) is asked:
                    del asked_for[id(self)]
                for _, waiting in asked:
                    if not waiting.done():
                        waiting.set_result(None)
        data = await answer
        if isinstance(data, BaseException):
            raise data
        return cast("bytes", await self._cat_file(path) if data is None else data)


class reference_errors:
    """A block in which errors of a target's filesystem become errors of a reference. Errors about ``local``,
    the file that is being made, or about a folder on the way there, stay as they are. ``of_file``: a file is
    asked for, so that its user looks for a FileNotFoundError."""

    __slots__ = ("key", "local", "of_file", "url")

    def __init__(
        self, key: str, url: str | None, local: StrPath | IO[bytes] | None = None, of_file: bool = False
    ) -> None:
        self.key = key
        self.url = url
        self.local = local
        self.of_file = of_file

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            if self._is_about_local(getattr(error, "filename", None)):
                return
            made = joining.failed(self.key, self.url or "", error)
            if self.of_file:
                made = joining.not_found(made)
            if made is not error:
                raise made from made.__cause__

    def _is_about_local(self, name: object) -> bool:
        if self.local is None or isfilelike(self.local) or not isinstance(name, str):
            return False
        return (os.path.abspath(self.local) + os.sep).startswith(os.path.abspath(name) + os.sep)


def _check_end(path: str, part: Part, data: bytes, size: int | None) -> None:
    """Raise if a part has fewer bytes than its target holds of it."""
    if not joining.ends_there(part, len(data), size):
        raise joining.short(path, part, len(data))


def _size_plan(source: AbstractFileSystem, url: str) -> PlanOf[int | None]:
    """The size of a target; None if it cannot be found. 0, without a request, if a cut response raises."""
    if type(source).__module__ in _WHOLE_ANSWERS:
        return 0
    try:
        return cast("int | None", (yield call("info", url)).get("size"))
    except Exception:  # backends raise their client library's own errors; what came short stays an error
        return None


def blocking_of(source: AbstractFileSystem) -> AbstractFileSystem | None:
    """The blocking filesystem that an awaitable one wraps; None if it wraps none."""
    return getattr(source, "sync_fs", None)


def _ranges_plan(
    reads: ReadPlan,
    source: AbstractFileSystem,
    blocks: list[Block],
    kwargs: Options,
    method: str = "cat_ranges",
) -> Plan:
    """Fetch blocks of one filesystem by its `cat_ranges`. ``method``: its name, `_cat_ranges` if it is
    awaited."""
    urls = [block.url for block in blocks]
    starts, ends = [block.start for block in blocks], [block.end for block in blocks]
    how = {**supported(source, method, {"on_error": "return"}), **kwargs}
    answers = yield call("cat_ranges", urls, starts, ends, **how)
    for block, data in zip(blocks, answers):
        reads.take(block, data)
    for url in [url for url in dict.fromkeys(urls) if url in reads.short]:
        reads.settle(url, (yield from _size_plan(source, url)))


def _fetch_blocking(plan: ReadPlan, source: AbstractFileSystem, blocks: list[Block], kwargs: Options) -> None:
    drive(source, _ranges_plan(plan, source, blocks, kwargs))


def _save_bytes(data: bytes, lpath: StrPath | IO[bytes], callback: Callback) -> None:
    callback.set_size(len(data))
    if isfilelike(lpath):
        lpath.write(data)
    else:
        local = os.path.abspath(local_side(lpath))
        make_folder_of(local)
        with replacing(local) as f:
            f.write(data)
    callback.absolute_update(len(data))
