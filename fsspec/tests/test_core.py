"""How users come in: URLs, chains, patterns, many files at once."""

import doctest
import inspect
import logging
import pydoc
import sys
import zipfile

import pytest

import fsspec
from fsspec.core import (
    OpenFile,
    expand_paths_if_needed,
    get_fs_token_paths,
    open_files,
    open_local,
    split_protocol,
    strip_protocol,
    url_to_fs,
)
from fsspec.tests.programs import run


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("memory://a/b", ("memory", "a/b")),
        ("/a/b", (None, "/a/b")),
        ("a:b", (None, "a:b")),
        ("c:\\a", (None, "c:\\a")),
        ("c://a", (None, "c://a")),  # a drive
        ("data:,x", ["data", ",x"]),
        ("http://h/p?q=a://b", ("http", "h/p?q=a://b")),
    ],
)
def test_one_letter_is_a_drive_and_no_protocol(url, parts):
    """One letter is a drive; data has no slashes."""
    assert split_protocol(url) == parts


def test_strip_protocol_is_the_filesystems_own(tmp_path):
    """A local path is made absolute, one in memory begins with a slash."""
    assert strip_protocol("memory://a/") == "/a"
    assert strip_protocol(tmp_path / "x") == f"{tmp_path}/x"
    assert strip_protocol(f"file://{tmp_path}/") == str(tmp_path)


@pytest.mark.parametrize("nothing", [None, 5, b"memory://x", object()])
@pytest.mark.parametrize("function", [fsspec.open, open_files, url_to_fs, fsspec.get_mapper, split_protocol])
def test_what_is_no_url_is_a_type_error(function, nothing):
    """It names the type."""
    name = type(nothing).__name__.removesuffix("Type")
    with pytest.raises(TypeError, match=f"a URL or a path is needed.*{name}"):
        function(nothing)


@pytest.mark.parametrize("url", ["nonsense://x", "dir::nonsense://x", "MEMORY://x", "mem ory://x"])
@pytest.mark.parametrize("function", [fsspec.open, fsspec.open_files, url_to_fs, fsspec.get_mapper])
def test_an_unknown_protocol_is_named_with_the_way_out(function, url):
    """The error names it, and the way out."""
    protocol = url.rpartition("::")[2].partition(":")[0]
    with pytest.raises(ValueError, match=rf"Protocol not known: {protocol}.*register_implementation"):
        function(url)


