"""What `fsspec.forkcheck` and `fsspec.doctor` find, and how they print it."""
