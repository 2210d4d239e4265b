"""Files: buffering, read caches, files that are opened later, replacing and copying."""
