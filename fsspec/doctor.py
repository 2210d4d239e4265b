"""What an environment makes of fsspec: ``python -m fsspec.doctor [URL]``.

Says which fsspec is imported and whether it is this one, what decides about forks, what in
the process makes a fork dangerous, which packages are missing for a protocol, what is
configured and from where, and, for a URL, how long the first requests take.  It reads and
reports; the only requests are those for the URL that was given.

`diagnose` does the same inside a running program, where the hazards that the program has
loaded are seen.  Passwords, keys and tokens are never part of what is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

try:
    from fsspec import config
except Exception as _error:
    # a file of the configuration: nothing of fsspec can be imported before it is mended
    if __name__ != "__main__":
        raise
    sys.exit(
        f"fsspec {fsspec.__version__}: does not work here: 1 problem\n\nX configuration  {_error}\n"
        f"{'':16}-> correct this file or move it away; FSSPEC_CONFIG_DIR=FOLDER has another folder read\n"
    )
from fsspec._checks.lockfiles import is_kept_by_uv, is_synced_by_uv, wrong_in_project
from fsspec._checks.report import argument, json_options, printable, run_command, with_notes
from fsspec._fork import hooks
from fsspec._fork.owned import Owned
from fsspec._paths.redaction import redact_options
from fsspec._similar import similar
from fsspec.registry import known_implementations

if TYPE_CHECKING:
    from fsspec._paths.types import Options, T


__all__ = ["Diagnosis", "Finding", "diagnose"]

FOLLOWS = fsspec.__version__.partition("+")[0]
"""The upstream version whose behaviour this version has."""

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"
_MARKS = {OK: " ", NOTE: "-", WARNING: "!", PROBLEM: "X"}

_HAZARDS = {
    "grpc": "gRPC has threads and locks of its own; make its clients in the children",
    "uvloop": "loops of uvloop cannot be taken over by a child: keep them out of processes that fork",
    "ray": "Ray's driver has threads of its own: let Ray start the workers instead of forking",
    "obstore": "object stores of obstore run on tokio's threads, which do not survive a fork",
    "deltalake": "deltalake runs on tokio's threads, which do not survive a fork",
    "lance": "lance runs on tokio's threads, which do not survive a fork",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    level
        ``"ok"``, ``"note"`` (worth knowing), ``"warning"`` (can go wrong), or ``"problem"``.
    subject
        what it is about, in a word or two.
    text
        what was found.
    fix
        what to do about it, usually a command; empty if nothing has to be done.
    """

    level: str
    subject: str
    text: str
    fix: str = ""


@dataclass
class Diagnosis:
    """All findings, worst first for people (`text`), in the order of looking for programs (`findings`)."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether no finding is a problem."""
        return all(finding.level != PROBLEM for finding in self.findings)

    def add(self, level: str, subject: str, text: str, fix: str = "") -> None:
        """Note a `Finding`, whose fields these are."""
        self.findings.append(Finding(level, subject, text, fix))

    def verdict(self) -> str:
        """The outcome in a line: what there is to read below it, or that all is well."""
        counts = {level: sum(f.level == level for f in self.findings) for level in (PROBLEM, WARNING, NOTE)}
        named = [f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts.items() if n]
        works = "works here, " if self.healthy and named else ""
        return f"fsspec {fsspec.__version__}: {works}{', '.join(named) or 'all well'}"

    def text(self, width: int = 80) -> str:
        """The report as text: the verdict, then what needs attention, then the rest."""
        lines = [self.verdict(), ""]
        order = list(reversed(_MARKS))
        for finding in sorted(self.findings, key=lambda f: order.index(f.level)):
            lines += _wrapped(f"{_MARKS[finding.level]} {finding.subject:<14}", finding.text, width)
            if finding.fix:
                lines += _wrapped(" " * 16 + "-> ", finding.fix, width)
        return "\n".join(line.rstrip() for line in lines)


def _wrapped(lead: str, text: str, width: int) -> Iterator[str]:
    import textwrap

    room = max(width - len(lead) - 1, 20)
    for part in text.splitlines() or [""]:
        for line in textwrap.wrap(printable(part), room, break_long_words=False, break_on_hyphens=False) or [
            ""
        ]:
            yield f"{lead} {line}"
            lead = " " * len(lead)


