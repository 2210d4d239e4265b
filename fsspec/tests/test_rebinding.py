"""What programs put in the place of a function, a class or a table of a public module is what runs."""

import functools
import importlib
import inspect
import pickle
import sys
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest

import fsspec
from fsspec._public import PARTS
from fsspec.implementations.cached import SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.implementations.data import DataFileSystem
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.reference import ReferenceFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {"r/a.txt": b"1\n2\n", "r/d/b.txt": b"22"}


class Place:
    """Where an operation runs: a new folder of two files, filesystems over dicts of the same, a server."""

    def __init__(self, root, url):
        self.root, self.url = str(root), url
        (root / "d").mkdir(parents=True)
        (root / "a.txt").write_bytes(b"1\n2\n")
        (root / "d" / "b.txt").write_bytes(b"22")
        with zipfile.ZipFile(root / "a.zip", "w") as z:
            z.writestr("inner", "abc")
        self.local = LocalFileSystem()
        self.blocking, self.awaitable = DictFileSystem(dict(FILES)), WritableDictFileSystem(dict(FILES))
        self.http = HTTPFileSystem(skip_instance_cache=True)
        self.memory = MemoryFileSystem()
        self.memory.pipe({"/a.txt": b"1\n2\n", "/d/b.txt": b"22"})

    def read(self, name="a.txt", **options):
        with fsspec.open(f"{self.root}/{name}", **options) as f:
            return f.read()

    def cached(self, cls, **options):
        return cls(fs=self.blocking, cache_storage=f"{self.root}/cache", skip_instance_cache=True, **options)

    def written(self):
        with self.cached(SimpleCacheFileSystem).open("r/new", "wb") as f:
            f.write(b"new")
        return self.blocking.files["r/new"]

    def referring(self):
        references = {"a": ["memory://a.txt", 0, 1], "b": ["memory://a.txt", 2, 1]}
        return ReferenceFileSystem(references, remote_protocol="memory", skip_instance_cache=True)

    def copied(self, source, target):
        return fsspec.filesystem("generic").copy(source, target)

    def downloaded(self, fs):
        fs.get("r", f"{self.root}/got", recursive=True)
        return Path(self.root, "got/d/b.txt").read_bytes()

    def opened(self, path, **options):
        with self.http.open(path, **options) as f:
            return f.blocksize, f.read(2)


