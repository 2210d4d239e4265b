"""The module by whose name programs know what a private module defines.

What a public module imports from a private one is known to programs, tracebacks and pickles by the public
module's name: a pickle that named the private one would neither outlive a move of it, nor be read by another
release of fsspec.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, TypeVar

C = TypeVar("C", bound=type)

LAZY_NAMES: dict[str, str] = {
    "fsspec.core": ""
    "caching.BaseCache caching.BlockCache caching.MMapCache caching.ReadAheadCache config.conf"
    " utils._unstrip_protocol utils.infer_compression",
    "fsspec.spec": ""
    "config.apply_config config.conf transaction.Transaction utils.check_contained utils.glob_translate"
    " utils._unstrip_protocol utils.isfilelike utils.other_paths utils.read_block",
    "fsspec.asyn": ""
    "implementations.local.LocalFileSystem implementations.local.make_path_posix"
    " utils.check_contained utils.glob_translate utils.is_exception utils.other_paths",
    "fsspec.generic": "asyn._run_coros_in_chunks asyn.sync_wrapper core.url_to_fs",
    "fsspec.implementations.cached": ""
    "caching.BaseCache caching.MMapCache callbacks.DEFAULT_CALLBACK compression.compr"
    " exceptions.BlocksizeMismatchError implementations.cache_mapper.create_cache_mapper"
    " implementations.cache_metadata.CacheMetadata implementations.local.LocalFileSystem"
    " registry.filesystem spec.AbstractBufferedFile utils.infer_compression",
    "fsspec.implementations.http": ""
    "asyn.AbstractAsyncStreamedFile asyn.sync_wrapper caching.AllBytes exceptions.FSTimeoutError"
    " utils.DEFAULT_BLOCK_SIZE utils.glob_translate utils.isfilelike utils.nullcontext",
    "fsspec.implementations.http_sync": "caching.AllBytes utils.nullcontext",
    "fsspec.implementations.local": "compression.compr core.get_compression",
    "fsspec.implementations.memory": "implementations.local.LocalFileSystem utils.tokenize",
    "fsspec.implementations.reference": ""
    "asyn.AsyncFileSystem core.open core.split_protocol"
    " implementations.asyn_wrapper.AsyncFileSystemWrapper registry.filesystem utils.check_contained"
    " utils.isfilelike utils.merge_offset_ranges utils.other_paths",
    "fsspec.implementations.tar": "archive.AbstractArchiveFileSystem",
    "fsspec.implementations.zip": "archive.AbstractArchiveFileSystem",
}
"""Names that programs take from a module and others define, by what they are below ``fsspec``."""

PARTS: dict[str, str] = {
    "fsspec.core": "_files.open_file caching spec",
    "fsspec.spec": "_files.buffered _fork.instances _plans _spec",
    "fsspec.asyn": "_plans",
    "fsspec.caching": "_files.caches_",
    "fsspec.generic": "_files.copying",
    "fsspec.utils": "_paths",
    "fsspec.implementations.cached": "implementations._cached",
    "fsspec.implementations.http": "implementations._http",
    "fsspec.implementations.local": "_files.local_file _plans.transfers",
    "fsspec.implementations.reference": "implementations._reference",
}
"""By public module: the modules that do its work, by how their names below ``fsspec`` begin. They follow when
a program binds a name of the public one to something else."""


class PublicModule(ModuleType):
    """A public module whose names programs may replace, as in a module that is one file."""

    def __setattr__(self, name: str, value: object) -> None:
        before = getattr(self, name, self)
        super().__setattr__(name, value)
        self._rebind(name, before, value)

    def __delattr__(self, name: str) -> None:
        before = getattr(self, name, self)
        super().__delattr__(name)  # one of `LAZY_NAMES` is found again
        self._rebind(name, before, getattr(self, name, before))

    def __reduce__(self) -> tuple[Any, ...]:  # functions that are pickled by value may hold modules
        return import_module, (self.__name__,)

    def _rebind(self, name: str, before: object, after: object) -> None:
        parts = tuple(f"fsspec.{part}" for part in PARTS[self.__name__].split())
        for module in [sys.modules[each] for each in list(sys.modules) if each.startswith(parts)]:
            if vars(module).get(name, PARTS) is before:
                vars(module)[name] = after


def claim(cls: C) -> C:
    """Give the methods of a class's private bases its module and name, as messages of `TypeError` show them.

    The first class that claims a base keeps it, as the first one that inherits it.
    """
    for base in cls.__mro__:
        for member in vars(base).values() if "._" in base.__module__ or base is cls else ():
            method = getattr(member, "__func__", member)
            if isinstance(method, FunctionType) and "._" in method.__module__:
                method.__module__, method.__qualname__ = (
                    cls.__module__,
                    f"{cls.__qualname__}.{method.__name__}",
                )
    return cls


def publish(module: str, *members: Any, logger: str = "") -> None:
    """Set ``__module__`` of what private modules define, and a public one exports, to the public one.

    Names of other modules that a public one exports as well (`LAZY_NAMES`) are imported on first use, so
    that ``import fsspec`` stays small.

    ``members``: further objects, besides the classes and functions in ``__all__`` of the module.
    ``logger``: the name of the logger of the module, if `logging` is not loaded with the module.
    """
    has = vars(sys.modules[module])
    if module in PARTS:
        sys.modules[module].__class__ = PublicModule
    exported = (has.get(name) for name in has.get("__all__", ()))
    private = (x for x in exported if isinstance(x, (type, FunctionType)) and "._" in x.__module__)
    for member in (*members, *private):
        member.__module__ = module
        if isinstance(member, type):
            claim(member)
    modules = {
        name: home for home, _, name in (x.rpartition(".") for x in LAZY_NAMES.get(module, "").split())
    }

    def __getattr__(name: str) -> Any:
        if name == "logger" and logger:
            value = import_module("logging").getLogger(logger)
        elif name in modules:
            value = getattr(import_module(f"fsspec.{modules[name]}"), name)
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return has.setdefault(name, value)

    if modules or logger:
        has["__getattr__"] = __getattr__
