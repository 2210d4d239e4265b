"""Telling a program how far a transfer is."""

import asyncio
import copy
import pickle
import subprocess
import sys

import pytest

from fsspec.callbacks import (
    DEFAULT_CALLBACK,
    Callback,
    DotPrinterCallback,
    NoOpCallback,
    TqdmCallback,
)
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem


@pytest.fixture
def reported():
    """What a hook was told, and a callback that has it."""
    seen = []
    return seen, Callback(hooks={"hook": lambda size, value, **kw: seen.append((size, value, kw))}, extra=1)


def test_each_change_calls_the_hooks(reported):
    seen, callback = reported
    callback.set_size(10)
    callback.relative_update(3)
    callback.relative_update()
    callback.absolute_update(7)
    callback.call(more=2)
    assert [(size, value) for size, value, _ in seen] == [(10, 0), (10, 3), (10, 4), (10, 7), (10, 7)]
    assert seen[0][2] == {"extra": 1} and seen[-1][2] == {"extra": 1, "more": 2}


def test_one_hook_can_be_called_by_name():
    callback = Callback(hooks={"a": lambda size, value, **kw: (size, value, kw)}, x=1)
    assert callback.call("a", y=2) == (None, 0, {"x": 1, "y": 2})
    assert callback.call("b") is None and callback.call() is None


def test_items_that_are_wrapped_are_counted():
    callback = Callback()
    assert [(item, callback.value) for item in callback.wrap("abc")] == [("a", 1), ("b", 2), ("c", 3)]


def test_a_branch_is_what_the_subclass_puts_there():
    class Branching(Callback):
        def branch(self, path_1, path_2, kwargs):
            kwargs["callback"] = Callback(path=path_1 + path_2, **kwargs)

    child = Branching().branched("a", "b", n=1)
    assert child.kw == {"path": "ab", "n": 1}
    assert Callback().branched("a", "b") is DEFAULT_CALLBACK


class Unset(Callback):
    """Does not call the constructor of the base class."""

    def __init__(self):
        self.more = 1


class Unbranched(Callback):
    """Has nothing to tell of single transfers."""

    def branched(self, path_1, path_2, **kwargs):
        return None


@pytest.mark.parametrize("kind", [Unset, Unbranched])
def test_a_subclass_that_leaves_something_out_counts(m, tmp_path, kind):
    m.pipe({"/many/a": b"1", "/many/b": b"2"})
    for transfer, *paths in (
        (m.get, "/many/", f"{tmp_path}/got/"),
        (m.put, f"{tmp_path}/got/", "/put/"),
    ):
        callback = kind()
        transfer(*paths, recursive=True, callback=callback)
        assert callback.value >= 2 and callback.size == callback.value
    m.get_file("/many/a", f"{tmp_path}/one", callback=(callback := kind()))
    assert callback.value == 1

    async def transferred(path_1, path_2, callback):
        callback.relative_update()

    asyncio.run(kind().branch_coro(transferred)("a", "b"))
    assert Callback.hooks == {}


def test_an_awaitable_transfer_gets_a_branch_that_is_closed_at_its_end():
    closed = []

    class Child(Callback):
        def close(self):
            closed.append(self)

    class Branching(Callback):
        def branch(self, path_1, path_2, kwargs):
            kwargs["callback"] = Child()

        def branched(self, path_1, path_2, **kwargs):
            self.branch(path_1, path_2, kwargs)
            return kwargs["callback"]

    async def transfer(path_1, path_2, callback=None, extra=None):
        assert not closed
        return path_1, path_2, callback, extra

    made = Branching().branch_coro(transfer)
    assert made.__name__ == "transfer"
    path_1, path_2, child, extra = asyncio.run(made("a", "b", extra=5))
    assert (path_1, path_2, extra) == ("a", "b", 5) and closed == [child]


def test_the_end_of_a_context_closes_even_after_an_error():
    closed = []

    class Closing(Callback):
        def close(self):
            closed.append(1)

    with pytest.raises(KeyError), Closing() as callback:
        assert type(callback) is Closing
        raise KeyError
    assert closed == [1]


