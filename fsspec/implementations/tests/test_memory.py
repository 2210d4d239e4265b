"""Files in the memory of this process."""

import errno
import pickle
import sys
import threading
from contextlib import nullcontext, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import PurePosixPath

import pytest

from fsspec.callbacks import Callback
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.tests.programs import run

TEN = b"0123456789"


@pytest.fixture
def fs(m):
    """A file of ten bytes in a folder that is there by it only, and an empty folder."""
    m.pipe_file("/folder/ten", TEN)
    m.mkdir("/empty")
    return m


def test_an_upload_that_fails_leaves_what_was_there(fs, tmp_path):
    (tmp_path / "new").write_bytes(bytes(fs.blocksize + 1))

    class Stops(Callback):
        def relative_update(self, inc=1):
            raise KeyboardInterrupt

    for path in ("/folder/ten", "/folder/new"):
        with pytest.raises(KeyboardInterrupt):
            fs.put_file(tmp_path / "new", path, callback=Stops())
    assert fs.find("/folder") == ["/folder/ten"] and fs.cat_file("/folder/ten") == TEN
    fs.put_file(tmp_path / "new", "/folder/ten")
    assert fs.cat_file("/folder/ten") == bytes(fs.blocksize + 1)
    with pytest.raises(IsADirectoryError):
        fs.put_file(tmp_path / "new", "/empty")


