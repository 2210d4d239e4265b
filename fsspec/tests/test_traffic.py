"""What filesystems count and log of their requests."""

import logging
import os
from importlib import import_module

import pytest

import fsspec
from fsspec.tests.programs import run

pytest.importorskip("aiohttp")
pytest.importorskip("requests")

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


@pytest.mark.parametrize("module", MODULES)
def test_a_forked_child_counts_from_zero_and_leaves_the_parents_counts(module, http_server):
    http_server.files["/a"] = b"abc"
    told = run(
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
    assert told.split("\n") == ["(True, 0, 2, 6)", "2 6", ""]


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
