"""The generic filesystem: between memory, a folder, a web server and an S3 store."""

import asyncio
import os
import threading

import pytest

import fsspec
from fsspec import generic
from fsspec.generic import GenericFileSystem, copy_file_op, maybe_await, rsync, set_generic_fs
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from fsspec.spec import AbstractFileSystem
from fsspec.tests.dictfs import DictFileSystem
from fsspec.tests.programs import run
from fsspec.tests.servers.s3 import CREDENTIALS, serve_s3
from fsspec.utils import infer_storage_options

BIG = b"".join(i.to_bytes(4, "big") for i in range(2**20))
TREE = {"/r/one": b"1", "/r/two.txt": b"22", "/r/sub/three": b"333", "/r/sub/deep/four.txt": b"4444"}


@pytest.fixture
def fs():
    return fsspec.filesystem("generic")


@pytest.fixture
def tree(m):
    for path, data in TREE.items():
        m.pipe(path, data)
    m.mkdir("/r/empty")
    return m


@pytest.fixture
def out(tmp_path):
    return f"file://{tmp_path.as_posix()}/out"


@pytest.fixture(scope="module")
def s3_address():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with serve_s3() as address:
        yield address


@pytest.fixture
def s3(s3_address, monkeypatch):
    """The S3 filesystem that options in the environment give."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    s3 = fsspec.filesystem("s3")
    s3.invalidate_cache()
    if not s3.exists("bucket"):
        s3.mkdir("bucket")
    yield s3
    s3.invalidate_cache()
    if found := s3.find("bucket"):
        s3.rm(found)


def below(folder):
    """The files below a folder, by relative path."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# one path ------------------------------------------------------------------------
