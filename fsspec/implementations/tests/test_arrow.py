"""Filesystems of pyarrow: this machine's, one in memory, and the way to HDFS."""

import os
import pickle

import pytest

pyarrow = pytest.importorskip("pyarrow")
pafs = pytest.importorskip("pyarrow.fs")

import fsspec
import fsspec.tests.abstract as abstract
from fsspec.implementations import arrow
from fsspec.implementations.arrow import ArrowFSWrapper, HadoopFileSystem, wrap_exceptions
from fsspec.tests.programs import run

BIG = bytes(range(256)) * 40_000


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self):
        return ArrowFSWrapper(pafs.LocalFileSystem())

    @pytest.fixture
    def fs_path(self, tmp_path):
        (tmp_path / "backend").mkdir()
        return (tmp_path / "backend").as_posix()


class TestCopy(abstract.AbstractCopyTests, Fixtures):
    """The public contract."""


class TestGet(abstract.AbstractGetTests, Fixtures):
    """The public contract."""


class TestPut(abstract.AbstractPutTests, Fixtures):
    """The public contract."""


class TestPipe(abstract.AbstractPipeTests, Fixtures):
    """The public contract."""


class TestOpen(abstract.AbstractOpenTests, Fixtures):
    """The public contract."""


class TestRead(abstract.AbstractReadTests, Fixtures):
    """The public contract."""


@pytest.fixture
def local(tmp_path):
    return ArrowFSWrapper(pafs.LocalFileSystem()), tmp_path.as_posix()


@pytest.fixture
def memory():
    return ArrowFSWrapper(pafs._MockFileSystem()), "store"


@pytest.fixture(params=["local", "memory"])
def place(request):
    """A filesystem, and a folder there."""
    fs, folder = request.getfixturevalue(request.param)
    fs.makedirs(folder, exist_ok=True)
    return fs, folder


def test_files_are_written_appended_to_and_read(place):
    fs, top = place
    fs.pipe(f"{top}/big", BIG)
    with fs.open(f"{top}/a", "wb") as f:
        assert f.write(b"alpha") == 5 and f.writable() and not f.closed
    assert f.closed
    with fs.open(f"{top}/a", "ab") as f:
        f.write(b"beta")
    assert fs.cat_file(f"{top}/a") == b"alphabeta"
    assert (fs.cat_file(f"{top}/a", 5, 7), fs.cat_file(f"{top}/a", -4), fs.cat_file(f"{top}/a", 5, 3)) == (
        b"be",
        b"beta",
        b"",
    )
    with fs.open(f"{top}/big") as f:
        assert (f.size, f.seek(1000), f.read(10)) == (len(BIG), 1000, BIG[1000:1010])
        assert f.seek(-5, 2) == len(BIG) - 5 and f.read() == BIG[-5:] and f.read() == b""
        held = bytearray(4)
        f.seek(0)
        assert f.readinto(held) == 4 and held == BIG[:4] and f.tell() == 4
        assert f.readable() and f.seekable() and not f.writable()
    with fs.open(f"{top}/a", "rt") as f:
        assert f.read() == "alphabeta"
    with fs.open(f"{top}/a", seekable=False) as f:
        assert f.read() == b"alphabeta"
    with fs.open(f"{top}/z.gz", "wb", compression="gzip") as f:
        f.write(BIG)
    assert fs.open(f"{top}/z.gz", compression="infer").read() == BIG
    assert fs.cat_file(f"{top}/z.gz")[:2] == b"\x1f\x8b"


