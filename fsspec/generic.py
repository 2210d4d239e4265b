"""All filesystems as one: each path says by its protocol which of them it belongs to.

Owns `GenericFileSystem`, which asks the filesystem of a path, and copying from one to
another: `copy_file_op` for files, `rsync` for trees.  Paths are URLs on the way in and out.

A filesystem is asked on the loop that it lives on, one that blocks in a thread (`fsspec._files.copying`). So
many files are copied at a time as the batch size says.

In a forked child the instance does what any awaitable one does, and its targets as well.
"""

from __future__ import annotations

import errno
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec._files.copying import BATCH, BLOCK, ask, copy_between, copy_file_op, is_here
from fsspec._loop.batching import run_concurrently
from fsspec._loop.bridge import sync
from fsspec._overriding import (
    is_awaitable,
    is_from_here,
    mirrored,
    replaced,
    supported,
    unless_patched,
    unlike_base,
)
from fsspec._paths.paths import NoPathError, path_texts, renamed, url_text
from fsspec._paths.redaction import redact_url
from fsspec._paths.urls import protocols_of
from fsspec._plans.listing import check_depth
from fsspec._plans.transfers import pairs_to_copy
from fsspec._public import publish
from fsspec.asyn import AbstractAsyncStreamedFile, AsyncFileSystem, drive
from fsspec.callbacks import DEFAULT_CALLBACK, for_file
from fsspec.core import split_protocol, url_to_fs, with_options_of_url
from fsspec.registry import filesystem, get_filesystem_class
from fsspec.utils import check_contained

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Found, PathOrPaths, Progress, StrPaths, T
    from fsspec.spec import AbstractFileSystem

__all__ = ["GenericFileSystem", "copy_file_op", "maybe_await", "rsync", "set_generic_fs"]

publish(__name__)

logger: logging.Logger = logging.getLogger("fsspec.generic")

_generic_fs: dict[str, AbstractFileSystem] = {}
_Entry = dict[str, Any]


def _warn_unused(way: str) -> None:
    import sys
    import warnings

    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "fsspec":
        frame, level = frame.f_back, level + 1
    warnings.warn(f"storage_options has no effect here: give {way} to have it used", stacklevel=level)


# which filesystem -----------------------------------------------------------------
def set_generic_fs(protocol: str, **storage_options: Any) -> None:
    """Say which filesystem the paths of a protocol belong to, for ``default_method="generic"``.

    Parameters
    ----------
    protocol
        "s3", "file", ...
    **storage_options
        what the filesystem is made of.
    """
    _generic_fs[protocol] = filesystem(protocol, **storage_options)


def _resolve_fs(
    path: str, method: str, protocol: str | None = None, storage_options: dict[str, Any] | None = None
) -> AbstractFileSystem:
    """The filesystem that a path belongs to; see `GenericFileSystem` for the methods."""
    if "://" in path.partition("::")[2]:
        if method == "options":
            fs, plain = url_to_fs(path, **(storage_options or {}))
            if fs._strip_protocol(path) == plain:  # a cache, which knows a chain by the path after it
                return fs
        raise ValueError(
            f"{redact_url(path)!r} is a chain, which generic and rsync do not follow: give the outer one"
            ' its options by set_generic_fs, as in set_generic_fs("zip", fo="s3://b/a.zip"), and use'
            ' default_method="generic" (of rsync: inst_kwargs) with "zip://" alone'
        )
    if protocol is None:
        protocol = split_protocol(path)[0] or "file"
    if method == "default":
        return filesystem(protocol)
    if method == "generic":
        if protocol not in _generic_fs:
            raise KeyError(f"{protocol}: no filesystem of this protocol was set by set_generic_fs")
        return _generic_fs[protocol]
    if method == "current":
        return get_filesystem_class(protocol).current()
    if method == "options":
        cls, given = get_filesystem_class(protocol), (storage_options or {}).get(protocol, {})
        return filesystem(protocol, **with_options_of_url(cls, protocol, path, given))
    ways = "'default', 'generic', 'current' or 'options'"
    raise ValueError(f"the filesystem of a path is found by {ways}, not by {method!r}")


