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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse


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
            advice = "It is the parent's, which goes on with it; begin it anew in this process"
            refuse(self, f"the transfer from or to the {self.protocol} server {self.name}", advice)


class ClientLink(OwnedLink):
    """A link that stores client objects, which the filesystem's ``_connect`` sets by `put`."""

    def __init__(self, fs: Any, name: str) -> None:
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
            except BaseException:  # an interrupt, too, leaves no connection open
                self.close()
                raise
            finally:
                self._connecting = False
            return True

    def _connect(self) -> None:
        self.check_owner()
        fs = self._filesystem()
        if fs is None:
            raise ConnectionError(f"there is no filesystem any more to connect to {self.name}")
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
    """A link with open files, ``remotes``. Closing one is a request: if a finalizer does so during another
    request, it is postponed until before the next one."""

    lost: ClassVar[tuple[type[Exception], ...]]
    """What requests raise where the connection is lost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.remotes: set[Any] = set()
        self._done_with: list[Any] = []
        self._busy = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock for a request, after closing files whose closing was postponed."""
        with self.lock:
            outer = self._busy
            try:
                self._busy = True
                while self._done_with and not outer:
                    self._close(self._done_with.pop())
                yield
            finally:
                self._busy = outer

    def _close(self, remote: Any) -> None:
        if remote in self.remotes:
            with suppress(*self.lost):
                remote.close()
            self.forget(remote)

    def forget(self, remote: Any) -> None:
        """Forget a remote file that is closed, or was lost with its connection."""
        self.remotes.discard(remote)

    def _is_alive(self) -> bool:
        """Whether a request can be made now."""
        raise NotImplementedError

    def close_file(self, remote: Any) -> None:
        """Close a remote file, now or, during another request, before the next one."""
        hooks.check()
        if not is_mine(self) or remote not in self.remotes:
            return
        self._done_with.append(remote)
        if not self._busy and self._is_alive() and self.lock.acquire(blocking=False):
            try:
                with self.exclusive():
                    pass
            finally:
                self.lock.release()