def diagnose(url: str | None = None, storage_options: dict[str, Any] | None = None) -> Diagnosis:
    """Look at everything.

    Parameters
    ----------
    url
        a file or folder of the user's own: its packages are looked for, and it is asked for with
        one ``info`` and one read of a byte.
    storage_options
        for the filesystem of ``url``.

    Returns
    -------
    Diagnosis
        it is printed by ``print(diagnosis.text())``, and ``diagnosis.healthy`` says whether
        something has to be done.
    """
    found = Diagnosis()
    for step in (
        check_installation, _dependants, _project, _fork_mode, _hazards, _configuration, _state, _packages,
    ):  # fmt: skip
        step(found)
    if url is not None:
        _first_requests(found, url, storage_options or {})
    return found


# which fsspec ---------------------------------------------------------------------
def check_installation(found: Diagnosis) -> None:
    """Which fsspec is imported, and whether the environment agrees; adds to ``found``."""
    here = Path(fsspec.__file__).resolve().parent
    python = ".".join(map(str, sys.version_info[:3]))
    found.add(OK, "package", f"fsspec {fsspec.__version__} at {here}, Python {python}, {sys.platform}")
    found.add(OK, "follows", f"the behaviour of fsspec {FOLLOWS}")
    tree = Path(fsspec.__file__).parent.parent.absolute()
    if _is_of_current_folder(tree):
        _elsewhere(found, here, tree)
        return
    versions = sorted({d.version for d in metadata.distributions(name="fsspec")})
    if not versions:
        text = "no installed distribution is named fsspec: it is imported from a source tree"
        found.add(NOTE, "package", text)
    elif fsspec.__version__ not in versions:
        text = (
            f"installed is fsspec {' and '.join(versions)}, imported is {fsspec.__version__} from {here}: "
            "other programs of this environment may get the other one"
        )
        found.add(PROBLEM, "package", text, _reinstall())
    elif len(versions) > 1:
        text = f"several versions are recorded as installed: {', '.join(versions)}"
        fix = f"{_pip()} uninstall fsspec until nothing is left, then install this one again"
        found.add(WARNING, "package", text, fix)
    for other in _other_copies(here):
        text = f"another fsspec lies at {other}, and is imported where the path is searched in another order"
        found.add(WARNING, "package", text, f"remove it, or the entry {other.parent} of the path")


def _is_of_current_folder(tree: Path) -> bool:
    """Whether the package is imported only because ``python -m`` looks into the current folder."""
    entries = [Path(entry or ".").resolve() for entry in sys.path]
    return entries[:1] == [tree.resolve()] == [Path.cwd()] and entries.count(entries[0]) == 1


def _elsewhere(found: Diagnosis, here: Path, tree: Path) -> None:
    """What programs import that are started in another folder than this, the source tree's."""
    found.add(NOTE, "package", "it is imported from the current folder, a source tree")
    other = next(_other_copies(here), None)
    if other is None:
        text = "programs that are started in another folder find no fsspec"
        found.add(WARNING, "package", text, f"{_pip()} install {tree}")
        return
    versions = {d.version for d in metadata.distributions(name="fsspec", path=[str(other.parent)])}
    version = " and ".join(sorted(versions)) or "of unknown version"
    if versions == {fsspec.__version__}:
        found.add(OK, "package", f"programs that are started in another folder import {version}, {other}")
    else:
        text = f"programs that are started in another folder import fsspec {version}, {other}"
        found.add(PROBLEM, "package", text, _reinstall(str(tree)))


def _pip() -> str:
    """The installer of this environment: one that uv made has no pip."""
    by = {d.read_text("INSTALLER") or "" for d in metadata.distributions(name="fsspec")}
    return "uv pip" if any(name.strip() == "uv" for name in by) else "pip"


def _reinstall(origin: str = "WHEEL-OR-FOLDER-OF-THIS-PACKAGE") -> str:
    """The command that puts this package back if another took its place."""
    for distribution in metadata.distributions(name="fsspec"):
        text = (
            distribution.read_text("direct_url.json") if distribution.version == fsspec.__version__ else None
        )
        if text:
            origin = json.loads(text)["url"]
    pip = _pip()
    if pip == "uv pip" and is_synced_by_uv(Path.cwd()):
        return "uv sync --reinstall-package fsspec"
    again = "--force-reinstall" if pip == "pip" else "--reinstall-package fsspec"
    return f"{pip} install {again} --no-deps {origin}"


