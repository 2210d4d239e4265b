"""The framing format of snappy as a file, over another file and in order only.

Reading does not use the cache of `AbstractBufferedFile`: the size is known at the end
only, and what was read cannot be read again.  What is decompressed and not yet read is kept here.
"""

from __future__ import annotations

from typing import IO, Any, cast

from fsspec._files.buffered import AbstractBufferedFile


class SnappyFile(AbstractBufferedFile):
    """A stream of snappy frames.

    Parameters
    ----------
    infile
        an open binary file with the compressed bytes; left open
    mode
        "rb" or "wb"
    **kwargs
        as for `AbstractBufferedFile`; ``block_size`` is that of reading from ``infile``

    Raises
    ------
    ImportError
        if python-snappy is not installed
    """

    def __init__(self, infile: IO[bytes], mode: str, **kwargs: Any) -> None:
        import snappy

        kwargs.update(size=0, cache_type="none")
        fs: Any = None  # there is none
        super().__init__(fs, "snappy", mode.strip("b") + "b", **kwargs)
        self.size = None
        self.infile = infile
        self.codec: Any = snappy.StreamDecompressor() if self.mode == "rb" else snappy.StreamCompressor()
        self._decoded_ahead = bytearray()

    def _upload_chunk(self, final: bool = False) -> bool:
        """Write what waits, compressed."""
        self.buffer.seek(0)
        self.infile.write(self.codec.add_chunk(self.buffer.read()))
        return True

    def close(self) -> None:
        """Write what waits. The reference to the underlying file is dropped, which closes it if nothing else
        holds it."""
        writing = self.mode != "rb"
        super().close()
        if writing:
            self.infile = cast("IO[bytes]", None)

    def _fetch_range(self, start: int, end: int) -> bytes:
        """The next bytes, as many as there are between the two positions."""
        return self.read(end - start)

    def _decompress_more(self) -> bool:
        data = self.infile.read(self.blocksize)
        if data:
            self._decoded_ahead += self.codec.decompress(data)
        elif getattr(self.codec, "remains", None):  # what its last call had no use for yet
            raise EOFError("the snappy stream ends within a frame")
        return bool(data)

    def _take_decoded(self, length: int) -> bytes:
        out = bytes(memoryview(self._decoded_ahead)[:length])
        del self._decoded_ahead[:length]
        self.loc += len(out)
        return out

    def read(self, length: int | None = -1) -> bytes:
        """Up to ``length`` bytes, fewer only at the end; all that is left if negative or None.

        Raises EOFError if the data ends within a frame.
        """
        self._fsspec_check_readable()
        everything = length is None or length < 0
        while everything or len(self._decoded_ahead) < length:  # type: ignore[operator]  # is a number
            if not self._decompress_more():
                break
        decoded = len(self._decoded_ahead)
        return self._take_decoded(decoded if everything else length)  # type: ignore[arg-type]  # as above

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """Bytes up to and including a separator, or all that is left if it does not occur."""
        self._fsspec_check_readable()
        searched = 0
        while (at := self._decoded_ahead.find(char, max(searched - len(char) + 1, 0))) < 0:
            searched = len(self._decoded_ahead)
            if not self._decompress_more():
                return self._take_decoded(searched)
        return self._take_decoded(at + len(char))

    def seek(self, loc: int, whence: int = 0) -> int:
        """Impossible."""
        raise NotImplementedError("a snappy stream is read and written in order, without seeking")

    def seekable(self) -> bool:
        """Never."""
        return False
