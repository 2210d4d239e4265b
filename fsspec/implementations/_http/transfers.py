"""Moving whole files between this machine and a web server, for the awaitable and the blocking client.

Owns where a download goes and what an upload sends, also when a request is made again. Nothing here
makes a request.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache, partial
from typing import IO, TYPE_CHECKING, Any

from fsspec._files.replacing import replacing, write_all
from fsspec._paths.paths import local_side, trailing_sep
from fsspec._paths.redaction import redact_url
from fsspec._spec.contents import parts_of
from fsspec.implementations._http.options import UnknownOptionError
from fsspec.implementations._http.parsing import url_given
from fsspec.utils import isfilelike

if TYPE_CHECKING:
    from fsspec._paths.types import Options, StrPath
    from fsspec.callbacks import Callback

CHUNK = 5 * 2**20
"""Bytes moved at a time in downloads and uploads."""


def is_folder(rpath: str, lpath: StrPath | IO[bytes]) -> bool:
    """Whether what is fetched is a folder of a tree, not a file."""
    return url_given(rpath).endswith("/") and not isfilelike(lpath) and trailing_sep(os.fspath(lpath))


def make_folder(rpath: str, lpath: StrPath, found: bool) -> None:
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), redact_url(rpath))
    os.makedirs(local_side(lpath), exist_ok=True)


class Target:
    """Where a download goes: a path, at which the file appears when it is whole, or a file object.

    ``path`` is empty for a file object, ``file`` None for a path. ``repeatable``: whether a broken download
    can be made again: a file object has to go back to where it was.
    """

    def __init__(self, local: StrPath | IO[bytes], retried: bool) -> None:
        self.file = local if isfilelike(local) else None
        self.path = "" if isfilelike(local) else os.fspath(local_side(local))
        self._start = self.file.tell() if self.file is not None and retried and self.file.seekable() else None
        self.repeatable: bool = self._start is not None or self.file is None

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """The file for one download, from its beginning."""
        if self.file is None:
            return replacing(self.path, buffering=0)
        if self._start is not None:
            self.file.seek(self._start)
        return nullcontext(self.file)

    def writer(self, local: IO[bytes], callback: Callback, chunk_size: int) -> Callable[[bytes], None]:
        """What takes the bytes of one download, in order."""
        write = local.write if self.file is not None else partial(write_all, local)
        return partial(_write, write, callback, chunk_size)


def _write(write: Callable[[bytes], object], callback: Callback, chunk_size: int, data: bytes) -> None:
    step = chunk_size or len(data)
    for start in range(0, len(data), step):
        chunk = data[start : start + step]
        write(chunk)
        callback.relative_update(len(chunk))


class Upload:
    """A file as the body of an upload, from where it is; sent again if a redirect or a retry asks for it.

    Iterated over by ``requests``; called for an iterator that aiohttp awaits.

    ``size``: in bytes, if it is a local file.
    """

    def __init__(
        self, local: IO[bytes], parts: Callable[[], Iterator[bytes]], callback: Callback, size: int | None
    ) -> None:
        self._local, self._parts, self._callback, self.size = local, parts, callback, size
        self._start: int | None = None
        with suppress(AttributeError, OSError):
            self._start = local.tell()
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        self._begun = True
        for chunk in self._parts():
            yield chunk
            self._callback.relative_update(len(chunk))

    def __call__(self) -> AsyncIterator[bytes]:
        self.rewind()
        return self._awaited()

    async def _awaited(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def rewind(self) -> None:
        """Go back to the beginning, if something was read."""
        if self._begun:
            self.seek(self.tell())

    def tell(self) -> int:
        """Where the upload begins in the file, which is what ``requests`` goes back to."""
        if self._start is None:
            raise OSError("the upload has to be sent again, but its file cannot be read again")
        return self._start

    def seek(self, place: int, whence: int = 0) -> int:
        """To where the upload begins; the length is not given, as it is sent in chunks."""
        if whence or place != self._start:
            raise OSError("an upload can only be restarted from its beginning")
        return self._local.seek(place)


@contextmanager
def uploading(
    lpath: StrPath | IO[bytes], chunk_size: int, callback: Callback, also: type[OSError] | None
) -> Iterator[Upload]:
    """What sends a local file.

    ``lpath``: a path or an open binary file.
    ``also``: a class of the client's errors; an error about the file is raised as one of it, too.
    """
    if isfilelike(lpath):
        callback.set_size(getattr(lpath, "size", None))
        yield Upload(lpath, partial(_read_on, lpath, chunk_size), callback, None)
        return
    try:
        opened = open(local_side(lpath), "rb", buffering=0)
    except OSError as error:
        if also is None:
            raise
        both = _of_both_kinds((also, type(error)))  # an error of the client as well
        raise both(error.errno, error.strerror, error.filename) from None
    with opened as local:
        size = os.fstat(local.fileno()).st_size
        callback.set_size(size)
        yield Upload(local, partial(parts_of, local, chunk_size), callback, size)


def _read_on(file: IO[bytes], size: int) -> Iterator[bytes]:
    while chunk := file.read(size):
        yield chunk


@lru_cache
def _of_both_kinds(kinds: tuple[type[OSError], type[OSError]]) -> type[OSError]:
    def reduce(error: OSError) -> tuple[Any, ...]:
        return kinds[1], (error.errno, error.strerror, error.filename)

    return type(kinds[1].__name__, kinds, {"__reduce__": reduce})


def check_method(method: str) -> str:
    """The method of an upload, in small letters."""
    if method.lower() not in ("post", "put"):
        raise ValueError(f"an upload is made by 'post' or 'put', not by {method.lower()!r}")
    return method.lower()


def check_body(options: Options) -> None:
    """Refuse an option that would be another body beside what is to be uploaded."""
    if "data" in options:
        raise UnknownOptionError("data= is not known to uploads: what is to be uploaded is their body")


def only_overwriting(mode: str) -> None:
    if mode != "overwrite":
        raise NotImplementedError("HTTP has no upload that spares what is there: only mode 'overwrite'")