def _other_copies(here: Path) -> Iterator[Path]:
    """Packages of the same name on the module search path, but the one that is imported."""
    seen = {here}
    for entry in sys.path:
        other = (Path(entry or ".") / "fsspec").resolve()
        if other not in seen and (other / "__init__.py").is_file():
            seen.add(other)
            yield other


def _dependants(found: Diagnosis) -> None:
    """Installed packages whose requirement would bring another fsspec."""
    bad = []
    for distribution in metadata.distributions():
        for requirement in distribution.requires or ():
            named = re.match(r"\s*fsspec\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?$", requirement)
            if named and "extra" not in (named[2] or "") and not _admits(named[1].strip()):
                bad.append(
                    f"{distribution.metadata['Name']} {distribution.version} needs fsspec{named[1].strip()}"
                )
    if bad and is_kept_by_uv(Path.cwd()):
        text = f"{'; '.join(sorted(set(bad)))}, but uv.lock keeps this one: so does uv sync"
        found.add(OK, "dependants", text)
        return
    for text in sorted(set(bad)):
        text = f"{text}: the next install or upgrade of it replaces this fsspec by upstream's"
        fix = f"install its version for fsspec {FOLLOWS} (such as s3fs=={FOLLOWS}), then {_reinstall()}"
        found.add(WARNING, "dependants", text, fix)
    if not bad:
        found.add(OK, "dependants", "no installed package asks for another version of fsspec")


def _project(found: Diagnosis) -> None:
    """What the project of the current folder is going to install."""
    for text, fix in wrong_in_project(Path.cwd()):
        found.add(WARNING, "project", text, fix)


def _admits(specifiers: str) -> bool:
    """Whether requirements such as ``==2026.9.0`` or ``>=2023.1,<2027`` are met by this version."""
    own = _release_numbers(fsspec.__version__)
    for specifier in filter(None, map(str.strip, specifiers.split(","))):
        parts = re.match(r"(===|==|!=|~=|>=|<=|>|<)\s*([0-9][\w.*+!-]*)$", specifier)
        if parts is None:
            continue  # not understood: left out
        operator, text = parts.groups()
        prefix = text.endswith(".*")
        other = _release_numbers(text.removesuffix(".*"))
        equal = own[: len(other)] == other if prefix else own == other
        if not {
            "===": text == fsspec.__version__,
            "==": equal,
            "!=": not equal,
            ">=": own >= other,
            "<=": own <= other,
            ">": own > other,
            "<": own < other,
            "~=": own >= other and own[: len(other) - 1] == other[:-1],
        }[operator]:
            return False
    return True


