"""Operations over many paths: a list, a pattern, a tree.

The algorithms are plans of `_plans`; here each is given its blocking driver.  A backend
may override any of them, and the others then use that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from fsspec._overriding import default
from fsspec._paths.ranges import per_path
from fsspec._plans import PlanOf, bulk, drawing, drive, expanding, globbing, listing, stream, transfers
from fsspec._spec.contents import Contents
from fsspec.callbacks import DEFAULT_CALLBACK

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from fsspec._paths.types import Depth, Errors, Offsets, Progress, StrPaths, T
    from fsspec.mapping import FSMap
    from fsspec.spec import AbstractFileSystem


class ManyPaths(Contents):
    """The methods of `AbstractFileSystem` that take a list of paths, a pattern, or a tree."""

    def _fsspec_drive_plan(self, plan: PlanOf[T]) -> T:
        """What a plan returns, by whatever way the operations of the filesystem are called."""
        return drive(self, plan)

    # reading ---------------------------------------------------------------------
    @default
    def walk(
        self,
        path: str,
        maxdepth: Depth = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], Any] = listing.OMIT_ABSENT,
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
            and a callable is given the exception; if nothing is said, one that is not
            there or not readable is left out, and any other error raised
        **kwargs
            for `ls`; with ``detail=True`` the second and third member map names to entries

        Yields
        ------
        (str, list of str, list of str)
            the folder, the names of folders in it, the names of everything else
        """
        plan = listing.walk(self, path, maxdepth, topdown, on_error, **kwargs)
        return stream(self, plan)

    @default
    def find(
        self, path: str, maxdepth: Depth = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
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
            ``on_error`` of `walk`; others for `ls`

        Returns
        -------
        list of str or dict
            sorted by path; empty if there is nothing. One listing a folder.
        """
        return drive(self, listing.find(self, path, maxdepth, withdirs, detail, **kwargs))

    def du(
        self, path: str, total: bool = True, maxdepth: Depth = None, withdirs: bool = False, **kwargs: Any
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

    def sizes(self, paths: list[str]) -> list[int | None]:
        """The bytes of several files.

        Returns
        -------
        list of int
            in the order of ``paths``; None for those whose size the backend cannot know

        Raises
        ------
        FileNotFoundError
            if one of them does not exist
        """
        return drive(self, bulk.sizes(self, paths))

    @default
    def glob(self, path: str, maxdepth: Depth = None, **kwargs: Any) -> Any:
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
            sorted by path; empty if nothing matches

        Raises
        ------
        ValueError
            if ``**`` is only part of a name, or ``maxdepth`` less than 1
        """
        return drive(self, globbing.glob(self, path, maxdepth, **kwargs))

    @default
    def expand_path(
        self,
        path: StrPaths,
        recursive: bool = False,
        maxdepth: Depth = None,
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
        if not recursive and maxdepth is None and isinstance(path, (str, list)):
            if found := expanding.without_patterns(self, path, assume_literal):
                return found
        plan = expanding.expand_path(self, path, recursive, maxdepth, assume_literal, **kwargs)
        return drive(self, plan)

    def tree(
        self,
        path: str = "/", recursion_limit: int = 2, max_display: int | None = 25, display_size: bool = False,
        prefix: str = "", is_last: bool = True, first: bool = True, indent_size: int = 4,
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
        plan = drawing.tree(
            self, path, recursion_limit, max_display, display_size, prefix, is_last, first, indent_size
        )
        return drive(self, plan)

    # contents ---------------------------------------------------------------------
    @default
    def cat(self, path: StrPaths, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """The bytes of files.

        Parameters
        ----------
        path
            paths or patterns, one or several
        recursive
            also the contents of folders
        on_error
            for a file that cannot be read: ``"raise"``, ``"omit"`` it, or ``"return"`` the
            exception in its place
        **kwargs
            for `cat_file`

        Returns
        -------
        bytes or dict
            the bytes of one path given as such; else bytes by path
        """
        if self.async_impl or recursive or kwargs or on_error != "raise" or not isinstance(path, (str, list)):
            return drive(self, bulk.cat(self, path, recursive, on_error, kwargs, None))
        # the same without a plan, which costs more than reading a file in memory
        paths = self.expand_path(path)
        if isinstance(path, str) and len(paths) == 1 and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0])
        return {p: self.cat_file(p) for p in paths}

    def cat_ranges(
        self,
        paths: list[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Parts of files.

        Parameters
        ----------
        paths
            a file for each part
        starts, ends
            as in `cat_file`, one for each path or one for all
        max_gap
            not known to the base class
        on_error
            ``"return"`` puts an exception in the place of a part that cannot be read,
            ``"raise"`` raises it

        Returns
        -------
        list of bytes
            in the order of ``paths``
        """
        if self.async_impl or max_gap is not None or "callback" in kwargs:
            return drive(self, bulk.cat_ranges(self, paths, starts, ends, max_gap, on_error, kwargs))
        out: list[Any] = []
        for p, first, last in zip(*per_path(paths, starts, ends)):
            try:
                out.append(self.cat_file(p, first, last, **kwargs))
            except Exception as error:  # ``on_error`` says what becomes of an error of any kind
                if on_error != "return":
                    raise
                out.append(error)
        return out

    def pipe(
        self, path: str | Mapping[str, ReadableBuffer], value: ReadableBuffer | None = None, **kwargs: Any
    ) -> None:
        """Make files of bytes.

        Parameters
        ----------
        path
            one path, with ``value``; or a dict of bytes by path
        value
            the bytes for one path
        **kwargs
            for `pipe_file`
        """
        drive(self, bulk.pipe(self, path, value, kwargs))

    # copying and removing ---------------------------------------------------------
    @default
    def copy(
        self,
        path1: StrPaths,
        path2: StrPaths,
        recursive: bool = False,
        maxdepth: Depth = None,
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
            ``callback``, which gets the number of files and each that is done; the rest is for `cp_file`
        """
        drive(self, transfers.copy(self, path1, path2, recursive, maxdepth, on_error, kwargs))

    def mv(
        self, path1: StrPaths, path2: StrPaths, recursive: bool = False, maxdepth: Depth = None, **kwargs: Any
    ) -> None:
        """Move files within the filesystem: copied, then removed.

        Parameters
        ----------
        path1, path2, recursive, maxdepth
            see `copy`; a path moved onto itself stays, and so does what lies deeper than ``maxdepth``
        **kwargs
            ``callback``, which gets the number of files and each that is copied

        Raises
        ------
        OSError
            if a folder would be moved into itself; nothing is changed then
        ValueError
            if several files would be moved to one place
        """
        self._fsspec_drive_plan(transfers.mv(self, path1, path2, recursive, maxdepth, kwargs.get("callback")))

    def get(
        self,
        rpath: StrPaths,
        lpath: StrPaths,
        recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> None:
        """Download files.

        Parameters
        ----------
        rpath
            what to fetch: paths or patterns, one or several
        lpath
            where to on this machine, by the rules of `copy`
        recursive, maxdepth
            as for `copy`
        callback
            gets the number of files and each that is done
        **kwargs
            for `get_file`

        Raises
        ------
        ValueError
            if a name in the store would leave the target folder
        """
        plan = transfers.get(self, rpath, lpath, recursive, callback, maxdepth, kwargs)
        drive(self, plan)

    def put(
        self,
        lpath: StrPaths,
        rpath: StrPaths,
        recursive: bool = False,
        callback: Progress = DEFAULT_CALLBACK,
        maxdepth: Depth = None,
        **kwargs: Any,
    ) -> None:
        """Upload files.

        Parameters
        ----------
        lpath
            what to send, on this machine: paths or patterns, one or several
        rpath
            where to, by the rules of `copy`
        recursive, maxdepth
            as for `copy`
        callback
            gets the number of files and each that is done
        **kwargs
            for `put_file`
        """
        plan = transfers.put(self, lpath, rpath, recursive, callback, maxdepth, kwargs)
        drive(self, plan)

    @default
    def rm(self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None) -> None:
        """Remove files.

        One after the other: if one is refused, others may be gone. Local files and those in
        memory are looked at before any is removed.

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
            if nothing matches
        """
        drive(self, bulk.rm(self, path, recursive, maxdepth, {}, None))

    def get_mapper(
        self,
        root: str = "",
        check: bool = False,
        create: bool = False,
        missing_exceptions: Errors | None = None,
    ) -> FSMap:
        """The files below a path as a mutable mapping from relative path to bytes.

        Parameters
        ----------
        root
            the path
        check
            try whether it can be written
        create
            make it if it does not exist
        missing_exceptions
            the errors that mean a key is missing
        """
        from fsspec.mapping import FSMap

        fs = cast("AbstractFileSystem", self)
        return FSMap(root, fs, check=check, create=create, missing_exceptions=missing_exceptions)
