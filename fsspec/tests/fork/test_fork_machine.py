"""Random sequences of operations in which a fork is one: parent, child and grandchild all go on acting.

A state machine of hypothesis tells processes what to do (`acting`), and knows what must come of it: a dict of
the bytes on two servers and in a folder, and for each process which of its handles work, and where they
are. ``MACHINES_EXAMPLES=334`` makes ten thousand steps, by chance; see `fsspec.tests.test_machines`.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from fsspec._checks.forked import load_factor
from fsspec.tests.fork.writing import ask, uploads

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fsspec.tests.test_machines import EXAMPLES, STEPS, no_files_left  # noqa: F401

LIMIT = 15.0  # seconds for one operation, more where the machine is crowded
MOST = 6  # processes at once
FIXED = {f"fixed{n}": bytes((i * (n + 3) + (i >> 8)) % 256 for i in range(4000)) for n in range(2)}
KINDS = ("http", "s3", "local")
CACHES = ("readahead", "bytes", "none", "background", "blockcache")

modes = st.sampled_from(["opted", "opted", "by hand", "neither"])
contents = st.binary(max_size=40) | st.binary(min_size=300, max_size=400)


@dataclass
class File:
    """What is known of a process's copy of an open file."""

    kind: str
    name: str
    data: bytes  # all of it, or what was written so far
    owner: str
    writing: bool = False
    at: int = 0
    refused: bool = False  # inherited, and neither opted in nor reset since


@dataclass
class Process:
    """What is known of an actor."""

    name: str
    pid: int
    connection: socket.socket
    parent: str | None = None
    files: dict[str, File] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)  # kinds whose instance is refused


