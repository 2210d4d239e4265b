"""Finding the references of a filesystem, and the filesystems of their targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from fsspec._overriding import is_awaitable
from fsspec._paths.paths import type_name
from fsspec._paths.redaction import redact_url
from fsspec._paths.urls import protocols_of
from fsspec.core import split_protocol, url_to_fs
from fsspec.implementations._reference.document import decoded
from fsspec.implementations._reference.parquet import LazyReferenceMapper
from fsspec.registry import filesystem, get_filesystem_class
from fsspec.utils import stringify_path

if TYPE_CHECKING:
    import asyncio

    from fsspec._paths.types import StrPath
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem


_DOCUMENTS = (".json", ".jsn")


def load(
    fo: StrPath | Mapping[str, Any], protocol: str | None, options: Mapping[str, Any], cache_size: int
) -> Mapping[str, Any] | LazyReferenceMapper:
    """Load the references of ``fo``: a document or a mapper.

    ``fo``: a document or mapping; or the URL of a JSON file, or of a folder of parquet tables.
    ``protocol``, ``options``: of the filesystem that a URL is read from; ``compression`` among the options is
        that of the file.
    ``cache_size``: see `LazyReferenceMapper`.
    Raises FileNotFoundError if there is nothing at the URL.
    Raises ValueError if it holds no references.
    """
    if isinstance(fo, Mapping):
        return fo
    url = stringify_path(fo)
    if not isinstance(url, str):
        raise TypeError(
            f"references are a mapping, or the URL of a file or folder of them; not {type_name(fo)}"
        )
    options = dict(options)
    compression = options.pop("compression", None)
    options.pop("asynchronous", None)  # the table is read blocking, whatever its targets are
    if protocol is None or "::" in url:
        fs, path = url_to_fs(url, **options)
    else:
        fs = filesystem(protocol, **options)
        path = fs._strip_protocol(url)
    # nothing lies below a URL with a query, a signed one for instance
    if not (path.endswith(_DOCUMENTS) or "://" in path and "?" in path) and compression is None:
        with suppress(PermissionError):  # stores that forbid listing also refuse what does not exist
            if fs._fsspec_is_taken(f"{path.rstrip('/')}/.zmetadata"):
                mapper = LazyReferenceMapper(path, fs, cache_size=cache_size)
                mapper.setup()  # raises errors of its metadata now
                return mapper
            if fs.isdir(path):
                raise FileNotFoundError(
                    f"{redact_url(fo)} is a folder without references: .zmetadata is not there"
                )
    if compression is None:
        return decoded(fs.cat_file(path), str(url))
    with fs.open(path, "rb", compression=compression) as f:
        return decoded(f.read(), str(url))


class Targets:
    """The filesystems that targets are read from, awaitable ones.

    ``asynchronous``, ``loop``: of the filesystem of references: those of its targets have to be the same.
    ``options``: for those that are made.
    """

    def __init__(
        self, asynchronous: bool, loop: asyncio.AbstractEventLoop | None, options: Mapping[str, Any]
    ) -> None:
        self.asynchronous = asynchronous
        self.loop = loop
        self.options = options
        self._wrapped: dict[int, Any] = {}

    def forget(self) -> None:
        """Drop the awaitable wrappers of blocking filesystems; new ones are made when needed."""
        self._wrapped = {}

    def table(
        self,
        fs: AbstractFileSystem | Mapping[str, Any] | None,
        remote_protocol: str | None,
        references: Mapping[str, Any],
        target: str | None,
    ) -> dict[str | None, Any]:
        """Filesystems by protocol; under None that of targets without one."""
        fss: dict[str | None, Any] = {}
        plain: Any = None
        if isinstance(fs, Mapping):  # these are kept as they are given
            for name, each in fs.items():
                fss[name] = self.plain(name, each) if isinstance(each, Mapping) else each
                self.as_awaitable(fss[name])
        elif fs is not None:
            plain = self.as_awaitable(fs)
            for name in protocols_of(plain):
                fss[name] = plain
        elif remote_protocol:
            plain = fss[remote_protocol] = self.made(remote_protocol, self.options)
        for protocol in _protocols(references, target):
            if protocol is not None:
                if protocol not in fss:
                    fss[protocol] = self.made(protocol, self.options)
                if plain is None and not isinstance(fs, Mapping):
                    plain = fss[protocol]
        if None not in fss:
            fss[None] = self.made("file", {}) if plain is None else plain
        return fss

    def made(self, protocol: str | None, options: Mapping[str, Any]) -> AsyncFileSystem:
        """A filesystem of a protocol, one that can be awaited here."""
        return self.as_awaitable(self.plain(protocol, options))

    def plain(self, protocol: str | None, options: Mapping[str, Any]) -> AbstractFileSystem:
        """A filesystem of a protocol."""
        options = dict(options)
        if get_filesystem_class(protocol).async_impl:
            options.setdefault("asynchronous", self.asynchronous)
            if self.loop is not None and not self.asynchronous:
                options.setdefault("loop", self.loop)
        try:
            return filesystem(protocol or "file", **options)
        except (TypeError, IsADirectoryError) as error:  # it needs more arguments
            raise ValueError(
                f"the filesystem of {protocol}:// targets cannot be made without more options ({error}): "
                "give it or them by fs="
            ) from error

    def as_awaitable(self, fs: AbstractFileSystem) -> AsyncFileSystem:
        """An instance, wrapped if it blocks. Raises TypeError: it is not a filesystem. Raises ValueError: it
        lives on another loop than the filesystem of references."""
        if not hasattr(fs, "async_impl"):
            raise TypeError(f"the filesystem of targets is {type_name(fs)}; give one, or its options")
        if not is_awaitable(fs):
            wrapped = self._wrapped.get(id(fs))
            if wrapped is None:
                wrapped = filesystem("asyncwrapper", fs=fs, asynchronous=self.asynchronous)
                self._wrapped[id(fs)] = wrapped  # it refers to the filesystem, whose id stays unique
            return cast("AsyncFileSystem", wrapped)
        awaited = cast("AsyncFileSystem", fs)
        if awaited.asynchronous != self.asynchronous:
            raise ValueError(
                f"the targets' filesystem ({type(fs).__name__}) has asynchronous={awaited.asynchronous}, "
                f"that of the references {self.asynchronous}; make both with the same"
            )
        return awaited


def _protocols(references: Mapping[str, Any], target: str | None) -> Iterable[str | None]:
    """The protocols of the targets, in the order of the references; not of a mapper, which would load it."""
    known: dict[str, None] = {}
    if isinstance(references, dict):
        for value in references.values():
            if type(value) is list and value and type(value[0]) is str:
                known[value[0]] = None
    if target is not None:
        known[target] = None
    seen: dict[str | None, None] = {}
    for url in known:
        seen[split_protocol(url)[0]] = None
    return seen
