"""Tables of the documentation that are drawn from the tree, so that they cannot disagree with it.

`write` makes the files ``*.inc`` beside this one; they are not kept in the repository.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fsspec.caching import caches
from fsspec.registry import known_implementations
from fsspec.tests.fork import ownership


def write(docs: Path) -> None:
    """Make all tables; ``docs`` is this folder."""
    tables = {
        "protocols": _table(("protocol", "class", "needs"), _protocols(), wide=True),
        "ownership": _table(("what", *_columns().values()), _ownership(), wide=True),
        "outcomes": _table(("outcome", "means"), ownership.OUTCOMES.items()),
        "differences": _table(("what", "upstream", "here", "a program can", "test"), _differences(docs)),
    }
    ran = _ran(docs.parent)
    for section, rows in json.loads((docs / "guarantees.json").read_text(encoding="utf-8")).items():
        head = ("promise", "tests", *(("passed",) if ran else ()))
        tables[f"promises_{section}"] = _table(head, (_promise(row, ran) for row in rows))
    tables["guards"] = _table(("what is taken out", "then these fail"), _guards(docs.parent))
    passed = sum(outcome == "passed" for outcome in ran.values())
    tables["ran"] = (
        f"Of the run before this page was built: {passed:,} tests passed, {len(ran) - passed:,} were skipped"
        f" or failed, on Python {platform.python_version()}.\n"
        if ran
        else "This page was built without a run of the tests before it, so that none are counted.\n"
    )
    for name, text in tables.items():
        (docs / f"{name}.inc").write_text(text, encoding="utf-8")
    (docs / "caches.svg").write_text(_fetches(), encoding="utf-8")


def _protocols() -> Iterable[Sequence[str]]:
    """The registry: protocols of one class in one row."""
    rows: dict[str, tuple[list[str], str]] = {}
    for protocol, entry in known_implementations.items():
        protocols, _ = rows.setdefault(entry["class"], ([], entry.get("err", "")))
        protocols.append(f"``{protocol}``")
    for name, (protocols, advice) in rows.items():
        command, told, note = advice.partition("pip install ")[2].partition(" (")
        needs = f"``pip install {command}``{told and f' ({note}'}" if command else "nothing"
        yield " ".join(protocols), f"``{name}``", needs


def _ran(top: Path) -> dict[str, str]:
    """What came of each test in the last run of ``ci/test``, by its id; empty where there was none."""
    found: dict[str, str] = {}
    for file in sorted(top.glob(".test-results*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):
            test = f"{case.get('classname')}.{case.get('name')}"
            bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            found[test] = bad[0] if bad else "passed"
    return found


def _promise(row: dict[str, Any], ran: dict[str, str]) -> Sequence[str]:
    """A promise, its tests, and how many of them passed, with all their parameters."""
    tests = [_shown(test) for test in row["tests"]]
    starts = tuple(test.replace(".py", "").replace("/", ".").replace("::", ".") for test in row["tests"])
    mine = re.compile("(" + "|".join(map(re.escape, starts)) + r")([.\[]|$)")
    outcomes = [outcome for test, outcome in ran.items() if mine.match(test)]
    counted = f"{outcomes.count('passed'):,} of {len(outcomes):,}"
    return _text(row["promise"]), "; ".join(tests), *((counted,) if ran else ())


def _shown(test: str) -> str:
    module, _, name = test.partition("::")
    words = _text(name.partition("[")[0].replace("_", " ").removeprefix("test "))
    return f"``{Path(module).stem}`` {words}".strip()


def _guards(top: Path) -> Iterable[Sequence[str]]:
    """What ``ci/sabotage`` takes out, and the tests of which one must fail then."""
    sys.path.insert(0, str(top / "ci"))
    try:
        from sabotage_lib.guards import GUARDS
    finally:
        sys.path.remove(str(top / "ci"))
    for guard in GUARDS:
        yield _text(guard.what), "; ".join(dict.fromkeys(map(_shown, guard.tests)))


def _columns() -> dict[str, str]:
    """The events of the table of ownership; all ends of a child in one column, for they come to the same."""
    first, *others = ownership.ENDS
    for kind in ownership.KINDS:
        cells = ownership.cells(kind)
        assert all(cells[event] == cells[first] for event in others), f"the ends differ for {kind}"
    ends = ", ".join(ownership.EVENTS[event] for event in ownership.ENDS)
    columns = {event: text for event, text in ownership.EVENTS.items() if event not in others}
    return {**columns, first: ends}


def _ownership() -> Iterable[Sequence[str]]:
    """By kind: the objects of that kind, and what comes of each event in each mode."""
    for kind in ownership.KINDS:
        objects = [name for name, row in ownership.OBJECTS.items() if row[2] == kind]
        cells = ownership.cells(kind)
        each = [cells[event] for event in _columns()]
        texts = [one[0] if len(set(one)) == 1 else " / ".join(one) for one in each]
        yield "; ".join(objects), *texts


def _differences(docs: Path) -> Iterable[Sequence[str]]:
    for row in json.loads((docs / "differences.json").read_text(encoding="utf-8"))["rows"]:
        module, _, name = row["test"].partition("::")
        test = f"``{Path(module).stem}`` {name.replace('_', ' ').removeprefix('test ')}"
        yield (
            _text(row["what"]),
            _text(row["upstream"]),
            _text(f"{row['ours']} ({row['why']})"),
            _text(row["instead"]),
            _text(test),
        )


def _text(text: str) -> str:
    """Plain text in a cell: what reStructuredText would read as markup is escaped."""
    return re.sub(r"([*_|\\])", r"\\\1", text) if "``" not in text else text


READS = ((100, 124), (124, 140), (420, 440), (110, 120))
"""What is read in the picture of caches, in kB of a file of `LENGTH`, with blocks of `BLOCK`."""
LENGTH, BLOCK = 800, 64


def _fetches() -> str:
    """A picture of what each cache fetches for `READS`, made by running them."""
    left, width, step, top = 110, 680, 26, 44
    kinds = [k for k in ("none", "readahead", "bytes", "blockcache", "mmap", "first", "all") if k in caches]
    scale, height = width / LENGTH, top + step * len(kinds) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<text x="{left}" y="14" fill="#555">a file of {LENGTH} kB, blocks of {BLOCK} kB</text>',
    ]
    for start, end in READS:
        parts.append(_bar(left + start * scale, 20, (end - start) * scale, step * len(kinds) + 24, "#ddd"))
    for number, kind in enumerate(kinds):
        fetched: list[tuple[int, int]] = []

        def fetch(start: int, end: int, fetched: list[tuple[int, int]] = fetched) -> bytes:
            fetched.append((start, end))
            return bytes(end - start)

        cache = caches[kind](BLOCK, fetch, LENGTH)
        for start, end in READS:
            cache._fetch(start, end)
        y = top + step * number
        parts.append(f'<text x="0" y="{y + 13}">{kind}</text>')
        for start, end in fetched:
            parts.append(_bar(left + start * scale, y, (end - start) * scale, 14, "#2980b9"))
        total = sum(end - start for start, end in fetched)
        parts.append(f'<text x="{left + width + 6}" y="{y + 13}">{len(fetched)} x, {total} kB</text>')
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}"'
    return f'<rect {shape} fill="{colour}" fill-opacity="0.75" stroke="white" stroke-width="0.5"/>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], wide: bool = False) -> str:
    """A table; one that is ``wide`` scrolls on narrow screens instead of breaking its words."""
    lines = [".. list-table::", "   :header-rows: 1", *(["   :class: wide"] if wide else []), ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
    return "\n".join(lines) + "\n"
