"""The files of a Jupyter server (notebook, lab, hub), by its contents API.

Each file goes whole, as base64 in JSON: what is written is sent when it is closed.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from fsspec._overriding import unless_patched
from fsspec._paths.paths import folder_error
from fsspec.implementations._remote.rest import RestFileSystem, from_base64
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    from fsspec._paths.types import Depth

__all__ = ["JupyterFileSystem", "SimpleFileWriter"]


class JupyterFileSystem(RestFileSystem):
    """The files of one server.

    Parameters
    ----------
    url
        its address, as in a browser; a ``token`` in its query is taken out of it
    tok
        the token, if it is not in the URL
    **kwargs
        as for `AbstractFileSystem`
    """

    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = ("jupyter", "jlab")

    def __init__(self, url: str, tok: str | None = None, **kwargs: Any) -> None:
        parts = urlsplit(url)
        if tok is None:
            tok = parse_qs(parts.query).get("token", [None])[0]
        place = parts.path.rstrip("/")
        if place.endswith(("/lab", "/tree")):  # pages of the server, not the server
            place = place.rpartition("/")[0]
        self.url: str = urlunsplit((parts.scheme, parts.netloc, f"{place}/api/contents", "", ""))
        super().__init__(**kwargs)
        if tok is not None:
            self.session.headers["Authorization"] = f"token {tok}"

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        return f"{type(self).__name__}({parts.scheme}://{parts.netloc.rpartition('@')[2]})"

    def _url_of(self, path: str) -> str:
        return f"{self.url}/{quote(path.strip('/'))}"

    @staticmethod
    def _described_entry(answer: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in answer.items() if name not in ("path", "content")}
        kind = "directory" if answer["type"] == "directory" else "file"  # there are notebooks as well
        return {**kept, "name": answer["path"], "type": kind}

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        answer = self._request_json("GET", self._url_of(path), path)
        if answer["type"] == "directory":
            entries = [self._described_entry(each) for each in answer["content"] or ()]
        else:
            entries = [self._described_entry(answer)]
        return entries if detail else [entry["name"] for entry in entries]

    @unless_patched
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of one path, by one request."""
        path = self._strip_protocol(path)
        return self._described_entry(
            self._request_json("GET", self._url_of(path), path, params={"content": "0"})
        )

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, which is fetched whole, or a part of them."""
        path = self._strip_protocol(path)
        answer = self._request_json(
            "GET", self._url_of(path), path, params={"type": "file", "format": "base64"}
        )
        if answer["type"] == "directory":
            raise folder_error(path)
        if answer.get("format") == "base64":
            data = from_base64(answer["content"], path)
        else:
            data = answer["content"].encode("utf-8")
        return data[start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        path = self._strip_protocol(path)
        if mode == "create" and self._fsspec_is_taken(path):
            raise FileExistsError(path)
        body = {
            "name": path.rpartition("/")[2],
            "path": path.strip("/"),
            "type": "file",
            "format": "base64",
            "content": base64.b64encode(value).decode(),
        }
        self._send_request("PUT", self._url_of(path), path, json=body)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if self._fsspec_is_taken(path):
            raise FileExistsError(path)
        parent = self._parent(path)
        if create_parents and parent.strip("/") and not self.exists(parent):
            self.makedirs(parent, exist_ok=True)
        self._send_request("PUT", self._url_of(path), path, json={"type": "directory"})

    @unless_patched
    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        try:
            self.mkdir(path)
        except FileExistsError:
            if not exist_ok or not self.isdir(path):
                raise

    def _rm(self, path: str) -> None:
        path = self._strip_protocol(path)
        self._send_request("DELETE", self._url_of(path), path)

    @unless_patched
    def rmdir(self, path: str) -> None:
        self._rm(path)

    def mv(
        self, path1: str, path2: str, recursive: bool = False, maxdepth: Depth = None, **kwargs: Any
    ) -> None:
        """Move a file, or a folder as a whole, by one request."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        if path1 != path2:
            self._send_request("PATCH", self._url_of(path1), path1, json={"path": path2.strip("/")})

    @unless_patched
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one file, through here; the service has no other way. Folders on the way are made."""
        if self.isdir(path1):
            self.makedirs(path2, exist_ok=True)
            return
        data = self.cat_file(path1)
        parent = self._parent(path2)
        if parent.strip("/"):
            self.makedirs(parent, exist_ok=True)
        self.pipe_file(path2, data)

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> io.BytesIO | SimpleFileWriter:
        """A file: one that is read is fetched whole, one that is written is sent when it is closed."""
        path = self._strip_protocol(path)
        if mode == "rb":
            return io.BytesIO(self.cat_file(path))
        if mode == "xb" and self._fsspec_is_taken(path):
            raise FileExistsError(path)
        if mode not in ("wb", "xb"):
            raise NotImplementedError(f"{path!r}: files on a Jupyter server are read or written as a whole")
        return SimpleFileWriter(self, path, mode=mode, **kwargs)


class SimpleFileWriter(AbstractBufferedFile):
    """A file that is sent whole at its end."""

    def _fsspec_pipe_buffer(self) -> None:
        self.fs.pipe_file(self.path, self.buffer.getvalue())

    def discard(self) -> None:
        """Forget it."""
        self.buffer: Any = io.BytesIO()
