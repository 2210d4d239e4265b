"""Real mounts, where FUSE is there and may be used."""

import errno
import os
import shutil
import subprocess
import sys
import time

import pytest

import fsspec
from fsspec.tests.programs import run

try:
    import fsspec.fuse
except ImportError as reason:
    MISSING = str(reason)
else:
    MISSING = "" if os.access("/dev/fuse", os.W_OK) else "FUSE may not be used here"

mounting = pytest.mark.skipif(bool(MISSING), reason=MISSING)
BIG = bytes(range(256)) * 20_000


def unmount(point):
    how = ["fusermount", "-u"] if shutil.which("fusermount") else ["umount"]
    subprocess.run([*how, str(point)], check=True, timeout=30)


def until_mounted(point, process=None):
    deadline = time.monotonic() + 30
    while not (point / ".fuse_ready").exists():
        if process is not None and process.poll() is not None:
            output = process.stderr.read().decode()
            process.stderr.close()
            assert "RuntimeError: 1" in output, output
            pytest.skip("no mount may be made here")
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "source/sub").mkdir(parents=True)
    (tmp_path / "mount").mkdir()
    (tmp_path / "source/a.txt").write_bytes(b"alpha")
    (tmp_path / "source/big").write_bytes(BIG)
    return tmp_path


class Mounted:
    """``python -m fsspec.fuse`` in the foreground of a process of its own."""

    def __init__(self, point, *arguments):
        self.point = point
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "fsspec.fuse", *arguments, "-f", "-r"],
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        until_mounted(self.point, self.process)
        return self.point

    def __exit__(self, *exc):
        unmount(self.point)
        self.process.wait(30)
        output = self.process.stderr.read().decode()
        self.process.stderr.close()
        assert (self.process.returncode, output) == (0, "")


@pytest.fixture
def mounted(place, request):
    extra = getattr(request, "param", ())
    with Mounted(place / "mount", "file", str(place / "source"), str(place / "mount"), *extra) as point:
        yield point


@mounting
@pytest.mark.parametrize("mounted", [(), ("-t",)], indirect=True)
def test_mounted_files_are_read(mounted):
    assert sorted(p.name for p in mounted.iterdir()) == ["a.txt", "big", "sub"]
    assert (mounted / "a.txt").read_bytes() == b"alpha"
    assert (mounted / "sub").is_dir() and not list((mounted / "sub").iterdir())
    assert (mounted / "big").stat().st_size == len(BIG)
    with open(mounted / "big", "rb") as f:
        f.seek(1_000_001)
        assert f.read(10) == BIG[1_000_001:1_000_011]
    with pytest.raises(FileNotFoundError):
        (mounted / "none").read_bytes()
    assert (mounted / ".fuse_ready").read_bytes() == b"ready"


@mounting
def test_mounted_files_are_written_moved_and_removed(mounted, place):
    source = place / "source"
    (mounted / "new").write_bytes(BIG)
    subprocess.run(["sh", "-c", f"echo more >> {mounted}/a.txt"], check=True, timeout=30)
    (mounted / "sub/deep").mkdir()
    (mounted / "new").rename(mounted / "sub/deep/moved")
    os.chmod(mounted / "a.txt", 0o600)
    (mounted / "big").write_bytes(b"anew")
    until(lambda: (source / "big").read_bytes() == b"anew")
    until(lambda: (source / "a.txt").read_bytes() == b"alphamore\n")
    assert (source / "sub/deep/moved").read_bytes() == BIG
    assert (source / "a.txt").stat().st_mode & 0o777 == 0o600
    (mounted / "sub/deep/moved").unlink()
    (mounted / "sub/deep").rmdir()
    assert not (source / "sub/deep").exists()


