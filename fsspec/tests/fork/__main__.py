"""Print the matrix: ``python -m fsspec.tests.fork``.

A row is what crosses the fork, the way it is made and the mode; a column what the child
does.  "ok" and "refused" (where refusing is right) are well; "HARM" is harm done to the
parent or to the server, "HANG" a child that never ends, "FAIL" one that ends badly.
"""

from __future__ import annotations

import argparse
import importlib.util
import queue
import sys
import threading
import time
from typing import Any

from fsspec._checks.report import run_command
from fsspec.tests.fork.children import ACTIONS, MODES
from fsspec.tests.fork.forking import WAYS
from fsspec.tests.fork.matrix import CROSSINGS, OK, Column, Runner, columns, serving

Outcome = dict[str, dict[str, str]]


def chosen(args: argparse.Namespace) -> list[Column]:
    """The columns that the command's options leave."""
    return [
        column
        for column in columns()
        if (not args.rows or column.subject in args.rows)
        and (not args.ways or column.way in args.ways)
        and (not args.modes or column.mode in args.modes)
    ]


def run(todo: list[Column], workers: int, progress: bool) -> dict[Column, Outcome | str]:
    """Run columns, several at a time; a text in place of an outcome says why it was skipped."""
    results: dict[Column, Outcome | str] = {}
    waiting: queue.SimpleQueue[Column] = queue.SimpleQueue()
    with serving() as places:
        for column in todo:
            reason = column.lacking()
            if reason:
                results[column] = reason
            else:
                waiting.put(column)

        def work() -> None:
            with Runner(places) as runner:
                while True:
                    try:
                        column = waiting.get_nowait()
                    except queue.Empty:
                        return
                    results[column] = outcome = runner.run(column)
                    if progress:
                        found = " ".join(each["outcome"] for each in outcome.values())
                        print(f"{len(results)}/{len(todo)} {column}: {found}", file=sys.stderr, flush=True)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results


def table(todo: list[Column], results: dict[Column, Outcome | str]) -> str:
    """The matrix as text, what crosses first."""
    order = list(CROSSINGS)
    todo = sorted(todo, key=lambda c: order.index(c.subject))
    head = ["what crosses", "how", "mode", *ACTIONS]
    rows = [head]
    last = ""
    for column in todo:
        found = results.get(column, {})
        first = column.subject if column.subject != last else ""
        last = column.subject
        if isinstance(found, str):
            rows.append([column.subject, column.way, column.mode, f"skipped: {found}"])
            continue
        cells = [found[action]["outcome"] if action in found else "" for action in ACTIONS]
        more = [f"{name}: {each['outcome']}" for name, each in found.items() if name not in ACTIONS]
        rows.append([first, column.way, column.mode, *cells, *more])
    widths = [max(len(row[i]) for row in rows if len(row) > 4 or i < 3) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, [*widths, 0, 0])).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def problems(results: dict[Column, Outcome | str]) -> list[str]:
    """Each cell that is not as it should be, with what is known of it."""
    return [
        f"{column.subject}, {column.way}, {column.mode}, {action}: {each['outcome']}\n{each['note']}"
        for column, found in results.items()
        if not isinstance(found, str)
        for action, each in found.items()
        if each["outcome"] not in OK
    ]


def main(argv: list[str] | None = None) -> int:
    """The command; its exit code is 0 where all is well, 1 where something is not."""
    parser = argparse.ArgumentParser(
        prog="python -m fsspec.tests.fork",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The tests of this folder have the special cases beside the matrix: "
        "pytest --pyargs fsspec.tests.fork",
    )

    def option(name: str, known: Any, what: str) -> None:
        parser.add_argument(name, nargs="+", choices=list(known), metavar="NAME", default=[], help=what)

    option("--rows", CROSSINGS, "what crosses: " + ", ".join(CROSSINGS))
    option("--ways", WAYS, "how it forks: " + ", ".join(WAYS))
    option("--modes", MODES, "the modes: " + ", ".join(MODES))
    parser.add_argument("--workers", type=int, default=2, help="columns to run at a time (2)")
    parser.add_argument("--progress", action="store_true", help="say on stderr how far it is")
    parser.add_argument("--notes", action="store_true", help="show all of what is known of a problem")
    args = parser.parse_args(argv)
    missing = [name for name in ("aiohttp",) if importlib.util.find_spec(name) is None]
    if missing:
        print(f"the servers need {', '.join(missing)}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    todo = chosen(args)
    results = run(todo, args.workers, args.progress)
    print(table(todo, results))
    bad = problems(results)
    for text in bad:
        print(f"\n{text if args.notes else text[:1500]}")
    tried = sum(len(found) for found in results.values() if not isinstance(found, str))
    skipped = sum(isinstance(found, str) for found in results.values())
    print(f"\n{tried} cells, {len(bad)} not well, {skipped} rows skipped, {time.monotonic() - begun:.0f} s")
    return 1 if bad or not tried else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
