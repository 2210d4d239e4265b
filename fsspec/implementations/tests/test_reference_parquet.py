"""References in parquet tables, written and read by the engines that there are."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pathlib
import pickle
import shutil
import signal
import subprocess
import sys

import pytest

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.reference import (
    LazyReferenceMapper,
    ReferenceFileSystem,
    ReferenceNotReachable,
    RefsItemsView,
    RefsValuesView,
)

ZARRAY = {
    "shape": [10, 3],
    "chunks": [2, 3],
    "dtype": "<i4",
    "compressor": None,
    "filters": None,
    "fill_value": 0,
    "order": "C",
    "zarr_format": 2,
}
DATA = bytes(range(200))


@pytest.fixture(params=["fastparquet", "pyarrow"])
def engine(request):
    pytest.importorskip(request.param)
    return request.param


def fill(mapper, target):
    mapper[".zgroup"] = b'{"zarr_format":2}'
    mapper["x/.zarray"] = json.dumps(ZARRAY).encode()
    mapper["x/.zattrs"] = {"units": "m"}
    mapper["scalar/.zarray"] = json.dumps({**ZARRAY, "shape": [], "chunks": []})
    mapper["g/deep/.zarray"] = json.dumps({**ZARRAY, "dimension_separator": "/"})
    for i in range(3):
        mapper[f"x/{i}.0"] = [target, i * 10, 10]
    mapper["x/4.0"] = b"\xffraw"
    mapper["scalar/0"] = "base64:aGVsbG8="
    mapper["g/deep/1/0"] = [target]
    mapper["g/deep/2/0"] = [target, 5, 0]


EXPECTED = {"x/0.0": DATA[:10], "x/1.0": DATA[10:20], "x/2.0": DATA[20:30], "x/4.0": b"\xffraw"}
EXPECTED |= {"scalar/0": b"hello", "g/deep/1/0": DATA, "g/deep/2/0": b""}


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "target.bin"
    path.write_bytes(DATA)
    return path.as_uri()


@pytest.fixture
def root(tmp_path, target, engine):
    """A folder of references, three a table."""
    root = str(tmp_path / "refs")
    mapper = LazyReferenceMapper.create(root, record_size=3, engine=engine)
    fill(mapper, target)
    mapper.flush()
    return root


def test_tables_are_written_where_others_expect_them(root):
    found = {os.path.relpath(os.path.join(d, f), root) for d, _, files in os.walk(root) for f in files}
    assert found == {
        ".zmetadata",
        "x/refs.0.parq",
        "x/refs.1.parq",
        "scalar/refs.0.parq",
        "g/deep/refs.0.parq",
    }
    with open(os.path.join(root, ".zmetadata")) as f:
        document = json.load(f)
    assert (document["record_size"], document["metadata"]["x/.zarray"]) == (3, ZARRAY)


def test_a_mapper_is_a_mapping_of_its_tables(root, target, engine):
    mapper = LazyReferenceMapper(root, engine=engine)
    assert mapper["x/0.0"] == [target, 0, 10]
    assert [type(each) for each in mapper["x/1.0"]] == [str, int, int]
    assert (mapper["x/4.0"], mapper["scalar/0"]) == (b"\xffraw", b"hello")
    assert mapper["g/deep/1/0"] == [target]
    assert json.loads(mapper["x/.zarray"]) == ZARRAY
    for missing in ("x/3.0", "x/5.0", "x/0", "x/0.0.0", "x/a.b", "g/deep/0/0", "nope", "y/0.0", "q/.zattrs"):
        assert missing not in mapper
        with pytest.raises(KeyError, match=missing):
            mapper[missing]
    keys = list(mapper)
    assert len(keys) == len(set(keys)) and len(mapper) == 17  # those that there may be
    assert "x/3.0" not in keys and {"x/4.0", "g/deep/2/0", ".zmetadata"} <= set(keys)
    assert all(key in mapper for key in keys)
    items = mapper.items()
    assert isinstance(items, RefsItemsView) and isinstance(mapper.values(), RefsValuesView)
    assert [k for k, _ in items] == keys
    assert all(mapper[key] == value for key, value in items)
    assert list(mapper.values()) == [value for _, value in items]
    assert hash(mapper) == id(mapper) and target not in repr(mapper)


def test_what_was_removed_is_not_listed(root, engine):
    """Neither before it is written nor after."""
    mapper = LazyReferenceMapper(root, engine=engine)
    del mapper["x/1.0"]
    assert "x/1.0" not in mapper and "x/1.0" not in list(mapper)
    mapper.flush()
    assert "x/1.0" not in list(mapper) and "x/1.0" not in list(LazyReferenceMapper(root))
    assert "x/0.0" in list(LazyReferenceMapper(root))


def test_metadata_is_read_at_the_first_use(tmp_path, engine):
    """What another mapper wrote meanwhile is seen, and stays."""
    root = str(tmp_path / "loft")
    first = LazyReferenceMapper.create(root, engine=engine)
    other = LazyReferenceMapper(root, engine=engine)
    other["hay/.zarray"] = json.dumps(ZARRAY)
    other.flush()
    first["hay/0.0"] = b"12345678"
    first.flush()
    third = LazyReferenceMapper(root)
    assert "hay/.zarray" in third and third["hay/0.0"] == b"12345678"
    other["oat/.zarray"] = json.dumps(ZARRAY)
    other.flush()
    first.flush()  # without changes of its own it takes nothing back
    assert "oat/.zarray" in LazyReferenceMapper(root)


class Marked(LocalFileSystem):
    """Files of this machine that hold more than is written to them."""

    protocol = "marked"

    def pipe_file(self, path, value, *args, **kwargs):
        pathlib.Path(path).write_bytes(b"#" + value)

    def _open(self, path, *args, **kwargs):
        return io.BytesIO(pathlib.Path(path).read_bytes()[1:])


def test_tables_are_written_by_a_class_that_writes_otherwise(tmp_path):
    """Not past it, as files of this machine."""
    root = f"{tmp_path}/r"
    LazyReferenceMapper.create(root, fs=Marked())
    assert pathlib.Path(root, ".zmetadata").read_bytes()[:2] == b"#{"
    assert LazyReferenceMapper(root, fs=Marked()).record_size


def test_tables_behind_a_cache_are_written_to_its_target(tmp_path, m):
    """Whose paths are none of this machine."""
    root = f"{tmp_path}/r"
    cache = fsspec.filesystem("simplecache", fs=m, cache_storage=f"{tmp_path}/copies")
    LazyReferenceMapper.create(root, fs=cache)
    assert m.exists(f"{root}/.zmetadata") and not os.path.exists(root)


@pytest.mark.parametrize("data", [b"base64:d29ybGQ=", b"base64:", b"base64:?", b"\xff"])
def test_contents_in_bytes_come_back(tmp_path, engine, data):
    """Also those that look like a reference that is to be decoded."""
    root = str(tmp_path / "r")
    mapper = LazyReferenceMapper.create(root, engine=engine)
    mapper["x/.zarray"] = json.dumps(ZARRAY)
    mapper.flush()
    fs = ReferenceFileSystem(root)
    fs.pipe_file("x/0.0", data)
    assert fs.cat("x/0.0") == data
    fs.references.flush()
    assert ReferenceFileSystem(root).cat("x/0.0") == data


def test_a_mapper_lists_its_folders(root, engine):
    mapper = LazyReferenceMapper(root, engine=engine)
    assert mapper.listdir() == {"x", "scalar", "g", "g/deep"}
    assert mapper.ls("", detail=False) == [".zgroup", ".zmetadata", "g", "scalar", "x"]
    assert {e["name"]: e["size"] for e in mapper.ls("x")} == {
        "x/.zarray": len(mapper["x/.zarray"]),
        "x/.zattrs": len(mapper["x/.zattrs"]),
        "x/0.0": 10,
        "x/1.0": 10,
        "x/2.0": 10,
        "x/4.0": 4,
    }
    assert mapper.ls("g/deep/1") == [{"name": "g/deep/1/0", "type": "file", "size": None}]
    assert mapper.ls("x/0.0", detail=False) == ["x/0.0"]
    for missing in ("nope", "x/9.0", "g/deep/7"):
        with pytest.raises(FileNotFoundError, match=missing):
            mapper.ls(missing)


def test_a_filesystem_reads_by_a_mapper(root, engine, tmp_path):
    fs = ReferenceFileSystem(root)
    assert isinstance(fs.references, LazyReferenceMapper)
    assert fs.cat(list(EXPECTED)) == EXPECTED
    assert {key: fs.cat(key) for key in EXPECTED} == EXPECTED
    assert fs.cat("x", recursive=True).keys() >= {"x/0.0", "x/.zarray"}
    assert fs.info("g/deep/1/0")["size"] == len(DATA)
    assert (fs.exists("x/3.0"), fs.isdir("x"), fs.isdir("g"), fs.isfile("x/0.0")) == (False, True, True, True)
    with pytest.raises(FileNotFoundError, match="x/3.0: row 0 of .*x/refs.1.parq"):
        fs.cat("x/3.0")
    assert set(fs.find("")) >= set(EXPECTED)
    fs.save_json(str(tmp_path / "out.json"))
    assert ReferenceFileSystem(str(tmp_path / "out.json")).cat(list(EXPECTED)) == EXPECTED


def test_a_mapper_is_awaited(root):
    fs = ReferenceFileSystem(root, asynchronous=True)

    async def main():
        found = await asyncio.gather(*map(fs._cat_file, EXPECTED))
        assert dict(zip(EXPECTED, found)) == EXPECTED
        assert await fs._cat(list(EXPECTED)) == EXPECTED
        assert {e["name"] for e in await fs._ls("scalar")} == {"scalar/.zarray", "scalar/0"}

    asyncio.run(main())


def test_tables_are_read_over_http(http_server, root, engine):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                http_server.files["/r/" + os.path.relpath(path, root)] = f.read()
    fs = ReferenceFileSystem(http_server.url + "/r")
    assert fs.cat_file("x/0.0") == DATA[:10]  # from a blocking call, and on the loop
    assert fs.cat(["x/2.0", "x/4.0"]) == {"x/2.0": DATA[20:30], "x/4.0": b"\xffraw"}
    http_server.clear()
    assert fsspec.asyn.sync(fs.loop, fs._cat_file, "scalar/0") == b"hello"
    assert fs.cat("x/1.0") == DATA[10:20]
    assert [r.path for r in http_server.requests] == ["/r/scalar/refs.0.parq"]


def test_changes_of_a_mapper_are_written(root, target, engine):
    mapper = LazyReferenceMapper(root, engine=engine)
    del mapper["x/0.0"]
    mapper["x/1.0"] = b"new"
    mapper["x/3.0"] = [target, 7, 3]
    del mapper["x/.zattrs"]
    for gone in ("x/0.0", "x/.zattrs", "nope"):
        assert gone not in mapper
        with pytest.raises(KeyError):
            del mapper[gone]
    with pytest.raises(RuntimeError, match="flush"):
        pickle.dumps(mapper)
    mapper.flush()
    for again in (mapper, LazyReferenceMapper(root, engine=engine), pickle.loads(pickle.dumps(mapper))):
        assert (again["x/1.0"], again["x/2.0"], again["x/3.0"]) == (b"new", [target, 20, 10], [target, 7, 3])
        assert "x/0.0" not in again and "x/.zattrs" not in again
    assert sorted(os.listdir(os.path.join(root, "x"))) == ["refs.0.parq", "refs.1.parq"]  # no parts left


def test_full_tables_are_written_at_once(tmp_path, target, engine):
    mapper = LazyReferenceMapper.create(str(tmp_path / "r"), record_size=3, engine=engine, cache_size=1)
    mapper["x/.zarray"] = ZARRAY
    for i in range(5):
        mapper[f"x/{i}.0"] = [target, i, 1]
    assert sorted(os.listdir(tmp_path / "r" / "x")) == ["refs.0.parq", "refs.1.parq"]
    assert [mapper[f"x/{i}.0"] for i in range(5)] == [[target, i, 1] for i in range(5)]
    assert len(mapper._loaded_tables) == 1


def test_targets_of_a_table_are_written_once(tmp_path, target, engine):
    sizes = {}
    for threshold in (2, 10**9):
        root = tmp_path / str(threshold)
        mapper = LazyReferenceMapper.create(
            str(root), record_size=500, engine=engine, categorical_threshold=threshold
        )
        mapper["x/.zarray"] = {**ZARRAY, "shape": [1000, 3]}
        for i in range(500):
            mapper[f"x/{i}.0"] = [target if i % 2 else target + "2", i, 1]
        mapper.flush()
        again = LazyReferenceMapper(str(root), engine=engine)
        assert [again[f"x/{i}.0"][1] for i in range(500)] == list(range(500))
        assert again["x/7.0"] == [target, 7, 1]
        sizes[threshold] = (root / "x" / "refs.0.parq").stat().st_size
    assert sizes[2] > 0


def test_tables_can_be_flushed_to_another_folder(root, tmp_path, target, engine):
    mapper = LazyReferenceMapper(root, engine=engine)
    mapper["x/1.0"] = b"new"
    mapper.flush(base_url=(tmp_path / "copy").as_uri())
    copy = LazyReferenceMapper(str(tmp_path / "copy"), engine=engine)
    assert (copy["x/0.0"], copy["x/1.0"]) == ([target, 0, 10], b"new")
    assert LazyReferenceMapper(root, engine=engine)["x/1.0"] == [target, 10, 10]
    mapper.flush()
    assert LazyReferenceMapper(root, engine=engine)["x/1.0"] == b"new"


def test_metadata_of_a_copy_are_still_to_be_written_here(root, tmp_path, engine):
    mapper = LazyReferenceMapper(root, engine=engine)
    mapper["x/.zattrs"] = {"units": "km"}
    mapper.zmetadata["x/more"] = {"set": "directly"}
    mapper.flush(base_url=(tmp_path / "copy").as_uri())
    mapper.flush()
    for where in (root, str(tmp_path / "copy")):
        metadata = LazyReferenceMapper(where, engine=engine).zmetadata
        assert (metadata["x/.zattrs"], metadata["x/more"]) == ({"units": "km"}, {"set": "directly"})


def test_what_another_mapper_wrote_meanwhile_stays(root, target, engine):
    first, second = (LazyReferenceMapper(root, engine=engine) for _ in range(2))
    for mapper in (first, second):
        assert mapper["x/0.0"] == [target, 0, 10]
    first["x/3.0"] = b"first"
    first["y/.zarray"] = ZARRAY
    first["y/0.0"] = b"y"
    del first["scalar/.zarray"]
    first.flush()
    second["x/0.0"] = b"second"
    second["x/.zattrs"] = {"units": "km"}
    second.flush()
    for mapper in (second, LazyReferenceMapper(root, engine=engine)):
        assert [mapper[key] for key in ("x/0.0", "x/3.0", "y/0.0")] == [b"second", b"first", b"y"]
        assert mapper.zmetadata["x/.zattrs"] == {"units": "km"}
        assert "scalar/.zarray" not in mapper


def test_a_table_that_was_written_elsewhere_is_changed_there(root, tmp_path, target, engine):
    out = tmp_path / "out"
    mapper = LazyReferenceMapper(root, out_root=str(out), cache_size=1, engine=engine)
    for key in ("x/0.0", "x/1.0"):
        mapper[key] = b"new"
        mapper.flush()
        mapper.get("g/deep/1/0")  # another table is kept instead
        assert mapper[key] == b"new"
    again = LazyReferenceMapper(str(out), engine=engine)
    assert [again[f"x/{i}.0"] for i in range(3)] == [b"new", b"new", [target, 20, 10]]
    assert LazyReferenceMapper(root, engine=engine)["x/0.0"] == [target, 0, 10]


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("x/9.0", b"", "'x/9.0'.*not a chunk"),
        ("new/0.0", b"", "'new/0.0'.*\\.zarray"),
        ("x/0.0", 5, "x/0.0"),
        ("x/0.0", [None, 0, 1], "x/0.0"),
        ("x/0.0", ["u", 0], "x/0.0"),
        ("x/.zarray", b"{", "x/.zarray"),
        ("x/.zarray", {}, "'x'"),
        ("x/.zattrs", b"[]", "x/.zattrs"),
    ],
)
def test_what_cannot_be_set(root, engine, key, value, words):
    mapper = LazyReferenceMapper(root, engine=engine)
    with pytest.raises(ValueError, match=words):
        mapper[key] = value
    mapper.flush()
    assert ReferenceFileSystem(root).cat(list(EXPECTED)) == EXPECTED


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + bytes(100) + b"PAR1"])
def test_tables_of_no_sense(root, engine, content, capfd):
    with open(os.path.join(root, "x", "refs.0.parq"), "wb") as f:
        f.write(content)
    mapper = LazyReferenceMapper(root, engine=engine)
    with pytest.raises(ReferenceNotReachable) as caught:
        mapper["x/1.0"]
    assert caught.value.reference == "x/1.0" and caught.value.target.endswith("x/refs.0.parq")
    fs = ReferenceFileSystem(root)
    with pytest.raises(ReferenceNotReachable, match="'x/1.0'"):
        fs.cat("x/1.0")
    found = fs.cat(["x/1.0", "x/4.0"], on_error="return")
    assert isinstance(found["x/1.0"], ReferenceNotReachable) and found["x/4.0"] == b"\xffraw"


def test_a_missing_table(root, engine):
    os.unlink(os.path.join(root, "x", "refs.0.parq"))
    fs = ReferenceFileSystem(root)
    with pytest.raises(FileNotFoundError, match="x/1.0: .*x/refs.0.parq"):
        fs.cat("x/1.0")
    assert not fs.exists("x/1.0") and fs.cat("x/4.0") == b"\xffraw"


@pytest.mark.parametrize(
    "content, words",
    [
        (b"{", "zmetadata"),
        (b"[]", "zmetadata"),
        (b"{}", "metadata"),
        (b'{"metadata": {}}', "record_size"),
        (b'{"metadata": {}, "record_size": 0}', "record_size is 0"),
    ],
)
def test_invalid_metadata_is_refused(tmp_path, content, words):
    (tmp_path / ".zmetadata").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        ReferenceFileSystem(str(tmp_path))


@pytest.mark.parametrize(
    "array, words",
    [
        ({"shape": [4], "chunks": [1], "dimension_separator": ["."]}, "'x'.*dimension_separator"),
        ({"shape": [4], "chunks": [1], "dimension_separator": "-"}, "'x'.*dimension_separator"),
        ({"shape": [10**6, 10**6], "chunks": [1, 1]}, "'x'.*1000000000 are the most"),
        ({"shape": [-4], "chunks": [1]}, "'x'"),
        ({"shape": ["4"], "chunks": [1]}, "'x'"),
        ({"shape": [4], "chunks": [0]}, "'x'"),
        ([], "'x'"),
    ],
)
def test_arrays_of_no_sense(tmp_path, array, words):
    metadata = {"x/.zarray": array, "other": {"a": 1}}
    (tmp_path / ".zmetadata").write_text(json.dumps({"metadata": metadata, "record_size": 2}))
    fs = ReferenceFileSystem(str(tmp_path))
    assert fs.cat("other") == b'{"a":1}'
    for use in (lambda: fs.find(""), lambda: fs.cat("x/0"), lambda: fs.ls("x"), lambda: list(fs.references)):
        with pytest.raises(ValueError, match=words):
            use()


def test_a_folder_without_references_is_named(tmp_path, root):
    nothing = LazyReferenceMapper(str(tmp_path / "nothing"))  # at the first use
    for use in (lambda: nothing["x"], lambda: list(nothing), lambda: nothing.record_size):
        with pytest.raises(FileNotFoundError, match="nothing"):
            use()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="other"):
        LazyReferenceMapper.create(str(tmp_path / "other"))
    assert (tmp_path / "other" / "file").read_bytes() == b"precious"
    with pytest.raises(ValueError, match="record_size"):
        LazyReferenceMapper.create(root, record_size=0)
    assert "x/0.0" in LazyReferenceMapper(root)
    assert list(LazyReferenceMapper.create(root)) == [".zmetadata"]  # in place of what was there
    with pytest.raises(ValueError, match="'csv'.*fastparquet"):
        LazyReferenceMapper(root, engine="csv")
    awaited = fsspec.filesystem("asyncwrapper", fs=fsspec.filesystem("memory"), asynchronous=True)
    with pytest.raises(ValueError, match="blocking"):
        LazyReferenceMapper("/x", fs=awaited)


CREATING = """
import os, signal, sys
from fsspec.implementations.reference import LazyReferenceMapper
left = {left}

