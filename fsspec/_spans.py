"""OpenTelemetry spans, if the program asks for them.

With ``{"otel": {"spans": true}}`` in the configuration (also ``FSSPEC_OTEL_SPANS=1``) a blocking call of an
awaitable filesystem is a span, and each request of the HTTP filesystems one below it. Without, a call costs a
look into the configuration, and ``opentelemetry`` is not imported.

The spans of blocking calls are made in `fsspec._loop.bridge.sync`, those of requests in
`fsspec.implementations._http.logs`. A span is begun and ended on one thread; the context of the thread that
makes a blocking call is passed on to the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from fsspec import config
from fsspec._version import __version__

_NONE: AbstractContextManager[Any] = nullcontext()


def span(name: str, **attributes: Any) -> AbstractContextManager[Any]:
    """A context manager: yields a span of kind CLIENT, or None if none is wanted.

    ``name``: few are different: no path is in it.
    ``**attributes``: with ``_`` for ``.`` in their names; those that are None are left out.
    Raises ImportError: spans are asked for, and opentelemetry-api is not installed.
    """
    if not config.conf.get("otel") or not config.switched_on("otel", "spans"):
        return _NONE
    return _span(
        name, {key.replace("_", "."): value for key, value in attributes.items() if value is not None}
    )


@contextmanager
def _span(name: str, attributes: dict[str, Any]) -> Iterator[Any]:
    try:
        from opentelemetry import trace
    except ImportError as error:
        raise ImportError(
            "the configuration asks for spans (otel), which need the package opentelemetry-api:"
            " pip install opentelemetry-api, or unset FSSPEC_OTEL_SPANS"
        ) from error
    begun = trace.get_tracer("fsspec", __version__).start_as_current_span(
        name,
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,  # its text may hold what a trace should not show
        set_status_on_exception=False,
    )
    with begun as current:
        try:
            yield current
        except BaseException as error:  # a cancelled request ends its span as a failed one does
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(trace.StatusCode.ERROR)
            raise


def tell_status(current: Any, status: int) -> None:
    """Write the status of an HTTP answer on the span of its request, as OpenTelemetry's conventions for HTTP
    clients say: from 400 up it is an error, named by the status."""
    current.set_attribute("http.response.status_code", status)
    if status >= 400:
        from opentelemetry import trace

        current.set_attribute("error.type", str(status))
        current.set_status(trace.StatusCode.ERROR)
