"""Files that were being written as the process forked, in the child.

Such a file belongs to the process that opened it: in the child its buffer is a copy, and
its upload the parent's. Nothing that the child does may reach the store, least of all by
the ``commit``, ``discard`` or ``close`` that a backend brings. Therefore the file is given
the class that `inherited` makes of its own, as the fork returns in the child: writing
raises there, and ending it in any way only lets go of the copy.

Compressors and text layers above it write their end as they are closed or collected, and
must be let go of as silently. Whoever refuses therefore looks whether a layer is `leaving`,
which shows in the calls that lead there: the text layer of the standard library, which
makes none of Python's, is replaced by `Text`. Layers may keep to themselves what they are
given: they are remembered, and refuse in a child as the file below does.
"""

from __future__ import annotations

import io
import sys
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from fsspec._fork import hooks
from fsspec.exceptions import ForkError

_ADVICE = "What is being written belongs to the process that opened it; open the file anew in this process"


_DEPTH = 6  # calls from the end of a text layer through a compressor down to the file


def leaving() -> bool:
    """Whether the caller was called because a file is closed or collected: layers then write their end."""
    frame = sys._getframe(2)
    for _ in range(_DEPTH):
        if frame.f_code.co_name in ("close", "__exit__", "__del__"):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


class Text(io.TextIOWrapper):
    """Text over a file being written; closing it in a forked child writes nothing that was not written."""

    def __init__(self, buffer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(buffer, *args, **kwargs)
        if buffer.writable():
            _remember(self)

    def close(self) -> None:
        """Close it and the file below; closing again does nothing."""
        super().close()  # within a call of this name, see `leaving`


def _write_text(self: Any, text: str) -> int:
    """In a child: text that only waits in the layer would be lost without a word."""
    self.buffer.write(b"")  # raises where the file is the parent's
    return io.TextIOWrapper.write(self, text)


def _write_lines(self: Any, lines: Iterable[str]) -> None:
    for line in lines:
        self.write(line)


def _flush_text(self: Any) -> None:
    if not leaving():
        self.buffer.flush()  # as above; the layer itself would only say that it is closed
    io.TextIOWrapper.flush(self)


def _refused(name: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        if name in ("write", "flush") and leaving():
            return len(args[0]) if args else None
        raise ForkError(f"{self!r}", hooks.owner_pid(self._generation), advice=_ADVICE)

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def _dropped(self: Any, *args: Any, **kwargs: Any) -> None:
    self.buffer = None


def _awaited(func: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        return func(self, *args, **kwargs)

    return awaited


_inherited: dict[tuple[type, bool], type] = {}
_texts: dict[type, type] = {}


class _Quiet:
    """A first base that keeps the ``__init_subclass__`` of others from running in a hook."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


def derived(cls: type, body: dict[str, Any]) -> type:
    """A subclass of the same name that objects of ``cls`` can be given in a child; runs no code of others."""
    for name in ("__module__", "__qualname__", "__doc__"):
        body[name] = getattr(cls, name)
    # the other base only where it is needed: not every class can be exchanged for one of two bases
    noisy = hasattr(cls.__init_subclass__, "__func__")
    return type(cls.__name__, (_Quiet, cls) if noisy else (cls,), body)


def inherited(cls: type, closed: bool = False) -> type:
    """The class that files of ``cls`` have in a child if they were being written at the fork.

    Parameters
    ----------
    closed
        such a file says that it is closed, whatever its own class would say.
    """
    if "_inherited" in cls.__dict__:  # a child's child
        return cls
    found = _inherited.get((cls, closed))
    if found is None:
        members: dict[str, Any] = {"_inherited": True}
        if closed:
            members["closed"] = property(lambda self: True)
        for name in ("write", "writelines", "flush", "commit", "_initiate_upload", "_upload_chunk"):
            members[name] = _refused(name)
        for name in ("close", "discard", "__exit__", "__aexit__", "__del__"):
            members[name] = _dropped
        for name, member in members.items():
            code = getattr(getattr(cls, name, None), "__code__", None)
            if code is not None and code.co_flags & 0x80:  # a coroutine function
                members[name] = _awaited(member)
        found = _inherited[cls, closed] = derived(cls, members)
    return found


_layers: dict[int, weakref.ref[Any]] = {}


def _remember(layer: Any) -> None:
    key = id(layer)
    with suppress(TypeError):  # of another make, to which there are no weak references
        _layers[key] = weakref.ref(layer, lambda _: _layers.pop(key, None))


def over(codec: Callable[..., Any], file: Any, mode: str) -> Any:
    """A layer that compresses into ``file``, or decompresses from it where ``mode`` is "r"."""
    layer = codec(file, mode=mode)
    if mode != "r":
        _remember(layer)
    return layer


def _refuse_text(layer: Text) -> None:
    cls = type(layer)
    if cls not in _texts:
        body: dict[str, Any] = {"write": _write_text, "writelines": _write_lines, "flush": _flush_text}
        body["__doc__"] = cls.__doc__
        _texts[cls] = type(cls.__name__, (cls,), body)
        _texts[_texts[cls]] = _texts[cls]  # a child's child
    layer.__class__ = _texts[cls]


def _refuse_compressor(layer: Any) -> None:
    state = getattr(layer, "__dict__", None)
    if state is None:
        return
    hooks.immortalize(list(state.values()))  # else buffers of its own would be written as they go
    state.pop("close", None)
    state.setdefault("_generation", hooks.generation - 1)
    with suppress(TypeError):  # not a class of Python's
        layer.__class__ = inherited(type(layer))


def _in_child() -> None:
    for ref in list(_layers.values()):
        layer = ref()
        if isinstance(layer, Text):
            _refuse_text(layer)
        elif layer is not None:
            _refuse_compressor(layer)


hooks.at_fork(child=_in_child)
