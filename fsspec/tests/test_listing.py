"""walk, find and du, over blocking and awaitable backends."""

import asyncio
import errno

import pytest

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem, children

FILES = {
    "r/one": b"1",
    "r/two.txt": b"22",
    "r/sub/three": b"333",
    "r/sub/deep/four.txt": b"4444",
    "r/other/five": b"55555",
    "r/empty/": b"",
}
ALL = ["r/one", "r/other/five", "r/sub/deep/four.txt", "r/sub/three", "r/two.txt"]
FOLDERS = ["r", "r/empty", "r/other", "r/sub", "r/sub/deep"]


@pytest.fixture(params=[DictFileSystem, AsyncDictFileSystem])
def fs(request):
    return request.param(FILES)


def test_walk_is_depth_first_in_the_order_of_listings(fs):
    assert list(fs.walk("r")) == [
        ("r", ["sub", "other", "empty"], ["one", "two.txt"]),
        ("r/sub", ["deep"], ["three"]),
        ("r/sub/deep", [], ["four.txt"]),
        ("r/other", [], ["five"]),
        ("r/empty", [], []),
    ]


def test_walk_from_the_bottom_up(fs):
    assert [folder for folder, _, _ in fs.walk("r", topdown=False)] == [
        "r/sub/deep",
        "r/sub",
        "r/other",
        "r/empty",
        "r",
    ]


def test_walk_with_details(fs):
    folder, folders, files = next(iter(fs.walk("r", detail=True)))
    assert folders["sub"] == {"name": "r/sub", "size": 0, "type": "directory"}
    assert files["two.txt"]["size"] == 2


def test_walk_leaves_out_what_its_caller_removes(fs):
    seen = []
    for folder, folders, _ in fs.walk("r"):
        seen.append(folder)
        folders[:] = [name for name in folders if name != "sub"]
    assert seen == ["r", "r/other", "r/empty"]
    assert not [path for path in fs.asked if path.startswith("r/sub")]


def test_walk_with_details_leaves_out_what_its_caller_removes(fs):
    seen = []
    for folder, folders, _ in fs.walk("r", detail=True):
        seen.append(folder)
        folders.pop("sub", None)
    assert seen == ["r", "r/other", "r/empty"]


def test_walk_follows_names_that_its_caller_adds(fs):
    seen = []
    for folder, folders, _ in fs.walk("r"):
        seen.append(folder)
        if folder == "r":
            folders[:] = ["sub/deep"]
    assert seen == ["r", "r/sub/deep"]


@pytest.mark.parametrize("depth, count", [(1, 1), (2, 4), (3, 5), (9, 5)])
def test_walk_to_a_depth(fs, depth, count):
    assert len(list(fs.walk("r", maxdepth=depth))) == count
    assert len(fs.asked) == count


@pytest.mark.parametrize("method", ["walk", "find", "glob", "expand_path"])
def test_a_depth_below_one_is_refused(fs, method):
    with pytest.raises(ValueError, match="maxdepth"):
        list(getattr(fs, method)("r/*", maxdepth=0))


def test_walk_asks_only_for_what_is_looked_at():
    fs = DictFileSystem(FILES)
    walk = fs.walk("r")
    next(walk)
    assert fs.asked == ["r"]
    next(walk)
    assert fs.asked == ["r", "r/sub"]


def test_walk_of_a_file_gives_the_file_alone(fs):
    assert list(fs.walk("r/one")) == [("r/one", [], [""])]


def test_walk_of_a_missing_folder_is_empty_unless_errors_are_raised(fs):
    assert list(fs.walk("r/nope")) == ([("r/nope", [], [])] if fs.async_impl else [])
    assert list(fs.walk("r/nope", detail=True)) == ([("r/nope", {}, {})] if fs.async_impl else [])
    with pytest.raises(FileNotFoundError):
        list(fs.walk("r/nope", on_error="raise"))


class Guarded(DictFileSystem):
    """Some folders cannot be listed."""

    error: Exception = PermissionError("locked")

    def ls(self, path, detail=True, **kwargs):
        if path in ("r/sub/deep", "r/other"):
            raise self.error
        return super().ls(path, detail, **kwargs)


