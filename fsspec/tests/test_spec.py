"""The contract of a filesystem, over a backend that brings the least it can."""

import gc
import io
import os
import pathlib
import pickle
import threading

import pytest

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.core import OpenFile
from fsspec.exceptions import ForkError
from fsspec.spec import (
    DEFAULT_CALLBACK,
    FORK_AVAILABLE,
    AbstractBufferedFile,
    AbstractFileSystem,
    make_instance,
)
from fsspec.tests.dictfs import DictFileSystem
from fsspec.utils import tokenize

FILES = {
    "r/one": b"1",
    "r/digits": b"0123456789",
    "r/lines": b"alpha\nbeta\ngamma\n",
    "r/sub/two": b"22",
    "r/empty/": b"",
}


@pytest.fixture
def fs():
    return DictFileSystem(FILES)


class Remembered(DictFileSystem):
    """A backend whose instances are remembered."""

    protocol = ("mind", "memo")
    cachable = True


@pytest.fixture
def remembered():
    yield Remembered
    Remembered.clear_instance_cache()


# -- paths ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, plain, parent",
    [
        ("dictfs://a/b/", "a/b", "a"),
        ("dictfs::a", "a", ""),
        ("a/b/c", "a/b/c", "a/b"),
        ("/a/b", "/a/b", "/a"),
        ("/a", "/a", ""),
        ("a", "a", ""),
        ("a//b", "a//b", "a/"),
        ("dictfs:a/b", "dictfs:a/b", "dictfs:a"),
        ("/", "", ""),
        ("dictfs://", "", ""),
        ("", "", ""),
        (pathlib.PurePosixPath("/x/y"), "/x/y", "/x"),
    ],
)
def test_paths_are_stripped_and_have_parents(path, plain, parent):
    assert DictFileSystem._strip_protocol(path) == plain
    assert DictFileSystem._parent(path) == parent


def test_paths_of_a_class_with_a_root_marker():
    class Rooted(AbstractFileSystem):
        protocol = ("one", "two")
        root_marker = "/"

    assert Rooted._strip_protocol("two://") == "/"
    assert Rooted._strip_protocol(["one:///a/", "two:///b"]) == ["/a", "/b"]
    assert Rooted._parent("/a/b") == "/a"
    assert Rooted._parent("/a") == Rooted._parent("a") == "/"
    fs = Rooted(skip_instance_cache=True)
    assert fs.unstrip_protocol("/a") == "one:///a"
    assert fs.unstrip_protocol("two:///a") == "two:///a"


def test_urls_carry_no_options_by_default():
    assert DictFileSystem._get_kwargs_from_urls("dictfs://user@host/x") == {}


# -- one path ------------------------------------------------------------------


def test_info_looks_in_the_parent_and_then_below(fs):
    assert fs.info("dictfs://r/one") == {"name": "r/one", "size": 1, "type": "file"}
    assert fs.info("r/sub/") == {"name": "r/sub", "size": 0, "type": "directory"}
    assert fs.info("") == {"name": "", "size": 0, "type": "directory"}
    assert fs.stat("r/one") == fs.info("r/one")
    with pytest.raises(FileNotFoundError, match="r/nope"):
        fs.info("r/nope")


def test_what_there_is(fs):
    assert [fs.exists(p) for p in ("r/one", "r", "r/nope")] == [True, True, False]
    assert [fs.isdir(p) for p in ("r/one", "r", "r/nope")] == [False, True, False]
    assert [fs.isfile(p) for p in ("r/one", "r", "r/nope")] == [True, False, False]
    assert fs.lexists("r/one")
    assert fs.size("r/digits") == 10
    assert fs.sizes(["r/digits", "r/one"]) == [10, 1]


class Broken(AbstractFileSystem):
    """A backend that raises what it is given."""

    error: BaseException

    def info(self, path, **kwargs):
        raise self.error


@pytest.mark.parametrize("error", [PermissionError(), ValueError(), type("ClientError", (Exception,), {})()])
def test_what_cannot_be_found_out_is_not_there(error):
    fs = Broken(skip_instance_cache=True)
    fs.error = error
    assert not fs.exists("x") and not fs.isfile("x") and not fs.lexists("x")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ForkError("an instance", 1)])
def test_some_errors_are_never_an_answer(error):
    fs = Broken(skip_instance_cache=True)
    fs.error = error
    for ask in (fs.exists, fs.isfile, fs.isdir, fs.lexists):
        with pytest.raises(type(error)):
            ask("x")


