"""What bytes a name stands for, where objects are, and how the subject is told.

The bytes follow from the name alone: parent, children and the final check each make them
again, and a wrong offset, a mix of two answers or a half-written object cannot go unseen.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

SIZES = {f"read-{n}-{size}.bin": size for n, size in enumerate((1_000, 70_000, 300_000, 300_001, 1_500_000))}
"""The objects that every server has from the start, by name, with their sizes in bytes."""

BUCKET = "soak-bucket"
READ, WRITTEN = "read", "written"  # folders on each server


def data(name: str, size: int) -> bytes:
    """The bytes of an object."""
    return hashlib.shake_128(name.encode()).digest(size)


def written_name(who: str, size: int) -> str:
    """The name of an object that ``who`` writes; its size is part of it."""
    return f"{who}-{size}.bin"


def size_of(name: str) -> int:
    """The size that a name tells of."""
    return int(name.rpartition("-")[2].removesuffix(".bin"))


class WrongBytes(AssertionError):
    """What was read is not what is there."""


def verify(found: bytes, wanted: bytes, what: str) -> int:
    """Equal to the last byte; how many bytes that were."""
    if found != wanted:
        pairs = zip(found, wanted)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(wanted)))
        raise WrongBytes(f"{what}: {len(found)} bytes for {len(wanted)}, different from byte {at}")
    return len(wanted)


@dataclass
class Places:
    """What the subject is started with."""

    http: str
    https: str
    s3: str
    folder: str
    seconds: float
    seed: int
    children: int

    def dump(self) -> str:
        return json.dumps(asdict(self))

    def root(self, kind: str) -> str:
        """The address below which the objects of a server are: "http", "https", "s3" or "local"."""
        return {"http": self.http, "https": self.https, "s3": f"s3://{BUCKET}", "local": self.folder}[kind]
