"""One SSH connection and the SFTP session on it.

An `SFTPLink` is used by one thread at a time, for the length of an operation. Meanwhile it has no
session, as in `_remote.ftp_link`. Where the server
hung up, the next operation begins with a new connection; one that was under way is tried
once more on it if it changes nothing.

paramiko serves a connection by a thread, which a forked child does not have: calling or
finalizing an object of paramiko there would wait for that thread. Therefore a link refers to
every open remote file, the child never collects the link, and each operation first checks the
owner of the link. The socket is watched, and covered in the child; see `fsspec._fork.sockets`.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

import paramiko
from paramiko.sftp import CMD_DATA, CMD_READ, int64
from paramiko.ssh_exception import NoValidConnectionsError

from fsspec._fork import sockets
from fsspec.implementations._remote.link import ClientLink, Connecting, FilesLink, interrupt_in
from fsspec.implementations._remote.refusals import name_server, refusal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Options, T


PACKET = 2**15  # what servers give and take at a time
UNDER_WAY = 64  # requests for pieces of a file
_HANDSHAKE_LIMIT = 60.0
"""Seconds for the exchange of keys, if no timeout was asked for; paramiko limits the login, to 30."""

LOST = (OSError, EOFError, paramiko.SSHException, paramiko.SFTPError)


def log_in(host: str, options: Options, policy: paramiko.MissingHostKeyPolicy) -> paramiko.SSHClient:
    """A client that is connected and logged in. Raises NoValidConnectionsError of paramiko, which is
    the system's error as well: nothing listens there."""
    address = host, options.get("port") or 22
    server = f"the SFTP server {address[0]}:{address[1]}"
    client = paramiko.SSHClient()
    client.load_system_host_keys()
    client.set_missing_host_key_policy(policy)
    options, timeout = dict(options), options.get("timeout")
    if timeout is None:
        options["timeout"] = _HANDSHAKE_LIMIT  # else paramiko waits for good, if the server stops midway
    sock = options.get("sock")
    if sock is None:
        try:
            sock = options["sock"] = sockets.connect(address, timeout)
        except OSError as error:
            name_server(error, server)
            if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH):
                raise
            both: Any = refusal(type(error), NoValidConnectionsError, error.errno, str(error.strerror))
            both.errors = {address: error}
            raise both from error
    elif isinstance(sock, socket.socket):
        sockets.watch(sock)
    try:
        client.connect(host, **options)
    except BaseException as error:  # an interrupt, too, leaves no connection open
        interrupt = interrupt_in(error)
        if interrupt is not None:
            cut(client.get_transport())
        else:
            client.close()
        if hasattr(sock, "close"):
            sock.close()
        if interrupt is not None:
            raise interrupt
        if isinstance(error, (OSError, EOFError, paramiko.SSHException)):
            name_server(error, server)
        raise
    return client


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise EOFError


def _do_nothing() -> None:
    pass


def cut(transport: Any) -> None:
    """End a connection of paramiko, if there is one, without a call that takes a lock."""
    if transport is not None:
        transport.active = False
        transport.packetizer.close()


