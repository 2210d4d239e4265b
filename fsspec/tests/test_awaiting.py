"""The awaiting drivers, and many awaitable things at once."""

import asyncio
import gc
import sys
import threading
import warnings
from contextlib import suppress

import pytest

from fsspec import asyn, config
from fsspec._loop.batching import get_batch_size, run_concurrently, run_coros_in_chunks
from fsspec._loop.driving import drive_awaiting as drive
from fsspec._loop.driving import stream_awaiting as stream
from fsspec._plans import batch, call, emit, local
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback


class Desk:
    """Something with awaitable operations, some of which wait."""

    batch_size = None

    def __init__(self):
        self.under_way = 0
        self.most_at_once = 0
        self.cancelled = []
        self.begun = []

    async def _double(self, number, waits=3):
        self.begun.append(number)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            for _ in range(waits):
                await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        return number * 2

    async def _fail(self, error, waits=3):
        for _ in range(waits):
            await asyncio.sleep(0)
        raise error

    async def _forever(self, name):
        self.begun.append(name)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # what cleans up takes its time
            self.cancelled.append(name)
            raise

    async def _stream(self, number):
        for item in range(number):
            yield item


def one(step):
    """The plan of a single step."""
    return (yield step)


# plans -----------------------------------------------------------------------------
async def test_a_call_is_answered_by_the_awaitable_method():
    assert await drive(Desk(), one(call("double", 4, waits=0))) == 8


async def test_a_call_of_a_stream_is_answered_by_its_items():
    assert await drive(Desk(), one(call("stream", 3))) == [0, 1, 2]


async def test_what_an_operation_raises_is_thrown_into_the_plan():
    def plan():
        try:
            yield call("fail", KeyError("x"))
        except KeyError:
            return (yield call("double", 1))

    assert await drive(Desk(), plan()) == 2


async def test_a_local_step_runs_in_another_thread():
    def plan():
        return (yield local(threading.get_ident))

    assert await drive(Desk(), plan()) != threading.get_ident()


