"""Open files of other packages, in a child of the process that opened them.

A file that reads only through a cache of `fsspec.caching` and its filesystem works again as
soon as the filesystem is revived.  Other files hold an event loop, a channel or a response of
the parent.  In a child these get a *stale* class, as instances do.  The first use opens them
again at their position:

* as the entry of their class in `fsspec._fork.class_facts` says;
* else by ``__setstate__`` or ``__reduce__`` of their class, as unpickling would.

Without any of these, or without an opt-in (see `fsspec._fork.instances`), the use raises
`ForkError`.  Closing or collecting such a file only releases the child's copy.

Files need not register themselves: an `AbstractBufferedFile` is recorded when it is created, even if
its class does not call ``super().__init__``; any other file when ``open`` of its filesystem returns it.
"""

from __future__ import annotations

import io
import sys
import threading
import types
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from fsspec._fork import class_facts, hooks, instances
from fsspec._fork.owned import Owned
from fsspec._fork.variants import Variant, assign, is_variant, original, variant
from fsspec._fork.written_files import inherited, is_inherited
from fsspec.exceptions import ForkError

_AGAIN = "Open the file again in this process"
_MAX_SEARCHED = 400  # objects reachable from a file that are searched for connections

_FREE = frozenset("mode path name fs full_name kwargs _fork_generation _closed".split())
"""Attributes of a stale file that can be read without use."""

_OF_BUFFERED = frozenset("fs cache buffer details".split())
"""Attributes of every `AbstractBufferedFile`; they lead only to connections of its filesystem."""

_RELEASING = frozenset(("close", "discard"))

_busy: dict[int, int] = {}  # id of a file being opened again: the thread that does it
_lock = Owned(threading.RLock)


class _Stale(Variant):
    """The class of an inherited file until it is first used: every access of an attribute is a check."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        real = original(type(self))
        if name == "__class__":
            return real
        if name in _FREE or (name.startswith("__") and name.endswith("__")) or _is_reopening(self):
            return real.__getattribute__(self, name)
        if name == "closed":
            return bool(object.__getattribute__(self, "__dict__").get("_closed", False))
        if name in _RELEASING:
            return _releaser(self)
        use(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __iter__(self) -> Any:
        use(self)
        return iter(self)

    def __next__(self) -> Any:
        use(self)
        return next(self)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        release(self)

    def __del__(self) -> None:
        """Do nothing: the resources are the parent's."""

    def __repr__(self) -> str:
        return _named(self)


def _is_reopening(file: object) -> bool:
    """Whether the caller is the thread that reopens the file, or runs on a loop that it waits for."""
    owner = _busy.get(id(file))
    if owner is None:
        return False
    if owner == threading.get_ident():
        return True
    running = sys.modules.get("asyncio.events")
    return running is not None and running._get_running_loop() is not None


def _named(file: object) -> str:
    real = original(type(file))
    path = object.__getattribute__(file, "__dict__").get("path")
    return f"open file {path!r} ({real.__name__})" if path else f"open file ({real.__qualname__})"


def release(file: object) -> None:
    """Close the child's copy of a stale file; the parent's stays open."""
    assign(file, inherited(original(type(file)), closed=True))


def _releaser(file: object) -> Callable[[], Any]:
    real = original(type(file))
    code = getattr(getattr(real, "close", None), "__code__", None)
    if code is not None and code.co_flags & 0x80:  # a coroutine function

        async def awaited() -> None:
            release(file)

        return awaited
    return lambda: release(file)


def is_stale(file: object) -> bool:
    """Whether a file was inherited with resources of the parent, and not used since."""
    return is_variant(type(file), _Stale)


# using ----------------------------------------------------------------------------
def use(file: object) -> None:
    """Open an inherited file again, in place and at its position.

    Raises ForkError: the program did not opt in, or there is no way to reopen it.
    """
    with _lock.get():
        if not is_stale(file):
            return  # another thread has reopened it
        real = original(type(file))
        state = object.__getattribute__(file, "__dict__")
        before = dict(state)
        owner = hooks.owner_pid(before.get("_fork_generation"))
        if not _allowed(before) and (_holds_resources(real, before) or instances.is_stale(before.get("fs"))):
            raise ForkError(_named(file), owner)
        _busy[id(file)] = threading.get_ident()
        try:
            if not _reopen(file, real, state, before):
                raise ForkError(_named(file), owner, advice=_AGAIN)
            state["_fork_generation"] = hooks.generation
            assign(file, real)
        except BaseException:  # an interrupt, too, leaves the file as it was
            state.clear()
            state.update(before)
            raise
        finally:
            del _busy[id(file)]


def _allowed(state: dict[str, Any]) -> bool:
    fs: Any = state.get("fs")
    if instances._allowed():
        return True  # else only if its filesystem was reset by hand
    if not isinstance(type(fs), instances._Cached):
        return False
    return bool(fs._fork_sensitive) and not instances.is_stale(fs)


