"""Instances while they are revived: other threads, blocking calls of ``__init__``, nested forks."""

import os
import sys

import pytest

from fsspec.tests.fork.test_hooks import START, TOY
from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

BLOCKING = (
    START
    + TOY
    + """
    from fsspec.asyn import sync_wrapper

    class Blocking(Toy):
        "Connects as it is made, as sshfs does."

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.client = self.connect()

        async def _connect(self):
            self.limit = 3
            await asyncio.sleep(0.01)
            return await asyncio.get_running_loop().run_in_executor(None, lambda: self.limit)

        connect = sync_wrapper(_connect)

    fs = Blocking()
    read()
"""
)


@pytest.mark.parametrize(
    "reset, by_hand", [("1", ""), ("0", "fs.reset_loop()"), ("0", "asyn.reset_after_fork()")]
)
def test_a_backend_whose_construction_makes_a_blocking_call(reset, by_hand):
    run(
        BLOCKING
        + f"""
    def child():
        {by_hand}
        read()
        assert fs.client == fs.limit == 3
        assert forked(lambda: ({by_hand or "None"}, read())) == 0
"""
        + """
    for _ in range(3):
        assert forked(child) == 0
    read()
    """,
        FSSPEC_FORK_RESET=reset,
    )


def test_such_a_backend_below_another_one():
    """It is revived before the loop is asked, which could not wait for itself."""
    run(
        BLOCKING
        + """
    above = fsspec.filesystem("dir", path="", fs=fs)
    assert above.cat_file("a") == b"x"

    def child():
        assert above.cat_file("a") == b"x"

    assert forked(child) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


WRAPPERS = """
    from fsspec.spec import AbstractFileSystem

    class Above(AbstractFileSystem):
        "A wrapper of an author who does not know of forks."

        def __init__(self, target_protocol="toy", **kwargs):
            super().__init__(**kwargs)
            self.fs = fsspec.filesystem(target_protocol)

        def cat_file(self, path, **kwargs):
            return self.fs.cat_file(path)

    class Layers(Above):
        protocol = "layers"

        def __init__(self, **kwargs):
            AbstractFileSystem.__init__(self, **kwargs)
            self.layers = {"all": [fsspec.filesystem("above")]}

        @property
        def fs(self):
            return self.layers["all"][0]

    Above.protocol = "above"
    for cls in (Toy, Above, Layers):
        fsspec.register_implementation(cls.protocol, cls, clobber=True)
    inherited = [fsspec.filesystem(protocol) for protocol in ("above", "layers")]
"""


@pytest.mark.parametrize("reset", ["0", "1"])
def test_a_wrapper_that_a_child_makes_is_not_the_one_of_its_parent(reset):
    """Unless that can be used: where the program opted in, and after a reset by hand."""
    run(
        START
        + TOY
        + WRAPPERS
        + f"""
    def use():
        return [fsspec.filesystem(protocol).cat_file("a") for protocol in ("above", "layers")]

    def child():
        assert use() == [b"x", b"x"]
        made = [fsspec.filesystem(protocol) for protocol in ("above", "layers")]
        assert (made[0] is inherited[0], made[1] is inherited[1]) == ({reset} == 1,) * 2
        try:
            assert inherited[0].cat_file("a") == b"x" and {reset}
        except fsspec.exceptions.ForkError:
            assert not {reset}

    def by_hand():
        asyn.reset_after_fork()
        assert use() == [b"x", b"x"] and fsspec.filesystem("layers") is inherited[1]

    assert use() == [b"x", b"x"]
    for body in (child, by_hand):
        assert forked(body) == 0
        assert use() == [b"x", b"x"] and fsspec.filesystem("layers") is inherited[1]
    """,
        FSSPEC_FORK_RESET=reset,
    )


def test_a_backend_that_says_itself_how_it_is_revived():
    """As the page for authors has it: what the parent left is there, and its transaction is the parent's."""
    run(
        START
        + """
    from fsspec.spec import AbstractFileSystem

    class Shelf(AbstractFileSystem):
        protocol, _fork_sensitive, _fork_keeps = "shelf", True, ("catalogue",)

        def __init__(self, host, **kwargs):
            super().__init__(**kwargs)
            assert os.getpid() == parent, "constructed in a child"
            self.host, self.client, self.catalogue, self.other = host, os.getpid(), {"a": 1}, [2]

        def _revive(self, before):
            assert before == vars(self) and before is not vars(self)
            self.client = os.getpid()
            self._intrans, self._transaction = False, None

        def info(self, path, **kwargs):
            assert self.client == os.getpid()
            return {"name": path, "size": 0, "type": "file"}

    parent = os.getpid()
    fs = Shelf("h")

    def child():
        fs.info("a")
        assert (fs.host, fs.catalogue, fs.other, fs._intrans) == ("h", {"a": 1}, [2], False)
        assert forked(lambda: fs.info("a") and None) == 0

    with fs.transaction:
        assert forked(child) == 0
        assert fs._intrans and fs.client == parent
    """,
        FSSPEC_FORK_RESET="1",
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_an_error_of_a_constructor_in_a_child_tells_that_it_is_called_again():
    run(
        START
        + """
    from fsspec.spec import AbstractFileSystem

    class Takes(AbstractFileSystem):
        protocol, _fork_sensitive = "takes", True

        def __init__(self, given, **kwargs):
            super().__init__(**kwargs)
            self.token = given.pop("token")

        def info(self, path, **kwargs):
            return {"name": path, "size": 0, "type": "file"}

    fs = Takes({"token": 1})

    def child():
        try:
            fs.info("a")
        except KeyError as error:
            assert "the Takes that it inherited is being made again" in error.__notes__[0], error.__notes__
            return
        raise AssertionError("was made")

    assert forked(child) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_names_of_what_is_kept_are_a_tuple():
    from fsspec.spec import AbstractFileSystem

    with pytest.raises(TypeError, match=r"Text._fork_keeps is text; \('catalogue',\) is a tuple"):
        type("Text", (AbstractFileSystem,), {"_fork_keeps": "catalogue"})


def test_threads_of_a_child_see_an_instance_as_it_was_until_it_is_revived():
    """While ``__init__`` runs: token, hash, equality, options, pickle; what needs use waits."""
    run(
        START
        + TOY
        + """
    import pickle
    parent = os.getpid()

    class Slow(Toy):
        def __init__(self, **kwargs):
            if os.getpid() != parent:
                building.set()
                enough.wait(20)
            super().__init__(**kwargs)
            self.ready = True

    building, enough = threading.Event(), threading.Event()
    fs = Slow(key="secret", endpoint="e")
    read()
    fs.dircache["a"] = []
    same = lambda: Slow(key="secret", endpoint="e")
    twin = Slow(key="secret", endpoint="e", skip_instance_cache=True)
    was = fs._fs_token, hash(fs), fs.storage_options, fs._pid

    def child():
        problems = []

        def attempt(func):
            try:
                func()
            except BaseException as error:
                problems.append(repr(error))

        first = threading.Thread(target=attempt, args=(read,))
        first.start()
        building.wait(20)
        assert (fs._fs_token, hash(fs), fs.storage_options, fs._pid) == was
        assert fs == twin and fs.storage_args == () and list(fs.dircache) == ["a"] and repr(fs)
        assert fs.to_json() == twin.to_json()
        args = fs.__reduce__()[1]
        assert args == (Slow, (), {"key": "secret", "endpoint": "e"}), args
        assert pickle.loads(pickle.dumps(fs)) is fs
        others = [threading.Thread(target=attempt, args=(func,)) for func in
                  [read, lambda: fs.ready, lambda: fs.loop, lambda: same().cat_file("b")] * 2]
        for thread in others:
            thread.start()
        assert forked(grandchild) == 0
        time.sleep(0.05)
        assert all(thread.is_alive() for thread in others)
        enough.set()
        for thread in [first, *others]:
            thread.join(20)
        assert problems == [], problems
        assert fs._pid == os.getpid() and fs._fs_token == was[0]

    def grandchild():
        "Forked in the middle of the revival: of what it did there is nothing left."
        enough.set()
        assert fs.storage_options == was[2] and list(fs.dircache) == ["a"]
        read()

    assert forked(child) == 0
    read()
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_eight_threads_of_each_child_over_http():
    pytest.importorskip("aiohttp")
    run(
        START
        + """
    import fsspec
    from fsspec.tests.servers.http import HTTPServer

    def child():
        problems, go = [], threading.Barrier(8)

        def one():
            go.wait()
            try:
                fs, _, _ = fsspec.get_fs_token_paths(url)
                assert fs.cat_file(url) == b"x" * 1000
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems

    with HTTPServer() as server:
        server.files["/a"] = b"x" * 1000
        url = server.url + "/a"
        with fsspec.open(url) as f:
            f.read()
        for _ in range(10):
            assert forked(child) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_loop_that_shares_an_instance_with_its_revival_does_not_wait_for_itself():
    """A coroutine on the loop meets an instance that another thread revives, which waits for that loop."""
    run(
        BLOCKING
        + """
    def child():
        loop = asyn.get_loop()
        blocked = threading.Event()

        async def meets():
            await asyncio.sleep(0)
            try:
                fs.client
            except RuntimeError as error:
                assert "revived" in str(error) or "wait for itself" in str(error)
            return True

        tasks = [asyncio.run_coroutine_threadsafe(meets(), loop) for _ in range(3)]
        read()
        assert all(task.result(20) for task in tasks)
        read()

    for _ in range(5):
        assert forked(child) == 0
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_an_instance_whose_revival_is_interrupted_at_any_line_revives_at_the_next_use():
    """As by the handler of a signal in a child's first call: no entry is left that others wait for."""
    run(
        START
        + TOY
        + """
    from fsspec._fork import instances

    class Stop(BaseException):
        pass

    def interrupted(line):
        lines = iter(range(line))

        def trace(frame, event, arg):
            if frame.f_code is not instances.touch.__code__:
                return None
            if event == "line" and next(lines, None) is None:
                sys.settrace(None)
                raise Stop
            return trace

        def child():
            sys.settrace(trace)
            try:
                fs.cat_file("a")
            except Stop:
                reached.append(line)
            sys.settrace(None)
            used = []
            other = threading.Thread(target=lambda: used.append(fs.cat_file("a")), daemon=True)
            other.start()
            other.join(10)
            assert used == [fs.cat_file("a")], used
            os.write(end, b"x" if reached else b"-")

        return child

    reached = []
    start, end = os.pipe()
    fs = Toy()
    fs.cat_file("a")
    for line in range(40):
        assert forked(interrupted(line)) == 0, line
    os.close(end)
    assert os.read(start, 99).count(b"x") > 12
    fs.cat_file("a")
    """,
        FSSPEC_FORK_RESET="1",
    )


def test_a_refused_instance_tells_how_it_was_made():
    """To read its options and to make a mapping is no use of what the parent holds."""
    run(
        START
        + TOY
        + """
    class Client:
        pass

    class Made(Toy):
        def __init__(self, options=None, name="n", **kwargs):
            super().__init__(**kwargs)
            self.options, self.name, self.blocksize, self.client = options, name, 7, Client()
            self.descriptor, self._private = 3, "p"

    fs = Made(options={"a": "1"})
    assert fs.cat_file("a") == b"x"

    def child():
        assert (fs.name, fs.blocksize) == ("n", 7)
        assert not hasattr(fs, "no_such_thing") and getattr(fs, "neither", 5) == 5
        assert fs.get_mapper("/r").root == "/r"
        fs.invalidate_cache()
        for used in ("client", "options", "descriptor", "_private", "cat_file", "loop", "transaction"):
            try:
                getattr(fs, used)
            except ForkError:
                continue
            raise AssertionError(used)

    assert forked(child) == 0
    assert fs.cat_file("a") == b"x" and fs.client
    """,
        FSSPEC_FORK_RESET="0",
    )
