"""Local files that appear under their name only when they are whole.

What is downloaded is written beside its target under another name and moved onto it at
the end; after a failure the target is as it was before.  Another process sees the old
file or the new one, never a part.  A child that is forked in between leaves both alone: the
download is its parent's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.exceptions import ForkError


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
        with open(target, "wb") as f:
            yield f
        return
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.part")
    try:
        f = open(partial, "xb")
    except PermissionError:
        if before is None:
            raise
        with open(target, "wb") as f:
            yield f
        return
    owner = os.getpid()
    try:
        with f:
            try:
                yield f
            finally:
                if os.getpid() != owner:
                    _let_go(f)
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


def _let_go(f: Any) -> None:
    """Lead a file elsewhere whose buffer is still to be written, at an offset that is shared."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), f.fileno(), inheritable=False)
