"""``python -m fsspec.forkcheck``, run as users run it, against real servers."""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsspec import config, forkcheck
from fsspec._checks.advice import advise, located
from fsspec._checks.report import MODES, here, report
from fsspec._checks.subject import SAMPLE
from fsspec._fork import hooks
from fsspec.asyn import AsyncFileSystem
from fsspec.exceptions import ForkError
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

CONTENT = bytes((i * 7 + (i >> 8)) % 256 for i in range(200_000))
LIMIT = 115


def checked(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fsspec.forkcheck", *words],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, **environment},
    )


def found(*words: str, **environment: str) -> tuple[int, dict[tuple[str, str, str], dict[str, object]]]:
    """The exit code, and the findings by (handle, what the child did, mode)."""
    done = checked(*words, "--json", "--quiet", **environment)
    assert done.stderr == "", done.stderr
    reported = json.loads(done.stdout)
    assert reported["safe"] == all(f["safe"] for f in reported["findings"])
    return done.returncode, {(f["handle"], f["child"], f["mode"]): f for f in reported["findings"]}


def progress(stderr: str) -> list[str]:
    """The lines of progress; there is nothing else."""
    lines = stderr.splitlines()
    assert lines[0] == "reading the URL"
    for line in lines[1:]:
        n, m = map(int, re.match(r"(\d+) of (\d+): .*: the child .*, ", line).groups())
        assert 0 < n <= m, line
    return lines


def bad(findings):
    return {key: f["note"] for key, f in findings.items() if not f["safe"]}


def test_files_of_a_web_server_are_safe(http_server):
    http_server.files["/folder/a.bin"] = CONTENT
    code, findings = found(f"{http_server.url}/folder/a.bin")
    assert (code, bad(findings)) == (0, {})
    assert {mode for _, _, mode in findings} == {"opted in", "by hand", "neither"}
    assert {handle for handle, _, _ in findings} == {"instance", "open file", "mapping", "nothing"}
    for handle in ("instance", "mapping"):
        assert "refused" in findings[handle, "uses it", "neither"]["note"]
        assert findings[handle, "uses it", "opted in"]["note"] == "fine"
    assert {r.method for r in http_server.requests} <= {"GET", "HEAD"}
    assert list(http_server.files) == ["/folder/a.bin"]


def test_a_response_that_streams_is_refused_as_documented(http_server):
    http_server.files["/folder/a.bin"] = CONTENT
    http_server.fault("/folder/a.bin", ignore_range=True, chunked=True)
    done = checked(f"{http_server.url}/folder/a.bin", "--quiet")
    output = " ".join(done.stdout.split())
    assert done.returncode == 0, output
    assert output.startswith("SAFE") and "note files here are one response" in output
    code, findings = found(f"{http_server.url}/folder/a.bin")
    assert (code, bad(findings)) == (0, {})
    for mode in ("opted in", "by hand", "neither"):
        assert "refused" in findings["open file", "uses it", mode]["note"]
    assert findings["instance", "uses it", "opted in"]["note"] == "fine"


def test_s3_and_its_secrets():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    import fsspec
    from fsspec.tests.servers.s3 import options, serve_s3

    with serve_s3() as address:
        given = {**options(address), "key": "a", "secret": "not-to-be-seen"}
        fs = fsspec.filesystem("s3", skip_instance_cache=True, **given)
        fs.mkdir("bucket")
        fs.pipe_file("bucket/folder/a.bin", CONTENT)
        done = checked("s3://bucket/folder", "--storage-options", json.dumps(given), "--write")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("SAFE, 48 tries: s3://bucket/folder\n")
        assert progress(done.stderr)[-1].startswith("48 of 48: ")
        assert "s3fs.core.S3FileSystem (s3fs " in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "file being written" in done.stdout
        assert "safe, refused in" in done.stdout  # though a short option is a word of it
        assert "NOT SAFE" not in done.stdout
        fs.invalidate_cache()
        assert fs.find("bucket") == ["bucket/folder/a.bin"]
        done = checked("s3://nosuch-bucket/a", "--storage-options", json.dumps(given))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[1].startswith("s3://nosuch-bucket/a: ")
        assert "not-to-be-seen" not in done.stderr


