"""Which class serves which protocol."""

import os
import sys
import types
import warnings
from pathlib import Path

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

TOP = str(Path(fsspec.__file__).parents[1])


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


def renamed(protocol, names):
    """A subclass of the class that serves a protocol, with names of its own."""
    try:
        cls = get_filesystem_class(protocol)
    except ImportError as error:
        pytest.skip(str(error))
    return type("Renamed", (cls,), {"protocol": names})


@pytest.mark.parametrize("names", ["own", ("own", "other"), ["own"]])
@pytest.mark.parametrize(
    ("protocol", "url", "path"),
    [
        ("file", "own:///a/b/", "/a/b"),
        ("file", "own:/a", "/a"),
        ("file", "own://rel", "{here}/rel"),
        ("file", "own:rel", "{here}/rel"),
        ("file", "file:///a", "{here}/file:///a"),
        ("file", "/a", "/a"),
        ("dbfs", "own://a/b", "/a/b"),
        ("dbfs", "own:/a/b", "/a/b"),
        ("github", "own://org:repo@sha/path/f", "path/f"),
        ("git", "own://folder:ref@path/f", "path/f"),
        ("zip", "own://a/b", "a/b"),
        ("sftp", "own://user@host/a", "/a"),
    ],
)
def test_a_subclass_takes_its_own_names_off(protocol, names, url, path, tmp_path, monkeypatch):
    """Not those of the class that it derives from."""
    monkeypatch.chdir(tmp_path)
    assert renamed(protocol, names)._strip_protocol(url) == path.format(here=tmp_path.as_posix())


def test_options_in_a_url_of_a_renamed_subclass():
    cls = renamed("git", "own")
    assert cls._get_kwargs_from_urls("own://folder:ref@path/f") == {"path": "folder", "ref": "ref"}


@pytest.mark.parametrize("names", ["tracked", ("tracked", "file")])
def test_urls_of_a_renamed_local_filesystem(names, tmp_path, monkeypatch):
    """They name the same files, and are what its files are called."""
    monkeypatch.chdir(tmp_path)
    register_implementation("tracked", renamed("file", names))
    url = f"tracked://{tmp_path.as_posix()}"
    with fsspec.open(f"{url}/a", "wb") as f:
        f.write(b"1")
    assert os.listdir(tmp_path) == ["a"] and sorted(fsspec.get_mapper(url)) == ["a"]
    assert [f.full_name for f in fsspec.open_files(f"{url}/*")] == [f"{url}/a"]
    fs, path = fsspec.url_to_fs("tracked://a")
    assert path == f"{tmp_path.as_posix()}/a" and fs.unstrip_protocol("a") == f"{url}/a"
    with fsspec.open(f"simplecache::{url}/a") as f:
        assert f.read() == b"1"
    assert fsspec.filesystem("generic").find(url) == [f"{url}/a"]
    fs.mv(f"{url}/a", f"{url}/b")
    assert fs.ls(url, detail=False) == [f"{tmp_path.as_posix()}/b"]


def test_a_local_filesystem_whose_instance_has_a_protocol(tmp_path):
    """URLs are written with it; what is taken off is the class's."""

    class Named(get_filesystem_class("file")):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.protocol = "instance"

    assert Named().unstrip_protocol("file:///a") == "instance:///a"


def test_a_renamed_generic_filesystem_takes_its_name_off():
    fs = renamed("generic", ("own", "other"))()
    assert fs._strip_protocol(["own://memory://r/one/", "other://memory://r"]) == [
        "memory:///r/one",
        "memory:///r",
    ]


def test_an_archive_of_another_protocol_says_how_it_is_written(tmp_path):
    with pytest.raises(OSError, match="write own://MEMBER"):
        renamed("zip", ("own", "zip"))(fo="")


@pytest.mark.parametrize("protocol", sorted(known_implementations))
def test_each_protocol_is_served_or_says_what_it_needs(protocol):
    """An ImportError names something to install; there is no third way."""
    try:
        cls = get_filesystem_class(protocol)
    except ImportError as error:
        assert "pip install" in str(error)
    except AttributeError as error:  # adlfs's own words for a service that is no more
        assert protocol == "adl" and "retired" in str(error)
    else:
        assert issubclass(cls, AbstractFileSystem)
        assert fsspec.registry[protocol] is cls