def test_errors_are_honoured_at_every_level():
    fs = Guarded(FILES)
    assert [folder for folder, _, _ in fs.walk("r")] == ["r", "r/sub", "r/empty"]
    reported = []
    list(fs.walk("r", on_error=reported.append))
    assert reported == [Guarded.error] * 2
    with pytest.raises(PermissionError):
        list(fs.walk("r", on_error="raise"))
    assert fs.find("r") == ["r/one", "r/sub/three", "r/two.txt"]


class GuardedWithoutOptions(Guarded):
    def ls(self, path, detail=True):
        return super().ls(path, detail)


def test_find_glob_and_du_take_the_options_of_walk_and_do_not_hand_them_to_ls():
    fs, reported = GuardedWithoutOptions(FILES), []
    jobs = [fs.find, fs.du, lambda path, **options: fs.glob(f"{path}/**", **options)]
    for job in jobs:
        for options in {"on_error": "omit"}, {"topdown": False}, {"on_error": reported.append}:
            assert job("r", **options) == job("r")
        assert reported == [Guarded.error] * 2
        reported.clear()
        with pytest.raises(PermissionError):
            job("r", on_error="raise")
    with pytest.raises(FileNotFoundError):
        fs.find("r/nope", on_error="raise")
    assert fs.glob("r/one", on_error="omit") == ["r/one"]


def test_other_errors_are_not_hidden():
    fs = Guarded(FILES)
    fs.error = ValueError("broken")
    for work in (lambda: list(fs.walk("r")), lambda: fs.find("r"), lambda: fs.glob("r/*/*")):
        with pytest.raises(ValueError, match="broken"):
            work()


class Hiding(DictFileSystem):
    """A backend whose walk keeps out of some folders."""

    def walk(self, path, **kwargs):
        if path != "r/sub":
            yield from super().walk(path, **kwargs)


class AsyncHiding(AsyncDictFileSystem):
    async def _walk(self, path, **kwargs):
        async for item in super()._walk(path, **kwargs):
            if not item[0].startswith("r/sub"):
                yield item


@pytest.mark.parametrize("kind", [Hiding, AsyncHiding])
def test_the_walk_of_a_backend_is_what_everything_stands_on(kind):
    fs = kind(FILES)
    assert [folder for folder, _, _ in fs.walk("r")] == ["r", "r/other", "r/empty"]
    assert [folder for folder, _, _ in fs.walk("r", topdown=False)] == ["r/other", "r/empty", "r"]
    assert [folder for folder, _, _ in fs.walk("r", maxdepth=1)] == ["r"]
    assert fs.find("r") == ["r/one", "r/other/five", "r/two.txt"]
    assert "r/sub/three" not in fs.find("r") + fs.glob("r/**/*e*") + fs.expand_path("r", recursive=True)
    assert fs.du("r") == 8
    pruned = fs.walk("r")
    folders = next(pruned)[1]
    folders.remove("other")
    assert [folder for folder, _, _ in pruned] == ["r/empty"]


class Rooted(DictFileSystem):
    """Its root has a name."""

    root_marker = "/"
    info = AbstractFileSystem.info

    def ls(self, path, detail=True, **kwargs):
        found = children(self.files, path.strip("/"))
        return found if detail else [entry["name"] for entry in found]


def test_a_root_with_a_name_is_found_like_other_folders():
    assert Rooted(FILES).info("/")["name"] == ""
    assert Rooted(FILES).find("/", withdirs=True, maxdepth=1) == ["/", "r"]
    assert Rooted(FILES).glob("**/")[0] == "/"
    assert Rooted(FILES).glob("[!x]*") == ["r"]  # not itself


OPEN_ERRORS = [OSError(5, "broken"), ConnectionResetError("reset"), TimeoutError("stalled")]


@pytest.mark.parametrize("error", OPEN_ERRORS, ids=lambda error: type(error).__name__)
def test_a_folder_that_cannot_be_listed_for_now_is_not_taken_for_an_empty_one(error, tmp_path):
    fs = Guarded(FILES)
    fs.error = error
    jobs = [
        lambda: list(fs.walk("r")),
        lambda: fs.find("r"),
        lambda: fs.find("r", withdirs=True, detail=True),
        lambda: fs.find("r/other"),
        lambda: fs.du("r"),
        lambda: fs.glob("r/*/*"),
        lambda: fs.glob("r/other/f*"),
        lambda: fs.expand_path("r", recursive=True),
        lambda: fs.cat("r/*/*"),
        lambda: fs.cat("r", recursive=True),
        lambda: fs.get("r", str(tmp_path), recursive=True),
        lambda: fs.copy("r", "t", recursive=True),
        lambda: fs.rm("r", recursive=True),
    ]
    for job in jobs:
        with pytest.raises(type(error), match=str(error.args[-1])):
            job()
    assert set(fs.files) == set(FILES) and list(tmp_path.iterdir()) == []
    reported = []
    assert [folder for folder, _, _ in fs.walk("r", on_error=reported.append)] == ["r", "r/sub", "r/empty"]
    assert reported == [error] * 2
    for omitting in fs, OfAnotherDefault(fs):
        assert [folder for folder, _, _ in omitting.walk("r", on_error="omit")] == ["r", "r/sub", "r/empty"]


