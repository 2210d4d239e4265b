"""Finding the paths that match a pattern.

A pattern is read as *steps*, one a level of the tree: a literal name, a pattern for one
name, or ``**`` for any number of levels.  A *state* is the set of steps that may come next
at some folder, so that only folders below which some match can lie are listed, and the
listings of a level are one batch.  Steps that are literal from the start are the root,
which is not searched.  Patterns and states hold nothing of a filesystem and are kept.

A backend with a ``find`` of its own (one flat listing, say) is asked through that, for
everything below the root to the depth that the pattern can reach, and what it finds is
matched by the same steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

from fsspec._files.lacking import no_entry, no_listing
from fsspec._overriding import overridden, replaced_without
from fsspec._paths.paths import url_text
from fsspec._paths.patterns import translate_name
from fsspec._plans import Plan, batch, call
from fsspec._plans.listing import (
    ask,
    check_depth,
    entries_of,
    listings,
    options_of_ls,
    unless_absent,
)

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Entry, Filesystem, Options, StrPath


_WILD = re.compile(r"[*?\[]")


def has_magic(path: str) -> bool:
    """Whether a path is a pattern."""
    return _WILD.search(path) is not None


def literal_root(pattern: str) -> str:
    """What a pattern begins with, up to and with the slash before the first wildcard."""
    wild = _WILD.search(pattern)
    return pattern if wild is None else pattern[: pattern.rfind("/", 0, wild.start()) + 1]


def escape(path: str) -> str:
    """A pattern that matches nothing but the path."""
    return _WILD.sub(r"[\g<0>]", path)


class State:
    """The position of a folder in a pattern: the set of steps that may come next.

    ``steps``: their indices; the index after the last step means that the folder itself matches.
    ``ends``: whether the folder matches.
    ``deeper``: whether anything below it can match.
    """

    __slots__ = ("_tests", "advance", "deeper", "ends", "steps")

    def __init__(self, pattern: Pattern, steps: frozenset[int]) -> None:
        self.steps = steps
        self.ends = pattern.end in steps
        self.deeper = any(step < pattern.end for step in steps)
        self.advance: Callable[[tuple[int, ...]], Answer] = cache(partial(pattern.advance, self))
        self._tests = [(step, test) for step in steps if step < pattern.end and (test := pattern.tests[step])]

    def after(self) -> Callable[[str], Answer]:
        """A function from a name to its state, whether a folder of that name matches, and whether a file
        does."""
        if not self._tests:
            always = self.advance(())
            return lambda name: always
        if len(self._tests) == 1:
            ((step, only),) = self._tests
            hit, miss = self.advance((step,)), self.advance(())
            return lambda name: hit if only(name) else miss
        return self._by_tests

    def _by_tests(self, name: str) -> Answer:
        return self.advance(tuple([step for step, test in self._tests if test(name)]))


Answer = tuple[State, bool, bool]


class Pattern:
    """A pattern as a root and steps below it.

    ``root``: the literal beginning, up to and with the slash before the first wildcard.
    ``prefix``: what the first name below the root begins with.
    ``tests``: for each level below, what a name has to pass; None for ``**``.
    ``start``: the state of the root.
    """

    def __init__(self, text: str, only_folders: bool) -> None:
        wild = _WILD.search(text)
        assert wild is not None, text
        self.root = literal_root(text)
        self.prefix = text[len(self.root) : wild.start()]
        self.only_folders = only_folders
        self.tests: list[Callable[[str], Any] | None] = []
        for name in text[len(self.root) :].split("/"):
            if name == "**":
                self.tests.append(None)
            elif "**" in name:
                raise ValueError(f"invalid pattern {text!r}: '**' has to be a whole name between slashes")
            else:
                self.tests.append(re.compile(translate_name(name)).match if has_magic(name) else name.__eq__)
        self.end = len(self.tests)
        self._states: dict[frozenset[int], State] = {}
        self.start = self._state({0})

    def depth(self, maxdepth: Depth) -> int | None:
        """How many levels below the root a match may lie; None for any."""
        if None not in self.tests:
            return self.end
        return None if maxdepth is None else self.tests.index(None) + maxdepth

    def _state(self, steps: set[int]) -> State:
        for step in sorted(steps):  # ``**`` may match no level
            while step < self.end and self.tests[step] is None and step + 1 not in steps:
                step += 1
                steps.add(step)
        frozen = frozenset(steps)
        if frozen not in self._states:
            self._states[frozen] = State(self, frozen)
        return self._states[frozen]

    def advance(self, above: State, passed: Iterable[int]) -> Answer:
        """The result for a name in a folder of state ``above`` that passes the tests of the steps
        ``passed``."""
        stay = (step for step in above.steps if step < self.end and self.tests[step] is None)
        state = self._state({*stay, *(step + 1 for step in passed)})
        # a final ``**`` that matches no level matches the folder, never a file
        of_file = self.tests[-1] is not None or self.end - 1 in above.steps
        return state, state.ends, state.ends and of_file and not self.only_folders


_compiled = lru_cache(256)(Pattern)
_OF_ROOT = "isdir", "info", "_parent"
"""What a program may have its own form of, besides listings."""


def glob(
    fs: Filesystem, path: StrPath, maxdepth: Depth, detail: bool = False, withdirs: bool = True, **kwargs: Any
) -> Plan:
    """The paths that match; see ``AbstractFileSystem.glob``."""
    check_depth(maxdepth)
    text = url_text(path)
    only_folders = text.endswith("/")
    text = fs._strip_protocol(text)
    if not has_magic(text):
        options, _ = options_of_ls(kwargs)
        (exists,) = yield from ask(fs, "exists", [text], **options)
        found = {text: (yield call("info", text, **options)) if detail else None} if exists else {}
    else:
        pattern = _compiled(text.rstrip("/"), only_folders)  # there are those that keep it
        if overridden(fs, "find") or overridden(fs, "walk"):
            found = yield from _by_find(fs, pattern, maxdepth, withdirs, kwargs)
        else:
            at_root = _narrowed(fs, pattern, kwargs)
            found = yield from by_steps(fs, pattern, maxdepth, withdirs, kwargs, at_root)
    names = sorted(found)
    return {name: found[name] for name in names} if detail else names


def _narrowed(fs: Filesystem, pattern: Pattern, kwargs: Options) -> dict[str, Any]:
    """The options for listing the root; ``prefix`` lets object stores list fewer names."""
    return {"prefix": pattern.prefix, **kwargs} if fs.async_impl and pattern.prefix else kwargs


def _by_find(fs: Filesystem, pattern: Pattern, maxdepth: Depth, withdirs: bool, kwargs: Options) -> Plan:
    options = _narrowed(fs, pattern, kwargs)
    depth = pattern.depth(maxdepth)
    found = yield call("find", pattern.root, maxdepth=depth, withdirs=withdirs, detail=True, **options)
    top = pattern.root.rstrip("/")
    skip = len(pattern.root)
    matching: dict[str, Entry] = {}
    states = {"": pattern.start}  # by folder relative to the root

    def state_of(folder: str) -> State:
        state = states.get(folder)
        if state is None:
            above, _, name = folder.rpartition("/")
            state = states[folder] = state_of(above).after()(name)[0]
        return state

    current, after = "", pattern.start.after()
    for name, entry in found.items():
        plain = name.rstrip("/")
        is_folder = entry.get("type") == "directory"
        if plain.startswith(pattern.root):
            folder, _, last = plain[skip:].rpartition("/")
            if folder != current:
                current, after = folder, state_of(folder).after()
            _, of_folder, of_file = after(last)
            if of_folder if is_folder else of_file:
                matching[name] = entry
        elif plain == top and is_folder and pattern.start.ends:
            matching[name] = entry
    return matching


def by_steps(
    fs: Filesystem, pattern: Pattern, maxdepth: Depth, withdirs: bool, kwargs: Options, at_root: Options
) -> Plan:
    kwargs, on_error = options_of_ls(kwargs)
    at_root, _ = options_of_ls(at_root)
    root = fs._strip_protocol(pattern.root)
    matching: dict[str, Entry] = {}
    # the folders of a level with the beginning of the names in them, and their state
    level: list[tuple[str, str, State]] = [(root, pattern.root, pattern.start)]
    deepest = pattern.depth(maxdepth)
    depth = 0
    root_may_match = pattern.start.ends and withdirs and root != ""
    if withdirs and root and any(replaced_without(fs, name, "ls", "find", "walk") for name in _OF_ROOT):
        root_is_folder = yield call("isdir", root)  # as of the folder that `find` begins with
        root_may_match = root_may_match and (root_is_folder or not replaced_without(fs, "isdir", "info"))
    extra = [call("info", root)] if root_may_match else []
    while level and (deepest is None or depth < deepest):
        options = kwargs if depth else at_root
        folders = [folder for folder, _, _ in level]
        if not extra:
            answers = yield from listings(folders, options)
        else:
            calls = [call("ls", folder, detail=True, **options) for folder in folders]
            answers = yield batch(calls + extra, return_exceptions=True)
            extra = []
            top = unless_absent(answers.pop())
            try:
                if top is not None and top["type"] == "directory":
                    matching[root] = top
            except (KeyError, TypeError) as error:
                raise no_entry(fs, error) from error
        below: list[tuple[str, str, State]] = []
        for (_, beginning, through), answer in zip(level, answers):
            skip = len(beginning)
            after = through.after()
            entries = entries_of(answer, on_error)
            try:
                for entry in entries:
                    name = entry["name"]
                    plain = name.rstrip("/")
                    if len(plain) <= skip or not plain.startswith(beginning):
                        continue  # the folder itself, or a file asked for as a folder
                    state, of_folder, of_file = after(plain[skip:])
                    if entry["type"] != "directory":
                        if of_file:
                            matching[name] = entry
                        continue
                    if of_folder and withdirs:
                        matching[name] = entry
                    if state.deeper:
                        below.append((plain, plain + "/", state))
            except (KeyError, TypeError) as error:
                raise no_listing(fs, error) from error
        level = below
        depth += 1
    return matching
