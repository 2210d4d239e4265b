"""Files of servers that are written through a handle, which can be moved."""

from __future__ import annotations

import io

from fsspec._files.uploading import check_writable
from fsspec._fork.owned import is_mine
from fsspec._paths.redaction import redact_url
from fsspec.spec import AbstractBufferedFile


class SeekableWriting(AbstractBufferedFile):
    """A file in which also the position of what is written can be moved, as header-patching formats need.

    What is in the buffer is sent before the handle is moved. A derived class keeps the size of what it has
    sent in ``_written_end``, and moves and cuts the handle by `_seek_handle` and `_truncate_handle`.
    """

    _written_end = 0

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

    def _send_buffer(self) -> None:
        """Write what the buffer holds, less than a block as well."""
        if not is_mine(self):
            self.write(b"")  # which raises
        check_writable(self)
        if self.buffer.tell():
            self._upload_chunk()
            self.buffer = io.BytesIO()
        self.offset = self.loc
