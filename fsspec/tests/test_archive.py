"""Listings of archives, from a table of members."""

import pytest

from fsspec.archive import AbstractArchiveFileSystem


class Crate(AbstractArchiveFileSystem):
    """An archive whose members are given."""

    protocol = "crate"
    cachable = False

    def __init__(self, members=(), **kwargs):
        super().__init__(**kwargs)
        self.members = members

    def _get_dirs(self):
        if self.dir_cache is None:
            self.dir_cache = {
                name: {"name": name.rstrip("/"), "size": len(name), "type": "directory"}
                if name.endswith("/")
                else {"name": name, "size": len(name), "type": "file"}
                for name in self.members
            }


@pytest.fixture
def fs():
    return Crate(["a/b", "a/c/d", "e/", "f"])


def test_ls(fs):
    assert fs.ls("", detail=False) == ["a", "e", "f"]
    assert fs.ls("/", detail=False) == ["a", "e", "f"]
    assert fs.ls("a", detail=False) == fs.ls("/a/", detail=False) == ["a/b", "a/c"]
    assert fs.ls("a") == [
        {"name": "a/b", "size": 3, "type": "file"},
        {"name": "a/c", "size": 0, "type": "directory"},
    ]
    assert fs.ls("e") == []
    assert fs.ls("f") == [{"name": "f", "size": 1, "type": "file"}]


@pytest.mark.parametrize("path", ["zz", "a/zz", "f/x", "a/c/d/x"])
def test_what_is_not_there(fs, path):
    for ask in (fs.ls, fs.info):
        with pytest.raises(FileNotFoundError, match=path):
            ask(path)
    assert not fs.exists(path)


def test_info(fs):
    assert fs.info("") == fs.info("/") == {"name": "", "size": 0, "type": "directory"}
    assert fs.info("/a/b")["size"] == 3
    assert fs.info("a/c") == {"name": "a/c", "size": 0, "type": "directory"}
    assert fs.isdir("e")


def test_trees(fs):
    assert fs.find("") == ["a/b", "a/c/d", "f"]
    assert fs.find("a", withdirs=True) == ["a", "a/b", "a/c", "a/c/d"]
    assert fs.glob("**/d") == ["a/c/d"]


def test_members_that_are_added_appear(fs):
    fs.ls("")
    fs.dir_cache["new/x"] = {"name": "new/x", "size": 1, "type": "file"}
    assert "new" in fs.ls("", detail=False)


def test_folders_that_lead_to_paths(fs):
    assert fs._all_dirnames(["a/b/c", "a/d", "x"]) == {"a", "a/b"}
    assert fs._all_dirnames([]) == set()


def test_keys_and_names(fs):
    assert fs.ukey("a/b") == fs.ukey("a/b") != fs.ukey("f")
    assert repr(fs).startswith("<Archive-like object Crate at ")
    assert str(fs) == repr(fs)


def test_an_archive_that_cannot_be_read():
    with pytest.raises(NotImplementedError):
        AbstractArchiveFileSystem().ls("")
