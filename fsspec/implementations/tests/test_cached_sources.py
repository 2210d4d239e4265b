"""One folder of copies for several sources, several kinds of cache, and with and without ``compression``."""

import gzip
import io
import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fsspec
from fsspec.cache import main
from fsspec.implementations._cached.sources import Source
from fsspec.implementations.tests.caches import EVERY, WHOLE
from fsspec.tests.programs import run


@pytest.fixture
def archives(tmp_path):
    """Paths of two archives with a member ``in/a.csv``: its contents are the name of the archive."""
    paths = []
    for name in ("one", "two"):
        paths.append(str(tmp_path / f"{name}.zip"))
        with zipfile.ZipFile(paths[-1], "w") as archive:
            archive.writestr("in/a.csv", name)
    return paths


def read(kind, url, folder, **options):
    """The contents of a file by a new cache over an instance of its own."""
    link = {"cache_storage": str(folder), "skip_instance_cache": True, **options}
    with fsspec.open(f"{kind}::{url}", **{kind: link}) as f:
        return f.read()


@pytest.mark.parametrize("kind", EVERY)
def test_members_of_one_name_in_two_archives(kind, archives, tmp_path):
    kept = {path: fsspec.filesystem(kind, cache_storage=str(tmp_path / "c"), target_protocol="zip",
                                    target_options={"fo": path}) for path in archives}  # fmt: skip
    for path in archives * 2:
        expected = os.path.basename(path)[:3].encode()
        assert read(kind, f"zip://in/a.csv::{path}", tmp_path / "c") == expected
        assert kept[path].cat("in/a.csv") == expected
        assert kept[path].cat_file("in/a.csv", 1, 3) == expected[1:]
    assert sum(len(name) == 64 for name in os.listdir(tmp_path / "c")) == 2
    assert [c.stats()["misses"] for c in kept.values()] in ([0, 0], [1, 1])
    kept[archives[0]].pop_from_cache("in/a.csv")
    assert sum(len(name) == 64 for name in os.listdir(tmp_path / "c")) == 1
    assert [read(kind, f"zip://in/a.csv::{path}", tmp_path / "c") for path in archives] == [b"one", b"two"]


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_copies_with_one_name_are_not_taken_for_each_other(kind, archives, m, tmp_path):
    """Two archives, and two folders, of which another instance has replaced the copy."""
    options = {"cache_storage": str(tmp_path / "c"), "same_names": True}
    zips = [fsspec.filesystem(kind, target_protocol="zip", target_options={"fo": path}, **options)
            for path in archives]  # fmt: skip
    for _ in range(3):
        assert [c.cat_file("in/a.csv") for c in zips] == [b"one", b"two"]
    assert sorted(os.listdir(tmp_path / "c")) == ["a.csv", "cache"]
    m.pipe({"/x/p": b"the first", "/y/p": b"the other"})
    folders = [fsspec.filesystem(kind, target_protocol="memory", skip_instance_cache=True, **options)
               for _ in range(2)]  # fmt: skip
    for _ in range(3):
        assert [c.cat_file(path) for c, path in zip(folders, ("/x/p", "/y/p"))] == [
            b"the first",
            b"the other",
        ]


@pytest.mark.parametrize("write", ["pipe", "open"])
def test_a_written_file_is_no_copy_of_another_file_with_its_name(write, m, tmp_path):
    """Nor is a copy read that stands for it in the table under another name."""

    def put(fs, path, data):
        if write == "pipe":
            fs.pipe(path, data)
            return
        with fs.open(path, "wb") as f:
            f.write(data)

    m.pipe({"/x/p": b"the first", "/y/p": b"the other"})
    options = {"fs": m, "cache_storage": str(tmp_path / "c"), "skip_instance_cache": True}
    one = fsspec.filesystem("filecache", same_names=True, **options)
    assert one.cat("/x/p") == b"the first"
    put(one, "/y/p", b"changed")
    assert one.cat("/x/p") == b"the first" and one.cat("/y/p") == b"changed"

    options["cache_storage"] = str(tmp_path / "d")
    assert fsspec.filesystem("filecache", **options).cat("/x/p") == b"the first"
    again = fsspec.filesystem("filecache", same_names=True, **options)
    put(again, "/x/p", b"changed, too")
    assert again.cat("/x/p") == b"changed, too"


def test_a_copy_that_another_instance_replaces_as_it_is_opened_is_not_read(archives, tmp_path, monkeypatch):
    options = {"cache_storage": str(tmp_path / "c"), "same_names": True}
    one, two = (fsspec.filesystem("filecache", target_protocol="zip", target_options={"fo": path}, **options)
                for path in archives)  # fmt: skip
    one.cat_file("in/a.csv")
    looked_up = one._metadata.lookup
    replaced = []

    def lookup(*args):
        for found in looked_up(*args):
            if not replaced:
                replaced.append(two.cat_file("in/a.csv"))
            yield found

    monkeypatch.setattr(one._metadata, "lookup", lookup)
    with one.open("in/a.csv") as f:
        assert f.read() == b"one" and replaced == [b"two"]


