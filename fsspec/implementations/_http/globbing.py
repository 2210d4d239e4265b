"""Globbing over URLs, in which a question mark begins the query and is not a wildcard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fsspec._overriding import overridden
from fsspec._plans import Plan, call, globbing
from fsspec.implementations._http.parsing import has_magic, magic_check, url_given

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Filesystem


class URLPattern(globbing.Pattern):
    """A pattern whose root may have question marks."""

    def __init__(self, url: str, only_folders: bool) -> None:
        wild = magic_check.search(url)
        assert wild is not None, url
        root = url[: url.rfind("/", 0, wild.start()) + 1]
        # each question mark outside brackets stands for itself
        pattern = re.sub(r"\[[^]]+\]|\?", lambda m: "[?]" if m[0] == "?" else m[0], url[len(root) :])
        super().__init__(pattern, only_folders)
        self.root = root + self.root


def glob(
    fs: Filesystem, path: str, maxdepth: Depth, detail: bool = False, withdirs: bool = True, **kwargs: Any
) -> Plan:
    """The URLs that match; a request for each page that can lead to a match."""
    kwargs.pop("batch_size", None)
    only_folders = url_given(path).endswith("/")
    if not has_magic(path):
        strict = {} if overridden(fs, "exists") else {"strict": True}
        there = yield call("exists", path, **strict, **kwargs)  # one request; ``info`` may need two
        found = {path: (yield call("info", path, **kwargs)) if detail else None} if there else {}
    else:
        pattern = URLPattern(path.rstrip("/"), only_folders)
        found = yield from globbing.by_steps(fs, pattern, maxdepth, withdirs, kwargs, kwargs)
    names = sorted(found)
    return {name: found[name] for name in names} if detail else names
