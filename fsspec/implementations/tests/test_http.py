"""The awaitable HTTP filesystem against a real server; see `fsspec.tests.servers.http`."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

import fsspec

aiohttp = pytest.importorskip("aiohttp")

from fsspec.asyn import sync
from fsspec.callbacks import Callback
from fsspec.exceptions import FileChangedError
from fsspec.implementations import http_sync
from fsspec.implementations.http import (
    AsyncStreamFile,
    HTTPFile,
    HTTPFileSystem,
    HTTPStatusError,
    HTTPStreamFile,
    IncompleteResponse,
)
from fsspec.implementations.tests.remote import check_bars, check_size_refused

http_sync.unregister()  # the import put it in the place of the awaitable one

DATA = bytes(range(256)) * 16384  # 4 MiB, so that a whole number of periods is not a whole read
BIG = b"".join(i.to_bytes(4, "big") for i in range(2**20))  # 4 MiB, each four bytes their own position


@pytest.fixture
def fs():
    return HTTPFileSystem(skip_instance_cache=True)


@pytest.fixture
def url(http_server):
    http_server.files["/big.bin"] = BIG
    http_server.files["/small.txt"] = b"alpha\nbeta\ngamma\n"
    http_server.files["/empty"] = b""
    return http_server.url


def asked(server):
    return [(r.method, r.range) for r in server.requests]


@pytest.mark.parametrize("module", [HTTPFileSystem, http_sync.HTTPFileSystem])
@pytest.mark.parametrize(
    "cache", [{}, *({"cache_type": name} for name in ("bytes", "readahead", "adaptive"))]
)
def test_threads_that_read_one_file_get_the_bytes_at_their_own_positions(module, cache, url):
    """Each by the cache, which knows no position; that of the file is one for all."""
    with module(skip_instance_cache=True).open(url + "/big.bin", block_size=2**16, **cache) as f:

        def read(k):
            places = [((k * 37 + i * 101) * 4000) % len(BIG) for i in range(25)]
            return [(f.cache._fetch(at, at + 1000) == BIG[at : at + 1000]) for at in places]

        with ThreadPoolExecutor(4) as pool:
            assert all(all(right) for right in pool.map(read, range(4)))
        f.seek(8000)
        assert f.read(1000) == BIG[8000:9000]


# -- information ---------------------------------------------------------------


def test_info_is_one_head(http_server, fs, url):
    info = fs.info(url + "/small.txt")
    assert info["size"] == 17
    assert info["type"] == "file"
    assert info["name"] == info["url"] == url + "/small.txt"
    assert info["mimetype"] == "text/plain"
    assert asked(http_server) == [("HEAD", None)]


def test_info_without_head(http_server, fs, url):
    http_server.fault("/small.txt", no_head=True)
    assert fs.info(url + "/small.txt")["size"] == 17


def test_what_is_missing_is_asked_for_once_by_find(http_server, fs, url):
    assert fs.find(url + "/none") == [] and asked(http_server) == [("GET", None)]
    with pytest.raises(FileNotFoundError):
        fs.expand_path(url + "/none", recursive=True)
    assert len(http_server.requests) <= 5, "upstream sends four for the second"


@pytest.mark.parametrize("module", [HTTPFileSystem, http_sync.HTTPFileSystem])
@pytest.mark.parametrize("name", ["/small.txt", "/empty"])
def test_a_file_is_found_by_the_request_that_would_list_it(module, name, http_server, url):
    fs = module(skip_instance_cache=True)
    for options in ({}, {"withdirs": True}, {"maxdepth": 1, "detail": True}):
        http_server.clear()
        assert list(fs.find(url + name, **options)) == [url + name]
        assert [r.method for r in http_server.requests] == ["GET"]

    class Lists(module):  # whatever is there
        protocol = "lists"

        if module is HTTPFileSystem:

            async def _ls_real(self, url, detail=True, **kwargs):
                return []
        else:

            def _ls_real(self, url, detail=True, **kwargs):
                return []

    assert Lists(skip_instance_cache=True).find(url + "/none") == []


def test_folders_that_match_are_named_as_listed(http_server, fs, url, tmp_path):
    http_server.files["/top/"] = b"<a href='/top/dir/'>d</a> <a href='/top/file'>f</a>"
    http_server.files["/top/dir/"] = http_server.files["/top/dir"] = b"<a href='/top/dir/x'>x</a>"
    http_server.files["/top/dir/x"] = b"1"
    assert fs.glob(url + "/top/d*") == fs.glob(url + "/top/*/") == [url + "/top/dir/"]
    fs.get(url + "/top/d*", str(tmp_path / "out"), recursive=True)
    assert [path.read_bytes() for path in tmp_path.rglob("x")] == [b"1"]


def test_info_of_redirect(http_server, fs, url):
    http_server.fault("/old", redirect="/small.txt")
    info = fs.info(url + "/old")
    assert (info["name"], info["url"], info["size"]) == (url + "/old", url + "/small.txt", 17)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("what", ["info", "cat_file", "open", "ls"])
def test_a_refusal_is_a_permission_error(http_server, fs, url, status, what):
    http_server.fault("/big.bin", status=status)
    with pytest.raises(PermissionError) as caught:
        getattr(fs, what)(url + "/big.bin")
    assert isinstance(caught.value, aiohttp.ClientResponseError)
    assert caught.value.status == status


@pytest.mark.parametrize("what", ["info", "cat_file", "open", "ls"])
def test_a_failing_server_is_no_missing_file(http_server, fs, url, what):
    http_server.fault("/big.bin", status=500)
    with pytest.raises(HTTPStatusError) as caught:
        getattr(fs, what)(url + "/big.bin")
    assert isinstance(caught.value, OSError)
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("what", ["info", "cat_file", "open", "size"])
def test_what_is_missing_is_file_not_found(fs, url, what):
    with pytest.raises(FileNotFoundError, match="/nothing"):
        getattr(fs, what)(url + "/nothing")


def test_errors_are_made_anew_of_one_text(http_server, fs, url):
    """As DataLoaders do in the parent with what a worker raised."""
    errors = {}
    for status, kind in [
        (401, PermissionError),
        (403, PermissionError),
        (404, FileNotFoundError),
        (503, OSError),
    ]:
        http_server.fault("/big.bin", status=status)
        with pytest.raises(kind) as caught:
            fs.cat_file(url + "/big.bin")
        errors[caught.value] = kind
    with pytest.raises(FileNotFoundError) as unreachable:
        fs.info("http://127.0.0.1:9/a")
    errors |= {unreachable.value: FileNotFoundError, FileChangedError("a", "b", "c"): FileChangedError}
    for error, kind in errors.items():
        anew = type(error)(f"Caught {error}")
        for again in (anew, pickle.loads(pickle.dumps(anew))):
            assert isinstance(again, kind) and type(again) is type(error)
            assert str(again) == f"Caught {error}" and str(error) in repr(again)


def test_errors_hide_secrets_and_pickle(http_server, fs, url):
    secret = url.replace("//", "//me:hidden@") + "/big.bin?token=hidden&n=1"
    http_server.fault("/big.bin", status=403)
    with pytest.raises(PermissionError) as caught:
        fs.cat_file(secret)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert "hidden" not in str(error)
        assert "/big.bin?token=..." in str(error)
        assert error.status == 403
    with pytest.raises(FileNotFoundError) as missing:
        fs.cat_file(secret.replace("big", "no"))
    assert "hidden" not in str(missing.value)


@pytest.mark.parametrize("status", [401, 404, 503])
def test_an_answer_that_is_an_error_leaves_no_cycle(http_server, url, status):
    """What the caller holds would else live on with the error, until it is collected."""

    class Held:
        pass

    async def read(fs, held):
        await fs._cat_file(url + "/small.txt")

    async def main():
        fs = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)
        held = Held()
        seen = weakref.ref(held)
        try:
            await read(fs, held)
        except OSError:
            del held
        try:
            return seen()
        finally:
            await fs._session.close()

    http_server.fault("/small.txt", status=status)
    gc.disable()
    try:
        assert asyncio.run(main()) is None
    finally:
        gc.enable()


def test_exists_is_false_unless_the_server_has_it(http_server, fs, url):
    assert fs.exists(url + "/small.txt")
    assert not fs.exists(url + "/nothing")
    http_server.fault("/small.txt", status=500)
    assert not fs.exists(url + "/small.txt")
    with pytest.raises(OSError, match="500"):
        fs.exists(url + "/small.txt", strict=True)
    assert not fs.exists(url + "/nothing", strict=True)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_nothing_is_concluded_from_exists(http_server, fs, url, status):
    """It is False as it has always been; a pattern without wildcards, and what stands on one, raises."""
    http_server.fault("/small.txt", status=status)
    assert not fs.exists(url + "/small.txt") and not fs.isfile(url + "/small.txt")
    for call in (fs.glob, fs.isdir, fs.find):
        with pytest.raises(OSError, match=str(status)):
            call(url + "/small.txt")
    before = len(http_server.requests)
    assert fs.glob(url + "/nothing") == [] and len(http_server.requests) == before + 1


# -- contents ------------------------------------------------------------------


@pytest.mark.parametrize(
    "start, end",
    [(0, 10), (5, 20), (-4, None), (None, -5), (-9, -3), (100, None), (3, 3), (9, 2), (50, 60), (-90, 3)],
)
@pytest.mark.parametrize("ignored", [False, True])
def test_cat_file_slices(http_server, fs, url, start, end, ignored):
    if ignored:
        http_server.fault("/small.txt", ignore_range=True)
    assert fs.cat_file(url + "/small.txt", start, end) == b"alpha\nbeta\ngamma\n"[start:end]


def test_part_of_what_ignores_ranges_is_not_read_on(http_server, fs, url):
    http_server.files["/huge"] = bytes(64 * 2**20)
    http_server.fault("/huge", ignore_range=True)
    assert fs.cat_file(url + "/huge", 10, 20) == bytes(10)
    assert http_server.requests[-1].sent < 48 * 2**20


def test_headers_of_the_caller_stay(fs, url):
    headers = {"X-A": "1"}
    fs.cat_file(url + "/small.txt", 1, 3, headers=headers)
    fs.pipe_file(url + "/up", b"x", headers=headers)
    fs.info(url + "/small.txt", headers=headers)
    assert headers == {"X-A": "1"}


@pytest.mark.parametrize("fault", ["truncate", "drop_after"])
def test_short_body_is_an_error(http_server, fs, url, tmp_path, fault):
    http_server.fault("/big.bin", **{fault: 100_000})
    target = tmp_path / "got"
    for read in (
        lambda: fs.cat_file(url + "/big.bin"),
        lambda: fs.cat_file(url + "/big.bin", 10, 3_000_000),
        lambda: fs.get_file(url + "/big.bin", str(target)),
        lambda: fs.open(url + "/big.bin", block_size=0).read(),
        lambda: fs.open(url + "/big.bin").read(),
    ):
        with pytest.raises((IncompleteResponse, aiohttp.ClientError, ConnectionError)):
            read()
    assert os.listdir(tmp_path) == []


def test_longer_than_it_says(http_server, fs, url):
    http_server.fault("/small.txt", content_length=10**6)
    with pytest.raises(OSError, match="ended early"):
        fs.cat_file(url + "/small.txt")


def test_another_range_is_an_error(http_server, fs, url):
    http_server.fault("/big.bin", wrong_range=4)
    with pytest.raises(OSError, match="from byte"):
        fs.cat_file(url + "/big.bin", 100, 200)


def test_a_download_is_one_request_and_counted(http_server, fs, url, tmp_path):
    seen = Callback()
    fs.get_file(url + "/big.bin", str(tmp_path / "x"), callback=seen)
    assert (tmp_path / "x").read_bytes() == BIG
    assert (seen.size, seen.value) == (len(BIG), len(BIG))
    assert asked(http_server) == [("GET", None)]
    out = io.BytesIO()
    fs.get_file(url + "/small.txt", out)
    assert out.getvalue() == b"alpha\nbeta\ngamma\n"


def test_get_file_of_a_missing_folder_raises(http_server, fs, url, tmp_path):
    """Though a name with a slash at its end stands for a folder, which would need no download."""
    for target in ("new/", "there/"):
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError, match="none/"):
            fs.get_file(url + "/none/", f"{tmp_path}/{target}")
    assert os.listdir(tmp_path) == ["there"]
    http_server.files["/top/"] = b"<a href='/top/x'>x</a>"
    fs.get_file(url + "/top/", f"{tmp_path}/new/")
    assert (tmp_path / "new").is_dir()


def test_a_query_makes_no_pattern_of_a_url(http_server, fs, url, tmp_path):
    """What is got is a file, not a folder with the file in it."""
    fs.get(url + "/small.txt?a=1", str(tmp_path / "x"))
    assert (tmp_path / "x").is_file()
    (tmp_path / "folder").mkdir()
    fs.get(url + "/small.txt?a=1", str(tmp_path / "folder"))
    assert os.listdir(tmp_path / "folder") == ["small.txt?a=1"]


def test_failed_download_leaves_what_was_there(http_server, fs, url, tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"before")
    http_server.fault("/big.bin", drop_after=10)
    with pytest.raises((aiohttp.ClientError, OSError)):
        fs.get_file(url + "/big.bin", str(target))
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["x"]


def test_files_and_bytes_are_uploaded(http_server, fs, url, tmp_path):
    fs.pipe_file(url + "/a", b"piped")
    local = tmp_path / "l"
    local.write_bytes(b"put" * 1000)
    seen = Callback()
    fs.put_file(str(local), url + "/b", method="put", chunk_size=1000, callback=seen)
    fs.put_file(io.BytesIO(b"from memory"), url + "/c")
    assert http_server.files["/a"] == b"piped"
    assert http_server.files["/b"] == b"put" * 1000
    assert http_server.files["/c"] == b"from memory"
    assert [r.method for r in http_server.requests] == ["PUT", "PUT", "POST"]
    assert http_server.requests[1].headers["Content-Length"] == "3000"
    assert (seen.size, seen.value) == (3000, 3000)
    fs.pipe_file(url + "/a", b"posted", method="POST")
    assert (http_server.files["/a"], http_server.requests[-1].method) == (b"posted", "POST")
    with pytest.raises(ValueError, match="'patch'"):
        fs.pipe_file(url + "/a", b"x", method="patch")
    with pytest.raises(NotImplementedError):
        fs.put_file(str(local), url + "/b", mode="create")
    for mode in ("wb", "ab", "wt"):
        with pytest.raises(NotImplementedError, match="pipe_file.*put_file"):
            fs.open(url + "/d", mode)


# -- listing -------------------------------------------------------------------

PAGE = """<html><a href="x.txt">x</a> <a href="./y.txt">y</a> <a href="sub/">s</a> <a href="../up">u</a>
<a href="?C=N;O=D">sort</a> <a href="#top">t</a> <a href="mailto:me@here">m</a> <a href="">e</a>
<a href="/dir/">d</a> <a href="/dir/abs.txt?a=1&amp;b=2">a</a> <a href="//other.invalid/z">z</a>
{url}/dir/seen.txt {url}/else.txt</html>"""


def test_the_links_of_a_page_are_listed(http_server, fs, url):
    http_server.files["/dir/"] = PAGE.replace("{url}", url).encode()
    names = [url + "/dir/" + n for n in ("abs.txt?a=1&b=2", "seen.txt", "sub/", "x.txt", "y.txt")]
    assert fs.ls(url + "/dir/", detail=False) == names
    assert {e["name"]: e["type"] for e in fs.ls(url + "/dir/")} == {
        n: "directory" if n.endswith("/") else "file" for n in names
    }
    assert fs.isdir(url + "/dir/")
    assert fs.glob(url + "/dir/*.txt") == [n for n in names if n.endswith(".txt")]
    assert fs.glob(url + "/dir/abs.txt?a=*") == names[:1]


@pytest.mark.parametrize(
    "href, name",
    [
        ("a.txt", "a.txt"),
        ("./a.txt", "a.txt"),
        (" a.txt ", "a.txt"),
        (".hidden", ".hidden"),
        ("a..b/", "a..b/"),
        ("a/../b", "b"),
        ("a%20b?x=1&amp;y=2#z", "a%20b?x=1&y=2"),
        ("/d/x", "x"),
        ("x/y/", "x/y/"),
        ("//", None),
        ("/d//", "/"),
        ("..", None),
        ("../", None),
        (".", None),
        ("?C=N;O=D", None),
        ("#top", None),
        ("/d", None),
        ("/d/?x", None),
        ("/dd/x", None),
        ("mailto:me@here", None),
        ("http://[bad", None),
        ("javascript:go()", None),
    ],
)
def test_only_links_below_the_page_are_listed(http_server, fs, url, href, name):
    http_server.files["/d/"] = f'<a class="c" href="{href}">x</a>'.encode()
    assert fs.ls(url + "/d/", detail=False) == ([] if name is None else [url + "/d/" + name])


def test_listings_cache_gives_either_form(http_server, url):
    http_server.files["/dir/"] = b'<a href="a">a</a>'
    fs = HTTPFileSystem(use_listings_cache=True, skip_instance_cache=True)
    assert fs.ls(url + "/dir/", detail=False) == [url + "/dir/a"]
    assert fs.ls(url + "/dir/", detail=True) == [{"name": url + "/dir/a", "size": None, "type": "file"}]
    assert len(http_server.requests) == 1


def test_a_class_may_list_in_another_way(http_server, url):
    class Listed(HTTPFileSystem):
        async def _ls_real(self, url, detail=True, **kwargs):
            entries = await super()._ls_real(url, detail=True, **kwargs)
            return [*entries, {"name": url + "more", "size": 3, "type": "file"}]

    http_server.files["/dir/"] = b'<a href="a">a</a>'
    fs = Listed(use_listings_cache=True, skip_instance_cache=True)
    assert fs.ls(url + "/dir/", detail=False) == [url + "/dir/a", url + "/dir/more"]
    assert fs.find(url + "/dir/") == [url + "/dir/a", url + "/dir/more"]
    assert len(http_server.requests) == 1


def test_binary_files_are_not_read_for_links(http_server, fs, url):
    http_server.files["/huge"] = bytes(64 * 2**20)
    assert not fs.isdir(url + "/huge")
    assert http_server.requests[-1].sent < 48 * 2**20


# -- files ---------------------------------------------------------------------


def test_open_and_read_small_file_is_one_request(http_server, fs, url):
    with fs.open(url + "/small.txt") as f:
        assert isinstance(f, HTTPFile)
        assert f.size == 17
        assert f.read() == b"alpha\nbeta\ngamma\n"
    assert len(http_server.requests) == 1


class Inverted(HTTPFile):
    def _fetch_range(self, start, end):
        return bytes(255 - byte for byte in super()._fetch_range(start, end))


class InvertedHTTP(HTTPFileSystem):
    def _open(self, path, mode="rb", block_size=None, cache_type="bytes", **kwargs):
        return Inverted(self, path, block_size=block_size, cache_type=cache_type, size=256 * 100)


@pytest.mark.parametrize(
    "how", [{}, *({"cache_type": name} for name in ("bytes", "readahead", "none", "all"))]
)
def test_a_fetch_of_one_s_own_is_asked_by_every_cache(http_server, url, how):
    expected = bytes(range(256)) * 100
    http_server.files["/inverted"] = bytes(255 - byte for byte in expected)
    with InvertedHTTP(skip_instance_cache=True).open(url + "/inverted", block_size=1000, **how) as f:
        for start, length in ((0, 10), (23_045, 10), *((at, 300) for at in range(100, 6100, 300))):
            f.seek(start)
            assert f.read(length) == expected[start : start + length]


@pytest.mark.parametrize("ignores", [False, True], ids=["ranges", "no ranges"])
def test_without_a_cache_no_more_is_asked_for_than_is_read(http_server, ignores):
    http_server.files["/large"] = data = bytes(range(256)) * 20_000
    url = http_server.url + "/large"
    fs = HTTPFileSystem(skip_instance_cache=True)
    with fs.open(url, block_size=2**16, cache_type="none", size=len(data)) as f:
        if ignores:
            http_server.fault("/large", ignore_range=True)
        else:
            f.seek(100_000)
        at = f.tell()
        for _ in range(20):
            assert f.read(1000) == data[at : at + 1000]
            at += 1000
        assert f.read(500_000) == data[at : at + 500_000]
    asked = http_server.requests
    assert len(asked) == (1 if ignores else 21)
    if not ignores:
        assert sum(request.sent for request in asked) == 520_000


@pytest.mark.parametrize("given_to", ["open", "filesystem"])
def test_a_cache_that_is_not_trimmed_keeps_what_was_read(http_server, given_to):
    http_server.files["/large"] = data = bytes(range(256)) * 400
    options = {"cache_type": "bytes", "cache_options": {"trim": False}}
    fs = HTTPFileSystem(skip_instance_cache=True, **(options if given_to == "filesystem" else {}))
    with fs.open(http_server.url + "/large", block_size=1000, **(options if given_to == "open" else {})) as f:
        assert b"".join(f.read(1000) for _ in range(20)) == data[:20_000] and not f.cache.trim
        asked = len(http_server.requests)
        f.seek(0)
        assert f.read(20_000) == data[:20_000]
        assert len(http_server.requests) == asked


@pytest.mark.parametrize("kind", [HTTPFileSystem, http_sync.HTTPFileSystem])
def test_a_token_of_a_url_tells_options_of_requests_apart(kind):
    plain, other, same = (
        kind(skip_instance_cache=True, **options) for options in ({}, {"headers": {"a": "b"}}, {})
    )
    token = plain.ukey("http://none.invalid/x")
    assert token == same.ukey("http://none.invalid/x") != plain.ukey("http://none.invalid/y")
    assert token != other.ukey("http://none.invalid/x")


def test_blocks_of_a_stream_are_joined_as_they_come(http_server) -> None:
    import tracemalloc

    block = 2**22
    http_server.files["/large"] = bytes(5 * block)
    fs = HTTPFileSystem(skip_instance_cache=True)
    with fs.open(http_server.url + "/large", block_size=block, cache_type="blockcache") as f:
        f.read(block)
        f._reading_ahead._run_from -= 40 * block  # as if that much had been read in order
        f.read(block)  # this and the next by one response
        tracemalloc.start()
        try:
            held = f.read(block)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(held) == block and len(http_server.requests) == 3
    assert peak < 1.5 * block


@pytest.mark.parametrize("cache_type", ["blockcache", "background", "mmap", "none", "readahead"])
def test_a_read_behind_the_end_of_a_bounded_request_gives_its_own_bytes(http_server, cache_type) -> None:
    data = b"".join(number.to_bytes(4, "big") for number in range(200_000))
    http_server.files["/large"] = data
    fs = HTTPFileSystem(skip_instance_cache=True)
    with fs.open(http_server.url + "/large", block_size=1000, cache_type=cache_type) as f:
        for skipped in (30_000, 50_000, 64_000):
            for _ in range(110):  # most of what the request of a run brings
                at = f.tell()
                assert f.read(1000) == data[at : at + 1000]
            at = f.seek(skipped, 1)
            assert f.read(1000) == data[at : at + 1000]


def test_bytes_of_no_length_are_none(http_server) -> None:
    http_server.files["/large"] = bytes(200_000)
    with HTTPFileSystem(skip_instance_cache=True).open(http_server.url + "/large", cache_type="none") as f:
        assert [f._fetch_range(at, at) for at in (0, 10, 10, 10, 100_000, 200_000, 200_000)] == [b""] * 7


@pytest.mark.parametrize("cache_type", ["bytes", "readahead", "none", "blockcache", "all", "first"])
@pytest.mark.parametrize("block_size", [None, 1000, 2**20])
def test_reading_all_ways(fs, url, cache_type, block_size):
    if block_size == 1000 and cache_type == "blockcache":
        pytest.skip("thousands of requests")
    with fs.open(url + "/big.bin", cache_type=cache_type, block_size=block_size) as f:
        assert f.read(10) == BIG[:10]
        assert f.read(10) == BIG[10:20]
        assert f.seek(1_000_001) == 1_000_001
        for _ in range(6):
            at = f.tell()
            assert f.read(70_000) == BIG[at : at + 70_000]
        f.seek(-5, 1)
        assert f.read(10) == BIG[f.tell() - 10 : f.tell()]
        f.seek(2_000_000)
        f.seek(100, 1)
        assert f.read(5) == BIG[2_000_100:2_000_105]
        f.seek(-7, 2)
        assert f.read() == BIG[-7:]
        assert f.read() == f.read(5) == b""
        f.seek(0)
        assert f.read() == BIG


@pytest.mark.parametrize("make", [HTTPFileSystem, http_sync.HTTPFileSystem])
@pytest.mark.parametrize(
    "cache_type", ["bytes", "none", "readahead", "blockcache", "mmap", "background", "all"]
)
@pytest.mark.parametrize("size", [1, 70_000, 150_000, 300_000])
def test_the_size_that_the_server_says_holds(url, http_server, make, cache_type, size):
    """Not one that a program has from elsewhere, an older listing say."""
    http_server.files["/grown"] = data = BIG[:200_000]
    with make(skip_instance_cache=True).open(
        url + "/grown", size=size, cache_type=cache_type, block_size=2**14
    ) as f:
        assert f.read(50_000) == data[:50_000]
        assert f.size == len(data)
        f.seek(90_000)
        assert f.read(100_000) == data[90_000:190_000]
        assert f.read() == data[190_000:]
    with make(skip_instance_cache=True).open(url + "/grown", size=size, cache_type=cache_type) as f:
        assert f.read() == data


def test_sequential_reading_is_one_stream(http_server, fs, url):
    with fs.open(url + "/big.bin") as f:
        got = b"".join(iter(lambda: f.read(50_000), b""))
    assert got == BIG
    assert len(http_server.requests) <= 3
    assert sum(r.sent for r in http_server.requests) == len(BIG)


def test_random_reading_fetches_what_is_asked(http_server, fs, url):
    with fs.open(url + "/big.bin") as f:
        http_server.clear()
        places = [3_000_000, 500_000, 2_000_000, 100_000, 1_500_000]
        for at in places:
            f.seek(at)
            assert f.read(2**16) == BIG[at : at + 2**16]
    assert sum(r.sent for r in http_server.requests) == 2**16 * len(places)
    assert len({r.connection for r in http_server.requests}) == 1


def test_stream_ahead_that_breaks_is_replaced(http_server, fs, url):
    with fs.open(url + "/big.bin") as f:
        http_server.fault("/big.bin", drop_after=300_000, times=1)
        got = b"".join(iter(lambda: f.read(64_000), b""))
    assert got == BIG


def test_many_files_read_in_turns(fs, url):
    files = [fs.open(url + "/big.bin", block_size=2**20) for _ in range(60)]
    for _ in range(3):
        for f in files:
            at = f.tell()
            assert f.read(100_000) == BIG[at : at + 100_000]
    for f in files:
        f.close()


def test_server_without_ranges(http_server, fs, url):
    http_server.fault("/big.bin", ignore_range=True)
    with fs.open(url + "/big.bin") as f:
        assert b"".join(iter(lambda: f.read(300_000), b"")) == BIG
    with fs.open(url + "/big.bin", block_size=1000) as f:
        f.seek(1000)
        with pytest.raises(ValueError, match="block_size=0"):
            f.read(10)


WITHOUT_RANGES = {
    "by one request": ({}, {}, 1),
    "by bytes": ({"cache_type": "bytes"}, {}, 2),
    "of another block size": ({"block_size": 2**23}, {}, 2),
    "of a size that is given": ({"size": len(BIG)}, {}, 1),
    "of no length": ({"size": len(BIG)}, {"chunked": True}, 1),
    "by readahead": ({"cache_type": "readahead"}, {}, 2),
    "by blocks": ({"cache_type": "blockcache"}, {}, 2),
}


@pytest.mark.parametrize("how", WITHOUT_RANGES)
def test_a_file_of_one_block_is_read_anywhere_without_ranges(http_server, fs, url, how):
    options, fault, requests = WITHOUT_RANGES[how]
    http_server.fault("/big.bin", ignore_range=True, **fault)
    with fs.open(url + "/big.bin", **options) as f:
        assert f.read(8) == BIG[:8]
        for at in (len(BIG) - 100, 3_000_000, 100, 2_000_000):
            f.seek(at)
            assert f.read(70_000) == BIG[at : at + 70_000]
        f.seek(0)
        assert f.read(50_000) + f.read() == BIG
    assert len(http_server.requests) == requests


def test_a_file_of_one_block_without_ranges_is_a_zip_and_text(http_server, fs, url):
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        archive.writestr("a", BIG)
    http_server.files["/a.zip"] = packed.getvalue()
    http_server.files["/a.txt"] = lines = b"".join(b"%d\n" % n for n in range(50_000))
    for path in ("/a.zip", "/a.txt"):
        http_server.fault(path, ignore_range=True)
    with fs.open(url + "/a.zip") as f:
        assert f.read(4) == b"PK\3\4"
        assert zipfile.ZipFile(f).read("a") == BIG
    with fs.open(url + "/a.zip") as f:  # its end is read first
        assert zipfile.ZipFile(f).read("a") == BIG
    with fs.open(url + "/a.txt", "r") as f:
        assert f.readline() == "0\n"
        f.seek(len(lines) - 6)
        assert f.read() == "49999\n"
        f.seek(0)
        assert f.read().encode() == lines
    assert len(http_server.requests) == 3


@pytest.mark.parametrize("given", [False, True])
def test_a_block_of_a_larger_file_without_ranges_is_read_anywhere(http_server, fs, url, given):
    """What is behind the first block is read in order, and does not stay in memory."""
    block = 2**18
    http_server.fault("/big.bin", ignore_range=True)
    with fs.open(url + "/big.bin", block_size=block, **({"size": len(BIG)} if given else {})) as f:
        for at in (0, block - 100, 5000, block, 0):
            f.seek(at)
            assert f.read(100) == BIG[at : at + 100]
        assert b"".join(iter(lambda: f.read(10_000), b"")) == BIG[100:]
        assert len(f.cache) <= 2**20
        f.seek(len(BIG) // 2)
        with pytest.raises(ValueError, match="block_size=0"):
            f.read(10)
        f.seek(100)
        assert f.read(10) == BIG[100:110]
    assert [method for method, _ in asked(http_server)] == ["HEAD"] * (not given) + ["GET"] * 3


@pytest.mark.parametrize("fault", [{"chunked": True, "ignore_range": True}, {"no_accept_ranges": True}])
def test_without_ranges_a_file_is_read_as_it_arrives(http_server, fs, url, fault):
    http_server.fault("/small.txt", **fault)
    with fs.open(url + "/small.txt") as f:
        assert isinstance(f, HTTPStreamFile)
        assert f.read(3) == b"alp"
        assert f.tell() == f.seek(3) == f.seek(0, 1) == 3
        with pytest.raises(ValueError, match="no way"):
            f.seek(10)
        assert f.readline() == b"ha\n"
        assert list(f) == [b"beta\n", b"gamma\n"]
        assert f.read() == b""
    with fs.open(url + "/small.txt") as f:
        f.readline()  # has the next ones as well
    for read in (f.read, f.readline, f.readuntil, f.readlines, f.__next__):
        with pytest.raises(ValueError, match="closed") as caught:
            read()
        assert isinstance(caught.value, aiohttp.ClientConnectionError)  # upstream's
    with fs.open(url + "/small.txt", "rt") as f:
        assert f.read() == "alpha\nbeta\ngamma\n"


def test_what_is_longer_when_it_is_compressed(http_server, fs, url):
    data = http_server.files["/random"] = os.urandom(2**21)
    http_server.fault("/random", gzip=True, ignore_range=True)
    assert fs.cat_file(url + "/random") == data


def test_compressed_on_the_way(http_server, fs, url):
    http_server.fault("/small.txt", gzip=True, ignore_range=True)
    assert fs.info(url + "/small.txt")["size"] is None
    with fs.open(url + "/small.txt") as f:
        assert f.read() == b"alpha\nbeta\ngamma\n"


def test_an_empty_file_reads_as_nothing(fs, url):
    with fs.open(url + "/empty") as f:
        assert f.read() == b""
    assert fs.cat_file(url + "/empty", 0, 10) == b""


def test_pickled_file_goes_on(fs, url):
    with fs.open(url + "/big.bin") as f:
        f.read(10)
        with pickle.loads(pickle.dumps(f)) as g:
            assert g.read(5) == f.read(5) == BIG[10:15]


def test_a_slow_body_is_read_to_its_end(http_server, fs, url):
    http_server.fault("/big.bin", delay=0.05, delay_body=0.1)
    with fs.open(url + "/big.bin") as f:
        assert b"".join(iter(lambda: f.read(400_000), b"")) == BIG


def test_silent_server_is_a_timeout(http_server, url):
    fs = HTTPFileSystem(timeout=aiohttp.ClientTimeout(total=0.2), skip_instance_cache=True)
    http_server.fault("/big.bin", delay=5)
    with pytest.raises(TimeoutError, match="big.bin.*time limit of the request"):
        fs.cat_file(url + "/big.bin")


def ways_to_read(fs, url, folder):
    return {
        "cat_file": lambda: fs.cat_file(url),
        "cat": lambda: fs.cat([url, url]),
        "cat_ranges": lambda: fs.cat_ranges([url], [0], [10], on_error="raise"),
        "open": lambda: fs.open(url).read(),
        "streamed": lambda: fs.open(url, block_size=0).read(),
        "get": lambda: fs.get_file(url, str(folder / "a")),
        "ls": lambda: fs.ls(url),
        "pipe": lambda: fs.pipe_file(url, b"1"),
    }


@pytest.mark.parametrize("limit", ["total", "sock_read"])
@pytest.mark.parametrize(
    "fault, way",
    [("delay", way) for way in ways_to_read(None, None, None)]
    + [("delay_body", way) for way in ways_to_read(None, None, None) if way not in ("ls", "pipe")],
)
def test_a_timeout_names_the_url_and_what_sets_another_limit(http_server, url, limit, fault, way, tmp_path):
    limits = aiohttp.ClientTimeout(**{limit: 0.2})
    fs = HTTPFileSystem(client_kwargs={"timeout": limits}, skip_instance_cache=True)
    http_server.fault("/big.bin", **{fault: 3})
    secret = url.replace("://", "://me:hush@") + "/big.bin?sign=hush"
    with pytest.raises(TimeoutError) as caught:
        ways_to_read(fs, secret, tmp_path)[way]()
    assert str(caught.value).startswith(f"{url}/big.bin?sign=...: ") and "hush" not in str(caught.value)
    assert "timeout= sets another limit" in str(caught.value)


def test_a_wrong_option_of_the_session_does_not_make_a_file_absent(url):
    fs = HTTPFileSystem(client_kwargs={"timeout": 3}, skip_instance_cache=True)
    for ask in (fs.info, fs.open, fs.exists, fs.cat_file):
        with pytest.raises(ValueError, match="ClientTimeout") as caught:
            ask(url + "/small.txt")
        assert not isinstance(caught.value, OSError)


def test_an_awaited_instance_reads_and_lists(url):
    async def main():
        fs = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)
        session = await fs.set_session()
        assert await fs.set_session() is session
        f = await fs.open_async(url + "/small.txt")
        assert isinstance(f, AsyncStreamFile)
        assert f.size == 17
        assert [await f.read(5), f.tell(), await f.read()] == [b"alpha", 5, b"\nbeta\ngamma\n"]
        await f.close()
        await session.close()
        assert await fs._cat_file(url + "/small.txt") == b"alpha\nbeta\ngamma\n"  # by a session made anew
        await fs._session.close()

    asyncio.run(main())


def test_the_programs_get_client_makes_the_session(url):
    made = []

    async def get_client(**kwargs):
        kwargs.pop("loop")
        made.append(aiohttp.ClientSession(**kwargs))
        return made[-1]

    options = {"headers": {"X-B": "2"}}
    fs = HTTPFileSystem(get_client=get_client, client_kwargs=options, skip_instance_cache=True)
    fs.cat_file(url + "/small.txt")
    fs.cat_file(url + "/small.txt")
    assert len(made) == 1
    HTTPFileSystem.close_session(fs.loop, fs._session)
    assert made[0].closed


def test_a_session_that_a_busy_loop_cannot_close_in_time_is_closed_when_its_turn_comes(url, monkeypatch):
    monkeypatch.setattr("fsspec.implementations._http.sessions.CLOSING", 0.01)
    fs = HTTPFileSystem(skip_instance_cache=True)
    fs.cat_file(url + "/small.txt")
    session, busy = fs._session, threading.Event()
    fs.loop.call_soon_threadsafe(busy.wait)
    fs.close_session(fs.loop, session)
    assert not session.closed
    busy.set()
    fs.cat_file(url + "/small.txt")
    assert session.closed


def of_connections(limit, kind=HTTPFileSystem):
    async def get_client(**kwargs):
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit))

    return kind(get_client=get_client, skip_instance_cache=True)


def test_one_connection_is_enough_where_an_answer_does_not_say_what_it_is(http_server, url):
    http_server.fault("/big.bin", range_status=200, no_content_range=True)  # only the size tells
    fs = of_connections(1)
    starts, ends = [10, 20], [2**23, 2**23]
    found = sync(fs.loop, fs._cat_ranges, [url + "/big.bin"] * 2, starts, ends, timeout=30)
    assert found == [BIG[a:b] for a, b in zip(starts, ends)]


def test_no_more_requests_are_begun_than_there_are_connections(url):
    class Counting(HTTPFileSystem):
        under_way = most = 0

        async def _cat_file(self, *args, **kwargs):
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                return await super()._cat_file(*args, **kwargs)
            finally:
                self.under_way -= 1

    fs = of_connections(3, Counting)
    fs.cat_file(url + "/small.txt")
    names = [f"{url}/small.txt?{n}" for n in range(20)]
    assert len(fs.cat(names)) == 20 and fs.most == 3
    assert len(fs.cat(names, batch_size=7)) == 20 and fs.most == 3
    fs.most = 0
    assert len(fs.cat(names, batch_size=2)) == 20 and fs.most == 2


def test_over_tls_files_are_read_and_written(https_server):
    https_server.files["/a"] = BIG
    fs = HTTPFileSystem(ssl=https_server.ssl_context(), skip_instance_cache=True)
    with fs.open(https_server.url + "/a") as f:
        assert b"".join(iter(lambda: f.read(300_000), b"")) == BIG
    fs.pipe_file(https_server.url + "/b", b"sent")
    assert https_server.files["/b"] == b"sent"


# -- forks ---------------------------------------------------------------------

HEAD = """
import gc, os, sys, warnings
import fsspec
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
from fsspec.implementations.http import HTTPFileSystem

