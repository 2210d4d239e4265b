"""The virtual environments that the programs of this folder work in.

An environment is made once and kept under the top of the tree; a key of all that decides its
contents (interpreter, requirements, what the tree itself asks for) is written into it at the
end, so that one that is out of date, or was interrupted half made, is made anew.

    python3 ci/environment.py demo      # prints the path of the environment's interpreter

Progress and pip's complaints go to stderr.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

TOP = Path(__file__).resolve().parent.parent
REQUIREMENTS = TOP / "ci" / "requirements"
PIP_ENVIRONMENT = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONNOUSERSITE": "1"}
QUIET = 20.0
"""Seconds after which it is told what pip does."""


class InstallError(RuntimeError):
    """pip could not install what an environment needs; its output has been shown."""


def finish(main: Callable[..., int | None], *arguments: object) -> NoReturn:
    """End with the exit code of a program; one whose reader has left, as ``| head`` does, without a word."""
    try:
        try:
            code = main(*arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # what is left in them is written at the end
            os.dup2(nowhere, stream.fileno())
        code = 141  # in a shell, that of SIGPIPE
    sys.exit(code)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def lines_of(file: Path) -> list[str]:
    """The requirements of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def pip(python: Path, *arguments: str, check: bool = True) -> bool:
    """Run pip; every `QUIET` seconds what it does, and its output where it fails and ``check`` is set."""
    # PYTHONPATH would show pip packages that the environment does not have.
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | PIP_ENVIRONMENT
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "told")
        with (
            told.open("wb") as output,
            subprocess.Popen(
                [str(python), "-m", "pip", *arguments],
                cwd=TOP,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(QUIET)
                    break
                lines = [f"pip {arguments[0]}", *told.read_text(errors="replace").splitlines()]
                now = [line.strip() for line in lines if not line.startswith("WARNING")][-1]
                where = python.parent.parent.name
                say(f"  {where}, after {time.monotonic() - begin:.0f} s: {textwrap.shorten(now, 60)}")
        if check and process.returncode:
            say(told.read_text(errors="replace"))
            raise InstallError(f"pip {arguments[0]} ended with {process.returncode}")
    return process.returncode == 0


def install_optional(python: Path, wanted: Sequence[str]) -> list[str]:
    """Install what has a wheel for this Python; return what has none."""
    rules = ("install", "-q", "--only-binary", ":all:")
    if not wanted or pip(python, *rules, *wanted, check=False):
        return []
    return [package for package in wanted if not pip(python, *rules, package, check=False)]


def tree_arguments(editable: bool) -> list[str]:
    # In the compatible mode an editable install is one line in a .pth file; the other
    # modes run an import hook in every interpreter that starts.
    return ["--config-settings", "editable_mode=compat", "-e", str(TOP)] if editable else [str(TOP)]


def reinstall_tree(python: Path) -> None:
    """Install a copy of the tree as it is now, replacing the one there."""
    shutil.rmtree(TOP / "build", ignore_errors=True)  # or deleted modules would live on
    pip(python, "install", "-q", "--no-deps", "--force-reinstall", *tree_arguments(editable=False))


def ensure(
    name: str,
    required: Sequence[str],
    *,
    optional: Sequence[str] = (),
    tree: str | None = None,
    python: str | None = None,
) -> Path:
    """The interpreter of an environment that holds ``required``, made if need be.

    Parameters
    ----------
    name
        the environment is the folder ``.venv-NAME`` of the tree.
    required, optional
        requirements; an optional one without a wheel for this Python is left out.
    tree
        "editable", "copy" (as it is now, at each call) or None for without the tree.
    python
        the interpreter to make it with; the one that runs this by default.
    """
    base = python or sys.executable
    identity = subprocess.run(
        [base, "-c", "import sys, platform; print(sys.version, platform.machine(), sys.base_prefix)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    setup = (
        (TOP / "setup.py").read_text(encoding="utf-8")
        + (TOP / "fsspec/_version.py").read_text(encoding="utf-8")
        if tree
        else ""
    )
    parts = [identity, str(TOP), *required, "optional", *optional, str(tree), setup]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()

    folder = TOP / f".venv-{name}"
    stamp = folder / "key"
    interpreter = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if stamp.is_file() and stamp.read_text() == key and interpreter.exists():
        if tree == "copy":
            reinstall_tree(interpreter)
        return interpreter

    say(
        f"making {folder.name} ({len(required) + len(optional)} packages and theirs, one to five minutes) ..."
    )
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
    if tree:
        shutil.rmtree(TOP / "build", ignore_errors=True)
        required = [*tree_arguments(tree == "editable"), *required]
    pip(interpreter, "install", "--progress-bar", "off", *required)
    missing = install_optional(interpreter, optional)
    if missing:
        say(f"without {', '.join(missing)}: no wheel for this Python")
    stamp.write_text(key)
    return interpreter


def ensure_test(name: str = "test") -> Path:
    """The environment of the tests, the checks and the documentation."""
    required = lines_of(REQUIREMENTS / "test.txt")
    torch = os.environ.get("FSSPEC_TEST_TORCH", "1" if os.environ.get("CI") == "true" else "")
    # said neither way, what is there stays: making it anew takes a minute
    if torch == "1" or not torch and any((TOP / f".venv-{name}").glob("lib/*/site-packages/torch")):
        required.append("torch==2.13.0")
    return ensure(name, required, optional=lines_of(REQUIREMENTS / "optional.txt"), tree="editable")


def ensure_matrix() -> Path:
    """As that of the tests, one for each Python."""
    return ensure_test("test-{}.{}".format(*sys.version_info))


def ensure_azurite(folder: Path) -> None:
    """Put Azurite into the folder of an environment, where there is npm to fetch it."""
    npm = shutil.which("npm")
    if npm and not (folder / "node_modules" / ".bin" / "azurite-blob").exists():
        say("installing azurite ...")
        subprocess.run([npm, "install", "--silent", "--prefix", str(folder), "azurite"], stdout=sys.stderr)


def ensure_contract() -> Path:
    """That of other packages' backends; Azurite comes from npm, where that is there."""
    python = ensure("contract", lines_of(REQUIREMENTS / "contract.txt"), tree="editable")
    ensure_azurite(python.parent.parent)
    return python


def ensure_differential() -> Path:
    """That of both sides of the differential run, and of its servers."""
    return ensure("differential", lines_of(REQUIREMENTS / "differential.txt"))


def ensure_docs() -> Path:
    """That of the documentation, for who has none of the tests."""
    return ensure("docs", ["--config-settings", "editable_mode=compat", "-e", f"{TOP}[doc]"])


def ensure_demo() -> Path:
    """The environment of the demonstration, with a copy of the tree as it is now."""
    required = lines_of(REQUIREMENTS / "demo.txt")
    if os.environ.get("FSSPEC_DEMO_TORCH") == "1":
        required.append("torch==2.13.0")
    return ensure("demo", required, tree="copy")


def ensure_demo_dask() -> Path:
    """The environment of the demonstration on a dask cluster, with a copy of the tree as it is now."""
    return ensure("demo-dask", lines_of(REQUIREMENTS / "demo-dask.txt"), tree="copy")


def ensure_demo_upstream() -> Path:
    """What the demonstration compares with: upstream in place of the tree."""
    required = lines_of(REQUIREMENTS / "demo-upstream.txt")
    if os.environ.get("FSSPEC_DEMO_TORCH") == "1":
        required.append("torch==2.13.0")
    return ensure("demo-upstream", required)


def main(arguments: Sequence[str]) -> int:
    known = {
        "contract": ensure_contract,
        "demo": ensure_demo,
        "demo-dask": ensure_demo_dask,
        "demo-upstream": ensure_demo_upstream,
        "differential": ensure_differential,
        "docs": ensure_docs,
        "matrix": ensure_matrix,
        "test": ensure_test,
    }
    if len(arguments) != 1 or arguments[0] not in known:
        say(f"usage: python3 ci/environment.py {'|'.join(known)}")
        return 2
    try:
        print(known[arguments[0]]())
    except InstallError as error:
        say(f"ci/environment: {error}")
        return 1
    return 0


if __name__ == "__main__":
    finish(main, sys.argv[1:])
