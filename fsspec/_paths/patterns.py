"""Patterns for names, as regular expressions.

A pattern is read component by component.  A star or question mark never matches a slash, a set may
(``[!a]``); ``**``, alone between slashes, stands for any number of components.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import count

# what means something in a regular expression, or in a set of one in some version of it
_QUOTED = {ord(char): "\\" + char for char in "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"}


@lru_cache(maxsize=256)
def glob_translate(pat: str) -> str:
    r"""A regular expression, anchored at its end, for a glob pattern.

    Matching takes at most time proportional to the square of the length, however many wildcards
    there are; except if sets of the pattern hold the slash, see `translate_name` for names alone.

    ========= ==============================================================
    ``*``     any characters of one component; alone in it, at least one
    ``?``     one character
    ``[ab]``  one of these; ``[a-c]`` a range, ``[!ab]`` any other, the slash too
    ``**``    any number of components, none included if one follows
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
    names = [None if name == "**" else _tokens(name, pat) for name in pat.split("/")]
    across = any(
        token and token[0] in "[." and re.match(token, "/") for name in names for token in name or ()
    )
    first = _any_match if across else _first_match
    runs: list[list[str]] = [[]]  # what stands between one ``**`` and the next
    for tokens in names:
        if tokens is None:
            runs.append([])
        else:
            runs[-1].append(_component(tokens, first))
    *before, last = runs
    parts = []
    for position, run in enumerate(before):
        text = "".join(name + "/" for name in run)
        if position and text.startswith("/"):  # an empty component, whose position matters
            text = "(?:.+/)?" + text
        elif position and text:
            text = first("(?:.+?/)??" + text)
        parts.append(text)
    if not before:
        parts.append("/".join(last))
    elif last:
        parts.append("(?:.+/)?" + "/".join(last))
    else:
        parts.append(".*")
    return rf"(?s:{''.join(parts)})\Z"


def translate_name(pat: str) -> str:
    """A regular expression, anchored at its end, for names that a pattern without a slash matches. They hold
    no slash either, so that the time is bounded whatever is in its sets; see `glob_translate`."""
    return rf"(?s:{_component(_tokens(pat, pat), _first_match)})\Z"


def _first_match(regex: str) -> str:
    """An expression that takes its first match, and tries no other if what follows does not match then.

    The parts of a pattern between wildcards have a fixed length, in characters or in
    components: if the whole matches at all, then also with each at its first place. With all
    other places tried, a pattern of many wildcards would take exponential time.
    """
    if sys.version_info >= (3, 11):
        return f"(?>{regex})"
    name = f"_first{next(_numbers)}"
    return f"(?=(?P<{name}>{regex}))(?P={name})"


_numbers = count()


def _any_match(regex: str) -> str:
    """An expression that may try each of its matches, as is needed if a set holds the slash."""
    return f"(?:{regex})"


def _tokens(name: str, pat: str) -> list[str | None]:
    """Expressions for one character each; None for a star."""
    if "**" in name:
        raise ValueError(f"invalid pattern {pat!r}: '**' has to be a whole component, between slashes")
    tokens: list[str | None] = []
    at = 0
    while at < len(name):
        char = name[at]
        at += 1
        if char == "*":
            tokens.append(None)
        elif char == "?":
            tokens.append("[^/]")
        # the first bracket is one of the set
        elif char == "[" and (end := name.find("]", at + 1 + name.startswith("!", at))) > 0:
            tokens.append(_one_of(name[at:end]))
            at = end + 1
        else:
            tokens.append(char.translate(_QUOTED))
    return tokens


def _component(tokens: list[str | None], first: Callable[[str], str]) -> str:
    if tokens == [None]:
        return "[^/]+"
    runs = [""]  # what stands between one star and the next
    for token in tokens:
        if token is None:
            runs.append("")
        else:
            runs[-1] += token
    if len(runs) == 1:
        return runs[0]
    start, *middle, last = runs
    return start + "".join(first("[^/]*?" + run) for run in middle) + "[^/]*" + last


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
        return "." if negated else "(?!)"
    return f"[{'^' * negated}{''.join(parts)}]"
