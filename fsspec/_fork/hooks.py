"""The hooks around a fork, and the generation: how many forks led to this process.

The *generation* is an integer that each forked child increments once, before any other
code of the child runs.  An object that belongs to one process stores the generation in
which it was made; it is inherited if that differs from the current one.  Outside of
this package `fsspec._fork.owned` makes that comparison.  Where the hooks of
``os.register_at_fork`` do not run (a C library forked), `check` notices that `ready` is not set and
runs them; the functions that hand work to another thread call it first.

Two registries say what is called at a fork:

* modules, through `at_fork`, in the order in which they were added;
* objects, through `register`: held weakly and by identity (filesystems are equal
  by token, and have no hash before they are constructed); in the child their
  method ``_after_fork_in_child`` is called.

What a hook raises is logged when the fork is over, and the next hook runs.  Only this
module calls ``os.register_at_fork``.  Hooks run on the thread that forks; in the child it
is the only one.

Hooks of the program run before, between and after ours, and may use filesystems.  `forking`
is the thread that is making a fork; a child's hook that runs before ours and uses a
filesystem finds the fork by `check`.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import weakref
from _thread import RLock, get_ident, interrupt_main
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from fsspec._fork import hookless, readiness, signals

FORK_AVAILABLE: bool = hasattr(os, "register_at_fork")
"""Whether this platform can fork."""
generation: int = 0
"""How many forks lie between the process that imported fsspec and this one."""

pid: int = os.getpid()
"""The process that `generation` belongs to."""

ready = readiness.new()
"""``ready[0]`` is true in the process `pid`, and false in a child until its hooks have run. Code that finds
it false calls `check`.

There other threads wait for the hooks. If a signal handler interrupts the hooks it stays 0, and the next
call of `check` runs the remaining ones.
"""
ready[0] = 1

ready_pid: int = pid
"""`pid`, or 0 in a child while its hooks run."""

owner_pids: list[int] = [pid]
"""Process ids by generation, for messages."""


class _Hooks(NamedTuple):
    before: Callable[[], None] | None
    parent: Callable[[], None] | None
    child: Callable[[], None] | None


class _Ref(weakref.ref[Any]):
    """A weak reference that is a key by its identity: its object may have no hash, or that of another one."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__


class Registry:
    """Objects held weakly and by identity, oldest first.

    Any thread may add while another one iterates, which a ``WeakSet`` does not allow.
    """

    def __init__(self) -> None:
        self._refs: dict[_Ref, int] = {}  # and the generation in which each was added
        # called back in C: an interrupt that falls into a callback of Python's is lost
        self._forget_ref = self._refs.pop

    def add(self, obj: object) -> None:
        """Remember ``obj`` for as long as it lives; TypeError if it has no weak references."""
        known = self._find(obj) if weakref.getweakrefcount(obj) else None
        self._refs[known or _Ref(obj, self._forget_ref)] = generation

    def _find(self, obj: object) -> _Ref | None:
        for ref in weakref.getweakrefs(obj):
            if isinstance(ref, _Ref) and ref in self._refs:
                return ref
        return None

    def made_in(self, obj: object) -> int | None:
        """The generation in which ``obj`` was added; None if it was not."""
        ref = self._find(obj)
        return None if ref is None else self._refs.get(ref)

    def live(self) -> list[Any]:
        """Those that are alive; the list is made in one step of the interpreter."""
        return [obj for ref in list(self._refs) if (obj := ref()) is not None]


_modules: list[_Hooks] = []
_before_registered = False
_objects = Registry()
_immortal: list[Any] = []  # see immortalize
_prepared = False
_alive: list[Any] | None = None  # while hooks of a child run: what is registered, found once
_opted_in: bool | None = None  # while a fork is being made: as it was in the parent
_ended: deque[int] = deque(maxlen=64)  # older ones have exited long ago
_collecting_again = False
_pausing: set[int] = set()  # threads that fork
_advanced = True  # whether `generation` knows of the last fork whose first hook ran
_catching = RLock()  # held by the thread that calls the hooks of a fork in the child
_to_notify: deque[Any] = deque()  # registered objects whose method was not called yet for this fork
_before_hooks_ran: set[int] = set()  # threads whose fork has run `_before`
_parent_hooks_ran: set[int] = set()  # threads whose fork has run `_in_parent`
_failures: list[tuple[str, BaseException]] = []  # of hooks, to be logged when the fork is over

forking: int = 0
"""The thread that is between the hooks before a fork and those after it, 0 for none."""

_forks: dict[int, int] = {}  # by thread: how many it is making, one within a hook of the other
_within_fork: set[int] = set()  # threads that are in os.fork, whose hooks of the child will run
_renewing = False  # in a child of a C library: whether `hookless` is running the hooks

