"""Parquet files over HTTP, read by pandas with both engines."""

import io
import os
import pickle

import pytest

pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
pq = pytest.importorskip("pyarrow.parquet")

import fsspec
from fsspec.parquet import (
    AlreadyBufferedFile,
    FastparquetEngine,
    PyarrowEngine,
    _get_parquet_byte_ranges,
    open_parquet_file,
    open_parquet_files,
)
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run

ROWS = 80_000
SAMPLE = 2**16


def frame():
    return pd.DataFrame(
        {
            "number": range(ROWS),
            "text": [f"row {i * 7919 % 99_991} of many" for i in range(ROWS)],
            "half": [i * 0.5 for i in range(ROWS)],
        }
    )


def made(table=None, **options):
    out = io.BytesIO()
    table = pa.Table.from_pandas(frame()) if table is None else table
    pq.write_table(table, out, row_group_size=ROWS // 4, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def data():
    return made()


@pytest.fixture(params=["pyarrow", "fastparquet"])
def engine(request):
    pytest.importorskip(request.param)
    return request.param


def reading(f, engine, columns=None, group=None, filters=None):
    """A frame of what is selected, by the engine's own reader."""
    if engine == "pyarrow":
        file = pq.ParquetFile(f)
        if filters is not None:
            return pq.read_table(f, columns=columns, filters=filters).to_pandas()
        groups = range(4) if group is None else [group]
        return file.read_row_groups(groups, columns=columns, use_pandas_metadata=True).to_pandas()
    import fastparquet

    file = fastparquet.ParquetFile(f)
    return (file if group is None else file[group]).to_pandas(columns=columns, filters=filters or [])


def ranges(server):
    """What was asked for, in bytes."""
    return sum(request.sent for request in server.requests)


# what is fetched -----------------------------------------------------------------
def test_a_column_is_fetched_alone(http_server, data, engine):
    """A third of the file, no more, in three requests and none when it is read."""
    http_server.files["/a.parquet"] = data
    url = http_server.url + "/a.parquet"
    f = open_parquet_file(url, columns=["number"], engine=engine, footer_sample_size=SAMPLE, max_gap=0)
    requests, got = len(http_server.requests), ranges(http_server)
    assert got < SAMPLE + len(data) / 2
    assert all(request.range for request in http_server.requests if request.method == "GET")
    found = reading(f, engine, columns=["number"])
    assert found["number"].tolist() == list(range(ROWS))
    assert (len(http_server.requests), ranges(http_server)) == (requests, got)


def test_row_groups_are_fetched_alone(http_server, data, engine):
    http_server.files["/a.parquet"] = data
    url = http_server.url + "/a.parquet"
    how = dict(engine=engine, footer_sample_size=SAMPLE)
    f = open_parquet_file(url, columns=["number"], row_groups=[1], **how)
    found = reading(f, engine, columns=["number"], group=1)
    assert found["number"].tolist() == list(range(ROWS // 4, ROWS // 2))


def test_row_groups_that_cannot_match_are_not_fetched(http_server, data, engine):
    """Row groups that cannot match are not fetched, and the filter's own column is."""
    http_server.files["/a.parquet"] = data
    url = http_server.url + "/a.parquet"
    filters = [("number", ">=", ROWS - ROWS // 5)]
    how = dict(columns=["half"], engine=engine, footer_sample_size=SAMPLE, max_gap=0)
    f = open_parquet_file(url, filters=filters, **how)
    filtered = ranges(http_server)
    http_server.clear()
    open_parquet_file(url, **{**how, "columns": ["half", "number"]})
    assert filtered < ranges(http_server) / 2 + SAMPLE
    found = reading(f, engine, columns=["half"], filters=filters)
    assert found["half"].max() == (ROWS - 1) / 2
    empty = open_parquet_file(url, filters=filters, row_groups=[], **how)
    assert empty.cache.data.keys() == f.cache.data.keys()  # they choose as if nothing else did
    everything = open_parquet_file(url, **how)
    assert open_parquet_file(url, filters=[], **how).cache.data.keys() == everything.cache.data.keys()


def test_what_was_not_selected_cannot_be_read(http_server, data, engine):
    http_server.files["/a.parquet"] = data
    how = dict(engine=engine, footer_sample_size=SAMPLE, max_gap=0)
    f = open_parquet_file(http_server.url + "/a.parquet", columns=["number"], **how)
    with pytest.raises(ValueError, match="a.parquet"):
        f.seek(pq.read_metadata(io.BytesIO(data)).row_group(0).column(1).data_page_offset + 10)
        f.read(10)
    with pytest.raises(NotImplementedError, match="a.parquet"):
        f._fetch_range(0, 10)


def test_small_file_costs_its_end(http_server, engine):
    content = made(pa.table({"text": ["a"] * 1000, "more": ["b"] * 1000}))
    http_server.files["/a.parquet"] = content
    f = open_parquet_file(http_server.url + "/a.parquet", columns=["text"], engine=engine)
    assert [r.method for r in http_server.requests] == ["HEAD", "GET"]
    assert f.read() == content


@pytest.mark.parametrize("sample", [0, SAMPLE, 10**6, 10**8])
def test_any_sample_of_the_footer_will_do(m, data, sample):
    m.pipe("/a.parquet", data)
    f = open_parquet_file("memory://a.parquet", columns=["half"], footer_sample_size=sample)
    assert pq.ParquetFile(f).read(columns=["half"]).num_rows == ROWS


def test_everything_costs_one_request_each(http_server, data):
    http_server.files["/a.parquet"] = data
    f = open_parquet_file(http_server.url + "/a.parquet")
    assert f.size == len(data) and f.read() == data
    assert [(r.method, r.range) for r in http_server.requests] == [("GET", None)]


def test_with_nothing_selected_all_is_fetched(m, data):
    m.pipe("/a.parquet", data)
    f = open_parquet_file("memory://a.parquet", footer_sample_size=SAMPLE)
    assert f.read() == data


def test_no_columns_but_the_index(m, engine):
    m.pipe("/a.parquet", made(pa.Table.from_pandas(frame().set_index("text"))))
    f = open_parquet_file("memory://a.parquet", columns=["half"], engine=engine, footer_sample_size=SAMPLE)
    assert reading(f, engine, columns=["half"]).index.name == "text"


def test_a_nested_column_is_fetched_whole(m):
    table = pa.table({"a": [{"x": i, "y": str(i)} for i in range(9)], "ab": list(range(9)), "l": [[1]] * 9})
    m.pipe("/a.parquet", made(table))
    for columns in (["a"], ["a.x"], ["l"]):
        f = open_parquet_file("memory://a.parquet", columns=columns, footer_sample_size=8, max_gap=0)
        assert pq.ParquetFile(f).read(columns=columns).num_rows == 9


# several ---------------------------------------------------------------------------
def test_several_files_are_fetched_together(http_server, data, engine, m):
    for i in range(3):
        m.pipe(f"/many/{i}.parquet", data)
    files = open_parquet_files("memory://many/*.parquet", columns=["half"], engine=engine)
    assert [f.path for f in files] == [f"/many/{i}.parquet" for i in range(3)]
    again = open_parquet_files([f.path for f in files], fs=m, columns=["half"], engine=engine)
    assert [reading(f, engine, columns=["half"]).shape[0] for f in again] == [ROWS] * 3
    first = open_parquet_file("memory://many/*.parquet", columns=["half"], engine=engine)
    assert first.path == "/many/0.parquet"


def test_parts_without_file_objects(data, engine, m):
    for i in range(2):
        m.pipe(f"/many/{i}.parquet", data)
    paths = ["/many/1.parquet", "/many/0.parquet"]
    parts = _get_parquet_byte_ranges(paths, m, columns=["half"], engine=engine, max_block=2**20)
    assert list(parts) == paths
    for f in open_parquet_files(paths, m, columns=["half"], engine=engine):
        assert parts[f.path] == dict(f.cache.data)
        assert all(part == data[a:b] for (a, b), part in parts[f.path].items())
        assert sum(map(len, parts[f.path].values())) < len(data)
    with pytest.raises(ValueError, match="reads no Parquet files"):
        _get_parquet_byte_ranges(paths, m, columns=["half"], engine="other")


def test_a_slash_at_the_end_means_all_files_below(data, engine, m):
    """A slash at the end means all Parquet files below."""
    for name in ("a.parquet", "deep/b.parq", "c.txt"):
        m.pipe(f"/lake/{name}", data)
    files = open_parquet_files("memory://lake/", columns=["half"], engine=engine)
    assert [f.path for f in files] == ["/lake/a.parquet", "/lake/deep/b.parq"]
    assert [reading(f, engine, columns=["half"]).shape[0] for f in files] == [ROWS] * 2
    with pytest.raises(FileNotFoundError, match="no Parquet file"):
        open_parquet_file("memory://lake/deep/none/", columns=["half"], engine=engine)


def test_metadata_of_a_dataset(tmp_path):
    """It names the files, whatever path is given."""
    fastparquet = pytest.importorskip("fastparquet")
    folder = (tmp_path / "set").as_posix()
    fastparquet.write(folder, frame(), file_scheme="hive", row_group_offsets=[0, ROWS // 2])
    metadata = fastparquet.ParquetFile(folder)
    for path in (folder, folder + "/", folder + "/part.0.parquet"):
        files = open_parquet_files(path, metadata=metadata, columns=["half"], engine="fastparquet")
        assert [f.path for f in files] == [f"{folder}/part.{i}.parquet" for i in (0, 1)]
        for f in files:
            (start, end), *_ = [part for part in f.cache.data if part[1] > 4]
            with open(f.path, "rb") as plain:
                plain.seek(start)
                assert f.cache.data[start, end] == plain.read(end - start)


def test_a_footer_can_be_added(tmp_path):
    """For a reader that wants one although the program has the metadata."""
    fastparquet = pytest.importorskip("fastparquet")
    path = (tmp_path / "one.parquet").as_posix()
    fastparquet.write(path, frame())
    metadata = fastparquet.ParquetFile(path)
    f = open_parquet_file(path, metadata=metadata, columns=["half"], engine="fastparquet")
    with open(path, "rb") as plain:
        plain.seek(f.size)
        tail = plain.read()
    f.cache.data[f.size, f.size + len(tail)] = tail
    f.size = f.cache.size = f.size + len(tail)
    assert f.cache.size == f.size
    assert fastparquet.ParquetFile(f).to_pandas(columns=["half"]).shape == (ROWS, 1)


@pytest.mark.parametrize("metadata", [["x"], "x", 5])
def test_metadata_of_others(m, data, engine, metadata):
    m.pipe("/a.parquet", data)
    with pytest.raises(ValueError, match=f"{engine}.*{type(metadata).__name__}"):
        open_parquet_file("memory://a.parquet", metadata=metadata, columns=["half"], engine=engine)


@pytest.mark.parametrize("name", ["pos.lat", "pos", "pos.deep.a", "plain.dotted"])
def test_nested_columns_are_fetched_as_a_whole(m, engine, name):
    """Readers of datasets read all of the column that a name is in, but for dots of its own."""
    numbers = [i * 7919 % 99_991 / 7 for i in range(ROWS)]
    rows = [{"lat": x, "lon": -x, "deep": {"a": x, "b": str(x)}} for x in numbers]
    m.pipe("/n.parquet", made(pa.table({"pos": rows, "other": numbers, "plain.dotted": numbers})))
    for columns in ([name], [name, "other"]):
        f = open_parquet_file("memory://n.parquet", columns=columns, engine=engine, footer_sample_size=SAMPLE)
        found = pq.read_table(f, columns=columns)
        assert found.equals(pq.read_table(io.BytesIO(m.cat("/n.parquet")), columns=columns))
    held = open_parquet_file("memory://n.parquet", columns=["plain.dotted"], engine=engine)
    assert sum(b - a for a, b in held.cache.data) < m.size("/n.parquet") - 10**6


def test_the_engine_for_auto(m, data):
    """The first that is installed, fastparquet before pyarrow."""
    m.pipe("/a.parquet", data)
    files = {
        engine: open_parquet_file("memory://a.parquet", columns=["half"], engine=engine, row_groups=[0])
        for engine in ("auto", "fastparquet", "pyarrow")
    }
    assert files["auto"].cache.data.keys() == files["fastparquet"].cache.data.keys()
    assert type(fsspec.parquet._engine("auto")) is FastparquetEngine


def test_what_is_not_there_is_passed_over(m, data, engine):
    """A row group, or that a file is a Parquet file where nothing is selected of it."""
    m.pipe("/a.parquet", data)
    f = open_parquet_file("memory://a.parquet", columns=["half"], row_groups=[0, 77], engine=engine)
    assert reading(f, engine, columns=["half"], group=0).shape[0] == ROWS // 4
    m.pipe("/c.txt", b"x")
    for nothing in (None, []):
        assert open_parquet_file("memory://c.txt", columns=nothing, engine=engine).read() == b"x"


def test_metadata_that_is_known(http_server, data, engine):
    """No request for the footer."""
    http_server.files["/a.parquet"] = data
    metadata = pq.read_metadata(io.BytesIO(data))
    known = metadata
    if engine == "fastparquet":
        import fastparquet

        known = fastparquet.ParquetFile(io.BytesIO(data))
    url = http_server.url + "/a.parquet"
    f = open_parquet_file(url, metadata=known, columns=["number"], engine=engine)
    assert {r.method for r in http_server.requests} == {"GET"}
    chunk = metadata.row_group(0).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    f.seek(start)
    assert f.read(chunk.total_compressed_size) == data[start : start + chunk.total_compressed_size]
    if engine == "pyarrow":
        assert pq.ParquetFile(f, metadata=metadata).read(columns=["number"]).num_rows == ROWS


# bad input -------------------------------------------------------------------------
@pytest.mark.parametrize("content", [b"", b"short", b"x" * 1000, b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_a_file_that_is_not_parquet_is_named_in_the_error(m, content, engine):
    m.pipe("/a.parquet", content)
    with pytest.raises(ValueError, match="/a.parquet"):
        open_parquet_file("memory://a.parquet", columns=["x"], engine=engine)


def test_ranges_that_lead_out_of_the_file(m, data, engine):
    """A footer with the file before it missing."""
    m.pipe("/a.parquet", b"PAR1" + data[-5000:])
    with pytest.raises(ValueError, match="/a.parquet"):
        open_parquet_file("memory://a.parquet", columns=["half"], engine=engine, footer_sample_size=8)


def test_a_truncated_answer_is_an_error(http_server, data):
    http_server.files["/a.parquet"] = data
    http_server.fault("/a.parquet", methods=("GET",), truncate=100)
    with pytest.raises(OSError):
        open_parquet_file(http_server.url + "/a.parquet", columns=["half"])


def test_what_is_missing_is_named(http_server, m):
    with pytest.raises(FileNotFoundError, match="/none"):
        open_parquet_file("memory://none.parquet", columns=["a"])
    with pytest.raises(FileNotFoundError, match="/none"):
        open_parquet_file(http_server.url + "/none.parquet", columns=["a"])


def test_what_cannot_be_read_is_refused(m, data):
    m.pipe("/a.parquet", data)
    with pytest.raises(ValueError, match="bogus"):
        open_parquet_file("memory://a.parquet", columns=["half"], engine="bogus")
    with pytest.raises(ValueError, match="mode"):
        open_parquet_file("memory://a.parquet", mode="wb")


@pytest.mark.parametrize("missing", ["pyarrow", "fastparquet"])
def test_engine_that_is_not_installed(missing):
    text = f"""
        import sys
        sys.modules[{missing!r}] = None
        from fsspec.parquet import {missing.capitalize()}Engine as Engine
        try:
            Engine()
        except ImportError as error:
            assert "pip install {missing}" in str(error)
        else:
            raise AssertionError
    """
    assert run(text) == ""


def test_engines_are_made_without_arguments(engine):
    assert {"pyarrow": PyarrowEngine, "fastparquet": FastparquetEngine}[engine]() is not None


# elsewhere -------------------------------------------------------------------------
def test_a_pickled_file_has_its_parts(m, data):
    m.pipe("/a.parquet", data)
    f = open_parquet_file("memory://a.parquet")
    f.seek(4)
    again = pickle.loads(pickle.dumps(f))
    assert isinstance(again, AlreadyBufferedFile) and again.tell() == 4
    assert again.read() == data[4:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
def test_an_inherited_file_is_read_in_every_mode(http_server, data, reset):
    """It is in memory, so that it can be read in the child whatever was chosen."""
    http_server.files["/a.parquet"] = data
    text = f"""
        from fsspec._checks.forked import by_fork
        from fsspec.parquet import open_parquet_file
        f = open_parquet_file({http_server.url + "/a.parquet"!r})
        begin = f.read(10)

        def body():
            f.seek(0)
            assert f.read(10) == begin
            assert len(f.read()) == {len(data) - 10}
            f.close()

        report = by_fork(body)
        assert not report.problem(), report.problem()
        assert len(f.read()) == {len(data) - 10}
        again = open_parquet_file({http_server.url + "/a.parquet"!r})
        assert again.read(10) == begin
        print("well")
    """
    assert run(text, FSSPEC_FORK_RESET=reset) == "well\n"


def test_an_instance_of_the_programs_is_used(http_server, data):
    """With an instance of the program's own."""
    http_server.files["/a.parquet"] = data
    fs = fsspec.filesystem("http", skip_instance_cache=True)
    f = open_parquet_file(http_server.url + "/a.parquet", fs=fs, columns=["half"])
    assert f.fs is fs and pq.ParquetFile(f).read(columns=["half"]).num_rows == ROWS


def test_footer_longer_than_the_sample(m):
    """Of a file with many columns."""
    table = pa.table({f"column number {i}": list(range(50)) for i in range(1500)})
    m.pipe("/wide.parquet", made(table))
    f = open_parquet_file("memory://wide.parquet", columns=["column number 7"], footer_sample_size=8)
    assert f.size - f.cache._fetch(f.size - 8, f.size - 4)[0] > 2**16
    assert pq.ParquetFile(f).read(columns=["column number 7"]).num_rows == 50


def test_backends_whose_cat_ranges_has_no_on_error(data):
    class Few(DictFileSystem):
        def cat_ranges(self, paths, starts, ends):
            return super().cat_ranges(paths, starts, ends)

    fs = Few({"a.parquet": data})
    with open_parquet_file("a.parquet", fs=fs) as f:
        assert f.read() == data
    with pytest.raises(FileNotFoundError):
        open_parquet_file("b.parquet", fs=fs)
