"""Blocking filesystems as awaitable ones."""

import asyncio
import os
import pickle
import sys
import threading

import pytest

import fsspec
from fsspec.callbacks import Callback
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper, async_wrapper
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.programs import run


@pytest.fixture
def files(tmp_path):
    """A folder of the blocking filesystem."""
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/two").write_bytes(b"22")
    return str(tmp_path)


class Meeting(LocalFileSystem):
    """Reads of which two have to be under way at once."""

    protocol = "meeting"
    cachable = False

    def __init__(self):
        super().__init__()
        self.barrier = threading.Barrier(2, timeout=10)
        self.threads = set()

    def cat_file(self, path, *args, **kwargs):
        self.threads.add(threading.get_ident())
        self.barrier.wait()
        return super().cat_file(path, *args, **kwargs)


class Counting(LocalFileSystem):
    """How many operations are under way, and how many were at most."""

    protocol = "counting"
    cachable = False
    now = most = 0

    def cat_file(self, path, *args, **kwargs):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return super().cat_file(path, *args, **kwargs)
        finally:
            self.now -= 1


async def test_operations_are_awaited(files):
    """Those on one path, and bulk ones."""
    fs = AsyncFileSystemWrapper(LocalFileSystem())
    assert fs.asynchronous  # made inside a loop
    one, two = f"{files}/one", f"{files}/sub/two"
    assert await fs._cat_file(one) == b"1"
    assert await fs._cat([one, two]) == {one: b"1", two: b"22"}
    assert await fs._find(files) == [one, two]
    assert [step[1:] async for step in fs._walk(files)] == [(["sub"], ["one"]), ([], ["two"])]
    await fs._pipe({f"{files}/{i}": b"%d" % i for i in range(20)})
    await fs._rm(f"{files}/sub", recursive=True)
    assert len(await fs._ls(files, detail=False)) == 21
    with pytest.raises(FileNotFoundError, match="nope"):
        await fs._info(f"{files}/nope")
    with pytest.raises(FileNotFoundError, match="nope"):
        await fs._cat([one, f"{files}/nope"])


async def test_operations_run_at_once_and_not_on_the_loop(files):
    """Two that wait for each other end."""
    blocking = Meeting()
    fs = AsyncFileSystemWrapper(blocking)
    assert len(await fs._cat([f"{files}/one", f"{files}/sub/two"])) == 2
    assert threading.get_ident() not in blocking.threads


@pytest.mark.parametrize("given", ["semaphore", "number"])
async def test_operations_at_once_can_be_bounded(files, given):
    """By a semaphore of the caller's, or a number."""
    blocking = Counting()
    bound = {"semaphore": asyncio.Semaphore(1)} if given == "semaphore" else {"max_concurrent_tasks": 1}
    fs = AsyncFileSystemWrapper(blocking, **bound)
    await fs._cat([f"{files}/one", f"{files}/sub/two"] * 10)
    assert blocking.most == 1


class Waiting(LocalFileSystem):
    """Reads of one file wait to be told."""

    protocol = "waiting"
    cachable = False

    def __init__(self):
        super().__init__()
        self.reported = threading.Event()

    def cat_file(self, path, *args, **kwargs):
        if path.endswith("/one"):
            assert self.reported.wait(30)
        return super().cat_file(path, *args, **kwargs)


async def test_failure_of_a_batch_waits_for_nobody(files):
    """It is raised while another read is under way, or stands in the place of the bytes."""
    blocking = Waiting()
    fs = AsyncFileSystemWrapper(blocking)
    try:
        with pytest.raises(FileNotFoundError, match="nope"):
            await fs._cat([f"{files}/one", f"{files}/nope"])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(fs._cat([f"{files}/one", f"{files}/sub/two"]), 0.01)
    finally:
        blocking.reported.set()
    found = await fs._cat([f"{files}/one", f"{files}/nope"], on_error="return")
    assert found[f"{files}/one"] == b"1" and isinstance(found[f"{files}/nope"], FileNotFoundError)


