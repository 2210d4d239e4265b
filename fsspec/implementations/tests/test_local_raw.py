"""Files of this machine and their descriptors: the position is where the built-in file's is."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.programs import FORKED, run

pytestmark = pytest.mark.skipif(not hasattr(os, "preadv"), reason="the built-in file is used there")
TEN = b"0123456789"


def say(text, f):
    """Another program that has the file as its output."""
    subprocess.run([sys.executable, "-c", f"print({text!r})"], stdout=f, check=True)


def rest_of(f):
    """What another program reads that has the file as its input."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    return subprocess.run([sys.executable, "-c", code], stdin=f, capture_output=True, check=True).stdout


@pytest.fixture(params=["built-in", "local", "transaction"])
def opener(request):
    """What opens files: the same is true for each."""
    fs = LocalFileSystem(skip_instance_cache=True)
    with fs.transaction if request.param == "transaction" else nullcontext():
        yield open if request.param == "built-in" else fs.open


@pytest.mark.parametrize("mode", ["a+b", "a+"])
def test_what_is_appended_after_reading_is_kept_by_truncate(opener, mode, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"line1\nline2\n")
    with opener(str(path), mode) as f:
        f.seek(0)
        assert len(f.readlines()) == 2
        f.seek(0)
        f.write("line3\n" if mode == "a+" else b"line3\n")
        assert f.truncate() == 18
        assert f.seek(0) == 0 and len(f.readlines()) == 3


def test_the_position_after_appending_is_the_end_of_the_file(tmp_path):
    for opened in (open, LocalFileSystem().open):
        path = tmp_path / "log"
        path.write_bytes(TEN)
        with opened(str(path), "ab") as f:
            assert f.tell() == 10
            with open(path, "ab") as other:
                other.write(b"other")
            f.write(b"W")
            f.flush()
            assert f.tell() == 16 and f.truncate() == 16
        assert path.read_bytes() == TEN + b"otherW"
        with opened(str(path), "a+b") as f:
            f.seek(0)
            f.write(b"X")
            f.flush()
            assert (f.read(), f.tell()) == (b"", 17)


@pytest.mark.parametrize("mode", ["wb", "w", "xb", "w+b", "ab", "a+", "r+b"])
def test_a_program_that_is_given_the_descriptor_writes_on_and_so_does_the_file(mode, tmp_path):
    def line(text):
        return f"{text}\n" if "b" not in mode else f"{text}\n".encode()

    for opened in (open, LocalFileSystem().open):
        path = tmp_path / opened.__class__.__name__
        if "r" in mode:
            path.touch()
        with opened(str(path), mode) as f:
            say("first", f)
            f.write(line("log"))
            f.flush()
            say("second", f)
            os.write(f.fileno(), b"number\n")
            f.write(line("more"))
            f.flush()
            with os.fdopen(os.dup(f.fileno()), "wb") as other:
                other.write(b"copy\n")
            f.write(line("last"))
        assert path.read_text().split() == ["first", "log", "second", "number", "more", "copy", "last"]


def test_in_a_transaction_too(tmp_path):
    fs = LocalFileSystem(skip_instance_cache=True)
    with fs.transaction, fs.open(str(tmp_path / "log"), "wb") as f:
        f.write(b"$ command\n")
        f.flush()
        say("output", f)
    assert (tmp_path / "log").read_text().split() == ["$", "command", "output"]


@pytest.mark.parametrize("mode", ["rb", "r", "r+b"])
def test_a_program_that_is_given_the_descriptor_reads_on(mode, tmp_path):
    path = tmp_path / "ten"
    path.write_bytes(TEN)
    for opened in (open, LocalFileSystem().open):
        with opened(str(path), mode) as f:
            f.seek(5)
            assert rest_of(f) == b"56789"
            assert rest_of(f) == b""
            f.seek(0)
            assert (os.read(f.fileno(), 2), os.read(f.fileno(), 3)) == (b"01", b"234")
            f.seek(7)
            assert rest_of(f) == b"789"
            f.seek(0)
            assert len(f.read()) == 10


def test_a_program_reads_on_behind_what_was_read(tmp_path):
    """Not behind what the buffer has read ahead, as after the built-in file."""
    (tmp_path / "lines").write_bytes(b"one\ntwo\nthree\n")
    with LocalFileSystem().open(str(tmp_path / "lines")) as f:
        assert f.readline() == b"one\n"
        assert rest_of(f) == b"two\nthree\n"
        assert f.readline() == b"two\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("mode", ["rb", "r+b", "w+b", "a+b"])