def _reopen(file: Any, real: type[Any], state: dict[str, Any], before: dict[str, Any]) -> bool:
    """Restore a file in this process; False if there is no way to."""
    facts = class_facts.facts_of(real)
    if not _holds_resources(real, before):
        return True  # it needs only its filesystem
    for library in facts.starts.values():
        class_facts.check_library(library, _named(file))
    if facts.renews:
        state.update((name, class_facts.make_value(path)) for name, path in facts.renews.items())
        return True
    if facts.arguments:
        try:
            arguments = [_attribute(file, name) for name in facts.arguments]
            position = _attribute(file, facts.position or "loc")
            if not isinstance(position, int):
                raise AttributeError(f"its {facts.position or 'loc'!r} is {position!r}, no position")
        except AttributeError as error:
            advice = (
                f"Facts(arguments=..., position=...) of its class must name attributes that it has: {error}"
            )
            owner = hooks.owner_pid(before.get("_fork_generation"))
            raise ForkError(_named(file), owner, advice=f"{advice}. {_AGAIN}") from error
        state.clear()
        real.__init__(file, *arguments, **before.get("kwargs", {}))
    elif _own(real, "__setstate__"):
        real.__setstate__(file, real.__getstate__(file))
        return True  # with its position and what it has read
    elif isinstance(before.get("loc"), int) and (
        _own(real, "__reduce__") or _own(real, "__reduce_ex__") or (_buffered(real) and "cache" in before)
    ):
        position = before["loc"]
        make, arguments = file.__reduce_ex__(2)[:2]
        again = make(*arguments)
        if type(again) is not real:
            return False
        hooks.immortalize(again)  # its finalizer would close what the file now uses
        state.clear()
        state.update(vars(again))
    else:
        return False
    if position:
        real.seek(file, position)
    return True


def _attribute(file: object, path: str) -> Any:
    """An attribute or property by its path with dots. Raises AttributeError: there is none."""
    for name in path.split("."):
        file = getattr(file, name)
    return file


def _own(cls: type, name: str) -> bool:
    """Whether a class overrides a method of `object`, `io.IOBase` and `AbstractBufferedFile`."""
    buffered = getattr(sys.modules.get("fsspec._files.buffered"), "AbstractBufferedFile", object)
    found = getattr(cls, name, None)
    return found is not None and found not in (getattr(b, name, None) for b in (object, io.IOBase, buffered))


def _buffered(cls: type) -> bool:
    buffered = sys.modules.get("fsspec._files.buffered")
    return buffered is not None and issubclass(cls, buffered.AbstractBufferedFile)


# which ----------------------------------------------------------------------------
_adopted: dict[int, tuple[weakref.ref[Any], str]] = {}


def adopt(file: object, mode: str) -> None:
    """Record a file of another package that is not an `AbstractBufferedFile`."""
    key = id(file)
    with suppress(TypeError):  # its class does not support weak references
        _adopted[key] = weakref.ref(file, partial(_adopted.pop, key)), mode


def is_read(mode: object) -> bool:
    """Whether a mode is read-only."""
    return isinstance(mode, str) and "r" in mode and "+" not in mode


def inherit(file: object, mode: object) -> None:
    """Replace the class of an inherited file. Called by hooks: runs no code of that class."""
    cls = type(file)
    if is_stale(file) or is_inherited(cls):
        return
    try:
        state = object.__getattribute__(file, "__dict__")
    except AttributeError:
        return  # without a __dict__: it cannot be handled
    ends_itself = _buffered(cls) and (_own(cls, "close") or _own(cls, "__del__"))  # which must not run here
    if is_read(mode) and not _holds_resources(cls, state) and not ends_itself:
        return
    hooks.immortalize(dict(state))
    state.setdefault("_fork_generation", hooks.generation - 1)
    swapped = variant(cls, _Stale) if is_read(mode) else inherited(cls, closed=True)
    with suppress(TypeError):  # a class written in C
        assign(file, swapped)


def _holds_resources(cls: type, state: dict[str, Any]) -> bool:
    """Whether a file being read holds other resources than a cache and its filesystem."""
    facts = class_facts.facts_of(cls)
    if facts.renews or facts.arguments or facts.starts:
        return True
    events = sys.modules.get("asyncio.events")
    if events is not None and any(isinstance(v, events.AbstractEventLoop) for v in state.values()):
        return True
    if _buffered(cls):
        state = {name: value for name, value in state.items() if name not in _OF_BUFFERED}
    return _reaches_connection(state)


_NOT_SEARCHED = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    str,
    bytes,
    int,
    float,
)


def _reaches_connection(state: dict[str, Any]) -> bool:
    """Whether a socket or event loop is reachable from a file's attributes, other than by its filesystem.

    A `io.BufferedRWPair`, as of ``socket.makefile("rwb")``, does not expose its socket, and counts as one.
    """
    import gc

    kinds = (("socket", "socket"), ("asyncio.events", "AbstractEventLoop"), ("io", "BufferedRWPair"))
    wanted = tuple(vars(sys.modules[module])[name] for module, name in kinds if module in sys.modules)
    below, seen = list(state.values()), set[int]()
    while below and len(seen) < _MAX_SEARCHED:
        one = below.pop(0)
        if id(one) in seen or isinstance(one, _NOT_SEARCHED) or isinstance(type(one), instances._Cached):
            continue
        if isinstance(one, wanted):
            return True
        seen.add(id(one))
        below += gc.get_referents(one)
    return False


def _in_child() -> None:
    _busy.clear()
    for ref, mode in list(_adopted.values()):
        file = ref()
        if file is not None:
            inherit(file, mode)
    _detach_finalizers()


def _detach_finalizers() -> None:
    """Remove `weakref.finalize` callbacks of inherited objects, which only the parent may run."""
    registry = getattr(weakref.finalize, "_registry", None)
    if not registry:
        return
    mine = {id(obj) for obj in hooks.registered()}
    mine.update(_adopted)
    for finalizer, info in list(registry.items()):
        if id(info.weakref()) in mine:
            hooks.immortalize(info)
            registry.pop(finalizer, None)


hooks.at_fork(child=_in_child)
