"""The local and the memory filesystem."""

from __future__ import annotations

import fnmatch
import os
from typing import Any

from .case import Bench, Timed, case
from .listings import FILES_IN_FOLDER

# -- local -----------------------------------------------------------------------------------


def local(bench: Bench) -> Any:
    import fsspec

    return fsspec.filesystem("file")


def scanned(folder: str) -> list[str]:
    found: list[str] = []
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    found.append(entry.path)
    found.sort()
    return found


@case("local-find", "local find", 0.4, limit=lambda bench: lambda: scanned(bench.folder))
def local_find(bench: Bench) -> Timed:
    fs = local(bench)
    return lambda: fs.find(bench.folder)


def local_walk_limit(bench: Bench) -> Timed:
    return lambda: list(os.walk(bench.folder))


@case("local-walk", "local walk", 0.4, limit=local_walk_limit)
def local_walk(bench: Bench) -> Timed:
    fs = local(bench)
    return lambda: list(fs.walk(bench.folder))


def local_glob_limit(bench: Bench) -> Timed:
    def timed() -> list[str]:
        found = []
        for folder in sorted(os.listdir(f"{bench.folder}/d1")):
            for name in fnmatch.filter(os.listdir(f"{bench.folder}/d1/{folder}"), "f?.csv"):
                found.append(f"{bench.folder}/d1/{folder}/{name}")
        return found

    return timed


@case("local-glob", "local glob d1/*/f?.csv", 0.4, limit=local_glob_limit)
def local_glob(bench: Bench) -> Timed:
    fs = local(bench)
    return lambda: fs.glob(f"{bench.folder}/d1/*/f?.csv")


@case(
    "local-glob-deep",
    "local glob **/f1.csv",
    0.4,
    limit=lambda bench: lambda: [p for p in scanned(bench.folder) if p.endswith("/f1.csv")],
)
def local_glob_deep(bench: Bench) -> Timed:
    fs = local(bench)
    return lambda: fs.glob(f"{bench.folder}/**/f1.csv")


def local_ls_limit(bench: Bench) -> Timed:
    folder = f"{bench.folder}/d0/e0"
    return lambda: [[e.path for e in os.scandir(folder)] for _ in range(20)]


@case("local-ls", "local ls by name", 0.4, limit=local_ls_limit, ops=20)
def local_ls(bench: Bench) -> Timed:
    fs = local(bench)
    folder = f"{bench.folder}/d0/e0"
    return lambda: [fs.ls(folder, detail=False) for _ in range(20)]


def local_ls_detail_limit(bench: Bench) -> Timed:
    folder = f"{bench.folder}/d0/e0"
    return lambda: [[(e.path, e.stat(follow_symlinks=False)) for e in os.scandir(folder)] for _ in range(20)]


@case("local-ls-detail", "local ls with detail", 1.0, limit=local_ls_detail_limit, ops=20)
def local_ls_detail(bench: Bench) -> Timed:
    fs = local(bench)
    folder = f"{bench.folder}/d0/e0"
    return lambda: [fs.ls(folder, detail=True) for _ in range(20)]


def small_files(bench: Bench) -> list[str]:
    return [f"{bench.folder}/d{n // 1000}/e{n // 100 % 10}/f{n % 100}.csv" for n in range(1000)]


def contents(names: list[str]) -> dict[str, bytes]:
    found = {}
    for name in names:
        with open(name, "rb") as file:
            found[name] = file.read()
    return found


def local_cat_limit(bench: Bench) -> Timed:
    names = small_files(bench)
    return lambda: contents(names)


@case("local-cat", "local cat of 1,000 small files", 0.5, limit=local_cat_limit)
def local_cat(bench: Bench) -> Timed:
    fs = local(bench)
    names = small_files(bench)
    return lambda: fs.cat(names)


@case("local-open", "fsspec.open and read, small local files", 0.5, limit=local_cat_limit, ops=1000)
def local_open(bench: Bench) -> Timed:
    import fsspec

    names = small_files(bench)

    def timed() -> None:
        for name in names:
            with fsspec.open(name, "rb") as file:
                file.read()

    return timed


@case("local-open-direct", "opening and reading small local files", 1.0, limit=local_cat_limit, ops=1000)
def local_open_direct(bench: Bench) -> Timed:
    fs = local(bench)
    names = small_files(bench)

    def timed() -> None:
        for name in names:
            with fs.open(name, "rb") as file:
                file.read()

    return timed


@case("local-read", "reading 128 bytes at a time from a local file", 1.0, ops=2000)
def local_read(bench: Bench) -> Timed:
    fs = local(bench)
    name = f"{bench.folder}/read"
    with open(name, "wb") as made:
        made.write(b"x" * 2**20)

    def timed() -> None:
        with fs.open(name, "rb") as file:
            for _ in range(2000):
                file.read(128)

    return timed


@case("local-cat-ranges", "local cat_ranges of 1,000", 0.5, ops=1000)
def local_cat_ranges(bench: Bench) -> Timed:
    fs = local(bench)
    names = small_files(bench)
    return lambda: fs.cat_ranges(names, [10] * len(names), [50] * len(names))


@case("local-glob-prunes", "local glob of a pattern that few folders match", 0.4)
def local_glob_prunes(bench: Bench) -> Timed:
    fs = local(bench)
    return lambda: fs.glob(f"{bench.folder}/*/e7/f?.csv")


@case("local-paths", "get_fs_token_paths of a local glob", 0.05)
def local_paths(bench: Bench) -> Timed:
    from fsspec.core import get_fs_token_paths

    return lambda: get_fs_token_paths(f"{bench.folder}/d0/e*/f*.csv")