@pytest.mark.parametrize("protocol", ["nonsense", "", None, "File"])
def test_an_unknown_protocol_is_named(protocol):
    """An error that names it; none at all is the local one."""
    if not protocol:
        assert get_filesystem_class(protocol) is get_filesystem_class("file")
        return
    with pytest.raises(ValueError, match=f"Protocol not known: {protocol}[.]"):
        get_filesystem_class(protocol)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("htps", "https"),
        ("HTTP", "http"),
        ("S3://bucket", "s3"),
        ("memroy", "memory"),
        ("s4", "s3"),
        ("qqq", None),
    ],
)
def test_a_misspelled_protocol_suggests_the_one_meant(typed, meant):
    """The error suggests what it looks like."""
    with pytest.raises(ValueError, match="Protocol not known") as caught:
        get_filesystem_class(typed)
    assert ("Did you mean" in str(caught.value)) is (meant is not None)
    assert meant is None or f"'{meant}'" in str(caught.value)


def test_what_is_no_name_is_no_protocol():
    with pytest.raises(ValueError, match="Protocol not known: 3"):
        get_filesystem_class(3)


@pytest.mark.parametrize(("protocol", "hidden"), [("http", "aiohttp"), ("dask", "distributed")])
def test_only_what_is_missing_is_named(protocol, hidden):
    """Of several packages that a class needs."""
    found = run(
        f"""
        import sys
        sys.modules[{hidden!r}] = None
        import fsspec
        try:
            fsspec.filesystem({protocol!r})
        except ImportError as error:
            print(error)
        """
    )
    assert f"needs {hidden}, which is not installed: pip install 'fsspec[" in found and " and " not in found


def test_class_is_registered():
    """And takes the protocol for its own, if it has none."""
    register_implementation("own", Own)
    register_implementation("other", Named)
    assert get_filesystem_class("own") is Own and Own.protocol == "own"
    assert get_filesystem_class("other") is Named and Named.protocol == "named"
    assert isinstance(fsspec.filesystem("own"), Own)
    assert "own" in available_protocols()


def test_a_class_without_a_protocol_has_the_first_that_it_is_looked_up_by():
    class Nameless(AbstractFileSystem):
        pass

    for name in ("first", "second"):
        register_implementation(name, Nameless)
    assert Nameless.protocol == "abstract"
    assert get_filesystem_class("second").protocol == get_filesystem_class("first").protocol == "second"


def test_the_s3fs_that_is_advised_is_the_one_for_this_package():
    assert known_implementations["s3"]["err"].endswith(
        "pip install s3fs==" + fsspec.__version__.partition("+")[0]
    )


def test_name_is_registered_and_imported_when_asked_for():
    """With a colon or a dot before the class."""
    register_implementation("later", f"{__name__}:Named")
    register_implementation("dotted", f"{__name__}.Named")
    assert "later" not in fsspec.registry
    assert get_filesystem_class("later").__name__ == get_filesystem_class("dotted").__name__ == "Named"
    assert "later" in fsspec.registry


@pytest.mark.parametrize("given", [Own, f"{__name__}.Own"])
def test_another_class_is_replaced_only_on_request(given):
    """The error names what serves it; the same again is none."""
    register_implementation("taken", Named)
    known_implementations["taken"] = {"class": f"{__name__}.Named", "err": ""}
    with pytest.raises(ValueError, match="Named.*clobber"):
        register_implementation("taken", given)
    register_implementation("taken", Named)
    register_implementation("taken", given, clobber=True)
    assert get_filesystem_class("taken").__name__ == "Own"


def test_import_that_fails_reports_the_output():
    """The advice of those who registered it, or the name."""
    register_implementation("advised", "no_such_module.Class", errtxt="install the moon")
    register_implementation("plain", "no_such_module.Class")
    with pytest.raises(ImportError, match="install the moon") as caught:
        get_filesystem_class("advised")
    assert caught.value.name == "no_such_module"
    with pytest.raises(ImportError, match="no_such_module.Class.*'plain'"):
        get_filesystem_class("plain")


