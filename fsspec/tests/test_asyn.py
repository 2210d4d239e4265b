"""Awaitable filesystems, their blocking twins, and files that are awaited."""

import asyncio
import contextlib
import datetime
import gc
import inspect
import io
import os
import pickle
import socket
import sys
import threading

import pytest

import fsspec
from fsspec.asyn import (
    AbstractAsyncStreamedFile,
    AsyncFileSystem,
    FSSpecCoroutineCancel,
    _dump_running_tasks,
    _run_coros_in_chunks,
    get_loop,
    sync,
    sync_wrapper,
)
from fsspec.callbacks import Callback
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import AsyncDictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {"r/one": b"1", "r/sub/two": b"22"}


@pytest.fixture
def fs():
    return WritableDictFileSystem(FILES)


# twins -----------------------------------------------------------------------------
def test_blocking_methods_are_there_for_the_awaitable_ones(fs):
    assert fs.cat("r/one") == b"1"
    assert fs.find("r") == ["r/one", "r/sub/two"]
    assert [folder for folder, _, _ in fs.walk("r")] == ["r", "r/sub"]
    assert fs.exists("r/one") and not fs.exists("r/none")
    assert fs.isfile("r/one") and fs.isdir("r/sub") and fs.size("r/sub/two") == 2
    assert fs.du("r") == 3
    with pytest.raises(FileNotFoundError):
        fs.info("r/none")


def test_twins_are_made_once_a_class():
    assert "cat_file" not in vars(WritableDictFileSystem(FILES))
    assert WritableDictFileSystem.cat_file is not AsyncDictFileSystem.cat_file


def test_a_twin_shows_the_signature_and_text_of_the_awaitable_method():
    shown = inspect.signature(WritableDictFileSystem(FILES).get_file)
    assert list(shown.parameters) == ["rpath", "lpath", "callback", "kwargs"]
    assert WritableDictFileSystem.cat.__doc__ == AbstractFileSystem.cat.__doc__
    assert WritableDictFileSystem._cat.__doc__ == AbstractFileSystem.cat.__doc__


@pytest.mark.parametrize(
    "name", [n for n, m in vars(AsyncFileSystem).items() if inspect.isfunction(m) and n[:2] != "__"]
)
def test_every_method_has_a_text(name):
    assert getattr(AsyncFileSystem, name).__doc__


def test_a_method_without_a_text_takes_the_blocking_one_in_subclasses_too():
    class Mine(AsyncFileSystem):
        async def _info(self, path, **kwargs):
            return {}

        async def _ls(self, path, detail=True, **kwargs):
            """What is mine."""
            return []

    assert Mine._info.__doc__ == Mine.info.__doc__ == AbstractFileSystem.info.__doc__
    assert Mine._ls.__doc__ == Mine.ls.__doc__ == "What is mine."


def test_a_blocking_method_of_the_backend_is_left_alone():
    class Own(WritableDictFileSystem):
        def cat_file(self, path, **kwargs):
            return b"mine"

    class Below(Own):
        async def _cat_file(self, path, **kwargs):
            return b"theirs"

    assert Own(FILES).cat_file("r/one") == b"mine"
    assert Below(FILES).cat_file("r/one") == b"mine"


def test_a_subclass_that_overrides_the_awaitable_method_has_its_twin():
    class Louder(WritableDictFileSystem):
        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return (await super()._cat_file(path, start, end, **kwargs)) * 2

    assert Louder(FILES).cat_file("r/one") == Louder(FILES).cat("r/one") == b"11"


def test_a_method_replaced_on_an_instance_is_the_one_that_is_called(fs):
    async def info(path, **kwargs):
        return {"name": path, "size": 7, "type": "file"}

    fs._info = info
    assert fs.info("x")["size"] == fs.size("x") == 7


def test_classes_without_twins():
    class Plain(WritableDictFileSystem):
        mirror_sync_methods = False

    with pytest.raises(NotImplementedError):
        Plain(FILES).ls("r")


@pytest.fixture
def more_twins(monkeypatch):
    """Names that a package appends to the list of methods with twins."""
    monkeypatch.setattr(fsspec.asyn, "async_methods", list(fsspec.asyn.async_methods))
    fsspec.asyn.async_methods.extend(["_mv", "_rmdir", "_created", "_zap"])


