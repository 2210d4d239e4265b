"""The record of a request: counted, a line of the log ``fsspec.http`` at DEBUG, a span of OpenTelemetry."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from fsspec import config
from fsspec._paths.redaction import redact_url
from fsspec._spans import span, tell_status
from fsspec._spec.traffic import Traffic

logger: logging.Logger = logging.getLogger("fsspec.http")


class Request:
    """One request, from before it is sent until its answer begins: a context manager. It is counted as it is
    made. ``status``: of the answer; to be set within the ``with`` block."""

    status: int | None = None

    def __init__(
        self, traffic: Traffic | None, method: str, url: object, headers: Mapping[str, str | bytes] | None
    ) -> None:
        if traffic is not None:
            traffic.requests += 1
        self.method, self.url, self.headers = method, url, headers
        self.logged = logger.isEnabledFor(logging.DEBUG)
        self.span: Any = None

    def __enter__(self) -> Request:
        if "otel" in config.conf:
            method = self.method.upper()
            self.span = span(method, http_request_method=method, url_full=redact_url(self.url))
            self.current = self.span.__enter__()
        if self.logged:
            self.began = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self.logged:
            outcome = self.status if kind is None else kind.__name__
            took = (time.monotonic() - self.began) * 1000
            part = (self.headers or {}).get("Range", "whole")
            url = redact_url(self.url)
            logger.debug("%s %s (%s): %s after %.0f ms", self.method.upper(), url, part, outcome, took)
        if self.span is not None:
            if self.current is not None and self.status is not None:
                tell_status(self.current, self.status)
            self.span.__exit__(kind, error, trace)
