"""References to parts of files in memory, on this machine and behind a web server."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pickle

import pytest

import fsspec
from fsspec.callbacks import Callback
from fsspec.implementations._reference.parsing import object_text
from fsspec.implementations.reference import (
    ReferenceFile,
    ReferenceFileSystem,
    ReferenceNotReachable,
    ravel_multi_index,
)
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem

DATA = bytes(range(256)) * 4


@pytest.fixture
def target(tmp_path):
    """The URL of a file of DATA."""
    path = tmp_path / "target.bin"
    path.write_bytes(DATA)
    return path.as_uri()


@pytest.fixture
def fs(target):
    return ReferenceFileSystem(
        {
            "bytes": b"\x00raw",
            "text": "plain \u00e9",
            "base64": "base64:aGVsbG8=",
            "object": {"zarr_format": 2},
            "d/part": [target, 10, 20],
            "d/e/next": [target, 30, 5],
            "d/e/far": [target, 900, 100],
            "da/x": [target, 0, 1],
            "whole": [target],
        }
    )


# -- reading -------------------------------------------------------------------


def test_each_form_of_a_reference_is_read(fs):
    assert fs.cat("bytes") == b"\x00raw"
    assert fs.cat("text") == "plain \u00e9".encode()
    assert fs.cat("base64") == b"hello"
    assert json.loads(fs.cat("object")) == {"zarr_format": 2}
    assert fs.cat("d/part") == DATA[10:30]
    assert fs.cat("whole") == DATA


def test_du_of_a_file_whose_listing_has_no_size(fs):
    assert fs.ls("whole")[0]["size"] is None
    assert fs.du("whole") == len(DATA)
    assert fs.du("whole", total=False) == {"whole": len(DATA)}


@pytest.mark.parametrize("key", ["d/part", "base64", "whole"])
@pytest.mark.parametrize("start", [None, 0, 2, -3, -100, 50])
@pytest.mark.parametrize("end", [None, 0, 4, -1, 19, 500, -200])
def test_slices_of_references_are_those_of_their_contents(fs, key, start, end):
    whole = {"d/part": DATA[10:30], "base64": b"hello", "whole": DATA}[key]
    assert fs.cat_file(key, start, end) == whole[start:end]
    assert fs.cat_ranges([key, key], [start, None], [end, None]) == [whole[start:end], whole]
    assert asyncio.run(_awaited(fs, key, start, end)) == whole[start:end]


async def _awaited(fs, key, start, end):
    return await fs._cat_file(key, start, end)


def test_many_references_are_read_at_once(fs):
    assert fs.cat(["d/part", "d/e/far", "bytes", "d/e/next", "whole"]) == {
        "d/part": DATA[10:30],
        "d/e/far": DATA[900:1000],
        "bytes": b"\x00raw",
        "d/e/next": DATA[30:35],
        "whole": DATA,
    }
    assert fs.cat("d/e/*") == {"d/e/far": DATA[900:1000], "d/e/next": DATA[30:35]}
    assert sorted(fs.cat("d", recursive=True)) == ["d/e/far", "d/e/next", "d/part"]
    assert fs.cat([]) == {}
    assert fs.cat(["nope", "bytes"], on_error="omit") == {"bytes": b"\x00raw"}
    returned = fs.cat(["nope", "bytes"], on_error="return")
    assert type(returned["nope"]) is FileNotFoundError
    with pytest.raises(FileNotFoundError, match="nope"):
        fs.cat(["bytes", "nope"])
    with pytest.raises(ValueError, match="2 paths"):
        fs.cat_ranges(["bytes", "text"], [0], [1])


def test_parts_are_cut_out_of_joined_ranges(http_server):
    http_server.files["/t"] = DATA
    url = http_server.url + "/t"
    refs = {f"{i:03}": [url, i, 7] for i in range(0, 500, 5)}
    refs |= {"inner": [url, 102, 2], "again": [url, 102, 2], "all": [url], "empty": [url, 3, 0]}
    expected = {k: DATA[v[1] : v[1] + v[2]] if len(v) == 3 else DATA for k, v in refs.items()}
    for gap, limit in [(0, None), (0, 20), (10, 100), (-1, 8), (10**6, 10**9)]:
        fs = ReferenceFileSystem(refs, max_gap=gap, max_block=limit)
        assert fs.cat(list(refs)) == expected
        assert fs.cat_ranges(list(refs), 1, -1) == [data[1:-1] for data in expected.values()]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_requests_are_joined(http_server, asynchronous):
    http_server.files["/t"] = DATA
    http_server.files["/u"] = DATA
    url = http_server.url
    refs = {str(i): [url + "/t", i * 10, 10] for i in range(30)}
    refs["far"] = [url + "/t", 1000, 5]
    refs["other"] = [url + "/u", 3, 5]

    async def awaited(fs):
        found = await fs._cat(list(refs))
        await fs.fss["http"]._session.close()
        return found

    fs = ReferenceFileSystem(refs, max_gap=100, asynchronous=asynchronous)
    found = asyncio.run(awaited(fs)) if asynchronous else fs.cat(list(refs))
    assert b"".join(found[str(i)] for i in range(30)) == DATA[:300]
    assert (found["far"], found["other"]) == (DATA[1000:1005], DATA[3:8])
    ranges = sorted((r.path, r.range) for r in http_server.requests if r.method == "GET")
    assert ranges == [("/t", "bytes=0-299"), ("/t", "bytes=1000-1004"), ("/u", "bytes=3-7")]


def test_no_request_for_what_is_known(http_server):
    url = http_server.url + "/t"
    fs = ReferenceFileSystem({"a": b"x", "b/c": [url, 5, 0], "b/d": [url, 1, 2]})
    assert fs.cat(["a", "b/c"]) == {"a": b"x", "b/c": b""}
    assert (fs.cat_file("b/d", 2), fs.size("b/d"), fs.find("b")) == (b"", 2, ["b/c", "b/d"])
    assert (fs.ls("b", detail=False), fs.exists("b/x"), fs.du("")) == (["b/c", "b/d"], False, 3)
    assert http_server.requests == []


def test_target_for_references_without_one(target):
    refs = {"a": [None, 0, 3], "b": [None]}
    for options in ({}, {"fs": fsspec.filesystem("file")}):
        fs = ReferenceFileSystem(refs, target=target, **options)
        assert fs.cat("a") == fs.cat_file("a") == DATA[:3]
        assert fs.cat(["a", "b"]) == {"a": DATA[:3], "b": DATA}
    with pytest.raises(ValueError, match="'a'.*target="):
        ReferenceFileSystem(refs).cat("a")


@pytest.mark.parametrize("key", ["bytes", "d/part", "whole"])
def test_a_reference_is_opened_as_a_file(fs, key):
    with fs.open(key) as f:
        whole = fs.cat(key)
        assert f.read(3) == whole[:3]
        assert f.seek(-2, 2) == len(whole) - 2
        assert f.read() == whole[-2:]
    with fs.open("text", "r", encoding="utf8") as f:
        assert f.read() == "plain \u00e9"


def test_file_and_its_target(fs):
    with fs.open("d/part") as f:
        assert isinstance(f, ReferenceFile)
        f.read(4)
        assert pickle.loads(pickle.dumps(f)).read(4) == DATA[14:18]
        assert f.f.read(4) == DATA[:4]
        below = f.f
    assert f.closed and below.closed
    with pytest.raises(FileNotFoundError, match="new"):
        fs.open("new", "wb")


def test_each_of_several_is_downloaded_to_its_own_target(fs, tmp_path):
    """In the order that they are given in."""
    fs.get(["whole", "d/part"], [str(tmp_path / "b"), str(tmp_path / "a")])
    assert (tmp_path / "b").read_bytes() == DATA and (tmp_path / "a").read_bytes() == DATA[10:30]
    fs.get("d/part", f"{tmp_path}/folder/")
    assert (tmp_path / "folder/part").read_bytes() == DATA[10:30]


def test_of_several_folders_each_stays_one(tmp_path):
    fs = ReferenceFileSystem({"a/x": "1", "b/x": "2", "b/c/y": "3", "z": "4"})
    fs.get(["a", "b/", "z"], str(tmp_path / "got"), recursive=True)
    got = {str(p.relative_to(tmp_path / "got")): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert got == {"a/x": "1", "b/x": "2", "b/c/y": "3", "z": "4"}
    bad = ReferenceFileSystem({"../a/x": "1", "b": "2"})
    with pytest.raises(ValueError, match="leads out of"):
        bad.get(["../a", "b"], str(tmp_path / "deep/er"), recursive=True)


def test_what_is_in_one_folder_goes_into_the_named_one(tmp_path):
    fs = ReferenceFileSystem({"a/b/x": "1", "a/b/c/b": "2"})
    (tmp_path / "got").mkdir()
    fs.get("a/b", str(tmp_path / "got"), recursive=True)
    fs.get("a/b/", str(tmp_path / "new"), recursive=True)
    for top in ("got", "new"):
        assert {str(p.relative_to(tmp_path / top)) for p in (tmp_path / top).rglob("*")} == {"x", "c", "c/b"}


def test_parts_that_are_downloaded_together_are_one_request(http_server, tmp_path):
    http_server.files["/t"] = DATA
    url = http_server.url + "/t"
    references = {f"d/{i}": [url, 10 * i, 10] for i in range(50)}
    references["d/00/below"] = [url, 3, 3]  # a folder is the second of what is downloaded
    fs = ReferenceFileSystem({**references, "lost/a": [url + "s", 0, 5], "lost/b": [url, 0, 5]})
    fs.get("d", str(tmp_path / "d"), recursive=True)
    for i in range(50):
        assert (tmp_path / "d" / str(i)).read_bytes() == DATA[10 * i : 10 * i + 10]
    assert len(http_server.requests) == 1
    with pytest.raises(ReferenceNotReachable, match="lost/a"):
        fs.get("lost", str(tmp_path / "lost"), recursive=True)


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_download_that_is_cancelled_takes_no_other_with_it(cancelled, http_server, tmp_path):
    http_server.files["/t"] = DATA
    references = {str(i): [http_server.url + "/t", i, 5] for i in range(3)}

    async def run(turns):
        fs = ReferenceFileSystem(references, asynchronous=True, skip_instance_cache=True)
        folder = tmp_path / str(turns)
        tasks = [asyncio.create_task(fs._get_file(key, str(folder / key))) for key in references]
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks[cancelled].cancel()
        await asyncio.wait(tasks)
        await fs.fss["http"]._session.close()
        assert [task.cancelled() for task in tasks] == [i == cancelled for i in range(3)]
        for i in {0, 1, 2} - {cancelled}:
            assert (folder / str(i)).read_bytes() == DATA[i : i + 5]

    for turns in range(6):
        asyncio.run(run(turns))


@pytest.mark.parametrize("name", ["get", "get_file"])
def test_a_whole_file_of_an_awaitable_backend_without_a_download_is_downloaded(name, tmp_path):
    class OnlyReads(fsspec.asyn.AsyncFileSystem):
        async def _info(self, path, **kwargs):
            return {"name": path, "size": 10, "type": "file"}

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return b"0123456789"[start:end]

    source = OnlyReads(skip_instance_cache=True)
    fs = fsspec.filesystem("reference", fo={"w": ["own://b"]}, fs={"own": source}, skip_instance_cache=True)
    getattr(fs, name)("w", str(tmp_path / "w"))
    assert (tmp_path / "w").read_bytes() == b"0123456789"


def test_references_are_downloaded(fs, tmp_path):
    fs.get("d", str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/e/far").read_bytes() == DATA[900:1000]
    fs.get_file("whole", str(tmp_path / "whole"))
    assert (tmp_path / "whole").read_bytes() == DATA
    seen = Callback()
    with open(tmp_path / "open", "wb") as f:
        fs.get_file("d/part", f, callback=seen)
    assert (tmp_path / "open").read_bytes() == DATA[10:30]
    assert (seen.size, seen.value) == (20, 20)
    with pytest.raises(FileNotFoundError):
        fs.get_file("nope", str(tmp_path / "nope"))
    assert not (tmp_path / "nope").exists()


# -- looking -------------------------------------------------------------------


def test_keys_make_up_folders(fs):
    assert sorted(fs.ls("", detail=False)) == ["base64", "bytes", "d", "da", "object", "text", "whole"]
    assert {e["name"]: (e["type"], e["size"]) for e in fs.ls("d")} == {
        "d/e": ("directory", 0),
        "d/part": ("file", 20),
    }
    assert fs.ls("d/part", detail=False) == ["d/part"]
    assert fs.find("d") == ["d/e/far", "d/e/next", "d/part"]
    assert fs.find("d", withdirs=True) == ["d", "d/e", "d/e/far", "d/e/next", "d/part"]
    assert fs.find("", maxdepth=1) == ["base64", "bytes", "object", "text", "whole"]
    assert fs.find("d", maxdepth=1, withdirs=True) == ["d", "d/e", "d/part"]
    assert fs.find("d/part") == ["d/part"]
    assert fs.find("nope") == []
    with pytest.raises(ValueError, match="maxdepth"):
        fs.find("", maxdepth=0)
    assert fs.glob("d*/?*") == ["d/e", "d/part", "da/x"]
    for missing in ("nope", "d/e/nope"):
        for look in (fs.ls, fs.info):
            with pytest.raises(FileNotFoundError, match=missing):
                look(missing)


def test_sizes_are_those_of_the_contents(fs):
    for key in fs.find(""):
        assert fs.info(key) == {"name": key, "type": "file", "size": len(fs.cat(key))}
    assert {e["name"]: e["size"] for e in fs.ls("")}["whole"] is None  # nobody was asked


def test_folders_follow_the_changes_of_references(fs, tmp_path):
    assert fs.find("") == sorted(fs.references)
    fs.pipe_file("n/a", b"1")
    fs.pipe({"n/b": b"22", "n/m/c": "333"})
    (tmp_path / "up").write_bytes(b"4444")
    fs.put_file(str(tmp_path / "up"), "n/d")
    assert {e["name"]: e["size"] for e in fs.ls("n")} == {"n/a": 1, "n/b": 2, "n/d": 4, "n/m": 0}
    fs.pipe_file("n/a", b"longer")
    assert {e["name"]: e["size"] for e in fs.ls("n")}["n/a"] == 6
    fs.rm("n/m/c")
    assert not fs.exists("n/m")
    fs.rm("n", recursive=True)
    assert not fs.isdir("n") and "n" not in fs.ls("", detail=False)
    fs.references["outside/x"] = b"1"  # as programs do that make references
    assert fs.ls("outside", detail=False) == ["outside/x"]
    fs._dircache_from_items()
    assert fs.isdir("outside")
    fs.rm("nope")
    with pytest.raises(FileExistsError, match="bytes"):
        fs.pipe_file("bytes", b"1", mode="create")
    with pytest.raises(FileExistsError, match="outside"):
        fs.pipe_file("outside", b"1", mode="create")


def test_deep_and_odd_keys():
    deep = "/".join("a" * 3000)
    keys = {deep, "/", "//x", "x//y", "end/", "/top/x"}
    fs = ReferenceFileSystem({key: b"1" for key in keys})
    assert set(fs.find("")) == keys
    assert fs.ls("a/a", detail=False) == ["a/a/a"]
    assert fs.cat(deep) == b"1"
    with pytest.raises(ValueError, match="not 3"):
        ReferenceFileSystem({"a": b"1", 3: b"2"})


@pytest.mark.parametrize("key", ["../out", "d/../../out", "d/../../../out"])
def test_keys_do_not_lead_out_of_a_download(tmp_path, key):
    fs = ReferenceFileSystem({key: b"1", "d/in": b"2"})
    with pytest.raises((ValueError, OSError)):
        fs.get("", str(tmp_path / "a" / "b"), recursive=True)
    assert not [p for p in tmp_path.rglob("out")]


def test_references_are_a_copy(target):
    refs = {"a": b"1", "o": {"b": 1}}
    fs = ReferenceFileSystem(refs)
    fs.pipe_file("b", b"2")
    assert refs == {"a": b"1", "o": {"b": 1}}


# -- documents -----------------------------------------------------------------


def test_templates_and_generated_references():
    pytest.importorskip("jinja2")
    document = {
        "version": 1,
        "templates": {"u": "memory://bucket", "f": "{{u}}/{{year}}-{{ v }}"},
        "gen": [
            {
                "key": "g/{{i}}",
                "url": "{{u}}/data",
                "offset": "{{(i + 1) * 10}}",
                "length": "10",
                "dimensions": {"i": {"stop": 3}},
            },
            {
                "key": "h{{i}}.{{j}}",
                "url": "{{f(year=i, v=j)}}",
                "dimensions": {"i": [1, 5], "j": {"start": 1, "stop": 5, "step": 2}},
            },
        ],
        "refs": {"a": ["{{ u }}/x{{u}}", 1, 2], "b": ['{{f(year="y", v=2)}}'], "t": "{{u}} stays"},
    }
    fs = ReferenceFileSystem(document, simple_templates=False)
    assert fs.references == {
        "a": ["memory://bucket/xmemory://bucket", 1, 2],
        "b": ["memory://bucket/y-2"],
        "t": "{{u}} stays",
        "g/0": ["memory://bucket/data", 10, 10],
        "g/1": ["memory://bucket/data", 20, 10],
        "g/2": ["memory://bucket/data", 30, 10],
        "h1.1": ["memory://bucket/1-1"],
        "h1.3": ["memory://bucket/1-3"],
        "h5.1": ["memory://bucket/5-1"],
        "h5.3": ["memory://bucket/5-3"],
    }
    overrides = {"u": "file:///other"}
    fs = ReferenceFileSystem(document, template_overrides=overrides, simple_templates=False)
    assert fs.references["g/0"] == ["file:///other/data", 10, 10]


def test_nothing_is_evaluated_unasked():
    """Generators are passed over, and only names replaced."""
    gen = {"key": "c{{ 1 // 0 }}", "url": "{{q}}", "dimensions": {"i": {"stop": 10**12}}}
    document = {
        "version": 1,
        "templates": {"u": "memory://b", "f": "{{u}}/{{y}}"},
        "refs": {"a": ["{{u}}/x"]},
    }
    fs = ReferenceFileSystem({**document, "gen": [gen]})
    assert fs.references == {"a": ["memory://b/x"]}
    for kind in (ValueError, KeyError):
        with pytest.raises(kind, match="'k'.*simple_templates=False"):
            ReferenceFileSystem({**document, "refs": {"k": ["{{f(y=1)}}"]}})


def test_formats_in_expressions():
    pytest.importorskip("jinja2")
    gen = {
        "key": "{{'%03d' % i}}",
        "url": "{{'{:02d}'.format(i)}}-{{'%02d'|format(i)}}",
        "dimensions": {"i": [7]},
    }
    fs = ReferenceFileSystem({"version": 1, "refs": {}, "gen": [gen]}, simple_templates=False)
    assert fs.references == {"007": ["07-07"]}


@pytest.mark.parametrize(
    "text, words",
    [
        ("{{ 'x' * 10000000000 }}", "too much"),
        ("{{ ('x' * 1000) * 1000000 }}", "too much"),
        ("{{ 9 ** 999999999 }}", "too large"),
        ("{{ (9 ** 99) ** (9 ** 99) }}", "too large"),
        ("{{ '%9999999999d' % 1 }}", "too wide"),
        ("{{ '%*d' % (9999999, 1) }}", "Tuple"),
        ("{{ '{:9999999999}'.format(1) }}", "too wide"),
        ("{{ '{:{}}'.format(1, 99999999) }}", "too wide"),
        ("{{ 'x'|center(9999999999) }}", "center"),
        ("{{ 'x'.ljust(9999999999) }}", "ljust"),
        ("{% for a in 'xxxx' %}{% for b in 'xxxx' %}x{% endfor %}{% endfor %}{{ 1 + 1 }}", "For"),
        ("{% set a = 1 %}{{ a + 1 }}", "Assign"),
        ("{{ range(99) }}", "range"),
        ("{{ f(a='x', b=f, c=f) }}", "each other"),
        ("{{ long }}{{ long }}", "more than 1048576 characters"),
        ("{{ long }}{{ 1 + 1 }}{{ long }}", "more than 1048576 characters"),
    ],
)
def test_templates_are_bounded(text, words):
    """Whatever they say, and before it is made."""
    pytest.importorskip("jinja2")
    templates = {"f": "{{ b(a=a, b=b, c=c) }}{{ c(a=a, b=b, c=c) }}", "long": "y" * 2**19 + "y"}
    document = {"version": 1, "templates": templates, "refs": {"some/key": [text]}}
    with pytest.raises(ValueError, match=f"(?s)'some/key'.*{words}|{words}.*") as caught:
        ReferenceFileSystem(document, simple_templates=False)
    assert len(str(caught.value)) < 5000


def test_what_cannot_be_saved_or_reached_is_named(tmp_path):
    for value in ([{"a": 1}], ["x", 1.5, 2], ["x", [], 1]):
        with pytest.raises(ValueError, match="'some/key'"):
            ReferenceFileSystem({"some/key": value}).save_json(str(tmp_path / "refs.json"))
    for protocol in ("github", "zip"):  # need more than their name
        with pytest.raises(ValueError, match=f"{protocol}://.*fs="):
            ReferenceFileSystem({"k": [f"{protocol}://x"]})


def test_division_by_zero_is_both():
    pytest.importorskip("jinja2")
    gen = {"key": "{{ 1 // 0 }}", "url": "x", "dimensions": {"i": [1]}}
    for kind in (ValueError, ZeroDivisionError):
        with pytest.raises(kind, match="'gen' number 0"):
            ReferenceFileSystem({"version": 1, "gen": [gen]}, simple_templates=False)


@pytest.mark.parametrize(
    "dimensions",
    [{"i": {"stop": 10**12}}, {"i": {"stop": 10**40}}, {"i": {"stop": 10**4}, "j": {"stop": 10**4}}],
)
def test_generated_references_are_bounded(dimensions):
    gen = {"key": "{{i}}", "url": "x", "dimensions": dimensions}
    with pytest.raises(ValueError, match="'gen' number 0.* 10000000 are the most"):
        ReferenceFileSystem({"version": 1, "gen": [gen]}, simple_templates=False)


def test_documents_that_nest_too_deeply_are_refused(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(ValueError, match="deep.json.*deep"):
        ReferenceFileSystem(str(path))
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="'some/key'"):
        object_text("some/key", deep)
    while deep:  # as deep, it cannot be let go of at once
        deep = deep.pop("a")


def test_expressions_are_kept_in_a_sandbox():
    pytest.importorskip("jinja2")
    for text in ("{{u.__class__.__mro__}}", "{{u.format.__globals__}}", "{{cycler.__init__.__globals__.os}}"):
        with pytest.raises(ValueError, match="'a'"):
            document = {"version": 1, "templates": {"u": "x"}, "refs": {"a": [text]}}
            ReferenceFileSystem(document, simple_templates=False)


@pytest.mark.parametrize(
    "document, words",
    [
        ({"version": 7, "refs": {}}, "version 7"),
        ({"version": 1, "refs": [1]}, "'refs'.*list"),
        ({"version": 1, "templates": {"u": "x"}, "refs": {"k": ["{{nope}}/a"]}}, "'k'.*'nope'.*not known"),
        ({"version": 1, "templates": {"u": 3}, "refs": {}}, "'u'.*int"),
        ({"version": 1, "gen": [{"key": "a"}]}, "'gen' number 0.*'url'"),
        ({"version": 1, "gen": [{"key": "a", "url": "b", "dimensions": {"i": 3}}]}, "dimension 'i'"),
        (
            {"version": 1, "gen": [{"key": "a", "url": "b", "offset": 1, "dimensions": {"i": [1]}}]},
            "'offset' and 'length'",
        ),
        (
            {
                "version": 1,
                "gen": [{"key": "a", "url": "b", "offset": "x", "length": 1, "dimensions": {"i": [1]}}],
            },
            "offset of 'a' is 'x'",
        ),
        ({"version": 1, "gen": 5}, "'gen'.*int"),
        ({"version": 1, "gen": {"key": "a"}}, "'gen'.*dict"),
        ({"version": 1, "templates": {"u": "x"}, "refs": {3: "x"}}, "key of a reference.*3"),
        ({"version": 1, "templates": {"u": "x"}, "refs": {"k": {"a": {1, 2}}}}, "'k'.*JSON"),
        ({"k": {"a": {1, 2}}}, "'k'.*JSON"),
        (
            {"version": 1, "gen": [{"key": "a", "url": "b", "dimensions": {"i": {"stop": "3"}}}]},
            "dimension 'i'",
        ),
        (
            {"version": 1, "gen": [{"key": "a", "url": "b", "dimensions": {"i": {"stop": 3, "step": 0}}}]},
            "dimension 'i'",
        ),
        ({"version": 1, "gen": [{"key": 5, "url": "b", "dimensions": {"i": [1]}}]}, "'gen' number 0.*5"),
    ],
)
def test_documents_of_no_sense(document, words):
    with pytest.raises(ValueError, match=words):
        ReferenceFileSystem(document, simple_templates=False)


def test_references_are_loaded_from_files(tmp_path, target, http_server):
    refs = {"a": [target, 5, 5]}
    plain, packed = tmp_path / "refs.json", tmp_path / "refs.json.gz"
    plain.write_text(json.dumps({"version": 1, "refs": refs}))
    with fsspec.open(str(packed), "wt", compression="gzip") as f:
        json.dump(refs, f)
    http_server.files["/refs"] = plain.read_bytes()
    for options in (
        {"fo": str(plain)},
        {"fo": plain},
        {"fo": plain.as_uri()},
        {"fo": str(plain), "target_protocol": "file"},
        {"fo": str(packed), "target_options": {"compression": "gzip"}},
        {"fo": http_server.url + "/refs"},
        {"fo": http_server.url + "/refs", "target_protocol": "http"},
    ):
        assert ReferenceFileSystem(**options).cat("a") == DATA[5:10]
    assert fsspec.open(f"reference://a::{plain}").open().read() == DATA[5:10]


@pytest.mark.parametrize(
    "content, error, words",
    [
        (b'{"a": [1,', ValueError, "bad.json.*not JSON"),
        (b"\xff\xfe\x00", ValueError, "bad.json.*not JSON"),
        (b"[1, 2]", ValueError, "bad.json.*list"),
        (None, FileNotFoundError, "bad.json"),
    ],
)
def test_invalid_reference_files_are_refused(tmp_path, content, error, words):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=words):
        ReferenceFileSystem(str(path))


def test_what_references_cannot_be_made_of(tmp_path):
    with pytest.raises(TypeError, match="int"):
        ReferenceFileSystem(5)
    with pytest.raises(FileNotFoundError, match=".zmetadata"):
        ReferenceFileSystem(str(tmp_path))


# -- what is wrong -------------------------------------------------------------

URL = "memory://somewhere"


@pytest.mark.parametrize(
    "value",
    [
        3,
        None,
        1.5,
        [],
        [URL, 1],
        [URL, 1, 2, 3],
        [URL, "x", 2],
        [URL, -1, 2],
        [URL, 1, -2],
        [URL, None, None],
        [7, 1, 2],
        "base64:!!",
        "base64:a",
    ],
)
def test_references_of_no_sense(value):
    fs = ReferenceFileSystem({"some/key": value, "good": b"1"})
    assert fs.cat("good") == b"1"
    assert sorted(fs.find("")) == ["good", "some/key"]
    for read in (fs.cat, fs.cat_file, fs.open):
        with pytest.raises(ValueError, match="'some/key'"):
            read("some/key")
    found = fs.cat(["some/key", "good"], on_error="return")
    assert type(found["some/key"]) is ValueError and found["good"] == b"1"
    with pytest.raises(ValueError, match="'new'"):
        fs.pipe_file("new", value)
    assert not fs.exists("new")


@pytest.mark.parametrize("where", ["file", "http", "memory"])
@pytest.mark.parametrize("offset", [1000, 1020, 1024, 10**9])
def test_past_the_end(http_server, m, target, where, offset):
    """What is there is given, where the end of the target is known."""
    if where == "http":
        http_server.files["/t"] = DATA
        target = http_server.url + "/t"
    elif where == "memory":
        m.pipe_file("/t", DATA)
        target = "memory://t"
    fs = ReferenceFileSystem({"past": [target, offset, 30], "good": [target, 990, 20]})
    rest = DATA[offset : offset + 30]
    assert len(rest) < 30
    assert fs.cat("past") == fs.cat_file("past") == rest
    assert fs.cat_file("past", 1) == rest[1:] and fs.cat_file("past", 0, 2) == rest[:2]
    assert fs.cat(["past", "good"]) == {"past": rest, "good": DATA[990:1010]}
    assert fs.cat_ranges(["past", "good", "past"], [2, 0, 28], [9, 3, 30]) == [rest[2:9], DATA[990:993], b""]
    assert asyncio_run(fs, "_cat", ["past", "good"]) == {"past": rest, "good": DATA[990:1010]}
    assert all(request.method == "GET" for request in http_server.requests)  # nobody asks for the size
    for cache_type in ("readahead", "bytes", "blockcache", "all", "none", "mmap", "first", "background"):
        with fs.open("past", block_size=10, cache_type=cache_type) as f:
            assert f.read(3) == rest[:3] and f.read() == rest[3:] and f.read() == b""
            assert f.seek(0) == 0 and f.read(1) == rest[:1] and f.seek(25) == 25 and f.read() == b""
        with fs.open("past", "rt", encoding="latin-1", newline="") as f:
            assert f.read() == rest.decode("latin-1")


class Cutting(fsspec.get_filesystem_class("memory")):
    """A backend that passes short answers on as if they were all there is."""

    protocol = "cutting"
    tells_sizes = True

    def cat_file(self, path, start=None, end=None, **kwargs):
        return super().cat_file(path, start, end, **kwargs)[:12]

    def info(self, path, **kwargs):
        return super().info(path, **kwargs) if self.tells_sizes else {"name": path, "type": "file"}


class CuttingUnknown(Cutting):
    """And that does not know how large files are."""

    protocol = "cuttingunknown"
    tells_sizes = False


@pytest.mark.parametrize("cls", [Cutting, CuttingUnknown])
def test_what_is_cut_off_is_an_error(m, cls):
    """Nobody gets fewer bytes than the target has without being told."""
    m.pipe_file("/t", DATA)
    target = "/t"
    fs = ReferenceFileSystem({"bad": [target, 40, 30], "good": [target, 990, 10]}, fs=cls(), max_gap=0)

    def check(error):
        assert type(error) is ReferenceNotReachable
        assert (error.reference, error.target) == ("bad", target)
        assert "'bad'" in str(error) and target in str(error) and "12 of 30 bytes" in str(error)

    for read in (fs.cat, fs.cat_file, lambda p: fs.cat([p]), lambda p: fs.cat([p, "good"])):
        with pytest.raises(ReferenceNotReachable) as caught:
            read("bad")
        check(caught.value)
    with pytest.raises(ReferenceNotReachable), fs.open("bad") as f:
        f.read()
    found = fs.cat(["bad", "good"], on_error="return")
    check(found["bad"])
    assert found["good"] == DATA[990:1000]
    assert fs.cat(["bad", "good"], on_error="omit") == {"good": DATA[990:1000]}


def asyncio_run(fs, name, *args, **kwargs):
    """An awaitable operation, on the filesystem's loop."""
    return fsspec.asyn.sync(fs.loop, getattr(fs, name), *args, **kwargs)


