"""Archives through libarchive."""

import os
import pickle

import pytest

libarchive = pytest.importorskip("libarchive", exc_type=Exception)  # the C library may be missing, too

import fsspec
from fsspec.exceptions import ForkError
from fsspec.implementations.libarchive import LibArchiveFileSystem, custom_reader
from fsspec.implementations.tests.archives import contents, run, tarred, zipped

TREE = {"a/b.txt": b"line 1\nline 2", "a/c/d": b"deep" * 1000, "top": b"0123456789"}
FORMATS = ["7zip", "cpio", "iso9660", "zip", "gnutar", "ustar"]


def packed(path, kind, members):
    with libarchive.file_writer(str(path), kind) as writer:
        for name, data in members.items():
            writer.add_file_from_memory(name, len(data), data)
    return str(path)


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    return packed(tmp_path / "archive", request.param, TREE)


def test_listings_and_reading(path):
    fs = fsspec.filesystem("libarchive", fo=path)
    assert fs.find("") == sorted(TREE)
    assert fs.ls("/a", detail=False) == ["a/b.txt", "a/c"] and fs.isdir("a/c")
    assert fs.dir_cache["a/c"]["type"] == "directory" and {*fs.dir_cache} >= {*TREE, "a", "a/c"}
    entry = fs.info("top")
    assert (entry["size"], entry["type"], entry["name"]) == (10, "file", "top") and entry["mode"]
    assert {name: fs.cat(name) for name in TREE} == TREE
    with fs.open("a/b.txt", "r") as f:
        assert f.readlines() == ["line 1\n", "line 2"]
    f = fs.open("top")
    assert f.seek(4) == 4 and f.size == 10 and not f.writable()
    assert pickle.loads(pickle.dumps(f)).read() == f.read() == b"456789"
    for method, value in (("write", b"x"), ("writelines", [b"x"]), ("truncate", 2)):
        with pytest.raises(OSError, match="reading"):
            getattr(f, method)(value)


@pytest.mark.parametrize("kind", ["gnutar", "zip", "cpio"])
def test_the_last_of_several_members_with_one_name_counts(tmp_path, kind):
    """As it is when an archive is unpacked."""
    path = str(tmp_path / "archive")
    with libarchive.file_writer(path, kind) as writer:
        for data in (b"first", b"the second"):
            writer.add_file_from_memory("a/b", len(data), data)
    fs = LibArchiveFileSystem(path)
    assert (fs.info("a/b")["created"] is None) == (kind != "zip"), (
        "only zip tells, of what was made in memory 0"
    )
    assert fs.size("a/b") == 10 and fs.cat_file("a/b") == b"the second"


def test_an_archive_in_a_chain_is_read(http_server, path):
    with open(path, "rb") as f:
        http_server.files["/x"] = f.read()
    with fsspec.open(f"libarchive://a/c/d::{http_server.url}/x") as f:
        assert f.read() == TREE["a/c/d"]


def test_the_entries_of_a_file(path):
    with open(path, "rb") as f, custom_reader(f) as archive:
        found = {e.pathname.strip("/"): b"".join(e.get_blocks()) for e in archive if e.isfile}
    assert found == TREE
    with open(path, "rb") as f, pytest.raises(libarchive.ArchiveError):
        with custom_reader(f, format_name="rar"):
            raise AssertionError("not reached")


def test_what_is_not_there(path):
    fs = LibArchiveFileSystem(path)
    for act in (fs.open, fs.info, fs.cat):
        with pytest.raises(FileNotFoundError, match="nope"):
            act("nope")
    with pytest.raises(IsADirectoryError):
        fs.open("a")
    with pytest.raises(NotImplementedError, match="only read"):
        fs.open("new", "wb")
    with pytest.raises(ValueError, match="'w'"):
        LibArchiveFileSystem(path, "w")
    with pytest.raises(FileNotFoundError):
        LibArchiveFileSystem(path + "nope")


@pytest.mark.parametrize("size", [10, 300, 1500])
def test_a_damaged_archive_is_named_in_the_error(tmp_path, size):
    path = packed(tmp_path / "cut.7z", "7zip", {"x": os.urandom(5000)})
    with open(path, "r+b") as f:
        f.truncate(size)
    fs = LibArchiveFileSystem(path)
    for act in (lambda: fs.ls(""), lambda: fs.cat("x")):
        with pytest.raises(libarchive.ArchiveError, match="cut.7z") as caught:
            act()
        assert isinstance(caught.value, OSError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_failures_of_the_archives_own_filesystem(http_server):
    http_server.files["/x"] = tarred(contents())
    fs = LibArchiveFileSystem(f"{http_server.url}/x")
    assert len(fs.find("")) == 4
    http_server.fault("/x", status=403)
    with pytest.raises(Exception, match="403") as caught:
        LibArchiveFileSystem(fs.fo.fs.open(f"{http_server.url}/x", size=10**6, block_size=1000)).ls("")
    assert not isinstance(caught.value, libarchive.ArchiveError)


def test_names_that_lead_out_are_not_unpacked(tmp_path):
    (tmp_path / "evil.zip").write_bytes(zipped({"good": b"1", "../out": b"evil"}))
    fs = LibArchiveFileSystem(str(tmp_path / "evil.zip"))
    with pytest.raises(ValueError, match=r"evil.zip.*'\.\./out'"):
        fs.get("", str(tmp_path / "deep" / "t"), recursive=True)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.zip"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("fo", ["path", "file object"])
def test_parent_and_children_read_at_once(tmp_path, fo):
    path = packed(tmp_path / "x.7z", "7zip", contents())
    run(
        f"""
        with open({path!r}, "rb") as f:
            fs = fsspec.filesystem("libarchive", fo={"f" if fo == "file object" else repr(path)})
            files = {{name: fs.open(name) for name in members}}
            def work():
                for _ in range(3):
                    for name, data in members.items():
                        assert fs.cat(name) == data
                assert {{name: f.read() for name, f in files.items()}} == members
            pids = [fork(work) for _ in range(4)]
            work()
            for pid in pids:
                ended(pid)
        """,
        FSSPEC_FORK_RESET="0",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_over_http_in_a_child(http_server):
    http_server.files["/x"] = tarred(contents())
    program = f"""
        fs = fsspec.filesystem("libarchive", fo="{http_server.url}/x")
        assert fs.find("") == sorted(members)
        name = "folder/member3"
        def work():
            try:
                assert fs.cat(name) == members[name]
            except {ForkError.__name__}:  # or what it needs was fetched before
                assert not hooks.opted_in()
        ended(fork(work))
        assert fs.cat(name) == members[name]
        """
    for reset in "01":
        run(program, FSSPEC_FORK_RESET=reset)
