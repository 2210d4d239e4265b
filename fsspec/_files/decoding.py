"""Compressed files that are read: what a codec raises of data that it cannot decode names the file."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from fsspec._paths.redaction import redact_url
from fsspec.exceptions import ForkError


def reading_layer(codec: Callable[..., Any], file: object, path: str, mode: str = "rb") -> Any:
    """What a codec makes of a file that is open for reading. Its errors name the ``path`` if it decodes in
    Python, over a buffer, as the codecs that come with this package do."""
    try:
        layer = codec(file, mode=mode)
    except Exception as error:  # of any codec; it is raised on
        name_file(error, path)
        raise
    if layer is not file:
        raw = getattr(getattr(layer, "_buffer", layer), "raw", None)  # of gzip, bz2, lzma, lz4, zstd
        for decoder, name in (raw, "read"), (raw, "readinto"), (raw, "readall"), (layer, "_read1"):  # of zip
            method = getattr(type(decoder), name, None)
            if method is not None:
                with suppress(Exception):  # it is in C, or of a program, with rules of its own
                    # by a weak reference, so that there is no cycle: it ends with its file
                    setattr(decoder, name, partial(_decoded, weakref.ref(decoder), method, path))
    return layer


def name_file(error: Exception, path: str) -> None:
    """Add the name of the file to a codec's error about its data; other errors stay as they are."""
    if isinstance(error, (ValueError, TypeError, AttributeError, ForkError)) or getattr(error, "errno", None):
        return
    if len(error.args) == 1 and isinstance(error.args[0], str):
        shown = repr(redact_url(path))
        if shown not in error.args[0]:
            error.args = (f"{error.args[0]}, reading {shown}",)


def _decoded(decoder: weakref.ref[Any], method: Callable[..., Any], path: str, *args: Any) -> Any:
    """What a method of a decoder gives; an error names the file."""
    try:
        return method(decoder(), *args)
    except Exception as error:  # of any codec; it is raised on
        name_file(error, path)
        raise