class OfAnotherDefault(Guarded):
    def __init__(self, other):
        super().__init__(other.files)
        self.error = other.error

    def walk(self, path, maxdepth=None, topdown=True, on_error="raise", **kwargs):
        return super().walk(path, maxdepth, topdown, on_error, **kwargs)


@pytest.mark.parametrize("code", [errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP])
def test_what_cannot_be_there_is_left_out(code):
    fs = Guarded(FILES)
    fs.error = OSError(code, "no such thing")
    assert fs.find("r") == ["r/one", "r/sub/three", "r/two.txt"]
    assert fs.glob("r/other/*") == []


class Unasked(DictFileSystem):
    """Nothing is known of one file."""

    def info(self, path, **kwargs):
        if path == "r/one":
            raise OSError(5, "broken")
        return super().info(path, **kwargs)


def test_a_file_of_which_nothing_is_known_is_not_taken_for_missing(tmp_path):
    fs = Unasked(FILES)
    assert not fs.exists("r/one") and not fs.isfile("r/one") and not fs.isdir("r/one")
    (tmp_path / "new").write_bytes(b"new")
    jobs = [
        lambda: fs.pipe_file("r/one", b"new", mode="create"),
        lambda: fs.put_file(str(tmp_path / "new"), "r/one", mode="create"),
        lambda: fs.touch("r/one", truncate=False),
        lambda: fs.put(str(tmp_path / "new"), "r/one"),
        lambda: fs.copy("r/two.txt", "r/one"),
        lambda: fs.glob("r/one"),
    ]
    for job in jobs:
        with pytest.raises(OSError, match="broken"):
            job()
    assert fs.files == FILES


