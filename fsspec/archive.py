"""Files inside one file.

Owns what archive formats share: listings from a table of members.  A format brings
``_get_dirs``, which fills ``self.dir_cache`` with an entry for each member by path, and
``_open``.  Members need no folder entries; those that are lacking are made up.

The index by folder is made from that table once, and again when the table has changed
(a writable archive adds to it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fsspec.spec import AbstractFileSystem
from fsspec.utils import tokenize

__all__ = ["AbstractArchiveFileSystem"]

Entry = dict[str, Any]


class AbstractArchiveFileSystem(AbstractFileSystem):
    """A filesystem over the members of an archive.

    Attributes
    ----------
    dir_cache : dict of str to dict
        the entries of the members; None until they have been read
    """

    dir_cache: dict[str, Entry] | None = None
    _indexed: tuple[dict[str, Entry] | None, int] = (None, -1)
    """The table that the index is of, and how long it was."""
    _index: dict[str, dict[str, Entry]]
    """For each folder the entries in it, by full path."""

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
            folder = path.rstrip("/").rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    def ukey(self, path: str) -> str:
        """A digest of the archive and the path in it."""
        return tokenize(path, self._fs_token, self.protocol)

    def info(self, path: str, **kwargs: Any) -> Entry:
        """The entry of a member or folder.

        Raises
        ------
        FileNotFoundError
            where the archive has no such member
        """
        name = self._name(path)
        if not name:
            return {"name": "", "type": "directory", "size": 0}
        entry = self._folders().get(name.rpartition("/")[0], {}).get(name)
        if entry is None:
            raise FileNotFoundError(path)
        return entry

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The members in a folder, or the member itself; see `AbstractFileSystem.ls`.

        Raises
        ------
        FileNotFoundError
            where the archive has no such member or folder
        """
        name = self._name(path)
        found = self._folders().get(name)
        if found is None:
            entry = self.info(path)
            found = {} if entry["type"] == "directory" else {name: entry}
        return [found[name] for name in sorted(found)] if detail else sorted(found)

    def _name(self, path: str) -> str:
        return self._strip_protocol(path).strip("/")

    def _folders(self) -> dict[str, dict[str, Entry]]:
        self._get_dirs()
        table = self.dir_cache if self.dir_cache is not None else {}
        indexed, length = self._indexed
        if indexed is not table or length != len(table):
            self._index = _by_folder(table)
            self._indexed = (table, len(table))
        return self._index


def _by_folder(table: dict[str, Entry]) -> dict[str, dict[str, Entry]]:
    index: dict[str, dict[str, Entry]] = {"": {}}

    def folder(path: str) -> dict[str, Entry]:
        inside = index.get(path)
        if inside is None:
            inside = index[path] = {}
            above = folder(path.rpartition("/")[0])
            above.setdefault(path, {"name": path, "size": 0, "type": "directory"})
        return inside

    for path, entry in table.items():
        name = path.strip("/")
        if name:
            folder(name.rpartition("/")[0])[name] = entry
    return index
