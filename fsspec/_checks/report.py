"""What commands take and return, and what `fsspec.forkcheck` prints: a verdict, a table and what to do."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fsspec import _version
from fsspec._checks.advice import NOT_TRIED
from fsspec._fork import hooks

if TYPE_CHECKING:
    from fsspec._paths.types import T


WIDTH = 80
"""Columns of what is printed."""
MODES = {
    "opted in": "FSSPEC_FORK_RESET=1 is set, so what was opened before the fork has to work in the child",
    "by hand": "it is not set; the child calls fsspec.asyn.reset_after_fork() first, and then it has to work",
    "neither": "it is not set and nothing is called: what needs a connection has to say so, by ForkError;"
    " what a cache holds is read",
}
"""The modes in which a handle is tried."""


def here() -> str:
    """What a program gets that is started as this one was, and whether a variable or a file decides it."""
    if not hooks.opted_in():
        return (
            "FSSPEC_FORK_RESET=1 is not set: what is opened before a fork raises ForkError in children,"
            " unless they first call fsspec.asyn.reset_after_fork()"
        )
    by_variable = "FSSPEC_FORK_RESET" in os.environ
    source = "FSSPEC_FORK_RESET=1 is set" if by_variable else "fsspec's configuration opts in"
    return f"{source}: what is opened before a fork works in children"


@dataclass
class Finding:
    """What came of one try.

    Attributes
    ----------
    handle
        what crossed the fork: "instance", "open file", "mapping", "nothing" if the
        child makes an instance of its own, "file being written".
    child
        what the child did with it.
    mode
        "opted in", "by hand" or "neither".
    safe
        whether child and parent were as they should be.
    note
        what happened, in a few words.
    advice
        what to do if it is not safe; empty if it was not tried.
    """

    handle: str
    child: str
    mode: str
    safe: bool
    note: str
    advice: str = ""

    @property
    def failed(self) -> bool:
        """Whether it was tried, and something was not as it should be."""
        return not self.safe and not self.note.startswith(NOT_TRIED)


def backend(cls: type) -> str:
    """The class and the version of the package that it is from."""
    top = cls.__module__.partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", None)
    name = f"{cls.__module__}.{cls.__qualname__}"
    return name if top == "fsspec" or not version else f"{name} ({top} {version})"


def versions() -> str:
    """This package's, Python's and the platform."""
    return f"fsspec {_version.__version__}, Python {platform.python_version()}, {platform.system()}"


def _rows(findings: list[Finding]) -> Iterator[tuple[str, str, str, str]]:
    """The rows of the table: one for each try that failed, and one for the safe ones of a handle and mode."""
    for f in findings:
        if f.failed:
            yield f.handle, f.mode, f.child, f"NOT SAFE: {f.note}"
    for handle, mode in dict.fromkeys((f.handle, f.mode) for f in findings):
        of_both = [f for f in findings if (f.handle, f.mode) == (handle, mode)]
        fine = [f for f in of_both if f.safe]
        if fine:
            refused = sum("refused" in f.note for f in fine)
            notes = f"safe, refused in {refused} of them" if refused else "safe"
            yield handle, mode, _child_column(fine), "safe, refused" if refused == len(fine) == 1 else notes
        left_out = [f for f in of_both if not f.safe and not f.failed]
        if left_out:
            yield handle, mode, _child_column(left_out), left_out[0].note


def _child_column(findings: list[Finding]) -> str:
    return findings[0].child if len(findings) == 1 else f"{len(findings)} acts"


def printable(text: str) -> str:
    """A text, which may be a server's, with escapes for what would do something to a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def paragraph(text: str, first: str = "", rest: str = "") -> str:
    """A text in lines of `WIDTH` at most, after ``first`` and, from the second line on, ``rest``."""
    return textwrap.fill(
        printable(text), WIDTH, initial_indent=first, subsequent_indent=rest or first, break_on_hyphens=False
    )


def report(url: str, cls: type, findings: list[Finding], note: str = "", tried: str = "") -> str:
    """The verdict, the file that was ``tried``, a note, the table, what to do; lines of `WIDTH` at most."""
    bad = [f for f in findings if f.failed]
    verdict = (
        f"NOT SAFE, {len(bad)} of {len(findings)} tries failed" if bad else f"SAFE, {len(findings)} tries"
    )
    left_out = sum(not f.safe for f in findings) - len(bad)
    if left_out:
        hung = sum("hung" in f.note or "hangs" in f.note for f in bad)
        verdict += f" ({hung} hung, {left_out} not tried)"
    lines = [
        paragraph(f"{verdict}: {url}", rest="    "),
        *([paragraph(tried, "tried     ", "          ")] if tried else []),
        paragraph(backend(cls), "backend   ", "          "),
        paragraph(versions(), "versions  ", "          "),
        paragraph(here(), "here      ", "          "),
        *([paragraph(note, "note      ", "          ")] if note else []),
        "",
        "Each try ran in three modes, whatever is set here:",
        *(paragraph(text, f"  {mode:<8}  ", " " * 12) for mode, text in MODES.items()),
        "",
    ]
    head = ("what crosses", "mode", "the child", "result")
    rows = [head, *_rows(findings)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    indent = sum(widths) + 2 * len(widths)
    for number, row in enumerate(rows):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  "
        lines.append(paragraph(row[3], cells, " " * indent))
        if number == 0:
            lines.append("  ".join("-" * width for width in [*widths, WIDTH - indent]))
    if bad:
        lines += ["", "What to do"]
    for advice in dict.fromkeys(f.advice for f in bad):
        made = {"nothing": "instance that the child makes"}
        where = ", ".join(dict.fromkeys(made.get(f.handle, f.handle) for f in bad if f.advice == advice))
        lines.append(paragraph(f"{where}: {advice}", "* ", "  "))
    return "\n".join(lines)


def json_options(text: str) -> dict[str, Any]:
    """Options of a filesystem as a command is given them; `ValueError` if they are not a JSON object."""
    try:
        found, why = json.loads(text), ""
    except json.JSONDecodeError as error:
        found, why = None, f": {error}"
    if not isinstance(found, dict):
        raise ValueError(f"a JSON object is needed, such as '{{\"anon\": true}}'{why}")
    return found


def argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """``parse`` with its ValueErrors as `argparse` shows them."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def with_notes(error: BaseException, text: str) -> str:
    """``text`` about an exception, and the exception's notes, which say what to do."""
    return "\n".join([text, *getattr(error, "__notes__", ())])


GONE = 141
"""The exit code of a command whose output is no longer read: in a shell, that of SIGPIPE."""


def run_command(main: Callable[[], int]) -> int:
    """Run a command, and return its exit code; it ends in silence if ``| head`` reads no more."""
    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # what is left in them is written at the end
            os.dup2(nowhere, stream.fileno())
        return GONE
