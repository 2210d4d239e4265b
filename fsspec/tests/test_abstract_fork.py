"""The contract tests about forks find what they are for: backends that harm show as such."""

import base64
import http.client
import http.server
import os
import pickle
import socketserver
import threading

import pytest

from fsspec._checks.contract import MODES, WRITING
from fsspec.exceptions import ForkError
from fsspec.fork import Owned, watch_socket
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile
from fsspec.tests.abstract.fork import _run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class SharedPosition(LocalFileSystem):
    """Open files are the system's own, whose position a child moves."""

    protocol = "shared"

    def _open(self, path, mode="rb", **kwargs):
        return open(path, mode, buffering=0)


class Committing(LocalFileSystem):
    """A file being written is there once it is closed, by whoever that is."""

    protocol = "committing"

    class File:
        """Bytes until then."""

        def __init__(self, path):
            self.path, self.data, self.made = path, b"", os.getpid()

        def write(self, data):
            if self.made != os.getpid():
                raise ForkError("this file", self.made)
            self.data += data

        def flush(self):
            pass

        def close(self):
            with open(self.path, "wb") as f:
                f.write(self.data)

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            self.close()

        __del__ = close

    def _open(self, path, mode="rb", **kwargs):
        return self.File(path) if mode == "wb" else super()._open(path, mode, **kwargs)


class Waiting(LocalFileSystem):
    """Waits for what a thread of the parent was to do."""

    protocol = "waiting"

    def __init__(self):
        super().__init__()
        self.made = os.getpid()

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.made != os.getpid():
            threading.Event().wait()
        return super().cat_file(path, start, end, **kwargs)


class Noisy(LocalFileSystem):
    """Says something as it is collected."""

    protocol = "noisy"

    def __del__(self):
        os.write(2, b"going\n")


class Ending(Waiting):
    """Ends a process that it was not made in."""

    protocol = "ending"

    def cat_file(self, path, start=None, end=None, **kwargs):
        if self.made != os.getpid():
            os._exit(7)
        return super().cat_file(path, start, end, **kwargs)


def tried(fs, folder, handle, mode="opted in", limit=90.0):
    """The problems found, by action."""
    job = {
        "subject": base64.b64encode(pickle.dumps((fs, folder))).decode(),
        "handle": handle,
        "mode": mode,
        "block_size": None,
        "memory": False,
        "limit": 3.0,
    }
    found, noise = _run(job, limit)
    found.pop("forks", None)
    return {action: problem for action, problem in found.items() if problem}, noise


def test_shared_positions_are_found(tmp_path):
    """The child's reading moves the parent."""
    problems, _ = tried(SharedPosition(auto_mkdir=True), str(tmp_path), "open file")
    assert "position" in problems["used"] and "the parent's" in problems["used"]


def test_what_a_child_commits_is_found(tmp_path):
    """Though it could not write on."""
    problems, _ = tried(Committing(auto_mkdir=True), str(tmp_path), WRITING)
    assert "in the store, was None" in problems["used"]


def test_children_that_hang_are_found_and_show_where(tmp_path):
    """By the stack in the message; nothing waits for ever."""
    problems, _ = tried(Waiting(), str(tmp_path), "instance")
    assert "hung in test_abstract_fork.py, line " in problems["used"] and "in cat_file" in problems["used"]
    assert "threads do not cross a fork" in problems["used"] and "_after_fork_in_child" in problems["used"]


def test_noise_is_found(tmp_path):
    """Whatever a child says on stderr."""
    problems, _ = tried(Noisy(auto_mkdir=True), str(tmp_path), "instance")
    assert any("noise: going" in problem for problem in problems.values())


def test_exit_codes_are_found(tmp_path):
    """A child that ends by itself."""
    problems, _ = tried(Ending(), str(tmp_path), "instance")
    assert "exit code 7" in problems["used"]


def test_process_that_cannot_begin_is_found(tmp_path):
    """With what it said."""
    (tmp_path / "file").write_bytes(b"")
    problems, noise = tried(LocalFileSystem(), str(tmp_path / "file"), "instance")
    assert "ended with" in problems["the process"] and "NotADirectoryError" in noise


def test_process_that_does_not_end_is_ended(tmp_path):
    """With its children, and its stacks."""
    problems, noise = tried(Waiting(), str(tmp_path), "instance", limit=2.0)
    assert "ended with" in problems["the process"] and "in wait" in noise


