"""SMB shares, over impacket's server; see `fsspec.tests.servers.smb`.

That server does not copy by itself, as Windows and Samba do: copying is not tried here.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle

import pytest

pytest.importorskip("smbclient")
pytest.importorskip("impacket")  # the server's

from smbprotocol.exceptions import SMBOSError

from fsspec.implementations.smb import SMBFileSystem
from fsspec.implementations.tests.remote import check_races, check_updating
from fsspec.tests.programs import run

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**18))


@pytest.fixture
def server(smb_server):
    os.makedirs(os.path.join(smb_server.folder, "d/sub"))
    for name, data in (("d/a b.txt", b"hello world"), ("big", BIG)):
        with open(os.path.join(smb_server.folder, name), "wb") as f:
            f.write(data)
    return smb_server


@pytest.fixture
def fs(server):
    return SMBFileSystem(**server.options, skip_instance_cache=True)


def got(server, path):
    with open(os.path.join(server.folder, path), "rb") as f:
        return f.read()


def test_the_position_of_what_is_appended_to_is_its_end(server, fs):
    with fs.open("/share/d/a b.txt", "ab") as f, fs.open("/share/d/new", "ab") as new:
        assert (f.tell(), new.tell()) == (11, 0)
        f.write(b"!!")
        assert f.tell() == 13
    assert got(server, "d/a b.txt") == b"hello world!!"


def test_what_is_written_can_be_sought(server, fs):
    with fs.open("/share/d/new", "wb", block_size=4) as f:
        assert (f.write(b"0000data"), f.seek(0), f.write(b"HEAD"), f.tell()) == (8, 0, 4, 4)
        assert (f.seek(0, 2), f.write(b"!"), f.seek(-1, 1)) == (8, 1, 8)
    assert got(server, "d/new") == b"HEADdata!"
    with fs.open("/share/d/text", "w") as f:
        f.write("é")
        assert f.tell() == 2
    with fs.open("/share/d/new", "ab") as f:
        assert not f.seekable()


def test_a_file_left_open_in_a_transaction_is_committed_whole(server, fs):
    with fs.transaction:
        f = fs.open("/share/d/new", "wb")
        f.write(b"left open")
    f.close()
    assert got(server, "d/new") == b"left open"


def test_a_folder_is_no_empty_file(fs, tmp_path):
    for read in (fs.open, fs.cat_file, fs.cat, fs.read_text, fs.head):
        with pytest.raises(IsADirectoryError, match="share.*d") as caught:
            read("/share/d")
        assert isinstance(caught.value, SMBOSError), "which programs catch"


def test_folders_that_another_makes_meanwhile(server, fs, tmp_path):
    check_races(server, fs, tmp_path, "/share")


def test_a_folder_that_exists_is_not_made(fs):
    with pytest.raises(FileExistsError, match="share.*d") as caught:
        fs.makedirs("/share/d")
    assert isinstance(caught.value, SMBOSError), "which programs catch"


def test_a_url_gives_a_path_and_options():
    url = "smb://me:pw@h:1/share/a/"
    assert SMBFileSystem._strip_protocol(url) == "/share/a"
    assert SMBFileSystem._get_kwargs_from_urls(url) == {
        "host": "h",
        "port": 1,
        "username": "me",
        "password": "pw",
    }


def test_a_refused_login_is_a_permission_error_without_the_password(server):
    with pytest.raises(PermissionError, match="login") as caught:
        SMBFileSystem(**{**server.options, "password": "another secret"})
    assert "another secret" not in str(caught.value)


@pytest.mark.parametrize("kind", [ConnectionRefusedError, ValueError])
def test_where_nobody_listens_the_error_names_the_server(kind, unused_port):
    with pytest.raises(kind, match=f"127.0.0.1:{unused_port}") as caught:
        SMBFileSystem("127.0.0.1", port=unused_port, password="secret", register_session_retries=0)
    assert "secret" not in str(caught.value)


def test_listings_are_names_or_entries(fs):
    assert fs.ls("/SHARE/d", detail=False) == ["/SHARE/d/a b.txt", "/SHARE/d/sub"]
    assert fs.ls("/SHARE/d/a b.txt", detail=False) == ["/SHARE/d/a b.txt"]
    info = fs.info("/SHARE/d/a b.txt")
    assert (info["name"], info["size"], info["type"]) == ("/SHARE/d/a b.txt", 11, "file")
    assert fs.find("/SHARE") == ["/SHARE/big", "/SHARE/d/a b.txt"]
    assert fs.isdir("/SHARE/d") and fs.isdir("/SHARE") and not fs.exists("/SHARE/nothing")
    for ask in (fs.ls, fs.info, fs.cat_file, fs.open):
        with pytest.raises(FileNotFoundError, match="nothing"):
            ask("/SHARE/nothing")
    with pytest.raises(ValueError, match="share"):
        fs.ls("/")


def test_parts_of_a_file_are_read_from_anywhere(fs, tmp_path):
    assert fs.cat_file("/SHARE/d/a b.txt", -5) == b"world"
    with fs.open("/SHARE/big", block_size=2**14) as f:
        f.seek(500_000)
        assert f.read(100) == BIG[500_000:500_100]
        with pickle.loads(pickle.dumps(f)) as g:
            assert g.read(10) == BIG[500_100:500_110]
        f.seek(0)
        assert f.read() == BIG
    fs.get_file("/SHARE/big", str(tmp_path / "big"))
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_compression_is_not_gone_past(fs, tmp_path):
    fs.pipe_file("/share/d/a.gz", gzip.compress(b"0123456789"))
    fs.get_file("/share/d/a.gz", tmp_path / "a", compression="gzip")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("source", ["/SHARE/no", "/SHARE/d/ten", "/SHARE/kept"])
def test_a_copy_that_fails_leaves_what_was_there(server, fs, source):
    fs.pipe_file("/SHARE/kept", b"old")
    fs.pipe_file("/SHARE/d/ten", b"0123456789")
    before = sorted(fs.find("/SHARE"))
    with pytest.raises(OSError):  # the server has no copies of its own
        fs.cp_file(source, "/SHARE/kept")
    assert got(server, "kept") == b"old" and sorted(fs.find("/SHARE")) == before


def test_files_are_written_in_blocks(server, fs):
    with fs.open("/SHARE/out", "wb", block_size=2**16) as f:
        for at in range(0, len(BIG), 100_000):
            f.write(BIG[at : at + 100_000])
    assert got(server, "out") == BIG
    fs.touch("/SHARE/empty")
    assert got(server, "empty") == b""
    with pytest.raises(FileExistsError, match="out"):
        fs.open("/SHARE/out", "xb")
    with fs.open("/SHARE/made", "xb"):
        pass
    assert got(server, "made") == b""
    with fs.transaction:
        fs.pipe_file("/SHARE/new", b"1")
        assert not fs.exists("/SHARE/new")
    assert got(server, "new") == b"1"
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            fs.pipe_file("/SHARE/newer", b"1")
            1 / 0
    assert sorted(os.listdir(server.folder)) == ["big", "d", "empty", "made", "new", "out"]


def test_a_refusal_is_an_error_of_the_system_and_of_smbprotocol(fs):
    cases = [
        (FileExistsError, lambda: fs.mkdir("/SHARE/d", create_parents=False)),
        (FileNotFoundError, lambda: fs.rm_file("/SHARE/nothing")),
        (FileNotFoundError, lambda: fs.info("/SHARE/nothing")),
        (OSError, lambda: fs.rmdir("/SHARE/d")),
    ]
    for kind, operation in cases:
        with pytest.raises(SMBOSError) as caught:
            operation()
        error = caught.value
        assert isinstance(error, kind) and error.errno and error.ntstatus
        assert str(error).startswith("[NtStatus 0xc")
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.ntstatus) == (type(error), str(error), error.ntstatus)


def test_making_moving_removing(server, fs):
    fs.mkdir("/SHARE/m/n")
    with pytest.raises(FileExistsError):
        fs.mkdir("/SHARE/m/n")
    with pytest.raises(FileExistsError):
        fs.makedirs("/SHARE/m/n")
    fs.makedirs("/SHARE/m/n", exist_ok=True)
    fs.mv("/SHARE/big", "/SHARE/m/n/big")
    assert got(server, "m/n/big") == BIG
    with pytest.raises(FileNotFoundError, match="nothing"):
        fs.mv("/SHARE/nothing", "/SHARE/x")
    with pytest.raises(FileNotFoundError, match="nothing"):
        fs.rm_file("/SHARE/nothing")
    fs.rm("/SHARE/m", recursive=True)
    assert fs.find("/SHARE") == ["/SHARE/d/a b.txt"]


@pytest.mark.parametrize("mode", ["rb", "wb"])
def test_a_file_that_is_left_open_at_the_end(server, mode):
    """Nobody answers any more when it is collected: the program must not wait for it."""
    run(
        f"""
        import json, os
        from fsspec.implementations.smb import SMBFileSystem

        fs = SMBFileSystem(**json.loads(os.environ["OPTIONS"]))
        f = fs.open("/SHARE/big" if {mode == "rb"} else "/SHARE/out", {mode!r}, block_size=1000)
        f.read(10) if {mode == "rb"} else f.write(b"x" * 1500)
        if f.mode == "wb":  # Python 3.13 and newer say that it could not be closed
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        """,
        OPTIONS=json.dumps(server.options),
    )


def test_files_that_are_read_and_written(fs):
    check_updating(fs, "/SHARE/updated")
    with fs.open("/SHARE/updated", "r+b") as f:
        f.truncate(0)
        f.write(b"0123456")
        assert f.truncate(4) == 4 and f.tell() == 7
    assert fs.cat_file("/SHARE/updated") == b"0123"


@pytest.mark.parametrize("mode", ["wb", "xb", "w+b"])
def test_what_is_written_can_be_cut_and_filled_up(fs, mode):
    with fs.open("/SHARE/cut", mode) as f:
        f.write(b"0123456")
        assert f.truncate(3) == 3 and f.tell() == 7
        f.seek(2)
        assert f.truncate() == 2
        f.write(b"x")
        assert f.truncate(5) == 5
    assert fs.cat_file("/SHARE/cut") == b"01x\0\0"
    with fs.open("/SHARE/cut", "ab") as f, pytest.raises(io.UnsupportedOperation):
        f.truncate(1)


def test_the_end_of_an_updated_file_is_where_others_have_put_it(fs):
    fs.pipe_file("/SHARE/shared", b"0123")
    with (
        fs.open("/SHARE/shared", "a+b", share_access="rwd") as one,
        fs.open("/SHARE/shared", "a+b", share_access="rwd") as two,
    ):
        for f, data in ((one, b"A"), (two, b"B"), (one, b"a"), (two, b"b")):
            f.write(data)
            f.flush()
        assert two.seek(0, 2) == 8
    assert fs.cat_file("/SHARE/shared") == b"0123ABab"