@case("local-open-files", "open_files of a local glob", 0.05)
def local_open_files(bench: Bench) -> Timed:
    from fsspec.core import open_files

    return lambda: open_files(f"{bench.folder}/d0/e*/f*.csv")


# -- memory ----------------------------------------------------------------------------------


def memory(bench: Bench) -> tuple[Any, int]:
    import fsspec

    fs = fsspec.filesystem("memory")
    files = 50_000 if bench.full else 20_000
    for number in range(files // FILES_IN_FOLDER):
        folder = f"/m/d{number // 10}/e{number % 10}"
        for name in range(FILES_IN_FOLDER):
            fs.pipe_file(f"{folder}/f{name}", b"x")
    return fs, files


def memory_tree(bench: Bench) -> dict[str, dict[str, int]]:
    files = 50_000 if bench.full else 20_000
    return {
        f"/m/d{n // 10}/e{n % 10}": {f"/m/d{n // 10}/e{n % 10}/f{m}": 1 for m in range(FILES_IN_FOLDER)}
        for n in range(files // FILES_IN_FOLDER)
    }


def memory_ls_limit(bench: Bench) -> Timed:
    tree = memory_tree(bench)
    return lambda: [{"name": name, "size": size, "type": "file"} for name, size in tree["/m/d1/e1"].items()]


@case("memory-ls", "memory ls of one folder", 0.01, limit=memory_ls_limit)
def memory_ls(bench: Bench) -> Timed:
    fs, _ = memory(bench)
    return lambda: fs.ls("/m/d1/e1", detail=True)


def memory_info_limit(bench: Bench) -> Timed:
    tree = memory_tree(bench)
    return lambda: [(name in tree, len(tree[name])) for name in ("/m/d1/e1", "/m/d1/e2")]


@case("memory-info", "memory info of two folders", 0.01, limit=memory_info_limit)
def memory_info(bench: Bench) -> Timed:
    fs, _ = memory(bench)
    return lambda: [fs.info("/m/d1/e1"), fs.info("/m/d1/e2")]


def memory_find_limit(bench: Bench) -> Timed:
    tree = memory_tree(bench)
    return lambda: [name for number in range(10) for name in tree[f"/m/d1/e{number}"]]


@case("memory-find", "memory find of 1,000 among all", 0.05, limit=memory_find_limit)
def memory_find(bench: Bench) -> Timed:
    fs, _ = memory(bench)
    return lambda: fs.find("/m/d1")


@case("memory-cat", "memory cat of all", 0.6)
def memory_cat(bench: Bench) -> Timed:
    fs, files = memory(bench)
    names = [f"/m/d{n // 1000}/e{n // 100 % 10}/f{n % 100}" for n in range(files)]
    return lambda: fs.cat(names)


@case("memory-write", "memory, a file written and read again", 0.6, ops=1000)
def memory_write(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("memory")

    def timed() -> None:
        for number in range(1000):
            name = f"/w/{number}"
            with fs.open(name, "wb") as file:
                file.write(b"0123456789")
            with fs.open(name, "rb") as file:
                file.read()

    return timed


@case("mapper-getitems", "a map's getitems of 1,000 over memory", 0.4, ops=1000)
def mapper_getitems(bench: Bench) -> Timed:
    import fsspec

    store = fsspec.get_mapper("memory://map")
    store.setitems({f"a/{n}": b"x" * 100 for n in range(1000)})
    keys = list(store)
    return lambda: store.getitems(keys)


@case("mapper-getitem", "a map's items one by one, over memory", 0.5, ops=1000)
def mapper_getitem(bench: Bench) -> Timed:
    import fsspec

    store = fsspec.get_mapper("memory://map")
    store.setitems({f"a/{n}": b"x" * 100 for n in range(1000)})
    keys = list(store)
    return lambda: [store[key] for key in keys]


# -- ways in -----------------------------------------------------------------------------------


def url_limit(bench: Bench) -> Timed:
    def split(url: str) -> tuple[str, str]:
        protocol, _, path = url.partition("://")
        return protocol, "/" + path.lstrip("/")

    return lambda: [split(f"memory://bucket/{n}/file.bin") for n in range(200)]


@case("url-to-fs", "url_to_fs", 0.3, limit=url_limit, ops=200)
def url_to_fs(bench: Bench) -> Timed:
    import fsspec.core

    return lambda: [fsspec.core.url_to_fs(f"memory://bucket/{n}/file.bin") for n in range(200)]


@case("url-options", "url_to_fs with options", 0.4, ops=200)
def url_options(bench: Bench) -> Timed:
    import fsspec.core

    from .backends import Toy

    fsspec.register_implementation("benchtoy", Toy)
    return lambda: [
        fsspec.core.url_to_fs(f"benchtoy://flat/{n}", kind="flat", latency=0.1) for n in range(200)
    ]


@case("url-chain", "url_to_fs of a chain with options", 0.4, ops=200)
def url_chain(bench: Bench) -> Timed:
    import fsspec.core

    folder = f"{bench.folder}-chain"
    return lambda: [
        fsspec.core.url_to_fs(f"simplecache::memory://flat/{n}", simplecache={"cache_storage": folder})
        for n in range(200)
    ]


def open_files_limit(bench: Bench) -> Timed:
    return lambda: [("rb", f"/bucket/{n}") for n in range(1000)]


@case("open-files", "open_files of 1,000", 0.5, limit=open_files_limit)
def open_files(bench: Bench) -> Timed:
    import fsspec

    urls = [f"memory://bucket/{n}" for n in range(1000)]
    return lambda: fsspec.open_files(urls, "rb")
