"""Files that appear together or not at all.

Owns the set of files written while a filesystem is in a transaction.  Each of them was
opened with ``autocommit=False``: closing it sends its bytes, its ``commit`` lets it
appear and its ``discard`` drops it.  One that is still open is closed before its ``commit``,
and counts as closed after its ``discard``.  They are committed in the order in which they were
opened. One whose commit fails is discarded together with those after it, since a later file (a
manifest, for instance) may refer to it.

A transaction belongs to the filesystem instance and the process that began it.  A forked
child is outside of it from the start: what the child writes does not wait, and the end of
the context that it inherited neither commits nor discards anything.  A transaction that is begun
within itself is the same one; if the inner context fails, only the files of that are discarded.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, ClassVar

from fsspec._error_notes import add
from fsspec._files.buffered import AbstractBufferedFile
from fsspec._files.lacking import refuse_coroutine, set_by_init
from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own, refuse
from fsspec._fork.written_files import close_layers
from fsspec._paths.redaction import redact_url
from fsspec._public import publish

if TYPE_CHECKING:
    import logging
    from types import TracebackType

    from fsspec.spec import AbstractFileSystem

    logger: logging.Logger
    from collections.abc import Callable


__all__ = ["DaskTransaction", "FileActor", "Transaction"]


publish(__name__, logger="fsspec")


def _commit(f: Any) -> None:
    """Let a file appear; one that has no ``commit`` was written when it was closed."""
    close_layers(f)
    buffered = isinstance(f, AbstractBufferedFile)
    if buffered and f._fsspec_given_up_upload is not None:
        raise OSError(str(f._fsspec_given_up_upload))
    commit = getattr(f, "commit", None)
    if (buffered or commit is None) and not getattr(f, "closed", True):
        f.close()  # what it holds is not sent yet; the commit of others sends that
        if buffered:
            f._fsspec_closed_by_transaction = True
    if commit is not None:
        refuse_coroutine(f, "commit", commit())


def _finish(files: deque[Any] | list[Any], commit: bool) -> None:
    """Commit or discard files, in their order, and take them out of ``files``. One whose commit fails is
    discarded with those after it. Then the first error is raised, or an interrupt."""
    errors: list[BaseException] = []
    dropped: list[str] = []
    while files:
        f = files[0]
        try:
            if commit and not errors:
                _commit(f)
                del files[0]
                continue
        except BaseException as error:  # raised below, when none is left
            errors.append(error)
        dropped.append(redact_url(str(getattr(f, "path", f))))
        try:
            if hasattr(f, "discard"):
                refuse_coroutine(f, "discard", f.discard())
        except BaseException as error:  # as above
            errors.append(error)
        if isinstance(f, AbstractBufferedFile) and not f.closed:
            f.closed = True  # to close it later, or to collect it, would begin an upload
            with suppress(Exception):  # a codec's layer finds it closed
                close_layers(f)
        del files[0]
    if not errors:
        return
    first = next((error for error in errors if not isinstance(error, Exception)), errors[0])
    if commit:
        more = f" and {len(dropped) - 10} others" if len(dropped) > 10 else ""
        add(first, f"fsspec: the transaction did not store {', '.join(map(repr, dropped[:10]))}{more}")
    raise first


_running: dict[int, weakref.ref[Transaction]] = {}
"""Those that have begun and not ended, by their ids: a forked child is outside of them. One that a program
gives up without an end is collected as any object."""


class Transaction:
    """The files written in one transaction.

    Made by `AbstractFileSystem.transaction`; use that as a context.

    Parameters
    ----------
    fs
        the filesystem
    """

    def __init__(self, fs: AbstractFileSystem, **kwargs: Any) -> None:
        self.fs: AbstractFileSystem | None = fs
        self.files: Any = self._no_files()
        self._inner_starts: list[int] = []  # how many files there were when each inner part began

    def __enter__(self) -> Transaction:
        inside, before = (
            self.fs is not None and self.fs._intrans and self.fs._transaction is self,
            len(self._inner_starts),
        )
        try:
            if inside:
                self._inner_starts.append(len(self.files))
            else:
                self.start()
            return self
        except BaseException:  # an interrupt: no block follows that would end it
            del self._inner_starts[before:]
            if not inside:
                self.complete(commit=False)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._inner_starts:
            before = self._inner_starts.pop()
            hooks.check()
            if exc_type is not None and self.fs is not None:
                inner = [self.files.pop() for _ in range(len(self.files) - before)]
                _finish(inner, commit=False)
            return
        try:
            self.complete(commit=exc_type is None)
        except BaseException:  # an interrupt, too, leaves nothing half done
            if self.fs is not None:  # interrupted before it had ended
                self.complete(commit=False)
            raise

    def start(self) -> None:
        """Begin, with no files."""
        hooks.check()
        if self.fs is None:
            if not is_mine(self):
                refuse(self, "a transaction", "Begin one of this process, by 'with fs.transaction'")
            raise RuntimeError(
                "a transaction that has ended cannot begin again: 'with fs.transaction' begins another"
            )
        if self.files:
            self.files = self._no_files()
        own(self)
        _running[id(self)] = weakref.ref(self)
        self.fs._intrans = True

    def _no_files(self) -> object:
        return deque()

    def complete(self, commit: bool = True) -> None:
        """End the transaction.

        Parameters
        ----------
        commit
            let the files appear, in the order in which they were opened; else drop them

        Raises
        ------
        Exception
            the first that the ``commit`` of a file raised, which is dropped with those after it, or a
            ``discard``. A note names the files that were not stored.
        """
        hooks.check()  # in a child it has neither files nor a filesystem from then on
        try:
            if self.files:
                self._note_changes()
                _finish(self.files, commit)
        finally:
            self._release_fs()

    def _note_changes(self) -> None:
        """Drop listings made before the files appeared, even if the backend records nothing."""
        written = [f.path for f in self.files if isinstance(f, AbstractBufferedFile)]
        if written and self.fs is not None:
            places = dict.fromkeys(place for path in written for place in (path, self.fs._parent(path)))
            noted = self.fs._invalidated_caches_in_transaction
            noted.extend(places.keys() - set(noted))

    def _after_fork_in_child(self) -> None:
        if self.files:
            hooks.immortalize(self.files)  # a file that is collected might still send what it holds
            self.files = deque()
        fs, self.fs = self.fs, None
        if fs is not None:  # not by its attributes: to touch an inherited instance is to use it
            state = object.__getattribute__(fs, "__dict__")
            if state.get("_transaction") is self:
                state.update(_intrans=False, _transaction=None, _invalidated_caches_in_transaction=[])

    def _release_fs(self) -> None:
        _running.pop(id(self), None)
        fs, self.fs = self.fs, None
        if fs is not None:
            fs._intrans = False
            fs._transaction = None
            if fs._invalidated_caches_in_transaction:
                fs._fsspec_forget_changed()


class FileActor:
    """The files of a transaction that several workers write to."""

    def __init__(self) -> None:
        self.files: list[Any] = []

    def append(self, f: AbstractBufferedFile | IO[bytes]) -> None:
        """Add a file that was opened with ``autocommit=False``."""
        self.files.append(f)

    def commit(self) -> None:
        """Let the files appear."""
        _finish(self.files, commit=True)

    def discard(self) -> None:
        """Drop the files."""
        _finish(self.files, commit=False)


class DaskTransaction(Transaction):
    """A transaction whose files are held by an actor of the current dask client."""

    def _no_files(self) -> object:
        import distributed

        return distributed.default_client().submit(FileActor, actor=True, pure=False).result()

    def complete(self, commit: bool = True) -> None:
        """End the transaction; see `Transaction.complete`."""
        hooks.check()
        if self.fs is None:  # in a child
            return
        try:
            (self.files.commit() if commit else self.files.discard()).result()
        finally:
            self._release_fs()


class Transactions:
    """The part of `AbstractFileSystem` that starts and ends transactions."""

    transaction_type: type[Transaction] = Transaction
    _fsspec_only_transactions_wait: ClassVar[bool] = False
    """Whether ``autocommit=False`` counts in transactions only."""

    _intrans: bool = set_by_init()
    _transaction: Transaction | None = set_by_init()
    _invalidated_caches_in_transaction: list[str | None]

    if TYPE_CHECKING:
        invalidate_cache: Callable[..., None]

    @property
    def transaction(self) -> Transaction:
        """A context in which files that are written appear together, at its end.

        If it is left by an exception, none of them appears. What is not written through ``open``
        does not wait: ``put``, ``copy``, ``mv`` and ``rm``, and what a backend writes in a way of its own.
        """
        if self._transaction is None:
            self._transaction = self.transaction_type(self)  # type: ignore[arg-type]  # it is part of one
        return self._transaction

    def start_transaction(self) -> Transaction:
        """Begin a transaction without a context; see `end_transaction`."""
        self._transaction = self.transaction_type(self)  # type: ignore[arg-type]  # as above
        self._transaction.start()
        return self.transaction

    def end_transaction(self) -> None:
        """Let the files written in the transaction appear."""
        self.transaction.complete()
        self._transaction = None
        self._fsspec_forget_changed()

    def _fsspec_forget_changed(self) -> None:
        """Drop the listings that a transaction made outdated: they were cached before its files appeared."""
        changed, self._invalidated_caches_in_transaction = self._invalidated_caches_in_transaction, []
        for path in changed:
            self.invalidate_cache(path)


def _in_child() -> None:
    inherited = [transaction for ref in _running.values() if (transaction := ref()) is not None]
    _running.clear()
    for transaction in inherited:
        hooks.attempt("hook of a transaction", transaction._after_fork_in_child)


hooks.at_fork(child=_in_child)
