"""The snappy framing format as a file, read from or written to another one in order."""

from __future__ import annotations

from typing import IO, Any

from fsspec._buffered import AbstractBufferedFile


class SnappyFile(AbstractBufferedFile):
    """A stream of snappy frames; it cannot be sought in.

    Parameters
    ----------
    infile
        an open binary file with the compressed bytes.
    mode
        "rb" or "wb".
    """

    def __init__(self, infile: IO[bytes], mode: str, **kwargs: Any) -> None:
        import snappy

        super().__init__(fs=None, path="snappy", mode=mode.strip("b") + "b", size=999999999, **kwargs)
        self.infile = infile
        self.codec = snappy.StreamDecompressor() if "r" in mode else snappy.StreamCompressor()

    def _upload_chunk(self, final: bool = False) -> bool:
        self.buffer.seek(0)
        self.infile.write(self.codec.add_chunk(self.buffer.read()))
        return True

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The next bytes, whatever the positions: there is only one order."""
        data = self.infile.read(end - start)
        return self.codec.decompress(data) if data else b""

    def seek(self, loc: int, whence: int = 0) -> int:
        raise NotImplementedError("a snappy stream cannot be sought in")

    def seekable(self) -> bool:
        return False
