"""An actor of the state machine of forks: a process that does what it is told, one thing after the other.

``python -m fsspec.tests.fork.acting JOB`` connects to the socket of the machine (`test_fork_machine`), and so
does each child that it is told to fork. What an actor has, filesystems and open files, its
children inherit; they go on with it, as it does.
"""

from __future__ import annotations

import base64
import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any

import fsspec
from fsspec import asyn
from fsspec.exceptions import ForkError


class Ended(Exception):
    """The actor is at the end of its program."""


class Actor:
    """What one process has, and can do.

    Every method that the machine calls by name returns something for JSON.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.files: dict[str, Any] = {}
        self.children: dict[str, int] = {}
        self.systems = {kind: self.make(kind) for kind in ("http", "s3", "local")}
        self.connect("root")

    def make(self, kind: str) -> Any:
        """A new instance."""
        options: dict[str, Any] = {"s3": self.job["s3"]}.get(kind, {})
        return fsspec.filesystem("file" if kind == "local" else kind, skip_instance_cache=True, **options)

    def connect(self, name: str) -> None:
        """Tell the machine that there is a process of that name."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.job["socket"])
        self.lines = self.socket.makefile("rb")
        self.say({"name": name, "pid": os.getpid()})

    def say(self, what: Any) -> None:
        self.socket.sendall(json.dumps(what).encode() + b"\n")

    def run(self) -> None:
        """Do what is told until the machine hangs up."""
        for line in iter(self.next_line, b""):
            reported = json.loads(line)
            try:
                answer = {"value": getattr(self, reported.pop("do"))(**reported)}
            except ForkError as error:
                answer = {"refused": str(error)}
            except FileNotFoundError:
                answer = {"value": "absent"}
            except Ended:
                raise
            except Exception:  # it is what the machine wants to know
                answer = {"failed": traceback.format_exc()}
            self.say(answer)

    def next_line(self) -> bytes:
        return self.lines.readline()  # of the socket that it has by now: a child's is another

    # what it is told ---------------------------------------------------------------
    def fork(self, name: str, mode: str) -> int:
        """The process id of a new child; the child answers by connecting."""
        before = os.environ.get("FSSPEC_FORK_RESET", "0")
        os.environ["FSSPEC_FORK_RESET"] = "1" if mode == "opted" else "0"
        pid = os.fork()
        if pid:
            os.environ["FSSPEC_FORK_RESET"] = (
                before  # set, it would count for what this process inherited too
            )
            self.children[name] = pid
            return pid
        self.lines.close()
        self.socket.close()
        self.children = {}
        if mode == "by hand":
            asyn.reset_after_fork()
        self.connect(name)
        self.run()
        raise Ended

    def wait(self, name: str) -> int:
        """The exit code of a child."""
        return os.waitstatus_to_exitcode(os.waitpid(self.children.pop(name), 0)[1])

    def reset(self) -> None:
        asyn.reset_after_fork()

    def anew(self, kind: str) -> None:
        self.systems[kind] = self.make(kind)

    def cat(self, kind: str, path: str, start: int | None = None, end: int | None = None) -> str:
        return base64.b64encode(self.systems[kind].cat_file(path, start=start, end=end)).decode()

    def pipe(self, kind: str, path: str, data: str) -> None:
        self.systems[kind].pipe_file(path, base64.b64decode(data))

    def find(self, kind: str, path: str) -> list[str]:
        self.systems[kind].invalidate_cache()
        return sorted(found.rpartition("/")[2] for found in self.systems[kind].find(path))

    def open(self, file: str, kind: str, path: str, **options: Any) -> None:
        self.files[file] = self.systems[kind].open(path, **options)

    def read(self, file: str, length: int) -> str:
        return base64.b64encode(self.files[file].read(length)).decode()

    def seek(self, file: str, to: int) -> None:
        self.files[file].seek(to)

    def write(self, file: str, data: str) -> None:
        self.files[file].write(base64.b64decode(data))

    def close(self, file: str) -> None:
        self.files.pop(file).close()

    def drop(self, file: str) -> None:
        del self.files[file]
        gc.collect()

    def end(self, how: str) -> None:
        if how == "os._exit":
            os._exit(0)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self.lines.close()
        self.socket.close()
        if how == "sys.exit":
            sys.exit(0)
        raise Ended


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    try:
        Actor(json.loads(sys.argv[1])).run()
    except Ended:
        pass
