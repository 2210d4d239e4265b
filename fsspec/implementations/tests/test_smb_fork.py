"""What a fork does to SMB: the child, the parent, and what the server saw.

The programs run in processes of their own. In each, ``fs`` is an instance that was used,
``BIG`` what the server has under ``/SHARE/big``.
"""

from __future__ import annotations

import json
import os
import textwrap

import pytest

pytest.importorskip("smbclient")
pytest.importorskip("impacket")  # the server's

from fsspec.implementations.tests.remote import SCRIPT, UPDATED_IN_A_CHILD
from fsspec.tests.programs import run
from fsspec.tests.servers.process import until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**21))

PRELUDE = (
    SCRIPT
    + """
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # smbprotocol's
import smbclient._pool

options, folder = json.loads(os.environ["SERVER"])
SMALL, LARGE = "/SHARE/small", "/SHARE/big"
fs = fsspec.filesystem("smb", **options)
assert fs.cat_file(SMALL) == b"hello world"

def refused(use):
    try:
        use()
    except ForkError as error:
        assert options["password"] not in str(error)
        return str(error)
    raise AssertionError("no error")

"""
)

ENDS = {
    "nothing": "pass",
    "drop": "globals().update(f=None, g=None, fs=None); gc.collect()",
    "close": "f.close(); g.close()",
    "leave": "f.__exit__(None, None, None); g.__exit__(None, None, None)",
    "discard": "g.discard()",
    "a new one": "assert fsspec.filesystem('smb', skip_instance_cache=True, **options).exists(SMALL)",
    "exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.fixture
def server(smb_server):
    for name, data in (("small", b"hello world"), ("big", BIG)):
        with open(os.path.join(smb_server.folder, name), "wb") as f:
            f.write(data)
    return smb_server


def program(server, text, opted=True):
    reported = json.dumps([server.options, server.folder])
    run(PRELUDE + textwrap.dedent(text), SERVER=reported, FSSPEC_FORK_RESET="1" if opted else "")


def test_where_opted_in_a_child_connects_anew(server):
    program(
        server,
        """
        f = fs.open(LARGE, block_size=2**16)
        assert f.read(100_000) == BIG[:100_000]

        def child():
            assert not connections(), connections()
            assert f.read(100_000) == BIG[100_000:200_000]
            f.seek(3_000_000)
            assert f.read(100) == BIG[3_000_000:3_000_100]
            assert fs.cat_file(SMALL) == b"hello world"
            assert fsspec.filesystem("smb", **options) is fs
            fs.pipe_file("/SHARE/from-child", b"1")
            assert len(connections()) == 1
            well(by_fork(grandchild))
            assert f.read(100) == BIG[3_000_100:3_000_200]

        def grandchild():
            assert not connections()
            assert f.read(100) == BIG[3_000_100:3_000_200]
            assert fs.cat_file(LARGE, -10) == BIG[-10:]
            assert len(connections()) == 1
            f.close()

        well(by_fork(child))
        well(by_fork(child))
        assert f.read(100_000) == BIG[100_000:200_000]
        assert fs.cat_file("/SHARE/from-child") == b"1"
        assert not smbclient._pool._SMB_CONNECTIONS  # which a child would end as it exits
        """,
    )
    assert len(server.connections) == 5
    until(lambda: not any(c.open for c in server.connections), "all connections are closed")


def test_a_derived_class_that_connects_in_its_own_way(server):
    """By smbclient's cache for all: it is used by this instance alone, and not by a child."""
    program(
        server,
        """
        import smbclient
        from fsspec.tests.servers.process import until

        class Own(fsspec.get_filesystem_class("smb")):
            def _connect(self):
                calls.append(os.getpid())
                sessions.append(smbclient.register_session(
                    self.host, username=options["username"], password=secret, port=self.port
                ))

        fs._server_link.disconnect()
        del fs
        calls, sessions, secret = [], [], options["password"]
        kept = smbclient.register_session(
            options["host"], username=options["username"], password=secret, port=options["port"]
        ).connection
        fs = Own(**{**options, "username": None, "password": None})
        f = fs.open(LARGE, block_size=2**16)
        assert f.read(100) == BIG[:100]
        mine = sessions[0].connection
        assert [*fs._server_link.connections.values()] == [mine] and mine is not kept

        def child():
            f.seek(10**6)
            assert f.read(100) == BIG[10**6 : 10**6 + 100]
            fs.pipe_file("/SHARE/from-child", b"1")
            assert calls[1:] == [os.getpid()]
            assert [*fs._server_link.connections.values()] == [sessions[1].connection]

        # that of the program itself is not for children; smbclient would wait for its thread at exit
        smbclient.delete_session(options["host"], port=options["port"])
        well(by_fork(child))
        well(by_fork(child))
        assert f.read(100) == BIG[100:200] and calls == [os.getpid()]
        assert fs.cat_file("/SHARE/from-child") == b"1"
        for connection in list(fs._server_link.connections.values()):
            connection.transport._sock.shutdown(socket.SHUT_RDWR)  # as where it is lost
            until(lambda: not connection.transport.connected, "the client knows")
        assert fs.cat_file(SMALL) == b"hello world" and calls == 2 * [os.getpid()]
        """,
    )


@pytest.mark.parametrize("opted", [True, False])
def test_a_file_that_is_read_and_written_is_the_parents(server, opted):
    program(server, "path = SMALL" + UPDATED_IN_A_CHILD, opted=opted)


def test_not_opted_in(server):
    program(
        server,
        """
        f = fs.open(LARGE, block_size=2**16)
        assert f.read(100) == BIG[:100]

        def child():
            assert not connections()
            far = lambda: f.seek(10**6) and f.read(10)
            for use in (lambda: fs.ls("/SHARE"), lambda: fs.cat_file(SMALL), far, far):
                assert "fork-safe" in refused(use)
            f.close()
            other = fsspec.filesystem("smb", **options)
            assert other is not fs
            assert other.cat_file(SMALL) == b"hello world"

        def by_hand():
            assert fsspec.asyn.reset_after_fork()
            f.seek(10**6)
            assert f.read(10) == BIG[10**6 : 10**6 + 10]
            assert fs.cat_file(SMALL) == b"hello world"

        def one():
            fs.reset_loop()
            assert fs.cat_file(SMALL) == b"hello world"
            assert f.read(100) == BIG[100:200]

        for body in (child, by_hand, one):
            well(by_fork(body))
        assert f.read(100) == BIG[100:200]
        assert fs.cat_file(SMALL) == b"hello world"
        """,
        opted=False,
    )
    assert len(server.connections) == 4


@pytest.mark.parametrize("opted", [True, False])
def test_whatever_the_child_does_the_parent_goes_on(server, opted):
    program(
        server,
        f"""
        ends, f = {ENDS!r}, None
        for how, what in ends.items():
            f = fs.open(LARGE, block_size=2**16)
            f.read(100)
            g = fs.open("/SHARE/out-" + how, "wb", block_size=2**16)
            g.write(BIG[:100_000])
            g.write(b"some more")

            def child():
                for use in (lambda: g.write(b"x"), g.flush, lambda: g.flush(force=True), g.commit):
                    refused(use)
                exec(what, globals())

            report = by_fork(child)
            if "exit" in how:
                assert (report.code, report.stderr) == (0, ""), report
            else:
                well(report, killed=how == "kill")
            assert fs.cat_file(SMALL) == b"hello world", how
            assert f.read(100) == BIG[100:200], how
            f.seek(5_000_000)
            assert f.read(100) == BIG[5_000_000:5_000_100], how
            g.write(b"!")
            g.close()
            assert stored("out-" + how) == BIG[:100_000] + b"some more!", how
            assert len(connections()) == 1
        """,
        opted=opted,
    )
    assert len(server.connections) == 2  # the parent's, and that of the child that asked for one


@pytest.mark.parametrize("commits", [True, False])
def test_a_transaction_stays_the_parents(server, commits):
    program(
        server,
        f"""
        def child():
            refused(lambda: g.write(b"x"))
            g.close()
            fs.end_transaction()
            gc.collect()

        fs.start_transaction()
        g = fs.open("/SHARE/out", "wb", block_size=1000)
        g.write(BIG[:1500])
        g.close()
        h = fs.open("/SHARE/other", "wb", block_size=1000)
        h.write(BIG[:1500])
        well(by_fork(lambda: (h.close(), globals().update(g=None, h=None, fs=None), gc.collect()) and None))
        assert sorted(n for n in os.listdir(folder) if not n.endswith(".part")) == ["big", "small"]
        h.close()
        fs.transaction.complete({commits})
        found = {{n: stored(n) for n in os.listdir(folder) if n not in ("big", "small")}}
        assert found == ({{"out": BIG[:1500], "other": BIG[:1500]}} if {commits} else {{}}), sorted(found)
        """,
    )
    assert len(server.connections) == 1


TRANSFER = """
target, what = json.loads(os.environ["TRANSFER"])
with open(target + "-source", "wb") as f:
    f.write(BIG)

def transfer(callback):
    if what == "download":
        fs.get_file(LARGE, target, callback=callback)
        with open(target, "rb") as f:
            assert f.read() == BIG
    else:
        fs.put_file(target + "-source", "/SHARE/up", callback=callback)
        assert stored("up") == BIG
"""


@pytest.fixture(params=["download", "upload"])
def transfer(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER", json.dumps([str(tmp_path / "target"), request.param]))
    yield request.param
    there = ["target", "target-source"] if request.param == "download" else ["target-source"]
    assert sorted(os.listdir(tmp_path)) == there


def test_in_the_middle_of_a_transfer(server, transfer):
    """The fork is made by a callback of the transfer, on whose stack the child ends."""
    program(
        server,
        TRANSFER
        + """
ends = {
    "nothing": "pass",
    "use": "assert fs.cat_file(SMALL) == b'hello world'",
    "collect": "gc.collect()",
    "exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}

class Forks(Callback):
    report = None

    def relative_update(self, inc=1):
        super().relative_update(inc)
        if self.report is None:
            assert 500_000 < self.value < len(BIG)
            self.report = by_fork(lambda: exec(end, globals()))

for how, end in ends.items():
    callback = Forks()
    transfer(callback)
    assert callback.value == len(BIG)
    if "exit" in how:
        assert (callback.report.code, callback.report.stderr) == (0, ""), callback.report
    else:
        well(callback.report, killed=how == "kill")
""",
    )
    assert len(server.connections) == 2


@pytest.mark.parametrize("opted", [True, False])
def test_a_child_that_goes_on_with_the_parents_transfer(server, transfer, opted):
    """It returns from the callback: the parent's transfer is as if nothing had been."""
    program(
        server,
        TRANSFER
        + """
pids = []

class Forks(Callback):
    def relative_update(self, inc=1):
        super().relative_update(inc)
        if not pids:
            pids.append(os.fork())
            if pids[0]:
                status = os.waitpid(pids[0], 0)[1]
                assert os.waitstatus_to_exitcode(status) == 7, status

try:
    transfer(Forks())
except ForkError:
    assert not pids[0]
    gc.collect()
    sys.exit(7)
assert pids[0]
assert fs.cat_file(SMALL) == b"hello world"
""",
        opted=opted,
    )


def test_another_thread_in_the_middle_of_requests(server, transfer):
    program(
        server,
        TRANSFER
        + """
failed, stop = [], threading.Event()

def work():
    try:
        while not stop.is_set():
            transfer(Callback())
    except BaseException as error:
        failed.append(error)
        raise

def use():
    assert not connections()
    assert fs.cat_file(SMALL) == b"hello world"
    gc.collect()

def drop():
    globals()["fs"] = None
    gc.collect()

thread = threading.Thread(target=work)
thread.start()
for child in (use, drop, lambda: None) * 2:
    time.sleep(0.03)
    well(by_fork(child))
stop.set()
thread.join()
assert not failed, failed
""",
    )
    assert len(server.connections) == 3


def test_the_server_sees_the_parents_end(smb_process):
    """The parent is killed, so that it closes no connection, while its child lives on."""
    run(
        """
        import os, signal, time, fsspec
        from fsspec.tests.servers.process import until
        from fsspec.tests.servers.smb import SMBServer

        with SMBServer() as server:
            ready, told = os.pipe()
            parent = os.fork()
            if not parent:
                fs = fsspec.filesystem("smb", **server.options)
                if not os.fork():
                    os.write(told, b"%d" % os.getpid())
                time.sleep(30)
                os._exit(0)
            child = int(os.read(ready, 100))
            try:
                assert [c.open for c in server.connections] == [True]
                os.kill(parent, signal.SIGKILL)
                os.waitpid(parent, 0)
                until(lambda: not server.connections[0].open, "the server sees the end")
            finally:
                os.kill(child, signal.SIGKILL)
        """
    )
