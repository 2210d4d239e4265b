"""What the package calls its members: pickles of one release are read by another, upstream's included."""

import importlib
import inspect
import io
import pickle
import pickletools
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fsspec
from fsspec._public import LAZY_NAMES
from fsspec.asyn import AbstractAsyncStreamedFile, AsyncFileSystem
from fsspec.caching import BackgroundBlockCache, KnownPartsOfAFile, caches
from fsspec.core import OpenFile
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileOpener, LocalFileSystem
from fsspec.implementations.memory import MemoryFile
from fsspec.registry import _registry
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


def private(name):
    return any(part.startswith("_") for part in name.split("."))


def public_modules():
    for found in pkgutil.walk_packages(fsspec.__path__, "fsspec."):
        if not private(found.name) and "tests" not in found.name.split("."):
            yield found.name


def strings(pickled):
    return {arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)}


def fetcher(start, end):
    return bytes(range(start, end))


def loaded(name):
    """A module; the import of http_sync has it serve http, to other tests as well, which is taken back."""
    served = dict(_registry)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"an optional package is missing: {error}")
    finally:
        _registry.clear()
        _registry.update(served)


@pytest.mark.parametrize("name", sorted(public_modules()))
def test_members_of_public_modules_say_so(name):
    """Classes and functions that a public module lists are not known by a private module's name."""
    module = loaded(name)
    for member in getattr(module, "__all__", ()):
        found = getattr(module, member)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert not private(found.__module__), member


def test_messages_about_arguments_name_the_class_that_programs_know(m):
    """Methods that `AbstractFileSystem` has of private bases are known by its name, and pickle by it."""
    with pytest.raises(TypeError, match=r"AbstractFileSystem\.tail\(\)"):
        m.tail("/x", n=3)
    methods = [x for _, x in inspect.getmembers(AbstractFileSystem, inspect.isfunction)]
    assert not [x for x in methods if private(x.__module__)]
    assert all(pickle.loads(pickle.dumps(x)) is x for x in (AbstractFileSystem.tail, AbstractFileSystem.walk))


@pytest.mark.parametrize("name", LAZY_NAMES)
def test_modules_have_what_programs_take_from_them_and_others_define(name):
    module = loaded(name)
    for lent in LAZY_NAMES[name].split():
        home, _, member = lent.rpartition(".")
        assert getattr(module, member) is getattr(importlib.import_module(f"fsspec.{home}"), member)
        assert member in vars(module), "a program may put another in its place"
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_a_star_import_brings_no_name_of_a_program_s_own():
    names: dict = {"__version__": "the program's"}
    exec("from fsspec import *", names)
    assert names["__version__"] == "the program's" and names["open_files"] is fsspec.open_files


@pytest.fixture
def objects(tmp_path, m):
    (tmp_path / "a").write_bytes(b"one\ntwo\n")
    m.pipe("/f", b"content")
    local = LocalFileSystem()
    handle = local.open(tmp_path / "a", "rb")
    inside = m.open("/f", "rb")
    copy = fsspec.filesystem("filecache", fs=m, cache_storage=str(tmp_path / "copies")).open("/f", "rb")
    yield {
        "instance": local,
        "nested": DirFileSystem("/", local),
        "cache": fsspec.filesystem(
            "blockcache", target_protocol="file", cache_storage=str(tmp_path / "kept")
        ),
        "copy": copy,
        "generic": fsspec.filesystem("generic"),
        "open file": handle,
        "file in memory": inside,
        "to be opened": fsspec.open(tmp_path / "a", "rt"),
        "several": fsspec.open_files(str(tmp_path / "*")),
        "mapper": fsspec.get_mapper(str(tmp_path)),
        **{f"cache type {key}": made(4, fetcher, 100) for key, made in caches.items() if key is not None},
    }
    handle.close()
    inside.close()
    copy.close()


def test_pickles_name_no_private_module(objects):
    for what, it in objects.items():
        named = {text for text in strings(pickle.dumps(it)) if text.startswith("fsspec.")}
        assert named, what
        assert not [name for name in named if private(name)], what


def test_pickles_that_name_modules_of_earlier_releases_load(tmp_path, m):
    instance = (
        b"cfsspec._instances\nmake_instance\n(cfsspec.implementations.memory\nMemoryFileSystem\n(t(dtR."
    )
    assert pickle.loads(instance) is m
    (tmp_path / "a").write_text("text")
    made = pickle.dumps(fsspec.open(tmp_path / "a", "rt"), protocol=0)
    earlier = made.replace(b"cfsspec.core\n", b"cfsspec._openfile\n").replace(
        b"cfsspec.spec\n", b"cfsspec._instances\n"
    )
    assert earlier.count(b"_openfile") == earlier.count(b"_instances") == 1
    again = pickle.loads(earlier)
    assert type(again) is OpenFile
    with again as f:
        assert f.read() == "text"


