"""Files inside one file.

Owns what archive formats share: listings from a table of members.  A format brings
``_get_dirs``, which fills ``self.dir_cache`` with an entry for each member by path, and
``_open``.  Members need no folder entries; those that are lacking are made up.

The index by folder is made from that table once; what a writable archive adds to the
table is added to the index.

Names in an archive are not trusted.  Paths have no slash at their beginning, whatever the
archive says; what would lead out of the folder that it is unpacked into can be read, but
is not downloaded (`get`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from fsspec._overriding import replaced, unless_patched
from fsspec._paths.paths import path_texts
from fsspec._paths.redaction import redact_text
from fsspec._plans.listing import check_depth
from fsspec._similar import similar
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Found, Progress, StrPaths


__all__ = ["AbstractArchiveFileSystem"]


text_may_write: ContextVar[Collection[str] | None] = ContextVar("text_may_write", default=None)
"""While a filesystem is made of JSON: the classes of archives that may be written, "module:Class"."""


def check_may_write(cls: type, fo: object, mode: str) -> None:
    """Refuse to open an archive for writing because a decoded JSON text says so.

    Raises
    ------
    ValueError
        unless the class is one that the reader of the text allows
    """
    name, allowed = f"{cls.__module__}:{cls.__qualname__}", text_may_write.get()
    if allowed is not None and name not in allowed:
        raise ValueError(
            f"a text does not open the archive {redact_text(repr(fo))} with mode {mode!r}, which may"
            f" empty it: open it yourself, or pass allow=[{name!r}]"
        )


class MissingMemberError(FileNotFoundError):
    """There is no such member.

    ``tell``: what is said of it besides its path, or a function that finds that, asked only if the text is:
        many programs look for what may be absent.
    """

    def __init__(self, path: str, tell: str | Callable[[], str] = "") -> None:
        super().__init__(path)
        self._tell_more = tell

    def __str__(self) -> str:
        if not isinstance(self._tell_more, str):
            self._tell_more = self._tell_more()
        return f"{self.args[0]}: {self._tell_more}" if self._tell_more else str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        str(self)
        return type(self), (self.args[0], self._tell_more)


def where_missing(place: str, path: str, names: Iterable[str]) -> str:
    """The text of the error about a member that is missing in a ``place``, with one of its ``names`` that may
    be meant."""
    known = list(islice(names, 2000))
    wanted = path.strip("/")
    ending = (name for name in known if name.rpartition("/")[2] == wanted.rpartition("/")[2])
    close = next(ending, None) or similar(wanted, known)
    if close:
        return f"not in {place}; is {close!r} meant?"
    if not known:
        return f"not in {place}, which is empty"
    more = f" and {len(known) - 3} more" if 3 < len(known) < 2000 else ", ..." if len(known) > 3 else ""
    return f"not in {place}, which has {', '.join(map(repr, known[:3]))}{more}"


class AbstractArchiveFileSystem(AbstractFileSystem):
    """A filesystem over the members of an archive.

    Attributes
    ----------
    dir_cache : dict of str to dict
        the entries of the members and of the folders that lead to them; None until they have been read
    """

    dir_cache: dict[str, dict[str, Any]] | None = None
    _indexed_cache: tuple[dict[str, dict[str, Any]] | None, int] = (None, -1)
    """The table that the index was made from, and how long it was."""
    _entries_by_folder: dict[str, dict[str, dict[str, Any]]]
    """For each folder the entries in it, by full path."""
    _refused_members: dict[str, str]
    """Why a path is not to be downloaded; a format fills it as it does ``dir_cache``."""

    def __repr__(self) -> str:
        return f"<Archive-like object {type(self).__name__} at {id(self):#x}>"

    __str__ = __repr__

    def _get_dirs(self) -> None:
        """Fill ``self.dir_cache``; called before each look at it, so remember the work."""
        raise NotImplementedError(f"{type(self).__name__} cannot read members")

    def _all_dirnames(self, paths: Iterable[str]) -> set[str]:
        """The folders that lead to paths, without the root."""
        found: set[str] = set()
        for path in paths:
            folder = _folder_of(path.rstrip("/"))
            while folder and folder not in found:
                found.add(folder)
                folder = _folder_of(folder)
        return found

    def ukey(self, path: str) -> str:
        """A digest of the archive and the path in it."""
        return tokenize(path, self._fs_token, self.protocol)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of a member or folder. Raises FileNotFoundError if the archive has no such member."""
        name = self._member_name(path)
        if not name:
            return {"name": "", "type": "directory", "size": 0}
        entry = self._indexed_folders().get(_folder_of(name), {}).get(name)
        if entry is None:
            raise self._missing_member(path)
        return entry

    def _missing_member(self, path: str) -> MissingMemberError:
        table = self.dir_cache or {}
        return MissingMemberError(path, partial(where_missing, self._archive_name, path, table))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The members in a folder, or the member itself; see `AbstractFileSystem.ls`.

        Raises FileNotFoundError if the archive has no such member or folder.
        """
        name = self._member_name(path)
        found = self._indexed_folders().get(name)
        if found is None:
            entry = self.info(path)
            found = {} if entry["type"] == "directory" else {name: entry}
        return [found[name] for name in sorted(found)] if detail else sorted(found)

    @unless_patched
    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Found:
        """The members below a folder; see `AbstractFileSystem.find`.

        Members below one that is a file are found as well: no member is left out.
        """
        own = (replaced(self, name) for name in ("ls", "info", "isdir", "isfile", "walk"))
        if type(self).ls is not AbstractArchiveFileSystem.ls or any(own):  # listings of its own
            return cast("Found", super().find(path, maxdepth, withdirs, detail, **kwargs))
        check_depth(maxdepth)
        top = self._member_name(path)
        index = self._indexed_folders()
        if top not in index and top not in index.get(_folder_of(top), {}):
            while "//" in top:  # no member is called so, perhaps one without the doubled slashes
                top = top.replace("//", "/")
        found: dict[str, dict[str, Any]] = {}
        level, depth = [top], 0
        while level and (maxdepth is None or depth < maxdepth):
            below = [(name, entry) for folder in level for name, entry in index.get(folder, {}).items()]
            found.update((n, entry) for n, entry in below if withdirs or entry["type"] != "directory")
            level = [name for name, _ in below if name in index]
            depth += 1
        above = index.get(_folder_of(top), {}).get(top)
        if above is not None and (withdirs or above["type"] != "directory"):
            found[top] = above
        return {name: found[name] for name in sorted(found)} if detail else sorted(found)

    @unless_patched
    def get(
        self,
        rpath: StrPaths,
        lpath: StrPaths,
        recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> None:
        """Unpack members; see `AbstractFileSystem.get`.

        Raises ValueError if the name or the link of one of them leads out of the archive: absolute, or
            through ``..``. Nothing is written then.
        """
        self._indexed_folders()
        rpath = path_texts(rpath)
        refused = self.__dict__.get("_refused_members")
        if refused:
            for path in self.expand_path(rpath, recursive=recursive, maxdepth=maxdepth):
                if path.rstrip("/") in refused:
                    why = refused[path.rstrip("/")]
                    raise ValueError(f"{self._archive_name}: {why}, and is not unpacked; nothing was written")
        super().get(rpath, lpath, recursive, callback, maxdepth, **kwargs)

    @property
    def _archive_name(self) -> str:
        """The archive, as messages may show it."""
        return repr(self)

    def _member_name(self, path: str) -> str:
        return str(self._strip_protocol(path).strip("/"))

    def _indexed_folders(self) -> dict[str, dict[str, dict[str, Any]]]:
        self._get_dirs()
        table = self.dir_cache if self.dir_cache is not None else {}
        indexed, length = self._indexed_cache
        if indexed is not table or length > len(table):
            index: dict[str, dict[str, dict[str, Any]]] = {"": {}}
            _add(index, table.items())
            self._entries_by_folder = index  # whole, for other threads
        elif length < len(table):
            newest = [*islice(reversed(table.items()), len(table) - length)]
            _add(self._entries_by_folder, reversed(newest))
        self._indexed_cache = (table, len(table))
        return self._entries_by_folder


def leads_outside(name: str) -> bool:
    """Whether a name in an archive leads out of the folder that this is unpacked into."""
    return name.startswith("/") or (".." in name and ".." in name.split("/"))


def add_folders(table: dict[str, dict[str, Any]], name: str) -> None:
    """Put the folders that lead to a member into a table of entries, as upstream's tables have them."""
    folder = _folder_of(name)
    while folder and folder not in table:
        table[folder] = {"name": folder, "size": 0, "type": "directory"}
        folder = _folder_of(folder)


def _folder_of(path: str) -> str:
    """The folder that a path lies in; more than one slash between the two counts as one."""
    return path.rpartition("/")[0].rstrip("/")


def _add(index: dict[str, dict[str, dict[str, Any]]], members: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Put members into an index by folder, with the folders that lead to them."""

    def folder(path: str) -> dict[str, dict[str, Any]]:
        inside = index.get(path)
        if inside is None:
            inside = index[path] = {}
            todo = path
            while todo:  # a name can have thousands of levels
                above = _folder_of(todo)
                known = above in index
                entry = {"name": todo, "size": 0, "type": "directory"}
                index.setdefault(above, {}).setdefault(todo, entry)
                if known:
                    break
                todo = above
        return inside

    for path, entry in members:
        name = path.strip("/")
        if name:
            folder(_folder_of(name))[name] = entry
