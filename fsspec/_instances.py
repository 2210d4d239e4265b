"""Nothing but the name by which pickles of releases before 2026.9.0+fork.3 ask for filesystems."""

from fsspec.spec import make_instance

__all__ = ["make_instance"]
