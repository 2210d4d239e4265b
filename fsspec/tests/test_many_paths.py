"""Operations over several paths: whatever iterable the paths are in, the outcome is that of a list."""

import zipfile
from collections import deque
from pathlib import Path

import pytest

import fsspec
from fsspec.asyn import sync
from fsspec.generic import GenericFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.wdictfs import WritableDictFileSystem


class Table(list):
    """An iterable whose comparison gives no truth, as of arrays and series."""

    def __eq__(self, other):
        raise ValueError("the truth of several values is ambiguous")

    __hash__ = None


KINDS = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "generator": lambda paths: (path for path in paths),
    "dict": dict.fromkeys,
    "keys": lambda paths: dict.fromkeys(paths).keys(),
    "values": lambda paths: dict(enumerate(paths)).values(),
    "map": lambda paths: map(str, paths),
    "filter": lambda paths: filter(None, paths),
    "deque": deque,
    "paths": lambda paths: map(Path, paths),
    "ambiguous": Table,
}
SIDES = ["memory", "file", "dict", "awaited"]
LAYERS = ["dir", "simplecache", "filecache", "blockcache"]
NAMES = [*SIDES, *(f"{layer}:{side}" for layer in LAYERS for side in SIDES), "generic", "reference", "zip"]
READ_ONLY = {"reference", "zip"}

READING = {
    "cat": lambda fs, some: fs.cat(some(fs.sources)),
    "cat recursive": lambda fs, some: fs.cat(some(fs.sources), recursive=True),
    "cat omitting": lambda fs, some: fs.cat(some(fs.sources), on_error="omit"),
    "expand_path": lambda fs, some: fs.expand_path(some(fs.sources)),
    "expand_path recursive": lambda fs, some: fs.expand_path(some(fs.sources), recursive=True),
    "expand_path literal": lambda fs, some: fs.expand_path(some(fs.sources), assume_literal=True),
    "sizes": lambda fs, some: fs.sizes(some(fs.sources)),
    "cat_ranges": lambda fs, some: fs.cat_ranges(some(fs.sources), 0, 1),
    "cat_ranges of lists": lambda fs, some: fs.cat_ranges(some(fs.sources), [0, 0], [1, 1]),
    "get": lambda fs, some: fs.get(some(fs.sources), f"{fs.here}/out/"),
    "get to several": lambda fs, some: fs.get(some(fs.sources), some(fs.outputs)),
    "download": lambda fs, some: fs.download(some(fs.sources), f"{fs.here}/out/"),
}
WRITING = {
    "put": lambda fs, some: fs.put(some(fs.inputs), fs.folder),
    "put to several": lambda fs, some: fs.put(some(fs.inputs), some(fs.targets)),
    "upload": lambda fs, some: fs.upload(some(fs.inputs), fs.folder),
    "copy": lambda fs, some: fs.copy(some(fs.sources), fs.folder),
    "copy to several": lambda fs, some: fs.copy(some(fs.sources), some(fs.targets)),
    "mv": lambda fs, some: fs.mv(some(fs.sources), fs.folder),
    "mv to several": lambda fs, some: fs.mv(some(fs.sources), some(fs.targets)),
    "rm": lambda fs, some: fs.rm(some(fs.sources)),
    "rm recursive": lambda fs, some: fs.rm(some(fs.sources), recursive=True),
    "delete": lambda fs, some: fs.delete(some(fs.sources)),
}


