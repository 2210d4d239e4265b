"""What a child does with what it inherited."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

from fsspec.exceptions import ForkError
from fsspec.tests.fork.subjects import Subject

MODES = ("opted", "by hand", "reset_loop", "neither")
"""FSSPEC_FORK_RESET=1; reset_after_fork(); the instance's reset_loop(); none of them.

What was sent to a new interpreter was not inherited and works in each: "sent".
"""


def _refused(use: Callable[[Any], None], handle: Any) -> str:
    try:
        use(handle)
    except ForkError as error:
        text = str(error)
        assert "fork-safe" in text and str(os.getpid()) in text and str(error.owner_pid) in text, text
        assert error.owner_pid not in (-1, os.getpid()), text
        return "refused"
    raise AssertionError("used what the parent owns without an error")


def _use(subject: Subject, box: list[Any], mode: str) -> str | None:
    """Use the handle, or find that it may not be."""
    if subject.strict or (mode == "neither" and subject.connects):
        _refused(subject.refused, box[0])
        return _refused(subject.refused, box[0])  # and again, not only the first time
    subject.use(box[0])
    subject.use(box[0])
    return None


def _exit(subject: Subject, box: list[Any], mode: str) -> None:
    """Only end: sys.exit, or what the way of forking has for it."""


def _leave(subject: Subject, box: list[Any], mode: str) -> None:
    """End by os._exit."""
    raise Leave


def _drop(subject: Subject, box: list[Any], mode: str) -> None:
    """Let go of it and collect."""
    box.clear()
    gc.collect()
    gc.collect()


def _close(subject: Subject, box: list[Any], mode: str) -> str | None:
    """Close it, or its session, as a ``with`` block would, and then let go of it."""
    try:
        subject.close(box[0])
    except ForkError:
        if mode != "neither" and not subject.strict:
            raise
        return "refused"
    _drop(subject, box, mode)
    return None


def _kill(subject: Subject, box: list[Any], mode: str) -> None:
    """Be killed."""
    os.kill(os.getpid(), 9)


def _again(subject: Subject, box: list[Any], mode: str) -> None:
    """Ask for a filesystem with the same arguments, and use that."""
    subject.again(box[0], mode)


def _new(subject: Subject, box: list[Any], mode: str) -> None:
    """Make a handle of its own, whatever it inherited; then leave both behind."""
    mine = subject.make()
    subject.use(mine)
    subject.settle(mine)


class Leave(BaseException):
    """The child is to end by os._exit."""


ACTIONS: dict[str, Callable[[Subject, list[Any], str], str | None]] = {
    "use": _use,
    "exit": _exit,
    "leave": _leave,
    "drop": _drop,
    "close": _close,
    "kill": _kill,
    "again": _again,
    "new": _new,
}


class Body:
    """The whole of what happens in a child; ``box`` has the only reference to the handle.

    Returns "refused" where the right thing is to refuse.
    """

    def __init__(self, subject: Subject, handle: Any, action: str, mode: str) -> None:
        self.subject = subject
        self.box = [handle]
        self.action = action
        self.mode = mode
        self.repeats = action == "use"

    def __call__(self) -> str | None:
        from fsspec import asyn

        if self.mode == "by hand":
            asyn.reset_after_fork()
            asyn.reset_after_fork()
        elif self.mode == "reset_loop":
            self.subject.instance(self.box[0]).reset_loop()
        try:
            return ACTIONS[self.action](self.subject, self.box, self.mode)
        except Leave:
            os._exit(0)
