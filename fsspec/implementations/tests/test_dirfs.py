"""A folder of another filesystem as a filesystem."""

import asyncio
import os
import pickle
import textwrap

import pytest

import fsspec
import fsspec.generic
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.tests.programs import FORKED, run
from fsspec.tests.wdictfs import WritableDictFileSystem

FILES = {"/r/one": b"1", "/r/sub/two": b"22", "/secret": b"s", "/rx/z": b"z"}


@pytest.fixture
def other(m):
    """The filesystem behind, with files beside the folder."""
    m.pipe(FILES)
    return m


@pytest.fixture
def fs(other):
    return DirFileSystem("/r", other)


def test_urls_of_its_own_are_paths(fs, other):
    """As they are everywhere: what is given out with the protocol is taken with it."""
    assert fs.cat("dir://sub/two") == fs.cat_file(fs.unstrip_protocol("sub/two")) == b"22"
    assert fs.ls("dir://", detail=False) == fs.glob("dir://*") == ["one", "sub"]
    assert fs.exists("dir://one") and fs.isdir("dir://sub/") and not fs.exists("dir://no")
    fs.pipe({"dir://new": b"3", "dir://deep/new": b"4"})
    fs.mv("dir://new", "dir://moved")
    fs.put(__file__, "dir://folder/test_dirfs.py")
    assert other.exists("/r/folder/test_dirfs.py")
    fs.rm(["dir://folder", "dir://s*"], recursive=True)
    assert fs.find("dir://") == ["deep/new", "moved", "one"]
    assert [p for p in other.find("") if "dir:" in p] == []


@pytest.mark.parametrize("path", ["pail/comb", "pail/comb/"])
def test_names_may_have_a_slash_in_front_or_not(path):
    store = WritableDictFileSystem({"pail/comb/honey": b"1", "pail/comb/wax/a": b"2"})
    fs = DirFileSystem(path, store)
    assert fs.ls("", detail=False) == fs.glob("*") == ["honey", "wax"]
    assert fs.find("") == ["honey", "wax/a"] and fs.info("")["name"] == "" and fs.cat("/wax/a") == b"2"
    assert fs._relpath("pail/comb/honey") == fs._relpath("/pail/comb/honey") == "honey"
    assert fs._relpath("pail/comb") == fs._relpath("/pail/comb/") == ""
    for other in ("pail/combs", "comb/honey", "/pail"):
        with pytest.raises(AssertionError, match="not below"):
            fs._relpath(other)


class Disk(AbstractFileSystem):
    """Absolute paths, and the ``root_marker`` that is inherited."""

    def ls(self, path, detail=True, **kwargs):
        entries = [{"name": e.path, "size": e.stat().st_size, "type": "file"} for e in os.scandir(path)]
        return entries if detail else [e["name"] for e in entries]

    def _open(self, path, mode="rb", **kwargs):
        return open(path, mode)


