"""Paths as text: their common beginning, where copies of them go, patterns, names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any


def stringify_path(filepath: Any) -> Any:
    """A path-like object as text; anything else as it is.

    Objects with ``__fspath__`` count, and else those with an attribute ``path``, such as
    open files.
    """
    if isinstance(filepath, str):
        return filepath
    if hasattr(filepath, "__fspath__"):
        return filepath.__fspath__()
    return getattr(filepath, "path", filepath)


def trailing_sep(path: str) -> bool:
    """Whether a path ends in a slash: what it names is meant to be a folder."""
    return path.endswith("/")


def common_prefix(paths: Sequence[str]) -> str:
    """The longest run of whole components that all the paths begin with."""
    if len(paths) == 1:
        return paths[0]
    # only the two that differ most matter, and order by components finds them
    split = [path.split("/") for path in paths]
    low, high = min(split), max(split)
    count = 0
    for a, b in zip(low, high):
        if a != b:
            break
        count += 1
    return "/".join(low[:count])


def other_paths(
    paths: Sequence[str], path2: str | list[str], exists: bool = False, flatten: bool = False
) -> list[str]:
    """Where each of several paths goes when they are copied to ``path2``.

    Parameters
    ----------
    paths
        the sources.
    path2
        the target, or one target for each source.
    exists
        the target is a folder already, so that the sources' own folder goes into it.
    flatten
        all go directly into the target, under their last component.
    """
    if not isinstance(path2, str):
        assert len(paths) == len(path2), f"{len(paths)} sources for {len(path2)} targets"
        return path2
    target = path2.rstrip("/")
    if flatten:
        return [f"{target}/{path.rsplit('/', 1)[-1]}" for path in paths]
    prefix = common_prefix(paths)
    if exists:
        prefix = prefix.rpartition("/")[0]
    cut = len(prefix)
    out = []
    for path in paths:
        rest = path[cut:].lstrip("/")
        out.append(f"{target}/{rest}" if rest else target)
    return out


def check_contained(root: str, paths: Sequence[str]) -> None:
    """Refuse paths that lead out of a folder.

    Raises
    ------
    ValueError
        naming the first of ``paths`` that does.
    """
    inside = posixpath.normpath(root) if root else "."
    start = inside.rstrip("/") + "/"
    for path in paths:
        plain = posixpath.normpath(path)
        if inside == ".":
            bad = plain.startswith(("/", "../")) or plain == ".."
        else:
            bad = plain != inside and not plain.startswith(start)
        if bad:
            raise ValueError(f"the path {path!r} leads out of {root!r}")


def build_name_function(max_int: float) -> Callable[[int], str]:
    """A function that writes numbers with as many digits as ``max_int`` has."""
    width = len(str(int(max_int)))
    return lambda number: str(number).zfill(width)


# patterns --------------------------------------------------------------------------
def _one_of(content: str) -> str:
    """A regular expression for the inside of square brackets, never matching a slash."""
    negated = content.startswith("!")
    chars = content[1:] if negated else content
    parts = []
    at = 0
    while at < len(chars):
        if at + 2 < len(chars) and chars[at + 1] == "-":
            low, high = chars[at], chars[at + 2]
            if low <= high:
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
            at += 3
        else:
            parts.append(re.escape(chars[at]))
            at += 1
    inner = "".join(part.replace("&&", r"\&\&") for part in parts)
    if not inner:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{inner}]"


def _component(text: str, pattern: str) -> str:
    out = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "*":
            if text.startswith("**", at):
                raise ValueError(f"'**' stands for whole folders and cannot be a part of a name: {pattern!r}")
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            # a bracket closes at the first "]" that is not the first of its characters
            close = text.find("]", at + (3 if text[at + 1 : at + 2] == "!" else 2))
            if close > 0:
                out.append(_one_of(text[at + 1 : close]))
                at = close
            else:
                out.append(r"\[")
        else:
            out.append(re.escape(char))
        at += 1
    return "".join(out)


@lru_cache(maxsize=256)
def glob_translate(pat: str) -> str:
    r"""A regular expression, anchored at both ends, for a glob pattern.

    ``*`` matches within one component (a component that is ``*`` alone at least one
    character), ``?`` one character, ``[..]`` and ``[!..]`` one of a set, ``**`` any number of
    components, including none where something follows.

    Raises
    ------
    ValueError
        ``**`` is not a component of its own.
    """
    components = pat.split("/")
    last = len(components) - 1
    out = []
    for position, text in enumerate(components):
        if text == "**":
            if position == last:
                out.append(".*")
            else:
                out.append("(?:.+/)?")
            continue
        out.append("[^/]+" if text == "*" else _component(text, pat))
        if position < last:
            out.append("/")
    return rf"(?s:{''.join(out)})\Z"