async def test_batches_are_counted_and_bounded(files):
    """By a callback, whose error ends them, and by their size."""
    blocking = Counting()
    fs = AsyncFileSystemWrapper(blocking)
    paths = [f"{files}/{n}" for n in range(20)]
    callback = fsspec.callbacks.Callback()
    await fs._pipe(dict.fromkeys(paths, b"1"), callback=callback)
    assert (callback.size, callback.value) == (20, 20)
    assert await fs._cat_ranges(paths, 0, 1, batch_size=1) == [b"1"] * 20 and blocking.most == 1
    with pytest.raises(ValueError, match="batch size"):
        await fs._cat(paths, batch_size=-2)

    class Failing(fsspec.callbacks.Callback):
        def relative_update(self, inc=1):
            raise KeyError("reported")

    with pytest.raises(KeyError, match="reported"):
        await fs._cat(paths, callback=Failing())


def test_outside_of_a_loop_it_blocks_as_any_other(files):
    """As any awaitable filesystem outside of a loop."""
    fs = fsspec.filesystem("asyncwrapper", target_protocol="file", asynchronous=False)
    assert fs.cat(f"{files}/one") == b"1" and not fs.asynchronous
    with fs.open(f"{files}/sub/two", "r") as f:
        assert f.read() == "22"
    assert fs.fsid == "async_local" and fs.protocol == ("file", "local")
    assert fs.unstrip_protocol(f"{files}/one") == f"file://{files}/one"
    assert pickle.loads(pickle.dumps(fs)).cat(f"{files}/one") == b"1"


def test_asynchronous_one_is_not_for_blocking_use(files):
    """Its loop is the caller's."""
    fs = AsyncFileSystemWrapper(LocalFileSystem(), asynchronous=True)
    with pytest.raises(RuntimeError):
        fs.cat(f"{files}/one")


def test_in_a_chain_the_path_is_that_of_the_next_link(m):
    """The path is that of the next link."""
    m.pipe_file("/a/f.txt", b"text")
    fs, path = fsspec.url_to_fs("asyncwrapper::memory://a/f.txt", asynchronous=False)
    assert (path, fs.sync_fs is m, fs.cat(path)) == ("/a/f.txt", True, b"text")


def test_class_of_wrappers(files):
    """Made of a class, and called with its arguments."""
    cls = AsyncFileSystemWrapper.wrap_class(LocalFileSystem)
    fs = cls(auto_mkdir=True)
    assert cls.__name__ == "AsyncLocalFileSystemWrapper"
    fs.pipe_file(f"{files}/new/file", b"1")
    assert fs.cat(f"{files}/new/file") == b"1"


async def test_a_wrapped_function_runs_with_its_arguments_result_and_errors():
    """With its arguments, its result and its errors."""
    assert await async_wrapper(lambda a, b: (a, b))(1, b=2) == (1, 2)

    def failing():
        """Why not."""
        raise KeyError("x")

    wrapped = async_wrapper(failing)
    assert wrapped.__doc__ == "Why not."
    with pytest.raises(KeyError):
        await wrapped()


@pytest.mark.parametrize("opted", ["1", "0"])
def test_an_inherited_wrapper_works_where_its_filesystem_does(files, opted):
    """It works where what it wraps does, which else says so; the parent goes on."""
    run(
        f"""
        import fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        from fsspec.implementations.local import LocalFileSystem

        class Connected(LocalFileSystem):
            _fork_sensitive = True

        connected = fsspec.filesystem("asyncwrapper", fs=Connected(), asynchronous=False)
        fs = fsspec.filesystem("asyncwrapper", fs=fsspec.filesystem("file"), asynchronous=False)
        path = {files + "/one"!r}
        assert fs.cat(path) == connected.cat(path) == b"1"
        def use():
            assert fs.cat(path) == fs.open(path).read() == b"1"
            try:
                assert connected.cat(path) == b"1"
            except ForkError as error:
                assert {opted!r} == "0" and "Connected" in str(error)
            else:
                assert {opted!r} == "1"
            connected.reset_loop()
            assert connected.cat(path) == b"1"
        for body in (use, lambda: None):
            report = by_fork(body)
            assert report.problem() == "", report.problem()
            assert fs.cat([path]) == {{path: b"1"}}
        """,
        FSSPEC_FORK_RESET=opted,
    )


