"""The files of a Databricks workspace (DBFS), by its REST API 2.0.

The service takes and gives a megabyte at a time, as base64 in JSON.  A file that is written
in a transaction has another name until it is committed.
"""

from __future__ import annotations

import base64
import errno
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from fsspec._overriding import unless_patched, unlike_base
from fsspec._paths.paths import hidden_name, url_text
from fsspec._paths.urls import protocols_of
from fsspec._plans.globbing import has_magic
from fsspec.implementations._remote.rest import RestFileSystem
from fsspec.spec import AbstractBufferedFile

if TYPE_CHECKING:
    import requests

    from fsspec._paths.types import Depth, PathOrPaths, StrPaths
    from fsspec.spec import AbstractFileSystem

__all__ = ["DatabricksException", "DatabricksFile", "DatabricksFileSystem"]

_BLOCK = 2**20
_DELETES = 1000
"""How often to continue with a delete that the service does bit by bit."""
_KINDS: dict[str, type[OSError]] = {
    "RESOURCE_DOES_NOT_EXIST": FileNotFoundError,
    "RESOURCE_ALREADY_EXISTS": FileExistsError,
    "PERMISSION_DENIED": PermissionError,
    "IO_ERROR": OSError,
}


class DatabricksException(Exception):
    """An error of the service that matches no built-in exception.

    Parameters
    ----------
    error_code
        the service's name for it
    message, details
        what the service says
    """

    def __init__(self, error_code: str, message: str, details: object | None = None) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_code, self.message, self.details)


