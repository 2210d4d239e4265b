"""Executes the table of ownership: one parent, a fork for each event, all objects of a group at once.

``python -m fsspec.tests.fork.owning JOB`` makes every object of a group, forks a child that does with
each what the event says, and prints by event and object what came of it.  After each child the
parent uses each object again and ends it, so that what a child did to any of them shows.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import itertools
import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import fsspec
from fsspec import asyn
from fsspec._checks.forked import Channel, Report, wait
from fsspec.exceptions import ForkError
from fsspec.tests.fork.forking import HOLDS_SOCKETS
from fsspec.tests.fork.matrix import CROSSINGS
from fsspec.tests.fork.ownership import ENDS, OBJECTS
from fsspec.tests.fork.program import harmed
from fsspec.tests.fork.stores import SMB, Cached, LocalCachedFile
from fsspec.tests.fork.subjects import DATA, HTTP, HTTPS, S3, SLOW, Subject, _OwnLoop, expect
from fsspec.tests.fork.zygote import LOADED, load


class Witness(HTTPS):
    """An instance over TLS whose server tells the parent's requests from those of children."""

    def __init__(self, places: dict[str, str]) -> None:
        super().__init__(places)
        self.owner = os.getpid()

    def use(self, handle: Any) -> None:
        who = "parent" if os.getpid() == self.owner else "child"
        expect(handle.cat_file(f"{self.url('data0.bin')}?{who}-{self.owner}"), DATA["data0.bin"], "cat_file")


class LocalInstance(Subject):
    """An instance that holds nothing."""

    connects = False

    def make(self) -> Any:
        return fsspec.filesystem("file", skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        expect(handle.cat_file(os.path.join(self.folder, "data0.bin")), DATA["data0.bin"], "cat_file")


class CacheFolder(Cached):
    """A cache on disk, whose folder ends with the instance, in the process that made it."""

    def __init__(self, places: dict[str, str]) -> None:
        super().__init__(places)
        self.owner = os.getpid()

    def make(self) -> Any:
        fs = super().make()
        super().use(fs)
        return {"fs": fs, "folder": fs.storage[-1]}

    def use(self, handle: Any) -> None:
        if os.getpid() == self.owner:
            assert os.listdir(handle["folder"]), "what was cached is gone"
        super().use(handle["fs"])

    def refused(self, handle: Any) -> None:
        super().refused(handle["fs"])

    def instance(self, handle: Any) -> Any:
        return handle["fs"]

    def close(self, handle: Any) -> None:
        handle["fs"].clear_cache()

    def settle(self, handle: Any) -> None:
        del handle["fs"]
        gc.collect()
        assert not os.path.exists(handle["folder"]), "the folder outlives the parent's instance"


class CachedCopy(LocalCachedFile):
    """An open file of a cache that lives as long as the file."""

    kind = "simplecache"

    def make(self) -> Any:
        self.cache = Cached.make(self)
        return self.begun(self.cache.open(self.url("data0.bin")))


class Loop(Subject):
    """The event loop of the parent; a child asks for its own."""

    pickles = False

    def __init__(self, places: dict[str, str]) -> None:
        super().__init__(places)
        self.owner = os.getpid()

    def make(self) -> Any:
        return asyn.get_loop()

    def use(self, handle: Any) -> None:
        mine = asyn.get_loop()
        if os.getpid() == self.owner:
            assert mine is handle
        else:
            assert mine is not handle and handle.is_closed() and not handle.is_running()
        assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), mine).result(10) == "slept"

    def close(self, handle: Any) -> None:
        if os.getpid() != self.owner:
            handle.stop()
            handle.close()

    def instance(self, handle: Any) -> Any:
        raise AttributeError("it is no filesystem's")


class Lock(Loop):
    """fsspec's lock, which another thread of the parent holds at the fork."""

    def make(self) -> Any:
        lock, held, enough = asyn.get_lock(), threading.Event(), threading.Event()

        def hold() -> None:
            with lock:
                held.set()
                enough.wait(60)

        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        return {"lock": lock, "enough": enough}

    def use(self, handle: Any) -> None:
        if os.getpid() == self.owner:
            assert asyn.get_lock() is handle["lock"] and not handle["lock"].acquire(blocking=False)
        else:
            mine = asyn.get_lock()
            assert mine is not handle["lock"]
            assert mine.acquire(timeout=10)
            mine.release()

    def close(self, handle: Any) -> None:
        if os.getpid() != self.owner:
            asyn.reset_lock()

    def settle(self, handle: Any) -> None:
        handle["enough"].set()
        assert handle["lock"].acquire(timeout=10), "the parent's lock is not let go of"
        handle["lock"].release()


MORE: dict[str, type[Subject]] = {
    "witness": Witness,
    "local": LocalInstance,
    "cache folder": CacheFolder,
    "cached copy": CachedCopy,
    "loop": Loop,
    "lock": Lock,
}
SUBJECTS: dict[str, type[Subject]] = {**CROSSINGS, **MORE}


# what a child does -----------------------------------------------------------------
def _used(subject: Subject, box: list[Any], mode: str) -> str:
    if isinstance(subject, Loop):
        subject.use(box[0])
        return "anew"
    try:
        for _ in range(2):
            (subject.refused if subject.strict or mode == "neither" else subject.use)(box[0])
    except ForkError as error:
        text = str(error)
        assert "fork-safe" in text and str(os.getpid()) in text and str(error.owner_pid) in text, text
        return "ForkError"
    return "works"


def _dropped(subject: Subject, box: list[Any], mode: str) -> str:
    box.clear()
    return "nothing"  # collected, all together, before the child ends


