"""The base of cache filesystems: options, folders, the table of copies, and dropping outdated copies.

Operations other than reading are the target's (`_cached.delegating`). A write through a cache replaces the
copy, or drops it.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from fsspec._fork.owned import is_mine, own
from fsspec._loop.driving import perform
from fsspec._overriding import default, is_awaitable, is_built_in, is_default, replaced, unless_patched
from fsspec._paths.paths import false_without_path, path_texts, url_text
from fsspec._paths.ranges import as_bool, as_number
from fsspec._paths.redaction import redact_text, redact_url
from fsspec._paths.urls import protocols_of
from fsspec._plans import Plan, call
from fsspec._plans.globbing import has_magic
from fsspec._plans.listing import expand_call, together
from fsspec._spec.traffic import Traffic
from fsspec.exceptions import ForkError
from fsspec.implementations._cached.delegating import awaited_method, delegate, guard, has_own
from fsspec.implementations._cached.files import logger
from fsspec.implementations._cached.folders import Folders, is_inside, remove
from fsspec.implementations._cached.limits import Limits
from fsspec.implementations._cached.sources import Source, named_for
from fsspec.implementations.cache_mapper import AbstractCacheMapper, HashCacheMapper, create_cache_mapper
from fsspec.implementations.cache_metadata import TABLE, CacheMetadata
from fsspec.implementations.chained import ChainedFileSystem, SharingTransactions
from fsspec.registry import filesystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

if TYPE_CHECKING:
    import asyncio

    from fsspec._paths.types import Depth, Options, PathOrPaths, StrPath, StrPaths


@delegate
class Cache(ChainedFileSystem):
    """A filesystem with copies of another one's files; subclasses define how files are read."""

    _strip_tokenize_options = ("fo",)
    _fork_sensitive = True  # a child that did not opt in makes new ones; see _after_fork_in_child

    _strips_itself: ClassVar[bool] = False
    """Whether a program's class has its own `_strip_protocol`, which comes before the target's then."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._strips_itself = not is_built_in(cls._strip_protocol)
        guard(cls)

    def __init__(
        self,
        target_protocol: str | None = None,
        cache_storage: str | list[str] = "TMP",
        cache_check: float = 10,
        check_files: bool = False,
        expiry_time: float = 604800,
        target_options: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        same_names: bool | None = None,
        compression: str | None = None,
        cache_mapper: AbstractCacheMapper | None = None,
        cache_storage_mode: int | None = None,
        cache_max_size: int | str | None = None,
        cache_max_age: float | str | None = None,
        cache_min_free: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if fs is None and target_protocol is None:
            name = protocols_of(self)[0]
            raise ValueError(
                f"no filesystem is named: write {name}::URL, as {name}::s3://bucket/key, or give fs= or"
                " target_protocol="
            )
        if fs is not None and target_protocol is not None:
            raise ValueError("a cache stands before one filesystem: give either fs or target_protocol")
        if same_names is not None and cache_mapper is not None:
            raise ValueError("the copies are named either by same_names or by cache_mapper, not by both")
        if isinstance(cache_storage_mode, str):  # text, which could be octal or decimal
            raise TypeError(
                f"cache_storage_mode is a number of permission bits, as 0o770, not {cache_storage_mode!r}"
            )
        self.kwargs: dict[str, Any] = target_options or {}
        self.fs: Any = fs
        if target_protocol is None:
            assert fs is not None
            target_protocol = protocols_of(fs)[0]
        else:
            self.fs = filesystem(target_protocol, **self.kwargs)
        self.target_protocol: str = target_protocol
        self.cache_check: float = as_number("cache_check", cache_check, "seconds")
        self.check_files: bool = as_bool("check_files", check_files)
        self.expiry: float = as_number("expiry_time", expiry_time, "seconds")
        self.compression = compression
        self.cache_storage_mode = cache_storage_mode
        if cache_mapper is None:
            cache_mapper = create_cache_mapper(bool(as_bool("same_names", same_names)))
        self._mapper = cache_mapper
        self._cache_folders = Folders(cache_storage, cache_storage_mode, private=self._has_table)
        self._cache_limits: Limits | None = None
        if cache_max_size is not None or cache_max_age or cache_min_free is not None:
            self._cache_limits = Limits(cache_max_size, cache_max_age, cache_min_free)
        self._made_for = tuple(self._cache_folders.paths)
        self._shared_reads: dict[str, Any] = {}  # files that awaiting callers are reading, see ranges
        self._arrived_files: list[Any] = []  # whole files not entered in the table yet, see ranges
        self._changed_here: set[str] = set()  # paths whose copies in read-only folders are out of date
        self._open_writers: dict[str, tuple[weakref.ref[Any], bool]] = {}  # and if in a transaction
        self._read_meanwhile: set[str] = set()  # paths that were read while they were written
        self._traffic_counts = Traffic()
        self._local_fs = filesystem("file")
        self.async_impl: bool = is_awaitable(self.fs)
        self.mirror_sync_methods: bool = self.fs.mirror_sync_methods
        self.sep: str = self.fs.sep
        self.root_marker: str = self.fs.root_marker
        # as the target strips paths
        self._strip_protocol = _stripping(type(self), self.fs)  # type: ignore[assignment, method-assign]
        # the target's, even if the class has its own: as upstream
        self._parent = _parent_in(type(self), self.fs)  # type: ignore[assignment, method-assign]
        self._mkcache() if self._has_table else self._cache_folders.make()
        self._copy_source = Source(self.fs, self.compression if self._keeps_whole_files else None)
        self._read_table()

    def _read_table(self) -> None:
        self._metadata = CacheMetadata(self._cache_folders.paths, self.cache_storage_mode)
        self._metadata._copy_source = self._copy_source
        self.load_cache()

    # what it is -------------------------------------------------------------------
    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        before = None
        while path != before:
            before, path = path, super()._strip_protocol(path)
        return path

    def __eq__(self, other: object) -> bool:
        """Equal are caches of one kind with equal arguments and the same folders."""
        return self is other or (
            isinstance(other, Cache)
            and type(self) is type(other)
            and self._made_for == other._made_for
            and self.storage_args == other.storage_args
            and self.storage_options == other.storage_options
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._made_for, self.target_protocol))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "fs" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return awaited_method(self, name, getattr(self.fs, name))

    def _after_fork_in_child(self) -> None:
        # copies are local files; the target and the folders handle forks themselves
        self._open_writers = {}  # the parent's, whose end is not seen here

    def reset_loop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Make the target usable that was inherited through a fork; see `AsyncFileSystem.reset_loop`."""
        self.fs.reset_loop(loop)

    @property
    def fsid(self) -> str:
        """That of the target."""
        return str(self.fs.fsid)

    @property
    def storage(self) -> list[str]:
        """The folders of the copies; the last one is written."""
        return self._settle_folders().paths

    @storage.setter
    def storage(self, paths: list[str]) -> None:
        self._cache_folders = Folders(list(paths), self.cache_storage_mode, private=self._has_table)
        self._read_table()

    def _settle_folders(self) -> Folders:
        """The folders; in a forked child with a temporary one of its own, made at the first use."""
        if not is_mine(self._cache_folders):
            with self._metadata.lock:
                if not is_mine(self._cache_folders):
                    made = self._cache_folders.settle()
                    if made is not None:
                        self._metadata.add_folder(made)
                    own(self._cache_folders)
        return self._cache_folders

    def _parent(self, path: str) -> str:
        return _parent_in(type(self), self.fs)(path)

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path on the target."""
        return str(self.fs.unstrip_protocol(self._without_protocol(name)))

    def _without_protocol(self, path: object) -> Any:
        """A path, several or a mapping of them, without the protocol of the cache."""
        if isinstance(path, dict):
            return {self._without_protocol(p): value for p, value in path.items()}
        if path is None:
            return None
        given = path_texts(path)
        return (
            [self._without_protocol(p) for p in given]
            if isinstance(given, list)
            else _without_protocol(given, type(self))
        )

    def _bare_one(self, path: object) -> Any:
        """One path without the protocol of the cache; `NoPathError` for several."""
        return self._without_protocol(path if path is None else url_text(path))

    @unless_patched
    @default
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of a path. If the page above lists a web page as a folder: the entry there."""
        return self._target_entry(self._strip_protocol(path), kwargs)

    def _target_entry(self, path: str, kwargs: Options) -> dict[str, Any]:
        if has_own(self, "ls"):
            return AbstractFileSystem.info(self, path, **kwargs)
        described = getattr(self.fs, "_fsspec_info_and_type", None) if is_built_in(self.fs.info) else None
        entry: dict[str, Any]
        if described is None:
            entry = self.fs.info(path, **kwargs)
            kind = entry.get("mimetype")
        else:
            entry, kind = described(path, kwargs)
        if kind != "text/html":
            return entry
        try:
            above = self.fs.ls(self.fs._parent(path), detail=True)
        except OSError:  # a page that is refused or has no links
            return entry
        listed = (e for e in above if e["type"] == "directory" and e["name"].rstrip("/") == path)
        return next(listed, entry)

    @unless_patched
    @false_without_path
    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is anything at a path; over HTTP a HEAD, which is cheaper than a GET."""
        if not is_default(self.info) or has_own(self, "ls"):
            return AbstractFileSystem.exists(self, path, **kwargs)
        path = self._strip_protocol(path)
        if not self.fs._fsspec_info_costs_less:
            return bool(self.fs.exists(path, **kwargs))
        try:
            self.fs.info(path, **kwargs)
        except ForkError:
            raise
        except Exception:  # as of the base class
            return False
        return True

    @unless_patched
    def isdir(self, path: str) -> bool:
        if not is_default(self.info) or has_own(self, "ls"):
            return AbstractFileSystem.isdir(self, path)
        return bool(self.fs.isdir(self._strip_protocol(path)))

    def isfile(self, path: str) -> bool:
        """Whether a path is a file; see `info`."""
        return AbstractFileSystem.isfile(self, path)

    def _rm(self, path: StrPaths, *args: Any, **kwargs: Any) -> Any:
        path = self._without_protocol(path)
        try:
            return awaited_method(self, "_rm", self.fs._rm)(path, *args, **kwargs)
        finally:
            self._drop_copies([path])

    def expand_path(
        self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None, **kwargs: Any
    ) -> list[str]:
        """What paths and patterns stand for; the target is asked about a single plain path only if a
        program has replaced its method."""
        if maxdepth is None and self._is_plain(path, recursive):
            return [self.fs._strip_protocol(self._without_protocol(path))]
        step = expand_call(self.fs, self._without_protocol(path), recursive, maxdepth, kwargs)
        found: list[str] = perform(self.fs, step)
        return found

    def _is_plain(self, path: StrPaths, recursive: bool) -> bool:
        """Whether a path stands for itself."""
        is_one = isinstance(path, str) and not recursive and not has_magic(path)
        return is_one and not replaced(self.fs, "expand_path")

    def _makedirs(self, path: str, exist_ok: bool = True) -> Any:
        """Make a local folder; if the target is awaitable, its method of that name."""
        if self.async_impl:
            return self.fs._makedirs(self._without_protocol(path), exist_ok)
        return os.makedirs(path, exist_ok=exist_ok)

    # the table --------------------------------------------------------------------
    def load_cache(self) -> None:
        """Read the table of the copies, as other processes may have changed it."""
        self._metadata.load()
        self.last_cache: float = time.time()

    def _mkcache(self) -> None:
        """Make the folder that is written to; called before a file is put there."""
        if not is_built_in(self._makedirs):  # a subclass's
            self._makedirs(self.storage[-1])
        self._cache_folders.make()

    def save_cache(self) -> None:
        """Write what has changed in the table of the copies."""
        if self._metadata._changed_details:
            self._mkcache()
            self._metadata.save()
        self.last_cache = time.time()

    def _check_cache(self) -> None:
        """Read the table again when it is time; if copies of several paths or sources may have one name, each
        time it has changed."""
        folders = self.storage  # may be a new one in a forked child
        is_time = self.cache_check and time.time() - self.last_cache > self.cache_check
        if folders and (is_time or type(self._mapper) is not HashCacheMapper):
            self.load_cache()

    @default
    def _check_file(self, path: str) -> Any:
        """The entry and the local path of a copy that can be used; False if there is none."""
        path = self._strip_protocol(path)
        self._check_cache()
        return self._metadata.check_file(path, self)

    @property
    def _own_check(self) -> Callable[[str], Any] | None:
        """The `_check_file` of a subclass, which then decides what copy can be used; else None."""
        check = self.__dict__.get("_check_file") or type(self)._check_file
        return None if is_default(check) else self._check_file

    def _own_hook(self, name: str) -> Callable[..., Any] | None:
        """A method that a subclass overrides; None if it is this package's."""
        method = self.__dict__.get(name) or getattr(type(self), name)
        return None if is_default(method) else getattr(self, name)

    # copies -----------------------------------------------------------------------
    def hash_name(self, path: str, *args: Any) -> str:
        """The name of the copy of a path; of a digest also the source is part if the path is not enough.

        Raises
        ------
        ValueError
            if a name that the mapper gives leads out of the folder, or is the table's.
        """
        name = self._mapper(path)
        if not is_inside(name):
            raise ValueError(
                f"{redact_url(path)!r} cannot be cached: {redact_text(name)!r}, as {self._mapper!r} has it,"
                " is not the name of a file in the folder of the cache; do without same_names,"
                " or use another cache_mapper"
            )
        if name == TABLE and self._has_table:
            raise ValueError(
                f"{redact_url(path)!r} cannot be cached under its own name: {TABLE!r} is the table of the"
                " cache; do without same_names, or use another cache_mapper"
            )
        source = self._copy_source
        if type(self._mapper) is HashCacheMapper:
            if source.is_needed(path) or (self._has_table and self._metadata.is_taken(path)):
                return named_for(name, source.note(path))
        return name

    _has_table: ClassVar[bool] = True
    _keeps_whole_files: ClassVar[bool] = False

    def cache_size(self) -> int:
        """Bytes of the folder that is written and of all that is in it."""
        return self._settle_folders().size()

    def clear_cache(self) -> None:
        """Remove all copies in the folder that is written."""
        self._settle_folders().empty()
        self._metadata.forget()
        self.load_cache()

    def clear_expired_cache(self, expiry_time: float | None = None) -> None:
        """Remove the copies in the folder that is written that are older than some seconds.

        Parameters
        ----------
        expiry_time
            by default as the cache was made.
        """
        age = expiry_time or self.expiry
        if not age:
            return
        self._check_cache()
        for fn in self._metadata.clear_expired(age)[0]:
            remove(fn)
        self._metadata._save_if_room()  # there may have been none before
        self._cache_folders.remove_older(0, parts=True)

    def stats(self) -> dict[str, Any]:
        """What this process has used of the cache by this instance, and asked of the target.

        Returns ``pid``; ``hits``, files that were used from a copy, and ``misses``, those that had none;
            ``target``, the ``stats`` of the filesystem that is cached, if it counts anything.
        """
        counts: dict[str, Any] = self._traffic_counts.counted("hits", "misses")
        target = self.fs.stats()
        if len(target) > 1:
            counts["target"] = target
        return counts

    def _count_lookup(self, hit: bool, path: str) -> None:
        """Count that a file was looked for in the cache."""
        if hit:
            self._traffic_counts.hits += 1
        else:
            self._traffic_counts.misses += 1
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", redact_url(path), "in the cache" if hit else "not in the cache")

    def _note_use(self, fn: str) -> None:
        if self._cache_limits is not None:
            self._cache_limits.note_use(fn)

    def _keep_limits(self, added: list[str]) -> None:
        """Remove copies beyond the limits, after those at ``added`` were added."""
        if self._cache_limits is None or not added:
            return
        folder = self.storage[-1]
        names = [os.path.relpath(fn, folder) for fn in added]
        gone = self._cache_limits.enforce(folder, names, self._copy_recognizer)
        if gone:
            self._forget_names(set(gone))

    def _copy_recognizer(self) -> Callable[[str], bool]:
        """A predicate: whether a file name in the folder is that of a copy of this cache."""
        return self._metadata.names().__contains__

    def _forget_names(self, names: set[str]) -> None:
        self._metadata.drop_names(names)
        self.save_cache()

    def pop_from_cache(self, path: str) -> None:
        """Remove the copy of a file.

        Raises
        ------
        PermissionError
            if it is in a folder that is only read.
        """
        self._settle_folders()
        fn = self._metadata.pop_file(self._strip_protocol(path))
        if fn is not None:
            remove(fn)
            self._metadata._save_if_room()  # there may have been none before

    def _drop_copies(self, given: list[Any]) -> None:
        """Drop the copies of changed paths and of all that is below them."""
        self._settle_folders()
        for path in _paths_in(given):
            path = self._strip_protocol(path)
            self._note_change(path)
            self._drop_copy(path)
        self.save_cache()

    def _drop_copy(self, path: str) -> None:
        table = self._metadata
        old = [path]
        if has_magic(path):
            first = min(at for at in map(path.find, "*?[") if at >= 0)
            old += table.below(path[: path.rfind("/", 0, first) + 1])
        else:
            old += table.below(path.rstrip("/") + "/")
        for name in old:
            fn = table.location(name)
            if fn is not None:
                remove(fn)
                table.drop(name)

    def _note_change(self, path: str) -> None:
        """Note that a path was changed, so that its copies in read-only folders are out of date."""
        if len(self._cache_folders.paths) > 1:
            self._changed_here.add(path)

    def _out_of_date(self, path: str, fn: str) -> bool:
        """Whether a copy in a folder that is only read is older than a change made here."""
        return path in self._changed_here and not self._cache_folders.is_written(fn)

    # versions ---------------------------------------------------------------------
    def _version_uids(self, paths: list[str], entries: list[Any] | None = None) -> Plan:
        """What distinguishes the versions of paths on the target, or the exception that asking raised.
        ``entries``: of the paths, if they are known already."""
        if self._version_in_entry():
            if entries is None or None in entries:
                calls = (call("info", p) for p in paths)
                entries = yield from together(calls, len(paths), return_exceptions=True)
            return [e if isinstance(e, BaseException) else self._version_digest(e) for e in entries]
        found: list[Any] = []
        for path in paths:
            try:
                found.append(self.fs.ukey(path))
            except NotImplementedError:  # a blocking call on the loop that it would wait for
                found.append(None)
            except Exception as error:  # put in its place, as in a batch
                found.append(error)
        return found

    def _version_uid(self, path: str, entry: dict[str, Any] | None = None) -> str:
        """As `_version_uids` of one path, asked for at once; ``entry``: of the path, if it is known."""
        if self._version_in_entry():
            return self._version_digest(self.fs.info(path) if entry is None else entry)
        return str(self.fs.ukey(path))

    def _version_in_entry(self) -> bool:
        """Whether what the target lists tells versions apart, rather than its own `ukey`."""
        ukey = getattr(type(_last_target(self)), "ukey", None)  # of the class: mocks have any attribute
        return ukey is AbstractFileSystem.ukey or bool(self._version_keys())

    def _version_keys(self) -> Sequence[str]:
        return getattr(type(_last_target(self)), "_version_keys", ()) if self.check_files else ()

    def _version_digest(self, entry: dict[str, Any]) -> str:
        """What distinguishes versions of an entry: as `ukey` does, or by the keys that the target names."""
        keys = self._version_keys()
        values = {key: entry[key] for key in keys if entry.get(key) is not None} if keys else entry
        return sha256(str(values).encode()).hexdigest()


