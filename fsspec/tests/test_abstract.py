"""What third parties rely on in the public classes of tests: names, ids, helpers."""

from __future__ import annotations

import os
import posixpath
import subprocess
import sys
import textwrap

import pytest

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.tests import abstract
from fsspec.tests.abstract.common import GLOB_EDGE_CASES_TESTS, below, make_files, remove

# path, and for each of its cases: recursive, maxdepth
PUBLIC = {
    "fil?1": "False-None True-None",
    "file[1-2]": "False-None True-None",
    "*": "False-None True-None True-1 True-2",
    "*1": "False-None True-None True-2",
    "**": "False-None True-None True-1 True-2 False-2",
    "**/*1": "False-None True-None True-1 True-2 False-2",
    "**/subdir0": "False-None True-None",
    "**/subdir0/nested*": "False-2 True-2",
    "subdir[1-2]": "False-None True-None True-2",
    "subdir[0-1]": "False-None True-None",
    "subdir[0-1]/*fil[e]*": "False-None True-None",
}


def test_the_first_cases_of_patterns_have_their_public_ids():
    pairs = [f"{path}-{case}" for path, cases in PUBLIC.items() for case in cases.split()]
    assert len(pairs) == 32
    argvalues = GLOB_EDGE_CASES_TESTS["argvalues"]
    found = [f"{path}-{recursive}-{maxdepth}" for path, recursive, maxdepth, _ in argvalues]
    assert found[:32] == pairs
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "name, holds",
    [
        ("_bulk_operations_scenario_0", "subdir/nesteddir/nestedfile"),
        ("_glob_edge_cases_files", "subdir0/nesteddir/nestedfile"),
        ("_dir_and_file_with_same_name_prefix", "subdir.txt"),
        ("_10_files_with_hashed_names", "cfcd208495d565ef66e7dff9f98764da.txt"),
    ],
)
def test_helpers_make_a_tree_and_return_its_folder(name, holds, tmp_path):
    fs = fsspec.filesystem("file")
    helper = getattr(abstract.BaseAbstractFixtures(), name)
    made = helper(fs, os.path.join, str(tmp_path))
    assert os.path.dirname(made) == str(tmp_path)
    assert holds in below(fs, made)
    assert helper(fs, os.path.join, str(tmp_path)) == made  # what an earlier run left is replaced


def failing(tmp_path, text, *words):
    """What pytest prints of tests of a backend that is not as it should be."""
    (tmp_path / "test_it.py").write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_a_failure_tells_what_was_found(tmp_path):
    """In the tests of a backend, though the assertion is in a module of ours."""
    output = failing(
        tmp_path,
        """
        import pytest
        import fsspec.tests.abstract as abstract
        from fsspec.implementations.memory import MemoryFileSystem

        class Lossy(MemoryFileSystem):
            store, pseudo_dirs = {}, [""]

            def cp_file(self, path1, path2, **kwargs):
                if not path1.endswith("file2"):
                    super().cp_file(path1, path2, **kwargs)

        class TestMove(abstract.AbstractMoveTests, abstract.AbstractFixtures):
            @pytest.fixture
            def fs(self):
                return Lossy()

            @pytest.fixture
            def fs_path(self):
                return "/top"
        """,
    )
    assert "Right contains 1 more item:" in output
    assert "{'newdir/subfile2': 'subdir/subfile2'}" in output


