"""Files that are parts of other files; the filesystem is `reference`, which reads by `reading`.

A reference by itself is `parsing`, many at once `joining`.  They come from documents (`spec`, `templates`) or
from tables (`parquet`, `table`, `layout`), found by `loading`; the folders that their keys make up are a
`tree`.
"""
