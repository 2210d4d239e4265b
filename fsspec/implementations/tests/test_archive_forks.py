"""Archives in forked processes: read by a crowd at once, written by one."""

import io
import os
import tarfile
import zipfile

import pytest

from fsspec.implementations.tests.archives import contents, run, tarred, zipped
from fsspec.tests.servers.s3 import CREDENTIALS, serve_s3

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

KINDS = ["zip", "tar", "tar.gz"]


def made(kind):
    members = contents()
    return zipped(members) if kind == "zip" else tarred(members, kind[4:])


def opened(kind, fo):
    return f"fs = fsspec.filesystem({kind[:3]!r}, fo={fo})"


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def local(tmp_path, kind):
    path = tmp_path / f"archive.{kind}"
    path.write_bytes(made(kind))
    return str(path)


@pytest.fixture(scope="module")
def s3_address():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with serve_s3() as address:
        yield address


# reading -----------------------------------------------------------------------------
@pytest.mark.parametrize("reset", ["0", "1"])
def test_a_local_archive_is_read_by_parent_and_children_at_once(local, kind, reset):
    run(f"{opened(kind, repr(local))}; crowd(fs)", FSSPEC_FORK_RESET=reset)


def test_a_local_archive_that_is_gone_is_read_on(local, kind):
    run(f"{opened(kind, repr(local))}; os.remove({local!r}); crowd(fs, children=2)", FSSPEC_FORK_RESET="0")


def test_a_file_object_of_this_machine(local, kind):
    run(
        f"""
        with open({local!r}, "rb") as f:
            {opened(kind, "f")}
            crowd(fs)
        """,
        FSSPEC_FORK_RESET="0",
    )


@pytest.mark.parametrize("target", ["memory", "BytesIO"])
def test_an_archive_in_memory_is_read_by_parent_and_children(kind, target):
    maker = "zipped(members)" if kind == "zip" else f"tarred(members, {kind[4:]!r})"
    program = f"data = {maker}\n"
    if target == "memory":
        program += f"fsspec.filesystem('memory').pipe('/a.{kind}', data)\n" + opened(
            kind, f"'memory://a.{kind}'"
        )
    else:
        program += opened(kind, "io.BytesIO(data)")
    run(program + "\ncrowd(fs)", FSSPEC_FORK_RESET="0")


def test_a_chain_of_archives(tmp_path, kind):
    inner = f"inner.{kind}"
    (tmp_path / "outer.zip").write_bytes(zipped({inner: made(kind)}))
    url = f"{kind[:3]}://folder/member0::zip://{inner}::{tmp_path}/outer.zip"
    run(f"fs, _ = fsspec.core.url_to_fs({url!r}); crowd(fs, children=2)", FSSPEC_FORK_RESET="0")


def test_children_of_children_read_an_inherited_archive(local, kind):
    run(
        f"""
        {opened(kind, repr(local))}
        f = fs.open("folder/member2")
        f.seek(1000)
        def generation(number):
            assert f.read(100) == members["folder/member2"][1000 + 100 * number:][:100]
            if number < 4:
                ended(fork(lambda: generation(number + 1)))
            read_everywhere(fs, {{name: fs.open(name) for name in members}}, number)
        generation(0)
        assert f.tell() == 1100
        """
    )


@pytest.mark.parametrize("act", ["fs.close()", "f.close()", "del fs, f", "f.read()", "os._exit(0)", "pass"])
def test_what_a_child_does_with_its_copies_leaves_the_parents_alone(local, kind, act):
    run(
        f"""
        import gc
        {opened(kind, repr(local))}
        f = fs.open("folder/member1")
        assert f.read(10) == members["folder/member1"][:10]
        def work():
            global fs, f
            {act}
            gc.collect()
        ended(fork(work))
        assert f.read() == members["folder/member1"][10:]
        assert fs.cat("folder/member3") == members["folder/member3"]
        """
    )


def test_text_and_pickles_of_open_members(local, kind):
    run(
        f"""
        import pickle
        {opened(kind, repr(local))}
        lines = fs.open("folder/member0", "r")
        assert lines.read(20) == members["folder/member0"][:20].decode()
        f = fs.open("folder/member1")
        f.seek(77)
        def work():
            again = pickle.loads(pickle.dumps(f))
            assert again.read(10) == f.read(10) == members["folder/member1"][77:87]
            # what the text layer has read ahead it holds itself
            assert lines.read() == members["folder/member0"][20:].decode()
        ended(fork(work))
        assert f.tell() == 77 and lines.read() == members["folder/member0"][20:].decode()
        """
    )


@pytest.mark.parametrize("cache", ["filecache", "simplecache"])
def test_a_copy_of_a_cache_is_read_like_any_file_of_this_machine(local, kind, cache, tmp_path):
    run(
        f"""
        {opened(kind, repr(local))}
        folder = {str(tmp_path / "cache")!r}
        below = fsspec.filesystem({cache!r}, target_protocol="file", cache_storage=folder)
        copy = below.open({local!r})
        fs = fsspec.filesystem(fs.protocol, fo=copy, skip_instance_cache=True)
        f = fs.open("folder/member1")
        assert f.read(7) == members["folder/member1"][:7]
        def work():
            assert f.read() == members["folder/member1"][7:]
            assert fs.cat("folder/member0") == members["folder/member0"]
        ended(fork(work))
        assert f.read() == members["folder/member1"][7:]
        assert fs.cat("folder/member0") == members["folder/member0"]
        """
    )