def test_paths_are_urls(fs, tree, tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    url = f"file://{tmp_path.as_posix()}/a"
    assert fs.cat(["memory://r/one", url]) == {"memory:///r/one": b"1", url: b"x"}
    assert fs.info(url)["name"] == url
    assert fs.find("memory://r/sub") == ["memory:///r/sub/deep/four.txt", "memory:///r/sub/three"]
    assert fs.glob("memory://r/*.txt") == ["memory:///r/two.txt"]
    assert fs.glob("memory://r/*/") == ["memory:///r/empty", "memory:///r/sub"]
    assert fs.du("memory://r/sub", total=False) == {
        "memory:///r/sub/deep/four.txt": 4,
        "memory:///r/sub/three": 3,
    }
    assert list(fs.walk("memory://r/sub"))[0] == ("memory:///r/sub", ["deep"], ["three"])
    assert fs._strip_protocol(["generic://memory://r/one/"]) == ["memory:///r/one"]


@pytest.mark.parametrize("name", ["created", "modified", "checksum", "ukey", "lexists", "size", "isdir"])
def test_less_usual_operations_reach_the_target(fs, tree, name):
    assert getattr(fs, name)("memory://r/one") == getattr(tree, name)("/r/one")


def test_wrapper_asks_the_target_for_everything(fs):
    """As the wrappers of one filesystem do."""
    from fsspec.tests.test_wrappers import BULK, missing

    composed = {"expand_path", "walk", "open", "start_transaction", "end_transaction"}
    composed |= {"mkdir", "rmdir"}  # which do nothing, as upstream's
    composed.add("stats")  # it has no one target: what those count is theirs
    assert missing(GenericFileSystem, fs, also=BULK | composed) == []


def test_files_are_those_of_the_target(fs, tree, out):
    with fs.open(out, "wb") as f:
        f.write(b"abc")
    with fs.open(out, "rt") as f:
        assert f.read() == "abc"
    with fs.transaction:
        fs.pipe_file(out, b"later")
        with fs.open("memory://r/new", "wb") as f:
            f.write(b"new")
        assert not tree.exists("/r/new")
    assert tree.cat("/r/new") == b"new"


def test_removing_asks_each_path_for_its_own(fs, tree, out):
    fs.pipe({out: b"x"})
    fs.rm(["memory://r/one", out, "memory://r/two.txt"])
    assert not fs.exists(out) and not tree.exists("/r/one") and not tree.exists("/r/two.txt")
    fs.rm("memory://r/sub", recursive=True)
    assert tree.find("/r") == []


def test_files_are_moved_between_filesystems(fs, tree, out, tmp_path):
    fs.mv("memory://r/one", out)
    assert (tmp_path / "out").read_bytes() == b"1" and not tree.exists("/r/one")
    fs.mv(out, out + "2")
    assert (tmp_path / "out2").read_bytes() == b"1" and not (tmp_path / "out").exists()


def test_get_and_put(fs, tree, tmp_path):
    fs.get("memory://r/sub", f"{tmp_path}/got", recursive=True)
    assert below(tmp_path / "got") == {"three": b"333", "deep/four.txt": b"4444"}
    fs.put(f"{tmp_path}/got/three", "memory://put")
    assert tree.cat("/put") == b"333"


# which filesystem ------------------------------------------------------------------
def test_ways_to_find_the_filesystem(tree, monkeypatch):
    monkeypatch.setattr(generic, "_generic_fs", {})
    with pytest.raises(ValueError, match="nonsense"):
        GenericFileSystem("nonsense").cat("memory://r/one")
    with pytest.raises(KeyError, match="set_generic_fs"):
        GenericFileSystem("generic").cat("memory://r/one")
    with pytest.raises(ValueError, match="maxdepth"):  # which is told first
        GenericFileSystem("generic").glob("memory://r/*", maxdepth=0)
    set_generic_fs("memory")
    fs = GenericFileSystem("options", storage_options={"memory": {"secret": "word"}})
    for fs in (GenericFileSystem("generic"), GenericFileSystem("current"), fs):
        assert fs.cat("memory://r/one") == b"1"
    assert fs._resolve_url("memory://r")[0].storage_options == {"secret": "word"}
    assert "word" not in repr(fs)


class Hosts(MemoryFileSystem):
    """One store for each host, which the URL names."""

    protocol = "hosts"
    store, pseudo_dirs = {}, [""]  # noqa: RUF012  # as the base class has them

    def __init__(self, host=None, **options):
        super().__init__(**options)
        self.host = host

    @staticmethod
    def _get_kwargs_from_urls(path):
        host = infer_storage_options(path).get("host")
        return {"host": host} if host else {}

    @classmethod
    def _strip_protocol(cls, path):
        return infer_storage_options(path)["path"].rstrip("/")

    def unstrip_protocol(self, name):
        return f"hosts://{self.host}{self._strip_protocol(name)}"


def test_options_are_joined_by_those_of_the_url(m, monkeypatch):
    monkeypatch.setitem(_registry, "hosts", Hosts)
    fs = GenericFileSystem("options")
    assert fs._resolve_url("hosts://one/a")[0].host == "one"
    fs = GenericFileSystem("options", storage_options={"hosts": {"host": "two"}})
    assert fs._resolve_url("hosts://two/a") == (Hosts(host="two"), "/a")
    assert fs._resolve_url("hosts:///a")[0].host == "two"
    with pytest.raises(TypeError, match="hosts: got multiple values for keyword argument 'host'"):
        fs._resolve_url("hosts://one/a")


def test_names_of_a_backend_that_gives_entries_in_any_case(monkeypatch):
    class Entries(DictFileSystem):
        def ls(self, path, detail=True, **kwargs):
            return super().ls(path)

    monkeypatch.setattr(generic, "_generic_fs", {"dictfs": Entries({"a/b": b"1", "a/c/d": b"2"})})
    fs = GenericFileSystem("generic")
    assert fs.ls("dictfs://a", detail=False) == ["dictfs://a/b", "dictfs://a/c"]
    assert [entry["name"] for entry in fs.ls("dictfs://a")] == ["dictfs://a/b", "dictfs://a/c"]


def test_protocol_that_is_not_known(fs):
    with pytest.raises(ValueError, match="bogus"):
        fs.info("bogus://x")


# copying ---------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 10, 2**20, 2**20 + 1, len(BIG)])
def test_copying_whole_and_in_blocks(fs, m, out, tmp_path, size):
    m.pipe("/big", BIG[:size])
    fs.cp_file("memory://big", out)
    assert (tmp_path / "out").read_bytes() == BIG[:size]
    fs.cp_file(out, "memory://a/b/back")
    assert m.cat("/a/b/back") == BIG[:size]


def test_copying_makes_folders_and_pairs(fs, tree, out, tmp_path):
    fs.copy(["memory://r/one", "memory://r/two.txt"], out + "/")
    fs.copy("memory://r/*.txt", out + "/matched/")
    fs.copy("memory://r/one", out)
    fs.copy(["memory://r/one"], [out + "/named"])
    assert below(tmp_path / "out") == {"one": b"1", "two.txt": b"22", "matched/two.txt": b"22", "named": b"1"}
    fs.cp_file("memory://r/empty", out + "/empty")
    assert (tmp_path / "out/empty").is_dir()


def test_trees_are_not_for_copy(fs, tree, out):
    with pytest.raises(NotImplementedError, match="rsync"):
        fs.copy("memory://r", out, recursive=True)


def test_missing_sources_are_passed_over_between_filesystems(fs, tree, out, tmp_path):
    fs.copy(["memory://r/none", "memory://r/one"], [out + "1", out + "2"])
    assert below(tmp_path) == {"out2": b"1"}
    for within in ("memory://r/new", ["memory://r/new"]):
        with pytest.raises(FileNotFoundError, match="/r/none"):
            fs.copy("memory://r/none" if isinstance(within, str) else ["memory://r/none"], within)
    with pytest.raises(FileNotFoundError, match="/r/none"):
        fs.copy("memory://r/none", out, on_error="raise")
    with pytest.raises(FileNotFoundError, match="/r/none"):
        fs.cp_file("memory://r/none", out)
    for target in (out, "memory://r/new"):
        with pytest.raises(FileNotFoundError, match="out2/below"):
            fs.cp_file(out + "2/below", target)


def test_other_failures_are_raised(fs, tree, out, tmp_path):
    """They are not what `on_error` is about."""
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(NotADirectoryError):
        fs.copy("memory://r/one", out + "/below/it")


def test_callback_is_called(fs, m, out):
    m.pipe("/big", BIG)
    callback = fsspec.Callback()
    fs.cp_file("memory://big", out, callback=callback)
    assert (callback.size, callback.value) == (len(BIG), len(BIG))


def test_copy_file_op(fs, tree):
    memory, local = tree, fsspec.filesystem("file")
    both = copy_file_op(memory, ["/r/none", "/r/one"], memory, ["/x", "/y"], on_error="return")
    failures = asyncio.run(both)
    assert isinstance(failures[0], FileNotFoundError) and failures[1] is None
    assert asyncio.run(copy_file_op(memory, ["/r/none"], local, ["/nowhere/x"])) is None
    with pytest.raises(FileNotFoundError):
        asyncio.run(copy_file_op(memory, ["/r/none"], local, ["/nowhere/x"], on_error="raise"))
    with pytest.raises(FileNotFoundError):  # a file that is there
        asyncio.run(copy_file_op(local, [__file__], local, ["/nowhere/x"]))
    with pytest.raises(ValueError, match="on_error"):
        asyncio.run(copy_file_op(memory, [], local, [], on_error="pass"))
    with pytest.raises(ValueError, match="1 source, "):
        asyncio.run(copy_file_op(memory, ["a"], local, []))


def test_only_what_is_awaitable_is_awaited():
    async def five():
        return 5

    async def both():
        return await maybe_await(five()), await maybe_await(6)

    assert asyncio.run(both()) == (5, 6)


class Meeting(fsspec.get_filesystem_class("memory")):
    """Memory in which three files are always written at a time, and never more."""

    protocol = "meeting"
    lock, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def pipe_file(self, path, value, **kwargs):
        with Meeting.lock:
            Meeting.now += 1
            Meeting.most = max(Meeting.most, Meeting.now)
        Meeting.together.wait(30)
        super().pipe_file(path, value, **kwargs)
        with Meeting.lock:
            Meeting.now -= 1


def test_as_many_at_a_time_as_the_batch_size_says(tmp_path):
    """Of a filesystem that blocks."""
    for i in range(9):
        (tmp_path / str(i)).write_bytes(b"%d" % i)
    fsspec.register_implementation("meeting", Meeting, clobber=True)
    fs = GenericFileSystem(batch_size=3)
    fs.copy(f"file://{tmp_path}/*", "meeting://copied/")
    assert Meeting.most == 3
    assert fs.cat("meeting://copied/*") == {f"meeting://copied/{i}": b"%d" % i for i in range(9)}
    fs.rm("meeting://copied", recursive=True)


# from one server to another ----------------------------------------------------------
@pytest.mark.parametrize("size", [10, len(BIG)])
def test_from_web_to_store(fs, m, s3, http_server, size):
    http_server.files["/a.bin"] = BIG[:size]
    fs.copy(http_server.url + "/a.bin", "s3://bucket/a.bin")
    assert s3.cat("bucket/a.bin") == BIG[:size]
    fs.copy("s3://bucket/a.bin", "memory://back")
    assert fs.cat("memory://back") == BIG[:size]


class Breaking(fsspec.Callback):
    """Has the server fail once 7 MiB have gone through; what reads on by itself finds that too."""

    def __init__(self, server, status):
        super().__init__()
        self.server, self.status = server, status
        server.fault("/a.bin", methods=("GET",), drop_after=8 * 2**20)

    def relative_update(self, inc=1):
        super().relative_update(inc)
        if self.value >= 7 * 2**20:
            self.server.fault("/a.bin", methods=("GET",), status=self.status)


@pytest.mark.parametrize("status, error", [(500, OSError), (404, FileNotFoundError)])
@pytest.mark.parametrize("target", ["s3", "file", "memory"])
def test_what_breaks_off_leaves_nothing(m, s3, http_server, out, tmp_path, status, error, target):
    """What was there before stays."""
    fs = GenericFileSystem("options", storage_options={"s3": {"default_block_size": 5 * 2**20}})
    http_server.files["/a.bin"] = BIG * 3
    url = {"s3": "s3://bucket/a.bin", "file": out, "memory": "memory://a.bin"}[target]
    with pytest.raises(error):
        fs.cp_file(http_server.url + "/a.bin", url, callback=Breaking(http_server, status))
    assert not fs.exists(url)
    fs.pipe(url, b"before")
    with pytest.raises(error):
        fs.cp_file(http_server.url + "/a.bin", url, callback=Breaking(http_server, status))
    assert fs.cat(url) == b"before"
    assert set(below(tmp_path)) <= {"out"}
    assert not asyncio_call(s3, "list_multipart_uploads", Bucket="bucket").get("Uploads")


def asyncio_call(s3, name, **kwargs):
    """One request to the store."""
    return fsspec.asyn.sync(s3.loop, s3._call_s3, name, **kwargs)


def test_awaited_by_a_program(s3, http_server):
    """The targets live on another loop than the caller."""
    http_server.files["/a.bin"] = BIG

    async def program():
        fs = GenericFileSystem(asynchronous=True, skip_instance_cache=True)
        await fs._copy(http_server.url + "/a.bin", "s3://bucket/a.bin")
        return await fs._cat_file("s3://bucket/a.bin", start=4, end=8)

    assert asyncio.run(program()) == BIG[4:8]
    assert s3.cat("bucket/a.bin") == BIG


@pytest.mark.parametrize("size", [2**20, len(BIG)])
@pytest.mark.parametrize("target", ["memory://a.bin", "file"])
def test_who_cancels_a_copy_is_not_held_by_the_server(m, http_server, out, size, target):
    """It returns while the server still stalls; what comes after that goes nowhere."""
    url = out if target == "file" else target
    http_server.files["/a.bin"] = BIG[:size]
    http_server.fault("/a.bin", methods=("GET",), delay_body=4)
    fs = GenericFileSystem(skip_instance_cache=True)

    async def program():
        awaited = GenericFileSystem(asynchronous=True, skip_instance_cache=True)
        await asyncio.wait_for(awaited._cp_file(http_server.url + "/a.bin", url), 0.5)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(program())
    assert all(request.sent < size for request in http_server.requests)
    assert any(thread.name == "fsspec-generic" for thread in threading.enumerate())
    for thread in threading.enumerate():
        if thread.name == "fsspec-generic":
            thread.join(60)
    assert not fs.exists(url)


def test_paths_of_unknown_protocols_do_not_exist():
    """They are not there, as anything that nobody can find."""
    fs = GenericFileSystem(default_method="generic", skip_instance_cache=True)
    assert not fs.exists("nobody://x") and not fs.isfile("nobody://x")
    fs.invalidate_cache("nobody://x")


# trees -----------------------------------------------------------------------------
def test_rsync_copies_a_tree(tree, out, tmp_path):
    copied = rsync("memory://r", out)
    assert copied == {f"memory://{p}": out + p.removeprefix("/r") for p in TREE}
    assert below(tmp_path / "out") == {p.removeprefix("/r/"): data for p, data in TREE.items()}
    assert (tmp_path / "out/empty").is_dir()
    assert rsync("memory://r", out) == {}
    tree.pipe("/r/one", b"longer")
    assert list(rsync("memory://r", out, update_cond="never")) == []
    assert list(rsync("memory://r", out)) == ["memory:///r/one"]
    assert len(rsync("memory://r", out, update_cond="always")) == 4


@pytest.mark.parametrize(
    "given", [{"inst_kwargs": {"storage_options": {"memory": {}}}}, {"storage_options": {"memory": {}}}]
)
def test_options_that_rsync_does_not_use_are_a_warning_that_names_what_has_them_used(tree, out, given):
    with pytest.warns(UserWarning, match="no effect here: give .*default_method") as caught:
        assert rsync("memory://r", out, **given)
    assert len(caught) == 1


def test_rsync_removes_what_is_not_there(tree, out, tmp_path):
    rsync("memory://r", out)
    tree.rm("/r/sub", recursive=True)
    tree.rm("/r/one")
    rsync("memory://r", out)
    assert len(below(tmp_path / "out")) == 4
    rsync("memory://r", out, delete_missing=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["empty", "two.txt"]


def test_rsync_compares_the_given_field(tree, out):
    rsync("memory://r", out)
    assert len(rsync("memory://r", out, source_field=lambda entry: 1, dest_field=lambda entry: 2)) == 4
    with pytest.raises(KeyError, match="checksum: the entry of memory:///r/"):
        rsync("memory://r", out, source_field="checksum")


def test_rsync_refuses_what_is_no_folder(tree, out):
    with pytest.raises(ValueError, match="/r/nowhere' is not found"):
        rsync("memory://r/nowhere", "memory://x")
    with pytest.raises(ValueError, match="/r/one' is a file"):
        rsync("memory://r/one", out)
    with pytest.raises(ValueError, match="update_cond"):
        rsync("memory://r", out, update_cond="newer")


def test_rsync_stays_in_its_target(tree, out, tmp_path):
    """Names in a store are not trusted."""
    tree.store["/r/../../escaped"] = tree.store["/r/one"]
    with pytest.raises(ValueError, match="leads out"):
        rsync("memory://r", out)
    assert not (tmp_path / "escaped").exists() and not (tmp_path / "out").exists()


ROOTS = ["memory://", "memory:///", "slashed://", "plain://"]


class Slashed(AbstractFileSystem):
    """A store of a third party whose root is a slash, kept in memory below a folder."""

    protocol = "slashed"
    root_marker = "/"
    top = "/slashed"

    def _there(self, path):
        return self.top + ("/" + self._strip_protocol(path).lstrip("/")).rstrip("/")

    def ls(self, path, detail=True, **kwargs):
        inner = fsspec.filesystem("memory")
        named = [
            {**e, "name": self.root_marker + e["name"].removeprefix(f"{self.top}/")}
            for e in inner.ls(self._there(path), detail=True)
        ]
        return named if detail else [e["name"] for e in named]

    def makedirs(self, path, exist_ok=False):
        fsspec.filesystem("memory").makedirs(self._there(path), exist_ok=exist_ok)

    def _rm(self, path):
        fsspec.filesystem("memory").rm(self._there(path))

    def _open(self, path, mode="rb", **kwargs):
        return fsspec.filesystem("memory").open(self._there(path), mode)


class Plain(Slashed):
    """The same with a root that is empty, as object stores have it."""

    protocol = "plain"
    root_marker = ""
    top = "/plain"


@pytest.fixture(params=ROOTS)
def root(request, m, tmp_path, monkeypatch):
    """The URL of the root of a filesystem, and of a path in it; here nothing may be written."""
    for cls in (Slashed, Plain):
        fsspec.register_implementation(cls.protocol, cls, clobber=True)
        if request.param.startswith(cls.protocol):
            m.makedirs(cls.top)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    protocol = request.param.partition(":")[0]
    yield request.param, f"{protocol}://" if protocol == "plain" else f"{protocol}:///"
    assert os.listdir(tmp_path / "here") == []


def test_rsync_to_a_root(fs, root, out, tmp_path):
    """What is there and not in the source goes, as asked; what is copied is in its place."""
    url, start = root
    fs.makedirs(f"{out}/sub")
    fs.pipe({f"{out}/crab": b"1", f"{out}/sub/fish": b"22"})
    fs.pipe(f"{start}old", b"old")
    copied = rsync(out, url, delete_missing=True)
    assert copied == {f"{out}/crab": f"{start}crab", f"{out}/sub/fish": f"{start}sub/fish"}
    assert fs.find(url) == [f"{start}crab", f"{start}sub/fish"]
    assert fs.cat(f"{start}sub/fish") == b"22"
    assert rsync(out, url, delete_missing=True) == {}


def test_rsync_from_a_root(fs, root, out, tmp_path):
    url, start = root
    fs.pipe(f"{start}zoo/ape", b"1")
    assert rsync(url, out) == {f"{start}zoo/ape": f"{out}/zoo/ape"}
    assert below(tmp_path / "out") == {"zoo/ape": b"1"}
    assert rsync(url, out + "/") == {}


@pytest.mark.parametrize("how", ["copy", "copy pattern", "copy list", "mv", "put"])
def test_the_root_is_a_folder_like_another(fs, root, out, tmp_path, how):
    url, start = root
    fs.makedirs(out)
    fs.pipe(f"{out}/crab", b"1")
    if how == "put":
        fs.put(tmp_path / "out/crab", url)
    elif how == "mv":
        fs.mv(f"{out}/crab", url)
    else:
        fs.copy({"copy": f"{out}/crab", "copy pattern": f"{out}/*", "copy list": [f"{out}/crab"]}[how], url)
    assert fs.find(url) == [f"{start}crab"]


class Failing(Plain):
    """A store one of whose folders cannot be listed for now."""

    protocol = "failing"
    top = "/slashed"
    error = None

    def ls(self, path, detail=True, **kwargs):
        if self.error is not None and path.rstrip("/").endswith("sub"):
            raise self.error
        return super().ls(path, detail, **kwargs)


@pytest.mark.parametrize("error", [ConnectionResetError("cut"), TimeoutError("stalled"), OSError(5, "EIO")])
@pytest.mark.parametrize("where", ["source", "target"])
def test_rsync_removes_nothing_where_a_listing_fails(fs, m, out, tmp_path, monkeypatch, where, error):
    """What is not known is not taken for lacking."""
    fsspec.register_implementation("failing", Failing, clobber=True)
    m.pipe({"/slashed/r/a": b"1", "/slashed/r/sub/b": b"1"})
    rsync("failing://r", out)
    fs.pipe(f"{out}/sub/only", b"2")
    m.pipe("/slashed/r/sub/only", b"2")
    monkeypatch.setattr(Failing, "error", error)
    before = below(tmp_path / "out"), sorted(m.store)
    with pytest.raises(type(error)):
        rsync(*(("failing://r", out) if where == "source" else (out, "failing://r")), delete_missing=True)
    assert before == (below(tmp_path / "out"), sorted(m.store))


def test_rsync_removes_nothing_for_a_folder_that_may_not_be_read(m, out, tmp_path, monkeypatch):
    fsspec.register_implementation("failing", Failing, clobber=True)
    m.pipe({"/slashed/r/a": b"1", "/slashed/r/sub/b": b"1", "/slashed/r/sub/deep/c": b"1"})
    rsync("failing://r", out)
    before = below(tmp_path / "out")
    monkeypatch.setattr(Failing, "error", PermissionError("locked"))
    with pytest.raises(PermissionError, match="locked"):
        rsync("failing://r", out, delete_missing=True)
    assert below(tmp_path / "out") == before
    m.rm("/slashed/r/sub", recursive=True)  # what really is gone is removed
    rsync("failing://r", out, delete_missing=True)
    assert below(tmp_path / "out") == {"a": b"1"}


class Misnaming(Plain):
    """A store that lists what nobody can place."""

    protocol = "misnaming"
    top = "/slashed"

    def find(self, path, *args, **kwargs):
        return {"elsewhere/a": {"name": "elsewhere/a", "size": 1, "type": "file"}}


def test_rsync_refuses_names_that_are_elsewhere(m, tree, out):
    """Rather than take everything in the target for what is lacking in the source."""
    fsspec.register_implementation("misnaming", Misnaming, clobber=True)
    m.makedirs("/slashed/k")
    with pytest.raises(ValueError, match="not below it"):
        rsync("misnaming://k", "memory://r", delete_missing=True)
    assert {p: tree.cat(p) for p in tree.find("/r")} == TREE


def test_rsync_between_a_store_and_a_folder(s3, tree, out, tmp_path):
    GenericFileSystem().rsync("memory://r", "s3://bucket/copy")
    assert sorted(s3.find("bucket/copy")) == sorted("bucket/copy" + p.removeprefix("/r") for p in TREE)
    assert rsync("memory://r", "s3://bucket/copy") == {}
    rsync("s3://bucket/copy", out)
    assert below(tmp_path / "out") == {p.removeprefix("/r/"): data for p, data in TREE.items()}
    tree.rm("/r/sub", recursive=True)
    rsync("memory://r", "s3://bucket/copy", delete_missing=True)
    assert sorted(s3.find("bucket/copy")) == ["bucket/copy/one", "bucket/copy/two.txt"]


# forks -----------------------------------------------------------------------------
PROGRAM = """
    import fsspec, threading
    from fsspec._checks.forked import by_fork
    web, big = {web!r}, {big}
    fs = fsspec.filesystem("generic")
    s3 = fsspec.filesystem("s3")
    s3.exists("bucket") or s3.mkdir("bucket")
    fs.copy(web, "s3://bucket/" + {name!r})
    reading = fs.open(web)
    assert reading.read(4) == big[:4]

    def body():
        {body}

    report = by_fork(body)
    assert not report.problem(), report.problem()
    assert reading.read() == big[4:]
    fs.copy("s3://bucket/" + {name!r}, "memory://back")
    assert fs.cat("memory://back") == big
    assert fs.cat(web) == big
    print("well")
"""
WORKS = """
        fs.copy(web, "s3://bucket/child")
        assert fs.cat("s3://bucket/child") == big
        assert reading.read(4) == big[4:8]
        fsspec.generic.rsync("s3://bucket", "memory://child")
        assert fs.cat("memory://child/child") == big
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("size", [1000, 3 * 2**20])
@pytest.mark.parametrize("reset", ["1", "0"])
def test_an_inherited_generic_filesystem_copies(s3, http_server, s3_address, reset, size):
    http_server.files["/a.bin"] = BIG[:size]
    big = f"b''.join(i.to_bytes(4, 'big') for i in range({size // 4}))"
    text = PROGRAM.format(web=http_server.url + "/a.bin", big=big, name="parent", body=WORKS.strip())
    assert run(text, FSSPEC_FORK_RESET=reset) == "well\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("by_hand", [True, False])
def test_filesystems_that_were_set_are_inherited(http_server, by_hand):
    """They work in the child as soon as it may use them."""
    http_server.files["/a.bin"] = BIG
    text = f"""
        import fsspec
        from fsspec import generic
        from fsspec._checks.forked import by_fork
        from fsspec.asyn import reset_after_fork
        from fsspec.exceptions import ForkError
        generic.set_generic_fs("http")
        fs, web = fsspec.filesystem("generic", default_method="generic"), {http_server.url + "/a.bin"!r}
        assert fs.cat_file(web, 0, 4) == bytes(4)

        def body():
            if {by_hand}:
                reset_after_fork()
            new = generic.GenericFileSystem("generic", skip_instance_cache=True)
            for each in (fs, new):
                try:
                    assert each.cat_file(web, 4, 8) == bytes([0, 0, 0, 1]) and {by_hand}
                except ForkError:
                    assert not {by_hand}

        report = by_fork(body)
        assert not report.problem(), report.problem()
        assert fs.cat_file(web, 4, 8) == bytes([0, 0, 0, 1])
    """
    assert run(text, FSSPEC_FORK_RESET="0") == ""


IN_FLIGHT = """
    import fsspec, threading
    from fsspec._checks.forked import by_fork
    fs = fsspec.filesystem("generic")
    web, target = {web!r}, {target!r}
    began, go = threading.Event(), threading.Event()

    class Pausing(fsspec.Callback):
        def relative_update(self, inc=1):
            super().relative_update(inc)
            if self.value < 2 * 2**20:
                began.set()
                assert go.wait(30)

    copying = threading.Thread(target=fs.cp_file, args=(web, target), kwargs=dict(callback=Pausing()))
    copying.start()
    assert began.wait(30)
    report = by_fork(lambda: None)
    assert not report.problem(), report.problem()
    assert not fs.exists(target)
    go.set()
    copying.join(30)
    assert fs.cat(target) == fs.cat(web)
    print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
@pytest.mark.parametrize("target", ["s3", "file"])
def test_forked_in_the_middle_of_a_copy(s3, http_server, out, reset, target):
    """The child ends, and the parent's copy goes on."""
    http_server.files["/a.bin"] = BIG
    url = out if target == "file" else "s3://bucket/middle"
    text = IN_FLIGHT.format(web=http_server.url + "/a.bin", target=url)
    assert run(text, FSSPEC_FORK_RESET=reset) == "well\n"


def test_what_it_looks_like():
    cache = fsspec.caching.BytesCache(5, lambda start, end: b"", 10)
    assert "BytesCache" in repr(cache) and "\n" not in repr(cache)


def test_a_slash_at_the_end_of_a_target_is_a_folder(m):
    m.pipe("/a", b"1")
    fs = fsspec.filesystem("generic", default_method="current")
    fs.copy("memory:///a", "memory:///t/u/")
    assert m.cat_file("/t/u/a") == b"1"


@pytest.mark.parametrize(
    "chain", ["zip::memory://z.zip", "zip://in/x::memory://z.zip", "simplecache::memory://in"]
)
def test_a_chain_is_refused_with_the_way_out(m, chain):
    """But of caches made of options, see below."""
    with fsspec.open("zip://in/x::memory://z.zip", "wb", zip={"mode": "w"}) as f:
        f.write(b"1")
    for refused in (
        lambda: rsync(chain, "memory://copied"),
        lambda: rsync("memory://", chain),
        lambda: GenericFileSystem().find(chain),
    ):
        with pytest.raises(ValueError, match="is a chain.*set_generic_fs"):
            refused()
    with pytest.raises(ValueError, match="is a chain.*url_to_fs"):
        fsspec.filesystem("simplecache::memory")
    set_generic_fs("zip", fo="memory://z.zip")
    set_generic_fs("memory")
    try:
        rsync("zip://", "memory://copied", inst_kwargs={"default_method": "generic"})
    finally:
        generic._generic_fs.clear()
    assert m.cat_file("/copied/in/x") == b"1"


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache"])
def test_a_chain_of_a_cache_is_followed_by_options(m, tmp_path, cache):
    m.pipe({"/d/x": b"1", "/d/s/y": b"22"})
    options = {cache: {"cache_storage": str(tmp_path)}}
    fs = GenericFileSystem("options", storage_options=options)
    url = f"{cache}::memory://d"
    assert fs.find(url) == ["memory:///d/s/y", "memory:///d/x"] and fs.cat_file(f"{url}/x") == b"1"
    inst_kwargs = {"default_method": "options", "storage_options": options}
    rsync(url, "memory://copied", inst_kwargs=inst_kwargs)
    rsync("memory://d", f"{cache}::memory://through", inst_kwargs=inst_kwargs)
    for folder in "/copied", "/through":
        assert m.cat(folder, recursive=True) == {f"{folder}/x": b"1", f"{folder}/s/y": b"22"}


@pytest.mark.parametrize("urls", [(None, "memory://a"), ("memory://a", 3)])
def test_rsync_of_what_is_no_url(tree, urls):
    for kind in (TypeError, AttributeError):
        with pytest.raises(kind, match="a URL or a path is needed"):
            rsync(*urls)
