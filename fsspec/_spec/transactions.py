"""Files that appear together: what a filesystem knows of its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from fsspec.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsspec.spec import AbstractFileSystem


class Transactions:
    """The part of `AbstractFileSystem` that begins and ends transactions."""

    transaction_type: type[Transaction] = Transaction
    _only_transactions_wait: ClassVar[bool] = False
    """Whether ``autocommit=False`` counts in transactions only."""

    _intrans: bool
    _transaction: Transaction | None
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
            self._transaction = self.transaction_type(cast("AbstractFileSystem", self))
        return self._transaction

    def start_transaction(self) -> Transaction:
        """Begin a transaction without a context; see `end_transaction`."""
        self._intrans = True
        self._transaction = self.transaction_type(cast("AbstractFileSystem", self))
        return self.transaction

    def end_transaction(self) -> None:
        """Let the files written in the transaction appear."""
        self.transaction.complete()
        self._transaction = None
        self._forget_changed()

    def _forget_changed(self) -> None:
        """Invalidate what a transaction changed: it was listed before its files appeared."""
        changed, self._invalidated_caches_in_transaction = self._invalidated_caches_in_transaction, []
        for path in changed:
            self.invalidate_cache(path)
