"""How both HTTP filesystems make requests: redirects, credentials, repetition, and what errors show."""

from __future__ import annotations

import io
import os
import pickle
import time
import warnings
from base64 import b64encode
from urllib.parse import unquote

import pytest

aiohttp = pytest.importorskip("aiohttp")
requests = pytest.importorskip("requests")

import fsspec
from fsspec import doctor
from fsspec.implementations import http, http_sync
from fsspec.implementations._http.retrying import Retries, retry_after
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.tests.servers.http import HTTPServer

http_sync.unregister()  # the import put it in the place of the awaitable one

SMALL = b"alpha\nbeta\ngamma\n"
REFUSED = "http://127.0.0.1:1/x?sig=hidden"


@pytest.fixture(params=["http", "http_sync"])
def make(request):
    kind = {"http": http, "http_sync": http_sync}[request.param].HTTPFileSystem
    made = []

    def make(**options):
        made.append(kind(skip_instance_cache=True, **options))
        return made[-1]

    yield make
    for fs in made:
        if request.param == "http_sync":
            fs.session.close()


@pytest.fixture
def fs(make):
    return make()


@pytest.fixture
def url(http_server):
    http_server.files["/f"] = SMALL
    return http_server.url


# -- redirects ---------------------------------------------------------------------


def test_a_location_is_requested_as_it_is_written(http_server, url):
    signed = "/o/a%3Ab%40c.bin?X-Sig=a%2Fb%3D%28z%29"
    http_server.files["/o/a:b@c.bin"] = SMALL
    http_server.fault("/r", redirect=url + signed)
    fs = http.HTTPFileSystem(skip_instance_cache=True)
    assert fs.cat_file(url + "/r") == SMALL
    assert http_server.requests[-1].target == signed
    assert fs.open(url + "/r").read() == SMALL
    assert fs.info(url + "/r")["url"].endswith(signed)


def test_a_location_with_blanks_is_escaped(http_server, fs, url):
    http_server.files["/a b é"] = SMALL
    http_server.fault("/r", redirect="/a b é")
    assert fs.cat_file(url + "/r") == SMALL


def test_too_many_redirects(http_server, fs, url):
    http_server.fault("/r", redirect="/r?sig=hidden")
    with pytest.raises((aiohttp.TooManyRedirects, requests.TooManyRedirects)) as caught:
        fs.cat_file(url + "/r")
    assert "hidden" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["path", "file", "pipe"])
def test_redirected_uploads_arrive_or_fail(http_server, fs, url, tmp_path, status, kind):
    http_server.fault("/old", redirect="/new", redirect_status=status, methods=("PUT",))
    local = tmp_path / "l"
    local.write_bytes(b"data" * 1000)
    try:
        if kind == "path":
            fs.put_file(str(local), url + "/old", method="put", chunk_size=100)
        elif kind == "file":
            fs.put_file(io.BytesIO(b"data" * 1000), url + "/old", method="put", chunk_size=100)
        else:
            fs.pipe_file(url + "/old", b"data" * 1000)
    except NotImplementedError:
        assert kind == "pipe"
    except OSError:
        assert status < 303 or status == 303
    else:
        if status != 303:  # which says that what was uploaded arrived, and where to read on
            assert http_server.files["/new"] == b"data" * 1000


def upload(fs, where, method, tmp_path):
    local = tmp_path / "l"
    local.write_bytes(b"data" * 1000)
    fs.put_file(str(local), where, method=method)


