"""What the class of a backend lacks is told by an error that names the method to write."""

import contextlib
import io

import pytest

from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


class Bare(AbstractFileSystem):
    """It lists, and no more."""

    cachable = False

    def ls(self, path, detail=True, **kwargs):
        return [{"name": "a", "size": 3, "type": "file"}] if detail else ["a"]


class BareAsync(AsyncFileSystem):
    cachable = False

    async def _info(self, path, **kwargs):
        return {"name": "a", "size": 3, "type": "file"}


class File(AbstractBufferedFile):
    """It adds nothing."""


def opening(kind):
    class Own(Bare):
        def _open(self, path, mode="rb", *args, **kwargs):
            return kind(self, path, mode, block_size=5)

    return Own()


READS = {
    "open": lambda fs: fs.open("a").read(),
    "cat": lambda fs: fs.cat("a"),
    "cat_file": lambda fs: fs.cat_file("a", 1, 2),
    "get_mapper": lambda fs: fs.get_mapper("")["a"],
    "read_text": lambda fs: fs.read_text("a"),
}


def write_a_block(fs):
    f = fs.open("n", "wb")
    try:
        f.write(b"more than a block")
    finally:
        f.closed = True  # or its finalizer would try again


WRITES = {
    "open": write_a_block,
    "pipe": lambda fs: fs.pipe("n", b"1"),
    "write_text": lambda fs: fs.write_text("n", "1"),
    "get_mapper": lambda fs: fs.get_mapper("").__setitem__("n", b"1"),
}


@pytest.mark.parametrize("what", READS)
def test_reading_without_a_file_of_its_own_names_what_to_write(what):
    with pytest.raises(
        NotImplementedError, match=r"Own cannot read 'a'.* File, has no _fetch_range .* cat_file"
    ):
        READS[what](opening(File))
    with pytest.raises(NotImplementedError, match=r"Bare cannot read 'a'.*_open.*_fetch_range"):
        READS[what](Bare())


@pytest.mark.parametrize("what", WRITES)
def test_writing_without_an_upload_names_what_to_write(what):
    with pytest.raises(
        NotImplementedError, match=r"Own cannot write 'n'.* File, has no _upload_chunk .* pipe_file"
    ):
        WRITES[what](opening(File))
    if what != "open":  # whose block is larger
        with pytest.raises(NotImplementedError, match=r"Bare cannot write 'n'.*_open.*_upload_chunk"):
            WRITES[what](Bare())


def test_writing_in_a_transaction_without_an_upload_is_an_error_at_its_end():
    fs = opening(File)
    with pytest.raises(NotImplementedError, match="_upload_chunk"):
        with fs.transaction:
            fs.pipe_file("n", b"1")


def test_an_awaitable_backend_is_told_of_its_own_method():
    with pytest.raises(NotImplementedError, match=r"BareAsync cannot write 'n'.* no _pipe_file$"):
        with BareAsync().open("n", "wb") as f:
            f.write(b"1")


@pytest.mark.parametrize("transaction", [False, True])
def test_a_pipe_file_that_opens_the_file_it_is_to_write_is_no_endless_loop(transaction):
    class Opening(Bare):
        def pipe_file(self, path, value, mode="overwrite", **kwargs):
            with self.open(path, "wb") as f:
                f.write(value)

    class Plain(BareAsync):
        def _pipe_file(self, path, value, mode="overwrite", **kwargs):
            """No coroutine: `pipe_file` is that of the base class, which opens the file."""

    for fs, match in (
        (Opening(), r"Opening cannot write 'n': its pipe_file opens .* has no _upload_chunk"),
        (Plain(), "Plain cannot write 'n': Plain._pipe_file exists, but is not a coroutine function"),
    ):
        with pytest.raises(NotImplementedError, match=match):
            with fs.transaction if transaction else contextlib.nullcontext():
                with fs.open("n", "wb") as f:
                    f.write(b"1")
        assert not fs._intrans


