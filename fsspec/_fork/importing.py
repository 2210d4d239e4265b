"""Imports that fsspec makes when something is first used, and forks in the middle of them.

A child that is forked while another thread imports a module inherits the lock of that module,
held by nobody: its own import of the module would wait for ever.  The fork therefore waits until
fsspec's own imports on other threads are done, within the bound that it has for all.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from threading import get_ident
from types import FrameType
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_bootstrap = import_module("importlib._bootstrap")
_FIND = _bootstrap._find_and_load.__code__
_LOCKS: Any = getattr(_bootstrap, "_module_locks", ())  # of modules being imported, whoever does


def _importing(frame: FrameType | None) -> bool:
    """Whether a thread, given by its innermost frame, imports something on behalf of this package."""
    found = False
    while frame is not None:
        if frame.f_code is _FIND:
            found = True
        elif found and str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
            return True
        frame = frame.f_back
    return False


def under_way() -> bool:
    """Whether another thread is importing a module on behalf of this package."""
    if not _LOCKS:
        return False
    me = get_ident()
    return any(_importing(frame) for ident, frame in sys._current_frames().items() if ident != me)


def wait(deadline: float) -> None:
    """Wait until no such import is under way, or until ``deadline`` by the monotonic clock."""
    while under_way() and time.monotonic() < deadline:
        time.sleep(0.0005)
