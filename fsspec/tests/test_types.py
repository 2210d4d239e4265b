"""How much of the package's signatures says nothing: parameters and results that are a bare ``Any``.

What stays ``Any`` is what truly is not known before it runs: attributes by name, results of methods named by
a text, what backends override with a type of their own, and objects of optional packages without types.
"""

import ast
from pathlib import Path
from typing import get_type_hints

import pytest

import fsspec

TOP = Path(fsspec.__file__).parent

LIMITS = {"parameters": 0.05, "results": 0.08}


def is_any(annotation):
    """Whether an annotation is ``Any`` and nothing else."""
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def annotations():
    """What is annotated, and where, of the modules that users get; ``*args`` and ``**kwargs`` apart."""
    for path in sorted(TOP.rglob("*.py")):
        if "tests" in path.relative_to(TOP).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            for each in given:
                if each.arg not in ("self", "cls"):
                    yield "parameters", each.annotation, f"{path.name}:{node.lineno} {each.arg}"
            if node.returns is not None:
                yield "results", node.returns, f"{path.name}:{node.lineno} {node.name}"


@pytest.mark.parametrize("kind", LIMITS)
def test_few_signatures_say_nothing(kind):
    """A new ``Any`` has to be worth more than one that goes."""
    found = [(annotation, where) for of, annotation, where in annotations() if of == kind]
    bare = [where for annotation, where in found if is_any(annotation)]
    assert len(bare) <= LIMITS[kind] * len(found), bare


def test_an_instance_is_of_its_class_to_type_checkers():
    """pyright believes what the metaclass's ``__call__`` says it returns."""
    hints = get_type_hints(type(fsspec.AbstractFileSystem).__call__)
    assert hints["self"] == type[hints["return"]]


def test_whatever_transfers_takes_a_callback_or_a_text():
    """As the guide says, of every backend: awaited or not."""
    names = {"get", "put", "get_file", "put_file", "cat"}
    found = [
        (f"{path.name}:{node.lineno}", ast.unparse(each.annotation))
        for path in TOP.rglob("*.py")
        if "tests" not in path.relative_to(TOP).parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.removeprefix("_") in names
        for each in node.args.args
        if each.arg == "callback" and each.annotation is not None
    ]
    assert len(found) > 15
    assert [where for where, annotation in found if annotation != "Progress"] == []
