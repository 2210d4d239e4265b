"""The projects, their suites, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass, field

FOLLOWED = "2026.9.0"
"""The upstream release that this tree follows."""

GROUPS: dict[str, list[str]] = {
    "stores": [
        "pytest<9 pytest-asyncio pytest-timeout pytest-mock pytest-benchmark pytest-xdist",
        "s3fs==2026.9.0 moto[server] flask flask-cors",
        "morefs==0.2.2 aiofile webdav4==0.11.0 cheroot colorama wsgidav httpx",
        "dvc-objects==5.2.0 dvc-data==3.18.3 reflink pytest-servers pytest-test-utils",
        "universal-pathlib==0.3.10 pydantic requests aiohttp paramiko smbprotocol pyftpdlib",
        "typing-extensions",
    ],
    "ssh": [
        "pytest<9 pytest-asyncio pytest-timeout sshfs==2026.8.0 mock-ssh-server importlib-metadata",
    ],
    "clouds": [
        "pytest pytest-asyncio pytest-timeout pytest-mock adlfs==2026.8.0 docker arrow dask[dataframe]",
        "gcsfs google-cloud-storage-control gcp-storage-emulator moto[server]",
        "pyiceberg[s3fs,adlfs]==0.12.0 s3fs==2026.9.0 pyarrow requests-mock pytest-lazy-fixtures",
    ],
    "arrays": [
        "pytest pytest-asyncio pytest-timeout pytest-benchmark pytest-accept",
        "hypothesis numpydoc tomlkit uv rich botocore",
        "zarr==3.1.6 s3fs==2026.9.0 moto[server] flask flask-cors",
        "xarray kerchunk==0.2.10 virtualizarr==2.5.1 obstore obspec-utils h5py h5netcdf scipy pandas dask",
        "netCDF4 fastparquet aiohttp requests",
    ],
    "zarr2": [
        "pytest pytest-timeout zarr==2.18.7 numcodecs<0.16 numpy<2.3 s3fs==2026.9.0 moto[server]",
        "flask flask-cors aiohttp requests h5py",
    ],
    "tables": [
        "pytest pytest-asyncio pytest-timeout pandas pyarrow dask[dataframe] distributed fastparquet intake",
        "duckdb aiohttp requests s3fs==2026.9.0 moto[server] flask flask-cors hypothesis python-snappy",
        "zstandard lz4 paramiko",
    ],
    "backends": [
        "pytest<9 pytest-asyncio pytest-timeout pytest-mock pytest-cov pytest-httpserver aioresponses",
        "trustme",
        "archivefs==0.2.0 dcachefs==0.2.0 globusfs==0.2.1 pelicanfs==1.5.0",
    ],
    "hub": [
        "pytest pytest-asyncio pytest-timeout huggingface-hub datasets==5.2.0 s3fs==2026.9.0 moto[server]",
        "aiohttp requests pillow",
    ],
}
"""Environments: what is installed in each, beside upstream's release."""

BUILD = (
    "setuptools>=77 setuptools-scm hatchling hatch-vcs hatch-fancy-pypi-readme flit-core poetry-core wheel"
)
"""What the index's client needs to read the sources of the projects."""


@dataclass(frozen=True)
class Project:
    """A project and its suite.

    Attributes
    ----------
    name
        as on the package index.
    group
        its environment, of `GROUPS`.
    tests
        arguments for pytest: paths below the source, or modules for ``--pyargs``, and options.
    sdist
        requirement whose source archive holds the tests; "" for tests that the installed package holds.
    program
        of ``programs``, where no tests are published.
    leaves_out
        why, where there is neither.
    environ
        variables for both sides.
    names
        a pattern of ids that hold a name from inside fsspec, which differs; its first group is what stays.
    reasons
        tests that only upstream passes, by the end of their id, and why that is right.
    """

    name: str
    group: str = ""
    tests: tuple[str, ...] = ()
    sdist: str = ""
    program: str = ""
    leaves_out: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    names: str = ""
    reasons: dict[str, str] = field(default_factory=dict)


_UPATH = "upath/tests"
_UPATH_SERVICES = ("azure", "gcs", "github", "hdfs", "hf", "s3", "webdav")
_LESS = "MMapCache fetches no block behind the one that is read here"
_TAIL = "the directory of a zip archive is read with the 64 KiB at its end here, by one request"
_GCSFS = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
_GCSFS_LIVE = (
    "perf",
    "test_extended_gcsfs.py",
    "test_extended_hns_gcsfs.py",
    "test_zb_hns_utils.py",
    "test_zonal_file.py",
)

