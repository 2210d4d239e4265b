"""Remembered listings of folders.

Maps a path to its entries.  An entry may grow stale by age, and the cache may be
bounded, the listing least recently asked for going first.  It never outlives the
instance that it serves, and a forked child keeps what was listed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from typing import Any


class DirCache(MutableMapping[str, list[dict[str, Any]]]):
    """Listings by path.

    Parameters
    ----------
    use_listings_cache
        False keeps nothing.
    listings_expiry_time
        seconds for which a listing counts; None for ever.
    max_paths
        how many listings are kept; None for any number.
    **kwargs
        ignored, so that the options of a filesystem can be passed on.
    """

    __slots__ = ("_entries", "listings_expiry_time", "max_paths", "use_listings_cache")

    def __init__(
        self,
        use_listings_cache: bool = True,
        listings_expiry_time: float | None = None,
        max_paths: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.use_listings_cache = use_listings_cache
        self.listings_expiry_time = None if listings_expiry_time is None else float(listings_expiry_time)
        self.max_paths = max_paths
        self._entries: OrderedDict[str, tuple[float, list[dict[str, Any]]]] = OrderedDict()

    def _fresh(self, path: str) -> list[dict[str, Any]] | None:
        found = self._entries.get(path)
        if found is None:
            return None
        if self.listings_expiry_time is not None and time.monotonic() - found[0] > self.listings_expiry_time:
            del self._entries[path]
            return None
        return found[1]

    def __getitem__(self, path: str) -> list[dict[str, Any]]:
        found = self._fresh(path)
        if found is None:
            raise KeyError(path)
        if self.max_paths is not None:
            self._entries.move_to_end(path)
        return found

    def __contains__(self, path: object) -> bool:
        return self._fresh(path) is not None  # type: ignore[arg-type]

    def __setitem__(self, path: str, listing: list[dict[str, Any]]) -> None:
        if not self.use_listings_cache:
            return
        self._entries[path] = (time.monotonic() if self.listings_expiry_time is not None else 0.0, listing)
        if self.max_paths is not None:
            self._entries.move_to_end(path)
            while len(self._entries) > self.max_paths:
                self._entries.popitem(last=False)

    def __delitem__(self, path: str) -> None:
        del self._entries[path]

    def __iter__(self) -> Iterator[str]:
        return iter([path for path in list(self._entries) if self._fresh(path) is not None])

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        self._entries.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return DirCache, (self.use_listings_cache, self.listings_expiry_time, self.max_paths)
