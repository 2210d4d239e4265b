"""The awaitable dictfs with operations that write, remove, copy and move to this machine.

Its downloads are written as many third-party ones are: straight to the target, chunk by
chunk, so that what fails half-way leaves a part behind.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fsspec.tests.dictfs import AsyncDictFileSystem


class WritableDictFileSystem(AsyncDictFileSystem):
    """Notes the files that each kind of operation was asked for in ``did``."""

    protocol = "wdictfs"

    def __init__(self, files: dict[str, bytes] | None = None, broken: Any = (), **kwargs: Any) -> None:
        super().__init__(files, **kwargs)
        self.broken = set(broken)  # fail half-way
        self.did: list[tuple[str, str]] = []

    async def _do(self, what: str, path: str) -> str:
        path = self._strip_protocol(path)
        self.did.append((what, path))
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if what != "pipe" and path not in self.files:
            raise FileNotFoundError(path)
        return path

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        path = await self._do("cat", path)
        if path in self.broken:
            raise OSError(f"broken: {path}")
        return self.files[path][start:end]

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.files[await self._do("pipe", path)] = value

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        self.did.append(("rm", path))
        self.files.pop(path, None)
        self.files.pop(f"{path}/", None)

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        if await self._isdir(path1):
            return
        self.files[self._strip_protocol(path2)] = self.files[await self._do("cp", path1)]

    async def _get_file(self, rpath: str, lpath: str, callback: Any = None, **kwargs: Any) -> None:
        if await self._isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        path = await self._do("get", rpath)
        with open(lpath, "wb") as f:
            f.write(self.files[path][:2])
            if path in self.broken:
                raise OSError(f"broken: {path}")
            f.flush()
            await asyncio.sleep(0)
            f.write(self.files[path][2:])

    async def _put_file(
        self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **kwargs: Any
    ) -> None:
        with open(lpath, "rb") as f:
            self.files[await self._do("pipe", rpath)] = f.read()