@pytest.fixture
def renaming():
    """A class of its own for each test, for twins are the class's."""

    class Renaming(WritableDictFileSystem):
        cachable = False

        async def _mv(self, path1, path2, **kwargs):
            return f"{path1} is {path2}"

        async def _rmdir(self, path):
            return f"{path} is gone"

        async def _created(self, path):
            return "yesterday"

        async def _zap(self):
            return "of this class only"

    return Renaming


def test_names_that_a_package_appends_have_twins_in_instances_made_later(more_twins, renaming):
    class Sub(renaming):  # made of nothing but what it inherits
        pass

    for fs in (Sub(FILES), renaming(FILES)):
        assert fs.mv("a", "b") == fs.move("a", "b") == fs.rename("a", "b") == "a is b"
        assert (fs.rmdir("a"), fs.created("a"), hasattr(fs, "zap")) == ("a is gone", "yesterday", False)
    assert DirFileSystem("x", renaming(FILES)).mv("a", "b") == "x/a is x/b"


def test_names_that_nobody_appended_have_none(renaming):
    assert renaming(FILES).rmdir("a") is None
    with pytest.raises(NotImplementedError):
        renaming(FILES).created("a")


def test_a_blocking_method_of_a_backend_stays_where_its_name_was_appended(more_twins, renaming):
    class Blocking(WritableDictFileSystem):
        cachable = False

        def mv(self, path1, path2, **kwargs):
            return "blocking"

        def _created(self, path):
            return "no coroutine"

    class Both(Blocking, renaming):
        pass

    class Later(Blocking):
        async def _mv(self, path1, path2, **kwargs):
            return "awaitable"

    class Unwanted(renaming):
        mirror_sync_methods = False

    assert [cls(FILES).mv("a", "b") for cls in (Blocking, Both, Later)] == ["blocking"] * 3
    assert renaming(FILES).created("a") == "yesterday"  # made before an instance of `Unwanted`
    for cls in (Blocking, Unwanted):
        with pytest.raises(NotImplementedError):
            cls(FILES).created("a")


def test_objects_of_other_kinds_are_given_twins_by_hand(more_twins):
    class Stored(MemoryFileSystem):
        cachable = False
        loop = get_loop()

        async def _created(self, path):
            return "never called: the class has a created of its own"

        async def _mv(self, path1, path2, **kwargs):
            return "by hand"

    fs = Stored()
    fs.pipe("/twin", b"1")
    fsspec.asyn.mirror_sync_methods(fs)
    assert fs.mv("/twin", "/b") == "by hand"
    assert isinstance(fs.created("/twin"), datetime.datetime)
    fs.rm("/twin")


def test_what_programs_replace_in_the_module_makes_twins(monkeypatch, renaming):
    def wrapper(method, obj=None):
        return lambda *args, **kwargs: [f"{method.__name__} replaced"]

    made = []
    for name in ("sync_wrapper", "async_gen_wrapper"):
        monkeypatch.setattr(fsspec.asyn, name, wrapper)
    monkeypatch.setattr(fsspec.asyn, "mirror_sync_methods", made.append)
    fs = renaming(FILES)
    assert made == [fs]
    assert fs.ls("r") == ["_ls replaced"]
    assert list(fs.walk("r")) == ["_walk replaced"]


def test_the_batch_size_is_what_a_program_put_in_the_module_says(monkeypatch, fs):
    asked = []
    monkeypatch.setattr(fsspec.asyn, "_get_batch_size", lambda nofiles=False: asked.append(nofiles) or 1)
    assert fs.cat(["r/one", "r/sub/two"]) == FILES
    assert asked


def test_what_a_program_put_in_the_module_runs_the_operations_of_a_batch(monkeypatch, fs, tmp_path):
    run, runs, count = _run_coros_in_chunks, [], Callback()

    async def noting(coros, **options):
        runs.append(len(coros))
        return await run(coros, **options)

    monkeypatch.setattr(fsspec.asyn, "_run_coros_in_chunks", noting)
    assert fs.cat([*FILES, "r/none"], on_error="omit") == FILES
    fs.get("r", str(tmp_path / "r"), recursive=True, callback=count)
    assert runs[0] == 3 and len(runs) > 1
    assert (tmp_path / "r" / "sub" / "two").read_bytes() == b"22" and count.value == count.size > 0