def test_a_part_or_the_size_of_a_file_is_read_without_a_copy_of_all_of_it(fs):
    import tracemalloc

    content = b"x" * 2**20  # which the store shares
    fs.pipe_file("/large", content)
    tracemalloc.start()
    try:
        assert fs.cat_file("/large", start=10, end=20) == b"x" * 10
        with fs.open("/large", "rb") as file:
            assert (file.size, file.read(3)) == (2**20, b"xxx")
        assert fs.info("/large")["size"] == fs.store["/large"].size == len(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**19


# paths and entries -------------------------------------------------------------------
@pytest.mark.parametrize(
    "given", ["a/b", "/a/b", "a/b/", "memory://a/b", "memory:///a/b/", PurePosixPath("/a/b")]
)
def test_paths_begin_with_a_slash(fs, given):
    """The root is empty."""
    assert fs._strip_protocol(given) == "/a/b"
    assert fs._strip_protocol([given, "/", "memory://"]) == ["/a/b", "", ""]


def test_what_lies_below_a_name_that_is_a_file_too_is_written(fs):
    fs.pipe("/folder", b"a file")
    fs.pipe("/folder/ten", b"again")
    assert fs.cat(["/folder", "/folder/ten"]) == {"/folder": b"a file", "/folder/ten": b"again"}
    with pytest.raises(FileExistsError):
        fs.pipe("/folder/new", b"new")


def test_folders_are_there_by_what_is_in_them(fs):
    """As those that were made."""
    assert fs.ls("", detail=False) == ["/empty", "/folder"]
    assert fs.isdir("/folder") and fs.exists("/folder") and fs.info("/folder")["type"] == "directory"
    assert fs.ls("/empty") == [] and fs.ls("/folder/ten", detail=False) == ["/folder/ten"]
    fs.mkdir("/folder")  # it stays without its files from now on
    for path in ("/folder", "/empty", "/folder/ten", "/"):
        with pytest.raises(FileExistsError):
            fs.mkdir(path)
        with pytest.raises(FileExistsError):
            fs.makedirs(path)
    fs.makedirs("/folder", exist_ok=True)
    fs.rm("/folder/ten")
    assert fs.ls("/folder") == []
    fs.pipe_file("/other/ten", TEN)
    fs.rm("/other/ten")
    assert not fs.exists("/other")


def test_listings_are_in_the_order_of_the_store(m):
    """Folders that are only made come last; names alone are sorted."""
    m.pipe({"/o/z": b"", "/o/s/x": b"", "/o/a": b""})
    m.mkdir("/o/b")
    m.pipe_file("/o/c", b"")
    assert [entry["name"] for entry in m.ls("/o")] == ["/o/z", "/o/s", "/o/a", "/o/c", "/o/b"]
    assert m.ls("/o", detail=False) == ["/o/a", "/o/b", "/o/c", "/o/s", "/o/z"]
    assert isinstance(m.ls("/o")[0]["created"], float) and isinstance(m.info("/o/a")["created"], datetime)


def test_entries_have_sizes_in_bytes_and_times_in_utc(fs):
    """Sizes in bytes, times in UTC."""
    entry = fs.info("/folder/ten")
    assert (entry["name"], entry["size"], entry["type"]) == ("/folder/ten", 10, "file")
    assert entry["created"].tzinfo is timezone.utc
    before = datetime.now(tz=timezone.utc)
    fs.pipe_file("/folder/ten", b"")
    assert before <= fs.modified("/folder/ten") <= datetime.now(tz=timezone.utc)
    assert fs.created("/folder/ten").tzinfo is timezone.utc


def test_patterns_take_path_objects(fs):
    """As every other operation does."""
    assert fs.glob(PurePosixPath("/folder/t*")) == ["/folder/ten"]
    assert fs.expand_path("/a[1]", assume_literal=True) == ["/a[1]"]


def test_store_can_be_changed_from_outside(fs):
    """Listings follow."""
    fs.store["/x/y"] = MemoryFile(fs, "/x/y", b"1")
    assert fs.ls("/x", detail=False) == ["/x/y"]
    del fs.store["/x/y"]
    fs.pseudo_dirs.append("/made")
    fs.pseudo_dirs.append("/made")
    assert fs.ls("", detail=False) == ["/empty", "/folder", "/made"]
    fs.pseudo_dirs.remove("/made")
    assert fs.isdir("/made")  # it was in it twice
    fs.pseudo_dirs.remove("/made")
    assert not fs.isdir("/made")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    assert fs.ls("") == []


# missing and in the way --------------------------------------------------------------
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda fs: fs.cat_file("/no"), FileNotFoundError),
        (lambda fs: fs.info("/no"), FileNotFoundError),
        (lambda fs: fs.ls("/no"), FileNotFoundError),
        (lambda fs: fs.open("/no"), FileNotFoundError),
        (lambda fs: fs.rm("/no"), FileNotFoundError),
        (lambda fs: fs.rm_file("/no"), FileNotFoundError),
        (lambda fs: fs.rmdir("/no"), FileNotFoundError),
        (lambda fs: fs.cp_file("/no", "/x"), FileNotFoundError),
        (lambda fs: fs.modified("/no"), FileNotFoundError),
        (lambda fs: fs.cat_file("/folder"), IsADirectoryError),
        (lambda fs: fs.open("/folder"), IsADirectoryError),
        (lambda fs: fs.open("/empty", "wb"), IsADirectoryError),
        (lambda fs: fs.pipe_file("/empty", b""), IsADirectoryError),
        (lambda fs: fs.rm("/folder"), OSError),
        (lambda fs: fs.rmdir("/folder"), OSError),
        (lambda fs: fs.pipe_file("/folder/ten/x", b""), FileExistsError),
        (lambda fs: fs.mkdir("/folder/ten/x"), NotADirectoryError),
        (lambda fs: fs.open("/folder/ten", "xb"), FileExistsError),
        (lambda fs: fs.pipe_file("/folder/ten", b"", mode="create"), FileExistsError),
        (lambda fs: fs.pipe_file("/folder/ten", "text"), TypeError),
        (lambda fs: fs.pipe_file("/new", None), TypeError),
        (lambda fs: fs.open("/folder/ten", "q"), ValueError),
        (lambda fs: fs.find("/folder", maxdepth=0), ValueError),
    ],
)
def test_what_cannot_be_done_changes_nothing(fs, act, error):
    """Neither files nor folders."""
    before = fs.find("", withdirs=True), fs.cat("/folder/ten")
    with pytest.raises(error):
        act(fs)
    assert (fs.find("", withdirs=True), fs.cat("/folder/ten")) == before


