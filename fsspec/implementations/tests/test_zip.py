"""Zip archives; their forks are in test_archive_forks."""

import base64
import errno
import gzip
import io
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import tarfile
import warnings
import zipfile

import pytest

import fsspec
from fsspec.implementations.tests.archives import zipped
from fsspec.implementations.zip import ZipFileSystem

TREE = {"a/b.txt": b"line 1\nline 2\nline 3", "a/c/d": b"deep" * 1000, "e/": b"", "top": b"0123456789"}
ENCRYPTED = base64.b64decode(
    "UEsDBBQACQAIAAAAIQAAAAAAAAAAAAwAAAAKABQAaGlkZGVuLnR4dFVUAQAAdXgLAAEEAAAAAAQAAAAAQ1xCuN5jTcSCH0THS7dP"
    "uNKAu1mUiW5QiEZQSwcI7bFxEhoAAAAMAAAAUEsBAhQDFAAJAAgAAAAhAO2xcRIaAAAADAAAAAoAFAAAAAAAAAAAALSBAAAAAGhp"
    "ZGRlbi50eHRVVAEAAHV4CwABBAAAAAAEAAAAAFBLBQYAAAAAAQABAEwAAABmAAAAAAA="
)  # one member, hidden.txt, of traditional encryption with the password "secret"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(TREE))
    return str(path)


@pytest.fixture
def fs(path):
    return fsspec.filesystem("zip", fo=path)


# entries -----------------------------------------------------------------------------
def test_members_and_folders_are_listed(fs):
    assert fs.ls("", detail=False) == ["a", "e", "top"]
    assert fs.ls("/a", detail=False) == fs.ls("zip://a/", detail=False) == ["a/b.txt", "a/c"]
    assert fs.find("") == ["a/b.txt", "a/c/d", "top"]
    assert fs.find("/a", withdirs=True) == ["a", "a/b.txt", "a/c", "a/c/d"]
    assert fs.glob("*/*.txt") == ["a/b.txt"]
    assert fs.isdir("e") and fs.isdir("a/c") and fs.isfile("/top")


def test_entries_have_what_the_archive_says(fs):
    entry = fs.info("a/b.txt")
    assert (entry["name"], entry["size"], entry["type"]) == ("a/b.txt", 20, "file")
    assert entry["CRC"] and entry["filename"] == "a/b.txt" and entry["compress_type"] == zipfile.ZIP_DEFLATED
    assert fs.info("e")["type"] == "directory"


def test_of_two_members_of_a_name_the_later_one_counts():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's, that the name is there
        z.writestr("x", b"first")
        z.writestr("y", b"")
        z.writestr("x", b"the second")
    fs = fsspec.filesystem("zip", fo=buffer)
    assert fs.cat("x") == b"the second" and fs.info("x")["size"] == 10 and fs.find("") == ["x", "y"]


def test_the_directory_is_read_once_and_no_listing_made_to_open(fs, path):
    with fs.open("top") as f:
        assert f.read() == TREE["top"]
    assert fs.dir_cache is None
    fs.find("")
    table = fs.dir_cache
    fs.ls("a")
    assert fs.dir_cache is table


def test_the_table_has_the_folders_as_well():
    buffer = io.BytesIO()
    fs = fsspec.filesystem("zip", fo=buffer, mode="w")
    fs.pipe_file("a/b/c", b"1")
    fs._get_dirs()
    assert {name: entry["type"] for name, entry in fs.dir_cache.items()} == {
        "a": "directory",
        "a/b": "directory",
        "a/b/c": "file",
    }
    fs.pipe_file("a/d", b"2")
    fs.pipe_file("e/f", b"3")
    assert fs.find("", withdirs=True) == sorted(fs.dir_cache) == ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]
    fs.close()


