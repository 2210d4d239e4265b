"""Files that appear together or not at all, in the process that began."""

import gc
import io
import os
import subprocess
import sys
import textwrap
import weakref
from contextlib import suppress

import pytest

import fsspec
from fsspec.spec import AbstractBufferedFile
from fsspec.tests.dictfs import DictFileSystem
from fsspec.transaction import DaskTransaction, FileActor, Transaction


@pytest.fixture
def fs():
    return DictFileSystem({"r/one": b"1"})


class Noted:
    """A file that notes what becomes of it."""

    def __init__(self, log, name, fails=()):
        self.log, self.path, self.fails = log, name, fails

    def _note(self, what):
        self.log.append((what, self.path))
        if what in self.fails:
            raise OSError(f"{what} of {self.path} failed")

    def commit(self):
        self._note("commit")

    def discard(self):
        self._note("discard")


def write(fs, path, data):
    with fs.open(path, "wb") as f:
        f.write(data)


def test_files_appear_at_the_end(fs):
    with fs.transaction as transaction:
        assert fs._intrans and fs.transaction is transaction
        write(fs, "r/new", b"x")
        write(fs, "r/one", b"changed")
        assert not fs.exists("r/new") and fs.cat("r/one") == b"1"
        assert len(transaction.files) == 2
    assert fs.cat("r/new") == b"x" and fs.cat("r/one") == b"changed"
    assert not fs._intrans and fs._transaction is None and transaction.fs is None


class Uploading(AbstractBufferedFile):
    """A file that notes what it sends."""

    def _initiate_upload(self):
        self.fs.sent.append("began")

    def _upload_chunk(self, final=False):
        self.fs.sent.append("part")
        return True

    def discard(self):
        self.fs.sent.append("discard")


@pytest.mark.parametrize(
    "options",
    [{}, {"mode": "w"}, {"compression": "gzip"}, {"compression": "xz", "mode": "w"}],
    ids=repr,
)
def test_a_file_left_open_sends_nothing_once_it_is_discarded(options):
    class Sending(DictFileSystem):
        cachable = False

        def _open(self, path, mode="rb", autocommit=True, **kwargs):
            return Uploading(self, path, mode, autocommit=autocommit)

    fs = Sending({})
    fs.sent = []
    with pytest.raises(KeyError), fs.transaction:
        f = fs.open("r/new", **{"mode": "wb", **options})
        f.write("x" if options.get("mode") == "w" else b"x")
        raise KeyError
    f.close()
    del f
    gc.collect()
    assert fs.sent == ["discard"]


def test_none_appears_after_an_error(fs):
    with pytest.raises(KeyError), fs.transaction:
        write(fs, "r/new", b"x")
        raise KeyError
    assert not fs.exists("r/new") and not fs._intrans and fs._transaction is None


def test_a_transaction_can_be_started_and_ended_by_calls(fs):
    fs.start_transaction()
    write(fs, "r/new", b"x")
    assert not fs.exists("r/new")
    fs.end_transaction()
    assert fs.cat("r/new") == b"x" and not fs._intrans


def test_begun_twice_it_is_the_same_and_ends_with_the_outer(fs):
    with fs.transaction as outer:
        write(fs, "r/a", b"a")
        with fs.transaction as inner:
            assert inner is outer
            write(fs, "r/b", b"b")
        assert not fs.exists("r/b")
        with pytest.raises(KeyError), fs.transaction:
            write(fs, "r/c", b"c")
            raise KeyError
    assert fs.cat("r/a") == b"a" and fs.cat("r/b") == b"b" and not fs.exists("r/c")


def noting(fs, *files):
    transaction = fs.start_transaction()
    for noted in files:
        transaction.files.append(noted)
    return transaction


def test_a_commit_that_fails_drops_the_rest(fs):
    log = []
    transaction = noting(fs, Noted(log, "a"), Noted(log, "b", ["commit"]), Noted(log, "c"))
    with pytest.raises(OSError, match="commit of b failed") as raised:
        transaction.complete()
    assert log == [("commit", "a"), ("commit", "b"), ("discard", "b"), ("discard", "c")]
    if sys.version_info >= (3, 11):
        assert raised.value.__notes__ == ["fsspec: the transaction did not store 'b', 'c'"]
    assert not transaction.files and not fs._intrans


def test_an_interrupt_of_a_commit_drops_the_rest(fs):
    log = []
    transaction = noting(fs, Noted(log, "a"), Noted(log, "b"), Noted(log, "c"))
    transaction.files[1].commit = lambda: interrupt()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transaction.complete()
    assert log == [("commit", "a"), ("discard", "b"), ("discard", "c")]
    assert not transaction.files and not fs._intrans


def test_an_inner_part_whose_discard_fails_is_dropped_whole(fs):
    log = []
    with fs.transaction as outer:
        outer.files.append(Noted(log, "a"))
        with pytest.raises(OSError, match="discard of b failed"), fs.transaction:
            outer.files.extend([Noted(log, "b", ["discard"]), Noted(log, "c")])
            raise KeyError
    assert sorted(log) == [("commit", "a"), ("discard", "b"), ("discard", "c")]


