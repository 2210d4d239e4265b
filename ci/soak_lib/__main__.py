"""The conductor: servers, the subject, the watch over it, and the verdict."""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environment import finish

from . import contract, watch
from .content import BUCKET, READ, SIZES, Places, data, size_of
from .handles import filesystem

SILENCE = 90.0  # seconds without a word from the subject, which speaks every second
GROWTH = 48 * 2**20  # bytes that Python's allocator may hold in addition; a leak is more
OBJECTS = 20_000  # that may have come in addition: an S3 client is 6,000, and a few are alive by chance
SLACK = 2  # descriptors: what the interpreter may happen to have open
BAD = (
    "hangs",
    "wrong bytes",
    "errors",
    "half-written objects",
    "inherited connections",
    "connections left",
    "descriptors grown",
    "memory grown",
    "objects grown",
    "lines of noise",
)

NAMES = {"hang": "hangs", "wrong": "wrong bytes", "inherited": "inherited connections"}


class Tally:
    """What the events add up to."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter({name: 0 for name in BAD})
        self.figures: dict[str, Any] = {}
        self.by_mode: Counter[str] = Counter()
        self.trouble: list[str] = []
        self.most: Counter[str] = Counter()
        self.slowest = self.longest_fork = 0.0

    def bad(self, name: str, text: str, times: int = 1) -> None:
        self.count[name] += times
        if len(self.trouble) < 60:
            self.trouble.append(f"{name}: {text}")

    def all_bad(self) -> int:
        return sum(self.count[name] for name in BAD)

    def take(self, event: dict[str, Any]) -> None:
        """One event of the subject or a child."""
        kind = event["event"]
        if kind == "load":
            self.count["operations of the parent"] += event["operations"]
            self.count["bytes verified by the parent"] += event["verified"]
            self.count["forks of the parent"] = event["forks"]
            self.longest_fork = max(self.longest_fork, event["longest_fork"])
            self.most["descriptors of the parent"] = max(self.most["descriptors of the parent"], event["fds"])
        elif kind == "child":
            self.count["children that told"] += 1
            self.count["bytes verified by children"] += event["verified"]
            self.count["uses by children"] += event["uses"]
            self.count["refusals"] += event["refused"]
            self.count["forks of children"] += event["forks"]
            self.by_mode[event["mode"]] += 1
            depth = f"descriptors of generation {event['depth'] + 1}"
            self.most[depth] = max(self.most[depth], event["fds"])
        elif kind == "ended":
            self.count["children killed"] += event["killed"]
            self.slowest = max(self.slowest, event["seconds"])
        elif kind in ("start", "closed", "end"):
            self.figures[kind] = event
        else:
            self.bad(NAMES.get(kind, "errors"), f"{event.get('where')}: {event.get('text')}")


def events(process: subprocess.Popen[bytes], silence: float) -> Iterator[dict[str, Any]]:
    """What is told, until all who could tell are gone; `TimeoutError` where nobody speaks."""
    assert process.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(silence):
                raise TimeoutError
            more = os.read(process.stdout.fileno(), 2**16)
            if not more:
                return
            *whole, pending = (pending + more).split(b"\n")
            yield from map(json.loads, whole)


def progress(text: str) -> None:
    """Where the run is, on a terminal; an empty text clears the line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the subject and all its descendants: it leads a session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def soak(places: Places, environ: dict[str, str], tally: Tally, ports: dict[str, int]) -> None:
    """Run the subject to its end."""
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [sys.executable, "-m", "soak_lib.subject", places.dump()],
            cwd=Path(__file__).parent.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=noise,
            start_new_session=True,
        )
        began = time.monotonic()
        try:
            for event in events(process, SILENCE):
                tally.take(event)
                if event["event"] == "load":
                    for name, number in watch.served(ports).items():
                        key = f"connections of {name}"
                        tally.most[key] = max(tally.most[key], number)
                    took = time.monotonic() - began
                    progress(f"{took:.0f} s, {event['forks']:,} forks, {tally.all_bad()} bad")
            code = process.wait(SILENCE)
            if code:
                tally.bad("errors", f"the subject ended with {code}")
        except TimeoutError:
            who = "the subject" if process.poll() is None else "a descendant that outlived the subject"
            tally.bad("hangs", f"no word from {who} for {SILENCE:.0f} s; stacks are below")
            os.killpg(process.pid, signal.SIGUSR1)
            time.sleep(1)
        finally:
            end_group(process)
            progress("")
        noise.seek(0)
        said = noise.read().decode(errors="replace").splitlines()
    if said:
        tally.bad("lines of noise", "on standard error:\n" + "\n".join(said[:400]), len(said))