# a codec shares the offset of what it decodes with the parent
def test_a_file_object_that_shares_an_offset_is_refused_in_a_child(tmp_path):
    import gzip

    path = tmp_path / "odd"
    path.write_bytes(gzip.compress(tarred(contents())))
    run(
        f"""
        import gzip
        with gzip.open({str(path)!r}) as f:
            fs = fsspec.filesystem("tar", fo=f)
            def work():
                try:
                    fs.cat("folder/member0")
                except ForkError as error:
                    assert "fork-safe" in str(error) and "path or URL" in str(error), error
                else:
                    raise AssertionError("not refused")
                assert fs.find("") == sorted(members)
            ended(fork(work))
            assert fs.cat("folder/member0") == members["folder/member0"]
        """
    )


# over the network --------------------------------------------------------------------
def test_an_archive_over_http_is_read_in_children_that_opted_in(http_server, kind):
    http_server.files["/a"] = made(kind)
    program = f"{opened(kind, repr(http_server.url + '/a'))}; crowd(fs)"
    run(program, FSSPEC_FORK_RESET="1")
    assert not any(connection.reset for connection in http_server.connections)


REFUSED = """
f = fs.open("folder/member0")
start = f.read(10)
def refused(act):
    try:
        data = act()
    except ForkError as error:
        assert "fork-safe" in str(error), error
    else:  # of what was fetched before
        assert data == members["folder/member2"][-500:], data[:10]
def work():
    assert fs.find("") == sorted(members)
    refused(lambda: fs.cat_file("folder/member2", -500))
{by_hand}
ended(fork(work))
assert start + f.read() == members["folder/member0"]
assert fs.cat("folder/member3") == members["folder/member3"]
"""
BY_HAND = """
    fsspec.asyn.reset_after_fork()
    read_everywhere(fs, {name: fs.open(name) for name in members}, 5)
    assert start + f.read() == members["folder/member0"]
"""


@pytest.mark.parametrize("by_hand", [False, True])
def test_an_archive_over_http_is_refused_in_children_that_did_not_opt_in(http_server, kind, by_hand):
    http_server.files["/a"] = made(kind)
    program = opened(kind, repr(http_server.url + "/a")) + REFUSED.format(by_hand=BY_HAND if by_hand else "")
    run(program, FSSPEC_FORK_RESET="0")


def test_an_inherited_archive_on_s3_is_read_on(s3_address, kind):
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_address,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="archives")
    client.put_object(Bucket="archives", Key=kind, Body=made(kind))
    client.close()
    options = {**CREDENTIALS, "endpoint_url": s3_address}
    url = f"{kind[:3]}://folder/member0::s3://archives/{kind}"
    program = f"fs, _ = fsspec.core.url_to_fs({url!r}, s3={options!r})\n"
    run(program + "crowd(fs, threads=False)", FSSPEC_FORK_RESET="1")
    run(program + REFUSED.format(by_hand=""), FSSPEC_FORK_RESET="0")


# writing -----------------------------------------------------------------------------
ENDS = {
    "dropped": "fs = f = text = None; gc.collect()",
    "closed": "f.close(); fs.close(); text.close()",
    "left": "f.__exit__(None, None, None)",
    "os._exit": "os._exit(0)",
    "nothing": "pass",
    "refused": """
    for act in (
        lambda: f.write(b"child"), lambda: fs.pipe("child", b""), lambda: fs.open("child", "wb"),
    ):
        try:
            act()
        except ForkError as error:
            assert "fork-safe" in str(error) and "opened it" in str(error), error
        else:
            raise AssertionError("written in a child")
    assert fs.find("") == ["first"] and f.closed
""",
}
WRITING = """
import gc
fs = fsspec.filesystem("zip", fo={fo}, mode={mode!r}, compression=8)
fs.pipe("first", b"1" * 1000)
f = fs.open("second", "wb")
f.write(members["folder/member0"])
text = io.TextIOWrapper(f)
text.write("in the buffer of the text layer")
def work():
    global fs, f, text
    {act}
    gc.collect()
ended(fork(work))
ended(fork(lambda: None))
text.flush()
f.write(members["folder/member1"])
text.close()
fs.pipe("third", b"3")
ended(fork(work))
fs.close()
ended(fork(work))
"""


def check_written(data, before=()):
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.testzip() is None
        assert z.namelist() == [*before, "first", "second", "third"]
        text = b"in the buffer of the text layer"
        members = contents(2)
        assert z.read("second") == members["folder/member0"] + text + members["folder/member1"]
        assert z.read("first") == b"1" * 1000 and z.read("third") == b"3"
        end = z.start_dir + sum(46 + len(i.filename) + len(i.extra) for i in z.infolist()) + 22
        assert len(data) == end  # one directory, one end


