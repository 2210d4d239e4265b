"""Fixtures that the tests of several doors use."""

from fsspec.tests.servers.fixtures import *  # noqa: F401, F403
