"""Open local files.

A file within a transaction is written to the folder for temporary files, where nobody lists
it, and moved to its place by ``commit``.

Forks: what is inherited is read with ``pread`` at a position of its own, so that parent and child
never move each other's; what a writer has buffered belongs to the process that opened it,
and a child throws its copy away.
"""

from __future__ import annotations

import errno
import io
import os
import os.path as osp
import shutil
import stat
import tempfile
from _thread import RLock  # not the function of threading: faster
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from fsspec._files.decoding import reading_layer
from fsspec._files.descriptors import get_umask, new_descriptor
from fsspec._files.local_raw import (
    ADVICE,
    BLOCK,
    CLOSED,
    HAS_PREAD,
    REFUSING,
    LocalRaw,
    descriptor_at,
    open_buffered,
)
from fsspec._files.open_file import get_compression
from fsspec._files.replacing import link_new, replacing
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._fork.written_files import dropping_writes, is_dropping_writes
from fsspec._paths.paths import folder_error
from fsspec.compression import compr

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from fsspec.spec import AbstractFileSystem

_WHOLE = ((), (None,), (-1,))
"""Arguments of `read` that mean all that is left."""

_DELEGATED = ("read", "read1", "readline", "seek", "tell")
"""Methods that a reader takes over from its buffer."""


