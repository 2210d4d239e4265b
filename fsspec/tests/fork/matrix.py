"""The rows and columns of the matrix, and who runs them.

Everything crosses ``os.fork`` in every mode, with each thing that a child may do; the
other ways of forking are tried with some of each kind.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec._checks.forked import load_factor
from fsspec.tests.fork.children import MODES
from fsspec.tests.fork.forking import NEEDS, SENDING, WAYS
from fsspec.tests.fork.reading import READING
from fsspec.tests.fork.stores import STORES, pack, serve
from fsspec.tests.fork.subjects import DATA, INSTANCES, LINES, SLOW, Subject
from fsspec.tests.fork.writing import WRITING, ask

CROSSINGS: dict[str, type[Subject]] = {**INSTANCES, **READING, **WRITING, **STORES}

LIMIT = 100.0  # seconds for a column
OK = ("ok", "refused")

_SOME = ("http", "https", "http awaited", "s3", "http file", "local file", "local writing", "s3 parts")
_USED = ("http", "s3", "http file")
_BY_WAY: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...] | None]] = {
    # rows, modes, what the child does (None: everything that ends by the way's own exit)
    "thread": (_SOME, ("opted", "neither"), None),
    "callback": (_SOME, ("opted", "neither"), None),
    "generations": ((*_SOME, "https file"), ("opted", "by hand", "neither"), ("use", "drop")),
    "process": (_SOME, ("opted", "neither"), None),
    "fork in process": (("http", "s3"), ("opted", "neither"), None),
    "C": ((*_SOME, "requests", "ftp", "sftp", "webhdfs"), ("opted", "neither"), ("use", "drop", "exit")),
    "exec": (("http", "https", "s3", "http file", "local file"), ("opted", "neither"), ("use", "exit")),
    "32 at once": (("http", "https", "http file", "local file"), ("opted", "neither"), ("use", "drop")),
    "200 in a row": (("http", "http file background"), ("opted", "neither"), ("use",)),
    "executor": (_USED, ("opted", "by hand", "neither"), ("use",)),
    "pool": (_USED, ("opted", "neither"), ("use",)),
    "DataLoader": (_USED, ("opted", "by hand", "neither"), ("use",)),
    "joblib": (_USED, ("opted", "by hand", "neither"), ("use",)),
    "spawn": (("http", "s3", "mapper"), ("neither",), ("use",)),
    "forkserver": (("http", "http file"), ("neither",), ("use",)),
    "loky": (("http", "s3 file"), ("neither",), ("use",)),
}
_UNENDED = ("leave", "kill")  # these end a child before the way of forking has its say


@dataclass(frozen=True)
class Column:
    """What crosses, forked one way, in one mode."""

    subject: str
    way: str
    mode: str
    actions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.subject}, {self.way}, {self.mode}".replace(" ", "-").replace(",-", "/")

    def lacking(self) -> str:
        """Why it is skipped; empty where it is not."""
        package = NEEDS.get(self.way)
        if package is not None and importlib.util.find_spec(package) is None:
            return f"{package} is not there"
        return CROSSINGS[self.subject].lacking()


def _modes(name: str) -> tuple[str, ...]:
    subject = CROSSINGS[name]
    if not subject.connects or subject.strict or subject.variant:
        return ("opted", "neither")
    return MODES if subject.resets else tuple(mode for mode in MODES if mode != "reset_loop")


def columns() -> list[Column]:
    """The whole matrix."""
    made = [
        Column(name, "fork", mode, subject.actions if mode in ("opted", "neither") else ("use",))
        for name, subject in CROSSINGS.items()
        for mode in _modes(name)
        if mode in ("opted", "neither") or "use" in subject.actions
    ]
    for way, (names, modes, actions) in _BY_WAY.items():
        for name in names:
            those = actions or tuple(a for a in CROSSINGS[name].actions if a not in _UNENDED)
            if (way, name) == ("C", "sftp") and sys.version_info >= (3, 13):
                # without any use of ours the collector crashes beside paramiko's thread
                those = tuple(a for a in those if a != "drop")
            made += [Column(name, way, mode, those) for mode in modes if mode in _modes(name)]
    for column in made:
        assert column.way in WAYS, column
        assert column.way not in SENDING or CROSSINGS[column.subject].pickles, column
    return made


# where they run --------------------------------------------------------------------
@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """The servers that the subjects need, by name, with everything that they read."""
    import gzip

    from fsspec.tests.servers.http import HTTPServer
    from fsspec.tests.servers.s3 import serve_s3

    with ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="fsspec-fork-data-")
        stack.callback(shutil.rmtree, folder, True)
        places = {"folder": folder, "tmp": os.path.join(folder, "tmp")}
        os.mkdir(places["tmp"])
        files = {**DATA, "lines.txt": LINES.encode(), "lines.txt.gz": gzip.compress(LINES.encode(), 0)}
        for name, data in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        for name in pack(folder):
            with open(os.path.join(folder, name), "rb") as f:
                files[name] = f.read()
        for tls in (False, True):
            if tls and INSTANCES["https"].lacking():
                continue
            server = stack.enter_context(HTTPServer(tls=tls))
            for name, data in {**files, SLOW: DATA["data1.bin"]}.items():
                server.files[f"/{name}"] = data
            server.fault(f"/{SLOW}", delay=0.01, delay_body=0.01)
            places["https" if tls else "http"] = server.url
            if server.ca_file is not None:
                places["ca"] = server.ca_file
        if not INSTANCES["s3"].lacking():
            places["s3"] = stack.enter_context(serve_s3())
            ask(places["s3"], "PUT", "/bucket", b"")
            for name, data in DATA.items():
                ask(places["s3"], "PUT", f"/bucket/{name}", data)
        serve(stack, places)
        yield places


class Runner:
    """Runs columns, one at a time, each in a new process; a context manager."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    def __enter__(self) -> Runner:
        env = {k: v for k, v in os.environ.items() if k not in ("FSSPEC_FORK_RESET", "PYTHONPATH")}
        if "ca" in self.places:
            env["SSL_CERT_FILE"] = self.places["ca"]
        # fsspec is found by its root, which each process is told; the packages by the interpreter
        self.root = os.path.dirname(os.path.dirname(os.path.abspath(fsspec.__file__)))
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def run(self, column: Column) -> dict[str, dict[str, str]]:
        """By what the child does: "outcome" and "note"; see `fsspec.tests.fork.program.cell`."""
        assert self.process.stdin is not None and self.process.stdout is not None
        job: dict[str, Any] = {
            "subject": column.subject,
            "way": column.way,
            "mode": column.mode,
            "actions": column.actions,
            "places": self.places,
            "limit": LIMIT * load_factor(),
            "root": self.root,
        }
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            if not answer:
                raise RuntimeError("the process that starts the columns has ended")
        except BaseException:  # it was given up: what it still answers is not for the next column
            self.__exit__()
            self.__enter__()
            raise
        found: dict[str, dict[str, str]] = json.loads(answer)
        return found
