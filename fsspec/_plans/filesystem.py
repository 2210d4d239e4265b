"""What plans use of a filesystem directly; its operations they ask for by steps."""

from __future__ import annotations

from typing import Protocol


class Filesystem(Protocol):
    """The members of a filesystem that neither block nor are awaited."""

    @property
    def async_impl(self) -> bool:
        """Whether the operations are awaitable."""
        ...

    def _strip_protocol(self, path: str, /) -> str: ...


def is_awaitable(fs: Filesystem) -> bool:
    """Whether the awaitable methods of a filesystem work; ``dir`` over a blocking one has them alone."""
    return fs.async_impl and not getattr(fs, "_only_blocks", False)