def test_keys_change_with_the_file(fs):
    before = fs.ukey("r/one"), fs.checksum("r/one")
    assert before == (fs.ukey("r/one"), fs.checksum("r/one"))
    fs.files["r/one"] = b"longer"
    assert fs.ukey("r/one") != before[0] and fs.checksum("r/one") != before[1]
    with pytest.raises(FileNotFoundError):
        fs.ukey("r/nope")


@pytest.mark.parametrize(
    "name, args",
    [
        ("ls", ["a"]),
        ("_rm", ["a"]),
        ("rm_file", ["a"]),
        ("cp_file", ["a", "b"]),
        ("created", ["a"]),
        ("modified", ["a"]),
        ("sign", ["a"]),
    ],
)
def test_what_a_backend_has_to_bring(name, args):
    with pytest.raises(NotImplementedError, match="AbstractFileSystem"):
        getattr(AbstractFileSystem(), name)(*args)
    with pytest.raises(NotImplementedError):
        AbstractFileSystem().fsid


def test_folders_are_nothing_by_default():
    fs = AbstractFileSystem()
    assert [fs.mkdir("a"), fs.makedir("a"), fs.makedirs("a"), fs.mkdirs("a"), fs.rmdir("a")] == [None] * 5


def test_listings_that_are_remembered(fs):
    inside = [{"name": "d/f", "size": 1, "type": "file"}, {"name": "d/s", "size": 0, "type": "directory"}]
    fs.dircache["d"] = inside
    assert fs._ls_from_cache("d") == fs._ls_from_cache("d/") == inside
    assert fs._ls_from_cache("d/f") == inside[:1]
    assert fs._ls_from_cache("d/s") == inside[1:]
    assert fs._ls_from_cache("elsewhere") is None
    with pytest.raises(FileNotFoundError):
        fs._ls_from_cache("d/nope")


# -- contents ------------------------------------------------------------------


BOUNDS = [None, -100, -10, -3, -1, 0, 1, 3, 9, 10, 100]


@pytest.mark.parametrize("start", BOUNDS)
@pytest.mark.parametrize("end", BOUNDS)
def test_parts_are_slices(fs, start, end):
    assert fs.cat_file("r/digits", start, end) == b"0123456789"[start:end]
    assert fs.read_bytes("r/digits", start=start, end=end) == b"0123456789"[start:end]


def test_parts_and_wholes_of_files_are_read(fs):
    assert fs.head("r/digits", 3) == b"012"
    assert fs.tail("r/digits", 3) == b"789"
    assert fs.tail("r/digits", 30) == b"0123456789"
    assert fs.read_text("r/lines") == "alpha\nbeta\ngamma\n"
    assert fs.cat("r/one") == b"1"
    assert fs.cat(["r/one", "r/sub/two"]) == {"r/one": b"1", "r/sub/two": b"22"}
    assert fs.cat_ranges(["r/digits"] * 2, [0, 5], 7) == [b"0123456", b"56"]
    with AbstractBufferedFile(fs, "r/one") as f:
        assert f.read() == b"1"
    assert f.info()["name"] == "r/one"  # closed or not
    with f as again, pytest.raises(ValueError, match="closed"):
        again.read()


@pytest.mark.parametrize(
    "offset, length, delimiter, block",
    [
        (0, 10, None, b"alpha\nbeta"),
        (0, 10, b"\n", b"alpha\nbeta\n"),
        (3, 5, b"\n", b"beta\n"),
        (12, None, b"\n", b""),
        (12, None, None, b"amma\n"),
        (0, None, None, b"alpha\nbeta\ngamma\n"),
        (17, 5, None, b""),
        (90, 5, None, b""),
        (0, 100, b"\n", b"alpha\nbeta\ngamma\n"),
    ],
)
def test_blocks_begin_and_end_at_delimiters(fs, offset, length, delimiter, block):
    assert fs.read_block("r/lines", offset, length, delimiter) == block


class SeekGivesNothing(io.BytesIO):
    """A file object whose `seek` gives None, as paramiko's do."""

    def seek(self, *args):
        super().seek(*args)


def test_the_end_of_a_file_whose_seek_gives_nothing():
    class Odd(DictFileSystem):
        def open(self, path, mode="rb", **kwargs):
            return SeekGivesNothing(super().open(path, mode, **kwargs).read())

    fs = Odd(FILES)
    assert fs.tail("r/digits", 3) == b"789"
    assert fs.read_block("r/digits", 7, None) == b"789"


