"""The version, in the one place where it is written; setup.py reads it as text."""

__version__ = "2026.9.0+fork.22"