class SFTPLink(ClientLink, FilesLink):
    """A connection to a server, replaced when it is lost.

    ``fs``: whose ``_connect`` sets ``client``, which is logged in, and ``sftp``, the session of it.
    ``timeout``: seconds that the server may take for an answer; None for any time.
    ``name``: of the server, for messages.
    """

    protocol = "SFTP"
    lost = LOST

    def __init__(self, fs: Connecting, timeout: float | None, name: str) -> None:
        super().__init__(fs, name)
        self._timeout = timeout
        self.client: Any = None
        self.sftp: Any = None

    def _is_alive(self) -> bool:
        transport = self.sftp.get_channel().get_transport() if self.sftp is not None else None
        return transport is not None and transport.is_active()

    _connected = _is_alive

    def is_open(self, remote: object) -> bool:
        return self.remotes.get(remote) is self.sftp and self._is_alive()

    def _watch(self) -> None:
        sock = self.sftp.get_channel() if self.sftp is not None else None
        while isinstance(sock, paramiko.Channel):  # also through jump hosts
            sock = sock.get_transport().sock
        if isinstance(sock, socket.socket) and sock.fileno() >= 0:
            sockets.watch(sock)

    def _connect(self) -> None:
        if sys.is_finalizing():  # connecting would wait for paramiko's thread, which no longer runs
            raise ConnectionError(f"the SFTP server {self.name} cannot be asked while the interpreter ends")
        super()._connect()
        if self._timeout is not None:
            self.sftp.get_channel().settimeout(self._timeout)

    def close(self) -> None:
        client, self.client = self.client, None
        sftp, self.sftp = self.sftp, None
        if client is not None:
            client.close()
        elif sftp is not None:
            sftp.close()
        self._forget_remotes(sftp)  # after closing: else each would send its own close

    def _forget_remotes(self, sftp: object) -> None:
        for remote in [remote for remote, session in list(self.remotes.items()) if session is sftp]:
            self.forget(remote)

    def _abandon(self) -> None:
        client, self.client = self.client, None
        sftp, self.sftp = self.sftp, None
        self._cut_off(client, sftp)

    def _cut_off(self, client: Any, sftp: Any) -> None:
        """Give up a connection after an interrupt, since which paramiko may hold locks of its own for good.

        Nothing is called that takes one, here or when its objects are collected: the socket is closed, at
        which paramiko's thread ends.
        """
        transport = None
        if sftp is not None:
            sftp._async_request = _refuse  # what a remote file sends when it is collected
            sftp.close = _do_nothing
            channel = sftp.get_channel()
            channel.close = _do_nothing
            transport = channel.get_transport()
        elif client is not None:
            transport = client.get_transport()
        cut(transport)
        self._forget_remotes(sftp)

    def run(self, operation: Callable[[Any], T], repeat: bool = False) -> T:
        """What ``operation`` makes of the SFTP session. Raises OSError: the server's refusal, or
        ``ConnectionError`` if the connection was lost."""
        self.check_owner()
        return self.exclusive(partial(self._run_connected, operation, repeat))

    def _run_connected(self, operation: Callable[[Any], T], repeat: bool) -> T:
        fresh = self.refresh()
        while True:
            sftp = self.sftp
            try:
                return self._exchange(operation)
            except LOST as error:
                if self.sftp is sftp and self._is_alive():
                    raise
                if fresh or not repeat or isinstance(error, TimeoutError):
                    raise self._lost(error) from error
            self.refresh()
            fresh = True

    def _exchange(self, operation: Callable[[Any], T]) -> T:
        """Perform an operation on the session, which nobody finds meanwhile: it is put back when the answer
        is there, or was refused. So none is used again that was interrupted, at whatever moment."""
        client, sftp = self.client, self.sftp
        if sftp is None:  # of a finalizer or a signal handler, that is
            raise ConnectionError(f"the SFTP server {self.name} is just being connected to")
        try:
            self.client = self.sftp = None
            result = operation(sftp)
            self._put_back(client, sftp)
        except BaseException as error:  # also of a signal handler, in the middle of a packet
            refused = isinstance(error, OSError) and not isinstance(error, TimeoutError)
            if refused and sftp.get_channel().get_transport().is_active():
                self._put_back(client, sftp)
                raise
            # the answer may still come, to another question; and the end of a connection is seen here
            # before paramiko's own thread knows of it
            self._cut_off(client, sftp)
            raise interrupt_in(error) or error
        return result

    def _put_back(self, client: object, sftp: object) -> None:
        if self.sftp is not None:
            self.close()  # the connection that an operation within this one has made
        self.client, self.sftp = client, sftp

    def _close(self, remote: Any) -> None:
        with suppress(*LOST):
            if self.is_open(remote):
                self.exclusive(lambda: self._exchange(lambda sftp: remote.close()))
        self.forget(remote)

    def _lost(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            return TimeoutError(f"the SFTP server {self.name} did not answer in {self._timeout} s")
        return ConnectionResetError(f"the connection to the SFTP server {self.name} was lost: {error}")

    def open(self, sftp: paramiko.SFTPClient, path: str, mode: str) -> paramiko.SFTPFile:
        """A remote file; within an operation."""
        remote = sftp.open(path, mode)
        self.remotes[remote] = sftp
        if mode == "ab" and size_by_handle(remote) is None:
            remote.seek(sftp.stat(path).st_size or 0)  # else paramiko begins at 0
        return remote


class _Pieces:
    """Responses to concurrent read requests of a file, in any order.

    paramiko's ``readv`` sends requests from a thread of its own, which prints a traceback if
    the connection is lost, and does not exist in a forked child.
    """

    def __init__(self, sftp: paramiko.SFTPClient, handle: object) -> None:
        self.sftp: Any = sftp  # private methods of it are used
        self.handle = handle
        self.expected: dict[int, int] = {}  # by request number: the offset of its piece
        self.found: dict[int, bytes] = {}
        self.failed: Exception | None = None

    def ask(self, start: int, length: int) -> None:
        number = self.sftp._async_request(self, CMD_READ, self.handle, int64(start), length)
        self.expected[number] = start

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        start = self.expected.pop(number)
        if kind == CMD_DATA:
            self.found[start] = message.get_string()
            return
        try:
            self.sftp._convert_status(message)
        except EOFError:
            self.found[start] = b""
        except OSError as error:
            self.failed = self.failed or error


def receive(sftp: paramiko.SFTPClient, remote: paramiko.SFTPFile, start: int, length: int) -> bytes:
    """Bytes of a remote file, fewer only at its end; within an operation."""
    pieces = _Pieces(sftp, remote.handle)
    begins = range(start, start + length, PACKET)
    for begin in begins:
        if len(pieces.expected) >= UNDER_WAY:
            pieces.sftp._read_response()
        pieces.ask(begin, min(PACKET, start + length - begin))
    while pieces.expected:
        pieces.sftp._read_response()
    if pieces.failed is not None:
        raise pieces.failed
    out = bytearray()
    for begin in begins:
        while len(out) < begin - start:  # servers may give less than they are asked for
            remote.seek(start + len(out))
            lacking = remote.read(begin - start - len(out))
            if not lacking:
                return bytes(out)
            out += lacking
        out += pieces.found[begin]
    if 0 < start + length - begins[-1] - len(pieces.found[begins[-1]]):
        remote.seek(start + len(out))
        out += remote.read(length - len(out))
    return bytes(out)


def size_by_handle(remote: paramiko.SFTPFile) -> int | None:
    """The size of an open file; None if the server has none for its handle (no fstat)."""
    try:
        return cast("int | None", remote.stat().st_size)
    except OSError as error:
        if error.errno is not None or isinstance(error, (ConnectionError, TimeoutError)):
            raise
        return None  # "operation unsupported" and "failure" come without a number


def send(remote: paramiko.SFTPFile, data: ReadableBuffer) -> None:
    """Write with pipelined requests, and wait for all responses; within an operation."""
    view = memoryview(data)
    last = max(0, len(view) - PACKET)
    if last:
        remote.set_pipelined(True)
        remote.write(bytes(view[:last]))
    remote.set_pipelined(False)  # what is written now waits for the answers to all before
    remote.write(bytes(view[last:]))
