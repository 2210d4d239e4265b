"""Programs as users run them: torch, multiprocessing, gunicorn, celery, each with handles made before."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request

import pytest

from fsspec._checks.forked import load_factor
from fsspec.tests.fork.scripts import ROOT, run
from fsspec.tests.fork.subjects import DATA, SIZE

MODES = ["opted", "by hand"]


def environment(places, mode, folder):
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "FSSPEC_FORK_RESET")}
    env.update(PLACES=json.dumps(places), PYTHONPATH=os.pathsep.join([str(folder), ROOT]))
    env["FSSPEC_FORK_RESET"] = "1" if mode == "opted" else "0"
    env["BY_HAND"] = "1" if mode == "by hand" else ""
    return env


@pytest.mark.parametrize("mode", MODES)
def test_data_loader_of_several_workers_and_epochs(mode, places):
    pytest.importorskip("torch")
    run(
        """
    from torch.utils.data import DataLoader, Dataset
    if "s3" in places:
        from fsspec.tests.servers.s3 import options
        s3 = fsspec.filesystem("s3", **options(places["s3"]))
        s3.cat_file("bucket/data0.bin")
    else:
        s3 = None

    class Pieces(Dataset):
        def __init__(self):
            self.fs = fsspec.filesystem("http")
            self.f = self.fs.open(url("data0.bin"), block_size=2**14)
            self.f.read(1000)

        def __len__(self):
            return 24

        def __getitem__(self, index):
            self.f.seek(index * 10_000)
            expect(self.f.read(5000), DATA["data0.bin"][index * 10_000 : index * 10_000 + 5000], "piece")
            name = f"data{index % 3}.bin"
            expect(self.fs.cat_file(url(name)), DATA[name], name)
            if s3 is not None and index % 6 == 0:
                expect(s3.cat_file(f"bucket/{name}"), DATA[name], name)
            return index

    init = None if OPTED else asyn.reset_after_fork
    pieces = Pieces()
    for persistent in (False, True):
        loader = DataLoader(pieces, num_workers=2, batch_size=3, worker_init_fn=init, timeout=60,
                            multiprocessing_context="fork", persistent_workers=persistent)
        for epoch in range(2):
            assert sorted(int(i) for batch in loader for i in batch) == list(range(24))
            answers(lambda: [pieces[i] for i in (0, 7, 23)])
        del loader
    """,
        places,
        "opted" if mode == "opted" else "neither",
    )


@pytest.mark.parametrize("mode", MODES)
def test_executor_and_pool_with_initializers(mode, places):
    run(
        """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**14)

    def init():
        if not OPTED:
            asyn.reset_after_fork()

    def work(number):
        name = f"data{number % 3}.bin"
        read(fs, name)
        f.seek(number * 1000)
        expect(f.read(500), DATA["data0.bin"][number * 1000 : number * 1000 + 500], "file")
        return os.getpid()

    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(3, mp_context=fork, initializer=init) as executor:
        assert os.getpid() not in set(executor.map(work, range(30)))
        answers(lambda: work(3))
    with fork.Pool(3, initializer=init, maxtasksperchild=4) as pool:
        assert len(set(pool.map(work, range(30), chunksize=1))) > 3
        answers(lambda: work(3))
    answers(lambda: work(4))
    """,
        places,
        "opted" if mode == "opted" else "neither",
    )


PRELOADED = """
import json, os
import fsspec
from fsspec.tests.fork.subjects import DATA, expect

places = json.loads(os.environ["PLACES"])
PID = os.getpid()
fs = fsspec.filesystem("http")
url = places["http"] + "/data0.bin"
expect(fs.cat_file(url), DATA["data0.bin"], "as it is loaded")
f = fs.open(url, block_size=2**14)
f.read(1000)
if "s3" in places:
    from fsspec.tests.servers.s3 import options
    s3 = fsspec.filesystem("s3", **options(places["s3"]))
    s3.cat_file("bucket/data0.bin")


def work(number):
    if os.environ["BY_HAND"]:
        fsspec.asyn.reset_after_fork()
    expect(fs.cat_file(url), DATA["data0.bin"], "in a child")
    f.seek(number * 100)
    expect(f.read(5000), DATA["data0.bin"][number * 100 : number * 100 + 5000], "file")
    if "s3" in places:
        expect(s3.cat_file("bucket/data0.bin"), DATA["data0.bin"], "s3")
    return PID, os.getpid(), os.getppid()
