"""Forks in which C libraries hold their locks for long: ``stretch.c`` preloaded into a program.

The program keeps making TLS connections on fsspec's loop, and forks children that make one each and end. A
child that inherits one of OpenSSL's locks taken waits for ever. A loop at rest holds none, so that there is
no such child; without the rest, nearly each is one. glibc itself sees to malloc's over a fork; threads
inside of getaddrinfo are stretched too, but were never seen to stop a child.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

SOURCE = Path(__file__).with_name("stretch.c")
FORKS = 8  # children of one run; it ends with the first that hangs
LIMIT = 300.0  # seconds for a run, which takes one or two

PROGRAM = """
import asyncio, contextlib, ctypes, faulthandler, gc, os, random, signal, sys, time
import fsspec
from fsspec import asyn
from fsspec._loop import io_thread

shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
url = sys.argv[1]
io_thread.REST_BOUND = 60.0  # a callback takes long where each lock does: the bound is not what is tried
if "restless" in sys.argv:
    io_thread.IOThread.ask = lambda self: False

fs = fsspec.filesystem("https")
assert fs.cat_file(url) == b"small"
closing = fsspec.filesystem("https", headers={"Connection": "close"})
named = url.replace("127.0.0.1", "localhost")  # so that it is resolved, on a thread of the loop's executor
assert closing.cat_file(named) == b"small"

async def connect_again_and_again():
    while True:
        await closing._cat_file(named)

FUTEX = ("202", "98")  # the number of the system call, by processor

def waiting(pid):
    "The threads of a process that wait for a lock, and how often each has slept in its life."
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/syscall") as f:
                call = f.read().split()
            with open(f"/proc/{pid}/task/{task}/status") as f:
                slept = [line for line in f if line.startswith("voluntary")]
            if call[0] in FUTEX:
                found[task] = slept
    return found

def is_stuck(pid):
    "Whether a thread of a child waits for a lock, for seconds and in one go."
    before = waiting(pid)
    deadline = time.monotonic() + 4
    while before and time.monotonic() < deadline:
        time.sleep(0.1)
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        now = waiting(pid)
        before = {task: slept for task, slept in before.items() if now.get(task) == slept}
    return bool(before)

connecting = asyncio.run_coroutine_threadsafe(connect_again_and_again(), asyn.get_loop())
shim.stretch_begin(ctypes.c_long(int(os.environ["STRETCH_US"])))
assert shim.stretch_found(), "this Python's OpenSSL was not found"
for number in range(int(os.environ["FORKS"])):
    time.sleep(random.random() * 0.05)
    pid = os.fork()
    if not pid:
        shim.stretch_begin(ctypes.c_long(0))
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        assert fs.cat_file(url) == b"small"
        os._exit(0) if number % 2 else sys.exit(0)
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if is_stuck(pid):
            os.kill(pid, signal.SIGUSR1)
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)
            print("hung", flush=True)
            os._exit(0)
        time.sleep(0.005)
    assert os.waitpid(pid, 0)[1] == 0
shim.stretch_begin(ctypes.c_long(0))
assert fs.cat_file(url) == b"small"
print("well", flush=True)
os._exit(0)
"""


def lacking() -> str:
    """Why it cannot be done here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "LD_PRELOAD and /proc are Linux's"
    if not SOURCE.exists():
        return "stretch.c is not installed"
    return "" if shutil.which("cc") else "there is no C compiler"


def compiled(folder: str) -> str:
    """The shim, made in ``folder``."""
    target = os.path.join(folder, "stretch.so")
    command = [
        "cc",
        "-O1",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        target,
        str(SOURCE),
        "-ldl",
        "-pthread",
    ]
    subprocess.run(command, check=True)
    return target


def run(shim: str, url: str, ca: str, root: str, *words: str) -> tuple[str, str]:
    """What one run found: "well", "hung", or else what was wrong; and what it said on stderr.

    Parameters
    ----------
    root
        the folder with the package to try.
    words
        "restless": the loops are not brought to rest.
    """
    env = {
        **os.environ,
        "LD_PRELOAD": shim,
        "PYTHONPATH": root,
        "SSL_CERT_FILE": ca,
        "FSSPEC_FORK_RESET": "1",
    }
    env.update(STRETCH_US="1000", FORKS=str(FORKS))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=root,  # which goes before PYTHONPATH
        start_new_session=True,
    ) as process:
        try:
            output, noise = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGUSR1)  # their stacks
            time.sleep(1)
            os.killpg(process.pid, signal.SIGKILL)
            return "did not end", process.communicate()[1]
    return output.strip() or f"ended with {process.returncode}", noise


@contextmanager
def running(folder: str) -> Iterator[Callable[..., tuple[str, str]]]:
    """A server and the shim; what is given is `run` for them, called with the root and the words."""
    from fsspec.tests.servers.http import HTTPServer

    shim = compiled(folder)
    with HTTPServer(tls=True) as server:
        server.files["/small.bin"] = b"small"
        yield partial(run, shim, f"{server.url}/small.bin", server.ca_file or "")