def test_local_files_are_safe(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    done = checked(str(path), "--quiet")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "SAFE, 36 tries:" or lines[0].startswith("SAFE, 36 tries: /")
    assert ["what", "crosses", "mode", "the", "child", "result"] in [line.split() for line in lines]
    assert max(map(len, lines)) <= max(80, 4 + len(str(path)))
    code, findings = found(f"file://{tmp_path}", "--write", FSSPEC_FORK_RESET="1")
    assert (code, bad(findings)) == (0, {})
    assert ("file being written", "drops it", "neither") in findings
    assert os.listdir(tmp_path) == ["a.bin"]


def test_memory_is_checked_from_its_own_process():
    """What is in the memory of this process is there to be checked from this process only."""
    program = """
        import fsspec, sys
        from fsspec import forkcheck
        fsspec.filesystem("memory").pipe_file("/folder/a", b"memory")
        sys.exit(forkcheck.main(["memory://folder/a", "--write"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("SAFE, ")


# a backend that shares its connection ----------------------------------------------
class Words(socketserver.StreamRequestHandler):
    """Answers ``start end`` with a length and that slice, byte by byte, on one connection."""

    def handle(self) -> None:
        for line in self.rfile:
            if line.strip() == b"bye":
                return
            start, end = map(int, line.split())
            data = CONTENT[start:end]
            self.wfile.write(b"%d\n" % len(data))
            for at in range(0, len(data), 5000):
                self.wfile.write(data[at : at + 5000])


@pytest.fixture
def words() -> Iterator[int]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # a client that is killed breaks its connection off

    with Server(("127.0.0.1", 0), Words) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


BACKEND = f"""
    import socket
    import fsspec
    from fsspec.fork import Owned, watch_socket
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    class WordsFileSystem(AbstractFileSystem):
        protocol = "words"
        SENSITIVE

        def __init__(self, port=0, password=None, **kwargs):
            super().__init__(**kwargs)
            self.port = port
            self.connect()

        def connect(self):
            self.socket = WATCHED(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))
            self.stream = self.socket.makefile("rwb")

        def info(self, path, **kwargs):
            return {{"name": self._strip_protocol(path), "size": {len(CONTENT)}, "type": "file"}}

        def ls(self, path, detail=True, **kwargs):
            return [self.info(path)] if detail else [path]

        def cat_file(self, path, start=None, end=None, **kwargs):
            self.stream.write(b"%d %d\\n" % (start or 0, {len(CONTENT)} if end is None else end))
            self.stream.flush()
            return self.stream.read(int(self.stream.readline()))

        def _open(self, path, mode="rb", **kwargs):
            return AbstractBufferedFile(self, path, mode, cache_type="none", size={len(CONTENT)})

        def close(self):
            self.stream.write(b"bye\\n")
            self.stream.flush()

    fsspec.register_implementation("words", WordsFileSystem)
"""


def backend(sensitive: bool, watched: bool) -> str:
    """Its text, and whether it says what it holds and has its socket watched.

    Children of one that is not take answers away from the parent, which then waits until its limit of time.
    """
    text = textwrap.dedent(BACKEND).replace("SENSITIVE", f"_fork_sensitive = {sensitive}")
    text = text.replace("PATIENCE", "2" if watched else "1")
    return text.replace("WATCHED", "watch_socket" if watched else "")


def installed(folder: Path, text: str) -> dict[str, str]:
    """The environment in which each Python runs ``text`` as it starts."""
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.getenv("PYTHONPATH")])])}


def test_a_shared_socket(words, tmp_path):
    """A backend as third parties write them is found out."""
    text = backend(sensitive=False, watched=False)
    options = json.dumps({"port": words, "password": "not-to-be-seen"})
    done = checked("words://a/b", "--storage-options", options, **installed(tmp_path, text))
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("NOT SAFE, ")
    reported = " ".join(done.stdout.split())
    assert f"shares the parent's connection to 127.0.0.1:{words}" in reported
    assert "write _fork_sensitive = True into the class" in reported and "watch_socket" in reported
    assert max(len(line) for line in done.stdout.splitlines() if "learn(" not in line) <= 80
    assert "not-to-be-seen" not in done.stdout + done.stderr


LEARNT = """
from fsspec.fork import Facts, learn
learn("sitecustomize:WordsFileSystem", Facts(holds=True))
"""


@pytest.mark.parametrize(
    "sensitive, watched, more", [(True, True, ""), (True, False, ""), (False, False, LEARNT)]
)
def test_a_socket_of_a_class_that_says_so(words, tmp_path, sensitive, watched, more):
    """It works in children, which hold the parent's socket open unless it is watched."""
    environment = installed(tmp_path, backend(sensitive, watched) + more)
    code, findings = found("words://a/b", "--storage-options", json.dumps({"port": words}), **environment)
    assert code == (not watched)
    if watched:
        assert bad(findings) == {}
        return
    shown = ("instance", "open file", "mapping")
    assert set(bad(findings)) == {(handle, "uses it", mode) for handle in shown for mode in MODES}
    assert set(bad(findings).values()) == {f"child: shares the parent's connection to 127.0.0.1:{words}"}
    for finding in findings.values():
        if not finding["safe"]:
            assert "hold it open" in finding["advice"] and "watch_socket" in finding["advice"]


