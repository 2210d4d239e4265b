"""The layers of the package: each module imports only from its own layer and those above it.

Imports are read from the text, so that those inside functions are seen as well.  What is
for type checkers only is not an import.
"""

import ast
import builtins
import re
import sys
from pathlib import Path

import pytest

import fsspec
from fsspec.registry import known_implementations

TOP = Path(fsspec.__file__).parent

LAYERS = {
    "values": "_public _overriding _similar exceptions config callbacks compression dircache utils _version"
    " _paths _spans _error_notes _entry_points",
    "process": "_fork _loop fork",
    "files": "caching prefetcher _files",
    "algorithms": "_plans",
    "contract": "transaction spec asyn archive _spec",
    "API": "registry core mapping generic json parquet fuse gui conftest forkcheck doctor _checks __init__"
    " _instances _openfile",
    "backends": "implementations cache",
    "proof": "tests",
}
OWNS = {
    "values": "values and the algebra of paths; no threads, no event loop",
    "process": "what a fork means; the one event loop, its thread, and the bridge from blocking callers",
    "files": "reading ahead, keeping blocks, buffering what is written, replacing files",
    "algorithms": "walking, finding, matching, expanding, copying, without I/O",
    "contract": "what a filesystem is, blocking and awaitable",
    "API": "how users come in",
    "backends": "one family of protocols a module; a backend uses another through the registry only",
    "proof": "tests, and the tests that authors of backends subclass",
}
"""What each layer is for."""

ORDER = list(LAYERS)
PLACE = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}

LATER = {
    ("compression", "_files.snappy"): "a codec, which is a buffered file; made when it is asked for",
    ("utils", "_files.replacing"): "a file that a forked child leaves alone; only where files are written",
    ("_paths.urls", "registry"): "a protocol's own way to strip a path is that of its class",
    ("_plans.transfers", "registry"): "the local side of an upload is a filesystem as well",
    ("_spec.identity", "json"): "a filesystem as JSON: the API's form, asked of the filesystem",
    ("_spec.many_paths", "mapping"): "fs.get_mapper",
    ("fork", "doctor"): "what a program requires at its start is diagnosed as for its user",
}
"""Imports inside functions from layers below, and why they are there."""

BACKENDS = {
    ("implementations.http_sync", "implementations.http"): "the same protocols, given back by unregister()"
}
"""Backends that know another by its module and not by its protocol, and why."""


def modules():
    """All modules but tests, by their name below the package."""
    for path in sorted(TOP.rglob("*.py")):
        name = path.relative_to(TOP).with_suffix("").as_posix().replace("/", ".")
        if "tests" not in name.split("."):
            yield name.removesuffix(".__init__"), path


def layer(name):
    """The layer of a module, by the first part of its name."""
    found = PLACE.get(name.split(".")[0])
    assert found, f"{name} is in no layer: name one in {__name__}"
    return found


