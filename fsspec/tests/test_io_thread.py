"""What a fork does to loops: connections in the making, on loops of the program's own."""

import os
import sys

import pytest

from fsspec.tests.programs import FORKED, run

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="forks are seen through /proc"
)

SOCKETS = (
    FORKED
    + """
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

    def alone():
        "None of the parent's sockets but those of the program itself."
        left = sockets() & inherited - {os.fstat(one.fileno()).st_ino for one in own}
        assert not left, left

    own = []
"""
)

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
    assert forked(alone) == 0
    assert forked(lambda: forked(alone) and sys.exit(1)) == 0
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
        assert forked(alone) == 0
        assert forked(lambda: forked(alone) and sys.exit(1)) == 0
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
    assert forked(alone) == 0
    enough.set()
    task.result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """,
        FSSPEC_FORK_RESET="0",
    )


LOOP = SOCKETS.replace(
    "    import fsspec\n",
    """
    tasks_at_fork = []  # threads, as the kernel counts them, after what fsspec does before a fork
    def kept_idle():
        return [io for io in io_thread._io_threads if io.is_held()]
    os.register_at_fork(
        before=lambda: tasks_at_fork.append(len(os.listdir("/proc/self/task")) - len(kept_idle()))
    )
    import fsspec
    from fsspec import asyn
    from fsspec._fork import hooks
    from fsspec._loop import forking, io_thread

    def works(loop, value=1):
        assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, value), loop).result(20) == value

    def own_loop_works():
        loop = asyn.get_loop()
        assert loop.is_running()
        works(loop)
