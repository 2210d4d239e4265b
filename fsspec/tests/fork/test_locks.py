"""Forks while a lock is held, children that end without waiting, warnings."""

import json
import sys

import pytest

from fsspec.tests.fork.scripts import run

MODES = ["opted", "neither"]

HOLDING = {
    "fsspec's lock": "asyn.get_lock()",
    "the instance cache's lock": "type(fs)._instantiation_lock",
    "the instance cache's lock of the base": "fsspec.asyn.AsyncFileSystem._instantiation_lock",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lock", list(HOLDING))
def test_a_lock_held_by_another_thread_stops_no_child(lock, mode, places):
    run(
        f"""
    import logging
    import fsspec._fork.instances
    fs = fsspec.filesystem("http")
    read(fs)
    holding, enough = threading.Event(), threading.Event()

    def hold():
        with {HOLDING[lock]}:
            holding.set()
            enough.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
"""
        + """
    def body():
        asyn.get_loop()
        mine = fsspec.filesystem("http", block_size=2**20 + 7)
        read(mine)
        if OPTED:
            read(fs)
        else:
            refuses(lambda: read(fs))
            fs.reset_loop()
            read(fs)
        logging.getLogger("fsspec").debug("as before")
        forked(lambda: read(fsspec.filesystem("http", skip_instance_cache=True)))

    forked(body)
    enough.set()
    thread.join()
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )


def test_a_child_forked_as_another_thread_reads_from_an_open_file_has_the_right_bytes(places):
    """Of what that thread was keeping nobody knows how far it had come."""
    run(
        """
    f = fsspec.filesystem("http").open(url("data1.bin"), block_size=1000)
    expect(f.read(100), DATA["data1.bin"][:100], "the file")
    holding, enough = threading.Event(), threading.Event()

    def hold():
        with f.cache._read_lock:
            f.cache._pieces.append(b"a piece that has come, and is not yet counted")
            holding.set()
            enough.wait(20)
            f.cache._pieces.pop()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()

    def body():
        expect(f.read(2000), DATA["data1.bin"][100:2100], "the file")
        forked(lambda: expect(f.read(2000), DATA["data1.bin"][2100:4100], "the file"))

    forked(body)
    enough.set()
    thread.join()
    expect(f.read(), DATA["data1.bin"][100:], "the file")
    """,
        places,
        "opted",
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_instance_in_the_making_stops_no_child(mode, places):
    run(
        """
    from fsspec.implementations.http import HTTPFileSystem
    fs = fsspec.filesystem("http")
    read(fs)
    making, enough = threading.Event(), threading.Event()

    class Slow(HTTPFileSystem):
        protocol = "slowhttp"
        parent = os.getpid()

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            if os.getpid() == self.parent:
                making.set()
                enough.wait(20)

    made = []
    thread = threading.Thread(target=lambda: made.append(Slow()))
    thread.start()
    making.wait()

    def body():
        read(fsspec.filesystem("http", block_size=2**20 + 7))
        read(Slow())
        if OPTED:
            read(fs)

    forked(body)
    enough.set()
    thread.join()
    answers(lambda: read(made[0]))
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_the_loop_in_the_making_stops_no_child(mode, places):
    """The fork comes while the first thread that asks for the loop is about to start it."""
    run(
        """
    from fsspec._loop import io_thread
    starting, enough = threading.Event(), threading.Event()
    parent, start = os.getpid(), io_thread.IOThread._start

    def slowly(self):
        if os.getpid() == parent and not starting.is_set():
            starting.set()
            enough.wait(20)
        return start(self)

    io_thread.IOThread._start = slowly
    thread = threading.Thread(target=asyn.get_loop)
    thread.start()
    starting.wait()
    forked(lambda: read(fsspec.filesystem("http")))
    enough.set()
    thread.join()
    answers(lambda: read(fsspec.filesystem("http")))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_busy_parent_with_many_threads(mode, places):
    run(
        """
    fs = fsspec.filesystem("http")
    read(fs)
    enough, counts, problems = threading.Event(), [0] * 6, []

    def work(number):
        try:
            while not enough.is_set():
                read(fs, f"data{number % 3}.bin")
                counts[number] += 1
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(6)]
    for thread in threads:
        thread.start()
    for number in range(30):
        forked(lambda: read(fs) if OPTED else refuses(lambda: read(fs)))
    enough.set()
    for thread in threads:
        thread.join(20)
    assert not problems and not any(t.is_alive() for t in threads), problems
    assert min(counts) > 0
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_childs_end_takes_no_time(mode, places):
    """With inherited S3 instances, several of them: finalizers of theirs wait for nothing."""
    if "s3" not in places:
        pytest.skip("no server for s3")
    out = run(
        """
    from fsspec.tests.servers.s3 import options
    instances = [
        fsspec.filesystem("s3", **options(places["s3"], default_block_size=2**23 + i)) for i in range(4)
    ]
    for s3 in instances:
        s3.cat_file("bucket/data0.bin")

    def drop():
        instances.clear()
        globals().pop("s3")
        gc.collect()

    def waited(body):
        "The least of three: a machine that is busy with other things delays some."
        reports = []
        for _ in range(3):
            report = by_fork(body)
            assert not report.problem(), report.problem()
            reports.append(report.seconds)
        return min(reports)

    took = [waited(lambda: None), waited(drop)]
    answers(lambda: [s3.cat_file("bucket/data0.bin") for s3 in instances])
    print(json.dumps([took, max(1, os.getloadavg()[0] / os.cpu_count())]))
    """,
        places,
        mode,
    )
    took, load_factor = json.loads(out)
    assert max(took) < 1.0 * load_factor, took


def test_a_process_that_opted_in_forks_with_one_thread(places):
    """The loops are at rest as it forks, those that are waiting for an answer too.

    The threads of some stay, where a fork with threads is not warned of; they wait.
    """
    run(
        """
    from fsspec._loop import io_thread
    io_thread.REST_BOUND = 20.0  # what a busy machine may need is not what is tried
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15)
    f.read(100_000)
    for _ in range(10):
        forked(lambda: read(fs))
        read(fs)
    assert tasks_at_fork == [1] * 10, tasks_at_fork
    import asyncio
    waiting = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.5, "slept"), asyn.get_loop())
    forked(lambda: read(fs))
    assert tasks_at_fork[-1] == 1 and waiting.result(20) == "slept"
    """,
        places,
        "opted",
    )


FINALIZED = """
    from fsspec import fork
    log = os.path.join(os.environ["TMPDIR"], f"finalized-{os.getpid()}")

    def note(what):
        with open(log, "a") as f:
            f.write(what)

    class Owner:
        def __init__(self):
            fork.own(self)
            fork.finalize(self, note, "finalize ")

        @fork.owner_only
        def __del__(self):
            note("del ")
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["drop", "exit", "grandchild"])
def test_finalizers_run_in_the_process_that_made_the_object(end, mode, places):
    out = run(
        FINALIZED
        + f"""
    end = {end!r}
"""
        + """
    owner = Owner()

    def drop():
        globals().pop("owner")
        gc.collect()

    forked({"drop": drop, "exit": lambda: None, "grandchild": lambda: forked(drop)}[end])
    assert not os.path.exists(log)
    drop()
    print(text(log))
    os.unlink(log)
    """,
        places,
        mode,
    )
    assert sorted(out.split()) == ["del", "finalize"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["drop", "exit", "collect"])
def test_no_end_of_the_parents_tasks_runs_in_a_child(end, mode, places):
    """What a task of the parent's does in its ``finally`` is not done by a child."""
    run(
        """
    import asyncio
    log = os.path.join(os.environ["TMPDIR"], f"ended-{os.getpid()}")

    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            with open(log, "a") as f:
                f.write(f"{os.getpid()} ")

    task = asyncio.run_coroutine_threadsafe(waits(), asyn.get_loop())
    awaited = fsspec.filesystem("http", asynchronous=True)
    own = asyncio.new_event_loop()
    threading.Thread(target=own.run_forever, daemon=True).start()

    async def reads():
        try:
            await awaited._cat_file(url("slow.bin"))
            await asyncio.sleep(60)
        finally:
            with open(log, "a") as f:
                f.write(f"{os.getpid()} ")

    other = asyncio.run_coroutine_threadsafe(reads(), own)
    time.sleep(0.3)
"""
        + f"""
    end = {end!r}
"""
        + """
    def drop():
        for name in ("task", "other", "own", "awaited"):
            globals().pop(name)
        asyn.loop[0] = asyn.iothread[0] = None
        gc.collect()

    def collect():
        drop()
        for _ in range(3):
            gc.collect()
        sys.modules.pop("asyncio")

    forked({"drop": drop, "exit": lambda: None, "collect": collect}[end])
    assert not os.path.exists(log), text(log)
    task.cancel(), other.cancel()
    deadline = time.monotonic() + 10
    while not os.path.exists(log) or len(text(log).split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert set(text(log).split()) == {str(os.getpid())}
    os.unlink(log)
    os._exit(0)
    """,
        places,
        mode,
    )


def test_no_warning_of_threads_because_of_fsspec(places):
    """Python 3.12 and later warn of forks with several threads: opted in, ours is none of them.

    The bound on what a fork may wait is not what is tried: a busy machine passes it.
    """
    if sys.version_info < (3, 12):
        pytest.skip("this Python does not warn")
    run(
        """
    import warnings
    from fsspec._loop import io_thread
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15)
    f.read(100_000)
    if "s3" in places:
        from fsspec.tests.servers.s3 import options
        s3 = fsspec.filesystem("s3", **options(places["s3"]))
        s3.cat_file("bucket/data0.bin")
    io_thread.REST_BOUND = 20.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(50):
            pid = os.fork()
            if not pid:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            if number % 5 == 0:
                read(fs)
                f.seek(number * 1000)
                f.read(10)
    assert not caught, [str(w.message) for w in caught]
    forked(lambda: read(fs))  # and with -W error nothing breaks
    answers(lambda: read(fs))
    """,
        places,
        "opted",
    )
