"""A child that a C library forked while another thread waited for the interpreter's lock."""

import sys

import pytest

from fsspec.tests.fork.test_hooks import START, TOY
from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its threads are counted on Linux only")

WAITING = """
    import ctypes, logging, threading
    libc = ctypes.PyDLL(None)  # holds the interpreter's lock during a call

    def waits_for_the_lock():
        while not over.wait(0.05):
            pass

    def forked_by_c(body):
        "As the parent's thread waits for the lock, but has not yet asked for it, which nothing helps with."
        sys.setswitchinterval(100)
        def fork():
            libc.usleep(150_000)
            return libc.fork()
        code = forked(body, fork)
        sys.setswitchinterval(0.005)
        return code

    over = threading.Event()
    parents = threading.Thread(target=waits_for_the_lock)
    parents.start()
"""
END = """
    over.set()
"""


def test_a_child_of_a_c_library_can_start_threads():
    run(
        START
        + TOY
        + WAITING
        + """
    def child():
        assert threading.active_count() > 1
        read()  # begins the thread of a loop
        assert parents not in threading.enumerate()
        assert threading.main_thread() is threading.current_thread()
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert forked_by_c(grandchild) == 0 and forked(grandchild) == 0
        read()

    def grandchild():
        read()
        assert hooks.generation == 2

    fs = Toy()
    read()
    for _ in range(3):
        assert forked_by_c(child) == 0
        read()
        assert forked(read) == 0
    """
        + END,
        FSSPEC_FORK_RESET="1",
    )