def until(true):
    """The kernel does not wait for the closing of a file."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@mounting
def test_what_cannot_be_done_changes_nothing(mounted, place):
    with pytest.raises(OSError) as caught:
        os.truncate(mounted / "big", 10)
    assert caught.value.errno == errno.EOPNOTSUPP
    with open(mounted / "big", "r+b", buffering=0) as f:
        assert f.read(3) == BIG[:3]
        with pytest.raises(OSError) as caught:
            f.write(b"in the middle")
        assert caught.value.errno == errno.EOPNOTSUPP
    with pytest.raises(OSError) as caught:
        (mounted / "sub").rename(mounted / "none/sub")
    assert (place / "source/big").read_bytes() == BIG
    with pytest.raises(FileExistsError):
        (mounted / "sub").mkdir()


@mounting
def test_a_mounted_web_server_is_only_read(http_server, tmp_path):
    """A page is a folder of what it links to; nothing can be written."""
    http_server.files["/page/"] = b'<a href="/page/a.bin">a</a>'
    http_server.files["/page/a.bin"] = BIG
    (tmp_path / "m").mkdir()
    with Mounted(tmp_path / "m", "http", http_server.url + "/page/", str(tmp_path / "m")) as point:
        assert os.listdir(point) == ["a.bin"]
        assert (point / "a.bin").read_bytes() == BIG
        with pytest.raises(OSError):
            (point / "b.bin").write_bytes(b"x")


@mounting
def test_in_the_background_the_mount_outlives_the_command(place, tmp_path):
    """The command returns, and what it left behind serves and ends with the mount."""
    log = tmp_path / "log"
    point = place / "mount"
    command = [sys.executable, "-m", "fsspec.fuse", "dir::file", "", str(point), "-r", "-l", str(log)]
    command += ["-o", f"dir-path={place / 'source'}"]
    subprocess.run(command, check=True, timeout=60)
    until_mounted(point)
    try:
        assert (point / "a.txt").read_bytes() == b"alpha"
    finally:
        unmount(point)
    assert "readdir" in log.read_text() or "getattr" in log.read_text()


@mounting
def test_thread_of_a_program(place):
    """A program mounts what it made, and its forked child does no harm to that."""
    text = f"""
        import os, pathlib, subprocess, time, fsspec, fsspec.fuse
        from fsspec._checks.forked import by_fork
        point = pathlib.Path({str(place / "mount")!r})
        fs = fsspec.filesystem("memory")
        fs.pipe("/r/a", b"in memory")
        thread = fsspec.fuse.run(fs, "/r", str(point), foreground=False, ready_file=True)
        while not (point / ".fuse_ready").exists():
            assert thread.is_alive()
            time.sleep(0.02)
        (point / "b").write_bytes(b"new")
        report = by_fork(lambda: None)
        assert not report.problem(), report.problem()
        assert (point / "a").read_bytes() == b"in memory"
        subprocess.run(["fusermount" if {bool(shutil.which("fusermount"))} else "umount",
                        *(["-u"] if {bool(shutil.which("fusermount"))} else []), str(point)], check=True)
        thread.join(30)
        assert fs.cat("/r/b") == b"new"
    """
    assert run(text, FSSPEC_FORK_RESET="1", PYTHONWARNINGS="ignore") == ""


@mounting
def test_options_of_the_command_are_nested_by_protocol(place):
    given = ["s3-anon=true[bool]", "simplecache-expiry=5[int]", "x=y=z"]
    assert fsspec.fuse._options(given, "simplecache::s3://") == {
        "s3": {"anon": True},
        "simplecache": {"expiry": 5},
        "x": "y=z",
    }
    with pytest.raises(ValueError, match="word"):
        fsspec.fuse._options(["word"], "s3://")


@pytest.mark.parametrize("hidden", ["fuse"])
def test_package_that_is_missing(hidden):
    text = f"""
        import sys
        sys.modules[{hidden!r}] = None
        try:
            import fsspec.fuse
        except ImportError as error:
            assert "pip install 'fsspec[fuse]'" in str(error)
        else:
            raise AssertionError
    """
    assert run(text) == ""