@pytest.mark.parametrize(
    "read",
    [
        lambda fs, path: fs.open(path),
        lambda fs, path: fs.open(path, "r+b"),
        lambda fs, path: fs.get_file(path, "unused"),
        lambda fs, path: fs.head(path),
    ],
)
def test_what_would_lie_below_a_file_is_not_there_and_the_file_is(fs, read):
    for path in ("/folder/ten/x", "/folder/ten/x/y"):
        for error in (FileNotFoundError, FileExistsError):
            with pytest.raises(error, match="'/folder/ten' is a file"):
                read(fs, path)
    with pytest.raises(FileNotFoundError) as caught:
        read(fs, "/folder/nothing")
    assert not isinstance(caught.value, FileExistsError)


def test_a_folder_may_be_made_without_those_above_it(fs):
    """As keys of an object store need none; those above are there as long as it is."""
    fs.mkdir("/x/y/z", create_parents=False)
    assert fs.isdir("/x/y") and list(fs.pseudo_dirs)[-1] == "/x/y/z"
    fs.rmdir("/x/y/z")
    assert not fs.exists("/x")


def test_a_name_may_be_a_file_and_a_folder_at_once(fs):
    """As the keys of an object store; nothing is hidden, and each is removed alone."""
    fs.pipe_file("/folder", b"file")
    assert fs.cat_file("/folder") == b"file" and fs.cat_file("/folder/ten") == TEN
    assert fs.isfile("/folder") and fs.isdir("/folder") and fs.info("/folder")["type"] == "directory"
    assert [e["type"] for e in fs.ls("/") if e["name"] == "/folder"] == ["file", "directory"]
    assert fs.ls("/", detail=False).count("/folder") == 2
    assert {"/folder", "/folder/ten"} <= set(fs.find("/")) and fs.find("/folder") == ["/folder"]
    fs.rm("/folder")
    assert not fs.isfile("/folder") and fs.cat_file("/folder/ten") == TEN
    fs.cp_file("/folder/ten", "/empty")
    assert fs.cat_file("/empty") == TEN and fs.isdir("/empty")
    fs.makedirs("/folder/ten", exist_ok=True)
    assert fs.cat_file("/folder/ten") == TEN


# handles -----------------------------------------------------------------------------
def test_readers_are_independent(fs):
    """Each has a position, ends for itself, and cannot change the file."""
    with fs.open("/folder/ten") as one, fs.open("/folder/ten") as other:
        assert (one.read(3), other.read(2), one.read(1)) == (b"012", b"01", b"3")
        assert not one.writable()
        for method, value in (("write", b"X"), ("writelines", [b"X"]), ("truncate", 2)):
            with pytest.raises(OSError, match="open for reading"):
                getattr(one, method)(value)
        one.getbuffer()[0] = 88
    assert one.closed
    with pytest.raises(ValueError):
        one.read()
    assert fs.cat("/folder/ten") == TEN


def test_reader_keeps_what_it_opened(fs):
    """Also when the file is replaced or removed."""
    with fs.open("/folder/ten") as f:
        fs.pipe_file("/folder/ten", b"new")
        fs.rm("/folder/ten")
        assert f.read() == TEN


def test_files_are_written_over_at_the_end_and_in_between(fs):
    """Over, at the end, and in between."""
    with fs.open("/folder/ten", "r+b") as f:
        f.seek(2)
        f.write(b"XX")
    assert fs.cat("/folder/ten") == b"01XX456789"
    with fs.open("/folder/ten", "ab") as f:
        f.write(b"!")
    assert fs.cat("/folder/ten")[-2:] == b"9!"
    with fs.open("/new/file", "wb") as f:
        f.write(b"n")
        f.flush(True)
    assert fs.cat("/new/file") == b"n"
    assert hash(fs.open("/fresh", "ab")) and fs.cat("/fresh") == b""
    with fs.open("/new/file", "br") as f:
        assert f.read() == b"n"


