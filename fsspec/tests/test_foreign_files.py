"""Open files of other packages in a child: seen without their help, opened again, refused or let go."""

import os

import pytest

from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

BACKEND = '''
import asyncio, io, os, socket, sys, weakref
from fsspec import asyn, spec
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError

host, port = os.environ["ADDRESS"].rsplit(":", 1)

def request(sock, start, length):
    sock.sendall(
        f"GET /a HTTP/1.1\\r\\nHost: x\\r\\nRange: bytes={start}-{start + length - 1}\\r\\n\\r\\n".encode()
    )
    answer = b""
    while b"\\r\\n\\r\\n" not in answer:
        answer += sock.recv(65536)
    head, _, body = answer.partition(b"\\r\\n\\r\\n")
    while len(body) < length:
        body += sock.recv(65536)
    return body

class Buffered(spec.AbstractBufferedFile):
    """As that of adlfs: never calls super().__init__, holds a loop and a connection, can be pickled."""

    def __init__(self, fs, path, mode, **kwargs):
        from fsspec.core import caches
        self.fs, self.path, self.mode, self.kwargs = fs, path, mode, kwargs
        self.start = self.end = None
        self.loc, self.autocommit, self.closed, self.blocksize = 0, True, False, 1000
        self.loop = fs.loop
        self.sock = socket.create_connection((host, int(port)))
        if mode == "rb":
            self.details = {"name": path, "size": 100_000}
            self.cache = caches["bytes"](self.blocksize, self._fetch_range, self.size)
        else:
            self.buffer, self.offset, self.forced, self.location = io.BytesIO(), None, False, None

    def _fetch_range(self, start, end):
        async def fetch():
            return request(self.sock, start, end - start)
        return asyn.sync(self.loop, fetch)

    def _initiate_upload(self):
        pass

    def _upload_chunk(self, final=False):
        async def put():
            stored.append(self.buffer.getvalue())
        asyn.sync(self.loop, put)

    def close(self):
        asyn.sync(self.loop, asyncio.sleep, 0)
        super().close()

    def __del__(self):
        if not self.closed:
            self.close()

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["loop"], state["sock"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.loop = self.fs.loop
        self.sock = socket.create_connection((host, int(port)))

class Plain(io.RawIOBase):
    """As that of sshfs: no file of ours; asks its own connection."""

    def __init__(self, fs, path, mode="rb", **kwargs):
        self.fs, self.path, self.mode, self.kwargs, self.at = fs, path, mode, kwargs, 0
        self.sock = socket.create_connection((host, int(port)))

    def readable(self):
        return self.mode == "rb"

    def writable(self):
        return self.mode != "rb"

    def seekable(self):
        return True

    def seek(self, to, whence=0):
        self.at = to
        return to

    def tell(self):
        return self.at

    def readinto(self, buffer):
        got = request(self.sock, self.at, min(len(buffer), 100_000 - self.at))
        buffer[: len(got)] = got
        self.at += len(got)
        return len(got)

    def write(self, data):
        stored.append(bytes(data))
        return len(data)

    def close(self):
        if not self.closed:
            self.sock.shutdown(socket.SHUT_RDWR)  # reaches the peer, whoever asks
        super().close()

stored = []

class FS(asyn.AsyncFileSystem):
    protocol = "toy"
    cls = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        weakref.finalize(self, asyn.sync, self.loop, asyncio.sleep, 0)

    async def _info(self, path, **kwargs):
        return {"name": path, "size": 100_000, "type": "file"}

    def _open(self, path, mode="rb", **kwargs):
        return self.cls(self, path, mode)

def finds(problem):
    assert not problem, problem
'''

CONTENT = bytes((i * 7 + (i >> 8)) % 256 for i in range(100_000))


@pytest.fixture
def address(http_server):
    http_server.files["/a"] = CONTENT
    return f"127.0.0.1:{http_server.url.rsplit(':', 1)[1]}"


def program(text, address, reset):
    check = "expected = bytes((i * 7 + (i >> 8)) % 256 for i in range(100_000))\n"
    run(BACKEND + check + text, ADDRESS=address, FSSPEC_FORK_RESET=reset)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("cls", ["Buffered", "Plain"])
def test_a_file_that_is_read_goes_on_where_its_class_can_be_opened_again(cls, known, address):
    """By its own __setstate__, by the table, or not at all; the parent's goes on in any case."""
    program(
        f"""
FS.cls = {cls}
if {known}:
    from fsspec._fork.class_facts import Facts, learn
    learn("__main__:Plain", Facts(arguments=("fs", "path", "mode"), position="at"))

f = FS().open("a")
assert f.read(1000) == expected[:1000]

def used():
    if {cls!r} == "Plain" and not {known}:
        try:
            f.read(1)
        except ForkError as error:
            assert "'a'" in str(error) and str(os.getppid()) in str(error), error
            f.close()
            assert f.closed
            return
        raise AssertionError("not refused")
    assert f.tell() == 1000 and not f.closed
    assert f.read(5000) == expected[1000:6000]
    f.seek(90_000)
    assert f.read() == expected[90_000:]
    f.close()

for act in (used, lambda: None, lambda: f.close(), used):
    finds(by_fork(act).problem())
    at = f.tell()
    assert f.read(500) == expected[at : at + 500]
    f.seek(1000)
""",
        address,
        "1",
    )


