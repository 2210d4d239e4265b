"""Sessions of ``requests`` that a forked child cannot harm its parent by, and whose errors hide secrets.

Every connection of such a session is watched (`fsspec._fork.sockets`), whether it is idle, in
the middle of a request of another thread, or has a response that is still being read.  The
texts of errors show URLs without credentials, nor the values of their queries.
"""

from __future__ import annotations

import queue
import time
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import connectionpool
from urllib3.poolmanager import pool_classes_by_scheme

from fsspec._fork.sockets import watch
from fsspec._paths.redaction import redact_text, redact_url
from fsspec._spec.traffic import Traffic
from fsspec.implementations._http.answers import drops_upload
from fsspec.implementations._http.logs import Request

if TYPE_CHECKING:
    import urllib3


class _Idle:
    """The idle connections of a pool: what urllib3 uses of a queue, without a lock.

    The lock of Python's queues stays held if an interrupt comes as it is taken, and the next request would
    wait for ever.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.queue: list[Any] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self.queue.pop()
            except IndexError:
                if not block or until is not None and time.monotonic() >= until:
                    raise queue.Empty from None
            time.sleep(0.005)  # only in sessions whose maker asked for ``pool_block``

    def put(self, connection: object, block: bool = True, timeout: float | None = None) -> None:
        if 0 < self.maxsize <= self.qsize():
            raise queue.Full
        self.queue.append(connection)

    def qsize(self) -> int:
        return len(self.queue)


# urllib3 connects by other classes in a browser, so that its types name only what all of them have
class HTTPConnection(
    connectionpool.HTTPConnectionPool.ConnectionCls  # pyright: ignore[reportGeneralTypeIssues]
):
    """One that is watched. The classes have the names of urllib3's, which messages show."""

    def _new_conn(self) -> Any:
        return watch(super()._new_conn())


class HTTPSConnection(connectionpool.HTTPSConnectionPool.ConnectionCls):
    """As `HTTPConnection`."""

    def _new_conn(self) -> Any:
        return watch(super()._new_conn())  # pyright: ignore[reportAttributeAccessIssue]


class HTTPConnectionPool(connectionpool.HTTPConnectionPool):
    ConnectionCls = HTTPConnection
    QueueCls: Any = _Idle


class HTTPSConnectionPool(connectionpool.HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection
    QueueCls: Any = _Idle


_POOLS = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


class _Adapter(HTTPAdapter):
    def __init__(self, traffic: Traffic | None = None) -> None:
        self.traffic = traffic
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """A request, counted and logged by `logs.Request`. Redirects come here one by one."""
        with Request(self.traffic, request.method or "", request.url, request.headers) as record:
            response = super().send(request, *args, **kwargs)
            record.status = response.status_code
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those connect by classes of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Session(requests.Session):
    @wraps(requests.Session.request)  # for its signature
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            return super().request(*args, **kwargs)
        except (requests.RequestException, ValueError) as error:
            hide_secrets(error)
            raise

    def rebuild_method(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        method, to = prepared_request.method or "", prepared_request.url or ""
        upload = method == "PUT" or method == "POST" and prepared_request.body is not None
        if upload and drops_upload(response.status_code, method, response.url, to):
            raise requests.RequestException(
                f"an upload to {redact_url(response.url)} was redirected with status {response.status_code}"
                f" to {redact_url(prepared_request.url)}: upload there",
                response=response,
            )
        super().rebuild_method(prepared_request, response)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        jar: Any = prepared_request._cookies
        given = [cookie for cookie in jar or () if not cookie.domain]  # for the host that was asked
        if given and self.should_strip_auth(response.request.url or "", prepared_request.url or ""):
            for cookie in given:
                jar.clear(cookie.domain, cookie.path, cookie.name)
            prepared_request.headers.pop("Cookie", None)
            prepared_request.prepare_cookies(jar)
        super().rebuild_auth(prepared_request, response)


def watch_connections(session: requests.Session) -> None:
    """Make a session that was created elsewhere watch its connections, except those of adapters with pools of
    their own kind."""
    for adapter in getattr(session, "adapters", {}).values():
        manager: Any = getattr(adapter, "poolmanager", None)
        if getattr(manager, "pool_classes_by_scheme", None) == pool_classes_by_scheme:
            manager.pool_classes_by_scheme = _POOLS


def keep_settings(session: requests.Session, before: requests.Session) -> None:
    """Give a session what another one holds besides connections: cookies, headers, proxies and so on."""
    for name in before.__attrs__:
        if name != "adapters":
            setattr(session, name, copy(getattr(before, name)))  # the lock of cookies is not copied
    for prefix, adapter in before.adapters.items():
        if not isinstance(adapter, _Adapter):
            session.mount(prefix, copy(adapter))  # with a pool of its own


def hide_secrets(error: BaseException) -> None:
    """Redact the URLs in the texts of an error and of those that it was made from."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        each.args = tuple(redact_text(a) if isinstance(a, str) else a for a in each.args)
        left += [a for a in each.args if isinstance(a, BaseException)]
        left += [each.__cause__, each.__context__, getattr(each, "reason", None)]
        left = [e for e in left if isinstance(e, BaseException)]


def watched_session(
    traffic: Traffic | None = None, ignored_headers: frozenset[str] = frozenset()
) -> requests.Session:
    """A new session. ``traffic``: counts its requests. ``ignored_headers``: removed from each response, see
    `answers.ignored_headers`."""
    session = _Session()
    if ignored_headers:

        def take_out(response: requests.Response, **kwargs: Any) -> None:
            for name in ignored_headers:
                response.headers.pop(name, None)

        session.hooks["response"].append(take_out)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(traffic))
    return session


def never_connected(error: BaseException) -> bool:
    """Whether a connection was never made, so that nothing was sent."""
    from urllib3.exceptions import NewConnectionError

    cause = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(cause, NewConnectionError)
