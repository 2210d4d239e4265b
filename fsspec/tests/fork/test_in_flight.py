"""Requests of the parent that are under way as it forks, held at each of their stages.

Whatever the children do, the request then goes on and brings the right bytes.
"""

import pytest

from fsspec.tests.fork.relay import HoldingRelay
from fsspec.tests.fork.scripts import run

STAGES = {
    "connecting": None,
    "waiting for the answer": 0,  # over TLS: in the handshake
    "half the body": 150_000,
}

PROGRAM = """
    import socket

    def control(word):
        with socket.create_connection(("127.0.0.1", int(os.environ["CONTROL"]))) as c:
            c.sendall(word)
            assert c.recv(1) == b"."

    fs, read_it = make()
    result = []
    thread = threading.Thread(target=lambda: result.append(read_it()), daemon=True)
    thread.start()
    control(b"?")
    time.sleep(0.1)
    box = [fs, read_it]

    def drop():
        box.clear()
        globals().pop("fs"), globals().pop("read_it")
        gc.collect()

    def use():
        if OPTED:
            expect(*elsewhere(fs))
        else:
            refuses(lambda: elsewhere(fs))

    for body in (lambda: None, drop, use):
        forked(body)
    for end in (lambda: os._exit(0), lambda: os.kill(os.getpid(), 9)):
        pid = os.fork()
        if not pid:
            end()
        os.waitpid(pid, 0)
    assert not result, "it was not held until the children had ended"
    control(b"!")
    thread.join(15)
    if not result:
        faulthandler.dump_traceback(all_threads=True)
        sys.exit("the parent's request hangs")
    expect(result[0], DATA["data1.bin"], "the request under way")
    answers(lambda: expect(*elsewhere(fs)))
"""
HTTP = """
    def make():
        fs = fsspec.filesystem(os.environ["SCHEME"])
        return fs, lambda: fs.cat_file(os.environ["RELAY"] + "/data1.bin")

    def elsewhere(fs):
        return fs.cat_file(url("data0.bin")), DATA["data0.bin"], "over another connection"
"""
HTTP_FILE = """
    def make():
        fs = fsspec.filesystem(os.environ["SCHEME"])
        f = fs.open(os.environ["RELAY"] + "/data1.bin", "rb", 300_000, cache_type="readahead", size=300_000)
        return fs, f.read

    def elsewhere(fs):
        return fs.cat_file(url("data0.bin")), DATA["data0.bin"], "over another connection"
"""
AWAITED = """
    import asyncio

    def make():
        fs = fsspec.filesystem(os.environ["SCHEME"], asynchronous=True)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()

        async def once():
            try:
                return await fs._cat_file(os.environ["RELAY"] + "/data1.bin")
            finally:
                await fs._session.close()

        return fs, asyncio.run_coroutine_threadsafe(once(), loop).result

    def elsewhere(fs):
        async def once():
            # what it has of connections belongs to the loop that it was first used on
            mine = fs
            if os.getpid() == started:
                mine = fsspec.filesystem("http", asynchronous=True, skip_instance_cache=True)
            try:
                return await mine._cat_file(url("data0.bin"))
            finally:
                await mine._session.close()  # with asynchronous instances that is up to the program

        return asyncio.run(once()), DATA["data0.bin"], "over another connection"

    started = os.getpid()
"""
S3 = """
    def make():
        from fsspec.tests.servers.s3 import options
        fs = fsspec.filesystem("s3", **options(os.environ["RELAY"]))
        global other
        other = fsspec.filesystem("s3", **options(places["s3"]))
        elsewhere(fs)
        return fs, lambda: fs.cat_file("bucket/data1.bin")

    def elsewhere(fs):
        return other.cat_file("bucket/data0.bin"), DATA["data0.bin"], "over another connection"
"""
CLIENTS = {
    "http": ("http", HTTP),
    "https": ("https", HTTP),
    "http file": ("http", HTTP_FILE),
    "http awaited": ("http", AWAITED),
    "https awaited": ("https", AWAITED),
    "s3": ("s3", S3),
}


@pytest.mark.parametrize("stage", list(STAGES))
@pytest.mark.parametrize("mode", ["opted", "neither"])
@pytest.mark.parametrize("client", list(CLIENTS))
def test_a_request_goes_on_whatever_children_do(client, mode, stage, places):
    place, text = CLIENTS[client]
    if place not in places:
        pytest.skip(f"no server for {place}")
    if place == "s3":
        pytest.importorskip("s3fs")
    with HoldingRelay(places[place], STAGES[stage]) as relay:
        run(text + PROGRAM, places, mode, RELAY=relay.url, CONTROL=str(relay.control), SCHEME=place)


@pytest.mark.parametrize("mode", ["opted", "neither"])
def test_an_upload_goes_on_whatever_children_do(mode, places, tmp_path):
    text = """
    def make():
        fs = fsspec.filesystem("http")
        data = DATA["data1.bin"]
        return fs, lambda: fs.pipe_file(os.environ["RELAY"] + "/up.bin", data) or data

    def elsewhere(fs):
        return fs.cat_file(url("data0.bin")), DATA["data0.bin"], "over another connection"
    """
    with HoldingRelay(places["http"], 0) as relay:
        run(text + PROGRAM, places, mode, RELAY=relay.url, CONTROL=str(relay.control), SCHEME="http")
        run("expect(fsspec.filesystem('http').cat_file(url('up.bin')), DATA['data1.bin'], 'sent')", places)
