"""The SFTP filesystem against a real server; see `fsspec.tests.servers.sftp`."""

from __future__ import annotations

import datetime
import errno
import io
import json
import os
import pickle
import socket
import zipfile

import pytest

paramiko = pytest.importorskip("paramiko")

import fsspec
from fsspec.implementations.sftp import SFTPFileSystem
from fsspec.implementations.tests.remote import (
    BIG,
    RemoteTests,
    check_bars,
    check_updating,
    got,
    put,
)
from fsspec.tests.programs import run
from fsspec.tests.servers.process import until


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    """No known hosts but those of a test."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def make(server, **more):
    return SFTPFileSystem(**{**server.options, **more}, skip_instance_cache=True)


@pytest.fixture
def server(sftp_server):
    put(sftp_server, "d/a.txt", b"hello world")
    put(sftp_server, "d/sub/b c.txt", b"x" * 100)
    return sftp_server


@pytest.fixture
def fs(server):
    fs = make(server)
    yield fs
    fs._server_link.close()


class OwnClient(SFTPFileSystem):
    def _connect(self):
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(self.host_key_policy)
        self.client.connect(self.host, **self.ssh_kwargs)
        self.ftp = self.client.open_sftp()


class OwnTransport(SFTPFileSystem):
    """Without a `paramiko.SSHClient`."""

    def _connect(self):
        self.transport = paramiko.Transport((self.host, self.ssh_kwargs["port"]))
        self.transport.connect(username=self.ssh_kwargs["username"], password=self.ssh_kwargs["password"])
        self.ftp = paramiko.SFTPClient.from_transport(self.transport)


class Longer(SFTPFileSystem):
    def _connect(self):
        super()._connect()
        self.ftp.chdir("/d")


@pytest.mark.parametrize("cls", [OwnClient, OwnTransport, Longer])
def test_a_derived_class_connects(server, cls):
    calls = []

    class Own(cls):
        def _connect(self):
            calls.append(1)
            super()._connect()
            calls.append(self.ftp)

    put(server, "big", BIG)
    fs = Own(**{**server.options, "host_key_policy": paramiko.AutoAddPolicy()}, skip_instance_cache=True)
    assert fs.cat_file("/big") == BIG
    with fs.open("/d/new", "wb") as f:
        f.write(BIG)
    assert got(server, "d/new") == BIG
    assert calls == [1, fs.ftp]
    server.drop()
    assert fs.cat_file("/d/a.txt") == b"hello world"
    assert calls[2:] == [1, fs.ftp] and calls[1] is not fs.ftp
    (fs.transport if cls is OwnTransport else fs.client).close()


class TestSFTP(RemoteTests):
    def test_what_is_no_file_is_not_opened(self, fs):
        for path, kind in (("/d", IsADirectoryError), ("/nothing", FileNotFoundError)):
            with pytest.raises(kind, match=path):
                fs.open(path)

    def test_the_position_of_what_is_appended_to_is_its_end(self, fs):
        with fs.open("/d/a.txt", "ab") as f, fs.open("/d/new", "ab") as new:
            assert (f.tell(), new.tell()) == (11, 0)
            f.write(b"!!")
            assert f.tell() == 13
        assert fs.cat_file("/d/a.txt") == b"hello world!!"

    def test_open_files_are_those_of_other_filesystems(self, fs):
        with fs.open("/d/a.txt") as f:
            assert (f.size, f.mode, f.path, f.seek(-2, 2)) == (11, "rb", "/d/a.txt", 9)
        with fs.open("/d/new", "wb") as f:
            assert f.write(b"x") == 1 and f.seekable()
        with fs.ftp.open("/d/a.txt", "r+b") as f:
            f.seek(6)
            f.write(b"W")
        assert fs.cat_file("/d/a.txt", -5) == b"World"

    def test_what_is_written_can_be_sought(self, fs):
        with fs.open("/d/new", "wb", block_size=4) as f:
            assert (f.write(b"0000data"), f.seek(0), f.write(b"HEAD"), f.tell()) == (8, 0, 4, 4)
            assert (f.seek(0, 2), f.write(b"!"), f.seek(-1, 1)) == (8, 1, 8)
        assert fs.cat("/d/new") == b"HEADdata!"
        fs.rm("/d/new")
        with fs.open("/d/new", "xb") as f:
            f.write(b"abcdef")
            f.seek(3)
            assert f.truncate() == 3
            f.write(b"Z")
            f.seek(100)
            for wrong in ((-200, 1), (0, 7)):
                with pytest.raises(ValueError):
                    f.seek(*wrong)
        assert fs.cat("/d/new") == b"abcZ"
        with fs.transaction:
            with fs.open("/d/new", "w") as f:
                f.write("\u00e9")
                assert f.tell() == 2
                f.seek(0)
                f.write("2")
        assert fs.cat("/d/new") == b"2\xa9"
        with fs.open("/d/z.zip", "wb") as f, zipfile.ZipFile(f, "w") as z:
            z.writestr("a", b"a" * 1000)
        assert zipfile.ZipFile(io.BytesIO(fs.cat("/d/z.zip"))).testzip() is None
        with fs.open("/d/new", "ab") as f:
            assert not f.seekable()
            with pytest.raises(OSError):
                f.seek(0)


# paths and connecting ---------------------------------------------------------------
@pytest.mark.parametrize(
    "url, path, options",
    [
        ("sftp://h/a/b/", "/a/b", {"host": "h"}),
        ("ssh://u:p@h:22/a", "/a", {"host": "h", "port": 22, "username": "u", "password": "p"}),
        ("sftp://h/", "/", {"host": "h"}),
        ("a/b", "a/b", {}),
        ("", "", {}),
    ],
)
def test_urls_give_paths_and_options(url, path, options):
    assert SFTPFileSystem._strip_protocol(url) == path
    assert SFTPFileSystem._get_kwargs_from_urls(url) == options


@pytest.mark.parametrize("protocol", ["sftp", "ssh"])
def test_open_by_url(server, protocol):
    url = "{}://{username}:{password}@{host}:{port}/d/a.txt".format(protocol, **server.options)
    with fsspec.open(url, allow_agent=False, look_for_keys=False) as f:
        assert f.read() == b"hello world"
    SFTPFileSystem.clear_instance_cache()


def test_a_refused_login_names_the_server_and_no_password(server):
    with pytest.raises(paramiko.AuthenticationException) as caught:
        make(server, password="another secret")
    assert "another secret" not in str(caught.value)
    assert f"{server.options['host']}:{server.options['port']}" in str(caught.value)
    until(lambda: not server.connections[-1].open, "the connection is closed")


@pytest.mark.parametrize("kind", [paramiko.ssh_exception.NoValidConnectionsError, ConnectionRefusedError])
def test_where_nobody_listens_the_error_names_the_server(kind, unused_port):
    with pytest.raises(kind, match=f"127.0.0.1:{unused_port}: ") as caught:
        SFTPFileSystem("127.0.0.1", port=unused_port, password="secret", timeout=20)
    again = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, again):
        assert error.errno == errno.ECONNREFUSED and list(error.errors) == [("127.0.0.1", unused_port)]
        assert "secret" not in str(error)
    assert str(again) == str(caught.value)


def test_no_such_host():
    with pytest.raises(socket.gaierror, match="SFTP server no-such-host.invalid:22: "):
        SFTPFileSystem("no-such-host.invalid", timeout=20)


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(paramiko.SSHException, match=f"127.0.0.1:{port}: "):
            SFTPFileSystem("127.0.0.1", port=port, username="me", banner_timeout=0.2)


def test_unknown_host_keys_are_treated_as_the_policy_says(server, tmp_path):
    with pytest.raises(paramiko.SSHException, match="known_hosts"):
        make(server, host_key_policy="reject")
    with pytest.raises(ValueError, match="auto_add"):
        make(server, host_key_policy="xyz")
    with pytest.warns(UserWarning, match="Unknown"):
        assert make(server, host_key_policy="warning").exists("/d")
    assert make(server, host_key_policy=paramiko.AutoAddPolicy()).exists("/d")
    hosts = tmp_path / "home" / ".ssh" / "known_hosts"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(server.known_host)
    assert make(server, host_key_policy="reject").exists("/d")
    address = server.known_host.split()[0]
    other = paramiko.ECDSAKey.generate()
    hosts.write_text(f"{address} {other.get_name()} {other.get_base64()}\n")
    with pytest.raises(paramiko.BadHostKeyException):
        make(server)


# listing --------------------------------------------------------------------------
def test_listings_are_names_or_entries(server, fs):
    assert fs.ls("/") == ["/d"]
    assert fs.ls("") == ["d"]
    assert {(e["name"], e["type"]) for e in fs.ls("/d/", detail=True)} == {
        ("/d/a.txt", "file"),
        ("/d/sub", "directory"),
    }
    assert fs.ls("/d/a.txt") == ["/d/a.txt"]
    assert fs.find("/") == ["/d/a.txt", "/d/sub/b c.txt"]
    assert fs.glob("/d/*/b*") == ["/d/sub/b c.txt"]
    assert (fs.isdir("/d"), fs.isfile("/d"), fs.exists("/nothing")) == (True, False, False)
    for missing in ("/nothing", "/nothing/deeper"):
        for ask in (fs.ls, fs.info):
            with pytest.raises(FileNotFoundError, match="/nothing"):
                ask(missing)


def test_info_has_size_times_and_owner(server, fs):
    os.utime(os.path.join(server.folder, "d/a.txt"), (1, 2))
    info = fs.info("sftp://h/d/a.txt")
    assert {k: info[k] for k in ("name", "size", "type", "uid")} == {
        "name": "/d/a.txt",
        "size": 11,
        "type": "file",
        "uid": os.getuid(),
    }
    assert (
        info["mtime"]
        == fs.modified("/d/a.txt")
        == datetime.datetime(1970, 1, 1, 0, 0, 2, tzinfo=datetime.timezone.utc)
    )
    assert fs.created("/d/a.txt").second == 1


def test_links_are_listed_as_such_and_followed(server, fs):
    os.symlink("a.txt", os.path.join(server.folder, "d/link"))
    os.symlink("nowhere", os.path.join(server.folder, "d/broken"))
    assert {e["name"]: e["type"] for e in fs.ls("/d", detail=True)}["/d/link"] == "link"
    assert fs.info("/d/link")["type"] == "file"
    assert (fs.exists("/d/broken"), fs.lexists("/d/broken"), fs.lexists("/d/x")) == (False, True, False)


# reading --------------------------------------------------------------------------
@pytest.mark.parametrize("fault", ["short", "broken"])
def test_a_download_that_ends_early(server, fs, tmp_path, fault):
    put(server, "big", BIG)
    (tmp_path / "x").write_bytes(b"before")
    f = fs.open("/big")
    server.fault(**{fault: 300_000})
    for read in (
        lambda: fs.cat_file("/big"),
        lambda: fs.get_file("/big", str(tmp_path / "x")),
        lambda: f.read(),
    ):
        with pytest.raises(OSError, match="SFTP server"):
            read()
    assert [name for name in os.listdir(tmp_path) if name != "home"] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"before"
    server.fault()
    f.seek(0)
    assert f.read() == BIG
    f.close()


# writing --------------------------------------------------------------------------
def test_a_folder_for_what_is_to_appear_later(server):
    fs = make(server, temppath="/tmp")
    fs.mkdir("/tmp")
    with fs.open("/d/a.txt", "wb", autocommit=False) as f:
        f.write(b"1")
    assert len(fs.ls("/tmp")) == 1
    f.commit()
    assert (fs.ls("/tmp"), got(server, "d/a.txt")) == ([], b"1")


def test_a_file_that_is_discarded_while_it_is_open_leaves_nothing(server):
    fs = make(server, temppath="/tmp")
    fs.mkdir("/tmp")
    for mode in ("wb", "ab"):
        with fs.open("/d/new", mode, autocommit=False) as f:
            f.write(b"1" * 2000)
            f.discard()
        assert fs.ls("/tmp") == [] and not fs.exists("/d/new")


def test_a_path_without_anything_is_asked_for_once_to_find_what_is_below(server, fs):
    assert fs.find("/no") == []
    assert server.requests.count("stat /no") == 1
    put(server, "file", b"1")
    assert fs.find("/file") == ["/file"]


@pytest.mark.parametrize("fault", ["full", "refuse"])
def test_an_upload_that_fails(server, fs, fault):
    server.fault(**{fault: 200_000})
    with pytest.raises(OSError):
        fs.pipe_file("/big", BIG)
    with pytest.raises(OSError):
        with fs.open("/big2", "wb", block_size=2**17) as f:
            f.write(BIG)
    with pytest.raises(OSError, match="^(?!.*given up)"):  # the error of the write, not of the end
        with fs.open("/text", "w", block_size=2**17) as f:
            f.write("x" * len(BIG))
    with pytest.raises(OSError):  # its end writes once more
        with fs.open("/big3", "wb", block_size=2**17, compression="gzip") as f:
            f.write(BIG)
    server.fault()
    assert server.requests.count("open /big") == 1
    assert os.listdir(server.folder) == ["d"]


def test_a_connection_that_is_lost_between_two_blocks(server, fs):
    f = fs.open("/out", "wb", block_size=10)
    f.write(b"0123456789")
    server.drop()
    with pytest.raises(ConnectionError, match="/out"):
        f.write(b"0123456789")
    with pytest.raises(ValueError, match="given up after"):
        f.flush()
    with pytest.raises(OSError, match="given up after"):  # also of a program that went on
        f.close()
    assert f.closed
    assert not fs.exists("/out")


# making, moving, removing -----------------------------------------------------------
def test_server_without_fstat(server, fs, tmp_path):
    server.fault(no_fstat=True)
    put(server, "d/z.txt", b"0123456789" * 10_000)
    with fs.open("/d/z.txt", block_size=1000) as f:
        assert f.size == 100_000
        f.seek(-5, 2)
        assert f.read() == b"56789"
    assert fs.cat_file("/d/z.txt", -3) == b"789"
    fs.get_file("/d/z.txt", str(tmp_path / "z"))
    assert (tmp_path / "z").stat().st_size == 100_000
    with fs.open("/d/z.txt", "ab") as f:
        f.write(b"more")
    assert got(server, "d/z.txt") == b"0123456789" * 10_000 + b"more"
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.open("/nothing")


@pytest.mark.parametrize("extension", [True, False])
def test_a_file_or_folder_is_renamed_over_what_is_there(server, fs, extension):
    server.fault(no_posix_rename=not extension)
    put(server, "d/z.txt", b"before")
    fs.mv("/d/a.txt", "/d/z.txt")
    assert got(server, "d/z.txt") == b"hello world"
    fs.mv("/d", "/e")
    assert fs.find("/") == ["/e/sub/b c.txt", "/e/z.txt"]
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.mv("/nothing", "/x")
    with pytest.raises(FileNotFoundError, match="/no/folder"):
        fs.mv("/e/z.txt", "/no/folder/z")
    with pytest.raises(NotImplementedError, match="copy"):
        fs.cp_file("/e/z.txt", "/y")


def test_what_the_server_forbids_is_a_permission_error(server, fs):
    server.fault(denied=("open", "remove", "mkdir", "posix_rename", "list"))
    for refused in (
        lambda: fs.pipe_file("/d/x", b""),
        lambda: fs.cat_file("/d/a.txt"),
        lambda: fs.rm_file("/d/a.txt"),
        lambda: fs.mkdir("/x"),
        lambda: fs.mv("/d/a.txt", "/y"),
        lambda: fs.ls("/d"),
    ):
        with pytest.raises(PermissionError):
            refused()


# connections ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "use",
    [
        lambda fs: fs.cat_file("/d/a.txt"),
        lambda fs: fs.ls("/d"),
        lambda fs: fs.pipe_file("/new", b"1"),
        lambda fs: fs.mkdir("/m"),
        lambda fs: fs.mv("/d/a.txt", "/b.txt"),
        lambda fs: fs.ftp.listdir("/"),
        lambda fs: fs.client.open_sftp().listdir("/"),
    ],
)
def test_a_connection_that_was_dropped(server, fs, use):
    server.drop()
    until(lambda: not fs._server_link._is_alive(), "the client knows")
    use(fs)
    assert len(server.connections) == 2


def test_a_file_goes_on_by_another_connection(server, fs):
    put(server, "big", BIG)
    with fs.open("/big") as f:
        assert f.read(10) == BIG[:10]
        server.drop()
        f.seek(2_000_000)
        assert f.read(10) == BIG[2_000_000:2_000_010]


def test_ends_with_its_instance(server):
    fs = make(server)
    assert fs.exists("/d")
    del fs
    until(lambda: not server.connections[-1].open, "the connection is closed")


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_a_file_that_is_left_open_at_the_end(server, mode, tmp_path):
    """Nobody answers any more when it is collected: the program must not wait for it."""
    run(
        f"""
        import json, os
        from fsspec.implementations.sftp import SFTPFileSystem

        fs = SFTPFileSystem(**json.loads(os.environ["OPTIONS"]))
        f = fs.open("/d/a.txt" if {mode == "rb"} else "/out", {mode!r}, block_size=1000)
        f.read(5) if {mode == "rb"} else f.write(b"x" * 1500)
        if f.mode == "wb":  # Python 3.13 and newer say that it could not be closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        """,
        OPTIONS=json.dumps(server.options),
        HOME=str(tmp_path),
    )


def test_tqdm_by_name_draws_the_bytes_of_one_file(fs, tmp_path, capsys):
    check_bars(fs, "/d/a.txt", "/d/a.txt2", tmp_path, capsys)
    assert fs.cat_file("/d/a.txt2") == b"hello world"


def test_files_that_are_read_and_written(fs):
    check_updating(fs, "/updated")
    fs.pipe_file("/cut", b"0123456789")
    with fs.open("/cut", "r+b") as f:
        assert f.truncate(4) == 4 and f.read() == b"0123"
    assert fs.cat_file("/cut") == b"0123"
