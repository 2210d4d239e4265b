"""Compressed files that are read: what a codec raises of data that it cannot decode names the file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from io import IOBase
from typing import Any

from fsspec._fork.variants import assign
from fsspec._paths.redaction import redact_url
from fsspec.exceptions import ForkError


def reading_layer(codec: Callable[..., Any], file: Any, path: str, mode: str = "rb") -> Any:
    """What a codec makes of a file that is open for reading: an object of the codec's class, whose errors
    name the ``path``."""
    try:
        layer = codec(file, mode=mode)
    except Exception as error:  # of any codec; it is raised on
        name_file(error, path)
        raise
    if layer is not file:
        kind: Any = type(layer)
        with suppress(TypeError, AttributeError):  # a class written in C
            layer._decoded_path = path
            assign(layer, _naming_class(kind))
    return layer


def name_file(error: Exception, path: str) -> None:
    """Have what a codec raises of data that it cannot decode name the file; other errors stay as they are."""
    if isinstance(error, (ValueError, TypeError, AttributeError, ForkError)) or getattr(error, "errno", None):
        return
    if len(error.args) == 1 and isinstance(error.args[0], str):
        shown = repr(redact_url(path))
        if shown not in error.args[0]:
            error.args = (f"{error.args[0]}, reading {shown}",)


_READING = ("read", "read1", "readinto", "readinto1", "readline", "readlines", "peek", "seek", "__next__")


@lru_cache(maxsize=64)
def _naming_class(cls: type) -> type:
    """A class of files like ``cls`` whose errors of reading name the file."""

    def naming(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:  # of any codec; it is raised on
                name_file(error, self._decoded_path)
                raise

        return call

    own = {name: naming(getattr(cls, name)) for name in _READING if _has_own(cls, name)}
    return type(cls.__name__, (cls,), {**own, "__module__": cls.__module__, "__doc__": cls.__doc__})


def _has_own(cls: type, name: str) -> bool:
    """Whether a method does not only call another one of the class."""
    return hasattr(cls, name) and getattr(cls, name) is not getattr(IOBase, name, None)