"""


@pytest.mark.parametrize("mode", MODES)
def test_fork_server_with_a_preloaded_module(mode, places, tmp_path):
    """The module opens its handles in the fork server, whose children inherit them."""
    (tmp_path / "preloaded_work.py").write_text(PRELOADED)
    (tmp_path / "main_work.py").write_text(
        textwrap.dedent(
            """
        import multiprocessing, os
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["preloaded_work"])
            import preloaded_work
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                for made, ran, parent in executor.map(preloaded_work.work, range(12)):
                    assert made == parent != os.getpid() and ran != made, (made, ran, parent, os.getpid())
            with context.Pool(2) as pool:
                assert len(pool.map(preloaded_work.work, range(12), chunksize=1)) == 12
            preloaded_work.fs.cat_file(preloaded_work.url)
            print("well")
    """
        )
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "main_work.py")],
        env=environment(places, mode, tmp_path),
        capture_output=True,
        text=True,
        timeout=100 * load_factor(),
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "well", ""), done.stderr


@pytest.mark.parametrize("kind", ["http", "s3"])
def test_ranks_of_torchrun_with_data_loaders(places, kind):
    """The program of the fork guide, as it stands there."""
    pytest.importorskip("torch")
    program = os.path.join(ROOT, "docs", "train.py")
    if not os.path.exists(program):
        pytest.skip("not in a source tree")
    if kind not in places:
        pytest.skip("s3fs and moto are not installed")
    top = places["http"] if kind == "http" else "s3://bucket"
    urls = [f"{top}/data{number}.bin" for number in range(3)]
    env = {**environment(places, "opted", places["tmp"]), "OMP_NUM_THREADS": "1"}
    if kind == "s3":
        from fsspec.tests.servers.s3 import options

        env["FSSPEC_S3"] = json.dumps(options(places["s3"]))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", program, *urls],
        env=env,
        capture_output=True,
        text=True,
        timeout=100 * load_factor(),
    )
    # two ranks read four files in each epoch: the first once more, for both to have as many
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{2 * 4 * SIZE} bytes of 8 files, read in workers"


APPLICATION = """
import json, os
import fsspec
from fsspec.tests.fork.subjects import DATA, SIZE, expect

places = json.loads(os.environ["PLACES"])
MASTER = os.getpid()
fs = fsspec.filesystem("http")
url = places["http"] + "/data0.bin"
f = fs.open(url, block_size=2**14)
expect(f.read(1000), DATA["data0.bin"][:1000], "as it is loaded")
if "s3" in places:
    from fsspec.tests.servers.s3 import options
    s3 = fsspec.filesystem("s3", **options(places["s3"]))
    s3.cat_file("bucket/data0.bin")


def check():
    expect(fs.cat_file(url), DATA["data0.bin"], "cat_file")
    f.seek(SIZE - 9000)
    expect(f.read(), DATA["data0.bin"][-9000:], "file")
    if "s3" in places:
        expect(s3.cat_file("bucket/data1.bin"), DATA["data1.bin"], "s3")
"""
GUNICORN = (
    APPLICATION
    + """

def app(environ, start_response):
    check()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (MASTER, os.getpid())]
"""
)
GUNICORN_CONF = """
import os

if os.environ["BY_HAND"]:
    import fsspec.asyn

    post_fork = fsspec.asyn.reset_after_fork

def child_exit(server, worker):
    # in the master, after a worker has gone: its own handles are as they were
    import web_work
    web_work.check()
    with open(os.environ["MARK"], "a") as mark:
        mark.write("well\\n")
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=40):
    deadline = time.monotonic() + seconds * load_factor()
    while time.monotonic() < deadline:
        try:
            found = what()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    return None


