"""The least that a third party's backend is: one awaitable, one with buffered files."""

from __future__ import annotations

from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

LINES = b"a line of text\n" * 10_000


class Kept(AsyncFileSystem):
    """Files in a dict."""

    protocol = "callstoy"

    def __init__(self, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.files: dict[str, bytes] = {}

    def _entry(self, path: str) -> dict[str, Any]:
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file"}
        if any(p.startswith(f"{path}/") for p in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return self._entry(self._strip_protocol(path))

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if self._entry(path)["type"] == "file":
            names = [path]
        else:
            names = [p for p in self.files if p.rpartition("/")[0] == path]
        return [self._entry(p) for p in names] if detail else names

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        return self.files[self._strip_protocol(path)][start:end]

    async def _pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.files[self._strip_protocol(path)] = value

    async def _cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.files[path2] = self.files[path1]

    async def _rm_file(self, path: str, **kwargs: Any) -> None:
        del self.files[self._strip_protocol(path)]

    async def _get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        with open(lpath, "wb") as f:
            f.write(self.files[rpath])

    async def _put_file(self, lpath: str, rpath: str, mode: str = "overwrite", **kwargs: Any) -> None:
        with open(lpath, "rb") as f:
            self.files[rpath] = f.read()

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:
        """A folder is there with the first file in it."""

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        return KeptFile(self, path, mode, **kwargs)


class KeptFile(AbstractBufferedFile):
    """Of either filesystem."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.files[self.path]
        return data[start:end]

    def _initiate_upload(self) -> None:
        pass

    def _upload_chunk(self, final: bool = False) -> bool:
        return True


class Buffered(AbstractFileSystem):
    """One file of lines, ``x``; others are taken and forgotten."""

    protocol = "callsbuffered"
    files = {"x": LINES}

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if path not in ("", "x"):
            raise FileNotFoundError(path)
        return [{"name": "x", "size": len(LINES), "type": "file"}] if detail else ["x"]

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        return KeptFile(self, path, mode, **kwargs)


def register() -> None:
    for kind in (Kept, Buffered):
        fsspec.register_implementation(kind.protocol, kind)
