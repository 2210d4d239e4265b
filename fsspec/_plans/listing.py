"""Walking, finding and measuring trees.

Each folder is listed once, with ``ls(path, detail=True)``.  `find` lists a whole level of the
tree in one batch; `walk` lists in one batch the subfolders that its caller has not removed, and
some more ahead of their turn.  On blocking filesystems `walk` lists one folder at a time: more
would be no faster, and wasted if the caller stops.

A listing may contain the folder itself, and the listing of a file is its own entry; names of
folders may end in a slash.  Entries keep their names.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from fsspec._error_notes import advise
from fsspec._files.lacking import no_entry, no_listing
from fsspec._overriding import measured_by_info, overridden, replaced, replaced_without, supported
from fsspec._plans import Plan, PlanOf, batch, call, emit, forward
from fsspec.exceptions import AccessRefusedError

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Entry, Filesystem, Options, StrPaths, T


def find_call(fs: Filesystem, path: str, options: Mapping[str, Any]) -> call:
    """A call of `find` with the options that a backend's own `find` takes; ``maxdepth`` is always passed."""
    limit = () if options.get("maxdepth") else ("maxdepth",)
    return call("find", path, **supported(fs, "find", options, ("withdirs", "detail", *limit)))


def expand_call(
    fs: Filesystem, path: StrPaths, recursive: bool, maxdepth: Depth, options: Mapping[str, Any] = {}
) -> call:
    """A call of `expand_path`, without ``maxdepth`` if the backend's takes none and none is set."""
    options = {"maxdepth": maxdepth, **options}
    if maxdepth is None:
        options = supported(fs, "expand_path", options, ("maxdepth",))
    return call("expand_path", path, recursive=recursive, **options)


def split(path: str, entries: Iterable[Entry]) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Split a listing of ``path`` into folders and other entries, by name. An entry of the path itself is in
    the second dict under ``""``."""
    folders: dict[str, Entry] = {}
    others: dict[str, Entry] = {}
    for entry in entries:
        full = entry["name"].rstrip("/")
        if full == path:
            others[""] = entry
        elif entry["type"] == "directory":
            folders[full.rpartition("/")[2]] = entry
        else:
            others[full.rpartition("/")[2]] = entry
    return folders, others


def check_depth(maxdepth: Depth) -> None:
    if maxdepth is not None and maxdepth < 1:
        raise ValueError(f"maxdepth must be at least 1, or None for all levels; not {maxdepth}")


# what exists ---------------------------------------------------------------------
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}


def is_absent(error: Exception) -> bool:
    """Whether an error means that nothing exists at a path, or that reading it is not permitted.

    Other errors do not: if they counted as an empty folder, a program that mirrors the tree
    would delete files.
    """
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return True
    if isinstance(error, PermissionError):
        return not isinstance(error, AccessRefusedError)
    return isinstance(error, OSError) and error.errno in _ABSENT


def unless_absent(answer: T | Exception) -> T | None:
    """A listing or entry; None for an error that `is_absent`. Raises Exception: any other error."""
    if not isinstance(answer, Exception):
        return answer
    if not is_absent(answer):
        raise answer
    return None


OMIT_ABSENT = "".join(("o", "mit"))
"""The default of ``on_error``: equal to a caller's ``"omit"``, by which a folder is omitted whatever is the
matter with it, but another object."""


def entries_of(listing: object, on_error: str | Callable[[OSError], Any] = OMIT_ABSENT) -> Any:
    """The entries of a listing; none for an error that ``on_error`` does not raise."""
    if not isinstance(listing, Exception):
        return listing
    if callable(on_error) and isinstance(listing, OSError):
        on_error(listing)
    elif on_error == "omit" and on_error is not OMIT_ABSENT and isinstance(listing, OSError):
        pass
    elif on_error == "raise" or not is_absent(listing):
        raise listing
    return ()


def options_of_ls(kwargs: Options) -> tuple[dict[str, Any], Any]:
    """The options of `find` and `glob` that their listings take, and their ``on_error``; both are handed to
    a backend's own `walk` as they are."""
    options = {name: value for name, value in kwargs.items() if name != "topdown"}
    return options, options.pop("on_error", OMIT_ABSENT)


def together(
    calls: Iterable[call],
    count: int,
    *,
    return_exceptions: bool = False,
    batch_size: int | None = None,
    nofiles: bool = True,
    done: Callable[[int, Any], None] | None = None,
) -> PlanOf[list[Any]]:
    """The results of ``count`` calls, by a `batch`; a single call is yielded by itself, which is cheaper."""
    if count > 1 or (batch_size is not None and batch_size < 1):
        found: list[Any] = yield batch(
            iter(calls),
            return_exceptions=return_exceptions,
            batch_size=batch_size,
            nofiles=nofiles,
            done=done,
        )
        return found
    answers, answer = [], None
    for only in calls:
        try:
            answer = yield only
        except Exception as error:  # reported in its place, as was asked for
            advise(error, only.name, only.args)
            if not return_exceptions:
                raise
            answer = error
        answers.append(answer)
        if done is not None:
            done(0, answer)
    try:
        return answers
    finally:
        del answers, answer  # the traceback of the error refers to this frame