def test_other_names_take_anything():
    callback = Callback()
    assert callback.began_a_part(1, part=2) is None


def test_names_of_the_language_are_not_invented():
    callback = Callback(size=3)
    assert not hasattr(callback, "__array__")
    assert copy.deepcopy(callback).size == 3
    assert pickle.loads(pickle.dumps(callback)).size == 3


def test_none_stands_for_the_shared_callback_that_tells_nobody():
    assert Callback.as_callback(None) is Callback.as_callback() is DEFAULT_CALLBACK
    callback = Callback()
    assert Callback.as_callback(callback) is callback
    quiet = NoOpCallback(hooks={"a": lambda *args, **kw: 1 / 0})
    quiet.set_size(5)
    quiet.relative_update(2)
    assert (quiet.size, quiet.value, quiet.call("a")) == (5, 2, None)


def test_dots_are_printed_for_branches(capsys):
    callback = DotPrinterCallback()
    callback.set_size(2)
    callback.branched("a", "b").relative_update()
    callback.relative_update()
    assert capsys.readouterr().out == "#.#"


class Bar:
    def __init__(self, total=None, **kwargs):
        self.total, self.n, self.kwargs, self.closed = total, 0, kwargs, 0
        bars.append(self)

    def update(self, n):
        self.n += n

    def close(self):
        self.closed += 1


bars: list[Bar] = []


def test_a_bar_follows_the_counts():
    callback = TqdmCallback({"desc": "d"}, tqdm_cls=Bar)
    assert callback._tqdm_cls is Bar  # programs replace it
    callback.set_size(5)
    bar = bars.pop()
    assert (bar.total, bar.n, bar.kwargs) == (5, 0, {"desc": "d"})
    callback.relative_update(2)
    callback.absolute_update(4)
    callback.set_size(9)
    assert (bar.total, bar.n, bars) == (9, 4, [])
    callback.close()
    callback.close()
    assert bar.closed == 1


def test_a_bar_goes_with_its_callback():
    callback = TqdmCallback(tqdm_cls=Bar)
    callback.set_size(1)
    bar = bars.pop()
    del callback
    assert bar.closed == 1


def test_the_bar_is_one_of_tqdm(capsys):
    tqdm = pytest.importorskip("tqdm")
    with TqdmCallback({"disable": True}) as callback:
        callback.set_size(5)
        assert type(callback.tqdm) is tqdm.tqdm


