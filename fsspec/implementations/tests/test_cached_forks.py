"""Caches across forks and between processes: real servers, one program a case."""

import json
import os
import textwrap

import pytest

from fsspec.tests import programs
from fsspec.tests.servers.s3 import options, serve_s3

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform cannot fork")

HEAD = """
import gc, json, multiprocessing, os, signal, sys, time
import fsspec
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**18))
url, folder = os.environ["T_URL"], os.environ["T_FOLDER"]
target = json.loads(os.environ.get("T_TARGET", '{"target_protocol": "http"}'))

def cache(kind, **more):
    return fsspec.filesystem(kind, **target, **{"cache_storage": folder, **more})

def well(body):
    problem = by_fork(body).problem()
    assert not problem, problem

def raises(error, func, *args):
    try:
        func(*args)
    except error as caught:
        return caught
    raise AssertionError("nothing was raised")

def run_concurrently(body, number=4):
    "So many children at once, none of which may fail or hang."
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=body, args=(n,)) for n in range(number)]
    for child in children:
        child.start()
    for child in children:
        child.join(40)
    assert [child.exitcode for child in children] == [0] * number
"""

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**18))


@pytest.fixture
def url(http_server):
    for name in "abc":
        http_server.files[f"/{name}.bin"] = BIG + name.encode()
    return http_server.url


@pytest.fixture(scope="module")
def s3_address():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with serve_s3() as address:
        yield address


def run(text, url, folder, opted_in=True, **more):
    # an environment in which nothing is said is one that did not opt in
    variables = {"T_URL": url, "T_FOLDER": str(folder), "FSSPEC_FORK_RESET": "1" if opted_in else "", **more}
    return programs.run(HEAD + textwrap.dedent(text), **variables)


@pytest.mark.parametrize("opted_in", [True, False])
@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_a_temporary_folder_goes_with_its_own_process(url, tmp_path, kind, opted_in):
    output = run(
        f"""
        c = cache({kind!r}, cache_storage="TMP")
        first = c.storage[0]
        assert c.cat(url + "/a.bin") == BIG + b"a"
        names = sorted(os.listdir(first))

        def child():
            assert c.cat(url + "/a.bin") == BIG + b"a"
            if {opted_in}:
                assert c.cat(url + "/b.bin") == BIG + b"b"
                assert fsspec.filesystem({kind!r}, **target, cache_storage="TMP") is c
            new = fsspec.filesystem({kind!r}, **target, cache_storage="TMP", skip_instance_cache=True)
            assert new.cat(url + "/c.bin") == BIG + b"c"
            own = c.storage[1:] + new.storage
            assert first not in own and all(os.path.isdir(f) for f in own) and len(own) == 2
            assert c.storage[0] == first and sorted(os.listdir(first)) == names
            print("own", *own, flush=True)
            del new
            gc.collect()

        def grandchild():
            well(child)
            child()

        for body in (child, grandchild):
            well(body)
            assert sorted(os.listdir(first)) == names
            assert c.storage == [first] and c.cat(url + "/a.bin") == BIG + b"a"
        assert c.cat(url + "/c.bin") == BIG + b"c"
        print("own", first)
        """,
        url,
        tmp_path,
        opted_in,
        TMPDIR=str(tmp_path),
    )
    folders = [name for line in output.splitlines() for name in line.split()[1:]]
    assert len(folders) == 7 and all(os.path.dirname(f) == str(tmp_path) for f in folders)
    assert os.listdir(tmp_path) == []


def test_the_folder_of_a_multiprocessing_child_goes_too(url, tmp_path):
    run(
        """
        def child(n):
            c = cache("simplecache", cache_storage="TMP")
            assert c.cat(url + "/a.bin") == BIG + b"a"
            assert len(os.listdir(folder)) > n

        run_concurrently(child, 1)
        assert os.listdir(folder) == []
        """,
        url,
        tmp_path,
        TMPDIR=str(tmp_path),
    )


