"""The FTP filesystem against a real server; see `fsspec.tests.servers.ftp`."""

from __future__ import annotations

import errno
import ftplib
import inspect
import os
import pickle
import socket
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest

import fsspec
from fsspec.implementations._remote import ftp_parsing
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.tests.remote import BIG, RemoteTests, check_bars, got, put
from fsspec.tests.servers.ftp import FTPServer
from fsspec.tests.servers.process import until
from fsspec.utils import tokenize

pytest.importorskip("pyftpdlib")  # the server's


def make(server, **more):
    return FTPFileSystem(**{**server.options, **more})


@pytest.fixture(params=["plain", "tls"])
def server(request):
    found = request.getfixturevalue("ftp_server" if request.param == "plain" else "ftps_server")
    put(found, "d/a.txt", b"hello world")
    put(found, "d/sub/b c.txt", b"x" * 100)
    return found


@pytest.fixture
def fs(server):
    fs = make(server)
    yield fs
    fs._server_link.close()


class TestFTP(RemoteTests):
    """Also with TLS."""

    def test_a_file_that_is_discarded_while_it_is_open_leaves_nothing(self, server, fs):
        for data in (b"1", b"0123456789" * 3):
            with fs.open("/d/new", "wb", block_size=10, autocommit=False) as f:
                f.write(data)
                f.discard()
            assert sorted(os.listdir(os.path.join(server.folder, "d"))) == ["a.txt", "sub"]


# paths and connecting ---------------------------------------------------------------
@pytest.mark.parametrize(
    "url, path, options",
    [
        ("ftp://h/a/b/", "/a/b", {"host": "h"}),
        ("ftp://u:p@h:21/a", "/a", {"host": "h", "port": 21, "username": "u", "password": "p"}),
        ("ftp://h", "/", {"host": "h"}),
        ("a/b", "/a/b", {}),
        ("", "/", {}),
    ],
)
def test_urls_give_paths_and_options(url, path, options):
    assert FTPFileSystem._strip_protocol(url) == path
    assert FTPFileSystem._strip_protocol([url, "/a"]) == [path, "/a"]
    assert FTPFileSystem._get_kwargs_from_urls(url) == options


def test_open_by_url(server):
    options = {k: server.options[k] for k in ("tls",) if k in server.options}
    url = "ftp://{username}:{password}@{host}:{port}/d/a.txt".format(**server.options)
    with fsspec.open(url, **options) as f:
        assert f.read() == b"hello world"


def test_a_refused_login_is_a_permission_error_without_the_password(server):
    with pytest.raises(PermissionError, match="login") as caught:
        make(server, password="another secret")
    assert "another secret" not in str(caught.value)


def test_where_nobody_listens_the_error_names_the_server(unused_port):
    with pytest.raises(ConnectionRefusedError, match=f"FTP server 127.0.0.1:{unused_port}: ") as caught:
        FTPFileSystem("127.0.0.1", port=unused_port)
    assert caught.value.errno == errno.ECONNREFUSED
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_unknown_host_is_named_in_the_error():
    with pytest.raises(socket.gaierror, match="FTP server no-such-host.invalid:21: "):
        FTPFileSystem("no-such-host.invalid")


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TimeoutError, match=f"FTP server 127.0.0.1:{port}: "):
            FTPFileSystem("127.0.0.1", port=port, timeout=0.2)


def test_a_kind_of_tls_that_is_not_known():
    with pytest.raises(ValueError, match="tlsv1_2"):
        FTPFileSystem("127.0.0.1", tls="xyz")


def test_a_certificate_is_verified_where_that_is_asked_for(ftps_server):
    import ssl

    put(ftps_server, "a", b"a")
    assert make(ftps_server, verify=ftps_server.ca_file).cat_file("/a") == b"a"
    with pytest.raises(ssl.SSLCertVerificationError):
        make(ftps_server, verify=True)


