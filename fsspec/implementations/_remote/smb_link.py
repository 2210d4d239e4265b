"""The connections of one instance of SMB, and the files of the server that are open on them.

An `SMBLink` is used by one thread at a time, for the length of a request. smbprotocol serves each
connection by a thread, which a forked child has not, nor has anybody when the interpreter ends:
whatever waits for an answer then waits for ever. Therefore a link holds every remote file
that is open, the child keeps the link for good and has one of its own, and at the interpreter's
end requests are refused. The sockets are watched, and dead in the child;
see `fsspec._fork.sockets`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import smbprotocol.exceptions

from fsspec._fork import hooks, sockets
from fsspec.implementations._remote.link import FilesLink, interrupt_in

if TYPE_CHECKING:
    from smbclient._io import SMBRawIO

    from fsspec._paths.types import T

LOST = (OSError, ValueError, smbprotocol.exceptions.SMBException)


class SMBLink(FilesLink):
    """The connection cache that smbclient uses for one instance, in place of its global one.

    ``name``: of the server, for messages.
    ``connections``: by server and port: the cache that smbclient is given.
    """

    protocol = "SMB"
    lost = LOST

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.connections: dict[str, Any] = {}
        self._connections_within: dict[str, Any] = {}  # for requests within the one that is made
        self._unfinished = False  # also if an interrupt came in the middle of `_abandon`

    def exclusive(self, request: Callable[[], T]) -> T:
        """As of any link. Raises ConnectionError: the interpreter is ending.

        Requests within another one are made on connections of their own. After an interrupt all are given up,
        also one that was met in doing so.
        """
        if not self._is_alive():
            raise ConnectionError(f"the SMB server {self.name} cannot be asked while the interpreter ends")
        with self.lock:
            return super().exclusive(partial(self._exchange, request, self._user is not None))

    def _exchange(self, request: Callable[[], T], within: bool) -> T:
        used = self.connections
        if within:
            self.connections, self._connections_within = self._connections_within, {}
        elif self._unfinished:
            self._abandon()
        self._unfinished = True
        try:
            result = request()
            self._unfinished = within
        except BaseException as error:  # also an interrupt: see `_abandon`
            if isinstance(error, LOST) and not isinstance(error, TimeoutError):  # the latter is a handler's
                self._unfinished = within
                raise
            self._abandon()
            self._unfinished = within
            raise interrupt_in(error) or error
        finally:
            own, self.connections = self.connections, self._connections_within
            self._connections_within = {}
            if self.connections:
                self.disconnect()
            self.connections, self._connections_within = (used, own) if within else (own, {})
        return result

    def is_open(self, remote: SMBRawIO) -> bool:
        return self.remotes.get(remote) is self.connections

    def _is_alive(self) -> bool:
        return not sys.is_finalizing()

    def run(self, operation: Callable[[], T], connect: Callable[[], None], repeat: bool = False) -> T:
        """What ``operation`` gives, which calls smbclient with ``connections``, as ``connect`` does. Raises
        what smbclient does, but ``ConnectionError`` if the connection was lost."""
        hooks.check()
        return self.exclusive(partial(self._run_repeated, operation, connect, repeat))

    def _run_repeated(self, operation: Callable[[], T], connect: Callable[[], None], repeat: bool) -> T:
        while True:
            try:
                return operation()
            except (OSError, smbprotocol.exceptions.SMBResponseException):
                raise  # the server's answer
            except smbprotocol.exceptions.SMBException as error:
                self.disconnect()
                if not repeat:
                    raise ConnectionResetError(f"the SMB server {self.name}: {error}") from error
            finally:
                self.watch()  # smbclient may have connected again
            repeat = False
            connect()

    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return any(connection.transport.connected for connection in list(self.connections.values()))

    def watch(self) -> None:
        """Watch the sockets, so that children cover them."""
        for connection in list(self.connections.values()):
            sock = getattr(connection.transport, "_sock", None)
            if sock is not None and sock.fileno() >= 0:
                sockets.watch(sock)

    def disconnect(self) -> None:
        """Close the connections; lost ones are only forgotten."""
        for connection in self._take():
            with suppress(*LOST):
                connection.disconnect(close=False)

    def _abandon(self) -> None:
        """Give up the connections after an interrupt, since which their threads may wait for locks for good:
        nothing is called that takes one, or waits for a thread."""
        for connection in self._take():
            sock = getattr(connection.transport, "_sock", None)
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _take(self) -> list[Any]:
        used, self.connections = self.connections, {}
        for remote in [remote for remote, opened_on in list(self.remotes.items()) if opened_on is used]:
            self.forget(remote)
        return list(used.values())

    def forget(self, remote: Any) -> None:
        super().forget(remote)
        if not remote.closed:
            remote.fd = SimpleNamespace(connected=False)  # else its finalizer would warn
