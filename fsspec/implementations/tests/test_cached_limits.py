"""Bounds for cache folders, what is never removed, and the command that shows and clears folders."""

import hashlib
import os
import shutil
import time

import pytest

import fsspec
from fsspec import cache as command
from fsspec.implementations._cached import limits
from fsspec.implementations.cache_mapper import BasenameCacheMapper
from fsspec.implementations.tests.caches import EVERY, WHOLE, Noted, listed, make
from fsspec.tests.programs import run
from fsspec.tests.wdictfs import WritableDictFileSystem

SIZE = 10_000
FILES = {f"r/{n}": bytes([n]) * SIZE for n in range(10)}
posix = pytest.mark.skipif(os.name == "nt", reason="other locks")


@pytest.fixture(params=["blocking", "awaitable"])
def target(request):
    return Noted(FILES) if request.param == "blocking" else WritableDictFileSystem(FILES)


def unused_for(c, seconds):
    """Let the copies have been used some time ago, the files by their numbers one after the other."""
    folder = c.storage[-1]
    now = time.time()
    for path in FILES:
        fn = os.path.join(folder, c.hash_name(path))
        if os.path.exists(fn):
            at = now - seconds + 100 * int(path[2:])
            os.utime(fn, (at, at))


def kept(c):
    """The numbers of the files that there are copies of."""
    names = set(listed(c))
    return [int(path[2:]) for path in FILES if c.hash_name(path) in names]


def read(c, path):
    with c.open(path) as f:
        assert f.read() == FILES[path]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (7, 7),
        ("7", 7),
        ("2k", 2000),
        ("2KiB", 2048),
        ("1.5 GB", 15 * 10**8),
        ("3MiB", 3 * 2**20),
    ],
)
def test_a_size_may_be_text_with_a_unit(given, expected):
    assert limits.parse_size(given) == expected


@pytest.mark.parametrize("given", ["much", "-1", -1, "", "1 XB", "GB"])
def test_sizes_that_are_none(given, tmp_path):
    with pytest.raises(ValueError, match=r"bytes|cannot"):
        make("simplecache", Noted(FILES), tmp_path, cache_max_size=given)


@pytest.mark.parametrize("kind", EVERY)
def test_the_bound_holds_for_what_several_processes_add(kind, target, tmp_path, monkeypatch):
    """None of these, which know as much of one another as processes do, adds as much as is allowed."""
    monkeypatch.setattr(limits, "QUICK_SCAN", 100)
    several = [make(kind, target, tmp_path, cache_max_size=5 * SIZE + 500) for _ in range(3)]
    for first in (0, 3, 6):
        for n, c in enumerate(several):
            read(c, f"r/{first + n}")
            assert len(kept(c)) <= 5


@pytest.mark.parametrize("kind", EVERY)
def test_what_was_used_longest_ago_goes(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_max_size=5 * SIZE + 500)
    for n in range(5):
        read(c, f"r/{n}")
    unused_for(c, 1000)
    read(c, "r/0")  # now it is the one used last
    read(c, "r/5")
    assert kept(c) == [0, 3, 4, 5]  # a tenth less than may be there
    for path in FILES:
        read(c, path)
        assert len(kept(c)) <= 5
    again = make(kind, target, tmp_path)
    assert set(again._metadata.cached_files[-1]) == (
        {f"r/{n}" for n in kept(c)} if kind != "simplecache" else set()
    )


