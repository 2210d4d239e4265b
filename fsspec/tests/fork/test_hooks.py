"""Hooks of a fork: ours stand alone, a program's may use filesystems, a backend's code has no place there."""

import os
import subprocess
import sys
import textwrap

import pytest

from fsspec.tests.programs import FORKED, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

START = (
    FORKED
    + """
    import faulthandler, logging, os, signal, sys, threading, time

    faulthandler.register(signal.SIGALRM, chain=True, all_threads=True)
    signal.alarm(40)
"""
)

HOOKED = """
    import os
    asked = []
    os.register_at_fork(before=lambda: [ask() for ask in asked])  # before fsspec: its loops are at rest
"""

TOY = """
    import asyncio, fsspec
    from fsspec import asyn
    from fsspec.asyn import AsyncFileSystem
    from fsspec.exceptions import ForkError
    from fsspec._fork import hooks

    class Toy(AsyncFileSystem):
        protocol = "toy"

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            await asyncio.sleep(0.001)
            # what a client does: it resolves a name on a thread of the loop's
            await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.001)
            return b"x"

    def read():
        assert fs.cat_file("a") == b"x"
"""

STEPS = """
    import fsspec._fork.written_files, fsspec._loop.bridge
    steps = [(hooks._modules, n, kind) for n, one in enumerate(hooks._modules)
             for kind in ("before", "parent", "child") if getattr(one, kind)]
"""


def test_a_step_that_fails_takes_no_other_with_it():
    """An error in each step in turn: forks go on, parent and child work, and it is told."""
    out = run(
        START
        + TOY
        + STEPS
        + """
    fs = Toy()
    read()
    messages = []

    class Handler(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    logging.getLogger("fsspec").addHandler(Handler())
    logging.getLogger("fsspec").propagate = False

    def use():
        asyn.reset_after_fork()
        mine = Toy(skip_instance_cache=True)
        assert mine.cat_file("a") == b"x"

    for modules, n, kind in steps:
        def fails():
            raise KeyError("injected")
        fails.__qualname__ = name = getattr(modules[n], kind).__qualname__
        whole = modules[n]
        modules[n] = whole._replace(**{kind: fails})
        messages.clear()

        def child():
            use()
            assert kind != "child" or name in " ".join(messages), messages

        code = forked(child)
        assert code == 0, (name, kind, code)
        assert kind == "child" or any(name in one for one in messages), (name, kind, messages)
        modules[n] = whole
        read()  # the parent
        assert forked(use) == 0, (name, "the next fork")
        assert hooks.forking == 0
        import gc
        assert gc.isenabled()
    print(len(steps))
    """,
        FSSPEC_FORK_RESET="0",
    )
    assert int(out) > 15


INTERRUPTED = (
    START
    + TOY
    + """
    class Told(BaseException):
        pass

    def tell(number, frame):
        raise Told

    # python's own is not there where whoever started this has it ignored
    signal.signal(signal.SIGINT, tell if HANDLER == "own" else signal.default_int_handler)
    expected = Told if HANDLER == "own" else KeyboardInterrupt
    fs = Toy()
    read()
    n = next(n for n, one in enumerate(hooks._modules) if step in (one.before, one.parent, one.child))
    calls = []

    def interrupted(one):
        def run():
            if not calls:
                calls.append("interrupted")
                signal.raise_signal(signal.SIGINT)
            one()
        return run

    hooks._modules[n] = hooks._Hooks(*(one and interrupted(one) for one in hooks._modules[n]))
"""
)


