"""Codecs: what they write they read, in the order and format of others."""

import errno
import gzip
import io
import os
import pickle
import subprocess
import sys
import weakref
import zipfile

import pytest

import fsspec
from fsspec import compression, utils
from fsspec._files.decoding import reading_layer
from fsspec._files.open_file import get_compression
from fsspec.compression import available_compressions, compr, register_compression
from fsspec.implementations.local import LocalFileOpener

TEXT = b"first line\nsecond\n" + b"payload " * 5000
STANDARD = ["zip", "bz2", "gzip", "lzma", "xz"]
PACKAGES = {"snappy": "snappy", "lz4": "lz4.frame", "zstd": "zstandard"}


class Kept(io.BytesIO):
    """What was written to it outlives its end."""

    data = b""

    def close(self):
        if not self.closed:
            self.data = self.getvalue()
        super().close()


def compressed(name, data=TEXT):
    target = Kept()
    with compr[name](target, mode="wb") as f:
        for start in range(0, len(data), 9999):
            f.write(data[start : start + 9999])
    target.close()
    return target.data


@pytest.fixture(params=[*STANDARD, *PACKAGES])
def name(request):
    if request.param in PACKAGES:
        pytest.importorskip(PACKAGES[request.param])
    return request.param


@pytest.fixture
def registry(monkeypatch):
    """Changes of the registry end with the test."""
    known, extensions = dict(compr), dict(utils.compressions)
    yield
    for table, before in ((compr, known), (utils.compressions, extensions)):
        table.clear()
        table.update(before)


def test_what_a_codec_writes_it_reads(name):
    data = compressed(name)
    assert len(data) < len(TEXT) or name == "zip"
    with compr[name](io.BytesIO(data), mode="rb") as f:
        assert f.read(5) == b"first"
        assert f.readline() == b" line\n"
        assert f.readline() == b"second\n"
        assert f.read() == TEXT[18:] and f.read() == f.read(5) == b""


def test_lines_and_text(name):
    data = compressed(name, b"a\nb\n\xc3\xa9")
    with compr[name](io.BytesIO(data), mode="rb") as f:
        assert list(f) == [b"a\n", b"b\n", b"\xc3\xa9"]
    with io.TextIOWrapper(compr[name](io.BytesIO(data), mode="rb"), encoding="utf-8") as text:
        assert text.read() == "a\nb\né"


def test_nothing_is_something_too(name):
    with compr[name](io.BytesIO(compressed(name, b"")), mode="rb") as f:
        assert f.read() == b""


