"""Files of remote filesystems: reading through a cache, writing in parts.

Owns `AbstractBufferedFile`, which backends subclass, and `reopen`, which restores it from a pickle.

A file being read is a position (``loc``) and a cache; all bytes come from ``cache._fetch``.
A file being written is a buffer and the offset of what has been uploaded::

    offset is None -- first part --> offset >= 0 -- last part (forced) --> closed

``_initiate_upload`` is called once, before the first part; ``_upload_chunk`` for each,
with the data in ``buffer``.  What is due is decided by the plans of `fsspec._files.uploading`.

One thread at a time may use a file.  In a forked child a file being read continues at its
position.  A file being written belongs to the process that opened it: in the child its class
is replaced (`fsspec._fork.written_files`) so that nothing can reach the store, not even by
``commit``, ``discard`` or ``close`` of a subclass.  There it counts as closed, so that
compressors and text layers above it raise nothing when they are collected.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from fsspec._files.lacking import (
    is_asked_by_itself,
    lacking,
    refuse_endless,
    refuse_loss,
    refuse_textual,
    refuse_unawaited,
    refuse_without_init,
    size_in,
)
from fsspec._files.uploading import (
    GivenUp,
    check_writable,
    closing,
    end_reading,
    flushing,
    own_pipe,
    pipe_buffer,
)
from fsspec._fork import hooks
from fsspec._fork.class_facts import is_ours
from fsspec._fork.foreign_files import inherit
from fsspec._fork.owned import own
from fsspec._fork.variants import assign
from fsspec._fork.written_files import inherited
from fsspec._loop.driving import drive
from fsspec._overriding import default
from fsspec._paths.ranges import as_block_size, read_until
from fsspec._paths.redaction import redact_url
from fsspec.caching import BaseCache, make_cache
from fsspec.exceptions import ForkError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer
    from typing_extensions import Self

    from fsspec._paths.types import Options
    from fsspec.spec import AbstractFileSystem

_Read = TypeVar("_Read", bound=Callable[..., bytes])

_MODES = ("ab", "rb", "wb", "xb")


class AbstractBufferedFile(io.IOBase):
    """A binary file of a filesystem, read through a cache or written in parts.

    A subclass brings `_fetch_range` to be read, and `_initiate_upload` and
    `_upload_chunk` to be written; `commit` and `discard` as well if files can be part
    of a transaction.

    Parameters
    ----------
    fs
        its filesystem.
    path
        without protocol.
    mode
        "rb", "wb", "ab" or "xb".
    block_size
        bytes: of the cache if reading, of the parts at least if writing;
        "default" or None for `DEFAULT_BLOCK_SIZE`.
    autocommit
        make the file visible when it is closed; otherwise `commit` does.
    cache_type
        a name in `fsspec.caching.caches`.
    cache_options
        further arguments of the cache.
    size
        of the file read, if known: otherwise the filesystem is asked, one request.
    **kwargs
        kept as ``kwargs`` for the subclass.

    Raises
    ------
    NotImplementedError
        for another mode.
    KeyError
        for a cache that is not known.
    """

    DEFAULT_BLOCK_SIZE: ClassVar[int] = 5 * 2**20
    _details: dict[str, Any] | None = None
    _fork_generation: int

    loc: int
    start: int | None
    end: int | None
    # attributes of files being read only, or written only
    cache: Any
    size: Any
    buffer: Any
    offset: int | None
    forced: bool
    location: Any
    _closed = True  # until constructed
    _fsspec_given_up_upload: GivenUp | None = None
    _fsspec_closed_by_transaction = False
    _fsspec_made_at_open = False  # on its server, which then refuses in mode "x" where there is one

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        # here, since not every subclass calls __init__
        own(self)
        if not is_ours(cls):
            hooks.register(self)
        return self

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = "default",
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.path = path
        self.fs: Any = fs
        self.mode = mode
        self.blocksize: Any = self.DEFAULT_BLOCK_SIZE  # a number; other packages pass any
        if block_size not in ("default", None):
            self.blocksize = as_block_size(block_size)
        self.loc = 0
        self.autocommit = autocommit
        self.start = self.end = None
        self.closed = False
        if "trim" in kwargs:
            import warnings

            warnings.warn(
                "'trim' as an argument of a file is deprecated, use cache_options={'trim': ...} instead",
                FutureWarning,
                stacklevel=2,
            )
            cache_options = {**(cache_options or {}), "trim": kwargs.pop("trim")}
        self.kwargs = kwargs
        if mode not in _MODES:
            self.closed = True
            raise NotImplementedError(
                f"File mode not supported: {mode!r} of {redact_url(path)!r}; files are opened as"
                f" {', '.join(_MODES)}"
            )
        if mode == "rb":
            try:
                self.size = size_in(fs, self.details) if size is None else size
                if type(size := self.size) is str and type(self).read in _THROUGH_CACHE:
                    refuse_textual(self, size)
                self.cache = make_cache(
                    cache_type, cache_options or {}, self.blocksize, self._fetch_range, self.size
                )
            except BaseException:
                self.closed = True  # there is nothing to close
                raise
        else:
            self.buffer = io.BytesIO()
            self.offset = None
            self.forced = False
            self.location = None
            if is_ours(type(self)):
                hooks.register(self)

    # what it is

    @property
    def closed(self) -> bool:
        """Whether it was closed; an object whose construction failed counts as closed."""
        return self._closed

    @closed.setter
    def closed(self, value: bool) -> None:
        self._closed = value

    @property
    def details(self) -> dict[str, Any]:
        """The file's entry in its filesystem; asked for once. Setting it sets the size."""
        found = self._details
        if found is None:
            found = self._details = self.fs.info(self.path)
        return found

    @details.setter
    def details(self, value: dict[str, Any]) -> None:
        self._details = value
        self.size = value["size"]

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return str(self.fs.unstrip_protocol(self.path))

    def info(self) -> dict[str, Any]:
        """The file's entry in its filesystem.

        Raises
        ------
        ValueError
            if it is being written.
        """
        if self.mode != "rb":
            raise ValueError(f"Info not available while writing {redact_url(self.path)!r}")
        return self.details

    def readable(self) -> bool:
        """Whether it was opened to be read, and is open."""
        return self.mode == "rb" and not self.closed

    def seekable(self) -> bool:
        """Whether the position can be moved: in all files that are read."""
        return self.readable()

    def writable(self) -> bool:
        """Whether it was opened to be written, and is open."""
        return self.mode in ("wb", "ab", "xb") and not self.closed

    def __hash__(self) -> int:
        if self.mode != "rb":
            return id(self)
        from fsspec.utils import tokenize

        return int(tokenize(self.details), 16)

    def __eq__(self, other: object) -> bool:
        """Equal are files that are read and have the same details."""
        if self is other:
            return True
        return isinstance(other, type(self)) and self.mode == other.mode == "rb" and hash(self) == hash(other)

    def __repr__(self) -> str:
        return f"<File-like object {type(self.fs).__name__}, {redact_url(self.path)}>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        if self.mode != "rb":
            raise RuntimeError(
                f"{redact_url(self.path)!r} is open for writing: only files that are read can be pickled"
            )
        cache = "none" if self.cache is None else self.cache.name
        how = self.mode, self.blocksize, self.loc, self.size, self.autocommit, cache, self.kwargs
        return reopen, (self.fs, self.path, *how)

    def __enter__(self) -> Self:
        return self  # also if closed, unlike files of io: only the use of a closed file raises

    def __exit__(self, *args: Any) -> None:
        if self._fsspec_given_up_upload is None or not self.closed:
            self.close()

    # reading

    def tell(self) -> int:
        """The position, in bytes from the beginning."""
        return self.loc

    def seek(self, loc: int, whence: int = 0) -> int:
        """Move the position; nothing is fetched.

        Parameters
        ----------
        loc
            bytes, from what ``whence`` says: 0 the beginning, 1 the position, 2 the end.

        Returns
        -------
        int
            the new position, which may lie past the end.

        Raises
        ------
        OSError
            if the file is being written.
        ValueError
            for a position before the beginning, or another ``whence``.
        """
        if self.mode != "rb":
            raise OSError(errno.ESPIPE, "Seek only available in read mode", redact_url(self.path))
        loc = int(loc)
        if whence == 1:
            loc += self.loc
        elif whence == 2:
            loc += self.size
        elif whence != 0:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if loc < 0:
            raise ValueError(f"Seek before start of file {redact_url(self.path)!r}")
        self.loc = loc
        return loc

    def _fsspec_check_readable(self) -> None:
        if self.mode != "rb":
            raise io.UnsupportedOperation("File not in read mode")
        if self.closed:
            refuse_without_init(self)
            raise ValueError("I/O operation on closed file.")

    def read(self, length: int | None = -1) -> bytes:
        """Up to ``length`` bytes, fewer only at the end of the file; all that is left if negative or None.

        Raises
        ------
        ValueError
            if the file is closed or being written.
        OSError
            if the store has less than the file's size says.
        """
        if self.mode != "rb" or self.closed:
            self._fsspec_check_readable()
        loc = self.loc
        if length is None or length < 0:
            end = self.size
            if end is not None and end <= loc:
                return b""
        elif length == 0:
            return b""
        else:
            end = loc + int(length)
        try:
            out: bytes = self.cache._fetch(loc, end)
        except ForkError as error:
            raise self._fsspec_with_file_name(error) from None
        except TypeError:
            refuse_unawaited(self)
            raise
        self.loc = loc + len(out)
        return out

    def _fsspec_with_file_name(self, error: ForkError) -> ForkError:
        """The `ForkError` of the filesystem, with the path of the file that is read."""
        if error.advice is not None or error.owner_pid < 0:
            return error
        return ForkError(f"open file {redact_url(self.path)!r} of {error.what}", error.owner_pid, error.pid)

    def readinto(self, b: WriteableBuffer) -> int:
        """Fill a buffer; how many bytes it took, fewer than it holds only at the end."""
        out = memoryview(b).cast("B")
        cache = getattr(self, "cache", None)
        if getattr(type(self), "read", None) not in _THROUGH_CACHE or not isinstance(cache, BaseCache):
            data = self.read(out.nbytes)
            out[: len(data)] = data
            return len(data)
        self._fsspec_check_readable()
        count = 0
        if out.nbytes:
            end = self.loc + out.nbytes
            try:  # a view of little costs more than a copy of it
                views = (
                    cache._fetch_views(self.loc, end) if out.nbytes > 2**16 else [cache._fetch(self.loc, end)]
                )
            except ForkError as error:
                raise self._fsspec_with_file_name(error) from None
            for piece in views:
                out[count : count + len(piece)] = piece
                count += len(piece)
            self.loc += count
        return count

    def readinto1(self, b: WriteableBuffer) -> int:
        """As `readinto`."""
        return self.readinto(b)

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """Bytes up to and including a separator, or all that is left if it does not occur.

        Parameters
        ----------
        char
            one or more bytes.
        blocks
            how many bytes to read at a time while looking for it, by default a block.
        """
        if getattr(type(self), "read", None) not in _THROUGH_CACHE:
            return read_until(self, char, blocks or self.blocksize)
        self._fsspec_check_readable()
        cache = getattr(self, "cache", None)
        held = cache._held_from(self.loc) if isinstance(cache, BaseCache) else None
        if held is None:
            return read_until(self, char, blocks or self.blocksize)
        block, at, stop = held
        found = block.find(char, at, stop)
        if found >= 0:
            out = bytes(block[at : found + len(char)])
            self.loc += len(out)
            return out
        self.loc += stop - at
        return read_until(self, char, blocks or self.blocksize, block[at:stop])

    def readline(self, size: int | None = -1) -> bytes:
        """The next line with its end, at most ``size`` bytes of it; empty at the end of the file."""
        line = self.readuntil()
        if size is not None and 0 <= size < len(line):
            self.seek(size - len(line), 1)
            line = line[:size]
        return line

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines that are left, at least ``hint`` bytes of them if that is positive."""
        if hint is not None and hint > 0:
            return super().readlines(hint)
        data = self.read()
        lines = data.split(b"\n")
        last = lines.pop()
        return [line + b"\n" for line in lines] + ([last] if last else [])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _fetch_range(self, start: int, end: int) -> Any:  # a coroutine in `AbstractAsyncStreamedFile`
        """Bytes ``start`` up to ``end`` of the file, one request. For subclasses."""
        try:
            return cast("bytes", self.fs.cat_file(self.path, start=start, end=end))
        except RecursionError:
            if not is_asked_by_itself(self):
                raise
        raise lacking(self, "read", "_fetch_range", "cat_file")

    # writing

    @default
    def write(self, data: ReadableBuffer) -> int:
        """Add bytes to the buffer; what is in it is uploaded once it holds a block.

        Returns
        -------
        int
            how many bytes were taken: all.

        Raises
        ------
        ValueError
            if the file is closed, being read, or was flushed with ``force``.
        """
        check_writable(self)
        count = self._fsspec_put_in_buffer(data)
        if self.buffer.tell() >= self.blocksize:
            self.flush()
        return count

    def _fsspec_put_in_buffer(self, data: ReadableBuffer) -> int:
        buffer = self.buffer
        before = buffer.tell()
        try:
            count: int = buffer.write(data)
        finally:  # also if an interrupt came when it returned
            self.loc += buffer.tell() - before
        return count

    @default
    def flush(self, force: bool = False) -> None:
        """Upload what the buffer holds, if that is a block at least.

        Parameters
        ----------
        force
            upload whatever there is as the last part; after that the file can only be
            closed.
        """
        drive(self, flushing(self, force))

    def close(self) -> None:
        """Upload what is left and finish; closing again does nothing.

        If it is interrupted or fails, closing again sends the file again, if no part was sent before.

        Raises
        ------
        OSError
            if the upload was given up by a flush and cannot be sent again.
        """
        if self._closed or self.mode != "rb" or getattr(self, "_unclosable", False):
            drive(self, closing(self))
        else:
            end_reading(self)

    def _initiate_upload(self) -> Any:  # a coroutine in `AbstractAsyncStreamedFile`
        """Begin to write: called once, before the first part. For subclasses.

        With mode "ab" the upload has to begin with the contents of the existing file, which ``buffer`` does
        not hold.
        """

    def _upload_chunk(self, final: bool = False) -> Any:  # a coroutine in `AbstractAsyncStreamedFile`
        """Upload what ``buffer`` holds. For subclasses.

        ``self.buffer`` is an `io.BytesIO` with what was written since the last part:
        ``self.buffer.getvalue()``. It holds at least ``blocksize`` bytes, except for the last part, which
        may be empty, and for what ``flush(force=True)`` asks for.

        By default all data is kept until the file is closed, and passed to the filesystem's own
        ``pipe_file``. If it has none, and the class of the file nothing that may have taken it elsewhere,
        data raises NotImplementedError.

        Parameters
        ----------
        final
            it is the last part: finish the upload, and commit if ``autocommit``.

        Returns
        -------
        bool or None
            False if the buffer was emptied, or is to stay; otherwise it is replaced.
        """
        if not self._fsspec_is_piped():
            refuse_loss(self)
            return None
        if final:
            refuse_endless(self, pipe_buffer)
            if self.autocommit:
                self._fsspec_pipe_buffer()
        return False

    def _fsspec_is_piped(self) -> bool:
        buffer = getattr(self, "buffer", None)
        own_upload = type(self)._upload_chunk is not AbstractBufferedFile._upload_chunk
        if buffer is None or own_upload or own_pipe(self.fs) is None:
            return False
        own_write = type(self).write is not AbstractBufferedFile.write  # it may write elsewhere
        return not own_write or buffer.tell() > 0

    def _fsspec_pipe_buffer(self) -> None:
        """Write ``buffer`` as the whole file, in mode "a" after its former content."""
        pipe_buffer(self)

    def commit(self) -> Any:  # a coroutine in `AbstractAsyncStreamedFile`
        """Make what was written visible, if ``autocommit`` is off. For subclasses."""
        if self._fsspec_is_piped():
            self._fsspec_pipe_buffer()

    def discard(self) -> Any:  # a coroutine in `AbstractAsyncStreamedFile`
        """Give up what was written, if ``autocommit`` is off. For subclasses."""

    # after a fork

    def _after_fork_in_child(self) -> None:
        if is_ours(type(self)):  # registered only if opened for writing
            assign(self, inherited(type(self)))
            object.__setattr__(self, "_closed", True)
            return
        state = object.__getattribute__(self, "__dict__")
        if state.get("_closed") is not True and "fs" in state:
            inherit(self, state.get("mode"))


_THROUGH_CACHE = {AbstractBufferedFile.read}
"""The ``read`` methods that read at ``loc`` through ``cache``; others may read from elsewhere."""


def through_cache(read: _Read) -> _Read:
    """Mark a ``read`` of a subclass that does no more than the one of `AbstractBufferedFile`."""
    _THROUGH_CACHE.add(read)
    return read


def reopen(
    fs: AbstractFileSystem,
    path: str,
    mode: str,
    blocksize: int,
    loc: int,
    size: int | None,
    autocommit: bool,
    cache_type: str,
    kwargs: Options,
) -> IO[bytes]:
    """Restore a file from its pickle: opened again, at its position."""
    how: dict[str, Any] = {"size": size, "autocommit": autocommit, "cache_type": cache_type}
    again = fs.open(path, mode, block_size=blocksize, **how, **kwargs)
    if loc > 0:
        again.seek(loc)
    return again