def test_parent_and_child_use_the_instance_and_the_server_sees_no_harm(url, tmp_path, http_server):
    run(
        """
        caches = {kind: cache(kind, cache_storage=f"{folder}/{kind}")
                  for kind in ("simplecache", "filecache", "blockcache")}
        for c in caches.values():
            assert c.cat(url + "/a.bin") == BIG + b"a"

        def child():
            for kind, c in caches.items():
                assert fsspec.filesystem(kind, **target, cache_storage=f"{folder}/{kind}") is c
                assert c.cat(url + "/b.bin") == BIG + b"b"
                assert c.info(url + "/c.bin")["size"] == len(BIG) + 1
                assert c.glob(url + "/*.bin") is not None

        for _ in range(2):
            well(child)
        for c in caches.values():
            assert c.cat([url + "/a.bin", url + "/b.bin", url + "/c.bin"])[url + "/c.bin"] == BIG + b"c"
        """,
        url,
        tmp_path,
    )
    paths = [r.path for r in http_server.requests if r.method == "GET" and r.path.endswith("bin")]
    assert paths.count("/b.bin") == 3  # once a cache: the first child's copies serve the parent
    assert not any(c.reset for c in http_server.connections)


def test_without_opting_in_copies_are_read_and_the_target_refuses(url, tmp_path):
    run(
        """
        for kind in ("simplecache", "filecache", "blockcache"):
            c = cache(kind, cache_storage=f"{folder}/{kind}")
            f = c.open(url + "/a.bin", block_size=2**16)
            assert f.read(10) == BIG[:10]
            whole = kind != "blockcache"

            def child():
                if whole:
                    f.seek(2**19)
                    assert f.read(10) == BIG[2**19 : 2**19 + 10]
                    assert c.cat(url + "/a.bin") == BIG + b"a"
                else:
                    assert f.read(10) == BIG[10:20]
                    f.seek(2**19)
                    assert "fork-safe" in str(raises(ForkError, f.read, 10))
                for call in (c.cat, c.open, c.info, c.ls, c.exists):
                    error = raises(ForkError, call, url + "/b.bin")
                    assert "HTTPFileSystem" in str(error) and "reset_loop" in str(error)
                new = fsspec.filesystem(kind, **target, cache_storage=f"{folder}/{kind}")
                assert new is not c and new.cat(url + "/c.bin") == BIG + b"c"
                new.pop_from_cache(url + "/c.bin")

            def by_hand():
                assert fsspec.asyn.reset_after_fork()
                assert c.cat(url + "/b.bin") == BIG + b"b"
                f.seek(2**19)
                assert f.read(10) == BIG[2**19 : 2**19 + 10]
                assert fsspec.filesystem(kind, **target, cache_storage=f"{folder}/{kind}") is c

            def one_by_hand():
                c.reset_loop()
                assert c.cat(url + "/c.bin") == BIG + b"c"

            import fsspec.asyn
            for body in (child, by_hand, one_by_hand):
                well(body)
            assert f.read(10) == BIG[10:20]
            f.close()
            assert c.cat(url + "/b.bin") == BIG + b"b"
        """,
        url,
        tmp_path,
        opted_in=False,
    )


