"""Resetting by hand, the hand-made fixes of programs, and what is said where nothing allows it."""

import inspect

import pytest

import fsspec.asyn
import fsspec.fork
from fsspec.tests.fork.scripts import run

OPEN = """
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15)
    f.read(1000)
    def rest():
        expect(f.read(50_000), DATA["data0.bin"][1000:51_000], "file")
"""
S3 = """
    from fsspec.tests.servers.s3 import options
    s3 = fsspec.filesystem("s3", **options(places["s3"]))
    expect(s3.cat_file("bucket/data0.bin"), DATA["data0.bin"], "s3")
"""


def test_reset_after_fork_says_whether_there_was_anything(places):
    run(
        OPEN
        + """
    assert asyn.reset_after_fork() is False  # nothing was inherited here
    read(fs)
    assert asyn.reset_after_fork() is False

    def body():
        assert asyn.reset_after_fork() is True
        assert [asyn.reset_after_fork() for _ in range(3)] == [False] * 3
        read(fs)
        rest()
        assert asyn.reset_after_fork() is False
        read(fs)

    def grandchild():
        body()
        forked(body_again)
        read(fs)

    def body_again():
        refuses(lambda: read(fs))
        assert asyn.reset_after_fork() is True
        read(fs)

    forked(body)
    forked(grandchild)
    answers(lambda: read(fs))
    assert asyn.reset_after_fork() is False
    """,
        places,
        "neither",
    )


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_reset_loop_makes_one_instance_usable(mode, places):
    run(
        OPEN
        + """
    other = fsspec.filesystem("http", block_size=2**20 + 1)
    read(other)

    def body():
        fs.reset_loop()
        fs.reset_loop()
        read(fs)
        rest()
        if OPTED:
            read(other)
        else:
            refuses(lambda: read(other))
            other.reset_loop()
            read(other)

    def given_loop():
        import asyncio
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        fs.reset_loop(loop)
        assert fs.loop is loop
        read(fs)

    forked(body)
    forked(given_loop)
    answers(lambda: read(fs))
    answers(rest)
    answers(lambda: read(other))
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_hand_made_fixes_of_programs_keep_working(mode, places):
    run(
        OPEN
        + """
    def new_loop():
        asyn.iothread[0] = None
        asyn.loop[0] = None
        asyn.reset_lock()

    def by_globals():
        new_loop()
        mine = fsspec.filesystem("http", skip_instance_cache=True)
        read(mine)

    def by_attributes():
        new_loop()
        fs._loop = asyn.get_loop()
        fs._pid = os.getpid()
        read(fs)
        read(fs, "data1.bin")

    def by_clearing():
        new_loop()
        type(fs).clear_instance_cache()
        mine = fsspec.filesystem("http")
        assert mine is not fs
        read(mine)

    for body in (by_globals, by_attributes, by_clearing):
        forked(body)
        answers(lambda: read(fs))

    # what programs do in the parent as well, before they fork
    new_loop()
    mine = fsspec.filesystem("http", skip_instance_cache=True)
    read(mine)
    read(fs)  # on the loop that it was made with
    forked(by_globals)
    forked(by_attributes)
    answers(lambda: read(fs))
    answers(lambda: read(mine))
    answers(rest)
    """,
        places,
        mode,
    )


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_hand_made_fixes_for_s3(mode, places):
    if "s3" not in places:
        pytest.skip("no server for s3")
    run(
        S3
        + """
    def by_attributes():
        asyn.iothread[0] = asyn.loop[0] = None
        asyn.reset_lock()
        s3._loop = asyn.get_loop()
        s3._pid = os.getpid()
        s3.connect(refresh=True)
        expect(s3.cat_file("bucket/data1.bin"), DATA["data1.bin"], "s3")

    forked(by_attributes)
    answers(lambda: expect(s3.cat_file("bucket/data0.bin"), DATA["data0.bin"], "s3"))
    """,
        places,
        mode,
    )


def test_what_the_error_says(places):
    run(
        OPEN
        + """
    import pickle
    parent = os.getpid()

    def body():
        for use in (lambda: fs.cat_file(url("data0.bin")), lambda: fs.ls(url("")), lambda: fs.loop,
                    lambda: fs.exists(url("data0.bin")), lambda: f.read(200_000),
                    lambda: fs.open(url("data1.bin"))):
            try:
                use()
            except ForkError as error:
                text = str(error)
                assert isinstance(error, RuntimeError)
                for part in ("fork-safe", "HTTPFileSystem", "FSSPEC_FORK_RESET=1", "reset_loop()",
                             "reset_after_fork()", str(parent), str(os.getpid())):
                    assert part in text, (part, text)
                assert (error.owner_pid, error.pid) == (parent, os.getpid())
                again = pickle.loads(pickle.dumps(error))
                assert str(again) == text and again.owner_pid == parent
            else:
                raise AssertionError("no error")
        # what needs no connection can be asked
        assert fs.protocol == ("http", "https") and repr(fs) and hash(fs) is not None and fs == fs
        assert pickle.loads(pickle.dumps(fs)).cat_file(url("data0.bin")) == DATA["data0.bin"]

    forked(body)
    answers(lambda: read(fs))
    """,
        places,
        "neither",
    )


def test_opting_in_by_configuration(places, tmp_path):
    (tmp_path / "conf.json").write_text('{"fork": {"reset": true}}')
    run(
        OPEN
        + """
    forked(lambda: (read(fs), rest()) and None)
    answers(lambda: read(fs))
    """,
        places,
        "configured",
        FSSPEC_CONFIG_DIR=str(tmp_path),
    )


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_listings_token_and_pickle_are_what_they_were(mode, places):
    if "s3" not in places:
        pytest.skip("no server for s3")
    run(
        S3
        + """
    s3.ls("bucket")
    token = s3._fs_token

    def body():
        if not OPTED:
            asyn.reset_after_fork()
        assert s3.dircache.get("bucket"), "the listing is gone"
        assert s3._fs_token == token
        assert fsspec.filesystem("s3", **options(places["s3"])) is s3
        assert s3.ls("bucket") and s3.cat_file("bucket/data0.bin") == DATA["data0.bin"]

    forked(body)
    answers(lambda: expect(s3.cat_file("bucket/data0.bin"), DATA["data0.bin"], "s3"))
    """,
        places,
        mode,
    )


def test_the_variable_counts_as_it_was_at_the_fork(places):
    """What a child sets for children of its own takes nothing from what it inherited and has not touched."""
    run(
        """
    fs = fsspec.filesystem("http")
    read(fs)
    f = fs.open(url("data0.bin"), block_size=2**15)
    f.read(100)

    def grandchild():
        refuses(lambda: read(fs))

    def body():
        os.environ["FSSPEC_FORK_RESET"] = "0"
        forked(grandchild)
        f.seek(200_000)
        assert f.read(10) == DATA["data0.bin"][200_000:200_010]
        read(fs)

    forked(body)
    answers(lambda: read(fs))
    """,
        places,
        "opted",
    )


@pytest.mark.parametrize("module", [fsspec.asyn, fsspec.fork])
def test_it_is_called_with_what_frameworks_give_their_hooks(module):
    for arguments in ((), (0,), (object(), object())):
        assert module.reset_after_fork(*arguments) is False
    assert module.reset_after_fork(signal=object(), sender=None) is False
    # gunicorn wants two, by their kind
    kinds = [p.kind for p in inspect.signature(module.reset_after_fork).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) == 2
