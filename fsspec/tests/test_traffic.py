"""What filesystems count and log of their requests."""

import asyncio
import logging
import os
import time
from importlib import import_module

import pytest

import fsspec
import fsspec.caching
from fsspec.asyn import sync
from fsspec.tests.programs import run

pytest.importorskip("aiohttp")
pytest.importorskip("requests")

import_module("fsspec.implementations.http_sync").unregister()  # the import put it in the place of the other

MODULES = ["http", "http_sync"]


def made(module, **kwargs):
    home = import_module(f"fsspec.implementations.{module}")
    return home.HTTPFileSystem(skip_instance_cache=True, **kwargs)


@pytest.mark.parametrize("module", MODULES)
def test_requests_bytes_and_retries_are_counted(module, http_server):
    http_server.files["/a"] = b"0123456789" * 1000
    fs = made(module, retries=2, retry_wait=0)
    url = http_server.url + "/a"
    assert fs.stats() == {"pid": os.getpid(), "requests": 0, "retries": 0, "bytes": 0}
    assert len(fs.cat_file(url)) == 10_000
    assert fs.cat_file(url, start=2, end=5) == b"234"
    assert fs.stats() == {"pid": os.getpid(), "requests": 2, "retries": 0, "bytes": 10_003}
    with fs.open(url, block_size=0) as file:
        assert len(file.read()) == 10_000
    assert fs.stats()["bytes"] == 20_003
    assert fs.stats()["requests"] == len(http_server.requests)


def test_bytes_that_arrived_and_were_not_read_are_counted(http_server):
    http_server.files["/a"] = bytes(20_000)
    fs = made("http")
    with fs.open(http_server.url + "/a", block_size=0) as file:
        assert len(file.read(10)) == 10
        until = time.monotonic() + 60
        while not file.r.content.is_eof() and time.monotonic() < until:
            time.sleep(0.001)
    sync(fs.loop, asyncio.sleep, 0)  # the response is closed on the event loop
    assert fs.stats()["bytes"] == 20_000


@pytest.mark.parametrize("module", MODULES)
def test_a_redirect_and_a_retry_are_requests(module, http_server):
    http_server.files["/a"] = b"abc"
    http_server.fault("/a", status=503, times=1)
    http_server.fault("/b", redirect=http_server.url + "/a")
    fs = made(module, retries=2, retry_wait=0)
    assert fs.cat_file(http_server.url + "/b") == b"abc"
    counted = fs.stats()
    assert (counted["requests"], counted["retries"]) == (len(http_server.requests), 1) == (4, 1)


@pytest.mark.parametrize("module", MODULES)
def test_a_request_is_a_line_of_the_log_without_secrets(module, http_server, caplog):
    http_server.files["/a"] = b"abc"
    url = http_server.url.replace("://", "://user:word@") + "/a?signature=hidden"
    fs = made(module)
    with caplog.at_level(logging.DEBUG, "fsspec.http"):
        fs.cat_file(url, start=0, end=2)
    lines = [r.getMessage() for r in caplog.records if r.name == "fsspec.http" and "GET" in r.getMessage()]
    assert len(lines) == 1 and lines[0].startswith(f"GET {http_server.url}/a?signature=... (bytes=0-1): 206")
    assert "word" not in caplog.text and "hidden" not in caplog.text
    caplog.clear()
    fs.cat_file(url, start=0, end=2)
    assert not caplog.records


CACHES = ["none", "readahead", "bytes", "blockcache", "mmap", "background", "first", "all", "adaptive"]


class Source:
    path = "http://user:word@host/a?key=hidden"

    def fetch(self, start, end):
        return bytes(end - start)


@pytest.mark.parametrize("kind", CACHES)
def test_what_a_read_cache_asks_for_is_a_line_of_the_log(kind, caplog):
    with caplog.at_level(logging.DEBUG, "fsspec.caching"):
        cache = fsspec.caching.caches[kind](1024, Source().fetch, 10_000)
        for start, end in ((0, 10), (5000, 5010), (0, 10)):
            assert cache._fetch(start, end) == bytes(end - start)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == cache.miss_count > 0 or kind in ("none", "adaptive", "background") and lines
    assert all(line.startswith(f"{kind} asks for bytes ") for line in lines)
    assert all(line.endswith(" of http://host/a?key=...") for line in lines)


def test_what_an_open_http_file_asks_for_is_a_line_of_the_log(http_server, caplog):
    http_server.files["/a"] = bytes(300_000)
    with (
        caplog.at_level(logging.DEBUG, "fsspec.caching"),
        fsspec.open(f"{http_server.url}/a?key=hidden") as f,
    ):
        f.seek(200_000)
        f.read(10)
    lines = [r.getMessage() for r in caplog.records if r.name == "fsspec.caching"]
    assert any(line.startswith("bytes asks for bytes 200000-") for line in lines), lines
    assert "hidden" not in caplog.text


