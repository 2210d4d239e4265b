"""Reading, writing and removing many files at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import path_texts
from fsspec._paths.ranges import per_path
from fsspec._plans import Plan, PlanOf, call
from fsspec._plans.listing import ask, expand_call, together
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.utils import is_exception

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Depth, Filesystem, Offsets, Options, StrPath, StrPaths


def listing_options(fs: Filesystem, kwargs: Options) -> dict[str, Any]:
    """The options of a bulk operation that are also passed to listings.

    For blocking filesystems all of them, so that an argument of a backend's ``ls`` filters
    what is copied or read; for awaitable ones none, as upstream.
    """
    return {} if fs.async_impl else kwargs


def split_callback(kwargs: Options) -> tuple[Callback, dict[str, Any]]:
    """Split options into the callback, which counts files, and the others."""
    if "callback" not in kwargs:
        return DEFAULT_CALLBACK, kwargs
    return Callback.as_callback(kwargs["callback"]), {k: v for k, v in kwargs.items() if k != "callback"}


def _with_progress(
    calls: list[call], callback: Callback, batch_size: int | None, return_exceptions: bool = False
) -> PlanOf[list[Any]]:
    """The results of all calls; the callback is updated when each ends."""
    callback.set_size(len(calls))
    return together(
        calls,
        len(calls),
        return_exceptions=return_exceptions,
        batch_size=batch_size,
        done=None if callback is DEFAULT_CALLBACK else lambda position, result: callback.relative_update(1),
    )


def cat(
    fs: Filesystem, path: StrPaths, recursive: bool, on_error: str, kwargs: Options, batch_size: int | None
) -> Plan:
    """The bytes of files; see ``AbstractFileSystem.cat``."""
    callback, kwargs = split_callback(kwargs)
    given = path_texts(path)
    paths = yield call("expand_path", given, recursive=recursive, **listing_options(fs, kwargs))
    single = isinstance(given, str) and len(paths) == 1 and paths[0] == fs._strip_protocol(given)
    if single and not recursive:
        try:
            return (yield call("cat_file", paths[0], **kwargs))
        except Exception as error:  # there is nothing to continue with; ``await`` gives it as a value
            if on_error == "raise" or not fs.async_impl:
                raise
            return error
    calls = [call("cat_file", p, **kwargs) for p in paths]
    quiet = recursive or on_error != "raise"
    contents = yield from _with_progress(calls, callback, batch_size, return_exceptions=quiet)
    if recursive and on_error == "raise":
        paths, contents = yield from without_refusals(fs, paths, contents, batch_size)
    if on_error == "raise" or single and not fs.async_impl:
        raise_first(contents)
    if single and paths:
        return contents[0]
    # other values mean "return" to awaitable filesystems and "omit" to blocking ones, as upstream
    if on_error == "omit" or on_error != "return" and not fs.async_impl:
        return {p: data for p, data in zip(paths, contents) if not is_exception(data)}
    return dict(zip(paths, contents))


def without_refusals(fs: Filesystem, paths: list[str], contents: list[Any], batch_size: int | None) -> Plan:
    """The contents, without the errors of paths that turn out to be folders."""
    refused = [p for p, data in zip(paths, contents) if is_exception(data)]
    is_folder = yield from ask(fs, "isdir", refused, batch_size)
    folders = {p for p, folder in zip(refused, is_folder) if folder}
    left = [(p, data) for p, data in zip(paths, contents) if p not in folders]
    return [p for p, _ in left], [data for _, data in left]


def cat_ranges(
    fs: Filesystem,
    paths: list[str],
    starts: Offsets,
    ends: Offsets,
    max_gap: int | None,
    on_error: str,
    kwargs: Options,
    batch_size: int | None = None,
) -> PlanOf[list[Any]]:
    """The bytes of ranges; see ``AbstractFileSystem.cat_ranges``."""
    if max_gap is not None:
        # as upstream: callers join ranges by merge_offset_ranges
        raise NotImplementedError("cat_ranges does not join ranges: fsspec.utils.merge_offset_ranges does")
    paths, firsts, lasts = per_path(paths, starts, ends)
    callback, kwargs = split_callback(kwargs)
    named = fs.async_impl  # as upstream: a blocking backend may name its parameters differently
    calls = [
        call("cat_file", p, start=a, end=b, **kwargs) if named else call("cat_file", p, a, b, **kwargs)
        for p, a, b in zip(paths, firsts, lasts)
    ]
    return (yield from _with_progress(calls, callback, batch_size, return_exceptions=on_error == "return"))


def raise_first(answers: Iterable[Any]) -> None:
    """Raise the first exception among results."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


