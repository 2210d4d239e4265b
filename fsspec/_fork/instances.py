"""Making, remembering and reviving filesystem instances.

Owns the metaclass `_Cached`, which gives the same instance for the same arguments,
and what happens to instances when a process forks.

An instance has a *token*, a digest of its class and arguments that is the same in a
parent and its children.  Blocking classes have an instance a thread, awaitable ones an
instance a process; but with ``asynchronous=True`` one a thread as well, since a thread has an
event loop of its own.  Instances of one class are constructed side by side, equal ones once.

In a forked child each live instance that holds connections is made *stale*: given a
subclass of its class, empty but for attribute access.  The first touch gives it back
its class and revives it, which is what unpickling does: it is constructed again from
the arguments it was made with, in place.  Where the program did not opt in, the
touch raises `ForkError`.  Nothing that an instance held in the parent is finalized in
the child: its state is kept for good.

Any thread may make or touch instances; staleness begins only in the fork handler.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from fsspec import config
from fsspec._fork import hooks, known
from fsspec.exceptions import ForkError
from fsspec.utils import tokenize

_PLAIN = frozenset({str, int, bool, float, bytes, type(None)})
_REMEMBERED_KEYS = 512  # by class: argument sets whose token is known without computing it


class _Cached(type):
    """Metaclass of filesystems: equal arguments give the same instance."""

    _cache: Any
    _latest: str | None
    _pid: int
    _instantiation_lock: threading.RLock

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weak = config.conf.get("weakref_instance_cache")
        cls._cache = weakref.WeakValueDictionary() if weak else {}
        cls._latest = None
        cls._pid = hooks.pid
        _prepare(cls)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if config.conf:
            kwargs = config.apply_config(cls, kwargs)
        skip = kwargs.pop("skip_instance_cache", False)
        token = _token(cls, args, kwargs)
        if skip or not cls.cachable:  # type: ignore[attr-defined]
            return _construct(cls, token, args, kwargs)
        found = cls._cache.get(token)
        if found is None:
            if not cls.async_impl:  # type: ignore[attr-defined]
                found = _construct(cls, token, args, kwargs)  # nobody else has this thread's token
                cls._cache[token] = found
            else:
                found = _construct_once(cls, token, args, kwargs)
        cls._latest = token
        return found

    def _check_instance_cache(cls, token: str) -> Any:
        """The remembered instance with this token, made the newest; None where there is none."""
        found = cls._cache.get(token)
        if found is not None:
            cls._latest = token
        return found


def _prepare(cls: Any) -> None:
    _renew_locks(cls)
    cls._tokens = {}


def _renew_locks(cls: Any) -> None:
    cls._instantiation_lock = threading.RLock()
    cls._constructing = {}  # by token: a lock and how many threads want the instance
    cls._lock_generation = hooks.generation


def _construct_once(cls: Any, token: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The instance with this token; of several threads that want it, one constructs it."""
    if "_constructing" not in cls.__dict__ or cls._lock_generation != hooks.generation:
        _renew_locks(cls)  # another thread of the parent may have held them
    guard, constructing = cls._instantiation_lock, cls._constructing
    with guard:
        entry = constructing.setdefault(token, [threading.RLock(), 0])
        entry[1] += 1
    try:
        with entry[0]:
            found = cls._cache.get(token)
            if found is None:
                found = cls._cache[token] = _construct(cls, token, args, kwargs)
            return found
    finally:
        with guard:
            entry[1] -= 1
            if not entry[1]:
                constructing.pop(token, None)