class SendsParts(AbstractBufferedFile):
    """A file that is sent in parts, and appears when it is committed."""

    fails = False

    def _initiate_upload(self):
        self.parts = []

    def _upload_chunk(self, final=False):
        if self.fails:
            raise OSError("not sent")
        self.parts.append(self.buffer.getvalue())

    def commit(self):
        self.fs.pipe_file(self.path, b"".join(self.parts))


class InParts(DictFileSystem):
    """A store whose files appear when they are committed."""

    def _open(self, path, mode="rb", autocommit=True, **kwargs):
        return SendsParts(self, path, mode, autocommit=autocommit, block_size=4)

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self.files[path] = value


@pytest.mark.parametrize("data", [b"", b"a", b"more than a block"])
def test_a_file_that_is_still_open_is_closed_first(data):
    fs = InParts({})
    with fs.transaction:
        f = fs.open("r/open", "wb")
        f.write(data)
        write(fs, "r/closed", b"1")
    assert fs.files == {"r/open": data, "r/closed": b"1"} and f.closed
    with pytest.raises(ValueError, match="'r/open' was stored"), f:
        f.write(b"late")


class HoldsAll(io.BytesIO):
    """A file whose commit sends what it holds, which a closed one does not any more."""

    def __init__(self, fs, path):
        super().__init__()
        self.fs, self.path = fs, path

    def commit(self):
        self.fs.files[self.path] = self.getvalue()


def test_a_file_that_is_still_open_and_no_buffered_one_is_committed_as_it_is(fs):
    fs._open = lambda path, mode="rb", autocommit=True, **kwargs: HoldsAll(fs, path)
    with fs.transaction:
        f = fs.open("r/open", "wb")
        f.write(b"x")
    del fs._open
    assert fs.cat("r/open") == b"x" and not f.closed


def test_a_file_whose_end_was_not_sent_does_not_appear():
    """Be it that the program has gone on after the error."""
    fs = InParts({})
    with pytest.raises(OSError, match="'r/a' was given up after OSError: not sent"), fs.transaction:
        f = fs.open("r/a", "wb")
        f.write(b"first part")
        f.write(b"end")
        f.fails = True
        with pytest.raises(OSError, match="not sent"):
            f.close()
        write(fs, "r/b", b"1")
    assert fs.files == {}


@pytest.mark.parametrize("commit", [True, False])
def test_a_discard_that_fails_leaves_none_behind(fs, commit):
    log = []
    transaction = fs.start_transaction()
    for noted in (Noted(log, "a", ["commit", "discard"]), Noted(log, "b", ["discard"]), Noted(log, "c")):
        transaction.files.append(noted)
    with pytest.raises(OSError, match="commit of a failed" if commit else "discard of a failed"):
        transaction.complete(commit)
    assert [name for what, name in log if what == "discard"] == ["a", "b", "c"]
    assert not transaction.files and not fs._intrans


@pytest.mark.parametrize("fails", [False, True])
def test_a_file_that_cannot_wait_stays_as_it_was_written(fs, fails):
    """As of backends whose files know nothing of transactions; `dir` begins them there as well."""
    with suppress(KeyError), fs.transaction as transaction:
        write(fs, "r/new", b"x")
        transaction.files.append(io.BytesIO())
        if fails:
            raise KeyError
    assert fs.exists("r/new") is not fails and fs._transaction is None


def test_what_was_listed_meanwhile_is_listed_again(fs):
    forgotten = []
    fs.invalidate_cache = lambda path=None, real=fs.invalidate_cache: (forgotten.append(path), real(path))
    with fs.transaction:
        fs.invalidate_cache("r/new")
        before = len(forgotten)
    assert "r/new" in forgotten[before:] and fs._invalidated_caches_in_transaction == []


def test_a_filesystem_can_bring_its_own():
    class Mine(Transaction):
        pass

    class Brings(DictFileSystem):
        transaction_type = Mine

    assert type(Brings().transaction) is Mine


def test_an_actor_holds_the_files_of_several_workers():
    log = []
    actor = FileActor()
    actor.append(Noted(log, "a"))
    actor.commit()
    assert actor.files == []
    actor.append(Noted(log, "b"))
    actor.discard()
    assert log == [("commit", "a"), ("discard", "b")] and actor.files == []
    actor.files = [Noted(log, "c", ["commit"]), Noted(log, "d")]
    with pytest.raises(OSError, match="commit of c failed"):
        actor.commit()
    assert log[2:] == [("commit", "c"), ("discard", "c"), ("discard", "d")] and actor.files == []


def test_a_transaction_of_dask_needs_it(fs):
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="distributed"):
            DaskTransaction(fs)
    else:
        pytest.skip("it is here")


# forks

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

BEFORE = """
import faulthandler, os, signal, sys
faulthandler.register(signal.SIGALRM, chain=True)  # in each process: say where it hangs, and end
os.register_at_fork(after_in_child=lambda: signal.alarm(20))
signal.alarm(20)
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem

def write(fs, path, data):
    with fs.open(path, "wb") as f:
        f.write(data)

def waits(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(code):
    """Run a program; what it printed. It ends by itself, well and silently."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.split()


