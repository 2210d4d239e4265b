"""Random sequences of operations on a backend, compared with a dict of bytes.

Each test runs a state machine of hypothesis: rules that write, read and list, in any order,
and a model that says what must come out. Every run of the suite makes the same few
sequences; ``MACHINES_EXAMPLES=1000`` makes so many for each backend, of another chance each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import fsspec

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

EXAMPLES = int(os.environ.get("MACHINES_EXAMPLES", "0"))
STEPS = 30 if EXAMPLES else 12
BLOCK = 64  # bytes; small, so that files have several

NAMES = ["a", "b", "sub/c", "sub/d", "sub/deep/e"]
FOLDERS = ["sub", "sub/deep"]
names = st.sampled_from(NAMES)
folders = st.sampled_from(FOLDERS)
contents = st.one_of(st.binary(max_size=20), st.binary(min_size=200, max_size=300))
places = st.integers(-320, 320)


@pytest.fixture(autouse=True, scope="module")
def no_files_left():
    """Hypothesis keeps nothing in the tree."""
    folder = tempfile.mkdtemp(prefix="fsspec-machines-")
    set_hypothesis_home_dir(folder)
    yield
    set_hypothesis_home_dir(None)
    shutil.rmtree(folder, ignore_errors=True)


def check(machine: Any, examples: int) -> None:
    """Run a machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


