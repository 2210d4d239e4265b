"""Paths and URLs as text: their parts, patterns, and ranges of bytes."""
