"""Sockets of blocking clients, which a forked child must neither use nor hold open.

Each socket is watched before it connects, so that a fork at any moment finds it.  In the
child every watched socket that is open is *covered* before other code runs: its descriptor is
replaced by one of a socket without a peer.  Objects keep their descriptor numbers and may be
used, closed and collected without any effect on the server; and the server sees when the
parent closes the connection.

A socket is identified by descriptor number, device and inode, not by an object: TLS moves it
from one object to another, and libraries do not expose theirs.  If a hook of the program ran
before ours in the child, closed the number and opened something else under it, that is left alone.

`create` makes and records a socket under a lock that a fork waits for.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeVar

from fsspec._fork import hooks
from fsspec._fork.fork_lock import BriefLock
from fsspec._paths.paths import type_name

S = TypeVar("S")
Identity = tuple[int, int]  # device and inode

_watched: dict[int, Identity] = {}
_noted: dict[int, Identity] = {}  # descriptors that other modules cover or close, as of the fork
creation_lock = BriefLock()
"""Held while a socket is created and recorded; a fork waits for it."""


def identity(fd: int) -> Identity:
    """Device and inode of an open descriptor. Raises OSError: it is not open."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def leads_to(fd: int, recorded: Identity) -> bool:
    """Whether a descriptor is open and has this device and inode."""
    try:
        return identity(fd) == recorded
    except OSError:
        return False


def watch(sock: S) -> S:
    """Cover ``sock`` in every child of this process; for as long as it is open.

    Raises
    ------
    TypeError
        it is no socket, and has no ``fileno``.
    OSError
        it is closed.
    """
    try:
        fileno = sock.fileno  # type: ignore[attr-defined]  # a socket, or a transport's stand-in for one
    except AttributeError:
        raise TypeError(f"watch_socket takes an open socket, not {type_name(sock)}") from None
    fd = fileno()
    _watched[fd] = identity(fd)
    return sock


def create(family: int, kind: int, protocol: int) -> socket.socket:
    """A new socket that is watched."""
    with creation_lock:
        return watch(socket.socket(family, kind, protocol))


def note(descriptors: Iterable[int]) -> None:
    """Before a fork: record the identity of descriptors that a child is to cover or close."""
    for fd in descriptors:
        with suppress(OSError):  # closed meanwhile
            _noted[fd] = identity(fd)


def forget_noted() -> None:
    """Forget what `note` recorded, after the fork."""
    _noted.clear()


def unchanged(fd: int) -> bool:
    """In a child: whether ``fd`` is still open for the same file or socket as at the fork.

    True if no hook ran before the fork, so that nothing was recorded.
    """
    if fd < 0:
        return False
    return not _noted or (fd in _noted and leads_to(fd, _noted[fd]))


def connect(address: tuple[str, int], timeout: float | None, family: int = 0) -> socket.socket:
    """A watched TCP connection; each address of the host is tried.

    Raises OSError: the error of the last attempt, which may be TimeoutError.
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


def has_unread(sock: socket.socket) -> bool:
    """Whether data arrived without a request: the peer has closed the connection, or is about to."""
    fd = sock.fileno()
    if fd < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([fd], [], [], 0)[0])


class DeadSocket:
    """The descriptor of a socket without a peer, which covers inherited ones; made when first needed."""

    _fd = -1
    _stays = False  # it has the first covered number itself, as no other was free

    def close(self) -> None:
        if self._fd >= 0 and not self._stays:
            os.close(self._fd)

    def cover(self, fd: int) -> None:
        """Make ``fd`` a duplicate of it, or close ``fd`` if that fails."""
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
    """Replace each descriptor by one of a socket without a peer."""
    dead = DeadSocket()
    for fd in descriptors:
        if fd >= 0:
            dead.cover(fd)
    dead.close()


def _in_child() -> None:
    cover([fd for fd, recorded in _watched.items() if leads_to(fd, recorded)])
    _watched.clear()  # not before: a signal may have this called again


hooks.at_fork(child=_in_child)
