"""Files of this machine."""

import gzip
import os
import pickle
from pathlib import Path, PurePosixPath

import pytest

import fsspec
from fsspec.callbacks import Callback
from fsspec.implementations.local import LocalFileSystem, get_umask, make_path_posix
from fsspec.tests.programs import run

TEN = b"0123456789"


@pytest.fixture
def fs():
    return LocalFileSystem()


@pytest.fixture
def top(tmp_path):
    """A folder with a file of ten bytes and a folder with another."""
    (tmp_path / "ten").write_bytes(TEN)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/one").write_bytes(b"1")
    return tmp_path


def names(top):
    return sorted(p.relative_to(top).as_posix() for p in top.rglob("*"))


# paths -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "given", ["/a/b", "/a/b/", "file:///a/b", "local:///a/b/", "file:/a/b", PurePosixPath("/a/b")]
)
def test_paths_are_absolute(fs, given):
    """Whatever they are given as."""
    assert fs._strip_protocol(given) == "/a/b"
    assert fs._strip_protocol([given, "/"]) == ["/a/b", "/"]


def test_relative_paths_and_home(fs, monkeypatch, tmp_path):
    """Of the current folder; of the user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    here = Path.cwd().as_posix()
    assert fs._strip_protocol("a") == fs._strip_protocol("./a") == f"{here}/a"
    assert make_path_posix("") == make_path_posix(".") == here
    assert make_path_posix(["~/a", "b"]) == ["/home/somebody/a", f"{here}/b"]
    assert fs.unstrip_protocol("a") == f"file://{here}/a"
    with pytest.raises(TypeError):
        make_path_posix(5)


@pytest.mark.parametrize("path", [None, 5, b"/tmp"])
def test_what_is_no_path(fs, path):
    """An error, and no file of that name."""
    with pytest.raises((TypeError, AttributeError)):
        fs.info(path)
    with pytest.raises((TypeError, AttributeError)):
        fs.open(path, "wb")


def test_protocol_is_taken_off_by_every_operation(fs, top):
    """Links and permissions as well."""
    url = f"file://{top}/ten"
    fs.chmod(url, 0o600)
    assert fs.lexists(url) and fs.exists(url) and fs.isfile(url) and not fs.islink(url)
    fs.symlink(url, f"file://{top}/link")
    fs.link(url, f"file://{top}/hard")
    assert fs.islink(f"file://{top}/link") and fs.info(f"file://{top}/hard")["nlink"] == 2
    assert fs.cat(url) == TEN and fs.size(url) == 10


# entries -----------------------------------------------------------------------------
def test_entries_of_links_say_what_lies_behind(fs, top):
    """In a listing as alone; one that leads nowhere is listed, and is not there."""
    (top / "link").symlink_to("ten")
    (top / "folder").symlink_to("sub")
    (top / "dead").symlink_to("nowhere")
    listed = {entry["name"].rpartition("/")[2]: entry for entry in fs.ls(str(top), detail=True)}
    assert (listed["link"]["type"], listed["link"]["size"], listed["link"]["islink"]) == ("file", 10, True)
    assert listed["folder"]["type"] == "directory" and listed["link"]["destination"] == "ten"
    for name in ("link", "folder", "ten", "sub"):
        assert fs.info(f"{top}/{name}") == listed[name]
    assert fs.lexists(f"{top}/dead") and not fs.exists(f"{top}/dead")
    with pytest.raises(FileNotFoundError, match="dead"):
        fs.info(f"{top}/dead")


def test_find_does_not_run_in_circles(fs, top):
    """A link to a folder above is no folder to go into; others are."""
    (top / "sub/up").symlink_to("..")
    (top / "other").symlink_to("sub")
    assert [p[len(str(top)) :] for p in fs.find(str(top))] == ["/other/one", "/sub/one", "/ten"]
    assert fs.find(f"{top}/ten") == [f"{top}/ten"] and fs.find(f"{top}/none") == []


@pytest.mark.parametrize("through", ["real", "link"])
def test_no_walk_runs_in_circles(fs, tmp_path, through):
    """Two links that lead to each other's folders, in a tree that is itself reached by a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    top = tmp_path / through
    for here, there in ("ab", "ba"):
        (top / here).mkdir(exist_ok=True)
        (top / here / f"to{there}").symlink_to(f"../{there}")
        (top / here / f"file{here}").write_bytes(b"1")
    wanted = ["/a/filea", "/a/tob/fileb", "/b/fileb", "/b/toa/filea"]
    for found in (fs.find(str(top)), fs.find(str(top), maxdepth=99), fs.glob(f"{top}/**/file*")):
        assert [p[len(str(top)) :] for p in found] == wanted
    for topdown in (True, False):
        walked = [(p, d) for p, d, _ in fs.walk(str(top), topdown=topdown)]
        assert sorted(p[len(str(top)) :] for p, _ in walked) == ["", "/a", "/a/tob", "/b", "/b/toa"]
        assert dict(walked)[f"{top}/a/tob"] == ["toa"]  # told of, not gone into
    assert fs.du(str(top)) == 4


