"""Archives that are a file: its `bytes` for many readers at once, and the `files` in it.

The formats are in `tar`, `zip` and `libarchive`; what has no file below it is `fsspec.archive`.
"""
