"""Moving and removing many files: within a filesystem, and from and to this machine.

The algorithms are plans of `_plans`; here each is given its blocking driver.
"""

from __future__ import annotations

from typing import Any

from fsspec._plans import bulk, drive, transfers
from fsspec.callbacks import DEFAULT_CALLBACK, Callback


class Moving:
    """The part of `AbstractFileSystem` that moves and removes files."""

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy one file within the filesystem; what a backend brings for `copy`."""
        raise NotImplementedError(f"{type(self).__name__} cannot copy")

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy files within the filesystem.

        Parameters
        ----------
        path1
            what to copy: paths or patterns, one or several
        path2
            where to: a file, or a folder if it exists as one, ends in a slash, or takes
            several; a list pairs with that of ``path1``
        recursive
            also folders, with everything in them
        maxdepth
            how many levels of them; None for all
        on_error
            ``"raise"``, or ``"ignore"`` for sources that are not there; the latter is
            the default with ``recursive``
        **kwargs
            for `cp_file`
        """
        drive(self, transfers.copy(self, path1, path2, recursive, maxdepth, on_error, **kwargs))

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move files within the filesystem: copied, then removed.

        Parameters
        ----------
        path1, path2, recursive, maxdepth
            see `copy`; a path moved onto itself stays
        """
        drive(self, transfers.mv(self, path1, path2, recursive, maxdepth, **kwargs))

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Download files.

        Parameters
        ----------
        rpath
            what to fetch: paths or patterns, one or several
        lpath
            where to on this machine, by the rules of `copy`
        recursive
            also folders, with everything in them
        callback
            is told the number of files and each that is done
        maxdepth
            how many levels; None for all
        **kwargs
            for `get_file`

        Raises
        ------
        ValueError
            if a name in the store would leave the target folder
        """
        plan = transfers.get(self, rpath, lpath, recursive, callback, maxdepth, **kwargs)
        return drive(self, plan)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Upload files.

        Parameters
        ----------
        lpath
            what to send, on this machine: paths or patterns, one or several
        rpath
            where to, by the rules of `copy`
        recursive
            also folders, with everything in them
        callback
            is told the number of files and each that is done
        maxdepth
            how many levels; None for all
        **kwargs
            for `put_file`
        """
        plan = transfers.put(self, lpath, rpath, recursive, callback, maxdepth, **kwargs)
        return drive(self, plan)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files.

        Parameters
        ----------
        path
            paths or patterns, one or several
        recursive
            also folders, with everything in them
        maxdepth
            how many levels of them; None for all

        Raises
        ------
        FileNotFoundError
            where nothing matches
        """
        drive(self, bulk.rm(self, path, recursive, maxdepth))