url = sys.argv[1]
BIG = b"".join(i.to_bytes(4, "big") for i in range(2**20))
fs = HTTPFileSystem()

def read_on(f):
    at = f.tell()
    data = f.read(64_000)
    assert data == BIG[at:at + 64_000], at
    return data

def well(report):
    problem = report.problem()
    assert not problem, problem
"""


def run(script, *args, opted_in=True, **env):
    """Run a script that forks, under a watchdog; it has to end well and in silence."""
    environment = {**os.environ, **env}
    environment.pop("FSSPEC_FORK_RESET", None)
    if opted_in:
        environment["FSSPEC_FORK_RESET"] = "1"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", HEAD + textwrap.dedent(script), *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")


@needs_fork
@pytest.mark.parametrize("read", [100, 200_000])
@pytest.mark.parametrize("block", [2**18, 5 * 2**20])
def test_fork_with_a_file_of_a_server_that_ignores_ranges(http_server, url, read, block):
    """It comes from its beginning: again in the child, which reads on or all of it, if it is longer."""
    http_server.fault("/big.bin", ignore_range=True)
    run(
        f"""
        f = fs.open(url + "/big.bin", block_size={block})
        assert f.read({read}) == BIG[:{read}]

        def reads_on():
            assert f.read(10) == BIG[{read} : {read} + 10] and f.read() == BIG[{read} + 10 :]

        def reads_all():
            f.seek(0)
            assert f.read() == BIG

        for act in (reads_on, reads_all):
            well(by_fork(act))
        reads_on()
        """,
        url,
    )
    assert block < len(BIG) or len(http_server.requests) == 1


@needs_fork
def test_fork_with_a_stream_under_way(http_server, url):
    run(
        """
        f = fs.open(url + "/big.bin?f")
        for _ in range(5):
            read_on(f)
        assert f._reading_ahead.stream is not None

        def child():
            at = f.tell()
            assert at == 5 * 64_000
            while read_on(f):
                pass
            assert fs.cat_file(url + "/big.bin", 10, 20) == BIG[10:20]
            assert fsspec.filesystem("http") is fs
            with fs.open(url + "/big.bin") as g:
                assert g.read() == BIG

        for _ in range(2):
            well(by_fork(child))
        stream = f._reading_ahead.stream
        read_on(f)
        for _ in range(20):
            read_on(f)
        assert stream is f._reading_ahead.stream
        while read_on(f):
            pass
        assert fs.cat_file(url + "/big.bin", 10, 20) == BIG[10:20]
        """,
        url,
    )
    rest = f"bytes={2**16}-{len(BIG) - 1}"
    parent = [r.connection for r in http_server.requests if (r.query, r.range) == ("f", rest)]
    assert len(parent) == 1  # one stream in all, which no child broke
    assert all(not c.reset or c.number not in parent for c in http_server.connections)


@needs_fork
@pytest.mark.parametrize(
    "ending", ["pass", "del f, g; gc.collect()", "f.close(); g.close()", "os._exit(0)", "sys.exit(0)"]
)
@pytest.mark.parametrize("opted_in", [False, True])
def test_child_that_only_ends_harms_nobody(https_server, ending, opted_in):
    https_server.files["/big.bin"] = BIG
    out = run(
        f"""
        f = fs.open(url + "/big.bin")
        g = fs.open(url + "/big.bin", block_size=0)
        g.read(10)
        for _ in range(5):
            read_on(f)
        fs.cat_file(url + "/big.bin", 0, 10)

        def child():
            global f, g
            {ending}

        pid = os.fork()
        if not pid:
            child()
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        print("forked", flush=True)
        while read_on(f):
            pass
        assert g.read() == BIG[10:]
        assert fs.cat_file(url + "/big.bin", 0, 10) == BIG[:10]
        os._exit(0)  # so that no alert on record is the parent's
        """,
        https_server.url,
        opted_in=opted_in,
        SSL_CERT_FILE=https_server.ca_file,
    )
    assert out == "forked\n"
    assert [c.close_notify for c in https_server.connections] == [0] * len(https_server.connections)
    assert len(https_server.connections) <= 3


@needs_fork
def test_streamed_file_is_the_parents(http_server, url):
    http_server.fault("/big.bin", ignore_range=True, chunked=True)
    run(
        """
        f = fs.open(url + "/big.bin")
        assert type(f).__name__ == "HTTPStreamFile"
        read_on(f)

        def child():
            try:
                f.read(10)
            except ForkError as error:
                assert "fork-safe" in str(error), error
            else:
                raise AssertionError
            f.close()
            assert fs.cat_file(url + "/small.txt") == b"alpha\\nbeta\\ngamma\\n"

        well(by_fork(child))
        while read_on(f):
            pass
        """,
        url,
    )


@needs_fork
def test_not_opted_in_refuses(url):
    run(
        """
        f = fs.open(url + "/big.bin", block_size=2**16)
        read_on(f)

        def child():
            for use in (lambda: fs.cat_file(url + "/big.bin"), lambda: f.seek(10**6) and f.read(10)):
                try:
                    use()
                except ForkError as error:
                    assert "fork-safe" in str(error), error
                else:
                    raise AssertionError
            assert HTTPFileSystem().cat_file(url + "/big.bin", 0, 4) == BIG[:4]

        well(by_fork(child))
        read_on(f)
        """,
        url,
        opted_in=False,
    )


@needs_fork
def test_children_of_children(url):
    run(
        """
        f = fs.open(url + "/big.bin")
        read_on(f), read_on(f), read_on(f)

        def child(depth=0):
            read_on(f), read_on(f)
            if depth < 3:
                well(by_fork(lambda: child(depth + 1)))
            read_on(f)

        well(by_fork(child))
        while read_on(f):
            pass
        """,
        url,
    )


def test_an_instance_of_blocking_calls_can_be_awaited_on_other_loops(http_server, url):
    """As zarr does, whose loop is its own, with the instance below a cache."""
    run(
        """
        import asyncio, threading

        def loop_in_a_thread():
            other = asyncio.new_event_loop()
            threading.Thread(target=other.run_forever, daemon=True).start()
            return other

        def awaited():
            done = asyncio.run_coroutine_threadsafe(fs._cat_file(url + "/small.txt"), other)
            return done.result(20)

        def blocking():
            return fs.cat_file(url + "/small.txt")

        def child():
            global other
            assert blocking()
            other = loop_in_a_thread()
            assert awaited()

        other = loop_in_a_thread()
        for order in ((blocking, awaited), (awaited, blocking)):
            fs = type(fs)(skip_instance_cache=True)
            for _ in range(2):
                for one in order:
                    assert one()
            with fs.open(url + "/small.txt") as f:
                assert f.read()
            well(by_fork(child))
            assert awaited() and blocking()
        """,
        url,
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted by /proc")
@pytest.mark.parametrize("first", ["blocking", "awaited"])
def test_runs_of_asyncio_leave_no_connection_behind(url, first):
    counts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of asyncio: connections outlive their loop
        fs = HTTPFileSystem(skip_instance_cache=True)
        if first == "blocking":
            assert fs.cat_file(f"{url}/small.txt")
        for _ in range(6):
            asyncio.run(fs._cat_file(f"{url}/small.txt"))
            gc.collect()
            counts.append(len(os.listdir("/proc/self/fd")))
        del fs
        gc.collect()
    assert max(counts[1:]) - counts[1] < 3, counts


def test_an_asynchronous_instance_ends_the_session_of_a_loop_that_was_closed(url, caplog):
    fs = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)

    async def program(last):
        session = await fs.set_session()
        assert await fs._cat_file(f"{url}/small.txt")
        if last:
            await session.close()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of asyncio: connections outlive their loop
        for last in (False, False, True):
            asyncio.run(program(last))
            gc.collect()
        del fs
        gc.collect()
    assert "Unclosed" not in caplog.text


def test_an_asynchronous_instance_on_another_loop_says_why_it_cannot(url):
    fs = HTTPFileSystem(asynchronous=True, skip_instance_cache=True)

    async def other():
        with pytest.raises(RuntimeError, match="asynchronous=True"):
            await fs._cat_file(f"{url}/small.txt")

    async def main():
        assert await fs._cat_file(f"{url}/small.txt")
        await asyncio.to_thread(asyncio.run, other())
        await fs._session.close()

    asyncio.run(main())


def test_upload_in_flight_is_not_repeated(http_server, url):
    http_server.fault("/up", delay=1.0)
    run(
        """
        import threading, time
        t = threading.Thread(target=fs.pipe_file, args=(url + "/up", b"x" * 10))
        t.start()
        time.sleep(0.3)
        well(by_fork(lambda: None))
        t.join()
        """,
        url,
    )
    assert [r.method for r in http_server.requests] == ["PUT"]
    assert http_server.files["/up"] == b"x" * 10


def test_nothing_is_printed_at_the_end(url):
    script = f"""
    fs.cat_file({url!r} + "/small.txt")
    f = fs.open({url!r} + "/big.bin")
    f.read(100_000), f.read(100_000), f.read(100_000)
    """
    run(script, url)


def test_options_of_others_do_not_reach_the_requests_of_listings(http_server, fs, url):
    http_server.files["/d/"] = b"<a href='/d/x'>x</a>"
    http_server.files["/d/x"] = b"0123"
    assert fs.ls(url + "/d/", False, start=1, unknown=2) == [url + "/d/x"]
    assert fs.find(url + "/d/", unknown=2) == fs.glob(url + "/d/*", unknown=2) == [url + "/d/x"]
    fs.ls(url + "/d/", headers={"X-Mine": "y"})
    assert http_server.requests[-1].headers["X-Mine"] == "y"


def test_depths_of_patterns(fs, url):
    for pattern in ("/small.txt", "/*"):
        with pytest.raises(ValueError, match="at least 1"):
            fs.glob(url + pattern, maxdepth=0)


def test_a_download_to_a_folder_raises(fs, url, tmp_path):
    folder = str(tmp_path / "new") + os.sep
    with pytest.raises(FileNotFoundError, match="none"):
        fs.get_file(url + "/none", folder)
    with pytest.raises(IsADirectoryError):
        fs.get_file(url + "/small.txt", folder)
    assert os.listdir(tmp_path) == []
    fs.get(url + "/small.txt", folder)
    assert os.listdir(folder) == ["small.txt"]


def test_find_of_a_file_has_no_entry(fs, url):
    name = url + "/small.txt"
    assert fs.find(name, detail=True) == {name: {}} and fs.du(name) == fs.info(name)["size"]


def test_tqdm_by_name_draws_the_bytes_of_one_file(http_server, fs, tmp_path, capsys):
    http_server.files["/eleven"] = b"hello world"
    url = http_server.url
    check_bars(fs, f"{url}/eleven", f"{url}/twelve", tmp_path, capsys, method="put")


def test_a_block_size_that_is_text_is_named():
    with pytest.raises(TypeError, match="^block_size is a number of bytes, not '5MB'"):
        HTTPFileSystem(block_size="5MB", skip_instance_cache=True)


LOGGED_IN = """
    import http.server, threading
    import fsspec
    from fsspec._checks.forked import by_fork
    from fsspec.asyn import sync
    from fsspec.implementations.http_sync import HTTPFileSystem as Blocking

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            known = "a=1" in self.headers.get("Cookie", "") and self.headers.get("X-Token") == "new"
            self.send_response(200 if known or self.path == "/login" else 401)
            if self.path == "/login":
                self.send_header("Set-Cookie", "a=1; Path=/")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_HEAD = do_GET

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://localhost:{server.server_port}"
"""


@needs_fork
@pytest.mark.parametrize("used", [True, False])
def test_a_child_has_the_cookies_of_a_session_of_the_program_s(used):
    """Also a child of one that only looked at the instance."""
    run(
        LOGGED_IN
        + f"""
    import aiohttp

    async def get_client(loop):
        jar = aiohttp.CookieJar(unsafe=True)
        return aiohttp.ClientSession(cookie_jar=jar, headers={{"X-Token": "new"}})

    url = url.replace("localhost", "127.0.0.1")  # whose cookies the usual jar does not take
    fs = HTTPFileSystem(get_client=get_client, skip_instance_cache=True)

    def read():
        assert fs.cat_file(url + "/a") == b"ok"

    assert fs.cat_file(url + "/login") == b"ok"
    read()

    def child():
        read() if {used} else fs.kwargs
        assert by_fork(read).problem() == ""

    assert by_fork(child).problem() == ""
    read()
    server.shutdown()
    server.server_close()
    fs.close_session(fs.loop, fs._session)
    """,
        "",
    )


@needs_fork
@pytest.mark.parametrize("kind", ["awaitable", "blocking"])
def test_a_child_is_logged_in_where_its_parent_is(kind):
    """What the session holds besides connections: cookies, and headers that were changed since."""
    run(
        LOGGED_IN
        + f"""
    if {kind!r} == "blocking":
        fs = Blocking(client_kwargs={{"headers": {{"X-Token": "old"}}}}, skip_instance_cache=True)
        fs.session.headers["X-Token"] = "new"
        fs.session.proxies["http+unused"] = "http://127.0.0.1:1"
    else:
        fs = HTTPFileSystem(client_kwargs={{"headers": {{"X-Token": "old"}}}}, skip_instance_cache=True)
        sync(fs.loop, fs.set_session).headers["X-Token"] = "new"

    def read():
        assert fs.cat_file(url + "/a") == b"ok"
        if {kind!r} == "blocking":
            assert fs.session.proxies == {{"http+unused": "http://127.0.0.1:1"}}

    assert fs.cat_file(url + "/login") == b"ok"
    read()
    def child():
        read()
        assert by_fork(read).problem() == ""

    assert by_fork(child).problem() == ""
    read()
    server.shutdown()
    server.server_close()
    if {kind!r} == "awaitable":
        fs.close_session(fs.loop, fs._session)
    """,
        "",
    )


@pytest.mark.parametrize(
    "url", ["http://host/a::b", "https://host/a::memory://b", "http://host/a::http://me:pw@host"]
)
def test_what_follows_two_colons_is_reported(url):
    with pytest.raises(ValueError, match="%3A%3A") as raised:
        fsspec.open(url).open()
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("kind", [HTTPFileSystem, http_sync.HTTPFileSystem])
def test_the_body_of_an_upload_is_not_an_option(http_server, kind, tmp_path):
    fs, url = kind(skip_instance_cache=True), f"{http_server.url}/new"
    (tmp_path / "local").write_bytes(b"1")
    with pytest.raises(TypeError, match="data="):
        fs.put_file(str(tmp_path / "local"), url, data=b"2")
    if kind is HTTPFileSystem:
        with pytest.raises(TypeError, match="data="):
            fs.pipe_file(url, b"1", data=b"2")
        with pytest.raises(TypeError, match="data="):
            fs.pipe({url: b"1"}, data=b"2")
    assert not http_server.requests


@pytest.mark.parametrize("options", [{"headers": 5}, {"auth": [1]}, {"params": object()}, {"cookies": 1.5}])
@pytest.mark.parametrize("kind", [HTTPFileSystem, http_sync.HTTPFileSystem])
def test_options_of_the_wrong_type_are_of_no_file(url, kind, options):
    fs = kind(skip_instance_cache=True)
    for wrong in (FileNotFoundError, TypeError):
        with pytest.raises(wrong):
            fs.info(f"{url}/small.txt", **options)
    with pytest.raises((TypeError, AttributeError)):  # the latter by requests
        fs.cat_file(f"{url}/small.txt", **options)


def test_a_size_of_0_that_only_head_gives_is_not_that_of_the_file(http_server, fs, url, tmp_path):
    """Some servers answer HEAD with the length of that answer, which is empty."""
    http_server.fault("/big.bin", content_length=0, methods=("HEAD",))
    assert fs.info(url + "/big.bin")["size"] == len(BIG)
    assert fs.cat_file(url + "/big.bin", -10, -5) == BIG[-10:-5]
    cached = fsspec.filesystem("blockcache", fs=fs, cache_storage=str(tmp_path))
    with cached.open(url + "/big.bin") as f:
        assert f.read() == BIG
    http_server.files["/none"] = b""
    assert fs.info(url + "/none")["size"] == 0


def test_a_size_of_0_from_head_of_what_get_refuses_is_not_known(http_server, fs):
    check_size_refused(http_server, fs)


def test_a_program_s_own_fetcher_of_a_file_is_asked(fs, url):
    """As globusfs puts one, which tries again, in place of the file's own, or one that counts around it."""
    with fs.open(url + "/big.bin") as f:
        asked = []
        given = f.cache.fetcher

        def noting(start, end):
            asked.append((start, end))
            return given(start, end)

        f.cache.fetcher = noting
        f.seek(len(BIG) // 2)
        assert f.read(100) == BIG[len(BIG) // 2 :][:100] and asked
        assert f.read() == BIG[len(BIG) // 2 + 100 :]
        assert max(end for _, end in asked) == len(BIG)


class Constructing:
    """As dcachefs makes its files: by the constructor of the base class alone."""

    def __init__(self, url, session, loop):
        self.url, self.session, self.loop, self.asynchronous = url, session, loop, False


class OwnFile(Constructing, HTTPFile):
    def __init__(self, fs, url, session, loop):
        Constructing.__init__(self, url, session, loop)
        super(HTTPFile, self).__init__(fs=fs, path=url, size=len(BIG))


class OwnStreamFile(Constructing, HTTPStreamFile):
    def __init__(self, fs, url, session, loop):
        Constructing.__init__(self, url, session, loop)
        super(HTTPStreamFile, self).__init__(fs=fs, path=url, mode="rb", block_size=0, cache_type="none")

        async def get():
            return await self.session.get(self.url)

        self.r = sync(self.loop, get)


@pytest.mark.parametrize("kind", [OwnFile, OwnStreamFile])
def test_files_of_derived_classes_that_construct_them_their_own_way_are_read(fs, url, kind):
    session = sync(fs.loop, fs.set_session)
    with kind(fs, url + "/big.bin", session, fs.loop) as f:
        assert f.read(10) == BIG[:10]
        assert f.read() == BIG[10:]
        assert f.session is session
    with kind(fs, url + "/big.bin", None, None) if kind is OwnFile else fs.open(url + "/big.bin") as f:
        assert f.read() == BIG  # by the session of the filesystem