def _token(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if cls._extra_tokenize_attributes or cls._strip_tokenize_options:
        return _digest(cls, args, kwargs)
    owner = _owner(cls, kwargs)
    types: list[type] = [type(value) for value in args]
    types += [type(value) for value in kwargs.values()]
    if not _PLAIN.issuperset(types):
        return _digest(cls, args, kwargs)
    key = (owner, args, *kwargs.items(), *types)
    known = cls.__dict__.get("_tokens", {})
    token = known.get(key)
    if token is None:
        if len(known) >= _REMEMBERED_KEYS:
            known.clear()
        token = known[key] = _digest(cls, args, kwargs)
    return token


def _owner(cls: Any, kwargs: dict[str, Any]) -> int | None:
    """The thread that an instance belongs to; None for all threads."""
    return None if cls.async_impl and not kwargs.get("asynchronous") else threading.get_ident()


def _digest(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    extra = tuple(getattr(cls, name, None) for name in cls._extra_tokenize_attributes)
    owner = [thread for thread in [_owner(cls, kwargs)] if thread is not None]
    named = {k: kwargs[k] for k in sorted(kwargs) if k not in cls._strip_tokenize_options}
    return tokenize(cls, *owner, *args, *extra, **named)


def _construct(cls: Any, token: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if cls.__dict__.get("_fork_introduced") is None:
        known.introduce(cls)
    obj = type.__call__(cls, *args, **kwargs)
    obj._fs_token_ = token
    obj.storage_args = args
    stripped = cls._strip_tokenize_options
    if stripped and any(k in kwargs for k in stripped):
        obj._unlisted_options = {k: v for k, v in kwargs.items() if k in stripped}
        kwargs = {k: v for k, v in kwargs.items() if k not in stripped}
    obj.storage_options = kwargs
    if cls._fork_sensitive:
        hooks.register(obj)
        if hooks.generation and cls._fork_keeps:
            known.carry_over(obj)
    return obj


def make_instance(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An instance from what `AbstractFileSystem.__reduce__` wrote."""
    return cls(*args, **kwargs)


# in a child ----------------------------------------------------------------------
_ALLOWED_WITHOUT_USE = frozenset(
    "_fs_token _fs_token_ _cached _strip_protocol _parent unstrip_protocol protocol sep root_marker"
    " async_impl asynchronous storage_args storage_options dircache reset_loop clear_instance_cache current"
    " _pid"
    " mirror_sync_methods _fork_sensitive _fork_introduced _after_fork_in_child _revive"
    " cachable blocksize".split()
)
"""What can be asked of an inherited instance without using it."""

_stale_classes: dict[type, type] = {}
_touching: dict[int, tuple[int, Any]] = {}  # id of an instance being revived: thread, lock
_table_lock = threading.Lock()
_reset_in_generation = -1
_prepared = 0  # registrations that `before_fork` has seen
_uncached: list[tuple[Any, str, Any]] = []  # (class, token, instance) left out of the caches


class _Stale:
    """Attribute access of an inherited instance until it is first used."""

    _real_class: Any

    def __getattribute__(self, name: str) -> Any:
        real = type(self)._real_class
        if name == "__class__":
            return real
        if name.startswith("__") and name.endswith("__"):
            if name in ("__reduce__", "__reduce_ex__"):
                return _reducer(self, real)
            return object.__getattribute__(self, name)
        if name in _ALLOWED_WITHOUT_USE:
            return object.__getattribute__(self, name)
        busy = _touching.get(id(self))
        if busy is not None and busy[0] == threading.get_ident():
            return real.__getattribute__(self, name)
        touch(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        busy = _touching.get(id(self))
        if busy is None or busy[0] != threading.get_ident():
            if name not in ("_loop", "_pid") and _allowed():
                touch(self)
            else:
                _changed(self)
        object.__setattr__(self, name, value)


def _changed(fs: Any) -> None:
    """Keep what ``fs`` holds of the parent's, before the child puts something else in its place."""
    hooks.immortalize(dict(object.__getattribute__(fs, "__dict__")))


def _reducer(fs: Any, real: Any) -> Any:
    state = object.__getattribute__(fs, "__dict__")

    def reduce(*protocol: Any) -> Any:
        return make_instance, (real, state.get("storage_args", ()), state.get("storage_options", {}))

    return reduce


def _stale_class(cls: Any) -> Any:
    made = _stale_classes.get(cls)
    if made is None:
        body = {
            "_real_class": cls,
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
            "__getattribute__": _Stale.__getattribute__,
            "__setattr__": _Stale.__setattr__,
        }
        # not through the metaclass: this is no class of its own, and has no cache
        made = _stale_classes[cls] = type.__new__(type(cls), cls.__name__, (cls,), body)
    return made


def before_fork() -> None:
    """Make the classes that a child will need: once here, rather than in each child."""
    global _prepared
    if _prepared == hooks.registrations:
        return
    _prepared = hooks.registrations
    for cls in {type(obj) for obj in hooks.registered()}:
        if isinstance(cls, _Cached) and "_real_class" not in cls.__dict__:
            _stale_class(cls)


def is_stale(fs: Any) -> bool:
    """Whether ``fs`` was inherited and has not been touched since."""
    return "_real_class" in type(fs).__dict__


def make_stale(fs: Any) -> None:
    """The hook of an instance in a forked child."""
    if not is_stale(fs):
        fs.__class__ = _stale_class(type(fs))


def _allowed() -> bool:
    return _reset_in_generation == hooks.generation or hooks.opted_in()


def touch(fs: Any, by_hand: bool = False) -> None:
    """Give an inherited instance its class back and what it needs in this process.

    Raises
    ------
    ForkError
        nothing allows it: neither the variable nor a reset by hand.
    """
    me = threading.get_ident()
    with _table_lock:
        entry = _touching.get(id(fs))
        if entry is None:
            if not is_stale(fs):
                return
            entry = _touching[id(fs)] = (me, threading.Lock())
            entry[1].acquire()
            mine = True
        else:
            mine = False
    if not mine:
        if entry[0] != me:
            with entry[1]:  # until the other thread is done
                pass
        return
    try:
        real = type(fs)._real_class
        state = object.__getattribute__(fs, "__dict__")
        if state.get("_pid") == os.getpid():
            _changed(fs)  # a program made it its own: fs._loop = ...; fs._pid = os.getpid()
        elif by_hand or _allowed():
            revive(fs, real)
        else:
            raise ForkError(_named(fs, real), state.get("_pid") or hooks.owner_pid(hooks.generation - 1))
        object.__setattr__(fs, "__class__", real)
    finally:
        with _table_lock:
            del _touching[id(fs)]
        entry[1].release()


def _named(fs: Any, real: Any) -> str:
    protocol = real.protocol if isinstance(real.protocol, str) else real.protocol[0]
    return f"{real.__name__} instance (protocol {protocol!r})"


def revive(fs: Any, real: Any) -> None:
    """Construct ``fs`` again in place, keeping what is still true of it."""
    state = object.__getattribute__(fs, "__dict__")
    before = dict(state)
    hooks.immortalize(before)
    try:
        real._revive(fs, before)
    except BaseException:
        state.clear()
        state.update(before)
        raise


_CARRIED = ("_fs_token_", "storage_args", "storage_options", "_unlisted_options", "dircache")


def reconstruct(fs: Any, before: dict[str, Any]) -> None:
    """What `AbstractFileSystem._revive` does by default; ``before`` is the inherited state."""
    real = fs.__class__
    args = before.get("storage_args", ())
    options = {**before.get("storage_options", {}), **before.get("_unlisted_options", {})}
    if options.get("loop") is not None and not options.get("asynchronous"):
        options["loop"] = None  # its thread is not in this process
    state = object.__getattribute__(fs, "__dict__")
    state.clear()
    real.__init__(fs, *args, **options)
    state.update((name, before[name]) for name in (*_CARRIED, *real._fork_keeps) if name in before)


def reset(fs: Any) -> None:
    """Make one inherited instance usable, and those that it stands upon; see `reset_loop`."""
    hooks.check()
    state = object.__getattribute__(fs, "__dict__")
    if is_stale(fs):
        touch(fs, by_hand=True)
    elif state.get("_pid", hooks.pid) != os.getpid():
        revive(fs, type(fs))
    for below in list(state.values()):
        if is_stale(below):
            reset(below)


def reset_inherited() -> bool:
    """Let all inherited instances revive; whether there are any that would not have."""
    global _reset_in_generation
    if hooks.generation == 0 or _reset_in_generation == hooks.generation:
        return False
    _reset_in_generation = hooks.generation
    for cls, token, fs in _uncached:
        cls._cache.setdefault(token, fs)
    _uncached.clear()
    return any(is_stale(obj) for obj in hooks.registered())


def _in_child() -> None:
    global _table_lock
    _table_lock = threading.Lock()
    _touching.clear()
    inherited = [obj for obj in hooks.registered() if isinstance(type(obj), _Cached)]
    if not inherited:
        return
    hooks.immortalize([object.__getattribute__(fs, "__dict__") for fs in inherited])  # see also _changed
    if hooks.opted_in():
        return
    for fs in inherited:
        cls = type(fs).__dict__.get("_real_class", type(fs))
        token = object.__getattribute__(fs, "__dict__").get("_fs_token_")
        if cls._cache.get(token) is fs:
            del cls._cache[token]
            _uncached.append((cls, token, fs))


hooks.at_fork(child=_in_child)
