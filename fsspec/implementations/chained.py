"""Bases of filesystems that stand in front of another one: a chain of URLs names that as their target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec._overriding import unless_patched
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from fsspec.transaction import Transaction


__all__ = ["ChainedFileSystem", "SharingTransactions"]


class ChainedFileSystem(AbstractFileSystem):
    """Base of the filesystems that have no paths of their own.

    In a chain of URLs they take the path of the next link.
    """

    protocol: ClassVar[str] = "chained"
    _takes_inner_path = True


class SharingTransactions(AbstractFileSystem):
    """Chained filesystems whose transactions are those of the underlying filesystem.

    A filesystem is in one exactly while the other is, whichever of the two began it.
    """

    @property
    def _fs_behind(self) -> Any:
        """The other filesystem; None while an instance is being made."""
        raise NotImplementedError

    @property
    def transaction(self) -> Transaction:
        """That of the other filesystem, which all operations take part in."""
        return cast("Transaction", self._fs_behind.transaction)

    @unless_patched
    def start_transaction(self) -> Transaction:
        return cast("Transaction", self._fs_behind.start_transaction())

    @unless_patched
    def end_transaction(self) -> None:
        self._fs_behind.end_transaction()

    @property
    def _intrans(self) -> bool:
        return self._fs_behind is not None and self._fs_behind._intrans

    @_intrans.setter
    def _intrans(self, value: bool) -> None:
        if self._fs_behind is not None:
            self._fs_behind._intrans = value

    @property
    def _transaction(self) -> Transaction | None:
        return None if self._fs_behind is None else self._fs_behind._transaction

    @_transaction.setter
    def _transaction(self, value: Transaction | None) -> None:
        if self._fs_behind is not None:
            self._fs_behind._transaction = value
