"""Is a backend safe to use in forked processes?  ``python -m fsspec.forkcheck URL``

Opens URL as a program would, forks, and looks at both sides: whether an inherited
instance, open file and mapping work in the child, and whether the parent's still do
after a child used its copies, dropped them, closed them, was killed or only ended, and
while both read at the same time.  Nothing is written to the place that URL names unless
``--write`` asks for it.

One child tries several handles at a time; if that goes wrong each handle is tried with a
child of its own.  Progress goes to stderr.

The exit code is 0 when all is safe, 1 when something is not, 2 when URL could not be
checked to begin with (``--json`` then gives the reason as ``error``).
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from fsspec import asyn
from fsspec._checks import forked, report
from fsspec._checks.advice import FILE_SHARES, NOT_TRIED, SHARES, advise, located
from fsspec._checks.forked import Sockets
from fsspec._checks.report import Finding
from fsspec._checks.subject import PATIENCE, Handle, Subject, Written, from_start, is_stream, parent_problem
from fsspec._fork import hooks
from fsspec._paths.redaction import redact_values
from fsspec._public import publish
from fsspec.exceptions import ForkError

if TYPE_CHECKING:
    from fsspec._paths.types import Options, T


__all__ = ["Finding", "check", "main"]
publish(__name__, Finding)

CHILD_PATIENCE = 10.0  # seconds for what a child does
TOGETHER = 10  # reads of a child while the parent reads too


# what a child does ----------------------------------------------------------------
Act = Callable[[list[Any]], "str | None"]
"""What a child does with the handle in a box, which has the only reference to it; returns what is wrong."""


def _or_refused(act: Act, mode: str) -> Act:
    """``act`` in ``mode``: after ``reset_after_fork``, or with a clear refusal as an outcome. That is
    the outcome in each mode for a file that is read as it arrives."""

    def tried(box: list[Any]) -> str | None:
        if mode == "by hand":
            asyn.reset_after_fork()
        try:
            return act(box)
        except RuntimeError as error:
            refused = mode == "neither" and "fork-safe" in str(error)
            if refused or isinstance(error, ForkError) and is_stream(box[0]):
                return "refused"
            raise

    return tried


def _read_act(read: Callable[[Any], bytes], wanted: bytes, times: int = 1) -> Act:
    def act(box: list[Any]) -> str | None:
        for _ in range(times):
            if read(box[0]) != wanted:
                return "the child reads other bytes"
        return None

    return act


def _do_nothing(box: list[Any]) -> None:
    pass


def _drop_act(subject: Subject) -> Act:
    def act(box: list[Any]) -> None:
        box.clear()
        subject.fs = None
        gc.collect()

    return act


def _close(box: list[Any]) -> None:
    close = getattr(box[0], "close", None)
    if close is not None:
        close()


def _write(box: list[Any]) -> None:
    try:
        box[0].write(b"by the child")
        box[0].flush()
    except RuntimeError as error:
        if "fork" not in str(error):
            raise
    box[0].close()  # not refused: then what matters is what the parent finds


def _with_time_limit(act: Callable[..., T], *args: Any) -> T:
    """In the child: what ``act`` returns; if it hangs, the stacks are shown and the child ends."""
    faulthandler.dump_traceback_later(CHILD_PATIENCE, exit=True, file=2)
    result = act(*args)
    faulthandler.cancel_dump_traceback_later()
    return result


# trying ---------------------------------------------------------------------------
@dataclass
class _Trial:
    """One child, and what it does with one handle or several."""

    subject: Subject
    handles: list[Handle]
    child: str
    mode: str
    act: Callable[[Handle], Act]
    wanted: bytes
    together: bool = False
    killed: bool = False
    exits: bool = False
    """the child leaves as programs do, through the interpreter's end, which may take longer than all else"""

    def run(self, renew: bool = False) -> list[Finding]:
        """Fork; ``renew``: with an instance that no child has harmed."""
        problem = ""
        try:
            problem = self.subject.renew() if renew else ""
            gc.collect()  # files of tries before, whose connections would be the instance's
            before = self.subject.sockets()
            # nothing else refers to the handles: the child can drop them
            boxes = {handle.name: [handle.make()] for handle in self.handles if not problem}
            in_use = self.file_in_use() if "open file" in boxes and self.child == "uses it" else None
        except Exception as error:  # the first requests went well: then children have harmed it
            problem = f"the parent: {type(error).__name__}: {error}"
        if problem:
            if len(self.handles) > 1:
                return self.one_by_one()
            return [self.found(handle.name, problem) for handle in self.handles]
        sockets, of_file = forked.by_holder(in_use, before, self.subject.sockets())
        stop_reading = threading.Event()
        meanwhile: list[str] = []

        def read_on() -> None:
            while not stop_reading.is_set() and not any(meanwhile):
                meanwhile.extend(parent_problem(h.read, boxes[h.name], self.wanted) for h in self.handles)

        thread = threading.Thread(target=read_on, daemon=True)
        if self.together:
            thread.start()
        ended = forked.by_fork(lambda: _with_time_limit(self.body, boxes, sockets, of_file), exits=self.exits)
        if ended.code == 1 and "Timeout (" in ended.stderr:
            ended.code = None  # it hung, and its stacks are in stderr
        stop_reading.set()
        if self.together:
            thread.join(PATIENCE + 1)
        results = ended.result if isinstance(ended.result, dict) else {}
        if results:
            ended.result = "done"
        problem = ended.problem(killed=self.killed).strip()
        problem = located(problem, type(self.subject.fs)) or results.pop("", "")
        notes = {h.name: parent_problem(h.read, boxes[h.name], self.wanted) for h in self.handles}
        if any([problem, *meanwhile, *notes.values(), *(w for w in results.values() if w != "refused")]):
            if len(self.handles) > 1:
                return self.one_by_one()
            name = self.handles[0].name
            in_child = [f"child: {_summary(w)}" for w in (problem, results.get(name)) if w and w != "refused"]
            return [self.found(name, "; ".join([*in_child, *filter(None, [*meanwhile, notes[name]])]))]
        return [self.found(name, "", refused=name in results) for name in boxes]

    def file_in_use(self) -> object:
        """A file that was read, since some connect only then; it is not the one that crosses."""
        file = self.subject.fs.open(self.subject.path, "rb")  # the cache of the other would answer the child
        parent_problem(from_start, [file], self.wanted)
        return file

    def body(self, boxes: dict[str, list[Any]], sockets: Sockets, of_file: Sockets) -> dict[str, str]:
        """In the child: what is wrong, or "refused", by handle; under "" what is about all of them."""
        results: dict[str, str] = {}
        if self.child == "uses it":  # while the parent reads there may be one for a moment
            results[""] = forked.named_shares(SHARES, sockets)
            results["open file"] = "" if results[""] else forked.named_shares(FILE_SHARES, of_file)
        # then it is held, and not used
        if not any(results.values()) or results[""] and self.subject.declares():
            for handle in self.handles:
                result = self.act(handle)(boxes[handle.name])
                if result:
                    results[handle.name] = result
        return {name: result for name, result in results.items() if result} or {"": ""}

    def one_by_one(self) -> list[Finding]:
        """Try each handle with a child of its own, to find those that go wrong."""
        findings: list[Finding] = []
        for handle in self.handles:
            findings += replace(self, handles=[handle]).run(renew=True)
        if all(f.safe for f in findings if f.handle == "instance"):
            with suppress(Exception):  # a file that can no longer be opened, which is found above
                self.advise_on_file(findings)
        return findings

    def advise_on_file(self, findings: list[Finding]) -> None:
        """Advise to change the class of the file, if only the file goes wrong."""
        with self.subject.fs.open(self.subject.path, "rb") as f:
            file = type(f)
        if file.__module__.partition(".")[0] in ("fsspec", "io", "_io"):
            return
        for finding in findings:
            if finding.handle == "open file" and not finding.safe:
                finding.advice = advise(finding.note, type(self.subject.fs), file=file)

    def found(self, name: str, note: str, refused: bool = False) -> Finding:
        if not note:
            note = "refused with a clear error, as it should be" if refused else "fine"
            return Finding(name, self.child, self.mode, True, note)
        subject = self.subject
        advice = subject.sharing or advise(f"{name}: {note}", type(subject.fs), subject.outside)
        if SHARES in note and FILE_SHARES not in note and not subject.declares():
            subject.sharing = advice  # what a child does with that connection is no other fault
        return Finding(name, self.child, self.mode, False, note, advice)


