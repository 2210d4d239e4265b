"""Who owns what after a fork, as a table: object x event x mode -> outcome.

The guide's table is drawn from it (``docs/generated.py``), and `test_ownership` executes each cell.
An object is in a group, whose objects cross one fork together, and has a subject (`owning.SUBJECTS`) that
makes it and knows how to tell that it works. It is of a kind, which gives an outcome for each event: one
for all modes, or one for each of `MODES`.
"""

from __future__ import annotations

MODES = ("opted", "by hand", "neither")

EVENTS = {
    "used": "used, twice",
    "dropped": "let go of and collected",
    "closed": "closed, or its session",
    "pickled": "pickled, and the copy used",
    "cancelled": "a request of its is cancelled; then it is used",
    "os._exit": "the child leaves by ``os._exit``",
    "sys.exit": "by ``sys.exit``",
    "falls off the end": "by the end of the program",
    "exception": "by an exception that nobody catches",
    "killed": "by SIGKILL",
    "exec": "or becomes another program",
}
ENDS = ("os._exit", "sys.exit", "falls off the end", "exception", "killed", "exec")

OUTCOMES = {
    "works": "right to the last byte, with resources of the child's own",
    "ForkError": "refused at once, as often as it is tried",
    "nothing": "nothing is sent, changed, removed or said, and another program is given no connection",
    "own copy": "what is the child's own ends, silently",
    "anew": "asked for again it is the child's own; the inherited one is closed, or remains the parent's",
    "no pickle": "it cannot be pickled, in no process",
    "none": "there is nothing to cancel, or to close",
}

_REVIVED = ("works", "works", "ForkError")
_CLOSED = ("own copy", "own copy", "ForkError")
_Row = dict[str, "str | tuple[str, str, str]"]


def _kind(used: str | tuple[str, str, str], **others: str | tuple[str, str, str]) -> _Row:
    """A row; by default it is pickled in every mode, and what is cancelled is as if it were not."""
    row: _Row = {
        "used": used,
        "dropped": "nothing",
        "closed": "own copy",
        "pickled": "works",
        "cancelled": used,
    }
    return {**row, **others, **dict.fromkeys(ENDS, "nothing")}


KINDS: dict[str, _Row] = {
    "instance": _kind(_REVIVED, closed=_CLOSED),
    "awaited": _kind(_REVIVED, closed="none"),
    "blocking instance": _kind(_REVIVED, closed=_CLOSED, cancelled="none"),
    "blocking instance that is not closed": _kind(_REVIVED, closed="none", cancelled="none"),
    "reader": _kind(_REVIVED),
    "blocking reader": _kind(_REVIVED, cancelled="none"),
    "everything at hand": _kind("works", cancelled=_REVIVED),
    "stream": _kind("ForkError"),
    "layers over a connection": _kind(_REVIVED, pickled="no pickle", cancelled="none"),
    "no connection": _kind("works", cancelled="none"),
    "layers": _kind("works", pickled="no pickle", cancelled="none"),
    "writer": _kind("ForkError", pickled="no pickle", cancelled="none"),
    "transaction over a connection": _kind(
        "ForkError", closed=_CLOSED, pickled="no pickle", cancelled="none"
    ),
    "inner": _kind("anew", pickled="no pickle", cancelled="none"),
}

