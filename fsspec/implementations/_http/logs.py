"""The log of requests, under the name that programs know: ``fsspec.http``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fsspec._paths.redaction import redact_url

if TYPE_CHECKING:
    import yarl


logger: logging.Logger = logging.getLogger("fsspec.http")


def log_request(
    method: str, url: str | yarl.URL, headers: Mapping[str, str] | None, outcome: int | str, took: float
) -> None:
    """The line for a request: what was asked for, how it ended, and seconds until the answer began."""
    part = (headers or {}).get("Range", "whole")
    logger.debug("%s %s (%s): %s after %.0f ms", method.upper(), redact_url(url), part, outcome, took * 1000)
