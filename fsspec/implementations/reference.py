"""Files that are references to parts of other files.

A reference is the contents themselves or a part of a target; see `_reference.parsing`
for its forms, `_reference.document` for documents of them, `_reference.parquet` for tables.  Keys
are paths; the folders that they make up are found out when they are first asked for.

Looking at references needs no loop and happens on the caller's thread.  Reading targets
is awaited, many at once; if the filesystem of the targets blocks, it is asked from the
caller's thread, or, in a loop, from one of the loop's helpers.

In a forked child an instance continues with the references and folders that it has; only
the filesystems of its targets are made usable again.
"""

from __future__ import annotations

import io
import json
import os
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from fsspec._fork import instances
from fsspec._loop.driving import perform
from fsspec._overriding import replaced, unless_patched, unlike_base
from fsspec._paths.paths import false_without_path, local_side, path_texts
from fsspec._plans import drive, listing
from fsspec._public import claim, publish
from fsspec._spec.contents import checks_file_version
from fsspec.asyn import BlockingView, get_loop, sync
from fsspec.caching import caches
from fsspec.callbacks import DEFAULT_CALLBACK, for_file
from fsspec.core import url_to_fs
from fsspec.implementations._reference.document import Document, textual
from fsspec.implementations._reference.joining import logger as _logger
from fsspec.implementations._reference.joining import missing
from fsspec.implementations._reference.layout import ravel_multi_index
from fsspec.implementations._reference.loading import Targets, load
from fsspec.implementations._reference.parquet import (
    LazyReferenceMapper,
    RefsItemsView,
    RefsValuesView,
    put_whole,
)
from fsspec.implementations._reference.parsing import (
    ReferenceNotReachable,
    as_text,
    literal,
    parsed,
    without_buffer,
)
from fsspec.implementations._reference.reading import ReferenceReading, blocking_of, reference_errors
from fsspec.implementations._reference.tree import KeyTree, size_if_valid
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import check_contained, other_paths, stringify_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsspec._paths.types import Depth, Found, Progress, StrPath, StrPaths
    from fsspec.spec import AbstractFileSystem


_LISTING = ("ls", "info", "isdir", "walk")
"""Operations that `find` uses if a program overrides one of them."""

__all__ = [
    "LazyReferenceMapper",
    "ReferenceFile",
    "ReferenceFileSystem",
    "ReferenceNotReachable",
    "RefsItemsView",
    "RefsValuesView",
    "ravel_multi_index",
]
publish(__name__)


logger = _logger


