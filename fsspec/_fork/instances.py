"""Making, remembering and reviving filesystem instances.

Owns the metaclass `_Cached`, which returns the same instance for the same arguments,
and what a fork does to instances.

An instance has a *token*, a digest of its class and arguments that is the same in a
parent and its children.  Blocking classes have one instance per thread, awaitable ones one
per process; with ``asynchronous=True`` also one per thread, since each thread has an event
loop of its own.  Threads construct instances of one class concurrently, equal ones only once.

In a forked child each live instance that holds connections is made *stale*: its class is
replaced by a variant that intercepts every attribute access.  The first use puts the class
back and *revives* the instance: it is constructed again in place from its arguments, as
unpickling would.  Where the program did not opt in, the use raises `ForkError`.  The state
that an instance had in the parent is never finalized in the child.

Any thread may make or use instances; they become stale only in the fork handler.  While one
thread revives an instance, other threads read attributes that need no connection from its
former state, and wait for the end of the revival for anything else.  Coroutines that a
blocking ``__init__`` runs on a loop count as the reviving thread's own: they may use the instance.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, TypeVar, cast

from fsspec import config
from fsspec._error_notes import advise_making
from fsspec._fork import class_facts, hooks
from fsspec._fork.variants import Variant, assign, is_variant, original, variant
from fsspec._overriding import follow_patches, yielding
from fsspec._paths.urls import protocols_of
from fsspec.config import apply_config
from fsspec.dircache import DirCache
from fsspec.exceptions import ForkError
from fsspec.utils import tokenize

T = TypeVar("T")

_PLAIN = frozenset({str, int, bool, float, bytes, type(None)})
_TAKEN_APART = _PLAIN | {dict, list, tuple}
_MOST_MEMBERS = 64  # of lists and dicts in arguments; tokens of larger ones are not remembered
_REMEMBERED_KEYS = 512  # by class: argument sets whose token is known without computing it


class _Cached(type):
    """Metaclass of filesystems: equal arguments give the same instance."""

    _cache: Any
    _fsspec_latest_token: list[str | None]
    _pid: int
    _instantiation_lock: threading.RLock
    _fsspec_known_tokens: dict[Any, str]
    _fork_sensitive: bool
    cachable: bool
    async_impl: bool

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weak = config.conf.get("weakref_instance_cache")
        cls._cache = weakref.WeakValueDictionary() if weak else {}
        cls._fsspec_latest_token = [None]  # to set an attribute forgets what all lookups have found
        cls._pid = hooks.pid
        _renew_locks(cls)
        cls._fsspec_known_tokens = {}

    def __call__(self: type[T], *args: Any, **kwargs: Any) -> T:  # what checkers believe of an instance
        cls: Any = self
        found: T  # or None
        if cls._fork_sensitive and not hooks.ready[0]:
            hooks.check()
        if config.conf or apply_config is not config.apply_config:
            kwargs = apply_config(cls, kwargs)
        skip = kwargs.pop("skip_instance_cache", False)
        token = _token(cls, args, kwargs)
        if skip or not cls.cachable:
            found = _construct(cls, token, args, kwargs)
            return found
        found = cls._cache.get(token)
        if found is None:
            if not cls.async_impl:
                found = _construct(cls, token, args, kwargs)  # no other thread can have this token
                cls._cache[token] = found
            else:
                found = _construct_once(cls, token, args, kwargs)
        cls._fsspec_latest_token[0] = token
        return found

    @property
    def _latest(cls) -> str | None:
        return cls._fsspec_latest_token[0]

    @_latest.setter
    def _latest(cls, token: str | None) -> None:
        cls._fsspec_latest_token[0] = token

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in yielding:
            follow_patches(name)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        if name in yielding:
            follow_patches(name)

    def _check_instance_cache(cls, token: str) -> Any:
        """The cached instance with this token, which becomes the most recent one; None if there is none."""
        found = cls._cache.get(token)
        if found is not None:
            cls._latest = token
        return found


def _renew_locks(cls: type[Any]) -> None:
    cls._instantiation_lock = threading.RLock()
    cls._fsspec_being_constructed = {}  # by token: a lock and how many threads want the instance
    cls._fsspec_lock_generation = hooks.generation


def _construct_once(cls: type[Any], token: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The instance with this token. If several threads ask for it at once, one of them constructs it."""
    if "_fsspec_being_constructed" not in cls.__dict__ or cls._fsspec_lock_generation != hooks.generation:
        _renew_locks(cls)  # a thread of the parent may have held them
    guard, constructing = cls._instantiation_lock, cls._fsspec_being_constructed
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


