"""A cache asks its target by the methods that a program has replaced there, as upstream's caches do."""

from inspect import iscoroutinefunction

import pytest

from fsspec.core import OpenFile, OpenFiles
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.cached import CachingFileSystem, SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {"r/a": b"first", "r/b": b"second", "r/d/c": b"third"}
WHOLE = [SimpleCacheFileSystem, WholeFileCacheFileSystem]
EVERY = [*WHOLE, CachingFileSystem]


@pytest.fixture(params=[DictFileSystem, WritableDictFileSystem], ids=["blocking", "awaitable"])
def base(request):
    return request.param


def noting(base, name, change=lambda answer, *args: answer, **class_attributes):
    """An instance of a subclass that replaces a method, and the arguments that it was called with."""
    calls = []
    name = f"_{name}" if issubclass(base, WritableDictFileSystem) else name
    method = getattr(base, name)
    if iscoroutinefunction(method):

        async def noted(self, *args, **kwargs):
            calls.append(args)
            return change(await method(self, *args, **kwargs), *args)

    else:

        def noted(self, *args, **kwargs):
            calls.append(args)
            return change(method(self, *args, **kwargs), *args)

    return type("Own", (base,), {name: noted, **class_attributes})(FILES), calls


@pytest.mark.parametrize("cls", WHOLE)
def test_several_files_are_downloaded_by_a_get_of_its_own(cls, base, tmp_path):
    def shout(answer, rpaths, lpaths, *args):
        for lpath in lpaths:
            with open(lpath, "rb") as f:
                data = f.read().upper()
            with open(lpath, "wb") as f:
                f.write(data)

    target, calls = noting(base, "get", shout)
    fs = cls(fs=target, cache_storage=str(tmp_path))
    assert fs.cat(["r/a", "r/b"]) == {"r/a": b"FIRST", "r/b": b"SECOND"}
    assert [call[0] for call in calls] == [["r/a", "r/b"]]
    assert fs.cat("r/d/c") == b"THIRD" and len(calls) == 2
    assert fs.cat("r/a") == b"FIRST" and len(calls) == 2

    target, calls = noting(base, "get", shout)
    fs = cls(fs=target, cache_storage=str(tmp_path / "many"))
    both = fs.open_many(OpenFiles([OpenFile(fs, "r/a"), OpenFile(fs, "r/b")], fs=fs))
    assert [f.read() for f in both] == [b"FIRST", b"SECOND"] and len(calls) == 1
    with fs.open("r/d/c") as f:  # one file is opened by `get_file`
        assert f.read() == b"third"


@pytest.mark.parametrize("cls", WHOLE)
def test_which_file_a_get_of_its_own_failed_for_is_told(cls, base, tmp_path):
    def refuse(answer, rpaths, *args):
        if "r/b" in rpaths:
            raise FSTimeoutError("r/b takes too long")

    fs = cls(fs=noting(base, "get", refuse)[0], cache_storage=str(tmp_path))
    assert fs.cat(["r/a", "r/b"], on_error="omit") == {"r/a": b"first"}
    with pytest.raises(FSTimeoutError, match="r/b takes too long"):
        fs.cat(["r/d/c", "r/b"])
    assert fs.cat(["r/a", "r/d/c"]) == {"r/a": b"first", "r/d/c": b"third"}


@pytest.mark.parametrize("cls", WHOLE)
def test_what_is_written_is_uploaded_by_a_put_of_its_own(cls, base, tmp_path):
    target, calls = noting(base, "put")
    fs = cls(fs=target, cache_storage=str(tmp_path))
    fs.pipe_file("r/new", b"1")
    with fs.open("r/other", "wb") as f:
        f.write(b"2")
    with fs.transaction:
        fs.pipe_file("r/third[", b"3")
    assert [call[1] for call in calls] == [["r/new"], ["r/other"], ["r/third["]]
    assert (target.files["r/new"], target.files["r/other"], target.files["r/third["]) == (b"1", b"2", b"3")
    assert fs.cat("r/new") == b"1"


@pytest.mark.parametrize("cls", EVERY)
def test_one_path_is_expanded_by_an_expand_path_of_its_own(cls, base, tmp_path):
    target, _ = noting(base, "expand_path", lambda paths, *args: [p.replace("alias", "a") for p in paths])
    fs = cls(fs=target, cache_storage=str(tmp_path))
    assert fs.expand_path("r/alias") == ["r/a"]
    got = fs.cat("r/alias")
    assert (got if cls is not CachingFileSystem else got["r/a"]) == b"first"


