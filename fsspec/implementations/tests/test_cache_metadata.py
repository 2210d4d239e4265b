"""The table of copies: what is in it, how several share it, what damage does."""

import json
import os
import threading
import time
import types

import pytest

import fsspec
from fsspec.caching import MMapCache
from fsspec.implementations.cache_metadata import CacheMetadata

CFS = types.SimpleNamespace(expiry=None, check_files=False, fs=None)


def detail(fn, **more):
    return {"original": fn, "fn": fn, "blocks": True, "time": time.time(), "uid": "1", **more}


def blocks(fn, *numbers, **more):
    return detail(fn, **{"blocks": list(numbers), "size": 100, "blocksize": 10, **more})


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def saved(folder):
    with open(os.path.join(folder, "cache")) as f:
        return json.load(f)


def add(table, folder, path, **more):
    with open(os.path.join(folder, path), "wb") as f:
        f.write(b"x")
    table.update_file(path, detail(path, **more))


def test_a_saved_table_is_loaded_once(folder):
    table = CacheMetadata([folder])
    add(table, folder, "a")
    assert not os.path.exists(os.path.join(folder, "cache"))
    table.save()
    again = CacheMetadata([folder])
    assert again.load() and not again.load()
    found, fn = again.check_file("a", CFS)
    assert (found, fn) == (saved(folder)["a"], os.path.join(folder, "a"))
    assert again.check_file("b", None) is False
    os.unlink(fn)
    assert again.check_file("a", CFS) is False


def test_each_save_writes_the_whole_table_and_encodes_what_changed(folder, monkeypatch):
    encoded = []
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda value: encoded.append(value) or dumps(value))
    table, other = CacheMetadata([folder]), CacheMetadata([folder])
    for number in range(20):
        add(table, folder, f"{number}")
    table.save()
    assert saved(folder) == table.cached_files[-1] and len(saved(folder)) == 20
    del encoded[:]
    add(table, folder, "3", uid="2")
    add(table, folder, "new")
    table.drop("4")
    table.save()
    assert saved(folder) == table.cached_files[-1]
    assert saved(folder)["3"]["uid"] == "2" and "new" in saved(folder) and "4" not in saved(folder)
    assert [value for value in encoded if isinstance(value, str)] == ["3", "new"]
    add(other, folder, "3", uid="5")
    other.save()
    add(table, folder, "4")
    table.save()
    assert saved(folder) == table.cached_files[-1]
    assert saved(folder)["3"]["uid"] == "5" and "4" in saved(folder)
    table.forget()
    add(table, folder, "3", uid="7")
    table.save()
    assert saved(folder) == table.cached_files[-1] and saved(folder)["3"]["uid"] == "7"


def test_nothing_changed_nothing_written(folder):
    table = CacheMetadata([folder])
    table.save()
    assert os.listdir(folder) == []


def test_two_that_save_keep_each_others_entries(folder):
    one, two = CacheMetadata([folder]), CacheMetadata([folder])
    add(one, folder, "a")
    add(one, folder, "gone")
    one.save()
    add(two, folder, "b")
    two.save()
    assert set(saved(folder)) == {"a", "b", "gone"}
    assert two.pop_file("gone") == os.path.join(folder, "gone")
    add(one, folder, "c")
    one.save()
    assert set(saved(folder)) == set(one.cached_files[-1]) == {"a", "b", "c"}
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]


def test_many_threads_lose_nothing(folder):
    def work(n):
        table = CacheMetadata([folder])
        for k in range(20):
            table.update_file(f"{n}-{k}", detail(f"{n}-{k}"))
            table.save()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(saved(folder)) == 80


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\x80\x04pickle", b"[]", b"null", b'{"a": 3}', b'{"a": {"fn": "x"}}', b'{"\xff": 1}'],
)
def test_a_damaged_table_is_empty_and_replaced(folder, text):
    with open(os.path.join(folder, "cache"), "wb") as f:
        f.write(text)
    table = CacheMetadata([folder])
    table.load()
    assert table.cached_files == [{}]
    add(table, folder, "b")
    table.save()
    assert set(saved(folder)) == {"b"}