early = False
"""Whether a hook of the program's used something in a child before others, as those of logging, have run."""

was_opted_in = False
"""In a child: whether the program had opted in at the fork; clearing the variable later has no effect."""

EXIT_WAIT = 1.0
"""Seconds that a fork waits for threads that have finished to exit; the system may not run them at once."""

exit_deadline: float = 0.0
"""The end of that wait for the current fork, by the monotonic clock."""

_held_total = 0.0  # seconds that finished forks of this process held up loops
_held_since = 0.0  # when the current fork began to, by the monotonic clock


def at_fork(
    *,
    before: Callable[[], None] | None = None,
    parent: Callable[[], None] | None = None,
    child: Callable[[], None] | None = None,
) -> None:
    """Register functions to be called around each fork.

    Parameters
    ----------
    before, parent
        run in the process that forks; ``before`` in the reverse order of addition.
    child
        runs in the child, after `generation` has been advanced.
    """
    _modules.append(_Hooks(before, parent, child))
    if before is not None:
        _register_before()


def _register_before() -> None:
    global _before_registered
    if not _before_registered and FORK_AVAILABLE:
        # Only now, since hooks that are registered last run first: logging and the executors of
        # concurrent.futures take their locks before a fork, which other threads may need to do what is
        # asked of them here. The modules that register a hook here have imported both.
        _before_registered = True
        import random  # noqa: F401  # else a signal would interrupt its hook in the child

        os.register_at_fork(before=_before)
        os.register_at_fork(before=_before, after_in_parent=_hooks_done, after_in_child=_hooks_done)
        for slot in signals.raised:
            # none of it in Python code, in which the interpreter would call the handler; keys of None are
            # not compared, as there is one at most
            sort = partial(sorted, slot, key=interrupt_main)  # pyright: ignore[reportCallIssue]
            for call in (sort, slot.clear):
                os.register_at_fork(after_in_parent=call, after_in_child=call)
        _register_pending_call()


register: Callable[[object], None] = _objects.add
"""``register(obj)``: call ``obj._after_fork_in_child()`` in every child for as long as ``obj`` lives."""


def made_in(obj: object) -> int | None:
    """The generation in which ``obj`` was registered."""
    return _objects.made_in(obj)


def registered() -> list[Any]:
    """The live registered objects, oldest first."""
    return _objects.live() if _alive is None else _alive


def immortalize(obj: object) -> None:
    """Never collect ``obj``, nor what it refers to, not even when the interpreter ends.

    For objects of the parent: transports, running tasks, sessions.  A module global is not
    enough: modules are cleared at exit, and their objects are collected then.  A reference
    count that no reference stands for keeps an object beyond that.
    """
    prepare_to_immortalize()
    _immortal.append(obj)


def prepare_to_immortalize() -> None:
    """Make the list of immortal objects itself immortal, once.

    Done in the parent, which has the time, it costs children neither time nor memory.
    """
    global _prepared
    if _prepared:
        return
    _prepared = True
    try:
        import ctypes
    except ImportError:  # built without it: the interpreter drops its hooks last of all
        if FORK_AVAILABLE:
            os.register_at_fork(before=lambda kept=_immortal: None)
        return
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_immortal))


def pause_collection() -> None:
    """Disable the garbage collector while this thread forks.

    A finalizer could wait for a loop that waits for this thread, or for a lock that a hook of
    the fork holds. In the child it could close a connection of the parent before its
    descriptor is covered.
    """
    global _collecting_again
    _pausing.add(get_ident())
    if gc.isenabled():
        gc.disable()
        _collecting_again = True


def resume_collection() -> None:
    """The end of `pause_collection`; nothing if the collector was off before it."""
    global _collecting_again
    _pausing.discard(get_ident())
    if _collecting_again and not _pausing:
        _collecting_again = False
        gc.enable()


def start_thread(target: Callable[[], None], name: str) -> None:
    """Run ``target``, one blocking call, in a daemon thread; a fork waits until one that finished is gone.

    Raises RuntimeError: no thread can be started.
    """
    import threading  # not at the top: import fsspec does without

    _register_before()

    inherits = signals.is_ours()

    def run() -> None:
        if inherits:
            signals.unblock()
        try:
            target()
        finally:
            _ended.append(threading.get_native_id())

    threading.Thread(target=run, name=name, daemon=True).start()


def _wait_for_ended_threads() -> None:
    for native_id in list(_ended):
        wait_thread_exit(native_id, exit_deadline)
    _ended.clear()


_modules.append(_Hooks(_wait_for_ended_threads, None, None))  # the last before a fork


