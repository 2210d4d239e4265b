"""Caches of files and blocks: what they fetch, what they serve, what they leave to the target."""

import asyncio
import gc
import gzip
import importlib
import inspect
import multiprocessing
import os
import pickle
import tempfile
from contextlib import contextmanager

import pytest

import fsspec
from fsspec._files.buffered import reopen
from fsspec.asyn import AsyncFileSystem
from fsspec.exceptions import BlocksizeMismatchError, FileChangedError
from fsspec.implementations._cached.delegating import DELEGATED, OF_INSTANCES, OVERRIDABLE
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.tests.caches import EVERY, FILES, WHOLE, Noted, choosing, fetched, listed, make
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem

# the import put it in the place of the awaitable one
importlib.import_module("fsspec.implementations.http_sync").unregister()


@pytest.fixture(params=["blocking", "awaitable"])
def target(request):
    return Noted(FILES) if request.param == "blocking" else WritableDictFileSystem(FILES)


# what is fetched ---------------------------------------------------------------------
@pytest.mark.parametrize("kind", EVERY)
def test_a_file_is_fetched_once(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    for _ in range(2):
        assert c.cat("r/one") == b"1"
        assert c.cat(["r/one", "r/two"]) == {"r/one": b"1", "r/two": b"22"}
    assert {name for _, name, *_ in fetched(target)} <= {"r/one", "r/two", 0}
    assert c.cat_file("r/big", 5, 300) == FILES["r/big"][5:300]
    fetched(target)
    with c.open("r/big") as f:
        assert f.read() == FILES["r/big"]
        assert f.seek(-3, 2) and f.read() == FILES["r/big"][-3:]
    for start, end in [(0, 10), (-10, None), (None, -5), (-7, -3), (5, 5), (20_000, None), (9, 2)]:
        assert c.cat_file("r/big", start, end) == FILES["r/big"][start:end]
    assert c.head("r/big", 4) + c.tail("r/big", 4) == FILES["r/big"][:4] + FILES["r/big"][-4:]
    assert c.read_block("r/big", 10, 20) == FILES["r/big"][10:30]
    assert c.cat_ranges(["r/big", "r/one"], [1, 0], [4, 1]) == [FILES["r/big"][1:4], b"1"]
    assert fetched(target) == []
    assert c.read_bytes("r/two") == b"22" and c.read_text("r/two") == "22"
    assert len(fetched(target)) == 2  # of the target, as upstream's
    again = make(kind, target, tmp_path)
    assert again.cat("r/big") == FILES["r/big"] and fetched(target) == []


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_missing_is_fetched_at_once(kind, tmp_path):
    files = {f"r/{n}": bytes([n]) for n in range(40)}
    target = WritableDictFileSystem(files)
    c = make(kind, target, tmp_path)
    c.cat("r/3")
    assert c.cat("r/*") == files
    assert target.most_at_once > 5
    assert len(fetched(target)) == 40
    with fsspec.core.OpenFiles([fsspec.core.OpenFile(c, p) for p in files], fs=c) as opened:
        assert [f.read() for f in opened] == list(files.values())
    assert all(f.closed for f in opened) and fetched(target) == []


def test_the_table_is_written_once_a_batch(tmp_path, monkeypatch):
    target = WritableDictFileSystem({f"r/{n}": bytes([n]) for n in range(30)})
    c = make("filecache", target, tmp_path)
    inodes = []
    save = c._metadata._save
    monkeypatch.setattr(
        c._metadata, "_save", lambda *args: (save(*args), inodes.append(os.stat(tmp_path / "c/cache")))
    )
    c.cat("r/*")
    c.cat_ranges([f"r/{n}" for n in range(30)], 0, 1)
    assert len(inodes) == 1


@pytest.mark.parametrize("kind", EVERY)
def test_errors_of_some_files(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    for wrong in (c.cat, c.cat_file, c.open):
        with pytest.raises(FileNotFoundError, match="r/nope"):
            wrong("r/nope")
    assert c.cat(["r/one", "r/nope"], on_error="omit") == {"r/one": b"1"}
    got = c.cat(["r/one", "r/nope"], on_error="return")
    assert got["r/one"] == b"1" and isinstance(got["r/nope"], FileNotFoundError)
    got = c.cat_ranges(["r/one", "r/nope"], 0, 1)
    assert got[0] == b"1" and isinstance(got[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        c.cat_ranges(["r/one", "r/nope"], 0, 1, on_error="raise")
    with pytest.raises(ValueError):
        c.cat_ranges(["r/one"], [0, 1], [1])
    with pytest.raises(OSError):
        c.cat("r/sub")
    assert c.cat("r", recursive=True) == {p: data for p, data in FILES.items() if not p.endswith("/")}
    assert len(listed(c)) == 4 and not [name for name in listed(c) if name.endswith(".part")]


def test_a_broken_download_leaves_nothing(tmp_path):
    target = WritableDictFileSystem(FILES, broken=["r/big"])
    for kind in WHOLE:
        c = make(kind, target, tmp_path / kind)
        with pytest.raises(OSError, match="broken"):
            c.cat("r/big")
        got = c.cat(["r/one", "r/big"], on_error="return")
        assert got["r/one"] == b"1" and "broken" in str(got["r/big"])
        assert len(listed(c)) == 1
    target.broken.clear()
    assert c.cat("r/big") == FILES["r/big"]


@contextmanager
def full_disk(size):
    """Within it no file can be written that is longer than ``size`` bytes."""
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


@pytest.mark.parametrize("size", [0, 5000], ids=["the table", "the blocks"])
@pytest.mark.parametrize("kind", [DictFileSystem, WritableDictFileSystem])
def test_blocks_that_a_full_disk_does_not_take_are_read_from_the_target(kind, size, tmp_path, caplog):
    target = kind(FILES)
    c = make("blockcache", target, tmp_path)
    with full_disk(size):
        for path in ("r/big", "r/one"):
            with c.open(path) as f:
                assert f.read() == FILES[path] and f.seek(1) and f.read(3) == FILES[path][1:4]
        assert c.cat_file("r/big", 10, 5010) == FILES["r/big"][10:5010] and c.cat("r/big") == FILES["r/big"]
        assert c.cat_ranges(["r/big"], [3], [9]) == [FILES["r/big"][3:9]]
        with pytest.raises(FileNotFoundError):
            c.open("r/no")
    assert "r/big is read and cannot be kept" in caplog.text
    with c.open("r/big") as f:
        assert f.read() == FILES["r/big"] and f.name in {os.path.join(c.storage[-1], n) for n in listed(c)}


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_copies_are_removed_from_a_full_disk(kind, tmp_path):
    paths = [path for path in FILES if not path.endswith("/")]
    c = make(kind, DictFileSystem(FILES), tmp_path, expiry_time=1000)
    assert len(paths) > 2 and len(c.cat(paths)) == len(paths)
    with full_disk(0):
        c.pop_from_cache(paths[0])
        assert len(listed(c)) == len(paths) - 1
        c.clear_expired_cache(1e-9)
        assert listed(c) == []
    assert c.cat(paths) == {path: FILES[path] for path in paths}


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    target = WritableDictFileSystem(FILES)
    c = make("simplecache", target, tmp_path)
    with full_disk(5000):
        with pytest.raises(OSError):
            c.cat("r/big")
        f = c.open("r/new", "wb")
        f.write(bytes(3000))
        with pytest.raises(OSError):
            for _ in range(1000):
                f.write(bytes(3000))
            f.close()
        f.discard()
    assert listed(c) == [] and "r/new" not in target.files
    assert c.cat("r/big") == FILES["r/big"]


class Narrow(DictFileSystem):
    def _open(self, path, mode="rb", **kwargs):
        return super()._open(path, mode, **kwargs)

    def open(self, path, mode="rb", **kwargs):
        return super().open(path, mode, **kwargs)


@pytest.mark.parametrize("kind", EVERY)
def test_targets_that_take_no_more_than_a_path_and_a_mode_in_order(kind, tmp_path):
    target = Narrow()
    c = make(kind, target, tmp_path)
    with c.open("r/written", "wb", block_size=10) as f:
        f.write(b"w")
    with c.open("r/text", "w") as f:
        f.write("t")
    c.touch("r/touched")
    c.pipe_file("r/piped", b"p")
    assert target.files == {"r/written": b"w", "r/text": b"t", "r/touched": b"", "r/piped": b"p"}
    assert reopen(target, "r/text", "rb", 10, 1, 1, True, "none", {}).read() == b""


# blocks ------------------------------------------------------------------------------
def test_only_the_blocks_that_are_read(target, tmp_path):
    c = make("blockcache", target, tmp_path)
    with c.open("r/big", block_size=1000) as f:
        assert f.read(5) == FILES["r/big"][:5]
        f.seek(5200)
        assert f.read(1000) == FILES["r/big"][5200:6200]
        assert f.cache.blocks == {0, 5, 6} and f.size == 10240
    asked = fetched(target)
    if isinstance(target, Noted):
        assert [entry[1:] for entry in asked if entry[0] == "fetch"] == [(0, 1000), (5000, 7000)]
        assert asked[0] == ("get", "r/big") and len(asked) == 3
    else:
        assert asked == [("cat", "r/big")] * 2
    again = make("blockcache", target, tmp_path)
    with again.open("r/big") as f:
        assert (f.blocksize, f.cache.blocks) == (1000, {0, 5, 6})
        f.seek(5500)
        assert f.read(100) == FILES["r/big"][5500:5600] and fetched(target) == []
        copy = pickle.loads(pickle.dumps(f)) if isinstance(target, WritableDictFileSystem) else None
        if copy is not None:
            assert copy.tell() == 5600 and copy.read(4) == FILES["r/big"][5600:5604]
            copy.close()
        assert f.read() == FILES["r/big"][5600:]
    with pytest.raises(BlocksizeMismatchError, match="r/big"):
        c.load_cache()
        c.open("r/big", block_size=10)
    with again.open("r/big") as f:
        f.read()
    target.files["r/big"] = b"gone"
    with again.open("r/big", block_size=10) as f:  # it is whole: blocks have no say any more
        assert f.read() == FILES["r/big"]


def test_blocks_of_a_file_that_changed(target, tmp_path):
    c = make("blockcache", target, tmp_path, check_files=True)
    with c.open("r/big", block_size=1000) as f:
        f.read(10)
    target.files["r/big"] = b"new" * 1000
    with c.open("r/big", block_size=500) as f:
        assert f.read(6) == b"newnew" and f.size == 3000


async def _part(folder, url):
    target = fsspec.filesystem("http", asynchronous=True)
    session = await target.set_session()
    try:
        return await fsspec.filesystem("blockcache", fs=target, cache_storage=folder)._cat_file(url, 20, 30)
    finally:
        await session.close()


def test_blocks_of_what_has_no_size(http_server, tmp_path):
    http_server.files["/x"] = b"x" * 100
    http_server.fault("/x", chunked=True, no_accept_ranges=True)
    c = fsspec.filesystem("blockcache", target_protocol="http", cache_storage=str(tmp_path))
    url = http_server.url + "/x"
    with c.open(url) as f:
        assert f.read() == b"x" * 100
    assert c.read_text(url) == "x" * 100 and c.cat(url) == b"x" * 100
    assert asyncio.run(_part(str(tmp_path / "awaited"), url)) == b"x" * 10
    c = fsspec.filesystem("filecache", target_protocol="http", cache_storage=str(tmp_path))
    assert c.cat(http_server.url + "/x") == b"x" * 100


@pytest.mark.parametrize(
    "start, end", [(5, None), (5, 9), (-7, None), (-7, -2), (None, -3), (9, 5), (200, None)]
)
def test_parts_of_what_has_no_size_are_cut_out_of_it(http_server, tmp_path, start, end):
    http_server.files["/x"] = whole = bytes(range(100))
    http_server.fault("/x", chunked=True, no_accept_ranges=True)
    fs = fsspec.filesystem("blockcache", target_protocol="http", cache_storage=str(tmp_path))
    assert fs.cat_file(http_server.url + "/x", start, end) == whole[start:end]
    assert fs.read_bytes(http_server.url + "/x", start, end) == whole[start:end]


def test_batches_of_files_in_blocks(http_server, tmp_path):
    http_server.files["/x"] = b"0123456789"
    url = http_server.url + "/x"
    c = fsspec.filesystem("blockcache", target_protocol="http", cache_storage=str(tmp_path))
    assert c.cat([url], batch_size=1) == {url: b"0123456789"}
    assert c.cat_ranges([url, url], [1, 3], [2, 5], batch_size=1, on_error="raise") == [b"1", b"34"]


@pytest.mark.parametrize("behind", ["http", "dir"])
@pytest.mark.parametrize("awaited", [False, True])
def test_blocks_have_the_size_that_the_filesystem_behind_was_given(http_server, tmp_path, behind, awaited):
    http_server.files["/d/x"] = bytes(range(200)) * 10
    target, path = fsspec.filesystem("http", block_size=100), http_server.url + "/d/x"
    if behind == "dir":
        target, path = fsspec.filesystem("dir", path=http_server.url + "/d", fs=target), "x"
    c = fsspec.filesystem("blockcache", fs=target, cache_storage=str(tmp_path))
    if awaited:
        assert fsspec.asyn.sync(fsspec.asyn.get_loop(), c._cat_file, path, 1050, 1060) == bytes(range(50, 60))
    else:
        assert c.cat_file(path, 1050, 1060) == bytes(range(50, 60))
    with c.open(path) as f:
        assert f.blocksize == 100 and f.cache.blocks == {10}
    c.pop_from_cache(path)
    with c.open(path, block_size=150) as f:  # what is asked for the file goes before it
        assert f.blocksize == 150


@pytest.mark.parametrize("option", ["block_size", "default_block_size", "blocksize"])
def test_each_name_of_a_block_size_is_heeded_behind_a_blockcache(tmp_path, option):
    c = make("blockcache", WritableDictFileSystem(FILES, **{option: 10}), tmp_path)
    with c.open(next(iter(FILES))) as f:
        assert f.blocksize == 10


@pytest.mark.parametrize("size, error", [(-1, ValueError), (0.5, TypeError)])
def test_blocks_of_an_impossible_size_are_refused(target, tmp_path, size, error):
    path = next(iter(FILES))
    for fs, asked in (target, {"block_size": size}), (WritableDictFileSystem(FILES, block_size=size), {}):
        with pytest.raises(error, match=f"^block_size is .* not {size}"):
            make("blockcache", fs, tmp_path).open(path, **asked)
    with pytest.raises(error, match=f"^block_size is .* not {size}"):
        AbstractBufferedFile(target, path, block_size=size, size=10)


def test_compressed_files_in_blocks(tmp_path):
    target = WritableDictFileSystem({"a.gz": gzip.compress(b"text" * 1000)})
    c = make("blockcache", target, tmp_path, compression="infer")
    assert c.cat("a.gz") == b"text" * 1000
    with c.open("a.gz") as f:
        assert f.read(4) == b"text"


def test_an_open_that_is_refused_leaves_the_blocks(http_server, tmp_path):
    http_server.files["/d/a"] = b"0123456789"
    fs = fsspec.filesystem("blockcache", target_protocol="http", cache_storage=str(tmp_path))
    assert fs.head(http_server.url + "/d/a") == b"0123456789"
    for path in ("/d/a", "/d", ""):
        with pytest.raises(NotImplementedError):
            fs.open(http_server.url + path, "wb")
    assert fs._check_file(http_server.url + "/d/a")


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
@pytest.mark.parametrize("module", ["http", "http_sync"])
def test_a_host_that_refuses_is_a_file_not_found_to_who_opens_it(kind, module, tmp_path):
    target = importlib.import_module(f"fsspec.implementations.{module}").HTTPFileSystem()
    fs = fsspec.filesystem(kind, fs=target, cache_storage=str(tmp_path))
    url = "http://127.0.0.1:9/a"
    for ask in (fs.open, fs.head, lambda url: fs.read_block(url, 0, 3)):
        with pytest.raises(FileNotFoundError) as caught:
            ask(url)
        assert type(caught.value).__name__ == "UnreachableError" and caught.value.__cause__
        if module == "http":  # the text of requests has the path
            assert str(caught.value).startswith(f"{url}: ")
            assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(OSError) as caught:
        fs.cat_file(url)
    if module == "http" and kind != "blockcache":  # a store of chunks takes a missing file for an empty chunk
        assert not isinstance(caught.value, FileNotFoundError)
    for signed in (url, url + "?sig=x"):
        with pytest.raises(FileNotFoundError) as caught:
            fsspec.core.OpenFile(fs, signed).open()
        assert type(caught.value).__name__ == "UnreachableError" and "sig=x" not in str(caught.value)


def test_an_empty_file_in_blocks(target, tmp_path):
    target.files["r/empty"] = b""
    c = make("blockcache", target, tmp_path)
    for _ in range(2):
        with c.open("r/empty") as f:
            assert f.read() == b"" and f.size == 0


def test_pages_whose_urls_end_in_a_slash(http_server, tmp_path):
    """`stat` and `expand_path` are the target's, which keep the slash; whether one exists is a HEAD."""
    http_server.files["/d/"] = b"<a href='/d/x'>x</a>"
    url = http_server.url + "/d/"
    fs = fsspec.filesystem("http", skip_instance_cache=True)
    c = fsspec.filesystem("simplecache", fs=fs, cache_storage=str(tmp_path / "c"))
    assert c.stat(url)["name"] == url and c.expand_path(url) == [url]
    assert not c.exists(http_server.url + "/no")
    http_server.files["/x"] = b"0123456789"
    assert c.exists(http_server.url + "/x")
    assert [r.method for r in http_server.requests if r.path == "/x"] == ["HEAD"]


@pytest.mark.parametrize("kind", EVERY)
def test_the_root_of_the_target_as_a_url(kind, m, tmp_path):
    m.pipe("/r/a", b"1")
    fs = fsspec.filesystem(kind, target_protocol="memory", cache_storage=str(tmp_path / "c"))
    assert fs._strip_protocol("memory://") == "" and fs.isdir("memory://")
    assert list(fs.get_mapper("memory://")) == ["r/a"]


@pytest.mark.parametrize("kind", EVERY)
def test_whole_contents_are_written_to_the_target(kind, m, tmp_path):
    """As upstream: no copy is kept of them, so that what the target has is read."""
    fs = fsspec.filesystem(kind, target_protocol="memory", cache_storage=str(tmp_path / "c"))
    fs.write_text("/a", "one")
    fs.write_bytes("/b", b"one")
    m.pipe({"/a": b"another", "/b": b"another"})
    assert fs.cat(["/a", "/b"]) == {"/a": b"another", "/b": b"another"}


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_a_file_that_is_dropped_before_anything_was_written_changes_nothing(kind, m, tmp_path):
    """Its opening may have been interrupted."""
    m.pipe("/there", b"precious")
    fs = fsspec.filesystem(kind, fs=m, cache_storage=str(tmp_path))
    fs.open("/there", "wb")
    gc.collect()
    assert m.cat("/there") == b"precious" and os.listdir(tmp_path) == []


def test_an_empty_file_that_was_closed_keeps_its_copy(m, tmp_path):
    fs = fsspec.filesystem("simplecache", fs=m, cache_storage=str(tmp_path))
    with fs.open("/empty", "wb") as f:
        pass
    del f
    gc.collect()
    assert len(os.listdir(tmp_path)) == 1 and m.cat("/empty") == fs.cat("/empty") == b""


def test_what_was_written_is_read_from_its_copy_where_there_is_no_table(m, tmp_path):
    """Which says of what version a copy is: of a file without an entry it is fetched."""
    for kind, found in (("simplecache", b"one"), ("filecache", b"two")):
        fs = fsspec.filesystem(kind, target_protocol="memory", cache_storage=str(tmp_path / kind))
        fs.pipe_file("/a", b"one")
        m.pipe("/a", b"two")
        assert fs.cat_file("/a") == found


# what is left to the target ----------------------------------------------------------
OWN = {
    "cat cat_file cat_ranges open read_block head tail": "read from copies",
    "clear_instance_cache current from_dict from_json to_dict to_json": "which instance it is",
    "get_mapper": "a mapping of the cache",
    "reset_loop": "that of the target",
    "transaction start_transaction end_transaction": "files written wait in the cache",
    "info exists isdir isfile": "by the path without a slash at its end; folders that pages list",
    "unstrip_protocol fsid sep root_marker async_impl": "attributes, see the test of those",
    "stats": "what the cache counts, and that of the target in it",
    "blocksize cachable mirror_sync_methods protocol transaction_type local_file": "of the class",
}


@pytest.mark.parametrize("cls", EVERY.values())
def test_every_operation_is_the_targets_or_has_a_reason(cls):
    own = {name: why for names, why in OWN.items() for name in names.split()}
    public = {name for name in dir(AbstractFileSystem) if not name.startswith("_")}
    assert public - own.keys() == set(DELEGATED) and not own.keys() & set(DELEGATED)
    for name in DELEGATED:
        method = getattr(cls, name)
        base = inspect.signature(getattr(AbstractFileSystem, name))
        if name not in vars(cls) and getattr(method, "__wrapped__", None) is not None:
            assert inspect.signature(method) == base and method.__doc__


def test_every_awaitable_operation_reaches_the_target():
    target = WritableDictFileSystem(FILES)
    names = [
        name
        for name in dir(AsyncFileSystem)
        if name.startswith("_") and inspect.iscoroutinefunction(getattr(AsyncFileSystem, name))
    ]
    read = {"_cat", "_cat_file", "_cat_ranges"}
    assert read < set(names) and len(names) > 20
    for cls in EVERY.values():
        c = cls(fs=target)
        assert c.async_impl and c.asynchronous is False and c.loop is target.loop
        for name in names:
            method = getattr(c, name)
            own = name in (read - {"_cat"} if cls is CachingFileSystem else read)
            if name == "_makedirs":  # of a local folder, where the target is not awaitable
                continue
            if name == "_rm":  # there is a blocking one of that name as well
                continue
            assert inspect.iscoroutinefunction(method)
            bound = method if own else getattr(method, "__wrapped__", method)
            assert bound.__self__ is (c if own else target), name
    with pytest.raises(AttributeError):
        CachingFileSystem(fs=DictFileSystem())._ls


@pytest.mark.parametrize("kind", EVERY)
def test_operations_of_the_target(kind, tmp_path):
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    root = f"/{kind}"
    memory.pipe({f"{root}/one": b"1", f"{root}/sub/two": b"22"})
    c = make(kind, memory, tmp_path)
    for name, args in {
        "find": (root,),
        "glob": (root + "/*",),
        "du": (root,),
        "ls": (root,),
        "isdir": (root,),
        "exists": (root + "/one",),
        "isfile": (root + "/one",),
        "size": (root + "/one",),
        "sizes": ([root + "/one"],),
        "info": (root + "/one",),
        "lexists": (root + "/one",),
        "checksum": (root + "/one",),
        "ukey": (root + "/one",),
        "created": (root + "/one",),
        "modified": (root + "/one",),
        "expand_path": (root + "/*",),
    }.items():
        expected = getattr(memory, name)(*args)
        assert getattr(c, name)(*args) == expected, name
        mine = args[0] if isinstance(args[0], list) else [args[0]]
        prefixed = [f"{kind}://{path.lstrip('/')}" for path in mine]
        assert getattr(c, name)(prefixed if isinstance(args[0], list) else prefixed[0]) == expected, name
    assert list(c.walk(root)) == list(memory.walk(root))
    assert c.store is memory.store  # what only this target has
    assert c.unstrip_protocol(root + "/one") == f"memory://{root}/one"
    assert (c.sep, c.root_marker, c._parent(root + "/one")) == ("/", memory.root_marker, root)
    c.mkdir(root + "/made")
    c.makedirs(root + "/a/b", exist_ok=True)
    assert memory.isdir(root + "/made") and memory.isdir(root + "/a/b")
    c.get(root, str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/sub/two").read_bytes() == b"22"
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        c.nothing_of_the_kind
    memory.rm(root, recursive=True)


@pytest.mark.parametrize("kind", EVERY)
def test_pipe_gives_nothing_also_where_the_target_gives_a_list(kind, tmp_path):
    target = WritableDictFileSystem({}, skip_instance_cache=True)
    assert target.pipe({"a": b"1"}) == [None]
    c = make(kind, target, tmp_path)
    assert c.pipe({"b": b"22", "c": b"333"}) is None
    assert (c.cat("b"), target.cat("c")) == (b"22", b"333")


@pytest.mark.parametrize("kind", EVERY)
def test_changes_through_the_cache_let_copies_go(kind, tmp_path):
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    root = f"/ch-{kind}"
    local = tmp_path / "local"
    local.write_bytes(b"put")
    changes = {
        "rm": lambda p: c.rm(p),
        "rm_file": lambda p: c.rm_file(p),
        "mv": lambda p: c.mv(p, p + "-moved"),
        "copy": lambda p: c.copy(root + "/source", p),
        "cp_file": lambda p: c.cp_file(root + "/source", p),
        "put": lambda p: c.put(str(local), p),
        "put_file": lambda p: c.put_file(str(local), p),
        "pipe": lambda p: c.pipe({p: b"piped"}),
        "pipe_file": lambda p: c.pipe_file(p, b"piped"),
        "write_text": lambda p: c.write_text(p, "text"),
        "touch": lambda p: c.touch(p, truncate=True),
        "mapping": lambda p: c.get_mapper(root).update({p.rpartition("/")[2]: b"mapped"}),
        "open": lambda p: c.open(p, "wb").close(),
    }
    memory.pipe({f"{root}/{name}": b"old" for name in [*changes, "source"]})
    c = make(kind, memory, tmp_path)
    assert set(c.cat(f"{root}/*").values()) == {b"old"}
    memory.pipe(f"{root}/source", b"copied")
    for name, change in changes.items():
        path = f"{root}/{name}"
        change(path)
        if memory.exists(path):
            assert c.cat(path) == memory.cat(path) != b"old", name
        else:
            with pytest.raises(FileNotFoundError):
                c.cat(path)
    memory.rm(root, recursive=True)


@pytest.mark.parametrize(
    "how", ["writes", "appends", "commits", "in a transaction", "pipes in a transaction"]
)
@pytest.mark.parametrize("protocol", ["file", "memory"])
@pytest.mark.parametrize("kind", EVERY)
def test_what_is_read_while_it_is_written_is_read_again_afterwards(kind, protocol, how, m, tmp_path):
    target, path = fsspec.filesystem(protocol), f"{tmp_path}/x"
    target.pipe(path, b"old")
    cache = make(kind, target, tmp_path)
    for new in (b"first", b"second"):
        if "transaction" in how:
            cache.start_transaction()
        if how.startswith("pipes"):
            cache.pipe(path, new)
        else:
            options = {"autocommit": False} if how == "commits" else {}
            f = cache.open(path, "ab" if how == "appends" else "wb", **options)
            f.write(new)
            cache.cat(path)
            f.close()
        cache.cat(path)
        if how == "commits" and hasattr(f, "commit"):
            f.commit()
        if "transaction" in how:
            cache.end_transaction()
        assert cache.cat(path) == target.cat(path) and target.cat(path).endswith(new)
    cache.cat(path)
    hits = cache.stats()["hits"]
    assert cache.cat(path) == target.cat(path)
    if how != "commits":  # whether the program has committed is not known
        assert cache.stats()["hits"] == hits + 1  # its copy is used as that of any other file


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_what_is_below_a_folder_that_goes_is_dropped(kind, tmp_path):
    memory = fsspec.filesystem("memory", skip_instance_cache=True)
    memory.pipe({"/below/a/x": b"x", "/below/a/y": b"y", "/below/ab": b"ab", "/below/p1": b"1"})
    c = make(kind, memory, tmp_path)
    c.cat("/below", recursive=True)
    c.rm("/below/a", recursive=True)
    assert set(c._metadata.cached_files[-1]) == {"/below/ab", "/below/p1"}
    c.rm("/below/p*")
    assert memory.find("/below") == ["/below/ab"] and "/below/p1" not in c._metadata.cached_files[-1]
    memory.rm("/below", recursive=True)


@pytest.mark.parametrize("how", ["put_file", "cp_file", "mv"])
@pytest.mark.parametrize("kind", EVERY)
def test_the_copy_of_a_file_called_like_a_pattern_is_dropped_as_it_changes(kind, how, tmp_path):
    files, old, new = fsspec.filesystem("file"), str(tmp_path / "st*[1]?"), str(tmp_path / "new")
    files.pipe({old: b"old", new: b"new"})
    c = make(kind, files, tmp_path / "c")
    assert c.cat_file(old) == b"old"
    getattr(c, how)(new, old)
    assert c.cat_file(old) == b"new"


# awaiting ----------------------------------------------------------------------------
@pytest.mark.parametrize("kind", WHOLE)
def test_a_cache_of_an_awaitable_target_is_awaited(kind, tmp_path):
    async def program():
        target = WritableDictFileSystem(FILES, asynchronous=True)
        c = make(kind, target, tmp_path)
        assert await c._cat_file("r/big", 5, -5) == FILES["r/big"][5:-5]
        assert await c._cat_ranges(["r/one", "r/two", "r/nope"], 0, 1) == [b"1", b"2", Nope()]
        assert await c._cat(["r/one", "r/two"]) == {"r/one": b"1", "r/two": b"22"}
        assert await c._cat("r/one") == b"1"
        # a table asks for entries first, so that what is not there is not asked for again
        assert len(fetched(target)) == (4 if kind == "simplecache" else 3)
        await c._pipe_file("r/one", b"new")
        assert await c._cat_file("r/one") == b"new"
        await c._rm_file("r/two")
        await c._rm("r/sub/deep")
        with pytest.raises(FileNotFoundError):
            await c._cat_file("r/two")
        assert [e["name"] for e in await c._ls("r")] == ["r/one", "r/big", "r/void"]

    class Nope:
        def __eq__(self, other):
            return isinstance(other, FileNotFoundError)

    asyncio.run(program())


def test_awaited_over_a_blocking_target(tmp_path):
    c = make("filecache", Noted(FILES), tmp_path)
    assert asyncio.run(c._cat_ranges(["r/one", "r/two"], [0, 0], [1, 2])) == [b"1", b"22"]


def test_zarr_through_a_cache(http_server, tmp_path):
    zarr = pytest.importorskip("zarr")
    numpy = pytest.importorskip("numpy")
    source = zarr.create_array(store=str(tmp_path / "z"), shape=(20,), chunks=(5,), dtype="i4")
    source[:] = numpy.arange(20)
    for folder, _, names in os.walk(tmp_path / "z"):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                http_server.files["/" + os.path.relpath(path, tmp_path)] = f.read()
    store = zarr.storage.FsspecStore(
        fsspec.filesystem(
            "simplecache",
            target_protocol="http",
            cache_storage=str(tmp_path / "c"),
            target_options={"asynchronous": True, "skip_instance_cache": True},
        ),
        path=http_server.url + "/z",
        read_only=True,
    )
    assert (zarr.open_array(store, mode="r")[:] == numpy.arange(20)).all()
    gets = len(http_server.requests)
    assert (zarr.open_array(store, mode="r")[:] == numpy.arange(20)).all()
    chunks = [r.path for r in http_server.requests[gets:] if "/c/" in r.path]
    assert chunks == [] and len(os.listdir(tmp_path / "c")) >= 4
    zarr.core.sync.sync(store.fs.fs._session.close())  # it lives on zarr's loop


# ways in -------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", EVERY)
def test_a_cache_in_a_chain_reads_the_next_link(kind, http_server, tmp_path):
    http_server.files["/a.csv"] = b"a,b\n1,2\n"
    url = f"{kind}::{http_server.url}/a.csv"
    options = {kind: {"cache_storage": str(tmp_path / "c")}}
    for _ in range(2):
        with fsspec.open(url, "rt", **options) as f:
            assert f.read() == "a,b\n1,2\n"
    assert len([r for r in http_server.requests if r.method == "GET"]) == 1
    fs, path = fsspec.url_to_fs(url, **options)
    assert (type(fs), path) == (EVERY[kind], f"{http_server.url}/a.csv")
    if kind in WHOLE:
        local = fsspec.open_local(url, **options)
        assert os.path.dirname(local) == str(tmp_path / "c") and os.path.getsize(local) == 8
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(url, storage_options=options).to_dict("list") == {"a": [1], "b": [2]}


def test_a_truncated_answer_is_no_copy(http_server, tmp_path):
    http_server.files["/a"] = bytes(100_000)
    for kind in EVERY:
        for fault in ("truncate", "drop_after"):
            http_server.fault("/a", **{fault: 50_000}, methods=("GET",))
            c = fsspec.filesystem(kind, target_protocol="http", cache_storage=str(tmp_path / kind))
            with pytest.raises(OSError):
                c.cat(http_server.url + "/a")
            assert kind == "blockcache" or listed(c) == []
        http_server.fault("/a")
        assert c.cat(http_server.url + "/a") == bytes(100_000)


def test_one_request_for_a_file_and_none_for_its_copy(http_server, tmp_path):
    http_server.files["/a"] = bytes(100)
    for kind, first in {"simplecache": 1, "filecache": 1, "blockcache": 2}.items():
        c = fsspec.filesystem(kind, target_protocol="http", cache_storage=str(tmp_path / kind))
        http_server.clear()
        assert c.cat(http_server.url + "/a") == bytes(100)
        assert len(http_server.requests) == first, kind
        c.cat(http_server.url + "/a")
        c.open(http_server.url + "/a").close()
        assert len(http_server.requests) == first, kind


def test_a_file_left_open_is_written_before_what_was_registered_earlier_for_the_end(tmp_path):
    program = """
        import atexit, os, pathlib, fsspec
        os.chdir({folder!r})
        fs = fsspec.filesystem("simplecache", target_protocol="file", cache_storage="c")
        hooks = []
        for n in range(20):
            fs.pipe_file(f"{{n}}", b"x")
            hooks.append(atexit._ncallbacks())
        assert hooks[-1] == hooks[3]  # none for each file: all are gone through at a search
        atexit.register(lambda: print(pathlib.Path("late").read_text()))
        f = fs.open("late", "wb")
        f.write(b"whole")
    """
    assert run(program.format(folder=str(tmp_path))) == "whole\n"


# blocks that are kept ----------------------------------------------------------------
UNCLOSED = """
import sys
import fsspec
fs = fsspec.filesystem("blockcache", target_protocol="file", cache_storage={storage!r})
def opened():
    return fs.open({path!r}, block_size=100)
"""
WAYS = {
    "dropped": "opened().read(150)",
    "in a global": "f = opened(); f.read(150)",
    "in a closure": "def kept():\n  f = opened(); f.read(150)\n  return lambda: f\nk = kept()",
    "in a cycle": "f = opened(); f.me = f; f.read(150); del f",
    "sys.exit": "f = opened(); f.read(150); sys.exit()",
    "an exception": "f = opened(); f.read(150); raise SystemExit(0)",
    "a process of multiprocessing": (
        "import multiprocessing as m\n"
        "def work():\n  global f\n  f = opened(); f.read(150)\n"
        "p = m.get_context('fork' if hasattr(__import__('os'), 'fork') else None).Process(target=work)\n"
        "p.start(); p.join()"
    ),
    "killed after a while": (
        "import os\nfrom fsspec.implementations._cached import files\nfiles.ENTER_EVERY = 0\n"
        "f = opened(); f.read(150); os._exit(0)"
    ),
}


@pytest.mark.parametrize("how", WAYS)
def test_blocks_of_files_that_nobody_closes_are_kept(how, tmp_path):
    (tmp_path / "data").write_bytes(FILES["r/big"])
    storage, path = str(tmp_path / "c"), str(tmp_path / "data")
    run(UNCLOSED.format(storage=storage, path=path) + WAYS[how])
    c = fsspec.filesystem("blockcache", target_protocol="file", cache_storage=storage)
    with c.open(path) as f:
        assert f.cache.blocks == {0, 1} and f.read() == FILES["r/big"]


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_that_ends_leaves_no_temporary_folder(method, tmp_path):
    (tmp_path / "data").write_bytes(b"data")
    program = """
        import multiprocessing
        import os
        os.environ["TMPDIR"] = os.environ["TMP"] = {folder!r}
        import fsspec
        fs = fsspec.filesystem("simplecache", target_protocol="file")
        worker = multiprocessing.get_context({method!r}).Process(target=fs.cat_file, args=({path!r},))
        worker.start()
        worker.join()
        print(worker.exitcode)
    """
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket in tmp_path could be too long
        assert run(program.format(folder=folder, path=str(tmp_path / "data"), method=method)) == "0\n"
        assert os.listdir(folder) == []


def test_blocks_of_a_copy_that_became_shorter_are_fetched_again(target, tmp_path):
    c = make("blockcache", target, tmp_path)
    with c.open("r/big", block_size=1000) as f:
        f.read(5000)
    (name,) = listed(c)
    os.truncate(os.path.join(c.storage[-1], name), 3500)
    with make("blockcache", target, tmp_path).open("r/big", block_size=1000) as f:
        assert f.read() == FILES["r/big"]
    os.truncate(os.path.join(c.storage[-1], name), 3500)  # whole now, but for this
    assert make("blockcache", target, tmp_path).cat("r/big") == FILES["r/big"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_who_may_read_a_cache(tmp_path):
    umask = os.umask(0o022)
    try:
        for kind, mode, expected in [
            ("filecache", None, (0o700, 0o600)),
            ("blockcache", None, (0o700, 0o600)),
            ("filecache", 0o770, (0o770, 0o660)),
            ("simplecache", None, (0o755, None)),
        ]:
            folder = tmp_path / "up" / f"{kind}{mode}"
            c = make(kind, Noted(FILES), tmp_path, cache_storage=str(folder), cache_storage_mode=mode)
            with c.open("r/big") as f:
                f.read()
            table = folder / "cache"
            found = folder.stat().st_mode & 0o777, table.stat().st_mode & 0o777 if table.exists() else None
            assert found == expected, kind
            assert (tmp_path / "up").stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(umask)


# parts of blocks, awaited ------------------------------------------------------------
def test_awaited_parts_come_from_blocks(tmp_path):
    target = WritableDictFileSystem(FILES)

    async def main():
        c = make("blockcache", target, tmp_path, asynchronous=True)
        with c.open("r/big", block_size=1000):
            pass  # from now on it has blocks of that size
        big = FILES["r/big"]
        ends = range(100, 10_000, 450)
        got = await asyncio.gather(*[c._cat_file("r/big", end - 100, end) for end in ends])
        assert got == [big[end - 100 : end] for end in ends]
        blocks = {n for end in ends for n in range((end - 100) // 1000, (end - 1) // 1000 + 1)}
        assert len(fetched(target)) <= len(blocks)  # each once, whoever wants it
        assert await c._cat_ranges(["r/big", "r/one"], [0, None], [300, None]) == [big[:300], b"1"]
        assert fetched(target) == [("cat", "r/one")]  # as a whole: one request
        for start, end in [(-10, None), (None, -10_000), (-30, -3), (5, 5), (20_000, None), (9, 2)]:
            assert await c._cat_file("r/big", start, end) == big[start:end]
            assert await c._cat_file("r/one", start, end) == b"1"[start:end]
        assert fetched(target) == [("cat", "r/big")]
        found = await c._cat_ranges(["r/no", "r/two"], 0, 1)
        assert isinstance(found[0], FileNotFoundError) and found[1] == b"2"
        with pytest.raises(FileNotFoundError):
            await c._cat_ranges(["r/no", "r/two"], 0, 1, on_error="raise")
        with pytest.raises(FileNotFoundError):
            await c._cat_file("r/no")
        target.broken.add("r/sub/deep")
        for _ in range(2):
            found = await asyncio.gather(*[c._cat_file("r/sub/deep", 0, 2)] * 1, return_exceptions=True)
            assert [type(e) for e in found] == [OSError]
        assert not c._shared_reads

    asyncio.run(main())
    fetched(target)
    again = make("blockcache", target, tmp_path)
    assert again.cat("r/one") == b"1" and again.cat_file("r/big", 0, 1000) == FILES["r/big"][:1000]
    assert fetched(target) == []


@pytest.mark.parametrize("kind", EVERY)
def test_get_tells_nothing_and_download_what_the_target_does(kind, tmp_path):
    target = WritableDictFileSystem(FILES)
    c = make(kind, target, tmp_path)
    assert c.get(["r/one", "r/two"], [str(tmp_path / "1"), str(tmp_path / "2")]) is None
    assert (tmp_path / "2").read_bytes() == b"22"
    reported = target.download("r/one", str(tmp_path / "3"))
    assert c.download("r/one", str(tmp_path / "4")) == reported and (tmp_path / "4").read_bytes() == b"1"


class _Tagged(Noted):
    """A target whose entries tell versions apart, and whose answers to ranges do not."""

    tag = "ETag"

    def info(self, path, **kwargs):
        entry = super().info(path, **kwargs)
        return {**entry, self.tag: str(hash(self.files.get(path)))}


class _AwaitableTagged(WritableDictFileSystem):
    tag = "ETag"

    async def _info(self, path, **kwargs):
        entry = await super()._info(path, **kwargs)
        return {**entry, self.tag: str(hash(self.files.get(path)))}


class _Dated(_Tagged):
    tag = "mtime"


class _AwaitableDated(_AwaitableTagged):
    tag = "mtime"


@pytest.mark.parametrize("kind", [_Tagged, _AwaitableTagged, _Dated, _AwaitableDated])
def test_blocks_of_another_version_are_not_added_to_those_kept(kind, tmp_path):
    target = kind(FILES)
    c = make("blockcache", target, tmp_path)
    with c.open("r/big", block_size=1000) as f:
        assert f.read(10) == FILES["r/big"][:10]
    target.files["r/big"] = bytes(reversed(FILES["r/big"]))
    with c.open("r/big", block_size=1000) as f:
        assert f.read(10) == FILES["r/big"][:10]
        f.seek(5000)
        with pytest.raises(FileChangedError, match="r/big"):
            f.read(10)
    if c.async_impl:
        with pytest.raises(FileChangedError, match="r/big"):
            asyncio.run(c._cat_file("r/big", 5000, 5010))
    c.pop_from_cache("r/big")
    assert c.cat_file("r/big") == target.files["r/big"]


@pytest.mark.parametrize(
    "change", [lambda data: data + b"more", lambda data: data[:1], lambda data: data[::-1]]
)
@pytest.mark.parametrize("nothing_kept", [False, True])
def test_blocks_of_a_file_that_was_rewritten_are_not_added_to_those_kept(change, nothing_kept, tmp_path):
    files, path, data = fsspec.filesystem("file"), tmp_path / "f", FILES["r/big"]
    path.write_bytes(data)
    os.utime(path, (1, 1))
    c = make("blockcache", files, tmp_path / "c")
    with c.open(path, block_size=1000) as f:
        assert nothing_kept or f.read(10) == data[:10]
    path.write_bytes(change(data))
    os.utime(path, (2, 2))
    with c.open(path, block_size=1000) as f:
        assert nothing_kept or f.read(10) == data[:10]  # what is kept is read without asking
        f.seek(5000)
        with pytest.raises(FileChangedError, match="pop_from_cache"):
            f.read(10)
    if not nothing_kept:
        c.pop_from_cache(str(path))
    assert c.cat_file(str(path)) == change(data)


class _Remembering(_AwaitableTagged):
    """As object stores do: entries are remembered until somebody says that they are not valid."""

    async def _info(self, path, **kwargs):
        if path not in self.dircache:
            self.dircache[path] = await super()._info(path, **kwargs)
        return self.dircache[path]

    def invalidate_cache(self, path=None):
        self.dircache.pop(path, None)


class _Refreshing(_Remembering):
    async def _info(self, path, refresh=False, **kwargs):
        if refresh:
            self.dircache.pop(path, None)
        return await super()._info(path, **kwargs)

    def invalidate_cache(self, path=None):
        assert path == "r/big", "what is remembered of others stays"
        super().invalidate_cache(path)


@pytest.mark.parametrize("kind", [_Remembering, _Refreshing])
@pytest.mark.parametrize("change", [lambda data: data[:3000], lambda data: bytes(reversed(data))])
@pytest.mark.parametrize("awaited", [False, True])
def test_a_changed_file_is_noticed_though_its_entry_is_remembered(awaited, change, kind, tmp_path):
    target = kind(FILES, use_listings_cache=True)
    c = make("blockcache", target, tmp_path)
    with c.open("r/big", block_size=1000) as f:
        assert f.read(10) == FILES["r/big"][:10]
    target.files["r/big"] = changed = change(FILES["r/big"])
    with pytest.raises(FileChangedError, match="pop_from_cache"):
        if awaited:
            asyncio.run(c._cat_file("r/big", 5000, 5010))
        else:
            with c.open("r/big", block_size=1000) as f:
                f.seek(5000)
                f.read(10)
    c.pop_from_cache("r/big")
    assert c.cat_file("r/big") == changed


@pytest.mark.parametrize("kind", EVERY)
def test_a_slash_at_the_end_of_a_url_names_the_same_copy(kind, http_server, tmp_path):
    http_server.files["/a.txt"] = b"text"
    url = http_server.url + "/a.txt"
    c = fsspec.filesystem(kind, target_protocol="http", cache_storage=str(tmp_path))
    assert c._strip_protocol([url + "/", url + "//"]) == [url, url]
    assert c.cat_file(url + "/") == b"text"
    assert c.open(url + "/").read() == b"text" and c.info(url + "/")["size"] == 4
    assert c.exists(url + "/") and c.isfile(url + "/")
    with fsspec.open(f"{kind}::{url}/", cache_storage=str(tmp_path)) as f:
        assert f.read() == b"text"
    assert len([r for r in http_server.requests if r.method == "GET" and r.path == "/a.txt"]) <= 2  # exists
    c.pop_from_cache(url + "/")
    http_server.files["/a.txt"] = b"changed"
    assert c.cat_file(url) == b"changed"


@pytest.mark.parametrize("kind", ["filecache", "simplecache"])
def test_a_slash_at_the_end_of_a_url_names_another_page(kind, http_server, tmp_path):
    """It is asked for, also where the page without the slash is kept."""
    http_server.files["/d/x"] = b"data"
    c = fsspec.filesystem(kind, target_protocol="http", cache_storage=str(tmp_path))
    url = http_server.url + "/d/x"
    assert c.cat(url) == b"data"
    with pytest.raises(FileNotFoundError, match="/d/x/"):
        c.cat(url + "/")
    assert http_server.requests[-1].path == "/d/x/"
    asked = len(http_server.requests)
    assert c.cat(url) == b"data" and len(http_server.requests) == asked


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
@pytest.mark.parametrize("target", ["http", "sync-http"])
def test_a_page_that_another_lists_as_a_folder_is_one(kind, target, http_server, tmp_path):
    http_server.files["/d"] = b'<a href="sub/">s</a> <a href="a.html">a</a>'
    http_server.files["/d/sub"] = b'<a href="x">x</a>'
    http_server.files["/d/a.html"] = b"a"
    for name in ("/d", "/d/sub"):
        http_server.fault(name, headers={"Content-Type": "text/html"})
    c = fsspec.filesystem(kind, target_protocol=target, cache_storage=str(tmp_path))
    url = http_server.url + "/d/"
    assert c.info(url + "sub") == {"name": url + "sub/", "size": None, "type": "directory"}
    assert not c.isfile(url + "sub/") and c.isdir(url + "sub")
    assert c.isfile(url + "a.html") and c.info(url + "a.html")["size"] == 1
    http_server.fault("/d", status=500)
    assert c.isfile(url + "sub")  # nobody says what it is


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
@pytest.mark.parametrize("target", ["http", "sync-http"])
def test_a_page_that_lists_others_is_downloaded_as_the_file_that_it_is(kind, target, http_server, tmp_path):
    page = b'<a href="x">x</a>'
    http_server.files["/d"] = page
    http_server.fault("/d", headers={"Content-Type": "text/html"})
    c = fsspec.filesystem(kind, target_protocol=target, cache_storage=str(tmp_path / "cache"))
    folder = tmp_path / "folder"
    folder.mkdir()
    for target, written in (("new", "new"), ("folder", "folder/d")):
        assert c.get(http_server.url + "/d", str(tmp_path / target)) is None
        assert (tmp_path / written).read_bytes() == page
    c.get(http_server.url + "/d", [str(tmp_path / "other")])
    assert (tmp_path / "other").read_bytes() == page
    c.get(http_server.url + "/d/", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
@pytest.mark.parametrize(
    "option, value",
    [
        ("expiry_time", "1h"),
        ("cache_check", "often"),
        ("check_files", "perhaps"),
        ("same_names", "none"),
        ("cache_storage_mode", "0o770"),
        ("listings_expiry_time", "10 s"),
        ("max_paths", ""),
    ],
)
def test_an_option_of_a_wrong_type_is_named_at_once(kind, option, value, m, tmp_path):
    with pytest.raises(TypeError, match=f"^{option} is "):
        fsspec.filesystem(kind, fs=m, cache_storage=str(tmp_path), **{option: value})


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
@pytest.mark.parametrize(
    "option, attribute, values",
    [
        ("expiry_time", "expiry", {"10": 10, "0.5": 0.5}),
        ("cache_check", "cache_check", {"10": 10}),
        ("check_files", "check_files", {"true": True, "1": True, "False": False, "no": False, "OFF": False}),
    ],
)
def test_an_option_that_is_text_is_what_the_text_means(kind, option, attribute, values, m, tmp_path):
    """Configuration that comes from environment variables or .ini files is text."""
    for text, value in values.items():
        fs = fsspec.filesystem(kind, fs=m, cache_storage=str(tmp_path), **{option: text})
        assert getattr(fs, attribute) == value and type(getattr(fs, attribute)) is type(value)


def test_a_block_size_that_is_text_is_named(m, tmp_path):
    m.pipe_file("/a", b"abc")
    fs = fsspec.filesystem("blockcache", fs=m, cache_storage=str(tmp_path))
    with pytest.raises(TypeError, match="^block_size is a number of bytes, not '5MB'"):
        fs.open("/a", block_size="5MB")


@pytest.mark.parametrize("inner", ["filecache", "blockcache"])
@pytest.mark.parametrize("outer", EVERY)
@pytest.mark.parametrize("named", [(), ("etag", "size")])
def test_a_cache_that_checks_stands_on_another(outer, inner, named, tmp_path):
    """The version of a file is that of the last target, which may name the keys of an entry that tell it."""
    target = Noted({"r/one": b"1"})
    target._version_keys = named
    between = make(inner, target, tmp_path / "inner", check_files=True)
    checking = {} if outer == "simplecache" else {"check_files": True}
    c = make(outer, between, tmp_path / "outer", **checking)
    assert c.cat("r/one") == b"1"
    target.pipe_file("r/one", b"changed")
    assert c.cat("r/one") == (b"changed" if checking else b"1")


# what subclasses override ------------------------------------------------------------
@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("behind", [None, *EVERY])
def test_a_cache_that_names_what_is_its_own_and_takes_all_else_from_the_target(kind, behind, tmp_path):
    target = WritableDictFileSystem(FILES)
    fs = target if behind is None else make(behind, target, tmp_path, cache_storage=str(tmp_path / "behind"))
    c = choosing(kind)(fs=fs, cache_storage=str(tmp_path / "c"), skip_instance_cache=True)
    assert c.cat("r/one") == b"1" and c.cat(["r/one", "r/two"]) == {"r/one": b"1", "r/two": b"22"}
    assert len(listed(c)) == 2
    assert c.cat_file("r/big", 5, 9) == FILES["r/big"][5:9] and c.size("r/big") == len(FILES["r/big"])
    assert c.cat_ranges(["r/big"], [1], [3]) == [FILES["r/big"][1:3]] and c.head("r/big", 2) == b"\0\1"
    with c.open("r/big") as f:
        assert f.read() == FILES["r/big"]
    assert sorted(c.ls("r/sub", detail=False)) == ["r/sub/deep"] and c.glob("r/t*") == ["r/two"]
    assert c.isfile("r/one") and c.isdir("r/sub") and not c.exists("r/none")
    c.get("r/two", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"22" and "r/sub/deep" in c.find("r")
    c.pipe("r/two", b"new")
    with c.open("r/written", "wb") as f:
        f.write(b"w")
    assert target.files["r/two"] == b"new" == c.cat("r/two") and target.files["r/written"] == b"w"
    assert c == c and c.storage == [str(tmp_path / "c")]
    c.pop_from_cache("r/one")
    c.clear_cache()
    assert listed(c) == [] and c.cat("r/one") == b"1"


@pytest.mark.parametrize("kind", EVERY)
def test_all_that_only_these_caches_have_is_read_past_an_override(kind, target, tmp_path):
    private = {name for name in vars(make(kind, target, tmp_path)) if name.startswith("_")}
    assert private <= {*OF_INSTANCES, *OVERRIDABLE}
    names = {name for base in EVERY[kind].__mro__ for name in vars(base)}
    assert OVERRIDABLE & {"_open", "_check_file", "_mkcache"} <= names


@pytest.mark.parametrize("kind", EVERY)
def test_the_folder_is_made_by_the_method_for_it(kind, target, tmp_path):
    class Making(EVERY[kind]):
        def _mkcache(self):
            made.append(os.path.isdir(tmp_path / "c"))
            return super()._mkcache()

    made = []
    c = Making(fs=target, cache_storage=str(tmp_path / "c"), skip_instance_cache=True)
    for fill in (lambda: c.cat_file("r/one"), lambda: c.open("r/two").read()):
        os.path.exists(tmp_path / "c" / "cache") and os.unlink(tmp_path / "c" / "cache")
        for name in os.listdir(tmp_path / "c"):
            os.unlink(tmp_path / "c" / name)
        os.rmdir(tmp_path / "c")
        made.clear()
        fill()
        assert made[0] is False and listed(c)


def test_the_folder_is_made_by_the_method_for_it_before_writing(target, tmp_path):
    class Making(EVERY["simplecache"]):
        def _mkcache(self):
            made.append(1)
            return super()._mkcache()

    made = []
    c = Making(fs=target, cache_storage=str(tmp_path / "c"), skip_instance_cache=True)
    with c.open("r/new", "wb"):
        assert made
    assert c._mkcache() is None


@pytest.mark.parametrize("read", ["cat", "cat_file", "open", "cat_ranges"])
def test_what_is_entered_of_a_copy_is_for_a_subclass_to_say(read, target, tmp_path):
    class Entering(EVERY["filecache"]):
        def _make_local_details(self, path):
            fn = super()._make_local_details(path)
            detail = self._metadata.cached_files[-1][path]
            detail["note"], detail["fn"] = 5, detail["fn"] + ".x"
            return fn + ".x"

    c = Entering(fs=target, cache_storage=str(tmp_path / "c"), check_files=True, skip_instance_cache=True)
    reading = {
        "cat": lambda: c.cat("r/two"),
        "cat_file": lambda: c.cat_file("r/two"),
        "open": lambda: c.open("r/two").read(),
        "cat_ranges": lambda: c.cat_ranges(["r/two"], [None], [None])[0],
    }[read]
    assert reading() == b"22" and listed(c) == [c.hash_name("r/two") + ".x"]
    fetched(target)
    assert reading() == b"22" and fetched(target) == []
    c.load_cache()
    assert c._metadata.cached_files[-1]["r/two"]["note"] == 5


@pytest.mark.parametrize("kind", WHOLE)
def test_where_a_copy_would_lie_is_reported_without_fetching_it(kind, target, tmp_path):
    c = make(kind, target, tmp_path)
    assert c._make_local_details("r/one") == os.path.join(c.storage[-1], c.hash_name("r/one"))
    assert fetched(target) == [] and c.cat("r/one") == b"1"


@pytest.mark.parametrize("kind", WHOLE)
def test_before_a_file_is_opened_a_subclass_may_have_the_copy(kind, target, tmp_path):
    class Having(EVERY[kind]):
        def _get_cached_file_before_open(self, path, **kwargs):
            asked.append((path, kwargs.get("block_size")))
            return super()._get_cached_file_before_open(path, **kwargs)

    class Skipping(EVERY[kind]):
        def _get_cached_file_before_open(self, path, **kwargs):
            asked.append(path)

    asked = []
    c = Having(fs=target, cache_storage=str(tmp_path / "c"), skip_instance_cache=True)
    assert c.open("r/two", block_size=7).read() == b"22" and asked == [("r/two", 7)]
    assert len(fetched(target)) == 1 and c.stats()["misses"] == 1 and c.stats()["hits"] == 0
    assert c.open("r/two").read() == b"22" and asked == [("r/two", 7)] and c.stats()["hits"] == 1
    assert c.cat_file("r/one") == b"1" and asked == [("r/two", 7), ("r/one", None)]
    with pytest.raises(FileNotFoundError):
        c.open("r/none")
    assert make(kind, target, tmp_path)._get_cached_file_before_open("r/big") is None
    c = Skipping(fs=target, cache_storage=str(tmp_path / "d"), skip_instance_cache=True)
    asked.clear()
    assert c.open("r/two").read() == b"22" and asked == ["r/two"]


@pytest.mark.parametrize("compression", ["gzip", "infer"])
@pytest.mark.parametrize("kind", EVERY)
def test_whole_contents_are_decompressed_where_that_is_asked_for(kind, compression, tmp_path):
    import gzip

    c = make(kind, DictFileSystem({"r/a.gz": gzip.compress(b"0123456789")}), tmp_path)
    assert c.cat_file("r/a.gz", compression=compression) == b"0123456789"
    assert c.cat_file("r/a.gz", 2, 5, compression=compression) == b"234"
    assert c.cat_ranges(["r/a.gz"] * 2, [0, -2], [3, None], compression=compression) == [b"012", b"89"]
    assert c.cat_file("r/a.gz", 0, 2) == b"\x1f\x8b"


@pytest.mark.parametrize("kind", ["blockcache", "filecache", "simplecache"])
def test_what_is_piped_is_compressed_where_that_is_asked_for(kind, m, tmp_path):
    c = make(kind, m, tmp_path)
    c.pipe_file("/a", b"one", compression="gzip")
    c.pipe({"/b": b"two"}, compression="gzip")
    assert {p: gzip.decompress(data) for p, data in m.cat(["/a", "/b"]).items()} == {
        "/a": b"one",
        "/b": b"two",
    }