@pytest.mark.parametrize("method", ["put", "post"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_that_says_no_way_on_is_no_answer(http_server, fs, url, tmp_path, status, method):
    """Neither to an upload nor as the content of a file."""
    http_server.fault("/f", status=status)
    with pytest.raises(OSError, match=str(status)):
        upload(fs, url + "/f", method, tmp_path)
    for read in (
        fs.cat_file,
        lambda path: fs.cat_file(path, 0, 5),
        lambda path: fs.get_file(path, str(tmp_path / "got")),
        lambda path: fs.open(path).read(),
        fs.info,
        fs.ls,
    ):
        with pytest.raises(OSError, match=str(status)):
            read(url + "/f")
    assert not (tmp_path / "got").exists()


def test_a_file_that_was_not_modified_is_empty_for_who_asks_so(http_server, fs, url):
    http_server.fault("/f", status=304)
    assert fs.cat_file(url + "/f", headers={"If-None-Match": '"x"'}) == b""


def test_an_upload_by_post_is_not_lost_where_the_url_has_moved(http_server, fs, url, tmp_path):
    """GET follows, without what was uploaded. An upload that has arrived may be answered so, too."""
    with HTTPServer() as other:
        for status, target in [(301, "/new"), (301, other.url + "/f"), (302, other.url + "/f")]:
            http_server.fault("/f", redirect=target, redirect_status=status)
            with pytest.raises(OSError, match="redirected"):
                upload(fs, url + "/f", "post", tmp_path)
        for status, target in [(302, "/thanks"), (303, "/thanks"), (303, other.url + "/f")]:
            http_server.files["/thanks"] = other.files["/f"] = b"ok"
            http_server.fault("/f", redirect=target, redirect_status=status)
            upload(fs, url + "/f", "post", tmp_path)


def test_a_stream_that_cannot_be_sent_again_is_an_error(http_server, fs, url):
    class Stream(io.RawIOBase):
        left = b"data"

        def readable(self):
            return True

        def read(self, size=-1):
            data, self.left = self.left, b""
            return data

    http_server.fault("/old", redirect="/new", redirect_status=307)
    with pytest.raises(OSError):
        fs.put_file(Stream(), url + "/old", method="put")
    assert "/new" not in http_server.files


def basic(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer versions of aiohttp
        return aiohttp.BasicAuth(name, "pw")


# -- credentials -------------------------------------------------------------------


@pytest.mark.parametrize("where", ["client", "client header", "request", "request header"])
def test_credentials_stay_with_their_host(http_server, make, url, where):
    http_server.fault("/same", redirect="/f")
    with HTTPServer() as other:
        other.files["/f"] = SMALL
        http_server.fault("/away", redirect=other.url + "/f")
        header = {"headers": {"Authorization": "Basic bWU6cHc="}}
        probe = make()
        auth = {"auth": ("me", "pw") if hasattr(probe, "session") else basic("me")}
        options = {
            "client": {"client_kwargs": auth},
            "client header": {"client_kwargs": header},
            "request": auth,
            "request header": header,
        }[where]
        fs = make(**options)
        for read in (fs.cat_file, lambda u: fs.open(u).read(), fs.info):
            http_server.clear()
            other.clear()
            read(url + "/away")
            read(url + "/same")
            assert all("Authorization" in r.headers for r in http_server.requests)
            assert other.requests
            assert not any("Authorization" in r.headers for r in other.requests)


@pytest.mark.parametrize("where", ["client", "request"])
def test_basic_authentication_by_a_pair(http_server, url, where):
    for pair in (("me", "pw:\xe9"), ["me", "pw:\xe9"]):  # a list, as JSON has it
        options = {"client_kwargs": {"auth": pair}} if where == "client" else {"auth": pair}
        fs = http.HTTPFileSystem(**options, skip_instance_cache=True)
        assert fs.cat_file(url + "/f") == SMALL
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs = aiohttp.BasicAuth(*pair).encode()
        assert http_server.requests[-1].headers["Authorization"] == theirs
        assert "pw" not in repr(fs) and "pw" not in fs.to_json(include_password=False)
    for other in ("me:secretpw", ("secretpw",), ("me", None), ("me", "secretpw", 1), ("me:x", "secretpw")):
        with pytest.raises((TypeError, ValueError), match="auth.*(pair|colon)") as caught:
            options = {"client_kwargs": {"auth": other}} if where == "client" else {"auth": other}
            http.HTTPFileSystem(**options, skip_instance_cache=True).cat_file(url + "/f")
        assert "secretpw" not in str(caught.value)


OPERATIONS = {
    "info": lambda fs, url, **o: fs.info(url, **o),
    "open": lambda fs, url, **o: fs.open(url, **o),
    "open, reading on": lambda fs, url, **o: fs.open(url, block_size=0, **o),
    "cat_file": lambda fs, url, **o: fs.cat_file(url, **o),
    "a part": lambda fs, url, **o: fs.cat_file(url, 1, 2, **o),
    "get_file": lambda fs, url, **o: fs.get_file(url, io.BytesIO(), **o),
    "put_file": lambda fs, url, **o: fs.put_file(io.BytesIO(b"x"), url, **o),
    "exists": lambda fs, url, **o: fs.exists(url, **o),
    "read": lambda fs, url, **o: fs.open(url, size=17, **o).read(),
    "a stale size": lambda fs, url, **o: fs.open(url, size=17, cache_type="none", **o).read(5),
}


@pytest.mark.parametrize("how", OPERATIONS)
@pytest.mark.parametrize("of_call", [False, True])
@pytest.mark.parametrize(
    ("option", "advice"),
    [("anon", "leave it out"), ("header", "'headers'"), ("client_kwarg", "'client_kwargs'")],
)
def test_an_unknown_option_is_named(make, http_server, url, how, of_call, option, advice):
    given = {option: True}
    fs = make(**({} if of_call else given))
    target = url + "/f?sig=hidden"
    with pytest.raises(TypeError, match=f"HTTPFileSystem has no option '{option}'.*{advice}") as caught:
        OPERATIONS[how](fs, target, **(given if of_call else {}))
    text = str(caught.value)
    assert url + "/f" in text and "hidden" not in text and f"keyword argument '{option}'" in text
    # upstream finds no file where it asks for information first
    assert isinstance(caught.value, FileNotFoundError) == (how in ("info", "open", "open, reading on"))
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    assert not http_server.requests


def test_an_unknown_option_says_nothing_of_what_is_there(make, url):
    fs = make(anon=True)
    for ask in (fs.isdir, fs.isfile, fs.ls, fs.find, fs.walk, fs.glob):
        with pytest.raises(TypeError, match="anon") as caught:
            list(ask(url + "/f"))
        assert not isinstance(caught.value, OSError)
    if hasattr(fs, "open_async"):
        with pytest.raises(TypeError, match="anon"):
            fsspec.asyn.sync(fs.loop, fs.open_async, url + "/f")


def test_an_unknown_option_of_the_session_is_named(make, url):
    with pytest.raises(TypeError, match="client_kwargs .*'trust_en'") as caught:
        make(client_kwargs={"trust_en": True}).info(url + "/f")
    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize(
    "options",
    [
        {"client_kwargs": 3},
        {"client_kwargs": "hidden"},
        {"client_kwargs": {"headers": "hidden"}},
        {"cache_options": 3},
        {"headers": "hidden"},
        {"headers": ["hidden"]},
        {"headers": {1: "hidden"}},
        {"retries": "many"},
        {"retries": None},
        {"retry_wait": "long"},
        {"retry_statuses": 503},
        {"retry_statuses": "503"},
        {"retry_statuses": ["x"]},
        {"validators": 3},
        {"block_size": "x"},
    ],
    ids=str,
)
def test_an_option_of_another_type_is_named(make, options):
    ((name, value),) = options.items()
    with pytest.raises(TypeError, match="headers" if isinstance(value, dict) else name) as caught:
        make(**options)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("options", [{"max_concurrency": "x"}, {"max_concurrency": None}, {"get_client": 3}])
def test_an_option_of_aiohttp_of_another_type_is_named(options):
    with pytest.raises(TypeError, match=next(iter(options))):
        http.HTTPFileSystem(**options, skip_instance_cache=True)


def test_numbers_may_be_text(http_server, make, url):
    http_server.fault("/f", status=503, times=1)
    fs = make(retries="1", retry_wait="0", retry_statuses=["503"])
    assert fs.cat_file(url + "/f") == SMALL


@pytest.mark.parametrize("where", ["client", "request"])
def test_cookies_stay_with_their_host(http_server, make, url, where):
    http_server.fault("/same", redirect="/f")
    cookies = {"cookies": {"session": "secret", "other": "a b"}}
    fs = make(**(cookies if where == "request" else {"client_kwargs": cookies}))
    if where == "client" and hasattr(fs, "session"):
        pytest.skip("requests has no such option of a session")
    with HTTPServer() as other:
        other.files["/f"] = SMALL
        http_server.fault("/away", redirect=other.url + "/f")
        for read in (fs.cat_file, lambda u: fs.open(u).read(), fs.info):
            http_server.clear()
            other.clear()
            read(url + "/away")
            read(url + "/same")
            assert all("session=secret" in r.headers["Cookie"] for r in http_server.requests)
            assert other.requests
            assert not any("Cookie" in r.headers for r in other.requests)


def test_credentials_of_the_url_go_first(http_server, url):
    fs = http.HTTPFileSystem(client_kwargs={"auth": basic("session")}, skip_instance_cache=True)
    fs.cat_file(url.replace("//", "//url:pw@") + "/f")
    assert http_server.requests[-1].headers["Authorization"] == basic("url").encode()
    fs.cat_file(url + "/f", headers={"Authorization": "own"})
    assert http_server.requests[-1].headers["Authorization"] == "own"


@pytest.mark.parametrize("name", ["me:p%40w", "a%2Fb:pw", ":pw", "me:"])
def test_credentials_of_the_url_stay_at_its_host_through_redirects(http_server, fs, url, tmp_path, name):
    """All of them that follow one another, wherever the location says the host or not."""
    user, _, word = name.partition(":")
    wanted = "Basic " + b64encode(f"{unquote(user)}:{unquote(word)}".encode()).decode()
    mine = url.replace("//", f"//{name}@")
    uploads = [lambda u: fs.put_file(str(tmp_path / "l"), u, method="put")]
    if not hasattr(fs, "session"):
        uploads.append(lambda u: fs.pipe_file(u, SMALL))
    reads = [
        fs.cat_file,
        fs.info,
        fs.exists,
        fs.ls,
        lambda u: fs.cat_file(u, 1, 3),
        lambda u: fs.open(u).read(),
        lambda u: fs.open(u, block_size=0).read(),
        lambda u: fs.get_file(u, str(tmp_path / "got")),
    ]
    (tmp_path / "l").write_bytes(SMALL)
    with HTTPServer() as other:
        other.files["/f"] = SMALL
        http_server.fault("/same", redirect="/more", redirect_status=307)
        http_server.fault("/more", redirect=url + "/f", redirect_status=308)
        http_server.fault("/there", redirect="/away", redirect_status=307)
        http_server.fault("/away", redirect=other.url + "/back", redirect_status=307)
        other.fault("/back", redirect=url + "/f", redirect_status=307)
        for work in reads + uploads:
            http_server.clear()
            other.clear()
            work(mine + "/same")
            work(mine + "/there")
            asked = [(r.path, r.headers.get("Authorization")) for r in http_server.requests]
            ways = {path for path, _ in asked}
            assert ways == {"/same", "/more", "/f", "/there", "/away"}
            assert all(given == wanted for path, given in asked if path != "/f")
            # once by the way of this host, once by the other one's
            assert {given for path, given in asked if path == "/f"} == {wanted, None}
            assert other.requests
            assert not any("Authorization" in r.headers for r in other.requests)


@pytest.mark.parametrize("mine", ["url", "client"])
def test_a_location_with_credentials_of_its_own(http_server, url, mine):
    http_server.fault("/r", redirect=url.replace("//", "//new:pw@") + "/f")
    options = {"client_kwargs": {"auth": ("old", "pw")}} if mine == "client" else {}
    fs = http.HTTPFileSystem(**options, skip_instance_cache=True)
    asked = url if mine == "client" else url.replace("//", "//old:pw@")
    assert fs.cat_file(asked + "/r") == SMALL
    given = [r.headers["Authorization"] for r in http_server.requests]
    assert given == [basic("old").encode(), basic("new").encode()]


# -- what errors show ---------------------------------------------------------------


def test_errors_show_no_secrets(http_server, fs, url):
    http_server.fault("/s", status=500)
    http_server.fault("/gone", status=410)
    for path in ("/s", "/gone", "/none"):
        for read in (fs.cat_file, fs.info, fs.open, fs.ls):
            with pytest.raises(OSError) as caught:
                read(url.replace("//", "//me:secretpw@") + path + "?sig=hidden&n=1")
            shown = repr(caught.value) + str(caught.value) + repr(caught.value.args[0])
            assert "hidden" not in shown
            assert "secretpw" not in str(caught.value) + repr(caught.value)


MISSING = {
    "cat": lambda fs, url: fs.cat([url]),
    "rm": lambda fs, url: fs.rm(url),
    "rm of several": lambda fs, url: fs.rm([url]),
    "expand_path": lambda fs, url: fs.expand_path([url]),
    "a pattern": lambda fs, url: fs.expand_path(url.replace("/none", "/n*"), recursive=True),
    "get": lambda fs, url: fs.get([url], "never"),
    "a folder": lambda fs, url: fs.get_file(f"{url}/", "never/"),
    "open": lambda fs, url: fsspec.open(url.replace("/none", "/[n]*"), expand=True).open(),
    "a mapping": lambda fs, url: fsspec.FSMap(url, fs, missing_exceptions=()).getitems(["a"]),
}


@pytest.mark.parametrize("how", MISSING)
def test_what_is_missing_is_named_without_secrets(make, url, how):
    fs = make()
    with pytest.raises(OSError) as caught:
        MISSING[how](fs, url.replace("//", "//me:secretpw@") + "/none?sig=hidden&n=1")
    shown = repr(caught.value) + str(caught.value) + repr(caught.value.args) + repr(caught.value.filename)
    assert "127.0.0.1" in shown and "hidden" not in shown and "secretpw" not in shown


def test_errors_of_connections_show_no_secrets(fs):
    import traceback

    for read in (fs.cat_file, fs.info, fs.open, fs.ls):
        with pytest.raises((OSError, aiohttp.ClientError)) as caught:
            read(REFUSED)
        assert "hidden" not in "".join(traceback.format_exception(caught.type, caught.value, caught.tb))


@pytest.mark.parametrize("bad", [REFUSED, "http://nonexist.invalid/x", "http://127.0.0.1:99999/x"])
@pytest.mark.parametrize("what", ["info", "open", "size"])
def test_where_nobody_is_there_is_no_file(fs, bad, what):
    with pytest.raises(FileNotFoundError) as caught:
        getattr(fs, what)(bad)
    assert isinstance(caught.value, (aiohttp.ClientError, requests.RequestException, ValueError))
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "address, why",
    [("me:secretpw@127.0.0.1:99999", "Port out of range"), ("[bad", "Invalid IPv6"), ("", "(?i)valid")],
)
@pytest.mark.parametrize("read", ["info", "open", "size"])
def test_an_invalid_url_is_reported_with_the_reason(fs, address, why, read):
    with pytest.raises(FileNotFoundError, match=why) as caught:
        getattr(fs, read)(f"http://{address}/x?sig=hidden")
    assert isinstance(caught.value, ValueError)
    reported = str(caught.value)
    assert reported.startswith("http://") and "x: " in reported.replace("?sig=...", "")
    assert "hidden" not in reported and "secretpw" not in reported


def test_credentials_given_twice_are_no_absence(http_server, url):
    """The URL is fine, and the file is there: nothing says that it is not, and every error says why."""
    fs = http.HTTPFileSystem(headers={"Authorization": "Bearer secret"}, skip_instance_cache=True)
    mine = url.replace("//", "//me:pw@") + "/f"
    for ask in (fs.exists, fs.isfile, fs.info, fs.open, fs.cat_file, fs.size, fs.ls):
        with pytest.raises(ValueError, match="Cannot combine"):
            ask(mine)
    found = doctor.Diagnosis()
    doctor._first_requests(found, mine, {"headers": {"Authorization": "Bearer secret"}})
    reported = [f.text for f in found.findings if f.level == "problem"]
    assert len(reported) == 1 and "Cannot combine" in reported[0] and "secret" not in reported[0]


@pytest.mark.parametrize("same_names", [False, True])
def test_only_a_copy_that_is_called_like_its_url_shows_the_query(url, tmp_path, same_names):
    """As caches.rst says; that is upstream's name for it. The password is nowhere."""
    mine = url.replace("//", "//me:secretpw@") + "/f?sig=hidden"
    options = {"cache_storage": str(tmp_path), "same_names": same_names, "skip_instance_cache": True}
    fs = fsspec.filesystem("filecache", fs=http.HTTPFileSystem(skip_instance_cache=True), **options)
    with fs.open(mine) as f:
        assert f.read() == SMALL
        assert "hidden" not in repr(f)
    del fs
    table = (tmp_path / "cache").read_text()
    assert "secretpw" not in table
    for named in (table, " ".join(os.listdir(tmp_path))):
        assert ("f?sig=hidden" in named) == same_names


def test_missing_is_both_kinds_of_error(http_server, url):
    fs = http.HTTPFileSystem(skip_instance_cache=True)
    with pytest.raises(FileNotFoundError) as caught:
        fs.cat_file(url + "/none")
    assert isinstance(caught.value, aiohttp.ClientResponseError)
    assert caught.value.status == 404
    assert str(caught.value) == url + "/none"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.status, str(again)) == (404, url + "/none")


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_local_file_that_cannot_be_read(http_server, fs, url, tmp_path, what):
    local = tmp_path / "none" if what == "missing" else tmp_path
    with pytest.raises(OSError) as caught:
        fs.put_file(str(local), url + "/up")
    assert isinstance(caught.value, (aiohttp.ClientOSError, requests.ConnectionError))
    assert caught.value.filename == str(local)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.errno, again.filename) == (caught.value.errno, str(local))
    assert http_server.requests == []


