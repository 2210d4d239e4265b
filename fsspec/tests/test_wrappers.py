"""Filesystems over another: whatever the other one does better, they ask it to do.

The public methods of a filesystem are enumerated. For each a wrapper has its own, or sets
one on its instances, or is made of those that have (`COMPOSED`), or says here why not.
"""

import importlib.util

import pytest

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem

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
BULK = {"cat", "cat_ranges", "get", "pipe", "put", "sizes"}


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
    """But for bulk operations, which it does many threads at a time."""
    fs = AsyncFileSystemWrapper(m, asynchronous=False)
    assert missing(AsyncFileSystemWrapper, fs, also=BULK) == []


class Telling(fsspec.get_filesystem_class("memory")):
    """Memory whose less usual operations say that they were asked."""

    protocol = "telling"

    def __getattribute__(self, name):
        if name in ("created", "modified", "checksum", "ukey", "sign", "lexists", "rmdir", "touch", "mv"):
            return lambda *args, **kwargs: (name, args)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "name", ["created", "modified", "checksum", "ukey", "sign", "lexists", "rmdir", "touch", "mv"]
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
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("wrapper", ["dir", "asyncwrapper"])
def test_transactions_are_the_others(m, wrapper):
    """Whatever is written in one that fails was never there."""
    options = {"path": ""} if wrapper == "dir" else {"asynchronous": False}
    fs = fsspec.filesystem(wrapper, fs=m, **options)
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
