"""Local files that appear under their name only when they are whole.

What is downloaded is written beside its target under another name and moved onto it at
the end; after a failure the target is as it was before.  Another process sees the old
file or the new one, never a part.  A child that is forked in between leaves both alone: the
download is its parent's, and as the fork returns its copy of the open file leads nowhere, for
the two would write at an offset that they share.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fsspec._fork import hooks
from fsspec.exceptions import ForkError

_under_way: set[Any] = set()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A binary file object whose bytes become the file at ``path`` when the block ends well.

    A link is followed, and an existing file keeps its permissions.  What is not a plain
    file (a terminal, a pipe) is written directly, as is a file in a folder where no other
    may be made.
    """
    target = os.path.realpath(path)
    try:
        before = os.stat(target)
    except OSError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        with open(target, "wb") as f, _owned(f):
            yield f
        return
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.part")
    try:
        f = open(partial, "xb")
    except PermissionError:
        if before is None:
            raise
        with open(target, "wb") as f, _owned(f):
            yield f
        return
    owner = os.getpid()
    try:
        with f, _owned(f):
            yield f
        if os.getpid() != owner:
            raise ForkError(f"the download to {os.fspath(path)!r}", owner, advice=_ADVICE)
        if before is not None:
            os.chmod(partial, stat.S_IMODE(before.st_mode))
        os.replace(partial, target)
    except BaseException:
        if os.getpid() == owner:
            os.unlink(partial)
        raise


_ADVICE = "It is the parent's, which goes on with it; download the file anew in this process"


@contextmanager
def _owned(f: Any) -> Iterator[None]:
    owner = os.getpid()
    _under_way.add(f)
    try:
        yield
    finally:
        _under_way.discard(f)
        if os.getpid() != owner:  # also where no hook ran
            _detach(f)


def _detach(f: Any) -> None:
    """Lead a file elsewhere, also what its buffer still holds."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), f.fileno(), inheritable=False)


def _in_child() -> None:
    for f in list(_under_way):
        with suppress(ValueError):  # it was closed
            _detach(f)
    _under_way.clear()


hooks.at_fork(child=_in_child)
