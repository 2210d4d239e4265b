"""Patterns for names, as regular expressions.

A pattern is read component by component.  A wildcard never matches a slash; ``**``, alone
between slashes, stands for any number of components.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import count

# what means something in a regular expression, or in a set of one in some version of it
_QUOTED = {ord(char): "\\" + char for char in "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"}


@lru_cache(maxsize=256)
def glob_translate(pat: str) -> str:
    r"""A regular expression, anchored at its end, for a glob pattern.

    Matching takes at most time proportional to the square of the length, however many wildcards
    there are.

    ========= ==============================================================
    ``*``     any characters of one component; alone in it, at least one
    ``?``     one character
    ``[ab]``  one of these; ``[a-c]`` a range, ``[!ab]`` none of these
    ``**``    any number of components, none included where one follows
    ========= ==============================================================

    Raises
    ------
    ValueError
        if ``**`` is a part of a component

    Examples
    --------
    >>> glob_translate("data/**/*.csv")
    '(?s:data/(?:.+/)?[^/]*\\.csv)\\Z'
    """
    runs: list[list[str]] = [[]]  # what stands between one ``**`` and the next
    for name in pat.split("/"):
        if name == "**":
            runs.append([])
        else:
            runs[-1].append(_component(name, pat))
    *before, last = runs
    parts = []
    for position, run in enumerate(before):
        text = "".join(name + "/" for name in run)
        if position and text.startswith("/"):  # an empty component; where it is found matters
            text = "(?:.+/)?" + text
        elif position and text:
            text = _first("(?:.+?/)??" + text)
        parts.append(text)
    if not before:
        parts.append("/".join(last))
    elif last:
        parts.append("(?:.+/)?" + "/".join(last))
    else:
        parts.append(".*")
    return rf"(?s:{''.join(parts)})\Z"


def _first(regex: str) -> str:
    """The first match of a lazy expression, and no other, even if what follows does not match then.

    The parts of a pattern between wildcards have a fixed length, in characters or in
    components: if the whole matches at all, then also with each at its first place. With all
    other places tried, a pattern of many wildcards would take exponential time.
    """
    if sys.version_info >= (3, 11):
        return f"(?>{regex})"
    name = f"_first{next(_numbers)}"
    return f"(?=(?P<{name}>{regex}))(?P={name})"


_numbers = count()


def _component(name: str, pat: str) -> str:
    if name == "*":
        return "[^/]+"
    runs = [""]  # what stands between one star and the next
    at = 0
    while at < len(name):
        char = name[at]
        at += 1
        if char == "*":
            if name.startswith("*", at):
                raise ValueError(
                    f"invalid pattern {pat!r}: '**' has to be a whole component, between slashes"
                )
            runs.append("")
        elif char == "?":
            runs[-1] += "[^/]"
        elif char == "[" and (end := _end_of_set(name, at)) > 0:
            runs[-1] += _one_of(name[at:end])
            at = end + 1
        else:
            runs[-1] += char.translate(_QUOTED)
    if len(runs) == 1:
        return runs[0]
    first, *middle, last = runs
    return first + "".join(_first("[^/]*?" + run) for run in middle) + "[^/]*" + last


def _end_of_set(name: str, start: int) -> int:
    """Where the bracket is that closes a set; -1 if there is none. The first is one of the set."""
    if name.startswith("!", start):
        start += 1
    return name.find("]", start + 1)


def _one_of(chars: str) -> str:
    negated = chars.startswith("!")
    if negated:
        chars = chars[1:]
    parts = []
    at = 0
    while at < len(chars):
        low = chars[at]
        if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars):
            high = chars[at + 2]
            if low <= high:  # a range that goes backwards holds nothing
                parts.append(f"{low.translate(_QUOTED)}-{high.translate(_QUOTED)}")
            at += 3
        else:
            parts.append(low.translate(_QUOTED))
            at += 1
    if not parts:
        return "[^/]" if negated else "(?!)"
    return f"[^/{''.join(parts)}]" if negated else f"(?!/)[{''.join(parts)}]"