def end(process):
    """SIGTERM; then what it printed."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=30 * load_factor())[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it does not end: {process.communicate()[0]}") from None


@pytest.mark.parametrize(
    "words", [["web_blocking:app"], ["--worker-class", "aiohttp.GunicornWebWorker", "web_awaiting:make"]]
)
def test_web_applications_of_the_fork_guide(words, places, tmp_path):
    """As they stand there: each of two workers answers with the bytes."""
    for package in ("gunicorn", "flask", "aiohttp"):
        pytest.importorskip(package)
    docs = os.path.join(ROOT, "docs")
    if not os.path.exists(os.path.join(docs, "web_blocking.py")):
        pytest.skip("not in a source tree")
    port = free_port()
    bind = ["--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", *bind, *words],
        env={**environment(places, "opted", docs), "DATA": places["http"], "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )

    def ask(query="", name="data0.bin"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}{query}", timeout=20) as answer:
            return answer.read()

    try:
        assert until(ask), "it does not answer"
        for _ in range(6):
            assert ask() == DATA["data0.bin"] and ask("?end=100") == DATA["data0.bin"][:100]
        if "web_awaiting:make" in words:
            assert ask(name="stream/data0.bin") == DATA["data0.bin"]
            with pytest.raises(urllib.error.HTTPError, match="404"):
                ask(name="stream/nothing")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(name="nothing")
    finally:
        output = end(process)
    assert (process.returncode, output) == (0, "")


@pytest.mark.parametrize("mode", MODES)
def test_gunicorn_with_preload(mode, places, tmp_path):
    pytest.importorskip("gunicorn")
    (tmp_path / "web_work.py").write_text(GUNICORN)
    (tmp_path / "conf.py").write_text(GUNICORN_CONF)
    port, mark = free_port(), tmp_path / "mark"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--preload",
            "--workers",
            "2",
            "--timeout",
            "30",
            "-c",
            str(tmp_path / "conf.py"),
            "--bind",
            f"127.0.0.1:{port}",
            "--max-requests",
            "5",
            "--log-level",
            "warning",
            "web_work:app",
        ],
        env={**environment(places, mode, tmp_path), "MARK": str(mark)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )

    def ask():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            return answer.read().split()

    try:
        assert until(ask), "it does not answer"
        workers = set()
        for _ in range(16):
            answer = until(ask)  # a worker may just be ending
            assert answer is not None
            master, worker = answer
            assert int(master) == process.pid and master != worker
            workers.add(worker)
        assert len(workers) >= 2  # each answers five requests and is replaced
        assert until(lambda: "well" in mark.read_text()), "the master was harmed as a worker ended"
    finally:
        text = end(process)
    assert process.returncode == 0 and "Traceback" not in text and "Error" not in text, text


CELERY = (
    APPLICATION
    + """
import celery
from celery.signals import worker_process_init

app = celery.Celery("queue_work", broker="memory://", backend="cache+memory://")
app.conf.update(worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
app.conf.worker_max_tasks_per_child = 3  # children take the place of others


if os.environ["BY_HAND"]:
    worker_process_init.connect(fsspec.asyn.reset_after_fork)


@app.task
def task(number):
    check()
    assert os.getpid() != MASTER
    with open(os.path.join(os.environ["MARK"], str(number)), "w") as mark:
        mark.write("%d" % os.getpid())


if __name__ == "__main__":
    import threading, time

    def send():
        for number in range(12):
            task.delay(number)
        while len(os.listdir(os.environ["MARK"])) < 12:
            time.sleep(0.05)
        check()  # the parent, with children alive
        with open(os.path.join(os.environ["MARK"], "parent"), "w") as mark:
            mark.write("well")

    # in memory the broker is of this process only: what sends lives in the parent of the pool
    threading.Thread(target=send, daemon=True).start()
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=ERROR",
                     "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""
)


@pytest.mark.parametrize("mode", MODES)
def test_workers_of_celery_use_what_was_opened_before(mode, places, tmp_path):
    pytest.importorskip("celery")
    if importlib.util.find_spec("billiard") is None:
        pytest.skip("billiard is not there")
    (tmp_path / "queue_work.py").write_text(CELERY)
    marks = tmp_path / "marks"
    marks.mkdir()
    process = subprocess.Popen(
        [sys.executable, "queue_work.py"],
        env={**environment(places, mode, tmp_path), "MARK": str(marks)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
    )
    try:
        done = until((marks / "parent").exists, 60)
    finally:
        text = end(process)
    assert done, text
    assert "Traceback" not in text, text
    assert len({(marks / str(n)).read_text() for n in range(12)}) >= 4


GEVENT = """
from gevent import monkey
monkey.patch_all()
import os, sys
import fsspec, fsspec.asyn, fsspec.generic

top = sys.argv[1]
local, memory = fsspec.filesystem("file"), fsspec.filesystem("memory")
local.pipe_file(top + "/a", b"hello"), memory.pipe_file("/a", b"hello")
refs = {"a": "hello", "b": ["memory:///a", 0, 5]}
made = [
    (local, top + "/a"),
    (fsspec.filesystem("dir", path=top, fs=local), "a"),
    (fsspec.filesystem("simplecache", fs=memory, cache_storage=top + "/s"), "/a"),
    (fsspec.filesystem("filecache", fs=local, cache_storage=top + "/f"), top + "/a"),
    (fsspec.filesystem("blockcache", fs=local, cache_storage=top + "/b"), top + "/a"),
    (fsspec.filesystem("reference", fo=refs), "a"),
]

def use():
    for fs, path in made:
        assert fs.open(path).read() == b"hello", fs

try:
    fsspec.generic.rsync("memory://", "file://" + top + "/to")
except NotImplementedError as error:
    assert "gevent" in str(error)
else:
    raise AssertionError("awaited where the loop runs in the thread that calls")

use()
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        use()
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0
    use()
"""


@pytest.mark.parametrize("mode", MODES)
def test_blocking_filesystems_where_gevent_has_patched_threads(mode, places, tmp_path):
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GEVENT, str(tmp_path)],
        env=environment(places, mode, str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
