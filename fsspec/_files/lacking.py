"""What a backend lacks: found out when it is used, and told by an error that names the method to write.

Of reading and writing files it is only known then: contents may be read by `_fetch_range` of the files or by
`cat_file` of the filesystem, and what is written may be taken by any of several methods.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from fsspec._overriding import is_from_here
from fsspec._paths.redaction import redact_url

if TYPE_CHECKING:
    from fsspec._files.buffered import AbstractBufferedFile
    from fsspec._paths.types import Filesystem


class _SetByInit:
    """Stands in the base class for an attribute that its ``__init__`` sets, until that is called."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute_name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:  # what looks through all that a class has
            return self
        raise without_init(owner, self._attribute_name, "**kwargs")


def set_by_init() -> Any:
    """An attribute of a base class that raises an AttributeError if ``__init__`` of a subclass does not
    call that of the base class."""
    return _SetByInit()


def without_init(cls: type, attribute: str, arguments: str) -> AttributeError:
    """That an object has no ``attribute``, since ``__init__`` of its class does not call the base's."""
    return AttributeError(
        f"{cls.__name__!r} object has no attribute {attribute!r}: "
        f"{cls.__name__}.__init__ has to call super().__init__({arguments}) first"
    )


def refuse_without_init(file: AbstractBufferedFile) -> None:
    """Raise AttributeError if a file counts as closed only since the base's ``__init__`` was not called."""
    if file._closed and "_closed" not in vars(file):
        raise without_init(type(file), "loc", "fs, path, mode, **kwargs")


def refuse_coroutine(file: object, name: str, answer: object) -> None:
    """Raise TypeError if what a method of a blocking file returned is a coroutine, which would never run."""
    if type(answer) is CoroutineType:
        answer.close()
        raise TypeError(_never_awaited(file, name))


def _never_awaited(owner: object, name: str) -> str:
    return (
        f"{type(owner).__name__}.{name} is a coroutine function, which is not awaited here: write"
        f" `def {name}`, and call coroutines in it by fsspec.asyn.sync"
    )


def refuse_unawaited(file: AbstractBufferedFile) -> None:
    """Raise TypeError if what fetches the content of a blocking file is a coroutine function."""
    for owner, name in (file, "_fetch_range"), (file.fs, "cat_file"):
        if iscoroutinefunction(getattr(owner, name, None)):
            raise TypeError(_never_awaited(owner, name))


_NO_FILES = frozenset((type(None), bool, bytearray, bytes, dict, int, list, memoryview, str, tuple))


def refuse_no_file(fs: object, file: object) -> None:
    """Raise TypeError if what ``_open`` returned is plain data."""
    if type(file) in _NO_FILES:
        what = "None" if file is None else type(file).__name__
        raise TypeError(f"{type(fs).__name__}._open has to return a file: it returned {what}")


def size_in(fs: Filesystem, entry: Any) -> Any:
    """The size in the entry of a file."""
    try:
        return entry["size"]
    except (KeyError, TypeError) as error:
        raise no_entry(fs, error) from error


def refuse_textual(file: AbstractBufferedFile, size: str) -> None:
    """Raise TypeError: the size of a file is text."""
    error = TypeError(f"the 'size' of {redact_url(file.path)!r} is {size!r}, where a number is needed")
    raise no_entry(file.fs, error) if file._details is not None else error


def no_coroutine(fs: object, name: str) -> str:
    """What is wrong if an awaitable backend has an operation as a plain method; else empty."""
    method = getattr(type(fs), f"_{name}", None) if getattr(fs, "async_impl", False) else None
    if method is None or iscoroutinefunction(method) or isasyncgenfunction(method):
        return ""
    return f"{type(fs).__name__}._{name} exists, but is not a coroutine function: write `async def _{name}`"


def lacking(file: AbstractBufferedFile, act: str, method: str, whole: str) -> NotImplementedError:
    """That a backend has no ``method`` of its files, nor one for ``whole`` files, to ``act`` with."""
    fs = type(file.fs).__name__
    if plain := no_coroutine(file.fs, whole):
        return NotImplementedError(f"{fs} cannot {act} {redact_url(file.path)!r}: {plain}")
    whole = f"_{whole}" if getattr(file.fs, "async_impl", False) else whole
    return NotImplementedError(
        f"{fs} cannot {act} {redact_url(file.path)!r}: what its _open returns, {type(file).__name__}, has no"
        f" {method} of its own, and {fs} no {whole}"
    )


def no_listing(fs: Filesystem, error: Exception) -> Exception:
    """The error of a backend whose `ls` gives something else than entries, as it ought to read."""
    ls = f"{type(fs).__name__}.{'_ls' if getattr(fs, 'async_impl', False) else 'ls'}"
    return _as_it_ought(f"{ls} has to return a list of dicts", error)


def no_entry(fs: Filesystem, error: Exception) -> Exception:
    """As `no_listing`, of a backend whose `info` gives something else than an entry."""
    if not getattr(fs, "async_impl", False) and is_from_here(getattr(type(fs), "info", None)):
        return no_listing(fs, error)  # of which the `info` here takes its entries
    info = f"{type(fs).__name__}.{'_info' if getattr(fs, 'async_impl', False) else 'info'}"
    if plain := no_coroutine(fs, "info"):
        return type(error)(f"{plain}: {error}")
    return _as_it_ought(f"{info} has to return a dict", error)


def _as_it_ought(what: str, error: Exception) -> Exception:
    why = f"{error} is missing" if isinstance(error, KeyError) else error
    return type(error)(f"{what} with 'name', 'size' and 'type' ('file' or 'directory'): {why}")


_TAKING = "__exit__ _initiate_upload _upload_chunk close commit flush write".split()
"""Methods of files that may take what is written elsewhere."""


def refuse_loss(file: AbstractBufferedFile) -> None:
    """Raise NotImplementedError if what is in the buffer would be lost, as nothing of the file's class
    uploads it or may have taken it elsewhere."""
    if type(file.buffer) is io.BytesIO and file.buffer.tell():
        if all(is_from_here(getattr(type(file), name, None)) for name in _TAKING):
            raise lacking(file, "write", "_upload_chunk", "pipe_file")


def refuse_endless(file: AbstractBufferedFile, pipe: Callable[..., Any]) -> None:
    """Raise NotImplementedError if the ``pipe_file`` by which ``pipe`` writes a file opened this one.

    Else it would be called by this one again, and so on, in a transaction without an end.
    """
    if is_asked_by_itself(file, pipe):
        fs = type(file.fs).__name__
        why = no_coroutine(file.fs, "pipe_file") or (
            f"its pipe_file opens the file to write it, and what its _open returns, {type(file).__name__},"
            " has no _upload_chunk of its own"
        )
        raise NotImplementedError(f"{fs} cannot write {redact_url(file.path)!r}: {why}")


def is_asked_by_itself(file: AbstractBufferedFile, method: Callable[..., Any] | None = None) -> bool:
    """Whether ``method``, by default the one that calls this, waits further up for the same of this file,
    since each opens the file that it reads or writes."""
    caller = sys._getframe(1)
    code = caller.f_code if method is None else method.__code__
    frame: Any = caller.f_back
    while frame is not None:
        if frame.f_code is code:
            outer = frame.f_locals[code.co_varnames[0]]
            if outer.fs is file.fs and outer.path == file.path:
                return True
        frame = frame.f_back
    return False