def test_a_callback_of_coroutines_is_told_of_each_and_of_no_number():
    class Noting(Callback):
        def set_size(self, size):
            raise AssertionError("the size is what the caller says")

    async def main():
        count = Noting(size=30)
        await _run_coros_in_chunks([asyncio.sleep(0) for _ in range(3)], callback=count)
        return count.size, count.value

    assert asyncio.run(main()) == (30, 3)


def test_twins_of_a_walk_that_a_backend_overrides(fs):
    class Walker(WritableDictFileSystem):
        async def _walk(self, path, maxdepth=None, **kwargs):
            async for item in super()._walk(path, maxdepth=maxdepth, **kwargs):
                yield item

    assert Walker(FILES).find("r", withdirs=True) == fs.find("r", withdirs=True)


# instances -------------------------------------------------------------------------
def test_the_loop_is_that_of_fsspec_unless_one_is_given():
    assert WritableDictFileSystem().loop is get_loop()
    assert WritableDictFileSystem(asynchronous=True).loop is None
    loop = asyncio.new_event_loop()
    try:
        assert WritableDictFileSystem(loop=loop).loop is loop
    finally:
        loop.close()


def test_a_pickled_instance_has_its_options_and_a_loop():
    class_of = AsyncFileSystem(batch_size=5, skip_instance_cache=True)
    again = pickle.loads(pickle.dumps(class_of))
    assert again.batch_size == 5 and again.loop is get_loop()


async def test_an_asynchronous_instance_is_awaited_where_it_is_used():
    fs = WritableDictFileSystem(FILES, asynchronous=True)
    assert await fs._cat(["r/one"]) == {"r/one": b"1"}
    assert [folder async for folder, _, _ in fs._walk("r")] == ["r", "r/sub"]
    await fs._pipe("t/a", b"a")
    await fs._copy("t/a", "t/b")
    await fs._rm("t/a")
    assert sorted(await fs._find("t")) == ["t/b"]
    with pytest.raises(RuntimeError):
        fs.cat("r/one")


async def test_a_walk_that_is_left_early_leaves_nothing_behind():
    fs = WritableDictFileSystem(FILES, asynchronous=True)
    before = asyncio.all_tasks()
    walk = fs._walk("r")
    await walk.__anext__()
    await walk.aclose()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "start, end, header",
    [
        (None, None, "bytes=0-"),
        (5, None, "bytes=5-"),
        (5, 10, "bytes=5-9"),
        (-3, None, "bytes=-3"),
        (-3, -1, "bytes=7-8"),
        (2, -1, "bytes=2-8"),
        (-30, -1, "bytes=0-8"),
    ],
)
async def test_a_slice_as_a_header(start, end, header):
    asked = []

    class Counting(WritableDictFileSystem):
        async def _info(self, path, **kwargs):
            asked.append(path)
            return await super()._info(path, **kwargs)

    fs = Counting({"x": b"0123456789"}, asynchronous=True)
    assert await fs._process_limits("x", start, end) == header
    assert len(asked) == (end is not None and min(start, end) < 0)


async def test_files_that_are_awaited_are_the_backends():
    fs = WritableDictFileSystem(FILES, asynchronous=True)
    with pytest.raises(NotImplementedError, match="WritableDictFileSystem"):
        await fs.open_async("r/one")
    for options in ({"mode": "r"}, {"compression": "gzip"}):
        with pytest.raises(ValueError, match="r/one"):
            await fs.open_async("r/one", **options)


@pytest.mark.parametrize("method", ["info", "ls", "cat_file", "rm_file"])
def test_what_a_backend_does_not_bring(method):
    with pytest.raises(NotImplementedError, match="AsyncFileSystem"):
        getattr(AsyncFileSystem(skip_instance_cache=True), method)("x")


# the bridge ------------------------------------------------------------------------
def test_sync_gives_what_the_coroutine_gives():
    async def give(*args, **kwargs):
        return args, kwargs

    assert sync(get_loop(), give, 1, a=2) == ((1,), {"a": 2})


def test_sync_within_a_time():
    ended = []

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(FSTimeoutError):
        sync(get_loop(), slow, timeout=0.01)
    assert ended == [True]


def test_sync_on_the_loops_own_thread_is_refused():
    async def inner():
        raise AssertionError("never begun")

    async def outer():
        sync(get_loop(), inner)

    with pytest.raises(NotImplementedError):
        sync(get_loop(), outer)


