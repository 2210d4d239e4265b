"""What subclasses, instances and patches put in the place of a method is what programs meet."""

import asyncio
import functools
import inspect
import shutil
import zipfile
from contextlib import suppress
from unittest.mock import MagicMock, patch

import pytest

import fsspec
from fsspec import asyn, generic
from fsspec._overriding import default, is_default, mirrored, replaced_without, supported
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.cached import CachingFileSystem, SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.reference import ReferenceFileSystem
from fsspec.implementations.sftp import SFTPFileSystem
from fsspec.implementations.smb import SMBFileSystem
from fsspec.implementations.zip import ZipFileSystem
from fsspec.registry import get_filesystem_class, known_implementations
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import AsyncDictFileSystem, DictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem


class Swapped:
    """A file whose bytes are kept with upper and lower case exchanged, as a backend that encrypts has one."""

    def __init__(self, f):
        self.f = f

    def read(self, *args):
        return self.f.read(*args).swapcase()

    def write(self, data):
        return self.f.write(bytes(data).swapcase())

    def __getattr__(self, name):
        return getattr(self.f, name)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.f.close()


def swapping(cls):
    class Swapping(cls):
        cachable = False

        def _open(self, path, mode="rb", **kwargs):
            return Swapped(super()._open(path, mode=mode, **kwargs))

    return Swapping


def swapping_open(cls):
    class Swapping(cls):
        cachable = False

        def open(self, path, mode="rb", **kwargs):
            return Swapped(super().open(path, mode=mode, **kwargs))

    return Swapping


def over_local(cls):
    if issubclass(cls, CachingFileSystem):
        return cls(fs=fsspec.filesystem("file"))
    return cls()


KINDS = [LocalFileSystem, CachingFileSystem, WholeFileCacheFileSystem, SimpleCacheFileSystem]


@pytest.mark.parametrize("derive", [swapping, swapping_open])
@pytest.mark.parametrize("cls", KINDS)
def test_contents_come_from_an_overridden_open(cls, derive, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"Some text")
    fs, a = over_local(derive(cls)), path.as_posix()
    assert fs.cat_file(a) == b"sOME TEXT"
    assert fs.cat_file(a, 1, 3) == b"OM"
    assert fs.cat_ranges([a, a], [0, 1], [2, 3]) == [b"sO", b"OM"]
    assert fs.head(a, 4) == b"sOME"
    # caches leave it to the target, as upstream's
    assert fs.read_bytes(a) == (b"sOME TEXT" if cls is LocalFileSystem else b"Some text")


@pytest.mark.parametrize("derive", [swapping, swapping_open])
@pytest.mark.parametrize("cls", KINDS)
def test_contents_go_through_an_open_of_its_own(cls, derive, tmp_path):
    fs = over_local(derive(cls))
    fs.pipe_file((tmp_path / "a").as_posix(), b"Some text")
    fs.pipe({(tmp_path / "b").as_posix(): b"Text"})
    assert (tmp_path / "a").read_bytes() == b"sOME TEXT"
    assert (tmp_path / "b").read_bytes() == b"tEXT"


@pytest.mark.parametrize("name", ["open", "_open"])
def test_memory_hands_what_is_piped_to_an_open_of_its_own(name):
    """Which is kept as it is, so that what is read past that method is what was piped."""
    asked = []

    class Asked(MemoryFileSystem):
        cachable = False

    def method(self, path, mode="rb", **kwargs):
        asked.append((path, mode, kwargs["data"]))
        return Swapped(getattr(super(Asked, self), name)(path, mode=mode, **kwargs))

    setattr(Asked, name, method)
    fs = Asked(global_store=False)
    fs.pipe_file("/a", b"Some text")
    fs.get_mapper("/")["b"] = b"more"
    fs.pipe_file("/c", b"new", mode="create")
    assert asked == [("/a", "wb", b"Some text"), ("/b", "wb", b"more"), ("/c", "xb", b"new")]
    assert fs.cat(["/a", "/b"]) == {"/a": b"Some text", "/b": b"more"}


