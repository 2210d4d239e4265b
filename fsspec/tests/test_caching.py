"""Read caches: what they fetch, what they return, what a fork does to them."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import pickle
import random
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fsspec import caching
from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.caching import caches
from fsspec.exceptions import IncompleteRead
from fsspec.spec import AbstractBufferedFile
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run

DATA = bytes(i % 251 for i in range(1000))
STRETCHES = ["none", "readahead", "bytes", "first", "all"]
BLOCKS = ["mmap", "blockcache", "background"]
EVERY = [*STRETCHES, *BLOCKS, "adaptive"]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


class Source:
    """The fetcher, noting ranges; ``short`` bytes are missing from the end of each."""

    path = "bucket/object"

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []
        self.short = 0

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.data), (start, end)
        self.asked.append((start, end))
        return self.data[start : end - self.short]


def fetch_globally(start: int, end: int) -> bytes:
    return DATA[start:end]


def closed(cache: caching.BaseCache) -> None:
    getattr(cache, "close", lambda: None)()


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("blocksize", [1, 7, 100, 4096])
def test_reads_are_right_and_stay_within_the_file(kind: str, blocksize: int) -> None:
    source = Source()
    cache = caches[kind](blocksize, source.fetch, len(DATA))
    reads = [(0, 1), (1, 30), (30, 31), (25, 400), (990, 1000), (999, 1200), (1000, 1001), (0, 1000)]
    reads += [(5, 5), (500, 510)]
    for start, end in reads:
        assert cache._fetch(start, end) == DATA[start:end], (start, end)
    assert cache._fetch(None, 3) == DATA[:3]
    assert cache._fetch(995, None) == DATA[995:]
    closed(cache)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("elsewhere", [(0, 5), (40, 60), (95, 130), (300, 310), (990, 1000)])
def test_a_read_during_which_another_thread_reads_elsewhere_is_right(
    kind: str, elsewhere: tuple[int, int]
) -> None:
    """The other one comes as this one waits for its bytes, and replaces what is kept."""
    main, found = threading.current_thread(), []

    def fetch(start: int, end: int) -> bytes:
        if ready and threading.current_thread() is main:
            other = threading.Thread(target=lambda: found.append(cache._fetch(*elsewhere)))
            other.start()
            other.join()
        return DATA[start:end]

    ready: list[bool] = []
    cache = caches[kind](10, fetch, len(DATA))
    ready.append(True)
    for start, end in [(0, 20), (15, 50), (45, 100), (90, 95), (500, 700), (690, 720), (480, 505), (0, 1000)]:
        assert cache._fetch(start, end) == DATA[start:end], (start, end)
        assert b"".join(cache._fetch_views(start + 1, end)) == DATA[start + 1 : end]
    assert set(found) <= {DATA[slice(*elsewhere)]}
    closed(cache)


@pytest.mark.parametrize("kind", EVERY)
def test_reads_of_many_threads_are_right(kind: str) -> None:
    def fetch(start: int, end: int) -> bytes:
        time.sleep(0)  # the others run
        return DATA[start:end]

    cache = caches[kind](10, fetch, len(DATA))
    wrong: list[tuple[int, int]] = []

    def read(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(150):
            start = numbers.randrange(len(DATA) - 30)
            for first in range(start, start + 25, numbers.choice((5, 25))):
                if cache._fetch(first, first + 5) != DATA[first : first + 5]:
                    wrong.append((first, first + 5))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    closed(cache)
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_that_was_forked_while_a_thread_read_adaptively_reads_ahead_itself() -> None:
    run("""
    import os, threading
    from fsspec.caching import caches

    data = bytes(range(250)) * 4
    inside, go_on, asked, found = threading.Event(), threading.Event(), [], []

    def fetch(start, end):
        asked.append((start, end))
        if start == 600:
            inside.set()
            go_on.wait()
        return data[start:end]

    cache = caches["adaptive"](10, fetch, len(data))
    cache._fetch(0, 100)
    thread = threading.Thread(target=lambda: found.append(cache._fetch(600, 610)))
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        right = all(cache._fetch(at, at + 10) == data[at : at + 10] for at in range(0, 590, 10))
        os._exit(0 if right and len(asked) < 40 else 1)  # fewer requests than reads
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache._fetch(300, 500) == data[300:500]
    go_on.set()
    thread.join()
    assert found == [data[600:610]] and cache._fetch(610, 700) == data[610:700]
    cache.close()
    """)


def test_a_stretch_may_be_set_piece_by_piece() -> None:
    """As subclasses of other packages do, which have a `_fetch` of their own."""
    for kind in ("readahead", "bytes"):
        cache: Any = caches[kind](10, Source().fetch, len(DATA))
        cache._fetch(0, 20)
        cache.start, cache.end, cache.cache = 100, 105, DATA[100:105]
        assert (cache.start, cache.end, cache.cache) == (100, 105, DATA[100:105])
        assert cache._fetch(101, 104) == DATA[101:104]
        cache.end = None
        assert cache.start is None and cache.cache == b"" and cache._fetch(3, 9) == DATA[3:9]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "all"])
def test_short_answers_are_errors_and_are_not_kept(kind: str) -> None:
    source = Source()
    cache = caches[kind](100, source.fetch, len(DATA))
    source.short = 5
    with pytest.raises(OSError, match="bucket/object"):
        cache._fetch(0, 10 if kind == "none" else 150)
    with pytest.raises(EOFError):
        cache._fetch(0, 10 if kind == "none" else 150)
    source.short = 0
    assert cache._fetch(0, 150) == DATA[:150]
    closed(cache)


def test_a_generous_source_does_not_shift_blocks() -> None:
    for kind in ("blockcache", "background", "mmap", "readahead", "bytes"):
        cache = caches[kind](100, lambda start, end: DATA[start : end + 50], len(DATA))
        assert cache._fetch(50, 350) == DATA[50:350]
        assert cache._fetch(350, 450) == DATA[350:450]
        assert cache._fetch(20, 450) == DATA[20:450]
        if kind == "bytes":
            assert cache.cache == DATA[cache.start : cache.end] and len(cache.cache) == len(cache)
        closed(cache)


class Answering(DictFileSystem):
    """Files of 1000 bytes; `answer` is what is given for a range of one."""

    protocol = "answering"
    cachable = False

    def __init__(self, answer: Callable[[int, int], Any]) -> None:
        super().__init__()
        self.answer = answer

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": len(DATA), "type": "file"}

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> AnsweringFile:
        return AnsweringFile(self, path, mode, 100, cache_type=kwargs["cache_type"])


class AnsweringFile(AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        found: bytes = self.fs.answer(start, end)
        return found


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("beyond", [1, 50, 400, 5000])
def test_a_read_gives_what_was_asked_for_of_a_longer_answer(kind: str, beyond: int) -> None:
    """From the right position on, and past the file's end where the store pads."""
    fs = Answering(lambda start, end: (DATA + b"padding" * 1000)[start : end + beyond])
    with fs.open("a", cache_type=kind) as f:
        for position in (50, 55, 400, 7, 880, 995):
            assert f.seek(position) == position
            assert f.read(5) == DATA[position : position + 5] and f.tell() == position + 5
        assert f.seek(0) == 0 and f.read() == DATA and f.tell() == len(DATA)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("answer", [bytearray, memoryview])
