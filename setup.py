"""Build of the distribution ``fsspec``.

The version has one place, ``fsspec/_version.py``.  It is read here as text: importing the
package to build it would need the package to work before it is built.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent


def version() -> str:
    """The value of ``__version__`` in ``fsspec/_version.py``."""
    text = (here / "fsspec" / "_version.py").read_text(encoding="utf-8")
    found = re.search(r"^__version__\b[^=]*=\s*[\"']([^\"']+)[\"']", text, re.MULTILINE)
    if found is None:
        raise SystemExit('fsspec/_version.py has no line __version__ = "..."')
    return found.group(1)


aiohttp = "aiohttp!=4.0.0a0,!=4.0.0a1"
gcsfs = "gcsfs>=2026.4.0"
pyarrow = "pyarrow>=1"
s3fs = "s3fs>=2026.6.0"
pytest = [
    "numpy",
    "pytest",
    "pytest-asyncio!=0.22.0",
    "pytest-benchmark",
    "pytest-cov",
    "pytest-mock",
    "pytest-recording",
    "pytest-rerunfailures",
    "requests",
]

# The names are an interface: other packages and people's requirement files ask for
# ``fsspec[http]`` and the like.  Only what "dev" holds is this project's own choice.
extras = {
    "abfs": ["adlfs"],
    "adl": ["adlfs"],
    "arrow": [pyarrow],
    "dask": ["dask", "distributed"],
    "dev": ["flake8", "mypy", "ruff"],
    "doc": ["aiohttp", "numpydoc", "pytest", "sphinx", "sphinx-design", "sphinx-rtd-theme", "yarl"],
    "dropbox": ["dropbox", "dropboxdrivefs", "requests"],
    "entrypoints": [],
    "full": [
        "adlfs",
        aiohttp,
        "dask",
        "distributed",
        "dropbox",
        "dropboxdrivefs",
        "fusepy",
        gcsfs,
        "libarchive-c",
        "ocifs",
        "panel",
        "paramiko",
        pyarrow,
        "pygit2",
        "requests",
        s3fs,
        "smbprotocol",
        "tqdm",
    ],
    "fuse": ["fusepy"],
    "gcs": [gcsfs],
    "git": ["pygit2"],
    "github": ["requests"],
    "gs": [gcsfs],
    "gui": ["panel"],
    "hdfs": [pyarrow],
    "http": [aiohttp],
    "libarchive": ["libarchive-c"],
    "oci": ["ocifs"],
    "otel": ["opentelemetry-api"],
    "s3": [s3fs],
    "sftp": ["paramiko"],
    "smb": ["smbprotocol"],
    "ssh": ["paramiko"],
    "test": [aiohttp, *pytest],
    "test-downstream": [
        "aiobotocore<3.0.0,>=2.5.4",
        "dask[dataframe,test]",
        "moto[server]<5,>4",
        "pytest-timeout",
        "xarray",
        "zarr",
    ],
    "test-full": [
        "adlfs",
        aiohttp,
        "backports-zstd; python_version < '3.14'",
        "cloudpickle",
        "dask",
        "distributed",
        "dropbox",
        "dropboxdrivefs",
        "fastparquet",
        "fusepy",
        gcsfs,
        "jinja2",
        "kerchunk",
        "libarchive-c",
        "lz4",
        "notebook",
        "ocifs",
        "pandas<3.0.0",
        "panel",
        "paramiko",
        pyarrow,
        "pyftpdlib",
        "pygit2",
        "python-snappy",
        "smbprotocol",
        s3fs,
        "tqdm",
        "urllib3",
        "zarr<3.2.0",
        "zstandard; python_version < '3.14'",
        *pytest,
    ],
    "tqdm": ["tqdm"],
}

setup(
    name="fsspec",
    version=version(),
    description="Files in many kinds of storage, one interface: a drop-in fsspec that is safe to fork",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the fsspec-fork contributors",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    keywords=["file", "filesystem", "fork", "multiprocessing"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    # The public contract tests of ``fsspec.tests.abstract`` are for authors of backends and
    # ship; the project's own tests stay in the repository.
    packages=find_packages(
        include=["fsspec", "fsspec.*"],
        exclude=[
            "fsspec.tests",
            "fsspec.tests.fork*",
            "fsspec.tests.servers*",
            "fsspec.implementations.tests*",
        ],
    ),
    package_data={"fsspec": ["py.typed"]},
    install_requires=[],
    extras_require=extras,
    zip_safe=False,
)
