"""The rules of copying, written once for copy, get and put.

What goes where is the same within a filesystem, from it and to it:

* a file goes to the name given, or into a folder that exists or whose name ends in a slash;
* a folder goes into a folder that exists, unless its own name ends in a slash: then, and
  where the target is new, its contents go there;
* what a pattern matches, or a list names, goes into the target, which becomes a folder.

`RULES` says so by example.  Each file holds its own name below the tree's top, so that a file
that lands where it should not, or with another's bytes, is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

Join = Callable[..., str]

TREE = ["file1", "file2", "subdir/subfile1", "subdir/subfile2", "subdir/nesteddir/nestedfile"]
GLOBBED = ["file1", "file2"] + [
    f"subdir{i}/{name}" for i in (0, 1) for name in ("subfile1", "subfile2", "nesteddir/nestedfile")
]
FEW = ["subdir.txt", "subdir/subfile.txt"]

PLACEHOLDER = "placeholder"
"""A file that keeps a folder, where empty ones cannot be."""


class Case(NamedTuple):
    """One call: what is copied, to where below the target folder, and what is there then."""

    source: str | list[str]
    target: str
    landed: dict[str, str]  # names below the target, and which file's bytes they hold
    options: dict[str, Any] = {}


DEEP: dict[str, Any] = {"recursive": True}
ONE: dict[str, Any] = {"recursive": True, "maxdepth": 1}
_LISTED = ["file1", "subdir/subfile2", "file2"]


def _subdir(prefix: str = "", deep: bool = True) -> dict[str, str]:
    names = ["subfile1", "subfile2"] + (["nesteddir/nestedfile"] if deep else [])
    return {prefix + name: f"subdir/{name}" for name in names}


def _flat(names: list[str], prefix: str = "") -> dict[str, str]:
    return {prefix + name.rpartition("/")[2]: name for name in names}


RULES: dict[str, list[Case]] = {
    "file to existing directory": [
        Case("subdir/subfile1", target, {"subfile1": "subdir/subfile1"}) for target in ("", "/")
    ],
    "file to new directory": [Case("subdir/subfile1", "newdir/", {"newdir/subfile1": "subdir/subfile1"})],
    "file to file in existing directory": [
        Case("subdir/subfile1", "newfile", {"newfile": "subdir/subfile1"}),
    ],
    "file to file in new directory": [
        Case("subdir/subfile1", "newdir/newfile", {"newdir/newfile": "subdir/subfile1"})
    ],
    "directory to existing directory": [
        *(Case("subdir", target, _subdir("subdir/"), DEEP) for target in ("", "/")),
        *(Case("subdir/", target, _subdir(), DEEP) for target in ("", "/")),
        Case("subdir", "", _subdir("subdir/", deep=False), ONE),
        Case("subdir/", "/", _subdir(deep=False), ONE),
        Case("subdir", "/", {}),
    ],
    "directory to new directory": [
        Case("subdir", "newdir", _subdir("newdir/"), DEEP),
        Case("subdir/", "newdir", _subdir("newdir/"), DEEP),
        Case("subdir/", "newdir/", _subdir("newdir/"), DEEP),
        Case("subdir", "newdir", _subdir("newdir/", deep=False), ONE),
        Case("subdir/", "newdir", {}),
    ],
    "glob to existing directory": [
        *(Case("subdir/*", target, _subdir(deep=False)) for target in ("", "/")),
        *(Case("subdir/*", target, _subdir(), DEEP) for target in ("", "/")),
        Case("subdir/*", "", _subdir(deep=False), ONE),
        Case("subdir/*2", "/", {"subfile2": "subdir/subfile2"}),
        Case("fil?[2-5]", "", {"file2": "file2"}),
    ],
    "glob to new directory": [
        *(Case("subdir/*", target, _subdir("newdir/", deep=False)) for target in ("newdir", "newdir/")),
        *(Case("subdir/*", target, _subdir("newdir/"), DEEP) for target in ("newdir", "newdir/")),
        Case("subdir/*1", "newdir", {"newdir/subfile1": "subdir/subfile1"}),
        Case("subdir/*", "newdir", _subdir("newdir/", deep=False), ONE),
    ],
    "list to existing directory": [Case(_LISTED, target, _flat(_LISTED)) for target in ("", "/")],
    "list to new directory": [Case(_LISTED, "newdir/", _flat(_LISTED, "newdir/"))],
    "two files to new directory": [
        Case(["file2", "file1"], target, _flat(["file2", "file1"], "newdir/"))
        for target in ("newdir", "newdir/")
    ],
    "names that begin alike": [
        Case("subdir", "", {"subdir/subfile.txt": "subdir/subfile.txt"}, DEEP),
        Case("subdir/", "", {"subfile.txt": "subdir/subfile.txt"}, DEEP),
        Case("subdir*", "", {name: name for name in FEW}, DEEP),
        Case("subdir*", "", {"subdir.txt": "subdir.txt"}),
    ],
}

_ALL = sorted(GLOBBED)
_SUBFILES = [name for name in _ALL if "/sub" in name]
_NESTED = [name for name in _ALL if "nested" in name]
_IN_1 = [name for name in _ALL if name.startswith("subdir1/")]
_ONE_DIR = ["nesteddir/nestedfile", "subfile1", "subfile2"]

GLOB_EDGE_CASES_TESTS: dict[str, Any] = {
    "argnames": ("path", "recursive", "maxdepth", "expected"),
    "argvalues": [
        # The ids of these 32 are public: backends mark and deselect single cases by them. A new case goes
        # to the end, for pytest counts ``expected``.
        *(("fil?1", recursive, None, ["file1"]) for recursive in (False, True)),
        *(("file[1-2]", recursive, None, ["file1", "file2"]) for recursive in (False, True)),
        ("*", False, None, ["file1", "file2"]),
        ("*", True, None, _ALL),
        ("*", True, 1, ["file1", "file2"]),
        ("*", True, 2, ["file1", "file2", *_SUBFILES]),
        ("*1", False, None, ["file1"]),
        ("*1", True, None, ["file1", *_IN_1]),
        ("*1", True, 2, ["file1", "subdir1/subfile1", "subdir1/subfile2"]),
        ("**", False, None, _ALL),
        ("**", True, None, _ALL),
        ("**", True, 1, ["file1", "file2"]),
        ("**", True, 2, _ALL),
        ("**", False, 2, ["file1", "file2", *_SUBFILES]),
        ("**/*1", False, None, ["file1", "subdir0/subfile1", "subdir1/subfile1"]),
        ("**/*1", True, None, ["file1", "subdir0/subfile1", *_IN_1]),
        ("**/*1", True, 1, ["file1"]),
        ("**/*1", True, 2, ["file1", "subdir0/subfile1", "subdir1/subfile1", "subdir1/subfile2"]),
        ("**/*1", False, 2, ["file1", "subdir0/subfile1", "subdir1/subfile1"]),
        ("**/subdir0", False, None, []),
        ("**/subdir0", True, None, _ONE_DIR),
        ("**/subdir0/nested*", False, 2, []),
        ("**/subdir0/nested*", True, 2, ["nestedfile"]),
        ("subdir[1-2]", False, None, []),
        ("subdir[1-2]", True, None, _ONE_DIR),
        ("subdir[1-2]", True, 2, ["subfile1", "subfile2"]),
        ("subdir[0-1]", False, None, []),
        ("subdir[0-1]", True, None, _SUBFILES + _NESTED),
        ("subdir[0-1]/*fil[e]*", False, None, _SUBFILES),
        ("subdir[0-1]/*fil[e]*", True, None, _SUBFILES),
        # folders on the way
        ("*/*", False, None, _SUBFILES),
        ("*/*", True, None, _SUBFILES + _NESTED),
        ("*/*", True, 1, _SUBFILES),
        ("*/nesteddir", True, None, _NESTED),
        ("*/nesteddir/*", False, None, _NESTED),
        ("[fs]*", True, None, _ALL),
        ("sub*", True, 2, _SUBFILES),
        # what is fixed is not kept
        ("subdir0/*", False, None, ["subfile1", "subfile2"]),
        ("subdir0/*", True, None, _ONE_DIR),
        ("subdir[!1]/*", False, None, ["subfile1", "subfile2"]),
        # any depth
        ("**/nestedfile", True, None, _NESTED),
        ("**/sub*", True, 2, _SUBFILES),
        ("subdir0/**", False, None, _ONE_DIR),
        ("subdir0/**", False, 1, ["subfile1", "subfile2"]),
    ],
}
"""Patterns, and what they bring of ``GLOBBED`` into a new folder."""


@contextmanager
def removed(fs: Any, path: str) -> Iterator[str]:
    """``path``, which is not there before and after."""
    remove(fs, path)
    try:
        yield path
    finally:
        remove(fs, path)


def remove(fs: Any, path: str) -> None:
    """Take away a tree, if it is there."""
    check_listings(fs, path)
    if not fs.exists(path):
        return
    refused = ""
    try:
        fs.rm(path, recursive=True)
    except FileNotFoundError:  # there was no more of it than its name
        pass
    except OSError as error:
        refused = f" ({type(error).__name__}: {error})"
    fs.invalidate_cache()
    left = []
    with suppress(FileNotFoundError):
        left = fs.find(path)
    assert not left and not refused, (
        f"rm({path!r}, recursive=True) left {left}{refused}: rm has to remove what is in folders as well; a"
        " backend brings _rm (or rm_file), and not rm"
    )


def check_listings(fs: Any, folder: str) -> None:
    """What a listing gives of a folder that tests made, and of its parent before it."""
    assert hasattr(fs, "_intrans"), f"{type(fs).__name__}.__init__ has to call super().__init__(**kwargs)"
    path = fs._strip_protocol(folder).rstrip("/")
    parent = fs._parent(path).rstrip("/")  # first: what is remembered of it may come for the folder
    for top in filter(None, (parent, path)):
        with suppress(OSError):
            _check_listing(fs, top, strict=top == path)
    fs.invalidate_cache()


def _check_listing(fs: Any, path: str, strict: bool) -> None:
    given: list[tuple[bool, Any, str]] = [
        (True, dict, "a list of entries: dicts with name, size and type"),
        (False, str, "a list of names"),
    ]
    for detail, kind, what in given:
        found = fs.ls(path, detail=detail)
        reported = f"ls({path!r}, detail={detail}) gave {str(found)[:200]}; it has to give {what}"
        assert hasattr(found, "__len__") and not isinstance(found, (str, dict)), reported
        for one in found:
            assert isinstance(one, kind), reported
            if detail:
                check_entry(one, f"ls({path!r})", ("file", "directory") if strict else ())
            name = one["name"] if detail else one
            wanted = f"{path}/{name.rstrip('/').rpartition('/')[2]}"
            assert name.rstrip("/") in (path, wanted), (  # that of a file is itself
                f"ls({path!r}) gave the name {name!r}; an entry's name is the whole path without protocol:"
                f" {wanted!r}"
            )
            assert not detail or name.rstrip("/") != path or one["type"] == "file", (
                f"ls({path!r}) gave {name!r} itself; it has to give what is in the folder, as"
                " self.dircache[path] does. (self._ls_from_cache(path) gives the folder's own entry where its"
                " parent is remembered)"
            )


def check_entry(entry: Any, call: str, kinds: tuple[str, ...]) -> None:
    """An entry of a listing, or what ``info`` gives."""
    reported = f"{call} gave {entry!r}; an entry is a dict with name, size and type"
    assert isinstance(entry, dict) and {"name", "type"} <= entry.keys(), reported
    wanted = " or ".join(map(repr, kinds))
    name, kind, size = entry["name"], entry["type"], entry.get("size")
    assert not kinds or kind in kinds, f"{call} gave the type {kind!r} of {name!r}; it has to be {wanted}"
    assert not isinstance(size, str), f"{call} gave the size {size!r} of {name!r}; it has to be a number"


def make_files(fs: Any, join: Join, folder: str, names: list[str]) -> None:
    """Files below a folder, each holding its name."""
    parents = {name.rpartition("/")[0] for name in names}
    for parent in sorted(parents | {p.rpartition("/")[0] for p in parents}):
        with suppress(FileExistsError):
            fs.mkdir(join(folder, *parent.split("/")) if parent else folder)
    for name in names:
        fs.pipe_file(join(folder, *name.split("/")), name.encode())
    check_listings(fs, folder)
    file = join(folder, *names[0].split("/"))
    for path, kind in ((folder, "directory"), (file, "file")):
        check_entry(fs.info(path), f"info({path!r})", (kind,))
    fs.invalidate_cache()


def make_folder(fs: Any, join: Join, path: str, empty: bool = True) -> None:
    """A folder that is there, by a file in it where there are no ``empty`` ones."""
    with suppress(FileExistsError):
        fs.mkdir(path)
    if not empty:
        fs.pipe_file(join(path, PLACEHOLDER), b"")


def below(fs: Any, folder: str) -> dict[str, str]:
    """The files below a folder: their relative names and what they hold."""
    fs.invalidate_cache()
    top = fs._strip_protocol(folder).rstrip("/") + "/"
    found = [path for path in fs.find(folder) if not path.endswith("/" + PLACEHOLDER)]
    outside = [path for path in found if not path.startswith(top)]
    assert not outside, f"find({folder!r}) gave {outside}, which are not below it"
    held = {path[len(top) :]: fs.cat_file(path) for path in found}
    for name, data in held.items():
        assert isinstance(data, bytes), f"cat_file({top + name!r}) gave {data!r}, which is not bytes"
    return {name: data.decode() for name, data in held.items()}


def check_case(
    case: Case, transfer: Callable[..., Any], source: Join, target: str, fs: Any, remake: Callable[[], None]
) -> None:
    """Run one case and look at what is there.

    Parameters
    ----------
    transfer
        copy, get or put.
    source
        joins a name to the folder of the sources.
    target, fs
        the target folder, and the filesystem that it lies on.
    remake
        makes the target folder as it is to be before.
    """
    remove(fs, target)
    remake()
    given = [source(p) for p in case.source] if isinstance(case.source, list) else source(case.source)
    where = target + (case.target if case.target in ("", "/") else "/" + case.target)
    transfer(given, where, **case.options)
    assert below(fs, target) == case.landed, case


def check_glob(
    path: str,
    transfer: Callable[..., Any],
    target: str,
    fs: Any,
    remake: Callable[[], None],
    recursive: bool,
    maxdepth: int | None,
    expected: list[str],
) -> None:
    """Transfer what a pattern matches to a new folder, with and without a slash at its end."""
    for slash in ("", "/"):
        remove(fs, target)
        remake()
        transfer(path, f"{target}/newdir{slash}", recursive=recursive, maxdepth=maxdepth)
        found = below(fs, target)
        assert sorted(found) == sorted(f"newdir/{name}" for name in expected)
        for name, held in found.items():
            assert name.endswith("/" + held) or held.endswith(name.removeprefix("newdir"))


def check_paired(transfer: Callable[..., Any], source: Join, target: Join, fs: Any, names: list[str]) -> None:
    """Transfer a list to a list: each file to the name at its own position."""
    names = names[1::2] + names[::2]
    new = [f"{i}-of-{len(names)}" for i in range(len(names))][::-1]
    transfer([source(name) for name in names], [target(name) for name in new])
    assert below(fs, target("").rstrip("/")) == dict(zip(new, names))
