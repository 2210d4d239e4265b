"""`fsspec.fork`: what authors of backends and of programs are given."""

import os
import subprocess
import sys

import pytest

import fsspec.fork
from fsspec.tests.programs import run

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


def test_names_are_documented():
    for name in fsspec.fork.__all__:
        value = getattr(fsspec.fork, name)
        assert isinstance(value, dict) or value.__doc__


@forks
def test_an_owned_resource_is_made_by_each_process():
    """What was inherited is not collected, not even at the end; a lock held at the fork is no matter."""
    run("""
import os, pickle, threading
from fsspec._checks.forked import by_fork
from fsspec.fork import Owned, generation

made = []
class Client:
    def __init__(self):
        self.pid = os.getpid()
        made.append(1)
    def __del__(self):
        assert self.pid == os.getpid(), "collected elsewhere"

owned = Owned(Client)
assert not made and owned.release() is None
first = owned.get()
assert owned.get() is first and len(made) == 1 and generation() == 0

def child():
    assert generation() == 1
    assert owned.get().pid == os.getpid() and owned.get() is owned.get()
    problem = by_fork(grandchild).problem()
    assert not problem, problem

def grandchild():
    assert generation() == 2
    assert owned.release() is None
    assert owned.get().pid == os.getpid()

def drops():
    global owned, first
    owned = first = None

held, go_on = threading.Event(), threading.Event()
def slow():
    held.set()
    go_on.wait()
    return 1
other = Owned(slow)
thread = threading.Thread(target=other.get)
thread.start()
held.wait()
go_on_in_child = lambda: (go_on.set(), other.get())[1] == 1 and None
for act in (child, drops, lambda: None, go_on_in_child):
    problem = by_fork(act).problem()
    assert not problem, problem
go_on.set()
thread.join()
assert owned.get() is first and owned.release() is first
assert owned.get() is not first
assert pickle.loads(pickle.dumps(Owned(dict))).get() == {}
threads = [threading.Thread(target=owned.get) for _ in range(8)]
""")


@forks
@pytest.mark.parametrize("reset", ["0", "1"])
def test_the_mode_is_what_was_chosen(reset):
    run(
        """
import os
from fsspec import fork
from fsspec._checks.forked import by_fork
opted = os.environ["FSSPEC_FORK_RESET"] == "1"
assert fork.mode() == ("opted in" if opted else "neither")
def child():
    assert fork.mode() == ("opted in" if opted else "neither")
    fork.reset_after_fork()
    assert fork.mode() == ("opted in" if opted else "by hand")
problem = by_fork(child).problem()
assert not problem, problem
assert {fork.mode(), "by hand"} <= set(fork.MODES)
""",
        FSSPEC_FORK_RESET=reset,
    )


@forks
def test_register_and_finalizers_and_sockets():
    run("""
import os, socket
from fsspec import fork
from fsspec._checks.forked import by_fork

class Thing:
    def __init__(self):
        fork.own(self)
        self.told = 0
        fork.register(self)
        self.finalizer = fork.finalize(self, ended.append, "finalize")
    def _after_fork_in_child(self):
        self.told += 1
    @fork.owner_only
    def __del__(self):
        ended.append("__del__")

ended = []
thing = Thing()
mine, peer = socket.socketpair()
fork.watch_socket(mine)

def child():
    global thing
    assert thing.told == 1 and not fork.is_mine(thing)
    try:
        fork.refuse(thing, "thing", advice="make another")
    except fork.ForkError as error:
        assert error.owner_pid == os.getppid() and "make another" in str(error)
    fork.own(thing)
    assert fork.is_mine(thing)
    del thing._fork_generation
    assert fork.is_mine(thing)
    thing._fork_generation = 0
    thing = None
    assert ended == []
    try:
        mine.send(b"child")
    except OSError:
        mine.close(), peer.close()
        return
    raise AssertionError("reached the parent's peer")

problem = by_fork(child).problem()
assert not problem, problem
assert thing.told == 0
thing = None
assert sorted(ended) == ["__del__", "finalize"]
mine.send(b"parent")
assert peer.recv(100) == b"parent"
mine.close(), peer.close()
""")


class Misspelt:
    def _after_forks_in_child(self):
        """The name has an s too many."""


class Slotted:
    __slots__ = ("__weakref__",)

    def _after_fork_in_child(self):
        """It could be notified, but not owned."""


@pytest.mark.parametrize(
    "use, match",
    [
        (lambda: fsspec.fork.register(Reader()), "a method _after_fork_in_child.* Reader has none$"),
        (lambda: fsspec.fork.register(Misspelt()), "Misspelt has none, but '_after_forks_in_child'"),
        (lambda: fsspec.fork.own(Slotted()), "Slotted has to have the attribute _fork_generation.*__slots__"),
        (
            lambda: fsspec.fork.Owned(5),
            r"Owned takes a function that makes the resource, not an int: Owned\(lambda",
        ),
        (lambda: fsspec.fork.watch_socket(None), "watch_socket takes an open socket, not None"),
    ],
)
def test_misuse_is_refused(use, match):
    with pytest.raises(TypeError, match=match):
        use()
    fsspec.fork.register(Slotted())


class Reader:
    """Nothing of it is notified."""


def test_what_only_its_own_process_can_use_is_to_be_begun_anew(monkeypatch):
    """No variable and no call makes it usable in a child: whatever is set, they are not advised."""
    for value in ("0", "1"):
        monkeypatch.setenv("FSSPEC_FORK_RESET", value)
        with pytest.raises(fsspec.fork.ForkError, match="start it again in this one") as caught:
            fsspec.fork.refuse(object(), "the upload of x")
        assert "FSSPEC_FORK_RESET" not in str(caught.value) and "reset_after_fork" not in str(caught.value)


def test_what_an_error_refers_to_is_in_the_package():
    """Pages do not come with a wheel: the recipes are where a ForkError says that they are."""
    *_, guide = str(fsspec.fork.ForkError("x", 12)).splitlines()
    command = guide.partition("python ")[2].split()
    output = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout
    for word in (
        "FSSPEC_FORK_RESET=1",
        "worker_init_fn",
        "post_fork",
        "worker_process_init",
        "forkcheck URL",
    ):
        assert word in output
