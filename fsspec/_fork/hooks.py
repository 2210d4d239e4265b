"""What a fork means to this package.

Owns the *generation*: an integer that every forked child advances once, before
any other code of the child runs.  Whatever holds resources of the operating
system remembers the generation it was made in, and comparing the two is the whole
check on use.  Where the hooks of ``os.register_at_fork`` do not run (a C library
forked) `check` compares process ids and catches up; the few entries that cross
to another thread call it.

Owns also the registries of what wants to hear of a fork:

* modules, through `at_fork`, in the order in which they were added;
* objects, through `register`: held weakly and by identity (filesystems are equal
  by token, and have no hash before they are constructed), told in the child by
  their method ``_after_fork_in_child``.

An exception in a hook is logged and the next hook runs: nobody could catch it.
Only this module calls ``os.register_at_fork``.  Hooks
run on the thread that forks; in the child it is the only one.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import weakref
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

generation: int = 0
"""How many forks lie between the process that imported fsspec and this one."""

pid: int = os.getpid()
"""The process that `generation` belongs to."""

registrations: int = 0
"""How many objects were ever registered."""

owner_pids: list[int] = [pid]
"""Process ids by generation, for messages."""


class _Hooks(NamedTuple):
    before: Callable[[], None] | None
    parent: Callable[[], None] | None
    child: Callable[[], None] | None


_modules: list[_Hooks] = []
_before_registered = False
_objects: dict[int, weakref.ref[Any]] = {}
_immortal: list[Any] = []  # see immortalize
_kept: list[Any] | None = None  # what hooks of a child keep: made immortal at once when they are done
_alive: list[Any] | None = None  # while hooks of a child run: what is registered, found once
_opted_in: bool | None = None  # around a fork: as found in the parent
_ended: deque[int] = deque(maxlen=64)  # of more than these the first have left long ago
_threads_started = False
_collecting_again = False
_pausing: set[int] = set()  # threads that fork

EXIT_WAIT = 1.0
"""Seconds that a fork waits for threads that have ended to leave; they need their turn on a processor."""


def at_fork(
    *,
    before: Callable[[], None] | None = None,
    parent: Callable[[], None] | None = None,
    child: Callable[[], None] | None = None,
) -> None:
    """Have functions of a module called around each fork.

    Parameters
    ----------
    before, parent
        run in the process that forks; ``before`` in the reverse order of addition.
    child
        runs in the child, after `generation` has been advanced.
    """
    global _before_registered
    _modules.append(_Hooks(before, parent, child))
    if before is not None and not _before_registered and hasattr(os, "register_at_fork"):
        # Not before now: what is registered last runs first. logging and the executors of
        # concurrent.futures take locks of theirs before a fork, and what is asked here of other
        # threads may need those; whoever brings such a hook has imported them.
        _before_registered = True
        os.register_at_fork(
            before=_before, after_in_parent=resume_collection, after_in_child=resume_collection
        )
        _register_pending_call()


def register(obj: Any) -> None:
    """Call ``obj._after_fork_in_child()`` in every child for as long as ``obj`` lives."""
    global registrations
    key = id(obj)

    def forget(ref: weakref.ref[Any], key: int = key, objects: Any = _objects) -> None:
        if objects.get(key) is ref:
            del objects[key]

    _objects[key] = weakref.ref(obj, forget)
    registrations += 1


def registered() -> list[Any]:
    """The live registered objects, oldest first."""
    if _alive is not None:
        return _alive
    return [obj for ref in list(_objects.values()) if (obj := ref()) is not None]


def immortalize(obj: Any) -> None:
    """Never collect ``obj``, nor what it refers to, not even as the interpreter ends.

    For what belongs to the parent: transports, tasks in flight, sessions.  A module
    global would not do, for modules are cleared at exit and what they held is then
    reference that nothing accounts for is beyond that.
    """
    if _kept is not None:
        _kept.append(obj)
        return
    try:
        import ctypes  # loaded already where a loop was started: see _io_thread
    except ImportError:  # built without it: the interpreter drops its hooks last of all
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=lambda kept=obj: None)
        return
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
    _immortal.append(obj)


def pause_collection() -> None:
    """Have the collector run nothing of others on this thread while it forks.

    What it ends might wait for a loop that waits for this thread, or for a lock that some
    hook of the fork holds; in the child it would close what is the parent's before that is
    covered.
    """
    global _collecting_again
    _pausing.add(get_ident())
    if gc.isenabled():
        gc.disable()
        _collecting_again = True


def resume_collection() -> None:
    """The end of `pause_collection`; nothing where the collector was off before it."""
    global _collecting_again
    _pausing.discard(get_ident())
    if _collecting_again and not _pausing:
        _collecting_again = False
        gc.enable()


def start_thread(target: Callable[[], None], name: str) -> None:
    """Run ``target`` in a daemon thread; one that just ended has left before a fork.

    Raises
    ------
    RuntimeError
        no thread can be started.
    """
    global _threads_started
    import threading  # by whoever needs one

    if not _threads_started:
        _threads_started = True
        at_fork(before=_wait_for_ended_threads)

    def run() -> None:
        try:
            target()
        finally:
            _ended.append(threading.get_native_id())

    threading.Thread(target=run, name=name, daemon=True).start()


def _wait_for_ended_threads() -> None:
    if _ended:
        deadline = time.monotonic() + EXIT_WAIT
        for native_id in list(_ended):
            wait_gone(native_id, deadline)
        _ended.clear()


def wait_gone(native_id: int, deadline: float) -> None:
    """Wait until the kernel has no such thread of this process any more.

    One that has ended still has its C libraries' exit to run, and OpenSSL's takes a lock that
    the child would inherit held: its own exit would wait for it for ever. Also, Python 3.12 and
    newer count the kernel's threads.
    """
    task = f"/proc/self/task/{native_id}"
    while os.path.exists(task) and time.monotonic() < deadline:
        time.sleep(0.00005)


def opted_in() -> bool:
    """Whether inherited handles are to work in a child by themselves."""
    return _asked() if _opted_in is None else _opted_in


def _asked() -> bool:
    text = os.environ.get("FSSPEC_FORK_RESET")
    if text is not None:
        return text.strip().lower() not in ("", "0", "false", "no", "off", "null", '""')
    from fsspec import config  # not at the top: it is read when asked for, and may be replaced

    section = config.conf.get("fork")
    if not isinstance(section, dict):
        return False
    value = section.get("reset")
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "off")
    return bool(value)


def owner_only(func: F) -> F:
    """Make a finalizer do nothing outside the process that made its object.

    The object carries ``_generation``; where it is missing, construction did not get
    that far and the finalizer is left to cope, as it must anyhow.
    """

    @wraps(func)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "_generation", generation) != generation:
            return None
        return func(self, *args, **kwargs)

    return guarded  # type: ignore[return-value]


def finalize(obj: Any, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> weakref.finalize:
    """``weakref.finalize`` that is inert in processes forked later."""
    made_in = generation

    def run() -> None:
        if made_in == generation and pid == os.getpid():
            func(*args, **kwargs)

    return weakref.finalize(obj, run)


def owner_pid(of_generation: int) -> int:
    """The process id that went with a generation."""
    try:
        return owner_pids[of_generation]
    except IndexError:
        return -1


def check() -> None:
    """Catch up with a fork whose hooks did not run."""
    if os.getpid() != pid:
        _in_child()
        resume_collection()


def _log(what: str) -> None:
    import logging

    logging.getLogger("fsspec").exception("fork: %s failed", what)


def _run(hook: Callable[[], None] | None) -> None:
    if hook is None:
        return
    try:
        hook()
    except Exception:  # a hook of the fork itself has no caller that could handle it
        _log(f"hook {getattr(hook, '__qualname__', hook)!r}")


def _before() -> None:
    for hooks in reversed(_modules):
        _run(hooks.before)


def _in_parent() -> None:
    for hooks in _modules:
        _run(hooks.parent)
    if _deferred and not _pending_calls_run():
        run_deferred()


_deferred: list[Callable[[], None]] = []


def defer(task: Callable[[], None]) -> None:
    """For a parent's hook: have ``task`` called when the fork returns to the program.

    Python 3.13 counts threads for its warning only after the hooks, so that one started by a
    hook would be warned of at every fork.
    """
    _deferred.append(task)


def run_deferred(*_: Any) -> int:
    """Do what was put off; also for those who wait for it in vain."""
    tasks, _deferred[:] = list(_deferred), []
    for task in tasks:
        _run(task)
    return 0


_pending: Any = None  # `run_deferred` as the interpreter calls it: never to be collected


def _register_pending_call() -> None:
    """Have the interpreter call `run_deferred` after each fork, when it is back in Python code.

    The hook itself must not be Python code: the interpreter would do within it what is pending.
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
    """Whether who forked comes to what is pending: Python code of the main thread, nobody else."""
    if _pending is None or sys._getframe(1).f_back is None:
        return False
    import threading  # loaded already where there is anything to put off

    return threading.current_thread() is threading.main_thread()


def begin() -> None:
    """Before a fork, by who lets one at a time: what its hooks will ask for; nothing is collected."""
    global _opted_in
    pause_collection()
    _opted_in = None
    _opted_in = _asked()


def end() -> None:
    """The other end of `begin`, but for the collector: other hooks of the fork still hold locks."""
    global _opted_in
    _opted_in = None


def _in_child() -> None:
    global generation, pid, _alive, _kept
    _pausing.clear()
    _deferred.clear()
    pause_collection()
    _alive = None
    _alive, _kept = registered(), []
    _ended.clear()
    pid = os.getpid()
    generation += 1
    owner_pids.append(pid)
    for hooks in _modules:
        _run(hooks.child)
    for obj in registered():
        try:
            hook = type(obj)._after_fork_in_child
            hook(obj)
        except Exception:  # see _run
            _log(f"hook of {type(obj).__qualname__}")
    kept, _kept, _alive = _kept, None, None
    if kept:
        immortalize(kept)
    end()
    if not _before_registered:
        resume_collection()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_in_parent, after_in_child=_in_child)
