"""Regular local files by their descriptors, and the buffers over them.

Forks: the position belongs to the process. In a child writing through an inherited one raises `ForkError`,
and reading does not move the parent's position; see `local_file`.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from fsspec._files.descriptors import new_descriptor
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._fork.written_files import is_dropping_writes
from fsspec._paths.paths import folder_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

BLOCK = 2**20
_FAR = 2**40  # whether a file may be so large is asked of the system
HAS_PREAD = hasattr(os, "preadv")  # files can be read at an explicit position
CLOSED = "I/O operation on closed file."
ADVICE = "Only the process that opened it may {} it; in this one, open the file again"


def raw_mode(mode: str) -> str:
    """A mode in the form of `io.FileIO`."""
    plus = "+" in mode
    return ("r" if plus and "w" in mode else mode.replace("b", "").replace("+", "")) + "b" + "+" * plus


def descriptor_at(reader: Any, position: int) -> int:
    """The descriptor of a reader for the program, which may give it to another one to continue at
    ``position``.

    Its offset is set, unless it was at this position before and has not been sought since: then it goes on
    where the other one has ended.
    """
    if position != reader._given_at and is_mine(reader):
        os.lseek(reader._descriptor_number, position, os.SEEK_SET)
        reader._given_at = position
    return int(reader._descriptor_number)


class LocalRaw(io.RawIOBase):
    """A regular file by its descriptor.

    What is opened for writing is at the descriptor's own offset, as the built-in one is: programs that are
    given the descriptor continue there, and where what they write ends, this file goes on.  What is opened
    for reading only is read at explicit positions (``pread``), and so is any file in a forked child, which
    shares the offset: processes do not move each other's position.  In a child writing raises `ForkError`,
    except while an inherited file is only being released.
    """

    __slots__ = ("closed",)  # the quickest to read, which the buffer does at each call
    closed: bool
    _descriptor_number = -1  # until it is constructed
    _given_at: int | None = 0  # see `descriptor_at`
    _known_size = 0  # of the file, as it was last looked at
    _named_path: str | None = None  # for errors
    _kept_in: str | None = None  # the folder of the file, where it has another name until a transaction ends

    def __init__(self, fd: int, mode: str, at: int = 0) -> None:
        self.closed = False
        self._descriptor_number = fd
        self._mode = mode
        own(self)
        self._raw_position = at

    @property
    def mode(self) -> str:
        """In the form of `io.FileIO`, since code that detaches it expects one."""
        return raw_mode(self._mode)

    def fileno(self) -> int:
        if self.closed:  # the number may have been reused
            raise ValueError(CLOSED)
        return self._descriptor_number if self._mode != "rb" else descriptor_at(self, self._raw_position)

    def readable(self) -> bool:
        return self.seekable() and ("r" in self._mode or "+" in self._mode)

    def writable(self) -> bool:
        if self.closed:
            raise ValueError(CLOSED)
        return self._mode != "rb"

    def seekable(self) -> bool:
        if self.closed:
            raise ValueError(CLOSED)
        return True

    def flush(self) -> None:
        if self.closed:
            raise ValueError(CLOSED)

    def _at_offset(self) -> bool:
        """Whether its position is the descriptor's offset."""
        if self.closed:
            raise ValueError(CLOSED)
        return self._mode != "rb" and is_mine(self)

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._at_offset():
            count = os.readv(self._descriptor_number, [buffer])
            self.tell()
        else:
            count = os.preadv(self._descriptor_number, [buffer], self._raw_position)
            self._raw_position += count
        return count

    def readall(self) -> bytes:
        left = max(self._known_size - self.tell(), 0)
        if self._at_offset():
            out = os.read(self._descriptor_number, left + 1)
            self.tell()
        else:
            out = os.pread(self._descriptor_number, left + 1, self._raw_position)
            self._raw_position += len(out)
        if len(out) == left or not out:
            return out
        # it exceeds one system call, has changed, or is one of /proc, which say no size
        self._known_size = os.fstat(self._descriptor_number).st_size
        rest = self.readall() if self._raw_position < self._known_size else super().readall()
        return out + (rest or b"")

    def write(self, data: ReadableBuffer) -> int:
        if self.closed:
            raise ValueError(CLOSED)
        if not is_mine(self) and not self._check_writer("write to"):
            return memoryview(data).nbytes  # inherited data of the parent's buffer: dropped
        try:
            count = os.write(self._descriptor_number, data)
        except OSError as error:
            error.filename = self._named_path
            if self._kept_in is not None:
                where = f"in {self._kept_in!r}, where it is until the transaction ends"
                error.strerror = f"{error.strerror} {where}"
            raise
        # what is appended is wherever the end is
        self._raw_position = os.lseek(self._descriptor_number, 0, os.SEEK_CUR)
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        self._given_at = None
        if self._at_offset() or whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            if self._mode == "rb" or self._check_writer("seek for data or a hole in"):
                self._raw_position = os.lseek(self._descriptor_number, offset, whence)
            return self._raw_position
        if whence:
            end = self._raw_position if whence == 1 else os.fstat(self._descriptor_number).st_size
            offset += end
        if offset < 0:
            raise OSError(errno.EINVAL, f"cannot seek to {offset}, before the beginning")
        if offset > _FAR and self._mode == "rb":
            os.lseek(self._descriptor_number, offset, os.SEEK_SET)
        self._raw_position = offset
        return offset

    def tell(self) -> int:
        if self.closed:
            raise ValueError(CLOSED)
        if self._mode != "rb" and is_mine(self):  # `_at_offset`, without a call
            self._raw_position = os.lseek(self._descriptor_number, 0, os.SEEK_CUR)  # a child's, from now on
        return self._raw_position

    def truncate(self, size: int | None = None) -> int:
        position = self.tell()
        size = position if size is None else size
        if self._check_writer("truncate"):
            os.ftruncate(self._descriptor_number, size)
        return size

    def _check_writer(self, what: str) -> bool:
        if is_mine(self):
            return True
        if is_dropping_writes():
            return False
        refuse(
            self,
            f"a local file (descriptor {self._descriptor_number}), open for writing,",
            ADVICE.format(what),
        )

    def close(self) -> None:
        self.closed = True
        fd, self._descriptor_number = self._descriptor_number, -1  # another thread may close it, too
        if fd >= 0:
            os.close(fd)


