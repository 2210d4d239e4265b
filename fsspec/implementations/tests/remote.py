"""What holds for a filesystem with one connection to a server of files, whatever it speaks."""

from __future__ import annotations

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from fsspec._paths.urls import protocols_of
from fsspec.callbacks import Callback
from fsspec.generic import rsync

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**20 + 3))

SCRIPT = """
import gc, json, os, signal, socket, stat, sys, threading, time, warnings
import fsspec, fsspec.asyn
from fsspec._checks.forked import by_fork
from fsspec.callbacks import Callback
from fsspec.exceptions import ForkError

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**21))

def well(report, killed=False):
    assert not report.problem(killed), report.problem(killed)

def stored(name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()

def connections():
    "descriptors of this process that lead to the server"
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as s:
                    if s.family == socket.AF_INET and s.getpeername()[1] == options["port"]:
                        found.append(int(name))
        except OSError:
            pass
    return found
"""
"""How programs begin that fork; they say what ``folder`` and ``options`` of the server are."""


def put(server: Any, path: str, data: bytes) -> None:
    """Put a file into the folder that the server serves."""
    target = os.path.join(server.folder, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as f:
        f.write(data)


def got(server: Any, path: str) -> bytes:
    """The bytes of a file in the folder that the server serves."""
    with open(os.path.join(server.folder, path), "rb") as f:
        return f.read()


class Reporting(Callback):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int | None] = []

    def set_size(self, size: int | None) -> None:
        super().set_size(size)
        self.sizes.append(size)


