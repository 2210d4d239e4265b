"""Filesystems and paths within JSON.

A filesystem is an object with "cls" ("module:Class"), "protocol", "args" and its options;
a path has "cls" and "str".  Decoding makes only filesystems and paths, and imports only what the
registry knows: text may come from elsewhere, and to import a module is to run it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, ClassVar

from fsspec._paths.redaction import is_secret, without_passwords
from fsspec.archive import AbstractArchiveFileSystem, check_may_write, text_may_write
from fsspec.registry import _import_class, get_filesystem_class, known_implementations
from fsspec.spec import AbstractFileSystem

__all__ = ["FilesystemJSONDecoder", "FilesystemJSONEncoder"]


_OfText = Callable[[str], Any] | None


class FilesystemJSONEncoder(json.JSONEncoder):
    """Encodes filesystems and paths.

    Attributes
    ----------
    include_password
        whether options that are secrets by their name are written, and secrets within URLs, those of
        filesystems within one as well; see `fsspec._paths.redaction`.
    """

    include_password: ClassVar[bool] = True

    def default(self, o: Any) -> object:
        """The form of a filesystem or path; TypeError for anything else."""
        kind = type(o)
        if issubclass(kind, PurePath):
            return {"cls": f"{kind.__module__}.{kind.__name__}", "str": str(o)}
        if issubclass(kind, AbstractFileSystem):
            return o.to_dict(include_password=self.include_password)
        return super().default(o)

    def make_serializable(self, obj: object) -> Any:
        """``obj`` with all filesystems and paths within it in their JSON form."""
        if isinstance(obj, dict):
            return {
                key: self.make_serializable(value)
                for key, value in obj.items()
                if self.include_password or not is_secret(key)
            }
        if isinstance(obj, str):
            return obj if self.include_password or "://" not in obj else without_passwords(obj)
        if obj is None or isinstance(obj, (bool, int, float)):
            return obj
        if isinstance(obj, bytes):
            return list(obj)
        if isinstance(obj, (list, tuple, set)):
            return [self.make_serializable(value) for value in obj]
        return self.default(obj)

    def shown_args(self, cls: type, args: Sequence[Any]) -> list[Any]:
        """Positional arguments of a constructor; without passwords None in the place of secrets."""
        if self.include_password or not args:
            return list(args)
        import inspect  # slow to import

        known = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # of the class itself
        names = list(known)[1 : len(args) + 1]
        names += [""] * (len(args) - len(names))
        return [None if is_secret(name) else value for name, value in zip(names, args)]


class FilesystemJSONDecoder(json.JSONDecoder):
    """Decodes what `FilesystemJSONEncoder` wrote.

    Attributes
    ----------
    allow
        classes ("package.module:Class") and modules that the text may name although they are
        neither known to the registry nor imported, and classes that may open an archive for
        writing; see `decoder`.
    """

    allow: ClassVar[frozenset[str]] = frozenset()

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
        """The class of a path, if the object is one."""
        with suppress(Exception):  # whatever it names instead: it is not a path then
            fqp = dct["cls"]
            module, _, name = fqp.rpartition(".")
            if module in ("pathlib", "pathlib._local"):
                import pathlib

                found: type[Any] = getattr(pathlib, name)
            elif cls._may_import(fqp):
                found = _import_class(fqp)
            else:
                return None
            if issubclass(found, PurePath):
                return found
        return None

    @classmethod
    def _may_import(cls, fqp: str) -> bool:
        """Whether the text may name that class: see `allow`."""
        name = fqp.replace(":", ".")
        module = name.rpartition(".")[0]
        if name.startswith("fsspec.") or module in sys.modules:
            return True
        if any(name == entry["class"].replace(":", ".") for entry in known_implementations.values()):
            return True
        return any(name == a or name.startswith(a + ".") for a in (a.replace(":", ".") for a in cls.allow))

    @classmethod
    def try_resolve_fs_cls(cls, dct: Mapping[str, Any]) -> type[AbstractFileSystem] | None:
        """The class of a filesystem, if the object is one: by "cls", or else "protocol"."""
        fqp: Any = dct.get("cls")
        served = None
        with suppress(Exception):  # as above
            served = get_filesystem_class(dct["protocol"])  # which may import the module of "cls"
        with suppress(Exception):  # as above
            if cls._may_import(fqp):
                found: type[Any] = _import_class(fqp)
                if issubclass(found, AbstractFileSystem):
                    return found
        return None if cls._is_installed(fqp) else served  # it was renamed or moved since

    @classmethod
    def _is_installed(cls, fqp: Any) -> bool:
        """Whether there is a package that is not looked into, and might have the class."""
        from importlib.util import find_spec

        top = fqp.replace(":", ".").partition(".")[0] if isinstance(fqp, str) else ""
        try:
            return bool(top) and not cls._may_import(fqp) and find_spec(top) is not None
        except ValueError:  # a module that is not a package
            return False

    def made(self, dct: Mapping[str, Any]) -> AbstractFileSystem:
        """The filesystem that an object describes.

        Raises
        ------
        ValueError
            if it describes none, or one that must not be made from text
        """
        fqp = dct.get("cls")
        found = self.try_resolve_fs_cls(dct) if "cls" in dct else None
        if found is None:
            if self._is_installed(fqp):
                why = f"a text does not have modules imported: import it first, or pass allow=[{fqp!r}]"
            else:
                why = "a dict made by to_dict() names both"
            raise ValueError(
                f"Not a serialized AbstractFileSystem: no filesystem class for cls={fqp!r},"
                f" protocol={dct.get('protocol')!r}; {why}"
            )
        options = {k: v for k, v in dct.items() if k not in ("cls", "protocol", "args")}
        args = self.unmake_serializable(dct.get("args", ()))
        options = self.unmake_serializable(options)
        before = text_may_write.set(self.allow)
        try:
            mode = options.get("mode", "r")
            if issubclass(found, AbstractArchiveFileSystem) and "r" not in str(mode):
                check_may_write(found, options.get("fo"), mode)  # one of another package, perhaps
            return found(*args, **options)
        finally:
            text_may_write.reset(before)

    def custom_object_hook(self, dct: dict[str, Any]) -> object:
        """A decoded object, turned into what it stands for."""
        if "cls" in dct:
            has_form = "protocol" in dct and "args" in dct  # of a filesystem whose class must not be imported
            if self.try_resolve_fs_cls(dct) is not None or has_form and self._is_installed(dct["cls"]):
                return self.made(dct)
            path_cls = self.try_resolve_path_cls(dct)
            if path_cls is not None:
                return path_cls(dct["str"])
        if self.original_object_hook is not None:
            return self.original_object_hook(dct)
        return dct

    def unmake_serializable(self, obj: object) -> Any:
        """The inverse of `FilesystemJSONEncoder.make_serializable`."""
        if isinstance(obj, dict):
            return self.custom_object_hook(
                {key: self.unmake_serializable(value) for key, value in obj.items()}
            )
        if isinstance(obj, Sequence) and not isinstance(obj, (str, bytes)):
            return [self.unmake_serializable(value) for value in obj]
        return obj


def decoder(allow: Iterable[str] = ()) -> type[FilesystemJSONDecoder]:
    """A decoder that may use certain classes or modules besides; see `FilesystemJSONDecoder.allow`."""
    if not allow:
        return FilesystemJSONDecoder
    names = frozenset([allow] if isinstance(allow, str) else allow)
    return type("FilesystemJSONDecoder", (FilesystemJSONDecoder,), {"allow": names})
