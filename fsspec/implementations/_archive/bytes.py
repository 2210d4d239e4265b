"""The bytes of an archive, for many readers at once.

An `ArchiveBytes` is one file that is read by position; each reader has a `View` of it, a file
with a position of its own.  A regular local file is read with ``pread``, so that
neither threads nor processes that share its descriptor ever move each other.  Any other
file is sought and read under a lock.

Forks: in a child the source continues with its copy of the file, which for a file of a
filesystem means that filesystem's own way.  Where another thread was reading at the fork,
or the file shares an offset of the operating system with the parent, it is opened again.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from fsspec._files.local_raw import LocalRaw
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._paths.ranges import file_size

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


_LEAST, _MOST = 2**16, 5 * 2**20
"""Bytes read at a time from an archive's directory, at least and at most; the latter is the block size of
caches."""
_GAP = 2**16
"""Two reads with a gap up to this many bytes are joined, by reading the gap as well."""
_SMALL = 2 * _MOST
"""Bytes up to which an archive may be read whole; a cache of blocks would keep as much."""
_FAR_READS = 2
"""Scattered reads of a small archive after which it is read whole."""


class ArchiveBytes:
    """One open file, read by position from any thread.

    ``file``: binary, seekable.
    ``reopen``: opens the same file once more; None if nobody knows how.
    ``name``: of the file in messages.
    ``decodes``: whether the file is a codec over another.
    """

    def __init__(
        self, file: IO[bytes], reopen: Callable[[], Any] | None, name: str, decodes: bool = False
    ) -> None:
        self.reopen = reopen
        self.name = name
        self.decodes = decodes
        self.start = 0
        """Where the archive begins in the file; positions are counted from there."""
        self._far_reads = _FAR_READS
        own(self)
        self._lock = threading.Lock()
        self._set_file(file)

    def _set_file(self, file: IO[bytes]) -> None:
        self.file = file
        self._descriptor = _descriptor(file)
        # now: a child may be refused the file's filesystem
        self._inheritable = self._descriptor is not None or not _shares_offset(file)
        self._stale = False
        self._next = 0
        """Where the last read ended."""
        self._was_read_whole = False
        self._brought = 0, b""
        """What `bring` has read last of a regular file, and where it begins; replaced at once."""
        if self._descriptor is not None and file.writable():
            file.flush()  # the descriptor does not see buffered data

    @property
    def local(self) -> bool:
        """Whether it is a regular local file."""
        return self._descriptor is not None

    def read_at(self, position: int, size: int) -> bytes:
        """``size`` bytes, fewer only at the end of the file; all that follow if negative. Raises ForkError in
        a child that has no way to the parent's file."""
        position += self.start
        if self._descriptor is not None:
            descriptor = self._open_descriptor()
            begin, brought = self._brought
            at = position - begin
            if 0 <= at <= at + size <= len(brought):
                return brought[at : at + size]
            return _pread(descriptor, size, position)
        with self._lock:
            file = self._current()
            try:
                if _reads_little(file):
                    self._gather(file, position, size)
                file.seek(position)
                data = file.read(size)
                self._next = position + len(data)
                return data
            except BaseException:
                # after a failure of its file a codec would return wrong bytes
                self._stale = self.decodes
                raise

    def bring(self, position: int, size: int) -> None:
        """Prefetch bytes that will be read in several steps by one request, unless they are too many."""
        if position < 0:  # as in a damaged archive: found out when it is read
            return
        if self._descriptor is not None:
            if size <= _LEAST:
                begin = position + self.start
                self._brought = begin, _pread(self._open_descriptor(), size, begin)
        elif size <= _MOST and _reads_little(self.file):
            self.read_at(position, size)

    def read_through(self) -> None:
        """Note that headers lie between the members, so that most of a small archive is read for them."""
        if self._descriptor is None and _reads_little(self.file) and self.size() <= _MOST:
            self._far_reads = 0

    def _gather(self, file: Any, position: int, size: int) -> None:
        """Before a read: read a small archive whole after scattered reads, and close a small gap to the last
        read, so that the file is read in order by one response."""
        all_of_it = file.size
        near = 0 <= position - self._next <= _GAP
        end = all_of_it if size < 0 else min(position + size, all_of_it)
        lacking = position < end and not file.cache.holds(position, end)
        if all_of_it <= _SMALL and lacking and not self._was_read_whole:
            if near or self._far_reads <= 0:
                self._was_read_whole = True  # only once, as the file may not keep it all
                file.seek(0)
                file.read()
            else:
                self._far_reads -= 1
        elif near and position > self._next:
            file.seek(self._next)
            file.read(position - self._next)

    def size(self) -> int:
        """Bytes of the file."""
        if self._descriptor is not None:
            return os.fstat(self._open_descriptor()).st_size - self.start
        with self._lock:
            return file_size(self._current()) - self.start

    def close(self) -> None:
        self.file.close()

    def _open_descriptor(self) -> int:
        if self.file.closed:  # the number may have been reused
            raise ValueError(f"{self.name} was closed")
        assert self._descriptor is not None
        return self._descriptor

    def _current(self) -> IO[bytes]:
        if self._stale:
            if self.reopen is None:
                advice = "Make the archive filesystem of a path or URL instead of a file object"
                refuse(self, f"The file object of {self.name}", advice)
            if not is_mine(self):
                hooks.immortalize(self.file)  # the parent's; closing it could wait for a thread of the parent
                own(self)
            self._set_file(self.reopen())
        return self.file

    def after_fork(self) -> None:
        """In a child: renew the lock, which a thread of the parent may have held."""
        busy = not self._lock.acquire(blocking=False)
        self._lock = threading.Lock()
        if self._descriptor is None and not isinstance(self.file, io.BytesIO):
            self._stale = self._stale or busy or not self._inheritable


