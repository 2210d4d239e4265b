"""One test of `AbstractForkTests`, in a process of its own.

Reads a job from stdin: a filesystem, a place, a handle, a mode.  For each action makes the
handle, forks, and has the child act on it.  Prints, by action, what went wrong, as JSON.
It is not in the package of `AbstractForkTests`, which loads pytest, as this process need not; it is
installed as they are.
"""

from __future__ import annotations

import base64
import faulthandler
import gc
import json
import os
import pickle
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fsspec import asyn
from fsspec._checks import forked
from fsspec._checks.advice import FILE_SHARES, SHARES, advise, located
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
from fsspec.mapping import FSMap

MODES = ("opted in", "by hand", "neither")
WRITING = "file being written"
BOTH = "used by both at once"
TOGETHER, TIMES = 0.25, 3  # seconds for which both use it, and how often a child does at least
PATIENCE = 15.0  # seconds for the parent to do its next thing, more if the machine is crowded
SIZE = 100_000

CONTENT = bytes((i * 7 + (i >> 8)) % 256 for i in range(SIZE))


class Instance:
    """The filesystem itself."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def make(self) -> Any:
        return self.job.fs

    def use(self, handle: Any) -> None:
        """Works, to the last byte; AssertionError if it does not."""
        for path, data in self.job.files.items():
            handle.invalidate_cache()
            assert handle.cat_file(path) == data, f"other bytes of {path}"
            assert handle.info(path)["size"] in (len(data), None)

    def state(self, handle: object) -> Any:
        """What only the process that it belongs to may change."""

    def close(self, handle: Any) -> None:
        """As a program would that is done with it."""
        close = getattr(handle, "close", None)
        if callable(close):
            close()
        handle.clear_instance_cache()

    def settle(self, handle: object) -> None:
        """In the parent, at the end."""


class OpenFile(Instance):
    """A half-read file; each process reads on from there."""

    def make(self) -> Any:
        self.path, self.data = next(iter(self.job.files.items()))
        self.half = len(self.data) // 2
        f = self.job.fs.open(self.path, "rb")
        assert f.read(self.half) == self.data[: self.half], "other bytes at the beginning"
        return f

    def use(self, handle: Any) -> None:
        at = handle.tell()
        assert handle.read(100) == self.data[at : at + 100], f"other bytes at {at}"
        assert handle.read() == self.data[at + 100 :], f"other bytes after {at + 100}"
        handle.seek(0)
        assert handle.read() == self.data, "other bytes from the beginning"
        handle.seek(at // 2)  # not where it was, which would hide that a position is shared

    def state(self, handle: Any) -> Any:
        return handle.tell()

    def close(self, handle: Any) -> None:
        handle.close()

    def settle(self, handle: Any) -> None:
        handle.close()


class Mapper(Instance):
    """A mapping over the folder of the files."""

    def make(self) -> Any:
        path = next(iter(self.job.files))
        return FSMap(self.job.fs._parent(path), self.job.fs)

    def use(self, handle: Any) -> None:
        for path, data in self.job.files.items():
            assert handle[path.rstrip("/").rpartition("/")[2]] == data, f"other bytes of {path}"

    def close(self, handle: Any) -> None:
        handle.fs.clear_instance_cache()


class Writing(Instance):
    """A file that is being written; it belongs to the process that opened it."""

    def make(self) -> Any:
        job = self.job
        self.path = f"{job.folder}/written-{uuid.uuid4().hex}"
        options = {} if job.block_size is None else {"block_size": job.block_size}
        self.part = CONTENT * max(1, -(-(job.block_size or 0) // SIZE)) + b"part"
        self.parts = 1
        f = job.fs.open(self.path, "wb", **options)
        f.write(self.part)
        return f

    def state(self, handle: object) -> Any:
        self.job.fs.invalidate_cache()
        return self.job.fs.info(self.path)["size"] if self.job.fs.exists(self.path) else None

    def use(self, handle: Any) -> None:
        handle.write(self.part)
        self.parts += 1

    def close(self, handle: Any) -> None:
        handle.close()

    def settle(self, handle: Any) -> None:
        handle.close()
        fs = self.job.fs
        fs.invalidate_cache()
        assert fs.cat_file(self.path) == self.part * self.parts, "other bytes than were written"
        fs.rm(self.path)


HANDLES: dict[str, type[Instance]] = {
    "instance": Instance,
    "open file": OpenFile,
    "mapper": Mapper,
    WRITING: Writing,
}


class Job:
    """What is tried, and how."""

    def __init__(self, reported: dict[str, Any]) -> None:
        self.others = forked.open_sockets()  # before there is a filesystem
        self.fs: Any
        self.fs, place = pickle.loads(base64.b64decode(reported["subject"]))
        self.pickled = pickle.dumps(self.fs)
        self.mode: str = reported["mode"]
        self.block_size: int | None = reported["block_size"]
        self.memory: bool = reported["memory"]
        self.folder = ""
        if isinstance(place, Mapping):
            self.files = dict(place)
        else:
            self.folder = f"{str(place).rstrip('/')}/fork-{uuid.uuid4().hex}"
            with suppress(FileExistsError):
                self.fs.mkdir(self.folder)
            self.files = {f"{self.folder}/{name}.bin": CONTENT + name.encode() for name in ("one", "two")}
            for path, data in self.files.items():
                self.fs.pipe_file(path, data)
        self.handle = HANDLES[reported["handle"]](self)
        Instance(self).use(self.fs)
        self.outside = forked.shared_by_instances(self.others, self.anew)

    def anew(self) -> Any:
        """Another instance, that has read."""
        made = type(self.fs)(
            *self.fs.storage_args, **{**self.fs.storage_options, "skip_instance_cache": True}
        )
        made.cat_file(next(iter(self.files)))
        return made

    def end(self) -> None:
        """Nothing is left, and nothing appeared that nobody wrote."""
        if self.folder:
            self.fs.invalidate_cache()
            names = {path.rpartition("/")[2] for path in self.fs.find(self.folder)}
            self.fs.rm(self.folder, recursive=True)
            assert names == {path.rpartition("/")[2] for path in self.files}, f"came into being: {names}"


def use(job: Job, box: list[Any]) -> None:
    """Use the handle, or find that its use is refused; a newly made one works in any case."""
    handle = job.handle
    if isinstance(handle, Writing) and not job.memory:
        with suppress(ForkError):
            box[0].flush()  # may also do nothing: what the store has is looked at below
        try:
            box[0].write(b"x")
        except ForkError:
            pass
        else:
            raise AssertionError("an inherited file being written took more, without an error")
    else:
        try:
            handle.use(box[0])
            handle.use(box[0])
        except ForkError as error:
            if job.mode != "neither" and not isinstance(handle, Writing):
                raise
            assert "fork-safe" in str(error), error
    Instance(job).use(pickle.loads(job.pickled))


def drop(job: Job, box: list[Any]) -> None:
    """Drop it and collect."""
    box.clear()
    if type(job.handle) is Instance:
        job.fs = None
    gc.collect()


def close(job: Job, box: list[Any]) -> None:
    """Close it."""
    try:
        job.handle.close(box[0])
    except ForkError:
        if job.mode != "neither":
            raise


def leave(job: Job, box: list[Any]) -> None:
    """Only end, by sys.exit."""


def kill(job: Job, box: list[Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def use_together(job: Job, box: list[Any]) -> None:
    """Use it again and again, while the parent does the same."""
    deadline, times = time.monotonic() + TOGETHER, 0
    while times < TIMES or time.monotonic() < deadline:
        use(job, box)
        times += 1


ACTIONS: dict[str, Callable[[Job, list[Any]], None]] = {
    "used": use,
    BOTH: use_together,
    "dropped and collected": drop,
    "closed": close,
    "exit": leave,
    "killed": kill,
}


def in_time(func: Callable[[], None], what: str) -> str:
    """Run something of the parent's; why it is not as it should be, empty if it is."""
    problem = forked.in_time(func, what, PATIENCE * forked.load_factor())
    if problem is None:
        faulthandler.dump_traceback(all_threads=True)
        return f"{what}: hangs"
    return problem