def test_what_is_listed_keeps_its_order_after_it_was_drawn():
    fs = ReferenceFileSystem({"d/z": "1", "d/a": "2", "c": "3"})
    listed = fs.ls("d", detail=False)
    assert fs.tree("d").index("a") < fs.tree("d").index("z")
    assert fs.ls("d", detail=False) == listed == ["d/z", "d/a"]


def test_a_missing_key_is_omitted_where_it_is_awaited_as_well():
    fs = ReferenceFileSystem({"a": "x"})
    assert fs.cat("none", on_error="omit") == {} == asyncio_run(fs, "_cat", "none", on_error="omit")


@pytest.mark.parametrize("key", ["text", "encoded", "part", "whole"])
@pytest.mark.parametrize(
    "start, end", [(2, None), (None, 4), (1, 3), (-3, None), (-4, -1), (None, 0), (99, None)]
)
def test_slices_in_cat(m, key, start, end):
    """As in `cat_file`, whatever the reference is and however many are asked for."""
    m.pipe_file("/t", DATA[:8])
    refs = {"text": "ABCDEFGH", "encoded": b"base64:QUJDREVGR0g=", "part": ["memory://t", 0, 8]}
    fs = ReferenceFileSystem({**refs, "whole": ["memory://t"]})
    data = b"ABCDEFGH" if key in ("text", "encoded") else DATA[:8]
    given = {k: v for k, v in {"start": start, "end": end}.items() if v is not None}
    assert fs.cat(key, **given) == data[start:end] == fs.cat_file(key, start, end)
    assert fs.cat([key], **given) == fs.cat([key], on_error="omit", **given) == {key: data[start:end]}
    assert fs.cat(key, on_error="return", **given) == fs.cat(key, on_error="omit", **given) == data[start:end]
    assert asyncio_run(fs, "_cat", [key], recursive=True, **given) == {key: data[start:end]}