@pytest.mark.parametrize(
    ("arguments", "position", "problem"),
    [
        (("fs", "path"), "offset", ""),
        (("fs", "path"), "nosuch", "nosuch"),
        (("fs", "path"), "at.nosuch", "nosuch"),
        (("fs", "path"), "mode", "'mode' is 'rb'"),
        (("fs", "path"), "", "loc"),
        (("fs", "pathh"), "at", "pathh"),
    ],
)
def test_what_is_known_of_a_file_may_be_a_property_and_must_be_there(arguments, position, problem, address):
    """Nothing is opened again at the beginning because its position was not found."""
    program(
        f"""
from fsspec._fork.class_facts import Facts, learn
Plain.offset = property(lambda self: self.at)
learn("__main__:Plain", Facts(arguments={arguments}, position={position!r}))
FS.cls = Plain
f = FS().open("a")
assert f.read(1000) == expected[:1000]

def used():
    if not {problem!r}:
        assert f.tell() == 1000 and f.read(500) == expected[1000:1500]
        return
    for _ in range(2):
        try:
            f.read(1)
        except ForkError as error:
            assert {problem!r} in str(error) and "Facts(" in str(error), error
        else:
            raise AssertionError("not refused")
    f.close()

finds(by_fork(used).problem())
assert f.read(500) == expected[1000:1500]
""",
        address,
        "1",
    )


@pytest.mark.parametrize("mode", ["rb", "rwb", "rw"])
def test_a_connection_is_seen_through_the_streams_that_are_over_it(mode, address):
    """A socket that only a stream of it holds."""
    program(
        f"""
class Streaming(io.RawIOBase):
    def __init__(self, fs, path):
        self.fs, self.path, self.mode = fs, path, "rb"
        with socket.create_connection((host, int(port))) as sock:
            self.stream = sock.makefile({mode!r})
    def readable(self):
        return True
    def readinto(self, buffer):
        return 0
FS.cls = lambda self, fs, path, mode: Streaming(fs, path)
f = FS().open("a")
def used():
    try:
        f.read(1)
    except ForkError:
        return
    raise AssertionError("not refused")
finds(by_fork(used).problem())
assert f.read(1) == b""
""",
        address,
        "1",
    )


@pytest.mark.parametrize("reset", ["0", "1"])
@pytest.mark.parametrize("cls", ["Buffered", "Plain"])
def test_a_file_being_written_is_refused_and_released(cls, reset, address):
    program(
        f"""
FS.cls = {cls}
fs = FS()
f = fs.open("a", "wb")

def written():
    try:
        f.write(b"child")
    except ForkError as error:
        assert str(os.getppid()) in str(error), error
    else:
        raise AssertionError("not refused")
    f.close()

def dropped():
    global f
    f = None

for act in (written, dropped, lambda: f.close(), lambda: None):
    finds(by_fork(act).problem())
f.write(b"parent")
f.close()
assert stored == [b"parent"], stored
""",
        address,
        reset,
    )


def test_without_opting_in_reading_is_refused_until_the_filesystem_was_reset(address):
    program(
        """
FS.cls = Buffered
fs = FS()
f = fs.open("a")
f.read(10)

def refused():
    try:
        f.read(1)
    except ForkError:
        assert not f.closed and f.path == "a"
        fs.reset_loop()
        assert f.read(10) == expected[10:20]
        return
    raise AssertionError("not refused")

finds(by_fork(refused).problem())
finds(by_fork(lambda: None).problem())
assert f.read(10) == expected[10:20]
""",
        address,
        "0",
    )


def test_a_childs_child_and_threads_of_a_child(address):
    program(
        """
import threading
FS.cls = Buffered
f = FS().open("a")
f.read(10)

def grandchild():
    assert f.read(10) == expected[20:30]

def child():
    finds(by_fork(grandchild_of_unused).problem())
    assert f.read(10) == expected[10:20]
    finds(by_fork(grandchild).problem())
    assert f.read(10) == expected[20:30]
    wrong = []
    def ask():
        try:
            assert f.size == 100_000
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not wrong, wrong

def grandchild_of_unused():
    assert f.read(10) == expected[10:20]

finds(by_fork(child).problem())
assert f.read(10) == expected[10:20]
""",
        address,
        "1",
    )


