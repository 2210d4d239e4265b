"""The public contract tests, on a backend of another package as it is published."""

import asyncio
import errno
import functools
import sys

import pytest

import fsspec
import fsspec.tests.abstract as abstract
from fsspec._checks.contract import MODES, WRITING
from fsspec.exceptions import FileChangedError
from fsspec.tests.servers.s3 import options, serve_s3

pytest.importorskip("s3fs")
pytest.importorskip("moto")


@pytest.fixture(scope="module")
def s3_address():
    with serve_s3() as address:
        yield address


@pytest.fixture(scope="module")
def s3_fs(s3_address):
    """One for all tests, with one client: each takes a tenth of a second to make."""
    fs = fsspec.filesystem("s3", **options(s3_address))
    fs.mkdir("contract")
    return fs


class S3Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, s3_fs):
        s3_fs.invalidate_cache()
        return s3_fs

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


class TestS3Read(abstract.AbstractReadTests, S3Fixtures):
    pass


class TestS3Pipe(abstract.AbstractPipeTests, S3Fixtures):
    pass


@pytest.mark.timeout(120 * abstract.AbstractForkTests.fork_rounds)
class TestS3Fork(abstract.AbstractForkTests, S3Fixtures):
    """Files written in one request at the end."""


@pytest.mark.timeout(120 * abstract.AbstractForkTests.fork_rounds)
class TestS3ForkParts(abstract.AbstractForkTests, S3Fixtures):
    """An upload of several parts is under way at the fork; other handles do not know of parts."""

    fork_block_size = 5 * 2**20

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("handle", [WRITING])
    def test_fork(self, fork_place, handle, mode, request):
        super().test_fork(fork_place, handle, mode, request)


def test_the_marker_of_an_empty_folder_is_a_folder_when_downloaded(s3_address, tmp_path):
    fs = fsspec.filesystem("s3", **options(s3_address), use_listings_cache=False)
    fs.call_s3("create_bucket", Bucket="markers")
    for key, body in (("d/", b""), ("d/empty/", b""), ("d/a", b"A")):
        fs.call_s3("put_object", Bucket="markers", Key=key, Body=body)
    fs.get("markers/d", str(tmp_path / "out"), recursive=True)
    assert (tmp_path / "out" / "empty").is_dir()
    assert (tmp_path / "out" / "a").read_bytes() == b"A"


def test_a_new_file_that_nothing_is_written_to_leaves_the_old_one(s3_fs):
    s3_fs.pipe("contract/there", b"old")
    with pytest.raises(FileExistsError), s3_fs.open("contract/there", "xb"):
        pass
    with pytest.raises(FileExistsError), s3_fs.transaction, s3_fs.open("contract/there", "xb"):
        pass
    assert s3_fs.cat("contract/there") == b"old"
    with s3_fs.open("contract/not there", "xb"):
        pass
    assert s3_fs.cat("contract/not there") == b""
    s3_fs.rm(["contract/there", "contract/not there"])