def audit(event, args):
    global left
    if event in ("open", "os.remove", "os.rmdir", "os.rename", "os.mkdir", "os.truncate", "shutil.rmtree"):
        if event != "open" or args[2] & (os.O_WRONLY | os.O_RDWR):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
LazyReferenceMapper.create({root!r}, record_size=7)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")
def test_killed_while_it_makes_a_place_there_are_the_old_references_or_none(root, tmp_path):
    """At whatever change of the folder that happens: never a folder that nobody can read."""
    before = dict(LazyReferenceMapper(root).items())
    seen = []
    for left in range(1, 40):
        there = str(tmp_path / f"copy{left}")
        shutil.copytree(root, there)
        done = subprocess.run([sys.executable, "-c", CREATING.format(root=there, left=left)], timeout=60)
        mapper = LazyReferenceMapper(there)
        found = dict(mapper.items())
        assert found == before or (list(found) == [".zmetadata"] and mapper.record_size == 7), left
        seen.append(found == before)
        assert list(LazyReferenceMapper.create(there)) == [".zmetadata"]
        assert os.listdir(there) == [".zmetadata"] or done.returncode
        if done.returncode == 0:
            break
    assert done.returncode == 0 and seen[0] and not seen[-1] and len(seen) > 3


def test_failed_write_leaves_the_table(root, engine, tmp_path):
    mapper = LazyReferenceMapper(root, engine=engine)
    mapper["x/1.0"] = b"new"
    folder = pathlib.Path(root, "x")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    mapper._pending_rows["x", 0][2] = ["\ud800", 0, 1]  # a text that cannot be encoded
    with pytest.raises(ValueError):
        mapper.flush()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    mapper["x/2.0"] = b"good"
    mapper.flush()
    assert LazyReferenceMapper(root, engine=engine)["x/1.0"] == b"new"


