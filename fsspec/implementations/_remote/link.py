"""What the connections of FTP, SFTP and SMB have in common.

Each has ``run(operation, repeat=False)``, which calls ``operation`` with the connection, after connecting
again if it was lost. With ``repeat``, for operations that change nothing, one that failed is tried once more.

Connections are made by the method ``_connect`` of the filesystem, which derived classes may override. It sets
the client attributes, which are stored in the link, and is called in each process when a connection is needed
and there is none. A link must not refer to its filesystem.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse

if TYPE_CHECKING:
    from fsspec._paths.types import T


class OwnedLink:
    """A connection that one thread at a time may use, in the process that made it. ``name``: of the server,
    for messages."""

    protocol: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        own(self)

    def check_owner(self) -> None:
        """Raise `ForkError` in a forked child, which may be inside a call of the parent."""
        if not is_mine(self):
            advice = "It is the parent's, which continues with it; start it again in this process"
            refuse(self, f"the transfer from or to the {self.protocol} server {self.name}", advice)


class Connecting(Protocol):
    """A filesystem that connects to a server."""

    def _connect(self) -> None:
        """Log in, and `ClientLink.put` the clients that are logged in."""


class ClientLink(OwnedLink):
    """A link that stores client objects, which the filesystem's ``_connect`` sets by `put`."""

    def __init__(self, fs: Connecting, name: str) -> None:
        super().__init__(name)
        self._connecting = False
        self._filesystem = weakref.ref(fs)

    def _connected(self) -> bool:
        """Whether the connection is usable, as far as is known."""
        raise NotImplementedError

    def _watch(self) -> None:
        """Watch the sockets of the clients, so that children cover them."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the connection."""
        raise NotImplementedError

    def refresh(self) -> bool:
        """Connect, if there is no usable connection; whether a new one was made."""
        with self.lock:
            if self._connecting or self._connected():
                return False
            self.close()
            self._connecting = True  # `get` returns clients set so far, without connecting again
            try:
                self._connect()
                self._watch()
            except BaseException as error:  # an interrupt, too, leaves no connection open
                interrupt = interrupt_in(error)
                if interrupt is None:
                    self.close()
                    raise
                self._abandon()
                raise interrupt
            finally:
                self._connecting = False
            return True

    def _abandon(self) -> None:
        """Give up the connection after an interrupt."""
        self.close()

    def _connect(self) -> None:
        self.check_owner()
        fs = self._filesystem()
        if fs is None:
            raise ConnectionError(f"the filesystem that would connect to {self.name} no longer exists")
        fs._connect()

    def get(self, name: str) -> Any:
        """The client of that name, connected."""
        with self.lock:
            self.refresh()
            return getattr(self, name)

    def put(self, name: str, client: Any) -> None:
        """Set a client; None to connect again when it is next needed."""
        with self.lock:
            setattr(self, name, client)
            if client is not None and not self._connecting:
                self._watch()


class FilesLink(OwnedLink):
    """A link with open files, ``remotes``, each with what it was opened on.

    Closing one is a request. If a finalizer or a signal handler closes one during another request of the same
    thread, that request may hold locks of the client that are not reentrant, or be in the middle of a packet.
    Closing is then postponed until the request is over.
    """

    lost: ClassVar[tuple[type[Exception], ...]]
    """What requests raise if the connection is lost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.remotes: dict[Any, object] = {}
        self._postponed: list[Callable[[], object]] = []
        self._user: int | None = None  # the thread that makes a request

    def exclusive(self, request: Callable[[], T]) -> T:
        """Perform a request with the lock held; postponed tasks are done before and after it.

        It is not a context manager: if an interrupt came within the ``__enter__`` of one that is written in
        Python, its ``__exit__`` would never run.
        """
        with self.lock:
            outer = self._user
            if outer is None:
                self._do_postponed()
            try:
                self._user = threading.get_ident()
                result = request()
            finally:
                self._user = outer
            if outer is None:
                self._do_postponed()
            return result

    def _do_postponed(self) -> None:
        while self._postponed:
            work = self._postponed.pop()
            try:
                work()
            except Exception as error:  # of a finalizer: told as the interpreter would
                if not isinstance(error, (*self.lost, ValueError)):  # of a signal handler
                    raise
                _Unraisable(error)

    def postpone(self, work: Callable[[], object]) -> bool:
        """Whether this thread is in the middle of a request; if so ``work`` is done after it."""
        if self._user != threading.get_ident():
            return False
        self._postponed.append(work)
        return True

    def _close(self, remote: Any) -> None:
        if self.is_open(remote):
            with suppress(*self.lost):
                self.exclusive(remote.close)
        self.forget(remote)

    def is_open(self, remote: Any) -> bool:
        """Whether a remote file can be used on the connection as it is."""
        raise NotImplementedError

    def forget(self, remote: Any) -> None:
        """Forget a remote file that is closed, or was lost with its connection."""
        self.remotes.pop(remote, None)

    def _is_alive(self) -> bool:
        """Whether a request can be made now."""
        raise NotImplementedError

    def close_file(self, remote: Any) -> None:
        """Close a remote file, now or, during another request, after it."""
        hooks.check()
        if not is_mine(self) or remote not in self.remotes:
            return
        self._postponed.append(partial(self._close, remote))
        held: list[bool] = []
        if self._user is None and self._is_alive():
            try:
                held.extend(map(self.lock.acquire, (False,)))  # in C: no interrupt comes between the two
                if held[0]:
                    self._do_postponed()
            finally:
                if any(held):
                    self.lock.release()


class _Unraisable:
    """Reports an error as the interpreter reports those of finalizers, at once."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def interrupt_in(error: BaseException) -> BaseException | None:
    """The interrupt that ``error`` is, or hides: a condition variable that is interrupted as it waits raises
    "release unlocked lock" instead. None for other errors."""
    if not isinstance(error, Exception):
        return error
    hidden = error.__context__ if isinstance(error, RuntimeError) else None
    return hidden if not isinstance(hidden, Exception) else None
