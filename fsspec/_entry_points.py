"""Whether an installed package announces something to this one."""

from __future__ import annotations

import os
import sys


def may_announce(group: str) -> bool:
    """Whether `importlib.metadata` may find entry points of a group: to ask it costs twenty times as much."""
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                names = [e.name for e in entries if e.name.endswith((".dist-info", ".egg-info", "EGG-INFO"))]
        except FileNotFoundError:
            continue
        except OSError:
            return True  # an archive, or what only a finder can read
        for name in names:
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), "rb") as f:
                    if group.encode() in f.read():
                        return True
            except OSError:
                continue  # it announces nothing
    return False
