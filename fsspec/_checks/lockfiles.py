"""What the project in the current folder will install as fsspec: its lock files, and its settings for uv."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from fsspec._version import __version__

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
_SOURCE = (
    'in pyproject.toml write override-dependencies = ["fsspec"] into [tool.uv] and fsspec = { path ='
    ' "PATH-OF-THE-WHEEL" } into [tool.uv.sources], then uv lock'
)
_OVERRIDE = 'in pyproject.toml write override-dependencies = ["fsspec"] into [tool.uv], then uv lock'
_UNKNOWN = "of unknown version"
_FILE = re.compile(r"\bfsspec-(\d[\w.+]*?)(?=-py|\.tar\.|\.zip)")
_TOLD = re.compile(r'__version__ = "([^"]+)"')


def wrong_in_project(folder: Path) -> Iterator[tuple[str, str]]:
    """Files of a project that bring another fsspec, each with what to do; none if they cannot be read.

    Looked at are the lock files of uv, poetry, pdm and pip, requirements files, and ``[tool.uv]`` of
    ``pyproject.toml``.
    """
    for name in LOCKS:
        for version in sorted({_version(one, folder) for one in _locked(folder / name)} - {__version__}):
            fix = _SOURCE if name == "uv.lock" else "lock the wheel of this package, as a file or a URL"
            yield f"{name} installs fsspec {version}: it replaces this one at the next sync", fix
    for path in sorted([*folder.glob("*requirements*.txt"), *folder.glob("*constraints*.txt")]):
        for version in sorted(set(_pins(path)) - {__version__}):
            why = f"{path.name} pins fsspec {version}, which is upstream's to pip"
            yield why, "write fsspec @ file:///PATH-OF-THE-WHEEL in its place"
    project = _toml(folder / "pyproject.toml")
    uv = project.get("tool", {}).get("uv", {})
    overrides = _overrides(project)
    if "fsspec" not in uv.get("sources", {}):
        if overrides:
            yield (
                f"pyproject.toml overrides {overrides[0]!r} and names no source: uv takes upstream's",
                _SOURCE,
            )
    elif not _uses_its_source(project, uv):
        why = "pyproject.toml names a source of fsspec that has no effect: no dependency of its own and no"
        yield f"{why} override asks for fsspec, so that uv takes upstream's at the next lock", _OVERRIDE


def _uses_its_source(project: dict[str, Any], uv: dict[str, Any]) -> bool:
    """Whether uv looks at the source of fsspec: it does so for requirements that the project itself has."""
    own = project.get("project", {})
    if "workspace" in uv or "dependencies" in own.get("dynamic", ()):
        return True  # what asks for it stands in other files
    groups = own.get("optional-dependencies", {}), project.get("dependency-groups", {})
    lists = [
        own.get("dependencies", ()),
        *(members for named in groups for members in named.values()),
        *(uv.get(f"{kind}-dependencies", ()) for kind in ("override", "constraint", "dev")),
    ]
    return any(re.match(r"fsspec\b(?!-)", str(one)) for members in lists for one in members)


def _overrides(project: dict[str, Any]) -> list[str]:
    """What replaces every requirement of fsspec, if it is not a file or a URL."""
    uv = project.get("tool", {}).get("uv", {})
    return [o for o in uv.get("override-dependencies", ()) if re.match(r"fsspec\b(?!\s*@|-)", str(o))]


def is_kept_by_uv(folder: Path) -> bool:
    """Whether uv installs this package in this project, whatever others require."""
    return any(
        _version(one, place) == __version__
        for place in (folder, *folder.parents)
        for one in _locked(place / "uv.lock")
    )


def is_synced_by_uv(folder: Path) -> bool:
    """Whether ``uv sync`` is what installs this package in this project.

    With an override of fsspec ``uv pip install`` takes upstream's for the file that it is given.
    """
    return is_kept_by_uv(folder) or any(
        _overrides(_toml(place / "pyproject.toml")) for place in (folder, *folder.parents)
    )


def _locked(path: Path) -> list[dict[str, Any]]:
    """The entries of a lock file that are fsspec's."""
    read = _toml(path)
    entries = read.get("package", read.get("packages", []))
    return [entry for entry in entries if entry.get("name") == "fsspec"]


def _version(entry: dict[str, Any], folder: Path) -> str:
    """The version that an entry of a lock file in ``folder`` installs.

    pdm leaves out the local part of a version, pip and uv the version of a file, a folder or a repository.
    """
    version = str(entry.get("version", _UNKNOWN))
    if version not in (__version__.partition("+")[0], _UNKNOWN):
        return version
    file = _FILE.search(unquote(str(entry)))
    if file:
        return file[1]
    tree = entry.get("path", entry.get("directory", {}).get("path"))
    if tree is not None:
        told = _TOLD.search(_text(folder / tree / "fsspec" / "_version.py"))
        return told[1] if told else version
    return __version__ if "git" in entry or "vcs" in entry else version  # which one it is shows nowhere


def _pins(path: Path) -> list[str]:
    return re.findall(r"^fsspec\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#\\]+)", _text(path), re.MULTILINE)


def _text(path: Path) -> str:
    """What a file says; nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]  # Python 3.11
    except ImportError:
        return {}
    try:
        return cast("dict[str, Any]", tomllib.loads(_text(path)))
    except ValueError:
        return {}