def test_references_local_files_and_files_in_memory_are_reported_under_their_loggers(caplog, tmp_path, m):
    m.pipe_file("/refs/a", b"0123456789")
    (tmp_path / "a").write_bytes(b"abc")
    refs = {"x": ["memory://refs/a", 2, 3], "y": ["memory://refs/a", 6, 2], "z": ["memory://refs/a"]}
    fs = fsspec.filesystem("reference", fo=refs, remote_protocol="memory", skip_instance_cache=True)
    with caplog.at_level(logging.DEBUG, "fsspec"):
        assert fs.cat_file("x", start=1) == b"34"
        assert fs.cat(["x", "y"]) == {"x": b"234", "y": b"67"}
        with fsspec.open(f"{tmp_path}/a") as file, m.open("/refs/a") as other:
            assert file.read() == b"abc" and len(other.read()) == 10
    lines = {r.name: [] for r in caplog.records}
    for record in caplog.records:
        lines[record.name].append(record.getMessage())
    assert lines["fsspec.reference"][0] == "x: bytes 3-5 of memory://refs/a"
    assert sum("references: bytes" in line for line in lines["fsspec.reference"]) >= 1
    assert lines["fsspec.local"] == [f"open {tmp_path}/a as rb"]
    assert lines["fsspec.memoryfs"] == ["open /refs/a as rb"]
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "fsspec"):
        for fs, path in ((fsspec.filesystem("file"), f"{tmp_path}/a"), (m, "/refs/a")):
            fs.open(path, "w").close()
            assert caplog.messages == [f"open {path} as wb"]
            caplog.clear()


def test_logging_is_not_loaded_for_what_nobody_listens_to():
    run(
        """
        import sys
        from fsspec.caching import caches
        for name in ("readahead", "blockcache", "bytes", "mmap"):
            assert caches[name](10, lambda start, end: bytes(end - start), 100)._fetch(0, 5) == bytes(5)
        assert "logging" not in sys.modules and "opentelemetry" not in sys.modules
        """
    )


@pytest.mark.parametrize("module", MODULES)
def test_a_forked_child_counts_from_zero_and_leaves_the_parents_counts(module, http_server):
    http_server.files["/a"] = b"abc"
    reported = run(
        f"""
        import os, signal
        from fsspec.implementations.{module} import HTTPFileSystem
        fs = HTTPFileSystem()
        url = {http_server.url!r} + "/a"
        fs.cat_file(url)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            before = fs.stats()
            fs.cat_file(url), fs.cat_file(url)
            after = fs.stats()
            mine = before["pid"] == after["pid"] == os.getpid()
            os.write(write, repr((mine, before["requests"], after["requests"], after["bytes"])).encode())
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(os.read(read, 1000).decode())
        fs.cat_file(url)
        print(fs.stats()["requests"], fs.stats()["bytes"])
        """,
        FSSPEC_FORK_RESET="1",
    )
    assert reported.split("\n") == ["(True, 0, 2, 6)", "2 6", ""]


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_cache_counts_copies_that_were_there_and_logs_them(cache, http_server, tmp_path, caplog):
    http_server.files["/a"] = b"abc"
    target = made("http")
    fs = fsspec.filesystem(cache, fs=target, cache_storage=str(tmp_path), skip_instance_cache=True)
    url = http_server.url + "/a?key=hidden"
    with caplog.at_level(logging.DEBUG, "fsspec.cached"):
        for _ in range(3):
            with fs.open(url) as file:
                assert file.read() == b"abc"
    counted = fs.stats()
    assert counted == {"pid": os.getpid(), "hits": 2, "misses": 1, "target": target.stats()}
    assert counted["target"]["requests"] == len(http_server.requests)
    lines = [r.getMessage() for r in caplog.records if r.name == "fsspec.cached"]
    shown = f"{http_server.url}/a?key=..."
    assert lines == [f"{shown}: not in the cache", *[f"{shown}: in the cache"] * 2]


def test_stats_without_counters_have_the_process_id(m, tmp_path, http_server):
    nothing = {"pid": os.getpid()}
    assert m.stats() == fsspec.filesystem("file").stats() == nothing
    assert fsspec.filesystem("dir", path="/", fs=m).stats() == nothing
    cache = fsspec.filesystem("simplecache", fs=m, cache_storage=str(tmp_path))
    assert cache.stats() == {**nothing, "hits": 0, "misses": 0}
    http_server.files["/top/a"] = b"abc"
    inner = fsspec.filesystem("http", skip_instance_cache=True)
    fs = fsspec.filesystem("dir", path=f"{http_server.url}/top", fs=inner)
    assert fs.cat_file("a") == b"abc" and fs.stats()["requests"] == 1
