"""A filesystem as a mapping."""

import pickle
from contextlib import suppress

import pytest

import fsspec
from fsspec.mapping import FSMap, maybe_convert
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem


@pytest.fixture(params=["memory", "local", "awaitable"])
def mapper(request, m, tmp_path):
    """An empty mapping over a blocking, a local and an awaitable filesystem."""
    if request.param == "memory":
        return fsspec.get_mapper("memory://top/map")
    if request.param == "local":
        return fsspec.get_mapper(f"{tmp_path}/map", create=True, auto_mkdir=True)
    return FSMap("top/map", WritableDictFileSystem({}))


class Refusing(fsspec.get_filesystem_class("memory")):
    """Memory that refuses to read and to remove."""

    protocol = "refusing"
    cachable = False

    def cat_file(self, path, *args, **kwargs):
        raise PermissionError(path)

    def rm(self, path, *args, **kwargs):
        raise PermissionError(path)


def test_is_a_mapping_of_bytes(mapper):
    """What is set is there, and below the root only."""
    if isinstance(mapper.fs, WritableDictFileSystem):
        pytest.skip("cannot be written to by a mapping")
    mapper["a"] = b"1"
    mapper["b/c"] = bytearray(b"22")
    mapper.setitems({"d": memoryview(b"333")})
    assert dict(mapper) == {"a": b"1", "b/c": b"22", "d": b"333"}
    assert len(mapper) == 3 and "b/c" in mapper
    assert "b" not in mapper and "zz" not in mapper
    assert mapper.getitems(["d", "a"]) == {"d": b"333", "a": b"1"}
    del mapper["a"]
    mapper.delitems(["d"])
    assert mapper.pop("b/c") == b"22"
    assert list(mapper) == []
    mapper["x"] = b""
    mapper.clear()
    assert list(mapper) == []


def test_a_missing_key_is_a_key_error_or_the_default(mapper):
    """KeyError, or the default."""
    with pytest.raises(KeyError, match="zz"):
        mapper["zz"]
    with pytest.raises(KeyError, match="zz"):
        mapper.pop("zz")
    assert mapper.get("zz") is None and mapper.pop("zz", 5) == 5
    with pytest.raises(KeyError, match="zz"):
        mapper.getitems(["zz"])
    assert mapper.getitems(["zz"], on_error="omit") == {}
    assert isinstance(mapper.getitems(["zz"], on_error="return")["zz"], KeyError)
    assert mapper.getitems([]) == {}


def test_of_several_keys_another_error_is_raised_before_that_of_a_missing_one(tmp_path):
    (tmp_path / "folder").mkdir()
    mapper = fsspec.get_mapper(str(tmp_path), missing_exceptions=(FileNotFoundError,))
    for keys in ["aa", "folder"], ["folder", "zz"]:
        with pytest.raises(IsADirectoryError):
            mapper.getitems(keys)
        assert mapper.getitems(keys, on_error="omit") == {}


def test_keys_are_no_patterns(mapper):
    """Whatever others the brackets of one would match."""
    mapper.fs.makedirs(mapper.root, exist_ok=True)
    for key, value in (("q[1]", b"brackets"), ("q1", b"other"), ("d/q*", b"star"), ("d/qx", b"x")):
        mapper[key] = value
    assert mapper["q[1]"] == b"brackets" and mapper["d/q*"] == b"star"
    assert mapper.getitems(["q[1]", "q1", "d/q*"]) == {"q[1]": b"brackets", "q1": b"other", "d/q*": b"star"}
    assert mapper.get("q[12]") is None and mapper.getitems(["q[12]"], on_error="omit") == {}
    del mapper["q[1]"]
    mapper.delitems(["d/q*"])
    assert sorted(mapper) == ["d/qx", "q1"]
    with suppress(KeyError):  # stores that do not tell give none
        del mapper["q[1]"]
    assert mapper["q1"] == b"other"


def test_filesystem_that_cannot_remove():
    """What is popped from it stays; to delete is a KeyError for programs and says what it is."""

    class Fixed(fsspec.get_filesystem_class("memory")):
        cachable = False

        def rm(self, path, *args, **kwargs):
            raise NotImplementedError("fixed")

    fs = Fixed(global_store=False)
    fs.pipe("/top/a", b"1")
    mapper = FSMap("/top", fs)
    assert mapper.pop("a") == mapper.pop("a", None) == b"1" and mapper.pop("zz", 5) == 5
    for kind in (KeyError, NotImplementedError):
        with pytest.raises(kind):
            del mapper["a"]
        with pytest.raises(kind):
            mapper.popitem()


