"""What the server sees of forks: close-notify, FIN, connections; and descriptors in the child."""

import json
import time

import pytest

from fsspec.tests.fork.scripts import run
from fsspec.tests.servers.http import HTTPServer

MODES = ["opted", "neither"]


@pytest.fixture(params=["http", "https"])
def server(request, places):
    """One of its own: connections are counted."""
    if request.param not in places:
        pytest.skip(f"no server for {request.param}")
    from fsspec.tests.fork.subjects import DATA, SLOW

    with HTTPServer(tls=request.param == "https") as server:
        for name, data in {**DATA, SLOW: DATA["data1.bin"]}.items():
            server.files[f"/{name}"] = data
        yield server


def whereabouts(server, places):
    found = {**places, "scheme": "https" if server.tls else "http"}
    found[found["scheme"]] = server.url
    if server.ca_file:
        found["ca"] = server.ca_file
    return found


CONNECTED = """
    scheme = places["scheme"]
    fs = fsspec.filesystem(scheme)
    fs.cat([url(name, scheme) for name in DATA])  # several connections
    f = fs.open(url("data0.bin", scheme), block_size=2**15)
    f.read(50_000)
"""


@pytest.mark.parametrize("mode", MODES)
def test_no_end_of_a_child_reaches_the_server(server, places, mode):
    out = run(
        CONNECTED
        + """
    box = [fs, f]

    from fsspec.implementations.http import HTTPFileSystem
    kept = HTTPFileSystem.close_session, fs.loop, fs._session  # as a finalizer of the program's may do

    def close():
        kept[0](*kept[1:])

    def close_all():
        f.close()
        try:
            fs._session
        except ForkError:
            assert not OPTED
            kept[0](asyn.get_loop(), kept[2])

    def drop():
        globals().pop("fs"), globals().pop("f"), globals().pop("kept"), box.clear()
        gc.collect()

    def collect_everything():
        from aiohttp import ClientResponse, ClientSession, TCPConnector
        for thing in gc.get_objects():
            if isinstance(thing, TCPConnector):
                thing._close()
            elif isinstance(thing, ClientResponse):
                thing.close()
        drop()

    for body in (lambda: None, drop, close, close_all, collect_everything):
        forked(body)
    for end in (lambda: os._exit(0), lambda: os.kill(os.getpid(), 9)):
        pid = os.fork()
        if not pid:
            end()
        os.waitpid(pid, 0)
    import urllib.request, ssl
    context = ssl.create_default_context(cafile=places.get("ca")) if scheme == "https" else None
    urllib.request.urlopen(url("data2.bin?children-are-done", scheme), context=context).read()
    answers(lambda: expect(f.read(), DATA["data0.bin"][50_000:], "the rest"))
    answers(lambda: [read(fs, name, scheme) for name in DATA])
    print(len(fs._session.connector._conns))
    """,
        whereabouts(server, places),
        mode,
    )
    assert int(out) >= 1
    requests = server.requests
    mark = next(i for i, r in enumerate(requests) if "children-are-done" in r.query)
    before = {r.connection for r in requests[:mark]}
    after = [r for r in requests[mark + 1 :] if r.method == "GET"]
    assert after and {r.connection for r in after} <= before, "the parent had to connect anew"


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sent_on_the_parents_connections(server, places, mode):
    """Asked while the parent still has them: no alert, no FIN, no reset."""
    run(
        CONNECTED
        + """
    def drop():
        globals().pop("fs"), globals().pop("f")
        gc.collect()

    def use():
        if OPTED:
            read(fs, scheme=scheme)
            f.read(100_000)
        else:
            refuses(lambda: read(fs, scheme=scheme))

    forked(drop)
    forked(lambda: None)
    forked(use)
    import urllib.request, ssl
    context = ssl.create_default_context(cafile=places.get("ca")) if scheme == "https" else None
    urllib.request.urlopen(url("data2.bin?look", scheme), context=context).read()
    os._exit(0)  # the parent itself says nothing
    """,
        whereabouts(server, places),
        mode,
    )
    requests = server.requests
    mark = next(i for i, r in enumerate(requests) if "look" in r.query)
    parents = {r.connection for r in requests if r.headers.get("User-Agent", "").startswith("Python/")}
    children = 1 if mode == "opted" else 0
    assert len(parents) >= 1 + children
    for connection in server.connections:
        if connection.number == requests[mark].connection:
            continue  # of the one who looks
        assert connection.close_notify <= children, connection
        assert not connection.reset or connection.number in parents
    alerts = [c for c in server.connections if c.close_notify]
    # urllib's own connection and, opted in, those that the child made itself
    assert len(alerts) <= 1 + children * 4


