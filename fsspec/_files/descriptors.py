"""Descriptors that are not lost if a signal's handler raises when they are made; and the umask.

An interrupt mostly comes within a slow ``open``. Python runs the handler when the call has returned, before
the number is assigned to a name, so that nobody could close the descriptor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def new_descriptor(make: Callable[..., int], *args: Any) -> int:
    """What ``make`` gives for ``args``, such as ``os.open``; it is closed if an interrupt comes meanwhile."""
    made: list[int] = []
    try:
        made.extend(map(make, *zip(args)))  # in C: the number is in the list before a handler can run
    except BaseException:  # an interrupt, too, leaves no descriptor open
        for fd in made:
            os.close(fd)
        raise
    return made[0]


def close_all(fds: list[int]) -> None:
    """Close descriptors and forget them, each in one step: after an interrupt a second call goes on."""
    while fds:
        list(map(os.close, map(list.pop, (fds,))))  # in C, as above


@lru_cache(maxsize=1)
def get_umask(mask: int = 0o666) -> int:
    """The umask of this process, as it is at the first call.

    To ask for it is to change it for a moment, for all threads; therefore it is asked once, and
    again after ``get_umask.cache_clear()``.

    Parameters
    ----------
    mask
        what it is for that moment
    """
    current = os.umask(mask)
    os.umask(current)
    return current
