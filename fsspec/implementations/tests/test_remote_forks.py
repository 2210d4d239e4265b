"""What a fork does to the blocking network filesystems: the child, the parent, and what the server saw.

The programs run in processes of their own. In each, ``fs`` is an instance that was used,
``BIG`` what the server has under /big; ``told`` holds lines for the test.
"""

from __future__ import annotations

import json
import os
import textwrap

import pytest

from fsspec.implementations.tests.remote import SCRIPT, UPDATED_IN_A_CHILD
from fsspec.tests.programs import run
from fsspec.tests.servers.process import until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**21))

PRELUDE = (
    SCRIPT
    + """
protocol, options, folder = json.loads(os.environ["SERVER"])
fs = fsspec.filesystem(protocol, **options)
assert fs.cat_file("/small") == b"hello world"
"""
)


@pytest.fixture(params=["ftp", "ftps", "sftp"])
def server(request):
    found = request.getfixturevalue(f"{request.param}_server")
    for name, data in (("small", b"hello world"), ("big", BIG)):
        with open(os.path.join(found.folder, name), "wb") as f:
            f.write(data)
    return found


def program(server, text, opted=True):
    protocol = "sftp" if "look_for_keys" in server.options else "ftp"
    reported = json.dumps([protocol, server.options, server.folder])
    run(PRELUDE + textwrap.dedent(text), SERVER=reported, FSSPEC_FORK_RESET="1" if opted else "")


def test_where_opted_in_a_child_connects_anew(server):
    program(
        server,
        """
        f = fs.open("/big", block_size=2**16)
        assert f.read(100_000) == BIG[:100_000]

        def child():
            assert not connections(), connections()
            assert f.read(100_000) == BIG[100_000:200_000]
            f.seek(3_000_000)
            assert f.read(100) == BIG[3_000_000:3_000_100]
            assert fs.cat_file("/small") == b"hello world"
            fs.pipe_file("/from-child", b"1")
            assert len(connections()) == 1
            well(by_fork(grandchild))
            assert f.read(100) == BIG[3_000_100:3_000_200]

        def grandchild():
            assert not connections()
            assert f.read(100) == BIG[3_000_100:3_000_200]
            assert fs.cat_file("/big", -10) == BIG[-10:]
            assert len(connections()) == 1

        well(by_fork(child))
        well(by_fork(child))
        assert f.read(100_000) == BIG[100_000:200_000]
        assert fs.cat_file("/from-child") == b"1"
        """,
    )
    first, *others = server.connections
    assert len(others) == 4
    assert all(c.user == "user" for c in server.connections)
    until(lambda: not any(c.open for c in server.connections), "all connections are closed")


def test_not_opted_in(server):
    program(
        server,
        """
        f = fs.open("/big", block_size=2**16)
        assert f.read(100) == BIG[:100]

        def child():
            assert not connections()
            far = lambda: f.seek(10**6) and f.read(10)
            for use in (lambda: fs.ls("/"), lambda: fs.cat_file("/small"), far):
                try:
                    use()
                except ForkError as error:
                    assert "fork-safe" in str(error) and options["password"] not in str(error)
                else:
                    raise AssertionError("no error")
            f.close()
            other = fsspec.filesystem(protocol, **options, skip_instance_cache=True)
            assert other.cat_file("/small") == b"hello world"

        def by_hand():
            assert fsspec.asyn.reset_after_fork()
            f.seek(10**6)
            assert f.read(10) == BIG[10**6 : 10**6 + 10]
            assert fs.cat_file("/small") == b"hello world"

        well(by_fork(child))
        well(by_fork(by_hand))
        assert f.read(100) == BIG[100:200]
        assert fs.cat_file("/small") == b"hello world"
        """,
        opted=False,
    )
    assert len(server.connections) == 3


@pytest.mark.parametrize("opted", [True, False])
def test_a_file_that_is_read_and_written_is_the_parents(sftp_server, opted):
    with open(os.path.join(sftp_server.folder, "small"), "wb") as f:
        f.write(b"hello world")
    program(sftp_server, "path = '/small'" + UPDATED_IN_A_CHILD, opted)


IMPORTS = {"ftp": "import ftplib", "ftps": "import ftplib", "sftp": "import paramiko"}
OWN = {
    "ftp": """
                self.ftp = ftplib.FTP()
                self.ftp.connect(self.host, self.port)
                self.ftp.login(*self.cred)
    """,
    "ftps": """
                self.ftp = ftplib.FTP_TLS()
                self.ftp.connect(self.host, self.port)
                self.ftp.login(*self.cred)
                self.ftp.prot_p()
    """,
    "sftp": """
                self.client = paramiko.SSHClient()
                self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
                self.client.connect(self.host, **self.ssh_kwargs)
                self.ftp = self.client.open_sftp()
    """,
}
"""How derived classes connect, to be put into their method."""