@pytest.mark.parametrize("protocol", ["http", "sync-http", "file", "memory"])
def test_open_files_have_positions_and_blocks_of_their_own(url, tmp_path, protocol):
    if protocol == "sync-http":
        pytest.importorskip("requests")
    run(
        """
        protocol = os.environ["T_PROTOCOL"]
        if protocol == "sync-http":
            from fsspec.implementations import http_sync
            http_sync.unregister()
        target = {"target_protocol": protocol}
        path = url + "/a.bin" if "http" in protocol else folder + "/a.bin"
        if "http" not in protocol:
            fsspec.filesystem(protocol).pipe(path, BIG + b"a")
        whole = cache("simplecache", cache_storage=folder + "/s").open(path)
        c = cache("blockcache", cache_storage=folder + "/b")
        blocks = c.open(path, block_size=2**16)
        assert (whole.read(100), blocks.read(100)) == (BIG[:100], BIG[:100])

        def child():
            for f in (whole, blocks):
                assert f.tell() == 100
                assert f.read(100) == BIG[100:200]
                f.seek(2**19 + 5)
                assert f.read(10) == BIG[2**19 + 5 : 2**19 + 15]
                f.seek(-1, 2)
                assert f.read() == b"a"
            assert blocks.cache.blocks == {0, 8, 16}
            whole.close()
            blocks.close()
            with c.open(path) as again:  # its blocks were those of a copy that is gone
                assert again.cache.blocks == set()
                again.seek(3 * 2**16)
                assert again.read(4) == BIG[3 * 2**16 :][:4]

        def leaves():
            child()
            blocks.fs.open(path).read(1)

        for body in (child, lambda: None, lambda: well(child)):
            c.pop_from_cache(path)
            c.open(path, block_size=2**16).close()
            well(body)
        for f in (whole, blocks):
            assert f.tell() == 100
            assert f.read() == BIG[100:] + b"a"
            f.close()
        """,
        url,
        tmp_path,
        T_PROTOCOL=protocol,
    )


WAYS_TO_END = {
    "close": "f.close(); os._exit(0)",
    "dropped": "del f; os._exit(0)",
    "sys.exit": "sys.exit(0)",
    "killed later": "files.ENTER_EVERY = f._due = 0; read(f, start + STEP); os.kill(os.getpid(), 9)",
    "killed at once": "os.kill(os.getpid(), 9)",
    "os._exit": "os._exit(0)",
}


@pytest.mark.parametrize("protocol", ["http", "file"])
@pytest.mark.parametrize("how", WAYS_TO_END)
def test_what_children_fetch_through_an_inherited_file_is_kept(how, protocol, url, tmp_path):
    run(
        f"""
        from fsspec.implementations._cached import files
        target = {{"target_protocol": {protocol!r}}}
        path = url + "/a.bin" if {protocol!r} == "http" else folder + "/a.bin"
        if {protocol!r} == "file":
            with open(path, "wb") as made:
                made.write(BIG + b"a")
        STEP = 2**16

        def read(f, start):
            f.seek(start)
            buffer = bytearray(1000)
            assert f.readinto(buffer) == 1000 and buffer == BIG[start : start + 1000]

        c = cache("blockcache", cache_storage=folder + "/b")
        f = c.open(path, block_size=STEP)
        read(f, 0)
        pids = []
        for start in range(2 * STEP, 10 * STEP, 2 * STEP):
            pids.append(os.fork())
            if not pids[-1]:
                read(f, 0)
                read(f, start)
                {WAYS_TO_END[how]}
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [{9 if "killed" in how else 0}] * 4
        entered = {{"killed later": {{0, 2, 3, 4, 5, 6, 7, 8, 9}}}}.get({how!r}, {{0, 2, 4, 6, 8}})
        if {how!r} in ("killed at once", "os._exit"):
            entered = set()
        with cache("blockcache", cache_storage=folder + "/b", skip_instance_cache=True).open(path) as again:
            assert again.cache.blocks == entered, again.cache.blocks
            for number in entered:
                read(again, number * STEP)
            assert again.cache.miss_count == 0
        assert f.cache.blocks == {{0}}
        for start in range(0, 2**20, STEP):
            read(f, start)
        f.close()
        assert c.cat(path) == BIG + b"a"
        """,
        url,
        tmp_path,
    )