def test_creating_is_up_to_the_server(http_server, url):
    fs = http.HTTPFileSystem(skip_instance_cache=True)
    fs.pipe_file(url + "/new", b"1", mode="create")
    assert http_server.requests[-1].headers["If-None-Match"] == "*"
    http_server.fault("/new", status=412)
    with pytest.raises(FileExistsError, match="/new"):
        fs.pipe_file(url + "/new", b"2", mode="create")
    assert http_server.files["/new"] == b"1"


# -- information ---------------------------------------------------------------------


def test_what_only_head_tells_stays(http_server, fs, url):
    http_server.fault("/f", headers={"ETag": '"x"'}, chunked=True, times=1)
    info = fs.info(url + "/f")
    assert (info["ETag"], info["size"]) == ('"x"', len(SMALL))
    assert [r.method for r in http_server.requests] == ["HEAD", "GET"]


def test_empty_files_cost_no_more_than_upstream(http_server, fs, url):
    http_server.files["/empty"] = b""
    with fs.open(url + "/empty") as f:
        assert f.read() == b""
    assert len(http_server.requests) == 2


def test_a_size_of_0_is_no_size(http_server, fs, url):
    with fs.open(url + "/f", size=0) as f:
        assert f.size == len(SMALL)
        assert f.read() == SMALL