def test_cat_of_a_name_gives_bytes_and_of_a_tree_or_pattern_a_dict():
    fs = ReferenceFileSystem({"d/a": "1", "q[1]/a": "2"})
    for cat in (fs.cat, lambda *args, **kwargs: asyncio_run(fs, "_cat", *args, **kwargs)):
        assert cat("d/a") == cat("d/a", recursive=True) == cat("reference://d/a") == b"1"
        assert cat("q[1]/a") == b"2"  # its brackets are those of a name
        assert cat("d", recursive=True) == cat("d/?") == {"d/a": b"1"}


def test_offsets_as_arrays():
    numpy = pytest.importorskip("numpy")
    fs = ReferenceFileSystem({"k": "0123456789"})
    assert fs.cat_ranges(["k", "k"], numpy.array([2, 3]), numpy.array([5, 9])) == [b"234", b"345678"]
    assert fs.cat_ranges(["k", "k"], numpy.array([1, 3]), 5) == [b"1234", b"34"]
    assert asyncio_run(fs, "_cat_ranges", ["k"], (1,), numpy.int64(3)) == [b"12"]


def test_contents_in_bytes_are_decoded_as_text_is(tmp_path):
    fs = ReferenceFileSystem({"b": b"base64:d29ybGQ=", "plain": b"\xff"})
    assert fs.cat("b") == fs.open("b").read() == fs.get_mapper("")["b"] == b"world"
    assert (
        fs.cat_file("b", 1, 3) == b"or" and fs.info("b")["size"] == 5 and fs.open("b", "rt").read() == "world"
    )
    fs.save_json(str(tmp_path / "refs.json"))
    assert ReferenceFileSystem(str(tmp_path / "refs.json")).cat(["b", "plain"]) == {
        "b": b"world",
        "plain": b"\xff",
    }
    fs.pipe_file("b", b"base64:d29ybGQ=")  # contents, not a reference
    assert fs.cat("b") == b"base64:d29ybGQ="
    fs.save_json(str(tmp_path / "refs.json"))
    assert ReferenceFileSystem(str(tmp_path / "refs.json")).cat("b") == b"base64:d29ybGQ="


