"""What the package, and the programs of ci, use of libarchive-c."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from . import entry as entry
from . import exception as exception
from . import ffi as ffi

def custom_reader(
    read_func: Callable[..., int],
    format_name: str = ...,
    filter_name: str = ...,
    *,
    seek_func: Callable[..., int] | None = ...,
    block_size: int = ...,
) -> AbstractContextManager[Iterable[entry.ArchiveEntry]]: ...
def file_writer(
    filepath: str, format_name: str, filter_name: str | None = ...
) -> AbstractContextManager[Any]: ...
