"""Filesystems as folders of this machine, by FUSE (the package fusepy and the library libfuse 2).

`FUSEr` answers the kernel; ``python -m fsspec.fuse`` and `run` mount it.  Files are read
anywhere, and written from their beginning to their end, or appended to where the
filesystem can: anything else is refused with EOPNOTSUPP and changes nothing.  What is
written is visible to others once it was closed.

The kernel asks from one thread, or with ``threads`` from several: a lock belongs to each
open file.  A mount in the background forks before it is made, so that libfuse never does.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import IO, TYPE_CHECKING, Any, cast

from fsspec import __version__
from fsspec.asyn import reset_after_fork
from fsspec.core import _un_chain, url_to_fs

if TYPE_CHECKING:
    from fsspec._paths.types import T
    from fsspec.spec import AbstractFileSystem

try:
    from fuse import FUSE, FuseOSError, LoggingMixIn, Operations
except ImportError as _error:
    raise type(_error)(
        "fsspec.fuse needs the package fusepy: pip install 'fsspec[fuse]'", name=_error.name
    ) from _error
except OSError as _error:  # the package is installed, the library that it needs is not
    raise ImportError(f"fusepy needs the library libfuse 2 (libfuse2, fuse-libs): {_error}") from _error

__all__ = ["FUSEr", "main", "run"]

logger: logging.Logger = logging.getLogger("fsspec.fuse")

_READY = "/.fuse_ready"
_READY_CONTENT = b"ready"
_ERRNO: list[tuple[type[BaseException], int]] = [
    (FileNotFoundError, errno.ENOENT),
    (PermissionError, errno.EACCES),
    (FileExistsError, errno.EEXIST),
    (IsADirectoryError, errno.EISDIR),
    (NotADirectoryError, errno.ENOTDIR),
    (NotImplementedError, errno.EOPNOTSUPP),
]


def _with_errno(method: Callable[..., T]) -> Callable[..., T]:
    """Decorator: failures are raised with the number by which the kernel knows them."""

    @wraps(method)
    def answered(self: FUSEr, path: str, *args: Any) -> T:
        try:
            return method(self, path, *args)
        except FuseOSError:
            raise
        except Exception as error:  # the kernel waits for an answer, whatever went wrong
            logger.debug("%s %s: %r", method.__name__, path, error)
            number = getattr(error, "errno", None)
            if not isinstance(number, int) or number <= 0:
                number = next((n for kind, n in _ERRNO if isinstance(error, kind)), errno.EIO)
            raise FuseOSError(number) from error

    return answered


class _Open:
    """An open file and its lock; of one that is written, how large it is by now. ``file`` is None while it is
    not known how a file that has content will be written: the kernel opens first and empties then."""

    def __init__(self, file: IO[bytes] | None, path: str, writing: bool = False, size: int = 0) -> None:
        self.file: Any = file
        self.path = path
        self.writing = writing
        self.size = size
        self.lock = threading.Lock()


class FUSEr(Operations):
    """What the kernel asks of a mounted filesystem.

    Parameters
    ----------
    fs
        the filesystem
    path
        its folder that is mounted
    ready_file
        have a file ``.fuse_ready`` at the top, for programs that wait for the mount
    """

    use_ns = True
    """For fusepy: times are nanoseconds."""

    def __init__(self, fs: AbstractFileSystem, path: str, ready_file: bool = False) -> None:
        self.fs = fs
        self.top: str = path or "/"
        self.root: str = path.rstrip("/") + "/"
        self.cache: dict[int, _Open] = {}
        self.counter: int = 0
        self._lock = threading.Lock()
        self._ready_file = ready_file
        self._since = time.time_ns()

    def _path(self, path: str) -> str:
        return self.top if path == "/" else self.root + path.strip("/")

    def _is_ready_file(self, path: str) -> bool:
        return self._ready_file and path == _READY

    def _writer(self, path: str) -> _Open | None:
        """The open file that a path is being written through; the store may not know it yet."""
        with self._lock:
            return next((o for o in self.cache.values() if o.writing and o.path == path), None)

    # reading ---------------------------------------------------------------------
    @_with_errno
    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Type, size, times and owner of a path."""
        writer = self._writer(path)
        if self._is_ready_file(path):
            entry: dict[str, Any] = {"type": "file", "size": len(_READY_CONTENT), "mode": 0o444}
        elif path == "/":
            entry = {"type": "directory"}  # a page of a web server would be a file
        elif writer is not None:
            entry = {"type": "file", "size": writer.size}
        else:
            entry = self.fs.info(self._path(path))
        return self._attributes(entry)

    def _attributes(self, entry: dict[str, Any]) -> dict[str, Any]:
        folder = entry["type"] == "directory"
        mode = entry.get("mode")
        mode = stat.S_IMODE(mode) if isinstance(mode, int) else (0o755 if folder else 0o644)
        times = (entry.get(name) for name in ("mtime", "LastModified", "created"))
        changed = _nanoseconds(next((t for t in times if t), None), self._since)
        return {
            "st_mode": (stat.S_IFDIR if folder else stat.S_IFREG) | mode,
            "st_nlink": 2 if folder else 1,
            "st_size": 0 if folder else entry.get("size") or 0,
            "st_blksize": 0 if folder else 5 * 2**20,
            "st_uid": entry.get("uid", os.getuid()),
            "st_gid": entry.get("gid", os.getgid()),
            "st_mtime": changed,
            "st_atime": changed,
            "st_ctime": _nanoseconds(entry.get("created"), changed),
        }

    @_with_errno
    def readdir(self, path: str, fh: int) -> list[str]:
        """The names in a folder."""
        names = [p.rstrip("/").rpartition("/")[2] for p in self.fs.ls(self._path(path), detail=False)]
        return [".", "..", *(name for name in names if name)]

    # files ------------------------------------------------------------------------
    def _number(self, opened: _Open) -> int:
        with self._lock:
            number, self.counter = self.counter, self.counter + 1
            self.cache[number] = opened
        return number

    @_with_errno
    def open(self, path: str, flags: int) -> int:
        """A number for a file that is opened."""
        if self._is_ready_file(path):
            return self._number(_Open(io.BytesIO(_READY_CONTENT), path))
        if flags & os.O_ACCMODE == os.O_RDONLY:
            return self._number(_Open(self.fs.open(self._path(path), "rb"), path))
        size = self.fs.size(self._path(path)) or 0
        file = None if size else self.fs.open(self._path(path), "wb")
        return self._number(_Open(file, path, True, size))

    @_with_errno
    def create(self, path: str, flags: int, fi: object = None) -> int:
        """A number for a new file, to be written."""
        return self._number(_Open(self.fs.open(self._path(path), "wb"), path, True))

    @_with_errno
    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """A part of an open file."""
        opened = self.cache[fh]
        if opened.writing:
            return self.fs.cat_file(self._path(path), offset, offset + size)
        with opened.lock:
            opened.file.seek(offset)
            return cast("bytes", opened.file.read(size))

    @_with_errno
    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write at an offset; other than the current one only if the filesystem's files can seek."""
        opened = self.cache[fh]
        with opened.lock:
            if opened.file is None and offset == opened.size:
                opened.file = self.fs.open(self._path(path), "ab")
            elif opened.file is None or (offset != opened.size and not _seek_to(opened.file, offset)):
                logger.debug("%s can be written from its beginning to its end, and added to", path)
                raise FuseOSError(errno.EOPNOTSUPP)
            opened.file.write(data)
            opened.size = max(opened.size, offset + len(data))
        return len(data)

    @_with_errno
    def release(self, path: str, fh: int) -> int:
        """Close an open file. The kernel reports no failure here, so it is logged."""
        with self._lock:
            opened = self.cache.pop(fh, None)
        if opened is not None:
            try:
                with opened.lock:
                    if opened.file is not None:
                        opened.file.close()
            except Exception:  # whatever the close raised, the log is all that its user sees
                logger.exception("%s could not be closed, and may not have been written", path)
                raise
        return 0

    @_with_errno
    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        """Empty a file; no other length than 0 and the present one can be given to it."""
        writer = self.cache.get(fh) if fh is not None else self._writer(path)
        present = writer.size if writer is not None else self.fs.size(self._path(path))
        if length == present:
            return
        if length or (writer is not None and writer.file is not None):
            raise FuseOSError(errno.EOPNOTSUPP)
        if writer is None:
            self.fs.touch(self._path(path), truncate=True)
        else:
            with writer.lock:
                writer.file, writer.size = self.fs.open(self._path(path), "wb"), 0

    # folders and names ------------------------------------------------------------
    @_with_errno
    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder."""
        self.fs.mkdir(self._path(path), create_parents=False)
        return 0

    @_with_errno
    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""
        self.fs.rmdir(self._path(path))
        return 0

    @_with_errno
    def unlink(self, path: str) -> None:
        """Remove a file."""
        self.fs.rm_file(self._path(path))

    @_with_errno
    def rename(self, old: str, new: str) -> None:
        """Move a file or folder."""
        source = self._path(old)
        self.fs.mv(source, self._path(new), recursive=self.fs.isdir(source))

    @_with_errno
    def chmod(self, path: str, mode: int) -> None:
        """Change permissions, if the filesystem has them."""
        change = getattr(self.fs, "chmod", None)
        if change is None:
            raise FuseOSError(errno.EOPNOTSUPP)
        change(self._path(path), stat.S_IMODE(mode))

    def destroy(self, path: str) -> None:
        """Close what is open when the mount ends."""
        for number in list(self.cache):
            self.release(self.cache[number].path, number)


class _LoggingFUSEr(LoggingMixIn, FUSEr):
    pass


def _seek_to(file: IO[bytes], offset: int) -> bool:
    """Move a written file to a position; returns whether it is at that position now."""
    try:
        return bool(file.seek(offset) == offset)
    except (OSError, ValueError):
        return False


def _nanoseconds(value: object, default: int) -> int:
    """A time of an entry, seconds or a `datetime.datetime`, in nanoseconds since 1970."""
    if timestamp := getattr(value, "timestamp", None):
        value = timestamp()
    return int(value * 1_000_000_000) if isinstance(value, (int, float)) else default


# mounting -------------------------------------------------------------------------
def run(
    fs: AbstractFileSystem,
    path: str,
    mount_point: str,
    foreground: bool = True,
    threads: bool = False,
    ready_file: bool = False,
    ops_class: Callable[..., Operations] = FUSEr,
) -> threading.Thread | None:
    """Mount a filesystem.

    Parameters
    ----------
    fs
        the filesystem
    path
        its folder that is mounted
    mount_point
        an empty folder of this machine
    foreground
        stay until it is unmounted; otherwise a thread does, which is returned
    threads
        let the kernel ask for several things at once
    ready_file
        see `FUSEr`
    ops_class
        what answers the kernel

    Raises
    ------
    RuntimeError
        if it cannot be mounted
    """
    answering = ops_class(fs, path, ready_file=ready_file)

    def mount() -> None:
        # libfuse would fork for its background, below Python and without its loops
        FUSE(answering, mount_point, nothreads=not threads, foreground=True)

    if foreground:
        mount()
        return None
    thread = threading.Thread(target=mount, name="fsspec-fuse", daemon=True)
    thread.start()
    return thread


def _value(text: str) -> str | int:
    """The value of an option: text, or a number or flag if it ends in ``[int]`` or ``[bool]``."""
    if text.endswith("[int]"):
        return int(text[: -len("[int]")])
    if text.endswith("[bool]"):
        return text[: -len("[bool]")].lower() in ("1", "true", "yes")
    return text


def _options(given: list[str], url: str) -> dict[str, Any]:
    """Options of a chain of URLs: ``name=value``, or ``protocol-name=value`` for one of its links."""
    protocols = {protocol for _, protocol, _ in _un_chain(url, {})}
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"an option is name=value or protocol-name=value: {name!r} has no value")
        protocol, dash, rest = name.partition("-")
        if dash and protocol in protocols:
            found.setdefault(protocol, {})[rest] = _value(value)
        else:
            found[name] = _value(value)
    return found


def _to_background() -> None:
    """Go on in a child, of a session of its own and silent; the process ends here."""
    if os.fork():
        os._exit(0)
    reset_after_fork()
    os.setsid()
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        for fd in (0, 1, 2):
            os.dup2(nowhere.fileno(), fd)


def main(args: list[str]) -> None:
    """Mount what the arguments of a command line say; see ``python -m fsspec.fuse --help``."""
    parser = argparse.ArgumentParser(
        "python -m fsspec.fuse",
        description="Make a folder of any filesystem a folder of this machine, until it is unmounted.",
        epilog="Example: python -m fsspec.fuse simplecache::s3 bucket/folder /mnt -o s3-anon=true[bool]",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("url", help="a protocol, a URL or a chain of URLs")
    parser.add_argument("source_path", help="the folder on that filesystem")
    parser.add_argument("mount_point", help="an empty folder of this machine")
    parser.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="[PROTOCOL-]NAME=VALUE",
        help="an option of the filesystem; VALUE[int] is a number, VALUE[bool] true or false",
    )
    parser.add_argument("-l", "--log-file", default="", help="write what is asked and answered there")
    parser.add_argument("-f", "--foreground", action="store_true", help="do not go to the background")
    parser.add_argument("-t", "--threads", action="store_true", help="answer several requests at once")
    parser.add_argument("-r", "--ready-file", action="store_true", help="have a file .fuse_ready at the top")
    given = parser.parse_args(args)
    try:
        options = _options(given.option, given.url)
    except ValueError as error:
        parser.error(str(error))
    url = given.url if "://" in given.url.rpartition("::")[2] else f"{given.url}://"
    fs = url_to_fs(url, **options)[0]
    ops: type[FUSEr] = FUSEr
    if given.log_file:
        logging.basicConfig(level=logging.DEBUG, filename=given.log_file)
        ops = _LoggingFUSEr
    if not given.foreground:
        _to_background()
    run(fs, given.source_path, given.mount_point, True, given.threads, given.ready_file, ops)


if __name__ == "__main__":
    main(sys.argv[1:])
