"""What must hold for a backend when a process forks.

Each test runs in a process of its own (`fsspec._checks.contract`), which is sent the filesystem as a pickle.
It makes a handle, uses it, and lets a forked child do something with its copy.  The
child is judged by its data, its exit code, its stderr and its time; after it the parent, by
its next request, its open file, and by what it wrote.  What hangs shows its stacks and is ended.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from fsspec._checks.advice import NOT_TRIED
from fsspec._checks.contract import HANDLES, MODES, WRITING
from fsspec._checks.forked import HANGS, load_factor

_hung: dict[type, int] = {}  # by the class of tests: how many


class AbstractForkTests:
    """The guarantees about forks, for one backend.

    Needed is one fixture, ``fork_place``, which returns the filesystem and a folder that may
    be written to::

        class TestForks(AbstractForkTests):
            @pytest.fixture
            def fork_place(self, server):
                return MyFileSystem(endpoint=server), "bucket/forks"

    or, where nothing can be written, files that are there, and their bytes::

                return MyFileSystem(endpoint=server), {"bucket/a.bin": b"..."}

    Where the class also derives from fixtures made for `AbstractFixtures`, with ``fs`` and
    ``fs_path``, nothing more is needed.

    The filesystem crosses to the process of the test by pickle, that is, as its class and its
    arguments; the server has to be reachable from there, and environment variables and
    ``sys.path`` are the same.  Each test removes what it wrote.

    Attributes
    ----------
    fork_block_size
        the ``block_size`` of files being written: give the smallest that the store takes, so
        that an upload of several parts is under way at the fork. None leaves it out, and a
        file is written as one.
    fork_memory
        True where the store itself lies in the memory of the process, so that a child has one
        of its own and may write to it.
    fork_limit
        seconds that a child may take, more where the machine is crowded; one that takes longer
        hangs. Where two tests of a class hung the rest fail at once.
    fork_rounds
        how often each test does all that it does, by default as the environment variable
        FORK_ROUNDS says, or once. A round of all tests is 72 forks.
    """

    fork_block_size: int | None = None
    fork_memory: bool = False
    fork_limit: float = 12.0
    fork_rounds: int = int(os.environ.get("FORK_ROUNDS", "1"))

    @pytest.fixture
    # A class derived from AbstractForkTests needs this fixture, or those called fs and fs_path.
    def fork_place(self, fs: Any, fs_path: str) -> tuple[Any, str | Mapping[str, bytes]]:
        """The filesystem, and a folder to write to or files to read; see the class."""
        return fs, fs_path

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("handle", HANDLES)
    def test_fork(
        self,
        fork_place: tuple[Any, str | Mapping[str, bytes]],
        handle: str,
        mode: str,
        request: pytest.FixtureRequest,
    ) -> None:
        """A handle used, dropped, closed, left alone or killed with in a child, one after the other."""
        fs, place = fork_place
        if handle == WRITING and not isinstance(place, str):
            pytest.skip("the files of this filesystem are only read")
        if _hung.get(type(self), 0) >= HANGS:
            pytest.fail(f"{NOT_TRIED}: {HANGS} hung before, each of which takes long", pytrace=False)
        job = {
            "subject": base64.b64encode(pickle.dumps((fs, place))).decode(),
            "handle": handle,
            "mode": mode,
            "block_size": self.fork_block_size,
            "memory": self.fork_memory,
            "limit": self.fork_limit,
            "rounds": self.fork_rounds,
        }
        found, noise = _run(job, (5 * self.fork_limit + 40) * load_factor() * self.fork_rounds)
        request.node.user_properties += [("forks", found.pop("forks", "0")), ("mode", mode)]
        if found.pop("skipped", None):
            pytest.skip(f"no {handle} for this place")
        problems = {action: problem for action, problem in found.items() if problem}
        if any(word in problem for problem in problems.values() for word in ("hung", "hangs")):
            _hung[type(self)] = _hung.get(type(self), 0) + 1
        assert not problems, "\n".join(f"{handle}, {a}: {p}" for a, p in problems.items()) + f"\n{noise}"


def _run(job: dict[str, Any], limit: float) -> tuple[dict[str, str], str]:
    """What a process made of a job, and its stderr; one that does not end shows its stacks there."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    environment["FSSPEC_FORK_RESET"] = "1" if job["mode"] == "opted in" else "0"
    command = [sys.executable, "-c", "from fsspec._checks import contract; contract.main()"]
    with tempfile.TemporaryFile("w+", encoding="utf8", errors="replace") as noise:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            env=environment,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(json.dumps(job), limit)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGUSR1)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                os.killpg(process.pid, signal.SIGKILL)  # its children as well, which hold the pipe
                output, _ = process.communicate()
        noise.seek(0)
        stderr = noise.read()
    lines = output.splitlines()
    if process.returncode != 0 or not lines:
        hung = ", for it hung" if process.returncode == -signal.SIGKILL else ""
        return {"the process": f"ended with {process.returncode}{hung}"}, stderr
    return json.loads(lines[-1]), stderr
