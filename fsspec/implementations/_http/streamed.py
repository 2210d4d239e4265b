"""A response that is read on like a file, from its beginning to its end, by either client."""

from __future__ import annotations

from fsspec._paths.redaction import redact_url


class ForwardOnly:
    """The methods of a file that can only be read forward. A client brings `_fill_up`.

    ``_bytes_left``: those that came and were not returned yet.
    """

    url: str
    loc: int
    _bytes_left: bytes = b""

    def _fill_up(self, num: int | None, most: int | None = None) -> None:
        """Read until ``num`` bytes are in ``_bytes_left``, all that come if None; at least ``most`` are asked
        for."""
        raise NotImplementedError

    def _give_out(self, num: int) -> bytes:
        data, self._bytes_left = self._bytes_left[:num], self._bytes_left[num:]
        self.loc += len(data)
        return data

    def read(self, num: int | None = -1) -> bytes:
        """Read on. Raises OSError: the response ended before its time. Raises ForkError: the file was opened
        in the process that this one was forked from."""
        wanted = None if num is None or num < 0 else num
        self._fill_up(wanted)
        return self._give_out(len(self._bytes_left) if wanted is None else wanted)

    def readuntil(self, char: bytes = b"\n", blocks: int | None = None) -> bytes:
        """Read on up to and with the next ``char``, or to the end."""
        self._fill_up(0)  # a closed file gives nothing of what it has
        searched = 0
        while (found := self._bytes_left.find(char, searched)) < 0:
            before = len(self._bytes_left)
            searched = max(0, before - len(char) + 1)
            self._fill_up(before + 1, blocks)
            if len(self._bytes_left) == before:
                return self._give_out(before)
        return self._give_out(found + len(char))

    def readline(self, size: int | None = -1) -> bytes:
        """Read on to the end of the line, or ``size`` bytes of it."""
        line = self.readuntil()
        if size is None or not 0 <= size < len(line):
            return line
        self.loc -= len(line) - size
        self._bytes_left = line[size:] + self._bytes_left
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
