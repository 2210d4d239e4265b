"""Documents of references, in the two versions that there are.

Version 0 is an object of references by key.  Version 1 names itself, and holds
``refs`` (as in version 0), ``templates`` (texts that URLs may contain as ``{{name}}``)
and ``gen`` (references made by counting through dimensions)::

    {"version": 1,
     "templates": {"u": "s3://bucket/data", "f": "{{u}}/{{year}}.nc"},
     "gen": [{"key": "x/{{i}}", "url": "{{f(year=i)}}", "offset": "{{i * 100}}", "length": "100",
              "dimensions": {"i": {"stop": 10}}}],
     "refs": {"y": ["{{u}}/y", 0, 10]}}

``{{name}}`` is replaced here.  Anything more within the braces, and ``gen``, is evaluated by
jinja2 in its sandbox, and only if the program asks for it: documents come from anywhere.
What can be evaluated is bounded, see `templates`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Any

from fsspec._paths.paths import type_name
from fsspec._paths.redaction import redact_url
from fsspec.implementations._reference.parsing import as_text, object_text
from fsspec.implementations._reference.templates import Renderer

MOST_GENERATED = 10**7
"""References that the dimensions of one ``gen`` entry may make."""


def decoded(blob: bytes, name: str) -> dict[str, Any]:
    """The object that a JSON text holds. ``name``: of the file, for messages. Raises ValueError if it is no
    JSON, or no object."""
    try:
        document = json.loads(blob)
    except RecursionError as error:
        raise ValueError(f"{redact_url(name)} is not a file of references, it is nested too deep") from error
    except ValueError as error:
        raise ValueError(f"{redact_url(name)} is not JSON, as references are: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(
            f"{redact_url(name)} is not a file of references: it holds a JSON {type(document).__name__}"
        )
    return document


def textual(document: dict[str, Any]) -> dict[str, Any]:
    """A document whose contents in bytes are texts, for JSON."""
    refs = document.get("refs")
    if isinstance(refs, dict) and "version" in document:
        return {**document, "refs": textual(refs)}
    return {
        key: as_text(key, value) if isinstance(value, bytes) else value for key, value in document.items()
    }


class Document:
    """The references of a document, and its templates.

    ``content``: the document.
    ``overrides``: templates that replace those of the document.
    ``simple``: only names of templates are replaced: ``gen`` is passed over, and an expression is an error.
    Raises ValueError for a version that is not known, references that make no sense, a template that is not
        there, or one that is not simple; the latter two are KeyErrors as well.
    Raises ImportError if an expression needs jinja2 and it is not installed.
    """

    def __init__(
        self, content: Mapping[str, Any], overrides: Mapping[str, Any] | None, simple: bool = False
    ) -> None:
        self.templates: dict[str, Any] = {}
        version = content.get("version")
        if version is None or isinstance(version, (list, dict, bytes)):  # a key like another
            self.references = _as_texts(content)
            return
        if version != 1:
            raise ValueError(f"references of version {version!r} are not known, only 1 and those without")
        refs = _member(content, "refs")
        given = {**_member(content, "templates"), **(overrides or {})}
        texts = {name: text for name, text in given.items() if isinstance(text, str) and "{{" not in text}
        self._renderer = Renderer(texts, simple)
        self.templates = {name: self._renderer.template(name, text) for name, text in given.items()}
        self.references = self._rendered(refs) if given else _as_texts(refs)
        generated = content.get("gen") or []
        if not isinstance(generated, (list, tuple)):
            raise ValueError(f"'gen' of a document of references is {type_name(generated)}, not a list")
        if not simple:
            for position, entry in enumerate(generated):
                self._generate(position, entry)

    def _rendered(self, refs: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, str] = {}  # many references have the same URL
        out = {}
        _check_keys(refs)
        for key, value in refs.items():
            if isinstance(value, list) and value and isinstance(value[0], str) and "{{" in value[0]:
                text = value[0]
                url = known.get(text)
                if url is None:
                    what = f"reference {key!r}"
                    url = known[text] = self._renderer.render(text, self.templates, what)
                value = [url, *value[1:]]
            elif isinstance(value, dict):
                value = object_text(key, value)
            out[key] = value
        return out

    def _generate(self, position: int, entry: object) -> None:
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
        raise ValueError(f"{name!r} of a document of references is {type_name(found)}, not an object")
    return found


def _check_keys(refs: Mapping[str, Any]) -> None:
    if not {str}.issuperset(map(type, refs)):
        bad = next(key for key in refs if type(key) is not str)
        if not isinstance(bad, str):
            raise ValueError(f"the key of a reference is a text, not {bad!r}")


def _as_texts(refs: Mapping[str, Any]) -> dict[str, Any]:
    """A copy, in which objects are their JSON text."""
    _check_keys(refs)
    if dict not in set(map(type, refs.values())):
        return dict(refs)
    return {key: object_text(key, value) if isinstance(value, dict) else value for key, value in refs.items()}


def _positions(what: str, dimensions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Values of the dimensions by name, for each combination of them. Raises ValueError if they make no
    sense, or more than `MOST_GENERATED` combinations."""
    if not isinstance(dimensions, dict):
        raise ValueError(f"{what}: 'dimensions' has to be an object, not {type_name(dimensions)}")
    axes: list[Any] = []
    for name, axis in dimensions.items():
        if isinstance(axis, list):
            axes.append(axis)
            continue
        if not isinstance(axis, dict) or "stop" not in axis:
            raise ValueError(f"{what}: the dimension {name!r} has to be a list, or an object with 'stop'")
        try:
            axes.append(range(axis.get("start", 0), axis["stop"], axis.get("step", 1)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what}: the dimension {name!r} is not a range of numbers: {error}") from error
    count = prod(max(0, -(-(a.stop - a.start) // a.step)) if isinstance(a, range) else len(a) for a in axes)
    if count > MOST_GENERATED:
        raise ValueError(
            f"{what}: its dimensions make {count} references; {MOST_GENERATED} are the most that are made"
        )
    return (dict(zip(dimensions, values)) for values in product(*axes))
