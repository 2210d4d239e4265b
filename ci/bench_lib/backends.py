"""An awaitable backend without I/O, written as third parties write theirs.

Listings are made once and shared; a request costs ``latency`` seconds of sleep and is counted.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fsspec.asyn import AsyncFileSystem

from .listings import entry, folders, uneven


class Toy(AsyncFileSystem):
    """Listings and contents from memory, each after ``latency`` seconds."""

    protocol = "benchtoy"

    def __init__(self, kind: str = "flat", latency: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folders = folders(kind)
        self.names = {e["name"]: e for listing in self.folders.values() for e in listing}
        self.latency = latency
        self.requests = 0

    async def _request(self) -> None:
        self.requests += 1
        if self.latency:
            await asyncio.sleep(self.latency)

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        await self._request()
        path = self._strip_protocol(path)
        if path not in self.names and path != "":
            raise FileNotFoundError(path)
        return self.names.get(path) or entry("", True)

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        await self._request()
        path = self._strip_protocol(path)
        if path in self.folders:
            entries = self.folders[path]
        elif path in self.names:
            entries = [self.names[path]]
        else:
            raise FileNotFoundError(path)
        return [dict(e) for e in entries] if detail else [e["name"] for e in entries]

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        self.requests += 1
        if self.latency:
            await asyncio.sleep(uneven(self.latency, self.requests))
        if path not in self.names:
            raise FileNotFoundError(path)
        return b"x" * 100


class Numbered(AsyncFileSystem):
    """An instance that costs nothing of its own to make."""

    protocol = "benchnumbered"

    def __init__(self, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        return b"x"
