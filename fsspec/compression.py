"""Compressed files: a codec by name. Names by the extension of a file are in `_paths.urls`.

`compr` maps a name to a function that wraps an open binary file.  A codec is imported
when a file is first opened with it, so that knowing its name costs nothing.  Those that
need a package are known whether it is installed or not: opening a file then says which
package is missing, instead of handing out the compressed bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from io import BufferedReader, BytesIO, RawIOBase, UnsupportedOperation
from typing import IO, TYPE_CHECKING, Any

from fsspec._public import publish
from fsspec.utils import compressions

if TYPE_CHECKING:
    import bz2
    import gzip
    import lzma

    import lz4.frame
    from _typeshed import WriteableBuffer

    from fsspec._files.snappy import SnappyFile
    from fsspec._paths.types import T

__all__ = [
    "SnappyFile",
    "available_compressions",
    "compr",
    "noop_file",
    "register_compression",
    "unzip",
    "zstandard_file",
]

Codec = Callable[..., Any]


def noop_file(file: T, mode: str, **kwargs: Any) -> T:
    """The file itself."""
    return file


compr: dict[str | None, Codec] = {None: noop_file}
"""Called as ``codec(file, mode=mode, **options)``, with an open binary file."""

_needs: dict[Codec, tuple[str, ...]] = {}
"""For codecs that need a package: modules, any of which will do."""

_packages: dict[Codec, str] = {}
"""For these codecs: what to install."""


class MissingCodecError(ImportError, ValueError):
    """The package of a compression is not installed. It has two bases because programs catch either."""


def register_compression(
    name: str, callback: Codec, extensions: str | Iterable[str], force: bool = False
) -> None:
    """Add a codec.

    Parameters
    ----------
    name
        what it is called in ``compression=name``
    callback
        called with an open binary file and ``mode`` ("r" or "w"); returns a file whose ``close`` closes the
        one it was given
    extensions
        such as "gz": names of files that end so are taken to be compressed with it
    force
        replace what has the name or an extension already

    Raises
    ------
    ValueError
        if the name or an extension is taken
    TypeError
        if the callback cannot be called, or an extension is not text
    """
    given = [extensions] if isinstance(extensions, str) else list(extensions)
    if not all(isinstance(ending, str) for ending in given):
        raise TypeError(f"the extensions of the compression {name!r} are text, not {extensions!r}")
    endings = [ending.lstrip(".").lower() for ending in given]  # as they are looked up
    if not force:
        if name in compr:
            raise ValueError(f"there is a compression {name!r} already; force=True replaces it")
        for ending in endings:
            if ending in compressions:
                taken = compressions[ending]
                raise ValueError(f"the extension {ending!r} means {taken!r} already; force=True changes that")
    if not callable(callback):
        raise TypeError(f"the compression {name!r} needs a function that wraps a file, not {callback!r}")
    compr[name] = callback
    compressions.update(dict.fromkeys(endings, name))


def available_compressions() -> list[str | None]:
    """The names of the codecs that work here; the first, None, stands for no compression."""
    return [name for name, codec in compr.items() if _usable(codec)]


def _usable(codec: Codec) -> bool:
    try:
        modules = _needs.get(codec)
    except TypeError:  # no hash: not one of ours
        return True
    return modules is None or any(map(sys.modules.get, modules)) or any(map(_installed, modules))


def _installed(module: str) -> bool:
    from importlib.util import find_spec  # slow to import

    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it is in
        return False


def _missing_package(name: str | None, codec: Codec, error: ImportError | None = None) -> MissingCodecError:
    packages = _packages[codec]
    return MissingCodecError(
        f"Compression type {name} not supported: the compression {name!r} needs the package {packages}:"
        f" pip install {packages.split()[0]}{f' ({error})' if error else ''}"
    )


def check_installed(name: str | None) -> None:
    """Raise `MissingCodecError` for a compression whose package is not installed: before a file is opened,
    which would be emptied for it."""
    codec = compr[name]
    if not _usable(codec):
        raise _missing_package(name, codec)


def unzip(infile: IO[bytes], mode: str = "rb", filename: str | None = None, **kwargs: Any) -> IO[bytes]:
    """A member of a zip archive, as a file.

    Parameters
    ----------
    infile
        the archive; left open
    filename
        the member; when reading, by default the first, and when writing "file"

    Raises
    ------
    FileNotFoundError
        if the archive is to be read and has no members
    KeyError
        if it has none of that name
    """
    import zipfile

    if "r" in mode:
        archive = zipfile.ZipFile(infile)
        if filename is None:
            names = archive.namelist()
            if not names:
                raise FileNotFoundError("the zip archive has no members to read")
            filename = names[0]
        return archive.open(filename, mode="r", **kwargs)
    archive = zipfile.ZipFile(infile, mode="w")
    member = archive.open(filename or "file", mode="w", **kwargs)
    close_member = member.close

    def close() -> None:
        close_member()
        archive.close()  # writes the directory, without which there is no archive

    member.close = close  # type: ignore[method-assign]  # of this file alone
    return member


def _gzip(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> gzip.GzipFile:
    import gzip

    # the header names the file, which caches write under another name than it is kept by
    kwargs.setdefault("filename", getattr(f, "becomes", None))
    return gzip.GzipFile(fileobj=f, mode=mode, **kwargs)


def _bz2(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> bz2.BZ2File:
    import bz2

    return bz2.BZ2File(f, mode=mode, **kwargs)  # type: ignore[call-overload,no-any-return]  # any mode


def _lzma(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> lzma.LZMAFile:
    import lzma

    return lzma.LZMAFile(f, mode=mode, **kwargs)


def _lz4(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> lz4.frame.LZ4FrameFile:
    try:
        import lz4.frame
    except ImportError as e:
        raise _missing_package("lz4", _lz4, e) from e
    return lz4.frame.open(f, mode=mode, **kwargs)


def _snappy(f: IO[bytes], mode: str = "rb", **kwargs: Any) -> SnappyFile:
    from fsspec._files.snappy import SnappyFile

    try:
        return SnappyFile(f, mode, **kwargs)
    except ImportError as e:
        raise _missing_package("snappy", _snappy, e) from e


class _ZstdFile(BufferedReader):
    """Lines of `_ZstdFrames`; of those that go forward only, `seek` reads what lies between."""

    def seek(self, target: int, whence: int = 0, /) -> int:
        here = self.tell()
        if whence > 2:
            return here  # as in zstandard
        if self.seekable():
            return super().seek(target, whence)
        if whence == 1:
            target += here
        if whence == 2 or target < here:
            raise UnsupportedOperation("a stream of frames goes forward only: open it again to go back")
        while target > here and self.read(min(target - here, 2**16)):
            here = self.tell()
        return self.tell()


class _ZstdFrames(RawIOBase):
    """What zstandard frames hold, by the package of that name; going back starts over.

    To that package the end of its input is the end of the file, also within a frame. Therefore a frame of a
    known content follows the input: if that is not found at the end, the input was cut off.
    """

    _LAST = b"\0the frames end here\0" * 8  # its frame is shorter: taken for contents it is not this text

    def __init__(self, infile: IO[bytes]) -> None:
        self._infile = infile
        self._first = infile.tell() if self.seekable() else 0
        self._begin()

    def _begin(self) -> None:
        import zstandard

        self._broken = zstandard.ZstdError
        self._last = BytesIO(zstandard.compress(self._LAST))
        # a file may be several frames one after the other, as parallel compressors write it
        source: Any = self._Input(self)
        self._frames = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
        self._held, self._at = b"", 0

    class _Input:
        def __init__(self, frames: _ZstdFrames) -> None:
            self.infile, self.last = frames._infile, frames._last

        def read(self, size: int = -1) -> bytes:
            return self.infile.read(size) or self.last.read(size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        seekable = getattr(self._infile, "seekable", None)
        return seekable is not None and bool(seekable())

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        out = memoryview(buffer).cast("B")
        data = b""
        while not data and out.nbytes:
            try:
                more = self._frames.read(out.nbytes)
            except self._broken:
                if not self._last.tell():
                    raise
                more = b""
            if not more:
                if self._held != self._LAST:
                    raise EOFError("the zstandard stream ends within a frame")
                break
            data = self._held + more
            data, self._held = data[: -len(self._LAST)], data[-len(self._LAST) :]
        out[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, target: int, whence: int = 0, /) -> int:
        if whence == 2:
            while self.read(2**16):
                pass
        target += self._at if whence else 0
        if target < self._at:
            self._infile.seek(self._first)
            self._begin()
        while target > self._at and self.read(min(target - self._at, 2**16)):
            pass
        return self._at


_not_found: set[str] = set()
"""Modules that are not looked for again while another one does: that takes longer than a small file."""


def zstandard_file(infile: IO[bytes], mode: str = "rb") -> Any:
    """A file in the zstandard format.

    By the standard library (from Python 3.14), or else the package backports.zstd or
    zstandard.

    Raises
    ------
    ImportError
        if there is none of them
    """
    from importlib import import_module

    for name in ("compression.zstd", "backports.zstd"):
        if name in _not_found and sys.modules.get("zstandard"):
            continue
        try:
            zstd = import_module(name)
        except ImportError:
            _not_found.add(name)
            continue
        return zstd.ZstdFile(infile, mode=mode)
    try:
        import zstandard
    except ImportError as e:
        raise _missing_package("zstd", zstandard_file, e) from e
    if "r" in mode:
        return _ZstdFile(_ZstdFrames(infile), 2**17)
    return zstandard.ZstdCompressor(level=10).stream_writer(infile)


def __getattr__(name: str) -> Any:
    if name == "SnappyFile":  # made of a class that is loaded after this module
        from fsspec._files.snappy import SnappyFile

        publish(__name__, SnappyFile)
        return SnappyFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# their extensions are in the table already: see `_paths.urls`
compr.update(
    zip=unzip, bz2=_bz2, gzip=_gzip, lzma=_lzma, xz=_lzma, snappy=_snappy, lz4=_lz4, zstd=zstandard_file
)
_needs[_snappy] = ("snappy",)
_needs[_lz4] = ("lz4",)
_needs[zstandard_file] = ("compression.zstd", "backports.zstd", "zstandard")
_packages.update({_snappy: "python-snappy", _lz4: "lz4", zstandard_file: "zstandard or backports.zstd"})
