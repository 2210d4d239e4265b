"""Advice on errors of other packages, added to them as notes (Python 3.11 and newer).

The error and its text are not changed; a traceback shows the note below it. Only if a disk is full an
error that names no file is given its name.
"""

from __future__ import annotations

import errno
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from fsspec._paths.redaction import redact_url
from fsspec._similar import is_meant

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What writing fails with for lack of space; the system names no file then."""
_ADVICE = {
    "NoCredentialsError": (
        "fsspec: give key= and secret=, or anon=True for a public bucket (in storage_options= of pandas, zarr"
        " and dask, in inst_kwargs= of rsync as its help shows), or set AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; in a chain of URLs under the name of the link, as"
        ' s3={"key": ..., "secret": ...}'
    ),
    "PartialCredentialsError": (
        "fsspec: give both key= and secret=, or set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    "NoRegionError": 'fsspec: give client_kwargs={"region_name": ...}, or set AWS_DEFAULT_REGION',
    "InvalidRegionError": (
        'fsspec: give client_kwargs={"region_name": "eu-west-1"} or the like, or correct AWS_DEFAULT_REGION'
    ),
    "ProfileNotFound": (
        "fsspec: profile= and AWS_PROFILE name a section of ~/.aws/config or ~/.aws/credentials, or of the"
        " files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"
    ),
    "EndpointConnectionError": (
        'fsspec: the host is made of bucket and region: check client_kwargs={"region_name": ...} and'
        " AWS_DEFAULT_REGION, or give endpoint_url= for a store that is not Amazon's"
    ),
}
"""By the name of a class of ``botocore.exceptions``."""
_S3_NAMES = {
    "access_key": "key",
    "aws_access_key_id": "key",
    "aws_profile": "profile",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "profile_name": "profile",
    "secret_key": "secret",
    "session_token": "token",
}
"""The options of s3fs by the names of botocore and others."""
_S3_GROUPS = {
    "client_kwargs": "api_version region_name verify",
    "config_kwargs": (
        "client_cert connect_timeout max_pool_connections proxies proxies_config read_timeout"
        " request_checksum_calculation response_checksum_validation retries signature_version"
        " tcp_keepalive user_agent user_agent_extra"
    ),
}
"""The options that s3fs takes within another one."""
_ABSENT = (
    "fsspec: nothing answers at that endpoint: check endpoint_url= (or AWS_ENDPOINT_URL), its host and its"
    " port, and that the store runs"
)
"""For an endpoint that is not Amazon's."""
_NO_TLS = (
    "fsspec: what answers there does not speak TLS: is the URL, or endpoint_url=, http:// and not https://?"
)
_ENDPOINT = 'fsspec: endpoint_url= begins with a scheme, as "http://localhost:9000" does'
"""For what botocore raises as a plain `ValueError`."""
_OF_OTHER_LOOP = (
    "fsspec: the connection belongs to another event loop. An instance that is awaited is made with"
    " asynchronous=True, for one loop; for blocking calls, and for each further loop, make another one (with"
    " skip_instance_cache=True)"
)
_OTHER_LOOP = re.compile("attached to a different loop|Event loop is closed")

_OF_ONE = frozenset(
    "cat cat_file cat_ranges created du exists expand_path find glob info isdir isfile ls makedirs mkdir"
    " modified open_async pipe pipe_file rm rm_file rmdir size touch walk".split()
)
"""Operations whose first argument is a path, or several."""
_OF_TWO = frozenset("copy cp_file get get_file mv mv_file put put_file".split())
_RAISED_BY = "fsspec: raised by "
_UPLOADS = ("put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload")
"""What an open file of s3fs is written by."""
_MISSING = re.compile(r"missing \d+ required positional arguments?: (.*)")
_SHOWN = 3  # paths of a list
_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
_SLASH_MISSING = re.compile(r"(\w[\w+.-]*):/?(?!/)(.*)", re.DOTALL)


def advise(
    error: BaseException,
    operation: str = "",
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    fs: object = None,
) -> None:
    """Add advice to an error as a note (errors of botocore, TLS, loops, options), and to one that names no
    path the paths that were asked for.

    ``operation``, ``args``, ``kwargs``: what raised it, with or without an underscore before its name.
    ``fs``: the filesystem.
    """
    if type(error) is FileNotFoundError and error.__cause__ is None:  # the usual one; it may be one of many
        if error.filename is not None or (args and type(args[0]) is str and args[0] in error.args):
            return
    name, values = operation.removeprefix("_"), list(args)
    if fs is None and values and hasattr(type(values[0]), "_strip_protocol"):  # of a plain function
        fs = values.pop(0)
    if isinstance(error, OSError) and error.errno in FULL and error.filename is None and name == "get_file":
        error.filename = values[1] if len(values) > 1 and isinstance(values[1], str) else None
    paths = _paths_of(name, values, kwargs or {})
    with suppress(Exception):  # of a text or a signature of another package; the error is what counts
        if name == "call_s3" and values:  # an open file's own call, which no program has made
            name = "the upload" if values[0] in _UPLOADS else str(values[0])
        note = _advice_for(error) or _refused_option(error, fs) or _unnamed(error, name, paths)
        if note is not None:
            add(error, note)