class Machine(RuleBasedStateMachine):
    """What every backend that reads does.

    `start` makes ``fs`` and ``root``.
    """

    lists = empty_ranges = True
    block: int | None = BLOCK

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, bytes] = {}
        self.stack = ExitStack()
        self.start()

    def start(self) -> None:
        raise NotImplementedError

    def teardown(self) -> None:
        self.stack.close()

    def folder(self) -> str:
        """A temporary one."""
        return self.stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-machines-"))

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    def relative(self, paths: Any) -> list[str]:
        start = self.fs._strip_protocol(self.root).strip("/")
        return sorted(self.fs._strip_protocol(p).strip("/").removeprefix(start).strip("/") for p in paths)

    # -- writing ----------------------------------------------------------------
    @rule(name=names, data=contents)
    def pipe(self, name: str, data: bytes) -> None:
        self.fs.pipe_file(self.path(name), data)
        self.model[name] = data

    # -- reading ----------------------------------------------------------------
    @rule(name=names)
    def cat(self, name: str) -> None:
        if name in self.model:
            assert self.fs.cat_file(self.path(name)) == self.model[name]
        else:
            with pytest.raises(FileNotFoundError):
                self.fs.cat_file(self.path(name))

    @precondition(lambda self: self.model)
    @rule(data=st.data(), start=st.none() | places, end=st.none() | places)
    def cat_range(self, data: Any, start: int | None, end: int | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        wanted = self.model[name][start:end]
        if wanted or self.empty_ranges:
            assert self.fs.cat_file(self.path(name), start=start, end=end) == wanted

    @precondition(lambda self: self.model)
    @rule(data=st.data(), spans=st.lists(st.tuples(st.integers(0, 320), st.integers(0, 320)), max_size=4))
    def cat_ranges(self, data: Any, spans: list[tuple[int, int]]) -> None:
        chosen = [data.draw(st.sampled_from(sorted(self.model))) for _ in spans]
        if not all(self.model[n][a:b] for n, (a, b) in zip(chosen, spans)) and not self.empty_ranges:
            return
        got = self.fs.cat_ranges([self.path(n) for n in chosen], [a for a, _ in spans], [b for _, b in spans])
        assert got == [self.model[n][a:b] for n, (a, b) in zip(chosen, spans)]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), jumps=st.lists(st.tuples(st.integers(0, 320), st.integers(0, 200)), max_size=4))
    def read(self, data: Any, jumps: list[tuple[int, int]]) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        wanted = self.model[name]
        with self.fs.open(self.path(name), "rb", block_size=self.block) as file:
            for at, length in jumps if wanted else ():  # empty files of HTTP are streams
                file.seek(at)
                assert file.read(length) == wanted[at : at + length]
                if at <= len(wanted):  # behind the end, a member of an archive is at its end
                    assert file.tell() == min(len(wanted), at + length)
            if not jumps or not wanted:
                assert file.read() == wanted

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def get(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        with tempfile.TemporaryDirectory(prefix="fsspec-machines-") as here:
            self.fs.get_file(self.path(name), f"{here}/x")
            assert Path(here, "x").read_bytes() == self.model[name]

    # -- listing ----------------------------------------------------------------
    @precondition(lambda self: self.lists)
    @rule()
    def find(self) -> None:
        if self.model:
            assert self.relative(self.fs.find(self.root)) == sorted(self.model)

    @precondition(lambda self: self.lists and self.model)
    @rule()
    def ls(self) -> None:
        wanted = {name.partition("/")[0] for name in self.model} | self.empty_folders()
        found = [entry["name"] for entry in self.fs.ls(self.root, detail=True)]
        assert set(self.relative(found)) == wanted and len(found) == len(wanted)

    def empty_folders(self) -> set[str]:
        """Folders in the root that may hold no file."""
        return set()

    @rule(name=names)
    def info(self, name: str) -> None:
        assert self.fs.exists(self.path(name)) == (name in self.model)
        if name in self.model:
            found = self.fs.info(self.path(name))
            assert (found["type"], found["size"]) == ("file", len(self.model[name]))
        else:
            with pytest.raises(FileNotFoundError):
                self.fs.info(self.path(name))


class Writing(Machine):
    """A backend that writes, copies and removes."""

    appends = copies = moves_over = True
    real_folders = True

    def begin(self) -> None:
        """Make the folders, where there have to be some."""
        if self.real_folders:
            self.fs.makedirs(self.path("sub/deep"), exist_ok=True)

    def empty_folders(self) -> set[str]:
        return {"sub"} if self.real_folders else set()

    @rule(name=names, pieces=st.lists(contents, max_size=4))
    def write(self, name: str, pieces: list[bytes]) -> None:
        with self.fs.open(self.path(name), "wb") as file:
            for piece in pieces:
                assert file.write(piece) == len(piece)
        self.model[name] = b"".join(pieces)

    @precondition(lambda self: self.appends)
    @rule(name=names, data=contents)
    def append(self, name: str, data: bytes) -> None:
        with self.fs.open(self.path(name), "ab") as file:
            file.write(data)
        self.model[name] = self.model.get(name, b"") + data

    @rule(name=names, data=contents)
    def put(self, name: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="fsspec-machines-") as here:
            Path(here, "x").write_bytes(data)
            self.fs.put_file(f"{here}/x", self.path(name))
        self.model[name] = data

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=names, move=st.booleans())
    def copy(self, data: Any, to: str, move: bool) -> None:
        source = data.draw(st.sampled_from(sorted(self.model)))
        if source == to:
            return
        move = move or not self.copies
        if move and to in self.model and not self.moves_over:
            with pytest.raises(FileExistsError):
                self.fs.mv(self.path(source), self.path(to))
            return
        (self.fs.mv if move else self.fs.cp_file)(self.path(source), self.path(to))
        self.model[to] = self.model[source]
        if move:
            del self.model[source]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.fs.rm(self.path(name))
        del self.model[name]

    @rule(name=folders)
    def remove_folder(self, name: str) -> None:
        if self.real_folders or any(n.startswith(f"{name}/") for n in self.model):
            self.fs.rm(self.path(name), recursive=True)
        self.begin()
        self.model = {n: data for n, data in self.model.items() if not n.startswith(f"{name}/")}

    @invariant()
    def nothing_lost(self) -> None:
        if len(self.model) > 1:
            paths = {self.path(name): data for name, data in self.model.items()}
            got = self.fs.cat(list(paths))
            assert sorted(got.values()) == sorted(paths.values())


