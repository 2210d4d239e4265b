"""Filesystems that keep copies of what another one holds; the public classes are in `cached`.

`base` is what all have, with its `folders`, `limits` and what is `delegating` to the target.  Of blocks:
`blocks`, `ranges` (awaited) and `files`.  Of whole files: what is written (`pending`), on top
of it `whole`.
"""
