"""Which class serves which protocol."""

import pytest

import fsspec
from fsspec.registry import (
    _import_class,
    _registry,
    available_protocols,
    get_filesystem_class,
    known_implementations,
    register_implementation,
)
from fsspec.spec import AbstractFileSystem
from fsspec.tests.programs import run


@pytest.fixture(autouse=True)
def same_registry_afterwards():
    """What a test registers is forgotten."""
    known, imported = dict(known_implementations), dict(_registry)
    yield
    for now, before in ((known_implementations, known), (_registry, imported)):
        now.clear()
        now.update(before)


class Own(AbstractFileSystem):
    """A class that has no protocol."""


class Named(AbstractFileSystem):
    """A class that has one."""

    protocol = "named"


@pytest.mark.parametrize("protocol", sorted(known_implementations))
def test_each_protocol_is_served_or_says_what_it_needs(protocol):
    """An ImportError names something to install; there is no third way."""
    try:
        cls = get_filesystem_class(protocol)
    except ImportError as error:
        assert "pip install" in str(error)
    else:
        assert issubclass(cls, AbstractFileSystem)
        assert fsspec.registry[protocol] is cls


@pytest.mark.parametrize("protocol", ["nonsense", "", None, "File"])
def test_unknown_protocol(protocol):
    """An error that names it; none at all is the local one."""
    if not protocol:
        assert get_filesystem_class(protocol) is get_filesystem_class("file")
        return
    with pytest.raises(ValueError, match=f"'{protocol}'"):
        get_filesystem_class(protocol)


def test_class_is_registered():
    """And takes the protocol for its own, if it has none."""
    register_implementation("own", Own)
    register_implementation("other", Named)
    assert get_filesystem_class("own") is Own and Own.protocol == "own"
    assert get_filesystem_class("other") is Named and Named.protocol == "named"
    assert isinstance(fsspec.filesystem("own"), Own)
    assert "own" in available_protocols()


def test_name_is_registered_and_imported_when_asked_for():
    """With a colon or a dot before the class."""
    register_implementation("later", f"{__name__}:Named")
    register_implementation("dotted", f"{__name__}.Named")
    assert "later" not in fsspec.registry
    assert get_filesystem_class("later").__name__ == get_filesystem_class("dotted").__name__ == "Named"
    assert "later" in fsspec.registry


@pytest.mark.parametrize("given", [Own, f"{__name__}.Own"])
def test_another_class_is_replaced_only_if_told(given):
    """The error names what serves it; the same again is none."""
    register_implementation("taken", Named)
    known_implementations["taken"] = {"class": f"{__name__}.Named", "err": ""}
    with pytest.raises(ValueError, match="Named.*clobber"):
        register_implementation("taken", given)
    register_implementation("taken", Named)
    register_implementation("taken", given, clobber=True)
    assert get_filesystem_class("taken").__name__ == "Own"


def test_import_that_fails_tells_what_was_said():
    """The advice of those who registered it, or the name."""
    register_implementation("advised", "no_such_module.Class", errtxt="install the moon")
    register_implementation("plain", "no_such_module.Class")
    with pytest.raises(ImportError, match="install the moon") as caught:
        get_filesystem_class("advised")
    assert caught.value.name == "no_such_module"
    with pytest.raises(ImportError, match="no_such_module.Class.*'plain'"):
        get_filesystem_class("plain")


def test_what_is_no_class():
    """The module is there, the name is not, or is something else."""
    assert _import_class("pathlib:PurePath") is _import_class("pathlib.PurePath")
    register_implementation("wrong", "json:dumps")
    with pytest.raises(TypeError, match="json:dumps is not a class"):
        get_filesystem_class("wrong")
    register_implementation("absent", "json:absent")
    with pytest.raises(AttributeError, match="absent"):
        get_filesystem_class("absent")


def test_view_is_read_only():
    """Changes go through `register_implementation`."""
    with pytest.raises(TypeError):
        fsspec.registry["x"] = Own


def test_old_name_of_hdfs_warns():
    """Before it looks for what it needs."""
    with pytest.warns(DeprecationWarning, match="hdfs"):
        try:
            fsspec.filesystem("arrow_hdfs")
        except (ImportError, OSError):
            pass


def test_entry_points_are_read_when_they_are_needed(tmp_path):
    """Not at import, nor for a protocol that the package serves itself; theirs come first."""
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fsspec.specs]\nplugged=plugin:Plugged\nbad=nowhere:Bad\n")
    (tmp_path / "plugin.py").write_text(
        "from fsspec.spec import AbstractFileSystem\n"
        "class Plugged(AbstractFileSystem): protocol = 'plugged'\n"
    )
    found = run(
        """
        import sys
        import fsspec
        fsspec.filesystem("memory")
        print("importlib.metadata" in sys.modules, fsspec.filesystem("plugged").protocol)
        print("plugged" in fsspec.available_protocols())
        try:
            fsspec.filesystem("bad")
        except ImportError as error:
            print(error)
        """,
        PYTHONPATH=str(tmp_path),
    )
    lines = found.splitlines()
    assert lines[:2] == ["False plugged", "True"]
    assert "'bad'" in lines[2] and "nowhere:Bad" in lines[2]


def test_registered_in_the_parent_is_registered_in_the_child():
    """And what a child registers is its own."""
    found = run(
        """
        import fsspec
        from fsspec._fork.child import by_fork
        fsspec.register_implementation("kept", "fsspec.implementations.memory.MemoryFileSystem")
        def body():
            fsspec.filesystem("kept")
            fsspec.register_implementation("new", fsspec.get_filesystem_class("memory"))
            fsspec.filesystem("new")
        assert by_fork(body).problem() == ""
        print("new" in fsspec.available_protocols(), "kept" in fsspec.registry)
        """
    )
    assert found == "False False\n"
