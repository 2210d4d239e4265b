"""Files that were fetched whole."""

from __future__ import annotations

import io


class WholeFile(io.BytesIO):
    """A file in memory that tells its size."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.getvalue())
