"""Errors that are of the system and of a client's library at once.

Programs written for this package's filesystems catch ``FileNotFoundError`` and the like, those
written for one protocol what its library raises (``ftplib.error_perm``, ``SMBOSError``). An error
made here is both, and survives pickling. What a server's refusal means is in `ftp_parsing.refused` and
by the modules `smb`, `sftp` and `webhdfs`.
"""

from __future__ import annotations

from functools import cache
from typing import Any


class Refusal:
    """What all of them share: the text begins with the words of the library."""

    errno: int
    strerror: str
    filename: Any
    _kinds: tuple[Any, Any]

    def __init__(self, number: int, text: str, path: str | None) -> None:
        OSError.__init__(self, number, text, path)  # type: ignore[arg-type]  # the library's takes others

    def __str__(self) -> str:
        return self.strerror if self.filename is None else f"{self.strerror}: {self.filename!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return refusal, (*self._kinds, self.errno, self.strerror, self.filename), vars(self) or None


@cache
def _both(kind: Any, other: Any) -> type[OSError]:
    bases = (other,) if issubclass(other, kind) else (kind, other)
    return type(kind.__name__, (Refusal, *bases), {"__module__": kind.__module__, "_kinds": (kind, other)})


def refusal(
    kind: type[OSError], other: type[Exception], number: int, text: str, path: str | None = None
) -> OSError:
    """An error of two classes.

    ``kind``: ``OSError`` or a class derived from it.
    ``other``: the library's class.
    ``number``: the ``errno``.
    """
    kinds: tuple[Any, Any] = kind, other  # classes, which mypy holds for unhashable
    return _both(*kinds)(number, text, path)
