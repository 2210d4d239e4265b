"""Requests by aiohttp: redirects, credentials and repetition.

Redirects are followed here, not by aiohttp, so that

- a location that is a proper URL is requested as it is written: signed URLs stay valid;
- credentials go to the host they were given for, and to no other;
- an upload is sent again from its beginning.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import yarl

from fsspec._loop.driving import drive_awaiting
from fsspec._paths.redaction import redact_url
from fsspec._spec.traffic import Traffic
from fsspec.implementations._http.answers import drops_upload
from fsspec.implementations._http.logs import Request
from fsspec.implementations._http.options import check_options
from fsspec.implementations._http.parsing import is_proper_url, own_headers, why_no_url
from fsspec.implementations._http.responses import HTTPStatusError, TooManyRedirects, name_timeout
from fsspec.implementations._http.retrying import Retries

if TYPE_CHECKING:
    from collections.abc import Collection

    from fsspec._paths.types import Options, T


REDIRECTS = (301, 302, 303, 307, 308)
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Names of headers that another host must not see."""

TRANSIENT = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError, ConnectionError)
"""Errors that may be gone at the next attempt."""
_PERMANENT = (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError)


class Sender(NamedTuple):
    """How the requests of one filesystem are made.

    ``headers``: the credentials that the session would have, for each request to the host it names.
    ``retries``: when and how often GET, HEAD and PUT are made again.
    ``traffic``: what counts the requests, if anything does.
    ``ignored_headers``: headers of answers that do not count, see `answers.ignored_headers`.
    ``kind``: the class of the filesystem, for messages.
    """

    headers: Mapping[str, str] = {}
    retries: Retries = Retries()
    traffic: Traffic | None = None
    ignored_headers: frozenset[str] = frozenset()
    kind: type = object

    @classmethod
    def of(
        cls,
        client_kwargs: Options,
        retries: Retries,
        traffic: Traffic,
        ignored_headers: frozenset[str],
        kind: type,
    ) -> tuple[Sender, dict[str, Any]]:
        """A sender, and the options of a session without the credentials that it takes over."""
        rest = {k: v for k, v in client_kwargs.items() if k != "auth"}
        cookies = rest.get("cookies")
        headers = own_headers(rest)
        secret = {k: headers.pop(k) for k in list(headers) if k.lower() in SECRET_HEADERS}
        if secret:
            rest["headers"] = headers
        if isinstance(cookies, Mapping) and "cookie_jar" not in rest:
            if all(isinstance(value, str) for value in cookies.values()):  # others may name their host
                del rest["cookies"]
                own = SimpleCookie(cookies).output(attrs=[], header="", sep=";").strip()
                secret["Cookie"] = "; ".join(filter(None, [secret.pop("Cookie", ""), own]))
        auth = client_kwargs.get("auth")
        if auth is not None:
            secret["Authorization"] = _basic(auth)
        return cls(secret, retries, traffic, ignored_headers, kind), rest

    def repeat(self, work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
        """The result of ``work``, called again as the retry options say."""
        if not self.retries.times:
            return work()
        target = SimpleNamespace(_attempt=work, _sleep=asyncio.sleep)
        return drive_awaiting(target, self.retries.repeating(TRANSIENT, _PERMANENT, self.traffic))

    async def send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: yarl.URL,
        options: Options,
        body: Callable[[], Any] | None = None,
    ) -> aiohttp.ClientResponse:
        """The response to a request, at the end of its redirects.

        ``method``: in small letters.
        ``options``: of the request; they are changed.
        ``body``: gives what is to be uploaded, from its beginning, each time it is called.
        """
        if self.headers or "auth" in options:
            self._add_credentials(url, options)
        follow = options.get("allow_redirects", True)
        here = follow and _leaves_redirects(session)
        options["allow_redirects"] = follow and not here
        limit, history = options.pop("max_redirects", 10) if here else 0, []
        while True:
            if body is not None:
                options["data"] = body()
            try:
                with Request(self.traffic, method, url, options.get("headers")) as request:
                    response = await getattr(session, method)(url, **options)
                    request.status = response.status
            except TypeError as error:
                taken = getattr(type(session), "_request", aiohttp.ClientSession._request)
                check_options(error, taken, options, self.kind, url)
                raise
            except asyncio.TimeoutError as error:
                name_timeout(error, url)
                raise
            except aiohttp.ClientError as error:
                _raise_without_secrets(error)
                raise
            self._mark(response)
            if body is not None and method == "post":
                for before, after in zip(response.history, [*response.history[1:], response]):
                    check_upload(before, after.url)
            target = _redirect_url(response) if here and response.status in REDIRECTS else None
            if target is None:
                return response
            response.release()
            history.append(response)
            if len(history) >= limit:
                raise TooManyRedirects(history[0].request_info, tuple(history))
            if response.status == 303 and method != "head" or response.status < 303 and method == "post":
                if body is not None:
                    check_upload(response, target)
                method, body = "get", None
                options.pop("data", None)
                _drop_headers(options, {"content-length", "content-type", "transfer-encoding"})
            options.pop("params", None)  # the location holds the whole URL
            if not _same_host(url, target):
                options.pop("auth", None)
                options.pop("cookies", None)
                _drop_headers(options, SECRET_HEADERS)
            elif _names_user(target):
                _drop_headers(options, {"authorization"})  # aiohttp takes one of them
            elif _names_user(url):
                target = target.with_user(url.user).with_password(url.password)
            url = target

    def _mark(self, response: aiohttp.ClientResponse) -> None:
        """Attach to a response the counters for its body, and the names of headers to disregard."""
        if self.traffic is not None:
            self.traffic.requests += len(response.history)  # those that the session followed
            setattr(response, "_traffic_counts", self.traffic)
        if self.ignored_headers:
            setattr(response, "_ignored_headers", self.ignored_headers)

    def _add_credentials(self, url: yarl.URL, options: Options) -> None:
        given = own_headers(options)
        names = {name.lower() for name in given}
        if _names_user(url):
            names.add("authorization")
        if options.get("auth") is not None and "authorization" not in names:
            given["Authorization"] = _basic(options.pop("auth"))
            names.add("authorization")
        own = {k: v for k, v in self.headers.items() if k.lower() not in names}
        if own or given:
            options["headers"] = {**own, **given}


