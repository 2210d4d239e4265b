"""What the class of a backend lacks is told by an error that names the method to write."""

import contextlib
import gc
import io

import pytest

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.registry import _registry
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
            return kind(self, path, mode, block_size=5, autocommit=kwargs.get("autocommit", True))

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


# coroutine functions where nothing awaits ---------------------------------------------
class Storing(AbstractBufferedFile):
    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        self.parts.append(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def commit(self):
        self.fs.stored = b"".join(self.parts)

    def discard(self):
        self.parts = []


async def awaited(self, *args, **kwargs):
    self.fs.stored = b"part"


def write_in_transaction(fs):
    with fs.transaction:
        fs.pipe_file("n", b"data")


UPLOADS = {
    "_initiate_upload": [write_a_block, WRITES["pipe"], write_in_transaction],
    "_upload_chunk": [write_a_block, WRITES["pipe"], write_in_transaction],
    "commit": [write_in_transaction],
}


@pytest.mark.parametrize(
    "name, write", [(name, write) for name, writes in UPLOADS.items() for write in writes]
)
def test_an_upload_by_a_coroutine_function_is_refused(name, write):
    fs = opening(type("Mine", (Storing,), {name: awaited}))
    with pytest.raises(
        TypeError, match=rf"^Mine\.{name} is a coroutine function, .* `def {name}`.*asyn\.sync"
    ):
        write(fs)
    assert not hasattr(fs, "stored") and not fs._intrans


def test_a_discard_by_a_coroutine_function_is_refused():
    fs = opening(type("Mine", (Storing,), {"discard": awaited}))
    with pytest.raises(TypeError, match=r"^Mine\.discard is a coroutine function"):
        with fs.transaction:
            fs.pipe_file("n", b"data")
            raise ZeroDivisionError
    assert not hasattr(fs, "stored") and not fs._intrans


def test_a_file_sent_again_after_a_coroutine_function_is_stored_whole():
    fs = opening(Storing)
    f = fs.open("n", "wb")
    f.write(b"data")
    f._upload_chunk = lambda final: awaited(f)
    with pytest.raises(TypeError, match="coroutine function"):
        f.close()
    del f._upload_chunk
    f.close()
    assert fs.stored == b"data"


@pytest.mark.parametrize("owner, name", [("file", "_fetch_range"), ("fs", "cat_file")])
def test_a_fetch_by_a_coroutine_function_is_refused(owner, name):
    kind = type("Mine", (File,), {"_fetch_range": awaited} if owner == "file" else {})

    class Mine(Bare):
        def _open(self, path, mode="rb", *args, **kwargs):
            return kind(self, path, mode)

    if owner == "fs":
        Mine.cat_file = awaited
    with pytest.warns(RuntimeWarning, match="never awaited"):
        with pytest.raises(TypeError, match=rf"^Mine\.{name} is a coroutine function") as caught:
            Mine().open("a").read()
        del caught
        gc.collect()


@pytest.mark.parametrize("use", [lambda f: f.read(), lambda f: f.readline(), lambda f: f.flush()])
def test_an_init_of_a_file_that_does_not_call_that_of_the_base_class_is_named(use):
    class Forgetful(File):
        def __init__(self, fs, path, mode="rb", **kwargs):
            self.fs, self.path, self.mode = fs, path, mode

    text = (
        r"no attribute 'loc': Forgetful.__init__ has to call super\(\).__init__\(fs, path, mode, \*\*kwargs\)"
    )
    with pytest.raises(AttributeError, match=text):
        use(opening(Forgetful).open("a"))
    with pytest.raises(AttributeError, match=text):
        opening(Forgetful).open("n", "wb").write(b"1")
    with opening(File).open("a") as closed:
        pass
    with pytest.raises(ValueError, match="closed file"):
        use(closed)


# what a class returns -----------------------------------------------------------------
@pytest.mark.parametrize(
    "name, returned, match",
    [
        ("_get_kwargs_from_urls", None, "has to return a dict: it returned None"),
        ("_get_kwargs_from_urls", ("host", 1), r"has to return a dict: it returned \('host', 1\)"),
        ("_strip_protocol", None, "has to return a path: it returned None"),
    ],
)
@pytest.mark.parametrize("ask", [fsspec.open, fsspec.url_to_fs, fsspec.get_fs_token_paths, fsspec.get_mapper])
def test_a_method_asked_of_a_url_that_returns_something_else_is_named(name, returned, match, ask):
    kind = type("Mine", (Bare,), {name: staticmethod(lambda path: returned)})
    fsspec.register_implementation("lackingurl", kind, clobber=True)
    try:
        with pytest.raises(TypeError, match=rf"^Mine\.{name} {match}"):
            ask("lackingurl://a")
    finally:
        del _registry["lackingurl"]


def test_a_size_that_is_text_is_told_when_the_file_is_opened():
    class Listing(Bare):
        def ls(self, path, detail=True, **kwargs):
            return [{"name": "a", "size": "3", "type": "file"}]

        def _open(self, path, mode="rb", size=None, **kwargs):
            return File(self, path, mode, size=size)

    class Asked(Listing):
        def info(self, path, **kwargs):
            return {"name": "a", "size": "3", "type": "file"}

    text = "the 'size' of 'a' is '3', where a number is needed"
    with pytest.raises(TypeError, match=rf"^Listing\.ls has to return a list of dicts .*{text}"):
        Listing().open("a")
    with pytest.raises(TypeError, match=rf"^Asked\.info has to return a dict .*{text}"):
        Asked().open("a")
    with pytest.raises(TypeError, match=f"^{text}"):
        Listing().open("a", size="3")


def test_a_listing_without_sizes_is_told_of_by_the_method_that_was_written():
    class Odd(Bare):
        def ls(self, path, detail=True, **kwargs):
            return [{"name": "a", "type": "file"}]

    with pytest.raises(KeyError, match=r"Odd\.ls has to return a list of dicts .*'size' is missing"):
        Odd().open("a")


@pytest.mark.parametrize("data", [b"abc", "abc", {"a": 1}, ["a"]], ids=lambda data: type(data).__name__)
def test_an_open_that_gives_data_is_told_so(data):
    class Odd(Bare):
        def _open(self, path, mode="rb", *args, **kwargs):
            return data

    with pytest.raises(
        TypeError, match=rf"Odd\._open has to return a file: it returned {type(data).__name__}"
    ):
        Odd().open("a")
