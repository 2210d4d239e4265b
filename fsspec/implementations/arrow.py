"""Filesystems of pyarrow as filesystems of this package, HDFS above all.

What pyarrow has connections for (S3, GCS, Azure, HDFS with its Java machine) lives in
libraries that cannot be used in a forked child, whatever is reset: such an instance and its
files raise `ForkError` there.  Those over this machine's files and over memory work on, and
a file that is read keeps a position of its own, which no other process moves.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import IO, TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from fsspec._fork import hooks
from fsspec._fork.owned import owner_pid, refuse
from fsspec._overriding import unless_patched
from fsspec._paths.paths import hidden_name
from fsspec._plans.globbing import has_magic
from fsspec.exceptions import ForkError
from fsspec.registry import known_implementations
from fsspec.spec import AbstractFileSystem
from fsspec.utils import get_package_version_without_import, infer_storage_options, mirror_from, tokenize

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow.fs
    from _typeshed import WriteableBuffer

    from fsspec._paths.types import Depth, PathOrPaths, StrPath, StrPaths, T


__all__ = ["ArrowFSWrapper", "ArrowFile", "HadoopFileSystem", "PYARROW_VERSION", "wrap_exceptions"]

PYARROW_VERSION = get_package_version_without_import("pyarrow")

_HERE = ("local", "mock")
"""Types of pyarrow's filesystems that have no connections."""
_ADVICE = "Libraries below pyarrow do not survive a fork; make it in the child, or start processes by spawn"


def wrap_exceptions(func: Callable[..., T]) -> Callable[..., T]:
    """Raise an OSError that says that something does not exist as FileNotFoundError."""

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> T:
        try:
            return func(*args, **kwargs)
        except OSError as error:
            text = str(error.args[0]) if error.args else ""
            if type(error) is OSError and ("does not exist" in text or "not found" in text.lower()):
                raise FileNotFoundError(errno.ENOENT, text) from error
            raise

    return wrapper


class _OfInstance(property):
    """A property that is text on the class too, if nothing is known of an instance."""

    def __get__(self, obj: object, owner: type | None = None) -> Any:
        return "arrow" if obj is None else super().__get__(obj, owner)


