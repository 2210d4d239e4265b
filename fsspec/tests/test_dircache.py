"""Remembered listings."""

import pickle
import threading
import time

import pytest

import fsspec
from fsspec import config
from fsspec.dircache import DirCache
from fsspec.tests.programs import run


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_it_is_a_mapping_of_paths():
    cache = DirCache()
    cache["a"] = [1]
    cache["b"] = []
    assert cache["a"] == [1] and "b" in cache and "c" not in cache
    assert list(cache) == ["a", "b"] and len(cache) == 2 and dict(cache) == {"a": [1], "b": []}
    assert cache.pop(key="a") == [1] and cache.pop("a", None) is None and cache.get("a") is None
    del cache["b"]
    assert len(cache) == 0


@pytest.mark.parametrize("use", [lambda c: c["a"], lambda c: c.__delitem__("a")])
def test_a_path_that_is_not_there_is_a_key_error(use):
    with pytest.raises(KeyError, match="a"):
        use(DirCache())


def test_a_listing_may_be_anything():
    cache = DirCache()
    cache["a"] = None
    assert "a" in cache and cache["a"] is None


def test_switched_off_it_remembers_nothing():
    cache = DirCache(use_listings_cache=False)
    cache["a"] = [1]
    assert "a" not in cache and len(cache) == 0


def test_options_of_the_filesystem_are_ignored():
    assert len(DirCache(True, None, None, anon=True)) == 0


def test_a_listing_expires(clock):
    cache = DirCache(listings_expiry_time=10)
    cache["a"] = [1]
    clock.now += 9
    assert "a" in cache and cache["a"] == [1] and len(cache) == 1
    clock.now += 1
    assert "a" not in cache and list(cache) == [] and len(cache) == 0
    with pytest.raises(KeyError):
        cache["a"]


def test_a_listing_set_again_is_fresh_again(clock):
    cache = DirCache(listings_expiry_time=10)
    cache["a"] = [1]
    clock.now += 9
    cache["a"] = [2]
    clock.now += 9
    assert cache["a"] == [2]


def test_what_was_cleared_or_deleted_leaves_no_time_behind(clock):
    cache = DirCache(listings_expiry_time=10)
    cache["a"] = cache["b"] = [1]
    del cache["b"]
    cache.clear()
    assert not cache._expiry_times and not cache._kept_listings


def test_it_is_bounded_and_the_least_recently_used_goes():
    cache = DirCache(max_paths=2)
    cache["a"], cache["b"] = 1, 2
    assert cache["a"] == 1
    cache["c"] = 3
    assert len(cache) == 2 and list(cache) == ["a", "c"]
    cache["a"] = 4
    cache["d"] = 5
    assert dict(cache) == {"a": 4, "d": 5}


def test_looking_for_what_is_missing_and_iterating_evict_nothing():
    cache = DirCache(max_paths=2)
    cache["a"], cache["b"] = 1, 2
    for missing in "xyz":
        assert missing not in cache and cache.get(missing) is None
    assert list(cache) == list(cache) == ["a", "b"]


def test_a_pickle_has_the_settings_and_no_listings():
    cache = DirCache(True, 5, 1)
    cache["a"] = 1
    back = pickle.loads(pickle.dumps(cache))
    assert (back.use_listings_cache, back.listings_expiry_time, back.max_paths) == (True, 5, 1)
    assert len(back) == 0


def test_threads_may_share_it():
    cache = DirCache(listings_expiry_time=1e-5, max_paths=3)
    errors = []

    def work(number):
        try:
            for i in range(2000):
                path = str((i * number) % 7)
                cache[path] = [i]
                cache.get(path)
                list(cache)
                cache.pop(path, None)
                len(cache)
                assert len(cache._kept_listings) <= 3 + 4
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.parametrize("ask", [list, dict, lambda cache: list(cache.values())])
def test_what_expired_is_dropped_as_the_paths_are_gone_through(clock, ask):
    cache = DirCache(listings_expiry_time=10)
    cache["a"] = [1]
    clock.now += 11
    assert not ask(cache)
    with pytest.raises(KeyError):
        del cache["a"]


def test_an_expiry_time_of_nothing_keeps_nothing():
    cache = DirCache(listings_expiry_time=0)
    cache["a"] = [1]
    assert "a" not in cache and len(cache) == 0 and list(cache) == [] and cache.get("a") is None


@pytest.mark.parametrize("expiry", [None, 100])
def test_listings_travel_with_pickles_where_the_configuration_says_so(expiry, monkeypatch):
    class Listed(fsspec.AbstractFileSystem):
        asked = 0

        def ls(self, path, detail=True, **kwargs):
            if path not in self.dircache:
                type(self).asked += 1
                self.dircache[path] = [{"name": path + "/a", "size": 1, "type": "file"}]
            return self.dircache[path]

    monkeypatch.setitem(globals(), "Listed", Listed)
    Listed.__qualname__ = "Listed"
    fs = Listed(listings_expiry_time=expiry)
    fs.ls("x"), fs.ls("y")
    plain = pickle.dumps(fs)
    monkeypatch.setitem(config.conf, "pickle", {"listings": True})
    full = pickle.dumps(fs)
    assert b"listed" not in plain and b"fsspec.spec" in full and b"_fork" not in full
    Listed.clear_instance_cache()
    found = pickle.loads(full)
    assert found is not fs and found.ls("x") == fs.ls("x") and Listed.asked == 2
    if expiry:
        assert 0 < found.dircache.packed()[0][2] <= expiry
    del found.dircache["x"]
    found.dircache["y"] = []
    assert pickle.loads(full) is found and found.ls("y") == [] and found.ls("x")  # what is known here stays
    assert Listed.asked == 2
    Listed.clear_instance_cache()
    assert list(pickle.loads(plain).dircache) == []


def test_an_inherited_filesystem_is_pickled_with_its_listings_before_its_first_use():
    reported = run(
        """
        import os, pickle, fsspec
        from fsspec.implementations.http import HTTPFileSystem
        fs = fsspec.filesystem("http")
        fs.dircache["http://host"] = [{"name": "http://host/a", "size": 1, "type": "file"}]
        pid = os.fork()
        if pid == 0:
            text = pickle.dumps(fs)
            HTTPFileSystem.clear_instance_cache()
            found = pickle.loads(text)
            os._exit(int(found is fs or list(found.dircache) != ["http://host"]))
        assert os.waitpid(pid, 0)[1] == 0
        """,
        FSSPEC_PICKLE_LISTINGS="1",
    )
    assert reported == ""
