"""Eight processes on one cache folder, killed at random: nobody ever reads a wrong byte."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import fsspec
from fsspec.implementations.tests.caches import EVERY

PROCESSES = 8
KILLS = 12
SIZES = [0, 1, 999, 5000, 40_000, 300_000]

WORKER = """
import os, random, sys, time
import fsspec
from fsspec.spec import AbstractBufferedFile
AbstractBufferedFile.DEFAULT_BLOCK_SIZE = 4096
kind, storage, source, seed, until = sys.argv[1:]
rng = random.Random(int(seed))
limits = {} if rng.random() < 0.5 else {"cache_max_size": 600_000}
c = fsspec.filesystem(kind, target_protocol="file", cache_storage=storage, cache_check=0.01, **limits)
paths = [os.path.join(source, name) for name in sorted(os.listdir(source))]
good = {path: open(path, "rb").read() for path in paths}
print("begun", flush=True)
while time.time() < float(until):
    path = rng.choice(paths)
    start = rng.randrange(len(good[path]) + 1)
    end = start + rng.randrange(20_000)
    what = rng.randrange(12)
    if what < 4:
        with c.open(path) as f:
            f.seek(start)
            assert f.read(end - start) == good[path][start:end], (path, start, end)
    elif what < 6:
        assert c.cat_file(path, start, end) == good[path][start:end], (path, start, end)
    elif what < 8:
        some = [path, rng.choice(paths)]
        assert c.cat_ranges(some, 0, 100) == [good[p][:100] for p in some], some
    elif what == 8:
        assert c.cat(path) == good[path], path
    elif what == 9:
        c.pop_from_cache(path)
    elif what == 10:
        c.clear_expired_cache(0.05)
    elif rng.random() < 0.2:
        c.clear_cache()
"""


@pytest.mark.parametrize("read", [3000, 100_000])
def test_blocks_that_another_process_removes_as_they_are_opened_are_fetched_again(read, tmp_path):
    """The whole of a file, or some of its blocks."""
    data = random.Random(1).randbytes(20_000)
    (tmp_path / "a").write_bytes(data)
    options = {"target_protocol": "file", "cache_storage": str(tmp_path / "c"), "skip_instance_cache": True}
    c, other = (fsspec.filesystem("blockcache", **options) for _ in range(2))
    path = str(tmp_path / "a")
    with c.open(path, block_size=1000) as f:
        assert f.read(read) == data[:read]
    note, removed = c._note_use, []

    def removing(fn):
        if not removed:
            removed.append(fn)
            os.unlink(fn)
        note(fn)

    c._note_use = removing
    with c.open(path, block_size=1000) as f:
        with other.open(path, block_size=1000) as g:
            assert g.read(2000) == data[:2000]  # no hole of a file that was made anew
        assert f.read() == data
    assert removed and c.cat(path) == data


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills")
@pytest.mark.parametrize("kind", EVERY)
def test_killed_at_random(kind, tmp_path):
    source, storage = tmp_path / "source", tmp_path / "c"
    source.mkdir()
    rng = random.Random(kind)
    for number, size in enumerate(SIZES * 2):
        (source / f"{number}").write_bytes(rng.randbytes(size))
    until = time.time() + 120

    def started():
        arguments = [kind, str(storage), str(source), str(rng.random())[2:], str(until)]
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    workers = [started() for _ in range(PROCESSES)]
    assert [worker.stdout.readline() for worker in workers] == ["begun\n"] * PROCESSES
    try:
        for _ in range(KILLS):
            time.sleep(rng.random() * 0.3)
            victim = workers.pop(rng.randrange(PROCESSES))
            victim.kill()
            problem = victim.communicate(timeout=30)[1]
            assert victim.returncode == -signal.SIGKILL, problem
            workers.append(started())
        time.sleep(1)
        assert [worker.poll() for worker in workers] == [None] * PROCESSES, [
            w.communicate()[1] for w in workers if w.poll() is not None
        ]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    if (storage / "cache").exists():
        with open(storage / "cache") as f:
            assert isinstance(json.load(f), dict)
    run_to_its_end = [kind, str(storage), str(source), "1", str(time.time() + 2)]
    last = subprocess.run(
        [sys.executable, "-c", WORKER, *run_to_its_end], capture_output=True, text=True, timeout=60
    )
    assert (last.returncode, last.stderr) == (0, "")
    assert os.listdir(source) and not [name for name in os.listdir(source) if name.endswith(".part")]
