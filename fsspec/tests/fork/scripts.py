"""Programs of the special cases: each is a text, run in a process of its own.

The text is given `PRELUDE`: every process of it, the children too, is ended by an alarm
that first dumps the stacks of all its threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import fsspec
from fsspec._checks.forked import load_factor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(fsspec.__file__)))
ALARM = 40  # seconds that a process may live
LONGEST = 90  # of them, however loaded the machine is: a hang is shown before the test's own time is over

PRELUDE = """
import faulthandler, gc, json, os, signal, sys, threading, time
faulthandler.register(signal.SIGALRM, chain=True, all_threads=True)
os.register_at_fork(after_in_child=lambda: signal.alarm(int(os.environ["ALARM"])))
signal.alarm(int(os.environ["ALARM"]))
places = json.loads(os.environ["PLACES"])
tasks_at_fork = []  # threads, as the kernel counts them, after fsspec has done what it does before a fork
def count_tasks():
    "Those of loops that are kept idle apart: they are in a system call, or wait for the fork to be over."
    io_thread = sys.modules.get("fsspec._loop.io_thread")
    held = [io for io in io_thread._io_threads if io.is_held()] if io_thread else []
    assert all(io.loop.selector.idle for io in held) and not (held and sys.version_info >= (3, 12))
    tasks_at_fork.append(len(os.listdir("/proc/self/task")) - len(held))
os.register_at_fork(before=count_tasks)

import fsspec
from fsspec import asyn
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
from fsspec.tests.fork.subjects import DATA, expect
from fsspec.tests.fork.program import harmed

OPTED = os.environ.get("FSSPEC_FORK_RESET") == "1"

def text(path):
    with open(path) as f:
        return f.read()

def url(name, scheme="http"):
    return places[scheme] + "/" + name

def read(fs, name="data0.bin", scheme="http"):
    expect(fs.cat_file(url(name, scheme)), DATA[name], name)

def forked(body, **kwargs):
    "Run it in a child, which must be as it should."
    problem = by_fork(body).problem(**kwargs)
    assert not problem, problem

def answers(func, what="the parent"):
    "The parent is as it was."
    problem = harmed(func, what)
    assert not problem, problem

def refuses(func):
    try:
        func()
    except ForkError as error:
        assert "fork-safe" in str(error)
    else:
        raise AssertionError("not refused")
"""


def run(
    text: str,
    places: dict[str, str],
    mode: str = "opted",
    options: tuple[str, ...] = ("-W", "error"),
    **environment: str,
) -> str:
    """Run a program; it must end well and say nothing on stderr. What it printed."""
    env: dict[str, Any] = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    env.update(environment, PLACES=json.dumps(places), PYTHONPATH=ROOT)
    env.pop("FSSPEC_FORK_RESET", None)
    if mode != "configured":
        env["FSSPEC_FORK_RESET"] = "1" if mode == "opted" else "0"
    env["TMPDIR"] = places["tmp"]
    alarm = min(round(ALARM * load_factor()), LONGEST)
    env["ALARM"] = str(alarm)
    if "ca" in places:
        env["SSL_CERT_FILE"] = places["ca"]
    done = subprocess.run(
        [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=alarm + 20,
        env=env,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
