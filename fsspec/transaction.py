"""Files that appear together or not at all.

Owns the set of files written while a filesystem is in a transaction.  Each of them was
opened with ``autocommit=False``: closing it sends its bytes, its ``commit`` lets it
appear and its ``discard`` drops it.  A commit that fails discards what is left, so that
only a failure between two commits leaves part of the files.

A transaction belongs to the filesystem instance and the process that began it.  A forked
child is outside of it from the start: what the child writes does not wait, and the end of
the context that it inherited neither commits nor discards anything.  Begun again inside
itself it is the same transaction; an inner part that fails takes back its own files only.
"""

from __future__ import annotations

from collections import deque
from typing import IO, TYPE_CHECKING, Any

from fsspec._fork import hooks
from fsspec._fork.owned import is_mine, own
from fsspec._fork.written_files import close_layers
from fsspec._public import publish

if TYPE_CHECKING:
    import logging
    from types import TracebackType

    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    logger: logging.Logger

__all__ = ["DaskTransaction", "FileActor", "Transaction"]


publish(__name__, logger="fsspec")


def _finish(f: Any, how: str) -> None:
    """``commit`` or ``discard`` a file; one that has neither was written as it was closed, and stays."""
    if how == "commit":
        close_layers(f)
    method = getattr(f, how, None)
    if method is not None:
        method()


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
        own(self)
        hooks.register(self)

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
            while exc_type is not None and not self._is_inherited() and len(self.files) > before:
                _finish(self.files.pop(), "discard")
            return
        try:
            self.complete(commit=exc_type is None)
        except BaseException:  # an interrupt, too, leaves nothing half done
            if self.fs is not None:  # interrupted before it had ended
                self.complete(commit=False)
            raise

    def start(self) -> None:
        """Begin, with no files."""
        assert self.fs is not None, "a transaction that has ended cannot begin again"
        if self.files:
            self.files = self._no_files()
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
            what the ``commit`` of a file raised; it and those after it are dropped. Or
            else the first that a ``discard`` raised, after all were tried.
        """
        if self._is_inherited():
            return
        failed: BaseException | None = None
        while self.files:
            f = self.files.popleft()
            try:
                if commit and failed is None:
                    _finish(f, "commit")
                    continue
            except BaseException as error:  # raised below, when the rest is gone
                failed = error
            try:
                _finish(f, "discard")
            except BaseException as error:  # as above
                failed = failed or error
        self._release_fs()
        if failed is not None:
            raise failed

    def _is_inherited(self) -> bool:
        hooks.check()
        return not is_mine(self)

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
        fs, self.fs = self.fs, None
        if fs is not None:
            fs._intrans = False
            fs._transaction = None
            fs._forget_changed()


class FileActor:
    """The files of a transaction that several workers write to."""

    def __init__(self) -> None:
        self.files: list[Any] = []

    def append(self, f: AbstractBufferedFile | IO[bytes]) -> None:
        """Add a file that was opened with ``autocommit=False``."""
        self.files.append(f)

    def commit(self) -> None:
        """Let the files appear."""
        for f in self.files:
            f.commit()
        self.files.clear()

    def discard(self) -> None:
        """Drop the files."""
        for f in self.files:
            f.discard()
        self.files.clear()


class DaskTransaction(Transaction):
    """A transaction whose files are held by an actor of the current dask client."""

    def _no_files(self) -> object:
        import distributed

        return distributed.default_client().submit(FileActor, actor=True, pure=False).result()

    def complete(self, commit: bool = True) -> None:
        """End the transaction; see `Transaction.complete`."""
        if self._is_inherited():
            return
        try:
            (self.files.commit() if commit else self.files.discard()).result()
        finally:
            self._release_fs()
