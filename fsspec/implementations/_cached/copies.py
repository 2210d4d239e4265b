"""Copies of whole files: what is missing is fetched in one batch, and a copy appears when it is whole.

Everything that may fetch is a plan over the target, so that one text serves blocking and
awaiting callers.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from fsspec._files.decoding import reading_layer
from fsspec._files.open_file import get_compression
from fsspec._files.replacing import file_state, in_place, name_target
from fsspec._loop.bridge import sync
from fsspec._loop.driving import drive_awaiting, perform_awaiting
from fsspec._overriding import default, replaced, replaced_without
from fsspec._paths.paths import folder_error
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans import Plan, PlanOf, call, drive
from fsspec._plans.bulk import raise_first
from fsspec._plans.listing import together
from fsspec.compression import compr
from fsspec.implementations._cached.base import copies_in_table
from fsspec.implementations._cached.files import naming
from fsspec.implementations._cached.folders import remove
from fsspec.implementations._cached.pending import EACH_ITS_OWN, PendingFileSystem
from fsspec.implementations.cache_mapper import HashCacheMapper

if TYPE_CHECKING:
    from fsspec._paths.types import Options, T
    from fsspec.spec import AbstractFileSystem


_ATTEMPTS = 20
"""How often a file is fetched whose copy others remove before it is read."""

_version: ContextVar[tuple[str, str | None] | None] = ContextVar("_version", default=None)
"""The path of the copy that is being entered, and its version."""


class FetchedCopies(PendingFileSystem):
    """A cache that fetches whole files: finding, fetching, entering and using their copies."""

    def _copy_paths(self, path: str, uid: str | None = None) -> Iterator[str]:
        """Where there may be a copy of a path that can be used."""
        yield from self._written_copies(path)
        self._check_cache()
        for detail, fn in copies_in_table(self, path, uid):
            if detail["blocks"] is True and not self._out_of_date(path, fn):
                self._note_use(fn)
                yield fn

    def _checked_copies(self, path: str, uid: str | None = None) -> Iterator[str]:
        """As `_copy_paths`; if a subclass overrides the check, the copy that its method finds."""
        if self._own_check is None:
            yield from self._copy_paths(path, uid)
            return
        yield from self._written_copies(path)
        found = self._own_check(path)
        if found:
            yield found[1] if isinstance(found, tuple) else found

    def _record_copy(self, path: str, fn: str, uid: str | None) -> None:
        detail = {"fn": self.hash_name(path), "blocks": True, "time": time.time(), "uid": uid}
        self._metadata.update_file(path, {"original": path, **detail})

    @default
    def _make_local_details(self, path: str) -> str:
        """Enter the copy of a path in the table; returns where it lies. An override is called when a copy has
        arrived, which is then put if that says."""
        fn = os.path.join(self.storage[-1], self.hash_name(path))
        known = _version.get()
        if known is not None and known[0] == path:
            uid = known[1]
        else:
            uid = self._version_uid(path) if self._has_table else None
        self._record_copy(path, fn, uid)
        return fn

    def _enter_copy(self, path: str, fn: str, uid: str | None) -> str:
        """Enter a copy that is in its place; returns where it is then."""
        enter = self._own_hook("_make_local_details")
        if enter is None:
            self._record_copy(path, fn, uid)
            return fn
        token = _version.set((path, uid))
        try:
            where: str = enter(path)
        finally:
            _version.reset(token)
        if where != fn:
            os.replace(fn, where)
        return where

    @default
    def _get_cached_file_before_open(self, path: str, **kwargs: Any) -> None:
        """Make sure that there is a copy of a file. An override is called before a file without a copy is
        opened, with the arguments of `open`."""
        raise_first([self._on_target(self._fetch_copies([path], {}))[path]])

    def _keep_written(self, path: str, part: str, fn: str | None) -> str:
        """Put what was written where the copy of its path is, ``fn``, if it is kept; see `_finish_copies`.

        The table is left as it is, as upstream does: a path without an entry is copied when it is read.
        """
        self._note_change(path)
        apart = self._has_table and self._metadata.location(path) not in (None, fn)
        if fn is None or self.compression is not None or self._shares_names or apart:
            # copies are decompressed, and this need not be compressed; or the table does not say whose it is
            remove(part)
            self._drop_copies([path])
            return part
        os.replace(part, fn)
        if self._cache_limits is not None:  # they count what is in the table
            self._record_copy(path, fn, None)
        return fn

    def _finish_copies(self, fns: list[str]) -> None:
        """Save the table and keep to the limits, after copies were put in their places."""
        self.save_cache()
        self._keep_limits(fns)

    def _fetch_copies(
        self,
        paths: list[str],
        known: dict[str, Any],
        use: Callable[[str], object] | None = None,
        method: str = "get_file",
    ) -> PlanOf[dict[str, str | Exception]]:
        """Copy files, all at once; the local path of each, or what went wrong with it.

        ``use``: called with the place of each copy whose name others have as well, before it can be theirs.
        ``method``: of the target, by which upstream has them: "get" if they may be several.
        """
        out: dict[str, Any] = {p: uid for p, uid in known.items() if isinstance(uid, BaseException)}
        if self._has_table and self._metadata.load():  # others have been here
            for path in paths:
                there = filter(
                    os.path.exists, self._checked_copies(path, known.get(path)) if path not in out else ()
                )
                out.update((path, fn) for fn in list(there)[:1])
        of_each = (
            self._has_table or method == "get" and replaced_without(self.fs, "ukey", "info", "ls", method)
        )
        unknown = [p for p in paths if p not in known and p not in out] if of_each else []
        if unknown:
            # asked before: if a file changes meanwhile its copy is fetched again, and not kept for new
            known = {**known, **dict(zip(unknown, (yield from self._version_uids(unknown))))}
            out.update((p, known[p]) for p in unknown if isinstance(known[p], BaseException))
        fns: dict[str, tuple[str, str]] = {}
        if len(out) < len(paths):
            self._mkcache()
        for path in paths:
            if path not in out:
                fn = os.path.join(self.storage[-1], self.hash_name(path))
                fns[path] = fn, self._cache_folders.part(fn)
        try:
            for path in fns:
                self._count_lookup(False, path)
            parts = {path: part for path, (_, part) in fns.items()}
            with in_place(parts.values()):
                answers = yield from downloading(self.fs, parts, method)
            for (path, (fn, part)), answer in zip(fns.items(), answers):
                name_target(answer, part, fn)
                if not isinstance(answer, BaseException):
                    answer = self._put_in_place(path, part, fn, known.get(path), use)
                out[path] = answer
        finally:
            for path, (fn, part) in fns.items():
                if out.get(path) != fn:
                    remove(part)
            if self._metadata._changed_details:
                self.save_cache()
        self._keep_limits([fn for fn in out.values() if isinstance(fn, str)])
        return {path: naming(path, got) for path, got in out.items()}

    def _put_in_place(
        self,
        path: str,
        part: str,
        fn: str,
        uid: str | None,
        use: Callable[[str], object] | None,
    ) -> str | Exception:
        """Put a copy that has arrived in its place; its path, or what went wrong."""
        try:
            if stat.S_ISDIR(os.stat(part).st_mode):  # what targets make for a folder
                os.rmdir(part)
                return folder_error(path)
        except FileNotFoundError:
            return FileNotFoundError(
                f"{redact_url(path)!r} gave no file: it is a folder, or the cache was cleared meanwhile;"
                " try again"
            )
        try:
            self._decompress_copy(path, part)
        except Exception as error:  # of any codec; reported for this file
            return error
        if not self._shares_names:
            os.replace(part, fn)
            return self._enter_copy(path, fn, uid)
        return self._metadata.alone(self._replace_copy, path, part, fn, uid, use)

    def _replace_copy(self, path: str, part: str, fn: str, uid: str | None, use: Any) -> str:
        self._metadata.load()  # what had the name is gone before the table, and the table before this
        self._metadata.drop_names({self.hash_name(path)})
        self._metadata.save()
        os.replace(part, fn)
        where = self._enter_copy(path, fn, uid)
        self._metadata.save()
        if use is not None:
            with suppress(FileNotFoundError):  # the cache was cleared meanwhile
                use(where)
        return where

    @property
    def _shares_names(self) -> bool:
        """Whether several paths may share one copy; the table says whose it is."""
        own = self._own_check or self._own_hook("_make_local_details")
        return self._has_table and own is None and type(self._mapper) is not HashCacheMapper

    def _checked_use(self, path: str, fn: str, use: Callable[[str], T]) -> T:
        """What ``use`` makes of a copy. Raises FileNotFoundError if that is another one by now."""
        if not self._shares_names or fn in self._written_copies(path):
            return use(fn)
        before = file_state(fn)
        got = use(fn)
        self._metadata.load()
        is_there = any(fn == found for _, found in self._metadata.lookup(path, None))
        if not is_there or file_state(fn) != before:  # it may be back since
            if close := getattr(got, "close", None):
                close()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), fn)
        return got

    def _decompress_copy(self, path: str, part: str) -> None:
        codec = get_compression(path, self.compression)
        if codec is None:
            return
        plain = self._cache_folders.part(part)
        try:
            with (
                open(part, "rb") as raw,
                reading_layer(compr[codec], raw, path) as source,
                open(plain, "xb") as f,
            ):
                shutil.copyfileobj(source, f, 2**20)
            os.replace(plain, part)
        finally:
            remove(plain)

    def _on_target(self, plan: PlanOf[T]) -> T:
        """What a plan returns: it runs here, and the target is only troubled with what it asks for."""
        if not self.async_impl:
            return drive(self.fs, plan)
        return drive(self.fs, plan, lambda fs, step: sync(fs.loop, perform_awaiting, fs, step))

    async def _awaited_on_target(self, plan: PlanOf[T]) -> T:
        return await drive_awaiting(self.fs, plan) if self.async_impl else drive(self.fs, plan)

    def _with_copy(self, path: str, use: Callable[[str], T], kwargs: Options) -> T:
        """What ``use`` makes of the local path of a file, which is copied if need be.
        ``kwargs``: those of `open`."""
        got: T
        for fn in self._checked_copies(path):
            try:
                got = self._checked_use(path, fn, use)
            except FileNotFoundError:
                continue
            self._count_lookup(True, path)
            return got
        fetch = self._own_hook("_get_cached_file_before_open")
        if fetch is not None:
            fetch(path, **kwargs)
            for fn in self._checked_copies(path):
                with suppress(FileNotFoundError):
                    return self._checked_use(path, fn, use)
        if replaced_without(self.fs, "exists", "info", "ls", "get_file") and not self.fs.exists(path):
            raise FileNotFoundError(redact_paths(path))
        got = self._on_target(self._use_fetched(path, None, use))
        if isinstance(got, BaseException):
            raise got
        return got

    def _use_fetched(self, path: str, got: str | Exception | None, use: Callable[[str], Any]) -> Plan:
        """What ``use`` makes of a copy that was fetched; it is fetched again if somebody removed it. ``got``:
        the place of the copy, or what went wrong; None to fetch it first."""
        if got is None:
            got = (yield from self._fetch_copies([path], {}))[path]
        used: list[Any] = []
        for _ in range(_ATTEMPTS):
            if isinstance(got, BaseException):
                return got
            try:
                return self._checked_use(path, got, use)
            except FileNotFoundError:
                got = (yield from self._fetch_copies([path], {}, lambda fn: used.append(use(fn))))[path]
                if used:
                    return used[0]
        return FileNotFoundError(
            f"the copy of {redact_url(path)!r} is removed by others as soon as it is there: {got}"
        )


def downloading(fs: AbstractFileSystem, parts: dict[str, str], method: str) -> PlanOf[list[Any]]:
    """Download files at once; what each download gave, or its error.

    ``parts``: by path, where to.
    ``method``: "get_file", or "get" to have them all by one call of a `get` that a program has replaced.
    """
    if parts and method == "get" and replaced(fs, method):
        got = yield from together([call(method, list(parts), list(parts.values()))], 1, **EACH_ITS_OWN)
        if len(parts) == 1 or not isinstance(got[0], BaseException):
            return got * len(parts)
        calls = [call(method, [path], [part]) for path, part in parts.items()]  # which one it was
    else:
        calls = [call("get_file", path, part) for path, part in parts.items()]
    return (yield from together(calls, len(calls), **EACH_ITS_OWN))