class ArrowFSWrapper(AbstractFileSystem):
    """A filesystem of pyarrow.

    Parameters
    ----------
    fs
        a ``pyarrow.fs.FileSystem``
    **kwargs
        as for `AbstractFileSystem`
    """

    root_marker = "/"
    _fsspec_lists_files = True
    _fsspec_only_transactions_wait: ClassVar[bool] = True

    def __init__(self, fs: pyarrow.fs.FileSystem, **kwargs: Any) -> None:
        self.fs = fs
        super().__init__(**kwargs)
        if self.fs.type_name not in _HERE:
            hooks.register(self)

    def _revive(self, before: dict[str, Any]) -> None:
        refuse(self, f"{type(self).__name__} over {before['fs']!r}", _ADVICE)

    @_OfInstance
    def protocol(self) -> str:
        """What pyarrow calls the kind of its filesystem: "local", "s3", "hdfs", ..."""
        return str(self.fs.type_name)

    @property
    def fsid(self) -> str:
        """The kind of filesystem and a digest of what pyarrow knows of its place.

        Raises NotImplementedError if it is in memory.
        """
        try:
            known = self.fs.__reduce__()[1:]
        except TypeError:
            return super().fsid
        return f"{self.fs.type_name}_{tokenize(known)}"

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        return str(infer_storage_options(path)["path"])  # a slash at its end stays, as in pyarrow's own paths

    @classmethod
    def _plain_path(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        return path.rstrip("/") or path[:1]

    def _parent(self, path: str) -> str:
        return "/" + self._strip_protocol(path).rpartition("/")[0].lstrip("/")

    # reading ---------------------------------------------------------------------
    def _file_info(self, path: str) -> pyarrow.fs.FileInfo | None:
        from pyarrow.fs import FileType

        info = self.fs.get_file_info(path)
        return None if info.type is FileType.NotFound else info

    @staticmethod
    def _described_entry(info: pyarrow.fs.FileInfo) -> dict[str, Any]:
        from pyarrow.fs import FileType

        kinds = {FileType.Directory: "directory", FileType.File: "file"}
        return {
            "name": info.path,
            "size": info.size,
            "type": kinds.get(info.type, "other"),
            "mtime": info.mtime,
        }

    def ls(self, path: str, detail: bool = False, **kwargs: Any) -> list[Any]:
        from pyarrow.fs import FileSelector

        path = self._strip_protocol(path)
        entry = self.info(path)
        if entry["type"] == "directory":
            entries = [self._described_entry(info) for info in self.fs.get_file_info(FileSelector(path))]
        else:
            entries = [entry]
        return entries if detail else [each["name"] for each in entries]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        info = self._file_info(path)
        if info is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._described_entry(info)

    def exists(self, path: str) -> bool:
        return self._file_info(self._strip_protocol(path)) is not None

    def modified(self, path: str) -> datetime:
        return cast("datetime", self.info(path)["mtime"])

    # whole files ------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        seekable = bool(start) or (end or 0) < 0
        return super().cat_file(path, start, end, **{"seekable": seekable, **kwargs})

    def get_file(self, rpath: str, lpath: StrPath | IO[bytes], **kwargs: Any) -> None:
        super().get_file(rpath, lpath, **kwargs)

    @wrap_exceptions
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file; the copy has its name once it is whole, and folders on the way are made."""
        path1, path2 = self._plain_path(path1), self._plain_path(path2)
        if self.isdir(path1):
            self.makedirs(path2, exist_ok=True)
            return
        partial = hidden_name(path2)
        with self._open(path1, "rb", seekable=False) as source, self._removing_partial(partial):
            try:
                target = self.fs.open_output_stream(partial)
            except FileNotFoundError:
                self.fs.create_dir(self._parent(path2), recursive=True)
                target = self.fs.open_output_stream(partial)
            with target:
                shutil.copyfileobj(source, target, self.blocksize)
            self.fs.move(partial, path2)

    @contextmanager
    def _removing_partial(self, partial: str) -> Iterator[None]:
        """If the block fails or is interrupted, remove what it was writing."""
        try:
            yield
        except BaseException:  # an interrupt, too, leaves no part
            if self._file_info(partial) is not None:
                self.fs.delete_file(partial)
            raise

    @wrap_exceptions
    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Move a file, or a folder as a whole."""
        self.fs.move(self._plain_path(path1), self._plain_path(path2))

    # making and removing ----------------------------------------------------------
    @wrap_exceptions
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        self.fs.create_dir(self._plain_path(path), recursive=create_parents)

    @wrap_exceptions
    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.fs.create_dir(self._plain_path(path), recursive=True)  # whatever ``exist_ok`` says, as upstream

    @wrap_exceptions
    def rmdir(self, path: str) -> None:
        path = self._plain_path(path)
        if self.ls(path):  # pyarrow would remove what is in it
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        self.fs.delete_dir(path)

    @wrap_exceptions
    def rm_file(self, path: str) -> None:
        self.fs.delete_file(self._plain_path(path))

    @unless_patched
    def _rm(self, path: str) -> None:
        self.rm(path)

    @wrap_exceptions
    def rm(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        if maxdepth is None and isinstance(path, str) and not has_magic(path):
            paths = [self._plain_path(path)]
        else:
            paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        folders = {p for p in paths if self.isdir(p)}
        if folders and not recursive:  # before anything is removed
            raise ValueError(
                f"{min(folders)!r} is a folder. Cannot delete directory, set recursive=True to remove it with"
                " all that is in it"
            )
        for p in reversed(paths):  # what is in a folder before the folder
            if p not in folders:
                if len(paths) == 1 or self._fsspec_is_taken(p):
                    self.fs.delete_file(p)
            elif maxdepth is None or not self.ls(p):
                self.fs.delete_dir(p)

    # opening ----------------------------------------------------------------------
    @wrap_exceptions
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        seekable: bool = True,
        autocommit: bool = True,
        **kwargs: Any,
    ) -> ArrowFile:
        """A file of pyarrow. ``seekable``: if false, one that is read can only be read from its beginning to
        its end."""
        if mode == "xb" and self._fsspec_is_taken(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if mode in ("wb", "xb") and not autocommit:
            partial = hidden_name(path)
            with self._removing_partial(partial):
                stream: Any = self.fs.open_output_stream(partial, compression=None)
                return ArrowFile(self, stream, path, mode, block_size, written_to=partial, **kwargs)
        if mode == "rb" and seekable:
            stream = _Reader(self.fs.open_input_file(path))
        elif mode == "rb":
            stream = self.fs.open_input_stream(path, compression=None)
        elif mode in ("wb", "xb"):
            stream = self.fs.open_output_stream(path, compression=None)
        elif mode == "ab" and autocommit:
            stream = self.fs.open_append_stream(path, compression=None)
        else:
            raise ValueError(f"{path!r}: modes are rb, wb, xb, and outside of transactions ab; not {mode}")
        return ArrowFile(self, stream, path, mode, block_size, **kwargs)


class _Reader:
    """A file of pyarrow that is read by position: a forked child shares none."""

    def __init__(self, stream: pyarrow.NativeFile) -> None:
        self.stream = stream
        self.loc = 0

    def read(self, nbytes: int | None = -1) -> bytes:
        if nbytes is None or nbytes < 0:
            nbytes = max(0, self.stream.size() - self.loc)
        data: bytes = self.stream.read_at(nbytes, self.loc)
        self.loc += len(data)
        return data

    def readinto(self, b: WriteableBuffer) -> int:
        out = memoryview(b).cast("B")
        data = self.read(out.nbytes)
        out[: len(data)] = data
        return len(data)

    def seek(self, position: int, whence: int = 0) -> int:
        if whence not in (0, 1, 2):
            raise ValueError(f"whence is 0, 1 or 2, not {whence!r}")
        start = (0, self.loc, self.stream.size())[whence]
        if start + position < 0:
            from pyarrow import ArrowInvalid  # a ValueError; loaded, or there was no stream

            raise ArrowInvalid("a file has no bytes before its beginning")
        self.loc = start + position
        return self.loc

    def tell(self) -> int:
        if self.stream.closed:
            raise ValueError("I/O operation on closed file.")
        return self.loc

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Gone:
    """What a file has in a forked child in place of a stream that is the parent's."""

    closed = True

    def __init__(self, file: object) -> None:
        self.what = repr(file)
        self.owner_pid = owner_pid(file)  # in grandchildren as well

    def close(self) -> None:
        pass

    flush = close

    def _refuse_use(self, *args: Any) -> NoReturn:
        raise ForkError(self.what, self.owner_pid, advice=_ADVICE)

    read = readinto = seek = size = tell = write = readable = writable = seekable = _refuse_use


@mirror_from("stream", "close closed flush read readable readinto seek seekable tell writable write".split())
class ArrowFile(io.IOBase):
    """A file of a filesystem of pyarrow.

    Parameters
    ----------
    fs
        the `ArrowFSWrapper`
    stream
        the file as pyarrow opened it
    path, mode, block_size
        what it was opened by
    written_to
        where it is written until it is committed, if that is another path
    """

    def __init__(
        self,
        fs: pyarrow.fs.FileSystem | AbstractFileSystem,
        stream: pyarrow.NativeFile,
        path: str,
        mode: str,
        block_size: int | None = None,
        written_to: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.fs: Any = fs
        self.stream: Any = stream
        self.path = path
        self.mode = mode
        self.kwargs = kwargs
        self.block_size = block_size
        self.blocksize = block_size
        self._written_to = written_to or path
        hooks.register(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}, mode {self.mode!r}>"

    def __enter__(self) -> ArrowFile:
        return self

    def __exit__(self, *args: Any) -> None:
        self.close()

    @property
    def size(self) -> int | None:
        """Bytes; None of a file that is written, or read from its beginning to its end only."""
        readable = "r" in self.mode and self.stream.seekable()
        return self.stream.size() if readable else None

    def commit(self) -> None:
        if self._written_to != self.path:
            self.close()
            self.fs.fs.move(self._written_to, self.path)

    def discard(self) -> None:
        if self._written_to != self.path and self.fs._file_info(self._written_to) is not None:
            self.fs.fs.delete_file(self._written_to)

    def _after_fork_in_child(self) -> None:
        stream = self.stream
        fs = object.__getattribute__(self.fs, "__dict__")["fs"]  # to touch the instance is to use it
        if isinstance(stream, _Reader) and fs.type_name in _HERE:
            return
        hooks.immortalize(stream)
        self.stream = _Gone(self)


class HadoopFileSystem(ArrowFSWrapper):
    """HDFS by libhdfs, which needs Java and Hadoop's own settings (``CLASSPATH`` and so on).

    Parameters
    ----------
    host
        the namenode; "default" is that of Hadoop's settings
    port
        0 for that of the settings
    user
        who to act as
    kerb_ticket
        the path of a Kerberos ticket cache
    replication
        how many copies of each block of a file that is written
    extra_conf
        further settings of Hadoop
    **kwargs
        as for `AbstractFileSystem`
    """

    protocol: ClassVar[str | tuple[str, ...]] = "hdfs"

    def __init__(
        self,
        host: str = "default",
        port: int = 0,
        user: str | None = None,
        kerb_ticket: str | None = None,
        replication: int = 3,
        extra_conf: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            from pyarrow.fs import HadoopFileSystem as Hadoop
        except ImportError as error:
            advice = known_implementations["hdfs"]["err"]
            raise type(error)(f"{advice} ({error})", name=error.name) from error
        self.host = host
        self.port = port
        how = {"user": user, "kerb_ticket": kerb_ticket, "replication": replication, "extra_conf": extra_conf}
        super().__init__(fs=Hadoop(host, port, **how), **kwargs)

    @property
    def fsid(self) -> str:
        """The word hdfs and a digest of the host and the port."""
        return f"hdfs_{tokenize(self.host, self.port)}"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        options = infer_storage_options(path)
        found = {name: options[name] for name in ("host", "port") if options.get(name)}
        if options.get("username"):
            found["user"] = options["username"]
        for name, _, value in (term.partition("=") for term in options.get("url_query", "").split("&")):
            if name == "replication":
                found[name] = int(value)
        return found