def add(error: BaseException, note: str) -> None:
    """Add a note to an error that does not have it yet; none before Python 3.11, which has no notes."""
    if sys.version_info >= (3, 11) and note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def advise_making(error: TypeError, cls: type) -> None:
    """Add a note to the error of a filesystem that is made without a required option: what the documentation
    of the class says of it."""
    missing = _MISSING.search(str(error))
    if missing is None or f"{cls.__name__}.__init__()" not in str(error):
        return
    for name in re.findall(r"'(\w+)'", missing[1]):
        found = re.search(rf"\n( *)(?:\w+, )*{name}(?:, \w+)*\n((?:\1 +\S.*\n)+)", cls.__doc__ or "")
        if found is not None:
            add(error, f"fsspec: give {name}=: {' '.join(found[2].replace('``', '').split())}")


def _advice_for(error: BaseException) -> str | None:
    kind = type(error)
    note = _ADVICE.get(kind.__name__) if kind.__module__ == "botocore.exceptions" else None
    if note is _ADVICE["EndpointConnectionError"] and ".amazonaws.com" not in str(error):
        note = _ABSENT
    if "SSL" in kind.__name__ + type(error.__cause__).__name__ and "WRONG_VERSION_NUMBER" in str(error):
        note = _NO_TLS
    if kind is ValueError and str(error).startswith("Invalid endpoint: "):
        note = _ENDPOINT
    if (kind is RuntimeError or kind.__name__ == "HTTPClientError") and _OTHER_LOOP.search(str(error)):
        note = _OF_OTHER_LOOP
    return note


def _refused_option(error: BaseException, fs: object) -> str | None:
    """The note for an option that the filesystem took and handed to its client, which refused it."""
    if type(error) is AttributeError:  # it took text for a dict
        for name, value in getattr(fs, "storage_options", {}).items():
            if name.endswith("_kwargs") and isinstance(value, str):
                return f"fsspec: {name} is a dict of options, not str"
        return None
    found = _UNKNOWN.search(str(error)) if type(error) is TypeError else None
    if found is None or found[1] not in getattr(fs, "storage_options", ()):
        return None
    classes: Any = type(fs).__mro__
    known = {name for base in classes for name in inspect.signature(base.__init__).parameters}
    meant = _as_s3fs_has_it(found[1]) if "client_kwargs" in known and "config_kwargs" in known else ""
    meant = meant or is_meant(found[1], known)
    return f"fsspec: no option of {type(fs).__name__} is called {found[1]!r}{meant and f'; {meant}'}"


def _as_s3fs_has_it(name: str) -> str:
    """How an option is given to s3fs that botocore has by ``name``."""
    if name in _S3_NAMES:
        return f"give {_S3_NAMES[name]}="
    if name == "config":
        return 'give config_kwargs={"connect_timeout": ...} or the like'
    name = {"region": "region_name", "max_attempts": "retries"}.get(name, name)
    value = '{"max_attempts": ...}' if name == "retries" else "..."
    taken = [kind for kind, names in _S3_GROUPS.items() if name in names.split()]
    return f'give {taken[0]}={{"{name}": {value}}}' if taken else ""


def _paths_of(name: str, args: list[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """The paths that an operation was called with, as messages may show them."""
    if name == "call_s3" and isinstance(kwargs.get("Bucket"), str):
        return ["/".join(filter(None, (kwargs["Bucket"], kwargs.get("Key"))))]
    paths: list[str] = []
    for given in args[: 2 if name in _OF_TWO else 1 if name in _OF_ONE else 0]:
        several = given if isinstance(given, (list, tuple, dict)) else [given]
        paths += [redact_url(path) for path in islice(several, _SHOWN) if isinstance(path, str)]
    return paths


def _unnamed(error: BaseException, name: str, paths: list[str]) -> str | None:
    """The note that names the paths of an error that does not."""
    if type(error).__name__ == "ParamValidationError" and paths:
        url = _SLASH_MISSING.fullmatch(paths[0])
        return f"fsspec: is {url[1]}://{url[2]} meant?" if url else None
    if not isinstance(error, OSError) or error.filename is not None or not paths:
        return None
    if any(note.startswith(_RAISED_BY) for note in getattr(error, "__notes__", ())):
        return None
    names = [path.strip("/") for path in paths]
    for told in (*error.args, error):  # last: the text may be computed when it is asked for
        if any(name in str(told) for name in names):
            return None
    return f"{_RAISED_BY}{name} of {', '.join(map(repr, paths))}"
