"""The event loop that fsspec owns, its thread, and the bridge from blocking callers."""
