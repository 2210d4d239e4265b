"""What a filesystem counts of its traffic, in the process that it runs in."""

from __future__ import annotations

import os

from fsspec._fork import hooks


class Traffic:
    """Counters of one filesystem; integers that its code adds to, from any thread.

    In a forked child they begin at zero. An addition is not atomic: if several threads
    make requests at the same moment a count may be too small by a few.

    ``requests``: sent, each redirect and each retry included.
    ``retries``: requests made again because the one before failed.
    ``bytes``: of the bodies of answers, as they arrived.
    ``hits``, ``misses``: of a cache on disk: uses of files whose copy was there, and of files that were not.
    """

    __slots__ = ("__weakref__", "bytes", "hits", "misses", "requests", "retries")

    def __init__(self) -> None:
        self._after_fork_in_child()
        hooks.register(self)

    def _after_fork_in_child(self) -> None:
        self.requests = self.retries = self.bytes = self.hits = self.misses = 0

    def counted(self, *names: str) -> dict[str, int]:
        """Some of the counters, and the process that counted them."""
        return {"pid": os.getpid(), **{name: getattr(self, name) for name in names}}