@pytest.mark.parametrize("mode", MODES)
def test_the_server_sees_the_parents_close_while_a_child_lives(server, places, mode):
    run(
        CONNECTED
        + """
    import select
    inside, outside = os.pipe()
    ready, started = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(started, b".")
        os.read(inside, 1)  # lives on
        os._exit(0)
    os.read(ready, 1)
    f.close()
    fs.close_session(fs.loop, fs._session)
    time.sleep(0.3)
    import urllib.request, ssl
    context = ssl.create_default_context(cafile=places.get("ca")) if scheme == "https" else None
    urllib.request.urlopen(url("data2.bin?closed", scheme), context=context).read()
    for _ in range(100):
        with open("/proc/net/tcp") as table:
            port = int(url("").split(":")[-1].strip("/")) if scheme == "http" else int(
                places["https"].split(":")[-1])
            rows = [line.split() for line in table.readlines()[1:]]
        mine = [row for row in rows if row[2].endswith(":%04X" % port) and row[3] == "01"]
        if not mine:
            break
        time.sleep(0.05)
    else:
        sys.exit("the kernel still has %d established connections" % len(mine))
    os.kill(pid, 0)  # the child lives yet
    os.write(outside, b".")
    assert os.waitpid(pid, 0)[1] == 0
    """,
        whereabouts(server, places),
        mode,
    )
    deadline = time.monotonic() + 5
    while any(c.open for c in server.connections) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(c.fin or c.reset for c in server.connections), server.connections


@pytest.mark.parametrize("mode", MODES)
def test_descriptors_stay_as_many_over_generations(places, mode):
    out = run(
        """
    from fsspec.tests.servers.s3 import options
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15, cache_type="background")
    f.read(100_000)
    s3 = fsspec.filesystem("s3", **options(places["s3"])) if "s3" in places else None
    if s3 is not None:
        s3.cat_file("bucket/data0.bin")
    counts = []

    def descend(left):
        counts.append(len(os.listdir("/proc/self/fd")))
        if OPTED or left == 10:
            read(fs)
            f.seek(0)
            expect(f.read(100_000), DATA["data0.bin"][:100_000], "file")
            if s3 is not None:
                s3.cat_file("bucket/data0.bin")
        else:
            refuses(lambda: read(fs))
            mine = fsspec.filesystem("http", skip_instance_cache=True)
            read(mine)
            keep.append(mine)
        counts.append(len(os.listdir("/proc/self/fd")))
        if left:
            pid = os.fork()
            if not pid:
                descend(left - 1)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        else:
            print(json.dumps(counts), flush=True)

    keep = []
    descend(10)
    """,
        places,
        mode,
    )
    counts = json.loads(out)
    assert len(counts) == 22
    first, later = max(counts[2:8]), max(counts[12:])
    assert later <= first + 6, counts


@pytest.mark.parametrize("mode", MODES)
def test_a_child_holds_no_connection_of_the_parent(places, mode):
    """Nor its epolls, nor wake-up pipes: looked at by what the descriptors lead to."""
    run(
        """
    import socket
    fs = fsspec.filesystem("http")
    fs.cat([url(name) for name in DATA])
    f = fs.open(url("data0.bin"), block_size=0)
    f.read(10)
    if "s3" in places:
        from fsspec.tests.servers.s3 import options
        s3 = fsspec.filesystem("s3", **options(places["s3"]))
        s3.cat_file("bucket/data0.bin")

    def links():
        found = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink("/proc/self/fd/" + fd)
            except OSError:
                continue
            if target.startswith("socket:"):
                found[fd] = target
        return found

    def epolls():
        return {fd for fd in os.listdir("/proc/self/fd") if is_epoll(fd)}

    def is_epoll(fd):
        try:
            return "eventpoll" in os.readlink("/proc/self/fd/" + fd)
        except OSError:
            return False

    parents = links()
    assert len(parents) >= 4, parents

    def look():
        held = {fd: link for fd, link in links().items() if link in parents.values()}
        for fd in held:
            with socket.socket(fileno=os.dup(int(fd))) as s:
                held[fd] = repr(s)
        assert not held, held
        for fd in epolls():  # one that is left is fresh: it watches nothing
            with open("/proc/self/fdinfo/" + fd) as info:
                assert "tfd:" not in info.read()
        return None

    forked(look)
    answers(lambda: read(fs))
    expect(f.read(), DATA["data0.bin"][10:], "the stream")
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", MODES)
def test_children_of_a_reading_parent_make_no_needless_connections(places, mode):
    """A fork costs the parent none of its connections, nor does one that never uses fsspec connect."""
    with HTTPServer() as server:
        from fsspec.tests.fork.subjects import DATA

        for name, data in DATA.items():
            server.files[f"/{name}"] = data
        run(
            """
        fs = fsspec.filesystem("http")
        read(fs)
        for _ in range(20):
            forked(lambda: None)
            read(fs)
            assert threading.active_count() <= 3, threading.enumerate()
        """,
            {**places, "http": server.url},
            mode,
        )
        assert len(server.connections) == 1, server.connections