# asking it ------------------------------------------------------------------------
async def maybe_await(cor: Awaitable[T] | T) -> T:
    """What an awaitable gives; anything else as it is."""
    # what is not an awaitable is a T, and a T is none
    return await cor if inspect.isawaitable(cor) else cor  # pyright: ignore[reportReturnType]


def _awaited_operation(name: str, shape: str = "plain") -> Callable[..., Any]:
    """An awaitable method that is the operation ``name`` of its first path's filesystem."""

    async def method(self: GenericFileSystem, path: str, *args: Any, **kwargs: Any) -> object:
        fs, plain = self._resolve_url(path)
        # a pattern may end in a slash, which means folders
        found = await ask(fs, name, path if name == "glob" else plain, *args, **kwargs)
        return renamed(found, shape, fs.unstrip_protocol)

    method.__name__ = f"_{name}"
    method.__qualname__ = f"GenericFileSystem._{name}"
    return unless_patched(method)


def _blocking_operation(name: str) -> Callable[..., Any]:
    """As `_awaited_operation`, for what has no awaitable form."""

    def method(self: GenericFileSystem, path: str, *args: Any, **kwargs: Any) -> object:
        fs, plain = self._resolve_url(path)
        return getattr(fs, name)(plain, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"GenericFileSystem.{name}"
    method.__doc__ = getattr(AsyncFileSystem, name).__doc__
    return unless_patched(method)


class GenericFileSystem(AsyncFileSystem):
    """A filesystem whose paths are URLs of any protocols.

    Parameters
    ----------
    default_method
        how the filesystem of a path is found: ``"default"``, the one that no options make;
        ``"options"``, made of those in ``storage_options`` and of what the URL itself carries, a
        host for one, or that of a chain of caches; ``"current"``, the one of the protocol that was made
        last; ``"generic"``, that of `set_generic_fs`.
    storage_options
        options by protocol, for ``"options"``.
    **kwargs
        as for `fsspec.asyn.AsyncFileSystem`. ``batch_size`` also says how many files are
        copied at a time, by default 20.

    Examples
    --------
    >>> fs = fsspec.filesystem("generic")
    >>> fs.copy("https://example.org/a.bin", "s3://bucket/a.bin")
    """

    protocol: ClassVar[str | tuple[str, ...]] = "generic"
    _fork_passes_on = True

    def __init__(
        self, default_method: str = "default", storage_options: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        if storage_options and default_method != "options":
            _warn_unused('default_method="options"')
        self.method = default_method
        self.st_opts = storage_options
        super().__init__(**kwargs)

    # paths ------------------------------------------------------------------------
    def _resolve_url(self, url: str) -> tuple[Any, str]:
        """The filesystem of a URL, and its path there."""
        url = url_text(url)
        for protocol in protocols_of(self):
            url = url.removeprefix(f"{protocol}://")
        fs = _resolve_fs(url, self.method, storage_options=self.st_opts)
        return fs, fs._strip_protocol(url)

    def _strip_protocol(self, path: PathOrPaths) -> PathOrPaths:
        """The URL as its filesystem writes it."""
        if isinstance(path, list):
            return [self._strip_protocol(p) for p in path]
        fs, plain = self._resolve_url(path)
        return str(fs.unstrip_protocol(plain))

    def _parent(self, path: str) -> str:
        fs, plain = self._resolve_url(path)
        return str(fs.unstrip_protocol(fs._parent(plain)))

    def invalidate_cache(self, path: str | None = None) -> None:
        super().invalidate_cache(path)
        if path is not None:
            with suppress(ImportError, KeyError, ValueError):  # what no filesystem serves is in no listing
                fs, plain = self._resolve_url(path)
                fs.invalidate_cache(plain)

    # one path ---------------------------------------------------------------------
    @unlike_base
    async def _info(self, url: str, **kwargs: Any) -> _Entry:
        fs, path = self._resolve_url(url)
        return cast("_Entry", renamed(await ask(fs, "info", path, **kwargs), "entry", fs.unstrip_protocol))

    @unlike_base
    async def _ls(self, url: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        fs, path = self._resolve_url(url)
        found = renamed(await ask(fs, "ls", path, detail=detail, **kwargs), "listing", fs.unstrip_protocol)
        # entries may come if names were asked for: upstream asks for entries always
        return found if detail else [each["name"] if isinstance(each, dict) else each for each in found]

    async def _find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Found:
        fs, plain = self._resolve_url(path)
        found = await ask(fs, "find", plain, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        named = renamed(found, "found", fs.unstrip_protocol)
        return named if detail else list(named)

    @unlike_base
    async def _cat_file(
        self, url: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        fs, path = self._resolve_url(url)
        return cast("bytes", await ask(fs, "cat_file", path, start=start, end=end, **kwargs))

    async def _pipe_file(self, path: str, value: bytes, **kwargs: Any) -> None:
        fs, plain = self._resolve_url(path)
        await ask(fs, "pipe_file", plain, value, **kwargs)

    @unless_patched
    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        fs, path = self._resolve_url(rpath)
        how = supported(fs, "put_file", {"mode": mode}) if mode == "overwrite" else {"mode": mode}
        await ask(fs, "put_file", lpath, path, **how, **kwargs)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        fs, plain = self._resolve_url(path)
        await ask(fs, "makedirs", plain, exist_ok=exist_ok)

    @unless_patched
    async def _exists(self, path: str, **kwargs: Any) -> bool:
        return await self._ask_side("exists", path, **kwargs)

    @unless_patched
    async def _isfile(self, path: str) -> bool:
        try:
            return await self._ask_side("isfile", path)
        except NoPathError:
            return False

    @unless_patched
    async def _isdir(self, path: str) -> bool:
        if replaced(self, "info"):
            return await super()._isdir(path)
        fs, plain = self._resolve_url(path)
        return bool(await ask(fs, "isdir", plain))

    @unless_patched
    async def _glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Found:
        check_depth(maxdepth)
        limit: dict[str, Any] = {"maxdepth": maxdepth}
        if maxdepth is None:
            limit = supported(self._resolve_url(path)[0], "glob", limit)
        return cast("Found", await self._glob_there(path, **limit, **kwargs))

    async def _ask_side(self, name: str, path: str, **kwargs: Any) -> bool:
        """What is true of a path; False if there is no filesystem for it."""
        try:
            fs, plain = self._resolve_url(path)
        except (KeyError, ValueError):
            return False
        return bool(await ask(fs, name, plain, **kwargs))

    _du = _awaited_operation("du", "by path")
    _get_file = _awaited_operation("get_file")
    _glob_there = _awaited_operation("glob", "listing")
    _rm_file = _awaited_operation("rm_file")
    _size = _awaited_operation("size")

    checksum: ClassVar[Callable[..., int]] = _blocking_operation("checksum")
    created: ClassVar[Callable[..., Any]] = _blocking_operation("created")
    lexists: ClassVar[Callable[..., bool]] = _blocking_operation("lexists")
    modified: ClassVar[Callable[..., Any]] = _blocking_operation("modified")
    sign: ClassVar[Callable[..., str]] = _blocking_operation("sign")
    touch: ClassVar[Callable[..., None]] = _blocking_operation("touch")
    ukey: ClassVar[Callable[..., str]] = _blocking_operation("ukey")

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":  # blocks by `cat_file`
            return super()._open(path, mode, **kwargs)
        fs, plain = self._resolve_url(path)
        return fs._fsspec_opened_file(plain, mode, {k: v for k, v in kwargs.items() if v is not None})

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> AbstractAsyncStreamedFile:
        fs, plain = self._resolve_url(path)
        if not is_awaitable(fs):
            return await super().open_async(path, mode, **kwargs)
        return cast("AbstractAsyncStreamedFile", await fs.open_async(plain, mode, **kwargs))

    # many -------------------------------------------------------------------------
    def make_many_dirs(self, urls: Iterable[str], exist_ok: bool = True) -> None:
        """Make folders, several at a time, and those that lead to them.

        Raises
        ------
        FileExistsError
            if one of them exists and ``exist_ok`` is false
        """
        sync(self.loop, self._make_many_dirs, list(urls), exist_ok)

    async def _make_many_dirs(self, urls: list[str], exist_ok: bool) -> None:
        await run_concurrently(
            urls, lambda url: self._makedirs(url, exist_ok=exist_ok), self.batch_size or BATCH
        )

    @unlike_base
    async def _rm(self, url: StrPaths, **kwargs: Any) -> None:
        groups: dict[int, tuple[Any, list[str]]] = {}
        urls = path_texts(url)
        for each in [urls] if isinstance(urls, str) else urls:
            fs, path = self._resolve_url(each)
            groups.setdefault(id(fs), (fs, []))[1].append(path)

        async def remove(group: tuple[Any, list[str]]) -> None:
            fs, paths = group
            options = kwargs if is_awaitable(fs) else {k: v for k, v in kwargs.items() if k != "batch_size"}
            await ask(fs, "rm", paths[0] if len(paths) == 1 else paths, **options)

        await run_concurrently(groups.values(), remove, -1)

    async def _copy(
        self,
        path1: StrPaths,
        path2: StrPaths,
        recursive: bool = False,
        on_error: str | None = "ignore",
        maxdepth: Depth = None,
        batch_size: int | None = None,
        tempdir: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy files, within filesystems or from one to another.

        ``path1``, ``path2``: see `AbstractFileSystem.copy`.
        ``recursive``: NotImplementedError: trees are copied by `rsync`.
        ``on_error``: ``"ignore"`` skips sources that do not exist, if they are copied from one
            filesystem to another; ``"raise"`` does not, nor does a copy within one filesystem.
        ``batch_size``: how many files at a time, by default 20.
        ``tempdir``: not needed: nothing is put down on this machine on the way.
        """
        if recursive:
            raise NotImplementedError("fsspec.generic.rsync copies trees from one filesystem to another")
        size = batch_size or self.batch_size
        source, target = path_texts(path1), path_texts(path2)
        urls = [url for given in (source, target) for url in ([given] if isinstance(given, str) else given)]
        within_one = len({id(self._resolve_url(url)[0]) for url in urls}) == 1
        chosen = "raise" if within_one else on_error or "ignore"
        one = self._resolve_url(urls[0])[0]
        if replaced(one, "copy") if within_one else not is_from_here(copy_file_op):
            pairs = await drive(self, pairs_to_copy(self, source, target, False, maxdepth, kwargs, size))
            first, second = ([pair[side] for pair in pairs] for side in (0, 1))
            if within_one:
                plain = ([self._resolve_url(url)[1] for url in side] for side in (first, second))
                await ask(one, "copy", *plain, **kwargs)
            elif pairs:
                fs2 = self._resolve_url(second[0])[0]
                await copy_file_op(one, first, fs2, second, tempdir, size, on_error=chosen)
            return
        await super()._copy(source, target, False, chosen, maxdepth, size or BATCH, **kwargs)

    @unlike_base
    async def _cp_file(
        self,
        url: str,
        url2: str,
        blocksize: int = BLOCK,
        callback: Progress = DEFAULT_CALLBACK,
        tempdir: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy one file.

        ``url``, ``url2``: from where to where; folders on the way to the target are made if need be.
        ``blocksize``: bytes: smaller files go through memory whole, others this many at a time.
        ``callback``: gets the size and the bytes as they go.
        ``tempdir``: not needed, see `copy`.
        ``**kwargs``: for ``cp_file`` of the filesystem, if there is only one.
        Raises FileNotFoundError if there is no such file.
        Raises OSError if it ends too early. The target is then as it was before, if its filesystem can
            keep back what is not whole.
        """
        source, path = self._resolve_url(url)
        target, path2 = self._resolve_url(url2)
        try:
            if source is not target:
                await copy_between(source, path, target, path2, blocksize, for_file(callback, url))
            elif is_here(source) and (source.info(path)["size"] or 0) <= blocksize:
                source.cp_file(path, path2, **kwargs)
            else:
                await ask(source, "cp_file", path, path2, **kwargs)
        except NotADirectoryError as error:  # nothing exists below a file
            if error.filename != path:
                raise
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error

    @unless_patched
    def mv(
        self, path1: StrPaths, path2: StrPaths, recursive: bool = False, maxdepth: Depth = None, **kwargs: Any
    ) -> None:
        if isinstance(path1, str) and isinstance(path2, str):
            (source, path), (target, to) = self._resolve_url(path1), self._resolve_url(path2)
            own = (replaced(self, name) or not mirrored(getattr(self, name)) for name in ("copy", "rm"))
            if source is target and not any(own):
                given = {"recursive": recursive, "maxdepth": maxdepth}
                unset = [name for name, value in given.items() if not value]
                source.mv(path, to, **supported(source, "mv", given, unset), **kwargs)
                return
        super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def rsync(self, source: str, destination: str, **kwargs: Any) -> dict[str, str]:
        """Make one folder like another; see `fsspec.generic.rsync`."""
        return rsync(source, destination, fs=self, **kwargs)


# trees ----------------------------------------------------------------------------
def rsync(
    source: str,
    destination: str,
    delete_missing: bool = False,
    source_field: str | Callable[[_Entry], Any] = "size",
    dest_field: str | Callable[[_Entry], Any] = "size",
    update_cond: str = "different",
    inst_kwargs: dict[str, Any] | None = None,
    fs: GenericFileSystem | None = None,
    **kwargs: Any,
) -> dict[str, str]:
    """Make a folder of one filesystem like one of another.

    What is only in the destination stays, unless ``delete_missing`` is set.

    Parameters
    ----------
    source, destination
        URLs of folders; the second is made if it does not exist
    delete_missing
        remove what is only in the destination
    source_field, dest_field
        what is compared to see whether a file differs: a key of its entry, or a function
        of it. Sizes alone do not show that a file of the same size has changed.
    update_cond
        for files that are in both: ``"different"`` copies those that differ,
        ``"always"`` all, ``"never"`` none
    inst_kwargs, fs
        arguments of a `GenericFileSystem` to use, or that itself; with options for protocols
        ``{"default_method": "options", "storage_options": {"s3": {"profile": "mirror"}}}``
    **kwargs
        for `GenericFileSystem.copy`

    Returns
    -------
    dict
        the targets of what was copied, by source

    Raises
    ------
    ValueError
        if the source is not a folder, or for another ``update_cond``; or if a name would lead
        out of the destination
    KeyError
        if an entry lacks a field
    PermissionError
        if, with ``delete_missing``, things were to be removed because a folder of the source is not readable;
        nothing is removed
    """
    if update_cond not in ("different", "always", "never"):
        raise ValueError(f'update_cond is "different", "always" or "never", not {update_cond!r}')
    if kwargs.get("storage_options"):
        _warn_unused('inst_kwargs={"default_method": "options", "storage_options": ...}')
    fs = fs if fs is not None else GenericFileSystem(**(inst_kwargs or {}))
    source, destination = fs._strip_protocol(source), fs._strip_protocol(destination)
    if not fs.isdir(source):
        found = "is a file" if fs.isfile(source) else "is not found"
        raise ValueError(f"rsync copies folders, and {redact_url(source)!r} {found}")
    top = _url_prefix(fs, destination)
    ours = _below(fs, source, _url_prefix(fs, source))
    theirs = _below(fs, destination, top)
    check_contained(".", list(ours))
    folders = [name for name, entry in ours.items() if entry["type"] == "directory"]
    fs.make_many_dirs([destination, *(top + name for name in folders if name not in theirs)])
    pairs = {}
    for name, entry in ours.items():
        if entry["type"] == "directory":
            continue
        there = theirs.get(name)
        if (
            there is None
            or update_cond == "always"
            or (update_cond == "different" and _field(entry, source_field) != _field(there, dest_field))
        ):
            pairs[entry["name"]] = top + name
    if pairs:
        logger.debug("rsync: %d of %d files are copied", len(pairs), len(ours) - len(folders))
        fs.copy(list(pairs), list(pairs.values()), **kwargs)
    if delete_missing:
        others = {name: theirs[name] for name in theirs if name not in ours}
        _check_listed(fs, source, ours, others)
        _remove_others(fs, others)
    return pairs


def _folders_above(name: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _check_listed(
    fs: GenericFileSystem, source: str, ours: dict[str, _Entry], others: dict[str, _Entry]
) -> None:
    """List folders of the source that seem to be empty, if files are to be removed because of that; raises
    the error of a listing. The listing of a tree skips folders that are not readable."""
    filled = {name.rpartition("/")[0] for name in ours}
    seemingly_empty = set()
    for other in others:
        name = next((folder for folder in _folders_above(other) if folder in ours), "")
        if name not in filled:
            seemingly_empty.add(name)
    for name in sorted(seemingly_empty):
        with suppress(FileNotFoundError):  # it was removed meanwhile, or is a name alone
            fs.ls(ours[name]["name"] if name else source, detail=False)


def _url_prefix(fs: GenericFileSystem, folder: str) -> str:
    """How the URLs of all that is in a folder begin; the root of a filesystem has its own form."""
    other, path = fs._resolve_url(folder)
    path = path.rstrip("/")
    child = f"{path}/x" if path else f"{other.root_marker}x"
    return str(other.unstrip_protocol(child).removesuffix("x"))


def _below(fs: GenericFileSystem, folder: str, start: str) -> dict[str, _Entry]:
    """All entries below a folder, by path relative to it; none if it does not exist. Raises ValueError if
    the URL of an entry does not begin with ``start``, so that nobody knows its path."""
    try:
        found = fs.find(folder, withdirs=True, detail=True)
    except FileNotFoundError:
        return {}
    below = {}
    for url, entry in found.items():
        name = url.removeprefix(start).rstrip("/")
        if url == folder or not name or url.rstrip("/") == start.rstrip("/"):
            continue
        if not url.startswith(start):
            raise ValueError(f"{redact_url(url)!r} was found in {redact_url(folder)!r}, but is not below it")
        below[name] = entry
    return below


def _field(entry: _Entry, field: str | Callable[[_Entry], object]) -> object:
    if callable(field):
        return field(entry)
    if field not in entry:
        raise KeyError(f"{field}: the entry of {redact_url(entry['name'])} has no such field to compare")
    return entry[field]


def _remove_others(fs: GenericFileSystem, others: dict[str, _Entry]) -> None:
    """Remove entries; folders as a whole, for their contents are among the others as well."""
    gone = {name for name, entry in others.items() if entry["type"] == "directory"}
    topmost = {name: e for name, e in others.items() if gone.isdisjoint(_folders_above(name))}
    for whole in (False, True):
        urls = [e["name"] for name, e in topmost.items() if (name in gone) is whole]
        if urls:
            fs.rm(urls, recursive=whole)