def test_listings_are_in_the_order_of_the_references():
    fs = ReferenceFileSystem(dict.fromkeys(["pear", "apple/b", "apple/a", "fig", "zoo/x/y", "zoo/k"], "1"))
    assert fs.ls("", detail=False) == [e["name"] for e in fs.ls("")] == ["pear", "apple", "fig", "zoo"]
    assert fs.ls("apple", detail=False) == ["apple/b", "apple/a"]
    fs.pipe_file("new/a", b"1")
    fs.rm("fig")
    assert fs.ls("", detail=False) == ["pear", "apple", "zoo", "new"]
    fs.rm("apple", recursive=True)
    assert fs.ls("", detail=False) == ["pear", "zoo", "new"] and not fs.exists("apple")


def test_removing_tells_as_much_as_elsewhere():
    fs = ReferenceFileSystem(dict.fromkeys(["a/b", "a/c/d/e", "f"], "1"))
    assert fs.rm("a", recursive=True, maxdepth=2) == [None] * 4
    assert fs.find("") == ["a/c/d/e", "f"]
    assert fs.rm("a", recursive=True) == [None] * 4 and fs.find("") == ["f"]
    assert fs.rm("nothing") == [None] and fs.rm_file("nothing") is None


def test_a_key_can_be_a_folder_as_well():
    fs = ReferenceFileSystem({"a/b": "1", "a": "22"})
    assert sorted(e["type"] for e in fs.ls("")) == ["directory", "file"]
    assert fs.find("") == ["a", "a/b"]
    fs.rm_file("a")
    assert fs.find("") == ["a/b"] and fs.isdir("a")
    fs = ReferenceFileSystem({"a": "22", "a/b": "1"})
    fs.rm_file("a/b")
    assert fs.find("") == ["a"] and fs.isfile("a") and not fs.isdir("a")


