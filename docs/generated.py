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
        "differences": "\n".join(_differences(docs)),
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
    for name, width in {"caches": 680, "caches-narrow": 190}.items():
        (docs / f"{name}.svg").write_text(_fetches(width), encoding="utf-8")


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
    place = module.removeprefix("fsspec/tests/")
    return f"``{'::'.join(filter(None, (place, name.partition('[')[0])))}``"


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


AREAS = {
    "Local files": r"local\b",
    "Memory": r"memory\b",
    "HTTP": r"https?\b|http_sync|cookies|tree of a URL|get\(url|an HTTP|put_file\(mode",
    "FTP, SFTP, SMB, WebHDFS": r"ftp|sftp|smb|webhdfs|fixture ftp",
    "Caches of files": r"caches?\b|simplecache|filecache|blockcache|read_block",
    "Archives": r"zip|tar\b|archives?\b|libarchive|object of an archive",
    "References and Parquet": r"references?\b|parquet",
    "Filesystems over others: dir, generic, asyncwrapper": r"dir\b|generic|asyncwrapper",
    "Other backends": r"arrow|data:|dask|gcsfs|git\b|s3\b|HDFS|GitHub|Jupyter",
    "Configuration, instances, registry and callbacks": r"set_conf_env|to_json|from_json|text (in v|for an)"
    r"|(a )?callback|register|tokenize|repr|pickling|equality and hash of inst|equal inst|DirCache"
    r"|infer_storage",
    "Mappers": r"mappers?\b|get_mapper",
    "Read caches, open files and compression": r"read caches|compress|snappy|open|info\(\) of a file|_fetch"
    r"|lines?\b|a _fetch|read|ranges|closing|modes|equality and hash of files|inherited open|transactions",
    "Copying, moving, listing and patterns": r"",
}
"""The headings of the differences, each with the beginnings of rows below it: the first that fits counts."""


def _differences(docs: Path) -> Iterable[str]:
    """A table for each area."""
    rows: dict[str, list[Sequence[str]]] = {area: [] for area in AREAS}
    for row in json.loads((docs / "differences.json").read_text(encoding="utf-8"))["rows"]:
        what = row["what"].lstrip("`")
        area = next(area for area, begin in AREAS.items() if re.match(begin, what, re.IGNORECASE))
        cells = row["what"], row["upstream"], f"{row['ours']} ({row['why']})", row["instead"]
        rows[area].append((*map(_with_code, cells), _shown(row["test"])))
    for area, found in rows.items():
        yield f"{area}\n{'-' * len(area)}\n"
        yield _table(("what", "upstream", "here", "way around", "test"), found)


_CODE = re.compile(
    r"""
    ``.+?`` | `[^`]+`                                           # marked already
    | "[^"\n]*"                                                     # in quotes
    | \b[a-z][a-z0-9+.]*://[^\s,;)]* | \bdata:[^\s)]+               # URLs
    | (?<![\w.])[\w.]+\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)        # calls
    | (?<![\w.])[A-Za-z_]\w*=(?:"[^"]*"|\[[^]]*\]|[\w.]+)?          # options
    | (?<![\w./])(?:[A-Za-z]\w*\.)*_?[A-Za-z]\w*_\w+(?:\.\w+)*      # names with an underscore
    | (?<![\w./])(?:(?:[A-Z][a-z0-9]+){2,}|[A-Z]\w+Error)\b              # names of classes
    """,
    re.VERBOSE,
)


def _with_code(text: str) -> str:
    """Plain text in a cell, in which what reads as code is marked as code."""
    parts, end = [], 0
    for found in _CODE.finditer(text):
        code = found[0].strip("`")
        before, after = text[end : found.start()], text[found.end() : found.end() + 1]
        parts.append(re.sub(r"([*_|\\])", r"\\\1", before))
        tight = "\\ " if before[-1:].isalnum() else ""
        parts.append(f"{tight}``{code}``" + ("\\ " if after.isalnum() or after in ('"', "_") else ""))
        end = found.end()
    return "".join(parts) + re.sub(r"([*_|\\])", r"\\\1", text[end:])


def _text(text: str) -> str:
    """Plain text in a cell: what reStructuredText would read as markup is escaped."""
    return re.sub(r"([*_|\\])", r"\\\1", text) if "``" not in text else text


READS = ((100, 124), (124, 140), (420, 440), (110, 120))
"""What is read in the picture of caches, in kB of a file of `LENGTH`, with blocks of `BLOCK`."""
LENGTH, BLOCK = 800, 64


_COLOURS = (
    "svg { background: #fff } text { fill: #1d2733 } .quiet { fill: #555 }"
    " rect { stroke: #fff; stroke-width: 0.5 } .asked { fill: #ddd }"
    " .fetched { fill: #2980b9; fill-opacity: 0.75 }"
    " @media (prefers-color-scheme: dark) { svg { background: #1b2126 } text { fill: #d6dbdf }"
    " .quiet { fill: #a3adb5 } rect { stroke: #1b2126 } .asked { fill: #4a555e } .fetched { fill: #5dade2 } }"
)
"""Of the picture, on light and on dark ground."""


def _fetches(width: int) -> str:
    """A picture of what each cache fetches for `READS`, made by running them; the file is ``width`` wide."""
    left, step, top = 92, 26, 44
    kinds = [k for k in ("none", "readahead", "bytes", "blockcache", "mmap", "first", "all") if k in caches]
    scale, height = width / LENGTH, top + step * len(kinds) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f"<style>{_COLOURS}</style>",
        f'<text x="{left}" y="14" class="quiet">a file of {LENGTH} kB, blocks of {BLOCK} kB</text>',
    ]
    for start, end in READS:
        parts.append(_bar(left + start * scale, 20, (end - start) * scale, step * len(kinds) + 24, "asked"))
    for number, kind in enumerate(kinds):
        fetched: list[tuple[int, int]] = []

        def fetch(start: int, end: int, fetched: list[tuple[int, int]] = fetched) -> bytes:
            fetched.append((start, end))
            return bytes(end - start)

        cache = caches[kind](BLOCK, fetch, LENGTH)
        for start, end in READS:
            cache._fetch(start, end)
        y = top + step * number
        parts.append(f'<text x="10" y="{y + 13}">{kind}</text>')
        for start, end in fetched:
            parts.append(_bar(left + start * scale, y, (end - start) * scale, 14, "fetched"))
        total = sum(end - start for start, end in fetched)
        parts.append(f'<text x="{left + width + 6}" y="{y + 13}">{len(fetched)} x, {total} kB</text>')
    return "\n".join([*parts, "</svg>", ""])


def _bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}"'
    return f'<rect {shape} class="{kind}"/>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], wide: bool = False) -> str:
    """A table; one that is ``wide`` scrolls on narrow screens instead of breaking its words."""
    lines = [".. list-table::", "   :header-rows: 1", *(["   :class: wide"] if wide else []), ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
    return "\n".join(lines) + "\n"
