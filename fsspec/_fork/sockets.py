"""Sockets of blocking clients, which a forked child must neither use nor hold open.

Each is watched from before it connects, so that none is missed whatever another thread is
in the middle of when the process forks.  In the child, before any other code runs there,
every one that is still open is covered: something dead takes the place of the socket under
its number.  Objects keep their descriptors and may be used, closed and collected, and
reach nobody; and when the parent closes the connection, the server sees it.

What is remembered of a socket is its number and its inode, not an object: a socket moves
from one object to another as it is given TLS, and libraries keep theirs out of reach.
"""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from fsspec._fork import hooks

S = TypeVar("S")

_watched: dict[int, int] = {}


def watch(sock: S) -> S:
    """Cover ``sock`` in every child of this process; for as long as it is open."""
    fd = sock.fileno()  # type: ignore[attr-defined]
    _watched[fd] = os.fstat(fd).st_ino
    return sock


def connect(address: tuple[str, int], timeout: float | None, family: int = 0) -> socket.socket:
    """A watched TCP connection; each address of the host is tried.

    Raises
    ------
    OSError
        what the last attempt met, ``TimeoutError`` among it.
    """
    failed: OSError | None = None
    for kind, type_, protocol, _, place in socket.getaddrinfo(*address, family, socket.SOCK_STREAM):
        sock = watch(socket.socket(kind, type_, protocol))
        try:
            sock.settimeout(timeout)
            sock.connect(place)
            return sock
        except OSError as error:
            sock.close()
            failed = error
    assert failed is not None  # getaddrinfo gives one address or raises
    raise failed


def has_news(sock: Any) -> bool:
    """Whether something arrived that nobody asked for: the peer hung up, or is about to."""
    fd = sock.fileno()
    if fd < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fd], [], [], 0)[0])


def cover(descriptors: Iterable[int]) -> None:
    """Put a socket whose peer is gone under each of the numbers."""
    numbers = [fd for fd in descriptors if fd >= 0]
    if not numbers:
        return
    dead, peer = socket.socketpair()
    with dead, peer:
        for fd in numbers:
            os.dup2(dead.fileno(), fd, inheritable=False)


def _in_child() -> None:
    mine = []
    for fd, inode in _watched.items():
        with suppress(OSError):  # it was closed
            found = os.fstat(fd)
            if found.st_ino == inode and stat.S_ISSOCK(found.st_mode):
                mine.append(fd)
    _watched.clear()
    cover(mine)


hooks.at_fork(child=_in_child)
