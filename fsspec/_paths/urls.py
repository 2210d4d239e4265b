"""URLs as text: their protocol, their parts, and what their ending says.

Which class a protocol names is in `registry`; what a chain of URLs is (``C:`` is none) is in `core`.
The parts of a URL are remembered: programs ask about the same ones again and again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import url_text

if TYPE_CHECKING:
    from fsspec._paths.types import Options, StrPath
    from fsspec.spec import AbstractFileSystem

compressions: dict[str, str] = {
    "zip": "zip",
    "bz2": "bz2",
    "gz": "gzip",
    "lzma": "lzma",
    "xz": "xz",
    "lz4": "lz4",
    "zst": "zstd",
}
"""Names of compressions by extension; `fsspec.compression.register_compression` adds to it."""

_BUCKETS = frozenset({"s3", "s3a", "gcs", "gs"})
"""Protocols whose host is the first component of the path."""
_WHOLE = frozenset({"http", "https"})
"""Protocols whose path is the URL."""
_OF_PROTOCOLS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.")


def get_file_extension(url: str) -> str:
    """What follows the last dot of the last component; "" if there is no dot."""
    return url[url.rfind("/") + 1 :].rpartition(".")[2] if "." in url[url.rfind("/") + 1 :] else ""


def infer_compression(filename: StrPath) -> str | None:
    """The compression that the extension of a file stands for, in any case; None for no known one."""
    name = url_text(filename)
    stem, _, extension = name[name.rfind("/") + 1 :].rpartition(".")
    if not stem.strip("."):  # there is no dot, or the name is hidden and has no extension
        return None
    return compressions.get(extension.lower())


def get_protocol(url: StrPath) -> str:
    """The outermost protocol of a URL or a chain of URLs; "file" if there is none."""
    text = url if type(url) is str else url_text(url)
    protocol = text.partition("://")[0].partition("::")[0]
    return protocol if len(protocol) < len(text) else "file"


def protocols_of(fs: Any) -> tuple[str, ...]:
    """All protocols of a filesystem or its class; its URLs are written with the first."""
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def can_be_local(path: StrPath) -> bool:
    """Whether what a URL names can be had as a local file, perhaps by fetching it first."""
    # of a layer below; this is the one function here that needs a class
    from fsspec.registry import get_filesystem_class

    try:
        return bool(getattr(get_filesystem_class(get_protocol(path)), "local_file", False))
    except (ValueError, ImportError):
        return False


def _unstrip_protocol(name: str, fs: AbstractFileSystem) -> str:
    """``name`` with the protocol of ``fs`` in front."""
    return str(fs.unstrip_protocol(name))


def infer_storage_options(
    urlpath: StrPath, inherit_storage_options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The parts of a URL, under the names that filesystems use for them.

    Parameters
    ----------
    inherit_storage_options
        options to add to those of a URL

    Returns
    -------
    dict
        ``protocol`` and ``path`` always; ``host``, ``port`` (an int), ``username``,
        ``password``, ``url_query``, ``url_fragment`` if the URL has them. Names and
        passwords are as they are written, with no escapes replaced.

    Raises
    ------
    KeyError
        if an inherited option contradicts the URL
    ValueError
        if the port is not a number
    """
    text = url_text(urlpath)
    options = dict(_parts(text))
    if inherit_storage_options and options["path"] != text:  # paths have no options, nor URLs that are paths
        update_storage_options(options, inherit_storage_options)
    return options


def server_options(url: StrPath) -> dict[str, Any]:
    """What a URL says of its server: all of `infer_storage_options` but the protocol and the path."""
    options = infer_storage_options(url)
    return {name: value for name, value in options.items() if name not in ("protocol", "path")}


@lru_cache(maxsize=512)
def _parts(urlpath: str) -> tuple[tuple[str, Any], ...]:
    scheme, separator, rest = urlpath.partition("://")
    if not separator or len(scheme) < 2 or not scheme[0].isalpha() or not _OF_PROTOCOLS.issuperset(scheme):
        return (("protocol", "file"), ("path", urlpath))  # single letters are drives
    protocol = scheme.lower()
    if protocol in _WHOLE:
        return (("protocol", protocol), ("path", urlpath))
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    place, slash, path = rest.partition("/")
    path = slash + path
    login, _, address = place.rpartition("@")
    username, _, password = login.partition(":")
    host, port = _host_and_port(address)
    if protocol == "file" and path[1:2].isalpha() and path[2:4] in (":/", ":\\", "|/", "|\\"):
        path = f"{path[1]}:{path[3:]}"
    if protocol in _BUCKETS:
        path = host + path
    if fragment:
        path += "#" + fragment
    found = (
        ("host", host),
        ("port", port),
        ("username", username),
        ("password", password),
        ("url_query", query),
        ("url_fragment", fragment),
    )
    return (("protocol", protocol), ("path", path), *(part for part in found if part[1]))


def _host_and_port(address: str) -> tuple[str, int | None]:
    if address.startswith("["):  # an IPv6 address has colons of its own
        host, _, port = address[1:].partition("]")
        port = port[1:]
    else:
        host, _, port = address.partition(":")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError(f"the port of the host {host!r} is not a number below 65536: {port!r}")
    return host, int(port)


def update_storage_options(options: Options, inherited: dict[str, Any] | None = None) -> None:
    """Add ``inherited`` options to ``options``, in place.

    Raises
    ------
    KeyError
        if an option is given already with another value; then nothing is added
    """
    if not inherited:
        return
    if options.keys().isdisjoint(inherited):
        options.update(inherited)
        return
    twice = sorted(name for name in options.keys() & inherited.keys() if options[name] != inherited[name])
    if twice:
        raise KeyError(f"options that the URL has are given beside it with other values: {', '.join(twice)}")
    options.update(inherited)
