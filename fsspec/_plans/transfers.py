"""Copying trees: within a filesystem, from it to this machine, and back.

Which source goes to which target is decided by one rule for all three (`_targets`):

* a list of sources goes flat into the target folder, a list of targets pairs with it;
* one source that is a folder puts its contents into a target that is new or ends in a
  slash of its own, and itself into a target folder that exists;
* what a pattern matches keeps its place below the pattern's fixed part.

Names in a store are not trusted: none of them may lead out of the target folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from fsspec._paths import trailing_sep
from fsspec._plans import Plan, batch, call
from fsspec._plans.globbing import has_magic
from fsspec.callbacks import Callback
from fsspec.utils import check_contained, other_paths, stringify_path


def _targets(source: Any, sources: list[str], target: Any, target_is_folder: bool) -> list[str]:
    one = isinstance(source, str)
    into = False
    if one:
        if has_magic(source):
            into = len(sources) == 1  # as it would with several, it goes into a folder
        else:
            into = target_is_folder and not trailing_sep(source)
    return other_paths(sources, target, exists=into, flatten=not one)


def _ignoring_missing(on_error: str | None, recursive: bool) -> bool:
    chosen = on_error or ("ignore" if recursive else "raise")
    if chosen not in ("ignore", "raise"):
        raise ValueError(f'on_error is "ignore" or "raise", not {on_error!r}')
    return chosen == "ignore"


def _raise_failures(answers: list[Any], ignore_missing: bool) -> None:
    for answer in answers:
        if isinstance(answer, BaseException) and not (ignore_missing and isinstance(answer, FileNotFoundError)):
            raise answer


def _sources(fs: Any, source: Any, recursive: bool, maxdepth: int | None, batch_size: int | None) -> Plan:
    """The files that are meant, and whether any is left once folders are put aside."""
    found = yield call("expand_path", source, recursive=recursive, maxdepth=maxdepth)
    if isinstance(source, str) and (not recursive or maxdepth is not None):
        # without their contents folders are not copied
        named = [p for p in found if not trailing_sep(p)]
        is_folder = yield batch([call("isdir", p) for p in named], batch_size=batch_size)
        found = [p for p, folder in zip(named, is_folder) if not folder]
    return found


def copy(
    fs: Any,
    path1: Any,
    path2: Any,
    recursive: bool = False,
    maxdepth: int | None = None,
    on_error: str | None = None,
    *,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """Copy within a filesystem; see ``AbstractFileSystem.copy``."""
    ignore = _ignoring_missing(on_error, recursive)
    path1, path2 = stringify_path(path1), stringify_path(path2)
    if isinstance(path1, list) and isinstance(path2, list):
        sources, targets = path1, path2
    else:
        sources = yield from _sources(fs, path1, recursive, maxdepth, batch_size)
        if not sources:
            return None
        folder = isinstance(path2, str) and (trailing_sep(path2) or (yield call("isdir", path2)))
        targets = _targets(path1, sources, path2, folder)
    answers = yield batch(
        (call("cp_file", a, b, **kwargs) for a, b in zip(sources, targets)),
        return_exceptions=ignore,
        batch_size=batch_size,
        nofiles=True,
    )
    _raise_failures(answers, ignore)
    return None


def mv(
    fs: Any, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any
) -> Plan:
    """Move within a filesystem; see ``AbstractFileSystem.mv``."""
    if path1 == path2:
        return None
    yield call("copy", path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise", **kwargs)
    yield call("rm", path1, recursive=recursive)
    return None


class _Transfers:
    """Calls for pairs of paths, each with a child of the callback."""

    def __init__(self, name: str, pairs: list[tuple[str, str]], callback: Callback, kwargs: dict[str, Any]) -> None:
        self.name = name
        self.pairs = pairs
        self.callback = callback
        self.kwargs = kwargs
        self.children: dict[int, Callback] = {}
        callback.set_size(len(pairs))

    def __iter__(self) -> Iterator[call]:
        for position, (a, b) in enumerate(self.pairs):
            child = self.children[position] = self.callback.branched(a, b, **self.kwargs)
            child.__enter__()
            yield call(self.name, a, b, callback=child, **self.kwargs)

    def done(self, position: int, result: Any) -> None:
        self.children.pop(position).__exit__(None, None, None)
        self.callback.relative_update(1)


def get(
    fs: Any,
    rpath: Any,
    lpath: Any,
    recursive: bool = False,
    callback: Callback | None = None,
    maxdepth: int | None = None,
    *,
    batch_size: int | None = None,
    on_error: str | None = None,
    **kwargs: Any,
) -> Plan:
    """Download; see ``AbstractFileSystem.get``."""
    callback = Callback.as_callback(callback)
    rpath, lpath = stringify_path(rpath), stringify_path(lpath)
    ignore = on_error == "ignore"
    if isinstance(rpath, list) and isinstance(lpath, list):
        sources, targets = rpath, [_local(p) for p in lpath]
    else:
        sources = yield from _sources(fs, rpath, recursive, maxdepth, batch_size)
        if not sources:
            return None
        folder = isinstance(lpath, str) and (trailing_sep(lpath) or os.path.isdir(_local(lpath)))
        local = [_local(p) for p in lpath] if isinstance(lpath, list) else _local(lpath)
        targets = _targets(rpath, sources, local, folder)
        if isinstance(local, str):
            check_contained(local, targets)
    for parent in dict.fromkeys(os.path.dirname(t) for t in targets):
        os.makedirs(parent, exist_ok=True)
    transfers = _Transfers("get_file", list(zip(sources, targets)), callback, kwargs)
    answers = yield batch(
        iter(transfers), return_exceptions=ignore, batch_size=batch_size, nofiles=False, done=transfers.done
    )
    _raise_failures(answers, ignore)
    return None


def _local(path: str) -> str:
    """A path on this machine, absolute and with slashes."""
    if path.startswith(("file://", "local://")):
        path = path.partition("://")[2]
    absolute = os.path.abspath(os.path.expanduser(path))
    return absolute.replace(os.sep, "/") if os.sep != "/" else absolute


def put(
    fs: Any,
    lpath: Any,
    rpath: Any,
    recursive: bool = False,
    callback: Callback | None = None,
    maxdepth: int | None = None,
    *,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """Upload; see ``AbstractFileSystem.put``."""
    # the local side is a filesystem as well; it is a room further down, and asked by its name
    from fsspec.registry import get_filesystem_class

    callback = Callback.as_callback(callback)
    rpath = stringify_path(rpath)
    if not isinstance(lpath, (str, list)):
        lpath = [stringify_path(p) for p in lpath] if isinstance(lpath, (tuple, set)) else [stringify_path(lpath)]
    if isinstance(lpath, list) and isinstance(rpath, list):
        sources, targets = lpath, rpath
    else:
        local = get_filesystem_class("file")()
        given = lpath
        if isinstance(lpath, str):
            given = _local(lpath) + ("/" if trailing_sep(lpath) and not lpath.strip("/") == "" else "")
        sources = local.expand_path(given, recursive=recursive, maxdepth=maxdepth)
        if isinstance(given, str) and (not recursive or maxdepth is not None):
            sources = [p for p in sources if not (trailing_sep(p) or os.path.isdir(p))]
        if not sources:
            return None
        if isinstance(rpath, str):
            folder = trailing_sep(rpath) or (yield call("isdir", rpath))
            rpath = fs._strip_protocol(rpath)
        else:
            folder, rpath = False, [fs._strip_protocol(p) for p in rpath]
        targets = _targets(given, sources, rpath, folder)
    pairs = list(zip(sources, targets))
    if fs.async_impl:
        folders = [b for a, b in pairs if os.path.isdir(a)]
        yield batch([call("makedirs", b, exist_ok=True) for b in folders], batch_size=batch_size)
        pairs = [(a, b) for a, b in pairs if not os.path.isdir(a)]
    transfers = _Transfers("put_file", pairs, callback, kwargs)
    yield batch(iter(transfers), batch_size=batch_size, nofiles=False, done=transfers.done)
    return None