def test_bytes_and_text_are_written(fs):
    fs.pipe_file("r/new", b"abc")
    fs.write_bytes("r/new2", b"d")
    assert fs.write_text("r/new3", "é\n", encoding="utf8", newline="\r\n") == 2
    assert fs.cat_file("r/new3") == "é\r\n".encode()
    with pytest.raises(FileExistsError, match="r/new"):
        fs.pipe_file("r/new", b"x", mode="create")
    fs.pipe_file("r/other", b"x", mode="create")
    assert fs.cat(["r/new", "r/new2", "r/other"]) == {"r/new": b"abc", "r/new2": b"d", "r/other": b"x"}
    fs.pipe({"r/p1": b"1", "r/p2": b"2"})
    assert fs.cat("r/p2") == b"2"


def test_touch_makes_or_empties_a_file(fs):
    fs.touch("r/digits")
    assert fs.cat("r/digits") == b""
    fs.touch("r/fresh", truncate=False)
    assert fs.cat("r/fresh") == b""
    with pytest.raises(NotImplementedError, match="r/one"):
        fs.touch("r/one", truncate=False)


# -- opening -------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "use"), [("wb", "read"), ("wb", "readline"), ("rb", "write")])
def test_a_use_that_the_mode_does_not_allow(fs, mode, use):
    """As of any file object: programs catch ValueError or OSError."""
    f = AbstractBufferedFile(fs, "r/digits", mode, size=10)
    with pytest.raises(io.UnsupportedOperation, match="mode"):
        getattr(f, use)(*[b"x"] * (use == "write"))


def test_text_is_encoded_and_decoded(fs):
    with fs.open("r/new", "w", encoding="utf-16", newline="\r\n") as f:
        f.write("ä\n")
    with fs.open("dictfs://r/new", "rt", encoding="utf-16", newline="") as f:
        assert isinstance(f, io.TextIOWrapper)
        assert f.read() == "ä\r\n"


def test_contents_are_compressed_and_decompressed(fs):
    with fs.open("r/new.gz", "wb", compression="infer") as f:
        f.write(b"payload" * 9)
    assert fs.cat("r/new.gz") != b"payload" * 9
    with fs.open("r/new.gz", compression="gzip") as f:
        assert f.read() == b"payload" * 9
    with fs.open("r/one", compression="infer") as f:
        assert f.read() == b"1"


def test_a_compression_that_is_not_known(fs):
    with pytest.raises(ValueError, match="nonsense"):
        fs.open("r/fresh", "wb", compression="nonsense")
    assert not fs.exists("r/fresh")


def test_options_of_opening_reach_the_backend():
    class Curious(DictFileSystem):
        def _open(self, path, mode="rb", **kwargs):
            self.given = {"mode": mode, **kwargs}
            return io.BytesIO(b"x")

    fs = Curious()
    fs.open("r/one", "r", block_size=5, extra=1, encoding="utf8")
    assert fs.given == {
        "mode": "rb",
        "block_size": 5,
        "autocommit": True,
        "cache_options": None,
        "extra": 1,
    }


# -- transactions --------------------------------------------------------------


def test_a_transaction_commits_at_its_end(fs):
    with fs.transaction as transaction:
        assert transaction is fs.transaction
        with fs.open("r/new", "wb") as f:
            f.write(b"x")
        with fs.open("r/text", "w") as f:
            f.write("y")
        assert fs.cat("r/one") == b"1"
        with fs.open("r/now", "wb", autocommit=True) as f:
            f.write(b"z")
        assert [fs.exists(p) for p in ("r/new", "r/text", "r/now")] == [False, False, True]
    assert fs.cat(["r/new", "r/text"]) == {"r/new": b"x", "r/text": b"y"}
    assert not fs._intrans and fs._transaction is None


def test_a_transaction_that_fails_leaves_nothing(fs):
    with pytest.raises(ZeroDivisionError):
        with fs.transaction:
            fs.pipe("r/new", b"x")
            1 / 0
    assert not fs.exists("r/new")
    fs.pipe("r/new", b"y")
    assert fs.cat("r/new") == b"y"


def test_a_transaction_by_hand_forgets_what_was_listed(fs):
    reported = []
    fs.start_transaction()
    fs.pipe("r/new", b"x")
    fs.invalidate_cache("r")
    assert not fs.exists("r/new")
    assert fs._invalidated_caches_in_transaction == ["r"]
    fs.invalidate_cache = reported.append
    fs.end_transaction()
    assert fs.cat("r/new") == b"x"
    assert reported == ["r"] and fs._invalidated_caches_in_transaction == []


