"""The module by whose name programs know what a private module defines.

What a public module imports from a private one is known to programs, tracebacks and pickles by the public
module's name: a pickle that named the private one would neither outlive a move of it, nor be read by another
release of fsspec.
"""

from __future__ import annotations

from typing import Any


def publish(module: str, *members: Any) -> None:
    """Set ``__module__`` of classes and functions to the public module that has them."""
    for member in members:
        member.__module__ = module