def judge(tally: Tally, places: Places, server_files: dict[str, Any], ports: dict[str, int]) -> None:
    """Look at what is left on the servers and of the subject."""
    s3 = filesystem("s3", places, skip_instance_cache=True)
    left: list[tuple[str, Any]] = [
        (path, lambda path=path: s3.cat_file(path)) for path in s3.find(f"{BUCKET}/written")
    ]
    for files in server_files.values():
        left += [
            (path, lambda path=path, files=files: files[path])
            for path in files
            if path.startswith("/written/")
        ]
    for path, read in left:
        name = path.rpartition("/")[2]
        found = read()
        if name.startswith("half-") or found != data(name, size_of(name)):
            tally.bad("half-written objects", f"{path} has {len(found)} bytes")
    tally.count["objects written"] = len(left)
    if not {"start", "closed", "end"} <= tally.figures.keys():
        tally.bad("errors", "the subject did not come to its end")
        return
    start, closed, end = (tally.figures[when] for when in ("start", "closed", "end"))
    for when, event in (("children asleep", closed), ("the end", end)):
        for name, number in event["served"].items():
            if number:
                tally.bad("connections left", f"{number} of {name} at {when}", number)
    if end["fds"] > start["fds"] + SLACK:
        tally.bad("descriptors grown", f"from {start['fds']} to {end['fds']}", end["fds"] - start["fds"])
    if end["memory"] > start["memory"] + GROWTH:
        tally.bad("memory grown", f"from {start['memory']:,} to {end['memory']:,}")
    if end["objects"] > start["objects"] + OBJECTS:
        tally.bad("objects grown", f"from {start['objects']:,} to {end['objects']:,}")


def report(tally: Tally, places: Places) -> None:
    """Print the figures, the bad ones last."""
    count = tally.count
    rows = [(name, f"{number:,}") for name, number in count.items() if name not in BAD]
    for what in ("bytes verified", "forks"):
        parts = [number for name, number in count.items() if name.startswith(what)]
        rows.append((what, f"{sum(parts):,}"))
    rows.append(("modes", ", ".join(f"{mode} {n:,}" for mode, n in sorted(tally.by_mode.items()))))
    rows += [(f"most {name}", f"{number:,}") for name, number in sorted(tally.most.items())]
    rows.append(("slowest child", f"{tally.slowest:.1f} s"))
    rows.append(("longest fork", f"{tally.longest_fork * 1000:.0f} ms"))
    for when in ("start", "closed", "end"):
        if when in tally.figures:
            event = tally.figures[when]
            served = ", ".join(f"{name} {n}" for name, n in event["served"].items())
            rows.append(
                (
                    f"at {when}",
                    f"{event['fds']} descriptors, {event['memory'] / 2**20:.0f} MiB, "
                    f"{event['objects']:,} objects, connections {served}",
                )
            )
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    print()
    for text in tally.trouble:
        print(text.rstrip()[:20_000], end="\n\n")
    for name in BAD:
        print(f"{name:{width}}  {count[name]:,}")
    print(f"{'seed':{width}}  {places.seed}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/soak", description="Fork under load; all bad counts must be zero."
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to fork (60)")
    parser.add_argument("--seed", type=int, default=None, help="what chance decides; by default a new one")
    parser.add_argument("--children", type=int, default=4, help="children alive at once (4)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--contract"]:
        return contract.main(words[1:])
    options = parse(words)
    if not Path("/proc/net/tcp").exists():
        print("ci/soak: looks at processes and sockets through /proc, which is Linux's", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"ci/soak --seconds {options.seconds:g} --seed {seed} --children {options.children}", flush=True)
    from fsspec.tests.servers.http import HTTPServer
    from fsspec.tests.servers.s3 import serve_s3

    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        del os.environ[name]  # a user's profile is not for here
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )
    tally = Tally()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fsspec-soak-"))
        http, https = (stack.enter_context(HTTPServer(tls=tls)) for tls in (False, True))
        s3 = stack.enter_context(serve_s3())
        places = Places(http.url, https.url, s3, folder, options.seconds, seed, options.children)
        addresses = {"http": http.url, "https": https.url, "s3": s3}
        ports = {name: urlsplit(address).port or 0 for name, address in addresses.items()}
        fill(places, http, https)
        environ = {**os.environ, "SSL_CERT_FILE": https.ca_file or ""}
        began = time.monotonic()
        soak(places, environ, tally, ports)
        tally.count["requests seen by http and https"] = len(http.requests) + len(https.requests)
        tally.count["connections made to http and https"] = len(http.connections) + len(https.connections)
        judge(tally, places, {"http": http.files, "https": https.files}, ports)
    report(tally, places)
    bad = tally.all_bad()
    print(f"{time.monotonic() - began:.0f} seconds: " + ("all zero" if not bad else f"{bad} BAD"))
    if options.json:
        Path(options.json).write_text(json.dumps({**tally.count, **tally.figures, "seed": seed}, indent=1))
    return 1 if bad else 0


def fill(places: Places, http: Any, https: Any) -> None:
    """Put the objects to be read on the servers and into the folder."""
    s3 = filesystem("s3", places, skip_instance_cache=True)
    s3.mkdir(BUCKET)
    Path(places.folder, READ).mkdir()
    for name, size in SIZES.items():
        wanted = data(name, size)
        http.files[f"/{READ}/{name}"] = https.files[f"/{READ}/{name}"] = wanted
        s3.pipe_file(f"{BUCKET}/{READ}/{name}", wanted)
        Path(places.folder, READ, name).write_bytes(wanted)
    end = getattr(s3, "close_session")
    end(s3.loop, s3._s3)


if __name__ == "__main__":
    finish(main)