@pytest.mark.parametrize("kind", [IsADirectoryError, FileNotFoundError])
def test_a_folder_where_a_file_is_needed_is_an_error_of_two_classes(fs, kind):
    for act in (fs.cat, fs.open, lambda path: fs.cat_file(path, 1)):
        with pytest.raises(kind, match="/folder") as caught:
            act("/folder")
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args
    for act in (fs.rm, fs.rmdir):
        with pytest.raises(FileNotFoundError, match="not empty") as caught:
            act("/folder")
        assert caught.value.errno == errno.ENOTEMPTY
    fs.mkdir("/made")
    fs.touch("/made/file")
    for act in (fs.rm, fs.rmdir):  # one that is there by itself is not said to be missing
        with pytest.raises(OSError, match="not empty") as caught:
            act("/made")
        assert type(caught.value) is OSError and caught.value.errno == errno.ENOTEMPTY


def test_folders_above_a_made_one_stay_without_files(fs):
    fs.mkdir("/folder/made")
    fs.rm("/folder/ten")
    fs.rmdir("/folder/made")
    assert fs.isdir("/folder")
    fs.mkdir("/folder//in/deep")
    assert fs.isdir("/folder//in/deep") and fs.ls("/folder", detail=False) == ["/folder/"]


def test_du_counts_the_root_among_the_folders(fs):
    assert list(fs.du("/", total=False, withdirs=True))[0] == ""
    assert "" not in fs.du("/", total=False) and fs.du("/", withdirs=True) == len(TEN)


def test_only_a_transaction_waits_for_a_commit(fs):
    """Outside of one a file is there at once, whatever ``autocommit`` says."""
    for end in ("commit", "discard"):
        with fs.open(f"/now/{end}", "wb", autocommit=False) as f:
            assert fs.exists(f"/now/{end}")
            f.write(b"w")
        getattr(f, end)()
        assert fs.cat(f"/now/{end}") == b"w"
    with fs.transaction:
        for name, how in (("at-once", {"autocommit": True}), ("later", {"autocommit": False}), ("too", {})):
            with fs.open(f"/{name}", "wb", **how) as f:
                f.write(b"l")
        assert fs.exists("/at-once") and not fs.exists("/later") and not fs.exists("/too")
    assert fs.cat("/later") == fs.cat("/too") == b"l"


@pytest.mark.parametrize(
    "made, listed",
    [
        (["t/u/", "a", "nd/x"], ["a", "nd", "t"]),
        (["t/u/", "a", "t/y", "nd/x"], ["a", "t", "nd"]),
        (["c/", "b/x", "-b/x", "a/"], ["b", "-b", "c", "a"]),
        (["b/x", "c", "!b/x", "b/y"], ["c", "b"]),
        (["b/x", "b/y", "c", "!b/x"], ["b", "c"]),
    ],
)
def test_listings_are_in_the_order_of_the_files(made, listed):
    """Folders have the place of their first file; those without any come last."""
    fs = MemoryFileSystem(global_store=False)
    for name in made:
        if name.startswith("!"):
            fs.rm(name[1:])
        elif name.endswith("/"):
            fs.makedirs(name)
        else:
            fs.pipe(name, b"")
    assert [entry["name"][1:] for entry in fs.ls("/")] == listed


@pytest.mark.parametrize("start", [None, 0, 5, 20, -3])
@pytest.mark.parametrize("end", [None, 0, 3, 20, -5, -20])
def test_ranges_are_slices(fs, start, end):
    """As those of bytes."""
    assert fs.cat_file("/folder/ten", start, end) == TEN[start:end]


def test_what_a_failed_transaction_wrote_was_never_there(fs):
    """What is written in one that fails was never there, whichever way it was."""
    with pytest.raises(KeyError):
        with fs.transaction:
            fs.pipe_file("/piped", b"1")
            with fs.open("/opened", "wb") as f:
                f.write(b"1")
            assert not fs.exists("/piped") and not fs.exists("/opened")
            raise KeyError
    assert fs.find("") == ["/folder/ten"]
    with fs.transaction:
        fs.pipe_file("/piped", b"1")
        with fs.open("/now", "wb", autocommit=True) as f:
            f.write(b"2")
        assert fs.cat("/now") == b"2"  # who says so does not wait
    assert fs.cat("/piped") == b"1" and fs.cat("/now") == b"2"