@pytest.mark.parametrize("name", ["bz2", "gzip", "lzma", "xz", "snappy", "lz4", "zstd"])
def test_a_stream_that_was_cut_off_is_no_whole_one(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    data = compressed(name)
    for left in (len(data) - 4, len(data) - 1, len(data) // 2):
        with pytest.raises(EOFError), compr[name](io.BytesIO(data[:left]), mode="rb") as f:
            f.read()


def test_options_go_to_the_codec():
    target = io.BytesIO()
    with compr["gzip"](target, mode="wb", compresslevel=1, mtime=0) as f:
        f.write(TEXT)
    assert target.getvalue() == gzip.compress(TEXT, 1, mtime=0)[:9] + target.getvalue()[9:]
    assert gzip.decompress(target.getvalue()) == TEXT


def test_several_frames_of_zstandard_are_one_file():
    zstandard = pytest.importorskip("zstandard")
    data = zstandard.compress(b"one ") + zstandard.compress(b"two")
    assert compr["zstd"](io.BytesIO(data), mode="rb").read() == b"one two"


def test_frames_of_zstandard_can_be_read_from_anywhere():
    zstandard = pytest.importorskip("zstandard")
    text = bytes(i * i % 251 for i in range(500_000))
    f = compr["zstd"](
        io.BytesIO(zstandard.compress(text[:1000]) + zstandard.compress(text[1000:])), mode="rb"
    )
    assert f.seekable()
    for at in (499_990, 0, 1, 300_000, 299_999, 500_000, 600_000, 7):
        assert f.seek(at) == min(at, 500_000) and f.read(100) == text[at : at + 100]
    assert (f.seek(-5, 2), f.read(), f.seek(0, 5), f.seek(0), f.read()) == (
        499_995,
        text[-5:],
        500_000,
        0,
        text,
    )
    with pytest.raises(zstandard.ZstdError):
        compr["zstd"](io.BytesIO(b"no frame at all"), mode="rb").read()


def test_frames_that_come_as_a_stream_are_sought_forward():
    zstandard = pytest.importorskip("zstandard")

    class Stream(io.BytesIO):
        def seekable(self):
            return False

    f = compr["zstd"](Stream(zstandard.compress(b"0123456789\nabc")), mode="rb")
    assert [f.read(1), f.seek(3), f.read(2), f.seek(2, 1), f.readline()] == [b"0", 3, b"34", 7, b"789\n"]
    assert f.seek(99) == f.seek(0, 5) == 14
    for back in ((2,), (-1, 1), (0, 2)):
        with pytest.raises(OSError):
            f.seek(*back)


def test_no_compression_is_the_file_itself():
    f = io.BytesIO()
    assert compr[None](f, mode="rb") is compression.noop_file(f, "wb") is f


def test_a_snappy_stream_goes_forward_only():
    pytest.importorskip("snappy")
    f = compression.SnappyFile(io.BytesIO(compressed("snappy", b"0123456789")), "rb")
    assert not f.seekable()
    with pytest.raises(NotImplementedError):
        f.seek(0)
    assert (f.read(4), f.tell(), f._fetch_range(4, 8), f.tell()) == (b"0123", 4, b"4567", 8)
    assert f.readuntil(b"9") == b"89"


@pytest.mark.parametrize("name", ["bz2", "gzip", "lzma", "xz", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("kind", ["file", "simplecache"])
def test_what_a_codec_wrote_is_there_once_it_is_closed(name, kind, tmp_path):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    options = {"target_protocol": "file", "cache_storage": str(tmp_path / "cache")}
    fs = fsspec.filesystem(kind, **(options if kind == "simplecache" else {}))
    path = str(tmp_path / "file")
    with fs.open(path, "wb", compression=name) as f:
        f.write(TEXT)
    with fsspec.open(path, "rb", compression=name) as again:
        assert again.read() == TEXT
    assert f.closed


# zip


def zipped(**members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    target.seek(0)
    return target


def test_a_zip_archive_is_read_by_its_first_member_or_the_one_named():
    assert compression.unzip(zipped(first="1", second="2")).read() == b"1"
    assert compression.unzip(zipped(first="1", second="2"), filename="second").read() == b"2"
    with pytest.raises(KeyError, match="third"):
        compression.unzip(zipped(first="1"), filename="third")
    with pytest.raises(FileNotFoundError, match="no members"):
        compression.unzip(zipped())


@pytest.mark.parametrize("given, member", [(None, "file"), ("inner", "inner")])
def test_a_zip_archive_is_whole_when_its_member_is_closed(given, member):
    target = io.BytesIO()
    f = compression.unzip(target, "wb", filename=given)
    f.write(b"abc")
    f.close()
    f.close()
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == [member] and archive.read(member) == b"abc"


# the registry


def test_what_works_here_is_available():
    names = available_compressions()
    assert names[0] is None and set(STANDARD) < set(names)
    for name, module in PACKAGES.items():
        if name != "zstd":
            try:
                __import__(module)
            except ImportError:
                assert name not in names
            else:
                assert name in names


def test_a_codec_can_be_added(registry):
    register_compression("reverse", lambda f, mode, **kwargs: f, ["rv", "rvv"])
    assert "reverse" in compr and "reverse" in available_compressions()
    assert utils.infer_compression("a.rv") == utils.infer_compression("a.RVV") == "reverse"


def test_an_extension_may_be_given_with_its_dot_and_in_capitals(registry):
    register_compression("reverse", lambda f, mode, **kwargs: f, [".rv", "RW"])
    assert utils.infer_compression("a.rv") == utils.infer_compression("a.rw") == "reverse"
    with pytest.raises(ValueError, match="'rv' means 'reverse'"):
        register_compression("other", lambda f, mode, **kwargs: f, ".rv")


@pytest.mark.parametrize("codec", [3, None])
def test_a_codec_that_cannot_be_called_is_refused(registry, codec):
    with pytest.raises(TypeError, match="the compression 'reverse' needs a function"):
        register_compression("reverse", codec, "rv")
    with pytest.raises(TypeError, match="the extensions of the compression 'reverse' are text"):
        register_compression("reverse", lambda f, mode, **kwargs: f, ["rv", 3])
    assert "reverse" not in compr and "rv" not in utils.compressions


def test_names_and_extensions_are_taken_once(registry):
    before = dict(compr), dict(utils.compressions)
    with pytest.raises(ValueError, match="gzip"):
        register_compression("gzip", lambda f, **kwargs: f, "zz")
    with pytest.raises(ValueError, match="gz"):
        register_compression("other", lambda f, **kwargs: f, ["zz", "gz"])
    assert (compr, utils.compressions) == before


def test_unless_by_force(registry):
    def mine(f, **kwargs):
        return f

    register_compression("gzip", mine, "gz", force=True)
    assert compr["gzip"] is mine and utils.infer_compression("a.gz") == "gzip"


MODULES = {
    "snappy": (["snappy"], "python-snappy"),
    "lz4": (["lz4", "lz4.frame"], "lz4"),
    "zstd": (["zstandard", "backports.zstd", "backports", "compression.zstd"], "zstandard"),
}


@pytest.mark.parametrize("name, modules, package", [(name, *needs) for name, needs in MODULES.items()])
def test_a_package_that_is_missing_is_named_when_a_file_is_opened(name, modules, package):
    code = (
        "import sys\n"
        f"for module in {modules}: sys.modules[module] = None\n"
        "import io, fsspec.compression as c, fsspec.utils as u\n"
        f"assert {name!r} not in c.available_compressions()\n"
        f"try: c.compr[{name!r}](io.BytesIO(), mode='rb')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert package in done.stdout and not done.stderr


@pytest.fixture(params=MODULES)
def missing(request, monkeypatch):
    """The name of a codec whose package is not there."""
    modules, _ = MODULES[request.param]
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    return request.param


ASKING = {
    "fsspec.open": lambda name: fsspec.open("memory://f", compression=name),
    "to write": lambda name: fsspec.open("memory://f", "wb", compression=name),
    "open_files": lambda name: fsspec.open_files(["memory://f"], compression=name),
    "fs.open": lambda name: fsspec.filesystem("memory").open("/f", compression=name),
    "fs.open to write": lambda name: fsspec.filesystem("memory").open("/f", "wb", compression=name),
    "get_compression": lambda name: get_compression("f", name),
    "codec": lambda name: compr[name](io.BytesIO(), mode="rb"),
}


@pytest.mark.parametrize("way", ASKING)
def test_a_missing_codec_is_an_error_of_both_kinds_before_anything_is_opened(m, missing, way):
    m.pipe_file("/f", b"kept")
    for kind in (ImportError, ValueError):
        with pytest.raises(kind, match=f"Compression type {missing} not supported.*pip install"):
            ASKING[way](missing)
    assert m.cat_file("/f") == b"kept"


@pytest.mark.parametrize(
    "open_it",
    [
        lambda url: fsspec.open(url, "wb", compression="infer").open(),
        lambda url: fsspec.filesystem("memory").open(url, "wb", compression="infer"),
    ],
)
def test_a_file_is_not_emptied_for_an_inferred_codec_that_is_missing(m, missing, open_it):
    ending = {"zstd": "zst", "lz4": "lz4"}.get(missing)
    if ending is None:
        pytest.skip("no extension stands for it")
    m.pipe_file(f"/f.{ending}", b"kept")
    with pytest.raises(ValueError, match="pip install"):
        open_it(f"memory://f.{ending}")
    assert m.cat_file(f"/f.{ending}") == b"kept"


@pytest.mark.parametrize("what", ["another format", "cut off", "damaged"])
@pytest.mark.parametrize("name", ["gzip", "bz2", "xz", "lzma", "zstd", "lz4", "zip"])
def test_errors_of_what_cannot_be_decoded_name_the_file(name, what, tmp_path):
    if name not in available_compressions():
        pytest.skip(f"there is no {name}")
    path = tmp_path / f"a b.{name}"
    with fsspec.open(str(path), "wb", compression=name) as f:
        f.write(os.urandom(100_000))
    whole = path.read_bytes()
    if what == "another format":
        path.write_bytes(b"this is plain text" * 9)
    elif what == "cut off":
        path.write_bytes(whole[:50_000])
    else:
        path.write_bytes(whole[:30_000] + bytes(1000) + whole[31_000:])
    fs = fsspec.filesystem("file")

    def cached(kind):
        return fsspec.filesystem(kind, target_protocol="file", compression=name, skip_instance_cache=True)

    reads = {
        "with": lambda f: f.read(),
        "text": lambda f: io.TextIOWrapper(f, "latin1").read(),
        "lines": lambda f: list(f),
        "into": lambda f: f.readinto(bytearray(100_000)) and f.read(),
    }
    kinds, openings = (
        set(),
        {
            "fsspec.open": lambda: fsspec.open(str(path), compression=name).open(),
            "fs.open": lambda: fs.open(str(path), compression=name),
            "LocalFileOpener": lambda: LocalFileOpener(str(path), "rb", compression=name),
            "simplecache": lambda: cached("simplecache").open(str(path)),
            "blockcache": lambda: cached("blockcache").open(str(path)),
        },
    )
    for opening in openings.values():
        for read in reads.values():
            f = None
            try:
                f = opening()
                read(f)
            except Exception as error:
                assert str(error).count("a b.") == 1 and str(path) in str(error)
                kinds.add(type(error))
                assert type(pickle.loads(pickle.dumps(error))) is type(error)
            else:
                assert name in ("zstd", "lz4") and what == "damaged"  # without a checksum nobody can tell
            finally:
                if f is not None:
                    f.close()
    assert all(kind.__module__.partition(".")[0] != "fsspec" for kind in kinds)


def test_errors_of_the_source_and_of_the_caller_are_left_as_they_are(m):
    class Failing(io.BytesIO):
        def read(self, *args):
            raise failure

    for failure in (PermissionError(errno.EACCES, "no", "the source"), ValueError("what"), OSError("two", 2)):
        layer = reading_layer(compr["gzip"], Failing(), "the path")
        with pytest.raises(type(failure)) as caught:
            layer.read()
        assert caught.value is failure and "the path" not in str(failure)
        layer.close()
    m.pipe_file("/a.gz", gzip.compress(b"data"))
    with m.open("/a.gz", compression="infer") as f:
        assert isinstance(f, gzip.GzipFile) and type(f).__name__ == "GzipFile"
        with pytest.raises(TypeError) as caught:
            f.read("3")
        assert "/a.gz" not in str(caught.value)
    with pytest.raises(ValueError) as caught:
        f.read()
    assert "/a.gz" not in str(caught.value)


def test_a_zstd_stream_of_random_bytes_that_was_cut_off_is_no_whole_one():
    if "zstd" not in available_compressions():
        pytest.skip("there is no zstd")
    data = os.urandom(200_000)
    whole = compressed("zstd", data)
    for length in (1000, 100_000, 131_072, 150_000, len(whole) - 1):
        with pytest.raises(EOFError), compr["zstd"](io.BytesIO(whole[:length]), mode="rb") as f:
            f.read()
    assert compr["zstd"](io.BytesIO(whole), mode="rb").read() == data


def test_what_is_read_is_an_object_of_the_codec_s_class(tmp_path):
    """Also where that class has rules of its own about attributes and subclasses."""

    class Strict(gzip.GzipFile):
        def __setattr__(self, name, value):
            if name in ("read", "read1", "_read1"):
                raise RuntimeError(name)
            super().__setattr__(name, value)

        def __init_subclass__(cls, **kwargs):
            raise ValueError("no subclass")

    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"abc"))
    with fsspec.open(path, compression="gzip") as f:
        assert type(f) is gzip.GzipFile and f.read() == b"abc"
    with open(path, "rb") as raw:
        layer = reading_layer(lambda f, mode: Strict(fileobj=f, mode=mode), raw, "the path")
        assert type(layer) is Strict and layer.read() == b"abc"


def test_a_file_that_is_dropped_ends_at_once():
    """What names it in errors makes no cycle of it."""

    class Raw(io.BytesIO):
        pass

    raw = Raw(gzip.compress(b"abc"))
    ended = weakref.ref(raw)
    layer = reading_layer(compr["gzip"], raw, "the path")
    layer.read(1)
    del layer, raw
    assert ended() is None
