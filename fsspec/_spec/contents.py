"""Reading and writing whole contents of one file.

Everything here goes through ``open`` of the filesystem (or what the backend overrides)
and holds no state.  What is downloaded appears under its name only when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from fsspec._files.replacing import make_folder_of, replacing
from fsspec._overriding import default, is_built_in, is_default, mirrored, supported
from fsspec._paths.paths import local_side
from fsspec._paths.ranges import as_view, check_limits, file_size
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans import drive, listing
from fsspec.callbacks import DEFAULT_CALLBACK, Callback, for_file
from fsspec.utils import isfilelike, read_block

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from fsspec._paths.types import BinaryReader, BinaryWriter, Options, Progress, StrPath


def checks_file_version(fs: object) -> bool:
    """Whether files of a filesystem raise if bytes belong to another version than their ``details`` say.

    Those of s3fs ask so, with ``If-Match``; its ``cat_file`` does not. A folder opens what is in it.
    """
    # by what it has: a cache answers for the filesystem that it caches
    return "local_expiry_check" in vars(filesystem_of_folder(fs))


def filesystem_of_folder(fs: Any) -> Any:
    """The filesystem in which the folders of ``dir`` lie; a filesystem of another kind as it is."""
    while {"fs", "path"} <= vars(fs).keys():
        fs = fs.fs
    return fs


class Contents:
    """The methods of `AbstractFileSystem` that move the contents of one file."""

    if TYPE_CHECKING:
        async_impl: bool
        blocksize: int
        isdir: Callable[..., bool]
        makedirs: Callable[..., None]
        mkdirs: Callable[..., None]
        open: Callable[..., IO[bytes]]
        exists: Callable[..., bool]
        _parent: Callable[[str], str]
        _strip_protocol: Callable[..., str]

    _fsspec_change_advice: ClassVar[str] = ""
    """Why a backend does not remove, move and copy, and the way out, if none does."""

    # reading ----------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of one file, or a part of them.

        Parameters
        ----------
        path
            the file
        start, end
            as in a slice: what is negative counts from the end of the file
        **kwargs
            for `open`

        Returns
        -------
        bytes
            empty if the part lies past the end, or ends before it starts
        """
        check_limits(path, start, end)
        with self.open(path, "rb", **kwargs) as f:
            begin, moved = start or 0, False
            counted = begin < 0 or (end is not None and end < 0)
            seekable = not hasattr(f, "seekable") or f.seekable()
            if (begin or counted) and getattr(f, "size", None) is None and not seekable:
                return f.read(-1 if counted or end is None else end)[start:end]  # read as it arrives
            if counted:
                size, moved = _size(f), True
                begin = max(0, size + begin) if begin < 0 else begin
                end = max(0, size + end) if end is not None and end < 0 else end
            if end is not None and end <= begin:
                return b""
            if begin or moved:
                f.seek(begin)
            return f.read() if end is None else f.read(end - begin)

    def read_text(
        self,
        path: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **kwargs: Any,
    ) -> str:
        """The text of one file.

        Parameters
        ----------
        encoding, errors, newline
            as for the built-in ``open``
        **kwargs
            for `open`
        """
        text = self._fsspec_text_options(encoding, errors, newline)
        with self.open(path, mode="r", **text, **kwargs) as f:
            return cast("IO[str]", f).read()

    def _fsspec_text_options(
        self, encoding: str | None, errors: str | None, newline: str | None
    ) -> dict[str, Any]:
        """The text options for `open`: all of them, or only those that are set if `open` is overridden."""
        options = {"encoding": encoding, "errors": errors, "newline": newline}
        if is_default(self.open):
            return options
        return supported(self, "open", options, [name for name, value in options.items() if value is None])

    def head(self, path: str, size: int = 1024) -> bytes:
        """The first bytes of a file.

        Parameters
        ----------
        path
            the file
        size
            how many bytes; fewer come of a file that is shorter
        """
        with self.open(path, "rb") as f:
            return f.read(size)

    def tail(self, path: str, size: int = 1024) -> bytes:
        """The last bytes of a file.

        Parameters
        ----------
        path
            the file; one that is read as it arrives is fetched whole
        size
            how many bytes; fewer come of a file that is shorter
        """
        with self.open(path, "rb") as f:
            if getattr(f, "size", None) is None and not f.seekable():  # read as it arrives
                return f.read()[-size:] if size > 0 else b""
            f.seek(max(0, _size(f) - size))
            return f.read()

    def read_block(self, fn: str, offset: int, length: int | None, delimiter: bytes | None = None) -> bytes:
        """A part of a file, moved to where records begin.

        Parameters
        ----------
        fn
            the file
        offset, length
            where the part begins and its bytes; None is all that follows
        delimiter
            what ends a record: the part begins after the first one at or after
            ``offset`` (not for 0) and ends after the first one at or after its end, so
            that parts side by side give each record once
        """
        with self.open(fn, "rb") as f:
            if getattr(f, "size", None) is not None or f.seekable():
                size = _size(f)
                if length is None or offset + length > size:
                    length = max(0, size - offset)
            return read_block(f, offset, length, delimiter)

    # writing ----------------------------------------------------------------------
    @default
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Make a file of bytes.

        Parameters
        ----------
        path
            the file
        value
            its bytes
        mode
            ``"overwrite"``, or ``"create"`` if it must not exist
        **kwargs
            for `open`

        Raises
        ------
        FileExistsError
            if it exists, with ``mode="create"``
        """
        if mode == "create" and self._fsspec_is_taken(path):
            raise FileExistsError(redact_paths(path))
        as_view(path, value).release()  # what cannot be written does not begin a file, nor empty one
        with self.open(path, "wb", **kwargs) as f:
            f.write(value)

    def _fsspec_is_taken(self, path: str) -> bool:
        """Like `exists`, but a failure is raised: it must not lead to an overwritten file."""
        if self.async_impl and not (mirrored(self.exists) or is_built_in(self.exists)):
            return bool(self.exists(path))  # a blocking one of its own, which the awaitable one does not know
        return drive(self, listing.ask(self, "exists", [path]))[0]

    def write_text(
        self,
        path: str,
        value: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **kwargs: Any,
    ) -> int:
        """Make a file of text.

        Parameters
        ----------
        path
            the file
        value
            its text
        encoding, errors, newline
            as for the built-in ``open``
        **kwargs
            for `open`

        Returns
        -------
        int
            the characters written
        """
        text = self._fsspec_text_options(encoding, errors, newline)
        with self.open(path, mode="w", **text, **kwargs) as f:
            return cast("IO[str]", f).write(value)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty file.

        Parameters
        ----------
        path
            the file
        truncate
            empty it if it exists
        **kwargs
            for `open`

        Raises
        ------
        NotImplementedError
            if it exists and is not to be emptied: only some backends can set its time
        """
        if truncate or not self._fsspec_is_taken(path):
            with self.open(path, "wb", **kwargs):
                pass
        else:
            raise NotImplementedError(f"{type(self).__name__} cannot set the time of {redact_url(path)!r}")

    # from and to this machine -----------------------------------------------------
    def get_file(
        self,
        rpath: str,
        lpath: StrPath | IO[bytes] | None = None,
        callback: Progress = DEFAULT_CALLBACK,
        outfile: IO[bytes] | None = None,
        **kwargs: Any,
    ) -> None:
        """Download one file.

        Parameters
        ----------
        rpath
            the file; for a folder only a folder is made
        lpath
            where to, or a binary file object to write to
        callback
            gets the size and the bytes as they come
        outfile
            the file object, instead of ``lpath``; it stays open
        **kwargs
            for `open`

        Raises
        ------
        FileNotFoundError
            if there is no such file. ``lpath`` is then as it was before, as it is
            after any other failure; its folder exists.
        """
        callback = for_file(callback, rpath)
        if isfilelike(lpath):
            outfile = lpath
        if outfile is None:
            if lpath is None:
                raise TypeError(f"get_file({rpath!r}) needs a path or a file object to write to")
            local = os.fspath(local_side(lpath))
            if self.isdir(rpath):
                os.makedirs(local, exist_ok=True)
                return
            make_folder_of(local)
        with self.open(rpath, "rb", **kwargs) as source:
            if outfile is not None:
                self._fsspec_copy_out(source, outfile, callback)
                return
            with replacing(local) as target:
                self._fsspec_copy_out(source, target, callback)

    def _fsspec_copy_out(self, source: BinaryReader, target: BinaryWriter, callback: Callback) -> None:
        size = getattr(source, "size", None)
        callback.set_size(size)
        done = 0
        while True:
            data = source.read(self.blocksize)
            target.write(data)
            done += len(data)
            callback.relative_update(len(data))  # by nothing at the end
            if not data:
                break
        if size and done < size:
            name = getattr(source, "path", source)
            raise OSError(
                f"{type(self).__name__}: {redact_url(name)!r} ended after {done} of {size} bytes; try again"
            )

    def put_file(
        self,
        lpath: StrPath,
        rpath: str,
        callback: Progress = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Upload one file.

        Parameters
        ----------
        lpath
            the file on this machine; for a folder only a folder is made
        rpath
            where to
        callback
            gets the size and the bytes as they go
        mode
            ``"overwrite"``, or ``"create"`` if it must not exist
        **kwargs
            for `open`

        Raises
        ------
        FileExistsError
            if it exists, with ``mode="create"``
        """
        callback = for_file(callback, rpath)
        if mode == "create" and self._fsspec_is_taken(rpath):
            raise FileExistsError(redact_paths(rpath))
        lpath = local_side(lpath)
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        with open(lpath, "rb", buffering=0) as source:
            callback.set_size(os.fstat(source.fileno()).st_size)
            self.mkdirs(self._parent(os.fspath(rpath)), exist_ok=True)
            with self._fsspec_open_upload(rpath, kwargs) as target:
                for data in parts_of(source, self.blocksize):
                    written = target.write(data)
                    callback.relative_update(len(data) if written is None else written)

    def _fsspec_open_upload(self, path: str, kwargs: Options) -> AbstractContextManager[IO[Any]]:
        """The file that `put_file` writes to."""
        return self.open(path, "wb", **kwargs)

    # copying ----------------------------------------------------------------------
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one file within the filesystem; what a backend brings for `copy`."""
        self._fsspec_refuse_change("copy", path1, "cp_file")

    def _fsspec_refuse_change(self, act: str, path: str, method: str) -> NoReturn:
        """Raise NotImplementedError: the backend cannot do ``act``, for which it has no ``method``."""
        why = self._fsspec_change_advice or f"it has no {method} of its own"
        way_out = "; get files and put them" if act == "copy" and not self._fsspec_change_advice else ""
        raise NotImplementedError(f"{type(self).__name__} cannot {act} {redact_url(path)!r}: {why}{way_out}")


def parts_of(source: io.FileIO, size: int) -> Iterator[bytes]:
    """The parts of a local file, opened without a buffer.

    A child that is forked meanwhile, by a callback for instance, shares the position in the open file:
    therefore parts are read at explicit positions, except from a pipe, which has none.
    """
    at, positioned = 0, hasattr(os, "pread") and source.seekable()
    if not os.fstat(source.fileno()).st_size:
        size = min(size, 2**16)  # some files of /proc give no larger parts
    while data := os.pread(source.fileno(), size, at) if positioned else source.read(size):
        at += len(data)
        yield data


def _size(f: IO[bytes]) -> int:
    """The bytes of an open file."""
    size = getattr(f, "size", None)
    return file_size(f) if size is None or callable(size) else cast("int", size)