@pytest.mark.parametrize("fn", ["../x", "/etc/passwd", "..", ".", "", "a/../../x", "cache", "a\0b", 7, None])
def test_names_that_lead_out_are_not_believed(folder, fn):
    with open(os.path.join(folder, "cache"), "w") as f:
        json.dump({"a": {**detail("a"), "fn": fn}, "b": detail("b")}, f)
    table = CacheMetadata([folder])
    table.load()
    assert set(table.cached_files[0]) == {"b"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks": ["0"]},
        {"blocks": [-1]},
        {"blocks": [10]},
        {"blocks": [True]},
        {"blocks": [1.0]},
        {"blocks": False},
        {"blocks": {"0": 1}},
        {"size": "100"},
        {"size": -100},
        {"size": None},
        {"blocksize": 0},
        {"blocksize": "10"},
        {"blocksize": 2.5},
        {"time": "now"},
        {"time": True},
        {"fn": ["a"]},
    ],
    ids=repr,
)
def test_entries_that_make_no_sense_are_none(folder, wrong):
    with open(os.path.join(folder, "cache"), "w") as f:
        json.dump({"a": {**blocks("a", 1, 2), **wrong}, "b": blocks("b", 9)}, f)
    table = CacheMetadata([folder])
    table.load()
    assert set(table.cached_files[0]) == {"b"}


def test_a_table_too_deep_to_be_read_is_empty(folder):
    with open(os.path.join(folder, "cache"), "w") as f:
        f.write('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    table = CacheMetadata([folder])
    table.load()
    assert table.cached_files == [{}]


def test_a_copy_that_became_shorter_is_none(folder):
    table = CacheMetadata([folder])
    table.reserve("a", blocks("a", 1), CFS)
    found, fn = table.check_file("a", CFS)
    os.truncate(fn, 99)
    assert table.check_file("a", CFS) is False
    assert not table.reserve("a", blocks("a"), CFS)["blocks"] and os.path.getsize(fn) == 100


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("mode", "expected"), [(None, 0o600), (0o700, 0o600), (0o755, 0o644), (0o770, 0o660), (0o2775, 0o664)]
)
def test_the_table_is_readable_by_whom_the_folder_is_for(folder, mode, expected):
    table = CacheMetadata([folder], mode)
    for name in "ab":
        add(table, folder, name)
        table.save()
        assert os.stat(os.path.join(folder, "cache")).st_mode & 0o777 == expected


SECRET = "https://amy:pa55@host/d/file.nc?X-Sig=s1gn&b"


def test_no_secrets_of_urls_are_in_the_table(folder):
    table = CacheMetadata([folder])
    others = [SECRET.replace("pa55", "other"), SECRET.replace("s1gn", "other"), "https://host/d/file.nc"]
    for number, url in enumerate([SECRET, *others]):
        table.update_file(url, detail(str(number)))
        with open(os.path.join(folder, str(number)), "wb"):
            pass
    table.save()
    text = (table_file := open(os.path.join(folder, "cache"))).read()
    table_file.close()
    assert (
        "pa55" not in text and "s1gn" not in text and "amy" not in text and "https://host/d/file.nc" in text
    )
    again = CacheMetadata([folder])
    again.load()
    for number, url in enumerate([SECRET, *others]):
        assert again.check_file(url, CFS)[1] == os.path.join(folder, str(number)) and again.has(url)
    assert again.check_file("https://host/d/file.nc?X-Sig=s1gn&b", CFS) is False
    assert len(again.below("https://amy:pa55@host/d/")) == 4
    assert again.pop_file(SECRET) == os.path.join(folder, "0") and not again.has(SECRET)