_TESTS: dict[str, Callable[[Entry], bool]] = {
    "exists": lambda entry: True,
    "isdir": lambda entry: entry["type"] == "directory",
    "isfile": lambda entry: entry["type"] == "file",
}


def ask(
    fs: Filesystem, test: str, paths: Sequence[str], batch_size: int | None = None, **kwargs: Any
) -> PlanOf[list[bool]]:
    """The result of ``exists``, ``isdir`` or ``isfile`` for each path. Errors that leave it open are raised;
    the methods of the base class return False for them."""
    if overridden(fs, test):
        tests = (call(test, path, **kwargs) for path in paths)
        return (yield from together(tests, len(paths), batch_size=batch_size))
    calls = (call("info", path, **kwargs) for path in paths)
    entries = yield from together(calls, len(paths), return_exceptions=True, batch_size=batch_size)
    holds = _TESTS[test]
    if test == "exists" and fs.async_impl:
        for answer in entries:  # when awaited, a refusal does not mean that nothing exists
            if isinstance(answer, PermissionError):
                raise answer
    return [(entry := unless_absent(answer)) is not None and holds(entry) for answer in entries]


# walk -----------------------------------------------------------------------------
class _Visit(NamedTuple):
    """A folder that a walk has still to visit."""

    path: str
    depth: int
    listing: Any = None  # entries, or the error in their place; None while not asked for
    item: Any = None  # bottom-up: the item to emit after everything below it


def listings(folders: list[str], kwargs: Options) -> PlanOf[list[Any]]:
    calls = (call("ls", folder, detail=True, **kwargs) for folder in folders)
    return together(calls, len(folders), return_exceptions=True)


def walk(
    fs: Filesystem,
    path: str,
    maxdepth: Depth = None,
    topdown: bool = True,
    on_error: str | Callable[[OSError], Any] = OMIT_ABSENT,
    *,
    detail: bool = False,
    **kwargs: Any,
) -> Plan:
    """Emit ``(folder, folders in it, files in it)``; see ``AbstractFileSystem.walk``."""
    check_depth(maxdepth)
    path = fs._strip_protocol(path)

    # A backend's own walk is asked for each folder: it may leave out some. Not if walks are awaited:
    # one after the other they would lose the listings under way at the same time.
    recursive = overridden(fs, "walk") and not fs.async_impl
    reported = {} if on_error is OMIT_ABSENT else {"on_error": on_error}
    own = {"topdown": topdown, "detail": detail, **reported, **kwargs}
    if recursive:
        own = supported(fs, "walk", own, (("topdown",) if topdown else ()) + (() if detail else ("detail",)))
    visits = [_Visit(path, 1)]  # the next one last
    ahead: dict[str, Any] = {}  # listings that were asked for before their turn
    emitted = 0
    pruned = False
    while visits:
        folder, depth, listing, item = visits.pop()
        if item is not None:
            yield emit(item)
            continue
        if listing is None and depth > 1 and recursive:
            yield forward(call("walk", folder, maxdepth=maxdepth and maxdepth - depth + 1, **own))
            continue
        if listing is None:
            try:  # as `together`, without its generators
                listing = yield call("ls", folder, detail=True, **kwargs)
            except Exception as error:  # raised, or left out, as on_error says
                advise(error, "ls", [folder])
                listing = error
        if isinstance(listing, Exception):
            entries_of(listing, on_error)
            if not fs.async_impl:
                continue
            listing = []  # awaitable: upstream gives a folder that cannot be listed as an empty one
        try:
            folders, others = split(folder, listing)
        except (KeyError, TypeError) as error:
            raise no_listing(fs, error) from error
        below = {name: entry["name"].rstrip("/") for name, entry in folders.items()}
        item = (folder, folders, others) if detail else (folder, list(folders), list(others))
        if topdown:
            yield emit(item)
            emitted += 1
            # the caller may have changed which folders are to be looked at
            pruned = pruned or len(item[1]) < len(below)
            below = {name: below.get(name, f"{folder}/{name}") for name in item[1]}
        else:
            visits.append(_Visit(folder, depth, item=item))
        if not below or depth == maxdepth:
            continue
        wanted = list(below.values())
        if fs.async_impl and not ahead.keys() >= set(wanted):
            # one round trip for all of these, and for some that come later. What a caller
            # might still leave out is asked for only while it never did, and never for
            # more folders than it has seen.
            asked = [p for p in wanted if p not in ahead]
            limit = (0 if pruned else emitted) if topdown else None
            known = [(v.path, v.depth, v.listing) for v in reversed(visits) if v.listing is not None]
            known[:0] = [(p, depth + 1, ahead[p]) for p in wanted if p in ahead]
            asked += islice(_coming(known, ahead, maxdepth), limit)
            ahead.update(zip(asked, (yield from listings(asked, kwargs))))
        visits += [_Visit(p, depth + 1, ahead.pop(p, None)) for p in reversed(wanted)]


