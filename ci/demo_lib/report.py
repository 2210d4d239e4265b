"""What a person sees: lines with a mark, a progress bar on a terminal, a table at the end.

Colours and the bar only where the output is a terminal (and ``NO_COLOR`` is not set, for the
colours); elsewhere the same lines, plain.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence

GREEN, RED, DIM, BOLD = "32", "31", "2", "1"


class Report:
    """Writes to standard output, keeping the bar on the last line."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # lines are drawn where the encoding has them
        self.tty = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.colours = self.tty and "NO_COLOR" not in os.environ
        self._bar_shown = False

    def paint(self, text: str, *codes: str) -> str:
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.colours else text

    def _clear(self) -> None:
        if self._bar_shown:
            print("\r\033[K", end="")
            self._bar_shown = False

    def line(self, text: str = "") -> None:
        self._clear()
        print(text, flush=True)

    def head(self, text: str) -> None:
        self.line()
        self.line(self.paint(text, BOLD))

    def result(self, good: bool, text: str) -> None:
        """One sentence, marked as well or wrong."""
        if self.tty:
            mark = self.paint("✓", GREEN) if good else self.paint("✗", RED)
        else:
            mark = "ok   " if good else "WRONG"
        self.line(f"  {mark} {text}")

    def details(self, text: str) -> None:
        """What belongs to the result above, line by line and set off."""
        for line in text.rstrip().splitlines():
            self.line(self.paint(f"      {line}", DIM))

    def bar(self, share: float, text: str) -> None:
        """Show progress on the last line; nothing where it could not be overwritten."""
        if not self.tty:
            return
        columns = shutil.get_terminal_size().columns
        width = max(10, min(40, columns - len(text) - 14))
        full = round(max(0.0, min(1.0, share)) * width)
        drawn = self.paint("━" * full, GREEN) + self.paint("─" * (width - full), DIM)
        print(f"\r\033[K  {drawn} {share:4.0%} {text[: max(0, columns - width - 10)]}", end="", flush=True)
        self._bar_shown = True

    def table(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as wide as need be; the first to the left, numbers to the right."""
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]

        def row(cells: Sequence[str]) -> str:
            first, *others = (
                cell.ljust(width) if number < 2 else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            return "  " + "  ".join([first, *others]).rstrip()

        self.line(self.paint(row(names), BOLD))
        self.line(self.paint("  " + "  ".join("─" * width for width in widths), DIM))
        for cells in rows:
            self.line(row(cells))
