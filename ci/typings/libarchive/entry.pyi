from collections.abc import Iterator

class ArchiveEntry:
    pathname: str
    isdir: bool
    isfile: bool
    size: int | None
    mode: int
    uid: int
    gid: int
    ctime: int | float | None
    mtime: int | float | None

    def get_blocks(self, block_size: int = ...) -> Iterator[bytes]: ...
