"""Asynchronous instances: loops of the program's, of zarr's, of other threads; uvloop."""

import pytest

from fsspec.tests.fork.scripts import run

MODES = ["opted", "neither"]
AWAITED = """
    import asyncio

    async def awaited(fs, name="data0.bin", scheme="http"):
        expect(await fs._cat_file(url(name, scheme)), DATA[name], name)

    async def closed(fs):
        session = fs._session
        if session is not None:
            await session.close()

    def made(scheme="http"):
        return fsspec.filesystem(scheme, asynchronous=True, skip_instance_cache=True)

    async def refused(fs):
        try:
            await awaited(fs)
        except ForkError:
            return
        raise AssertionError("not refused")

    async def in_child(fs):
        if OPTED:
            await asyncio.gather(*(awaited(fs, name) for name in DATA))
            await closed(fs)
        else:
            await refused(fs)
            mine = made()
            await awaited(mine)
            await closed(mine)
"""
LOOPS = {
    "asyncio": "",
    "uvloop": """
    import uvloop, warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # policies go in Python 3.16
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    """,
}


@pytest.fixture(params=list(LOOPS))
def loops(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return AWAITED + LOOPS[request.param]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_of_asyncio_before_the_fork_and_another_in_the_child(loops, mode, places):
    run(
        loops
        + """
    fs = made()

    async def before():
        await awaited(fs)
        await closed(fs)

    asyncio.run(before())
    forked(lambda: asyncio.run(in_child(fs)))
    forked(lambda: [asyncio.run(in_child(fs)) for _ in range(2)] and None)
    asyncio.run(before())
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_inside_a_run_of_asyncio(mode, places):
    """The child ends inside the run, by os._exit as programs do; the parent's run goes on.

    Python itself lets the child's copy of the run await nothing more: to it no loop is
    running there.  A run within the run works.
    """
    run(
        AWAITED
        + """
    async def main():
        fs = made()
        await asyncio.gather(*(awaited(fs, name) for name in DATA))
        slow = asyncio.ensure_future(awaited(fs, "data1.bin"))
        await asyncio.sleep(0)
        for end in ("exit", "drop", "go on"):
            pid = os.fork()
            if not pid:
                if end == "drop":
                    del fs
                    gc.collect()
                elif end == "go on":
                    asyncio.run(in_child(fs))
                os._exit(0)
            while not os.waitpid(pid, os.WNOHANG)[0]:
                await asyncio.sleep(0.01)
            await asyncio.wait_for(awaited(fs), 10)
        await asyncio.wait_for(slow, 10)
        await asyncio.wait_for(awaited(fs), 10)
        await closed(fs)

    asyncio.run(main())
    """,
        places,
        mode,
    )


FORKS = """
    class Left(Exception):
        pass

    async def by_coroutine(loop, end):
        return by_callback(end)

    def by_callback(end, done=None):
        pid = os.fork()
        if not pid and end == "exit":
            sys.exit()
        return pid if done is None else done.set_result(pid)

    async def by_call_soon(loop, end):
        done = loop.create_future()
        loop.call_soon(by_callback, end, done)
        return await done

    async def by_signal(loop, end):
        done = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, by_callback, end, done)
        os.kill(os.getpid(), signal.SIGUSR1)
        return await done

    async def slept(loop, seconds):
        over = loop.create_future()  # asyncio.sleep asks for the running loop, which a child has not
        loop.call_later(seconds, over.set_result, None)
        await over

    async def main(fork, end, fs):
        fs = fs or made()
        await asyncio.gather(*(awaited(fs, name) for name in DATA))
        loop = asyncio.get_running_loop()
        here, there = os.pipe()
        arrived = []
        loop.add_reader(here, lambda: arrived.append(os.read(here, 10)))
        waiting = loop.create_task(slept(loop, 100))
        lookups = [loop.create_task(loop.getaddrinfo("localhost", 80)) for _ in range(8 * LOOKUPS)]
        await asyncio.sleep(0)
        pid = await fork(loop, end)
        if not pid:
            if end == "go on":
                await slept(loop, 0.01)
            if end == "raise":
                raise Left
            return
        assert os.waitpid(pid, 0)[1] == 0
        await asyncio.wait_for(awaited(fs), 10)
        await asyncio.gather(*lookups)
        await asyncio.wait_for(loop.run_in_executor(None, int), 10)  # a thread wakes the loop
        os.write(there, b"more")
        while not arrived:
            await asyncio.sleep(0.01)
        loop.remove_reader(here)
        os.close(here), os.close(there)
        waiting.cancel()
        await closed(fs)

    def run_main(fork, end, fs=None):
        try:
            asyncio.run(main(fork, end, fs))
        except Left:
            sys.exit()
        if os.getpid() != parent:
            sys.exit()

    parent = os.getpid()
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_child_of_a_running_loop_that_returns_into_it(loops, mode, places):
    """However it leaves the loop, it ends well, and the loop of the parent goes on as it was."""
    run(
        loops
        + FORKS
        + """
    LOOKUPS = 0
    for end in ("exit", "return", "raise", "go on"):
        run_main(by_coroutine, end)
    run_main(by_coroutine, "return", made())  # of which the loop is not known by then
    run_main(by_call_soon, "exit")
    run_main(by_signal, "return")
    """,
        places,
        mode,
    )


def test_a_child_of_a_coroutine_while_names_are_looked_up(loops, places):
    """The threads that look them up, which a child has not, are not waited for as its loop and it end."""
    run(
        loops
        + FORKS
        + """
    LOOKUPS = 1
    for end in ("exit", "return"):
        run_main(by_coroutine, end)
    """,
        places,
    )


def test_a_child_that_goes_on_leaves_the_answer_to_the_parent(loops, places):
    """Over a connection that a client of the program's has made; the child's loop would read what arrives."""
    run(
        loops
        + FORKS
        + """
    import aiohttp, socket

    begun, (ask, rest) = threading.Event(), os.pipe()
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        peer, _ = server.accept()
        with server, peer:
            peer.recv(10_000)
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\n\\r\\nhalf")
            begun.set()
            os.read(ask, 1)
            peer.sendall(b"half")

    async def get_client(**options):
        return aiohttp.ClientSession()

    async def main():
        loop = asyncio.get_running_loop()
        fs = fsspec.filesystem("http", asynchronous=True, get_client=get_client)
        task = loop.create_task(fs._cat_file(f"http://127.0.0.1:{server.getsockname()[1]}/f"))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        pid = os.fork()
        if not pid:
            os.write(rest, b".")
            await slept(loop, 0.2)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert await asyncio.wait_for(task, 10) == b"halfhalf"
        await closed(fs)

    thread = threading.Thread(target=serve)
    thread.start()
    asyncio.run(main())
    thread.join()
    """,
        places,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_from_another_thread_while_asyncio_runs(loops, mode, places):
    """In the child the running loop's thread is gone; it starts a run of its own.

    The parent has its connections by then: a fork while uvloop looks up names leaves a child
    that can look up none, without fsspec as well.
    """
    run(
        loops
        + """
    async def main():
        fs = made()
        await asyncio.gather(*(awaited(fs, name) for name in DATA))
        loop = asyncio.get_running_loop()

        def fork():
            pid = os.fork()
            if not pid:
                faulthandler.dump_traceback_later(15, exit=True)
                asyncio.run(in_child(fs))
                os._exit(0)
            return os.waitpid(pid, 0)[1]

        for _ in range(3):
            busy = [asyncio.ensure_future(awaited(fs, name)) for name in DATA]
            assert await loop.run_in_executor(None, fork) == 0
            await asyncio.wait_for(asyncio.gather(*busy), 10)
            await asyncio.wait_for(awaited(fs), 10)
        await closed(fs)

    asyncio.run(main())
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_instance_made_in_the_loop_of_a_thread(loops, mode, places):
    run(
        loops
        + """
    async def make():
        fs = made()
        await awaited(fs)
        return fs

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    fs = asyncio.run_coroutine_threadsafe(make(), loop).result(10)
    for _ in range(2):
        pid = os.fork()
        if not pid:
            asyncio.run(in_child(fs))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        asyncio.run_coroutine_threadsafe(awaited(fs), loop).result(10)
    asyncio.run_coroutine_threadsafe(closed(fs), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_awaiting_in_the_child_what_the_parent_used_synchronously(mode, places):
    run(
        AWAITED
        + """
    fs = fsspec.filesystem("http")
    read(fs)

    def body():
        # on a loop of the child's own, without any blocking call before
        if OPTED:
            loop = asyn.get_loop()
            asyncio.run_coroutine_threadsafe(awaited(fs), loop).result(10)
            read(fs)
        else:
            refuses(lambda: asyncio.run(awaited(fs)))

    def by_run():
        async def main():
            await in_child(fs)
        asyncio.run(main())

    forked(body)
    forked(by_run)
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_blocking_use_under_the_policy_of_uvloop(mode, places):
    pytest.importorskip("uvloop")
    run(
        AWAITED
        + LOOPS["uvloop"]
        + """
    fs = fsspec.filesystem("http")
    read(fs)
    forked(lambda: read(fs) if OPTED else refuses(lambda: read(fs)))
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_zarr_with_its_own_loop(mode, places):
    zarr = pytest.importorskip("zarr")
    if "s3" not in places or int(zarr.__version__.split(".")[0]) < 3:
        pytest.skip("zarr 3 and the server for s3 are needed")
    run(
        """
    import numpy, zarr
    from fsspec.tests.servers.s3 import options
    store = zarr.storage.FsspecStore.from_url(
        f"s3://bucket/array-{os.getpid()}.zarr",
        storage_options={**options(places["s3"]), "asynchronous": True},
    )
    numbers = numpy.arange(40_000).reshape(200, 200)
    array = zarr.create_array(store=store, shape=numbers.shape, chunks=(50, 50), dtype=numbers.dtype)
    array[:] = numbers

    def whole():
        assert (array[:] == numbers).all()

    def child():
        if OPTED:
            whole()
        else:
            refuses(lambda: array[:10, :10])  # one chunk: of several refusals zarr logs all but the first

    whole()
    for _ in range(2):
        forked(child)
        answers(whole)

    def again():
        if not OPTED:
            asyn.reset_after_fork()
        whole()
        forked(child)
        whole()

    forked(again)

    def drop():
        globals().pop("array"), globals().pop("store")
        gc.collect()

    forked(lambda: None)
    forked(drop)
    answers(whole)
    os._exit(0)  # zarr leaves its sessions open
    """,
        places,
        mode,
        options=("-W", "ignore"),
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_of_another_package_that_is_begun(mode, places):
    """It cannot be asked for again from where it stands; one that is not begun can."""
    if "s3" not in places:
        pytest.skip("no server for s3")
    run(
        AWAITED
        + """
    from fsspec.tests.servers.s3 import options
    DATA_ = DATA["data0.bin"]

    async def main():
        fs = fsspec.filesystem("s3", asynchronous=True, **options(places["s3"]))
        stream, later = [await fs.open_async("bucket/data0.bin", "rb") for _ in range(2)]
        expect(await stream.read(1000), DATA_[:1000], "the stream")

        async def child():
            try:
                await stream.read(1000)
            except ForkError as error:
                assert "data0.bin" in str(error) or not OPTED, error
            else:
                raise AssertionError("not refused")
            try:
                expect(await later.read(1000), DATA_[:1000], "the other")
            except ForkError:
                assert not OPTED

        pid = os.fork()
        if not pid:
            code = 1
            try:
                asyncio.run(child())
                code = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(code)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            await asyncio.sleep(0.01)
        assert ended[1] == 0
        expect(await stream.read(), DATA_[1000:], "the stream")
        await fs._s3.close()

    asyncio.run(main())
    os._exit(0)  # of the sessions of s3fs
    """,
        places,
        mode,
    )


def test_an_instance_that_had_not_connected_needs_no_opting_in(places):
    """As with upstream, which looks at the process of blocking instances only."""
    run(
        AWAITED
        + """
    fs, blocking = made(), fsspec.filesystem("http", skip_instance_cache=True)

    async def used(fs):
        await awaited(fs)
        await closed(fs)

    for _ in range(2):
        forked(lambda: asyncio.run(used(fs)))
        forked(lambda: refuses(lambda: read(blocking)))
    asyncio.run(used(fs))
    forked(lambda: asyncio.run(refused(fs)))
    """,
        places,
        "neither",
    )


TAKEN_OVER = """
    import asyncio, socket, stat

    def taken_over(closed):
        pipes = []
        while not set(closed) <= {fd for pipe in pipes for fd in pipe}:
            pipes.append(os.pipe())
            assert len(pipes) < 50, (closed, pipes)

        def body():
            for fd in closed:
                assert stat.S_ISFIFO(os.fstat(fd).st_mode), fd
            for _, end in pipes:
                os.write(end, b"from the child")

        forked(body)
        for end, _ in pipes:
            assert os.read(end, 20) == b"from the child"
"""


@pytest.mark.parametrize("mode", MODES)
def test_numbers_of_sockets_that_were_closed_behind_the_loop(mode, places):
    """As where an instance is awaited on a loop that is not its own: they are the program's by the fork."""
    run(
        TAKEN_OVER
        + """
    fs = fsspec.filesystem("http")
    read(fs)
    loop = asyn.get_loop()
    pairs = [socket.socketpair() for _ in range(4)]

    async def listen():
        for one, _ in pairs:
            loop.add_reader(one.fileno(), print)

    asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    numbers = [one.fileno() for one, _ in pairs]
    for pair in pairs:
        for one in pair:
            one.close()
    taken_over(numbers)
    forked(lambda: read(fs) if OPTED else refuses(lambda: read(fs)))
    answers(lambda: read(fs))
    """,
        places,
        mode,
    )
