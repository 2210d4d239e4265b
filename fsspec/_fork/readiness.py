"""Whether this process is ready: the one byte that checks for a fork look at.

It is 0 in a child from its first instruction, whoever forked: the kernel clears its page there
(``MADV_WIPEONFORK``, Linux), so that to look is an access to memory and not a system call. Elsewhere
the process id is compared. `fsspec._fork.hooks` sets it when the hooks of a child have run. Any thread
may look.
"""

from __future__ import annotations

import os
import sys

_WIPE_ON_FORK = 18


class _Compared:
    """The byte, for a kernel that clears no pages: decided by the process id."""

    def __init__(self) -> None:
        self._ready_pid = 0

    def __getitem__(self, index: int) -> int:
        return os.getpid() == self._ready_pid

    def __setitem__(self, index: int, value: int) -> None:
        self._ready_pid = os.getpid() if value else 0


def new() -> memoryview | bytearray | _Compared:
    """The byte, with the value 0."""
    if not hasattr(os, "register_at_fork"):  # nothing can fork
        return bytearray(1)
    if sys.platform != "linux":
        return _Compared()
    try:
        import mmap

        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (ImportError, OSError):
        return _Compared()
    try:
        page.madvise(-1)
    except (AttributeError, OSError, ValueError):
        try:
            page.madvise(_WIPE_ON_FORK)
        except (AttributeError, OSError, ValueError):  # an old kernel
            return _Compared()
        return memoryview(page)  # its items have no lock, not even without the interpreter's
    return _Compared()  # an emulator that ignores advice
