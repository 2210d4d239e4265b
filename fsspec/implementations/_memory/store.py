"""Files by path, and beside them a tree of folders, so that a listing costs what it lists.

Programs may change both mappings from outside, and the tree follows. A file and its place in the tree
change together, under a lock; the fork waits for a change that is under way in another thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fsspec._fork.fork_lock import BriefLock

if TYPE_CHECKING:
    from fsspec.implementations.memory import MemoryFile

_changing = BriefLock()
"""Held around each change of a store, of any instance."""


class FolderTree:
    """Names of files and folders by the folder that they lie in, in the order in which files came. Folders
    that are only made, with no file below them, have no place in that order."""

    def __init__(self) -> None:
        self.children: dict[str, dict[str, None]] = {"": {}}
        # how much in a folder is a file, or a folder with one somewhere below; nothing, no entry
        self.files: dict[str, int] = {}

    def add_file(self, path: str) -> None:
        before = 0
        while path and not before:
            parent = path.rpartition("/")[0]
            before = self.files.get(parent, 0)
            if not before:
                self.add(path)
            siblings = self.children[parent]
            siblings.pop(path, None)  # its first file gives a folder its place
            siblings[path] = None
            self.files[parent] = before + 1
            path = parent

    def remove_file(self, path: str, still_there: Callable[[str], bool]) -> None:
        parent = path.rpartition("/")[0]
        left = self.files.get(parent, 1) - 1
        if left and path not in self.children:  # as it is in most calls
            self.files[parent] = left
            if not still_there(path):
                del self.children[parent][path]
            return
        folder, left = path, 0
        while folder and not left:
            folder = folder.rpartition("/")[0]
            left = self.files.get(folder, 1) - 1
            if left:
                self.files[folder] = left
            else:
                self.files.pop(folder, None)
        self.remove(path, still_there)

    def add(self, path: str) -> None:
        while path:
            parent = path.rpartition("/")[0]
            siblings = self.children.setdefault(parent, {})
            if path in siblings:
                return
            siblings[path] = None
            path = parent

    def remove(self, path: str, still_there: Callable[[str], bool]) -> None:
        """Take away a path, and the folders that are then empty."""
        while path and not self.children.get(path) and not still_there(path):
            self.children.pop(path, None)
            parent = path.rpartition("/")[0]
            self.children.get(parent, {}).pop(path, None)
            path = parent


class Store(dict[str, Any]):
    """Files by path; whatever changes it keeps the tree right."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = FolderTree()
        self.folders: list[str] = []

    def _held(self, path: str) -> bool:
        return path in self or path in self.folders

    def __setitem__(self, path: str, f: MemoryFile) -> None:
        with _changing:
            if path not in self:
                self.tree.add_file(path)
            dict.__setitem__(self, path, f)

    def __delitem__(self, path: str) -> None:
        with _changing:
            dict.__delitem__(self, path)
            self.tree.remove_file(path, self._held)

    def pop(self, path: str, *default: Any) -> Any:
        with _changing:
            present = path in self
            f = dict.pop(self, path, *default)
            if present:
                self.tree.remove_file(path, self._held)
            return f

    def popitem(self) -> tuple[str, MemoryFile]:
        with _changing:
            path, f = dict.popitem(self)
            self.tree.remove_file(path, self._held)
            return path, f

    def clear(self) -> None:
        with _changing:
            dict.clear(self)
            self.rebuild()

    def update(self, *args: Any, **kwargs: Any) -> None:
        for path, f in dict(*args, **kwargs).items():
            self[path] = f

    def setdefault(self, path: str, default: Any = None) -> Any:
        with _changing:
            if path not in self:
                self[path] = default
            return self[path]

    def rebuild(self) -> None:
        tree = FolderTree()
        for path in self:
            tree.add_file(path)
        for path in self.folders:
            tree.add(path)
        self.tree = tree


class ExplicitFolders(list[str]):
    """Explicit folders; whatever changes it keeps the tree right."""

    def __init__(self, store: Store) -> None:
        super().__init__([""])
        self.names = set(self)  # so that a look does not go through all
        self.store = store
        store.folders = self

    def __contains__(self, path: object) -> bool:
        return path in self.names

    def append(self, path: str) -> None:
        with _changing:
            super().append(path)
            self.names.add(path)
            self.store.tree.add(path)

    def remove(self, path: str) -> None:
        with _changing:
            once = len(self.names) == len(self)  # nothing is in it twice
            super().remove(path)
            if once:
                self.names.discard(path)
            else:
                self.names = set(self)
            self.store.tree.remove(path, self.store._held)

    def _noting_change(name: str) -> Callable[..., Any]:  # type: ignore[misc]  # used in the class body
        def change(self: ExplicitFolders, *args: Any, **kwargs: Any) -> object:
            with _changing:
                out = getattr(list, name)(self, *args, **kwargs)
                self.names = set(self)
                self.store.rebuild()
                return out

        return change

    __setitem__ = _noting_change("__setitem__")
    __delitem__ = _noting_change("__delitem__")
    __iadd__ = _noting_change("__iadd__")
    extend = _noting_change("extend")
    insert = _noting_change("insert")
    pop = _noting_change("pop")
    clear = _noting_change("clear")
