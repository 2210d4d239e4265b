"""What must hold when a process forks, tried on real servers.

The matrix is (what crosses the fork) x (how it is made) x (what the child does) x
(mode).  `subjects` says what can cross and how to tell that it works, `forking` how
a process forks and what a child does, `program` runs one column of cells in a process
of its own with a watchdog, and ``python -m fsspec.tests.fork`` prints the table.
"""
