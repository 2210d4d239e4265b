"""Copying trees within a filesystem, from it to this machine, and back."""

import asyncio
import errno
import os
import pathlib
import shutil
import stat
import zipfile

import pytest

import fsspec
from fsspec._plans import transfer_batches
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {
    "r/one": b"1",
    "r/two.txt": b"22",
    "r/sub/three": b"333",
    "r/sub/deep/four.txt": b"4444",
}


class Shelf(DictFileSystem):
    """The blocking dictfs, whose folders can be copied and removed."""

    def cp_file(self, path1, path2, **kwargs):
        if not self.isdir(path1):
            self.files[self._strip_protocol(path2)] = self._file(path1)

    def _file(self, path):
        try:
            return self.files[self._strip_protocol(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _rm(self, path):
        self.files.pop(self._strip_protocol(path), None)


@pytest.fixture(params=[Shelf, WritableDictFileSystem], ids=["blocking", "awaitable"])
def fs(request):
    return request.param(FILES)


@pytest.fixture
def wdictfs():
    return WritableDictFileSystem(FILES)


def below(fs, folder):
    return {path[len(folder) :]: data for path, data in fs.files.items() if path.startswith(folder)}


def local(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def made(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# which source goes where: one rule for all three directions ------------------------
RULES = [
    # source, target, recursive, target is there, what is made
    ("r/one", "t", False, False, {"": b"1"}),
    ("r/one", "t/", False, False, {"/one": b"1"}),
    ("r/one", "t", False, True, {"/one": b"1"}),
    (["r/one", "r/two.txt"], "t", False, False, {"/one": b"1", "/two.txt": b"22"}),
    ("r/*", "t", False, False, {"/one": b"1", "/two.txt": b"22"}),
    ("r/*.txt", "t", False, False, {"/two.txt": b"22"}),
    ("r/sub", "t", True, False, {"/three": b"333", "/deep/four.txt": b"4444"}),
    ("r/sub/", "t", True, True, {"/three": b"333", "/deep/four.txt": b"4444"}),
    ("r/sub", "t", True, True, {"/sub/three": b"333", "/sub/deep/four.txt": b"4444"}),
    ("r/sub", "t/", True, False, {"/sub/three": b"333", "/sub/deep/four.txt": b"4444"}),
    ("r/sub", "t", False, False, {}),
]


@pytest.mark.parametrize("source, target, recursive, there, expected", RULES)
def test_copies_go_where_the_rules_say(fs, source, target, recursive, there, expected):
    if there:
        fs.files["t/.kept"] = b""
    fs.copy(source, target, recursive=recursive)
    fs.files.pop("t/.kept", None)
    assert below(fs, "t") == expected
    assert below(fs, "r") == {path[1:]: data for path, data in FILES.items()}


@pytest.mark.parametrize("source, target, recursive, there, expected", RULES)
def test_downloads_go_where_the_rules_say(fs, source, target, recursive, there, expected, tmp_path):
    if there:
        (tmp_path / "t").mkdir()
    fs.get(source, f"{tmp_path}/{target}", recursive=recursive)
    assert local(tmp_path) == {"t" + path: data for path, data in expected.items()}


@pytest.mark.parametrize("source, target, recursive, there, expected", RULES)
def test_uploads_go_where_the_rules_say(fs, source, target, recursive, there, expected, tmp_path):
    made(tmp_path, FILES)
    fs.files = {"t/.kept": b""} if there else {}
    here = [f"{tmp_path}/{p}" for p in source] if isinstance(source, list) else f"{tmp_path}/{source}"
    fs.put(here, target, recursive=recursive)
    fs.files.pop("t/.kept", None)
    assert below(fs, "t") == expected


# copy ------------------------------------------------------------------------------
def test_copy_of_a_list_to_a_list(fs):
    fs.copy(["r/one", "r/two.txt"], ["a/x", "b/y"])
    assert (fs.files["a/x"], fs.files["b/y"]) == (b"1", b"22")


def test_lists_that_do_not_match(fs, tmp_path):
    for method in (fs.copy, fs.get, fs.put):
        with pytest.raises(ValueError, match="2 sources, but 1 target$"):
            method(["r/one", "r/two.txt"], ["a"])


def test_copy_to_a_depth(fs):
    fs.copy("r", "t", recursive=True, maxdepth=1)
    assert below(fs, "t/") == {"one": b"1", "two.txt": b"22"}


def test_copy_of_a_missing_file_raises(fs):
    for on_error in (None, "raise"):
        with pytest.raises(FileNotFoundError, match="r/none"):
            fs.copy("r/none", "t", on_error=on_error)
    fs.copy(["r/none", "r/one"], "t", on_error="ignore")
    assert below(fs, "t") == {"/one": b"1"}
    for word in ("omit", "return", "typo"):  # what upstream makes of other words
        fs.copy("r/one", "u/" + word, on_error=word)
        if fs.async_impl:
            with pytest.raises(FileNotFoundError, match="r/none"):
                fs.copy(["r/none", "r/one"], "v/", on_error=word)
        else:
            fs.copy(["r/none", "r/one"], "v/", on_error=word)
        assert below(fs, "v/") == {"one": b"1"}
    assert below(fs, "u/").keys() == {"omit", "return", "typo"}


def test_path_objects_are_their_text(fs, tmp_path):
    """Not a list of one, whose tree would lie flat in the target."""
    r = pathlib.PurePosixPath("r")
    fs.copy(r, "t", recursive=True)
    assert below(fs, "t/") == below(fs, "r/")
    fs.copy(r / "one", "copied")
    assert below(fs, "copied") == {"": b"1"}
    fs.get(r, f"{tmp_path}/got", recursive=True)
    assert (tmp_path / "got" / "sub" / "three").read_bytes() == b"333"
    fs.mv(r / "one", "moved")
    assert below(fs, "moved") == {"": b"1"} and not fs.exists("r/one")
    fs.rm(pathlib.PurePosixPath("moved"))
    assert not fs.exists("moved")
    assert fs.glob(r / "t*") == ["r/two.txt"]


@pytest.mark.parametrize(
    "options", [{"recursive": True}, {"on_error": "ignore"}], ids=["recursive", "ignore"]
)
@pytest.mark.parametrize("target", ["new/", "new/x/", ["new/x"]])
@pytest.mark.parametrize("source", ["a.txt", ["a.txt"], "*.txt"])
@pytest.mark.parametrize("kind", ["local", "dir", "awaitable"])
def test_a_copy_of_a_file_is_made_or_is_an_error(kind, source, target, options, tmp_path):
    """Though what is not there is passed over: a file that is there is copied, or cannot be, for want of a
    folder."""
    if isinstance(target, list) and not isinstance(source, list):
        target = target[0]
    (tmp_path / "a.txt").write_text("a")
    base, fs = f"{tmp_path}/", fsspec.filesystem("file")
    if kind == "dir":
        base, fs = "", fsspec.filesystem("dir", path=str(tmp_path), fs=fs)
        target = "new/none/" if target == "new/" else target  # it drops the slash: "new" would be the file
    elif kind == "awaitable":
        fs = AsyncFileSystemWrapper(fs, asynchronous=False)

    def placed(path):
        return [base + p for p in path] if isinstance(path, list) else base + path

    if kind == "dir" and (source, target) == ("a.txt", "new/"):  # which drops the slash
        fs.copy(source, target, **options)
        assert (tmp_path / "new").read_text() == "a"
        return
    with pytest.raises(FileNotFoundError):
        fs.copy(placed(source), placed(target), **options)
    assert os.listdir(tmp_path) == ["a.txt"]
    assert fs.copy([base + "none"], [base + "new/x"], on_error="ignore") is None


@pytest.mark.parametrize("kind", ["local", "awaitable"])
def test_a_copy_that_ignores_what_is_missing_goes_on_after_each_error(kind, tmp_path):
    """The others are copied, though the target of one cannot be made, which is raised then."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    fs = fsspec.filesystem("file")
    if kind == "awaitable":
        fs = AsyncFileSystemWrapper(fs, asynchronous=False)
    names = [f"{tmp_path}/{name}" for name in ("none", "a", "b")]
    with pytest.raises(FileNotFoundError, match="new/a"):
        fs.copy(names, [f"{tmp_path}/x", f"{tmp_path}/new/a", f"{tmp_path}/c"], on_error="ignore")
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("recursive", [False, True])
def test_of_sources_that_are_missing_nothing_more_is_asked(wdictfs, recursive):
    asked = []

    async def isfile(path):
        asked.append(path)
        return False

    wdictfs._isfile = isfile
    wdictfs.copy(["r/none", "r/one"], ["t/none", "t/one"], recursive=recursive, on_error="ignore")
    assert below(wdictfs, "t/") == {"one": b"1"} and not asked


def test_other_errors_are_not_ignored(wdictfs):
    async def cp_file(path1, path2, **kwargs):
        raise PermissionError(path1)

    wdictfs._cp_file = cp_file
    with pytest.raises(PermissionError, match="^r"):
        wdictfs.copy("r", "t", recursive=True)


def test_folders_that_are_only_names_are_no_errors_of_a_copy(wdictfs):
    """They cannot be copied, and need not be; a file that is missing is told."""
    wdictfs.copy("r", "t", recursive=True, on_error="raise")
    assert below(wdictfs, "t/") == below(wdictfs, "r/")
    with pytest.raises(FileNotFoundError, match="r/none"):
        wdictfs.copy(["r/one", "r/none"], ["u/one", "u/none"], recursive=True, on_error="raise")


def test_a_name_with_brackets_is_copied_as_any_other(fs, tmp_path):
    """To a new name or into a folder; there and back."""
    fs.files.clear()
    fs.files.update({"s/q[1]": b"brackets", "s/q1": b"other"})
    fs.copy("s/q[1]", "t")
    fs.copy("s/q[1]", "u/")
    fs.get("s/q[1]", str(tmp_path / "q[2]"))
    (tmp_path / "q2").write_bytes(b"other")
    fs.put(str(tmp_path / "q[2]"), "v")
    fs.put([str(tmp_path / "q[2]")], "w")
    assert {p: fs.files[p] for p in ("t", "u/q[1]", "v", "w/q[2]")} == dict.fromkeys(
        ("t", "u/q[1]", "v", "w/q[2]"), b"brackets"
    )
    fs.mv("s/q[1]", "x")
    assert fs.files["x"] == b"brackets" and "s/q[1]" not in fs.files and fs.files["s/q1"] == b"other"


def test_what_is_moved_is_gone_from_its_source(fs):
    fs.mv("r/sub", "t", recursive=True)
    assert below(fs, "t") == {"/three": b"333", "/deep/four.txt": b"4444"}
    assert sorted(fs.files) == ["r/one", "r/two.txt", "t/deep/four.txt", "t/three"]


def test_mv_onto_itself_changes_nothing(fs):
    fs.mv("r/one", "r/one")
    assert fs.files == FILES


@pytest.mark.parametrize("root", ["", "/"])
def test_mv_of_a_name_without_a_slash_to_the_root_changes_nothing(root):
    class Keys(Shelf):
        """Takes "/name" and "name" for the same file, only when it looks for it."""

        def cp_file(self, path1, path2, **kwargs):
            if not self.isdir(path1):
                self.files[path2.strip("/")] = self.files[path1.strip("/")]

        def _rm(self, path):
            self.files.pop(path.strip("/"), None)

    fs = Keys({"f": b"1", "d/g": b"2"})
    fs.mv("f", root)
    assert fs.files == {"f": b"1", "d/g": b"2"}
    fs.mv("d/g", root)
    assert fs.files == {"f": b"1", "g": b"2"}


def test_mv_of_one_file_asks_no_more_than_the_copy_of_a_class_does():
    class Own(Shelf):
        def copy(self, path1, path2, **kwargs):
            super().copy(path1, path2, **kwargs)

        def info(self, path, **kwargs):
            asked.append(path)
            return super().info(path, **kwargs)

    asked, fs = [], Own(FILES)
    fs.copy("r/one", "r/copy")
    by_copy = len(asked)
    fs.mv("r/two.txt", "r/moved")
    assert len(asked) == 2 * by_copy
    assert fs.files["r/moved"] == b"22" and "r/two.txt" not in fs.files


def test_mv_removes_nothing_that_was_not_copied(fs):
    with pytest.raises(FileNotFoundError):
        fs.mv(["r/one", "r/none"], "t")
    assert below(fs, "r") == {path[1:]: data for path, data in FILES.items()}


INTO_ITSELF = [
    ("r", "r/in"),
    ("r/", "r/in/"),
    ("r/*", "r/in/"),
    ("r", "r/"),
    ("r", "r"),
    ("r/one", "r/"),
    ("r/sub", "r/"),
    ("r/one", "r/one/"),
    (["r/sub"], "r/sub"),
    ("r/**", "r/sub/"),
]


class OwnRemoval(WritableDictFileSystem):
    """A backend that removes by a pattern of its own making, after the copy."""

    async def _rm(self, path, recursive=False, **kwargs):
        for p in reversed(await self._expand_path(path, recursive=recursive)):
            await self._rm_file(p)


@pytest.mark.parametrize("kind", [Shelf, WritableDictFileSystem, OwnRemoval])
@pytest.mark.parametrize("source, target", INTO_ITSELF, ids=str)
def test_mv_of_a_folder_into_itself_loses_nothing(kind, source, target):
    fs = kind(FILES)
    try:
        fs.mv(source, target, recursive=True)
    except OSError as error:
        assert error.errno == errno.EINVAL and fs.files == FILES
    assert sorted(fs.files.values()) == sorted(FILES.values())


def test_mv_leaves_what_lies_deeper_than_it_copies(fs):
    fs.mv("r", "t", recursive=True, maxdepth=1)
    assert fs.files == {
        "t/one": b"1",
        "t/two.txt": b"22",
        "r/sub/three": b"333",
        "r/sub/deep/four.txt": b"4444",
    }


def test_mv_removes_its_sources_by_an_overridden_method():
    """A backend may have no other."""
    asked = []

    class Own(DictFileSystem):
        def cp_file(self, path1, path2, **kwargs):
            self.files[path2] = self.files[path1]

        def rm_file(self, path):
            raise NotImplementedError

        def rm(self, path, recursive=False, maxdepth=None):
            asked.append((path, recursive, maxdepth))
            for name in self.expand_path(path, recursive=recursive, maxdepth=maxdepth):
                self.files.pop(name, None)

    fs = Own(FILES)
    fs.mv("r", "t", recursive=True, maxdepth=1)
    assert sorted(fs.files) == ["r/sub/deep/four.txt", "r/sub/three", "t/one", "t/two.txt"]
    fs.mv("t/one", "t/three", maxdepth=1)
    assert sorted(fs.find("t")) == ["t/three", "t/two.txt"]
    assert asked == [(["r/one", "r/two.txt"], False, None), (["t/one"], False, None)]


def test_mv_does_not_put_two_files_in_one_place(fs):
    before = dict(fs.files, **{"r/sub/one": b"other"})
    fs.files["r/sub/one"] = b"other"
    with pytest.raises(ValueError, match="several files.*to a name of its own"):
        fs.mv(["r/one", "r/sub/one"], "t/")
    assert fs.files == before


def test_mv_of_names_with_wildcards_in_them_moves_nothing_else():
    fs = OwnRemoval({"r/[a]": b"[a]", "r/a": b"a", "r/b": b"b"})
    fs.mv("r/[[]a]", "t/")
    fs.mv("r/?", "r/in/")
    assert fs.files == {"t/[a]": b"[a]", "r/in/a": b"a", "r/in/b": b"b"}


def test_of_several_sources_with_one_target_the_last_wins(fs, tmp_path):
    fs.copy(["r/two.txt", "r/one", "r/sub/three"], ["t", "u", "t"])
    assert fs.files["t"] == b"333" and fs.files["u"] == b"1"
    out = str(tmp_path / "out")
    fs.get(["r/two.txt", "r/sub/three"], [out, out])
    assert (tmp_path / "out").read_bytes() == b"333"
    fs.put([out, str(made(tmp_path, {"in": b"in"}) / "in")], ["t", "t"])
    assert fs.files["t"] == b"in"


@pytest.mark.parametrize("targets", [["t", "u", "v"], ["t", "t", "v"]])
def test_a_copy_that_fails_leaves_out_no_other_of_an_awaitable_filesystem(targets):
    fs = WritableDictFileSystem(FILES)
    with pytest.raises(FileNotFoundError, match="missing"):
        fs.copy(["missing", "r/one", "r/two.txt"], targets, batch_size=1)
    assert fs.files[targets[1]] == b"1" and fs.files["v"] == b"22"


@pytest.mark.parametrize("how", [{}, {"on_error": "ignore"}, {"recursive": True}])
def test_a_copy_that_fails_ends_there_with_a_blocking_filesystem(tmp_path, how):
    """What is missing is no such failure where it may be ignored."""
    made(tmp_path, {"a": b"a", "b": b"b", "c": b"c", "t/b/in": b""})
    with pytest.raises(IsADirectoryError):
        fsspec.filesystem("file").copy([f"{tmp_path}/{name}" for name in "abc"], f"{tmp_path}/t", **how)
    assert sorted(os.listdir(tmp_path / "t")) == ["a", "b"]
    if how:
        fsspec.filesystem("file").copy([f"{tmp_path}/{name}" for name in "axc"], f"{tmp_path}/t", **how)
        assert (tmp_path / "t" / "c").read_bytes() == b"c"


def test_awaitable_transfers_give_a_list(tmp_path):
    class Telling(WritableDictFileSystem):
        async def _get_file(self, rpath, lpath, **kwargs):
            return f"got {rpath}"

        async def _put_file(self, lpath, rpath, **kwargs):
            return f"put {rpath}"

    fs = Telling(FILES)
    made(tmp_path, {"a": b"a"})
    assert fs.get("r/one", str(tmp_path / "x")) == ["got r/one"]
    assert fs.get([], []) == []
    assert fs.get("r", str(tmp_path / "x")) is None  # a folder, and not recursive
    assert fs.put(str(tmp_path / "a"), "t") == ["put t"]
    assert Shelf(FILES).get("r/one", str(tmp_path / "y")) is None


class Topped(Shelf):
    """A blocking backend whose ``ls`` takes an argument of its own."""

    def ls(self, path, detail=True, top=None, **kwargs):
        return super().ls(path, detail)[:top]

    def open(self, path, mode="rb", top=None, **kwargs):
        return super().open(path, mode, **kwargs)


def test_arguments_of_a_backend_reach_its_listing(tmp_path):
    fs = Topped(FILES)
    assert fs.cat("r/*o*", top=1) == {"r/one": b"1"}
    fs.get("r/*", str(tmp_path), top=1)
    assert local(tmp_path) == {"one": b"1"}
    fs.copy("r", "t", recursive=True, top=1)
    assert below(fs, "t") == {"/one": b"1"}


def test_a_batch_size_is_an_argument_like_others_where_nothing_is_awaited():
    given = {}

    class Noting(Shelf):
        def cp_file(self, path1, path2, **kwargs):
            given.update(kwargs)

    Noting(FILES).copy("r/one", "t", batch_size=3, other=1)
    assert given == {"batch_size": 3, "other": 1}


def test_a_name_without_a_slash_goes_into_a_folder_like_others(tmp_path):
    for kind in (Shelf, WritableDictFileSystem):
        fs = kind({"one": b"1", "there/x": b"x"})
        for target in ("t/", "there"):
            fs.copy("one", target)
        assert fs.files["t/one"] == fs.files["there/one"] == b"1"
        fs.get("one", f"{tmp_path}/{kind.__name__}/")
        assert local(tmp_path / kind.__name__) == {"one": b"1"}


def test_a_slash_in_front_that_listings_do_not_have():
    """Nothing is joined to the name of the target itself."""

    class Loose(AbstractFileSystem):
        cachable = False
        inner = Shelf({"data/abc": b"1", "data/sub/x": b"2"})

        def ls(self, path, detail=True, **kwargs):
            return self.inner.ls(path.strip("/"), detail=detail)

        def info(self, path, **kwargs):
            return self.inner.info(path.strip("/"))

        def cp_file(self, path1, path2, **kwargs):
            self.inner.cp_file(path1, path2)

    loose = Loose()
    loose.copy("/data", "out/target", recursive=True)
    copied = [path for path in loose.inner.files if not path.startswith("data/")]
    assert len(copied) == 2 and all(path.startswith("out/target/") for path in copied)


def test_a_slash_at_the_end_of_a_target_in_a_list_means_a_folder(fs, tmp_path):
    with pytest.raises(IsADirectoryError):
        fs.get(["r/one"], [f"{tmp_path}/t/"])
    assert [path.name for path in tmp_path.iterdir()] == (["t"] if fs.async_impl else [])  # as upstream
    made(tmp_path, {"there": b"mine"})
    with pytest.raises(OSError):
        fs.get(["r/one"], [f"{tmp_path}/there/"])
    assert local(tmp_path) == {"there": b"mine"}


# get -------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["../out", "a/../../out", "..", "/../../out"])
def test_get_refuses_names_that_lead_out_before_it_writes(name, tmp_path):
    fs = WritableDictFileSystem()
    target = tmp_path / "in"

    async def find(path, **kwargs):
        return ["r/good", f"r/{name}"]

    fs._find = find
    with pytest.raises(ValueError, match="leads out"):
        fs.get("r", str(target), recursive=True)
    assert not list(tmp_path.iterdir())
    assert not fs.did


def test_get_of_a_path_object(fs, tmp_path):
    fs.get("r/one", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"1"


def test_get_makes_the_folders_that_are_needed(fs, tmp_path):
    fs.get("r/one", f"{tmp_path}/a/b/c")
    assert local(tmp_path) == {"a/b/c": b"1"}


def test_a_download_that_fails_leaves_no_part(tmp_path):
    fs = WritableDictFileSystem(FILES, broken=["r/sub/three"])
    with pytest.raises(OSError, match="broken"):
        fs.get("r/sub", str(tmp_path / "t"), recursive=True)
    assert "three" not in local(tmp_path / "t")
    with pytest.raises(OSError, match="broken"):
        fs.get("r/sub/three", str(tmp_path / "alone"))
    assert not (tmp_path / "alone").exists()


def test_downloads_that_a_failure_ends_leave_no_part(tmp_path):
    fs = WritableDictFileSystem({f"r/{n}": b"whole" for n in range(20)} | {"r/x": b"whole"}, broken=["r/x"])
    with pytest.raises(OSError, match="broken"):
        fs.get("r", str(tmp_path), recursive=True)
    assert set(local(tmp_path).values()) <= {b"whole"}


@pytest.mark.parametrize("target", ["a/b/new", "a/b/", "a/b"])
def test_a_download_by_the_method_of_a_backend_that_fails_leaves_no_folder(target, tmp_path):
    class Own(DictFileSystem):
        def get_file(self, rpath, lpath, **kwargs):
            if self.isdir(rpath):
                os.mkdir(lpath)
            else:
                data = self.files[rpath]
                with open(lpath, "wb") as f:
                    f.write(data)

    fs = Own({"r/one": b"1", "r/sub/two": b"2"})
    (tmp_path / "a").mkdir()
    for sources in "r/none", ["r/none"], ["r/none", "r/nothing"]:
        with pytest.raises(KeyError):
            fs.get(sources, f"{tmp_path}/{target}")
        assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == []
    with pytest.raises(KeyError):
        fs.get(["r/one", "r/none"], [f"{tmp_path}/x/y/one", f"{tmp_path}/z/none"])
    assert local(tmp_path / "x") == {"y/one": b"1"} and not (tmp_path / "z").exists()


def test_a_failed_download_leaves_an_older_file(tmp_path):
    fs = WritableDictFileSystem(FILES, broken=["r/sub/three"])
    (tmp_path / "three").write_bytes(b"older")
    with pytest.raises(OSError, match="broken"):
        fs.get("r/sub/three", str(tmp_path / "three"))
    assert local(tmp_path) == {"three": b"older"}


def test_a_file_that_was_not_touched_stays(fs, tmp_path):
    (tmp_path / "none").write_bytes(b"older")
    with pytest.raises(FileNotFoundError):
        fs.get("r/none", str(tmp_path / "none"))
    assert (tmp_path / "none").read_bytes() == b"older"


def test_what_is_no_plain_file_is_not_removed(tmp_path):
    fs = WritableDictFileSystem(FILES, broken=["r/one"])
    with pytest.raises(OSError, match="broken"):
        fs.get("r/one", os.devnull)
    assert os.path.exists(os.devnull)


def test_get_with_errors_ignored_leaves_no_part(tmp_path):
    fs = WritableDictFileSystem(FILES)

    async def get_file(rpath, lpath, **kwargs):
        with open(lpath, "wb") as f:
            f.write(b"x")
            if rpath == "r/one":
                raise FileNotFoundError(rpath)

    fs._get_file = get_file
    fs.get(["r/one", "r/two.txt"], str(tmp_path), on_error="ignore")
    assert local(tmp_path) == {"two.txt": b"x"}


def test_of_sources_with_one_target_the_last_wins(tmp_path):
    fs = WritableDictFileSystem({"a/x": b"first", "b/x": b"second, and longer"})
    fs.get(["a/x", "b/x"], str(tmp_path))
    assert local(tmp_path) == {"x": b"second, and longer"}


# put -------------------------------------------------------------------------------
def test_put_of_a_path_object_goes_into_the_target(fs, tmp_path):
    made(tmp_path, {"a": b"1"})
    fs.put(pathlib.Path(tmp_path, "a"), "t")
    assert below(fs, "t") == {"/a": b"1"}


def test_put_of_a_missing_file_raises(fs, tmp_path):
    with pytest.raises(FileNotFoundError):
        fs.put(f"{tmp_path}/none", "t")


def test_put_of_lists(fs, tmp_path):
    made(tmp_path, {"a": b"1", "b": b"2"})
    fs.put([f"{tmp_path}/a", f"{tmp_path}/b"], ["t/x", "t/y"])
    assert below(fs, "t") == {"/x": b"1", "/y": b"2"}


def test_the_batch_size_of_uploads_holds(tmp_path):
    made(tmp_path, {str(n): b"" for n in range(20)})
    fs = WritableDictFileSystem(batch_size=3)
    fs.put(f"{tmp_path}/", "t", recursive=True)
    assert fs.most_at_once == 3
    assert len(fs.files) == 20


# what callbacks are told -----------------------------------------------------------
class Reporting(Callback):
    """Notes what it is told, and the branches it makes."""

    def __init__(self, reported=None, name="all"):
        super().__init__()
        self.reported = [] if reported is None else reported
        self.name = name

    def set_size(self, size):
        self.reported.append((self.name, "size", size))

    def relative_update(self, inc=1):
        self.reported.append((self.name, "done", inc))

    def branched(self, path_1, path_2, **kwargs):
        return Reporting(self.reported, os.path.basename(path_1))

    def close(self):
        self.reported.append((self.name, "closed", None))


@pytest.mark.parametrize("direction", ["get", "put"])
def test_transfers_count_files_and_bytes(fs, direction, tmp_path):
    made(tmp_path, {"one": b"1", "two.txt": b"22"})
    callback = Reporting()
    here = [f"{tmp_path}/one", f"{tmp_path}/two.txt"]
    there = ["r/one", "r/two.txt"]
    getattr(fs, direction)(*((there, here) if direction == "get" else (here, there)), callback=callback)
    assert callback.reported[0] == ("all", "size", 2)
    assert callback.reported.count(("all", "done", 1)) == 2
    assert {entry for entry in callback.reported if entry[1] == "closed"} == {
        ("one", "closed", None),
        ("two.txt", "closed", None),
    }


def test_callbacks_of_what_fails_are_closed_once(tmp_path):
    fs = WritableDictFileSystem(FILES, broken=["r/one"])
    callback = Reporting()
    with pytest.raises(OSError, match="broken"):
        fs.get(["r/one", "r/two.txt"], str(tmp_path), callback=callback)
    assert callback.reported.count(("one", "closed", None)) == 1
    assert callback.reported.count(("two.txt", "closed", None)) == 1


# the thread of the event loop --------------------------------------------------------
WATCHED = """
import sys, threading
from fsspec.asyn import iothread
from fsspec.tests.wdictfs import WritableDictFileSystem

seen = []
def watch(event, args):
    if event in ("os.mkdir", "os.scandir", "os.listdir", "os.remove") and str(args[0]).startswith(folder):
        seen.append((event, threading.current_thread() is iothread[0]))
sys.addaudithook(watch)

folder = FOLDER
fs = WritableDictFileSystem({"r/a/one": b"1", "r/b/two": b"2"}, broken=["r/b/two"])
fs.put(folder + "/here", "t", recursive=True)
try:
    fs.get(["r/a/one", "r/b/two"], [folder + "/there/one", folder + "/there/two"])
except OSError as error:
    print(error)
print(sorted(set(seen)))
"""


def test_transfers_look_at_the_disk_in_another_thread_than_the_loop_s(tmp_path):
    made(tmp_path, {"here/x/y": b"y"})
    reported = run(WATCHED.replace("FOLDER", repr(str(tmp_path))))
    found = "[('os.mkdir', False), ('os.remove', False), ('os.scandir', False)]"
    assert reported == f"broken: r/b/two\n{found}\n"


AT_EXIT = """
import atexit
from fsspec.tests.wdictfs import WritableDictFileSystem

fs = WritableDictFileSystem({"r/one": b"1"})
atexit.register(lambda: print(fs.get("r/one", FOLDER), fs.put(FOLDER, "t"), fs.files["t"]))
"""


def test_transfers_work_in_exit_handlers(tmp_path):
    reported = run(AT_EXIT.replace("FOLDER", repr(str(tmp_path / "one"))))
    assert reported == "[None] [None] b'1'\n"


def test_the_root_goes_into_a_folder(fs, tmp_path):
    """Names that begin with a dot do not end beside it."""
    fs.files[".hidden"] = b"h"
    fs.get("", f"{tmp_path}/up/", recursive=True)
    assert (tmp_path / "up" / ".hidden").read_bytes() == b"h" and os.listdir(tmp_path) == ["up"]


@pytest.mark.parametrize("name", ["q?m", "st*r"])
def test_a_name_with_wildcards_but_no_bracket_is_a_pattern(fs, tmp_path, name):
    """So what it matches goes into a folder, and be it the file of that name alone."""
    fs.files[f"r/{name}"] = b"1"
    fs.get(f"r/{name}", f"{tmp_path}/new")
    assert (tmp_path / "new" / name).read_bytes() == b"1"
    fs.copy(f"r/{name}", "made")
    assert fs.files[f"made/{name}"] == b"1"


def test_a_download_below_a_file_tells_what_could_not_be_made(fs, tmp_path):
    """As upstream: where downloads wait for each other by the first of them, else by the first folder."""
    (tmp_path / "file").write_bytes(b"old")
    kind = FileExistsError if fs.async_impl else NotADirectoryError
    with pytest.raises(kind) as caught:
        fs.get("r/sub", f"{tmp_path}/file/new", recursive=True)
    assert caught.value.errno == (errno.EEXIST if fs.async_impl else errno.ENOTDIR)
    assert isinstance(caught.value, NotADirectoryError)  # as caches over those that are awaited raise it
    with pytest.raises(FileExistsError):
        fs.get("r/one", f"{tmp_path}/file/new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_is_missing_is_not_moved_to_where_it_would_be(fs):
    with pytest.raises(FileNotFoundError):
        fs.mv("r/none", "r")
    assert fs.mv("r/one", "r") is None and fs.files == FILES


class InPlace(AsyncFileSystem):
    """Downloads as many backends do: to the name that it is given, a part at a time."""

    cachable = False
    content: dict[str, bytes | None]  # None: it fails after a part

    async def _info(self, path, **kwargs):
        return {"name": path, "size": 1, "type": "file"}

    async def _get_file(self, rpath, lpath, **kwargs):
        content = self.content[rpath]
        if content == b"as it is":
            return
        with open(lpath, "wb") as f:
            f.write(b"part" if content is None else content)
        if content is None:
            raise OSError(errno.EIO, "broken", lpath)


class InPlaceBlocking(AbstractFileSystem):
    cachable = False
    content: dict[str, bytes | None]

    def info(self, path, **kwargs):
        return {"name": path, "size": 1, "type": "file"}

    def get_file(self, rpath, lpath, **kwargs):
        asyncio.run(InPlace._get_file(self, rpath, lpath))


@pytest.mark.parametrize("behind", [False, True], ids=["itself", "dir"])
@pytest.mark.parametrize("kind", [InPlace, InPlaceBlocking])
def test_a_backend_that_writes_in_place_harms_no_file_that_was_there(kind, behind, tmp_path):
    inner = kind()
    inner.content = {"whole": b"new", "empty": b"", "skipped": b"as it is", "broken": None, "absent": None}
    fs = fsspec.filesystem("dir", path="", fs=inner) if behind else inner
    old = {name: tmp_path / name for name in ("whole", "empty", "skipped", "broken", "linked")}
    for path in old.values():
        path.write_bytes(b"old")
        path.chmod(0o640)
    old["whole"].chmod(0o600)
    (tmp_path / "link").symlink_to("linked")
    names = ["whole", "empty", "skipped"]
    fs.get(names, [str(old[name]) for name in names])
    assert [old[name].read_bytes() for name in names] == [b"new", b"", b"old"]
    assert stat.S_IMODE(old["whole"].stat().st_mode) == 0o600
    with pytest.raises(OSError, match="broken") as failure:
        fs.get(["broken"], [str(old["broken"])])
    assert failure.value.filename == str(old["broken"])
    for name in ("broken", "absent"):
        with pytest.raises(OSError, match="broken"):
            fs.get(name, str(tmp_path / ("link" if name == "broken" else name)))
    fs.get("whole", str(tmp_path / "link"))
    assert old["broken"].read_bytes() == b"old" and old["linked"].read_bytes() == b"new"
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*old, "link"])


@pytest.mark.parametrize("protocol", ["file", "memory", "dir", "simplecache", "zip", "reference", "generic"])
def test_downloads_of_this_package_are_whole_by_themselves(protocol):
    kind = fsspec.get_filesystem_class(protocol)
    assert getattr(kind, "_get_file" if kind.async_impl else "get_file").__module__.startswith(
        transfer_batches._WHOLE
    )


def test_a_child_forked_within_a_download_leaves_its_files(tmp_path):
    """It ends by an exception, which passes through its copy of the transfer."""
    run(
        """
        import os
        from pathlib import Path
        from fsspec.tests.test_transfers import InPlaceBlocking

        folder, pids = Path(os.environ["FOLDER"]), []

        class Forking(InPlaceBlocking):
            def get_file(self, rpath, lpath, **kwargs):
                with open(lpath, "wb") as f:
                    f.write(b"first ")
                    f.flush()
                    pid = os.fork()
                    if not pid:
                        raise SystemExit(7)
                    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
                    pids.append(pid)
                    f.write(b"rest")

        fs = Forking()
        (folder / "old").write_bytes(b"old")
        fs.get(["a", "b"], [str(folder / "old"), str(folder / "new")])
        assert len(pids) == 2
        got = {p.name: p.read_bytes() for p in folder.iterdir()}
        assert got == dict.fromkeys(("old", "new"), b"first rest")
        """,
        FOLDER=str(tmp_path),
    )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's folder. The working directory is an empty one beside it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("kind", ["memory", "file", "dir", "simplecache", "zip", "reference", "http"])
def test_the_local_side_of_one_file_is_that_of_several(kind, home, m, tmp_path, http_server):
    m.pipe("/d/a", b"data")
    (tmp_path / "a").write_bytes(b"data")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a", b"data")
    http_server.files["/a"] = b"data"
    url = {
        "memory": "memory://d/a",
        "file": f"file://{tmp_path}/a",
        "dir": "dir://a::memory://d",
        "simplecache": "simplecache::memory://d/a",
        "zip": f"zip://a::{tmp_path}/z.zip",
        "http": http_server.url + "/a",
    }.get(kind)
    if url is None:
        fs, path = fsspec.filesystem("reference", fo={"a": ["memory://d/a"], "b": "data"}), "a"
    else:
        fs, path = fsspec.url_to_fs(url)
    sources = [path] if kind != "reference" else [path, "b"]
    for get in (fs.get_file, fs.get):
        for source in sources:
            home.mkdir()
            get(source, "~/x")
            get(source, f"file://{home}/y")
            assert [(home / name).read_bytes() for name in "xy"] == [b"data"] * 2
            shutil.rmtree(home)
    assert os.listdir() == []


@pytest.mark.parametrize("kind", ["memory", "file", "dir", "simplecache", "reference"])
def test_the_local_side_of_one_upload(kind, home, m, tmp_path):
    home.mkdir()
    (home / "a").write_bytes(b"data")
    url = {"file": f"file://{tmp_path}/d", "dir": "dir::memory://d", "simplecache": "simplecache::memory://d"}
    if kind == "reference":
        fs, folder = fsspec.filesystem("reference", fo={}), ""
    else:
        fs, folder = fsspec.url_to_fs(url.get(kind, "memory://d"))
    fs.makedirs(folder, exist_ok=True) if kind == "file" else None
    fs.put_file("~/a", f"{folder}/one".lstrip("/" if kind == "reference" else ""))
    fs.put_file(f"file://{home}/a", f"{folder}/two".lstrip("/" if kind == "reference" else ""))
    for name in ("one", "two"):
        assert fs.cat_file(f"{folder}/{name}".lstrip("/" if kind == "reference" else "")) == b"data"


@pytest.mark.parametrize("protocol", ["memory", "reference"])
def test_a_download_to_an_empty_name_fails_and_leaves_nothing(protocol, m, home):
    m.pipe_file("/a", b"data")
    fs = fsspec.filesystem(protocol, **({"fo": {"/a": "data"}} if protocol == "reference" else {}))
    with pytest.raises(OSError) as caught:
        fs.get_file("/a", "")
    assert ".part" not in str(caught.value) and os.listdir() == []
