"""Pytest fixtures of the servers, for a ``conftest`` to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fsspec.tests.servers.ftp import FTPServer
    from fsspec.tests.servers.http import HTTPServer
    from fsspec.tests.servers.sftp import SFTPServer
    from fsspec.tests.servers.smb import SMBServer

__all__ = [
    "ftp_process",
    "ftp_server",
    "ftps_process",
    "ftps_server",
    "http_process",
    "http_server",
    "https_process",
    "https_server",
    "sftp_process",
    "sftp_server",
    "smb_process",
    "smb_server",
]


def _serve(tls: bool) -> Iterator[HTTPServer]:
    pytest.importorskip("aiohttp")
    if tls:
        pytest.importorskip("trustme")
    from fsspec.tests.servers.http import HTTPServer

    with HTTPServer(tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def http_process() -> Iterator[HTTPServer]:
    """An HTTP server in a process of its own, for all tests of a worker."""
    yield from _serve(tls=False)


@pytest.fixture(scope="session")
def https_process() -> Iterator[HTTPServer]:
    """An HTTPS server in a process of its own, for all tests of a worker."""
    yield from _serve(tls=True)


@pytest.fixture
def http_server(http_process: HTTPServer) -> HTTPServer:
    """An HTTP server, empty and with nothing on record."""
    http_process.clear(everything=True)
    return http_process


@pytest.fixture
def https_server(https_process: HTTPServer) -> HTTPServer:
    """An HTTPS server, empty and with nothing on record."""
    https_process.clear(everything=True)
    return https_process


def _serve_ftp(tls: bool) -> Iterator[FTPServer]:
    pytest.importorskip("pyftpdlib")
    if tls:
        pytest.importorskip("trustme")
        pytest.importorskip("OpenSSL")
    from fsspec.tests.servers.ftp import FTPServer

    with FTPServer(tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def ftp_process() -> Iterator[FTPServer]:
    """An FTP server in a process of its own, for all tests of a worker."""
    yield from _serve_ftp(tls=False)


@pytest.fixture(scope="session")
def ftps_process() -> Iterator[FTPServer]:
    """An FTP server that speaks TLS, in a process of its own, for all tests of a worker."""
    yield from _serve_ftp(tls=True)


@pytest.fixture
def ftp_server(ftp_process: FTPServer) -> FTPServer:
    """An FTP server, empty and with nothing on record."""
    ftp_process.clear()
    return ftp_process


@pytest.fixture
def ftps_server(ftps_process: FTPServer) -> FTPServer:
    """An FTP server that speaks TLS, empty and with nothing on record."""
    ftps_process.clear()
    return ftps_process


@pytest.fixture(scope="session")
def sftp_process() -> Iterator[SFTPServer]:
    """An SFTP server in a process of its own, for all tests of a worker."""
    pytest.importorskip("paramiko")
    from fsspec.tests.servers.sftp import SFTPServer

    with SFTPServer() as server:
        yield server


@pytest.fixture
def sftp_server(sftp_process: SFTPServer) -> SFTPServer:
    """An SFTP server, empty and with nothing on record."""
    sftp_process.clear()
    return sftp_process


@pytest.fixture(scope="session")
def smb_process() -> Iterator[SMBServer]:
    """An SMB server in a process of its own, for all tests of a worker."""
    pytest.importorskip("smbclient")
    pytest.importorskip("impacket")
    from fsspec.tests.servers.smb import SMBServer

    with SMBServer() as server:
        yield server


@pytest.fixture
def smb_server(smb_process: SMBServer) -> SMBServer:
    """An SMB server, empty and with nothing on record."""
    smb_process.clear()
    return smb_process
