"""Fixtures that the tests of several doors use."""

from fsspec.tests.servers.fixtures import *