FAULTS = {
    "unavailable": {"status": 503},
    "too many requests": {"status": 429},
    "forbidden": {"status": 403},
    "reset": {"drop_after": 10},
    "cut": {"truncate": 10},
    "stalled": {"delay": 30},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_page_that_fails_is_no_empty_folder(fault, http_server, tmp_path):
    aiohttp = pytest.importorskip("aiohttp")
    from fsspec.generic import GenericFileSystem, rsync

    page = {"Content-Type": "text/html"}
    http_server.files["/top"] = http_server.files["/top/"] = (
        b'<a href="/top/one">1</a> <a href="/top/sub/">2</a>'
    )
    http_server.files["/top/sub"] = b'<a href="/top/sub/two">2</a>'
    http_server.fault("/top", headers=page)
    http_server.fault("/top/sub", headers=page)
    http_server.files["/top/one"] = http_server.files["/top/sub/two"] = b"data"
    url = f"{http_server.url}/top"
    timeout = aiohttp.ClientTimeout(total=2)
    options = {"client_kwargs": {"timeout": timeout}}
    fs = fsspec.filesystem("http", **options)
    both = GenericFileSystem(default_method="options", storage_options={"http": options, "file": {}})
    local = tmp_path / "copy"
    rsync(url, local.as_uri(), fs=both)
    http_server.fault("/top/sub", headers=page, **fault)
    jobs = [
        lambda: fs.find(url),
        lambda: list(fs.walk(url)),
        lambda: fs.glob(f"{url}/*/*"),
        lambda: fs.expand_path(url, recursive=True),
        lambda: fs.cat(f"{url}/*/*"),
        lambda: fs.get(url, str(tmp_path / "got"), recursive=True),
        lambda: rsync(url, local.as_uri(), delete_missing=True, fs=both),
    ]
    if "delay" in fault:  # each waits for the timeout
        jobs = jobs[:1]
    for job in jobs:
        with pytest.raises((OSError, aiohttp.ClientError, asyncio.TimeoutError)):
            job()
    assert (local / "sub" / "two").read_bytes() == b"data"


def test_find_gives_everything_below_a_path(fs):
    assert fs.find("r") == ALL
    assert fs.find("r", withdirs=True) == sorted(ALL + FOLDERS)
    assert fs.find("r", maxdepth=1) == ["r/one", "r/two.txt"]
    assert fs.find("r", maxdepth=1, withdirs=True) == [
        "r",
        "r/empty",
        "r/one",
        "r/other",
        "r/sub",
        "r/two.txt",
    ]
    assert fs.find("r/one") == ["r/one"]
    assert fs.find("r/one", withdirs=True) == ["r/one"]
    assert fs.find("r/nope") == []
    assert fs.find("r/nope", withdirs=True) == []
    assert fs.find("") == ALL
    assert fs.find("", withdirs=True) == sorted(ALL + FOLDERS)


def test_find_with_details(fs):
    found = fs.find("r/sub", detail=True, withdirs=True)
    assert list(found) == ["r/sub", "r/sub/deep", "r/sub/deep/four.txt", "r/sub/three"]
    assert found["r/sub"]["type"] == "directory"
    assert found["r/sub/three"] == {"name": "r/sub/three", "size": 3, "type": "file"}


def test_find_lists_each_folder_once(fs):
    fs.find("r")
    assert sorted(fs.asked) == sorted(FOLDERS)


def test_awaitable_levels_are_listed_together():
    fs = AsyncDictFileSystem({f"r/{a}/{b}/f": b"" for a in range(5) for b in range(4)})
    assert len(fs.find("r")) == 20
    assert fs.most_at_once == 20


def test_awaitable_walk_asks_ahead_but_not_twice():
    fs = AsyncDictFileSystem({f"r/{a}/{b}/f": b"" for a in range(5) for b in range(4)})
    folders = [folder for folder, _, _ in fs.walk("r")]
    assert folders == [folder for folder, _, _ in DictFileSystem(fs.files).walk("r")]
    assert sorted(fs.asked) == sorted(folders)
    assert fs.most_at_once >= 5


def test_awaitable_walk_asks_ahead_for_no_more_than_its_caller_has_seen():
    fs = AsyncDictFileSystem({f"r/{a}/{b}/{c}/f": b"" for a in "abcd" for b in "abcd" for c in "abcd"})
    walk = fs.walk("r")
    for seen in range(1, 30):
        next(walk)
        # those seen, the other folders in the same folders, and as many again
        assert len(fs.asked) <= 2 * seen + 4 * 3


def test_awaitable_walk_stops_asking_ahead_where_folders_are_left_out():
    fs = AsyncDictFileSystem({f"r/{a}/{b}/{c}/f": b"" for a in "abcd" for b in "abcd" for c in "abcd"})
    seen = []
    for folder, folders, _ in fs.walk("r"):
        seen.append(folder)
        if folder != "r":
            folders.clear()
    assert sorted(fs.asked) == sorted(seen)


class Marked(DictFileSystem):
    """Folders contain themselves and end in a slash, as in object stores."""

    def ls(self, path, detail=True, **kwargs):
        entries = super().ls(path, True, **kwargs)
        for entry in entries:
            if entry["type"] == "directory":
                entry["name"] += "/"
        if path and path not in self.files:
            entries.append({"name": f"{path}/", "size": 0, "type": "directory"})
        return entries if detail else [entry["name"] for entry in entries]


def test_a_folder_that_contains_itself_is_not_walked_again():
    fs = Marked(FILES)
    assert [folder for folder, _, _ in fs.walk("r")] == ["r", "r/sub", "r/sub/deep", "r/other", "r/empty"]
    assert [path for path in fs.find("r") if not path.endswith("/")] == ALL


class Silent(DictFileSystem):
    """The listing of a file is empty."""

    def ls(self, path, detail=True, **kwargs):
        return [] if path in self.files else super().ls(path, detail, **kwargs)


def test_a_file_whose_listing_is_empty_finds_itself():
    fs = Silent(FILES)
    assert fs.find("r/one") == ["r/one"]
    assert fs.find("r/one", detail=True) == fs.find("r/one", detail=True, withdirs=True) == {"r/one": {}}
    assert fs.find("r/one", withdirs=True) == ["r/one"]
    assert fs.du("r/one") == 1


class Walker(DictFileSystem):
    """A backend with a walk of its own."""

    def walk(self, path, maxdepth=None, topdown=True, on_error="omit", **kwargs):
        assert kwargs.pop("detail")
        yield path, {"d": {"name": "w/d", "type": "directory"}}, {"f": {"name": "w/f", "type": "file"}}


def test_find_uses_the_backends_own_walk():
    fs = Walker(FILES)
    assert fs.find("w") == ["w/f"]
    assert fs.find("w", withdirs=True) == ["w/d", "w/f"]
    assert fs.asked == ["", "w"]  # for the entry of the folder itself


def test_options_reach_the_listings():
    class Fresh(DictFileSystem):
        def ls(self, path, detail=True, refresh=False, **kwargs):
            assert refresh
            return super().ls(path, detail)

    fs = Fresh(FILES)
    assert fs.find("r", refresh=True) == ALL
    assert len(list(fs.walk("r", refresh=True))) == 5
    assert fs.glob("r/*.txt", refresh=True) == ["r/two.txt"]
    assert fs.du("r", refresh=True) == 15


def test_du_adds_up_sizes(fs):
    assert fs.du("r") == 15
    assert fs.du("r", maxdepth=1) == 3
    assert fs.du("r/one") == 1
    assert fs.du("r/nope") == 0
    assert fs.du("r/sub", total=False) == {"r/sub/deep/four.txt": 4, "r/sub/three": 3}
    assert fs.du("r/sub", total=False, withdirs=True) == {
        "r/sub": 0,
        "r/sub/deep": 0,
        "r/sub/deep/four.txt": 4,
        "r/sub/three": 3,
    }
    assert fs.disk_usage("r", maxdepth=1) == 3


def test_du_names_what_it_is_told_by_the_name_in_its_entry():
    class Slashes(AsyncDictFileSystem):
        """Takes a path with a slash in front, which its listings do not have."""

        async def _info(self, path, **kwargs):
            return await super()._info(path.lstrip("/"), **kwargs)

        async def _ls(self, path, detail=True, **kwargs):
            return await super()._ls(path.lstrip("/"), detail, **kwargs)

    fs = Slashes({"r/sub/deep/four.txt": b"4444"})
    assert fs.du("/r/sub/deep", total=False, withdirs=True) == {"r/sub/deep": 0, "r/sub/deep/four.txt": 4}


def test_du_asks_for_no_more_than_listings(fs):
    fs.du("r")
    assert sorted(fs.asked) == sorted(FOLDERS)


def test_du_counts_what_it_does_not_know_as_nothing():
    class Vague(DictFileSystem):
        def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
            return ["r/one", "r/two.txt"]

        def info(self, path, **kwargs):
            return {"name": path, "type": "file", "size": None if path == "r/one" else 2}

    assert Vague().du("r") == 2
    assert Vague().du("r", total=False) == {"r/one": None, "r/two.txt": 2}


class Remembering(AbstractFileSystem):
    """Knows of a folder, once it is listed, without asking again; as object stores do."""

    protocol = "remembering"
    cachable = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asked = []
        self.known = set()

    def ls(self, path, detail=True, **kwargs):
        self.asked.append(f"ls {path}")
        if path not in ("d", "d/sub"):
            raise FileNotFoundError(path)
        self.known.add(path)
        inside = {"d": [("d/f", "file"), ("d/sub", "directory")], "d/sub": [("d/sub/g", "file")]}[path]
        return [{"name": name, "size": 1, "type": kind} for name, kind in inside]

    def info(self, path, **kwargs):
        if path not in self.known:
            self.asked.append(f"info {path}")
            if path != "d":
                raise FileNotFoundError(path)
        return {"name": path, "size": 0, "type": "directory"}


def test_a_folder_is_asked_for_itself_after_its_listing():
    """Which told of it already, so that it costs no request."""
    fs = Remembering()
    assert fs.find("d", maxdepth=1, withdirs=True) == ["d", "d/f", "d/sub"]
    assert fs.asked == ["ls d"]
    fs = Remembering()
    assert fs.glob("d/s*") == ["d/sub"]
    assert fs.asked == ["ls d"]
    fs = Remembering()
    assert fs.find("missing", withdirs=True) == []
    assert fs.asked[0] == "ls missing" and fs.asked.count("info missing") <= 1


def answers(fs, path):
    """What is said of a path, errors by their class."""
    found = []
    for name in ("exists", "isfile", "isdir", "glob", "expand_path"):
        try:
            found.append(getattr(fs, name)(path, **({"recursive": True} if name == "expand_path" else {})))
        except Exception as error:
            found.append(type(error))
    return found


class Unreachable(AbstractFileSystem):
    """A blocking filesystem whose server does not answer."""

    protocol = "unreachable"
    cachable = False

    def info(self, path, **kwargs):
        raise OSError(errno.EIO, "no answer", path)

    def ls(self, path, detail=True, **kwargs):
        raise OSError(errno.EIO, "no answer", path)

    def put_file(self, *args, **kwargs):
        raise AssertionError("something may be there")


class UnreachableAwaited(AsyncFileSystem):
    """Its awaitable form."""

    protocol = "unreachable-awaited"
    cachable = False

    async def _info(self, path, **kwargs):
        raise OSError(errno.EIO, "no answer", path)

    async def _ls(self, path, detail=True, **kwargs):
        raise OSError(errno.EIO, "no answer", path)


@pytest.mark.parametrize("around", [None, "dir", "simplecache", "filecache", "blockcache", "asyncwrapper"])
@pytest.mark.parametrize("target", [Unreachable, UnreachableAwaited])
def test_what_does_not_answer_is_not_taken_for_absent(target, around, tmp_path):
    """Where False is all that exists and isfile have ever said, nothing is concluded from it."""
    if around == "asyncwrapper" and target is UnreachableAwaited:
        pytest.skip("it wraps blocking ones")
    fs, path = target(), "r/one"
    if around == "dir":
        fs, path = fsspec.filesystem("dir", fs=fs, path="r"), "one"
    elif around == "asyncwrapper":
        fs = fsspec.filesystem("asyncwrapper", fs=fs)
    elif around is not None:
        fs = fsspec.filesystem(around, fs=fs, cache_storage=str(tmp_path))
    exists = OSError if target is UnreachableAwaited else False
    assert answers(fs, path) == [exists, False, False, OSError, OSError]
    if around in ("simplecache", "filecache"):
        with pytest.raises(OSError, match="no answer"):
            fs.pipe_file(path, b"", mode="create")
        with pytest.raises(OSError, match="no answer"):
            fs.open(path, "xb")


class SlashedDictFileSystem(DictFileSystem):
    """Takes names with a slash in front, and gives them without."""

    def ls(self, path, detail=True, **kwargs):
        return super().ls(path.lstrip("/"), detail, **kwargs)

    def info(self, path, **kwargs):
        return super().info(path.lstrip("/"), **kwargs)


def test_a_file_that_is_listed_by_another_name_is_found_once():
    fs = SlashedDictFileSystem(FILES)
    assert fs.find("/r/one", withdirs=True) == ["r/one"]
    assert fs.find("/r/sub", withdirs=True) == ["/r/sub", "r/sub/deep", "r/sub/deep/four.txt", "r/sub/three"]


def test_a_class_that_knows_files_is_asked_for_no_entry_of_what_is_missing():
    class Knows(DictFileSystem):
        def isfile(self, path):
            return path in self.files

        def info(self, path, **kwargs):
            assert path in self.files, "nobody need ask"
            return super().info(path, **kwargs)

    fs = Knows({"r/a": b"1"})
    assert fs.du("r/none") == 0 and fs.find("r/a", detail=True).keys() == {"r/a"}


class FindsByPath(DictFileSystem):
    def find(self, path):
        return super().find(path)


class FindsWithoutDetail(DictFileSystem):
    def find(self, path, maxdepth=None, withdirs=False):
        return super().find(path, maxdepth, withdirs)


class FindsByPathAwaiting(AsyncDictFileSystem):
    async def _find(self, path):
        return await super()._find(path)


@pytest.mark.parametrize("kind", [FindsByPath, FindsWithoutDetail, FindsByPathAwaiting])
def test_a_find_that_takes_few_options(kind):
    fs = kind({"r/one": b"1", "r/sub/two": b"22"})
    assert fs.du("r") == 3
    assert fs.du("r", total=False) == {"r/one": 1, "r/sub/two": 2}
    assert set(fs.expand_path("r", recursive=True)) >= {"r", "r/one", "r/sub/two"}
    if kind is not FindsWithoutDetail:  # a limit is not passed over
        for limited in (lambda: fs.du("r", maxdepth=1), lambda: fs.expand_path("r", True, maxdepth=1)):
            with pytest.raises(TypeError, match="maxdepth"):
                limited()