def test_a_copy_that_is_back_after_another_was_read_in_its_place_is_read_again(
    archives, tmp_path, monkeypatch
):
    options = {"cache_storage": str(tmp_path / "c"), "same_names": True}
    one, two, three = (
        fsspec.filesystem("filecache", target_protocol="zip", target_options={"fo": path}, **options)
        for path in [*archives, archives[0]]
    )
    one.cat_file("in/a.csv")
    began, read, replaced = [], one._local_fs.cat_file, []

    def cat_file(*args, **kwargs):
        if began:
            return read(*args, **kwargs)
        began.append(True)
        replaced.append(two.cat_file("in/a.csv"))
        data = read(*args, **kwargs)
        replaced.append(three.cat_file("in/a.csv"))
        return data

    monkeypatch.setattr(one._local_fs, "cat_file", cat_file)
    assert one.cat_file("in/a.csv") == b"one" and replaced == [b"two", b"one"]


@pytest.mark.parametrize("instances", [1, 4])
def test_threads_that_replace_each_others_copies_read_their_own(instances, m, tmp_path):
    for name in "abc":
        m.pipe_file(f"/{name}/file", name.encode() * 10)
    options = {"cache_storage": str(tmp_path), "same_names": True, "skip_instance_cache": True}
    made = [fsspec.filesystem("filecache", fs=m, **options) for _ in range(instances)]

    def read(thread):
        fs = made[thread % instances]
        return [fs.cat_file(f"/{'abc'[(thread + n) % 3]}/file")[:1] for n in range(15)]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(read, range(4)))
    assert found == [[b"abc"[(t + n) % 3 :][:1] for n in range(15)] for t in range(4)]


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_the_list_of_copies_distinguishes_several_of_one_path(kind, archives, m, tmp_path, capsys):
    for path in archives:
        read(kind, f"zip://in/a.csv::{path}", tmp_path / "c")
    m.pipe_file("/p", b"memory")
    read(kind, "memory://p", tmp_path / "c")
    assert main(["list", str(tmp_path / "c")]) == 0
    names = [line.split("whole")[1].strip() for line in capsys.readouterr().out.splitlines()[1:4]]
    notes = [Source(fsspec.filesystem("zip", fo=path), None).note("in/a.csv")[:8] for path in archives]
    assert sorted(names) == sorted([*(f"in/a.csv (source {note})" for note in notes), "/p"])


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_a_path_on_two_filesystems(kind, m, tmp_path):
    local = tmp_path / "p"
    local.write_bytes(b"local")
    m.pipe_file(str(local), b"memory")
    urls = {f"memory://{local}": b"memory", f"file://{local}": b"local"}
    for url in [*urls] * 2:
        assert read(kind, url, tmp_path / "c") == urls[url]
    caches = [fsspec.filesystem(kind, target_protocol=name, cache_storage=str(tmp_path / "c")) for name in
              ("memory", "file")]  # fmt: skip
    caches[1].pipe_file(str(local), b"new")
    assert [c.cat(str(local)) for c in caches] == [b"memory", b"new"]
    table = json.loads((tmp_path / "c" / "cache").read_text())
    assert {detail["original"] for detail in table.values()} == {str(local)}


@pytest.mark.parametrize("kind", WHOLE)
def test_compressed_and_decompressed_copies(kind, tmp_path):
    data = gzip.compress(b"plain")
    (tmp_path / "a.gz").write_bytes(data)
    url = f"file://{tmp_path}/a.gz"
    for _ in range(2):
        assert read(kind, url, tmp_path / "c") == data
        assert read(kind, url, tmp_path / "c", compression="gzip") == b"plain"
        assert read(kind, url, tmp_path / "c", compression="infer") == b"plain"
    assert sum(len(name) == 64 for name in os.listdir(tmp_path / "c")) == 2


@pytest.mark.parametrize("kind", ["filecache", "blockcache"])
def test_an_entry_that_notes_no_source_is_taken_where_the_path_says_it(kind, archives, m, tmp_path):
    """Of an archive it may be that of another one; older releases, and upstream, note nothing."""
    m.pipe_file("/p", b"memory")
    for url in ("memory://p", f"zip://in/a.csv::{archives[0]}"):
        folder = tmp_path / url[:3]
        expected = read(kind, url, folder)
        table = json.loads((folder / "cache").read_text())
        ((key, detail),) = table.items()
        detail["uid"] = detail["uid"].partition("#source:")[0]
        (folder / detail["fn"]).write_bytes(expected.upper())
        (folder / "cache").write_text(json.dumps({key.partition("#")[0]: detail}))
        assert read(kind, url, folder) == (expected.upper() if url[0] == "m" else expected)
    memory = fsspec.filesystem(kind, target_protocol="memory", cache_storage=str(tmp_path / "mem"))
    memory.pop_from_cache("/p")
    assert read(kind, "memory://p", tmp_path / "mem") == b"memory"


