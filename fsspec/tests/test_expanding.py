"""expand_path: paths and patterns as what they stand for."""

import os
import pathlib

import pytest

import fsspec
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem

FILES = dict.fromkeys(["r/top1", "r/top2", "r/box/in1", "r/box/in2", "r/box/cell/core"], b".")
BOX = ["r/box", "r/box/cell", "r/box/cell/core", "r/box/in1", "r/box/in2"]


@pytest.fixture(params=[DictFileSystem, AsyncDictFileSystem])
def fs(request):
    return request.param(FILES)


def test_plain_paths_cost_nothing(fs):
    assert fs.expand_path("r/top1") == ["r/top1"]
    assert fs.expand_path(["r/top2", "r/nope", "r/top1"]) == ["r/nope", "r/top1", "r/top2"]
    assert fs.expand_path("r/box/") == ["r/box"]
    assert fs.expand_path(pathlib.PurePosixPath("r/top1")) == ["r/top1"]
    assert fs.asked == []


@pytest.mark.parametrize(
    "pattern, depth, expected",
    [
        ("r/top1", None, ["r/top1"]),
        ("r/box", None, BOX),
        ("r/box", 1, ["r/box", "r/box/cell", "r/box/in1", "r/box/in2"]),
        ("r/bo*", None, BOX),
        ("r/bo*", 1, ["r/box"]),
        ("r/bo*", 2, ["r/box", "r/box/cell", "r/box/in1", "r/box/in2"]),
        ("r/*", None, [*BOX, "r/top1", "r/top2"]),
        ("r/**", None, ["r", *BOX, "r/top1", "r/top2"]),
        ("r/**", 1, ["r", "r/box", "r/top1", "r/top2"]),
        ("r/box/**", 2, BOX),
    ],
)
def test_folders_are_expanded_to_the_depth_that_is_given(fs, pattern, depth, expected):
    assert fs.expand_path(pattern, recursive=True, maxdepth=depth) == expected
    assert fs.expand_path([pattern], recursive=True, maxdepth=depth) == expected


def test_patterns_are_expanded_and_sorted(fs):
    assert fs.expand_path("r/to?1") == ["r/top1"]
    assert fs.expand_path(["r/to*", "r/top1", "r/box"]) == ["r/box", "r/top1", "r/top2"]


def test_literal_wildcards_ask_for_nothing(fs):
    assert fs.expand_path("r/a[1]*", assume_literal=True) == ["r/a[1]*"]
    assert fs.expand_path(["r/a[1]*"], assume_literal=True) == ["r/a[1]*"]
    assert fs.asked == []


def test_what_is_not_there(fs):
    assert fs.expand_path(["r/nope", "r/top1"], recursive=True) == ["r/top1"]
    for path, recursive in [("r/nope", True), ("r/nope*", False), ([], False)]:
        with pytest.raises(FileNotFoundError):
            fs.expand_path(path, recursive=recursive)
    with pytest.raises(FileNotFoundError, match="r/nope"):
        fs.expand_path("r/nope", recursive=True)


class Refused(AsyncDictFileSystem):
    """A store that answers every question by a refusal."""

    async def _info(self, path, **kwargs):
        raise PermissionError("token expired")

    _ls = _info


@pytest.mark.parametrize("work", ["expand_path", "rm", "cat"])
def test_what_may_not_be_looked_at_is_not_said_to_be_missing(work):
    with pytest.raises(PermissionError, match="token expired"):
        getattr(Refused(FILES), work)("r", recursive=True)


def test_files_among_matches_are_not_asked_for_again(fs):
    fs.expand_path("r/*", recursive=True)
    assert sorted(fs.asked.count(path) for path in set(fs.asked)) in ([1, 1, 1], [1, 1, 2])
    assert not any(path.startswith("r/top") for path in fs.asked)


def test_folders_below_others_are_not_asked_for_again():
    fs = DictFileSystem(FILES)
    fs.expand_path("r/box/**", recursive=True)
    assert fs.asked.count("r/box/cell") <= 2


def test_awaitable_paths_are_expanded_together():
    fs = AsyncDictFileSystem(FILES)
    fs.expand_path(["r", "r/box"], recursive=True)
    assert fs.most_at_once >= 2


@pytest.mark.parametrize("make", [DictFileSystem, AsyncDictFileSystem])
def test_a_name_with_brackets_that_is_there_is_that_name(make):
    """And a pattern otherwise; alone, in a list, and with what is below it."""
    fs = make(dict.fromkeys(["r/q[1]", "r/q1", "r/d[1]/x", "r/d1/y"], b"."))
    for given in ("r/q[1]", ["r/q[1]"], "r/q[1]/"):
        assert fs.expand_path(given) == ["r/q[1]"]
    assert fs.expand_path("r/q[12]") == fs.expand_path(["r/q[12]"]) == ["r/q1"]
    assert fs.expand_path(["r/q[1]", "r/q[12]"]) == ["r/q1", "r/q[1]"]
    assert fs.expand_path("r/d[1]", recursive=True) == ["r/d[1]", "r/d[1]/x"]
    assert fs.expand_path("r/[d]1", recursive=True) == ["r/d1", "r/d1/y"]


