"""Filesystems and paths within JSON.

A filesystem is an object with "cls" ("module:Class"), "protocol", "args" and its options;
a path has "cls" and "str".  Decoding imports only classes that are filesystems or paths.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, ClassVar

from fsspec.registry import _import_class, get_filesystem_class
from fsspec.spec import AbstractFileSystem

__all__ = ["FilesystemJSONDecoder", "FilesystemJSONEncoder"]


_OfText = Callable[[str], Any] | None


class FilesystemJSONEncoder(json.JSONEncoder):
    """Encodes filesystems and paths.

    Attributes
    ----------
    include_password
        whether options "password" are written, those of filesystems within one as well.
    """

    include_password: ClassVar[bool] = True

    def default(self, o: Any) -> Any:
        """The form of a filesystem or path; TypeError for anything else."""
        kind = type(o)
        if issubclass(kind, PurePath):
            return {"cls": f"{kind.__module__}.{kind.__name__}", "str": str(o)}
        if issubclass(kind, AbstractFileSystem):
            return o.to_dict(include_password=self.include_password)
        return super().default(o)

    def make_serializable(self, obj: Any) -> Any:
        """``obj`` with all filesystems and paths within it in their JSON form."""
        if isinstance(obj, dict):
            return {
                key: self.make_serializable(value)
                for key, value in obj.items()
                if self.include_password or key != "password"
            }
        if obj is None or isinstance(obj, (bool, int, float, str)):
            return obj
        if isinstance(obj, bytes):
            return list(obj)
        if isinstance(obj, (list, tuple, set)):
            return [self.make_serializable(value) for value in obj]
        return self.default(obj)


class FilesystemJSONDecoder(json.JSONDecoder):
    """Decodes what `FilesystemJSONEncoder` wrote."""

    def __init__(
        self,
        *,
        object_hook: Callable[[dict[str, Any]], Any] | None = None,
        parse_float: _OfText = None,
        parse_int: _OfText = None,
        parse_constant: _OfText = None,
        strict: bool = True,
        object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    ) -> None:
        self.original_object_hook = object_hook
        numbers = {"parse_float": parse_float, "parse_int": parse_int, "parse_constant": parse_constant}
        pairs = object_pairs_hook
        super().__init__(
            strict=strict, object_hook=self.custom_object_hook, object_pairs_hook=pairs, **numbers
        )

    @classmethod
    def try_resolve_path_cls(cls, dct: Mapping[str, Any]) -> type[PurePath] | None:
        """The class of a path, where the object is one."""
        with suppress(Exception):  # whatever it names instead: it is no path then
            fqp = dct["cls"]
            module, _, name = fqp.rpartition(".")
            if module in ("pathlib", "pathlib._local"):
                import pathlib

                found = getattr(pathlib, name)
            else:
                found = _import_class(fqp)
            if issubclass(found, PurePath):
                return found
        return None

    @classmethod
    def try_resolve_fs_cls(cls, dct: Mapping[str, Any]) -> type[AbstractFileSystem] | None:
        """The class of a filesystem, where the object is one: by "cls", or else "protocol"."""
        with suppress(Exception):  # as above
            found = _import_class(dct["cls"])
            if issubclass(found, AbstractFileSystem):
                return found
        with suppress(Exception):
            return get_filesystem_class(dct["protocol"])
        return None

    def custom_object_hook(self, dct: dict[str, Any]) -> Any:
        """A decoded object, turned into what it stands for."""
        if "cls" in dct:
            fs_cls = self.try_resolve_fs_cls(dct)
            if fs_cls is not None:
                return AbstractFileSystem.from_dict(dct)
            path_cls = self.try_resolve_path_cls(dct)
            if path_cls is not None:
                return path_cls(dct["str"])
        if self.original_object_hook is not None:
            return self.original_object_hook(dct)
        return dct

    def unmake_serializable(self, obj: Any) -> Any:
        """The inverse of `FilesystemJSONEncoder.make_serializable`."""
        if isinstance(obj, dict):
            return self.custom_object_hook(
                {key: self.unmake_serializable(value) for key, value in obj.items()}
            )
        if isinstance(obj, Sequence) and not isinstance(obj, (str, bytes)):
            return [self.unmake_serializable(value) for value in obj]
        return obj
