"""The names of spans: each is of a class and an operation, whatever asked for the request."""

import io
import json
import sys
import tarfile
import zipfile
from importlib import import_module

import pytest

import fsspec
import fsspec.caching
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.tests.servers.s3 import options, serve_s3

pytest.importorskip("aiohttp")
pytest.importorskip("requests")

import_module("fsspec.implementations.http_sync").unregister()  # the import put it in the place of the other

MODULES = ["http", "http_sync"]
SIZE = 3 * 2**20
BLOCK = 2**18
BASES = {AbstractFileSystem, AsyncFileSystem, AbstractBufferedFile}
METHODS = {"GET", "HEAD", "PUT", "POST"}


def made(module, **kwargs):
    home = import_module(f"fsspec.implementations.{module}")
    return home.HTTPFileSystem(skip_instance_cache=True, **kwargs)


def subclasses(cls):
    return {cls, *(found for below in cls.__subclasses__() for found in subclasses(below))}


def check_names(found):
    """Each name is that of a request, or of a filesystem's or a file's class and what it was asked for."""
    classes = [cls for base in BASES for cls in subclasses(base) - BASES]
    known = {f"{cls.__qualname__}.{name}" for cls in classes for name in dir(cls)}
    for name in found - METHODS:  # mv has no awaitable form
        assert name in known or name.replace("._", ".") in known, name
        assert ".__" not in name


