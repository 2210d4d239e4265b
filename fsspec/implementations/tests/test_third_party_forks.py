"""The guarantees about forks on backends of other packages, as published, over servers of their makers."""

import os

import pytest

from fsspec.tests.abstract import AbstractForkTests
from fsspec.tests.programs import run

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.timeout(400 * AbstractForkTests.fork_rounds),  # each action starts from an import of seconds
]

GCS = """
import os, sys, time
import gcsfs
from fsspec._checks.forked import by_fork

options = dict(token="anon", endpoint_url=os.environ["ADDRESS"], project="p")

def finds(problem):
    assert not problem, problem
"""


@pytest.fixture(scope="module")
def gcs():
    pytest.importorskip("gcsfs.extended_gcsfs")
    pytest.importorskip("gcp_storage_emulator")
    pytest.importorskip("trustme")
    from fsspec.tests.servers.gcs import serve_gcs

    with serve_gcs("data") as (address, certificates):
        yield {
            "ADDRESS": address,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": certificates,
            "GRPC_VERBOSITY": "ERROR",
            "PYTHONWARNINGS": "ignore",  # those of google's packages about this and that
        }


class TestGCS(AbstractForkTests):
    fork_block_size = 2**18

    @pytest.fixture
    def fork_place(self, gcs, monkeypatch):
        for name, value in gcs.items():
            monkeypatch.setenv(name, value)
        import gcsfs

        return gcsfs.GCSFileSystem(token="anon", endpoint_url=gcs["ADDRESS"], project="p"), "data/forks"


