"""A server in a process of its own, which is asked through pipes and ends with its owner.

`Process` is the owner's side, `serve` the other: it answers commands until its stdin ends
or the owner is gone.  What is asked for are methods of one object, by name.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import Any

LIMIT = 10.0  # seconds for what was asked to come about


@contextmanager
def announced(arguments: list[str], needs: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """The line that ``python *arguments`` prints when it serves; its stdin ends with the block, and so it has
    to. ``needs``: packages that may be missing, for the error of one that does not start."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the server did not start: it needs {needs}")
        try:
            yield line
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


class Process:
    """``python -m module pid *arguments``, whose ``_main`` calls `serve`."""

    def __init__(self, module: str, *arguments: str) -> None:
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        env = {k: v for k, v in os.environ.items() if k not in ("SSL_CERT_FILE", "FSSPEC_FORK_RESET")}
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(os.getpid()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**env, "PYTHONPATH": os.pathsep.join(paths)},
        )

    def ask(self, name: str, *args: Any) -> Any:
        """What the method ``name`` of the served object returns; raises what it raises."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with self.lock:
            pickle.dump((name, args), self.process.stdin)
            self.process.stdin.flush()
            failed, result = pickle.load(self.process.stdout)
        if failed:
            raise result
        return result

    def end(self) -> None:
        """End the server."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class FolderServer:
    """The owner's side of a server of the files in a folder."""

    folder: str
    fault_type: type[Any]
    _process: Process

    @property
    def connections(self) -> list[Any]:
        """All connections since the start or `clear`, as the module of the server describes them."""
        found: list[Any] = self._process.ask("record")
        return found

    def drop(self) -> None:
        """Hang up on all clients, as after a time without a request."""
        self._process.ask("drop")

    def fault(self, **what: Any) -> None:
        """Have something go wrong from now on; see `Fault` there. Nothing given: no more."""
        unknown = set(what) - {f.name for f in fields(self.fault_type)}
        if unknown:
            raise TypeError(f"no such fault: {sorted(unknown)}")
        self._process.ask("fault", self.fault_type(**what))

    def clear(self) -> None:
        """No files, no faults, nothing on record."""
        for entry in os.scandir(self.folder):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self._process.ask("clear")


def serve(owner: int, served: Any) -> None:
    """Answer on this thread; the server itself runs on others."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write where the answers go

    def watch() -> None:
        # a forked child of the owner may hold the pipe open for longer than the owner lives
        while os.getppid() == owner:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    while True:
        try:
            name, args = pickle.load(sys.stdin.buffer)
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)
        try:
            answer = False, getattr(served, name)(*args)
        except Exception as error:  # told to whoever asked
            answer = True, error
        pickle.dump(answer, out)
        out.flush()


def race(root: str, raced: str, wanted: str, work: Any) -> Any:
    """What ``work()`` returns, which makes the folder ``wanted`` of ``root`` or refuses to.

    Another makes the folder ``raced``, a moment before it is made here, and a moment after it was found
    that it is not there.
    """
    wanted = wanted.strip("/") + "/"
    if raced and wanted == f"{raced}/":
        os.makedirs(os.path.join(root, raced), exist_ok=True)
    result = work()
    if raced and wanted.startswith(f"{raced}/"):
        os.makedirs(os.path.join(root, raced), exist_ok=True)
    return result


def until(true: Any, what: str) -> None:
    """Wait until ``true()`` is; AssertionError after `LIMIT`."""
    deadline = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < deadline, f"did not come about: {what}"
        time.sleep(0.01)
