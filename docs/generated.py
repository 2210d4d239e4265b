"""Tables of the documentation that are drawn from the tree, so that they cannot disagree with it.

`write` makes the files ``*.inc`` beside this one; they are not kept in the repository.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path


def write(docs: Path) -> None:
    """Make all tables; ``docs`` is this folder."""
    package = docs.parent / "fsspec"
    (docs / "layers.inc").write_text(_table(("layer", "modules", "owns"), _layers(package)), encoding="utf-8")


def _layers(package: Path) -> Iterable[Sequence[str]]:
    values = _assigned(package / "tests" / "test_layers.py")
    for layer, modules in values["LAYERS"].items():
        names = [f"``{name}``" for name in modules.split() if name != "_version"]
        yield layer, " ".join(names), values["OWNS"][layer]


def _assigned(module: Path) -> dict[str, dict[str, str]]:
    """The module's constants that are literals, without importing it."""
    found = {}
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                pass
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {cell}")
    return "\n".join(lines) + "\n"
