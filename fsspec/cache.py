"""``python -m fsspec.cache list|clear FOLDER``: list the copies of a cache filesystem, and remove them.

Works for the folders of ``simplecache``, ``filecache`` and ``blockcache``, while programs use
them: a copy that is open is not removed.  Files that are not copies by the table of the folder
or by their name (64 hexadecimal digits) are left alone, and listed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from typing import Any

from fsspec._checks.report import argument, printable, run_command
from fsspec._paths.paths import local_name
from fsspec.implementations._cached.folders import Folders
from fsspec.implementations._cached.limits import (
    Copy,
    copies,
    is_digest,
    parse_age,
    parse_size,
    remove_unused,
)
from fsspec.implementations.cache_metadata import CacheMetadata

__all__ = ["main"]


def _known(folder: str) -> tuple[CacheMetadata, list[tuple[Copy, dict[str, Any] | None]], list[Copy]]:
    """The table of a folder, its copies with their entries, and the files that are not copies."""
    table = CacheMetadata([folder])
    table.load()
    entries = {detail["fn"]: detail for detail in table.cached_files[-1].values()}
    found, others = [], []
    for copy in sorted(copies(folder), key=lambda copy: copy.used):
        detail = entries.get(copy.name.replace(os.sep, "/"))
        if detail is not None or is_digest(copy.name):
            found.append((copy, detail))
        else:
            others.append(copy)
    return table, found, others


def _share_kept(detail: dict[str, Any] | None, copy: Copy) -> str:
    """How much of the file a copy has, as text."""
    if detail is None or detail["blocks"] is True:
        return "whole"
    most = -(-detail["size"] // detail["blocksize"])
    kept = len(detail["blocks"])
    share = 100 * kept // most if most else 100
    return f"{share}%" if share or not kept else "<1%"


def _list(folder: str) -> None:
    _, found, others = _known(folder)
    times = Counter(detail["original"] for _, detail in found if detail is not None)
    print(f"{'bytes':>14}  {'last used':19}  {'kept':>5}  file")
    for copy, detail in found:
        used = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(copy.used))
        name = copy.name if detail is None else detail["original"]
        if times[name] > 1 and detail is not None:
            name = f"{name} ({_source_of(detail)})"
        print(f"{copy.size:14}  {used}  {_share_kept(detail, copy):>5}  {printable(name)}")
    print(f"{sum(copy.size for copy, _ in found):14}  in {_count(len(found))}")
    _name_others(others)


def _source_of(detail: dict[str, Any]) -> str:
    """What tells copies of one path apart: the beginning of the digest that `_cached.sources` notes."""
    digest, _, codec = detail.get("source", "").partition(" ")
    return f"source {digest[:8] or 'not noted'}{f', decompressed by {codec}' if codec else ''}"


def _clear(folder: str, unused: float | None, size: int | None) -> None:
    table, found, others = _known(folder)
    total, removed, open_now = sum(copy.size for copy, _ in found), 0, 0
    names = set()
    for copy, _ in found:
        old = unused is not None and time.time() - copy.used > unused
        large = size is not None and total > size
        if not (old or large or (unused is None and size is None)):
            continue
        if remove_unused(os.path.join(folder, copy.name)):
            total -= copy.size
            removed += copy.size
            names.add(copy.name.replace(os.sep, "/"))
        else:
            open_now += 1
    table.drop_names(names)
    table.save()
    folders = Folders(folder, None)
    folders.remove_older(0, parts=True)
    for name in names:
        folders.remove_if_empty(name)
    print(f"removed {_count(len(names))}, {removed} bytes; {total} bytes are left")
    if open_now:
        print(f"{open_now} were not removed: they are open, or not yours to remove")
    _name_others(others)


def _count(copies: int) -> str:
    return f"{copies} {'copy' if copies == 1 else 'copies'}"


def _name_others(others: list[Copy]) -> None:
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        print(f"{printable(others[0].name)}{more}: no copies, as far as can be told, and left alone")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; see the module.

    Returns
    -------
    int
        the exit code: 0, or 1 if there is no such folder.
    """
    about = (__doc__ or "").partition("\n\n")[0]  # -OO has none
    parser = argparse.ArgumentParser(prog="python -m fsspec.cache", description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    listed = "the copies, the one used longest ago first; those of simplecache by a hash of their URL"
    commands.add_parser("list", help=listed).add_argument("folder")
    clear = commands.add_parser("clear", help="remove copies that are not open")
    clear.add_argument("folder")
    clear.add_argument(
        "--unused", type=argument(parse_age), metavar="AGE", help="only what is unused for that long: 12h, 7d"
    )
    clear.add_argument(
        "--to",
        type=argument(parse_size),
        metavar="SIZE",
        help="the longest unused, until the folder holds no more: 10GB",
    )
    given = parser.parse_args(arguments)
    given.folder = local_name(given.folder, "FOLDER")
    if not os.path.isdir(given.folder):
        print(f"there is no folder {given.folder!r}", file=sys.stderr)
        return 1
    if given.command == "list":
        _list(given.folder)
    else:
        _clear(given.folder, given.unused, given.to)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
