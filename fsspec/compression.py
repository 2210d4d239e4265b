"""Compressed files: a codec by name, a name by extension.

`compr` maps a name to a function that wraps an open binary file.  Codecs are imported
when they are first used; those of packages that are not installed are not listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from fsspec.utils import compressions

__all__ = ["SnappyFile", "available_compressions", "compr", "noop_file", "register_compression"]


def noop_file(file: Any, mode: str, **kwargs: Any) -> Any:
    """The file itself: no compression."""
    return file


compr: dict[str | None, Callable[..., Any]] = {None: noop_file}


def register_compression(
    name: str, callback: Callable[..., Any], extensions: str | list[str], force: bool = False
) -> None:
    """Add a codec.

    Parameters
    ----------
    name
        what users call it.
    callback
        called with an open binary file and ``mode``, "rb" or "wb"; returns a file.
    extensions
        of file names, without the dot, that it is inferred from.
    force
        replace what is there under the name or an extension.
    """
    endings = [extensions] if isinstance(extensions, str) else list(extensions)
    if name in compr and not force:
        raise ValueError(f"there is a compression {name!r} already; force=True replaces it")
    for ending in endings:
        if ending in compressions and not force:
            raise ValueError(f"the extension {ending!r} stands for {compressions[ending]!r} already")
    compr[name] = callback
    compressions.update((ending, name) for ending in endings)


def available_compressions() -> list[str | None]:
    """The names of the codecs that can be used here; None stands for no compression."""
    return list(compr)


def unzip(infile: IO[bytes], mode: str = "rb", filename: str | None = None, **kwargs: Any) -> Any:
    """One member of a zip archive, as a file.

    Parameters
    ----------
    filename
        the member; by default the first one, or "file" when writing.
    """
    import zipfile

    if "r" in mode:
        archive = zipfile.ZipFile(infile)
        names = archive.namelist()
        if filename is None and not names:
            raise FileNotFoundError("the zip archive has no members to read")
        return archive.open(filename or names[0], mode="r", **kwargs)
    archive = zipfile.ZipFile(infile, mode="w")
    member = archive.open(filename or "file", mode="w", **kwargs)
    end_member = member.close

    def close() -> None:
        end_member()
        archive.close()

    member.close = close  # type: ignore[method-assign]
    return member


def _gzip(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=f, mode=mode, **kwargs)


def _bz2(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> Any:
    import bz2

    return bz2.BZ2File(f, mode=mode, **kwargs)  # type: ignore[call-overload]


def _lzma(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> Any:
    import lzma

    return lzma.LZMAFile(f, mode=mode, **kwargs)  # type: ignore[arg-type]


def _lz4(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> Any:
    import lz4.frame

    return lz4.frame.open(f, mode=mode, **kwargs)


def zstandard_file(infile: IO[bytes], mode: str = "rb") -> Any:
    """A file in the zstandard format, by the standard library or one of two packages."""
    for name in ("compression.zstd", "backports.zstd"):
        if _installed(name):
            from importlib import import_module

            return import_module(name).ZstdFile(infile, mode=mode)
    import zstandard

    if "r" in mode:
        return zstandard.ZstdDecompressor().stream_reader(infile)
    return zstandard.ZstdCompressor(level=10).stream_writer(infile)


def _snappy(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> Any:
    from fsspec._snappy import SnappyFile

    return SnappyFile(f, mode, **kwargs)


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


register_compression("zip", unzip, "zip")
register_compression("gzip", _gzip, "gz")
register_compression("bz2", _bz2, "bz2")
register_compression("lzma", _lzma, "lzma")
register_compression("xz", _lzma, "xz")
if _installed("snappy"):
    register_compression("snappy", _snappy, [])
if _installed("lz4"):
    register_compression("lz4", _lz4, "lz4")
if any(map(_installed, ("compression.zstd", "backports.zstd", "zstandard"))):
    register_compression("zstd", zstandard_file, "zst")


def __getattr__(name: str) -> Any:
    # it is made of a class of a room further down
    if name == "SnappyFile":
        from fsspec._snappy import SnappyFile

        return SnappyFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