def test_what_is_kept_of_an_inherited_file_is_checked_and_bounded(url, tmp_path, http_server):
    http_server.fault("/c.bin", headers={"ETag": '"1"'}, times=2, then={"ETag": '"2"'})
    run(
        """
        from fsspec.exceptions import FileChangedError
        temporary = cache("blockcache", cache_storage="TMP").open(url + "/a.bin", block_size=2**16)
        c = cache("blockcache", cache_max_size=3 * 2**16)
        other, f = (c.open(url + name, block_size=2**16) for name in ("/b.bin", "/a.bin"))
        for file in (temporary, other, f):
            assert file.read(10) == BIG[:10]
        copy, gone = f.name, other.name
        other.close()

        def child(number):
            for file in (temporary, f):
                file.seek((number + 2) * 2**17)
                assert file.read(10) == BIG[(number + 2) * 2**17 :][:10]
            if number == 3:
                f.close()
                assert os.path.exists(copy) and not os.path.exists(gone)

        run_concurrently(child)  # the others' blocks are entered as their processes end
        with c.open(url + "/a.bin", block_size=2**16) as again:
            assert again.cache.blocks == {0, 4, 6, 8, 10}, again.cache.blocks
        with temporary.fs.open(url + "/a.bin", block_size=2**16) as again:
            assert again.cache.blocks == set()

        f = c.open(url + "/c.bin", block_size=2**16)
        assert f.read(10) == BIG[:10]

        def changed(number):
            assert f.read(10) == BIG[10:20]
            f.seek(2**19)
            raises(FileChangedError, f.read, 10)
            f.close()

        run_concurrently(changed)
        assert f.read(10) == BIG[10:20]
        f.close()
        with c.open(url + "/c.bin", block_size=2**16) as again:
            assert again.cache.blocks == {0}
        """,
        url,
        tmp_path,
    )


WRITERS = """
    raw = c.open(path + "raw", "wb")
    raw.write(BIG[:1000])
    text = c.open(path + "text", "w", encoding="utf8")
    text.write("é" * 1000)
    packed = c.open(path + "packed", "wb", compression="gzip")
    packed.write(BIG[:1000])
    layered = fsspec.core.OpenFile(c, path + "layered", "wt", compression="gzip")
    top = layered.open()
    top.write("é" * 1000)

    def child():
        assert "opened it" in str(raises(ForkError, raw.write, b"child"))
        raises(ForkError, raw.flush)
        raises(ForkError, raw.commit)
        assert raw.closed
        for f in (raw, text, packed, layered):
            f.close()

    def leaves():
        pass

    def drops():
        global raw, text, packed, top, layered, child
        del raw, text, packed, top, layered, child
        gc.collect()

    for body in (child, leaves, drops, lambda: well(child)):
        well(body)
        assert not [p for p in c.fs.find(root) if p.startswith(path.removeprefix("s3://"))], c.fs.find(root)
    raw.write(BIG[1000:])
    raw.close()
    text.write("ü")
    text.close()
    packed.write(BIG[1000:2000])
    packed.close()
    del packed
    gc.collect()
    top.write("ü")
    layered.close()
    import gzip
    c.fs.invalidate_cache()
    assert c.fs.cat(path + "raw") == BIG
    assert c.fs.cat(path + "text").decode() == "é" * 1000 + "ü"
    assert gzip.decompress(c.fs.cat(path + "packed")) == BIG[:2000]
    assert gzip.decompress(c.fs.cat(path + "layered")).decode() == "é" * 1000 + "ü"
    assert c.cat(path + "raw") == BIG
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]
"""


@pytest.mark.parametrize("opted_in", [True, False])
@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_a_file_being_written_belongs_to_its_process(s3_address, tmp_path, kind, opted_in):
    target = {"target_protocol": "s3", "target_options": options(s3_address)}
    head = f"""
    c = cache({kind!r})
    root = "written-{kind}-{opted_in}".lower()
    path = f"s3://{{root}}/up-"
    c.fs.mkdir(root)
    """
    run(
        textwrap.dedent(head) + textwrap.dedent(WRITERS),
        "",
        tmp_path,
        opted_in,
        T_TARGET=json.dumps(target),
    )


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_a_transaction_is_the_parents(s3_address, tmp_path, kind):
    target = {"target_protocol": "s3", "target_options": options(s3_address)}
    run(
        f"""
        c = cache({kind!r})
        root = "transaction-{kind}"
        c.fs.mkdir(root)
        with c.transaction:
            c.pipe(root + "/one", b"1")
            with c.open(root + "/two", "wb") as f:
                f.write(b"2")

            def child():
                c.pipe(root + "/child", b"child")
                assert c.fs.cat(root + "/child") == b"child"
                sys.exit(0)

            by_fork(child)
            well(lambda: None)
            c.fs.invalidate_cache()
            assert c.fs.ls(root, detail=False) == [root + "/child"]
        c.fs.invalidate_cache()
        found = {{p.rpartition("/")[2]: data for p, data in c.fs.cat(root + "/*").items()}}
        assert found == {{"child": b"child", "one": b"1", "two": b"2"}}
        """,
        "",
        tmp_path,
        T_TARGET=json.dumps(target),
    )


