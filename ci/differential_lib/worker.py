"""A side: runs programs that it reads from stdin, each in a child, and tells step by step what it saw.

It has imported everything and started nothing, so that no program sees what another left behind.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import contextlib
import datetime
import gc
import hashlib
import importlib
import io
import itertools
import json
import os
import pickle
import random
import re
import select
import signal
import ssl
import sys
import tarfile
import time
import types
import warnings
import zipfile
from typing import Any

from differential_lib.guard import confine

LIMIT = 20.0  # seconds for a program
MODULES = (
    *("fsspec", "fsspec.core", "fsspec.caching", "fsspec.mapping", "fsspec.generic", "fsspec.parquet"),
    *(
        f"fsspec.implementations.{name}"
        for name in ("local", "memory", "cached", "dirfs", "zip", "tar", "http")
    ),
    *(f"fsspec.implementations.{name}" for name in ("sftp", "smb", "webhdfs", "libarchive", "git")),
    *("s3fs", "aiobotocore.session", "aiobotocore.httpsession", "botocore.parsers", "botocore.endpoint"),
    *("encodings.idna", "cloudpickle", "zoneinfo"),
)
VOLATILE = {*"mtime created modified atime ctime birthtime ino time LastModified last_modified".split()}
VOLATILE |= {*"modificationTime last_write_time last_access_time creation_time change_time".split()}
VOLATILE |= {"unique", "modify", "ResponseMetadata", "file_id", "file_attributes", "volume_id"}
calls: list[str] = []


def blob(spec: Any) -> bytes:
    """The content that a program means: a text, or so many bytes of chance, with lines in them."""
    if isinstance(spec, str):
        return spec.encode("latin-1")
    seed, size = spec
    return random.Random(seed).randbytes(size).replace(b"\x07", b"\n")


def make_archive(path: str, kind: str, tree: dict[str, Any]) -> None:
    """Write an archive; names that end in a slash are folders."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, spec in tree.items():
                archive.writestr(
                    zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6)), b"" if spec is None else blob(spec)
                )
    elif kind.startswith("tar"):
        with tarfile.open(path, "w" + kind[3:]) as tar:  # type: ignore[call-overload]  # any mode
            for name, spec in tree.items():
                info = tarfile.TarInfo(name.rstrip("/"))
                info.type = tarfile.DIRTYPE if spec is None else tarfile.REGTYPE
                data = b"" if spec is None else blob(spec)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    else:
        import libarchive

        with libarchive.file_writer(path, kind) as archive:
            for name, spec in tree.items():
                if spec is not None:
                    data = blob(spec)
                    archive.add_file_from_memory(name, len(data), data)


def make_repository(path: str, trees: list[dict[str, Any]]) -> None:
    """A git repository with a commit for each tree; the last but one is tagged."""
    import pygit2

    repository = pygit2.init_repository(path, initial_head="master")
    author = pygit2.Signature("a", "a@b.example", 1_600_000_000, 0)
    parents: list[Any] = []
    for number, tree in enumerate(trees):
        index = pygit2.Index()
        for name, spec in tree.items():
            if spec is not None:
                index.add(
                    pygit2.IndexEntry(name, repository.create_blob(blob(spec)), pygit2.enums.FileMode.BLOB)
                )
        made = repository.create_commit(
            "refs/heads/master", author, author, f"{number}", index.write_tree(repository), parents
        )
        if number == len(trees) - 2:
            repository.create_reference("refs/tags/before", made)
        parents = [made]


def trusting(authority: str) -> Any:
    """A maker of clients that trust a certificate."""

    async def get_client(**options: Any) -> Any:
        import aiohttp

        trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority))
        return aiohttp.ClientSession(connector=trusted, **options)

    return get_client


def described(data: bytes) -> str:
    """Of content, itself or its length and a digest."""
    if len(data) <= 300:
        return repr(data)
    return f"{len(data)} bytes {hashlib.sha1(data).hexdigest()[:12]} {data[:30]!r}"


