"""What is left out of what people read."""

import ast
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import fsspec
from fsspec._files.uploading import GivenUp
from fsspec._paths.redaction import is_secret, redact_options, redact_text, redact_url, redact_values
from fsspec.implementations._reference.parquet import LazyReferenceMapper
from fsspec.implementations._reference.parsing import MissingTargetError, ReferenceNotReachable
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from fsspec.implementations.zip import ZipFileSystem
from fsspec.spec import AbstractBufferedFile


@pytest.mark.parametrize(
    "url, shown",
    [
        ("http://host/a/b.txt", "http://host/a/b.txt"),
        ("http://me:pw@host/a", "http://host/a"),
        ("http://host/a?sig=abc&list&x=1#f", "http://host/a?sig=...&...&x=...#f"),
        ("http://host/a#access_token=abc&x=1", "http://host/a#access_token=...&x=..."),
        ("http://host/a#part", "http://host/a#part"),
        ("s3://bucket/a#b=c", "s3://bucket/a#b=c"),
        ("http://[broken/?sig=abc", "http://[broken/"),
        ("a@b?c", "a@b?c"),
        ("http:///a?sig=abc", "http:///a?sig=..."),
        ("http://me:p@ss@host/a", "http://host/a"),
        ("http://me:pw@[fe80::a]/a?sig=a::b", "http://[fe80::a]/a?sig=..."),
        ("simplecache::http://me:pw@host/a?sig=abc", "simplecache::http://host/a?sig=..."),
        ("zip://a::filecache::http://me:pw@host/a?sig=abc", "zip://a::filecache::http://host/a?sig=..."),
    ],
)
def test_secrets_are_taken_out_of_urls(url, shown):
    assert redact_url(url) == shown


def test_urls_within_a_text():
    text = "cannot connect to http://me:pw@host/a?sig=abc (after 'http://h/?t=1')"
    assert redact_text(text) == "cannot connect to http://host/a?sig=... (after 'http://h/?t=...')"
    text = "(http://me:p@ss@host/a?sigabc), http://h/?sigabc really?"
    assert redact_text(text) == "(http://host/a?...), http://h/?... really?"
    assert redact_text("is http://h/a?, or http://h/b? meant?") == "is http://h/a?, or http://h/b? meant?"


@pytest.mark.parametrize("name", ["key", "account_key", "sas-token", "Authorization", "connection_string"])
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["key_filename", "anon", "tokens_per_second", None])
def test_names_of_others(name):
    assert not is_secret(name)


def test_options_in_a_report():
    options = {
        "anon": False,
        "aws_access_key_id": "AK",
        "client_kwargs": {"endpoint_url": "http://me:pw@h/?t=1"},
    }
    assert redact_options(options) == {
        "anon": False,
        "aws_access_key_id": "(hidden)",
        "client_kwargs": {"endpoint_url": "http://(hidden)@h/?(hidden)"},
    }


@pytest.mark.parametrize("text", ["is 'a' meant?", "is it?\nno", "(is it?), or 'http://h/x?'", "why?!"])
def test_what_ends_a_sentence_of_a_report_is_no_query(text):
    assert redact_options(text) == text


def test_values_of_options_in_a_text():
    options = {"key": "ab", "client_kwargs": {"endpoint_url": "http://127.0.0.1:1/x", "token": "long-token"}}
    text = "ab cab http://127.0.0.1:1/x?q=1 long-token1 s3://me:p@w@host/x?sigabc"
    assert redact_values(text, options) == "*** cab http://127.0.0.1:1/x?q=... ***1 s3://me:***@host/x?..."


# representations ------------------------------------------------------------------
URL = "http://me:hush@host/folder/a?X-Sig=hush"


def http():
    return pytest.importorskip("fsspec.implementations.http").HTTPFileSystem()


def buffered():
    return AbstractBufferedFile(MemoryFileSystem(), URL, "rb", size=1)


def archived(mode):
    f = io.BytesIO()
    f.path = URL
    with zipfile.ZipFile(f, "w") as archive:
        archive.writestr("a", "data")
    f.seek(0)
    return ZipFileSystem(f, mode=mode).open("a" if mode == "r" else "b", mode + "b")


def missing_member():
    f = io.BytesIO()
    f.path = URL
    with zipfile.ZipFile(f, "w") as archive:
        archive.writestr("a", "data")
    f.seek(0)
    with pytest.raises(FileNotFoundError) as raised:
        ZipFileSystem(f).info("b")
    return raised.value


class Places(MemoryFileSystem):
    """Files by their URLs."""

    store = {URL: MemoryFile(None, URL, b"data")}

    @classmethod
    def _strip_protocol(cls, path):
        return path


def cached(folder, mode):
    """A copy under the name that the file has at its URL, query and all."""
    options = {"cache_storage": str(folder), "same_names": True, "skip_instance_cache": True}
    return fsspec.filesystem("filecache", fs=Places(), **options).open(URL, mode)