def test_listings_have_the_entries_that_info_gives(place):
    fs, top = place
    fs.pipe({f"{top}/a": b"1"})
    fs.makedirs(f"{top}/sub/deep")
    fs.pipe(f"{top}/sub/b", b"22")
    assert sorted(fs.ls(top)) == [f"{top}/a", f"{top}/sub"]
    assert fs.ls(f"{top}/a", detail=True) == [fs.info(f"{top}/a")]
    info = fs.info(f"{top}/sub/b")
    assert (info["type"], info["size"], info["mtime"]) == ("file", 2, fs.modified(f"{top}/sub/b"))
    assert fs.find(top) == [f"{top}/a", f"{top}/sub/b"]
    assert fs.glob(f"{top}/*/b") == [f"{top}/sub/b"]
    assert fs.isdir(f"{top}/sub") and fs.exists(f"{top}/a") and not fs.exists(f"{top}/none")


def test_a_pattern_with_a_slash_at_its_end_matches_folders(place):
    """Although the slash stays in the paths of this filesystem."""
    fs, top = place
    fs.makedirs(f"{top}/a/b")
    fs.pipe_file(f"{top}/f", b"1")
    assert fs.glob(f"{top}/*/") == [f"{top}/a"]
    assert [p.rstrip("/") for p in fs.glob(f"{top}/**/")] == [top, f"{top}/a", f"{top}/a/b"]


def test_copying_and_moving(place, tmp_path):
    fs, top = place
    fs.pipe(f"{top}/sub/../a".replace("sub/../", ""), BIG)
    fs.cp_file(f"{top}/a", f"{top}/b")
    fs.mv(f"{top}/a", f"{top}/c")
    assert fs.find(top) == [f"{top}/b", f"{top}/c"] and fs.cat_file(f"{top}/b") == BIG
    fs.get_file(f"{top}/b", tmp_path / "got/b")
    assert (tmp_path / "got/b").read_bytes() == BIG
    fs.cp_file(top, f"{top}/folder")
    assert fs.isdir(f"{top}/folder")


def test_copy_that_fails_leaves_nothing(place):
    fs, top = place
    with pytest.raises(FileNotFoundError):
        fs.cp_file(f"{top}/none", f"{top}/b")
    assert fs.find(top) == []


def test_only_what_may_go_is_removed(place):
    fs, top = place
    for name in ("a", "b", "c.txt"):
        fs.pipe(f"{top}/{name}", b"x")
    fs.makedirs(f"{top}/sub/deep")
    with pytest.raises(OSError, match="sub"):
        fs.rmdir(f"{top}/sub")
    for given in (f"{top}/sub", f"{top}/sub/deep", f"{top}/*", [f"{top}/a", f"{top}/sub"]):
        with pytest.raises(ValueError, match="sub.*recursive=True"):
            fs.rm(given)
    assert len(fs.find(top, withdirs=True)) == 5 + 1
    fs.rm([f"{top}/a", f"{top}/b"])
    fs.rm(f"{top}/*.txt")
    fs.rmdir(f"{top}/sub/deep")
    fs.rm(f"{top}/sub", recursive=True)
    assert fs.ls(top) == []
    with pytest.raises(FileNotFoundError):
        fs.rm_file(f"{top}/none")


def test_folders_that_are_there(place):
    fs, top = place
    fs.mkdir(f"{top}/x/y")
    fs.pipe(f"{top}/x/y/kept", b"")
    fs.mkdir(f"{top}/x/y")
    for exist_ok in (False, True):
        fs.makedirs(f"{top}/x/y", exist_ok=exist_ok)
    assert fs.find(f"{top}/x") == [f"{top}/x/y/kept"]


def test_a_failed_transaction_leaves_what_was_there(place):
    fs, top = place
    fs.pipe(f"{top}/a", b"before")
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            fs.pipe(f"{top}/a", b"never")
            1 / 0
    assert fs.find(top) == [f"{top}/a"] and fs.cat_file(f"{top}/a") == b"before"
    with fs.transaction:
        fs.pipe(f"{top}/a", b"after")
        assert fs.cat_file(f"{top}/a") == b"before"
        hidden, name = sorted(path.rpartition("/")[2] for path in fs.find(top))
        assert hidden.startswith(".a.") and name == "a"
    assert fs.find(top) == [f"{top}/a"] and fs.cat_file(f"{top}/a") == b"after"
    with fs.transaction:
        f = fs.open(f"{top}/a", "wb")
        f.write(b"left open")
    f.close()
    assert fs.find(top) == [f"{top}/a"] and fs.cat_file(f"{top}/a") == b"left open"
    with fs.open(f"{top}/a", "wb", autocommit=False) as f:  # only transactions wait
        f.write(b"at once")
    assert fs.find(top) == [f"{top}/a"] and fs.cat_file(f"{top}/a") == b"at once"


