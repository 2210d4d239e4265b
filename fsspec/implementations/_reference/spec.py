"""Documents of references, in the two versions that there are.

Version 0 is an object of references by key.  Version 1 names itself, and holds
``refs`` (as in version 0), ``templates`` (texts that URLs may contain as ``{{name}}``)
and ``gen`` (references made by counting through dimensions)::

    {"version": 1,
     "templates": {"u": "s3://bucket/data", "f": "{{u}}/{{year}}.nc"},
     "gen": [{"key": "x/{{i}}", "url": "{{f(year=i)}}", "offset": "{{i * 100}}", "length": "100",
              "dimensions": {"i": {"stop": 10}}}],
     "refs": {"y": ["{{u}}/y", 0, 10]}}

``{{name}}`` is replaced here; anything more within the braces is an expression of jinja2,
evaluated in its sandbox, for documents come from anywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from fsspec.implementations._http.parsing import redact_url
from fsspec.implementations._reference.parsing import as_text

_NAME = re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}")


def decoded(blob: bytes, name: str) -> dict[str, Any]:
    """The object that a JSON text holds.

    Parameters
    ----------
    name
        of the file, for messages

    Raises
    ------
    ValueError
        if it is no JSON, or no object.
    """
    try:
        document = json.loads(blob)
    except ValueError as error:
        raise ValueError(f"{redact_url(name)} is no file of references, it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(
            f"{redact_url(name)} is no file of references: it holds a JSON {type(document).__name__}"
        )
    return document


def textual(document: dict[str, Any]) -> dict[str, Any]:
    """A document whose contents in bytes are texts, for JSON."""
    refs = document.get("refs")
    if isinstance(refs, dict) and "version" in document:
        return {**document, "refs": textual(refs)}
    return {key: as_text(value) if isinstance(value, bytes) else value for key, value in document.items()}


class Document:
    """The references of a document, and its templates.

    Parameters
    ----------
    content
        the document
    overrides
        templates that replace those of the document

    Raises
    ------
    ValueError
        for a version that is not known, references of no sense, a template that is not there.
    ImportError
        if an expression needs jinja2 and it is not installed.
    """

    def __init__(self, content: Mapping[str, Any], overrides: Mapping[str, Any] | None) -> None:
        self.templates: dict[str, Any] = {}
        version = content.get("version")
        if version is None or isinstance(version, (list, dict, bytes)):  # a key like another
            self.references = _texts(content)
            return
        if version != 1:
            raise ValueError(f"references of version {version!r} are not known, only 1 and those without")
        refs = _member(content, "refs")
        given = {**_member(content, "templates"), **(overrides or {})}
        self._renderer = _Renderer({name: text for name, text in given.items() if "{{" not in str(text)})
        self.templates = {name: self._renderer.template(name, text) for name, text in given.items()}
        self.references = self._rendered(refs) if given else _texts(refs)
        for position, entry in enumerate(content.get("gen") or ()):
            self._generate(position, entry)

    def _rendered(self, refs: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, str] = {}  # many references have the same URL
        out = {}
        for key, value in refs.items():
            if isinstance(value, list) and value and isinstance(value[0], str) and "{{" in value[0]:
                text = value[0]
                url = known.get(text)
                if url is None:
                    what = f"reference {key!r}"
                    url = known[text] = self._renderer.render(text, self.templates, what)
                value = [url, *value[1:]]
            elif isinstance(value, dict):
                value = json.dumps(value)
            out[key] = value
        return out

    def _generate(self, position: int, entry: Any) -> None:
        what = f"'gen' number {position}"
        if not isinstance(entry, dict) or not {"key", "url", "dimensions"} <= entry.keys():
            raise ValueError(f"{what} has to be an object with 'key', 'url' and 'dimensions'")
        if ("offset" in entry) != ("length" in entry):
            raise ValueError(f"{what} ({entry['key']}) needs 'offset' and 'length', or neither")
        for values in _positions(what, entry["dimensions"]):
            names = {**self.templates, **values}
            key = self._renderer.render(entry["key"], names, what)
            url = self._renderer.render(entry["url"], names, what)
            made: list[Any] = [url]
            for name in ("offset", "length"):
                if name not in entry:
                    continue
                text = entry[name]
                number = text if isinstance(text, int) else self._renderer.render(text, names, what)
                try:
                    made.append(int(number))
                except ValueError:
                    raise ValueError(f"{what}: the {name} of {key!r} is {number!r}, not a number") from None
            self.references[key] = made


def _member(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{name!r} of a document of references is a {type(found).__name__}, not an object")
    return found


def _texts(refs: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, in which objects are their JSON text."""
    if not {str}.issuperset(map(type, refs)):
        bad = next(key for key in refs if type(key) is not str)
        if not isinstance(bad, str):
            raise ValueError(f"the key of a reference is a text, not {bad!r}")
    if dict not in set(map(type, refs.values())):
        return dict(refs)
    return {key: json.dumps(value) if isinstance(value, dict) else value for key, value in refs.items()}


