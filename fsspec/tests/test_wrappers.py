"""Filesystems over another: whatever the other one does better, they ask it to do.

The public methods of a filesystem are enumerated. For each a wrapper has its own, or sets
one on its instances, or is made of those that have (`COMPOSED`), or says here why not.
"""

import asyncio
import importlib.util
import inspect
import threading

import pytest

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem

ALIASES = "cp disk_usage download listdir makedir mkdirs move rename stat upload delete".split()
COMPOSED = [
    *ALIASES,
    *"head tail read_block read_bytes read_text write_bytes write_text tree get_mapper".split(),
    "open_async",  # of `open` where there is no other
]
OWN = {
    "clear_instance_cache": "of the class itself",
    "current": "of the class itself",
    "from_dict": "makes the wrapper",
    "from_json": "makes the wrapper",
    "to_dict": "describes the wrapper, with what it wraps",
    "to_json": "describes the wrapper, with what it wraps",
    "transaction_type": "not an operation",
    "reset_loop": "the wrapper's own loop",
    "unstrip_protocol": "the wrapper's own protocol",
}
BULK = {"cat", "cat_ranges", "expand_path", "get", "pipe", "put", "sizes"}


def public():
    """The methods of any filesystem."""
    return sorted(
        name
        for name in dir(AsyncFileSystem)
        if not name.startswith("_") and callable(getattr(AsyncFileSystem, name))
    )


def missing(cls, instance, also=()):
    """The methods for which nothing is said."""
    bases = {AbstractFileSystem, AsyncFileSystem, *AsyncFileSystem.__mro__}
    out = []
    for name in public():
        owner = next(c for c in cls.__mro__ if name in c.__dict__)
        has = owner not in bases or f"_{name}" in vars(instance)
        if not has and name not in COMPOSED and name not in OWN and name not in also:
            out.append(name)
    return out


def test_nothing_is_listed_that_is_not_there():
    """The lists above are of methods that exist."""
    assert set(COMPOSED) | set(OWN) | BULK <= set(public())


def test_folder_asks_the_other(m):
    """Everything has a path, so everything is asked with another one."""
    fs = DirFileSystem(path="/folder", fs=m)
    assert missing(DirFileSystem, fs) == []


def test_awaitable_wrapper_asks_the_blocking_one(m):
    """But for bulk operations, which it does many threads at a time, and rmdir, which does nothing."""
    fs = AsyncFileSystemWrapper(m, asynchronous=False)
    assert missing(AsyncFileSystemWrapper, fs, also={*BULK, "rmdir"}) == []