@pytest.mark.parametrize(
    "modes, kept", [("ab ab", b"abc12"), ("r+b ab", b"abc12"), ("wb ab", b"12"), ("xb ab", b"12")]
)
def test_what_several_open_files_write_is_all_kept(m, modes, kept):
    path, (first, second) = "/new" if "x" in modes else "/old", modes.split()
    m.pipe_file("/old", b"abc")
    created = m.created("/old")
    one = m.open(path, first)
    other = m.open(path, second)
    one.write(b"1")
    other.write(b"2")
    assert m.cat_file(path) == kept
    assert other.mode == second
    assert first == "wb" or m.created("/old") == created  # it is the same file


def test_what_is_appended_in_a_transaction_comes_behind_what_others_wrote(m):
    m.pipe({"/a": b"abc", "/b": b"abc", "/failed": b"abc"})
    with m.transaction:
        for path, mode, data in [
            ("/a", "ab", b"1"),
            ("/a", "r+b", b"Z"),
            ("/a", "a+b", b"2"),
            ("/b", "wb", b"new"),
            ("/b", "ab", b"1"),
            ("/fresh", "ab", b"1"),
            ("/fresh", "ab", b"2"),
        ]:
            f = m.open(path, mode)
            f.write(data)
        assert m.cat_file("/a") == b"Zbc" and not m.exists("/fresh")
    assert m.cat(["/a", "/b", "/fresh"]) == {"/a": b"Zbc12", "/b": b"new1", "/fresh": b"12"}
    with pytest.raises(ValueError, match="closed"):  # its bytes went to the end of another: no more can
        f.write(b"3")
    with pytest.raises(ZeroDivisionError), m.transaction:
        m.open("/failed", "ab").write(b"1")
        raise ZeroDivisionError
    assert m.cat_file("/failed") == b"abc"


def test_a_transaction_appends_to_a_file_that_nobody_else_wrote(m):
    m.pipe_file("/a", b"abc")
    with m.transaction, m.open("/a", "ab") as f:
        f.write(b"1")
        f.commit()
        f.write(b"2")
    f.write(b"3")
    assert m.cat_file("/a") == b"abc123"


# stores ------------------------------------------------------------------------------
def test_a_store_of_its_own_is_separate_and_pickled_with_its_files(fs):
    """Apart from that of others; pickled, it takes its files along."""
    own = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    assert own.find("") == []
    own.pipe_file("/a/b", b"own")
    own.mkdir("/made")
    assert not fs.exists("/a/b")
    back = pickle.loads(pickle.dumps(own))
    assert back is not own and back.cat("/a/b") == b"own" and back.isdir("/made")
    back.pipe_file("/a/b", b"changed")
    assert own.cat("/a/b") == b"own"
    assert pickle.loads(pickle.dumps(fs)) is fs


def test_reader_is_pickled_by_its_place(fs):
    """It goes on where it was."""
    with fs.open("/folder/ten") as f:
        f.seek(4)
        with pickle.loads(pickle.dumps(f)) as back:
            assert back.read() == b"456789"


def test_child_has_a_copy():
    """Of the files, of handles, and of stores of an instance's own."""
    found = run(
        """
        import fsspec
        from fsspec._checks.forked import by_fork
        shared = fsspec.filesystem("memory")
        own = fsspec.filesystem("memory", global_store=False)
        for fs in (shared, own):
            fs.pipe_file("/a", b"parent")
        reader, writer = shared.open("/a"), shared.open("/w", "wb")
        reader.read(2); writer.write(b"parent")
        def body():
            assert fsspec.filesystem("memory") is shared
            assert shared.cat("/a") == own.cat("/a") == b"parent" and reader.read() == b"rent"
            for fs in (shared, own):
                fs.pipe_file("/a", b"child"); fs.pipe_file("/new", b"child")
            writer.write(b"child"); writer.close()
        report = by_fork(lambda: body() or (by_fork(lambda: own.cat("/new")).problem() and None))
        assert report.problem() == "", report.problem()
        writer.write(b" more"); writer.close()
        print(shared.find(""), own.find(""), shared.cat("/w"), own.cat("/a"), reader.read())
        """
    )
    assert found == "['/a', '/w'] ['/a'] b'parent more' b'parent' b'rent'\n"


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        ("/r/**", []),
        ("/r/s/**", ["/r/a"]),
        ("/r/*", ["/r/a", "/r/s/b", "/r/s/t/c"]),
        ("/r/**/t/*", ["/r/a", "/r/s/b"]),
        (["/r/a", "/r/s"], ["/r/a", "/r/s/b", "/r/s/t/c"]),
        (["/r/a", "/aaa"], ["/r/s/b", "/r/s/t/c"]),
    ],
)
def test_what_sorts_last_is_removed_first_up_to_what_cannot_be(m, removed, left):
    m.pipe({"/r/a": b"1", "/r/s/b": b"1", "/r/s/t/c": b"1"})
    fails = "/r/*", ["/r/a", "/r/s"], ["/r/a", "/aaa"]
    with pytest.raises(FileNotFoundError) if removed in fails else nullcontext():
        m.rm(removed)
    assert m.find("/") == left