@forks
@pytest.mark.parametrize("kind", ["DictFileSystem", "AsyncDictFileSystem"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_child_that_leaves_the_context_neither_commits_nor_discards(kind, fails):
    output = run(
        f"""
        class Noted:
            def commit(self):
                print("commit", os.getpid() == parent, flush=True)
            def discard(self):
                print("discard", os.getpid() == parent, flush=True)

        parent = os.getpid()
        fs = {kind}()
        try:
            with fs.transaction as transaction:
                transaction.files.append(Noted())
                pid = os.fork()
                if not pid and {fails}:
                    raise KeyError
                assert pid == 0 or waits(pid) == 0
        except KeyError:
            assert not pid
        if pid:
            assert not fs._intrans
        """
    )
    assert output == ["commit", "True"]


@forks
def test_a_child_is_not_in_the_transaction_of_its_parent():
    output = run(
        """
        fs = DictFileSystem()
        with fs.transaction:
            write(fs, "parents", b"1")
            pid = os.fork()
            if not pid:
                assert not fs._intrans and fs._transaction is None
                write(fs, "childs", b"2")
                assert fs.cat("childs") == b"2" and not fs.exists("parents")
                with fs.transaction:
                    write(fs, "more", b"3")
                    assert not fs.exists("more")
                assert fs.cat("more") == b"3"
                sys.exit()
            assert waits(pid) == 0
            assert fs._intrans and not fs.exists("parents")
        print(fs.cat("parents").decode(), fs.exists("childs"))
        """
    )
    assert output == ["1", "False"]


@forks
def test_a_child_that_ends_it_without_a_context_changes_nothing():
    output = run(
        """
        fs = DictFileSystem()
        transaction = fs.start_transaction()
        write(fs, "parents", b"1")
        pid = os.fork()
        if not pid:
            transaction.complete(commit=False)
            fs.end_transaction()
            assert not fs.exists("parents")
            sys.exit()
        assert waits(pid) == 0
        fs.end_transaction()
        print(fs.cat("parents").decode())
        """
    )
    assert output == ["1"]


@forks
def test_a_child_that_begins_it_again_is_told_the_way_out():
    output = run(
        """
        from fsspec.exceptions import ForkError
        fs = DictFileSystem()
        with fs.transaction as transaction:
            write(fs, "parents", b"1")
            pid = os.fork()
            if not pid:
                for begin in (transaction.__enter__, transaction.start):
                    try:
                        begin()
                    except ForkError as error:
                        assert error.owner_pid == os.getppid() and "with fs.transaction" in str(error)
                    else:
                        raise AssertionError("not refused")
                with fs.transaction:
                    write(fs, "childs", b"2")
                assert fs.cat("childs") == b"2" and not fs.exists("parents")
                sys.exit()
            assert waits(pid) == 0
            write(fs, "more", b"3")
            assert fs._intrans and not fs.exists("parents")
        print(fs.cat("parents").decode(), fs.cat("more").decode())
        """
    )
    assert output == ["1", "3"]


def test_a_transaction_that_has_ended_does_not_begin_again(m):
    with m.transaction as ended:
        m.pipe_file("/a", b"1")
    with pytest.raises(RuntimeError, match="with fs.transaction"), ended:
        pass
    with m.transaction:
        m.pipe_file("/b", b"2")
    assert m.cat_file("/b") == b"2" and not m._intrans


@forks
def test_a_transaction_belongs_to_the_generation_that_began_it():
    output = run(
        """
        fs = DictFileSystem()
        pid = os.fork()
        if pid:
            sys.exit(waits(pid))
        with fs.transaction:
            write(fs, "childs", b"1")
            pid = os.fork()
            if not pid:
                sys.exit()
            assert waits(pid) == 0
        print(fs.cat("childs").decode())
        """
    )
    assert output == ["1"]


@pytest.mark.parametrize("kind", ["file", "memory", "simplecache", "dir"])
@pytest.mark.parametrize("compression", [None, "infer", "gzip", "bz2", "xz"])
@pytest.mark.parametrize("mode", ["w", "wb"])
def test_what_layers_of_a_file_left_open_hold_is_committed(kind, compression, mode, m, tmp_path):
    options = {
        "simplecache": {"fs": m, "cache_storage": str(tmp_path / "cache")},
        "dir": {"path": str(tmp_path), "fs": fsspec.filesystem("file")},
    }
    fs = fsspec.filesystem(kind, **options.get(kind, {}))
    path = "new" if kind == "dir" else f"{tmp_path}/new"
    with fs.transaction:
        f = fs.open(path, mode, compression=compression)
        f.write("all of it" if mode == "w" else b"all of it")
    f.close()
    with fs.open(path, "rb", compression=compression) as f:
        assert f.read() == b"all of it"


def test_a_transaction_that_nobody_ends_is_collected(fs):
    first = weakref.ref(fs.start_transaction())
    fs.start_transaction()
    gc.collect()
    assert first() is None
    fs.end_transaction()