def test_a_refreshed_listing_asks_again(http_server, make, url):
    http_server.files["/d/"] = b'<a href="a">a</a>'
    fs = make(use_listings_cache=True)
    assert fs.ls(url + "/d/", detail=False, refresh=True) == [url + "/d/a"]
    http_server.files["/d/"] = b'<a href="b">b</a>'
    assert fs.ls(url + "/d/", detail=False) == [url + "/d/a"]
    assert fs.ls(url + "/d/", detail=False, refresh=True) == [url + "/d/b"]
    assert fs.ls(url + "/d/", detail=False) == [url + "/d/b"]


def test_du_asks_for_sizes(http_server, fs, url):
    http_server.files["/d/"] = b'<a href="a">a</a><a href="b">b</a>'
    http_server.files["/d/a"] = b"1234"
    http_server.files["/d/b"] = b"567"
    assert fs.du(url + "/d/") == 7
    assert fs.du(url + "/d/", total=False) == {url + "/d/a": 4, url + "/d/b": 3}
    assert fs.find(url + "/d/", withdirs=True) == [url + "/d/", url + "/d/a", url + "/d/b"]


def test_a_map_over_http(http_server, fs, url):
    m = fs.get_mapper(url)
    assert m.pop("none", 7) == 7
    assert m.pop("f", 7) == SMALL
    with pytest.raises(KeyError):
        m.pop("none")


