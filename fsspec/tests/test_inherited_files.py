"""Whatever layers lie over a file being written, it refuses in a child, and the parent's becomes whole."""

import json
import os

import pytest

from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

PROGRAM = """
import fsspec, json, os
from fsspec._fork.child import by_fork
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
