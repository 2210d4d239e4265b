"""URLs as text: their protocol, their parts, and what their ending says."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fsspec._paths import stringify_path

compressions: dict[str, str] = {}
"""Names of compressions by extension of a file; filled by `fsspec.compression`."""

_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")
_URL = re.compile(r"(?P<protocol>[a-zA-Z0-9.+-]+)://(?P<rest>.*)\Z", re.DOTALL)
_BUCKETS = frozenset({"s3", "s3a", "gcs", "gs"})  # the host is the first component of the path
_WHOLE = frozenset({"http", "https"})  # the path is the URL


def get_file_extension(url: str) -> str:
    """What follows the last dot of the last component, without the dot."""
    return url.rpartition("/")[2].rpartition(".")[2] if "." in url.rpartition("/")[2] else ""


def infer_compression(filename: str) -> str | None:
    """The compression that the extension of a file stands for."""
    return compressions.get(get_file_extension(filename).lower())


def get_protocol(url: Any) -> str:
    """The outermost protocol of a URL or a chain of them; "file" for a plain path."""
    text = stringify_path(url)
    found = re.match(r"([^:/\\]{2,}?)(?:::|://)", text)
    return found[1] if found else "file"


def can_be_local(path: Any) -> bool:
    """Whether what a URL names can be had as a local file, perhaps by fetching it first."""
    # the registry is a room further down; asking for a URL's filesystem is what this name is for
    from fsspec.registry import get_filesystem_class

    try:
        return bool(getattr(get_filesystem_class(get_protocol(path)), "local_file", False))
    except (ValueError, ImportError):
        return False


def _unstrip_protocol(name: str, fs: Any) -> str:
    """``name`` with the protocol of ``fs`` in front."""
    return fs.unstrip_protocol(name)


@lru_cache(maxsize=512)
def _parts(urlpath: str) -> tuple[tuple[str, Any], ...]:
    found = None if _DRIVE.match(urlpath) else _URL.match(urlpath)
    if found is None:
        return (("protocol", "file"), ("path", urlpath))
    protocol = found["protocol"]
    if protocol in _WHOLE:
        return (("protocol", protocol), ("path", urlpath))
    rest, _, fragment = found["rest"].partition("#")
    rest, _, query = rest.partition("?")
    place, slash, tail = rest.partition("/")
    path = slash + tail
    login, _, address = place.rpartition("@")
    username, colon, password = login.partition(":")
    host, port = _host_and_port(address)
    if protocol == "file" and re.match(r"/[a-zA-Z]:[\\/]", path):
        path = path[1:]
    if protocol in _BUCKETS:
        path = host + path
    if fragment:
        path += "#" + fragment
    parts: dict[str, Any] = {"protocol": protocol, "path": path}
    given = {
        "host": host,
        "port": port,
        "username": username,
        "password": password if colon else None,
        "url_query": query,
        "url_fragment": fragment,
    }
    parts.update((name, value) for name, value in given.items() if value)
    return tuple(parts.items())


def _host_and_port(address: str) -> tuple[str, int | None]:
    if address.startswith("["):  # an IPv6 address
        host, _, port = address[1:].partition("]")
        port = port[1:]
    else:
        host, _, port = address.partition(":")
    return host, int(port) if port.isdigit() else None


def infer_storage_options(urlpath: Any, inherit_storage_options: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parts of a URL under the names that filesystems use for them.

    Parameters
    ----------
    inherit_storage_options
        options to add; one that contradicts the URL is a KeyError.

    Returns
    -------
    dict
        "protocol" and "path" always; "host", "port", "username", "password",
        "url_query", "url_fragment" where the URL has them.
    """
    options = dict(_parts(stringify_path(urlpath)))
    if inherit_storage_options and options["protocol"] != "file":
        update_storage_options(options, inherit_storage_options)
    return options


def update_storage_options(options: dict[str, Any], inherited: dict[str, Any] | None = None) -> None:
    """Add ``inherited`` options to ``options``, in place.

    Raises
    ------
    KeyError
        an option is there already, with another value.
    """
    for name, value in (inherited or {}).items():
        if name in options and options[name] != value:
            raise KeyError(f"the option {name!r} is given twice, with different values: in the URL and beside it")
    options.update(inherited or {})