@pytest.mark.parametrize(
    ("protocol", "hidden", "advice"),
    [
        ("s3", "s3fs", "pip install s3fs=="),
        ("gcs", "gcsfs", "pip install gcsfs"),
        ("http", "aiohttp", r"pip install 'fsspec\[http\]'"),
        ("sftp", "paramiko", r"pip install 'fsspec\[sftp\]'"),
        ("git", "pygit2", r"pip install 'fsspec\[git\]'"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(protocol, hidden, advice):
    """What it needs is not there: the error says what to install."""
    found = run(
        f"""
        import sys
        sys.modules[{hidden!r}] = None
        import fsspec
        try:
            fsspec.filesystem({protocol!r})
        except ImportError as error:
            print(error)
        """
    )
    assert __import__("re").search(advice, found), found


def test_blocking_http_names_the_missing_package_when_it_is_used():
    """Its module can be imported without."""
    output = run(
        """
        import sys
        sys.modules["requests"] = None
        import fsspec
        from fsspec.implementations.http_sync import HTTPFileSystem
        assert fsspec.get_filesystem_class("http") is HTTPFileSystem
        try:
            fsspec.open("http://127.0.0.1/a")
        except ModuleNotFoundError as error:
            print(error.name, error)
        """
    )
    assert output.startswith("requests ") and "pip install requests" in output


@pytest.mark.parametrize(
    ("module", "hidden"),
    [("fsspec.fuse", "fuse"), ("fsspec.gui", "panel"), ("fsspec.implementations.dask", "dask")],
)
def test_a_module_that_needs_a_package_is_not_found_without(module, hidden):
    output = run(
        f"""
        import sys
        sys.modules[{hidden!r}] = None
        try:
            import {module}
        except ModuleNotFoundError as error:
            print(error.name)
        """
    )
    assert output


# chains ------------------------------------------------------------------------------
def test_chain_reads_through_all_its_links(m, tmp_path):
    """A member of an archive that lies on another filesystem."""
    pytest.importorskip("fsspec.implementations.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("in/side.txt", "inside")
    m.pipe_file("/a.zip", (tmp_path / "a.zip").read_bytes())
    with fsspec.open("zip://in/side.txt::memory://a.zip") as f:
        assert f.read() == b"inside"
    fs, path = url_to_fs("dir::memory://folder")
    assert (path, fs.path, fs.fs is m) == ("/folder", "/folder", True)


def test_options_of_links_go_to_their_protocols():
    """By name; the rest to the outermost."""
    links = fsspec.core._un_chain("dir::memory://x", {"memory": {"a": 1}, "path": "/p"})
    assert [(link[1], link[2]) for link in links] == [("dir", {"path": "/p"}), ("memory", {"a": 1})]


def test_arguments_of_open_are_no_options_of_the_filesystem():
    """So that the same filesystem is found again."""
    opening = {"mode": "rt", "compression": "gzip", "encoding": "utf8", "newline": "", "errors": "strict"}
    first, _ = url_to_fs("memory://x", **opening)
    assert first.storage_options == {}
    assert first is url_to_fs("memory://x")[0]


def test_secrets_are_not_shown():
    """Not by a file to be opened, nor by the error of one that is not there."""
    of = fsspec.open("memory://gone", password="hunter2", token="hunter2")
    with pytest.raises(FileNotFoundError) as caught:
        of.open()
    assert "hunter2" not in repr(of) + str(caught.value) + repr(caught.value)


# reading many ------------------------------------------------------------------------
def test_patterns_bring_files_only(m):
    """In order, without folders."""
    for name in ("b.txt", "a.txt", "c.bin", "d.txt/inner"):
        m.pipe_file(f"/d/{name}", name.encode())
    files = open_files("memory://d/*.txt", "rt")
    assert [f.path for f in files] == ["/d/a.txt", "/d/b.txt"]
    with files as opened:
        assert [f.read() for f in opened] == ["a.txt", "b.txt"]


def test_list_of_urls_keeps_its_order(m):
    """Whatever it is given as."""
    urls = ["memory://b", "memory://a"]
    for given in (urls, tuple(urls)):
        assert [f.path for f in open_files(given)] == ["/b", "/a"]


@pytest.mark.parametrize("urls", [[], (), set()])
def test_no_urls_are_an_error(urls):
    """Most likely a mistake of the caller's."""
    with pytest.raises(ValueError, match="empty"):
        open_files(urls)


def test_urls_of_several_protocols(tmp_path):
    """The message names both."""
    with pytest.raises(ValueError, match="file, memory"):
        open_files(["memory://a", f"file://{tmp_path}/b"])


def test_a_pattern_without_a_match_raises_only_if_one_file_is_asked_for(m):
    """An error where one file is asked for, none of many."""
    assert open_files("memory://none*") == []
    with pytest.raises(FileNotFoundError, match="none"):
        fsspec.open("memory://none*", expand=True)
    with pytest.raises(FileNotFoundError, match="expand=True"):
        fsspec.open("memory://none*").open()


def test_token_is_the_filesystems():
    """And the paths are as it writes them."""
    fs, token, paths = get_fs_token_paths(["memory://a", "memory://b/"])
    assert (token, paths) == (fs._fs_token, ["/a", "/b"])
    assert get_fs_token_paths("file://", protocol="memory")[2] == ["/file:"]  # a name, not a protocol
    assert get_fs_token_paths("file://", mode="wb", protocol="memory")[2] == ["/file:/0.part"]


# writing many ------------------------------------------------------------------------
def test_mask_gives_names_in_order(m):
    """With as many digits as the last number needs."""
    names = [f.path for f in open_files("memory://w/x*.bin", "wb", num=11)]
    assert names[0] == "/w/x00.bin" and names[-1] == "/w/x10.bin"
    assert names == sorted(names)
    assert [f.path for f in open_files("memory://w", "wb", num=2)] == ["/w/0.part", "/w/1.part"]
    for root, first in (("memory://", "0.part"), ("file:///", "/0.part"), ("http://", "http://0.part")):
        assert get_fs_token_paths(root, mode="wb")[2] == [first]


def test_a_name_function_gives_any_names(m, caplog):
    """Any names; a warning where they are not in order."""
    named = open_files("memory://w/*", "wb", num=2, name_function=lambda i: "ab"[i])
    assert [f.path for f in named] == ["/w/a", "/w/b"]
    with caplog.at_level(logging.WARNING, "fsspec"):
        open_files("memory://w/*", "wb", num=2, name_function=lambda i: "ba"[i])
    assert "order" in caplog.text


def test_mask_beside_a_name_drops_nothing(m):
    """Of three, two are of the mask and one is the name."""
    paths = [f.path for f in open_files(["memory://w/*", "memory://v"], "wb", num=3)]
    assert paths == ["/w/0", "/w/1", "/v"]


@pytest.mark.parametrize(
    ("urls", "why"),
    [("memory://a*b*", "one \\*"), (["memory://a*", "memory://b*"], "only one")],
)
def test_masks_that_cannot_be(urls, why):
    """Which name would get which number is not to be guessed."""
    with pytest.raises(ValueError, match=why):
        open_files(urls, "wb", num=3)


def test_folders_of_new_files_are_made(tmp_path):
    """Unless told not to."""
    with fsspec.open(f"{tmp_path}/new/deep/x", "wb") as f:
        f.write(b"x")
    assert (tmp_path / "new/deep/x").read_bytes() == b"x"
    with pytest.raises(FileNotFoundError):
        fsspec.open(f"{tmp_path}/other/x", "wb", auto_mkdir=False).open()
    assert not (tmp_path / "other").exists()


def test_expand_paths_if_needed(m):
    """The paths of a list, each a pattern or not."""
    m.pipe({"/d/a": b"", "/d/b": b"", "/d/c[1]": b"", "/d/c1": b""})
    for pattern in ("/d/?", "/d/[ab]"):
        assert expand_paths_if_needed([pattern, "/e"], "rb", 1, m, None) == ["/d/a", "/d/b", "/e"]
    assert expand_paths_if_needed(["/d/c[1]", "/d/c*"], "rb", 1, m, None) == [
        "/d/c[1]",
        "/d/c1",
        "/d/c[1]",
    ]
    assert expand_paths_if_needed(["/d/c?", "/d/c[2]"], "wb", 1, m, None) == ["/d/c?", "/d/c[2]"]


@pytest.mark.parametrize("wrap", [str, lambda url: [url]])
def test_names_with_brackets_are_names_where_they_exist(m, wrap):
    """Patterns otherwise; of both kinds, alone and in a list."""
    m.pipe({"/v/q[1].csv": b"brackets", "/v/q1.csv": b"other"})
    assert [f.open().read() for f in open_files(wrap("memory://v/q[1].csv"))] == [b"brackets"]
    assert [f.path for f in open_files(wrap("memory://v/q[12].csv"))] == ["/v/q1.csv"]
    assert [f.path for f in open_files(wrap("memory://v/q?.csv"))] == ["/v/q1.csv"]
    assert [f.path for f in open_files(wrap("memory://v/q[12].csv"), expand=False)] == ["/v/q[12].csv"]
    assert [f.path for f in open_files("memory://v/z[12]")] == ["/v/z[12]"]  # as alone it always was


def test_a_query_is_no_pattern(m):
    """The server is not asked about it."""
    url = "http://127.0.0.1:1/x?a=[1]"
    for urls in (url, [url]):
        assert [f.path for f in open_files(urls)] == [url]


def test_an_option_given_twice_must_have_one_value():
    """By the URL and beside it: with one value, or not at all."""

    class Named(fsspec.get_filesystem_class("memory")):
        protocol = "named"
        cachable = False

        @staticmethod
        def _get_kwargs_from_urls(path):
            return {"account": path.partition("://")[2].partition("/")[0]}

    fsspec.register_implementation("named", Named, clobber=True)
    for account, function in (
        ("us", lambda **options: url_to_fs("named://us/x", **options)[0]),
        ("us", lambda **options: fsspec.open("named://us/x", **options).fs),
        ("us", lambda **options: fsspec.get_mapper("named://us/x", **options).fs),
        ("us", lambda **options: url_to_fs("named://us/x", named=options)[0]),
    ):
        assert function(account=account).storage_options["account"] == "us"
        with pytest.raises(TypeError, match="multiple values for keyword argument 'account'") as caught:
            function(account="them")
        assert "them" not in str(caught.value)


def test_url_to_fs_keeps_options_of_the_filesystem(tmp_path):
    """Those of opening are not among them."""
    for url in (f"{tmp_path}/k", f"file://{tmp_path}/k", f"local://{tmp_path}/k"):
        fs, path = url_to_fs(url, auto_mkdir=True, mode="rb", expand=True)
        assert fs.auto_mkdir and fs.storage_options == {"auto_mkdir": True}
    fs.pipe_file(f"{path}/deep/f", b"1")
    assert fsspec.get_mapper(path, auto_mkdir=True)["deep/f"] == b"1"


def test_open_takes_part_in_a_transaction_of_the_filesystem(tmp_path):
    with fsspec.filesystem("file").transaction:
        with fsspec.open(f"file://{tmp_path}/new/x", "wb") as f:
            f.write(b"1")
        assert not (tmp_path / "new/x").exists()
    assert (tmp_path / "new/x").read_bytes() == b"1"


def test_folders_that_may_not_be_made_do_not_hinder():
    """Who may write files need not be allowed to make buckets."""

    class Closed(fsspec.get_filesystem_class("memory")):
        protocol = "closed"
        cachable = False

        def makedirs(self, path, exist_ok=False):
            raise PermissionError(path)

    fsspec.register_implementation("closed", Closed, clobber=True)
    to_open = fsspec.open("closed://top/x", "wb")
    with to_open as f:
        f.write(b"1")
    assert to_open.fs.store.pop(to_open.path).getvalue() == b"1"


# local copies ------------------------------------------------------------------------
def test_open_local_gives_a_path_for_a_path_and_a_list_for_a_pattern(tmp_path):
    """A path for a path, a list for a pattern."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"")
    assert open_local(f"{tmp_path}/a") == f"{tmp_path}/a"
    assert open_local(f"file://{tmp_path}/*") == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert open_local([f"{tmp_path}/a"]) == [f"{tmp_path}/a"]


def test_open_local_needs_local_files(m):
    """The message says how to have them; writing is no use."""
    with pytest.raises(ValueError, match="simplecache::"):
        open_local("memory://x")
    with pytest.raises(ValueError, match="reading"):
        open_local("memory://x", "wb")


# forks -------------------------------------------------------------------------------
def test_a_file_to_be_opened_opens_in_a_child(tmp_path):
    """It holds nothing that a fork could break."""
    (tmp_path / "x.txt").write_text("line\n" * 3)
    run(
        f"""
        import fsspec
        from fsspec._checks.forked import by_fork
        of = fsspec.open({str(tmp_path / "x.txt")!r}, "rt")
        def body():
            with of as f:
                assert f.read() == "line\\n" * 3
        assert by_fork(body).problem() == "", by_fork(body).problem()
        with of as f:
            assert f.readline() == "line\\n"
            assert by_fork(lambda: None).problem() == ""
            assert f.read() == "line\\n" * 2
        """
    )


def test_open_returns_a_file_to_be_opened(m):
    """Nothing is touched before."""
    of = fsspec.open("memory://not/there", "rt", encoding="latin1")
    assert isinstance(of, OpenFile)
    assert (of.path, of.mode, of.encoding) == ("/not/there", "rt", "latin1")


def test_help_of_open_names_each_parameter_and_its_examples_run():
    shown = pydoc.plain(pydoc.render_doc(fsspec.open))
    assert "doctest:" not in shown
    section = shown.partition("Parameters")[2].partition("Returns")[0]
    named = {
        name for line in section.splitlines() for name in line.replace(",", " ").replace("*", "").split()
    }
    assert set(inspect.signature(fsspec.open).parameters) <= named
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(fsspec.open, "open", globs={"fsspec": fsspec}):
        runner.run(example)
    assert runner.summarize(verbose=False) == (0, 2)
    fsspec.filesystem("memory").rm("/folder", recursive=True)


def test_completion_shows_what_the_package_gives_and_not_its_own_helpers():
    names = dir(fsspec)
    assert not {"Any", "TYPE_CHECKING", "annotations"} & set(names)
    assert {*fsspec.__all__, "asyn", "exceptions", "fork", "spec", "utils"} <= set(names)
    assert all(hasattr(fsspec, name) for name in names)


@pytest.mark.parametrize("url", ["simplecache::", "::memory://a", "::"])
def test_an_empty_link_is_an_empty_protocol(url, tmp_path, monkeypatch):
    """So it is a path of a colon, below the working directory."""
    monkeypatch.chdir(tmp_path)
    assert fsspec.url_to_fs(url)[1] == f"{tmp_path}/:"


@pytest.mark.parametrize("word", ["a1", "a_b", "ä", "a-b"])
def test_a_word_that_is_no_known_protocol_is_a_local_file(word, tmp_path, monkeypatch):
    """Unless it is all letters, which no file is taken for."""
    monkeypatch.chdir(tmp_path)
    assert fsspec.url_to_fs(f"{word}::memory://a")[1] == f"{tmp_path}/{word}"
    with pytest.raises(ValueError, match="not known"):
        fsspec.url_to_fs("unheardof::memory://a")


def test_urls_of_one_call_have_one_protocol(tmp_path):
    """That is told before anything is opened."""
    with pytest.raises(ValueError, match="Protocol mismatch.*file, zip"):
        open_files(["zip://::nowhere.zip", f"{tmp_path}/one"])


@pytest.mark.parametrize("some", [frozenset, iter, dict.fromkeys, lambda urls: (url for url in urls)])
def test_several_urls_are_any_iterable(m, some):
    m.pipe({"/a": b"1", "/b": b"2"})
    files = fsspec.open_files(some(["memory://a", "memory://b"]))
    assert sorted(f.path for f in files) == ["/a", "/b"]
    assert len(fsspec.open_local(some(["simplecache::memory://a", "simplecache::memory://b"]))) == 2


@pytest.mark.parametrize(
    "protocol", ["simplecache", "filecache", "blockcache", "zip", "tar", "dir", "reference"]
)
def test_what_a_chain_lacks_is_named(protocol):
    """Whoever forgets the second half of a URL is told how it is written, or which option is missing."""
    with pytest.raises((ValueError, OSError, TypeError)) as caught:
        fsspec.open(f"{protocol}://folder/a").open()
    if protocol != "reference":
        assert "::" in str(caught.value) and "or give" in str(caught.value)
    elif sys.version_info >= (3, 11):
        assert type(caught.value) is TypeError
        assert caught.value.__notes__[0].startswith("fsspec: give fo=: references by key")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes")
def test_options_that_are_required_are_explained():
    with pytest.raises(TypeError, match="'host'") as caught:
        fsspec.filesystem("webhdfs")
    assert caught.value.__notes__ == ["fsspec: give host=: the namenode, or HttpFS."]

    class Own(fsspec.AbstractFileSystem):
        def __init__(self, place, **kwargs):
            super().__init__(**kwargs)

    with pytest.raises(TypeError, match="'place'") as caught:
        Own()
    assert not hasattr(caught.value, "__notes__"), "its documentation says nothing of it"
