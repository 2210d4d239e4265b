"""What two runs of a program show that is not the same, by names that group it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

RANKS = {
    "hang": 0,
    "crash": 0,
    "escape": 0,
    "value": 0,
    "content": 0,
    "order": 2,
    "errno": 2,
    "filename": 2,
    "warning": 2,
}


BULK = "get put cp copy mv move rm cat expand_path pipe".split()


@dataclass
class Found:
    """A difference: where, of which kind, and what each side showed."""

    step: int | None
    method: str
    kind: str
    shape: str
    reference: Any
    candidate: Any

    def signature(self, setup: str) -> str:
        return f"{setup} | {self.method} | {self.kind} | {self.shape}"

    @property
    def rank(self) -> int:
        """0 another result, 1 refused or more asked for, 2 another error, 3 works where upstream fails."""
        if self.kind != "exception":
            return RANKS.get(self.kind, 1)
        before, after = (
            name[:1].isupper() and name != "None" for name in re.split("->", self.shape, maxsplit=1)
        )
        return 2 if before and after else 3 if before else 1


def kind_of(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["type"] if value["$"] in ("raises", "volatile") else value["$"])
    return "None" if value is None else type(value).__name__


def raised(value: Any) -> bool:
    return isinstance(value, dict) and value.get("$") == "raises"


def canonical(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(canonical, value), key=lambda v: json.dumps(v, sort_keys=True))
    return {k: canonical(v) for k, v in value.items()} if isinstance(value, dict) else value


def errors(a: Any, b: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if a["type"] not in b["isa"]:
        yield "exception", f"{where}{a['type']}->{b['type']}"
        return
    for name in ("errno", "filename"):
        if a.get(name) is not None and a[name] != b[name]:
            yield name, f"{where}{a['type']}" + (f" {a[name]}->{b[name]}" if name == "errno" else "")


def values(a: Any, b: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """What differs, as kind and shape: the first of what an iterable has."""
    if canonical(a) == canonical(b):
        if a != b and where == "" and isinstance(a, list):
            yield "order", "list"
        return
    if raised(a) and raised(b):
        yield from errors(a, b, where)
    elif raised(a) or raised(b):
        yield "exception", f"{where}{kind_of(a)}->{kind_of(b)}"
    elif kind_of(a) != kind_of(b):
        yield "value", f"{where}{kind_of(a)}->{kind_of(b)}"
    elif isinstance(a, list) or isinstance(a, dict) and a["$"] != "dict" and isinstance(a.get("value"), list):
        a, b = (v if isinstance(v, list) else v["value"] for v in (a, b))
        if len(a) != len(b):
            yield "value", f"{where}list {'fewer' if len(b) < len(a) else 'more'} items"
            return
        texts = [[json.dumps(canonical(v), sort_keys=True) for v in side] for side in (a, b)]
        rest = [
            [v for v, text in zip(side, own) if text not in other]
            for side, own, other in zip((a, b), texts, texts[::-1])
        ]
        for x, y in zip(*rest):
            yield from values(x, y, where + "[]")
            return
    elif isinstance(a, dict) and a["$"] == "dict":
        x, y = ({json.dumps(k): v for k, v in side["value"]} for side in (a, b))
        less, more = sorted(x.keys() - y.keys()), sorted(y.keys() - x.keys())
        entry = '"name"' in x
        if less or more:
            names = ",".join(json.loads(k) for k in less + more) if entry else "keys"
            yield "value", f"{where}dict {'lacks' if less else 'has more'} {names}"
        for key in x.keys() & y.keys():
            if any(values(x[key], y[key])):
                yield from values(x[key], y[key], f"{where}[{json.loads(key)}]" if entry else where + "{}")
                return
    elif isinstance(a, dict) and a["$"] == "file":
        for name in a:
            if a[name] != b.get(name):
                yield from values(a[name], b.get(name), f"{where}file.{name}:")
    elif isinstance(a, dict) and "isa" in a:
        if lost := [name for name in a["isa"] if name not in b["isa"]]:
            yield "class", f"{where}{kind_of(a)} is no {lost[0]}"
    elif isinstance(a, str) or isinstance(a, dict) and isinstance(a.get("value"), str):
        x, y = (side if isinstance(side, str) else side["value"] for side in (a, b))
        shape = "shorter" if len(y) < len(x) else "longer" if len(y) > len(x) else "other"
        shape = {"b''": "empty"}.get(y, "not empty" if x == "b''" else shape)
        yield "value", f"{where}{kind_of(a)} {shape}"
    elif isinstance(a, bool):
        yield "value", f"{where}{a}->{b}"
    else:
        yield "value", f"{where}{kind_of(a)} other"


def method_of(step: str) -> str:
    """The method that a step is about."""
    if step.startswith("f = fs.open"):
        return "open"
    found = re.search(r"\b(f|fs|m|fsspec)\.(\w+)", re.sub(r"^m = fs\.get_mapper", "", step))
    if found is None or found[1] == "fsspec":
        return "mapping" if step.startswith("m = ") else found[2] if found else "step"
    return {"f": "open.", "m": "mapping.", "fs": ""}[found[1]] + found[2]


def outcomes(step: str, a: Any, b: Any) -> Iterator[tuple[str, str, Any, Any]]:
    """Of one step; a name that is not there was to be made by a step before."""
    if "NameError" in (side.get("error", {}).get("type") for side in (a, b)):
        return
    x, y = (side.get("error", side.get("value")) for side in (a, b))
    for kind, shape in values(x, y):
        if kind != "filename" or method_of(step) not in BULK:  # one of many, which fail in any order
            yield kind, shape, x, y
    if a["warnings"] != b["warnings"]:
        names = [",".join(side["warnings"]) or "-" for side in (a, b)]
        yield "warning", "->".join(names), a["warnings"], b["warnings"]


def trees(a: dict[str, Any], b: dict[str, Any]) -> str:
    words = {
        "lacks": a.keys() - b.keys(),
        "has more": b.keys() - a.keys(),
        "other content": {k for k in a.keys() & b.keys() if a[k] != b[k]},
    }
    return " & ".join(word for word, names in words.items() if names)


def ends(
    program: dict[str, Any], a: dict[str, Any], b: dict[str, Any]
) -> Iterator[tuple[str, str, Any, Any]]:
    """What is seen at the end of a program."""
    for store in ("memory", "local", "server"):
        if words := trees(a[store], b[store]):
            x, y = a[store], b[store]
            only = [{k: v for k, v in one.items() if other.get(k, 0) != v} for one, other in ((x, y), (y, x))]
            yield "content", f"{store} {words}", only[0], only[1]
    if len(b["requests"]) > len(a["requests"]) and "fork" not in program:
        more = Counter(r.split()[0] for r in b["requests"]) - Counter(r.split()[0] for r in a["requests"])
        yield "cost", f"more requests: {','.join(sorted(more))}", a["requests"], b["requests"]
    noise = [[line for line in side["noise"].splitlines() if line.strip()] for side in (a, b)]
    if len(noise[1]) > len(noise[0]):
        yield "noise", re.sub(r"[^A-Za-z ]+", "", noise[1][-1])[:50], a["noise"], b["noise"]


def runs(program: dict[str, Any], a: dict[str, Any], b: dict[str, Any]) -> list[Found]:
    """All differences of two runs; none where the guard has stopped the reference."""
    steps, found = program["steps"], []
    listed_anyhow = program["server"] in ("sftp", "smb", "ftp", "webhdfs")
    if a.get("refused"):
        return []
    if b.get("refused"):
        found.append(Found(None, "end", "escape", "writes outside its folder", [], b["refused"]))
    for number, (x, y) in enumerate(zip(a["steps"], b["steps"])):
        found += [Found(number, method_of(steps[number]), *what) for what in outcomes(steps[number], x, y)]
        found = [each for each in found if each.kind != "order" or not listed_anyhow]
        if found and found[-1].step == number:  # what comes behind may be its consequence
            return found
    for word, has in (
        ("hang", lambda s: s["hang"]),
        ("crash", lambda s: not s["hang"] and "memory" not in s),
    ):
        if has(a) or has(b):
            at = min(len(a["steps"]), len(b["steps"]), len(steps) - 1)
            if has(a) != has(b):
                which = "only reference" if has(a) else "only candidate"
                found.append(Found(at, method_of(steps[at]), word, which, a["noise"], b["noise"]))
            return found
    methods = {method_of(step) for step in steps[program["prelude"] :]}
    end = f"end({methods.pop()})" if len(methods) == 1 else "end"
    last = [Found(None, end, *what) for what in ends(program, a, b)]
    # who is to say why something failed may ask for more
    failed = any("error" in step for step in a["steps"])
    return found + [each for each in last if each.kind != "cost" or not failed]


class Known:
    """Intended differences: signatures with ``*``, narrowed by patterns of what was done and seen."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = []
        for row in rows:
            setups, _, rest = row["signature"].partition(" | ")
            for setup in setups.strip("{}").split(","):
                text = translate(f"{setup} | {rest}".replace("[", "[[]"))
                self.rows.append((re.compile(text), row))

    def why(self, program: dict[str, Any], found: Found) -> str | None:
        steps = program["steps"]
        looked = {
            "step": steps[found.step] if found.step is not None else "",
            "program": "\n".join(steps),
            "reference": json.dumps(found.reference),
            "candidate": json.dumps(found.candidate),
        }
        setup = program["setup"].removeprefix("forked-")
        signatures = {found.signature(name) for name in (program["setup"], setup, setup.partition("-")[0])}
        for pattern, row in self.rows:
            if any(map(pattern.match, signatures)) and all(
                re.search(row[name], text) for name, text in looked.items() if name in row
            ):
                return row["why"]
        return None