def test_remote_contents_go_through_an_open_of_its_own(ftp_server, sftp_server, smb_server, tmp_path):
    (tmp_path / "local").write_bytes(b"Some text")
    ftp = swapping(FTPFileSystem)(**ftp_server.options)
    ftp.pipe_file("/piped", b"Some text")
    ftp.put_file(str(tmp_path / "local"), "/put")
    plain = FTPFileSystem(**ftp_server.options)
    assert plain.cat(["/piped", "/put"]) == dict.fromkeys(["/piped", "/put"], b"sOME TEXT")
    assert ftp.cat_file("/piped", 5, None) == b"text"

    SFTPFileSystem(**sftp_server.options).pipe_file("/a", b"Some text")
    sftp = swapping(SFTPFileSystem)(**sftp_server.options)
    assert sftp.cat_file("/a", 5, None) == b"TEXT"
    sftp.put_file(str(tmp_path / "local"), "/put")  # past `_open`, as what gets it
    sftp.get_file("/put", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"Some text"

    SMBFileSystem(**smb_server.options).pipe_file("/SHARE/a", b"Some text")
    swapping(SMBFileSystem)(**smb_server.options).get_file("/SHARE/a", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"sOME TEXT"


@pytest.mark.parametrize("cls", [LocalFileSystem, MemoryFileSystem, *KINDS[1:]])
def test_exists_asks_an_overridden_info(cls, tmp_path):
    class Alias(cls):
        cachable = False

        def info(self, path, **kwargs):
            return super().info(path.replace("alias", "real"), **kwargs)

    fs, base = over_local(Alias), tmp_path.as_posix()
    fs.makedirs(f"{base}/real", exist_ok=True)
    assert fs.exists(f"{base}/alias") and not fs.exists(f"{base}/other")
    if cls is not LocalFileSystem:  # upstream's asks the system
        assert fs.isdir(f"{base}/alias") and not fs.isdir(f"{base}/other")
    if cls is MemoryFileSystem:
        fs.rm(base, recursive=True)


@pytest.mark.parametrize("name", ["rm_file", "_rm"])
def test_memory_removes_by_a_method_of_its_own(name):
    class Guarded(MemoryFileSystem):
        cachable = False

    def refuse(self, path):
        raise PermissionError(path)

    setattr(Guarded, name, refuse)
    fs = Guarded(global_store=False)
    fs.pipe("/a/b", b"1")
    for recursive in (False, True):
        with pytest.raises(PermissionError):
            fs.rm("/a" if recursive else "/a/b", recursive=recursive)
    assert fs.cat("/a/b") == b"1"


@pytest.mark.parametrize("name", ["rm_file", "_rm"])
def test_ftp_removes_by_a_method_of_its_own(name, ftp_server):
    class Guarded(FTPFileSystem):
        cachable = False

    def refuse(self, path):
        raise PermissionError(path)

    setattr(Guarded, name, refuse)
    fs = Guarded(**ftp_server.options)
    fs.mkdir("/d")
    fs.pipe_file("/d/a", b"1")
    for path, recursive in (("/d/a", False), (["/d/a"], False), ("/d", True)):
        with pytest.raises(PermissionError):
            fs.rm(path, recursive=recursive)
    assert fs.cat_file("/d/a") == b"1"


def test_entries_over_ftp_are_those_of_an_overridden_ls(ftp_server):
    class Repaired(FTPFileSystem):
        cachable = False

        def ls(self, path, detail=True, **kwargs):
            entries = [{**e, "size": 7} for e in super().ls(path, detail=True, **kwargs)]
            return entries if detail else [e["name"] for e in entries]

    fs = Repaired(**ftp_server.options)
    fs.pipe_file("/a", b"1")
    assert fs.info("/a")["size"] == fs.size("/a") == 7
    assert fs.exists("/a") and fs.isfile("/a") and not fs.exists("/none")


def test_a_folder_is_made_by_makedirs_of_its_own(tmp_path):
    made = []

    class Recording(LocalFileSystem):
        cachable = False

        def makedirs(self, path, exist_ok=False):
            made.append(path)
            super().makedirs(path, exist_ok=exist_ok)

    Recording().mkdir((tmp_path / "a/b").as_posix())
    assert made == [(tmp_path / "a/b").as_posix()]


@pytest.mark.parametrize("where", ["class", "instance"])
def test_patches_are_seen(where, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"1")
    fs = LocalFileSystem(skip_instance_cache=True)
    real = LocalFileSystem._open
    asked = []

    def recording(*args, **kwargs):
        asked.append(args)
        return real(*args, **kwargs) if where == "class" else real(fs, *args, **kwargs)

    monkeypatch.setattr(LocalFileSystem if where == "class" else fs, "_open", recording)
    assert fs.cat((tmp_path / "a").as_posix()) == b"1"
    with fs.open((tmp_path / "a").as_posix()) as f:
        assert f.read() == b"1"
    assert len(asked) == 2


def decorated(asked):
    """A decorator as programs have them: with `functools.wraps`, which copies attributes."""

    def decorate(method):
        @functools.wraps(method)
        def wrapper(self, *args, **kwargs):
            asked.append(method.__name__)
            return method(self, *args, **kwargs)

        return wrapper

    return decorate


@pytest.mark.parametrize("name", ["find", "walk"])
@pytest.mark.parametrize("base", [DictFileSystem, LocalFileSystem])
def test_a_decorated_method_of_the_base_class_is_one_of_its_own(base, name, tmp_path):
    asked = []
    decorate = decorated(asked)
    cls = type("Decorated", (base,), {name: decorate(getattr(base, name)), "cachable": False})
    fs = cls()
    fs.pipe_file(f"{tmp_path.as_posix()}/a", b"1")
    assert fs.glob(f"{tmp_path.as_posix()}/*") == [f"{tmp_path.as_posix()}/a"]
    assert asked == [name]


def test_a_decorated_blocking_form_is_one_of_its_own():
    asked = []

    class Awaited(AsyncFileSystem):
        cachable = False

        async def _info(self, path, **kwargs):
            return {"name": path, "size": 1, "type": "file"}

    class Decorated(Awaited):
        info = decorated(asked)(Awaited.info)

    assert mirrored(Awaited.info) == "_info" and mirrored(Decorated.info) is None
    assert Decorated().info("a")["size"] == 1
    assert asked == ["info"]


def test_marks_are_of_the_function_they_were_put_on():
    @default
    def method():
        pass

    @functools.wraps(method)
    def around():
        pass

    assert is_default(method) and not is_default(around) and not is_default(None)
    assert is_default(AbstractFileSystem.find) and not is_default(DictFileSystem._open)


@pytest.mark.parametrize("direction", ["get", "put"])
def test_transfers_count_by_a_wrap_of_the_callback(direction, tmp_path):
    class Bar(Callback):
        def wrap(self, iterable):
            for item in iterable:
                seen.append(item)
                yield item

    seen, callback = [], Bar()
    fs = MemoryFileSystem(global_store=False)
    fs.pipe({"/from/a": b"1", "/from/b": b"2"})
    if direction == "get":
        fs.get("/from/", f"{tmp_path}/", recursive=True, callback=callback)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    else:
        (tmp_path / "c").write_bytes(b"3")
        fs.put(f"{tmp_path}/c", "/c", callback=callback)
        assert fs.cat("/c") == b"3"
    assert len(seen) == callback.size >= 1
    assert callback.value == 0


# keywords that upstream does not pass ----------------------------------------------
FILES = {"r/x": b"0123456789" * 10, "r/s/y": b"yy"}


class Ranges(AsyncDictFileSystem):
    async def _cat_ranges(self, paths, starts, ends):
        return [self.files.get(p, KeyError(p))[a:b] for p, a, b in zip(paths, starts, ends)]


class JoiningRanges(AsyncDictFileSystem):
    async def _cat_ranges(self, paths, starts, ends, max_gap=None, batch_size=None):
        return await super()._cat_ranges(paths, starts, ends, max_gap, batch_size)


class BlockingForm(AsyncDictFileSystem):
    def cat_ranges(self, paths, starts, ends):
        return [self.files[p][a:b] for p, a, b in zip(paths, starts, ends)]


class BlockingRanges(DictFileSystem):
    def cat_ranges(self, paths, starts, ends, max_gap=None):
        return super().cat_ranges(paths, starts, ends, max_gap)


class Opening(DictFileSystem):
    def open(self, path, mode="rb", block_size=None):
        return self._open(path, mode, block_size)


class OpeningItself(DictFileSystem):
    def _open(self, path, mode="rb", block_size=None, autocommit=True, cache_options=None):
        return super()._open(path, mode, block_size, autocommit, cache_options)


NARROW = [Ranges, JoiningRanges, BlockingForm, BlockingRanges, Opening, OpeningItself]


@pytest.mark.parametrize("cls", NARROW)
def test_blocks_of_backends_with_fewer_parameters(cls, tmp_path):
    for number, target in enumerate((cls(FILES), DirFileSystem(path="r", fs=cls(FILES)))):
        fs = CachingFileSystem(fs=target, cache_storage=str(tmp_path / str(number)))
        path = "x" if number else "r/x"
        with fs.open(path) as f:
            assert f.read(5) == b"01234"
        assert fs.cat_file(path, 2, 4) == b"23" and fs.cat(path) == FILES["r/x"]


def test_answers_that_are_errors_are_raised_though_they_cannot_be_asked_for(tmp_path):
    class Gone(AsyncDictFileSystem):
        async def _cat_ranges(self, paths, starts, ends):
            return [PermissionError(path) for path in paths]

    fs = CachingFileSystem(fs=Gone(FILES), cache_storage=str(tmp_path / "cache"))
    with fs.open("r/x") as f, pytest.raises(PermissionError, match="r/x"):
        f.read()
    with pytest.raises(PermissionError, match="r/x"):
        asyncio.run(fs._cat_file("r/x"))


def test_references_into_backends_with_fewer_parameters(tmp_path):
    class Few(BlockingRanges):
        def get_file(self, rpath, lpath):
            super().get_file(rpath, lpath)

    for cls in (Few, Ranges):
        references = {"a": ["r/x", 0, 3], "b": ["r/x", 5, 4], "c": ["r/s/y"]}
        fs = ReferenceFileSystem(references, fs=cls(FILES), skip_instance_cache=True)
        assert fs.cat(["a", "b", "c"]) == {"a": b"012", "b": b"5678", "c": b"yy"}
        if cls is Few:
            fs.get("", (tmp_path / "x").as_posix(), recursive=True)
            assert (tmp_path / "x" / "c").read_bytes() == b"yy"


def test_parameters_of_expand_path(tmp_path):
    class Expanding(AsyncFileSystemWrapper):
        cachable = False

        async def _expand_path(self, path, recursive=False):
            return await super()._expand_path(path, recursive=recursive)

    class Blocking(DictFileSystem):
        def expand_path(self, path, recursive=False):
            return super().expand_path(path, recursive=recursive)

    target = (tmp_path / "x").as_posix()
    for fs in (Expanding(DictFileSystem(FILES)), Blocking(FILES), DirFileSystem(path="", fs=Blocking(FILES))):
        fs.get("r", target, recursive=True)
        assert (tmp_path / "x" / "s" / "y").read_bytes() == b"yy"
        shutil.rmtree(target)
    cached = CachingFileSystem(fs=Blocking(FILES), cache_storage=str(tmp_path / "cache"))
    assert cached.cat("r/s/*") == {"r/s/y": b"yy"}
    blocking = Blocking(FILES)
    blocking.rm(["r/x", "r/s/y"])
    assert not blocking.files
    with pytest.raises(TypeError, match="maxdepth"):  # a limit is not left out
        Blocking(FILES).get("r", target, recursive=True, maxdepth=1)


def test_parameters_of_walk_and_cat_file():
    class Few(DictFileSystem):
        def walk(self, path, maxdepth=None):
            return super().walk(path, maxdepth)

        def cat_file(self, path, first=None, last=None):
            return super().cat_file(path, first, last)

    assert [folder for folder, _, _ in Few(FILES).walk("r")] == ["r", "r/s"]
    assert Few(FILES).cat_ranges(["r/x", "r/s/y"], [1, 0], [3, 1]) == [b"12", b"y"]


def test_parameters_of_open_for_text():
    fs = Opening(FILES)
    fs.open("r/t", "wb").close()
    assert Opening.read_text(TextOpening(FILES), "r/s/y") == "yy"
    text = TextOpening()
    text.write_text("t", "w")
    assert text.files == {"t": b"w"} and text.read_text("t") == "w"
    with pytest.raises(TypeError, match="encoding"):
        text.read_text("t", encoding="latin-1")


class TextOpening(DictFileSystem):
    def open(self, path, mode="rb"):
        return super().open(path, mode)


def test_parameters_of_an_awaitable_rm():
    class Few(AsyncDictFileSystem):
        async def _rm(self, path, recursive=False):
            del self.files[path]

    fs = Few(FILES)
    fs.rm_file("r/x")
    assert [*fs.files] == ["r/s/y"]


def test_uploads_of_caches_to_backends_with_fewer_parameters(tmp_path):
    class Few(DictFileSystem):
        def put_file(self, lpath, rpath, callback=None):
            super().put_file(lpath, rpath)

    target = Few()
    for cls in KINDS[2:]:
        fs = cls(fs=target, cache_storage=str(tmp_path / cls.__name__))
        with fs.open(cls.__name__, "xb") as f:
            f.write(b"1")
        fs.pipe_file(f"{cls.__name__} piped", b"2", mode="create")
        with pytest.raises(FileExistsError):
            fs.open(cls.__name__, "xb")
    assert sorted(target.files.values()) == [b"1", b"1", b"2", b"2"]


def test_one_file_is_piped_by_no_pipe_of_its_own(tmp_path, m):
    class Few(SimpleCacheFileSystem):
        def pipe(self, path, value=None):
            raise AssertionError("as upstream, this is for many files")

    fs = Few(fs=m, cache_storage=str(tmp_path))
    fs.pipe_file("/a", b"1", mode="create")
    assert m.cat_file("/a") == b"1"


def test_parameters_of_what_generic_asks_for(monkeypatch, tmp_path):
    class Few(DictFileSystem):
        protocol = "few"

        def glob(self, path):
            return super().glob(path)

        def mv(self, path1, path2):
            super().mv(path1, path2)

        def put_file(self, lpath, rpath):
            super().put_file(lpath, rpath)

    fs = Few(FILES)
    monkeypatch.setitem(generic._generic_fs, "few", fs)
    both = generic.GenericFileSystem(default_method="generic", skip_instance_cache=True)
    assert both.glob("few://r/*") == ["few://r/s", "few://r/x"]
    both.mv("few://r/x", "few://r/z")
    (tmp_path / "p").write_bytes(b"p")
    both.put_file((tmp_path / "p").as_posix(), "few://r/p")
    assert sorted(fs.files) == ["r/p", "r/s/y", "r/z"]


def test_what_a_method_takes():
    class Both(DictFileSystem):
        def given(self, a, *, b=None):
            pass

        def anything(self, a, **kwargs):
            pass

    fs, options = Both(), {"a": 1, "b": 2, "c": 3}
    assert supported(fs, "given", options) == {"a": 1, "b": 2}
    assert supported(fs, "given", options, ("a", "b")) == supported(fs, "anything", options) == options
    fs.plain = "".join  # tells nothing of its parameters, or that it takes none of these
    assert supported(fs, "find", {"detail": True}) == {"detail": True}


def test_downloads_by_a_method_that_has_no_module(tmp_path):
    namespace = {}
    exec("def get_file(self, rpath, lpath, **kwargs):\n    open(lpath, 'wb').close()", namespace)
    cls = type("Made", (MemoryFileSystem,), {"get_file": namespace["get_file"], "cachable": False})
    cls.get_file.__module__ = None
    fs = cls(global_store=False)
    fs.pipe_file("/a", b"1")
    fs.get("/a", f"{tmp_path}/a")
    assert (tmp_path / "a").read_bytes() == b""


# one method of its own, which others ask ---------------------------------------------
def own(cls, **methods):
    """A subclass with these methods, which take the base class's first."""

    def bound(name, change):
        def method(self, path, *args, **kwargs):
            return change(getattr(super(made, self), name), path, *args, **kwargs)

        return method

    made = type(cls)(cls.__name__, (cls,), {"cachable": False})
    for name, change in methods.items():
        setattr(made, name, bound(name, change))
    return made


@pytest.fixture
def tree():
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    MemoryFileSystem().pipe({"/r/a": b"abc", "/r/s/b": b"bb"})
    MemoryFileSystem().mkdir("/e")
    yield "/r"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def seven(real, path, **kwargs):
    return {**real(path, **kwargs), "size": 7}


def test_memory_measures_and_finds_by_an_info_of_its_own(tree):
    fs = own(MemoryFileSystem, info=seven)()
    assert fs.du("/r", total=False) == {"/r/a": 7, "/r/s/b": 7}
    assert fs.du("/r/a") == 7
    assert fs.find("/r", withdirs=True, detail=True)["/r"]["size"] == 7


@pytest.mark.parametrize("where", ["class", "instance"])
def test_a_patched_info_measures(where, tree, monkeypatch):
    fs = MemoryFileSystem(skip_instance_cache=True)
    real = fs.info
    monkeypatch.setattr(
        MemoryFileSystem if where == "class" else fs,
        "info",
        lambda *args, **kwargs: {**real(args[-1], **kwargs), "size": 7},
    )
    assert fs.du("/r") == 14


def test_a_backend_with_listings_of_its_own_is_measured_by_them():
    """Which have the sizes: its `info` would be a request for each file."""

    class Listing(DictFileSystem):
        def info(self, path, **kwargs):
            raise AssertionError(path)

        def ls(self, path, detail=True, **kwargs):
            return super().ls(path, detail=detail, **kwargs)

    assert Listing({"r/a": b"abc"}).du("r") == 3
    with pytest.raises(AssertionError):
        own(Listing, info=lambda real, path, **kwargs: real(path))({"r/a": b"abc"}).du("r")


@pytest.mark.filterwarnings("ignore:You are using a non-supported Python version:FutureWarning")  # gcsfs
def test_entries_of_each_filesystem_here_agree_with_its_info():
    for name in known_implementations:
        try:
            cls = get_filesystem_class(name)
        except (ImportError, AttributeError):  # a package that is missing, or has it no more
            continue
        if cls.__module__.startswith("fsspec."):
            assert not replaced_without(cls.__new__(cls), "info", "ls", "find", "walk"), cls


def no(real, path, *args, **kwargs):
    return False


def yes(real, path, *args, **kwargs):
    return True


@pytest.mark.parametrize(
    "name, answer, refused, error",
    [
        ("isfile", yes, lambda fs: fs.rm("/r", recursive=True), FileNotFoundError),
        ("isfile", no, lambda fs: fs.rm("/r/a"), FileNotFoundError),
        ("isfile", no, lambda fs: fs.cp_file("/r/a", "/n"), FileNotFoundError),
        ("isfile", no, lambda fs: fs.mv("/r/a", "/n"), FileNotFoundError),
        ("isfile", yes, lambda fs: fs.mkdir("/x/y"), NotADirectoryError),
        ("isfile", yes, lambda fs: fs.open("/r/a"), FileExistsError),
        ("isfile", yes, lambda fs: fs.open("/r/a", "wb"), FileExistsError),
        ("isfile", yes, lambda fs: fs.pipe_file("/q/a", b"1"), FileExistsError),
        ("isdir", no, lambda fs: fs.cp_file("/e", "/n"), FileNotFoundError),
        ("exists", no, lambda fs: fs.rm("/e", recursive=True), FileNotFoundError),
        ("exists", yes, lambda fs: fs.rm("/none", recursive=True), FileNotFoundError),
        ("ls", lambda real, path, **kwargs: ["x"], lambda fs: fs.rmdir("/e"), OSError),
    ],
)
def test_memory_asks_a_method_of_its_own(name, answer, refused, error, tree):
    fs = own(MemoryFileSystem, **{name: answer})()
    with pytest.raises(error):
        refused(fs)
    assert MemoryFileSystem().isdir("/e")


def test_memory_removes_a_tree_by_methods_of_its_own(tree):
    fs = own(MemoryFileSystem, exists=lambda real, path, **kwargs: real(path))()
    MemoryFileSystem().mkdir("/r/s/empty")
    fs.rm("/r", recursive=True)
    assert fs.find("/", withdirs=True) == ["/e"]
    with pytest.raises(FileNotFoundError):
        fs.rm("/r")


@pytest.mark.parametrize("base", [DictFileSystem, AsyncDictFileSystem, MemoryFileSystem, LocalFileSystem])
def test_the_top_of_what_is_found_is_a_folder_by_an_isdir_of_its_own(base, tmp_path):
    asked = []

    async def refuse_awaited(self, path):
        asked.append(path)
        return False

    def refuse(self, path):
        asked.append(path)
        return False

    method = {"_isdir": refuse_awaited} if base is AsyncDictFileSystem else {"isdir": refuse}
    fs, top = type("Own", (base,), {"cachable": False, **method})(), tmp_path.as_posix()
    if base is AsyncDictFileSystem:
        fs.files[f"{top}/a"] = b"1"
    else:
        fs.pipe_file(f"{top}/a", b"1")
    assert fs.find(top, withdirs=True) == fs.glob(f"{top}/**") == [f"{top}/a"]
    assert fs.du(top, total=False, withdirs=True) == {f"{top}/a": 1}
    assert asked
    if base is MemoryFileSystem:
        MemoryFileSystem().rm(top, recursive=True)


def test_local_lists_by_an_info_of_its_own(tmp_path):
    """As of one that takes some folders for files."""

    def store(real, path, **kwargs):
        entry = real(path, **kwargs)
        return {**entry, "type": "file", "size": 7} if entry["name"].endswith(".zarr") else entry

    (tmp_path / "x.zarr/in").mkdir(parents=True)
    (tmp_path / "a").touch()
    fs, top = own(LocalFileSystem, info=store)(), tmp_path.as_posix()
    assert fs.ls(f"{top}/x.zarr") == [f"{top}/x.zarr"]
    assert fs.find(top) == [f"{top}/a", f"{top}/x.zarr"]
    assert fs.du(top) == 7
    renamed = own(LocalFileSystem, info=lambda real, path, **kw: {**real(path, **kw), "name": "n"})()
    assert renamed.ls(top) == ["n", "n"]


@pytest.mark.parametrize(
    "name, answer, refused, error",
    [
        ("isfile", no, lambda fs, top: fs.cp_file(f"{top}/a", f"{top}/n"), FileNotFoundError),
        ("isfile", no, lambda fs, top: fs.get_file(f"{top}/a", f"{top}/n"), FileNotFoundError),
        ("isdir", no, lambda fs, top: fs.cp_file(f"{top}/d", f"{top}/n"), FileNotFoundError),
        ("exists", yes, lambda fs, top: fs.pipe_file(f"{top}/n", b"1", mode="create"), FileExistsError),
        ("islink", yes, lambda fs, top: fs.rm(f"{top}/d", recursive=True), OSError),
    ],
)
def test_local_asks_a_method_of_its_own(name, answer, refused, error, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "a").touch()
    with pytest.raises(error):
        refused(own(LocalFileSystem, **{name: answer})(), tmp_path.as_posix())
    assert (tmp_path / "d").is_dir() and not (tmp_path / "n").exists()


def test_local_copies_a_folder_by_makedirs_of_its_own(tmp_path):
    made = []
    (tmp_path / "d").mkdir()
    fs = own(LocalFileSystem, makedirs=lambda real, path, **kwargs: made.append(path))()
    fs.cp_file(f"{tmp_path}/d", f"{tmp_path}/n")
    assert made == [f"{tmp_path}/n"]


@pytest.mark.parametrize("name", ["ls", "isdir"])
def test_a_patch_of_local_is_seen_where_trees_are_looked_at(name, tmp_path, monkeypatch):
    asked = []
    real = getattr(LocalFileSystem, name)

    def recording(self, path, *args, **kwargs):
        asked.append(path)
        return real(self, path, *args, **kwargs)

    (tmp_path / "d").mkdir()
    monkeypatch.setattr(LocalFileSystem, name, recording)
    fs = LocalFileSystem()
    fs.find(tmp_path.as_posix(), withdirs=True)
    if name == "ls":
        fs.glob(f"{tmp_path.as_posix()}/*/*")
        list(fs.walk(tmp_path.as_posix()))
    assert len(asked) >= (5 if name == "ls" else 1)


def test_a_mapping_reads_by_an_expand_path_of_its_own(tree, monkeypatch):
    asked = []

    def recording(real, path, **kwargs):
        asked.append(path)
        return real(path, **kwargs)

    mapper = own(MemoryFileSystem, expand_path=recording)().get_mapper("/r")
    assert mapper["a"] == b"abc" and mapper.getitems(["a"]) == {"a": b"abc"}
    assert asked == ["/r/a", ["/r/a"]]
    plain = MemoryFileSystem(skip_instance_cache=True)
    mapper = plain.get_mapper("/r")
    monkeypatch.setattr(plain, "cat", lambda path, **kwargs: b"cat")
    assert mapper["a"] == b"cat"


# plain functions where awaitable ones are expected ------------------------------------
def test_a_plain_method_has_no_blocking_form():
    """Then that of the base class is asked, which is made of the other operations."""
    names = "cat cat_file cat_ranges copy du exists expand_path find get glob info isdir isfile put".split()
    methods = {f"_{name}": lambda self, *args, **kwargs: None for name in names}
    cls = type("Plain", (AsyncDictFileSystem,), methods)
    for name in names:
        assert getattr(cls, name) is getattr(AbstractFileSystem, name)
    again = type("Again", (cls,), {"_find": AsyncFileSystem._find})
    assert mirrored(again.find) == "_find" and mirrored(again.glob) is None

    class Plain(AsyncDictFileSystem):
        def _isdir(self, path):
            return False

        def _exists(self, path, **kwargs):
            return True

    fs = Plain(FILES)
    assert fs.isdir("r") and not fs.exists("none")
    assert fs.glob("r/**") == ["r/s", "r/s/y", "r/x"]


def test_a_plain_rm_removes():
    class Plain(AsyncDictFileSystem):
        async def _cp_file(self, path1, path2, **kwargs):
            self.files[path2] = self.files[path1]

        def _rm(self, path, **kwargs):
            del self.files[path]

    for remove in (
        lambda fs: fs.rm("r/x"),
        lambda fs: fs.rm_file("r/x"),
        lambda fs: fs.mv("r/x", "r/z"),
        lambda fs: fs.rm(["r/x"]),
        lambda fs: asyncio.run(fs._rm_file("r/x")),
    ):
        fs = Plain(FILES)
        remove(fs)
        assert "r/x" not in fs.files and "r/s/y" in fs.files


@pytest.mark.parametrize("name", ["copy", "rm"])
def test_moves_are_done_by_a_blocking_method_of_its_own(name):
    asked = []

    class Blocking(AsyncDictFileSystem):
        async def _cp_file(self, path1, path2, **kwargs):
            self.files[path2] = self.files[path1]

        async def _rm_file(self, path, **kwargs):
            del self.files[path]

    def method(self, *args, **kwargs):
        asked.append(args)
        return getattr(super(Blocking, self), name)(*args, **kwargs)

    setattr(Blocking, name, method)
    fs = Blocking(FILES)
    fs.mv("r/x", "r/z")
    assert len(asked) == 1
    assert fs.cat("r/z") == FILES["r/x"] and not fs.exists("r/x")


def test_touch_asks_a_blocking_exists_of_its_own():
    class Blocking(AsyncDictFileSystem):
        def exists(self, path, **kwargs):
            return True

        def _open(self, path, mode="rb", **kwargs):
            raise AssertionError(path)

    with pytest.raises(NotImplementedError, match="cannot set the time"):
        Blocking(FILES).touch("none", truncate=False)


def test_blocking_forms_call_a_patched_sync(monkeypatch):
    """As programs count or time calls by one."""
    calls = []
    real = asyn.sync

    def counting(*args, **kwargs):
        calls.append(args[1].__name__)
        return real(*args, **kwargs)

    monkeypatch.setattr(asyn, "sync", counting)
    fs = AsyncDictFileSystem(FILES)
    fs.info("r/x")
    list(fs.walk("r"))
    asyn.sync_wrapper(AsyncDictFileSystem._info)(fs, "r/x")
    assert calls[0] == calls[-1] == "_info" and "_walk" in calls


# servers -------------------------------------------------------------------------------
def test_ftp_removes_what_an_isfile_of_its_own_says_is_a_file(ftp_server):
    fs = own(FTPFileSystem, isfile=no)(**ftp_server.options)
    fs.pipe_file("/a", b"1")
    with pytest.raises(OSError, match="/a"):
        fs.rm("/a")
    assert fs.cat_file("/a") == b"1"


def test_sftp_asks_overridden_methods(sftp_server):
    plain = SFTPFileSystem(**sftp_server.options)
    plain.mkdir("/d")
    plain.pipe_file("/d/a", b"1")
    with pytest.raises(OSError):
        own(SFTPFileSystem, isdir=yes)(**sftp_server.options).rm("/d/a")
    assert own(SFTPFileSystem, info=seven)(**sftp_server.options).du("/d") == 7
    made = []
    fs = own(SFTPFileSystem, makedirs=lambda real, path, **kwargs: made.append(path) or real(path, **kwargs))
    fs(**sftp_server.options).mkdir("/x/y/z")
    assert made == ["/x/y", "/x"] and plain.isdir("/x/y/z")
    plain._server_link.close()


@pytest.mark.parametrize("cls", [FTPFileSystem, SFTPFileSystem])
def test_servers_make_folders_where_an_exists_of_its_own_says_there_is_none(cls, request):
    server = request.getfixturevalue("ftp_server" if cls is FTPFileSystem else "sftp_server")
    fs = own(cls, exists=yes)(**server.options)
    fs.makedirs("/new", exist_ok=True)
    with pytest.raises(FileExistsError):
        fs.makedirs("/new")
    assert not fs.isdir("/new")
    fs = own(cls, isdir=no)(**server.options)
    fs.makedirs("/there")
    fs.makedirs("/there", exist_ok=True)  # by info
    assert fs.info("/there")["type"] == "directory"


def test_smb_lists_by_an_info_of_its_own(smb_server):
    fs = own(SMBFileSystem, info=seven)(**smb_server.options)
    fs.mkdir("/SHARE/d")
    fs.pipe_file("/SHARE/d/a", b"1")
    assert [e["size"] for e in fs.ls("/SHARE/d")] == [7]
    assert fs.find("/SHARE/d", detail=True)["/SHARE/d/a"]["size"] == fs.du("/SHARE/d") == 7


class Answering:
    """A proxy that has an attribute of every name, as some have; those that it stands for are its own."""

    def __init__(self, of=None):
        self.of, self.calls = of, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.of(*args, **kwargs) if self.of else None

    def __getattr__(self, name):
        if name.startswith("__") and name != "__func__":
            raise AttributeError(name)
        return getattr(self.of, name, None) or Answering()


class Recorded(MagicMock):
    @property
    def calls(self):
        return self.call_count


def recorded(of):
    return Recorded(side_effect=of)


@pytest.mark.parametrize("around", [recorded, Answering])
@pytest.mark.parametrize(
    "name, operation, expected",
    [
        ("find", lambda fs: fs.expand_path("/r", recursive=True), ["/r", "/r/s", "/r/s/y", "/r/x"]),
        ("find", lambda fs: fs.glob("/r/*"), ["/r/s", "/r/x"]),
        ("open", lambda fs: fs.read_text("/r/x"), "1"),
        ("open", lambda fs: fs.write_text("/r/x", "23"), 2),
        ("ls", lambda fs: fs.glob("/r/*"), ["/r/s", "/r/x"]),
        ("_rm", lambda fs: fs.rm("/r/x"), None),
    ],
)
def test_mocks_and_proxies_of_methods_are_called(name, operation, expected, around, monkeypatch):
    fs = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    fs.pipe({"/r/x": b"1", "/r/s/y": b"22"})
    method = around(getattr(fs, name))
    monkeypatch.setattr(fs, name, method)
    assert operation(fs) == expected
    assert method.calls or name == "ls"  # which is behind the listing that memory makes of its own


@pytest.mark.parametrize("protocol", ["dir", "simplecache", "filecache", "blockcache"])
def test_filesystems_that_have_every_attribute(protocol, tmp_path):
    store = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    store.pipe({"/r/x": b"1", "/r/s/y": b"22"})
    target = MagicMock(wraps=store, async_impl=False, sep="/", root_marker="", protocol="memory")
    target.fsid = "memory"
    options = {"path": ""} if protocol == "dir" else {"cache_storage": str(tmp_path / "copies")}
    fs = get_filesystem_class(protocol)(fs=target, skip_instance_cache=True, **options)
    assert fs.cat_file("/r/s/y", 1) == b"2"
    assert fs.read_text("/r/x") == "1"
    assert fs.write_text("/r/z", "333") == 3
    assert store.cat_file("/r/z") == b"333"
    (tmp_path / "a").write_bytes(b"4")
    fs.put_file(str(tmp_path / "a"), "/r/a")
    fs.get_file("/r/a", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"4"


def aliased(base):
    """A subclass that has another name for a folder."""

    class Aliased(base):
        cachable = False

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(path).replace("alias", "r")

    return Aliased


@pytest.mark.parametrize(
    "operation, expected",
    [
        (lambda fs: fs.ls("alias", detail=False), ["r/s", "r/x"]),
        (lambda fs: fs.info("dir://alias/x")["name"], "r/x"),
        (lambda fs: fs.cat("alias/x"), b"1"),
        (lambda fs: fs.cat(["alias/x"]), {"r/x": b"1"}),
        (lambda fs: fs.open("alias/x").read(), b"1"),
        (lambda fs: fs.exists("alias/x"), True),
        (lambda fs: fs.find("alias"), ["r/s/y", "r/x"]),
        (lambda fs: fs.glob("alias/*"), ["r/s", "r/x"]),
        (lambda fs: list(fs.walk("alias/s")), [("r/s", [], ["y"])]),
        (lambda fs: fs.cp_file("alias/x", "alias/z") or fs.cat("r/z"), b"1"),
        (lambda fs: fs.copy("alias/s/", "alias/t/", recursive=True) or fs.find("r/t"), ["r/t/y"]),
        (lambda fs: fs.pipe({"alias/x": b"2"}) or fs.cat("r/x"), b"2"),
        (lambda fs: fs.ls("", detail=False), ["r"]),
        (lambda fs: fs.isdir("alias/"), True),
    ],
)
def test_a_folder_strips_paths_by_a_method_of_its_own(operation, expected):
    store = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    store.pipe({"/top/r/x": b"1", "/top/r/s/y": b"22"})
    found = operation(aliased(DirFileSystem)("/top", store))
    assert (sorted(found) if isinstance(found, list) else found) == expected


def test_an_awaitable_folder_strips_paths_by_a_method_of_its_own():
    store = AsyncDictFileSystem({"top/r/x": b"1"}, asynchronous=True)
    fs = aliased(DirFileSystem)("top", store, asynchronous=True)
    assert asyncio.run(fs._cat_file("alias/x")) == b"1"
    assert asyncio.run(fs._ls("alias", detail=False)) == ["r/x"]


@pytest.mark.parametrize("cls", [CachingFileSystem, WholeFileCacheFileSystem, SimpleCacheFileSystem])
def test_a_cache_strips_paths_by_a_method_of_its_own(cls, tmp_path):
    """Before the target does, in what the cache does itself; the rest is the target's."""
    store = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    store.pipe({"/r/x": b"1", "/r/s/y": b"22"})
    fs = aliased(cls)(fs=store, cache_storage=str(tmp_path))
    assert fs.info("/alias/x")["name"] == "/r/x"
    assert fs.exists("/alias/x") and fs.isfile("/alias/x") and fs.isdir("/alias/s")
    assert fs.open("/alias/x").read() == fs.cat_file("/alias/x") == fs.head("/alias/x") == b"1"
    assert fs.cat_ranges(["/alias/s/y"], [1], [2]) == [b"2"]
    fs.pipe_file("/alias/z", b"3")
    assert store.cat_file("/r/z") == b"3"
    if cls is SimpleCacheFileSystem:
        assert fs.ls("/alias/s", detail=False) == ["/r/s/y"]
    assert fs.find("/alias") == []


@pytest.mark.parametrize("kind", [classmethod, lambda method: method])
@pytest.mark.parametrize("cls", [CachingFileSystem, WholeFileCacheFileSystem, SimpleCacheFileSystem])
def test_the_folder_of_a_path_in_a_cache_is_the_target_s(cls, kind, tmp_path):
    class Own(cls):
        cachable = False

        @kind
        def _parent(self, path):
            return super(Own, self)._parent(path)

    store = MemoryFileSystem(global_store=False, skip_instance_cache=True)
    fs = Own(fs=store, cache_storage=str(tmp_path))
    assert fs._parent("/r/x") == fs._parent("memory://r/x") == "/r"
    assert super(Own, fs)._parent("/r/x") == "/r"
    fs.get_mapper("/r")["a"] = b"1"
    assert store.cat_file("/r/a") == b"1"


def test_classmethods_and_properties_stay_such_in_subclasses():
    """A classmethod of the base class is one in those below it, as upstream has them; so for properties."""
    changed = set()
    for cls in subclasses(AbstractFileSystem):
        for name, member in vars(AbstractFileSystem).items():
            found = inspect.getattr_static(cls, name)
            if isinstance(member, property):
                same = isinstance(found, property)
            elif isinstance(member, (classmethod, staticmethod)):
                of_both = (getattr(AbstractFileSystem, name), getattr(cls, name))
                same = len({len(inspect.signature(method).parameters) for method in of_both}) == 1
            else:
                continue
            if not same:
                changed.add((cls.__name__, name))
    # what is behind them an instance alone knows; upstream's are functions as well
    of_instances = {("GenericFileSystem", "_parent"), ("GenericFileSystem", "_strip_protocol")}
    of_instances |= {("ArrowFSWrapper", "_parent"), ("HadoopFileSystem", "_parent")}
    caches = (CachingFileSystem, *subclasses(CachingFileSystem), *CachingFileSystem.__mro__)
    assert changed <= of_instances | {(cls.__name__, "_parent") for cls in caches}


def subclasses(cls):
    """Those of this package, and itself."""
    for protocol, known in known_implementations.items():
        if known["class"].startswith("fsspec."):
            with suppress(ImportError):
                get_filesystem_class(protocol)
    found = [cls]
    for each in found:
        found += [c for c in each.__subclasses__() if c.__module__.startswith("fsspec.") and c not in found]
    return [c for c in found if ".tests." not in c.__module__]


def test_parts_of_references_come_from_an_overridden_cat_file(m):
    class Own(ReferenceFileSystem):
        cachable = False

        async def _cat_file(self, path, start=None, end=None, **kwargs):
            return (await super()._cat_file(path, **kwargs)).swapcase()[start:end]

    m.pipe_file("/d", b"Some text")
    references = {"a": ["memory://d", 5, 4], "b": "Other"}
    fs = Own(fo=references, remote_protocol="memory")
    assert fs.cat_ranges(["a", "b"], [0, 1], [2, 3]) == [b"TE", b"TH"]
    fs = Own(fo=references, remote_protocol="memory", asynchronous=True)
    assert asyncio.run(fs._cat_ranges(["a", "b"], 0, 2)) == [b"TE", b"oT"]
    assert asyncio.run(fs._cat(["a", "b"])) == {"a": b"TEXT", "b": b"oTHER"}


def test_parts_of_copies_come_from_an_overridden_cat_file(m, tmp_path):
    """As of upstream's ``filecache``; its ``simplecache`` reads parts past that method."""

    class Own(WholeFileCacheFileSystem):
        cachable = False

        def cat_file(self, path, start=None, end=None, **kwargs):
            return super().cat_file(path, **kwargs).swapcase()[start:end]

    m.pipe_file("/a", b"Some text")
    fs = Own(fs=m, cache_storage=str(tmp_path))
    assert fs.cat_ranges(["/a", "/a"], [0, 5], [2, None]) == [b"sO", b"TEXT"]


def sized(real, path, detail=True, **kwargs):
    found = real(path, detail=detail, **kwargs)
    return [{**entry, "size": 7} for entry in found] if detail else found


def test_du_of_a_filesystem_here_asks_info_where_its_listings_are_of_another(tmp_path):
    """As upstream, which asks it in any case."""
    (tmp_path / "a").write_bytes(b"abc")
    top = tmp_path.as_posix()
    fs = own(LocalFileSystem, ls=sized)()
    assert fs.find(top, detail=True)[f"{top}/a"]["size"] == 7
    assert fs.du(top) == 3


@pytest.mark.parametrize("awaited", [False, True])
def test_references_are_found_by_an_ls_of_its_own(awaited):
    class Own(ReferenceFileSystem):
        cachable = False

        def ls(self, path, detail=True, **kwargs):
            return [e for e in super().ls(path, detail=detail, **kwargs) if "hidden" not in str(e)]

        async def _ls(self, path, detail=True, **kwargs):
            return self.ls(path, detail=detail, **kwargs)

    fs = Own({"r/a": "1", "r/s/b": "22", "r/hidden": "3"})
    found = asyncio.run(fs._find("r")) if awaited else fs.find("r")
    assert found == ["r/a", "r/s/b"]
    if not awaited:
        assert fs.find("", withdirs=True) == ["r", "r/a", "r/s", "r/s/b"]
        assert fs.find("r", detail=True, maxdepth=1) == {"r/a": fs.info("r/a")}


@pytest.mark.parametrize("name", ["_copy", "_rm", "copy", "rm"])
def test_generic_moves_by_a_method_of_its_own(name, tree):
    asked = []

    class Own(generic.GenericFileSystem):
        cachable = False

    async def awaited(self, *args, **kwargs):
        asked.append(args)
        return await getattr(super(Own, self), name)(*args, **kwargs)

    def blocking(self, *args, **kwargs):
        asked.append(args)
        return getattr(super(Own, self), name)(*args, **kwargs)

    setattr(Own, name, awaited if name[0] == "_" else blocking)
    Own(default_method="current").mv("memory:///r/a", "memory:///r/c")
    assert asked and MemoryFileSystem().find("/r") == ["/r/c", "/r/s/b"]


def test_generic_says_what_is_a_folder_by_an_info_of_its_own(tree):
    class Own(generic.GenericFileSystem):
        cachable = False

        async def _info(self, path, **kwargs):
            return {"name": path, "type": "directory", "size": 0}

    assert Own(default_method="current").isdir("memory:///r/a")
    assert not generic.GenericFileSystem(default_method="current").isdir("memory:///r/a")


@pytest.mark.parametrize("name", ["info", "isdir", "isfile", "walk", "ls"])
def test_members_are_found_by_a_method_of_its_own(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("r/a", b"1")
    asked = []

    def recording(real, path, *args, **kwargs):
        asked.append(path)
        return real(path, *args, **kwargs)

    fs = own(ZipFileSystem, **{name: recording})(fo=str(tmp_path / "a.zip"))
    assert fs.find("r", withdirs=True, detail=True) == {p: fs.info(p) for p in ("r", "r/a")}
    assert fs.find("none") == []
    assert asked
    fs.close()


def test_a_wrapper_is_opened_by_an_open_of_its_own(tree):
    class Own(AsyncFileSystemWrapper):
        cachable = False

        def _open(self, path, mode="rb", **kwargs):
            return Swapped(super()._open(path, mode=mode, **kwargs))

    with Own(MemoryFileSystem()).open("/r/n", "wb") as f:
        f.write(b"Text")
    assert MemoryFileSystem().cat("/r/n") == b"tEXT"


def test_a_file_that_is_not_listed_is_found_by_an_isfile_of_its_own():
    class Known(DictFileSystem):
        _fsspec_lists_files = True

        def isfile(self, path):
            return path == "known"

    assert Known().find("known") == ["known"] and Known().find("none") == []


# caches --------------------------------------------------------------------------------
CACHES = [CachingFileSystem, WholeFileCacheFileSystem, SimpleCacheFileSystem]


@pytest.mark.parametrize("cls", CACHES)
def test_caches_download_what_an_isdir_of_its_own_takes_for_files(cls, tree, tmp_path):
    fs = own(cls, isdir=lambda real, path: False)(fs=MemoryFileSystem(), cache_storage=str(tmp_path / "c"))
    fs.get("/r/*", f"{tmp_path}/got/")
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["a", "s"]
    plain = cls(fs=MemoryFileSystem(), cache_storage=str(tmp_path / "d"))
    plain.get("/r/*", f"{tmp_path}/plain/")
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["a"]


@pytest.mark.parametrize("cls", CACHES[:2])  # as upstream, whose simplecache goes past it
def test_ranges_of_caches_are_read_by_a_cat_file_of_its_own(cls, tree, tmp_path):
    fs = own(cls, cat_file=lambda real, path, *args, **kwargs: real(path, *args, **kwargs) + b"!")
    fs = fs(fs=MemoryFileSystem(), cache_storage=str(tmp_path))
    assert fs.cat_ranges(["/r/a", "/r/s/b"], 0, 2) == [b"ab!", b"bb!"]


@pytest.mark.parametrize("cls", CACHES[:2])
def test_entries_of_caches_are_those_of_an_overridden_ls(cls, tree, tmp_path):
    fs = own(cls, ls=sized)(fs=MemoryFileSystem(), cache_storage=str(tmp_path))
    assert fs.info("/r/a")["size"] == 7 and fs.isfile("/r/a")


@pytest.mark.parametrize("cls", CACHES)
def test_caches_pipe_by_methods_of_its_own(cls, tree, tmp_path):
    fs = own(cls, pipe_file=lambda real, path, value, **kwargs: real(path, value + b"!", **kwargs))
    fs(fs=MemoryFileSystem(), cache_storage=str(tmp_path / "c")).pipe({"/n": b"1"})
    assert MemoryFileSystem().cat("/n") == b"1!"
    fs = own(cls, exists=yes)(fs=MemoryFileSystem(), cache_storage=str(tmp_path / "d"))
    with pytest.raises(FileExistsError):
        fs.pipe_file("/new", b"1", mode="create")


# patches of the base class ---------------------------------------------------------------
OF_UPSTREAM = {
    "ArrowFSWrapper": "cat_file cp_file exists get_file info ls makedirs mkdir modified mv rm rm_file rmdir",
    "DataFileSystem": "cat_file info glob",
    "DatabricksFileSystem": "invalidate_cache ls makedirs mkdir mv rm",
    "FTPFileSystem": "cat_file get_file info invalidate_cache ls makedirs mkdir mv rm rmdir",
    "GistFileSystem": "cat ls",
    "GithubFileSystem": "invalidate_cache ls rm rm_file",
    "JupyterFileSystem": "cat_file ls mkdir mv pipe_file",
    "LocalFileSystem": "cp_file created get_file info isdir isfile lexists ls makedirs mkdir modified mv"
    " put_file rm rm_file rmdir touch unstrip_protocol",
    "MemoryFileSystem": "cat_file cp_file created find info isfile ls makedirs mkdir modified pipe_file rm"
    " rmdir",
    "SFTPFileSystem": "created get_file info ls makedirs mkdir modified mv put_file rmdir",
    "SMBFileSystem": "copy created info ls makedirs mkdir modified mv rmdir",
    "TarFileSystem": "info ls ukey",
    "WebHDFS": "cp_file created info ls makedirs mkdir modified mv rm rm_file ukey",
    "ZipFileSystem": "find info ls pipe_file ukey",
}
"""The public methods that upstream's blocking backends have of their own; the rest they inherit."""


def public_methods(cls):
    return [n for n in dir(cls) if n[0] != "_" and n != "transaction_type" and callable(getattr(cls, n))]


@pytest.mark.parametrize("name", public_methods(AbstractFileSystem))
def test_patches_of_the_base_class_reach_all_that_inherit_the_method_upstream(name, monkeypatch):
    own = {cls: OF_UPSTREAM.get(cls.__name__, name).split() for cls in subclasses(AbstractFileSystem)}
    classes = [cls for cls, names in own.items() if name not in names]
    assert classes or name == "ls"
    before = {cls: inspect.getattr_static(cls, name) for cls in classes}
    with monkeypatch.context() as patches:
        patches.setattr(AbstractFileSystem, name, lambda *args, **kwargs: "patched")
        assert [c.__name__ for c in classes if getattr(c, name)() != "patched"] == []
    assert {cls: inspect.getattr_static(cls, name) for cls in classes} == before


@pytest.mark.parametrize("protocol", ["simplecache", "filecache", "blockcache", "dir"])
def test_patches_of_the_base_class_reach_filesystems_before_another(protocol, tree, tmp_path, monkeypatch):
    options = {"path": "/"} if protocol == "dir" else {"cache_storage": str(tmp_path)}
    fs = fsspec.filesystem(protocol, fs=MemoryFileSystem(), skip_instance_cache=True, **options)
    asked = []

    def patch(name):
        real = getattr(AbstractFileSystem, name)

        @functools.wraps(real)
        def method(self, *args, **kwargs):
            asked.append(name)
            return real(self, *args, **kwargs)

        monkeypatch.setattr(AbstractFileSystem, name, method)

    for name in ("exists", "isdir", "open"):
        patch(name)
    assert fs.exists("/r/a") and fs.isdir("/r/s") and fs.open("/r/a").read()
    assert set(asked) == {"exists", "isdir", "open"}


def test_patches_of_the_base_class_and_of_a_backend_are_undone_in_any_order(tree):
    fs, own = MemoryFileSystem(), MemoryFileSystem.open
    of_base = patch.object(AbstractFileSystem, "open", return_value="base")
    of_class = patch.object(MemoryFileSystem, "open", return_value="class")
    for inner, outer in ((of_base, of_class), (of_class, of_base)):
        for first, last in ((inner, outer), (outer, inner)):
            inner.start()
            outer.start()
            assert fs.open("/r/a") == "class"
            first.stop()
            last.stop()
            assert MemoryFileSystem.open is own and fs.open("/r/a").read()
    with of_base:
        assert fs.open("/r/a") == "base"


def test_a_backend_that_is_loaded_later_follows_a_patch_of_the_base_class():
    program = """
from fsspec.spec import AbstractFileSystem
own = AbstractFileSystem.exists
AbstractFileSystem.exists = lambda *args: "patched"
from fsspec.implementations.memory import MemoryFileSystem
print(MemoryFileSystem().exists("/none"))
AbstractFileSystem.exists = own
print(MemoryFileSystem().exists("/none"))
"""
    assert run(program).split() == ["patched", "False"]


def counting(base, name):
    """An instance of a subclass that has a method of its own, and what that is asked."""

    def own(self, path, *args, **kwargs):
        asked.append(path)
        return getattr(super(Own, self), method)(path, *args, **kwargs)

    asked = []
    method = f"_{name}" if issubclass(base, AsyncFileSystem) and name[0] != "_" else name
    Own = type("Own", (base,), {method: own, "cachable": False})
    return Own({"r/a.txt": b"1", "r/b": b"2", "r/d/c.txt": b"3", "r/d/e": b"4"}), asked


GLOBS = {
    "r/*": ["r/a.txt", "r/b", "r/d"],
    "r/*.txt": ["r/a.txt"],
    "r/?": ["r/b", "r/d"],
    "r/*/": ["r/d"],
    "r/*/*.txt": ["r/d/c.txt"],
    "r/**": ["r", "r/a.txt", "r/b", "r/d", "r/d/c.txt", "r/d/e"],
}


@pytest.mark.parametrize("base", [DictFileSystem, WritableDictFileSystem])
@pytest.mark.parametrize("pattern", GLOBS)
@pytest.mark.parametrize("name", ["isdir", "info", "_parent"])
def test_what_glob_begins_with_is_asked_by_methods_of_a_subclass(name, pattern, base):
    fs, asked = counting(base, name)
    found = fs.glob(pattern)
    assert [each.rstrip("/") for each in found] == GLOBS[pattern]
    assert "r" in asked or base is WritableDictFileSystem and name == "_parent"


@pytest.mark.parametrize("base", [DictFileSystem, WritableDictFileSystem])
def test_glob_asks_a_backend_that_has_listings_as_well_nothing_more(base):
    """Its own `isdir` is then one of many methods."""
    above, asked = counting(base, "isdir")
    own = {each: getattr(base, each) for each in ("ls", "_ls") if hasattr(base, each)}
    fs = type("Below", (type(above),), own)(above.files)
    assert fs.glob("r/*.txt") == ["r/a.txt"] and not asked


@pytest.mark.parametrize("base", [DictFileSystem, WritableDictFileSystem])
def test_what_was_moved_is_removed_by_an_expand_path_of_its_own(base):
    fs, asked = counting(base, "expand_path")
    fs.mv(["r/a.txt", "r/b"], ["new", "[b]"])
    assert asked == [["r/a.txt", "r/b"]]
    assert (fs.cat_file("new"), fs.cat_file("[b]"), fs.exists("r/a.txt"), fs.exists("r/b")) == (
        b"1",
        b"2",
        False,
        False,
    )


@pytest.mark.parametrize("transfer", ["copy", "get", "put", "cp_file", "get_file", "put_file"])
def test_local_folders_are_made_by_a_mkdirs_of_its_own(transfer, tmp_path):
    class Own(LocalFileSystem):
        cachable = False

        def mkdirs(self, path, exist_ok=False):
            made.append(path)
            super().mkdirs(path, exist_ok=exist_ok)

    made = []
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a").write_bytes(b"1")
    source, target = str(tmp_path / "from"), str(tmp_path / "to")
    getattr(Own(), transfer)(source, target, **({} if "_" in transfer else {"recursive": True}))
    assert made == [target] and (tmp_path / "to").is_dir()


@pytest.mark.parametrize("base", [DictFileSystem, WritableDictFileSystem])
@pytest.mark.parametrize(
    "source, target, moved",
    [
        ("r/a.txt", "new", [("r/a.txt", "new")]),
        ("r/*.txt", "r/d/", [("r/a.txt", "r/d/a.txt")]),
        (["r/a.txt", "r/b"], ["x", "y"], [("r/a.txt", "x"), ("r/b", "y")]),
    ],
)
def test_generic_copies_within_a_filesystem_by_its_own_copy(source, target, moved, base, monkeypatch):
    fs, asked = counting(base, "copy")
    monkeypatch.setitem(generic._generic_fs, "own", fs)

    def url(path):
        return [f"own://{each}" for each in path] if isinstance(path, list) else f"own://{path}"

    fs.protocol = "own"
    type(fs).protocol = "own"
    generic.GenericFileSystem(default_method="generic").copy(url(source), url(target))
    assert asked == [[a for a, _ in moved]]
    for a, b in moved:
        assert fs.cat_file(b) == fs.cat_file(a)
