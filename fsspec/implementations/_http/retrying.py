"""When a request is worth making again, and how long to wait before that.

Shared by the awaitable and the blocking filesystem. GET, HEAD and PUT are repeated, POST
never: the filesystems decide that by the method (`_put_file`, `put_file`). The loop is a plan,
`Retries.repeating`, whose target is the request and the clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from fsspec._paths.ranges import as_number
from fsspec._plans import Plan, call
from fsspec._spec.traffic import Traffic
from fsspec.implementations._http.logs import logger

if TYPE_CHECKING:
    from fsspec._paths.types import Errors, T

STATUSES = (408, 429, 500, 502, 503, 504)
"""Answers that say nothing of the file, and may be different the next time."""
MAX_WAIT = 120.0
"""Seconds: a server that wants more time is not waited for, and its answer is raised."""


def given_number(option: str, value: T, unit: str) -> T:
    """As `as_number`, of an option that has to be given."""
    if value is None:
        raise TypeError(f"{option} is a number of {unit}, not None")
    return as_number(option, value, unit)


class Retries(NamedTuple):
    """How often and after how long a request is repeated that failed for a reason that may pass.

    ``times``: further attempts after the first.
    ``wait``: seconds before the second attempt; twice as many before each one after that, less a random part
        of up to a half. A ``Retry-After`` of the server that is longer counts instead.
    ``statuses``: the answers that are worth another attempt.
    """

    times: int = 0
    wait: float = 1.0
    statuses: frozenset[int] = frozenset(STATUSES)

    @classmethod
    def given(cls, times: int, wait: float, statuses: Iterable[int] | None) -> Retries:
        """Check the options of a filesystem. Raises ValueError: fewer retries or a shorter wait than 0.
        Raises TypeError: an option is not a number, or not several."""
        times = given_number("retries", times, "further attempts")
        wait = given_number("retry_wait", wait, "seconds")
        if times < 0 or wait < 0:
            raise ValueError(f"retries and retry_wait cannot be below 0, but are {times} and {wait}")
        try:
            kept = tuple(STATUSES if statuses is None else statuses)
            if isinstance(statuses, (str, bytes)):
                raise TypeError
            return cls(times, wait, frozenset(map(int, kept)))
        except (TypeError, ValueError):
            raise TypeError(f"retry_statuses is a list of numbers, not {statuses!r}") from None

    def pause(self, attempt: int, error: BaseException, transient: Errors, permanent: Errors) -> float | None:
        """Seconds to wait before another attempt; None if there is to be none.

        ``attempt``: how many there were before the one that failed.
        ``transient``: classes of errors after which another attempt may succeed.
        ``permanent``: those among them after which it will not.
        """
        if attempt >= self.times or isinstance(error, permanent):
            return None
        backoff = self.wait * 2**attempt * random.uniform(0.5, 1.0)
        status, headers = answer_of(error)
        if status is None:
            return min(backoff, MAX_WAIT) if isinstance(error, transient) else None
        if status not in self.statuses:
            return None
        asked = retry_after(headers)
        return None if asked > MAX_WAIT else max(asked, min(backoff, MAX_WAIT))

    def repeating(self, transient: Errors, permanent: Errors, traffic: Traffic | None) -> Plan:
        """A plan that has its target ``attempt`` the request until it is not worth another one, and ``sleep``
        between; what the last attempt gives."""
        attempt = 0
        while True:
            try:
                return (yield call("attempt"))
            except Exception as error:  # which of them pass is for `pause` to say; the rest is raised again
                pause = self.pause(attempt, error, transient, permanent)
                if pause is None:
                    raise
                logger.debug("attempt %s failed, the next in %.2f s: %r", attempt + 1, pause, error)
            attempt += 1
            if traffic is not None:
                traffic.retries += 1
            yield call("sleep", pause)


def answer_of(error: BaseException) -> tuple[int | None, Mapping[str, str]]:
    """Status and headers of the answer that an error of aiohttp or of requests stands for."""
    response: Any = getattr(error, "response", None)
    source = error if response is None else response
    status = getattr(source, "status_code", None) or getattr(source, "status", None)
    return (status or None) if isinstance(status, int) else None, getattr(source, "headers", None) or {}


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a ``Retry-After`` asks to wait: a number of them, or a time; 0 without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return 0.0