def test_the_slash_in_front_of_the_folder_stays(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    for other in (Disk(), DirFileSystem("", fsspec.filesystem("file"))):
        fs = DirFileSystem(str(tmp_path), other)
        assert fs.ls("", detail=False) == fs.find("") == fs.glob("*") == list(fs.get_mapper("")) == ["a"]
        assert fs.cat("a") == b"1" and fs.exists("/a")
        fs.pipe_file("b", b"2")
        assert (tmp_path / "b").read_bytes() == b"2"
        fs.rm("b") if other.protocol == "dir" else (tmp_path / "b").unlink()


class Bare(WritableDictFileSystem):
    """Names without a slash in front, which may be asked for with one, as of S3."""

    async def _ls(self, path, detail=True, **kwargs):
        return await super()._ls(path.lstrip("/"), detail=detail, **kwargs)


def test_patterns_below_a_folder_with_a_slash_match_names_without(m):
    store = Bare({"pail/comb/a": b"1", "pail/comb/d/b": b"2"})
    fs = DirFileSystem("/pail/comb", store)
    assert fs.glob("*") == ["a", "d"] and fs.glob("**/b") == fs.glob("d/*") == ["d/b"] and fs.glob("c*") == []
    assert fs.find("") == ["a", "d/b"] and fs.ls("", detail=False) == ["a", "d"]

    async def body():
        asynchronous = Bare({"pail/comb/a": b"1"}, asynchronous=True)
        return await DirFileSystem("/pail/comb", asynchronous, asynchronous=True)._glob("*")

    assert asyncio.run(body()) == ["a"]


class Short(fsspec.get_filesystem_class("memory")):
    """A filesystem that lists the last parts of names alone, as FTP does."""

    protocol = "short"

    def ls(self, path, detail=True, **kwargs):
        found = super().ls(path, detail, **kwargs)
        return found if detail else [name.rpartition("/")[2] for name in found]


@pytest.mark.parametrize("top", ["/", "/r", "/r/sub"])
def test_names_are_paths_whatever_the_other_lists(other, top):
    fs = DirFileSystem(top, Short())
    inside = "/r/sub".removeprefix(top.rstrip("/")).strip("/")
    assert fs.ls(inside, detail=False) == ["/r/sub/two" if top == "/" else f"{inside}/two".lstrip("/")]


def test_entries_are_the_default_of_ls(tmp_path):
    """Also where the other filesystem has names for a default."""
    (tmp_path / "a").write_bytes(b"1")
    fs = DirFileSystem(str(tmp_path), fsspec.filesystem("file"))
    assert [entry["size"] for entry in fs.ls("")] == [1]
    assert fs.ls("", False) == fs.ls("", detail=False) == fs.listdir("", detail=False) == ["a"]


# what is seen ------------------------------------------------------------------------
def test_paths_are_relative(fs):
    """In every shape that a result has."""
    assert fs.ls("", detail=False) == fs.ls("/", detail=False) == ["one", "sub"]
    assert [entry["name"] for entry in fs.ls("sub")] == ["sub/two"]
    assert fs.find("") == fs.glob("**/*o*") == ["one", "sub/two"]
    assert fs.find("", None, False, True)["one"]["name"] == "one"
    assert list(fs.walk("")) == [("", ["sub"], ["one"]), ("sub", [], ["two"])]
    assert fs.walk("", detail=True).__next__()[2]["one"]["name"] == "one"
    assert fs.info("one")["name"] == "one" and fs.info("")["name"] == ""
    assert fs.du("", False) == {"one": 1, "sub/two": 2} and fs.du("") == 3
    assert fs.cat(["one", "sub/two"]) == {"one": b"1", "sub/two": b"22"}
    assert fs.expand_path("*", recursive=True) == ["one", "sub", "sub/two"]
    assert fs.cat_ranges(["sub/two"], [0], [1]) == [b"2"]


def test_what_is_done_is_done_there(fs, other, tmp_path):
    """Below the folder, and nowhere else."""
    fs.pipe({"a": b"1", "b/c": b"2"})
    fs.mv("a", "d")
    fs.copy("b", "e", recursive=True)
    fs.put(__file__, "code.py")
    fs.get("sub", str(tmp_path / "got"), recursive=True)
    fs.write_text("text", "t")
    fs.touch("empty")
    fs.rm("one")
    wanted = {f"/r/{name}" for name in ("b/c", "code.py", "d", "e/c", "empty", "sub/two", "text")}
    assert set(other.find("")) == wanted | {"/rx/z", "/secret"}
    assert (tmp_path / "got/two").read_bytes() == b"22"
    with fs.open("sub/two", "r+b") as f:
        f.write(b"3")
    assert other.cat("/r/sub/two") == b"32"


@pytest.mark.parametrize("path", ["", "/", None])
def test_without_a_folder_everything_is_seen(other, path):
    """Without a folder everything is seen, by the names that it has there."""
    assert DirFileSystem(path, other).find("") == ["/r/one", "/r/sub/two", "/rx/z", "/secret"]


def test_a_mapper_over_the_top_of_the_other(other):
    mapper = DirFileSystem("/", other).get_mapper("r/")
    assert mapper.getitems(["one"]) == {"one": b"1"} and mapper.setdefault("one", b"2") == b"1"
    assert mapper.dirfs.find("") == ["one", "sub/two"]


@pytest.mark.parametrize("kind", [ValueError, AttributeError])
@pytest.mark.parametrize("make", [DirFileSystem, lambda: fsspec.open("dir://name")])
def test_of_nothing_it_is_an_error_that_says_what_to_give(make, kind):
    with pytest.raises(kind, match="dir://NAME::URL-OF-THE-FOLDER, or give path="):
        make()


def test_a_folder_of_a_folder_is_confined_to_the_inner_one(fs):
    """One in the other."""
    inner = DirFileSystem("sub", fs)
    assert inner.find("") == ["two"]
    with pytest.raises(ValueError, match="leads out"):
        inner.cat("../one")


@pytest.mark.parametrize("cache", ["filecache", "simplecache", "blockcache"])
def test_what_stands_on_a_folder_of_a_blocking_filesystem_blocks_as_well(fs, cache, tmp_path):
    """A folder can do what the filesystem behind it can, though its class has awaitable methods."""
    cached = fsspec.filesystem(cache, fs=fs, cache_storage=str(tmp_path / "cache"))
    assert cached.cat(["one", "sub/two"]) == {"one": b"1", "sub/two": b"22"}
    cached.get("sub", str(tmp_path / "copy"), recursive=True)
    assert (tmp_path / "copy" / "two").read_bytes() == b"22"
    of_parts = fsspec.filesystem("reference", fo={"a": ["sub/two", 1, 1], "b": ["one"]}, fs=fs)
    assert of_parts.cat(["a", "b"]) == {"a": b"2", "b": b"1"}


def test_a_folder_of_a_blocking_filesystem_is_copied_by_generic(fs, m, monkeypatch):
    monkeypatch.setitem(fsspec.generic._generic_fs, "dir", fs)
    monkeypatch.setitem(fsspec.generic._generic_fs, "memory", m)
    fsspec.generic.rsync("dir://sub", "memory://copy", inst_kwargs={"default_method": "generic"})
    assert m.cat("/copy/two") == b"22"


def test_slashes_at_the_ends_of_a_path(m):
    """They are no part of a name, also over a filesystem where they would be."""
    fs = DirFileSystem("r", m)
    fs.pipe({"/one": b"1", "two/": b"2"})
    assert fs.find("") == ["one", "two"] and fs.cat("/one") == fs.cat("one") == b"1"
    fs.copy("two", "three/")
    assert fs.isfile("three")


# what is refused ---------------------------------------------------------------------
CLIMBING = ["..", "../secret", "sub/../../secret", "/../secret", "a/../..", "../rx/z", "./../secret"]


@pytest.mark.parametrize("path", CLIMBING)
def test_no_path_leads_out(fs, other, path, tmp_path):
    """By no operation, alone or among others."""
    for act in (
        lambda: fs.cat(path),
        lambda: fs.cat(["one", path]),
        lambda: fs.cat(path=path),
        lambda: fs.cat_ranges([path], [0], [1]),
        lambda: fs.info(path),
        lambda: fs.exists(path),
        lambda: fs.find(path),
        lambda: list(fs.walk(path)),
        lambda: fs.glob(path + "/*"),
        lambda: fs.open(path, "wb"),
        lambda: fs.pipe({path: b"x"}),
        lambda: fs.write_text(path, "x"),
        lambda: fs.rm(path, recursive=True),
        lambda: fs.mv("one", path),
        lambda: fs.copy(path, "x"),
        lambda: fs.put(str(tmp_path), path, recursive=True),
        lambda: fs.get(path, str(tmp_path / "got"), recursive=True),
        lambda: fs.lexists(path),
    ):
        with pytest.raises(ValueError, match="leads out"):
            act()
    assert other.cat(other.find("")) == FILES
    assert list(tmp_path.iterdir()) == []


def test_a_renamed_folder_is_one_of_files_that_check_their_version(m):
    """As those of s3fs do."""
    from fsspec._spec.contents import checks_file_version

    other = type(m)(skip_instance_cache=True)
    other.local_expiry_check = True
    renamed = type("Renamed", (DirFileSystem,), {"protocol": ("own", "dir")})
    assert checks_file_version(renamed("/a", other)) and not checks_file_version(renamed("/a", m))


def test_dots_in_names_are_names(fs):
    """And those that stay within are the other's affair."""
    fs.pipe_file("a..b", b"1")
    fs.pipe_file("...", b"2")
    assert fs.cat("a..b") == b"1" and fs.cat("...") == b"2"


@pytest.mark.parametrize("path", ["nope", "memory://secret", "/secret", "sub/nope"])
def test_what_is_missing_in_the_folder_is_named(fs, path):
    """Absolute paths and URLs are names below the folder as well."""
    for act in (fs.cat, fs.info, fs.open):
        with pytest.raises(FileNotFoundError, match=path.strip("/")):
            act(path)
    assert not fs.exists(path)


def test_wrong_arguments_are_refused_as_of_any_function(fs, other):
    """As of any function; and of two worlds that do not go together."""
    with pytest.raises(TypeError, match="path"):
        fs.cat()
    with pytest.raises(TypeError):
        fs.exists("one", "two")
    with pytest.raises(ValueError, match="not awaitable"):
        DirFileSystem("/r", other, asynchronous=True)
    with pytest.raises(ValueError, match="both asynchronous"):
        DirFileSystem("r", WritableDictFileSystem({}, asynchronous=True))


# instances ---------------------------------------------------------------------------
def test_the_id_of_the_filesystem_is_the_others_and_the_folder():
    assert DirFileSystem("/r", fsspec.filesystem("file")).fsid == "local_/r"
    with pytest.raises(NotImplementedError):
        _ = DirFileSystem("/r", fsspec.filesystem("memory")).fsid


def test_one_folder_of_one_filesystem_is_one_instance(fs, other, tmp_path):
    """The same folder of the same filesystem is the same one; by options as well."""
    assert DirFileSystem("/r", other) is fs
    assert pickle.loads(pickle.dumps(fs)) is fs
    made = DirFileSystem(str(tmp_path), target_protocol="file", target_options={"auto_mkdir": True})
    made.pipe_file("a/b", b"1")
    assert (tmp_path / "a/b").read_bytes() == b"1"


def test_nothing_secret_is_shown(other):
    """Not the options of the other."""
    fs = DirFileSystem("/r", fsspec.filesystem("memory", password="hunter2"))
    assert "hunter2" not in repr(fs) and "/r" in repr(fs)


def test_a_folder_of_an_awaitable_filesystem_is_awaited():
    """Over an awaitable filesystem, in its loop."""

    async def body():
        fs = DirFileSystem("r", WritableDictFileSystem({"r/a/b": b"1"}, asynchronous=True), asynchronous=True)
        steps = [step async for step in fs._walk("")]
        with pytest.raises(ValueError, match="leads out"):
            await fs._cat_file("../x")
        return await fs._cat_file("a/b"), await fs._find(""), steps

    found = asyncio.run(body())
    assert found == (b"1", ["a/b"], [("", ["a"], []), ("a", [], ["b"])])


@pytest.mark.parametrize("opted", ["1", "0"])
def test_an_inherited_folder_works_where_its_filesystem_does(tmp_path, opted):
    """Over files of this machine it works; over what refuses, it refuses; after a reset it works."""
    (tmp_path / "one").write_bytes(b"1")
    run(
        f"""
        import fsspec
        from fsspec import asyn
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        from fsspec.tests.wdictfs import WritableDictFileSystem
        local = fsspec.filesystem("dir", path={str(tmp_path)!r})
        awaited = fsspec.filesystem("dir", path="r", fs=WritableDictFileSystem({{"r/a": b"1"}}))
        assert awaited.cat("a") == local.cat("one") == b"1"
        def use():
            for fs, path in ((local, "one"), (awaited, "a")):
                try:
                    assert fs.cat(path) == b"1"
                except ForkError:
                    assert {opted!r} == "0"
        def reset():
            asyn.reset_after_fork()
            assert awaited.cat("a") == local.cat("one") == b"1"
        for body in (use, reset, lambda: None):
            report = by_fork(body)
            assert report.problem() == "", report.problem()
            assert awaited.cat("a") == local.cat("one") == b"1"
        """,
        FSSPEC_FORK_RESET=opted,
    )


@pytest.mark.parametrize("name", ["copy", "get"])
def test_a_slash_alone_is_what_is_in_the_folder(m, name, tmp_path):
    """Not the folder by its name on the other filesystem."""
    m.pipe({"/base/a": b"a", "/base/sub/b": b"b"})
    m.mkdir("/base/there")
    fs = DirFileSystem("/base", m)
    if name == "copy":
        fs.copy("/", "there", recursive=True)
        assert fs.find("there") == ["there/a", "there/sub/b"]
    else:
        fs.get("/", str(tmp_path), recursive=True)
        assert (tmp_path / "a").read_bytes() == b"a" and (tmp_path / "sub" / "b").read_bytes() == b"b"


@pytest.mark.parametrize("opted", ["0", "1"])
def test_in_a_child_it_does_what_the_other_filesystem_does(opted, tmp_path):
    """It holds nothing of its process: over local files it needs no opt-in, over HTTP that one refuses."""
    (tmp_path / "x").write_bytes(b"abc")
    run(
        textwrap.dedent(FORKED)
        + textwrap.dedent("""
        import os, fsspec
        from fsspec.exceptions import ForkError
        from fsspec.implementations.memory import MemoryFileSystem

        class Connected(MemoryFileSystem):
            _fork_sensitive = True

        top, local = os.environ["FOLDER"], fsspec.filesystem("file")
        memory = fsspec.filesystem("memory")
        memory.pipe(top + "/x", b"abc")
        cache = fsspec.filesystem("simplecache", fs=local, cache_storage=top + "/cache")
        for other in (local, memory, cache, fsspec.filesystem("dir", path="/", fs=local)):
            fs = fsspec.filesystem("dir", path=top, fs=other)
            held, mapping = fs.open("x"), fs.get_mapper("")

            def use():
                assert fs.cat("x") == held.read() == mapping["x"] == b"abc"
                fs.pipe("y", b"1")
                assert fs.info("y")["size"] == 1
                held.seek(0)

            use()
            assert forked(use) == 0
            use()
        fs = fsspec.filesystem("dir", path=top, fs=Connected())
        assert fs.cat("x") == b"abc"

        def refused():
            for _ in range(2):
                try:
                    assert fs.cat("x") == b"abc" and os.environ["FSSPEC_FORK_RESET"] == "1"
                except ForkError as error:
                    assert os.environ["FSSPEC_FORK_RESET"] == "0" and "Connected" in str(error)

        assert forked(refused) == 0
        assert fs.cat("x") == b"abc"
        """),
        FSSPEC_FORK_RESET=opted,
        FOLDER=str(tmp_path),
    )
