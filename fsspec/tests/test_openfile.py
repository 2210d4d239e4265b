"""Files to be opened later, alone and together."""

import gc
import gzip
import io
import os
import pickle

import pytest

import fsspec
from fsspec._files.open_file import get_compression
from fsspec.core import OpenFile, OpenFiles, PickleableTextIOWrapper
from fsspec.spec import AbstractBufferedFile
from fsspec.tests.programs import run


class Many(fsspec.get_filesystem_class("memory")):
    """Memory that opens and ends several files as a whole."""

    protocol = "many"
    cachable = False

    def open_many(self, files):
        self.made = [io.BytesIO() if "w" in f.mode else io.BytesIO(f.path.encode()) for f in files]
        return self.made

    def commit_many(self, files):
        for name, f in zip("ab", files):
            self.pipe_file(name, f.getvalue())
            f.close()


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_a_mode_of_text_and_binary_at_once_is_binary(protocol, tmp_path, m):
    fs = fsspec.filesystem(protocol)
    path = f"{tmp_path}/a"
    if protocol == "memory":
        path = "/a"
    for letters in ("bt", "tb"):
        with fs.open(path, "w" + letters) as f:
            f.write(b"\r\n")
        with fs.open(path, "r" + letters) as f:
            assert f.read() == b"\r\n"


def test_each_layer_is_flushed_before_it_is_closed(m):
    """So a codec ends its block there, and what is written is the same as in fsspec to the byte."""
    with fsspec.open("memory://a.gz", "wb", compression="gzip") as f:
        f.write(b"abc")
    with fsspec.filesystem("memory").open("/b.gz", "wb", compression="gzip") as f:
        f.write(b"abc")
        f.flush()
    assert m.cat("/a.gz")[10:] == m.cat("/b.gz")[10:] and m.cat("/a.gz")[-12:-8] == b"\xff\xff\x03\x00"


def test_layers_are_opened_and_closed(m):
    """File, codec and text, all of them closed."""
    with OpenFile(m, "/x.gz", "wt", compression="infer", encoding="latin1", newline="\r\n") as f:
        f.write("é\n")
    assert gzip.decompress(m.cat_file("/x.gz")) == b"\xe9\r\n"
    of = OpenFile(m, "/x.gz", "rt", compression="gzip", encoding="latin1")
    with of as f:
        assert f.read() == "é\n"
        layers = list(of.fobjects)
    assert len(layers) == 3 and all(layer.closed for layer in layers)
    assert of.fobjects == []


def test_pickle_carries_what_it_is_and_nothing_open(m):
    """It comes back closed."""
    of = OpenFile(m, "/x", "rt", encoding="latin1", errors="ignore", newline="")
    m.pipe_file("/x", b"text")
    of.open()
    back = pickle.loads(pickle.dumps(of))
    assert (back.fs, back.path, back.mode, back.encoding) == (m, "/x", "rt", "latin1")
    assert (back.errors, back.newline, back.fobjects) == ("ignore", "", [])
    assert back.full_name == "memory:///x"
    of.close()


@pytest.mark.parametrize("compression", ["nonsense", "GZIP", ""])
def test_an_unknown_compression_names_those_there_are(m, compression):
    """The error says which there are."""
    with pytest.raises(ValueError, match="gzip"):
        OpenFile(m, "/x", compression=compression)


def test_a_compression_is_inferred_from_the_extension():
    """By the extension; none where it says nothing."""
    assert get_compression("a/b.gz", "infer") == "gzip"
    assert get_compression("a.gz/b", "infer") is None
    assert get_compression("a.gz", None) is None


def test_what_was_opened_is_closed_where_the_codec_fails(m):
    """And the file can be opened again."""
    m.pipe_file("/x.bin", b"plain")
    with pytest.raises(LookupError, match="no-such"):
        OpenFile(m, "/x.bin", "rt", encoding="no-such").open()
    with OpenFile(m, "/x.bin") as f:
        assert f.read() == b"plain"


