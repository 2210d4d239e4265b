"""What to do about errors of other packages that do not say so themselves, as notes (Python 3.11 and newer).

The error stays what it is, text included; the note stands below it in a traceback.
"""

from __future__ import annotations

_ADVICE = {
    "NoCredentialsError": (
        "fsspec: give key= and secret=, or anon=True for a public bucket (in storage_options= of pandas, zarr"
        " and dask), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    ),
    "PartialCredentialsError": (
        "fsspec: give both key= and secret=, or set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    "NoRegionError": 'fsspec: give client_kwargs={"region_name": ...}, or set AWS_DEFAULT_REGION',
    "EndpointConnectionError": (
        'fsspec: the host is made of bucket and region: check client_kwargs={"region_name": ...} and'
        " AWS_DEFAULT_REGION, or give endpoint_url= for a store that is not Amazon's"
    ),
}
"""By the name of a class of ``botocore.exceptions``."""


def advise(error: BaseException) -> None:
    """Add a note to an error of botocore for which there is advice."""
    kind = type(error)
    if kind.__module__ == "botocore.exceptions" and kind.__name__ in _ADVICE and hasattr(error, "add_note"):
        note = _ADVICE[kind.__name__]
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