def test_errors_come_as_they_were_raised():
    error = KeyError("k")

    async def fail():
        raise error

    with pytest.raises(KeyError) as info:
        sync(get_loop(), fail)
    assert info.value is error


def test_the_wrapper_serves_any_class_with_a_loop():
    class Thing:
        loop = get_loop()

        async def _double(self, number):
            return number * 2

        double = sync_wrapper(_double)

    assert Thing().double(2) == 4


def test_many_threads_at_once(fs):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fs.cat(["r/one", "r/sub/two"]), range(50)))
    assert found == [{"r/one": b"1", "r/sub/two": b"22"}] * 50


def test_names_that_programs_import_from_here():
    names = """sync sync_wrapper sync_teardown get_loop get_lock reset_lock loop iothread running_async
    get_running_loop mirror_sync_methods async_methods private reset_after_fork _dump_running_tasks
    FSSpecCoroutineCancel async_gen_wrapper ResourceError FSTimeoutError trailing_sep AsyncFileSystem
    AbstractAsyncStreamedFile _run_coros_in_chunks _get_batch_size"""
    assert not [name for name in names.split() if not hasattr(fsspec.asyn, name)]


# files that are awaited ------------------------------------------------------------
class Streamed(AbstractAsyncStreamedFile):
    """A file over the dict of an awaitable dictfs."""

    async def _fetch_range(self, start, end):
        return self.fs.files[self.path][start:end]

    async def _initiate_upload(self):
        self.parts = []

    async def _upload_chunk(self, final=False):
        self.parts.append(self.buffer.getvalue())
        if final:
            self.fs.files[self.path] = b"".join(self.parts)


async def test_reading_in_order():
    fs = WritableDictFileSystem({"x": b"0123456789"}, asynchronous=True)
    async with Streamed(fs, "x", size=10) as f:
        assert await f.read(4) == b"0123"
        assert f.tell() == 4
        f.seek(2)
        assert await f.read(0) == b""
        assert await f.read() == b"23456789"
        assert await f.read() == await f.read(5) == b""
    with pytest.raises(ValueError):
        await f.read(1)


async def test_reading_what_has_no_size_to_its_end():
    fs = WritableDictFileSystem({"x": b"0123456789"}, asynchronous=True)
    f = Streamed(fs, "x", size=10)
    f.size = None
    assert await f.read(3) == b"012"
    assert await f.read() == b"3456789"
    await f.close()


async def test_writing_in_parts():
    fs = WritableDictFileSystem(asynchronous=True)
    async with Streamed(fs, "x", mode="wb", block_size=4) as f:
        assert await f.write(b"01") == 2
        await f.flush()  # less than a part
        assert await f.write(b"23456") == 5
        assert f.parts == [b"0123456"]
        await f.write(b"78")
        assert "x" not in fs.files
    assert fs.files["x"] == b"012345678"
    await f.close()
    with pytest.raises(ValueError):
        await f.write(b"more")


async def test_an_upload_that_cannot_begin_closes_the_file():
    class Refused(Streamed):
        async def _initiate_upload(self):
            raise PermissionError("no")

    f = Refused(WritableDictFileSystem(asynchronous=True), "x", mode="wb", block_size=1)
    with pytest.raises(PermissionError):
        await f.write(b"0")
    assert f.closed


async def test_a_file_that_is_dropped_sends_nothing():
    fs = WritableDictFileSystem(asynchronous=True)
    f = Streamed(fs, "x", mode="wb")
    await f.write(b"0")
    del f
    gc.collect()
    assert fs.files == {}