@pytest.mark.parametrize("tls", ["tls", "tlsv1_2"])
@pytest.mark.parametrize("lacking", [(), ("PBSZ", "PROT")], ids=["protects data", "knows no PROT"])
def test_implicit_tls_reads_and_writes(tls, lacking):
    with FTPServer(implicit=True) as server:
        put(server, "a", b"abc")
        server.fault(unknown=lacking)
        fs = make(server, tls=tls)
        assert (fs.ls("/", detail=False), fs.cat_file("/a")) == (["a"], b"abc")
        fs.pipe_file("/b", b"1")
        assert got(server, "b") == b"1"
        protected = sum(line.startswith("PROT") for c in server.connections for line in c.commands)
        assert protected == (0 if lacking else 1)
        fs._server_link.close()


def test_explicit_tls_insists_on_protected_data(ftps_server):
    ftps_server.fault(unknown=("PBSZ", "PROT"))
    with pytest.raises(OSError, match="PBSZ|500"):
        make(ftps_server)


def test_a_silent_server_is_a_timeout_and_then_asked_again(ftp_server):
    fs = make(ftp_server, timeout=0.3)
    ftp_server.fault(silent=("MLST",))
    with pytest.raises(TimeoutError):
        fs.info("/a")
    ftp_server.fault()
    put(ftp_server, "a", b"a")
    assert fs.info("/a")["size"] == 1  # by another connection: on the first the answer may still come


# listing --------------------------------------------------------------------------
@pytest.fixture(params=[(), ("MLSD", "MLST"), ("MLSD", "MLST", "SIZE")])
def lacking(request, server):
    server.fault(unknown=request.param)
    return request.param


def test_listings_are_names_or_entries(lacking, fs):
    assert fs.ls("/", detail=False) == ["d"]
    assert fs.ls("/d", detail=False) == ["a.txt", "sub"]
    assert fs.ls("/d/a.txt", detail=False) == ["a.txt"]
    assert {(e["name"], e["size"], e["type"]) for e in fs.ls("/d")} == {
        ("/d/a.txt", 11, "file"),
        ("/d/sub", 0, "directory"),
    }
    assert [e["name"] for e in fs.ls("/d/a.txt")] == ["/d/a.txt"]
    assert fs.find("/") == ["/d/a.txt", "/d/sub/b c.txt"]
    assert fs.glob("/d/*/b*") == ["/d/sub/b c.txt"]
    assert fs.info("/d/sub/b c.txt")["size"] == 100
    assert fs.info("/")["type"] == fs.info("/d")["type"] == "directory"
    assert (fs.isdir("/d"), fs.isfile("/d"), fs.exists("/nothing")) == (True, False, False)
    for missing in ("/nothing", "/nothing/deeper"):
        with pytest.raises(FileNotFoundError, match="/nothing"):
            fs.ls(missing)
        with pytest.raises(FileNotFoundError, match="/nothing"):
            fs.info(missing)


@pytest.mark.parametrize("listed_before", [True, False])
def test_when_a_file_was_changed(lacking, server, fs, listed_before):
    """Of a listing with facts or by MLST, else by MDTM."""
    os.utime(os.path.join(server.folder, "d/a.txt"), (1, 1_700_000_000))
    if listed_before:
        fs.ls("/d")
    assert fs.modified("/d/a.txt") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    assert fs.modified("/d/a.txt").utcoffset() == timedelta(0)
    with pytest.raises(NotImplementedError, match="made"):
        fs.created("/d/a.txt")
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.modified("/nothing")


def test_a_server_that_does_not_tell_when_a_file_was_changed(server, fs):
    facts = "type=file;size=11;modify=18991231235960;create=20200229010203.25; /d/a.txt"
    server.fault(replies={"MLST": f"250-it is\r\n {facts}\r\n250 end", "MDTM": "550 no"})
    assert fs.created("/d/a.txt") == datetime(2020, 2, 29, 1, 2, 3, 250_000, timezone.utc)
    with pytest.raises(PermissionError, match="550 no"):
        fs.modified("/d/a.txt")
    server.fault(unknown=("MLSD", "MLST", "MDTM"))
    with pytest.raises(NotImplementedError, match="changed"):
        fs.modified("/d/a.txt")


