"""One connection to an FTP server, and the transfers made by it.

An `FTPLink` is used by one thread at a time, for the length of an operation. Meanwhile it has no
client: the one in use is put back when all of the answer has arrived. So an operation within another
one (of a callback, a finalizer, a signal handler) is made on a connection of its own, and what was
interrupted, at whatever moment, is not found by the next.

A connection on which the server hung up while it was idle is replaced before the next operation; one
that fails in the middle is given up, and the operation tried once more on a fresh one if
that can do no harm: never when something was changed, or a transfer had begun.

Every socket is watched (`fsspec._fork.sockets`): in a forked child it is dead, so that whatever
becomes of a link there, the parent's connection does not know of it.
"""

from __future__ import annotations

import errno
import ftplib
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from fsspec._fork import sockets
from fsspec._fork.owned import is_mine
from fsspec.implementations._remote.ftp_parsing import refused
from fsspec.implementations._remote.link import ClientLink, Connecting
from fsspec.implementations._remote.refusals import name_server

if TYPE_CHECKING:
    from fsspec._paths.types import Options, T


CHUNK = 2**18  # bytes taken off a socket at a time
LOST = (OSError, EOFError, ftplib.error_proto, ftplib.error_reply)
REPLIES = (ftplib.error_perm, ftplib.error_temp)
_READING = ("RETR", "MLSD", "LIST")
_PLAIN = (ftplib.FTP.ntransfercmd, ftplib.FTP_TLS.ntransfercmd)  # other clients have a way of their own

SECURITY_PROTOCOL_MAP: dict[str, Any] = {
    "tls": ssl.PROTOCOL_TLS,
    "sslv23": ssl.PROTOCOL_TLS,
    "tlsv1": ssl.PROTOCOL_TLSv1,
    "tlsv1_1": ssl.PROTOCOL_TLSv1_1,
    "tlsv1_2": ssl.PROTOCOL_TLSv1_2,
}
_ONLY = {"tlsv1": "TLSv1", "tlsv1_1": "TLSv1_1", "tlsv1_2": "TLSv1_2"}


class TransferDone(Exception):
    """Raised by the receiver of a download to end it."""


class _Watched(ftplib.FTP):
    """A client whose control connection is watched before it connects."""

    host: str
    port: int
    timeout: float | None
    sock: socket.socket
    af: int
    file: TextIO

    def connect(
        self,
        host: str = "",
        port: int = 0,
        timeout: float = -999,
        source_address: tuple[str, int] | None = None,
    ) -> str:
        self.host, self.port = host or self.host, port or self.port
        if timeout != -999:
            self.timeout = timeout
        self.sock = sockets.connect((self.host, self.port), self.timeout)
        self.af = self.sock.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome: str = self.getresp()
        return self.welcome

    def getline(self) -> str:
        """A line of a reply. Raises if it has no line end, as it was cut: "213 1" may be part of "213
        1000"."""
        assert self.file is not None
        line = self.file.readline(self.maxline + 1)
        if len(line) > self.maxline:
            raise ftplib.Error(f"got more than {self.maxline} bytes")
        if not line.endswith("\n"):
            raise EOFError
        return line.rstrip("\r\n")


class _Explicit(_Watched, ftplib.FTP_TLS):
    """TLS from the command AUTH on."""