@pytest.mark.parametrize("mode", ["w", "a", "x"])
@pytest.mark.parametrize("act", [k for k in ENDS if k != "refused"])
def test_only_the_process_that_writes_an_archive_finishes_it(tmp_path, mode, act):
    path = tmp_path / "made.zip"
    before = ["old"] if mode == "a" else []
    if mode == "a":
        path.write_bytes(zipped({"old": b"0" * 5000}))
    run(WRITING.format(fo=repr(str(path)), mode=mode, act=ENDS[act]))
    check_written(path.read_bytes(), before)


def test_writing_in_a_child_is_refused(tmp_path):
    path = tmp_path / "made.zip"
    program = WRITING.format(fo=repr(str(path)), mode="w", act=ENDS["refused"])
    run(program.replace("ended(fork(work))", "").replace("ended(fork(lambda: None))", "ended(fork(work))"))
    check_written(path.read_bytes())


@pytest.mark.parametrize("fo", ["memory", "file object", "raw file object"])
def test_other_targets_of_an_archive_that_is_written(tmp_path, fo):
    path = tmp_path / "made.zip"
    made_of = {
        "memory": "'memory://made.zip'",
        "file object": f"open({str(path)!r}, 'wb')",
        "raw file object": f"open({str(path)!r}, 'wb', buffering=0)",
    }
    program = WRITING.format(fo="fo", mode="w", act=ENDS["dropped"])
    program = f"fo = {made_of[fo]}\n" + program
    if fo == "memory":
        program += f"fsspec.filesystem('memory').get_file('/made.zip', {str(path)!r})"
    else:
        program += "fo.close()"
    run(program)
    check_written(path.read_bytes())


def test_an_archive_that_is_written_to_s3(s3_address):
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_address,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="made")
    options = {**CREDENTIALS, "endpoint_url": s3_address}
    program = WRITING.format(fo="'s3://made/a.zip', target_options=OPTIONS", mode="w", act=ENDS["dropped"])
    for reset in "01":
        run(f"OPTIONS = {options!r}\n" + program, FSSPEC_FORK_RESET=reset)
        data = client.get_object(Bucket="made", Key="a.zip")["Body"].read()
        with zipfile.ZipFile(io.BytesIO(data)) as z:
            assert z.testzip() is None and z.namelist() == ["first", "second", "third"]
        client.delete_object(Bucket="made", Key="a.zip")
    client.close()


@pytest.mark.parametrize("closed", [False, True])
def test_members_that_wait_for_the_end_of_a_transaction_are_the_parents(tmp_path, closed):
    """What a child does with its copies, and its end, changes nothing of what the parent adds."""
    path = tmp_path / "made.zip"
    run(
        f"""
        import gc
        fs = fsspec.filesystem("zip", fo={str(path)!r}, mode="w")
        big = members["folder/member0"] * 20  # more than is kept in memory
        with fs.transaction as transaction:
            f = fs.open("waiting", "wb")
            f.write(big[:-7])
            if {closed}:
                f.write(big[-7:])
                f.close()
            def work():
                global f, fs, transaction
                for act in (f.commit, lambda: f.write(b"child")):
                    try:
                        act()
                    except (ForkError, ValueError):
                        pass
                    else:
                        raise AssertionError("a child wrote to its parent's member")
                f.discard()
                f = fs = transaction = None
                gc.collect()
            ended(fork(work))
            if not {closed}:
                f.write(big[-7:])
                f.close()
        fs.close()
        assert fsspec.filesystem("zip", fo={str(path)!r}).cat("waiting") == big
        """
    )


def test_threads_that_write_at_the_fork(tmp_path):
    path = tmp_path / "made.zip"
    run(
        f"""
        import gc
        fs = fsspec.filesystem("zip", fo={str(path)!r}, mode="w", compression=8)
        written = []
        def write():
            while len(written) < 400:
                fs.pipe(f"m{{len(written)}}", members["folder/member0"][:20000])
                written.append(1)
        def work():
            global fs
            assert all(entry["size"] == 20000 for entry in fs.ls(""))
            fs.close()
            fs = None
            gc.collect()
        thread = threading.Thread(target=write)
        thread.start()
        while thread.is_alive():
            ended(fork(work))
        thread.join()
        fs.close()
        """
    )
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None and z.namelist() == [f"m{i}" for i in range(400)]


def test_a_child_makes_an_archive_of_its_own(tmp_path, kind):
    run(
        f"""
        fs = fsspec.filesystem("zip", fo={str(tmp_path / "parents.zip")!r}, mode="w")
        def work():
            own = fsspec.filesystem("zip", fo={str(tmp_path / "childs.zip")!r}, mode="w")
            own.pipe("x", b"child")
            own.close()
        ended(fork(work))
        fs.pipe("x", b"parent")
        fs.close()
        """
    )
    for whose in ("parent", "child"):
        with zipfile.ZipFile(tmp_path / f"{whose}s.zip") as z:
            assert z.read("x") == whose.encode()
    assert tarfile.is_tarfile(tmp_path / "parents.zip") is False