def _summary(problem: str) -> str:
    """What a traceback comes down to."""
    lines = [line for line in problem.splitlines() if line.strip()]
    if len(lines) > 1 and "Traceback" in lines[0]:
        last = max(n for n, line in enumerate(lines) if line.startswith("  ") or not n)  # of the last frame
        return f"{lines[0].partition(': ')[0]}, {lines[min(last + 1, len(lines) - 1)].strip()}"
    return lines[0]


def _trials(subject: Subject, write: bool) -> Iterator[_Trial]:
    wanted, handles = subject.wanted, subject.handles()
    for mode in report.MODES:

        def using(handle: Handle, mode: str = mode) -> Act:
            return _or_refused(_read_act(handle.read, wanted), mode)

        def anew(handle: Handle, mode: str = mode) -> Act:
            return _or_refused(_read_act(lambda _: subject.cat(subject.open_url()[0]), wanted), mode)

        def closing(handle: Handle, mode: str = mode) -> Act:
            return _or_refused(_close, mode)

        made = partial(_Trial, subject, mode=mode, wanted=wanted)
        # by hand the instance first, which is then what is revived
        order = handles[::-1] if mode == "by hand" else handles
        yield made(order, "uses it", act=using, exits=mode == "opted in")
        if mode != "by hand":
            yield made(handles, "ends", act=lambda handle: _do_nothing, exits=True)
            yield made(handles, "drops it", act=lambda handle: _drop_act(subject), exits=True)
            yield made(handles, "closes it", act=closing)
        if mode == "opted in":
            yield made(
                [h for h in handles if not (subject.streams and h.name == "open file")],  # it is read once
                "uses it as the parent does",
                act=lambda handle: _read_act(handle.read, wanted, TOGETHER),
                together=True,
            )
            yield made(
                handles,
                "is killed",
                act=lambda handle: lambda box: os.kill(os.getpid(), signal.SIGKILL),
                killed=True,
            )
        nothing = [Handle("nothing", lambda: subject.fs, subject.cat)]
        yield made(nothing, "makes an instance", act=anew)
        if write and subject.folder:
            for child, act in {
                "writes to it": _write,
                "drops it": _drop_act(subject),
                "closes it": _close,
                "ends": _do_nothing,
            }.items():
                yield _writing_trial(subject, child, mode, act)