""",
)


def test_the_loop_counts_as_running_while_a_fork_holds_it_up():
    """Finalizers that are told otherwise end their sessions without it, and say so."""
    run(
        LOOP
        + """
    loop = asyn.get_loop()
    assert loop.is_running()
    enough, seen = threading.Event(), set()

    def look():
        while not enough.is_set():
            seen.add(loop.is_running())

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        pid = os.fork()
        if not pid:
            os._exit(0)
        assert loop.is_running()
        os.waitpid(pid, 0)
    enough.set()
    for thread in threads:
        thread.join()
    assert seen == {True}
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_an_instance_that_ends_right_after_a_fork_closes_its_session():
    pytest.importorskip("aiohttp")
    run(
        LOOP
        + """
    from fsspec.tests.servers.http import HTTPServer

    start = io_thread.IOThread._run

    def late(self):
        time.sleep(0.05)  # a busy machine
        start(self)

    with HTTPServer() as server:
        server.files["/a"] = b"abc"
        asyn.get_loop()
        io_thread.IOThread._run = late
        for _ in range(3):
            fs = fsspec.filesystem("http", skip_instance_cache=True)
            assert fs.cat_file(server.url + "/a") == b"abc"
            session = fs._session
            pid = os.fork()
            if not pid:
                os._exit(0)
            del fs
            assert session.closed
            os.waitpid(pid, 0)
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="threads are counted: loops have to stop")
def test_an_idle_loop_is_kept_where_it_is_and_runs_nothing_while_a_fork_is_made():
    run(
        LOOP
        + """
    loop, thread = asyn.get_loop(), asyn.iothread[0]
    own_loop_works()
    ran, seen = [], []

    def during():
        idle = len(kept_idle())
        other = threading.Thread(target=loop.call_soon_threadsafe, args=(ran.append, 1))
        other.start()
        other.join()
        time.sleep(0.1)  # the loop wakes up, and has to wait
        seen.append((idle, list(ran)))

    hooks.at_fork(before=during)
    hooks._modules.insert(0, hooks._modules.pop())  # the last before a fork
    for n in range(5):
        while not loop.selector.idle:
            time.sleep(0.001)
        ran.clear()
        assert forked(own_loop_works) == 0
        assert seen.pop() == (1, [])
        own_loop_works()
        assert ran == [1] and asyn.iothread[0] is thread and thread.is_alive()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_hook_of_the_program_that_forks_within_a_fork_leaves_the_loops_at_rest():
    run(
        LOOP.replace(
            "import fsspec\n",
            """
    import concurrent.futures.thread, logging  # whose hooks do not stand a fork within theirs
    inner = []

    def forks():
        if not inner and "io_thread" in globals():
            inner.append("under way")
            inner[:] = [forked(lambda: None)]
            look()

    os.register_at_fork(before=forks, after_in_parent=forks)
    import fsspec
""",
            1,
        )
        + """
    own_loop_works()
    at_rest = []

    def look():
        at_rest.append(any(io.is_held() or io._ended for io in io_thread._io_threads))

    hooks.at_fork(before=look)
    hooks._modules.insert(0, hooks._modules.pop())  # the last before a fork
    for _ in range(3):
        inner.clear(), at_rest.clear()
        assert forked(own_loop_works) == 0 and inner == [0]
        assert at_rest == [True] * 3  # before this fork, before the one within it, and after that
        own_loop_works()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_loop_that_a_program_stops_during_a_fork_stays_stopped():
    run(
        LOOP
        + """
    loop, thread = asyn.get_loop(), asyn.iothread[0]

    busy = threading.Event()

    def stop():
        busy.set()
        while not forking._resting:  # until the fork waits for it
            time.sleep(0.001)
        loop.stop()

    loop.call_soon_threadsafe(stop)
    busy.wait(20)
    assert forked(lambda: asyn.reset_after_fork() and own_loop_works()) == 0
    thread.join(20)
    assert not loop.is_running() and asyn.iothread[0] is thread
    assert loop.run_until_complete(asyncio.sleep(0, 2)) == 2
    loop.close()
    assert forked(own_loop_works) == 0  # of what is closed there is nothing to rest
    asyn.reset_lock()
    own_loop_works()
    assert forked(own_loop_works) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_several_threads_fork_at_once_those_of_loops_among_them(reset):
    run(
        LOOP
        + """
    asyn.get_loop()
    fs = fsspec.filesystem("http", asynchronous=True) if sys.modules.get("aiohttp") else None
    other = asyncio.new_event_loop()
    forking.note_foreign(other)
    threading.Thread(target=other.run_forever, daemon=True).start()
    codes, together = [], threading.Barrier(6)

    def fork():
        together.wait(20)
        for _ in range(8):
            codes.append(forked(own_loop_works))
            codes.append(forked(lambda: codes.append(forked(own_loop_works)) or own_loop_works()))

    async def on_loop():
        fork()

    busy = [asyncio.run_coroutine_threadsafe(on_loop(), loop) for loop in (asyn.get_loop(), other)]
    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for task in [*busy, *threads]:
        task.result(60) if task in busy else task.join(60)
    assert codes == [0] * 96, codes
    own_loop_works()
    works(other)
    """,
        FSSPEC_FORK_RESET=reset,
    )


def test_nothing_is_collected_while_a_fork_is_made():
    """In the child it would reach what is the parent's and not yet covered."""
    run(
        LOOP
        + """
    import gc
    own_loop_works()
    at_rest, main = [], threading.get_ident()

    def note(phase, info):
        if threading.get_ident() == main and (forking._resting or forking._held):
            at_rest.append(phase)

    class Object:
        def _after_fork_in_child(self):
            at_rest.append("told") if gc.isenabled() else None
            [[] for _ in range(100)]

    objects = [Object() for _ in range(50)]
    for one in objects:
        hooks.register(one)
    gc.callbacks.append(note)
    gc.set_threshold(1)

    def look():
        assert gc.isenabled() and not at_rest, at_rest

    for _ in range(5):
        assert forked(look) == 0
        assert forked(lambda: forked(look) and sys.exit(1)) == 0
        look()
    gc.disable()
    assert forked(lambda: gc.isenabled() and sys.exit(1)) == 0
    assert not gc.isenabled()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_thread_of_ours_that_has_just_ended_is_gone_at_a_fork():
    run(
        LOOP
        + """
    own_loop_works()
    local = threading.local()

    class Lingers:
        "Ends with the thread's state, after Python has counted the thread out."

        def __del__(self):
            time.sleep(0.05)

    def brief():
        local.lingers = Lingers()
        done.set()

    for _ in range(10):
        done = threading.Event()
        hooks.start_thread(brief, "brief")
        done.wait(20)
        while threading.active_count() > 2:  # main and the loop's
            time.sleep(0.0001)
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
    assert tasks_at_fork == [1] * 10, tasks_at_fork
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_what_an_inherited_instance_held_outlives_what_a_child_puts_there(reset):
    """Where it is replaced, where the child made the instance its own, and at the child's end."""
    run(
        LOOP
        + """
    class Held:
        owner = os.getpid()

        def __del__(self):
            if os.getpid() != self.owner:
                os.write(2, b"ended in a child")

    class Files(asyn.AsyncFileSystem):
        protocol = "files"

    def holding():
        fs = Files(skip_instance_cache=True)
        fs._session = fs._again = Held()
        fs.other = Held()
        fs.other.fs = fs  # a cycle
        return fs

    one, two, three = holding(), holding(), holding()

    def replace():
        one._session = None
        one._again = None
        two._loop, two._pid = asyn.get_loop(), os.getpid()
        two._session = two._again = two.other = None
        if os.environ["FSSPEC_FORK_RESET"] == "1":
            assert not hasattr(three, "_session")  # made anew
        for name in ("one", "two", "three"):
            globals().pop(name)
        import gc
        gc.collect()

    for end in (os._exit, sys.exit):
        pid = os.fork()
        if not pid:
            replace()
            end(0)
        assert os.waitpid(pid, 0)[1] == 0
    """,
        FSSPEC_FORK_RESET=reset,
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_a_number_that_a_hook_of_the_programs_closed_and_took_is_left_alone(reset):
    """A daemon's hook closes all descriptors in the child; what it opens then has their numbers."""
    pytest.importorskip("aiohttp")
    run(
        SOCKETS.replace(
            "    import fsspec\n",
            """
    taken = {}

    def take():
        if not wanted:
            return
        for fd in range(3, 60):
            try:
                os.close(fd)
            except OSError:
                continue
            there = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            assert there == fd
            taken[fd] = os.fstat(fd).st_ino

    wanted, path = False, __import__("tempfile").mktemp()
    os.register_at_fork(after_in_child=take)
    import fsspec
""",
        )
        + """
    from fsspec import asyn
    from fsspec._fork import sockets as watched
    from fsspec.tests.servers.http import HTTPServer

    def mine():
        assert len(taken) > 3
        for fd, inode in taken.items():
            assert os.fstat(fd).st_ino == inode, fd

    with HTTPServer() as server:
        server.files["/a"] = b"abc"
        fs = fsspec.filesystem("http")
        assert fs.cat_file(server.url + "/a") == b"abc"
        other = fsspec.filesystem("http", asynchronous=True)
        own = asyncio.new_event_loop()
        threading.Thread(target=own.run_forever, daemon=True).start()
        wait = lambda coro: asyncio.run_coroutine_threadsafe(coro, own).result(20)
        assert wait(other._cat_file(server.url + "/a")) == b"abc"
        blocking = watched.connect(("127.0.0.1", int(server.url.rpartition(":")[2])), 5)
        wanted = True
        try:
            assert forked(mine) == 0
        finally:
            if os.path.exists(path):
                os.unlink(path)
        wanted = False
        assert fs.cat_file(server.url + "/a") == b"abc"
        assert wait(other._cat_file(server.url + "/a")) == b"abc"
        blocking.close()
        wait(other._session.close())
    """,
        FSSPEC_FORK_RESET=reset,
    )


def test_no_socket_of_our_own_clients_is_made_unseen():
    """The thread is stopped between a socket's making and its first use; no frame is looked at."""
    pytest.importorskip("aiohttp", "3.12")
    run(
        SOCKETS
        + """
    import aiohappyeyeballs.impl
    from fsspec._fork import connecting

    connecting._CLIENT = ("nobody",)  # frames tell nothing
    holding, enough = threading.Event(), threading.Event()
    bound = socket.socket.setblocking

    def stay(self, flag):
        if threading.current_thread() is thread:
            holding.set()
            enough.wait(20)
        bound(self, flag)

    fs = fsspec.filesystem("http", asynchronous=True)

    async def get():
        try:
            await fs._cat_file("http://127.0.0.1:9/")
        except OSError:
            pass
        finally:
            await fs._session.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    socket.socket.setblocking = stay
    task = asyncio.run_coroutine_threadsafe(get(), loop)
    assert holding.wait(20)
    inherited = sockets()
    assert forked(alone) == 0
    enough.set()
    task.result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_a_fork_waits_for_a_socket_that_is_just_made():
    run(
        SOCKETS
        + """
    from fsspec._fork import sockets as watched
    made, enough = threading.Event(), threading.Event()

    def make():
        with watched.creation_lock:
            kept.append(socket.socket())
            made.set()
            enough.wait(0.2)
            watched.watch(kept[0])

    kept = []
    thread = threading.Thread(target=make)
    thread.start()
    made.wait()
    inherited = sockets()
    assert forked(alone) == 0
    thread.join()
    kept[0].close()
    """,
    )


# the call before a fork from C -----------------------------------------------------
@pytest.mark.parametrize("reset", ["0", "1"])
def test_quiesce_ends_the_threads_until_a_loop_is_used(reset):
    run(
        LOOP
        + """
    import ctypes
    libc = ctypes.CDLL(None)
    loop = asyn.get_loop()
    works(loop)
    slow = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05, "slept"), loop)
    asyncio.run_coroutine_threadsafe(loop.getaddrinfo("localhost", 80), loop).result(20)
    for _ in range(3):
        asyn.quiesce()
        asyn.quiesce()
        assert len(os.listdir("/proc/self/task")) == 1
        assert loop.is_running() and asyn.get_loop() is loop
        pid = libc.fork()  # with no hooks
        if not pid:
            signal.alarm(30)
            asyn.reset_after_fork()
            own_loop_works()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        works(loop)  # wakes it
        assert forked(own_loop_works) == 0
    assert slow.result(20) == "slept"
    asyn.quiesce()
    assert forked(own_loop_works) == 0
    threads = [threading.Thread(target=works, args=(loop,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    own_loop_works()
    """,
        FSSPEC_FORK_RESET=reset,
    )


# whose it is ------------------------------------------------------------------------
def test_errors_name_the_process_that_made_what_is_used():
    """In a child and in a grandchild, of what was made in either generation above."""
    run(
        LOOP
        + """
    from fsspec.exceptions import ForkError
    from fsspec.spec import AbstractFileSystem

    class Blocking(AbstractFileSystem):
        protocol = "blocking"
        _fork_sensitive = True

        def cat_file(self, path, start=None, end=None, **kwargs):
            return b"x"

    class Awaited(asyn.AsyncFileSystem):
        protocol = "awaited"

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return b"x"

    def told(act):
        try:
            act()
        except ForkError as error:
            assert error.pid == os.getpid() and str(error.owner_pid) in str(error)
            assert " at 0x" not in str(error).splitlines()[0], error
            return error
        raise AssertionError("not refused")

    def made():
        everything = Blocking(skip_instance_cache=True), Awaited(skip_instance_cache=True), asyn.get_loop()
        everything[1].cat_file("a")
        return os.getpid(), everything

    def see(pid, everything):
        blocking, awaited, loop = everything
        assert told(lambda: blocking.cat_file("a")).owner_pid == pid
        assert told(lambda: awaited.cat_file("a")).owner_pid == pid
        error = told(lambda: asyn.sync(loop, asyncio.sleep, 0))
        assert error.owner_pid == pid and "sleep" in str(error)
        assert "FSSPEC_FORK_RESET" not in str(error) and "get_loop" in str(error)

    first = made()

    def one():
        second = made()
        see(*first)

        def two():
            see(*first)
            see(*second)

        assert forked(two) == 0

    assert forked(one) == 0
    """,
        FSSPEC_FORK_RESET="0",
    )
