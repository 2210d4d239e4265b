"""What a cache records of the filesystem that its copies come from, because paths alone do not tell copies
apart.

A member of two archives has one path, and so may files of two servers. The note is a digest of the protocol
and of those options that say where the files are. It is the same in all processes, and no credentials are
part of it.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from hashlib import sha256
from typing import Any

from fsspec._files.open_file import get_compression
from fsspec._paths.paths import local_name
from fsspec._paths.redaction import without_credentials
from fsspec._paths.urls import protocols_of
from fsspec.spec import AbstractFileSystem

_WHERE = frozenset(
    "account_host account_name base_url bucket connection_string container drive drive_id drive_name endpoint"
    " endpoint_url fo fs gist_id host hostname instance org path port ref remote_protocol repo rev root"
    " root_file_id root_id server sha share site_name sync_fs target_protocol url".split()
)
"""Options that say where the files of a filesystem are."""

_USERS = frozenset(["user", "username"])
"""What says so beside a ``host``, which may show each user another folder."""

_PATHS = frozenset("base_url fo path root url".split())
"""Those that may be local paths."""

_SECRETS = "AccountKey=", "SharedAccessSignature="

_LOCAL = (None, "file", "local")


class Source:
    """Where the copies of a cache come from, and in what form they are kept.

    ``compression``: as of the cache, if its copies are decompressed.
    """

    def __init__(self, fs: AbstractFileSystem, compression: str | None) -> None:
        self._source_fs, self._compression = fs, compression

    @cached_property
    def _description(self) -> tuple[str, bool]:
        """The digest, and whether options say where the files are; when it is first needed, as references may
        be many."""
        described = _described(self._source_fs)
        text = json.dumps(described, sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:32], bool(described[1])

    def note(self, path: str) -> str:
        """What is noted of a copy of a path."""
        codec = get_compression(path, self._compression)
        digest = self._description[0]
        return digest if codec is None else f"{digest} {codec}"

    def is_needed(self, path: str) -> bool:
        """Whether the path alone does not say what its copy is: options say where, or it is decompressed."""
        return self._description[1] or get_compression(path, self._compression) is not None


def named_for(name: str, note: str) -> str:
    """The name of a copy, which is a digest of its path, changed to one for a certain source."""
    return sha256(f"{name} {note}".encode()).hexdigest()


def _described(fs: AbstractFileSystem) -> tuple[str, dict[str, Any]]:
    given = getattr(fs, "storage_options", None)
    options = dict(given) if isinstance(given, dict) else {}
    if isinstance(fs.storage_args, tuple) and fs.storage_args:
        import inspect  # slow to import

        names = list(inspect.signature(type(fs).__init__).parameters)[1:]
        options.update(zip(names, fs.storage_args))
    return protocols_of(fs)[0], _where(options)


def _where(options: dict[str, Any]) -> dict[str, Any]:
    """The options, nested ones included, that say where files are."""
    behind = options.get("fs")
    protocol = protocols_of(behind)[0] if isinstance(behind, AbstractFileSystem) else None
    protocol = options.get("target_protocol") or protocol
    found: dict[str, Any] = {}
    where = _WHERE | _USERS if "host" in options else _WHERE
    for name, value in options.items():
        if name == "target_protocol" and not {"fo", "fs"}.isdisjoint(options):
            continue  # part of the place
        if name in where and value is not None:
            found[name] = _place(name, value, protocol)
        elif isinstance(value, dict) and (inner := _where(value)):
            found[str(name)] = inner
    return found


def _place(name: str, value: Any, protocol: object) -> Any:
    """The value of such an option without credentials, in a form for JSON."""
    if isinstance(value, AbstractFileSystem):
        return _described(value)
    # an open file, or an `OpenFile`
    if hasattr(value, "fs") and isinstance(getattr(value, "path", None), str):
        return [_place(name, value.fs, None), value.path]
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if name == "connection_string":  # of Azure: "AccountName=...;AccountKey=..."
            return [part for part in text.split(";") if not part.startswith(_SECRETS)]
        if name not in _PATHS:
            return text
        if "://" not in text and "::" not in text:
            return os.path.abspath(local_name(text, "fo")) if protocol in _LOCAL else f"{protocol}://{text}"
        if text.startswith(("file://", "local://")):
            return os.path.abspath(local_name(text, "fo"))
        return without_credentials(text)
    if isinstance(value, dict) and any(isinstance(each, AbstractFileSystem) for each in value.values()):
        return {str(key): _place(name, each, None) for key, each in value.items()}
    if isinstance(value, (int, float, dict, list, tuple, bytes)):
        return sha256(repr(value).encode()).hexdigest()
    file = getattr(value, "name", None)
    if isinstance(file, str) and os.path.exists(file):  # an open local file
        return os.path.abspath(file)
    if hasattr(value, "read"):
        return os.urandom(16).hex()  # a file in memory, which nobody can find again
    return f"{type(value).__module__}.{type(value).__qualname__}"  # a client, as those of pyarrow