def test_a_transaction_in_itself_is_one(fs):
    with fs.transaction:
        fs.pipe_file("r/outer", b"1")
        with fs.transaction:
            fs.pipe_file("r/inner", b"2")
        assert not fs.exists("r/inner")
        with pytest.raises(ZeroDivisionError):
            with fs.transaction:
                fs.pipe_file("r/failed", b"3")
                1 / 0
    assert fs.cat_file("r/outer") + fs.cat_file("r/inner") == b"12"
    assert not fs.exists("r/failed") and not fs._intrans


def test_a_commit_that_fails_drops_what_is_left(fs):
    with pytest.raises(OSError, match="no commit"):
        with fs.transaction:
            for name in ("first", "second", "third"):
                fs.pipe_file(f"r/{name}", b"x")
            fs.transaction.files[1].commit = _no_commit
    assert [fs.exists(f"r/{name}") for name in ("first", "second", "third")] == [True, False, False]
    assert not fs._intrans and fs._transaction is None


def _no_commit():
    raise OSError("no commit")


# -- from and to this machine --------------------------------------------------


class Counter(Callback):
    """What a callback is told."""

    def __init__(self):
        super().__init__()
        self.reported = []

    def relative_update(self, inc=1):
        self.reported.append(inc)
        super().relative_update(inc)


class Small(DictFileSystem):
    """A backend that copies four bytes at a time."""

    blocksize = 4

    def _open(self, path, mode="rb", **kwargs):
        f = super()._open(path, mode, **kwargs)
        return f if mode != "rb" else Sized(f.getvalue())


class Sized(io.BytesIO):
    """A file object that knows its size."""

    def __init__(self, data):
        super().__init__(data)
        self.size = len(data)


def test_a_download_is_counted_and_its_folder_made(tmp_path):
    fs, callback = Small(FILES), Counter()
    fs.get_file("r/digits", tmp_path / "new" / "x", callback=callback)
    assert (tmp_path / "new" / "x").read_bytes() == b"0123456789"
    assert (callback.size, callback.value, callback.reported) == (10, 10, [4, 4, 2, 0])
    assert os.listdir(tmp_path / "new") == ["x"]


def test_a_download_to_a_name_with_a_slash_at_its_end_is_refused(fs, tmp_path):
    """The folder above it is made, as upstream."""
    (tmp_path / "there").mkdir()
    for name in ("a/new/", "there/"):
        with pytest.raises(IsADirectoryError) as error:
            fs.get_file("r/one", f"{tmp_path}/{name}")
        assert error.value.filename == f"{tmp_path}/{name}"
    with pytest.raises(FileNotFoundError):
        fs.get_file("r/missing", f"{tmp_path}/b/new/")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "there"]


@pytest.mark.parametrize("name", ["file/new", "file/new/", "file/new/below"])
def test_a_download_below_a_file_is_an_error_of_both_kinds(fs, tmp_path, name):
    """Upstream's depends on the filesystem, the depth and the slash at the end."""
    (tmp_path / "file").write_bytes(b"old")
    for get in (fs.get_file, fs.get):
        for kind in (FileExistsError, NotADirectoryError):
            with pytest.raises(kind):
                get("r/one", f"{tmp_path}/{name}")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_get_file_to_a_file_object(fs):
    for give in ("lpath", "outfile"):
        target = io.BytesIO()
        fs.get_file("r/digits", **{give: target})
        assert target.getvalue() == b"0123456789"
    with pytest.raises(TypeError, match="r/digits"):
        fs.get_file("r/digits")


def test_get_file_of_a_folder_makes_the_folder(fs, tmp_path):
    fs.get_file("r/sub", tmp_path / "made")
    assert (tmp_path / "made").is_dir()


def test_a_download_that_fails_leaves_what_was_there(tmp_path):
    class Torn(Small):
        def _open(self, path, mode="rb", **kwargs):
            f = super()._open(path, mode, **kwargs)
            f.size = 20  # more than will come
            return f

    fs = Torn(FILES)
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with pytest.raises(OSError, match="10 of 20"):
            fs.get_file("r/digits", tmp_path / name)
    with pytest.raises(FileNotFoundError):
        fs.get_file("r/nope", tmp_path / "folder" / "x")
    assert {path.name for path in tmp_path.rglob("*")} == {"old", "folder"}
    assert (tmp_path / "old").read_bytes() == b"old"