@pytest.mark.parametrize("handler", ["python's", "own"])
@pytest.mark.parametrize("step", ["_rest", "_unlock"])
def test_a_signal_within_a_hook_of_the_parent_is_handled_when_the_fork_is_over(step, handler):
    """The interpreter would drop what the handler raises, and the loops would not run on."""
    run(
        f"""
    HANDLER = {handler!r}
"""
        + INTERRUPTED.replace(
            "    fs = Toy()",
            f"    from fsspec._loop import forking\n    step = forking.{step}\n    fs = Toy()",
        )
        + """
    parent, came = os.getpid(), False
    try:
        pid = os.fork()
        if not pid:
            os._exit(7)
    except expected:
        if os.getpid() != parent:
            os._exit(8)
        came = True
        pid = -1
    _, status = os.waitpid(pid, 0)
    assert came and os.waitstatus_to_exitcode(status) == 7, (came, status)
    for _ in range(2):
        read()
        assert forked(lambda: asyn.reset_after_fork() and read()) == 0
    thread = threading.Thread(target=lambda: calls.append(forked()))  # nobody holds a lock of forks
    thread.start()
    thread.join()
    assert calls == ["interrupted", 0], calls
    """,
        FSSPEC_FORK_RESET="0",
    )


@pytest.mark.parametrize("handler", ["python's", "own"])
def test_a_signal_within_a_hook_of_the_child_is_handled_when_the_fork_is_over(handler):
    """One that ends a worker which has just begun."""
    run(
        f"""
    HANDLER = {handler!r}
"""
        + INTERRUPTED.replace(
            "    fs = Toy()",
            "    from fsspec._fork import instances\n    step = instances._in_child\n    fs = Toy()",
        )
        + """
    parent = os.getpid()
    try:
        pid = os.fork()
        if not pid:
            os._exit(7)
    except expected:
        os._exit(9 if os.getpid() == parent else len(calls) + 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2, status
    read()
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_signals_with_one_handler_come_as_themselves():
    """Many programs have one for several; a hook of a backend may be wrapped by the same decorator."""
    run(
        START
        + """
    import functools
    logging.getLogger("fsspec").addHandler(logging.NullHandler())
    logging.getLogger("fsspec").propagate = False

    def wrapped(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            return func(*args, **kwargs)
        return wrapper

    handled, hooked = [], []

    @wrapped
    def stop(number, frame):
        handled.append(number)
        raise SystemExit(number)

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
"""
        + TOY
        + """
    class Broken(Toy):
        _fork_sensitive = True

        @wrapped
        def _after_fork_in_child(self):
            hooked.append(1)
            raise RuntimeError("a fault of the backend")

    fs, broken = Toy(), Broken()
    read()

    def before():
        if not handled:
            signal.raise_signal(signal.SIGTERM)

    hooks.at_fork(before=before)
    parent = os.getpid()
    try:
        pid = os.fork()
        if not pid:
            os._exit(len(hooked))
    except SystemExit as end:
        assert os.getpid() == parent and end.code == signal.SIGTERM, end.code
    else:
        raise AssertionError("nothing came of the signal")
    assert set(handled) == {signal.SIGTERM}, handled
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 1
    read()
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_a_call_of_a_hook_that_ran_out_of_time_stops_no_loop_later():
    run(
        HOOKED
        + START
        + TOY
        + """
    fs = Toy()
    read()

    def ask():
        try:
            asyn.sync(fs.loop, asyncio.sleep, 30, timeout=0.1)
        except TimeoutError:
            return
        raise AssertionError("it ended")

    asked.append(ask)
    assert forked() == 0
    asked.clear()
    for _ in range(3):  # by others than blocking calls, which would have it run on
        assert asyncio.run_coroutine_threadsafe(fs._cat_file("a"), fs.loop).result(20) == b"x"
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_a_fork_within_a_hook_of_a_fork_leaves_the_memory_filesystem_writable():
    run(
        """
    import os
    inner = []

    def fork():
        if inner:
            inner.clear()
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)

    os.register_at_fork(before=fork)  # before fsspec: within its hooks
"""
        + START
        + """
    import fsspec
    fs = fsspec.filesystem("memory")
    fs.pipe("/a", b"1")
    inner.append(1)
    assert forked() == 0
    thread = threading.Thread(target=fs.pipe, args=("/b", b"2"))
    thread.start()
    thread.join()
    assert fs.cat("/b") == b"2"
    """,
        FSSPEC_FORK_RESET="0",
    )


@pytest.mark.parametrize("lock", ["forking._fork_lock", "store._changing", "sockets.creation_lock"])
def test_a_signal_just_as_a_fork_gets_a_lock_does_not_leave_it_held(lock):
    run(
        START
        + TOY
        + f"""
    from fsspec._fork import sockets
    from fsspec._fork.fork_lock import _at_once
    from fsspec._loop import forking
    from fsspec.implementations._memory import store
    from functools import partial
    lock = {lock}
"""
        + """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fs = Toy()
    read()
    held = threading.Event()

    def hold():
        lock.acquire()
        held.set()
        time.sleep(0.2)
        _at_once(lock.release, partial(signal.raise_signal, signal.SIGINT))

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    parent = os.getpid()
    try:
        if not os.fork():
            os._exit(0)
        thread.join()  # which may have lost its turn before it raised the signal
        sys.exit("it was dropped")
    except KeyboardInterrupt:
        if os.getpid() != parent:
            os._exit(0)
    thread.join()
    read()
    results = []
    thread = threading.Thread(target=lambda: results.append((forked(read), lock.acquire(timeout=5))))
    thread.start()
    thread.join()
    assert results[0][1], "nobody else can have it"
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_an_interrupt_leaves_no_lock_held():
    run(
        START
        + """
    from fsspec.implementations._memory.store import _changing as lock

    def interrupt(number, frame):
        if armed:
            raise KeyboardInterrupt

    armed, count = False, 0
    signal.signal(signal.SIGALRM, interrupt)
    while count < 20_000:
        try:
            armed = True
            signal.setitimer(signal.ITIMER_REAL, 0.0001)
            while True:
                with lock:
                    pass
        except KeyboardInterrupt:
            armed = False
            count += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    found = []
    thread = threading.Thread(target=lambda: found.append(lock.acquire(timeout=5)))
    thread.start()
    thread.join()
    assert found == [True]
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_a_programs_hook_may_wait_for_a_thread_that_writes_to_memory():
    run(
        HOOKED
        + START
        + """
    import fsspec
    fs = fsspec.filesystem("memory")

    def ask():
        thread = threading.Thread(target=fs.pipe, args=("/b", b"2"))
        thread.start()
        thread.join()

    asked.append(ask)
    assert forked(lambda: fs.pipe("/b", b"3")) == 0
    assert fs.cat("/b") == b"2" and fs.find("/") == ["/b"]
    thread = threading.Thread(target=fs.pipe, args=("/c", b"4"))
    thread.start()
    thread.join()
    """,
        FSSPEC_FORK_RESET="0",
    )


def test_a_fork_on_a_thread_of_the_loops_own_executor():
    run(
        START
        + TOY
        + """
    fs = Toy()
    read()
    loop = asyn.get_loop()

    async def on_helper():
        return await asyncio.get_running_loop().run_in_executor(None, forked)

    for _ in range(3):
        assert asyn.sync(loop, on_helper) == 0
        read()
    assert forked(lambda: None) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_a_registry_that_another_thread_adds_to(reset):
    """Loops of the program's, made and noted all the time."""
    run(
        START
        + TOY
        + """
    from fsspec._loop import forking
    fs = Toy()
    read()
    enough = threading.Event()

    class Loop:
        def is_closed(self):
            return True

        def _after_fork_in_child(self):
            pass

    def add():
        while not enough.is_set():
            kept = [Loop() for _ in range(200)]
            for one in kept:
                forking.note_foreign(one)
                hooks.register(one)

    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(25):
        assert forked() == 0
    enough.set()
    for thread in threads:
        thread.join()
    read()
    """,
        FSSPEC_FORK_RESET=reset,
    )


# the program's own ----------------------------------------------------------------
USING = """
    seen = []

    def note(where):
        def hook():
            try:
                read()
                seen.append(where)
            except BaseException as error:
                seen.append((where, type(error).__name__))
        return hook

    def register():
        os.register_at_fork(
            before=note("before"), after_in_parent=note("parent"), after_in_child=note("child")
        )
"""
ORDERS = {
    "before fsspec": (USING + "    register()\n" + TOY, "fs = Toy()\n    read()\n"),
    "after fsspec": (TOY + USING + "    register()\n", "fs = Toy()\n    read()\n"),
    "between": (
        "    import fsspec\n" + USING + "    register()\n" + TOY,
        "fs = Toy()\n    read()\n",
    ),
    "after a read": (TOY + USING, "fs = Toy()\n    read()\n    register()\n"),
    "no loop yet": (USING + "    register()\n" + TOY, "fs = Toy()\n"),
}


@pytest.mark.parametrize("reset", ["0", "1"])
@pytest.mark.parametrize("order", ORDERS)
def test_hooks_of_the_program_that_use_a_filesystem(order, reset):
    modules, use = ORDERS[order]
    run(
        START
        + modules
        + f"""
    {use}
    opted = {reset == "1"}
"""
        + """
    def child():
        expected = ["before", "child" if opted else ("child", "ForkError")]
        assert [one for one in seen if one != "parent"] == expected, seen
        if not opted:
            asyn.reset_after_fork()
        read()
        seen.clear()
        assert forked(lambda: None) == 0  # a grandchild
        assert seen[:1] == ["before"] and "parent" in seen, seen
        read()

    for _ in range(3):
        seen.clear()
        begun = time.monotonic()
        assert forked(child) == 0
        assert seen == ["before", "parent"], seen
        read()
    assert time.monotonic() - begun < 20
    """,
        FSSPEC_FORK_RESET=reset,
    )


@pytest.mark.parametrize("order", ["before fsspec", "after fsspec"])
def test_hooks_of_the_program_over_http(order):
    """Through an open file and an instance, over connections that the parent has."""
    pytest.importorskip("aiohttp")
    server = """
    from fsspec.tests.servers.http import HTTPServer
    server = HTTPServer().__enter__()
    server.files["/a"] = DATA = bytes(range(256)) * 400
    fs = fsspec.filesystem("http")
    f = fs.open(server.url + "/a", block_size=1000)
    f.read(10)
"""
    using = (
        """
    def read():
        assert fs.cat_file(server.url + "/a") == DATA
        at = f.tell()
        assert f.read(5000) == DATA[at:at + 5000]
"""
        + USING
    )
    first, second = (using + "    register()\n", "    import fsspec\n" + server)
    if order == "after fsspec":
        first, second = "    import fsspec\n" + using + "    register()\n", server
    run(
        START
        + first
        + second
        + """
    def child():
        assert seen == ["before", "child"], seen
        read()

    for _ in range(3):
        seen.clear()
        assert forked(child) == 0
        assert seen == ["before", "parent"], seen
        read()
    server.__exit__(None, None, None)
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_hook_that_waits_for_a_thread_which_waits_for_the_loop():
    """The program's hook takes a lock; who holds it is reading, and the loop is at rest."""
    run(
        START
        + """
    lock = threading.Lock()
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
"""
        + TOY
        + """
    fs = Toy()
    read()
    enough = threading.Event()

    def work():
        while not enough.is_set():
            with lock:
                read()

    thread = threading.Thread(target=work)
    thread.start()
    begun = time.monotonic()
    for _ in range(4):
        assert forked() == 0
    enough.set()
    thread.join()
    assert time.monotonic() - begun < 30
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_the_time_that_a_fork_takes_does_not_count_against_a_time_limit():
    """A backend closes its session with a limit of 0.1 s, and says so on stderr where that was not enough."""
    run(
        START
        + """
    os.register_at_fork(before=lambda: time.sleep(1.5))  # before fsspec is imported: with its loops at rest

    import asyncio
    from fsspec import asyn

    asked, over = threading.Event(), threading.Event()
    found = []

    async def waits():
        asked.set()
        while not over.is_set():
            await asyncio.sleep(0.01)
        return "done"

    def limited():
        try:
            found.append(asyn.sync(asyn.get_loop(), waits, timeout=1))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=limited)
    thread.start()
    asked.wait()
    assert forked() == 0
    over.set()
    thread.join()
    assert found == ["done"], found
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_hooks_of_the_program_and_an_instance_on_a_loop_of_its_own():
    run(
        START
        + USING
        + "    register()\n"
        + TOY
        + """
    own = asyncio.new_event_loop()
    threading.Thread(target=own.run_forever, daemon=True).start()

    class Waiting(Toy):
        async def _cat_file(self, path, start=None, end=None, **kwargs):
            await asyncio.sleep(0.001)
            return b"x"

    fs = Waiting(loop=own)
    read()
    for _ in range(3):
        seen.clear()
        assert forked() == 0
        assert seen == ["before", "parent"], seen
        read()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_fork_within_a_task_with_hooks_that_use_a_filesystem():
    run(
        START
        + USING
        + "    register()\n"
        + TOY
        + """
    fs = Toy()
    read()

    async def main():
        await asyncio.sleep(0)
        assert forked() == 0
        await asyncio.sleep(0.001)

    asyncio.run(main())
    assert seen == ["before", "parent"], seen
    read()
    """,
        FSSPEC_FORK_RESET="1",
    )


# code of others -------------------------------------------------------------------
def test_no_code_of_a_backend_runs_within_a_hook():
    """Neither as its stale class is made, nor as it is assigned; nor as a file is made the parent's."""
    run(
        START
        + TOY
        + """
    import io
    ran = []

    class Meta(type(AsyncFileSystem)):
        def __setattr__(cls, name, value):
            ran.append("meta __setattr__") if watching else None
            super().__setattr__(name, value)

    watching = False

    class Mine(Toy, metaclass=Meta):
        def __init_subclass__(cls, **kwargs):
            ran.append("__init_subclass__")
            super().__init_subclass__(**kwargs)

        def __setattr__(self, name, value):
            ran.append(f"__setattr__ {name}") if watching else None
            super().__setattr__(name, value)

        @property
        def asynchronous(self):
            ran.append("property") if watching else None
            return False

        @asynchronous.setter
        def asynchronous(self, value):
            pass

    class File(fsspec.spec.AbstractBufferedFile):
        def __init_subclass__(cls, **kwargs):
            ran.append("__init_subclass__ of a file")

        def __setattr__(self, name, value):
            ran.append(f"__setattr__ of a file: {name}") if watching else None
            super().__setattr__(name, value)

        def _upload_chunk(self, final=False):
            return True

    fs = Mine()
    read()
    f = File(fs, "a", "wb")
    f.write(b"abc")
    ran.clear()
    watching = True
    at_start = []
    os.register_at_fork(after_in_child=lambda: at_start.append(list(ran)))

    def child():
        assert at_start == [[]], at_start
        try:
            f.write(b"d")
        except ForkError:
            pass
        else:
            raise AssertionError("not refused")
        read()
        assert type(fs) is Mine and type(fs).__init_subclass__.__func__ is Mine.__init_subclass__.__func__

    assert forked(child) == 0
    assert ran == [], ran
    read()
    watching = False
    """,
        FSSPEC_FORK_RESET="1",
    )


# imports --------------------------------------------------------------------------
def test_a_fork_waits_for_an_import_that_fsspec_makes(tmp_path):
    """The first ``fsspec.filesystem(...)`` on another thread: its module is half there."""
    (tmp_path / "slowly_imported.py").write_text(
        "import time, threading\nstarted = True\ntime.sleep(0.4)\n"
        "from fsspec.implementations.memory import MemoryFileSystem\n"
        "class Slow(MemoryFileSystem):\n    protocol = 'slowly'\n"
    )
    run(
        START
        + TOY
        + """
    fsspec.register_implementation("slowly", "slowly_imported.Slow")
    fs = Toy()
    read()
    thread = threading.Thread(target=lambda: fsspec.filesystem("slowly"))
    thread.start()
    while "slowly_imported" not in sys.modules:
        time.sleep(0.001)

    def child():
        signal.alarm(10)
        assert fsspec.filesystem("slowly").protocol == "slowly"

    assert forked(child) == 0
    thread.join()
    """,
        FSSPEC_FORK_RESET="1",
        PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )


@pytest.mark.parametrize("hook", ["_before", "_in_parent", "_in_child"])
def test_a_signal_just_as_a_hook_begins_leaves_nothing_undone(hook):
    """The interpreter drops what its handler raises, and the hook: the second registration does the rest."""
    run(
        START
        + TOY
        + f"""
    from fsspec._fork import fork_lock

    class Told(BaseException):
        pass

    def tell(number, frame):
        raise Told

    signal.signal(signal.SIGINT, tell)
    sys.unraisablehook = dropped = lambda hook: seen.append(hook.exc_type)
    seen = []
    fs = Toy()
    read()
    within = "_advance" if {hook!r} == "_in_child" else "_run_all"

    def begins(frame, event, arg):
        if frame.f_code.co_name == within and frame.f_back.f_code.co_name == {hook!r}:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)

    def child():
        sys.settrace(None)
        read()
        assert hooks.generation == 1 and hooks.ready_pid
        assert seen == ([] if {hook!r} == "_in_parent" else [Told]), seen

    sys.settrace(begins)
    code = forked(child)
    sys.settrace(None)
    assert code == 0 and seen == ([] if {hook!r} == "_in_child" else [Told]), (code, seen)
    for _ in range(3):
        assert not hooks._forks and not hooks.forking
        assert not any(lock._having_forks for lock in fork_lock._locks)
        read()
        assert forked(read) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


HOOKLESS = """
    import ctypes, threading
    interpreter = ctypes.PyDLL(None)

    def forked_by_c(body, hooks_after):
        "As a C library forks, with Python's hooks of the child, as uWSGI runs them, or without any."
        time.sleep(0.1)  # no thread may want the interpreter's own lock now: nobody renews that in the child

        def child():
            if hooks_after:
                interpreter.PyOS_AfterFork_Child()
            body()

        return forked(child, interpreter.fork)
"""


def _hooks_of_the_child_run_alone():
    """Whether the interpreter bears that; that of 3.13 ends with a fatal error."""
    text = """
    import ctypes, os, sys
    interpreter = ctypes.PyDLL(None)
    pid = interpreter.fork()
    if not pid:
        interpreter.PyOS_AfterFork_Child()
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], capture_output=True)
    return done.returncode == 0


def test_hooks_of_the_child_alone_are_enough():
    """As uWSGI with ``py-call-osafterfork`` runs them: those before the fork do not run."""
    if not _hooks_of_the_child_run_alone():
        pytest.skip("the interpreter ends there")
    run(
        START
        + TOY
        + HOOKLESS
        + """
    fs = Toy()
    read()

    def child():
        assert hooks.generation == 1
        read()

    for _ in range(2):
        assert forked_by_c(child, True) == 0
        read()
    assert forked(child) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("after", [False, True], ids=["no hooks", "hooks of the child"])
def test_threads_of_a_child_that_begin_at_once_wait_for_the_hooks(after):
    if after and not _hooks_of_the_child_run_alone():
        pytest.skip("the interpreter ends there")
    run(
        START
        + TOY
        + HOOKLESS
        + f"""
    sys.setswitchinterval(1e-5)
    others = [Toy(skip_instance_cache=True, number=n) for n in range(6)]
    for fs in others:
        read()

    def child():
        at_once, wrong = threading.Barrier(6), []

        def use(mine):
            at_once.wait()
            try:
                assert mine.cat_file("a") == b"x"
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=use, args=(mine,)) for mine in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        assert hooks.generation == 1

    for _ in range(8):
        assert forked_by_c(child, {after}) == 0
        for fs in others:
            read()  # the parent
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="to trace beside a thread of the parent's crashes")
def test_a_signal_while_a_fork_without_hooks_is_caught_up_with_leaves_nothing_undone():
    """It is raised at each line in turn; the program goes on with the instance."""
    run(
        START
        + TOY
        + HOOKLESS
        + """
    class Told(BaseException):
        pass

    def tell(number, frame):
        raise Told

    signal.signal(signal.SIGINT, tell)
    fs, other = Toy(), Toy(skip_instance_cache=True, number=1)
    read()
    lines, state = 0, {"left": -1}

    def line(frame, event, arg):
        if event == "line":
            state["left"] -= 1
            if not state["left"]:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return line

    def call(frame, event, arg):
        return line if frame.f_globals.get("__name__") == "fsspec._fork.hooks" else None

    def child():
        state["left"] = lines
        sys.settrace(call)
        try:
            read()
        except Told:
            pass
        sys.settrace(None)
        for mine in (fs, other):
            assert mine.cat_file("a") == b"x"
        assert hooks.generation == 1 and hooks.ready_pid, (lines, hooks.generation)
        os._exit(0 if state["left"] <= 0 else 99)

    while (code := forked_by_c(child, False)) == 0:
        lines += 7
        read()
    assert code == 99 and lines > 30, (code, lines)
    """,
        FSSPEC_FORK_RESET="1",
    )


COMPARED = """
    from fsspec._fork import readiness
    hooks.ready = readiness._Compared()  # as where the kernel clears no pages
    hooks.ready[0] = 1
"""


@pytest.mark.parametrize("compared", ["", COMPARED], ids=["cleared", "compared"])
def test_a_child_is_not_ready_before_its_hooks_have_run(compared):
    run(
        START
        + TOY
        + HOOKLESS
        + compared
        + """
    fs = Toy()
    read()

    def child():
        assert not hooks.ready[0] and hooks.generation == 0
        read()
        assert hooks.ready[0] and hooks.generation == 1
        assert forked_by_c(grandchild, False) == 0 and hooks.ready[0]
        assert forked(lambda: ready(2)) == 0 and hooks.ready[0]

    def grandchild():
        assert not hooks.ready[0]
        read()
        ready(2)

    def ready(generation):
        assert hooks.ready[0] and hooks.generation == generation

    for _ in range(2):
        assert forked_by_c(child, False) == 0 and hooks.ready[0]
        assert forked(lambda: ready(1)) == 0 and hooks.ready[0]
        read()
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.parametrize("compared", ["", COMPARED], ids=["cleared", "compared"])
@pytest.mark.parametrize("opted", ["0", "1"])
def test_a_child_that_a_library_of_c_forked_may_begin_with_anything(opted, compared, tmp_path):
    """What it makes first is its own, although nothing noticed the fork before: no hook ran."""
    run(
        START
        + TOY
        + HOOKLESS
        + compared
        + """
    import zipfile
    from functools import partial

    folder = os.environ["FOLDER"]
    local, memory = fsspec.filesystem("file"), fsspec.filesystem("memory")
    memory.pipe("/x", b"abc")
    local.pipe(folder + "/x", b"abc")
    cached = [
        fsspec.filesystem(kind, fs=local, cache_storage=f"{folder}/{kind}")
        for kind in ("filecache", "simplecache")
    ]
    for each in cached:
        each.cat(folder + "/x")
    shared = Toy()
    shared.cat_file("a")

    def write(fs, path):
        with fs.open(path, "wb") as f:
            f.write(b"1")
        assert fs.cat(path) == b"1"

    def commit(fs, path):
        with fs.transaction:
            write_only(fs, path)
        assert fs.cat(path) == b"2"

    def write_only(fs, path):
        with fs.open(path, "wb") as f:
            f.write(b"2")

    def archive():
        with zipfile.ZipFile(folder + "/z.zip", "w") as z:
            z.writestr("a", b"1")
        assert fsspec.filesystem("zip", fo=folder + "/z.zip").cat("a") == b"1"

    def pack():
        fs = fsspec.filesystem("zip", fo=folder + "/p.zip", mode="w")
        fs.pipe("a", b"1")
        fs.close()
        assert zipfile.ZipFile(folder + "/p.zip").read("a") == b"1"

    def text():
        with fsspec.open(folder + "/t", "w") as f:
            f.write("t")

    firsts = [
        lambda: write(local, folder + "/w"),
        lambda: commit(local, folder + "/c"),
        lambda: commit(memory, "/c"),
        *[partial(write, each, f"{folder}/{number}") for number, each in enumerate(cached)],
        archive,
        pack,
        text,
        lambda: Toy(skip_instance_cache=True).cat_file("a"),
        lambda: Toy().cat_file("a"),
        lambda: Toy(number=2).cat_file("a"),
    ]
    for first in firsts:
        assert forked_by_c(first, False) == 0
        assert shared.cat_file("a") == b"x"
        assert all(each.cat(folder + "/x") == b"abc" for each in cached)
    """,
        FSSPEC_FORK_RESET=opted,
        FOLDER=str(tmp_path),
    )
