"""Files that a program leaves open for writing are closed by an atexit hook, while the loop still runs."""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakValueDictionary

_being_written: WeakValueDictionary[int, Any] = WeakValueDictionary()


def close_at_exit(writer: Any) -> None:
    """Call ``writer.__del__()`` at exit, if it still lives: later no file can be opened any more."""
    _being_written[id(writer)] = writer
    atexit.unregister(_close)
    atexit.register(_close)  # again: the last registered runs first, and it may need what others close


def _close() -> None:
    for writer in list(_being_written.values()):
        writer.__del__()