def test_a_pipe_file_that_opens_another_file_is_no_loop():
    stored = {}

    class Both(Bare):
        def pipe_file(self, path, value, mode="overwrite", **kwargs):
            stored[path] = value
            if path != "log":
                with self.open("log", "wb") as f:
                    f.write(path.encode())

    with Both().open("n", "wb") as f:
        f.write(b"1")
    assert stored == {"n": b"1", "log": b"n"}


def test_a_method_that_is_no_coroutine_is_said_to_be_none():
    class Plain(BareAsync):
        def _cat_file(self, path, start=None, end=None, **kwargs):
            return b"abc"

        def _ls(self, path, detail=True, **kwargs):
            return []

    with pytest.raises(NotImplementedError, match="Plain._cat_file exists, but is not a coroutine function"):
        Plain().open("a").read()
    with pytest.raises(NotImplementedError, match="Plain._ls exists, but is not a coroutine function"):
        Plain().ls("")


def test_nothing_written_is_no_loss():
    opening(File).touch("n")
    opening(File).pipe_file("n", b"")


class Closing(AbstractBufferedFile):
    def close(self):
        if self.mode == "wb" and not self.closed:
            self.fs.stored = self.buffer.getvalue()
        super().close()


class Flushing(AbstractBufferedFile):
    def flush(self, force=False):
        if force:
            self.fs.stored = self.buffer.getvalue()
        super().flush(force)


class Beginning(AbstractBufferedFile):
    def _initiate_upload(self):
        self.fs.stored = self.buffer.getvalue()


class Leaving(AbstractBufferedFile):
    def __exit__(self, *args):
        self.fs.stored = self.buffer.getvalue()
        super().__exit__(*args)


class Writing(AbstractBufferedFile):
    def write(self, data):
        self.fs.stored = data
        return super().write(data)


class Buffering(AbstractBufferedFile):
    def __init__(self, fs, *args, **kwargs):
        super().__init__(fs, *args, **kwargs)

        class Buffer(io.BytesIO):
            def write(self, data):
                fs.stored = data
                return super().write(data)

        self.buffer = Buffer()


@pytest.mark.parametrize("kind", [Closing, Flushing, Beginning, Leaving, Writing, Buffering])
def test_a_file_that_takes_what_is_written_by_another_method_needs_no_upload(kind):
    fs = opening(kind)
    with fs.open("n", "wb") as f:
        f.write(b"data")
    assert fs.stored == b"data"


def test_too_deep_recursion_of_a_cat_file_stays_what_it_is():
    def deeper():  # Python 3.13.0 finds no end of methods with keywords that call themselves
        return deeper()

    class Deep(Bare):
        def _open(self, path, mode="rb", *args, **kwargs):
            return File(self, path, mode)

        def cat_file(self, path, start=None, end=None, **kwargs):
            return deeper()

    with pytest.raises(RecursionError):
        Deep().open("a").read()


# listings -----------------------------------------------------------------------------
ODD = {
    "type": ([{"name": "r/a", "size": 3}], KeyError, "'type' is missing"),
    "name": ([{"size": 3, "type": "file"}], KeyError, "'name' is missing"),
    "names": (["r/a"], TypeError, "indices"),
    "None": (None, TypeError, "not iterable"),
}
OVER = {
    "find": lambda fs: fs.find("r"),
    "walk": lambda fs: list(fs.walk("r")),
    "glob": lambda fs: fs.glob("r/*"),
    "du": lambda fs: fs.du("r"),
}


@pytest.mark.parametrize("asks", OVER)
@pytest.mark.parametrize("odd", ODD)
def test_an_ls_that_gives_no_entries_is_told_what_to_give(odd, asks):
    listing, kind, what = ODD[odd]

    class Odd(AbstractFileSystem):
        cachable = False

        def ls(self, path, detail=True, **kwargs):
            return listing

    class OddAsync(AsyncFileSystem):
        cachable = False

        async def _ls(self, path, detail=True, **kwargs):
            return listing

        async def _info(self, path, **kwargs):
            return {"name": "r", "size": 0, "type": "directory"}

    with pytest.raises(kind, match=rf"Odd\.ls has to return a list of dicts .*{what}"):
        OVER[asks](Odd())
    with pytest.raises(kind, match=rf"OddAsync\._ls has to return a list of dicts .*{what}"):
        OVER[asks](OddAsync())


