"""Names of copies."""

import hashlib
import pickle

import pytest

from fsspec.implementations.cache_mapper import (
    AbstractCacheMapper,
    BasenameCacheMapper,
    HashCacheMapper,
    create_cache_mapper,
)


@pytest.mark.parametrize(
    "levels, path, name",
    [
        (0, "/a/b", "b"),
        (0, "b", "b"),
        (0, "s3://bucket/key.zarr", "key.zarr"),
        (1, "/a/b", "a_@_b"),
        (1, "/a/b/c", "b_@_c"),
        (1, "c", "c"),
        (2, "/a/b/c", "a_@_b_@_c"),
        (9, "/a/b/c", "a_@_b_@_c"),
        (9, "a/b", "a_@_b"),
    ],
)
def test_the_last_parts_of_the_path(levels, path, name):
    assert BasenameCacheMapper(levels)(path) == name


def test_names_by_hash_are_digests_of_the_path():
    assert HashCacheMapper()("/a/ü") == hashlib.sha256("/a/ü".encode()).hexdigest()


def test_which_mappers_are_equal():
    class Other(HashCacheMapper):
        pass

    assert HashCacheMapper() == HashCacheMapper() != BasenameCacheMapper()
    assert BasenameCacheMapper() == BasenameCacheMapper(0) != BasenameCacheMapper(1)
    assert Other() != HashCacheMapper() != Other()
    assert len({HashCacheMapper(), HashCacheMapper(), BasenameCacheMapper(1), BasenameCacheMapper(1)}) == 2
    for mapper in (HashCacheMapper(), BasenameCacheMapper(3)):
        again = pickle.loads(pickle.dumps(mapper))
        assert again == mapper and hash(again) == hash(mapper)


def test_a_mapper_refuses_what_it_cannot_be_made_of():
    with pytest.raises(ValueError, match="-1"):
        BasenameCacheMapper(-1)
    with pytest.raises(TypeError):
        AbstractCacheMapper()


def test_the_option_same_names_chooses_the_mapper():
    assert create_cache_mapper(True) == BasenameCacheMapper()
    assert create_cache_mapper(False) == HashCacheMapper()
