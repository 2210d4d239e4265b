"""Ctrl-C at many moments: nothing is said on standard error, and the next call works."""

import os
import random
import signal
import subprocess
import sys
from time import monotonic

import pytest

from fsspec.tests.programs import run

pytest.importorskip("aiohttp")
pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="interrupts come by a timer of the system"
)

ROUNDS = int(os.environ.get("INTERRUPT_ROUNDS", "20"))
SAID = ("never awaited", "was destroyed", "was never retrieved", "Fatal Python error")
"""Not that a file was not closed: an interrupt may come between open() and the ``with`` that holds it."""

OPERATIONS = """
    import faulthandler, gc, random, signal, sys, tempfile, time
    import fsspec, fsspec.asyn

    faulthandler.dump_traceback_later(100, exit=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
    signal.signal(signal.SIGALRM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    url, folder = sys.argv[1], tempfile.mkdtemp()
    fs = fsspec.filesystem("http")
    many = [f"{url}/{n}" for n in range(8)]
    generic = fsspec.filesystem("generic")

    async def nothing():
        pass

    def tiny():
        for _ in range(30):
            fsspec.asyn.sync(fs.loop, nothing)

    def busy():
        fs.loop.call_soon_threadsafe(time.sleep, 0.002)
        fs.cat(many[:3])
        fs.loop.call_soon_threadsafe(time.sleep, 0.002)

    def read(**options):
        with fs.open(f"{url}/big", **options) as file:
            file.read(10)
            file.seek(100_000)
            file.read(60_000)

    def stream():
        with fs.open(f"{url}/big", block_size=0) as file:
            file.read(1000)

    def write():
        with fsspec.open("simplecache::memory://written", "wb") as file:
            for _ in range(50):
                file.write(bytes(1000))

    def put():
        with fsspec.filesystem("file").open(f"{folder}/written", "wb") as file:
            file.write(bytes(100_000))
        fs.pipe_file(f"{url}/written", bytes(10_000))

    def copy():
        generic.copy(many, [f"memory://copies/{n}" for n in range(8)])

    OPERATIONS = {
        "tiny": tiny,
        "cat_file": lambda: fs.cat_file(many[0]),
        "cat": lambda: fs.cat(many),
        "busy": busy,
        "info": lambda: fs.info(many[0]),
        "ranges": lambda: fs.cat_ranges(many, [0] * 8, [5] * 8),
        "open": lambda: read(block_size=50_000),
        "background": lambda: read(block_size=20_000, cache_type="background"),
        "stream": stream,
        "get": lambda: fs.get(many, [f"{folder}/{n}" for n in range(8)]),
        "write": write,
        "put": put,
        "copy": copy,
    }
"""

CAUGHT = """
    rounds, chance = int(sys.argv[2]), random.Random(int(sys.argv[3]))
    armed = False

    def interrupt(number, frame):
        global armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    interrupted = 0
    for name, operation in OPERATIONS.items():
        operation()
        began = time.perf_counter()
        operation()
        took = time.perf_counter() - began
        for _ in range(rounds):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, max(1e-6, took * chance.uniform(0, 1.1)))
                operation()
                armed = False
            except KeyboardInterrupt:
                interrupted += 1
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert fs.cat_file(many[5]) == b"5" * 1000, name
        gc.collect()
    time.sleep(0.1)
    gc.collect()
    print(interrupted)
"""

UNCAUGHT = """
    name, seconds = sys.argv[2], float(sys.argv[3])
    OPERATIONS[name]()
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)  # again, where a finalizer takes the first
    while True:
        OPERATIONS[name]()
"""


