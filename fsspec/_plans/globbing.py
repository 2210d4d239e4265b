"""Finding the paths that match a pattern.

A pattern is read as *steps*, one a level of the tree: a literal name, a pattern for one
name, or ``**`` for any number of levels.  A *state* is a set of steps that may come next,
so that a folder is listed only if some match can lie below it, and a level's listings
are one batch.  Steps that are literal from the start are the root, which is not searched.

A backend with a ``find`` of its own (one flat listing, say) is asked through that, for
everything below the root to the depth that the pattern can reach, and what it finds is
matched by the same steps.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fsspec._plans import Plan, batch, call
from fsspec._plans.listing import check_depth, overridden
from fsspec.utils import glob_translate, stringify_path

Entry = dict[str, Any]
State = frozenset[int]

_WILD = re.compile(r"[*?\[]")


def has_magic(path: str) -> bool:
    """Whether a path is a pattern."""
    return _WILD.search(path) is not None


class Pattern:
    """A pattern as a root and steps below it.

    Attributes
    ----------
    root
        the literal beginning, up to and with the slash before the first pattern
    steps
        for each name below: the name itself, or a compiled expression, or None for ``**``
    only_folders
        whether the pattern ends in a slash
    prefix
        what the first name below the root begins with
    """

    def __init__(self, text: str, only_folders: bool) -> None:
        wild = _WILD.search(text)
        assert wild is not None, text
        self.root = text[: text.rfind("/", 0, wild.start()) + 1]
        self.prefix = text[len(self.root):wild.start()]
        self.only_folders = only_folders
        self.steps: list[str | re.Pattern[str] | None] = []
        names = text[len(self.root):].split("/")
        for name in names:
            if name == "**":
                self.steps.append(None)
            elif "**" in name:
                raise ValueError(f"invalid pattern {text!r}: '**' has to be a whole name between slashes")
            elif has_magic(name):
                self.steps.append(re.compile(glob_translate(name)))
            else:
                self.steps.append(name)
        self.end = len(self.steps)
        self.open_ended = None in self.steps

    def depth(self, maxdepth: int | None) -> int | None:
        """How many levels below the root a match may lie; None for any."""
        if not self.open_ended:
            return self.end
        return None if maxdepth is None else self.steps.index(None) + maxdepth

    def start(self) -> State:
        """The state of the root."""
        return self._closed({0})

    def _closed(self, steps: set[int]) -> State:
        """Add what may come next where ``**`` stands for no level at all."""
        for step in sorted(steps):
            while step < self.end and self.steps[step] is None:
                step += 1
                steps.add(step)
        return frozenset(steps)

    def after(self, state: State, name: str) -> State:
        """The state below a folder in ``state``, one name further."""
        reached: set[int] = set()
        for step in state:
            if step == self.end:
                continue
            wanted = self.steps[step]
            if wanted is None:
                reached.add(step)
            elif wanted == name if isinstance(wanted, str) else wanted.match(name):
                reached.add(step + 1)
        return self._closed(reached) if reached else frozenset()

    def accepts(self, state: State, folder: bool, through: State) -> bool:
        """Whether what has come to ``state`` matches.

        A ``**`` at the end that stands for nothing matches the folder before it, but not
        a file; ``through`` is the state of the folder that the path lies in.
        """
        if self.end not in state:
            return False
        if folder:
            return True
        if self.only_folders:
            return False
        last = self.steps[-1]
        return last is not None or self.end - 1 in through

    def deeper(self, state: State) -> bool:
        """Whether anything below can match."""
        return any(step < self.end for step in state)


@lru_cache(256)
def _compiled(text: str, only_folders: bool) -> Pattern:
    return Pattern(text, only_folders)


def glob(
    fs: Any,
    path: Any,
    maxdepth: int | None = None,
    *,
    detail: bool = False,
    withdirs: bool = True,
    batch_size: int | None = None,
    **kwargs: Any,
) -> Plan:
    """The paths that match; see ``AbstractFileSystem.glob``."""
    check_depth(maxdepth)
    text = stringify_path(path)
    only_folders = text.endswith("/")
    text = fs._strip_protocol(text)
    if not has_magic(text):
        found = yield from _literal(fs, text, only_folders, detail, kwargs)
    else:
        pattern = _compiled(text, only_folders)
        if overridden(fs, "find"):
            found = yield from _by_find(fs, pattern, maxdepth, withdirs, kwargs)
        else:
            found = yield from _by_steps(fs, pattern, maxdepth, withdirs, batch_size, kwargs)
    names = sorted(found)
    return {name: found[name] for name in names} if detail else names


def _literal(fs: Any, path: str, only_folders: bool, detail: bool, kwargs: dict[str, Any]) -> Plan:
    """A pattern without wildcards matches the path itself, if it is there."""
    if not only_folders:
        if not (yield call("exists", path, **kwargs)):
            return {}
        return {path: (yield call("info", path, **kwargs)) if detail else None}
    try:
        entry = yield call("info", path, **kwargs)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {path: entry} if entry["type"] == "directory" else {}


def _by_find(fs: Any, pattern: Pattern, maxdepth: int | None, withdirs: bool, kwargs: dict[str, Any]) -> Plan:
    if fs.async_impl and pattern.prefix:
        kwargs = {"prefix": pattern.prefix, **kwargs}  # object stores narrow their listing by it
    depth = pattern.depth(maxdepth)
    found = yield call("find", pattern.root, maxdepth=depth, withdirs=withdirs, detail=True, **kwargs)
    top = pattern.root.rstrip("/")
    matching: dict[str, Entry] = {}
    states: dict[str, State] = {"": pattern.start()}  # by folder relative to the root

    def state_of(relative: str) -> State:
        state = states.get(relative)
        if state is None:
            head, _, name = relative.rpartition("/")
            state = states[relative] = pattern.after(state_of(head), name)
        return state

    for name, entry in found.items():
        plain = name.rstrip("/")
        folder = entry.get("type") == "directory"
        if plain.startswith(pattern.root):
            head, _, last = plain[len(pattern.root):].rpartition("/")
            through = state_of(head)
            state = pattern.after(through, last)
            if pattern.accepts(state, folder, through):
                matching[name] = entry
        elif plain == top and folder and pattern.end in states[""]:
            matching[name] = entry
    return matching


def _by_steps(
    fs: Any,
    pattern: Pattern,
    maxdepth: int | None,
    withdirs: bool,
    batch_size: int | None,
    kwargs: dict[str, Any],
) -> Plan:
    root = fs._strip_protocol(pattern.root)
    start = pattern.start()
    matching: dict[str, Entry] = {}
    # the folders of a level with the beginning of the names in them, and their state
    level: list[tuple[str, str, State]] = [(root, pattern.root, start)]
    deepest = pattern.depth(maxdepth)
    depth = 0
    if pattern.end in start and withdirs and root not in ("", fs.root_marker):
        extra = [call("info", root)]
    else:
        extra = []
    while level and (deepest is None or depth < deepest):
        calls = [call("ls", folder, detail=True, **kwargs) for folder, _, _ in level]
        answers = yield batch(calls + extra, return_exceptions=True, batch_size=batch_size)
        if extra:
            extra = []
            top = _unless_missing(answers.pop())
            if top is not None and top["type"] == "directory":
                matching[root] = top
        below: list[tuple[str, str, State]] = []
        for (_, beginning, through), answer in zip(level, answers):
            skip = len(beginning)
            for entry in _unless_missing(answer) or ():
                name = entry["name"]
                plain = name.rstrip("/")
                last = plain[skip:]
                if not last or not plain.startswith(beginning):
                    continue
                state = pattern.after(through, last)
                if not state:
                    continue
                folder = entry["type"] == "directory"
                if pattern.accepts(state, folder, through) and (withdirs or not folder):
                    matching[name] = entry
                if folder and pattern.deeper(state):
                    below.append((plain, plain + "/", state))
        level = below
        depth += 1
    return matching


def _unless_missing(answer: Any) -> Any:
    """A listing or entry; None for one that could not be had."""
    if isinstance(answer, OSError):
        return None
    if isinstance(answer, Exception):
        raise answer
    return answer
