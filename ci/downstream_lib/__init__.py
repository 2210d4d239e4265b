"""The suites of the projects that stand on fsspec, with this tree in place of upstream.

``projects`` says what there is: where a suite comes from, which part of it is about fsspec, what it
needs, and which of its tests may fail and why.  ``programs`` holds small real programs for projects
that publish no tests.  ``__main__`` drives: it makes an environment for each group of projects (kept
between runs), fetches sources from the package index, runs each suite once with each side, and
compares.  A side is a folder with nothing but ``fsspec`` in it that comes first on ``PYTHONPATH``, so
that everything else is the same for both.
"""
