"""URLs and chains of them, and the filesystems that they stand for.

A chain, ``zip://a.csv::simplecache::s3://bucket/b.zip``, names the outermost filesystem
first; each is made with the next one as its target.
"""

from __future__ import annotations

from typing import Any

from fsspec.registry import filesystem, get_filesystem_class
from fsspec.utils import stringify_path

_OPENING = "auto_mkdir compression encoding errors expand mode name_function newline num".split()
"""Arguments of `open_files` that are no options of a filesystem."""

Link = tuple[str, str, dict[str, Any]]


def _text(urlpath: Any) -> str:
    """A URL or path as text; TypeError where it is neither."""
    text = stringify_path(urlpath)
    if not isinstance(text, str):
        raise TypeError(f"a URL or a path is needed, a str or an os.PathLike, not {type(text).__name__}")
    return text


def split_protocol(urlpath: Any) -> tuple[str | None, str]:
    """The protocol of a URL, if it has one, and the rest."""
    text = _text(urlpath)
    protocol, found, rest = text.partition("://")
    if found and len(protocol) > 1 and "::" not in protocol:  # one letter is a Windows drive
        return protocol, rest
    if text.startswith("data:"):
        return "data", text[len("data:") :]
    return None, text


def strip_protocol(urlpath: Any) -> str:
    """The path of a URL as its filesystem writes it."""
    protocol, _ = split_protocol(urlpath)
    return get_filesystem_class(protocol)._strip_protocol(urlpath)


def _un_chain(path: str, kwargs: dict[str, Any]) -> list[Link]:
    """The links of a chain, outermost first.

    Parameters
    ----------
    kwargs
        options: under the name of a protocol those for it, the rest for the outermost.

    Returns
    -------
    list of tuple
        path, protocol and options of each link.
    """
    bits = path.split("::") if "::" in path else [path]
    if len(bits) > 1:
        # a bare word is a protocol without a path of its own
        bits = [bit + "://" if bit.isidentifier() and bit.islower() else bit for bit in bits]
    options = dict(kwargs)
    links: list[Link] = []
    inner = None
    for position in range(len(bits) - 1, -1, -1):
        bit = bits[position]
        outermost = position == 0
        protocol = (options.pop("protocol", None) if outermost else None) or split_protocol(bit)[0] or "file"
        cls = get_filesystem_class(protocol)
        found = cls._get_kwargs_from_urls(bit)
        found.update(options.pop(protocol, None) or {})
        if outermost:
            found.update(options)
        bit = cls._strip_protocol(bit)
        if inner is not None and not bit.strip("/") and getattr(cls, "_takes_inner_path", False):
            bit = inner
        inner = bit
        links.append((bit, protocol, found))
    links.reverse()
    return links


def _nested(links: list[Link]) -> dict[str, Any]:
    """Options for the outermost link, those of the others nested in them."""
    options: dict[str, Any] = {}
    for path, protocol, own in reversed(links[1:]):
        options = {"target_options": {**own, **options}, "target_protocol": protocol, "fo": path}
    return {**links[0][2], **options}


def url_to_fs(url: Any, **kwargs: Any) -> tuple[Any, str]:
    """The filesystem that a URL stands for, and the path on it.

    Parameters
    ----------
    url
        a URL or a chain of them; a path is local.
    **kwargs
        options of the filesystem; for the inner links of a chain under the names of their
        protocols.

    Raises
    ------
    ValueError
        the protocol is not known.
    ImportError
        what it needs is not installed.
    """
    for name in _OPENING:
        kwargs.pop(name, None)
    text = _text(url)
    if not kwargs and ":" not in text:
        fs = filesystem("file")
        return fs, fs._strip_protocol(text)
    links = _un_chain(text, kwargs)
    path, protocol, _ = links[0]
    return filesystem(protocol, **_nested(links)), path