def test_a_slash_at_the_end_of_a_file_to_get_is_of_no_account(tmp_path):
    fs = ReferenceFileSystem({"k": "1"})
    assert fs.get_file("k", f"{tmp_path}/a/b/") is None and (tmp_path / "a/b").read_bytes() == b"1"
    fs.put([f"{tmp_path}/a/b/"], ["new"])
    assert fs.cat("new") == b"1"
    assert fs.get("k", str(tmp_path / "c")) is None and (tmp_path / "c").read_bytes() == b"1"


def test_sizes_of_whole_targets(http_server, m):
    """`du` asks for them, listings and patterns do not."""
    m.pipe_file("/t", DATA)
    http_server.files["/t"] = DATA[:10]
    fs = ReferenceFileSystem(
        {"d/m": ["memory://t"], "d/h": [http_server.url + "/t"], "d/p": ["memory://t", 0, 3]}
    )
    http_server.clear()
    assert fs.glob("**/h") == ["d/h"] and len(fs.find("")) == 3
    assert http_server.requests == []
    sizes = {"d/h": 10, "d/m": len(DATA), "d/p": 3}
    assert fs.du("", total=False) == sizes and fs.du("d") == fs.disk_usage("") == sum(sizes.values())
    assert asyncio_run(fs, "_du", "d") == sum(sizes.values())
    assert fs.find("", detail=True)["d/h"]["size"] is None


