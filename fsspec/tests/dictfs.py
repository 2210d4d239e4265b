"""Small backends over a dict of bytes, which note what is asked of them.

They are written the way third-party backends are: nothing but the operations that the
base classes cannot do without.
"""

from __future__ import annotations

import io
from typing import Any

from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem


def children(files: dict[str, bytes], path: str) -> list[dict[str, Any]]:
    """The listing of a folder in a dict of files; keys that end in a slash are folders."""
    if path in files:
        return [{"name": path, "size": len(files[path]), "type": "file"}]
    start = f"{path}/" if path else ""
    found: dict[str, dict[str, Any]] = {}
    for full, data in files.items():
        if full.startswith(start) and full != start:
            name, slash, _ = full[len(start) :].partition("/")
            entry = {"name": start + name, "size": len(data), "type": "file"}
            folder = {"name": start + name, "size": 0, "type": "directory"}
            found[start + name] = folder if slash else entry
    if not found and start not in files and path:
        raise FileNotFoundError(path)
    return list(found.values())


class Writer(io.BytesIO):
    """A file being written, which appears on closing or on commit."""

    def __init__(self, fs: DictFileSystem, path: str, autocommit: bool) -> None:
        super().__init__()
        self.fs, self.path, self.autocommit = fs, path, autocommit

    def close(self) -> None:
        if not self.closed:
            self.data = self.getvalue()
            if self.autocommit:
                self.commit()
        super().close()

    def commit(self) -> None:
        self.fs.files[self.path] = self.data

    def discard(self) -> None:
        self.data = b""


class DictFileSystem(AbstractFileSystem):
    """A blocking backend."""

    protocol = "dictfs"
    cachable = False

    def __init__(self, files: dict[str, bytes] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.files = dict(files or {})
        self.asked: list[str] = []

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        self.asked.append(path)
        entries = children(self.files, path)
        return entries if detail else [entry["name"] for entry in entries]

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **kwargs: Any,
    ) -> Any:
        if mode != "rb":
            return Writer(self, path, autocommit)
        if path not in self.files:
            raise FileNotFoundError(path)
        return io.BytesIO(self.files[path])

    def _rm(self, path: str) -> None:
        del self.files[self._strip_protocol(path)]

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.files[self._strip_protocol(path2)] = self.files[self._strip_protocol(path1)]


class AsyncDictFileSystem(AsyncFileSystem):
    """An awaitable backend."""

    protocol = "ashelf"
    cachable = False

    def __init__(self, files: dict[str, bytes] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.files = dict(files or {})
        self.asked: list[str] = []
        self.under_way = 0
        self.most_at_once = 0

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        import asyncio

        path = self._strip_protocol(path)
        self.asked.append(path)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        for _ in range(3):  # let the others begin
            await asyncio.sleep(0)
        self.under_way -= 1
        entries = children(self.files, path)
        return entries if detail else [entry["name"] for entry in entries]

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file"}
        children(self.files, path)
        return {"name": path, "size": 0, "type": "directory"}

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        return self.files[self._strip_protocol(path)][start:end]
