"""What the tests of caches share: targets that note what is asked of them, and caches of these."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fsspec.implementations.cached import (
    CachingFileSystem,
    SimpleCacheFileSystem,
    WholeFileCacheFileSystem,
)
from fsspec.tests.dictfs import DictFileSystem

WHOLE = {"simplecache": SimpleCacheFileSystem, "filecache": WholeFileCacheFileSystem}
EVERY = {**WHOLE, "blockcache": CachingFileSystem}
FILES = {
    "r/one": b"1",
    "r/two": b"22",
    "r/big": bytes(range(256)) * 40,
    "r/sub/deep": b"deep",
    "r/void/": b"",
}


class Noted(DictFileSystem):
    """The blocking dictfs, noting ranges that are read."""

    def __init__(self, files: dict[str, bytes] | None = None, **kwargs: Any) -> None:
        super().__init__(files, **kwargs)
        self.did: list[tuple[Any, ...]] = []

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        f = super()._open(path, mode, block_size, autocommit, cache_options, **kwargs)
        if mode == "rb":
            self.did.append(("get", path))
            f.size = len(self.files[path])

            def fetch(start: int, end: int) -> bytes:
                self.did.append(("fetch", start, end))
                return self.files[path][start:end]

            f._fetch_range = fetch
        return f


def make(kind: str, target: Any, tmp_path: Path, **options: Any) -> Any:
    """A cache of a target, an instance of its own."""
    options = {"cache_storage": str(tmp_path / "c"), **options}
    return EVERY[kind](fs=target, skip_instance_cache=True, **options)


def fetched(target: Any) -> list[tuple[Any, ...]]:
    """The files that were asked for since the last time."""
    done = [entry for entry in target.did if entry[0] in ("get", "cat", "fetch")]
    target.did.clear()
    return done


def listed(cache: Any) -> list[str]:
    """The copies in the folder of a cache."""
    return sorted(name for name in os.listdir(cache.storage[-1]) if name != "cache")


_OWN = frozenset(
    "cat cat_file cat_ranges clear_cache close_and_update commit_many exists get hash_name head"
    " info isdir isfile load_cache ls open open_many pipe pipe_file pop_from_cache read_block"
    " save_cache size tail _check_cache _check_file _get_cached_file_before_open"
    " _make_local_details _mkcache _open".split()
)


def choosing(kind: str) -> Any:
    """A class of caches that names what is its own, and takes all else from the target."""

    base: Any = EVERY[kind]

    class Choosing(base):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            if name in _OWN:
                return lambda *args, **kwargs: getattr(type(self), name)(self, *args, **kwargs)
            state = object.__getattribute__(self, "__dict__")
            if name in state:
                return state[name]
            if name.startswith("__") or name in ("transaction", "transaction_type") or "fs" not in state:
                return super().__getattribute__(name)
            return getattr(state["fs"], name)

    return Choosing