CROSSING = """
    import asyncio
    from fsspec._checks.forked import by_fork
    from fsspec.exceptions import ForkError
    from fsspec.tests.wdictfs import WritableDictFileSystem
    from fsspec.tests.test_asyn import Streamed

    fs = WritableDictFileSystem({"x": b"0123456789"}, asynchronous=True)
    fs.session = object()  # as the first request makes one: it is not as it was made
    read = Streamed(fs, "x", size=10)
    written = Streamed(fs, "y", mode="wb", block_size=2)
    assert asyncio.run(read.read(3)) == b"012"
    asyncio.run(written.write(b"ab"))
    asyncio.run(written.write(b"c"))

    def child():
        for work in (lambda: written.write(b"d"), written.flush):
            try:
                asyncio.run(work())
            except ForkError:
                continue
            return "what is being written can be written to"
        asyncio.run(written.close())
        try:
            asyncio.run(read.read(3))
        except (ForkError, KeyError) as error:
            return type(error).__name__

    report = by_fork(child)
    asyncio.run(written.write(b"d"))
    asyncio.run(written.close())
    assert fs.files["y"] == b"abcd", fs.files
    assert asyncio.run(read.read()) == b"3456789"
    assert (report.code, report.stderr) == (0, ""), report
    print(report.result)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.parametrize("reset, output", [("1", "done"), ("", "ForkError")])
def test_files_that_are_awaited_across_a_fork(reset, output):
    assert run(CROSSING, FSSPEC_FORK_RESET=reset) == f"{output}\n"


def test_a_bulk_removal_alone_removes_files_as_well():
    asked = []

    class Bulk(AsyncFileSystem):
        cachable = False

        async def _rm(self, path, recursive=False, batch_size=None, **kwargs):
            asked.append((path, batch_size, kwargs))

    Bulk().rm_file("a/b", tag=1)
    assert asked == [("a/b", 1, {"tag": 1})]


@pytest.mark.parametrize(
    ("act", "missing"),
    [
        (lambda fs: fs.info("a"), "_info"),
        (lambda fs: fs.exists("a"), "_info"),
        (lambda fs: fs.ls("a"), "_ls"),
        (lambda fs: fs.rm_file("a"), "_rm_file"),
        (lambda fs: fs.cp_file("a", "b"), "_cp_file"),
        (lambda fs: fs.cat_file("a"), "_cat_file"),
        (lambda fs: fs.pipe_file("a", b""), "_pipe_file"),
        (lambda fs: AbstractFileSystem().ls("a"), "ls"),
        (lambda fs: AbstractFileSystem().rm_file("a"), "_rm"),
        (lambda fs: AbstractFileSystem().cp_file("a", "b"), "cp_file"),
    ],
)
def test_a_missing_attribute_of_a_backend_is_named_as_its_author_writes_it(act, missing):
    with pytest.raises(NotImplementedError, match=f"FileSystem .* has no {missing} of its own"):
        act(AsyncFileSystem())


def test_a_blocking_method_travels_to_other_processes_by_its_own_name():
    fs = AsyncFileSystem()
    assert (fs.info.__name__, type(fs).info.__qualname__) == ("info", "AsyncFileSystem.info")
    for method in (fs.info, fs.walk, type(fs).info):
        assert pickle.loads(pickle.dumps(method)) == method
    assert inspect.signature(fs.info) == inspect.signature(fs._info)


def test_blocking_methods_of_another_ancestor_are_kept(tmp_path):
    from fsspec.implementations.local import LocalFileSystem

    class Both(AsyncFileSystem, LocalFileSystem):
        cachable = False

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return b"awaited"

    class Lower(Both):
        async def _info(self, path, **kwargs):
            return {"name": path, "size": 7, "type": "other"}

    for kind in (Both, Lower):
        fs = kind()
        (tmp_path / "a").write_bytes(b"a")
        fs.cp_file(str(tmp_path / "a"), str(tmp_path / "b"))
        assert sorted(fs.ls(str(tmp_path), detail=False)) == [f"{tmp_path}/a", f"{tmp_path}/b"]
        assert fs.info(str(tmp_path / "a"))["type"] == "file"
        assert fs.cat_file(str(tmp_path / "a")) == b"a"
        (tmp_path / "b").unlink()


def _together(count, make):
    """What ``make`` gives in threads that call it at the same time, and how long the slowest took."""
    ready = threading.Barrier(count)
    made = [None] * count

    def work(number):
        ready.wait()
        made[number] = make(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def test_different_instances_of_a_class_are_made_side_by_side():
    inside = threading.Barrier(4)

    class Slow(AsyncFileSystem):
        def __init__(self, number, **kwargs):
            inside.wait(timeout=30)  # until all four are in here: broken, and an error, otherwise
            super().__init__(**kwargs)

    made = _together(4, Slow)
    assert len({id(fs) for fs in made}) == 4


def test_equal_instances_are_made_once_whatever_the_threads():
    begun = []

    class Counting(AsyncFileSystem):
        def __init__(self, number, **kwargs):
            begun.append(number)
            if len(begun) == 1:
                raise OSError("the first one fails")
            super().__init__(**kwargs)

    def make(number):
        try:
            return Counting(1)
        except OSError:
            return None

    made = _together(6, make)
    assert made.count(None) == 1 and len({id(fs) for fs in made}) == 2 and len(begun) == 2
    assert not Counting._fsspec_being_constructed


def test_an_asynchronous_instance_belongs_to_the_thread_that_made_it():
    class Toy(AsyncFileSystem):
        pass

    made = _together(3, lambda number: (Toy(asynchronous=True), Toy(asynchronous=True), Toy()))
    assert all(one is same for one, same, _ in made)
    assert len({id(fs) for fs, _, _ in made}) == 3
    assert len({id(fs) for _, _, fs in made}) == 1


def test_running_tasks_are_reported_as_a_list():
    ended = []

    def work():
        try:
            sync(get_loop(), asyncio.sleep, 100)
        except FSSpecCoroutineCancel as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not (reported := _dump_running_tasks(printout=False, cancel=False, with_task=True)):
        pass
    assert (
        isinstance(reported[0]["task"], asyncio.Task) and reported[0]["stack"] and reported[0]["linelo"] > 0
    )
    while thread.is_alive():
        assert all(entry["task"] is None for entry in _dump_running_tasks(printout=False))
        thread.join(timeout=0.1)
    assert len(ended) == 1


# limits of time -------------------------------------------------------------------
@pytest.fixture
def own_loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.run_until_complete(asyncio.sleep(0))  # what was cancelled ends
    loop.close()


async def _forever():
    await asyncio.Event().wait()


def test_a_timeout_holds_where_the_loop_is_stopped():
    loop = asyncio.new_event_loop()
    with pytest.raises(FSTimeoutError, match="_forever did not end within 0.05 s"):
        sync(loop, _forever, timeout=0.05)
    loop.run_until_complete(asyncio.sleep(0))  # nothing is left to be warned of
    loop.close()


def test_a_timeout_holds_where_a_callback_blocks_the_loop(own_loop):
    enough = threading.Event()
    own_loop.call_soon_threadsafe(enough.wait, 20)
    with pytest.raises(FSTimeoutError):
        sync(own_loop, _forever, timeout=0.05)
    enough.set()
    assert sync(own_loop, asyncio.sleep, 0, 3) == 3


def test_a_timeout_holds_where_a_coroutine_does_not_let_itself_be_cancelled(own_loop):
    enough = threading.Event()

    async def stubborn():
        while not enough.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    with pytest.raises(FSTimeoutError):
        sync(own_loop, stubborn, timeout=0.05)
    enough.set()


@pytest.mark.parametrize("name", ["close", "aclose", "__aexit__"])
def test_what_closes_goes_on_after_its_timeout(own_loop, name):
    """s3fs and gcsfs give a tenth of a second, of which nothing is left on a busy machine."""
    go_on, closed = threading.Event(), threading.Event()

    async def close(self, *args):
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        closed.set()

    close.__name__ = name
    client = type("Client", (), {name: close})()
    with pytest.raises(FSTimeoutError):
        sync(own_loop, getattr(client, name), timeout=0.01)
    assert not closed.is_set()
    go_on.set()
    assert closed.wait(30)


def test_a_coroutine_is_cancelled_by_its_timeout_and_can_clean_up(own_loop):
    ended = []

    async def cleans():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    with pytest.raises(FSTimeoutError):
        sync(own_loop, cleans, timeout=0.05)
    assert ended == [True]


def test_a_task_that_is_cancelled_before_its_first_step_releases_the_caller(own_loop):
    def factory(loop, coro, **kwargs):
        task = asyncio.Task(coro, loop=loop, **kwargs)
        task.cancel()
        return task

    own_loop.set_task_factory(factory)
    with pytest.raises(asyncio.CancelledError):
        sync(own_loop, _forever)
    own_loop.set_task_factory(None)


def test_a_task_that_cannot_be_made_is_the_callers_error(own_loop):
    def factory(loop, coro, **kwargs):
        coro.close()
        raise KeyError("no task")

    own_loop.set_task_factory(factory)
    with pytest.raises(KeyError, match="no task"):
        sync(own_loop, asyncio.sleep, 0)
    own_loop.set_task_factory(None)


def test_what_a_function_does_before_its_coroutine_is_the_callers():
    """It may make blocking calls, which the loop's thread cannot."""
    seen = []

    async def echo(value):
        return value

    def prepared(value):
        seen.append(threading.get_ident())
        return echo(sync(get_loop(), echo, value))

    assert sync(get_loop(), prepared, 7) == 7
    assert seen == [threading.get_ident()]
    with pytest.raises(FSTimeoutError):
        sync(get_loop(), lambda: asyncio.sleep(60), timeout=0.05)