class Stage:
    """The servers, and the first actor, which lives through all sequences."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places
        self.folder = tempfile.mkdtemp(prefix="fsspec-machine-", dir=places["tmp"])
        self.numbers = iter(range(10**9))
        self.steps = self.forks = 0
        self.root: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """The first actor, started if there is none."""
        if self.root is None or self.root.poll() is not None:
            self.noise = open(os.path.join(self.folder, "noise"), "w+b")
            path = os.path.join(self.folder, f"socket{next(self.numbers)}")
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(path)
            self.listening.listen(8)
            from fsspec.tests.servers.s3 import options

            job = {"socket": path, "s3": options(self.places["s3"], default_block_size=5 * 2**20)}
            self.root = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "fsspec.tests.fork.acting", json.dumps(job)],
                stderr=self.noise,
                start_new_session=True,
            )
            self.process = self.accept("root", None)
        return self.process

    def accept(self, name: str, parent: str | None) -> Process:
        self.listening.settimeout(2 * LIMIT * load_factor())
        connection, _ = self.listening.accept()
        process = Process(name, 0, connection, parent)
        process.pid = self.hear(process)["pid"]
        return process

    def hear(self, process: Process) -> Any:
        """What a process says; AssertionError with its stacks where it says nothing in time."""
        process.connection.settimeout(LIMIT * load_factor())
        output = b""
        try:
            while not output.endswith(b"\n"):
                more = process.connection.recv(2**16)
                if not more:
                    raise AssertionError(f"{process.name} ended: {self.output()}")
                output += more
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGUSR1)
            time.sleep(1)
            raise AssertionError(f"{process.name} hangs: {self.output()}") from None
        return json.loads(output)

    def output(self) -> str:
        self.noise.seek(0)
        return self.noise.read().decode(errors="replace")

    def stop(self) -> None:
        """End all actors, by their session."""
        if self.root is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.root.pid, signal.SIGKILL)
            self.root.wait()
            self.process.connection.close()
            self.listening.close()
            self.noise.close()
            self.root = None


stage: Stage


class Forks(RuleBasedStateMachine):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"x{next(stage.numbers)}-"
        self.model: dict[tuple[str, str], bytes] = {}
        root = stage.start()
        root.files, root.refused = {}, set()
        self.processes = {"root": root}
        self.numbers = iter(range(10**9))
        self.unsure: set[tuple[str, str]] = set()  # written locally by one that was killed
        self.good = False
        self.healthy = True

    # -- telling ----------------------------------------------------------------
    def path(self, kind: str, name: str) -> str:
        name = name if name in FIXED else self.prefix + name
        place = {"http": stage.places["http"], "s3": "bucket", "local": stage.folder}[kind]
        return f"{place}/{name}"

    def send(self, process: Process, do: str, **reported: Any) -> None:
        process.connection.sendall(json.dumps({"do": do, **reported}).encode() + b"\n")

    def tell(self, process: Process, do: str, refused: bool = False, **reported: Any) -> Any:
        """Have something done, which must be refused or must not be; what it returned."""
        self.send(process, do, **reported)
        return self.answer(process, refused, f"{process.name}: {do} {reported}")

    def answer(self, process: Process, refused: bool, what: str) -> Any:
        stage.steps += 1
        try:
            output = stage.hear(process)
            assert "failed" not in output, f"{what}\n{output['failed']}"
            assert ("refused" in output) == refused, f"{what}: {output}, and is to be refused: {refused}"
        except BaseException:
            self.healthy = False
            raise
        return output.get("value")

    def some(self, data: Any, writing: bool | None = None) -> Process:
        """A process; with ``writing`` one that has a file of that sort."""
        found = [
            name
            for name, process in self.processes.items()
            if writing is None or any(f.writing == writing for f in process.files.values())
        ]
        return self.processes[data.draw(st.sampled_from(sorted(found)), label="process")]

    def has(self, writing: bool) -> bool:
        return any(f.writing == writing for p in self.processes.values() for f in p.files.values())

    def file(self, data: Any, process: Process, writing: bool) -> str:
        names = sorted(name for name, f in process.files.items() if f.writing == writing)
        return data.draw(st.sampled_from(names), label="file")

    # -- processes --------------------------------------------------------------
    @precondition(lambda self: len(self.processes) < MOST)
    @rule(data=st.data(), mode=modes)
    def fork(self, data: Any, mode: str) -> None:
        self.make_child(self.some(data), mode)

    @initialize(first=modes, second=modes)
    def three_generations(self, first: str, second: str) -> None:
        """A parent that reads and writes, its child and its grandchild."""
        root = self.processes["root"]
        for kind in KINDS:
            self.open_one(root, kind, "fixed0", cache_type="readahead")
            if kind != "http":
                self.open_one(root, kind, "a", writing=True)
        self.make_child(self.make_child(root, first), second)

    def make_child(self, parent: Process, mode: str) -> Process:
        """A fork, and what is known of the child."""
        name = f"{parent.name}.{next(self.numbers)}"
        self.send(parent, "fork", name=name, mode=mode)
        child = stage.accept(name, parent.name)
        self.answer(parent, False, f"{parent.name}: fork, {mode}")
        stage.forks += 1
        child.files = copy.deepcopy(parent.files)
        # what works in a child is whatever was inherited, also what its parent was refused
        child.refused = {"http", "s3"} if mode == "neither" else set()
        for file in child.files.values():
            file.refused = mode == "neither" and file.kind != "local"
        self.processes[name] = child
        return child

    @precondition(lambda self: len(self.processes) > 1)
    @rule(data=st.data(), how=st.sampled_from(["os._exit", "sys.exit", "falls off", "killed"]))
    def end(self, data: Any, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(set(self.processes) - {"root"})), label="process")
        process = self.processes[name]
        for file, known in list(process.files.items()):
            if known.writing and known.owner == name:
                if how in ("sys.exit", "falls off"):
                    self.close_writer(process, file)
                elif known.kind == "local":
                    self.unsure.add((known.kind, known.name))
        self.leave(process, how)

    def leave(self, process: Process, how: str) -> None:
        """Have a process end; by its parent, if there is one, what it ended with."""
        del self.processes[process.name]
        self.send(process, "end", how=how)
        process.connection.settimeout(LIMIT * load_factor())
        try:
            while process.connection.recv(2**16):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            os.kill(process.pid, signal.SIGUSR1)
            time.sleep(1)
            self.healthy = False
            raise AssertionError(f"{process.name} does not end by {how}: {stage.output()}") from None
        process.connection.close()
        parent = self.processes.get(process.parent or "")
        if parent is not None:
            code = self.tell(parent, "wait", name=process.name)
            assert code == (-signal.SIGKILL if how == "killed" else 0), (
                process.name,
                how,
                code,
                stage.output(),
            )

    @rule(data=st.data())
    def reset(self, data: Any) -> None:
        process = self.some(data)
        self.tell(process, "reset")
        process.refused = set()
        for file in process.files.values():
            file.refused = False

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def anew(self, data: Any, kind: str) -> None:
        process = self.some(data)
        self.tell(process, "anew", kind=kind)
        process.refused.discard(kind)

    # -- instances --------------------------------------------------------------
    def wanted(self, kind: str, name: str, start: int | None, end: int | None) -> bytes | None:
        found = FIXED.get(name, self.model.get((kind, name)))
        return None if found is None else found[start:end]

    @rule(
        data=st.data(),
        kind=st.sampled_from(KINDS),
        name=st.sampled_from(["a", "b", *FIXED]),
        start=st.none() | st.integers(0, 30),
        length=st.none() | st.integers(1, 500),
    )
    def cat(self, data: Any, kind: str, name: str, start: int | None, length: int | None) -> None:
        process = self.some(data)
        end = None if length is None else (start or 0) + length
        wanted = self.wanted(kind, name, start, end)
        if (kind, name) in self.unsure or wanted == b"":
            return  # a range of nothing is asked of a server, and answered by each in its way
        found = self.tell(
            process,
            "cat",
            kind in process.refused,
            kind=kind,
            path=self.path(kind, name),
            start=start,
            end=end,
        )
        if kind not in process.refused:
            assert found == ("absent" if wanted is None else base64.b64encode(wanted).decode()), (kind, name)

    def being_written(self, kind: str, name: str) -> bool:
        """Whether it is open for writing: of two writers the order of their ends would have to decide."""
        files = [f for p in self.processes.values() for f in p.files.values()]
        return any(f.writing and (f.kind, f.name) == (kind, name) for f in files)

    @rule(data=st.data(), kind=st.sampled_from(KINDS), name=st.sampled_from(["a", "b"]), content=contents)
    def pipe(self, data: Any, kind: str, name: str, content: bytes) -> None:
        if self.being_written(kind, name):
            return
        process = self.some(data)
        refused = kind in process.refused
        text = base64.b64encode(content).decode()
        self.tell(process, "pipe", refused, kind=kind, path=self.path(kind, name), data=text)
        if not refused:
            self.model[kind, name] = content
            self.unsure.discard((kind, name))

    @rule(data=st.data())
    def find(self, data: Any) -> None:
        process = self.some(data)
        found = self.tell(process, "find", "s3" in process.refused, kind="s3", path="bucket")
        if "s3" not in process.refused:
            mine = [name for name in found if name.startswith(self.prefix)]
            assert mine == sorted(self.prefix + name for kind, name in self.model if kind == "s3")

    @rule(kind=st.sampled_from(("http", "s3")), name=st.sampled_from(list(FIXED)))
    def cat_all_at_once(self, kind: str, name: str) -> None:
        """Every process does the same at the same time."""
        for process in self.processes.values():
            self.send(process, "cat", kind=kind, path=self.path(kind, name))
        for process in self.processes.values():
            found = self.answer(process, kind in process.refused, f"{process.name}: cat at once, {kind}")
            if kind not in process.refused:
                assert found == base64.b64encode(FIXED[name]).decode()

    # -- files ------------------------------------------------------------------
    @rule(
        data=st.data(),
        kind=st.sampled_from(KINDS),
        name=st.sampled_from(list(FIXED)),
        cache=st.sampled_from(CACHES),
    )
    def open_reading(self, data: Any, kind: str, name: str, cache: str) -> None:
        self.open_one(self.some(data), kind, name, cache_type=cache)

    def open_one(self, process: Process, kind: str, name: str, writing: bool = False, **options: Any) -> None:
        """A file, in small blocks, of which more is known from now on if it is not refused."""
        file, refused = f"f{next(self.numbers)}", kind in process.refused
        if writing:
            options["mode"] = "wb"
        elif kind == "local":
            options = {}
        else:
            options["block_size"] = 512
        self.tell(process, "open", refused, file=file, kind=kind, path=self.path(kind, name), **options)
        if not refused:
            data = b"" if writing else FIXED[name]
            process.files[file] = File(kind, name, data, process.name, writing)
            if writing and kind == "local":
                self.unsure.add((kind, name))

    @precondition(lambda self: self.has(writing=False))
    @rule(data=st.data(), to=st.integers(0, 4000), length=st.integers(1, 1500))
    def read(self, data: Any, to: int, length: int) -> None:
        """Goes on where the copy of this process is, or somewhere else; refused only where it needs more."""
        process = self.some(data, writing=False)
        file = self.file(data, process, writing=False)
        known = process.files[file]
        if data.draw(st.booleans(), label="seek"):
            self.tell(process, "seek", file=file, to=to)
            known.at = to
        self.send(process, "read", file=file, length=length)
        output = stage.hear(process)
        stage.steps += 1
        assert "failed" not in output, f"{process.name}: read {known}\n{output['failed']}"
        assert known.refused or "refused" not in output, f"{process.name}: read {known}\n{output}"
        if "refused" not in output:
            assert base64.b64decode(output["value"]) == known.data[known.at : known.at + length], (
                process.name,
                known,
            )
            known.at = min(known.at + length, max(known.at, len(known.data)))

    @rule(data=st.data(), kind=st.sampled_from(("s3", "local")), name=st.sampled_from(["a", "b"]))
    def open_writing(self, data: Any, kind: str, name: str) -> None:
        if self.being_written(kind, name):
            return
        self.open_one(self.some(data), kind, name, writing=True)

    @precondition(lambda self: self.has(writing=True))
    @rule(data=st.data(), content=contents)
    def write(self, data: Any, content: bytes) -> None:
        process = self.some(data, writing=True)
        file = self.file(data, process, writing=True)
        known = process.files[file]
        refused = known.owner != process.name
        self.tell(process, "write", refused, file=file, data=base64.b64encode(content).decode())
        if not refused:
            known.data += content

    @precondition(lambda self: self.has(writing=True))
    @rule(data=st.data())
    def close_writing(self, data: Any) -> None:
        process = self.some(data, writing=True)
        self.close_writer(process, self.file(data, process, writing=True))

    def close_writer(self, process: Process, file: str) -> None:
        """The owner's close makes the object; that of a child discards its copy."""
        known = process.files.pop(file)
        self.tell(process, "close", file=file)
        if known.owner == process.name:
            self.model[known.kind, known.name] = known.data
            self.unsure.discard((known.kind, known.name))

    @precondition(lambda self: self.has(writing=False))
    @rule(data=st.data(), do=st.sampled_from(["close", "drop"]))
    def close_reading(self, data: Any, do: str) -> None:
        process = self.some(data, writing=False)
        file = self.file(data, process, writing=False)
        del process.files[file]
        self.tell(process, do, file=file)

    # -- the end ----------------------------------------------------------------
    def teardown(self) -> None:
        """What was not closed is; then the servers have what the model has, and nobody has said anything."""
        try:
            if self.healthy:
                self.finish()
        except BaseException:
            self.healthy = False
            raise
        finally:
            if not self.healthy:
                for process in self.processes.values():
                    process.connection.close()
                stage.stop()

    def finish(self) -> None:
        for name in sorted(set(self.processes) - {"root"}, reverse=True):
            process = self.processes[name]
            for file, known in list(process.files.items()):
                if known.writing:
                    self.close_writer(process, file)
            self.leave(process, "falls off")
        root = self.processes["root"]
        for file, known in list(root.files.items()):
            if known.writing:
                self.close_writer(root, file)
            else:
                self.tell(root, "close", file=file)
        for (kind, name), wanted in self.model.items():
            if kind == "local":
                with open(self.path(kind, name), "rb") as f:
                    found: bytes | None = f.read()
            else:
                where = stage.places["s3"] if kind == "s3" else stage.places["http"]
                found = ask(where, "GET", ("/bucket/" if kind == "s3" else "/") + self.prefix + name)
            assert (kind, name) in self.unsure or found == wanted, (kind, name)
        assert not uploads(stage.places)
        assert stage.output() == ""


def test_parent_child_and_grandchild_go_on(places, tmp_path):
    if "s3" not in places:
        pytest.skip("no server for s3")
    global stage
    stage = Stage(places)
    for name, data in FIXED.items():
        ask(places["http"], "PUT", f"/{name}", data)
        ask(places["s3"], "PUT", f"/bucket/{name}", data)
        with open(os.path.join(stage.folder, name), "wb") as f:
            f.write(data)
    try:
        run_state_machine_as_test(
            Forks,
            settings=settings(
                max_examples=EXAMPLES or 5,
                stateful_step_count=STEPS if EXAMPLES else 20,
                derandomize=not EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # an example that fails is not made smaller: each takes seconds
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        print(f"{stage.steps} steps, {stage.forks} forks")
        stage.stop()
