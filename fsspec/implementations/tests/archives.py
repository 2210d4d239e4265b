"""What tests of zip and tar archives share: archives, and programs that fork with them."""

from __future__ import annotations

import io
import random
import tarfile
import textwrap
import zipfile

from fsspec.tests import programs

SIZE = 120_000


def contents(number: int = 4) -> dict[str, bytes]:
    """Members by name, every byte of which tells where it is from."""
    made = {}
    for i in range(number):
        source = random.Random(i)
        made[f"folder/member{i}"] = bytes(source.choices(b"abcdefgh", k=SIZE))
    return made


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as z:
        for name, data in members.items():
            z.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes], compression: str = "", links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as t:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            t.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            t.addfile(member)
    return buffer.getvalue()


_BEFORE = """
import faulthandler, io, os, random, signal, sys, threading, time, traceback, warnings
import fsspec
from fsspec._fork import hooks
from fsspec.exceptions import ForkError
from fsspec.implementations.tests.archives import SIZE, contents, tarred, zipped

# stacks are dumped and the process ends; a watchdog of faulthandler's would hang in children
faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
LIMIT = 50
signal.alarm(LIMIT)
# the threads are this program's own: that forks go well with them is what it is about
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
members = contents()
parent = os.getpid()

def fork(work):
    "A child that does work and ends as programs do."
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(LIMIT - 10)
    try:
        work()
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(3)
    sys.exit()

def ended(pid):
    _, status = os.waitpid(pid, 0)
    assert status == 0, (os.waitstatus_to_exitcode(status), "of a child")

def read_everywhere(fs, open_files, seed):
    "100 reads of an archive's members: anew, and by files that are open at a position."
    rng = random.Random(seed)
    names = sorted(members)
    for i in range(100):
        name = names[rng.randrange(len(names))]
        begin = rng.randrange(SIZE)
        if i % 3 == 0:
            f = open_files[name]
            at = f.tell()
            data = f.read(500)
            assert data == members[name][at:at + 500], ("open", os.getpid() == parent, name, at)
            if at > SIZE // 2:
                f.seek(1000)
        elif i % 3 == 1:
            got = fs.cat_file(name, begin, begin + 500)
            assert got == members[name][begin:begin + 500], ("cat", os.getpid() == parent, name, begin)
        else:
            with fs.open(name) as f:
                f.seek(begin % 5000)
                assert f.read(700) == members[name][begin % 5000:][:700], ("anew", name)

class Reading:
    "Threads that read an archive without end, so that a fork finds them at it."
    def __init__(self, fs, number=3):
        self.on, self.failures = True, []
        self.threads = [threading.Thread(target=self.read, args=(fs, i)) for i in range(number)]
        for t in self.threads:
            t.start()
        time.sleep(0.05)
    def read(self, fs, seed):
        try:
            files = {name: fs.open(name) for name in members}
            while self.on:
                seed += 10
                read_everywhere(fs, files, seed)
        except BaseException:
            self.failures.append(traceback.format_exc())
    def stop(self):
        self.on = False
        for t in self.threads:
            t.join()
        assert not self.failures, self.failures[0]

def crowd(fs, children=4, threads=True):
    "Children and parent read an archive at the same time, as the parent's threads do."
    files = {name: fs.open(name) for name in members}
    for place, name in enumerate(sorted(members)):
        files[name].seek(place * 1000 + 7)
    reading = Reading(fs) if threads else None
    pids = [fork(lambda i=i: read_everywhere(fs, files, i)) for i in range(children)]
    read_everywhere(fs, files, 100)
    for pid in pids:
        ended(pid)
    if reading:
        reading.stop()
    read_everywhere(fs, files, 200)
"""


def run(program: str, **environment: str) -> str:
    """Run a program that forks; it and its children must end well, in time and in silence."""
    return programs.run(_BEFORE + textwrap.dedent(program), **environment)