def _release_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without trailing zeros, a local part or anything after them."""
    numbers = re.match(r"[0-9.]+", version.partition("+")[0])
    parts = [int(n) for n in numbers[0].split(".") if n] if numbers else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


# forks ----------------------------------------------------------------------------
def _fork_mode(found: Diagnosis) -> None:
    if not hasattr(os, "fork"):
        found.add(OK, "forks", "this platform cannot fork")
        return
    import multiprocessing

    name = similar("FSSPEC_FORK_RESET", os.environ.keys() - {"FSSPEC_FORK_RESET"}, 0.85)
    if name:
        unused = f"the variable {name} does nothing for forks"
        found.add(WARNING, "forks", unused, "is FSSPEC_FORK_RESET meant?")
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    text = os.environ.get("FSSPEC_FORK_RESET")
    source = f"FSSPEC_FORK_RESET={text}" if text is not None else "fsspec's configuration"
    if hooks.opted_in():
        found.add(OK, "forks", f"inherited handles work in forked children ({source}); starts by {method}")
    elif text is not None and config.switch(text) is None:
        unclear = f"{source} is neither on (1, true, yes, on) nor off (0, false, no, off): it counts as off"
        found.add(WARNING, "forks", unclear, "FSSPEC_FORK_RESET=1")
    else:
        text = (
            "not opted in: a child that uses what it inherited gets ForkError (the parent is safe all the "
            f"same); processes start by {method}"
        )
        fix = "FSSPEC_FORK_RESET=1 before the program starts, or fsspec.asyn.reset_after_fork() in each child"
        found.add(NOTE, "forks", text, fix)


def _hazards(found: Diagnosis) -> None:
    """What is loaded in this process that a fork does not survive."""
    before = len(found.findings)
    for module, text in _HAZARDS.items():
        if module in sys.modules:
            found.add(WARNING, "hazards", f"{module} is loaded: {text}")
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_initialized():
        text = "CUDA is initialised, which no forked child can use"
        found.add(WARNING, "hazards", text, "fork before the first use of CUDA, or start workers by spawn")
    elif torch is not None:
        text = "torch is loaded: if it has computed here, a child may hang as it uses tensors (OpenMP)"
        found.add(
            NOTE, "hazards", text, "torch.set_num_threads(1) in the child, as workers of a DataLoader do"
        )
    ours = {"fsspecIO"}
    others = sorted(
        t.name for t in threading.enumerate() if t is not threading.main_thread() and t.name not in ours
    )
    if others:
        text = (
            f"{len(others)} threads of the program run ({', '.join(others[:5])}): locks that they hold "
            "as the process forks stay locked in the child"
        )
        found.add(NOTE, "hazards", text)
    if len(found.findings) == before:
        found.add(OK, "hazards", "nothing is loaded here that is known to break forked children")


# configuration and state ----------------------------------------------------------
def _configuration(found: Diagnosis) -> None:
    folder = Path(config.conf_dir)
    files = (
        sorted(p.name for p in folder.glob("*") if p.suffix in (".json", ".ini")) if folder.is_dir() else []
    )
    names = sorted(name for name in os.environ if name.startswith("FSSPEC_"))
    sources = [f"files in {folder}: {', '.join(files)}"] * bool(files) + [
        f"variables: {', '.join(names)}"
    ] * bool(names)
    if not sources:
        found.add(OK, "configuration", f"none (looked in {folder} and for variables FSSPEC_...)")
    if "FSSPEC_CONFIG_DIR" in os.environ and not folder.is_dir():
        text = f"FSSPEC_CONFIG_DIR is {str(folder)!r}, where no folder is: no file was read"
        found.add(NOTE, "configuration", text)
    for source in sources:
        found.add(OK, "configuration", f"from {source}")
    for protocol, options in sorted(config.conf.items()):
        text = f"{protocol}: {json.dumps(redact_options(options, protocol), default=repr)}"
        found.add(OK, "configuration", text)
        try:
            config.apply_config(fsspec.get_filesystem_class(protocol), {})
        except ImportError:
            continue  # not used here
        except ValueError as error:  # also if no protocol is called so
            if protocol in known_implementations:
                found.add(PROBLEM, "configuration", str(error))


def _state(found: Diagnosis) -> None:
    """Loops and instances that exist by now; nothing is made for the asking."""
    bridge = sys.modules.get("fsspec._loop.bridge")
    loop = bridge.loop[0] if bridge else None
    if loop is None:
        text = "no event loop of fsspec is running yet; the first awaitable filesystem starts it"
        found.add(OK, "loop", text)
    else:
        found.add(OK, "loop", f"{'running' if loop.is_running() else 'not running'}: {type(loop).__name__}")
    live = sorted({type(obj).__name__ for obj in hooks.registered()} - {Owned.__name__})
    if live:
        found.add(OK, "instances", f"live objects that are notified of forks: {', '.join(live)}")


# packages and requests ------------------------------------------------------------
def _needs() -> dict[str, list[str]]:
    """What the extra named after a protocol of this package's own brings."""
    needs: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("fsspec") or []
    except metadata.PackageNotFoundError:  # a tree that is not installed
        requirements = []
    for requirement in requirements:
        parts = re.match(r"([\w.-]+)[^;]*;\s*extra\s*==\s*['\"]([\w-]+)['\"]$", requirement)
        if parts and parts[2] in known_implementations:
            needs.setdefault(parts[2], []).append(parts[1])
    return needs


def _is_installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _packages(found: Diagnosis) -> None:
    """Packages that protocols need, by whether they are installed."""
    from importlib.util import find_spec

    there: set[str] = set()
    absent: set[str] = set()
    needs = _needs()
    for protocol, entry in known_implementations.items():
        package = entry["class"].partition(".")[0]
        if package != "fsspec":
            lacking = [] if find_spec(package) else [package]
        elif protocol in needs:
            lacking = [package for package in needs[protocol] if not _is_installed(package)]
        else:
            continue
        if lacking:
            named = ", ".join(lacking)
            absent.add(protocol if named == protocol else f"{protocol} ({named})")
        else:
            there.add(protocol)
    found.add(OK, "packages", f"installed for: {', '.join(sorted(there)) or 'none'}")
    found.add(OK, "packages", f"not installed, and needed only for: {', '.join(sorted(absent)) or 'none'}")