def test_where_a_filesystem_is_says_the_note_and_no_secret_does(archives, tmp_path):
    def note(protocol, *args, **options):
        fs = fsspec.get_filesystem_class(protocol)(*args, skip_instance_cache=True, **options)
        return Source(fs, None).note("x"), Source(fs, None).is_needed("x")

    assert note("memory") == note("memory", use_listings_cache=False) and not note("memory")[1]
    assert note("memory") != note("file")
    assert note("zip", archives[0]) == note("zip", fo="file://" + archives[0]) and note("zip", archives[0])[1]
    assert note("zip", archives[0]) != note("zip", archives[1])
    assert note("dir", path="/a", fs=fsspec.filesystem("zip", fo=archives[0])) != note(
        "dir", path="/a", fs=fsspec.filesystem("zip", fo=archives[1])
    )
    files = [io.BytesIO(Path(path).read_bytes()) for path in archives]
    assert note("zip", files[0])[0] != note("zip", files[1])[0]
    refs = [{"a": "base64:" + text} for text in ("MQ==", "Mg==")]
    assert (
        note("reference", fo=refs[0]) == note("reference", fo=dict(refs[0])) != note("reference", fo=refs[1])
    )
    github = {"org": "o", "repo": "r", "sha": "main"}
    assert note("github", **github) == note("github", **github, username="u", token="t")
    assert note("github", **github) != note("github", **{**github, "repo": "s"})
    outer = [note("simplecache", target_protocol="zip", target_options={"fo": path}) for path in archives]
    assert outer[0] != outer[1]


def test_a_connection_string_says_where_files_are_by_all_but_its_secrets():
    class Azure(type(fsspec.filesystem("memory"))):
        protocol, cachable = "azure", False

    def note(account, key):
        text = f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key};EndpointSuffix=e"
        source = Source(Azure(connection_string=text), None)
        assert source.is_needed("x")
        return source.note("x")

    assert note("a", "one==") == note("a", "two==") != note("b", "one==")


def test_the_note_is_the_same_in_another_process_and_folder(archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = (
        "import fsspec; from fsspec.implementations._cached.sources import Source;"
        f"print(Source(fsspec.filesystem('zip', fo={archives[0]!r}), None).note('x'))"
    )
    note = Source(fsspec.filesystem("zip", fo="one.zip", skip_instance_cache=True), None).note("x")
    assert run(program).strip() == note
    with open("one.zip", "rb") as archive:
        assert Source(fsspec.filesystem("zip", fo=archive), None).note("x") == note


def test_the_note_of_what_is_no_path_is_the_same_in_each_folder(archives, tmp_path, monkeypatch):
    """Also of an object that is no file, as clients of pyarrow are."""

    class Hosted(type(fsspec.filesystem("memory"))):
        protocol, cachable = "hosted", False

    def notes():
        options = (
            *({"host": "h", "username": name} for name in "uv"),
            *({"gist_id": name, "username": name} for name in "ab"),
            {"share": "s", "fs": object()},
        )
        return [Source(Hosted(**each), None).note("x") for each in options]

    before = notes()
    monkeypatch.chdir(tmp_path)
    assert notes() == before and len(set(before)) == 5


@pytest.mark.parametrize("several", [False, True], ids=["one folder", "read-only folder"])
def test_a_part_that_a_blockcache_has_read_is_no_copy(several, tmp_path):
    data, c = bytes(range(256)) * 1000, tmp_path / "c"
    (tmp_path / "big").write_bytes(data)
    path = str(tmp_path / "big")
    blocks = fsspec.filesystem("blockcache", target_protocol="file", cache_storage=str(c))
    with blocks.open(path, block_size=1000) as f:
        assert f.read(10) == data[:10]
    folders = [str(c), str(tmp_path / "d")] if several else str(c)
    simple = fsspec.filesystem("simplecache", target_protocol="file", cache_storage=folders)
    for _ in range(2):
        assert simple.cat(path) == data
    assert simple.stats()["misses"] == 1
    with blocks.open(path, block_size=1000) as f:
        f.seek(5000)
        assert f.read(10) == data[5000:5010]
    assert blocks.cat(path) == data
    simple.pipe_file(path, b"new")
    assert simple.cat(path) == b"new"
    simple.pop_from_cache(path)
    assert simple.cat(path) == b"new"
