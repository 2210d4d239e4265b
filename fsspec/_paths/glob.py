"""Patterns for names, as regular expressions.

A pattern is read component by component.  A wildcard never matches a slash; ``**``, alone
between slashes, stands for any number of components.
"""

from __future__ import annotations

from functools import lru_cache

# what means something in a regular expression, or in a set of one in some version of it
_QUOTED = {ord(char): "\\" + char for char in "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"}


@lru_cache(maxsize=256)
def glob_translate(pat: str) -> str:
    r"""A regular expression, anchored at its end, for a glob pattern.

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
    *folders, last = pat.split("/")
    parts = ["(?:.+/)?" if name == "**" else _component(name, pat) + "/" for name in folders]
    parts.append(".*" if last == "**" else _component(last, pat))
    return rf"(?s:{''.join(parts)})\Z"


def _component(name: str, pat: str) -> str:
    if name == "*":
        return "[^/]+"
    parts = []
    at = 0
    while at < len(name):
        char = name[at]
        at += 1
        if char == "*":
            if name.startswith("*", at):
                raise ValueError(
                    f"invalid pattern {pat!r}: '**' has to be a whole component, between slashes"
                )
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[" and (end := _end_of_set(name, at)) > 0:
            parts.append(_one_of(name[at:end]))
            at = end + 1
        else:
            parts.append(char.translate(_QUOTED))
    return "".join(parts)


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