def _first_requests(found: Diagnosis, url: str, options: Options) -> None:
    from fsspec.core import _un_chain, url_to_fs

    shown = redact_options(url)
    try:
        links = _un_chain(url, options)  # imports the classes
        misspelt = list(_misspelt(links))
    except Exception as error:  # also what a class has to say of an address
        found.add(PROBLEM, "url", str(redact_options(with_notes(error, str(error)))))
        return
    for name, protocol, meant in misspelt:
        text = (
            f"no option of {protocol} is called {name!r}: it is ignored, or the client library gets it and"
            " may refuse it"
        )
        found.add(WARNING, "options", text, f"is {meant!r} meant?")
    for names, protocol, other in _of_another_link(links):
        named = ", ".join(map(repr, names))
        text = f"no option of {protocol} is called {named}; of {other}, in the same chain, they are"
        found.add(WARNING, "options", text, f"give them under its name: {other}={{{names[0]!r}: ...}}")

    def timed(what: str, func: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = func()
        found.add(OK, "url", f"{what}: {(time.perf_counter() - begin) * 1000:.0f} ms")
        return result

    try:
        fs, path = timed(f"{shown}: filesystem made", lambda: url_to_fs(url, **options))
        entry = timed("info", lambda: fs.info(path))
        if entry["type"] == "file":
            timed("first byte", lambda: fs.cat_file(path, start=0, end=1))
        else:
            timed("listing", lambda: fs.ls(path, detail=False))
    except Exception as error:  # whatever it is, it is what the user came to see
        notes = list(getattr(error, "__notes__", ()))
        fix = next((notes.pop(i) for i, note in enumerate(notes) if "; give " in note or "; is " in note), "")
        message = redact_options("\n".join([f"{type(error).__name__}: {error}", *notes]))
        fix = str(redact_options(fix.removeprefix("fsspec: ")))
        found.add(PROBLEM, "url", f"{shown}: {message}", fix)


def _options_of(protocol: str) -> set[str]:
    import inspect

    cls: Any = fsspec.get_filesystem_class(protocol)
    return {name for base in cls.__mro__ for name in inspect.signature(base.__init__).parameters}


def _of_another_link(links: list[Any]) -> Iterator[tuple[list[str], str, str]]:
    """Options given to a link of a chain that are unknown there and known to a later one."""
    for position, (_, protocol, given) in enumerate(links):
        unknown = given.keys() - _options_of(protocol) - {protocol for _, protocol, _ in links}
        for _, other, _ in links[position + 1 :]:
            names = sorted(unknown & _options_of(other))
            if names:
                yield names, protocol, other
                unknown -= set(names)


def _misspelt(links: list[Any]) -> Iterator[tuple[str, str, str]]:
    """Options that are nearly called like one that there is; filesystems take any others as well."""
    protocols = {protocol for _, protocol, _ in links}
    for _, protocol, given in links:
        cls = fsspec.get_filesystem_class(protocol)
        known = _options_of(protocol)
        for name in config.apply_config(cls, given).keys() - known - protocols:
            meant = similar(name, known | protocols, 0.7)
            if meant:
                yield name, protocol, meant


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if nothing is a problem, or with ``--strict`` a warning, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m fsspec.doctor",
        description=(__doc__ or "").partition("\n")[0],  # -OO has none
        epilog="Exit code 0, and in JSON healthy true: this package is what is imported, it works now, and "
        "URL could be read; warnings tell what may undo that, such as the next installation. 1: something "
        "is a problem, or with --strict a warning. 2: wrong arguments.",
    )
    parser.add_argument("url", nargs="?", metavar="URL", help="a file or folder of your own to try")
    parser.add_argument(
        "--storage-options", type=argument(json_options), default={}, metavar="JSON", help="for the URL"
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where there is a warning, too")
    given = parser.parse_args(arguments)
    found = diagnose(given.url, given.storage_options)
    if given.json:
        print(
            json.dumps({"healthy": found.healthy, "findings": [asdict(f) for f in found.findings]}, indent=2)
        )
    else:
        print(found.text())
    warned = given.strict and any(finding.level == WARNING for finding in found.findings)
    return 0 if found.healthy and not warned else 1


if __name__ == "__main__":
    sys.exit(run_command(main))