def test_ranges_that_are_ignored_are_seen(tmp_path):
    output = failing(
        tmp_path,
        """
        import pytest
        import fsspec.tests.abstract as abstract
        from fsspec.implementations.memory import MemoryFileSystem

        class Whole(MemoryFileSystem):
            store, pseudo_dirs = {}, [""]

            def cat_file(self, path, start=None, end=None, **kwargs):
                return super().cat_file(path)

        class Longer(MemoryFileSystem):
            store, pseudo_dirs = {}, [""]

            def cat_file(self, path, start=None, end=None, **kwargs):
                return super().cat_file(path, start, None if end is None or end < 0 else end + 1)

        class Read(abstract.AbstractReadTests, abstract.AbstractFixtures):
            @pytest.fixture
            def fs(self):
                return self.kind()

            @pytest.fixture
            def fs_path(self):
                return "/top"

        class TestWhole(Read):
            kind = Whole

        class TestLonger(Read):
            kind = Longer
        """,
    )
    assert "4 failed, 2 passed" in output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_two_that_hang_the_rest_is_not_tried(tmp_path):
    """Each would take as long as one that hangs."""
    output = failing(
        tmp_path,
        """
        import os
        import threading
        import pytest
        import fsspec.tests.abstract as abstract
        from fsspec.implementations.local import LocalFileSystem

        class Waiting(LocalFileSystem):
            protocol = "waits"

            def __init__(self):
                super().__init__()
                self.made = os.getpid()

            def info(self, path, **kwargs):
                if self.made != os.getpid():
                    threading.Event().wait()
                return super().info(path, **kwargs)

        class TestForks(abstract.AbstractForkTests):
            fork_limit = 2

            @pytest.fixture
            def fork_place(self, tmp_path):
                return Waiting(), str(tmp_path)
        """,
    )
    assert "12 failed" in output
    assert output.count("\nnot tried: 2 hung before, each") == 10, output


class Faulty(MemoryFileSystem):
    """Names of entries, and what rm takes away, as told."""

    protocol = "faulty"
    store, pseudo_dirs = {}, [""]

    def __init__(self, name="{}", take=True, **kwargs):
        super().__init__(**kwargs)
        self.name, self.take = name, take

    def ls(self, path, detail=True, **kwargs):
        entries = super().ls(path, detail=True, **kwargs)
        named = [{**e, "name": self.name.format(e["name"])} for e in entries]
        return named if detail else [e["name"] for e in named]

    def rm(self, path, recursive=False, maxdepth=None):
        if self.take is None:
            raise OSError("not empty")


@pytest.mark.parametrize("name", ["faulty:/{}", "x{}"])
def test_a_name_that_is_no_whole_path_is_reported(name):
    """Where the trees are made, since all else would fail by it."""
    fs = Faulty(name)
    fs.store, fs.pseudo_dirs = {}, [""]  # of its own: what is in the same folder is named as well
    with pytest.raises(AssertionError, match=r"ls\('/t'\) gave the name .*: '/t/names'"):
        make_files(fs, "{}/{}".format, "/t/names", ["file1"])


class OtherWords(MemoryFileSystem):
    """Types in words of its own, in what one of its methods gives."""

    protocol = "otherwords"
    store, pseudo_dirs = {}, [""]

    def __init__(self, method, **kwargs):
        super().__init__(**kwargs)
        self.method = method

    def in_words(self, method, entry):
        return {**entry, "type": entry["type"][:3]} if method == self.method else entry

    def info(self, path, **kwargs):
        return self.in_words("info", super().info(path, **kwargs))

    def ls(self, path, detail=True, **kwargs):
        entries = super().ls(path, detail=True, **kwargs)
        return [self.in_words("ls", e) if detail else e["name"] for e in entries]


@pytest.mark.parametrize(
    "method, output",
    [
        ("info", r"info\('/t/types'\) gave the type 'dir' of '/t/types'; it has to be 'directory'"),
        (
            "ls",
            r"ls\('/t/types'\) gave the type 'fil' of '/t/types/file1'; it has to be 'file' or 'directory'",
        ),
    ],
)
def test_a_type_that_is_none_is_reported(method, output):
    with pytest.raises(AssertionError, match=output):
        make_files(OtherWords(method), "{}/{}".format, "/t/types", ["file1"])


