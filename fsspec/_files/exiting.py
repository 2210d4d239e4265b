"""What is being written as the interpreter ends is completed while everything that takes is still there."""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakValueDictionary

_being_written: WeakValueDictionary[int, Any] = WeakValueDictionary()


def close_at_exit(writer: Any) -> None:
    """Let go of ``writer`` at exit, by its ``__del__``; later no file can be opened any more."""
    _being_written[id(writer)] = writer
    atexit.unregister(_close)
    atexit.register(_close)  # before what others have registered by now: it may need their connections


def _close() -> None:
    for writer in list(_being_written.values()):
        writer.__del__()
