"""Files that are references to parts of other files.

A reference is the contents themselves or a part of a target; see `_reference_words` for
its forms, `_reference_spec` for documents of them, `_reference_parquet` for tables.  Keys
are paths; the folders that they make up are found out when they are first asked for.

Looking at references needs no loop and happens on the caller's thread.  Reading targets
is awaited, many at once; where the filesystem of the targets blocks, it is asked from the
caller's thread, or, in a loop, from one of the loop's helpers.

In a forked child an instance goes on with the references and folders that it has; only
the filesystems of its targets are made usable anew.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

from fsspec import _instances
from fsspec._chain import split_protocol
from fsspec._plans import drive as drive_blocking
from fsspec._plans import listing
from fsspec._plans.awaiting import drive, get_batch_size, together
from fsspec._plans.globbing import has_magic
from fsspec._replacing import replacing
from fsspec.asyn import AsyncFileSystem, get_loop, sync
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.core import url_to_fs
from fsspec.implementations import _reference_reads as reads
from fsspec.implementations._reference_layout import ravel_multi_index
from fsspec.implementations._reference_loading import Targets, load, references_of
from fsspec.implementations._reference_parquet import (
    LazyReferenceMapper,
    RefsItemsView,
    RefsValuesView,
    write_whole,
)
from fsspec.implementations._reference_reads import Block, Reads, Wanted
from fsspec.implementations._reference_tree import Tree, lenient_size
from fsspec.implementations._reference_words import Part, ReferenceNotReachable, as_text, parsed
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import isfilelike, stringify_path

__all__ = [
    "LazyReferenceMapper",
    "ReferenceFile",
    "ReferenceFileSystem",
    "ReferenceNotReachable",
    "RefsItemsView",
    "RefsValuesView",
    "ravel_multi_index",
]

logger = logging.getLogger("fsspec.reference")

Entry = dict[str, Any]


class ReferenceFile(AbstractBufferedFile):
    """A reference to a part of a target, to be read; see `AbstractBufferedFile`."""

    _f: Any = None

    def __init__(
        self,
        fs: Any,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = "default",
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fs, path, mode, block_size, autocommit, cache_type, cache_options, size=size, **kwargs
        )
        self.src_fs, self.src_path = fs._source(path)

    @property
    def f(self) -> Any:
        """The target, opened; its positions are those of the target."""
        if self._f is None or self._f.closed:
            self._f = self.src_fs.open(self.src_path)
        return self._f

    def close(self) -> None:
        if self._f is not None:
            self._f.close()
        super().close()

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.cat_file(self.path, start, end)


class ReferenceFileSystem(AsyncFileSystem):
    """Files whose contents are given, or are parts of other files.

    Parameters
    ----------
    fo
        references by key, or a document of them; or the URL of a JSON file that holds one,
        or of a folder of parquet tables
    target
        the URL of targets that are None
    ref_storage_args
        another name of ``target_options``
    target_protocol, target_options
        of the filesystem that ``fo`` is read from
    remote_protocol, remote_options
        of the filesystem of targets without a protocol; the options are for all
        filesystems of targets that are made here. By default those are made that the URLs
        name, and what has no protocol is local.
    fs
        the filesystem of the targets; or by protocol instances, or options for one
    template_overrides
        templates that replace those of the document
    simple_templates
        has no effect any more: names are replaced, and expressions evaluated by jinja2
    max_gap, max_block
        parts of one target are read together that lie no further apart, as long as they
        make no more bytes
    cache_size
        parquet tables kept in memory
    **kwargs
        as for `AsyncFileSystem`

    Raises
    ------
    FileNotFoundError
        if there is nothing at ``fo``.
    ValueError
        if it holds no references; or for filesystems of which only one is asynchronous.
    """

    protocol = "reference"
    cachable = False

    def __init__(
        self,
        fo: Any,
        target: str | None = None,
        ref_storage_args: dict[str, Any] | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        remote_protocol: str | None = None,
        remote_options: dict[str, Any] | None = None,
        fs: Any = None,
        template_overrides: dict[str, Any] | None = None,
        simple_templates: bool = True,
        max_gap: int = 64_000,
        max_block: int | None = 256_000_000,
        cache_size: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.template_overrides = template_overrides
        self.simple_templates = simple_templates
        self.max_gap = max_gap
        self.max_block = max_block
        options = {**(ref_storage_args or {}), **(target_options or {})}
        content = load(fo, target_protocol, options, cache_size)
        self.references: Any
        self.references, self.templates = references_of(content, template_overrides)
        self._tree: Tree | None = None
        self._targets = Targets(self.asynchronous, kwargs.get("loop"), remote_options or {})
        self.fss = self._targets.table(fs, remote_protocol, self.references, target)

    def _revive(self, before: dict[str, Any]) -> None:
        """Go on with the references, and make the filesystems of the targets usable."""
        own = object.__getattribute__(self, "__dict__")
        own.clear()
        own.update(before)
        own["_pid"] = os.getpid()
        if not own["asynchronous"]:
            own["_loop"] = get_loop()
        inherited = list(own["fss"].values())
        inherited += [each.__dict__.get("sync_fs") for each in inherited]
        inherited.append(getattr(own["references"], "fs", None))
        for each in reversed(inherited):  # what is inside of others first
            if each is not None and _instances.is_stale(each):
                _instances.touch(each, by_hand=True)

    # what there is -------------------------------------------------------------------
    @property
    def _lazy(self) -> bool:
        """Whether looking at references may ask somebody for them."""
        return not isinstance(self.references, dict)

    def _folders(self) -> Tree:
        if self._tree is None or self._tree.length != len(self.references):
            self._tree = Tree(self.references)
        return self._tree

    def _dircache_from_items(self) -> None:
        """Find the folders out anew, after `references` was changed from outside."""
        self._tree = None

    async def _aside(self, func: Any, *args: Any) -> Any:
        """Call what may have to load references, without keeping the loop waiting."""
        return await asyncio.to_thread(func, *args) if self._lazy else func(*args)

    def _is_folder(self, path: str) -> bool:
        if not path:
            return True
        if isinstance(self.references, LazyReferenceMapper):
            return path in self.references.listdir()
        return path in self._folders().folders

    def _said(self, path: str) -> bytes | Part:
        """What the reference of a path says."""
        try:
            value = self.references[path]
        except KeyError as error:
            raise missing(path, error) from error
        return parsed(path, value, self.target)

    def _fs_of(self, url: str) -> Any:
        protocol = split_protocol(url)[0]
        found = self.fss.get(protocol)
        if found is None:
            found = self.fss[protocol] = self._targets.made(protocol, self._targets.options)
        return found

    def _source(self, path: str) -> tuple[Any, str | None]:
        """The filesystem and URL of a path's target; None for both where there is none."""
        said = self._said(path)
        return (self._fs_of(said.url), said.url) if isinstance(said, Part) else (None, None)

    def _entry(self, path: str) -> Entry:
        """The entry of a path, of references to all of a target without a size."""
        path = self._strip_protocol(path)
        try:
            value = self.references[path]
        except KeyError as error:
            if self._is_folder(path):
                return {"name": path, "type": "directory", "size": 0}
            raise missing(path, error) from error
        return {"name": path, "type": "file", "size": lenient_size(path, value)}

    def info(self, path: str, **kwargs: Any) -> Entry:
        entry = self._entry(path)
        if entry["size"] is None:
            source, url = self._source(entry["name"])
            with _failing(entry["name"], url):
                entry["size"] = (_blocking(source) or source).info(url)["size"]
        return entry

    async def _info(self, path: str, **kwargs: Any) -> Entry:
        entry = await self._aside(self._entry, path)
        if entry["size"] is None:
            source, url = await self._aside(self._source, entry["name"])
            with _failing(entry["name"], url):
                entry["size"] = (await source._info(url))["size"]
        return entry

    def exists(self, path: str, **kwargs: Any) -> bool:
        path = self._strip_protocol(path)
        return path in self.references or self._is_folder(path)

    async def _exists(self, path: str, **kwargs: Any) -> bool:
        return await self._aside(self.exists, path)

    def isfile(self, path: str) -> bool:
        return self._strip_protocol(path) in self.references

    async def _isfile(self, path: str) -> bool:
        return await self._aside(self.isfile, path)

    def isdir(self, path: str) -> bool:
        path = self._strip_protocol(path)
        return path not in self.references and self._is_folder(path)

    async def _isdir(self, path: str) -> bool:
        return await self._aside(self.isdir, path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if isinstance(self.references, LazyReferenceMapper):
            return self.references.ls(path, detail)
        folders = self._folders()
        found: list[Any] | None = folders.entries(path) if detail else folders.names(path)
        if found is None:
            found = [self._entry(path)] if detail else [self._entry(path)["name"]]
        return found

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        return await self._aside(self.ls, path, detail)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        if isinstance(self.references, LazyReferenceMapper):
            return drive_blocking(self, listing.find(self, path, maxdepth, withdirs, detail))
        listing.check_depth(maxdepth)
        path = self._strip_protocol(path)
        if not path and maxdepth is None and not withdirs and not detail:
            return sorted(self.references)
        folders = self._folders()
        names = list(folders.below(path, maxdepth, withdirs))
        if path and (path in self.references or withdirs and path in folders.folders):
            names.append(path)
        names.sort()
        return {name: self._entry(name) for name in names} if detail else names

    async def _find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, **kwargs: Any
    ) -> Any:
        return await self._aside(self.find, path, maxdepth, withdirs, kwargs.get("detail", False))

    # reading one ---------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        path = self._strip_protocol(path)
        said = self._said(path)
        if isinstance(said, bytes):
            return said[start:end]
        source = self._fs_of(said.url)
        blocking = _blocking(source)
        if blocking is None:
            return sync(self.loop, self._fetch_part, path, said, start, end, kwargs)
        part = reads.sliced(said, start, end)
        if said.end is not None and part.start == part.end:
            return b""
        with _failing(path, said.url):
            data = blocking.cat_file(said.url, start=part.start, end=part.end, **kwargs)
        return _complete(path, said, part, data)

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        path = self._strip_protocol(path)
        references = self.references
        if isinstance(references, LazyReferenceMapper) and not references.is_loaded(path):
            said = await asyncio.to_thread(self._said, path)
        else:
            said = self._said(path)
        if isinstance(said, bytes):
            return said[start:end]
        return await self._fetch_part(path, said, start, end, kwargs)

    async def _fetch_part(
        self, path: str, said: Part, start: int | None, end: int | None, kwargs: dict[str, Any]
    ) -> bytes:
        part = reads.sliced(said, start, end)
        if said.end is not None and part.start == part.end:
            return b""
        with _failing(path, said.url):
            data = await self._fs_of(said.url)._cat_file(said.url, start=part.start, end=part.end, **kwargs)
        return _complete(path, said, part, data)

    # reading many --------------------------------------------------------------------
    def _reads(self, wanted: list[Wanted], max_gap: int | None = None) -> Reads:
        gap = self.max_gap if max_gap is None else max_gap
        return Reads(wanted, self.references.__getitem__, self.target, gap, self.max_block)

    def _sorted_out(self, plan: Reads) -> tuple[list[tuple[Any, list[Block]]], list[tuple[Any, Block]]]:
        """The blocks to ask of filesystems that block, by those, and the others, each with its own."""
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
            inner = _blocking(source)
            if inner is None:
                awaited.append((source, block))
            else:
                blocking.setdefault(id(inner), (inner, []))[1].append(block)
        return list(blocking.values()), awaited

    async def _fetch_blocks(
        self, plan: Reads, items: list[tuple[Any, Block]], batch_size: int | None, kwargs: dict[str, Any]
    ) -> None:
        async def fetch(item: tuple[Any, Block]) -> None:
            source, block = item
            try:
                data = await source._cat_file(block.url, start=block.start, end=block.end, **kwargs)
            except Exception as error:  # backends raise their client library's own errors
                data = error
            plan.take(block, data)

        await together(items, fetch, batch_size or self.batch_size or get_batch_size(nofiles=True))

    def _read_many(self, wanted: list[Wanted], max_gap: int | None, kwargs: dict[str, Any]) -> list[Any]:
        batch_size = kwargs.pop("batch_size", None)
        plan = self._reads(wanted, max_gap)
        blocking, awaited = self._sorted_out(plan)
        for source, blocks in blocking:
            _fetch_blocking(plan, source, blocks, kwargs)
        if awaited:
            sync(self.loop, self._fetch_blocks, plan, awaited, batch_size, kwargs)
        return plan.results

    async def _read_many_async(
        self, wanted: list[Wanted], max_gap: int | None, batch_size: int | None, kwargs: dict[str, Any]
    ) -> list[Any]:
        plan = await self._aside(self._reads, wanted, max_gap)
        blocking, awaited = self._sorted_out(plan)
        for source, blocks in blocking:
            await asyncio.to_thread(_fetch_blocking, plan, source, blocks, kwargs)
        if awaited:
            await self._fetch_blocks(plan, awaited, batch_size, kwargs)
        return plan.results

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        given = stringify_path(path)
        paths = self._literal(given, recursive)
        if paths is None:
            paths = self._files(self.expand_path(given, recursive=recursive), recursive)
        if _is_single(given, paths) and not recursive and on_error == "raise":
            kwargs.pop("batch_size", None)
            return self.cat_file(paths[0], **kwargs)
        results = self._read_many([Wanted(p) for p in paths], None, kwargs)
        return _by_path(given, paths, results, on_error)

    async def _cat(
        self,
        path: Any,
        recursive: bool = False,
        on_error: str = "raise",
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> Any:
        given = stringify_path(path)
        paths = self._literal(given, recursive)
        if paths is None:
            paths = self._files(await self._expand_path(given, recursive=recursive), recursive)
        if _is_single(given, paths) and not recursive and on_error == "raise":
            return await self._cat_file(paths[0], **kwargs)
        results = await self._read_many_async([Wanted(p) for p in paths], None, batch_size, kwargs)
        return _by_path(given, paths, results, on_error)

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        return _raised(self._read_many(self._slices(paths, starts, ends), max_gap, kwargs), on_error)

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        batch_size: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        wanted = self._slices(paths, starts, ends)
        return _raised(await self._read_many_async(wanted, max_gap, batch_size, kwargs), on_error)

    def _literal(self, path: Any, recursive: bool) -> list[str] | None:
        """Paths that need no expanding, as keys; None for patterns and folders."""
        given = [path] if isinstance(path, str) else list(map(stringify_path, path))
        if recursive or any(map(has_magic, given)):
            return None
        return list(dict.fromkeys(map(self._strip_protocol, given)))

    def _files(self, paths: list[str], recursive: bool) -> list[str]:
        return [p for p in paths if not self.isdir(p)] if recursive else paths

    def _slices(self, paths: list[str], starts: Any, ends: Any) -> list[Wanted]:
        if not isinstance(paths, list):
            raise TypeError(f"a list of paths is needed, not {type(paths).__name__}")
        firsts = starts if isinstance(starts, list) else [starts] * len(paths)
        lasts = ends if isinstance(ends, list) else [ends] * len(paths)
        if not len(paths) == len(firsts) == len(lasts):
            raise ValueError(f"{len(paths)} paths need as many starts and ends: {len(firsts)}, {len(lasts)}")
        return list(map(Wanted, map(self._strip_protocol, paths), firsts, lasts))

    # to this machine -----------------------------------------------------------------
    def get_file(
        self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        rpath = self._strip_protocol(rpath)
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        said = self._said(rpath)
        if isinstance(said, Part) and said.end is None:
            source = self._fs_of(said.url)
            with _failing(rpath, said.url):
                (_blocking(source) or source).get_file(said.url, lpath, callback=callback, **kwargs)
            return
        _save(self.cat_file(rpath, **kwargs), lpath, callback)

    async def _get_file(
        self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        rpath = self._strip_protocol(rpath)
        if await self._isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        said = await self._aside(self._said, rpath)
        if isinstance(said, Part) and said.end is None:
            with _failing(rpath, said.url):
                await self._fs_of(said.url)._get_file(said.url, lpath, callback=callback, **kwargs)
            return
        _save(await self._cat_file(rpath, **kwargs), lpath, callback)

    # changing ------------------------------------------------------------------------
    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **_: Any) -> None:
        """Set a reference; nothing is written but by `save_json`, or the flush of a mapper.

        Parameters
        ----------
        value
            contents, or a list that refers to a target
        mode
            ``"overwrite"``, or ``"create"`` where there must be none
        """
        path = self._strip_protocol(path)
        if mode == "create" and path in self.references:
            raise FileExistsError(path)
        if isinstance(value, (bytearray, memoryview)):
            value = bytes(value)
        parsed(path, value, self.target or "")  # what makes no sense is refused here
        new = self._lazy or path not in self.references
        self.references[path] = value
        if self._tree is not None:
            self._tree.add(path) if new else self._tree.forget(path)

    async def _pipe_file(self, path: str, data: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        await self._aside(self.pipe_file, path, data, mode)

    async def _put_file(
        self,
        lpath: Any,
        rpath: str,
        mode: str = "overwrite",
        callback: Callback = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        if os.path.isdir(lpath):
            return
        with open(lpath, "rb") as f:
            data = f.read()
        callback.set_size(len(data))
        await self._pipe_file(rpath, data, mode)
        callback.absolute_update(len(data))

    def _remove(self, path: str) -> None:
        path = self._strip_protocol(path)
        try:
            del self.references[path]
        except KeyError as error:
            raise missing(path, error) from error
        if self._tree is not None:
            self._tree.remove(path)

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        await self._aside(self._remove, path)

    async def _rm(
        self,
        path: Any,
        recursive: bool = False,
        batch_size: int | None = None,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        paths = await self._expand_path(path, recursive=recursive, maxdepth=maxdepth)
        folders = {p for p in paths if recursive and await self._isdir(p)}
        for each in paths:
            if each not in folders:  # folders go with the last key in them
                await self._rm_file(each)

    def save_json(self, url: str, **storage_options: Any) -> None:
        """Write the references as a JSON document of version 1.

        Parameters
        ----------
        url
            the file; it is replaced as a whole
        **storage_options
            of its filesystem
        """
        fs, path = url_to_fs(stringify_path(url), **storage_options)
        refs = {key: as_text(value) for key, value in self.references.items()}
        write_whole(fs, path, json.dumps({"version": 1, "refs": refs}).encode())

    # opening -------------------------------------------------------------------------
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if mode != "rb":
            raise NotImplementedError(f"{path!r}: references are opened to be read; pipe_file sets one")
        said = self._said(path)
        if isinstance(said, bytes):
            return io.BytesIO(said)
        return ReferenceFile(self, path, mode, block_size, cache_options=cache_options, **kwargs)


def missing(path: str, error: KeyError) -> FileNotFoundError:
    """The error for a path without a reference."""
    why = error.args[1:]
    return FileNotFoundError(f"{path}: {why[0]}" if why else path)


class _failing:
    """What a target's filesystem raises in this block becomes the error of a reference."""

    __slots__ = ("key", "url")

    def __init__(self, key: str, url: str | None) -> None:
        self.key = key
        self.url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception):
            made = reads.failed(self.key, self.url or "", error)
            if made is not error:
                raise made from error


def _complete(path: str, said: Part, part: Part, data: bytes) -> bytes:
    """Bytes of a part, of which none may be lacking."""
    if said.end is None or len(data) == part.end - part.start:  # type: ignore[operator]
        return data
    raise reads.short(path, part, len(data))


def _blocking(source: Any) -> Any:
    """The filesystem that blocks behind an awaitable one; None where there is none."""
    return getattr(source, "sync_fs", None)


def _fetch_blocking(plan: Reads, source: Any, blocks: list[Block], kwargs: dict[str, Any]) -> None:
    urls = [block.url for block in blocks]
    starts, ends = [block.start for block in blocks], [block.end for block in blocks]
    answers = source.cat_ranges(urls, starts, ends, on_error="return", **kwargs)
    for block, data in zip(blocks, answers):
        plan.take(block, data)


def _save(data: bytes, lpath: Any, callback: Callback) -> None:
    callback.set_size(len(data))
    if isfilelike(lpath):
        lpath.write(data)
    else:
        os.makedirs(os.path.dirname(os.path.abspath(lpath)), exist_ok=True)
        with replacing(lpath) as f:
            f.write(data)
    callback.absolute_update(len(data))


def _is_single(given: Any, paths: list[str]) -> bool:
    return isinstance(given, str) and len(paths) == 1 and not has_magic(given)


def _raised(results: list[Any], on_error: str) -> list[Any]:
    if on_error == "raise":
        for result in results:
            if isinstance(result, BaseException):
                raise result
    return results


def _by_path(given: Any, paths: list[str], results: list[Any], on_error: str) -> Any:
    """What `cat` returns for results of paths."""
    found: Mapping[str, Any] = dict(zip(paths, _raised(results, on_error)))
    if on_error == "omit":
        return {p: data for p, data in found.items() if not isinstance(data, BaseException)}
    if _is_single(given, paths):
        return results[0]
    return found