def test_reads_give_bytes_where_the_answer_is_a_buffer(kind: str, answer: Any) -> None:
    with Answering(lambda start, end: answer(DATA[start:end])).open(
        "a", cache_type=kind, block_size=100
    ) as f:
        for position, count in (0, 3), (3, 5), (300, 90), (100, 250), (8, 1):
            f.seek(position)
            found = f.read(count)
            assert type(found) is bytes and found == DATA[position : position + count]
        f.seek(0)
        lines = f.readlines()
        assert {type(line) for line in lines} == {bytes} and b"".join(lines) == DATA


def test_readahead_keeps_a_longer_answer() -> None:
    asked = []
    fs = Answering(lambda start, end: asked.append(start) or DATA[start:])
    with fs.open("a", cache_type="readahead") as f:
        assert b"".join(iter(lambda: f.read(70), b"")) == DATA
    assert asked == [0]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("answer", ["x" * 100, None, list(DATA)], ids=["str", "None", "list"])
def test_an_answer_that_is_not_bytes_is_reported_with_its_method(kind: str, answer: Any) -> None:
    fs = Answering(lambda start, end: answer)
    reported = f"AnsweringFile._fetch_range of Answering .* of 'a', and gave {type(answer).__name__}"
    with pytest.raises(TypeError, match=reported):
        with fs.open("a", cache_type=kind) as f:
            f.read(5)


@pytest.mark.parametrize("kind", EVERY)
def test_the_whole_file_is_not_taken_for_a_part(kind: str) -> None:
    """Of a store that ignores ranges: what begins with the file is right, and nothing else is given out."""
    with Answering(lambda start, end: DATA).open("a", cache_type=kind) as f:
        assert f.read(5) == DATA[:5]
        f.seek(900)
        if kind in ("all", "readahead"):  # which keep it
            assert f.read(5) == DATA[900:905]
        else:
            with pytest.raises(
                IncompleteRead, match="AnsweringFile._fetch_range of Answering .* all 1000 bytes"
            ):
                f.read(5)
            assert f.tell() == 900


@pytest.mark.parametrize(
    "answer, error", [("x" * 5, TypeError), (DATA, IncompleteRead)], ids=["str", "whole"]
)
def test_wrong_answers_of_awaited_files(answer: Any, error: type[Exception]) -> None:
    class Streamed(AbstractAsyncStreamedFile):
        async def _fetch_range(self, start: int, end: int) -> bytes:
            return answer if start == 50 else DATA[start : end + 7]

    async def read() -> None:
        f = Streamed(Answering(lambda start, end: b""), "a", "rb", 100, cache_type="none")
        assert await f.read(50) == DATA[:50] and f.tell() == 50
        with pytest.raises(error, match="Streamed._fetch_range of Answering"):
            await f.read(5)

    asyncio.run(read())


