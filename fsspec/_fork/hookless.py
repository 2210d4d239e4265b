"""What ``os.fork`` does to the interpreter in a child, done in one that a C library forked.

The interpreter's own lock is inherited as it was in the parent. If another thread of the parent was waiting
for it, the condition variable still counts that thread, which the child does not have. As soon as the child
has a second thread, the C library waits for the absent one, for good: whatever starts a thread hangs, such
as a connection of paramiko. The same is true of the thread states that the collector goes through, of the
locks of `threading` and `logging`, and of the threads that the interpreter joins when it ends.
"""

from __future__ import annotations

import _imp
import os
import sys

from fsspec._fork import signals

_TASKS = "/proc/self/task"


def _is_alone() -> bool:
    """Whether this process is known to have one thread."""
    try:
        return len(os.listdir(_TASKS)) == 1
    except OSError:  # not Linux
        return False


def renew_interpreter() -> None:
    """Call ``PyOS_AfterFork_Child``, which also runs the fork hooks of the child, all of them.

    Does nothing where the child has another thread by now, whose state that would free. Nor in free-threaded
    builds: they have no such lock, and the call ends the process where ``PyOS_BeforeFork`` did not run.
    """
    if "t" in getattr(sys, "abiflags", "") or not _is_alone():
        return
    try:
        from ctypes import PyDLL, c_void_p  # see hooks.prepare_to_immortalize

        interpreter = PyDLL(None)
        renew, current, main = (
            interpreter.PyOS_AfterFork_Child,
            interpreter.PyInterpreterState_Get,
            interpreter.PyInterpreterState_Main,
        )
    except (ImportError, AttributeError):  # built without ctypes; loaded where its functions are not found
        return
    current.restype = main.restype = c_void_p
    if current() != main():  # os.fork refuses there
        return
    if not _imp.lock_held():  # os.fork takes it before, and this releases it: else 3.13 ends the process
        _imp.acquire_lock()
    signals.call_blocked(renew, set())  # the interpreter drops what a signal handler raises in a hook
