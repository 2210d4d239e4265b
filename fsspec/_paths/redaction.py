"""Which options are secrets, by their names."""

from __future__ import annotations

_WORDS = frozenset(
    "auth authorization cookie cookies credential credentials header headers key pass passphrase passwd"
    " password pkey pwd sas secret token".split()
)
_NAMES = frozenset({"connection_string"})


def is_secret(name: object) -> bool:
    """Whether an option of that name may hold what should not be shown or stored.

    The last word of the name decides: ``account_key`` is one, ``key_filename`` is not.
    """
    if not isinstance(name, str):
        return False
    plain = name.lower().replace("-", "_")
    return plain in _NAMES or plain.rpartition("_")[2] in _WORDS
