"""The table of what is known of other packages' classes and modules."""

import os
import sys

import pytest

from fsspec._fork import class_facts
from fsspec.spec import AbstractFileSystem
from fsspec.tests.programs import run

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def test_entries_hold_for_subclasses_and_name_one_class():
    class Base:
        pass

    class Derived(Base):
        pass

    class_facts.learn(f"{__name__}:{Base.__qualname__}", class_facts.Facts(keeps=("a",)))
    assert class_facts.facts_of(Derived).keeps == ("a",)
    class_facts.learn(f"{__name__}:{Derived.__qualname__}", class_facts.Facts(holds=True))
    assert class_facts.facts_of(Derived) == class_facts.Facts(holds=True)
    assert class_facts.facts_of(AbstractFileSystem) is class_facts.NOTHING


@pytest.mark.parametrize(
    "name, facts, kind, match",
    [
        ("a.b:C", {"holds": True}, TypeError, r"fsspec.fork.Facts\(...\), not a str and a dict"),
        (None, class_facts.Facts(), TypeError, "'module:Class' .* not None and a Facts"),
        ("a.b:C", class_facts.Facts(keeps="names"), TypeError, r"keeps .* 'a.b:C' is text; \('names',\)"),
        ("a.b:C", class_facts.Facts(arguments="fs"), TypeError, r"arguments .* is text; \('fs',\)"),
        ("a.b", class_facts.Facts(renews=("_lock",)), TypeError, "renews .* is a dict, not a tuple"),
        ("a.b:C", class_facts.Facts(starts="run"), TypeError, "starts .* is a dict, not a str"),
        ("a.b.C", class_facts.Facts(holds=True), ValueError, "a class is named 'a.b:C'"),
        (
            "fsspec.spec.AbstractFileSystem",
            class_facts.Facts(renews={"_x": ""}),
            ValueError,
            "named 'fsspec.spec:A",
        ),
        ("c", class_facts.Facts(holds=True), ValueError, "a class is named 'module:c'"),
    ],
)
def test_what_cannot_be_learned_is_refused(name, facts, kind, match):
    with pytest.raises(kind, match=match):
        class_facts.learn(name, facts)
    assert name not in class_facts._learned


def test_what_ships_makes_values_that_exist():
    """Those of the standard library, which every child can make."""
    for facts in class_facts.SHIPPED.values():
        for path in facts.renews.values():
            class_facts.make_value(path)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a backend, and a table that its entry point leads to."""
    (tmp_path / "theirs.py").write_text(
        """
import socket, threading
from fsspec.spec import AbstractFileSystem

_lock = threading.Lock()

class FS(AbstractFileSystem):
    protocol = "theirs"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.made, self.catalogue = socket.socketpair(), {}

    def ls(self, path, detail=True, **kwargs):
        return [self.made[0].fileno()]
"""
    )
    (tmp_path / "theirs_table.py").write_text(
        """
table = {
    "theirs:FS": {"holds": True, "keeps": ("catalogue",)},
    "theirs": {"renews": {"_lock": "threading:Lock"}},
}
text = {"theirs:Other": {"keeps": "catalogue"}}
"""
    )
    information = tmp_path / "theirs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[fsspec.fork]\ntheirs = theirs_table:table\nbroken = theirs_nothing:table\nodd = theirs_table:text\n"
    )
    return os.pathsep.join([str(tmp_path), *filter(None, sys.path)])


def test_packages_that_announce_nothing_are_not_asked():
    run(
        """
import importlib.metadata
from fsspec.spec import AbstractFileSystem
def asked(*args, **kwargs):
    raise AssertionError("asked")
importlib.metadata.entry_points = asked
class FS(AbstractFileSystem):
    cachable = False
FS()
        """
    )


@forks
def test_a_package_tells_of_itself_by_an_entry_point(package):
    run(
        """
import warnings
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import theirs
    fs = theirs.FS()
assert "theirs_nothing" in str(caught[0].message) and len(caught) == 2, caught
assert "keeps of the Facts of 'theirs:Other' is text" in str(caught[1].message)
fs.catalogue["a"] = 1
mine = fs.made
held = theirs._lock
held.acquire()
def used():
    assert theirs._lock.acquire(timeout=1)
    assert fs.catalogue == {"a": 1}
    assert fs.made[0] is not mine[0]
    for sock in fs.made: sock.close()
problem = by_fork(used).problem()
assert not problem, problem
assert fs.made is mine and theirs._lock is held
for sock in mine: sock.close()
        """,
        PYTHONPATH=package,
        FSSPEC_FORK_RESET="1",
    )


@forks
def test_a_library_in_c_that_ran_in_the_parent_does_not_start_in_a_child():
    run(
        """
import os
from fsspec import asyn
from fsspec._checks.forked import by_fork
from fsspec._fork.class_facts import Facts, learn
from fsspec.exceptions import ForkError

class FS(asyn.AsyncFileSystem):
    protocol = "toy"
    cachable = False
    started = 0

    async def _start(self):
        self.started += 1
        return self.started

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        return await self._start()

learn("__main__:FS", Facts(starts={"_start": "libfast"}))
fs = FS()

def starts():
    assert fs.cat_file("a") == 1
    assert FS().cat_file("a") == 1

def refused(inner=True):
    for one in (fs, FS()):
        try:
            one.cat_file("a")
        except ForkError as error:
            assert "libfast" in str(error) and str(first) in str(error), error
        else:
            raise AssertionError("not refused")
    if inner:
        problem = by_fork(lambda: refused(False)).problem()
        assert not problem, problem

first = os.getpid()
problem = by_fork(starts).problem()
assert not problem, problem
assert fs.cat_file("a") == 1
problem = by_fork(refused).problem()
assert not problem, problem
assert fs.cat_file("a") == 2
        """,
        FSSPEC_FORK_RESET="1",
    )


@forks
def test_inherited_files_of_a_library_that_ran_in_the_parent_are_refused():
    """So are methods that block; a child that is the first to use the library may."""
    run(
        """
import io
from fsspec._checks.forked import by_fork
from fsspec._fork.class_facts import Facts, learn
from fsspec.exceptions import ForkError
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

class File(AbstractBufferedFile):
    def read(self, length=-1):
        return b"read"

class FS(AbstractFileSystem):
    protocol = "toy"
    cachable = False

    def _open(self, path, mode="rb", **kwargs):
        return File(self, path, mode, size=4)

learn("__main__:FS", Facts(starts={"_open": "libfast"}))
learn("__main__:File", Facts(starts={"read": "libfast"}))
fs = FS()

def starts():
    with fs.open("a") as file:
        assert file.read() == b"read"

def refused():
    for use in (lambda: file.read(), lambda: fs.open("a")):
        try:
            use()
        except ForkError as error:
            assert "libfast" in str(error) and "spawn" in str(error), error
        else:
            raise AssertionError("not refused")
    file.close()

problem = by_fork(starts).problem()
assert not problem, problem
file = fs.open("a")
problem = by_fork(refused).problem()
assert not problem, problem
starts()
assert file.read() == b"read"
file.close()
        """,
        FSSPEC_FORK_RESET="1",
    )