@pytest.mark.parametrize("mode", ["zz", "", "rw"])
def test_an_unknown_mode_is_a_value_error(m, mode):
    """As the built-in ``open`` would."""
    m.pipe_file("/x", b"")
    with pytest.raises(ValueError):
        OpenFile(m, "/x", mode).open().read(1).decode()


def test_text_is_pickled_with_what_lies_below(tmp_path):
    """It begins anew, over a file that was."""
    (tmp_path / "x").write_text("one\ntwo\n")
    f = PickleableTextIOWrapper(fsspec.filesystem("file").open(str(tmp_path / "x"), "rb"), "utf8")
    with pickle.loads(pickle.dumps(f)) as back:
        assert back.read() == "one\ntwo\n"
    f.close()


def test_several_files_are_one_context(m):
    """Slices stay such; the context is entered once at a time."""
    m.pipe({"/a": b"A", "/b": b"B"})
    files = fsspec.open_files(["memory://a", "memory://b"])
    assert isinstance(files[:1], OpenFiles) and files[:1].fs is m
    assert isinstance(files[0], OpenFile)
    with files as opened:
        assert [f.read() for f in opened] == [b"A", b"B"]
        with pytest.raises(ValueError, match="once"):
            files.__enter__()
    assert all(f.closed for f in opened)
    with files as again:
        assert again[1].read() == b"B"


def test_one_that_cannot_be_opened_closes_the_others(m):
    """None stays open."""
    m.pipe_file("/a", b"A")
    files = fsspec.open_files(["memory://a", "memory://gone"])
    with pytest.raises(FileNotFoundError):
        files.__enter__()
    assert [f.fobjects for f in files] == [[], []]


def test_a_pickled_copy_of_open_files_is_not_open(m):
    m.pipe({"/a": b"one", "/b": b"two"})
    files = fsspec.open_files(["memory://a", "memory://b"])
    with files:
        copy = pickle.loads(pickle.dumps(files))
        with copy as opened:
            assert [f.read() for f in opened] == [b"one", b"two"]
        assert [f.closed for f in files.files] == [False, False]


def test_all_are_closed_where_one_fails(m):
    """The error comes once all are."""

    class Failing(io.BytesIO):
        def close(self):
            super().close()
            raise OSError("no room")

    m.pipe({"/a": b"A", "/b": b"B"})
    files = fsspec.open_files(["memory://a", "memory://b"])
    opened = files.__enter__()
    files[0].fobjects = [Failing()]
    with pytest.raises(OSError, match="no room"):
        files.__exit__(None, None, None)
    assert opened[1].closed


def test_filesystem_that_opens_many():
    """Those read are closed, those written are committed."""
    fs = Many()
    reading = OpenFiles([OpenFile(fs, "/a"), OpenFile(fs, "/b")], mode="rb", fs=fs)
    with reading as opened:
        assert [f.read() for f in opened] == [b"/a", b"/b"]
    assert all(f.closed for f in opened) and not fs.exists("/a")
    with OpenFiles([OpenFile(fs, "/a", "wb"), OpenFile(fs, "/b", "wb")], mode="wb", fs=fs) as opened:
        for i, f in enumerate(opened):
            f.write(b"%d" % i)
    assert fs.cat(["/a", "/b"]) == {"/a": b"0", "/b": b"1"}
    fs.rm(["/a", "/b"])


def test_what_is_written_is_the_openers(tmp_path):
    """A child that leaves the context writes nothing, text and codec above it or not."""
    found = run(
        f"""
        import gc, gzip, os
        import fsspec
        from fsspec._checks.forked import by_fork
        folder = {str(tmp_path)!r}
        plain = fsspec.open(folder + "/plain", "wt")
        packed = fsspec.open(folder + "/packed.gz", "wt", compression="infer")
        files = [of.open() for of in (plain, packed)]
        for f in files:
            f.write("parent\\n")
        def leave():
            plain.close(); packed.close()
        def drop():
            global plain, packed, files
            del plain, packed, files
            gc.collect()
        for body in (leave, drop, lambda: None):
            assert by_fork(body).problem() == "", by_fork(body).problem()
        for f in files:
            f.write("more\\n")
        plain.close(); packed.close()
        for codec in (open, gzip.open):
            with codec(folder + ("/plain" if codec is open else "/packed.gz"), "rt") as f:
                print(f.read(), end="")
        """
    )
    assert found == "parent\nmore\n" * 2


