"""What users call: `open`, `open_files`, `open_local`, `url_to_fs`, and the chains of URLs that these take.

A chain, ``zip://a.csv::simplecache::s3://bucket/b.zip``, names the outermost filesystem
first; each is made with the next one as its target.  Files that are not open yet are
`fsspec._files.open_file`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast, overload

from fsspec import config
from fsspec._error_notes import add
from fsspec._files.open_file import (
    BinaryMode,
    OpenFile,
    OpenFiles,
    PickleableTextIOWrapper,
    TextMode,
    get_compression,
)
from fsspec._paths.paths import path_texts, url_text
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans.globbing import has_magic
from fsspec._public import publish
from fsspec.caching import BytesCache, caches
from fsspec.compression import compr
from fsspec.registry import available_protocols, filesystem, get_filesystem_class
from fsspec.utils import build_name_function, stringify_path

if TYPE_CHECKING:
    from fsspec._paths.types import Options, StrPath, StrPaths
    from fsspec.spec import AbstractFileSystem

__all__ = [
    "BytesCache",
    "DEFAULT_EXPAND",
    "OpenFile",
    "OpenFiles",
    "PickleableTextIOWrapper",
    "_un_chain",
    "caches",
    "compr",
    "expand_paths_if_needed",
    "filesystem",
    "get_compression",
    "get_filesystem_class",
    "get_fs_token_paths",
    "open",
    "open_files",
    "open_local",
    "split_protocol",
    "stringify_path",
    "strip_protocol",
    "url_to_fs",
]
publish(__name__)

logger: logging.Logger = logging.getLogger("fsspec")

DEFAULT_EXPAND: bool = bool(config.conf.get("open_expand", False))
"""Whether `open` expands patterns if no argument decides."""


_OPENING = "compression encoding errors expand mode name_function newline num".split()
"""Arguments of `open_files` that are not options of a filesystem."""

ChainLink = tuple[str, str, dict[str, Any]]


def split_protocol(urlpath: StrPath) -> tuple[str | None, str] | list[str]:
    """The protocol of a URL, if it has one, and the rest: a tuple, of a ``data:`` URL a list."""
    text = urlpath if type(urlpath) is str else url_text(urlpath)
    if ":" in text:
        protocol, found, rest = text.partition("://")
        if found and len(protocol) > 1:  # one letter is a Windows drive
            return protocol, rest
        if text.startswith("data:"):
            return ["data", text[len("data:") :]]  # not a tuple, as of other URLs: programs may tell
    return None, text


def strip_protocol(urlpath: StrPath) -> str:
    """The path of a URL as its filesystem writes it."""
    protocol, _ = split_protocol(urlpath)
    return str(get_filesystem_class(protocol)._strip_protocol(urlpath))


def _un_chain(path: str, kwargs: Options) -> list[ChainLink]:
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
    path = url_text(path)
    bits = path.split("::") if "::" in path else [path]
    if len(bits) > 1:
        bits = [bit + "://" if _is_bare_protocol(bit) else bit for bit in bits]
    options = dict(kwargs)
    links: list[ChainLink] = []
    inner = None
    for position in range(len(bits) - 1, -1, -1):
        bit = bits[position]
        outermost = position == 0
        # given beside a chain it is the protocol of the innermost link
        protocol = options.pop("protocol", None) or split_protocol(bit)[0] or "file"
        cls = get_filesystem_class(protocol)
        given = options.pop(protocol, None) or {}
        if outermost:
            given = {**given, **options}
        found = with_options_of_url(cls, protocol, bit, given)
        bit = cls._strip_protocol(bit)
        if bit is None:
            raise TypeError(f"{cls.__name__}._strip_protocol has to return a path: it returned None")
        if inner is not None and not bit.strip("/") and getattr(cls, "_takes_inner_path", False):
            bit = inner
        inner = bit
        links.append((bit, protocol, found))
    links.reverse()
    return links


def _is_bare_protocol(bit: str) -> bool:
    """Whether a link of a chain is a protocol alone, without a path; so is an empty link."""
    if not bit or bit.isascii() and bit.isalpha() and bit.islower():
        return True
    return "://" not in bit and bit in available_protocols()


def with_options_of_url(
    cls: type[AbstractFileSystem], protocol: str, url: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Options, with those that a URL itself carries. Raises TypeError if it has another value for one."""
    found = cls._get_kwargs_from_urls(url)
    try:
        names = found.keys() & given.keys()
    except AttributeError:
        raise TypeError(
            f"{cls.__name__}._get_kwargs_from_urls has to return a dict: it returned {found!r}"
        ) from None
    twice = sorted(name for name in names if found[name] != given[name])
    if twice:
        raise TypeError(
            f"{protocol}: got multiple values for keyword argument {', '.join(map(repr, twice))}: the URL"
            " gives another one than the options; leave out one of the two"
        )
    return {**found, **given}


