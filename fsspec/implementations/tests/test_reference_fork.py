"""What becomes of references in a forked child, and of the parent's afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("aiohttp")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")

DATA = bytes(range(256)) * 8

HEAD = """
import asyncio, gc, json, os, sys
import fsspec
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
from fsspec.implementations.reference import LazyReferenceMapper, ReferenceFileSystem

DATA = bytes(range(256)) * 8

def well(report):
    problem = report.problem()
    assert not problem, problem

def refuses(use):
    try:
        use()
    except ForkError as error:
        assert "fork-safe" in str(error), error
    else:
        raise AssertionError("it did not refuse")

def references(url):
    parts = {"a": [url, 10, 20], "b": [url, 40, 10], "far": [url, 1500, 10], "w": [url]}
    return {**parts, "i": "inline", "d/x": b""}

def check(fs):
    assert fs.cat(["a", "b", "far", "i"]) == {
        "a": DATA[10:30], "b": DATA[40:50], "far": DATA[1500:1510], "i": b"inline"
    }
    assert fs.cat_file("w", 0, 5) == DATA[:5]
    assert (fs.size("w"), fs.isdir("d"), fs.find("d")) == (len(DATA), True, ["d/x"])
"""


def run(script, *args, opted_in=True):
    """Run a script that forks, under a watchdog; it has to end well and in silence."""
    environment = {**os.environ}
    environment.pop("FSSPEC_FORK_RESET", None)
    if opted_in:
        environment["FSSPEC_FORK_RESET"] = "1"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(script), *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr and done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def url(http_server):
    http_server.files["/t"] = DATA
    http_server.clear()
    return http_server.url + "/t"


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    from fsspec.tests.servers.s3 import serve_s3

    with serve_s3() as address:
        yield address


def requested(http_server):
    return [(r.method, r.path, r.range) for r in http_server.requests]


# -- opted in ------------------------------------------------------------------


def test_an_inherited_instance_keeps_its_references(http_server, url, tmp_path):
    """The references are not read again, nor is anything of the parent's used."""
    http_server.files["/refs.json"] = b'{"version": 1, "refs": {"a": ["%s", 10, 20]}}' % url.encode()
    run(
        """
        fs = ReferenceFileSystem(sys.argv[1])
        fs.pipe_file("set", b"in the parent")
        assert fs.cat_file("a") == DATA[10:30]
        before = fs.references

        def child():
            assert fs.cat_file("a") == DATA[10:30]
            assert fs.cat("set") == b"in the parent"
            assert fs.references is before and fs._pid == os.getpid()
            fs.pipe_file("set", b"in the child")

        for _ in range(3):
            well(by_fork(child))
        assert fs.cat("set") == b"in the parent"
        assert fs.cat_file("a") == DATA[10:30]
        """,
        url.replace("/t", "/refs.json"),
    )
    asked = requested(http_server)
    assert [r for r in asked if r[1] == "/refs.json" and r[0] == "GET"] == [("GET", "/refs.json", None)]
    assert [r for r in asked if r[1] == "/t"] == [("GET", "/t", "bytes=10-29")] * 5
    # the parent's first connection was used on; each child had one of its own
    connections = [r.connection for r in http_server.requests if r.path == "/t"]
    assert connections[0] == connections[-1] and len(set(connections)) == 4


def test_everything_works_in_children_of_children(http_server, url):
    run(
        """
        fs = ReferenceFileSystem(references(sys.argv[1]), max_gap=100)
        check(fs)
        f = fs.open("a")
        assert f.read(5) == DATA[10:15]
        mapper = fs.get_mapper("")

        def child(depth=0):
            at = f.tell()
            assert f.read(3) == DATA[10 + at : 13 + at]
            assert mapper["b"] == DATA[40:50]
            check(fs)
            if depth < 2:
                well(by_fork(lambda: child(depth + 1)))
            check(fs)

        well(by_fork(child))
        check(fs)
        assert f.read() == DATA[15:30]
        """,
        url,
    )


def test_an_asynchronous_instance_is_awaited_in_a_child(http_server, url):
    run(
        """
        fs = ReferenceFileSystem(references(sys.argv[1]), asynchronous=True)

        async def read():
            assert await fs._cat(["a", "far"]) == {"a": DATA[10:30], "far": DATA[1500:1510]}

        loop = asyncio.new_event_loop()
        loop.run_until_complete(read())

        def child():
            async def both():
                await read()
                await fs.fss["http"]._session.close()
            asyncio.run(both())

        for _ in range(2):
            well(by_fork(child))
        loop.run_until_complete(read())
        loop.run_until_complete(fs.fss["http"]._session.close())
        loop.close()
        """,
        url,
    )
    assert len({r.connection for r in http_server.requests}) >= 3


