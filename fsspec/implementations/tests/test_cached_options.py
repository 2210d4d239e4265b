"""Caches of files and blocks: their options and folders, and what is written through them."""

import asyncio
import bz2
import errno
import gc
import gzip
import io
import json
import logging
import os
import pickle
import shutil
import stat
import time

import pytest

import fsspec
from fsspec.implementations.cache_mapper import AbstractCacheMapper, BasenameCacheMapper
from fsspec.implementations.cached import CachingFileSystem, LocalTempFile
from fsspec.implementations.tests.caches import EVERY, FILES, WHOLE, Noted, fetched, listed, make
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem


@pytest.fixture(params=["blocking", "awaitable"])
def target(request):
    return Noted(FILES) if request.param == "blocking" else WritableDictFileSystem(FILES)


# options -----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", EVERY)
def test_clear_cache_leaves_the_folder(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    with c.open(next(iter(FILES))) as f:
        assert f.read(1)
    c.clear_cache()
    assert os.listdir(c.storage[-1]) == []


@pytest.mark.parametrize("kind", EVERY)
def test_a_file_in_the_place_of_the_folder(kind, target, tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    c = make(kind, target, tmp_path, cache_storage=str(tmp_path / "file"))
    with pytest.raises(FileExistsError if kind == "blockcache" else NotADirectoryError):
        c.open(next(iter(FILES)))
    assert (tmp_path / "file").read_bytes() == b"mine"


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    "given, folders",
    [
        ("~/c", ["c"]),
        ("file://{}/c", ["c"]),
        ("file://~/c", ["c"]),
        ("local://{}/c", ["c"]),
        (["~/read", "file:{}/c"], ["read", "c"]),
    ],
)
def test_a_folder_in_that_of_the_user_and_as_a_url(kind, given, folders, m, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    m.pipe_file("/one", b"1")
    storage = [text.format(tmp_path) for text in given] if isinstance(given, list) else given.format(tmp_path)
    options = {"target_protocol": "memory", "cache_storage": storage, "skip_instance_cache": True}
    for _ in range(2):
        c = fsspec.filesystem(kind, **options)
        with c.open("/one") as f:
            assert f.read() == b"1"
        assert c.cat_file("/one") == b"1"
    assert [os.path.normpath(path) for path in c.storage] == [str(tmp_path / name) for name in folders]
    assert len(listed(c)) == 1
    assert pickle.loads(pickle.dumps(c)).storage == c.storage
    url = f"{kind}::memory://one"
    if kind != "blockcache":
        path = fsspec.open_local(url, **{kind: {"cache_storage": storage}})
        assert os.path.dirname(path) == str(tmp_path / "c")
    assert os.listdir() == []  # nothing called "~" or "file:"


@pytest.mark.parametrize("given", [None, 3, b"c", [None]])
def test_a_folder_that_is_no_path(given):
    with pytest.raises(TypeError, match="cache_storage needs a path"):
        fsspec.filesystem("simplecache", target_protocol="memory", cache_storage=given)


def test_an_empty_name_of_the_folder_is_refused():
    with pytest.raises(FileNotFoundError, match="cache_storage is empty"):
        fsspec.filesystem("filecache", target_protocol="memory", cache_storage="")


def test_a_cache_has_exactly_one_target():
    with pytest.raises(ValueError, match="no filesystem is named: write blockcache::URL"):
        CachingFileSystem()
    with pytest.raises(ValueError, match="one filesystem"):
        CachingFileSystem(target_protocol="memory", fs=fsspec.filesystem("memory"))
    with pytest.raises(ValueError, match="not by both"):
        CachingFileSystem(target_protocol="memory", same_names=False, cache_mapper=BasenameCacheMapper())
    with pytest.raises(ValueError, match="folder"):
        CachingFileSystem(target_protocol="memory", cache_storage=[])
    c = CachingFileSystem(target_protocol="memory", target_options={"k": 1})
    assert c.fs.storage_options == c.kwargs == {"k": 1} and c.target_protocol == "memory"


@pytest.mark.parametrize("kind", EVERY)
def test_equality_and_pickles(kind, tmp_path):
    options = {"target_protocol": "memory", "cache_storage": str(tmp_path / "c")}
    c = fsspec.filesystem(kind, **options)
    assert c is fsspec.filesystem(kind, **options)
    new = fsspec.filesystem(kind, skip_instance_cache=True, **options)
    assert new == c and hash(new) == hash(c) and new is not c
    assert pickle.loads(pickle.dumps(new)) == c
    assert AbstractFileSystem.from_json(c.to_json()) == c
    assert c != fsspec.filesystem(kind, **options, check_files=True) or kind == "simplecache"
    assert c != fsspec.filesystem(kind, **{**options, "cache_storage": str(tmp_path / "d")})
    temporary = fsspec.filesystem(kind, target_protocol="memory", skip_instance_cache=True)
    assert temporary != fsspec.filesystem(kind, target_protocol="memory", skip_instance_cache=True)
    assert json.loads(c.to_json())["cls"] == f"fsspec.implementations.cached:{type(c).__name__}"


@pytest.mark.parametrize("kind", EVERY)
def test_a_temporary_folder_goes_with_the_instance(kind, target):
    c = EVERY[kind](fs=target, skip_instance_cache=True)
    folder = c.storage[0]
    c.cat("r/one")
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700 and os.listdir(folder)
    del c
    gc.collect()
    assert not os.path.exists(folder)


@pytest.mark.parametrize("kind", WHOLE)
def test_with_same_names_a_copy_is_called_like_the_file(kind, target, tmp_path):
    c = make(kind, target, tmp_path, same_names=True)
    with c.open("r/sub/deep") as f:
        assert os.path.basename(f.name) == "deep" and f.original == "r/sub/deep"
    assert listed(c) == ["deep"]
    target.files["other/deep"] = b"other"
    if kind == "filecache":  # its table knows whose copy it is
        for path in ("other/deep", "r/sub/deep", "other/deep"):
            assert c.cat(path) == target.files[path]


class Mapper(AbstractCacheMapper):
    def __init__(self, name):
        self.name = name

    def __call__(self, path):
        return self.name


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("name", ["../out", "..", ".", "", "/tmp/out", "a/../../out", "a//b", "a\0b"])
def test_names_that_climb_are_refused(kind, target, tmp_path, name):
    c = make(kind, target, tmp_path, cache_mapper=Mapper(name))
    for wrong in (c.cat, c.open):
        with pytest.raises(ValueError, match="r/one"):
            wrong("r/one")
    if kind != "blockcache":
        with pytest.raises(ValueError, match="r/new"):
            c.open("r/new", "wb")
    assert os.listdir(tmp_path) == ["c"] and os.listdir(tmp_path / "c") == []


@pytest.mark.parametrize("kind", EVERY)
def test_paths_that_climb_are_refused_under_their_own_names(kind, target, tmp_path):
    target.files["r/.."] = target.files[".."] = b"evil"
    c = make(kind, target, tmp_path, same_names=True)
    for path in ("r/..", ".."):
        with pytest.raises(ValueError, match="folder of the cache"):
            c.cat(path)
    assert os.listdir(tmp_path / "c") == []


@pytest.mark.parametrize("kind", WHOLE)
def test_the_root_can_be_changed_though_nothing_is_called_like_it(kind, m, tmp_path):
    """It has no copy, and what has none need not be removed."""
    (tmp_path / "up").mkdir()
    (tmp_path / "up/new").write_bytes(b"1")
    c = fsspec.filesystem(kind, target_protocol="memory", cache_storage=f"{tmp_path}/c", same_names=True)
    c.put(f"{tmp_path}/up/", "/", recursive=True)
    assert c.find("/") == ["/new"]
    c.rm("/", recursive=True)
    assert c.find("/") == []


def test_a_file_named_as_the_table_is_refused(target, tmp_path):
    target.files["r/cache"] = b"data"
    with pytest.raises(ValueError, match="table"):
        make("filecache", target, tmp_path, same_names=True).cat("r/cache")
    assert make("simplecache", target, tmp_path / "s", same_names=True).cat("r/cache") == b"data"


@pytest.mark.parametrize("kind", EVERY)
def test_names_with_folders(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_mapper=Mapper("a/b/c"))
    assert c.cat("r/one") == b"1" and (tmp_path / "c/a/b/c").read_bytes() == b"1"
    c.clear_cache()
    assert os.listdir(tmp_path / "c") == []


@pytest.mark.parametrize("kind", WHOLE)
def test_copies_are_decompressed(kind, tmp_path):
    target = WritableDictFileSystem(
        {"a.gz": gzip.compress(b"text"), "b.bz2": bz2.compress(b"text"), "c": b"text"}
    )
    c = make(kind, target, tmp_path, compression="infer")
    assert set(c.cat(["a.gz", "b.bz2", "c"]).values()) == {b"text"}
    assert c.cat_file("a.gz", 1, 3) == b"ex"
    named = make(kind, target, tmp_path / "named", compression="gzip")
    assert named.cat("a.gz") == b"text"
    with pytest.raises(OSError):
        named.cat("c")
    target.files["cut.gz"] = gzip.compress(os.urandom(1000))[:-300]
    with pytest.raises(EOFError):
        c.cat("cut.gz")
    assert len(listed(named)) == 1 and len(listed(c)) == 3
    with pytest.raises(ValueError, match="nonsense"):
        make(kind, target, tmp_path / "wrong", compression="nonsense").cat("c")
    with c.open("a.gz", "wb") as f:  # what is written is what the target gets
        f.write(gzip.compress(b"new text"))
    assert c.cat("a.gz") == b"new text"


def test_a_copy_is_good_until_it_expires(target, tmp_path):
    c = make("filecache", target, tmp_path, expiry_time=0.05)
    assert c.cat("r/one") == b"1"
    target.files["r/one"] = b"new"
    time.sleep(0.1)
    assert c.cat("r/one") == b"new"
    never = make("filecache", target, tmp_path / "n", expiry_time=False)
    never.cat("r/one")
    never.clear_expired_cache()
    assert len(listed(never)) == 1
    time.sleep(0.05)
    never.clear_expired_cache(0.01)
    assert listed(never) == [] and never._metadata.cached_files == [{}]


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_a_changed_file_is_fetched_again_where_files_are_checked(kind, target, tmp_path):
    c = make(kind, target, tmp_path, check_files=True)
    assert c.cat(["r/one", "r/two"]) == {"r/one": b"1", "r/two": b"22"}
    target.files["r/one"] = b"changed"
    fetched(target)
    assert c.cat(["r/one", "r/two"]) == {"r/one": b"changed", "r/two": b"22"}
    assert {name for what, name, *_ in fetched(target) if what != "fetch"} == {"r/one"}
    del target.files["r/one"]
    with pytest.raises(FileNotFoundError):
        c.cat("r/one")
    assert isinstance(c.cat(["r/one", "r/two"], on_error="return")["r/one"], FileNotFoundError)


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
@pytest.mark.parametrize("through", [False, True], ids=["", "dir"])
def test_check_files_over_http(kind, through, http_server, tmp_path):
    """A file whose ETag, date or size is another is fetched anew; one that is as it was is not."""
    options = {"cache_storage": str(tmp_path), "check_files": True, "expiry_time": None}
    target = fsspec.filesystem("http")
    if through:
        target = fsspec.filesystem("dir", path=http_server.url, fs=target)
    c = fsspec.filesystem(kind, fs=target, **options)
    url = "x" if through else f"{http_server.url}/x"
    http_server.files["/x"] = b"old bytes"

    def read():
        with c.open(url) as f:
            return f.read()

    assert read() == c.cat(url) == b"old bytes"
    http_server.clear()
    assert read() == c.cat(url) == b"old bytes"
    assert {request.method for request in http_server.requests} == {"HEAD"}
    http_server.files["/x"] = b"new ones, which are longer"
    assert read() == c.cat(url) == b"new ones, which are longer"


def test_check_files_awaited_over_a_folder(tmp_path):
    """No method of an instance that belongs to the program's loop is asked to block for the version."""

    async def program():
        target = WritableDictFileSystem({"r/one": b"1"}, asynchronous=True)
        folder = fsspec.filesystem("dir", path="r", fs=target, asynchronous=True)
        options = {"cache_storage": str(tmp_path), "asynchronous": True, "check_files": True}
        c = fsspec.filesystem("filecache", fs=folder, **options)
        before = await c._cat_file("one")
        await target._pipe_file("r/one", b"changed")
        return before, await c._cat_file("one"), await c._cat(["one"])

    assert asyncio.run(program()) == (b"1", b"changed", {"one": b"changed"})


@pytest.mark.parametrize("kind", EVERY)
def test_of_several_folders_the_last_one_is_written(kind, target, tmp_path):
    first = make(kind, target, tmp_path)
    first.cat("r/one")
    both = make(kind, target, tmp_path, cache_storage=[str(tmp_path / "c"), str(tmp_path / "d")])
    target.files["r/one"] = b"newer"
    assert both.cat("r/one") == b"1"
    with pytest.raises(PermissionError, match="r/one"):
        both.pop_from_cache("r/one")
    assert both.cat("r/two") == b"22" and both.storage == [str(tmp_path / "c"), str(tmp_path / "d")]
    names = os.listdir(tmp_path / "c")
    both.pop_from_cache("r/two")
    both.clear_cache()
    assert os.listdir(tmp_path / "c") == names and listed(both) == []
    both.pipe("r/one", b"written")  # the copy in the other folder is out of date
    assert both.cat("r/one") == b"written" == target.files["r/one"]


@pytest.mark.parametrize("kind", EVERY)
def test_other_processes_copies_are_found(kind, target, tmp_path):
    c, other = make(kind, target, tmp_path), make(kind, target, tmp_path)
    c.cat("r/one")
    other.cat("r/two")
    fetched(target)
    assert c.cat("r/two") == b"22" and fetched(target) == []


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("text", [b"", b"{", b"\x00\xff", b'{"r/one": {"fn": "../../etc/passwd"}}'])
def test_a_damaged_table_means_fetching_again(kind, target, tmp_path, text):
    c = make(kind, target, tmp_path)
    c.cat(["r/one", "r/two"])
    (tmp_path / "c/cache").write_bytes(text)
    again = make(kind, target, tmp_path)
    assert again.cat(["r/one", "r/two"]) == {"r/one": b"1", "r/two": b"22"}
    assert kind == "simplecache" or set(json.loads((tmp_path / "c/cache").read_text())) == {"r/one", "r/two"}


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_cleared_is_gone_from_the_folder(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_storage_mode=0o750)
    assert stat.S_IMODE(os.stat(tmp_path / "c").st_mode) == 0o750
    empty = c.cache_size()
    assert empty == os.stat(tmp_path / "c").st_size
    c.cat(["r/one", "r/two"])
    copies = sum(f.stat().st_size for f in (tmp_path / "c").iterdir())
    assert c.cache_size() == os.stat(tmp_path / "c").st_size + copies
    c.clear_cache()
    assert os.listdir(tmp_path / "c") == [] and c.cache_size() == os.stat(tmp_path / "c").st_size
    target.files["r/one"] = b"new"
    assert c.cat("r/one") == b"new"
    c.pop_from_cache("r/one")
    c.pop_from_cache("r/one")
    c.pop_from_cache("r/nope")
    assert listed(c) == []
    shutil.rmtree(tmp_path / "c")  # somebody else's doing
    assert c.cat("r/one") == b"new"


@pytest.mark.parametrize("kind", WHOLE)
def test_clearing_leaves_what_is_being_written(kind, target, tmp_path):
    c, other = make(kind, target, tmp_path), make(kind, target, tmp_path)
    c.cat("r/one")
    with c.open("r/new", "wb") as f:
        f.write(b"new")
        other.clear_cache()
        other.clear_expired_cache(1e-6)
        assert os.listdir(tmp_path / "c") == [os.path.basename(f.name)]
    assert target.files["r/new"] == b"new" and c.cat("r/one") == b"1"
    dead = tmp_path / "c" / ".0123456789abcdef.part"
    dead.write_bytes(b"part")
    os.utime(dead, (0, 0))
    other.clear_expired_cache(1000)
    assert not dead.exists()


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_not_the_cache_s_stays_when_copies_expire(kind, target, tmp_path):
    folder = tmp_path / "c"
    (folder / "empty" / "deeper").mkdir(parents=True)
    (folder / "mine").mkdir()
    for name in ("mine/precious", "mine/.0123456789abcdef.part", "download.part"):
        (folder / name).write_text("mine")
        os.utime(folder / name, (0, 0))
    c = make(kind, target, tmp_path)
    c.cat("r/one")
    c.clear_expired_cache(1000)
    assert sorted(os.listdir(folder / "mine")) == [".0123456789abcdef.part", "precious"]
    assert (folder / "empty" / "deeper").is_dir()
    assert (folder / "download.part").exists() == (
        kind != "simplecache"
    )  # which has no table: a file is a copy
    c.clear_cache()
    assert listed(c) == []


@pytest.mark.parametrize("kind", EVERY)
def test_a_copy_that_somebody_removed_is_fetched_again(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    c.cat("r/one")
    for name in listed(c):
        os.unlink(tmp_path / "c" / name)
    assert c.cat("r/one") == b"1"
    with c.open("r/one") as f:
        assert f.read() == b"1"


def test_simplecache_has_no_times(target, tmp_path):
    c = make("simplecache", target, tmp_path, expiry_time=1, cache_check=1, check_files=True)
    assert (c.expiry, c.cache_check, c.check_files, c.local_file) == (False, False, False, True)
    c.cat("r/one")
    for wrong in (None, 0, -1):
        with pytest.raises(ValueError, match="above 0"):
            c.clear_expired_cache(wrong)
    c.clear_expired_cache(1000)
    assert listed(c) != [] and c._check_file("r/one") == str(tmp_path / "c" / listed(c)[0])
    assert c._check_file("r/two") is None


# writing -----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
def test_each_written_file_is_sent_by_itself(kind, target, tmp_path, monkeypatch):
    sent, dash = [], "_" if target.async_impl else ""
    put_file = getattr(target, f"{dash}put_file")
    monkeypatch.setattr(
        target, f"{dash}put_file", lambda local, path, **kw: sent.append(path) or put_file(local, path, **kw)
    )
    c = make(kind, target, tmp_path)
    c.pipe_file("r/first", b"1")
    with c.transaction:
        c.pipe_file("r/second", b"2")
        c.pipe_file("r/third[", b"3")
    assert sorted(sent) == ["r/first", "r/second", "r/third["]
    assert target.files["r/third["] == b"3"


@pytest.mark.parametrize("kind", EVERY)
def test_a_closed_copy_does_not_say_what_can_be_done_with_it(kind, target, tmp_path):
    """As of the built-in file that it is."""
    if kind == "blockcache":
        pytest.skip("files are the target's")
    c = make(kind, target, tmp_path)
    for mode, ask in ("rb", "readable"), ("wb", "writable"):
        f = c.open("r/one", mode)
        assert getattr(f, ask)()
        f.close()
        for act in getattr(f, ask), f.flush:
            with pytest.raises(ValueError, match="closed"):
                act()


@pytest.mark.parametrize("kind", EVERY)
def test_files_are_written_in_each_mode(kind, target, tmp_path):
    if kind == "blockcache":
        pytest.skip("files are the target's")
    c = make(kind, target, tmp_path)
    with c.open("r/new", "xb") as f:
        assert isinstance(f, LocalTempFile) and f.path == "r/new"
        assert f.writable() and not f.readable()
        f.write(b"new")
        assert "r/new" not in target.files
    assert target.files["r/new"] == b"new" and f.closed
    with pytest.raises(FileExistsError):
        c.open("r/new", "xb")
    for path, before in [("r/new", b"new"), ("r/fresh", b"")]:
        with c.open(path, "ab") as f:
            f.write(b"+")
        assert c.cat(path) == target.files[path] == before + b"+"
    with c.open("r/new", "r+b") as f:
        f.seek(1)
        f.write(b"E")
    assert target.files["r/new"] == b"nEw+"
    with c.open("r/new", "wt") as f:
        f.write("text")
    assert target.files["r/new"] == b"text" == c.cat("r/new")
    with pytest.raises(FileNotFoundError):
        c.open("r/nope", "r+b")
    assert not [name for name in listed(c) if name.endswith(".part")]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_failing_upload_leaves_nothing(kind, tmp_path):
    class Full(WritableDictFileSystem):
        async def _put_file(self, *args, **kwargs):
            raise OSError("the store is full")

    c = make(kind, Full(FILES), tmp_path)
    f = c.open("r/one", "wb")
    f.write(b"new")
    with pytest.raises(OSError, match="full"):
        f.close()
    with pytest.raises(OSError, match="full"):
        c.pipe({"r/one": b"new", "r/two": b"new"})
    assert f.closed and listed(c) == [] and c.cat("r/one") == b"1"


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_dropped_without_being_closed_is_uploaded(kind, target, tmp_path, caplog):
    c = make(kind, target, tmp_path)
    f = c.open("r/new", "wb")
    f.write(b"new")
    del f
    gc.collect()
    assert target.files["r/new"] == b"new"  # as other files do it
    with caplog.at_level(logging.CRITICAL):
        g = c._open("r/other", "wb", autocommit=False)
        g.close()
        del g
    gc.collect()
    assert "r/other" not in target.files and not [n for n in listed(c) if n.endswith(".part")]


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_open_at_the_end_of_the_program_is_uploaded(kind, tmp_path):
    """And what cannot be is told in a line."""
    os.mkdir(tmp_path / "folder")
    reported = run(
        f"""
        import fsspec, logging, sys
        logging.basicConfig(stream=sys.stdout)
        c = fsspec.filesystem({kind!r}, target_protocol="file", cache_storage={f"{tmp_path}/c"!r})
        kept = [c.open({f"{tmp_path}/"!r} + name, "wb") for name in ("new", "folder", "other")]
        for f in kept:
            f.write(b"1")
        """
    )
    assert (tmp_path / "new").read_bytes() == (tmp_path / "other").read_bytes() == b"1"
    assert reported.count("\n") == 1 and "was not uploaded: IsADirectoryError" in reported
    assert not [name for name in os.listdir(tmp_path / "c") if name.endswith(".part")]


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_written_in_a_transaction_appears_at_its_end(kind, target, tmp_path):
    if kind == "blockcache" and isinstance(target, WritableDictFileSystem):
        pytest.skip("this target has no files that are written")
    c = make(kind, target, tmp_path)
    with c.transaction:
        c.pipe("r/a", b"a")
        c.pipe({"r/b": b"bb", "r/one": b"new"})
        with c.open("r/c", "wb") as f:
            f.write(b"ccc")
        assert not {"r/a", "r/b", "r/c"} & target.files.keys() and target.files["r/one"] == b"1"
        if kind == "simplecache":
            assert c.info("r/c") == {"name": "r/c", "size": 3, "type": "file"}
            assert c.exists("r/a") and c.isfile("r/b") and c.size("r/b") == 2 and not c.exists("r/d")
            names = c.ls("r", detail=False)
            assert {"r/a", "r/b", "r/c", "r/one", "r/sub"} <= set(names) and len(names) == len(set(names))
            assert {e["name"]: e["size"] for e in c.ls("r")}["r/c"] == 3
            assert c.ls("r/c", detail=False) == ["r/c"]
            assert c.cat("r/c") == b"ccc" and c.cat("r/one") == b"new"
    assert [target.files[p] for p in ("r/a", "r/b", "r/c", "r/one")] == [b"a", b"bb", b"ccc", b"new"]
    fetched(target)
    written = ["r/a", "r/b", "r/c", "r/one"]
    assert c.cat(written) == {p: target.files[p] for p in written}
    assert kind != "simplecache" or fetched(target) == []
    with pytest.raises(KeyError), c.transaction:
        c.pipe("r/z", b"z")
        raise KeyError
    assert "r/z" not in target.files and not c.exists("r/z")
    assert not [name for name in listed(c) if name.endswith(".part")]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_is_touched_in_a_transaction_is_not_kept(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    assert c.cat("r/one") == b"1"
    with c.transaction:
        c.touch("r/one")
        c.touch("r/new")
        if kind == "simplecache":
            names = c.ls("r", detail=False)
            assert "r/new" in names and names == sorted(names)
    assert target.files["r/one"] == target.files["r/new"] == b""
    assert [name for name in listed(c) if name != "cache"] == []
    assert c.cat(["r/one", "r/new"]) == {"r/one": b"", "r/new": b""}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_written_compressed_is_the_same_bytes_each_time(kind, target, tmp_path):
    """The header of gzip names the file: not by what its copy is called while it is written."""
    c = make(kind, target, tmp_path)
    for name in "ab":
        with c.open("r/one", "wb", compression="gzip") as f:
            f.write(b"text")
        target.files[name] = target.files["r/one"]
    assert gzip.decompress(target.files["a"]) == b"text"
    assert target.files["a"][:4] == target.files["b"][:4] and target.files["a"][8:] == target.files["b"][8:]
    assert c.hash_name("r/one").encode() in target.files["a"]


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("compression, mode", [(None, "wb"), ("gzip", "wb"), (None, "wt"), ("gzip", "wt")])
def test_several_files_written_together(kind, target, tmp_path, compression, mode):
    c = make(kind, target, tmp_path)
    files = [fsspec.core.OpenFile(c, f"r/w{n}", mode, compression) for n in range(3)]
    with fsspec.core.OpenFiles(files, mode=mode, fs=c) as opened:
        for n, f in enumerate(opened):
            f.write(str(n) if "t" in mode else str(n).encode())
        assert "r/w0" not in target.files
    decoded = gzip.decompress if compression else bytes
    assert [decoded(target.files[f"r/w{n}"]) for n in range(3)] == [b"0", b"1", b"2"]


def test_a_temporary_file_by_itself(tmp_path):
    target = DictFileSystem()
    fn = str(tmp_path / "x")
    with LocalTempFile(target, "r/x", fn, autocommit=False) as f:
        assert f.size is None
        f.write(b"data")
    assert f.name == fn and not target.files
    f.commit()
    assert target.files == {"r/x": b"data"}
    g = LocalTempFile(target, "r/x", fn, mode="r+b", seek=2)
    g.write(b"TA")
    g.close()
    assert target.files == {"r/x": b"daTA"}
    h = LocalTempFile(target, "r/y", fn)
    h.discard()
    assert not os.path.exists(fn) and "r/y" not in target.files


# a disk that is full -----------------------------------------------------------------
FULL = """
import errno, os, resource
import fsspec
from fsspec.implementations.tests.caches import EVERY, make, Noted
from fsspec.tests.wdictfs import WritableDictFileSystem
import pathlib
target = {target}({{"r/old": b"old"}})
c = make({kind!r}, target, pathlib.Path({path!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # writing beyond fails, as on a full disk
def fails(what):
    try:
        what()
    except OSError as error:
        assert error.errno == errno.EFBIG, error
        return error
    raise AssertionError("nothing was raised")
def left():
    return [name for name in os.listdir(c.storage[-1]) if name.endswith(".part")]
"""
WRITING = {
    "a large piece": "def go():\n  with c.open('r/a', 'wb') as f: f.write(b'x' * 100_000)",
    "small pieces": "def go():\n  with c.open('r/a', 'wb') as f:\n    for _ in range(99): f.write(b'x' * 99)",
    "only as it is closed": "def go():\n  with c.open('r/a', 'wb') as f: f.write(b'x' * 1001)",
    "lines": "def go():\n  with c.open('r/a', 'wb') as f: f.writelines([b'x' * 100] * 1000)",
    "text": "def go():\n  with c.open('r/a', 'wt') as f: f.write('x' * 100_000)",
    "truncate": "def go():\n  with c.open('r/a', 'wb') as f: f.truncate(2000)",
    "a codec": (
        "def go():\n  with c.open('r/a', 'wb', compression='gzip') as f:\n    f.write(os.urandom(100_000))"
    ),
    "pipe": "def go(): c.pipe('r/a', b'x' * 1001)",
    "dropped": (
        "def go():\n  f = c._open('r/a', 'wb', autocommit=False)\n"
        "  try: f.write(b'x' * 100_000)\n  finally: f.discard()"
    ),
    "the error passed over": (
        "def go():\n  with c.open('r/a', 'wb') as f:\n    try: f.write(b'x' * 9999)\n    except OSError: pass"
    ),
    "a transaction": (
        "def go():\n  with c.transaction:\n    c.pipe('r/b', b'2')\n"
        "    with c.open('r/a', 'wb') as f:\n      f.write(b'x' * 100_000)"
    ),
}


@pytest.mark.parametrize("how", WRITING)
@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("target", ["Noted", "WritableDictFileSystem"])
def test_what_could_not_be_written_is_not_uploaded(kind, target, how, tmp_path):
    pytest.importorskip("resource")
    run(
        FULL.format(kind=kind, target=target, path=str(tmp_path))
        + WRITING[how]
        + """
error = fails(go)
assert target.files == {"r/old": b"old"}, sorted(target.files)
assert not left()
c.pipe("r/new", b"n")
assert target.files["r/new"] == b"n" and c.cat("r/new") == b"n"
"""
    )


def test_a_transaction_whose_file_failed_uploads_the_others_and_says_so(tmp_path):
    pytest.importorskip("resource")
    run(
        FULL.format(kind="simplecache", target="Noted", path=str(tmp_path))
        + """
def go():
    with c.transaction:
        c.pipe("r/b", b"2")
        try:
            with c.open("r/a", "wb") as f:
                f.write(b"x" * 100_000)
        except OSError:
            pass
        c.pipe("r/c", b"3")
error = fails(go)
assert error.filename == "r/a" and "not uploaded" in str(error), error
assert target.files == {"r/old": b"old", "r/b": b"2", "r/c": b"3"} and not left()
"""
    )


# copies that are open ----------------------------------------------------------------
@pytest.mark.parametrize("mode", ["rb", "br", "r"])
@pytest.mark.parametrize("kind", WHOLE)
def test_an_open_copy_is_a_built_in_file(kind, mode, target, tmp_path):
    c = make(kind, target, tmp_path)
    with c.open("r/big", mode, **({} if "b" in mode else {"encoding": "latin1"})) as f:
        if mode == "r":
            f = f.buffer
        assert isinstance(f, io.BufferedReader) and f.name == os.path.join(c.storage[-1], listed(c)[0])
        assert (f.mode, f.size, f.original) == ("rb", len(FILES["r/big"]), "r/big")
        f.seek(0)
        assert b"".join(f) == FILES["r/big"]
        with pytest.raises(OSError) as raised:
            f.seek(-1)
        assert raised.value.errno == errno.EINVAL
        f.seek(7)
        with pickle.loads(pickle.dumps(f)) as again:
            assert again.read(3) == FILES["r/big"][7:10] and f.tell() == 7
    assert f.closed


@pytest.mark.parametrize("kind", WHOLE)
def test_one_path_is_bytes_however_it_is_found(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    assert c.cat("r/on*") == b"1" and c.cat("r/one", on_error="omit") == b"1"
    assert c.cat(["r/on*"]) == {"r/one": b"1"}
    assert c.cat("r/no", on_error="omit") == {}
    assert [type(e) for e in c.cat("r/no", on_error="return").values()] == [FileNotFoundError]


@pytest.mark.parametrize("kind", WHOLE)
def test_pending_files_and_their_folders_are_there(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    with c.transaction:
        c.pipe("far/off/goose", b"3")
        c.pipe("r/new", b"4")
        for path in ["far", "far/off"]:
            assert c.isdir(path) and c.exists(path) and not c.isfile(path)
            assert c.info(path) == {"name": path, "size": 0, "type": "directory"}
        assert c.ls("far", detail=False) == ["far/off"] and c.ls("far/off", detail=False) == ["far/off/goose"]
        assert "r/new" in c.ls("r", detail=False) and "r/one" in c.ls("r", detail=False)
        assert c.cat("far/off/goose") == b"3" and c.isfile("far/off/goose") and c.size("far/off/goose") == 1
        with c.open("r/new") as f:
            assert f.read() == b"4"
        assert "r/new" not in target.files
    assert target.files["r/new"] == b"4"


def test_all_folders_of_a_simplecache_are_made(target, tmp_path):
    storage = [str(tmp_path / "c1"), str(tmp_path / "c2")]
    make("simplecache", target, tmp_path, cache_storage=storage)
    assert all(map(os.path.isdir, storage))


@pytest.mark.parametrize("kind", EVERY)
def test_copies_are_looked_for_in_the_order_of_the_folders(kind, tmp_path):
    one, two = str(tmp_path / "c1"), str(tmp_path / "c2")
    for folder, data in [(one, b"old"), (two, b"newer")]:
        assert make(kind, Noted({"r/milk": data}), tmp_path, cache_storage=folder).cat("r/milk") == data
    both = make(kind, Noted({"r/milk": b"now"}), tmp_path, cache_storage=[one, two])
    assert both.cat("r/milk") == b"old"
    both.pipe("r/milk", b"written")
    assert both.cat("r/milk") == b"written"


@pytest.mark.parametrize("kind", EVERY)
def test_a_folder_is_no_file(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    with pytest.raises(IsADirectoryError) as raised:
        c.open("r/sub")
    if kind == "blockcache":  # others are told by the target, or by what it gives
        assert (raised.value.errno, raised.value.filename) == (errno.EISDIR, "r/sub")


def test_files_opened_together_are_a_list(target, tmp_path):
    c = make("filecache", target, tmp_path)
    files = fsspec.core.OpenFiles([fsspec.core.OpenFile(c, p) for p in ("r/one", "r/two")], fs=c)
    opened = c.open_many(files)
    assert type(opened) is list and [f.read() for f in opened] == [b"1", b"22"]
    for f in opened:
        f.close()


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
def test_a_file_that_must_not_be_there_says_its_mode(kind, tmp_path):
    c = make(kind, WritableDictFileSystem({}), tmp_path)
    with c.open("r/x", "xb") as f:
        assert f.mode == "xb"


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
@pytest.mark.parametrize(("mode", "told"), [("r+b", "rb+"), ("w+b", "rb+"), ("a+b", "ab+"), ("wb", "wb")])
def test_mode_is_that_of_a_built_in_file_within_a_with_statement(kind, mode, told, tmp_path):
    c = make(kind, WritableDictFileSystem({"r/x": b"x"}), tmp_path)
    with c.open("r/x", mode) as f:
        assert f.mode == told


@pytest.mark.parametrize("kind", ["blockcache", "filecache", "simplecache"])
def test_instances_of_caches_are_forgotten(kind, tmp_path):
    options = {"target_protocol": "memory", "cache_storage": str(tmp_path)}
    c = fsspec.filesystem(kind, **options)
    assert fsspec.filesystem(kind, **options) is c
    c.clear_instance_cache()
    assert fsspec.filesystem(kind, **options) is not c


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
@pytest.mark.parametrize("end", ["commit", "discard"])
def test_only_a_transaction_waits_for_a_commit(kind, target, tmp_path, end):
    """Outside of one a file is sent when it is closed, whatever ``autocommit`` says."""
    c = make(kind, target, tmp_path)
    with c.open("r/new", "wb", autocommit=False) as f:
        f.write(b"new")
    assert target.files["r/new"] == b"new"
    getattr(f, end)()
    assert target.files["r/new"] == b"new" and c.cat("r/new") == b"new"


def test_what_is_written_through_a_cache_of_blocks_waits_where_the_other_waits(m, tmp_path):
    """In memory that is in transactions only, whatever ``autocommit`` says."""
    c = fsspec.filesystem("blockcache", fs=m, cache_storage=str(tmp_path))
    with c.open("/new", "wb", autocommit=False) as f:
        f.write(b"new")
    assert m.cat("/new") == b"new"
    with c.transaction:
        with c.open("/new", "wb") as f:
            f.write(b"newer")
        assert m.cat("/new") == b"new"
    assert m.cat("/new") == b"newer"


def test_what_is_written_together_is_entered_together(target, tmp_path, monkeypatch):
    c = make("filecache", target, tmp_path, cache_max_size=1000)  # by the table, which has it for that
    tables, replace = [], os.replace

    def noting(source, to):
        if os.path.basename(to) == "cache":
            tables.append(to)
        replace(source, to)

    monkeypatch.setattr(os, "replace", noting)
    contents = {f"r/new{n}": b"%d" % n for n in range(5)}
    c.pipe(contents)
    assert len(tables) == 1 and len(listed(c)) == 5
    again = make("filecache", target, tmp_path)
    for path, data in contents.items():
        assert again._check_file(path) and again.cat_file(path) == data


@pytest.mark.parametrize("kind", EVERY)
def test_a_check_of_one_s_own_says_which_copy_is_used(kind, tmp_path):
    class Doubting(EVERY[kind]):
        doubts = False

        def _check_file(self, path):
            return None if self.doubts else super()._check_file(path)

    target = WritableDictFileSystem({"r/one": b"old"})
    c = Doubting(fs=target, cache_storage=str(tmp_path), skip_instance_cache=True)
    for read in (
        lambda: c.open("r/one").read(),
        lambda: c.cat_file("r/one"),
        lambda: c.cat(["r/one"])["r/one"],
        lambda: c.cat_ranges(["r/one"], [0], [3])[0],
    ):
        target.files["r/one"] = b"old"
        c.clear_cache()
        assert read() == b"old"
        target.files["r/one"] = b"new"
        c.doubts = False
        assert read() == b"old"
        c.doubts = True
        assert read() == b"new"


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
def test_a_look_at_the_table_of_one_s_own_comes_before_each_use_of_a_copy(kind, tmp_path):
    class Looking(EVERY[kind]):
        def _check_cache(self):
            looks.append(1)
            super()._check_cache()

    looks: list[int] = []
    c = Looking(
        fs=WritableDictFileSystem({"r/one": b"1"}), cache_storage=str(tmp_path), skip_instance_cache=True
    )
    for read in (
        lambda: c.open("r/one").read(),
        lambda: c.cat_file("r/one"),
        lambda: c.cat(["r/one"])["r/one"],
    ):
        looks.clear()
        assert read() == b"1" and looks
