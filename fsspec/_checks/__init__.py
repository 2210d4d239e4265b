"""What `fsspec.doctor`, `fsspec.forkcheck` and `fsspec.cache` share: findings, their printing, lock files,
and running something in a forked child (`forked`), which the tests use, too."""
