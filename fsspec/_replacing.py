"""Local files that appear under their name only when they are whole.

What is downloaded is written beside its target under another name and moved onto it at
the end; after a failure the target is as it was before.  Another process sees the old
file or the new one, never a part.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
    try:
        with f:
            yield f
        if before is not None:
            os.chmod(partial, stat.S_IMODE(before.st_mode))
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise
