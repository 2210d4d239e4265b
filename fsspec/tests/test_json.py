"""Filesystems and paths within JSON."""

import json
import pathlib
import sys
import zipfile

import pytest

import fsspec
from fsspec.json import FilesystemJSONDecoder, FilesystemJSONEncoder
from fsspec.registry import known_implementations
from fsspec.spec import AbstractFileSystem
from fsspec.tests.programs import run


def again(value):
    """A value that was JSON in between."""
    return json.loads(json.dumps(value, cls=FilesystemJSONEncoder), cls=FilesystemJSONDecoder)


def test_filesystem_comes_back_as_the_same_instance():
    """Its class and options, none of them left out where it is None."""
    fs = fsspec.filesystem("memory", a=1, b=None, c=[1.5, "x", {"d": True}])
    assert AbstractFileSystem.from_json(fs.to_json()) is fs
    assert AbstractFileSystem.from_dict(fs.to_dict()) is fs
    assert fs.to_dict()["cls"] == "fsspec.implementations.memory:MemoryFileSystem"


def test_filesystems_and_paths_within_others():
    """Wherever they lie."""
    inner = fsspec.filesystem("memory")
    outer = fsspec.filesystem("dir", path="/folder", fs=inner)
    paths = [pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:\\a")]
    value = {"list": [outer, *paths], "n": None}
    back = again(value)
    assert back == value
    assert back["list"][0].fs is inner


def test_positional_arguments_come_back_as_such():
    """They come back as such."""
    fs = fsspec.get_filesystem_class("dir")("/folder", fsspec.filesystem("memory"))
    assert AbstractFileSystem.from_json(fs.to_json()) is fs


def test_objects_that_are_neither_stay():
    """With a hook of the caller's, that gets them."""
    text = '{"cls": "collections:OrderedDict", "args": [1], "x": {"protocol": "memory"}}'
    assert json.loads(text, cls=FilesystemJSONDecoder) == json.loads(text)
    seen = json.loads('{"a": {"b": 1}}', cls=FilesystemJSONDecoder, object_hook=lambda d: sorted(d))
    assert seen == ["a"]


def test_numbers_are_parsed_as_given():
    """The arguments of the standard library's decoder go there."""
    assert json.loads("[1.5, 2]", cls=FilesystemJSONDecoder, parse_float=str, parse_int=float) == ["1.5", 2.0]


@pytest.mark.parametrize(
    "cls",
    ["os:system", "subprocess:Popen", "subprocess.Popen", "builtins:eval", "no.such:Thing", "", ":", "."],
)
def test_only_filesystems_and_paths_are_made(cls, tmp_path):
    """Text from elsewhere does not call anything else."""
    text = json.dumps({"cls": cls, "args": [["touch", str(tmp_path / "made")]], "str": "touch"})
    assert json.loads(text, cls=FilesystemJSONDecoder) == json.loads(text)
    with pytest.raises(ValueError, match="to_dict"):
        AbstractFileSystem.from_dict(json.loads(text))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("dct", [{}, {"protocol": "memory"}, {"cls": "no.such:X", "protocol": "nonsense"}])
def test_a_description_of_no_filesystem_is_refused(dct):
    """The error says what a description holds."""
    with pytest.raises(ValueError, match="no filesystem class for"):
        AbstractFileSystem.from_dict(dct)


def test_class_that_moved_is_found_by_its_protocol():
    """The first of what is known is taken."""
    fs = AbstractFileSystem.from_dict({"cls": "old.place:Memory", "protocol": "memory", "args": [], "k": 1})
    assert fs is fsspec.filesystem("memory", k=1)


def test_what_has_no_json_form():
    """As of the standard library."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        fsspec.filesystem("memory", odd=object()).to_json()
    with pytest.raises(json.JSONDecodeError):
        AbstractFileSystem.from_json("{")


def test_passwords_can_be_left_out():
    """Those of filesystems and options within it as well."""
    inner = fsspec.filesystem("memory", password="hunter2", user="u")
    options = {"password": "hunter2", "host": "h"}
    fs = fsspec.filesystem("dir", path="/", fs=inner, target_options=options, password="hunter2")
    assert "hunter2" in fs.to_json()
    text = fs.to_json(include_password=False)
    assert "hunter2" not in text and '"host": "h"' in text and '"user": "u"' in text
    assert "hunter2" not in str(fs.to_dict(include_password=False))


SECRETS = {
    "password": "hunter2",
    "key": "hunter2",
    "secret": "hunter2",
    "token": "hunter2",
    "tok": "hunter2",
    "account_key": "hunter2",
    "headers": {"Authorization": "hunter2"},
    "client_kwargs": {"auth": "hunter2", "headers": {"X": "hunter2"}, "aws_session_token": "hunter2"},
    "connection_string": "hunter2",
}


def test_all_secrets_can_be_left_out():
    """By their names, wherever they are; what only sounds like one stays."""
    fs = fsspec.filesystem("memory", **SECRETS, key_filename="/k", anon=False, token_url="u")
    for shown in (fs.to_json(include_password=False), str(fs.to_dict(include_password=False))):
        assert "hunter2" not in shown
    back = AbstractFileSystem.from_json(fs.to_json(include_password=False))
    assert back.storage_options == {
        "client_kwargs": {},
        "key_filename": "/k",
        "anon": False,
        "token_url": "u",
    }
    assert AbstractFileSystem.from_json(fs.to_json()) is fs


def test_secrets_within_urls_can_be_left_out():
    options = {
        "proxy": "http://me:hunter2@proxy:3128/",
        "targets": ["s3://b/k::http://me:hunter2@h/a?versionId=5&X-Amz-Signature=hunter2&sig=hunter2#part"],
        "plain": "https://h/a?page=2&size=3",
    }
    fs = fsspec.filesystem("memory", **options)
    back = AbstractFileSystem.from_json(fs.to_json(include_password=False))
    assert back.storage_options == {
        "proxy": "http://me@proxy:3128/",
        "targets": ["s3://b/k::http://me@h/a?versionId=5&X-Amz-Signature=&sig=#part"],
        "plain": "https://h/a?page=2&size=3",
    }
    assert AbstractFileSystem.from_json(fs.to_json()) is fs


def test_positional_secrets_can_be_left_out():
    class Named(fsspec.get_filesystem_class("memory")):
        def __init__(self, host, password, *more, **options):
            super().__init__(**options)

    fs = Named("h", "hunter2", "x")
    assert fs.to_dict(include_password=False)["args"] == ["h", None, "x"]
    assert fs.to_dict()["args"] == ["h", "hunter2", "x"]


MODULE = """
import fsspec
open({made!r}, "w").close()
class FS(fsspec.get_filesystem_class("memory")):
    protocol = "elsewhere"
class Path(__import__("pathlib").PurePosixPath):
    pass
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A module that can be imported and was not; the file that tells whether it is."""
    made = tmp_path / "made"
    (tmp_path / "elsewhere_fs.py").write_text(MODULE.format(made=str(made)))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield made
    sys.modules.pop("elsewhere_fs", None)


@pytest.mark.parametrize("protocol", ["elsewhere", "memory"])
def test_text_imports_no_module(elsewhere, protocol):
    """The refusal says how to allow it; another class does not take its place."""
    dct = {"cls": "elsewhere_fs:FS", "protocol": protocol, "args": []}
    for read in (
        lambda **allow: AbstractFileSystem.from_dict(dct, **allow),
        lambda **allow: AbstractFileSystem.from_json(json.dumps(dct), **allow),
    ):
        sys.modules.pop("elsewhere_fs", None)
        with pytest.raises(ValueError, match=r"allow=\['elsewhere_fs:FS'\]"):
            read()
        assert not elsewhere.exists()
        for allow in (["elsewhere_fs:FS"], ["elsewhere_fs"], "elsewhere_fs"):
            sys.modules.pop("elsewhere_fs", None)
            assert type(read(allow=allow)).__name__ == "FS" and elsewhere.exists()
        assert type(read()).__name__ == "FS"  # it is imported now
        elsewhere.unlink()
    with pytest.raises(ValueError, match="allow"):
        sys.modules.pop("elsewhere_fs", None)
        json.loads(json.dumps([{"fs": dct}]), cls=FilesystemJSONDecoder)
    assert not elsewhere.exists()


def test_text_imports_no_module_for_a_path(elsewhere):
    text = '{"cls": "elsewhere_fs.Path", "str": "/x"}'
    assert json.loads(text, cls=FilesystemJSONDecoder) == json.loads(text)
    assert not elsewhere.exists()
    found = AbstractFileSystem.from_json(text, allow=["elsewhere_fs.Path"])
    assert type(found).__name__ == "Path" and elsewhere.exists()


def test_text_empties_no_archive(tmp_path):
    """Unless it may."""
    path = tmp_path / "a.zip"
    fs = fsspec.filesystem("zip", fo=str(path), mode="w")
    fs.pipe_file("x", b"1")
    text = fs.to_json()
    fs.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="mode 'w'.*allow=") as refused:
        AbstractFileSystem.from_json(text)
    assert path.read_bytes() == before and str(path) in str(refused.value)
    allowed = AbstractFileSystem.from_json(text, allow=["fsspec.implementations.zip:ZipFileSystem"])
    assert allowed.mode == "w"
    allowed.close()
    path.write_bytes(before)
    dct = {**json.loads(text), "mode": "r"}
    assert AbstractFileSystem.from_dict(dct).cat("x") == b"1"


def _of(protocol, *args, **options):
    return {"cls": known_implementations[protocol]["class"], "protocol": protocol, "args": args, **options}


@pytest.mark.parametrize("mode", ["w", "a", "x"])
@pytest.mark.parametrize("where", ["positional", "dir", "cache", "reference", "chain", "nested"])
def test_nor_by_other_ways(mode, where, tmp_path):
    """By position, by the options of a filesystem within another, by a chain of URLs."""
    path = tmp_path / "a.zip"
    if mode != "x":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", b"1")
    before = path.read_bytes() if mode != "x" else None
    options = {"fo": str(path), "mode": mode}
    within = {"target_protocol": "zip", "target_options": options}
    dct = {
        "positional": _of("zip", str(path), mode),
        "dir": _of("dir", path="", **within),
        "cache": _of("blockcache", cache_storage=str(tmp_path / "c"), **within),
        "reference": _of("reference", fo={}, remote_protocol="zip", remote_options=options),
        "chain": _of("zip", fo=f"zip://y::file://{path}", target_options={"zip": {"mode": mode}}),
        "nested": _of("dir", path="", fs=_of("zip", str(path), mode)),
    }[where]
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        AbstractFileSystem.from_json(json.dumps(dct))
    assert "allow=" in str(refused.value) or where == "chain"
    assert (path.read_bytes() if path.exists() else None) == before
    if where == "positional" and mode != "a":
        found = AbstractFileSystem.from_dict(dct, allow=["fsspec.implementations.zip:ZipFileSystem"])
        assert found.mode == mode
        found.close()


def test_registered_classes_need_no_leave():
    """Those of packages are imported as their protocol is known."""
    for protocol in ("zip", "http", "s3"):
        cls = known_implementations[protocol]["class"]
        found = FilesystemJSONDecoder.try_resolve_fs_cls({"cls": cls, "protocol": protocol})
        assert found is fsspec.get_filesystem_class(protocol)
    named = {"cls": "s3fs.core:S3FileSystem", "protocol": "s3", "args": [], "anon": True}
    assert AbstractFileSystem.from_dict(named) is fsspec.filesystem("s3", anon=True)


def test_inherited_instance_is_described_in_a_child():
    """It is the same description, and gives what is that instance there."""
    run(
        """
        import fsspec
        from fsspec._checks.forked import by_fork
        from fsspec.spec import AbstractFileSystem
        fs = fsspec.filesystem("dir", path="/a", fs=fsspec.filesystem("memory"))
        text = fs.to_json()
        def body():
            assert fs.to_json() == text
            assert AbstractFileSystem.from_json(text) is fs
        assert by_fork(body).problem() == "", by_fork(body).problem()
        """,
        FSSPEC_FORK_RESET="1",
    )