def test_a_child_of_a_c_library_ends_without_the_threads_of_its_parent():
    """The interpreter joins those that it knows of."""
    run(
        START
        + TOY
        + WAITING
        + """
    pid = libc.fork()
    fs = Toy()
    if not pid:
        signal.alarm(30)
        read()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    read()
    """
        + END,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("by_c", [False, True], ids=["os.fork", "C"])
@pytest.mark.parametrize("used", ["first", "in a hook"])
def test_hooks_of_the_program_run_once_in_a_child_and_may_use_filesystems(by_c, used):
    """Also those that were registered before ours, and where a call of the child's first notices the fork."""
    run(
        START
        + "    import os\n    ran = []\n    during = []\n"
        + "    os.register_at_fork(after_in_child=lambda: [ran.append(1), *[use() for use in during]])\n"
        + TOY
        + WAITING
        + f"""
    os.register_at_fork(after_in_child=lambda: [ran.append(2), *[use() for use in during]])

    def child():
        read()
        assert ran == [1, 2] and hooks.generation == 1, ran
        assert not hooks.early and not hooks._within_fork and not hooks._renewing
        assert forked(grandchild) == 0 and forked_by_c(grandchild) == 0

    def grandchild():
        read()
        assert ran == [1, 2, 1, 2] and hooks.generation == 2, ran

    fs = Toy()
    read()
    if {used!r} == "in a hook":
        during.append(read)
    for _ in range(2):
        assert (forked_by_c if {by_c} else forked)(child) == 0
        read()
    """
        + END,
        FSSPEC_FORK_RESET="1",
    )


def test_a_child_of_a_c_library_that_has_begun_threads_keeps_them():
    """What is done for one with a single thread would free their states."""
    run(
        START
        + TOY
        + """
    import ctypes, threading
    libc = ctypes.PyDLL(None)

    def child():
        begun, enough, found = threading.Event(), threading.Event(), []

        def work():
            here = threading.local()
            here.value = 1
            begun.set()
            enough.wait()
            found.append(here.value)

        mine = threading.Thread(target=work)
        mine.start()
        begun.wait()
        read()
        assert hooks.generation == 1 and mine in threading.enumerate()
        enough.set()
        mine.join()
        assert found == [1]

    fs = Toy()
    read()
    asyn.quiesce()
    time.sleep(0.1)
    assert forked(child, libc.fork) == 0
    read()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_loop_of_a_thread_that_a_child_of_a_c_library_began_goes_on():
    """The thread can have the number of the one that ran the parent's loop."""
    run(
        START
        + TOY
        + """
    import ctypes, threading
    libc = ctypes.PyDLL(None)

    def child():
        found, enough = [], threading.Event()

        async def main():
            fsspec.filesystem("file").open(os.devnull).close()
            assert hooks.generation == 1
            found.append(asyncio.get_running_loop())

        def work():
            try:
                if threading.get_ident() == number:
                    asyncio.run(main())
            finally:
                enough.wait()

        threads = [threading.Thread(target=work) for _ in range(9)]
        for thread in threads:
            thread.start()
        enough.set()
        for thread in threads:
            thread.join()
        assert found or number not in [thread.ident for thread in threads]
        read()

    fs = Toy()
    read()
    number = fs.loop._thread_id
    assert number
    time.sleep(0.01)  # it waits for work by now, not for the interpreter's lock
    assert forked(child, libc.fork) == 0
    read()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_child_of_a_c_library_keeps_the_greenlets_that_gevent_makes_of_threads():
    """The kernel does not count them, nor do they end with the parent."""
    pytest.importorskip("gevent")
    run(
        "    from gevent import monkey\n    monkey.patch_all()\n"
        + START
        + """
    import ctypes, fsspec
    from fsspec._fork import hooks
    libc = ctypes.PyDLL(None)

    def child():
        enough, found = threading.Event(), []

        def work():
            me = threading.current_thread()
            enough.wait()
            found.append(threading.current_thread() is me)

        mine = threading.Thread(target=work)
        mine.start()
        time.sleep(0.01)
        fs.open(os.devnull).close()
        assert hooks.generation == 1 and mine in threading.enumerate() and mine.is_alive()
        enough.set()
        mine.join()
        assert found == [True]

    fs = fsspec.filesystem("file")
    assert forked(child, libc.fork) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_not_opted_in_it_is_refused_and_threads_can_be_started():
    run(
        START
        + TOY
        + WAITING
        + """
    def child():
        try:
            read()
        except ForkError as error:
            assert str(os.getppid()) in str(error)
        else:
            raise AssertionError("not refused")
        assert Toy(skip_instance_cache=True).cat_file("a") == b"x"

    fs = Toy()
    read()
    assert forked_by_c(child) == 0
    read()
    """
        + END,
        FSSPEC_FORK_RESET="0",
    )


@pytest.mark.parametrize(
    "work",
    [
        """
        async def main():
            await Toy(asynchronous=True, skip_instance_cache=True)._cat_file("a")
            loop = asyncio.get_running_loop()
            awakened = asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, awakened.set)
            fs.cat_file("a")
            assert asyncio.get_running_loop() is loop
            os.kill(os.getpid(), signal.SIGUSR1)
            await awakened.wait()

        asyncio.run(main())
        """,
        """
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        read()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
        loop.close()
        """,
        """
        for number in descriptors:  # of the parent's loop
            os.close(number)
        read()
        """,
        """
        random.seed(5)
        expected = random.random()
        random.seed(5)
        read()
        assert random.random() == expected
        """,
        """
        class Handler(logging.Handler):
            def emit(self, record):
                read()

        logging.getLogger("program").addHandler(Handler())
        logging.getLogger("program").warning("first")
        logging.getLogger("program").warning("second")
        """,
        """
        enough = threading.Event()
        mine = threading.Thread(target=enough.wait)
        read()
        mine.start()
        assert mine.is_alive()
        enough.set()
        mine.join()
        assert not mine.is_alive()
        """,
    ],
    ids=[
        "running loop",
        "loop of a thread",
        "wakeup descriptor",
        "random numbers",
        "a handler of logging",
        "a thread not started",
    ],
)
def test_what_a_child_of_a_c_library_did_before_is_kept(work):
    """Hooks of the standard library expect a child that has done nothing yet."""
    run(
        START
        + TOY
        + WAITING
        + "    import os, random\n    def child():\n        assert hooks.generation == 0"
        + work
        + """
        assert hooks.generation == 1 and parents not in threading.enumerate()

    fs = Toy()
    read()
    descriptors = os.pipe()
    os.set_blocking(descriptors[1], False)
    signal.set_wakeup_fd(descriptors[1])
    assert forked_by_c(child) == 0
    signal.set_wakeup_fd(-1)
    read()
    """
        + END,
        FSSPEC_FORK_RESET="1",
    )
