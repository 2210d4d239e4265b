"""Tar archives; their forks are in test_archive_forks."""

import gzip
import io
import os
import pickle
import sys
import tarfile
import threading

import pytest

import fsspec
from fsspec.implementations.tar import TarFileSystem, typemap
from fsspec.implementations.tests.archives import contents, tarred

TREE = {"a/b.txt": b"line 1\nline 2\nline 3", "a/c/d": b"deep" * 1000, "top": b"0123456789"}


@pytest.fixture(params=["", "gz", "bz2", "xz"])
def compression(request):
    return request.param


@pytest.fixture
def path(tmp_path, compression):
    path = tmp_path / ("x.tar" + ("." + compression if compression else ""))
    path.write_bytes(tarred(TREE, compression))
    return str(path)


@pytest.fixture
def fs(path):
    return fsspec.filesystem("tar", fo=path)


def test_an_archive_in_zstandard_can_be_listed_and_read_in_any_order(tmp_path):
    pytest.importorskip("zstandard")
    with fsspec.open(str(tmp_path / "x.tar.zst"), "wb", compression="infer") as f:
        f.write(tarred(TREE, ""))
    fs = fsspec.filesystem("tar", fo=str(tmp_path / "x.tar.zst"))
    assert fs.find("") == sorted(TREE)
    assert fs.cat(sorted(TREE, reverse=True)) == TREE
    with fsspec.open(f"tar://top::{tmp_path}/x.tar.zst") as f:
        assert f.read() == TREE["top"]


