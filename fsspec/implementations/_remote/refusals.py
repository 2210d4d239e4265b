"""Errors that are both a built-in of Python and one of a client's library.

Programs written for this package's filesystems catch ``FileNotFoundError`` and the like, those
written for one protocol what its library raises (``ftplib.error_perm``, ``SMBOSError``). An error
made here is both, and survives pickling. What a server's refusal means is in `ftp_parsing.refused` and
by the modules `smb`, `sftp` and `webhdfs`.
"""

from __future__ import annotations

import socket
import ssl
from functools import cache
from typing import Any


class Refusal:
    """What all of them share: the text begins with the words of the library."""

    errno: int
    strerror: str
    filename: Any
    _kinds: tuple[Any, Any]

    def __init__(self, number: int | None, text: str, path: str | None) -> None:
        OSError.__init__(self, number, text, path)  # type: ignore[arg-type]  # the library's takes others

    def __str__(self) -> str:
        return self.strerror if self.filename is None else f"{self.strerror}: {self.filename!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return refusal, (*self._kinds, self.errno, self.strerror, self.filename), vars(self) or None


@cache
def _error_class(kind: Any, other: Any) -> type[OSError]:
    bases = (other,) if issubclass(other, kind) else (kind, other)
    return type(kind.__name__, (Refusal, *bases), {"__module__": kind.__module__, "_kinds": (kind, other)})


def refusal(
    kind: type[OSError], other: type[Exception], number: int | None, text: str, path: str | None = None
) -> OSError:
    """An error of two classes.

    ``kind``: ``OSError`` or a class derived from it.
    ``other``: the library's class.
    ``number``: the ``errno``, None if there is none.
    """
    kinds: tuple[Any, Any] = kind, other  # classes, which mypy holds for unhashable
    return _error_class(*kinds)(number, text, path)


def name_server(error: Exception, server: str) -> None:
    """Add to an error's text which server could not be reached; its class and number are kept."""
    if isinstance(error, OSError) and error.errno is not None:
        error.strerror = f"cannot connect to {server}: {error.strerror}"
        error.args = error.errno, error.strerror
    elif len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"cannot connect to {server}: {error.args[0]}",)


def system_error(error: BaseException) -> OSError | None:
    """The system's error that a library's was made of, such as "Connection refused"."""
    found: BaseException | None = error
    while found is not None and not (isinstance(found, OSError) and found.errno is not None):
        found = found.__cause__ or found.__context__
    return found


def lost_server(error: Exception, text: str, other: type[Exception]) -> OSError:
    """The ``ConnectionError`` of a server that cannot be reached, which is also an instance of a library's
    class.

    ``error``: the library's, whose system's error gives the number and the class.
    """
    cause = system_error(error)
    number = None if cause is None or isinstance(cause, (socket.gaierror, ssl.SSLError)) else cause.errno
    kind = ConnectionError if number is None else type(OSError(number, ""))
    return refusal(kind if issubclass(kind, ConnectionError) else ConnectionError, other, number, text)