def _last_target(fs: AbstractFileSystem) -> AbstractFileSystem:
    """The filesystem below those that pass `ukey` on."""
    while isinstance(fs, (Cache, SharingTransactions)):
        fs = fs.fs if isinstance(fs, Cache) else fs._fs_behind
    return fs


def _without_protocol(path: str, cls: type[Cache]) -> str:
    """A path without the protocols of a cache."""
    for protocol in protocols_of(cls):
        if path.startswith(protocol) and path[len(protocol) :].startswith(("://", "::")):
            rest = path[len(protocol) :]
            return _without_protocol(rest[3:] if rest.startswith("://") else rest[2:], cls)
    return path


def _stripping(cls: type[Cache], fs: AbstractFileSystem) -> Callable[[Any], Any]:
    """How an instance strips paths: it removes its own protocol, strips as the target does, and removes a
    slash at the end. A `_strip_protocol` of a program's class is called before the target's."""
    target = fs._strip_protocol
    own = cls._strip_protocol if cls._strips_itself else None

    def strip(path: StrPath | list[str]) -> str | list[str]:
        if isinstance(path, list):
            return [str(strip(p)) for p in path]
        text = url_text(path)
        found: str = target(_without_protocol(text if own is None else own(text), cls))
        return found.rstrip("/") or found  # targets such as HTTP keep a slash at the end

    return strip


def _parent_in(cls: type[Cache], fs: AbstractFileSystem) -> Callable[[str], str]:
    """How an instance finds the folder of a path: as the target does."""

    def parent(path: str) -> str:
        return str(fs._parent(_without_protocol(url_text(path), cls)))

    return parent


def _paths_in(given: list[Any]) -> Iterator[str]:
    """The paths in arguments that are paths, or several."""
    for item in given:
        if isinstance(item, (list, tuple, set, dict)):
            yield from _paths_in(list(item))
        elif item is not None:
            yield stringify_path(item)


def copies_in_table(cache: Cache, path: str, uid: str | None) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries and local paths of copies of a path; if the table's class overrides `check_file`, the one
    that it finds. ``uid``: as of `CacheMetadata.lookup`."""
    table = cache._metadata
    if type(table).check_file is CacheMetadata.check_file:
        yield from table.lookup(path, cache, uid)
    elif found := table.check_file(path, cache):
        yield found