@pytest.mark.parametrize("cls", WHOLE)
def test_a_file_is_opened_only_where_an_exists_of_its_own_says_so(cls, base, tmp_path):
    hiding, calls = noting(base, "exists", lambda there, path, *args: path != "r/a")
    fs = cls(fs=hiding, cache_storage=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="r/a"):
        fs.open("r/a")
    with fs.open("r/b") as f:
        assert f.read() == b"second"
    fs.open("r/b").close()
    assert len(calls) == 2  # of a copy it is not asked


@pytest.mark.parametrize("cls", WHOLE)
def test_exists_is_not_asked_where_a_backend_says_more(cls, base, tmp_path):
    """Its own `exists` is then one of many methods, and the file may be asked for at once."""
    more = {name: getattr(base, name) for name in ("ls", "_ls") if hasattr(base, name)}
    again, calls = noting(base, "exists", **more)
    fs = cls(fs=again, cache_storage=str(tmp_path))
    with fs.open("r/b") as f:
        assert f.read() == b"second" and not calls


@pytest.mark.parametrize("name", ["cat_file", "cat_ranges"])
def test_blocks_are_fetched_by_a_cat_file_of_its_own(name, tmp_path):
    target, calls = noting(DictFileSystem, name)
    fs = CachingFileSystem(fs=target, cache_storage=str(tmp_path))
    with fs.open("r/b", block_size=2) as f:
        f.seek(3)
        assert f.read(1) == b"o" and calls
        many = len(calls)
        f.seek(3)
        assert f.read(1) == b"o" and len(calls) == many


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize(
    "name", "cp delete disk_usage listdir makedir mkdirs move rename tree upload".split()
)
def test_second_names_are_those_that_a_program_has_given_the_target(name, cls, m, tmp_path):
    m.pipe("/n", b"old")
    (tmp_path / "local").write_bytes(b"new")

    def own(self, path, *args, **kwargs):
        calls.append((path, *args))
        if name in ("cp", "upload", "move", "rename"):
            super(Own, self).pipe(args[0], b"new")
        return "own"

    calls = []
    Own = type("Own", (type(m),), {name: own, "cachable": False})
    fs = cls(fs=Own(), cache_storage=str(tmp_path / "c"))
    assert fs.cat("/n") == b"old"
    others = {
        **dict.fromkeys(("cp", "move", "rename"), ("/r/a", "/n")),
        "upload": (str(tmp_path / "local"), "/n"),
    }
    args = others.get(name, ("/n",))
    assert getattr(fs, name)(*args) == "own" and calls == [args]
    if len(args) > 1:  # its copy is out of date
        assert fs.cat("/n") == b"new"
    plain = cls(fs=m, cache_storage=str(tmp_path / "d"))
    if name in ("cp", "move", "rename"):
        getattr(plain, name)("/n", "/again")
        assert plain.cat("/again") == b"new" and len(calls) == 1


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("name", ["_makedirs", "_mkcache", "_check_cache", "_check_file"])
def test_a_cache_uses_what_a_subclass_has_in_the_place_of_its_own_method(cls, name, base, tmp_path):
    def own(self, *args, **kwargs):
        calls.append(args)
        found = getattr(super(Own, self), name)(*args, **kwargs)
        if hasattr(found, "close"):  # of an awaitable target
            found.close()
        return found

    calls = []
    Own = type("Own", (cls,), {name: own})
    fs = Own(fs=base(FILES), cache_storage=str(tmp_path))
    calls.clear()
    with fs.open("r/a", "rb") as f:
        assert f.read() == b"first"
    assert calls
    if name == "_makedirs":
        assert set(calls) == {(str(tmp_path),)}


@pytest.mark.parametrize("cls", WHOLE)
def test_several_files_are_read_after_a_ukey_of_its_own(cls, tmp_path):
    target, calls = noting(DictFileSystem, "ukey")
    fs = cls(fs=target, cache_storage=str(tmp_path))
    assert fs.cat(["r/a", "r/b"]) == {"r/a": b"first", "r/b": b"second"}
    assert sorted(calls) == [("r/a",), ("r/b",)]


@pytest.mark.parametrize("cls", EVERY)
def test_the_folders_of_a_cache_can_be_set(cls, base, tmp_path):
    fs = cls(fs=base(FILES), cache_storage=str(tmp_path / "old"))
    fs.open("r/a", "rb").close()
    fs.storage = [str(tmp_path / "new")]
    assert fs.storage == [str(tmp_path / "new")]
    with fs.open("r/b", "rb") as f:
        assert f.read() == b"second"
    fs.save_cache()
    again = cls(fs=base(FILES), cache_storage=str(tmp_path / "new"))
    assert again._check_file("r/b") and not again._check_file("r/a")
