"""Another filesystem, seen from one of its folders.

Every operation is that of the other filesystem, with paths joined to the folder on the
way in and made relative to it on the way out.  `_SHAPES` says for each operation which
parameters are paths and what its result holds; the methods, blocking and awaitable, are
made of it.  No path leads out of the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from fsspec._loop.driving import Plan, PlanOf, call, drive, drive_awaiting
from fsspec._overriding import is_awaitable, mark_built_in, unless_patched
from fsspec._paths.paths import TAKING_ANY, path_texts, renamed, unescaped, url_text
from fsspec._paths.redaction import redact_url
from fsspec.asyn import AbstractAsyncStreamedFile, AsyncFileSystem
from fsspec.implementations.chained import ChainedFileSystem, SharingTransactions
from fsspec.registry import filesystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import check_contained

if TYPE_CHECKING:
    from fsspec._paths.types import Options


class _Shape(NamedTuple):
    """An operation: its parameters, those that are paths, and what comes out."""

    parameters: str
    paths: str = "path"
    result: str = "plain"
    awaitable: bool = True


_SHAPES: dict[str, _Shape] = {
    "cat": _Shape("path, *args, **kwargs", result="by path"),
    "cat_file": _Shape("path, *args, **kwargs"),
    "cat_ranges": _Shape("paths, starts, ends, *args, **kwargs", "paths"),
    "checksum": _Shape("path", awaitable=False),
    "copy": _Shape("path1, path2, *args, **kwargs", "path1 path2"),
    "cp_file": _Shape("path1, path2, **kwargs", "path1 path2"),
    "created": _Shape("path", awaitable=False),
    "delete": _Shape("path, recursive=False, maxdepth=None", awaitable=False),
    "du": _Shape("path, *args, **kwargs", result="by path"),
    "exists": _Shape("path"),
    "expand_path": _Shape("path, *args, **kwargs", result="paths"),
    "find": _Shape("path, *args, **kwargs", result="found"),
    "get": _Shape("rpath, *args, **kwargs", "rpath"),
    "get_file": _Shape("rpath, lpath, **kwargs", "rpath"),
    "info": _Shape("path, **kwargs", result="entry"),
    "invalidate_cache": _Shape("path=None", awaitable=False),
    "isdir": _Shape("path"),
    "isfile": _Shape("path"),
    "lexists": _Shape("path, **kwargs", awaitable=False),
    "makedirs": _Shape("path, *args, **kwargs"),
    "mkdir": _Shape("path, *args, **kwargs"),
    "modified": _Shape("path", awaitable=False),
    "mv": _Shape("path1, path2, **kwargs", "path1 path2", awaitable=False),
    "open": _Shape("path, *args, **kwargs", awaitable=False),
    "pipe": _Shape("path, *args, **kwargs"),
    "pipe_file": _Shape("path, *args, **kwargs"),
    "put": _Shape("lpath, rpath, *args, **kwargs", "rpath"),
    "put_file": _Shape("lpath, rpath, **kwargs", "rpath"),
    "rm": _Shape("path, *args, **kwargs"),
    "rm_file": _Shape("path, **kwargs"),
    "rmdir": _Shape("path", awaitable=False),
    "sign": _Shape("path, *args, **kwargs", awaitable=False),
    "size": _Shape("path"),
    "sizes": _Shape("paths", "paths"),
    "touch": _Shape("path, **kwargs", awaitable=False),
    "ukey": _Shape("path", awaitable=False),
    "walk": _Shape("path, *args, **kwargs", result="walk"),
    "write_text": _Shape("path, value, encoding=None, errors=None, newline=None, **kwargs", awaitable=False),
}


class NoFolderError(ValueError, AttributeError):
    """Neither a folder nor a filesystem was given. Also an AttributeError, which upstream raises."""


class DirFileSystem(SharingTransactions, AsyncFileSystem, ChainedFileSystem):
    """A folder of another filesystem as a filesystem.

    Parameters
    ----------
    path
        the folder.
    fs
        the other filesystem; or else
    target_protocol, target_options
        what it is made of.
    fo
        the folder, as chains of URLs call it.

    Raises
    ------
    NoFolderError
        a ValueError and an AttributeError: neither a folder nor a filesystem is given
    """

    protocol: ClassVar[str] = "dir"
    _fork_passes_on = True

    def __init__(
        self,
        path: str | None = None,
        fs: AbstractFileSystem | None = None,
        fo: str | None = None,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        super().__init__(**storage_options)
        if fs is None and target_protocol is None and path is None and fo is None:
            raise NoFolderError(
                "no folder is named: write dir://NAME::URL-OF-THE-FOLDER, or give path=, and fs= or"
                " target_protocol= if it is not local"
            )
        if fs is None:
            fs = filesystem(target_protocol or "file", **(target_options or {}))
        if self.asynchronous and not fs.async_impl:
            raise ValueError(
                f"{type(fs).__name__} is not awaitable, so a folder of it cannot be asynchronous"
            )
        if fs.async_impl and getattr(fs, "asynchronous", None) != self.asynchronous:
            raise ValueError("a folder and its filesystem have to be both asynchronous, or neither")
        self.fs: Any = fs
        self._only_blocks = not is_awaitable(fs)
        folder = path if path is not None else fo
        self.path: str = fs._strip_protocol(folder) if folder else ""

    def stats(self) -> dict[str, Any]:
        """Those of the filesystem whose folder it is."""
        return cast("dict[str, Any]", self.fs.stats())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(path={redact_url(self.path)!r}, fs={self.fs!r})"

    @property
    def sep(self) -> str:
        """That of the other filesystem."""
        return str(self.fs.sep)

    @property
    def fsid(self) -> str:
        """That of the other filesystem, and the folder."""
        return f"{self.fs.fsid}_{self.path}"

    # paths ------------------------------------------------------------------------
    def _join(self, path: object) -> Any:
        """A path, several or a mapping of them, on the other filesystem."""
        if path is None:
            return None
        if isinstance(path, dict):
            return {self._join(key): value for key, value in path.items()}
        path = path_texts(path)
        if isinstance(path, list):
            return [self._join(p) for p in path]
        if not self.path:
            return path
        if not path:
            return self.path
        rest = self._strip_protocol(path).lstrip("/")
        if "." in rest or "%" in rest:
            read = unescaped(self.fs, rest)
            if ".." in read:
                check_contained(".", [read.strip("/")])
        return f"{self.path.rstrip('/')}{self.fs.sep}{rest}"

    def _join_one(self, path: object) -> Any:
        """One path on the other filesystem; `NoPathError` for several."""
        return self._join(path if path is None else url_text(path))

    def _relpath(self, path: Any) -> Any:
        """A path, or several, of the other filesystem, as it is called here."""
        if not isinstance(path, str):
            return [self._relpath(p) for p in path]
        if not self.path:
            return path
        start = self.path.rstrip("/") + self.fs.sep
        if path.startswith(start):
            return path[len(start) :]
        # some filesystems leave out the slash that their root may be written with
        start, path = start.lstrip("/"), path.lstrip("/")
        if path.rstrip("/") == start.rstrip("/"):
            return ""
        assert path.startswith(start), f"{path!r} is not below {self.path!r}"
        return path[len(start) :]

    def _step_here(self, step: tuple[str, Any, Any]) -> tuple[str, Any, Any]:
        """What a walk gives for one folder."""
        folder, *held = step
        own = [
            {name: {**entry, "name": self._relpath(entry["name"])} for name, entry in part.items()}
            if isinstance(part, dict)
            else part
            for part in held
        ]
        return self._relpath(folder), own[0], own[1]

    # operations that no _Shape describes ----------------------------------------------
    def _plan_ls(self, path: str, detail: bool, kwargs: Options) -> PlanOf[list[Any]]:
        folder = self._join_one(path)
        found = yield call("ls", folder, detail=detail, **kwargs)
        if not detail and not self._are_in(found, folder):
            found = [entry["name"] for entry in (yield call("ls", folder, detail=True, **kwargs))]
        return cast("list[Any]", renamed(found, "listing", self._relpath))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        return drive(self.fs, self._plan_ls(path, detail, kwargs))

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        return await drive_awaiting(self.fs, self._plan_ls(path, detail, kwargs))

    def _plan_glob(self, path: str, kwargs: Options) -> Plan:
        pattern = self._join_one(path)
        found = yield call("glob", pattern, **kwargs)
        if not found and self._may_have_no_slash(pattern):
            with suppress(FileNotFoundError):
                if self._have_no_slash((yield call("ls", self.path, detail=True))):
                    found = yield call("glob", pattern.lstrip("/"), **kwargs)
        return renamed(found, "found", self._relpath)

    def glob(self, path: str, **kwargs: Any) -> Any:
        return drive(self.fs, self._plan_glob(path, kwargs))

    async def _glob(self, path: str, **kwargs: Any) -> Any:
        return await drive_awaiting(self.fs, self._plan_glob(path, kwargs))

    def _may_have_no_slash(self, pattern: str) -> bool:
        """Whether a pattern begins with a slash, but the names to match do not, as those of S3."""
        return pattern.startswith("/") and not self.fs.root_marker

    @staticmethod
    def _have_no_slash(listing: list[dict[str, Any]]) -> bool:
        return any(not entry["name"].startswith("/") for entry in listing)

    @staticmethod
    def _are_in(names: list[str], folder: str) -> bool:
        """Whether names are full paths; there are filesystems that list the last parts alone."""
        start = folder.strip("/")
        return all(name.lstrip("/").startswith(start) for name in names)

    async def set_session(self, *args: Any, **kwargs: Any) -> object:
        """Make the connections of the other filesystem, before they are needed; see its `set_session`."""
        return await self.fs.set_session(*args, **kwargs)

    async def open_async(self, path: str, *args: Any, **kwargs: Any) -> AbstractAsyncStreamedFile:
        opened: AbstractAsyncStreamedFile = await self.fs.open_async(self._join_one(path), *args, **kwargs)
        return opened

    @property
    def _fs_behind(self) -> Any:
        return self.__dict__.get("fs")


def _make(name: str, shape: _Shape, awaited: bool) -> Callable[..., Any]:
    parameters = [word.strip() for word in shape.parameters.split(",")]
    given = []
    for parameter in parameters:
        word, default, _ = parameter.partition("=")
        if word in shape.paths.split():
            join = "_join" if name in TAKING_ANY else "_join_one"
            given.append(f"self.{join}({word})")
        else:
            given.append(f"{word}={word}" if default else word)
    target, prefix, wait = ("_" + name, "async ", "await ") if awaited else (name, "", "")
    found = f"self.fs.{target}({', '.join(given)})"
    if shape.result == "walk":
        body = f"{prefix}for step in {found}: yield self._step_here(step)"
    elif shape.result == "plain":
        body = f"return {wait}{found}"
    else:
        body = f"return renamed({wait}{found}, {shape.result!r}, self._relpath)"
    scope: dict[str, Any] = {"__name__": __name__, "renamed": renamed}
    exec(f"{prefix}def {target}(self, {shape.parameters}):\n {body}", scope)  # ours, from the table
    made: Any = scope[target]
    made.__module__ = __name__
    made.__qualname__ = f"DirFileSystem.{target}"
    made.__doc__ = getattr(AbstractFileSystem, name).__doc__
    return cast("Callable[..., Any]", made)


for _name, _shape in _SHAPES.items():
    setattr(DirFileSystem, _name, _make(_name, _shape, awaited=False))
    if _shape.awaitable:
        setattr(DirFileSystem, "_" + _name, _make(_name, _shape, awaited=True))
unless_patched(DirFileSystem.lexists)
mark_built_in(DirFileSystem)