class _EndsEarly(Exception):
    """A target has fewer bytes than the reference says; for `ReferenceFile`."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class ReferenceFile(AbstractBufferedFile):
    """A reference to a part of a target, to be read; see `AbstractBufferedFile`."""

    src_fs: Any
    src_path: str | None
    _source_file: Any = None

    def __init__(
        self,
        fs: ReferenceFileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = "default",
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        how = mode, block_size, autocommit, cache_type, cache_options
        self.src_fs, self.src_path = fs._source_of(path)
        try:
            super().__init__(fs, path, *how, size=size, **kwargs)
        except _EndsEarly as error:  # of a cache that begins with all bytes
            super().__init__(fs, path, *how, size=error.size, **kwargs)

    @property
    def f(self) -> IO[bytes]:
        """The target, opened; its positions are those of the target."""
        if self._source_file is None or self._source_file.closed:
            self._source_file = self.src_fs.open(cast("str", self.src_path))
        return cast("IO[bytes]", self._source_file)

    def close(self) -> None:
        if self._source_file is not None:
            self._source_file.close()
        super().close()

    def read(self, length: int | None = -1) -> bytes:
        try:
            return super().read(length)
        except _EndsEarly as error:  # the target ends before the reference does
            self.size = error.size
            self.cache = caches[self.cache.name](self.blocksize, self._fetch_range, self.size)
            return self.read(length)

    def _fetch_range(self, start: int, end: int) -> bytes:
        if self.src_fs is not None and checks_file_version(self.src_fs):  # all parts belong to one version
            opened: Any = self.f
            first = getattr(self.fs._reference_of(self.path), "start", None) or 0
            if first + end <= opened.size:
                return cast("bytes", opened._fetch_range(first + start, first + end))
        with reference_errors(self.path, self.src_path, of_file=True):
            data: bytes = self.fs.cat_file(self.path, start, end)
        if len(data) < end - start:
            raise _EndsEarly(start + len(data))
        return data


@claim
class ReferenceFileSystem(ReferenceReading):
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
        only names of templates are replaced. Otherwise expressions and the generators of a
        document (``gen``) are evaluated as well, by jinja2 in its sandbox and within bounds
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
        if it holds no references; or for filesystems only some of which are asynchronous.
    """

    protocol: ClassVar[str | tuple[str, ...]] = "reference"
    _fork_passes_on = True
    cachable = False
    references: Any
    templates: dict[str, Any]
    fss: dict[str | None, Any]

    def __init__(
        self,
        fo: StrPath | Mapping[str, Any],
        target: str | None = None,
        ref_storage_args: dict[str, Any] | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        remote_protocol: str | None = None,
        remote_options: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
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
        self.references: Any = content
        self.templates: dict[str, Any] = {}
        self._key_tree: KeyTree | None = None
        if content is fo or not isinstance(content, LazyReferenceMapper):
            self._process_references(content, template_overrides)
        self._target_filesystems = Targets(self.asynchronous, kwargs.get("loop"), remote_options or {})
        self.fss = self._target_filesystems.table(fs, remote_protocol, self.references, target)

    def _process_references(
        self, references: Mapping[str, Any], template_overrides: dict[str, Any] | None = None
    ) -> None:
        """Take over the references of a document; a subclass may change them before or after that."""
        if isinstance(references, LazyReferenceMapper):
            self.references = references
        else:
            document = Document(references, template_overrides, self.simple_templates)
            self.references, self.templates = document.references, document.templates
        self._dircache_from_items()

    def _revive(self, before: dict[str, Any]) -> None:
        """Go on with the references, and make the filesystems of the targets usable."""
        own = object.__getattribute__(self, "__dict__")
        own.clear()
        own.update(before)
        own["_pid"] = os.getpid()
        own.update(_intrans=False, _transaction=None, _invalidated_caches_in_transaction=[])
        if not own["asynchronous"]:
            own["_loop"] = get_loop()
        own["_target_filesystems"].forget()
        inherited = list(own["fss"].values())
        inherited += [each.__dict__.get("sync_fs") for each in inherited]
        inherited.append(getattr(own["references"], "fs", None))
        for each in reversed(inherited):  # what is inside of others first
            if each is not None and instances.is_stale(each):
                instances.make_targets_usable(self, each)

    # what there is ----------------------------------------------------------------
    def _folder_tree(self) -> KeyTree:
        if self._key_tree is None or self._key_tree.length != len(self.references):
            self._key_tree = KeyTree(self.references)
        return self._key_tree

    def _dircache_from_items(self) -> None:
        """Find the folders out again, after `references` was changed from outside."""
        self._key_tree = None

    def _is_folder(self, path: str) -> bool:
        if not path:
            return True
        if isinstance(self.references, LazyReferenceMapper):
            return path in self.references.listdir()
        return path in self._folder_tree().folders

    def _entry_of(self, path: str) -> dict[str, Any]:
        """The entry of a path, of references to all of a target without a size."""
        value = self.references.get(path)  # as it is in most calls
        if value is None:
            given, path = path, self._strip_protocol(path)
            try:
                value = self.references[path]
            except KeyError as error:
                if self._is_folder(path):
                    return {"name": given, "type": "directory", "size": 0}
                raise missing(path, error, self.references) from error
        if type(value) is list and len(value) == 3 and type(value[2]) is int:
            return {"name": path, "type": "file", "size": value[2]}
        return {"name": path, "type": "file", "size": size_if_valid(path, value)}

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        entry = self._entry_of(path)
        if entry["size"] is None:
            source, url = self._source_of(entry["name"])
            with reference_errors(entry["name"], url, of_file=True):
                entry["size"] = (blocking_of(source) or source).info(cast("str", url))["size"]
        return entry

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        entry: dict[str, Any] = await self._off_loop(self._entry_of, path)
        if entry["size"] is None:
            source, url = await self._off_loop(self._source_of, entry["name"])
            with reference_errors(entry["name"], url, of_file=True):
                entry["size"] = (await source._info(url))["size"]
        return entry

    @false_without_path
    def exists(self, path: str, **kwargs: Any) -> bool:
        path = self._strip_protocol(path)
        return path in self.references or self._is_folder(path)

    @unless_patched
    async def _exists(self, path: str, **kwargs: Any) -> bool:
        return bool(await self._off_loop(self.exists, path))

    def isfile(self, path: str) -> bool:
        return type(path) is str and path in self.references or self._is_key(path)

    @false_without_path
    def _is_key(self, path: str) -> bool:
        return self._strip_protocol(path) in self.references

    @unless_patched
    async def _isfile(self, path: str) -> bool:
        return bool(await self._off_loop(self.isfile, path))

    @false_without_path
    def isdir(self, path: str) -> bool:
        path = self._strip_protocol(path)
        return path not in self.references and self._is_folder(path)

    @unless_patched
    async def _isdir(self, path: str) -> bool:
        return bool(await self._off_loop(self.isdir, path))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if isinstance(self.references, LazyReferenceMapper):
            return self.references.ls(path, detail)
        folders = self._folder_tree()
        found: list[Any] | None = folders.entries(path) if detail else folders.names(path)
        if found is None:
            found = [self._entry_of(path)] if detail else [self._entry_of(path)["name"]]
        return found

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        return cast("list[Any]", await self._off_loop(self.ls, path, detail))

    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Found:
        if path == "" and maxdepth is None and not (withdirs or detail) and isinstance(self.references, dict):
            return sorted(self.references)  # whatever of the listing is replaced: so does upstream
        view: Any = BlockingView(self)
        if any(replaced(view, name) for name in _LISTING):
            return cast("Found", drive(view, listing.find(view, path, maxdepth, withdirs, detail, **kwargs)))
        if isinstance(self.references, LazyReferenceMapper):
            return cast("Found", drive(self, listing.find(self, path, maxdepth, withdirs, detail)))
        listing.check_depth(maxdepth)
        path = self._strip_protocol(path)
        folders = self._folder_tree()
        names = list(folders.below(path, maxdepth, withdirs))
        if path and (path in self.references or withdirs and path in folders.folders):
            names.append(path)
        names.sort()
        return {name: self._entry_of(name) for name in names} if detail else names

    @unless_patched
    async def _find(self, path: str, maxdepth: Depth = None, withdirs: bool = False, **kwargs: Any) -> Found:
        if any(replaced(self, name) for name in _LISTING):
            return await super()._find(path, maxdepth, withdirs, **kwargs)
        return await self._off_loop(self.find, path, maxdepth, withdirs, kwargs.get("detail", False))

    @property
    def _makes_local_folders(self) -> bool:
        return not self.asynchronous  # upstream's blocking `get` makes none for what does not exist

    def get(self, rpath: StrPaths, lpath: StrPaths, recursive: bool = False, **kwargs: Any) -> None:
        """Download files; see `AbstractFileSystem.get`. Of several folders each stays one; what is in one
        alone goes into ``lpath`` itself, as in upstream."""
        rpath, lpath = path_texts(rpath), path_texts(lpath)
        if recursive and isinstance(lpath, str) and (isinstance(rpath, list) or self.isdir(rpath)):
            top = os.path.abspath(lpath)
            step = listing.expand_call(self, rpath, True, kwargs.pop("maxdepth", None))
            rpath = cast("list[str]", perform(self, step))
            lpath = other_paths(rpath, top)
            check_contained(top, lpath)
        sync(self.loop, self._get, rpath, lpath, recursive, **kwargs)

    # changing ---------------------------------------------------------------------
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Set a reference; nothing is written but by `save_json`, or the flush of a mapper.

        ``value``: contents, or a list that refers to a target.
        ``mode``: ``"overwrite"``, or ``"create"`` if there must be none.
        """
        path = self._strip_protocol(path)
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        value = without_buffer(value)
        if isinstance(value, (bytes, bytearray)):
            value = literal(bytes(value))
        parsed(path, value, self.target or "")  # what makes no sense is refused here
        new = self._is_lazy or path not in self.references
        self.references[path] = value
        if self._key_tree is not None:
            self._key_tree.add(path) if new else self._key_tree.replaced(path)

    @unlike_base
    async def _pipe_file(self, path: str, data: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        await self._off_loop(self.pipe_file, path, data, mode)

    async def _put_file(
        self,
        lpath: StrPath,
        rpath: str,
        mode: str = "overwrite",
        callback: Progress = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> None:
        callback, lpath = for_file(callback, rpath), local_side(lpath)
        if os.path.isdir(lpath):
            return
        with open(os.path.abspath(lpath), "rb") as f:  # a slash at its end does not matter
            data = f.read()
        callback.set_size(len(data))
        await self._pipe_file(rpath, data, mode)
        callback.absolute_update(len(data))

    def _remove_keys(self, path: str) -> None:
        path = self._strip_protocol(path)
        try:
            del self.references[path]
        except KeyError:
            return  # a folder goes with the last key in it; a missing one is no error, as in upstream
        if self._key_tree is not None:
            self._key_tree.remove(path)

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        await self._off_loop(self._remove_keys, path)

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        found = super().to_dict(include_password=include_password)
        if self.storage_args and isinstance(self.storage_args[0], dict):
            found["args"][0] = textual(self.storage_args[0])
        elif isinstance(self.storage_options.get("fo"), dict):
            found["fo"] = textual(self.storage_options["fo"])
        return found

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
        refs = {key: as_text(key, value) for key, value in self.references.items()}
        put_whole(fs, path, json.dumps({"version": 1, "refs": refs}).encode())

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> ReferenceFile | io.BytesIO:
        reference = self._reference_of(path)
        if set(mode) != {"r", "b"}:
            raise NotImplementedError(f"{path!r}: references are opened to be read; pipe_file sets one")
        if isinstance(reference, bytes):
            return io.BytesIO(reference)
        return ReferenceFile(self, path, mode, block_size, cache_options=cache_options, **kwargs)
