"""Fixtures that several test modules use."""

from fsspec.tests.servers.fixtures import *
