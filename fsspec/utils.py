"""Small tools that backends and programs import from here.

A face: path lists live in `fsspec._paths`, URLs in `fsspec._urls`, byte ranges and blocks
in `fsspec._ranges`.  What is left here has no better place.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from fsspec._paths import (
    build_name_function,
    check_contained,
    common_prefix,
    glob_translate,
    other_paths,
    stringify_path,
)
from fsspec._ranges import (
    DEFAULT_BLOCK_SIZE,
    HAS_CPYTHON_API,
    PyBytes_AsString,
    PyBytes_FromStringAndSize,
    _fast_slice,
    file_size,
    merge_offset_ranges,
    read_block,
    seek_delimiter,
)
from fsspec._urls import (
    _unstrip_protocol,
    can_be_local,
    compressions,
    get_file_extension,
    get_protocol,
    infer_compression,
    infer_storage_options,
    update_storage_options,
)

__all__ = [
    "DEFAULT_BLOCK_SIZE",
    "HAS_CPYTHON_API",
    "PyBytes_AsString",
    "PyBytes_FromStringAndSize",
    "_fast_slice",
    "_unstrip_protocol",
    "atomic_write",
    "build_name_function",
    "can_be_local",
    "check_contained",
    "common_prefix",
    "compressions",
    "file_size",
    "get_file_extension",
    "get_package_version_without_import",
    "get_protocol",
    "glob_translate",
    "infer_compression",
    "infer_storage_options",
    "is_exception",
    "isfilelike",
    "make_instance",
    "merge_offset_ranges",
    "mirror_from",
    "nullcontext",
    "other_paths",
    "read_block",
    "seek_delimiter",
    "setup_logging",
    "stringify_path",
    "tokenize",
    "update_storage_options",
]


def tokenize(*args: Any, **kwargs: Any) -> str:
    """A digest of arguments: equal for arguments of equal representation.

    Returns
    -------
    str
        32 hexadecimal digits, the same in every process.
    """
    from hashlib import md5

    if kwargs:
        args += (kwargs,)
    text = str(args).encode("utf8", "surrogatepass")
    return md5(text, usedforsecurity=False).hexdigest()


def make_instance(cls: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    """``cls(*args, **kwargs)``, in a form that pickles can name."""
    return cls(*args, **kwargs)


def isfilelike(f: Any) -> bool:
    """Whether ``f`` can be read, closed and told its position, as an open file can."""
    return all(callable(getattr(f, name, None)) for name in ("read", "close", "tell"))


def is_exception(obj: Any) -> bool:
    """Whether ``obj`` is an exception, raised or returned in place of a result."""
    return isinstance(obj, BaseException)


@contextlib.contextmanager
def nullcontext(obj: Any) -> Iterator[Any]:
    """A context around ``obj`` whose end changes nothing."""
    yield obj


def mirror_from(origin_name: str, methods: Iterable[str]) -> Callable[[type], type]:
    """Class decorator: give a class attributes of an object that its instances hold.

    Parameters
    ----------
    origin_name
        the attribute of the instance that holds the object.
    methods
        names that are looked up on it.
    """

    def looked_up(name: str) -> property:
        return property(lambda self: getattr(getattr(self, origin_name), name))

    def decorate(cls: type) -> type:
        for name in methods:
            setattr(cls, name, looked_up(name))
        return cls

    return decorate


def get_package_version_without_import(name: str) -> str | None:
    """The version of an installed package; None where it is not there."""
    module = sys.modules.get(name)
    known = getattr(module, "__version__", None)
    if isinstance(known, str):
        return known
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def setup_logging(
    logger: Any = None, logger_name: str | None = None, level: str = "DEBUG", clear: bool = True
) -> Any:
    """Have a logger write to stderr.

    Parameters
    ----------
    logger, logger_name
        one of the two.
    clear
        drop the handlers it has.
    """
    import logging

    if logger is None:
        if not logger_name:
            raise ValueError("setup_logging needs a logger, or the name of one")
        logger = logging.getLogger(logger_name)
    if clear:
        logger.handlers.clear()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(funcName)s -- %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
    return logger


@contextlib.contextmanager
def atomic_write(path: str, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file that takes the place of ``path`` when the context ends well, and else is gone."""
    import tempfile

    folder = os.path.dirname(path) or os.curdir
    fd, name = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path) + "-")
    try:
        with open(fd, mode) as f:
            yield f
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