def test_an_open_local_file_of_upstream_loads(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    state = {
        "path": str(tmp_path / "a"),
        "mode": "rb",
        "fs": LocalFileSystem(),
        "autocommit": True,
        "compression": None,
        "blocksize": 8192,
        "size": 10,
        "loc": 4,
    }
    ours = LocalFileSystem().open(tmp_path / "a", "rb")
    with ours:
        ours.seek(4)
        assert ours.__getstate__() == state
    made = LocalFileOpener.__new__(LocalFileOpener)
    made.__setstate__(state)
    with made:
        assert made.read() == b"456789"


def test_caches_of_upstream_load():
    counts = {"hit_count": 0, "miss_count": 0, "total_requested_bytes": 0}
    sizes = {"size": 100, "blocksize": 10, "nblocks": 10, "maxblocks": 32}
    ahead = BackgroundBlockCache.__new__(BackgroundBlockCache)
    ahead.__setstate__({"fetcher": fetcher, "_closed": False, **sizes, **counts})
    assert ahead._fetch(5, 25) == fetcher(5, 25)
    parts = KnownPartsOfAFile.__new__(KnownPartsOfAFile)
    parts.__dict__.update(
        {"blocksize": 10, "fetcher": fetcher, "strict": False, "data": {(0, 4): b"abcd"}, **counts}
    )
    assert pickle.loads(pickle.dumps(parts))._fetch(1, 3) == b"bc"


def test_a_file_in_memory_travels_with_its_content(m):
    m.pipe("/f", b"content")
    with m.open("/f", "rb") as f:
        f.read(3)
        pickled = pickle.dumps(f)
    m.rm("/f")  # as in another process, where it never was
    again = pickle.loads(pickled)
    assert type(again) is MemoryFile
    assert again.read() == b"tent"
    assert again.path == "/f"


def test_errors_that_reach_programs_are_known_by_public_modules():
    http = pytest.importorskip("fsspec.implementations.http")
    for kind in (
        http.HTTPNotFoundError,
        http.UnreachableError,
        http.InvalidURLError,
        fsspec.utils.NoPathError,
    ):
        assert not private(kind.__module__) and pickle.loads(pickle.dumps(kind)) is kind


OF_UPSTREAM = frozenset(
    "_cache _cached _call _cat _close _closed _connect _copy _details _du _exists _fetch _find _get"
    " _glob _info _intrans _isdir _isfile _isfilestore _join _latest _load _loop _ls _makedirs"
    " _makefile _mapper _mapping _metadata _mkcache _mkdir _open _parent _pid _pipe _port _put _read"
    " _relpath _revive _rm _save _session _size _sizes _storage _transaction _walk".split()
)
"""Private names of one word that who derives from the classes knows, and `_revive`, which is documented."""
OF_PICKLES = frozenset("_after _assigned _before _middle".split())
"""Those of caches that pickles of earlier releases have."""
WITHOUT_SUBCLASSES = ("fsspec.fuse", "fsspec.gui")


@pytest.mark.parametrize("name", sorted({*public_modules()}.difference(WITHOUT_SUBCLASSES)))
def test_no_private_name_is_one_that_a_class_derived_from_it_may_choose(name):
    """A backend's ``_drive`` or ``_request`` is its own: names of the package's are of two words."""
    found = {}
    for base in vars(loaded(name)).values():
        if inspect.isclass(base) and base.__module__ == name and not issubclass(base, tuple):
            found[base.__name__] = one_word_names(base) - OF_UPSTREAM - OF_PICKLES
    assert not {cls: names for cls, names in found.items() if names and not private(cls)}


def one_word_names(base):
    """What a class and its bases have, are annotated with, or use of their instances."""
    names = set()
    for cls in base.__mro__:
        if cls.__module__.startswith("fsspec."):
            names.update(vars(cls), vars(cls).get("__annotations__", {}))
            for member in vars(cls).values():
                function = inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", member)))
                if inspect.isfunction(function) and not function.__code__.co_filename.startswith("<"):
                    names.update(re.findall(r"\bself\.(_\w+)", inspect.getsource(function)))
    return {name for name in names if re.fullmatch("_[a-z]+", name)}


TWO_WORDS_OF_UPSTREAM = frozenset(
    "_abc_impl _cat_file _cat_ranges _cp_file _expand_path _extra_tokenize_attributes _fetch_range"
    " _fs_token _get_file _get_kwargs_from_urls _get_pyarrow_filesystem _initiate_upload"
    " _instantiation_lock _ls_from_cache _mv_file _pipe_file _process_limits _put_file _rm_file"
    " _strip_protocol _strip_tokenize_options _upload_chunk".split()
)


@pytest.mark.parametrize(
    "base", [AbstractFileSystem, AsyncFileSystem, AbstractBufferedFile, AbstractAsyncStreamedFile]
)
def test_a_backend_that_was_written_for_upstream_has_no_name_that_a_base_class_here_takes(base):
    """A backend's ``_open_upload`` is its own, too: names of the base classes begin with a mark."""
    taken = {name for name in dir(base) if re.match("_[a-z]", name)}.difference(dir(io.IOBase))
    own = taken - OF_UPSTREAM - TWO_WORDS_OF_UPSTREAM - {"_after_fork_in_child"}
    assert {name for name in own if not name.startswith(("_fsspec_", "_fork_"))} == set()


IMPORT_ALL = """
import importlib, pkgutil
import fsspec, fsspec.tests.abstract
for found in [*pkgutil.walk_packages(fsspec.__path__, "fsspec."),
              *pkgutil.walk_packages(fsspec.tests.abstract.__path__, "fsspec.tests.abstract.")]:
    try:
        importlib.import_module(found.name)
    except ImportError as error:
        assert not (error.name or "").startswith("fsspec"), (found.name, error)
print(fsspec.__file__, fsspec.tests.abstract.__file__)
"""


def test_all_that_is_installed_can_be_imported_without_the_rest_of_the_tree(tmp_path, monkeypatch):
    """The tests for authors of backends as well, which are installed without the project's own tests."""
    top = Path(fsspec.__file__).parent.parent
    if not (top / "setup.py").exists():
        pytest.skip("needs the project's tree")
    build = [
        "setup.py",
        "-q",
        "egg_info",
        "--egg-base",
        str(tmp_path),
        "build_py",
        "--build-lib",
        str(tmp_path),
    ]
    subprocess.run([sys.executable, *build], cwd=top, check=True)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert all(file.startswith(str(tmp_path)) for file in done.stdout.split()), done.stdout