def wait_thread_exit(native_id: int, deadline: float) -> None:
    """Wait until the kernel no longer has such a thread of this process.

    After a thread has finished, C libraries still run their exit handlers on it. OpenSSL's takes a lock;
    a child forked meanwhile would inherit it locked, and hang at its own exit. Also, Python 3.12 and
    newer warn of a fork with several threads by the kernel's count.
    """
    task = f"/proc/self/task/{native_id}"
    while os.path.exists(task) and time.monotonic() < deadline:
        time.sleep(0.00005)


def opted_in() -> bool:
    """Whether inherited handles are to work in a child by themselves."""
    return _asked() if _opted_in is None else _opted_in


def _asked() -> bool:
    from fsspec import config  # not at the top: a program may replace the module

    text = os.environ.get("FSSPEC_FORK_RESET")
    return config.switched_on("fork", "reset") if text is None else config.switch(text) is True


def owner_pid(made_in: int | None) -> int:
    """The process id of a generation, None for the one before this; -1 if it is not known."""
    try:
        return owner_pids[generation - 1 if made_in is None else made_in]
    except IndexError:
        return -1


def check() -> None:
    """Catch up with a fork whose hooks did not run, or not yet."""
    if not ready[0]:
        _catch_up()


def _catch_up() -> None:
    global early, _renewing
    if _catching._is_owned():  # type: ignore[attr-defined]  # a hook uses something
        return
    if os.getpid() != pid and not _renewing and get_ident() not in _within_fork:
        _renewing = True
        pause_collection()
        try:
            hookless.renew_interpreter()
        finally:
            _renewing = False
    held = _catching.acquire(True, 5 * EXIT_WAIT)  # bounded: the holder may be waiting for this thread
    try:
        if os.getpid() != pid or (held and not ready[0]):
            early = bool(forking or _renewing)
            _advance()
            resume_collection() if early else _hooks_done()
    finally:
        if held:
            _catching.release()


def attempt(what: str, func: Callable[..., Any], *args: Any) -> Any:
    """Call ``func`` as a step of a hook: what it raises is logged when the fork is over.

    If a signal handler raised within it, ``func`` is called again, and the handler after the fork.
    Returns what ``func`` returns; None if it raised.
    """
    for last in (False, False, True):
        try:
            return func(*args)
        except BaseException as error:  # nobody could catch it, and the other hooks have to run
            if not _is_of_signal(error) or last:
                _failures.append((what, error))
                break
    return None


def _is_of_signal(error: BaseException) -> bool:
    """Whether the handler of a signal raised ``error``, and will be called when the fork is over."""
    return _before_registered and signals.is_of_signal(error)


def _run(hook: Callable[[], None] | None) -> None:
    if hook is not None:
        attempt(f"hook {getattr(hook, '__qualname__', hook)!r}", hook)


def _run_all(what: Iterable[Callable[[], None] | None]) -> None:
    """Run hooks in turn, all of them even if a signal handler raises between two."""
    left: deque[Callable[[], None] | None] | None = None
    while left is None or left:
        try:
            if left is None:
                left = deque(what)
                continue
            _run(left[0])
            left.popleft()
        except BaseException as error:  # what a signal handler raises is kept until all hooks have run
            if not _is_of_signal(error):
                raise


def _hooks_done() -> None:
    """The last hook: those of logging and threading have run, so that failures can be logged."""
    global early
    early = False
    resume_collection()
    if not _failures or forking:
        return
    import logging

    failures, _failures[:] = list(_failures), []
    for what, error in failures:
        logging.getLogger("fsspec").error("fork: %s failed", what, exc_info=error)


def current_fork() -> tuple[int, int]:
    """The current fork of this thread: the thread id, and the depth of nested forks."""
    me = get_ident()
    return me, _forks.get(me, 0)


# If a signal handler raises as a hook begins, the interpreter skips the hook. Therefore each is registered
# twice: the second call does its work if the first was skipped.
def _before() -> None:
    me = get_ident()
    if me in _before_hooks_ran:
        _before_hooks_ran.discard(me)
    else:
        _run_all((_note_fork, *[hooks.before for hooks in reversed(_modules)]))


def _note_fork() -> None:
    global exit_deadline
    me, number = current_fork()
    if me not in _before_hooks_ran:
        exit_deadline = time.monotonic() + EXIT_WAIT
        _forks[me] = number + 1
        _before_hooks_ran.add(me)


def _in_parent() -> None:
    me = get_ident()
    _within_fork.discard(me)
    if me in _parent_hooks_ran:
        _parent_hooks_ran.discard(me)
        return
    _run_all((partial(_parent_hooks_ran.add, me), *[hooks.parent for hooks in _modules], _forget_fork))
    if deferred and not _pending_calls_run():
        run_deferred()
    if not _before_registered:
        _hooks_done()


def _forget_fork() -> None:
    me, number = current_fork()
    if forking == me:  # a hook that should have ended it failed
        end()
    if number > 1:
        _forks[me] = number - 1
    else:
        _forks.pop(me, None)


