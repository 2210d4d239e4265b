"""Hadoop's filesystem by its REST interface, also that of HttpFS, by ``requests``.

The namenode answers every request but those for data, which it redirects to a datanode.
An instance has a session whose connections are watched: a forked child makes its own.
A failed upload leaves nothing under its name.
"""

from __future__ import annotations

import datetime
import errno
import logging
import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from fsspec._fork.owned import CheckedAttribute
from fsspec._overriding import default, unlike_base
from fsspec._paths.paths import hidden_name, path_texts
from fsspec._paths.urls import server_options
from fsspec.implementations._http.sync_session import never_connected, watch_connections, watched_session
from fsspec.implementations._remote.refusals import refusal
from fsspec.implementations._remote.server import ServerFileSystem
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import tokenize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from fsspec._paths.types import StrPaths


logger: logging.Logger = logging.getLogger("webhdfs")

__all__ = ["WebHDFS", "WebHDFile"]


_ERRORS: dict[str, tuple[type[Exception], int | None]] = {
    "FileNotFoundException": (FileNotFoundError, errno.ENOENT),
    "FileAlreadyExistsException": (FileExistsError, errno.EEXIST),
    "AlreadyBeingCreatedException": (FileExistsError, errno.EEXIST),
    "AccessControlException": (PermissionError, errno.EACCES),
    "SecurityException": (PermissionError, errno.EACCES),
    "InvalidToken": (PermissionError, errno.EACCES),
    "ParentNotDirectoryException": (NotADirectoryError, errno.ENOTDIR),
    "PathIsNotEmptyDirectoryException": (OSError, errno.ENOTEMPTY),
    "IllegalArgumentException": (ValueError, None),
    "UnsupportedOperationException": (NotImplementedError, None),
}