def _nested(links: list[ChainLink]) -> dict[str, Any]:
    """Options for the outermost link, those of the others nested in them."""
    options: Options = {}
    for path, protocol, own in reversed(links[1:]):
        options = {"target_options": {**own, **options}, "target_protocol": protocol, "fo": path}
    return {**links[0][2], **options}


def url_to_fs(url: StrPath, **kwargs: Any) -> tuple[AbstractFileSystem, str]:
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
    if kwargs:
        for name in _OPENING:
            kwargs.pop(name, None)
    text = url_text(url)
    if not kwargs and ":" not in text:
        fs = filesystem("file")
        return fs, fs._strip_protocol(text)
    links = _un_chain(text, kwargs)
    path, protocol, _ = links[0]
    return filesystem(protocol, **_nested(links)), path


def open_files(
    urlpath: StrPaths,
    mode: str = "rb",
    compression: str | None = None,
    encoding: str = "utf8",
    errors: str | None = None,
    name_function: Callable[[int], str] | None = None,
    num: int = 1,
    protocol: str | None = None,
    newline: str | None = None,
    auto_mkdir: bool = True,
    expand: bool = True,
    **kwargs: Any,
) -> OpenFiles:
    """Files to be opened, by URLs or patterns.

    Parameters
    ----------
    urlpath
        a URL or several, of one filesystem.
    mode
        as for the built-in ``open``.
    compression
        a name of `fsspec.available_compressions`, "infer", or None.
    encoding, errors, newline
        for text.
    name_function
        writing ``num`` files to a pattern: the name for each number.
    num
        how many files to write.
    protocol
        takes the place of the URL's.
    auto_mkdir
        make the folders of files to be written.
    expand
        whether names with ``*``, ``?`` or ``[]`` are patterns; a name with brackets that exists is taken
        as it is.
    **kwargs
        options of the filesystem.
    """
    where: dict[str, Any] = {"storage_options": kwargs, "protocol": protocol}
    fs, _, paths = get_fs_token_paths(
        urlpath, mode, num=num, name_function=name_function, expand=expand, **where
    )
    if "r" not in mode and auto_mkdir:
        for parent in dict.fromkeys(fs._parent(path) for path in paths):
            with suppress(PermissionError):  # who may write files need not be allowed to make buckets
                fs.makedirs(parent, exist_ok=True)
    how = compression, encoding, errors, newline
    files: list[OpenFile[Any]] = [OpenFile(fs, path, mode, *how) for path in paths]
    return OpenFiles(files, mode=mode, fs=fs)


@overload
def open(
    urlpath: StrPath,
    mode: BinaryMode = ...,
    compression: str | None = ...,
    encoding: str = ...,
    errors: str | None = ...,
    protocol: str | None = ...,
    newline: str | None = ...,
    expand: bool | None = ...,
    **kwargs: Any,
) -> OpenFile[bytes]: ...


@overload
def open(
    urlpath: StrPath,
    mode: TextMode,
    compression: str | None = ...,
    encoding: str = ...,
    errors: str | None = ...,
    protocol: str | None = ...,
    newline: str | None = ...,
    expand: bool | None = ...,
    **kwargs: Any,
) -> OpenFile[str]: ...


@overload
def open(
    urlpath: StrPath,
    mode: str,
    compression: str | None = ...,
    encoding: str = ...,
    errors: str | None = ...,
    protocol: str | None = ...,
    newline: str | None = ...,
    expand: bool | None = ...,
    **kwargs: Any,
) -> OpenFile[Any]: ...


