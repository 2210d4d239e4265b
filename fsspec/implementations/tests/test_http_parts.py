"""One large file over several connections: `max_concurrency` of `HTTPFileSystem`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from fsspec.exceptions import FileChangedError, IncompleteRead
from fsspec.implementations._http.parts import MANY, PART
from fsspec.implementations.http import HTTPFileSystem
from fsspec.tests.servers.http import HTTPServer

DATA = bytes(range(251)) * (6 * PART // 251 + 7)
PARTS = -(-len(DATA) // PART)


@pytest.fixture
def fs() -> HTTPFileSystem:
    return HTTPFileSystem(max_concurrency=3, skip_instance_cache=True)


@pytest.fixture
def large(http_server: HTTPServer) -> str:
    http_server.files["/large"] = DATA
    http_server.fault("/large", headers={"ETag": '"1"'})
    return f"{http_server.url}/large"


def asked(server: HTTPServer) -> list[tuple[str, str | None]]:
    return [(request.method, request.range) for request in server.requests]


def in_parts(size: int) -> list[tuple[str, str | None]]:
    return [("GET", f"bytes={n}-{min(n + PART, size) - 1}") for n in range(0, size, PART)]


def download(fs: HTTPFileSystem, url: str, folder: Path) -> bytes:
    fs.get_file(url, str(folder / "got"))
    assert os.listdir(folder) == ["got"]
    return (folder / "got").read_bytes()


READ: dict[str, Any] = {
    "cat_file": lambda fs, url, folder: fs.cat_file(url),
    "get_file": download,
}


READ_OPEN: dict[str, Any] = {
    "open": lambda fs, url, folder: fs.open(url).read(),
    "two reads": lambda fs, url, folder: (lambda f: f.read(3 * PART) + f.read(4 * PART))(fs.open(url)),
    "the rest": lambda fs, url, folder: (lambda f: f.read(9) + f.read())(fs.open(url)),
}


@pytest.mark.parametrize("how", READ)
def test_a_large_file_is_read_in_parts_each_asked_for_once(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, tmp_path: Path, how: str
) -> None:
    assert READ[how](fs, large, tmp_path) == DATA
    assert asked(http_server)[0] == ("GET", f"bytes=0-{PART - 1}")
    expected = in_parts(len(DATA))
    expected[-1] = ("GET", f"bytes={(PARTS - 1) * PART}-{len(DATA) - 1}")
    assert sorted(asked(http_server), key=str) == sorted(expected, key=str)
    assert sum(request.sent for request in http_server.requests) == len(DATA)
    assert len({request.connection for request in http_server.requests}) <= 3


def test_a_range_is_read_in_parts(fs: HTTPFileSystem, large: str, http_server: HTTPServer) -> None:
    assert fs.cat_file(large, 5, 2 * PART + 9) == DATA[5 : 2 * PART + 9]
    assert len(asked(http_server)) == 3
    assert fs.cat_file(large, PART + 5, None) == DATA[PART + 5 :]
    assert fs.cat_file(large, -100, None) == DATA[-100:]
    assert fs.cat_ranges([large], [1], [PART + 2])[0] == DATA[1 : PART + 2]


@pytest.mark.parametrize("size", [0, 1, 1000, PART])
@pytest.mark.parametrize("how", READ)
def test_a_file_of_one_part_costs_one_request(
    fs: HTTPFileSystem, http_server: HTTPServer, tmp_path: Path, how: str, size: int
) -> None:
    http_server.files["/small"] = DATA[:size]
    assert READ[how](fs, f"{http_server.url}/small", tmp_path) == DATA[:size]
    assert len(http_server.requests) == 1


@pytest.mark.parametrize("how", READ)
def test_one_connection_is_the_default(large: str, http_server: HTTPServer, tmp_path: Path, how: str) -> None:
    assert READ[how](HTTPFileSystem(skip_instance_cache=True), large, tmp_path) == DATA
    assert asked(http_server) == [("GET", None)]


@pytest.mark.parametrize("how", READ)
def test_a_server_that_honours_no_ranges(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, tmp_path: Path, how: str
) -> None:
    http_server.fault("/large", ignore_range=True)
    assert READ[how](fs, large, tmp_path) == DATA
    assert len(http_server.requests) == 1
    assert fs.cat_file(large, 5, PART + 9) == DATA[5 : PART + 9]
    with fs.open(large) as file:
        assert file.read(1000) == DATA[:1000]


@pytest.mark.parametrize("how", READ | READ_OPEN)
def test_a_server_that_does_not_tell_the_size(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, tmp_path: Path, how: str
) -> None:
    http_server.fault("/large", total="*")
    assert (READ | READ_OPEN)[how](fs, large, tmp_path) == DATA


@pytest.mark.parametrize("how", READ | READ_OPEN)
def test_a_file_that_changes_meanwhile_is_an_error(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, tmp_path: Path, how: str
) -> None:
    http_server.fault("/large", headers={"ETag": '"1"'}, times=1, then={"ETag": '"2"'})
    with pytest.raises(FileChangedError):
        (READ | READ_OPEN)[how](fs, large, tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("how", READ | READ_OPEN)
def test_a_part_that_is_short_is_an_error_and_leaves_what_was_there(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, tmp_path: Path, how: str
) -> None:
    http_server.fault("/large", headers={"ETag": '"1"'}, truncate=PART - 1)  # but for the last part
    (tmp_path / "got").write_bytes(b"before")
    with pytest.raises(IncompleteRead):
        (READ | READ_OPEN)[how](fs, large, tmp_path)
    assert os.listdir(tmp_path) == ["got"]
    assert (tmp_path / "got").read_bytes() == b"before"


@pytest.mark.parametrize("how", READ | READ_OPEN)
def test_what_fails_once_is_read_again(large: str, http_server: HTTPServer, tmp_path: Path, how: str) -> None:
    http_server.fault("/large", drop_after=PART // 2, times=1)
    fs = HTTPFileSystem(max_concurrency=3, retries=1, retry_wait=0.0, skip_instance_cache=True)
    assert (READ | READ_OPEN)[how](fs, large, tmp_path) == DATA


@pytest.mark.parametrize("how", READ | READ_OPEN)
def test_what_is_not_there(fs: HTTPFileSystem, http_server: HTTPServer, tmp_path: Path, how: str) -> None:
    with pytest.raises(FileNotFoundError):
        (READ | READ_OPEN)[how](fs, f"{http_server.url}/absent", tmp_path)
    assert not os.listdir(tmp_path)


def test_the_range_of_the_caller_goes_as_it_is(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer
) -> None:
    assert fs.cat_file(large, headers={"Range": "bytes=2-4"}) == DATA[2:5]
    assert asked(http_server) == [("GET", "bytes=2-4")]


def test_a_file_object_gets_one_stream(fs: HTTPFileSystem, large: str, http_server: HTTPServer) -> None:
    into = io.BytesIO()
    fs.get_file(large, into)
    assert into.getvalue() == DATA
    assert asked(http_server) == [("GET", None)]


def test_progress_is_reported(fs: HTTPFileSystem, large: str, tmp_path: Path) -> None:
    from fsspec.callbacks import Callback

    callback = Callback()
    fs.get_file(large, str(tmp_path / "got"), callback=callback)
    assert (callback.size, callback.value) == (len(DATA), len(DATA))


@pytest.mark.parametrize("how", READ_OPEN)
@pytest.mark.parametrize("cache_type", [None, "readahead", "none", "blockcache"])
@pytest.mark.parametrize("block_size", [None, 2**30])
def test_many_bytes_of_an_open_file_are_read_in_parts(
    large: str,
    http_server: HTTPServer,
    tmp_path: Path,
    how: str,
    cache_type: str | None,
    block_size: int | None,
) -> None:
    options = {} if cache_type is None else {"cache_type": cache_type}
    fs = HTTPFileSystem(max_concurrency=3, block_size=block_size, skip_instance_cache=True, **options)
    assert READ_OPEN[how](fs, large, tmp_path) == DATA
    if cache_type == "blockcache" and block_size is None and how != "open":
        return  # which never asks for more than a block
    opening, *others = http_server.requests
    assert PARTS - 2 < len(others) <= PARTS + 1
    assert max(request.sent for request in others) <= MANY
    assert sum(request.sent for request in http_server.requests) <= len(DATA) + 2**17
    assert len({request.connection for request in others}) == 3


def test_a_read_that_ignores_the_cache_of_an_open_file_is_split_too(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer
) -> None:
    with fs.open(large) as file:
        file.seek(PART)
        assert file.read(2 * PART) == DATA[PART : 3 * PART]
        assert file.read(2 * PART + 1) == DATA[3 * PART : 5 * PART + 1]
        file.seek(5)
        assert file.read(3 * PART) == DATA[5 : 3 * PART + 5]
    assert max(request.sent for request in http_server.requests) <= 2 * PART + 2**20


def test_a_server_that_stops_to_honour_ranges_sends_one_stream(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer
) -> None:
    with fs.open(large) as file:
        http_server.fault("/large", ignore_range=True)
        assert file.read() == DATA
    with fs.open(large, size=len(DATA)) as file:  # of which nothing else is known
        assert file.read() == DATA


@pytest.mark.parametrize("options", [{}, {"cache_type": "adaptive"}])
def test_an_open_file_is_read_by_requests_for_ranges_that_bring_each_byte_once(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, options: dict[str, Any]
) -> None:
    http_server.clear()
    with fs.open(large, **options) as file:
        got = []
        while data := file.read(2**20):
            got.append(data)
    assert b"".join(got) == DATA
    brought = sum(request.sent for request in http_server.requests if request.method == "GET")
    assert brought <= len(DATA) + 2**16  # what opening has brought


def test_an_open_file_fetches_ahead_from_the_second_read_on(fs: HTTPFileSystem, large: str) -> None:
    with fs.open(large, cache_type="adaptive") as file:
        cache = file.cache
        assert (cache.name, cache.concurrency) == ("adaptive", 3)
        file.read(1000)
        producer = cache._background_prefetcher.producer
        assert producer.bytes_to_fetch() == 0
        cache._background_prefetcher.consumer.sequential_streak += 1
        assert producer.bytes_to_fetch() == 64 * 2 * 1000
        cache._background_prefetcher.read_tracker.add(2**20)
        assert producer.bytes_to_fetch() == len(DATA) - 1000  # all that is left is within the window


@pytest.mark.parametrize("step", [2**16, 2**20, 3 * 2**20])
def test_a_file_is_read_over_several_connections_once_one_is_slow(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, step: int
) -> None:
    http_server.clear()
    http_server.fault("/large", delay_body=0.3)
    with fs.open(large) as file:
        got = [file.read(step), file.read(step)]
        assert file._reading_ahead.slow in (None, True)
        while data := file.read(step):
            got.append(data)
        assert file._reading_ahead.slow and file.cache.name == "adaptive"
    assert b"".join(got) == DATA
    brought = sum(request.sent for request in http_server.requests if request.method == "GET")
    assert brought <= len(DATA) + 2**16 + step


def test_a_slow_file_without_ranges_is_read_over_one_connection(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fsspec.implementations._http.read_ahead.FAST", 2**60)  # bytes in a second
    http_server.fault("/large", ignore_range=True)
    with fs.open(large, block_size=2**20) as file:
        assert b"".join(iter(lambda: file.read(2**20), b"")) == DATA
    assert [method for method, _ in asked(http_server)] == ["HEAD", "GET"]


def test_a_file_is_read_over_one_connection_that_is_fast(
    fs: HTTPFileSystem, large: str, http_server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fsspec.implementations._http.read_ahead.FAST", 1)  # bytes in a second
    http_server.clear()
    with fs.open(large) as file:
        got = []
        while data := file.read(2**20):
            got.append(data)
        assert file._reading_ahead.slow is False and file.cache.name == "bytes"
    assert b"".join(got) == DATA
    assert len(http_server.requests) == 3  # opening, the first read, and all that follow


def test_less_than_one_connection() -> None:
    with pytest.raises(ValueError, match="max_concurrency"):
        HTTPFileSystem(max_concurrency=0, skip_instance_cache=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
def test_in_a_forked_child(large: str, http_server: HTTPServer, tmp_path: Path) -> None:
    script = f"""
        import hashlib, sys
        import fsspec
        from fsspec._checks.forked import by_fork

        url, folder = sys.argv[1:]
        fs = fsspec.filesystem("http", max_concurrency=3)
        fs_data = fs.cat_file(url)
        assert len(fs_data) == {len(DATA)}
        expected = hashlib.sha256(fs_data).digest()
        file = fs.open(url)
        head = file.read(3_000_000) + file.read(3_000_000) + file.read(3_000_000)

        def child():
            assert hashlib.sha256(fs.cat_file(url)).digest() == expected
            fs.get_file(url, folder + "/got")
            with open(folder + "/got", "rb") as got:
                assert hashlib.sha256(got.read()).digest() == expected
            assert head + file.read() == fs_data

        for _ in range(2):
            problem = by_fork(child).problem()
            assert not problem, problem
        assert head + file.read() == fs_data
        assert hashlib.sha256(fs.cat_file(url)).digest() == expected
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), large, str(tmp_path)],
        env={**os.environ, "FSSPEC_FORK_RESET": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(tmp_path) == ["got"]