def gcs_program(text, environment, **more):
    """As `run`, but that warnings of google's packages are not errors."""
    run(
        "import warnings; warnings.resetwarnings(); warnings.simplefilter('ignore')" + GCS + text,
        **environment,
        **more,
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_gcs_bucket_whose_kind_was_not_asked_before_the_fork(gcs, reset):
    """gRPC runs in the parent: the child does without, at once, and says so."""
    gcs_program(
        """
fs = gcsfs.GCSFileSystem(**options)
fs.pipe_file("data/a", b"a")
fs.mkdir("other")
fs.pipe_file("other/a", b"b")
fs._storage_layout_cache.pop("other")

def another_bucket():
    one = fs if os.environ["FSSPEC_FORK_RESET"] == "1" else gcsfs.GCSFileSystem(**options)
    wall, cpu = time.monotonic(), time.process_time()
    assert one.cat_file("other/a") == b"b"
    assert time.monotonic() - wall < 2
    time.sleep(1)
    assert time.process_time() - cpu < 0.5  # nothing spins

report = by_fork(another_bucket)
assert report.code == 0, report.stderr
assert "gRPC" in report.stderr and str(os.getpid()) in report.stderr
fs._storage_layout_cache.clear()
assert fs.cat_file("data/a") == b"a"
fs.rm("other", recursive=True)
""",
        gcs,
        FSSPEC_FORK_RESET=reset,
    )


@pytest.mark.parametrize("reset", ["0", "1"])
def test_gcs_file_that_a_child_writes_and_drops(gcs, reset):
    """What the parent's thread would have closed, a thread of the child's closes."""
    gcs_program(
        """
fs = gcsfs.GCSFileSystem(**options)
fs.pipe_file("data/first", b"1")
f = fs.open("data/parents", "wb")
f.write(b"parent")

def child():
    own = fs if os.environ["FSSPEC_FORK_RESET"] == "1" else gcsfs.GCSFileSystem(**options)
    g = own.open("data/childs", "wb")
    g.write(b"child")
    del g
    deadline = time.monotonic() + 10
    while not own.exists("data/childs"):
        assert time.monotonic() < deadline, "lost"
        time.sleep(0.05)

finds(by_fork(child).problem())
f.close()
fs.invalidate_cache()
assert fs.cat("data/childs") == b"child"
assert fs.cat("data/parents") == b"parent"
fs.rm(["data/childs", "data/parents", "data/first"])
""",
        gcs,
        FSSPEC_FORK_RESET=reset,
    )


def test_gcs_before_grpc_ran(gcs):
    """A child of a process that asked nothing may use gRPC, as any process."""
    gcs_program(
        """
fs = gcsfs.GCSFileSystem(**options)

def child():
    fs.pipe_file("data/b", b"b")
    assert fs.cat_file("data/b") == b"b"
    assert "data" in fs._storage_layout_cache

finds(by_fork(child).problem())
assert fs.cat_file("data/b") == b"b"
fs.rm("data/b")
""",
        gcs,
        FSSPEC_FORK_RESET="1",
    )


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    pytest.importorskip("adlfs")
    from fsspec.tests.servers.azure import azurite, serve_azure

    if not azurite():
        pytest.skip("Azurite is not installed")
    with serve_azure(str(tmp_path_factory.mktemp("azurite"))) as connection:
        yield connection


class TestAzure(AbstractForkTests):
    fork_block_size = 2**18

    @pytest.fixture
    def fork_place(self, azure):
        import adlfs

        fs = adlfs.AzureBlobFileSystem(account_name="devstoreaccount1", connection_string=azure)
        if not fs.exists("data"):
            fs.mkdir("data")
        return fs, "data/forks"


@pytest.mark.parametrize("reset", ["0", "1"])
def test_azure_child_that_only_ends(reset):
    """No request, no server: what adlfs has for the end of an instance is the parent's to do."""
    pytest.importorskip("adlfs")
    run(
        """
import warnings; warnings.resetwarnings(); warnings.simplefilter("ignore")
import adlfs
from fsspec._checks.forked import by_fork
from fsspec.tests.servers.azure import KEY
fs = adlfs.AzureBlobFileSystem(account_name="devstoreaccount1", account_key=KEY)
problem = by_fork(lambda: None).problem()
assert not problem, problem
""",
        FSSPEC_FORK_RESET=reset,
    )


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    pytest.importorskip("sshfs")
    from fsspec.tests.servers.ssh import serve_ssh

    with serve_ssh(str(tmp_path_factory.mktemp("ssh"))) as port:
        yield port


class TestSSH(AbstractForkTests):
    @pytest.fixture
    def fork_place(self, ssh):
        import sshfs

        return sshfs.SSHFileSystem("127.0.0.1", port=ssh, username="user", password="any"), "/forks"


@pytest.mark.parametrize("reset", ["0", "1"])
def test_obstore_is_refused_in_a_child_of_a_process_where_it_ran(http_server, reset):
    """Its threads are tokio's: an inherited store, a new one and an inherited file waited for ever."""
    pytest.importorskip("obstore")
    http_server.files["/a"] = b"0123456789"
    run(
        """
import os
from fsspec._checks.forked import by_fork
from fsspec.exceptions import ForkError
from obstore.fsspec import FsspecStore

options = {"protocol": "http", "client_options": {"allow_http": True}}
url, opted_in = os.environ["URL"], os.environ["FSSPEC_FORK_RESET"] == "1"
fs = FsspecStore(**options)

def first_use():
    fs = FsspecStore(**options, max_cache_size=3)
    assert fs.cat_file(url) == b"0123456789"

def refused():
    uses = [lambda: fs.cat_file(url), lambda: fs.info(url), lambda: fs.open(url), lambda: file.read(2)]
    if opted_in:
        uses.append(first_use)
    for number, use in enumerate(uses):
        try:
            use()
        except ForkError as error:
            assert not opted_in or "tokio" in str(error) and "spawn" in str(error), error
        else:
            raise AssertionError(f"{number} is not refused")

problem = by_fork(first_use).problem()
assert not problem, problem
file = fs.open(url)
assert file.read(3) == b"012"
problem = by_fork(refused).problem()
assert not problem, problem
assert file.read(3) == b"345"
assert fs.cat_file(url) == b"0123456789"
file.close()
""",
        URL=http_server.url + "/a",
        FSSPEC_FORK_RESET=reset,
    )
