"""`fsspec.fork.ForkLock`: a fork waits for blocks of other threads; what it divides, its child is refused."""

import pytest

from fsspec.tests.fork.scripts import run


@pytest.fixture
def places(tmp_path):
    """No server is needed."""
    return {"tmp": str(tmp_path)}


START = """
    import logging
    from fsspec.fork import ForkLock
    lock = ForkLock()
    inside, enough = threading.Event(), threading.Event()

    def enter():
        with lock:
            with lock:
                return None

    def hold(until=enough.wait):
        with lock:
            inside.set()
            until()

    def in_thread(func):
        thread = threading.Thread(target=func)
        thread.start()
        return thread
"""


def test_a_fork_waits_for_a_block_of_another_thread_and_the_lock_is_free_in_both(places):
    run(
        START
        + """
    ended = []

    def work():
        time.sleep(0.3)
        ended.append(True)

    thread = in_thread(lambda: hold(work))
    inside.wait()

    def child():
        assert ended
        enter()
        other = in_thread(enter)
        other.join()
        forked(enter)

    forked(child)
    thread.join()
    other = in_thread(enter)
    other.join()
    forked(enter)
    """,
        places,
    )


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_a_child_that_its_thread_forked_within_a_block_is_refused_and_so_are_its_children(mode, places):
    run(
        START
        + """
    def child():
        refuses(enter)
        forked(lambda: refuses(enter))

    with lock:
        forked(child)
        enter()
    enter()
    forked(enter)
    other = in_thread(enter)
    other.join()
    """,
        places,
        mode,
    )


def test_a_fork_goes_ahead_of_a_block_that_does_not_end_and_its_child_is_refused(places):
    run(
        START
        + """
    from fsspec._fork import fork_lock
    fork_lock.PATIENCE = 0.2
    thread = in_thread(hold)
    inside.wait()
    forked(lambda: refuses(enter))
    enough.set()
    thread.join()
    enter()
    forked(enter)
    """,
        places,
    )


def test_a_thread_that_takes_the_lock_again_and_again_does_not_keep_a_fork_waiting(places):
    run(
        START
        + """
    from fsspec._fork import fork_lock
    fork_lock.PATIENCE = 100  # a fork that starves is ended by the alarm
    fs = fsspec.filesystem("memory")
    locks = [ForkLock() for _ in range(3)]

    def work(lock):
        while not enough.is_set():
            with lock:
                fs.pipe("/x", b"1" * 1000)
                sum(range(20000))

    threads = [in_thread(lambda lock=lock: work(lock)) for lock in locks for _ in range(2)]
    for _ in range(10):
        forked(lambda: [lock.__enter__() for lock in locks] and None)
    enough.set()
    for thread in threads:
        thread.join()
    """,
        places,
    )


def test_threads_that_wait_for_each_other_beside_the_lock_do_not_block_a_fork(places):
    """One is in a block and wants a mutex; its holder wants to enter a block of a lock that the fork has."""
    run(
        START
        + """
    first, mutex = ForkLock(), threading.Lock()  # `first` is younger: the fork takes `lock` before it
    mutex.acquire()

    def wants_mutex():
        with first:
            inside.set()
            with mutex:
                pass

    thread = in_thread(wants_mutex)
    inside.wait()
    begun = threading.Event()
    os.register_at_fork(before=begun.set)

    def holds_mutex():
        begun.wait()
        with lock:
            pass
        mutex.release()

    other = in_thread(holds_mutex)

    def child():
        for one in (lock, first):
            with one:
                pass

    forked(child)
    thread.join()
    other.join()
    enter()
    forked(child)
    """,
        places,
    )


def test_interrupts_leave_no_lock_held(places):
    run(
        START
        + """
    class Told(Exception):
        pass

    def tell(number, frame):
        raise Told

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, tell)
    told = 0
    for n in range(300):
        signal.setitimer(signal.ITIMER_PROF, 0.0005 + n * 0.000001)
        try:
            while True:
                with lock:
                    with lock:
                        pass
        except Told:
            told += 1
        assert not lock._is_owned()
    assert told == 300
    forked(enter)
    other = in_thread(enter)
    other.join()
    """,
        places,
    )


def test_locks_are_forgotten_with_what_they_guard(places):
    run(
        """
    from fsspec._fork import fork_lock
    from fsspec.fork import ForkLock
    kept = ForkLock()
    for _ in range(100):
        ForkLock()
    gc.collect()
    assert fork_lock._of_authors.live() == [kept]
    """,
        places,
    )