@pytest.mark.parametrize("version, old", [("0.4.2", True), ("0.5.0", False), ("2026.9.0", False)])
def test_versions_of_s3fs_that_are_slow_are_warned_of(monkeypatch, version, old):
    """The module is this test's own: what it is called and says of itself is all that is looked at."""
    module = types.ModuleType("s3fs")
    module.__version__, module.S3FileSystem = version, type("S3FileSystem", (AbstractFileSystem,), {})
    monkeypatch.setitem(sys.modules, "s3fs", module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert _import_class("s3fs.S3FileSystem") is module.S3FileSystem
    assert [w.category for w in caught] == [UserWarning] * old


def test_what_is_no_filesystem_is_refused_as_it_is_looked_up():
    """It says what is needed."""
    register_implementation("nofs", dict)
    for use in (get_filesystem_class, fsspec.filesystem):
        with pytest.raises(TypeError, match=r"registered for the protocol 'nofs'; a subclass of Abstract"):
            use("nofs")


@pytest.mark.parametrize(
    "given, error",
    [
        (3, TypeError),
        (None, TypeError),
        (Own(), TypeError),
        ("Own", ValueError),
        ("", ValueError),
        (".Own", ValueError),
    ],
)
def test_what_cannot_be_a_class_is_refused_as_it_is_registered(given, error):
    with pytest.raises(error, match="for the protocol 'never' .* is needed"):
        register_implementation("never", given)
    assert "never" not in available_protocols()


@pytest.mark.parametrize("name", [("a", "b"), None, 3])
def test_a_protocol_that_is_no_text_is_refused(name):
    for given in (Own, f"{__name__}.Own"):
        with pytest.raises(TypeError, match="a protocol is text"):
            register_implementation(name, given)


def test_a_function_may_make_filesystems():
    """As with upstream."""
    register_implementation("made", lambda **options: Own())
    assert isinstance(fsspec.filesystem("made"), Own)


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


PLUGIN = """
from fsspec.spec import AbstractFileSystem
class Plugged(AbstractFileSystem):
    protocol = "plugged"
"""


@pytest.fixture
def plugin(tmp_path):
    """A package that announces classes, one of them for a protocol that this package serves."""
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    points = "[fsspec.specs]\nplugged=plugin:Plugged\nbad=nowhere:Bad\nmemory=plugin:Plugged\n"
    (info / "entry_points.txt").write_text(points)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return str(tmp_path)


@pytest.mark.parametrize(
    "look",
    [
        "known['plugged']['class'] == 'plugin.Plugged'",
        "'plugged' in known",
        "known.get('plugged')",
        "'plugged' in list(known)",
        "'plugged' in dict(known)",
        "'plugged' in {**known}",
        "'plugged' in known.copy() and 'plugged' in (known | {})",
        "any(v['class'] == 'plugin.Plugged' for v in known.values())",
        "'plugged' in fsspec.available_protocols()",
        "fsspec.get_filesystem_class('memory').__module__ == 'plugin'",
        "fsspec.filesystem('memory').protocol == fsspec.filesystem('plugged').protocol == 'plugged'",
        "fsspec.open('memory://a').fs.protocol == 'plugged'",
    ],
)
def test_whoever_looks_finds_the_entry_points(look, plugin):
    """They are not read at import, which nobody can tell."""
    text = f"""
        import sys
        import fsspec
        from fsspec.registry import known_implementations as known
        print("importlib.metadata" in sys.modules)
        assert {look}
        """
    assert run(text, PYTHONPATH=plugin) == "False\n"


def test_where_nothing_is_announced_metadata_is_not_imported(tmp_path):
    """Though other packages are installed, with entry points of other groups."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[console_scripts]\na=b:c\n")
    text = """
        import sys
        sys.path[:] = [p for p in sys.path if not p.endswith("site-packages")]
        import fsspec
        fsspec.filesystem("memory")
        print("importlib.metadata" in sys.modules)
        """
    assert run(text, PYTHONPATH=os.pathsep.join((str(tmp_path), TOP))) == "False\n"


def test_an_entry_point_that_cannot_be_imported_says_what_it_names(plugin):
    """In the words of its author."""
    text = """
        import fsspec
        try:
            fsspec.filesystem("bad")
        except ImportError as error:
            print(error)
        """
    found = run(text, PYTHONPATH=plugin)
    assert "'bad'" in found and "nowhere:Bad" in found


def test_a_misspelt_class_is_told_with_what_names_it(monkeypatch):
    """By the entry point, or by the registration, and with what may be meant; the type is upstream's."""
    from importlib import metadata

    point = metadata.EntryPoint("announced", "fsspec.archive:AbstractArchiveFileSytem", "fsspec.specs")
    monkeypatch.setattr(metadata, "entry_points", lambda: {"fsspec.specs": [point]})
    fsspec.process_entries()
    register_implementation("registered", "fsspec.archive.AbstractArchiveFileSytem")
    missing = "module 'fsspec.archive' has no attribute 'AbstractArchiveFileSytem'"
    named = {
        "announced": "the entry point 'announced' names fsspec.archive:AbstractArchiveFileSytem,"
        " which cannot be imported",
        "registered": "the import of fsspec.archive.AbstractArchiveFileSytem fails",
    }
    for protocol, what in named.items():
        with pytest.raises(AttributeError) as caught:
            get_filesystem_class(protocol)
        text = f"the protocol {protocol} cannot be used: {what}: {missing}."
        text += " Did you mean 'AbstractArchiveFileSystem'?"
        assert str(caught.value) == text and type(caught.value) is AttributeError


def test_what_a_program_registers_wins_over_entry_points(plugin):
    """Whenever the entry points are read."""
    text = """
        import fsspec
        from fsspec.registry import known_implementations as known
        class Mine(fsspec.AbstractFileSystem):
            protocol = "plugged"
        fsspec.register_implementation("plugged", Mine)
        known["memory"] = {"class": "fsspec.implementations.local.LocalFileSystem"}
        assert fsspec.get_filesystem_class("plugged") is Mine
        assert fsspec.get_filesystem_class("memory").__name__ == "LocalFileSystem"
        """
    assert run(text, PYTHONPATH=plugin) == ""


def test_entry_points_given_as_a_dict(monkeypatch):
    """As `importlib.metadata` gave them before Python 3.10, and as programs patch it."""
    from importlib import metadata

    points = [metadata.EntryPoint("patched", "plugin:Plugged", "fsspec.specs")]
    monkeypatch.setattr(metadata, "entry_points", lambda: {"fsspec.specs": points})
    fsspec.process_entries()
    assert known_implementations["patched"]["class"] == "plugin.Plugged"


def test_another_advice_for_the_same_class():
    """It is taken over where it may replace the first."""
    register_implementation("zebra", "nomodule.Cls")
    register_implementation("zebra", "nomodule.Cls", errtxt="hint1")
    with pytest.raises(ImportError, match="nomodule"):
        get_filesystem_class("zebra")
    register_implementation("zebra", "nomodule.Cls", errtxt="hint2", clobber=True)
    with pytest.raises(ImportError, match="hint2"):
        get_filesystem_class("zebra")


def test_registered_in_the_parent_is_registered_in_the_child():
    """And what a child registers is its own."""
    found = run(
        """
        import fsspec
        from fsspec._checks.forked import by_fork
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


@pytest.mark.parametrize("text", ["import http.nothing", "raise ImportError('its library is too old')"])
def test_a_package_that_is_there_and_cannot_be_imported_is_not_to_be_installed(text, tmp_path, monkeypatch):
    (tmp_path / "brokenfs.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    entry = {"class": "brokenfs.BrokenFileSystem", "err": "the protocol broken needs the package brokenfs"}
    monkeypatch.setitem(known_implementations, "broken", entry)
    with pytest.raises(
        ImportError, match="import of brokenfs.BrokenFileSystem fails .*(http.nothing|too old)"
    ):
        get_filesystem_class("broken")
    monkeypatch.setitem(known_implementations, "absent", {**entry, "class": "absentfs.FileSystem"})
    with pytest.raises(ImportError, match="needs the package brokenfs .*absentfs"):
        get_filesystem_class("absent")


def test_what_is_no_text_is_like_no_protocol():
    with pytest.raises(ValueError, match="Protocol not known: 3. A protocol is text"):
        fsspec.filesystem(3)


def test_a_message_has_the_right_article():
    with pytest.raises(TypeError, match="not an int$"):
        register_implementation("articles", 3)
