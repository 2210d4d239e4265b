"""What is written through a cache: a local file that is uploaded at the end, of itself or of its transaction.

It belongs to the process that opened it: in a forked child writing to it raises, and closing, discarding or
collecting it only releases the child's copy.

A file written in a transaction is not on the target before the transaction ends; until then it is read from
the local file. Operations on single paths and `ls` show it and the folders that it will be in; those that
walk or change the target do not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec._files.at_exit import close_at_exit
from fsspec._files.local_file import LocalFileOpener
from fsspec._files.local_raw import raw_mode
from fsspec._files.replacing import name_target
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, owner_only
from fsspec._fork.variants import assign
from fsspec._fork.written_files import inherited
from fsspec._loop.driving import perform
from fsspec._overriding import default, replaced, supported, unless_patched
from fsspec._paths.paths import false_without_path, folder_error
from fsspec._paths.redaction import redact_text, redact_url
from fsspec._plans import Plan, call
from fsspec._plans.listing import together
from fsspec.implementations._cached.blocks import CachingFileSystem
from fsspec.implementations._cached.files import logger
from fsspec.implementations._cached.folders import remove

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from _typeshed import ReadableBuffer

    from fsspec.spec import AbstractFileSystem


class LocalTempFile:
    """A file that is written locally first, and uploaded when it is closed or committed.

    Once writing has failed, as on a full disk, it is no longer uploaded.

    Parameters
    ----------
    fs
        the filesystem that it is uploaded to, by ``put_file``.
    path
        its path there.
    fn
        the local file.
    mode
        binary.
    autocommit
        upload when it is closed; otherwise by `commit`.
    seek
        where to begin in the local file.
    **kwargs
        for the upload.
    """

    _owning_cache: Any = None  # the cache, which keeps the local file as a copy when it was uploaded
    _drop_finalizer: Any = None
    size: int | None = None
    """Not known before it was uploaded."""
    placed: bool = False
    mode: str
    failed: OSError | None = None
    """What writing the local file raised."""
    _was_written = False
    becomes: str | None = None
    """The copy that the cache keeps of it, once it was uploaded; None for none, as of what `touch` makes."""

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        fn: str,
        mode: str = "wb",
        autocommit: bool = True,
        seek: int = 0,
        **kwargs: Any,
    ) -> None:
        self.fs = fs
        self.path = path
        self.fn: str = fn
        self.mode = mode
        self.autocommit = autocommit
        self.kwargs = kwargs
        own(self)
        hooks.register(self)
        close_at_exit(self)
        fh = LocalFileOpener(fn, mode)
        if seek:
            fh.seek(seek)
        self.fh: Any = fh  # last: nothing is uploaded of a file whose opening was interrupted

    def __repr__(self) -> str:
        what, local = redact_url(self.path), redact_text(self.fn)
        return f"<{type(self).__name__} {what!r}, mode {self.mode!r}, local file {local!r}>"

    @property
    def name(self) -> str:
        """The local file."""
        return self.fn

    @property
    def closed(self) -> bool:
        """Whether it was closed; a child forked from the process that opened it has it closed."""
        return not is_mine(self) or self.fh.closed

    def __enter__(self) -> LocalTempFile:
        self.mode = raw_mode(self.mode)  # upstream gives the built-in file here
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and error is self.failed:
            self.discard()  # and it is raised already
        else:
            self.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.fh)

    def readable(self) -> bool:
        """Whether it is read as well, as of a built-in file."""
        return "+" in self.mode

    def writable(self) -> bool:
        """Whether it is written to, as of a built-in file: a ValueError once it is closed."""
        return bool(self.fh.seekable() and self.fh.writable())

    def write(self, data: ReadableBuffer) -> int:
        """Add bytes; how many were taken."""
        return self._call_writing("write", data)

    def writelines(self, lines: Iterable[ReadableBuffer]) -> None:
        """Add several pieces of bytes."""
        self._call_writing("writelines", lines)

    def flush(self) -> None:
        """Hand to the operating system what was written."""
        self._call_writing("flush")

    def seek(self, *args: Any) -> int:
        """Move the position; returns the new one."""
        return self._call_writing("seek", *args)

    def truncate(self, *args: Any) -> int:
        """Cut the file, or make it longer; the bytes that it has then."""
        return self._call_writing("truncate", *args)

    def _call_writing(self, what: str, *args: Any) -> int:
        """Do what may write to the local file, and note it if that fails."""
        self._was_written = True
        try:
            done: int = getattr(self.fh, what)(*args)
            return done
        except OSError as error:
            # else a wrong mode, or a position before the beginning, which zipfile tries
            if not isinstance(error, ValueError) and error.errno != errno.EINVAL:
                self._note_failure(error)
                with suppress(OSError):  # room for others, now; Windows keeps what is open
                    remove(self.fn)
            raise

    def close(self) -> None:
        """Finish the local file and, unless that waits for `commit`, upload it.

        If either fails, nothing is left of the local file.

        Raises
        ------
        OSError
            if writing failed before: the file is not uploaded.
        """
        if self.closed:
            return
        if self.failed is not None:
            self.discard()
            raise self.not_uploaded()
        try:
            self.fh.close()
        except BaseException as error:  # a full disk: the incomplete file must not be uploaded
            if isinstance(error, OSError):
                self._note_failure(error)
            self.discard()
            raise
        if self.autocommit:
            self.commit()

    def _note_failure(self, error: OSError) -> None:
        self.failed = error
        name_target(error, self.fn, self.becomes or self.fn)

    def not_uploaded(self) -> OSError:
        """What is raised instead of uploading a file that could not be written."""
        assert self.failed is not None
        copy = self.becomes or self.fn
        return OSError(
            self.failed.errno,
            f"not uploaded, for writing to the local copy {copy!r} failed: {self.failed.strerror}",
            self.path,
        )

    def upload_call(self) -> call:
        """The upload; without a mode, which a backend may not know: that the target does not exist was looked
        up before. A `put` that a program has replaced is called as upstream does, with lists."""
        name = "put" if replaced(self.fs, "put") else "put_file"
        where: list[Any] = [self.fn, self.path] if name == "put_file" else [[self.fn], [self.path]]
        return call(name, *where, **supported(self.fs, name, self.kwargs, ("mode",)))

    def commit(self) -> None:
        """Upload the file.

        Raises
        ------
        Exception
            what the upload raised; the local file is gone then.
        """
        if self.failed is not None:
            self.discard()
            raise self.not_uploaded()
        self.fh.close()
        try:
            perform(self.fs, self.upload_call())
        except BaseException:  # an interrupt, too, leaves no local file
            self.discard()
            raise
        self.place()
        if self._owning_cache is not None:
            self._owning_cache._finish_copies([self.fn])

    def place(self) -> None:
        """The local file was uploaded: from now on it is the cache's, once that calls `_finish_copies`."""
        if self._owning_cache is not None and not self.placed:
            self.placed = True
            self.fn = self._owning_cache._keep_written(self.path, self.fn, self.becomes)
            self._drop_finalizer.detach()

    def discard(self) -> None:
        """Give up what was written."""
        self._was_written = False  # first: after an interrupt the finalizer gives up the rest
        with suppress(OSError, ValueError):  # it cannot be written, or its close was interrupted half-way
            self.fh.close()
        remove(self.fn)

    @owner_only
    def __del__(self) -> None:
        """Close what nobody closed, as other files do: codecs leave to this what is below them. A file that
        nothing was written to, whose opening may have been interrupted, is given up."""
        if "fh" in self.__dict__ and not self.placed:
            try:
                self.close() if self._was_written and self.failed is None else self.discard()
            except Exception as error:  # nobody could handle it
                logger.warning("%r was not uploaded: %r", self, error)

    def _after_fork_in_child(self) -> None:
        assign(self, inherited(type(self)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "fh":
            raise AttributeError(name)
        return getattr(self.fh, name)


EACH_ITS_OWN: Any = {"return_exceptions": True, "nofiles": False}
"""How a batch is run in which each file has its own outcome."""


PendingFile = LocalTempFile
"""The class by which such files are told, also while something else stands in the place of its name."""


def start_of(fs: AbstractFileSystem, path: str, part: str, mode: str) -> None:
    """Download the content of a file that is appended to or changed into the local one."""
    try:
        fs.get_file(path, part)
    except FileNotFoundError:
        if "a" not in mode:
            raise
    if os.path.isdir(part):
        os.rmdir(part)
        raise folder_error(path)


class PendingFileSystem(CachingFileSystem):
    """A cache that knows its pending files."""

    def _pending_files(self) -> dict[str, LocalTempFile]:
        """What was written in the transaction that is under way, by path."""
        if not self._intrans or self._transaction is None:
            return {}
        return {f.path: f for f in self._transaction.files if isinstance(f, PendingFile)}

    def _written_copies(self, path: str) -> Iterator[str]:
        """Where a pending file is."""
        if self._intrans:
            f = self._pending_files().get(path)
            if f is not None:
                if not f.closed:
                    f.flush()
                yield f.fn

    def _pending_entry(self, path: str) -> dict[str, Any] | None:
        if not self._intrans:
            return None
        for fn in self._written_copies(path):
            return {"name": path, "size": os.stat(fn).st_size, "type": "file"}
        below = path.rstrip("/") + "/"
        if any(p.startswith(below) for p in self._pending_files()) and not self.fs.exists(path):
            return {"name": path, "size": 0, "type": "directory"}
        return None

    @unless_patched
    @default
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self._pending_entry(path) or super().info(path, **kwargs)

    @unless_patched
    @default
    @false_without_path
    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is anything at a path, or will be when the transaction ends."""
        pending = self._pending_entry(self._strip_protocol(path))
        return pending is not None or super().exists(path, **kwargs)

    @unless_patched
    @default
    @false_without_path
    def isfile(self, path: str) -> bool:
        """Whether a path is a file, or will be when the transaction ends."""
        path = self._strip_protocol(path)
        return path in self._pending_files() or super().isfile(path)

    @unless_patched
    @default
    def isdir(self, path: str) -> bool:
        """Whether a path is a folder, or will be when the transaction ends."""
        path = self._strip_protocol(path)
        entry = self._pending_entry(path)
        return super().isdir(path) if entry is None else entry["type"] == "directory"

    @unless_patched
    def size(self, path: str) -> int | None:
        entry = self._pending_entry(self._strip_protocol(path))
        return cast(
            "int | None", self.fs.size(self._without_protocol(path)) if entry is None else entry["size"]
        )

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds, and will hold when the transaction ends; see `AbstractFileSystem.ls`."""
        folder, path = self._without_protocol(path), self._strip_protocol(path)
        if self._strips_itself and not self._has_table:  # simplecache lists what its class makes of the path
            folder = path
        below = path.rstrip("/") + "/"
        pending = self._pending_files()
        here = [p for p in pending if p == path]
        here += [below + p[len(below) :].partition("/")[0] for p in pending if p.startswith(below)]
        if not here:
            return cast("list[Any]", self.fs.ls(folder, detail=detail, **kwargs))
        try:
            found = {e["name"].rstrip("/"): e for e in self.fs.ls(folder, detail=True, **kwargs)}
        except FileNotFoundError:
            found = {}
        for p in dict.fromkeys(here):
            entry = self._pending_entry(p)
            if entry is not None:
                found[p] = entry
        return list(found.values()) if detail else sorted(e["name"] for e in found.values())


def uploading(files: list[LocalTempFile]) -> Plan:
    """Upload files at once; what each upload gave, or its error."""
    answers = yield from together([f.upload_call() for f in files], len(files), **EACH_ITS_OWN)
    for f, answer in zip(files, answers):
        if isinstance(answer, BaseException):
            f.discard()
        else:
            f.place()
    return answers


def finished(f: IO[bytes] | LocalTempFile) -> Exception | None:
    """Close a file; what went wrong with it, so that others can be seen to first."""
    try:
        f.close()
    except Exception as error:  # of any codec or filesystem; raised when all were tried
        return error
    return f.not_uploaded() if isinstance(f, PendingFile) and f.failed else None