def open(
    urlpath: StrPath,
    mode: str = "rb",
    compression: str | None = None,
    encoding: str = "utf8",
    errors: str | None = None,
    protocol: str | None = None,
    newline: str | None = None,
    expand: bool | None = None,
    **kwargs: Any,
) -> OpenFile[Any]:
    """A file to be opened: what it returns is opened by ``with``, or by its method ``open``.

    Parameters
    ----------
    urlpath
        a URL, a chain of them (``"zip://a.csv::s3://bucket/b.zip"``), or a local path.
    mode
        as for the built-in ``open``: "rb" (the default), "rt", "wb", "ab", "xb" ...
    compression
        a name of `fsspec.available_compressions`, "infer" (by the suffix of the name), or None.
    encoding, errors, newline
        of text, as for the built-in ``open``.
    protocol
        takes the place of the URL's.
    expand
        whether ``*``, ``?`` and ``[]`` in a name are a pattern, whose first match is opened;
        None for the value of ``open_expand`` in the configuration, by default False.
    **kwargs
        options of the filesystem, such as ``anon=True`` for S3; for the inner links of a chain under
        the names of their protocols: ``s3={"anon": True}``.

    Returns
    -------
    OpenFile
        can be pickled, and opened any number of times.

    Raises
    ------
    FileNotFoundError
        ``expand`` is true and the pattern matches nothing. A missing file raises when it is opened.
    ValueError
        the protocol is not known.
    ImportError
        what the protocol needs is not installed.

    Examples
    --------
    >>> with fsspec.open("memory://folder/a.csv", "wt") as file:
    ...     file.write("x,y")
    3
    >>> with fsspec.open("memory://folder/a.csv", "rt") as file:
    ...     file.read()
    'x,y'
    """
    found = open_files(
        [cast("str", urlpath)],
        mode,
        compression,
        encoding,
        errors,
        protocol=protocol,
        newline=newline,
        expand=DEFAULT_EXPAND if expand is None else expand,
        **kwargs,
    )
    if not found:
        raise FileNotFoundError(redact_paths(urlpath))
    return cast("OpenFile[Any]", found[0])


def open_local(url: StrPaths, mode: str = "rb", **storage_options: Any) -> str | list[str]:
    """Paths of local files with the content of URLs, which are fetched if need be.

    Parameters
    ----------
    url
        a URL, a pattern or a list; the outermost filesystem is local, or keeps whole files
        locally (``simplecache::``, ``filecache::``).

    Returns
    -------
    str or list of str
        one path for one URL, a list for a pattern or a list.
    """
    if "r" not in mode:
        raise ValueError("local copies are for reading: mode has to be 'rb'")
    found = open_files(url, mode, **storage_options)
    if found and not getattr(found[0].fs, "local_file", False):
        raise ValueError(
            "open_local needs a filesystem that has local files (its attribute local_file); put simplecache::"
            " before the URL"
        )
    with found as files:
        paths: list[str] = [f.name for f in files]
    text = stringify_path(url)
    if isinstance(text, str) and not has_magic(text):
        return paths[0]
    return paths


