"""Local files that appear under their name only when they are whole.

What is downloaded is written beside its target under another name and moved onto it at
the end; after a failure the target is as it was before.  Another process sees the old
file or the new one, never a part.  A child that is forked in between leaves both alone: the
download is its parent's, and when the fork returns its copy of the open file leads nowhere, for
the two would write at an offset that they share.

What is copied within this machine or comes from memory (`write_whole`) is written so too if
no other program can notice the difference; a download always is.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from fsspec._error_notes import FULL
from fsspec._files.descriptors import new_descriptor
from fsspec._fork import hooks
from fsspec._paths.paths import folder_error, hidden_name, trailing_sep
from fsspec.exceptions import ForkError

_READABLE_BY_ALL = 0o044
_RUNS_AS = stat.S_ISUID | stat.S_ISGID
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_under_way: set[Any] = set()
_in_place: set[str] = set()
_without_folder: dict[int, Container[str]] = {}


@contextmanager
def in_place(names: Iterable[str]) -> Iterator[None]:
    """Within the block, files of these names are written directly, not under another name and then renamed.

    For temporary names that no other process looks for: the caller renames the files itself, and removes what
    is left.
    """
    added = set(names)
    _in_place.update(added)
    try:
        yield
    finally:
        _in_place.difference_update(added)


@contextmanager
def making_folders(names: Container[str]) -> Iterator[None]:
    """Within the block, the folder of a file of these names is made when the file is begun.

    So no folder is left by a download that ends before, because there is nothing to download.
    """
    _without_folder[id(names)] = names
    try:
        yield
    finally:
        _without_folder.pop(id(names), None)  # a child has none


def awaits_folder(path: str) -> bool:
    """Whether the folder of a file is to be made when the file is begun; see `making_folders`."""
    return bool(_without_folder) and any(path in names for names in list(_without_folder.values()))


def make_folder_for(path: str) -> None:
    """Make the folder of a file that is begun now, if it `awaits_folder`."""
    if awaits_folder(path):
        with suppress(FileInTheWayError):  # which writing there raises
            make_folder_of(path)


def name_target(error: object, written: str | None, path: str) -> None:
    """Make an error of writing name the file at ``path``, not ``written``, which was to become it."""
    if isinstance(error, OSError):
        if written is not None and error.filename2 == written:
            error.filename2 = path
        elif written is not None and error.filename == written and error.filename2 is not None:
            error.filename = path  # of a renaming that is nobody's concern
            del error.filename2
        elif error.errno in FULL if error.filename is None else error.filename == written:
            error.filename = path


class FileInTheWayError(FileExistsError, NotADirectoryError):
    """A file where a folder is needed: making the folder raises the one, writing below it the other."""


def make_folders(path: str) -> None:
    """Make a folder and those above it, if they do not exist. Raises FileInTheWayError."""
    try:
        os.makedirs(path, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise FileInTheWayError(error.errno, error.strerror, error.filename) from None


def make_folder_of(path: str) -> None:
    """Make the folder that a file will be in, if it does not exist: also of a path that ends in a separator,
    which `replacing` refuses. Raises FileInTheWayError."""
    if not os.path.isdir(os.path.dirname(path) or "."):
        make_folders(os.path.dirname(os.path.abspath(path)))


class replacing:
    """A binary file object whose bytes become the file at ``path`` when the block ends well.

    With ``mode="w+b"`` it can be read as well; with ``buffering=0`` a write may take a part only,
    see `write_all`.

    A link is followed, and an existing file keeps its permissions.  What is not a plain
    file (a terminal, a pipe) is written directly, as is a file in a folder where no other
    can be made, one that is named by a descriptor (``/dev/stdout``), and one whose name is
    given to `in_place`.

    ``read_only``: also replace a file that is not writable, if its folder allows that.

    Raises IsADirectoryError if the path ends in a separator (FileNotFoundError if the folder above is
        missing), and PermissionError for a file that is not writable.
    """

    __slots__ = (
        "_before",
        "_file",
        "_owner",
        "_partial",
        "_read_only",
        "_target",
        "buffering",
        "mode",
        "path",
    )

    _file: Any

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "wb",
        buffering: int = -1,
        read_only: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self.mode = mode
        self.buffering = buffering
        self._read_only = read_only

    def __enter__(self) -> IO[bytes]:
        path = self.path
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if trailing_sep(path):
            try:
                os.stat(os.path.join(os.path.dirname(os.path.abspath(path)), ""))
            except OSError as error:
                error.filename = path
                raise
            raise folder_error(path)
        make_folder_for(path)
        direct = path in _in_place
        target, before = (path, None) if direct else _behind_links(path)
        try:
            direct = direct or not _may_replace(target, before, path, certainly=True)
        except PermissionError:
            if not self._read_only:
                raise
        self._target, self._before, self._partial = target, before, None if direct else _partial_name(target)
        try:
            f = self._open()
            self._file, self._owner = f, os.getpid()
            _under_way.add(f)
            return f
        except BaseException:  # an interrupt, too, leaves no temporary file
            if self._partial is not None:
                with suppress(OSError):  # interrupted just as it was made, or it was not made
                    os.unlink(self._partial)
            raise

    def _open(self) -> IO[bytes]:
        target, partial, mode = self._target, self._partial, self.mode
        try:
            if partial is None:
                return open(target, mode, self.buffering)
            return open(partial, mode.replace("w", "x"), self.buffering, opener=_opener_like(self._before))
        except OSError as error:
            if self._before is not None and partial is not None and error.errno not in FULL:
                self._partial = None  # no other file can be made there
                return open(target, mode, self.buffering)
            error.filename = self.path  # that it is written under another name is nobody's concern
            raise

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        f, partial, done = self._file, self._partial, False
        mine = os.getpid() == self._owner
        try:
            self._file = None
            _under_way.discard(f)
            if not mine:  # also if no hook ran
                _redirect_to_null(f)
            f.close()
            name_target(error, partial, self.path)
            if kind is None:
                if not mine:
                    raise ForkError(f"the download to {self.path!r}", self._owner, advice=_ADVICE)
                if partial is not None:
                    _rename(partial, self._target, self._before)
                done = True
        except OSError as failed:
            name_target(failed, partial, self.path)
            raise
        finally:
            if partial is not None and mine and not done:
                with suppress(FileNotFoundError):  # interrupted just as it was renamed
                    os.unlink(partial)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:  # given up, without an end
            self.__exit__(GeneratorExit, None, None)


def file_state(path: str) -> tuple[int, ...] | None:
    """What differs between a local file and one that was written since; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def write_all(f: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of ``data`` to a file without a buffer."""
    written = f.write(data)
    if written != len(data):
        left = memoryview(data)
        while left := left[written:]:
            written = f.write(left)


def write_file(path: str, data: bytes | memoryview) -> None:
    """Make a file of ``data``; an existing one is overwritten."""
    fd = new_descriptor(os.open, path, _CREATE, 0o666)
    try:
        left = memoryview(data)
        while left := left[os.write(fd, left) :]:  # more than 2 GiB are taken a part at a time
            pass
    finally:
        os.close(fd)


def write_whole(
    path: str, write: Callable[[str], Any], size: int, atomic: bool | None = None, exclusive: bool = False
) -> None:
    """Call ``write`` to make the file at ``path``.

    ``path``: the file; a link is followed.
    ``write``: called with the name to write to, which it creates or truncates. A second time with another
        name if the disk has room for the new file in the place of the old one only.
    ``size``: bytes that it will write.
    ``atomic``: whether that is the name of a new file in the same folder, which is renamed to ``path`` when
        it is whole; else it is ``path`` itself. None decides for the new file where no other program can
        notice: nothing is at ``path``, or a regular file with one name that nobody has open and that the
        new one equals in owner, group and permissions. What is not a regular file is always written directly.
    ``exclusive``: there must be nothing at ``path``.
    Raises FileExistsError if there is, with ``exclusive``. In that case and after any other error of a new
        file ``path`` is as it was before.
    """
    if path in _in_place and not exclusive:
        write(path)
        return
    make_folder_for(path)
    target, before = _behind_links(path)
    if exclusive and before is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if atomic is False or not _may_replace(target, before, path, certainly=bool(atomic)):
        if exclusive:
            open(target, "xb").close()
        _write_over(write, target, before, size, path)
        return
    partial = _partial_name(target)
    done = False
    try:
        try:
            if before is not None and before.st_mode & _READABLE_BY_ALL != _READABLE_BY_ALL:
                open(partial, "xb", opener=_opener_like(before)).close()
            write(partial)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            fits = before is not None and size <= getattr(before, "st_blocks", 0) * 512
            if before is None or atomic or not (full and fits or not os.path.exists(partial)):
                raise
            with suppress(OSError):
                os.unlink(partial)
            _write_over(write, target, before, size, path)  # no other file can be made here
            return
        if exclusive:
            link_new(partial, target)
            return
        made = before and os.stat(partial)
        if atomic or _owner(made) == _owner(before):
            _rename(partial, target, before, made)
            done = True
        else:
            os.unlink(partial)  # what it takes up may be needed
            _write_over(write, target, before, size, path)
    except OSError as error:
        name_target(error, partial, path)
        raise
    finally:
        if not done:
            with suppress(OSError):  # it was never made, or the first error is what counts
                os.unlink(partial)


def _behind_links(path: str | os.PathLike[str]) -> tuple[str, os.stat_result | None]:
    """The path after following links, and the ``stat`` of what is there; a link that names an open file by
    its descriptor stays.

    Raises OSError for links that lead to each other."""
    name = os.fspath(path)
    try:
        found = os.lstat(name)
    except OSError:
        return name, None
    if not stat.S_ISLNK(found.st_mode):
        return name, found
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return os.path.realpath(name), None
    while os.path.islink(name):
        folder = os.path.realpath(os.path.dirname(name))
        if folder.startswith("/proc/"):  # the file may have another name by now, or be a pipe
            break
        name = os.path.join(folder, os.readlink(name))
    return name, found


def _partial_name(target: str) -> str:
    folder, name = os.path.split(target)
    return hidden_name(name, folder)


def _opener_like(before: os.stat_result | None) -> Callable[[str, int], int] | None:
    """An ``opener`` that gives a new file no more permissions than the file has that it is to replace."""
    if before is None:
        return None
    return functools.partial(os.open, mode=stat.S_IMODE(before.st_mode) & 0o777 | stat.S_IWUSR)


def _may_replace(target: str, before: os.stat_result | None, path: str, certainly: bool) -> bool:
    """Whether another file may take the place of the existing one. Raises OSError, which names the
    ``path``, if that is not writable."""
    if before is None:
        return True
    if not stat.S_ISREG(before.st_mode) or (target != path and os.path.islink(target)):
        return False
    try:
        fd = new_descriptor(os.open, target, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        if certainly and error.errno == errno.ETXTBSY:
            return True  # a running program, which continues with what it has mapped
        error.filename = path
        raise
    try:
        return certainly or (before.st_nlink == 1 and not _attributes(fd) and _is_unused(fd))
    finally:
        os.close(fd)


def _attributes(file: int | str) -> dict[str, bytes]:
    """The access lists and other attributes of a file, which another one may lack."""
    found = {}
    with suppress(AttributeError, OSError):  # the system or the filesystem has none
        for name in os.listxattr(file):
            if name != "security.selinux":
                found[name] = os.getxattr(file, name)
    return found


def _is_unused(fd: int) -> bool:
    """Whether nobody else has the file open; False if the system gives no answer.

    Linux gives a write lease only then. It is given back at once; who opens the file in
    between waits for that, and the signal about it is one that is ignored by default.
    """
    try:
        import fcntl
        import signal

        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (ImportError, AttributeError, OSError):
        return False
    return True


def _owner(found: os.stat_result | None) -> tuple[int, int] | None:
    return found and (found.st_uid, found.st_gid)


def _rename(
    partial: str, target: str, before: os.stat_result | None, made: os.stat_result | None = None
) -> None:
    """Give a file its name, and the permissions of the file that it replaces; ``made``: its own state.

    A file of another owner or group, with further names or with attributes is not replaced but written over,
    so that it keeps them. So is one with the set-user-ID or set-group-ID bit, which a writer may lose."""
    try:
        if before is not None:
            with suppress(OSError):  # it was removed meanwhile
                before = os.stat(target)
            made = made or os.stat(partial)
            mode = stat.S_IMODE(before.st_mode)
            if before.st_nlink > 1 or mode & _RUNS_AS or _owner(made) != _owner(before):
                raise OSError(errno.EPERM, "not to be replaced", target)
            attributes = _attributes(target)
            if attributes and not attributes.items() <= _attributes(partial).items():
                raise OSError(errno.EPERM, "not to be replaced", target)
            if stat.S_IMODE(made.st_mode) != mode:
                os.chmod(partial, mode)
        os.replace(partial, target)
    except OSError:
        if before is None:
            raise
        from shutil import copyfile  # not needed by import fsspec

        write = functools.partial(copyfile, partial)
        try:  # or a mount point, or where permissions cannot be changed
            _write_over(write, target, before, os.path.getsize(partial), target)
        except OSError:
            raise
        except BaseException:  # an interrupt: the file is incomplete
            write(target)
            raise
        os.unlink(partial)


def _write_over(
    write: Callable[[str], Any], target: str, before: os.stat_result | None, size: int, path: str
) -> None:
    """Call ``write`` to write to a file directly, as `write_whole` does. An existing file is left as it is if
    the disk has no room for ``size`` bytes in its place."""
    try:
        if before is not None and stat.S_ISREG(before.st_mode) and hasattr(os, "statvfs"):
            disk = None
            with suppress(OSError):  # some that are mounted by FUSE do not say
                disk = os.statvfs(target)
            if disk is not None and disk.f_blocks:
                free = (disk.f_bavail if os.geteuid() else disk.f_bfree) * disk.f_frsize
                if size > free + before.st_blocks * 512:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        write(target)
    except OSError as error:
        name_target(error, None, path)
        raise


def name_beside(path: str) -> str | None:
    """An empty file beside the regular file at ``path``, to be written in its place; see `take_place`.

    None if ``path`` is to be written directly: nothing is there, or no regular file, or one that may not be
    replaced.
    """
    try:
        target, before = _behind_links(path)
        if before is None or not _may_replace(target, before, path, certainly=True):
            return None
        partial = _partial_name(target)
        open(partial, "xb", opener=_opener_like(before)).close()
        os.utime(partial, ns=(0, 0))  # by which it shows whether it is written to
    except OSError:
        return None
    return partial


def take_place(partial: str, path: str) -> None:
    """Move what was written to `name_beside` of ``path`` there; if nothing was written, ``path`` is
    unchanged."""
    target, before = _behind_links(path)
    with suppress(FileNotFoundError):
        made = os.stat(partial)
        if made.st_mtime_ns or made.st_size:
            _rename(partial, target, before, made)
        else:
            os.unlink(partial)


def link_new(name: str, target: str) -> None:
    """Give a file the name ``target``, which nothing may have; ``name`` may stay as well. Raises
    FileExistsError if something has it."""
    try:
        os.link(name, target)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
    except OSError:  # another device, or one without links
        from shutil import copyfileobj

        with open(name, "rb") as source, open(target, "xb") as f:
            copyfileobj(source, f)


_ADVICE = "It is the parent's, which continues with it; download the file again in this process"


def _redirect_to_null(f: IO[bytes]) -> None:
    """Redirect a file's descriptor to the null device, so that what its buffer holds is discarded."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), f.fileno(), inheritable=False)


def _in_child() -> None:
    for f in list(_under_way):
        with suppress(ValueError):  # it was closed
            _redirect_to_null(f)
    _under_way.clear()
    _without_folder.clear()


hooks.at_fork(child=_in_child)
