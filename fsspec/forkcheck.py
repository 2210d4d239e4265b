"""Is a backend safe to use in forked processes?  ``python -m fsspec.forkcheck URL``

Opens URL as a program would, forks, and looks at both sides: whether an inherited
instance, open file and mapping work in the child, and whether the parent's still do
after a child used its copies, dropped them, closed them, was killed or only ended, and
while both read at the same time.  Nothing is written to the place that URL names unless
``--write`` asks for it.

The exit code is 0 when all is safe, 1 when something is not, 2 when URL could not be
checked to begin with.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from fsspec import asyn, core
from fsspec._fork import hooks
from fsspec._fork.child import by_fork
from fsspec.mapping import FSMap

PATIENCE = 5.0  # seconds for the parent to answer after a child
CHILD_PATIENCE = 10.0  # seconds for what a child does
SAMPLE = 65536  # bytes read of a file
TOGETHER = 10  # reads of a child while the parent reads too
HANGS = 2  # after so many the verdict is clear, and the rest would take minutes
MODES = {
    "opted in": "FSSPEC_FORK_RESET=1 is set",
    "by hand": "it is not, and the child calls fsspec.asyn.reset_after_fork()",
    "neither": "an inherited handle that connects must refuse with a clear error",
}


@dataclass
class Finding:
    """What came of one try.

    Attributes
    ----------
    handle
        what crossed the fork: "instance", "open file", "mapping", "nothing" where the
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
        self.url, self.options = url, options
        self.fs, self.path = self.open_url()
        entry = self.fs.info(self.path)
        if entry["type"] == "directory":
            names = [e["name"] for e in self.fs.ls(self.path, detail=True) if e["type"] == "file"]
            if not names:
                raise FileNotFoundError("there is no file directly in this folder: give the URL of a file")
            self.path = names[0]
        self.wanted = self.fs.cat_file(self.path, start=0, end=SAMPLE)
        self.folder, _, self.name = self.path.rpartition("/")

    def open_url(self) -> tuple[Any, str]:
        """A new instance, and the path of the URL in it."""
        return core.url_to_fs(self.url, skip_instance_cache=True, **self.options)

    def renew(self) -> None:
        """Have an instance that nothing has harmed."""
        self.fs = self.open_url()[0]

    def cat(self, fs: Any) -> bytes:
        return fs.cat_file(self.path, start=0, end=SAMPLE)

    def readers(self) -> dict[str, tuple[Callable[[], Any], Callable[[Any], bytes]]]:
        """By name: how the handle is made, and how it is read."""
        made: dict[str, tuple[Callable[[], Any], Callable[[Any], bytes]]] = {
            "instance": (lambda: self.fs, self.cat),
            "open file": (lambda: self.fs.open(self.path, "rb"), _from_start),
        }
        if self.folder and self.name:
            made["mapping"] = (lambda: FSMap(self.folder, self.fs), lambda m: m[self.name][:SAMPLE])
        return made

    def anew(self, handle: Any) -> bytes:
        """Read through a new instance."""
        return self.cat(self.open_url()[0])


class _Written:
    """A small file being written beside the one that URL names."""

    def __init__(self, subject: _Subject) -> None:
        self.fs = subject.fs
        self.path = f"{subject.folder}/.fsspec-forkcheck-{os.getpid()}-{id(self):x}"
        self.file: Any = self.fs.open(self.path, "wb")
        self.file.write(b"first")
        self.before = self.seen()

    def seen(self) -> bytes:
        """What others see of the file: mostly nothing until it is closed."""
        self.fs.invalidate_cache()
        try:
            return self.fs.cat_file(self.path)
        except FileNotFoundError:
            return b""

    def finish(self, handle: Any = None) -> bytes:
        """What became of the file after the parent has ended it, or that of the child."""
        try:
            seen = self.seen()
            self.file.write(b" second")
            self.file.close()
            return self.seen() if seen == self.before else b"not the parent's: " + seen
        finally:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path)


def _from_start(f: Any) -> bytes:
    f.seek(0)
    return f.read(SAMPLE)