def test_of_a_list_the_last_one_that_cannot_be_removed_is_told(m):
    m.mkdir("/r/d")
    m.pipe({"/r/d/f": b"1", "/r/x": b"1"})
    with pytest.raises(FileNotFoundError, match="none"):
        m.rm(["/r/d", "/r/none"])
    with pytest.raises(OSError, match="not empty"):
        m.rm(["/r/absent", "/r/d"])
    assert m.find("/") == ["/r/d/f", "/r/x"]


# threads -----------------------------------------------------------------------------
def test_listing_and_removing_while_others_write(fs):
    """Nothing raises because something came or went, and nothing that is there is missing."""
    stop = threading.Event()
    failures = []

    def guard(act):
        try:
            while not stop.is_set():
                act()
        except BaseException as error:  # of a thread: told to the test
            failures.append(error)

    def write(number):
        for i in range(30):
            fs.pipe_file(f"/busy/{number}/{i % 7}/{i}", b"1")
        fs.rm(f"/busy/{number}", recursive=True)

    def look():
        fs.find("/")
        fs.glob("/busy/*/*/*")
        fs.du("/busy")
        fs.find("/busy", withdirs=True, detail=True)
        if fs.exists("/busy"):
            with suppress(FileNotFoundError):
                fs.ls("/busy", detail=True)

    acts = [partial(write, 1), partial(write, 2), partial(write, 3), look, look]
    threads = [threading.Thread(target=guard, args=(act,)) for act in acts]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for number in range(300):
            fs.pipe_file(f"/kept/{number % 5}/{number}", b"1")
            fs.pipe_file("/kept/gone", b"1")
            fs.rm_file("/kept/gone")
        stop.set()
        for thread in threads:
            thread.join(60)
    finally:
        stop.set()
        sys.setswitchinterval(before)
    assert failures == []
    assert len(fs.find("/kept")) == 300
    assert sorted(fs.store) == fs.find("/")


def test_a_fork_does_not_wait_for_a_writer_that_is_gone(fs):
    """Nor does the child find half a change."""
    run(
        """
        import threading, fsspec
        from fsspec._checks.forked import by_fork
        fs = fsspec.filesystem("memory")
        stop = threading.Event()
        def write(number):
            while not stop.is_set():
                for i in range(20):
                    fs.pipe_file(f"/d/{number}/{i % 3}/{i}", b"1")
                fs.rm(f"/d/{number}", recursive=True)
        threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        def body():
            assert sorted(fs.store) == fs.find("/")
            fs.pipe_file("/child", b"1")
            assert fs.cat_file("/child") == b"1"
        try:
            for _ in range(10):
                report = by_fork(body)
                assert report.problem() == "", report.problem()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        fs.pipe_file("/parent", b"1")
        """
    )


def test_what_is_left_keeps_its_order(m):
    m.pipe("/a/one/1", b"")
    m.pipe("/a/two", b"")
    m.pipe("/a/one/2", b"")
    m.rm("/a/one/1")
    assert m.ls("/a", detail=False) == ["/a/one", "/a/two"]