class _Refusing:
    """An inherited file's buffer in a child: writing raises, since buffered data would be lost silently."""

    raw: Any

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if size and not is_dropping_writes():
            self.raw.write(data)
        return size

    def truncate(self, size: int | None = None, /) -> int:
        return int(self.raw.truncate(size))


class _RefusingWriter(_Refusing, io.BufferedWriter):
    pass


class _RefusingRandom(_Refusing, io.BufferedRandom):
    pass


REFUSING: dict[type, Any] = {io.BufferedWriter: _RefusingWriter, io.BufferedRandom: _RefusingRandom}


_CREATE = os.O_WRONLY | os.O_CREAT
_FLAGS = {"r": os.O_RDONLY, "w": _CREATE | os.O_TRUNC, "a": _CREATE | os.O_APPEND, "x": _CREATE | os.O_EXCL}


@lru_cache
def _how(mode: str) -> tuple[str, int, type[Any]] | None:
    """The mode of the `LocalRaw`, the flags to open it with and the class of its buffer; None for what the
    built-in ``open`` has to do."""
    kind = mode.replace("b", "").replace("+", "").replace("t", "")
    if kind not in _FLAGS or not HAS_PREAD:
        return None
    flags = _FLAGS[kind] | os.O_CLOEXEC
    if "+" in mode:
        return f"{kind}+b", flags & ~(os.O_RDONLY | os.O_WRONLY) | os.O_RDWR, io.BufferedRandom
    return f"{kind}b", flags, io.BufferedReader if kind == "r" else io.BufferedWriter


def open_buffered(path: str, mode: str) -> tuple[io.BufferedIOBase, int]:
    """Open a file with a buffer, in any mode; a regular file as `LocalRaw`. Also its size."""
    how = _how(mode)
    if how is None:
        f = cast("io.BufferedIOBase", open(path, mode))
        return f, os.fstat(f.fileno()).st_size
    kind, flags, make = how
    raw = LocalRaw(-1, kind)
    raw._named_path = path
    raw._descriptor_number = new_descriptor(os.open, path, flags, 0o666)  # closed with it
    try:
        found = os.fstat(raw._descriptor_number)
        file_type = stat.S_IFMT(found.st_mode)
        if file_type == stat.S_IFDIR:
            raise folder_error(path)
    except BaseException:  # not only when the traceback is dropped
        raw.close()
        raise
    if file_type != stat.S_IFREG:
        fd, raw._descriptor_number = raw._descriptor_number, -1
        return cast("io.BufferedIOBase", os.fdopen(fd, mode)), found.st_size
    raw._known_size = found.st_size
    if kind[0] == "a":
        raw.seek(0, os.SEEK_END)
    return make(raw, min(BLOCK, max(found.st_blksize, io.DEFAULT_BUFFER_SIZE))), found.st_size
