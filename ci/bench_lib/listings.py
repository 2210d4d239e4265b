"""The trees that the cases work on: listings in memory, and files on disk."""

from __future__ import annotations

import functools
import os
from typing import Any

FILES_IN_FOLDER = 100
Folders = dict[str, list[dict[str, Any]]]


def uneven(latency: float, number: int) -> float:
    """The latency of one request of many: from a fifth to nine fifths, in a fixed order."""
    return latency * (0.2 + 1.6 * (number * 7 % 11) / 10)


def entry(name: str, folder: bool = False) -> dict[str, Any]:
    return {"name": name, "size": 0 if folder else 100, "type": "directory" if folder else "file"}


@functools.cache
def folders(kind: str) -> Folders:
    """Listings by folder: "flat" has only files, "deep" 110 folders, "wide" 100,000 files."""
    if kind == "flat":
        return {"": [entry("flat", True)], "flat": [entry(f"flat/{n}") for n in range(5000)]}
    if kind == "deep":
        top, middle, files = 10, 10, 20
    else:
        top, middle, files = 10, 100, 100
    found: Folders = {"": []}
    for a in range(top):
        name = f"x{a}"
        found[""].append(entry(name, True))
        found[name] = []
        for b in range(middle):
            below = f"{name}/m{b}"
            found[name].append(entry(below, True))
            found[below] = [entry(f"{below}/{'b' if n < 3 else 'other'}{n}.csv") for n in range(files)]
    return found


def make_local(folder: str, files: int) -> None:
    """A tree of ``files`` small files: ``d0/e0/f0.csv``, 100 in a folder, ten folders in one above."""
    for number in range(files // FILES_IN_FOLDER):
        below = os.path.join(folder, f"d{number // 10}", f"e{number % 10}")
        os.makedirs(below)
        for name in range(FILES_IN_FOLDER):
            with open(os.path.join(below, f"f{name}.csv"), "wb") as file:
                file.write(b"x" * 100)