def test_a_part_of_what_a_url_names(server, fs):
    whole = fs.cat_file("/d/a.txt")
    assert fs.cat_file(fs.unstrip_protocol("/d/a.txt"), start=2) == whole[2:] != whole


def test_a_commit_of_what_is_not_held_back_does_nothing(server, fs):
    f = fs.open("/d/new", "wb")
    f.commit()
    f.write(b"1")
    f.close()
    f.commit()
    assert got(server, "d/new") == b"1"


def test_a_path_without_anything_is_asked_for_once_to_find_what_is_below(server, fs):
    assert fs.find("/no") == []
    assert server.commands.count("MLST /no") == 1
    assert fs.find("/d/a.txt") == ["/d/a.txt"]


def test_listings_are_remembered_until_something_changes(server, fs):
    fs.ls("/d")
    server_had = len(server.commands)
    assert fs.ls("/d/", detail=False) == ["a.txt", "sub"]
    assert fs.info("/d/a.txt")["size"] == 11
    assert len(server.commands) == server_had
    put(server, "d/new", b"1")
    assert fs.info("/d/new")["size"] == 1
    assert len(fs.ls("/d", refresh=True)) == 3
    fs.pipe_file("/d/newer", b"2")
    assert len(fs.ls("/d")) == 4


@pytest.mark.parametrize(
    "line, name, size, kind",
    [
        ("-rw-r--r--   1 root  root     1024 Nov 24 23:10 a b.txt", "a b.txt", 1024, "file"),
        ("drwxr-xr-x 2 1000 1000 4096 Jan  1  2020 dir", "dir", 0, "directory"),
        ("lrwxrwxrwx 1 o g 4 Jan 01 10:00 here -> there", "here", 4, "file"),
        ("-rw-r--r-- 1 owner 5 Jan 01 10:00 no group", "no group", 5, "file"),
        ("-rw-r--r--+ 1 o g 5 2024-05-06 10:00 leading", "leading", 5, "file"),
        ("-rw-r--r-- 1 o g 5 Jan 01 10:00  space", " space", 5, "file"),
        ("05-06-24  10:15AM       <DIR>          My Folder", "My Folder", 0, "directory"),
        ("05-06-2024  10:15PM            1,234 my file.txt", "my file.txt", 1234, "file"),
    ],
)
def test_lines_of_list(line, name, size, kind):
    found = ftp_parsing.listed(line)
    assert found is not None
    assert (found[0], found[1]["size"], found[1]["type"]) == (name, size, kind)


def test_lines_that_are_no_entries():
    assert ftp_parsing.listed("total 24") is None
    lines = ["type=cdir; /d", "type=pdir; ..", "type=file;size=3; ../x"]
    assert ftp_parsing.children(map(ftp_parsing.facts, lines), "/d") == [
        {"type": "file", "size": 3, "name": "/d/x"}
    ]


def test_names_in_other_encodings(ftp_server):
    put(ftp_server, "é ü.txt", b"1")
    assert make(ftp_server).ls("/", detail=False) == ["é ü.txt"]
    with pytest.raises(ValueError, match="newline"):
        make(ftp_server).cat_file("/a\r\nDELE é ü.txt")
    assert got(ftp_server, "é ü.txt") == b"1"


