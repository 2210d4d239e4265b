"""Hadoop's REST interface, over a server that speaks it; see `fsspec.tests.servers.webhdfs`."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import socket

import pytest

requests = pytest.importorskip("requests")

from fsspec.implementations.webhdfs import WebHDFS
from fsspec.tests.programs import run
from fsspec.tests.servers.webhdfs import WebHDFSServer

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**18))


@pytest.fixture
def server():
    with WebHDFSServer() as server:
        os.makedirs(os.path.join(server.folder, "d/sub"))
        for name, data in (("d/a b%.txt", b"hello world"), ("big", BIG)):
            with open(os.path.join(server.folder, name), "wb") as f:
                f.write(data)
        yield server


@pytest.fixture
def fs(server):
    fs = WebHDFS(**server.options, skip_instance_cache=True)
    yield fs
    fs.session.close()


def got(server, path):
    with open(os.path.join(server.folder, path), "rb") as f:
        return f.read()


def test_a_url_gives_a_path_and_options():
    url = "webhdfs://me:pw@h:1/a/b/"
    assert WebHDFS._strip_protocol(url) == "/a/b"
    assert WebHDFS._get_kwargs_from_urls(url) == {"host": "h", "port": 1, "user": "me", "password": "pw"}
    who = {"user": "me"}, {"proxy_to": "x"}  # a token says these
    for wrong in ({"kerberos": True, "user": "me"}, {"password": "x"}, *({"token": "t", **w} for w in who)):
        with pytest.raises(ValueError):
            WebHDFS("h", **wrong, skip_instance_cache=True)


class OwnSession(WebHDFS):
    def _connect(self):
        self.session = requests.Session()
        self.session.headers["X-Gateway"] = "me"
        self.asked = []
        self.session.hooks["response"].append(lambda response, **kw: self.asked.append(response.url))


def test_a_derived_class_makes_the_session(server):
    fs = OwnSession(**server.options, skip_instance_cache=True)
    assert type(fs.session) is requests.Session
    fs.pipe_file("/new", BIG)
    assert got(server, "new") == BIG and fs.cat_file("/new", 5, 100) == BIG[5:100]
    assert len(fs.asked) > 3
    fs.session.close()


def test_listings_are_names_or_entries(server, fs):
    assert fs.ls("/d") == ["/d/a b%.txt", "/d/sub"]
    assert fs.ls("/d/a b%.txt") == ["/d/a b%.txt"]
    info = fs.info("/d/a b%.txt")
    assert (info["name"], info["size"], info["type"]) == ("/d/a b%.txt", 11, "file")
    assert fs.find("/") == ["/big", "/d/a b%.txt"]
    assert fs.isdir("/d") and not fs.exists("/nothing")
    for ask in (fs.ls, fs.info, fs.cat_file):
        with pytest.raises(FileNotFoundError, match="/nothing"):
            ask("/nothing")
    changed = os.stat(server.folder + "/big").st_mtime
    assert fs.modified("/big").timestamp() == pytest.approx(changed, abs=0.01)
    assert fs.modified("/big").tzinfo is fs.created("/big").tzinfo is None
    assert fs.content_summary("/")["fileCount"] == 2
    assert fs.home_directory() == "/user/me"


def test_files_are_read_whole_and_in_part(server, fs, tmp_path):
    assert fs.cat_file("/d/a b%.txt") == b"hello world"
    assert fs.cat_file("/big", 1000, 2000) == BIG[1000:2000]
    with fs.open("/big", block_size=2**14) as f:
        f.seek(500_000)
        assert f.read(100) == BIG[500_000:500_100]
        assert pickle.loads(pickle.dumps(f)).read(10) == BIG[500_100:500_110]
    fs.get_file("/big", str(tmp_path / "big"))
    assert (tmp_path / "big").read_bytes() == BIG
    WebHDFS.clear_instance_cache()


def test_a_namenode_that_has_the_data_itself(server, fs, tmp_path):
    """As HttpFS, which does not redirect what is read."""
    server.gateway()
    assert fs.cat_file("/big", 1000, 2000) == BIG[1000:2000]
    with fs.open("/big", block_size=2**14) as f:
        f.seek(500_000)
        assert f.read(100) == BIG[500_000:500_100]
    fs.get_file("/big", str(tmp_path / "big"))
    assert (tmp_path / "big").read_bytes() == BIG
    with fs.open("/d/a b%.txt") as f:
        opened = [r for r in server.requests if r.op == "OPEN"]
        assert f.read() == b"hello world"
        assert len([r for r in server.requests if r.op == "OPEN"]) == len(opened) + 1
    assert fs.ukey("/d/a b%.txt")["bytes"] == "11"
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.cat_file("/nothing")
    server.fault(short=1000)
    with pytest.raises(OSError, match="early"):
        fs.cat_file("/big")


def test_the_checksum_is_the_clusters(server, fs):
    assert fs.ukey("/d/a b%.txt")["bytes"] == "11"


def test_an_answer_that_is_too_short_is_an_error(server, fs, tmp_path):
    f = fs.open("/big")
    server.fault(short=1000)
    with pytest.raises(OSError, match="/big"):
        f.read()
    with pytest.raises(OSError, match="/big"):
        fs.get_file("/big", str(tmp_path / "big"))
    assert os.listdir(tmp_path) == []


def test_a_compression_is_not_gone_past(fs, tmp_path):
    fs.pipe_file("/d/a.gz", gzip.compress(b"0123456789"))
    fs.get_file("/d/a.gz", tmp_path / "a", compression="gzip")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_files_are_written_and_appended_to_in_blocks(server, fs):
    with fs.open("/out", "wb", block_size=2**18) as f:
        for at in range(0, len(BIG), 100_000):
            f.write(BIG[at : at + 100_000])
    assert got(server, "out") == BIG
    with fs.open("/out", "ab") as f:
        f.write(b"more")
    assert got(server, "out") == BIG + b"more"
    fs.touch("/empty")
    assert got(server, "empty") == b""
    with pytest.raises(FileExistsError):
        with fs.open("/out", "xb") as f:
            f.write(b"")
    server.fault(no_append=True)
    with pytest.raises(OSError, match="disabled"):
        with fs.open("/half", "wb", block_size=10) as f:
            f.write(b"0123456789")
            f.write(b"0123456789")
    assert not fs.exists("/half")


def test_an_old_file_stays_if_nothing_was_written(server, fs):
    with socket.socket() as closed:  # nobody listens there
        closed.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        options = {**server.options, "data_proxy": lambda _: place}
        with pytest.raises(OSError):
            WebHDFS(**options, skip_instance_cache=True).pipe_file("/d/a b%.txt", b"new")
    assert got(server, "d/a b%.txt") == b"hello world"
    fs.mkdir("/none")
    with pytest.raises(OSError):
        fs.touch("/none")
    assert fs.isdir("/none")
    with pytest.raises(NotImplementedError, match="transaction"), fs.transaction:
        fs.open("/later", "ab")
    assert not fs.exists("/later")


def test_a_file_that_is_discarded_while_it_is_open_leaves_nothing(server, fs):
    fs.makedirs("/tmp")
    for data in (b"1", b"0123456789" * 3):
        with fs.open("/d/new", "wb", block_size=10, autocommit=False) as f:
            f.write(data)
            f.discard()
        assert fs.find("/tmp") == [] and not fs.exists("/d/new")


def test_a_transaction_shows_its_files_at_its_end_or_never(server, fs):
    fs.mkdir("/tmp")
    with fs.transaction:
        fs.pipe_file("/d/new", b"1")
        assert not fs.exists("/d/new")
    assert got(server, "d/new") == b"1"
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            fs.pipe_file("/d/newer", b"1")
            1 / 0
    assert fs.find("/tmp") == [] and not fs.exists("/d/newer")
    with fs.transaction:
        f = fs.open("/d/new", "wb")
        f.write(b"left open")
    f.close()
    assert got(server, "d/new") == b"left open"


def test_moving_and_removing(server, fs):
    fs.cp_file("/big", "/d/copy")
    assert got(server, "d/copy") == BIG
    fs.mv("/d/copy", "/moved")
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.mv("/nothing", "/x")
    with pytest.raises(OSError, match="/moved"):
        fs.mv("/big", "/moved")
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.rm("/nothing")
    with pytest.raises(FileExistsError):
        fs.makedirs("/d")
    with pytest.raises(FileExistsError, match="/big") as caught:
        fs.mkdir("/big")
    assert isinstance(caught.value, RuntimeError), "which programs catch"
    fs.makedirs("/d", exist_ok=True)
    fs.chmod("/big", "600")
    assert os.stat(server.folder + "/big").st_mode & 0o777 == 0o600
    fs.rm("/d", recursive=True)
    fs.rm_file("/moved")
    assert fs.find("/") == ["/big"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_session_of_a_derived_class_is_not_for_children(server):
    run(
        """
        import json, os, socket
        import requests
        from fsspec._checks.forked import by_fork
        from fsspec.implementations.webhdfs import WebHDFS

        calls, sockets = [], []

        class Own(WebHDFS):
            def _connect(self):
                calls.append(os.getpid())
                self.session = requests.Session()

        fs = Own(**json.loads(os.environ["OPTIONS"]))
        big, session = fs.cat_file("/big"), fs.session
        for name in os.listdir("/proc/self/fd"):
            try:
                with socket.socket(fileno=os.dup(int(name))) as s:
                    sockets.append((int(name), s.getpeername()))
            except OSError:
                pass
        assert sockets

        def child():
            for number, peer in sockets:
                with socket.socket(fileno=os.dup(number)) as s:
                    try:
                        assert s.getpeername() != peer, "the parent's connection"
                    except OSError:
                        pass
            assert fs.cat_file("/big", 5, 10) == big[5:10]
            assert calls[1:] == [os.getpid()] and fs.session is not session
            fs.session.close()

        report = by_fork(child)
        assert not report.problem(), report.problem()
        assert fs.session is session and fs.cat_file("/big", 5, 10) == big[5:10]
        assert calls == [os.getpid()]
        fs.session.close()
        """,
        OPTIONS=json.dumps(server.options),
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_a_child_makes_a_session_of_its_own(server):
    run(
        """
        import gc, json, os
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        from fsspec.implementations.webhdfs import WebHDFS

        fs = WebHDFS(**json.loads(os.environ["OPTIONS"]))
        big = fs.cat_file("/big")
        f = fs.open("/big", block_size=1000)
        assert f.read(10) == big[:10]
        g = fs.open("/out", "wb", block_size=1000)
        g.write(big[:1500])

        def child():
            f.seek(500_000)
            assert f.read(10) == big[500_000:500_010]
            try:
                g.write(b"x")
            except ForkError:
                pass
            else:
                raise AssertionError
            globals().pop("g")
            gc.collect()

        report = by_fork(child)
        assert not report.problem(), report.problem()
        assert f.read(10) == big[10:20]
        g.write(big[1500:2000])
        g.close()
        assert fs.cat_file("/out") == big[:2000]
        """,
        OPTIONS=json.dumps(server.options),
        FSSPEC_FORK_RESET="1",
    )
    assert len({request.port for request in server.requests}) == 2


def test_nothing_is_written_over_what_cannot_be_seen(server, fs):
    server.fault(no_status=True)
    assert not fs.exists("/big")
    with pytest.raises(OSError, match="safe mode"), fs.open("/big", "ab") as f:
        f.write(b"more")
    with pytest.raises(OSError, match="safe mode"):
        fs.pipe_file("/big", b"more", mode="create")
    assert got(server, "big") == BIG
