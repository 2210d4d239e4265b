"""Filesystems that stand in front of another one."""

from __future__ import annotations

from typing import ClassVar

from fsspec.spec import AbstractFileSystem

__all__ = ["ChainedFileSystem"]


class ChainedFileSystem(AbstractFileSystem):
    """Base of the filesystems that have no paths of their own.

    In a chain of URLs they take the path of the next link.
    """

    protocol: ClassVar[str] = "chained"
    _takes_inner_path = True