# backends ------------------------------------------------------------------------
class Local(Writing):
    def start(self) -> None:
        self.fs, self.root = fsspec.filesystem("file", skip_instance_cache=True), self.folder()
        self.begin()


class Memory(Writing):
    def start(self) -> None:
        self.fs = fsspec.filesystem("memory", skip_instance_cache=True)
        self.fs.store, self.fs.pseudo_dirs = {}, [""]  # of this instance
        self.root = "/root"
        self.begin()


class Dir(Writing):
    def start(self) -> None:
        inner = fsspec.filesystem("memory", skip_instance_cache=True)
        inner.store, inner.pseudo_dirs = {}, [""]
        inner.mkdir("/behind")
        self.fs, self.root = (
            fsspec.filesystem("dir", path="/behind", fs=inner, skip_instance_cache=True),
            "root",
        )
        self.begin()


class Zip(Machine):
    """Written, closed and read; opened again to add to it."""

    def start(self) -> None:
        self.archive = Path(self.folder(), "x.zip")
        self.fs, self.root = None, ""
        self.mode = "w"
        self.pending: dict[str, bytes] = {}
        self.reopen()

    def reopen(self) -> None:
        """Complete what is written, and read it from now on."""
        fs = fsspec.filesystem("zip", fo=str(self.archive), mode=self.mode, skip_instance_cache=True)
        for name, data in self.pending.items():
            fs.pipe_file(name, data)
        fs.close()
        self.mode, self.pending = "a", {}
        if self.fs is not None:
            self.fs.close()
        self.fs = fsspec.filesystem("zip", fo=str(self.archive), skip_instance_cache=True)

    def teardown(self) -> None:
        self.fs.close()
        super().teardown()

    @rule(name=names, data=contents)
    def pipe(self, name: str, data: bytes) -> None:
        if name not in self.model:  # of two members of a name zip keeps both, and warns
            self.pending[name] = self.model[name] = data
            self.reopen()


