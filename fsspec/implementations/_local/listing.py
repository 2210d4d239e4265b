"""Entries and listings of local files.

Listings come from `os.scandir` as it gives them; a file is stat'ed only if its details are asked for.
In a listing a link to a folder is not a folder, so that walks, and whatever removes or copies a tree, stay
within it, and times and permissions are those of the link; asked for by its own path it is what it leads to.
"""

from __future__ import annotations

import errno
import os
import os.path as osp
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec.implementations.local import LocalFileSystem

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
"""Errors that leave a folder out of a walk; any other one would make a tree smaller than it is."""


def entry_of(path: str, item: os.DirEntry[str] | None = None) -> dict[str, Any]:
    """The entry of a path, or of what `os.scandir` gave for it: see the top of the module."""
    found = os.stat(path, follow_symlinks=False) if item is None else item.stat(follow_symlinks=False)
    size, mode = found.st_size, found.st_mode
    is_link = stat.S_ISLNK(mode)
    if is_link:
        try:
            behind = os.stat(path)
            size, mode = behind.st_size, behind.st_mode
            found = found if item is not None else behind
        except OSError:
            size = 0
    kind = "file" if stat.S_ISREG(mode) else "directory" if stat.S_ISDIR(mode) else "other"
    if is_link and item is not None and kind == "directory":
        kind = "other"
    entry = {
        "name": path,
        "size": size,
        "type": kind,
        "created": found.st_ctime,
        "islink": is_link,
        "mode": found.st_mode,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "mtime": found.st_mtime,
        "ino": found.st_ino,
        "nlink": found.st_nlink,
    }
    if is_link:
        entry["destination"] = os.readlink(path)
    return entry


def found_below(path: str, withdirs: bool, detail: bool) -> dict[str, Any]:
    """The files below a path, and with ``withdirs`` the folders, in any order: their entries, or None without
    ``detail``."""
    out: dict[str, Any] = {}
    todo = [path]
    while todo:
        folder = todo.pop()
        try:
            scan = os.scandir(folder)
        except OSError as error:
            if folder == path and osp.isfile(path):
                out[path] = entry_of(path) if detail else None
            elif error.errno not in _ABSENT:
                raise
            continue
        base = folder.rstrip("/") + "/"
        with scan:
            for item in scan:
                name = base + item.name
                if item.is_dir(follow_symlinks=False):
                    todo.append(name)
                    if withdirs:
                        out[name] = entry_of(name, item) if detail else None
                else:
                    out[name] = entry_of(name, item) if detail else None
    if withdirs and path not in out and osp.isdir(path):
        out[path] = entry_of(path) if detail else None
    return out


class NamesAndTypes:
    """A local filesystem whose listings have names and types only, which costs no stat."""

    def __init__(self, fs: LocalFileSystem) -> None:
        self._fs = fs

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        try:
            scan = os.scandir(path)
        except NotADirectoryError:
            return self._fs.ls(path, detail=True)
        base = path.rstrip("/") + "/"
        with scan:
            return [
                {
                    "name": base + item.name,
                    "type": "directory" if item.is_dir(follow_symlinks=False) else "file",
                }
                for item in scan
            ]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)
