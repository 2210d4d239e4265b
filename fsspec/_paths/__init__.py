"""Paths and URLs as text: their parts, patterns, ranges of bytes, and what of them messages leave out."""
