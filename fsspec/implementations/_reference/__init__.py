"""Files that are parts of other files; the filesystem is `reference`, which reads by `reading`.

`parsing` interprets one reference, `joining` plans the reading of many.  References come from documents
(`document`, `templates`) or from tables (`parquet`, `table`, `layout`); `loading` finds them and the
filesystems of their targets.  `tree` holds the folders that the keys imply.
"""