class ImplicitFTPTLS(_Watched, ftplib.FTP_TLS):
    """TLS from the first byte on, as servers on port 990 speak it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._tls_socket: ssl.SSLSocket | None = None
        super().__init__(*args, **kwargs)

    @property
    def sock(self) -> ssl.SSLSocket | None:
        """The control connection; a socket that is set is wrapped in TLS."""
        return self._tls_socket

    @sock.setter
    def sock(self, value: socket.socket | None) -> None:
        if value is not None and not isinstance(value, ssl.SSLSocket):
            value = self.context.wrap_socket(value, server_hostname=self.host)
        self._tls_socket = value


def context(tls: bool | str, verify: bool | str) -> ssl.SSLContext:
    """The TLS context for the options of `FTPFileSystem`."""
    made = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if tls in _ONLY:
        made.minimum_version = made.maximum_version = getattr(ssl.TLSVersion, _ONLY[tls])
    return made


def log_in(
    host: str,
    port: int,
    cred: tuple[str, str, str],
    timeout: float,
    encoding: str,
    tls: bool | str,
    verify: bool | str,
) -> ftplib.FTP:
    """A client that is connected and logged in; parameters as of `FTPFileSystem`."""
    options: Options = {"timeout": timeout, "encoding": encoding}
    client: ftplib.FTP
    if not tls:
        client = _Watched(**options)
    else:
        kind = ImplicitFTPTLS if isinstance(tls, str) else _Explicit
        client = kind(context=context(tls, verify), **options)
    try:
        try:
            client.connect(host, port)
        except OSError as error:
            name_server(error, f"the FTP server {host}:{port}")
            raise
        client.login(*cred)
        if tls:
            _protect(cast("ftplib.FTP_TLS", client), isinstance(tls, str))
    except BaseException:  # an interrupt, too, leaves no connection open
        client.close()
        raise
    return client


def _protect(client: ftplib.FTP_TLS, implicit: bool) -> None:
    """Protect data connections as well. A server with implicit TLS may know neither PBSZ nor PROT; its
    data connections are in the clear."""
    try:
        client.prot_p()
    except ftplib.error_perm as error:
        if not implicit or str(error)[:3] not in ("500", "502", "504", "534", "536"):
            raise


class FTPLink(ClientLink):
    """A connection to a server, replaced when it is lost.

    ``fs``: whose ``_connect`` sets ``ftp`` to a client that is logged in.
    ``name``: of the server, for messages.
    """

    protocol = "FTP"

    def __init__(self, fs: Connecting, name: str) -> None:
        super().__init__(fs, name)
        self.ftp: Any = None
        self.unknown: set[str] = set()  # commands that the server does not support
        self._typed: tuple[Any, str] = None, ""  # a client, and the type of transfers that it has set
        self.upload_begun = False  # whether the last upload has begun to change its target
        self._in_use = False

    def _connected(self) -> bool:
        ftp = self.ftp
        return ftp is not None and ftp.sock is not None and not sockets.has_unread(ftp.sock)

    def _watch(self) -> None:
        if self.ftp is not None and self.ftp.sock is not None:
            sockets.watch(self.ftp.sock)

    def _connect(self) -> None:
        """Raises PermissionError: the server does not take the name or password. Raises OSError: it cannot be
        reached, or does not want to."""
        try:
            super()._connect()
        except REPLIES as error:
            if isinstance(error, OSError):
                raise
            who = str(error)[:2] == "53"
            means = (PermissionError, errno.EACCES) if who else (OSError, errno.EIO)
            why = f"the FTP server {self.name} refuses the login"
            raise refused(*means, str(error), None, why) from None
        except EOFError as error:
            raise ConnectionResetError(f"the FTP server {self.name} hung up") from error

    def close(self) -> None:
        """Close the connection without sending QUIT."""
        ftp, self.ftp = self.ftp, None
        self._typed = None, ""
        if ftp is not None:
            _give_up(ftp)

    def run(self, operation: Callable[[Any], T], repeat: bool = False) -> T:
        """What ``operation`` makes of a client. Raises ftplib.error_perm, ftplib.error_temp: the server's
        refusal. Raises OSError: the connection was lost; ``ConnectionError`` if the server ended it."""
        with self.lock:
            outer, begun = self._in_use, self.upload_begun
            try:
                self._in_use = True
                fresh = self.refresh()
                try:
                    return self._run_once(operation)
                except LOST as error:
                    if fresh or not repeat or self.upload_begun or isinstance(error, (TimeoutError, _Local)):
                        raise
                self.refresh()
                return self._run_once(operation)
            except _Local as error:
                assert error.__cause__ is not None
                raise error.__cause__
            except EOFError as error:
                raise ConnectionResetError(f"the FTP server {self.name} ended the connection") from error
            except (ftplib.error_proto, ftplib.error_reply) as error:
                raise OSError(f"the FTP server {self.name} does not keep to the protocol: {error}") from error
            finally:
                self._in_use = outer
                if outer:
                    self.upload_begun = begun

    def _run_once(self, operation: Callable[[Any], T]) -> T:
        self.upload_begun = False
        ftp, self.ftp = self.ftp, None
        if ftp is None:  # of a finalizer or a signal handler, that is
            raise ConnectionError(f"the FTP server {self.name} is just being connected to")
        try:
            result = operation(ftp)
            self._put_back(ftp)
        except REPLIES as error:
            if str(error)[:3] == "421":  # it closes the connection
                _give_up(ftp)
                raise EOFError(str(error)) from error
            self._put_back(ftp)
            raise
        except BaseException as error:
            _give_up(ftp)  # the next reply would belong to the interrupted command
            if isinstance(error, LOST):
                self.check_owner()
            raise
        return result

    def _put_back(self, ftp: ftplib.FTP) -> None:
        if self.ftp is not None:
            self.close()  # the connection that an operation within this one has made
        self.ftp = ftp

    # what is done with it ---------------------------------------------------------
    def command(self, text: str, repeat: bool = False) -> str:
        return str(self.run(lambda ftp: ftp.sendcmd(text), repeat))

    def size(self, path: str) -> int | None:
        """The bytes of a file; None if the server does not say."""

        def ask(ftp: ftplib.FTP) -> int | None:
            self._set_type(ftp, "I")
            return ftp.size(path)

        if "SIZE" in self.unknown:
            return None
        try:
            return self.run(ask, repeat=True)
        except ftplib.error_perm as error:
            if str(error)[:3] not in ("500", "502"):
                raise
            self.unknown.add("SIZE")
            return None

    def _set_type(self, ftp: ftplib.FTP, letter: str) -> None:
        if self._typed != (ftp, letter):
            ftp.voidcmd(f"TYPE {letter}")
            self._typed = ftp, letter

    def _data(self, ftp: ftplib.FTP, command: str, rest: int = 0) -> socket.socket:
        if not ftp.passiveserver or type(ftp).ntransfercmd not in _PLAIN:
            self.upload_begun = not command.startswith(_READING)
            return sockets.watch(ftp.ntransfercmd(command, rest or None)[0])
        host, port = ftp.makepasv()
        timeout = ftp.timeout if isinstance(ftp.timeout, (int, float)) else socket.getdefaulttimeout()
        conn: Any = sockets.connect((host, port), timeout)
        try:
            if rest:
                ftp.sendcmd(f"REST {rest}")
            self.upload_begun = not command.startswith(_READING)
            reply = ftp.sendcmd(command)
            if reply[0] == "2":  # some servers send 2xx before 1xx
                reply = ftp.getresp()
            if reply[0] != "1":
                raise ftplib.error_reply(reply)
            if getattr(ftp, "_prot_p", False):
                # many servers insist that both connections belong to one session
                tls: Any = ftp
                conn = tls.context.wrap_socket(conn, server_hostname=ftp.host, session=tls.sock.session)
        except BaseException:  # an interrupt, too, leaves no connection open
            conn.close()
            raise
        return cast("socket.socket", conn)

    def download(self, command: str, take: Callable[[bytes], Any], start: int = 0, kind: str = "I") -> None:
        """Pass the data of a command to ``take`` in parts, until the end or until that raises
        `TransferDone`."""

        def transfer(ftp: ftplib.FTP) -> None:
            self._set_type(ftp, kind)
            conn = self._data(ftp, command, start)
            done = False
            with conn:
                while data := conn.recv(CHUNK):
                    self.upload_begun = True
                    try:
                        take(data)
                    except TransferDone:
                        done = True
                        break
                    except Exception as error:  # an error of ``take``, not of the connection
                        raise _Local from error
                if not done:
                    _end_tls(conn)
            try:
                ftp.voidresp()
            except (*LOST, *REPLIES):
                if not done:
                    raise
                if isinstance(ftp.lastresp, str) and ftp.lastresp[:1] not in ("4", "5"):
                    _give_up(ftp)

        self.run(transfer, repeat=True)

    def upload(self, command: str, parts: Iterable[Any], start: int = 0) -> None:
        def transfer(ftp: ftplib.FTP) -> None:
            self._set_type(ftp, "I")
            conn = self._data(ftp, command, start)
            whole = False
            try:
                for part in _source_parts(parts):
                    conn.sendall(part)
                _end_tls(conn)
                whole = is_mine(self)
            finally:
                if not whole and is_mine(self):
                    # an orderly close would make it a complete, shorter file
                    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                conn.close()
            ftp.voidresp()

        self.run(transfer, repeat=True)


def _give_up(ftp: ftplib.FTP) -> None:
    with suppress(OSError):
        ftp.close()


class _Local(OSError):
    """Wraps a local error during a transfer, so that the connection does not count as lost."""


def _source_parts(parts: Iterable[Any]) -> Iterable[Any]:
    try:
        yield from parts
    except Exception as error:  # the source's
        raise _Local from error


def _end_tls(conn: socket.socket) -> None:
    if isinstance(conn, ssl.SSLSocket):
        with suppress(OSError):  # the server's reply says whether all data arrived
            conn.unwrap()