# refusals ---------------------------------------------------------------------------
REFUSED = {
    "mkdir of a folder": (FileExistsError, lambda fs: fs.mkdir("/d")),
    "mkdir of the root": (FileExistsError, lambda fs: fs.mkdir("/")),
    "mkdir without its parent": (FileNotFoundError, lambda fs: fs.mkdir("/x/y", create_parents=False)),
    "rmdir of a full folder": (OSError, lambda fs: fs.rmdir("/d")),
    "rm_file of a missing file": (FileNotFoundError, lambda fs: fs.rm_file("/nothing")),
    "cat_file of a missing file": (FileNotFoundError, lambda fs: fs.cat_file("/nothing")),
    "get_file of a missing file": (FileNotFoundError, lambda fs: fs.get_file("/nothing", os.devnull + "x")),
    "mv of a missing file": (FileNotFoundError, lambda fs: fs.mv("/nothing", "/d/new")),
    "pipe_file to a folder": (IsADirectoryError, lambda fs: fs.pipe_file("/d", b"1")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_an_error_of_the_system_and_of_ftplib(name, fs):
    kind, operation = REFUSED[name]
    with pytest.raises(ftplib.error_perm) as caught:
        operation(fs)
    error = caught.value
    assert isinstance(error, kind) and error.errno and error.filename
    assert str(error).startswith("550") and repr(error.filename) in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.errno) == (type(error), str(error), error.errno)


def test_a_login_that_is_refused_is_ftplib_s_error_as_well(server):
    with pytest.raises(ftplib.error_perm, match="^530"):
        make(server, password="wrong")


def test_a_refusal_for_now_is_ftplib_s_temporary_one(ftp_server):
    put(ftp_server, "a", b"1")
    fs = make(ftp_server)
    ftp_server.fault(replies={"RETR": "426 try later"})
    with pytest.raises(ftplib.error_temp, match="^426") as caught:
        fs.cat_file("/a")
    assert isinstance(caught.value, OSError)


def test_links_of_a_server_without_mlsd(ftp_server):
    put(ftp_server, "folder/target", b"abc")
    os.symlink("folder/target", os.path.join(ftp_server.folder, "link"))
    os.symlink("folder", os.path.join(ftp_server.folder, "link2"))
    ftp_server.fault(unknown=("MLSD", "MLST"))
    fs = make(ftp_server)
    assert {e["name"]: e["type"] for e in fs.ls("/") if "destination" in e} == {
        "/link": "file",
        "/link2": "file",
    }
    assert (fs.isfile("/link"), fs.size("/link"), fs.isdir("/link2")) == (True, 3, True)
    with fs.open("/link") as f:
        assert f.read() == b"abc"
    assert fs.cat_file("/link") == fs.cat_file("/link2/target") == b"abc"


def test_the_client_can_be_replaced(ftp_server):
    put(ftp_server, "a", b"1")
    fs = make(ftp_server)
    fs.ls("/")
    first, fs.ftp = fs.ftp, None
    first.close()
    assert fs.ls("/", detail=False) == ["a"]  # from memory
    assert fs.cat_file("/a") == b"1"  # connects again
    client = ftplib.FTP()
    client.connect(ftp_server.options["host"], ftp_server.options["port"])
    client.login(ftp_server.options["username"], ftp_server.options["password"])
    fs.ftp.close()
    fs.ftp = client
    assert fs.ftp is client
    assert fs.cat_file("/a") == b"1"
    client.close()


# derived classes that connect in their own way ---------------------------------------
class OwnClient(FTPFileSystem):
    kind = ftplib.FTP

    def _connect(self):
        self.ftp = self.kind(timeout=10)
        self.ftp.connect(self.host, self.port)  # the attribute is what was just set
        self.ftp.login(*self.cred)


class OwnTLS(OwnClient):
    kind = ftplib.FTP_TLS

    def _connect(self):
        super()._connect()
        self.ftp.prot_p()


@pytest.mark.parametrize("cls", [OwnClient, OwnTLS])
def test_a_derived_class_connects(request, cls):
    server = request.getfixturevalue("ftps_server" if cls is OwnTLS else "ftp_server")
    options = {name: value for name, value in server.options.items() if name != "tls"}
    put(server, "big", BIG)
    fs = cls(**options)
    client = fs.ftp
    assert type(client) is cls.kind
    assert fs.cat_file("/big") == BIG and fs.cat_file("/big", 5, 10) == BIG[5:10]
    with fs.open("/new", "wb", block_size=2**16) as f:
        f.write(BIG)
    assert got(server, "new") == BIG and fs.isfile("/new")
    assert fs.ftp is client and len(server.connections) == 1
    server.drop()
    assert fs.cat_file("/big", -5) == BIG[-5:]
    assert type(fs.ftp) is cls.kind and fs.ftp is not client and len(server.connections) == 2
    first = {connection.commands[0] for connection in server.connections}
    assert first == ({"AUTH TLS"} if cls is OwnTLS else {"USER user"})
    fs.ftp.close()


@pytest.mark.parametrize("passive", [True, False])
def test_a_client_makes_its_data_connections(ftp_server, passive):
    asked = []

    class Client(ftplib.FTP):
        def ntransfercmd(self, cmd, rest=None):
            asked.append((cmd, rest))
            return super().ntransfercmd(cmd, rest)

    class Own(OwnClient):
        kind = Client if passive else ftplib.FTP

        def _connect(self):
            super()._connect()
            self.ftp.set_pasv(passive)

    put(ftp_server, "big", BIG)
    fs = Own(**ftp_server.options)
    assert fs.cat_file("/big", 7, 100_000) == BIG[7:100_000]
    fs.pipe_file("/new", BIG)
    assert got(ftp_server, "new") == BIG and len(ftp_server.connections) == 1
    commands = [command.partition(" ")[0] for command in ftp_server.commands]
    if passive:
        assert asked == [("RETR /big", 7), ("STOR /new", None)]
    else:
        assert "PASV" not in commands and "EPSV" not in commands
    fs.ftp.close()


def test_a_derived_class_is_refused(ftp_server):
    class Own(OwnClient):
        def _connect(self):
            made.append(self)
            super()._connect()

    made = []
    with pytest.raises(PermissionError) as caught:
        Own(**{**ftp_server.options, "password": "wrong"})
    assert isinstance(caught.value, ftplib.error_perm) and len(made) == 1
    until(lambda: not ftp_server.connections[-1].open, "the client is closed")


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
        lambda: fs.get("/big", str(tmp_path / "y")),
        lambda: f.read(),
    ):
        with pytest.raises(OSError, match="FTP server"):
            read()
    assert os.listdir(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"before"
    server.fault()
    assert f.read() == BIG


def test_a_reply_that_is_cut_off_is_none(server, fs):
    fs.pipe_file("/a", b"0123456789")
    server.fault(cut={"SIZE": "213 1"})
    with pytest.raises((OSError, EOFError)):
        fs.cat_file("/a")
    server.fault()
    assert fs.cat_file("/a") == b"0123456789"


def test_a_listing_that_is_cut_off_is_none(server, fs):
    fs.pipe({"/a": b"1", "/b": b"2"})
    server.fault(short=40)
    for read in (fs.ls, fs.find):
        with pytest.raises(OSError, match="cut off"):
            read("/")
    server.fault()
    assert {"/a", "/b"} <= set(fs.find("/"))


def test_the_cache_type_is_honoured(server, fs):
    with fs.open("/d/a.txt", cache_type="all") as f:
        assert f.cache.name == "all" and f.read() == b"hello world"
    with pytest.raises(ValueError, match="block"):
        fs.open("/d/a.txt", cache_type="block")


def test_a_file_is_asked_for_once_to_be_removed_as_a_tree(server, fs):
    fs.rm("/d/a.txt", recursive=True)
    assert server.commands.count("MLST /d/a.txt") == 1
    assert fs.ls("/d", detail=False) == ["sub"] and not fs.exists("/d/a.txt")


def test_the_size_of_a_listed_file_is_not_asked_again(server, fs, tmp_path):
    put(server, "d/e/b.txt", b"0123456789")
    fs.find("/d")
    fs.get("/d", str(tmp_path / "d"), recursive=True)
    names = {command.split()[0] for command in server.commands}
    assert "RETR" in names and "SIZE" not in names
    assert (tmp_path / "d" / "e" / "b.txt").read_bytes() == b"0123456789"
    put(server, "d/e/b.txt", b"012")  # the listing says more
    fs.get_file("/d/e/b.txt", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"012"


def test_an_error_of_the_target_is_no_error_of_the_connection(server, fs):
    put(server, "big", BIG)

    class Full:
        def write(self, data):
            raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        fs.get_file("/big", None, outfile=Full())
    assert fs.cat_file("/d/a.txt") == b"hello world"
    assert sum(c.startswith("RETR /big") for c in server.commands) == 1


# writing --------------------------------------------------------------------------
def test_what_is_not_committed_lies_in_the_folder_for_that(server, fs):
    fs.mkdir("/tmp")
    assert fs.tempdir == "/tmp"
    with fs.transaction:
        for name in ("new", "newer"):
            with fs.open(f"/d/{name}", "wb") as f:
                f.write(b"1")
        assert len(os.listdir(os.path.join(server.folder, "tmp"))) == 2
        assert sorted(os.listdir(os.path.join(server.folder, "d"))) == ["a.txt", "sub"]
    assert os.listdir(os.path.join(server.folder, "tmp")) == []
    assert (got(server, "d/new"), got(server, "d/newer")) == (b"1", b"1")


def test_a_file_that_is_committed_later_waits_elsewhere(server, fs):
    fs.mkdir("/tmp")
    f = fs.open("/d/later", "wb", autocommit=False, tempdir="/tmp")
    f.write(b"1")
    f.close()
    assert len(fs.ls("/tmp")) == 1
    assert fs.find("/d") == ["/d/a.txt", "/d/sub/b c.txt"]
    f.commit()
    assert (fs.ls("/tmp"), got(server, "d/later")) == ([], b"1")


def test_an_upload_that_fails(server, fs):
    server.fault(refuse=200_000)
    with pytest.raises(OSError):
        fs.pipe_file("/big", BIG)
    with pytest.raises(OSError):
        with fs.open("/big2", "wb", block_size=2**20) as f:
            f.write(BIG)
    server.fault()
    assert sum(c == "STOR /big" for c in server.commands) == 1  # it was not tried again
    assert sum(c == "STOR /big2" for c in server.commands) == 2  # by the end of the block
    assert os.listdir(server.folder) == ["d"]


@pytest.mark.parametrize(
    "path, mode, before",
    [("/gone/x", "wb", b""), ("/d/new", "wb", b"12345678"), ("/d/a.txt", "ab", b"")],
)
def test_a_write_that_failed_is_an_error_of_the_end_as_well(server, fs, path, mode, before):
    """Of a program that goes on writing after an error the file is not taken for whole."""
    f = fs.open(path, mode, block_size=8)
    f.write(before)
    server.fault(refuse=0)
    with pytest.raises(OSError):
        f.write(b"12345678")
    with suppress(OSError, ValueError):
        f.write(b"abcdefgh")
    with pytest.raises(OSError):
        f.close()
    assert f.closed
    server.fault()
    f.close()
    assert not fs.exists("/gone/x") and not fs.exists("/d/new")


def test_a_source_that_fails(server, fs):
    def parts():
        yield BIG
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fs._send_parts("STOR", "/half", parts())
    assert not fs.exists("/half")
    assert fs.cat_file("/d/a.txt") == b"hello world"


# making, moving, removing -----------------------------------------------------------
def test_a_file_or_folder_is_renamed(server, fs):
    fs.ls("/d")
    fs.mv("/d/a.txt", "/d/z.txt")
    fs.mv("/d", "/e")
    assert fs.find("/") == ["/e/sub/b c.txt", "/e/z.txt"]
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.mv("/nothing", "/x")
    with pytest.raises(FileNotFoundError, match="/no/folder"):
        fs.mv("/e/z.txt", "/no/folder/z")
    with pytest.raises(NotImplementedError, match="copy"):
        fs.cp_file("/e/z.txt", "/y")


def test_what_the_server_forbids_is_a_permission_error(server, fs):
    server.permissions("elr")
    for refused in (
        lambda: fs.pipe_file("/d/x", b""),
        lambda: fs.rm_file("/d/a.txt"),
        lambda: fs.mkdir("/x"),
        lambda: fs.mv("/d/a.txt", "/y"),
    ):
        with pytest.raises(PermissionError, match="rivileges"):
            refused()


@pytest.mark.parametrize(
    "command, attempt, kind",
    [
        ("RETR", lambda fs: fs.cat_file("/d/a.txt"), PermissionError),
        ("MKD", lambda fs: fs.mkdir("/d/sub"), FileExistsError),
        ("MKD", lambda fs: fs.mkdir("/other"), PermissionError),
        ("DELE", lambda fs: fs.rm_file("/nothing"), FileNotFoundError),
        ("DELE", lambda fs: fs.rm_file("/d/sub"), IsADirectoryError),
        ("STOR", lambda fs: fs.pipe_file("/no/folder", b""), FileNotFoundError),
    ],
)
def test_refusals_that_do_not_say_why(server, fs, command, attempt, kind):
    server.fault(replies={command: "550 Operation failed."})
    with pytest.raises(kind):
        attempt(fs)


# connections ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "use",
    [
        lambda fs: fs.cat_file("/d/a.txt"),
        lambda fs: fs.ls("/d"),
        lambda fs: fs.pipe_file("/new", b"1"),
        lambda fs: fs.mkdir("/m"),
        lambda fs: fs.mv("/d/a.txt", "/b.txt"),
    ],
)
def test_a_connection_that_was_dropped(server, fs, use):
    server.drop()
    use(fs)
    assert len(server.connections) == 2


def test_a_reply_without_facts_is_no_entry_of_unknown_size(server, fs):
    server.fault(replies={"MLST": "250-Begin\r\n #?!\r\n250 End"})
    with pytest.raises(OSError, match="MLST"):
        fs.info("/d/a.txt")
    with pytest.raises(OSError, match="MLST"):
        fs.open("/d/a.txt")
    server.fault(replies={"MLST": "250-Begin\r\n type=file; /d/a.txt\r\n250 End"})
    assert fs.info("/d/a.txt")["size"] is None  # a server that does not tell it
    server.fault()
    assert fs.info("/d/a.txt")["size"] == 11


def test_the_server_takes_leave(server, fs):
    server.fault(replies={"MLST": "421 Timeout."})
    with pytest.raises(ConnectionError):
        fs.info("/d/a.txt")
    assert server.commands.count("MLST /d/a.txt") == 2  # a fresh connection, once
    server.fault()
    assert fs.info("/d/a.txt")["size"] == 11


def test_the_client_is_at_hand(server, fs):
    assert isinstance(fs.ftp, ftplib.FTP)
    assert fs.ftp.pwd() == "/"
    server.drop()
    assert fs.ftp.pwd() == "/"


def test_ends_with_its_instance(server):
    fs = make(server)
    del fs
    until(lambda: not server.connections[-1].open, "the connection is closed")
    assert tokenize(server.options)  # the server is alive


def test_a_download_of_what_is_missing_makes_no_folder(fs, tmp_path):
    for target in ("no/x", "no/"):
        with pytest.raises(FileNotFoundError, match="/nothing"):
            fs.get_file("/nothing", str(tmp_path / "x") + "/" + target)
    with pytest.raises(IsADirectoryError):
        fs.get_file("/d/a.txt", str(tmp_path / "no") + "/")
    assert os.listdir(tmp_path) == []


def test_tqdm_by_name_draws_the_bytes_of_one_file(fs, tmp_path, capsys):
    check_bars(fs, "/d/a.txt", "/d/b.txt", tmp_path, capsys)
    assert fs.cat_file("/d/b.txt") == b"hello world"


def test_below_a_file_there_is_nothing():
    error = ftp_parsing.error_of_reply("550 Not a directory.", "/file/in")
    assert isinstance(error, FileNotFoundError) and isinstance(error, NotADirectoryError)
    assert isinstance(error, ftplib.error_perm) and error.errno == 20


def test_the_connection_is_no_attribute_of_the_class():
    """As of other attributes of instances: what looks through a class, as `inspect.getmembers`, goes on."""
    assert not hasattr(FTPFileSystem, "_server_link") and "_strip_protocol" in dict(
        inspect.getmembers(FTPFileSystem)
    )