def test_every_method_of_the_blocking_one_can_be_awaited(m):
    """By its name with an underscore, and in a thread of its own."""
    fs = AsyncFileSystemWrapper(m, asynchronous=False)
    for name in dir(m):
        if not name.startswith("_") and inspect.isroutine(getattr(type(m), name, None)) and name != "walk":
            if name not in ("open", "open_async", "clear_instance_cache"):
                assert inspect.iscoroutinefunction(getattr(fs, f"_{name}")), name
            assert f"_{name}" in dir(fs), name
    assert inspect.isasyncgenfunction(fs._walk)
    for name in ("_nothing", "__touch", "nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(fs, name)


def test_what_only_the_blocking_one_has_can_be_awaited(tmp_path):
    class Shouting(fsspec.get_filesystem_class("file")):
        protocol = "shouting"

        def shout(self, word, times=1):
            return word.upper() * times, threading.current_thread() is threading.main_thread()

    fs = AsyncFileSystemWrapper(Shouting(), asynchronous=True)
    path = str(tmp_path / "a")

    async def program():
        assert await fs._shout("ho", times=2) == ("HOHO", False)
        await fs._touch(path)
        await fs._chmod(path, 0o600)
        await fs._mv(path, f"{path}b")
        await fs._write_text(f"{path}b", "text")
        assert await fs._head(f"{path}b", 2) == b"te" and len(await fs._ukey(f"{path}b")) > 8
        assert await fs._modified(f"{path}b") is not None

    asyncio.run(program())


def test_bulk_operations_give_what_blocking_ones_give(m, tmp_path):
    fs = AsyncFileSystemWrapper(m, asynchronous=False)
    assert fs.pipe({"/a": b"1", "/b": b"2"}) is fs.pipe("/c", b"3") is None
    assert fs.get("/a", str(tmp_path / "a")) is fs.put(str(tmp_path / "a"), "/d") is None
    assert fs.cat(["/a", "/d"]) == {"/a": b"1", "/d": b"1"} and fs.sizes(["/a"]) == [1]


class Bulky(fsspec.get_filesystem_class("memory")):
    """A third party's backend that does everything in bulk by methods of its own."""

    protocol = "bulky"

    def _record(self, *args, **kwargs):
        return "told", args

    cat = cat_ranges = get = pipe = put = sizes = _record


@pytest.mark.parametrize("name", ["cat", "cat_ranges", "get", "pipe", "put", "sizes"])
def test_bulk_operations_of_its_own_are_asked(name):
    fs = AsyncFileSystemWrapper(Bulky(), asynchronous=False)
    assert getattr(fs, name)("a", "b") == ("told", ("a", "b"))


class Taking(DictFileSystem):
    """A third party's backend that takes keywords of its own, and notes them."""

    protocol = "taking"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.took = []

    def ls(self, path, detail=True, **kwargs):
        self.took.append(("ls", kwargs))
        return super().ls(path, detail=detail)

    def info(self, path, **kwargs):
        self.took.append(("info", kwargs))
        return super().info(path)

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.took.append(("cat_file", kwargs))
        return super().cat_file(path, start, end)

    def cp_file(self, path1, path2, **kwargs):
        self.took.append(("cp_file", kwargs))

    def _open(self, path, mode="rb", tag=None, **kwargs):
        self.took.append(("_open", {"tag": tag}))
        return super()._open(path, mode, **kwargs)


CALLS = {
    "ls": ("",),
    "info": ("a",),
    "cat_file": ("a",),
    "cp_file": ("a", "b"),
    "open": ("a",),
    "find": ("",),
    "glob": ("*",),
}


@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("wrapper", ["dir", "asyncwrapper"])
def test_keywords_reach_the_other(wrapper, name):
    """Those that only it knows."""
    other = Taking({"a": b"1"} if wrapper == "asyncwrapper" else {"top/a": b"1"})
    options = {"path": "top"} if wrapper == "dir" else {"asynchronous": False}
    fs = fsspec.filesystem(wrapper, fs=other, **options)
    how = (
        {"mode": "r+b"} if name == "open" and wrapper == "asyncwrapper" else {}
    )  # what is read it reads itself
    result = getattr(fs, name)(*CALLS[name], tag=1, **how)
    wanted = {"find": "ls", "glob": "ls", "open": "_open"}.get(name, name)
    assert (wanted, {"tag": 1}) in other.took
    if name == "open":
        result.close()


class Telling(fsspec.get_filesystem_class("memory")):
    """Memory whose less usual operations say that they were asked."""

    protocol = "telling"

    def __getattribute__(self, name):
        if name in ("created", "modified", "checksum", "ukey", "sign", "lexists", "touch", "mv"):
            return lambda *args, **kwargs: (name, args)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "name", ["created", "modified", "checksum", "ukey", "sign", "lexists", "touch", "mv"]
)
@pytest.mark.parametrize("wrapper", ["dir", "asyncwrapper"])
def test_less_usual_operations_reach_the_other(wrapper, name):
    """They are the ones that a base class answers without knowing."""
    options = {"path": "/folder"} if wrapper == "dir" else {"asynchronous": False}
    fs = fsspec.filesystem(wrapper, fs=Telling(skip_instance_cache=True), **options)
    path = "/folder/a" if wrapper == "dir" else "a"
    args = ("a", "a") if name == "mv" else ("a",)
    assert getattr(fs, name)(*args) == (name, (path,) * len(args))


@pytest.mark.parametrize("wrapper", ["dir", "asyncwrapper"])
def test_folders_are_removed_and_dead_links_seen(wrapper, tmp_path):
    """On a real folder."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    options = {"path": str(tmp_path)} if wrapper == "dir" else {"asynchronous": False}
    fs = fsspec.filesystem(wrapper, fs=fsspec.filesystem("file"), **options)
    top = "" if wrapper == "dir" else f"{tmp_path}/"
    assert fs.lexists(f"{top}link") and not fs.exists(f"{top}link")
    fs.rmdir(f"{top}empty")
    assert (tmp_path / "empty").exists() == (wrapper == "asyncwrapper")  # as upstream's


@pytest.mark.parametrize("wrapper", ["dir", "asyncwrapper"])
def test_transactions_are_the_others(m, wrapper):
    """Whatever is written in one that fails was never there."""
    options = {"path": ""} if wrapper == "dir" else {"asynchronous": False}
    fs = fsspec.filesystem(wrapper, fs=m, **options)
    assert not fs._intrans and fs._transaction is None
    with fs.transaction as transaction:
        assert fs._intrans and m._intrans and fs._transaction is m._transaction is transaction
    with m.transaction:
        assert fs._intrans
    assert not fs._intrans and fs._transaction is None
    with pytest.raises(KeyError):
        with fs.transaction:
            fs.pipe_file("/piped", b"1")
            fs.pipe({"/one": b"1", "/two": b"2"})
            with fs.open("/opened", "wb") as f:
                f.write(b"1")
            raise KeyError
    assert m.find("") == []
    with fs.transaction:
        fs.pipe_file("/piped", b"1")
        assert not m.exists("/piped")
    fs.start_transaction()
    fs.write_text("/text", "1")
    fs.end_transaction()
    assert m.find("") == ["/piped", "/text"]


@pytest.mark.skipif(
    importlib.util.find_spec("fsspec.implementations.cached") is None, reason="there are no cached ones"
)
@pytest.mark.parametrize("protocol", ["blockcache", "filecache", "simplecache"])
@pytest.mark.parametrize("name", ["created", "modified", "checksum", "sign", "lexists"])
def test_cached_filesystems_ask_the_other(protocol, name, tmp_path):
    """What no cache can know is asked of the filesystem behind it."""
    fs = fsspec.filesystem(protocol, fs=Telling(skip_instance_cache=True), cache_storage=str(tmp_path))
    assert getattr(fs, name)("/a")[0] == name