def test_filesystems_are_kept_as_they_are_given(m):
    m.pipe_file("/t", DATA)
    assert ReferenceFileSystem({}, fs={"memory": m}).fss["memory"] is m
    assert ReferenceFileSystem({}, fs={None: m}).fss[None] is m
    assert ReferenceFileSystem({}, fs=m).fss[None].sync_fs is m
    fs = ReferenceFileSystem({"k": ["memory://t", 0, 3], "j": ["/t", 3, 3]}, fs={"memory": m, None: m})
    assert fs.cat(["k", "j"]) == {"k": DATA[:3], "j": DATA[3:6]} and fs.cat_file("j") == DATA[3:6]
    assert asyncio_run(fs, "_cat_file", "k") == DATA[:3]


def test_targets_without_a_protocol_are_where_the_first_other_one_is(m):
    m.pipe_file("/t", DATA)
    fs = ReferenceFileSystem({"k": ["memory://t", 0, 3], "j": ["t", 3, 3]})
    assert fs.cat("j") == DATA[3:6] and type(fs.fss[None].sync_fs) is type(m)


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b", "xb"])
def test_opening_to_write_is_refused(mode):
    fs = ReferenceFileSystem({"k": "1"})
    with fs.open("k", "br") as f:
        assert f.read() == b"1"
    with pytest.raises(NotImplementedError, match="pipe_file"):
        fs.open("k", mode)
    with pytest.raises(FileNotFoundError, match="new"):
        fs.open("new", mode)


def test_a_missing_target_names_the_key_and_the_url(http_server, tmp_path):
    for url in (http_server.url + "/gone", (tmp_path / "gone").as_uri(), "memory://gone"):
        fs = ReferenceFileSystem({"k": [url, 0, 3], "w": [url]})
        for key in ("k", "w"):
            for read in (fs.cat, fs.cat_file, lambda p: fs.cat([p])):
                with pytest.raises(ReferenceNotReachable) as caught:
                    read(key)
                assert (caught.value.reference, caught.value.target) == (key, url)
                assert isinstance(caught.value.__cause__, FileNotFoundError)
                assert not isinstance(caught.value, FileNotFoundError), "to mappers it were a missing key"
        with pytest.raises(ReferenceNotReachable) as caught:
            fs.get_file("w", str(tmp_path / "got"))
        assert not isinstance(caught.value, FileNotFoundError)
        assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_table_is_read_blocking_whatever_its_options_say(http_server, asynchronous):
    """kerchunk writes ``asynchronous`` into the options of the targets, which may be those of the table."""
    http_server.files["/t"] = DATA
    http_server.files["/refs.json"] = json.dumps({"k": [http_server.url + "/t", 0, 3]}).encode()
    options = {"asynchronous": True}
    how = {"target_options": options, "remote_options": options if asynchronous else {}}
    fs = ReferenceFileSystem(http_server.url + "/refs.json", asynchronous=asynchronous, **how)

    async def awaited():
        found = await fs._cat("k")
        await fs.fss["http"]._session.close()
        return found

    assert (asyncio.run(awaited()) if asynchronous else fs.cat("k")) == DATA[:3]
    assert options == {"asynchronous": True}


def test_a_target_that_is_not_there_is_a_file_not_found_to_who_opens_it_or_asks_for_its_size(
    http_server, tmp_path
):
    for url in (http_server.url + "/gone", (tmp_path / "gone").as_uri(), "memory://gone"):
        fs = ReferenceFileSystem({"k": [url, 0, 3], "w": [url]})
        asked = [
            ("k", lambda: fs.open("k").read()),
            ("k", lambda: fs.read_text("k")),
            ("k", lambda: fs.head("k")),
        ]
        asked += [("k", lambda: fs.tail("k")), ("k", lambda: fs.read_block("k", 0, 2))]
        asked += [("w", lambda: fs.open("w")), ("w", lambda: fs.info("w")), ("w", lambda: fs.du(""))]
        for key, ask in asked:
            with pytest.raises(FileNotFoundError) as caught:
                ask()
            for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
                assert isinstance(error, ReferenceNotReachable)
                assert (error.reference, error.target) == (key, url) and url in str(error)
            assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("key", ["inline", "part", "whole"])
def test_a_slash_at_the_end_of_a_file_to_get_means_nothing_whatever_the_reference(key, tmp_path):
    (tmp_path / "target").write_bytes(b"0123")
    url = (tmp_path / "target").as_uri()
    fs = ReferenceFileSystem({"inline": b"0123", "part": [url, 0, 4], "whole": [url]})
    fs.get_file(key, f"{tmp_path}/new/first/")
    fs.get([key], [f"{tmp_path}/new/second/"])
    assert {each.name: each.read_bytes() for each in (tmp_path / "new").iterdir()} == dict.fromkeys(
        ["first", "second"], b"0123"
    )


def test_target_of_an_unknown_protocol():
    with pytest.raises(ValueError, match="nosuch"):
        ReferenceFileSystem({"a": ["nosuch://x", 0, 1]})
    fs = ReferenceFileSystem({"a": b"1"})
    fs.pipe_file("b", ["nosuch://x", 0, 1])
    found = fs.cat(["a", "b"], on_error="return")
    assert found["a"] == b"1" and found["b"].reference == "b"


