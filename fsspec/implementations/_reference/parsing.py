"""What one reference says, and how it fails.

A reference is a text or bytes (the contents themselves; what begins with ``base64:``
is decoded), an object (its JSON text is the contents), or a part of another file: a list
of its URL alone, for all of it, or of URL, offset and length.

Values only; nothing here does I/O.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from fsspec._paths.redaction import redact_text, redact_url

if TYPE_CHECKING:
    from collections.abc import Sequence


_MARK = b"base64:"
_LENGTH_SHOWN = 60  # characters of a value in a message


class ReferenceNotReachable(RuntimeError):
    """The target of a reference could not be read as the reference says.

    Parameters
    ----------
    reference
        the key
    target
        the URL it refers to
    *args
        what is known of the reason

    Attributes
    ----------
    reference, target
        as above; what the target's filesystem raised is the ``__cause__``
    """

    def __init__(self, reference: str, target: str | None, *args: Any) -> None:
        super().__init__(*args)
        self.reference = reference
        self.target = target

    def __str__(self) -> str:
        reasons = "".join(f": {reason}" for reason in self.args)
        return f"the target {redact_url(self.target)} of reference {self.reference!r} cannot be read{reasons}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reference, self.target, *self.args)


class MissingTargetError(FileNotFoundError, ReferenceNotReachable):
    """The target does not exist, and a file was asked for: by `open`, or by `info` of a target as a whole.

    `cat` and mappers, which read keys, raise plain `ReferenceNotReachable`: to them a file that is not found
    is a key without a value, and the key has one.
    """

    def __init__(self, reference: str, target: str | None, *args: Any) -> None:
        ReferenceNotReachable.__init__(self, reference, target, *args)

    __reduce__ = ReferenceNotReachable.__reduce__
    __str__ = ReferenceNotReachable.__str__


class Part(NamedTuple):
    """A part of another file; ``start`` and ``end`` are None for all of it."""

    url: str
    start: int | None
    end: int | None

    @property
    def length(self) -> int | None:
        """Bytes; None unless both ends are known."""
        return None if self.start is None or self.end is None else self.end - self.start


def without_buffer(value: Any) -> Any:
    """A memoryview, or a buffer of zarr, as bytes; anything else as it is."""
    if isinstance(value, memoryview):
        return bytes(value)
    return value.to_bytes() if hasattr(value, "to_bytes") and not isinstance(value, int) else value


def parsed(key: str, value: object, target: str | None) -> bytes | Part:
    """What a reference says: contents, or where they are. ``key``, ``value``: the reference. ``target``: the
    URL that stands for one that is None. Raises ValueError if it is none of the forms that there are."""
    if type(value) is list or type(value) is tuple:
        return _parsed_part(key, value, target)
    if isinstance(value, (bytes, str)):
        return _from_text(key, value)
    if isinstance(value, dict):
        return object_text(key, value).encode()
    if isinstance(value, (bytearray, memoryview)):
        return _from_text(key, bytes(value))
    if isinstance(value, (list, tuple)):
        return _parsed_part(key, value, target)
    raise ValueError(
        f"reference {key!r} is {_shortened(value)}; a text, bytes, an object, [url] or [url, offset, length] "
        "are what it can be"
    )


def _parsed_part(key: str, value: Sequence[Any], target: str | None) -> Part:
    if len(value) not in (1, 3):
        raise ValueError(f"reference {key!r} is {_shortened(value)}, neither [url] nor [url, offset, length]")
    url = value[0]
    if url is None:
        url = target
        if url is None:
            raise ValueError(
                f"reference {key!r} names no target, and its filesystem was made without target=, "
                "which would be the URL of it"
            )
    elif not isinstance(url, str):
        raise ValueError(f"the target of reference {key!r} is {_shortened(url)}, not a URL")
    if len(value) == 1:
        return Part(url, None, None)
    try:
        offset, length = index(value[1]), index(value[2])
    except TypeError:
        offset = length = -1
    if offset < 0 or length < 0:
        raise ValueError(
            f"reference {key!r} to {redact_url(url)} has offset {value[1]!r} and length {value[2]!r}; "
            "both are numbers of bytes"
        )
    return Part(url, offset, offset + length)


def _from_text(key: str, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if not data.startswith(_MARK):
        return data
    try:
        return b64decode(data[len(_MARK) :], validate=True)
    except ValueError as error:
        raise ValueError(f"the base64 text of reference {key!r} cannot be decoded: {error}") from error


def size_of(key: str, value: object) -> int | None:
    """The bytes of a reference without asking anybody; None for all of another file."""
    if (type(value) is list or type(value) is tuple) and len(value) == 3:
        length = value[2]
        if type(length) is not int or length < 0:
            _parsed_part(key, value, "")
        return int(length)
    reference = parsed(key, value, "")
    return len(reference) if isinstance(reference, bytes) else None


def literal(data: bytes) -> bytes:
    """The reference whose contents are these bytes."""
    return _MARK + b64encode(data) if data.startswith(_MARK) else data


def object_text(key: str, value: object) -> str:
    """The JSON text of an object. Raises ValueError if JSON has no form for it; it names the reference."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the object of reference {key!r} has no JSON text: {error}") from error


def as_text(key: str, value: object) -> object:
    """The form of a reference in a JSON document; reading that gives the same contents. Raises ValueError if
    it is not a reference; it names the key."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return (_MARK + b64encode(raw)).decode()
    if isinstance(value, (list, tuple)):
        try:
            return [item if item is None or isinstance(item, str) else index(item) for item in value]
        except TypeError as error:
            raise ValueError(f"reference {key!r} is {_shortened(value)}, which is none") from error
    if isinstance(value, dict):
        return object_text(key, value)
    return value


def _shortened(value: object) -> str:
    text = redact_text(repr(value))
    return text if len(text) <= _LENGTH_SHOWN else f"{text[:_LENGTH_SHOWN]}..."
