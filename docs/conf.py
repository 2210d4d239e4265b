"""Sphinx's settings. The site needs sphinx and numpydoc, no theme and no network."""

import re
from pathlib import Path

project = "fsspec, safe to fork"
author = "the fsspec-fork contributors"
copyright = "2026, the fsspec-fork contributors"
_text = (Path(__file__).parent.parent / "fsspec" / "_version.py").read_text(encoding="utf-8")
_found = re.search(r"__version__\b[^=]*=\s*[\"']([^\"']+)", _text)
assert _found is not None
release = version = _found.group(1)

extensions = ["sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]

html_theme = "alabaster"
html_theme_options = {
    "description": "Files in many kinds of storage, and processes that fork",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Optional third-party packages that a module of the API imports at its top.
autodoc_mock_imports: list[str] = []
# Members are listed by autodoc, with their texts, not in a table of links beside them.
numpydoc_show_class_members = False
