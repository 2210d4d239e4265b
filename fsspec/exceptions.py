"""The errors that fsspec adds to the built-in ones.

Each is a built-in that callers already catch, carries what it knows as attributes, and
survives pickling.

Before Python 3.11 asyncio's timeout is a class of its own, so that `FSTimeoutError` can
only be made once asyncio is loaded.  Then, and only then, the class is made when it is
first asked for: ``import fsspec`` stays without asyncio, and whoever catches or raises a
timeout of fsspec has asyncio loaded by then or needs it at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

__all__ = [
    "AccessRefusedError",
    "BlocksizeMismatchError",
    "FSTimeoutError",
    "FileChangedError",
    "ForkError",
    "IncompleteRead",
    "ShortFetch",
]


class AccessRefusedError(PermissionError):
    """A request was refused, so that nothing is known of what lies at the path.

    Walks, searches and patterns raise this error. A `PermissionError` of another class is about a folder
    that the listing of its parent shows; they leave such a folder out.
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

    def __init__(self, path: str, before: str = "", after: str = "") -> None:
        self.path = path
        self.before = before
        self.after = after
        super().__init__(
            path
            if not (before or after)  # constructed again from one text
            else f"{path} changed while it was read, from {before} to {after}: open it again,"
            " after pop_from_cache if a cache on disk keeps parts of it. If the file is the same, and an HTTP"
            " server gives it another ETag in each answer, make the filesystem with validators=()"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.before, self.after)


class IncompleteRead(OSError):
    """The body of an answer ended early, or is not what was asked for."""


class ShortFetch(OSError, EOFError):
    """Fewer bytes came back than the file should have there."""


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


_VARIABLE = "Set FSSPEC_FORK_RESET=1 in the environment of the program, or"
_BY_HAND = (
    "in the child call fsspec.asyn.reset_after_fork() (a DataLoader takes it as worker_init_fn, a pool as "
    "initializer, gunicorn as post_fork, celery as receiver of worker_process_init), or fs.reset_loop() for "
    "this one alone"
)
_GUIDE = "More: python -m pydoc fsspec.fork"


def _ways_out() -> str:
    from fsspec import config  # which need not be there before something goes wrong

    if config.switch(os.environ.get("FSSPEC_FORK_RESET", "")):
        return _BY_HAND[0].upper() + _BY_HAND[1:]  # it is set already
    return f"{config.doubt_about_forks()}{_VARIABLE} {_BY_HAND}"


class ForkError(RuntimeError):
    """Something that another process made was used in a child forked from it.

    Programs carry exceptions from one process to another in several ways: pickled, as
    ``type(error)(*error.args)``, or constructed again from one string. All of these give a `ForkError`
    with the same text; pickling keeps the attributes as well.

    Parameters
    ----------
    what
        the instance or handle, as the message shall name it; the whole message if
        ``owner_pid`` is not given
    owner_pid
        the process that made it; -1 if that is no longer known
    pid
        the process that used it, by default the one that runs
    advice
        the way out, if those of an inherited filesystem do not apply (a file that is
        being written, a stream that cannot be resumed)

    Attributes
    ----------
    what, owner_pid, pid, advice
        as above
    """

    def __init__(
        self, what: str = "", owner_pid: int | None = None, pid: int | None = None, advice: str | None = None
    ) -> None:
        self.what = what
        self.owner_pid: int = -1 if owner_pid is None else owner_pid
        self.pid: int = os.getpid() if pid is None else pid
        self.advice = advice
        if owner_pid is None:
            super().__init__(what)
            return
        way_out = (advice or _ways_out()).rstrip(". ")
        super().__init__(
            f"{what} was made in process {owner_pid} and is not fork-safe: process {self.pid}, forked from "
            f"it, cannot use it.\n{way_out}.\n{_GUIDE}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


def _restored(cls: type[ForkError], args: tuple[Any, ...], state: dict[str, Any]) -> ForkError:
    """The error from a pickle, with the text that it had: the environment of this process may differ."""
    error = cls.__new__(cls)
    RuntimeError.__init__(error, *args)
    error.__dict__.update(state)
    return error
