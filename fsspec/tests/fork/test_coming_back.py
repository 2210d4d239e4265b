"""Children that come back into what the parent was in the middle of as it forked, by handlers of signals."""

import pytest

from fsspec.tests.fork.scripts import run

MODES = ["opted", "neither"]

# the signal is handled by the main thread, which waits in a call until the server is told to go on
INTERRUPTED = """
    import socket
    from fsspec.tests.servers.http import HTTPServer

    ME = os.getpid()
    child = 0

    def fork(*_):
        global child
        child = os.fork()

    signal.signal(signal.SIGUSR1, fork)

    def interrupt():
        while not waiting():
            time.sleep(0.001)
        time.sleep(0.02)  # from there into the wait, if it is not in it yet: right either way
        os.kill(ME, signal.SIGUSR1)

    def end():
        "The child came back, or was refused: either way it goes on with what it has."
        if OPTED:
            read(fsspec.filesystem("http"))
        else:
            read(fsspec.filesystem("http", skip_instance_cache=True))
        os._exit(0)

    def check():
        while not child:
            time.sleep(0.001)
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_call_that_a_handler_of_a_signal_forked_in_is_refused_at_once(mode, places):
    run(
        INTERRUPTED
        + """
    from fsspec._loop import bridge
    fs = fsspec.filesystem("http")
    read(fs)

    def waiting():
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None:
            if frame.f_code is bridge._Job.wait.__code__:
                return True
            frame = frame.f_back

    async def held():
        while not child:  # also in the child, where it never goes on
            await asyncio.sleep(0.001)
        return "over"

    import asyncio
    for timeout in (None, 30):
        child = 0
        helper = threading.Thread(target=interrupt)
        helper.start()
        try:
            result = asyn.sync(fs.loop, held, timeout=timeout)
        except ForkError as error:
            assert os.getpid() != ME and "held" in str(error) and f"process {ME}" in str(error), error
            end()
        assert os.getpid() == ME, "the child was given a result"
        assert result == "over"
        helper.join()
        check()
        answers(lambda: read(fs))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_block_that_is_fetched_in_the_background_is_fetched_by_the_child_itself(mode, places):
    run(
        INTERRUPTED
        + """
    from fsspec.caching import BackgroundBlockCache
    DATA_ = DATA["data0.bin"]
    fs = fsspec.filesystem("http")
    go_on = threading.Event()

    def fetch(start, end):
        if start == 10_000 and os.getpid() == ME:
            go_on.wait(20)
        return fs.cat_file(url("data0.bin"), start, end)

    def waiting():
        frame = sys._current_frames()[threading.main_thread().ident]
        while frame is not None:
            if frame.f_code.co_name == "result" and "caches_block" in frame.f_code.co_filename:
                return True
            frame = frame.f_back

    cache = BackgroundBlockCache(10_000, fetch, len(DATA_))
    assert cache._fetch(0, 100) == DATA_[:100]  # and begins with the block that follows
    helper = threading.Thread(target=lambda: [interrupt(), check(), go_on.set()])
    helper.start()
    try:
        found = cache._fetch(10_000, 12_000)
    except ForkError:
        assert os.getpid() != ME and not OPTED
        end()
    assert found == DATA_[10_000:12_000]
    if os.getpid() != ME:
        assert OPTED
        end()
    helper.join()
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("end", ["drop", "close", "go on"])
@pytest.mark.parametrize("mode", MODES)
def test_a_walk_that_the_parent_is_in_the_middle_of(mode, end, places):
    """A child that lets it go says nothing and runs none of its ends; it goes on where that is allowed."""
    run(
        """
    ME = os.getpid()
    class Ends(asyn.AsyncFileSystem):
        protocol = "ends"

        async def _walk(self, path, maxdepth=None, on_error="omit", **kwargs):
            try:
                for number in range(4):
                    yield f"{path}/{number}", [], []
            finally:
                ended.append(os.getpid())

    ended = []
    fs = Ends()
    walk = fs.walk("a")
    next(walk)

    def child():
        global walk
        if os.environ["END"] == "drop":
            del walk
            gc.collect()
        elif os.environ["END"] == "close":
            walk.close()
        elif OPTED:
            assert len(list(walk)) == 3 and ended == [os.getpid()]
            return
        else:
            refuses(lambda: list(walk))
        assert not ended

    forked(child)
    forked(lambda: None)  # ends with it
    answers(lambda: next(walk))
    assert len(list(walk)) == 2 and ended == [ME]
    """,
        places,
        mode,
        END=end,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_while_the_loop_is_given_a_thread(mode, places):
    """As a handler of a signal makes one that comes then, or what watches threads."""
    run(
        """
    fs = fsspec.filesystem("http")
    read(fs)
    start = threading.Thread.start
    forks = []

    def look():
        # left by os._exit: sys.exit within a thread ends that one alone
        problem = by_fork(lambda: read(fs) if OPTED else refuses(lambda: read(fs)), exits=False).problem()
        assert not problem, problem

    def watched(thread):
        if thread.name == "fsspecIO" and not forks:
            forks.append(thread)
            look()
            start(thread)
            look()
        else:
            start(thread)

    for _ in range(2):
        forks.clear()
        asyn.quiesce()
        threading.Thread.start = watched
        answers(lambda: read(fs))
        threading.Thread.start = start
        assert forks
    """,
        places,
        mode,
    )
