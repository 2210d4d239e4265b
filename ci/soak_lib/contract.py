"""`AbstractForkTests` for the backends of other packages, again and again: ``ci/soak --contract``."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

TOP = Path(__file__).resolve().parent.parent.parent
TESTS = "fsspec/implementations/tests"
THIRD = f"{TESTS}/test_third_party_forks.py"
BACKENDS = {
    "gcsfs": f"{THIRD}::TestGCS",
    "adlfs": f"{THIRD}::TestAzure",
    "sshfs": f"{THIRD}::TestSSH",
    "s3fs": f"{TESTS}/test_contract_s3.py::TestS3ForkParts",
}
ROUND = 72  # forks: four handles, six things to do with each, three modes

KINDS = {
    "hangs": r"\bhung\b|\bhangs\b|waited [\d.]+ s|took [\d.]+ s|Timeout",
    "crashes": r"exit code -?\d+|ended with -?\d+",
    "lost writes": r"the parent's end|other bytes than were written|came into being|in the store",
    "lines on stderr": r"\bnoise:",
}
BAD = (*KINDS, "other failures", "skipped")


def classify(text: str) -> str:
    """What kind of failure a test tells of."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, text)), "other failures")


def run(backend: str, rounds: int, folder: str) -> tuple[Counter[str], list[str]]:
    """What came of one backend's tests, counted, and what those said that failed."""
    record = Path(folder, f"{backend}.xml")
    node = Path(sys.prefix, "node_modules", ".bin", "azurite-blob")
    environ = {**os.environ, "FORK_ROUNDS": str(rounds), "PYTHONDONTWRITEBYTECODE": "1"}
    if node.exists():
        environ.setdefault("AZURITE", str(node))
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={record}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, BACKENDS[backend]],
        cwd=TOP,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    count: Counter[str] = Counter(dict.fromkeys(BAD, 0))
    if not record.exists():
        count["other failures"] += 1
        return count, [done.stdout]
    trouble = []
    for case in ElementTree.parse(record).iter("testcase"):
        properties = {each.get("name"): each.get("value", "") for each in case.iter("property")}
        count["tests"] += 1
        count["forks"] += int(properties.get("forks", "0"))
        count[f"forks {properties.get('mode', '')}"] += int(properties.get("forks", "0"))
        count["skipped"] += sum(1 for _ in case.iter("skipped"))
        for failure in (*case.iter("failure"), *case.iter("error")):
            text = f"{failure.get('message')}\n{failure.text}"
            count[classify(text)] += 1
            trouble.append(f"{backend} {case.get('name')}: {text}")
    return count, trouble


def main(arguments: Sequence[str]) -> int:
    """The command; 0 where nothing failed and nothing was skipped."""
    parser = argparse.ArgumentParser(prog="ci/soak --contract", description=__doc__)
    parser.add_argument("backends", nargs="*", metavar="NAME", help=f"which of {', '.join(BACKENDS)}; all")
    parser.add_argument("--forks", type=int, default=1000, help="at least so many of each backend (1000)")
    options = parser.parse_args(arguments)
    unknown = set(options.backends) - set(BACKENDS)
    if unknown:
        parser.error(f"no such backend: {', '.join(sorted(unknown))}")
    bad = 0
    with tempfile.TemporaryDirectory(prefix="fsspec-contract-") as folder:
        for backend in options.backends or BACKENDS:
            count, trouble = run(backend, -(-options.forks // ROUND), folder)
            modes = ", ".join(f"{n} {name[6:]}" for name, n in sorted(count.items()) if name[:6] == "forks ")
            found = ", ".join(f"{count[name]} {name}" for name in BAD)
            print(
                f"{backend}: {count['forks']} forks ({modes}) in {count['tests']} tests; {found}", flush=True
            )
            for text in trouble:
                print(text[:4000], flush=True)
            bad += sum(count[name] for name in BAD) + (count["forks"] < options.forks)
    if not shutil.which("npm"):
        print("without npm there is no Azurite: adlfs is skipped", file=sys.stderr)
    return 1 if bad else 0
