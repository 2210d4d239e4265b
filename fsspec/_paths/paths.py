"""Paths as text: their common beginning, the same paths below another folder, and names.

Pure functions of text with slashes.  What a protocol does to a path is up to the
filesystem; here ``s3://b/k`` is text like any other.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

if TYPE_CHECKING:
    from fsspec._paths.types import StrPath, T

F = TypeVar("F", bound=Callable[..., bool])


@overload
def stringify_path(filepath: StrPath) -> str: ...


@overload
def stringify_path(filepath: T) -> T | str: ...


def stringify_path(filepath: object) -> object:
    """A path-like object as text; anything else as it is.

    Objects with ``__fspath__`` count, and else those with an attribute ``path``, such as
    files that a filesystem opened.
    """
    if isinstance(filepath, str):
        return filepath
    if fspath := getattr(filepath, "__fspath__", None):
        return fspath()
    return getattr(filepath, "path", filepath)


TAKING_ANY = frozenset(
    "cat cat_ranges copy delete download exists expand_path get lexists mv pipe put rm sizes upload".split()
)
"""Operations on several paths, and those that answer whatever they are asked about; all others are on one."""


def type_name(value: object) -> str:
    """What a value is, for messages: "an int", "a list", "None"."""
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}"


class NoPathError(TypeError, AttributeError):
    """Not a path where one is needed; of both classes, because programs catch either."""


def url_text(url: object) -> str:
    """A URL or path as text; `NoPathError` if it is neither."""
    if type(url) is str:
        return url
    text = stringify_path(url)
    if not isinstance(text, str):
        raise NoPathError(f"a URL or a path is needed, a str or an os.PathLike, not {type_name(text)}")
    return text


def path_texts(paths: object) -> str | list[str]:
    """One path as text, or several as a list of texts; `NoPathError` if it is neither.

    Several are any iterable: a set, the keys of a dict, an array. A generator is gone through here, once, so
    that an operation begins with this and does not use ``paths`` again.
    """
    text = paths if type(paths) is list else stringify_path(paths)
    if isinstance(text, str):
        return text
    if not isinstance(text, (list, Iterable)) or isinstance(text, (bytes, bytearray, memoryview)):
        raise NoPathError(
            f"a URL or a path is needed, a str or an os.PathLike, or several, not {type_name(text)}"
        )
    return [path if type(path) is str else url_text(path) for path in text]


def without_file_protocol(path: str, protocols: Iterable[str] = ("file", "local")) -> str:
    """A local path without ``file:`` or ``local:`` and the slashes after it."""
    for protocol in protocols if ":" in path else ():
        if path.startswith(f"{protocol}:"):
            return path[len(protocol) + 1 :].removeprefix("//")
    return path


def local_name(path: object, option: str) -> str:
    """A local path that is given as an option, in the form that the built-in `open` takes: with ``~``
    expanded, and without ``file://``. Raises TypeError, which names the ``option``, if it is not a path."""
    text = stringify_path(path)
    if not isinstance(text, str):
        raise TypeError(f"{option} needs a path, a str or an os.PathLike, not {type_name(text)}")
    return os.path.expanduser(without_file_protocol(text))


_FILE_URLS = "file://", "local://"


def local_side(path: Any) -> Any:
    """The local path of a transfer, meant as `get` and `put` mean it: ``~`` is the user's folder, and
    ``file://`` is gone. What is not a path stays as it is."""
    text = os.fspath(path) if hasattr(path, "__fspath__") else path
    if not isinstance(text, str):
        return text
    return os.path.expanduser(without_file_protocol(text) if text.startswith(_FILE_URLS) else text)


def common_prefix(paths: Iterable[str]) -> str:
    """The longest run of whole components that all the paths begin with.

    Of a single path that is the path itself.

    Raises
    ------
    ValueError
        if there are no paths
    """
    paths = list(paths)
    # in order of characters the first and the last path differ the earliest
    low, high = min(paths), max(paths)
    length = len(low)
    if not high.startswith(low):
        length = next(at for at, (a, b) in enumerate(zip(low, high)) if a != b)
    if all(path[length : length + 1] in ("", "/") for path in paths):
        return low[:length]
    return low[: max(low.rfind("/", 0, length), 0)]


def unequal(sources: Sequence[str], targets: Sequence[str]) -> str:
    """The text of the error about unequal numbers of sources and targets."""
    (a, b) = (len(sources), len(targets))
    return f"{a} source{'s' * (a != 1)}, but {b} target{'s' * (b != 1)}"


