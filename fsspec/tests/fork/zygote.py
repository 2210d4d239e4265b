"""Starts programs quickly: third parties' packages are loaded once, fsspec never.

Run as a script, not as a module of fsspec.  For each line of JSON on stdin it forks a
process that imports fsspec, runs a column of the matrix and writes what it found; a
process that takes too long has its stacks dumped and is killed with all its children.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

LOADED = ("aiohttp", "aiobotocore.session", "requests", "paramiko", "multiprocessing", "concurrent.futures")
LATER = {"DataLoader": ("torch.utils.data",)}
"""By the way of forking: what is loaded before the first column that has it, for it takes seconds."""

LATE = "took too long"


def child(job: dict[str, Any], result: str, noise: str) -> None:
    """In the forked process: it is like one that was just started."""
    os.setsid()
    fd = os.open(noise, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ["TMPDIR"] = tempfile.tempdir = job["places"]["tmp"]
    faulthandler.enable(all_threads=True)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sys.path.insert(0, job["root"])
    try:
        from fsspec.tests.fork.program import main

        found = main(job)
    except Exception:  # what is wrong with the test itself
        found = {"test": {"outcome": "FAIL", "note": traceback.format_exc()}}
    with open(result, "w", encoding="utf8") as f:
        json.dump(found, f)
    os._exit(0)


def serve(job: dict[str, Any]) -> Any:
    """Run one job; what it found, or what it said before it was killed."""
    # no ``with`` and no ``finally`` from here on: children end by SystemExit through these frames
    if job["way"] in LATER:
        load(LATER[job["way"]])
    folder = tempfile.mkdtemp(prefix="fsspec-fork-")
    result, noise = os.path.join(folder, "result"), os.path.join(folder, "noise")
    pid = os.fork()
    if not pid:
        child(job, result, noise)
    what = waited(pid, time.monotonic() + job["limit"])
    text, found = read(noise), read(result)
    shutil.rmtree(folder)
    if not found:
        outcome = "HANG" if what == LATE else "HARM"
        return {"parent": {"outcome": outcome, "note": f"{what}\n{text}"}}
    cells = json.loads(found)
    if text.strip():
        cells["noise"] = {"outcome": "HARM", "note": text}
    return cells


def waited(pid: int, deadline: float) -> str:
    """How a process ended; it is killed after the deadline, with all its children."""
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            with suppress(ProcessLookupError):  # those that outlive a hung or killed middle generation
                os.killpg(pid, signal.SIGKILL)
            return f"ended with {os.waitstatus_to_exitcode(status)}"
        time.sleep(0.005)
    os.kill(pid, signal.SIGUSR1)
    time.sleep(0.5)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return LATE


def read(path: str) -> str:
    """What a file has, empty where there is none."""
    try:
        with open(path, encoding="utf8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def read_models() -> None:
    """Have botocore read what it knows of S3, megabytes of JSON, once and not for each session."""
    from botocore import session

    if hasattr(session.create_loader, "cache_info"):
        return
    session.create_loader = functools.lru_cache(session.create_loader)
    session.get_session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    ).close()


def load(names: Sequence[str]) -> None:
    """Load packages of third parties, before anything is made of them."""
    for name in names:
        with suppress(ImportError):
            __import__(name)
    if "botocore" in sys.modules:
        read_models()
    gc.collect()
    gc.freeze()  # it is not for the children to look through each time that they collect, and as they end


def main() -> None:
    """Serve until stdin ends."""
    del sys.path[0]  # this folder is no place to import from
    load(LOADED)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
