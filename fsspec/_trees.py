"""Whole trees of a filesystem: walking, finding, matching, measuring, drawing.

The algorithms are plans of `_plans`; here each is given its blocking driver.  A backend
may override any of them, and the others then use that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fsspec._plans import drive, expanding, globbing, listing, showing, stream


class Trees:
    """The part of `AbstractFileSystem` that looks at many paths."""

    def _follows_link(self, path: str, top: str) -> bool:
        """Whether a walk from ``top`` goes into a link to a folder; an entry's ``islink`` tells of one."""
        return True

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], Any] = "omit",
        **kwargs: Any,
    ) -> Iterator[tuple[str, Any, Any]]:
        """Go through a tree, folder by folder.

        One listing a folder, made when its turn comes, so that what is not looked at
        costs nothing. Awaitable filesystems are asked for several at once, some of them
        ahead of their turn.

        Parameters
        ----------
        path
            where to begin
        maxdepth
            how many levels to descend; None for all
        topdown
            a folder before what is below it; the caller may then remove names from the
            second member in place, and those folders are left out
        on_error
            ``"omit"`` leaves out a folder that cannot be listed, ``"raise"`` raises,
            and a callable is given the exception
        **kwargs
            for `ls`; with ``detail=True`` the second and third member map names to entries

        Yields
        ------
        (str, list of str, list of str)
            the folder, the names of folders in it, the names of everything else
        """
        plan = listing.walk(self, path, maxdepth, topdown, on_error, **kwargs)
        return stream(self, plan)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Everything below a path.

        Parameters
        ----------
        path
            a folder, or a file, which finds itself
        maxdepth
            how many levels to descend; None for all
        withdirs
            whether folders count, that at the path included
        detail
            return entries by path
        **kwargs
            for `ls`

        Returns
        -------
        list of str or dict
            sorted by path; empty where there is nothing. One listing a folder.
        """
        return drive(self, listing.find(self, path, maxdepth, withdirs, detail, **kwargs))

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The bytes that files below a path take up.

        Parameters
        ----------
        path
            a folder or a file
        total
            one sum, else a size for each path
        maxdepth
            how many levels to descend; None for all
        withdirs
            whether folders count, with the size their entries give
        **kwargs
            for `find`

        Returns
        -------
        int or dict
            in the sum a size that is not known counts as nothing
        """
        return drive(self, listing.du(self, path, total, maxdepth, withdirs, **kwargs))

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """The paths that match a pattern.

        ``*`` stands for any characters of one name, ``?`` for one, ``[abc]``, ``[a-c]``,
        ``[!a]`` for one of a set. A name that is ``**`` stands for any number of folders,
        none included. A pattern with a slash at its end matches only folders.

        Only folders that can lead to a match are listed.

        Parameters
        ----------
        path
            the pattern
        maxdepth
            how many levels ``**``, with what follows it, may reach
        **kwargs
            ``detail=True`` returns entries by path; the rest is for the listings

        Returns
        -------
        list of str or dict
            sorted by path; empty where nothing matches

        Raises
        ------
        ValueError
            if ``**`` is only part of a name, or ``maxdepth`` less than 1
        """
        return drive(self, globbing.glob(self, path, maxdepth, **kwargs))

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Paths and patterns as the paths they stand for.

        Parameters
        ----------
        path
            one path, or several
        recursive
            add everything below the folders among them
        maxdepth
            how many levels; the matches of a pattern are the first
        assume_literal
            there are no patterns; wildcards are part of names
        **kwargs
            for `glob` and `find`

        Returns
        -------
        list of str
            sorted, each once. Without patterns and ``recursive`` nothing is asked of the
            store, and what does not exist stays in.

        Raises
        ------
        FileNotFoundError
            if nothing at all is left
        """
        plan = expanding.expand_path(self, path, recursive, maxdepth, assume_literal, **kwargs)
        return drive(self, plan)

    def tree(
        self, path: str = "/", recursion_limit: int = 2, max_display: int | None = 25,
        display_size: bool = False, prefix: str = "", is_last: bool = True, first: bool = True,
        indent_size: int = 4,
    ) -> str:  # fmt: skip
        """A drawing of a tree in text.

        Parameters
        ----------
        path
            its root
        recursion_limit
            how many levels to draw
        max_display
            how many entries of a folder to draw; None for all
        display_size
            add the sizes of files and the numbers of entries of folders
        prefix
            what each line but the first begins with
        is_last
            has no effect on the root
        first
            whether to begin with the root itself
        indent_size
            columns a level
        """
        plan = showing.tree(
            self, path, recursion_limit, max_display, display_size, prefix, is_last, first, indent_size
        )
        return drive(self, plan)
