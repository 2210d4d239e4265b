"""The files below a path as a mutable mapping from relative path to bytes."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fsspec._overriding import is_built_in, is_default
from fsspec._paths.paths import unescaped
from fsspec._paths.redaction import redact_url
from fsspec._plans.globbing import has_magic
from fsspec.core import url_to_fs
from fsspec.spec import AbstractFileSystem
from fsspec.utils import check_contained

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Errors


logger: logging.Logger = logging.getLogger("fsspec.mapping")

_NOTHING = object()
_MISSING = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class _NotRemoved(KeyError, NotImplementedError):
    """A key of a filesystem that cannot remove."""


def maybe_convert(value: Any) -> Any:
    """What has the buffer interface, or is an array, as bytes."""
    if isinstance(value, (bytes, bytearray)):
        return value
    if hasattr(value, "__array__") and not isinstance(value, memoryview):
        if hasattr(value, "dtype") and value.dtype.kind in "Mm":
            value = value.view("int64")
        return bytes(memoryview(value))
    try:
        return bytes(memoryview(value))
    except TypeError:
        return value


class FSMap(MutableMapping[str, bytes]):
    """A mapping over a filesystem.

    Parameters
    ----------
    root
        the path below which the keys lie.
    fs
        the filesystem.
    check
        try whether it can be written to.
    create
        make the path if it does not exist.
    missing_exceptions
        the errors that mean that there is no such key.
    """

    def __init__(
        self,
        root: str,
        fs: AbstractFileSystem,
        check: bool = False,
        create: bool = False,
        missing_exceptions: Errors | None = None,
    ) -> None:
        self.fs = fs
        self.root: str = fs._strip_protocol(root)
        self._root_key_to_str = fs._strip_protocol(posixpath.join(root, "x"))[:-1]
        self.missing_exceptions: Errors = _MISSING if missing_exceptions is None else missing_exceptions
        self.check = check
        self.create = create
        if create and not fs.exists(root):
            try:
                fs.mkdir(root)
            except FileExistsError:  # by another, meanwhile
                if not fs.isdir(root):
                    raise
        if check:
            if not fs.exists(root):
                raise ValueError(
                    f"the path {redact_url(root)!r} of the mapping is not there; create=True makes it"
                )
            probe = posixpath.join(root, f".check-{os.urandom(8).hex()}")  # a name that nobody has
            fs.touch(probe)
            fs.rm(probe)

    @cached_property
    def dirfs(self) -> AbstractFileSystem:
        """The filesystem seen from `root`."""
        from fsspec.registry import filesystem

        return filesystem("dir", path=self._root_key_to_str, fs=self.fs)

    def _key_to_str(self, key: object) -> str:
        """The full path of a key."""
        if not isinstance(key, str):
            import warnings

            warnings.warn(
                f"a key is a relative path, not {type(key).__name__}; give it as text",
                DeprecationWarning,
                stacklevel=3,
            )
            key = str(tuple(key) if isinstance(key, list) else key)
        path = f"{self._root_key_to_str}{key}".rstrip("/")
        if "." in key or "%" in key:
            if ".." in key:
                check_contained(self._root_key_to_str, [path])
            if ".." in (read := unescaped(self.fs, key)) and read != key:
                check_contained(".", [read.lstrip("/")])
        return path

    @property
    def _reads_files(self) -> bool:
        """Whether files are read one by one: `cat` of the base class would look for patterns, and do so."""
        return not self.fs.async_impl and is_default(self.fs.cat) and is_built_in(self.fs.expand_path)

    def _str_to_key(self, path: str) -> str:
        return path[len(self.root) :].lstrip("/")

    def __getitem__(self, key: str, default: bytes | None = None) -> bytes:
        path = self._key_to_str(key)
        try:
            if self._reads_files or has_magic(path):  # a key is never a pattern
                return self.fs.cat_file(path)
            data: bytes = self.fs.cat(path)
            return data
        except self.missing_exceptions as error:
            if default is not None:
                return default
            raise KeyError(key) from error

    def getitems(self, keys: Iterable[str], on_error: str = "raise") -> dict[str, Any]:
        """The bytes of several keys, fetched together.

        Parameters
        ----------
        on_error
            for a key that cannot be read: "raise", "omit" it, or "return" the exception.
            A missing key is a KeyError.
        """
        paths = {key: self._key_to_str(key) for key in keys}
        if not paths:
            return {}
        plain = [] if self._reads_files else [path for path in paths.values() if not has_magic(path)]
        found = self.fs.cat(plain, on_error="return") if plain else {}
        found.update((path, self._read_all(path)) for path in paths.values() if path not in found)
        out: dict[str, Any] = {}
        missing: KeyError | None = None
        for key, path in paths.items():
            value = found.get(path, _NOTHING)
            if value is _NOTHING:
                value = FileNotFoundError(redact_url(path))
            if isinstance(value, BaseException):
                if isinstance(value, self.missing_exceptions):
                    value = KeyError(key)
                    missing = missing or value
                elif on_error == "raise":
                    raise value
                if on_error != "return":
                    continue
            out[key] = value
        if missing and on_error == "raise":  # only once it is known that nothing else went wrong
            raise missing
        return out

    def _read_all(self, path: str) -> bytes | Exception:
        try:
            return self.fs.cat_file(path)
        except Exception as error:  # in place of the bytes, as of cat
            return error

    def __setitem__(self, key: str, value: ReadableBuffer) -> None:
        path = self._key_to_str(key)
        self.fs.mkdirs(self.fs._parent(path), exist_ok=True)
        self.fs.pipe_file(path, maybe_convert(value))

    def setitems(self, values_dict: Mapping[str, Any]) -> None:
        """Write several keys together, all at once if the filesystem is awaitable.

        Parameters
        ----------
        values_dict
            bytes, buffers or arrays by key
        """
        self.fs.pipe({self._key_to_str(key): maybe_convert(value) for key, value in values_dict.items()})

    def __delitem__(self, key: str) -> None:
        path = self._key_to_str(key)
        missing: Errors = (FileNotFoundError, *self.missing_exceptions)
        try:
            self._remove_all([path])
        except missing as error:
            raise KeyError(key) from error
        except NotImplementedError as error:
            raise _NotRemoved(key) from error
        except (OSError, ValueError) as error:
            if self.fs.isdir(path):  # a folder is not a key
                raise KeyError(key) from error
            raise

    def delitems(self, keys: Iterable[str]) -> None:
        """Remove several keys together.

        Raises
        ------
        FileNotFoundError
            if one of them does not exist
        """
        self._remove_all([self._key_to_str(key) for key in keys])

    def _remove_all(self, paths: list[str]) -> None:
        plain = [path for path in paths if not has_magic(path)]
        if plain or not paths:
            self.fs.rm(plain if len(paths) > 1 or not plain else plain[0])
        for path in paths:
            if has_magic(path):  # a key is never a pattern
                self.fs.rm_file(path)

    def __iter__(self) -> Iterator[str]:
        return map(self._str_to_key, self._files_below())

    def __len__(self) -> int:
        return len(self._files_below())

    def _files_below(self) -> list[str]:
        # object stores have markers of folders, empty objects with a slash at the end of their names
        return [path for path in self.fs.find(self.root) if path[-1:] != "/"]

    def __contains__(self, key: object) -> bool:
        return bool(self.fs.isfile(self._key_to_str(key)))

    def pop(self, key: str, default: object = _NOTHING) -> Any:
        """Remove a key and return its bytes.

        A filesystem that cannot remove keeps it.

        Raises
        ------
        KeyError
            if there is no such key, and no ``default``
        """
        try:
            found = self[key]
        except KeyError:
            if default is _NOTHING:
                raise
            return default
        with suppress(_NotRemoved):  # a filesystem that cannot remove
            del self[key]
        return found

    def clear(self) -> None:
        """Remove all keys, and the root with them."""
        try:
            self.fs.rm(self.root, True)
            with suppress(FileExistsError):  # the root of a filesystem stays
                self.fs.mkdir(self.root)
        except self.missing_exceptions:
            pass  # nothing was there

    def __reduce__(self) -> tuple[Any, ...]:
        return FSMap, (self.root, self.fs, False, False, self.missing_exceptions)


def get_mapper(
    url: str = "",
    check: bool = False,
    create: bool = False,
    missing_exceptions: Errors | None = None,
    alternate_root: str | None = None,
    **kwargs: Any,
) -> FSMap:
    """A mapping over what a URL names; see `FSMap`.

    Parameters
    ----------
    alternate_root
        a path in place of the URL's, if the URL's is only good for finding the
        filesystem.
    **kwargs
        options of the filesystem.
    """
    fs, path = url_to_fs(url, **kwargs)
    root = path if alternate_root is None else alternate_root
    return FSMap(root, fs, check, create, missing_exceptions=missing_exceptions)
