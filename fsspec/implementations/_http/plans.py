"""Globbing over URLs, in which a question mark begins the query and is no wildcard; options of requests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsspec._overriding import overridden
from fsspec._paths.redaction import redact_url
from fsspec._plans import Plan, call, globbing
from fsspec._similar import is_meant
from fsspec.implementations._http.answers import UnknownOptionError
from fsspec.implementations._http.parsing import has_magic, magic_check, url_given

if TYPE_CHECKING:
    from fsspec._paths.types import Depth, Filesystem, Options


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
        there = yield call("exists", path, **strict, **kwargs)  # one request, where ``info`` may need two
        found = {path: (yield call("info", path, **kwargs)) if detail else None} if there else {}
    else:
        pattern = URLPattern(path.rstrip("/"), only_folders)
        found = yield from globbing.by_steps(fs, pattern, maxdepth, withdirs, kwargs, kwargs)
    names = sorted(found)
    return {name: found[name] for name in names} if detail else names


def request_options(request: Callable[..., Any], options: Options) -> dict[str, Any]:
    """Those of the options of a listing that ``request`` takes. Callers of listings, walks and patterns pass
    on what is for others, such as the limits of what is read from the files that are found."""
    return {name: value for name, value in options.items() if name in _taken(request)} if options else {}


def check_options(
    error: TypeError, request: Callable[..., Any], options: Iterable[str], kind: type, url: object = None
) -> None:
    """See whether an ``error`` of ``request`` is about one of its options. Raises UnknownOptionError: it is.

    ``kind``: the class of the filesystem, whose own options may have been meant.
    ``url``: what was to be asked for; None where ``request`` makes the session.
    """
    name = next((name for name in options if name not in _taken(request)), None)
    if name is None:
        return
    known = set(_taken(request))
    if url is None:
        text = f"client_kwargs of {kind.__name__} has {name!r}, which the session does not take"
    else:
        known.update(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]  # of the class itself
        text = f"{kind.__name__} has no option {name!r}, nor has its request for {redact_url(url)}"
    known -= {"self", "args", "kwargs", "storage_options"}
    advice = is_meant(name, sorted(known)) or "leave it out, or correct its name"
    raise UnknownOptionError(f"{text}: {advice} ({error})") from None


@lru_cache
def _taken(request: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(request).parameters) - {"self", "method", "url", "str_or_url"}
