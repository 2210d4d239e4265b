"""The files of a local git repository at one of its commits, by pygit2.

What a reference stands for is looked up at each operation, so that a branch that moves is
followed.  Nothing is written.  A repository may be read on in a forked child: objects are
found by their digests, and no position in a file is shared.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pygit2

from fsspec._files.whole_file import WholeFile
from fsspec._paths.paths import folder_error, local_name
from fsspec.archive import MissingMemberError, where_missing
from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    from fsspec._paths.types import PathOrPaths


__all__ = ["GitFileSystem"]


_NotFound: Any = getattr(pygit2, "NotFoundError", pygit2.GitError)


class NotInRepositoryError(FileNotFoundError, _NotFound, KeyError):
    """There is no repository, or no such commit in it; pygit2's own errors belong to the other classes."""


class GitFileSystem(AbstractFileSystem):
    """A repository's files.

    Parameters
    ----------
    path, fo
        the repository, or a folder in its working tree; by default the working folder
    ref
        branch, tag or the beginning of a commit's digest; by default the branch ``master``, whatever is
        checked out, and in a repository without one what is checked out (HEAD)
    **kwargs
        as for `AbstractFileSystem`

    Raises
    ------
    FileNotFoundError
        if there is no repository
    """

    protocol: ClassVar[str | tuple[str, ...]] = "git"
    _fsspec_change_advice = "a repository is only read here; change its working tree"

    def __init__(
        self, path: str | None = None, fo: str | None = None, ref: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        place = local_name(path or fo or os.getcwd(), "path")
        try:
            self.repo: Any = pygit2.Repository(place)
        except (pygit2.GitError, KeyError) as error:
            raise NotInRepositoryError(f"there is no git repository at {place!r} ({error})") from error
        if ref is None:
            head = "HEAD" if self.repo.head_is_unborn else self.repo.head.shorthand
            ref = head if self.repo.lookup_branch("master") is None else "master"
        self.ref = ref

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        """The path in the repository, of ``git://REPOSITORY:REF@PATH``."""
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        text: str = super()._strip_protocol(path)
        if "://" in os.fspath(path) or text != os.fspath(path):
            text = text.rpartition("@")[2] if "@" in text else text.rpartition(":")[2]
        return text.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        rest = path.rpartition("://")[2]
        found = {}
        place, colon, inside = rest.partition(":")
        if colon:
            found["path"] = place
        else:
            inside = rest
        ref, at, _ = inside.partition("@")
        if at:
            found["ref"] = ref
        return found

    # looking up -------------------------------------------------------------------
    def _find_object(self, path: str, ref: str | None) -> tuple[Any, int]:
        """The tree or blob at a path, and its mode."""
        ref = ref or self.ref
        try:
            found: Any = self.repo.revparse_single(ref).peel(pygit2.Tree)
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise NotInRepositoryError(
                f"{self.repo.path} has no commit {ref!r}, to find {path!r} in"
            ) from error
        mode = int(pygit2.enums.FileMode.TREE)
        for part in filter(None, path.split("/")):
            if not isinstance(found, pygit2.Tree) or part not in found:
                names = (each.name or "" for each in (found if isinstance(found, pygit2.Tree) else ()))
                place = f"commit {ref!r} of {self.repo.path}"
                raise MissingMemberError(path, partial(where_missing, place, part, names))
            found = found[part]
            mode = int(found.filemode)
        return found, mode

    @staticmethod
    def _described_entry(found: pygit2.Object, mode: int, name: str) -> dict[str, Any]:
        kinds = {pygit2.Tree: "directory", pygit2.Blob: "file"}
        kind = next((text for cls, text in kinds.items() if isinstance(found, cls)), "other")
        size = found.size if isinstance(found, pygit2.Blob) else 0
        return {"type": kind, "name": name, "hex": str(found.id), "mode": f"{mode:o}", "size": size}

    def ls(self, path: str, detail: bool = True, ref: str | None = None, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found, mode = self._find_object(path, ref)
        if isinstance(found, pygit2.Tree):
            start = path and path + "/"
            entries = [self._described_entry(o, int(o.filemode), f"{start}{o.name}") for o in found]
        else:
            entries = [self._described_entry(found, mode, path)]
        return entries if detail else [entry["name"] for entry in entries]

    def info(self, path: str, ref: str | None = None, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self._described_entry(*self._find_object(path, ref), path)

    def ukey(self, path: str, ref: str | None = None) -> str:
        """The digest that git itself knows the content by."""
        return str(self.info(path, ref=ref)["hex"])

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        ref: str | None = None,
        **kwargs: Any,
    ) -> WholeFile:
        if mode != "rb":
            raise NotImplementedError(f"{path!r}: a repository is only read here; write its working tree")
        found, _ = self._find_object(path, ref)
        if not isinstance(found, pygit2.Blob):
            raise folder_error(path)
        return WholeFile(found.data)
