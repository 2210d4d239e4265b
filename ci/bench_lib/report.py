"""What the figures of a run say: tables for a terminal and for a pull request, and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from .case import Case

SIDES = ("ours", "upstream", "limit")
Figures = dict[str, list[dict[str, Any]]]


def ratios(above: list[dict[str, Any]], below: list[dict[str, Any]], what: str = "seconds") -> list[float]:
    """The rounds' ratios: what changed between rounds met both sides."""
    return [
        a[what] / b[what] for a, b in zip(above, below, strict=True) if what in a and what in b and b[what]
    ]


def ratio(above: list[dict[str, Any]], below: list[dict[str, Any]]) -> float | None:
    """The median of the rounds' ratios of elapsed time."""
    found = ratios(above, below)
    return statistics.median(found) if found else None


def cpu_ratio(above: list[dict[str, Any]], below: list[dict[str, Any]]) -> float | None:
    """The ratio of the smallest CPU times, which a loaded machine raises least."""
    least = [min((f["cpu"] for f in side if "cpu" in f), default=0.0) for side in (above, below)]
    return least[0] / least[1] if all(least) else None


def difference(above: list[dict[str, Any]], below: list[dict[str, Any]]) -> float | None:
    """The median of the rounds' differences, in seconds."""
    found = [
        a["seconds"] - b["seconds"]
        for a, b in zip(above, below, strict=True)
        if "seconds" in a and "seconds" in b
    ]
    return statistics.median(found) if found else None


def duration(figures: list[dict[str, Any]]) -> str:
    found = [figure["seconds"] for figure in figures if "seconds" in figure]
    return written(statistics.median(found)) if found else "-"


def written(value: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def spread(found: list[float]) -> str:
    """The smallest and the largest ratio of a round."""
    return f"{number(min(found))}-{number(max(found))}" if found else "-"


def large(value: int) -> str:
    if value >= 2**20:
        return f"{value / 2**20:.1f}M"
    return f"{value / 2**10:.0f}k" if value >= 2**14 else f"{value}"


def counted(figures: Figures) -> str:
    """What was counted, ours and upstream's: ``requests 5/7, bytes 64.0M/64.0M``."""
    texts = []
    for what in ("modules", "requests", "bytes", "memory"):
        values = [next((f[what] for f in figures[side] if what in f), None) for side in SIDES]
        if any(value is not None for value in values):
            texts.append(what + " " + "/".join("-" if v is None else large(v) for v in values))
    return ", ".join(texts)


def row(case: Case, figures: Figures) -> list[str]:
    """The cells of one case, in the order of `HEADS`."""
    found = cpu_ratio(figures["ours"], figures["upstream"]) if case.by_cpu else None
    if found is None:
        found = ratio(figures["ours"], figures["upstream"])
    aim, compared, shown = case.aim, found, number(case.aim)
    if case.limit_aim is not None:
        aim, compared = case.limit_aim, ratio(figures["ours"], figures["limit"])
        shown = f"limit x {case.limit_aim:g}"
    if case.over is not None:
        aim, compared = case.over, difference(figures["ours"], figures["limit"])
        shown = f"limit + {written(case.over)}"
    if aim is None or compared is None:
        mark = ""
    elif compared <= aim:
        mark = "ok"
    else:
        mark = "above 1" if case.limit_aim is case.over is None and compared > 1.05 else "above aim"
    return [
        case.name,
        case.text,
        *(duration(figures[side]) for side in SIDES),
        number(found),
        spread(ratios(figures["ours"], figures["upstream"], "cpu" if case.by_cpu else "seconds")),
        shown,
        mark,
        number(ratio(figures["upstream"], figures["limit"])),
        counted(figures),
    ]


HEADS = [
    "case",
    "work",
    *SIDES,
    "ours/upstream",
    "spread",
    "aim",
    "",
    "upstream/limit",
    "ours/upstream/limit",
]


def table(cases: Sequence[Case], figures: dict[str, Figures]) -> str:
    """For a terminal."""
    rows = [HEADS, *(row(case, figures[case.name]) for case in cases)]
    widths = [max(len(cells[n]) for cells in rows) for n in range(len(HEADS))]
    left = {0, 1, 8, 10}
    lines = [
        "  ".join(
            cell.ljust(w) if n in left else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(cases: Sequence[Case], figures: dict[str, Figures]) -> str:
    """For a pull request: the same table in Markdown."""
    rows = [HEADS, ["---"] * len(HEADS), *(row(case, figures[case.name]) for case in cases)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows)


def plot(cases: Sequence[Case], figures: dict[str, Figures]) -> str:
    """For the documentation: the ratios ours/upstream on a logarithmic axis, as SVG."""
    import math

    found = [(case, row(case, figures[case.name])[5]) for case in cases]
    shown = [(case, float(text)) for case, text in found if text != "-"]
    left, width, height, low, high = 330, 420, 16, -3.0, 1.0

    def at(value: float) -> float:
        return left + (min(max(math.log10(max(value, 1e-9)), low), high) - low) / (high - low) * width

    bottom = 30 + height * len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{bottom + 10}"'
        ' font-family="sans-serif" font-size="11">'
    ]
    for mark in (0.001, 0.01, 0.1, 1, 10):
        colour = "#c33" if mark == 1 else "#ccc"
        x = at(mark)
        parts.append(f'<line x1="{x:.0f}" y1="20" x2="{x:.0f}" y2="{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x:.0f}" y="14" text-anchor="middle">{mark:g}</text>')
    for index, (case, value) in enumerate(shown):
        y = 30 + index * height
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{escape(case.text)}</text>')
        colour = "#c33" if value > 1.05 else "#369"
        parts.append(
            f'<circle cx="{at(value):.0f}" cy="{y}" r="4" fill="{colour}">'
            f"<title>{escape(case.name)}: {value:g}</title></circle>"
        )
        if case.aim is not None:
            x = at(case.aim)
            parts.append(f'<line x1="{x:.0f}" y1="{y - 5}" x2="{x:.0f}" y2="{y + 5}" stroke="#333"/>')
    return "\n".join([*parts, "</svg>", ""])


def errors(figures: dict[str, Figures]) -> list[str]:
    """What went wrong, once for a case and side."""
    texts: dict[str, None] = {}
    for name, sides in figures.items():
        for side, found in sides.items():
            for figure in found:
                if "error" in figure:
                    texts[f"{name}, {side}: {figure['error']}"] = None
    return list(texts)
