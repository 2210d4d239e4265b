"""What FTP servers say: listings in their several forms, and refusals.

Text in, values out; nothing here has a connection.
"""

from __future__ import annotations

import errno
import ftplib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from fsspec.implementations._remote import refusals

_UNIX = re.compile(
    r"(?P<mode>[-bcdlps][-rwxsStTlL]{9})[.+@]?\s+(?:\d+\s+)?"
    r"(?P<owner>\S+)\s+(?:(?P<group>\S+)\s+)?(?P<size>\d+)\s+"
    r"(?P<modify>[^\W\d]{3,}\.?\s+\d{1,2}\s+[\d:]{4,5}|\d{4}-\d\d-\d\d\s+[\d:]+)\s(?P<name>.+)"
)
_DOS = re.compile(
    r"(?P<modify>\d\d-\d\d-\d{2,4}\s+\d\d:\d\d\s*(?:[AP]M)?)\s+"
    r"(?:(?P<dir><DIR>)|(?P<size>[\d,.]+))\s+(?P<name>.+)",
    re.IGNORECASE,
)
_TYPES = {"dir": "directory", "cdir": "directory", "pdir": "directory", "file": "file"}
_KINDS = {"d": "directory", "-": "file", "l": "link"}


def facts(line: str) -> tuple[str, dict[str, Any]]:
    """Name and entry of a line of MLSD or MLST; the type that it gives stays under ``mlsx``."""
    text, _, name = line.lstrip(" ").partition(" ")
    entry: dict[str, Any] = {}
    for fact in filter(None, text.split(";")):
        key, _, value = fact.partition("=")
        entry[key.lower()] = value
    kind = entry.get("type", "file").lower()
    link = kind.startswith("os.unix=s")
    entry["type"] = "link" if link else _TYPES.get(kind, "other")
    size = str(entry.get("size", entry.pop("sizd", "")))
    known = size.isascii() and size.isdigit()
    entry["size"] = int(size) if known else None if entry["type"] == "file" else 0
    if entry["type"] == "directory":
        entry["size"] = 0
    if kind in ("cdir", "pdir"):
        entry["itself"] = True
    return name, entry


def utc_time(value: object) -> datetime | None:
    """The time of a fact, or of a reply to MDTM, which are in UTC; None for anything else, such as the times
    of LIST."""
    text = str(value)
    if not re.fullmatch(r"\d{14}(\.\d+)?", text, re.ASCII):
        return None
    try:
        whole = datetime.strptime(text[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return whole.replace(microsecond=int(text[15:21].ljust(6, "0")), tzinfo=timezone.utc)


def listed(line: str) -> tuple[str, dict[str, Any]] | None:
    """Name and entry of a line of LIST, as Unix or Windows servers write it; None for other lines."""
    match = _UNIX.fullmatch(line)
    if match is not None:
        mode, name = match["mode"], match["name"]
        kind = _KINDS.get(mode[0], "other")
        entry: dict[str, Any] = {
            "modify": " ".join(match["modify"].split()),
            "unix.owner": match["owner"],
            "unix.group": match["group"],
            "unix.mode": mode,
            "size": 0 if kind == "directory" else int(match["size"]),
            "type": kind,
        }
        if kind == "link":  # a listing does not show to what; the size is the length of the path in it
            entry["type"] = "file"
            name, _, entry["destination"] = name.partition(" -> ")
        return name, entry
    match = _DOS.fullmatch(line)
    if match is None:
        return None
    size = 0 if match["dir"] else int(re.sub("[,.]", "", match["size"]))
    return match["name"], {
        "modify": " ".join(match["modify"].split()),
        "size": size,
        "type": "directory" if match["dir"] else "file",
    }


def children(found: Iterator[tuple[str, dict[str, Any]] | None], folder: str) -> list[dict[str, Any]]:
    """The entries of a folder, with whole paths; neither itself nor what lies outside of it."""
    entries = []
    for pair in found:
        if pair is None:
            continue
        name, entry = pair
        # some servers write the path of what they list
        name = name.rstrip("/").rpartition("/")[2]
        if name in ("", ".", "..") or entry.pop("itself", False):
            continue
        entries.append({**entry, "name": f"{folder.rstrip('/')}/{name}"})
    return entries


class BelowFileError(NotADirectoryError, FileNotFoundError):
    """A path below a file: the error is the one that programs expect for a missing file."""


_ERRORS_BY_TEXT: tuple[tuple[str, type[OSError], int], ...] = (
    (r"not empty", OSError, errno.ENOTEMPTY),
    (r"no such|not found|n[o']t exist|cannot find|can't find", FileNotFoundError, errno.ENOENT),
    (r"exists", FileExistsError, errno.EEXIST),
    (r"not a dir", BelowFileError, errno.ENOTDIR),
    (r"is a dir|not a (regular|plain) file", IsADirectoryError, errno.EISDIR),
    (r"denied|permitted|privilege|permission|forbidden|read.only", PermissionError, errno.EACCES),
    (r"no space|quota|exceeded|insufficient", OSError, errno.ENOSPC),
)


def refused(kind: type[OSError], number: int, reply: str, path: str | None, why: str = "") -> OSError:
    """An error of ``kind`` that is an ``ftplib.error_perm``, or an ``error_temp`` for replies 4xx, too.

    ``number``: the ``errno``.
    ``reply``: the server's text, with its code.
    ``why``: what else there is to say.
    """
    library_kind = ftplib.error_temp if reply[:1] == "4" else ftplib.error_perm
    return refusals.refusal(
        kind, library_kind, number, f"{reply} ({why or 'refused by the FTP server'})", path
    )


def error_of_reply(reply: str, path: str) -> OSError | None:
    """The error that a reply stands for; None if it does not say which."""
    code, text = reply[:3], reply[3:].lower()
    if code in ("530", "532"):
        return refused(PermissionError, errno.EACCES, reply, path, "the FTP server wants a login")
    if code in ("552", "452"):
        return refused(OSError, errno.ENOSPC, reply, path, "the FTP server has no room")
    if code in ("550", "501", "553", "450", "521"):
        for pattern, kind, number in _ERRORS_BY_TEXT:
            if re.search(pattern, text):
                return refused(kind, number, reply, path)
        return None
    return refused(OSError, errno.EIO, reply, path)
