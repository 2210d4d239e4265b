"""The entries and listings of the local filesystem, `local`."""