def test_hooks_run_no_code_of_others(address):
    program(
        """
seen = []
class Loud(Plain):
    def __init_subclass__(cls, **kwargs):
        seen.append(cls)
    def __setattr__(self, name, value):
        seen.append(name)
        object.__setattr__(self, name, value)

FS.cls = Loud
f, g = FS().open("a"), FS().open("a", "wb")
del seen[:]
def child():
    assert not seen, seen
    for one in (f, g):
        one.close()
        assert one.closed
finds(by_fork(child).problem())
assert f.read(10) == expected[:10]
""",
        address,
        "1",
    )


def test_memory_of_others_stays_usable(address):
    """What holds no connection is the child's own copy."""
    program(
        """
class Memory(io.BytesIO):
    pass
class Lines:
    def __init__(self): self.lines = iter([b"1", b"2"])
    def readline(self): return next(self.lines)
FS.cls = lambda self, fs, path, mode: Memory(expected) if path == "a" else Lines()
f, g = FS().open("a"), FS().open("b")
def child():
    assert f.read() == expected and g.readline() == b"1"
finds(by_fork(child).problem())
""",
        address,
        "0",
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_closing_a_copy_runs_nothing_of_its_class(address, reset):
    """Though the file holds nothing of its own, and needs its filesystem to close, as that of gcsfs does."""
    program(
        """
class Own(spec.AbstractBufferedFile):
    fetched = 0
    def _fetch_range(self, start, end):
        self.fetched += 1
        self.fs.loop
        return expected[start:end]
    def close(self):
        self.fs.loop  # touches the filesystem
        super().close()
FS.cls = lambda self, fs, path, mode: Own(fs, path, mode, cache_type="readahead", block_size=1000)
f = FS().open("a")
f.read(10)
def closes():
    with f:
        pass
    assert f.closed
def reads():
    if os.environ["FSSPEC_FORK_RESET"] == "1":
        assert f.read(10) == expected[10:20] and f.fetched == 1
        f.seek(50_000)
        assert f.read() == expected[50_000:]
        return f.close()
    try:
        f.read(10)
    except ForkError:
        return
    raise AssertionError("not refused")
for act in (closes, lambda: f.close(), lambda: None, reads):
    finds(by_fork(act).problem())
assert f.read(10) == expected[10:20]
f.close()
""",
        address,
        reset,
    )


@pytest.mark.parametrize("reset", ["0", "1"])
@pytest.mark.parametrize(
    "held",
    [
        "connect()",
        "connect().makefile('rb')",
        "{'client': [types.SimpleNamespace(transport=connect())]}",
        "http_client()",
    ],
)
def test_what_a_buffered_file_holds_is_seen(held, reset, address):
    """Where its class brings no method but that which fetches."""
    program(
        f"""
import http.client, types
from fsspec.implementations.memory import MemoryFileSystem

made = []
def connect():
    made.append(socket.create_connection((host, int(port))))
    return made[-1]
def http_client():
    made.append(http.client.HTTPConnection(host, int(port)))
    made[-1].connect()
    return made[-1]

class Holding(spec.AbstractBufferedFile):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, size=100_000, block_size=1000, cache_type="readahead", **kwargs)
        self.made_in, self.held = os.getpid(), {held}
    def _fetch_range(self, start, end):
        return expected[start:end]

class Toy(MemoryFileSystem):
    protocol, cachable = "held", False
    def _open(self, path, mode="rb", **kwargs):
        return Holding(self, path, mode)

f = Toy().open("a")
assert f.read(10) == expected[:10]
def used():
    try:
        assert f.read(10) == expected[10:20] and f.made_in == os.getpid() and {reset} == 1
    except ForkError:
        assert {reset} == 0
for act in (used, lambda: f.close(), lambda: None):
    finds(by_fork(act).problem())
assert f.read(10) == expected[10:20]
f.held = None
for connection in made:
    connection.close()
""",
        address,
        reset,
    )


def test_a_file_that_holds_nothing_needs_no_opt_in(address):
    """Though its class closes it by a method of its own, as upstream's that read through a cache do."""
    program(
        """
from fsspec.implementations.memory import MemoryFileSystem

class Own(spec.AbstractBufferedFile):
    def _fetch_range(self, start, end):
        return expected[start:end]
    def close(self):
        closed.append(os.getpid())
        super().close()

class Toy(MemoryFileSystem):
    protocol, cachable = "own", False
    def _open(self, path, mode="rb", **kwargs):
        return Own(self, path, mode, size=100_000, block_size=1000)

closed = []
f, unused = Toy().open("a"), Toy().open("b")
assert f.read(10) == expected[:10]
def used():
    assert (f.tell(), f.read(10)) == (10, expected[10:20])
    unused.close()
    assert not closed
    f.close()
    assert closed == [os.getpid()]
for act in (used, lambda: None):
    finds(by_fork(act).problem())
assert f.read(10) == expected[10:20]
""",
        address,
        "0",
    )
