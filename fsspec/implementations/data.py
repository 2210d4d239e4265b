"""``data:`` URLs, which carry their content."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes

from fsspec._paths.paths import url_text
from fsspec.spec import AbstractFileSystem
from fsspec.utils import stringify_path

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Found, PathOrPaths


class DataFileSystem(AbstractFileSystem):
    """Reads what is written in a ``data:`` URL."""

    protocol: ClassVar[str | tuple[str, ...]] = "data"
    _fsspec_change_advice = "data URLs can only be read"

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        path = url_text(stringify_path(path))
        return path.removeprefix("data:").removeprefix("//") if path.startswith("data:") else path

    @staticmethod
    def _split_url(path: str) -> tuple[str, str]:
        head, comma, content = url_text(path).removeprefix("data:").partition(",")
        if not comma:
            raise ValueError("a data URL has a comma between its type and its content")
        return head, content

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        head, content = self._split_url(path)
        data = unquote_to_bytes(content)
        if head.endswith("base64"):
            data = base64.b64decode(data)
        return data[start:end]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        head, content = self._split_url(path)
        mime = head.partition(";")[0]
        return {"name": content, "size": len(self.cat_file(path)), "type": "file", "mimetype": mime}

    def glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Found:
        """Nothing: there is nothing that a pattern could match."""
        return {} if kwargs.get("detail") else []

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> io.BytesIO:
        if "r" not in mode:
            raise ValueError("data URLs can only be read")
        return io.BytesIO(self.cat_file(path))

    @staticmethod
    def encode(data: bytes, mime: str | None = None) -> str:
        """A ``data:`` URL for bytes.

        Parameters
        ----------
        mime
            their type, such as "text/csv".
        """
        return f"data:{mime or ''};base64,{base64.b64encode(data).decode()}"
