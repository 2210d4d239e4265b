"""A real repository, made by pygit2."""

import os
import pickle

import pytest

pygit2 = pytest.importorskip("pygit2")

import fsspec
from fsspec.implementations.git import GitFileSystem
from fsspec.tests.programs import run


def commit(repo, files, message):
    who = pygit2.Signature("somebody", "somebody@example.org", 0, 0)
    for path, data in files.items():
        repo.index.add(pygit2.IndexEntry(path, repo.create_blob(data), pygit2.enums.FileMode.BLOB))
    repo.index.write()
    parents = [] if repo.head_is_unborn else [repo.head.target]
    return str(repo.create_commit("HEAD", who, who, message, repo.index.write_tree(), parents))


@pytest.fixture
def repo(tmp_path):
    """Two commits; the first has the tag v1."""
    repo = pygit2.init_repository(str(tmp_path / "repo"), initial_head="main")
    first = commit(repo, {"a.txt": b"one", "sub/b.bin": bytes(range(256)), "sub/deep/c": b"c"}, "first")
    repo.references.create("refs/tags/v1", first)
    commit(repo, {"a.txt": b"two!", "odd@name:x": b"odd"}, "second")
    repo.first = first
    return repo


@pytest.fixture
def fs(repo):
    return GitFileSystem(repo.workdir)


def test_folders_of_a_commit_are_listed(fs):
    assert sorted(fs.ls("", detail=False)) == ["a.txt", "odd@name:x", "sub"]
    assert [e["name"] for e in fs.ls("sub")] == ["sub/b.bin", "sub/deep"]
    assert fs.ls("a.txt") == [fs.info("a.txt")]
    assert sorted(fs.find("")) == ["a.txt", "odd@name:x", "sub/b.bin", "sub/deep/c"]
    assert fs.isdir("") and fs.isdir("sub") and fs.isfile("a.txt") and not fs.exists("none")
    info = fs.info("sub/b.bin")
    assert (info["type"], info["size"], info["mode"], len(info["hex"])) == ("file", 256, "100644", 40)


def test_files_of_a_commit_are_read(fs, tmp_path):
    assert fs.cat("a.txt") == b"two!" and fs.cat("odd@name:x") == b"odd"
    assert fs.cat_file("sub/b.bin", 10, 20) == bytes(range(10, 20))
    assert fs.open("sub/b.bin").size == 256
    with fs.open("sub/deep/c", "rt") as f:
        assert f.read() == "c"
    assert fs.cat("sub", recursive=True).keys() == {"sub/b.bin", "sub/deep/c"}
    fs.get("a*", f"{tmp_path}/out/")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"two!"


def test_a_reference_chooses_the_commit(fs, repo):
    assert fs.cat_file("a.txt", ref="v1") == b"one"
    assert GitFileSystem(repo.workdir, ref=repo.first[:10]).cat("a.txt") == b"one"
    assert GitFileSystem(fo=repo.workdir, ref="v1").ls("", detail=False) == ["a.txt", "sub"]
    assert fs.ukey("a.txt") != fs.ukey("a.txt", ref="v1")
    assert fs.ukey("sub/b.bin") == fs.ukey("sub/b.bin", ref="v1")
    commit(repo, {"a.txt": b"three"}, "third")
    assert fs.cat("a.txt") == b"three"


def test_without_a_reference_it_is_master_or_else_what_is_checked_out(repo):
    assert GitFileSystem(repo.workdir).ref == "main"
    first = repo[repo.first]
    repo.set_head(first.id)
    assert GitFileSystem(repo.workdir, skip_instance_cache=True).cat("a.txt") == b"one"
    repo.branches.create("master", first)
    repo.set_head("refs/heads/main")
    fs = GitFileSystem(repo.workdir, skip_instance_cache=True)
    assert (fs.ref, fs.cat("a.txt"), fs.cat_file("a.txt", ref="HEAD")) == ("master", b"one", b"two!")


def test_urls_name_repository_reference_and_path(repo):
    place = repo.workdir.rstrip("/")
    with fsspec.open(f"git://{place}:v1@a.txt") as f:
        assert f.read() == b"one"
    with fsspec.open(f"git://{place}:sub/deep/c") as f:
        assert f.read() == b"c"
    assert GitFileSystem._get_kwargs_from_urls("git://ref@a.txt") == {"ref": "ref"}
    assert GitFileSystem._get_kwargs_from_urls("a/b") == {}
    assert GitFileSystem._strip_protocol(["git:///p/to:ref@a/b.txt", "/a/b/"]) == ["a/b.txt", "a/b"]


def test_a_repository_in_the_user_s_folder_and_as_a_url(repo, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for place in ("~/repo", f"file://{tmp_path}/repo", tmp_path / "repo"):
        assert GitFileSystem(place).cat_file("a.txt") == b"two!"
    with fsspec.open("git://~/repo:v1@a.txt") as f:
        assert f.read() == b"one"


def test_what_is_missing_is_told_with_the_repository(fs, repo):
    with pytest.raises(FileNotFoundError, match="^a.tx: not in commit .*repo.*is 'a.txt' meant") as caught:
        fs.info("a.tx")
    assert caught.value.args == ("a.tx",)
    for change in (fs.rm_file, lambda path: fs.mv(path, "b"), lambda path: fs.cp_file(path, "b")):
        with pytest.raises(NotImplementedError, match="'a.txt': a repository is only read here"):
            change("a.txt")


def test_what_is_not_there_is_named_in_errors(fs, tmp_path, repo):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        GitFileSystem(str(tmp_path / "nowhere"))
    for operation in ("ls", "info", "open", "cat_file"):
        with pytest.raises(FileNotFoundError, match="none"):
            getattr(fs, operation)("none")
        with pytest.raises(FileNotFoundError):
            getattr(fs, operation)("a.txt/below")
    with pytest.raises(FileNotFoundError, match="v9") as caught:
        GitFileSystem(repo.workdir, ref="v9").ls("")
    with pytest.raises(KeyError) as theirs:
        repo.revparse_single("v9")
    assert isinstance(caught.value, theirs.type), "programs catch pygit2's"
    with pytest.raises(IsADirectoryError, match="sub"):
        fs.open("sub")
    with pytest.raises(NotImplementedError, match="a.txt"):
        fs.open("a.txt", "wb")
    with pytest.raises(FileNotFoundError):
        fs.cat_file("../repo/.git/config")


def test_repository_without_commits(tmp_path):
    pygit2.init_repository(str(tmp_path / "new"))
    with pytest.raises(FileNotFoundError, match="HEAD"):
        GitFileSystem(str(tmp_path / "new")).ls("")


def test_a_pickled_instance_reads_the_same(fs):
    assert pickle.loads(pickle.dumps(fs)).cat("a.txt") == b"two!"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
def test_an_inherited_instance_works_in_every_mode(repo, reset):
    """It holds no connection, and can be used whatever was chosen."""
    text = f"""
        import fsspec
        from fsspec._checks.forked import by_fork
        fs = fsspec.filesystem("git", path={repo.workdir!r})
        f = fs.open("sub/b.bin")
        assert f.read(10) == bytes(range(10))

        def body():
            assert fs.cat("a.txt") == b"two!" and len(fs.find("")) == 4
            assert f.read() == bytes(range(10, 256))

        for _ in range(2):
            report = by_fork(body)
            assert not report.problem(), report.problem()
        assert f.read(10) == bytes(range(10, 20)) and fs.cat("sub/deep/c") == b"c"
    """
    assert run(text, FSSPEC_FORK_RESET=reset) == ""
