"""What answers to requests for bytes are taken for, by both HTTP filesystems; see `_http.answers`."""

from __future__ import annotations

import asyncio
import os
import pickle
from contextlib import nullcontext

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("requests")

import fsspec
from fsspec.exceptions import FileChangedError, IncompleteRead
from fsspec.implementations import http, http_sync
from fsspec.implementations._http.answers import Version, place, version
from fsspec.tests.programs import run

http_sync.unregister()  # the import put it in the place of the awaitable one

SMALL = bytes(range(256)) * 4
BIG = b"".join(i.to_bytes(4, "big") for i in range(2**18))  # 1 MiB, each four bytes their own position


@pytest.fixture(params=["http", "http_sync"])
def fs(request):
    kind = {"http": http, "http_sync": http_sync}[request.param].HTTPFileSystem
    made = kind(skip_instance_cache=True)
    yield made
    if request.param == "http_sync":
        made.session.close()


@pytest.fixture
def url(http_server):
    http_server.files["/f"] = SMALL
    http_server.files["/big"] = BIG
    return http_server.url + "/f"


# -- short, shifted and superfluous data -----------------------------------------

CUT = {
    "less than asked": {"cut": 5},
    "less than its length says": {"truncate": 5},
    "another place": {"wrong_range": 3},
    "multipart": {"multipart": True},
    "longer than the file": {"total": 9, "methods": ("GET",)},
}


@pytest.mark.parametrize("slices", [(10, 30), (10, None), (-20, None), (-30, -10)])
@pytest.mark.parametrize("fault", CUT.values(), ids=CUT)
def test_a_wrong_part_is_an_error(http_server, fs, url, fault, slices):
    http_server.fault("/f", **fault)
    with pytest.raises(OSError) as caught:
        fs.cat_file(url, *slices)
    assert not isinstance(caught.value, FileNotFoundError)


def test_a_part_that_nobody_asked_for_is_an_error(http_server, fs, url, tmp_path):
    http_server.fault("/f", unasked=True)
    target = tmp_path / "f"
    for read in (
        lambda: fs.cat_file(url),
        lambda: fs.get_file(url, str(target)),
        lambda: fs.open(url, block_size=0).read(),
    ):
        with pytest.raises(OSError, match="part"):
            read()
    assert not target.exists()
    got = fs.cat_file(url, headers={"Range": "bytes=0-511"})  # asked for by the caller
    assert got == SMALL[:512]


@pytest.mark.parametrize(
    "cache_type", ["bytes", "readahead", "none", "blockcache", "background", "mmap", "all"]
)
@pytest.mark.parametrize("fault", ["cut", "status", "wrong_range", "total"])
def test_short_data_of_an_open_file_is_an_error(http_server, fs, url, cache_type, fault):
    big = url[:-1] + "big"
    with fs.open(big, block_size=2**16, cache_type=cache_type) as f:
        if cache_type == "all":
            assert f.read() == BIG
            return
        f.read(10)
        what = {"cut": 100, "status": 416, "wrong_range": 1, "total": 2**19}[fault]
        http_server.fault("/big", **{fault: what})
        f.seek(700_000)
        with pytest.raises(OSError):
            f.read(5000)


def test_416_within_the_file_is_an_error(http_server, fs, url):
    http_server.fault("/f", status=416, headers={"Content-Range": "bytes */1024"})
    with pytest.raises(OSError):
        fs.cat_file(url, 10, 30)
    http_server.fault("/f")
    assert fs.cat_file(url, 5000, 6000) == b""


def test_a_file_that_shrank_is_an_error(http_server, fs, url):
    big = url[:-1] + "big"
    f = fs.open(big, block_size=2**16)
    f.read(10)
    http_server.files["/big"] = BIG[: 2**17]
    f.seek(2**19)
    with pytest.raises(FileChangedError, match=f"{len(BIG)}.*{2**17}"):
        f.read(100)
    f.close()


# -- 200 in answer to a range -------------------------------------------------------

SLICES = [(0, 10), (3, 9), (3, None), (-9, None), (-9, -2), (1000, 2000), (0, 5000)]


@pytest.mark.parametrize("slices", SLICES)
@pytest.mark.parametrize("output", [True, False], ids=["with Content-Range", "without"])
def test_what_is_cut_already_is_not_cut_again(http_server, fs, url, slices, output):
    http_server.fault("/f", range_status=200, no_content_range=not output)
    assert fs.cat_file(url, *slices) == SMALL[slice(*slices)]


