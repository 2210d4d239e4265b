"""GitHub, gists, Jupyter and DBFS, by services that speak as these do."""

import json
import os
import pickle

import pytest

requests = pytest.importorskip("requests")

import fsspec
from fsspec.implementations.dbfs import DatabricksException, DatabricksFileSystem
from fsspec.implementations.gist import GistFileSystem
from fsspec.implementations.github import GithubFileSystem
from fsspec.implementations.jupyter import JupyterFileSystem
from fsspec.tests.programs import run
from fsspec.tests.servers.rest import TOKEN, RestServer

BIG = bytes(range(256)) * 10_000  # 2.5 MB
TREE = {"a.txt": b"alpha", "sub/b.bin": bytes(range(256)), "sub/deep/c#d ?.txt": b"c", "big": BIG}


def serving(kind):
    @pytest.fixture(scope="module")
    def process():
        with RestServer(kind) as server:
            yield server

    return process


github_process = serving("github")
jupyter_process = serving("jupyter")
databricks_process = serving("databricks")


def filled(server):
    server.ask("clear")
    for path, data in TREE.items():
        server.ask("put", path, data)
    return server


@pytest.fixture
def github_server(github_process):
    return filled(github_process)


@pytest.fixture
def jupyter_server(jupyter_process):
    return filled(jupyter_process)


@pytest.fixture
def databricks_server(databricks_process):
    return filled(databricks_process)


def hub(server):
    """The class, asking the server."""
    return type(
        "LocalHub",
        (GithubFileSystem,),
        {
            "url": server.url + "/repos/{org}/{repo}/git/trees/{sha}",
            "content_url": server.url + "/repos/{org}/{repo}/contents/{path}?ref={sha}",
        },
    )


def gists(server):
    places = {"gist_url": "/gists/{gist_id}", "gist_rev_url": "/gists/{gist_id}/{sha}"}
    return type("LocalGists", (GistFileSystem,), {k: server.url + v for k, v in places.items()})


def make(kind, server, token=TOKEN):
    if kind == "github":
        return hub(server)("o", "r", sha="main", token=token)
    if kind == "gist":
        return gists(server)("g", token=token)
    if kind == "jupyter":
        return JupyterFileSystem(f"{server.url}/base/lab?token={token}", skip_instance_cache=True)
    return DatabricksFileSystem(server.url, token, skip_instance_cache=True)


@pytest.fixture(params=["github", "gist", "jupyter", "dbfs"])
def kind(request):
    return request.param


@pytest.fixture
def server(kind, request):
    names = {"gist": "github", "dbfs": "databricks"}
    return request.getfixturevalue(f"{names.get(kind, kind)}_server")


@pytest.fixture
def fs(kind, server):
    fs = make(kind, server)
    yield fs
    fs.session.close()


@pytest.fixture
def top(kind):
    return "/" if kind == "dbfs" else ""


# all of them -----------------------------------------------------------------------
def test_files_are_read_whole_and_in_part(fs, kind, top):
    assert fs.cat_file(top + "a.txt") == b"alpha"
    assert fs.cat_file(top + "big", 1_000_000, 1_100_000) == BIG[1_000_000:1_100_000]
    with fs.open(top + "big") as f:
        assert f.read() == BIG
        assert kind == "jupyter" or f.size == len(BIG)
    assert fs.cat([top + "a.txt", top + "big"]) == {top + "a.txt": b"alpha", top + "big": BIG}
    info = fs.info(top + "a.txt")
    assert (info["name"], info["type"], info["size"]) == (top + "a.txt", "file", 5)
    assert fs.isdir(top) and fs.isfile(top + "big") and not fs.exists(top + "none")
    paths = [p for p in TREE if kind != "gist" or "/" not in p]
    assert sorted(fs.find(top)) == sorted(top + p for p in paths)
    if kind != "gist":
        assert fs.cat(top + "sub", recursive=True) == {top + p: TREE[p] for p in TREE if p[:3] == "sub"}
        assert fs.isdir(top + "sub") and sorted(fs.ls(top + "sub", detail=False)) == [
            top + "sub/b.bin",
            top + "sub/deep",
        ]
    if kind == "dbfs":  # where reading one is not refused by the server: it has no bytes
        with pytest.raises(IsADirectoryError, match="sub"):
            fs.open(top + "sub")


