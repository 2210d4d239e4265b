"""Files of servers that are written through a handle, which can be moved (`SeekableWriting`), and those that
are read and written at once, in modes such as ``r+b`` (`UpdatedFile`).

The latter appear as they are written: there is no name but their own, so that none can be part of a
transaction. In a forked child they are the parent's, and refuse.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsspec._files.uploading import check_writable
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own
from fsspec._fork.variants import assign
from fsspec._fork.written_files import codec_layer, inherited
from fsspec._paths.redaction import redact_url
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class SeekableWriting(AbstractBufferedFile):
    """A file in which also the position of what is written can be moved, as header-patching formats need.

    What is in the buffer is sent before the handle is moved. A derived class keeps the size of what it has
    sent in ``_written_end``, and moves and cuts the handle by `_seek_handle` and `_truncate_handle`.
    """

    _written_end = 0
    _fsspec_made_at_open = True

    def _seek_handle(self, to: int) -> None:
        raise NotImplementedError

    def _truncate_handle(self, size: int) -> None:
        raise io.UnsupportedOperation("truncate")

    def _is_patchable(self) -> bool:
        return self.mode in ("wb", "xb")

    def seekable(self) -> bool:
        return super().seekable() or self._is_patchable() and not self.closed

    def seek(self, loc: int, whence: int = 0) -> int:
        """Move the position, also in what is written; see `AbstractBufferedFile.seek`."""
        if not self._is_patchable():
            return super().seek(loc, whence)
        if whence not in (0, 1, 2):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        self._send_buffer()
        to = int(loc) + (0, self.loc, self._written_end)[whence]
        if to < 0:
            raise ValueError(f"Seek before start of file {redact_url(self.path)!r}")
        self._seek_handle(to)
        self.offset = self.loc = to
        return to

    def truncate(self, size: int | None = None) -> int:
        """Cut off what is written, or fill it up with zeros.

        ``size``: bytes, by default up to the position.
        Raises `io.UnsupportedOperation` for files that are read or appended to, and where the server cannot.
        """
        if not self._is_patchable():
            return super().truncate(size)
        self._send_buffer()
        size = self.loc if size is None else int(size)
        self._truncate_handle(size)
        self._written_end = size
        return size

    def close(self) -> None:
        if self.mode == "rb" or not is_mine(self) or not self.fs._server_link.postpone(self.close):
            super().close()
        elif not self.closed and self.buffer is not None:
            # a finalizer calls it in the middle of a request; the buffer may be garbage, too, and closed next
            data, self.buffer = self.buffer.getvalue(), io.BytesIO()
            self.buffer.write(data)

    def _send_buffer(self) -> None:
        """Write what the buffer holds, less than a block as well."""
        if not is_mine(self):
            self.write(b"")  # which raises
        check_writable(self)
        if self.buffer.tell():
            self._upload_chunk()
            self.buffer = io.BytesIO()
        self.offset = self.loc


_BLOCK = 2**15
_MODES = ("a+b", "r+b", "w+b", "x+b")


def check_mode(path: str, mode: str, autocommit: bool) -> str:
    """A mode with its letters in order. Raises ValueError or NotImplementedError: there is no such file."""
    ordered = f"{mode.replace('+', '', 1).replace('b', '', 1)}+b"
    if ordered not in _MODES:
        raise ValueError(
            f"mode {mode!r} of {redact_url(path)!r}: such files are opened as {', '.join(_MODES)}"
        )
    if not autocommit:
        raise NotImplementedError(
            f"{redact_url(path)!r} cannot be opened as {mode} in a transaction: it would change at once"
        )
    return ordered


class Handle(io.RawIOBase):
    """A file that is open on a server, without a buffer: each operation is a request.

    A derived class opens it as ``remote``, a file object of ``_server_link``, and gives operations on that
    their turn on the connection, by `_run_operation`.
    """

    remote: Any = None
    _server_link: Any

    def __init__(self, fs: object, path: str, mode: str) -> None:
        self.fs, self.path, self.mode = fs, path, mode
        self._position = 0
        own(self)
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        assign(self, inherited(type(self)))

    def _run_operation(self, operation: Callable[[Any], Any]) -> Any:
        """What an operation makes of the remote file. Raises ConnectionError: it was lost."""
        raise NotImplementedError

    def _get_size(self) -> int:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.path

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data: bytes = self._run_operation(lambda remote: self._read_from(remote, len(view)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read_from(self, remote: Any, length: int) -> bytes:
        remote.seek(self._position)
        return bytes(remote.read(length))

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        if self.mode[0] == "a":
            self._position = self._get_size()
        self._run_operation(lambda remote: self._write_to(remote, view))
        self._position += len(view)
        return len(view)

    def _write_to(self, remote: Any, view: memoryview) -> None:
        remote.seek(self._position)
        while view:
            written = remote.write(view)
            view = view[len(view) if written is None else written :]

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence not in (0, 1, 2):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        to = offset + (0 if whence == 0 else self._position if whence == 1 else self._get_size())
        if to < 0:
            raise ValueError(f"negative seek position {to} in {redact_url(self.path)!r}")
        self._position = to
        return to

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        end = self._position if size is None else size
        self._run_operation(lambda remote: remote.truncate(end))
        return end

    def close(self) -> None:
        if not self.closed and is_mine(self):
            try:
                self._server_link.close_file(self.remote)
            finally:
                super().close()


class UpdatedFile(io.BufferedRandom):
    """A file of a server that is read and written, with a buffer.

    Another thread may hold the lock of the buffer when a child is forked, which therefore refuses to read,
    too.
    """

    _refused_in_child = tuple(
        "read read1 readinto readinto1 peek readline readlines seek tell truncate detach __next__".split()
    )

    def __init__(self, handle: Handle, block_size: int | None = None) -> None:
        size = block_size if block_size and block_size > 0 else _BLOCK
        super().__init__(handle, size)
        self.fs, self.path = handle.fs, handle.path


def update(handle: Handle, block_size: int | None) -> UpdatedFile:
    """A file over a handle; one that is appended to begins at its end."""
    try:
        file: UpdatedFile = codec_layer(lambda raw, mode: UpdatedFile(raw, block_size), handle, handle.mode)
        if handle.mode[0] == "a":
            file.seek(0, 2)
    except BaseException:  # an interrupt, too, leaves no handle open
        handle.close()
        raise
    return file