# reading -----------------------------------------------------------------------------
def test_members_are_read_as_files(fs):
    with fs.open("a/b.txt") as f:
        assert f.readable() and f.seekable() and not f.writable()
        assert (f.size, f.name, f.mode) == (20, "a/b.txt", "r")
        assert f.readline() == b"line 1\n" and f.tell() == 7
        assert f.peek(3)[:3] == b"lin" and f.tell() == 7
        assert f.read(4) == b"line" and f.seek(-2, 1) == 9 and f.read1(2) == b"ne"
        assert f.seek(-6, 2) == 14 and f.readlines() == [b"line 3"] and f.read() == b""
        assert list(fs.open("a/b.txt")) == TREE["a/b.txt"].splitlines(keepends=True)
        buffer = bytearray(6)
        f.seek(0)
        assert f.readinto(buffer) == 6 and buffer == b"line 1"
    assert f.closed
    for act in (f.read, f.tell, lambda: f.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            act()
    assert "a/b.txt" in repr(f) and "x.zip" in repr(f)


def test_text_and_codecs(fs, tmp_path):
    with fs.open("a/b.txt", "r", newline="") as f:
        assert f.readlines() == ["line 1\n", "line 2\n", "line 3"]
    import gzip

    (tmp_path / "y.zip").write_bytes(zipped({"x.gz": gzip.compress(b"within")}))
    with fsspec.open(f"zip://x.gz::{tmp_path}/y.zip", compression="infer") as f:
        assert f.read() == b"within"


def test_members_are_read_at_the_same_time(fs):
    files = [fs.open("a/c/d") for _ in range(3)]
    files[1].seek(2)
    parts = [[f.read(7) for f in files] for _ in range(50)]
    for f, first in zip(files, (0, 2, 0)):
        assert b"".join(p[files.index(f)] for p in parts) == TREE["a/c/d"][first:][:350]


def test_pickled_archives_and_members_read_on(fs):
    f = fs.open("top")
    f.seek(3)
    assert pickle.loads(pickle.dumps(f)).read() == b"3456789"
    assert pickle.loads(pickle.dumps(fs)).cat("top") == TREE["top"]


def test_a_file_object_stays_its_owners(path):
    with open(path, "rb") as f:
        f.seek(3)
        fs = ZipFileSystem(f)
        assert fs.cat("top") == TREE["top"] and f.tell() == 3
        member = fs.open("top")
        fs.close()
        assert not f.closed
    with pytest.raises(ValueError, match="closed"):
        member.read()
    with pytest.raises(ValueError, match="closed"):
        fs.cat("top")


def test_an_archive_is_unpacked_by_get(fs, tmp_path):
    fs.get("", str(tmp_path / "t"), recursive=True)
    for name, data in TREE.items():
        assert name.endswith("/") or (tmp_path / "t" / name).read_bytes() == data
    assert (tmp_path / "t" / "e").is_dir()


@pytest.mark.parametrize("name", ["nope", "a/nope", "top/x"])
def test_what_is_not_there(fs, name):
    for act in (fs.open, fs.info, fs.cat, fs.ls):
        with pytest.raises(FileNotFoundError, match=name):
            act(name)


def test_folders_are_not_read(fs):
    for name in ("a", "e"):
        for kind in (IsADirectoryError, FileNotFoundError):  # programs catch either
            with pytest.raises(kind):
                fs.open(name)


# writing -----------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["w", "a", "x"])
def test_a_new_archive(tmp_path, mode):
    path = tmp_path / ("" if mode == "x" else "new") / "made.zip"
    fs = ZipFileSystem(str(path), mode, compression=zipfile.ZIP_DEFLATED, compresslevel=9)
    fs.pipe("a/b", b"1" * 5000)
    with fs.open("c", "wb") as f:
        assert f.writable() and not f.readable()
        assert f.write(b"12") == 2 and f.write(b"345") == 3 and f.tell() == 5
        f.flush()
    with fs.open("t", "w") as f:
        f.write("text")
    fs.pipe_file("stored", b"2" * 100, compress_type=zipfile.ZIP_STORED)
    assert fs.find("") == ["a/b", "c", "stored", "t"] and fs.exists("a/b") and fs.info("c")["size"] == 5
    with pytest.raises(FileExistsError):
        fs.pipe_file("c", b"", mode="create")
    fs.close()
    fs.close()
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None and z.namelist() == ["a/b", "c", "t", "stored"]
        assert z.read("c") == b"12345" and z.read("t") == b"text"
        assert z.getinfo("a/b").compress_size < 100 and z.getinfo("stored").compress_size == 100


@pytest.mark.parametrize("protocol", ["file", "memory", "simplecache", "filecache"])
def test_members_are_added_to_an_archive_without_members(protocol, m, tmp_path):
    m.pipe("/a.zip", zipped({}))
    (tmp_path / "a.zip").write_bytes(zipped({}))
    options = {"target_protocol": "memory", "cache_storage": str(tmp_path / "cache")}
    where = {"target_options": options} if "cache" in protocol else {}
    path = str(tmp_path / "a.zip") if protocol == "file" else "/a.zip"
    fs = fsspec.filesystem("zip", fo=path, mode="a", target_protocol=protocol, **where)
    fs.pipe_file("new", b"added")
    fs.close()
    with zipfile.ZipFile(path if protocol == "file" else io.BytesIO(m.cat("/a.zip"))) as z:
        assert {name: z.read(name) for name in z.namelist()} == {"new": b"added"}


def test_members_are_added_to_an_archive(path):
    fs = ZipFileSystem(path, "a")
    assert fs.exists("top")
    fs.pipe("more", b"more")
    assert fs.find("") == ["a/b.txt", "a/c/d", "more", "top"]
    with pytest.raises(OSError, match="being written.*close it"):
        fs.open("top")
    fs.close()
    assert ZipFileSystem(path).cat(["more", "top"]) == {"more": b"more", "top": TREE["top"]}


ADDING = """
import os, signal
from fsspec.implementations.zip import ZipFileSystem
fs = ZipFileSystem({path!r}, "a")
fs.pipe("more", os.urandom(300_000))
with fs.open("half", "wb") as f:
    f.write(os.urandom(300_000))
    f.flush()
    fs.fo.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of processes")
@pytest.mark.parametrize("act", ["fs.open('a', 'wb').write(data)", "fs.pipe_file('a', data)"])
def test_a_full_disk_is_reported_once(tmp_path, act):
    """By the call that wrote, and not again as the archive is collected."""
    text = f"""
import fsspec, gc, os, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
data = os.urandom(100_000)
fs = fsspec.filesystem("zip", fo="full.zip", mode="w", skip_instance_cache=True)
try:
    {act}
except OSError as error:
    print(error.errno)
del fs
gc.collect()
"""
    ran = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == (f"{errno.EFBIG}\n", "")


def test_a_process_that_is_killed_while_it_adds_leaves_the_archive(path):
    archive = pathlib.Path(path)
    before = archive.read_bytes()
    done = subprocess.run([sys.executable, "-c", ADDING.format(path=path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert archive.read_bytes() == before
    fs = ZipFileSystem(path, "a")
    fs.pipe("more", b"more")
    fs.close()
    assert ZipFileSystem(path).cat("more") == b"more"


def test_adding_keeps_links_and_permissions(path, tmp_path):
    """And leaves nothing beside the archive, nor touches it where nothing was added."""
    os.chmod(path, 0o640)
    link = tmp_path / "link.zip"
    link.symlink_to("x.zip")
    before = os.stat(path)
    ZipFileSystem(str(link), "a").close()
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    fs = ZipFileSystem(str(link), "a")
    fs.pipe("more", b"more")
    assert not ZipFileSystem(path).exists("more")
    fs.close()
    fs.close()
    assert ZipFileSystem(path).exists("more")
    assert link.is_symlink() and os.stat(path).st_mode == before.st_mode
    assert sorted(os.listdir(tmp_path)) == ["link.zip", "x.zip"]


def test_an_archive_that_exists_is_not_made_anew(path):
    with pytest.raises(FileExistsError, match="x.zip"):
        ZipFileSystem(path, "x")
    assert ZipFileSystem(path).cat("top") == TREE["top"]


def test_an_archive_that_is_not_named():
    """It was the current folder that could not be opened, and still is for programs that look at that."""
    with pytest.raises(IsADirectoryError, match="write zip://MEMBER::URL-OF-THE-ARCHIVE") as caught:
        fsspec.open("zip://member").open()
    assert caught.value.filename == os.getcwd()


def test_what_zipfile_refuses_leaves_the_archive_alone(path):
    with pytest.raises(NotImplementedError):
        ZipFileSystem(path, "w", compression=77)
    assert ZipFileSystem(path).cat("top") == TREE["top"]


def test_without_zip64_members_are_no_larger_for_it(tmp_path):
    sizes = []
    for allowed in (True, False):
        path = tmp_path / f"{allowed}.zip"
        fs = ZipFileSystem(str(path), "w", allowZip64=allowed)
        with fs.open("x", "wb") as f:
            f.write(b"1")
        fs.close()
        sizes.append(path.stat().st_size)
        assert ZipFileSystem(str(path)).cat("x") == b"1"
    assert sizes[0] == sizes[1] + 20


def test_the_archive_is_finished_when_it_is_dropped(tmp_path):
    path = tmp_path / "made.zip"
    with fsspec.open(f"zip://x::{path}", "wb", zip={"mode": "w"}) as f:
        f.write(b"data")
    del f
    with fsspec.open(f"zip://x::{path}") as f:
        assert f.read() == b"data"


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_the_archive_is_whole_after_the_block(m, mode):
    """Although the variable still holds the member's file."""
    with fsspec.open("zip://nut::memory://w.zip", mode, zip={"mode": "w"}) as f:
        f.write(b"kernel" if mode == "wb" else "kernel")
    with fsspec.open("zip://nut::memory://w.zip") as g:
        assert g.read() == b"kernel"
    assert f.closed


def test_an_archive_is_whole_when_filesystem_and_member_are_done_with(tmp_path):
    fs = ZipFileSystem(str(tmp_path / "w.zip"), "w")
    with fs.open("nut", "wb") as f:
        f.write(b"kernel")
        del fs  # the member keeps it
    assert ZipFileSystem(str(tmp_path / "w.zip")).cat("nut") == b"kernel"
    assert "nut" in repr(f) and "w.zip" in repr(f)


def test_doubled_slashes_leave_no_member_out(tmp_path):
    fs = fsspec.filesystem("zip", fo=io.BytesIO(zipped({"barn//hay": b"1", "yard/hen": b"2"})))
    assert fs.cat(fs.find("")) == {"barn//hay": b"1", "yard/hen": b"2"}
    fs.get("", str(tmp_path), recursive=True)
    assert (tmp_path / "barn/hay").read_bytes() == b"1"


def test_a_gzip_file_in_an_archive_holds_no_name(tmp_path):
    """What is written depends on what is given, not on what the member is called."""
    written = []
    for name in ("a", "longer/name"):
        fs = ZipFileSystem(str(tmp_path / "z.zip"), mode="w")
        with fs.open(name, "wb") as f:
            with gzip.GzipFile(fileobj=f, mode="wb", mtime=0) as packed:
                packed.write(b"content")
        fs.close()
        written.append(ZipFileSystem(str(tmp_path / "z.zip"), skip_instance_cache=True).cat(name))
    assert written[0] == written[1]


def test_an_archive_that_is_written_cannot_be_pickled(tmp_path):
    fs = ZipFileSystem(str(tmp_path / "made.zip"), "w")
    with pytest.raises(RuntimeError, match="being written"):
        pickle.dumps(fs)


def test_members_are_added_at_the_end_or_not_at_all(tmp_path):
    """Members are added at the end, or not at all."""
    fs = ZipFileSystem(str(tmp_path / "made.zip"), "w")
    with fs.transaction:
        with fs.open("big", "wb") as f:
            f.write(b"1" * 2**21)
        fs.pipe("piped", b"2")
        fs.touch("touched")
        with fs.open("text", "w") as f:
            f.write("text")
        assert fs.find("") == [] and f.closed
    with pytest.raises(KeyError):
        with fs.transaction:
            fs.pipe("dropped", b"1")
            raise KeyError
    with fs.open("at once", "wb", autocommit=False) as f:  # there is no transaction to wait for
        f.write(b"3")
    assert fs.exists("at once")
    fs.close()
    with zipfile.ZipFile(tmp_path / "made.zip") as z:
        assert z.namelist() == ["big", "piped", "touched", "text", "at once"]
        assert z.testzip() is None and z.read("big") == b"1" * 2**21 and z.read("at once") == b"3"


@pytest.mark.parametrize("mode", ["ab", "r+b", "xb"])
def test_modes_of_members(fs, mode):
    with pytest.raises(ValueError, match="'rb' or 'wb'"):
        fs.open("top", mode)


def test_an_archive_that_is_read_is_not_written(fs):
    there = fs.find("")[0]
    for act in (lambda: fs.open("new", "wb"), lambda: fs.pipe("new", b""), lambda: fs.pipe(there, b"")):
        for kind in (OSError, ValueError):
            with pytest.raises(kind, match="open for reading"):
                act()
    with pytest.raises(ValueError, match="'q'.*r, w, a, x"):
        ZipFileSystem(io.BytesIO(), "q")


# over the network --------------------------------------------------------------------
def test_an_archive_on_a_web_server_is_read(http_server):
    pytest.importorskip("aiohttp")
    http_server.files["/x.zip"] = zipped(TREE)
    with fsspec.open(f"zip://a/b.txt::{http_server.url}/x.zip", "r") as f:
        assert f.read() == TREE["a/b.txt"].decode()
    with fsspec.open_files(f"zip://a/**::{http_server.url}/x.zip?token=SECRET") as files:
        assert [f.read() for f in files] == [TREE["a/b.txt"], TREE["a/c/d"]]
    http_server.files["/x.zip"] = zipped(TREE)[:-10]
    with pytest.raises(zipfile.BadZipFile) as caught:
        fsspec.filesystem("zip", fo=f"{http_server.url}/x.zip?token=SECRET")
    assert "x.zip" in str(caught.value) and "SECRET" not in str(caught.value)


def test_a_directory_that_is_small_is_fetched_together(http_server):
    http_server.files["/x.zip"] = zipped({f"f{i}": bytes(5000) for i in range(200)}, zipfile.ZIP_STORED)
    fs = fsspec.filesystem("zip", fo=f"{http_server.url}/x.zip")
    assert len(fs.find("")) == 200
    assert len(http_server.requests) <= 2


# bad input ---------------------------------------------------------------------------
@pytest.mark.parametrize("cut", [1, 10, 22, 60, 200])
def test_an_archive_that_was_cut_off_is_named_in_the_error(tmp_path, cut):
    path = tmp_path / "cut.zip"
    path.write_bytes(zipped(TREE)[:-cut])
    with pytest.raises(zipfile.BadZipFile, match="cut.zip") as caught:
        ZipFileSystem(str(path))
    assert isinstance(caught.value, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_damaged_in_any_byte(tmp_path):
    """Whatever is wrong, what is raised says so; bytes that are read are right, or no error is missing."""
    tree = {"a/b": b"1234567890" * 5, "c": b"xyz"}
    whole = zipped(tree)
    path = tmp_path / "bad.zip"
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            fs = ZipFileSystem(str(path))
            found = {name: fs.cat_file(name) for name in fs.find("")}
        except (ValueError, OSError, NotImplementedError, RuntimeError) as error:
            assert "bad.zip" in str(error) or isinstance(error, NotImplementedError), (at, repr(error))
        else:
            assert set(found.values()) <= set(tree.values()), at


def test_a_wrong_checksum_raises(tmp_path):
    whole = bytearray(zipped({"x": b"0123456789" * 10, "y": b"fine"}, zipfile.ZIP_STORED))
    whole[whole.find(b"0123") + 50] ^= 1
    path = tmp_path / "crc.zip"
    path.write_bytes(whole)
    fs = ZipFileSystem(str(path))
    for act in (lambda: fs.cat("x"), lambda: fs.get("x", str(tmp_path / "got"))):
        with pytest.raises(zipfile.BadZipFile, match="'x'.*crc.zip.*CRC"):
            act()
    assert not os.path.exists(tmp_path / "got") and fs.cat("y") == b"fine"


def test_an_encrypted_member_says_how_to_read_it(tmp_path):
    path = tmp_path / "secret.zip"
    path.write_bytes(ENCRYPTED)
    fs = ZipFileSystem(str(path))
    assert fs.find("") == ["hidden.txt"]
    with pytest.raises(RuntimeError, match="'hidden.txt'.*secret.zip.*setpassword"):
        fs.cat("hidden.txt")
    fs.zip.setpassword(b"secret")
    assert fs.cat("hidden.txt") == b"hidden text\n"


def test_a_file_opened_as_text_is_refused(path):
    with open(path, encoding="latin-1") as f, pytest.raises(ValueError, match="x.zip.*'rb'"):
        ZipFileSystem(f)


def test_a_missing_archive_is_named_in_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nope.zip"):
        ZipFileSystem(str(tmp_path / "nope.zip"))


@pytest.mark.parametrize("evil", ["../out", "/abs/out", "a/../../out", "a/../x"])
def test_names_that_lead_out_are_read_but_not_unpacked(tmp_path, evil):
    (tmp_path / "evil.zip").write_bytes(zipped({"good": b"1", evil: b"evil"}))
    fs = ZipFileSystem(str(tmp_path / "evil.zip"))
    names = fs.find("")
    assert len(names) == 2 and sorted(fs.cat(names).values()) == [b"1", b"evil"]
    target = tmp_path / "deep" / "target"
    for act in (
        lambda: fs.get("", str(target), recursive=True),
        lambda: fs.get(names, str(target) + "/"),
        lambda: fs.get("**", str(target) + "/"),
    ):
        with pytest.raises(ValueError) as caught:
            act()
        assert evil in str(caught.value) and "evil.zip" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.zip"]
    fs.get("good", str(target / "good"))
    assert (target / "good").read_bytes() == b"1"


def test_an_archive_without_members_has_a_root(tmp_path):
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    fs = ZipFileSystem(str(tmp_path / "empty.zip"))
    assert fs.exists("") and fs.isdir("") and fs.info("")["type"] == "directory" and fs.ls("") == []
    written = ZipFileSystem(str(tmp_path / "written.zip"), mode="w")
    assert written.exists("") and written.glob("/") == [""]
    written.close()


def test_entries_are_found_in_the_order_of_the_archive(tmp_path):
    """Behind the folders that only lead to members; names alone are sorted."""
    names = ["ab/z", "ab/-/x", "top", "dir/", "ab/a"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    fs = fsspec.filesystem("zip", fo=str(tmp_path / "a.zip"))
    assert list(fs.find("", detail=True)) == ["ab/z", "ab/-/x", "top", "ab/a"]
    assert list(fs.find("ab/", maxdepth=1, detail=True)) == ["ab/z", "ab/a"]
    found = fs.find("", detail=True, withdirs=True)
    assert list(found) == ["ab", "ab/-", "ab/z", "ab/-/x", "top", "dir", "ab/a"]
    assert fs.find("", withdirs=True) == sorted(found)


@pytest.mark.parametrize("source", ["x", "*"])
@pytest.mark.parametrize("protocol", ["zip", "tar"])
def test_an_empty_folder_is_unpacked_by_its_name(tmp_path, protocol, source):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("x/", b"")
    with tarfile.open(tmp_path / "a.tar", "w") as t:
        t.add(tmp_path, "x", recursive=False)
    fs = fsspec.filesystem(protocol, fo=str(tmp_path / f"a.{protocol}"))
    fs.get(source, str(tmp_path / "out") + "/", recursive=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x"]


def test_listings_by_url(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as z:
        z.writestr("d/x", b"1")
    with tarfile.open(tmp_path / "x.tar", "w") as t:
        t.add(tmp_path / "x.zip", "d/x")
    for kind in ("zip", "tar"):
        fs = fsspec.filesystem(kind, fo=str(tmp_path / f"x.{kind}"))
        for path in f"{kind}://d", "/d":
            assert fs.ls(path, detail=False) == ["d/x"] and "x" in fs.tree(path)
            assert [entry["name"] for entry in fs.listdir(path)] == ["d/x"]
    assert fs.isfile("d//x") and fs.find("d//x") == ["d/x"]


def test_flush_of_a_closed_member(tmp_path):
    fs = fsspec.filesystem("zip", fo=str(tmp_path / "x.zip"), mode="w")
    with fs.open("a", "wb") as f:
        f.write(b"1")
        f.flush()
    with pytest.raises(ValueError, match="closed"):
        f.flush()
    fs.close()


def test_where_an_archive_cannot_be_added_to_the_error_tells_the_ways_out(http_server):
    http_server.files["/x.zip"] = zipped(TREE)
    url = http_server.url + "/x.zip"
    with pytest.raises(NotImplementedError, match=f"mode='a'.*{url}.*simplecache::"):
        fsspec.filesystem("zip", fo=url, mode="a")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize("there", [False, True])
def test_who_writes_into_a_chain_without_a_mode_is_told_of_it(there, path, m):
    m.pipe("/there.zip", zipped(TREE))
    for url in (
        ("memory://nope.zip", f"file://{path}.nope")
        if not there
        else (f"file://{path}", "memory://there.zip")
    ):
        with pytest.raises(OSError) as caught:
            fsspec.open(f"zip://new::{url}", "wb").open()
        told = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
        assert "zip={" in told and "'w'" in told.replace('"', "'")
    with pytest.raises(FileNotFoundError) as caught:
        fsspec.open("zip://new::memory://nope.zip", "rb").open()
    assert not hasattr(caught.value, "__notes__")


def test_an_archive_that_is_opened_as_a_file_is_named_with_a_member(path):
    with pytest.raises(
        IsADirectoryError, match="x.zip' is a folder, and no member is named, such as 'a/b.txt'"
    ):
        fsspec.open(f"zip://::file://{path}").open()