def test_s3_instance_and_chain_in_a_child(s3_address, tmp_path):
    run(
        f"""
        options = {options(s3_address)!r}
        s3 = fsspec.filesystem("s3", **options)
        s3.mkdir("chained")
        s3.pipe({{f"chained/{{n}}": bytes([n]) * 10_000 for n in range(6)}})
        kinds = ("simplecache", "filecache", "blockcache")
        more = {{k: {{"cache_storage": f"{{folder}}/{{k}}"}} for k in kinds}}
        opened = {{}}
        for k in kinds:
            with fsspec.open(f"{{k}}::s3://chained/0", s3=options, **{{k: more[k]}}) as f:
                assert f.read() == bytes(10_000)
            opened[k] = fsspec.open(f"{{k}}::s3://chained/1", s3=options, **{{k: more[k]}})

        def child(n=2):
            for k, of in opened.items():
                with of as f:
                    assert f.read() == b"\\1" * 10_000
                with fsspec.open(f"{{k}}::s3://chained/{{n}}", s3=options, **{{k: more[k]}}) as f:
                    assert f.read() == bytes([n]) * 10_000
                assert of.fs.ls("chained", detail=False)[0] == "chained/0"

        well(child)
        run_concurrently(child)
        child(5)
        """,
        "",
        tmp_path,
    )


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_processes_that_share_a_folder(url, tmp_path, http_server, kind):
    for n in range(24):
        http_server.files[f"/many/{n}"] = bytes([n]) * (20_000 + n)
    run(
        f"""
        paths = [url + f"/many/{{n}}" for n in range(24)]
        expected = {{p: bytes([n]) * (20_000 + n) for n, p in enumerate(paths)}}

        def child(n):
            c = cache({kind!r})
            mine = paths[n * 6 :] + paths[: n * 6]
            for p in mine[:12]:
                assert c.cat(p) == expected[p], p
            for p in mine[:6]:
                with c.open(p) as f:
                    f.seek(19_990)
                    assert f.read() == expected[p][19_990:]
            assert c.cat(mine) == expected

        run_concurrently(child)
        c = cache({kind!r})
        if {kind!r} != "simplecache":
            with open(folder + "/cache") as f:
                assert set(json.load(f)) == set(paths)  # nobody's entry was lost
        """,
        url,
        tmp_path,
    )
    before = len(http_server.requests)
    run(
        f"""
        c = cache({kind!r})
        for n in range(24):
            assert c.cat(url + f"/many/{{n}}") == bytes([n]) * (20_000 + n)
        """,
        url,
        tmp_path,
    )
    assert len(http_server.requests) == before
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_processes_that_read_while_others_clear(url, tmp_path, kind):
    run(
        f"""
        path = url + "/a.bin"

        def child(n):
            c = cache({kind!r})
            for turn in range(15):
                try:
                    if n and turn % 2:
                        with c.open(path, block_size=2**18) as f:
                            f.seek(n * 1000)
                            assert f.read(10) == BIG[n * 1000 : n * 1000 + 10]
                    elif n:
                        assert c.cat(path) == BIG + b"a"
                    elif turn % 2:
                        c.pop_from_cache(path)
                    else:
                        c.clear_cache()
                except FileNotFoundError:
                    pass  # of what was cleared under way; never wrong bytes

        run_concurrently(child)
        c = cache({kind!r})
        assert c.cat(path) == BIG + b"a"
        """,
        url,
        tmp_path,
    )


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_a_process_killed_under_way_leaves_nothing_that_looks_whole(url, tmp_path, http_server, kind):
    http_server.fault("/a.bin", delay_body=30, times=1, methods=("GET",))
    run(
        f"""
        def child():
            cache({kind!r}).cat(url + "/a.bin")

        pid = os.fork()
        if not pid:
            child()
            os._exit(7)
        deadline = time.monotonic() + 20
        begun = lambda: any(n.endswith(".part") or {kind == "blockcache"} for n in os.listdir(folder))
        while not (os.path.isdir(folder) and begun()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        c = cache({kind!r})
        assert c.cat(url + "/a.bin") == BIG + b"a"
        with c.open(url + "/a.bin") as f:
            assert f.read() == BIG + b"a"
        for name in os.listdir(folder):
            os.utime(os.path.join(folder, name), (0, 0))
        c.clear_cache()
        assert os.listdir(folder) == []
        """,
        url,
        tmp_path / "c",
    )


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache", "file"])
def test_a_fork_while_another_thread_reads_the_same_file(url, tmp_path, kind):
    run(
        f"""
        import threading
        if {kind!r} == "file":
            path = folder + "/plain"
            with open(path, "wb") as made:
                made.write(BIG)
            f = fsspec.filesystem("file").open(path)
        else:
            path = url + "/a.bin"
            f = cache({kind!r}).open(path, block_size=2**14)
        stop = threading.Event()

        def work():
            while not stop.is_set():
                f.seek(0)
                f.read(70_000)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        def child():
            f.seek(2**18)
            assert f.read(1000) == BIG[2**18 : 2**18 + 1000]
            assert f.readline() is not None
            f.close()

        for _ in range(8):
            time.sleep(0.005)
            well(child)
            well(lambda: None)
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
        f.seek(10)
        assert f.read(10) == BIG[10:20]
        """,
        url,
        tmp_path,
    )