IMPLEMENTATIONS = "fsspec.implementations"
USES = {
    "fsspec.core._unstrip_protocol": lambda at: fsspec.open("memory://a.txt").full_name,
    "fsspec.core.available_protocols": lambda at: fsspec.core._un_chain("UP::memory://a.txt", {})[0][1],
    "fsspec.core.caches": lambda at: at.opened(f"{at.url}/a.txt", cache_type="readahead"),
    "fsspec.core.compr": lambda at: at.read(compression="zip", name="a.zip"),
    "fsspec.core.get_compression": lambda at: at.read(),
    "fsspec.core.infer_compression": lambda at: at.read(compression="infer", name="a.zip"),
    "fsspec.core.PickleableTextIOWrapper": lambda at: at.read(mode="rt"),
    "fsspec.core.url_to_fs": lambda at: fsspec.core.url_to_fs("memory://a.txt")[1],
    "fsspec.core.get_fs_token_paths": lambda at: at.read(),
    "fsspec.spec.apply_config": lambda at: MemoryFileSystem(),
    "fsspec.spec.check_contained": lambda at: at.downloaded(at.blocking),
    "fsspec.spec.isfilelike": lambda at: at.blocking.get_file("r/a.txt", f"{at.root}/file"),
    "fsspec.spec.other_paths": lambda at: at.downloaded(at.blocking),
    "fsspec.spec.read_block": lambda at: at.blocking.read_block("r/a.txt", 0, 2, b"\n"),
    "fsspec.spec.stringify_path": lambda at: at.blocking.info(Path("r/a.txt")),
    "fsspec.asyn.check_contained": lambda at: at.downloaded(at.awaitable),
    "fsspec.asyn.is_exception": lambda at: at.awaitable.cat(["r/a.txt", "r/no"], on_error="omit"),
    "fsspec.asyn.other_paths": lambda at: at.downloaded(at.awaitable),
    "fsspec.asyn.trailing_sep": lambda at: at.downloaded(at.awaitable),
    "fsspec.asyn.sync": lambda at: at.awaitable.info("r/a.txt"),
    "fsspec.asyn.sync_wrapper": lambda at: at.awaitable.info("r/a.txt"),
    "fsspec.asyn.async_gen_wrapper": lambda at: list(at.awaitable.walk("r")),
    "fsspec.asyn._run_coros_in_chunks": lambda at: at.awaitable.cat(list(FILES)),
    "fsspec.asyn._get_batch_size": lambda at: at.awaitable.cat(list(FILES)),
    "fsspec.utils.common_prefix": lambda at: fsspec.utils.other_paths(["a/b", "a/c"], "x"),
    "fsspec.utils.compressions": lambda at: fsspec.utils.infer_compression("a.gz"),
    "fsspec.utils.seek_delimiter": lambda at: at.blocking.read_block("r/a.txt", 1, 2, b"\n"),
    "fsspec.utils.stringify_path": lambda at: fsspec.utils.get_protocol(Path("a")),
    "fsspec.registry.registry": lambda at: fsspec.get_filesystem_class("memory").__name__,
    "fsspec.generic.copy_file_op": lambda at: at.copied("memory://*.txt", f"file://{at.root}/copies/"),
    f"{IMPLEMENTATIONS}.local.get_compression": lambda at: at.read(),
    f"{IMPLEMENTATIONS}.local.make_path_posix": lambda at: LocalFileSystem._strip_protocol("a") != "a",
    f"{IMPLEMENTATIONS}.local.stringify_path": lambda at: at.local.isfile(Path(at.root, "a.txt")),
    f"{IMPLEMENTATIONS}.local.trailing_sep": lambda at: at.memory.copy("/d", "/copy", recursive=True),
    f"{IMPLEMENTATIONS}.memory.stringify_path": lambda at: at.memory.isfile(Path("/a.txt")),
    f"{IMPLEMENTATIONS}.data.stringify_path": lambda at: DataFileSystem._strip_protocol("data:,abc"),
    f"{IMPLEMENTATIONS}.cached.CacheMetadata": lambda at: at.cached(WholeFileCacheFileSystem).cat("r/a.txt"),
    f"{IMPLEMENTATIONS}.cached.create_cache_mapper": lambda at: at.cached(SimpleCacheFileSystem).cat(
        "r/a.txt"
    ),
    f"{IMPLEMENTATIONS}.cached.filesystem": lambda at: fsspec.filesystem(
        "simplecache", target_protocol="memory", cache_storage=f"{at.root}/c", skip_instance_cache=True
    ).cat("/a.txt"),
    f"{IMPLEMENTATIONS}.cached.LocalTempFile": lambda at: at.written(),
    f"{IMPLEMENTATIONS}.reference.filesystem": lambda at: at.referring().cat("a"),
    f"{IMPLEMENTATIONS}.reference.merge_offset_ranges": lambda at: at.referring().cat(["a", "b"]),
    f"{IMPLEMENTATIONS}.reference.split_protocol": lambda at: at.referring().cat("a"),
    f"{IMPLEMENTATIONS}.http._file_info": lambda at: at.http.info(f"{at.url}/a.txt")["size"],
    f"{IMPLEMENTATIONS}.http.DEFAULT_BLOCK_SIZE": lambda at: at.opened(f"{at.url}/a.txt"),
    f"{IMPLEMENTATIONS}.http.has_magic": lambda at: at.http.glob(f"{at.url}/a.txt"),
    f"{IMPLEMENTATIONS}.http.isfilelike": lambda at: at.http.get_file(f"{at.url}/a.txt", f"{at.root}/file"),
    f"{IMPLEMENTATIONS}.http.magic_check": lambda at: at.http.glob(f"{at.url}/*.txt"),
}
"""By name: a use that upstream makes of it. The result is to be the same with a wrapper as without."""