@pytest.mark.parametrize("operation", ["cat_file", "info", "open", "ls"])
def test_what_is_missing_is_named(fs, top, operation):
    with pytest.raises(FileNotFoundError, match="none"):
        getattr(fs, operation)(top + "none")


@pytest.mark.parametrize("status", [401, 403])
def test_refused(fs, server, top, status):
    """The message names the path and no token."""
    fs.invalidate_cache()
    server.ask("fault", status)
    with pytest.raises(PermissionError) as caught:
        fs.ls(top)
    assert str(status) in str(caught.value) and TOKEN not in str(caught.value)


@pytest.mark.parametrize("fault, error", [("truncate", OSError), ("text", OSError), (500, Exception)])
def test_a_broken_answer_is_an_error_without_the_token(fs, server, top, fault, error):
    fs.invalidate_cache()
    server.ask("fault", fault)
    with pytest.raises(error) as caught:
        fs.ls(top)
    assert TOKEN not in str(caught.value)
    assert top + "a.txt" in fs.find(top)


@pytest.mark.parametrize("fault", ["truncate", "text"])
def test_contents_that_are_not_whole_are_an_error(fs, server, top, fault):
    fs.info(top + "a.txt")
    server.ask("fault", fault)
    with pytest.raises(OSError):
        fs.cat_file(top + "a.txt")
    assert fs.cat_file(top + "a.txt") == b"alpha"


def test_a_wrong_token_is_refused_and_not_shown(kind, server, top):
    with pytest.raises(PermissionError) as caught:
        make(kind, server, "another-secret").ls(top)
    assert "another-secret" not in str(caught.value)


def test_secrets_are_not_shown(fs):
    assert TOKEN not in repr(fs) and TOKEN not in str(fs)


def test_server_that_is_gone(fs, kind, top):
    fs.invalidate_cache()
    gone = "http://127.0.0.1:9"
    if kind == "dbfs":
        fs.instance = gone
    elif kind == "jupyter":
        fs.url = gone + "?token=secret"
    else:
        fs.url = fs.gist_url = gone + "?token=secret"
    for known in (ConnectionRefusedError, requests.ConnectionError):
        with pytest.raises(known, match="127.0.0.1:9; try again") as caught:
            fs.ls(top)
        assert "secret" not in str(caught.value) and caught.value.response is None


