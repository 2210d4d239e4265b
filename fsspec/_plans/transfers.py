"""Copying and moving trees, and where each file goes: within a filesystem, from it to this machine, and back.

Which source goes to which target is decided by one rule for all three (`_targets`):

* a list of sources goes flat into the target folder, a list of targets pairs with it;
* one source that is a folder puts its contents into a target that is new or ends in a
  slash of its own, and itself into a target folder that exists;
* what a pattern matches keeps its place below the pattern's fixed part.

Names in a store are not trusted: none of them may lead out of the target folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fsspec._overriding import overridden, replaced, with_those_behind
from fsspec._paths.paths import path_texts, trailing_sep, unequal
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans import Plan, call, local
from fsspec._plans.bulk import listing_options, raise_first, removing, split_callback
from fsspec._plans.globbing import escape, has_magic, literal_root
from fsspec._plans.listing import ask, expand_call, together
from fsspec._plans.transfer_batches import (
    Downloads,
    Targets,
    Transfers,
    cache_asks,
    in_rounds,
    prepare_targets,
    writes_in_place,
)
from fsspec.callbacks import Callback
from fsspec.utils import check_contained, other_paths

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Filesystem, Options, Progress, StrPaths
    from fsspec.spec import AbstractFileSystem


def _targets(
    source: str | list[str], sources: list[str], target: str | list[str], target_is_folder: bool
) -> list[str]:
    into = False
    if isinstance(source, str):
        if _matched_others(source, sources):
            into = len(sources) == 1  # as it would with several, it goes into a folder
        else:
            into = target_is_folder and not trailing_sep(source)
    return other_paths(sources, target, exists=into, flatten=not isinstance(source, str))


def _matched_others(source: str, sources: list[str]) -> bool:
    """Whether ``source`` was expanded as a pattern, and is not a name with brackets or a URL with a query."""
    if not has_magic(source) or not sources:
        return has_magic(source)
    name = sources[0].rstrip("/")
    plain = name.rpartition("://")[2].lstrip("/")  # memory:// is also written memory:///
    is_itself = source.rstrip("/").endswith(plain) and "*" not in name and ("[" in name or "://" in name)
    return not is_itself


def paired(sources: list[str], targets: list[str]) -> list[tuple[str, str]]:
    if len(sources) != len(targets):
        raise ValueError(unequal(sources, targets))
    return list(zip(sources, targets))


def _sources(
    fs: Filesystem,
    source: str | list[str],
    recursive: bool,
    maxdepth: Depth,
    kwargs: Options,
    batch_size: int | None,
) -> Plan:
    """The paths that ``source`` stands for; with folders only if their contents are copied as well."""
    options = listing_options(fs, kwargs)
    found = yield expand_call(fs, source, recursive, maxdepth, options)
    if isinstance(source, str) and (not recursive or maxdepth is not None):
        named = [p for p in found if not trailing_sep(p)]
        is_folder = yield from ask(fs, "isdir", named, batch_size)
        found = [p for p, folder in zip(named, is_folder) if not folder]
    return found


def _is_target_folder(fs: Filesystem, target: str) -> Plan:
    if trailing_sep(target):
        return True
    (is_folder,) = yield from ask(fs, "isdir", [target])
    return is_folder


def pairs_to_copy(
    fs: Filesystem,
    path1: str | list[str],
    path2: str | list[str],
    recursive: bool,
    maxdepth: Depth,
    kwargs: Options,
    batch_size: int | None,
) -> Plan:
    """Pairs of the files to copy and their targets."""
    if isinstance(path1, list) and isinstance(path2, list):
        return paired(path1, path2)
    sources = yield from _sources(fs, path1, recursive, maxdepth, kwargs, batch_size)
    if not sources:
        return []
    folder = isinstance(path2, str) and (yield from _is_target_folder(fs, path2))
    return paired(sources, _targets(path1, sources, path2, folder))


def copy(
    fs: Filesystem,
    path1: StrPaths,
    path2: StrPaths,
    recursive: bool,
    maxdepth: Depth,
    on_error: str | None,
    kwargs: Options,
    batch_size: int | None = None,
) -> Plan:
    """Copy within a filesystem; see ``AbstractFileSystem.copy``."""
    # any other value counts as "ignore" in blocking filesystems, as "raise" in awaitable ones: as upstream
    chosen = on_error or ("ignore" if recursive else "raise")
    ignore = chosen == "ignore" if fs.async_impl else chosen != "raise"
    callback, kwargs = split_callback(kwargs)
    path1, path2 = path_texts(path1), path_texts(path2)
    pairs = yield from pairs_to_copy(fs, path1, path2, recursive, maxdepth, kwargs, batch_size)
    given = [path1] if isinstance(path1, str) else path1
    yield from _copying(fs, pairs, recursive, ignore, kwargs, batch_size, callback, given)
    return None


def _copying(
    fs: Filesystem,
    pairs: list[tuple[str, str]],
    recursive: bool,
    ignore: bool,
    kwargs: Options,
    batch_size: int | None,
    callback: Callback,
    given: Sequence[str] = (),
) -> Plan:
    callback.set_size(len(pairs))
    if not fs.async_impl:
        failures: list[Exception] = []
        for a, b in pairs:
            try:
                yield call("cp_file", a, b, **kwargs)
            except FileNotFoundError as error:
                failures += yield from _to_raise(fs, [(a, b)], [error], recursive, ignore, 1, given)
                if failures and not ignore:
                    raise
            callback.relative_update(1)
        raise_first(failures)
        return
    rounds, answers = in_rounds(fs, pairs), []
    for pairs in rounds:
        answers += yield from together(
            (call("cp_file", a, b, **kwargs) for a, b in pairs),
            len(pairs),
            return_exceptions=True,  # a failure does not stop the others
            batch_size=batch_size,
            done=lambda position, result: callback.relative_update(1),
        )
    in_order = [pair for pairs in rounds for pair in pairs]
    raise_first((yield from _to_raise(fs, in_order, answers, recursive, ignore, batch_size, given)))


def _to_raise(
    fs: Filesystem,
    pairs: list[tuple[str, str]],
    answers: list[Any],
    recursive: bool,
    ignore_missing: bool,
    batch_size: int | None,
    given: Sequence[str],
) -> Plan:
    """The answers without those that are not failures: of folders that exist as prefixes only, which need not
    be copied; and of missing sources, if those are ignored.

    A FileNotFoundError about a source that exists is about its target, and is raised, except for sources that
    were found below one of the paths ``given``, as upstream. Whether a source exists is only asked if the
    error names another file."""
    if not (recursive or ignore_missing):
        return answers
    missing = [i for i, answer in enumerate(answers) if isinstance(answer, FileNotFoundError)]
    asked = missing
    if ignore_missing and missing:
        stripped = (fs._strip_protocol(path).rstrip("/") for path in given)
        trees = tuple(f"{path}/" for path in stripped if not has_magic(path))
        others = (i for i in missing if not pairs[i][0].startswith(trees))
        asked = [i for i in others if _names_another(fs, answers[i], pairs[i][0])]
    kind = "isfile" if ignore_missing else "isdir"
    found = yield from ask(fs, kind, [pairs[i][0] for i in asked], batch_size)
    raised = {i for i, is_so in zip(asked, found) if is_so == ignore_missing}
    return [answer for i, answer in enumerate(answers) if i in raised or i not in missing]


def _names_another(fs: Filesystem, error: FileNotFoundError, path: str) -> bool:
    """Whether an error names a file, and not (only) the one at ``path``."""
    if not isinstance(error.filename, str):
        return False
    return error.filename2 is not None or _without_slash(fs, error.filename) != _without_slash(fs, path)


def mv(
    fs: Filesystem,
    path1: StrPaths,
    path2: StrPaths,
    recursive: bool = False,
    maxdepth: Depth = None,
    callback: Progress = None,
) -> Plan:
    """Move within a filesystem; see ``AbstractFileSystem.mv``. Nothing is removed that was not copied, or
    that a copy was made in."""
    path1, path2 = path_texts(path1), path_texts(path2)
    # pairs: the contents of folders among them are not copied
    one_by_one = isinstance(path1, list) and isinstance(path2, list)
    if (
        path1 == path2
        or isinstance(path1, str)
        and isinstance(path2, str)
        and _without_slash(fs, path1) == _without_slash(fs, path2)
    ):
        return None
    if not recursive and overridden(fs, "copy") and _are_apart(fs, path1, path2):
        progress = Callback.as_callback(callback)
        progress.set_size(1)
        yield call("copy", path1, path2, recursive=False, maxdepth=maxdepth, on_error="raise")
        yield call("rm", path1, recursive=False)
        progress.relative_update(1)
        return None
    pairs = yield from pairs_to_copy(fs, path1, path2, recursive, maxdepth, {}, None)
    moved = [(a, b) for a, b in pairs if _without_slash(fs, a) != _without_slash(fs, b)]
    if isinstance(path2, str) and not _without_slash(fs, path2):
        # to the root, where "name" is put at "/name": many backends take that for the same
        moved = [(a, b) for a, b in moved if _without_slash(fs, a) != _without_slash(fs, b).lstrip("/")]
    if pairs and not moved:
        sources = [a for a, _ in pairs]
        there = yield from ask(fs, "exists", sources)
        if not all(there):
            raise FileNotFoundError(redact_url(sources[there.index(False)]))
        return None
    check_nothing_is_lost(fs, path1, moved)
    progress = Callback.as_callback(callback)
    if overridden(fs, "copy"):
        progress.set_size(len(moved))
        yield call("copy", path1, path2, recursive=recursive, maxdepth=maxdepth, on_error="raise")
        progress.relative_update(len(moved))
    else:
        yield from _copying(fs, moved, recursive, False, {}, None, progress)
    if not pairs or overridden(fs, "rm") and maxdepth is None and len(moved) == len(pairs):
        # without its contents, only an empty folder is moved
        to_remove = _top_sources(fs, moved) if _may_match(fs, path1, moved) else path1
        yield call(
            "rm", to_remove, recursive=recursive and not one_by_one and (bool(pairs) or maxdepth is None)
        )
    elif replaced(fs, "rm") or replaced(fs, "expand_path"):
        # it may be all that a backend of another package can do
        yield call("rm", [escape(path) for path in sorted({_without_slash(fs, a) for a, _ in moved})])
    else:
        yield from removing(fs, sorted({fs._strip_protocol(a) for a, _ in moved}), {})
    return None


def _without_slash(fs: Filesystem, path: str) -> str:
    return str(fs._strip_protocol(path).rstrip("/"))


def _are_apart(fs: Filesystem, path1: StrPaths, path2: StrPaths) -> bool:
    """Whether both are single names, neither of which lies below the other."""
    if not isinstance(path1, str) or not isinstance(path2, str) or has_magic(path1):
        return False
    source, target = (f"{fs._strip_protocol(path).strip('/')}/" for path in (path1, path2))
    return target != "/" and not source.startswith(target) and not target.startswith(source)


def check_nothing_is_lost(fs: Filesystem, path1: StrPaths, pairs: list[tuple[str, str]]) -> None:
    """Raise if the target of a move lies in a removed folder, or is also the target of another file."""
    sources = {_without_slash(fs, a) for a, _ in pairs}
    taken: dict[str, str] = {}
    for source, path in pairs:
        target = _without_slash(fs, path)
        if taken.setdefault(target, _without_slash(fs, source)) != _without_slash(fs, source):
            raise ValueError(
                f"mv would put several files at {redact_url(target)!r}, of which one would be left, as after"
                " copy: move each to a name of its own"
            )
        while target not in sources and "/" in target:
            target = target.rpartition("/")[0]
        if target in sources:
            put, lost = redact_url(path), redact_url(target)
            why = f"mv would remove what it puts at {put!r} together with {lost!r}; name another target"
            raise OSError(errno.EINVAL, why, redact_paths(path1))


def _may_match(fs: Filesystem, source: StrPaths, pairs: list[tuple[str, str]]) -> bool:
    """Whether a pattern could match the copied files, too, when it is expanded again."""
    given = path_texts(source)
    several = [given] if isinstance(given, str) else given
    roots = [literal_root(p) for p in map(fs._strip_protocol, several) if has_magic(p)]
    return any(_without_slash(fs, b).startswith(root) for root in roots for _, b in pairs)


def _top_sources(fs: Filesystem, pairs: list[tuple[str, str]]) -> list[str]:
    """The sources that are not below others, as patterns that match nothing but them."""
    tops: list[str] = []
    for path in sorted(_without_slash(fs, a) for a, _ in pairs):
        if not tops or path != tops[-1] and not path.startswith(tops[-1] + "/"):
            tops.append(path)
    return [escape(path) for path in tops]


def _download_pairs(
    rpath: str | list[str], sources: list[str], lpath: str, making: bool, beside_each: bool
) -> tuple[list[tuple[str, str]], Targets | None]:
    """Pairs of source and target below one local folder; and, unless two have one target, what
    `prepare_targets` gives for them."""
    top = _local_path(lpath)
    targets = _targets(rpath, sources, top, trailing_sep(lpath) or os.path.isdir(top))
    # a backslash in a name is a separator if the target is on Windows
    check_contained(top, targets if os.sep == "/" else [t.replace(os.sep, "/") for t in targets])
    pairs = paired(sources, targets)
    apart = len(set(targets)) == len(targets)
    return pairs, prepare_targets(pairs, making, beside_each) if apart else None


def get(
    fs: Filesystem,
    rpath: StrPaths,
    lpath: StrPaths,
    recursive: bool,
    callback: Progress,
    maxdepth: Depth,
    kwargs: Options,
    batch_size: int | None = None,
    on_error: str | None = None,
) -> Plan:
    """Download; see ``AbstractFileSystem.get``."""
    callback = Callback.as_callback(callback)
    rpath, lpath = path_texts(rpath), path_texts(lpath)
    ignore, prepared = on_error == "ignore", None
    chain = with_those_behind(fs)
    theirs = writes_in_place(chain)
    making = fs.async_impl and chain[-1].async_impl and not getattr(fs, "_makes_local_folders", False)
    noted = cache_asks.get()
    making = making and (theirs or noted is None)
    beside_each = theirs and not kwargs
    if isinstance(rpath, list) and isinstance(lpath, list):
        pairs = paired(rpath, [_local_path(p) + ("/" if trailing_sep(p) else "") for p in lpath])
    else:
        sources = yield from _sources(fs, rpath, recursive, maxdepth, kwargs, batch_size)
        if not sources:
            if noted is not None:
                noted.append(rpath)
            return None
        if isinstance(lpath, str):
            pairs, prepared = yield local(_download_pairs, rpath, sources, lpath, making, beside_each)
        else:
            pairs = paired(sources, _targets(rpath, sources, [_local_path(p) for p in lpath], False))
    transfers = Downloads("get_file", pairs, callback, kwargs)
    late = not (making or theirs or replaced(chain[-1], "get_file"))
    transfers.making, transfers.late = making, late
    transfers.prepared, transfers.beside_each = prepared, beside_each
    answers = yield from transfers.run(fs, batch_size, return_exceptions=ignore)
    raise_first(a for a in answers if not (ignore and isinstance(a, FileNotFoundError)))
    return answers


def _local_path(path: str) -> str:
    """An absolute local path with forward slashes."""
    if path.startswith(("file://", "local://")):
        path = path.partition("://")[2]
    absolute = os.path.abspath(os.path.expanduser(path))
    return absolute.replace(os.sep, "/") if os.sep != "/" else absolute


def put(
    fs: Filesystem,
    lpath: StrPaths,
    rpath: StrPaths,
    recursive: bool,
    callback: Progress,
    maxdepth: Depth,
    kwargs: Options,
    batch_size: int | None = None,
) -> Plan:
    """Upload; see ``AbstractFileSystem.put``."""
    # the local filesystem is in a later layer, so it is found by its name
    from fsspec.registry import get_filesystem_class

    callback = Callback.as_callback(callback)
    # a path object, unlike text, counts as a list of one: it goes into ``rpath``
    local_side, rpath = path_texts(lpath), path_texts(rpath)
    lpath = [local_side] if isinstance(local_side, str) and not isinstance(lpath, str) else local_side
    if isinstance(lpath, list) and isinstance(rpath, list):
        sources, targets = lpath, rpath
        folders = yield local(_folders_among, sources)
    else:
        given: str | list[str] = lpath
        if isinstance(lpath, str):
            given = _local_path(lpath) + ("/" if trailing_sep(lpath) and lpath.strip("/") != "" else "")
        here = get_filesystem_class("file")()
        sources, folders = yield local(_local_sources, here, given, recursive, maxdepth)
        if not sources:
            return None
        remote: str | list[str]
        if isinstance(rpath, str):
            into = yield from _is_target_folder(fs, rpath)
            remote = fs._strip_protocol(rpath)
        else:
            into, remote = False, [fs._strip_protocol(p) for p in rpath]
        targets = _targets(given, sources, remote, into)
    pairs = paired(sources, targets)
    if fs.async_impl:
        calls = [call("makedirs", b, exist_ok=True) for a, b in pairs if a in folders]
        yield from together(calls, len(calls), batch_size=batch_size)
        pairs = [pair for pair in pairs if pair[0] not in folders]
    return (yield from Transfers("put_file", pairs, callback, kwargs).run(fs, batch_size))


def _local_sources(
    here: AbstractFileSystem, given: str | list[str], recursive: bool, maxdepth: Depth
) -> tuple[list[str], set[str]]:
    """The local paths to upload, and which of them are folders."""
    sources = here.expand_path(given, recursive=recursive, maxdepth=maxdepth)
    folders = _folders_among(sources)
    if isinstance(given, str) and (not recursive or maxdepth is not None):
        sources = [p for p in sources if not (trailing_sep(p) or p in folders)]
    return sources, folders


def _folders_among(paths: list[str]) -> set[str]:
    return {path for path in paths if os.path.isdir(path)}
