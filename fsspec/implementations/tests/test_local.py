"""Files of this machine."""

import errno
import gc
import gzip
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
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
    assert make_path_posix("") == make_path_posix(".") == make_path_posix("./") == f"{here}/"
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


def test_an_empty_path_is_not_the_working_directory_for_what_asks_the_system(fs, top, monkeypatch):
    monkeypatch.chdir(top)
    mode = os.stat(top).st_mode
    with pytest.raises(FileNotFoundError):
        fs.chmod("", 0o500)
    assert os.stat(top).st_mode == mode and not fs.lexists("")


def test_lexists_with_a_slash_at_the_end_is_of_folders(fs, top):
    assert fs.lexists(f"{top}/ten") and not fs.lexists(f"{top}/ten/")
    assert fs.lexists(top) and fs.lexists(f"{top}/") and not fs.lexists(f"{top}/no/")


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
def test_du_counts_a_link_that_leads_nowhere_as_nothing(fs, tmp_path):
    (tmp_path / "file").write_bytes(b"22")
    (tmp_path / "dead").symlink_to("nowhere")
    assert fs.du(str(tmp_path), total=False) == {str(tmp_path / "dead"): 0, str(tmp_path / "file"): 2}
    assert fs.du(str(tmp_path)) == fs.disk_usage(str(tmp_path)) == 2


def test_entries_of_links_say_what_lies_behind(fs, top):
    """In a listing as alone, but for links to folders; one that leads nowhere is listed, and is not there."""
    (top / "link").symlink_to("ten")
    (top / "folder").symlink_to("sub")
    (top / "dead").symlink_to("nowhere")
    listed = {entry["name"].rpartition("/")[2]: entry for entry in fs.ls(str(top), detail=True)}
    assert (listed["link"]["type"], listed["link"]["size"], listed["link"]["islink"]) == ("file", 10, True)
    assert listed["folder"]["type"] == "other" and listed["link"]["destination"] == "ten"
    for name, target in (("link", "ten"), ("folder", "sub"), ("ten", "ten"), ("sub", "sub")):
        os.utime(top / target, (1, 2))
        behind = fs.info(f"{top}/{target}")
        own = {"name": f"{top}/{name}", "islink": name != target}
        own |= {"destination": target} if name != target else {}
        assert fs.info(f"{top}/{name}") == {**behind, **own}  # times and permissions as well
        assert listed[name]["ino"] == os.lstat(top / name).st_ino
    assert fs.modified(f"{top}/link").timestamp() == 2
    assert fs.lexists(f"{top}/dead") and not fs.exists(f"{top}/dead")
    with pytest.raises(FileNotFoundError, match="dead"):
        fs.info(f"{top}/dead")
    with os.scandir(top) as found:
        assert {item.name: fs.info(item)["type"] for item in found if item.is_symlink()} == {
            "link": "file",
            "folder": "other",
            "dead": "other",
        }