class References(Machine):
    """Contents of their own and parts of other files, in a dict and in JSON."""

    number = 0

    def start(self) -> None:
        self.target = fsspec.filesystem("memory", skip_instance_cache=True)
        self.target.store, self.target.pseudo_dirs = {}, [""]
        self.root, self.folder_name = "", self.folder()
        self.made({})

    def made(self, references: Any) -> None:
        self.fs = fsspec.filesystem(
            "reference",
            fo=references,
            fs={"memory": self.target},
            simple_templates=True,
            skip_instance_cache=True,
        )

    @rule(name=names, before=contents, data=contents, whole=st.booleans(), after=contents)
    def point(self, name: str, before: bytes, data: bytes, after: bytes, whole: bool) -> None:
        """A reference to a file, or to a part of one; several may be of one file."""
        self.number += 1
        url = f"memory://{self.number}"
        self.target.pipe_file(url, data if whole else before + data + after)
        self.fs.references[name] = [url] if whole else [url, len(before), len(data)]
        self.fs._dircache_from_items()
        self.model[name] = data

    @precondition(lambda self: self.model)
    @rule(data=st.data(), to=names, start=st.integers(0, 300), length=st.integers(0, 300))
    def point_near(self, data: Any, to: str, start: int, length: int) -> None:
        """A part of what another key is a reference to."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        reference = self.fs.references[name]
        if not isinstance(reference, list) or name == to:
            return
        at = reference[1] if len(reference) == 3 else 0
        part = self.model[name][start : start + length]
        if part:
            self.fs.references[to] = [reference[0], at + start, len(part)]
            self.fs._dircache_from_items()
            self.model[to] = part

    @rule(name=names, data=contents)
    def put(self, name: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="fsspec-machines-") as here:
            Path(here, "x").write_bytes(data)
            self.fs.put_file(f"{here}/x", name)
        self.model[name] = data

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.fs.rm(name)
        del self.model[name]

    @rule()
    def through_json(self) -> None:
        """Saved, and loaded by another process."""
        self.fs.save_json(f"{self.folder_name}/references.json")
        self.made(f"{self.folder_name}/references.json")


class Copies(Machine):
    """A cache over memory; what is written goes through it."""

    kind = ""
    block = None  # blocks of a copy have one size

    def empty_folders(self) -> set[str]:
        return {"sub"}

    def start(self) -> None:
        inner = fsspec.filesystem("memory", skip_instance_cache=True)
        inner.store, inner.pseudo_dirs = {}, [""]
        self.options = {"fs": inner, "cache_storage": self.folder(), "skip_instance_cache": True}
        self.root = "/root"
        inner.makedirs("/root/sub")
        self.again()

    @rule()
    def again(self) -> None:
        """As another process finds the folder."""
        self.fs = fsspec.filesystem(self.kind, **self.options)

    @rule(name=names, pieces=st.lists(contents, max_size=3))
    def write(self, name: str, pieces: list[bytes]) -> None:
        with self.fs.open(self.path(name), "wb") as file:
            for piece in pieces:
                file.write(piece)
        self.model[name] = b"".join(pieces)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.fs.rm(self.path(name))
        del self.model[name]

    @rule()
    def clear(self) -> None:
        self.fs.clear_cache()


class SimpleCache(Copies):
    kind = "simplecache"


class FileCache(Copies):
    kind = "filecache"


class BlockCache(Copies):
    kind = "blockcache"


@pytest.mark.parametrize(
    "machine",
    [Local, Memory, Dir, Zip, References, SimpleCache, FileCache, BlockCache],
    ids=lambda m: m.__name__,
)
def test_random_steps_on_local_files_keep_the_model(machine):
    check(machine, 12)


def test_random_steps_over_http_keep_the_model(http_server):
    class HTTP(Machine):
        lists = False

        def start(self) -> None:
            http_server.clear(everything=True)
            self.fs, self.root = fsspec.filesystem("http", skip_instance_cache=True), http_server.url

    check(HTTP, 6)


@pytest.fixture(scope="module")
def s3_address():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    from fsspec.tests.servers.s3 import serve_s3

    with serve_s3() as address:
        yield address


def test_random_steps_on_s3_keep_the_model(s3_address):
    from fsspec.tests.servers.s3 import options

    fs = fsspec.filesystem("s3", **options(s3_address), skip_instance_cache=True)
    numbers = iter(range(10**6))

    class S3(Writing):
        appends = real_folders = False
        empty_ranges = False  # s3fs asks for them, and gives what S3 says

        def start(self) -> None:
            self.fs, self.root = fs, f"machines-{next(numbers)}"
            fs.mkdir(self.root)

    check(S3, 3)


def test_random_steps_over_ftp_keep_the_model(ftp_server):
    class FTP(Writing):
        copies = False

        def start(self) -> None:
            ftp_server.clear()
            self.fs = fsspec.filesystem("ftp", **ftp_server.options, skip_instance_cache=True)
            self.root = "/root"
            self.begin()

    check(FTP, 3)


def test_random_steps_over_sftp_keep_the_model(sftp_server):
    class SFTP(Writing):
        copies = False

        def start(self) -> None:
            sftp_server.clear()
            self.fs = fsspec.filesystem("sftp", **sftp_server.options, skip_instance_cache=True)
            self.root = "/root"
            self.begin()

    check(SFTP, 3)


def test_random_steps_over_smb_keep_the_model(smb_server):
    class SMB(Writing):
        copies = False
        moves_over = False

        def start(self) -> None:
            smb_server.clear()
            self.fs = fsspec.filesystem("smb", **smb_server.options, skip_instance_cache=True)
            self.root = "/share/root"
            self.begin()

    check(SMB, 2)
