"""Cache filesystems: the table of the copies, one in each folder.

The table is the file ``cache``, JSON, an entry for each path: ``original`` (the path),
``fn`` (the name of the copy), ``blocks`` (True if it is whole, else the numbers of the
blocks that it has: a set, in the file a list), ``time`` (of the copying, seconds since the
epoch), ``uid`` (what the store had for the original then); for copies in blocks also ``size``
and ``blocksize``.

At the end of ``uid`` is the source, in memory ``source``: which filesystem the copy comes from,
and the codec by which it was decompressed, see `_cached.sources`. Upstream, whose entries
have the same keys, notes none, nor did earlier releases; such an entry is taken only if
the path is enough to say what it is of. The key of an entry is the path, and has the source
in it if the path is not enough, or if another source has the path already.

Several processes may use a folder.  A table is replaced by one rename, never written in
place; who saves takes the changes of others first and adds its own, under a lock on the
folder (which is waited for within a bound, and only lets an entry be lost if it cannot
be had: then a file is fetched again).  A table that cannot be read is an empty one, and an
entry that makes no sense is not an entry: names that lead out of the folder, fields of other
types, blocks that the file cannot have.  A local file that is shorter than its entry says is
no copy either.

A table is readable by its owner only, unless the cache was made with permissions for
others.  URLs with credentials or a query are not in it: see `table_key`.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from fsspec._error_notes import FULL
from fsspec._files.replacing import file_state, name_target, write_all
from fsspec._fork import hooks
from fsspec.implementations._cached.folder_lock import run_locked
from fsspec.implementations._cached.folders import is_inside, part_in, remove

if TYPE_CHECKING:
    from fsspec._paths.types import T
    from fsspec.caching import MMapCache
    from fsspec.implementations._cached.base import Cache
    from fsspec.implementations._cached.sources import Source
    from fsspec.spec import AbstractBufferedFile


__all__ = ["CacheMetadata"]

TABLE = "cache"
"""The name of the table in its folder."""

Detail = dict[str, Any]
Table = dict[str, Detail]


class CacheMetadata:
    """The tables of the folders of a cache.

    Parameters
    ----------
    storage
        the folders; the last one is written. The list grows by `add_folder` only.
    mode
        permissions of the folder that is written, as the cache was asked for them: who may
        read or write there may read or write the table.
    """

    def __init__(self, storage: list[str], mode: int | None = None) -> None:
        if not storage:
            raise ValueError("a cache needs at least one folder")
        self._storage = storage
        self._file_mode = 0o600 | ((mode or 0) & 0o066)
        self.cached_files: list[Table] = [{} for _ in storage]
        self._read_signatures: list[Any] = [None] * len(storage)  # of the tables as they were last read
        self._changed_details: dict[str, Detail | None] = {}  # not saved yet; None if an entry is to go
        # entries of the table that is written, as they were last written
        self._written_texts: dict[str, str] = {}
        self._copy_source: Source | None = None  # of the cache: what its entries note
        self.lock: threading.RLock = threading.RLock()
        self._lock_depth = 0
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        self.lock = threading.RLock()  # another thread of the parent may have held it
        self._lock_depth = 0

    def alone(self, work: Callable[..., T], *args: Any) -> T:
        """What ``work`` gives, while other threads and processes are kept from saving to the written folder.

        Within it the entries agree with their files. Who has a file open can rely on its entry afterwards
        as well.
        """
        with self.lock:
            outer = self._lock_depth
            try:
                self._lock_depth = outer + 1
                if outer:
                    return work(*args)
                return run_locked(self._storage[-1], partial(work, *args))
            finally:
                try:
                    self._lock_depth = outer
                finally:  # whenever an interrupt comes
                    self._lock_depth = outer

    def add_folder(self, path: str) -> None:
        """Add a folder, which is the one that is written from now on."""
        self._storage.append(path)
        self.cached_files.append({})
        self._read_signatures.append(None)
        self._changed_details = {}

    # the files --------------------------------------------------------------------
    def load(self) -> bool:
        """Read the tables that have changed since they were read last; whether there are any."""
        return any([self._refresh_table(number) for number in range(len(self._storage))])

    def _load(self, fn: str) -> Table:
        """The table in a file, with the numbers of blocks as sets. Derived classes may override this: what
        makes no sense in it is left out, and where it fails there is no table."""
        with open(fn, encoding="utf8") as f:
            table: Table = json.load(f)
        for detail in table.values():
            if _are_blocks(detail):
                detail["blocks"] = set(detail["blocks"])
        return table

    def _refresh_table(self, number: int) -> bool:
        path = os.path.join(self._storage[number], TABLE)
        with self.lock:
            sign = file_state(path)
            if sign == self._read_signatures[number]:
                return False
            table: Table = {}
            if sign is not None:
                with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
                    table = _entries(self._load(path))  # else gone, or damaged: then files are fetched again
            if number == len(self._storage) - 1:
                for name, detail in list(self._changed_details.items()):
                    if detail is None:
                        table.pop(name, None)
                    else:
                        table[name] = _merged(table.get(name), detail)
            self._written_texts = {}
            self.cached_files[number] = table
            self._read_signatures[number] = sign
            return True

    def save(self) -> None:
        """Write what has changed; nothing is written if nothing has."""
        if self._changed_details and os.path.isdir(self._storage[-1]):
            self.alone(self._save_changes)

    def _save_if_room(self) -> None:
        """As `save`. On a full disk what has changed is kept for the next time: there is room once the files
        of the dropped entries are removed."""
        try:
            self.save()
        except OSError as error:
            if error.errno not in FULL:
                raise

    def _save_changes(self) -> None:
        self._refresh_table(len(self._storage) - 1)
        changed, self._changed_details = self._changed_details, {}
        path = os.path.join(self._storage[-1], TABLE)
        table = self.cached_files[-1]
        if type(self)._save is not CacheMetadata._save:
            table = {name: _with_lists(detail) for name, detail in table.items()}  # which it may change
        try:
            self._save(table, path)
        except BaseException:  # what was not written is written with the next change
            self._changed_details = {**changed, **self._changed_details}
            raise
        self._read_signatures[-1] = file_state(path)

    def _save(self, metadata_to_save: Table, fn: str) -> None:
        """Write a table to a file, by one rename. Derived classes may override this."""
        known = metadata_to_save is self.cached_files[-1]
        part = part_in(os.path.dirname(fn))
        try:
            with open(part, "xb", buffering=0, opener=partial(os.open, mode=0o600)) as f:
                write_all(f, (self._table_text() if known else json.dumps(metadata_to_save)).encode())
                if self._file_mode != 0o600 and hasattr(os, "fchmod"):
                    os.fchmod(f.fileno(), self._file_mode)  # whatever the umask is, as for the folder
            os.replace(part, fn)
        except BaseException as error:  # an interrupt, too, leaves no temporary file
            name_target(error, part, fn)
            remove(part)
            raise

    def _table_text(self) -> str:
        """The table that is written, as JSON; made of what changed and what is known of the rest."""
        table, texts = self.cached_files[-1], self._written_texts
        for name in texts.keys() - table.keys():
            del texts[name]
        for name in [name for name in table if name not in texts]:
            texts[name] = f"{json.dumps(name)}: {json.dumps(_as_written(table[name]))}"
        return "{" + ", ".join(texts.values()) + "}"

    def forget(self) -> None:
        """The folder that is written was emptied."""
        with self.lock:
            self.cached_files[-1] = {}
            self._read_signatures[-1] = None
            self._changed_details = {}

    # entries ----------------------------------------------------------------------
    def lookup(self, path: str, cfs: Cache | None, uid: str | None = None) -> Iterator[tuple[Detail, str]]:
        """The copies of a path that can be used, in the order of the folders.

        Parameters
        ----------
        cfs
            the filesystem, which says when a copy is too old, and whether to ask the store
            if the original has changed; None to take any.
        uid
            what the store says of the original, if that is known already.

        Yields
        ------
        tuple
            entry and local path; whether there is such a file was not looked at, see `is_whole`.
        """
        for folder, table in zip(self._storage, self.cached_files):
            detail = table.get(self._entry_key(path, table))
            if detail is None:
                continue
            if cfs is not None:
                if _too_old(detail, cfs):
                    continue
                if cfs.check_files:
                    uid = getattr(cfs, "_version_uid", cfs.fs.ukey)(path) if uid is None else uid
                    if detail["uid"] != uid:
                        continue
            yield detail, os.path.join(folder, detail["fn"])

    def check_file(self, path: str, cfs: Cache | None) -> tuple[Detail, str] | Literal[False]:
        """The entry and the local path of a copy that can be used; False if there is none.

        Parameters
        ----------
        cfs
            as for `lookup`.
        """
        for detail, fn in self.lookup(path, cfs):
            if is_whole(detail, fn):
                return detail, fn
        return False

    def has(self, path: str) -> bool:
        """Whether there is an entry for a path in any of the tables."""
        return any(self._entry_key(path, table) in table for table in self.cached_files)

    def is_taken(self, path: str) -> bool:
        """Whether the entry of a path in the table that is written belongs to another source."""
        entry = self.cached_files[-1].get(table_key(path))
        return entry is not None and not self._is_ours(entry, path)

    def _is_ours(self, entry: Detail, path: str) -> bool:
        if self._copy_source is None:
            return True
        noted = entry.get("source")  # not by upstream, nor by releases before
        return (
            not self._copy_source.is_needed(path) if noted is None else noted == self._copy_source.note(path)
        )

    def _own_key(self, path: str) -> str:
        key = table_key(path)
        return key if self._copy_source is None else f"{key}#source:{self._copy_source.note(path)}"

    def _entry_key(self, path: str, table: Table) -> str:
        """What the entry of a path from this source is called in a table."""
        own = self._own_key(path)
        entry = None if own in table else table.get(table_key(path))
        return own if entry is None or not self._is_ours(entry, path) else table_key(path)

    def update_file(self, path: str, detail: Detail) -> None:
        """Enter a copy in the folder that is written; see `save`."""
        with self.lock:
            own = self.is_taken(path) or (self._copy_source is not None and self._copy_source.is_needed(path))
            self._enter_detail(
                self._own_key(path) if own else table_key(path), self._with_source(path, detail)
            )

    def _with_source(self, path: str, detail: Detail) -> Detail:
        return detail if self._copy_source is None else {**detail, "source": self._copy_source.note(path)}

    def _enter_detail(self, key: str, detail: Detail) -> None:
        detail = {**detail, "original": _without_source(key)}
        with self.lock:
            table = self.cached_files[-1]
            if len(detail["fn"]) != 64:  # other names than digests may be those of several paths
                for other in [p for p, d in table.items() if d["fn"] == detail["fn"] and p != key]:
                    self._drop_key(other)
            # first: a process forked in between writes its own entry
            self._written_texts.pop(key, None)
            table[key] = self._changed_details[key] = detail

    def drop(self, path: str) -> None:
        """Take the entry of a path out of the table that is written; see `save`."""
        with self.lock:
            self._drop_key(self._own_key(path))
            if not self.is_taken(path):
                self._drop_key(table_key(path))

    def _drop_key(self, key: str) -> None:
        with self.lock:
            self.cached_files[-1].pop(key, None)
            self._changed_details[key] = None

    def below(self, prefix: str) -> list[str]:
        """Those paths in the table that is written that begin with ``prefix``, as `table_key` has them."""
        prefix, table = _without_secrets(prefix), self.cached_files[-1]
        found = [(key, _without_source(key)) for key in list(table) if key.startswith(prefix)]
        return [path for key, path in found if self._entry_key(path, table) == key]

    def location(self, path: str) -> str | None:
        """The local path of the copy of a path in the written folder, according to its entry."""
        detail = self.cached_files[-1].get(self._entry_key(path, self.cached_files[-1]))
        return None if detail is None else os.path.join(self._storage[-1], detail["fn"])

    def names(self) -> set[str]:
        """The names of all copies in the folder that is written."""
        self._refresh_table(len(self._storage) - 1)
        return {detail["fn"] for detail in list(self.cached_files[-1].values())}

    def drop_names(self, names: set[str]) -> None:
        """Remove the entries whose copies have these names from the written table; see `save`."""
        for path in [p for p, detail in list(self.cached_files[-1].items()) if detail["fn"] in names]:
            self._drop_key(path)

    def pop_file(self, path: str) -> str | None:
        """Take a copy out of the table.

        Returns
        -------
        str or None
            the local path, which is for the caller to remove.

        Raises
        ------
        PermissionError
            if the copy is in a folder that is only read.
        """
        fn = self.location(path)
        if fn is not None:
            self.drop(path)
            self._save_if_room()
            return fn
        found = self.check_file(path, None)
        if found:
            raise PermissionError(
                f"the copy of {path!r}, {found[1]}, is in a folder that is only read: of several"
                " in cache_storage only the last one is written"
            )
        return None

    def clear_expired(self, expiry_time: float) -> tuple[list[str], bool]:
        """Take the copies that are older than ``expiry_time`` seconds out of the table.

        Returns
        -------
        tuple
            their local paths, which are for the caller to remove, and whether the table is
            empty now.
        """
        now = time.time()
        table = self.cached_files[-1]
        old = [path for path, detail in list(table.items()) if now - detail["time"] > expiry_time]
        fns = [os.path.join(self._storage[-1], table[path]["fn"]) for path in old]
        for path in old:
            self._drop_key(path)
        self._save_if_room()
        return fns, not self.cached_files[-1]

    # copies in blocks -------------------------------------------------------------
    def reserve(self, path: str, detail: Detail, cfs: Cache) -> Detail:
        """A new sparse file for the blocks of a path, or the one that another process has just made.

        No other thread or process may save meanwhile, nor before the file is open: see `alone`.

        Returns
        -------
        dict
            the entry as it is now.
        """
        return self.alone(self._reserve_file, path, detail, cfs)

    def _reserve_file(self, path: str, detail: Detail, cfs: Cache) -> Detail:
        fn = os.path.join(self._storage[-1], detail["fn"])
        self._refresh_table(len(self._storage) - 1)
        detail, table = self._with_source(path, detail), self.cached_files[-1]
        present = table.get(self._entry_key(path, table))
        if present is not None and _same(present, detail) and not _too_old(present, cfs):
            if is_whole(present, fn):
                return present
        remove(fn)  # processes that have mapped it keep what they mapped
        try:
            with open(fn, "xb") as f:
                f.truncate(detail["size"])
            self.update_file(path, detail)
            self._save_changes()
        except BaseException as error:  # a full disk, an interrupt: what is saved next has no such entry
            key = self._entry_key(path, table := self.cached_files[-1])
            self._changed_details.pop(key, None)
            table.pop(key, None)
            remove(fn)
            name_target(error, None, fn)
            raise
        return detail

    def enter_blocks(self, path: str, cache: MMapCache) -> None:
        """Enter the blocks that an open file has fetched.

        Parameters
        ----------
        cache
            of the file, with ``blocks``, ``blocksize`` and ``size``.
        """
        self.alone(self._enter_blocks, path, cache)

    def _enter_blocks(self, path: str, cache: MMapCache) -> None:
        folder = self._storage[-1]
        self._refresh_table(len(self._storage) - 1)
        key = self._entry_key(path, self.cached_files[-1])
        detail = self.cached_files[-1].get(key)
        if detail is None or detail["blocks"] is True or not _is_mapped(cache, folder, detail):
            return  # it was removed or replaced meanwhile: these are blocks of a file that is gone
        blocks = set(detail["blocks"]).union(cache.blocks)
        whole = len(blocks) * cache.blocksize >= cache.size
        self._enter_detail(key, {**detail, "blocks": True if whole else blocks})
        try:
            self._save_changes()
        except BaseException:  # by the next time the file may be another one
            self._changed_details.pop(key, None)
            raise

    def on_close_cached_file(self, f: AbstractBufferedFile, path: str) -> None:
        """Enter the blocks that an open file has fetched; see `enter_blocks`.

        Parameters
        ----------
        f
            with a ``cache``.
        """
        self.enter_blocks(path, f.cache)


_URL = re.compile(r"([^:/?#]+://)([^/?#]*)([^?]*)(.*)", re.DOTALL)
_SOURCE = re.compile("#source:([0-9a-f]{32}(?: [^ #]+)?)$")


def table_key(path: str) -> str:
    """What a path is called in a table: itself, unless it is a URL with credentials or a query.

    Such a URL may hold a password, a token or a signature.  It is distinguished from others by a digest,
    and the rest of it is left readable.
    """
    bare = _without_secrets(path)
    return path if bare == path else f"{bare}#sha256:{sha256(path.encode()).hexdigest()}"


def _without_source(key: str) -> str:
    return _SOURCE.sub("", key)


def _without_secrets(path: str) -> str:
    if "?" not in path and "@" not in path:
        return path
    parts = _URL.fullmatch(path)
    return path if parts is None else f"{parts[1]}{parts[2].rpartition('@')[2]}{parts[3]}"


def is_whole(detail: Detail, fn: str) -> bool:
    """Whether the local file of an entry exists, and is as long as it was when it was entered."""
    try:
        return bool(os.stat(fn).st_size >= detail.get("size", 0))
    except OSError:
        return False


def _entries(table: Table) -> Table:
    """What makes sense in a table, with the numbers of blocks as sets."""
    for detail in table.values():
        if _are_blocks(detail):
            detail["blocks"] = set(detail["blocks"])
    entries = {table_key(name): detail for name, detail in table.items() if _is_entry(detail)}
    for name, detail in entries.items():
        noted = _SOURCE.search(detail["uid"]) if isinstance(detail["uid"], str) else None
        if noted is not None:
            detail["source"], detail["uid"] = noted[1], detail["uid"][: noted.start()] or None
        detail["original"] = _without_source(name)  # tables of others have the path here as well
    return entries


def _with_lists(detail: Detail) -> Detail:
    """A copy of an entry that can be written as JSON."""
    blocks = detail["blocks"]
    return {**detail, "blocks": sorted(blocks) if isinstance(blocks, set) else blocks}


def _as_written(detail: Detail) -> Detail:
    uid, detail = detail["uid"], _with_lists(detail)
    if "source" not in detail or not (uid is None or isinstance(uid, str)):
        return detail
    written = {**detail, "uid": f"{uid or ''}#source:{detail['source']}"}
    del written["source"]
    return written


def _is_entry(detail: object) -> bool:
    return (
        isinstance(detail, dict)
        and is_inside(detail.get("fn"))
        and detail["fn"] != TABLE
        and type(detail.get("time")) in (int, float)
        and "uid" in detail
        and (detail.get("blocks") is True or _are_blocks(detail))
        and ("size" not in detail or (type(detail["size"]) is int and detail["size"] >= 0))
    )


def _are_blocks(detail: object) -> bool:
    """Whether an entry has the numbers of the blocks of a copy, and in a valid form."""
    if not isinstance(detail, dict):
        return False
    blocks, size, blocksize = detail.get("blocks"), detail.get("size"), detail.get("blocksize")
    return (
        isinstance(blocks, (list, set))
        and type(size) is int
        and type(blocksize) is int
        and blocksize > 0
        and all(type(number) is int and 0 <= number * blocksize < size for number in blocks)
    )


def _too_old(detail: Detail, cfs: Cache) -> bool:
    return bool(cfs.expiry) and time.time() - detail["time"] > cfs.expiry


def _same(one: Detail, other: Detail) -> bool:
    """Whether blocks of one can be used as blocks of the other."""
    return all(one.get(key) == other.get(key) for key in ("fn", "uid", "source", "size", "blocksize"))


def _merged(theirs: Detail | None, ours: Detail) -> Detail:
    if theirs is None or ours["blocks"] is True or not _same(theirs, ours):
        return ours
    if theirs["blocks"] is True:
        return theirs
    return {**ours, "blocks": {*theirs["blocks"], *ours["blocks"]}}


def _is_mapped(cache: object, folder: str, detail: Detail) -> bool:
    """Whether the file that a cache has mapped is still the one that the entry names."""
    fd = getattr(cache, "_file_descriptor", -1)
    if fd < 0:
        return not getattr(cache, "size", 1)  # an empty file has no blocks
    with suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(os.path.join(folder, detail["fn"])))
    return False
