"""Sphinx's settings. ``pip install ".[doc]"`` brings what the site needs; no network is used."""

import re
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path.insert(0, str(here))
import generated  # noqa: E402  (beside this file)

project = "fsspec, safe to fork"
author = "the fsspec-fork contributors"
copyright = "2026, the fsspec-fork contributors"
_text = (here.parent / "fsspec" / "_version.py").read_text(encoding="utf-8")
_found = re.search(r"__version__\b[^=]*=\s*[\"']([^\"']+)", _text)
assert _found is not None
release = version = _found.group(1)

extensions = ["sphinx.ext.autodoc", "numpydoc", "sphinx_rtd_theme"]
exclude_patterns = ["_build", "news"]

html_theme = "sphinx_rtd_theme"
html_theme_options = {"collapse_navigation": True, "navigation_depth": 2, "includehidden": True}
html_title = f"fsspec {version}"
html_short_title = "fsspec, safe to fork"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False

default_role = "py:obj"  # of a name in backticks, as in docstrings: a link, where there is one

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Members are listed by autodoc, with their texts, not in a table of links beside them.
numpydoc_show_class_members = False

generated.write(here)
