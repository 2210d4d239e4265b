"""The public API of the package ``fsspec`` on the path, as JSON: ``python inventory.py``.

A name is that of a module, or of what is in it: ``fsspec.spec.AbstractFileSystem.ls``. Its value says
all that a program can rely on: the parameters of a function with their defaults, the bases of a class,
the value of a constant. What a module only imported from elsewhere is left out, and so are the tests.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from typing import Any

_SIMPLE = (str, int, float, bool, bytes, type(None))


def parameters(function: Any) -> str:
    """The parameters of a function, without annotations."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    bare = [p.replace(annotation=p.empty, default=_default(p)) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


class _Kind:
    """Stands for a default that has no short text: a function, a class, the environment."""

    def __init__(self, found: Any) -> None:
        named = inspect.isclass(found) or inspect.isroutine(found)
        self.name = (found if named else type(found)).__qualname__

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _default(parameter: inspect.Parameter) -> Any:
    found = parameter.default
    plain = found is parameter.empty or isinstance(found, _SIMPLE)
    return found if plain or found in ((), [], {}) else _Kind(found)


def described(found: Any) -> str:
    """What a program can rely on, of a member of a module or class."""
    if isinstance(found, (staticmethod, classmethod)):
        return f"{type(found).__name__} {parameters(found.__func__)}"
    if inspect.isroutine(found) or hasattr(found, "_fixture_function"):
        kind = "async def" if inspect.iscoroutinefunction(found) else "def"
        return f"{kind} {parameters(found)}"
    if isinstance(found, property) or inspect.isdatadescriptor(found):
        return "attribute"
    if isinstance(found, _SIMPLE):
        return f"= {found!r}"
    return "attribute"


def of_class(cls: type) -> dict[str, str]:
    """A class and its own and inherited public members, those of the standard library apart."""
    bases = [
        base.__name__ for base in cls.__mro__[1:] if base is not object and not base.__name__.startswith("_")
    ]
    entries = {"": f"class({', '.join(bases)})"}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] != "fsspec":
            continue
        for name, member in vars(base).items():
            if not name.startswith("__") or name in ("__init__", "__call__", "__enter__", "__getitem__"):
                entries[f".{name}"] = described(member)
    return {name: text for name, text in entries.items() if not name.startswith("._")}


def of_module(module: Any) -> dict[str, str]:
    """What a module offers: what it defines, and what its ``__all__`` names."""
    entries = {module.__name__: "module"}
    offered = set(getattr(module, "__all__", ()))
    for name, found in vars(module).items():
        if name.startswith("_") or inspect.ismodule(found):
            continue
        home = getattr(found, "__module__", None)
        if name not in offered and isinstance(home, str) and not home.startswith("fsspec"):
            continue
        if inspect.isclass(found):
            for suffix, text in of_class(found).items():
                entries[f"{module.__name__}.{name}{suffix}"] = text
        else:
            entries[f"{module.__name__}.{name}"] = described(found)
    return entries


def inventory() -> dict[str, str]:
    """All modules that can be imported here; those that cannot are entries that say why."""
    package = importlib.import_module("fsspec")
    entries = of_module(package)
    for info in pkgutil.walk_packages(package.__path__, "fsspec."):
        parts = info.name.split(".")
        if (
            "tests" in parts
            and parts[:3] != ["fsspec", "tests", "abstract"]
            or any(p.startswith("_") for p in parts)
        ):
            continue
        try:
            entries.update(of_module(importlib.import_module(info.name)))
        except ImportError as error:
            entries[info.name] = f"module that needs {error.name}"
    protocols = importlib.import_module("fsspec").available_protocols()
    known = importlib.import_module("fsspec.core").get_filesystem_class.__globals__["known_implementations"]
    for protocol in protocols:
        where = known.get(protocol, {}).get("class", "")
        entries[f"protocol {protocol}"] = str(where)
    return entries


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    json.dump(inventory(), sys.stdout, indent=1, sort_keys=True)
