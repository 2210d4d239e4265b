"""The fixtures that are for others as well."""

import ftplib
import socket
from contextlib import suppress

import fsspec


def test_instances_are_counted_by_protocol(instance_caches):
    """Those that are remembered, and only those."""
    assert instance_caches.gather_counts() == {}
    fsspec.filesystem("memory")
    fsspec.filesystem("memory")
    fsspec.filesystem("file")
    fsspec.filesystem("file", auto_mkdir=True)
    fsspec.filesystem("memory", skip_instance_cache=True)
    assert instance_caches.gather_counts() == {"memory": 1, "file": 2}
    assert instance_caches.gather_counts(omit_zero=False)["abstract"] == 0
    instance_caches.clear()
    assert instance_caches.gather_counts() == {}


def test_memory_begins_empty(m):
    """Whatever another test left there."""
    assert m.find("") == []
    m.pipe_file("/a/b", b"left")


test_memory_begins_empty_again = test_memory_begins_empty


def test_ftp_server_takes_and_gives(ftp_writable, tmpdir):
    """By a client of the standard library."""
    host, port, user, password = ftp_writable
    (tmpdir / "there").write("content")
    with ftplib.FTP() as client:
        client.connect(host, port, timeout=10)
        client.login(user, password)
        assert sorted(client.nlst()) == ["out", "there"]
        with open(tmpdir / "there", "rb") as f:
            client.storbinary("STOR copy", f)
    assert (tmpdir / "copy").read() == "content"
    options = {"host": host, "port": port, "username": user, "password": password}
    with fsspec.open("ftp:///out", **options) as f:
        assert f.read() == b"hello" * 10_000


def test_ftp_server_where_its_port_is_taken(request):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else has it, which is as good
            other.bind(("127.0.0.1", 2121))
            other.listen()
        host, port, user, password = request.getfixturevalue("ftp_writable")
        with ftplib.FTP() as client:
            client.connect(host, port, timeout=10)
            client.login(user, password)
            assert client.nlst() == ["out"] and port != 2121
