"""Fixtures that the tests of several backends use."""

from fsspec.tests.servers.fixtures import *