def test_first_failure_ends_a_batch(http_server):
    http_server.files["/t"] = DATA
    refs = {str(i): [f"{http_server.url}/gone{i}", 0, 1] for i in range(200)}
    fs = ReferenceFileSystem(refs, batch_size=2)
    with pytest.raises(ReferenceNotReachable):
        fs.cat(list(refs))
    assert len(http_server.requests) < 20


def test_error_travels_and_keeps_secrets():
    error = ReferenceNotReachable("k", "https://user:pass@host/p?token=secret", "why")
    assert "pass" not in str(error) and "secret" not in str(error)
    assert "'k'" in str(error) and "host/p" in str(error) and "why" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.reference, again.target, again.args) == ("k", error.target, ("why",))
    fs = ReferenceFileSystem({"k": ["memory://gone"]}, remote_options={"token": "secret"})
    assert "secret" not in repr(fs)
    with pytest.raises(ReferenceNotReachable) as caught:
        fs.cat("k")
    assert "secret" not in str(caught.value)


def test_filesystems_of_targets():
    mem = fsspec.filesystem("memory")
    awaited = fsspec.filesystem("asyncwrapper", fs=mem, asynchronous=True)
    refs = {"a": ["memory://t", 0, 1]}
    with pytest.raises(ValueError, match="asynchronous"):
        ReferenceFileSystem(refs, fs=awaited)
    with pytest.raises(ValueError, match="asynchronous"):
        ReferenceFileSystem(refs, fs={"memory": fsspec.filesystem("asyncwrapper", fs=mem)}, asynchronous=True)
    with pytest.raises(TypeError, match="int"):
        ReferenceFileSystem(refs, fs=5)
    assert ReferenceFileSystem(refs, fs=awaited, asynchronous=True).fss["memory"] is awaited


def test_references_are_awaited(target, http_server):
    http_server.files["/t"] = DATA
    url = http_server.url + "/t"
    refs = {"a": [target, 5, 5], "b/c": [url, 1, 3], "w": [url], "i": b"in"}
    fs = ReferenceFileSystem(refs, asynchronous=True)

    async def main():
        assert await fs._cat_file("a") == DATA[5:10]
        assert await fs._cat(["a", "b/c", "i"]) == {"a": DATA[5:10], "b/c": DATA[1:4], "i": b"in"}
        assert list(await fs._cat(["i", "b/c", "a"])) == ["a", "b/c", "i"]
        assert await fs._cat_ranges(["a", "b/c"], [1, 0], [2, None]) == [DATA[6:7], DATA[1:4]]
        assert (await fs._info("w"))["size"] == len(DATA)
        assert await fs._exists("b") and not await fs._exists("nope")
        assert await fs._isdir("b") and not await fs._isfile("b")
        assert await fs._find("b") == ["b/c"]
        assert [e["name"] for e in await fs._ls("b")] == ["b/c"]
        await fs._pipe_file("n", b"1")
        await fs._rm_file("n")
        with pytest.raises(FileNotFoundError, match="n"):
            await fs._cat_file("n")
        await fs.fss["http"]._session.close()

    asyncio.run(main())


# -- writing -------------------------------------------------------------------


def test_saved_references_load_as_the_same(tmp_path, target):
    refs = {
        "bytes": b"plain",
        "binary": b"\xff\x00",
        "tricky": b"base64:aGVsbG8=",
        "base64": "base64:aGVsbG8=",
        "object": {"a": 1},
        "part": [target, 1, 2],
        "whole": [target],
        "braces": ["memory://{{x}}", 0, 1],
    }
    fs = ReferenceFileSystem(refs)
    path = tmp_path / "new" / "out.json"
    fs.save_json(str(path))
    again = ReferenceFileSystem(str(path))
    keys = [key for key in refs if key != "braces"]
    assert again.cat(keys) == fs.cat(keys)
    assert again.references["braces"] == ["memory://{{x}}", 0, 1]
    before = path.read_bytes()
    fs.references["bad"] = [object(), 1, 2]
    with pytest.raises(ValueError, match="'bad'"):
        fs.save_json(str(path))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["out.json"]


def test_references_are_saved_on_any_filesystem(target):
    fs = ReferenceFileSystem({"a": b"1"})
    fs.save_json("memory://test-reference/saved.json")
    try:
        assert ReferenceFileSystem("memory://test-reference/saved.json").cat("a") == b"1"
    finally:
        fsspec.filesystem("memory").rm("/test-reference", recursive=True)


def test_an_instance_comes_back_from_pickle_and_json(target):
    fs = ReferenceFileSystem({"a": [target, 1, 2], "b": "x"}, max_gap=3)
    for again in (pickle.loads(pickle.dumps(fs)), fsspec.AbstractFileSystem.from_json(fs.to_json())):
        assert again == fs
        assert again.cat(["a", "b"]) == {"a": DATA[1:3], "b": b"x"}


def test_contents_in_bytes_travel_as_json():
    refs = {"a": b"plain", "b": b"\xff", "c": b"base64:eA==", "d": {"x": 1}}
    for fo in (refs, {"version": 1, "refs": refs}):
        for fs in (ReferenceFileSystem(fo), ReferenceFileSystem(fo=fo)):
            again = fsspec.AbstractFileSystem.from_json(fs.to_json())
            assert again.cat(list(refs)) == fs.cat(list(refs))
    assert refs["b"] == b"\xff"


def test_ravel_multi_index():
    assert [ravel_multi_index((i, j), (3, 4)) for i in range(3) for j in range(4)] == list(range(12))
    assert ravel_multi_index((), ()) == 0


def test_an_error_of_the_local_file_is_not_the_targets(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"hello")
    fs = fsspec.filesystem("reference", fo={"a": [f"file://{source}"]}, skip_instance_cache=True)
    with pytest.raises(IsADirectoryError):
        fs.get_file("a", str(tmp_path))


class PathsOnly(fsspec.asyn.AsyncFileSystem):
    """Downloads to paths alone, as many stores do."""

    cachable = False

    async def _info(self, path, **kwargs):
        return {"name": path, "size": 5, "type": "file"}

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        return b"hello"[start:end]

    async def _get_file(self, rpath, lpath, **kwargs):
        with open(lpath, "wb") as f:
            f.write(b"hello")


@pytest.mark.parametrize("target", [fsspec.filesystem("file"), PathsOnly()], ids=["file", "paths only"])
def test_a_whole_target_goes_to_a_new_folder_and_to_an_open_file(target, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"hello")
    fs = fsspec.filesystem("reference", fo={"a": [str(source)]}, fs=target, skip_instance_cache=True)
    fs.get_file("a", tmp_path / "no" / "folder")
    asyncio.run(fs._get_file("a", tmp_path / "other" / "folder"))
    assert [(tmp_path / name / "folder").read_bytes() for name in ("no", "other")] == [b"hello"] * 2
    taken = io.BytesIO()
    fs.get_file("a", taken)
    assert taken.getvalue() == b"hello"


def test_a_folder_that_is_put_makes_no_reference(tmp_path):
    fs = fsspec.filesystem("reference", fo={"a": "x"}, skip_instance_cache=True)
    fs.put_file(str(tmp_path), "new")
    assert set(fs.references) == {"a"} and not fs.exists("new")