class RemoteTests:
    """Needs the fixtures ``server``, whose folder holds ``d/a.txt`` and ``d/sub/b c.txt``, and ``fs``."""

    def test_no_password_is_shown(self, server: Any, fs: Any) -> None:
        secret = server.options["password"]
        with fs.open("/d/a.txt") as f:
            assert secret not in repr(fs) and secret not in repr(f)
        with pytest.raises(FileNotFoundError) as caught:
            fs.info("/nothing")
        assert secret not in str(caught.value)
        assert "password" not in fs.to_json(include_password=False)

    def test_pickles_of_instances_and_files_read_the_same(self, fs: Any) -> None:
        again = pickle.loads(pickle.dumps(fs))
        assert again.cat_file("/d/a.txt") == b"hello world"
        with fs.open("/d/a.txt") as f:
            f.seek(6)
            with pickle.loads(pickle.dumps(f)) as g:
                assert g.read() == b"world"
        type(fs).clear_instance_cache()

    @pytest.mark.parametrize(
        "start, end",
        [(None, None), (0, 5), (2, 5), (-3, None), (None, -3), (-5, -2), (5, 2), (100, None), (4, 100)],
    )
    def test_cat_file_gives_what_a_slice_gives(self, fs: Any, start: int | None, end: int | None) -> None:
        assert fs.cat_file("/d/a.txt", start, end) == b"hello world"[start:end]

    def test_a_compression_is_not_gone_past(self, server: Any, fs: Any) -> None:
        put(server, "a.gz", gzip.compress(b"0123456789"))
        assert fs.cat_file("/a.gz", compression="gzip") == b"0123456789"
        assert fs.cat_file("/a.gz", 2, -5, compression="infer") == b"234"

    def test_parts_of_a_large_file_are_read_from_anywhere(self, server: Any, fs: Any) -> None:
        put(server, "big", BIG)
        assert fs.cat_file("/big") == BIG
        with fs.open("/big", block_size=2**14) as f:
            assert f.size == len(BIG)
            assert f.read(10) == BIG[:10]
            f.seek(1_000_000)
            assert f.read(200_000) == BIG[1_000_000:1_200_000]
            f.seek(-4, 2)
            assert (f.read(), f.read()) == (BIG[-4:], b"")
            f.seek(0)
            assert f.read() == BIG
        assert len(server.connections) == 1

    def test_what_is_no_file(self, fs: Any) -> None:
        for path, kind in (("/d", IsADirectoryError), ("/nothing", FileNotFoundError)):
            with pytest.raises(kind, match=path):
                fs.cat_file(path)
            with pytest.raises(OSError, match=path):
                fs.open(path)

    def test_files_go_up_and_down_and_are_counted(self, server: Any, fs: Any, tmp_path: Path) -> None:
        put(server, "big", BIG)
        target, reported = tmp_path / "x" / "big", Reporting()
        fs.get_file("/big", str(target), callback=reported)
        assert target.read_bytes() == BIG
        assert (reported.sizes, reported.value) == ([len(BIG)], len(BIG))
        reported = Reporting()
        fs.put_file(str(target), "/new/folder/big", callback=reported)
        assert got(server, "new/folder/big") == BIG
        assert (reported.sizes, reported.value) == ([len(BIG)], len(BIG))
        with pytest.raises(FileExistsError):
            fs.put_file(str(target), "/new/folder/big", mode="create")
        fs.get("/d", str(tmp_path / "tree"), recursive=True)
        assert (tmp_path / "tree" / "sub" / "b c.txt").read_bytes() == b"x" * 100
        fs.put(str(tmp_path / "tree"), "/copy", recursive=True)
        assert got(server, "copy/a.txt") == b"hello world"
        with pytest.raises(FileNotFoundError, match="/nothing"):
            fs.get_file("/nothing", str(tmp_path / "none" / "x"))
        with pytest.raises(FileNotFoundError, match="none"):
            fs.put_file(str(tmp_path / "none"), "/none/x")
        assert not (tmp_path / "none").exists() and not fs.exists("/none")

    def test_the_local_side_may_begin_at_home_or_be_a_url(
        self, server: Any, fs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        fs.get_file("/d/a.txt", "~/a")
        fs.get_file("/d/a.txt", f"file://{tmp_path}/b")
        fs.get_file("/d", "~/folder")
        assert [(tmp_path / name).read_bytes() for name in ("home/a", "b")] == [b"hello world"] * 2
        fs.put_file("~/a", "/at home")
        fs.put_file(f"file://{tmp_path}/b", "/by url")
        assert got(server, "at home") == got(server, "by url") == b"hello world"
        assert (tmp_path / "home" / "folder").is_dir() and os.listdir() == []

    def test_writing_in_blocks(self, server: Any, fs: Any) -> None:
        with fs.open("/out", "wb", block_size=2**18) as f:
            for at in range(0, len(BIG), 100_000):
                f.write(BIG[at : at + 100_000])
        assert got(server, "out") == BIG
        with fs.open("/out", "ab") as f:
            f.write(b"more")
        assert got(server, "out") == BIG + b"more"
        with fs.open("/out", "wb") as f:
            f.write(b"short")
        assert got(server, "out") == b"short"
        with pytest.raises(FileExistsError, match="/out"):
            fs.open("/out", "xb")
        with fs.open("/fresh", "xb") as f:
            f.write(b"1")
        fs.touch("/empty")
        with fs.open("/new", "xb"):
            pass
        assert (got(server, "fresh"), got(server, "empty"), got(server, "new")) == (b"1", b"", b"")
        with pytest.raises(FileNotFoundError, match="/no/folder"):
            fs.pipe_file("/no/folder", b"")
        with pytest.raises(TypeError, match="str"):
            fs.pipe_file("/fresh", "text")
        assert got(server, "fresh") == b"1"
        with pytest.raises(IsADirectoryError, match="/d"):
            fs.pipe_file("/d", b"")

    def test_a_download_in_the_place_of_a_folder_asks_for_no_file(self, fs: Any, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError, match=tmp_path.name):
            fs.get_file("/nothing", tmp_path)

    def test_a_transaction_shows_its_files_at_its_end_or_never(self, server: Any, fs: Any) -> None:
        with fs.transaction:
            with fs.open("/d/new", "wb", block_size=10) as f:
                f.write(b"0123456789" * 3)
            with fs.open("/d/a.txt", "ab") as f:
                f.write(b"!")
            assert not fs.exists("/d/new")
            assert got(server, "d/a.txt") == b"hello world"
        assert (got(server, "d/new"), got(server, "d/a.txt")) == (b"0123456789" * 3, b"hello world!")
        with pytest.raises(ZeroDivisionError):
            with fs.transaction:
                with fs.open("/d/newer", "wb") as f:
                    f.write(b"1")
                1 / 0
        assert sorted(os.listdir(os.path.join(server.folder, "d"))) == ["a.txt", "new", "sub"]
        with fs.transaction:
            f = fs.open("/d/new", "wb")
            f.write(b"left open")
        f.close()
        assert got(server, "d/new") == b"left open"

    def test_folders_are_made_once_and_removed_when_empty(self, fs: Any) -> None:
        fs.mkdir("/m/n/o")
        for make_again in (fs.mkdir, fs.makedirs):
            with pytest.raises(FileExistsError, match="/m/n/o"):
                make_again("/m/n/o")
        with pytest.raises(FileExistsError, match="a.txt"):
            fs.mkdir("/d/a.txt")
        fs.makedirs("/m/n/o", exist_ok=True)
        fs.makedirs("/m/p/q", exist_ok=True)
        with pytest.raises(FileNotFoundError):
            fs.mkdir("/k/l", create_parents=False)
        with pytest.raises(OSError, match="/m"):
            fs.rmdir("/m")
        fs.mv("/m/n", "/m/k", recursive=True)
        assert fs.isdir("/m/k/o") and not fs.exists("/m/n")
        fs.rm("/m", recursive=True)
        fs.rm("/d/a.txt")
        assert fs.find("/") == ["/d/sub/b c.txt"]
        for remove in (fs.rm, fs.rm_file, fs.rmdir):
            with pytest.raises(FileNotFoundError, match="/nothing"):
                remove("/nothing")

    def test_folders_that_another_makes_meanwhile(self, server: Any, fs: Any, tmp_path: Path) -> None:
        check_races(server, fs, tmp_path)


def check_races(server: Any, fs: Any, tmp_path: Path, share: str = "") -> None:
    """Folders that another makes, at the moment when they are found not to be there or are made, are used."""
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "f").write_bytes(b"1")
    protocol = protocols_of(fs)[0]
    generic = {"default_method": "options", "storage_options": {protocol: server.options}}
    ways: list[Any] = [
        lambda path: fs.mkdir(f"{path}/k"),
        lambda path: fs.makedirs(f"{path}/k/l"),
        lambda path: fs.makedirs(path, exist_ok=True),
        lambda path: fs.put_file(tmp_path / "tree" / "sub" / "f", f"{path}/k/f"),
        lambda path: fs.put(str(tmp_path / "tree"), path, recursive=True),
        lambda path: fs.get_mapper(path, create=True),
        lambda path: rsync((tmp_path / "tree").as_uri(), f"{protocol}://{path}", inst_kwargs=generic),
    ]
    for at, make in enumerate(ways):
        raced = f"raced{at}"
        server.fault(raced=raced)
        make(f"{share}/{raced}")
        assert os.path.isdir(os.path.join(server.folder, raced)), at
    for path, make in (("last", fs.makedirs), ("least", fs.mkdir)):
        server.fault(raced=path)
        with pytest.raises(FileExistsError, match=path):
            make(f"{share}/{path}")
    server.fault(raced="")