class DatabricksFileSystem(RestFileSystem):
    """The files of one workspace.

    Parameters
    ----------
    instance
        its host, or a URL if that is not to be asked by https
    token
        a personal access token
    **kwargs
        as for `AbstractFileSystem`
    """

    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "dbfs"
    root_marker = "/"

    def __init__(self, instance: str, token: str, **kwargs: Any) -> None:
        self.instance = instance
        self.token: str = token
        super().__init__(**kwargs)
        self.session.headers["Authorization"] = f"Bearer {token}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.instance!r})"

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        text = url_text(path)
        for protocol in protocols_of(cls):
            text = text.removeprefix(f"{protocol}:") if text.startswith(f"{protocol}:/") else text
        return "/" + text.strip("/")

    # requests ---------------------------------------------------------------------
    def _call_api(self, name: str, about: str, method: str = "POST", /, **body: Any) -> dict[str, Any]:
        """The answer of one endpoint; an error is raised with the path that it is about."""
        if type(self)._send_to_api is not DatabricksFileSystem._send_to_api:
            return self._send_to_api(method=method.lower(), endpoint=name, json=body)
        return self._answer_of(name, about, method, body)

    def _send_to_api(self, method: str, endpoint: str, json: dict[str, Any]) -> dict[str, Any]:
        """The answer of one endpoint. Derived classes may override this: each request goes through it."""
        about = json.get("path") or json.get("source_path") or ""
        return self._answer_of(endpoint, about, method.upper(), json)

    def _answer_of(self, name: str, about: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        base = self.instance if "://" in self.instance else f"https://{self.instance}"
        url = f"{base.rstrip('/')}/api/2.0/dbfs/{name}"
        return self._request_json(method, url, about, json=body)

    def _raise_for_response(self, response: requests.Response, path: str) -> NoReturn:
        try:
            body = response.json()
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        code = body.get("error_code")
        if code is None or response.status_code in (401, 403):
            super()._raise_for_response(response, path)
        kind = _KINDS.get(code)
        message = self._error_text(response)
        if kind is FileNotFoundError:
            raise kind(path)
        if kind is not None:
            raise kind(f"{path!r}: {message}")
        raise DatabricksException(code, f"{path!r}: {message} ({code})", body.get("details"))

    # listing ----------------------------------------------------------------------
    @staticmethod
    def _described_entry(body: dict[str, Any]) -> dict[str, Any]:
        entry = {
            "name": body["path"],
            "type": "directory" if body["is_dir"] else "file",
            "size": body["file_size"],
        }
        if body.get("modification_time"):
            entry["mtime"] = body["modification_time"] / 1000
        return entry

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds; one request, unless it is remembered and ``refresh`` is not set."""
        path = self._strip_protocol(path)
        entries = None if kwargs.get("refresh") else self._ls_from_cache(path)
        if entries is None:
            body = self._call_api("list", path, "GET", path=path)
            entries = [self._described_entry(each) for each in body.get("files", ())]
            if not (len(entries) == 1 and entries[0]["name"] == path):
                self.dircache[path] = entries
        return list(entries) if detail else [entry["name"] for entry in entries]

    def _ls_from_cache(self, path: str) -> list[dict[str, Any]] | None:
        """As the base class, but of a folder its own listing only."""
        path = self._strip_protocol(path)
        if path in self.dircache:
            return cast("list[dict[str, Any]] | None", self.dircache[path])
        found = super()._ls_from_cache(path) if path != "/" else None
        return found if found is not None and found[0]["type"] == "file" else None

    @unless_patched
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of one path, by one request."""
        path = self._strip_protocol(path)
        return self._described_entry(self._call_api("get-status", path, "GET", path=path))

    def invalidate_cache(self, path: str | None = None) -> None:
        super().invalidate_cache(path)
        if path is None:
            self.dircache.clear()
        else:
            path = self._strip_protocol(path)
            self.dircache.pop(path, None)
            self.dircache.pop(self._parent(path), None)

    # changing ---------------------------------------------------------------------
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        path = self._strip_protocol(path)
        if self.exists(path):
            raise FileExistsError(path)
        if not create_parents and not self.isdir(self._parent(path)):
            raise FileNotFoundError(self._parent(path))
        self._call_api("mkdirs", path, path=path)
        self.dircache.clear()  # of any folder on the way

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        path = self._strip_protocol(path)
        if not exist_ok and self.exists(path):
            raise FileExistsError(path)
        self._call_api("mkdirs", path, path=path)
        self.dircache.clear()

    @unlike_base
    def rm(self, path: StrPaths, recursive: bool = False, **kwargs: Any) -> None:
        """Remove files, or folders: empty ones, with ``recursive`` all.

        The service removes large folders bit by bit, and is asked until nothing is left.
        """
        single = isinstance(path, str) and not has_magic(path)
        paths = [self._strip_protocol(str(path))] if single else self.expand_path(path)
        for each in paths:
            self._delete_path(each, recursive)
            self.invalidate_cache(each)

    def _delete_path(self, path: str, recursive: bool) -> None:
        if not self._fsspec_is_taken(path):  # the service is silent about it
            raise FileNotFoundError(path)
        for _ in range(_DELETES):
            try:
                self._call_api("delete", path, path=path, recursive=recursive)
                return
            except DatabricksException as error:
                if error.error_code != "PARTIAL_DELETE":
                    raise
        raise OSError(f"{path!r} is not removed after {_DELETES} requests; some of it is")

    @unless_patched
    def _rm(self, path: str) -> None:
        self.rm(path)

    rmdir = _rm

    @unlike_base
    def mv(
        self,
        source_path: str,
        destination_path: str,
        recursive: bool = False,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> None:
        """Move a file, or a folder as a whole, by one request."""
        if maxdepth is not None:
            raise NotImplementedError("a folder is moved as a whole, not to some depth")
        source, target = self._strip_protocol(source_path), self._strip_protocol(destination_path)
        if source != target:
            self._call_api("move", source, source_path=source, destination_path=target)
            self.dircache.clear()

    @unless_patched
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one file, through here: the service copies none. A copy has its name once it is whole."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        if self.isdir(path1):
            self.makedirs(path2, exist_ok=True)
            return
        with self._open(path1) as source:
            target = self._open(path2, "wb", autocommit=False)
            try:
                while data := source.read(_BLOCK):
                    target.write(data)
                target.close()
                target.commit()
            except BaseException:  # an interrupt, too, leaves no part
                target.discard()
                target.closed = True  # nor does its finalizer send anything
                raise

    # files ------------------------------------------------------------------------
    def _open(
        self, path: str, mode: str = "rb", block_size: int | str | None = "default", **kwargs: Any
    ) -> DatabricksFile:
        return DatabricksFile(self, path, mode=mode, block_size=block_size, **kwargs)


class DatabricksFile(AbstractBufferedFile):
    """A file of the service, a megabyte at a time.

    Raises
    ------
    ValueError
        for another block size
    IsADirectoryError
        for a folder that is opened to be read
    """

    DEFAULT_BLOCK_SIZE: ClassVar[int] = _BLOCK

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = "default",
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if block_size not in (None, "default", _BLOCK):
            self.closed = True
            raise ValueError(f"the block size of the service is {_BLOCK}, not {block_size}")
        self._written_path = path if autocommit else hidden_name(path)
        super().__init__(fs, path, mode, _BLOCK, autocommit, cache_type, cache_options, **kwargs)
        if mode == "rb" and "size" not in kwargs and self.details["type"] == "directory":
            self.closed = True
            raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
        if mode == "ab":
            self.closed = True
            raise NotImplementedError(f"{path!r}: the service cannot append to files")

    def _fetch_range(self, start: int, end: int) -> bytes:
        parts = []
        while start < end:
            length = min(end - start, _BLOCK)
            body = self.fs._call_api("read", self.path, "GET", path=self.path, offset=start, length=length)
            try:
                data = base64.b64decode(body["data"])
            except ValueError:
                data = b""
            if not data:
                raise OSError(f"{self.path!r}: nothing came of bytes {start} to {end}; try again")
            parts.append(data)
            start += len(data)
        return b"".join(parts)

    def _initiate_upload(self) -> None:
        overwrite = self.mode != "xb"
        body = self.fs._call_api("create", self.path, path=self._written_path, overwrite=overwrite)
        self.handle: int = body["handle"]

    def _upload_chunk(self, final: bool = False) -> bool | None:
        self.buffer.seek(0)
        while block := self.buffer.read(_BLOCK):
            data = base64.b64encode(block).decode()
            self.fs._call_api("add-block", self.path, handle=self.handle, data=data)
        if final:
            self.fs._call_api("close", self.path, handle=self.handle)
        return None

    def commit(self) -> None:
        """Give it its name, if it has another."""
        if self._written_path != self.path:
            self.close()
            if self.fs.exists(self.path):
                self.fs.rm(self.path)
            self.fs.mv(self._written_path, self.path)

    def discard(self) -> None:
        if self._written_path == self.path:
            return
        self.closed = True  # no more of it is sent
        if self.offset is not None and self.fs.exists(self._written_path):
            self.fs.rm(self._written_path)
