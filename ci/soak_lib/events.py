"""How the subject and all its descendants tell: a line of JSON each, on one shared pipe.

A line shorter than PIPE_BUF is written whole or not at all, whoever else writes and whoever
is killed. No lock is taken, for a child would inherit it locked.
"""

from __future__ import annotations

import json
import os
import traceback
from typing import Any

LONGEST = 3500  # bytes, below PIPE_BUF
_fd = 1


def tell(event: str, **what: Any) -> None:
    """Write one event; texts that are too long lose their beginning."""
    line = json.dumps({"event": event, "pid": os.getpid(), **what})
    over = len(line) - LONGEST
    if over > 0:
        what = {
            k: v[over + 20 :] if isinstance(v, str) and len(v) > over + 20 else v for k, v in what.items()
        }
        line = json.dumps({"event": event, "pid": os.getpid(), **what})[: LONGEST + 200]
    os.write(_fd, line.encode() + b"\n")


def tell_error(where: str, error: BaseException) -> None:
    """An error that should not have been, with its traceback."""
    kind = "wrong" if type(error).__name__ == "WrongBytes" else "error"
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    tell(kind, where=where, text=text)