def test_streamed_files_read_parts_of_lines(http_server, fs, url):
    with fs.open(url + "/f", block_size=0) as f:
        assert [f.readline(3), f.tell(), f.readline(100), f.readline(-1)] == [b"alp", 3, b"ha\n", b"beta\n"]
        assert f.tell() == 11
        assert f.read() == b"gamma\n"
        assert not f.seekable()


@pytest.mark.parametrize(
    "cache_type", ["bytes", "readahead", "none", "blockcache", "first", "background", "all"]
)
def test_a_size_that_is_too_large_is_corrected(http_server, fs, url, cache_type):
    with fs.open(url + "/f", size=100, cache_type=cache_type) as f:
        assert f.read(1) == b"a"
        assert f.size == len(SMALL)
        assert f.read() == SMALL[1:]


def test_a_block_of_a_streamed_file(http_server, fs, url):
    http_server.fault("/f", gzip=True, ignore_range=True)
    assert fs.read_block(url + "/f", 0, 8) == SMALL[:8]
    assert fs.read_block(url + "/f", 0, 100) == SMALL
    assert fs.read_block(url + "/f", 0, None) == SMALL
    assert fs.tail(url + "/f", 6) == SMALL[-6:]
    assert fs.tail(url + "/f") == SMALL
    assert fs.head(url + "/f", 5) == SMALL[:5]


