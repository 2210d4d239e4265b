"""What `http_sync` needs of the interface of ``requests``, on a browser's XMLHttpRequest.

Python in a browser (Pyodide) has neither sockets nor ``requests``. A blocking request is
the one thing left; it waits on the worker's thread, and the answer arrives as a whole.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.parse
from collections.abc import Iterator
from json import dumps, loads
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


class JsHttpException(urllib.error.HTTPError):
    """The server refused; an OSError."""


class StreamIO(io.BytesIO):
    """The body of a response as a file."""


class ResponseProxy:
    """A finished XMLHttpRequest, looked at like a response of ``requests``."""

    def __init__(self, req: Any, stream: bool = False) -> None:
        self.request = req
        self.stream: bool = stream
        self._body_data: bytes | None = None
        self._header_map: dict[str, str] | None = None

    @property
    def raw(self) -> StreamIO | bytes:
        """The body, as a file if the request asked for a stream."""
        body = self._body_data
        if body is None:
            response = self.request.response
            if hasattr(response, "to_bytes"):  # an ArrayBuffer, which only workers get
                body = self._body_data = response.to_bytes()
            else:  # only the low byte of each character counts
                body = self._body_data = bytes(ord(char) & 0xFF for char in response)
        return StreamIO(body) if self.stream else body

    def close(self) -> None:
        """Forget the body."""
        self._body_data = b""

    @property
    def headers(self) -> dict[str, str]:
        """Headers by their names in title case."""
        if self._header_map is None:
            lines = self.request.getAllResponseHeaders().strip().splitlines()
            pairs = (line.partition(":") for line in lines)
            self._header_map = {_title(name): value.strip() for name, _, value in pairs}
        return self._header_map

    @property
    def status_code(self) -> int:
        return int(self.request.status)

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def url(self) -> str:
        return str(self.request.responseURL)

    @property
    def reason(self) -> str:
        return str(self.request.statusText)

    @property
    def content(self) -> bytes:
        self.stream, stream = False, self.stream
        try:
            return cast("bytes", self.raw)
        finally:
            self.stream = stream

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body parsed as JSON."""
        return loads(self.content)

    def raise_for_status(self) -> None:
        """Raise `JsHttpException` for a status of 400 and above."""
        if not self.ok:
            # of the class that urllib has, which wants headers and a file
            raise JsHttpException(self.url, self.status_code, self.reason, {}, None)  # type: ignore[arg-type]

    def iter_content(self, chunksize: int, *_: Any, **__: Any) -> Iterator[bytes]:
        """The body in pieces."""
        data = self.content
        for at in range(0, len(data), chunksize):
            yield data[at : at + chunksize]


def _title(name: str) -> str:
    return {"etag": "ETag", "content-md5": "Content-MD5"}.get(name.lower(), name.title())


class RequestsSessionShim:
    """As much of ``requests.Session`` as a browser allows."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: object = None,
        files: object = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: object = None,
        proxies: object = None,
        hooks: object = None,
        stream: bool | None = None,
        verify: object = None,
        cert: object = None,
        json: Any = None,
    ) -> ResponseProxy:
        """Make a request and wait for all of its answer.

        Raises
        ------
        NotImplementedError
            for options about which the browser decides, or that need more than it gives.
        """
        from js import XMLHttpRequest  # type: ignore[import-not-found]  # only in browsers
        from pyodide.ffi import JsException, to_js  # type: ignore[import-not-found]  # as js

        refused = {"cookies": cookies, "files": files, "proxies": proxies, "hooks": hooks, "cert": cert}
        if any(refused.values()):
            named = ", ".join(name for name, value in refused.items() if value)
            raise NotImplementedError(f"a request made by the browser cannot have: {named}")
        if params:
            url += ("&" if "?" in url else "?") + urllib.parse.urlencode(params)
        req = XMLHttpRequest.new()
        req.open(method, url, False, *(auth or ()))
        if timeout:
            req.timeout = timeout
        merged = {**self.headers, **(headers or {})}
        if json is not None:
            data = dumps(json)
            merged.setdefault("Content-Type", "application/json")
        for name, value in merged.items():
            if name.lower() not in _FORBIDDEN:
                req.setRequestHeader(name, value)
        try:
            req.responseType = "arraybuffer"
        except JsException:  # only workers may set it
            req.overrideMimeType("text/plain; charset=x-user-defined")
        if isinstance(data, (bytes, bytearray, memoryview)):
            data = to_js(data)
        req.send(data)
        return ResponseProxy(req, stream=bool(stream))

    def get(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("GET", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("HEAD", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("POST", url, **kwargs)

    def put(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("PUT", url, **kwargs)

    def patch(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("PATCH", url, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> ResponseProxy:
        return self.request("DELETE", url, **kwargs)


_FORBIDDEN = frozenset({"accept-encoding", "content-length", "host", "connection"})
"""Headers that a browser sets by itself, and complains about."""
