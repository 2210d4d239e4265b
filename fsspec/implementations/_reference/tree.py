"""The folders that the keys of references make up.

Made of the keys once, when it is first asked for anything beyond a key; then it follows
what is added and removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fsspec.implementations._reference.parsing import size_of

Entry = dict[str, Any]


class Tree:
    """Keys by the folder that they lie in, and folders by theirs.

    Attributes
    ----------
    length : int
        how many keys there are
    """

    def __init__(self, references: Mapping[str, Any]) -> None:
        self.references = references
        self.length = len(references)
        self.files: dict[str, dict[str, None]] = {}
        self.folders: dict[str, dict[str, None]] = {"": {}}
        self._listings: dict[str, list[Entry]] = {}
        files = self.files
        for key in references:
            folder = key.rpartition("/")[0]
            held = files.get(folder)
            if held is None:
                files[folder] = {key: None}
            else:
                held[key] = None
        for folder in files:
            self._lead_to(folder)

    def _lead_to(self, folder: str) -> None:
        """Make a folder, and those above it that there are not yet."""
        folders = self.folders
        below: str | None = None
        while True:
            held = folders.get(folder)
            known = held is not None
            if held is None:
                held = folders[folder] = {}
            if below is not None:
                held[below] = None
                self._listings.pop(folder, None)
            if known:
                return
            below, folder = folder, folder.rpartition("/")[0]

    def add(self, key: str) -> None:
        """Take up a key, new or not."""
        folder = key.rpartition("/")[0]
        self._lead_to(folder)
        self.files.setdefault(folder, {})[key] = None
        self._listings.pop(folder, None)
        self.length = len(self.references)

    def forget(self, key: str) -> None:
        """A key has another reference."""
        self._listings.pop(key.rpartition("/")[0], None)

    def remove(self, key: str) -> None:
        """Let go of a key, and of folders that nothing is in any more."""
        folder = key.rpartition("/")[0]
        self.files.get(folder, {}).pop(key, None)
        self._listings.pop(folder, None)
        self.length = len(self.references)
        while folder and not self.files.get(folder) and not self.folders.get(folder):
            self.files.pop(folder, None)
            self.folders.pop(folder, None)
            above = folder.rpartition("/")[0]
            self.folders.get(above, {}).pop(folder, None)
            self._listings.pop(above, None)
            folder = above

    def names(self, folder: str) -> list[str] | None:
        """What lies in a folder; None where there is no such folder."""
        if folder not in self.folders:
            return None
        return [*self.folders[folder], *self.files.get(folder, ())]

    def entries(self, folder: str) -> list[Entry] | None:
        """As `names`, with sizes: None for references to all of another file."""
        if folder not in self.folders:
            return None
        listing = self._listings.get(folder)
        if listing is None:
            listing = [{"name": name, "type": "directory", "size": 0} for name in self.folders[folder]]
            references = self.references
            for key in self.files.get(folder, ()):
                listing.append({"name": key, "type": "file", "size": lenient_size(key, references[key])})
            self._listings[folder] = listing
        return listing.copy()

    def below(self, folder: str, depth: int | None, withdirs: bool) -> Iterator[str]:
        """Everything below a folder, so many levels down."""
        level: Iterable[str] = [folder]
        while level and (depth is None or depth > 0):
            deeper: list[str] = []
            for each in level:
                yield from self.files.get(each, ())
                deeper += self.folders.get(each, ())
            if withdirs:
                yield from deeper
            level = deeper
            depth = None if depth is None else depth - 1


def lenient_size(key: str, value: Any) -> int | None:
    """The size of a reference; None for one that makes no sense, which reading it will tell."""
    try:
        return size_of(key, value)
    except ValueError:
        return None