@pytest.mark.parametrize("opted", [True, False])
def test_a_derived_class_that_connects_in_its_own_way(server, request, opted):
    kind = request.node.callspec.params["server"]
    program(
        server,
        f"""
        {IMPORTS[kind]}
        calls = []

        class Own(fsspec.get_filesystem_class(protocol)):
            def _connect(self):
                calls.append(os.getpid()){OWN[kind]}

        fs._server_link.close()
        options.pop("tls", None)
        fs = Own(**options)
        assert fs.cat_file("/small") == b"hello world"
        client, f = fs.ftp, fs.open("/big", block_size=2**16)
        assert f.read(100) == BIG[:100]
        opted = {opted}

        def child():
            assert not connections(), connections()
            if not opted:
                far = lambda: f.seek(10**6) and f.read(10)
                for use in (lambda: fs.cat_file("/small"), far, lambda: fs.ftp):
                    try:
                        use()
                    except ForkError:
                        pass
                    else:
                        raise AssertionError("no error")
                assert len(calls) == 1
                assert fsspec.asyn.reset_after_fork()
            f.seek(10**6)
            assert f.read(100) == BIG[10**6 : 10**6 + 100]
            fs.pipe_file("/from-child", b"1")
            assert calls[1:] == [os.getpid()] and fs.ftp is not client and len(connections()) == 1

        well(by_fork(child))
        well(by_fork(child))
        assert f.read(100) == BIG[100:200]
        assert fs.ftp is client and calls == [os.getpid()]
        assert fs.cat_file("/from-child") == b"1"
        """,
        opted=opted,
    )
    assert len(server.connections) == 4


ENDS = {
    "nothing": "pass",
    "use": "assert fs.cat_file('/small') == b'hello world'",
    "drop": "f = fs = None; globals().update(f=None, fs=None); gc.collect()",
    "close": "f.close()",
    "leave": "f.__exit__(None, None, None)",
    "os._exit": "os._exit(0)",
    "kill": "os.kill(os.getpid(), signal.SIGKILL)",
}


def test_a_file_that_is_written(server):
    ends = json.dumps(ENDS)
    program(
        server,
        f"""
        ends = {ends}
        for how, what in ends.items():
            f = fs.open("/out-" + how, "wb", block_size=2**16)
            f.write(BIG[:100_000])
            f.write(b"some more")

            def child():
                for refused in (lambda: f.write(b"x"), lambda: f.flush(), lambda: f.flush(force=True)):
                    try:
                        refused()
                    except ForkError:
                        continue
                    raise AssertionError("no error")
                exec(what, globals())

            report = by_fork(child)
            if how == "os._exit":
                assert (report.code, report.stderr) == (0, ""), report
            else:
                well(report, killed=how == "kill")
            f.write(b"!")
            f.close()
            assert stored("out-" + how) == BIG[:100_000] + b"some more!", how
        """,
    )
    assert len(server.connections) == 2  # the parent's, and that of the one child that used it


@pytest.mark.parametrize("what", ["download", "upload"])
def test_in_the_middle_of_a_transfer(server, tmp_path, what):
    """The fork is made by a callback of the transfer, on whose stack the child ends."""
    program(
        server,
        f"""
        ends = {{
            "nothing": "pass",
            "use": "assert fs.cat_file('/small') == b'hello world'",
            "collect": "gc.collect()",
            "exit": "sys.exit(0)",
            "os._exit": "os._exit(0)",
            "kill": "os.kill(os.getpid(), signal.SIGKILL)",
        }}
        target = {str(tmp_path / "target")!r}
        what = {what!r}
        source = target + "-source"
        with open(source, "wb") as f:
            f.write(BIG)
        parent = os.getpid()

        class Forks(Callback):
            def __init__(self, end, through):
                super().__init__()
                self.end, self.through, self.report = end, through, None

            def relative_update(self, inc=1):
                super().relative_update(inc)
                if self.report is None and self.value > 500_000:
                    self.report = False
                    report = by_fork(lambda: exec(self.end, globals()))
                    self.report = report

        for how, end in ends.items():
            callback = Forks(end, how)
            if what == "download":
                fs.get_file("/big", target, callback=callback)
                with open(target, "rb") as f:
                    assert f.read() == BIG, how
            else:
                fs.put_file(source, "/up", callback=callback)
                assert stored("up") == BIG, how
            assert callback.value == len(BIG)
            if "exit" in how:
                assert (callback.report.code, callback.report.stderr) == (0, ""), callback.report
            else:
                well(callback.report, killed=how == "kill")
        """,
    )
    assert len(server.connections) == 2
    there = ["target", "target-source"] if what == "download" else ["target-source"]
    assert sorted(os.listdir(tmp_path)) == there