def _coming(known: Iterable[tuple[str, int, Any]], ahead: dict[str, Any], maxdepth: Depth) -> Iterator[str]:
    """The folders below known ones that are not asked for yet, in the order of a walk."""
    for path, depth, listing in known:
        if not isinstance(listing, list) or depth == maxdepth:
            continue
        for entry in listing:
            if entry["type"] == "directory" and (below := entry["name"].rstrip("/")) != path:
                if below in ahead:
                    yield from _coming([(below, depth + 1, ahead[below])], ahead, maxdepth)
                else:
                    yield below


# find -----------------------------------------------------------------------------
def find(
    fs: Filesystem, path: str, maxdepth: Depth, withdirs: bool, detail: bool = False, **kwargs: Any
) -> Plan:
    """Everything below a path; see ``AbstractFileSystem.find``."""
    check_depth(maxdepth)
    path = fs._strip_protocol(path)
    found: dict[str, Any] = {}  # an entry, or {} of a file alone
    ask_top = withdirs and bool(path)
    gone = there = False  # what is known of a path without anything below it

    if overridden(fs, "walk"):
        for _, folders, others in (yield call("walk", path, maxdepth=maxdepth, detail=True, **kwargs)):
            wanted = (folders, others) if withdirs else (others,)
            found.update((entry["name"], entry) for named in wanted for entry in named.values())
    else:
        options, on_error = options_of_ls(kwargs)
        level = [path]
        depth = 0
        while level and (maxdepth is None or depth < maxdepth):
            answers = yield from listings(level, options)
            below: list[str] = []
            for folder, listing in zip(level, answers):
                entries = entries_of(listing, on_error)
                if not entries and not depth and getattr(fs, "_fsspec_lists_files", False):
                    known = not any(replaced(fs, name) for name in ("ls", "info", "isfile"))
                    gone = known and isinstance(listing, FileNotFoundError)
                    there = known and listing == [] and getattr(fs, "_fsspec_files_list_nothing", False)
                if isinstance(listing, Exception) and not depth:
                    ask_top = False  # there is no folder; perhaps a file
                try:
                    for entry in entries:
                        name = entry["name"]
                        if entry["type"] == "directory" and (plain := name.rstrip("/")) != folder:
                            below.append(plain)
                            if not withdirs:
                                continue
                        found[name] = entry
                except (KeyError, TypeError) as error:
                    raise no_listing(fs, error) from error
            level = below
            depth += 1
    if there:
        found[path], ask_top = {}, False
    if ask_top and replaced_without(fs, "isdir", "info"):
        ask_top = yield call("isdir", path)
    if ask_top:  # after its listing, in which many backends remember it: then it costs no request
        (top,) = yield from together([call("info", path)], 1, return_exceptions=True)
        entry = unless_absent(top)
        # a path with others below it is a folder, even if its entry says "file" (a web page is both)
        if entry is not None:
            try:
                others = found.keys() - {path, entry.get("name")}  # "/file" may be listed as "file"
                if entry["type"] == "directory" or others:
                    found[path] = entry
                elif not found:
                    found[path] = {}
            except (AttributeError, KeyError, TypeError) as error:
                raise no_entry(fs, error) from error
    elif not found and not gone:  # perhaps a file whose listing is empty, as in some backends
        (is_file,) = yield from ask(fs, "isfile", [path])
        if is_file:
            found[path] = {}
    names = sorted(found)
    return {name: found[name] for name in names} if detail else names


def du(
    fs: Filesystem, path: str, total: bool, maxdepth: Depth, withdirs: bool = False, **kwargs: Any
) -> Plan:
    """The bytes of what `find` finds; see ``AbstractFileSystem.du``."""
    options = {"maxdepth": maxdepth, "withdirs": withdirs, "detail": True, **kwargs}
    found = yield find_call(fs, path, options)
    if not isinstance(found, dict):  # a backend whose find knows no details
        found = {name: {} for name in found}
    top = fs._strip_protocol(path)
    if withdirs and top not in found and not fs.async_impl and (yield call("isdir", top)):
        found = {top: (yield call("info", top)), **found}  # a root without a name, which find leaves out
    unknown = [name for name, entry in found.items() if entry.get("size") is None]
    if measured_by_info(fs):
        unknown += [name for name, entry in found.items() if entry.get("size") is not None]
    if unknown:
        calls = (call("info", name) for name in unknown)
        found.update(zip(unknown, (yield from together(calls, len(unknown)))))
    try:
        sizes = {entry.get("name", name): entry["size"] for name, entry in found.items()}
        return sum(size or 0 for size in sizes.values()) if total else sizes
    except (AttributeError, KeyError, TypeError) as error:
        raise no_entry(fs, error) from error
