"""Filesystems that keep copies of what another one holds."""