class Trial:
    """A filesystem with two files to operate on, and the paths that an operation is given."""

    def __init__(self, name, here):
        self.here = here
        (here / "in").mkdir(parents=True)
        (here / "store" / "p").mkdir(parents=True)
        for letter in "ab":
            (here / "in" / letter).write_text(letter * 2)
        layer, _, side = name.rpartition(":")
        self.fs, root = self.side(side)
        if layer == "dir":
            self.fs, root = fsspec.filesystem("dir", path=root, fs=self.fs, skip_instance_cache=True), ""
        elif layer:
            options = {"fs": self.fs, "cache_storage": str(here / "cache"), "skip_instance_cache": True}
            self.fs = fsspec.filesystem(layer, **options)
        start = f"{root}/" if root else ""
        self.sources = [f"{start}a", f"{start}b"]
        self.targets = [f"{start}x", f"{start}y"]
        self.folder = f"{start}p/"
        self.inputs = [f"{here}/in/a", f"{here}/in/b"]
        self.outputs = [f"{here}/out-a", f"{here}/out-b"]
        self.root = root

    def __getattr__(self, name):
        return getattr(self.fs, name)

    def side(self, side):
        files = {"/r/a": b"aa", "/r/b": b"bb"}
        if side == "dict":
            return DictFileSystem(files, skip_instance_cache=True), "/r"
        if side == "awaited":
            return WritableDictFileSystem(files, skip_instance_cache=True), "/r"
        if side == "reference":
            references = {"r/a": "aa", "r/b": "bb"}
            return fsspec.filesystem("reference", fo=references, skip_instance_cache=True), "r"
        if side == "zip":
            with zipfile.ZipFile(self.here / "archive", "w") as archive:
                archive.writestr("r/a", "aa")
                archive.writestr("r/b", "bb")
            options = {"fo": str(self.here / "archive"), "skip_instance_cache": True}
            return fsspec.filesystem("zip", **options), "r"
        if side == "file":
            root = (self.here / "store").as_posix()
            fs = fsspec.filesystem("file")
            fs.pipe({f"{root}/a": b"aa", f"{root}/b": b"bb"})
            return fs, root
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        memory.pipe(files)
        if side == "generic":
            return GenericFileSystem(default_method="current", skip_instance_cache=True), "memory:///r"
        return memory, "/r"

    def outcome(self, operation, some):
        """What an operation returned, and the files that there are after it."""
        returned = operation(self, some)
        local = {p.name: p.read_bytes() for p in self.here.rglob("out*/*")}
        local.update({p.name: p.read_bytes() for p in self.here.glob("out-*")})
        found = {str(p).removeprefix(str(self.here)): self.fs.cat(p) for p in self.fs.find(self.root)}
        if isinstance(returned, dict):
            returned = {path.removeprefix(str(self.here)): data for path, data in returned.items()}
        elif isinstance(returned, list):
            short = [p.removeprefix(str(self.here)) if isinstance(p, str) else p for p in returned]
            returned = sorted(short, key=repr)
        return returned, local, found


@pytest.mark.usefixtures("m")
@pytest.mark.parametrize("operation", [*READING, *WRITING])
@pytest.mark.parametrize("name", NAMES)
def test_several_paths_are_any_iterable_of_them(name, operation, tmp_path):
    if operation in WRITING and name in READ_ONLY:
        pytest.skip("nothing is written there")
    if name == "generic" and operation.startswith(("cat recursive", "get", "download", "put", "upload")):
        pytest.skip("it has no such operation")
    act = {**READING, **WRITING}[operation]
    expected = Trial(name, tmp_path / "list").outcome(act, list)
    assert expected != Trial(name, tmp_path / "none").outcome(lambda fs, some: None, list)
    for kind, some in KINDS.items():
        if kind == "paths" and name == "generic":
            continue  # a URL is no path of this machine
        if kind in ("set", "frozenset") and operation.endswith("several"):
            continue  # in no order, so that nothing says what goes where
        assert Trial(name, tmp_path / kind).outcome(act, some) == expected, kind


@pytest.mark.parametrize("layer", ["simplecache", "filecache", "blockcache"])
def test_an_awaited_removal_through_a_cache_takes_a_generator(layer, tmp_path):
    trial = Trial(f"{layer}:awaited", tmp_path / "trial")
    for path in trial.sources:
        trial.open(path).close()
    sync(trial.fs.fs.loop, trial.fs._rm, (path for path in trial.sources))
    assert trial.find("/r") == []
    assert not any(map(trial.exists, trial.sources))


def test_what_a_pattern_of_pathlib_gives_is_uploaded(m, tmp_path):
    for name in ("a.csv", "b.csv", "c.txt"):
        (tmp_path / name).write_text(name)
    m.put(tmp_path.glob("*.csv"), "/to/")
    assert m.find("/to") == ["/to/a.csv", "/to/b.csv"]