async def test_a_cancelled_plan_may_clean_up_with_further_steps(tmp_path):
    def plan():
        try:
            yield call("forever", "x")
        except BaseException:
            yield local((tmp_path / "cleaned").touch)
            raise

    task = asyncio.create_task(drive(Desk(), plan()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "cleaned").exists()


async def test_a_plan_that_is_cancelled_is_closed():
    closed = []

    def plan():
        try:
            yield call("forever", "a")
        finally:
            closed.append(True)

    desk = Desk()
    task = asyncio.ensure_future(drive(desk, plan()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (closed, desk.cancelled) == ([True], ["a"])


async def test_a_batch_is_answered_in_order():
    calls = [call("double", n, waits=10 - n) for n in range(10)]
    assert await drive(Desk(), one(batch(calls))) == [2 * n for n in range(10)]


async def test_a_batch_keeps_as_many_under_way_as_its_size_says():
    desk = Desk()
    await drive(desk, one(batch((call("double", n) for n in range(50)), batch_size=7)))
    assert desk.most_at_once == 7


async def test_the_size_of_a_batch_is_that_of_the_filesystem_where_none_is_given():
    desk = Desk()
    desk.batch_size = 3
    await drive(desk, one(batch(call("double", n) for n in range(20))))
    assert desk.most_at_once == 3


async def test_no_more_calls_are_drawn_than_may_be_under_way():
    desk = Desk()
    ahead = []

    def calls():
        for number in range(20):
            ahead.append(number - len(desk.begun))
            yield call("double", number)

    await drive(desk, one(batch(calls(), batch_size=4)))
    assert max(ahead) <= 4 - 2
    assert desk.begun == [*range(20)]


@pytest.mark.parametrize(("waits", "size", "most"), [(1, 100, 50), (1, 7, 7), (1, 1, 1), (0, 100, 2)])
async def test_a_batch_makes_no_more_tasks_than_it_has_calls(waits, size, most):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **kwargs)

    class Idle(Desk):
        async def _double(self, number, waits=1):
            return await super()._double(number, waits) if waits else 2 * number

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        calls = [call("double", n, waits=waits) for n in range(50)]
        assert await drive(Idle(), one(batch(calls, batch_size=size))) == [2 * n for n in range(50)]
    finally:
        loop.set_task_factory(None)
    assert len(made) <= most


async def test_a_stream_emits_as_it_is_asked():
    desk = Desk()

    def plan():
        for number in range(3):
            yield emit((yield call("double", number)))

    items = stream(desk, plan())
    assert await items.__anext__() == 0
    assert desk.begun == [0]
    assert [item async for item in items] == [2, 4]


async def test_a_stream_that_is_left_closes_its_plan():
    closed = []

    def plan():
        try:
            yield emit(1)
            yield emit(2)
        finally:
            closed.append(True)

    items = stream(Desk(), plan())
    assert await items.__anext__() == 1
    await items.aclose()
    assert closed == [True]


async def test_an_error_in_a_stream_reaches_the_plan_and_the_reader():
    def plan():
        yield emit(1)
        yield call("fail", OSError("gone"))

    seen = []
    with pytest.raises(OSError, match="gone"):
        async for item in stream(Desk(), plan()):
            seen.append(item)
    assert seen == [1]


# together --------------------------------------------------------------------------
async def test_the_first_failure_cancels_the_rest_and_awaits_it():
    desk = Desk()
    calls = [call("forever", "a"), call("forever", "b"), call("fail", OSError("x")), call("forever", "c")]
    with pytest.raises(OSError, match="x"):
        await drive(desk, one(batch(calls)))
    assert sorted(desk.cancelled) == ["a", "b", "c"]


async def test_nothing_is_begun_after_a_failure():
    desk = Desk()
    calls = [call("fail", OSError("x"), waits=0), *(call("double", n) for n in range(100))]
    with pytest.raises(OSError, match="x"):
        await drive(desk, one(batch(calls, batch_size=2)))
    assert len(desk.begun) <= 2


@pytest.mark.parametrize(
    "size, fails, begun",
    [(-1, 0, 6), (6, 0, 6), (2, 0, 2), (2, 2, 4), (4, 5, 6), (1, 1, 2)],
)
async def test_what_may_run_beside_a_failure_begins(size, fails, begun):
    """Which of them fails first does not tell what is done."""
    done, cancelled = [], []

    async def act(number):
        if number == fails:
            raise OSError("x")
        done.append(number)
        if number > fails:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

    with pytest.raises(OSError, match="x"):
        await run_concurrently(range(6), act, size)
    assert done == [number for number in range(begun) if number != fails]
    assert cancelled == [number for number in done if number > fails]


async def test_those_that_were_started_begin_before_a_failure_cancels_them():
    begun = []

    async def act(number):
        begun.append(number)
        if number == 1:
            raise OSError("x")
        await asyncio.Event().wait()

    with pytest.raises(OSError, match="x"):
        await run_concurrently(range(9), act, 4)
    assert begun == [0, 1, 2, 3]


async def test_what_ignores_being_cancelled_does_not_go_on_with_the_next():
    begun = []

    async def stubborn(number):
        begun.append(number)
        if number == 1:
            await asyncio.sleep(0)
            raise OSError("x")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return number

    with pytest.raises(OSError, match="x"):
        await run_concurrently(range(10), stubborn, 2)
    assert begun == [0, 1]


async def test_errors_are_put_in_their_place():
    error = OSError("x")
    calls = [call("double", 1), call("fail", error), call("double", 2)]
    assert await drive(Desk(), one(batch(calls, return_exceptions=True))) == [2, error, 4]


async def test_a_method_called_wrongly_is_an_error_like_others():
    calls = [call("double"), call("double", 2)]
    wrong, right = await drive(Desk(), one(batch(calls, return_exceptions=True)))
    assert isinstance(wrong, TypeError) and right == 4


async def test_an_error_of_the_items_is_no_result():
    def items():
        yield 1
        raise KeyError("items")

    async def start(item):
        await asyncio.sleep(0)
        return item

    with pytest.raises(KeyError, match="items"):
        await run_concurrently(items(), start, 3, return_exceptions=True)


async def test_cancelling_the_whole_cancels_all_and_awaits_it():
    desk = Desk()
    calls = [call("forever", n) for n in range(5)]
    task = asyncio.ensure_future(drive(desk, one(batch(calls, return_exceptions=True))))
    while len(desk.begun) < 5:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(desk.cancelled) == [0, 1, 2, 3, 4]


async def test_an_interrupt_is_not_a_result():
    class Interrupt(BaseException):
        pass

    with pytest.raises(Interrupt):
        await drive(Desk(), one(batch([call("fail", Interrupt())], return_exceptions=True)))


async def test_each_end_is_reported_with_its_position():
    reported = []
    calls = [call("double", 5, waits=4), call("double", 6, waits=0)]
    await drive(Desk(), one(batch(calls, done=lambda *what: reported.append(what))))
    assert reported == [(1, 12), (0, 10)]


async def test_what_never_waits_needs_no_second_worker():
    tasks = set()

    async def start(item):
        tasks.add(asyncio.current_task())
        return item

    assert await run_concurrently(range(1000), start, 100) == list(range(1000))
    assert len(tasks) == 1


async def test_nothing_gives_nothing():
    assert await run_concurrently([], None, 5) == []


@pytest.mark.parametrize("size", [0, -2])
async def test_sizes_that_mean_nothing(size):
    with pytest.raises(ValueError, match=str(size)):
        await run_concurrently([], None, size)


async def test_no_task_is_left():
    desk = Desk()
    before = asyncio.all_tasks()
    await drive(desk, one(batch([call("double", n) for n in range(9)])))
    with pytest.raises(OSError):
        await drive(desk, one(batch([call("forever", 0), call("fail", OSError()), call("forever", 1)])))
    assert asyncio.all_tasks() == before


# coroutines that were made already -------------------------------------------------
async def wait_and_give(number):
    await asyncio.sleep(0)
    return number


async def test_coroutines_in_order():
    assert await run_coros_in_chunks([wait_and_give(n) for n in range(9)], batch_size=2) == list(range(9))


async def test_futures_are_awaited_as_well():
    tasks = [asyncio.ensure_future(wait_and_give(n)) for n in range(3)]
    assert await run_coros_in_chunks(tasks, batch_size=1) == [0, 1, 2]


@pytest.mark.parametrize("batch_size", [1, 2, 0, -7])
async def test_no_coroutine_is_left_without_being_awaited(batch_size):
    async def fail():
        raise KeyError("x")

    coros = [fail(), *(wait_and_give(n) for n in range(5))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((KeyError, ValueError)):
            await run_coros_in_chunks(coros, batch_size=batch_size)
        del coros
        gc.collect()


async def test_a_limit_of_time_for_each():
    async def slow():
        await asyncio.Event().wait()

    late, early = await run_coros_in_chunks([slow(), wait_and_give(1)], timeout=0.01, return_exceptions=True)
    assert isinstance(late, asyncio.TimeoutError) and early == 1


async def test_the_callback_gets_each_end_and_no_number():
    class Reporting(Callback):
        def __init__(self):
            super().__init__()
            self.reported = []

        def set_size(self, size):
            self.reported.append(("size", size))

        def relative_update(self, inc=1):
            self.reported.append(("done", inc))

    callback = Reporting()
    await run_coros_in_chunks([wait_and_give(n) for n in range(2)], callback=callback)
    assert callback.reported == [("done", 1), ("done", 1)]


# how many --------------------------------------------------------------------------
@pytest.mark.parametrize("nofiles", [False, True])
def test_the_number_under_way_can_be_configured(nofiles, monkeypatch):
    name = "nofiles_gather_batch_size" if nofiles else "gather_batch_size"
    monkeypatch.setitem(config.conf, name, 17)
    assert get_batch_size(nofiles=nofiles) == 17


def test_without_configuration_files_are_fewer(monkeypatch):
    resource = pytest.importorskip("resource")
    for name in ("nofiles_gather_batch_size", "gather_batch_size"):
        monkeypatch.delitem(config.conf, name, raising=False)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (800, 8000))
    assert get_batch_size() == 100
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, 8000))
    assert get_batch_size() == -1
    assert get_batch_size(nofiles=True) > 100


