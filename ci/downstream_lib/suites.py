"""Environments, sides and sources, and one run of a suite."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import environment

from .projects import BUILD, FOLLOWED, GROUPS, Project

HERE = Path(__file__).resolve().parent
PLUGINS = HERE / "plugins"
LIMIT = 1800  # seconds that a suite may take
AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Outcome:
    """What a suite did with one side."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    """by test, the first line of why"""
    skipped: int = 0
    trouble: str = ""
    """why it did not run to its end"""


def interpreter(group: str) -> Path:
    """The interpreter of a group's environment, made if need be."""
    wanted = [word for line in GROUPS[group] for word in line.split()]
    python = environment.ensure(f"downstream-{group}", [f"fsspec=={FOLLOWED}", *wanted])
    if group == "clouds":
        environment.ensure_azurite(python.parent.parent)
    return python


class Places:
    """Folders of sources and of sides, kept between runs."""

    def __init__(self) -> None:
        self.fetcher = environment.ensure("downstream-fetch", BUILD.split())
        self.folder = environment.TOP / ".venv-downstream-fetch"
        (self.folder / "sources").mkdir(exist_ok=True)

    def source(self, requirement: str) -> Path:
        """The unpacked source archive of a requirement."""
        archives = self.folder / "sources" / requirement.replace("==", "-")
        if not archives.is_dir():
            partial = archives.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            rules = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-q")
            environment.pip(self.fetcher, "download", *rules, "-d", str(partial), requirement)
            (archive,) = partial.glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(partial, filter="data")
            archive.unlink()
            partial.rename(archives)
        (top,) = archives.iterdir()
        return top

    def release(self, version: str = FOLLOWED) -> Path:
        """A folder with one of upstream's releases, and nothing else; "" is the newest."""
        folder = self.folder / f"upstream-{version}"
        if not version or not folder.is_dir():
            made = self.folder / "release.partial"
            shutil.rmtree(made, ignore_errors=True)
            rules = ("install", "-q", "--no-deps", "--target", str(made))
            environment.pip(self.fetcher, *rules, f"fsspec=={version}" if version else "fsspec")
            folder = self.folder / f"upstream-{version_of(made)}"
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        return folder


def copy_of_tree(folder: Path) -> Path:
    """Put this tree's ``fsspec``, as it is now, into a folder that has nothing else."""
    shutil.copytree(
        environment.TOP / "fsspec", folder / "fsspec", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def version_of(side: Path) -> str:
    """The version that a side's metadata tells."""
    (info,) = side.glob("fsspec-*.dist-info")
    return info.name.removeprefix("fsspec-").removesuffix(".dist-info")


def run(
    project: Project, side: Path, places: Places, scratch: Path, only: list[str] | None = None
) -> Outcome:
    """Run a project's suite, or ``only`` some of its tests, with one side."""
    python = interpreter(project.group)
    scratch.mkdir(parents=True, exist_ok=True)
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("FSSPEC", "PYTHON"))},
        **AWS,
        **project.environ,
        "PATH": os.pathsep.join((str(python.parent), os.environ.get("PATH", os.defpath))),
        "PYTHONPATH": os.pathsep.join((str(side), str(PLUGINS))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(scratch),
    }
    seen = subprocess.run(
        [python, "-c", "import fsspec; print(fsspec.__file__)"],
        env=environ,
        cwd=scratch,
        capture_output=True,
        text=True,
    )
    if not seen.stdout.startswith(str(side)):
        return Outcome(trouble=f"the environment imports {seen.stdout.strip() or seen.stderr[-200:]}")
    if project.program:
        return _program(project, python, environ, scratch)
    source = places.source(project.sdist) if project.sdist else scratch
    report = scratch / "report.xml"
    report.unlink(missing_ok=True)
    command = [
        *(str(python), "-m", "pytest", "-q", "--timeout=120", "--tb=native", f"--junitxml={report}"),
        *("-o", f"cache_dir={scratch / 'cache'}", "-o", "junit_family=xunit1", "-o", "xfail_strict=false"),
        *(f"--basetemp={scratch / 'tmp'}", "-p", "no:randomly", *project.tests),
    ]
    if (
        not project.sdist
    ):  # or the names in the report would not say which module; and no configuration of ours
        command += [f"--rootdir={python.parent.parent}", "-c", os.devnull]
    if only is not None:
        command += ["-k", " or ".join(sorted({name.partition("::")[2].partition("[")[0] for name in only}))]
    if _finished(command, source, environ, scratch / "log") is None:
        return Outcome(trouble=f"no end within {LIMIT} s; see {scratch / 'log'}")
    if not report.exists():
        return Outcome(trouble=f"pytest wrote no report; see {scratch / 'log'}")
    return read(report, project.names)


def _finished(command: list[str], folder: Path, environ: dict[str, str], log: Path) -> int | None:
    """The exit code of a command, None where it took too long; servers that it started end with it."""
    with open(log, "w") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _program(project: Project, python: Path, environ: dict[str, str], scratch: Path) -> Outcome:
    work = scratch / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [str(python), str(HERE / "programs.py"), project.program, str(work)]
    name = f"program::{project.program}"
    code = _finished(command, work, environ, scratch / "log")
    if code is None:
        return Outcome(trouble=f"no end within {LIMIT} s; see {scratch / 'log'}")
    last = (scratch / "log").read_text(errors="replace").strip().splitlines()[-1:] or [""]
    return Outcome(passed={name}) if code == 0 else Outcome(failed={name: last[0]})


def read(report: Path, names: str = "") -> Outcome:
    """The outcome that a report of pytest tells; of what ``names`` matches in an id the first group stays."""
    found = Outcome()
    for case in xml.parse(report).iter("testcase"):
        if case.get("name") in ("", "internal"):  # of pytest itself
            found.trouble = "pytest ended early"
            continue
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        name = re.sub(names, r"\1", name) if names else name
        bad = [part for part in case if part.tag in ("failure", "error")]
        if bad:
            found.failed[name] = (bad[0].get("message") or "").strip().partition("\n")[0][:160]
            found.passed.discard(name)
        elif any(part.tag == "skipped" for part in case):
            found.skipped += 1
        elif name not in found.failed:
            found.passed.add(name)
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
