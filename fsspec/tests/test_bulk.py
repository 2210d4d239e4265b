"""Reading, writing and removing many files, over blocking and awaitable backends."""

import asyncio

import pytest

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {
    "r/one": b"1",
    "r/two.txt": b"22",
    "r/sub/three": b"333",
    "r/sub/deep/four.txt": b"4444",
    "r/empty/": b"",
}


class Shelf(DictFileSystem):
    """The blocking dictfs, whose folders can be removed."""

    def _rm(self, path):
        path = self._strip_protocol(path)
        self.files.pop(path, None)
        self.files.pop(f"{path}/", None)


@pytest.fixture(params=[Shelf, WritableDictFileSystem], ids=["blocking", "awaitable"])
def fs(request):
    return request.param(FILES)


def test_cat_of_one_path_gives_bytes(fs):
    assert fs.cat("r/one") == b"1"
    assert fs.cat(f"{fs.protocol}://r/one") == b"1"


def test_cat_of_several_gives_them_by_path(fs):
    assert fs.cat(["r/one", "r/two.txt"]) == {"r/one": b"1", "r/two.txt": b"22"}


def test_cat_of_a_pattern_that_matches_one_gives_it_by_path(fs):
    assert fs.cat("r/*.txt") == {"r/two.txt": b"22"}


def test_cat_of_a_tree_reads_files_only(fs):
    assert fs.cat("r", recursive=True) == {path: data for path, data in FILES.items() if path[-1] != "/"}


def test_cat_of_a_file_as_a_tree_gives_its_bytes(fs):
    assert fs.cat("r/one", recursive=True) == b"1"


def test_cat_of_an_empty_folder_gives_nothing(fs):
    assert fs.cat("r/empty", recursive=True) == {}


def test_cat_of_a_tree_asks_only_about_what_may_be_a_folder():
    fs = WritableDictFileSystem({f"r/{n}": b"x" for n in range(50)})
    asked = []

    async def isdir(path):
        asked.append(path)
        return await WritableDictFileSystem._isdir(fs, path)

    fs._isdir = isdir
    assert len(fs.cat("r", recursive=True)) == 50
    assert asked == ["r", "r"]  # by find, for the isdir is its own, and by cat


