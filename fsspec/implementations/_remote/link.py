"""What the connections of FTP, SFTP and SMB have in common."""

from __future__ import annotations

import threading
from typing import ClassVar

from fsspec._fork.owned import is_mine, own, refuse


class OwnedLink:
    """A way to a server that is used by one thread at a time, in the process that made it.

    ``name``: of the server, for messages.
    """

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
