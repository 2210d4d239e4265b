"""Connections on which a request is interrupted, or met by another request of the same thread."""

from __future__ import annotations

import os

import pytest

import fsspec
from fsspec.callbacks import Callback
from fsspec.tests.programs import run
from fsspec.tests.test_interrupts import AT_ANY_MOMENT

NAMES = {"ftp": "/", "sftp": "/", "smb": "/share/"}
DATA = bytes(range(256)) * 500
no_ftp = pytest.mark.parametrize("kind", ["sftp", "smb"], indirect=True)
"""It has no condition variables, and no remote files that are open."""


@pytest.fixture(params=["ftp", "sftp", "smb"])
def kind(request):
    if request.param == "smb":
        pytest.importorskip("smbclient")
        pytest.importorskip("impacket")
    else:
        pytest.importorskip("pyftpdlib" if request.param == "ftp" else "paramiko")
    return request.param


@pytest.fixture
def server(kind, request):
    found = request.getfixturevalue(f"{kind}_server")
    with open(os.path.join(found.folder, "file"), "wb") as f:
        f.write(DATA)
    return found


@pytest.fixture
def program(kind, server):
    """Runs a program that has ``fs``, ``path`` and ``within``, which calls a function in a request."""
    beginning = f"""
    import faulthandler, gc, logging, sys, warnings
    import fsspec

    warnings.simplefilter("ignore")

    faulthandler.dump_traceback_later(50, exit=True)
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    logging.getLogger("smbprotocol").addHandler(logging.NullHandler())
    kind, root, data = {kind!r}, {NAMES[kind]!r}, bytes(range(256)) * 500
    fs = fsspec.filesystem(kind, **{server.options!r})
    path, link = root + "file", fs._server_link
    assert fs.cat_file(path) == data

    def within(work):
        "Call it in the middle of a request, of which locks of the client are held."
        if kind == "ftp":
            return link.run(lambda ftp: (ftp.putcmd("NOOP"), work(), ftp.getresp())[1])
        if kind == "sftp":
            def locked(sftp):
                with sftp._lock:
                    return work()
            return link.run(locked)
        [connection] = link.connections.values()

        def locked():
            with connection.sequence_lock:
                return work()
        return link.exclusive(locked)

    def take_lock():
        "For good, as an interrupt does."
        if kind == "sftp":
            link.run(lambda sftp: (sftp._lock.acquire(), interrupt()))
        elif kind == "smb":
            [connection] = link.connections.values()
            link.exclusive(lambda: (connection.sequence_lock.acquire(), interrupt()))
        else:
            link.run(lambda ftp: (ftp.putcmd("SIZE /file"), interrupt()))

    def interrupt():
        raise KeyboardInterrupt

    def interrupted(call):
        try:
            call()
        except KeyboardInterrupt:
            return True

    def usable():
        return fs.cat_file(path, 5, 100_000) == data[5:100_000] and fs.size(path) == len(data)
    """
    return lambda rest: run(beginning + rest)


def test_the_next_request_after_an_interrupt_is_answered(program):
    program("""
    for _ in range(3):
        assert interrupted(take_lock)
        assert usable()
    """)


def test_an_interrupt_that_meets_the_giving_up_after_another_is_no_harm(program):
    program("""
    def twice(*args):
        raise KeyboardInterrupt

    if kind == "ftp":
        link.ftp.close = twice
    elif kind == "sftp":
        link._cut_off = lambda *args: (type(link)._cut_off(link, *args), twice())
    else:
        [connection] = link.connections.values()
        abandon, link._abandon = link._abandon, twice
    assert interrupted(take_lock)
    if kind == "smb":
        link._abandon = abandon
    assert usable()
    """)


@no_ftp
def test_an_interrupt_that_a_condition_variable_hides_is_raised(program):
    program("""
    def hidden(*args):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")

    def exists(*args, **kwargs):
        if kind == "sftp":
            link.run(hidden)
        else:
            link.exclusive(hidden)

    assert interrupted(exists)
    assert fs.cat_file(path) == data
    """)


@no_ftp
def test_an_interrupted_closing_of_a_remote_file_is_no_harm(program):
    program("""
    file = fs.open(path, "rb", block_size=1000)
    file.read(10)
    [remote] = link.remotes
    if kind == "sftp":
        remote.close = lambda: (link_lock.acquire(), interrupt())
        link_lock = link.sftp._lock
    else:
        [connection] = link.connections.values()
        remote.close = lambda: (connection.sequence_lock.acquire(), interrupt())
    assert interrupted(file.close)
    assert usable()
    """)


@no_ftp
def test_what_a_signal_handler_raises_as_a_remote_file_is_closed_reaches_the_program(program):
    program("""
    class Late(Exception):
        pass

    def late():
        raise Late

    file = fs.open(path, "rb", block_size=1000)
    file.read(10)
    [remote] = link.remotes
    remote.close = late
    try:
        file.close()
    except Late:
        assert usable()
    else:
        raise AssertionError("it was swallowed")
    """)


def test_a_request_within_another_has_a_connection_of_its_own(program):
    program("""
    assert within(lambda: (fs.size(path), fs.cat_file(path, 7, 90_000))) == (len(data), data[7:90_000])
    assert within(lambda: within(lambda: fs.size(path)) if kind != "smb" else fs.size(path)) == len(data)
    assert fs.cat_file(path) == data
    """)


def test_what_a_finalizer_closes_within_a_request_is_stored(program):
    program("""
    def drop():
        for n in range(3):
            file = fs.open(f"{root}new{n}", "wb")
            file.write(data)
            file.itself = file
            del file
        reader = fs.open(path, "rb")
        reader.read(5)
        reader.itself = reader

    gc.disable()
    drop()
    within(gc.collect)
    assert [fs.cat_file(f"{root}new{n}") == data for n in range(3)] == [True] * 3
    assert not getattr(link, "remotes", ()) and not getattr(link, "_postponed", ())
    """)


def test_a_download_may_be_an_upload_to_the_same_server(kind, server, tmp_path):
    fs = fsspec.filesystem(kind, skip_instance_cache=True, **server.options)
    root, seen = NAMES[kind], []

    class Curious(Callback):
        def relative_update(self, inc: int = 1) -> None:
            seen.append(fs.size(root + "file"))

    with fs.open(root + "copy", "wb", block_size=2**16) as f:
        fs.get_file(root + "file", f, callback=Curious())
    assert fs.cat_file(root + "copy") == DATA and set(seen) == {len(DATA)}
    (tmp_path / "local").write_bytes(DATA)
    fs.put_file(str(tmp_path / "local"), root + "new", callback=Curious())
    assert fs.cat_file(root + "new") == DATA and set(seen) == {len(DATA)}


def test_an_interrupt_leaves_the_idle_connections_of_a_session_usable():
    pytest.importorskip("requests")
    run(
        AT_ANY_MOMENT
        + """
    import faulthandler
    from fsspec.implementations._http.sync_session import _POOLS

    faulthandler.dump_traceback_later(50, exit=True)
    pool = _POOLS["http"]("127.0.0.1", 1, maxsize=2)

    def use():
        for _ in range(20):
            pool._put_conn(pool._get_conn())

    for _ in interrupted(use, 1500, within=1e-4):
        pass
    pool.close()
    """
    )
