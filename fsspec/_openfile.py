"""Nothing but the names by which pickles of releases before 2026.9.0+fork.3 ask for files to be opened."""

from fsspec.core import OpenFile, OpenFiles

__all__ = ["OpenFile", "OpenFiles"]