def test_the_path_of_an_open_file_is_its_key(m):
    m.pipe("/target", b"0123456789")
    fs = fsspec.filesystem("reference", fo={"whole": ["memory://target"], "part": ["memory://target", 2, 3]})
    for key, content in {"whole": b"0123456789", "part": b"234"}.items():
        with fs.open(key) as f:
            assert f.path == key and f.fs is fs
            with pickle.loads(pickle.dumps(f)) as again:
                assert again.read() == content


def test_what_is_in_the_way_on_this_machine_is_not_said_of_the_target(m, tmp_path):
    m.pipe("/target", b"0123456789")
    (tmp_path / "file").write_bytes(b"old")
    fs = fsspec.filesystem("reference", fo={"whole": ["memory://target"]})
    with pytest.raises(FileExistsError):
        fs.get_file("whole", str(tmp_path / "file" / "x"))
    with pytest.raises(IsADirectoryError):
        fs.get_file("whole", str(tmp_path))
    m.rm("/target")
    with pytest.raises(ReferenceNotReachable):
        fs.get_file("whole", str(tmp_path / "x"))


def test_a_subclass_may_change_the_references_before_and_after_they_are_taken_over(m):
    class Changing(ReferenceFileSystem):
        def _process_references(self, references, template_overrides=None):
            given.append(template_overrides)
            super()._process_references({**references, "more": "text"}, template_overrides)
            self.references.pop("gone", None)

    given = []
    m.pipe("/target", b"0123456789")
    refs = {"a": ["memory://target", 2, 3], "gone": "x"}
    fs = Changing(refs, remote_protocol="memory", skip_instance_cache=True)
    assert given == [None] and fs.ls("", detail=False) == ["a", "more"] and fs.cat("a") == b"234"
    document = {"version": 1, "templates": {"u": "memory://other"}, "refs": {"b": ["{{u}}", 2, 3]}}
    fs = ReferenceFileSystem(
        document,
        remote_protocol="memory",
        template_overrides={"u": "memory://target"},
        skip_instance_cache=True,
    )
    assert fs.cat("b") == b"234" and fs.templates == {"u": "memory://target"}
    assert fs._process_references({"d/c": ["memory://target", 1, 2]}) is None
    assert fs.references == {"d/c": ["memory://target", 1, 2]} and fs.ls("d", detail=False) == ["d/c"]
    assert fs.cat("d/c") == b"12" and not fs.exists("b")


def test_all_references_are_found_without_a_listing_of_a_programs_own():
    class Listing(ReferenceFileSystem):
        def ls(self, path, detail=True, **kwargs):
            raise AssertionError("the references are the names")

    fs = Listing(fo={"a/1": b"one", "b": b"two"}, skip_instance_cache=True)
    assert fs.find("") == list(fs.get_mapper("")) == ["a/1", "b"]


@pytest.mark.parametrize("way", ["open", "cat", "cat_file", "info", "size", "ls"])
def test_a_missing_key_is_told_with_similar_ones(way):
    fs = fsspec.filesystem("reference", fo={"data/one": b"1", "data/two": b"2"})
    told = "^data/tow: not in the references; is 'data/two' meant"
    with pytest.raises(FileNotFoundError, match=told) as caught:
        getattr(fs, way)("data/tow")
    assert caught.value.args == ("data/tow",)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("rpath, lpath", [("none", "new/x"), (["none"], "new"), (["none"], ["new/x"])])
def test_an_awaited_download_begins_with_its_folders(rpath, lpath, tmp_path):
    to = [f"{tmp_path}/{p}" for p in lpath] if isinstance(lpath, list) else f"{tmp_path}/{lpath}"
    blocking = fsspec.filesystem("reference", fo={"a": "data"}, skip_instance_cache=True)
    with pytest.raises(FileNotFoundError):
        blocking.get(rpath, to)
    assert os.listdir(tmp_path) == []

    async def get():
        fs = fsspec.filesystem("reference", fo={"a": "data"}, asynchronous=True, skip_instance_cache=True)
        await fs._get(rpath, to)

    with pytest.raises(FileNotFoundError):
        asyncio.run(get())
    assert os.listdir(tmp_path) == ["new"] and not os.path.exists(tmp_path / "new/x")


@pytest.mark.parametrize("base", [DictFileSystem, AsyncDictFileSystem])
def test_several_references_are_read_by_a_cat_ranges_of_the_targets_own(base):
    """Of an awaitable one, too, as upstream; the error of one reference is that of its range."""
    asked = []

    def noted(paths, starts, ends):
        asked.append((list(paths), list(starts), list(ends)))
        return [p.upper().encode()[s:e] if p != "r/none" else OSError("mine") for p, s, e in zip(*asked[-1])]

    class Own(base):
        def cat_ranges(self, paths, starts, ends, max_gap=None, on_error="return", **kwargs):
            return noted(paths, starts, ends)

        async def _cat_ranges(self, paths, starts, ends, max_gap=None, on_error="return", **kwargs):
            return noted(paths, starts, ends)

    names = {"a": ["r/first", 0, 7], "b": ["r/second", 2, 3], "c": ["r/none", 0, 1], "d": b"inline"}
    fs = ReferenceFileSystem(fo=names, fs=Own(), skip_instance_cache=True)
    assert fs.cat(["a", "b", "d"]) == {"a": b"R/FIRST", "b": b"SEC", "d": b"inline"}
    assert asked == [(["r/first", "r/second"], [0, 2], [7, 5])]
    assert fs.cat(["a", "c"], on_error="omit") == {"a": b"R/FIRST"}
    with pytest.raises(ReferenceNotReachable, match="mine"):
        fs.cat(["a", "c"])
    assert fs.cat_ranges(["a", "b"], [0, 1], [1, 3]) == [b"R", b"EC"] and len(asked) == 4


@pytest.mark.parametrize("status", [None, 400, 403, 404])
@pytest.mark.parametrize("name", ["/refs.json", "/refs"])
def test_references_are_read_at_a_signed_url(http_server, status, name):
    http_server.files[name] = b'{"a": "hello"}'
    if status is None:
        http_server.files[f"{name}/.zmetadata"] = b"{}"
    else:
        http_server.fault(f"{name}/.zmetadata", status=status)
    url = http_server.url + name
    fs = ReferenceFileSystem(f"{url}?sig=x", skip_instance_cache=True)
    assert fs.cat("a") == b"hello"
    assert {(r.path, r.query) for r in http_server.requests} == {(name, "sig=x")}
    if status == 403:  # what a store that lists nothing says of what is not there
        assert ReferenceFileSystem(url, skip_instance_cache=True).cat("a") == b"hello"


def test_messages_of_references_show_no_credentials(http_server):
    url = http_server.url.replace("//", "//user:hidden@") + "/f"
    http_server.files["/f/.zmetadata"] = b"\xa6\xff hidden"
    with pytest.raises(ValueError, match="does not describe references") as metadata:
        ReferenceFileSystem(url, skip_instance_cache=True)
    fs = ReferenceFileSystem({"a": [f"{url}?sig=hidden", 0], "b": [[f"{url}?sig=hidden"]]})
    with pytest.raises(ValueError, match="neither") as short:
        fs.cat("a")
    with pytest.raises(ValueError, match="not a URL") as nested:
        fs.cat("b")
    for caught in (metadata, short, nested):
        assert "hidden" not in str(caught.value)
