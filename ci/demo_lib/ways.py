"""The handles that cross the fork: how each is opened, and how a chunk is read through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import data

BUCKET = "demonstration"


def s3_options(endpoint: str) -> dict[str, Any]:
    """What s3fs needs to reach the demonstration's server."""
    return {"key": "demo", "secret": "demo", "endpoint_url": endpoint}


@dataclass(frozen=True)
class Way:
    """One kind of handle.

    ``open`` takes the addresses of the S3 and the HTTP server and gives the handle; ``read``
    takes the handle and a chunk's number and gives its bytes.
    """

    name: str
    open: Callable[[str, str], Any]
    read: Callable[[Any, int], bytes]


def open_array(s3: str, http: str) -> Any:
    import zarr

    return zarr.open_array(f"s3://{BUCKET}/array", mode="r", storage_options=s3_options(s3))


def read_array(array: Any, number: int) -> bytes:
    found: bytes = array[number * data.ITEMS : (number + 1) * data.ITEMS].tobytes()
    return found


def open_s3(s3: str, http: str) -> Any:
    import fsspec

    return fsspec.filesystem("s3", **s3_options(s3))


def read_s3(fs: Any, number: int) -> bytes:
    start = number * data.CHUNK_BYTES
    found: bytes = fs.cat_file(f"{BUCKET}/data.bin", start=start, end=start + data.CHUNK_BYTES)
    return found


def open_file(s3: str, http: str) -> Any:
    return open_s3(s3, http).open(f"{BUCKET}/data.bin", "rb", block_size=2**20)


def read_file(file: Any, number: int) -> bytes:
    file.seek(number * data.CHUNK_BYTES)
    found: bytes = file.read(data.CHUNK_BYTES)
    return found


def open_mapper(s3: str, http: str) -> Any:
    return open_s3(s3, http).get_mapper(f"{BUCKET}/chunks")


def read_mapper(mapper: Any, number: int) -> bytes:
    found: bytes = mapper[f"{number}"]
    return found


def open_http_file(s3: str, http: str) -> Any:
    import fsspec

    return fsspec.filesystem("http").open(f"{http}/data.bin", "rb", block_size=2**20)


class Site:
    """An HTTP filesystem and the URL it is asked for: one handle, picklable."""

    def __init__(self, root: str) -> None:
        import fsspec

        self.fs = fsspec.filesystem("http")
        self.url = f"{root}/data.bin"

    def read(self, number: int) -> bytes:
        start = number * data.CHUNK_BYTES
        return self.fs.cat_file(self.url, start=start, end=start + data.CHUNK_BYTES)


WAYS = {
    "array": Way("zarr array on S3", open_array, read_array),
    "s3fs": Way("s3fs instance", open_s3, read_s3),
    "file": Way("open S3 file", open_file, read_file),
    "mapper": Way("FSMap on S3", open_mapper, read_mapper),
    "http-file": Way("open HTTP file", open_http_file, read_file),
    "http": Way("HTTP instance", lambda s3, http: Site(http), Site.read),
}


def write_data(s3: str, folder: Path) -> None:
    """Put the data where the ways find it: as an array, an object, small objects, and a file."""
    import zarr

    import fsspec

    (folder / "data.bin").write_bytes(data.everything())
    fs = fsspec.filesystem("s3", **s3_options(s3))
    fs.mkdir(BUCKET)
    fs.pipe_file(f"{BUCKET}/data.bin", data.everything())
    fs.pipe({f"{BUCKET}/chunks/{n}": data.chunk_bytes(n) for n in range(data.CHUNKS)})
    array = zarr.create_array(
        f"s3://{BUCKET}/array",
        storage_options=s3_options(s3),
        shape=(data.CHUNKS * data.ITEMS,),
        chunks=(data.ITEMS,),
        dtype="uint32",
        compressors=None,
    )
    for number in range(data.CHUNKS):
        array[number * data.ITEMS : (number + 1) * data.ITEMS] = data.chunk(number)
