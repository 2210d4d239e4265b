"""What was written through a cache in a transaction that is under way.

It is not on the target before the transaction ends, and is read from where it was written.
Operations on single paths and `ls` tell of it, and of the folders that it will be in; those
that walk or change the target do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, cast

from fsspec._plans.listing import default
from fsspec.implementations._cached.blocks import CachingFileSystem
from fsspec.implementations._cached.files import LocalTempFile


class PendingFileSystem(CachingFileSystem):
    """A cache that knows its pending files."""

    def _pending(self) -> dict[str, LocalTempFile]:
        """What was written in the transaction that is under way, by path."""
        if not self._intrans or self._transaction is None:
            return {}
        return {f.path: f for f in self._transaction.files if isinstance(f, LocalTempFile)}

    def _written_copies(self, path: str) -> Iterator[str]:
        """Where a pending file is."""
        if self._intrans:
            f = self._pending().get(path)
            if f is not None:
                if not f.closed:
                    f.flush()
                yield f.fn

    def _pending_entry(self, path: str) -> dict[str, Any] | None:
        if not self._intrans:
            return None
        for fn in self._written_copies(path):
            return {"name": path, "size": os.stat(fn).st_size, "type": "file"}
        below = path.rstrip("/") + "/"
        if any(p.startswith(below) for p in self._pending()) and not self.fs.exists(path):
            return {"name": path, "size": 0, "type": "directory"}
        return None

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self._pending_entry(path) or super().info(path, **kwargs)

    @default
    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is anything at a path, or will be when the transaction ends."""
        path = self._strip_protocol(path)
        return self._pending_entry(path) is not None or super().exists(path, **kwargs)

    @default
    def isfile(self, path: str) -> bool:
        """Whether a path is a file, or will be when the transaction ends."""
        path = self._strip_protocol(path)
        return path in self._pending() or super().isfile(path)

    @default
    def isdir(self, path: str) -> bool:
        """Whether a path is a folder, or will be when the transaction ends."""
        path = self._strip_protocol(path)
        entry = self._pending_entry(path)
        return super().isdir(path) if entry is None else entry["type"] == "directory"

    def size(self, path: str) -> int | None:
        entry = self._pending_entry(self._strip_protocol(path))
        return cast("int | None", self.fs.size(self._bare(path)) if entry is None else entry["size"])

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds, and will hold when the transaction ends; see `AbstractFileSystem.ls`."""
        folder, path = self._bare(path), self._strip_protocol(path)
        below = path.rstrip("/") + "/"
        pending = self._pending()
        here = [p for p in pending if p == path]
        here += [below + p[len(below) :].partition("/")[0] for p in pending if p.startswith(below)]
        if not here:
            return cast("list[Any]", self.fs.ls(folder, detail=detail, **kwargs))
        try:
            found = {e["name"].rstrip("/"): e for e in self.fs.ls(folder, detail=True, **kwargs)}
        except FileNotFoundError:
            found = {}
        for p in dict.fromkeys(here):
            entry = self._pending_entry(p)
            if entry is not None:
                found[p] = entry
        return list(found.values()) if detail else [e["name"] for e in found.values()]