def test_without_tqdm_the_error_names_it():
    code = (
        "import sys; sys.modules['tqdm'] = None\n"
        "from fsspec.callbacks import TqdmCallback\n"
        "try: TqdmCallback()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install tqdm" in done.stdout and not done.stderr


def test_each_file_under_way_has_a_bar_of_its_own_where_asked_for(tmp_path):
    fs = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    fs.pipe({"/bars/a": b"12345", "/bars/b": b"123"})
    fs.get("/bars", str(tmp_path), recursive=True, callback=TqdmCallback(tqdm_cls=Bar, nested=True))
    whole, *files = bars
    bars.clear()
    assert (whole.total, whole.n, whole.closed) == (3, 3, 1)  # the folder counts as well
    assert {(bar.kwargs["desc"], bar.total, bar.n, bar.closed) for bar in files} == {
        ("a", 5, 5, 1),
        ("b", 3, 3, 1),
    }


def test_tqdm_by_name_draws_bars(tmp_path, capsys):
    pytest.importorskip("tqdm")
    fs = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    fs.pipe({"/bars/a": b"12345"})
    fs.get("/bars/a", str(tmp_path / "a"), callback="tqdm")
    assert "1/1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="'tqdm'"):
        fs.get("/bars/a", str(tmp_path / "a"), callback="bars")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_reading_and_writing_many_files_is_counted(asynchronous):
    fs = (
        AsyncDictFileSystem({"a": b"0", "b": b"1"})
        if asynchronous
        else DictFileSystem({"a": b"0", "b": b"1"})
    )
    for work in (
        lambda reported: fs.cat(["a", "b"], callback=reported),
        lambda reported: fs.cat_ranges(["a", "b"], 0, 1, callback=reported),
        lambda reported: fs.cat(["a", "missing"], on_error="omit", callback=reported),
    ):
        reported = Callback()
        assert len(work(reported)) in (1, 2)
        assert (reported.size, reported.value) == (2, 2)


def test_writing_many_files_is_counted(m):
    reported = Callback()
    m.pipe({"/a": b"0", "/b": b"1", "/c": b"2"}, callback=reported)
    assert (reported.size, reported.value) == (3, 3)


# every operation of every kind of filesystem


def filesystems(tmp_path):
    """Those that can be made here, each with two files, by a name for it."""
    import fsspec
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from fsspec.implementations.dirfs import DirFileSystem

    memory = fsspec.filesystem("memory")
    memory.pipe({"/top/a": b"12345", "/top/b": b"123"})
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a").write_bytes(b"12345")
    (tmp_path / "here" / "b").write_bytes(b"123")
    yield "memory", memory, "/top"
    yield "file", fsspec.filesystem("file"), str(tmp_path / "here")
    yield "dir", DirFileSystem("/top", memory), ""
    yield "async_wrapper", AsyncFileSystemWrapper(memory, asynchronous=False), "/top"
    for kind in ("simplecache", "filecache", "blockcache"):
        folder = str(tmp_path / kind)
        yield kind, fsspec.filesystem(kind, fs=memory, cache_storage=folder), "/top"
    references = {"a": "12345", "b": ["memory://top/b"]}
    yield "reference", fsspec.filesystem("reference", fo=references, remote_protocol="memory"), ""
    yield "generic", fsspec.filesystem("generic", default_method="current"), "memory://top"


OPERATIONS = {
    "cat": lambda fs, a, b, out, reported: fs.cat([a, b], callback=reported),
    "cat_ranges": lambda fs, a, b, out, reported: fs.cat_ranges([a, b], [0, 1], [2, 3], callback=reported),
    "get": lambda fs, a, b, out, reported: fs.get([a, b], [out + "/a", out + "/b"], callback=reported),
    "get_file": lambda fs, a, b, out, reported: fs.get_file(a, out + "/c", callback=reported),
    "put": lambda fs, a, b, out, reported: fs.put([out + "/a"], [a + "1"], callback=reported),
    "put_file": lambda fs, a, b, out, reported: fs.put_file(out + "/a", a + "2", callback=reported),
    "pipe": lambda fs, a, b, out, reported: fs.pipe({a + "3": b"0", b + "3": b"1"}, callback=reported),
    "copy": lambda fs, a, b, out, reported: fs.copy([a, b], [a + "4", b + "4"], callback=reported),
    "mv": lambda fs, a, b, out, reported: fs.mv(a, a + "5", callback=reported),
}
MISSING = {
    ("reference", "copy"),  # a table of references is not copied
    ("reference", "mv"),
    ("generic", "get_file"),  # these are asked of the filesystem of the URL, and by `get` and `put`
    ("generic", "put_file"),
}
RENAMES = {("file", "mv"), ("generic", "mv")}  # in one step, or by the filesystem: there is nothing to count


def test_every_operation_tells_a_callback_and_knows_tqdm_by_name(m, tmp_path, capsys):
    pytest.importorskip("tqdm")
    out = str(tmp_path / "out")
    for kind, fs, top in filesystems(tmp_path):
        a, b = (f"{top}/{name}" if top else name for name in "ab")
        for name, work in OPERATIONS.items():
            if (kind, name) in MISSING:
                continue
            reported = Callback()
            capsys.readouterr()
            work(fs, a, b, out, reported)
            work(fs, a, b, out, "tqdm") if name != "mv" else fs.mv(a + "5", a, callback="tqdm")
            drawn = capsys.readouterr().err
            if (kind, name) not in RENAMES:
                assert reported.value and reported.value == reported.size, (kind, name)
                assert "100%" in drawn, (kind, name)
