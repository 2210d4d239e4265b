"""Cache filesystems: how the copy of a file is named.

A mapper is a function of the path, equal to others that give the same names.  Whether a
name stays inside the folder of the cache is checked by whoever uses it.
"""

from __future__ import annotations

import abc
from hashlib import sha256

__all__ = ["AbstractCacheMapper", "BasenameCacheMapper", "HashCacheMapper", "create_cache_mapper"]


class AbstractCacheMapper(abc.ABC):
    """Gives the name of the local copy of a path.

    A subclass that has parameters shows by ``__eq__`` and ``__hash__`` which of its
    instances give the same names.
    """

    @abc.abstractmethod
    def __call__(self, path: str) -> str:
        """The name for a path, the same in every process."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class BasenameCacheMapper(AbstractCacheMapper):
    """The last part of the path, so that copies can be recognized by people and by extension.

    Files of one name in several folders have one name here, unless enough of their folders
    are part of it.

    Parameters
    ----------
    directory_levels
        how many of the folders that lead to the file are part of the name, joined by
        ``_@_``.
    """

    _joining_text = "_@_"

    def __init__(self, directory_levels: int = 0) -> None:
        if directory_levels < 0:
            raise ValueError(f"directory_levels counts folders, it cannot be {directory_levels}")
        self.directory_levels = directory_levels

    def __call__(self, path: str) -> str:
        parts = path.rsplit("/", self.directory_levels + 1)
        if (
            len(parts) == self.directory_levels + 2 or not parts[0]
        ):  # further folders, or nothing before a slash
            del parts[0]
        return self._joining_text.join(parts)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self.directory_levels == getattr(other, "directory_levels", None)

    def __hash__(self) -> int:
        return hash((type(self), self.directory_levels))


class HashCacheMapper(AbstractCacheMapper):
    """The SHA-256 of the path, in hexadecimal: no two paths have one name."""

    def __call__(self, path: str) -> str:
        return sha256(path.encode()).hexdigest()


def create_cache_mapper(same_names: bool) -> AbstractCacheMapper:
    """The mapper that the option ``same_names`` of the caches stands for."""
    return BasenameCacheMapper() if same_names else HashCacheMapper()
