"""The table of ownership, each cell executed."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fsspec._checks.forked import load_factor
from fsspec.tests.fork import ownership
from fsspec.tests.fork.ownership import ENDS, EVENTS, GROUPS, KINDS, MODES, OBJECTS, OUTCOMES
from fsspec.tests.fork.owning import ACTS, SUBJECTS

LIMIT = 100  # seconds for a group in one mode: eleven forks


def test_each_cell_is_filled_in_and_has_a_test():
    assert set(ACTS) | set(ENDS) == set(EVENTS)
    assert {kind for _, _, kind in OBJECTS.values()} == set(KINDS)
    assert {subject for _, subject, _ in OBJECTS.values()} <= set(SUBJECTS)
    output = {one for kind in KINDS for each in ownership.cells(kind).values() for one in each}
    assert output == set(OUTCOMES)
    executed = {(name, mode) for group, mode in CASES for name, row in OBJECTS.items() if row[0] == group}
    assert executed == set(itertools.product(OBJECTS, MODES))


CASES = list(itertools.product(GROUPS, MODES))


@pytest.fixture(scope="module")
def witness(places):
    """A server over TLS that tells what it saw."""
    pytest.importorskip("trustme")
    from fsspec.tests.fork.subjects import DATA
    from fsspec.tests.servers.http import HTTPServer

    with HTTPServer(tls=True) as server:
        for name, data in DATA.items():
            server.files[f"/{name}"] = data
        yield server


def execute(group, mode, places):
    """What came of each event for each object of a group; no process outlives it."""
    environ = {**os.environ, "FSSPEC_FORK_RESET": "1" if mode == "opted" else "0", "TMPDIR": places["tmp"]}
    environ["SSL_CERT_FILE"] = places["ca"]
    job = json.dumps({"group": group, "mode": mode, "events": list(EVENTS), "places": places})
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "fsspec.tests.fork.owning", job],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        start_new_session=True,
    ) as process:
        try:
            output, noise = process.communicate(timeout=LIMIT * load_factor())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGUSR1)  # its stacks
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            os.killpg(process.pid, signal.SIGKILL)
            output, noise = process.communicate()
    assert process.returncode == 0 and noise == "", f"{process.returncode}\n{output}\n{noise}"
    return process.pid, json.loads(output)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("group, mode", CASES)
def test_each_object_is_as_the_table_says(group, mode, places, witness, tmp_path):
    for name, (in_group, subject, _) in OBJECTS.items():
        reason = SUBJECTS[subject].lacking() if in_group == group else ""
        if reason:
            pytest.skip(f"{name}: {reason}")
    trusted = tmp_path / "trusted.pem"
    trusted.write_text("".join(Path(file).read_text() for file in (places["ca"], witness.ca_file)))
    witness.clear()
    pid, found = execute(group, mode, {**places, "https": witness.url, "ca": str(trusted)})
    wrong = []
    for name, (in_group, _, kind) in OBJECTS.items():
        for event, outcomes in ownership.cells(kind).items() if in_group == group else ():
            wanted = outcomes[MODES.index(mode)]
            got = found[event].pop(name)
            if got != wanted:
                wrong.append(f"{name}, {event}, {mode}: not {wanted!r} but {got}")
    assert not wrong, "\n".join(wrong)
    assert not any(found.values()), found
    if group == "http":
        seen_by_the_server(witness, pid)


def seen_by_the_server(witness, pid):
    """Each instance of the parent's has one connection for all its requests, which no child used or ended."""
    parents = [r.connection for r in witness.requests if r.query == f"parent-{pid}"]
    childrens = {r.connection for r in witness.requests if r.query == f"child-{pid}"}
    assert len(parents) >= len(EVENTS) and len(set(parents)) == len(EVENTS)
    assert not childrens & set(parents)
    for number in set(parents):
        connection = witness.connections[number]
        assert connection.close_notify == 0 and not connection.reset, connection
