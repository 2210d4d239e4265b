"""Expanding lists of paths and patterns: what they match, what is below, which brackets are not patterns.

All patterns given are asked for in one batch, and what is below their matches and the
folders given in a second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsspec._overriding import overridden
from fsspec._paths.paths import path_texts
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans import Plan, PlanOf, call
from fsspec._plans.bulk import raise_first
from fsspec._plans.globbing import has_magic
from fsspec._plans.listing import ask, check_depth, find_call, together

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Filesystem, StrPaths


def _stripped(fs: Filesystem, path: StrPaths) -> list[str]:
    given = path_texts(path)
    return [fs._strip_protocol(p) for p in ([given] if isinstance(given, str) else given)]


def without_patterns(fs: Filesystem, path: StrPaths, assume_literal: bool) -> list[str] | None:
    """The expanded paths, if none is a pattern and no request is needed; else None."""
    paths = _stripped(fs, path)
    if assume_literal or not any(map(has_magic, paths)):
        return sorted(set(paths))
    return None


def expand_path(
    fs: Filesystem,
    path: StrPaths,
    recursive: bool = False,
    maxdepth: Depth = None,
    assume_literal: bool = False,
    **kwargs: Any,
) -> PlanOf[list[str]]:
    """What paths and patterns stand for; see ``AbstractFileSystem.expand_path``."""
    check_depth(maxdepth)
    path = path_texts(path)
    paths = _stripped(fs, path)
    patterns = [] if assume_literal else [p for p in paths if has_magic(p)]
    if paths and not (patterns or recursive):
        return sorted(set(paths))
    matches: list[Any] = []
    if patterns:
        # entries tell files from folders without further requests
        details = {} if overridden(fs, "glob") else {"detail": True}
        calls = [call("glob", p, maxdepth=maxdepth, **{**details, **kwargs}) for p in patterns]
        answers = yield from together(calls, len(calls), return_exceptions=True)
        names = yield from _existing_names(fs, patterns, answers)
        matches = [found for p, found in zip(patterns, answers) if p not in names]
        raise_first(matches)
        patterns = [p for p in patterns if p not in names]
    literal = [p for p in paths if p not in patterns]
    out: set[str] = set().union(*matches)
    if recursive:
        options = {"maxdepth": maxdepth, "withdirs": True, **kwargs}
        calls = [find_call(fs, p, options) for p in literal]
        if maxdepth is None or maxdepth > 1:
            for pattern, found in zip(patterns, matches):
                if not found:  # nothing can be below a path that does not exist
                    raise FileNotFoundError(redact_url(pattern))
            folders = _folders(matches, covered=maxdepth is None)
            below = {**options, "maxdepth": None if maxdepth is None else maxdepth - 1}
            calls += [find_call(fs, p, below) for p in folders]
        out.update(*(yield from together(calls, len(calls))))
    left = [p for p in dict.fromkeys(literal) if p not in out]
    if left and recursive:
        there = yield from ask(fs, "exists", left)
        left = [p for p, exists in zip(left, there) if exists]
    out.update(left)
    if not out:
        raise FileNotFoundError(redact_paths(path))
    return sorted(out)


def _existing_names(fs: Filesystem, patterns: list[str], answers: list[Any]) -> Plan:
    """The patterns that are names: with brackets, and something of that name exists. Checked after globbing,
    so that cached listings can answer; over HTTP, if it takes a request, only for patterns without a
    match."""
    perhaps = [
        p
        for p, found in zip(patterns, answers)
        if "[" in p and "*" not in p and not (found and p.startswith(("http://", "https://")))
    ]
    there = (yield from ask(fs, "exists", perhaps)) if perhaps else []
    return {p for p, exists in zip(perhaps, there) if exists}


def _folders(matches: list[Any], covered: bool) -> list[str]:
    """The matches that may be folders. ``covered``: leave out folders below others, whose trees contain them;
    not below links, which are not followed, nor below matches without an entry, which may be links."""
    plain: dict[str, bool] = {}
    for found in matches:
        if isinstance(found, dict):
            for path, entry in found.items():
                if entry.get("type") != "file":
                    plain[path] = entry.get("type") == "directory" and not entry.get("islink")
        else:
            plain.update(dict.fromkeys(found, False))
    chosen: list[str] = []
    above: list[str] = []
    for path in sorted(plain, key=lambda p: p.rstrip("/") + "/"):
        while above and not path.startswith(above[-1].rstrip("/") + "/"):
            above.pop()
        if not (covered and above and plain[path]):
            chosen.append(path)
            above.append(path)
    return chosen