@pytest.mark.parametrize("operation", ["info", "ls", "open", "cat_file", "modified"])
def test_what_is_not_there_is_named_in_the_error(place, operation):
    fs, top = place
    with pytest.raises(FileNotFoundError, match="none"):
        getattr(fs, operation)(f"{top}/none")


def test_other_modes_are_refused(place):
    fs, top = place
    with fs.open(f"{top}/a", "xb") as f:
        f.write(b"x")
    with pytest.raises(FileExistsError, match="/a"):
        fs.open(f"{top}/a", "xb")
    with pytest.raises(ValueError, match="r[+]b"):
        fs.open(f"{top}/a", "r+b")
    with fs.transaction, pytest.raises(ValueError, match="ab"):
        fs.open(f"{top}/a", "ab")
    assert fs.cat_file(f"{top}/a") == b"x"


def test_paths_are_those_of_pyarrow():
    urls = ["hdfs://h:1/a/b", "/a", "file:///a/b", "a/b/", "hdfs://u@h/a?x=1", "/"]
    assert ArrowFSWrapper._strip_protocol(urls) == ["/a/b", "/a", "/a/b", "a/b/", "/a", "/"]
    fs = ArrowFSWrapper(pafs.LocalFileSystem())
    assert (fs._parent("/a/b"), fs._parent("/a"), fs.protocol) == ("/a", "/", "local")
    assert fs.unstrip_protocol("/a") == "local:///a"
    in_url = HadoopFileSystem._get_kwargs_from_urls
    assert in_url("hdfs://u@h:1/a?replication=2") == {"user": "u", "host": "h", "port": 1, "replication": 2}
    assert in_url("hdfs:///a") == {}
    assert fs.fsid == ArrowFSWrapper(pafs.LocalFileSystem()).fsid
    with pytest.raises(NotImplementedError):
        ArrowFSWrapper(pafs._MockFileSystem()).fsid
    assert arrow.PYARROW_VERSION == pyarrow.__version__


def test_errors_that_mean_missing():
    @wrap_exceptions
    def failing(text):
        raise OSError(text)

    with pytest.raises(FileNotFoundError, match="does not exist"):
        failing("Path does not exist 'a'")
    with pytest.raises(OSError) as caught:
        failing("disk full")
    assert type(caught.value) is OSError


