"""The documentation's examples do what they show."""

import ast
import asyncio
import contextlib
import doctest
import gc
import importlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import fsspec
from fsspec import generic
from fsspec._checks import forked
from fsspec._fork import hooks
from fsspec.asyn import AsyncFileSystem
from fsspec.caching import caches
from fsspec.callbacks import Callback
from fsspec.compression import compr
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.utils import compressions

DOCS = Path(fsspec.__file__).parent.parent / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.rst") if ">>> " in page.read_text(encoding="utf8"))


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page(page, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(fsspec.config, "conf", dict(fsspec.config.conf))
    with (
        patch.dict(_registry),
        patch.dict(caches),
        patch.dict(compr),
        patch.dict(compressions),
    ):  # what a page registers
        failed, tried = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf8")
    assert tried and not failed


NAMES = {
    "AbstractBufferedFile": AbstractBufferedFile,
    "AbstractFileSystem": AbstractFileSystem,
    "Any": Any,
    "AsyncFileSystem": AsyncFileSystem,
}
"""What the code of a page is taken to have imported."""


def code(page, words, **names):
    """The names that the code block of a page makes in which ``words`` are, and ``names``, which it needs."""
    text = (DOCS / page).read_text(encoding="utf8")
    blocks = re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE)
    (block,) = (block for _, block in blocks if words in block)
    exec(textwrap.dedent(block), names)
    return names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_children_hold_no_connection_of_the_class_that_the_guide_shows():
    names = code(
        "fork_authors.rst",
        '_fork_keeps = ("catalogue",)',
        **NAMES,
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = forked.open_sockets()
        fs = names["MyFileSystem"](*server.getsockname(), skip_instance_cache=True)
        mine = forked.opened_since(before)
        assert len(mine) == 1
        assert forked.by_fork(lambda: forked.shared_connections(mine), exits=False).result == []
        fs.client.close()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"data")

    def log_message(self, *args):
        """Nothing is written to stderr."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_the_client_that_the_guide_shows_is_closed_with_its_filesystem():
    """In the child and in the parent, each its own."""
    shown = code("fork_authors.rst", "class Client", **NAMES)["MyFileSystem"]

    def use_and_drop():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fs = held.pop()
            assert fs.cat_file("a") == b"data"
            gone, client = weakref.ref(fs), fs._client.get()
            assert client.sock.getpeername() == server.server_address
            del fs
            gc.collect()
            assert gone() is None and client.sock is None
            del client
            gc.collect()
        assert not caught, [str(warning.message) for warning in caught]

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            held = [shown("127.0.0.1:%d" % server.server_port, skip_instance_cache=True)]
            assert held[0].cat_file("a") == b"data"
            mine = held[0]._client.get().sock
            problem = forked.by_fork(use_and_drop, exits=False).problem()
            assert not problem, problem
            assert held[0]._client.get().sock is mine
            use_and_drop()
        finally:
            server.shutdown()
            thread.join()


def test_what_is_shown_for_packages_that_run_on_both(monkeypatch):
    """The names that are missing upstream, and a file that is written as a whole."""
    monkeypatch.setitem(sys.modules, "fsspec.fork", None)
    names = code("backend.rst", "except ImportError:")
    assert names["finalize"] is weakref.finalize and names["watch_socket"](names) is names
    owned = names["Owned"](list)
    assert owned.get() is owned.get() and owned.get() == []
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    shown = code("backend.rst", "class WholeFile", **NAMES)
    whole = shown["WholeFile"]
    fs, data = MemoryFileSystem(), bytes(range(256)) * 100
    with whole(fs, "/whole", "wb", block_size=1000) as f:
        for start in range(0, len(data), 700):
            f.write(data[start : start + 700])
    assert fs.cat_file("/whole") == whole(fs, "/whole", "rb").read() == data
    with pytest.raises(FileExistsError), whole(fs, "/whole", "xb") as f:
        f.write(b"other")
    for mode in "ab", "xb":
        for path, before in ("/whole", data), (f"/new {mode}", b""):
            if mode == "ab" or not before:
                with whole(fs, path, mode) as f:
                    f.write(b"more")
                assert fs.cat_file(path) == before + b"more"
    for end, found in ("discard", False), ("commit", True):
        f = whole(fs, "/later", "wb", autocommit=False)
        f.write(b"later")
        f.close()
        assert not fs.exists("/later")
        getattr(f, end)()
        assert fs.exists("/later") is found
    f = whole(fs, "/open", "wb", autocommit=False)
    f.write(b"still open")
    f.commit()
    assert fs.cat_file("/open") == b"still open"
    mine = type("Mine", (MemoryFileSystem,), {"_open": shown["MyFileSystem"]._open})()
    with pytest.raises(FileExistsError):
        mine.open("/open", "xb")


class Dictionary(DictFileSystem):
    """Files, for classes of the page to list."""

    cachable = False

    def list_folder(self, path):
        self.listed = [*getattr(self, "listed", ()), path]
        return super().ls(path, detail=True)

    def pipe_file(self, path, value, **kwargs):
        self.files[path] = value
        self.invalidate_cache(path)

    def _rm(self, path):
        self.files.pop(path, None)
        self.invalidate_cache(path)


def test_listings_are_remembered_as_shown():
    """Also where that of the parent is remembered, and after changes deeper down."""
    shown = code("backend.rst", "class RememberingFileSystem", **NAMES)
    fs = type("Remembering", (shown["RememberingFileSystem"], Dictionary), {})({"a/b/c": b"1", "a/d": b"2"})
    assert fs.ls("", detail=False) == ["a"] and fs.ls("a", detail=False) == ["a/b", "a/d"]
    assert fs.find("") == ["a/b/c", "a/d"]
    listed = len(fs.listed)
    assert fs.find("a") == ["a/b/c", "a/d"] and len(fs.listed) == listed
    fs.pipe_file("e/f/g", b"3")
    assert fs.ls("", detail=False) == ["a", "e"] and fs.find("e") == ["e/f/g"]
    fs.rm("a", recursive=True)
    assert fs.find("") == ["e/f/g"] and fs.ls("", detail=False) == ["e"]
    fs.files["later"] = b""
    assert "later" not in fs.ls("", detail=False) and "later" in fs.ls("", detail=False, refresh=True)


@pytest.mark.parametrize("method", ["default", "generic"])
def test_rsync_forgets_listings_of_the_program_only_where_both_have_one_instance(monkeypatch, method):
    monkeypatch.setattr(generic, "_generic_fs", {})
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    shown = code("backend.rst", "class RememberingFileSystem", **NAMES)["RememberingFileSystem"]
    files = {}

    class Shared(shown, Dictionary):
        protocol, cachable = "shared", True

        def __init__(self, **kwargs):
            super().__init__(files, **kwargs)
            self.files = files

    monkeypatch.setitem(_registry, "shared", Shared)
    for protocol in ("shared", "memory"):
        generic.set_generic_fs(protocol)
    fs, memory, options = Shared(), MemoryFileSystem(), {"default_method": method}
    fs.pipe({"from/old": b"1", "to/old": b"1"})
    assert fs.find("to") == ["to/old"]
    generic.rsync("shared://from", "memory://copy", inst_kwargs=options)
    memory.pipe("/more/new", b"2")
    generic.rsync("memory://more", "shared://to", inst_kwargs=options)
    fs.pipe("from/new", b"2")
    generic.rsync("shared://from", "memory://copy", inst_kwargs=options)
    both = "/copy/new" in memory.find("/copy"), "to/new" in fs.find("to")
    assert both == ((True, True) if method == "generic" else (False, False))
    assert "to/new" in fs.ls("to", detail=False, refresh=True)


def test_a_client_made_as_shown_goes_on_with_another_loop(http_server):
    """Of an ``asyncio.run`` after another, which closed it, and of blocking calls in between."""
    pytest.importorskip("aiohttp")
    shelf = code("backend.rst", "class ShelfFileSystem", Any=Any)["ShelfFileSystem"]
    http_server.files["/a"] = b"content"

    async def cat_file(self, path, start=None, end=None, **kwargs):
        async with (await self.set_session()).get(f"{http_server.url}/{path}") as response:
            return (await response.read())[start:end]

    def use(fs):
        async def once():
            assert await fs._cat_file("a") == b"content"
            await (await fs.set_session()).close()

        for _ in range(3):
            assert fs.cat_file("a") == b"content"
            asyncio.run(once())
            asyncio.run(once())
            assert len(fs._sessions) == 2  # of blocking calls, and of the loop that ended last

    use(type("Shelf", (shelf,), {"_cat_file": cat_file, "protocol": "shelf"})(skip_instance_cache=True))
    gc.collect()  # closes those of the blocking calls


# what a loop left open as it ended the collector closes
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_made_as_shown_keeps_no_sockets_of_loops_that_have_ended(http_server):
    pytest.importorskip("aiohttp")
    shelf = code("backend.rst", "class ShelfFileSystem", Any=Any)["ShelfFileSystem"]
    http_server.files["/a"] = b"content"
    before = forked.open_sockets()

    async def once(fs):
        async with (await fs.set_session()).get(f"{http_server.url}/a") as response:
            assert await response.read() == b"content"

    def use(fs):
        for _ in range(20):
            asyncio.run(once(fs))
        gc.collect()
        assert len(fs._sessions) == 1
        return len(forked.opened_since(before))

    assert use(shelf(asynchronous=True, skip_instance_cache=True)) < 20
    gc.collect()


class Parcels:
    """What the class of the page is taken to have: files and folders in memory."""

    cachable = False

    def __init__(self, files, folders):
        super().__init__()
        self.files, self.folders = dict.fromkeys(files, b"1"), set(folders)

    async def _info(self, path, **kwargs):
        path = self._strip_protocol(path)
        if path in self.files:
            return {"name": path, "size": len(self.files[path]), "type": "file"}
        if path in self.folders or any(name.startswith(f"{path}/") for name in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    async def _ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        below = {
            name[len(path) + 1 :].partition("/")[0]
            for name in (*self.files, *self.folders)
            if f"{path}/" in name
        }
        found = [await self._info(f"{path}/{name}") for name in sorted(below)]
        return found if detail else [entry["name"] for entry in found]

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        return self.files[self._strip_protocol(path)][start:end]


def test_the_awaitable_backend_that_is_shown_is_told_of_folders_and_progress(tmp_path):
    shown = code("backend.rst", "class ParcelFileSystem", **NAMES)["ParcelFileSystem"]
    fs = type("Parcel", (Parcels, shown), {"protocol": "parcel"})(["d/a", "d/s/b"], ["d", "e", "f"])
    fs.rmdir("parcel://e")
    assert fs.folders == {"d", "f"}
    count = Callback()
    fs.get("d", str(tmp_path / "d"), recursive=True)  # d/s is only a name
    fs.get_file("d/a", str(tmp_path / "a"), callback=count)
    assert sorted(os.listdir(tmp_path / "d")) == ["a", "s"] and (count.size, count.value) == (1, 1)
    fs.rm("d", recursive=True)
    assert (fs.files, fs.folders) == ({}, {"f"})
    count = Callback()
    fs.put_file(str(tmp_path / "a"), "parcel://f/a", callback=count, mode="create")
    assert fs.files == {"f/a": b"1"} and (count.size, count.value) == (1, 1)
    with pytest.raises(FileExistsError):
        fs.put(str(tmp_path / "a"), "f/a", mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe({"f/a": b"2"}, mode="create")
    with pytest.raises(FileNotFoundError):
        fs.rm("f/b")
    fs._cp_file = None  # a rename copies nothing
    fs.mv("parcel://f/a", "f/b")
    assert fs.files == {"f/b": b"1"}
    del fs._cp_file
    with pytest.raises(NotImplementedError):  # into a folder
        fs.mv("f/b", "g/")
    assert fs.files == {"f/b": b"1"}


class Crates:
    """What the class of the page is taken to have: files in memory."""

    cachable = False

    def __init__(self, **options):
        super().__init__(**options)
        self.files, self.uploads = {}, {}

    async def _info(self, path, **kwargs):
        path = self._strip_protocol(path)
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"name": path, "size": len(self.files[path]), "type": "file"}

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        return self.files[self._strip_protocol(path)][start:end]


def crates(**options):
    shown = code("backend.rst", "class CrateFileSystem", **NAMES)["CrateFileSystem"]
    return type("Crate", (Crates, shown), {"protocol": "crate"})(**options)


def test_the_files_that_are_shown_of_an_awaitable_backend_are_written_in_parts():
    fs, data = crates(), bytes(range(256)) * 10
    with fs.open("crate://a", "wb", block_size=1000) as f:
        for start in range(0, len(data), 300):
            f.write(data[start : start + 300])
        assert len(fs.uploads["a"]) == 2 and not fs.files
    assert fs.files == {"a": data} and fs.open("a").read() == data
    with fs.transaction, fs.open("b", "wb") as f:
        f.write(b"1")
        f.close()
        assert "b" not in fs.files
    assert fs.files["b"] == b"1"
    with pytest.raises(KeyError), fs.transaction:
        fs.open("c", "wb")
        fs.open("d", "wb", block_size=2).write(b"123")
        assert fs.uploads == {"d": [b"123"]}
        raise KeyError
    assert (sorted(fs.files), fs.uploads) == (["a", "b"], {})


async def test_the_files_that_are_shown_of_an_awaitable_backend_are_awaited():
    fs, data = crates(asynchronous=True), bytes(range(256)) * 10
    async with await fs.open_async("crate://a", "wb", block_size=1000) as f:
        for start in range(0, len(data), 300):
            await f.write(data[start : start + 300])
        assert len(fs.uploads["a"]) == 2
    assert fs.files == {"a": data}
    async with await fs.open_async("a") as f:
        assert await f.read(10) + await f.read() == data
    f = fs.open("b", "wb")
    f.write(b"1")
    with pytest.raises(RuntimeError):
        f.close()
    assert fs.files == {"a": data}


def test_a_database_that_is_used_as_shown_is_right_in_children_that_are_forked_meanwhile(tmp_path):
    rows = code("fork_authors.rst", "class RowsFileSystem", **NAMES)["RowsFileSystem"]
    db = str(tmp_path / "rows.sqlite")
    with contextlib.closing(sqlite3.connect(db)) as made, made:
        made.execute("pragma journal_mode=wal")
        made.execute("create table files (name text primary key, data blob)")
    fs = rows(db, skip_instance_cache=True)
    fs.pipe_file("a", b"123")
    assert fs.cat_file("a", 1) == b"23"
    with pytest.raises(FileNotFoundError):
        fs.cat_file("b")
    if hasattr(os, "fork"):
        enough = threading.Event()

        def work():
            while not enough.wait(0.002):  # SQLite has no queue: a writer without a pause can shut others out
                fs.pipe_file("w", b"w" * 100_000)

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            try:
                for n in range(5):
                    seen = forked.by_fork(
                        lambda n=n: [fs.cat_file("a").decode(), fs.pipe_file(f"child{n}", b"c")], exits=False
                    )
                    assert seen.result == ["123", None], seen
            finally:
                enough.set()
            working.result()
        assert [fs.cat_file(f"child{n}") for n in range(5)] == [b"c"] * 5
    assert fs.cat_file("a") == b"123"


IMPORTED = """
from typing import Any, NamedTuple
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem as Base