def test_defaults_may_be_set_where_upstream_has_them(monkeypatch):
    monkeypatch.delitem(config.conf, "nofiles_gather_batch_size", raising=False)
    monkeypatch.delitem(config.conf, "gather_batch_size", raising=False)
    assert (asyn._DEFAULT_BATCH_SIZE, asyn._NOFILES_DEFAULT_BATCH_SIZE) == (128, 1280)
    monkeypatch.setattr(asyn, "_NOFILES_DEFAULT_BATCH_SIZE", 4)
    monkeypatch.setattr(asyn, "_DEFAULT_BATCH_SIZE", 5)
    assert get_batch_size(nofiles=True) == 4
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert get_batch_size() == 5


class Empty(AsyncFileSystem):
    protocol = "empty"
    cachable = False

    async def _cat_file(self, path, **kwargs):
        raise FileNotFoundError(path)

    async def _info(self, path, **kwargs):
        raise FileNotFoundError(path)

    async def _ls(self, path, detail=True, **kwargs):
        raise FileNotFoundError(path)


@pytest.mark.parametrize(
    "call",
    [
        lambda fs: fs.cat_file("x"),
        lambda fs: fs.cat(["x", "y"]),
        lambda fs: fs.cat(["x", "y"], on_error="return"),
        lambda fs: fs.cat_ranges(["x", "y"], 0, 1, on_error="raise"),
        lambda fs: fs.find("x"),
        lambda fs: fs.glob("x*"),
        lambda fs: fs.info("x"),
        lambda fs: fs.open("x"),
    ],
)
def test_an_error_leaves_nothing_to_the_collector(call):
    """It runs on whichever thread, the loop's too, and ends what others hold: h5py's waits for a lock."""
    fs = Empty()

    def failing():
        with suppress(FileNotFoundError):
            call(fs)

    failing()
    gc.collect()
    gc.disable()
    try:
        failing()
        assert gc.collect() == 0
    finally:
        gc.enable()