REVIVED_BADLY = """
class WordsFileSystem(WordsFileSystem):
    def _revive(self, before):
        raise KeyError("catalogue")

fsspec.register_implementation("words", WordsFileSystem, clobber=True)
"""


def test_a_socket_that_is_held_hides_no_other_fault(words, tmp_path):
    """What the use of the instance comes to is told as well, with advice of its own."""
    environment = installed(tmp_path, backend(sensitive=True, watched=False) + REVIVED_BADLY)
    code, findings = found("words://a/b", "--storage-options", json.dumps({"port": words}), **environment)
    assert code == 1
    assert "KeyError: 'catalogue'" in findings["instance", "uses it", "opted in"]["note"]
    assert findings["instance", "uses it as the parent does", "opted in"]["advice"].startswith("the fault is")


WHOLE = """
class WholeFile(AbstractBufferedFile):
    def _fetch_range(self, start, end):
        return self.fs.range(start, end)

class WordsFileSystem(WordsFileSystem):
    def range(self, start, end):
        return super().cat_file("", start, end)

    def cat_file(self, path, **kwargs):
        return super().cat_file(path)

    def _open(self, path, mode="rb", **kwargs):
        return WholeFile(self, path, mode, cache_type="none", size=SIZE)

fsspec.register_implementation("words", WordsFileSystem, clobber=True)
"""