@pytest.mark.parametrize("seed", range(4))
def test_folders_follow_files_whatever_order_they_come_and_go_in(seed):
    import random

    from fsspec.implementations._memory.store import FolderTree

    fs, chance = MemoryFileSystem(global_store=False, skip_instance_cache=True), random.Random(seed)
    for _ in range(600):
        folder = "".join(f"/{chance.choice('abc')}" for _ in range(chance.randrange(4)))
        act = chance.choice([fs.rm_file, fs.rm_file, fs.touch, fs.touch, fs.makedirs, fs.rmdir])
        with suppress(OSError):
            act(folder + (f"/f{chance.randrange(2)}" if act in (fs.rm_file, fs.touch) else ""))
        fresh = FolderTree()
        for path in fs.store:
            fresh.add_file(path)
        for path in fs.pseudo_dirs:
            fresh.add(path)
        tree = fs.store.tree
        assert tree.files == fresh.files
        assert {k: set(v) for k, v in tree.children.items() if v} == {
            k: set(v) for k, v in fresh.children.items() if v
        }
        for path in tree.children[""]:
            has_files = any(f.startswith(path + "/") for f in fs.store)
            assert bool(tree.files.get(path)) == has_files


def test_a_transaction_where_open_hands_no_options_on():
    class Narrow(MemoryFileSystem):
        cachable = False
        store, pseudo_dirs = {}, [""]

        def _open(self, path, mode="rb", **kwargs):
            return super()._open(path, mode)

    fs = Narrow()
    with fs.transaction:
        with fs.open("/waits", "wb") as f:
            f.write(b"1")
        assert not fs.exists("/waits")
        with fs.open("/at-once", "wb", autocommit=True) as f:
            f.write(b"0")
        assert fs.cat_file("/at-once") == b"0"
    assert fs.cat_file("/waits") == b"1"
    with pytest.raises(ZeroDivisionError), fs.transaction:
        with fs.open("/gone", "wb") as f:
            f.write(b"1")
        raise ZeroDivisionError
    with fs.open("/after", "wb") as f:
        f.write(b"2")
    assert fs.find("/") == ["/after", "/at-once", "/waits"]


@pytest.mark.parametrize("mode", ["wb", "w", "ab", "a", "xb", "x", "w+b", "a+b", "x+b"])
def test_a_file_begins_with_the_data_that_open_is_given(m, mode):
    with m.open("/a", mode, data=b"123") as f:
        assert f.tell() == (3 if "a" in mode else 0) and m.cat_file("/a") == b"123"
        f.write(b"4" if "b" in mode else "4")
    assert m.cat_file("/a") == (b"1234" if "a" in mode else b"423")


def test_what_is_appended_to_keeps_its_bytes_in_place_of_data(m):
    m.pipe_file("/a", b"old")
    with m.open("/a", "ab", data=b"x") as f:
        f.write(b"er")
    assert m.cat_file("/a") == b"older"


@pytest.mark.parametrize("data", [bytearray(b"12"), memoryview(b"12"), None])
def test_any_bytes_may_be_data(m, data):
    m.open("/a", "wb", data=data)
    assert m.cat_file("/a") == bytes(data or b"")


def test_text_is_no_data(m):
    with pytest.raises(TypeError, match="bytes-like"):
        m.open("/a", "w", data="text")
    assert not m.exists("/a")


def test_data_in_a_transaction_and_compressed(m):
    import gzip

    class Piping(MemoryFileSystem):
        cachable = False
        store, pseudo_dirs = {}, [""]

        def pipe_file(self, path, value, **kwargs):
            self.open(path, "wb", data=value)

    fs = Piping()
    with fs.transaction:
        fs.pipe({"/a": b"1"})
        assert not fs.exists("/a")
    assert fs.cat_file("/a") == b"1"
    with m.open("/z", "wb", compression="gzip", data=b"") as f:
        f.write(b"later")
    assert gzip.decompress(m.cat_file("/z")) == b"later"


def test_a_folder_that_is_moved_without_recursive_is_told_of_moving(m):
    m.pipe("/d/a", b"1")
    for act in (m.rm, lambda path: m.mv(path, "/new")):
        with pytest.raises(FileNotFoundError, match="recursive=True removes .*moves it where mv"):
            act("/d")
    assert m.find("") == ["/d/a"]
