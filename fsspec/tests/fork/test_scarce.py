"""Forks of processes that have no more descriptors, or may have no more threads."""

import json
import sys

import pytest

from fsspec.tests.programs import FORKED, run

START = (
    FORKED
    + """
    import asyncio, faulthandler, json, os, resource, signal, sys, threading
    import fsspec
    from fsspec import asyn
    from fsspec.exceptions import ForkError
    from fsspec.tests.fork.subjects import DATA, expect

    faulthandler.register(signal.SIGALRM, chain=True, all_threads=True)
    signal.alarm(40)
    places = json.loads(os.environ["PLACES"])
    OPTED = os.environ["FSSPEC_FORK_RESET"] == "1"
    URL = places["http"] + "/data0.bin"

    def read(fs):
        expect(fs.cat_file(URL), DATA["data0.bin"], "data0.bin")

    def used(fs):
        try:
            read(fs)
        except ForkError:
            assert not OPTED
        else:
            assert OPTED
"""
)


@pytest.mark.parametrize("loops", ["", "loops"])
@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_no_descriptor_is_left_to_cover_the_parents_connections_with(mode, loops, places):
    pytest.importorskip("requests")
    run(
        START
        + """
    from fsspec._checks.forked import open_sockets, shared_connections
    from fsspec.implementations import http, http_sync

    fss = [http_sync.HTTPFileSystem(block_size=n) for n in range(2)]
    if os.environ["LOOPS"]:
        fss.append(http.HTTPFileSystem())
        mine = asyncio.new_event_loop()

        async def awaited():
            fs = http.HTTPFileSystem(asynchronous=True)
            expect(await fs._cat_file(URL), DATA["data0.bin"], "awaited")
            return fs

        kept = mine.run_until_complete(awaited())
    for fs in fss:
        read(fs)
    parents = open_sockets()
    assert parents

    def body():
        for fd in taken:
            os.close(fd)
        assert not shared_connections(parents), shared_connections(parents)
        for fs in fss:
            used(fs)

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
    for _ in range(2):
        taken = []
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        assert 0 == forked(body)
        for fd in taken:
            os.close(fd)
        for fs in fss:
            read(fs)
    if os.environ["LOOPS"]:
        for _ in range(2):  # its epoll is its own still
            expect(mine.run_until_complete(kept._cat_file(URL)), DATA["data0.bin"], "awaited")
        mine.run_until_complete(kept._session.close())
        mine.close()
    """,
        PLACES=json.dumps(places),
        FSSPEC_FORK_RESET="1" if mode == "opted" else "0",
        LOOPS=loops,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads need no memory to be set aside")
@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_no_thread_can_be_started_for_the_loop_again(mode, places):
    """Calls end, with what they return, and the loop has its thread as soon as that is possible."""
    run(
        START
        + """
    def scarce():
        "No memory for the stack of a further thread."
        with open("/proc/self/statm") as f:
            size = int(f.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, most))
        try:
            threading.Thread(target=int).start()
        except RuntimeError:
            return
        raise AssertionError("a thread was started")

    fs = fsspec.filesystem("http")
    read(fs)
    assert 0 == forked(lambda: used(fs))  # all is imported
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    threading.stack_size(2**29)
    for fork in (False, True):
        threads = [threading.Thread(target=lambda: [go.wait(), read(fs)]) for _ in range(2)]
        go = threading.Event()
        threading.stack_size(0)
        for thread in threads:
            thread.start()
        threading.stack_size(2**29)
        asyn.quiesce()
        scarce()
        if fork:
            assert 0 == forked(lambda: None)
        for _ in range(3):
            read(fs)
        go.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        threading.stack_size(0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        read(fs)
        assert asyn.iothread[0].is_alive()
        assert 0 == forked(lambda: used(fs))
    """,
        PLACES=json.dumps(places),
        FSSPEC_FORK_RESET="1" if mode == "opted" else "0",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads need no memory to be set aside")
def test_no_thread_can_be_started_for_a_first_loop():
    run(
        """
    import gc, resource, threading
    from fsspec import asyn

    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    threading.stack_size(2**29)
    with open("/proc/self/statm") as f:
        size = int(f.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, most))
    for _ in range(2):
        try:
            asyn.get_loop()
        except RuntimeError as error:
            assert "thread" in str(error)
        else:
            raise AssertionError("there is a loop")
        gc.collect()  # says nothing of a loop that was not closed
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    assert asyn.get_loop().is_running()
    """
    )
