"""What `fsspec.doctor`, `fsspec.forkcheck` and `fsspec.cache` share: findings, their printing, lock files."""