def special(*members):
    """An archive of a file and of members given as (name, type, link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as t:
        t.addfile(_member("d/file", size=3), io.BytesIO(b"123"))
        for name, kind, link in members:
            t.addfile(_member(name, type=kind, linkname=link))
    buffer.seek(0)
    return buffer


def _member(name, **fields):
    member = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


# entries and reading -----------------------------------------------------------------
@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: fsspec.open(f"tar://x::{path}", "wb", tar={"mode": "w"}).open(),
        lambda path: fsspec.open(f"tar://x::{path}", "wb").open(),
        lambda path: fsspec.filesystem("tar", fo=path, mode="w"),
    ],
)
def test_a_new_archive_is_not_written_and_the_error_says_so(tmp_path, write):
    with pytest.raises(FileNotFoundError) as caught:
        write(str(tmp_path / "new.tar"))
    assert "tar archives are only read" in caught.value.__notes__[0] and not os.listdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        fsspec.open(f"tar://x::{tmp_path}/new.tar").open()
    assert not hasattr(caught.value, "__notes__")


def test_index_tells_where_the_data_of_members_are():
    archive = tarred(TREE, "")
    fs = TarFileSystem(fo=io.BytesIO(archive))
    assert {"a/b.txt", "top"} <= fs.index.keys()
    for name, data in TREE.items():
        entry, start, output = fs.index[name]
        assert entry == fs.info(name) and output == name
        assert archive[start : start + entry["size"]] == data


def test_members_and_folders_are_listed(fs):
    assert fs.ls("", detail=False) == ["a", "top"]
    assert fs.ls("/a", detail=False) == fs.ls("tar://a/", detail=False) == ["a/b.txt", "a/c"]
    assert fs.find("") == sorted(TREE) and fs.glob("*/*.txt") == ["a/b.txt"]
    assert fs.dir_cache["a/c"]["type"] == "directory" and {*fs.dir_cache} == {*TREE, "a", "a/c"}
    entry = fs.info("/a/b.txt")
    assert (entry["name"], entry["size"], entry["type"], entry["linkname"]) == ("a/b.txt", 20, "file", "")
    assert fs.isdir("a/c") and typemap[b"5"] == "directory"


def test_members_are_read_as_files(fs):
    with fs.open("a/b.txt") as f:
        assert (f.size, f.name, f.mode) == (20, "a/b.txt", "r")
        assert f.readline() == b"line 1\n" and f.tell() == 7 and f.peek(3)[:3] == b"lin"
        assert f.read(4) == b"line" and f.seek(-2, 1) == 9 and f.read1(2) == b"ne"
        assert f.seek(-6, 2) == 14 and f.readlines() == [b"line 3"] and f.read() == b""
    with pytest.raises(ValueError, match="closed"):
        f.read()
    with fs.open("a/b.txt", "r") as f:
        assert f.read() == TREE["a/b.txt"].decode()
    f = fs.open("top")
    f.seek(3)
    assert pickle.loads(pickle.dumps(f)).read() == b"3456789"
    assert fs.cat(sorted(TREE)) == TREE


def test_members_are_read_by_threads_at_the_same_time(tmp_path, compression):
    members = contents()
    path = tmp_path / "x.tar"
    path.write_bytes(tarred(members, compression))
    fs = TarFileSystem(str(path))
    wrong = []

    def read(name):
        with fs.open(name) as f:
            if b"".join(iter(lambda: f.read(10000), b"")) != members[name]:
                wrong.append(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_archive_is_unpacked_by_get(fs, tmp_path):
    fs.get("", str(tmp_path / "t"), recursive=True)
    for name, data in TREE.items():
        assert (tmp_path / "t" / name).read_bytes() == data


@pytest.mark.parametrize("name", ["nope", "a/nope"])
def test_what_is_not_there(fs, name):
    for act in (fs.open, fs.info, fs.cat, fs.ls):
        with pytest.raises(FileNotFoundError, match=name):
            act(name)
    for kind in (IsADirectoryError, FileNotFoundError, ValueError):
        with pytest.raises(kind):
            fs.open("a")
    with pytest.raises(ValueError, match="only read"):
        fs.open("new", "wb")


def test_a_closed_archive_cannot_be_read(path):
    fs = TarFileSystem(path)
    f = fs.open("top")
    fs.close()
    with pytest.raises(OSError, match="closed"):
        fs.open("top")
    with pytest.raises(ValueError, match="closed"):
        f.read()


def test_a_file_object_stays_its_owners(path, compression):
    with open(path, "rb") as f:
        fs = TarFileSystem(f)
        assert fs.cat("top") == TREE["top"]
        fs.close()
        assert not f.closed


def test_a_file_object_is_read_from_its_position(tmp_path, compression):
    data = b"before it" + tarred(TREE, compression)
    with open(tmp_path / "x", "w+b") as f:
        f.write(data)  # still in its buffer
        for fo in (f, io.BytesIO(data)):
            fo.seek(9)
            fs = TarFileSystem(fo)
            assert {name: fs.cat(name) for name in sorted(TREE)} == TREE
            assert fs.cat("a/b.txt") == TREE["a/b.txt"]


# compression -------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["x.tgz", "x", "x.tar.gz", "x.tar"])
@pytest.mark.parametrize("given", [None, "infer"])
def test_the_bytes_tell_the_compression(tmp_path, name, given, compression):
    (tmp_path / name).write_bytes(tarred(TREE, compression))
    assert TarFileSystem(str(tmp_path / name), compression=given).cat("top") == TREE["top"]


def test_compression_that_is_given():
    data = gzip.compress(tarred(TREE))
    assert TarFileSystem(io.BytesIO(data), compression="gzip").cat("top") == TREE["top"]
    with pytest.raises(ValueError, match="'bogus' is not known.*gzip"):
        TarFileSystem(io.BytesIO(data), compression="bogus")


def test_an_archive_in_a_chain_is_read(http_server, path, compression):
    http_server.files["/x"] = tarred(TREE, compression)
    with fsspec.open(f"tar://a/c/d::{http_server.url}/x") as f:
        assert f.read() == TREE["a/c/d"]
    with fsspec.open_files(f"tar://a/**::file://{path}", "r") as files:
        assert [f.read() for f in files] == [TREE["a/b.txt"].decode(), TREE["a/c/d"].decode()]


def test_the_headers_are_read_once_for_all(http_server):
    http_server.files["/x.tar"] = tarred(TREE)
    fs = TarFileSystem(f"{http_server.url}/x.tar", target_options={"block_size": 2**16})
    before = len(http_server.requests)
    for _ in range(20):
        fs.find("")
        fs.info("a/c/d")
        fs.ls("a")
    assert len(http_server.requests) == before


def test_headers_that_lie_close_are_fetched_together(http_server):
    http_server.files["/small.tar"] = tarred({f"f{i}": bytes(20_000) for i in range(200)})
    assert len(TarFileSystem(f"{http_server.url}/small.tar").find("")) == 200
    assert len(http_server.requests) <= 10
    http_server.clear()
    http_server.files["/large.tar"] = tarred({f"f{i}": bytes(3_000_000) for i in range(4)})
    assert len(TarFileSystem(f"{http_server.url}/large.tar").find("")) == 4
    assert sum(request.sent for request in http_server.requests) < 1_000_000


# members that are no files -----------------------------------------------------------
def test_links_within_the_archive():
    kinds = tarfile.SYMTYPE, tarfile.LNKTYPE
    fs = TarFileSystem(
        special(
            ("d/near", kinds[0], "file"),
            ("far", kinds[0], "./d/../d/file"),
            ("hard", kinds[1], "d/file"),
            ("twice", kinds[0], "far"),
            ("loop", kinds[0], "loop"),
            ("nowhere", kinds[0], "gone"),
            ("folder", tarfile.DIRTYPE, ""),
            ("to folder", kinds[0], "folder"),
        )
    )
    for name in ("d/near", "far", "hard", "twice"):
        assert fs.cat(name) == b"123" and fs.info(name)["size"] == fs.open(name).size == 3
    for name in ("loop", "nowhere"):
        assert fs.info(name)["size"] == 0
        with pytest.raises(FileNotFoundError, match=f"'{name}'.*is a link to"):
            fs.open(name)
    with pytest.raises(IsADirectoryError):
        fs.open("to folder")


def test_doubled_slashes_count_as_one(tmp_path):
    fs = fsspec.filesystem(
        "tar", fo=io.BytesIO(tarred({"barn//hay": b"1", "yard/hen": b"2", "q///r//s": b"3"}))
    )
    assert fs.find("") == ["barn/hay", "q/r/s", "yard/hen"]
    assert fs.ls("barn", detail=False) == ["barn/hay"] and fs.isdir("q/r")
    assert fs.cat("barn/hay") == fs.cat("barn//hay") == b"1"
    assert fs.info("q///r//s")["name"] == "q/r/s"
    fs.get("", str(tmp_path), recursive=True)
    assert (tmp_path / "q/r/s").read_bytes() == b"3"


def test_a_member_that_is_not_a_file_cannot_be_opened():
    fs = TarFileSystem(special(("fifo", tarfile.FIFOTYPE, ""), ("device", tarfile.CHRTYPE, "")))
    for name in ("fifo", "device"):
        with pytest.raises(OSError, match=f"'{name}'.*not a file"):
            fs.cat(name)


def test_hard_links_are_names_of_what_was_written_before_them(tmp_path):
    """As they are extracted: also where a later version follows, and of absolute names."""
    path = str(tmp_path / "a.tar")
    with tarfile.open(path, "w") as tar:
        for name, target, data in [
            ("file", "", b"first"),
            ("hard", "file", b""),
            ("file", "", b"the second"),
            ("hard again", "hard", b""),
            ("/top", "", b"top"),
            ("to top", "/top", b""),
            ("self", "", b"self"),
            ("self", "self", b""),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = b"1" if target else b"0", target, len(data)
            tar.addfile(member, io.BytesIO(data))
    fs = TarFileSystem(path)
    found = {
        "file": b"the second",
        "hard": b"first",
        "hard again": b"first",
        "to top": b"top",
        "self": b"self",
    }
    assert fs.cat(list(found)) == found
    assert {name: fs.size(name) for name in found} == {name: len(data) for name, data in found.items()}
    fs.close()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("link", ["../outside", "/etc/passwd", "d/../../outside"])
def test_links_that_lead_out_are_neither_followed_nor_unpacked(tmp_path, kind, link):
    (tmp_path / "outside").write_bytes(b"not of the archive")
    path = tmp_path / "evil.tar"
    path.write_bytes(special(("link", kind, link)).getvalue())
    fs = TarFileSystem(str(path))
    with pytest.raises(FileNotFoundError, match="link"):
        fs.cat("link")
    target = tmp_path / "t"
    with pytest.raises(ValueError) as caught:
        fs.get("", str(target), recursive=True)
    assert "'link'" in str(caught.value) and "evil.tar" in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize("evil", ["../out", "/abs/out", "a/../../out"])
def test_names_that_lead_out_are_not_unpacked(tmp_path, evil):
    path = tmp_path / "evil.tar"
    path.write_bytes(tarred({"good": b"1", evil: b"evil"}))
    fs = TarFileSystem(str(path))
    assert len(fs.find("")) == 2 and fs.cat(evil) == b"evil"
    with pytest.raises(ValueError) as caught:
        fs.get("", str(tmp_path / "deep" / "t"), recursive=True)
    assert evil in str(caught.value) and "evil.tar" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.tar"]


def test_a_link_to_a_folder_outside_writes_nothing_through_it(tmp_path):
    (tmp_path / "outside").mkdir()
    path = tmp_path / "evil.tar"
    buffer = special(("d2", tarfile.SYMTYPE, str(tmp_path / "outside")))
    with tarfile.open(fileobj=buffer, mode="a") as t:
        t.addfile(_member("d2/file", size=4), io.BytesIO(b"evil"))
    path.write_bytes(buffer.getvalue())
    fs = TarFileSystem(str(path))
    with pytest.raises(ValueError, match="'d2'.*leads out"):
        fs.get("", str(tmp_path / "t"), recursive=True)
    fs.get("d2/file", str(tmp_path / "t") + "/")
    assert (tmp_path / "t" / "file").read_bytes() == b"evil" and not os.listdir(tmp_path / "outside")


# bad input ---------------------------------------------------------------------------
def test_an_archive_that_was_cut_off_is_named_in_the_error(tmp_path, compression):
    whole = tarred(contents(2), compression)
    path = tmp_path / "cut.tar"
    for size in (100, 600, len(whole) // 2, len(whole) // 2 + 77):
        path.write_bytes(whole[:size])
        with pytest.raises(tarfile.ReadError, match="cut.tar") as caught:
            TarFileSystem(str(path))
        assert isinstance(caught.value, OSError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("data", [b"", b"junk" * 1000, b"\x1f\x8b" + b"junk" * 1000, b"BZh" + b"junk" * 1000])
def test_what_is_no_archive_is_named_in_the_error(tmp_path, data):
    path = tmp_path / "junk.tar.gz"
    path.write_bytes(data)
    with pytest.raises(tarfile.ReadError, match="junk.tar.gz"):
        TarFileSystem(str(path))


def test_a_damaged_header_is_not_the_end(tmp_path):
    whole = bytearray(tarred({"one": b"1", "two": b"2", "three": b"3"}))
    whole[1024 + 150] ^= 0xFF  # in the checksum of the second
    path = tmp_path / "bad.tar"
    path.write_bytes(whole)
    with pytest.raises(tarfile.ReadError, match="bad.tar.*byte 1024, behind 1 "):
        TarFileSystem(str(path))


def test_an_archive_without_the_blocks_at_its_end(tmp_path):
    path = tmp_path / "short.tar"
    path.write_bytes(tarred({"one": b"1", "two": b"2"})[: 4 * 512])
    assert TarFileSystem(str(path)).cat(["one", "two"]) == {"one": b"1", "two": b"2"}


def test_a_missing_archive_is_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nope.tar"):
        TarFileSystem(str(tmp_path / "nope.tar"))


@pytest.mark.parametrize("compression", ["", "gz"])
def test_a_failure_of_the_network_does_not_change_what_is_read_after_it(http_server, compression):
    members = {f"folder/member{i}": os.urandom(600_000) for i in range(2)}
    http_server.files["/x.tar"] = tarred(members, compression)
    fs = TarFileSystem(f"{http_server.url}/x.tar")
    f = fs.open("folder/member0")
    start = f.read(1000)
    fresh = fs.fo.fs.open(f"{http_server.url}/x.tar", block_size=2**16, cache_type="none")
    fs._archive_bytes.file = fresh  # so that each read is a request
    f.seek(5000)
    http_server.fault("/x.tar", status=503)
    with pytest.raises(OSError):
        f.seek(550_000)
        f.read(5000)
    http_server.fault("/x.tar")
    f.seek(1000)
    assert start + f.read() == members["folder/member0"]
    assert fs.cat("folder/member1") == members["folder/member1"]
