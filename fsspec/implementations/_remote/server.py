"""What the filesystems over file servers (FTP, SFTP, SMB, WebHDFS) have in common."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fsspec._files.replacing import make_folder_of, replacing
from fsspec._overriding import is_built_in, unless_patched
from fsspec._paths.paths import folder_error, local_side
from fsspec._paths.urls import server_options
from fsspec.callbacks import for_file
from fsspec.spec import AbstractFileSystem
from fsspec.utils import infer_storage_options, isfilelike

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec._paths.types import BinaryWriter, PathOrPaths, StrPath
    from fsspec.callbacks import Callback

    Send = Callable[[BinaryWriter, Callback], None]
    """Writes a remote file to another, and updates the callback."""


def stat_entry(name: str, status: Any, size: int | None, when: Callable[[Any], Any]) -> dict[str, Any]:
    """The entry of what a server's ``stat`` says; ``when``: what is given for a time in seconds."""
    mode = status.st_mode or stat.S_IFREG
    return {
        "name": name,
        "size": size,
        "type": "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "time": when(status.st_atime),
        "mtime": when(status.st_mtime),
    }


class ServerFileSystem(AbstractFileSystem):
    """Base of the filesystems whose URLs begin with a server and who logs in."""

    _fork_sensitive = True
    _copies_by_open: ClassVar[bool] = False
    """Whether a class that brings its own `open` or `_open` has files copied through it, as upstream's."""

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        stripped: str = infer_storage_options(path)["path"]
        return stripped.rstrip("/") or stripped[:1]

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        return server_options(urlpath)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._make_folders(path, exist_ok)

    def _make_folders(self, path: str, exist_ok: bool, **kwargs: Any) -> None:
        """Make a folder and those that lead to it; with ``exist_ok`` another may make it meanwhile."""
        if not is_built_in(self.exists):
            if self.exists(path):
                if not exist_ok:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
                return
        elif exist_ok and self._is_folder(path):
            return
        try:
            self.mkdir(path, **kwargs)
        except FileExistsError:
            if not exist_ok or not self._is_folder(path):
                raise

    def _is_folder(self, path: str) -> bool:
        """By `info`, whatever an `isdir` of its own says."""
        return AbstractFileSystem.isdir(self, path)

    @unless_patched
    def get_file(self, rpath: str, lpath: StrPath | IO[bytes], **kwargs: Any) -> None:
        """Download a file, by one transfer; for a folder only a folder is made.

        ``lpath``: where to, or a binary file object.
        ``callback``: gets the size and the bytes as they come.
        """
        if self._copies_by_open and (kwargs.get("compression") or not self._fsspec_opens_itself):
            return super().get_file(rpath, lpath, **kwargs)
        callback = for_file(kwargs.get("callback"), rpath)
        rpath = self._strip_protocol(rpath)
        outfile = lpath if isfilelike(lpath) else kwargs.get("outfile")
        if outfile is None and self.isdir(rpath):
            os.makedirs(local_side(lpath), exist_ok=True)
            return
        local = "" if outfile is not None else os.fspath(local_side(lpath))
        if local and os.path.isdir(local):
            raise folder_error(local)
        with self._sending_to(rpath) as send:  # no folder is made for what does not exist
            if outfile is not None:
                send(outfile, callback)
                return
            make_folder_of(local)
            with replacing(local) as target:
                send(target, callback)

    @contextmanager
    def _sending_to(self, path: str) -> Iterator[Send]:
        """A context that yields a function to send a remote file; entering raises if the file does not
        exist."""
        with self.open(path, "rb") as source:
            yield partial(self._fsspec_copy_out, source)
