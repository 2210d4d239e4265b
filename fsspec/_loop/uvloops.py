"""Cutting a forked child's copy of a loop of uvloop off from the parent's.

Such a loop exposes its epoll instance, which is *unshared* as in `fsspec._loop.abandoning.unshare`: closing
a descriptor in the child would otherwise remove the parent's registration of it.  The descriptor by which
threads wake the loop is replaced as well.  The loop does not expose its sockets; those of our clients, and
of suspended tasks of other clients, are found by `fsspec._fork.connecting`, and covered.

libuv resolves names in threads, which the child does not have. Closing a loop with a lookup under way
would wait for them, and at the end of the process libuv joins them and crashes. So the child's copy is
never closed, and libuv is made to start new threads before the process ends.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fsspec._fork import connecting, hooks
from fsspec._fork.sockets import DeadSocket, unchanged

_EVENT = "anon_inode:[eventfd]"
_to_renew: list[bool] = []  # not empty if the process has to renew the threads of libuv at its end


def is_uvloop(other: object) -> bool:
    """Whether ``other`` is a loop of uvloop that exposes its epoll instance."""
    return "uvloop" in sys.modules and hasattr(other, "_get_backend_id")


def descriptors(other: Any) -> Iterator[int]:
    """The descriptors that a child replaces; called before a fork."""
    if other.is_closed():
        return
    epoll: int = other._get_backend_id()
    yield epoll
    yield from _wake_ups(_registered(epoll))
    yield from connecting.waiting_transports(other)


def _registered(epoll: int) -> dict[int, int]:
    """The event masks of an epoll instance by descriptor; empty if the system does not list them."""
    found: dict[int, int] = {}
    with suppress(OSError), open(f"/proc/self/fdinfo/{epoll}") as lines:
        for words in map(str.split, lines):
            if words[:1] == ["tfd:"]:
                found[int(words[1])] = int(words[3], 16)
    return found


def _wake_ups(registered: dict[int, int]) -> list[int]:
    """The descriptor by which threads wake the loop; empty if several candidates are registered."""
    found = []
    for fd in registered:
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}") == _EVENT:
                found.append(fd)
    return found if len(found) == 1 else []


def cut_off(other: Any, dead: DeadSocket) -> None:
    """In a child: cut its copy of a loop off from the parent's."""
    hooks.immortalize(other)
    if not _to_renew:
        _to_renew.append(True)
        atexit.register(_renew_threads)
    if other.is_closed():
        return
    for fd in filter(unchanged, connecting.waiting_transports(other)):
        dead.cover(fd)
    other.close = lambda: setattr(other, "is_closed", lambda: True)
    _unshare(other._get_backend_id())


def _unshare(old: int) -> None:
    import select

    registered = _registered(old)
    if not registered or not unchanged(old):
        return
    for fd in _wake_ups(registered):
        if unchanged(fd):
            # 1: a wake-up that was pending at the fork is seen
            _replace(fd, os.eventfd(1, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
    with select.epoll() as epoll:
        for fd, mask in registered.items():
            with suppress(OSError):
                epoll.register(fd, mask)
        os.dup2(epoll.fileno(), old, inheritable=False)


def _replace(fd: int, fresh: int) -> None:
    os.dup2(fresh, fd, inheritable=False)
    os.close(fresh)


def _renew_threads() -> None:
    # by a lookup, whose first step starts them; its result is not awaited
    import uvloop

    fresh = uvloop.new_event_loop()
    lookup = fresh.getaddrinfo("127.0.0.1", 0)
    with suppress(StopIteration):
        hooks.immortalize([fresh, lookup, lookup.send(None)])