def _basic(auth: object) -> str:
    """The header of basic authentication, by aiohttp's own class or a pair, which is a list in JSON."""
    if isinstance(auth, (tuple, list)) and len(auth) == 2 and all(isinstance(part, str) for part in auth):
        if ":" in auth[0]:
            raise ValueError("auth: a user name cannot have a colon")
        return "Basic " + b64encode(":".join(auth).encode("latin1")).decode()
    if not isinstance(auth, aiohttp.BasicAuth):
        raise TypeError(
            f"auth is a pair (user name, password) or aiohttp.BasicAuth, not {type(auth).__name__}"
        )
    return str(auth.encode())


def check_upload(response: aiohttp.ClientResponse, target: yarl.URL | None = None) -> None:
    """Make sure that an upload is not lost at a redirect. ``target``: where that leads, without what was
    uploaded; None for the last answer. Raises HTTPStatusError: it is lost."""
    status = response.status
    if target is None:
        lost, advice = 300 <= status < 400 and status != 303, "nothing was uploaded"
    else:
        lost = drops_upload(status, "POST", str(response.url), str(target))
        advice = f"upload to {redact_url(target)}"
    if lost:
        message = f"redirected: {advice}"
        raise HTTPStatusError(response.request_info, response.history, status=status, message=message)


def _leaves_redirects(session: aiohttp.ClientSession) -> bool:
    """Whether a session has no credentials of its own, which it would send to any host of a redirect."""
    return (
        type(session) is aiohttp.ClientSession
        and getattr(session, "auth", None) is None
        and not (session.headers and any(name.lower() in SECRET_HEADERS for name in session.headers))
    )


def _raise_without_secrets(error: aiohttp.ClientError) -> None:
    """Raise another error in place of one whose text would show the whole URL."""
    if isinstance(error, aiohttp.InvalidURL):
        shown, why = redact_url(error.url), getattr(error, "description", None)
        raise type(error)(shown, why or why_no_url(str(error.url))) from None
    if type(error) is aiohttp.ClientResponseError:  # of a session that is set to raise by itself
        given = error.request_info, error.history
        raise HTTPStatusError(
            *given, status=error.status, message=error.message, headers=error.headers
        ) from None


def _redirect_url(response: aiohttp.ClientResponse) -> yarl.URL | None:
    """Where a response redirects to; None if it does not say."""
    location = response.headers.get("Location") or response.headers.get("URI")
    if location is None:
        return None
    try:
        target = response.url.join(yarl.URL(location, encoded=is_proper_url(location)))
    except ValueError as error:
        response.close()
        raise aiohttp.InvalidURL(redact_url(location)) from error
    if target.scheme not in ("http", "https") or not target.raw_host:
        response.close()
        raise aiohttp.InvalidURL(redact_url(location))
    return target.with_fragment(None)


def _same_host(url: yarl.URL, target: yarl.URL) -> bool:
    """Whether two URLs have one origin, or the second differs only in using TLS."""
    if url.origin() == target.origin():
        return True
    plain = url.scheme == "http" and url.is_default_port()
    return bool(plain and target.scheme == "https" and target.is_default_port() and url.host == target.host)


def _names_user(url: yarl.URL) -> bool:
    """Whether a URL has credentials; some have no user name, but a password alone."""
    return url.raw_user is not None or url.raw_password is not None


def _drop_headers(options: Options, names: Collection[str]) -> None:
    headers = options.get("headers")
    if headers:
        options["headers"] = {k: v for k, v in dict(headers).items() if k.lower() not in names}