def test_downloads_of_a_folder_of_many_files_cost_one_request_each(http_server, fs, url, tmp_path):
    for n in range(20):
        http_server.files[f"/m/{n}"] = b"x" * n
    fs.get([f"{url}/m/{n}" for n in range(20)], [str(tmp_path / str(n)) for n in range(20)])
    assert len([r for r in http_server.requests if r.method == "GET" and r.path != "/m/0"]) == 19
    assert {(tmp_path / str(n)).stat().st_size for n in range(20)} == set(range(20))


def test_what_costs_no_request(http_server, make, url):
    fs = make(use_listings_cache=True)
    assert fs.cat_file(url + "/f", 5, 5) == fs.cat_file(url + "/f", -3, -3) == b""
    assert http_server.requests == []
    assert fs.info(url + "/f", refresh=True)["size"] == len(SMALL)
    assert fs.exists(url + "/f", refresh=True)
    assert len(http_server.requests) == 2


def test_a_range_that_ends_near_the_end_is_one_request(http_server, fs, url):
    for start, end in ((None, -1), (5, -2), (-9, -3), (10_000, -1), (5, -10_000)):
        http_server.clear()
        assert fs.cat_file(url + "/f", start, end) == SMALL[start:end]
        # beyond the end it is asked how long the file is
        assert [r.method for r in http_server.requests] == ["GET"] + ["HEAD"] * (start == 10_000)