def test_no_request_tells_whether_a_pattern_is_a_name():
    """Unless it has brackets."""
    fs = DictFileSystem(FILES)
    fs.expand_path(["r/*", "r/to?1", "r/[*"])
    assert fs.asked == ["r", "r", "r"]


def test_a_pattern_without_matches_is_an_error_where_trees_are_meant(fs):
    assert fs.expand_path(["r/top1", "r/nope*"]) == ["r/top1"]
    with pytest.raises(FileNotFoundError, match="nope"):
        fs.expand_path(["r/top1", "r/nope*"], recursive=True)
    assert fs.expand_path(["r/top1", "r/nope*"], recursive=True, maxdepth=1) == ["r/top1"]


class Asked(DictFileSystem):
    """Notes what is asked, in order."""

    def ls(self, path, detail=True, **kwargs):
        self.order.append("ls")
        return super().ls(path, detail, **kwargs)

    def exists(self, path, **kwargs):
        self.order.append("exists")
        return path in self.files


def test_whether_brackets_are_a_name_is_asked_after_the_pattern_was_listed():
    """So that a backend that remembers listings needs no request for it."""
    fs = Asked(FILES)
    fs.order = []
    assert fs.expand_path("r/box/in[12]") == ["r/box/in1", "r/box/in2"]
    assert fs.order == ["ls", "exists"]


def test_a_pattern_that_cannot_be_listed_may_be_a_name(fs):
    class Closed(type(fs)):
        def ls(self, path, detail=True, **kwargs):
            raise PermissionError(path)

        async def _ls(self, path, detail=True, **kwargs):
            raise PermissionError(path)

        def info(self, path, **kwargs):
            if path not in self.files:
                raise FileNotFoundError(path)
            return {"name": path, "size": 1, "type": "file"}

        async def _info(self, path, **kwargs):
            return self.info(path)

    closed = Closed({"r/a[1]": b"."})
    assert closed.expand_path("r/a[1]") == ["r/a[1]"]
    with pytest.raises(OSError):
        closed.expand_path("r/a[2]")


def test_a_backend_that_does_not_know_assume_literal_is_asked_without():
    """Its own expand_path may be older than the option."""

    class Older(AsyncDictFileSystem):
        async def _expand_path(self, path, recursive=False, maxdepth=None):
            return await super()._expand_path(path, recursive=recursive, maxdepth=maxdepth)

    fs = Older(FILES)
    assert fs.expand_path("r/to?1") == ["r/top1"]
    assert fs.cat("r/top*") == {"r/top1": b".", "r/top2": b"."}


@pytest.mark.parametrize("pattern", ["data/**", "data/**/", ["data/*", "data/*/*"]])
def test_what_links_lead_to_is_below_a_pattern_as_well(pattern, tmp_path, monkeypatch):
    """The tree of a folder does not contain that of a link in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store" / "sub").mkdir(parents=True)
    (tmp_path / "store" / "sub" / "a.csv").write_bytes(b"a")
    (tmp_path / "data" / "2024").mkdir(parents=True)
    (tmp_path / "data" / "2024" / "b.csv").write_bytes(b"b")
    (tmp_path / "data" / "2025").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "2024" / "within").symlink_to(tmp_path / "store")
    fs = fsspec.filesystem("file")
    found = {os.path.relpath(p) for p in fs.expand_path(pattern, recursive=True)}
    assert found >= {"data/2024/b.csv", "data/2025/sub/a.csv", "data/2024/within/sub/a.csv"}
    fs.get("data/**", "copy/", recursive=True)
    assert (tmp_path / "copy" / "2025" / "sub" / "a.csv").read_bytes() == b"a"


def test_a_name_with_brackets_that_exists_is_one_in_urls_too(m, tmp_path):
    m.pipe({"/t/a[1].csv": b"bracket", "/t/a1.csv": b"one", "/t/ok": b"ok"})
    fs = fsspec.filesystem("generic")
    fs.copy("memory://t/a[1].csv", f"file://{tmp_path}/o.csv")
    fs.copy(["memory://t/a[1].csv", "memory://t/ok"], f"file://{tmp_path}/to/")
    got = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert got == {"o.csv": b"bracket", "to/a[1].csv": b"bracket", "to/ok": b"ok"}
    assert fs.cat("memory://t/a[1].csv") == b"bracket"
    m.rm("/t/a[1].csv")
    assert fs.cat("memory://t/a[1].csv") == {"memory:///t/a1.csv": b"one"}
