"""Methods about the instance itself: its token, pickle and JSON, the instance cache, and the hook of a fork.

An instance is identified by its class and arguments: two with the same token are equal.
A pickle, a dict or a JSON text holds the class and the arguments, never connections; only a
pickle may also hold listings, if the configuration says so.  If the receiving process has
such an instance already, unpickling returns that.  Pickles are made by
`_fork.instances.reduced`, as inherited instances have to be pickled, too.
In a forked child an instance whose class is ``_fork_sensitive`` becomes stale; see `_fork.instances`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec._error_notes import add
from fsspec._fork import instances
from fsspec._overriding import mark_built_in
from fsspec._paths.urls import protocols_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from typing_extensions import Self

    from fsspec.spec import AbstractFileSystem


class Identity:
    """The part of `AbstractFileSystem` that knows which instance it is."""

    _fork_sensitive: ClassVar[bool] = False
    """Whether instances hold what a forked child must not use: connections, a loop."""
    _fork_keeps: ClassVar[tuple[str, ...]] = ()
    """Names of attributes that are still true in a child, beyond the token and listings."""
    _fork_passes_on: ClassVar[bool] = False
    """Whether instances hold nothing of their process but another filesystem, which answers for itself."""

    _fs_token_: str
    storage_args: tuple[Any, ...]
    storage_options: dict[str, Any]

    if TYPE_CHECKING:
        protocol: ClassVar[str | tuple[str, ...]]
        _cache: Any
        _fsspec_latest_token: list[str | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        mark_built_in(cls)
        if isinstance(cls._fork_keeps, str):
            raise TypeError(f"{cls.__name__}._fork_keeps is text; ({cls._fork_keeps!r},) is a tuple of names")

    @property
    def _fs_token(self) -> str:
        """A digest of the class and its arguments, the same in a forked child."""
        return self._fs_token_

    @property
    def _latest(self) -> str | None:
        """The token of the instance of this class that was last made or given out."""
        return self._fsspec_latest_token[0]

    @property
    def fsid(self) -> str:
        """What identifies the store behind the instance, beyond this process.

        Raises
        ------
        NotImplementedError
            if the backend has no such identity.
        """
        raise NotImplementedError(f"{type(self).__name__} has no persistent identity")

    def stats(self) -> dict[str, Any]:
        """What this process has counted of the traffic of this instance.

        Returns
        -------
        dict
            ``pid`` alone if nothing is counted, as by the base class; of HTTP and of caches on disk
            also requests, bytes, retries, hits and misses
        """
        return {"pid": os.getpid()}

    def _after_fork_in_child(self) -> None:
        """Called in a forked child before anything else there can use the instance."""
        instances.make_stale(self)

    def _revive(self, before: dict[str, Any]) -> None:
        """Make an inherited instance usable; ``before`` is its state in the parent.

        Constructs it again in place. A class for which that is expensive overrides this.
        """
        try:
            instances.reconstruct(self, before)
        except Exception as error:  # an error of any kind is given a note
            note = "being made again, by another call of __init__ with the same arguments"
            add(
                error, f"fsspec: in this forked process the {type(self).__name__} that it inherited is {note}"
            )
            raise

    def _fsspec_is_shared(self) -> bool:
        """Whether it is the instance that its class and arguments give, and not one of several."""
        return instances.is_shared(self)

    def __dask_tokenize__(self) -> str:
        return self._fs_token

    def __hash__(self) -> int:
        return int(self._fs_token, 16)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, type(self)) and self._fs_token == other._fs_token)

    def __reduce__(self) -> tuple[Any, ...]:
        return instances.reduced(type(self), self.__dict__)

    def _isfilestore(self) -> bool:
        """Kept for pyarrow, which asked this of filesystems before it had its own."""
        return False

    def _get_pyarrow_filesystem(self) -> Self:
        """The instance itself: pyarrow takes these filesystems as they are."""
        return self

    @classmethod
    def current(cls) -> Self:
        """The instance that was last made or given out; a new one if there is none."""
        latest = cls._fsspec_latest_token[0]
        found = cls._cache.get(latest) if latest is not None else None
        return cls() if found is None else found

    def reset_loop(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Make an instance that was inherited through a fork usable in this process.

        It is constructed again, in place, whatever the configuration says, and so are those
        that it stands upon; listings are kept.  In the process that made it this does nothing.

        Parameters
        ----------
        loop
            only for filesystems that have a loop.
        """
        instances.reset(self)

    @classmethod
    def clear_instance_cache(cls) -> None:
        """Forget the instances of this class; those in use live on."""
        cls._cache.clear()

    def to_json(self, *, include_password: bool = True) -> str:
        """The class and its arguments as JSON.

        Parameters
        ----------
        include_password
            whether secrets are kept: options that are named as such (``password``, ``token``,
            ``account_key``, ``headers`` and the like), also within others, and the passwords and
            signatures of URLs. A positional argument of such a name becomes None.

        Raises
        ------
        TypeError
            if an argument has no JSON form
        """
        import json

        return json.dumps(self, cls=_encoder(include_password))

    @staticmethod
    def from_json(blob: str, *, allow: Iterable[str] = ()) -> AbstractFileSystem:
        """The instance that `to_json` described.

        Parameters
        ----------
        blob
            the text. It chooses among the classes of the registry and of modules that are
            imported, and gives their arguments; it imports nothing else.
        allow
            classes ("package.module:Class") or modules that it may name besides, and classes
            that it may have open an archive for writing

        Raises
        ------
        ValueError
            if it names another class
        """
        import json

        from fsspec.json import decoder

        return cast("AbstractFileSystem", json.loads(blob, cls=decoder(allow)))

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """The class and its arguments as a dict of plain values.

        Parameters
        ----------
        include_password
            see `to_json`
        """
        encoder = _encoder(include_password)()
        cls = type(self)
        return {
            "cls": f"{cls.__module__}:{cls.__qualname__}",
            "protocol": protocols_of(self)[0],
            "args": encoder.make_serializable(encoder.shown_args(cls, self.storage_args)),
            **encoder.make_serializable(self.storage_options),
        }

    @staticmethod
    def from_dict(dct: dict[str, Any], *, allow: Iterable[str] = ()) -> AbstractFileSystem:
        """The instance that `to_dict` described.

        Parameters
        ----------
        allow
            see `from_json`

        Raises
        ------
        ValueError
            if the dict does not name a filesystem that can be found, or may be used
        """
        from fsspec.json import decoder

        return decoder(allow)().made(dct)


def _encoder(include_password: bool) -> type[Any]:
    from fsspec.json import FilesystemJSONEncoder

    if include_password:
        return FilesystemJSONEncoder

    class WithoutPassword(FilesystemJSONEncoder):
        include_password = False

    return WithoutPassword
