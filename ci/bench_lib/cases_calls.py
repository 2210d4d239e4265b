"""Single calls that do little: what a call itself costs."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable
from typing import Any

from .case import Bench, Timed, case

CALLS = 500


def many(*calls: Callable[[], object]) -> Timed:
    """Each of some calls, many times."""

    def timed() -> None:
        for _ in range(CALLS):
            for call in calls:
                call()

    return timed


def small_files(fs: Any, folder: str) -> str:
    """Ten small files in a folder; the folder."""
    fs.makedirs(folder, exist_ok=True)
    for n in range(10):
        fs.pipe_file(f"{folder}/{n}", b"x" * 100)
    return folder


def looking(fs: Any, folder: str) -> Timed:
    """Calls that look at one of the `small_files`."""
    path = f"{folder}/3"
    return many(
        lambda: fs.exists(path),
        lambda: fs.isfile(path),
        lambda: fs.isdir(path),
        lambda: fs.info(path),
        lambda: fs.ls(folder, detail=False),
        lambda: fs.cat(path),
        lambda: fs.expand_path(path),
    )


@case("calls-memory", "memory: 7 calls that look at a file", 0.9, ops=CALLS)
def calls_memory(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("memory")
    return looking(fs, small_files(fs, "/calls"))


@case("calls-local", "local: 7 calls that look at a file", 0.9, ops=CALLS)
def calls_local(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("file")
    return looking(fs, small_files(fs, os.path.join(bench.folder, "calls")))


@case("calls-dir", "a folder of memory: 7 calls that look at a file", 1.05, ops=CALLS)
def calls_dir(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("memory")
    small_files(fs, "/calls/below")
    return looking(fsspec.filesystem("dir", path="/calls", fs=fs), "below")


def removing_limit(bench: Bench) -> Timed:
    files: dict[str, bytes] = {}

    def timed() -> float:
        files.update((f"/calls/{n}", b"") for n in range(CALLS))
        start = time.process_time()
        for n in range(CALLS):
            del files[f"/calls/{n}"]
        return time.process_time() - start

    return timed


@case("memory-rm-file", "memory rm_file", 1.05, limit=removing_limit, ops=CALLS)
def memory_rm_file(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("memory")

    def timed() -> float:
        for n in range(CALLS):
            fs.pipe_file(f"/calls/{n}", b"")
        start = time.process_time()
        for n in range(CALLS):
            fs.rm_file(f"/calls/{n}")
        return time.process_time() - start

    return timed


@case("memory-pipe-rm", "memory pipe_file and rm_file", 1.05, ops=CALLS)
def memory_pipe_rm(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("memory")
    return many(lambda: fs.pipe_file("/calls/one", b""), lambda: fs.rm_file("/calls/one"))


def local_file(bench: Bench) -> tuple[Any, str]:
    import fsspec

    path = os.path.join(bench.folder, "lines.txt")
    with open(path, "wb") as f:
        f.write(b"a line of text\n" * 1000)
    return fsspec.filesystem("file"), path


@case("local-readline", "local readline, 1,000 lines", 1.05, ops=1000)
def local_readline(bench: Bench) -> Timed:
    fs, path = local_file(bench)

    def timed() -> None:
        with fs.open(path, "rb") as f:
            while f.readline():
                pass

    return timed


@case("local-lines", "local: for line in file, 1,000 lines", 1.05, ops=1000)
def local_lines(bench: Bench) -> Timed:
    fs, path = local_file(bench)

    def timed() -> None:
        with fs.open(path, "rb") as f:
            for _ in f:
                pass

    return timed


@case("local-small-writes", "local write of 2 bytes, 1,000 times", 1.05, ops=1000)
def local_small_writes(bench: Bench) -> Timed:
    fs, path = local_file(bench)

    def timed() -> None:
        with fs.open(path, "wb") as f:
            for _ in range(1000):
                f.write(b"ab")

    return timed


@case("tar-open-read", "opening and reading a member of a tar archive", 1.05, ops=CALLS)
def tar_open_read(bench: Bench) -> Timed:
    import fsspec

    path = os.path.join(bench.folder, "calls.tar")
    with tarfile.open(path, "w") as tar:
        for n in range(100):
            member = tarfile.TarInfo(f"folder/{n}")
            member.size = 100
            tar.addfile(member, io.BytesIO(b"x" * 100))
    fs = fsspec.filesystem("tar", fo=path, skip_instance_cache=True)

    def read() -> None:
        with fs.open("folder/3") as f:
            f.read()

    return many(read)