OBJECTS: dict[str, tuple[str, str, str]] = {
    # object: group, subject, kind
    "instance (http)": ("http", "http", "instance"),
    "instance over TLS (https)": ("http", "witness", "instance"),
    "asynchronous instance (http)": ("http", "http awaited", "awaited"),
    "mapper (http)": ("http", "mapper", "reader"),
    "OpenFile (http)": ("http", "OpenFile", "reader"),
    "OpenFiles, entered (http)": ("http", "OpenFiles", "reader"),
    "open file, cache bytes (http)": ("http", "http file", "reader"),
    "open file, cache readahead (http)": ("http", "http file readahead", "reader"),
    "open file, cache blockcache (http)": ("http", "http file blockcache", "reader"),
    "open file, cache background (http)": ("http", "http file background", "reader"),
    "open file, cache mmap (http)": ("http", "http file mmap", "reader"),
    "open file, cache first (http)": ("http", "http file first", "reader"),
    "open file, cache none (http)": ("http", "http file none", "reader"),
    "open file, cache all (http)": ("http", "http file all", "everything at hand"),
    "streaming file (http)": ("http", "http stream", "stream"),
    "text over a decompressor (http)": ("http", "http text", "layers over a connection"),
    "loop": ("http", "loop", "inner"),
    "lock": ("http", "lock", "inner"),
    "blocking instance (requests)": ("s3", "requests", "blocking instance"),  # takes http over, where it is
    "instance (s3fs)": ("s3", "s3", "instance"),
    "asynchronous instance (s3fs)": ("s3", "s3 awaited", "awaited"),
    "mapper (s3fs)": ("s3", "s3 mapper", "reader"),
    "open file, cache readahead (s3fs)": ("s3", "s3 file", "reader"),
    "open file, cache background (s3fs)": ("s3", "s3 file background", "reader"),
    "file being written at once (s3fs)": ("s3", "s3 writing", "writer"),
    "upload in parts (s3fs)": ("s3", "s3 parts", "writer"),
    "upload to be committed (s3fs)": ("s3", "s3 pending", "writer"),
    "transaction (s3fs)": ("s3", "s3 transaction", "transaction over a connection"),
    "instance (local)": ("local", "local", "no connection"),
    "open file (local)": ("local", "local file", "no connection"),
    "text over a decompressor (local)": ("local", "text", "layers"),
    "file being written (local)": ("local", "local writing", "writer"),
    "file being appended to (local)": ("local", "local appending", "writer"),
    "text over a compressor, being written (local)": ("local", "local text", "writer"),
    "file to be committed (local)": ("local", "local pending", "writer"),
    "transaction (local)": ("local", "local transaction", "writer"),
    "cache folder (simplecache over http)": ("local", "cache folder", "reader"),
    "open file (simplecache over http)": ("local", "cached copy", "no connection"),
    "open file (blockcache over http)": ("local", "blockcache file", "reader"),
    "archive (zip)": ("local", "zip", "no connection"),
    "archive (zip over http)": ("local", "zip over http", "blocking reader"),
    "open member (zip)": ("local", "zip file", "no connection"),
    "open member (tar)": ("local", "tar file", "no connection"),
    "references (over http)": ("local", "reference", "reader"),
    "instance (ftp)": ("remote", "ftp", "blocking instance"),
    "open file (ftp)": ("remote", "ftp file", "blocking reader"),
    "file being written (ftp)": ("remote", "ftp writing", "writer"),
    "instance (sftp)": ("remote", "sftp", "blocking instance"),
    "open file (sftp)": ("remote", "sftp file", "blocking reader"),
    "file being written (sftp)": ("remote", "sftp writing", "writer"),
    "instance (smb)": ("remote", "smb", "blocking instance that is not closed"),
    "open file (smb)": ("remote", "smb file", "blocking reader"),
    "file being written (smb)": ("remote", "smb writing", "writer"),
    "instance (webhdfs)": ("remote", "webhdfs", "blocking instance"),
    "open file (webhdfs)": ("remote", "httpfs file", "blocking reader"),
}

GROUPS = tuple(dict.fromkeys(group for group, _, _ in OBJECTS.values()))


def cells(kind: str) -> dict[str, tuple[str, str, str]]:
    """The outcomes of a kind by event, one for each of `MODES`; KeyError where a cell is not filled in."""
    found = {}
    for event in EVENTS:
        outcome = KINDS[kind][event]
        each = (outcome, outcome, outcome) if isinstance(outcome, str) else outcome
        assert len(each) == len(MODES) and all(one in OUTCOMES for one in each), (kind, event)
        found[event] = each
    return found