def get_fs_token_paths(
    urlpath: StrPaths,
    mode: str = "rb",
    num: int = 1,
    name_function: Callable[[int], str] | None = None,
    storage_options: dict[str, Any] | None = None,
    protocol: str | None = None,
    expand: bool = True,
) -> tuple[AbstractFileSystem, str, list[str]]:
    """The filesystem of URLs, its token, and their paths with patterns expanded.

    Parameters
    ----------
    urlpath
        a URL, or several of one filesystem.
    num, name_function
        writing: how many files a pattern stands for, and the name for each number.

    Raises
    ------
    ValueError
        there are no URLs, or they belong to several filesystems.
    """
    given = path_texts(urlpath)
    several = isinstance(given, list)
    urls = given if isinstance(given, list) else [given]
    if not urls:
        raise ValueError("empty urlpath sequence: at least one URL is needed")
    options = {**(storage_options or {}), **({"protocol": protocol} if protocol else {})}
    for name in _OPENING:
        options.pop(name, None)
    chains = [_un_chain(url, options) for url in urls]
    if len({chain[0][1] for chain in chains}) > 1:
        names = sorted({chain[0][1] for chain in chains})
        raise ValueError(f"Protocol mismatch: the URLs of one call have one protocol, not {', '.join(names)}")
    writing = "w" in mode or "x" in mode
    try:
        fs = filesystem(chains[0][0][1], **_nested(chains[0]))
    except FileNotFoundError as error:
        archives = [protocol for _, protocol, options in chains[0] if protocol in ("tar", "libarchive")]
        if writing and archives:
            add(error, _ONLY_READ)
        elif writing and any(name == "zip" and "mode" not in options for _, name, options in chains[0]):
            add(error, _NEW_ZIP)
        raise
    paths = [chain[0][0] for chain in chains]
    if not several:  # what is left of "file://" is a name if the protocol is another
        paths = [fs._strip_protocol(paths[0])]
    if several:
        if expand:
            paths = expand_paths_if_needed(paths, mode, num, fs, name_function)
    elif writing and expand:
        paths = _expand_paths(paths[0], name_function, num)
    elif "*" in paths[0] or (expand and _is_pattern_to_read(fs, paths[0])):
        types = getattr(fs, "_glob_types", None)  # if an entry costs more than its type
        found = types(paths[0]) if types else fs.glob(paths[0], detail=True)
        files = sorted(p for p, entry in found.items() if entry["type"] != "directory")
        paths = files if files or "*" in paths[0] else paths
    return fs, fs._fs_token, paths


_ONLY_READ = (
    "fsspec: the archive is not there, and tar archives are only read: write one with tarfile, or a zip"
    ' archive by zip={"mode": "w"}'
)
"""Also for a tar archive that is opened with a mode that writes."""
_NEW_ZIP = (
    'fsspec: the archive is not there; to write a new one give zip={"mode": "w"} (in storage_options= of'
    " pandas and others)"
)


def _is_pattern_to_read(fs: AbstractFileSystem, path: str) -> bool:
    """Whether a path to read from is a pattern: not if it is the name of something, or a URL with a query."""
    if "*" in path:
        return True
    if not has_magic(path) or "://" in path:
        return False
    return "[" not in path or not fs.exists(path)


def _expand_paths(path: str | list[str], name_function: Callable[[int], str] | None, num: int) -> list[str]:
    """The paths of ``num`` files to write to a folder, or to a path with one ``*``."""
    if isinstance(path, str):
        if path.count("*") > 1:
            raise ValueError(
                f"a path to write several files to has one *, not {path.count('*')}: {redact_url(path)!r}"
            )
        name = name_function or build_name_function(num - 1)
        folder = path if not path or path.endswith("/") else f"{path}/"
        mask = path if "*" in path else f"{folder}*.part"
        names = [name(i) for i in range(num)]
        if names != sorted(names):
            logger.warning(
                "the names that the name_function gives are not in order, and nor will be the files"
            )
        return [mask.replace("*", n) for n in names]
    if isinstance(path, (tuple, list)):
        assert len(path) == num, f"{len(path)} paths for {num} files"
        return list(path)
    raise ValueError(f"a path, or a list of them, is needed to write to, not {type(path).__name__}")


def expand_paths_if_needed(
    paths: list[str], mode: str, num: int, fs: AbstractFileSystem, name_function: Callable[[int], str] | None
) -> list[str]:
    """Paths with their patterns expanded: to what exists, or is to be written.

    Parameters
    ----------
    num
        writing: how many files there are to be in all.
    """
    writing = "w" in mode or "x" in mode
    if writing and sum("*" in path for path in paths) > 1:
        raise ValueError("only one filename mask can be specified among paths to write to: one with a *")
    out: list[str] = []
    for path in paths:
        if writing and "*" in path:
            out.extend(_expand_paths(path, name_function, max(num - len(paths) + 1, 1)))
        elif not writing and _is_pattern_to_read(fs, path):
            out.extend(fs.glob(path))
        else:
            out.append(path)
    return out