def start(folder, text, *arguments):
    """A process that is not yet waited for; what it leaves half-done is in ``folder``."""
    from textwrap import dedent

    return subprocess.Popen(
        [sys.executable, "-W", "default", "-c", dedent(OPERATIONS) + dedent(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONASYNCIODEBUG"}
        | {"TMPDIR": str(folder)},
    )


def fill(server):
    server.files["/big"] = bytes(200_000)
    for n in range(8):
        server.files[f"/{n}"] = str(n).encode() * 1000


def check_quiet(stderr):
    """Python itself reports an interrupt that meets it in a finalizer; of ours there is nothing."""
    assert not [words for words in SAID if words in stderr], stderr


def test_who_catches_an_interrupt_goes_on(http_server, tmp_path):
    fill(http_server)
    process = start(tmp_path, CAUGHT, http_server.url, ROUNDS, random.randrange(10**6))
    stdout, stderr = process.communicate(timeout=120)
    check_quiet(stderr)
    assert process.returncode == 0, stderr
    assert int(stdout) > ROUNDS  # of thirteen times as many


@pytest.mark.parametrize("name", ["cat", "busy", "background", "get", "write", "copy", "tiny", "slow"])
def test_who_is_ended_by_an_interrupt_says_no_more_than_that(http_server, name, tmp_path):
    fill(http_server)
    text = UNCAUGHT
    if name == "slow":
        http_server.files["/slow"] = bytes(1000)
        http_server.fault("/slow", delay_body=30)
        text = text.replace("    OPERATIONS[name]()\n    signal", "    signal", 1)
        text = 'OPERATIONS["slow"] = lambda: fs.cat_file(f"{url}/slow")\n'.join(("    ", text))
    for _ in range(2):
        process = start(tmp_path, text, http_server.url, name, random.uniform(0.001, 0.05))
        began = monotonic()
        _, stderr = process.communicate(timeout=60)
        check_quiet(stderr)
        assert process.returncode == -signal.SIGINT and stderr.endswith("KeyboardInterrupt\n"), stderr
        assert monotonic() - began < 25  # less than what the server takes


AT_ANY_MOMENT = """
    import os, random, signal, sys, warnings

    armed, moments = False, random.Random(1)

    def interrupt(number, frame):
        if armed:
            raise KeyboardInterrupt

    def interrupted(call, count, within=3e-4):
        "Call it again and again until it was interrupted so many times; calls that end give their value."
        global armed
        while count:
            value = None
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, within))
                value = call()
                armed = False
            except KeyboardInterrupt:
                armed = False
                count -= 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            yield value

    warnings.simplefilter("ignore", ResourceWarning)  # an interrupt may come as open() returns
    def report(unraisable):
        "An interrupt that meets a finalizer cannot be raised; it is nobody's fault."
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            sys.__unraisablehook__(unraisable)

    sys.unraisablehook = report
    signal.signal(signal.SIGALRM, interrupt)
"""


@pytest.mark.parametrize("kind", ["ahead", "readahead", "bytes", "blockcache", "mmap", "first"])
def test_a_read_cache_gives_the_right_bytes_after_an_interrupt(kind):
    run(
        AT_ANY_MOMENT
        + f"""
    from fsspec.caching import caches
    from fsspec.implementations._http.read_ahead import AheadCache

    data = os.urandom(60_000)
    ahead = {kind!r} == "ahead"

    def fetch(start, end):
        return data[start:end]

    def pieces(start, end, run):
        return [data[at : min(end, at + 700)] for at in range(start, end, 700)]

    cache = AheadCache(5000, fetch, len(data), pieces) if ahead else caches[{kind!r}](5000, fetch, len(data))
    at = 0

    def read():
        global at
        at = at if at < len(data) and moments.random() < 0.5 else moments.randrange(len(data))
        begin, at = at, at + moments.choice([10, 3000, 9000])
        return begin, at, cache._fetch(begin, at)

    for value in interrupted(read, 400):
        if value is not None:
            begin, end, got = value
            assert got == data[begin:end], (begin, end, len(got))
    """
    )


def test_a_transaction_that_is_interrupted_has_ended():
    run(
        AT_ANY_MOMENT
        + """
    import fsspec
    fs = fsspec.filesystem("memory")

    def write():
        with fs.transaction:
            with fs.open("/file", "wb") as f:
                f.write(b"1")

    left = 0
    for _ in interrupted(write, 1000):
        left += fs._intrans
        fs._intrans, fs._transaction = False, None
    assert left <= 40, left  # of 1000: Python itself may be interrupted before a block's end begins
    """
    )


def test_a_download_that_is_interrupted_leaves_nothing(tmp_path):
    run(
        AT_ANY_MOMENT
        + f"""
    import fsspec
    fs, folder = fsspec.filesystem("memory"), {str(tmp_path)!r}
    fs.pipe_file("/file", bytes(300_000))
    for _ in interrupted(lambda: fs.get_file("/file", folder + "/copy"), 300):
        assert set(os.listdir(folder)) <= {{"copy"}}
    """
    )


def test_an_interrupted_read_closes_no_descriptor_of_another(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100_000))
    run(
        AT_ANY_MOMENT
        + f"""
    import fsspec
    fs = fsspec.filesystem("file")

    def read():
        with fs.open({str(tmp_path / "file")!r}, "rb") as f:
            f.seek(1000)
            return f.readline(50)

    for _ in interrupted(read, 500):
        pass
    """
    )


def test_what_an_interrupted_call_cleans_up_is_not_what_the_next_one_makes(tmp_path):
    run(
        AT_ANY_MOMENT
        + f"""
    import http.server, threading, time
    import fsspec

    slow, begun = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            try:
                self.wfile.write(bytes(50_000))
                self.wfile.flush()
                begun.set()
                if slow.is_set():
                    time.sleep(2)
                self.wfile.write(bytes(50_000))
            except OSError:  # the client has left
                pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fs, url = fsspec.filesystem("http"), f"http://127.0.0.1:{{server.server_port}}"

    def again(number, frame):
        if begun.is_set():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, again)
    for n in range(5):
        folder = {str(tmp_path)!r} + f"/{{n}}/"
        slow.set()
        begun.clear()
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        try:
            fs.get([url + "/a", url + "/b"], folder)
        except KeyboardInterrupt:
            slow.clear()
        else:
            raise AssertionError("it was not interrupted")
        fs.get([url + "/a", url + "/b"], folder)
        assert sorted(os.listdir(folder)) == ["a", "b"]
        assert [os.path.getsize(folder + name) for name in "ab"] == [100_000, 100_000]
    server.shutdown()
    server.server_close()
    fs.close_session(fs.loop, fs._session)
    """
    )


def test_an_interrupted_request_to_an_sftp_server_is_not_answered_by_the_next(sftp_server):
    data = bytes(range(256)) * 1000
    with open(os.path.join(sftp_server.folder, "file"), "wb") as f:
        f.write(data)
    run(
        AT_ANY_MOMENT
        + f"""
    import fsspec, logging
    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it logs that a connection was reset

    def report_ours(unraisable):
        "paramiko's file that was interrupted as it was made cannot be finalized."
        if not str(getattr(unraisable.object, "__module__", "")).startswith("paramiko"):
            report(unraisable)

    sys.unraisablehook = report_ours
    fs, data = fsspec.filesystem("sftp", **{sftp_server.options!r}), bytes(range(256)) * 1000
    assert fs.cat_file("/file") == data
    for _ in interrupted(lambda: fs.cat_file("/file"), 100, within=1e-2):
        assert fs.cat_file("/file", 1000, 200_000) == data[1000:200_000]
    """
    )


def test_an_interrupted_close_of_a_local_copy_raises_the_interrupt_and_leaves_no_file(tmp_path):
    run(
        AT_ANY_MOMENT
        + f"""
    import fsspec
    folder = {str(tmp_path)!r}
    fs = fsspec.filesystem("simplecache", fs=fsspec.filesystem("memory"), cache_storage=folder)

    def write():
        with fs.open("/file", "wb") as f:
            f.write(bytes(9000))

    for _ in interrupted(write, 1500):
        pass
    write()
    assert fs.cat_file("/file") == bytes(9000)
    assert len(os.listdir(folder)) <= 2, os.listdir(folder)
    """
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("mode", ["rb", "wb", "ab", "r+b"])
def test_an_interrupted_opening_of_a_local_file_leaves_no_descriptor(mode, tmp_path):
    """A handler runs as ``open`` returns: in a folder behind many links that is nearly all of the time."""
    run(
        AT_ANY_MOMENT
        + f"""
    import fsspec
    fs, path = fsspec.filesystem("file"), {str(tmp_path)!r}
    for n in range(35):
        os.symlink(path, {str(tmp_path)!r} + f"/link{{n}}")
        path = {str(tmp_path)!r} + f"/link{{n}}"
    path += "/file"
    fs.touch(path)
    before = len(os.listdir("/proc/self/fd"))

    def use():
        with fs.open(path, {mode!r}) as f:
            if "r" in {mode!r}:
                f.readline()

    for _ in interrupted(use, 400, within=2e-4):
        pass
    left = len(os.listdir("/proc/self/fd")) - before
    assert left < 10, left
    """
    )


def test_what_arrow_was_copying_when_it_was_interrupted_is_removed(tmp_path):
    pytest.importorskip("pyarrow")
    run(
        AT_ANY_MOMENT
        + f"""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import LocalFileSystem
    fs, folder = ArrowFSWrapper(LocalFileSystem()), {str(tmp_path)!r}
    fs.pipe_file(folder + "/file", bytes(100_000))
    for _ in interrupted(lambda: fs.cp_file(folder + "/file", folder + "/copy"), 500):
        assert set(os.listdir(folder)) <= {{"file", "copy"}}
    """
    )