def read_all(fs, path, **opening):
    """Read parts in order, one elsewhere and the rest."""
    with fs.open(path, "rb", **opening) as file:
        for _ in range(4):
            file.read(BLOCK // 2)
        if file.seekable():
            file.seek(2 * SIZE // 3)
        file.read()


OPERATIONS = {
    "cat": lambda fs, top, tmp: fs.cat(f"{top}/big"),
    "cat many": lambda fs, top, tmp: fs.cat([f"{top}/big", f"{top}/a"]),
    "cat ranges": lambda fs, top, tmp: fs.cat_ranges([f"{top}/big"] * 2, [0, 9], [5, 20]),
    "cat a large part": lambda fs, top, tmp: fs.cat_file(f"{top}/big", start=1, end=SIZE - 1),
    "head": lambda fs, top, tmp: fs.head(f"{top}/big", 10),
    "read text": lambda fs, top, tmp: fs.read_text(f"{top}/a"),
    "read block": lambda fs, top, tmp: fs.read_block(f"{top}/big", 3, 10),
    "info": lambda fs, top, tmp: fs.info(f"{top}/a"),
    "exists": lambda fs, top, tmp: fs.exists(f"{top}/none"),
    "ls": lambda fs, top, tmp: fs.ls(f"{top}/"),
    "walk": lambda fs, top, tmp: list(fs.walk(f"{top}/")),
    "broken off walk": lambda fs, top, tmp: next(iter(fs.walk(f"{top}/"))),
    "find": lambda fs, top, tmp: fs.find(f"{top}/"),
    "glob": lambda fs, top, tmp: fs.glob(f"{top}/*"),
    "du": lambda fs, top, tmp: fs.du(f"{top}/"),
    "tree": lambda fs, top, tmp: fs.tree(f"{top}/"),
    "sizes": lambda fs, top, tmp: fs.sizes([f"{top}/a", f"{top}/big"]),
    "get": lambda fs, top, tmp: fs.get(f"{top}/a", str(tmp / "got")),
    "get many": lambda fs, top, tmp: fs.get([f"{top}/a", f"{top}/big"], str(tmp / "many/")),
    "put": lambda fs, top, tmp: fs.put(str(tmp / "local"), f"{top}/put"),
    "pipe": lambda fs, top, tmp: fs.pipe({f"{top}/piped": b"abc"}),
    "mapper": lambda fs, top, tmp: fs.get_mapper(top).getitems(["a", "big"], on_error="return"),
    "stream": lambda fs, top, tmp: read_all(fs, f"{top}/big", block_size=0),
    "unseen size": lambda fs, top, tmp: fs.open(f"{top}/a", size=3).read(),
} | {
    f"open {cache}": lambda fs, top, tmp, cache=cache: read_all(
        fs, f"{top}/big", cache_type=cache, block_size=BLOCK
    )
    for cache in fsspec.caching.caches
    if cache and cache != "parts"  # which is made of what is known
}
ONLY_HTTP = {"stream", "unseen size"}
WRITING = {
    "write": lambda fs, top, tmp: write(fs, f"{top}/written", b"abc"),
    "write much": lambda fs, top, tmp: write(fs, f"{top}/written", bytes(11 * 2**20)),
    "append": lambda fs, top, tmp: write(fs, f"{top}/a", b"more", "ab"),
    "touch": lambda fs, top, tmp: fs.touch(f"{top}/touched"),
    "mkdir": lambda fs, top, tmp: fs.makedirs(f"{top}/dir", exist_ok=True),
    "cp": lambda fs, top, tmp: fs.cp(f"{top}/a", f"{top}/copy"),
    "cp folder": lambda fs, top, tmp: fs.cp(f"{top}/", f"{top}2/", recursive=True),
    "mv": lambda fs, top, tmp: fs.mv(f"{top}/copy", f"{top}/moved"),
    "rm": lambda fs, top, tmp: fs.rm(f"{top}/moved"),
    "transaction": lambda fs, top, tmp: in_transaction(fs, f"{top}/committed"),
    "rm all": lambda fs, top, tmp: fs.rm(f"{top}2", recursive=True),
}


def write(fs, path, data, mode="wb"):
    with fs.open(path, mode, block_size=5 * 2**20) as file:
        file.write(data)


def in_transaction(fs, path):
    with fs.transaction:
        write(fs, path, b"abc")


@pytest.fixture
def spans(monkeypatch):
    """The spans that have ended, by the exporter of OpenTelemetry's own SDK."""
    trace = pytest.importorskip("opentelemetry.trace")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter, provider = in_memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    monkeypatch.setitem(fsspec.config.conf, "otel", {"spans": True})
    yield exporter.get_finished_spans
    provider.shutdown()


@pytest.fixture
def http_files(http_server):
    http_server.files["/d/a"] = b"abc"
    http_server.files["/d/big"] = bytes(SIZE)
    http_server.files["/d/"] = b'<a href="/d/a">a</a> <a href="/d/big">big</a>'
    return http_server.url + "/d"


@pytest.mark.parametrize("module", MODULES)
def test_spans_over_http_are_named_after_class_and_operation(module, spans, http_files, tmp_path):
    (tmp_path / "local").write_bytes(b"abc")
    fs = made(module)
    for name, operation in OPERATIONS.items():
        if (module, name) != ("http_sync", "pipe"):  # which it does not have
            operation(fs, http_files, tmp_path)
    found = {span.name for span in spans()}
    check_names(found)
    if module == "http_sync":
        assert found <= {*METHODS, "HTTPFile.read"}  # cache_type="adaptive" waits on the event loop
    else:
        assert found >= {
            "HTTPFileSystem._open",
            "HTTPFileSystem._walk",
            "HTTPFile.read",
            "HTTPStreamFile.read",
        }


def test_spans_over_s3_are_named_after_class_and_operation(spans, tmp_path):
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    (tmp_path / "local").write_bytes(b"abc")
    with serve_s3() as address:
        fs = fsspec.filesystem("s3", **options(address), skip_instance_cache=True)
        fs.mkdir("spans")
        fs.pipe({"spans/d/a": b"abc", "spans/d/big": bytes(SIZE)})
        for name, operation in (OPERATIONS | WRITING).items():
            if name not in ONLY_HTTP:
                operation(fs, "spans/d", tmp_path)
    found = {span.name for span in spans()}
    check_names(found)
    assert found >= {"S3FileSystem._walk", "S3File.read", "S3File.write", "S3File.close"}


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_spans_below_caches_and_archives_are_named_after_class_and_operation(
    cache, spans, http_files, http_server, tmp_path
):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("inner", bytes(BLOCK))
    http_server.files["/d/x.zip"] = content.getvalue()
    with tarfile.open(fileobj=(content := io.BytesIO()), mode="w") as archive:
        (tmp_path / "inner").write_bytes(bytes(BLOCK))
        archive.add(tmp_path / "inner", "inner")
    http_server.files["/d/x.tar"] = content.getvalue()
    references = {"inner": [f"{http_files}/big", 1, BLOCK]}
    http_server.files["/d/x.json"] = json.dumps({"version": 1, "refs": references}).encode()
    settings = {cache: {"cache_storage": str(tmp_path / "cache")}}
    for chain in "", f"{cache}::":
        for url in f"zip://inner::{chain}{http_files}/x.zip", f"tar://inner::{chain}{http_files}/x.tar":
            fs, path = fsspec.url_to_fs(url, **(settings if chain else {}))
            read_all(fs, path)
            assert fs.cat_file(path) == bytes(BLOCK)
            assert fs.find("") == ["inner"]
        fs, path = fsspec.url_to_fs(f"{chain}{http_files}/big", **(settings if chain else {}))
        read_all(fs, path)
        fs.cat([path, f"{http_files}/a"])
        fs = fsspec.filesystem(
            "reference", fo=f"{http_files}/x.json", remote_protocol="http", skip_instance_cache=True
        )
        assert fs.cat("inner") == bytes(BLOCK)
        read_all(fs, "inner")
        fs = fsspec.filesystem("dir", path=http_files, fs=made("http"))
        assert fs.cat_file("a") == b"abc" and len(list(fs.walk(""))) == 1
    check_names({span.name for span in spans()})


@pytest.mark.parametrize("module", MODULES)
def test_requests_are_spans_below_those_of_the_program(module, http_server, spans):
    from opentelemetry import trace

    http_server.files["/a"] = b"abc"
    http_server.fault("/b", status=500)
    fs = made(module)
    with trace.get_tracer("program").start_as_current_span("job"):
        assert fs.cat_file(http_server.url.replace("://", "://user:word@") + "/a?key=hidden") == b"abc"
        with pytest.raises(OSError):
            fs.cat_file(http_server.url + "/b")
    *found, job = spans()
    requests = [span for span in found if span.name == "GET"]
    assert len(requests) == len(http_server.requests)
    assert {span.context.trace_id for span in found} == {job.context.trace_id}
    first = requests[0]
    assert first.attributes["url.full"] == http_server.url + "/a?key=..."
    assert first.attributes["http.request.method"] == "GET"
    assert first.attributes["http.response.status_code"] == 200
    assert first.status.status_code is trace.StatusCode.UNSET and "error.type" not in first.attributes
    assert requests[1].attributes["http.response.status_code"] == 500
    assert requests[1].attributes["error.type"] == "500"
    assert requests[1].status.status_code is trace.StatusCode.ERROR
    assert first.kind is trace.SpanKind.CLIENT and first.instrumentation_scope.name == "fsspec"
    assert "hidden" not in str([span.to_json() for span in found])
    if module == "http":  # an awaitable filesystem, each of whose blocking calls is a span
        calls = [span for span in found if span not in requests]
        assert [span.name.rpartition(".")[2] for span in calls] == ["_cat_file", "_cat_file"]
        assert calls[0].parent.span_id == job.context.span_id
        assert first.parent.span_id == calls[0].context.span_id
        assert calls[1].attributes["error.type"] and calls[1].status.status_code is trace.StatusCode.ERROR


def test_spans_of_s3_are_named_after_what_is_done(spans, tmp_path):
    """Also where a cache, a plan or a function of s3fs does it."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")

    def names():
        found = [span.name.split(".") for span in spans()[len(seen) :]]
        seen.extend(found)
        return found

    seen = []
    with serve_s3() as address:
        fs = fsspec.filesystem("s3", **options(address), skip_instance_cache=True)
        fs.mkdir("spans")
        fs.pipe({"spans/a": b"abc", "spans/b": b"def"})
        names()
        for cache in "simplecache", "filecache":
            cached = fsspec.filesystem(cache, fs=fs, cache_storage=str(tmp_path / cache))
            assert cached.cat_file("spans/a") == b"abc"
            assert names()[-1] == ["S3FileSystem", "_get_file"]
            with cached.open("spans/b") as file:
                assert file.read() == b"def"
            assert names()[-1] == ["S3FileSystem", "_get_file"]
        with fs.open("spans/a") as file:
            assert file.read() == b"abc"
        assert names()[-1] == ["S3File", "read"]
        assert len(list(fs.walk("spans"))) == 1
        assert names()[-1] == ["S3FileSystem", "_walk"]
        fs.mv("spans/a", "spans/c")
        assert names()[-1] == ["S3FileSystem", "_mv"]
        cached.find("spans")
        assert names()[-1] == ["S3FileSystem", "_find"]


def test_a_span_of_many_files_leaves_them_all(spans, http_server, tmp_path):
    """Its name is that of the first operation of a batch."""
    files = {f"/{number}": b"%d" % number for number in range(5)}
    http_server.files.update(files)
    fs = fsspec.filesystem("simplecache", fs=made("http"), cache_storage=str(tmp_path))
    urls = [http_server.url + name for name in files]
    assert list(fs.cat(urls).values()) == list(files.values())
    calls = {span.name for span in spans() if span.name not in ("GET", "HEAD")}
    assert calls == {"HTTPFileSystem._expand_path", "HTTPFileSystem._get_file"}


def test_spans_that_were_not_asked_for_are_not_made(spans, http_server, monkeypatch):
    http_server.files["/a"] = b"abc"
    monkeypatch.setitem(fsspec.config.conf, "otel", {"spans": False})
    made("http").cat_file(http_server.url + "/a")
    monkeypatch.delitem(fsspec.config.conf, "otel")
    made("http").cat_file(http_server.url + "/a")
    assert spans() == ()


def test_spans_without_opentelemetry_are_an_error_that_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setitem(fsspec.config.conf, "otel", {"spans": True})
    with pytest.raises(ImportError, match="pip install opentelemetry-api"):
        made("http").cat_file("http://127.0.0.1:9/a")