@pytest.mark.parametrize("value", [None, 3, b"/r/a"])
@pytest.mark.parametrize("name", ["memory", "file", "awaited", "dir:memory", "simplecache:memory"])
@pytest.mark.usefixtures("m")
def test_what_is_neither_a_path_nor_several_is_named(name, value, tmp_path):
    trial = Trial(name, tmp_path / "trial")
    for operation in (trial.cat, trial.rm, trial.expand_path, lambda v: trial.get(v, "x")):
        with pytest.raises((TypeError, AttributeError), match="is needed"):
            operation(value)


def test_one_path_is_no_list_of_ranges(m):
    with pytest.raises(TypeError, match="several paths are needed"):
        m.cat_ranges("/a", 0, 1)


ONE = ["info", "ls", "open", "cat_file", "find", "walk", "du", "size", "rm_file", "touch", "created"]


@pytest.mark.parametrize("operation", ONE)
@pytest.mark.parametrize("name", ["memory", "file", "dir:memory", "dir:file", "simplecache:memory"])
@pytest.mark.usefixtures("m")
def test_where_one_path_is_needed_the_error_says_so(name, operation, tmp_path):
    trial = Trial(name, tmp_path / "trial")
    kinds = [tuple, iter, dict.fromkeys, *([list] if name.startswith("dir") else [])]
    for some in kinds:
        for kind in (TypeError, AttributeError):
            with pytest.raises(kind, match="a URL or a path is needed, .* not a"):
                list(getattr(trial, operation)(some(trial.sources)))


@pytest.mark.parametrize("operation", ["exists", "isfile", "isdir", "lexists"])
def test_several_paths_are_nothing_that_exists(m, operation, tmp_path):
    folder = fsspec.filesystem("dir", path="/r", fs=m)
    for some in (list, tuple, iter):
        given = some(["/a", "/b"])
        try:
            expected = getattr(m, operation)(some(["/a", "/b"]))
        except (TypeError, AttributeError) as error:
            with pytest.raises(type(error)):
                getattr(folder, operation)(given)
        else:
            assert getattr(folder, operation)(given) is expected


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "generic", "reference"])
def test_several_paths_are_no_file(kind, m, tmp_path):
    m.pipe_file("/a", b"1")
    if kind == "generic":
        fs = fsspec.filesystem("generic", default_method="current")
    elif kind == "reference":
        fs = fsspec.filesystem("reference", fo={"a": "data"}, fs=m)
        assert not fs.isdir(["a"]) and not fs.isdir(None)
    else:
        fs = fsspec.filesystem(kind, fs=m, cache_storage=str(tmp_path))
    for some in (["/a", "/b"], ("/a",), iter(["/a"]), None):
        assert fs.isfile(some) is False


def test_folders_moved_to_one_place_each_lose_nothing(m):
    """Of pairs only the files are copied; what is in a folder is not removed."""
    m.pipe({"/d/f": b"1", "/g": b"2"})
    with pytest.raises(OSError):
        m.mv(["/d", "/g"], ["/e", "/h"], recursive=True)
    assert m.cat_file("/d/f") == b"1"
    assert m.cat_file("/h") == b"2"


@pytest.mark.parametrize(
    "name", ["memory", "file", "dict", "dir:memory", "simplecache:memory", "filecache:file"]
)
@pytest.mark.usefixtures("m")
def test_what_has_no_bytes_is_refused_with_the_path(name, tmp_path):
    trial = Trial(name, tmp_path / "trial")
    path = trial.targets[0]
    for write in (lambda: trial.pipe_file(path, "text"), lambda: trial.pipe({path: "text"})):
        with pytest.raises(TypeError, match="a bytes-like object is required, not 'str', to write to '.*x'"):
            write()
    assert not trial.exists(path)
    with pytest.raises(TypeError, match="not 'int', to write to '.*x'$"):
        trial.pipe_file(path, 3)


@pytest.mark.parametrize("limit", ["start", "end"])
@pytest.mark.parametrize("name", ["memory", "file", "dict", "dir:memory", "dir:file"])
@pytest.mark.usefixtures("m")
def test_what_is_no_place_in_a_file_is_refused_with_the_path(name, limit, tmp_path):
    trial = Trial(name, tmp_path / "trial")
    with pytest.raises(TypeError, match=f"{limit} is a number of bytes, not 'x' .*a'"):
        trial.cat_file(trial.sources[0], **{limit: "x"})
