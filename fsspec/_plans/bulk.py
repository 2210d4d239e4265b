"""Reading, writing and removing many files at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsspec._plans import Plan, batch, call
from fsspec._plans.listing import ask
from fsspec.utils import stringify_path


def cat(
    fs: Any,
    path: Any,
    recursive: bool = False,
    on_error: str = "raise",
    *,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """The bytes of files; see ``AbstractFileSystem.cat``."""
    given = stringify_path(path)
    paths = yield call("expand_path", given, recursive=recursive)
    single = isinstance(given, str) and len(paths) == 1 and paths[0] == fs._strip_protocol(given)
    if single and not recursive and on_error == "raise":
        return (yield call("cat_file", paths[0], **kwargs))
    files = (yield from _without_folders(fs, paths, batch_size)) if recursive else paths
    contents = yield batch(
        (call("cat_file", p, **kwargs) for p in files),
        return_exceptions=recursive or on_error != "raise",
        batch_size=batch_size,
    )
    if recursive:
        files, contents = yield from _without_refusals(fs, files, contents, batch_size)
        if on_error == "raise":
            for data in contents:
                if isinstance(data, BaseException):
                    raise data
    if on_error == "omit":
        return {p: data for p, data in zip(files, contents) if not isinstance(data, BaseException)}
    if single and files:
        return contents[0]
    return dict(zip(files, contents))


def _without_folders(fs: Any, paths: list[str], batch_size: int | None) -> Plan:
    """``paths`` but for folders that others of them are in; only those are asked about."""
    given = set(paths)
    above = {p.rstrip("/").rpartition("/")[0] for p in paths}
    perhaps = [p for p in paths if p.rstrip("/") in above]
    is_folder = yield from ask(fs, "isdir", perhaps, batch_size)
    given.difference_update(p for p, folder in zip(perhaps, is_folder) if folder)
    return [p for p in paths if p in given]


def _without_refusals(fs: Any, paths: list[str], contents: list[Any], batch_size: int | None) -> Plan:
    """What was read, without the errors of those that are folders after all: empty ones."""
    refused = [p for p, data in zip(paths, contents) if isinstance(data, BaseException)]
    is_folder = yield from ask(fs, "isdir", refused, batch_size)
    folders = {p for p, folder in zip(refused, is_folder) if folder}
    left = [(p, data) for p, data in zip(paths, contents) if p not in folders]
    return [p for p, _ in left], [data for _, data in left]


def cat_ranges(
    fs: Any,
    paths: list[str],
    starts: Any,
    ends: Any,
    max_gap: int | None = None,
    on_error: str = "return",
    *,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """The bytes of ranges; see ``AbstractFileSystem.cat_ranges``."""
    if not isinstance(paths, list):
        raise TypeError(f"a list of paths is needed, not {type(paths).__name__}")
    firsts = starts if isinstance(starts, list) else [starts] * len(paths)
    lasts = ends if isinstance(ends, list) else [ends] * len(paths)
    if not len(paths) == len(firsts) == len(lasts):
        raise ValueError(
            f"{len(paths)} paths, {len(firsts)} starts, {len(lasts)} ends: as many of each are needed"
        )
    if max_gap is not None:
        # joined ranges are for callers of merge_offset_ranges, who know what they ask for
        raise NotImplementedError("cat_ranges does not join ranges: fsspec.utils.merge_offset_ranges does")
    calls = (call("cat_file", p, start=a, end=b, **kwargs) for p, a, b in zip(paths, firsts, lasts))
    return (yield batch(calls, return_exceptions=on_error != "raise", batch_size=batch_size))


def pipe(fs: Any, path: Any, value: Any = None, *, batch_size: int | None = None, **kwargs: Any) -> Plan:
    """Write whole files; see ``AbstractFileSystem.pipe``."""
    if isinstance(path, str):
        return (yield call("pipe_file", fs._strip_protocol(path), value, **kwargs))
    if not isinstance(path, Mapping):
        raise ValueError(f"pipe takes a path and bytes, or a mapping of them, not {type(path).__name__}")
    calls = (call("pipe_file", fs._strip_protocol(p), data, **kwargs) for p, data in path.items())
    yield batch(calls, batch_size=batch_size)
    return None


def rm(
    fs: Any,
    path: Any,
    recursive: bool = False,
    maxdepth: int | None = None,
    *,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """Remove files, and with ``recursive`` folders; see ``AbstractFileSystem.rm``."""
    paths = yield call("expand_path", path, recursive=recursive, maxdepth=maxdepth)
    # what is deepest goes first, so that a folder is empty when its turn comes
    if fs.async_impl and recursive:
        levels: dict[int, list[str]] = {}
        for p in paths:
            levels.setdefault(p.count("/"), []).append(p)
        for depth in sorted(levels, reverse=True):
            yield batch((call("rm_file", p, **kwargs) for p in levels[depth]), batch_size=batch_size)
        return None
    yield batch((call("rm_file", p, **kwargs) for p in reversed(paths)), batch_size=batch_size)
    return None


def sizes(fs: Any, paths: list[str], *, batch_size: int | None = None) -> Plan:
    """The bytes of several files, in order; see ``AbstractFileSystem.sizes``."""
    return (yield batch((call("size", p) for p in paths), batch_size=batch_size))
