"""Local files.

Paths are absolute, with forward slashes.  Entries and listings are made in `_local.listing`; open files are
`fsspec._files.local_file`.
"""

from __future__ import annotations

import errno
import logging
import os
import os.path as osp
import shutil
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from fsspec._files.descriptors import get_umask
from fsspec._files.local_file import LocalFileOpener, _reopened
from fsspec._files.replacing import awaits_folder, make_folder_for, write_file, write_whole
from fsspec._overriding import default, is_built_in, is_default, unless_patched, unlike_base
from fsspec._paths.paths import (
    false_without_path,
    folder_error,
    path_texts,
    trailing_sep,
    url_text,
    without_file_protocol,
)
from fsspec._paths.ranges import as_view, check_limits
from fsspec._paths.redaction import redact_url
from fsspec._paths.urls import protocols_of
from fsspec._plans import drive, globbing, listing, stream
from fsspec._plans.globbing import has_magic
from fsspec._plans.transfers import check_nothing_is_lost, paired
from fsspec._public import publish
from fsspec.callbacks import DEFAULT_CALLBACK, for_file
from fsspec.implementations._local.listing import NamesAndTypes, entry_of, found_below
from fsspec.registry import known_implementations
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike, other_paths, stringify_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec._paths.types import Depth, PathOrPaths, Progress, StrPath, StrPaths


__all__ = [
    "AbstractFileSystem",
    "LocalFileOpener",
    "LocalFileSystem",
    "_reopened",
    "get_umask",
    "make_path_posix",
    "trailing_sep",
]
publish(__name__, get_umask, trailing_sep)

logger: logging.Logger = logging.getLogger("fsspec.local")

_SMALL = 2**18
_WINDOWS = os.name == "nt"


def make_path_posix(path: PathOrPaths) -> PathOrPaths:
    """An absolute path with forward slashes, of a local path.

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
    path = "" if path == "." else path.removeprefix("./")
    return f"{os.getcwd().rstrip('/')}/{path}"


def _found(path: str) -> os.stat_result | None:
    """What is at a path, after following links; None if nothing is, or it cannot be found."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _suggest_url(error: FileNotFoundError, path: str) -> None:
    """Make the error about a path suggest the URL that may be meant: nothing has that name, but it looks like
    one."""
    if ":" not in path or error.errno is None:
        return
    name = path.removeprefix(make_path_posix(""))
    protocol, _, rest = name.partition(":")
    if name == ":" or (name.startswith(":/") and name.endswith("/:")):  # the latter of "dir::"
        error.strerror = "a URL is needed after '::', and there is none"
    elif protocol in known_implementations:
        url = redact_url(f"{protocol}://{rest.lstrip('/')}")
        error.strerror = f"{error.strerror}; is {url} meant?"
    error.args = error.errno, error.strerror


def _copy_small(source: str, target: str) -> None:
    """Copy a regular file by one read and one write, which is less than `shutil.copyfile` looks at."""
    with open(source, "rb", buffering=0) as f:
        write_file(target, f.read())


