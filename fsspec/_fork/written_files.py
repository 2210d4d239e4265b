"""Files that were open for writing at a fork, in the child.

Such a file belongs to the process that opened it: its upload is the parent's, and the child has
only a copy of its buffer. Nothing in the child may reach the store, also not by the ``commit``,
``discard`` or ``close`` of a backend's class. Therefore, when the fork returns in the child, the
file gets the variant of its class that `inherited` makes: writing raises, and closing, discarding
or collecting it only releases the copy.

Compressors and text layers write their trailers when they are closed or collected. In the child
they get such a class as well. Layers need not expose the file below them, so each is recorded
when it is made. A layer that the program made itself is not recorded: what it writes on close
raises like any other write, except at the end of the interpreter.
"""

from __future__ import annotations

import io
import sys
import weakref
from codecs import lookup
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from threading import get_ident
from typing import Any

from fsspec._fork import hooks
from fsspec._fork.owned import refuse
from fsspec._fork.variants import Variant, assign, is_variant, variant

_ADVICE = "What is being written belongs to the process that opened it; open the file again in this process"

_dropping: dict[int, int] = {}  # by thread: the depth of nested closing of inherited files


@contextmanager
def dropping_writes() -> Iterator[None]:
    """While an inherited file is closed in a child: writes by layers above it are dropped, not refused."""
    me = get_ident()
    _dropping[me] = _dropping.get(me, 0) + 1
    try:
        yield
    finally:
        _dropping[me] -= 1
        if not _dropping[me]:
            del _dropping[me]


def is_dropping_writes() -> bool:
    """Whether writes to an inherited file are to be dropped without an error."""
    return sys.is_finalizing() or get_ident() in _dropping


