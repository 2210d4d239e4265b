"""The entries and listings of the filesystem of this machine, which is `local`."""
