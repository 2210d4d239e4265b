"""Templates in documents of references: names in double braces, and expressions of jinja2.

Documents come from anywhere, so what a template may do is bounded, whoever wrote it: a text of at
most `LONGEST` characters comes out, expressions know numbers, texts and the templates of the
document, and neither loops, methods nor what jinja2 offers besides.  What goes beyond raises
ValueError with the place it is in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import type_name

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 2**20
"""Characters of a text that a template makes."""
DEEPEST = 30
"""Templates that stand in each other."""
MOST_USED = 10_000
"""Templates that one text uses, directly and through others."""

_NAME = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")
_WIDE = re.compile(r"\*|[0-9]{4}")  # in a format: a width from elsewhere, or of thousands of characters
_FILTERS = frozenset("abs int float string upper lower round format length".split())
_NODES = frozenset(
    "Template Output TemplateData Name Const Add Sub Mul Div FloorDiv Mod Pow Neg Pos Concat Compare Operand"
    " And Or Not CondExpr If Call Keyword Filter Getitem".split()
)


class TemplateError(KeyError, ValueError):
    """A template that is not known, or not evaluated."""

    def __str__(self) -> str:
        return str(self.args[0])  # not its repr, as in KeyError


class Renderer:
    """Replaces what stands in double braces.

    ``texts``: templates without parameters, which the others may contain.
    ``simple``: only names are replaced, expressions are errors.
    """

    def __init__(self, texts: Mapping[str, str], simple: bool = False) -> None:
        self.texts = texts
        self.simple = simple
        self._environment: Any = None
        self._compiled: dict[str, Any] = {}
        self._depth = self._used = 0

    def template(self, name: str, text: object) -> str | Callable[..., str]:
        """What a template stands for: a text; or, if it has parameters, a function of them."""
        if not isinstance(text, str):
            raise ValueError(f"the template {name!r} has to be a text, not {type_name(text)}")
        if "{{" not in text:
            return text

        def render(**names: Any) -> str:
            return self.render(text, {**self.texts, **names}, f"the template {name!r}")

        return render

    def render(self, text: object, names: Mapping[str, Any], what: str) -> str:
        """``text`` with names replaced. Raises ValueError if one is not known, an expression makes no sense,
        or it exceeds the bounds; with ``what`` it is for."""
        if not isinstance(text, str):
            raise ValueError(f"{what}: a text is needed, not {text!r}")
        self._used = self._used + 1 if self._depth else 0
        if self._depth >= DEEPEST:
            raise ValueError(f"{what}: templates stand in each other more than {DEEPEST} times")
        if self._used > MOST_USED:
            raise ValueError(f"{what}: more than {MOST_USED} templates are used for one text")
        self._depth += 1
        try:
            rest = _NAME.sub("", text)
            if "{{" not in rest and "{%" not in rest:
                return self._joined(self._by_name(text, names, what), text, what)
            if self.simple:
                raise TemplateError(
                    f"{what}: {text!r} is more than the name of a template, and is only evaluated with "
                    "simple_templates=False"
                )
            return self._by_jinja(text, names, what)
        finally:
            self._depth -= 1

    def _by_name(self, text: str, names: Mapping[str, Any], what: str) -> Iterable[str]:
        at = 0
        for match in _NAME.finditer(text):
            name = match[1]
            if name not in names:
                known = ", ".join(map(str, names)) or "none"
                raise TemplateError(
                    f"{what}: the template {name!r} in {text!r} is not known; there are: {known}"
                )
            found = names[name]
            yield text[at : match.start()]
            plain = {name: value for name, value in names.items() if not callable(value)}
            yield str(found(**plain) if callable(found) else found)
            at = match.end()
        yield text[at:]

    def _joined(self, parts: Iterable[str], text: str, what: str) -> str:
        made, length = [], 0
        for part in parts:
            made.append(part)
            length += len(part)
            if length > LONGEST:
                raise ValueError(f"{what}: {text!r} makes a text of more than {LONGEST} characters")
        return "".join(made)

    def _by_jinja(self, text: str, names: Mapping[str, Any], what: str) -> str:
        try:
            from jinja2 import TemplateError as JinjaError
        except ImportError as error:
            raise ImportError(
                f"{what}: {text!r} is more than the name of a template, and needs jinja2: pip install jinja2"
            ) from error
        try:
            compiled = self._compiled.get(text)
            if compiled is None:
                if self._environment is None:
                    self._environment = _environment()
                _check(self._environment.parse(text))
                compiled = self._compiled[text] = self._environment.from_string(text)
            return self._joined(compiled.generate(**names), text, what)
        except ZeroDivisionError as error:
            raise DivisionByZero(f"{what}: {text!r} cannot be evaluated: {error}") from error
        except (JinjaError, ArithmeticError, TypeError, RecursionError, _Refused) as error:
            raise ValueError(f"{what}: {text!r} cannot be evaluated: {error}") from error


class DivisionByZero(ValueError, ZeroDivisionError):
    """A template that divides by zero."""


class _Refused(Exception):
    """Something that a template must not do."""


def _check(tree: nodes.Template) -> None:
    """Refuse what templates have no need of, and what has no bounds."""
    from jinja2 import nodes

    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        if isinstance(node, nodes.Getattr):
            allowed = node.attr == "format" and _is_format(node.node)
        elif isinstance(node, nodes.Call):
            allowed = isinstance(node.node, (nodes.Name, nodes.Getattr))
            allowed = allowed and not node.dyn_args and not node.dyn_kwargs
        elif isinstance(node, nodes.Filter):
            allowed = node.name in _FILTERS and (node.name != "format" or _is_format(node.node))
        else:
            allowed = kind in _NODES
        if not allowed:
            name = getattr(node, "name", getattr(node, "attr", ""))
            raise _Refused(f"{kind} {name}".rstrip() + " is not for templates of references")


def _is_format(node: object) -> bool:
    """Whether a node is a literal text; raises _Refused if formatting it could give a huge result."""
    text = getattr(node, "value", None)
    if isinstance(text, str):
        _check_format(text)
    return isinstance(text, str)


def _check_format(text: str) -> None:
    if _WIDE.search(text) or re.search(r"\{[^{}]*\{", text):
        raise _Refused(f"the format {text!r} is too wide")


def _environment() -> ImmutableSandboxedEnvironment:
    """A sandbox of jinja2 in which no operation makes a huge result of small operands."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Bounded(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(["*", "**", "%"])

        def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
            if operator == "%" and isinstance(left, str):
                _check_format(left)
            elif operator != "%":
                _check_size(operator, left, right)
            return super().call_binop(context, operator, left, right)

    made = Bounded(undefined=StrictUndefined)
    made.globals.clear()
    return made


def _check_size(operator: str, left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if not isinstance(one, (int, float)):
            if not isinstance(other, int) or len(one) * other > LONGEST:
                raise _Refused(f"{operator!r} makes too much of {str(one)[:30]!r}")
            return
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() + right.bit_length()
        if operator == "**":
            bits = left.bit_length() * abs(right)
        if bits > 4096:
            raise _Refused(f"the number that {operator!r} makes is too large")