def test_a_range_that_is_ignored_is_a_note_and_no_fault_of_forks(words, tmp_path):
    """The parts that were asked for are compared."""
    text = backend(sensitive=True, watched=True) + WHOLE.replace("SIZE", str(len(CONTENT)))
    environment = installed(tmp_path, text)
    asked = ["words://a/b", "--quiet", "--storage-options", json.dumps({"port": words})]
    done = checked(*asked, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    output = f"cat_file(start=0, end={SAMPLE}) gave {len(CONTENT)} bytes"
    assert f"note      {output}" in done.stdout
    assert json.loads(checked(*asked, "--json", **environment).stdout)["note"].startswith(output)


def test_a_name_of_what_is_kept_that_there_is_not_is_a_note(words, tmp_path):
    text = backend(sensitive=True, watched=True)
    text = text.replace(
        "_fork_sensitive = True", "_fork_sensitive, _fork_keeps = True, ('cataloge', 'dircache')"
    )
    asked = ["words://a/b", "--quiet", "--storage-options", json.dumps({"port": words})]
    output = " ".join(checked(*asked, **installed(tmp_path, text)).stdout.split())
    assert "_fork_keeps names what the instance does not have: cataloge backend" in output or (
        "_fork_keeps names what the instance does not have: cataloge Each" in output
    )


def test_what_is_wrong_without_a_fork_is_not_put_down_to_forks(words, tmp_path):
    """A file that gives other bytes than ``cat_file`` does."""
    text = backend(sensitive=True, watched=True) + WHOLE.replace("SIZE", str(len(CONTENT)))
    environment = installed(tmp_path, text.replace("self.fs.range(start, end)", "bytes(end - start)"))
    done = checked("words://a/b", "--storage-options", json.dumps({"port": words}), **environment)
    assert done.returncode == 2, done.stdout
    assert "open file, before any fork, beside cat_file: " in done.stderr


HARMED = """
import os
import fsspec
from fsspec.implementations.local import LocalFileSystem

PARENT, HARMED = os.getpid(), "FOLDER/harmed"

class HarmedFileSystem(LocalFileSystem):
    protocol = "harmed"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("harmed://"))

    def ask(self, *refused):
        if os.getpid() != PARENT:
            open(HARMED, "w").close()
        elif os.path.exists(HARMED) and "WHERE" in refused:
            raise ConnectionResetError("the server has had enough")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ask("instances")

    def cat_file(self, path, start=None, end=None, **kwargs):
        self.ask("instances")
        with open(path, "rb") as f:
            return f.read()[start:end]

    def _open(self, path, mode="rb", **kwargs):
        self.ask("instances", "files")
        return super()._open(path, mode, **kwargs)

fsspec.register_implementation("harmed", HarmedFileSystem)
"""


@pytest.mark.parametrize("where", ["files", "instances"])
def test_an_error_of_the_parent_after_a_child_is_found(tmp_path, where):
    """As it opens another file or makes another instance: the first requests went well."""
    (tmp_path / "a").write_bytes(CONTENT)
    text = HARMED.replace("FOLDER", str(tmp_path)).replace("WHERE", where)
    code, findings = found(f"harmed://{tmp_path}/a", **installed(tmp_path, text))
    assert code == 1
    handles = {handle for handle, _, _ in bad(findings)}
    assert handles == {"open file"} if where == "files" else handles > {"open file", "instance"}
    error = "the parent: ConnectionResetError: the server has had enough"
    assert findings["open file", "ends", "neither"]["note"] == error
    assert all(finding["advice"] for finding in findings.values() if not finding["safe"])


FILES = """
class WordsFile(AbstractBufferedFile):
    def __init__(self, fs, path, mode, **kwargs):
        super().__init__(fs, path, mode, cache_type="none", size=SIZE)
        self.client = CLIENT

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.fs.port), timeout=2)
        watch_socket(connection)
        return connection, connection.makefile("rwb")

    def _fetch_range(self, start, end):
        stream = self.client.get()[1] if isinstance(self.client, Owned) else self.client[1]
        stream.write(b"%d %d\\n" % (start, end))
        stream.flush()
        return stream.read(int(stream.readline()))

    def CLOSES(self):
        super().close()
        for one in self.client.release() or ():
            one.close()

class WordsFileSystem(WordsFileSystem):
    def _open(self, path, mode="rb", **kwargs):
        return WordsFile(self, path, mode)

fsspec.register_implementation("words", WordsFileSystem, clobber=True)
"""


OWNED = """
class WordsFileSystem(WordsFileSystem):
    def connect(self):
        self.client = Owned(self.connected)

    def connected(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=2)
        return watch_socket(connection).makefile("rwb")

    stream = property(lambda self: self.client.get())
"""


@pytest.mark.parametrize(
    "client, watched, sensitive, closes",
    [
        ("self.connect()", False, True, False),
        ("self.connect()", True, True, False),
        ("Owned(self.connect)", False, True, False),
        ("Owned(self.connect)", False, True, True),
        ("Owned(self.connect)", False, False, True),
        ("Owned(self.connect)", True, True, True),
    ],
)
def test_a_file_with_a_connection_of_its_own(words, tmp_path, client, watched, sensitive, closes):
    """Its class is what is named, and what is to be written there is what makes it safe.

    What else crosses is safe, also where the filesystem keeps a connection that is as it should be.
    """
    text = backend(sensitive, watched=sensitive)
    text += "" if sensitive else OWNED
    text += (
        FILES.replace("CLIENT", client)
        .replace("SIZE", str(len(CONTENT)))
        .replace("CLOSES", "close" if closes else "finish")
    )
    if not watched:
        text = text.replace("        watch_socket(connection)\n", "")
    environment = installed(tmp_path, text)
    code, findings = found("words://a/b", "--storage-options", json.dumps({"port": words}), **environment)
    if watched:
        assert (code, bad(findings)) == (0, {})
        return
    assert code == 1
    assert {handle for handle, _, _ in bad(findings)} == {"open file"}
    assert {mode for _, child, mode in bad(findings) if child == "uses it"} == set(MODES)
    for finding in findings.values():
        if not finding["safe"]:
            assert "WordsFile, which WordsFileSystem opens, holds a connection" in finding["advice"]
            assert "Owned" in finding["advice"] and "watch_socket" in finding["advice"]


GLOBAL = """
stream = None

class WordsFileSystem(WordsFileSystem):
    def connect(self):
        global stream
        if stream is None:
            super().connect()
            stream = self.stream
        self.stream = stream

fsspec.register_implementation("words", WordsFileSystem, clobber=True)
"""


def test_the_help_says_what_can_be_written_to() -> None:
    output = " ".join(checked("--help").stdout.split())
    assert "files can be opened for writing, which those of http cannot" in output


def test_a_connection_that_a_module_has(words, tmp_path):
    """No row says to make an instance in the child, which would not help."""
    environment = installed(tmp_path, backend(sensitive=False, watched=False) + GLOBAL)
    code, findings = found("words://a/b", "--storage-options", json.dumps({"port": words}), **environment)
    assert code == 1
    assert {mode for _, child, mode in bad(findings) if child == "uses it"} == set(MODES)
    for finding in findings.values():
        if not finding["safe"]:
            assert "a module or a class has it" in finding["advice"], finding
            assert "Owned" in finding["advice"] and "spawn" in finding["advice"]


WRITTEN = """
class WordsFileSystem(WordsFileSystem):
    files = fsspec.filesystem("file")

    def _open(self, path, mode="rb", **kwargs):
        here = mode == "wb"
        return self.files.open("FOLDER/written", mode) if here else super()._open(path, mode, **kwargs)

    def cat_file(self, path, start=None, end=None, **kwargs):
        here = ".fsspec-forkcheck" in path
        return self.files.cat_file("FOLDER/written") if here else super().cat_file(path, start, end, **kwargs)

    def rm_file(self, path):
        self.files.rm_file("FOLDER/written")

fsspec.register_implementation("words", WordsFileSystem, clobber=True)
"""


def test_advice_is_the_same_where_files_are_written(words, tmp_path):
    """What was written keeps the instance, whose connection is no module's for that."""
    text = backend(sensitive=False, watched=False) + WRITTEN.replace("FOLDER", str(tmp_path))
    environment = installed(tmp_path, text)
    asked = ["words://a/b", "--storage-options", json.dumps({"port": words})]
    reported = []
    for more in ([], ["--write"]):
        code, findings = found(*asked, *more, **environment)
        assert code == 1
        reported.append({key: f["advice"] for key, f in findings.items() if key[1] == "uses it"})
    assert reported[0] == reported[1]
    assert all("WordsFileSystem shares its connection" in advice for advice in reported[0].values())


# what cannot be checked --------------------------------------------------------------
@pytest.mark.parametrize(
    "words, output",
    [
        (["nosuchprotocol://a/b"], "nosuchprotocol"),
        (["file:///no/such/file"], "not found"),
        (["file:///", "--storage-options", "{"], "--storage-options: "),
        (["file:///", "--storage-options", "[1]"], "a JSON object is needed"),
        (["file:///", "--storage-options", '{"a":', "secret}"], "quote the JSON"),
    ],
)
def test_what_cannot_be_checked_exits_with_2(words, output):
    done = checked(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert output in done.stderr
    assert "Traceback" not in done.stderr
    if words[1:2] != ["--storage-options"] or len(words) == 3:  # else it is not known what was asked for
        reported = json.loads(checked(*words, "--json").stdout)
        assert reported["safe"] is None and output in reported["error"]
    assert "secret" not in done.stderr


def test_an_address_is_reported_once(http_server):
    url = f"{http_server.url}/nothing"
    assert checked(url).stderr.count(url) == 1


def test_what_gives_access_by_its_url_is_not_shown(http_server):
    """Neither the password nor the query, which signs: whatever is printed, of a link of a chain as well."""
    http_server.files["/a.bin"] = CONTENT
    http_server.fault("/broken", status=500)
    url = http_server.url.replace("//", "//me:hush@")
    shown = http_server.url.replace("//", "//me:***@")
    for path, code in (("/a.bin", 0), ("/none", 2), ("/broken", 2)):
        for query, reported in (("?X-Sig=hush&n=hush", "?X-Sig=...&n=..."), ("?hush", "?...")):
            for words in ([], ["--json"]) if "=" in query else ([],):
                done = checked(f"{url}{path}{query}", *words, "--quiet")
                assert done.returncode == code
                assert "hush" not in done.stdout + done.stderr
                assert f"{shown}{path}{reported}" in done.stdout + done.stderr
    done = checked(f"simplecache::{url}/none?sig=hush")
    assert "hush" not in done.stdout + done.stderr and "sig=..." in done.stderr


def test_an_empty_folder_cannot_be_checked(tmp_path):
    done = checked(str(tmp_path))
    assert done.returncode == 2
    assert "no file directly in this folder" in done.stderr
    assert str(tmp_path) in done.stderr


def test_of_references_a_file_is_tried_that_is_not_inline(tmp_path):
    """What is inline needs no connection, so that it would be safe whatever the target is."""
    (tmp_path / "target").write_bytes(CONTENT)
    table = {".zgroup": "{}", "x/0": [f"file://{tmp_path}/target", 0, 100]}
    (tmp_path / "table.json").write_text(json.dumps(table))
    done = checked(f"reference::file://{tmp_path}/table.json", "--quiet")
    assert done.returncode == 0 and "tried     x/0, 100 bytes of it" in done.stdout
    (tmp_path / "target").unlink()
    done = checked(f"reference::file://{tmp_path}/table.json", "--quiet")
    assert done.returncode == 2 and "x/0" in done.stderr


def test_a_missing_package_is_named(tmp_path):
    Path(tmp_path, "paramiko.py").write_text("raise ImportError('no paramiko here')")
    done = checked("sftp://127.0.0.1/a", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "a package is missing" in done.stderr


def test_a_refusal_is_named(http_server):
    http_server.files["/a.bin"] = CONTENT
    http_server.fault("/a.bin", status=403)
    done = checked(f"{http_server.url}/a.bin")
    assert done.returncode == 2
    assert "no permission" in done.stderr
    http_server.fault("/a.bin")


def test_an_unreachable_host_is_named_without_the_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        done = checked(f"http://user:hush@127.0.0.1:{unused.getsockname()[1]}/a")
    assert done.returncode == 2
    reported = done.stderr.splitlines()[1]
    assert reported.startswith("http://user:***@127.0.0.1") and reported.count("http://") == 1
    assert "cannot be reached" in reported and "not found" not in reported
    assert "hush" not in done.stderr


def test_without_fork_there_is_nothing_to_check(monkeypatch, capsys):
    monkeypatch.delattr(os, "fork")
    assert forkcheck.main(["memory://a"]) == 2
    assert "no fork" in capsys.readouterr().err


def test_an_error_does_not_stand_behind_progress():
    """On a terminal, where progress is one line that is written over."""
    pty = pytest.importorskip("pty")
    here, there = pty.openpty()
    with os.fdopen(here, "rb", 0) as terminal:
        with os.fdopen(there, "wb", 0) as stderr:
            command = [sys.executable, "-m", "fsspec.forkcheck", "file:///no/such/file"]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, timeout=LIMIT)
            output = terminal.read(4096).decode()
    assert done.returncode == 2
    *shown, last = output.rstrip().split("\r")
    assert any("reading the URL" in one for one in shown)
    assert last.startswith("\x1b[Kfile:///no/such/file: not found"), output


def test_what_to_do_names_the_instance_that_the_child_made_and_who_is_to_act():
    """Not the word for what crosses, which is "nothing": that would read as advice."""
    note = "child: noise: Unclosed client session"
    advice = advise(note, MemoryFileSystem)
    found = forkcheck.Finding("nothing", "makes an instance", "opted in", False, note, advice)
    output = report("shelf://a", MemoryFileSystem, [found]).partition("What to do")[2]
    assert "* instance that the child makes: the backend" in output and "fsspec.fork.finalize" in output
    assert "report it" in advise("child: ValueError", MemoryFileSystem)


def test_of_an_error_of_several_lines_the_first_is_reported():
    text = 'exit code 3: Traceback (most recent call last):\n  File "x", line 1, in y\n    z()\n    ^^^\n'
    output = forkcheck._summary(text + f"fsspec.exceptions.ForkError: {ForkError('the file', 12)}")
    assert output.startswith("exit code 3, fsspec.exceptions.ForkError: the file")


RAW = "a\0\x1b[2J\x9b2J\u202e\udc80\r\nb é"
ESCAPED = r"a\x00\x1b[2J\x9b2J\u202e\udc80\r b é"


def test_what_a_server_says_does_nothing_to_a_terminal(capsys, monkeypatch):
    """It stands in notes, in errors and in progress."""
    findings = [forkcheck.Finding("instance", "uses it", "opted in", False, f"child: {RAW}", RAW)]
    assert " ".join(report(f"shelf://{RAW}", MemoryFileSystem, findings, RAW).split()).count(ESCAPED) == 4

    class Says(MemoryFileSystem):
        protocol = "says"

        def info(self, path, **kwargs):
            raise OSError(RAW)

    monkeypatch.setitem(_registry, "says", Says)
    assert forkcheck.main(["says://a"]) == 2
    assert ESCAPED.partition(r"\r")[0] in capsys.readouterr().err


def test_what_was_not_tried_leads_to_no_conclusion():
    """It is neither a failure nor in need of advice, and takes a line for each handle."""
    stack = f'Thread 0x1:\n  File "x/threading.py", line 7 in wait\n  File "{__file__}", line 11 in cat\n'
    where = located(f"hung\n{stack}", Words).partition("\n")[0]
    assert where == "hung in test_forkcheck.py, line 11, in cat"
    note = f"child: {where}"
    reported = [
        forkcheck.Finding("instance", "uses it", "opted in", False, note, advise(note, MemoryFileSystem))
    ]
    note = "not tried: 2 hung before"
    assert advise(note, MemoryFileSystem, True) == ""
    reported += [forkcheck.Finding("instance", act, "neither", False, note) for act in ("ends", "drops it")]
    output = report("shelf://a", MemoryFileSystem, reported)
    assert output.startswith("NOT SAFE, 1 of 3 tries failed (1 hung, 2 not tried): shelf://a\n")
    assert output.count("not tried: 2 hung before") == 1 and "2 acts" in output
    to_do = output.partition("What to do")[2]
    assert "threads do not cross a fork" in to_do and to_do.count("* ") == 1


def test_who_declares_a_connection_is_not_told_to_declare_it():
    """Where the parent fails, as when the server does."""
    note = "used by both at once: the parent's end: ConnectionResetError"
    assert "_fork_sensitive = True" in advise(note, MemoryFileSystem)
    advice = advise(note, AsyncFileSystem)
    assert "_fork_sensitive" not in advice and "what the server logs" in advice


def test_clients_of_a_module_are_named_whatever_a_child_said_of_them():
    """Those of awaitable backends raise there, since their loop is the parent's."""
    note = "child: exit code 3, RuntimeError: Timeout context manager should be used inside a task"
    advice = advise(note, AsyncFileSystem, outside=True)
    assert "a module or a class has it" in advice and "on the loop that runs then" in advice
    assert "fsspec.fork.Owned" in advise(note, MemoryFileSystem, outside=True)


def test_the_report_names_the_configuration_where_no_variable_opts_in(monkeypatch):
    monkeypatch.delenv("FSSPEC_FORK_RESET", raising=False)
    monkeypatch.setitem(config.conf, "fork", {"reset": True})
    monkeypatch.setattr(hooks, "_opted_in", None)
    assert here().startswith("fsspec's configuration opts in")
    monkeypatch.setenv("FSSPEC_FORK_RESET", "1")
    assert here().startswith("FSSPEC_FORK_RESET=1 is set")
    monkeypatch.setenv("FSSPEC_FORK_RESET", "0")
    monkeypatch.setitem(config.conf, "fork", {"reset": False})
    assert here().startswith("FSSPEC_FORK_RESET=1 is not set")