def text(value: str) -> str:
    value = re.sub(r"0x[0-9a-f]{5,16}", "0x?", value)
    value = re.sub(r"\b(X-Amz-Date|X-Amz-Signature|Signature|Expires)=[^&\s]+", r"\1=?", value)
    return re.sub(r"\btmp[a-z0-9_]{8}\b", "{tmpname}", value)[:5000]


def ancestors(kind: type) -> list[str]:
    return [c.__name__ for c in kind.__mro__ if c is not object and not c.__name__.startswith("_")]


def seen(value: Any, key: Any = None, depth: int = 0) -> Any:
    """What a program can see of a value, as JSON."""
    kind = type(value)
    if key in VOLATILE and value is not None or depth > 9:
        return {"$": "volatile", "type": kind.__name__}
    if value is None or kind in (bool, int, list) or isinstance(value, (list, range)):
        if kind is list or isinstance(value, (list, range)):
            items = [seen(v, None, depth + 1) for v in value]
            return items if kind is list else {"$": kind.__name__, "value": items}
        return value
    if kind is float:
        return {"$": "float", "value": repr(value)}
    if isinstance(value, str):
        return text(value) if kind is str else {"$": "str", "type": kind.__name__, "value": text(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$": kind.__name__, "value": described(bytes(value))}
    if isinstance(value, dict):
        return {
            "$": "dict",
            "value": [[seen(k, None, depth + 1), seen(v, k, depth + 1)] for k, v in value.items()],
        }
    if isinstance(value, (tuple, set, frozenset)):
        items = [seen(v, None, depth + 1) for v in value]
        return {"$": kind.__name__, "value": items if isinstance(value, tuple) else sorted(items, key=repr)}
    if isinstance(value, datetime.datetime):
        return {"$": "datetime", "aware": value.tzinfo is not None}
    if isinstance(value, BaseException):
        return failure(value)
    if isinstance(value, int):
        return {"$": "int", "type": kind.__name__, "value": int(value)}
    if isinstance(value, types.CoroutineType):
        value.close()
        return {"$": "coroutine"}
    names = ancestors(kind)
    if hasattr(value, "read") and hasattr(value, "seek"):
        out: dict[str, Any] = {"$": "file"}
        for name in ("mode", "closed", "path", "size"):
            with contextlib.suppress(Exception):  # what has no such attribute shows none
                out[name] = seen(getattr(value, name), None, depth + 1)
        for name in ("readable", "writable", "seekable", "tell"):
            try:
                out[name] = seen(getattr(value, name)())
            except Exception as error:  # part of what is compared
                out[name] = {"$": "raises", "type": type(error).__name__, "isa": ancestors(type(error))}
        return out
    if "AbstractFileSystem" in names:
        return {"$": "filesystem", "isa": names, "protocol": seen(kind.protocol)}
    if hasattr(value, "__next__") or kind.__name__ in ("dict_keys", "dict_values", "dict_items", "KeysView"):
        return {"$": "iterated", "value": [seen(v, None, depth + 1) for v in itertools.islice(value, 3000)]}
    return {"$": "object", "isa": names}


def failure(error: BaseException) -> dict[str, Any]:
    number, filename = (error.errno, error.filename) if isinstance(error, OSError) else (None, None)
    return {
        "$": "raises",
        "type": type(error).__name__,
        "isa": [c.__name__ for c in type(error).__mro__ if c not in (object, BaseException)],
        "errno": number if isinstance(number, int) else None,
        "filename": text(os.fsdecode(filename)) if isinstance(filename, (str, bytes)) else None,
        "message": text(str(error))[:300],
    }


def step(source: str, space: dict[str, Any]) -> dict[str, Any]:
    """Run a step and look at its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out: dict[str, Any] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(compile(tree, "<step>", "exec"), space)
            value = None
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<step>", "eval"), space)
            out["value"] = seen(value)
        except Exception as error:  # part of what is compared
            out["error"] = failure(error)
            error.__traceback__ = None
    kinds = {w.category for w in caught}
    quiet = (ResourceWarning, DeprecationWarning, PendingDeprecationWarning)
    out["warnings"] = sorted(k.__name__ for k in kinds if not issubclass(k, quiet))
    return out


def memory() -> dict[str, str | None]:
    from fsspec.implementations.memory import MemoryFileSystem as Memory

    found: dict[str, str | None] = {path: described(file.getvalue()) for path, file in Memory.store.items()}
    for folder in filter(None, Memory.pseudo_dirs):
        if not any(path.startswith(folder.rstrip("/") + "/") for path in Memory.store):
            found[folder.rstrip("/") + "/"] = None
    return found


def run(program: dict[str, Any], place: str, forks: bool, report: int) -> None:
    """The program, in this process, and in a child of it from where it forks on."""

    def say(what: dict[str, Any]) -> None:
        os.write(report, json.dumps(what).encode() + b"\n")

    tmp = os.path.join(place, "t")
    os.environ["HOME"] = os.environ["TMPDIR"] = os.path.join(place, "x")
    os.chdir(tmp)
    refused = confine(place)
    space: dict[str, Any] = {"tmp": tmp, "options": program["options"], "url": program["url"], **globals_of()}
    for number, source in enumerate(program["steps"]):
        if number == program.get("fork") and forks and (pid := os.fork()):
            os.waitpid(pid, 0)
            leave(space)
        say(step(source, space))
    say({"end": {"memory": memory(), "calls": calls, "refused": refused}})
    leave(space)


def globals_of() -> dict[str, Any]:
    import fsspec

    return {
        **{
            "fsspec": fsspec,
            "os": os,
            "io": io,
            "json": json,
            "pickle": pickle,
            "asyncio": asyncio,
            "ssl": ssl,
        },
        **{
            "blob": blob,
            "make_archive": make_archive,
            "make_repository": make_repository,
            "trusting": trusting,
        },
    }


def leave(space: dict[str, Any]) -> None:
    """End as an interpreter does, with everything that is said then."""
    space.clear()
    gc.collect()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def in_child(program: dict[str, Any], place: str, forks: bool) -> dict[str, Any]:
    """Run a program in a child of its own and collect what it tells."""
    reading, writing = os.pipe()
    noise = os.open(os.path.join(place, "noise"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    pid = os.fork()
    if not pid:
        os.setsid()
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        os.close(reading)
        try:
            run(program, place, forks, writing)
        finally:
            os._exit(7)
    os.close(writing)
    pending = b""
    steps: list[dict[str, Any]] = []
    out: dict[str, Any] = {"steps": steps, "hang": False}
    deadline = time.monotonic() + LIMIT
    while True:
        if not select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
            out["hang"] = True
            break
        data = os.read(reading, 2**16)
        if not data:
            break
        pending += data
    os.close(reading)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    for line in pending.splitlines():
        with contextlib.suppress(ValueError):  # the last, of one that was killed while it told
            what = json.loads(line)
            if "end" in what:
                out.update(what["end"])
            else:
                steps.append(what)
    out["signal"] = status & 0x7F if not out["hang"] and "refused" not in out else 0
    out["noise"] = text(os.pread(noise, 2**16, 0).decode(errors="replace"))
    os.close(noise)
    return out


def count_s3() -> None:
    """Note what s3fs asks for: moto's server keeps no record."""
    from s3fs import S3FileSystem

    asked = S3FileSystem._call_s3

    async def noting(self: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        calls.append(" ".join([method, str(kwargs.get("Key", "")), str(kwargs.get("Range", ""))]).strip())
        return await asked(self, method, *args, **kwargs)

    S3FileSystem._call_s3 = noting


def main(place: str, forks: bool) -> None:
    answers = os.fdopen(os.dup(1), "w")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in MODULES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        with contextlib.suppress(ImportError):
            count_s3()
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(in_child(json.loads(line), place, forks)), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], "forks" in sys.argv[2:])