def other_paths(
    paths: Sequence[str], path2: str | list[str], exists: bool = False, flatten: bool = False
) -> list[str]:
    """Where each of several paths goes when they are copied to ``path2``.

    What the paths have in common is replaced by the target.

    Parameters
    ----------
    paths
        the sources, in any order
    path2
        the target, or a list with the target of each source, which is returned
    exists
        the target is a folder already: what is copied keeps the name of its own folder
        there
    flatten
        all go directly into the target, under their own names

    Returns
    -------
    list of str
        as many targets as there are sources

    Raises
    ------
    ValueError
        if there are no sources
    """
    if not isinstance(path2, str):
        assert len(paths) == len(path2), unequal(paths, path2)
        return path2
    target = path2.rstrip("/")
    if target.endswith(":") and len(target) > 2 and path2.startswith(f"{target}//"):
        target += "//"  # the root of a filesystem
    if flatten:
        return [f"{target}/{path[path.rfind('/') + 1 :]}" for path in paths]
    prefix = common_prefix(paths)
    if exists:
        parent, slash, _ = prefix.rpartition("/")
        # a top folder has no parent to keep it in; a single path is named after itself
        prefix = parent if slash or len(paths) == 1 else prefix
    if prefix:
        cut = len(prefix)
        return [target + path[cut:] for path in paths]
    return [target + path if path.startswith("/") else f"{target}/{path}" for path in paths]


def check_contained(root: str, paths: Sequence[str]) -> None:
    """Refuse paths that lead out of a folder.

    Raises
    ------
    ValueError
        naming the first of ``paths`` that does
    """
    top = posixpath.normpath(root)
    inside = top.rstrip("/") + "/"
    for path in paths:
        plain = posixpath.normpath(path)
        if top in (".", "/"):
            out = plain == ".." or plain.startswith("../") or (top == "." and plain.startswith("/"))
        else:
            out = plain != top and not plain.startswith(inside)
        if out:
            raise ValueError(f"the path {path!r} leads out of {root!r}")


def unescaped(fs: object, path: str) -> str:
    """A relative path as the store reads it: of URLs, with their escapes undone."""
    read = getattr(fs, "_as_requested", None)
    return path if read is None else read(path)


def build_name_function(max_int: float) -> Callable[[int], str]:
    """A function that writes numbers with as many digits as ``max_int`` has.

    So that names made of them sort like the numbers do.
    """
    width = len(str(int(max_int)))
    return lambda number: str(number).zfill(width)


def hidden_name(path: str, folder: str | None = None) -> str:
    """A hidden name that nobody has, in the folder of ``path`` or another one, for a file in the making."""
    above, slash, name = path.rpartition("/")
    hidden = f".{name[:40]}.{os.urandom(6).hex()}.part"
    if folder is None:
        return f"{above}{slash}{hidden}"
    return f"{folder.rstrip('/')}/{hidden}" if folder else hidden


def false_without_path(exists: F) -> F:
    """Make a method return False for what is not a path, such as None, instead of raising."""

    @wraps(exists)
    def answer(self: object, path: object, **kwargs: object) -> bool:
        try:
            return exists(self, path, **kwargs)
        except (AttributeError, TypeError):
            if isinstance(path, (str, os.PathLike)):
                raise
            return False

    return cast("F", answer)


def trailing_sep(path: str) -> bool:
    """Whether a path ends in a slash: what it names is meant to be a folder."""
    return path.endswith("/")


def renamed(found: Any, shape: str, rename: Callable[[str], str]) -> Any:
    """The result of an operation, with each path in it renamed.

    ``shape``: "plain", nothing in it is a path; "entry"; "by path", values by path, or one value; any other
        is paths or entries, in a list or by path.
    """
    if shape == "plain" or (shape == "by path" and not isinstance(found, dict)):
        return found
    if shape == "entry":
        return {**found, "name": rename(found["name"])}
    if shape == "by path":
        return {rename(path): value for path, value in found.items()}
    if isinstance(found, dict):
        return {rename(path): renamed(entry, "entry", rename) for path, entry in found.items()}
    return [renamed(each, "entry", rename) if isinstance(each, dict) else rename(each) for each in found]


def folder_error(
    path: str, kind: type[IsADirectoryError] = IsADirectoryError, what: str = ""
) -> IsADirectoryError:
    """The error of a folder where a file is needed; ``what`` stands in place of the system's text."""
    return kind(errno.EISDIR, what or os.strerror(errno.EISDIR), path)
