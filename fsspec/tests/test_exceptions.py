"""The errors of fsspec are built-in ones, and keep what they know on their way."""

import asyncio
import contextlib
import copy
import importlib
import multiprocessing
import os
import pickle
import pkgutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

import fsspec
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
    hooks_of_others = ("worker_init_fn", "post_fork", "worker_process_init")
    for part in (
        "fork-safe",
        "S3FileSystem instance",
        "12",
        "34",
        "python -m pydoc fsspec.fork",
        *ways_out,
        *hooks_of_others,
    ):
        assert part in str(error)
    what, fix, guide = str(error).splitlines()  # what happened, the way out, where to read on
    assert "S3FileSystem" in what and ways_out[0] in fix and len(what) < 200


def test_fork_error_names_a_variable_that_was_meant(monkeypatch):
    monkeypatch.delenv("FSSPEC_FORK_RESET", raising=False)
    monkeypatch.setenv("FSSPEC_FORK_REST", "1")
    assert "FSSPEC_FORK_REST is set: is FSSPEC_FORK_RESET meant? Set FSSPEC_FORK_RESET=1" in str(
        ForkError("x", 1, 2)
    )


def test_fork_error_advises_no_variable_that_is_set(monkeypatch):
    monkeypatch.setenv("FSSPEC_FORK_RESET", "1")
    assert "FSSPEC_FORK_RESET" not in str(ForkError("x", 12))
    assert "reset_after_fork()" in str(ForkError("x", 12))
    monkeypatch.setenv("FSSPEC_FORK_RESET", "0")
    assert "FSSPEC_FORK_RESET=1" in str(ForkError("x", 12))
    monkeypatch.setenv("FSSPEC_FORK_RESET", "banana")
    assert "'banana', which is neither" in str(ForkError("x", 12))
    assert "FSSPEC_FORK_RESET=1" in str(ForkError("x", 12))


def test_fork_error_is_about_this_process_by_default():
    assert ForkError("x", 12).pid == os.getpid()


def test_fork_error_with_advice_of_its_own_names_no_other_way_out():
    error = ForkError("the file 'a'", 12, advice="Open it again in this process.")
    assert "fork-safe" in str(error) and str(error).splitlines()[1] == "Open it again in this process."
    assert "reset" not in str(error)


@pytest.mark.parametrize(
    "carry",
    [
        lambda error: type(error)(str(error)),  # celery, torch's ExceptionWrapper
        lambda error: type(error)(*error.args),
        lambda error: pickle.loads(pickle.dumps(error)),
        copy.copy,
        lambda error: pickle.loads(pickle.dumps(type(error)(str(error)))),
    ],
    ids=["one string", "args", "pickle", "copy", "string and pickle"],
)
def test_fork_error_survives_every_way_that_exceptions_are_carried(carry, monkeypatch):
    error = ForkError("the file 'a'", 12, 34)
    monkeypatch.setenv("FSSPEC_FORK_RESET", "1")  # where it arrives other things hold
    back = carry(error)
    assert type(back) is ForkError and str(back) == str(error) and back.args == error.args


def test_fork_error_survives_torch():
    utils = pytest.importorskip("torch._utils")
    try:
        raise ForkError("the file 'a'", 12, 34)
    except ForkError:
        wrapped = utils.ExceptionWrapper(where="in a worker")
    with pytest.raises(ForkError, match="made in process 12"):
        pickle.loads(pickle.dumps(wrapped)).reraise()


def test_fork_error_survives_pools():
    """An executor's and multiprocessing's, which add the worker's traceback."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        error = pool.submit(_raise).exception(60)
    assert type(error) is ForkError and error.owner_pid == 12 and "made in process 12" in str(error)


def _raise():
    raise ForkError("the file 'a'", 12, 34)


@pytest.mark.parametrize("advice", [None, "open it again"])
def test_fork_error_survives_pickling(advice):
    error = ForkError("the file 'a'", 12, 34, advice)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is ForkError and str(back) == str(error)
    assert (back.what, back.owner_pid, back.pid, back.advice) == ("the file 'a'", 12, 34, advice)


def test_errors_load_without_asyncio():
    code = "import sys, fsspec.exceptions; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_errors_of_short_reads_are_public_and_keep_their_kinds():
    """A program catches them by the module that is documented."""
    http = pytest.importorskip("fsspec.implementations.http")
    cache = fsspec.caching.ReadAheadCache(4, lambda start, end: b"", 8)
    with pytest.raises(fsspec.exceptions.ShortFetch) as short:
        cache._fetch(0, 4)
    assert isinstance(short.value, OSError) and isinstance(short.value, EOFError)
    assert issubclass(http.IncompleteResponse, fsspec.exceptions.IncompleteRead)
    assert {"AccessRefusedError", "FileChangedError", "IncompleteRead", "ShortFetch"} <= set(
        fsspec.exceptions.__all__
    )


def test_each_can_be_made_by_its_class_as_tblib_does_on_workers_of_dask():
    """One of two built-in classes is made by the one whose layout it has, which has to come first."""
    for module in pkgutil.walk_packages(fsspec.__path__, "fsspec."):
        if ".tests" not in module.name and not module.name.endswith(("__main__", "conftest", "fuse", "gui")):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    kinds, found = [BaseException], set()
    while kinds:
        derived = kinds.pop().__subclasses__()
        kinds += derived
        found.update(kind for kind in derived if kind.__module__.startswith("fsspec."))
    assert len(found) > 20
    for kind in found:
        assert type(kind.__new__(kind)) is kind