def check_bars(fs: Any, path: str, other: str, tmp_path: Path, capsys: Any, **put: Any) -> None:
    """A file of eleven bytes is fetched and sent, to another path, with a bar of tqdm for its bytes."""
    pytest.importorskip("tqdm")
    local = str(tmp_path / "a")
    fs.get_file(path, local, callback="tqdm")
    assert "11.0/11.0" in capsys.readouterr().err
    fs.put_file(local, other, callback="tqdm", **put)
    assert "11.0/11.0" in capsys.readouterr().err


def check_size_refused(server: Any, fs: Any) -> None:
    """The size of what has 0 bytes by HEAD and refuses GET, as a WebDAV folder does, is not known.

    Upstream's is that of HEAD.
    """
    url = server.url + "/folder/"
    server.files["/folder/"] = b""
    for status in 500, 403:
        server.fault("/folder/", status=status, methods=("GET",))
        assert fs.info(url)["size"] is None
    server.fault("/folder/", status=404, methods=("GET",))
    with pytest.raises(FileNotFoundError):
        fs.info(url)


def check_updating(fs: Any, path: str) -> None:
    """Files that are read and written at once: each mode, as the built-in ``open`` has them."""
    fs.pipe_file(path, b"0123456789")
    with fs.open(path, "r+b") as f:
        assert f.read(3) == b"012" and f.writable() and f.seekable() and (f.path, f.mode) == (path, "r+b")
        f.seek(5)
        f.write(b"XY")
        assert (f.tell(), f.read(), f.seek(0), f.readline()) == (7, b"789", 0, b"01234XY789")
        assert f.seek(-1, 2) == 9 and f.write(b"ABC") == 3
    assert fs.cat_file(path) == b"01234XY78ABC"
    with fs.open(path, "rb+") as f:  # larger than its buffer
        f.write(BIG[:100_000])
        f.seek(50_000)
        assert f.read(10) == BIG[50_000:50_010]
    assert fs.cat_file(path) == BIG[:100_000]
    with fs.open(path, "w+") as f:
        f.write("two\nlines")
        f.seek(0)
        assert f.readlines() == ["two\n", "lines"]
    with fs.open(path, "a+b") as f:
        assert f.tell() == 9
        f.write(b"!")
        f.seek(0)
        assert f.read() == b"two\nlines!"
        f.seek(0)
        f.write(b"?")
    assert fs.cat_file(path) == b"two\nlines!?"
    with pytest.raises(FileExistsError):
        fs.open(path, "x+b")
    assert fs.cat_file(path) == b"two\nlines!?"
    for absent, mode in ((f"{path}-2", "w+b"), (f"{path}-3", "x+b"), (f"{path}-4", "a+b")):
        with fs.open(absent, mode) as f:
            f.write(b"new")
            f.seek(1)
            assert f.read() == b"ew"
        assert fs.cat_file(absent) == b"new"
    with pytest.raises(FileNotFoundError):
        fs.open(f"{path}-none", "r+b")
    with pytest.raises(ValueError, match="r\\+b"):
        fs.open(path, "q+b")
    with fs.transaction, pytest.raises(NotImplementedError, match="transaction"):
        fs.open(path, "r+b")
    f = fs.open(path, "r+b")
    with pytest.raises(ValueError, match="negative"):
        f.seek(-1)
    f.close()
    f.close()
    with pytest.raises(ValueError, match="closed"):
        f.read()
    assert fs.cat_file(path) == b"two\nlines!?"


