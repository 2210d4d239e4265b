"""What subclasses, instances and patches put in the place of a method is what programs meet."""

import functools

import pytest

import fsspec
from fsspec._overriding import default, is_default, mirrored
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.implementations.cached import CachingFileSystem, SimpleCacheFileSystem, WholeFileCacheFileSystem
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.implementations.sftp import SFTPFileSystem
from fsspec.implementations.smb import SMBFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem


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
def test_contents_are_what_an_open_of_its_own_gives(cls, derive, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"Some text")
    fs, a = over_local(derive(cls)), path.as_posix()
    assert fs.cat_file(a) == b"sOME TEXT"
    assert fs.cat_file(a, 1, 3) == b"OM"
    assert fs.cat_ranges([a, a], [0, 1], [2, 3]) == [b"sO", b"OM"]
    assert fs.head(a, 4) == b"sOME"
    assert fs.read_bytes(a) == b"sOME TEXT"


@pytest.mark.parametrize("derive", [swapping, swapping_open])
@pytest.mark.parametrize("cls", KINDS)
def test_contents_go_through_an_open_of_its_own(cls, derive, tmp_path):
    fs = over_local(derive(cls))
    fs.pipe_file((tmp_path / "a").as_posix(), b"Some text")
    fs.pipe({(tmp_path / "b").as_posix(): b"Text"})
    assert (tmp_path / "a").read_bytes() == b"sOME TEXT"
    assert (tmp_path / "b").read_bytes() == b"tEXT"


@pytest.mark.parametrize("derive", [swapping, swapping_open])
def test_memory_is_written_through_an_open_of_its_own(derive):
    fs = derive(MemoryFileSystem)(global_store=False)
    fs.pipe_file("/a", b"Some text")
    assert fs.store["/a"].getvalue() == b"sOME TEXT"


def test_remote_contents_go_through_an_open_of_its_own(ftp_server, sftp_server, smb_server, tmp_path):
    (tmp_path / "local").write_bytes(b"Some text")
    ftp = swapping(FTPFileSystem)(**ftp_server.options)
    ftp.pipe_file("/piped", b"Some text")
    ftp.put_file(str(tmp_path / "local"), "/put")
    plain = FTPFileSystem(**ftp_server.options)
    assert plain.cat(["/piped", "/put"]) == dict.fromkeys(["/piped", "/put"], b"sOME TEXT")

    SFTPFileSystem(**sftp_server.options).pipe_file("/a", b"Some text")
    assert swapping(SFTPFileSystem)(**sftp_server.options).cat_file("/a", 5, None) == b"TEXT"

    SMBFileSystem(**smb_server.options).pipe_file("/SHARE/a", b"Some text")
    swapping(SMBFileSystem)(**smb_server.options).get_file("/SHARE/a", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == b"sOME TEXT"


@pytest.mark.parametrize("cls", [LocalFileSystem, MemoryFileSystem, *KINDS[1:]])
def test_whether_something_is_there_is_what_an_info_of_its_own_says(cls, tmp_path):
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
