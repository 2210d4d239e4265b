"""What the filesystems over services that speak JSON have in common.

A session whose connections are watched, so that a forked child reaches nobody by them; it
makes its own when an inherited instance revives.  Answers are read whole, and errors are
raised as the built-in ones, with the path in their text and nothing of the request: its
headers and URL may hold a token.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import requests

from fsspec._fork.owned import CheckedAttribute
from fsspec.implementations._http.sync_session import watched_session
from fsspec.implementations._remote.refusals import lost_server, refusal, system_error
from fsspec.spec import AbstractFileSystem

logger: logging.Logger = logging.getLogger("fsspec.rest")

_KINDS: dict[int, type[OSError]] = {
    401: PermissionError,
    403: PermissionError,
    404: FileNotFoundError,
    409: FileExistsError,
    410: FileNotFoundError,
}


def from_base64(content: str, path: str) -> bytes:
    """Bytes that came as base64 in JSON."""
    try:
        return base64.b64decode(content)
    except ValueError:
        raise OSError(f"{path!r}: the content that came is not whole; try again") from None


def _lost(error: requests.RequestException, url: str, path: str) -> OSError:
    """What a request raises that has no answer: the error of requests, without its text and its request."""
    parts = urlsplit(url)
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    cause = system_error(error)
    why = type(error).__name__ if cause is None or not cause.strerror else cause.strerror
    text = f"{path!r}: {why} in a request to {host}; try again"
    if isinstance(error, requests.Timeout):
        made: Any = refusal(TimeoutError, type(error), None, text)
    else:
        made = lost_server(error, text, type(error))
    made.request = made.response = None
    return cast("OSError", made)


class RestFileSystem(AbstractFileSystem):
    """Base of the filesystems over such services."""

    username: str | None
    token: str | None
    session: CheckedAttribute[requests.Session] = CheckedAttribute()
    _fork_sensitive = True
    timeout: Any = (60, 60)
    """Seconds to connect, and to wait for bytes of an answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = watched_session()

    def _log_in(
        self, username: str | None, token: str | None, timeout: float | tuple[float, float] | None
    ) -> None:
        """Keep the credentials of GitHub's services: a user name with a token, or a token alone."""
        if username is not None and token is None:
            raise ValueError("a user name is of no use without a token; a token is without a user name")
        self.username, self.token = username, token
        if timeout is not None:
            self.timeout = timeout

    def _request_credentials(self) -> dict[str, Any]:
        """Options of a request: basic authentication, or a header if there is a token alone."""
        if self.token is None or self.username is not None:
            return {} if self.token is None else {"auth": (self.username, self.token)}
        return {"headers": {"Authorization": f"Bearer {self.token}"}}

    def _send_request(self, method: str, url: str, path: str, **options: Any) -> requests.Response:
        """The answer to one request about ``path``, which succeeded and was read."""
        logger.debug("%s for %r", method, path)
        try:
            response = self.session.request(method, url, timeout=self.timeout, **options)
        except requests.RequestException as error:  # its text has the URL in it
            raise _lost(error, url, path) from None
        if response.status_code >= 400:
            self._raise_for_response(response, path)
        return response

    def _raise_for_response(self, response: requests.Response, path: str) -> NoReturn:
        message = self._error_text(response)
        kind = _KINDS.get(response.status_code, OSError)
        if kind is FileNotFoundError:
            raise kind(path)
        text = f"{path!r}: {message or response.reason} (status {response.status_code})"
        if kind is PermissionError:
            text += f"; {type(self).__name__} was given credentials that do not allow it, or none"
        raise kind(text)

    def _error_text(self, response: requests.Response) -> str:
        """What the service says of an error, a line of it."""
        try:
            found = response.json()
        except ValueError:
            return ""
        message = str(found.get("message") or "") if isinstance(found, dict) else ""
        return message.partition("\n")[0][:200]

    def _request_json(self, method: str, url: str, path: str, **options: Any) -> dict[str, Any]:
        """As `_send_request`, the answer taken as JSON."""
        response = self._send_request(method, url, path, **options)
        try:
            found: dict[str, Any] = response.json()
            return found
        except ValueError:
            host = urlsplit(url).hostname
            raise OSError(f"{path!r}: {host} did not answer with JSON; is it the service meant?") from None
