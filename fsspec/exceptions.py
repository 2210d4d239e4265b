"""The errors that fsspec adds to the built-in ones.

Each is a built-in that callers already catch, carries what it knows as attributes, and
survives pickling.
"""

from __future__ import annotations

import os
import sys
from typing import Any

if sys.version_info >= (3, 11):
    _Timeout = TimeoutError  # asyncio's is the same class
else:
    # asyncio.TimeoutError is a class of its own before 3.11; only there is asyncio needed for it
    from asyncio.exceptions import TimeoutError as _AsyncioTimeout

    class _Timeout(_AsyncioTimeout, TimeoutError):
        pass


class BlocksizeMismatchError(ValueError):
    """A cached file was made with another block size than the one now asked for."""


class FSTimeoutError(_Timeout):
    """An operation took longer than it may."""


_WAYS_OUT = (
    "To use what was inherited, set FSSPEC_FORK_RESET=1 before starting (or {\"fork\": {\"reset\": true}} in fsspec's"
    " configuration), or call fsspec.asyn.reset_after_fork() in the child, or fs.reset_loop() on this instance"
)


class ForkError(RuntimeError):
    """Something of the parent's was used in a forked child.

    Parameters
    ----------
    what
        the instance or handle, as a message may name it.
    owner_pid
        the process that made it.
    pid
        the process that used it, by default this one.
    advice
        what to do, where the ways out of an inherited filesystem are not.
    """

    def __init__(self, what: str, owner_pid: int, pid: int | None = None, advice: str | None = None) -> None:
        self.what = what
        self.owner_pid = owner_pid
        self.pid = os.getpid() if pid is None else pid
        self.advice = advice
        super().__init__(
            f"{what} belongs to process {owner_pid} and was used in its forked child {self.pid}; as it stands it is"
            f" not fork-safe. {advice or _WAYS_OUT}."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.owner_pid, self.pid, self.advice)
