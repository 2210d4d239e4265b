"""Listings of archives, from a table of members."""

import pickle

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


def test_members_of_a_folder_are_listed(fs):
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


def test_a_missing_member_is_told_with_similar_ones(fs):
    for path, reason in (
        ("a/bb", "is 'a/b' meant"),
        ("d", "is 'a/c/d' meant"),
        ("zzz", "which has 'a/b', 'a/c/d', 'e/' and 1 more"),
    ):
        with pytest.raises(
            FileNotFoundError, match=f"^{path}: not in <Archive-like object Crate .*{reason}"
        ) as caught:
            fs.info(path)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.args, str(again)) == (caught.value.args, str(caught.value)) == ((path,), str(again))
    with pytest.raises(FileNotFoundError, match="which is empty"):
        Crate().info("a")


def test_folders_without_entries_are_folders(fs):
    assert fs.info("") == fs.info("/") == {"name": "", "size": 0, "type": "directory"}
    assert fs.info("/a/b")["size"] == 3
    assert fs.info("a/c") == {"name": "a/c", "size": 0, "type": "directory"}
    assert fs.isdir("e")


def test_trees_are_found_and_matched(fs):
    assert fs.find("") == ["a/b", "a/c/d", "f"]
    assert fs.find("a", withdirs=True) == ["a", "a/b", "a/c", "a/c/d"]
    assert fs.glob("**/d") == ["a/c/d"]


def test_doubled_slashes_leave_no_member_out():
    """They lead to the same folder; the name stays as it is."""
    fs = Crate(["barn//hay", "yard/hen", "q///r//s", "barn/oats"])
    assert fs.find("") == ["barn//hay", "barn/oats", "q///r//s", "yard/hen"]
    assert fs.ls("barn", detail=False) == fs.ls("barn//", detail=False) == ["barn//hay", "barn/oats"]
    assert fs.ls("q", detail=False) == ["q///r"] and fs.ls("q///r", detail=False) == ["q///r//s"]
    assert all(fs.isfile(path) for path in fs.find("")) and fs.isdir("barn/")
    assert [files for _, _, files in fs.walk("q")] == [[], ["s"]]
    assert fs._all_dirnames(["q///r//s"]) == {"q", "q///r"}
    assert fs.find("yard//hen") == ["yard/hen"] and fs.find("/yard//") == ["yard/hen"]
    assert fs.expand_path(["yard//hen", "barn"], recursive=True)[-1] == "yard/hen"


def test_members_below_one_that_is_a_file_are_found():
    """Nothing forbids an archive to have them."""
    fs = Crate(["both", "both/x", "both/y/z"])
    assert fs.find("") == ["both", "both/x", "both/y/z"]
    assert fs.find("", maxdepth=2, withdirs=True) == ["both", "both/x", "both/y"]
    assert fs.find("both", detail=True)["both/x"]["size"] == 6
    assert fs.du("") == 4 + 6 + 8


class Listing(Crate):
    """A format with listings of its own."""

    protocol = "listing"

    def ls(self, path, detail=True, **kwargs):
        return [e for e in super().ls(path, detail=True, **kwargs) if "hidden" not in e["name"]]


def test_a_format_with_listings_of_its_own_is_asked_for_them():
    assert Listing(["a/b", "hidden/c"]).find("") == ["a/b"]


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