def test_a_part_of_a_file_that_is_only_served_compressed_is_cut_out_of_the_whole(http_server, fs, url):
    """As objects of S3 with a Content-Encoding, whose ranges are those of the compressed form."""
    http_server.files["/f"] = data = b"0123456789" * 200
    http_server.fault("/f", gzip=True)
    for start, end in ((5, -2), (-9, -3), (1990, -1), (5, -1000), (0, -1), (3, 8), (-4, None)):
        assert fs.cat_file(url + "/f", start, end) == data[start:end]
    assert fs.read_bytes(url + "/f", 5, -2) == data[5:-2]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "no-url", "ftp://h/x"])
def test_a_part_that_ends_near_the_end_of_what_cannot_be_asked_for_is_not_found(fs, url):
    for ask in (lambda: fs.cat_file(url, 5, -1), lambda: fs.cat_file(url, 5, -(10**6)), lambda: fs.info(url)):
        with pytest.raises(FileNotFoundError):
            ask()


def test_missing_files_are_both_kinds_of_error_when_they_are_read(http_server, fs, url):
    with fs.open(url + "/none", size=5) as f, pytest.raises(FileNotFoundError) as caught:
        f.read()
    assert isinstance(caught.value, (aiohttp.ClientResponseError, requests.HTTPError))


# -- folders ----------------------------------------------------------------------------

OUT = ["../f", "%2e%2e/f", ".%2E/f", "a/%2e%2e/%2e%2e/f", "..%2ff", ".\t./f", "\n../f", "..\\f", ".%09./f"]


@pytest.mark.parametrize("path", OUT)
def test_a_folder_is_not_left(http_server, fs, url, path):
    http_server.files["/d/in"] = b"inside"
    folder = DirFileSystem(url + "/d", fs)
    store = fs.get_mapper(url + "/d")
    for read in (folder.cat_file, folder.info, folder.open, store.__getitem__):
        if path == ".%09./f":  # an escaped tab is a tab of the name, and stays
            with pytest.raises((FileNotFoundError, KeyError)):
                read(path)
            continue
        with pytest.raises(ValueError, match="leads out"):
            read(path)
    assert all(not r.path.startswith("/f") for r in http_server.requests)
    assert folder.cat_file("in") == b"inside"
    assert folder.cat_file("in?u=../../x") == b"inside"


# -- repetition ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_nothing_is_repeated_unless_asked_for(http_server, fs, url, status):
    http_server.fault("/f", status=status, times=1)
    with pytest.raises(OSError):
        fs.cat_file(url + "/f")
    assert len(http_server.requests) == 1


