"""What the connections of FTP, SFTP and SMB have in common.

Each has ``run(operation, repeat=False)``: what an operation makes of the connection, which is made anew
where it was lost; with ``repeat`` an operation that was under way is tried once more, for it changes nothing.

What makes the connections is the method ``_connect`` of the filesystem, which derived classes override: it
sets the attributes for the clients, which lead to the link, and is called where there is no connection and
one is needed, in each process. A link must not hold its filesystem.
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
        """Raise `ForkError` in a forked child, which may still be in the parent's calls."""
        if not is_mine(self):
            advice = "It is the parent's, which goes on with it; begin it anew in this process"
            refuse(self, f"the transfer from or to the {self.protocol} server {self.name}", advice)


class ClientLink(OwnedLink):
    """A link with clients, which the filesystem's ``_connect`` sets through `put`."""

    def __init__(self, fs: Any, name: str) -> None:
        super().__init__(name)
        self._connecting = False
        self._filesystem = weakref.ref(fs)

    def _connected(self) -> bool:
        """Whether a request can be made, as far as is known."""
        raise NotImplementedError

    def _watch(self) -> None:
        """See that no child of this process keeps the sockets of the clients."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the connection."""
        raise NotImplementedError

    def refresh(self) -> bool:
        """See that there is a connection; whether it is a new one."""
        with self.lock:
            if self._connecting or self._connected():
                return False
            self.close()
            self._connecting = True  # what asks for the clients meanwhile, is given what is set by then
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
        """Go on with another client, or with a new one where that is None."""
        with self.lock:
            setattr(self, name, client)
            if client is not None and not self._connecting:
                self._watch()


class FilesLink(OwnedLink):
    """A link with open files, ``remotes``. Closing a file is a request; where a finalizer closes one in the
    middle of another request, that is done before the next."""

    lost: ClassVar[tuple[type[Exception], ...]]
    """What requests raise where the connection is lost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.remotes: set[Any] = set()
        self._done_with: list[Any] = []
        self._busy = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock for a request, before which the files are closed that finalizers have left."""
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
        """Let go of a remote file that is closed, or was lost with its connection."""
        self.remotes.discard(remote)

    def _is_alive(self) -> bool:
        """Whether a request can be made now."""
        raise NotImplementedError

    def close_file(self, remote: Any) -> None:
        """Close a remote file, now or where that is not possible before the next request."""
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