def test_several_that_were_being_written_are_not_committed_by_a_child():
    """Leaving the context there is silent."""
    found = run(
        """
        import fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.tests.test_openfile import Many, OpenFile, OpenFiles
        fs = Many()
        files = OpenFiles([OpenFile(fs, "/a", "wb"), OpenFile(fs, "/b", "wb")], mode="wb", fs=fs)
        opened = files.__enter__()
        opened[0].write(b"parent")
        def body():
            files.__exit__(None, None, None)
            assert not fs.exists("/a")
        assert by_fork(body).problem() == "", by_fork(body).problem()
        files.__exit__(None, None, None)
        print(fs.cat_file("/a"))
        """
    )
    assert found == "b'parent'\n"


def test_dropping_one_that_is_open_is_silent(m):
    """No warning of a file that was never closed."""
    m.pipe_file("/a", b"A")
    fsspec.open("memory://a").open()
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")
@pytest.mark.parametrize("compression", ["", "gzip", "bz2", "lzma", "zip"])
def test_layers_over_a_file_being_written_end_silently_in_a_child(tmp_path, compression):
    """Text, codec and file: ended in any way they write nothing; flushing to the file raises."""
    run(
        """
        import gc, os, sys
        import fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.core import OpenFile
        from fsspec.exceptions import ForkError

        codec, folder = os.environ["CODEC"] or None, os.environ["FOLDER"]
        line = "hello world\\n"

        def refused():
            for act in (lambda: f.write(line * 9000 if text else line.encode() * 9000), f.flush):
                try:
                    act()
                except ForkError:
                    continue
                raise AssertionError("no error")

        def close():
            f.close()
            of and of.close()

        def leave():
            f.__exit__(None, None, None)

        def drop():
            globals().pop("f")
            globals().pop("of")
            gc.collect()

        def nothing():
            pass

        for text in (True, False):
            for later in (True, False):
                fs, path = fsspec.filesystem("file"), f"{folder}/{text}-{later}"
                mode = "wt" if text else "wb"
                of = OpenFile(fs, path, mode, compression=codec) if later else None
                f = of.open() if later else fs.open(path, mode, compression=codec)
                f.write(line * 50 if text else line.encode() * 50)
                for child in (close, leave, drop, nothing, refused):
                    report = by_fork(child)
                    assert not report.problem(), (text, later, child, report.problem())
                close()
                with fs.open(path, "rb", compression=codec) as g:
                    assert g.read() == line.encode() * 50
        """,
        CODEC=compression,
        FOLDER=str(tmp_path),
    )


def test_secrets_of_urls_are_not_shown():
    url = "memory://me:hidden@host/x?sig=hidden"
    fs = fsspec.filesystem("memory")
    file = OpenFile(fs, url, "rb")
    assert "hidden" not in repr(file) and "/x?sig=..." in repr(file)
    with pytest.raises(FileNotFoundError, match="is not there") as caught:
        file.open()
    assert "hidden" not in str(caught.value) and "pattern" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="pattern"):
        OpenFile(fs, "memory://x[1]", "rb").open()
    shown = AbstractBufferedFile(fs, url, "rb", size=1)
    assert "hidden" not in repr(shown) + str(shown)
    with pytest.raises(ValueError, match="Seek before start") as early:
        shown.seek(-1)
    assert "hidden" not in str(early.value)


@pytest.mark.parametrize("name", ["read", "write", "readline", "seek", "closed"])
def test_what_is_not_open_says_how_it_is_opened(m, name):
    file = fsspec.open("memory://a")
    with pytest.raises(AttributeError, match=f"no attribute '{name}': .* 'with fsspec.open"):
        getattr(file, name)
    assert not hasattr(file, name)


def test_another_attribute_is_only_missing(m):
    with pytest.raises(AttributeError, match="'OpenFile' object has no attribute 'nothing'$"):
        fsspec.open("memory://a").nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute '__len__'$"):
        fsspec.open("memory://a").__len__()