@pytest.mark.parametrize("through", ["real", "link"])
def test_walks_do_not_go_through_links(fs, tmp_path, through):
    """They are told of, and no folders; the path that is asked for may be one."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    top = tmp_path / through
    for here, there in ("ab", "ba"):
        (top / here).mkdir(exist_ok=True)
        (top / here / f"to{there}").symlink_to(f"../{there}")
        (top / here / f"file{here}").write_bytes(b"1")
    wanted = ["/a/filea", "/a/tob", "/b/fileb", "/b/toa"]
    for found in (fs.find(str(top)), fs.find(str(top), maxdepth=99), fs.glob(f"{top}/**/[ft]*")):
        assert [p[len(str(top)) :] for p in found] == wanted
    for topdown in (True, False):
        walked = {p[len(str(top)) :]: (d, sorted(f)) for p, d, f in fs.walk(str(top), topdown=topdown)}
        assert sorted(walked) == ["", "/a", "/b"] and walked["/a"] == ([], ["filea", "tob"])
    assert fs.glob(f"{top}/*/*/*") == [] and fs.find(f"{top}/a/tob") == [
        f"{top}/a/tob/fileb",
        f"{top}/a/tob/toa",
    ]


def test_nothing_is_found_below_a_file(fs, top):
    path = f"{top}/ten/in"
    for withdirs in (True, False):
        assert fs.find(path, withdirs=withdirs) == [] and fs.find(path, withdirs=withdirs, detail=True) == {}
    assert fs.find(f"{top}/ten") == [f"{top}/ten"] and fs.find(f"{top}/none") == []
    for detail in (True, False):
        with pytest.raises(NotADirectoryError):
            fs.ls(path, detail=detail)
    for paths in (path, [path, f"{top}/none"]):
        with pytest.raises(FileNotFoundError):
            fs.expand_path(paths, recursive=True)


def test_patterns_and_walks_without_detail_cost_no_stat(fs, top):
    """What they find is what they find with it."""
    (top / "sub/deep").mkdir()
    (top / "sub/deep/b1.csv").write_bytes(b"")
    (top / "link").symlink_to("sub")
    for pattern in ("*", "**", "*/*", "sub/*/b?.csv", "*/", "ten/*", "none/*", "**/b*", "ten", "[x]", "l*"):
        for depth in (None, 1, 2):
            assert fs.glob(f"{top}/{pattern}", maxdepth=depth) == list(
                fs.glob(f"{top}/{pattern}", maxdepth=depth, detail=True)
            )
    plain = {p: (sorted(d), sorted(f)) for p, d, f in fs.walk(str(top))}
    assert plain == {p: (sorted(d), sorted(f)) for p, d, f in fs.walk(str(top), detail=True)}
    assert [len(found[2]) for found in (fs.walk(f"{top}/ten").__next__(),)] == [1]


def test_every_name_that_the_system_takes_can_be_used(fs, top):
    """Every name the system takes."""
    for name in ("a b", "é", "new\nline", "[x]", "*", "#", "%41", "~"):
        fs.pipe_file(f"{top}/{name}", name.encode())
        assert fs.cat_file(f"{top}/{name}") == name.encode() and (top / name).exists()
    fs.rm_file(f"{top}/*")
    assert (top / "ten").exists()


def test_path_objects_are_what_their_text_is(fs, top):
    """They are what the text of them is."""
    (top / "tree").mkdir()
    (top / "tree" / "leaf").write_bytes(b"1")
    (top / "into").mkdir()
    fs.copy(top / "tree" / "leaf", top / "copied")
    fs.get(top / "tree" / "leaf", top / "got")
    fs.get(top / "tree", top / "into", recursive=True)
    fs.copy(top / "tree", top / "second", recursive=True)
    assert fs.glob(top / "go*") == [f"{top}/got"] and fs.du(top / "tree") == fs.du(f"{top}/tree/") == 1
    assert fs.cat(top / "copied") == fs.cat(top / "got") == fs.cat(top / "into" / "tree" / "leaf") == b"1"
    fs.chmod(f"{top}/got/", 0o600)
    fs.rm(f"{top}/got/")
    fs.rm([top / "copied"])
    fs.rm(top / "second", recursive=True)
    assert not (top / "got").exists() and not (top / "copied").exists() and not (top / "second").exists()


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
def test_what_is_missing_is_named_and_nothing_is_made(fs, top, act):
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


@pytest.fixture
def other_disk(monkeypatch):
    """Nothing can be moved by a rename; `os.replace` within a folder can."""

    def rename(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", rename)


def test_a_move_of_several_loses_none(fs, tmp_path):
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    fs.pipe({a: b"a", b: b"b"})
    for targets in ([b, a], [b, str(tmp_path / "c")], [b, str(tmp_path / "a" / "x")]):
        with pytest.raises(OSError, match="name another target"):
            fs.mv([a, b], targets)
    with pytest.raises(ValueError, match="several files at"):
        fs.mv([a, b], [str(tmp_path / "c")] * 2)
    assert fs.cat([a, b]) == {a: b"a", b: b"b"}
    fs.mv([a, b], [a, str(tmp_path / "c")])
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]


def test_a_move_to_another_disk_keeps_what_a_rename_does(fs, top, other_disk):
    (top / "ten").chmod(0o640)
    os.utime(top / "ten", (1, 2))
    (top / "old").write_bytes(b"old")
    for source, target in [("ten", "old"), ("old", "new"), ("sub", "there")]:
        fs.mv(f"{top}/{source}", f"{top}/{target}")
    assert names(top) == ["new", "there", "there/one"]
    found = (top / "new").stat()
    assert (top / "new").read_bytes() == TEN and found.st_mode & 0o777 == 0o640 and found.st_mtime == 2


def test_a_move_to_a_link_on_another_disk_that_leads_to_the_file_itself_loses_nothing(fs, top, other_disk):
    with open(f"{top}/a", "wb") as f:
        f.write(b"data")
    os.symlink(f"{top}/a", f"{top}/link")
    with pytest.raises(shutil.SameFileError):
        fs.mv(f"{top}/a", f"{top}/link")
    assert fs.cat_file(f"{top}/a") == fs.cat_file(f"{top}/link") == b"data"


def test_a_move_to_another_disk_that_is_full_leaves_the_target(fs, top, other_disk, monkeypatch):
    (top / "old").write_bytes(b"old")
    (top / "big").write_bytes(TEN * 10_000)

    def full(source, target, **kwargs):
        Path(target).write_bytes(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr(shutil, "copyfile", full)
    for target in ("old", "new"):
        with pytest.raises(OSError, match=f"No space.*/{target}'") as caught:
            fs.mv(f"{top}/big", f"{top}/{target}")
        assert caught.value.errno == errno.ENOSPC
    assert names(top) == ["big", "old", "sub", "sub/one", "ten"]
    assert (top / "old").read_bytes() == b"old" and (top / "big").read_bytes() == TEN * 10_000


def test_trees_are_removed_when_told_to_and_links_only_themselves(fs, top, monkeypatch):
    """Trees when told to, links and not what they lead to, patterns, and never where we are."""
    (top / "link").symlink_to("sub")
    fs.rm(f"{top}/link", recursive=True)
    assert names(top) == ["sub", "sub/one", "ten"]
    monkeypatch.chdir(top / "sub")
    with pytest.raises(ValueError, match="Cannot delete current working directory"):
        fs.rm(".", recursive=True)
    fs.rm([f"{top}/t*", f"{top}/sub/o?e"])
    assert names(top) == ["sub"]


@pytest.mark.parametrize("pattern", ["*", "**"])
def test_patterns_remove_trees_or_nothing(fs, top, pattern):
    """A folder takes what is in it along; not recursive, nothing goes before it is refused."""
    (top / "sub/deep").mkdir()
    (top / "sub/deep/two").write_bytes(b"2")
    (top / "zip").write_bytes(b"")
    before = names(top)
    with pytest.raises(ValueError, match="set recursive=True"):
        fs.rm(f"{top}/{pattern}")
    with pytest.raises(ValueError, match="no maxdepth"):
        fs.rm(f"{top}/{pattern}", recursive=True, maxdepth=1)
    assert names(top) == before
    fs.rm(f"{top}/{pattern}", recursive=True)
    assert not top.exists() or names(top) == []


def test_a_list_is_removed_name_by_name(fs, top):
    """Up to what is refused, or not there."""
    (top / "zip").write_bytes(b"")
    with pytest.raises(ValueError, match="set recursive=True"):
        fs.rm([f"{top}/ten", f"{top}/sub", f"{top}/zip"])
    assert not (top / "ten").exists() and (top / "sub").exists() and (top / "zip").exists()
    with pytest.raises(FileNotFoundError):
        fs.rm([f"{top}/zip", f"{top}/zip"])
    assert not (top / "zip").exists()


def test_names_with_brackets_are_removed_by_themselves(fs, top):
    for name in ("q[1]", "q1"):
        (top / name).write_bytes(b"")
    fs.rm(f"{top}/q[1]")
    assert (top / "q1").exists() and not (top / "q[1]").exists()
    fs.rm(f"{top}/q[1]")
    assert not (top / "q1").exists()


@pytest.mark.parametrize(
    "act",
    [
        lambda fs, root: fs.rm(root, recursive=True),
        lambda fs, root: fs.rm(f"{root}/*", recursive=True),
        lambda fs, root: fs.rm(f"{root}/**", recursive=True),
        lambda fs, root: fs.get_mapper(root).clear(),
        lambda fs, root: fs.get_mapper(root).delitems(list(fs.get_mapper(root))),
        lambda fs, root: fsspec.filesystem("dir", path=root, fs=fs).rm("*", recursive=True),
        lambda fs, root: fsspec.filesystem("async_wrapper", fs=fs).rm(root, recursive=True),
        lambda fs, root: fsspec.filesystem("generic").rm(f"file://{root}", recursive=True),
    ],
)
def test_nothing_is_removed_through_links(fs, tmp_path, act):
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "root/real").mkdir(parents=True)
    for path in ("outside/o", "outside/deep/p", "root/real/a"):
        (tmp_path / path).write_bytes(b"1")
    for path in ("root/link", "root/real/link"):
        (tmp_path / path).symlink_to(tmp_path / "outside")
    act(fs, f"{tmp_path}/root")
    assert names(tmp_path / "outside") == ["deep", "deep/p", "o"]
    assert not (tmp_path / "root/real/a").exists()


def test_callbacks_are_called(fs, top):
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
def test_files_are_opened_in_the_modes_of_the_built_in_open(fs, top):
    """Each with a position of its own, as the built-in ``open``."""
    path = f"{top}/ten"
    with fs.open(path, "r+b") as f:
        assert (f.readable(), f.writable(), f.seekable()) == (True, True, True)
        f.seek(2)
        f.write(b"XX")
        f.seek(0)
        assert f.read() == b"01XX456789"
    with fs.open(path, "ab") as f:
        # readable, as with upstream: uproot writes to no file that is not
        assert (f.tell(), f.readable(), f.writable()) == (10, True, True)
        f.write(b"!")
    with fs.open(path, "wb") as f:
        assert f.readable()
        with pytest.raises(io.UnsupportedOperation):
            f.read()
        f.write(b"abcdef")
        f.truncate(3)
    with fs.open(path) as f:
        assert not f.writable() and f.size == 3
        assert f.seek(100) == 100 and f.read() == b""
        with pytest.raises(OSError):
            f.seek(-1)
        with pytest.raises(OSError):
            f.write(b"x")
    assert f.closed
    with pytest.raises(ValueError, match="closed"):
        f.read()


@pytest.mark.parametrize("mode", ["rb", "r+b"])
def test_lines_all_at_once_and_some(fs, top, mode):
    """They are those of the built-in file, from wherever the position is, and so is that after them."""
    path = f"{top}/lines"
    with open(path, "wb") as made:
        made.write(b"one\ntwo\r\n\nfour\rstill\nlast")
    for before in (0, 1, 4, 100):
        for arguments in ((), (-1,), (None,), (0,), (5,)):
            with fs.open(path, mode) as f, open(path, mode) as builtin:
                assert f.read(before) == builtin.read(before)
                assert f.readlines(*arguments) == builtin.readlines(*arguments)
                assert f.tell() == builtin.tell() and f.readlines() == builtin.readlines()
    f = fs.open(path, mode)
    f.close()
    with pytest.raises(ValueError, match="closed"):
        f.readlines()
    with fs.open(path, "wb") as f, pytest.raises(io.UnsupportedOperation):
        f.readlines()


def test_reading_at_once_and_in_parts(fs, top):
    """The position is the same, however it was reached; so is what the file has become."""
    path = f"{top}/ten"
    with fs.open(path) as f:
        assert f.read() == TEN and f.tell() == 10 and f.read() == f.read(3) == b""
        with open(path, "ab") as other:
            other.write(b"more")
        assert f.read() == b"more" and f.seek(2) == 2 and f.read(3) == b"234" and f.read(None)[:2] == b"56"
    with fs.open(path) as f:
        with open(path, "ab") as other:
            other.write(b"!")
        assert f.read(-1) == TEN + b"more!" and f.fileno() >= 0
        assert f.size == 14  # as it was opened
    with fs.open(path) as f:
        os.truncate(path, 4)
        assert f.read() == b"0123" and f.read() == b""
    for touch in (lambda f: None, lambda f: f.read(), lambda f: f.read(1)):
        f = fs.open(path)
        touch(f)
        assert not f.closed
        f.close()
        f.close()
        for act in (f.read, lambda: f.read(1), lambda: f.seek(0), f.tell, f.readline):
            with pytest.raises(ValueError, match="closed"):
                act()
        assert f.closed


@pytest.mark.parametrize("mode", ["rb", "wb", "ab", "xb", "r+b", "r", "w"])
def test_closed_file_answers_as_a_builtin_one(fs, top, mode):
    """Not with the number of its descriptor, which may be another file's by then."""
    path = f"{top}/new" if mode == "xb" else f"{top}/ten"
    f = fs.open(path, mode)
    f.close()
    for act in (f.fileno, f.seekable, f.flush, f.tell):
        with pytest.raises(ValueError, match="closed"):
            act()
    with pytest.raises(io.UnsupportedOperation if mode == "rb" else ValueError):
        f.write("" if mode in ("r", "w") else b"")
    assert f.closed and f.name == path
    f.close()