def _token(cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    owner = _owner(cls, kwargs)
    if cls._strip_tokenize_options:
        kwargs = {k: v for k, v in kwargs.items() if k not in cls._strip_tokenize_options}
    if cls._extra_tokenize_attributes:
        args = (*args, *[getattr(cls, name, None) for name in cls._extra_tokenize_attributes])
    types: list[type] = [type(value) for value in args]
    types += [type(value) for value in kwargs.values()]
    key: Any
    if _PLAIN.issuperset(types):
        key = (owner, args, *kwargs.items(), *types)
    else:
        members = _members(args, kwargs) if _TAKEN_APART.issuperset(types) else None
        if members is None:
            return _digest(cls, owner, args, kwargs)
        key = (owner, *members)
    known: dict[Any, str] = cls.__dict__.get("_fsspec_known_tokens", {})
    token = known.get(key)
    if token is None:
        if len(known) >= _REMEMBERED_KEYS:
            known.clear()
        token = known[key] = _digest(cls, owner, args, kwargs)
    return token


def _owner(cls: type[Any], kwargs: dict[str, Any]) -> int | None:
    """The thread that an instance belongs to; None for all threads."""
    return None if cls.async_impl and not kwargs.get("asynchronous") else threading.get_ident()


def _members(*values: Any) -> list[Any] | None:
    """A hashable form of nested lists, tuples and dicts of plain values.

    For each container: its type and length, the types of its members (as dict keys True, 1 and 1.0 are
    equal), and its plain members; nested containers follow in order.  None for other values, or too many.
    """
    found: list[Any] = []
    room = _MOST_MEMBERS
    pending = [*values]
    for value in pending:
        kind = type(value)
        if kind is dict:
            members: Any = [*value, *value.values()]
        elif kind is list or kind is tuple:
            members = value
        else:
            return None
        room -= len(members)
        if room < 0:
            return None
        types = [*map(type, members)]
        found += (kind, len(types), *types)
        if _PLAIN.issuperset(types):
            found += members
        else:
            for each in members:
                (found if type(each) in _PLAIN else pending).append(each)
    return found


def _digest(cls: type[Any], owner: int | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    owners = () if owner is None else (owner,)
    return tokenize(cls, *owners, *args, **kwargs)


def _construct(cls: type[Any], token: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if cls.__dict__.get("_fork_introduced") is None:
        class_facts.apply_facts(cls)
        _with_instances.add(cls)
    try:
        obj = type.__call__(cls, *args, **kwargs)
    except TypeError as error:
        advise_making(error, cls)
        raise
    obj._fs_token_ = token
    obj.storage_args = args
    stripped = cls._strip_tokenize_options
    if stripped and any(k in kwargs for k in stripped):
        obj._unlisted_options = {k: v for k, v in kwargs.items() if k in stripped}
        kwargs = {k: v for k, v in kwargs.items() if k not in stripped}
    obj.storage_options = kwargs
    if cls._fork_sensitive:
        variant(cls, _Stale)  # made once in the parent, not in each child
        hooks.register(obj)
        if _state(obj).get("asynchronous"):
            asynchronous.add(obj)
            obj._made_with = dict(_state(obj))  # see `_is_unused`
        if hooks.generation and cls._fork_keeps:
            class_facts.carry_over(obj)
    return obj


def is_shared(fs: object) -> bool:
    """Whether the cache of instances gives ``fs`` for its arguments."""
    return original(type(fs))._cache.get(_state(fs).get("_fs_token_")) is fs


def make_instance(cls: type[T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """An instance from what `AbstractFileSystem.__reduce__` wrote."""
    return cls(*args, **kwargs)


def make_listed_instance(
    cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any], listings: object
) -> Any:
    """As `make_instance`, from a pickle with listings, which are added if the instance lacks them."""
    fs = make_instance(cls, args, kwargs)
    fs.dircache.unpack(listings)
    return fs


def reduced(cls: type, state: dict[str, Any]) -> tuple[Any, ...]:
    """How an instance of ``cls`` with the attributes ``state`` is pickled: as its class and arguments.

    With ``{"pickle": {"listings": true}}`` in the configuration its cached listings are pickled as well.
    """
    made = cls, state.get("storage_args", ()), state.get("storage_options", {})
    if config.switched_on("pickle", "listings"):
        listings = state.get("dircache")
        if isinstance(listings, DirCache) and listings:
            return make_listed_instance, (*made, listings.packed())
    return make_instance, made


# in a child -----------------------------------------------------------------------
_ALLOWED_WITHOUT_USE = frozenset(
    "_fs_token _fs_token_ _cached _strip_protocol _parent unstrip_protocol protocol sep root_marker"
    " async_impl _only_blocks asynchronous storage_args storage_options dircache reset_loop"
    " clear_instance_cache current _pid to_dict to_json"
    " mirror_sync_methods _fork_sensitive _fork_introduced _after_fork_in_child _revive"
    " cachable blocksize _fsspec_is_shared".split()
)
"""What can be asked of an inherited instance without using it."""

_ALSO_WHERE_REFUSED = frozenset(
    "invalidate_cache get_mapper _intrans _invalidated_caches_in_transaction".split()
)
"""What can be read even if use is refused, because it concerns only this process."""


class _Revival:
    """The revival of one instance, while it is under way."""

    def __init__(self, fs: object) -> None:
        self.fs = fs
        self.before = dict(_state(fs))
        self.thread = threading.get_ident()
        self.over = threading.Event()
        self.waits_for: Any = None  # a loop
        self.allowed = False  # by the opt-in or by hand; then its targets may revive, too

    def mine(self) -> bool:
        """Whether the caller is the reviving thread, or a coroutine that it waits for."""
        return self.thread == threading.get_ident() or self in _on_behalf_of.get()


reviving: dict[int, _Revival] = {}
"""Revivals that are under way, by the id of the instance."""

_on_behalf_of: ContextVar[tuple[_Revival, ...]] = ContextVar("fsspec_reviving", default=())
_reset_in_generation = -1
_with_instances: weakref.WeakSet[Any] = weakref.WeakSet()  # classes
_uncached: list[tuple[Any, Any]] = []  # classes, and what their caches held in the parent
_untouched: dict[int, Any] = {}  # in a child, what it inherited: never to be finalized
asynchronous = hooks.Registry()
"""Instances that were made with ``asynchronous=True``."""


class _Stale(Variant):
    """The class of an inherited instance until it is first used: every access of an attribute is a check."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        real = original(type(self))
        if name == "__class__":
            return real
        if name.startswith("__") and name.endswith("__"):
            if name in ("__reduce__", "__reduce_ex__"):
                return _reducer(self, real)
            return object.__getattribute__(self, name)
        revival = reviving.get(id(self))
        if revival is not None and revival.mine():
            return real.__getattribute__(self, name)
        if name in _ALLOWED_WITHOUT_USE:
            if revival is not None and name in revival.before:
                return revival.before[name]
            return object.__getattribute__(self, name)
        try:
            touch(self)
        except ForkError:
            if name in _ALSO_WHERE_REFUSED or _is_option(_state(self), name) or _is_absent(self, real, name):
                return object.__getattribute__(self, name)
            raise
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        revival = reviving.get(id(self))
        if revival is not None and revival.mine():
            original(type(self)).__setattr__(self, name, value)
        elif name in ("_loop", "_pid") or not _allowed():
            _keep_inherited_state(self)
            object.__setattr__(self, name, value)
        else:
            touch(self)
            setattr(self, name, value)


def _state(fs: object) -> dict[str, Any]:
    return cast("dict[str, Any]", object.__getattribute__(fs, "__dict__"))


def _is_option(state: dict[str, Any], name: str) -> bool:
    """Whether a public attribute has the value of the argument of that name.

    Not for other numbers than sizes, which may be descriptors, nor for containers, which may be state.
    """
    if name.startswith("_") or name not in state:
        return False
    kind = type(state[name])
    return kind in _PLAIN and (kind is not int or "size" in name)


def _is_absent(fs: object, real: type, name: str) -> bool:
    """Whether the instance has no such attribute, so that AttributeError is right without use."""
    kinds = real.__mro__
    return name not in _state(fs) and not any(name in vars(k) or "__getattr__" in vars(k) for k in kinds)


def _keep_inherited_state(fs: object) -> None:
    """Keep the inherited attributes of ``fs`` from finalization, before the child replaces one."""
    hooks.immortalize(dict(_state(fs)))


def _reducer(fs: object, real: type) -> Callable[..., tuple[Any, ...]]:
    revival = reviving.get(id(fs))
    state = _state(fs) if revival is None else revival.before

    def reduce(*protocol: Any) -> tuple[Any, ...]:
        return reduced(real, state)

    return reduce


def is_stale(fs: object) -> bool:
    """Whether ``fs`` was inherited and has not been touched since."""
    return is_variant(type(fs), _Stale)


def make_stale(fs: object) -> None:
    """Make an instance stale; its ``_after_fork_in_child`` by default."""
    assign(fs, variant(type(fs), _Stale))


def _allowed() -> bool:
    return _reset_in_generation == hooks.generation or hooks.was_opted_in or hooks.opted_in()


def touch(fs: object, by_hand: bool = False) -> None:
    """Put the class of an inherited instance back, and revive it.

    Raises ForkError if neither the variable nor a reset by hand allows it.
    """
    mine = _Revival(fs)
    behalf: Token[tuple[_Revival, ...]] | None = None
    try:
        revival = reviving.setdefault(id(fs), mine)
        if revival is not mine:
            _wait_for(revival)
            return
        if not is_stale(fs):  # another thread has done it
            return
        behalf = _on_behalf_of.set((*_on_behalf_of.get(), mine))
        real = original(type(fs))
        mine.allowed = by_hand or _allowed()
        if mine.before.get("_pid") == os.getpid():
            _keep_inherited_state(fs)  # by a program: fs._loop = ...; fs._pid = os.getpid()
            _untouched.pop(id(fs), None)
        elif mine.allowed or real._fork_passes_on or _is_unused(mine.before):
            _construct_again(fs, real, mine.before)
        else:
            owner = mine.before.get("_pid") or hooks.owner_pid(hooks.made_in(fs))
            raise ForkError(_named(fs, real), owner)
        assign(fs, real)
    finally:
        if behalf is not None:
            _on_behalf_of.reset(behalf)
        if reviving.get(id(fs)) is mine:
            del reviving[id(fs)]
        mine.over.set()
    if real.async_impl:
        # on this thread, not on the loop, since the constructor may make blocking calls
        for below in list(_state(fs).values()):
            if is_stale(below):
                with suppress(ForkError):  # it refuses every use
                    touch(below, by_hand)


def make_targets_usable(fs: object, below: object) -> None:
    """Revive the targets of an instance that is being revived, if that is allowed."""
    revival = reviving.get(id(fs))
    try:
        touch(below, by_hand=revival is None or revival.allowed)
    except ForkError:
        if revival is None or revival.allowed:
            raise  # else it raises by itself at its first use


def _is_unused(before: dict[str, Any]) -> bool:
    """Whether an instance with ``asynchronous=True`` has the state in which it was made: no connection.

    Upstream does not check the process of such instances, so that programs create them at import and use
    them in children. An instance with a target does not show whether the target has connected.
    """
    made: dict[str, Any] | None = before.get("_made_with")
    if made is None:
        return False
    for value in made.values():
        for one in value.values() if type(value) is dict else (value,):
            if isinstance(type(one), _Cached):
                return False
    return all(made.get(name, made) is value for name, value in before.items() if name != "_made_with")


def _wait_for(revival: _Revival) -> None:
    """Wait for the revival by another thread, unless that waits for the loop that this thread runs."""
    if revival.mine():
        return
    running = asyncio._get_running_loop() if (asyncio := sys.modules.get("asyncio")) else None
    while not revival.over.wait(1.0 if running is None else 0.02):
        if reviving.get(id(revival.fs)) is not revival:
            return  # this process was forked during the wait, and does not have the reviving thread
        if running is not None and revival.waits_for is running:
            raise RuntimeError(
                f"{_named(revival.fs, original(type(revival.fs)))} is just being revived by another thread, "
                "whose construction waits for this event loop: use it once before loops share it"
            )


def note_waiting(loop: object) -> None:
    """Record that this thread, which revives an instance, is about to wait for ``loop``."""
    for revival in list(reviving.values()):
        if revival.thread == threading.get_ident():
            revival.waits_for = loop


def _named(fs: object, real: type[Any]) -> str:
    return f"{real.__name__} instance (protocol {protocols_of(real)[0]!r})"


def _construct_again(fs: object, real: type[Any], before: dict[str, Any]) -> None:
    state = _state(fs)
    hooks.immortalize(before)
    try:
        real._revive(fs, before)
    except BaseException:  # an interrupt, too, leaves the instance as it was
        state.clear()
        state.update(before)
        raise
    _untouched.pop(id(fs), None)
    hooks.register(fs)  # as made in this process


_CARRIED = ("_fs_token_", "storage_args", "storage_options", "_unlisted_options", "dircache")


def reconstruct(fs: Any, before: dict[str, Any]) -> None:
    """What `AbstractFileSystem._revive` does by default; ``before`` is the inherited state."""
    real = fs.__class__
    args = before.get("storage_args", ())
    options = {**before.get("storage_options", {}), **before.get("_unlisted_options", {})}
    if options.get("loop") is not None and not options.get("asynchronous"):
        options["loop"] = None  # its thread is not in this process
    for below in (*args, *options.values()):
        if is_stale(below):
            make_targets_usable(fs, below)
    state = _state(fs)
    state.clear()
    real.__init__(fs, *args, **options)
    state.update((name, before[name]) for name in (*_CARRIED, *real._fork_keeps) if name in before)


def reset(fs: object) -> None:
    """Revive one inherited instance and its targets; see `reset_loop`."""
    hooks.check()
    state = _state(fs)
    if is_stale(fs):
        touch(fs, by_hand=True)
    elif state.get("_pid", hooks.pid) != os.getpid():
        _construct_again(fs, type(fs), dict(_state(fs)))
    for below in list(state.values()):
        if is_stale(below):
            reset(below)


def reset_inherited() -> bool:
    """Allow all inherited instances to revive; False if that was allowed already."""
    global _reset_in_generation
    if hooks.generation == 0 or _reset_in_generation == hooks.generation:
        return False
    _reset_in_generation = hooks.generation
    for cls, before in _uncached:
        for token, fs in before.items():
            cls._cache.setdefault(token, fs)
    _uncached.clear()
    return any(is_stale(obj) for obj in hooks.registered())


def _in_child() -> None:
    for revival in list(reviving.values()):
        if revival.thread != threading.get_ident():  # else this thread continues with the revival
            state = _state(revival.fs)
            hooks.immortalize(dict(state))
            state.clear()
            state.update(revival.before)
            del reviving[id(revival.fs)]
    inherited = [obj for obj in hooks.registered() if isinstance(type(obj), _Cached)]
    if not inherited:
        return
    # by the instances, to which the child writes anyhow, and whole caches: each page of memory that a
    # child writes to is copied for it
    _untouched.update((id(fs), fs) for fs in inherited)
    hooks.immortalize(_untouched)
    if not hooks.opted_in():
        for cls in {original(type(fs)) for fs in inherited}:
            _uncached.append((cls, cls._cache))
            cls._cache = type(cls._cache)()
        _uncache_above({id(fs) for fs in inherited})


def _uncache_above(unusable: set[int]) -> None:
    """Remove instances that hold unusable ones, given by their ids, from the instance caches."""
    above = {}
    for cls in list(_with_instances):
        for token, fs in list(cls._cache.items()):
            if id(fs) not in unusable and any(id(each) in unusable for each in _held_objects(fs)):
                above[id(fs)] = fs
                _uncached.append((cls, {token: cls._cache.pop(token)}))
    if above:
        _uncache_above(unusable | above.keys())


def _held_objects(fs: object) -> Iterator[Any]:
    """The attributes of an instance, and the members of small containers among them and its arguments."""
    pending: list[tuple[Any, int]] = [(_state(fs), 0)]
    for value, depth in pending:
        members = value.values() if type(value) is dict else value
        yield from members
        if depth < 3:  # each access to an object copies its page of memory for the child
            found = (each for each in members if type(each) in (dict, list, tuple))
            pending += [(each, depth + 1) for each in found if len(each) <= _MOST_MEMBERS]


hooks.at_fork(child=_in_child)