deferred: list[Callable[[], None]] = []
"""Tasks of the parent's hooks that run after the fork has returned to the program: Python 3.13 counts threads
when the hooks have run, and would warn of one that a hook has started."""


def run_deferred(*_: Any) -> int:
    """Run the tasks in `deferred`; a thread that waits for one of them calls this as well."""
    while deferred:
        try:
            task = deferred.pop(0)
        except IndexError:  # another thread took it
            break
        _run(task)
    return 0


_pending: Any = None  # `run_deferred` as the interpreter calls it: never to be collected


def _register_pending_call() -> None:
    """Make the interpreter call `run_deferred` after each fork, when it is back in Python code.

    The hook that requests it must not be Python code: the interpreter would run the pending call inside it.
    """
    global _pending
    if sys.version_info < (3, 13):
        return
    try:
        import ctypes  # see immortalize
    except ImportError:
        return
    _pending = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(run_deferred)
    os.register_at_fork(after_in_parent=partial(ctypes.pythonapi.Py_AddPendingCall, _pending, None))


def _pending_calls_run() -> bool:
    """Whether the interpreter will run pending calls next: if Python code of the main thread forked."""
    if _pending is None or sys._getframe(1).f_back is None:
        return False
    import threading  # loaded already if anything was deferred

    return threading.current_thread() is threading.main_thread()


def begin(bound: float) -> None:
    """Called before a fork by the holder of its lock: fix the opt-in and the time limit, pause collection.

    ``bound``: seconds after which the hooks go ahead, whatever they are waiting for.
    """
    global _opted_in, forking, exit_deadline, _held_since
    pause_collection()
    now = time.monotonic()
    if not forking:  # else within the hooks of another one
        _held_since = now
    forking = get_ident()
    exit_deadline = now + bound + EXIT_WAIT
    _opted_in = None
    _opted_in = _asked()


def end() -> None:
    """Undo `begin`, except for the pause of collection: other hooks of the fork still hold locks."""
    global _opted_in, forking, _held_total, _held_since
    if forking:
        now = time.monotonic()
        _held_total, _held_since = _held_total + now - _held_since, now
    _opted_in = None
    forking = 0


def seconds_held_up() -> float:
    """Seconds for which forks have stopped the loops, as seen by other threads than the forking one.

    For a fork in progress at most the time limit of its hooks.
    """
    if not forking or forking == get_ident():
        return _held_total
    return _held_total + min(time.monotonic(), exit_deadline) - _held_since


def _advance() -> None:
    """Run the hooks of the child: once for each fork, before any inherited object is used."""
    global ready_pid
    begun = not ready_pid and os.getpid() == pid  # a signal handler had interrupted it
    ready_pid = ready[0] = 0
    first = None if begun else _begin_generation
    _run_all((first, *[hooks.child for hooks in _modules], _notify_registered, _end_notifying))


def _begin_generation() -> None:
    global generation, pid, was_opted_in, _alive
    was_opted_in = opted_in()
    _pausing.clear()
    signals.unblock_in_child()
    for slot in signals.raised:
        slot.clear()
    deferred.clear()
    _forks.clear()
    _within_fork.clear()
    _before_hooks_ran.clear()
    _parent_hooks_ran.clear()
    pause_collection()
    _alive = None
    _alive = registered()
    _to_notify.clear()
    _to_notify.extend(_alive)
    _ended.clear()
    generation = len(owner_pids)
    pid = os.getpid()
    owner_pids.append(pid)


def _notify_registered() -> None:
    while _to_notify:
        attempt(f"hook of {type(_to_notify[0]).__qualname__}", _notify, _to_notify[0])
        _to_notify.popleft()


def _notify(obj: Any) -> None:
    type(obj)._after_fork_in_child(obj)


def _end_notifying() -> None:
    global ready_pid, _advanced, _alive
    _alive = None
    end()
    _advanced = True
    ready_pid = pid
    ready[0] = 1


def _in_child() -> None:
    # else a hook of the program has run before this one and called `check`; for some forks no hook ran before
    if not _advanced or os.getpid() != ready_pid:
        if not _catching._is_owned():  # type: ignore[attr-defined]  # another thread of the parent's has it
            _catching._at_fork_reinit()  # type: ignore[attr-defined]  # as threading's locks
        with _catching:
            _advance()
    if not _before_registered:
        _hooks_done()


def _first() -> None:
    global _advanced
    _advanced = False
    _within_fork.add(get_ident())


if FORK_AVAILABLE:
    os.register_at_fork(before=_first, after_in_parent=_in_parent, after_in_child=_in_child)
    os.register_at_fork(after_in_parent=_in_parent, after_in_child=_in_child)