FAULTS = [{"status": 503}, {"status": 429}, {"drop_after": 3}, {"truncate": 3}, {"drop_after": 0}]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "what", ["cat", "range", "info", "open", "get", "get to file", "exists", "ls", "put"]
)
def test_a_request_that_failed_is_repeated(http_server, make, url, tmp_path, fault, what):
    fs = make(retries=3, retry_wait=0.01)
    http_server.files["/d/"] = b'<a href="a">a</a>'
    path = "/d/" if what == "ls" else "/up" if what == "put" else "/f"
    http_server.fault(path, times=2, **fault)
    target, out = tmp_path / "x", io.BytesIO(b"before")
    out.seek(6)
    if what == "put":
        local = tmp_path / "l"
        local.write_bytes(SMALL)
        if "status" not in fault:
            pytest.skip("these faults are of answers")
        fs.put_file(str(local), url + path, method="put")
        assert http_server.files["/up"] == SMALL
        return
    {
        "cat": lambda: _same(fs.cat_file(url + path), SMALL),
        "range": lambda: _same(fs.cat_file(url + path, 1, 9), SMALL[1:9]),
        "info": lambda: _same(fs.info(url + path)["size"], len(SMALL)),
        "open": lambda: _same(fs.open(url + path).read(), SMALL),
        "get": lambda: fs.get_file(url + path, str(target)),
        "get to file": lambda: fs.get_file(url + path, out),
        "exists": lambda: _same(fs.exists(url + path), True),
        "ls": lambda: _same(fs.ls(url + path, detail=False), [url + "/d/a"]),
    }[what]()
    if what == "get":
        assert target.read_bytes() == SMALL
    elif what == "get to file":
        assert out.getvalue() == b"before" + SMALL


def _same(got, wanted):
    assert got == wanted


def test_an_open_file_repeats_its_requests(http_server, make, url):
    http_server.files["/big"] = bytes(range(256)) * 4096
    fs = make(retries=2, retry_wait=0.01)
    with fs.open(url + "/big", block_size=2**16) as f:
        f.read(10)
        http_server.fault("/big", status=503, times=2)
        f.seek(500_000)
        assert f.read(4) == bytes(range(32, 36))


def test_repetition_is_bounded_and_choosy(http_server, make, url):
    fs = make(retries=2, retry_wait=0.01)
    http_server.fault("/f", status=503)
    with pytest.raises(OSError):
        fs.cat_file(url + "/f")
    assert len(http_server.requests) == 3
    http_server.clear()
    with pytest.raises(FileNotFoundError):
        fs.cat_file(url + "/none")
    http_server.fault("/f", status=501)
    with pytest.raises(OSError):
        fs.cat_file(url + "/f")
    assert len(http_server.requests) == 2
    other = make(retries=2, retry_wait=0.01, retry_statuses=[501])
    http_server.fault("/f", status=501, times=1)
    assert other.cat_file(url + "/f") == SMALL


def test_a_post_is_not_repeated(http_server, make, url):
    fs = make(retries=3, retry_wait=0.01)
    http_server.fault("/up", status=503, times=1)
    with pytest.raises(OSError):
        fs.put_file(io.BytesIO(b"x"), url + "/up", method="post")
    assert len(http_server.requests) == 1


def test_the_server_says_when(http_server, make, url):
    fs = make(retries=1, retry_wait=0)
    http_server.fault("/f", status=503, headers={"Retry-After": "1"}, times=1)
    start = time.monotonic()
    assert fs.cat_file(url + "/f") == SMALL
    assert time.monotonic() - start >= 0.99
    http_server.fault("/f", status=503, headers={"Retry-After": "3600"}, times=1)
    with pytest.raises(OSError):  # too long to wait for
        fs.cat_file(url + "/f")


def test_pauses_double_and_end():
    error = OSError("broken")
    few = Retries(3, 2.0)
    pauses = [few.pause(n, error, (OSError,), ()) for n in range(4)]
    assert pauses[3] is None
    assert 1 <= pauses[0] <= 2 <= pauses[1] <= 4 <= pauses[2] <= 8
    assert few.pause(0, error, (ValueError,), ()) is None
    assert few.pause(0, error, (OSError,), (OSError,)) is None
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"}) == 0
    assert retry_after({"Retry-After": "soon"}) == retry_after({}) == 0
    assert 3000 < retry_after({"Retry-After": "Wed, 01 Jan 2300 00:00:00 GMT"})
    for wrong in ({"retries": -1}, {"retry_wait": -1}):
        with pytest.raises(ValueError, match="below 0"):
            http.HTTPFileSystem(skip_instance_cache=True, **wrong)


@pytest.mark.skipif(os.name == "nt", reason="the folder is one of POSIX")
def test_a_download_into_no_folder_names_the_file(http_server, fs, url, tmp_path):
    target = tmp_path / "none" / "x"
    with pytest.raises(FileNotFoundError) as caught:
        fs.get_file(url + "/f", str(target))
    assert caught.value.filename == str(target)