@pytest.mark.parametrize("slices", SLICES)
@pytest.mark.parametrize("chunked", [True, False])
def test_what_is_whole_is_cut(http_server, fs, url, slices, chunked):
    http_server.fault("/f", ignore_range=True, chunked=chunked)
    assert fs.cat_file(url, *slices) == SMALL[slice(*slices)]


@pytest.mark.parametrize("module", [http, http_sync], ids=["http", "http_sync"])
def test_a_file_as_long_as_the_range_is_not_taken_for_it(http_server, url, module):
    http_server.fault("/f", ignore_range=True)
    fs = module.HTTPFileSystem(skip_instance_cache=True)
    for start in (1, len(SMALL) // 2, len(SMALL), 3 * len(SMALL)):
        slices = start, start + len(SMALL)
        assert fs.cat_file(url, *slices) == SMALL[slice(*slices)]
        assert fs.cat_ranges([url], *([limit] for limit in slices)) == [SMALL[slice(*slices)]]


def test_ranges_answered_by_200(http_server, fs, url):
    http_server.fault("/f", range_status=200, no_content_range=True)
    assert fs.cat_ranges([url, url], [2, 30], [5, 33]) == [SMALL[2:5], SMALL[30:33]]
    with fs.open(url, block_size=100) as f:
        f.seek(600)
        assert f.read(3) == SMALL[600:603]
        f.seek(1000)
        assert f.read() == SMALL[1000:]


@pytest.mark.parametrize("module", ["http", "http_sync"])
def test_a_derived_class_tells_which_bytes_came(http_server, url, module):
    """Of a server that names them in its own way."""
    base = {"http": http, "http_sync": http_sync}[module]
    reported = []

    class File(base.HTTPFile):
        def _parse_content_range(self, headers):
            first = super()._parse_content_range(headers)
            reported.append((first, headers.get("X-Range")))
            return tuple(map(int, headers["X-Range"].split())) if "X-Range" in headers else first

    fs = base.HTTPFileSystem(skip_instance_cache=True)
    session = fs.session if module == "http_sync" else fsspec.asyn.sync(fs.loop, fs.set_session)
    f = File(fs, url, session=session, size=len(SMALL), cache_type="none")
    assert f._parse_content_range({"Content-Range": "bytes 1-2/3"}) == (1, 2, 3)
    assert f._parse_content_range({"Content-Range": "bytes */3"}) == (None, None, 3)
    assert f._parse_content_range({}) == (None, None, None)
    del reported[:]
    http_server.fault("/f", range_status=200, no_content_range=True, headers={"X-Range": "600 604 1024"})
    f.seek(600)
    assert f.read(5) == SMALL[600:605]
    assert reported == [((None, None, None), "600 604 1024")]
    http_server.fault("/f", ignore_range=True, headers={"X-Range": "0 1023 1024"})
    f.seek(0)
    assert f.read(5) == SMALL[:5]
    f.close()
    if module == "http_sync":
        fs.session.close()


@pytest.mark.parametrize("module", ["http", "http_sync"])
def test_a_derived_class_sees_each_answer(http_server, url, module, tmp_path):
    base = {"http": http, "http_sync": http_sync}[module].HTTPFileSystem
    seen = []

    class Own(base):
        def _raise_not_found_for_status(self, response, url):
            seen.append(getattr(response, "status", None) or response.status_code)
            super()._raise_not_found_for_status(response, url)

    fs = Own(skip_instance_cache=True)
    for use, status in (
        (lambda: fs.cat_file(url), 200),
        (lambda: fs.cat_file(url, 5, 10), 206),
        (lambda: fs.cat_file(url, -5), 206),
        (lambda: fs.cat_ranges([url], [5], [10]), 206),
        (lambda: fs.open(url, block_size=0).close(), 200),
        (lambda: fs.get_file(url, str(tmp_path / "x")), 200),
    ):
        del seen[:]
        use()
        assert seen == [status]
    if module == "http":
        fs = Own(skip_instance_cache=True, max_concurrency=4)
        del seen[:]
        assert fs.cat_file(http_server.url + "/big") == BIG
        assert set(seen) == {206}
    else:
        fs.session.close()


# -- versions -------------------------------------------------------------------------

OLD = {"headers": {"ETag": '"old"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}}
NEW = {
    "tag": {"headers": {"ETag": '"new"', "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}},
    "time": {"headers": {"Last-Modified": "Thu, 02 Jan 2025 00:00:00 GMT"}},
}


@pytest.mark.parametrize("changed", NEW)
@pytest.mark.parametrize(
    "cache_type", ["bytes", "readahead", "none", "blockcache", "background", "mmap", "first"]
)
def test_versions_are_not_mixed(http_server, fs, url, cache_type, changed):
    http_server.fault("/big", **OLD)
    with fs.open(url[:-1] + "big", block_size=2**16, cache_type=cache_type) as f:
        assert f.read(100) == BIG[:100]
        http_server.files["/big"] = bytes(len(BIG))
        http_server.fault("/big", **NEW[changed])
        f.seek(2**19)
        with pytest.raises(FileChangedError) as caught:
            f.read(100)
        text = str(caught.value)
        assert "2025" in text or '"old"' in text and '"new"' in text
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.before, again.after) == (caught.value.before, caught.value.after)


def test_a_stream_that_broke_is_not_resumed_in_another_version(http_server, url):
    fs = http.HTTPFileSystem(skip_instance_cache=True)
    http_server.fault("/big", **OLD)
    with fs.open(url[:-1] + "big") as f:
        got = f.read(2**17)
        http_server.fault("/big", **OLD, drop_after=200_000)
        f.read(10)
        http_server.files["/big"] = bytes(len(BIG))
        http_server.fault("/big", **NEW["tag"])
        with pytest.raises(FileChangedError):
            while part := f.read(2**16):
                got += part


def test_ranges_of_a_call_are_of_one_version(http_server, fs, url):
    big = url[:-1] + "big"
    http_server.fault("/big", total=len(BIG) + 1, times=1)
    answers = fs.cat_ranges([big] * 3, [0, 5, 9], [5, 9, 20], on_error="return")
    assert any(isinstance(answer, FileChangedError) for answer in answers)
    http_server.fault("/big", total=len(BIG) + 1, times=1)
    with pytest.raises(FileChangedError):
        fs.cat_ranges([big] * 3, [0, 5, 9], [5, 9, 20], on_error="raise")
    assert fs.cat_ranges([big] * 2, [0, 5], [5, 9]) == [BIG[:5], BIG[5:9]]


@pytest.mark.parametrize("in_folder", [False, True], ids=["", "dir"])
@pytest.mark.parametrize("changed", NEW)
@pytest.mark.parametrize("again", [True, False], ids=["opened again", "open"])
def test_blocks_on_disk_are_of_one_version(http_server, fs, url, tmp_path, changed, again, in_folder):
    http_server.fault("/big", **OLD)
    big = url[:-1] + "big"
    if in_folder:
        big, fs = "big", fsspec.filesystem("dir", path=url[:-2], fs=fs, skip_instance_cache=True)

    def make():
        return fsspec.filesystem("blockcache", fs=fs, cache_storage=str(tmp_path), skip_instance_cache=True)

    cache = make()
    f = cache.open(big, block_size=2**16)
    assert f.read(100) == BIG[:100]
    if again:
        f.close()
        cache = make()
        f = cache.open(big, block_size=2**16)
    http_server.files["/big"] = bytes(len(BIG))
    http_server.fault("/big", **NEW[changed])
    f.seek(2**19)
    with pytest.raises(FileChangedError, match="pop_from_cache"):
        f.read(100)
    f.close()
    cache.pop_from_cache(big)
    with cache.open(big, block_size=2**16) as f:
        f.seek(2**19)
        assert f.read(100) == bytes(100)


@pytest.mark.parametrize("module", [http, http_sync], ids=["http", "http_sync"])
@pytest.mark.parametrize("cache_type", ["bytes", "readahead", "none", "blockcache", "background", "first"])
def test_validators_that_differ_in_each_answer_can_be_disregarded(
    http_server, url, module, cache_type, tmp_path
):
    """Two backends behind a balancer, each with tags and times of its own."""
    big, other = url[:-1] + "big", NEW["tag"]["headers"] | NEW["time"]["headers"]
    fs = module.HTTPFileSystem(validators=(), skip_instance_cache=True)
    kept = fsspec.filesystem("blockcache", fs=fs, cache_storage=str(tmp_path), skip_instance_cache=True)
    http_server.fault("/big", **OLD, times=1, then=other)
    with fs.open(big, block_size=2**16, cache_type=cache_type) as f:
        assert f.read(100) == BIG[:100]
        f.seek(2**19)
        assert f.read(100) == BIG[2**19 : 2**19 + 100]
    http_server.fault("/big", **OLD, times=1, then=other)
    assert fs.cat_ranges([big] * 2, [0, 2**19], [5, 2**19 + 5]) == [BIG[:5], BIG[2**19 : 2**19 + 5]]
    http_server.fault("/big", **OLD, times=1, then=other)
    assert fs.cat_file(big, 10, -10) == BIG[10:-10]
    with kept.open(big, block_size=2**16) as f:
        http_server.fault("/big", **OLD, times=1, then=other)
        for at in (0, 2**18, 2**19):
            f.seek(at)
            assert f.read(100) == BIG[at : at + 100]
    assert not {"ETag", "Last-Modified"} & fs.info(big).keys()
    with fs.open(big, block_size=2**16, cache_type=cache_type) as f:
        f.read(100)
        http_server.files["/big"] = BIG[:-1]
        f.seek(2**19)
        with pytest.raises(FileChangedError):  # the size still tells
            f.read(2**19 if cache_type != "first" else 100)
    if module is http_sync:
        fs.session.close()


@pytest.mark.parametrize("module", [http, http_sync], ids=["http", "http_sync"])
def test_validators_are_chosen_among_those_there_are(http_server, url, module):
    fs = module.HTTPFileSystem(validators="Last-Modified", skip_instance_cache=True)
    big = url[:-1] + "big"
    for then, fails in ((NEW["tag"], False), (NEW["time"], True)):
        http_server.fault("/big", **OLD, times=1, then=then["headers"])
        with pytest.raises(FileChangedError, match=r"validators=\(\)") if fails else nullcontext():
            with fs.open(big, block_size=2**16, cache_type="none") as f:
                f.read(100)
                f.seek(2**19)
                assert f.read(100) == BIG[2**19 : 2**19 + 100]
    with pytest.raises(ValueError, match="ETag, Last-Modified"):
        module.HTTPFileSystem(validators=["etag", "size"], skip_instance_cache=True)
    if module is http_sync:
        fs.session.close()


def test_opening_again_reads_the_new_version(http_server, fs, url):
    http_server.fault("/f", **OLD)
    with fs.open(url) as f:
        f.read(10)
    http_server.fault("/f", **NEW["tag"])
    with fs.open(url) as f:
        assert f.read() == SMALL


def test_times_made_for_each_answer_are_no_versions():
    seen = version({"Last-Modified": "x", "Date": "x"}, "http://h/f", 10)
    assert seen.modified is None
    assert seen.updated("http://h/f", version({"Last-Modified": "y", "Date": "y"}, "http://h/f", 10)) == seen


def test_tags_of_different_hosts_are_not_compared():
    one = version({"ETag": '"a"'}, "http://one/f", 10)
    assert one.updated("u", version({"ETag": '"b"'}, "http://two/f", 10)).etag == '"a"'
    with pytest.raises(FileChangedError):
        one.updated("u", version({"ETag": '"a"'}, "http://two/f", 11))
    assert one.updated("u", version({"ETag": 'W/"a"'}, "http://one/f", 10)).size == 10


FORMS = {
    "compressed beforehand": NEW["tag"]["headers"] | NEW["time"]["headers"],
    "compressed on the way": {"ETag": '"old-gzip"'},
    "without a tag": {"ETag": ""},
}
"""What the gzip form of a file has for headers of its own."""


async def streamed(url, size, before_reading=lambda: None):
    fs = http.HTTPFileSystem(asynchronous=True, skip_instance_cache=True)
    session = await fs.set_session()
    try:
        f = await fs.open_async(url)
        before_reading()
        got = []
        while data := await f.read(size):
            got.append(data)
        return b"".join(got)
    finally:
        await f.close()
        await session.close()


@pytest.mark.parametrize("size", [-1, 1000])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_another_encoding_is_no_other_version(http_server, url, form, size):
    http_server.fault("/f", **OLD, gzip_form=form)
    assert asyncio.run(streamed(url, size)) == SMALL


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_compressed_file_is_read_in_every_way(http_server, fs, url, form, tmp_path):
    http_server.fault("/f", **OLD, gzip_form=form)
    kept = fsspec.filesystem("blockcache", fs=fs, cache_storage=str(tmp_path), skip_instance_cache=True)
    assert fs.info(url)["size"] == len(SMALL)
    fs.get_file(url, str(tmp_path / "f"))
    with fs.open(url, block_size=0) as on, fs.open(url, block_size=100) as f, kept.open(url) as k:
        assert f.read(10) + fs.cat_file(url, 10) == SMALL
        assert f.read() == SMALL[10:]
        assert SMALL == fs.cat_file(url) == on.read() == k.read() == (tmp_path / "f").read_bytes()
    assert fs.cat_ranges([url, url], [0, 5], [None, 9]) == [SMALL, SMALL[5:9]]


@pytest.mark.parametrize(
    "how", [{"gzip_form": NEW["tag"]["headers"]}, {"chunked": True, "methods": ("GET",)}]
)
@pytest.mark.parametrize("size", [-1, 1000])
def test_a_stream_of_another_length_is_of_another_version(http_server, url, how, size):
    http_server.fault("/f", **how)
    with pytest.raises(FileChangedError, match=f"size {len(SMALL)} to size {len(SMALL) + 4}"):
        asyncio.run(streamed(url, size, lambda: http_server.files.update({"/f": SMALL + b"more"})))


def test_versions_of_two_encodings():
    plain = version({"ETag": '"a"', "Last-Modified": "x"}, "http://h/f", 10)
    packed = version({"ETag": '"b"', "Last-Modified": "y", "Content-Encoding": "GZip"}, "http://h/f")
    assert plain.updated("u", packed) == plain
    assert packed.updated("u", plain) == packed._replace(size=10)
    assert Version(size=10).updated("u", packed) == packed._replace(size=10)
    for old, new in ((plain, packed._replace(size=11)), (packed, packed._replace(etag='"c"'))):
        with pytest.raises(FileChangedError):
            old.updated("u", new)


def test_secrets_are_not_in_the_error():
    with pytest.raises(FileChangedError) as caught:
        Version('"a"').updated("http://me:pw@h/f?sig=hidden", Version('"b"'))
    assert "hidden" not in repr(caught.value) + str(caught.value)
    assert "pw" not in str(caught.value)
    with pytest.raises(IncompleteRead) as short:
        place(206, {"Content-Range": "bytes 1-2/9"}, "http://h/f?sig=hidden", 0, 3)
    assert "hidden" not in str(short.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.parametrize("module", ["http", "http_sync"])
def test_a_child_does_not_mix_versions_either(http_server, url, module):
    # only the one answer of opening and the first read come before the change
    http_server.fault("/big", headers={"ETag": '"old"'}, then={"ETag": '"new"'}, times=2)
    run(
        f"""
        import os
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import FileChangedError
        from fsspec.implementations.{module} import HTTPFileSystem

        fs = HTTPFileSystem()
        url = os.environ["PLACE"]
        f = fs.open(url + "big", block_size=2**16)
        f.read(10)

        def child():
            f.seek(2**19)
            try:
                f.read(10)
            except FileChangedError as error:
                assert '"old"' in str(error) and '"new"' in str(error), error
            else:
                raise AssertionError("two versions were mixed")

        report = by_fork(child)
        assert not report.problem(), report.problem()
        """,
        FSSPEC_FORK_RESET="1",
        PLACE=url[:-1],
    )


@pytest.mark.parametrize("given, kind", [(3, "an int"), (None, "None"), (b"/x", "a bytes")])
def test_what_is_no_url_is_refused_as_elsewhere(fs, given, kind):
    message = f"a URL or a path is needed, a str or an os.PathLike, not {kind}"
    for ask in (fs.open, fs.info):
        for known in (FileNotFoundError, TypeError):
            with pytest.raises(known, match=message):
                ask(given)
    for ask in (fs.cat_file, fs.ls, fs.exists, fs.isfile, fs.find, fs.glob):
        with pytest.raises(TypeError, match=message):
            ask(given)


@pytest.mark.parametrize(
    "given, message", [("", "the path is empty"), ("f.txt", "a URL begins with http://")]
)
def test_what_lacks_of_a_url_is_said(given, message):
    fs = http.HTTPFileSystem(skip_instance_cache=True)
    for ask in (fs.open, fs.info):
        with pytest.raises(FileNotFoundError, match=message):
            ask(given)
    with pytest.raises(ValueError, match=message):
        fs.cat_file(given)
