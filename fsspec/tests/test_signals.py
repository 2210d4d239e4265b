"""Signals and threads of ours: none comes to a loop's, and what any of them forks or starts receives all."""

import os
import signal

import pytest

from fsspec.tests.programs import FORKED, run

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not hasattr(signal, "pthread_sigmask"),
    reason="no fork, or signals without masks",
)

THREADS = (
    FORKED
    + """
    import asyncio, os, signal, sys, threading
    from fsspec import asyn
    from fsspec._fork import hooks

    signal.alarm(40)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])  # by the program: it stays so
    loop = asyn.get_loop()

    def blocked():
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    async def here(func):
        return func()

    async def helped(func):
        return await asyncio.get_running_loop().run_in_executor(None, func)

    def of_its_own(func):
        "As a copy by the loop does."
        found, done = [], threading.Event()

        def run():
            found.append(func())
            done.set()

        async def begin():
            hooks.start_thread(run, "one")

        asyn.sync(loop, begin)
        done.wait()
        return found[0]

    PLACES = {
        "loop": lambda func: asyn.sync(loop, here, func),
        "helper": lambda func: asyn.sync(loop, helped, func),
        "thread": of_its_own,
    }
"""
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_the_program_blocks_comes_to_no_thread_of_ours(number):
    """As a worker of billiard does while it holds the lock of its results: else the others wait for ever."""
    run(
        THREADS
        + f"""
    asyn.sync(loop, helped, blocked)
    signal.pthread_sigmask(signal.SIG_BLOCK, [{number:d}])
    os.kill(os.getpid(), {number:d})
    assert signal.sigpending() == {{{number:d}}}
    assert signal.sigwait([{number:d}]) == {number:d}
"""
    )


def test_a_thread_of_ours_has_signals_blocked_from_its_first_instruction():
    """The program's own thread receives them again, also where no thread could be started."""
    run(
        THREADS
        + """
    found = {}
    threading.setprofile(lambda *_: found.setdefault(threading.get_ident(), blocked()))
    asyn.reset_lock()
    loop = asyn.get_loop()
    asyn.sync(loop, helped, blocked)
    threading.setprofile(None)
    assert len(found) == 2 and all(signal.SIGTERM in one for one in found.values())
    assert blocked() == {signal.SIGHUP}

    def fail(*_):
        raise RuntimeError("can't start new thread")

    class Refused(threading.Thread):
        start = fail

    threading.Thread = Refused
    asyn.reset_lock()
    try:
        asyn.get_loop()
    except RuntimeError:
        assert blocked() == {signal.SIGHUP}
    else:
        raise AssertionError
"""
    )


@pytest.mark.parametrize("place", ["loop", "helper", "thread"])
def test_a_child_forked_by_a_thread_of_ours_receives_signals(place):
    run(
        THREADS
        + f"""
    def fork():
        before = blocked()
        assert (signal.SIGTERM in before) is ({place!r} == "loop")

        def body():
            assert blocked() == {{signal.SIGHUP}}, blocked()
            # the child's own loop is as the parent's
            assert signal.SIGTERM in asyn.sync(asyn.get_loop(), here, blocked)

        assert forked(body) == 0
        assert blocked() == before

    PLACES[{place!r}](fork)
    assert blocked() == {{signal.SIGHUP}}
"""
    )


def test_a_process_started_by_a_blocking_call_in_a_thread_can_be_ended():
    """As one of a filesystem that runs a program, when it is copied from."""
    run(
        THREADS
        + """
    import subprocess

    def start():
        code = "print(1, flush=True); import time; time.sleep(100)"
        with subprocess.Popen([sys.executable, "-c", code], stdout=-1) as process:
            process.stdout.readline()
            process.terminate()
            return process.wait()

    assert of_its_own(start) == -signal.SIGTERM
"""
    )


@pytest.mark.parametrize("executor", ["None", "ThreadPoolExecutor(1)", "ProcessPoolExecutor(1)"])
def test_what_runs_in_an_executor_receives_signals(executor):
    """And what it starts: else ``terminate`` does not end it. It stays so for what the program blocked."""
    run(
        THREADS
        + f"""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from multiprocessing import get_context

    async def in_executor(executor):
        return await asyncio.get_running_loop().run_in_executor(executor, signal.pthread_sigmask, 0, ())

    executor = {executor}
    if isinstance(executor, ProcessPoolExecutor):
        executor = ProcessPoolExecutor(1, get_context("spawn"))
    assert asyn.sync(loop, in_executor, executor) == {{signal.SIGHUP}}
    if executor is not None:
        executor.shutdown()
    assert signal.SIGTERM in asyn.sync(loop, here, blocked)
"""
    )


def test_a_process_started_on_the_loop_can_be_ended():
    run(
        THREADS
        + """
    async def start():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(1, flush=True); import time; time.sleep(100)", stdout=-1)
        await process.stdout.readline()
        process.terminate()
        return await process.wait()

    def both():
        async def two():
            return await asyncio.gather(start(), start())
        return asyn.sync(loop, two)

    assert both() == [-signal.SIGTERM] * 2
    assert signal.SIGTERM in asyn.sync(loop, here, blocked)
"""
    )
