"""Sessions of ``requests`` that a forked child cannot harm its parent by.

Every connection of such a session is watched (`fsspec._fork.sockets`), whether it is idle, in
the middle of a request of another thread, or has a response that is still being read.
"""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fsspec._fork.sockets import watch


class _HTTPConnection(HTTPConnectionPool.ConnectionCls):
    def _new_conn(self) -> Any:
        return watch(super()._new_conn())


class _HTTPSConnection(HTTPSConnectionPool.ConnectionCls):
    def _new_conn(self) -> Any:
        return watch(super()._new_conn())  # TLS is spoken through the same descriptor


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # those connect by classes of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager


def watched_session() -> requests.Session:
    """A new session."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session