def test_what_is_right_is_found_right(tmp_path):
    """Nothing to complain of, and nothing left."""
    problems, noise = tried(LocalFileSystem(auto_mkdir=True), str(tmp_path), WRITING)
    assert problems == {} and noise == ""
    assert list(tmp_path.iterdir()) == []


class Shared(LocalFileSystem):
    """Asks all that it reads over one connection of http.client, and does not say so."""

    protocol = "sharing"

    def __init__(self, address, **kwargs):
        super().__init__(**kwargs)
        self.connection = http.client.HTTPConnection(*address)

    def cat_file(self, path, start=None, end=None, **kwargs):
        data = super().cat_file(path, start, end, **kwargs)
        self.connection.request("POST", "/", body=data)
        return self.connection.getresponse().read()


class WatchedConnection(http.client.HTTPConnection):
    """No child holds it open."""

    def connect(self):
        super().connect()
        watch_socket(self.sock)


class Declared(Shared):
    """The same, and says so."""

    protocol = "declaring"
    _fork_sensitive = True

    def __init__(self, address, watched, **kwargs):
        super().__init__(address, **kwargs)
        if watched:
            self.connection = WatchedConnection(*address)


@pytest.fixture
def echo():
    """An HTTP server that answers with what it was sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # a client that is killed

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("mode", ["opted in", "neither"])
def test_shared_connections_are_found_by_their_descriptors(tmp_path, echo, mode):
    """And the advice is what to write."""
    problems, _ = tried(Shared(echo, auto_mkdir=True), str(tmp_path), "instance", mode)
    assert f"{echo[0]}:{echo[1]}" in problems["used"]
    assert "_fork_sensitive = True into the class Shared" in problems["used"]
    problems, noise = tried(Declared(echo, True, auto_mkdir=True), str(tmp_path), "instance", mode)
    assert problems == {}, noise
    problems, _ = tried(Declared(echo, False, auto_mkdir=True), str(tmp_path), "instance", mode)
    assert f"{echo[0]}:{echo[1]}" in problems["used"]
    assert "hold it open" in problems["used"] and "watch_socket" in problems["used"]


class OneFile(LocalFileSystem):
    """Opens one file, and no more."""

    protocol = "onefile"
    opened = 0

    def cat_file(self, path, start=None, end=None, **kwargs):
        with open(path, "rb") as f:
            return f.read()

    def _open(self, path, mode="rb", **kwargs):
        if mode == "rb":
            self.opened += 1
            if self.opened > 1:
                raise ConnectionResetError("the server has had enough")
        return super()._open(path, mode, **kwargs)


def test_an_error_of_the_parent_after_a_child_is_found(tmp_path):
    """Before it forks again: that is no test that could not begin."""
    problems, _ = tried(OneFile(auto_mkdir=True), str(tmp_path), "open file")
    assert list(problems) == ["used by both at once"]
    assert "the parent: ConnectionResetError: the server has had enough\n" in problems["used by both at once"]


class Kept(Shared):
    """The connection is one of the class."""

    protocol = "keeping"
    kept = None

    def __init__(self, address, **kwargs):
        super().__init__(address, **kwargs)
        Kept.kept = self.connection = Kept.kept or self.connection


def test_a_connection_of_a_class_is_told_apart(tmp_path, echo):
    """As forkcheck does: neither a new instance nor what one could write into the class would help."""
    problems, _ = tried(Kept(echo, auto_mkdir=True), str(tmp_path), "instance")
    assert f"{echo[0]}:{echo[1]}" in problems["used"]
    assert "a module or a class has it" in problems["used"]


class SharedFile(AbstractBufferedFile):
    """Asks over a connection of http.client of its own."""

    def __init__(self, fs, path, mode="rb", **kwargs):
        super().__init__(fs, path, mode, cache_type="none", **kwargs)
        self.connection = http.client.HTTPConnection(*fs.address)

    def _fetch_range(self, start, end):
        with open(self.path, "rb") as f:
            f.seek(start)
            self.connection.request("POST", "/", body=f.read(end - start))
        return self.connection.getresponse().read()


class SharedFiles(LocalFileSystem):
    """Says of itself that children must not use it, which says nothing of its files."""

    protocol = "sharingfiles"
    _fork_sensitive = True

    def __init__(self, address, **kwargs):
        super().__init__(**kwargs)
        self.address = address

    def _open(self, path, mode="rb", **kwargs):
        return SharedFile(self, path, mode) if mode == "rb" else super()._open(path, mode, **kwargs)


def test_shared_connections_of_files_are_found_and_the_class_of_the_file_is_named(tmp_path, echo):
    problems, _ = tried(SharedFiles(echo, auto_mkdir=True), str(tmp_path), "open file")
    assert f"{echo[0]}:{echo[1]}" in problems["used"]
    assert "SharedFile, which SharedFiles opens, holds a connection" in problems["used"]
    problems, noise = tried(SharedFiles(echo, auto_mkdir=True), str(tmp_path), "instance")
    assert problems == {}, noise


class OwnedFile(SharedFile):
    """Its connection is its process's own; the parent's is watched only where that is asked for."""

    def __init__(self, fs, path, mode="rb", **kwargs):
        super().__init__(fs, path, mode, **kwargs)
        self.owned = Owned(lambda: self._connected(fs))

    def _connected(self, fs):
        connection = http.client.HTTPConnection(*fs.address)
        connection.connect()
        if fs.watched:
            watch_socket(connection.sock)
        return connection

    def _fetch_range(self, start, end):
        connection = self.owned.get()
        with open(self.path, "rb") as f:
            f.seek(start)
            connection.request("POST", "/", body=f.read(end - start))
        return connection.getresponse().read()


class ClosingFile(OwnedFile):
    """Gives its connection up as it is closed."""

    def close(self):
        super().close()
        connection = self.owned.release()
        if connection:
            connection.close()


class OwnedFiles(SharedFiles):
    """Files that keep their connection in an Owned."""

    protocol = "owningfiles"
    _file = OwnedFile

    def __init__(self, address, watched, **kwargs):
        super().__init__(address, **kwargs)
        self.watched = watched

    def _open(self, path, mode="rb", **kwargs):
        return self._file(self, path, mode) if mode == "rb" else super()._open(path, mode, **kwargs)


class ClosingFiles(OwnedFiles):
    """The filesystem has no connection, and has nothing to say."""

    protocol = "closingfiles"
    _fork_sensitive = False
    _file = ClosingFile


class WritingFile(AbstractBufferedFile):
    """Keeps the server's answer to each part, and writes at the end."""

    def _initiate_upload(self):
        self.connection = http.client.HTTPConnection(*self.fs.address)
        self.connection.request("POST", "/", body=b"begun")
        self.connection.getresponse().read()
        self.parts = []

    def _upload_chunk(self, final=False):
        self.parts.append(self.buffer.getvalue())
        if final:
            LocalFileSystem().pipe_file(self.path, b"".join(self.parts))
        return True


