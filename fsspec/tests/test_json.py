"""Filesystems and paths within JSON."""

import json
import pathlib

import pytest

import fsspec
from fsspec.json import FilesystemJSONDecoder, FilesystemJSONEncoder
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


def test_positional_arguments():
    """They come back as such."""
    fs = fsspec.get_filesystem_class("dir")("/folder", fsspec.filesystem("memory"))
    assert AbstractFileSystem.from_json(fs.to_json()) is fs


def test_objects_that_are_neither_stay():
    """With a hook of the caller's, that gets them."""
    text = '{"cls": "collections:OrderedDict", "args": [1], "x": {"protocol": "memory"}}'
    assert json.loads(text, cls=FilesystemJSONDecoder) == json.loads(text)
    seen = json.loads('{"a": {"b": 1}}', cls=FilesystemJSONDecoder, object_hook=lambda d: sorted(d))
    assert seen == ["a"]


def test_numbers_are_parsed_as_told():
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
def test_what_names_no_filesystem(dct):
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


def test_inherited_instance_is_described_in_a_child():
    """It is the same description, and gives what is that instance there."""
    run(
        """
        import fsspec
        from fsspec._fork.child import by_fork
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