@pytest.mark.parametrize("recursive", [False, True])
def test_cat_and_errors(fs, recursive):
    paths = ["r/one", "r/none"]
    if recursive:  # what is not there is left out of trees
        assert fs.cat(paths, recursive=True) == {"r/one": b"1"}
        return
    with pytest.raises(FileNotFoundError, match="r/none"):
        fs.cat(paths)
    assert fs.cat(paths, on_error="omit") == {"r/one": b"1"}
    found = fs.cat(paths, on_error="return")
    assert found.pop("r/one") == b"1"
    assert isinstance(found["r/none"], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat("r/none")
    for on_error in ("omit", "return"):  # where there is one file only, there is nothing to go on with
        assert fs.cat("r/one", on_error=on_error) == b"1"
        with pytest.raises(FileNotFoundError):
            fs.cat("r/none", on_error=on_error)


async def test_an_error_that_is_to_be_returned_is_a_value_where_it_is_awaited():
    fs = WritableDictFileSystem(FILES, asynchronous=True)
    for on_error in ("omit", "return"):
        assert isinstance(await fs._cat("r/none", on_error=on_error), FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        await fs._cat("r/none")


def test_other_words_for_on_error_of_cat():
    """What upstream makes of them: blocking ones omit what cannot be read, others return the error."""
    blocking = MemoryFileSystem()
    blocking.pipe_file("/words/one", b"1")
    wanted = {"/words/one": b"1"}
    assert blocking.cat(["/words/one", "/words/none"], on_error="typo") == wanted
    blocking.rm("/words", recursive=True)
    found = WritableDictFileSystem(FILES).cat(["r/one", "r/none"], on_error="typo")
    assert found.pop("r/one") == b"1"
    assert isinstance(found.pop("r/none"), FileNotFoundError) and not found


@pytest.mark.parametrize("given", [None, ["a"], ("a",)])
def test_what_is_no_path_is_not_there(given, tmp_path):
    caches = [
        fsspec.filesystem(
            kind, target_protocol="memory", cache_storage=str(tmp_path), skip_instance_cache=True
        )
        for kind in ("simplecache", "filecache", "blockcache")
    ]
    references = fsspec.filesystem("reference", fo={"a": "b"}, skip_instance_cache=True)
    for fs in (MemoryFileSystem(), LocalFileSystem(), references, *caches):
        assert fs.exists(given) is False, fs


def test_cat_of_a_tree_raises_what_a_file_raises():
    fs = WritableDictFileSystem(FILES, broken=["r/sub/three"])
    with pytest.raises(OSError, match="r/sub/three"):
        fs.cat("r", recursive=True)
    assert "r/sub/three" not in fs.cat("r", recursive=True, on_error="omit")


def test_ranges_of_several_files_are_read(fs):
    assert fs.cat_ranges(["r/two.txt", "r/sub/three"], 0, [1, 2]) == [b"2", b"33"]
    assert fs.cat_ranges([], [], []) == []


def test_cat_ranges_and_errors(fs):
    good, bad = fs.cat_ranges(["r/one", "r/none"], [0, 0], [1, 1])
    assert good == b"1" and isinstance(bad, FileNotFoundError)
    with pytest.raises(FileNotFoundError, match="r/none"):
        fs.cat_ranges(["r/one", "r/none"], [0, 0], [1, 1], on_error="raise")


def test_cat_ranges_of_lists_that_do_not_match(fs):
    with pytest.raises(TypeError):
        fs.cat_ranges("r/one", 0, 1)
    with pytest.raises(ValueError):
        fs.cat_ranges(["r/one"], [0, 1], [1])
    with pytest.raises(NotImplementedError):
        fs.cat_ranges(["r/one"], [0], [1], max_gap=5)


def test_several_files_are_written(fs):
    fs.pipe("t/a", b"a")
    fs.pipe({"t/b": b"b", f"{fs.protocol}://t/c": b"c"})
    assert {path: data for path, data in fs.files.items() if path[0] == "t"} == {
        "t/a": b"a",
        "t/b": b"b",
        "t/c": b"c",
    }
    with pytest.raises(ValueError):
        fs.pipe(["t/a"], b"")


def test_if_two_names_are_of_one_file_the_last_contents_stay():
    written = []

    class Aliased(DictFileSystem):
        def pipe_file(self, path, value, mode="overwrite", **kwargs):
            written.append((path, value))

    fs = Aliased()
    fs.pipe({"a": b"1", "/a": b"2", f"{fs.protocol}://a": b"3"})
    assert written == [("a", b"1"), ("/a", b"2"), ("a", b"3")]


def test_several_files_are_removed(fs):
    fs.rm("r/one")
    fs.rm(["r/two.txt", "r/sub/three"])
    assert sorted(fs.files) == ["r/empty/", "r/sub/deep/four.txt"]
    with pytest.raises(FileNotFoundError):
        fs.rm("r/none*")


def test_rm_of_a_tree_removes_it_from_below(fs):
    fs.rm("r", recursive=True)
    assert fs.files == {}
    if fs.async_impl:
        order = [path.count("/") for what, path in fs.did if what == "rm"]
        assert order == sorted(order, reverse=True)


def test_rm_stops_at_a_failure():
    """What was not begun by then stays."""

    class Refusing(WritableDictFileSystem):
        async def _rm_file(self, path, **kwargs):
            if path == "r/two.txt":
                raise PermissionError(path)
            await super()._rm_file(path, **kwargs)

    fs = Refusing(FILES)
    with pytest.raises(PermissionError):
        fs.rm(["r/one", "r/two.txt"], batch_size=1)
    assert fs.files == FILES


def test_rm_removes_down_to_the_depth(fs):
    fs.rm("r/*", recursive=True, maxdepth=1)
    assert sorted(fs.files) == ["r/sub/deep/four.txt", "r/sub/three"]


def test_sizes_come_in_the_order_of_paths(fs):
    assert fs.sizes(["r/two.txt", "r/one"]) == [2, 1]


def test_the_batch_size_holds():
    fs = WritableDictFileSystem({f"r/{n}": b"x" for n in range(30)}, batch_size=4)
    fs.cat(list(fs.files))
    assert fs.most_at_once == 4
    fs.most_at_once = 0
    fs.cat(list(fs.files), batch_size=6)
    assert fs.most_at_once == 6


def test_awaitable_writes_and_removals_give_a_list():
    class Telling(WritableDictFileSystem):
        async def _pipe_file(self, path, value, mode="overwrite", **kwargs):
            return f"made {path}"

        async def _rm_file(self, path, **kwargs):
            return f"gone {path}"

    fs = Telling(FILES)
    assert fs.pipe("t", b"") == ["made t"]
    assert fs.pipe({"t": b"", "u": b""}) == ["made t", "made u"]
    assert fs.rm("r/one") == fs.delete("r/one") == ["gone r/one"]
    assert fs.rm(["r/one", "r/two.txt"]) == ["gone r/two.txt", "gone r/one"]


def test_what_is_in_a_folder_goes_before_the_folder():
    gone = []

    class Strict(WritableDictFileSystem):
        async def _rm_file(self, path, **kwargs):
            await asyncio.sleep(0)
            assert all(p in gone for p in await self._find(path, withdirs=True) if p != path)
            gone.append(path)

    fs = Strict(FILES)
    fs.rm("r/**")
    assert gone[-1] == "r" and sorted(gone) == fs.find("r", withdirs=True)


class Store(WritableDictFileSystem):
    """An awaitable store without folders: they are gone with what is in them."""

    async def _rm_file(self, path, **kwargs):
        if path == "r/stuck":
            raise PermissionError(path)
        del self.files[await self._do("rm", path)]


class BlockingStore(DictFileSystem):
    def _rm(self, path):
        if path == "r/stuck":
            raise PermissionError(path)
        if path not in self.files:
            raise FileNotFoundError(path)
        del self.files[path]


@pytest.mark.parametrize("kind", [Store, BlockingStore])
def test_folders_that_are_gone_with_what_was_in_them_are_no_failure(kind):
    files = {path: data for path, data in FILES.items() if path[-1] != "/"}
    fs = kind(files)
    fs.rm("r", recursive=True)
    assert not fs.find("r")
    fs = kind(files)
    fs.rm("r/**")
    assert not fs.find("r")
    with pytest.raises(FileNotFoundError):
        kind(files).rm(["r/one", "r/none"])
    fs = kind({**files, "r/stuck": b""})
    with pytest.raises(PermissionError):
        fs.rm("r", recursive=True)
    assert "r/sub/three" not in fs.find("r")


@pytest.mark.parametrize("kind", [Store, BlockingStore])
def test_a_folder_that_stays_is_a_failure(kind):
    """Of a backend that cannot remove folders."""
    files = {path: data for path, data in FILES.items() if path[-1] != "/"}
    fs = kind({**files, "r/sub/": b""})  # not only by what is in it
    if kind is Store:

        async def refuse(path, **kwargs):
            if path in fs.files:
                return await Store._rm_file(fs, path)
            raise FileNotFoundError(path)

        fs._rm_file = refuse
    with pytest.raises(FileNotFoundError, match="r/sub|r"):
        fs.rm("r", recursive=True)
    assert fs.exists("r/sub")


def test_offsets_may_be_arrays_where_they_are_awaited():
    numpy = pytest.importorskip("numpy")
    fs = WritableDictFileSystem(FILES)
    paths = ["r/two.txt", "r/sub/three"]
    assert fs.cat_ranges(paths, numpy.array([0, 1]), numpy.array([1, 3])) == [b"2", b"33"]
    assert fs.cat_ranges(paths, numpy.array([1, 1]), 2) == [b"2", b"3"]
    assert fs.cat_ranges(paths, (0, 1), (1, 2), on_error="raise") == [b"2", b"3"]
