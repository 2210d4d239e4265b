"""The connections of one instance of SMB, and the files of the server that are open on them.

An `SMBLink` is used by one thread at a time, for the length of a request. smbprotocol serves each
connection by a thread, which a forked child has not, nor has anybody as the interpreter ends:
whatever waits for an answer then waits for ever. Therefore a link holds every remote file
that is open, the child keeps the link for good and has one of its own, and at the interpreter's
end requests are refused. The sockets are watched, and dead in the child;
see `fsspec._fork.sockets`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import smbprotocol.exceptions

from fsspec._fork import hooks, sockets
from fsspec._fork.owned import is_mine
from fsspec.implementations._remote.link import OwnedLink

if TYPE_CHECKING:
    import smbclient


LOST = (OSError, ValueError, smbprotocol.exceptions.SMBException)


class SMBLink(OwnedLink):
    """What smbclient is to use instead of its own cache of connections.

    ``name``: of the server, for messages.
    ``connections``: by server and port: the cache that smbclient is given.
    ``raws``: the remote files that are open.
    """

    protocol = "SMB"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.connections: dict[str, Any] = {}
        self.raws: set[Any] = set()
        self._done_with: list[Any] = []
        self._user: int | None = None  # the thread that is in the middle of a request

    @contextmanager
    def turn(self) -> Iterator[None]:
        """For the length of a request. Raises ConnectionError: the interpreter is at its end."""
        if sys.is_finalizing():
            raise ConnectionError(f"the SMB server {self.name} cannot be asked while the interpreter ends")
        with self.lock:
            outer, self._user = self._user, threading.get_ident()
            try:
                if outer is None:
                    self._dismiss_queued()
                yield
            finally:
                self._user = outer

    def watch(self) -> None:
        """See that no child of this process keeps the sockets."""
        for connection in list(self.connections.values()):
            sock = getattr(connection.transport, "_sock", None)
            if sock is not None and sock.fileno() >= 0:
                sockets.watch(sock)

    def disconnect(self) -> None:
        """End the connections; what is lost already is only forgotten."""
        found = list(self.connections.values())
        self.connections.clear()
        for raw in list(self.raws):
            self.forget(raw)
        for connection in found:
            with suppress(*LOST):
                connection.disconnect(close=False)

    # remote files -----------------------------------------------------------------
    def forget(self, raw: smbclient.SambaIO) -> None:
        """Let go of a remote file that is closed, or was lost with its connection."""
        self.raws.discard(raw)
        if not raw.closed:
            raw.fd = SimpleNamespace(connected=False)  # it would warn of what nobody can close any more

    def close_file(self, raw: smbclient.SambaIO) -> None:
        """Close a remote file, now or where that is not possible before the next request."""
        if sys.is_finalizing():
            return
        hooks.check()
        if not is_mine(self) or raw not in self.raws:
            return
        self._done_with.append(raw)
        if self._user is not None or not self.lock.acquire(blocking=False):
            return  # the collector may ask in the middle of a request
        try:
            with self.turn():
                pass
        finally:
            self.lock.release()

    def _dismiss_queued(self) -> None:
        while self._done_with:
            raw = self._done_with.pop()
            if raw in self.raws:
                with suppress(*LOST):
                    raw.close()
                self.forget(raw)
