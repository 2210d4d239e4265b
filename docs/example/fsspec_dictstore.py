"""An example of a backend: files in a dictionary, shared by all instances of one name."""

from __future__ import annotations

import io
from typing import Any

from fsspec.spec import AbstractFileSystem

_STORES: dict[str, dict[str, bytes]] = {}


class DictStoreFileSystem(AbstractFileSystem):
    """Files in a dictionary.

    Parameters
    ----------
    store
        the name of the dictionary; instances with the same name share files.
    """

    protocol = "dictstore"

    def __init__(self, store: str = "default", **storage_options: Any) -> None:
        super().__init__(**storage_options)
        self._files = _STORES.setdefault(store, {})

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        entries: dict[str, dict[str, Any]] = {}
        for name, data in self._files.items():
            if name == path:
                entries[name] = {"name": name, "size": len(data), "type": "file"}
            elif not path or name.startswith(f"{path}/"):
                first, slash, _ = name[len(path) :].lstrip("/").partition("/")
                child = f"{path}/{first}".lstrip("/")
                kind, size = ("directory", 0) if slash else ("file", len(data))
                entries[child] = {"name": child, "size": size, "type": kind}
        if not entries and path:
            raise FileNotFoundError(path)
        found = [entries[name] for name in sorted(entries)]
        return found if detail else [entry["name"] for entry in found]

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        if mode == "rb":
            if path not in self._files:
                raise FileNotFoundError(path)
            return io.BytesIO(self._files[path])
        if mode == "xb" and path in self._files:
            raise FileExistsError(path)
        if mode in ("wb", "xb"):
            return _Writing(self._files, path)
        raise ValueError(f"mode {mode!r} of {path} is not known here: it is rb, wb or xb")

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        data = self.cat_file(path1)
        self._files[self._strip_protocol(path2)] = data

    def _rm(self, path: str) -> None:
        self._files.pop(self._strip_protocol(path), None)  # a folder goes with its files

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Folders exist by their files."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders exist by their files."""

    def created(self, path: str) -> Any:
        raise NotImplementedError


class _Writing(io.BytesIO):
    """A file that is kept when it is closed."""

    def __init__(self, files: dict[str, bytes], path: str) -> None:
        super().__init__()
        self._kept, self._path = files, path

    def close(self) -> None:
        if not self.closed:
            self._kept[self._path] = self.getvalue()
        super().close()