def _positions(what: str, dimensions: Any) -> Iterator[dict[str, Any]]:
    """Values of the dimensions by name, for each combination of them."""
    if not isinstance(dimensions, dict):
        raise ValueError(f"{what}: 'dimensions' has to be an object, not a {type(dimensions).__name__}")
    axes: list[Iterable[Any]] = []
    for name, axis in dimensions.items():
        if isinstance(axis, list):
            axes.append(axis)
        elif isinstance(axis, dict) and isinstance(axis.get("stop"), int):
            axes.append(range(axis.get("start", 0), axis["stop"], axis.get("step", 1)))
        else:
            raise ValueError(f"{what}: the dimension {name!r} has to be a list, or an object with 'stop'")
    for values in product(*axes):
        yield dict(zip(dimensions, values))


class _Renderer:
    """Replaces what stands in double braces.

    Parameters
    ----------
    texts
        templates without parameters, which the others may contain
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self._environment: Any = None
        self._compiled: dict[str, Any] = {}

    def template(self, name: str, text: Any) -> Any:
        """What a template stands for: a text; or, if it has parameters, a function of them."""
        if not isinstance(text, str):
            raise ValueError(f"the template {name!r} has to be a text, not a {type(text).__name__}")
        if "{{" not in text:
            return text
        return self._function(name, text)

    def _function(self, name: str, text: str) -> Callable[..., str]:
        def render(**names: Any) -> str:
            return self.render(text, {**self.texts, **names}, f"the template {name!r}")

        return render

    def render(self, text: Any, names: Mapping[str, Any], what: str) -> str:
        """``text`` with names replaced.

        Raises
        ------
        ValueError
            if one is not known, or an expression makes no sense; with ``what`` it is for.
        """
        if not isinstance(text, str):
            raise ValueError(f"{what}: a text is needed, not {text!r}")

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name not in names:
                known = ", ".join(map(str, names)) or "none"
                raise ValueError(
                    f"{what}: the template {name!r} in {text!r} is not known; there are: {known}"
                )
            found = names[name]
            return found(**_without_functions(names)) if callable(found) else str(found)

        plain = _NAME.sub(value, text)
        rest = _NAME.sub("", text)
        if "{{" not in rest and "{%" not in rest:
            return plain
        return self._by_jinja(text, names, what)

    def _by_jinja(self, text: str, names: Mapping[str, Any], what: str) -> str:
        try:
            from jinja2 import StrictUndefined, TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise ImportError(
                f"{what}: {text!r} is more than the name of a template, and needs jinja2: pip install jinja2"
            ) from error
        if self._environment is None:
            self._environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        try:
            compiled = self._compiled.get(text)
            if compiled is None:
                compiled = self._compiled[text] = self._environment.from_string(text)
            return compiled.render(**names)
        except (TemplateError, ArithmeticError, TypeError) as error:
            raise ValueError(f"{what}: {text!r} cannot be evaluated: {error}") from error


def _without_functions(names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if not callable(value)}
