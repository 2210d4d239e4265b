"""Drawing a tree of folders as text (``fs.tree``).

One listing for each folder that is drawn, and with sizes one more for each folder at
the lowest level; those of one level are one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fsspec._plans import PlanOf, batch, call

if TYPE_CHECKING:
    from fsspec._paths.types import Entry, Filesystem


_UNITS = ("kb", "Mb", "Gb", "Tb", "Pb")


def tree(
    fs: Filesystem,
    path: str,
    recursion_limit: int,
    max_display: int | None,
    display_size: bool,
    prefix: str,
    is_last: bool,
    first: bool,
    indent_size: int,
) -> PlanOf[str]:
    """The drawing of a folder; see ``AbstractFileSystem.tree``."""
    listings: dict[str, list[Entry]] = {}
    lowest = max(recursion_limit, 1) if recursion_limit else 0
    level = [path] if lowest else []
    depth = 0
    while level:
        found = yield batch(call("ls", folder, detail=True) for folder in level)
        below: list[str] = []
        for folder, entries in zip(level, found):
            listings[folder] = entries = sorted(entries, key=lambda e: (not _is_folder(e), e.get("name", "")))
            below += [e["name"] for e in entries[:max_display] if _is_folder(e)]
        depth += 1
        if depth > lowest or (depth == lowest and not display_size):
            break  # of the folders below the lowest level only the numbers are shown
        level = below

    def lines(folder: str, depth: int, start: str) -> Iterator[str]:
        entries = listings[folder]
        shown = entries[:max_display]
        hidden = len(entries) - len(shown)
        for position, entry in enumerate(shown, 1):
            last = position == len(shown) and not hidden
            measure = _size_label(entry, listings) if display_size else ""
            name = entry["name"].rpartition("/")[2]
            yield start + _branch(last, indent_size) + name + measure
            if _is_folder(entry) and depth < lowest:
                trunk = (" " if last else "│") + " " * (indent_size - 1)
                yield from lines(entry["name"], depth + 1, start + trunk)
        if hidden:
            yield f"{start}{_branch(True, indent_size)}{hidden} more item(s) not displayed."

    drawn = [path] if first and path else []
    if lowest:
        drawn += lines(path, 1, prefix)
    return "\n".join(drawn)


def _is_folder(entry: Entry) -> bool:
    return entry.get("type") == "directory"


def _branch(last: bool, columns: int) -> str:
    return ("└" if last else "├") + "─" * (columns - 2) + " "


def _size_label(entry: Entry, listings: dict[str, list[Entry]]) -> str:
    if entry.get("type") == "file":
        return f" ({_format_size(entry.get('size'))})"
    if not _is_folder(entry):
        return ""
    inside = listings[entry["name"]]
    folders = sum(map(_is_folder, inside))
    counts = [(len(inside) - folders, "file"), (folders, "subfolder")]
    words = [f"{n} {what}" + ("s" if n > 1 else "") for n, what in counts if n]
    return f" ({', '.join(words) or 'empty folder'})"


def _format_size(size: int | None) -> str:
    if size is None:
        return "unknown size"
    for power, unit in reversed(list(enumerate(_UNITS, 1))):
        if size >= 0.9 * 1024**power:
            return f"{size / 1024**power:.2f} {unit}"
    return f"{size}B"
