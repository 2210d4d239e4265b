class ArchiveError(Exception):
    msg: str | bytes