UPDATED_IN_A_CHILD = """
held = fs.open(path, "r+b")
held.write(b"HEL")  # in its buffer

def refuses(*uses):
    for use in uses:
        try:
            use()
        except ForkError:
            continue
        raise AssertionError("not refused")

def touched():
    refuses(held.read, lambda: held.write(b"child"), held.flush, lambda: (held.seek(10**5), held.read(1)))
    held.close()

def dropped():
    global held
    held = None

for act in (touched, dropped, lambda: held.close(), lambda: None):
    well(by_fork(act))
held.seek(0, 2)
held.write(b"!")
held.close()
assert fs.cat_file(path) == b"HELlo world!"

fs.pipe_file(path, BIG[:10**6])
busy, done = fs.open(path, "r+b"), threading.Event()

def keep_busy():
    while not done.is_set():
        busy.seek(0)
        busy.read(500_000)

def refused_at_once():
    refuses(lambda: busy.read(1), lambda: busy.seek(0), busy.tell, busy.readline, lambda: next(busy))

thread = threading.Thread(target=keep_busy)
thread.start()
for _ in range(3):
    time.sleep(0.05)
    well(by_fork(refused_at_once))
done.set()
thread.join()
busy.close()
"""
"""What programs of forks append, which have a ``path`` that holds b"hello world"."""
