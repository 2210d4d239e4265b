"""The folders that the keys of references imply.

Built from the keys when first needed, then updated as keys are added and removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fsspec.implementations._reference.parsing import size_of

_FILE, _FOLDER = 1, 2  # a name can be both: nothing forbids the keys "a" and "a/b"


class KeyTree:
    """Keys and folders by the folder that they lie in, in the order of the references.

    ``length``: how many keys there are.
    ``folders``: for each folder the paths in it, with what each is.
    """

    def __init__(self, references: Mapping[str, Any]) -> None:
        self.references = references
        self.length = len(references)
        self.folders: dict[str, dict[str, int]] = {"": {}}
        self._listings: dict[str, list[dict[str, Any]]] = {}
        folders = self.folders
        for key in references:
            folder = key.rpartition("/")[0]
            held = folders.get(folder)
            if held is None:
                held = self._made(folder)
            held[key] = held[key] | _FILE if key in held else _FILE

    def _made(self, folder: str) -> dict[str, int]:
        """Add a folder and its missing parents."""
        made: dict[str, int] = {}
        self.folders[folder] = made
        while folder:
            above = folder.rpartition("/")[0]
            held = self.folders.get(above)
            known = held is not None
            if held is None:
                held = self.folders[above] = {}
            held[folder] = held.get(folder, 0) | _FOLDER
            self._listings.pop(above, None)
            if known:
                break
            folder = above
        return made

    def add(self, key: str) -> None:
        folder = key.rpartition("/")[0]
        held = self.folders.get(folder)
        if held is None:
            held = self._made(folder)
        held[key] = held.get(key, 0) | _FILE
        self._listings.pop(folder, None)
        self.length = len(self.references)

    def replaced(self, key: str) -> None:
        """Drop cached entries with the size of a key, as its reference was replaced."""
        self._listings.pop(key.rpartition("/")[0], None)

    def remove(self, key: str) -> None:
        """Remove a key, and folders that are empty then."""
        self._unlink(key, _FILE)
        self.length = len(self.references)
        folder = key.rpartition("/")[0]
        while folder and not self.folders.get(folder):
            self.folders.pop(folder, None)
            self._listings.pop(folder, None)
            self._unlink(folder, _FOLDER)
            folder = folder.rpartition("/")[0]

    def _unlink(self, path: str, kind: int) -> None:
        above = path.rpartition("/")[0]
        self._listings.pop(above, None)
        held = self.folders.get(above, {})
        left = held.get(path, 0) & ~kind
        if left:
            held[path] = left
        else:
            held.pop(path, None)

    def names(self, folder: str) -> list[str] | None:
        """What lies in a folder; None if there is no such folder."""
        held = self.folders.get(folder)
        if held is None:
            return None
        if _FILE | _FOLDER in held.values():
            return [name for name, kind in held.items() for _ in range(kind.bit_count())]
        return list(held)

    def entries(self, folder: str) -> list[dict[str, Any]] | None:
        """As `names`, as entries; the size is None for references to a whole file."""
        held = self.folders.get(folder)
        if held is None:
            return None
        listing = self._listings.get(folder)
        if listing is None:
            listing, references = [], self.references
            for name, kind in held.items():
                if kind & _FOLDER:
                    listing.append({"name": name, "type": "directory", "size": 0})
                if kind & _FILE:
                    size = size_if_valid(name, references[name])
                    listing.append({"name": name, "type": "file", "size": size})
            self._listings[folder] = listing
        return listing.copy()

    def below(self, folder: str, depth: int | None, withdirs: bool) -> Iterator[str]:
        """Everything below a folder, up to ``depth`` levels."""
        level: Iterable[str] = [folder]
        while level and (depth is None or depth > 0):
            deeper: list[str] = []
            for each in level:
                for name, kind in self.folders.get(each, {}).items():
                    if kind & _FILE:
                        yield name
                    if kind & _FOLDER:
                        deeper.append(name)
            if withdirs:
                yield from deeper
            level = deeper
            depth = None if depth is None else depth - 1


def size_if_valid(key: str, value: object) -> int | None:
    """The size of a reference; None for an invalid one, for which reading raises."""
    try:
        return size_of(key, value)
    except ValueError:
        return None