def test_hdfs_without_java(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nonexistent")
    monkeypatch.setenv("ARROW_LIBHDFS_DIR", "/nonexistent")
    monkeypatch.setenv("HADOOP_HOME", "/nonexistent")
    with pytest.raises(OSError):
        fsspec.filesystem("hdfs", host="127.0.0.1", port=9)


def test_a_pickled_instance_reads_the_same(local):
    fs, top = local
    fs.pipe(f"{top}/a", b"x")
    assert pickle.loads(pickle.dumps(fs)).cat_file(f"{top}/a") == b"x"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
def test_each_process_reads_on_from_its_own_position(tmp_path, reset):
    """Each process reads on from its own position; what is written stays the parent's."""
    (tmp_path / "a").write_bytes(BIG)
    text = f"""
        import os
        from pyarrow.fs import LocalFileSystem
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        from fsspec.implementations.arrow import ArrowFSWrapper
        fs, big, top = ArrowFSWrapper(LocalFileSystem()), bytes(range(256)) * 40_000, {str(tmp_path)!r}
        f = fs.open(top + "/a")
        stream = fs.open(top + "/a", seekable=False)
        w = fs.open(top + "/w", "wb")
        w.write(b"parent")
        assert f.read(1000) == big[:1000] and stream.read(10) == big[:10]

        def refused(func, *args):
            try:
                func(*args)
            except ForkError:
                return True
            return False

        def body():
            assert f.read(50) == big[1000:1050]
            assert fs.cat_file(top + "/a") == big
            assert refused(stream.read, 10) and refused(w.write, b"child")
            w.close()
            f.seek(0)

        report = by_fork(body)
        assert not report.problem(), report.problem()
        assert f.read(10) == big[1000:1010] and stream.read(10) == big[10:20]
        w.write(b" goes on")
        w.close()
        assert fs.cat_file(top + "/w") == b"parent goes on"
    """
    assert run(text, FSSPEC_FORK_RESET=reset) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.skipif(not hasattr(pafs, "S3FileSystem"), reason="pyarrow has no S3")
def test_those_with_connections_refuse(tmp_path):
    """Whatever was chosen, for the libraries below cannot be reset."""
    text = """
        import os, fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow.fs import S3FileSystem
        s3 = S3FileSystem(access_key="k", secret_key="a-secret", endpoint_override="127.0.0.1:9")
        fs = ArrowFSWrapper(s3)

        def body():
            for _ in range(2):
                try:
                    fs.exists("bucket/a")
                except ForkError as error:
                    assert "spawn" in str(error) and "a-secret" not in str(error), error
                else:
                    raise AssertionError("not refused")

        report = by_fork(body)
        assert not report.problem(), report.problem()
    """
    assert run(text, FSSPEC_FORK_RESET="1") == ""


def test_a_slash_at_the_end_stays_in_names_and_harms_nothing(local):
    fs, top = local
    fs.makedirs(f"{top}/reeds/")
    fs.pipe(f"{top}/reeds/a", b"1")
    assert fs.info(f"{top}/reeds/")["name"] == f"{top}/reeds/"
    assert HadoopFileSystem._strip_protocol("hdfs://host:1/a/b/") == "/a/b/"
    assert (fs._parent("a/b"), fs._parent("a"), fs._parent("/a/b/")) == ("/a", "/", "/a/b")
    assert fs.ls(f"{top}/reeds/") == fs.find(f"{top}/reeds/") == [f"{top}/reeds/a"]
    fs.copy(f"{top}/reeds/", f"{top}/copy/", recursive=True)
    fs.mv(f"{top}/copy/", f"{top}/moved/")
    assert fs.cat_file(f"{top}/moved/a") == b"1"
    fs.rm(f"{top}/moved/", recursive=True)
    assert not fs.exists(f"{top}/moved")


def test_a_file_that_is_only_streamed(local, tmp_path):
    fs, top = local
    fs.pipe(f"{top}/a", b"abc")
    with fs.open(f"{top}/a", "rb", seekable=False) as f:
        assert (f.size, f.seekable(), f.read()) == (None, False, b"abc")
    fs.get_file(f"{top}/a", tmp_path / "copy", seekable=False)
    assert (tmp_path / "copy").read_bytes() == b"abc"
    with fs.open(f"{top}/a") as f:
        assert (f.size, f.seekable()) == (3, True)
    with fs.open(f"{top}/b", "wb") as f:
        assert f.size is None


def test_seeking_from_nowhere(local):
    fs, top = local
    fs.pipe(f"{top}/a", b"abc")
    with fs.open(f"{top}/a") as f:
        with pytest.raises(ValueError, match="whence"):
            f.seek(0, 5)
        assert (f.seek(-1, 2), f.read()) == (2, b"c")


def test_a_position_before_the_file_is_an_error_of_pyarrow(place):
    import pyarrow

    fs, top = place
    fs.pipe_file(f"{top}/b", b"abc")
    with fs.open(f"{top}/b") as f, pytest.raises(pyarrow.ArrowInvalid):
        f.seek(-1)
