"""The data of the demonstration: every byte can be told from its place.

An array of 4 Mi unsigned integers, 16 MiB, in 16 chunks.  Any process can compute what a chunk
has to hold, so none has to be given it.
"""

from __future__ import annotations

import numpy as np

CHUNKS = 16
ITEMS = 262_144  # in a chunk
CHUNK_BYTES = ITEMS * 4
TOTAL_BYTES = CHUNKS * CHUNK_BYTES


def chunk(number: int) -> np.ndarray:
    """The items of one chunk: each place of the array, scrambled."""
    places: np.ndarray = np.arange(number * ITEMS, (number + 1) * ITEMS, dtype=np.uint32)
    found: np.ndarray = places * np.uint32(2_654_435_761) ^ (places >> np.uint32(7))
    return found


def chunk_bytes(number: int) -> bytes:
    return chunk(number).tobytes()


def everything() -> bytes:
    return b"".join(map(chunk_bytes, range(CHUNKS)))
