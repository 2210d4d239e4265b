"""Similar names to suggest for an unknown one, in the text of an error."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["is_meant", "similar"]


def similar(name: object, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The ``known`` name most similar to ``name``; None if none is similar.

    ``cutoff``: how much alike they have to be, from 0 to 1 (the ratio of difflib).
    """
    from difflib import get_close_matches  # only if something is wrong already

    return next(iter(get_close_matches(str(name), list(known), 1, cutoff)), None)


def is_meant(name: object, known: Iterable[str]) -> str:
    """The question whether the closest ``known`` name is meant; empty if none is close."""
    close = similar(name, known)
    return f"is {close!r} meant?" if close else ""
