"""glob: what matches, and what is listed to find out."""

import itertools
import pathlib
import re

import pytest

from fsspec._plans.globbing import Pattern, has_magic
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem
from fsspec.utils import glob_translate

PATHS = """
r/a.txt r/b.txt r/ab.csv r/.hidden r/abc r/[x] r/x r/d1/a.txt r/d1/c.csv r/d1/.dot/in r/d1/e1/a.txt
r/d1/e1/f1/deep.txt r/d2/a.txt r/d2/e2/z r/d10/k
""".split()
FILES = {**dict.fromkeys(PATHS, b"."), "r/void/": b""}


@pytest.fixture(params=[DictFileSystem, AsyncDictFileSystem])
def fs(request):
    return request.param(FILES)


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("r/*.txt", "r/a.txt r/b.txt"),
        ("r/?", "r/x"),
        ("r/[ab].txt", "r/a.txt r/b.txt"),
        ("r/[!a-z]*", "r/.hidden r/[x]"),
        ("r/[[]x]", "r/[x]"),
        ("r/[x]", "r/x"),
        ("r/d?", "r/d1 r/d2"),
        ("r/d?/", "r/d1 r/d2"),
        ("r/*/", "r/d1 r/d10 r/d2 r/void"),
        ("r/*/a.txt", "r/d1/a.txt r/d2/a.txt"),
        ("r/d1/*/*", "r/d1/.dot/in r/d1/e1/a.txt r/d1/e1/f1"),
        (
            "r/d1/**",
            "r/d1 r/d1/.dot r/d1/.dot/in r/d1/a.txt r/d1/c.csv r/d1/e1 r/d1/e1/a.txt r/d1/e1/f1"
            " r/d1/e1/f1/deep.txt",
        ),
        ("r/d1/**/", "r/d1 r/d1/.dot r/d1/e1 r/d1/e1/f1"),
        ("r/**/a.txt", "r/a.txt r/d1/a.txt r/d1/e1/a.txt r/d2/a.txt"),
        ("r/**/e1/**", "r/d1/e1 r/d1/e1/a.txt r/d1/e1/f1 r/d1/e1/f1/deep.txt"),
        ("r/**/e?/*", "r/d1/e1/a.txt r/d1/e1/f1 r/d2/e2/z"),
        ("r/d2/**/**", "r/d2 r/d2/a.txt r/d2/e2 r/d2/e2/z"),
        ("r/void/**", "r/void"),
        ("r/void/*", ""),
        ("r/a.txt/*", ""),
        ("r/a.txt/**", ""),
        ("r/nope/*", ""),
        ("r/nope/**", ""),
        ("*", "r"),
        ("**/deep.txt", "r/d1/e1/f1/deep.txt"),
        ("r/a.txt", "r/a.txt"),
        ("r/d1", "r/d1"),
        ("r/d1/", "r/d1"),
        ("r/a.txt/", "r/a.txt"),
        ("r/nope", ""),
    ],
)
def test_a_pattern_matches_what_its_rules_say(fs, pattern, expected):
    found = fs.glob(pattern)
    assert found == expected.split(" ") if expected else found == []
    assert list(fs.glob(pattern, detail=True)) == found


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("r/**/a.txt", {1: 1, 2: 3, 3: 4, None: 4}),
        ("r/d*/**", {1: 10, 2: 14, 3: 15, None: 15}),
        ("r/*", {1: 11, None: 11}),
    ],
)
def test_how_deep_two_stars_reach(fs, pattern, expected):
    assert {depth: len(fs.glob(pattern, maxdepth=depth)) for depth in expected} == expected


def test_with_detail_a_pattern_gives_entries(fs):
    assert fs.glob("r/[ab].txt", detail=True) == {
        f"r/{name}.txt": {"name": f"r/{name}.txt", "size": 1, "type": "file"} for name in "ab"
    }
    assert fs.glob("r/a.txt", detail=True)["r/a.txt"]["size"] == 1


def test_without_withdirs_only_files_match(fs):
    assert fs.glob("r/d1/*", withdirs=False) == ["r/d1/a.txt", "r/d1/c.csv"]
    assert "r/d1" not in fs.glob("r/d1/**", withdirs=False)


def test_protocols_and_path_objects(fs):
    protocol = fs.protocol
    assert fs.glob(f"{protocol}://r/[ab].txt") == ["r/a.txt", "r/b.txt"]
    assert fs.glob(pathlib.PurePosixPath("r/[ab].txt")) == ["r/a.txt", "r/b.txt"]


@pytest.mark.parametrize("pattern", ["r/a**", "r/**b/x", "r/***"])
def test_two_stars_have_to_be_a_whole_name(fs, pattern):
    with pytest.raises(ValueError, match=r"\*\*"):
        fs.glob(pattern)


@pytest.mark.parametrize(
    "pattern, listed",
    [
        ("r/d1/*.csv", ["r/d1"]),
        ("r/d?/e*/f*", ["r", "r/d1", "r/d1/e1", "r/d2", "r/d2/e2"]),
        ("r/*/a.txt", ["r", "r/d1", "r/d10", "r/d2", "r/void"]),
        ("r/d2/**/z", ["r/d2", "r/d2/e2"]),
    ],
)
def test_only_folders_that_can_lead_to_a_match_are_listed(fs, pattern, listed):
    fs.glob(pattern)
    assert sorted(fs.asked) == listed


def test_awaitable_levels_are_listed_together():
    fs = AsyncDictFileSystem({f"r/{n}/{m}/f": b"" for n in range(3) for m in range(3)})
    assert len(fs.glob("r/*/*/f")) == 9
    assert fs.most_at_once == 9