def test_zarr_reads_them(tmp_path, target, engine):
    zarr = pytest.importorskip("zarr")
    numpy = pytest.importorskip("numpy")
    expected = numpy.arange(30, dtype="<i4").reshape(10, 3)
    (tmp_path / "array.bin").write_bytes(expected.tobytes())
    mapper = LazyReferenceMapper.create(str(tmp_path / "z"), record_size=2, engine=engine)
    mapper[".zgroup"] = b'{"zarr_format":2}'
    mapper["x/.zarray"] = ZARRAY
    mapper["x/.zattrs"] = {}
    for i in range(4):  # the last is missing: its value is the one to fill with
        mapper[f"x/{i}.0"] = [(tmp_path / "array.bin").as_uri(), i * 24, 24]
    mapper.flush()
    expected[8:] = 0
    fs = ReferenceFileSystem(str(tmp_path / "z"), asynchronous=True)
    group = zarr.open_group(zarr.storage.FsspecStore(fs, read_only=True), mode="r", zarr_format=2)
    assert (group["x"][:] == expected).all()


def test_buffers_are_kept_as_bytes(m):
    """Kerchunk sets those of zarr."""

    class Buffer:
        def to_bytes(self):
            return b'{"zarr_format": 2}'

    out = LazyReferenceMapper.create("/b.parq", fs=m, record_size=5)
    out[".zgroup"] = Buffer()
    out[".zattrs"] = memoryview(b'{"a": 1}')
    out["x/.zarray"] = json.dumps({"shape": [2], "chunks": [1], "dtype": "|u1", "zarr_format": 2})
    out["x/0"], out["x/1"] = Buffer(), memoryview(b"1")
    out.flush()
    again = LazyReferenceMapper("/b.parq", fs=m)
    assert json.loads(again[".zgroup"]) == {"zarr_format": 2} and json.loads(again[".zattrs"]) == {"a": 1}
    assert again["x/0"] == Buffer().to_bytes() and again["x/1"] == b"1"
    fs = fsspec.filesystem("reference", fo={}, skip_instance_cache=True)
    fs.pipe_file("a", Buffer())
    assert fs.cat("a") == Buffer().to_bytes()
