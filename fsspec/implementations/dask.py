"""Filesystems as the workers of a dask cluster see them.

On a worker every operation is that of the underlying filesystem; elsewhere it is sent to a
worker, and what it returns comes back.  `_ASKED` are the operations that are sent as they
are; the others follow from them.

A client of dask cannot be used in a forked child.  There an inherited instance makes one of
its own, for the same scheduler, at the first operation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import distributed

from fsspec.registry import filesystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
from fsspec.utils import infer_storage_options

if TYPE_CHECKING:
    from fsspec._paths.types import Options

__all__ = ["DaskFile", "DaskWorkerFileSystem"]

_ASKED = (
    "ls info mkdir makedirs rm rm_file rmdir copy cp_file mv cat_file pipe_file exists lexists isdir isfile"
    " find glob du created modified checksum ukey sign touch size invalidate_cache"
).split()


def _on_worker() -> bool:
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


def _operate(
    protocol: str | None,
    options: Options,
    fs: AbstractFileSystem | None,
    name: str,
    args: tuple[Any, ...],
    kwargs: Options,
) -> object:
    """An operation, on the worker that this runs on."""
    if fs is None:
        fs = filesystem(protocol or "file", **options)
    return _read_part(fs, *args) if name == "fetch_range" else getattr(fs, name)(*args, **kwargs)


def _read_part(fs: AbstractFileSystem, path: str, mode: str, start: int, end: int) -> bytes:
    with fs.open(path, mode) as f:
        f.seek(start)
        return cast("bytes", f.read(end - start))


class DaskWorkerFileSystem(AbstractFileSystem):
    """A filesystem that the workers of a cluster can reach, and perhaps nobody else.

    Parameters
    ----------
    target_protocol, target_options
        what the filesystem is made of on the worker; or else
    fs
        the filesystem, which is sent there
    client
        a ``distributed.Client``, or the address of a scheduler; by default the client that
        is current when an operation is made
    **kwargs
        as for `AbstractFileSystem`

    Raises
    ------
    ValueError
        unless just one of ``fs`` and ``target_protocol`` is given
    """

    _fork_sensitive = True

    def __init__(
        self,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        client: distributed.Client | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (fs is None) == (target_protocol is None):
            raise ValueError(
                "one filesystem is needed: write dask::URL, or give either fs= or target_protocol="
            )
        self.target_protocol = target_protocol
        self.target_options = target_options
        self.worker: bool = _on_worker()
        self.client: Any = client
        self._client_address: str | None = client if isinstance(client, str) else None
        self.fs: Any = fs
        if self.worker and fs is None:
            self.fs = filesystem(target_protocol or "file", **(target_options or {}))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.target_protocol or type(self.fs).__name__!r})"

    def _revive(self, before: dict[str, Any]) -> None:
        super()._revive(before)
        self._client_address = before.get("_client_address")
        if self._client_address is not None:
            self.client = self._client_address

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        options = infer_storage_options(path)
        if options["protocol"] != "dask" or "host" not in options:
            return {}
        return {"client": f"{options['host']}:{options['port']}" if "port" in options else options["host"]}

    # asking a worker --------------------------------------------------------------
    def _connected_client(self) -> distributed.Client:
        """The client, made if need be."""
        if isinstance(self.client, str):
            self.client = distributed.Client(self.client, set_as_default=False)
        client = self.client if self.client is not None else distributed.default_client()
        # for a forked child, which cannot use this one
        self._client_address = getattr(client.scheduler, "address", None)
        return client

    def _submit_task(self, func: Callable[..., Any], *args: Any) -> distributed.Future:
        future = self._connected_client().submit(func, *args, pure=False)
        try:
            return future.result()
        finally:
            future.release()

    def _run_on_worker(self, name: str, args: tuple[Any, ...], kwargs: Options) -> Any:
        arguments = self.target_protocol, self.target_options or {}, self.fs, name, args, kwargs
        return _operate(*arguments) if self.worker else self._submit_task(_operate, *arguments)

    # of these the parameters are anything; the rest of _ASKED are made below
    def ls(self, *args: Any, **kwargs: Any) -> list[Any]:
        return cast("list[Any]", self._run_on_worker("ls", args, kwargs))

    def mkdir(self, *args: Any, **kwargs: Any) -> None:
        self._run_on_worker("mkdir", args, kwargs)

    def rm(self, *args: Any, **kwargs: Any) -> None:
        self._run_on_worker("rm", args, kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> None:
        self._run_on_worker("copy", args, kwargs)

    def mv(self, *args: Any, **kwargs: Any) -> None:
        self._run_on_worker("mv", args, kwargs)

    # files ------------------------------------------------------------------------
    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> DaskFile:
        """A file of the underlying filesystem on a worker; elsewhere one that is read by a worker."""
        kwargs |= {"mode": mode, "block_size": block_size, "autocommit": autocommit}
        kwargs["cache_options"] = cache_options
        return self.fs._open(path, **kwargs) if self.worker else DaskFile(fs=self, path=path, **kwargs)

    def fetch_range(self, path: str, mode: str, start: int, end: int) -> bytes:
        """A part of a file, read by a worker.

        Parameters
        ----------
        mode
            "rb"
        start, end
            in bytes
        """
        return cast("bytes", self._run_on_worker("fetch_range", (path, mode, start, end), {}))


def _sent(name: str) -> Callable[..., Any]:
    @wraps(getattr(AbstractFileSystem, name))
    def method(self: DaskWorkerFileSystem, *args: Any, **kwargs: Any) -> object:
        return self._run_on_worker(name, args, kwargs)

    return method


for _name in _ASKED:
    if _name not in DaskWorkerFileSystem.__dict__:
        setattr(DaskWorkerFileSystem, _name, _sent(_name))


class DaskFile(AbstractBufferedFile):
    """A file that is read by a worker, a block at a time.

    Raises
    ------
    ValueError
        for another mode than "rb"
    """

    def __init__(self, mode: str = "rb", **kwargs: Any) -> None:
        if mode != "rb":
            self.closed = True
            raise ValueError("files of workers can only be read from elsewhere; pipe writes whole ones")
        super().__init__(mode=mode, **kwargs)

    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.fetch_range(self.path, self.mode, start, end)
        if len(data) != end - start:
            raise OSError(f"{self.path!r}: {len(data)} bytes came of {start} to {end}; it has changed")
        return data