def test_a_fork_while_other_threads_save(tmp_path):
    run(
        """
        import threading
        memory = fsspec.filesystem("memory")
        memory.pipe({f"/{n}": bytes([n]) for n in range(200)})
        c = fsspec.filesystem("filecache", fs=memory, cache_storage=folder)
        stop = threading.Event()

        def work(first):
            while not stop.is_set():
                for n in range(first, 200, 3):
                    c.cat(f"/{n}")
                    c.pop_from_cache(f"/{n}")

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(3)]
        for thread in threads:
            thread.start()

        def child():
            assert c.cat([f"/{n}" for n in range(50)]) == {f"/{n}": bytes([n]) for n in range(50)}
            assert c.cat("/7") == bytes([7])

        for _ in range(10):
            well(child)
        stop.set()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert c.cat("/100") == bytes([100])
        """,
        "",
        tmp_path,
    )


def test_a_child_that_writes_reads_what_it_wrote(tmp_path):
    run(
        """
        memory = fsspec.filesystem("memory")
        memory.pipe({"/a": b"old", "/b": b"old"})
        for kind in ("simplecache", "filecache", "blockcache"):
            c = fsspec.filesystem(kind, fs=memory)
            assert c.cat(["/a", "/b"]) == {"/a": b"old", "/b": b"old"}

            def child():
                c.pipe("/a", b"new!")
                assert c.cat("/a") == b"new!"
                c.rm("/b")
                raises(FileNotFoundError, c.cat, "/b")

            well(child)
            assert c.cat("/a") == b"old" and c.cat("/b") == b"old"
        """,
        "",
        tmp_path,
    )