@pytest.mark.parametrize("what", ["download", "upload"])
def test_a_child_that_goes_on_with_the_parents_transfer(server, tmp_path, what):
    """It returns from the callback: the transfer is refused there, and unharmed in the parent."""
    program(
        server,
        f"""
        target = {str(tmp_path / "target")!r}
        what = {what!r}
        with open(target + "-source", "wb") as f:
            f.write(BIG)
        pids = []

        class Forks(Callback):
            def relative_update(self, inc=1):
                super().relative_update(inc)
                if not pids and self.value > 500_000:
                    pids.append(os.fork())
                    if pids[0]:
                        status = os.waitpid(pids[0], 0)[1]
                        assert os.waitstatus_to_exitcode(status) == 7, status

        callback = Forks()
        try:
            if what == "download":
                fs.get_file("/big", target, callback=callback)
            else:
                fs.put_file(target + "-source", "/up", callback=callback)
        except ForkError:
            assert not pids[0]
            gc.collect()
            sys.exit(7)
        assert pids[0]
        with open(target if what == "download" else os.path.join(folder, "up"), "rb") as f:
            assert f.read() == BIG
        assert fs.cat_file("/small") == b"hello world"
        """,
    )
    assert len(server.connections) == 1


def test_another_thread_in_the_middle_of_a_transfer(server, tmp_path):
    program(
        server,
        f"""
        half, forked = threading.Event(), threading.Event()

        class Waits(Callback):
            def relative_update(self, inc=1):
                super().relative_update(inc)
                if self.value > 500_000 and not half.is_set():
                    half.set()
                    forked.wait(30)

        target = {str(tmp_path / "target")!r}
        failed = []

        def work():
            try:
                fs.get_file("/big", target, callback=Waits())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert half.wait(30)

        def use():
            assert not connections()
            assert fs.cat_file("/small") == b"hello world"
            gc.collect()

        def drop():
            globals()["fs"] = None
            gc.collect()

        for child in (use, drop, lambda: None):
            well(by_fork(child))
        forked.set()
        thread.join()
        assert not failed, failed
        with open(target, "rb") as f:
            assert f.read() == BIG
        """,
    )
    assert len(server.connections) == 2


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", ["FTPServer()", "FTPServer(tls=True)", "SFTPServer()"])
def test_the_server_sees_what_the_parent_closes(request, kind, own):
    """While a child, which may have a connection of its own, lives on; also where derived classes connect."""
    name = {"FTPServer()": "ftp", "FTPServer(tls=True)": "ftps", "SFTPServer()": "sftp"}[kind]
    request.getfixturevalue(f"{name}_process")  # skips where it cannot be
    run(
        f"""
        import os, fsspec
        {IMPORTS[name]}
        cls = fsspec.get_filesystem_class({"sftp" if name == "sftp" else "ftp"!r})

        class Own(cls):
            def _connect(self):
                pass{OWN[name]}

        from fsspec.tests.servers.{"sftp" if name == "sftp" else "ftp"} import {kind.partition("(")[0]}
        from fsspec.tests.servers.process import until

        with {kind} as server:
            with open(os.path.join(server.folder, "small"), "wb") as f:
                f.write(b"hello world")
            fs = {"Own" if own else "cls"}(**server.options)
            ready, go = os.pipe(), os.pipe()
            pid = os.fork()
            if not pid:
                assert fs.cat_file("/small") == b"hello world"
                os.write(ready[1], b"1")
                os.read(go[0], 1)
                os._exit(0)
            os.read(ready[0], 1)
            assert [c.open for c in server.connections] == [True, True]
            fs._server_link.close()
            until(lambda: not server.connections[0].open, "the server sees the end")
            assert server.connections[1].open
            os.write(go[1], b"1")
            assert os.waitpid(pid, 0)[1] == 0
            until(lambda: not server.connections[1].open, "that of the child ends with it")
        """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_child_seeks_in_nothing_that_its_parent_writes_over_sftp(sftp_process):
    run(
        """
        import os, fsspec
        from fsspec.exceptions import ForkError
        from fsspec.tests.servers.sftp import SFTPServer

        with SFTPServer() as server:
            fs = fsspec.filesystem("sftp", **server.options)
            f = fs.open("/new", "wb")
            f.write(b"0000data")
            f.seek(2)
            f.write(b"ab")
            pid = os.fork()
            if not pid:
                for change in (lambda: f.seek(0), lambda: f.truncate(0), lambda: f.write(b"q")):
                    try:
                        change()
                    except ForkError:
                        continue
                    os._exit(1)
                f.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            f.seek(0)
            f.write(b"Z")
            f.close()
            assert fs.cat("/new") == b"Z0abdata"
            assert len(server.connections) == 1
        """,
        FSSPEC_FORK_RESET="1",
    )
