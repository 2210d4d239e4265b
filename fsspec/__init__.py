"""Filesystems of every kind behind one interface, usable across forks.

A drop-in for fsspec 2026.9.0.  Nothing is imported before it is used: the names below
are resolved when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec._version import __version__ as __version__
from fsspec.registry import (
    available_protocols,
    filesystem,
    get_filesystem_class,
    register_implementation,
    registry,  # the module of this name is fsspec.registry only to import statements
)
from fsspec.registry import process_entries as process_entries

if TYPE_CHECKING:
    from fsspec import caching as caching
    from fsspec.callbacks import Callback as Callback
    from fsspec.compression import available_compressions as available_compressions
    from fsspec.core import get_fs_token_paths as get_fs_token_paths
    from fsspec.core import open as open
    from fsspec.core import open_files as open_files
    from fsspec.core import open_local as open_local
    from fsspec.core import url_to_fs as url_to_fs
    from fsspec.exceptions import FSTimeoutError as FSTimeoutError
    from fsspec.mapping import FSMap as FSMap
    from fsspec.mapping import get_mapper as get_mapper
    from fsspec.spec import AbstractFileSystem as AbstractFileSystem

_MODULE_OF = {
    "AbstractFileSystem": "spec",
    "Callback": "callbacks",
    "FSMap": "mapping",
    "FSTimeoutError": "exceptions",
    "available_compressions": "compression",
    "get_fs_token_paths": "core",
    "get_mapper": "mapping",
    "open": "core",
    "open_files": "core",
    "open_local": "core",
    "url_to_fs": "core",
}
_MODULES = frozenset(
    "archive asyn caching callbacks compression config core dircache exceptions fork generic implementations"
    " json mapping parquet prefetcher spec transaction utils".split()
)

__all__ = [
    "AbstractFileSystem", "Callback", "FSMap", "FSTimeoutError",
    "available_compressions", "available_protocols", "caching", "filesystem", "get_filesystem_class",
    "get_fs_token_paths", "get_mapper", "open", "open_files", "open_local",
    "register_implementation", "registry", "url_to_fs",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    home = _MODULE_OF.get(name)
    if home is not None:
        value = globals()[name] = getattr(import_module(f"fsspec.{home}"), name)
        return value
    if name in _MODULES:
        return import_module(f"fsspec.{name}")
    raise AttributeError(f"module 'fsspec' has no attribute {name!r}")


def __dir__() -> list[str]:
    helpers = {"Any", "TYPE_CHECKING", "annotations"}  # of this module's own text
    return sorted({*globals(), *_MODULE_OF, *_MODULES} - helpers)
