"""Is a backend safe to use in forked processes?  ``python -m fsspec.forkcheck URL``

Opens URL as a program would, forks, and looks at both sides: whether an inherited
instance, open file and mapping work in the child, and whether the parent's still do
after a child used its copies, dropped them, closed them or only ended.  Nothing is
written to the place that URL names.

The exit code is 0 when all is safe, 1 when something is not, 2 when URL cannot be used
to begin with.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fsspec import _fork, asyn, core
from fsspec._forked import by_fork
from fsspec.mapping import FSMap

PATIENCE = 15.0  # seconds for the parent to answer after a child
SAMPLE = 65536  # bytes read of a file


@dataclass
class Finding:
    """What came of one try.

    Attributes
    ----------
    handle
        what crossed the fork: "instance", "open file", "mapping".
    child
        what the child did with it.
    mode
        "opted in", "by hand" or "neither".
    safe
        whether child and parent were as they should be.
    note
        what happened, in a few words.
    advice
        what to do where it is not safe.
    """

    handle: str
    child: str
    mode: str
    safe: bool
    note: str
    advice: str = ""


class _Subject:
    """A URL and the handles made of it."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.fs, self.path = core.url_to_fs(url, **options)
        entry = self.fs.info(self.path)
        if entry["type"] == "directory":
            names = [e["name"] for e in self.fs.ls(self.path, detail=True) if e["type"] == "file"]
            if not names:
                raise FileNotFoundError(f"{url}: no file directly in this folder to read from")
            self.path = names[0]
        self.wanted = self.fs.cat_file(self.path, start=0, end=SAMPLE)

    def handles(self) -> dict[str, tuple[Any, Callable[[Any], bytes]]]:
        """By name: the handle, and how it is read."""
        parent, _, name = self.path.rpartition("/")
        f = self.fs.open(self.path, "rb")
        f.read(min(10, len(self.wanted)))
        made: dict[str, tuple[Any, Callable[[Any], bytes]]] = {
            "instance": (self.fs, lambda fs: fs.cat_file(self.path, start=0, end=SAMPLE)),
            "open file": (f, _from_start),
        }
        if parent:
            made["mapping"] = (FSMap(parent, self.fs), lambda m: m[name][:SAMPLE])
        return made


def _from_start(f: Any) -> bytes:
    f.seek(0)
    return f.read(SAMPLE)


def _answers(read: Callable[[Any], bytes], handle: Any, wanted: bytes) -> str:
    """Why the parent's handle is harmed; empty where it is not."""
    outcome: list[str] = []

    def run() -> None:
        try:
            outcome.append("" if read(handle) == wanted else "the parent reads other bytes")
        except Exception as error:  # whatever a third-party backend raises is the finding
            outcome.append(f"the parent's next read: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return outcome[0] if outcome else "the parent's next read hangs"


def _used(read: Callable[[Any], bytes], wanted: bytes, mode: str) -> Callable[[list[Any]], Any]:
    def act(box: list[Any]) -> Any:
        if mode == "by hand":
            asyn.reset_after_fork()
        try:
            found = read(box[0])
        except RuntimeError as error:
            if mode == "neither" and "fork-safe" in str(error):
                return "refused"
            raise
        return None if found == wanted else "other bytes"

    return act


def _dropped(box: list[Any]) -> None:
    box.clear()
    gc.collect()


def _closed(box: list[Any]) -> None:
    close = getattr(box[0], "close", None)
    if close is not None:
        close()


def _advice(note: str) -> str:
    if "parent" in note:
        return "the backend's connections are shared: make the instance in the child, or use spawn"
    if "hung" in note:
        return (
            "make a new instance in the child with skip_instance_cache=True, and report this to the backend"
        )
    return "give the backend a reset: see the fork guide, for authors of backends"


def check(url: str, storage_options: dict[str, Any] | None = None) -> list[Finding]:
    """Try everything on ``url``.

    Parameters
    ----------
    url
        a file, or a folder with a file directly in it.
    storage_options
        as for `fsspec.open`.
    """
    subject = _Subject(url, storage_options or {})
    findings = []
    inherited = os.environ.get("FSSPEC_FORK_RESET")
    try:
        for mode in ("opted in", "by hand", "neither"):
            os.environ["FSSPEC_FORK_RESET"] = "1" if mode == "opted in" else "0"
            for name, (handle, read) in subject.handles().items():
                acts: dict[str, Callable[[list[Any]], Any]] = {"uses it": _used(read, subject.wanted, mode)}
                if mode != "by hand":
                    acts.update({"ends": lambda box: None, "drops it": _dropped, "closes it": _closed})
                for what, act in acts.items():
                    findings.append(_try(name, what, mode, [handle], act, read, subject.wanted))
    finally:
        if inherited is None:
            del os.environ["FSSPEC_FORK_RESET"]
        else:
            os.environ["FSSPEC_FORK_RESET"] = inherited
    return findings


def _try(
    name: str,
    what: str,
    mode: str,
    box: list[Any],
    act: Callable[[list[Any]], Any],
    read: Callable[[Any], bytes],
    wanted: bytes,
) -> Finding:
    handle = box[0]
    report = by_fork(lambda: act(box))
    if report.code == 0 and report.said == "refused":
        report.said, note = "done", "refused with a clear error, as it should"
    else:
        note = "fine"
    problem = report.problem().strip()
    harm = _answers(read, handle, wanted)
    if problem or harm:
        lines = [f"child: {problem.splitlines()[0]}"] if problem else []
        note = "; ".join([*lines, *filter(None, [harm])])
        return Finding(name, what, mode, False, note, _advice(note))
    return Finding(name, what, mode, True, note)


def _table(findings: list[Finding]) -> str:
    rows = [("what crosses", "the child", "mode", "", "")]
    rows += [(f.handle, f.child, f.mode, "safe" if f.safe else "NOT SAFE", f.note) for f in findings]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths)), row[4]]).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    lines += [f"  -> {advice}" for advice in dict.fromkeys(f.advice for f in findings if f.advice)]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fsspec.forkcheck",
        description="Check whether what a URL opens can be used in forked processes; nothing is written.",
    )
    parser.add_argument("url", help="a file, or a folder with a file directly in it")
    parser.add_argument("--storage-options", default="{}", metavar="JSON", help="options of the filesystem")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    args = parser.parse_args(argv)
    if not hasattr(os, "fork"):
        print("this platform has no fork: there is nothing to check")
        return 0
    try:
        options = json.loads(args.storage_options)
        if not isinstance(options, dict):
            raise ValueError("a JSON object is needed")
    except ValueError as error:
        print(f"--storage-options: {error}", file=sys.stderr)
        return 2
    try:
        findings = check(args.url, options)
    except (OSError, ValueError, ImportError, NotImplementedError) as error:
        print(f"{args.url}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    safe = all(f.safe for f in findings)
    if args.json:
        print(
            json.dumps({"url": args.url, "safe": safe, "findings": [asdict(f) for f in findings]}, indent=1)
        )
    else:
        print(_table(findings))
        bad = sum(not f.safe for f in findings)
        print(f"\n{len(findings)} tried, " + ("all safe" if safe else f"{bad} not safe"))
    return 0 if safe else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if _fork.generation == 0:
        os._exit(code)  # a backend that was harmed may not let the interpreter end