@pytest.mark.parametrize("opted_in", [True, False])
def test_fork_inside_a_coroutine(http_server, url, opted_in):
    """Both kinds of instance, used in a run of asyncio that forks; the parent's run goes on."""
    run(
        """
        opted_in = os.environ.get("FSSPEC_FORK_RESET") == "1"
        blocking = ReferenceFileSystem(references(sys.argv[1]))
        fs = ReferenceFileSystem(references(sys.argv[1]), asynchronous=True, skip_instance_cache=True)
        wanted = {"a": DATA[10:30], "far": DATA[1500:1510]}

        async def read():
            assert await fs._cat(["a", "far"]) == wanted

        def child():
            if not opted_in:
                refuses(lambda: blocking.cat("a"))
                refuses(lambda: asyncio.run(read()))
                return
            check(blocking)

            async def both():
                await asyncio.gather(read(), read())
                await fs.fss["http"]._session.close()
            asyncio.run(both())

        async def main():
            await read()
            check(blocking)
            for _ in range(2):
                meanwhile = asyncio.ensure_future(fs._cat(["a", "far"]))
                await asyncio.sleep(0)
                pid = os.fork()
                if not pid:
                    well(by_fork(child))  # a child's child: it ends as programs do
                    child()
                    os._exit(0)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
                assert await asyncio.wait_for(meanwhile, 10) == wanted
                await asyncio.wait_for(read(), 10)
                check(blocking)
            await fs.fss["http"]._session.close()

        asyncio.run(main())
        """,
        url,
        opted_in=opted_in,
    )


def test_each_filesystem_of_targets_revives(http_server, url, s3, tmp_path):
    """Each filesystem of targets revives, those that block among them."""
    path = tmp_path / "local"
    path.write_bytes(DATA)
    run(
        """
        url, address, local = sys.argv[1:]
        from fsspec.tests.servers import s3
        options = s3.options(address, skip_instance_cache=True)
        store = fsspec.filesystem("s3", **options)
        store.mkdir("bucket-of-references")
        store.pipe_file("bucket-of-references/t", DATA)
        refs = {"h": [url, 1, 5], "s": ["s3://bucket-of-references/t", 100, 50],
                "s2": ["s3://bucket-of-references/t", 1000, 50], "l": ["file://" + local, 7, 3]}
        fs = ReferenceFileSystem(refs, fs={"s3": store, "http": {}, "file": {}})
        expected = {key: DATA[at : at + size] for key, (_, at, size) in refs.items()}
        assert fs.cat(list(refs)) == expected

        def child():
            assert fs.cat(list(refs)) == expected
            assert fs.cat_file("s") == expected["s"]
            assert fs.fss["s3"] is store
            assert store.cat_file("bucket-of-references/t", start=0, end=4) == DATA[:4]

        for _ in range(2):
            well(by_fork(child))
        assert fs.cat(list(refs)) == expected
        store.rm("bucket-of-references", recursive=True)
        """,
        url,
        s3,
        str(path),
    )


def test_fork_during_requests(http_server, url):
    http_server.fault("/t", delay=0.5)
    run(
        """
        import threading, time
        fs = ReferenceFileSystem({str(i): [sys.argv[1], i * 100, 10] for i in range(10)}, max_gap=0)
        found = []
        t = threading.Thread(target=lambda: found.append(fs.cat([str(i) for i in range(10)])))
        t.start()
        time.sleep(0.2)

        def child():
            assert fs.cat_file("3") == DATA[300:310]

        well(by_fork(child))
        t.join()
        assert found == [{str(i): DATA[i * 100 : i * 100 + 10] for i in range(10)}]
        """,
        url,
    )
    assert len(http_server.requests) == 11


def test_zarr_in_four_children(http_server):
    pytest.importorskip("zarr")
    import numpy

    data = numpy.arange(600, dtype="<i4").reshape(60, 10)
    http_server.files["/data.bin"] = data.tobytes()
    run(
        """
        import numpy, zarr
        data = numpy.arange(600, dtype="<i4").reshape(60, 10)
        array = {"shape": [60, 10], "chunks": [2, 10], "dtype": "<i4", "compressor": None,
                 "filters": None, "fill_value": 0, "order": "C", "zarr_format": 2}
        refs = {".zgroup": '{"zarr_format": 2}', "x/.zarray": json.dumps(array), "x/.zattrs": "{}"}
        refs.update({f"x/{i}.0": [sys.argv[1], i * 80, 80] for i in range(30)})
        fs = ReferenceFileSystem(refs, asynchronous=True)
        store = zarr.storage.FsspecStore(fs, read_only=True)
        x = zarr.open_group(store, mode="r", zarr_format=2)["x"]
        assert (x[:] == data).all()

        def child():
            assert (x[:] == data).all()
            assert (x[3:9, 2] == data[3:9, 2]).all()

        for _ in range(4):
            well(by_fork(child))
        assert (x[:] == data).all()
        os._exit(0)  # zarr leaves the session open
        """,
        http_server.url + "/data.bin",
    )
    assert {r.path for r in http_server.requests} == {"/data.bin"}


# -- not opted in --------------------------------------------------------------