FORKS = """
    import fsspec
    from fsspec._checks.forked import by_fork
    from fsspec.exceptions import ForkError
    {setup}
    assert fs.cat_file({top!r} + "a.txt") == b"alpha"

    def works():
        assert fs.cat_file({top!r} + "a.txt") == b"alpha"
        fs.invalidate_cache()
        assert {top!r} + "a.txt" in fs.find({top!r})

    def refuses():
        try:
            fs.cat_file({top!r} + "a.txt")
        except ForkError:
            return
        raise AssertionError("not refused")

    for _ in range(2):
        report = by_fork({body})
        assert not report.problem(), report.problem()
    assert fs.cat_file({top!r} + "big")[-10:] == {tail!r}
    fs.session.close()
    print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
def test_an_inherited_instance_works_or_refuses(kind, server, top, reset):
    where = "from fsspec.implementations.tests import test_rest\n"
    where += f"    server = type('S', (), {{'url': {server.url!r}}})\n"
    setup = where + f"    fs = test_rest.make({kind!r}, server)"
    body = "works" if reset == "1" else "refuses"
    text = FORKS.format(setup=setup, top=top, body=body, tail=BIG[-10:])
    assert run(text, FSSPEC_FORK_RESET=reset) == "well\n"


# writing ---------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["jupyter", "dbfs"])
class TestWriting:
    def test_files_are_written_whole(self, fs, server, top):
        fs.pipe(top + "new", b"new")
        with fs.open(top + "sub/big", "wb") as f:
            f.write(BIG)
            f.write(b"more")
        with fs.open(top + "empty", "wb"):
            pass
        held = server.ask("all")
        assert (held["new"], held["sub/big"], held["empty"]) == (b"new", BIG + b"more", b"")
        fs.rm(top + "new")
        assert not fs.exists(top + "new")
        with pytest.raises(FileNotFoundError):
            fs.rm(top + "new")

    def test_folders_are_made_once(self, fs, server, top):
        fs.mkdir(top + "x/y")
        assert fs.isdir(top + "x/y")
        with pytest.raises(FileExistsError):
            fs.mkdir(top + "x/y")
        fs.makedirs(top + "x/y", exist_ok=True)
        with pytest.raises(FileExistsError):
            fs.makedirs(top + "x/y", exist_ok=False)
        fs.rmdir(top + "x/y")
        with pytest.raises(OSError):
            fs.rmdir(top + "sub")
        fs.rm(top + "sub", recursive=True)
        assert not fs.exists(top + "sub")
        assert set(server.ask("all")) == {"a.txt", "big"}

    def test_files_and_folders_are_moved(self, fs, server, top):
        fs.mv(top + "sub", top + "moved", recursive=True)
        assert fs.cat_file(top + "moved/b.bin") == bytes(range(256))
        with pytest.raises(FileExistsError):
            fs.mv(top + "a.txt", top + "big")
        fs.mv(top + "a.txt", top + "a.txt")
        assert server.ask("all")["a.txt"] == b"alpha"

    def test_folders_are_copied_with_what_is_in_them(self, fs, server, top):
        fs.copy(top + "sub", top + "new/copy", recursive=True)
        held = server.ask("all")
        assert {p: held["new/copy" + p[3:]] for p in TREE if p[:3] == "sub"} == {
            p: data for p, data in TREE.items() if p[:3] == "sub"
        }
        fs.cp_file(top + "big", top + "deep/down/big")
        assert server.ask("all")["deep/down/big"] == BIG
        with pytest.raises(FileNotFoundError, match="none"):
            fs.cp_file(top + "none", top + "x")

    def test_a_failed_transaction_leaves_what_was_there(self, fs, server, top):
        fs.pipe(top + "there", b"before")
        with pytest.raises(ZeroDivisionError):
            with fs.transaction:
                with fs.open(top + "there", "wb") as f:
                    f.write(b"never")
                1 / 0
        assert server.ask("all")["there"] == b"before"
        assert set(server.ask("all")) == {*TREE, "there"}
        with fs.transaction:
            with fs.open(top + "there", "wb") as f:
                f.write(b"after")
            assert server.ask("all")["there"] == b"before"
        assert server.ask("all")["there"] == b"after"
        with fs.transaction:
            f = fs.open(top + "there", "wb")
            f.write(b"left open")
        f.close()
        assert server.ask("all")["there"] == b"left open"

    def test_refused(self, fs, server, top):
        server.ask("fault", 403)
        with pytest.raises(PermissionError):
            fs.pipe(top + "new", b"new")
        assert "new" not in server.ask("all")
        with pytest.raises(NotImplementedError, match="a.txt"):
            fs.open(top + "a.txt", "ab")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
    def test_written_in_the_parent(self, kind, server, top):
        where = "from fsspec.implementations.tests import test_rest\n"
        text = f"""
            {where}
            from fsspec._checks.forked import by_fork
            from fsspec.exceptions import ForkError
            fs = test_rest.make({kind!r}, type('S', (), {{'url': {server.url!r}}}))
            f = fs.open({top!r} + "w", "wb")
            f.write(b"x" * 1_500_000)

            def body():
                try:
                    f.write(b"child")
                except ForkError:
                    f.close()
                    return
                raise AssertionError("not refused")

            report = by_fork(body)
            assert not report.problem(), report.problem()
            f.write(b"end")
            f.close()
            fs.session.close()
        """.replace(where, where.strip())
        assert run(text, FSSPEC_FORK_RESET="1") == ""
        assert server.ask("all")["w"] == b"x" * 1_500_000 + b"end"


# each of them ----------------------------------------------------------------------
def test_a_repository_has_references_and_files(github_server):
    cls = hub(github_server)
    fs = cls("o", "r")
    assert fs.root == "main" and fs.refs == {"tags": ["v1", "v2"], "branches": ["main"]}
    assert cls.repos("o") == ["r"] == cls.repos("u", is_org=False)
    with pytest.raises(FileNotFoundError, match="nobody"):
        cls.repos("nobody")
    with pytest.raises(FileNotFoundError, match="o/none"):
        cls("o", "none")
    with pytest.raises(ValueError, match="token"):
        cls("o", "r", username="me")
    assert cls("o", "r", username="me", token=TOKEN).kw == {"auth": ("me", TOKEN)}
    with pytest.raises(FileNotFoundError):
        fs.ls("", sha="gone")
    with pytest.raises(IsADirectoryError):
        fs.open("sub")
    with pytest.raises(NotImplementedError):
        fs.open("a.txt", "wb")


@pytest.mark.parametrize("way", ["info", "ls", "cat_file", "open"])
def test_github_names_similar_paths_for_a_missing_one(github_server, way):
    fs = make("github", github_server)
    told = r"^sub/b\.bim: not in o/r at main; is 'sub/b\.bin' meant\?"
    with pytest.raises(FileNotFoundError, match=told) as caught:
        getattr(fs, way)("sub/b.bim")
    assert caught.value.args == ("sub/b.bim",)
    with pytest.raises(FileNotFoundError, match=r"^(sup/b\.bin: )?sup: not in o/r at main; is 'sub' meant\?"):
        getattr(fs, way)("sup/b.bin")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("way", ["info", "ls", "cat_file", "open"])
def test_a_gist_says_of_a_missing_file_what_is_there(github_server, way):
    with pytest.raises(FileNotFoundError, match=r"^a\.tx: not in gist g; is 'a\.txt' meant\?"):
        getattr(gists(github_server)("g"), way)("a.tx")
    with pytest.raises(FileNotFoundError, match=r"^a\.tx: not in gist g at latest; is 'a\.txt' meant\?"):
        gists(github_server)("g", filenames=["a.tx"])


def test_github_lists_once(github_server):
    fs = make("github", github_server)
    fs.find("")
    asked = len(github_server.ask("requests"))
    fs.find("")
    fs.info("sub/b.bin")
    assert len(github_server.ask("requests")) == asked == 3


def test_github_pointers_are_followed(github_server):
    """Files of LFS; whoever serves them is not told the token."""
    github_server.ask("put", "lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    fs = make("github", github_server)
    assert fs.cat("lfs").startswith(b"version")
    method, path, authorization = github_server.ask("requests")[-1]
    assert (path, authorization) == ("/raw/lfs", None)


def test_removing_on_github_needs_a_token(github_server):
    with pytest.raises(ValueError, match="token"):
        make("github", github_server, None).rm("a.txt")
    fs = make("github", github_server)
    fs.rm("a.txt")
    fs.rm("sub", recursive=True)
    assert fs.find("") == ["big"] == list(github_server.ask("all"))
    with pytest.raises(FileNotFoundError):
        fs.rm_file("a.txt", "why")


@pytest.mark.parametrize(
    "url, options, path",
    [
        ("github://o:r@main/a/b", {"org": "o", "repo": "r", "sha": "main"}, "a/b"),
        ("github://o:r@/a/b", {"org": "o", "repo": "r"}, "a/b"),
        ("gist://g", {"gist_id": "g"}, ""),
        ("gist://u:t@g", {"username": "u", "token": "t", "gist_id": "g"}, ""),
        ("gist://g/rev/a", {"gist_id": "g", "sha": "rev", "filenames": ["a"]}, "a"),
        ("gist://g/a.txt", {"gist_id": "g", "filenames": ["a.txt"]}, "a.txt"),
    ],
)
def test_urls_give_options_and_paths(url, options, path):
    cls = fsspec.get_filesystem_class(url.partition(":")[0])
    assert cls._get_kwargs_from_urls(url) == options
    assert cls._strip_protocol(url) == path


def test_a_gist_has_revisions_and_chosen_files(github_server):
    cls = gists(github_server)
    assert cls("g", sha="rev", filenames=["a.txt"]).ls() == ["a.txt"]
    with pytest.raises(FileNotFoundError, match="none"):
        cls("g", filenames=["none"])
    with pytest.raises(FileNotFoundError, match="gist gone at latest"):
        cls("gone")
    with pytest.raises(NotImplementedError):
        cls("g").open("a.txt", "wb")


def test_jupyter_folders_that_another_makes_meanwhile(jupyter_server):
    fs = make("jupyter", jupyter_server)
    for raced, make_it in (("r", fs.mkdir), ("s", fs.makedirs)):
        jupyter_server.ask("race", raced)
        make_it(f"{raced}/k")
        assert fs.isdir(f"{raced}/k")


def test_jupyter_notebooks_are_files(jupyter_server):
    jupyter_server.ask("put", "n.ipynb", b'{"cells": []}')
    fs = make("jupyter", jupyter_server)
    assert fs.info("n.ipynb")["type"] == "file" and fs.cat("n.ipynb") == b'{"cells": []}'
    assert {a for _, _, a in jupyter_server.ask("requests")} == {f"token {TOKEN}"}
    assert TOKEN not in fs.url
    with pytest.raises(OSError):
        fs.cat_file("sub")


def test_a_derived_class_of_dbfs_sends_each_request(databricks_server):
    class Own(DatabricksFileSystem):
        def _send_to_api(self, method, endpoint, json):
            sent.append((method, endpoint, {**json}))
            return super()._send_to_api(method=method, endpoint=endpoint, json=json)

    sent = []
    fs = Own(databricks_server.url, TOKEN, skip_instance_cache=True)
    assert fs.cat_file("/a.txt") == b"alpha"
    with pytest.raises(FileNotFoundError, match="/nothing"):
        fs.ls("/nothing")
    fs.pipe_file("/new", b"12")
    fs.mv("/new", "/newer")
    fs.mkdir("/made")
    fs.rm("/newer")
    assert ("get", "read", {"path": "/a.txt", "offset": 0, "length": 5}) in sent
    assert ("get", "list", {"path": "/nothing"}) in sent
    assert ("post", "move", {"source_path": "/new", "destination_path": "/newer"}) in sent
    ours = {(method, endpoint) for method, endpoint, _ in sent}
    assert {("post", name) for name in ("create", "add-block", "close", "mkdirs", "delete")} <= ours
    assert fs.find("/sub") and not fs.exists("/newer")
    fs.session.close()


def test_what_dbfs_is_asked_for_is_in_the_body(databricks_server):
    """Also of GET, as upstream has it, so that recorded answers are found by their URLs."""
    fs, asked = make("dbfs", databricks_server), []
    fs.session.hooks["response"].append(lambda response, **options: asked.append(response.request))
    assert fs.cat_file("/a.txt") == b"alpha" and fs.ls("/sub", detail=False) == ["/sub/b.bin", "/sub/deep"]
    fs.session.close()
    assert {request.method for request in asked} == {"GET"}
    assert not any("?" in request.url for request in asked)
    assert {json.loads(request.body)["path"] for request in asked} == {"/a.txt", "/sub"}


def test_a_file_of_dbfs_that_is_discarded_while_it_is_open_leaves_nothing(databricks_server):
    fs = make("dbfs", databricks_server)
    before = fs.find("/")
    for size in (1, 3_000_000):
        with fs.open("/new", "wb", autocommit=False) as f:
            f.write(bytes(size))
            f.discard()
        assert fs.find("/") == before


def test_dbfs_paths_and_errors(databricks_server):
    fs = make("dbfs", databricks_server)
    assert [fs._strip_protocol(p) for p in ("dbfs:/a", "dbfs://a/b/", "a", "/")] == ["/a", "/a/b", "/a", "/"]
    with pytest.raises(ValueError, match="block size"):
        fs.open("/a.txt", block_size=10)
    with pytest.raises(NotImplementedError):
        fs.mv("/a.txt", "/b", maxdepth=1)
    with pytest.raises(FileNotFoundError):
        fs.mkdir("/none/x", create_parents=False)
    with pytest.raises(DatabricksException) as caught:
        fs._call_api("nonsense", "/a")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.error_code, str(again)) == ("ENDPOINT_NOT_FOUND", str(caught.value))
    with fs.open("/a.txt", "xb") as f:
        f.write(b"x")
        with pytest.raises(FileExistsError):
            f.close()
