"""What a filesystem is.

Owns `AbstractFileSystem`, the contract that every backend fulfils and the
whole API relies on.  A backend has to bring little: `ls`, `_open`, and what it can of `cp_file`,
`_rm`, `mkdir`.  Everything else follows from those.

What always holds:

* paths inside the package have no protocol and no slash at their end; `_strip_protocol`
  makes them so, and each public method begins with it if the backend will not;
* an algorithm over many paths (walk, find, glob, copy, ...) is a plan of `_plans`; the
  methods here only start it with the blocking driver.  The awaitable twin in `asyn`
  starts the same plan with the other driver;
* a listing entry is a dict with at least ``name``, ``size`` (None if unknown) and
  ``type`` (``"file"``, ``"directory"``, or what else the backend knows).

An instance may be used by any thread unless its backend says otherwise.

Where a method lives follows from what it takes: no path, `_spec.identity`, or `transaction`
if it is about files that appear together; many paths (a list, a pattern, a tree),
`_spec.many_paths`; the contents of one file, `_spec.contents`; a second name of another method,
`_spec.aliases`; anything else about one path, here.
"""

from __future__ import annotations

import io
from types import CoroutineType
from typing import IO, TYPE_CHECKING, Any, ClassVar, Literal, overload

from fsspec._files.buffered import AbstractBufferedFile, reopen
from fsspec._files.decoding import reading_layer
from fsspec._files.lacking import no_coroutine, no_entry, no_listing, refuse_no_file
from fsspec._files.open_file import get_compression
from fsspec._fork.class_facts import is_ours
from fsspec._fork.foreign_files import adopt
from fsspec._fork.hooks import FORK_AVAILABLE
from fsspec._fork.instances import _Cached, make_instance, make_listed_instance
from fsspec._fork.written_files import Text, check_text_options, codec_layer
from fsspec._overriding import default, is_default, mark_built_in, supported
from fsspec._paths.paths import url_text
from fsspec._paths.redaction import redact_paths
from fsspec._paths.types import Entry, Options
from fsspec._paths.urls import protocols_of
from fsspec._public import claim, publish
from fsspec._spec.aliases import Aliases
from fsspec._spec.identity import Identity
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.compression import check_installed, compr
from fsspec.dircache import DirCache
from fsspec.exceptions import ForkError
from fsspec.transaction import Transactions
from fsspec.utils import stringify_path, tokenize

if TYPE_CHECKING:
    import logging
    from collections.abc import Coroutine
    from datetime import datetime

    from fsspec._files.open_file import BinaryMode, TextMode

    logger: logging.Logger

__all__ = [
    "AbstractBufferedFile",
    "AbstractFileSystem",
    "DEFAULT_CALLBACK",
    "Entry",
    "FORK_AVAILABLE",
    "_Cached",
    "make_instance",
    "make_listed_instance",
    "reopen",
]
publish(__name__, logger="fsspec")


_TEXT_OPTIONS = ("encoding", "errors", "newline")