def _closed(subject: Subject, box: list[Any], mode: str) -> str:
    if isinstance(subject, _OwnLoop) or type(subject) is SMB:
        return "none"
    try:
        subject.close(box[0])
    except ForkError:
        return "ForkError"
    box.clear()
    return "own copy"


_PARTS = ("file", "files", "fs")  # what is meant, where a subject's handle is a dict


def _pickled(subject: Subject, box: list[Any], mode: str) -> str:
    handle = box[0]
    part = next((name for name in _PARTS if isinstance(handle, dict) and name in handle), None)
    try:
        copy = pickle.loads(pickle.dumps(handle if part is None else handle[part]))
    except ForkError:
        return "ForkError"
    except (TypeError, AttributeError, NotImplementedError, ValueError, RuntimeError, pickle.PicklingError):
        return "no pickle"
    if part is not None:
        copy = {**handle, part: copy}
        if part == "files":
            copy.update(open=copy[part].__enter__(), at=0)
    return _used(subject, [copy], mode)


def _cancelled(subject: Subject, box: list[Any], mode: str) -> str:
    if isinstance(subject, HTTP):
        path = subject.url(SLOW)
    elif isinstance(subject, S3):
        path = "bucket/data1.bin"
    else:
        return "none"
    try:
        fs = subject.instance(box[0])
        if not fs.async_impl:
            return "none"
        loop = asyn.get_loop()
        if isinstance(subject, _OwnLoop):
            box[0].update(subject.start())
            loop = box[0]["loop"]
        request = asyncio.run_coroutine_threadsafe(fs._cat_file(path), loop)
        time.sleep(0.004)
        request.cancel()
    except ForkError:
        return "ForkError"
    except AttributeError:  # there is no awaitable filesystem behind it
        return "none"
    return _used(subject, box, mode)


ACTS: dict[str, Callable[[Subject, list[Any], str], str]] = {
    "used": _used,
    "dropped": _dropped,
    "closed": _closed,
    "pickled": _pickled,
    "cancelled": _cancelled,
}


class Ended(Exception):
    """The child is at its end, which is that of the program."""


class Unhandled(Exception):
    """The exception by which a child ends."""


def act(subjects: dict[str, Subject], boxes: dict[str, list[Any]], event: str, mode: str) -> dict[str, str]:
    """In a child: what came of the event for each object; of the ends only that they are near."""
    if mode == "by hand":
        asyn.reset_after_fork()
    if event in ENDS:
        return dict.fromkeys(boxes, "nothing")
    found = {}
    for name, subject in subjects.items():
        try:
            found[name] = ACTS[event](subject, boxes[name], mode)
        except Exception:  # it is the outcome
            found[name] = traceback.format_exc()
    gc.collect()
    gc.collect()
    return found


def end(event: str) -> None:
    """End as the event says; all that is not one of the ends leaves by sys.exit."""
    if event == "os._exit":
        os._exit(0)
    if event == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "exec":
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", HOLDS_SOCKETS])
    if event == "falls off the end":
        raise Ended
    if event == "exception":
        raise Unhandled("of the child's own")
    sys.exit(0)


def child_problem(report: Report, event: str) -> str:
    """Why a child did not end as it should; empty where it did."""
    if event == "exception" and report.code == 1:
        first, *_, last = report.stderr.strip().splitlines() or [""]
        if first.startswith("Traceback") and last.endswith("Unhandled: of the child's own"):
            report.code, report.stderr = 0, ""
    if isinstance(report.result, dict):
        report.result = "done"
    return report.problem(killed=event == "killed")


def fork(subjects: dict[str, Subject], boxes: dict[str, list[Any]], event: str, mode: str) -> dict[str, str]:
    """One event: in the child, then in the parent; by object what came of it."""
    channel, begun = Channel(), time.monotonic()
    pid = os.fork()
    if not pid:
        channel.redirect_stderr()
        found = act(subjects, boxes, event, mode)
        channel.send(found)
        end(event)
    report = wait(pid, channel, begun)
    output = report.result if isinstance(report.result, dict) else {}
    problem = child_problem(report, event)
    outcomes = {}
    for name, subject in subjects.items():
        handle = boxes[name][0]
        harm = [
            harmed(lambda: subject.use(handle), "the parent's next use"),
            harmed(lambda: subject.settle(handle), "the parent's end"),
        ]
        notes = [text for text in (f"the child {problem}" if problem else "", *harm) if text]
        outcomes[name] = "; ".join(notes) or output.get(name, "output nothing")
    return outcomes


def main(job: dict[str, Any]) -> None:
    """See the module's text; children come through here as well, by their ends."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    load(LOADED)
    found = {}
    names = [name for name, (group, *_) in OBJECTS.items() if group == job["group"]]
    subjects = {name: SUBJECTS[OBJECTS[name][1]](job["places"]) for name in names}
    for subject in subjects.values():
        if isinstance(subject, S3) and not isinstance(subject, _OwnLoop):
            subject.numbers = itertools.repeat(0)  # a client of S3 is dear to make: they share one
    for event in job["events"]:
        boxes = {name: [subject.make()] for name, subject in subjects.items()}
        for name, subject in subjects.items():
            if isinstance(subject, _OwnLoop):  # one that has not connected needs no opting in
                subject.use(boxes[name][0])
        found[event] = fork(subjects, boxes, event, job["mode"])
        boxes.clear()
    print(json.dumps(found), flush=True)
    os._exit(0)  # what was harmed may not let the interpreter end


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except Ended:
        pass
