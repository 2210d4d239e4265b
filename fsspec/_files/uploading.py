"""When and how a file being written is uploaded: the plans of ``flush`` and ``close``.

A class without an upload writes the whole file by ``pipe_file``; mode "x" is checked before that.

A plan yields the method to call, so that a file whose methods are awaited
(`fsspec.asyn.AbstractAsyncStreamedFile`) follows the same course as `AbstractBufferedFile`.
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fsspec._files.lacking import refuse_coroutine, refuse_without_init
from fsspec._fork.owned import is_mine
from fsspec._loop.driving import Plan, call
from fsspec._overriding import is_default
from fsspec._paths.redaction import redact_url

if TYPE_CHECKING:
    from fsspec._files.buffered import AbstractBufferedFile


class GivenUp(NamedTuple):
    """The state of an upload that failed at its end or could not begin."""

    path: str
    reason: str
    """The text of the error; the error itself would lead to the file."""
    resendable: bool
    """Whether no part was sent, and the buffer holds the whole file."""

    def __repr__(self) -> str:
        outcome = (
            "close the file again to send it" if self.resendable else "nothing was stored, as far as is known"
        )
        return f"the upload of {redact_url(self.path)!r} was given up after {self.reason}: {outcome}"


class GivenUpError(OSError, ValueError):
    """A write to a file whose upload was given up, which is as good as closed."""


class CommittedFileError(ValueError, AttributeError):
    """A write to a file that its transaction has stored. Also an AttributeError, as upstream raises for the
    missing buffer."""


def flushing(file: AbstractBufferedFile, force: bool) -> Plan:
    """The plan of a flush. Raises ValueError if the file is closed, or was flushed with ``force``
    before. If the upload was given up it raises as `closing` does, as text over the file flushes first."""
    lost = file._fsspec_given_up_upload
    if file.closed:
        refuse_without_init(file)
        raise GivenUpError(str(lost)) if lost else ValueError("Flush on closed file")
    if file.mode == "rb":
        return
    if not is_mine(file):  # inherited, found only now since no fork hook ran: its class was replaced
        yield call("flush", force=force)
        return
    if file.forced and lost:
        if not _is_known(file):
            raise GivenUpError(str(lost))
        return
    if file.forced and force:
        raise ValueError(f"{file!r} has been force-flushed, it can only be closed")
    if force or file.buffer.tell() >= file.blocksize:  # a part has at least a block
        yield from _sending(file, force)


def _sending(file: AbstractBufferedFile, force: bool) -> Plan:
    """The plan of sending a part, the last one with ``force``."""
    first, buffer, size = file.offset is None, file.buffer, file.buffer.seek(0, 2)
    if force and first and not size and file.mode == "xb" and is_default(file.write):
        if not file._fsspec_made_at_open and not file._fsspec_is_piped():  # those ask for themselves
            _refuse_existing(file)  # s3fs would empty it
    file.forced = file.forced or force
    try:
        if first:
            file.offset = 0
            try:
                refuse_coroutine(file, "_initiate_upload", (yield call("_initiate_upload")))
            except BaseException:  # there is no upload to close
                file.closed = True
                raise
        taken = yield call("_upload_chunk", final=force)
        refuse_coroutine(file, "_upload_chunk", taken)
    except BaseException as error:  # an interrupted upload is given up as a failed one is
        if file.forced or file.closed:
            resendable = first and force and file.mode == "wb" and getattr(file, "autocommit", False)
            resendable = resendable and not buffer.closed and buffer.seek(0, 2) == size  # the whole file
            file._fsspec_given_up_upload = GivenUp(file.path, f"{type(error).__name__}: {error}", resendable)
            if resendable:
                file.offset, file.forced, file.buffer = None, False, buffer
        raise
    file._fsspec_given_up_upload = None
    if taken is not False:  # False: the backend keeps or has emptied the buffer
        file.offset += file.buffer.seek(0, 2)
        file.buffer = io.BytesIO()


def closing(file: AbstractBufferedFile) -> Plan:
    """The plan of closing a file, which is closed whether or not the upload succeeds.

    If the upload was given up before anything was sent, the file is sent again. Otherwise the first close
    raises, unless an exception is being handled already.
    """
    lost = file._fsspec_given_up_upload
    if getattr(file, "_unclosable", False) or (file.closed and not (lost and lost.resendable)):
        return
    if file.mode == "rb":
        end_reading(file)
        return
    try:
        if not is_mine(file):  # as in `flushing`
            yield call("close")
            return
        if lost:
            if not lost.resendable:
                if not _is_known(file):
                    raise GivenUpError(str(lost))
                return
            if not isinstance(sys.exc_info()[1], (Exception, type(None))):  # an interrupt such as Ctrl-C
                return
            file.closed = False
        if not file.forced and not is_default(file.flush):
            yield call("flush", force=True)
        elif not file.forced and file.buffer is not None:  # else a transaction has stored it
            yield from _sending(file, True)
        if file.fs is not None:
            file.fs.invalidate_cache(file.path)
            file.fs.invalidate_cache(file.fs._parent(file.path))
    finally:
        file.closed = True


def _is_known(file: AbstractBufferedFile) -> bool:
    """Whether an error is being handled, so that the program knows, or nobody is there to be told."""
    return sys.exc_info()[1] is not None or sys.is_finalizing() or getattr(file, "_finalizing", False)


def end_reading(file: AbstractBufferedFile) -> None:
    try:
        release = getattr(getattr(file, "cache", None), "close", None)
        file.cache = None
        if release is not None:
            release()
    finally:
        file.closed = True


def check_writable(file: AbstractBufferedFile) -> None:
    """Raise ValueError unless more can be written."""
    if file._fsspec_closed_by_transaction:
        raise _committed(file)
    lost = file._fsspec_given_up_upload
    if not file.writable():
        if file.closed:
            refuse_without_init(file)
            raise GivenUpError(str(lost)) if lost else ValueError("I/O operation on closed file.")
        raise io.UnsupportedOperation(f"File not in write mode: {redact_url(file.path)!r}")
    if file.forced:
        text = f"{file!r} has been force-flushed, it can only be closed"
        raise GivenUpError(str(lost)) if lost else ValueError(text)
    if file.buffer is None and hasattr(file, "autocommit") and not file.autocommit:
        raise _committed(file)


def _committed(file: AbstractBufferedFile) -> CommittedFileError:
    return CommittedFileError(
        f"{redact_url(file.path)!r} was stored, as it then was, by the end of a transaction of its"
        " filesystem instance, perhaps of another thread; skip_instance_cache=True makes an instance with"
        " transactions of its own"
    )


def own_pipe(fs: object) -> Callable[..., Any] | None:
    """The filesystem's own ``pipe_file``; None if it is the default one."""
    method = getattr(fs, "_pipe_file" if getattr(fs, "async_impl", False) else "pipe_file", None)
    return None if is_default(method) else method


def pipe_buffer(file: AbstractBufferedFile) -> None:
    """Write the buffer as the whole file, in mode "a" after its former content: without an upload."""
    data = file.buffer.getvalue()
    if "a" in file.mode:
        with suppress(FileNotFoundError):
            data = file.fs.cat_file(file.path) + data
    if "x" not in file.mode:
        file.fs.pipe_file(file.path, data)
    else:
        _refuse_existing(file)  # also if `pipe_file` takes no mode
        known = inspect.signature(cast("Callable[..., Any]", own_pipe(file.fs))).parameters
        file.fs.pipe_file(file.path, data, **({"mode": "create"} if "mode" in known else {}))


def _refuse_existing(file: AbstractBufferedFile) -> None:
    if file.fs is not None and file.fs.exists(file.path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), redact_url(file.path))