def test_missing_key_cannot_be_removed(m):
    """KeyError, as of any mapping."""
    with pytest.raises(KeyError, match="zz"):
        del fsspec.get_mapper("memory://top")["zz"]


def test_folder_is_no_key(m):
    """Only files have bytes."""
    mapper = fsspec.get_mapper("memory://top")
    mapper["a/b"] = b""
    assert "a" not in mapper
    with pytest.raises(KeyError):
        mapper["a"]


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "..", "../mapping"])
def test_keys_do_not_lead_out(tmp_path, key):
    """Neither to read nor to write nor to remove; dots within a name are names."""
    (tmp_path / "evil").write_bytes(b"kept")
    mapper = fsspec.get_mapper(f"{tmp_path}/map", create=True)
    for act in (
        lambda: mapper[key],
        lambda: mapper.__setitem__(key, b"x"),
        lambda: mapper.__delitem__(key),
        lambda: mapper.setitems({key: b"x"}),
        lambda: mapper.getitems([key]),
        lambda: mapper.delitems([key]),
    ):
        with pytest.raises(ValueError, match="leads out"):
            act()
    assert (tmp_path / "evil").read_bytes() == b"kept"
    mapper["a..b"] = b"x"
    assert list(mapper) == ["a..b"]


@pytest.mark.parametrize("value", [None, 5, "text", ["list"], object()])
def test_what_is_not_bytes_is_refused(m, value):
    """And what was there stays."""
    mapper = fsspec.get_mapper("memory://top")
    mapper["a"] = b"kept"
    with pytest.raises(TypeError):
        mapper["a"] = value
    assert mapper["a"] == b"kept"


def test_arrays_are_their_bytes():
    """Dates and times as well, which have no buffer."""
    numpy = pytest.importorskip("numpy")
    assert maybe_convert(numpy.arange(3, dtype="<i2")) == b"\0\0\1\0\2\0"
    assert maybe_convert(numpy.array(["1970-01-02"], "M8[D]")) == b"\1" + bytes(7)


def test_only_what_is_missing_is_a_key_error():
    """A refusal is told as such, and nothing is popped that stays."""
    fs = Refusing()
    mapper = FSMap("/top", fs)
    mapper["a"] = b"1"
    for act in (
        lambda: mapper["a"],
        lambda: mapper.getitems(["a"]),
        lambda: mapper.__delitem__("a"),
        mapper.clear,
    ):
        with pytest.raises(PermissionError):
            act()
    reported = FSMap("/top", fs, missing_exceptions=(PermissionError,))
    assert reported.get("a") is None
    assert fs.exists("/top/a")
    fs.store.clear()


@pytest.mark.parametrize("key", ["", "sub", "sub/", "empty"])
def test_a_folder_is_no_key_to_delete(tmp_path, key):
    (tmp_path / "empty").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "leaf").write_bytes(b"1")
    mapper = fsspec.get_mapper(str(tmp_path))
    with pytest.raises(KeyError):
        del mapper[key]
    assert mapper.pop(key, 5) == 5 and list(mapper) == ["sub/leaf"] and (tmp_path / "empty").is_dir()


def test_check_and_create(m, tmp_path):
    """The root is there, or made, and can be written to."""
    with pytest.raises(ValueError, match="create=True"):
        fsspec.get_mapper(f"{tmp_path}/new", check=True)
    mapper = fsspec.get_mapper(f"{tmp_path}/new", check=True, create=True)
    assert list(mapper) == [] and (tmp_path / "new").is_dir()


def test_check_touches_nothing_that_is_there(mapper):
    """Whatever its name, and it leaves nothing."""
    mapper.fs.makedirs(mapper.root, exist_ok=True)
    mapper.setitems({"a": b"precious", "b": b"other"})
    for create in (False, True):
        again = FSMap(mapper.root, mapper.fs, check=True, create=create)
        assert dict(again) == {"a": b"precious", "b": b"other"}


