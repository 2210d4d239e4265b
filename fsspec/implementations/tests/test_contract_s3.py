"""The public contract tests, on a backend of another package as it is published."""

import pytest

import fsspec
import fsspec.tests.abstract as abstract
from fsspec.tests.servers.s3 import options, serve_s3

pytest.importorskip("s3fs")
pytest.importorskip("moto")


@pytest.fixture(scope="module")
def s3_address():
    with serve_s3() as address:
        yield address


class S3Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, s3_address):
        fs = fsspec.filesystem("s3", **options(s3_address))
        fs.invalidate_cache()
        if not fs.exists("contract"):
            fs.mkdir("contract")
        return fs

    @pytest.fixture
    def fs_path(self):
        return "contract"

    @pytest.fixture
    def fs_join(self):
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self):
        return False


class TestS3Copy(abstract.AbstractCopyTests, S3Fixtures):
    pass


class TestS3Get(abstract.AbstractGetTests, S3Fixtures):
    pass


class TestS3Put(abstract.AbstractPutTests, S3Fixtures):
    pass


class TestS3Move(abstract.AbstractMoveTests, S3Fixtures):
    pass


class TestS3Open(abstract.AbstractOpenTests, S3Fixtures):
    pass


class TestS3Pipe(abstract.AbstractPipeTests, S3Fixtures):
    pass


@pytest.mark.timeout(120 * abstract.AbstractForkTests.fork_rounds)
class TestS3Fork(abstract.AbstractForkTests, S3Fixtures):
    """Files written in one request at the end."""


@pytest.mark.timeout(120 * abstract.AbstractForkTests.fork_rounds)
class TestS3ForkParts(abstract.AbstractForkTests, S3Fixtures):
    """An upload of several parts is under way at the fork."""

    fork_block_size = 5 * 2**20


def test_the_marker_of_an_empty_folder_is_a_folder_when_downloaded(s3_address, tmp_path):
    fs = fsspec.filesystem("s3", **options(s3_address), use_listings_cache=False)
    fs.call_s3("create_bucket", Bucket="markers")
    for key, body in (("d/", b""), ("d/empty/", b""), ("d/a", b"A")):
        fs.call_s3("put_object", Bucket="markers", Key=key, Body=body)
    fs.get("markers/d", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out" / "empty").is_dir()
    assert (tmp_path / "out" / "a").read_bytes() == b"A"
