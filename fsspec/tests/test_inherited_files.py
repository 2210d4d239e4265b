"""Whatever layers lie over a file being written, it refuses in a child, and the parent's becomes whole."""

import json
import os

import pytest

from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

PROGRAM = """
import fsspec, json, os
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError

kind, mode, codec, top = json.loads(os.environ["CASE"])
first, second = (b"first ", b"second") if mode == "b" else ("first ", "second")
path = top + "/object"

def opened(how):
    if kind == "url":
        return fsspec.open(path, how, compression=codec).open()
    if kind == "dir":
        fs, name = fsspec.filesystem("dir", path=top, fs=fsspec.filesystem("file")), "object"
    elif kind == "memory":
        fs, name = fsspec.filesystem("memory"), "/object"
    elif kind == "simplecache":
        fs, name = fsspec.filesystem("simplecache", target_protocol="file"), path
    else:
        fs, name = fsspec.filesystem("file"), path
    return fs.open(name, how, compression=codec)

def refused(f):
    for act in (lambda: f.write(first), lambda: f.writelines([first]), lambda: f.flush()):
        try:
            act()
        except ForkError as error:
            assert str(os.getppid()) in str(error), error
        else:
            raise AssertionError("not refused")
    f.close()

def used(f):  # the child's own copy: nobody else has this memory
    f.write(second)
    f.close()

f = opened("w" + mode)
f.write(first)
for act in (refused if kind != "memory" or codec else used, lambda f: None, lambda f: f.close()):
    problem = by_fork(lambda: act(f)).problem()
    assert not problem, problem
f.write(second)
f.close()
with opened("r" + mode) as f:
    assert f.read() == first + second
"""


@pytest.mark.parametrize("reset", ["1", "0"])
@pytest.mark.parametrize("codec", [None, "gzip", "bz2", "zip"])
@pytest.mark.parametrize("mode", ["b", "t"])
@pytest.mark.parametrize("kind", ["url", "file", "dir", "memory", "simplecache"])
def test_layers_over_a_file_being_written(kind, mode, codec, reset, tmp_path):
    run(
        PROGRAM,
        CASE=json.dumps([kind, mode, codec, str(tmp_path)]),
        FSSPEC_FORK_RESET=reset,
        TMPDIR=str(tmp_path),
    )


START = """
import fsspec, io, os
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError

path = os.environ["TOP"] + "/object"

def refused(act):
    try:
        act()
    except ForkError as error:
        assert str(os.getppid()) in str(error), error
    else:
        raise AssertionError("not refused")

def forked(body):
    problem = by_fork(body).problem()
    assert not problem, problem
"""


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_what_lies_below_a_local_file_refuses_as_well(mode, tmp_path):
    """The raw file, and the buffer, each as the parent held it and as the child comes to it."""
    run(
        START
        + f"""
with open(path, "wb") as whole:
    whole.write(b"0123456789")
f = fsspec.filesystem("file").open(path, {mode!r})
"""
        + """
f.write(b"abc")
f.flush()
size = os.stat(path).st_size
raw, buffer = f.f.raw, f.f

def child():
    for each in (raw, f.raw, f.f.raw):
        refused(lambda: each.truncate(0))
        refused(lambda: each.write(b"x"))
    refused(lambda: f.truncate(0))
    refused(lambda: f.f.write(b"x"))
    refused(lambda: f.f.truncate(0))
    refused(lambda: (buffer.write(b"x"), buffer.flush()))
    f.close()
    assert f.closed

forked(child)
assert os.stat(path).st_size == size
f.write(b"def")
f.close()
with open(path, "rb") as whole:
    data = whole.read()
"""
        + f"""
assert data == {{"wb": b"abcdef", "ab": b"0123456789abcdef", "r+b": b"abcdef6789"}}[{mode!r}], data
""",
        TOP=str(tmp_path),
        TMPDIR=str(tmp_path),
    )


@pytest.mark.parametrize("kind", ["file", "memory", "simplecache"])
def test_a_close_of_the_programs_own_that_writes_is_reported_that_it_cannot(kind, tmp_path):
    """Whatever the function is called that writes; but letting go without writing is silent."""
    run(
        START
        + f"""
kind = {kind!r}
options = {{"target_protocol": "file"}} if kind == "simplecache" else {{}}
"""
        + """
fs = fsspec.filesystem(kind, **options)

class Table:
    def __init__(self, f):
        self.f = f

    def close(self):
        self.f.write(b"footer")
        self.f.close()

    def __exit__(self, *args):
        self.close()

    def __enter__(self):
        return self

table = Table(fs.open(path, "wb", **({"compression": "gzip"} if kind == "memory" else {})))
table.f.write(b"rows ")
plain = fs.open(path + "2", "wb")
plain.write(b"abc")

def child():
    refused(table.close)
    refused(lambda: table.__exit__())
    table.f.close()
    plain.close()

forked(child)
forked(lambda: None)
table.close()
plain.close()
compression = "gzip" if kind == "memory" else None
with fs.open(path, "rb", compression=compression) as f:
    assert f.read() == b"rows footer"
""",
        TOP=str(tmp_path),
        TMPDIR=str(tmp_path),
    )


def test_a_refusal_names_the_file_that_is_read(http_server):
    """Of many open files the error tells which, without the secrets of its URL."""
    http_server.files["/folder/data.bin"] = bytes(200_000)
    run(
        f"""
        import fsspec, os
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        url = "{http_server.url}/folder/data.bin?sig=not-to-be-seen"
        f = fsspec.filesystem("http").open(url, block_size=1000, size=200_000)
        f.read(10)
        def attempted(read):
            f.seek(100_000)
            try:
                read()
            except ForkError as error:
                text = str(error)
            assert text.startswith("open file 'http://127.0.0.1"), text
            assert "/folder/data.bin?sig=..." in text and "HTTPFileSystem instance" in text, text
            assert str(os.getppid()) in text and "worker_init_fn" in text, text
            assert "not-to-be-seen" not in text, text
        for read in (lambda: f.read(10), lambda: f.readinto(bytearray(10)), f.readline):
            assert not by_fork(lambda: attempted(read)).problem()
        """,
        FSSPEC_FORK_RESET="0",
    )
