"""The listing cache: what an instance remembers of its folders, and for how long.

Maps a path to the entries in it.  Only what is fresh is kept: a listing older than the
expiry time is neither found, counted nor iterated over.  Where the number of listings is
bounded, the least recently used one is dropped first.

Any thread may use it.  There is no lock, since one would have to be replaced in a forked
child: each step is one operation of a dict, and what another thread removed in between
is simply not there.  A child keeps what its parent listed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from typing import Any

from fsspec._paths.ranges import as_number

__all__ = ["DirCache"]

_MISSING: Any = object()


class DirCache(MutableMapping[str, Any]):
    """Listings by path.

    Parameters
    ----------
    use_listings_cache
        False remembers nothing
    listings_expiry_time
        seconds for which a listing counts; 0 for none at all, None for ever
    max_paths
        how many listings are kept; None for any number
    **kwargs
        ignored, so that all options of a filesystem can be passed on

    Notes
    -----
    Pickled it is empty: the settings travel, listings do not. Those of a filesystem do if the
    configuration says so: ``{"pickle": {"listings": true}}``.
    """

    def __init__(
        self,
        use_listings_cache: bool = True,
        listings_expiry_time: float | None = None,
        max_paths: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.use_listings_cache = use_listings_cache
        self.listings_expiry_time: float | None = as_number(
            "listings_expiry_time", listings_expiry_time, "seconds"
        )
        self.max_paths: int | None = as_number("max_paths", max_paths, "listings")
        self._kept_listings: dict[str, Any] = {}  # the least recently used first, if that matters
        self._expiry_times: dict[str, float] = {}  # if listings expire: the monotonic time

    def _is_expired(self, path: Any) -> bool:
        return self.listings_expiry_time is not None and self._expiry_times.get(path, 0.0) <= time.monotonic()

    def _drop_listing(self, path: Any) -> None:
        self._expiry_times.pop(path, None)
        self._kept_listings.pop(path, None)

    def __getitem__(self, path: str) -> list[dict[str, Any]]:
        listing: list[dict[str, Any]] = self._kept_listings[path]
        if self.listings_expiry_time is not None and self._is_expired(path):
            self._drop_listing(path)
            raise KeyError(path)
        if self.max_paths and self._kept_listings.pop(path, _MISSING) is not _MISSING:
            self._kept_listings[path] = listing
        return listing

    def __contains__(self, path: object) -> bool:
        if path not in self._kept_listings:
            return False
        if self.listings_expiry_time is not None and self._is_expired(path):
            self._drop_listing(path)
            return False
        return True

    def __setitem__(self, path: str, listing: list[dict[str, Any]]) -> None:
        if not self.use_listings_cache:
            return
        if self.listings_expiry_time is not None:
            self._expiry_times[path] = time.monotonic() + self.listings_expiry_time
        if not self.max_paths:
            self._kept_listings[path] = listing
            return
        self._kept_listings.pop(path, None)
        self._kept_listings[path] = listing
        for oldest in list(self._kept_listings)[: max(0, len(self._kept_listings) - self.max_paths)]:
            self._drop_listing(oldest)

    def __delitem__(self, path: str) -> None:
        self._expiry_times.pop(path, None)
        del self._kept_listings[path]

    def pop(self, key: str, default: object = _MISSING) -> Any:
        """Forget a listing and return it; without one ``default``, or KeyError if none is given."""
        try:
            listing = self[key]
        except KeyError:
            if default is _MISSING:
                raise
            return default
        self._drop_listing(key)  # another thread may have been faster
        return listing

    def __iter__(self) -> Iterator[str]:
        """The paths whose listings are fresh; others are dropped on the way, and changes meanwhile are no
        error."""
        return (path for path in list(self._kept_listings) if path in self)

    def __len__(self) -> int:
        if self.listings_expiry_time is None:
            return len(self._kept_listings)
        return sum(not self._is_expired(path) for path in list(self._kept_listings))

    def clear(self) -> None:
        """Forget every listing."""
        self._kept_listings.clear()
        self._expiry_times.clear()

    def packed(self) -> list[tuple[str, Any, float | None]]:
        """Path, listing, and seconds for which it still counts (None: for ever), of each that is fresh."""
        now = time.monotonic()
        return [
            (path, listing, self._expiry_times[path] - now if path in self._expiry_times else None)
            for path, listing in list(self._kept_listings.items())
            if not self._is_expired(path)
        ]

    def unpack(self, packed: list[tuple[str, Any, float | None]]) -> None:
        """Add what `packed` gave in another process, if nothing is known of a path here."""
        for path, listing, left in packed:
            if path not in self:
                self[path] = listing
                if left is not None and path in self._expiry_times:
                    self._expiry_times[path] = time.monotonic() + left

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.use_listings_cache, self.listings_expiry_time, self.max_paths)
