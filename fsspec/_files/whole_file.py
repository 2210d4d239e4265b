"""`WholeFile`: a file in memory that was fetched by one request."""

from __future__ import annotations

import io


class WholeFile(io.BytesIO):
    """A file in memory with an attribute for its size."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.getvalue())