class Text(io.TextIOWrapper):
    """Text over a file. If it was opened for writing, closing it in a forked child flushes nothing."""

    def __init__(self, buffer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(buffer, *args, **kwargs)
        if buffer.writable():
            _remember(self, buffer)
            if lookup(self.encoding).name in ("utf-16", "utf-32") and _begins_in_order(buffer):
                self.write("\ufeff")  # left out if the position cannot be moved: nobody could read it

    def close(self) -> None:
        """Close it and the file below; closing again does nothing."""
        if not hooks.ready[0]:
            hooks.check()
            if is_variant(type(self), _InheritedText):  # since the check: no hook had run
                _InheritedText.close(self)  # type: ignore[arg-type]  # its class now
                return
        io.TextIOWrapper.close(self)


def check_text_options(
    encoding: str | None = None, errors: str | None = None, newline: str | None = None
) -> None:
    """Raise LookupError or ValueError if no text has these options: before a file is opened for writing,
    which empties it."""
    io.TextIOWrapper(io.BytesIO(), encoding or "utf-8", errors, newline)


def _begins_in_order(buffer: Any) -> bool:
    return getattr(buffer, "mode", None) in ("wb", "xb") and not buffer.seekable()


class _InheritedText(Variant):
    """Inherited text in a child: writing raises, since buffered text would be lost silently."""

    __slots__ = ()
    buffer: Any

    def write(self, text: str) -> int:
        self.buffer.write(b"")  # raises if the file is the parent's
        return io.TextIOWrapper.write(self, text)  # type: ignore[arg-type]  # it is one: see `Variant`

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if not is_dropping_writes():
            self.buffer.flush()  # as above; the text layer would raise that it is closed
        io.TextIOWrapper.flush(self)  # type: ignore[arg-type]  # as in write

    def close(self) -> None:
        with dropping_writes():
            io.TextIOWrapper.close(self)  # type: ignore[arg-type]  # as in write


class _Inherited(Variant):
    """Methods of inherited files and compressors that were open for writing."""

    __slots__ = ()


def _refused(name: str) -> Callable[..., Any]:
    def refused(self: Any, *args: Any, **kwargs: Any) -> Any:
        if name in ("write", "flush") and is_dropping_writes():
            return len(args[0]) if args else None
        refuse(self, repr(self), _ADVICE)

    refused.__name__ = refused.__qualname__ = name
    return refused


def _dropped(self: Any, *args: Any, **kwargs: Any) -> None:
    object.__setattr__(self, "buffer", None)


def _awaited(func: Callable[..., Any]) -> Callable[..., Any]:
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        return func(self, *args, **kwargs)

    return awaited


_REFUSED = "write", "writelines", "flush", "commit", "_initiate_upload", "_upload_chunk"
_DROPPED = "close", "discard", "__exit__", "__aexit__", "__del__"


@lru_cache(maxsize=None)
def _front(awaited: frozenset[str], closed: bool, reading: tuple[str, ...]) -> type:
    """Those methods for a class. ``awaited``: which are coroutine functions. ``reading``: more that raise."""
    members: dict[str, Any] = {name: _refused(name) for name in (*_REFUSED, *reading)}
    if closed:
        members["closed"] = property(lambda self: True)
    members.update(dict.fromkeys(_DROPPED, _dropped))
    for name in awaited:
        members[name] = _awaited(members[name])
    return type("Inherited", (_Inherited,), {"__slots__": (), **members})


def is_inherited(cls: type) -> bool:
    """Whether ``cls`` is a class of inherited files that were open for writing."""
    return is_variant(cls, _Inherited)


def inherited(cls: type, closed: bool = False) -> type[Any]:
    """The class that files of ``cls`` have in a child if they were being written at the fork.

    ``closed``: its ``closed`` is True. A class whose files are also read, which a child must not do, names
    these methods in ``_refused_in_child``.
    """
    if is_inherited(cls):  # in a child of a child
        return cls
    codes = {name: getattr(_member(cls, name), "__code__", None) for name in (*_REFUSED, *_DROPPED)}
    awaited = (name for name, code in codes.items() if code is not None and code.co_flags & 0x80)
    return variant(cls, _front(frozenset(awaited), closed, getattr(cls, "_refused_in_child", ())))


def _member(cls: type, name: str) -> object:
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


_layers = hooks.Registry()


def codec_layer(codec: Callable[..., Any], file: object, mode: str) -> Any:
    """A codec's file object over ``file``: compressing, or with mode "r" decompressing."""
    layer = codec(file, mode=mode)
    if mode != "r" and layer is not file:  # "infer" may find no compression
        _remember(layer, file)
    return layer


_layer_above: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}
"""By the id of a file: the file, and the layer above it."""


def _remember(layer: object, file: object) -> None:
    try:
        _layers.add(layer)
        key = id(file)
        _layer_above[key] = weakref.ref(file, partial(_layer_above.pop, key)), weakref.ref(layer)
    except TypeError:
        pass  # its class does not support weak references


def close_layers(file: object) -> None:
    """Close the layers above a file that is being written, the outermost first, so that they are flushed."""
    known = _layer_above.get(id(file))
    layer = known[1]() if known is not None and known[0]() is file else None
    if layer is not None:
        close_layers(layer)
        layer.close()


def _refuse_compressor(layer: object) -> None:
    state = getattr(layer, "__dict__", None)
    if state is None:
        return
    hooks.immortalize(list(state.values()))  # else its own buffers would be flushed when they are collected
    state.pop("close", None)
    state.setdefault("_fork_generation", hooks.generation - 1)
    with suppress(TypeError):  # a class written in C
        assign(layer, inherited(type(layer)))


def _refuse(layer: object) -> None:
    if isinstance(layer, Text):
        assign(layer, variant(type(layer), _InheritedText))
    else:
        _refuse_compressor(layer)


def _in_child() -> None:
    _dropping.clear()
    for layer in _layers.live():
        hooks.attempt("hook of a layer", _refuse, layer)


hooks.at_fork(child=_in_child)