@pytest.mark.parametrize("kind", WHOLE)
def test_a_single_file_larger_than_all_that_may_be_there(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_max_size=SIZE // 2)
    for path in FILES:
        assert c.cat(path) == FILES[path]
        assert len(kept(c)) == 1
    assert c.cat(list(FILES)) == FILES


@posix
@pytest.mark.parametrize("kind", EVERY)
def test_what_is_open_stays(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_max_size=2 * SIZE)
    other = make(kind, target, tmp_path)  # without bounds of its own
    with other.open("r/0") as f:
        assert f.read(10) == FILES["r/0"][:10]
        unused_for(c, 1000)
        for n in range(1, 6):
            read(c, f"r/{n}")
        assert 0 in kept(c) and len(kept(c)) <= 3
    c._cache_limits._looked = -1000
    unused_for(c, 1000)
    read(c, "r/6")
    assert 0 not in kept(c)


@posix
def test_what_another_process_has_open_stays(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * SIZE)
    (tmp_path / "more").write_bytes(b"y" * SIZE)
    storage, data, more = str(tmp_path / "c"), str(tmp_path / "data"), str(tmp_path / "more")
    options = {"target_protocol": "file", "cache_storage": storage}
    other = f"import fsspec; fsspec.filesystem('simplecache', cache_max_size=1, **{options!r}).cat({more!r})"
    with fsspec.filesystem("simplecache", **options).open(data) as f:
        run(other)
        assert len(os.listdir(storage)) == 2 and f.read() == b"x" * SIZE
    run(other)  # it looks into the folder as it begins
    assert len(os.listdir(storage)) == 2  # but only where something is added
    os.unlink(os.path.join(storage, hashlib.sha256(more.encode()).hexdigest()))
    run(other)
    assert len(os.listdir(storage)) == 1


@pytest.mark.parametrize("kind", EVERY)
def test_what_was_not_used_for_long_goes(kind, target, tmp_path):
    c = make(kind, target, tmp_path, cache_max_age=500)
    for n in range(4):
        read(c, f"r/{n}")
    unused_for(c, 650)
    read(c, "r/0")
    c._cache_limits._next_scan = 0.0  # as if enough time had passed
    read(c, "r/5")
    assert kept(c) == [0, 2, 3, 5]


def test_copies_go_where_the_disk_is_full(target, tmp_path):
    c = make("filecache", target, tmp_path)
    c.cat(list(FILES))
    unused_for(c, 1000)
    free = shutil.disk_usage(tmp_path).free
    make("filecache", target, tmp_path, cache_min_free=free // 2).cat("r/0")
    assert len(kept(c)) == 10
    greedy = make("filecache", target, tmp_path, cache_min_free=2 * free)
    greedy.pop_from_cache("r/9")
    greedy.cat("r/9")
    assert kept(c) == [9]


def test_files_of_others_stay(target, tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "mine").write_bytes(b"z" * SIZE)
    (folder / ("a" * 63)).write_bytes(b"z" * SIZE)
    for kind in EVERY:
        c = make(kind, target, tmp_path, cache_max_size=1)
        for path in FILES:
            read(c, path)
    assert (folder / "mine").exists() and (folder / ("a" * 63)).exists()


def test_copies_by_name(target, tmp_path):
    for kind in WHOLE:
        storage = str(tmp_path / kind)
        c = make(
            kind,
            target,
            tmp_path,
            cache_storage=storage,
            cache_mapper=BasenameCacheMapper(1),
            cache_max_size=2 * SIZE,
        )
        for path in FILES:
            read(c, path)
        assert len(kept(c)) == 2


# the command -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", EVERY)
def test_the_command_lists_copies_and_other_files(kind, target, tmp_path, capsys):
    c = make(kind, target, tmp_path)
    with c.open("r/1", block_size=1000) as f:
        f.read(2500)
    read(c, "r/2")
    (tmp_path / "c" / "mine").write_text("")
    assert command.main(["list", str(tmp_path / "c")]) == 0
    out = capsys.readouterr().out
    assert "in 2 copies" in out and "mine: no copies" in out
    if kind == "simplecache":
        assert c.hash_name("r/1") in out
    else:
        assert [line.split()[-2:] for line in out.splitlines() if "r/1" in line] == [
            ["30%" if kind == "blockcache" else "whole", "r/1"]
        ]


def test_a_part_of_less_than_a_percent_is_not_nothing(m, tmp_path, capsys):
    m.pipe_file("/large", bytes(101_000))
    fs = fsspec.filesystem("blockcache", fs=m, cache_storage=str(tmp_path / "c"))
    for blocks, share in ((1, "<1%"), (2, "1%"), (3, "2%")):
        with fs.open("/large", block_size=1000) as f:
            f.read(1000 * blocks)
        assert command.main(["list", str(tmp_path / "c")]) == 0
        [line] = [line for line in capsys.readouterr().out.splitlines() if "large" in line]
        assert line.split()[-2] == share


@posix
def test_names_do_nothing_to_a_terminal(target, tmp_path, capsys):
    c = make("filecache", target, tmp_path)
    target.pipe_file("r/\x1b[2J", b"1")
    c.open("r/\x1b[2J").close()
    (tmp_path / "c" / "\x1b[3J\udc80").write_text("")
    assert command.main(["list", str(tmp_path / "c")]) == 0
    output = capsys.readouterr().out
    assert r"r/\x1b[2J" in output and r"\x1b[3J\udc80: no copies" in output


@posix
@pytest.mark.parametrize("kind", EVERY)
def test_the_command_removes_copies_and_nothing_else(kind, target, tmp_path, capsys):
    folder = str(tmp_path / "c")
    c = make(kind, target, tmp_path)
    for n in range(5):
        read(c, f"r/{n}")
    (tmp_path / "c" / "mine").write_text("")
    unused_for(c, 1000)
    assert command.main(["clear", folder, "--unused", "850"]) == 0
    assert kept(c) == [2, 3, 4]
    assert command.main(["clear", folder, "--to", "25kB"]) == 0
    assert kept(c) == [3, 4]
    with c.open("r/3"):
        assert command.main(["clear", folder]) == 0
        assert kept(c) == [3] and "1 were not removed" in capsys.readouterr().out
    assert command.main(["clear", folder]) == 0
    assert kept(c) == [] and (tmp_path / "c" / "mine").exists()
    again = make(kind, target, tmp_path)
    assert again._metadata.cached_files == [{}]
    read(again, "r/1")


def test_clearing_a_folder_of_others_changes_nothing(tmp_path, capsys):
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    for name in ("a/.0123456789abcdef.part", "a/old", "old.part", "a/" + "0" * 64):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (0, 0))
    before = sorted(tmp_path.rglob("*"))
    assert command.main(["clear", str(tmp_path)]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    assert "removed 0 copies" in capsys.readouterr().out


def test_the_folders_of_copies_that_are_cleared_go(target, tmp_path):
    class Below(BasenameCacheMapper):
        def __call__(self, path):
            return "below/deeper/" + super().__call__(path)

    c = make("filecache", target, tmp_path, cache_mapper=Below())
    read(c, "r/1")
    (tmp_path / "c" / "empty").mkdir()
    assert (tmp_path / "c" / "below" / "deeper").is_dir()
    assert command.main(["clear", str(tmp_path / "c")]) == 0
    assert sorted(os.listdir(tmp_path / "c")) == ["cache", "empty"]


@pytest.mark.parametrize(
    "given, expected", [("90", 90), ("12h", 43200), ("1.5d", 129600), (7, 7), (None, None)]
)
def test_an_age_may_be_text_with_a_unit(given, expected):
    assert limits.parse_age(given) == expected


@pytest.mark.parametrize("given", ["much", "", "-1", -1, "7y"])
def test_ages_that_are_none(given, tmp_path, capsys):
    with pytest.raises(ValueError, match="age"):
        limits.parse_age(given)
    with pytest.raises(SystemExit):
        command.main(["clear", str(tmp_path), f"--unused={given}"])
    assert "age" in capsys.readouterr().err


def test_clearing_a_missing_folder_fails(tmp_path, capsys):
    assert command.main(["clear", str(tmp_path / "no")]) == 1
    assert "no folder" in capsys.readouterr().err