@claim
class AbstractFileSystem(Identity, Transactions, Aliases, metaclass=_Cached):
    """The interface of every filesystem, and its behaviour if a backend has no better one.

    Making the same class with the same arguments twice gives one instance, unless
    ``skip_instance_cache=True`` is among them.

    Parameters
    ----------
    *args, **storage_options
        what the backend needs (credentials, hosts, ...). Among them every class knows

        ``use_listings_cache``, ``listings_expiry_time``, ``max_paths``
            see `fsspec.dircache.DirCache`
        ``skip_instance_cache``
            make an instance that no other call will get
        ``asynchronous``, ``loop``
            for awaitable backends, see `fsspec.asyn.AsyncFileSystem`
    """

    cachable: bool = True
    """Whether instances are remembered and given out again."""
    _cached: bool = False
    """Whether the base class has set this instance up."""
    _fsspec_lists_files: bool = False
    """Whether ``ls`` of a file works: if it raises FileNotFoundError, nothing exists there."""
    _fsspec_info_costs_less: bool = False
    """Whether ``info`` costs less than ``exists``: caches ask for that."""
    blocksize: int = 2**22
    """Bytes copied at a time if a whole file is moved through memory."""
    sep: str = "/"
    protocol: ClassVar[str | tuple[str, ...]] = "abstract"
    async_impl: bool = False
    """Whether the operations of the backend are awaitable."""
    mirror_sync_methods: bool = False
    """Whether awaitable methods get blocking twins when an instance is made."""
    root_marker: str = ""
    """How the root itself is written."""
    _extra_tokenize_attributes: tuple[str, ...] = ()
    """Names of class attributes that make instances differ."""
    _strip_tokenize_options: tuple[str, ...] = ()
    """Names of options that do not make instances differ."""

    dircache: DirCache

    def __init__(self, *args: Any, **storage_options: Any) -> None:
        if self._cached:  # the metaclass or a subclass constructs what is set up already
            return
        self._cached = True
        self.dircache = DirCache(**storage_options)
        self._transaction, self._intrans = None, False
        self._invalidated_caches_in_transaction = []
        for gone in ("add_docs", "add_aliases"):
            if storage_options.get(gone):
                import warnings

                warnings.warn(f"the option {gone} no longer has an effect", FutureWarning, stacklevel=3)

    # paths ------------------------------------------------------------------------
    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """The path as this class uses it: no protocol, no slash at the end. A list gives a list. Subclasses
        may also drop hosts, fragments and so on."""
        if type(path) is not str:
            if isinstance(path, list):
                return [cls._strip_protocol(p) for p in path]
            path = url_text(stringify_path(path))
        if ":" in path:
            for protocol in protocols_of(cls):
                if path.startswith(protocol):
                    end = len(protocol)
                    if path.startswith("://", end):
                        path = path[end + 3 :]
                    elif path.startswith("::", end):
                        path = path[end + 2 :]
        return path.rstrip("/") or cls.root_marker

    def unstrip_protocol(self, name: str) -> str:
        """The full URL of a path: the first protocol of the class and the path."""
        protocols = protocols_of(self)
        for protocol in protocols:
            if name.startswith(f"{protocol}://"):
                return name
        return f"{protocols[0]}://{name}"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        """The options that a URL itself carries (host, user, ...), for the constructor."""
        return {}

    @classmethod
    def _parent(cls, path: str) -> str:
        """The folder that a path lies in; the root is its own parent."""
        path = cls._strip_protocol(path)
        head, slash, _ = path.rpartition("/")
        if not slash:
            return cls.root_marker
        return cls.root_marker + (head.lstrip(cls.root_marker) if cls.root_marker else head)

    # listings ---------------------------------------------------------------------
    @overload
    def ls(self, path: str, detail: Literal[True] = ..., **kwargs: Any) -> list[dict[str, Any]]: ...

    @overload
    def ls(self, path: str, detail: Literal[False], **kwargs: Any) -> list[str]: ...

    @overload
    def ls(self, path: str, detail: bool = ..., **kwargs: Any) -> list[Any]: ...

    @default
    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What a folder holds.

        Parameters
        ----------
        path
            a folder, or a file, which lists as itself
        detail
            entries if true, else only their names
        **kwargs
            for the backend; many know ``refresh=True``, which disregards the
            remembered listing

        Returns
        -------
        list
            entries (``name``, ``size``, ``type`` and what the backend adds), or full
            paths, in any order. One request, or one a page of the store.

        Raises
        ------
        FileNotFoundError
            if there is nothing of that name
        """
        why = no_coroutine(self, "ls") or "it has no ls of its own"
        raise NotImplementedError(f"{type(self).__name__} cannot list: {why}")

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what is remembered of listings.

        The base class remembers none; inside a transaction it notes the path, which is
        invalidated again when the transaction ends. Backends that override this call it.

        Parameters
        ----------
        path
            the folder to forget, everything if None
        """
        if self._intrans:
            self._invalidated_caches_in_transaction.append(path)

    def _ls_from_cache(self, path: str) -> list[dict[str, Any]] | None:
        """The remembered listing of a path, or its entry in that of its parent.

        Returns None if neither listing is remembered. That entry is not what ``ls`` gives of a folder,
        which is in ``self.dircache[path]``.
        Raises FileNotFoundError if the listing of the parent is remembered and lacks the path.
        """
        parent = self._parent(path)
        try:
            result: list[dict[str, Any]] | None = self.dircache[path.rstrip("/")]
            return result
        except KeyError:
            pass
        try:
            siblings = self.dircache[parent]
        except KeyError:
            return None
        found = [
            entry
            for entry in siblings
            if entry["name"] == path or (entry["name"] == path.rstrip("/") and entry["type"] == "directory")
        ]
        if not found:
            raise FileNotFoundError(redact_paths(path))
        return found

    # one path ---------------------------------------------------------------------
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """The entry of one path.

        The base class looks in the listing of the parent, then lists the path itself:
        one or two requests.

        Returns
        -------
        dict
            ``name``, ``size``, ``type`` and what the backend adds

        Raises
        ------
        FileNotFoundError
            if there is nothing of that name
        """
        path = self._strip_protocol(path)
        siblings = self.ls(self._parent(path), detail=True, **kwargs)
        try:
            for entry in siblings:
                if entry["name"].rstrip("/") == path:
                    return entry
        except (AttributeError, KeyError, TypeError) as error:
            raise no_listing(self, error) from error
        inside = self.ls(path, detail=True, **kwargs)
        plain = path.rstrip("/")
        try:
            for entry in inside:
                if entry["name"].rstrip("/") == plain:
                    entry.setdefault("size", None)
                    return entry
        except (AttributeError, KeyError, TypeError) as error:
            raise no_listing(self, error) from error
        if inside or path == self.root_marker:
            return {"name": plain, "size": 0, "type": "directory"}
        raise FileNotFoundError(redact_paths(path))

    @default
    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is anything at a path; False if that cannot be found out."""
        try:
            self.info(path, **kwargs)
        except ForkError:
            raise
        except Exception:  # backends raise their client library's own errors, which share no base
            return False
        return True

    def lexists(self, path: str, **kwargs: Any) -> bool:
        """Like `exists`, but true of a link that leads nowhere, if the backend has links."""
        return self.exists(path)

    @default
    def isdir(self, path: str) -> bool:
        """Whether a path is a folder; False if it does not exist."""
        try:
            entry = self.info(path)
        except OSError:
            return False
        try:
            return bool(entry["type"] == "directory")
        except (KeyError, TypeError) as error:
            raise no_entry(self, error) from error

    @default
    def isfile(self, path: str) -> bool:
        """Whether a path is a file; False if it does not exist."""
        try:
            return bool(self.info(path)["type"] == "file")
        except ForkError:
            raise
        except Exception:  # see exists
            return False

    def size(self, path: str) -> int | None:
        """The bytes of a file, None if the backend cannot know."""
        entry = self.info(path)
        try:
            return entry.get("size", None)
        except AttributeError as error:
            raise no_entry(self, error) from error

    def checksum(self, path: str) -> int:
        """A number that changes when a file's entry does.

        Raises
        ------
        FileNotFoundError
            if there is no such file
        """
        return int(tokenize(self.info(path)), 16)

    def ukey(self, path: str) -> str:
        """A hexadecimal digest that changes when a file does, for caches.

        Raises
        ------
        FileNotFoundError
            if there is no such file
        """
        from hashlib import sha256

        return sha256(str(self.info(path)).encode()).hexdigest()

    def created(self, path: str) -> datetime:
        """When a file was made, a `datetime.datetime`, if the backend knows."""
        raise NotImplementedError(f"{type(self).__name__} does not know when files were made")

    def modified(self, path: str) -> datetime:
        """When a file was last changed, a `datetime.datetime`, if the backend knows."""
        raise NotImplementedError(f"{type(self).__name__} does not know when files were changed")

    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """A URL that lets anybody who has it read a file.

        Parameters
        ----------
        path
            the file
        expiration
            seconds for which it is good
        """
        raise NotImplementedError(f"{type(self).__name__} cannot sign URLs")

    # making and removing ----------------------------------------------------------
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a folder.

        Stores without folders do nothing.

        Parameters
        ----------
        path
            the folder
        create_parents
            also those that lead to it

        Raises
        ------
        FileExistsError
            if there is something at the path
        """

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder and those that lead to it.

        Raises
        ------
        FileExistsError
            if the folder exists and ``exist_ok`` is false
        """

    def rmdir(self, path: str) -> None:
        """Remove a folder, which has to be empty. Stores without folders do nothing.

        Raises
        ------
        FileNotFoundError
            if there is no such folder
        OSError
            if something is in it
        """

    @default
    def rm_file(self, path: str) -> None:
        """Remove one file.

        Raises
        ------
        FileNotFoundError
            if there is no such file
        """
        self._rm(path)

    def _rm(self, path: str) -> Any:  # a coroutine in `AsyncFileSystem`
        """Remove one file or empty folder; what a backend brings for `rm`."""
        self._fsspec_refuse_change("remove", path, "_rm")

    # opening ----------------------------------------------------------------------
    if TYPE_CHECKING:  # what a backend has in its place may take the rest by name only

        def _open(self, path: str, *args: Any, **kwargs: Any) -> Any: ...

    else:

        def _open(
            self,
            path: str,
            mode: str = "rb",
            block_size: int | None = None,
            autocommit: bool = True,
            cache_options: dict[str, Any] | None = None,
            **kwargs: Any,
        ) -> AbstractBufferedFile:
            """A binary file object; what a backend brings for `open`.

            Parameters
            ----------
            autocommit
                if false, what is written appears only when ``commit`` of the file is called
            """
            return AbstractBufferedFile(
                self, path, mode, block_size, autocommit, cache_options=cache_options, **kwargs
            )

    @property
    def _fsspec_opens_itself(self) -> bool:
        """Whether `open` and `_open` are this package's: else contents are what the ones in their place give,
        and no shortcut goes past those."""
        return is_default(self.open) and is_default(self._open)

    @overload
    def open(
        self,
        path: str,
        mode: BinaryMode = ...,
        block_size: int | None = ...,
        cache_options: dict[str, Any] | None = ...,
        compression: str | None = ...,
        **kwargs: Any,
    ) -> IO[bytes]: ...

    @overload
    def open(
        self,
        path: str,
        mode: TextMode,
        block_size: int | None = ...,
        cache_options: dict[str, Any] | None = ...,
        compression: str | None = ...,
        **kwargs: Any,
    ) -> IO[str]: ...

    @overload
    def open(
        self,
        path: str,
        mode: str,
        block_size: int | None = ...,
        cache_options: dict[str, Any] | None = ...,
        compression: str | None = ...,
        **kwargs: Any,
    ) -> IO[Any]: ...

    @default
    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> IO[Any]:
        """A file object for a path.

        Inside a transaction what is written appears when the transaction ends.

        Parameters
        ----------
        path
            the file
        mode
            as for the built-in; without ``b`` the file is text
        block_size
            bytes to fetch or send at a time; the backend's own if None
        cache_options
            for the cache of a file that is read
        compression
            a name of `fsspec.available_compressions`, ``"infer"`` for that which the
            path's extension stands for, None for none
        **kwargs
            ``encoding``, ``errors``, ``newline`` for text; ``autocommit``; the rest is
            for the backend

        Raises
        ------
        FileNotFoundError
            when a file to read does not exist
        ValueError
            for a compression that is not known
        """
        path = self._strip_protocol(path)
        if "b" not in mode:
            text = {name: kwargs.pop(name) for name in _TEXT_OPTIONS if name in kwargs}
            given = {"block_size": block_size, "cache_options": cache_options, "compression": compression}
            if not is_default(self.open):  # it may take only some of them
                unset = [name for name, value in given.items() if value is None]
                given = supported(self, "open", given, unset)
            kwargs.update(given)
            if text and "r" not in mode:
                check_text_options(**text)
            binary = self.open(path, mode.replace("t", "") + "b", **kwargs)
            return (Text if binary.writable() else io.TextIOWrapper)(binary, **text)
        autocommit = kwargs.pop("autocommit", not self._intrans)
        if self._fsspec_only_transactions_wait and not self._intrans:
            autocommit = True
        kwargs.update(block_size=block_size, cache_options=cache_options, autocommit=autocommit)
        codec = None
        if compression is not None:
            try:
                name = get_compression(path, compression)
                check_installed(name)
                codec = compr[name]
            except ValueError:
                if "r" in mode:  # that there is no such file comes first
                    self._fsspec_opened_file(path, mode, kwargs).close()
                raise
        file = self._fsspec_opened_file(path, mode, kwargs)
        if AbstractBufferedFile not in type(file).__mro__ and not is_ours(type(file)):
            refuse_no_file(self, file)
            adopt(file, mode)
        if not autocommit and "r" not in mode:
            self.transaction.files.append(file)
        if codec is not None:
            reading = mode[0] == "r"
            layer: IO[Any] = (
                reading_layer(codec, file, path, "r") if reading else codec_layer(codec, file, mode[0])
            )
            return layer
        return file

    def _fsspec_opened_file(self, path: str, mode: str, kwargs: Options) -> IO[Any]:
        """What `_open` gives, which may be a coroutine function of an awaitable backend."""
        file: Any = self._open(path, mode=mode, **kwargs)
        opened: IO[Any] = self._fsspec_run_open(file) if type(file) is CoroutineType else file
        return opened

    def _fsspec_run_open(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        coroutine.close()
        raise TypeError(
            f"{type(self).__name__}._open is a coroutine function, which needs an AsyncFileSystem"
        )


for _part in AbstractFileSystem.__mro__:  # those that are not subclasses have not been marked
    mark_built_in(_part)