def test_a_child_that_reads_does_not_move_the_position_of_its_parent(mode, tmp_path):
    run(
        f"""
    import os, fsspec
    mode, path = {mode!r}, {str(tmp_path / "file")!r}
        """
        + FORKED
        + """
    with open(path, "w") as f:
        f.write("0123456789" * 2000)
    with fsspec.filesystem("file").open(path, mode) as f:
        if mode[0] == "w":
            f.write(b"0123456789" * 2000)
        f.seek(3)
        assert f.read(2) == b"34"
        if "+" in mode:
            f.flush()

        def child():
            f.fileno()
            assert f.tell() == 5
            assert f.read(3) == b"567"
            assert f.seek(0) == 0
            assert len(f.read()) == 20000
            f.seek(12345)

        assert not forked(child)
        assert f.tell() == 5
        assert f.read(3) == b"567"
        f.seek(0)
        assert not forked(lambda: f.read())
        assert len(f.read()) == 20000
        if "+" in mode:
            f.seek(4)
            assert not forked(lambda: (f.seek(0), f.read()))
            f.write(b"X")
    with open(path) as f:
        data = f.read()
    if "+" in mode:
        assert data.index("X") == (20000 if mode[0] == "a" else 4), data.index("X")
        """
    )


@pytest.mark.parametrize("first", ["", "readline"])
def test_of_several_threads_each_reads_what_the_others_do_not(first, tmp_path, pool):
    path = tmp_path / "data"
    path.write_bytes(TEN * 100_000)
    for _ in range(30):
        with LocalFileSystem().open(str(path)) as f:
            if first:
                f.readline(0)
            barrier = threading.Barrier(3)

            def read(f=f, barrier=barrier):
                barrier.wait()
                return f.read()

            parts = [pool.submit(read) for _ in range(3)]
            assert sorted(len(part.result()) for part in parts) == [0, 0, 10 * 100_000]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_a_close_waits_for_a_read_of_another_thread(tmp_path, pool):
    path = tmp_path / "data"
    path.write_bytes(TEN * 100_000)
    for _ in range(100):
        f = LocalFileSystem().open(str(path))
        barrier = threading.Barrier(2)

        def read(f=f, barrier=barrier):
            barrier.wait()
            try:
                return len(f.read())
            except ValueError as error:
                return str(error)

        size = pool.submit(read)
        barrier.wait()
        f.close()
        assert size.result() in (1_000_000, "I/O operation on closed file.", "read of closed file")


@pytest.mark.parametrize("mode", ["rb", "r+b", "wb", "ab"])
@pytest.mark.parametrize("whence", [0, 1, 2, 3, 4, 9, -1])
@pytest.mark.parametrize("offset", [0, 10, -1, 2**62, 2**70])
def test_seek_is_as_of_the_built_in_file(offset, whence, mode, tmp_path):
    path = tmp_path / "holes"

    def found(file):
        try:
            return file.seek(offset, whence)
        except (OSError, OverflowError, ValueError) as error:
            return type(error), getattr(error, "errno", None)

    def each(opened, raw_of):
        path.write_bytes(TEN)
        os.truncate(path, 2**20)
        for is_raw in (False, True):
            with opened(str(path), mode) as f:
                yield found(raw_of(f) if is_raw else f)

    assert [*each(LocalFileSystem().open, lambda f: f.f.raw)] == [*each(open, lambda f: f.raw)]


def test_what_lies_below_a_closed_file_is_closed(tmp_path):
    for mode in ("wb", "rb", "ab", "r+b"):
        f = LocalFileSystem().open(str(tmp_path / "file"), mode)
        raw = f.f.raw
        del f
        acts = [raw.tell, raw.fileno, raw.flush, lambda raw=raw: raw.seek(0), lambda raw=raw: raw.truncate(0)]
        acts += [raw.readall, lambda raw=raw: raw.readinto(bytearray(1)), lambda raw=raw: raw.write(b"x")]
        for act in acts:
            with pytest.raises(ValueError, match="closed"):
                act()


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    """Not the one that it was written as."""
    fs, memory = LocalFileSystem(), fsspec.filesystem("memory")
    source, path = str(tmp_path / "source"), f"{tmp_path}/{'y' * 256}"
    fs.pipe_file(source, TEN)
    memory.pipe_file("/test_local_raw", TEN)
    for act in (
        lambda: fs.cp_file(source, path),
        lambda: fs.put_file(source, path),
        lambda: fs.get_file(source, path),
        lambda: fs.get(source, path),
        lambda: fs.pipe(path, TEN),
        lambda: fs.pipe_file(path, TEN, mode="create"),
        lambda: memory.get("/test_local_raw", path),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert (caught.value.filename, caught.value.filename2) == (path, None)
        assert str(caught.value) == f"[Errno {caught.value.errno}] {caught.value.strerror}: {path!r}"
    memory.rm("/test_local_raw")
    assert os.listdir(tmp_path) == ["source"]