def test_the_root_of_a_filesystem_can_be_cleared(m):
    mapper = fsspec.get_mapper("memory://")
    mapper.setitems({"a": b"1", "d/b": b"2"})
    mapper.clear()
    assert list(mapper) == [] and m.ls("/") == []


def test_as_a_filesystem_of_its_own(m):
    """With the root as its top."""
    mapper = fsspec.get_mapper("memory://top")
    mapper["k"] = b"v"
    assert mapper.dirfs.cat("k") == b"v"
    assert fsspec.get_mapper("", alternate_root="/top").root == "/top"
    assert mapper == fsspec.get_mapper("memory://top/")


def test_a_pickled_mapper_has_the_same_keys(m):
    """The same keys of the same filesystem, and the same exceptions."""
    mapper = fsspec.get_mapper("memory://top", missing_exceptions=(PermissionError,))
    mapper["a"] = b"1"
    back = pickle.loads(pickle.dumps(mapper))
    assert dict(back) == {"a": b"1"}
    assert back.fs is mapper.fs and back.missing_exceptions == (PermissionError,)


def test_each_process_has_its_own_view_in_memory_and_the_same_on_disk(tmp_path):
    """What a child sets is seen where the files are shared."""
    found = run(
        f"""
        import fsspec
        from fsspec._checks.forked import by_fork
        shared = fsspec.get_mapper({str(tmp_path)!r})
        own = fsspec.get_mapper("memory://top")
        shared["a"] = own["a"] = b"parent"
        def body():
            assert shared["a"] == own["a"] == b"parent"
            shared["b"] = own["b"] = b"child"
            assert dict(own) == {{"a": b"parent", "b": b"child"}}
        assert by_fork(body).problem() == ""
        print(sorted(shared), sorted(own))
        """
    )
    assert found == "['a', 'b'] ['a']\n"


def test_keys_of_other_types_are_text_with_a_warning():
    mapper = fsspec.get_mapper("memory://typed")
    for key, text in ((1, "1"), (("x", 1, 2), "('x', 1, 2)"), (["x", 1], "('x', 1)")):
        with pytest.warns(DeprecationWarning, match=type(key).__name__):
            mapper[key] = b"hello"
        assert list(mapper) == [text]
        with pytest.warns(DeprecationWarning):
            assert key in mapper and mapper[key] == b"hello"
        with pytest.warns(DeprecationWarning):
            del mapper[key]
    with pytest.warns(DeprecationWarning):
        assert 5 not in mapper


def test_a_mapper_of_a_file_has_it_under_the_empty_key(m):
    m.pipe("/r/a", b"1")
    mapper = m.get_mapper("/r/a")
    assert list(mapper) == [""] and len(mapper) == 1 and dict(mapper) == {"": b"1"}


def test_markers_of_folders_are_no_keys():
    from fsspec.tests.dictfs import DictFileSystem

    class Store(DictFileSystem):
        """Like an object store that lists the markers with the rest."""

        def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
            return sorted(self.files)

    m = Store({"r/": b"", "r/a": b"1", "r/sub/": b"", "r/sub/b": b"2"}).get_mapper("r")
    assert list(m) == ["a", "sub/b"] and len(m) == 2
    assert dict(m) == {"a": b"1", "sub/b": b"2"}


def test_is_cleared_where_find_takes_a_path_alone(m):
    class Narrow(type(m)):
        cachable = False
        store, pseudo_dirs = {}, [""]

        def find(self, path):
            return super().find(path)

    mapper = FSMap("/top/map", Narrow())
    mapper.setitems({"one": b"1", "sub/two": b"2"})
    mapper.clear()
    assert list(mapper) == [] and not mapper.fs.store


def test_a_subclass_that_passes_the_default_on_has_the_methods_of_a_mapping(m):
    """A default of None is none: there is no such key."""

    class Passing(FSMap):
        def __getitem__(self, key, default=None):
            return super().__getitem__(key, default)

    mapper = Passing("/top/map", m)
    for ask in (mapper.__getitem__, mapper.pop, lambda key: FSMap.__getitem__(mapper, key, None)):
        with pytest.raises(KeyError):
            ask("none")
    assert mapper.__getitem__("none", b"d") == b"d"
    assert mapper.get("none", b"d") == mapper.pop("none", b"d") == mapper.setdefault("none", b"d") == b"d"
    assert mapper["none"] == b"d"
