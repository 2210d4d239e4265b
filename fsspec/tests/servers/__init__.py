"""Real servers for tests and scripts, on free ports of the loopback interface.

Each is a context manager, usable without pytest; `fsspec.tests.servers.fixtures` has
pytest fixtures of them.  A server keeps a record of what its clients did, which is where
harm done by a forked process shows.
"""