def _writing_trial(subject: Subject, child: str, mode: str, act: Act) -> _Trial:
    written: list[Written] = []

    def make() -> object:
        written.append(Written(subject))
        return written[0].file

    def act_on_it(box: list[Any]) -> str | None:
        del written[:]  # the box has the only reference
        return act(box)

    handle = Handle("file being written", make, lambda f: written.pop().finish())
    return _Trial(subject, [handle], child, mode, lambda handle: act_on_it, b"first second", exits=True)


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
        called with what is tried next, "" at the end.
    """
    return _check(url, storage_options or {}, write, progress)[1]


def _check(
    url: str, options: Options, write: bool, progress: Callable[[str], None]
) -> tuple[Subject, list[Finding]]:
    """What was tried, and what was found."""
    findings: list[Finding] = []
    inherited = os.environ.get("FSSPEC_FORK_RESET")
    hangs, harmed = 0, False
    try:
        progress("reading the URL")
        subject = Subject(url, options)
        if write:
            Written(subject).finish()  # whether that is possible at all
        tries = list(_trials(subject, write))
        total = sum(len(one.handles) for one in tries)
        for one in tries:
            os.environ["FSSPEC_FORK_RESET"] = "1" if one.mode == "opted in" else "0"
            if hangs >= forked.HANGS:
                findings += [
                    one.found(h.name, f"{NOT_TRIED}: {forked.HANGS} hung before") for h in one.handles
                ]
                continue
            names = ", ".join(h.name for h in one.handles)
            progress(
                f"{len(findings) + len(one.handles)} of {total}: {names}: the child {one.child}, {one.mode}"
            )
            found = one.run(renew=harmed)
            findings += found
            hangs += any("hung" in f.note or "hangs" in f.note for f in found)
            harmed = not all(f.safe for f in found)
    finally:
        progress("")  # an error is not to follow what was tried
        if inherited is None:
            os.environ.pop("FSSPEC_FORK_RESET", None)
        else:
            os.environ["FSSPEC_FORK_RESET"] = inherited
    return subject, findings


# report ---------------------------------------------------------------------------
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
    parser.add_argument(
        "url",
        help="a file, or a folder: the first file directly in it is tried; of references the first that"
        " is not inline",
    )
    parser.add_argument("--storage-options", default="{}", metavar="JSON", help="options of the filesystem")
    parser.add_argument(
        "--write",
        action="store_true",
        help="also write small files beside it, and remove them (otherwise it only reads); for filesystems"
        " whose files can be opened for writing, which those of http cannot; with S3 it takes about a minute",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser.parse_args(argv)


def _progress(text: str) -> None:
    """One line that is written over on a terminal, a line each elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{report.printable(text)[: report.WIDTH - 1]}", end="", file=sys.stderr, flush=True)
    elif text:
        print(report.printable(text), file=sys.stderr, flush=True)