class LocalFileSystem(AbstractFileSystem):
    """The local filesystem.

    Parameters
    ----------
    auto_mkdir
        make the folder of a file that is written.
    atomic
        whether a file that is put, got, copied or piped as a whole is written under another
        name in the same folder (``.NAME.*.part``) and renamed when it is whole. By default if
        no other program can notice: not onto what is no regular file, has several names, is open elsewhere,
        or has another owner or access lists; always or never with True or False.
    """

    root_marker = "/"
    protocol: ClassVar[str | tuple[str, ...]] = ("file", "local")
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
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if type(path) is str and path[:1] == "/" and not _WINDOWS:
            return path if path[-1] != "/" else path.rstrip("/") or "/"
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        posix: str = make_path_posix(without_file_protocol(url_text(stringify_path(path)), protocols_of(cls)))
        if not _WINDOWS:
            return posix.rstrip("/") or cls.root_marker
        drive, rest = osp.splitdrive(posix)
        # PathOrPaths is str here
        return drive + (rest.rstrip("/") or "/")  # pyright: ignore[reportReturnType]

    def unstrip_protocol(self, name: str) -> str:
        """The URL of an absolute path, by the first protocol of the class: ``file://`` of this one."""
        return f"{protocols_of(self)[0]}://{self._strip_protocol(name)}"

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        head = path.rpartition("/")[0]
        if _WINDOWS and head.endswith(":"):
            return head + "/"
        return head or cls.root_marker

    # entries ----------------------------------------------------------------------
    def ls(self, path: str, detail: bool = False, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        plainly = is_default(self.info)
        try:
            if not plainly and (entry := self.info(path))["type"] != "directory":
                return [entry if detail else entry["name"]]
            scan = os.scandir(path)
        except NotADirectoryError:
            entry = self.info(path)  # or there is nothing, below a file
            return [entry] if detail else [path]
        base = path.rstrip("/") + "/"
        with scan:
            if not plainly:
                entries = [self.info(item) for item in scan]
                return entries if detail else [entry["name"] for entry in entries]
            if not detail:
                return [base + item.name for item in scan]
            return [entry_of(base + item.name, item) for item in scan]

    @default
    def info(self, path: str | os.DirEntry[str], **kwargs: Any) -> dict[str, Any]:
        item, name = (path, path.path) if isinstance(path, os.DirEntry) else (None, path)
        stripped = self._strip_protocol(name)
        try:
            entry = entry_of(stripped, item)
        except FileNotFoundError as error:
            _suggest_url(error, stripped)
            raise
        if item is None and entry["islink"] and entry["type"] == "other" and not osp.exists(stripped):
            raise FileNotFoundError(2, "No such file or directory; the link leads nowhere", stripped)
        return entry

    @property
    def _lists_itself(self) -> bool:
        """Whether trees are looked at by the methods here, so that no shortcut goes past others."""
        asked = self.ls, self.info, self.walk, self.find, self.isdir, self.isfile, self.exists
        return type(self) is LocalFileSystem and all(map(is_built_in, asked))

    @unless_patched
    @default
    def glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Any:
        if kwargs or not self._lists_itself:
            return super().glob(path, maxdepth=maxdepth, **kwargs)
        if maxdepth is None and type(path) is str and path[-1:] != "/":
            name = self._strip_protocol(path)
            if not has_magic(name):
                return [name] if osp.exists(name) else []
        return sorted(self._glob_types(path, maxdepth))

    def _glob_types(self, path: str, maxdepth: Depth = None) -> dict[str, dict[str, Any]]:
        """What a pattern matches, with entries that hold nothing but a name and a type."""
        if not self._lists_itself:
            return cast("dict[str, dict[str, Any]]", self.glob(path, maxdepth=maxdepth, detail=True))
        return drive(NamesAndTypes(self), globbing.glob(self, path, maxdepth, detail=True))

    @unless_patched
    @default
    def walk(
        self,
        path: str,
        maxdepth: Depth = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], Any] = listing.OMIT_ABSENT,
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        if kwargs or not self._lists_itself:
            return super().walk(path, maxdepth, topdown, on_error, **kwargs)
        return stream(NamesAndTypes(self), listing.walk(self, path, maxdepth, topdown, on_error))

    @unless_patched
    @default  # to search by it would be to look at all that lies below
    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Any:
        if maxdepth is not None or kwargs or not self._lists_itself:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **kwargs)
        path = self._strip_protocol(path)
        out = found_below(path, withdirs, detail)
        names = sorted(out)
        return {name: out[name] for name in names} if detail else names

    @unless_patched
    @false_without_path
    def exists(self, path: str, **kwargs: Any) -> bool:
        if not is_default(self.info):
            return super().exists(path, **kwargs)
        return osp.exists(self._strip_protocol(path))

    @property
    def _exists_itself(self) -> bool:
        return is_built_in(self.exists) and is_default(self.info)

    def lexists(self, path: str, **kwargs: Any) -> bool:
        if path == "":
            return False
        stripped = self._strip_protocol(path)
        if stripped != path and trailing_sep(stringify_path(path)):  # a path that only a folder can have
            return osp.isdir(stripped)
        return osp.lexists(stripped)

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

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if self.exists(path):
            raise FileExistsError(path)
        if not create_parents:
            os.mkdir(path, **kwargs)
        else:
            self.makedirs(path, exist_ok=True)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        os.makedirs(self._strip_protocol(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        os.rmdir(self._strip_protocol(path))

    # whole files ------------------------------------------------------------------
    @unless_patched
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        if kwargs or not self._fsspec_opens_itself:
            return super().cat_file(path, start, end, **kwargs)
        with open(self._strip_protocol(path), "rb", buffering=0) as f:
            if start is None and end is None:
                return f.read()
            check_limits(path, start, end)
            first, last = start or 0, end
            if first < 0 or (last is not None and last < 0):
                size = os.fstat(f.fileno()).st_size
                if not size:  # it may be of /proc, which says none
                    return f.read()[start:end]
                first, last, _ = slice(start, end).indices(size)
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
        source, there = _found(path1), _found(path2)
        is_file = source is not None and stat.S_ISREG(source.st_mode)
        is_folder = source is not None and stat.S_ISDIR(source.st_mode)
        if not (is_built_in(self.isfile) and is_built_in(self.isdir)):
            is_file = self.isfile(path1)
            is_folder = not is_file and self.isdir(path1)
        if is_folder:
            self.mkdirs(path2, exist_ok=True)
        elif source is None or not is_file:
            missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path1)
            _suggest_url(missing, path1)
            raise missing
        elif there is not None and (osp.samestat(source, there) or not stat.S_ISREG(there.st_mode)):
            shutil.copyfile(path1, path2)  # which refuses, or knows what to do
        else:
            copy = _copy_small if source.st_size < _SMALL else shutil.copyfile
            write_whole(path2, partial(copy, path1), source.st_size, self.atomic)

    def _make_parent(self, path: str) -> None:
        if self.auto_mkdir:
            self.makedirs(self._parent(path), exist_ok=True)

    @unless_patched
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if kwargs or self._intrans or not self._fsspec_opens_itself:
            return super().pipe_file(path, value, mode, **kwargs)
        path = self._strip_protocol(path)
        try:
            data = as_view(path, value)  # what cannot be written does not begin a file
        except TypeError:
            if os.path.isdir(path):  # the error of any other value
                raise folder_error(path) from None
            raise
        plain = data.cast("B") if data.c_contiguous else bytes(data)
        if mode == "create" and not self._exists_itself and self.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self._make_parent(path)
        write_whole(
            path, partial(write_file, data=plain), data.nbytes, self.atomic, exclusive=mode == "create"
        )

    @unlike_base
    def get_file(
        self, path1: str, path2: StrPath | IO[bytes], callback: Progress = None, **kwargs: Any
    ) -> None:
        if isfilelike(path2):
            super().get_file(path1, path2, for_file(callback, path1))
            return
        self._copy_with_progress(path1, cast("str", path2), callback, **kwargs)

    @unlike_base
    def put_file(self, path1: str, path2: str, callback: Progress = None, **kwargs: Any) -> None:
        if kwargs.pop("mode", "overwrite") == "create" and self.exists(path2):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._strip_protocol(path2))
        self._copy_with_progress(path1, path2, callback, **kwargs)

    def _copy_with_progress(self, path1: str, path2: str, callback: Progress, **kwargs: Any) -> None:
        source = self._strip_protocol(path1)
        if awaits_folder(path2):
            if not is_built_in(self.cp_file):
                make_folder_for(path2)  # which that need not do
            elif not osp.isdir(osp.dirname(path2)) and osp.isfile(source):
                open(source, "rb").close()  # what cannot be read leaves no folder
        self.cp_file(path1, path2, **kwargs)
        callback = for_file(callback, path1)
        if callback is DEFAULT_CALLBACK:
            return  # nobody wants to know
        size = osp.getsize(source) if osp.isfile(source) else 0
        callback.set_size(size)
        callback.absolute_update(size)

    def mv(self, path1: StrPaths, path2: StrPaths, recursive: bool = True, **kwargs: Any) -> None:
        sources, targets = path_texts(path1), path_texts(path2)
        if isinstance(sources, str) and isinstance(targets, str):
            self._move_one(self._strip_protocol(sources), self._strip_protocol(targets))
            return
        names: list[str] = self._strip_protocol([sources] if isinstance(sources, str) else sources)
        if isinstance(targets, str):
            places = other_paths(names, self._strip_protocol(targets), flatten=True)
        else:
            places = self._strip_protocol(targets)
        pairs = paired(names, places)
        check_nothing_is_lost(self, path1, [(a, b) for a, b in pairs if a != b])
        for source, target in pairs:
            self._move_one(source, target)

    def _move_one(self, source: str, target: str) -> None:
        self._make_parent(target)
        shutil.move(source, target, copy_function=self._copy_to_other_disk)

    def _copy_to_other_disk(self, source: str, target: str) -> None:
        if osp.exists(target) and osp.samefile(source, target):  # by a link, and the source is to go
            raise shutil.SameFileError(f"{source!r} and {target!r} are the same file")
        write_whole(target, partial(shutil.copyfile, source), osp.getsize(source), self.atomic)
        shutil.copystat(source, target)

    def link(self, src: str, dst: str, **kwargs: Any) -> None:
        """Make ``dst`` another name of the file ``src``."""
        os.link(self._strip_protocol(src), self._strip_protocol(dst), **kwargs)

    def symlink(self, src: str, dst: str, **kwargs: Any) -> None:
        """Make ``dst`` a symbolic link to ``src``."""
        os.symlink(self._strip_protocol(src), self._strip_protocol(dst), **kwargs)

    def rm_file(self, path: str) -> None:
        os.remove(self._strip_protocol(path))

    def rm(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        texts = path_texts(path)
        plan: list[tuple[str, bool]] = []
        for given in [texts] if isinstance(texts, str) else texts:
            stripped = self._strip_protocol(given)
            if not has_magic(stripped) or osp.lexists(stripped):
                plan.append((stripped, recursive))
                continue
            of_trees = recursive and maxdepth is None  # what lies deeper is to stay
            taken = {p for p, _ in plan}
            matches = [p for p in self._matches_in(stripped, of_trees) if p not in taken]
            for p in matches:  # before anything is removed
                self._is_tree_to_remove(p, of_trees)
            plan += [(p, of_trees) for p in matches]
        for p, of_trees in plan:
            if self._is_tree_to_remove(p, of_trees):
                shutil.rmtree(p)
            else:
                os.remove(p)

    def _is_tree_to_remove(self, path: str, recursive: bool) -> bool:
        if not self.isdir(path) or self.islink(path):
            return False
        if not recursive:
            raise ValueError(
                f"{path!r} is a folder. Cannot delete directory, set recursive=True, and for patterns no"
                " maxdepth, to remove it with all that is in it"
            )
        if osp.abspath(path) == os.getcwd():
            raise ValueError(f"Cannot delete current working directory {path!r}: it is that of this process")
        return True

    def _matches_in(self, pattern: str, recursive: bool) -> list[str]:
        """What a pattern matches, without what goes together with a folder above it; or the pattern."""
        out: list[str] = []
        top = ""
        try:
            found = self.expand_path(pattern)
        except (FileNotFoundError, ValueError):  # nothing has the name, or may have: there is no such pattern
            return [pattern]  # whose removal says so in its turn
        for p in sorted(found, key=lambda p: p + "/"):
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
        """Change the permissions of a file; an empty path is none, and not the working directory."""
        os.chmod(self._strip_protocol(path) if path != "" else path, mode)

    # opening ----------------------------------------------------------------------
    @unless_patched
    @default
    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> IO[Any]:
        plain = compression is None and not kwargs and "b" in mode and (mode == "rb" or not self._intrans)
        if plain and is_default(self._open):
            return cast("IO[Any]", self._open(path, mode))
        return super().open(path, mode, block_size, cache_options, compression, **kwargs)

    @default
    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any
    ) -> LocalFileOpener:
        path = self._strip_protocol(path)
        logger.debug("open %s as %s", path, mode)
        if self.auto_mkdir and "r" not in mode:
            self._make_parent(path)
        try:
            return LocalFileOpener(path, mode, fs=self, **kwargs)
        except FileNotFoundError as error:
            _suggest_url(error, path)
            raise
