"""Sphinx's settings. ``pip install ".[doc]"`` brings what the site needs; no network is used."""

import re
import sys
from pathlib import Path

from docutils import nodes

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
smartquotes = False  # what is copied from a page has the quotes of Python

default_role = "py:obj"  # of a name in backticks, as in docstrings: a link, where there is one

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Members are listed by autodoc, with their texts, not in a table of links beside them.
numpydoc_show_class_members = False

generated.write(here)


def _label_cells(app, doctree, page):
    """Cells of wide tables name their column, for narrow screens, where a row is a block (site.css)."""
    for table in doctree.findall(nodes.table):
        for group in table.findall(nodes.tgroup):
            head = next(group.findall(nodes.thead), None)
            names = [cell.astext() for cell in head.children[0].children] if head else []
            if len(names) < 3:
                continue
            table["classes"].append("rows")
            for row in next(group.findall(nodes.tbody)).children:
                for name, cell in list(zip(names, row.children))[1:]:
                    cell.insert(0, nodes.paragraph("", name, classes=["column"]))


def _make_breakable(app, page, template, context, doctree):
    """Long code is broken behind a dot, a slash, a bracket and the like, and nowhere else."""

    def broken(found):
        return re.sub(r"([./,(\[=_:-])(?=[\w.&])", r"\1<wbr>", found[0])

    if "body" in context:
        context["body"] = re.sub(r'(?<=<span class="pre">)[^<]{12,}(?=</span>)', broken, context["body"])


def setup(app):
    """What Sphinx asks for."""
    app.connect("doctree-resolved", _label_cells)
    app.connect("html-page-context", _make_breakable)