class WritingFiles(LocalFileSystem):
    """Files that connect as they are written."""

    protocol = "writingfiles"
    _fork_sensitive = False

    def __init__(self, address, **kwargs):
        super().__init__(**kwargs)
        self.address = address

    def _open(self, path, mode="rb", **kwargs):
        if mode == "rb":
            return super()._open(path, mode, **kwargs)
        return WritingFile(self, path, mode, block_size=4096)


def test_the_file_is_named_and_not_the_filesystem(tmp_path, echo):
    """Where only the file has a connection, be it read or written, and whatever it does as it is closed."""
    files = ClosingFiles(echo, False, auto_mkdir=True)
    problems, _ = tried(files, str(tmp_path), "open file")
    assert "ClosingFile, which ClosingFiles opens, holds a connection" in problems["used"]
    problems, noise = tried(files, str(tmp_path), "instance")
    assert problems == {}, noise
    problems, _ = tried(WritingFiles(echo, auto_mkdir=True), str(tmp_path), WRITING)
    assert "WritingFile, which WritingFiles opens, holds a connection" in problems["used"]


@pytest.mark.parametrize("mode", MODES)
def test_connections_of_files_that_a_child_holds_open_are_found(tmp_path, echo, mode):
    """Though the child never uses them; watched ones it does not hold."""
    problems, _ = tried(OwnedFiles(echo, False, auto_mkdir=True), str(tmp_path), "open file", mode)
    assert f"{echo[0]}:{echo[1]}" in problems["used"]
    assert "OwnedFile, which OwnedFiles opens, holds a connection" in problems["used"]
    assert "watch_socket" in problems["used"]
    problems, noise = tried(OwnedFiles(echo, True, auto_mkdir=True), str(tmp_path), "open file", mode)
    assert problems == {}, noise


def test_harm_of_both_at_once_is_found(tmp_path, echo, monkeypatch):
    """Also where descriptors cannot be looked at."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "from fsspec._checks import forked\nforked.open_sockets = dict\n"
        "from fsspec._checks import contract\ndel contract.ACTIONS['used']\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    problems, _ = tried(Shared(echo, auto_mkdir=True), str(tmp_path / "files"), "instance")
    assert problems["used by both at once"]
