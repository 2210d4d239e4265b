"""Sockets of blocking clients, which a forked child must neither use nor hold open.

Each is watched from before it connects, so that none is missed whatever another thread is
in the middle of when the process forks.  In the child, before any other code runs there,
every one that is still open is covered: its descriptor is replaced by that of a socket
without a peer.  Objects keep their descriptors and may be used, closed and collected,
without any effect on the server; and when the parent closes the connection, the server sees it.

What is remembered of a socket is its number, device and inode, not an object: a socket
moves from one object to another as it is given TLS, and libraries keep theirs out of reach.
A child's hook of somebody else's, which ran before ours, may have closed the number and
taken it for something of its own: then it is left alone.

A socket is made and becomes known in one step: `create` holds a lock that a fork waits for.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from fsspec._fork import hooks
from fsspec._fork.fork_lock import ForkLock

S = TypeVar("S")
Identity = tuple[int, int]  # device and inode

_watched: dict[int, Identity] = {}
_noted: dict[int, Identity] = {}  # descriptors that others cover or close, as the process forked
creation_lock = ForkLock()
"""Held while a socket is created and recorded; a fork waits for it."""


def identity(fd: int) -> Identity:
    """What a descriptor leads to; OSError where it is not open."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def leads_to(fd: int, recorded: Identity) -> bool:
    """Whether a descriptor is open, and leads to what it led to once."""
    try:
        return identity(fd) == recorded
    except OSError:
        return False


def watch(sock: S) -> S:
    """Cover ``sock`` in every child of this process; for as long as it is open."""
    fd = sock.fileno()  # type: ignore[attr-defined]  # a socket, or a transport's stand-in for one
    _watched[fd] = identity(fd)
    return sock


def create(family: int, kind: int, protocol: int) -> socket.socket:
    """A new socket that is watched."""
    with creation_lock:
        return watch(socket.socket(family, kind, protocol))


def note(descriptors: Iterable[int]) -> None:
    """Before a fork: remember what descriptors lead to that a child is to cover or close."""
    for fd in descriptors:
        with suppress(OSError):  # closed meanwhile
            _noted[fd] = identity(fd)


def forget_noted() -> None:
    """When the fork is over."""
    _noted.clear()


def unchanged(fd: int) -> bool:
    """In a child: whether ``fd`` still leads to what it led to as the process forked.

    Where no hook ran before the fork nothing is known, and it counts as unchanged.
    """
    if fd < 0:
        return False
    return not _noted or (fd in _noted and leads_to(fd, _noted[fd]))


def connect(address: tuple[str, int], timeout: float | None, family: int = 0) -> socket.socket:
    """A watched TCP connection; each address of the host is tried.

    Raises OSError: what the last attempt met, ``TimeoutError`` among it.
    """
    failed: OSError | None = None
    for kind, type_, protocol, _, place in socket.getaddrinfo(*address, family, socket.SOCK_STREAM):
        sock = create(kind, type_, protocol)
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
    """Whether something arrived that was not asked for: the peer has closed, or is about to."""
    fd = sock.fileno()
    if fd < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fd], [], [], 0)[0])


class DeadSocket:
    """A descriptor without a peer, to cover inherited ones with; made when it is needed."""

    _fd = -1
    _stays = False  # under one of the numbers, since there were no others

    def close(self) -> None:
        if self._fd >= 0 and not self._stays:
            os.close(self._fd)

    def cover(self, fd: int) -> None:
        """Replace the descriptor ``fd`` by it; where that fails ``fd`` is closed."""
        with suppress(OSError):
            try:
                if self._fd < 0:
                    self._make(fd)
                if self._fd != fd:
                    os.dup2(self._fd, fd, inheritable=False)
            except OSError:
                os.close(fd)
                raise

    def _make(self, fd: int) -> None:
        try:
            dead, peer = socket.socketpair()
        except OSError:  # the process has all descriptors that it may have
            os.close(fd)
            dead = socket.socket(socket.AF_UNIX)
            self._stays = dead.fileno() == fd
        else:
            peer.close()
        dead.setblocking(False)
        self._fd = dead.detach()


def cover(descriptors: Iterable[int]) -> None:
    """Put a socket whose peer is gone under each of the numbers."""
    dead = DeadSocket()
    for fd in descriptors:
        if fd >= 0:
            dead.cover(fd)
    dead.close()


def _in_child() -> None:
    cover([fd for fd, recorded in _watched.items() if leads_to(fd, recorded)])
    _watched.clear()  # not before: a signal may have this called again


hooks.at_fork(child=_in_child)
