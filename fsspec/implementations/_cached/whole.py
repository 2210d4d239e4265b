"""A cache of whole files: reading, writing and opening them by the copies that `copies` fetches."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec._fork.owned import finalize
from fsspec._overriding import default, is_built_in, is_default, unless_patched, unlike_base
from fsspec._paths.paths import path_texts
from fsspec._paths.ranges import as_view, per_path
from fsspec._plans import Plan, PlanOf, call
from fsspec._plans.bulk import raise_first, split_callback, without_refusals
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.implementations._cached.blocks import FOR_READING
from fsspec.implementations._cached.copies import FetchedCopies
from fsspec.implementations._cached.files import LocalCopy
from fsspec.implementations._cached.folders import remove
from fsspec.implementations._cached.pending import LocalTempFile, PendingFile, finished, start_of, uploading
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Contents, Offsets, Options, Progress, StrPaths
    from fsspec.core import OpenFiles


class WholeFileCacheFileSystem(FetchedCopies):
    """Keeps whole files, and a table that says when each was copied.

    Parameters as for `CachingFileSystem`.
    """

    protocol: ClassVar[Any] = "filecache"
    local_file = True
    _keeps_whole_files = True
    _fsspec_only_transactions_wait: ClassVar[bool] = True

    # reading ----------------------------------------------------------------------
    @unless_patched
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of one file, or a part of them, from its copy; see `AbstractFileSystem.cat_file`."""
        if not self._fsspec_opens_itself or kwargs.get("compression"):
            return AbstractFileSystem.cat_file(self, path, start, end, **kwargs)
        part_of = partial(self._local_fs.cat_file, start=start, end=end)
        return self._with_copy(self._strip_protocol(path), part_of, kwargs)

    def _slices_plan(
        self, paths: list[str], starts: list[Any], ends: list[Any], callback: Callback = DEFAULT_CALLBACK
    ) -> PlanOf[list[Any]]:
        """Parts of files, each bytes or what went wrong with it; what is missing is copied at once."""
        uids: dict[str, Any] = {}
        if self.check_files:
            there = [p for p in dict.fromkeys(paths) if self._metadata.has(p)]
            uids = dict(zip(there, (yield from self._version_uids(there))))
        out: list[Any] = [None] * len(paths)
        missing: dict[str, list[int]] = {}
        for number, path in enumerate(paths):
            uid = uids.get(path)
            for fn in [] if isinstance(uid, BaseException) else self._checked_copies(path, uid):
                try:
                    part_of = partial(self._local_fs.cat_file, start=starts[number], end=ends[number])
                    out[number] = self._checked_use(path, fn, part_of)
                    self._count_lookup(True, path)
                    callback.relative_update(1)
                    break
                except FileNotFoundError:
                    continue
            else:
                missing.setdefault(path, []).append(number)
        got = (yield from self._fetch_copies(list(missing), uids, method="get")) if missing else {}
        for path, numbers in missing.items():
            for number in numbers:
                part_of = partial(self._local_fs.cat_file, start=starts[number], end=ends[number])
                out[number] = yield from self._use_fetched(path, got[path], part_of)
                callback.relative_update(1)
        return out

    def _cat_ranges_plan(
        self, paths: list[str], starts: Offsets, ends: Offsets, on_error: str, kwargs: Options
    ) -> PlanOf[list[Any]]:
        callback, _ = split_callback(kwargs)
        paths, firsts, lasts = per_path(paths, starts, ends)
        callback.set_size(len(paths))
        out = yield from self._slices_plan([self._strip_protocol(p) for p in paths], firsts, lasts, callback)
        if on_error == "raise":
            raise_first(out)
        return out

    @unless_patched
    def cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Parts of files, from their copies; see `AbstractFileSystem.cat_ranges`."""
        # a `cat_file` of a program's own is asked as by upstream, whose simplecache goes past it
        asks_each = self._has_table and not is_built_in(self.cat_file)
        if asks_each or not self._fsspec_opens_itself or kwargs.get("compression"):
            return AbstractFileSystem.cat_ranges(self, paths, starts, ends, max_gap, on_error, **kwargs)
        return self._on_target(self._cat_ranges_plan(paths, starts, ends, on_error, kwargs))

    def _cat_plan(self, path: StrPaths, recursive: bool, on_error: str, callback: Progress) -> Plan:
        callback = Callback.as_callback(callback)
        given = path_texts(path)
        if self._is_plain(given, recursive):
            paths = [self.fs._strip_protocol(self._without_protocol(given))]
        else:
            paths = yield call("expand_path", self._without_protocol(given), recursive=recursive)
        callback.set_size(len(paths))
        nothing = [None] * len(paths)
        contents = yield from self._slices_plan(paths, nothing, nothing, callback)
        if recursive and on_error == "raise":
            paths, contents = yield from without_refusals(self.fs, paths, contents, None)
        if on_error == "raise":
            raise_first(contents)
        if isinstance(given, str) and not recursive and len(paths) == 1:
            if not isinstance(contents[0], BaseException):
                return contents[0]
        if on_error == "omit":
            return {p: data for p, data in zip(paths, contents) if not isinstance(data, BaseException)}
        return dict(zip(paths, contents))

    def cat(
        self,
        path: StrPaths,
        recursive: bool = False,
        on_error: str = "raise",
        callback: Progress = DEFAULT_CALLBACK,
        **kwargs: Any,
    ) -> Any:
        """The bytes of files, from their copies; see `AbstractFileSystem.cat`.

        ``callback``: gets the number of files, and each one.
        """
        return self._on_target(self._cat_plan(path, recursive, on_error, callback))

    async def _cat(
        self, path: StrPaths, recursive: bool = False, on_error: str = "raise", **kwargs: Any
    ) -> Contents:
        plan = self._cat_plan(path, recursive, on_error, kwargs.get("callback"))
        return await self._awaited_on_target(plan)

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        plan = self._cat_ranges_plan([path], start, end, "raise", {})
        return cast("bytes", (await self._awaited_on_target(plan))[0])

    async def _cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        return await self._awaited_on_target(self._cat_ranges_plan(paths, starts, ends, on_error, kwargs))

    # writing ----------------------------------------------------------------------
    @unless_patched
    @unlike_base
    @default
    def pipe_file(self, path: str, value: bytes | None = None, **kwargs: Any) -> None:
        """Make a file of bytes, which are its copy as well; see `AbstractFileSystem.pipe_file`."""
        if not self._fsspec_opens_itself:
            return AbstractFileSystem.pipe_file(self, path, cast("bytes", value), **kwargs)
        self._pipe_files({path: value}, kwargs)

    @unless_patched
    def pipe(
        self, path: str | Mapping[str, ReadableBuffer], value: ReadableBuffer | None = None, **kwargs: Any
    ) -> None:
        """Make files of bytes, all at once; see `AbstractFileSystem.pipe`."""
        if not self._fsspec_opens_itself or not is_default(self.pipe_file):
            return AbstractFileSystem.pipe(self, path, value, **kwargs)
        contents: Mapping[str, Any] = {path: value} if isinstance(path, str) else path
        if not isinstance(contents, dict):
            raise ValueError(f"a path and bytes, or a mapping of them, is needed, not {type(path).__name__}")
        self._pipe_files(contents, kwargs)

    def _pipe_files(self, contents: Mapping[str, Any], kwargs: Options) -> None:
        if kwargs.pop("mode", "overwrite") == "create":
            kwargs["mode"] = "create"
            for p in contents:
                if self._fsspec_is_taken(p):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), p)
        callback, kwargs = split_callback(kwargs)
        callback.set_size(len(contents))
        files: list[LocalTempFile] = []
        try:
            for p, data in contents.items():
                as_view(p, data).release()
                f = self._open(p, "wb", autocommit=False)
                files.append(f)
                f.kwargs = dict(kwargs)
                f.write(data)
                f.close()
        except BaseException:  # an interrupt, too, leaves no local file
            for f in files:
                f.discard()
            raise
        if self._intrans:
            self.transaction.files.extend(files)
        else:
            self._upload_files(files)
        callback.relative_update(len(contents))

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        super().touch(path, truncate, **kwargs)
        if self._intrans and isinstance(made := self.transaction.files[-1], PendingFile):
            made.becomes = None  # nothing to keep

    # opening ----------------------------------------------------------------------
    @default
    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        path = self._strip_protocol(path)
        if "r" in mode and "+" not in mode:
            try:
                return self._with_copy(path, partial(LocalCopy, path), kwargs)
            except OSError as error:  # as the other filesystem's own `open` would raise it
                as_opened = getattr(self.fs, "_opening_error", None)
                raised = as_opened(error, path) if as_opened is not None else error
                if raised is error:
                    raise
                raise raised from error
        for name in FOR_READING:
            kwargs.pop(name, None)
        if "x" in mode:
            if self._fsspec_is_taken(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            kwargs["mode"] = "create"  # for the upload: somebody else may be faster
        copy = os.path.join(self.storage[-1], self.hash_name(path))
        self._mkcache()
        part = self._cache_folders.part(copy)
        try:
            if "a" in mode or "r" in mode:
                start_of(self.fs, path, part, mode)
            put = {"mode": kwargs.pop("mode")} if "mode" in kwargs else {}
            autocommit = kwargs.pop("autocommit", True)
            f = LocalTempFile(self.fs, path, part, mode.replace("x", "w"), autocommit=False)
            f.kwargs, f.mode, f.becomes, f._owning_cache = {**kwargs, **put}, mode, copy, self
            f._drop_finalizer = finalize(f, remove, part)  # of one that is dropped in a transaction
            f._drop_finalizer.atexit = False
        except BaseException:  # an interrupt, too, leaves no local file
            remove(part)
            raise
        f.autocommit = autocommit  # last: nothing is uploaded of a file whose opening was interrupted
        return f

    def open_many(self, open_files: OpenFiles, **kwargs: Any) -> list[Any]:
        """Open files together: what is missing is copied at once.

        Parameters
        ----------
        open_files
            an `fsspec.core.OpenFiles`; those written are uploaded by `commit_many`.
        """
        opened = _OpenedTogether()
        reading = "r" in open_files.mode
        try:
            if reading and len(open_files) > 1:
                paths = [self._strip_protocol(of.path) for of in open_files]
                raise_first(self._on_target(self._slices_plan(paths, [0] * len(paths), [0] * len(paths))))
            for of in open_files:
                if not reading and not self._intrans and of.compression is None and "b" in of.mode:
                    opened.append(self._open(of.path, of.mode, autocommit=False))
                else:
                    opened.append(of.open())
                    opened.layered.append(of)
        except BaseException:  # an interrupt, too, leaves none of the files open
            for f in opened:
                f.discard() if isinstance(f, PendingFile) else f.close()
            raise
        return opened if opened.layered and not reading else list(opened)

    def commit_many(self, open_files: list[Any]) -> None:
        """Close files that were written, and upload those that wait for it all at once.

        Raises
        ------
        Exception
            the first that an upload raised, after all were tried.
        """
        waiting = []
        broken = [error for error in map(finished, getattr(open_files, "layered", [])) if error is not None]
        for f in open_files:
            if isinstance(f, PendingFile) and not f.autocommit and not self._intrans:
                waiting.append(f)
            elif (error := finished(f)) is not None:
                broken.append(error)
        try:
            self._upload_files(waiting)
        finally:
            raise_first(broken)

    def _upload_files(self, files: list[LocalTempFile]) -> None:
        """Upload what was written, all at once; the first failure is raised when all were tried."""
        broken = [error for error in map(finished, files) if error is not None]
        whole = [f for f in files if not f.failed]
        try:
            broken += self._on_target(uploading(whole)) if whole else ()
        finally:
            self._finish_copies([f.fn for f in whole if f.placed])
        raise_first(broken)


class _OpenedTogether(list[Any]):
    """Files that were opened together."""

    def __init__(self) -> None:
        super().__init__()
        self.layered: list[Any] = []  # what those were opened from that have layers: a codec, text