def _answers(read: Callable[[Any], bytes], box: list[Any], wanted: bytes) -> str:
    """Why the parent's handle, alone in the box, is harmed; empty where it is not."""
    outcome: list[str] = []

    def run() -> None:
        try:
            outcome.append("" if read(box[0]) == wanted else "the parent reads other bytes")
        except Exception as error:  # whatever a third-party backend raises is the finding
            outcome.append(f"the parent's next read: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return outcome[0] if outcome else "the parent's next read hangs"


# what a child does -----------------------------------------------------------------
Act = Callable[[list[Any]], Any]


def _refusable(act: Act, mode: str) -> Act:
    """In a child that nothing allowed to use it, a clear refusal is as good as the deed."""

    def tried(box: list[Any]) -> Any:
        if mode == "by hand":
            asyn.reset_after_fork()
        try:
            return act(box)
        except RuntimeError as error:
            if mode == "neither" and "fork-safe" in str(error):
                return "refused"
            raise

    return tried


def _reading(read: Callable[[Any], bytes], wanted: bytes, times: int = 1) -> Act:
    def act(box: list[Any]) -> Any:
        for _ in range(times):
            if read(box[0]) != wanted:
                return "the child reads other bytes"
        return None

    return act


def _nothing(box: list[Any]) -> None:
    pass


def _dropping(subject: _Subject) -> Act:
    def act(box: list[Any]) -> None:
        box.clear()
        subject.fs = None
        gc.collect()

    return act


def _closed(box: list[Any]) -> None:
    close = getattr(box[0], "close", None)
    if close is not None:
        close()


def _killed(box: list[Any]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _written_to(box: list[Any]) -> None:
    try:
        box[0].write(b"by the child")
        box[0].flush()
    except RuntimeError as error:
        if "fork" not in str(error):
            raise
    box[0].close()  # not refused: then what matters is what the parent finds


def _advice(note: str) -> str:
    if "file being written" in note:
        return "close files that are being written before the program forks, and open them in the child"
    if "parent" in note:
        return (
            "child and parent share a connection: make the instance in the child, or start workers by"
            " spawn; authors of the backend set _fork_sensitive, see the fork guide"
        )
    if "hung" in note or "not tried" in note:
        return "make the instance in the child (skip_instance_cache=True), and report this to the backend"
    return "what failed in the child is the backend's: see the fork guide, for authors of backends"


def _in_time(act: Act, box: list[Any]) -> Any:
    """In the child: one that hangs shows its stacks and ends."""
    faulthandler.dump_traceback_later(CHILD_PATIENCE, exit=True, file=2)
    said = act(box)
    faulthandler.cancel_dump_traceback_later()
    return said


# trying ----------------------------------------------------------------------------
@dataclass
class _Try:
    """One row of the table, still to be tried."""

    handle: str
    child: str
    mode: str
    make: Callable[[], Any]
    read: Callable[[Any], bytes]
    act: Act
    wanted: bytes
    together: bool = False
    killed: bool = False

    def run(self) -> Finding:
        box = [self.make()]  # nothing else refers to the handle: the child can drop it
        over = threading.Event()
        meanwhile: list[str] = []

        def read_on() -> None:
            while not over.is_set() and not any(meanwhile):
                meanwhile.append(_answers(self.read, box, self.wanted))

        thread = threading.Thread(target=read_on, daemon=True)
        if self.together:
            thread.start()
        report = by_fork(lambda: _in_time(self.act, box))
        if report.code == 1 and "Timeout (" in report.stderr:
            report.code = None  # it hung, and said where
        over.set()
        if self.together:
            thread.join(PATIENCE + 1)
        refused = report.code == 0 and report.said == "refused"
        if refused:
            report.said = "done"
        problem = report.problem(killed=self.killed).strip()
        harm = next(filter(None, meanwhile), "") or _answers(self.read, box, self.wanted)
        if not problem and not harm:
            return self.found(True, "refused with a clear error, as it should be" if refused else "fine")
        lines = [f"child: {_last_line(problem)}"] if problem else []
        note = "; ".join([*lines, *filter(None, [harm])])
        return self.found(False, note)

    def found(self, safe: bool, note: str) -> Finding:
        about = f"{self.handle}: {note}"
        return Finding(self.handle, self.child, self.mode, safe, note, "" if safe else _advice(about))


def _last_line(problem: str) -> str:
    """What a traceback comes down to."""
    lines = [line for line in problem.splitlines() if line.strip()]
    if len(lines) > 1 and "Traceback" in lines[0]:
        return f"{lines[0].partition(': ')[0]}, {lines[-1].strip()}"
    return lines[0]


def _tries(subject: _Subject, write: bool) -> Iterator[_Try]:
    wanted = subject.wanted
    for mode in MODES:
        for name, (make, read) in subject.readers().items():
            rows: dict[str, Act] = {"uses it": _refusable(_reading(read, wanted), mode)}
            if mode != "by hand":
                rows |= {"ends": _nothing, "drops it": _dropping(subject)}
                rows["closes it"] = _refusable(_closed, mode)
            for child, act in rows.items():
                yield _Try(name, child, mode, make, read, act, wanted)
            if mode == "opted in":
                both = _reading(read, wanted, TOGETHER)
                yield _Try(name, "uses it as the parent does", mode, make, read, both, wanted, together=True)
                yield _Try(name, "is killed", mode, make, read, _killed, wanted, killed=True)
        new = _refusable(_reading(subject.anew, wanted), mode)
        yield _Try("nothing", "makes an instance", mode, lambda: subject.fs, subject.cat, new, wanted)
        if write and subject.folder:
            for child, act in {
                "writes to it": _written_to,
                "drops it": _dropping(subject),
                "closes it": _closed,
                "ends": _nothing,
            }.items():
                yield _writing_try(subject, child, mode, act)


def _writing_try(subject: _Subject, child: str, mode: str, act: Act) -> _Try:
    written: list[_Written] = []

    def make() -> Any:
        written.append(_Written(subject))
        return written[0].file

    def act_on_it(box: list[Any]) -> Any:
        del written[:]  # the box has the only reference
        return act(box)

    return _Try(
        "file being written", child, mode, make, lambda f: written[0].finish(f), act_on_it, b"first second"
    )


def check(
    url: str,
    storage_options: dict[str, Any] | None = None,
    *,
    write: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Finding]:
    """Try everything on ``url``.

    Parameters
    ----------
    url
        a file, or a folder with a file directly in it.
    storage_options
        as for `fsspec.open`.
    write
        also write small files beside it, which are removed again.
    progress
        called with what is tried next.
    """
    progress("reading the URL")
    subject = _Subject(url, storage_options or {})
    if write:
        _Written(subject).finish()  # whether that is possible at all
    findings: list[Finding] = []
    inherited = os.environ.get("FSSPEC_FORK_RESET")
    hangs = 0
    try:
        for tried in _tries(subject, write):
            os.environ["FSSPEC_FORK_RESET"] = "1" if tried.mode == "opted in" else "0"
            if hangs >= HANGS:
                findings.append(tried.found(False, f"not tried: {HANGS} hung before"))
                continue
            progress(f"{len(findings) + 1}: {tried.handle}, the child {tried.child}, {tried.mode}")
            findings.append(tried.run())
            hangs += "hung" in findings[-1].note or "hangs" in findings[-1].note
            if not findings[-1].safe:
                subject.renew()
    finally:
        progress("")
        if inherited is None:
            del os.environ["FSSPEC_FORK_RESET"]
        else:
            os.environ["FSSPEC_FORK_RESET"] = inherited
    return findings


# telling ---------------------------------------------------------------------------
_SHOWN = re.compile(r"https?://[^@?]*")


def _hide(text: str, options: Any) -> str:
    """``text`` without what the options hold, addresses apart, and without passwords in URLs."""
    text = re.sub(r"(://[^/@\s:]*):[^/@\s]*@", r"\1:***@", text)
    if isinstance(options, dict):
        options = list(options.values())
    if isinstance(options, (list, tuple)):
        for value in options:
            text = _hide(text, value)
    elif isinstance(options, str) and options and not _SHOWN.fullmatch(options):
        text = re.sub(
            rf"(?<!\w){re.escape(options)}(?!\w)" if len(options) < 6 else re.escape(options), "***", text
        )
    return text


def _table(findings: list[Finding]) -> str:
    rows = [("what crosses", "the child", "mode", "", "")]
    rows += [(f.handle, f.child, f.mode, "safe" if f.safe else "NOT SAFE", f.note) for f in findings]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths)), row[4]]).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    lines += ["", *(f"{mode}: {text}" for mode, text in MODES.items()), ""]
    bad = [f for f in findings if not f.safe]
    lines.append(f"{len(findings)} tried, " + (f"{len(bad)} not safe. What to do:" if bad else "all safe"))
    for advice in dict.fromkeys(f.advice for f in bad):
        where = ", ".join(dict.fromkeys(f.handle for f in bad if f.advice == advice))
        lines.append(f"  -> {where}: {advice}")
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the words themselves: they may be pieces of a secret."""
        super().error(message.partition("unrecognized arguments")[0] or "too many arguments; quote the JSON")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m fsspec.forkcheck",
        description="Check whether what a URL opens can be used in forked processes.",
        epilog="Exit code 0: all is safe; 1: something is not; 2: it could not be checked.",
    )
    parser.add_argument("url", help="a file, or a folder with a file directly in it")
    parser.add_argument("--storage-options", default="{}", metavar="JSON", help="options of the filesystem")
    parser.add_argument(
        "--write",
        action="store_true",
        help="also write small files beside it, and remove them (otherwise it only reads)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser.parse_args(argv)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"no permission: {error}"
    if isinstance(error, FileNotFoundError):
        return f"not found: {error}"
    if isinstance(error, ImportError):
        return f"a package is missing: {error}"
    return f"{type(error).__name__}: {error}"


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = _parse(argv)
    url = _hide(args.url, None)
    if not hasattr(os, "fork"):
        print(
            "this platform has no fork: there is nothing to check, and nothing to be afraid of",
            file=sys.stderr,
        )
        return 2
    try:
        options = json.loads(args.storage_options)
        if not isinstance(options, dict):
            raise ValueError("a JSON object is needed, such as '{\"anon\": true}'")
    except ValueError as error:
        print(f"--storage-options: {error}", file=sys.stderr)
        return 2
    try:
        findings = check(args.url, options, write=args.write, progress=_progress)
    except Exception as error:  # client libraries raise what they like, and the user is to read it
        print(f"{url}: {_hide(_why(error), options)}", file=sys.stderr)
        return 2
    for finding in findings:
        if not finding.safe:  # else the words are ours
            finding.note = _hide(finding.note, options)
    safe = all(f.safe for f in findings)
    if args.json:
        print(json.dumps({"url": url, "safe": safe, "findings": [asdict(f) for f in findings]}, indent=1))
    else:
        print(_table(findings))
    return 0 if safe else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if hooks.generation == 0:
        os._exit(code)  # a backend that was harmed may not let the interpreter end
