"""What messages, reports and options may show: secrets are known by name, and by their place in URLs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_SECRETS = frozenset(
    "auth authorization cookie cookies credential credentials header headers key pass passphrase passwd"
    " password pkey pwd sas secret sig signature tok token".split()
)
_NAMES = frozenset({"connection_string"})
_MAY_BE_SECRET = re.compile(
    r"pass|secret|token|key|auth|cred|sas|sign|connection_string|header|cookie|session", re.IGNORECASE
)

_QUERY = re.compile(r"\?(?=\S*\w)\S+")  # not what ends a sentence


def is_secret(name: object) -> bool:
    """Whether an option of that name may hold what should not be shown or stored. The last word of the name
    decides: ``account_key`` is one, ``key_filename`` is not."""
    if not isinstance(name, str):
        return False
    plain = name.lower().replace("-", "_")
    return plain in _NAMES or plain.rpartition("_")[2] in _SECRETS


def redact_options(value: object, name: str = "") -> object:
    """Options for a report, where too much hidden does no harm: names that only sound like secrets count."""
    if isinstance(value, dict):
        return {key: redact_options(inner, str(key)) for key, inner in value.items()}
    if _MAY_BE_SECRET.search(name):
        return "(hidden)"
    if isinstance(value, str):
        return re.sub(r"[^/\s'\"]*:[^/@\s]*@", "(hidden)@", _QUERY.sub("?(hidden)", value))
    return value


_LINKS = re.compile(r"::(?=[A-Za-z][\w+.-]*:[/:])")  # of a chain; not within an address of IPv6


def redact_url(url: object) -> str:
    """A URL, or a chain of them, as messages may show it: without credentials, nor the values of queries."""
    text = str(url)
    if "@" not in text and "?" not in text and "#" not in text:
        return text
    return "::".join(map(_redact_link, _LINKS.split(text)))


def _redact_link(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:  # not a URL; still no reason to show what may be a secret
        return text.partition("?")[0]
    if not parts.scheme or "//" not in text[: len(parts.scheme) + 3]:
        return text
    words = parts.query.split("&") if parts.query else []
    query = "&".join(f"{word.partition('=')[0]}=..." if "=" in word else "..." for word in words)
    fragment = parts.fragment
    if parts.scheme in ("http", "https"):  # "#access_token=" of those who sign in; elsewhere part of a name
        fragment = _FRAGMENT_VALUES.sub("=...", fragment)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment=fragment))


def redact_paths(paths: object) -> Any:
    """A path or a list of them, as what an error is raised with; paths without secrets stay as they are."""
    if isinstance(paths, list):
        return [redact_paths(path) for path in paths]
    return redact_url(paths) if isinstance(paths, str) else paths


_FRAGMENT_VALUES = re.compile("=[^&]+")
_QUERY_VALUES = re.compile(r"""([?&;#][^=&\s'"<>()]*=)[^&\s'"<>()]+""")
_QUERY_WORD = re.compile(r"""(://[^\s?#'"<>()]*\?)(?=[^\s'"<>():]*\w)[^=\s'"<>():]+(?![^\s'"<>():])""")
_CREDENTIALS = re.compile(r"""(://)[^/?#\s'"]+@""")


def redact_text(text: str) -> str:
    """A text of another package as messages may show it: its URLs as `redact_url` has them."""
    return without_credentials(_redact_queries(text))


def without_credentials(text: str) -> str:
    """A text without what is before the host in its URLs."""
    return _CREDENTIALS.sub(r"\1", text)


def _redact_queries(text: str) -> str:
    return _QUERY_WORD.sub(r"\1...", _QUERY_VALUES.sub(r"\1...", text))


_PASSWORD = re.compile(r"""(://[^/?#\s:@]*):[^/?#\s]*@""")
_QUERY_PAIR = re.compile(r"([?&;])([^=&;#\s]*)=[^&;#\s:]+")


def without_passwords(url: str) -> str:
    """A URL, or a chain of them, as an option that is stored without secrets: it has no password, and no
    values of what its query names like a secret (``sig``, ``X-Amz-Signature``, ``token``)."""
    url = _PASSWORD.sub(r"\1@", url)
    return _QUERY_PAIR.sub(lambda pair: f"{pair[1]}{pair[2]}=" if is_secret(pair[2]) else pair[0], url)


_ADDRESS = re.compile(r"https?://[^@?]*")


def redact_values(text: str, options: object) -> str:
    """``text`` without what the options hold, addresses apart, or in URLs passwords and values of queries."""
    text = _PASSWORD.sub(r"\1:***@", _redact_queries(text))
    if isinstance(options, dict):
        options = list(options.values())
    if isinstance(options, (list, tuple)):
        for value in options:
            text = redact_values(text, value)
    elif isinstance(options, str) and options and not _ADDRESS.fullmatch(options):
        text = re.sub(
            rf"(?<!\w){re.escape(options)}(?!\w)" if len(options) < 6 else re.escape(options), "***", text
        )
    return text
