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
    "the table of revivals": "fsspec._instances._table_lock",
    "logging's lock": "logging._lock",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lock", list(HOLDING))
def test_a_lock_held_by_another_thread_stops_no_child(lock, mode, places):
    run(
        f"""
    import logging
    import fsspec._instances
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
    from fsspec import _io_thread
    starting, enough = threading.Event(), threading.Event()
    parent, start = os.getpid(), _io_thread.IOThread._start

    def slowly(self):
        if os.getpid() == parent and not starting.is_set():
            starting.set()
            enough.wait(20)
        return start(self)

    _io_thread.IOThread._start = slowly
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
    took, crowding = json.loads(out)
    assert max(took) < 1.0 * crowding, took


def test_no_warning_of_threads_because_of_fsspec(places):
    """Python 3.12 and later warn of forks with several threads: opted in, ours is none of them."""
    if sys.version_info < (3, 12):
        pytest.skip("this Python does not warn")
    run(
        """
    import warnings
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15)
    f.read(100_000)
    if "s3" in places:
        from fsspec.tests.servers.s3 import options
        s3 = fsspec.filesystem("s3", **options(places["s3"]))
        s3.cat_file("bucket/data0.bin")
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