def test_a_table_with_secrets_is_read_and_loses_them(folder):
    with open(os.path.join(folder, "cache"), "w") as f:
        json.dump({SECRET: {**detail("a"), "original": SECRET}}, f)
    with open(os.path.join(folder, "a"), "w") as f:
        f.write("x")
    table = CacheMetadata([folder])
    table.load()
    assert table.check_file(SECRET, CFS)[1] == os.path.join(folder, "a")
    add(table, folder, "b")
    table.save()
    assert "pa55" not in json.dumps(saved(folder)) and len(saved(folder)) == 2


def test_only_the_last_folder_is_written(tmp_path):
    for name in ("read", "write"):
        (tmp_path / name).mkdir()
    read, write = str(tmp_path / "read"), str(tmp_path / "write")
    first = CacheMetadata([read])
    add(first, read, "a")
    first.save()
    table = CacheMetadata([read, write])
    table.load()
    assert table.check_file("a", CFS)[1] == os.path.join(read, "a")
    with pytest.raises(PermissionError, match="only read"):
        table.pop_file("a")
    add(table, write, "a")
    assert table.check_file("a", CFS)[1] == os.path.join(read, "a")  # the first that has it
    table.save()
    assert set(saved(read)) == set(saved(write)) == {"a"}


def test_expiry_and_versions(folder):
    table = CacheMetadata([folder])
    add(table, folder, "a", time=time.time() - 50)
    asked = []

    def ukey(path):
        asked.append(path)
        return "2"

    cfs = types.SimpleNamespace(expiry=100, check_files=False, fs=types.SimpleNamespace(ukey=ukey))
    assert table.check_file("a", cfs)
    cfs.expiry = 10
    assert not table.check_file("a", cfs)
    cfs.expiry, cfs.check_files = False, True
    assert not table.check_file("a", cfs) and asked == ["a"]
    assert list(table.lookup("a", cfs, uid="1")) and asked == ["a"]
    assert table.clear_expired(100) == ([], False)
    assert table.clear_expired(10) == ([os.path.join(folder, "a")], True)
    assert saved(folder) == {}


def test_two_paths_of_one_name_are_one_entry(folder):
    table = CacheMetadata([folder])
    table.update_file("x/a", detail("a"))
    table.update_file("y/a", detail("a"))
    assert set(table.cached_files[-1]) == {"y/a"}


class Opened:
    """What the table asks of an open file in blocks."""

    def __init__(self, location, numbers):
        self.blocksize, self.size = 10, 100
        self.cache = MMapCache(10, lambda a, b: bytes(b - a), 100, location, set())
        for n in numbers:
            self.cache._fetch(n * 10, n * 10 + 10)


def test_blocks_of_several_are_joined(folder):
    one, two = CacheMetadata([folder]), CacheMetadata([folder])
    fn = os.path.join(folder, "a")
    assert not one.reserve("a", blocks("a"), CFS)["blocks"]
    f = Opened(fn, [1, 3])  # not in order, so that no block comes with another
    two.load()
    assert not two.reserve("a", blocks("a"), CFS)["blocks"]
    g = Opened(fn, [5])
    one.on_close_cached_file(f, "a")
    two.on_close_cached_file(g, "a")
    assert saved(folder)["a"]["blocks"] == [1, 3, 5]
    h = Opened(fn, range(10))
    one.on_close_cached_file(h, "a")
    assert saved(folder)["a"]["blocks"] is True


@pytest.mark.parametrize("how", ["removed", "replaced", "another version"])
def test_blocks_of_a_file_that_is_gone_are_not_entered(folder, how):
    table, other = CacheMetadata([folder]), CacheMetadata([folder])
    fn = os.path.join(folder, "a")
    table.reserve("a", blocks("a"), CFS)
    f = Opened(fn, [1, 3])  # not in order, so that no block comes with another
    other.load()
    if how == "removed":
        os.unlink(other.pop_file("a"))
    elif how == "replaced":
        with open(fn + ".new", "wb") as new:
            new.truncate(100)
        os.replace(fn + ".new", fn)
    else:
        other.reserve("a", blocks("a", uid="2"), CFS)
    table.on_close_cached_file(f, "a")
    found = saved(folder).get("a")
    assert found is None if how == "removed" else not found["blocks"]


