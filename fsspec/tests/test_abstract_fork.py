"""The contract tests about forks find what they are for: backends that harm show as such."""

import base64
import os
import pickle
import threading

import pytest

from fsspec.exceptions import ForkError
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract._forking import WRITING
from fsspec.tests.abstract.fork import _run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class SharedPosition(LocalFileSystem):
    """Open files are the system's own, whose position a child moves."""

    protocol = "shared"

    def _open(self, path, mode="rb", **kwargs):
        return open(path, mode, buffering=0)


class Committing(LocalFileSystem):
    """A file being written is there once it is closed, by whoever that is."""

    protocol = "committing"

    class File:
        """Bytes until then."""

        def __init__(self, path):
            self.path, self.data, self.made = path, b"", os.getpid()

        def write(self, data):
            if self.made != os.getpid():
                raise ForkError("this file", self.made)
            self.data += data

        def flush(self):
            pass

        def close(self):
            with open(self.path, "wb") as f:
                f.write(self.data)

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.close()

        __del__ = close

    def _open(self, path, mode="rb", **kwargs):
        return self.File(path) if mode == "wb" else super()._open(path, mode, **kwargs)


class Waiting(LocalFileSystem):
    """Waits for what a thread of the parent was to do."""

    protocol = "waiting"

    def __init__(self):
        super().__init__()
        self.made = os.getpid()

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.made != os.getpid():
            threading.Event().wait()
        return super().cat_file(path, start, end, **kwargs)


class Noisy(LocalFileSystem):
    """Says something as it is collected."""

    protocol = "noisy"

    def __del__(self):
        os.write(2, b"going\n")


class Ending(Waiting):
    """Ends a process that it was not made in."""

    protocol = "ending"

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.made != os.getpid():
            os._exit(7)
        return super().cat_file(path, start, end, **kwargs)


def tried(fs, folder, handle, mode="opted in", limit=90.0):
    """The problems found, by action."""
    job = {
        "subject": base64.b64encode(pickle.dumps((fs, folder))).decode(),
        "handle": handle,
        "mode": mode,
        "block_size": None,
        "memory": False,
        "limit": 3.0,
    }
    found, noise = _run(job, limit)
    return {action: problem for action, problem in found.items() if problem}, noise


def test_shared_positions_are_found(tmp_path):
    """The child's reading moves the parent."""
    problems, _ = tried(SharedPosition(auto_mkdir=True), str(tmp_path), "open file")
    assert "position" in problems["used"] and "the parent's" in problems["used"]


def test_what_a_child_commits_is_found(tmp_path):
    """Though it could not write on."""
    problems, _ = tried(Committing(auto_mkdir=True), str(tmp_path), WRITING)
    assert "in the store, was None" in problems["used"]


def test_children_that_hang_are_found_and_show_where(tmp_path):
    """By the stack in the message; nothing waits for ever."""
    problems, _ = tried(Waiting(), str(tmp_path), "instance")
    assert "hung" in problems["used"] and "in cat_file" in problems["used"]


def test_noise_is_found(tmp_path):
    """Whatever a child says on stderr."""
    problems, _ = tried(Noisy(auto_mkdir=True), str(tmp_path), "instance")
    assert any("noise: going" in problem for problem in problems.values())


def test_exit_codes_are_found(tmp_path):
    """A child that ends by itself."""
    problems, _ = tried(Ending(), str(tmp_path), "instance")
    assert "exit code 7" in problems["used"]


def test_process_that_cannot_begin_is_found(tmp_path):
    """With what it said."""
    (tmp_path / "file").write_bytes(b"")
    problems, noise = tried(LocalFileSystem(), str(tmp_path / "file"), "instance")
    assert "ended with" in problems["the process"] and "NotADirectoryError" in noise


def test_process_that_does_not_end_is_ended(tmp_path):
    """With its children, and its stacks."""
    problems, noise = tried(Waiting(), str(tmp_path), "instance", limit=2.0)
    assert "ended with" in problems["the process"] and "in wait" in noise


def test_what_is_right_is_found_right(tmp_path):
    """Nothing to complain of, and nothing left."""
    problems, noise = tried(LocalFileSystem(auto_mkdir=True), str(tmp_path), WRITING)
    assert problems == {} and noise == ""
    assert list(tmp_path.iterdir()) == []