def test_odd_names(fs, top):
    """Every name the system takes."""
    for name in ("a b", "é", "new\nline", "[x]", "*", "#", "%41", "~"):
        fs.pipe_file(f"{top}/{name}", name.encode())
        assert fs.cat_file(f"{top}/{name}") == name.encode() and (top / name).exists()
    fs.rm_file(f"{top}/*")
    assert (top / "ten").exists()


# missing and in the way --------------------------------------------------------------
@pytest.mark.parametrize(
    "act",
    [
        lambda fs, p: fs.info(p),
        lambda fs, p: fs.ls(p),
        lambda fs, p: fs.cat_file(p),
        lambda fs, p: fs.open(p),
        lambda fs, p: fs.rm(p),
        lambda fs, p: fs.rm(p, recursive=True),
        lambda fs, p: fs.rm_file(p),
        lambda fs, p: fs.mv(p, p + "2"),
        lambda fs, p: fs.cp_file(p, p + "2"),
        lambda fs, p: fs.get_file(p, p + "2"),
        lambda fs, p: fs.put_file(p, p + "2"),
        lambda fs, p: fs.rmdir(p),
        lambda fs, p: fs.open(p + "/below", "wb"),
        lambda fs, p: fs.touch(p + "/below"),
    ],
)
def test_missing(fs, top, act):
    """The error names the path, and nothing comes into being."""
    before = names(top)
    with pytest.raises(FileNotFoundError, match="missing"):
        act(fs, f"{top}/missing")
    assert names(top) == before


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda fs, top: fs.cat_file(f"{top}/sub"), IsADirectoryError),
        (lambda fs, top: fs.open(f"{top}/sub"), IsADirectoryError),
        (lambda fs, top: fs.open(f"{top}/sub", "wb"), IsADirectoryError),
        (lambda fs, top: fs.rm(f"{top}/sub"), ValueError),
        (lambda fs, top: fs.rm_file(f"{top}/sub"), IsADirectoryError),
        (lambda fs, top: fs.rmdir(f"{top}/sub"), OSError),
        (lambda fs, top: fs.mkdir(f"{top}/sub"), FileExistsError),
        (lambda fs, top: fs.mkdir(f"{top}/ten"), FileExistsError),
        (lambda fs, top: fs.makedirs(f"{top}/sub"), FileExistsError),
        (lambda fs, top: fs.makedirs(f"{top}/ten", exist_ok=True), FileExistsError),
        (lambda fs, top: fs.mkdir(f"{top}/a/b", create_parents=False), FileNotFoundError),
        (lambda fs, top: fs.open(f"{top}/ten", "xb"), FileExistsError),
        (lambda fs, top: fs.open(f"{top}/ten/x", "wb"), NotADirectoryError),
        (lambda fs, top: fs.put_file(f"{top}/ten", f"{top}/sub/one", mode="create"), FileExistsError),
        (lambda fs, top: fs.pipe_file(f"{top}/ten", b"x", mode="create"), FileExistsError),
        (lambda fs, top: fs.pipe_file(f"{top}/ten", "text"), TypeError),
        (lambda fs, top: fs.pipe_file(f"{top}/new", None), TypeError),
        (lambda fs, top: fs.open(f"{top}/ten", "q"), ValueError),
        (lambda fs, top: fs.open(f"{top}/ten", "rwb"), ValueError),
        (lambda fs, top: fs.open(f"{top}/ten", compression="nonsense"), ValueError),
        (lambda fs, top: fs.open(f"{top}/t\0n"), ValueError),
        (lambda fs, top: fs.find(str(top), maxdepth=0), ValueError),
        (lambda fs, top: fs.mv(f"{top}/sub", f"{top}/sub/inner"), OSError),
        (lambda fs, top: fs.cp_file(f"{top}/ten", f"{top}/ten"), OSError),
    ],
)
def test_what_cannot_be_done_changes_nothing(fs, top, act, error):
    """Neither what is there nor what is not."""
    before = {p: p.read_bytes() for p in top.rglob("*") if p.is_file()}
    with pytest.raises(error):
        act(fs, top)
    assert {p: p.read_bytes() for p in top.rglob("*") if p.is_file()} == before