@pytest.mark.parametrize("opted", ["1", "0"])
def test_what_stands_on_one_can_be_awaited_in_a_child(files, opted):
    """It is not made anew as that of the loop that it is first used in."""
    run(
        f"""
        import asyncio, fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
        wrapper = AsyncFileSystemWrapper(fsspec.filesystem("file"))
        fs = fsspec.filesystem("dir", path={files!r}, fs=wrapper)
        options = dict(wrapper.storage_options)
        assert fs.cat("one") == b"1"
        def use():
            assert asyncio.run(fs._cat_file("one")) == fs.cat("one") == b"1"
            assert wrapper.storage_options == options and not wrapper.asynchronous
        report = by_fork(use)
        assert report.problem() == "", report.problem()
        use()
        """,
        FSSPEC_FORK_RESET=opted,
    )


def test_to_dict_of_a_wrapper_has_the_wrapped_protocol():
    fs = AsyncFileSystemWrapper(fsspec.filesystem("memory"))
    assert fs.to_dict()["protocol"] == "memory" and type(fs).from_json(fs.to_json()) == fs


def test_cat_of_one_path_raises_the_error_of_the_wrapped_filesystem(m):
    m.pipe("/a", b"1")
    fs = AsyncFileSystemWrapper(m)
    with pytest.raises(FileNotFoundError):
        fs.cat("/none", on_error="return")
    assert isinstance(fs.cat(["/a", "/none"], on_error="return")["/none"], FileNotFoundError)


def test_a_progress_bar_has_ended_when_a_batch_has(m, capsys):
    pytest.importorskip("tqdm")
    m.pipe({"/a": b"0", "/b": b"1"})
    fs = AsyncFileSystemWrapper(m)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            fs.cat(["/a", "/b"], callback="tqdm")
            assert "100%" in capsys.readouterr().err
    finally:
        sys.setswitchinterval(interval)


def test_which_methods_are_wrapped_is_for_a_subclass_to_add_to(files):
    class More(AsyncFileSystemWrapper):
        def _wrap_all_sync_methods(self):
            assert self._strip_protocol("file:///a") == "/a" and self.semaphore is None
            super()._wrap_all_sync_methods()
            self._info = async_wrapper(lambda path: {"name": path, "own": True}, obj=self)

    fs = More(LocalFileSystem(), asynchronous=True)
    assert asyncio.run(fs._info("x")) == {"name": "x", "own": True}
    assert asyncio.run(fs._cat_file(files + "/one")) == b"1"


def test_what_was_made_inside_a_loop_serves_threads_without_one(m):
    """A worker of dask unpickles on its loop, and blocks in a thread."""
    m.pipe("/a", b"1")

    async def make():
        made = AsyncFileSystemWrapper(m), pickle.loads(pickle.dumps(AsyncFileSystemWrapper(m)))
        for fs in made:
            assert fs.asynchronous and await fs._cat("/a") == b"1"
            with pytest.raises(RuntimeError, match="cannot block"):
                fs.cat("/a")
        return made

    for fs in asyncio.run(make()):
        assert fs.cat("/a") == b"1"
    with pytest.raises(RuntimeError, match="cannot block"):
        AsyncFileSystemWrapper(m, asynchronous=True).cat("/a")


@pytest.mark.parametrize("awaited", [True, False])
def test_what_follows_a_failed_transfer_is_not_begun(awaited, files, m):
    """On a busy machine a second thread makes the first transfer, which the failure may then cancel."""
    names = [f"{files}/{name}" for name in ("one", "none", "sub/two")]
    fs = AsyncFileSystemWrapper(m, asynchronous=awaited)
    m.pipe_file("/there", b"1")
    for way, targets in (("put", ["/t/a", "/t/b", "/t/c"]), ("get", [f"{files}/new/{i}" for i in "abc"])):
        sources = names if way == "put" else ["/there", "/none", "/there"]
        with pytest.raises(FileNotFoundError):
            asyncio.run(getattr(fs, f"_{way}")(sources, targets)) if awaited else getattr(fs, way)(
                sources, targets
            )
    assert m.find("/t") in ([], ["/t/a"]) and not os.path.exists(f"{files}/new/c")


def test_a_callback_counts_transfers_as_they_begin(files, m):
    told = []

    class Told(Callback):
        def relative_update(self, inc=1):
            told.append(inc)

        def branched(self, *args, **kwargs):
            told.append("file")
            return super().branched(*args, **kwargs)

    AsyncFileSystemWrapper(m).put([f"{files}/one"], ["/a"], callback=Told())
    assert told == [1, "file"]