def for_checkers(node):
    """Whether a statement is ``if TYPE_CHECKING``, also as a part of a condition."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path):
    """Whole names of imported modules, and whether that is inside a function."""

    def visit(node, inside):
        if for_checkers(node):
            nodes = node.orelse
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, inside
            return
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", inside
            return
        else:
            nodes = ast.iter_child_nodes(node)
            inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in nodes:
            yield from visit(child, inside)

    yield from visit(ast.parse(path.read_text(encoding="utf8")), False)


def ours(name):
    """The module of the package that an imported name is or comes from; None of others."""
    parts = name.split(".")
    if parts[0] != "fsspec":
        return None
    for n in range(len(parts), 1, -1):
        if TOP.joinpath(*parts[1:n]).with_suffix(".py").exists():
            return ".".join(parts[1:n])
        if TOP.joinpath(*parts[1:n], "__init__.py").exists():
            return ".".join(parts[1:n])
    return "__init__"


MODULES = dict(modules())
SERVING = {
    entry["class"].removeprefix("fsspec.").rpartition(".")[0] for entry in known_implementations.values()
}


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_only_from_above(name):
    """When it is loaded; and inside functions, where no reason is given."""
    own = ORDER.index(layer(name))
    for imported, inside in imports(MODULES[name]):
        target = ours(imported)
        if target is None or ORDER.index(layer(target)) <= own:
            continue
        below = f"{name} ({layer(name)}) imports {target} ({layer(target)})"
        assert inside, f"{below} as it is loaded"
        assert (name, target) in LATER, f"{below} in a function, without a reason"


def by_hand(tree):
    """What `fsspec._fork` is there for: asking for generations, owners by pid, classes that are replaced."""
    for node in ast.walk(tree):
        parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if any("generation" in ast.unparse(part) for part in parts):
            yield node
        elif isinstance(node, ast.Attribute) and node.attr in ("generation", "owner_pids", "made_in"):
            yield node
        elif isinstance(node, ast.Attribute) and node.attr == "__class__" and isinstance(node.ctx, ast.Store):
            yield node
        elif isinstance(node, ast.Call) and any(getattr(a, "value", "") == "__class__" for a in node.args):
            yield node


@pytest.mark.parametrize("name", MODULES)
def test_a_process_is_told_from_another_in_one_place(name):
    """There is one way to own something, and one to give an inherited object another class."""
    found = [ast.unparse(node) for node in by_hand(ast.parse(MODULES[name].read_text(encoding="utf8")))]
    if name == "_fork" or name.startswith("_fork."):
        return
    allowed = {
        "_public": ["sys.modules[module].__class__"],  # a module is no object of one process
        "fork": ["hooks.generation"],  # what the public function gives
        "forkcheck": ["hooks.owner_pids"],  # whether this process is the first
    }
    assert found == allowed.get(name, []), "fsspec._fork.owned and variants do that"


def test_the_documentation_has_the_same_table():
    """And each file that its journeys and words name is there."""
    page = TOP.parent.joinpath("docs", "how.rst").read_text(encoding="utf8")
    text = " ".join(page.replace(" * - ", " - ").split())
    for name, listed in LAYERS.items():
        shown = " ".join(f"``{m}``" for m in listed.split() if m != "_version")
        assert f" - {name} - {shown} - {OWNS[name]}" in text
    for named in re.findall(r"``([\w/]+\.py)``", page):
        place = TOP.parent if named.startswith("fsspec/") else TOP
        assert any((place / folder / named).exists() for folder in ("", "implementations")), named


def test_reasons_are_of_use():
    """A reason whose import has gone goes as well."""
    made = {(name, ours(i)) for name, path in MODULES.items() for i, _ in imports(path)}
    assert {*LATER, *BACKENDS} <= made


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("implementations.")])
def test_backend_uses_another_through_the_registry(name):
    """Only what serves no protocol (private modules, bases) is imported."""
    for imported, _ in imports(MODULES[name]):
        target = ours(imported)
        if target is None or not target.startswith("implementations."):
            continue
        assert target not in SERVING or (name, target) in BACKENDS, f"{name} imports {target}"


@pytest.mark.parametrize("name", [m for m in MODULES if not m.startswith("implementations")])
def test_core_needs_only_the_standard_library(name):
    """As it is loaded; values need neither threads nor asyncio."""
    if name in ("conftest", "gui", "fuse", "parquet"):
        pytest.skip("for those who have the package that it is about")
    for imported, inside in imports(MODULES[name]):
        first = imported.split(".")[0]
        if inside or first == "fsspec":
            continue
        assert first in sys.stdlib_module_names, f"{name} imports {imported}"
        if layer(name) == "values":
            assert first not in ("asyncio", "threading", "concurrent"), f"{name} imports {imported}"


def test_one_place_hears_of_forks():
    """``os.register_at_fork`` is called in one module."""
    callers = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Call) and "register_at_fork" in ast.unparse(node.func):
                callers.add(name)
    assert callers == {"_fork.hooks"}


def unexplained(path):
    """Lines that switch a check off, or catch all errors, without a reason there or above."""
    text = path.read_text(encoding="utf8")
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.search(r"# (noqa|pragma|type: ignore)[^#]*$", line):
            yield number
    for node in ast.walk(ast.parse(text)):
        caught = []
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type] if node.type else [ast.Name("BaseException")]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = node.args
        if any(re.search(r"\b(Base)?Exception\b", ast.unparse(kind)) for kind in caught):
            if "#" not in lines[node.lineno - 1] + lines[node.lineno]:
                yield node.lineno - 1


@pytest.mark.parametrize("name", MODULES)
def test_an_exception_to_the_checks_has_its_reason_beside_it(name):
    lines = MODULES[name].read_text(encoding="utf8").splitlines()
    found = [n for n in unexplained(MODULES[name]) if not lines[n - 1].lstrip().startswith("#")]
    assert not [f"{n + 1}: {lines[n]}" for n in found]


REFERENCE = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)(?:\(\))?`(?![`_])")


@pytest.fixture(scope="module")
def names():
    """Every name in the package that does not stand as a reference, and every module and folder of it."""
    found = {*dir(builtins), *sys.stdlib_module_names}
    for path in TOP.rglob("*.py"):
        found.update(path.relative_to(TOP.parent).with_suffix("").parts)
        found.update(re.findall(r"\w+", REFERENCE.sub("", path.read_text(encoding="utf8"))))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_what_a_text_refers_to_is_there(name, names):
    """Names in single backquotes, in docstrings and comments, follow renaming and moving."""
    for referred in REFERENCE.findall(MODULES[name].read_text(encoding="utf8")):
        assert names.issuperset(referred.split(".")), f"`{referred}`"