class AbstractFileSystem(Base):
    def list_folder(self, path: str) -> list[dict[str, Any]]:
        return []
"""
USED = {
    "class Owned": """
numbers: Owned[list[int]] = Owned(list)
found: list[int] = numbers.get()
""",
    "server: Server": """
class Server(NamedTuple):
    host: str

class MyFileSystem(AbstractFileSystem):
    def __init__(self, host: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
""",
}
"""What the code with these words in it is checked together with."""


def test_the_code_of_the_guides_is_typed(tmp_path):
    """A block whose first line is indented goes on in the class of the one before."""
    pytest.importorskip("mypy")
    pytest.importorskip("aiohttp")
    for page, count in ("backend", 7), ("fork_authors", 6):
        text = (DOCS / f"{page}.rst").read_text(encoding="utf8")
        blocks = re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE)
        parts = []
        for indent, block in blocks:
            plain = re.sub(f"^{indent}    ", "", block, flags=re.MULTILINE)
            parts.append(parts.pop() + plain if plain.startswith(" ") else plain)
        assert len(parts) == count
        for number, part in enumerate(parts):
            rest = "".join(used for words, used in USED.items() if words in part)
            (tmp_path / f"{page}{number}.py").write_text(
                f"from __future__ import annotations\n{IMPORTED}{part}{rest}"
            )
    (tmp_path / "example.py").write_text((DOCS / "example/fsspec_dictstore.py").read_text(encoding="utf8"))
    names = sorted(path.name for path in tmp_path.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("act", ["put_file", "cp_file", "mv", "touch", "rm"])
def test_what_does_not_wait_for_the_end_of_a_transaction(tmp_path, act):
    """And what does, which the page names."""
    fs, source, target = fsspec.filesystem("file"), str(tmp_path / "source"), str(tmp_path / "target")
    for path in (source, target):
        fs.pipe_file(path, b"before " + path.encode())
    acts = {"touch": lambda: fs.touch(target, truncate=True), "rm": lambda: fs.rm(target)}
    with pytest.raises(KeyError):
        with fs.transaction:
            acts.get(act, lambda: getattr(fs, act)(source, target))()
            fs.pipe_file(str(tmp_path / "piped"), b"")
            fs.write_text(str(tmp_path / "text"), "")
            raise KeyError
    expected = {"touch": b"", "rm": None}.get(act, b"before " + source.encode())
    assert (fs.cat_file(target) if fs.exists(target) else None) == expected
    assert not fs.exists(str(tmp_path / "piped")) and not fs.exists(str(tmp_path / "text"))


@pytest.mark.parametrize("own", [True, False])
def test_a_transaction_takes_along_what_is_opened_through_its_instance(tmp_path, own):
    """Also by another thread, and of an instance of its own nothing else."""
    shared, other = fsspec.filesystem("file"), str(tmp_path / "other")
    fs = fsspec.filesystem("file", skip_instance_cache=own)
    thread = threading.Thread(target=shared.pipe_file, args=(other, b"1"))
    with pytest.raises(KeyError):
        with fs.transaction, fs.open(str(tmp_path / "model"), "wb") as file:
            file.write(b"2")
            thread.start()
            thread.join()
            raise KeyError
    assert sorted(os.listdir(tmp_path)) == (["other"] if own else [])


def exists(test):
    """Whether there is such a test, or a module with tests."""
    module, _, rest = test.partition("[")[0].partition("::")
    *classes, name = rest.split("::")
    body = ast.parse((DOCS.parent / module).read_text(encoding="utf8")).body
    if not name:
        return any(node.name.startswith(("test_", "Test")) for node in body if hasattr(node, "name"))
    for outer in classes:
        (body,) = (node.body for node in body if isinstance(node, ast.ClassDef) and node.name == outer)
    return name in {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


PROMISES = [row for rows in json.loads((DOCS / "guarantees.json").read_text()).values() for row in rows]


@pytest.mark.parametrize("row", PROMISES, ids=[str(number) for number in range(len(PROMISES))])
def test_a_promise_names_tests_that_exist(row):
    assert row["promise"] and row["tests"] and all(map(exists, row["tests"]))


ROWS = json.loads((DOCS / "differences.json").read_text(encoding="utf8"))["rows"]


@pytest.mark.parametrize("row", ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_difference_from_upstream_names_a_test_that_exists(row):
    """A function, not a module: it has to show the difference."""
    assert "::test_" in row["test"] and exists(row["test"])
    texts = [row[key] for key in ("what", "upstream", "ours", "why", "instead")]
    assert all(texts) and not re.search(r"\bD\d+\b", " ".join(texts)), "say it in words"


def test_the_steps_of_a_fork_are_in_the_documentation_in_their_order():
    for name in "asyn", "_files.replacing", "_fork.foreign_files":  # whoever has a hook is loaded
        importlib.import_module(f"fsspec.{name}")
    page = (DOCS / "fork_authors.rst").read_text(encoding="utf8")
    rows = re.findall(r"\* - (before|parent|child)\n +- ``(\w+(?:\.\w+)+)``", page)
    reported = {when: [step for kind, step in rows if kind == when] for when, _ in rows}
    made = {"before": hooks._modules[::-1], "parent": hooks._modules, "child": hooks._modules}
    for when, steps in made.items():
        found = [f"{hook.__module__}.{hook.__qualname__}" for hook in map(attrgetter(when), steps) if hook]
        steps = [name.removeprefix("fsspec.") for name in found if re.match(r"fsspec\._", name)]
        if when == "child":  # but for those of one module in the order of imports
            assert reported[when].pop(0) == f"_fork.hooks.{hooks._advance.__name__}"
            steps, of_loops = sorted(steps), [name for name in steps if "_loop.forking" in name]
            assert of_loops == [name for name in reported[when] if name in of_loops]
            reported[when].sort()
        assert steps == reported[when]


def test_example_backend_passes_the_contract_tests():
    example = DOCS / "example"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(example), str(DOCS.parent)])}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            "-x",
            "-k",
            "not Forks or opted",
            "test_dictstore.py",
        ],
        cwd=example,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and "failed" not in done.stdout


@pytest.mark.parametrize("page", sorted(page.name for page in DOCS.glob("*.rst")))
def test_no_row_of_a_table_is_torn(page):
    """In a simple table, a second line in the first column is another row."""
    core = pytest.importorskip("docutils.core", reason="comes with the extra doc")
    text = (DOCS / page).read_text(encoding="utf8")
    tree = core.publish_doctree(text, settings_overrides={"report_level": 5, "file_insertion_enabled": False})
    for body in tree.findall(lambda node: node.tagname == "tbody"):
        for row in body.children:
            first, *others = (cell.astext() for cell in row.children)
            assert first and any(others), f"an empty cell: {first!r}, {others}"
            assert not re.search(r"(,|\b(a|an|the|to|and|or|with))$", first), f"torn: {first!r}"


def test_links_of_the_readme_lead_somewhere_on_an_index_too():
    """There it stands without the files beside it."""
    links = re.findall(r"\]\(([^)]*)\)", (DOCS.parent / "README.md").read_text(encoding="utf8"))
    assert links and all(link.startswith(("https://", "#")) for link in links)
