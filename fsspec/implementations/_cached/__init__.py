"""Filesystems that keep copies of what another one holds; the public classes are in `cached`.

`base` is common to all; it uses `folders`, `limits`, and `delegating` for operations of the target.
Caches of blocks are in `blocks`, with `shared_blocks` for awaited reads and `files` for open files.
Caches of whole files are in `whole`, over `copies`, which fetches what is missing, and `pending`, which is
about files being written.
"""