class Flat(DictFileSystem):
    """One flat listing instead of folders."""

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        self.asked.append((path, maxdepth, withdirs, kwargs))
        inner = DictFileSystem(self.files)
        found = inner.find(path, withdirs=withdirs, detail=True)
        return found if detail else list(found)


class AsyncFlat(AsyncDictFileSystem):
    """The same, awaitable."""

    async def _find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        self.asked.append((path, maxdepth, withdirs, kwargs))
        inner = DictFileSystem(self.files)
        return inner.find(path, withdirs=withdirs, detail=detail)


@pytest.mark.parametrize("cls", [Flat, AsyncFlat])
def test_a_find_of_the_backends_own_is_used(cls):
    fs = cls(FILES)
    assert fs.glob("r/d1/a*") == ["r/d1/a.txt"]
    assert fs.glob("r/**/e1/**") == [
        "r/d1/e1",
        "r/d1/e1/a.txt",
        "r/d1/e1/f1",
        "r/d1/e1/f1/deep.txt",
    ]
    prefix = {"prefix": "a"} if fs.async_impl else {}
    assert fs.asked == [("r/d1/", 1, True, prefix), ("r/", None, True, {})]


def test_a_slash_at_the_end_of_a_name_is_of_no_account(fs):
    assert fs.glob("r/d1/") == ["r/d1"] and fs.glob("r/d1") == ["r/d1"]
    file = next(path for path in fs.find("r"))
    assert fs.glob(file) == fs.glob(f"{file}/") == list(fs.glob(f"{file}/", detail=True)) == [file]


PIECES = ["*", "**", "a*", "?", "d1", "[a-e]*", "x"]
PATTERNS = [
    "r/" + "/".join(names) + end
    for n in (1, 2, 3)
    for end in ("", "/")
    for names in itertools.product(PIECES, repeat=n)
]
TREE = {
    f"r/{'/'.join([*names, file])}": b""
    for n in (0, 1, 2)
    for names in itertools.product(["a", "ab", "d1"], repeat=n)
    for file in ("x", "y1")
}


def test_all_ways_agree_with_the_expression_of_the_whole_pattern():
    """Steps, one flat listing, and the regular expression for whole paths."""
    steps, flat = DictFileSystem(TREE), Flat(TREE)
    everything = steps.find("r", withdirs=True, detail=True)
    for pattern in filter(has_magic, PATTERNS):
        whole = re.compile(glob_translate(pattern))
        expected = [
            path
            for path, entry in everything.items()
            if whole.match(path + "/" if _with_slash(pattern, entry) else path)
        ]
        assert steps.glob(pattern) == expected, pattern
        assert flat.glob(pattern) == expected, pattern


def _with_slash(pattern, entry):
    return entry["type"] == "directory" and (pattern.endswith("/") or pattern.endswith("/**"))


def test_a_pattern_is_read_into_a_root_and_steps():
    pattern = Pattern("r/d1/a*/**/x", False)
    assert (pattern.root, pattern.prefix, pattern.end) == ("r/d1/", "a", 3)
    assert pattern.depth(None) is None
    assert pattern.depth(2) == 3
    assert Pattern("r/*/x", False).depth(None) == 2


def test_many_wildcards_take_no_longer_than_few():
    """With all places tried for each, these would not end within years."""
    name, tree = "a" * 5000, "a/" * 500 + "c"
    for pattern, text in [("*a" * 60 + "b", name), ("*?" * 60 + "[b]", name), ("**/*a*/" * 30 + "b", tree)]:
        assert not re.compile(glob_translate(pattern)).match(text)
        assert re.compile(glob_translate(pattern)).match(text + ("/a/b" if "/" in pattern else "b"))
    for kind in (DictFileSystem, Flat):
        fs = kind({f"r/{name}": b"", f"r/{'ab' * 2000}": b"", "r/" + "a/" * 30 + "x": b""})
        for pattern in ("*a" * 60 + "c", "*[!a]" * 60 + "a", "*[.-0]" * 60 + "a", "**/" * 20_000 + "y"):
            assert fs.glob("r/" + pattern) == []
        assert fs.glob("r/" + "**/" * 20_000 + "x") == ["r/" + "a/" * 30 + "x"]
        assert fs.glob("r/" + "*[!a]" * 60) == [f"r/{'ab' * 2000}"]


def test_the_first_place_of_each_part_is_as_good_as_any_other():
    """Compared with an expression that tries all places, over all short patterns and names."""

    def plain(pattern):
        return "/".join(c.replace("*", "[^/]*").replace("?", "[^/]") for c in pattern.split("/")) + r"\Z"

    names = ["".join(n) for k in range(6) for n in itertools.product("ab", repeat=k)]
    for parts in itertools.product(["", "a", "b", "?", "ab"], repeat=4):
        pattern = "*".join(parts)
        if "**" not in pattern and pattern != "*":
            fast, slow = re.compile(glob_translate(pattern)), re.compile(plain(pattern))
            assert [n for n in names if fast.match(n)] == [n for n in names if slow.match(n)], pattern


def test_the_prefix_of_the_first_names_narrows_the_first_listing_only():
    asked = []

    class Narrowing(AsyncDictFileSystem):
        async def _ls(self, path, detail=True, prefix="", **kwargs):
            asked.append((path, prefix))
            found = await super()._ls(path, detail=True)
            return [e for e in found if e["name"].rpartition("/")[2].startswith(prefix)]

    fs = Narrowing({"r/ab/c": b"", "r/ab/d/e": b"", "r/b/c": b""})
    assert fs.glob("r/a*/**") == ["r/ab", "r/ab/c", "r/ab/d", "r/ab/d/e"]
    assert asked == [("r", "a"), ("r/ab", ""), ("r/ab/d", "")]
