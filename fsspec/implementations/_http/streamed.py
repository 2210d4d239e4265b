"""A response that is read on like a file, from its beginning to its end, by either client."""

from __future__ import annotations

from fsspec._paths.redaction import redact_url


class ReadOn:
    """The methods of a file that can only be read forward. A client brings `_fill`. ``_left``: bytes that
    came and were not returned yet."""

    url: str
    loc: int
    _left: bytes

    def _fill(self, num: int | None, most: int | None = None) -> None:
        """Have ``num`` bytes in ``_left``, all that come if None; what is asked for is ``most`` at least."""
        raise NotImplementedError

    def _give(self, num: int) -> bytes:
        data, self._left = self._left[:num], self._left[num:]
        self.loc += len(data)
        return data

    def read(self, num: int | None = -1) -> bytes:
        """Read on. Raises OSError: the response ended before its time. Raises ForkError: the file was opened
        in the process that this one was forked from."""
        wanted = None if num is None or num < 0 else num
        self._fill(wanted)
        return self._give(len(self._left) if wanted is None else wanted)

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """Read on up to and with the next ``char``, or to the end."""
        self._fill(0)  # a closed file gives nothing of what it has
        searched = 0
        while (found := self._left.find(char, searched)) < 0:
            before = len(self._left)
            searched = max(0, before - len(char) + 1)
            self._fill(before + 1, blocks)
            if len(self._left) == before:
                return self._give(before)
        return self._give(found + len(char))

    def readline(self, size: int | None = -1) -> bytes:
        """Read on to the end of the line, or ``size`` bytes of it."""
        line = self.readuntil()
        if size is None or not 0 <= size < len(line):
            return line
        self.loc -= len(line) - size
        self._left = line[size:] + self._left
        return line[:size]

    def seekable(self) -> bool:
        """False: it is read as it arrives."""
        return False

    def seek(self, loc: int, whence: int = 0) -> int:
        """Only to where the file is already. Raises ValueError for any other place."""
        if (loc, whence) == (0, 1) or (loc, whence) == (self.loc, 0):
            return self.loc
        raise ValueError(
            f"{redact_url(self.url)} is read as it arrives; there is no way to another place in it"
        )