class WebHDFS(ServerFileSystem):
    """Files of a Hadoop cluster, by HTTP.

    Parameters
    ----------
    host, port
        the namenode, or HttpFS.
    kerberos
        authenticate by Kerberos, which needs ``requests_kerberos``.
    token
        a delegation token.
    user
        who asks, if the cluster believes it; with ``password`` by HTTP's basic scheme.
    proxy_to
        act as this user.
    kerb_kwargs
        for ``requests_kerberos.HTTPKerberosAuth``.
    data_proxy
        how the addresses of datanodes are reached from here: a dict of parts of URLs to
        replace, or a function of a URL.
    use_https
        speak HTTPS.
    session_cert, session_verify
        the client's certificate, and how the server's is verified; see `requests.Session`.
    """

    tempdir = "/tmp"
    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "webhdfs", "webHDFS"
    _copies_by_open: ClassVar[bool] = True
    session: CheckedAttribute[requests.Session] = CheckedAttribute()

    def __init__(
        self,
        host: str,
        port: int = 50070,
        kerberos: bool = False,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        proxy_to: str | None = None,
        kerb_kwargs: dict[str, Any] | None = None,
        data_proxy: Mapping[str, str] | Callable[[str], str] | None = None,
        use_https: bool = False,
        session_cert: str | tuple[str, str] | None = None,
        session_verify: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kerberos and (token is not None or user is not None or password is not None):
            raise ValueError("kerberos=True goes without token, user and password: it says who asks")
        if token is not None and (user is not None or proxy_to is not None):
            raise ValueError(
                "a delegation token goes without user and proxy_to: it says who asks, and for whom"
            )
        if password is not None and user is None:
            raise ValueError("a password needs a user")
        self.url: str = f"{'https' if use_https else 'http'}://{host}:{port}/webhdfs/v1"
        self.kerb = kerberos
        self.kerb_kwargs: dict[str, Any] = kerb_kwargs or {}
        self.pars: dict[str, str] = {}
        self.proxy: Any = data_proxy if data_proxy is not None else {}
        if token is not None:
            self.pars["delegation"] = token
        self.user = user
        self.password = password
        if user is not None and password is None:
            self.pars["user.name"] = user
        if proxy_to is not None:
            self.pars["doas"] = proxy_to
        self.session_cert = session_cert
        self.session_verify = session_verify
        self._fs_identity = f"webhdfs_{tokenize(self.url)}"
        self._connect()
        watch_connections(self.session)

    def _connect(self) -> None:
        """Set ``session`` to a new one. Called in each process; for derived classes to override."""
        self.session = watched_session()
        self.session.cert = self.session_cert
        self.session.verify = self.session_verify
        if self.kerb:
            from requests_kerberos import HTTPKerberosAuth

            self.session.auth = HTTPKerberosAuth(**self.kerb_kwargs)
        elif self.password is not None:
            self.session.auth = (self.user or "", self.password)

    @property
    def fsid(self) -> str:
        """The cluster, by a digest of its address."""
        return self._fs_identity

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        options = server_options(urlpath)
        if "username" in options:
            options["user"] = options.pop("username")
        return options

    # requests ---------------------------------------------------------------------
    def _call(
        self,
        op: str,
        method: str = "get",
        path: str | None = None,
        data: bytes | None = None,
        redirect: bool = True,
        **parameters: Any,
    ) -> requests.Response:
        """The response to one operation; an error of the server is raised."""
        path = self._strip_protocol(path or "")
        url = self.url + quote(path if path.startswith("/") else f"/{path}", safe="/=")
        given = {name: value for name, value in parameters.items() if value is not None}
        params = {**given, **self.pars, "op": op.upper()}
        logger.debug("%s %s of %s", method.upper(), op, path)
        response = self.session.request(
            method.upper(), url, params=params, data=data, allow_redirects=redirect
        )
        self._check_response(response, path)
        return response

    def _check_response(self, response: requests.Response, path: str) -> None:
        if response.status_code < 400:
            return
        exception: dict[str, Any] = {}
        with suppress(ValueError), closing(response):
            exception = response.json().get("RemoteException") or {}
        said = exception.get("message") or response.reason
        text = f"{said} (status {response.status_code})".splitlines()[0]
        kind, number = _ERRORS.get(exception.get("exception", ""), (OSError, None))
        if not exception:
            kind, number = {
                401: (PermissionError, errno.EACCES),
                403: (PermissionError, errno.EACCES),
                404: (FileNotFoundError, errno.ENOENT),
            }.get(response.status_code, (OSError, None))
        if issubclass(kind, OSError) and kind not in (FileNotFoundError, PermissionError):
            raise refusal(kind, RuntimeError, number or errno.EIO, text, path)  # programs catch that
        if number is not None:
            raise kind(number, text, path)
        raise kind(f"{text}: {path!r}")

    def _data_url(self, op: str, method: str, path: str, **parameters: Any) -> str:
        """Where the namenode wants the data of an operation to go, or be fetched from."""
        with closing(self._call(op, method, path, redirect=False, **parameters)) as response:
            place = response.headers.get("Location")
        if place is None:
            raise OSError(f"the namenode did not say where the data of {path!r} goes")
        return self._apply_proxy(place)

    def _request_data(self, op: str, path: str, **parameters: Any) -> requests.Response:
        """The response that has the data of an operation: the namenode's own (HttpFS), or a datanode's."""
        response = self._call(op, "get", path, redirect=False, **parameters)
        place = response.headers.get("Location")
        if place is None or not 300 <= response.status_code < 400:
            return response
        response.close()
        response = self.session.get(self._apply_proxy(place))
        self._check_response(response, path)
        return response

    def _apply_proxy(self, location: str) -> str:
        if callable(self.proxy):
            return str(self.proxy(location))
        for before, after in self.proxy.items():
            location = location.replace(before, after, 1)
        return location

    # listings ---------------------------------------------------------------------
    @staticmethod
    def _process_info(info: dict[str, Any]) -> dict[str, Any]:
        info["type"] = info["type"].lower()
        info["size"] = info["length"]
        return info

    def info(self, path: str) -> dict[str, Any]:
        """The entry of a path, one request: what the namenode gives, and ``name``, ``size``, ``type``."""
        path = self._strip_protocol(path)
        status = self._call("GETFILESTATUS", path=path).json()["FileStatus"]
        return {**self._process_info(status), "name": path}

    def ls(self, path: str, detail: bool = False, **kwargs: Any) -> list[Any]:
        """What a folder holds, one request; a file gives itself."""
        path = self._strip_protocol(path)
        found = self._call("LISTSTATUS", path=path).json()["FileStatuses"]["FileStatus"]
        for entry in found:
            self._process_info(entry)
            name = entry["pathSuffix"]
            entry["name"] = f"{path.rstrip('/')}/{name}" if name else path
        return sorted(found, key=lambda e: e["name"]) if detail else sorted(e["name"] for e in found)

    def created(self, path: str) -> datetime.datetime:
        """When a file was last changed: Hadoop does not keep when it was made; see `modified`."""
        return self.modified(path)

    def modified(self, path: str) -> datetime.datetime:
        """When a file was last changed, in local time without a zone, unlike other filesystems."""
        milliseconds = self.info(path)["modificationTime"]
        return datetime.datetime.fromtimestamp(milliseconds / 1000)

    def content_summary(self, path: str) -> dict[str, Any]:
        """How many files and folders lie below a path, and the bytes of them."""
        return cast("dict[str, Any]", self._call("GETCONTENTSUMMARY", path=path).json()["ContentSummary"])

    def ukey(self, path: str) -> dict[str, Any]:
        """The checksum of a file, as the cluster computes it."""
        with closing(self._request_data("GETFILECHECKSUM", path)) as response:
            return cast("dict[str, Any]", response.json()["FileChecksum"])

    def home_directory(self) -> str:
        """The folder of the user."""
        return str(self._call("GETHOMEDIRECTORY").json()["Path"])

    def get_delegation_token(self, renewer: str | None = None) -> str:
        """A token that stands for the user."""
        reply = self._call("GETDELEGATIONTOKEN", renewer=renewer).json()
        token = reply.get("Token")
        if token is None:
            raise ValueError("the cluster gives no delegation tokens: it does not ask who one is")
        return str(token["urlString"])

    def renew_delegation_token(self, token: str) -> int:
        """Until when a token is good now, in milliseconds since 1970."""
        return cast("int", self._call("RENEWDELEGATIONTOKEN", "put", token=token).json()["long"])

    def cancel_delegation_token(self, token: str) -> None:
        """Make a token void."""
        self._call("CANCELDELEGATIONTOKEN", "put", token=token)

    # making, moving, removing -----------------------------------------------------
    def chmod(self, path: str, mod: str | int) -> None:
        """Set permissions, as an octal number."""
        self._call("SETPERMISSION", "put", path, permission=mod)

    def chown(self, path: str, owner: str | None = None, group: str | None = None) -> None:
        """Set the owner, the group or both."""
        self._call("SETOWNER", "put", path, owner=owner, group=group)

    def set_replication(self, path: str, replication: int) -> None:
        """Set how many copies the cluster keeps of a file."""
        self._call("SETREPLICATION", "put", path, replication=replication)

    def mkdir(self, path: str, **kwargs: Any) -> None:
        """Make a folder and those that lead to it."""
        self._call("MKDIRS", "put", path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder and those that lead to it."""
        if not exist_ok and self.exists(path):
            raise FileExistsError(errno.EEXIST, "there is something already", path)
        self.mkdir(path)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Rename a file or folder in the cluster; nothing is copied."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        target = path2 if path2.startswith("/") else f"/{path2}"
        if self._call("RENAME", "put", path1, destination=target).json().get("boolean"):
            return
        self.info(path1)
        raise OSError(f"the namenode does not rename {path1!r} to {path2!r}; is there something already?")

    @unlike_base
    def rm(self, path: StrPaths, recursive: bool = False, **kwargs: Any) -> None:
        """Remove a file or, with ``recursive``, a folder with everything in it; one request a path."""
        paths = path_texts(path)
        for one in [paths] if isinstance(paths, str) else paths:
            reply = self._call("DELETE", "delete", one, recursive="true" if recursive else "false")
            if not reply.json().get("boolean"):
                self.info(one)
                raise OSError(f"the namenode does not remove {one!r}")

    def rm_file(self, path: str, **kwargs: Any) -> None:
        self.rm(path)

    @unlike_base
    def cp_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        """Copy one file, through this machine: the interface has no other way."""
        if self.isdir(lpath):
            self.mkdir(rpath)
            return
        temporary = hidden_name(rpath, self._parent(rpath))
        with self.open(lpath) as source:
            try:
                with self.open(temporary, "wb") as target:
                    while data := source.read(self.blocksize):
                        target.write(data)
                if self.exists(rpath):
                    self.rm_file(rpath)
            except BaseException:  # an interrupt, too, leaves no part
                with suppress(OSError):
                    self.rm_file(temporary)
                raise
        self.mv(temporary, rpath)  # if that fails it is the only one

    # contents ---------------------------------------------------------------------
    @default
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        replication: int | None = None,
        permissions: str | int | None = None,
        **kwargs: Any,
    ) -> WebHDFile:
        """A file object. ``replication``, ``permissions``: of a file that is written."""
        kwargs.update(mode=mode, block_size=block_size or self.blocksize, autocommit=autocommit)
        kwargs.update(replication=replication, permissions=permissions, tempdir=self.tempdir)
        return WebHDFile(self, path, **kwargs)


class WebHDFile(AbstractBufferedFile):
    """A file of a cluster, read by parts, or created by its first block and appended to by others."""

    permissions: Any
    replication: int | None

    def __init__(self, fs: WebHDFS, path: str, **kwargs: Any) -> None:
        permissions, replication = kwargs.pop("permissions", None), kwargs.pop("replication", None)
        tempdir = kwargs.pop("tempdir", None) or fs.tempdir
        super().__init__(fs, path, **kwargs)
        self.target = path
        if self.mode == "rb":
            return
        self.permissions, self.replication = permissions, replication
        if not self.autocommit and self.mode != "ab":
            self.path: str = f"{tempdir.rstrip('/')}/{os.urandom(12).hex()}"
        elif not self.autocommit:
            self.closed = True
            raise NotImplementedError(f"{path!r} cannot be appended to later: open it outside a transaction")

    def _fetch_range(self, start: int, end: int) -> bytes:
        """Bytes ``start`` up to ``end``, two requests; one if the namenode has the data itself."""
        start = max(start, 0)
        end = min(self.size, end)
        if start >= end:
            return b""
        with closing(self.fs._request_data("OPEN", self.path, offset=start, length=end - start)) as response:
            data = response.content
        if len(data) < end - start:
            raise OSError(f"{self.path!r} ended {end - start - len(data)} bytes early; was it changed?")
        return cast("bytes", data[: end - start])

    def _initiate_upload(self) -> None:
        """Ask the namenode where the first block goes."""
        if self.mode == "ab" and self.fs._fsspec_is_taken(self.path):
            self.location: str | None = None
            return
        self.location = self.fs._data_url(
            "CREATE",
            "put",
            self.path,
            overwrite="false" if self.mode == "xb" else "true",
            permission=self.permissions,
            replication=self.replication,
        )

    def _upload_chunk(self, final: bool = False) -> None:
        """Send what ``buffer`` holds, two requests: the file is created with it, or it is appended."""
        data = self.buffer.getvalue()
        created = self.location is not None
        if not created and not data:
            return
        place, self.location = self.location, None
        try:
            if place is None:
                place = self.fs._data_url("APPEND", "post", self.path)
            with closing(self.fs.session.request("PUT" if created else "POST", place, data=data)) as response:
                self.fs._check_response(response, self.path)
        except BaseException as error:
            self.forced = True  # more would follow a gap
            kept = isinstance(error, (FileExistsError, PermissionError)) or never_connected(error)
            if self.mode == "wb" and not (created and kept) and self.fs.isfile(self.path):
                with suppress(OSError):
                    self.fs.rm_file(self.path)
            raise

    def commit(self) -> None:
        """Give the file its name, replacing an existing one."""
        if self.path == self.target:
            return
        self.close()
        if self.fs.exists(self.target):
            self.fs.rm_file(self.target)
        self.fs.mv(self.path, self.target)

    def discard(self) -> None:
        if self.path == self.target:
            return
        self.closed = True  # no more of it is sent
        if self.offset is not None:
            with suppress(FileNotFoundError):
                self.fs.rm_file(self.path)