class Listing(MemoryFileSystem):
    """A backend with one fault."""

    protocol = "listing"

    def __init__(self, gives):
        if gives != "no super":
            super().__init__()
        self.gives = gives

    def info(self, path, **kwargs):
        found = super().info(path, **kwargs)
        return {"size of info": {**found, "size": "5"}, "no info": None}.get(self.gives, found)

    def ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        if self.gives == "remembered":
            found = self._ls_from_cache(path)
            if found is None:
                found = self.dircache[path] = super().ls(path, detail=True, **kwargs)
            return found if detail else [e["name"] for e in found]
        found = super().ls(path, detail=True, **kwargs)
        names = [e["name"] for e in found]
        if self.gives == "size":
            found = [{**e, "size": str(e["size"])} for e in found]
        if self.gives == "no type":
            found = [{"name": e["name"], "size": e["size"]} for e in found]
        if self.gives == "itself":
            found.append({"name": path, "size": 0, "type": "directory"})
        given = {"names": (names, names), "entries": (found, found), "None": (None, None)}
        given["generator"] = (e for e in found), names
        given["dict"] = (dict(zip(names, found)), names)
        return given.get(self.gives, (found, names))[not detail]


@pytest.mark.parametrize(
    "gives, output",
    [
        ("no super", r"Listing.__init__ has to call super\(\).__init__"),
        ("names", r"detail=True\) gave \['/t/ls'\]; it has to give a list of entries"),
        ("dict", r"detail=True\) gave {'/t/ls'.*; it has to give a list of entries"),
        ("generator", "gave <generator .*; it has to give a list of entries"),
        ("None", "gave None; it has to give a list of entries"),
        ("entries", r"detail=False\) gave \[{.*; it has to give a list of names"),
        ("no type", "an entry is a dict with name, size and type"),
        ("size", "gave the size '0' of '/t/ls'; it has to be a number"),
        ("no info", r"info\('/t/ls'\) gave None; an entry is a dict"),
        ("size of info", r"info\('/t/ls'\) gave the size '5'"),
        ("itself", r"ls\('/t'\) gave '/t' itself; .*_ls_from_cache"),
        ("remembered", r"ls\('/t/ls'\) gave '/t/ls' itself; .*_ls_from_cache"),
    ],
)
def test_what_ls_and_info_have_to_give_is_reported(gives, output, monkeypatch):
    """Rather than an error of Python's, or that rm left something."""
    monkeypatch.setattr(Listing, "store", {})
    monkeypatch.setattr(Listing, "pseudo_dirs", [""])
    with pytest.raises(AssertionError, match=output):
        remove(fs := Listing(gives), "/t/ls")
        make_files(fs, posixpath.join, "/t/ls", ["sub/file1"])


def test_content_that_is_not_bytes_is_reported():
    class Text(Faulty):
        def cat_file(self, path, **kwargs):
            return super().cat_file(path, **kwargs).decode()

    make_files(fs := Text(), "{}/{}".format, "/t/text", ["file1"])
    with pytest.raises(AssertionError, match=r"cat_file\('/t/text/file1'\) gave 'file1', which is not bytes"):
        below(fs, "/t/text")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork_tests_take_the_fixtures_of_the_others(tmp_path):
    """Also one with parameters; where there are none it is told what is needed."""
    output = failing(
        tmp_path,
        """
        import pytest
        import fsspec.tests.abstract as abstract
        from fsspec.implementations.local import LocalFileSystem

        class Fixtures(abstract.AbstractFixtures):
            @pytest.fixture(params=["one", "two"])
            def fs(self, request):
                return LocalFileSystem()

            @pytest.fixture
            def fs_path(self, tmp_path):
                return tmp_path.as_posix()

        class TestForks(abstract.AbstractForkTests, Fixtures):
            pass

        class TestNone(abstract.AbstractForkTests):
            pass
        """,
        "-k",
        "None or instance and neither",
    )
    assert "2 passed" in output
    assert "from AbstractForkTests needs this fixture" in output


@pytest.mark.parametrize("take", [True, None])
def test_what_rm_leaves_is_reported(take):
    """Be it that rm refuses, or does nothing."""
    fs = Faulty(take=take)
    make_files(fs, "{}/{}".format, "/t/left", ["file1"])
    with pytest.raises(AssertionError, match=r"left \['/t/left/file1'\].*a backend brings _rm") as raised:
        remove(fs, "/t/left")
    assert ("OSError: not empty" in str(raised.value)) == (take is None)