def test_threads_that_touch_a_reader_first_share_it(fs, top):
    """None of them closes the descriptor of the others."""
    path = f"{top}/ten"
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    files = [fs.open(path) for _ in range(50)]
    try:
        for f in files:
            barrier = threading.Barrier(4)
            found = []

            def touch(f=f, barrier=barrier, found=found):
                barrier.wait()
                found.append(f.readline())

            threads = [threading.Thread(target=touch) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(found) == [b"", b"", b"", TEN]
    finally:
        sys.setswitchinterval(before)
    gc.collect()
    for f in files:
        assert f.seek(0) == 0 and f.read() == TEN
        f.close()


def test_file_below_can_be_taken_away(fs, top):
    """With its descriptor, which the handle does not close then."""
    f = fs.open(f"{top}/ten")
    raw = f.f.detach()
    f.f = None
    assert f.closed
    f.close()
    del f
    gc.collect()
    assert raw.read(3) == b"012"
    raw.close()


def test_a_codec_is_chosen_by_name_or_extension(fs, top):
    """By name or by the extension."""
    (top / "x.gz").write_bytes(gzip.compress(b"packed"))
    for how in ("gzip", "infer"):
        with fs.open(f"{top}/x.gz", compression=how) as f:
            assert f.read() == b"packed"


def test_commit_and_discard(fs, top):
    """Under another name until then; permissions are kept, or those of a new file."""
    os.chmod(top / "ten", 0o640)
    for path, mode in ((f"{top}/ten", 0o640), (f"{top}/new", 0o666 & ~get_umask())):
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
    for mode in ("rb", "r+b"):  # in its place already
        with (
            fs.open(f"{top}/ten", mode, autocommit=False) as f,
            pytest.raises(RuntimeError, match="autocommit"),
        ):
            f.commit()


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


def test_append_and_exclusive_in_a_transaction(fs, top):
    """What they write appears at its end, behind what others have appended by then."""
    with fs.transaction:
        with fs.open(f"{top}/ten", "ab") as f:
            assert f.tell() == 10
            f.write(b"!")
        with fs.open(f"{top}/log", "a") as f:
            f.write("line")
        with fs.open(f"{top}/new", "xb") as f:
            f.write(b"x")
        with pytest.raises(FileExistsError):
            fs.open(f"{top}/ten", "xb")
        assert names(top) == ["sub", "sub/one", "ten"] and fs.cat_file(f"{top}/ten") == TEN
        with open(top / "ten", "ab") as other:
            other.write(b"+")
    assert fs.cat([f"{top}/ten", f"{top}/log", f"{top}/new"]) == {
        f"{top}/ten": TEN + b"+!",
        f"{top}/log": b"line",
        f"{top}/new": b"x",
    }
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            for path, mode in ((f"{top}/ten", "ab"), (f"{top}/other", "xb")):
                with fs.open(path, mode) as f:
                    f.write(b"never")
            raise ZeroDivisionError
    assert fs.cat_file(f"{top}/ten") == TEN + b"+!" and not fs.exists(f"{top}/other")


@pytest.mark.parametrize("mode", ["wb", "w+b", "ab", "xb"])
def test_a_file_that_is_open_at_the_end_of_a_transaction_is_whole(fs, top, mode):
    """To commit it is to close it: nothing that was written is missing, nothing is added later."""
    with fs.transaction:
        f = fs.open(f"{top}/new", mode)
        f.write(b"all of it")
    assert f.closed and fs.cat_file(f"{top}/new") == b"all of it"
    with pytest.raises(ValueError, match="closed"):
        f.write(b"more")


@pytest.mark.parametrize("mode", ["wb", "r+b"])
def test_a_close_that_was_interrupted_is_finished_by_the_next(fs, top, mode):
    def interrupted():
        raise KeyboardInterrupt

    f = fs.open(f"{top}/sub/one", mode)
    f.write(b"new")
    raw = f.f.raw
    raw.close = interrupted
    with pytest.raises(KeyboardInterrupt):
        f.close()
    del raw.close
    f.close()
    assert f.closed and raw.closed and fs.cat_file(f"{top}/sub/one")[:3] == b"new"


@pytest.mark.parametrize("mode", ["wb", "ab", "xb", "w+b"])
def test_a_folder_is_no_file_to_write_later(fs, top, mode, monkeypatch):
    """It is refused at once, as without a transaction, and leaves no temporary file."""
    (top / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", f"{top}/tmp")
    for late in (False, True):
        with pytest.raises(OSError, match="(?m)sub'$") as reported:
            with fs.transaction:
                f = fs.open(f"{top}/{'new' if late else 'sub'}", mode)
                if late:  # there is a folder by the time that it is committed
                    f.path = f"{top}/sub"
        assert isinstance(reported.value, FileExistsError if mode == "xb" else IsADirectoryError)
    assert os.listdir(top / "tmp") == [] and (top / "sub/one").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_cannot_be_appended_to_later_leaves_no_temporary_file(fs, top, monkeypatch):
    (top / "tmp").mkdir()
    os.mkfifo(top / "pipe")
    monkeypatch.setattr("tempfile.tempdir", f"{top}/tmp")
    with pytest.raises(shutil.SpecialFileError):
        fs.open(f"{top}/pipe", "ab", autocommit=False)
    assert os.listdir(top / "tmp") == []


def test_exclusive_creation_in_a_transaction_overwrites_nothing(fs, top):
    """Neither what was there nor what came in between."""
    with pytest.raises(FileExistsError, match="new"):
        with fs.transaction:
            with fs.open(f"{top}/new", "xb") as f:
                f.write(b"mine")
            (top / "new").write_bytes(b"theirs")
    assert (top / "new").read_bytes() == b"theirs" and not os.path.exists(f.temp)


def test_put_file_in_mode_create_overwrites_nothing(fs, top):
    (top / "new").write_bytes(b"new")
    with pytest.raises(FileExistsError):
        fs.put_file(f"{top}/new", f"{top}/ten", mode="create")
    assert (top / "ten").read_bytes() == b"0123456789"
    fs.put_file(f"{top}/new", f"{top}/other", mode="create")
    assert (top / "other").read_bytes() == b"new"


def test_a_refusal_to_overwrite_names_the_whole_path(fs, top, monkeypatch):
    monkeypatch.chdir(top)
    with pytest.raises(FileExistsError) as reported:
        fs.put_file("sub/one", "./ten", mode="create")
    assert reported.value.filename == f"{top}/ten"


def test_folders_are_made_for_whatever_makes_a_file(top):
    """Not for reading, nor for changing what has to be there."""
    fs = LocalFileSystem(auto_mkdir=True)
    for mode in ("wb", "ab", "xb", "w", "a", "x", "w+b", "a+b", "x+b"):
        with fs.open(f"{top}/{mode}/n/f", mode) as f:
            f.write(b"1" if "b" in mode else "1")
    for mode in ("rb", "r+b"):
        with pytest.raises(FileNotFoundError):
            fs.open(f"{top}/none/f", mode)
    fs.cp_file(f"{top}/ten", f"{top}/cp/n/f")
    fs.pipe_file(f"{top}/pipe/n/f", b"1")
    fs.touch(f"{top}/touch/n/f")
    fs.mv(f"{top}/sub", f"{top}/mv/n/d")
    with fs.transaction:
        fs.pipe_file(f"{top}/tx/n/f", b"1")
    for name in ("wb", "xb", "a+b", "cp", "pipe", "touch", "tx"):
        assert (top / name / "n/f").exists()
    assert (top / "mv/n/d/one").read_bytes() == b"1" and not (top / "none").exists()


def test_the_umask_is_remembered_from_the_first_call(monkeypatch):
    """As it was at the first call."""
    before = os.umask(0o027)
    get_umask.cache_clear()
    try:
        assert get_umask() == 0o027 and os.umask(0o077) == 0o027
        assert get_umask() == 0o027 and get_umask.cache_info().hits == 1
    finally:
        os.umask(before)
        get_umask.cache_clear()


def test_a_pickled_reader_goes_on_where_it_was(fs, top):
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
        import fsspec, io
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        fs = fsspec.filesystem("file")
        reader = fs.open({str(top / "ten")!r}, "rb")
        writer = fs.open({str(top / "out")!r}, "wb")
        pending = fs.open({str(top / "later")!r}, "wb", autocommit=False)
        fresh, whole = fs.open({str(top / "ten")!r}, "rb"), fs.open({str(top / "ten")!r}, "rb")
        reader.read(3); writer.write(b"parent"); pending.write(b"parent"); whole.read()
        def body():
            assert reader.read(3) == b"345" and reader.seek(0) == 0
            assert fresh.read(2) == b"01" and fresh.read(2) == b"23" and whole.tell() == 10
            assert whole.seek(5) == 5 and whole.read() == b"56789"
            for wrong in (lambda: reader.write(b"x"), lambda: reader.truncate(0)):
                try:
                    wrong()
                except io.UnsupportedOperation:
                    pass
                else:
                    raise AssertionError("written to")
            fresh.close(); whole.close()
            for refused in (lambda: writer.write(b"x"), lambda: writer.truncate(0), pending.commit):
                try:
                    refused()
                except ForkError as error:
                    assert "open the file again" in str(error)
                else:
                    raise AssertionError("not refused")
            pending.discard()
            writer.close(); pending.close(); reader.close()
        for act in (body, lambda: None):
            report = by_fork(act)
            assert report.problem() == "", report.problem()
        assert reader.read(3) == b"345" and fresh.read(4) == b"0123" and whole.read() == b""
        fresh.close(); whole.close()
        writer.write(b" more"); writer.close(); pending.close(); pending.commit(); reader.close()
        print(fs.cat_file({str(top / "out")!r}), fs.cat_file({str(top / "later")!r}))
        """
    )
    assert found == "b'parent more' b'parent'\n"


def test_the_same_arguments_give_the_same_instance():
    """The same arguments give the same one."""
    assert fsspec.filesystem("file") is fsspec.filesystem("local")
    assert fsspec.filesystem("file") is not fsspec.filesystem("file", auto_mkdir=True)


def test_a_download_into_a_file_object_calls_the_callback(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    reported, out = Callback(), BytesIO()
    fsspec.filesystem("file").get_file(str(tmp_path / "a"), out, callback=reported)
    assert (out.getvalue(), reported.size, reported.value) == (b"12345", 5, 5)


def test_discard_after_commit_keeps_the_file(fs, top):
    with fs.transaction:
        f = fs.open(f"{top}/new", "wb")
        f.write(b"1")
        f.close()
    f.discard()
    assert fs.cat_file(f"{top}/new") == b"1"


def test_an_info_of_one_s_own_is_in_listings(tmp_path):
    class Noting(LocalFileSystem):
        def info(self, path, **kwargs):
            return {**super().info(path, **kwargs), "noted": True}

    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("nowhere")
    fs = Noting(skip_instance_cache=True)
    entries = [*fs.ls(tmp_path, detail=True), *fs.ls(tmp_path / "sub/file", detail=True)]
    for found in (fs.find(tmp_path, withdirs=True, detail=True), fs.glob(f"{tmp_path}/*", detail=True)):
        entries += found.values()
    assert len(entries) == 2 + 1 + 4 + 2 and all(entry["noted"] for entry in entries)


def test_what_several_patterns_match_is_removed_once(tmp_path):
    for name in ("p1", "p2", "q"):
        (tmp_path / name).write_bytes(b"")
    LocalFileSystem().rm([f"{tmp_path.as_posix()}/{pattern}" for pattern in ("p1", "p*", "[p]*", "q")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["wb", "rb", "ab", "r+b", "w+b", "a+b"])
def test_what_is_detached_has_the_mode_of_a_file_of_io(mode, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    f = LocalFileSystem().open((tmp_path / "a").as_posix(), mode)
    raw = f.detach()
    with io.open(tmp_path / "a", mode, buffering=0) as plain:
        assert raw.mode == plain.mode
    raw.close()


@pytest.mark.parametrize(
    "given, message",
    [
        ("s3:/bucket/f", "is s3://bucket/f meant"),
        ("https:/host/f", "is https://host/f meant"),
        ("filecache::", "a URL is needed after '::'"),
        ("simplecache::", "a URL is needed after '::'"),
        ("simplecache::::memory://x", "a URL is needed after '::'"),
        ("dir::", "a URL is needed after '::'"),
    ],
)
def test_a_missing_file_that_looks_like_a_url(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message) as caught:
        fsspec.open(given).open()
    assert caught.value.errno == errno.ENOENT and caught.value.filename.startswith(str(tmp_path))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_file_that_looks_like_a_url_suggests_the_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "f").write_bytes(b"here")
    with fsspec.open("s3:/f") as f:
        assert f.read() == b"here"
    with pytest.raises(FileNotFoundError, match="directory: "):
        fsspec.open("other:/f").open()


@pytest.mark.skipif(not hasattr(os, "pread"), reason="files are read through a buffer of Python's there")
def test_text_is_read_whole_without_a_buffer(tmp_path):
    path = tmp_path / "text"
    path.write_text("one\ntwo\n")
    with LocalFileSystem().open(str(path), "r") as f:
        assert f.read() == "one\ntwo\n"
        assert f.buffer._buffered_file is None
        f.seek(0)
        assert next(f) == "one\n" and f.read() == "two\n"
    with pytest.raises(ValueError, match="closed"):
        f.buffer.seekable()


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="files are read by position")
def test_what_exceeds_one_system_call_is_read_whole(fs, top, monkeypatch):
    # Linux gives at most 2 GiB less a page at once
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, at: pread(fd, min(count, 3), at))
    with fs.open(f"{top}/ten") as f:
        assert f.read() == TEN
        assert f.seek(2) == f.tell() == 2
        assert f.read(1) + f.read() == TEN[2:]
        assert f.read() == b""


def test_a_file_that_changes_while_it_is_open_is_read_to_its_end(fs, top):
    with fs.open(f"{top}/ten") as f:
        assert f.read(1) + f.read() == TEN
        with open(f"{top}/ten", "ab") as other:
            other.write(TEN)
        assert f.read() == TEN
        os.truncate(f"{top}/ten", 5)
        assert f.read() == b""
        f.seek(0)
        assert f.read() == TEN[:5]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
@pytest.mark.parametrize("mode", ["r", "rb"])
def test_a_file_that_says_no_size_is_read_whole(mode):
    with open("/proc/self/status") as f:
        names = [line.split(":")[0] for line in f]
    with fsspec.open("/proc/self/status", mode) as f:
        found = f.read()
    assert [line.split(":")[0] for line in (found if mode == "r" else found.decode()).splitlines()] == names


@pytest.mark.skipif(os.name == "nt", reason="a name that Windows does not have")
def test_a_name_that_begins_like_a_protocol_is_a_name(m, tmp_path, monkeypatch):
    """Of one file as of several; ``file://`` begins a URL."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file:note").write_bytes(b"abc")
    m.put_file("file:note", "/top/p")
    m.get_file("/top/p", "file:copy")
    m.get_file("/top/p", f"file://{tmp_path}/url")
    assert sorted(os.listdir()) == ["file:copy", "file:note", "url"]


@pytest.mark.skipif(not os.path.exists("/proc/sys/kernel/ostype"), reason="needs /proc")
def test_a_file_that_says_no_size_is_read_from_its_end_and_uploaded(fs, m):
    """Of some the system gives nothing where more is asked for than it has room for."""
    path = "/proc/sys/kernel/ostype"
    with open(path, "rb") as f:
        whole = f.read()
    assert whole and fs.cat_file(path, -3) == whole[-3:] and fs.cat_file(path, -3, -1) == whole[-3:-1]
    for put in m.put_file, m.put:
        put(path, "/copy")
        assert m.cat_file("/copy") == whole


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_uploaded(tmp_path, m):
    os.mkfifo(tmp_path / "pipe")
    data = TEN * 10_000
    for put in m.put_file, m.put:
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit((tmp_path / "pipe").write_bytes, data)
            put(str(tmp_path / "pipe"), "/copy")
            assert written.result() == len(data)
        assert m.cat_file("/copy") == data


@pytest.mark.parametrize("kind", ["file", "dir", "asyncwrapper", "simplecache", "filecache", "blockcache"])
@pytest.mark.parametrize(
    "rpath, lpath", [("none", "new/x"), ("none/x", "new/"), (["none"], "new"), (["none"], ["new/x"])]
)
def test_what_is_missing_makes_no_folder_for_its_download(kind, rpath, lpath, tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    options = {"dir": {"path": "/"}, "asyncwrapper": {}, "file": {}}
    options = options.get(kind, {"cache_storage": str(tmp_path / "cache")})
    target = {"fs": LocalFileSystem(skip_instance_cache=True)} if kind != "file" else {}
    fs = fsspec.filesystem(kind, **options, **target, skip_instance_cache=True)

    def under(paths):
        return [f"{tmp_path}/{p}" for p in paths] if isinstance(paths, list) else f"{tmp_path}/{paths}"

    with pytest.raises(FileNotFoundError):
        fs.get(under(rpath), under(lpath))
    assert {"a", "cache"} >= set(os.listdir(tmp_path))
    fs.get(under(["a"]), under(["new/x/y"]))
    fs.get(under(["a"]), under("new/z"))
    assert (tmp_path / "new/x/y").read_bytes() == (tmp_path / "new/z/a").read_bytes() == b"data"


class Copying(LocalFileSystem):
    cachable = False

    def cp_file(self, path1, path2, **kwargs):
        shutil.copyfile(path1, path2)


@pytest.mark.parametrize("kind", ["file", "dir", "asyncwrapper", "simplecache"])
@pytest.mark.parametrize("name", ["cp_file of a class", "cp_file", "get_file"])
@pytest.mark.parametrize("lpath, made", [("new/x", "new/x"), ("new/", "new/a"), (["new/x"], "new/x")])
def test_a_program_that_copies_files_itself_finds_the_folder_of_a_download(kind, name, lpath, made, tmp_path):
    (tmp_path / "a").write_bytes(b"data")
    fs = Copying() if "class" in name else LocalFileSystem(skip_instance_cache=True)
    if "class" not in name:
        setattr(fs, name, lambda path1, path2, **kwargs: shutil.copyfile(path1, path2))
    if kind != "file":
        options = {"dir": {"path": "/"}, "asyncwrapper": {}}.get(kind, {"cache_storage": str(tmp_path / "c")})
        fs = fsspec.filesystem(kind, fs=fs, **options, skip_instance_cache=True)
    if isinstance(lpath, list):
        fs.get([f"{tmp_path}/a"], [f"{tmp_path}/{p}" for p in lpath])
    else:
        fs.get(f"{tmp_path}/a", f"{tmp_path}/{lpath}")
    assert (tmp_path / made).read_bytes() == b"data"


UNREADABLE = """
import os, sys, fsspec
kind, folder = sys.argv[1:]
target = fsspec.filesystem("file")
fs = target if kind == "file" else fsspec.filesystem(kind, fs=target, **{"dir": {"path": "/"}}.get(kind, {}))
fs.get(f"{folder}/readable", f"{folder}/first/x")
if os.geteuid() == 0:
    os.seteuid(65534)
for lpath in "new/x", "new/":
    for several in False, True:
        try:
            fs.get([f"{folder}/secret"] if several else f"{folder}/secret", f"{folder}/{lpath}")
        except PermissionError as error:
            assert error.filename == f"{folder}/secret", error
        else:
            raise AssertionError("not refused")
        assert sorted(os.listdir(folder)) == ["first", "readable", "secret"]
"""


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
@pytest.mark.parametrize("kind", ["file", "dir", "asyncwrapper", "simplecache"])
def test_what_cannot_be_read_makes_no_folder_for_its_download(kind):
    with tempfile.TemporaryDirectory() as folder:  # that of pytest may be entered by its user alone
        os.chmod(folder, 0o777)
        for name in "readable", "secret":
            with open(f"{folder}/{name}", "wb") as f:
                f.write(b"data")
        os.chmod(f"{folder}/secret", 0)
        subprocess.run([sys.executable, "-c", UNREADABLE, kind, folder], check=True)