class SeekError(OSError):
    """A position before the beginning of a file: in an archive, offsets that cannot be right."""


class View(io.RawIOBase):
    """A reader of a source; one thread at a time may use it."""

    def __init__(self, source: ArchiveBytes) -> None:
        self._source = source
        self._at = 0
        self.name = source.name

    def __getattr__(self, name: str) -> Any:
        # programs that take this for the archive's file, as `zip.fp`, may ask for its cache
        if name == "_source":  # before `__init__`
            raise AttributeError(name)
        return getattr(self._source.file, name)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        position = offset + (0 if whence == 0 else self._at if whence == 1 else self._source.size())
        if position < 0:
            raise SeekError(errno.EINVAL, f"cannot seek to {position}, before the beginning", self.name)
        self._at = position
        return position

    def read(self, size: int | None = -1) -> bytes:
        data = self._source.read_at(self._at, -1 if size is None else size)
        self._at += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer) -> int:
        out = memoryview(buffer).cast("B")
        data = self.read(len(out))
        out[: len(data)] = data
        return len(data)


class DirectoryView(View):
    """A view by which an archive's directory is read: what lies close together is fetched together.

    Where headers follow each other closely, as much as it takes for many of them is fetched
    at a time; if large members lie between them, little.  `done` ends that.

    ``tail``: bytes at the end of the source to fetch at once.
    """

    def __init__(self, source: ArchiveBytes, tail: int = 0) -> None:
        super().__init__(source)
        self._step = _LEAST
        self._held = b""
        self._held_at = 0
        self._held_to_end = False
        if tail:
            self._held_at = max(0, source.size() - tail)
            self._held = source.read_at(self._held_at, tail)
            self._held_to_end = True

    def done(self) -> None:
        """Stop reading ahead, as the directory was read."""
        self._step = 0
        self._held = b""

    def read(self, size: int | None = -1) -> bytes:
        if not self._step:
            return super().read(size)
        size = -1 if size is None else size
        start = self._at - self._held_at
        enough = self._held_to_end or 0 <= size <= len(self._held) - start
        if start < 0 or not enough:
            self._fetch(size)
            start = 0
        data = self._held[start:] if size < 0 else self._held[start : start + size]
        self._at += len(data)
        return data

    def _fetch(self, size: int) -> None:
        begin = self._held_at + len(self._held)
        gap = self._at - begin
        # over a network also fetch what lies between headers, if a block holds more than two of them
        far = self._step if self._source.local else _MOST // 2
        close = self._held and -len(self._held) <= gap <= far
        self._step = min(2 * self._step, _MOST) if close else _LEAST
        if not close or self._source.local:
            begin, gap, self._held = self._at, 0, b""
        kept = self._held[len(self._held) + gap :] if gap < 0 else b""
        wanted = -1 if size < 0 else max(self._at + size - begin, gap + self._step)
        came = self._source.read_at(begin, wanted)
        self._held_to_end = len(came) < wanted or wanted < 0
        self._held = kept + (came[gap:] if gap > 0 else came)
        self._held_at = self._at


def _reads_little(file: Any) -> bool:
    """Whether each read of a file can be a request of its own."""
    return getattr(getattr(file, "cache", None), "reads_little", False) and file.size is not None


def _descriptor_of(file: IO[bytes] | io.RawIOBase) -> int | None:
    """The descriptor under a file, if it is one of a regular file."""
    try:
        number = file.fileno()
        return number if stat.S_ISREG(os.fstat(number).st_mode) else None
    except (OSError, AttributeError, NotImplementedError, TypeError):
        return None


def _descriptor(file: IO[bytes]) -> int | None:
    raw = getattr(file, "raw", file)  # a codec, too, may have the descriptor of what it decodes
    is_plain = type(raw) is io.FileIO or isinstance(raw, LocalRaw)
    return _descriptor_of(raw) if is_plain and hasattr(os, "pread") and raw.readable() else None


def _shares_offset(file: IO[bytes]) -> bool:
    """Whether parent and child move each other's position in a file that is no plain one."""
    if getattr(getattr(file, "fs", None), "local_file", False) is True:
        return False  # the file below the codec has a position of its own
    return _descriptor_of(file) is not None


def _pread(descriptor: int, size: int, position: int) -> bytes:
    if size < 0:
        size = max(os.fstat(descriptor).st_size - position, 0)
    data = os.pread(descriptor, size, position)
    while 0 < len(data) < size:  # a system call may return fewer bytes
        more = os.pread(descriptor, size - len(data), position + len(data))
        if not more:
            break
        data += more
    return data
