"""Second names of filesystem methods, for users of other libraries' words.

Each only passes on, so that a backend which overrides the first name changes both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec._spec.many_paths import ManyPaths

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec._paths.types import Depth, StrPaths


class Aliases(ManyPaths):
    """The part of `AbstractFileSystem` that renames other parts."""

    if TYPE_CHECKING:
        info: Callable[..., dict[str, Any]]
        ls: Callable[..., list[Any]]
        mkdir: Callable[..., None]

    def listdir(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Another name of `ls`."""
        return self.ls(path, detail=detail, **kwargs)

    def stat(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Another name of `info`."""
        return self.info(path, **kwargs)

    def disk_usage(
        self, path: str, total: bool = True, maxdepth: Depth = None, **kwargs: Any
    ) -> int | dict[str, int]:
        """Another name of `du`."""
        found: int | dict[str, int] = self.du(path, total=total, maxdepth=maxdepth, **kwargs)
        return found

    def makedir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Another name of `mkdir`."""
        return self.mkdir(path, create_parents=create_parents, **kwargs)

    def mkdirs(self, path: str, exist_ok: bool = False) -> None:
        """Another name of `makedirs`."""
        return self.makedirs(path, exist_ok=exist_ok)

    def cp(self, path1: StrPaths, path2: StrPaths, **kwargs: Any) -> None:
        """Another name of `copy`."""
        return self.copy(path1, path2, **kwargs)

    def move(self, path1: StrPaths, path2: StrPaths, **kwargs: Any) -> None:
        """Another name of `mv`."""
        return self.mv(path1, path2, **kwargs)

    def rename(self, path1: StrPaths, path2: StrPaths, **kwargs: Any) -> None:
        """Another name of `mv`."""
        return self.mv(path1, path2, **kwargs)

    def delete(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        """Another name of `rm`."""
        return self.rm(path, recursive=recursive, maxdepth=maxdepth)

    def upload(self, lpath: StrPaths, rpath: StrPaths, recursive: bool = False, **kwargs: Any) -> None:
        """Another name of `put`."""
        return self.put(lpath, rpath, recursive=recursive, **kwargs)

    def download(self, rpath: StrPaths, lpath: StrPaths, recursive: bool = False, **kwargs: Any) -> None:
        """Another name of `get`."""
        return self.get(rpath, lpath, recursive=recursive, **kwargs)

    def read_bytes(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Another name of `cat_file`."""
        return self.cat_file(path, start=start, end=end, **kwargs)

    def write_bytes(self, path: str, value: bytes, **kwargs: Any) -> None:
        """Another name of `pipe_file`."""
        self.pipe_file(path, value, **kwargs)
