"""The `store` of the filesystem in memory, which is `memory`."""
