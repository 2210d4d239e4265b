"""Advice on errors of other packages, added to them as notes (Python 3.11 and newer).

The error and its text are not changed; a traceback shows the note below it.
"""

from __future__ import annotations

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


def advise(error: BaseException) -> None:
    """Add a note to an error of botocore, or of TLS, for which there is advice."""
    kind = type(error)
    note = _ADVICE.get(kind.__name__) if kind.__module__ == "botocore.exceptions" else None
    if note is _ADVICE["EndpointConnectionError"] and ".amazonaws.com" not in str(error):
        note = _ABSENT
    if "SSL" in kind.__name__ + type(error.__cause__).__name__ and "WRONG_VERSION_NUMBER" in str(error):
        note = _NO_TLS
    if kind is ValueError and str(error).startswith("Invalid endpoint: "):
        note = _ENDPOINT
    if note is not None and hasattr(error, "add_note") and note not in getattr(error, "__notes__", ()):
        error.add_note(note)