def test_a_blocking_call_of_an_asynchronous_instance_says_what_to_do():
    fs = WritableDictFileSystem({"x": b"0123456789"}, asynchronous=True)

    async def main():
        with pytest.raises(
            RuntimeError, match=r"asynchronous=True.* In the program's loop await _cat_file\(...\), or"
        ):
            fs.cat_file("x")
        assert await fs._cat_file("x") == b"0123456789"

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_errors_of_credentials_and_regions_say_what_to_give():
    errors = pytest.importorskip("botocore.exceptions")

    async def fail(error):
        raise error

    for error, words in [
        (errors.NoCredentialsError(), "anon=True"),
        (errors.EndpointConnectionError(endpoint_url="https://b.s3.nowhere.amazonaws.com"), "region_name"),
        (errors.EndpointConnectionError(endpoint_url="http://127.0.0.1:5999/b"), "nothing answers at that"),
        (errors.SSLError(endpoint_url="https://h/", error="[SSL: WRONG_VERSION_NUMBER]"), "http://"),
        (errors.InvalidRegionError(region_name="eu west 1"), "region_name"),
        (errors.ProfileNotFound(profile="nope"), "AWS_CONFIG_FILE"),
        (errors.HTTPClientError(error="Event loop is closed"), "another event loop"),
        (ValueError("Invalid endpoint: localhost:9000"), "begins with a scheme"),
    ]:
        for _ in range(2):
            with pytest.raises(type(error)) as caught:
                sync(get_loop(), fail, error)
        assert len(caught.value.__notes__) == 1 and words in caught.value.__notes__[0]

    async def several():
        error = errors.NoCredentialsError()
        return await _run_coros_in_chunks([fail(error)], return_exceptions=True)

    (found,) = sync(get_loop(), several)  # of one in a batch, as behind a cache
    assert "anon=True" in found.__notes__[0]
    with pytest.raises(ValueError) as caught:
        sync(get_loop(), fail, ValueError("x"))
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize(
    "name, words",
    [
        ("region_name", 'give client_kwargs={"region_name": ...}'),
        ("region", 'give client_kwargs={"region_name": ...}'),
        ("verify", 'give client_kwargs={"verify": ...}'),
        ("aws_access_key_id", "give key="),
        ("aws_secret_access_key", "give secret="),
        ("aws_session_token", "give token="),
        ("profile_name", "give profile="),
        ("config", "give config_kwargs="),
        ("signature_version", 'give config_kwargs={"signature_version": ...}'),
        ("max_attempts", 'give config_kwargs={"retries": {"max_attempts": ...}}'),
        ("use_sl", "is 'use_ssl' meant?"),
    ],
)
def test_an_option_by_its_name_of_botocore_says_how_s3fs_has_it(name, words):
    pytest.importorskip("s3fs")
    fs = fsspec.filesystem("s3", skip_instance_cache=True, **{name: "x"})
    with pytest.raises(TypeError) as caught:  # before anything is connected
        fs.ls("bucket")
    assert caught.value.__notes__ == [f"fsspec: no option of S3FileSystem is called {name!r}; {words}"] or (
        name == "config" and words in caught.value.__notes__[0]
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize("closed", [False, True])
def test_what_is_of_another_loop_says_how_instances_are_made(closed):
    theirs = asyncio.new_event_loop()
    if closed:
        theirs.close()

    class Bound(WritableDictFileSystem):
        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return theirs.call_soon(print) if closed else await theirs.create_future()

    def awaited(paths):
        asyncio.run(fs._cat(paths))

    fs = Bound({"x": b"", "y": b""})
    for cat, given in [(fs.cat_file, "x"), (fs.cat, "x"), (awaited, "x"), (awaited, ["x", "y"])]:
        with pytest.raises(RuntimeError) as caught:
            cat(given)
        (note,) = caught.value.__notes__
        assert "another event loop" in note and "asynchronous=True" in note
    theirs.close()


def test_the_text_of_an_error_that_was_raised_with_its_path_is_not_asked_for():
    """Of a member of an archive it tells what is there, which costs a listing."""

    class Costly(FileNotFoundError):
        def __str__(self):
            raise AssertionError("nobody reads it")

    async def _info(path):
        raise Costly(path)

    with pytest.raises(Costly) as caught:
        sync(get_loop(), _info, "/a")
    assert caught.value.args == ("/a",)


def test_what_is_received_at_a_time_fits_into_the_heap():
    sizes = []

    class Taking(asyncio.Protocol):
        def data_received(self, data):
            sizes.append(len(data))

        def connection_lost(self, error):
            self.lost.set()

    async def take():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        for end in (near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**19)
        protocol = Taking()
        protocol.lost = asyncio.Event()
        with far:
            far.setblocking(False)
            sent = loop.create_task(loop.sock_sendall(far, bytes(2**21)))
            await asyncio.sleep(0.05)  # the buffer fills
            transport, _ = await loop.create_connection(lambda: protocol, sock=near)
            await sent
        await protocol.lost.wait()
        transport.close()

    sync(get_loop(), take, timeout=30)
    assert sum(sizes) == 2**21 and max(sizes) <= 2**17


def test_an_awaitable_backend_that_says_it_blocks():
    """Its blocking methods are twins: where it brings none of its own they end, and are told as such."""

    class Odd(AsyncDictFileSystem):
        async_impl = False

    class Removing(Odd):
        async def _rm_file(self, path, **kwargs):
            del self.files[path]

    fs = Odd({"a": b"1"})
    for refused in (lambda: fs.rm("a"), lambda: fs.rm_file("a"), lambda: fs.mv("a", "b")):
        with pytest.raises(NotImplementedError):
            refused()
    assert fs.find("") == ["a"] and fs.du("") == 1
    fs = Removing({"a": b"1", "b": b"2"})
    fs.rm("a")
    fs.rm_file("b")
    assert fs.files == {}


class AwaitedOpen(AsyncFileSystem):
    """A backend whose `_open` is a coroutine function."""

    cachable = False

    async def _info(self, path, **kwargs):
        return {"name": path, "size": 3, "type": "file"}

    async def _open(self, path, mode="rb", **kwargs):
        await asyncio.sleep(0)
        if path == "none":
            raise FileNotFoundError(path)
        if "r" in mode:
            return io.BytesIO(b"abc")
        return self.__dict__.setdefault("files", {}).setdefault(path, NotClosed())


class NotClosed(io.BytesIO):
    def close(self):
        self.flush()


def test_an_open_that_is_awaited(tmp_path):
    fs = AwaitedOpen()
    assert fs.open("q").read() == b"abc" and fs.open("q", "r").read() == "abc"
    assert fs.head("q", 2) == b"ab"
    with fs.open("w", "wb") as f:
        f.write(b"123")
    assert fs.files["w"].getvalue() == b"123"
    with pytest.raises(FileNotFoundError):
        fs.open("none")
    with pytest.raises(FileNotFoundError):
        fs.open("none", compression="gzip")
    with fsspec.filesystem("blockcache", fs=fs, cache_storage=str(tmp_path)).open("x", "wb") as f:
        f.write(b"45")
    assert fs.files["x"].getvalue() == b"45"

    async def inside():
        with pytest.raises(RuntimeError):
            AwaitedOpen(asynchronous=True).open("q")

    asyncio.run(inside())


def test_an_open_that_nobody_can_await():
    class Blocking(AbstractFileSystem):
        async def _open(self, path, mode="rb", **kwargs):
            return io.BytesIO()

    with pytest.raises(TypeError, match="AsyncFileSystem"):
        Blocking(skip_instance_cache=True).open("q")


class _OddText(OSError):
    def __str__(self):
        raise RuntimeError("no text")


class _Column:
    """Compares as arrays do, element by element."""

    def __eq__(self, other):
        return self

    __hash__ = None

    def __bool__(self):
        raise ValueError("the truth value is ambiguous")


@pytest.mark.parametrize(
    "error, argument",
    [(FileNotFoundError("x"), _Column()), (_OddText("x"), "path"), (_OddText("x"), _Column())],
)
def test_an_error_is_raised_whatever_a_note_on_it_asks(error, argument):
    async def cat_file(argument):
        raise error

    with pytest.raises(OSError) as caught:
        sync(get_loop(), cat_file, argument)
    assert caught.value is error
