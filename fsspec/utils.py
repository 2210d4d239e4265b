"""Small tools that backends and programs import from here.

A face: lists of paths are in `fsspec._paths.paths`, patterns in `fsspec._paths.patterns`, URLs in
`fsspec._paths.urls`, ranges and blocks of bytes in `fsspec._paths.ranges`.  What is left here is about
objects: what distinguishes them, and what they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TypeVar

from fsspec._paths.paths import (
    NoPathError,
    build_name_function,
    check_contained,
    common_prefix,
    other_paths,
    stringify_path,
)
from fsspec._paths.patterns import glob_translate
from fsspec._paths.ranges import (
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
from fsspec._paths.urls import (
    _unstrip_protocol,
    can_be_local,
    compressions,
    get_file_extension,
    get_protocol,
    infer_compression,
    infer_storage_options,
    update_storage_options,
)
from fsspec._public import publish

try:
    from _md5 import md5  # type: ignore[import-not-found]  # hashlib would load OpenSSL
except ImportError:  # Python can be built without it
    from hashlib import md5

if TYPE_CHECKING:
    import logging
    import os

    from typing_extensions import TypeIs

    from fsspec._paths.types import Options, T

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
publish(__name__, NoPathError, glob_translate)


C = TypeVar("C")

_PLAIN = frozenset({str, bytes, int, float, bool, type(None), type})
"""Types whose representation is the same in every process."""


def tokenize(*args: Any, **kwargs: Any) -> str:
    """A digest of arguments: equal if their representations are, whatever the order of keywords.

    An object with a token of its own (``__dask_tokenize__``, as filesystems have) is represented by it, and
    a set by its members in order. A filesystem that is not in the cache of instances is represented by its
    identity as well: its state may differ from that of another with the same arguments. An object whose
    representation shows only its address is represented by its identity: the token is then valid for this
    object, in this process and its forked children, for as long as it lives.

    Returns
    -------
    str
        32 hexadecimal digits
    """
    if kwargs:
        args += ({name: kwargs[name] for name in sorted(kwargs)} if len(kwargs) > 1 else kwargs,)
    if not _is_plain(args):
        args = tuple(map(_for_token, args))
    text: str = md5(str(args).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return text


def _is_plain(members: Iterable[Any]) -> bool:
    """Whether the representation of each is the same in every process."""
    for each in members:
        kind = type(each)
        if kind in _PLAIN:
            continue
        if kind is dict:
            if not (_is_plain(each) and _is_plain(each.values())):
                return False
        elif (kind is not list and kind is not tuple) or not _is_plain(each):
            return False
    return True


class _Shown:
    """Something whose representation is given."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _for_token(value: Any) -> object:
    """A stand-in whose representation is the same wherever the value is."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple:
        return kind(map(_for_token, value))
    if kind is dict:
        return {_for_token(name): _for_token(each) for name, each in value.items()}
    if kind is set or kind is frozenset:
        return _Shown(f"{kind.__name__}({sorted(repr(_for_token(each)) for each in value)})")
    token = getattr(kind, "__dask_tokenize__", None)
    if token is not None:
        text = f"{kind.__module__}.{kind.__qualname__}:{token(value)!r}"
        is_shared = getattr(kind, "_fsspec_is_shared", None)
        return _Shown(text if is_shared is None or is_shared(value) else f"{text} at {id(value):#x}")
    return value


def make_instance(cls: Callable[..., T], args: Iterable[Any], kwargs: Options) -> T:
    """``cls(*args, **kwargs)``, in a form that pickles can name."""
    return cls(*args, **kwargs)


def isfilelike(f: object) -> TypeIs[IO[bytes]]:
    """Whether ``f`` can be read, closed and asked for its position, as an open file can."""
    if isinstance(f, str):
        return False
    read, close, tell = getattr(f, "read", None), getattr(f, "close", None), getattr(f, "tell", None)
    return callable(read) and callable(close) and callable(tell)


def is_exception(obj: object) -> TypeIs[BaseException]:
    """Whether ``obj`` is an exception, raised or returned in place of a result."""
    return isinstance(obj, BaseException)


@contextmanager
def nullcontext(obj: T) -> Iterator[T]:
    """A context around ``obj`` whose end changes nothing."""
    yield obj


def mirror_from(origin_name: str, methods: Iterable[str]) -> Callable[[type[C]], type[C]]:
    """Class decorator: attributes of an object that each instance holds are also the instance's.

    Parameters
    ----------
    origin_name
        the attribute of an instance that holds the object
    methods
        names of what is looked up on it, each time
    """

    def looked_up(name: str) -> property:
        return property(lambda self: getattr(getattr(self, origin_name), name))

    def decorate(cls: type[C]) -> type[C]:
        for name in methods:
            setattr(cls, name, looked_up(name))
        return cls

    return decorate


def get_package_version_without_import(name: str) -> str | None:
    """The version of a package, whether it has been imported or not; None if there is none."""
    known = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(known, str):
        return known
    from importlib import metadata  # slow to import

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def setup_logging(
    logger: logging.Logger | None = None,
    logger_name: str | None = None,
    level: int | str = "DEBUG",
    clear: bool = True,
) -> logging.Logger:
    """Make a logger write to stderr, with times and names.

    Parameters
    ----------
    logger, logger_name
        which one; one of the two is needed
    level
        what is written at the least
    clear
        drop the handlers that it has

    Raises
    ------
    ValueError
        if neither a logger nor a name is given
    """
    import logging  # not loaded by the import of fsspec

    if logger is None:
        if not logger_name:
            raise ValueError("setup_logging needs a logger, or the name of one")
        logger = logging.getLogger(logger_name)
    if clear:
        logger.handlers.clear()
    handler = logging.StreamHandler()
    line = "%(asctime)s - %(name)s - %(levelname)s - %(funcName)s -- %(message)s"
    handler.setFormatter(logging.Formatter(line))
    logger.addHandler(handler)
    logger.setLevel(level)
    return logger


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """A local file that takes the place of ``path`` when the context ends well.

    After an exception ``path`` is as it was before.

    Parameters
    ----------
    mode
        "wb", or "w" for text in UTF-8

    Raises
    ------
    ValueError
        for any other mode
    """
    from fsspec._files.replacing import replacing  # only needed if files are written

    if mode not in ("w", "wb", "wt"):
        raise ValueError(f"atomic_write replaces the whole of {path}: its mode is 'wb' or 'w', not {mode!r}")
    with replacing(path, read_only=True) as f:
        if mode == "wb":
            yield f
        else:
            import io

            with io.TextIOWrapper(f, encoding="utf-8") as text:
                yield text