# whole files -------------------------------------------------------------------------
@pytest.mark.parametrize("start", [None, 0, 3, 8, 10, 50, -3, -50])
@pytest.mark.parametrize("end", [None, 0, 3, 8, 10, 50, -5, -50])
def test_ranges_are_slices(fs, top, start, end):
    """Also where they are empty, turned round, or beyond the end."""
    assert fs.cat_file(f"{top}/ten", start, end) == TEN[start:end]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc")
def test_files_that_hide_their_size(fs):
    """They are read until they end."""
    path = "/proc/self/status"
    assert fs.cat_file(path, 0, 5) == fs.cat_file(path)[:5] == b"Name:"
    with fs.open(path) as f:
        assert f.read(5) == b"Name:"


def test_remove(fs, top, monkeypatch):
    """Trees when told to, links and not what they lead to, patterns, and never where we are."""
    (top / "link").symlink_to("sub")
    fs.rm(f"{top}/link", recursive=True)
    assert names(top) == ["sub", "sub/one", "ten"]
    monkeypatch.chdir(top / "sub")
    with pytest.raises(ValueError, match="current folder"):
        fs.rm(".", recursive=True)
    fs.rm([f"{top}/t*", f"{top}/sub/o?e"])
    assert names(top) == ["sub"]


def test_callbacks_are_told(fs, top):
    """The size, and that all of it came."""

    class Telling(Callback):
        seen = []

        def call(self, *args, **kwargs):
            self.seen.append((self.size, self.value))

    for transfer in (fs.get_file, fs.put_file):
        callback = Telling()
        transfer(f"{top}/ten", f"{top}/copy", callback=callback)
        assert (callback.size, callback.value) == (10, 10)


# handles -----------------------------------------------------------------------------
def test_modes(fs, top):
    """Each with a position of its own, as the built-in ``open``."""
    path = f"{top}/ten"
    with fs.open(path, "r+b") as f:
        assert (f.readable(), f.writable(), f.seekable()) == (True, True, True)
        f.seek(2)
        f.write(b"XX")
        f.seek(0)
        assert f.read() == b"01XX456789"
    with fs.open(path, "ab") as f:
        assert (f.tell(), f.readable(), f.writable()) == (10, False, True)
        f.write(b"!")
    with fs.open(path, "wb") as f:
        assert not f.readable()
        f.write(b"abcdef")
        f.truncate(3)
    with fs.open(path) as f:
        assert not f.writable() and f.size == 3
        assert f.seek(100) == 100 and f.read() == b""
        with pytest.raises(ValueError):
            f.seek(-1)
        with pytest.raises(OSError):
            f.write(b"x")
    assert f.closed
    with pytest.raises(ValueError, match="closed"):
        f.read()


