"""Files in the memory of this process.

One store (`_memory.store`) serves all instances, unless one asks for its own.  Any thread may read and
write; a listing is a snapshot of each folder, and what is gone when its turn comes is left out. A forked
child has a copy of everything, as of all memory.
"""

from __future__ import annotations

import errno
import logging
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fsspec._overriding import default, is_built_in, is_default, unless_patched
from fsspec._paths.paths import false_without_path, folder_error, url_text
from fsspec._paths.ranges import as_view, check_limits
from fsspec._public import publish
from fsspec.implementations._memory.store import ExplicitFolders, FolderTree, Store
from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Depth, Found, Options, PathOrPaths, StrPaths

publish(__name__)

logger: logging.Logger = logging.getLogger("fsspec.memoryfs")


class IsFolderError(IsADirectoryError, FileNotFoundError):
    """A folder where a file is needed: no file is found there, for programs that look for that."""


class BelowFileError(FileNotFoundError, FileExistsError):
    """What would lie below a file is opened to be read: it is not found, and the file exists."""


class FolderNotEmptyError(FileNotFoundError):
    """A folder that nobody made, and that exists only because a file is below it: it is not removed, and no
    file is found to be there."""


class MemoryFileSystem(AbstractFileSystem):
    """A filesystem in memory.

    Parameters
    ----------
    global_store
        share the files of all such instances; False gives this one its own.
    """

    store: dict[str, Any] = Store()
    pseudo_dirs: list[str] = ExplicitFolders(store)  # type: ignore[arg-type]  # a Store: programs see a dict
    protocol: ClassVar[str | tuple[str, ...]] = "memory"
    root_marker = "/"
    _fsspec_only_transactions_wait: ClassVar[bool] = True

    def __init__(self, *args: Any, global_store: bool = True, **kwargs: Any) -> None:
        self.global_store = global_store
        if not global_store and "store" not in self.__dict__:
            store = Store()
            self.store = store
            self.pseudo_dirs = ExplicitFolders(store)
        super().__init__(*args, **kwargs)

    @property
    def _fs_token(self) -> str:
        token = super()._fs_token
        return token if self.global_store else f"{token[:-8]}{id(self.store) & 0xFFFFFFFF:08x}"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.global_store:
            return super().__reduce__()
        files = {path: f.getvalue() for path, f in self.store.items()}
        return _with_files, (type(self), self.storage_args, self.storage_options, files, [*self.pseudo_dirs])

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if type(path) is not str:
            if isinstance(path, list):
                return [cls._strip_protocol(p) for p in path]
            path = url_text(stringify_path(path)).removeprefix("memory://")
        if ":" in path:
            path = path.removeprefix("memory://")
            if "::" in path or "://" in path:
                return path.rstrip("/")
        path = path.strip("/")
        return "/" + path if path else ""

    # entries ----------------------------------------------------------------------
    def _tree_at(self) -> dict[str, dict[str, None]]:
        store = self.store
        return (store.tree if type(store) is Store else self._whole_tree()).children

    def _whole_tree(self) -> FolderTree:
        store = self.store
        if not isinstance(store, Store):  # a program put a plain dict in its place
            fresh = Store()
            fresh.folders = self.pseudo_dirs
            dict.update(fresh, store)
            fresh.rebuild()
            return fresh.tree
        return store.tree

    def _is_folder(self, path: str) -> bool:
        return path == "" or bool(self._tree_at().get(path)) or path in self.pseudo_dirs

    @staticmethod
    def _folder_at(path: str) -> dict[str, Any]:
        return {"name": path, "size": 0, "type": "directory"}

    @staticmethod
    def _file_at(path: str, f: MemoryFile) -> dict[str, Any]:
        """An entry of a listing: its time is in seconds, that of `info` a `datetime.datetime`."""
        made = getattr(f, "created", None)
        return {
            "name": path,
            "size": f.size,
            "type": "file",
            "created": made.timestamp() if isinstance(made, datetime) else made,
        }

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        f = self.store.get(path)
        if f is not None:
            return [self._file_at(path, f)] if detail else [path]
        tree, store = self._whole_tree(), self.store
        inside = list(tree.children.get(path, ()))
        if not inside and not self._is_folder(path):
            raise FileNotFoundError(path)
        if not detail:
            return sorted(inside + [p for p in inside if p in store and self._is_folder(p)])
        entries, made = [], []
        explicit = getattr(self.pseudo_dirs, "names", self.pseudo_dirs)
        for p in inside:
            f = store.get(p)
            if f is not None:
                entries.append(self._file_at(p, f))
            if tree.files.get(p):
                entries.append(self._folder_at(p))
            elif tree.children.get(p) or p in explicit:
                made.append(self._folder_at(p))  # folders without a file come last
        return entries + made

    @default
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if self._is_folder(path):
            return self._folder_at(path)
        f = self.store.get(path)
        if f is not None:
            return {**self._file_at(path, f), "created": getattr(f, "created", None)}
        raise FileNotFoundError(path)

    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Found:
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        path = self._strip_protocol(path)
        tree, store = self._tree_at(), self.store
        out: dict[str, Any] = {}
        top = store.get(path)
        if top is not None:
            return {path: self._file_at(path, top)} if detail else [path]
        if withdirs and path and self.isdir(path):
            out[path] = self._folder_at(path) if is_default(self.info) else self.info(path)
        level = [path]
        depth = 0
        while level and (maxdepth is None or depth < maxdepth):
            depth += 1
            following = []
            for folder in level:
                for name in list(tree.get(folder, ())):
                    f = store.get(name)
                    if f is not None:
                        out[name] = self._file_at(name, f) if detail else None
                        if name in tree:
                            following.append(name)
                    elif self._is_folder(name):
                        following.append(name)
                        if withdirs:
                            out[name] = self._folder_at(name)
            level = following
        names = sorted(out)
        return {name: out[name] for name in names} if detail else names

    @unless_patched
    @false_without_path
    def exists(self, path: str, **kwargs: Any) -> bool:
        if not is_default(self.info):
            return super().exists(path, **kwargs)
        path = self._strip_protocol(path)
        return path in self.store or self._is_folder(path)

    def isfile(self, path: str) -> bool:
        return self._strip_protocol(path) in self.store

    @unless_patched
    def isdir(self, path: str) -> bool:
        if not is_default(self.info):
            return super().isdir(path)
        return self._is_folder(self._strip_protocol(path))

    def created(self, path: str) -> datetime:
        path = self._strip_protocol(path)
        if path not in self.store:
            raise FileNotFoundError(path)
        created: datetime = self.store[path].created
        return created

    def modified(self, path: str) -> datetime:
        path = self._strip_protocol(path)
        f = self.store.get(path)
        if f is None:
            raise FileNotFoundError(path)
        modified: datetime = f.modified
        return modified

    # folders ----------------------------------------------------------------------
    def _is_file(self, path: str) -> bool:
        """Whether there is a file, or an `isfile` of its own says so."""
        return path in self.store if is_built_in(self.isfile) else self.isfile(path)

    def _check_parents(self, path: str, error: type[OSError]) -> None:
        parent = path.rpartition("/")[0]
        while parent:
            if self._is_file(parent):
                raise error(f"{path!r}: {parent!r} is a file, so that nothing can lie below it")
            parent = parent.rpartition("/")[0]

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if path in self.store or path in self.pseudo_dirs:
            raise FileExistsError(path)
        self._check_parents(path, NotADirectoryError)
        parent = path.rpartition("/")[0]
        if create_parents and parent:
            with suppress(FileExistsError):  # from now on it stays, even without the files in it
                self.mkdir(parent, create_parents=True)
        self.pseudo_dirs.append(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        path = self._strip_protocol(path)
        try:
            self.mkdir(path, create_parents=True)
        except FileExistsError:
            if not exist_ok:
                raise

    def rmdir(self, path: str) -> None:
        path = self._strip_protocol(path)
        if path == "":
            return  # the root stays
        if path not in self.pseudo_dirs and not self._tree_at().get(path):
            raise FileNotFoundError(path)
        if self._tree_at().get(path) if is_built_in(self.ls) else self.ls(path, detail=False):
            kind = OSError if path in self.pseudo_dirs else FolderNotEmptyError
            hint = "recursive=True removes all that is in it, or moves it where mv was called"
            raise kind(errno.ENOTEMPTY, f"Directory not empty; {hint}", path)
        with suppress(ValueError):  # another thread was faster
            self.pseudo_dirs.remove(path)

    # whole files ------------------------------------------------------------------
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        path = self._strip_protocol(path)
        f = self.store.get(path)
        if f is None:
            raise (
                folder_error(path, IsFolderError)
                if self._is_folder(path) and path
                else FileNotFoundError(path or "the path is empty: that is the root, and no file")
            )
        if start is None and end is None:
            data: bytes = f.getvalue()
            return data
        check_limits(path, start, end)
        # not getbuffer: that copies all that is shared with whoever wrote or read it
        part: bytes = f.getvalue()[start:end]
        return part

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        if not self._fsspec_opens_itself:  # which is asked as upstream's, and need not write the bytes itself
            self.open(path, "xb" if mode == "create" else "wb", data=value)
            return
        if self._intrans:  # the file waits for the end, as others do
            return super().pipe_file(path, value, mode, **kwargs)
        path = self._strip_protocol(path)
        if mode == "create" and self.exists(path):
            raise FileExistsError(path)
        self._check_target(path)
        as_view(path, value).release()  # MemoryFile would take None for no bytes
        self.store[path] = MemoryFile(self, path, value)

    def _check_target(self, path: str) -> None:
        if path in self.store and is_built_in(self.isfile):
            return
        if path in self.pseudo_dirs and path not in self.store:
            raise folder_error(path)
        self._check_parents(path, FileExistsError)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        f = self.store.get(path1) if self._is_file(path1) else None
        if f is not None:
            self.store[path2] = MemoryFile(self, path2, f.getvalue())
        elif self.isdir(path1):
            if path2 not in self.pseudo_dirs:
                self.pseudo_dirs.append(path2)
        else:
            raise FileNotFoundError(path1)

    @default
    def _rm(self, path: str) -> None:
        path = self._strip_protocol(path)
        try:
            del self.store[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def rm(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        asked = self.rm_file, self._rm, self.isfile, self.exists, self.info
        plainly = all(map(is_built_in, asked))
        whole = plainly and recursive and maxdepth is None  # what is in a folder now was written meanwhile
        folders = {p for p in paths if self._is_folder(p)}
        for p in reversed(paths):
            if plainly and self.store.pop(p, None) is not None:
                continue
            if not plainly and self.isfile(p):
                self.rm_file(p)
            elif p in folders and not self._is_folder(p):
                continue  # it went with what was in it
            elif not self.exists(p):
                raise FileNotFoundError(p)
            elif p and not (whole and self._tree_at().get(p)):
                self.rmdir(p)

    @contextmanager
    def _replacing_upload(self, path: str) -> Iterator[MemoryFile]:
        """A file that replaces what is there once all of it has come."""
        f = MemoryFile(self, path)
        yield f
        f.commit()

    def _fsspec_open_upload(self, path: str, kwargs: Options) -> AbstractContextManager[IO[Any]]:
        if kwargs or self._intrans or not self._fsspec_opens_itself:
            return super()._fsspec_open_upload(path, kwargs)
        path = self._strip_protocol(path)
        self._check_target(path)
        return self._replacing_upload(path)

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
        if compression is None and not kwargs and "b" in mode and is_default(self._open):
            if mode == "rb" and is_built_in(self.isfile):
                present = self.store.get(self._strip_protocol(path))
                if present is not None:
                    logger.debug("open %s as %s", path, mode)
                    return _Reader(self, present.path, present)
            if not self._intrans or mode == "rb":
                return self._open(path, mode)
        file = super().open(path, mode, block_size, cache_options, compression, **kwargs)
        if self._intrans and kwargs.get("autocommit") and type(file) is MemoryFile:
            file.commit()  # it is not the transaction's
        return file

    @default
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> MemoryFile | _Reader:
        path = self._strip_protocol(path)
        logger.debug("open %s as %s", path, mode)
        kind = mode.replace("b", "").replace("t", "")
        if kind not in ("r", "w", "a", "x", "r+", "w+", "a+", "x+"):
            raise ValueError(f"unsupported file mode for {type(self).__name__}: {kind!r}")
        present: MemoryFile | None = self.store.get(path)
        if kind[0] == "x" and self.exists(path):
            raise FileExistsError(path)
        if kind[0] == "r":
            if not is_built_in(self.isfile):
                self._check_parents(path, FileExistsError)
            if present is None:
                if self._is_folder(path):
                    raise folder_error(path, IsFolderError)
                self._check_parents(path, BelowFileError)
                raise FileNotFoundError(path)
            if kind == "r":
                return _Reader(self, path, present)
            present.seek(0)
            present.mode = mode  # type: ignore[misc]  # a property of BytesIO's stub only
            return present
        self._check_target(path)
        passed_on = not self._intrans or is_default(self._open)
        at_once = autocommit and passed_on  # a subclass may have kept autocommit=False to itself
        if kind[0] == "a" and present is not None and at_once:  # as in r+: one file, of all who write to it
            f = present
            f.modified = datetime.now(tz=timezone.utc)
        elif kind[0] == "a" and present is not None:
            f = MemoryFile(self, path, present.getvalue())
        else:  # a file that begins with the bytes of ``data``, as its `MemoryFile` takes them
            f = MemoryFile(self, path, kwargs.get("data"))
        if kind[0] == "a":
            f.seek(0, 2)
            if not at_once:
                f._appended_to = b"" if present is None else present.getvalue()
        f.mode = mode  # type: ignore[misc]  # a property of BytesIO's stub only
        if at_once and f is not present:
            self.store[path] = f
        return f


def _with_files(
    cls: type[MemoryFileSystem],
    args: tuple[Any, ...],
    options: Options,
    files: dict[str, bytes],
    folders: list[str],
) -> MemoryFileSystem:
    """A filesystem with a store of its own from its pickled form; another one, with the same files."""
    fs = cls(*args, **{**options, "skip_instance_cache": True})
    fs.pseudo_dirs[:] = folders
    for path, data in files.items():
        fs.store[path] = MemoryFile(fs, path, data)
    return fs


class MemoryFile(BytesIO):
    """A file in memory; what is written is visible once it is committed.

    Closing changes nothing: the store keeps the object.
    """

    created: datetime
    modified: datetime
    _appended_to: bytes | None = None
    """What a file held that a transaction appends to."""

    def __init__(
        self, fs: MemoryFileSystem | None = None, path: str | None = None, data: ReadableBuffer | None = None
    ) -> None:
        super().__init__(b"" if data is None else data)
        self.fs: Any = fs  # None, without a path, only if a file belongs to no store
        self.path: Any = path
        self.created = self.modified = datetime.now(tz=timezone.utc)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.getvalue())  # not getbuffer, which copies what is shared with readers

    def __enter__(self) -> MemoryFile:
        return self

    def close(self) -> None:
        """Nothing: the store keeps the bytes."""

    def flush(self, force: bool = False) -> None:
        """Nothing, as there is no block; ``force`` is that of other filesystems' files."""
        super().flush()

    def discard(self) -> None:
        """Forget it."""

    def commit(self) -> None:
        """Put it into the store: what was appended goes after what the file holds by then."""
        if self.closed:
            return
        self.modified = datetime.now(tz=timezone.utc)
        before, data, present = self._appended_to, self.getvalue(), self.fs.store.get(self.path)
        if (
            before is None
            or present in (None, self)
            or present.getvalue() == before
            or not data.startswith(before)
        ):
            self.fs.store[self.path] = self
        else:  # others wrote meanwhile
            position = present.tell()
            present.seek(0, 2)
            present.write(data[len(before) :])
            present.seek(position)
            present.modified = self.modified
            BytesIO.close(self)  # what is written to it from now on would be lost


class _Reader(MemoryFile):
    """A reader with a position of its own, that can be closed."""

    def __init__(self, fs: MemoryFileSystem, path: str, f: MemoryFile) -> None:
        BytesIO.__init__(self, f.getvalue())  # shared by BytesIO until somebody writes
        self.fs, self.path = fs, path
        self.created, self.modified = f.created, f.modified
        self.mode = "rb"  # type: ignore[misc]  # a property of BytesIO's stub only

    def writable(self) -> bool:
        return False

    def write(self, data: ReadableBuffer) -> int:
        import io

        raise io.UnsupportedOperation(f"{self.path!r} is open for reading")

    def writelines(self, lines: Iterable[ReadableBuffer]) -> None:
        self.write(b"")

    def truncate(self, size: int | None = None) -> int:
        return self.write(b"")

    def close(self) -> None:
        BytesIO.close(self)

    def commit(self) -> None:
        """Does nothing: the content is visible already."""

    def __reduce__(self) -> tuple[Any, ...]:
        """With its content: who loads it has another memory, or a file of the same name in it."""
        state = {"fs": self.fs, "path": self.path, "created": self.created, "modified": self.modified}
        return MemoryFile, (self.fs, self.path), (self.getvalue(), self.tell(), state)


_Reader.__name__ = _Reader.__qualname__ = "MemoryFile"