def test_without_opting_in_its_target_refuses(http_server, url):
    run(
        """
        fs = ReferenceFileSystem(references(sys.argv[1]))
        check(fs)

        def child():
            refuses(lambda: fs.cat_file("a"))
            refuses(lambda: fs.cat(["a", "b"]))
            refuses(lambda: fs.open("a").read())
            assert fs.cat("i") == fs.open("i").read() == b"inline"
            assert len(fs.ls("")) == 6 and fs.isdir("d") and fs.size("a") == 20
            check(ReferenceFileSystem(references(sys.argv[1])))  # a new one works

        well(by_fork(child))
        check(fs)
        """,
        url,
        opted_in=False,
    )


@pytest.mark.parametrize("how", ["fs.reset_loop()", "fsspec.asyn.reset_after_fork()"])
@pytest.mark.parametrize("module", ["http", "http_sync"])
def test_after_a_reset_by_hand_targets_work(http_server, url, how, module):
    pytest.importorskip("requests")
    run(
        f"""
        from fsspec.implementations.{module} import HTTPFileSystem
        targets = HTTPFileSystem()
        fs = ReferenceFileSystem(references(sys.argv[1]), fs={{"http": targets}})
        check(fs)

        def child():
            {how}
            check(fs)

        well(by_fork(child))
        check(fs)
        if hasattr(targets, "session"):
            targets.session.close()
        """,
        url,
        opted_in=False,
    )


# -- what was set in the parent ------------------------------------------------


@pytest.mark.parametrize("opted_in", [True, False])
def test_tables_are_the_parents_to_write(tmp_path, opted_in):
    pytest.importorskip("fastparquet")
    target = tmp_path / "t"
    target.write_bytes(DATA)
    root = tmp_path / "refs"
    run(
        """
        root, url = sys.argv[1:]
        array = {"shape": [6], "chunks": [1], "dtype": "|u1", "compressor": None, "filters": None,
                 "fill_value": 0, "order": "C", "zarr_format": 2}
        mapper = LazyReferenceMapper.create(root, record_size=3)
        mapper["x/.zarray"] = array
        mapper.flush()
        mapper["x/0"], mapper["x/1"] = [url, 0, 1], [url, 1, 1]
        fs = ReferenceFileSystem(mapper)
        assert fs.cat("x/1") == DATA[1:2]
        held = sorted(os.listdir(root))

        def child():
            global mapper, fs
            assert mapper["x/1"] == [url, 1, 1]
            refuses(lambda: mapper.__setitem__("x/2", b""))  # it would write the table
            refuses(lambda: mapper.__delitem__("x/0"))
            refuses(mapper.flush)
            refuses(lambda: mapper.write("x", 0))
            again = LazyReferenceMapper(root)
            assert "x/0" not in again
            if os.environ.get("FSSPEC_FORK_RESET"):
                assert fs.cat("x/1") == DATA[1:2]
                refuses(lambda: fs.pipe_file("x/2", b""))
            del mapper, fs
            gc.collect()
            assert sorted(os.listdir(root)) == held

        for _ in range(2):
            well(by_fork(child))
        mapper["x/2"] = b"3"  # the table is full now
        mapper.flush()
        assert [LazyReferenceMapper(root)[f"x/{i}"] for i in range(3)] == [[url, 0, 1], [url, 1, 1], b"3"]
        """,
        str(root),
        target.as_uri(),
        opted_in=opted_in,
    )
    assert sorted(p.name for p in (root / "x").iterdir()) == ["refs.0.parq"]


def test_tables_behind_a_server(http_server, tmp_path):
    """Loaded tables are not asked for again in a child; others are, by its own connection."""
    pytest.importorskip("fastparquet")
    from fsspec.implementations.reference import LazyReferenceMapper

    root = tmp_path / "refs"
    mapper = LazyReferenceMapper.create(str(root), record_size=3)
    mapper["x/.zarray"] = {"shape": [6], "chunks": [1]}
    url = http_server.url + "/t"
    http_server.files["/t"] = DATA
    for i in range(6):
        mapper[f"x/{i}"] = [url, i, 1]
    mapper.flush()
    for path in root.rglob("*"):
        if path.is_file():
            http_server.files["/r/" + path.relative_to(root).as_posix()] = path.read_bytes()
    run(
        """
        fs = ReferenceFileSystem(sys.argv[1])
        assert fs.cat("x/1") == DATA[1:2]

        def child():
            assert fs.cat_file("x/2") == DATA[2:3]
            assert fs.cat(["x/3", "x/5"]) == {"x/3": DATA[3:4], "x/5": DATA[5:6]}

        well(by_fork(child))
        assert fs.cat("x/4") == DATA[4:5]
        """,
        http_server.url + "/r",
    )
    tables = [r for r in requested(http_server) if r[1].startswith("/r/x/")]
    assert [r[1] for r in tables if r[0] == "GET"] == [
        "/r/x/refs.0.parq",
        "/r/x/refs.1.parq",  # the child's
        "/r/x/refs.1.parq",  # the parent's
    ]