def recorder(value, uses):
    """What does the same as ``value``, and notes that it is used."""
    if inspect.iscoroutinefunction(value):

        @functools.wraps(value)
        async def recording(*args, **kwargs):
            uses.append(args)
            return await value(*args, **kwargs)

        return recording
    if inspect.isfunction(value):

        @functools.wraps(value)
        def recording(*args, **kwargs):
            uses.append(args)
            return value(*args, **kwargs)

        return recording
    if isinstance(value, type):

        def __init__(self, *args, **kwargs):
            uses.append(args)
            value.__init__(self, *args, **kwargs)

        return type(value)(value.__name__, (value,), {"__init__": __init__})
    if isinstance(value, int):

        class Number(int):
            def __eq__(self, other):
                uses.append(other)
                return int(self) == other

            __hash__ = int.__hash__

        return Number(value)

    class Recording:
        def __getattr__(self, name):
            uses.append(name)
            return getattr(value, name)

        def __getitem__(self, key):
            uses.append(key)
            return value[key]

        def __contains__(self, key):
            uses.append(key)
            return key in value

        def __iter__(self):
            return iter(value)

    return Recording()


def bindings(name):
    """What the modules of the package call by a name."""
    modules = [(n, m) for n, m in list(sys.modules.items()) if n.startswith("fsspec.") and ".tests" not in n]
    return {n: vars(module)[name] for n, module in modules if name in vars(module)}


@pytest.mark.parametrize("name", USES)
def test_what_is_put_in_the_place_of_a_name_is_used(name, m, http_server, tmp_path):
    http_server.files["/a.txt"] = b"1\n2\n"
    http_server.files["/"] = b'<a href="/a.txt">'
    module, _, attribute = name.rpartition(".")
    owner, uses = importlib.import_module(module), []
    value = getattr(owner, attribute)
    places = (Place(tmp_path / str(number), http_server.url) for number in range(3))
    use = USES[name]
    expected = use(next(places))
    before = bindings(attribute)
    with patch.object(owner, attribute, recorder(value, uses)):
        assert use(next(places)) == expected
        assert uses
    after = bindings(attribute)
    assert {key for key in before if after.get(key, before) is not before[key]} == set()
    uses.clear()
    assert use(next(places)) == expected
    assert not uses


@pytest.mark.parametrize("name", ["core.infer_compression", "spec.other_paths", "asyn.is_exception"])
def test_a_name_that_is_deleted_is_found_again_where_others_define_it(name):
    """So `unittest.mock.patch` ends, where the name was not used before it."""
    module, _, attribute = name.partition(".")
    owner = importlib.import_module(f"fsspec.{module}")
    value, before = getattr(owner, attribute), bindings(attribute)
    setattr(owner, attribute, "else")
    delattr(owner, attribute)
    assert getattr(owner, attribute) is value
    after = bindings(attribute)
    assert {key for key in before if after.get(key, before) is not before[key]} == set()


@pytest.mark.parametrize("name", PARTS)
def test_modules_are_what_modules_are(name):
    module = importlib.import_module(name)
    assert inspect.ismodule(module) and repr(module).startswith("<module 'fsspec.")
    assert pickle.loads(pickle.dumps(module)) is module


def test_what_stands_for_a_class_need_not_be_one(tmp_path):
    fs = SimpleCacheFileSystem(fs=DictFileSystem(dict(FILES)), cache_storage=str(tmp_path))
    with patch("fsspec.implementations.cached.LocalTempFile") as made:
        with fs.open("r/new", "wb") as f, fs.open("r/a.txt") as read:
            f.write(read.read())
    made.assert_called_once()


def test_what_several_programs_put_in_one_place_comes_undone_in_any_order():
    """Each sets the name to what it found, so that the last one counts."""
    own = fsspec.core.get_compression
    first, second = recorder(own, []), recorder(own, [])
    fsspec.core.get_compression = first
    fsspec.core.get_compression = second
    private = sys.modules["fsspec._files.open_file"]
    assert private.get_compression is second
    fsspec.core.get_compression = own
    assert private.get_compression is own