def test_compression(fs, top):
    """By name or by the extension."""
    (top / "x.gz").write_bytes(gzip.compress(b"packed"))
    for how in ("gzip", "infer"):
        with fs.open(f"{top}/x.gz", compression=how) as f:
            assert f.read() == b"packed"


def test_commit_and_discard(fs, top):
    """Under another name until then; permissions are kept, or those of a new file."""
    os.chmod(top / "ten", 0o640)
    for path, mode in ((f"{top}/ten", 0o640), (f"{top}/new", get_umask())):
        with fs.open(path, "wb", autocommit=False) as f:
            f.write(b"later")
        assert not fs.exists(path) or fs.cat(path) == TEN
        f.commit()
        assert fs.cat(path) == b"later" and fs.info(path)["mode"] & 0o777 == mode
    with fs.open(f"{top}/gone", "wb", autocommit=False) as f:
        f.write(b"never")
    f.discard()
    f.discard()
    assert not os.path.exists(f.temp) and not fs.exists(f"{top}/gone")
    with pytest.raises(RuntimeError, match="autocommit"):
        fs.open(f"{top}/ten").commit()


def test_transaction_that_fails_leaves_all_as_it_was(fs, top):
    """Or makes all of it."""
    with pytest.raises(KeyError):
        with fs.transaction:
            fs.pipe_file(f"{top}/ten", b"new")
            fs.pipe_file(f"{top}/more", b"new")
            raise KeyError
    assert names(top) == ["sub", "sub/one", "ten"] and fs.cat(f"{top}/ten") == TEN
    with fs.transaction:
        fs.pipe_file(f"{top}/ten", b"new")
    assert fs.cat(f"{top}/ten") == b"new"


def test_pickle(fs, top):
    """A reader goes on where it was; a writer stays here."""
    with fs.open(f"{top}/ten") as f:
        f.seek(4)
        with pickle.loads(pickle.dumps(f)) as back:
            assert back.read(2) == b"45" and f.read(1) == b"4"
    with fs.open(f"{top}/new", "wb") as f:
        with pytest.raises(ValueError, match="being written"):
            pickle.dumps(f)


# forks -------------------------------------------------------------------------------
def test_parent_and_child_read_and_write_each_for_themselves(top):
    """Positions are not shared, and what the parent has buffered is written once."""
    found = run(
        f"""
        import fsspec
        from fsspec._fork.child import by_fork
        from fsspec.exceptions import ForkError
        fs = fsspec.filesystem("file")
        reader = fs.open({str(top / "ten")!r}, "rb")
        writer = fs.open({str(top / "out")!r}, "wb")
        pending = fs.open({str(top / "later")!r}, "wb", autocommit=False)
        reader.read(3); writer.write(b"parent"); pending.write(b"parent")
        def body():
            assert reader.read(3) == b"345" and reader.seek(0) == 0
            for refused in (lambda: writer.write(b"x"), lambda: writer.truncate(0), pending.commit):
                try:
                    refused()
                except ForkError as error:
                    assert "anew" in str(error)
                else:
                    raise AssertionError("not refused")
            pending.discard()
            writer.close(); pending.close(); reader.close()
        for act in (body, lambda: None):
            report = by_fork(act)
            assert report.problem() == "", report.problem()
        assert reader.read(3) == b"345"
        writer.write(b" more"); writer.close(); pending.close(); pending.commit(); reader.close()
        print(fs.cat_file({str(top / "out")!r}), fs.cat_file({str(top / "later")!r}))
        """
    )
    assert found == "b'parent more' b'parent'\n"


def test_current_instance():
    """The same arguments give the same one."""
    assert fsspec.filesystem("file") is fsspec.filesystem("local")
    assert fsspec.filesystem("file") is not fsspec.filesystem("file", auto_mkdir=True)