class Meanwhile:
    """The parent's use of the handle while a child uses its copy: begins when the child tells, by a pipe."""

    def __init__(self, func: Callable[[], None]) -> None:
        self.func, self.over, self.problem = func, False, ""
        self.reader, self.writer = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def begin(self) -> None:
        """In the child."""
        os.write(self.writer, b"x")

    def run(self) -> None:
        os.read(self.reader, 1)
        while not self.over and not self.problem:
            self.problem = in_time(self.func, "the parent's use at the same time")

    def end(self) -> str:
        """In the parent, after the child has ended: what went wrong meanwhile, empty if nothing did."""
        self.over = True
        os.write(self.writer, b"x")  # if the child never came to it
        self.thread.join(PATIENCE * forked.load_factor())
        os.close(self.reader)
        os.close(self.writer)
        return self.problem


def cell(job: Job, name: str) -> str:
    """One action; empty if child and parent are as they should be."""
    handle = job.handle
    Instance(job).use(job.fs)  # it has its connections before a file has any
    gc.collect()
    earlier = forked.opened_since(job.others)
    box = [handle.make()]
    handle.use(box[0])
    before = handle.state(box[0])
    is_file = type(handle) in (OpenFile, Writing)
    sockets, of_file = forked.by_holder(box[0] if is_file else None, earlier, forked.opened_since(job.others))
    cls, file = type(job.fs), type(box[0])
    meanwhile = Meanwhile(lambda: handle.use(box[0])) if name == BOTH else None

    def body() -> str | None:
        if job.mode == "by hand":
            asyn.reset_after_fork()
        shared = forked.named_shares(FILE_SHARES, of_file) or forked.named_shares(SHARES, sockets)
        if shared and not cls._fork_sensitive:
            return shared
        if meanwhile is not None:
            meanwhile.begin()
        ACTIONS[name](job, box)
        return shared or None

    problem = located(by_fork(body).problem(killed=name == "killed"), cls)
    problems = [f"child: {problem}" if problem else ""]
    if meanwhile is not None:
        problems.append(meanwhile.end())
    else:
        problems.append(in_time(lambda: _same(before, handle.state(box[0])), "the parent's"))
    problems.append(in_time(lambda: handle.use(box[0]), "the parent's next use"))
    problems.append(in_time(lambda: Instance(job).use(job.fs), "the parent's next request"))
    problems.append(in_time(lambda: handle.settle(box[0]), "the parent's end"))
    output = "; ".join(filter(None, problems))
    if not output or "position, or size" in output:  # which tells what is to be mended
        return output
    blamed = file if FILE_SHARES in output else None
    return f"{output}\n{advise(output, cls, job.outside, blamed)}"


def _same(before: object, after: object) -> None:
    assert before == after, f"position, or size in the store, was {before!r}; a child made it {after!r}"


def main() -> None:
    """See the module's text."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    reported = json.load(sys.stdin)
    forked.LIMIT = reported["limit"]
    job = Job(reported)
    found: dict[str, Any] = {}
    if isinstance(job.handle, Mapper) and not job.fs._parent(next(iter(job.files))):
        found["skipped"] = True
    else:
        forks = 0
        for name in list(ACTIONS) * reported.get("rounds", 1):
            try:
                found[name] = cell(job, name)
            except Exception as error:  # as above
                if not forks:
                    raise
                output = f"the parent: {type(error).__name__}: {error}"  # harmed by a child before
                found[name] = f"{output}\n{advise(output, type(job.fs), job.outside)}"
            forks += 1
            if found[name]:
                break  # what comes after a harm is not to be judged
        found["forks"] = str(forks)
    found["afterwards"] = found.get("skipped") or in_time(job.end, "what is left")
    print(json.dumps(found), flush=True)
    os._exit(0)  # a damaged backend may keep the interpreter from exiting