class LocalFileOpener(io.IOBase):
    """A local file.

    Parameters
    ----------
    path, mode
        as for the built-in ``open``, binary.
    autocommit
        False: it is written under another name, and takes its own by ``commit``.
    fs
        the filesystem that opened it.
    compression
        a name, "infer" or None; for reading.
    """

    def __init__(
        self,
        path: str,
        mode: str,
        autocommit: bool = True,
        fs: AbstractFileSystem | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.path = path
        self.mode = mode
        self.fs = fs
        self.autocommit = autocommit
        self.compression: str | None = get_compression(path, compression)
        own(self)
        if mode == "rb" and compression is None and HAS_PREAD:
            self._open_unbuffered()
        else:
            self._open()
        hooks.register(self)

    # see `f`; a plain reader gets none before it is needed, which one read of the whole is not
    _buffered_file: io.BufferedIOBase | None = None
    _descriptor_number = -1
    _bare_lock: RLock  # held while a reader without a buffer is used
    _raw_position = 0  # of a reader without a buffer
    _given_at: int | None = 0  # as its `LocalRaw`'s
    temp: str | None = None
    _appends_from: int | None = None  # the position in ``temp`` of the first byte to append
    blocksize = io.DEFAULT_BUFFER_SIZE
    _made_before_fork = False  # whether a hook of a child was called

    def _open_unbuffered(self) -> None:
        """Open for reading: a regular file as a descriptor only, until `_make_buffer` is needed."""
        self._bare_lock = RLock()
        self._descriptor_number = new_descriptor(os.open, self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(self._descriptor_number)
            file_type = stat.S_IFMT(found.st_mode)
            if file_type == stat.S_IFDIR:
                raise folder_error(self.path)
        except BaseException:  # not only when the traceback is dropped
            LocalFileOpener.close(self)
            raise
        self.size: int = found.st_size
        if file_type != stat.S_IFREG:
            fd, self._descriptor_number = self._descriptor_number, -1
            self.f = os.fdopen(fd, "rb")

    @property
    def f(self) -> io.BufferedIOBase:
        """The open file below."""
        if self._buffered_file is None:
            self._make_buffer()
            assert self._buffered_file is not None
        return self._buffered_file

    @f.setter
    def f(self, value: io.BufferedIOBase) -> None:
        self._buffered_file = value
        self._descriptor_number = -1  # the descriptor belongs to the file that was taken away

    def _make_buffer(self) -> None:
        if self._descriptor_number < 0:
            raise ValueError(CLOSED)
        with self._bare_lock:
            self._make_buffer_at_position()

    def _make_buffer_at_position(self) -> None:
        if self._descriptor_number < 0:  # another thread has closed it
            raise ValueError(CLOSED)
        attributes = vars(self)
        raw = LocalRaw(-1, "rb", self._raw_position)
        raw._known_size, raw._given_at = self.size, self._given_at
        made = io.BufferedReader(raw, BLOCK if self.size > BLOCK else 2**16)
        raw._descriptor_number = self._descriptor_number
        try:
            is_ready = attributes.setdefault("_buffered_file", made) is not made
        except BaseException:  # an interrupt: the descriptor is closed once
            if self._buffered_file is not made:
                raw._descriptor_number = -1
            raise
        if is_ready:  # another thread was faster
            raw._descriptor_number = -1
        elif type(self) is LocalFileOpener:  # call its methods directly
            for name in _DELEGATED:
                attributes[name] = getattr(made, name)

    def _after_fork_in_child(self) -> None:
        # a thread of the parent may have been reading, and the buffer's lock be held for ever:
        # this buffer is neither used nor collected here
        self._made_before_fork = True
        self._bare_lock = RLock()
        for name in _DELEGATED:
            vars(self).pop(name, None)
        f = self._buffered_file
        if f is None or f.closed:
            return
        hooks.immortalize(f)
        raw = getattr(f, "raw", None)
        if isinstance(raw, LocalRaw):
            raw._raw_position = f.tell()
            if type(f) in REFUSING:
                self._buffered_file = REFUSING[type(f)](raw, self.blocksize)
            else:
                del self._buffered_file  # a new one is made when needed
                self._descriptor_number, self._raw_position = raw._descriptor_number, raw._raw_position

    def _open(self) -> None:
        """Open in any mode, with buffer, codec, and in a transaction a temporary name."""
        if self.autocommit or "r" in self.mode:
            self._buffered_file, size = open_buffered(self.path, self.mode)
            if self.compression:
                codec = compr[self.compression]
                if self.mode == "rb":
                    self.f = reading_layer(codec, self.f, self.path)
                else:
                    self.f = codec(self.f, mode=self.mode)
        else:
            if "x" in self.mode and osp.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
            if osp.isdir(self.path):
                raise folder_error(self.path)
            self.temp = tempfile.mktemp()
            try:
                os.close(new_descriptor(os.open, self.temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                if "a" in self.mode and osp.exists(self.path):
                    shutil.copyfile(self.path, self.temp)
                    self._appends_from = osp.getsize(self.temp)
                self.f, size = open_buffered(self.temp, self.mode.replace("x", "w"))
                if isinstance(raw := getattr(self.f, "raw", None), LocalRaw):
                    raw._named_path, raw._kept_in = self.path, osp.dirname(self.temp)
            except BaseException:  # an interrupt, too, leaves no temporary file
                with suppress(FileNotFoundError):
                    os.unlink(self.temp)
                raise
        if "w" not in self.mode and hasattr(self.f, "fileno"):
            self.size = size

    def _check_writer(self, what: str) -> None:
        if self._inherited_writer():
            refuse(self, f"{self!r}, open for writing,", ADVICE.format(what))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}, mode {self.mode!r}>"

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes of a range, for caches; the position does not move."""
        if self.closed:
            vars(self).pop("_buffered_file", None)
            self._open()
        if hasattr(os, "pread") and not self.compression:
            return os.pread(self.fileno(), end - start, start)
        self.f.seek(start)
        return self.f.read(end - start)

    def __getstate__(self) -> dict[str, Any]:
        """Path, mode and position; other releases of fsspec use the same keys."""
        if "r" not in self.mode:
            raise ValueError(f"{self!r} is being written and cannot be pickled")
        names = ("path", "mode", "fs", "autocommit", "compression", "blocksize", "size")
        state = {name: getattr(self, name, None) for name in names}
        return {**state, "loc": 0 if self.closed else self.tell()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        how = {name: state[name] for name in ("path", "mode", "autocommit", "fs", "compression")}
        LocalFileOpener.__init__(self, **how)
        if state["loc"]:
            self.seek(state["loc"])

    def seekable(self, *args: Any, **kwargs: Any) -> bool:
        # without a buffer: a regular file; text is read through it whole, without a buffer
        return (
            self._buffered_file is None and self._descriptor_number >= 0 or self.f.seekable(*args, **kwargs)
        )

    def readable(self) -> bool:
        return True  # in every mode, as upstream: uproot and others write only to files that say so

    def writable(self) -> bool:
        return "r" not in self.mode or "+" in self.mode

    def fileno(self) -> int:
        if self._buffered_file is None and self._descriptor_number >= 0:
            return descriptor_at(self, self._raw_position)
        raw = getattr(self.f, "raw", None)
        if self.mode == "rb" and isinstance(raw, LocalRaw):
            return descriptor_at(raw, self.f.tell())  # not where what was read ahead ends
        return self.f.fileno()

    def seek(self, *args: Any, **kwargs: Any) -> int:
        f = self._buffered_file
        if f is not None:
            return f.seek(*args, **kwargs)
        if len(args) == 1 and not kwargs and type(args[0]) is int:
            to: int = args[0]
            if self._descriptor_number >= 0 and 0 <= to <= self.size:
                with self._bare_lock:
                    if self._buffered_file is None:
                        self._given_at = None
                        self._raw_position = to
                        return to
        return self.f.seek(*args, **kwargs)

    def tell(self, *args: Any, **kwargs: Any) -> int:
        if self._buffered_file is None and self._descriptor_number >= 0 and not args and not kwargs:
            return self._raw_position
        return (self._buffered_file or self.f).tell(*args, **kwargs)

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        f = self._buffered_file
        if f is not None:
            return f.read(*args, **kwargs)
        if not kwargs and args in _WHOLE and self._descriptor_number >= 0:
            with self._bare_lock:  # so that of several threads each gets what the others do not
                fd, at = self._descriptor_number, self._raw_position
                if fd >= 0 and self._buffered_file is None:
                    left = max(self.size - at, 0)
                    data = os.pread(fd, left + 1, at)
                    self._raw_position = at + len(data)
                    # its size has changed or is not reported, or exceeds one system call
                    return data if len(data) == left else data + self.f.read()
        return self.f.read(*args, **kwargs)

    def read1(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, by one read of the file at most."""
        return cast("io.BufferedReader", self.f).read1(size)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a writable buffer; the number of bytes put there."""
        return (self._buffered_file or self.f).readinto(buffer)

    def readline(self, *args: Any, **kwargs: Any) -> bytes:
        return (self._buffered_file or self.f).readline(*args, **kwargs)

    def readlines(self, *args: Any, **kwargs: Any) -> list[bytes]:
        if args in _WHOLE and not kwargs and ("r" in self.mode or "+" in self.mode):
            return io.BytesIO(self.read()).readlines()  # faster than by the buffer, line by line
        return self.f.readlines(*args, **kwargs)

    def write(self, *args: Any, **kwargs: Any) -> int:
        if self._made_before_fork or not hooks.ready[0]:  # `is_mine`, without a call
            if self._inherited_writer() and is_dropping_writes():
                return memoryview(args[0]).nbytes
            self._check_writer("write to")
        try:
            return (self._buffered_file or self.f).write(*args, **kwargs)
        except ValueError:  # a closed file, perhaps of those that are never written to
            if not self.closed or self.writable():
                raise
            raise io.UnsupportedOperation("write") from None

    def truncate(self, size: int | None = None) -> int:
        self._check_writer("truncate")
        return self.f.truncate(size)

    def flush(self) -> None:
        f = self._buffered_file
        if f is None or "r" in self.mode and "+" not in self.mode:
            if self.closed:
                raise ValueError(CLOSED)
            return
        if self._made_before_fork or not hooks.ready[0]:  # as in `write`
            if self._inherited_writer() and is_dropping_writes():
                return
            self._check_writer("flush")
        (self._buffered_file or f).flush()

    def _inherited_writer(self) -> bool:
        return not is_mine(self) and self.writable()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.f)

    @property
    def closed(self) -> bool:
        """Whether the handle can no longer be used."""
        f = self._buffered_file
        return self._descriptor_number < 0 if f is None else f.closed

    def close(self) -> None:
        f = self._buffered_file
        if f is None:
            if self._descriptor_number < 0:
                return
            with self._bare_lock:  # not while it is read
                f = self._buffered_file
                if f is None:
                    fd, self._descriptor_number = self._descriptor_number, -1
                    if fd >= 0:  # no other thread has closed it
                        os.close(fd)
                    return
        if (self._made_before_fork or not hooks.ready[0]) and self._inherited_writer():
            with dropping_writes():
                self.f.close()
            return
        try:
            f.close()
        except ValueError:  # an interrupt had come between the parts of a close: this one has done the rest
            if not f.closed or not isinstance(getattr(f, "raw", None), LocalRaw):
                raise

    @property
    def name(self) -> str:
        """The path."""
        return getattr(self._buffered_file, "name", None) or self.temp or self.path

    def commit(self) -> None:
        """Close the file, and give what was written its name."""
        if self.temp is None:
            raise RuntimeError(
                f"{self!r} was opened with autocommit, or to be changed, and has its name already"
            )
        self._check_writer("commit")
        self.close()  # flushes the buffer
        if self._appends_from is not None and osp.exists(self.path):
            with open(self.temp, "rb") as source, open(self.path, "ab") as target:
                source.seek(self._appends_from)  # keep what others have appended
                shutil.copyfileobj(source, target)
            os.unlink(self.temp)
            return
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode) & ~(stat.S_ISUID | stat.S_ISGID)  # of its owner
        except FileNotFoundError:
            mode = 0o666 & ~get_umask()
        os.chmod(self.temp, mode)
        if "x" in self.mode:
            link_new(self.temp, self.path)
            os.unlink(self.temp)
            return
        try:
            os.replace(self.temp, self.path)
        except OSError as error:
            if error.errno != errno.EXDEV and not osp.isfile(self.path):
                raise OSError(error.errno, error.strerror, self.path) from error
            with replacing(self.path, read_only=True) as f, open(self.temp, "rb") as source:
                shutil.copyfileobj(source, f)
            with suppress(PermissionError):  # network mounts refuse it; the file itself is written
                os.chmod(self.path, mode)
            os.unlink(self.temp)

    def discard(self) -> None:
        """Throw away what was written."""
        if self.autocommit:
            raise RuntimeError(f"{self!r} was opened with autocommit and cannot be discarded")
        if self.temp is not None and is_mine(self):
            with suppress(FileNotFoundError):
                os.unlink(self.temp)

    def __enter__(self) -> LocalFileOpener:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("f", "size"):
            raise AttributeError(name)
        return getattr(self.f, name)


def _reopened(
    path: str, mode: str, fs: AbstractFileSystem | None, compression: str | None, at: int
) -> LocalFileOpener:
    """A reader from its pickled form, at the position that it had."""
    f = LocalFileOpener(path, mode, fs=fs, compression=compression)
    if at:
        f.seek(at)
    return f
