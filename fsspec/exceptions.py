"""The errors that fsspec adds to the built-in ones.

Each is a built-in that callers already catch, carries what it knows as attributes, and
survives pickling.

Before Python 3.11 asyncio's timeout is a class of its own, so that `FSTimeoutError` can
only be made once asyncio is there.  There, and only there, the class is made when it is
first asked for: ``import fsspec`` stays without asyncio, and whoever catches or raises a
timeout of fsspec has asyncio loaded by then or needs it at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

__all__ = ["AccessRefusedError", "BlocksizeMismatchError", "FSTimeoutError", "FileChangedError", "ForkError"]


class AccessRefusedError(PermissionError):
    """A request was refused, so that nothing is known of what lies at the path.

    A `PermissionError` of another class comes from a store whose listing of the parent
    shows the folder; such a folder is left out of walks, searches and patterns, where
    this error is raised.
    """


class BlocksizeMismatchError(ValueError):
    """A cached file was made with another block size than the one now asked for."""


class FileChangedError(OSError):
    """A file changed while it was read, so that its parts do not belong together.

    Parameters
    ----------
    path
        the file
    before, after
        the versions that were seen, in words: tags, times and sizes

    Attributes
    ----------
    path, before, after
        as above
    """

    def __init__(self, path: str, before: str, after: str) -> None:
        self.path = path
        self.before = before
        self.after = after
        super().__init__(f"{path} changed while it was read, from {before} to {after}: open it again")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.before, self.after)


if TYPE_CHECKING or sys.version_info >= (3, 11):

    class FSTimeoutError(TimeoutError):
        """An operation took longer than it may.

        Also an ``asyncio.TimeoutError``, whatever the version of Python.
        """

else:

    def __getattr__(name: str) -> Any:
        if name != "FSTimeoutError":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import asyncio

        body = {"__module__": __name__, "__doc__": "An operation took longer than it may."}
        made = type(name, (asyncio.TimeoutError, TimeoutError), body)
        # of two threads that come here at once both get the class of the first
        return globals().setdefault(name, made)


_WAYS_OUT = (
    'Set FSSPEC_FORK_RESET=1 before the program starts (or {"fork": {"reset": true}} in fsspec\'s '
    "configuration), call fs.reset_loop() on this instance in the child, or "
    "fsspec.asyn.reset_after_fork() in the child for all of them"
)


class ForkError(RuntimeError):
    """Something that another process made was used in a child forked from it.

    Parameters
    ----------
    what
        the instance or handle, as the message shall name it
    owner_pid
        the process that made it; -1 where that is not known any more
    pid
        the process that used it, by default the one that runs
    advice
        the way out, where those of an inherited filesystem do not apply (a file that is
        being written, a stream that cannot be resumed)

    Attributes
    ----------
    what, owner_pid, pid, advice
        as above
    """

    def __init__(self, what: str, owner_pid: int, pid: int | None = None, advice: str | None = None) -> None:
        self.what = what
        self.owner_pid = owner_pid
        self.pid = os.getpid() if pid is None else pid
        self.advice = advice
        way_out = (advice or _WAYS_OUT).rstrip(". ")
        super().__init__(
            f"{what} was made in process {owner_pid} and is not fork-safe: the forked process {self.pid} "
            f"cannot use it as it stands. {way_out}."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.owner_pid, self.pid, self.advice)
