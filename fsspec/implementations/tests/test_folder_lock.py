"""The lock of a folder of copies is released whenever an interrupt comes."""

import gc
import os
import sys

import pytest

from fsspec.implementations._cached import folder_lock, limits
from fsspec.implementations.cache_metadata import CacheMetadata

fcntl = pytest.importorskip("fcntl")


class Interrupt(BaseException):
    pass


def interrupted_at(number, work):
    """What ``work`` raises with an interrupt where Python runs signal handlers: as a function begins, and
    after one in C. None if it ends before that moment."""
    left = number

    def event(frame, kind, arg):
        nonlocal left
        if kind in ("call", "c_return"):
            left -= 1
            if left == 0:
                raise Interrupt

    try:
        sys.setprofile(event)
        work()
    except Interrupt as error:
        return error
    finally:
        sys.setprofile(None)
    return None if left > 0 else "lost"


def is_locked(path):
    """As another process sees it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def is_free(folder, table):
    gate = folder_lock._gates.get(folder)
    assert not is_locked(folder)
    assert gate is None or not gate.locked()
    assert not table.lock._is_owned() and not table._lock_depth


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # interrupted before its ``with``
def test_an_interrupt_leaves_no_folder_locked_while_its_traceback_is_kept(tmp_path):
    folder = str(tmp_path)
    gc.collect()
    before = os.listdir("/proc/self/fd")
    number, raised = 0, []
    while True:
        number += 1
        table = CacheMetadata([folder])
        table._changed_details = {
            "a": {"original": "a", "fn": "a", "blocks": True, "time": number, "uid": "u"}
        }
        error = interrupted_at(number, table.save)
        if error is None:
            break
        raised.append(error)
        is_free(folder, table)
    assert number > 40 and "lost" not in raised
    del error
    raised.clear()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    table = CacheMetadata([folder])
    table.load()
    assert table.cached_files[0]["a"]["time"] == number


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
def test_an_interrupt_leaves_no_copy_locked_nor_open_as_it_is_removed(tmp_path):
    number, raised, path = 0, [], str(tmp_path / "copy")
    before = os.listdir("/proc/self/fd")
    while True:
        number += 1
        with open(path, "wb"):
            pass
        with open(path, "rb") as held:
            error = interrupted_at(number, lambda: limits.remove_unused(path))
            if error is None:
                break
            raised.append(error)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert number > 3 and "lost" not in raised
    assert len(os.listdir("/proc/self/fd")) == len(before)
