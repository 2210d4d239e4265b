"""What a fork does to loops: connections in the making, on loops of the program's own."""

import os

import pytest

from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="forks are seen through /proc"
)

SOCKETS = """
    import asyncio, faulthandler, os, signal, socket, stat, sys, threading, time

    faulthandler.register(signal.SIGALRM, chain=True, all_threads=True)
    signal.alarm(40)
    import fsspec

    def sockets():
        "Inodes of the sockets that this process holds."
        found = set()
        for name in os.listdir("/proc/self/fd"):
            try:
                status = os.fstat(int(name))
            except OSError:
                continue  # the listing's own
            if stat.S_ISSOCK(status.st_mode):
                found.add(status.st_ino)
        return found

    def child(body):
        "The code that a child ended with."
        pid = os.fork()
        if not pid:
            signal.alarm(30)
            code = 1
            try:
                body()
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def alone():
        "None of the parent's sockets but those of the program itself."
        left = sockets() & inherited - {os.fstat(one.fileno()).st_ino for one in own}
        assert not left, left

    own = []
"""

CROWD = """
    import aiohttp, aiohttp.abc

    def crowded(host):
        "A server whose queue is full: who connects has to wait."
        listener = socket.socket()
        listener.bind((host, 0 if not own else own[0].getsockname()[1]))
        listener.listen(0)
        own.append(listener)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            own.append(one)
        time.sleep(0.05)

    class Hosts(aiohttp.abc.AbstractResolver):
        "A name of two addresses; both are tried, the second after a moment."

        async def resolve(self, host, port=0, family=socket.AF_INET):
            return [
                {"hostname": host, "host": f"127.0.0.{n}", "port": port, "family": socket.AF_INET,
                 "proto": 0, "flags": socket.AI_NUMERICHOST}
                for n in (1, 2)
            ]

        async def close(self):
            pass

    async def client(**kwargs):
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Hosts()))

    crowded("127.0.0.1")
    crowded("127.0.0.2")
    port = own[0].getsockname()[1]

    def request(host):
        fs = fsspec.filesystem("http", asynchronous=True, get_client=client, skip_instance_cache=True)

        async def get():
            try:
                await fs._cat_file(f"http://{host}:{port}/a")
            except aiohttp.ClientError:
                pass
            finally:
                await fs._session.close()

        return fs, get

    def under_way(number):
        "Until the request has as many sockets as it will have."
        while len(sockets()) - len(before) < number:
            time.sleep(0.01)
"""


@pytest.mark.parametrize("reset", ["0", "1"])
@pytest.mark.parametrize("host, number", [("127.0.0.1", 1), ("two.test", 2)])
def test_a_child_holds_no_socket_that_is_connecting_on_a_loop_of_another_thread(host, number, reset):
    pytest.importorskip("aiohttp")
    run(
        SOCKETS
        + CROWD
        + f"""
    host, number = {host!r}, {number}
"""
        + """
    fs, get = request(host)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    before = sockets()
    task = asyncio.run_coroutine_threadsafe(get(), loop)
    under_way(number)
    inherited = sockets()
    assert child(alone) == 0
    assert child(lambda: child(alone) and sys.exit(1)) == 0
    for one in own:
        one.close()
    task.result(20)  # refused, now that nobody listens
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """,
        FSSPEC_FORK_RESET=reset,
    )


@pytest.mark.parametrize("reset", ["0", "1"])
@pytest.mark.parametrize("host, number", [("127.0.0.1", 1), ("two.test", 2)])
def test_a_child_holds_no_socket_that_is_connecting_on_the_loop_that_forks(host, number, reset):
    pytest.importorskip("aiohttp")
    run(
        SOCKETS
        + CROWD
        + f"""
    host, number = {host!r}, {number}
"""
        + """
    async def main():
        global before, inherited
        fs, get = request(host)
        before = sockets()
        task = asyncio.ensure_future(get())
        while len(sockets()) - len(before) < number:
            await asyncio.sleep(0.01)
        inherited = sockets()
        assert child(alone) == 0
        assert child(lambda: child(alone) and sys.exit(1)) == 0
        for one in own:
            one.close()
        await asyncio.wait_for(task, 20)

    asyncio.run(main())
    """,
        FSSPEC_FORK_RESET=reset,
    )


def test_a_child_holds_no_socket_that_another_thread_is_just_connecting():
    """Not between two callbacks, but within one: in the system call."""
    pytest.importorskip("aiohttp", "3.12")  # with that came sockets of the program's own making
    run(
        SOCKETS
        + """
    import aiohttp
    calling, enough = threading.Event(), threading.Event()

    class Slow(socket.socket):
        "Takes long to connect; the kernel's call would let go of the interpreter as well."

        def connect(self, address):
            calling.set()
            enough.wait(30)
            return super().connect(address)

    async def client(**kwargs):
        make = lambda info: Slow(*info[:3])
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=make))

    fs = fsspec.filesystem("http", asynchronous=True, get_client=client)

    async def get():
        try:
            await fs._cat_file("http://127.0.0.1:9/")
        except aiohttp.ClientError:
            pass
        finally:
            await fs._session.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    task = asyncio.run_coroutine_threadsafe(get(), loop)
    calling.wait(20)
    inherited = sockets()
    assert child(alone) == 0
    enough.set()
    task.result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """,
        FSSPEC_FORK_RESET="0",
    )
