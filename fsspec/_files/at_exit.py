"""An atexit hook that closes files left open for writing, while the event loop still runs."""

from __future__ import annotations

import atexit
import sys
from typing import Any
from weakref import WeakValueDictionary

from fsspec._fork import hooks

_being_written: WeakValueDictionary[int, Any] = WeakValueDictionary()
_last = 0, 0  # the process, and how many hooks there were, when ours was the last


def close_at_exit(writer: object) -> None:
    """Call ``writer.__del__()`` at exit, if it still exists: later, files can no longer be opened."""
    global _last
    _being_written[id(writer)] = writer
    # The last registered runs first, and ours may need what others close. Up to Python 3.13 each hook that
    # goes leaves a hole that later searches pass through: not for each file.
    if sys.version_info >= (3, 14) or _last != (hooks.pid, atexit._ncallbacks()):
        atexit.unregister(_close)
        atexit.register(_close)
        _last = hooks.pid, atexit._ncallbacks()


def _close() -> None:
    for writer in list(_being_written.values()):
        writer.__del__()