@pytest.mark.parametrize("kind", ["simplecache", "filecache"])
def test_an_open_copy_in_children_and_in_their_children(tmp_path, kind):
    programs.run(
        f"""
        import io, pickle
        import fsspec
        from fsspec._checks.forked import by_fork

        fsspec.filesystem("memory").pipe("/lines", b"hello\\nworld\\n" * 1000)
        c = fsspec.filesystem({kind!r}, target_protocol="memory", cache_storage={str(tmp_path)!r})
        f = c.open("/lines")
        assert f.read(3) == b"hel"

        def well(body):
            problem = by_fork(body).problem()
            assert not problem, problem

        def grandchild():
            assert isinstance(f, io.BufferedReader)
            assert f.readline() == b"world\\n" and f.tell() == 24 and f.peek(5)[:5] == b"hello"
            with io.TextIOWrapper(f) as text:
                assert text.readline() == "hello\\n"
            assert f.closed

        def child():
            assert f.read(4) == b"lo\\nw" and f.readline() == b"orld\\n" and f.readline() == b"hello\\n"
            well(grandchild)
            assert f.tell() == 18 and f.read(3) == b"wor" and not f.closed
            with pickle.loads(pickle.dumps(f)) as again:
                assert again.readline() == b"ld\\n"
            buffer = bytearray(5)
            assert f.readinto(buffer) == 5 and buffer == b"ld\\nhe"
            assert list(f)[-1] == b"world\\n" and f.seek(0) == 0
            f.close()
            try:
                f.read()
            except ValueError:
                return
            raise AssertionError("it is not closed")

        well(child)
        well(child)
        assert f.tell() == 3 and f.read(4) == b"lo\\nw"
        f.close()
        """
    )


@pytest.mark.parametrize("opted_in", [True, False])
@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_a_cache_that_takes_all_but_its_own_from_the_target_is_used_in_a_child(url, tmp_path, kind, opted_in):
    run(
        f"""
        from fsspec.implementations.tests.caches import choosing

        http = fsspec.filesystem("http")
        c = choosing({kind!r})(fs=http, cache_storage=folder)
        assert c.cat(url + "/a.bin") == BIG + b"a"

        def child():
            assert c.cat_file(url + "/a.bin") == BIG + b"a"  # of the copy
            with c.open(url + "/a.bin") as f:
                assert f.read(4) == BIG[:4]
            assert c.storage == [folder]
            if not {opted_in}:
                raises(ForkError, c.cat, url + "/b.bin")
                raises(ForkError, c.info, url + "/b.bin")
                c.reset_loop()
            assert c.cat(url + "/b.bin") == BIG + b"b" and c.size(url + "/b.bin") == len(BIG) + 1

        well(child)
        assert c.cat(url + "/a.bin") == BIG + b"a" and c.cat(url + "/c.bin") == BIG + b"c"
        """,
        url,
        tmp_path,
        opted_in,
    )


def test_a_child_keeps_what_it_reads_of_a_file_that_the_parent_was_writing(tmp_path):
    programs.run(
        f"""
    import faulthandler, os, fsspec
    from fsspec.implementations.local import LocalFileSystem
    faulthandler.dump_traceback_later(60, exit=True)
    opened = []

    class Counting(LocalFileSystem):
        def _open(self, path, mode="rb", **kwargs):
            opened.append(mode)
            return super()._open(path, mode, **kwargs)

    path = {str(tmp_path / "x")!r}
    fs = fsspec.filesystem("blockcache", fs=Counting(), cache_storage={str(tmp_path / "cache")!r})
    writer = fs.open(path, "wb")
    writer.write(b"new" * 1000)
    ready, go = os.pipe()
    child = os.fork()
    if not child:
        os.read(ready, 1)
        read = []
        for _ in range(3):
            with fs.open(path) as f:
                read.append(f.read() == b"new" * 1000)
        os._exit(0 if all(read) and opened.count("rb") == 1 else 1)
    writer.close()
    os.write(go, b"x")
    assert os.waitpid(child, 0)[1] == 0
    with fs.open(path) as f:
        assert f.read() == b"new" * 1000
    """,
        FSSPEC_FORK_RESET="1",
    )