def status(code):
    http = pytest.importorskip("fsspec.implementations.http")
    yarl = pytest.importorskip("yarl")
    kind = http.HTTPNotFoundError if code == 404 else http.HTTPStatusError
    return kind(SimpleNamespace(real_url=yarl.URL(URL)), (), status=code, message="no")


def ranges_ignored():
    pytest.importorskip("aiohttp")
    from fsspec.implementations._http.answers import RangesIgnoredError

    return RangesIgnoredError(URL)


def reference_parquet():
    pytest.importorskip("fastparquet")
    return LazyReferenceMapper(URL, fs=http())


SHOW_URLS = {
    "_files.uploading.GivenUp": lambda _: GivenUp(URL, "a reason", True),
    "_files.buffered.AbstractBufferedFile": lambda _: buffered(),
    "_files.open_file.OpenFile": lambda _: fsspec.core.OpenFile(MemoryFileSystem(), URL),
    "archive.MissingMemberError": lambda _: missing_member(),
    "implementations._archive.files.MemberFile": lambda _: archived("r"),
    "implementations._archive.files.MemberWriter": lambda _: archived("w"),
    "implementations._cached.files.LocalCopy": lambda folder: cached(folder, "rb"),
    "implementations._cached.pending.LocalTempFile": lambda folder: cached(folder, "wb"),
    "implementations._http.answers.RangesIgnoredError": lambda _: ranges_ignored(),
    "implementations._http.responses.HTTPNotFoundError": lambda _: status(404),
    "implementations._http.responses.HTTPStatusError": lambda _: status(500),
    "implementations._reference.parquet.LazyReferenceMapper": lambda _: reference_parquet(),
    "implementations._reference.parsing.MissingTargetError": lambda _: MissingTargetError("a", URL),
    "implementations._reference.parsing.ReferenceNotReachable": lambda _: ReferenceNotReachable("a", URL),
    "implementations.dirfs.DirFileSystem": lambda _: DirFileSystem(URL, fs=http()),
    "implementations.jupyter.JupyterFileSystem": lambda _: jupyter(),
}
"""Classes whose representation or text has a URL or the name of a copy, and how one is made."""

SHOW_NONE = {
    "_files.caches_base.BaseCache": "counts",
    "_files.local_file.LocalFileOpener": "a local path",
    "_files.open_file.OpenFiles": "how many there are",
    "_fork.foreign_files._Stale": "a local path",
    "_loop.driving.call": "a call within the package",
    "archive.AbstractArchiveFileSystem": "the class",
    "caching.UnknownCacheError": "the name of a cache",
    "implementations._http.answers.Version": "tags",
    "implementations._http.responses.UnreachableError": "host and port",
    "implementations._reference.templates.TemplateError": "a text that was given",
    "implementations._remote.refusals.Refusal": "a path at the server",
    "implementations.arrow.ArrowFile": "a path at the server",
    "implementations.dask.DaskWorkerFileSystem": "a protocol",
    "implementations.dbfs.DatabricksFileSystem": "the name of a host",
    "implementations.gist.GistFileSystem": "an identity",
    "implementations.github.GithubFileSystem": "names of a repository",
    "implementations.libarchive.CorruptArchive": "a text that was given",
    "utils._Shown": "a text that was given",
}
"""Those that have none, and what they have."""


def jupyter():
    pytest.importorskip("requests")
    from fsspec.implementations.jupyter import JupyterFileSystem

    return JupyterFileSystem(URL + "&token=hush", skip_instance_cache=True)


def with_texts():
    """The classes of the package that have a representation or a text of their own."""
    top = Path(fsspec.__file__).parent
    for path in top.rglob("*.py"):
        names = path.relative_to(top).with_suffix("").parts
        if "tests" in names:
            continue
        for cls in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(cls, ast.ClassDef):
                own = {n.name for n in cls.body if isinstance(n, ast.FunctionDef)}
                own |= {ast.unparse(t) for n in cls.body if isinstance(n, ast.Assign) for t in n.targets}
                if own & {"__repr__", "__str__"}:
                    yield ".".join([*names, cls.name])


def test_of_each_class_it_is_known_whether_it_shows_urls():
    assert sorted(with_texts()) == sorted([*SHOW_URLS, *SHOW_NONE])


@pytest.mark.parametrize("name", SHOW_URLS)
def test_what_shows_a_url_hides_what_gives_access(name, tmp_path):
    made = SHOW_URLS[name](tmp_path)
    assert name.rpartition(".")[2] in {cls.__name__ for cls in type(made).__mro__}
    for shown in (str(made), repr(made) if "__repr__" in vars(type(made)) else ""):
        assert "hush" not in shown
    assert "host" in str(made) or "X-Sig=..." in str(made)
    getattr(made, "discard", getattr(made, "close", lambda: None))()
