"""What a fork means to this package: the hooks, and everything that they change."""
