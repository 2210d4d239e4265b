"""Options that a request or a session takes, and the errors about those that it does not take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import NoPathError
from fsspec._paths.redaction import redact_url
from fsspec._similar import is_meant

if TYPE_CHECKING:
    from fsspec._paths.types import Options


class UnknownOptionError(TypeError):
    """An option that neither the filesystem nor the requests of its client library have."""


class UnknownOptionOfFileError(FileNotFoundError, UnknownOptionError):
    """The same, raised by ``info`` and ``open``, for which programs catch FileNotFoundError."""


class WrongOptionOfFileError(FileNotFoundError, TypeError):
    """An option of a wrong type, raised by ``info`` and ``open``; as above."""


class NoUrlError(FileNotFoundError, TypeError):
    """What is not a URL, from ``info`` and ``open``; as above."""


@contextmanager
def as_file_error() -> Iterator[None]:
    """A context in which errors about options are raised in the form for ``info`` and ``open``."""
    try:
        yield
    except UnknownOptionError as error:
        raise UnknownOptionOfFileError(*error.args) from None
    except NoPathError as error:
        raise NoUrlError(*error.args) from None
    except TypeError as error:
        raise WrongOptionOfFileError(*error.args) from error


def request_options(request: Callable[..., Any], options: Options) -> dict[str, Any]:
    """Those of the options of a listing that ``request`` takes. Callers of listings, walks and patterns pass
    on what is for others, such as the limits of what is read from the files that are found."""
    return {name: value for name, value in options.items() if name in _taken(request)} if options else {}


def check_options(
    error: TypeError, request: Callable[..., Any], options: Iterable[str], kind: type, url: object = None
) -> None:
    """See whether an ``error`` of ``request`` is about one of its options. Raises UnknownOptionError: it is.

    ``kind``: the class of the filesystem, whose own options may have been meant.
    ``url``: what was to be asked for; None if ``request`` makes the session.
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
