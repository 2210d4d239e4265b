"""The errors of fsspec are built-in ones, and keep what they know on their way."""

import asyncio
import os
import pickle
import subprocess
import sys

import pytest

import fsspec.exceptions
from fsspec.exceptions import BlocksizeMismatchError, ForkError, FSTimeoutError


def test_a_timeout_is_that_of_asyncio_and_the_built_in_one():
    for kind in (TimeoutError, asyncio.TimeoutError):
        with pytest.raises(kind):
            raise FSTimeoutError("too long")
    assert not issubclass(TimeoutError, FSTimeoutError)


def test_a_timeout_is_one_class_and_survives_pickling():
    assert fsspec.exceptions.FSTimeoutError is FSTimeoutError
    back = pickle.loads(pickle.dumps(FSTimeoutError("too long")))
    assert type(back) is FSTimeoutError and back.args == ("too long",)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchError"):
        fsspec.exceptions.NoSuchError


def test_a_block_size_that_does_not_match_is_a_value_error():
    assert issubclass(BlocksizeMismatchError, ValueError)


def test_fork_error_says_whose_it_is_and_the_ways_out():
    error = ForkError("S3FileSystem instance", 12, 34)
    assert isinstance(error, RuntimeError)
    assert (error.what, error.owner_pid, error.pid, error.advice) == ("S3FileSystem instance", 12, 34, None)
    ways_out = ("FSSPEC_FORK_RESET=1", "fs.reset_loop()", "fsspec.asyn.reset_after_fork()")
    for part in ("fork-safe", "S3FileSystem instance", "12", "34", '{"fork": {"reset": true}}', *ways_out):
        assert part in str(error)


def test_fork_error_is_about_this_process_unless_told_otherwise():
    assert ForkError("x", 12).pid == os.getpid()


def test_fork_error_with_advice_of_its_own_names_no_other_way_out():
    error = ForkError("the file 'a'", 12, advice="Open it again in this process.")
    assert "fork-safe" in str(error) and str(error).endswith("Open it again in this process.")
    assert "reset" not in str(error)


@pytest.mark.parametrize("advice", [None, "open it again"])
def test_fork_error_survives_pickling(advice):
    error = ForkError("the file 'a'", 12, 34, advice)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is ForkError and str(back) == str(error)
    assert (back.what, back.owner_pid, back.pid, back.advice) == ("the file 'a'", 12, 34, advice)


def test_errors_load_without_asyncio():
    code = "import sys, fsspec.exceptions; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
