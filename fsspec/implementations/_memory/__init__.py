"""What the filesystem in memory is made of."""
