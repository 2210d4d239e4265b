"""Files of this machine.

Paths are absolute, with forward slashes.  Listings come from `os.scandir` as it gives
them; a file is stat'ed only where its details are asked for.  In a listing a link to a folder
is no folder, so that walks, and whatever removes or copies a tree, stay within it; asked for
by its own path it is one.

Forks: a reader keeps its own position and reads with ``pread``, so that parent and child
never move each other's; what a writer has buffered belongs to the process that opened it,
and a child throws its copy away.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import os.path as osp
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache, partial
from typing import Any, NoReturn

from fsspec._files.replacing import link_new, replacing, write_whole
from fsspec._fork import hooks
from fsspec._fork.handles import is_letting_go, letting_go
from fsspec._paths.paths import trailing_sep
from fsspec._plans.globbing import has_magic
from fsspec.callbacks import Callback
from fsspec.compression import compr
from fsspec.exceptions import ForkError
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike, stringify_path

__all__ = ["AbstractFileSystem", "LocalFileOpener", "LocalFileSystem", "make_path_posix", "trailing_sep"]

logger = logging.getLogger("fsspec.local")

_BLOCK = 2**20
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
"""Errors that leave a folder out of a walk; any other one would make a tree smaller than it is."""
_WINDOWS = os.name == "nt"


def make_path_posix(path: Any) -> Any:
    """An absolute path with forward slashes, of a path of this machine.

    ``~`` is the user's folder; lists and other collections give such.
    """
    if not isinstance(path, str):
        if isinstance(path, (list, set, tuple)):
            return type(path)(map(make_path_posix, path))
        path = stringify_path(path)
        if not isinstance(path, str):
            raise TypeError(f"a path is needed, not {path!r}")
    if _WINDOWS:
        path = osp.abspath(osp.expanduser(path)) if not path.startswith("\\\\") else path
        return path.replace("\\", "/")
    if path.startswith("/"):
        return path
    if path.startswith("~"):
        return osp.expanduser(path)
    while path.startswith("./"):
        path = path[2:]
    here = os.getcwd()
    return here if path in ("", ".") else f"{here.rstrip('/')}/{path}"


class LocalFileSystem(AbstractFileSystem):
    """The filesystem of this machine.

    Parameters
    ----------
    auto_mkdir
        make the folder of a file that is written.
    atomic
        whether a file that is put, got, copied or piped as a whole is written under another
        name in the same folder (``.NAME.*.part``) and renamed when it is whole. By default where
        nobody can tell: not onto what is no plain file, has several names, is open elsewhere, or
        has another owner or access lists; always or never with True or False.
    """

    root_marker = "/"
    protocol = ("file", "local")
    local_file = True

    def __init__(self, auto_mkdir: bool = False, atomic: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.auto_mkdir = auto_mkdir
        self.atomic = atomic

    @property
    def fsid(self) -> str:
        """ "local" on every machine."""
        return "local"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        path = stringify_path(path)
        for prefix in ("file:", "local:"):
            if path.startswith(prefix):
                path = path[len(prefix) :]
                path = path[2:] if path.startswith("//") else path
                break
        path = make_path_posix(path)
        if not _WINDOWS:
            return path.rstrip("/") or cls.root_marker
        drive, rest = osp.splitdrive(path)
        return drive + (rest.rstrip("/") or "/")

    def unstrip_protocol(self, name: str) -> str:
        """A ``file://`` URL."""
        return f"file://{self._strip_protocol(name)}"

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        head = path.rpartition("/")[0]
        if _WINDOWS and head.endswith(":"):
            return head + "/"
        return head or cls.root_marker

    # entries -------------------------------------------------------------------------
    def ls(self, path: str, detail: bool = False, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        try:
            scan = os.scandir(path)
        except NotADirectoryError:
            entry = self.info(path)  # or there is nothing, below a file
            return [entry] if detail else [path]
        base = path.rstrip("/") + "/"
        with scan:
            if not detail:
                return [base + item.name for item in scan]
            return [self._entry(base + item.name, item) for item in scan]

    def _entry(self, path: str, item: Any = None) -> dict[str, Any]:
        """The entry of a path, or of what `os.scandir` gave for it: see the top of this module."""
        found = os.stat(path, follow_symlinks=False) if item is None else item.stat(follow_symlinks=False)
        is_link = stat.S_ISLNK(found.st_mode)
        target = None
        size = found.st_size
        mode = found.st_mode
        if is_link:
            target = os.readlink(path)
            try:
                behind = os.stat(path)
                size, mode = behind.st_size, behind.st_mode
            except OSError:
                size = 0
        kind = "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
        if is_link and item is not None and kind == "directory":
            kind = "other"
        entry = {
            "name": path,
            "size": size,
            "type": kind,
            "created": found.st_ctime,
            "islink": is_link,
        }
        for field in ("mode", "uid", "gid", "mtime", "ino", "nlink"):
            entry[field] = getattr(found, f"st_{field}")
        if is_link:
            entry["destination"] = target
        return entry

    def info(self, path: Any, **kwargs: Any) -> dict[str, Any]:
        item = path if isinstance(path, os.DirEntry) else None
        stripped = self._strip_protocol(path.path if item is not None else path)
        entry = self._entry(stripped, item)
        if item is None and entry["islink"] and entry["type"] == "other" and not osp.exists(stripped):
            raise FileNotFoundError(2, "the link leads nowhere", stripped)
        return entry

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        if maxdepth is not None or kwargs or type(self) is not LocalFileSystem:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **kwargs)
        path = self._strip_protocol(path)
        out: dict[str, Any] = {}
        todo = [path]
        while todo:
            folder = todo.pop()
            try:
                scan = os.scandir(folder)
            except OSError as error:
                if folder == path and osp.isfile(path):
                    out[path] = self._entry(path) if detail else None
                elif error.errno not in _ABSENT:
                    raise
                continue
            base = folder.rstrip("/") + "/"
            with scan:
                for item in scan:
                    name = base + item.name
                    if item.is_dir(follow_symlinks=False):
                        todo.append(name)
                        if withdirs:
                            out[name] = self._entry(name, item) if detail else None
                    else:
                        out[name] = self._entry(name, item) if detail else None
        if withdirs and path not in out and osp.isdir(path):
            out[path] = self._entry(path) if detail else None
        names = sorted(out)
        return {name: out[name] for name in names} if detail else names

    def exists(self, path: str, **kwargs: Any) -> bool:
        return osp.exists(self._strip_protocol(path))

    def lexists(self, path: str, **kwargs: Any) -> bool:
        return osp.lexists(self._strip_protocol(path))

    def isfile(self, path: str) -> bool:
        return osp.isfile(self._strip_protocol(path))

    def isdir(self, path: str) -> bool:
        return osp.isdir(self._strip_protocol(path))

    def islink(self, path: str) -> bool:
        """Whether a path is a symbolic link."""
        return osp.islink(self._strip_protocol(path))

    def created(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["created"], tz=timezone.utc)

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["mtime"], tz=timezone.utc)

    def _isfilestore(self) -> bool:
        return True

    # folders -------------------------------------------------------------------------
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if osp.exists(path):
            raise FileExistsError(path)
        if not create_parents:
            os.mkdir(path, **kwargs)
        else:
            os.makedirs(path, exist_ok=True)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        os.makedirs(self._strip_protocol(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._strip_protocol(path))

    # whole files ---------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        if kwargs:
            return super().cat_file(path, start, end, **kwargs)
        with open(self._strip_protocol(path), "rb", buffering=0) as f:
            if start is None and end is None:
                return f.read()
            first, last = start or 0, end
            if first < 0 or (last is not None and last < 0):
                first, last, _ = slice(start, end).indices(os.fstat(f.fileno()).st_size)
            f.seek(first)
            if last is None:
                return f.read()
            out = b""
            while len(out) < last - first and (part := f.read(last - first - len(out))):
                out = out + part if out else part  # of more than 2 GiB the system gives a part at a time
            return out

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        self._make_parent(path2)
        if osp.isdir(path1):
            os.makedirs(path2, exist_ok=True)
        elif not osp.isfile(path1):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path1)
        elif osp.exists(path2) and (osp.samefile(path1, path2) or not osp.isfile(path2)):
            shutil.copyfile(path1, path2)  # which refuses, or knows what to do
        else:
            write_whole(path2, partial(shutil.copyfile, path1), self.atomic)

    def _make_parent(self, path: str) -> None:
        if self.auto_mkdir:
            self.makedirs(self._parent(path), exist_ok=True)

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        mine = type(self)._open is LocalFileSystem._open and type(self).open is AbstractFileSystem.open
        if kwargs or self._intrans or not mine:
            return super().pipe_file(path, value, mode, **kwargs)
        path = self._strip_protocol(path)
        data = memoryview(value)  # what cannot be written does not begin a file

        def write(name: str) -> None:
            with open(name, "wb", buffering=0) as f:
                left = data.cast("B") if data.c_contiguous else memoryview(bytes(data))
                while left:  # of more than 2 GiB the system takes a part at a time
                    left = left[f.write(left) :]

        self._make_parent(path)
        write_whole(path, write, self.atomic, exclusive=mode == "create")

    def get_file(self, path1: str, path2: Any, callback: Any = None, **kwargs: Any) -> None:
        if isfilelike(path2):
            with open(self._strip_protocol(path1), "rb") as f:
                shutil.copyfileobj(f, path2)
            return
        self._with_progress(self.cp_file, path1, path2, callback, **kwargs)

    def put_file(self, path1: str, path2: str, callback: Any = None, **kwargs: Any) -> None:
        if kwargs.pop("mode", "overwrite") == "create" and self.exists(path2):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path2)
        self._with_progress(self.cp_file, path1, path2, callback, **kwargs)

    def _with_progress(self, copy: Any, path1: str, path2: str, callback: Any, **kwargs: Any) -> None:
        copy(path1, path2, **kwargs)
        callback = Callback.as_callback(callback)
        source = self._strip_protocol(path1)
        size = osp.getsize(source) if osp.isfile(source) else 0
        callback.set_size(size)
        callback.absolute_update(size)

    def mv(self, path1: str, path2: str, recursive: bool = True, **kwargs: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        self._make_parent(path2)
        shutil.move(path1, path2)

    def link(self, src: str, dst: str, **kwargs: Any) -> None:
        """Make ``dst`` another name of the file ``src``."""
        os.link(self._strip_protocol(src), self._strip_protocol(dst), **kwargs)

    def symlink(self, src: str, dst: str, **kwargs: Any) -> None:
        """Make ``dst`` a symbolic link to ``src``."""
        os.symlink(self._strip_protocol(src), self._strip_protocol(dst), **kwargs)

    def rm_file(self, path: str) -> None:
        os.remove(self._strip_protocol(path))

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        paths: list[str] = []
        for given in path if isinstance(path, (list, tuple, set)) else [path]:
            stripped = self._strip_protocol(given)
            is_pattern = has_magic(stripped) and not osp.lexists(stripped)
            paths += self._matches(stripped, recursive) if is_pattern else [stripped]
        folders = {p for p in paths if osp.isdir(p) and not osp.islink(p)}
        for p in folders:  # before anything is removed
            if not recursive:
                raise ValueError(
                    f"{p!r} is a folder. Cannot delete directory, set recursive=True to remove it with all"
                    " that is in it"
                )
            if osp.abspath(p) == os.getcwd():
                raise ValueError(f"Cannot delete current working directory {p!r}: it is that of this process")
        for p in paths:
            if p in folders:
                shutil.rmtree(p)
            else:
                os.remove(p)

    def _matches(self, pattern: str, recursive: bool) -> list[str]:
        """What a pattern matches, without what goes together with a folder above it."""
        out: list[str] = []
        top = ""
        for p in sorted(self.expand_path(pattern), key=lambda p: p + "/"):
            if top and p.startswith(top):
                continue
            out.append(p)
            if recursive and osp.isdir(p) and not osp.islink(p):
                top = p + "/"
        return out

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        self._make_parent(path)
        if self.exists(path):
            os.utime(path, None)
        else:
            open(path, "ab").close()
        if truncate:
            os.truncate(path, 0)

    def chmod(self, path: str, mode: int) -> None:
        """Change the permissions of a file."""
        os.chmod(self._strip_protocol(path), mode)

    # opening -------------------------------------------------------------------------
    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        path = self._strip_protocol(path)
        if "r" not in mode:
            self._make_parent(path)
        return LocalFileOpener(path, mode, fs=self, **kwargs)


class _Raw(io.RawIOBase):
    """A plain file by its descriptor, with a position of its own.

    Reading and writing say where (``pread``, ``pwrite``), so that processes that share
    the descriptor after a fork do not move each other.  In a child nothing is written: it
    raises `ForkError`, but where a handle of ours is only let go of.
    """

    def __init__(self, fd: int, mode: str) -> None:
        self._fd = fd
        self._mode = mode
        self._generation = hooks.generation
        self._at = os.fstat(fd).st_size if "a" in mode else 0

    def fileno(self) -> int:
        return self._fd

    def readable(self) -> bool:
        return "r" in self._mode or "+" in self._mode

    def writable(self) -> bool:
        return self._mode != "rb"

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._fd, [buffer], self._at)
        self._at += count
        return count

    def readall(self) -> bytes:
        left = os.fstat(self._fd).st_size - self._at
        out = os.pread(self._fd, max(left, 0) + 1, self._at)
        self._at += len(out)
        return out if len(out) <= left or left < 0 else out + (super().readall() or b"")

    def write(self, data: Any) -> int:
        if not self._mine("write to"):
            return len(data)  # the parent's bytes, in a child's copy of its buffer
        if "a" in self._mode:
            count = os.write(self._fd, data)  # wherever the end is
        else:
            count = os.pwrite(self._fd, data, self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        base = 0 if whence == 0 else self._at if whence == 1 else os.fstat(self._fd).st_size
        if base + offset < 0:
            raise OSError(errno.EINVAL, f"cannot seek to {base + offset}, before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        if self._mine("truncate"):
            os.ftruncate(self._fd, size)
        return size

    def _mine(self, what: str) -> bool:
        hooks.check()
        if self._generation == hooks.generation:
            return True
        if is_letting_go():
            return False
        _refuse_writing(f"a local file (descriptor {self._fd}), open for writing,", self._generation, what)

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()
            finally:
                os.close(self._fd)


def _refuse_writing(file: str, generation: int, what: str) -> NoReturn:
    advice = f"Only the process that opened it may {what} it; in this one, open the file anew"
    raise ForkError(file, hooks.owner_pid(generation), advice=advice)


class _Refusing:
    """In a child, a buffer over an inherited file: what it took would be lost without a word."""

    raw: Any

    def write(self, data: Any) -> int:
        if data and not is_letting_go():
            self.raw.write(data)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        return int(self.raw.truncate(size))


class _RefusingWriter(_Refusing, io.BufferedWriter):
    pass


class _RefusingRandom(_Refusing, io.BufferedRandom):
    pass


_REFUSING: dict[type, Any] = {io.BufferedWriter: _RefusingWriter, io.BufferedRandom: _RefusingRandom}


def _file(path: str, mode: str) -> Any:
    """An open binary file; positions are its own where it is a plain one."""
    making = os.O_WRONLY | os.O_CREAT
    flags = {"r": os.O_RDONLY, "w": making | os.O_TRUNC, "a": making | os.O_APPEND, "x": making | os.O_EXCL}
    kind = mode.replace("b", "").replace("+", "").replace("t", "")
    if kind not in flags or not hasattr(os, "preadv"):
        return open(path, mode)
    how = flags[kind]
    if "+" in mode:
        how = how & ~(os.O_RDONLY | os.O_WRONLY) | os.O_RDWR
    fd = os.open(path, how | os.O_CLOEXEC, 0o666)
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(21, os.strerror(21), path)
        if not stat.S_ISREG(found.st_mode):
            return os.fdopen(fd, mode)
        raw = _Raw(fd, kind + ("+" if "+" in mode else "") + "b")
    except BaseException:
        os.close(fd)
        raise
    size = min(_BLOCK, max(found.st_blksize, io.DEFAULT_BUFFER_SIZE))
    if "+" in mode:
        return io.BufferedRandom(raw, size)
    return io.BufferedReader(raw, size) if kind == "r" else io.BufferedWriter(raw, size)


class LocalFileOpener(io.IOBase):
    """A file of this machine.

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
        fs: Any = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> None:
        from fsspec._files.open_file import get_compression

        self.path = path
        self.mode = mode
        self.fs = fs
        self.f: Any = None
        self.temp: str | None = None
        self._appends_from: int | None = None  # where in ``temp`` begins what is to be appended
        self.autocommit = autocommit
        self.compression = get_compression(path, compression)
        self.blocksize = io.DEFAULT_BUFFER_SIZE
        self._generation = hooks.generation
        self._open()
        hooks.register(self)

    @property
    def f(self) -> Any:
        """The open file below."""
        if self._buffered_in != hooks.generation:
            self._buffer_anew()
        return self._f

    @f.setter
    def f(self, value: Any) -> None:
        self._f = value
        self._buffered_in = hooks.generation

    def _after_fork_in_child(self) -> None:
        # a thread of the parent may have been reading, and the buffer's lock be held for ever:
        # this buffer is not used here, and never collected
        if self._f is not None and not self._f.closed:
            hooks.immortalize(self._f)

    def _buffer_anew(self) -> None:
        """In a forked child: the same descriptor and position, with a buffer of its own."""
        self._buffered_in = hooks.generation
        raw = getattr(self._f, "raw", None)
        if not isinstance(raw, _Raw) or raw.closed:
            return
        fresh = _Raw(raw._fd, raw._mode)
        fresh._generation = raw._generation
        fresh._at = self._f.tell()
        kind = type(self._f)
        self._f = _REFUSING.get(kind, kind)(fresh, self.blocksize)

    def _open(self) -> None:
        if self.f is not None and not self.f.closed:
            return
        if self.autocommit or "r" in self.mode:
            self.f = _file(self.path, self.mode)
            if self.compression:
                self.f = compr[self.compression](self.f, mode=self.mode)
        else:
            if "x" in self.mode and osp.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)
            fd, self.temp = tempfile.mkstemp()
            os.close(fd)
            if "a" in self.mode and osp.exists(self.path):
                shutil.copyfile(self.path, self.temp)
                self._appends_from = osp.getsize(self.temp)
            self.f = _file(self.temp, self.mode.replace("x", "w"))
        if "w" not in self.mode and hasattr(self.f, "fileno"):
            with suppress(OSError):
                self.size = os.fstat(self.f.fileno()).st_size

    def _mine(self, what: str) -> None:
        hooks.check()
        if self._generation != hooks.generation:
            _refuse_writing(f"{self!r}, open for writing,", self._generation, what)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}, mode {self.mode!r}>"

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The bytes of a range, for caches; the position does not move."""
        self._open()
        if hasattr(os, "pread") and not self.compression:
            return os.pread(self.f.fileno(), end - start, start)
        self.f.seek(start)
        return self.f.read(end - start)

    def __reduce__(self) -> tuple[Any, ...]:
        if "r" not in self.mode:
            raise ValueError(f"{self!r} is being written and cannot be pickled")
        at = 0 if self.closed else self.f.tell()
        return _reopened, (self.path, self.mode, self.fs, self.compression, at)

    def seekable(self, *args: Any, **kwargs: Any) -> bool:
        return self.f.seekable(*args, **kwargs)

    def readable(self) -> bool:
        return "r" in self.mode or "+" in self.mode

    def writable(self) -> bool:
        return "r" not in self.mode or "+" in self.mode

    def fileno(self) -> int:
        return self.f.fileno()

    def seek(self, *args: Any, **kwargs: Any) -> int:
        return self.f.seek(*args, **kwargs)

    def tell(self, *args: Any, **kwargs: Any) -> int:
        return self.f.tell(*args, **kwargs)

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        return self.f.read(*args, **kwargs)

    def readinto(self, buffer: Any) -> int:
        """Fill a writable buffer; the number of bytes put there."""
        return self.f.readinto(buffer)

    def readline(self, *args: Any, **kwargs: Any) -> bytes:
        return self.f.readline(*args, **kwargs)

    def readlines(self, *args: Any, **kwargs: Any) -> list[bytes]:
        return self.f.readlines(*args, **kwargs)

    def write(self, *args: Any, **kwargs: Any) -> int:
        if self._inherited_writer() and is_letting_go():
            return len(args[0])
        self._mine("write to")
        return self.f.write(*args, **kwargs)

    def truncate(self, size: int | None = None) -> int:
        self._mine("truncate")
        return self.f.truncate(size)

    def flush(self) -> None:
        if self.f is None or self.f.closed or not self.writable():
            return
        if self._inherited_writer():
            if is_letting_go():
                return
            self._mine("flush")
        self.f.flush()

    def _inherited_writer(self) -> bool:
        return self._generation != hooks.generation and self.writable()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.f)

    @property
    def closed(self) -> bool:
        """Whether the handle can no longer be used."""
        return self.f is None or self.f.closed

    def close(self) -> None:
        if self.f is None:
            return
        hooks.check()
        if self._inherited_writer():
            with letting_go():
                self.f.close()
        else:
            self.f.close()

    @property
    def name(self) -> str:
        """The path."""
        return self.f.name if hasattr(self.f, "name") else (self.temp or self.path)

    def commit(self) -> None:
        """Give what was written its name."""
        if self.autocommit:
            raise RuntimeError(f"{self!r} was opened with autocommit and has its name already")
        self._mine("commit")
        assert self.temp is not None
        if self._appends_from is not None and osp.exists(self.path):
            with open(self.temp, "rb") as source, open(self.path, "ab") as target:
                source.seek(self._appends_from)  # whatever others have appended stays
                shutil.copyfileobj(source, target)
            os.unlink(self.temp)
            return
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
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
            if error.errno != errno.EXDEV:
                raise
            with replacing(self.path) as f, open(self.temp, "rb") as source:
                shutil.copyfileobj(source, f)
            with suppress(PermissionError):  # network mounts refuse it; the file is there
                os.chmod(self.path, mode)
            os.unlink(self.temp)

    def discard(self) -> None:
        """Throw away what was written."""
        if self.autocommit:
            raise RuntimeError(f"{self!r} was opened with autocommit and cannot be discarded")
        if self.temp is not None and self._generation == hooks.generation:
            with suppress(FileNotFoundError):
                os.unlink(self.temp)

    def __enter__(self) -> LocalFileOpener:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "f":
            raise AttributeError(name)
        return getattr(self.f, name)


def _reopened(path: str, mode: str, fs: Any, compression: str | None, at: int) -> LocalFileOpener:
    """A reader from its pickled form, at the position that it had."""
    f = LocalFileOpener(path, mode, fs=fs, compression=compression)
    if at:
        f.seek(at)
    return f


@lru_cache(maxsize=1)
def get_umask(mask: int = 0o666) -> int:
    """The umask of this process, as it is at the first call.

    To ask for it is to change it for a moment, for all threads; therefore it is asked once, and
    again after ``get_umask.cache_clear()``.

    Parameters
    ----------
    mask
        what it is for that moment
    """
    current = os.umask(mask)
    os.umask(current)
    return current
