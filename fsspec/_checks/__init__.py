"""How `fsspec.forkcheck` keeps and prints what it found."""
