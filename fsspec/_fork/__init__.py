"""What a fork means to this package: hooks, and everything that has to be told of one."""