def _explain(error: Exception) -> str:
    if any("Connect" in kind.__name__ for kind in type(error).__mro__):  # of whatever client library
        return report.with_notes(error, f"it cannot be reached: {getattr(error, 'os_error', error)}")
    for kind, what in (
        (PermissionError, "no permission"),
        (FileNotFoundError, "not found"),
        (ImportError, "a package is missing"),
    ):
        if isinstance(error, kind):
            return report.with_notes(error, f"{what}: {error}")
    return report.with_notes(error, f"{type(error).__name__}: {error}")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = _parse(argv)
    url = redact_values(args.url, None)

    def unchecked(why: str) -> int:
        print(report.printable(why), file=sys.stderr)
        if args.json:
            print(
                json.dumps({"url": url, "safe": None, "error": why, "versions": report.versions()}, indent=1)
            )
        return 2

    if not hasattr(os, "fork"):
        return unchecked("this platform has no fork: there is nothing to check, and nothing to be afraid of")
    try:
        options = report.json_options(args.storage_options)
    except ValueError as error:
        return unchecked(f"--storage-options: {error}")
    progress = (lambda text: None) if args.quiet else _progress
    try:
        subject, findings = _check(args.url, options, args.write, progress)
    except Exception as error:  # client libraries raise what they like, and the user is to read it
        why = redact_values(_explain(error), options)
        return unchecked(why if url in why else f"{url}: {why}")
    for finding in findings:
        if not finding.safe:  # else the words are ours
            finding.note = redact_values(finding.note, options)
    safe, cls = all(f.safe for f in findings), type(subject.fs)
    tried = f"{redact_values(subject.path, options)}, {len(subject.wanted)} bytes of it"
    if args.json:
        about = {
            "url": url,
            "tried": tried,
            "safe": safe,
            "backend": report.backend(cls),
            "versions": report.versions(),
        }
        results = {"note": subject.note, "findings": [asdict(f) for f in findings]}
        print(json.dumps({**about, **results}, indent=1))
    else:
        print(report.report(url, cls, findings, subject.note, tried))
    return 0 if safe else 1


if __name__ == "__main__":
    code: int = report.run_command(main)
    if hooks.pid == hooks.owner_pids[0]:
        os._exit(code)  # a damaged backend may keep the interpreter from exiting