def test_block_after_the_last_byte_is_not_fetched() -> None:
    for kind in ("blockcache", "mmap"):
        source = Source()
        caches[kind](100, source.fetch, len(DATA))._fetch(0, 100)
        assert source.asked == [(0, 100)]


@pytest.mark.parametrize(("size", "piece"), [(s, p) for s in range(100, 1001, 50) for p in (100, 200, 400)])
def test_mmap_read_in_order_in_whole_blocks(size: int, piece: int) -> None:
    """The block after a piece comes with it, so that the end is no request of its own."""
    source = Source(DATA[:size])
    cache = caching.MMapCache(100, source.fetch, size)
    for start in range(0, size, piece):
        assert cache._fetch(start, start + piece) == DATA[start : min(start + piece, size)]
    beyond_the_first = -(-size // 100) - 1
    assert len(source.asked) <= max(-(-beyond_the_first * 100 // piece), 1)
    assert sum(end - start for start, end in source.asked) == size  # nothing twice


def test_mmap_read_out_of_order_takes_what_is_needed() -> None:
    source = Source()
    cache = caching.MMapCache(100, source.fetch, len(DATA))
    for start, end in [(500, 600), (300, 500), (100, 200)]:
        assert cache._fetch(start, end) == DATA[start:end]
    assert source.asked == [(500, 600), (300, 500), (100, 200)]


def test_bytes_keep_the_current_read_when_trimming() -> None:
    source = Source()
    cache = caching.BytesCache(10, source.fetch, 100)
    assert cache._fetch(10, 22) + cache._fetch(15, 31) == DATA[10:22] + DATA[15:31]
    assert source.asked == [(10, 32)]
    assert len(cache) <= 22


@pytest.mark.parametrize("end, asked", [(76, [(73, 79)]), (78, [(75, 81)])])
def test_bytes_fetch_a_gap_only_where_the_read_ends_near(end: int, asked: list[tuple[int, int]]) -> None:
    source = Source()
    cache = caching.BytesCache(3, source.fetch, len(DATA))
    cache._fetch(60, 70)
    source.asked.clear()
    assert cache._fetch(75, end) == DATA[75:end]
    assert source.asked == asked


def test_bytes_frees_long_reads() -> None:
    cache = caching.BytesCache(10, Source().fetch, 1000)
    untrimmed = caching.BytesCache(10, Source().fetch, 1000, trim=False)
    for each in (cache, untrimmed):
        each._fetch(0, 900)
        each._fetch(900, 950)
    assert len(cache) == 60
    assert len(untrimmed) == 960


def test_known_parts_leave_the_mapping_alone() -> None:
    data = {(20, 25): b"abcde", (0, 5): b"01234", (5, 10): b"56789", (8, 12): b"89xy"}
    given = dict(data)
    cache = caching.KnownPartsOfAFile(10, None, 100, data=data)  # type: ignore[arg-type]
    assert data == given
    assert list(cache.data) == [(0, 12), (20, 25)]
    assert (cache.size, cache.nblocks) == (17, 2)
    assert cache._fetch(3, 12) == b"3456789xy"
    assert cache._fetch(10, 23) == b"xy" + bytes(8) + b"abc"
    with pytest.raises(ValueError, match="15-17"):
        cache._fetch(15, 17)
    strict = caching.KnownPartsOfAFile(10, None, 100, data=data, strict=True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache_type"):
        strict._fetch(10, 23)


def test_known_parts_do_not_go_past_the_file() -> None:
    cache = caching.KnownPartsOfAFile(10, None, 25, data={(20, 30): b"abcde"})  # type: ignore[arg-type]
    assert cache._fetch(22, 100) == b"cde"


def test_all_bytes_needs_something() -> None:
    with pytest.raises(ValueError):
        caching.AllBytes(10, None, 10)
    assert caching.AllBytes(10, lambda a, b: DATA[a:b], None)._fetch(3, 5) == DATA[3:5]


def test_held_bytes_are_those_of_the_file() -> None:
    for kind in ("readahead", "bytes", "first", "all", "mmap", "blockcache", "background"):
        cache = caches[kind](100, Source().fetch, len(DATA))
        cache._fetch(0, 50)
        held = cache._held_from(20)
        assert held is not None
        block, at, stop = held
        assert block[at:stop] == DATA[20 : 20 + stop - at]
        assert kind == "all" or cache._held_from(700) is None
        closed(cache)
    assert caches["none"](100, Source().fetch, len(DATA))._held_from(0) is None


def test_background_goes_ahead_only_where_reads_go_on() -> None:
    source = Source()
    cache = caching.BackgroundBlockCache(100, source.fetch, len(DATA))
    cache._fetch(0, 10)
    cache._fetch(100, 110)  # waits for the block that is under way
    assert source.asked[:2] == [(0, 100), (100, 200)]
    cache._fetch(700, 710)
    cache._fetch(500, 510)
    assert set(source.asked) <= {(0, 100), (100, 200), (200, 300), (700, 800), (500, 600)}
    cache.close()
    assert cache._fetch(800, 810) == DATA[800:810]


def test_background_fetches_on_another_thread() -> None:
    threads = set()
    cache = caching.BackgroundBlockCache(100, fetch_globally, len(DATA))
    original = cache._fetch_block

    def noting(*args: int) -> bytes:
        threads.add(threading.get_ident())
        return original(*args)

    cache._fetch_block = noting  # type: ignore[method-assign]
    cache._fetch(0, 1)
    assert cache._fetch(150, 151) == DATA[150:151]
    assert len(threads) > 1


def test_error_in_the_background_is_for_who_wants_the_block() -> None:
    def fetch(start: int, end: int) -> bytes:
        if start >= 100:
            raise ConnectionError("gone")
        return DATA[start:end]

    cache = caching.BackgroundBlockCache(100, fetch, len(DATA))
    assert cache._fetch(0, 10) == DATA[:10]
    with pytest.raises(ConnectionError):
        cache._fetch(100, 110)
    assert cache._fetch(20, 30) == DATA[20:30]


def test_mmap_is_shared_by_location_and_blocks(tmp_path) -> None:
    source, blocks, location = Source(), set(), str(tmp_path / "sparse")
    first = caching.MMapCache(100, source.fetch, 950, location=location, blocks=blocks)
    first._fetch(120, 350)
    assert blocks == {1, 2, 3}
    del first
    gc.collect()
    again = caching.MMapCache(100, source.fetch, 950, location=location, blocks=blocks)
    assert again._fetch(130, 340) == DATA[130:340]
    assert again._fetch(900, 950) == DATA[900:950]
    assert source.asked == [(100, 400), (900, 950)]
    assert os.path.getsize(location) == 950


def test_mmap_file_that_is_too_short(tmp_path) -> None:
    source, location = Source(), str(tmp_path / "sparse")
    blocks = set(range(10))
    with open(location, "wb") as f:
        f.write(DATA[:250])
    cache = caching.MMapCache(100, source.fetch, 950, location=location, blocks=blocks)
    assert blocks == {0, 1}
    assert cache._fetch(0, 950) == DATA[:950] and source.asked == [(200, 950)]


FULL = """
    import logging
    from fsspec import caching
    from fsspec.tests.test_caching import DATA, fetch_globally
    warned = []
    handler = logging.Handler()
    handler.emit = lambda record: warned.append(record.getMessage())
    logging.getLogger("fsspec.caching").addHandler(handler)
    """


def test_mmap_what_cannot_be_written_is_handed_out_and_not_kept(tmp_path) -> None:
    pytest.importorskip("resource")
    run(
        FULL
        + f"""
    import pickle, resource
    location = {str(tmp_path / "sparse")!r}
    cache = caching.MMapCache(100, fetch_globally, 1000, location=location)
    resource.setrlimit(resource.RLIMIT_FSIZE, (450, 450))
    assert cache._fetch(0, 150) == DATA[:150]
    for _ in range(2):
        assert cache._fetch(130, 760) == DATA[130:760]
        assert cache._fetch(900, 1000) == DATA[900:]
    assert cache.blocks == {{0, 1}}, cache.blocks
    assert len(warned) == 1 and location in warned[0], warned
    assert pickle.loads(pickle.dumps(cache))._fetch(0, 1000) == DATA
    """
    )


@pytest.mark.skipif(not shutil.which("unshare"), reason="a disk of its own needs unshare")
@pytest.mark.parametrize("named", [True, False])
def test_mmap_on_a_full_disk(tmp_path, named) -> None:
    program = textwrap.dedent(
        FULL
        + f"""
    import os, tempfile
    tempfile.tempdir = {str(tmp_path)!r}
    location = {str(tmp_path / "sparse")!r} if {named} else None
    size, data = 2**20, os.urandom(2**20)
    cache = caching.MMapCache(2**16, lambda start, end: data[start:end], size, location=location)
    for start in range(0, size, 100_000):
        assert cache._fetch(start, start + 100_000) == data[start : start + 100_000]
    assert 0 < len(cache.blocks) < 8, cache.blocks
    assert len(warned) == 1 and "No space" in warned[0], warned
    assert cache._fetch(0, size) == data
    """
    )
    mount = f"mount -t tmpfs -o size=256k tmpfs {tmp_path} 2>/dev/null || exit 77"
    how = ["unshare", "-Urm", "sh", "-c", f'{mount}; exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(how, capture_output=True, text=True, timeout=60)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no disk of its own for a process here")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_mmap_short_answer_of_many(tmp_path) -> None:
    cache = caching.MMapCache(100, fetch_globally, 1000, multi_fetcher=lambda ranges: [b"x"] * len(ranges))
    with pytest.raises(OSError):
        cache._fetch(0, 10)
    assert cache.blocks == set()


@pytest.mark.parametrize("kind", EVERY)
def test_a_pickled_cache_is_of_the_same_kind_and_file(kind: str) -> None:
    cache = caches[kind](100, fetch_globally, len(DATA))
    cache._fetch(0, 350)
    copy = pickle.loads(pickle.dumps(cache))
    assert type(copy) is type(cache)
    assert (copy.blocksize, copy.size, copy.fetcher) == (100, len(DATA), fetch_globally)
    assert copy._fetch(120, 990) == DATA[120:990]
    closed(cache)
    closed(copy)


def test_adaptive_reads_on_after_closing() -> None:
    cache = caching.AdaptiveReadaheadCache(100, fetch_globally, len(DATA))
    for start in range(0, 1000, 50):
        assert cache._fetch(start, start + 50) == DATA[start : start + 50]
    cache.close()
    cache.close()
    assert cache._fetch(10, 20) == DATA[10:20]
    cache.close()


def test_caches_are_found_by_their_names() -> None:
    assert caches[None] is caches["none"] is caching.BaseCache
    assert set(caches) >= {None, *EVERY, "parts"}
    for name, cls in caches.items():
        assert name in (None, cls.name)

    class Mine(caching.BaseCache):
        name = "mine, of this test"

    caching.register_cache(Mine)
    try:
        with pytest.raises(ValueError, match="mine, of this test"):
            caching.register_cache(Mine)
        caching.register_cache(Mine, clobber=True)
        assert caches[Mine.name] is Mine
    finally:
        del caches[Mine.name]


class NoFetch:
    name = "no fetch"


@pytest.mark.parametrize("given", [NoFetch, dict, "bytes", caching.BaseCache(1, fetch_globally, 1), None])
def test_what_is_no_cache_is_refused_as_it_is_registered(given: Any) -> None:
    before = dict(caches)
    with pytest.raises(TypeError, match="cannot serve cache_type=.*: derive a class from BaseCache"):
        caching.register_cache(given, clobber=True)
    assert caches == before


def test_results_used_last_are_kept() -> None:
    calls = []
    lru = caching.UpdatableLRU(lambda x: calls.append(x) or x * 2, max_size=2)
    assert [lru(1), lru(2), lru(1), lru(3)] == [2, 4, 2, 6]
    assert calls == [1, 2, 3]
    assert lru.is_key_cached(1) and not lru.is_key_cached(2)
    lru.add_key("given", 9)
    assert lru(9) == "given"
    assert lru.cache_info() == (2, 3, 2, 2)
    with pytest.raises(TypeError):
        lru(x=1)


def test_lru_from_many_threads() -> None:
    lru = caching.UpdatableLRU(lambda x: x * 2, max_size=3)
    wrong: list[int] = []

    def work() -> None:
        for i in range(2000):
            if lru(i % 7) != i % 7 * 2:
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and lru.cache_info().currsize == 3


def test_caches_count_hits_misses_and_bytes() -> None:
    for kind in ("readahead", "bytes", "blockcache", "first", "all", "mmap"):
        cache = caches[kind](100, fetch_globally, len(DATA))
        cache._fetch(0, 50)
        cache._fetch(10, 40)
        assert cache.hit_count and cache.miss_count == 1 and cache.total_requested_bytes >= 100
        assert kind in cache._log_stats() and type(cache).__name__ in repr(cache)
        cache._reset_stats()
        assert cache._log_stats() == ""


def test_importing_is_light() -> None:
    run("""
        import sys
        import fsspec.caching
        heavy = {"asyncio", "concurrent.futures", "tempfile", "logging", "ssl", "fsspec.prefetcher"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """)


FORK = """
    import os, threading, time
    from fsspec import caching
    from fsspec._checks.forked import by_fork

    DATA = bytes(i % 251 for i in range(1000))
    asked: list[tuple[int, int]] = []
    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return DATA[start:end]
    def check(cache, start, end):
        got = cache._fetch(start, end)
        assert got == DATA[start:end], (start, end, got)
"""


@forks
@pytest.mark.parametrize("kind", EVERY)
def test_a_child_reads_on_with_what_was_held(kind: str) -> None:
    run(
        FORK
        + f"""
    cache = caching.caches[{kind!r}](100, fetch, 1000)
    check(cache, 0, 50)
    check(cache, 50, 150)
    check(cache, 150, 250)
    def child():
        for start in range(250, 1000, 50):
            check(cache, start, start + 50)
        check(cache, 0, 1000)
        getattr(cache, "close", lambda: None)()
        def grandchild():
            check(cache, 300, 700)
        problem = by_fork(grandchild).problem()
        assert not problem, problem
    for _ in range(2):
        problem = by_fork(child).problem()
        assert not problem, problem
        check(cache, 250, 300)
    check(cache, 300, 900)
    getattr(cache, "close", lambda: None)()
    """
    )


@forks
def test_a_child_does_not_wait_for_the_parents_block() -> None:
    run(
        FORK
        + """
    begun, free = threading.Event(), threading.Event()
    main = threading.get_ident()
    def slow(start, end):
        if threading.get_ident() != main:
            begun.set()
            free.wait()
        return fetch(start, end)
    cache = caching.BackgroundBlockCache(100, slow, 1000)
    check(cache, 0, 10)
    assert begun.wait(10)
    def child():
        cache._closed = True  # else it would begin a thread of its own, which waits as well
        check(cache, 100, 110)
    problem = by_fork(child).problem()
    assert not problem, problem
    free.set()
    check(cache, 100, 110)
    assert asked.count((100, 200)) == 1, asked
    """
    )


@forks
@pytest.mark.parametrize("located", [False, True])
def test_a_childs_mapping_is_private(located: bool, tmp_path) -> None:
    location = str(tmp_path / "sparse") if located else None
    run(
        FORK
        + f"""
    location = {location!r}
    blocks = set()
    cache = caching.MMapCache(100, fetch, 1000, location=location, blocks=blocks)
    check(cache, 0, 250)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    def child():
        asked.clear()
        cache.fetcher = lambda start, end: b"!" * (end - start)
        assert cache._fetch(0, 250) == DATA[:250]
        assert cache._fetch(400, 500) == b"!" * 100
        assert cache._fetch(450, 460) == b"!" * 10
        assert not asked and 4 in cache.blocks and 4 not in blocks
        cache.__del__()
    problem = by_fork(child).problem()
    assert not problem, problem
    assert blocks == {{0, 1, 2}}
    check(cache, 0, 1000)
    assert asked == [(0, 300), (300, 1000)], asked
    if location:
        with open(location, "rb") as f:
            assert f.read() == DATA
    """
    )


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_unknown_cache_type_is_an_error_that_lists_what_there_is(kind):
    with pytest.raises(kind, match="'nope' is not known; there are: .*readahead"):
        caches["nope"]
    assert caches.get("nope") is None and "nope" not in caches


@pytest.mark.parametrize(
    "kind, wrong, message",
    [
        ("blockcache", "maxblock", "'maxblock'; it takes maxblocks; is 'maxblocks' meant"),
        ("bytes", "xyz", "'xyz'; it takes trim$"),
        ("first", "trim", "'trim'; it takes no options$"),
    ],
)
def test_an_option_that_a_cache_has_not_is_an_error_that_lists_those_it_has(kind, wrong, message, m):
    m.pipe_file("/f", b"abc")
    with pytest.raises(TypeError, match=f"cache_type '{kind}' has {message}"):
        AbstractBufferedFile(m, "/f", cache_type=kind, cache_options={wrong: 1})


@pytest.mark.parametrize("options", ["x", ["x"], [("maxblocks", 1)], 5])
def test_options_of_a_cache_that_are_no_mapping_are_an_error_that_says_what_it_takes(options, m):
    m.pipe_file("/f", b"abc")
    told = f"cache_type 'blockcache' is a dict of options, not an? {type(options).__name__}"
    with pytest.raises(TypeError, match=f"cache_options of the {told}; it takes maxblocks$"):
        AbstractBufferedFile(m, "/f", cache_type="blockcache", cache_options=options)


@pytest.mark.parametrize("kind", [k for k in EVERY if k not in ("none", "adaptive")])
def test_positions_from_the_end(kind: str) -> None:
    source = Source()
    cache = caches[kind](100, source.fetch, len(DATA))
    assert cache._fetch(-3, None) == DATA[-3:]
    assert cache._fetch(-2000, 4) == DATA[:4]
    closed(cache)


@pytest.mark.parametrize(
    ("kind", "expected"), [("blockcache", (3, 3)), ("background", (3, 4)), ("first", (2, 2))]
)
def test_each_cache_counts_in_its_own_way(kind: str, expected: tuple[int, int]) -> None:
    cache = caches[kind](8, Source().fetch, len(DATA))
    for start, end in [(0, 4), (2, 6), (40, 50)]:
        cache._fetch(start, end)
    if kind == "background":
        cache._block_ahead and cache._block_ahead.result()
    assert (cache.hit_count, cache.miss_count) == expected
    closed(cache)


class Streamed(AbstractBufferedFile):
    """Reads from elsewhere, as files of some backends do: what it keeps of its base class is little."""

    def __init__(self, data: bytes) -> None:
        self.source, self.blocksize, self.mode, self.closed = io.BytesIO(data), 7, "rb", False

    def read(self, length: int | None = -1) -> bytes:
        return self.source.read(length)

    def seek(self, loc: int, whence: int = 0) -> int:
        return self.source.seek(loc, whence)

    def tell(self) -> int:
        return self.source.tell()

    def close(self) -> None:
        self.closed = True


def test_lines_of_a_file_that_reads_from_elsewhere() -> None:
    text = b"one\n\na longer line\r\nand||more||and an end"
    f = Streamed(text)
    assert f.readline() == b"one\n" and f.tell() == 4
    assert f.readline() == b"\n" and f.readline(4) == b"a lo" and f.tell() == 9
    assert f.readuntil(b"||") == b"nger line\r\nand||" and f.readuntil(b"||", blocks=1) == b"more||"
    assert f.readline() == b"and an end" and f.readline() == b""
    f.seek(0)
    assert f.readlines() == text.splitlines(keepends=True)
    f.seek(0)
    assert list(f) == text.splitlines(keepends=True)


def test_reads_of_nothing_are_not_counted() -> None:
    for kind in EVERY:
        cache = caches[kind](16, lambda start, end: b"", 0)
        misses = cache.miss_count
        for start, end in [(0, 0), (1, 3), (0, 5)]:
            assert cache._fetch(start, end) == b""
        if kind != "all":
            assert (cache.hit_count, cache.miss_count) == (0, misses), kind
        closed(cache)


LARGE = bytes(range(256)) * 4096 * 8


class LargeFile(AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        return LARGE[start:end]


@pytest.mark.parametrize("kind", ["readahead", "bytes", "blockcache", "mmap", "none"])
def test_reading_into_a_buffer_takes_no_second_copy(kind: str) -> None:
    import tracemalloc

    block, asked = 2**20, 2**22
    file = LargeFile(None, "large", "rb", block, cache_type=kind, size=len(LARGE))
    buffer = bytearray(asked)
    found = bytearray()
    peaks = []
    while True:
        tracemalloc.start()
        try:
            count = file.readinto(buffer)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        if not count:
            break
        found += buffer[:count]
    assert found == LARGE
    assert peaks[0] <= asked + block + 2**16


def peak_of(cache: caching.BaseCache, start: int, end: int) -> int:
    """The most memory that is taken while a read is made, with what the cache held before."""
    import tracemalloc

    tracemalloc.reset_peak()
    cache._fetch(start, end)
    return tracemalloc.get_traced_memory()[1]


@pytest.mark.parametrize("kind", ["readahead", "bytes", "adaptive"])
def test_a_read_elsewhere_lets_go_of_what_was_kept_before_more_is_fetched(kind: str) -> None:
    import tracemalloc

    block, asked = 2**20, 2**16
    gc.collect()
    tracemalloc.start()
    try:
        cache = caches[kind](block, lambda start, end: LARGE[start:end], len(LARGE))
        peaks = [peak_of(cache, start, start + asked) for start in (6 * block, 2 * block, 0, 4 * block)]
    finally:
        tracemalloc.stop()
        closed(cache)
    assert max(peaks) <= block + 2 * asked + 2**18


def test_a_closed_adaptive_cache_lets_go_of_its_bytes_at_once() -> None:
    import tracemalloc

    cache = caches["adaptive"](10, lambda start, end: LARGE[start:end], len(LARGE))
    tracemalloc.start()
    gc.disable()  # what prefetchers are made of refers to itself
    try:
        cache._fetch(0, 2**20)
        before = tracemalloc.get_traced_memory()[0]
        cache.close()  # type: ignore[attr-defined]
        after = tracemalloc.get_traced_memory()[0]
    finally:
        gc.enable()
        tracemalloc.stop()
    assert before - after >= 2**20


def test_what_is_kept_outlives_a_fetch_that_fails() -> None:
    source = Source()
    cache = caches["readahead"](100, source.fetch, len(DATA))
    assert cache._fetch(0, 50) == DATA[:50]
    source.short = 1
    with pytest.raises(OSError, match="came back as"):
        cache._fetch(40, 240)
    source.short = 0
    assert source.asked == [(0, 150), (150, 340)]
    assert cache._fetch(100, 150) == DATA[100:150] and cache._fetch(40, 60) == DATA[40:60]
    assert len(source.asked) == 2
    assert cache._fetch(40, 240) == DATA[40:240]
    assert source.asked[2:] == [(150, 340)]


def test_a_cache_with_a_fetch_of_its_own_is_read_into_buffers_by_it() -> None:
    class Upper(caching.ReadAheadCache):
        def _fetch(self, start: int | None, end: int | None) -> bytes:
            return super()._fetch(start, end).upper()

    file = LargeFile(None, "large", "rb", 10, cache_type="none", size=len(LARGE))
    file.cache = Upper(10, lambda start, end: b"a" * (end - start), len(LARGE))
    buffer = bytearray(3)
    assert file.readinto(buffer) == 3
    assert buffer == b"AAA"


def test_adaptive_reads_that_are_not_in_a_row_are_made_by_the_thread_that_reads() -> None:
    threads = []

    def fetch(start: int, end: int) -> bytes:
        threads.append(threading.current_thread())
        return DATA[start:end]

    cache = caches["adaptive"](10, fetch, len(DATA))
    places = [500, 100, 900, 300, 0, 10, 700]
    assert [cache._fetch(place, place + 10) for place in places] == [DATA[p : p + 10] for p in places]
    assert set(threads) == {threading.current_thread()}
    closed(cache)


def test_a_failed_adaptive_read_is_made_again() -> None:
    source = Source()
    cache = caches["adaptive"](10, source.fetch, len(DATA))
    assert cache._fetch(0, 10) == DATA[:10]
    source.short = 1
    with pytest.raises(OSError, match="came back as 9"):
        cache._fetch(10, 20)
    source.short = 0
    assert cache._fetch(10, 20) == DATA[10:20]
    assert cache._fetch(5, 15) == DATA[5:15]
    assert cache._fetch(15, 40) == DATA[15:40]
    closed(cache)


def test_a_bytes_cache_fetches_no_gap_before_a_read_that_goes_past_the_end() -> None:
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return bytes(end - start)

    cache = caching.BytesCache(10, fetch, 20)
    cache._fetch(0, 5)
    cache._fetch(19, 29)
    assert asked == [(0, 15), (19, 20)]


def test_files_that_are_written_can_be_held_in_sets() -> None:
    from fsspec.tests.dictfs import DictFileSystem

    f = AbstractBufferedFile(DictFileSystem(), "new", "wb")
    assert f in {f} and hash(f) == hash(f)
    f.discard()


@pytest.mark.parametrize(
    "options, output",
    [
        ({"block_size": "5MB"}, "block_size is a number of bytes, not '5MB'"),
        (
            {"cache_type": "blockcache", "cache_options": {"maxblocks": "many"}},
            "maxblocks is a number of blocks",
        ),
        (
            {"cache_type": "background", "cache_options": {"maxblocks": "many"}},
            "maxblocks is a number of blocks",
        ),
    ],
)
def test_an_option_of_a_wrong_type_is_named_as_the_file_is_opened(options, output):
    with pytest.raises(TypeError, match=f"^{output}"):
        AbstractBufferedFile(DictFileSystem({"a": b"abc"}), "a", size=3, **options)


@pytest.mark.parametrize("least", [0, 40 * 2**20])
def test_slow_connections_are_all_used_while_a_file_is_read_in_order(least):
    import asyncio

    from fsspec.prefetcher import BackgroundPrefetcher

    whole, part = bytes(64 * 2**20), 5 * 2**20
    under_way, most, sizes = 0, 0, []

    async def fetch(start, size, split_factor=1):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        sizes.append(size)
        for _ in range(10):  # it comes later than it is asked for
            await asyncio.sleep(0)
        under_way -= 1
        return whole[start : start + size]

    async def read():
        prefetcher = BackgroundPrefetcher(fetch, len(whole), 4, min_prefetch_size=least)
        for start in range(0, len(whole), 2**20):
            data = await prefetcher.afetch(start, start + 2**20)
            assert data == whole[: 2**20]
            ahead = prefetcher.producer.current_offset - prefetcher.consumer.offset
            assert ahead <= max(40 * 2**20, start)
        await prefetcher.aclose()

    asyncio.run(read())
    assert most == 4 and max(sizes) <= part
    assert sum(sizes) == len(whole)
    assert len(sizes) <= (15 if least else 21)


@pytest.mark.parametrize("kind", ["blockcache", "background"])
@pytest.mark.parametrize("own_fetch", [False, True])
def test_a_read_of_blocks_is_for_a_subclass_to_serve(kind: str, own_fetch: bool) -> None:
    asked: list[tuple[int, ...]] = []
    data = bytes(range(100))

    class Reading(caches[kind]):  # type: ignore[misc, valid-type]
        def _read_cache(self, start: int, end: int, start_block_number: int, end_block_number: int) -> bytes:
            asked.append((start, end, start_block_number, end_block_number))
            found: bytes = super()._read_cache(start, end, start_block_number, end_block_number)
            return found

    if own_fetch:

        class Fetching(Reading):
            def _fetch(self, start: int | None, end: int | None) -> bytes:
                found: bytes = super()._fetch(start, end)
                return found

        Reading = Fetching  # type: ignore[misc]
    cache = Reading(16, lambda start, end: data[start:end], 100)
    try:
        for start, end in [(0, 3), (1, 3), (3, 20), (90, 200), (None, 5), (95, None)]:
            assert cache._fetch(start, end) == data[start:end]
        assert b"".join(cache._fetch_views(3, 90)) == data[3:90]
        assert asked[:4] == [(0, 3, 0, 0), (1, 3, 0, 0), (3, 20, 0, 1), (90, 100, 5, 6)]
        assert asked[4:] == [(0, 5, 0, 0), (95, 100, 5, 6), (3, 90, 0, 5)]
        assert cache._fetch(5, 5) == b"" == cache._fetch(120, 130) and len(asked) == 7
        assert cache.hit_count == 7 and cache.miss_count == 7
        plain = caches[kind](16, lambda start, end: data[start:end], 100)
        assert plain._read_cache(3, 20, 0, 1) == data[3:20]  # type: ignore[attr-defined]
    finally:
        if kind == "background":
            cache.close()


def test_mmap_has_no_zeros_for_what_could_not_be_fetched():
    def fetch(start, end):
        raise OSError("no")

    cache = caching.MMapCache(10, fetch, 20)
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            cache._fetch(0, 5)


def test_mmap_in_a_file_that_a_subclass_maps(tmp_path):
    """By the method that upstream has for it: in a folder of its own, writable, without a location."""

    class Elsewhere(caching.MMapCache):
        def _makefile(self):
            import mmap

            with open(tmp_path / "sparse", "w+b") as file:
                file.truncate(self.size)
                self.blocks = set()
                return mmap.mmap(file.fileno(), self.size)

    source = Source()
    cache = Elsewhere(100, source.fetch, len(DATA))
    assert cache._fetch(150, 420) == DATA[150:420] and cache.blocks == {1, 2, 3, 4}
    assert (tmp_path / "sparse").read_bytes()[100:500] == DATA[100:500]
    before = len(source.asked)
    assert cache._fetch(100, 500) == DATA[100:500] and len(source.asked) == before

    class Failing(caching.MMapCache):
        def _makefile(self):
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        Failing(100, source.fetch, len(DATA))