ASKING = {
    "info": lambda fs: fs.info("r/a"),
    "isdir": lambda fs: fs.isdir("r/a"),
    "size": lambda fs: fs.size("r/a"),
    "open": lambda fs: fs.open("r/a"),
    "cat": lambda fs: fs.cat("r/a"),
}


@pytest.mark.parametrize("asks", ASKING)
@pytest.mark.parametrize("odd", ["name", "names", "None"])
def test_the_default_info_tells_an_ls_that_gives_no_entries_what_to_give(odd, asks):
    listing, kind, what = ODD[odd]

    class Odd(AbstractFileSystem):
        cachable = False

        def ls(self, path, detail=True, **kwargs):
            return listing

        def _open(self, path, mode="rb", *args, **kwargs):
            return File(self, path, mode)

    with pytest.raises(kind, match=rf"Odd\.ls has to return a list of dicts .*{what}"):
        ASKING[asks](Odd())


@pytest.mark.parametrize(
    "asks, entry, kind, what",
    [
        ("isdir", {"name": "r/a", "size": 3}, KeyError, "'type' is missing"),
        ("isdir", None, TypeError, "subscriptable"),
        ("size", None, AttributeError, "'get'"),
        ("open", {"name": "r/a", "type": "file"}, KeyError, "'size' is missing"),
        ("open", None, TypeError, "subscriptable"),
    ],
)
def test_an_info_that_gives_no_entry_is_told_what_to_give(asks, entry, kind, what):
    class Odd(AbstractFileSystem):
        cachable = False

        def info(self, path, **kwargs):
            return entry

        def _open(self, path, mode="rb", *args, **kwargs):
            return File(self, path, mode)

    class OddAsync(AsyncFileSystem):
        cachable = False

        async def _info(self, path, **kwargs):
            return entry

    with pytest.raises(kind, match=rf"Odd\.info has to return a dict .*{what}"):
        ASKING[asks](Odd())
    with pytest.raises(kind, match=rf"OddAsync\._info has to return a dict .*{what}"):
        ASKING[asks](OddAsync())


def test_an_open_that_gives_no_file_is_told_so():
    class Odd(Bare):
        def _open(self, path, mode="rb", *args, **kwargs):
            return None

    with pytest.raises(TypeError, match=r"Odd\._open has to return a file"):
        Odd().open("a")


def test_an_error_of_info_itself_is_not_taken_for_that():
    class Failing(Bare):
        def info(self, path, **kwargs):
            return {}["mine"]

    for asks in ("isdir", "size", "open"):
        with pytest.raises(KeyError, match=r"^'mine'$"):
            ASKING[asks](Failing())


def test_an_info_that_is_a_plain_method_is_asked_by_all_operations_alike():
    class Plain(AsyncFileSystem):
        cachable = False

        def _info(self, path, **kwargs):
            return {"name": path, "size": 3, "type": "file"}

    fs = Plain()
    assert (fs.exists("a"), fs.isfile("a"), fs.isdir("a"), fs.size("a")) == (True, True, False, 3)


def test_an_error_of_ls_itself_is_not_taken_for_that():
    class Failing(AbstractFileSystem):
        cachable = False

        def ls(self, path, detail=True, **kwargs):
            return {}["mine"]

    for ask in OVER.values():
        with pytest.raises(KeyError, match=r"^'mine'$"):
            ask(Failing())


@pytest.mark.parametrize("base", [Bare, BareAsync])
@pytest.mark.parametrize(
    "use",
    [
        lambda fs: fs.open("a"),
        lambda fs: fs.transaction,
        lambda fs: fs.invalidate_cache() if type(fs).__base__ is Bare else fs.info("a"),
    ],
)
def test_an_init_that_does_not_call_that_of_the_base_class_is_named(base, use):
    class Forgetful(base):
        def __init__(self, **kwargs):
            self.own = 1

    fs = Forgetful()
    with pytest.raises(
        AttributeError, match=r"no attribute .*Forgetful.__init__ has to call super\(\).__init__"
    ):
        use(fs)
    assert fs.own == 1 and not hasattr(fs, "_intrans")