def test_a_full_disk_leaves_the_table_as_it_was(folder):
    resource = pytest.importorskip("resource")
    table = CacheMetadata([folder])
    add(table, folder, "a")
    table.save()
    before = saved(folder)
    table.update_file("b", detail("b" * 5000))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError):
            table.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert saved(folder) == before and sorted(os.listdir(folder)) == ["a", "cache"]
    table.save()
    assert set(saved(folder)) == {"a", "b"}


def test_the_lock_is_not_waited_for_without_end(folder, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr("fsspec.implementations._cached.folder_lock.PATIENCE", 0.05)
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # as a process that was stopped
        table = CacheMetadata([folder])
        add(table, folder, "a")
        table.save()
    finally:
        os.close(fd)
    assert set(saved(folder)) == {"a"}


def test_a_table_needs_a_folder():
    with pytest.raises(ValueError, match="folder"):
        CacheMetadata([])


class Own(CacheMetadata):
    """As programs derive from it: a table that is written in their own way."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def _load(self, fn):
        table = super()._load(fn)
        self.asked.append(("load", fn, {name: entry["blocks"] for name, entry in table.items()}))
        return {name.removeprefix("mine:"): entry for name, entry in table.items()}

    def _save(self, metadata_to_save, fn):
        self.asked.append(("save", fn, sorted(metadata_to_save)))
        for entry in metadata_to_save.values():
            entry["more"] = 1
        super()._save({f"mine:{name}": entry for name, entry in metadata_to_save.items()}, fn)

    def check_file(self, path, cfs):
        found = False if path.endswith("never") else super().check_file(path, cfs)
        self.asked.append(("check", path, bool(found)))
        return found


def test_a_derived_class_loads_and_saves(folder):
    table, fn = Own([folder]), os.path.join(folder, "cache")
    add(table, folder, "a")
    table.update_file("b", blocks("b", 3, 1))
    table.save()
    assert table.asked == [("save", fn, ["a", "b"])]
    assert {name: entry["more"] for name, entry in saved(folder).items()} == {"mine:a": 1, "mine:b": 1}
    assert "more" not in table.cached_files[-1]["a"]
    again = Own([folder])
    assert again.load() and not again.load()
    assert again.asked == [("load", fn, {"mine:a": True, "mine:b": {1, 3}})]
    assert again.cached_files[-1]["b"]["blocks"] == {1, 3}
    assert again._load(fn)["a"]["blocks"] is True
    add(again, folder, "c")
    again.save()
    assert table.load() and sorted(table.cached_files[-1]) == ["a", "b", "c"]


@pytest.mark.parametrize("wrong", [None, [], {"a": None}, {"a": {"blocks": {"x", 1}}}])
def test_what_a_derived_class_loads_may_make_no_sense(folder, wrong):
    class Wrong(CacheMetadata):
        def _load(self, fn):
            return wrong

    table = CacheMetadata([folder])
    add(table, folder, "a")
    table.save()
    other = Wrong([folder])
    other.load()
    assert other.cached_files == [{}]


@pytest.mark.parametrize("protocol", ["filecache", "blockcache"])
def test_a_derived_class_has_the_say_on_copies(tmp_path, protocol):
    for name in ("x", "never"):
        (tmp_path / name).write_bytes(b"123456")
    cls = fsspec.get_filesystem_class(protocol)

    class Cache(cls):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self._metadata = Own(self.storage)

    fs = Cache(target_protocol="file", cache_storage=str(tmp_path / "c"), skip_instance_cache=True)
    for name in ("x", "never"):
        path = str(tmp_path / name)
        table = fs._metadata
        for _ in range(2):
            with fs.open(path) as f:
                assert f.read(3) == b"123"
        checks = [found for what, asked, found in table.asked if what == "check" and asked == path]
        assert checks[0] is False and checks[-1] is (name == "x")
        assert any(what == "save" and path in names for what, _, names in table.asked)
