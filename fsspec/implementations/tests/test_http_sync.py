"""The blocking HTTP filesystem against a real server; see `fsspec.tests.servers.http`."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import textwrap

import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("aiohttp")  # the server's

import fsspec
from fsspec.implementations import http_sync
from fsspec.implementations.http_sync import HTTPFile, HTTPFileSystem, HTTPStreamFile, get_range
from fsspec.implementations.tests.remote import check_bars, check_size_refused
from fsspec.tests.programs import run

http_sync.unregister()  # the import put it in the place of the awaitable one

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**20))


@pytest.fixture
def fs():
    fs = HTTPFileSystem(skip_instance_cache=True)
    yield fs
    fs.session.close()


@pytest.fixture
def url(http_server):
    http_server.files["/big.bin"] = BIG
    http_server.files["/small.txt"] = b"alpha\nbeta\ngamma\n"
    return http_server.url


def test_get_file_of_a_missing_folder_raises(fs, url, tmp_path):
    with pytest.raises(FileNotFoundError, match="none/"):
        fs.get_file(url + "/none/", f"{tmp_path}/new/")
    assert os.listdir(tmp_path) == []


def test_the_blocking_class_registers_and_goes_again():
    try:
        http_sync.register()
        assert fsspec.get_filesystem_class("https") is HTTPFileSystem
    finally:
        http_sync.unregister()
    assert fsspec.get_filesystem_class("https").__module__ == "fsspec.implementations.http"
    assert fsspec.get_filesystem_class("sync-https") is HTTPFileSystem


def test_info_is_one_head_request(http_server, fs, url):
    info = fs.info(url + "/small.txt")
    assert (info["name"], info["size"], info["type"]) == (url + "/small.txt", 17, "file")
    assert [r.method for r in http_server.requests] == ["HEAD"]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("what", ["info", "cat_file", "open", "ls"])
def test_a_refusal_is_a_permission_error(http_server, fs, url, status, what):
    http_server.fault("/big.bin", status=status)
    with pytest.raises(PermissionError) as caught:
        getattr(fs, what)(url + "/big.bin")
    assert isinstance(caught.value, requests.HTTPError)


@pytest.mark.parametrize("what", ["info", "cat_file", "open"])
def test_what_is_missing_is_file_not_found(fs, url, what):
    with pytest.raises(FileNotFoundError, match="/nothing"):
        getattr(fs, what)(url + "/nothing?secret=...")


@pytest.mark.parametrize(
    "start, end", [(0, 10), (5, 20), (-4, None), (None, -5), (-9, -3), (100, None), (3, 3), (9, 2), (50, 60)]
)
@pytest.mark.parametrize("ignored", [False, True])
def test_cat_file_slices(http_server, fs, url, start, end, ignored):
    if ignored:
        http_server.fault("/small.txt", ignore_range=True)
    assert fs.cat_file(url + "/small.txt", start, end) == b"alpha\nbeta\ngamma\n"[start:end]


def test_ranges_one_at_a_time(fs, url):
    got = fs.cat_ranges([url + "/big.bin", url + "/no"], [-3, -3], [None, None], batch_size=1)
    assert got[0] == BIG[-3:] and isinstance(got[1], FileNotFoundError)


def test_get_range_gives_the_bytes_of_a_range(fs, url):
    assert get_range(fs.session, url + "/small.txt", 2, 5) == b"pha"


@pytest.mark.parametrize("fault", ["truncate", "drop_after"])
def test_short_body_is_an_error(http_server, fs, url, tmp_path, fault):
    http_server.fault("/big.bin", **{fault: 100_000})
    with pytest.raises(OSError):
        fs.cat_file(url + "/big.bin")
    with pytest.raises(OSError):
        fs.get_file(url + "/big.bin", str(tmp_path / "x"))
    assert os.listdir(tmp_path) == []


def test_a_certificate_authority_of_ones_own(https_server):
    https_server.files["/a"] = b"a"
    fs = HTTPFileSystem(verify=https_server.ca_file, skip_instance_cache=True)
    assert fs.cat_file(https_server.url + "/a") == b"a"
    with pytest.raises(OSError, match="certificate verify failed"):
        HTTPFileSystem(skip_instance_cache=True).cat_file(https_server.url + "/a")


@pytest.mark.parametrize("fault", ["delay", "delay_body"])
@pytest.mark.parametrize("way", ["cat_file", "get_file", "open", "streamed"])
def test_a_timeout_names_the_url_and_what_sets_another_limit(http_server, url, fault, way, tmp_path):
    fs = HTTPFileSystem(timeout=0.2, skip_instance_cache=True)
    http_server.fault("/big.bin", **{fault: 3})
    secret = url.replace("://", "://me:hush@") + "/big.bin?sign=hush"
    ways = {
        "cat_file": lambda: fs.cat_file(secret),
        "get_file": lambda: fs.get_file(secret, str(tmp_path / "a")),
        "open": lambda: fs.open(secret).read(),
        "streamed": lambda: fs.open(secret, block_size=0).read(),
    }
    with pytest.raises(OSError, match="Read timed out.*; timeout= sets another") as caught:
        ways[way]()
    assert str(caught.value).startswith(f"{url}/big.bin?sign=...: ") and "hush" not in str(caught.value)


def test_files_go_up_and_down(http_server, fs, url, tmp_path):
    target = tmp_path / "x"
    fs.get_file(url + "/big.bin", str(target))
    assert target.read_bytes() == BIG
    fs.put_file(str(target), url + "/up", method="put")
    fs.put_file(io.BytesIO(b"abc"), url + "/up%3B2")
    assert http_server.requests[-1].target.endswith("/up%3B2")  # as it was given
    assert http_server.files["/up"] == BIG
    assert http_server.files["/up;2"] == b"abc"


def test_ls_and_glob(http_server, fs, url):
    http_server.files["/dir/"] = b'<a href="a.txt">a</a><a href="b/">b</a>'
    assert fs.ls(url + "/dir/", detail=False) == [url + "/dir/a.txt", url + "/dir/b/"]
    assert fs.glob(url + "/dir/*.txt") == [url + "/dir/a.txt"]
    assert fs.glob(url + "/dir/") == fs.ls(url + "/dir/", detail=False)


def test_a_file_is_read_from_anywhere_and_pickled(fs, url):
    with fs.open(url + "/big.bin", block_size=2**16) as f:
        assert isinstance(f, HTTPFile)
        assert f.read(10) == BIG[:10]
        f.seek(1_000_000)
        assert f.read(100_000) == BIG[1_000_000:1_100_000]
        g = pickle.loads(pickle.dumps(f))
        assert g.read(4) == BIG[1_100_000:1_100_004]
        f.seek(0)
        assert f.read() == BIG


@pytest.mark.parametrize("cache_type", ["bytes", "readahead", "blockcache", "first"])
def test_the_whole_of_a_file_without_ranges_is_one_request(http_server, fs, url, cache_type):
    http_server.fault("/big.bin", ignore_range=True)
    with fs.open(url + "/big.bin", block_size=2**16, cache_type=cache_type) as f:
        assert f.read() == BIG
        f.seek(1_000_000)
        assert f.read(10) == BIG[1_000_000:1_000_010]
    assert [request.method for request in http_server.requests] == ["HEAD", "GET"]
    with fs.open(url + "/big.bin", block_size=2**16, cache_type=cache_type) as f:
        assert f.read(10) == BIG[:10]
        f.seek(0)
        assert f.read() == BIG


@pytest.mark.parametrize("fault", [{"chunked": True, "ignore_range": True}, {"no_accept_ranges": True}])
def test_without_ranges_a_file_is_read_as_it_arrives(http_server, fs, url, fault):
    http_server.fault("/small.txt", **fault)
    with fs.open(url + "/small.txt") as f:
        assert isinstance(f, HTTPStreamFile)
        assert [f.read(3), f.tell(), f.readline()] == [b"alp", 3, b"ha\n"]
        with pytest.raises(ValueError, match="no way"):
            f.seek(0)
        assert list(f) == [b"beta\n", b"gamma\n"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_child_makes_connections_of_its_own(http_server, url):
    script = """
    import os, sys
    from fsspec._checks.forked import by_fork
    from fsspec.exceptions import ForkError
    from fsspec.implementations.http_sync import HTTPFileSystem

    url = sys.argv[1]
    fs = HTTPFileSystem()
    f = fs.open(url + "/big.bin", block_size=2**16)
    g = fs.open(url + "/big.bin", block_size=0)
    first = f.read(100), g.read(100)
    sockets = lambda: len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    def child():
        session = fs.session
        f.seek(200_000)
        assert len(f.read(100)) == 100
        assert fs.cat_file(url + "/small.txt")
        try:
            g.read(10)
        except ForkError:
            pass
        else:
            raise AssertionError
        g.close()

    report = by_fork(child)
    assert not report.problem(), report.problem()
    f.seek(300_000)
    f.read(100)
    assert len(g.read()) == 2**22 - 100
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), url],
        env={**os.environ, "FSSPEC_FORK_RESET": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    used = {r.connection for r in http_server.requests if r.path == "/big.bin"}
    assert len(used) == 3  # two of the parent, one of the child


FORKING = """
import gc, os, signal, sys, threading
from fsspec._checks.forked import by_fork
from fsspec.callbacks import Callback
from fsspec.implementations.http_sync import HTTPFileSystem

url, folder, ca = os.environ["PLACE"].split()
options = {"verify": ca} if ca != "-" else {}
fs = HTTPFileSystem(**options)
big = fs.cat_file(url + "/big.bin")
ends = {
    "nothing": "pass",
    "use": "assert len(fs.cat_file(url + '/small.txt')) == 17",
    "drop": "globals().pop('fs'); gc.collect()",
    "exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}

def fork(how):
    report = by_fork(lambda: exec(ends[how], globals()))
    if "exit" in how:
        assert (report.code, report.stderr) == (0, ""), (how, report)
    else:
        assert not report.problem(how == "kill"), (how, report.problem(how == "kill"))
"""


@pytest.fixture(params=["http", "https"])
def place(request):
    server = request.getfixturevalue(f"{request.param}_server")
    server.files["/big.bin"] = BIG
    server.files["/small.txt"] = b"alpha\nbeta\ngamma\n"
    return server


def forking(server, tmp_path, text):
    place = f"{server.url} {tmp_path} {server.ca_file or '-'}"
    run(FORKING + textwrap.dedent(text), PLACE=place, FSSPEC_FORK_RESET="1")


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")


@needs_fork
def test_fork_in_the_middle_of_transfers(place, tmp_path):
    """By callbacks, on whose stack the child ends."""
    forking(
        place,
        tmp_path,
        """
        class Forks(Callback):
            how = None

            def relative_update(self, inc=1):
                super().relative_update(inc)
                if self.how:
                    how, self.how = self.how, None
                    fork(how)

        target = os.path.join(folder, "target")
        for how in ends:
            callback = Forks()
            callback.how = how
            fs.get_file(url + "/big.bin", target, chunk_size=2**16, callback=callback)
            with open(target, "rb") as f:
                assert f.read() == big, how
            callback = Forks()
            callback.how = how
            fs.put_file(target, url + "/up-" + how.replace(".", ""), chunk_size=2**16, callback=callback)
        """,
    )
    for how in ("nothing", "use", "drop", "exit", "os_exit", "kill"):
        assert place.files[f"/up-{how}"] == BIG
    assert os.listdir(tmp_path) == ["target"]
    parent = {r.connection for r in place.requests if r.path == "/big.bin"}
    assert len(parent) == 1
    (own,) = [c for c in place.connections if c.number in parent]
    assert own.close_notify <= 1  # its own, at its end
    assert len(place.connections) == 3  # and one for each child that asked for something


@needs_fork
def test_fork_while_another_thread_reads(place, tmp_path):
    forking(
        place,
        tmp_path,
        """
        half, forked, failed = threading.Event(), threading.Event(), []

        class Waits(Callback):
            def relative_update(self, inc=1):
                half.set()
                forked.wait(30)

        def work():
            try:
                fs.get_file(url + "/big.bin", os.path.join(folder, "target"), callback=Waits())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert half.wait(30)
        for how in ends:
            fork(how)
        forked.set()
        thread.join()
        assert not failed, failed
        with open(os.path.join(folder, "target"), "rb") as f:
            assert f.read() == big
        """,
    )


@needs_fork
@pytest.mark.parametrize("busy", [False, True])
def test_the_server_sees_what_the_parent_closes(busy):
    """While a child lives on, whether the connection was idle or had a response to be read."""
    run(
        f"""
        import os
        from fsspec.implementations.http_sync import HTTPFileSystem
        from fsspec.tests.servers.http import HTTPServer
        from fsspec.tests.servers.process import until

        with HTTPServer() as server:
            server.files["/big.bin"] = bytes(2**24)
            fs = HTTPFileSystem()
            url = server.url + "/big.bin"
            f = fs.open(url, block_size=0) if {busy} else fs.cat_file(url)
            ready, go = os.pipe(), os.pipe()
            pid = os.fork()
            if not pid:
                os.write(ready[1], b"1")
                os.read(go[0], 1)
                os._exit(0)
            os.read(ready[0], 1)
            if {busy}:
                f.close()
            fs.session.close()
            until(lambda: all(c.fin or c.reset for c in server.connections), "the server sees the end")
            os.write(go[1], b"1")
            assert os.waitpid(pid, 0)[1] == 0
        """
    )


def test_limits_of_cat_are_not_for_listings(http_server, fs, url):
    http_server.files["/d/"] = b"<a href='/d/x'>x</a>"
    http_server.files["/d/x"] = b"0123"
    assert fs.cat(url + "/d/*", end=2) == {url + "/d/x": b"01"}
    assert fs.cat(url + "/d/", recursive=True, start=1)[url + "/d/x"] == b"123"
    fs.ls(url + "/d/", headers={"X-Mine": "y"}, refresh=True)
    assert http_server.requests[-1].headers["X-Mine"] == "y"


def test_that_ranges_are_refused_is_no_entry_of_info(http_server, fs, url):
    http_server.fault("/small.txt", headers={"Accept-Ranges": "none"})
    assert set(fs.info(url + "/small.txt")) == {"name", "size", "type"}


def test_a_download_to_a_folder_raises(fs, url, tmp_path):
    folder = str(tmp_path / "new") + os.sep
    with pytest.raises(FileNotFoundError, match="none"):
        fs.get_file(url + "/none", folder)
    with pytest.raises(IsADirectoryError):
        fs.get_file(url + "/small.txt", folder)
    assert os.listdir(tmp_path) == []
    fs.get(url + "/small.txt", folder)
    assert os.listdir(folder) == ["small.txt"]


def test_no_depth_of_a_pattern_is_refused(http_server, fs, url):
    http_server.files["/d/"] = b"<a href='/d/x'>x</a>"
    http_server.files["/r/"] = b"<a href='/r/d/'>d</a>"
    http_server.fault("/r/d", headers={"Content-Type": "text/html"})
    http_server.files["/r/d"] = b"<a href='/r/d/x'>x</a>"
    assert fs.glob(url + "/r/*/*", maxdepth=1) == [url + "/r/d/x"]  # it is for ** only
    assert fs.glob(url + "/d/*", maxdepth=0) == fs.glob(url + "/d/**", maxdepth=0) == [url + "/d/x"]


def test_tqdm_by_name_draws_the_bytes_of_one_file(http_server, fs, tmp_path, capsys):
    http_server.files["/eleven"] = b"hello world"
    url = http_server.url
    check_bars(fs, f"{url}/eleven", f"{url}/twelve", tmp_path, capsys, method="put")


def test_what_writes_is_put_file_alone(http_server, fs, url):
    for write in (lambda: fs.open(url + "/new", "wb"), lambda: fs.pipe_file(url + "/new", b"x")):
        with pytest.raises(NotImplementedError, match=r"put_file.*BytesIO") as caught:
            write()
        assert "pipe_file" not in str(caught.value)
    fs.put_file(io.BytesIO(b"x"), url + "/new")
    assert http_server.files["/new"] == b"x"


def test_a_size_of_0_that_only_head_gives_is_not_that_of_the_file(http_server, fs, url):
    """Some servers answer HEAD with the length of that answer, which is empty."""
    http_server.fault("/big.bin", content_length=0, methods=("HEAD",))
    assert fs.info(url + "/big.bin")["size"] == len(BIG)
    assert fs.cat_file(url + "/big.bin", -10, -5) == BIG[-10:-5]
    http_server.files["/none"] = b""
    assert fs.info(url + "/none")["size"] == 0


def test_a_size_of_0_from_head_of_what_get_refuses_is_not_known(http_server, fs):
    check_size_refused(http_server, fs)


@pytest.mark.parametrize("cache", [None, "simplecache", "filecache", "blockcache", "dir"])
@pytest.mark.parametrize("blocking", [True, False])
def test_what_is_missing_makes_no_folder_for_its_download(cache, blocking, fs, url, tmp_path):
    if not blocking and cache in (None, "dir"):
        pytest.skip("begins with its folders, as upstream's")
    fs = fs if blocking else fsspec.filesystem("http", skip_instance_cache=True)
    if cache is not None:
        options = {"path": url} if cache == "dir" else {"cache_storage": str(tmp_path / "cache")}
        fs = fsspec.filesystem(cache, fs=fs, **options)
    base = "" if cache == "dir" else url + "/"
    for source, target in (("none", "/new/x"), (["none"], "/new"), (["none", "none"], ["/new/a", "/new/b"])):
        to = [f"{tmp_path}{t}" for t in target] if isinstance(target, list) else f"{tmp_path}{target}"
        with pytest.raises(FileNotFoundError):
            fs.get([base + s for s in source] if isinstance(source, list) else base + source, to)
        assert {"cache"} >= set(os.listdir(tmp_path))
    fs.get([base + "small.txt"], str(tmp_path / "new/sub"))
    assert os.listdir(tmp_path / "new/sub") == ["small.txt"]


def test_a_download_to_a_name_with_a_slash_below_nothing(fs, url, tmp_path):
    with pytest.raises(FileNotFoundError):
        fs.get_file(url + "/small.txt", f"{tmp_path}/new/x/")
    assert os.listdir(tmp_path) == []