def test_what_was_listed_in_a_transaction_is_listed_again_after_it(s3_fs):
    s3_fs.pipe("contract/listed/x", b"old")
    with s3_fs.transaction:
        for name in ("x", "new"):
            with s3_fs.open(f"contract/listed/{name}", "wb") as f:
                f.write(b"written")
        assert s3_fs.ls("contract/listed", detail=False) == ["contract/listed/x"]
    for name in ("x", "new"):
        with s3_fs.open(f"contract/listed/{name}") as f:
            assert f.read() == b"written"
    s3_fs.rm("contract/listed", recursive=True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf_32", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("mode", ["w", "x"])
def test_text_is_read_in_the_encoding_that_it_was_written_in(encoding, mode, s3_fs):
    with s3_fs.open("contract/text", mode, encoding=encoding) as f:
        f.write("é\n")
        f.write("two")
    with s3_fs.open("contract/text", "r", encoding=encoding) as f:
        assert f.read() == "é\ntwo"
    s3_fs.rm("contract/text")


OLD, NEW = (bytes([n]) * 30_000 for n in (1, 2))
SIZES = [30_000, 20_000, 10_001]  # of the new version


@pytest.fixture
def changing(s3_address):
    """A filesystem with an object, and a function that changes it behind its back."""
    fs = fsspec.filesystem("s3", **options(s3_address), skip_instance_cache=True)
    fs.call_s3("create_bucket", Bucket="changing")
    change = functools.partial(fs.call_s3, "put_object", Bucket="changing", Key="x")
    change(Body=OLD)
    yield fs, lambda data: change(Body=data)
    fs.rm("changing/x")


def block_cache(fs, folder):
    return fsspec.filesystem("blockcache", fs=fs, cache_storage=str(folder), skip_instance_cache=True)


@pytest.mark.parametrize("size", SIZES)
def test_the_block_cache_does_not_mix_a_remembered_entry_with_another_version(size, changing, tmp_path):
    from s3fs.utils import FileExpired

    fs, change = changing
    cache = block_cache(fs, tmp_path)
    fs.ls("changing", detail=True)
    change(NEW[:size])
    with cache.open("changing/x", block_size=10_000) as f, pytest.raises(FileExpired):
        f.read(15_000)
    with cache.open("changing/x", block_size=10_000) as f:  # the second attempt is of what is there
        assert f.read(15_000) + f.read() == NEW[:size]


def test_nor_does_one_over_a_folder_mix_versions(changing, tmp_path):
    from s3fs.utils import FileExpired

    fs, change = changing
    cache = block_cache(fsspec.filesystem("dir", path="changing", fs=fs, skip_instance_cache=True), tmp_path)
    fs.ls("changing", detail=True)
    change(NEW + NEW)
    with cache.open("x", block_size=10_000) as f, pytest.raises(FileExpired):
        f.read(15_000)
    with cache.open("x", block_size=10_000) as f:
        assert f.read() == NEW + NEW


@pytest.mark.parametrize("said", [["s3://changing/x"], ["s3://changing/x", 100, 29_000]])
def test_the_parts_of_a_reference_are_of_one_version(said, changing):
    from s3fs.utils import FileExpired

    fs, change = changing
    references = fsspec.filesystem("reference", fo={"x": said}, fs=fs, skip_instance_cache=True)
    fs.ls("changing", detail=True)
    with references.open("x", block_size=1000, cache_type="none") as f:
        assert f.read(1000) == OLD[:1000]
        change(NEW + NEW)
        with pytest.raises(FileExpired):
            f.read(1000)
    with references.open("x", block_size=1000) as f, pytest.raises(FileExpired):
        f.read()
    fs.invalidate_cache()
    first, length = said[1:] or (0, 60_000)
    with references.open("x") as f:
        assert f.read() == (NEW + NEW)[first : first + length]


@pytest.mark.parametrize("size", SIZES)
def test_nor_where_it_is_awaited(size, s3_address, changing, tmp_path):
    _, change = changing

    async def main():
        fs = fsspec.filesystem("s3", **options(s3_address), asynchronous=True, skip_instance_cache=True)
        session = await fs.set_session()
        try:
            cache = block_cache(fs, tmp_path)
            await fs._ls("changing", detail=True)
            change(NEW[:size])
            with pytest.raises(FileChangedError):
                await cache._cat_file("changing/x", 0, 29_999)
            assert await cache._cat_file("changing/x", 0, 29_999) == NEW[:size][:29_999]
        finally:
            await session.close()

    asyncio.run(main())


def test_an_object_that_changes_while_the_block_cache_reads_it_is_not_mixed(changing, tmp_path):
    from s3fs.utils import FileExpired

    fs, change = changing
    cache = block_cache(fs, tmp_path)
    with cache.open("changing/x", block_size=10_000) as f:
        assert f.read(10_000) == OLD[:10_000]
        change(NEW)
        with pytest.raises(FileExpired):
            f.read()
    with cache.open("changing/x", block_size=10_000) as f:
        assert f.read() == NEW


@pytest.mark.parametrize("listed", ["before", "after", "never"])
def test_kept_blocks_of_an_object_are_of_its_current_version(listed, changing, tmp_path):
    from s3fs.utils import FileExpired

    fs, change = changing
    cache = block_cache(fs, tmp_path)
    if listed == "before":
        fs.ls("changing", detail=True)
    with cache.open("changing/x", block_size=10_000) as f:
        assert f.read(10_000) == OLD[:10_000]
    change(NEW)
    if listed == "after":
        fs.ls("changing", detail=True)
    with cache.open("changing/x", block_size=10_000) as f, pytest.raises((FileExpired, FileChangedError)):
        f.read()
    if cache._check_file("changing/x"):
        cache.pop_from_cache("changing/x")
    with cache.open("changing/x", block_size=10_000) as f:
        assert f.read() == NEW


def test_what_a_child_reads_through_the_block_cache_is_of_its_parents_version(changing, tmp_path):
    """Also where the object changed after the fork, and the child opens it anew."""
    from s3fs.utils import FileExpired

    fs, change = changing
    cache = block_cache(fs, tmp_path)
    with cache.open("changing/x", block_size=10_000) as f:
        f.read(10_000)
        f._source._opened.release()  # as a forked child has none
        change(NEW[:29_000])
        fs.ls("changing", detail=True)
        with pytest.raises((FileExpired, FileChangedError)):
            f.read()


@pytest.mark.parametrize("listed", [False, True])
def test_the_block_cache_asks_an_object_store_no_more_than_needed(listed, changing, tmp_path, monkeypatch):
    fs, _ = changing
    asked = []
    call = fs._call_s3

    async def noting(method, *args, **kwargs):
        asked.append(method)
        return await call(method, *args, **kwargs)

    if listed:
        fs.ls("changing", detail=True)
    monkeypatch.setattr(fs, "_call_s3", noting)
    for at in (0, 10_000, 20_000):
        with block_cache(fs, tmp_path).open("changing/x", block_size=10_000) as f:
            f.seek(at)
            assert f.read(10) == OLD[:10]
        assert asked == ["head_object"] * (not listed) + ["get_object"]
        asked.clear()


def test_a_file_that_anothers_transaction_has_stored_says_so_where_it_is_written_to(s3_address):
    fs = fsspec.filesystem("s3", **options(s3_address))
    if not fs.exists("shared"):
        fs.mkdir("shared")
    with fs.transaction:
        late, whole = fs.open("shared/late", "wb"), fs.open("shared/whole", "wb")
        late.write(b"half")
        whole.write(b"all of it")
    with pytest.raises(ValueError, match="'shared/late' was stored.*skip_instance_cache"), late:
        late.write(b"more")
    whole.close()
    assert late.closed and fs.cat("shared/whole") == b"all of it"


@pytest.mark.parametrize("end", ["commit", "discard"])
def test_a_file_that_was_committed_or_discarded_can_be_closed(s3_address, end):
    fs = fsspec.filesystem("s3", **options(s3_address))
    if not fs.exists("ended"):
        fs.mkdir("ended")
    f = fs.open(f"ended/{end}", "wb", autocommit=False)
    f.write(b"all of it")
    getattr(f, end)()
    f.close()
    assert f.closed and fs.exists(f"ended/{end}") == (end == "commit")


@pytest.mark.parametrize("path", ["missing/x", "contract/missing"])
@pytest.mark.parametrize("cache", ["simplecache", "filecache"])
def test_a_cache_of_whole_files_names_an_object_that_is_not_there(path, cache, s3_fs, tmp_path):
    """Of s3fs the error is the server's text, which names nothing."""
    fs = fsspec.filesystem(cache, fs=s3_fs, cache_storage=str(tmp_path), skip_instance_cache=True)
    for read in (fs.open, fs.cat_file, fs.cat, lambda path: fs.cat([path])):
        with pytest.raises(FileNotFoundError) as raised:
            read(path)
        assert str(raised.value) == path
    assert str(fs.cat_ranges([path], [0], [1])[0]) == path


def test_a_reference_whose_target_lacks_credentials_says_so_and_where_they_go(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fs = fsspec.filesystem("reference", fo={"x": ["s3://contract/x", 0, 1]}, skip_instance_cache=True)
    with pytest.raises(RuntimeError, match="NoCredentialsError: .*remote_options="):
        fs.cat("x")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize("of_list", [False, True])
def test_an_error_of_the_store_that_names_nothing_gets_a_note_with_the_path(of_list, s3_fs, tmp_path):
    def written(path):
        with s3_fs.open(path, "wb") as f:
            f.write(b"1")

    missing, local = "missing/x", str(tmp_path / "a")
    calls = [
        (missing, lambda: s3_fs.get(missing, local)),
        (missing, lambda: s3_fs.get_file(missing, local)),
        (missing, lambda: s3_fs.pipe(missing, b"1")),
        (missing, lambda: s3_fs.touch(missing)),
        (missing, lambda: s3_fs.info(missing)),
        ("the upload of 'missing/x'", lambda: written(missing)),
        ("missing", lambda: s3_fs.ls("missing")),
    ]
    many = [
        (missing, lambda: s3_fs.get([missing, "missing/y"], [local, local + "y"])),
        (missing, lambda: s3_fs.pipe({missing: b"1", "missing/y": b"2"})),
    ]
    for path, fail in many if of_list else calls:
        with pytest.raises(FileNotFoundError, match=r"The specified \w+ does not exist") as caught:
            fail()
        assert path not in str(caught.value)
        assert len(caught.value.__notes__) == 1 and path[:-1] in caught.value.__notes__[0]
    with pytest.raises(FileNotFoundError) as caught:
        s3_fs.info("contract/missing")
    assert not hasattr(caught.value, "__notes__"), "its text is the path"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize("cache", ["simplecache", "filecache"])
def test_an_error_behind_a_cache_has_what_the_store_says_as_a_note(cache, s3_fs, tmp_path):
    cached = fsspec.filesystem(cache, fs=s3_fs, cache_storage=str(tmp_path))
    for read in (cached.cat_file, cached.open):
        with pytest.raises(FileNotFoundError) as caught:
            read("missing/x")
        assert str(caught.value) == "missing/x"
        assert caught.value.__notes__ == ["fsspec: the store says: The specified bucket does not exist"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
@pytest.mark.parametrize("name", ["client_kwargs", "config_kwargs", "s3_additional_kwargs"])
def test_text_in_place_of_a_dict_of_options_is_named(name, s3_address):
    with pytest.raises(AttributeError) as caught:
        fsspec.filesystem("s3", **options(s3_address), **{name: "x"}).ls("contract")
    assert caught.value.__notes__ == [f"fsspec: {name} is a dict of options, not str"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_an_option_that_the_client_refuses_and_a_slash_that_is_missing_are_named(s3_address, s3_fs):
    with pytest.raises(TypeError, match="'kee'") as caught:
        fsspec.filesystem("s3", **options(s3_address), kee="x").ls("contract")
    assert "is 'key' meant?" in caught.value.__notes__[0]
    for ask in (s3_fs.open, s3_fs.cat, s3_fs.ls):
        with pytest.raises(Exception, match="Invalid bucket name") as caught:
            ask("s3:/contract/a")
        assert caught.value.__notes__ == ["fsspec: is s3://contract/a meant?"]


def test_a_full_disk_is_told_of_with_the_name_of_the_file_that_is_downloaded(s3_fs, tmp_path):
    resource = pytest.importorskip("resource")
    s3_fs.pipe({"contract/full/a": bytes(9000), "contract/full/b": bytes(9000)})
    target = str(tmp_path / "a")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))  # as on a full disk; the signal is ignored
    try:
        for download in (
            lambda: s3_fs.get("contract/full/a", target),
            lambda: s3_fs.get_file("contract/full/a", target),
            lambda: s3_fs.get(["contract/full/a", "contract/full/b"], [target, target]),
            lambda: s3_fs.open("contract/full/a", cache_type="mmap", cache_options={"location": target}),
        ):
            with pytest.raises(OSError) as caught:
                download()
            assert caught.value.errno == errno.EFBIG and caught.value.filename == target
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        s3_fs.rm("contract/full", recursive=True)