PROJECTS = [
    Project("s3fs", "stores", ("s3fs/tests",), "s3fs==2026.9.0"),
    Project("morefs", "stores", ("tests",), "morefs==0.2.2"),
    Project("sshfs", "ssh", ("tests",), "sshfs==2026.8.0"),
    Project("webdav4", "stores", ("tests", "-n", "0"), "webdav4==0.11.0"),
    Project("dvc-objects", "stores", ("tests",), "dvc-objects==5.2.0"),
    Project("dvc-data", "stores", ("tests", "--ignore=tests/benchmarks"), "dvc-data==3.18.3"),
    Project(
        "universal-pathlib",
        "stores",
        (_UPATH, *(f"--ignore={_UPATH}/implementations/test_{name}.py" for name in _UPATH_SERVICES)),
        "universal-pathlib==0.3.10",
    ),
    Project("dcachefs", "backends", ("tests",), "dcachefs==0.2.0"),
    Project("globusfs", "backends", ("tests",), "globusfs==0.2.1"),
    Project("pelicanfs", "backends", ("test/test_listings.py", "test/test_get.py"), "pelicanfs==1.5.0"),
    Project(
        "archivefs",
        "backends",
        ("tests/test_blockcache.py", "tests/test_zenodo.py", "tests/test_geo.py"),
        "archivefs==0.2.0",
        reasons={
            "test_a_partial_read_resumes_and_fetches_only_the_rest": _LESS,
            "test_blocks_survive_the_object_that_fetched_them": _LESS,
            "test_entries_report_what_is_on_disk_not_what_the_hole_claims": _LESS,
            "test_the_index_is_written_after_the_bytes_and_replaced_atomically": _LESS,
            "test_container_md5_is_download_free_but_member_md5_cannot_be": _TAIL,
            "test_listing_does_not_open_the_reading_view": _TAIL,
            "test_one_member_costs_two_blocks_at_the_default_size": _TAIL,
            "test_reading_every_member_costs_about_one_archive": _TAIL,
            "test_reading_one_small_member_does_not_fetch_the_container": _TAIL,
            "test_zip_interior_listing_is_download_free": _TAIL,
        },
    ),
    Project("zarr", "arrays", ("tests/test_store/test_fsspec.py",), "zarr==3.1.6"),
    Project("zarr2", "zarr2", ("--pyargs", "zarr.tests.test_storage", "-k", "FSStore or fsspec")),
    Project("xarray", "arrays", ("--pyargs", "xarray.tests.test_backends", "-k", "fsspec or file_obj")),
    Project(
        "virtualizarr",
        "arrays",
        (
            "virtualizarr/tests/test_parsers/test_kerchunk.py",
            "virtualizarr/tests/test_writers/test_kerchunk.py",
        ),
        "virtualizarr==2.5.1",
    ),
    Project("kerchunk", "arrays", program="kerchunk"),
    Project(
        "dask",
        "tables",
        ("-p", "moto_first", "--pyargs", "dask.bytes.tests"),
        names=r"(test_compression::test_files\[\w+)-[^]]+",
    ),
    Project("distributed", "tables", program="distributed"),
    Project("pandas", "tables", ("--pyargs", "pandas.tests.io.test_fsspec")),
    Project("pyarrow", "tables", ("--pyargs", "pyarrow.tests.test_fs", "-k", "fsspec or py_fs or handler")),
    Project("fastparquet", "tables", program="fastparquet"),
    Project("intake", "tables", program="intake"),
    Project("duckdb", "tables", program="duckdb"),
    # the tests of its sdist import a package that the sdist lacks
    Project("datasets", "hub", program="datasets", environ={"HF_HUB_OFFLINE": "1"}),
    Project("huggingface-hub", "hub", program="huggingface_hub", environ={"HF_HUB_OFFLINE": "1"}),
    # without its gRPC client, which the emulator does not serve; newer releases publish no tests
    Project(
        "gcsfs",
        "clouds",
        (
            "-p",
            "gcs_emulator",
            "--timeout=20",
            "gcsfs/tests",
            *(f"--ignore=gcsfs/tests/{name}" for name in _GCSFS_LIVE),
        ),
        "gcsfs==2026.1.0",
        environ=_GCSFS,
        reasons={"test_core::test_copy_errors": "folders that are only names are no errors of a copy here"},
    ),
    Project("gcsfs-newest", "clouds", program="gcsfs", environ=_GCSFS),
    Project(
        "pyiceberg",
        "clouds",
        (
            "-p",
            "no:asyncio",
            "tests/io/test_fsspec.py",
            "tests/io/test_io.py",
            "-m",
            "not s3 and not gcs and not adls",
        ),
        "pyiceberg==0.12.0",
    ),
    Project(
        "adlfs",
        "clouds",
        # one sends 3 GiB, which takes minutes
        ("-p", "azurite_process", "adlfs/tests", "-k", "not large_upload_overflow"),
        "adlfs==2026.8.0",
    ),
]