def pipe(
    fs: Filesystem,
    path: str | Mapping[str, ReadableBuffer],
    value: ReadableBuffer | None,
    kwargs: Options,
    batch_size: int | None = None,
) -> Plan:
    """Write whole files; see ``AbstractFileSystem.pipe``."""
    contents: Mapping[str, ReadableBuffer | None] = {path: value} if isinstance(path, str) else path
    if not isinstance(contents, Mapping):
        raise ValueError(f"pipe takes a path and bytes, or a mapping of them, not {type(path).__name__}")
    # in the order given: if two names mean one file, the last contents stay
    strip = (lambda p: p) if fs.async_impl else fs._strip_protocol
    callback, kwargs = split_callback(kwargs)
    calls = [call("pipe_file", strip(p), data, **kwargs) for p, data in contents.items()]
    return (yield from _with_progress(calls, callback, batch_size))


def rm(
    fs: Filesystem, path: StrPaths, recursive: bool, maxdepth: Depth, kwargs: Options, batch_size: int | None
) -> Plan:
    """Remove files, and with ``recursive`` folders; see ``AbstractFileSystem.rm``."""
    callback, kwargs = split_callback(kwargs)
    paths = yield expand_call(fs, path_texts(path), recursive, maxdepth)
    callback.set_size(len(paths))
    answers = yield from removing(fs, paths, kwargs, batch_size)
    callback.relative_update(len(paths))
    return answers


def removing(fs: Filesystem, paths: list[str], kwargs: Options, batch_size: int | None = None) -> Plan:
    """Remove sorted paths, the contents of a folder before the folder. A folder that has vanished with its
    contents, as in stores without folders, is not an error."""
    above = _folders_above(paths)
    answers: list[Any] = []
    gone: dict[str, FileNotFoundError] = {}
    if not fs.async_impl:
        for p in reversed(paths):
            try:
                answers.append((yield call("rm_file", p, **kwargs)))
            except FileNotFoundError as error:
                if p.rstrip("/") not in above:
                    raise
                gone[p] = error
        yield from _check_gone(fs, gone, batch_size)
        return answers
    levels: dict[int, list[str]] = {}
    for p in reversed(paths):
        levels.setdefault(p.rstrip("/").count("/") if above else 0, []).append(p)
    for depth in sorted(levels, reverse=True):
        level = levels[depth]
        may_be_gone = not above.isdisjoint(p.rstrip("/") for p in level)
        calls = (call("rm_file", p, **kwargs) for p in level)
        found = yield from together(calls, len(level), return_exceptions=may_be_gone, batch_size=batch_size)
        for p, answer in zip(level, found):
            if isinstance(answer, FileNotFoundError) and p.rstrip("/") in above:
                gone[p] = answer
                answer = None
            elif isinstance(answer, BaseException):
                raise answer
            answers.append(answer)
    yield from _check_gone(fs, gone, batch_size)
    return answers


def _check_gone(fs: Filesystem, gone: dict[str, FileNotFoundError], batch_size: int | None) -> Plan:
    """Raise the error for a folder that still exists, which the backend cannot remove."""
    below = tuple(p.rstrip("/") + "/" for p in gone)
    tops = [p for p in gone if not p.rstrip("/").startswith(below)]
    for p, there in zip(tops, (yield from ask(fs, "exists", tops, batch_size))):
        if there:
            raise gone[p]


def _folders_above(paths: list[str]) -> set[str]:
    """The paths that are parents of others."""
    given = {p.rstrip("/") for p in paths}
    above: set[str] = set()
    for path in given:
        while (path := path.rpartition("/")[0]) and path not in above:
            if path in given:
                above.add(path)
    return above


def sizes(
    fs: Filesystem, paths: Iterable[StrPath], batch_size: int | None = None
) -> PlanOf[list[int | None]]:
    """The bytes of several files, in order; see ``AbstractFileSystem.sizes``."""
    paths = list(paths)
    return (yield from together((call("size", p) for p in paths), len(paths), batch_size=batch_size))