def test_a_download_keeps_permissions_and_links(fs, tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    fs.get_file("r/digits", link)
    assert link.is_symlink()
    assert target.read_bytes() == b"0123456789"
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no devices on this platform")
def test_a_download_to_a_device(fs):
    fs.get_file("r/digits", "/dev/null")
    assert not os.path.isfile("/dev/null")


def test_an_upload_is_counted(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    fs, callback = Small(), Counter()
    fs.put_file(tmp_path / "x", "r/x", callback=callback)
    assert fs.cat("r/x") == b"0123456789"
    assert (callback.size, callback.value, callback.reported) == (10, 10, [4, 4, 2])
    with pytest.raises(FileExistsError, match="r/x"):
        fs.put_file(tmp_path / "x", "r/x", mode="create")
    with pytest.raises(FileNotFoundError):
        fs.put_file(tmp_path / "nope", "r/y")
    assert not fs.exists("r/y")


# -- instances -----------------------------------------------------------------


def test_equal_arguments_give_one_instance(remembered):
    a, b = remembered(k=1), remembered(k=2)
    assert remembered(k=1) is a is not b
    assert a != b and a != 1 and len({a, b, remembered(k=1)}) == 2
    assert remembered.current() is a
    assert a._fs_token == a.__dask_tokenize__()
    skipped = remembered(k=1, skip_instance_cache=True)
    assert skipped is not a and skipped == a
    remembered.clear_instance_cache()
    assert remembered(k=1) is not a
    assert remembered.current().storage_options == {"k": 1}


@pytest.mark.parametrize("kind", ["dir", "simplecache", "filecache", "blockcache"])
def test_a_wrapper_stands_upon_the_instance_that_it_is_given_and_not_upon_an_equal_one(kind, tmp_path):
    class Shelf(DictFileSystem):
        cachable = True

    options = {"path": "r"} if kind == "dir" else {"cache_storage": str(tmp_path)} if "cache" in kind else {}
    for one, other in [
        (DictFileSystem(), DictFileSystem()),
        [Shelf(skip_instance_cache=True) for _ in range(2)],
    ]:
        assert one == other
        above = [fsspec.filesystem(kind, fs=fs, **options) for fs in (one, other)]
        assert above[0].fs is one and above[1].fs is other
        twice = [fsspec.filesystem("dir", path="a", fs=fs) for fs in above]
        assert twice[0].fs.fs is one and twice[1].fs.fs is other
        assert tokenize({"fs": one}) != tokenize({"fs": other}) and tokenize([one]) == tokenize([one])
    shared = Shelf()
    assert fsspec.filesystem(kind, fs=shared, **options) is fsspec.filesystem(kind, fs=shared, **options)


def test_current_makes_an_instance_where_there_is_none(remembered):
    assert remembered.current() is remembered()


def test_a_pickle_gives_the_remembered_instance(remembered):
    a = remembered(k=1)
    assert pickle.loads(pickle.dumps(a)) is a
    data = pickle.dumps(a)
    remembered.clear_instance_cache()
    assert pickle.loads(data) is remembered(k=1)
    assert make_instance(remembered, (), {"k": 1}) is remembered(k=1)


def test_dicts_and_json(remembered):
    a = remembered(k=1, password="secret")
    assert a.to_dict() == {
        "cls": f"{__name__}:Remembered",
        "protocol": "mind",
        "args": [],
        "k": 1,
        "password": "secret",
    }
    assert "secret" not in str(a.to_dict(include_password=False)) + a.to_json(include_password=False)
    assert AbstractFileSystem.from_dict(a.to_dict()) is a
    assert AbstractFileSystem.from_json(a.to_json()) is a
    with pytest.raises(ValueError, match="nonsense"):
        AbstractFileSystem.from_dict({"protocol": "nonsense"})


def test_the_base_sets_an_instance_up_once():
    class Twice(AbstractFileSystem):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            cache = self.dircache
            super().__init__(use_listings_cache=False)
            assert self.dircache is cache

    assert Twice(skip_instance_cache=True)._cached


def test_options_of_old_are_warned_of():
    with pytest.warns(FutureWarning, match="add_docs"):
        AbstractFileSystem(add_docs=True, skip_instance_cache=True)


def test_an_instance_nobody_remembers_is_collected():
    ids = []
    thread = threading.Thread(target=lambda: ids.append(id(DictFileSystem())))
    thread.start()
    thread.join()
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is DictFileSystem and id(o) in ids]


# -- the rest ------------------------------------------------------------------


def test_aliases_use_what_a_backend_overrides():
    class Loud(DictFileSystem):
        def __getattribute__(self, name):
            if name in ("copy", "mv", "rm", "get", "put", "du", "info", "ls", "mkdir", "makedirs"):
                return lambda *args, **kwargs: name
            return super().__getattribute__(name)

    fs = Loud()
    pairs = {
        "cp": "copy",
        "move": "mv",
        "rename": "mv",
        "delete": "rm",
        "download": "get",
        "upload": "put",
        "disk_usage": "du",
        "stat": "info",
        "listdir": "ls",
        "makedir": "mkdir",
        "mkdirs": "makedirs",
    }
    assert {
        alias: getattr(fs, alias)("a", "b")
        if alias in ("cp", "move", "rename", "download", "upload")
        else getattr(fs, alias)("a")
        for alias in pairs
    } == pairs


def test_moving_and_removing(fs):
    fs.copy("r/one", "r/copied")
    fs.mv("r/digits", "r/moved")
    fs.rm("r/one")
    assert fs.find("r") == ["r/copied", "r/lines", "r/moved", "r/sub/two"]


def test_a_mapper_has_the_files_below_its_root(fs):
    mapper = fs.get_mapper("r")
    assert mapper["sub/two"] == b"22"
    assert sorted(mapper) == ["digits", "lines", "one", "sub/two"]


def test_a_tree_is_drawn(fs):
    assert fs.tree("r").splitlines() == [
        "r",
        "├── empty",
        "├── sub",
        "│   └── two",
        "├── digits",
        "├── lines",
        "└── one",
    ]
    assert fs.tree("r", display_size=True, recursion_limit=1, indent_size=2, max_display=3).splitlines() == [
        "r",
        "├ empty (empty folder)",
        "├ sub (1 file)",
        "├ digits (10B)",
        "└ 2 more item(s) not displayed.",
    ]
    assert fs.tree("r", recursion_limit=0) == "r"
    assert fs.tree("r/sub", prefix="> ", first=False) == "> └── two"


def test_sizes_in_a_tree_have_units():
    class Wide(DictFileSystem):
        sizes = {"a": 921, "b": 922, "c": 2**20, "d": 3 * 2**30, "e": None}

        def ls(self, path, detail=True, **kwargs):
            return [{"name": n, "size": size, "type": "file"} for n, size in self.sizes.items()]

    amounts = [line.split("(")[1].rstrip(")") for line in Wide().tree("", display_size=True).splitlines()]
    assert amounts == ["921B", "0.90 kb", "1.00 Mb", "3.00 Gb", "unknown size"]


def test_names_of_the_module():
    import fsspec.spec

    assert FORK_AVAILABLE == hasattr(os, "fork")
    assert isinstance(DEFAULT_CALLBACK, Callback)
    assert fsspec.spec.logger.name == "fsspec"
    with pytest.raises(AttributeError):
        fsspec.spec.nonsense


class Parts(AbstractBufferedFile):
    """A file in parts of 10 bytes; what ``fails`` names is interrupted once, when it has nearly been done."""

    fails = "nothing"

    def interrupt(self, where):
        if self.fails == where:
            self.fails = "nothing"
            raise RuntimeError("a worker was killed")

    def _initiate_upload(self):
        self.parts = []
        self.interrupt("beginning")

    def _upload_chunk(self, final=False):
        self.parts.append(self.buffer.getvalue())
        self.interrupt("end" if final else "part")
        if final:
            self.fs.files[self.path] = b"".join(self.parts)


def interrupted(fs, fails, mode="wb"):
    f = Parts(fs, "r/new", mode, block_size=10)
    f.fails = fails
    return f


@pytest.mark.parametrize("fails", ["beginning", "end"])
def test_a_close_that_is_interrupted_is_made_up_for_by_the_next(fs, fails):
    f = interrupted(fs, fails)
    f.write(b"1234")
    with pytest.raises(RuntimeError):
        f.close()
    assert f.closed and "r/new" not in fs.files
    for use in (lambda: f.write(b"5"), f.flush):
        with pytest.raises(
            ValueError, match="upload of 'r/new' was given up after RuntimeError: a worker was ki"
        ):
            use()
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        f.close()
    with pytest.raises(KeyError), f:
        raise KeyError
    f.__del__()
    assert "r/new" not in fs.files
    try:
        raise RuntimeError
    except RuntimeError:
        f.close()
    assert f.closed and fs.files["r/new"] == b"1234"
    del fs.files["r/new"]
    f.close()
    assert "r/new" not in fs.files
    with pytest.raises(ValueError, match="^I/O operation on closed file.$"):
        f.write(b"5")


@pytest.mark.parametrize("mode, flushed", [("wb", False), ("wb", True), ("ab", True)])
def test_what_cannot_be_sent_again_is_reported_once_by_a_close(fs, mode, flushed):
    f = interrupted(fs, "end", mode)
    f.write(b"1234" if mode == "ab" else b"1234567890")
    with pytest.raises(RuntimeError):
        f.flush(force=True) if flushed else f.close()
    assert f.closed is not flushed
    with pytest.raises(
        ValueError, match="given up after RuntimeError: a worker was killed: nothing was stored"
    ):
        f.write(b"5")
    if flushed:
        with pytest.raises(OSError, match="upload of 'r/new' was given up after RuntimeError"):
            f.close()
    f.close()
    with f:
        pass
    assert f.closed and "r/new" not in fs.files


def test_a_flush_that_failed_is_reported_by_the_end_of_a_block(fs):
    for error, kind in ((None, OSError), (KeyError(), KeyError)):
        f = interrupted(fs, "end", "ab")
        f.write(b"1234")
        with pytest.raises(RuntimeError):
            f.flush(force=True)
        with pytest.raises(kind), f:
            if error is not None:
                raise error
        assert f.closed


def test_an_upload_that_could_not_begin_says_so(fs):
    f = interrupted(fs, "beginning")
    with pytest.raises(RuntimeError):
        f.write(bytes(10))
    for use in (lambda: f.write(b"5"), f.flush):
        with pytest.raises(
            ValueError, match="given up after RuntimeError: a worker was killed: nothing was stor"
        ):
            use()
    f.close()
    f = interrupted(fs, "beginning")
    with pytest.raises(RuntimeError), f:
        f.write(bytes(10))
    assert f.closed and "r/new" not in fs.files


@pytest.mark.parametrize("mode", ["wb", "w"])
def test_what_is_interrupted_as_it_is_closed_is_not_sent_again_of_itself(fs, mode, monkeypatch):
    monkeypatch.setattr(fs, "_open", lambda path, mode="rb", **_: interrupted(fs, "end"))
    with pytest.raises(RuntimeError, match="killed"), OpenFile(fs, "r/new", mode) as f:
        f.write(b"1234" if mode == "wb" else "1234")
    gc.collect()
    assert "r/new" not in fs.files


def test_an_interrupt_as_a_write_returns_leaves_the_position_right(fs):
    class Interrupting(io.BytesIO):
        def write(self, data):
            super().write(data)
            raise RuntimeError

    f = interrupted(fs, "nothing")
    f.write(b"123")
    f.buffer = Interrupting(b"123")
    f.buffer.seek(3)
    with pytest.raises(RuntimeError):
        f.write(b"45")
    assert f.tell() == 5
    f.close()
    assert fs.files["r/new"] == b"12345"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_file_of_a_backend_without_one_is_written_whole(asynchronous):
    """Nothing is lost, and nothing overwritten that was not named."""
    files = {}

    def pipe(self, path, value, **kwargs):
        files[path] = bytes(value)

    def cat(self, path, start=None, end=None, **kwargs):
        if path not in files:
            raise FileNotFoundError(path)
        return files[path][start:end]

    def info(self, path, **kwargs):
        return {"name": path, "size": len(cat(self, path)), "type": "file"}

    async def awaited_pipe(self, *args, **kwargs):
        return pipe(self, *args, **kwargs)

    async def awaited_cat(self, *args, **kwargs):
        return cat(self, *args, **kwargs)

    async def awaited_info(self, *args, **kwargs):
        return info(self, *args, **kwargs)

    if asynchronous:
        methods = {"_pipe_file": awaited_pipe, "_cat_file": awaited_cat, "_info": awaited_info}
        base = AsyncFileSystem
    else:
        methods = {"pipe_file": pipe, "cat_file": cat, "info": info}
        base = AbstractFileSystem
    fs = type("Whole", (base,), {"protocol": "whole", "cachable": False, **methods})()
    with fs.open("a", "wb", block_size=10) as f:
        for _ in range(5):
            f.write(b"1234567")
        assert not files
    assert files == {"a": b"1234567" * 5}
    for _ in range(2):
        with fs.open("b", "ab") as f:
            f.write(b"!")
    assert files["b"] == b"!!"
    f = fs.open("a", "xb")
    f.write(b"other")
    with pytest.raises(FileExistsError):
        f.close()
    with fs.transaction:
        with fs.open("c", "wb") as f:
            f.write(b"x")
        assert "c" not in files
    with fs.open("c", "rb") as f:
        f.commit()  # of what is read there is nothing to write
    assert files == {"a": b"1234567" * 5, "b": b"!!", "c": b"x"}
    with pytest.raises(KeyError), fs.transaction:
        with fs.open("d", "wb") as f:
            f.write(b"x")
        raise KeyError
    assert "d" not in files


def test_a_file_class_of_a_backend_may_call_the_base_class(m):
    """What it uploads itself is not written once more by the base class."""

    class File(AbstractBufferedFile):
        def _upload_chunk(self, final=False):
            sent.append(self.buffer.getvalue())
            return super()._upload_chunk(final)

    sent = []
    with File(m, "/parts", "wb", block_size=4) as f:
        f.write(b"0123456789")
        f.write(b"abc")
    assert b"".join(sent) == b"0123456789abc"
    assert not m.exists("/parts")


def test_a_new_file_of_a_backend_that_knows_no_modes():
    class Whole(AbstractFileSystem):
        protocol = "whole"
        cachable = False
        files = {}

        def pipe_file(self, path, value):
            self.files[path] = bytes(value)

        def info(self, path, **kwargs):
            if path not in self.files:
                raise FileNotFoundError(path)
            return {"name": path, "size": len(self.files[path]), "type": "file"}

    fs = Whole()
    with fs.open("new", "xb") as f:
        f.write(b"1")
    assert fs.files == {"new": b"1"}


# -- files that put what is written elsewhere ----------------------------------------


class _Elsewhere(AbstractBufferedFile):
    def write(self, data):
        self.fs.files[self.path] = self.fs.files.get(self.path, b"") + bytes(data)
        return len(data)


class _Unmade(_Elsewhere):
    """Its base does not know of it."""

    def __init__(self, fs, path, **kwargs):
        self.fs, self.path = fs, path

    def close(self):
        pass


@pytest.mark.parametrize("kind", [_Elsewhere, _Unmade])
def test_nothing_is_committed_of_a_file_that_buffers_nothing(kind):
    class Own(DictFileSystem):
        def _open(self, path, mode="rb", autocommit=True, **kwargs):
            return kind(self, path, mode=mode, autocommit=autocommit)

        def pipe_file(self, path, value, **kwargs):
            self.files[path] = value

    fs = Own({})
    with fs.transaction:
        with fs.open("in", "wb") as f:
            f.write(b"12")
            f.write(b"34")
    with fs.open("outside", "wb") as f:
        f.write(b"1234")
    assert kind(fs, "x", mode="wb").commit() is None
    assert fs.files == {"in": b"1234", "outside": b"1234"}


@pytest.mark.parametrize("text", [{"encoding": "none such"}, {"newline": "x"}], ids=["encoding", "newline"])
@pytest.mark.parametrize("kind", ["file", "memory", "sent"])
def test_a_file_is_not_emptied_for_text_that_cannot_be(kind, text, tmp_path):
    class Sent(DictFileSystem):
        def _open(self, path, mode="rb", autocommit=True, **kwargs):
            return AbstractBufferedFile(self, path, mode=mode, autocommit=autocommit)

        def pipe_file(self, path, value, **kwargs):
            self.files[path] = value

        def cat_file(self, path, start=None, end=None, **kwargs):
            return self.files[path][start:end]

    fs = Sent({}) if kind == "sent" else fsspec.filesystem(kind, skip_instance_cache=True)
    path = str(tmp_path / "f")
    fs.pipe_file(path, b"old")
    opening = [
        lambda: fs.open(path, "w", **text),
        lambda: fs.open(path, "wt", compression="gzip", **text),
        lambda: fs.write_text(path, "new", **text),
        lambda: OpenFile(fs, path, "w", **text).open(),
    ]
    for fails in opening:
        with pytest.raises((LookupError, ValueError)):
            fails()
        gc.collect()
        assert fs.cat_file(path) == b"old"
    if kind == "memory":
        fs.rm_file(path)


@pytest.mark.parametrize("data", [b"", b"1234"])
def test_a_new_file_is_looked_for_once(data):
    listed = []

    class Own(DictFileSystem):
        def ls(self, path, detail=True, **kwargs):
            listed.append(path)
            return super().ls(path, detail, **kwargs)

        def _open(self, path, mode="rb", autocommit=True, **kwargs):
            return AbstractBufferedFile(self, path, mode=mode, autocommit=autocommit)

        def pipe_file(self, path, value, **kwargs):
            self.files[path] = value

    fs = Own({"there": b"old"})
    with fs.open("new", "xb") as f:
        f.write(data)
    assert fs.files == {"there": b"old", "new": data}
    asked, listed[:] = list(listed), []
    fs.exists("none")
    assert asked and len(asked) == len(listed)
    with pytest.raises(FileExistsError), fs.open("there", "xb") as f:
        f.write(data)
    assert fs.files["there"] == b"old"
